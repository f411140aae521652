# SPDX-License-Identifier: GPL-3.0-or-later
# SPDX-FileCopyrightText: 2026 The orchestrator.platform authors
"""The agents' templates: how they get into their ConfigMap, what they ask for, and that what they render is valid."""

from __future__ import annotations

import json
import shutil
import subprocess
from pathlib import Path

import agent_templates as a
import pytest
import renderings as r
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

SECRET = {"secrets": {"existingSecret": "orchestrator-secrets"}}
# What the public controller loads (OR-169…OR-184), besides the hooks it finds by prefix.
LOADED = [
    "code/container.sh.hbs",
    "code/claude.md.hbs",
    "code/settings.json.hbs",
    "code/mcp.json.hbs",
    "code/client-config.json.hbs",
    "code/coding-guidelines.md.hbs",
    "code/github-guidelines.md.hbs",
    "code/mcp-tools.md.hbs",
    "code/prompt.hbs",
    "docs/container.sh.hbs",
    "docs/claude.md.hbs",
    "docs/settings.json.hbs",
    "docs/prompt.md.hbs",
    "docs/tool-catalog-documentation.md.hbs",
    "docs/toolman-catalog.md.hbs",
]
# Texts that broke the source's template or could break another: first lines, ends, control characters, Helm's own syntax.
ODD = {
    "indented": "   first line is indented\nx\n",
    "tab": "\tfirst\n",
    "no-end": "no line end",
    "many-ends": "text\n\n\n",
    "only-ends": "\n\n",
    "blank-first": "\n\n  x\n",
    "spaces-at-end": "x   \n   \n",
    "empty": "",
    "carriage": "a\r\nb\r\n",
    "control": "bell \x07 escape \x1b[0m\n",
    "helm": "{{ .Values.image.tag }} {{ include \"x\" . }} {{`\n",
    "yaml": "---\nkey: 'value' # \"x\"\n...\n- |\n",
    "words": "Füße 日本 \U0001f600 \u2028 \u00a0\n",
    "mark": "\ufeffbyte order mark\n",
}  # fmt: skip


def chart_with(folder: Path, files) -> Path:
    """A copy of the chart whose template folder holds these files alone."""
    copy = folder / "orchestrator"
    shutil.copytree(r.ORCHESTRATOR, copy, ignore=shutil.ignore_patterns("claude-templates", "ci"))
    for name, text in files.items():
        file = copy / "claude-templates" / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_bytes(text.encode())
    return copy


def published(chart: Path, release="orchestrator") -> dict[str, str]:
    return r.template(chart, SECRET, release=release).one("ConfigMap", "orchestrator-claude-templates")["data"]


def test_each_file_arrives_byte_by_byte():
    """OR-166…OR-168, OR-A29, OR-A30, OR-A51: every template, none besides, under its path with underscores."""
    wanted = {name.replace("/", "_"): (a.FOLDER / name).read_bytes().decode() for name in a.NAMES}
    assert published(r.ORCHESTRATOR) == wanted
    assert set(LOADED) <= set(a.NAMES)
    for kind in ("code", "docs"):
        assert [name for name in a.NAMES if name.startswith(f"{kind}/hooks/")], (
            "the controller finds hooks by this prefix"
        )


@pytest.mark.parametrize("where", ["code/deep/er/", "code/", ""])
def test_odd_texts_arrive_byte_by_byte(where, tmp_path):
    """OR-A29, OR-A30: whatever the text begins or ends with, at every depth of folders."""
    files = {f"{where}{name}.hbs": text for name, text in ODD.items()}
    found = published(chart_with(tmp_path, files))
    # Helm's own loader takes a byte order mark off every file.
    assert found == {name.replace("/", "_"): text.removeprefix("\ufeff") for name, text in files.items()}


@settings(max_examples=12, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(texts=st.lists(st.text(st.characters(codec="utf-8", exclude_characters="\x00\ufeff")), min_size=20, max_size=20))
def test_any_text_arrives_byte_by_byte(texts, tmp_path_factory):
    """OR-A29, as a property; twenty texts a rendering."""
    files = {f"code/{number}.hbs": text for number, text in enumerate(texts)}
    found = published(chart_with(tmp_path_factory.mktemp("chart"), files))
    assert found == {name.replace("/", "_"): text for name, text in files.items()}


@pytest.mark.parametrize(
    ("files", "says"),
    [
        ({"a/b_c.hbs": "1", "a_b/c.hbs": "2"}, ["both become key a_b_c.hbs", "rename one"]),
        ({"a b.hbs": "1"}, ["claude-templates/a b.hbs cannot be a key", "letters, digits"]),
        ({f"{n}.hbs": "x" * 400_000 for n in range(3)}, ["1200015 bytes", "1048576"]),
    ],
)
def test_what_a_configmap_cannot_hold_is_refused(files, says, tmp_path):
    """OR-A30, OR-A31: two files of one key, a name that is no key, more than 1 MiB."""
    error = r.template(chart_with(tmp_path, files), SECRET).error
    assert [part for part in says if part not in error] == [], error or "it rendered"


def test_a_changed_template_restarts_the_pod(tmp_path):
    """OR-111."""
    charts = [chart_with(tmp_path / text, {"code/x.hbs": text}) for text in ("one", "two")]
    found = [r.template(c, SECRET).one("Deployment")["spec"]["template"]["metadata"]["annotations"] for c in charts]
    assert {key for key in found[0] if found[0][key] != found[1][key]} == {"checksum/claude-templates"}


@pytest.mark.parametrize("name", a.NAMES)
def test_variables_are_declared_and_used(name):
    """OR-A50: a template asks for declared names only, and uses each it declares."""
    assert a.references(a.source(name)) == set(a.DECLARED["templates"][name])


def test_declarations_are_whole():
    """OR-188, OR-189, OR-A50: one list a template, every name explained, none without a template."""
    used = {name for names in a.DECLARED["templates"].values() for name in names}
    assert sorted(a.DECLARED["templates"]) == a.NAMES
    assert set(a.DECLARED["variables"]) == used == set(a.FULL)


@pytest.mark.parametrize("text", ["{{task_id}}", "{{#if branch}}x{{/if}}", "{{#unless retry}}x{{/unless}}", "{{#each tools}}x{{/each}}", "{{{a.b}}}"])  # fmt: skip
def test_an_undeclared_name_is_found(text, monkeypatch):
    """The tests above can fail: in a text, a condition, a loop."""
    monkeypatch.setattr(a, "source", lambda name: text)
    with pytest.raises(LookupError, match="does not declare"):
        a.render("code/coding-guidelines.md.hbs", a.FULL)


@pytest.mark.parametrize("values", [a.FULL, a.LEAST], ids=["full", "least"])
@pytest.mark.parametrize("name", a.NAMES)
def test_strict_rendering(name, values):
    """OR-193, OR-A50: every template renders strictly, leaves no brace behind, and is valid for its kind."""
    text = a.render(name, values)
    assert "{{" not in text
    assert text.strip()
    if ".json" in name:
        json.loads(text)
    if ".sh" in name:
        assert text.startswith("#!/usr/bin/env bash\n"), "OR-A29: the interpreter stands on line 1"


@pytest.mark.skipif(not shutil.which("shellcheck"), reason="shellcheck is not installed")
@pytest.mark.parametrize("values", [a.FULL, a.LEAST], ids=["full", "least"])
@pytest.mark.parametrize("name", [name for name in a.NAMES if ".sh" in name])
def test_shellcheck(name, values, tmp_path):
    """OR-193: what is rendered is clean for shellcheck."""
    script = tmp_path / "script.sh"
    script.write_text(a.render(name, values), encoding="utf-8")
    done = subprocess.run(["shellcheck", str(script)], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout


def test_both_names_of_the_catalogue_have_one_text():
    """OR-183: the older and the later name."""
    assert a.source("docs/toolman-catalog.md.hbs") == a.source("docs/tool-catalog-documentation.md.hbs")


@pytest.mark.parametrize(("kind", "days", "co_author"), [("code", 7, False), ("docs", 3, True)])
def test_settings(kind, days, co_author):
    """OR-190: fixed tools unless overridden, accept-edits mode, telemetry only when it is on."""
    full, least = (json.loads(a.render(f"{kind}/settings.json.hbs", v)) for v in (a.FULL, a.LEAST))
    assert (least["cleanupPeriodDays"], least["includeCoAuthoredBy"]) == (days, co_author)
    assert least["permissions"]["defaultMode"] == "acceptEdits"
    defaults = r.template(r.ORCHESTRATOR, SECRET, release="orchestrator")
    config = defaults.one("ConfigMap", "orchestrator-task-controller-config")["data"]["config.yaml"]
    for tool in least["permissions"]["allow"]:
        assert f"- {tool}\n" in config
    assert ("NotebookRead" in least["permissions"]["allow"]) is (kind == "code")
    assert len(least["permissions"]["allow"]) == (16 if kind == "code" else 14)
    assert (full["permissions"]["allow"], full["permissions"]["deny"]) == (["Bash(git:*)", "Read"], ["WebFetch"])
    assert not [name for name in least["env"] if "OTEL" in name or "TELEMETRY" in name]
    assert full["env"]["OTEL_EXPORTER_OTLP_LOGS_ENDPOINT"] == "http://collector:4318"
    assert full["env"]["CLAUDE_CODE_ENABLE_TELEMETRY"] == "1"


# No NUL: a process cannot have one in an argument or variable. No carriage return nor newline at the end: $(…) takes those off.
TEXT = st.text(st.characters(codec="utf-8", exclude_characters="\x00")).filter(lambda text: not text.endswith("\n"))


@settings(max_examples=40, deadline=None)
@given(values=st.lists(TEXT, min_size=4, max_size=4))
def test_no_value_leaves_its_quotes(values):
    """A value with quotes, dollars, braces, newlines or entities stays a value: it is never run, and comes back as it was."""
    names = ["repository_url", "working_directory", "github_user", "prompt_modification"]
    script = a.render("code/container.sh.hbs", a.FULL | dict(zip(names, values, strict=True)))
    settings_only = script.split("# A path of the repository")[0]
    shown = settings_only + "printf '%s\\0' " + " ".join(f'"${name}"' for name in names)
    done = subprocess.run(
        ["bash", "-c", shown], capture_output=True, check=True, env={"PATH": "/usr/bin:/bin", "LC_ALL": "C.UTF-8"}
    )
    assert done.stdout.decode().split("\0")[:-1] == values

# SPDX-License-Identifier: GPL-3.0-or-later
# SPDX-FileCopyrightText: 2026 The orchestrator.platform authors
"""Renderings as a whole: lint, golden files, Kubernetes' own schemas, odd release names."""

from __future__ import annotations

import difflib
import json
import re
import subprocess
from pathlib import Path

import pytest
import renderings as r
import schemas
import yaml

GOLDEN = Path(__file__).parent / "golden"
ODD_RELEASES = {
    "dotted-name": "team.a",
    "long-name": "l" + "o" * 51 + "g",
    "number-name": "123",
    "keeps-name": "x-discord-monitor",
}
AGENT_TEMPLATES = re.compile(
    r"^---\n# Source: orchestrator/templates/claude-templates-configmap\.yaml\n.*?(?=^---\n# Source: )",
    flags=re.DOTALL | re.MULTILINE,
)
EVERY_CASE = [(chart, case) for chart in (r.MONITOR, r.DEMO, r.ORCHESTRATOR) for case in r.cases(chart)]


def identify(value):
    return value.name if isinstance(value, Path) else str(value)


def golden_file(chart, case):
    return GOLDEN / chart.name / f"{case}.yaml"


def release_of(chart, case):
    return ODD_RELEASES.get(case, chart.name)


def render(chart, case, kubernetes=r.NEWEST):
    file = "" if case in ODD_RELEASES else case
    return r.template(chart, case=file, release=release_of(chart, case), kubernetes=kubernetes)


@pytest.mark.parametrize(("chart", "case"), EVERY_CASE, ids=identify)
def test_lint_is_clean(chart, case):
    """DM-172, OR-342: helm lint --strict finds nothing in any supported combination of values."""
    values = f"--values={chart}/ci/{case}-values.yaml"
    done = r.helm("lint", "--strict", str(chart), values, f"--kube-version={r.NEWEST}")
    assert done.returncode == 0, done.stdout + done.stderr


@pytest.mark.parametrize(("chart", "case"), [*EVERY_CASE, *((r.MONITOR, c) for c in ODD_RELEASES)], ids=identify)
def test_rendering_equals_the_golden_file(chart, case, update_golden):
    """DM-168, OR-345: the matrix of renderings; regenerate with `pytest tests/charts --update-golden` and read the diff."""
    text = render(chart, case).text
    if case != "default":  # the agents' templates are long and the same in every case: one golden file holds them
        text = AGENT_TEMPLATES.sub("", text)
    file = golden_file(chart, case)
    if update_golden:
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text, encoding="utf-8")
    golden = file.read_text(encoding="utf-8") if file.exists() else ""
    assert file.exists(), f"no golden file {file.name}: run with --update-golden"
    changes = difflib.unified_diff(golden.splitlines(), text.splitlines(), "golden", "now", lineterm="")
    assert text == golden, "\n".join(changes)


def test_every_golden_file_has_its_case():
    """A golden file whose case is gone would never be compared again."""
    wanted = {golden_file(chart, case) for chart, case in [*EVERY_CASE, *((r.MONITOR, c) for c in ODD_RELEASES)]}
    assert set(GOLDEN.rglob("*.yaml")) == wanted


def kubeconform(folder, kubernetes, tmp_path):
    """Kubeconform's verdicts on a folder of manifests: [(file, kind, status, message)], only what is not valid."""
    objects = [o for f in folder.glob("*.yaml") for o in yaml.safe_load_all(f.read_text(encoding="utf-8")) if o]
    kept = tmp_path / f"schemas-{kubernetes}"
    schemas.write(kubernetes, kept, (schemas.file_stem(o["apiVersion"], o["kind"]) for o in objects))
    location = f"{kept}/{{{{.ResourceKind}}}}{{{{.KindSuffix}}}}.json"
    argv = [
        r.program("kubeconform"),
        "-strict",
        "-output",
        "json",
        "-summary",
        "-schema-location",
        location,
        str(folder),
    ]
    done = subprocess.run(argv, capture_output=True, text=True, check=False, timeout=60)
    report = json.loads(done.stdout)
    summary = report["summary"]
    assert sum(summary.values()) == len(objects), f"{len(objects)} objects, but kubeconform saw {summary}"
    return [(Path(x["filename"]).name, x["kind"], x["status"], x["msg"]) for x in report["resources"] or []]


@pytest.mark.parametrize("kubernetes", [r.OLDEST, r.NEWEST])
def test_manifests_are_valid(kubernetes, tmp_path):
    """DM-163, DM-173, DM-174, DM-186: kubeconform -strict, oldest and newest supported Kubernetes, the whole matrix."""
    folder = tmp_path / "manifests"
    folder.mkdir()
    for chart, case in [*EVERY_CASE, *((r.MONITOR, c) for c in ODD_RELEASES)]:
        if kubernetes < r.FLOORS.get(case, kubernetes):
            continue  # refused there, see test_admission.py
        text = render(chart, case, kubernetes).text
        (folder / f"{chart.name}-{case}.yaml").write_text(text, encoding="utf-8")
    (folder / "host-chart.yaml").write_text(r.template(r.AGENT, kubernetes=kubernetes).text, encoding="utf-8")
    assert kubeconform(folder, kubernetes, tmp_path) == []


@pytest.mark.parametrize("kubernetes", [r.OLDEST, r.NEWEST])
def test_an_unknown_field_is_found(kubernetes, tmp_path):
    """The test above can fail: a field that Kubernetes does not know, deep inside a container, is refused."""
    folder = tmp_path / "manifests"
    folder.mkdir()
    deployment = r.template(r.MONITOR).one("Deployment")
    broken = json.loads(json.dumps(deployment))
    broken["spec"]["template"]["spec"]["containers"][0]["livenessProbe"]["httpGet"]["prot"] = 8080
    (folder / "broken.yaml").write_text(yaml.safe_dump(broken), encoding="utf-8")
    [(_, kind, status, message)] = kubeconform(folder, kubernetes, tmp_path)
    assert (kind, status) == ("Deployment", "statusInvalid")
    assert "prot" in message


@pytest.mark.parametrize("release", ODD_RELEASES.values())
def test_names_and_labels_fit_kubernetes(release):
    """DM-025, DM-026, DM-168: long, dotted and numeric release names give names a Service may have, and label values that fit."""
    for o in r.template(r.MONITOR, release=release).objects:
        name = o["metadata"]["name"]
        assert name == name.strip("-")
        assert set(name) <= set("abcdefghijklmnopqrstuvwxyz0123456789-"), name
        assert len(name) <= 63, name
        assert all(isinstance(v, str) and len(v) <= 63 for v in o["metadata"]["labels"].values()), o["metadata"][
            "labels"
        ]


@pytest.mark.parametrize(
    ("release", "values", "name"),
    [
        ("discord-monitor", {}, "discord-monitor"),
        ("my-discord-monitor", {}, "my-discord-monitor"),
        ("mine", {}, "mine-discord-monitor"),
        ("mine", {"nameOverride": "dm"}, "mine-dm"),
        ("mine", {"fullnameOverride": "yours"}, "yours"),
    ],
)
def test_full_name(release, values, name):
    """DM-026: release-qualified unless the release says it already, with override."""
    assert r.template(r.MONITOR, values, release=release).one("Deployment")["metadata"]["name"] == name


def test_a_service_name_starts_with_a_letter():
    """A release called 123 must not give a Service called 123-…, which Kubernetes older than 1.34 refuses."""
    service = r.template(r.MONITOR, release="123").one("Service")
    assert service["metadata"]["name"][0].isalpha(), service["metadata"]["name"]


def test_snippets_emit_nothing_by_themselves():
    """DM-023, DM-137: with every toggle off the chart renders no object at all, only comments and white space."""
    assert r.template(r.MONITOR, case="snippets-only").objects == []

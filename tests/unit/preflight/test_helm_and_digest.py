# SPDX-License-Identifier: GPL-3.0-or-later
# SPDX-FileCopyrightText: 2026 The orchestrator.platform authors
"""What the roles ask Helm and the chart's files, without a cluster (D4)."""

from __future__ import annotations

import pytest
from ansible.errors import AnsibleLookupError
from ansible_collections.orchestrator.platform.plugins.action import helm_preflight
from ansible_collections.orchestrator.platform.plugins.lookup.folder_digest import LookupModule, folder_digest


@pytest.fixture
def chart(tmp_path):
    """A folder with a nested and a hidden file."""
    folder = tmp_path / "chart"
    (folder / "templates").mkdir(parents=True)
    (folder / "templates" / "a.yaml").write_text("a: 1\n", encoding="utf-8")
    (folder / ".helmignore").write_text("*.bak\n", encoding="utf-8")
    return folder


@pytest.mark.parametrize("change", ["content", "name", "hidden", "new"])
def test_every_change_of_a_chart_changes_its_digest(chart, change):
    """An edited chart is never missed at the same version."""
    before = folder_digest(chart)
    file = chart / "templates" / "a.yaml"
    if change == "content":
        file.write_text("a: 2\n", encoding="utf-8")
    elif change == "name":
        file.rename(file.with_name("b.yaml"))
    elif change == "hidden":
        (chart / ".helmignore").write_text("", encoding="utf-8")
    else:
        (chart / "b").write_text("", encoding="utf-8")
    assert folder_digest(chart) != before


def test_the_digest_depends_on_nothing_else(chart, tmp_path):
    """Another place, time or link gives no other digest: it would be a new revision."""
    before = folder_digest(chart)
    (chart / "link").symlink_to(tmp_path)
    (chart / "templates" / "a.yaml").touch()
    assert folder_digest(chart.rename(tmp_path / "elsewhere")) == before


def test_a_missing_chart_is_said(tmp_path):
    """A digest of nothing would be a digest all the same."""
    with pytest.raises(AnsibleLookupError, match="is not a folder"):
        LookupModule().run([str(tmp_path / "none")])


def program(tmp_path, body):
    """A Helm that runs these shell lines."""
    file = tmp_path / "helm"
    file.write_text(f"#!/bin/sh\n{body}\n", encoding="utf-8")
    file.chmod(0o755)
    return str(file)


@pytest.mark.parametrize(
    ("printed", "version"), [("v3.22.0", "3.22.0"), ("v4.0.1+g1", "4.0.1"), ("nothing of use", ""), ("", "")]
)
def test_version(tmp_path, printed, version):
    """The number alone, as Ansible compares it."""
    assert helm_preflight.ask_version(program(tmp_path, f"echo '{printed}'")) == version


def test_no_helm(tmp_path):
    """A missing Helm is told by its missing version, not by a chart that would be wrong."""
    missing = str(tmp_path / "helm")
    assert helm_preflight.ask_version(missing) == ""
    assert helm_preflight.ask_rendering(missing, "chart", "r", {}, None) == ""


@pytest.mark.parametrize(
    ("body", "problem"),
    [
        ("cat >/dev/null; echo manifests", ""),
        ("cat >/dev/null; echo 'Error: bad key' >&2; exit 1", "Error: bad key"),
        ("cat >/dev/null; exit 3", "ended with status 3."),
    ],
)
def test_rendering(tmp_path, body, problem):
    """Only a rendering that fails is a problem, and it says something in any case."""
    said = helm_preflight.ask_rendering(program(tmp_path, body), "chart", "r", {}, "1.29.0")
    assert said.endswith(problem)
    assert bool(said) == bool(problem)


def test_values_are_not_arguments(tmp_path):
    """Whoever lists processes sees arguments; the values go another way (D6)."""
    log = tmp_path / "log"
    helm = program(tmp_path, f'echo "$@" > {log}; cat >> {log}.stdin')
    helm_preflight.ask_rendering(helm, "chart", "r", {"key": "of-the-values"}, None)
    assert "of-the-values" not in log.read_text(encoding="utf-8")
    assert "of-the-values" in (tmp_path / "log.stdin").read_text(encoding="utf-8")

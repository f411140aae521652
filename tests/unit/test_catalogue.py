# SPDX-License-Identifier: GPL-3.0-or-later
# SPDX-FileCopyrightText: 2026 The orchestrator.platform authors
"""The catalogue: stable ids, whole metadata, and a manual page that equals the code (D13)."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from ansible_collections.orchestrator.platform.plugins.module_utils._catalogue import (
    CHECKS,
    FAMILIES,
    manual,
    select,
    without_acting,
)
from ansible_collections.orchestrator.platform.plugins.module_utils._errors import PlatformError
from ansible_collections.orchestrator.platform.plugins.module_utils._findings import (
    MAX_EVIDENCE,
    SEVERITIES,
    Check,
    breaks,
    failed,
    run_checks,
    show_subject,
    subject,
    summarise,
)
from ansible_collections.orchestrator.platform.plugins.module_utils._snapshot import (
    ALWAYS_READ,
    CLUSTER_RESOURCES,
    NAMED_RESOURCES,
    RESOURCES,
    View,
)

ROOT = Path(__file__).resolve().parents[2]
EXTRAS = {"version", "nodes", "health", "metrics", "usage", "delivery", "reviews", "permissions", "inside"}
EXTRAS |= {"orchestrator-health", "orchestrator-rights"}


def test_manual_page_equals_the_code():
    """The page is written by the command in _catalogue.py's docstring; after a change run it again."""
    assert (ROOT / "docs" / "checks.md").read_text() == manual()


@pytest.mark.parametrize("check", CHECKS, ids=[check.id for check in CHECKS])
def test_check_is_described(check: Check):
    assert re.fullmatch(r"[a-z]+(-[a-z]+)*/[a-z]+(-[a-z]+)*", check.id)
    assert check.severity in SEVERITIES
    assert set(check.needs) <= set(RESOURCES) | set(CLUSTER_RESOURCES) | set(NAMED_RESOURCES) | EXTRAS
    assert not check.title.endswith(".")
    assert check.mend.endswith(".")
    assert f"\n## {check.id}\n" in manual()


class RecordingView(View):
    """Remembers which lists a check asks for."""

    asked: set[str]

    def objects(self, resource, namespace):
        self.asked.add(resource)
        return super().objects(resource, namespace)


@pytest.mark.parametrize("check", CHECKS, ids=[check.id for check in CHECKS])
def test_check_declares_every_list_it_reads(check: Check, snapshot, expect):
    """What is not declared is not collected, and an empty list looks like a pass."""
    view = RecordingView(snapshot, expect)
    view.asked = set()
    run_checks([check], view)
    assert view.asked <= set(check.needs) | set(ALWAYS_READ)


def test_ids_are_unique():
    assert len({check.id for check in CHECKS}) == len(CHECKS)
    assert len({check.anchor for check in CHECKS}) == len(CHECKS)


def test_selection():
    everything = {check.id for check in select([], [], probe_delivery=True, runtime_scope=True)}
    assert {check.id for check in CHECKS} - everything == {"preflight/permission"}
    assert "preflight/permission" in {check.id for check in select(["preflight"], [], probe_delivery=False)}
    assert not {check.id for check in select(["secret-scope"], [], probe_delivery=False) if "runtime" in check.id}
    assert "delivery/probe-line" not in {check.id for check in select([], [], probe_delivery=False)}
    assert {check.family for check in select(["probes"], [], probe_delivery=False)} == {"probes"}
    mixed = {check.id for check in select(["chart"], ["secret-scope/volume"], probe_delivery=False)}
    assert "secret-scope/volume" in mixed
    assert "chart/bot-rollout" in mixed
    assert "secret-scope/env-ref" not in mixed


def test_unknown_selection_is_refused():
    with pytest.raises(PlatformError, match="secret-scope/nope"):
        select([], ["secret-scope/nope"], probe_delivery=False)


@pytest.mark.parametrize("check", ["delivery/probe-line", "secret-scope/runtime-env", "secret-scope/runtime-mounts"])
def test_a_named_check_that_cannot_run_is_refused(check):
    """Issue 5.1: named without its option it would not run, and the run would pass with nothing looked at."""
    with pytest.raises(PlatformError, match=f"checks: {check} runs only with (probe_delivery|runtime_scope): set"):
        select([], [check], probe_delivery=False)
    assert [item.id for item in select([], [check], probe_delivery=True, runtime_scope=True)] == [check]


def test_check_mode_tells_what_it_does_not_do(snapshot, expect):
    """D5: the checks that act are skipped with the reason, nothing is collected for them, the picture is incomplete."""
    chosen = select([], [], probe_delivery=True, runtime_scope=True)
    quiet = without_acting(chosen)
    assert [item.id for item in quiet] == [item.id for item in chosen]
    assert {need for item in quiet for need in item.needs} & {"delivery", "inside"} == set()
    findings, complete = run_checks([item for item in quiet if not item.needs], View(snapshot, expect))
    said = {(item["id"], item["verdict"], item["evidence"]) for item in findings if "check mode" in item["evidence"]}
    assert said == {
        ("delivery/probe-line", "skip", "check mode: no line is sent"),
        ("secret-scope/runtime-env", "skip", "check mode: no command is run in a container"),
        ("secret-scope/runtime-mounts", "skip", "check mode: no command is run in a container"),
    }
    assert not complete


def test_no_agent_namespace_is_told(snapshot, expect):
    """Issue 5: a selection whose checks have no place to look at is a skip each, and incomplete."""
    chosen = select([], ["delivery/probe-line", "probes/watcher-liveness"], probe_delivery=True)
    findings, complete = run_checks(chosen, View(snapshot, expect._replace(agent_namespaces=())))
    assert {(item["id"], item["verdict"]) for item in findings} == {(item.id, "skip") for item in chosen}
    assert all("agent_namespaces is empty" in item["evidence"] for item in findings)
    assert not complete


def run(snapshot, expect):
    findings, complete = run_checks(CHECKS, View(snapshot, expect))
    return findings, summarise(findings, complete=complete)


def test_summary_covers_every_family(snapshot, expect):
    _findings, summary = run(snapshot, expect)
    assert set(summary["by_family"]) == set(FAMILIES)
    assert summary["passed"] == sum(counts["passed"] for counts in summary["by_family"].values())


def test_passes_are_folded_and_counted(snapshot, expect):
    pods = snapshot.objects[("pods", "agents")]
    pods += [{**pods[0], "metadata": {**pods[0]["metadata"], "name": f"coder-{i}"}} for i in range(2, 102)]
    findings, _summary = run(snapshot, expect)
    rows = [
        item for item in findings if item["id"] == "secret-scope/env-ref" and item["subject"]["namespace"] == "agents"
    ]
    assert [(row["verdict"], row["count"]) for row in rows] == [("pass", 102)]


def test_what_is_suppressed_breaks_nothing():
    """D13: the verdict stays, the run does not fail."""
    (row,) = rows("fail", "error")
    hidden = {**row, "suppressed": {"reason": "x", "expires": "2099-01-01"}}
    assert breaks([hidden], "warning") == []
    summary = summarise([row, hidden], complete=True)
    assert (summary["failed"], summary["suppressed"]) == (1, 1)


def rows(verdict: str, severity: str) -> list:
    who = subject("Pod", "n", "p")
    return [
        {"id": "a/b", "severity": severity, "subject": who, "verdict": verdict, "evidence": "", "hint": "", "count": 1}
    ]


@pytest.mark.parametrize(
    ("verdict", "severity", "fail_on", "broken"),
    [
        ("fail", "error", "error", True),
        ("fail", "error", "none", False),
        ("warn", "warning", "error", False),
        ("warn", "warning", "warning", True),
        ("warn", "info", "warning", False),
        ("skip", "error", "warning", False),
    ],
)
def test_what_fails_a_run(verdict, severity, fail_on, broken):
    assert bool(breaks(rows(verdict, severity), fail_on)) is broken


def test_evidence_is_bounded(snapshot, expect):
    check = CHECKS[0]._replace(decide=lambda _view, _namespace: [failed(subject("Pod"), "x" * 10_000)])
    (finding,), _complete = run_checks([check], View(snapshot, expect))
    assert len(finding["evidence"]) == MAX_EVIDENCE


@pytest.mark.parametrize(
    ("who", "text"),
    [
        (subject("Deployment", "a", "b"), "Deployment a/b"),
        (subject("Pod", "a", "b", "c"), "Pod a/b, container c"),
        (subject("Namespace", "a", "a"), "Namespace a"),
        (subject("Cluster"), "Cluster"),
    ],
)
def test_subject_is_shown(who, text):
    assert show_subject(who) == text

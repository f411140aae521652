# SPDX-License-Identifier: GPL-3.0-or-later
# SPDX-FileCopyrightText: 2026 The orchestrator.platform authors
"""Filter outcome_table: a thousand workloads and three make texts of like length, and nothing bad goes unnamed."""

from __future__ import annotations

import pytest
from ansible.errors import AnsibleFilterError
from ansible_collections.orchestrator.platform.plugins.filter.outcome_table import FilterModule, outcome_table
from ansible_collections.orchestrator.platform.plugins.module_utils._outcomes import CODES


def row(name: str, outcome: str, code: str = "", message: str | None = None, **more) -> dict:
    """A row as module sidecar returns it."""
    code = code or outcome
    text = CODES[code].sentence if message is None else message
    return {
        "kind": "Deployment",
        "namespace": "agents",
        "name": name,
        "outcome": outcome,
        "code": code,
        "message": text,
        **more,
    }


def test_counts_by_outcome_and_code_in_aligned_columns():
    rows = [row("a", "injected"), row("b", "injected"), row("c", "unchanged", "absent"), row("d", "unchanged")]
    assert outcome_table(rows) == [
        "outcome    code       workloads",
        "injected   injected           2",
        "unchanged  absent             1",
        "unchanged  unchanged          1",
        "all                           4",
    ]


def test_workloads_that_came_out_as_wanted_are_not_named():
    """One line a workload would be a thousand lines."""
    assert len(outcome_table([row(f"w{number}", "injected") for number in range(1000)])) == 2


def test_a_group_names_twenty_and_counts_the_rest():
    lines = outcome_table([row(f"w{number:02}", "skipped", "opt_out") for number in range(25)])
    assert lines[3] == f"skipped: opt_out (25): {CODES['opt_out'].sentence}"
    assert lines[4] == "  Deployment agents/w00"
    assert lines[-1] == "  and 5 more"
    assert len(lines) == 3 + 1 + 20 + 1


def test_sentences_that_differ_stand_beside_their_workloads():
    rows = [row("a", "failed", "rollout_failed", "first"), row("b", "failed", "rollout_failed", "second")]
    assert outcome_table(rows)[3:] == [
        "failed: rollout_failed (2)",
        "  Deployment agents/a: first",
        "  Deployment agents/b: second",
    ]


def test_what_failed_stands_before_what_was_skipped():
    rows = [row("a", "skipped", "opt_out"), row("b", "conflict", "field_conflict", "x"), row("c", "failed", "gone")]
    titles = [line for line in outcome_table(rows) if ": " in line]
    assert [title.split(":")[0] for title in titles] == ["failed", "conflict", "skipped"]


def test_a_note_is_said_once_for_all_that_share_it():
    """It may concern every workload, so it names three."""
    rows = [row(name, "injected", message=f"{CODES['injected'].sentence} Mind the user.") for name in "abcde"]
    names = "Deployment agents/a, Deployment agents/b, Deployment agents/c and 2 more"
    assert outcome_table(rows)[2:] == ["", "note (5): Mind the user.", f"  {names}"]


def test_drift_and_old_pods_are_named_with_their_manager():
    drift = [{"field": "spec.x", "manager": "kubectl-set"}, {"field": "spec.y", "manager": None}]
    lines = outcome_table(
        [row("a", "updated", drift=drift, stale_pods=["a-1", "a-2"]), row("b", "unchanged", drift=[])]
    )
    assert "drift (1): spec.x (kubectl-set), spec.y (unknown)" in lines
    assert "pods older than the template (1): a-1, a-2" in lines


def test_no_workload_is_said_so():
    assert outcome_table([]) == ["No workload matches."]


def test_an_outcome_of_a_later_version_is_counted_all_the_same():
    assert outcome_table([row("a", "postponed", "injected")])[1].split() == ["postponed", "injected", "1"]


@pytest.mark.parametrize("wrong", [None, "text", {}, [1], [{"name": "a"}]])
def test_anything_else_is_refused_by_name(wrong):
    with pytest.raises(AnsibleFilterError, match="the list `workloads` that module sidecar"):
        outcome_table(wrong)


def test_the_filter_has_its_name():
    assert FilterModule().filters() == {"outcome_table": outcome_table}


def test_namespace_is_named_once():
    """It is in no namespace itself."""
    row = {
        "kind": "Namespace",
        "namespace": "b",
        "name": "b",
        "outcome": "failed",
        "code": "forbidden",
        "message": "no",
    }
    assert outcome_table([row])[-1] == "  Namespace b"

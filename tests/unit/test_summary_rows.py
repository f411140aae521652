# SPDX-License-Identifier: GPL-3.0-or-later
# SPDX-FileCopyrightText: 2026 The orchestrator.platform authors
"""Filter summary_rows: a row for each cluster, also for one that has no result."""

from __future__ import annotations

import pytest
from ansible.errors import AnsibleFilterError
from ansible_collections.orchestrator.platform.plugins.filter.summary_rows import FilterModule, summary_rows

GOOD = {"summary": {"passed": 61, "failed": 0, "warned": 1, "skipped": 4, "complete": True}}
BAD = {"failed": True, "msg": "x", "summary": {"passed": 60, "failed": 1, "warned": 0, "skipped": 0, "complete": False}}


@pytest.mark.parametrize(
    ("result", "row"),
    [
        (GOOD, "east     ok      61 passed, 0 failed, 1 warned, 4 skipped"),
        (BAD, "east     failed  60 passed, 1 failed, 0 warned, 0 skipped; incomplete"),
        (None, "east     failed  no result: the run did not reach verification"),
        ({}, "east     failed  no result: the run did not reach verification"),
        ("no answer\nat all", "east     failed  no answer at all"),
        ({"failed": True, "msg": "the module failed"}, "east     failed  the module failed"),
    ],
)
def test_row(result, row):
    assert summary_rows({"east": result}) == [row]


def test_rows_are_sorted_and_aligned():
    lines = summary_rows({"west-longer": GOOD, "east": None})
    assert [line.split()[0] for line in lines] == ["east", "west-longer"]
    assert len({line.index("ok" if "ok" in line else "failed") for line in lines}) == 1


def test_a_run_that_tolerates_failed_checks_is_no_failed_run():
    tolerated = {**BAD, "failed": False}
    assert summary_rows({"east": tolerated})[0].split()[1] == "ok"


def test_versions_are_a_column():
    lines = summary_rows({"east": GOOD, "west": "no answer"}, {"east": "v1.36.3", "west": ""})
    assert lines == [
        "east     ok      Kubernetes v1.36.3  61 passed, 0 failed, 1 warned, 4 skipped",
        "west     failed                      no answer",
    ]


def test_suppressed_findings_are_told():
    """What fails no run because somebody accepted it is still counted where people look (D13)."""
    accepted = {"summary": {**GOOD["summary"], "suppressed": 2}}
    assert summary_rows({"east": accepted})[0].endswith("4 skipped, 2 suppressed")


def test_wrong_input_names_the_shape():
    with pytest.raises(AnsibleFilterError, match="mapping of cluster name"):
        summary_rows(["east"])


def test_filter_is_registered_under_its_name():
    assert FilterModule().filters() == {"summary_rows": summary_rows}

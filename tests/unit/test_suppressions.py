# SPDX-License-Identifier: GPL-3.0-or-later
# SPDX-FileCopyrightText: 2026 The orchestrator.platform authors
"""Suppressions: a reason and a last day each, visible, and a finding once they have expired or match nothing (D13)."""

from __future__ import annotations

import datetime

import pytest
from ansible_collections.orchestrator.platform.plugins.module_utils._catalogue import CHECKS as ALL_CHECKS
from ansible_collections.orchestrator.platform.plugins.module_utils._catalogue import manual
from ansible_collections.orchestrator.platform.plugins.module_utils._entries import entries_of_text, inline_entries
from ansible_collections.orchestrator.platform.plugins.module_utils._errors import PlatformError
from ansible_collections.orchestrator.platform.plugins.module_utils._expectation import Expectation
from ansible_collections.orchestrator.platform.plugins.module_utils._findings import breaks, run_checks, subject
from ansible_collections.orchestrator.platform.plugins.module_utils._judge import judge
from ansible_collections.orchestrator.platform.plugins.module_utils._snapshot import Snapshot, View
from ansible_collections.orchestrator.platform.plugins.module_utils._suppressions import (
    CHECKS,
    checks_of_rows,
    parse_suppressions,
    suppress,
)

from .conftest import WEBHOOK

TODAY = datetime.date(2026, 11, 22)
EXPECT = Expectation("monitor", ("agents",), "r", "r", "s", "bot", "TOKEN", "hook")
KNOWN = {"a/b", "a/c", *(check.id for check in CHECKS)}
GOOD = {"id": "a/b", "subject": "Pod agents/*", "reason": "soon", "expires": "2026-12-31"}


def suppression(**changes):
    return parse_suppressions(inline_entries([(0, {**GOOD, **changes})], "suppressions"), KNOWN)[0]


def finding(verdict: str = "fail", name: str = "coder", check: str = "a/b") -> dict:
    who = subject("Pod", "agents", name, "agent")
    return {
        "id": check,
        "severity": "error",
        "subject": who,
        "verdict": verdict,
        "evidence": "",
        "hint": "",
        "count": 1,
    }


def outcome(findings, *items, run=("a/b", "a/c"), complete=True):
    """Findings after suppression, states of the rows, and (verdict, id) of what the rows themselves give."""
    marked, rows = suppress(findings, items, run=set(run), today=TODAY)
    said, _read = run_checks(checks_of_rows(rows, complete=complete), View(Snapshot(), EXPECT))
    verdicts = {(item["verdict"], item["id"].partition("/")[2]) for item in said}
    return marked, [row["state"] for row in rows], verdicts


@pytest.mark.parametrize(
    ("changes", "sentence"),
    [
        ({"expires": "31.12.2026"}, "expires is '31.12.2026': a day as YYYY-MM-DD is expected"),
        ({"expires": "2026-02-30"}, "expires is '2026-02-30'"),
        ({"expires": "20261231"}, "expires is '20261231'"),
        ({"expires": "2026-W53-1"}, "expires is '2026-W53-1'"),
        ({"reason": "  "}, "reason is empty"),
        ({"id": "a/nope"}, "there is no check a/nope"),
        ({"id": "report/suppression-expired"}, "cannot be suppressed"),
        ({"until": "x"}, "unknown key 'until'"),
    ],
)
def test_what_is_wrong_is_one_sentence(changes, sentence):
    with pytest.raises(PlatformError, match=r"suppressions\[0\]") as caught:
        suppression(**changes)
    assert sentence in str(caught.value)


@pytest.mark.parametrize("key", ["id", "subject", "reason", "expires"])
def test_every_key_is_needed(key):
    """Without a reason and a last day there is no suppression (issue 5, item 4)."""
    values = {name: value for name, value in GOOD.items() if name != key}
    with pytest.raises(PlatformError, match=f"the key {key} is missing"):
        parse_suppressions(inline_entries([(0, values)], "suppressions"), KNOWN)


def test_a_file_is_named_with_its_line_and_a_bare_date_stays_text():
    text = "- id: a/b\n  subject: '*'\n  reason: x\n  expires: 2026-12-31\n- id: a/b\n  subject: '*'\n  reason: x\n  expires: never\n"
    first, second = entries_of_text(text, "s.yml")
    assert parse_suppressions([first], KNOWN)[0].expires == datetime.date(2026, 12, 31)
    with pytest.raises(PlatformError, match=r"s\.yml line 8: expires is 'never'"):
        parse_suppressions([second], KNOWN)


def test_what_it_matches_keeps_its_verdict_and_fails_nothing():
    marked, states, verdicts = outcome(
        [finding(), finding("warn"), finding("pass"), finding(check="a/c")], suppression()
    )
    assert [("suppressed" in item, item["verdict"]) for item in marked] == [
        (True, "fail"),
        (True, "warn"),
        (False, "pass"),
        (False, "fail"),
    ]
    assert [item["id"] for item in breaks(marked, "warning")] == ["a/c"]
    assert (states, verdicts) == (["active"], {("pass", "suppression-expired"), ("pass", "suppression-unused")})


@pytest.mark.parametrize(
    ("pattern", "hit"),
    [
        ("Pod agents/coder, container agent", True),
        ("Pod agents/co*", True),
        ("*", True),
        ("Pod agents/coder", False),
        ("pod agents/*", False),
        ("Deployment agents/*", False),
    ],
)
def test_subject_is_a_pattern_over_what_the_report_prints(pattern, hit):
    marked, _states, _verdicts = outcome([finding()], suppression(subject=pattern))
    assert ("suppressed" in marked[0]) is hit


@pytest.mark.parametrize(("expires", "holds"), [("2026-11-21", False), ("2026-11-22", True), ("2026-11-23", True)])
def test_the_day_named_is_the_last_one(expires, holds):
    """An expired one no longer holds and is a finding itself."""
    marked, states, verdicts = outcome([finding()], suppression(expires=expires))
    assert ("suppressed" in marked[0]) is holds
    assert states == ["active" if holds else "expired"]
    assert (("warn", "suppression-expired") in verdicts) is not holds


def test_one_that_matches_nothing_is_a_finding():
    _marked, states, verdicts = outcome([finding(name="other")], suppression(subject="Pod agents/coder*"))
    assert (states, ("warn", "suppression-unused") in verdicts) == (["unused"], True)


def test_what_was_not_run_or_not_read_is_no_proof():
    """A selection of checks, or a list that could not be read, must not call for the removal of a suppression."""
    assert outcome([], suppression(), run=("a/c",))[1:] == (
        ["not-run"],
        {("pass", "suppression-expired"), ("skip", "suppression-unused")},
    )
    assert ("warn", "suppression-unused") not in outcome([], suppression(), complete=False)[2]


def test_the_longest_of_several_is_named():
    marked, states, _verdicts = outcome([finding()], suppression(), suppression(expires="2027-06-01", reason="later"))
    assert (marked[0]["suppressed"]["expires"], states) == ("2027-06-01", ["active", "active"])


def test_without_suppressions_nothing_is_said():
    assert outcome([finding()]) == ([finding()], [], set())


def test_a_secret_in_a_reason_is_not_repeated():
    """D6: a reason is foreign text too."""
    marked, rows = suppress([finding()], [suppression(reason=f"see {WEBHOOK}")], run={"a/b"}, today=TODAY)
    assert WEBHOOK not in str(marked) + str(rows)


@pytest.mark.parametrize("check", CHECKS, ids=[check.id for check in CHECKS])
def test_both_checks_have_their_page(check):
    assert f"\n## {check.id}\n" in manual()


def test_judging_puts_it_all_together(snapshot, expect):
    """Checks, suppressions and what the suppressions say themselves are one report, in its published shape."""
    snapshot.objects[("deployments", "agents")][0]["spec"]["template"]["spec"]["initContainers"][0]["resources"] = {}
    view, now = View(snapshot, expect), datetime.datetime(2026, 11, 22, 8, tzinfo=datetime.UTC)
    known = {check.id for check in ALL_CHECKS}
    entries = [
        {**GOOD, "id": "resources/limits", "subject": "Deployment agents/coder, *"},
        {**GOOD, "id": "probes/answers"},
        {**GOOD, "id": "resources/requests", "subject": "*", "expires": "2026-11-21"},
    ]
    items = parse_suppressions(inline_entries(enumerate(entries), "suppressions"), known)
    report = judge(view, ALL_CHECKS, items, fail_on="error", lenient=False, now=now)
    assert {item["id"] for item in report.findings if "suppressed" in item} == {"resources/limits"}
    assert {item["id"] for item in report.findings if item["verdict"] == "warn"} == {check.id for check in CHECKS}
    assert "resources/limits" not in {item["id"] for item in report.broken}
    assert "resources/requests" in {item["id"] for item in report.broken}
    assert (report.summary["suppressed"], report.about["time"]) == (1, "2026-11-22T08:00:00+00:00")
    assert report.titles["report/suppression-expired"] == "No suppression has expired"

# SPDX-License-Identifier: GPL-3.0-or-later
# SPDX-FileCopyrightText: 2026 The orchestrator.platform authors
#
# Private to this collection: names and behaviour may change in any release.
"""Prints of one list of findings: text, JSON, JUnit; _report_html.py has the page. Pure; the module writes them.

All of them, and the exit status, go by `breaks` of _findings.py.
"""

from __future__ import annotations

import itertools
import json
import re
import typing as t
from collections.abc import Mapping, Sequence
from xml.sax.saxutils import escape, quoteattr

from ansible_collections.orchestrator.platform.plugins.module_utils._findings import (
    Finding,
    breaks,
    show_subject,
    worst_first,
)
from ansible_collections.orchestrator.platform.plugins.module_utils._matrix import Row as Cell
from ansible_collections.orchestrator.platform.plugins.module_utils._measures import Arrival, Use
from ansible_collections.orchestrator.platform.plugins.module_utils._plain_text import plain_line
from ansible_collections.orchestrator.platform.plugins.module_utils._suppressions import Row
from ansible_collections.orchestrator.platform.plugins.module_utils._workloads import Json

SCHEMA = 1  # of findings.json; docs/report.schema.json describes it
MAX_LINES = 200  # of findings other than passes in the text; the JSON has them all
# XML 1.0 §2.2 has no place for these, not even escaped; foreign text may hold them.
_NOT_XML = re.compile("[^\t\n\r\u0020-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")


class Report(t.NamedTuple):
    """Everything the prints show."""

    findings: list[Finding]
    summary: dict[str, t.Any]
    fail_on: str
    suppressions: list[Row]
    matrix: list[Cell]
    usage: list[Use]
    delivery: list[Arrival]
    about: dict[str, Json]  # when, of what
    titles: Mapping[str, str]  # check id -> title
    matrix_unread: Sequence[str] = ()  # why the matrix may lack rows

    @property
    def broken(self) -> list[Finding]:
        """The findings that fail the run."""
        return breaks(self.findings, self.fail_on)


def show_counts(summary: dict[str, t.Any]) -> str:
    """`41 passed, 1 failed, 0 warned, 3 skipped`, and a word when something could not be looked at."""
    text = ", ".join(f"{summary[name]} {name}" for name in ("passed", "failed", "warned", "skipped"))
    if summary["suppressed"]:
        text += f", {summary['suppressed']} suppressed"
    return text if summary["complete"] else f"{text}; incomplete, not everything could be looked at"


# -- text ----------------------------------------------------------------------------------------------------------


def text_lines(report: Report) -> list[str]:
    """For people: what is wrong first, by check; then skipped and suppressed ones, a line a family, the totals."""
    summary = report.summary
    rest = [item for item in worst_first(report.findings) if item["verdict"] != "pass"]
    lines: list[str] = []
    for (_hidden, verdict, check), group in itertools.groupby(rest[:MAX_LINES], key=_group):
        lines += _group_lines(verdict, check, list(group))
    if len(rest) > MAX_LINES:
        lines.append(f"… and {len(rest) - MAX_LINES} more; findings.json has all of them")
    if lines:
        lines.append("")
    for family, counts in summary["by_family"].items():
        shown = ", ".join(f"{count} {name}" for name, count in counts.items() if count)
        lines.append(f"{family + ':':20} {shown}")
    # Names of users and groups are any text, and rules and reasons are the user's.
    return [plain_line(line) for line in (*lines, "", show_counts(summary))]


def _group(item: Finding) -> tuple[bool, str, str]:
    return "suppressed" in item, item["verdict"], item["id"]


def _group_lines(verdict: str, check: str, group: list[Finding]) -> list[str]:
    note = group[0].get("suppressed")
    word = "SUPPRESSED" if note else verdict.upper()
    lines = [f"{word:4}  {check}"]
    lines += [f"      {show_subject(item['subject'])}: {item['evidence']}" for item in group]
    if note:
        reasons = dict.fromkeys(
            f"until {item['suppressed']['expires']}: {item['suppressed']['reason']}" for item in group
        )
        return [*lines, *(f"      = {reason}" for reason in reasons)]
    return [*lines, *(f"      > {hint}" for hint in dict.fromkeys(item["hint"] for item in group) if hint)]


# -- JSON ----------------------------------------------------------------------------------------------------------


def as_json(report: Report) -> str:
    """For programs; docs/report.schema.json is the schema."""
    document = {
        "schema": SCHEMA,
        "about": report.about,
        "fail_on": report.fail_on,
        "failed": bool(report.broken),
        "summary": report.summary,
        "findings": list(worst_first(report.findings)),
        "suppressions": report.suppressions,
        "matrix": report.matrix,
        "matrix_unread": list(report.matrix_unread),
        "usage": report.usage,
        "delivery": report.delivery,
    }
    return json.dumps(document, indent=2, sort_keys=True) + "\n"


# -- JUnit ---------------------------------------------------------------------------------------------------------


def as_junit(report: Report) -> str:
    """For CI servers: a suite a family, a case a finding; a failure is what fails the run, no more and no less."""
    broken = {id(item) for item in report.broken}
    body = "".join(
        _suite(family, [item for item in report.findings if item["id"].startswith(family + "/")], broken)
        for family in report.summary["by_family"]
    )
    head = f'<testsuites name="verification" {_counts(report.findings, broken)}>'
    return f'<?xml version="1.0" encoding="utf-8"?>\n{head}\n{body}</testsuites>\n'


def _counts(findings: list[Finding], broken: set[int]) -> str:
    failures = sum(id(item) in broken for item in findings)
    skipped = sum(_is_skipped(item) for item in findings)
    return f'tests="{len(findings)}" failures="{failures}" skipped="{skipped}"'


def _is_skipped(item: Finding) -> bool:
    return item["verdict"] == "skip" or "suppressed" in item


def _suite(family: str, findings: list[Finding], broken: set[int]) -> str:
    cases = "".join(_case(item, failed=id(item) in broken) for item in worst_first(findings))
    return f"  <testsuite name={_attribute(family)} {_counts(findings, broken)}>\n{cases}  </testsuite>\n"


def _case(item: Finding, *, failed: bool) -> str:
    head = f"    <testcase classname={_attribute(item['id'])} name={_attribute(show_subject(item['subject']))}"
    evidence = item["evidence"]
    if failed:
        inner = f"<failure message={_attribute(evidence)}>{_text(item['hint'])}</failure>"
    elif "suppressed" in item:
        note = item["suppressed"]
        why = f"suppressed until {note['expires']}: {note['reason']}: {evidence}"
        inner = f"<skipped message={_attribute(why)}/>"
    elif item["verdict"] == "skip":
        inner = f"<skipped message={_attribute(evidence)}/>"
    elif item["verdict"] in ("fail", "warn"):
        word = "warning" if item["verdict"] == "warn" else "failed, and does not fail the run"
        inner = f"<system-out>{word}: {_text(evidence)} {_text(item['hint'])}</system-out>"
    else:
        return head + "/>\n"
    return f"{head}>{inner}</testcase>\n"


def _text(text: str) -> str:
    return escape(_NOT_XML.sub("\ufffd", text))


def _attribute(text: str) -> str:
    return quoteattr(_NOT_XML.sub("\ufffd", text))

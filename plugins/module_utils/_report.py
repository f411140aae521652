# SPDX-License-Identifier: GPL-3.0-or-later
# SPDX-FileCopyrightText: 2026 The orchestrator.platform authors
#
# Private to this collection: names and behaviour may change in any release.
"""Prints of one list of findings: text, JSON, JUnit. Pure; the module writes them."""

from __future__ import annotations

import json
import typing as t
from xml.sax.saxutils import escape, quoteattr

from ansible_collections.orchestrator.platform.plugins.module_utils._findings import Finding, Subject, worst_first

SCHEMA = 1
MAX_LINES = 200  # of findings other than passes in the text; the JSON has them all


def show_subject(who: Subject) -> str:
    """`Deployment agents/coder, container discord-watcher`."""
    place = "/".join(part for part in (who["namespace"], who["name"]) if part)
    if who["kind"] == "Namespace":
        place = who["name"]
    text = f"{who['kind']} {place}".strip()
    return f"{text}, container {who['container']}" if who["container"] else text


def show_counts(summary: dict[str, t.Any]) -> str:
    """`41 passed, 1 failed, 0 warned, 3 skipped`, and a word when something could not be read."""
    text = ", ".join(f"{summary[name]} {name}" for name in ("passed", "failed", "warned", "skipped"))
    return text if summary["complete"] else f"{text}; incomplete, some things could not be read"


def text_lines(findings: list[Finding], summary: dict[str, t.Any]) -> list[str]:
    """For people: what is wrong first, then what was skipped, then a line a family, then the totals."""
    rest = [item for item in worst_first(findings) if item["verdict"] != "pass"]
    lines: list[str] = []
    for item in rest[:MAX_LINES]:
        lines.append(f"{item['verdict'].upper():4}  {item['id']}  {show_subject(item['subject'])}: {item['evidence']}")
        if item["hint"]:
            lines.append(f"      {item['hint']}")
    if len(rest) > MAX_LINES:
        lines.append(f"… and {len(rest) - MAX_LINES} more; findings.json has all of them")
    if lines:
        lines.append("")
    for family, counts in summary["by_family"].items():
        shown = ", ".join(f"{count} {name}" for name, count in counts.items() if count)
        lines.append(f"{family + ':':20} {shown}")
    return [*lines, "", show_counts(summary)]


def as_json(findings: list[Finding], summary: dict[str, t.Any]) -> str:
    """For programs; the shape of a finding is in plugins/module_utils/_findings.py."""
    document = {"schema": SCHEMA, "summary": summary, "findings": list(worst_first(findings))}
    return json.dumps(document, indent=2, sort_keys=True) + "\n"


def as_junit(findings: list[Finding], summary: dict[str, t.Any]) -> str:
    """For CI servers: a suite a family, a case a finding; a warning is a case that passes and says so."""
    families = list(summary["by_family"])
    body = "".join(
        _suite(family, [item for item in findings if item["id"].startswith(family + "/")]) for family in families
    )
    counts = f'tests="{len(findings)}" failures="{_count(findings, "fail")}" skipped="{_count(findings, "skip")}"'
    return f'<?xml version="1.0" encoding="utf-8"?>\n<testsuites name="verification" {counts}>\n{body}</testsuites>\n'


def _count(findings: list[Finding], verdict: str) -> int:
    return sum(item["verdict"] == verdict for item in findings)


def _suite(family: str, findings: list[Finding]) -> str:
    counts = f'tests="{len(findings)}" failures="{_count(findings, "fail")}" skipped="{_count(findings, "skip")}"'
    cases = "".join(_case(item) for item in worst_first(findings))
    return f"  <testsuite name={quoteattr(family)} {counts}>\n{cases}  </testsuite>\n"


def _case(item: Finding) -> str:
    head = f"    <testcase classname={quoteattr(item['id'])} name={quoteattr(show_subject(item['subject']))}"
    if item["verdict"] == "fail":
        inner = f"<failure message={quoteattr(item['evidence'])}>{escape(item['hint'])}</failure>"
    elif item["verdict"] == "skip":
        inner = f"<skipped message={quoteattr(item['evidence'])}/>"
    elif item["verdict"] == "warn":
        inner = f"<system-out>warning: {escape(item['evidence'])} {escape(item['hint'])}</system-out>"
    else:
        return head + "/>\n"
    return f"{head}>{inner}</testcase>\n"

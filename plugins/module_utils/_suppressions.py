# SPDX-License-Identifier: GPL-3.0-or-later
# SPDX-FileCopyrightText: 2026 The orchestrator.platform authors
#
# Private to this collection: names and behaviour may change in any release.
"""Suppressions: findings the user has accepted for a stated reason and until a stated day. Pure.

A suppressed finding keeps its verdict and fails no run. A suppression that has expired no longer holds and is a finding
itself, and so is one that matches nothing any more.
"""

from __future__ import annotations

import datetime
import fnmatch
import typing as t
from collections.abc import Collection, Iterable

from ansible_collections.orchestrator.platform.plugins.module_utils._entries import Entry, demand
from ansible_collections.orchestrator.platform.plugins.module_utils._errors import PlatformError
from ansible_collections.orchestrator.platform.plugins.module_utils._findings import (
    Check,
    Finding,
    Result,
    failed,
    passed,
    show_subject,
    skipped,
    subject,
)
from ansible_collections.orchestrator.platform.plugins.module_utils._redact import redact_text

KEYS = ("id", "subject", "reason", "expires")


def _not_asked(_view: object, _namespace: str) -> Iterable[Result]:
    return ()


EXPIRED = Check(
    id="report/suppression-expired",
    title="No suppression has expired",
    severity="warning",
    scope="cluster",
    needs=(),
    protects="an exception that was meant for a while and stays for ever",
    decided="The day `expires` of each suppression, the last one on which it holds, is compared with today (UTC).",
    mend="Mend what the suppression was for and remove it, or give it a new day and a reason that still holds.",
    decide=_not_asked,
)
UNUSED = Check(
    id="report/suppression-unused",
    title="Every suppression matches a finding",
    severity="warning",
    scope="cluster",
    needs=(),
    protects="an exception that outlives its cause and hides the next one, and a mistyped subject",
    decided="Each suppression of a check that was run has matched a finding that failed or warned.",
    mend="Remove the suppression, or correct its subject: it is compared with the subject as the report prints it.",
    decide=_not_asked,
)
CHECKS = (EXPIRED, UNUSED)


class Suppression(t.NamedTuple):
    """One accepted finding, or all whose subject the pattern matches."""

    id: str
    subject: str  # pattern over the printed subject, with * and ?
    reason: str
    expires: datetime.date  # the last day on which it holds
    place: str

    def matches(self, finding: Finding) -> bool:
        """Whether this finding is meant; only what failed or warned ever is."""
        return (
            finding["id"] == self.id
            and finding["verdict"] in ("fail", "warn")
            and fnmatch.fnmatchcase(show_subject(finding["subject"]), self.subject)
        )


class Row(t.TypedDict):
    """A suppression in the report; `state` is active, expired, unused or not-run."""

    id: str
    subject: str
    reason: str
    expires: str
    place: str
    state: str
    findings: int


def parse_suppressions(entries: Iterable[Entry], known_ids: Collection[str]) -> list[Suppression]:
    """The suppressions of these entries; raises PlatformError with one sentence and the place."""
    parsed = []
    for entry in entries:
        demand(entry, required=KEYS, optional=())
        values = entry.values
        if values["id"] not in known_ids:
            raise PlatformError(
                f"{entry.at('id')}: there is no check {values['id'][:80]}: "
                "docs/checks.md lists ours, and rules of your own have the ids you gave them."
            )
        if values["id"] in {item.id for item in CHECKS}:
            raise PlatformError(f"{entry.at('id')}: {values['id']} speaks of suppressions and cannot be suppressed.")
        parsed.append(Suppression(values["id"], values["subject"], values["reason"].strip(), _day(entry), entry.at()))
    return parsed


def _day(entry: Entry) -> datetime.date:
    text = entry.values["expires"].strip()
    try:
        return datetime.datetime.strptime(text, "%Y-%m-%d").replace(tzinfo=datetime.UTC).date()
    except ValueError as exc:
        raise PlatformError(
            f"{entry.at('expires')}: expires is {text[:40]!r}: a day as YYYY-MM-DD is expected."
        ) from exc


def suppress(
    findings: Iterable[Finding], suppressions: Iterable[Suppression], *, run: Collection[str], today: datetime.date
) -> tuple[list[Finding], list[Row]]:
    """The findings, marked where a suppression holds, and a row for each suppression; `run` are the ids that ran.

    Where several match, the one that holds longest is named.
    """
    marked = list(findings)
    rows = []
    for item in sorted(suppressions, key=lambda one: one.expires):
        matched = [number for number, finding in enumerate(marked) if item.matches(finding)]
        holds = item.expires >= today
        if holds:
            for number in matched:
                info = {"reason": redact_text(item.reason), "expires": item.expires.isoformat()}
                marked[number] = t.cast(Finding, {**marked[number], "suppressed": info})
        state = "active" if matched else "unused" if item.id in run else "not-run"
        rows.append(_row(item, state if holds else "expired", len(matched)))
    return marked, rows


def _row(item: Suppression, state: str, count: int) -> Row:
    return {
        "id": item.id,
        "subject": item.subject,
        "reason": redact_text(item.reason),
        "expires": item.expires.isoformat(),
        "place": item.place,
        "state": state,
        "findings": count,
    }


def checks_of_rows(rows: list[Row], *, complete: bool) -> tuple[Check, ...]:
    """Both checks as they stand for these rows, nothing without a suppression; to be run like any other.

    In a picture that is not `complete` a suppression without a match proves nothing.
    """
    if not rows:
        return ()

    def expired(_view: object, _namespace: str) -> Iterable[Result]:
        for row in rows:
            who = subject("Suppression", name=row["id"])
            if row["state"] == "expired":
                yield failed(
                    who, f"{row['place']}, for {row['subject']!r}: held until {row['expires']}: {row['reason']}"
                )
            else:
                yield passed(who)

    def unused(_view: object, _namespace: str) -> Iterable[Result]:
        for row in rows:
            who = subject("Suppression", name=row["id"])
            if row["state"] == "unused" and complete:
                yield failed(who, f"{row['place']}: no finding of {row['id']} has a subject like {row['subject']!r}")
            elif row["state"] == "unused":
                yield skipped(who, f"{row['place']}: something could not be read, so it may still match")
            elif row["state"] == "active":
                yield passed(who)
            else:
                yield skipped(who, f"{row['place']}: " + ("expired" if row["state"] == "expired" else "check not run"))

    return EXPIRED._replace(decide=expired), UNUSED._replace(decide=unused)

# SPDX-License-Identifier: GPL-3.0-or-later
# SPDX-FileCopyrightText: 2026 The orchestrator.platform authors
"""The status of a run: what to write so that it says what is so, and nothing when it says so already. Pure."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

from orchestrator.observe import Phase

if TYPE_CHECKING:
    from orchestrator.kube import Obj

PHASES = tuple(phase.value for phase in Phase)
FINAL = (Phase.SUCCEEDED.value, Phase.FAILED.value)
MONITORED, CLEANED_UP, DISRUPTED = "Monitored", "CleanedUp", "Disrupted"
# Reasons of a failure that ask for another try of the same attempt once their cause is gone: nothing was started.
NEVER_STARTED = ("FieldRefused",)


class Mark(NamedTuple):
    """A condition to be set."""

    type: str
    holds: bool
    reason: str
    sentence: str


def marks_of_phase(phase: Phase, reason: str, sentence: str, known: list[Obj]) -> list[Mark]:
    """The condition named after the phase (OR-360); those of other phases that stand as True no longer hold."""
    others = [c for c in known if c["type"] in PHASES and c["type"] != phase.value and c["status"] == "True"]
    return [Mark(c["type"], holds=False, reason=reason, sentence=sentence) for c in others] + [
        Mark(phase.value, holds=True, reason=reason, sentence=sentence)
    ]


def with_marks(known: list[Obj], marks: list[Mark], now: str) -> list[Obj]:
    """The conditions with the marks set; the time of a condition changes with its status only."""
    found = {c["type"]: c for c in known}
    for mark in marks:
        status = "True" if mark.holds else "False"
        before = found.get(mark.type) or {}
        since = (
            before["lastTransitionTime"] if before.get("status") == status and before.get("lastTransitionTime") else now
        )
        found[mark.type] = {
            "type": mark.type, "status": status, "lastTransitionTime": since,
            "reason": mark.reason, "message": mark.sentence,
        }  # fmt: skip
    return list(found.values())


def advance(
    status: Obj, now: str, *, phase: Phase | None, marks: list[Mark], fields: dict[str, Any]
) -> dict[str, Any] | None:
    """The merge patch of the status, None when it says all that already. A field None is taken out."""
    known = status.get("conditions") or []
    conditions = with_marks(known, marks, now)
    wanted: dict[str, Any] = dict(fields)
    if phase is not None:
        wanted["phase"] = phase.value
        wanted["message"] = next(m.sentence for m in marks if m.type == phase.value)
    patch = {key: value for key, value in wanted.items() if status.get(key) != value}
    if conditions != known:
        patch["conditions"] = conditions
    if phase is not None and status.get("phase") != phase.value:
        patch["lastUpdate"] = now
    return patch or None


def is_final(status: Obj) -> bool:
    """Whether the attempt has ended; `workCompleted` alone says so too (OR-360, OR-A23)."""
    return status.get("phase") in FINAL or status.get("workCompleted") is True


def reason_of(status: Obj, kind: str) -> str:
    """The reason of a condition that holds, else an empty text."""
    return next(
        (c.get("reason", "") for c in status.get("conditions") or [] if c["type"] == kind and c["status"] == "True"), ""
    )


def sentence_of(status: Obj, kind: str) -> str:
    """The sentence of a condition that holds, else an empty text."""
    found = (c for c in status.get("conditions") or [] if c["type"] == kind and c["status"] == "True")
    return str(next((c.get("message", "") for c in found), ""))

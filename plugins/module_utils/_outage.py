# SPDX-License-Identifier: GPL-3.0-or-later
# SPDX-FileCopyrightText: 2026 The orchestrator.platform authors
#
# Private to this collection: names and behaviour may change in any release.
"""How long a service did not answer, from a row of answers with their times. Pure."""

from __future__ import annotations

import typing as t
from collections.abc import Iterable


class Tick(t.NamedTuple):
    """One question: when it was asked, in seconds of any clock, and whether anything answered."""

    at_s: float
    answered: bool


class Outage(t.NamedTuple):
    """What was seen; an outage lasts from the first question without answer to the next one with an answer."""

    probes: int
    failed: int
    total_s: float
    longest_s: float
    over: bool  # whether the last question was answered


def outage_of(ticks: Iterable[Tick]) -> Outage:
    """Sum up; questions before the first answer do not count, since nothing was there to be lost."""
    probes = failed = 0
    gaps: list[float] = []
    since: float | None = None
    answered_before = over = False
    for tick in ticks:
        probes += 1
        over = tick.answered
        if tick.answered:
            answered_before = True
            if since is not None:
                gaps.append(tick.at_s - since)
                since = None
            continue
        if answered_before:
            failed += 1
            since = tick.at_s if since is None else since
    return Outage(probes, failed, round(sum(gaps), 2), round(max(gaps, default=0.0), 2), over)

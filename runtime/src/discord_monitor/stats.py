# SPDX-License-Identifier: GPL-3.0-or-later
# SPDX-FileCopyrightText: 2026 The orchestrator.platform authors
"""Running figures per session: tokens, cost, tool uses, errors. Pure values; the ledger keeps the latest of each."""

from __future__ import annotations

from datetime import datetime
from typing import TYPE_CHECKING, NamedTuple

from discord_monitor.parsing import Kind
from discord_monitor.pricing import Prices

if TYPE_CHECKING:
    from collections.abc import Mapping

    from discord_monitor.parsing import Row, Usage

MAX_SESSIONS = 64  # sessions whose figures are kept; the one unused longest goes first (arbitrary)


class Stats(NamedTuple):
    """Sums of one session, or of all."""

    input_tokens: int = 0
    output_tokens: int = 0
    cache_creation_tokens: int = 0
    cache_read_tokens: int = 0
    tool_uses: int = 0
    errors: int = 0
    nano_dollars: int = 0
    began_s: int = 0  # of the first and the last row with a timestamp, seconds since 1970; 0: none had one
    ended_s: int = 0

    @property
    def cost(self) -> float:
        """Estimated dollars."""
        return self.nano_dollars / 1e9

    def plus(self, usage: Usage | None, *, tool_uses: int, errors: int, nano_dollars: int, at_s: int) -> Stats:
        """These sums and one row more."""
        return Stats(
            self.input_tokens + (usage.input_tokens if usage else 0),
            self.output_tokens + (usage.output_tokens if usage else 0),
            self.cache_creation_tokens + (usage.cache_creation_tokens if usage else 0),
            self.cache_read_tokens + (usage.cache_read_tokens if usage else 0),
            self.tool_uses + tool_uses,
            self.errors + errors,
            self.nano_dollars + nano_dollars,
            min(self.began_s or at_s, at_s or self.began_s),
            max(self.ended_s, at_s),
        )


class Ledger:
    """The sums of the last sessions and of everything this process has seen."""

    def __init__(self, sessions: Mapping[str, Stats] | None = None, *, prices: Prices | None = None) -> None:
        self._prices = prices or Prices()
        self.sessions: dict[str, Stats] = dict(sessions or {})
        self.total = Stats()

    def add(self, session: str, row: Row, *, usage: Usage | None) -> Stats:
        """Count a row; `usage` is None when its message was counted before. Returns the session's sums with it."""
        uses = sum(1 for event in row.events if event.kind is Kind.TOOL_USE)
        errors = sum(1 for event in row.events if event.kind is Kind.TOOL_RESULT and event.stderr.strip())
        before = self.sessions.pop(session, Stats())
        price = self._prices.nano_dollars(usage, row.model) if usage else 0
        at_s = int(epoch_s(row.timestamp) or 0)
        after = before.plus(usage, tool_uses=uses, errors=errors, nano_dollars=price, at_s=at_s)
        remember(self.sessions, session, after)
        self.total = self.total.plus(usage, tool_uses=uses, errors=errors, nano_dollars=price, at_s=at_s)
        return after

    def latest(self, session: str) -> Stats:
        """The session's sums so far; nothing is counted."""
        return self.sessions.get(session, Stats())


def epoch_s(timestamp: str) -> float | None:
    """Seconds since 1970 of a row's timestamp; None when it has none that makes sense."""
    if not timestamp:
        return None
    try:
        return datetime.fromisoformat(timestamp).timestamp()
    except (ValueError, OverflowError):
        return None


def remember(sessions: dict[str, Stats], session: str, stats: Stats) -> None:
    """Set the sums of a session and forget the one unused longest when there are too many."""
    sessions.pop(session, None)
    sessions[session] = stats
    if len(sessions) > MAX_SESSIONS:
        del sessions[next(iter(sessions))]

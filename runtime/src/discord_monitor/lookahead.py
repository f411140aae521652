# SPDX-License-Identifier: GPL-3.0-or-later
# SPDX-FileCopyrightText: 2026 The orchestrator.platform authors
"""What stands in the part of a transcript that is not yet handed over: how many rows, and where the urgent ones are.

Knows bytes, and keeps places instead of rows: a backlog of any size takes a few kilobytes.
"""

from __future__ import annotations

from collections import deque

from discord_monitor.rows import RowSplitter
from discord_monitor.sifting import may_be_urgent

MAX_FOUND = 256  # places kept; the scout waits there until some are used (arbitrary)


class Scout:
    """Goes through one file ahead of its reader. `at` is the next byte it wants."""

    def __init__(self, at: int) -> None:
        self.origin = at  # a row's begin; rows are counted from here on
        self.rows = 0  # complete rows from `origin` on, less those that `passed` has taken off
        self.found: deque[tuple[int, int]] = deque()  # begin and end of rows that may be urgent, in their order
        self._splitter = RowSplitter(at, _may_wait)

    @property
    def at(self) -> int:
        """The next byte to feed."""
        return self._splitter.next_byte

    @property
    def is_full(self) -> bool:
        """Whether it has to wait."""
        return len(self.found) >= MAX_FOUND

    def feed(self, chunk: bytes) -> None:
        """The bytes from `at` on."""
        for row in self._splitter.feed(chunk):
            self.rows += row.dull or 1
            if not (row.dull or row.oversize):
                self.found.append((row.start, row.end))

    def passed(self, start: int, rows: int) -> None:
        """So many rows, the first of which begins at `start`, are handed over."""
        if start >= self.origin:
            self.rows = max(0, self.rows - rows)


def _may_wait(row: bytes) -> bool:
    """Whether a row is surely not urgent. Empty lines are no rows, here as in the reader."""
    return not may_be_urgent(row) and bool(row) and not row.isspace()

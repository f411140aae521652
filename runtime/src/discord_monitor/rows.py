# SPDX-License-Identifier: GPL-3.0-or-later
# SPDX-FileCopyrightText: 2026 The orchestrator.platform authors
"""Complete lines out of a stream of bytes. Pure; knows nothing of files or of what a line says."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Callable

MAX_ROW_BYTES = 1024 * 1024  # longer rows are known by their head only; real ones of 95 MB were seen
HEAD_BYTES = 8 * 1024
LINE_FEED = 10


class RawRow(NamedTuple):
    """One line without its line feed, and where it stands. Of an oversize row only the head is kept."""

    start: int
    end: int
    data: bytes
    oversize: bool = False
    last: int = LINE_FEED  # its last byte: a line feed but for the last row of a file, at its agent's end
    dull: int = 0  # rows that need no look, as one without data; their number


class RowSplitter:
    """Cuts a stream of bytes into complete lines, whatever the chunks; `next_byte` is where the next chunk begins.

    Neighbours that are dull come out as one row, so that passing them costs next to nothing.
    """

    def __init__(self, at: int, is_dull: Callable[[bytes], bool]) -> None:
        self.next_byte = at
        self._is_dull = is_dull
        self._row_start = at
        self._rest = b""
        self._oversize = False
        self._dropped = 0  # bytes of an oversize row that were read and not kept

    def feed(self, chunk: bytes) -> list[RawRow]:
        """The lines that the chunk completes. Empty lines are left out."""
        self.next_byte += len(chunk)
        *lines, rest = chunk.split(b"\n")
        rows: list[RawRow] = []
        is_dull = self._is_dull
        for number, line in enumerate(lines):
            if number == 0:
                row = self._complete(line)
            else:
                start = self._row_start
                self._row_start = end = start + len(line) + 1
                row = RawRow(start, end, line, len(line) > MAX_ROW_BYTES)
            if row.oversize:
                rows.append(row._replace(data=row.data[:HEAD_BYTES]))
            elif is_dull(row.data):
                if rows and rows[-1].dull:
                    rows[-1] = rows[-1]._replace(end=row.end, dull=rows[-1].dull + 1)
                else:
                    rows.append(RawRow(row.start, row.end, b"", dull=1))
            elif row.data.strip():
                rows.append(row)
        self._keep(rest)
        return rows

    def unfinished(self) -> RawRow | None:
        """The bytes after the last line feed, if there are any."""
        if not self._rest.strip():
            return None
        return RawRow(
            self._row_start, self.next_byte, self._rest, self._oversize, -1 if self._oversize else self._rest[-1]
        )

    def _complete(self, line: bytes) -> RawRow:
        whole = self._rest if self._oversize else self._rest + line
        oversize = self._oversize or len(whole) > MAX_ROW_BYTES
        end = self._row_start + self._held + len(line) + 1
        row = RawRow(self._row_start, end, whole, oversize)
        self._row_start, self._rest, self._oversize = end, b"", False
        self._dropped = 0
        return row

    def _keep(self, rest: bytes) -> None:
        if self._oversize:
            self._dropped += len(rest)
            return
        self._rest += rest
        if len(self._rest) > MAX_ROW_BYTES:
            self._dropped = len(self._rest) - HEAD_BYTES
            self._rest, self._oversize = self._rest[:HEAD_BYTES], True

    @property
    def _held(self) -> int:
        """Bytes of the unfinished row seen so far."""
        return len(self._rest) + self._dropped

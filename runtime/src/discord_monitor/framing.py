# SPDX-License-Identifier: GPL-3.0-or-later
# SPDX-FileCopyrightText: 2026 The orchestrator.platform authors
"""How a text becomes one line of the agent's input. Pure."""

from __future__ import annotations

MAX_LINE_BYTES = 4096  # PIPE_BUF on Linux: up to here a write is atomic (pipe(7))


def framed(text: str) -> bytes:
    """A message as one line with its line feed; empty when nothing is left of it."""
    one_line = " ".join(part for part in (part.strip() for part in text.splitlines()) if part)
    visible = "".join(c for c in one_line if c == "\t" or (c >= " " and not "\x7f" <= c <= "\x9f"))
    line = visible.strip().encode("utf-8", "replace")
    return line + b"\n" if line else b""

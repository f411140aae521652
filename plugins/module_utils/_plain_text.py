# SPDX-License-Identifier: GPL-3.0-or-later
# SPDX-FileCopyrightText: 2026 The orchestrator.platform authors
#
# Private to this collection: names and behaviour may change in any release.
"""Foreign text as a terminal may be given it: nothing in it moves the cursor, colours or turns the line round. Pure."""

from __future__ import annotations

import re

MARK = "\ufffd"
# C0 and C1 with DEL, since a terminal obeys them; the marks of direction and the two separators of Unicode 16, chapter
# 23.2, since they make a line read as another one.
_COMMANDS = "\x00-\x08\x0b-\x1f\x7f-\x9f\u061c\u200e\u200f\u2028\u2029\u202a-\u202e\u2066-\u2069"
_IN_LINES = re.compile(f"[{_COMMANDS}]")
_ON_A_LINE = re.compile(f"[\t\n{_COMMANDS}]")


def plain_lines(text: str) -> str:
    """The text with a mark for every such character; its lines and tabs stay, and a CR before a line's end goes."""
    return _IN_LINES.sub(MARK, text.replace("\r\n", "\n"))


def plain_line(text: str) -> str:
    """The same on one line."""
    return _ON_A_LINE.sub(lambda match: " " if match[0] in "\t\n\r" else MARK, text)

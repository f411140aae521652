# SPDX-License-Identifier: GPL-3.0-or-later
# SPDX-FileCopyrightText: 2026 The orchestrator.platform authors
"""Which rows need no parsing, told from their bytes. Pure.

Most bytes of a transcript are files that a tool has read or changed, and reports of progress: they show nothing, count
nothing, and parsing them is most of the work. A row that is not surely of such a shape is parsed.

Quotes inside a JSON text are escaped. So `"name"` without a backslash stands in a row only as a whole key or text.
"""

from __future__ import annotations

import re

from discord_monitor.parsing import ASKING_TOOLS, REQUEST_SUBTYPE, SILENT_TYPES

MAX_ENVELOPE_BYTES = 1_000  # the row's own type is sought so far; agents write 400 bytes at most before it
_TYPE = b'"type":"'
_TELLING = (b'"stdout"', b'"stderr"', b'"interrupted"', b'"tool_result"')
_SILENT = frozenset(name.encode() for name in SILENT_TYPES)
_URGENT = re.compile(
    rb'"(?:is_error"\s*:\s*true|stderr"\s*:\s*"[^"]|interrupted"\s*:\s*true|level"\s*:\s*"error"'
    + rf'|subtype"\s*:\s*"{REQUEST_SUBTYPE}"|name"\s*:\s*"(?:{"|".join(sorted(ASKING_TOOLS))})")'.encode()
)


def is_silent(row: bytes) -> bool:
    """Whether a row is of a type that nothing is shown or counted of, in parity mode neither."""
    return _own_type(row) in _SILENT


def is_dull(row: bytes) -> bool:
    """The same while filters are on: also the successful result of a tool that has no standard output."""
    own_type = _own_type(row)
    return own_type in _SILENT or (own_type == b"user" and _is_plain_result(row))


def may_be_urgent(row: bytes) -> bool:
    """Whether a row is worth parsing in search of an error or of a request to a person."""
    return _URGENT.search(row) is not None


def _own_type(row: bytes) -> bytes:
    """The row's type; empty when what was found may belong to something inside the row."""
    at = row.find(_TYPE, 0, MAX_ENVELOPE_BYTES)
    if at < 0 or row.find(b"{", 1, at) > 0:
        return b""
    begin = at + len(_TYPE)
    return row[begin : row.find(b'"', begin, begin + 40)]


def _is_plain_result(row: bytes) -> bool:
    """One result, no error, and an outcome that is an object without anything a terminal would print."""
    block = row.find(b'"tool_result"', 0, 2 * MAX_ENVELOPE_BYTES)
    outcome = row.find(b'"toolUseResult":{', block)
    if block < 0 or outcome < 0 or row.find(b'"tool_result"', block + 1, outcome) > 0:
        return False
    flag = row.rfind(b'"is_error"', 0, outcome)
    if flag > 0 and not row.startswith(b'"is_error":false', flag):
        return False
    # The last one: a further result, should what was found as the outcome lie inside the first one.
    return not any(row.find(name, outcome) > 0 for name in _TELLING)

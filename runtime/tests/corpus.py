# SPDX-License-Identifier: GPL-3.0-or-later
# SPDX-FileCopyrightText: 2026 The orchestrator.platform authors
"""Every oddity of transcripts that users of other readers have met, each as a writer of bytes and what has to arrive.

The markers are texts "odd-<name>-<n>"; they arrive once each, in order.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, NamedTuple

from processes import row

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

MEBIBYTE = 1024 * 1024


class Oddity(NamedTuple):
    """`writes` are appended one after the other; between them the reader may look as often as it likes."""

    name: str
    writes: tuple[bytes, ...]
    markers: tuple[str, ...]


def line(content: object, *, end: bytes = b"\n", ascii_only: bool = False) -> bytes:
    """A row as an agent writes it."""
    return json.dumps(content, ensure_ascii=ascii_only, separators=(",", ":")).encode("utf-8", "surrogatepass") + end


def oddities() -> Iterator[Oddity]:
    """All of them, made anew: ids differ from call to call."""
    for name, make in _MAKERS.items():
        marks = tuple(f"odd-{name}-{number}" for number in range(3))
        yield Oddity(name, make(*marks), marks)


def _torn(a: str, b: str, c: str) -> tuple[bytes, ...]:
    data = line(row(f"{a} größe 🙂")) + line(row(b)) + line(row(c))
    cut = data.index("🙂".encode()) + 1
    return data[:cut], data[cut : cut + 1], data[cut + 1 : -1], data[-1:]


def _without_last_line_feed(a: str, b: str, c: str) -> tuple[bytes, ...]:
    return line(row(a)) + line(row(b), end=b""), b"\n" + line(row(c))


def _repeated(a: str, b: str, c: str) -> tuple[bytes, ...]:
    """A compaction appends old rows again, with their ids."""
    old = line(row(a)) + line(row(b))
    boundary = {"type": "system", "subtype": "compact_boundary", "content": "", "compactMetadata": {"trigger": "auto"}}
    return old, line(boundary) + old, old + line(row(c))


def _oversize(a: str, b: str, c: str) -> tuple[bytes, ...]:
    return line(row(a)), line(row(f"{b} " + "x" * 3 * MEBIBYTE)), line(row(c))


def _unknown(a: str, b: str, c: str) -> tuple[bytes, ...]:
    strange = [{"type": "of-the-future", "message": 7}, {"type": None}, {"no": "type"}, {"type": ["assistant"]}]
    return line(row(a)), b"".join(map(line, strange)) + line(row(b)), line({"type": "assistant"}) + line(row(c))


def _damaged(a: str, b: str, c: str) -> tuple[bytes, ...]:
    deep = b'{"type":' + b"[" * 100_000 + b"\n"
    return line(row(a)) + b"\x00\xff not json\n\n  \n", b'"text"\n[1]\n' + line(row(b)), deep + line(row(c))


def _surrogates(a: str, b: str, c: str) -> tuple[bytes, ...]:
    return tuple(line(row(f"{mark} \ud83d half"), ascii_only=True) for mark in (a, b, c))


def _windows(a: str, b: str, c: str) -> tuple[bytes, ...]:
    return tuple(line(row(mark), end=b"\r\n") for mark in (a, b, c))


def _string_contents(a: str, b: str, c: str) -> tuple[bytes, ...]:
    return tuple(line(row("", message={"content": content})) for content in (a, [b], [{"type": "text", "text": c}]))


def _wrong_types(a: str, b: str, c: str) -> tuple[bytes, ...]:
    usage = {"input_tokens": "many", "output_tokens": -5, "cache_read_input_tokens": 1e300}
    message = {"content": [{"type": "text", "text": a}], "usage": usage, "id": 5, "model": {}, "stop_reason": []}
    rows = [row("", message=message, timestamp=5), row(b, uuid=7, sessionId=[]), row(c, timestamp="yesterday")]
    return tuple(map(line, rows))


def _burst(a: str, b: str, c: str) -> tuple[bytes, ...]:
    progress = line({"type": "progress", "data": {"output": "." * 200}}) * 2_000
    return line(row(a)) + progress, progress + line(row(b)), progress + line(row(c))


def _spread(a: str, b: str, c: str) -> tuple[bytes, ...]:
    """One message of the model over rows that repeat its usage."""
    usage = {"input_tokens": 10, "output_tokens": 10}
    return tuple(
        line(row("", message={"id": "msg_odd", "usage": usage, "content": [{"type": "text", "text": mark}]}))
        for mark in (a, b, c)
    )


_MAKERS: dict[str, Callable[[str, str, str], tuple[bytes, ...]]] = {
    "torn": _torn, "no-line-feed": _without_last_line_feed, "repeated": _repeated, "oversize": _oversize,
    "unknown": _unknown, "damaged": _damaged, "surrogates": _surrogates, "windows": _windows,
    "string-contents": _string_contents, "wrong-types": _wrong_types, "burst": _burst, "spread": _spread,
}  # fmt: skip

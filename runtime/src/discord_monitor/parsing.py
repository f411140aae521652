# SPDX-License-Identifier: GPL-3.0-or-later
# SPDX-FileCopyrightText: 2026 The orchestrator.platform authors
"""One row of a transcript becomes events. Pure; knows nothing of files, filters or Discord.

The format is not documented by its maker and changes: unknown rows are tolerated and reported as such, every field may
be missing or of another type. Two generations are read: content blocks inside `message`, and the older flat rows
`tool_use`, `tool_result` and `thinking`.
"""

from __future__ import annotations

import json
import re
from enum import Enum
from typing import TYPE_CHECKING, Any, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

PROBE_TYPE = "discord-monitor-probe"
# A row of type system that a hook of the agent writes: transcripts themselves do not say that somebody is asked.
REQUEST_SUBTYPE = "permission_request"
ASKING_TOOLS = frozenset({"AskUserQuestion", "ExitPlanMode"})  # their use waits for a person's answer

# Rows that the agent's terminal does not show.
SILENT_TYPES = frozenset({
    "agent-name", "attachment", "custom-title", "file-history-snapshot", "last-prompt", "permission-mode", "pr-link",
    "progress", "queue-operation",
})  # fmt: skip


class Kind(Enum):
    """What an event is, as the filters and the rendering tell them apart."""

    USER = "user"
    ASSISTANT = "assistant"
    THINKING = "thinking"
    TOOL_USE = "tool_use"
    TOOL_RESULT = "tool_result"
    NOTICE = "notice"  # compaction, summaries, the agent's own system lines
    REQUEST = "request"  # the agent waits for a person
    OVERSIZE = "oversize"  # a row too long to be read whole; text is its head
    PROBE = "probe"


class Event(NamedTuple):
    """One thing that happened. For a tool result `stdout` is None when it has no standard output of its own."""

    kind: Kind
    text: str = ""
    tool: str = ""
    tool_input: Mapping[str, Any] = {}
    stdout: str | None = None
    stderr: str = ""
    is_error: bool = False


class Usage(NamedTuple):
    """Tokens of one message of the model."""

    input_tokens: int = 0
    output_tokens: int = 0
    cache_creation_tokens: int = 0
    cache_read_tokens: int = 0


class Row(NamedTuple):
    """A parsed row: envelope and events. `known` is false for a row type never seen."""

    type: str
    events: tuple[Event, ...] = ()
    known: bool = True
    uuid: str = ""
    timestamp: str = ""  # ISO 8601 as written, or empty
    session: str = ""
    agent: str = ""  # id of the subagent, or empty for the main conversation
    model: str = ""
    stop_reason: str = ""
    message_id: str = ""
    usage: Usage | None = None
    nonce: str = ""  # of a probe row
    expires: float = 0.0  # of a probe row, seconds since 1970


class ParseError(ValueError):
    """The row is not a JSON object. The text holds nothing of the row."""


_SCAN: Callable[[str, int], tuple[object, int]] = json.scanner.make_scanner(json.JSONDecoder())  # type: ignore[attr-defined]
_TIMESTAMP = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(?:\.\d{1,9})?(?:Z|[+-]\d\d:\d\d)")


def parse_row(data: bytes) -> Row:
    """Parse one complete line without its line feed. Raises ParseError, nothing else."""
    try:
        row = _decoded(data.decode("utf-8", "replace"))
    except (ValueError, RecursionError) as exc:
        raise ParseError(type(exc).__name__) from None
    if not isinstance(row, dict):
        raise ParseError("not a JSON object")
    get = row.get
    kind = _text(get("type"))
    message = get("message")
    events = _events(kind, row, message)
    parsed = Row(
        kind,
        tuple(events or ()),
        events is not None,
        _text(get("uuid")),
        _timestamp(get("timestamp")),
        _text(get("sessionId")) or _text(get("session_id")),
        _text(get("agentId")) or ("side" if get("isSidechain") is True else ""),
    )
    if kind == PROBE_TYPE:
        return parsed._replace(nonce=_text(get("nonce")), expires=_number(get("expires")))
    return _with_envelope(parsed, message) if isinstance(message, dict) else parsed


def _with_envelope(row: Row, message: Mapping[str, Any]) -> Row:
    usage = message.get("usage")
    return Row(
        *row[:7],
        _text(message.get("model")),
        _text(message.get("stop_reason")),
        _text(message.get("id")),
        _usage(usage) if isinstance(usage, dict) else None,
    )


def _decoded(text: str) -> object:
    """As json.loads; its two looks for white space alone take a tenth of the time of a row."""
    try:
        value, end = _SCAN(text, 0)
    except StopIteration:
        end = -1
    return value if end == len(text) else json.loads(text)


def parse_head(head: bytes) -> Row:
    """A row too long to be read whole: what its first bytes tell."""
    text = head.decode("utf-8", "replace")
    return Row(
        type=_first(r'"type"\s*:\s*"([\w-]{1,40})"', text) or "unknown",
        events=(Event(Kind.OVERSIZE, text=text),),
        uuid=_first(r'"uuid"\s*:\s*"([\w-]{1,64})"', text),
        timestamp=_timestamp(_first(r'"timestamp"\s*:\s*"([^"]{1,40})"', text)),
        session=_first(r'"session_?[iI]d"\s*:\s*"([\w-]{1,64})"', text),
    )


def _events(kind: str, row: Mapping[str, Any], message: object) -> list[Event] | None:
    """The events of a row; None when the type is unknown."""
    if kind in SILENT_TYPES or row.get("isMeta") is True:
        return []
    if kind in ("assistant", "user"):
        return _message_events(kind, row, message)
    if kind == "tool_use":
        return [_tool_use(row)]
    if kind == "tool_result":
        return [_tool_result(row, row.get("toolUseResult"))]
    if kind == "thinking":
        text = _text(row.get("thinking")) or _joined_text(_content(message)) or _joined_text(row.get("content"))
        return [Event(Kind.THINKING, text=text)] if text.strip() else []
    return _notice_events(kind, row, message)


def _notice_events(kind: str, row: Mapping[str, Any], message: object) -> list[Event] | None:
    if kind == "system":
        text = _text(row.get("content")) or _joined_text(_content(message)) or _text(row.get("subtype"))
        asks = row.get("subtype") == REQUEST_SUBTYPE
        notice = Event(Kind.REQUEST if asks else Kind.NOTICE, text=text, is_error=row.get("level") == "error")
        return [notice] if text.strip() else []
    if kind == "summary":
        text = _text(row.get("summary"))
        return [Event(Kind.NOTICE, text=text)] if text.strip() else []
    if kind == PROBE_TYPE:
        return [Event(Kind.PROBE, text=_text(row.get("nonce")))]
    return None


def _message_events(kind: str, row: Mapping[str, Any], message: object) -> list[Event]:
    spoken = Kind.ASSISTANT if kind == "assistant" else Kind.USER
    if row.get("isCompactSummary") is True:
        spoken = Kind.NOTICE
    content = _content(message)
    if isinstance(content, str):
        return [Event(spoken, text=content)] if content.strip() else []
    blocks = content if isinstance(content, list) else []
    outcome = row.get("toolUseResult")
    if not blocks:
        return [] if outcome is None else [_tool_result({}, outcome)]
    if len(blocks) > 1 and outcome is not None:
        results = sum(1 for block in blocks if isinstance(block, dict) and block.get("type") == "tool_result")
        outcome = outcome if results == 1 else None
    events = (_block_event(spoken, block, outcome) for block in blocks)
    return [event for event in events if event is not None]


def _block_event(spoken: Kind, block: object, outcome: object) -> Event | None:
    """The event of one content block; blocks of unknown type, and empty ones, give none."""
    if not isinstance(block, dict):
        return Event(spoken, block) if isinstance(block, str) and block.strip() else None
    kind = block.get("type")
    if kind in ("tool_use", "server_tool_use"):
        return _tool_use(block)
    if kind == "tool_result":
        return _tool_result(block, outcome)
    if kind == "text":
        text = _text(block.get("text"))
        return Event(spoken, text) if text.strip() else None
    if kind == "thinking":
        text = _text(block.get("thinking"))
        return Event(Kind.THINKING, text) if text.strip() else None
    return Event(spoken, "[image]") if kind == "image" else None


def _tool_use(block: Mapping[str, Any]) -> Event:
    given = block.get("input")
    return Event(
        Kind.TOOL_USE, tool=_text(block.get("name")) or "tool", tool_input=given if isinstance(given, dict) else {}
    )


def _tool_result(block: Mapping[str, Any], outcome: object) -> Event:
    """`outcome` is toolUseResult: an object with stdout and stderr, an object of another tool, a text, or nothing."""
    text = _joined_text(block.get("content"))
    failed = block.get("is_error") is True
    if isinstance(outcome, dict):
        stdout = outcome.get("stdout")
        stderr = _text(outcome.get("stderr"))
        if outcome.get("interrupted") is True:
            stderr = f"{stderr}\n[interrupted]".strip()
        has_stdout = isinstance(stdout, str)
        return Event(
            Kind.TOOL_RESULT, text=text or _text(stdout), stdout=stdout if has_stdout else None,
            stderr=stderr or (text if failed else ""), is_error=failed,
        )  # fmt: skip
    if isinstance(outcome, str):
        text = text or outcome
    if failed:
        return Event(Kind.TOOL_RESULT, text=text, stderr=text or "the tool failed without a text", is_error=True)
    return Event(Kind.TOOL_RESULT, text=text, stdout=text)


def _content(message: object) -> object:
    return message.get("content") if isinstance(message, dict) else message


def _joined_text(content: object) -> str:
    """The text of a content that is a text, a list of blocks, or something else (then empty)."""
    if isinstance(content, str):
        return content
    if not isinstance(content, list):
        return ""
    parts = [block if isinstance(block, str) else _block_text(block) for block in content]
    return "\n".join(part for part in parts if part)


def _block_text(block: object) -> str:
    if not isinstance(block, dict):
        return ""
    return "[image]" if block.get("type") == "image" else _text(block.get("text"))


def _usage(usage: Mapping[str, Any]) -> Usage:
    get = usage.get
    return Usage(
        _count(get("input_tokens")),
        _count(get("output_tokens")),
        _count(get("cache_creation_input_tokens")),
        _count(get("cache_read_input_tokens")),
    )


def _timestamp(value: object) -> str:
    return value if isinstance(value, str) and _TIMESTAMP.fullmatch(value) else ""


def _text(value: object) -> str:
    return value if isinstance(value, str) else ""


def _count(value: object) -> int:
    # The upper bound keeps a row written by mistake or malice from spoiling the sums for good.
    return value if isinstance(value, int) and not isinstance(value, bool) and 0 <= value < 10**10 else 0


def _number(value: object) -> float:
    return float(value) if isinstance(value, (int, float)) and abs(value) < 10**12 else 0.0


def _first(pattern: str, text: str) -> str:
    match = re.search(pattern, text)
    return match[1] if match else ""

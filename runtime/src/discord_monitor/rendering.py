# SPDX-License-Identifier: GPL-3.0-or-later
# SPDX-FileCopyrightText: 2026 The orchestrator.platform authors
"""Events become embeds. Pure: no filter, no file, no network; the redaction is handed in.

Every text is redacted before it is cut, so that no secret loses its recognisable end at a cut.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, NamedTuple

from discord_monitor.embeds import Embed, Field, cut, fitted
from discord_monitor.parsing import Kind
from discord_monitor.redaction import MAX_SECRET_CHARS

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from discord_monitor.parsing import Event, Row
    from discord_monitor.settings import Tracking
    from discord_monitor.stats import Stats

MAX_TEXT = 800
MAX_COMMAND = 500
# Parity mode shows a text whole up to four embeds of 3,500 characters; longer ones end with an ellipsis.
PIECE = 3_500
MAX_PIECES = 4

ORANGE, BLUE, RED, GREEN, GREY, YELLOW = 0xF39C12, 0x3498DB, 0xE74C3C, 0x27AE60, 0x95A5A6, 0xF1C40F

AHEAD = " · ahead of earlier events"

_SYMBOLS = {
    "Bash": "⚡", "Write": "📝", "Edit": "📝", "MultiEdit": "📝", "Read": "👁️", "Glob": "👁️", "Grep": "👁️",
    "WebSearch": "🔍", "WebFetch": "🔍",
}  # fmt: skip
# The argument of a tool that tells most, with the name of its field.
_ARGUMENTS = (("command", "Command"), ("file_path", "File"), ("notebook_path", "File"), ("pattern", "Pattern"),
              ("url", "URL"), ("query", "Query"), ("description", "Description"), ("path", "Path"))  # fmt: skip


class Context(NamedTuple):
    """What rendering needs to know besides the event."""

    redact: Callable[[str], str]
    tracking: Tracking
    parity_mode: bool


def render(event: Event, row: Row, stats: Stats, context: Context, *, ahead: bool = False) -> list[Embed]:
    """The embeds of one event, in order, each within Discord's limits. At least one; `ahead` of its turn says so."""
    if event.kind is Kind.TOOL_USE:
        embeds = [_tool_use(event, stats, context)]
    elif event.kind is Kind.TOOL_RESULT:
        embeds = [_tool_result(event, stats, context)]
    elif event.kind is Kind.ASSISTANT:
        embeds = _assistant(event, row, stats, context)
    elif event.kind is Kind.REQUEST:
        asked = _redacted(event.text, MAX_TEXT, context)
        embeds = [Embed(title="🙋 waits for a person", description=asked, color=YELLOW)]
    elif event.kind is Kind.OVERSIZE:
        embeds = [_oversize(event, row, context)]
    elif event.kind is Kind.PROBE:
        embeds = [Embed(title="probe", description=f"delivery probe {event.text}", color=GREY)]
    else:
        embeds = _spoken(event, context)
    footer = _footer(row, context) + (AHEAD if ahead else "")
    for embed in embeds:
        if footer:
            embed["footer"] = {"text": footer}
        if row.timestamp:
            embed["timestamp"] = row.timestamp
    return [fitted(embed) for embed in embeds]


def summary(session: str, stats: Stats, context: Context) -> Embed:
    """What a session came to, for its end."""
    rows = [("Duration", _duration(stats.ended_s - stats.began_s))] if stats.began_s else []
    rows.append(("Tool uses", str(stats.tool_uses)))
    if context.tracking.errors:
        rate = f" ({stats.errors / stats.tool_uses:.0%})" if stats.tool_uses else ""
        rows.append(("Errors", f"{stats.errors}{rate}"))
    if context.tracking.tokens:
        rows.append(("Tokens", f"{stats.input_tokens} in / {stats.output_tokens} out"))
        rows.append(("Cache tokens", f"{stats.cache_creation_tokens} written / {stats.cache_read_tokens} read"))
    if context.tracking.cost:
        rows.append(("Session cost", f"${stats.cost:.6f}"))
    fields: list[Field] = [{"name": name, "value": value, "inline": True} for name, value in rows]
    return fitted(
        Embed(
            title="🏁 session summary", description=context.redact(f"session {session[:8]}"), fields=fields, color=GREY
        )
    )


def _duration(seconds: int) -> str:
    """Hours, minutes and seconds as people write them; what is zero in front is left out."""
    minutes, second = divmod(max(0, seconds), 60)
    hours, minute = divmod(minutes, 60)
    if hours:
        return f"{hours} h {minute:02d} min"
    return f"{minute} min {second:02d} s" if minute else f"{second} s"


def _tool_use(event: Event, stats: Stats, context: Context) -> Embed:
    fields: list[Field] = []
    argument = _argument(event.tool_input)
    if argument is not None:
        name, text = argument
        shown = _redacted(text, MAX_COMMAND, context)
        fields.append({"name": name, "value": _fenced(shown) if name == "Command" else shown, "inline": False})
    elif event.tool_input:
        shown = _redacted(json.dumps(event.tool_input, ensure_ascii=False), MAX_COMMAND, context)
        fields.append({"name": "Input", "value": _fenced(shown), "inline": False})
    fields.append({"name": "Tool uses", "value": str(stats.tool_uses), "inline": True})
    title = f"{_SYMBOLS.get(event.tool, '🔧')} **{_redacted(event.tool, 100, context)}**"
    return Embed(description=title, fields=fields, color=ORANGE)


def _argument(given: Mapping[str, object]) -> tuple[str, str] | None:
    for key, name in _ARGUMENTS:
        value = given.get(key)
        if isinstance(value, str) and value.strip():
            return name, value
    return None


def _tool_result(event: Event, stats: Stats, context: Context) -> Embed:
    if event.stderr.strip() or event.is_error:
        embed = Embed(title="❌ error", description=_fenced(_redacted(event.stderr, MAX_TEXT, context)), color=RED)
        if event.stdout and event.stdout.strip():
            shown = _fenced(_redacted(event.stdout, MAX_TEXT, context))
            embed["fields"] = [{"name": "Output", "value": shown, "inline": False}]
        if context.tracking.errors:
            count: Field = {"name": "Errors", "value": str(stats.errors), "inline": True}
            embed["fields"] = [*embed.get("fields", []), count]
        return embed
    text = event.stdout if event.stdout is not None else event.text
    shown = _redacted(text, MAX_TEXT, context) if text.strip() else "(no output)"
    return Embed(title="📤 output", description=_fenced(shown), color=GREEN)


def _assistant(event: Event, row: Row, stats: Stats, context: Context) -> list[Embed]:
    embeds = [Embed(description=f"💭 {text}", color=BLUE) for text in _pieces(event.text, context)]
    fields: list[Field] = []
    if context.tracking.tokens and row.usage is not None:
        spent = f"{row.usage.input_tokens} in / {row.usage.output_tokens} out"
        fields.append({"name": "Tokens", "value": spent, "inline": True})
    if context.tracking.cost:
        fields.append({"name": "Session cost", "value": f"${stats.cost:.6f}", "inline": True})
    if row.model:
        fields.append({"name": "Model", "value": _redacted(row.model, 100, context), "inline": True})
    embeds[-1]["fields"] = fields
    return embeds


def _spoken(event: Event, context: Context) -> list[Embed]:
    """What is said by the user, thought by the model, or noted by the agent's program."""
    symbol = {Kind.USER: "👤", Kind.THINKING: "🧠"}.get(event.kind, "i")
    colour = RED if event.is_error else GREY
    return [Embed(description=f"{symbol} {text}", color=colour) for text in _pieces(event.text, context)]


def _oversize(event: Event, row: Row, context: Context) -> Embed:
    head = _fenced(_redacted(event.text, MAX_TEXT, context))
    return Embed(title=f"✂️ row too long to show ({row.type[:40]}), its head", description=head, color=GREY)


def _pieces(text: str, context: Context) -> list[str]:
    """The text in parts of at most PIECE characters; outside parity mode one part of MAX_TEXT."""
    if not context.parity_mode:
        return [_redacted(text, MAX_TEXT, context)]
    shown = _redacted(text, PIECE * MAX_PIECES, context)
    # Half the piece's characters when each of them takes two UTF-16 units.
    step = PIECE if shown.isascii() else PIECE // 2
    parts = [shown[at : at + step] for at in range(0, len(shown), step)]
    return [part for part in parts if part.strip()] or ["(empty)"]


def _footer(row: Row, context: Context) -> str:
    parts = [row.stop_reason[:40], f"session {row.session[:8]}" if row.session else ""]
    if row.agent:
        parts.append("subagent" if row.agent == "side" else f"subagent {row.agent[:40]}")
    return context.redact(" · ".join(part for part in parts if part))


def _redacted(text: str, limit: int, context: Context) -> str:
    return cut(context.redact(text[: limit + MAX_SECRET_CHARS]), limit)


def _fenced(text: str) -> str:
    """A code fence that its own content cannot end: a zero-width space breaks up fences inside."""
    return "```\n" + text.replace("```", "`\u200b`\u200b`").strip("\n") + "\n```"

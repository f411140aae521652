# SPDX-License-Identifier: GPL-3.0-or-later
# SPDX-FileCopyrightText: 2026 The orchestrator.platform authors
"""What people in a channel ask of the bot: `status`, `stop`, `say <text>`. Pure.

A command begins with the prefix or with a mention of the bot. Its fate stands in Discord, as the bot's own reaction to
it: that is all the memory a restarted bot needs.
"""

from __future__ import annotations

from enum import Enum
from typing import TYPE_CHECKING, Any, NamedTuple

from discord_monitor.framing import MAX_LINE_BYTES, framed

if TYPE_CHECKING:
    from collections.abc import Mapping

EPOCH_MS = 1_420_070_400_000  # a snowflake's upper bits are milliseconds since 2015 (developer docs, Snowflakes)


class Kind(Enum):
    """What is asked for."""

    STATUS = "status"
    STOP = "stop"
    SAY = "say"


class Mark(Enum):
    """What became of a command: the reaction that the bot puts to it, once, when nothing more will happen to it."""

    DONE = "\u2705"
    DENIED = "\U0001f6ab"  # by somebody who is not on the list
    UNKNOWN = "\u2753"
    REFUSED = "\u274c"  # empty, too long, or overtaken by a stop
    EXPIRED = "\u231b"  # nobody took it in time


class Rules(NamedTuple):
    """Who may ask, how a command begins, and how long one waits for its agent."""

    allowed: frozenset[str]
    prefix: str
    keep_s: float
    poll_s: float


class Command(NamedTuple):
    """One command for the agent of a channel."""

    id: str
    channel: str
    kind: Kind
    text: str = ""


def read_message(message: Mapping[str, Any], channel: str, rules: Rules, *, me: str) -> Command | Mark | None:
    """A command, the mark of one that is not carried out, or None for what is no open command at all."""
    author = message.get("author")
    if not isinstance(author, dict) or author.get("bot") is True or message.get("webhook_id"):
        return None
    asked = _asked(str(message.get("content") or ""), rules.prefix, me)
    if asked is None or _is_marked(message):
        return None
    if str(author.get("id")) not in rules.allowed:
        return Mark.DENIED
    word, text = (*asked.split(None, 1), "", "")[:2]
    try:
        kind = Kind(word.lower())
    except ValueError:
        return Mark.UNKNOWN
    if kind is Kind.SAY and not 0 < len(framed(text)) <= MAX_LINE_BYTES:
        return Mark.REFUSED
    return Command(str(message.get("id")), channel, kind, text if kind is Kind.SAY else "")


def is_hidden(message: Mapping[str, Any]) -> bool:
    """Whether a person wrote it and Discord shows us nothing of it: the bot lacks the message content intent."""
    author = message.get("author")
    by_person = isinstance(author, dict) and author.get("bot") is not True and not message.get("webhook_id")
    parts = ("content", "embeds", "attachments", "components", "sticker_items", "poll")
    return by_person and message.get("type", 0) in (0, 19) and not any(message.get(part) for part in parts)


def snowflake_at(epoch_s: float) -> str:
    """The lowest id of a message that was written at a time, in seconds since 1970."""
    return str(max(0, int(epoch_s * 1000) - EPOCH_MS) << 22)


def written_at(snowflake: str) -> float:
    """When a message was written, in seconds since 1970."""
    return ((int(snowflake) >> 22) + EPOCH_MS) / 1000


def _asked(content: str, prefix: str, me: str) -> str | None:
    """The text behind prefix or mention."""
    content = content.strip()
    for start in (prefix, f"<@{me}>", f"<@!{me}>"):
        if start and content.startswith(start):
            return content[len(start) :].strip()
    return None


def _is_marked(message: Mapping[str, Any]) -> bool:
    """Whether we have put one of our marks to it."""
    marks = {mark.value for mark in Mark}
    for reaction in message.get("reactions") or []:
        emoji = reaction.get("emoji") if isinstance(reaction, dict) else None
        if isinstance(emoji, dict) and reaction.get("me") is True and emoji.get("name") in marks:
            return True
    return False

# SPDX-License-Identifier: GPL-3.0-or-later
# SPDX-FileCopyrightText: 2026 The orchestrator.platform authors
"""Which of a channel's messages are past their keep. Pure.

Only what webhooks or the bot itself posted is ever deleted; what people wrote and what is pinned stays.
"""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

BULK_AGE = timedelta(days=13, hours=23)  # bulk deletion refuses messages of 14 days and more
BULK_MAX = 100


class Rule(NamedTuple):
    """Keep at most `max_messages` no older than `days`; 0 means no limit of that kind."""

    days: float
    max_messages: int


def expired(
    messages: Sequence[dict[str, Any]], rule: Rule, *, me: str, kept: int, now: datetime
) -> list[dict[str, Any]]:
    """The messages to delete out of some given newest first, when `kept` newer ones of ours are kept already."""
    out = []
    for message in messages:
        if not is_ours(message, me=me):
            continue
        written = written_at(message)
        too_old = bool(rule.days) and written is not None and now - written > timedelta(days=rule.days)
        if too_old or (rule.max_messages and kept >= rule.max_messages):
            out.append(message)
        else:
            kept += 1
    return out


def is_ours(message: dict[str, Any], *, me: str) -> bool:
    """Whether a webhook or the bot posted it and nobody pinned it."""
    author = message.get("author")
    by_bot = isinstance(author, dict) and bool(me) and author.get("id") == me
    return (bool(message.get("webhook_id")) or by_bot) and message.get("pinned") is not True


def written_at(message: dict[str, Any]) -> datetime | None:
    """When it was posted; None when that cannot be read."""
    try:
        written = datetime.fromisoformat(str(message.get("timestamp")))
    except ValueError:
        return None
    return written if written.tzinfo is not None else None


def deletions(messages: Sequence[dict[str, Any]], *, now: datetime) -> Iterator[list[str]]:
    """Ids grouped as Discord's calls take them: young ones in bulk, old ones one by one."""
    young: list[str] = []
    old: list[str] = []
    for message in messages:
        written = written_at(message)
        (young if written is not None and now - written < BULK_AGE else old).append(str(message.get("id")))
    for at in range(0, len(young), BULK_MAX):
        yield young[at : at + BULK_MAX]
    for single in old:
        yield [single]

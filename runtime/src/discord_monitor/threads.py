# SPDX-License-Identifier: GPL-3.0-or-later
# SPDX-FileCopyrightText: 2026 The orchestrator.platform authors
"""A thread for each session, as posts of a forum channel: which one a message goes to. Knows answers, no network.

A webhook can open threads in forum (and media) channels only. In any other channel Discord refuses the first attempt;
then all messages go to the channel itself, and health says why.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from discord_monitor.delivery import NO_FORUM, THREAD_ARCHIVED, THREAD_LOCKED, UNKNOWN_CHANNEL, Judged, Target
from discord_monitor.embeds import cut
from discord_monitor.stats import MAX_SESSIONS

if TYPE_CHECKING:
    from collections.abc import Mapping

MAX_THREAD_NAME = 100  # Discord's


class Threads:
    """The threads opened so far, by session; the one unused longest is forgotten first. Off: none is."""

    def __init__(self, opened: Mapping[str, str], *, on: bool, host: str) -> None:
        self.opened = dict(opened)
        self.problem = ""
        self._on = on
        self._host = host  # tells apart what several pods write into one forum

    def key(self, session: str) -> str:
        """What messages of a session have in common that no other message has: a message goes to one place.

        A session without an id is known by its file.
        """
        return session.rpartition("/")[2].removesuffix(".jsonl") if self._on else ""

    def target(self, key: str) -> Target:
        """Where the next message of a session goes; without a session the thread is the watcher's own."""
        if not self._on:
            return Target()
        thread_id = self.opened.get(key, "")
        if thread_id:
            return Target(thread_id=thread_id)
        about = f"session {key[:8]}" if key else "watcher"
        return Target(thread_name=cut(" · ".join(part for part in (self._host, about) if part), MAX_THREAD_NAME))

    def delivered(self, key: str, target: Target, judged: Judged) -> None:
        """A message went through: a thread that it opened is where the next ones go."""
        thread_id = judged.channel_id if target.thread_name else target.thread_id
        if thread_id:
            self.opened.pop(key, None)
            self.opened[key] = thread_id
            if len(self.opened) > MAX_SESSIONS:
                del self.opened[next(iter(self.opened))]

    def refused(self, key: str, target: Target, judged: Judged) -> bool:
        """A message did not go through; whether the next target is another one, worth an attempt at once."""
        if target.thread_id and judged.code in (UNKNOWN_CHANNEL, THREAD_ARCHIVED, THREAD_LOCKED):
            self.opened.pop(key, None)
            return True
        if target.thread_name and judged.code == NO_FORUM:
            self._on = False
            self.problem = "the webhook's channel is no forum: threads cannot be opened, all sessions go to the channel"
            return True
        return False

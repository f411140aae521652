# SPDX-License-Identifier: GPL-3.0-or-later
# SPDX-FileCopyrightText: 2026 The orchestrator.platform authors
"""The commands that wait for their agents, by channel, and who pulls them. Bounded; safe for several threads.

One pod at a time reads a channel's input: a second one is told so and not given every other message. A command is
handed out again and again until its reader says what became of it. Nothing is kept on disk: what waits here stands in
Discord without a mark, and a restarted bot reads it there.
"""

from __future__ import annotations

import threading
import time
from typing import TYPE_CHECKING, NamedTuple

from discord_monitor.commands import Command, Kind, written_at

if TYPE_CHECKING:
    from collections.abc import Callable

LEASE_S = 45.0  # a reader that is silent for longer has lost its place: four of its longest pauses
FORGET_S = 3600.0  # for as long a channel whose reader went away is still looked into, now and then
MAX_CHANNELS = 1000
MAX_WAITING = 50  # of one channel; further ones stay in Discord until there is room


class TakenError(Exception):
    """Another pod reads this channel's input; the text names it."""


class Seen(NamedTuple):
    """What is known of a channel."""

    reader: str  # empty: nobody reads now
    ready: bool
    silent_s: float
    waiting: int


class _Channel:
    def __init__(self) -> None:
        self.reader = ""
        self.ready = False
        self.seen_at = 0.0
        self.handed = ""  # id of the command that the reader has and has not answered
        self.waiting: list[Command] = []


class Inbox:
    """All channels that somebody pulls from. `now` is a monotonic clock in seconds."""

    def __init__(self, *, now: Callable[[], float] = time.monotonic) -> None:
        self._now = now
        self._changed = threading.Condition()
        self._channels: dict[str, _Channel] = {}

    # The reader's side.

    def take(self, channel: str, reader: str, *, ready: bool, wait_s: float) -> Command | None:
        """The oldest waiting command, after `wait_s` None. Raises TakenError when another pod reads the channel."""
        with self._changed:
            self._enter(channel, reader, ready=ready)
            deadline = self._now() + wait_s
            while not (ready and self._waiting_of(channel, reader)):
                left_s = deadline - self._now()
                if left_s <= 0:
                    return None
                self._changed.wait(left_s)
            place = self._channels[channel]
            place.handed = place.waiting[0].id
            return place.waiting[0]

    def finish(self, channel: str, reader: str, message_id: str) -> Command | None:
        """The reader has dealt with a command: it waits no longer. None when it did not wait for this reader."""
        with self._changed:
            place = self._channels.get(channel)
            if place is None or place.reader != reader:
                return None
            found = next((command for command in place.waiting if command.id == message_id), None)
            if found is not None:
                place.waiting.remove(found)
                place.handed = ""
            return found

    def leave(self, channel: str, reader: str) -> None:
        """The reader ends and makes room for the next one."""
        with self._changed:
            place = self._channels.get(channel)
            if place is not None and place.reader == reader:
                place.reader, place.ready, place.handed = "", False, ""

    # Discord's side.

    def put(self, command: Command) -> list[Command] | None:
        """Let a command wait; the commands that it overtakes for good, or None when there is no room.

        A stop goes ahead of what was to be said before it, and that is not said any more; but for a command that the
        reader may have written already.
        """
        with self._changed:
            place = self._channels.get(command.channel)
            if place is None or (len(place.waiting) >= MAX_WAITING and command.kind is not Kind.STOP):
                return None
            if any(command.id == other.id for other in place.waiting):
                return []
            overtaken = []
            if command.kind is Kind.STOP:
                overtaken = [other for other in place.waiting if other.id != place.handed]
                place.waiting = [other for other in place.waiting if other.id == place.handed]
            place.waiting.append(command)
            self._changed.notify_all()
            return overtaken

    def channels(self) -> dict[str, Seen]:
        """Every channel that is to be looked into; those nobody has read for long are forgotten."""
        with self._changed:
            for name, place in list(self._channels.items()):
                if self._now() - place.seen_at > FORGET_S:
                    del self._channels[name]
            return {name: self._seen(place) for name, place in self._channels.items()}

    def seen(self, channel: str) -> Seen:
        """What is known of one channel."""
        with self._changed:
            place = self._channels.get(channel)
            return self._seen(place) if place is not None else Seen("", ready=False, silent_s=FORGET_S, waiting=0)

    def expire(self, *, before: float) -> list[Command]:
        """Take out what was written before a time (seconds since 1970) and no living reader has in hand."""
        with self._changed:
            gone = []
            for place in self._channels.values():
                in_hand = place.handed if self._is_live(place) else ""
                late = [c for c in place.waiting if c.id != in_hand and written_at(c.id) < before]
                place.waiting = [c for c in place.waiting if c not in late]
                gone += late
            return gone

    def _enter(self, channel: str, reader: str, *, ready: bool) -> None:
        place = self._channels.get(channel)
        if place is None:
            if len(self._channels) >= MAX_CHANNELS:
                raise TakenError(f"the bot serves {MAX_CHANNELS} channels already")
            place = self._channels[channel] = _Channel()
        if place.reader not in ("", reader) and self._is_live(place):
            raise TakenError(f"pod {place.reader} reads this channel's input; give each agent a channel of its own")
        if place.reader != reader:
            place.handed = ""
        place.reader, place.ready, place.seen_at = reader, ready, self._now()

    def _waiting_of(self, channel: str, reader: str) -> list[Command]:
        """What waits, as long as the reader has its place."""
        place = self._channels.get(channel)
        return place.waiting if place is not None and place.reader == reader else []

    def _is_live(self, place: _Channel) -> bool:
        return bool(place.reader) and self._now() - place.seen_at <= LEASE_S

    def _seen(self, place: _Channel) -> Seen:
        reader = place.reader if self._is_live(place) else ""
        return Seen(reader, bool(reader) and place.ready, self._now() - place.seen_at, len(place.waiting))

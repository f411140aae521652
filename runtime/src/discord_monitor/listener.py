# SPDX-License-Identifier: GPL-3.0-or-later
# SPDX-FileCopyrightText: 2026 The orchestrator.platform authors
"""Reads commands out of Discord's channels and says there what became of them.

By REST, not over the gateway: that needs a websocket library and an event loop in an image that has neither, tells of
every message of the whole server, and loses what is said while it is down. Only channels whose agent pulls are read.
"""

from __future__ import annotations

import threading
import time
from collections import deque
from typing import TYPE_CHECKING, NamedTuple

from discord_monitor.commands import Command, Kind, Mark, Rules, is_hidden, read_message, snowflake_at
from discord_monitor.discord_api import PAGE, DiscordApi, DiscordError

if TYPE_CHECKING:
    from collections.abc import Callable

    from discord_monitor.inbox import Inbox, Seen
    from discord_monitor.lifecycle import Stop
    from discord_monitor.log import Log

TURN_S = 0.25  # how soon a mark follows what it marks
AWAY_FACTOR = 15  # a channel whose agent is away is read so many times less often: only its `status` is answered
FAILED_S = 60.0  # until a channel that could not be read is tried again
MAX_MARKS = 1000


class MarkToPut(NamedTuple):
    """A mark that Discord does not have yet."""

    channel: str
    message: str
    mark: Mark


class _Cursor:
    """How far a channel is read."""

    def __init__(self, after: str) -> None:
        self.after = after
        self.due_at = 0.0


class Listener:
    """The commands of all channels; `turn` belongs to one thread, the rest may be called from any."""

    def __init__(
        self, api: DiscordApi, inbox: Inbox, rules: Rules, *, me: Callable[[], str], stop: Stop, log: Log
    ) -> None:
        self._api = api
        self._inbox = inbox
        self._rules = rules
        self._me = me
        self._stop = stop
        self._log = log
        self._cursors: dict[str, _Cursor] = {}
        self._marks: deque[MarkToPut] = deque(maxlen=MAX_MARKS)
        self._lock = threading.Lock()
        self.reason = ""
        self.errors = 0
        self.by_mark = dict.fromkeys(Mark, 0)

    def mark(self, command: Command, mark: Mark) -> None:
        """Have a mark put to a command at the next turn."""
        self._note(command.channel, command.id, mark)

    def run(self) -> None:
        """Until the end is asked for; without a bot that Discord knows there is nothing to read."""
        while not self._stop.requested:
            try:
                if self._me():
                    self.turn()
            except Exception as exc:  # noqa: BLE001 - the border: one strange answer must not end all commands
                self.errors += 1
                self._log.crash("reading the channels failed", exc)
                self.reason = "reading the channels failed inside the bot; its log has the traceback"
                self._stop.wait(FAILED_S)
            self._stop.wait(TURN_S)

    def turn(self) -> None:
        """Put the marks that are due, and read the channels that are due."""
        for late in self._inbox.expire(before=time.time() - self._rules.keep_s):
            self.mark(late, Mark.EXPIRED)
        self._put_marks()
        known = self._inbox.channels()
        self._cursors = {channel: cursor for channel, cursor in self._cursors.items() if channel in known}
        for channel, seen in known.items():
            cursor = self._cursors.setdefault(channel, _Cursor(snowflake_at(time.time() - self._rules.keep_s)))
            if self._stop.requested:
                return
            if time.monotonic() >= cursor.due_at:
                self._read(channel, seen, cursor)

    def _read(self, channel: str, seen: Seen, cursor: _Cursor) -> None:
        pause_s = self._rules.poll_s * (1 if seen.reader else AWAY_FACTOR)
        try:
            page = self._api.messages(channel, after=cursor.after)
        except DiscordError as exc:
            self.errors += 1
            self.reason = str(exc)
            self._log.warning("a channel cannot be read", channel=channel, reason=self.reason)
            cursor.due_at = time.monotonic() + FAILED_S
            return
        self.reason = ""
        for message in sorted(page, key=lambda message: int(message.get("id") or 0)):
            if is_hidden(message):
                self.reason = "Discord hides the text of messages: mention the bot, or allow it the message content"
            found = read_message(message, channel, self._rules, me=self._me())
            if isinstance(found, Command) and not self._carry_out(found):
                break  # no room: the message is read again
            if isinstance(found, Mark):
                self._note(channel, str(message.get("id")), found)
            cursor.after = str(message.get("id"))
        cursor.due_at = time.monotonic() + (0.0 if len(page) == PAGE else pause_s)

    def _carry_out(self, command: Command) -> bool:
        """Whether it is dealt with or waits now."""
        if command.kind is Kind.STATUS:
            self._tell(command)
            return True
        overtaken = self._inbox.put(command)
        if overtaken is None:
            return False
        for other in overtaken:
            self.mark(other, Mark.REFUSED)
        self._log.info("a command waits", channel=command.channel, message=command.id, kind=command.kind.value)
        return True

    def _tell(self, command: Command) -> None:
        """Answer `status`."""
        answer = sentence_of(self._inbox.seen(command.channel))
        try:
            self._api.post_message(command.channel, answer, answer_to=command.id)
        except DiscordError as exc:
            self.errors += 1
            self._log.warning("a status cannot be posted", channel=command.channel, reason=str(exc))
            self.mark(command, Mark.REFUSED)
        else:
            self.mark(command, Mark.DONE)

    def _note(self, channel: str, message: str, mark: Mark) -> None:
        with self._lock:
            self._marks.append(MarkToPut(channel, message, mark))
            self.by_mark[mark] += 1

    def _put_marks(self) -> None:
        while not self._stop.requested:
            with self._lock:
                if not self._marks:
                    return
                due = self._marks[0]
            try:
                self._api.react(due.channel, due.message, due.mark.value)
            except DiscordError as exc:
                self.errors += 1
                self._log.warning("a command cannot be marked", channel=due.channel, reason=str(exc))
                if exc.status in (0, 401, 429) or exc.status >= 500:
                    return  # not its own fault: at a later turn
            with self._lock:
                if self._marks and self._marks[0] == due:
                    self._marks.popleft()


def sentence_of(seen: Seen) -> str:
    """The answer to `status`."""
    if not seen.reader:
        return f"No agent takes its input from this channel now. Waiting commands: {seen.waiting}."
    reads = "reads its input" if seen.ready else "does not read its input right now"
    return f"The agent in pod `{seen.reader}` {reads}. Waiting commands: {seen.waiting}."

# SPDX-License-Identifier: GPL-3.0-or-later
# SPDX-FileCopyrightText: 2026 The orchestrator.platform authors
"""The bridge's way from Discord: asks the bot for the next message, writes it, says so with the next question.

Outbound only: nothing listens for it. While the agent does not read, nothing is asked for and everything waits with the
bot. A message counts as done after it is in the FIFO, so one that was written just before a kill comes twice.
"""

from __future__ import annotations

import json
import random
import re
from collections import deque
from enum import Enum
from typing import TYPE_CHECKING, NamedTuple
from urllib.parse import urlsplit

from discord_monitor.fifo import Fifo, State, Written
from discord_monitor.framing import MAX_LINE_BYTES, framed
from discord_monitor.http_client import HttpClient, TransportError
from discord_monitor.settings import usable_token

if TYPE_CHECKING:
    from discord_monitor.lifecycle import Stop
    from discord_monitor.log import Log
    from discord_monitor.secret import Secret
    from discord_monitor.settings import Reader

PATH = "/v1/input/next"
HOLD_S = 10.0  # how long the bot may hold a question open
ANSWER_LIMIT_S = HOLD_S + 15.0
LAST_LIMIT_S = 2.0  # for the question that only says what is done, at the end
LOOK_S = 0.25  # how soon a reader that came is noticed
FIRST_PAUSE_S = 1.0
MAX_PAUSE_S = 60.0  # a credential that is refused does not get better sooner
REMEMBERED = 64  # ids of messages written, for those that the bot hands out again


class PullState(Enum):
    """What became of the last question."""

    UNTRIED = "untried"
    CONNECTED = "connected"
    REFUSED = "refused"  # by the bot, with a reason
    UNREACHABLE = "unreachable"


class PullSettings(NamedTuple):
    """Where to ask, and as whom."""

    url: str
    credential: Secret
    pod: str
    stop_line: str


class Puller:
    """One thread's work; `state` and `reason` may be read from others."""

    def __init__(self, settings: PullSettings, fifo: Fifo, *, stop: Stop, log: Log) -> None:
        self._settings = settings
        self._fifo = fifo
        self._stop = stop
        self._log = log
        self._client = HttpClient(settings.url, read_limit_s=ANSWER_LIMIT_S)
        self._written: deque[str] = deque(maxlen=REMEMBERED)
        self._done: dict[str, object] = {}
        self._failures = 0
        self.state = PullState.UNTRIED
        self.reason = ""
        self.messages = 0

    def run(self) -> None:
        """Until the end is asked for; then one question that leaves."""
        while not self._stop.requested:
            if self._wait_for_reader():
                message = self._ask(ready=True, hold_s=HOLD_S)
            else:
                message = self._ask(ready=False, hold_s=0.0)
            if message is not None and not self._stop.requested:
                self._hand_over(message)
        self._client = HttpClient(self._settings.url, read_limit_s=LAST_LIMIT_S)
        self._post({"ready": False, "leaving": True, **self._done})

    def end(self) -> None:
        """Have the question under way given up, from another thread and after the end was asked for."""
        self._client.abort()

    def _wait_for_reader(self) -> bool:
        """Whether the agent reads, after at most HOLD_S."""
        looks = int(HOLD_S / LOOK_S)
        while self._fifo.state is not State.READER and looks and not self._done and not self._stop.wait(LOOK_S):
            looks -= 1
        return self._fifo.state is State.READER

    def _ask(self, *, ready: bool, hold_s: float) -> dict[str, object] | None:
        """The next message, if one came."""
        answer = self._post({"ready": ready, "wait_seconds": hold_s, **self._done})
        if answer is None:
            if not self._stop.requested:
                self._failures += 1
                pause_s = min(FIRST_PAUSE_S * 2 ** min(self._failures - 1, 10), MAX_PAUSE_S)
                self._stop.wait(pause_s * random.uniform(0.5, 1.0))  # noqa: S311 - siblings must not ask in step
            return None
        self._failures = 0
        self._done = {}
        pause = answer.get("pause_seconds")
        if isinstance(pause, (int, float)) and 0 < pause <= MAX_PAUSE_S:
            self._stop.wait(pause)
        message = answer.get("message")
        return message if isinstance(message, dict) else None

    def _post(self, content: dict[str, object]) -> dict[str, object] | None:
        """One question; None when it was not answered as it should be."""
        body = json.dumps({"reader": self._settings.pod, **content}).encode()
        headers = {
            "Authorization": f"Bearer {self._settings.credential.reveal()}",
            "Content-Type": "application/json",
        }
        path = urlsplit(self._settings.url).path.rstrip("/") + PATH
        try:
            answer = self._client.request("POST", path, body=body, headers=headers)
        except TransportError as exc:
            if not self._stop.requested:
                self._say(PullState.UNREACHABLE, f"the bot cannot be reached: {exc}")
            return None
        try:
            found = json.loads(answer.body)
        except ValueError:
            found = None
        if answer.status != 200 or not isinstance(found, dict):
            reason = found.get("error") if isinstance(found, dict) else None
            self._say(PullState.REFUSED, f"the bot answers {answer.status}: {str(reason or 'no reason given')[:300]}")
            return None
        self._say(PullState.CONNECTED, "")
        return found

    def _hand_over(self, message: dict[str, object]) -> None:
        """Write one message; it stays with the bot when the agent does not take it."""
        identity = str(message.get("id") or "")
        text = self._settings.stop_line if message.get("kind") == "stop" else message.get("text")
        line = framed(text) if isinstance(text, str) else b""
        if identity in self._written:
            self._done = {"done": identity}
        elif not line or len(line) > MAX_LINE_BYTES:
            self._done = {"done": identity, "refused": True}
        elif self._fifo.write(line) is Written.DONE:
            self._written.append(identity)
            self._done = {"done": identity}
            self.messages += 1
            self._log.info("a message was handed over", message=identity, kind=str(message.get("kind")))

    def _say(self, state: PullState, reason: str) -> None:
        if (state, reason) != (self.state, self.reason):
            self.state, self.reason = state, reason
            write = self._log.info if state is PullState.CONNECTED else self._log.warning
            write("input from Discord", state=state.value, reason=reason)


def pull_settings(read: Reader) -> PullSettings | None:
    """BOT_URL, BOT_INPUT_CREDENTIAL and STOP_LINE; None when nothing is to be pulled, with the reason in `problems`."""
    url, raw = read.text("BOT_URL").rstrip("/"), read.text("BOT_INPUT_CREDENTIAL")
    if not url:
        return None
    if not re.fullmatch(r"https?://[A-Za-z0-9.\[\]:_-]+(/[\w./-]*)?", url):
        read.problems.append("BOT_URL is not an http or https URL; nothing is pulled from the bot")
        return None
    credential, problem = usable_token(raw, "BOT_INPUT_CREDENTIAL")
    if not credential:
        read.problems.append(f"{problem}; nothing is pulled from the bot: create the Secret and restart the pod")
        return None
    pod = read.text("HOSTNAME", "bridge").lower()
    return PullSettings(url, credential, pod, read.text("STOP_LINE", "/exit"))

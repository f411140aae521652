# SPDX-License-Identifier: GPL-3.0-or-later
# SPDX-FileCopyrightText: 2026 The orchestrator.platform authors
"""The route on which a bridge pulls the input of its agent: POST /v1/input/next, held open until there is something.

The channel is never named in a request. It stands in the credential, so nobody can ask for another one's.
"""

from __future__ import annotations

import json
import re
import threading
from typing import TYPE_CHECKING

from discord_monitor.commands import Mark
from discord_monitor.http_server import Reply, Request, as_json, bearer, sentence
from discord_monitor.inbox import Inbox, TakenError
from discord_monitor.input_credential import channel_of

if TYPE_CHECKING:
    from discord_monitor.listener import Listener
    from discord_monitor.secret import Secret

PATH = "/v1/input/next"
MAX_WAIT_S = 20.0
MAX_HELD = 64  # requests held open at once, each a thread; who comes on top is asked to come again
BUSY_PAUSE_S = 5.0
POD_NAME = re.compile(r"[a-z0-9]([-a-z0-9.]{0,251}[a-z0-9])?")


class InputApi:
    """Answers of one route. `off` says why there are no commands; empty when there are."""

    def __init__(self, inbox: Inbox, listener: Listener | None, key: Secret, *, off: str) -> None:
        self._inbox = inbox
        self._listener = listener
        self._key = key
        self._off = off
        self._free = threading.BoundedSemaphore(MAX_HELD)

    def answer(self, request: Request) -> Reply:
        """200 with a message or null; 409 while another pod reads the channel."""
        if request.method != "POST":
            return sentence(405, f"POST {PATH}")
        if self._off:
            return sentence(503, self._off)
        channel = channel_of(bearer(request), self._key)
        if not channel:
            return sentence(401, "send the channel's input credential as Authorization: Bearer")
        try:
            content = json.loads(request.body)
        except (ValueError, RecursionError):
            content = None
        reader = content.get("reader") if isinstance(content, dict) else None
        if not isinstance(content, dict) or not isinstance(reader, str) or not POD_NAME.fullmatch(reader):
            return sentence(400, 'send a JSON object with the pod\'s name: {"reader": "...", "ready": true}')
        self._finish(channel, reader, content)
        if content.get("leaving") is True:
            self._inbox.leave(channel, reader)
            return as_json(200, {"message": None})
        return self._next(channel, reader, content)

    def _finish(self, channel: str, reader: str, content: dict[str, object]) -> None:
        done = content.get("done")
        if isinstance(done, str) and done:
            command = self._inbox.finish(channel, reader, done)
            if command is not None and self._listener is not None:
                self._listener.mark(command, Mark.REFUSED if content.get("refused") is True else Mark.DONE)

    def _next(self, channel: str, reader: str, content: dict[str, object]) -> Reply:
        wanted = content.get("wait_seconds")
        wait_s = min(float(wanted), MAX_WAIT_S) if isinstance(wanted, (int, float)) and wanted > 0 else 0.0
        is_held = wait_s > 0 and self._free.acquire(blocking=False)
        try:
            ready = content.get("ready") is True
            command = self._inbox.take(channel, reader, ready=ready, wait_s=wait_s if is_held else 0.0)
        except TakenError as exc:
            return sentence(409, str(exc))
        finally:
            if is_held:
                self._free.release()
        if command is not None:
            return as_json(200, {"message": {"id": command.id, "kind": command.kind.value, "text": command.text}})
        return as_json(200, {"message": None, "pause_seconds": 0.0 if is_held or not wait_s else BUSY_PAUSE_S})

# SPDX-License-Identifier: GPL-3.0-or-later
# SPDX-FileCopyrightText: 2026 The orchestrator.platform authors
"""Discord's REST API with a bot token: the few calls the bot makes. Knows nothing of our own API."""

from __future__ import annotations

import json
import threading
import time
from typing import TYPE_CHECKING, Any
from urllib.parse import quote, urlsplit

from discord_monitor.delivery import backoff_s
from discord_monitor.http_client import Answer, HttpClient, TransportError

if TYPE_CHECKING:
    from discord_monitor.lifecycle import Stop
    from discord_monitor.secret import Secret

ANSWER_LIMIT_S = 10.0
MAX_ATTEMPTS = 4
MAX_WAIT_S = 60.0  # a longer retry_after ends the call; its caller tries again at its next turn
PAGE = 100  # messages of one list call, Discord's maximum


class DiscordError(Exception):
    """A call failed for good; `status` is Discord's, 0 when it was not reached. The text holds no secret."""

    def __init__(self, status: int, code: int, sentence: str) -> None:
        super().__init__(sentence)
        self.status = status
        self.code = code


class DiscordApi:
    """Calls with one token over one connection, one at a time."""

    def __init__(self, base_url: str, token: Secret, *, stop: Stop) -> None:
        self._client = HttpClient(base_url, read_limit_s=ANSWER_LIMIT_S)
        self._prefix = urlsplit(base_url).path.rstrip("/")
        self._token = token
        self._stop = stop
        self._lock = threading.Lock()
        self._not_before = 0.0
        self.retries = 0

    def me(self) -> dict[str, Any]:
        """The bot's own user. Raises DiscordError, status 401 for a token that is not accepted."""
        return _object(self._call("GET", "/users/@me"))

    def create_webhook(self, channel_id: str, name: str) -> dict[str, Any]:
        """Make a webhook; the answer holds its id and token."""
        return _object(self._call("POST", f"/channels/{channel_id}/webhooks", {"name": name}))

    def webhooks(self, channel_id: str) -> list[dict[str, Any]]:
        """The webhooks of a channel."""
        return _list(self._call("GET", f"/channels/{channel_id}/webhooks"))

    def delete_webhook(self, webhook_id: str) -> None:
        """Delete a webhook."""
        self._call("DELETE", f"/webhooks/{webhook_id}")

    def channels(self, guild_id: str) -> list[dict[str, Any]]:
        """The channels of a server."""
        return _list(self._call("GET", f"/guilds/{guild_id}/channels"))

    def create_channel(self, guild_id: str, content: dict[str, object]) -> dict[str, Any]:
        """Make a channel."""
        return _object(self._call("POST", f"/guilds/{guild_id}/channels", content))

    def delete_channel(self, channel_id: str) -> None:
        """Delete a channel with its messages and webhooks."""
        self._call("DELETE", f"/channels/{channel_id}")

    def messages(self, channel_id: str, *, before: str = "", after: str = "") -> list[dict[str, Any]]:
        """Up to PAGE messages, newest first: the newest older than `before`, or the oldest newer than `after`."""
        query = f"?limit={PAGE}" + (f"&before={before}" if before else "") + (f"&after={after}" if after else "")
        return _list(self._call("GET", f"/channels/{channel_id}/messages{query}"))

    def post_message(self, channel_id: str, text: str, *, answer_to: str) -> None:
        """Answer a message. Nobody is notified by it."""
        content = {
            "content": text, "allowed_mentions": {"parse": []},
            "message_reference": {"message_id": answer_to, "fail_if_not_exists": False},
        }  # fmt: skip
        self._call("POST", f"/channels/{channel_id}/messages", content)

    def react(self, channel_id: str, message_id: str, emoji: str) -> None:
        """Put a reaction of our own to a message; putting it again changes nothing."""
        self._call("PUT", f"/channels/{channel_id}/messages/{message_id}/reactions/{quote(emoji)}/@me")

    def delete_messages(self, channel_id: str, ids: list[str]) -> None:
        """Delete 1 to 100 messages; two or more have to be younger than 14 days (bulk deletion)."""
        if len(ids) == 1:
            self._call("DELETE", f"/channels/{channel_id}/messages/{ids[0]}")
        else:
            self._call("POST", f"/channels/{channel_id}/messages/bulk-delete", {"messages": ids})

    def _call(self, method: str, path: str, content: object = None) -> Answer:
        """One call with its repeats. Raises DiscordError."""
        body = None if content is None else json.dumps(content).encode()
        headers = {"Authorization": f"Bot {self._token.reveal()}", "Accept": "application/json"}
        if body is not None:
            headers["Content-Type"] = "application/json"
        with self._lock:
            for attempt in range(1, MAX_ATTEMPTS + 1):
                answer, wait_s = self._try(method, path, body, headers, attempt)
                if answer is not None:
                    return answer
                self.retries += 1
                self._not_before = time.monotonic() + wait_s
        raise DiscordError(0, 0, "Discord did not carry the call out; the bot's health tells more")

    def _try(
        self, method: str, path: str, body: bytes | None, headers: dict[str, str], attempt: int
    ) -> tuple[Answer | None, float]:
        """An answer, or how long to wait before the next attempt. Raises DiscordError when there should be none."""
        wait_s = self._not_before - time.monotonic()
        if wait_s > 0 and self._stop.wait(wait_s):
            raise DiscordError(0, 0, "the bot is stopping")
        last = attempt == MAX_ATTEMPTS
        try:
            answer = self._client.request(method, self._prefix + path, body=body, headers=headers)
        except TransportError as exc:
            if last or method == "POST":  # a POST may have been carried out: a second webhook would be made
                raise DiscordError(0, 0, f"Discord cannot be reached: {exc}") from None
            return None, backoff_s(attempt)
        if answer.headers.get("x-ratelimit-remaining") == "0":
            self._not_before = time.monotonic() + min(
                _number(answer.headers.get("x-ratelimit-reset-after")), MAX_WAIT_S
            )
        if answer.status < 400:
            return answer, 0.0
        wanted_s = _number(_content(answer).get("retry_after"), answer.headers.get("retry-after")) or 1.0
        if answer.status == 429 and not last and wanted_s <= MAX_WAIT_S:
            return None, wanted_s
        if answer.status >= 500 and not last:
            return None, backoff_s(attempt)
        raise _error(answer)


def _error(answer: Answer) -> DiscordError:
    code = _content(answer).get("code")
    code = code if isinstance(code, int) else 0
    reason = {401: "Discord does not accept the bot token", 403: "the bot lacks a permission in this channel",
              404: "Discord does not know this channel or webhook", 429: "Discord limits the rate"}  # fmt: skip
    text = reason.get(answer.status, "Discord refuses the call")
    return DiscordError(answer.status, code, f"{text} (status {answer.status}, code {code})")


def _content(answer: Answer) -> dict[str, Any]:
    try:
        content = json.loads(answer.body)
    except ValueError:
        return {}
    return content if isinstance(content, dict) else {}


def _object(answer: Answer) -> dict[str, Any]:
    return _content(answer)


def _list(answer: Answer) -> list[dict[str, Any]]:
    try:
        content = json.loads(answer.body)
    except ValueError:
        return []
    return [entry for entry in content if isinstance(entry, dict)] if isinstance(content, list) else []


def _number(*values: object) -> float:
    for value in values:
        try:
            return max(0.0, float(value))  # type: ignore[arg-type]
        except (TypeError, ValueError):
            continue
    return 0.0

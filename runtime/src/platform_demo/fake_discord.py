# SPDX-License-Identifier: GPL-3.0-or-later
# SPDX-FileCopyrightText: 2026 The orchestrator.platform authors
"""A small server that answers like Discord's REST API v10, shows its channels as a page, and fails on request.

Routes below /api/v10 as Discord's; `/` the page, `/messages`, `/stats` JSON, `/control` faults, `/seed` messages.
"""

from __future__ import annotations

import hashlib
import hmac
import os
import re
import secrets
import signal
import sys
import time
from importlib import resources
from typing import TYPE_CHECKING, Any
from urllib.parse import unquote

from platform_demo.guild import MODES, Fault, Guild, Webhook
from platform_demo.rules import is_empty, problem, problems_of
from platform_demo.web import Call, Reply, make_server

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from types import FrameType

API = "/api/v10"
MAX_SLOW_S = 60.0
BOT_USER = {"id": "424242424242424242", "username": "monitor-bot", "bot": True}

ASSETS = {
    "/": ("page.html", "text/html"),
    "/page.js": ("page.js", "text/javascript"),
    "/page.css": ("page.css", "text/css"),
    "/icon.svg": ("icon.svg", "image/svg+xml"),
}
# Only our own two files may run or style: what an agent writes can never become part of the page.
CONTENT_SECURITY_POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; img-src 'self'; "
    "base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
)


def error(status: int, code: int, message: str, **more: object) -> Reply:
    """An error in Discord's shape."""
    return Reply(status, {"message": message, "code": code, **more})


UNKNOWN_CHANNEL = error(404, 10003, "Unknown Channel")
NEEDS_THREAD = error(400, 220001, "Webhooks posted to forum channels must have a thread_name or thread_id")
ONE_THREAD = error(400, 220002, "Webhooks posted to forum channels cannot have both a thread_name and thread_id")
NO_FORUM = error(400, 220003, "Webhooks can only create threads in forum channels")
UNKNOWN_GUILD = error(404, 10004, "Unknown Guild")
MAX_THREAD_NAME = 100
MAX_CHANNEL_NAME = 100
MAX_TOPIC = 1024
MAX_CHANNELS = 500  # of one server
GUILD_ID = "515151515151515151"
UNKNOWN_WEBHOOK = error(404, 10015, "Unknown Webhook")
UNKNOWN_MESSAGE = error(404, 10008, "Unknown Message")
INVALID_TOKEN = error(401, 50027, "Invalid Webhook Token")
UNAUTHORIZED = Reply(401, {"message": "401: Unauthorized", "code": 0})


class FakeDiscord:
    """Routes of the API over one guild."""

    def __init__(self, *, bucket: tuple[int, float] | None, bot_token_sha256: str = "") -> None:
        self.guild = Guild(bucket=bucket)
        self._bot_token_sha256 = bot_token_sha256
        routes: list[tuple[str, str, Callable[..., Reply]]] = [
            ("POST", rf"{API}/webhooks/(\d+)/([\w-]+)", self._execute),
            ("GET", rf"{API}/webhooks/(\d+)/([\w-]+)", self._hook),
            ("PATCH", rf"{API}/webhooks/(\d+)/([\w-]+)", self._rename),
            ("DELETE", rf"{API}/webhooks/(\d+)/([\w-]+)", self._remove_with_token),
            ("GET", rf"{API}/webhooks/(\d+)/([\w-]+)/messages/(\d+)", self._hook_message),
            ("DELETE", rf"{API}/webhooks/(\d+)/([\w-]+)/messages/(\d+)", self._hook_message),
        ]
        bot_routes: list[tuple[str, str, Callable[..., Reply]]] = [
            ("GET", rf"{API}/users/@me", lambda _call: Reply(200, BOT_USER)),
            ("GET", rf"{API}/guilds/(\d+)/channels", self._list_channels),
            ("POST", rf"{API}/guilds/(\d+)/channels", self._create_channel),
            ("POST", rf"{API}/channels/(\d+)/webhooks", self._create),
            ("GET", rf"{API}/channels/(\d+)/webhooks", self._list_hooks),
            ("DELETE", rf"{API}/webhooks/(\d+)", self._remove),
            ("GET", rf"{API}/channels/(\d+)/messages", self._list_messages),
            ("POST", rf"{API}/channels/(\d+)/messages", self._post_message),
            ("PUT", rf"{API}/channels/(\d+)/messages/(\d+)/reactions/([^/]+)/@me", self._react),
            ("DELETE", rf"{API}/channels/(\d+)/messages/(\d+)", self._delete_message),
            ("POST", rf"{API}/channels/(\d+)/messages/bulk-delete", self._bulk_delete),
            ("DELETE", rf"{API}/channels/(\d+)", self._delete_channel),
        ]
        own_routes: list[tuple[str, str, Callable[..., Reply]]] = [
            ("GET", "/healthz", lambda _call: Reply(200, {"status": "ok"})),
            ("GET", "/messages", self._messages),
            ("GET", "/stats", lambda _call: Reply(200, self.guild.stats())),
            ("GET", "/control", lambda _call: Reply(200, self._switches())),
            ("POST", "/control", self._control),
            ("POST", r"/seed/(\d+)", self._seed),
            ("GET", "|".join(map(re.escape, ASSETS)), self._asset),
        ]
        self._api = [(method, re.compile(path), route, False) for method, path, route in routes]
        self._api += [(method, re.compile(path), route, True) for method, path, route in bot_routes]
        self._own = [(method, re.compile(path), route) for method, path, route in own_routes]

    def answer(self, call: Call) -> Reply | None:
        """The answer to a request; None closes the connection without one."""
        for method, path, route in self._own:
            match = path.fullmatch(call.path)
            if match and method == call.method:
                return route(call, *match.groups())
        reply = self._api_answer(call)
        self.guild.count(str(reply.status) if reply is not None else "dropped")
        return reply

    def _api_answer(self, call: Call) -> Reply | None:
        if not call.path.startswith(API + "/"):
            return Reply(404, {"message": "404: Not Found", "code": 0})
        fault = self.guild.take_fault()
        if fault.mode == "slow":
            time.sleep(min(fault.slow_seconds, MAX_SLOW_S))
        if fault.mode == "drop":
            return None
        reply = _faulty(fault) or self._routed(call)
        # Worst case for a client: it was carried out, and nobody says so.
        return None if fault.mode == "drop_after" else reply

    def _routed(self, call: Call) -> Reply:
        for method, path, route, needs_bot in self._api:
            match = path.fullmatch(call.path)
            if match and method == call.method:
                if needs_bot and not self._is_bot(call):
                    return UNAUTHORIZED
                return route(call, *match.groups())
        return Reply(404, {"message": "404: Not Found", "code": 0})

    def _is_bot(self, call: Call) -> bool:
        kind, _space, token = call.headers.get("authorization", "").partition(" ")
        if kind != "Bot" or not token:
            return False
        seen = hashlib.sha256(token.encode("latin-1")).hexdigest()
        return not self._bot_token_sha256 or hmac.compare_digest(seen, self._bot_token_sha256)

    def _known(self, webhook_id: str, token: str) -> Webhook | Reply:
        hook = self.guild.webhook(webhook_id, token)
        if hook is None:
            return UNKNOWN_WEBHOOK
        return hook if hmac.compare_digest(hook.token, token) else INVALID_TOKEN

    # Webhooks with their token.

    def _execute(self, call: Call, webhook_id: str, token: str) -> Reply:
        hook = self._known(webhook_id, token)
        if isinstance(hook, Reply):
            return hook
        allowed, headers, left_s = self.guild.take_token(webhook_id)
        if not allowed:
            return _limited(left_s, is_global=False, headers=headers)
        payload = call.json()
        reply = self._posted(hook, call, payload)
        if reply.status == 200 and call.query.get("wait", "").lower() != "true":
            return Reply(204, headers=headers)
        return reply._replace(headers=headers)

    def _posted(self, hook: Webhook, call: Call, payload: object) -> Reply:
        found = problems_of(payload)
        if found or not isinstance(payload, dict):
            return error(400, 50035, "Invalid Form Body", errors=found)
        if is_empty(payload):
            return error(400, 50006, "Cannot send an empty message")
        name = payload.get("thread_name") or ""
        place = self._placed(hook, call, name)
        return place if isinstance(place, Reply) else Reply(200, self.guild.post(place, payload, new_thread=name))

    def _placed(self, hook: Webhook, call: Call, thread_name: object = "") -> Webhook | Reply:
        """The webhook in the thread that the request names; a thread is a channel of its own.

        In a forum messages stand in threads only. Elsewhere a webhook opens none, and a thread that it is told to use
        comes into being, so that a test needs no preparation.
        """
        thread, is_forum = call.query.get("thread_id", ""), hook.channel_id in self.guild.forums
        if thread_name:
            return self._new_thread(hook, thread_name, is_forum=is_forum, both=bool(thread))
        if not thread:
            return NEEDS_THREAD if is_forum else hook
        of = self.guild.threads.get(thread, "" if is_forum else hook.channel_id)
        if not thread.isdigit() or of != hook.channel_id:
            return UNKNOWN_CHANNEL
        self.guild.thread(thread, hook.channel_id)
        return hook._replace(channel_id=thread)

    def _new_thread(self, hook: Webhook, name: object, *, is_forum: bool, both: bool) -> Webhook | Reply:
        if not isinstance(name, str) or len(name) > MAX_THREAD_NAME:
            wrong = problem(f"Must be {MAX_THREAD_NAME} or fewer in length.", "BASE_TYPE_BAD_LENGTH")
            return error(400, 50035, "Invalid Form Body", errors={"thread_name": wrong})
        if not is_forum:
            return NO_FORUM
        return ONE_THREAD if both else hook

    def _hook(self, _call: Call, webhook_id: str, token: str) -> Reply:
        hook = self._known(webhook_id, token)
        return hook if isinstance(hook, Reply) else Reply(200, _public(hook))

    def _rename(self, call: Call, webhook_id: str, token: str) -> Reply:
        hook = self._known(webhook_id, token)
        if isinstance(hook, Reply):
            return hook
        name = call.field("name")
        renamed = hook._replace(name=name if isinstance(name, str) and name.strip() else hook.name)
        self.guild.webhooks[hook.id] = renamed
        return Reply(200, _public(renamed))

    def _remove_with_token(self, call: Call, webhook_id: str, token: str) -> Reply:
        hook = self._known(webhook_id, token)
        return hook if isinstance(hook, Reply) else self._remove(call, webhook_id)

    def _hook_message(self, call: Call, webhook_id: str, token: str, message_id: str) -> Reply:
        hook = self._known(webhook_id, token)
        if isinstance(hook, Reply):
            return hook
        place = self._placed(hook, call) if call.query.get("thread_id") else hook
        if isinstance(place, Reply):
            return place
        hook = place
        message = self.guild.find(message_id, hook.channel_id)
        if message is None or message.get("webhook_id") != hook.id:
            return UNKNOWN_MESSAGE
        if call.method == "DELETE":
            self.guild.delete({message_id}, hook.channel_id)
            return Reply(204)
        return Reply(200, message)

    # The bot's routes.

    def _list_channels(self, _call: Call, guild_id: str) -> Reply:
        if guild_id != GUILD_ID:
            return UNKNOWN_GUILD
        with self.guild.lock:
            found = [self._channel(channel) for channel in self.guild.channels if channel not in self.guild.threads]
        return Reply(200, found)

    def _create_channel(self, call: Call, guild_id: str) -> Reply:
        name, topic, parent = call.field("name"), call.field("topic") or "", call.field("parent_id") or ""
        if guild_id != GUILD_ID:
            return UNKNOWN_GUILD
        if not isinstance(name, str) or not 1 <= len(name) <= MAX_CHANNEL_NAME:
            wrong = problem(f"Must be between 1 and {MAX_CHANNEL_NAME} in length.", "BASE_TYPE_BAD_LENGTH")
            return error(400, 50035, "Invalid Form Body", errors={"name": wrong})
        if len(str(topic)) > MAX_TOPIC:
            wrong = problem(f"Must be {MAX_TOPIC} or fewer in length.", "BASE_TYPE_MAX_LENGTH")
            return error(400, 50035, "Invalid Form Body", errors={"topic": wrong})
        if len(self.guild.channels) >= MAX_CHANNELS:
            return error(400, 30013, f"Maximum number of guild channels reached ({MAX_CHANNELS})")
        return Reply(201, self._channel(self.guild.new_channel(name, str(topic), str(parent))))

    def _channel(self, channel_id: str) -> dict[str, Any]:
        guild = self.guild
        kind = 15 if channel_id in guild.forums else 0
        place = {"guild_id": GUILD_ID, "parent_id": guild.parents.get(channel_id) or None}
        return {"id": channel_id, "type": kind, "name": guild.channels[channel_id], **place} | {
            "topic": guild.topics.get(channel_id) or None
        }

    def _create(self, call: Call, channel_id: str) -> Reply:
        name = call.field("name")
        if not isinstance(name, str) or not 1 <= len(name.strip()) <= 80 or re.search("discord|clyde", name.lower()):
            wrong = {"name": problem("Username cannot contain that", "USERNAME_INVALID_CONTAINS")}
            return error(400, 50035, "Invalid Form Body", errors=wrong)
        if sum(1 for hook in self.guild.webhooks.values() if hook.channel_id == channel_id) >= 15:
            return error(400, 30007, "Maximum number of webhooks reached (15)")
        return Reply(200, _public(self.guild.create_webhook(channel_id, name.strip(), secrets.token_urlsafe(51))))

    def _list_hooks(self, _call: Call, channel_id: str) -> Reply:
        with self.guild.lock:
            found = [_public(hook) for hook in self.guild.webhooks.values() if hook.channel_id == channel_id]
        return Reply(200, found)

    def _remove(self, _call: Call, webhook_id: str) -> Reply:
        return Reply(204) if self.guild.webhooks.pop(webhook_id, None) is not None else UNKNOWN_WEBHOOK

    def _list_messages(self, call: Call, channel_id: str) -> Reply:
        limit = call.query.get("limit", "50")
        most = int(limit) if limit.isdigit() and 1 <= int(limit) <= 100 else 50
        before, after = int(call.query.get("before") or 2**63), int(call.query.get("after") or 0)
        found = [m for m in self.guild.messages(channel_id=channel_id) if after < int(m["id"]) < before]
        found.sort(key=lambda m: int(m["id"]))
        # Always newest first; with `after` the ones that follow it at once, otherwise the newest.
        return Reply(200, (found[:most] if "after" in call.query else found[-most:])[::-1])

    def _post_message(self, call: Call, channel_id: str) -> Reply:
        payload = call.json()
        found = problems_of(payload)
        if found or not isinstance(payload, dict):
            return error(400, 50035, "Invalid Form Body", errors=found)
        if is_empty(payload):
            return error(400, 50006, "Cannot send an empty message")
        self.guild.channel(channel_id)
        reference = payload.get("message_reference")
        more = {"message_reference": reference} if isinstance(reference, dict) else {}
        mentions = payload.get("allowed_mentions")
        message = {"author": BOT_USER, "content": payload.get("content") or "", "allowed_mentions": mentions}
        (identity,) = self.guild.seed(channel_id, [message | {"embeds": payload.get("embeds") or []} | more])
        return Reply(200, self.guild.find(identity, channel_id))

    def _react(self, _call: Call, channel_id: str, message_id: str, emoji: str) -> Reply:
        name = unquote(emoji)
        if not name.strip() or name.isascii():
            return error(400, 10014, "Unknown Emoji")
        return Reply(204) if self.guild.react(channel_id, message_id, name) else UNKNOWN_MESSAGE

    def _delete_message(self, _call: Call, channel_id: str, message_id: str) -> Reply:
        return Reply(204) if self.guild.delete({message_id}, channel_id) else UNKNOWN_MESSAGE

    def _delete_channel(self, _call: Call, channel_id: str) -> Reply:
        there = self.guild.channels.get(channel_id)
        return (
            Reply(200, {"id": channel_id, "name": there}) if self.guild.delete_channel(channel_id) else UNKNOWN_CHANNEL
        )

    def _bulk_delete(self, call: Call, channel_id: str) -> Reply:
        ids = call.field("messages")
        if not isinstance(ids, list) or not 2 <= len(ids) <= 100:
            return error(400, 50016, "Provided too few or too many messages to delete.")
        oldest = time.time() - 14 * 86_400
        for message in self.guild.messages(channel_id=channel_id):
            if message["id"] in ids and _epoch(message["timestamp"]) < oldest:
                return error(400, 50034, "You can only bulk delete messages that are under 14 days old.")
        self.guild.delete({str(each) for each in ids}, channel_id)
        return Reply(204)

    # Our own routes.

    def _messages(self, call: Call) -> Reply:
        after = call.query.get("after", "0")
        found = self.guild.messages(
            after=int(after) if after.isdigit() else 0, channel_id=call.query.get("channel_id", "")
        )
        return Reply(200, {"messages": found, "deleted": list(self.guild.deleted), "stats": self.guild.stats()})

    def _switches(self) -> dict[str, object]:
        return {**self.guild.fault._asdict(), "bucket": self.guild.bucket_size, "modes": MODES}

    def _control(self, call: Call) -> Reply:
        """Set the fault (mode, retry_after, slow_seconds, status, count, global), `bucket` [n, s] or null, `reset`."""
        given = call.json()
        if not isinstance(given, dict) or given.get("mode", "ok") not in MODES:
            return Reply(400, {"error": f"send a JSON object with a mode out of {', '.join(MODES)}"})
        numbers = ("retry_after", "slow_seconds", "status", "count")
        if not all(isinstance(given[key], (int, float)) for key in numbers if key in given):
            return Reply(400, {"error": f"{', '.join(numbers)} are numbers"})
        with self.guild.lock:
            if given.get("reset") is True:
                self.guild.reset()
            if "bucket" in given:
                bucket = given["bucket"]
                self.guild.bucket_size = (int(bucket[0]), float(bucket[1])) if bucket else None
            if "mode" in given:
                self.guild.fault = Fault(
                    mode=given["mode"], retry_after=float(given.get("retry_after", 1.0)),
                    slow_seconds=float(given.get("slow_seconds", 3.0)), status=int(given.get("status", 500)),
                    hits=int(given.get("count", -1)), is_global=given.get("global") is True,
                )  # fmt: skip
        return Reply(200, self._switches())

    def _seed(self, call: Call, channel_id: str) -> Reply:
        given = call.json()
        if not isinstance(given, list):
            return Reply(400, {"error": "send a list of messages"})
        return Reply(200, {"ids": self.guild.seed(channel_id, given)})

    def _asset(self, call: Call) -> Reply:
        name, kind = ASSETS[call.path]
        content = resources.files("platform_demo").joinpath("static", name).read_bytes()
        headers = {"Content-Type": f"{kind}; charset=utf-8", "Content-Security-Policy": CONTENT_SECURITY_POLICY}
        return Reply(200, headers=headers | {"X-Content-Type-Options": "nosniff"}, raw=content)


def _faulty(fault: Fault) -> Reply | None:
    """The answer of a fault that answers by itself."""
    if fault.mode == "rate_limited":
        return _limited(fault.retry_after, is_global=fault.is_global, headers={})
    if fault.mode == "error":
        return Reply(fault.status, {"message": f"{fault.status}: Server Error", "code": 0})
    return {"gone": UNKNOWN_WEBHOOK, "invalid_token": INVALID_TOKEN}.get(fault.mode)


def _limited(seconds: float, *, is_global: bool, headers: Mapping[str, str]) -> Reply:
    content = {"message": "You are being rate limited.", "retry_after": round(seconds, 3), "global": is_global}
    more = {"Retry-After": str(int(seconds) + 1), "X-RateLimit-Scope": "global" if is_global else "user"}
    return Reply(429, content, {**headers, **more})


def _public(hook: Webhook) -> dict[str, Any]:
    return {"type": 1, **hook._asdict()}


def _epoch(stamp: str) -> float:
    from datetime import datetime  # noqa: PLC0415 - only for bulk deletion

    return datetime.fromisoformat(stamp).timestamp()


def bucket_from(text: str) -> tuple[int, float] | None:
    """FAKE_RATE_LIMIT: "5/2" is five requests in two seconds a webhook; "off" is no limit."""
    match = re.fullmatch(r"(\d+)/(\d+(?:\.\d+)?)", text.strip())
    return (int(match[1]), float(match[2])) if match else None


def main() -> int:
    """Serve until SIGTERM."""
    discord = FakeDiscord(
        bucket=bucket_from(os.environ.get("FAKE_RATE_LIMIT", "5/2")),
        bot_token_sha256=os.environ.get("FAKE_BOT_TOKEN_SHA256", "").strip().lower(),
    )
    server = make_server(int(os.environ.get("PORT", "8081")), discord, address=os.environ.get("BIND_ADDR", ""))

    def stop(_number: int, _frame: FrameType | None) -> None:
        raise KeyboardInterrupt

    signal.signal(signal.SIGTERM, stop)
    sys.stderr.write(f"fake Discord on port {server.server_address[1]}\n")
    try:
        server.serve_forever()
    except KeyboardInterrupt:
        server.server_close()
    return 0


if __name__ == "__main__":
    sys.exit(main())

# SPDX-License-Identifier: GPL-3.0-or-later
# SPDX-FileCopyrightText: 2026 The orchestrator.platform authors
"""The state of the fake Discord: channels, webhooks, messages, faults, figures. Bounded; safe for several threads."""

from __future__ import annotations

import threading
import time
from collections import Counter, deque
from datetime import UTC, datetime
from typing import Any, NamedTuple

MAX_MESSAGES = 20_000
MAX_WEBHOOKS = 1_000
MAX_DELETED = 200  # ids of deleted messages, for pages that show them
# Webhook ids below this come into being when they are first used, so that a demo needs no preparation; real ids are
# far above, and an unknown one of those is answered with 404.
AUTO_WEBHOOK_BELOW = 1_000_000_000
AUTO_FORUM_FROM = 500_000_000  # those from here on belong to a forum channel: all its messages stand in threads
EPOCH_MS = 1_420_070_400_000  # Discord's snowflakes count from 2015


class Fault(NamedTuple):
    """What goes wrong now. `hits` requests are left to be hit; negative: until switched off."""

    mode: str = "ok"
    retry_after: float = 1.0
    slow_seconds: float = 3.0
    status: int = 500
    hits: int = -1
    is_global: bool = False


MODES = ("ok", "rate_limited", "gone", "invalid_token", "error", "slow", "drop", "drop_after")


class Webhook(NamedTuple):
    """One webhook of a channel."""

    id: str
    token: str
    name: str
    channel_id: str


class Bucket:
    """A rate limit of Discord's kind: so many requests, all back when the window ends."""

    def __init__(self, limit: int, window_s: float) -> None:
        self.limit, self.window_s = limit, window_s
        self._used, self._resets_at = 0, 0.0

    def take(self, now: float) -> tuple[bool, dict[str, str], float]:
        """Whether the request is within the limit, its headers, and the seconds until the reset."""
        if now >= self._resets_at:
            self._used, self._resets_at = 0, now + self.window_s
        allowed = self._used < self.limit
        self._used += allowed
        left_s = self._resets_at - now
        headers = {
            "X-RateLimit-Limit": str(self.limit),
            "X-RateLimit-Remaining": str(self.limit - self._used),
            "X-RateLimit-Reset": f"{time.time() + left_s:.3f}",
            "X-RateLimit-Reset-After": f"{left_s:.3f}",
            "X-RateLimit-Bucket": "fake0webhook0bucket",
        }
        return allowed, headers, left_s


class Guild:
    """Everything there is. Methods take and give plain values; locking happens inside."""

    def __init__(self, *, bucket: tuple[int, float] | None) -> None:
        self.lock = threading.RLock()
        self.fault = Fault()
        self.bucket_size = bucket
        self.statuses: Counter[str] = Counter()
        self.channels: dict[str, str] = {}
        self.topics: dict[str, str] = {}  # of channels that a bot has made
        self.parents: dict[str, str] = {}
        self.forums: set[str] = set()
        self.threads: dict[str, str] = {}  # channel by thread; a thread is a channel as well
        self.webhooks: dict[str, Webhook] = {}
        self._messages: deque[dict[str, Any]] = deque(maxlen=MAX_MESSAGES)
        self.deleted: deque[str] = deque(maxlen=MAX_DELETED)
        self._buckets: dict[str, Bucket] = {}
        self._last_id = 0
        self.received = 0

    def new_id(self) -> str:
        """A snowflake, higher than all before."""
        with self.lock:
            wanted = (int(time.time() * 1000) - EPOCH_MS) << 22
            self._last_id = max(wanted, self._last_id + 1)
            return str(self._last_id)

    def take_fault(self) -> Fault:
        """The fault that hits this request."""
        with self.lock:
            fault = self.fault
            if fault.mode != "ok" and fault.hits >= 0:
                self.fault = fault._replace(hits=fault.hits - 1) if fault.hits > 1 else Fault()
                return fault if fault.hits > 0 else Fault()
            return fault

    def take_token(self, webhook_id: str) -> tuple[bool, dict[str, str], float]:
        """Count a request against its webhook's rate limit."""
        with self.lock:
            if self.bucket_size is None:
                return True, {}, 0.0
            bucket = self._buckets.get(webhook_id)
            if bucket is None or (bucket.limit, bucket.window_s) != self.bucket_size:
                if len(self._buckets) >= MAX_WEBHOOKS:
                    self._buckets.clear()
                bucket = self._buckets[webhook_id] = Bucket(*self.bucket_size)
            return bucket.take(time.monotonic())

    def webhook(self, webhook_id: str, token: str) -> Webhook | None:
        """A webhook by id; made when its id is of the kind that comes by itself. The caller compares the token."""
        with self.lock:
            found = self.webhooks.get(webhook_id)
            is_auto = webhook_id.isascii() and webhook_id.isdigit() and int(webhook_id[:20]) < AUTO_WEBHOOK_BELOW
            if found is None and is_auto and len(self.webhooks) < MAX_WEBHOOKS:
                channel = self.channel(f"9{int(webhook_id):09d}", name=f"agent-{int(webhook_id)}")
                if int(webhook_id) >= AUTO_FORUM_FROM:
                    self.forums.add(channel)
                found = self.webhooks[webhook_id] = Webhook(webhook_id, token, "Agent monitor", channel)
            return found

    def channel(self, channel_id: str, *, name: str = "") -> str:
        """Make a channel unless it is there."""
        with self.lock:
            if channel_id not in self.channels and len(self.channels) < MAX_WEBHOOKS:
                self.channels[channel_id] = name or f"channel-{channel_id[-4:]}"
            return channel_id

    def new_channel(self, name: str, topic: str, parent: str) -> str:
        """Make a channel with an id of its own."""
        with self.lock:
            identity = self.channel(self.new_id(), name=name)
            self.topics[identity], self.parents[identity] = topic, parent
            return identity

    def thread(self, thread_id: str, channel_id: str, *, name: str = "") -> None:
        """Make a thread of a channel unless it is there."""
        with self.lock:
            self.channel(thread_id, name=name)
            if thread_id in self.channels:
                self.threads.setdefault(thread_id, channel_id)

    def delete_channel(self, channel_id: str) -> bool:
        """Delete a channel or a thread with its messages; whether it was there."""
        with self.lock:
            self.forums.discard(channel_id)
            self.threads.pop(channel_id, None)
            self.topics.pop(channel_id, None)
            self.parents.pop(channel_id, None)
            self.webhooks = {key: hook for key, hook in self.webhooks.items() if hook.channel_id != channel_id}
            self._drop([message for message in self._messages if message["channel_id"] == channel_id])
            return self.channels.pop(channel_id, None) is not None

    def create_webhook(self, channel_id: str, name: str, token: str) -> Webhook:
        """A webhook with a real-looking id."""
        with self.lock:
            self.channel(channel_id)
            hook = Webhook(self.new_id(), token, name, channel_id)
            self.webhooks[hook.id] = hook
            return hook

    def post(self, hook: Webhook, payload: dict[str, Any], *, new_thread: str = "") -> dict[str, Any]:
        """Keep a message; with `new_thread` it begins a thread of that name, which has the message's id."""
        with self.lock:
            self.received += 1
            identity = self.new_id()
            if new_thread:
                self.thread(identity, hook.channel_id, name=new_thread)
                hook = hook._replace(channel_id=identity)
            message = {
                "id": identity, "type": 0, "channel_id": hook.channel_id, "webhook_id": hook.id,
                "content": payload.get("content") or "", "embeds": payload.get("embeds") or [],
                "allowed_mentions": payload.get("allowed_mentions"), "pinned": False,
                "author": {"id": hook.id, "username": payload.get("username") or hook.name, "bot": True},
                "timestamp": datetime.now(UTC).isoformat(), "received_at": time.time(), "ordinal": self.received,
            }  # fmt: skip
            self._messages.append(message)
            return message

    def messages(self, *, after: int = 0, channel_id: str = "") -> list[dict[str, Any]]:
        """Messages in the order they came, with an ordinal above `after`."""
        with self.lock:
            return [
                message
                for message in self._messages
                if message["ordinal"] > after and (not channel_id or message["channel_id"] == channel_id)
            ]

    def find(self, message_id: str, channel_id: str) -> dict[str, Any] | None:
        """One message of a channel."""
        return next((message for message in self.messages(channel_id=channel_id) if message["id"] == message_id), None)

    def react(self, channel_id: str, message_id: str, emoji: str) -> bool:
        """The bot's reaction to a message, once; whether the message is there."""
        with self.lock:
            message = self.find(message_id, channel_id)
            if message is None:
                return False
            known = [reaction["emoji"]["name"] for reaction in message.get("reactions", [])]
            if emoji not in known:
                fresh = {"emoji": {"id": None, "name": emoji}, "count": 1, "me": True}
                message["reactions"] = [*message.get("reactions", []), fresh]
            return True

    def delete(self, ids: set[str], channel_id: str) -> int:
        """Delete messages of a channel; how many there were."""
        with self.lock:
            return self._drop([m for m in self._messages if m["id"] in ids and m["channel_id"] == channel_id])

    def _drop(self, messages: list[dict[str, Any]]) -> int:
        gone = {message["id"] for message in messages}
        self.deleted.extend(gone)
        self._messages = deque((m for m in self._messages if m["id"] not in gone), maxlen=MAX_MESSAGES)
        return len(gone)

    def seed(self, channel_id: str, messages: list[dict[str, Any]]) -> list[str]:
        """Put messages in as they are, for tests of retention; their ids."""
        with self.lock:
            self.channel(channel_id)
            ids = []
            for given in messages:
                self.received += 1
                message = {
                    "id": self.new_id(),
                    "content": "",
                    "embeds": [],
                    "pinned": False,
                    "received_at": time.time(),
                }
                message |= {"timestamp": datetime.now(UTC).isoformat(), "author": {"id": "1", "username": "person"}}
                message |= given | {"channel_id": channel_id, "ordinal": self.received}
                self._messages.append(message)
                ids.append(str(message["id"]))
            return ids

    def count(self, status: str) -> None:
        """Note an answer."""
        with self.lock:
            self.statuses[status] += 1

    def stats(self) -> dict[str, Any]:
        """Figures since the start."""
        with self.lock:
            embeds = sum(len(message["embeds"]) for message in self._messages)
            return {
                "requests_by_status": dict(self.statuses), "received": self.received, "kept": len(self._messages),
                "embeds_kept": embeds, "channels": dict(self.channels), "fault": self.fault._asdict(),
                "threads": dict(self.threads), "forums": sorted(self.forums),
            }  # fmt: skip

    def reset(self) -> None:
        """Forget messages and figures."""
        with self.lock:
            self._messages.clear()
            self.statuses.clear()
            self._buckets.clear()
            self.received = 0

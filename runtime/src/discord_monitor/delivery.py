# SPDX-License-Identifier: GPL-3.0-or-later
# SPDX-FileCopyrightText: 2026 The orchestrator.platform authors
"""Posts messages to one webhook and judges the answers. Knows HTTP and Discord's rules, nothing of transcripts.

An attempt runs in a thread of its own, so that the watcher's loop is never blocked by a name lookup or a slow answer.
"""

from __future__ import annotations

import json
import math
import random
import threading
from enum import Enum
from typing import TYPE_CHECKING, NamedTuple
from urllib.parse import urlsplit

from discord_monitor.http_client import Answer, HttpClient, TransportError

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from discord_monitor.embeds import Embed
    from discord_monitor.secret import Secret

# A message whose answer is not awaited is posted again and stands twice in the channel: be patient. The loop goes on.
ANSWER_LIMIT_S = 15.0
# For a whole attempt: a server, or a middlebox, that sends a byte now and then meets every limit of a single read.
ATTEMPT_LIMIT_S = 20.0
FIRST_BACKOFF_S = 0.5
MAX_BACKOFF_S = 30.0  # an arbitrary choice
MAX_RETRY_AFTER_S = 3600.0  # Discord's longest known waits are minutes; a broken value must not silence us for good
FORBIDDEN_WAIT_S = 60.0  # 403 comes from Cloudflare's ban; 10,000 invalid answers in 10 minutes prolong it
# Hundreds of watchers may stand behind one address. Discord bans it for 10,000 answers 401, 403 or 429 in 10 minutes:
# with these a watcher gets 20 of them at most, so 500 may be limited without end (both arbitrary).
INVALID_WINDOW_S = 600.0
FREE_INVALID = 10
INVALID_WAIT_S = 60.0  # between those above FREE_INVALID
MAX_SLOWDOWN = 50.0  # of the configured rate, while siblings use up a limit that we share with them
# Discord's JSON error codes (developer docs, Opcodes and Status Codes).
UNKNOWN_CHANNEL, UNKNOWN_WEBHOOK, INVALID_TOKEN = 10003, 10015, 50027
THREAD_ARCHIVED, THREAD_LOCKED, NO_FORUM = 50083, 160005, 220003
# Those about the place, not the message: every message would be refused.
PLACE_PROBLEMS = {
    UNKNOWN_CHANNEL: "the channel or thread of the webhook does not exist",
    40067: "the forum channel wants a tag on every post, which a webhook of ours does not set: switch that off",
    THREAD_ARCHIVED: "the thread is archived",
    THREAD_LOCKED: "the thread is locked",
    220001: "the webhook belongs to a forum channel: set DISCORD_THREAD_ID to a post, or THREAD_PER_SESSION to true",
    220002: "the webhook belongs to a forum channel and takes a thread_name or a thread_id, not both",
    NO_FORUM: "the webhook does not belong to a forum channel, where alone it can open threads",
    220004: "webhooks of this kind cannot post to a forum channel",
}
PLACE_WAIT_S = 60.0  # people have to change something in Discord


class Verdict(Enum):
    """What an attempt came to."""

    DELIVERED = "delivered"
    LIMITED = "limited"  # Discord lives and asks us to wait
    FAILED = "failed"  # worth another attempt
    REFUSED = "refused"  # this message will never be accepted
    GONE = "gone"  # no message will ever be accepted


class Judged(NamedTuple):
    """A verdict with one short reason; `wait_s` is how long to hold back, when the answer says so."""

    verdict: Verdict
    reason: str = ""
    wait_s: float | None = None
    message_id: str = ""
    channel_id: str = ""  # where the message stands: a thread is a channel of its own
    code: int = 0  # Discord's, of a refusal
    invalid: bool = False  # counts towards Discord's ban of the address


class Target(NamedTuple):
    """Where in the webhook's channel a message goes: a thread that is there, a new one, or (both empty) the channel."""

    thread_id: str = ""
    thread_name: str = ""


def judge(answer: Answer) -> Judged:
    """What an answer to a webhook execution means."""
    content = _content(answer.body)
    code = content.get("code")
    status = answer.status
    if status in (200, 204):
        message_id, channel_id = str(content.get("id") or ""), str(content.get("channel_id") or "")
        return Judged(Verdict.DELIVERED, wait_s=_pause(answer), message_id=message_id, channel_id=channel_id)
    if status == 429:
        return Judged(
            Verdict.LIMITED, "Discord limits the rate", wait_s=_retry_after(answer, content), invalid=True
        )  # fmt: skip
    if (status in (401, 404) and code != UNKNOWN_CHANNEL) or code in (UNKNOWN_WEBHOOK, INVALID_TOKEN):
        return Judged(Verdict.GONE, f"the webhook does not exist any more (status {status}, code {_code(code)})")
    if status == 403:
        reason = "Discord forbids the request (status 403)"
        return Judged(Verdict.FAILED, reason, wait_s=FORBIDDEN_WAIT_S, invalid=True)
    if status in (400, 404, 413):
        return _refused(status, code)
    return Judged(Verdict.FAILED, f"Discord answers with status {status}")


def _refused(status: int, code: object) -> Judged:
    problem = PLACE_PROBLEMS.get(code) if isinstance(code, int) else None
    if isinstance(code, int) and problem is not None:
        return Judged(Verdict.FAILED, f"{problem} (status {status}, code {code})", wait_s=PLACE_WAIT_S, code=code)
    return Judged(Verdict.REFUSED, f"Discord refuses the message (status {status}, code {_code(code)})")


def backoff_s(attempt: int) -> float:
    """Seconds before the next attempt after `attempt` failures: 0.5 s doubled up to 30 s, with 25 % jitter."""
    base = min(FIRST_BACKOFF_S * 2.0 ** min(attempt - 1, 16), MAX_BACKOFF_S)
    return base * random.uniform(0.75, 1.25)  # noqa: S311 - spreads siblings, nothing secret


def _pause(answer: Answer) -> float | None:
    """How long to hold back after a delivery: the bucket is empty until it is reset."""
    if answer.headers.get("x-ratelimit-remaining", "") != "0":
        return None
    return _seconds(answer.headers.get("x-ratelimit-reset-after"))


def _retry_after(answer: Answer, content: dict[str, object]) -> float:
    """Seconds as Discord asks: the body's float, else the headers (developer docs, Rate Limits)."""
    given = (
        content.get("retry_after"),
        answer.headers.get("retry-after"),
        answer.headers.get("x-ratelimit-reset-after"),
    )
    return next((wait for wait in map(_seconds, given) if wait is not None), 1.0)


def _seconds(value: object) -> float | None:
    if not isinstance(value, (int, float, str)):
        return None
    try:
        seconds = float(value)
    except ValueError:
        return None
    return min(max(seconds, 0.0), MAX_RETRY_AFTER_S) if not math.isnan(seconds) else None


def _content(body: bytes) -> dict[str, object]:
    try:
        content = json.loads(body)
    except ValueError:
        return {}
    return content if isinstance(content, dict) else {}


def _code(code: object) -> str:
    return str(code) if isinstance(code, int) else "none"


class Webhook:
    """One webhook URL. `post` and `delete` wait up to ANSWER_LIMIT_S for each byte; for one thread at a time.

    A `post` that takes too long is ended by `abandon`, from another thread.
    """

    def __init__(self, url: Secret) -> None:
        parts = urlsplit(url.reveal())
        self._url = url
        self._client = HttpClient(url.reveal(), read_limit_s=ANSWER_LIMIT_S)
        self._path = parts.path.rstrip("/")
        self._query = parts.query  # a thread_id, for example

    def post(self, embeds: Sequence[Embed], target: Target) -> Judged:
        """Post one message and wait for Discord's confirmation. Does not raise for anything the network does."""
        payload: dict[str, object] = {"embeds": list(embeds), "allowed_mentions": {"parse": []}}
        if target.thread_name:
            payload["thread_name"] = target.thread_name
        thread = f"thread_id={target.thread_id}" if target.thread_id else ""
        query = "&".join(part for part in (self._query, thread, "wait=true") if part)
        try:
            answer = self._request("POST", f"{self._path}?{query}", json.dumps(payload).encode())
        except TransportError as exc:
            return Judged(Verdict.FAILED, f"Discord cannot be reached: {exc}")
        return judge(answer)

    def delete(self, message_id: str, *, thread_id: str = "") -> bool:
        """Delete a message of this webhook, in a thread where it stands there; whether it is gone now."""
        parts = (self._query, f"thread_id={thread_id}" if thread_id else "")
        query = "?" + "&".join(part for part in parts if part) if any(parts) else ""
        try:
            return self._request("DELETE", f"{self._path}/messages/{message_id}{query}", None).status in (204, 404)
        except TransportError:
            return False

    def close(self) -> None:
        """Drop the connection."""
        self._client.close()

    def abandon(self) -> None:
        """Give up the request under way; the next one goes over a connection of its own."""
        self._client.abort()
        self._client = HttpClient(self._url.reveal(), read_limit_s=ANSWER_LIMIT_S)

    def _request(self, method: str, path: str, body: bytes | None) -> Answer:
        headers = {"Content-Type": "application/json", "Accept": "application/json"}
        return self._client.request(method, path, body=body, headers=headers)


class Attempt:
    """One `post` in a thread of its own; `result` is None until it is over."""

    def __init__(
        self, post: Callable[[Sequence[Embed], Target], Judged], embeds: Sequence[Embed], target: Target
    ) -> None:
        self.result: Judged | None = None
        self._post = post
        self._embeds = embeds
        self._target = target
        self._thread = threading.Thread(target=self._run, name="delivery", daemon=True)
        self._thread.start()

    def wait(self, seconds: float) -> Judged | None:
        """Wait so long at most."""
        self._thread.join(seconds)
        return self.result

    def _run(self) -> None:
        # Whatever fails here must reach the loop as a failed attempt, or the loop would wait for ever.
        judged = Judged(Verdict.FAILED, "the attempt failed inside the watcher")
        try:
            judged = self._post(self._embeds, self._target)
        finally:
            self.result = judged


class Pacer:
    """Spaces messages: the configured rate, what Discord asked for, and what is fair to siblings behind one address.

    Each limit met doubles the gap between messages, each message that goes through takes a tenth off it again; waits
    after a limit are a little longer than asked for, by chance, so that siblings do not come back all at once.
    Times are monotonic seconds of the caller.
    """

    def __init__(self, messages_per_s: float) -> None:
        self._gap_s = 1.0 / messages_per_s
        self._slowdown = 1.0
        self._next_at = 0.0
        self._invalid_at: list[float] = []

    def wait_s(self, now: float) -> float:
        """Seconds until the next message may go."""
        return max(0.0, self._next_at - now)

    def sent(self, now: float) -> None:
        """A message went out."""
        self._next_at = max(self._next_at, now + self._gap_s * self._slowdown)

    def went_through(self) -> None:
        """A message was taken."""
        self._slowdown = max(1.0, self._slowdown * 0.9)

    def limited(self, now: float, seconds: float) -> None:
        """Discord asks to wait so long."""
        self._slowdown = min(self._slowdown * 2, MAX_SLOWDOWN)
        self.hold(now, seconds + random.uniform(0, min(seconds, 10.0) / 10))  # noqa: S311 - nothing secret

    def invalid(self, now: float) -> None:
        """An answer came that counts towards Discord's ban."""
        self._invalid_at = [at for at in self._invalid_at if at > now - INVALID_WINDOW_S] + [now]
        if len(self._invalid_at) > FREE_INVALID:
            self.hold(now, INVALID_WAIT_S)

    def hold(self, now: float, seconds: float) -> None:
        """Nothing goes for so long."""
        self._next_at = max(self._next_at, now + seconds)

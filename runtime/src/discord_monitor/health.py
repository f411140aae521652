# SPDX-License-Identifier: GPL-3.0-or-later
# SPDX-FileCopyrightText: 2026 The orchestrator.platform authors
"""The watcher's health: what the loop reports, what the probes are told. Written by the loop, read by HTTP threads.

`/healthz` fails for two reasons only: the loop stalls, or delivery has failed longer than the outage limit. The limit
doubles with every restart it caused, so that a long outage of Discord does not become a crash loop (design D8).
"""

from __future__ import annotations

import threading
import time
from enum import Enum
from typing import TYPE_CHECKING

from discord_monitor.cursor import outage_limit_s
from discord_monitor.http_server import Reply, Request, as_json, sentence
from discord_monitor.metrics import CONTENT_TYPE, Metric, exposition

if TYPE_CHECKING:
    from collections.abc import Callable

# The loop turns at least every two seconds; starved of CPU (100m are a tenth of a core) it may take many times that.
STALL_LIMIT_S = 30.0


class WebhookState(Enum):
    """What is known of the webhook."""

    MISSING = "missing"  # not configured, or not a webhook URL
    UNTRIED = "untried"
    DELIVERING = "delivering"
    FAILING = "failing"
    LIMITED = "limited"
    GONE = "gone"


class Counters:
    """Figures since the start of the process; only the loop writes them."""

    def __init__(self) -> None:
        self.messages = 0
        self.embeds = 0
        self.retries = 0
        self.limited = 0
        self.dropped = 0
        self.ahead = 0
        self.shared = 0
        self.rows = 0
        self.parse_errors = 0
        self.unknown_rows = 0
        self.duplicate_rows = 0
        self.oversize_rows = 0


class Health:
    """What the loop last said, and the verdict on it. Times are monotonic seconds."""

    def __init__(self, *, base_limit_s: float, restarts: int, remember: Callable[[int], None]) -> None:
        self.counters = Counters()
        self.webhook = WebhookState.UNTRIED
        self.reason = ""
        self.waiting = True
        self.backlog_bytes = 0
        self.state_problem = ""
        self.thread_problem = ""
        self.unreadable = 0  # transcripts
        self.unreadable_reason = ""
        self.closed_folders = 0
        self.closed_reason = ""
        self.oldest_at: float | None = None  # wall time of the oldest event not handed over
        self.limit_s = outage_limit_s(base_limit_s, restarts)
        self._base_limit_s = base_limit_s
        self._restarts = restarts
        self._remember = remember
        self._tripped = False
        self._beat_at = time.monotonic()
        self._failing_since: float | None = None
        self._lock = threading.Lock()

    def beat(self) -> None:
        """The loop turns."""
        self._beat_at = time.monotonic()

    def idle(self, reason: str) -> None:
        """There is no webhook to deliver to; that is healthy."""
        self.webhook, self.reason = WebhookState.MISSING, reason

    def delivered(self) -> None:
        """Discord confirmed a message: an outage is over, its limit is as configured again."""
        with self._lock:
            self.webhook, self.reason, self._failing_since = WebhookState.DELIVERING, "", None
            self._tripped = False
            if self._restarts:
                self._restarts = 0
                self._remember(0)
            self.limit_s = outage_limit_s(self._base_limit_s, 0)

    def limited(self, reason: str) -> None:
        """Discord lives and asks us to wait: no outage. A restart would break the wait."""
        with self._lock:
            self.webhook, self.reason, self._failing_since = WebhookState.LIMITED, reason, None

    def failed(self, reason: str, *, gone: bool = False) -> None:
        """An attempt failed; with `gone` there will be no other in this process (a restart may bring a new URL)."""
        with self._lock:
            self.webhook, self.reason = (WebhookState.GONE if gone else WebhookState.FAILING), reason
            if self._failing_since is None:
                self._failing_since = time.monotonic()

    def lag_s(self) -> float:
        """Age of the oldest event not handed over."""
        oldest_at = self.oldest_at
        return max(0.0, time.time() - oldest_at) if oldest_at is not None else 0.0

    def verdict(self, now: float) -> tuple[int, dict[str, object]]:
        """HTTP status and content of `/healthz`. Notes once that this process is to be restarted for an outage."""
        with self._lock:
            stalled_s = now - self._beat_at
            failing_s = now - self._failing_since if self._failing_since is not None else 0.0
            status, state, reason = 200, "ok", self.reason
            if stalled_s > STALL_LIMIT_S:
                status, state, reason = 503, "stalled", f"the loop has not turned for {stalled_s:.0f} s"
            elif failing_s > self.limit_s:
                status, state = 503, "outage"
                if not self._tripped:
                    self._tripped = True
                    self._remember(self._restarts + 1)
            content: dict[str, object] = {"status": state, "webhook": self.webhook.value, "reason": reason}
            content["waiting_for_transcript"] = self.waiting
            content["failing_seconds"] = round(failing_s, 1)
            content["outage_limit_seconds"] = self.limit_s
            content["backlog_bytes"] = self.backlog_bytes
            content["lag_seconds"] = round(self.lag_s(), 3)
            content["delivered_messages"] = self.counters.messages
            # No failure: a restart would not help, and the rows of readable files go on.
            if self.unreadable:
                content["unreadable_transcripts"] = self.unreadable
                text = f"transcripts that cannot be read: {self.unreadable} ({self.unreadable_reason})"
                reason = f"{reason}; {text}" if reason else text
            if self.closed_folders:
                content["unreadable_folders"] = self.closed_folders
                text = f"folders that cannot be looked into: {self.closed_folders} ({self.closed_reason})"
                reason = f"{reason}; {text}" if reason else text
            if self.thread_problem:
                reason = f"{reason}; {self.thread_problem}" if reason else self.thread_problem
            content["reason"] = reason
            if self.state_problem:
                content["state"] = self.state_problem
            return status, content


def watcher_answers(health: Health, gather: Callable[[], list[Metric]]) -> Callable[[Request], Reply]:
    """The routes of the health port."""

    def answer(request: Request) -> Reply:
        if request.method != "GET":
            return sentence(405, "only GET is answered here")
        if request.path == "/healthz":
            return as_json(*health.verdict(time.monotonic()))
        if request.path == "/metrics":
            return Reply(200, exposition(gather()), CONTENT_TYPE)
        return sentence(404, "there is /healthz and /metrics")

    return answer

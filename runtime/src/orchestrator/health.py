# SPDX-License-Identifier: GPL-3.0-or-later
# SPDX-FileCopyrightText: 2026 The orchestrator.platform authors
"""Health of the controller: every loop says that it turns, and the probes ask whether one has stopped (OR-A45)."""

from __future__ import annotations

import threading
import time
from typing import TYPE_CHECKING

from orchestrator import __version__
from orchestrator.config import ConfigError

if TYPE_CHECKING:
    from collections.abc import Callable

    from orchestrator.config import ConfigFile
    from orchestrator.store import Informer

# A loop turns at least once in WATCH_SILENCE_S (90 s) plus a request's time-out; twice that is no slowness any more.
STALL_LIMIT_S = 240.0


class Pulse:
    """When each loop last said that it lives, in monotonic seconds."""

    def __init__(self, *, clock: Callable[[], float] = time.monotonic, limit_s: float = STALL_LIMIT_S) -> None:
        self._clock = clock
        self._limit_s = limit_s
        self._lock = threading.Lock()
        self._beats: dict[str, float] = {}

    def beat(self, name: str = "") -> None:
        """The loop lives. Without a name: the thread's, if it is a loop's."""
        known = name or threading.current_thread().name
        with self._lock:
            if name or known in self._beats:
                self._beats[known] = self._clock()

    def stalled(self) -> dict[str, float]:
        """Seconds since the last beat of each loop that has stopped."""
        now = self._clock()
        with self._lock:
            return {name: now - at for name, at in self._beats.items() if now - at > self._limit_s}


class Health:
    """The two verdicts: whether the process lives, and whether it does its work."""

    def __init__(self, pulse: Pulse, informers: list[Informer], config: ConfigFile) -> None:
        self._pulse = pulse
        self._informers = informers
        self._config = config

    def alive(self, now: str) -> tuple[int, dict[str, object]]:
        """`/health`: 503 only for what a restart mends."""
        stalled = self._pulse.stalled()
        content: dict[str, object] = {"status": "healthy", "version": __version__, "timestamp": now}
        if not stalled:
            return 200, content
        reason = "; ".join(f"{name} has not turned for {age_s:.0f} s" for name, age_s in sorted(stalled.items()))
        return 503, content | {"status": "stalled", "reason": reason}

    def ready(self, now: str) -> tuple[int, dict[str, object]]:
        """`/ready`: 503 while runs are not worked on, whatever the reason."""
        status, content = self.alive(now)
        if status != 200:
            return status, content
        reasons = [f"{i.resource.plural} are not listed yet" for i in self._informers if not i.synced.is_set()]
        reasons += [i.problem for i in self._informers if i.problem]
        try:
            self._config.load()
        except ConfigError as exc:
            reasons.append(f"the configuration cannot be used: {exc}")
        if not reasons:
            return 200, content | {"status": "ready"}
        return 503, content | {"status": "waiting", "reason": "; ".join(dict.fromkeys(reasons))}

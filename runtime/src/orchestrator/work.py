# SPDX-License-Identifier: GPL-3.0-or-later
# SPDX-FileCopyrightText: 2026 The orchestrator.platform authors
"""The work queue: each key once, at a time of its own, never with two workers, later and later while it fails."""

from __future__ import annotations

import heapq
import threading
import time
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Callable

FIRST_BACKOFF_S, MAX_BACKOFF_S = 0.5, 60.0


class Key(NamedTuple):
    """A run: the plural of its kind, and its name."""

    kind: str
    name: str


class WorkQueue:
    """Keys to be worked on. Adding one that waits already only makes it earlier."""

    def __init__(self, *, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._changed = threading.Condition()
        self._due: dict[Key, float] = {}
        self._heap: list[tuple[float, int, Key]] = []
        self._number = 0
        self._busy: set[Key] = set()
        self._failures: dict[Key, int] = {}
        self._closed = False

    def add(self, key: Key, *, after_s: float = 0.0) -> None:
        """Have the key worked on in `after_s` seconds, or earlier if that was asked for already."""
        at = self._clock() + after_s
        with self._changed:
            if key in self._due and self._due[key] <= at:
                return
            self._due[key] = at
            self._number += 1
            heapq.heappush(self._heap, (at, self._number, key))
            self._changed.notify()

    def take(self, *, patience_s: float) -> Key | None:
        """The next key that is due, None when none was within `patience_s`. `done` has to follow."""
        end = self._clock() + patience_s
        with self._changed:
            while not self._closed:
                now = self._clock()
                key, next_at = self._pop(now)
                if key is not None:
                    self._busy.add(key)
                    return key
                if now >= end:
                    return None
                self._changed.wait(max(0.0, min(end, next_at) - now))
        return None

    def done(self, key: Key, *, failed: bool = False) -> float:
        """The key's work ended; with `failed` it comes again, after the returned seconds. 0: it does not."""
        with self._changed:
            self._busy.discard(key)
            if not failed:
                self._failures.pop(key, None)
                self._changed.notify()
                return 0.0
            count = self._failures.get(key, 0)
            self._failures[key] = count + 1
        pause_s = min(MAX_BACKOFF_S, FIRST_BACKOFF_S * 2.0 ** min(count, 20))
        self.add(key, after_s=pause_s)
        return pause_s

    def close(self) -> None:
        """Wake everybody who waits; nothing is handed out any more."""
        with self._changed:
            self._closed = True
            self._changed.notify_all()

    def __len__(self) -> int:
        with self._changed:
            return len(self._due)

    def _pop(self, now: float) -> tuple[Key | None, float]:
        """The key that is due longest and not being worked on; else when the next one is due."""
        held: list[tuple[float, int, Key]] = []
        found: Key | None = None
        while self._heap and self._heap[0][0] <= now:
            entry = heapq.heappop(self._heap)
            at, _number, key = entry
            if self._due.get(key) != at:
                continue  # it was made earlier since, and has another entry
            if key in self._busy:
                held.append(entry)
                continue
            del self._due[key]
            found = key
            break
        next_at = self._heap[0][0] if self._heap else float("inf")
        for entry in held:
            heapq.heappush(self._heap, entry)
        return found, next_at

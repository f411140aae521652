# SPDX-License-Identifier: GPL-3.0-or-later
# SPDX-FileCopyrightText: 2026 The orchestrator.platform authors
"""A program that writes transcripts like a coding agent's, at a configurable pace, and what has to arrive of them.

Environment: TRANSCRIPT_DIR, PACE_MS, RUN_ONCE, SESSIONS, SEED, LOOP. Beside the transcripts stands `expected.json`.
"""

from __future__ import annotations

import json
import os
import signal
import sys
import threading
import time
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from platform_demo.story import expected_markers, story

if TYPE_CHECKING:
    from collections.abc import Mapping

    from platform_demo.story import Line

TORN_EVERY = 7  # every so many rows one is written in two parts, as happens with a real agent


class Settings(NamedTuple):
    """All settings."""

    folder: Path
    pace_s: float
    run_once: bool
    sessions: int
    seed: int
    loop: bool


def settings_from(env: Mapping[str, str]) -> Settings:
    """Read the environment; raises ValueError for a number that is none."""
    return Settings(
        folder=Path(env.get("TRANSCRIPT_DIR") or "/home/agent/.claude"),
        pace_s=float(env.get("PACE_MS") or 200) / 1000,
        run_once=env.get("RUN_ONCE", "").lower() == "true",
        sessions=int(env.get("SESSIONS") or 3),
        seed=int(env.get("SEED") or 1),
        loop=env.get("LOOP", "").lower() == "true",
    )


class Clock:
    """Timestamps of the transcript: the wall clock in milliseconds, but never the same twice and never back."""

    def __init__(self) -> None:
        self._last_ms = 0

    def stamp(self) -> str:
        """The next timestamp."""
        self._last_ms = max(self._last_ms + 1, int(time.time() * 1000))
        moment = datetime.fromtimestamp(self._last_ms // 1000, UTC)
        return f"{moment:%Y-%m-%dT%H:%M:%S}.{self._last_ms % 1000:03d}Z"


class Writer:
    """Appends rows to their files."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._clock = Clock()
        self._stamps: dict[str, str] = {}
        self._count = 0

    def write(self, line: Line) -> None:
        """Append one row. A repeated row keeps the timestamp it had."""
        path = self._folder / line.path
        path.parent.mkdir(parents=True, exist_ok=True)
        identity = line.row["uuid"]
        stamp = self._stamps[identity] if line.repeated else self._clock.stamp()
        self._stamps[identity] = stamp
        data = json.dumps({**line.row, "timestamp": stamp}, ensure_ascii=False).encode() + b"\n"
        self._count += 1
        cut = len(data) // 2 if self._count % TORN_EVERY == 0 else len(data)
        with path.open("ab", buffering=0) as file:
            file.write(data[:cut])
            if cut < len(data):
                time.sleep(0.005)  # long enough for a watcher to see the torn line now and then
                file.write(data[cut:])


def write_expected(settings: Settings, cycles: list[int]) -> None:
    """What has to arrive of the given cycles."""
    content: dict[str, object] = {"seed": settings.seed, "sessions": settings.sessions, "cycles": cycles}
    for key, parity_mode in (("markers", False), ("parity_markers", True)):
        content[key] = [
            marker
            for cycle in cycles
            for marker in expected_markers(settings.seed, settings.sessions, cycle=cycle, parity_mode=parity_mode)
        ]
    fresh = settings.folder / "expected.json.new"
    fresh.write_text(json.dumps(content, indent=1) + "\n", encoding="utf-8")
    fresh.replace(settings.folder / "expected.json")


def next_cycle(settings: Settings) -> int:
    """The first cycle not yet begun in this folder: after a restart the story goes on, it is not repeated."""
    cycle = 0
    while True:
        first = next(story(settings.seed, settings.sessions, cycle=cycle), None)
        if first is None or not (settings.folder / first.path).exists():
            return cycle
        cycle += 1


def main() -> int:
    """Write until the story ends or SIGTERM comes; then idle unless RUN_ONCE."""
    stop = threading.Event()
    # The handler only runs between our own waits in the main thread; it must not take Event's lock there.
    signal.signal(signal.SIGTERM, lambda _number, _frame: threading.Thread(target=stop.set).start())
    signal.signal(signal.SIGINT, signal.default_int_handler)
    try:
        settings = settings_from(os.environ)
    except ValueError:
        sys.stderr.write("sample-agent: PACE_MS, SESSIONS and SEED have to be numbers\n")
        return 2
    settings.folder.mkdir(parents=True, exist_ok=True)
    writer = Writer(settings.folder)
    cycles: list[int] = []
    while not stop.is_set():
        cycles.append(next_cycle(settings))
        write_expected(settings, cycles)
        for line in story(settings.seed, settings.sessions, cycle=cycles[-1]):
            writer.write(line)
            if stop.wait(settings.pace_s):
                return 0
        sys.stderr.write(f"sample-agent: cycle {cycles[-1]} is written\n")
        if not settings.loop:
            break
    if not settings.run_once:
        stop.wait()
    return 0


if __name__ == "__main__":
    sys.exit(main())

# SPDX-License-Identifier: GPL-3.0-or-later
# SPDX-FileCopyrightText: 2026 The orchestrator.platform authors
"""What the watcher remembers across restarts, below STATE_PATH. Nothing here knows Discord.

`cursor.json` holds, per file, up to where its rows are handed over, and the figures per session, besides what else no
transcript can tell again: losses and sessions still to be told of, threads opened; `resting.json` the
places of files untouched for long, which are many and seldom change; `seen.bin` a bounded table of the rows' ids;
`outage.json` how many restarts an outage has caused.
"""

# The module os instead of pathlib saves 0.7 MiB in every agent's pod.
# ruff: noqa: PTH103, PTH105, PTH118, PTH123

from __future__ import annotations

import contextlib
import json
import mmap
import os
from typing import TYPE_CHECKING, NamedTuple

from discord_monitor.stats import Stats

if TYPE_CHECKING:
    from collections.abc import Mapping

SCHEMA = 1
PROBE_FOLDER = "probe"  # below STATE_PATH: the probe's own transcript and the answers to it
PROBE_FILE = "probe.jsonl"
MAX_STATE_BYTES = 32 * 1024 * 1024  # a cursor file above this is not ours
MAX_OUTAGE_LIMIT_S = 3600.0


class Place(NamedTuple):
    """How far one file is handed over: all before byte `at`, and `done` embeds of the row that starts there.

    `last` is the byte before `at`, -1 when it was not seen: another one there means that the file was rewritten.
    `size` and `rows` say what was known to stand behind `at` at the last saving: bytes up to `size`, in so many rows.
    """

    inode: int
    at: int
    done: int
    last: int = -1
    size: int = 0
    rows: int = 0


class Remembered(NamedTuple):
    """The content of the cursor file. What transcripts can tell again is not in it, only what was made of them."""

    started: float  # wall time of the very first start
    places: dict[str, Place]
    sessions: dict[str, Stats]
    ahead: Mapping[str, list[int]] = {}  # begins of rows that were handed over before their turn, by path
    unsummed: tuple[str, ...] = ()  # sessions that were shown and not yet summed up
    untold: tuple[int, int] = (0, 0)  # bytes and rows that were lost, which the channel was not told yet
    threads: Mapping[str, str] = {}  # ids of the threads that were opened, by session


class Store:
    """The state folder. Failing writes do not stop the watcher: they are kept in `problem` until one succeeds."""

    def __init__(self, folder: str) -> None:
        self._folder = folder
        self.problem = ""
        try:
            os.makedirs(folder, mode=0o770, exist_ok=True)
        except OSError as exc:
            self.problem = f"the state folder cannot be written ({exc.strerror}); a restart may repeat messages"

    def path(self, name: str) -> str:
        """The path of one of our files."""
        return os.path.join(self._folder, name)

    def load_cursor(self) -> Remembered | None:
        """What was saved; None when nothing was, or when it cannot be read (then `problem` says so)."""
        resting = None
        with contextlib.suppress(OSError, ValueError, TypeError, KeyError):
            resting = _remembered({**_load(self.path("resting.json")), "sessions": {}})
        try:
            remembered = _remembered(_load(self.path("cursor.json")))
        except FileNotFoundError:
            return resting  # killed between the first saves of the two files
        except (OSError, ValueError, TypeError, LookupError, AttributeError) as exc:
            self.problem = f"the cursor file cannot be read ({type(exc).__name__}); a new one is begun"
            return resting
        if resting is None:
            return remembered
        return remembered._replace(places=resting.places | remembered.places)  # a file that woke stands in both

    def save_cursor(self, remembered: Remembered) -> None:
        """Replace the cursor file in one step."""
        self._save("cursor.json", {"schema": SCHEMA, **remembered._asdict()})

    def save_resting(self, started: float, places: Mapping[str, Place]) -> None:
        """Replace the file of the resting ones in one step; to be saved before a cursor file that lacks them."""
        self._save("resting.json", {"schema": SCHEMA, "started": started, "places": places})

    def load_outages(self) -> int:
        """How many restarts an outage has caused since the last delivery."""
        try:
            count = _load(self.path("outage.json"))["restarts"]
        except (OSError, ValueError, TypeError, KeyError):
            return 0
        return min(count, 32) if isinstance(count, int) and count > 0 else 0

    def save_outages(self, restarts: int) -> None:
        """Remember that number."""
        self._save("outage.json", {"restarts": restarts})

    def _save(self, name: str, content: Mapping[str, object]) -> None:
        try:
            write_whole(self.path(name), json.dumps(content, separators=(",", ":")))
            self.problem = ""
        except OSError as exc:
            self.problem = f"{name} cannot be written ({exc.strerror}); a restart may repeat messages"


def outage_limit_s(base_s: float, restarts: int) -> float:
    """The limit after so many restarts: doubled by each, up to an hour; a base above that stays."""
    return max(base_s, min(base_s * 2.0 ** min(restarts, 32), MAX_OUTAGE_LIMIT_S))


def write_whole(path: str, text: str) -> None:
    """Write a file so that a reader, or we after a kill, see the old text or the new one. Raises OSError."""
    fresh = f"{path}.new"
    descriptor = os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o640)
    with os.fdopen(descriptor, "w", encoding="utf-8") as file:
        file.write(text)
        file.flush()
        os.fsync(file.fileno())
    os.replace(fresh, path)


def _load(path: str) -> dict[str, object]:
    with open(path, encoding="utf-8") as file:
        content = json.loads(file.read(MAX_STATE_BYTES))
    if not isinstance(content, dict):
        raise TypeError("not a JSON object")
    return content


def _remembered(content: Mapping[str, object]) -> Remembered:
    sessions, started = content["sessions"], content["started"]
    if content["schema"] != SCHEMA or not isinstance(sessions, dict):
        raise ValueError("another schema")
    if not isinstance(started, (int, float)):
        raise TypeError("no start time")
    ahead, threads = content.get("ahead", {}), content.get("threads", {})
    unsummed, untold = content.get("unsummed", []), content.get("untold", [0, 0])
    if not (isinstance(ahead, dict) and isinstance(threads, dict)):
        raise TypeError("no objects")
    if not (isinstance(unsummed, list) and isinstance(untold, list)):
        raise TypeError("no lists")
    return Remembered(
        started=float(started),
        places=_places(content["places"]),
        sessions={session: Stats(*(int(number) for number in stats)) for session, stats in sessions.items()},
        ahead={path: [int(start) for start in starts] for path, starts in ahead.items()},
        unsummed=tuple(str(session) for session in unsummed),
        untold=(int(untold[0]), int(untold[1])),
        threads={str(session): str(thread) for session, thread in threads.items()},
    )


def _places(content: object) -> dict[str, Place]:
    if not isinstance(content, dict):
        raise TypeError("no places")
    return {path: Place(*(int(number) for number in place)) for path, place in content.items()}


class SeenTable:
    """A bounded memory of ids that were handed over, on disk as a mapped file: a kill loses nothing of it.

    SLOTS numbers of 8 bytes in buckets of WAYS; a full bucket forgets its oldest. An id that is only read, not yet
    handed over, waits in `_pending` and is lost by a kill, as it must be: its row is read again.
    """

    SLOTS = 65_536  # 512 KiB; about that many rows back a repeated row is known (arbitrary)
    WAYS = 8
    BYTES = SLOTS * 8

    def __init__(self, path: str | None) -> None:
        self._pending: set[int] = set()
        self._table = memoryview(self._map(path)).cast("Q")

    def _map(self, path: str | None) -> mmap.mmap:
        if path is not None:
            with contextlib.suppress(OSError, ValueError):
                descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o640)
                try:
                    if os.fstat(descriptor).st_size != self.BYTES:
                        os.ftruncate(descriptor, 0)
                        # Allocated now: a full disk would otherwise kill us (SIGBUS) at some later write.
                        os.posix_fallocate(descriptor, 0, self.BYTES)
                    return mmap.mmap(descriptor, self.BYTES)
                finally:
                    os.close(descriptor)
        return mmap.mmap(-1, self.BYTES)

    def is_new(self, number: int) -> bool:
        """Whether an id was never met; from then on it is pending."""
        if number in self._pending or self._known(number):
            return False
        self._pending.add(number)
        return True

    def _known(self, number: int) -> bool:
        first = number % (self.SLOTS // self.WAYS) * self.WAYS
        return number in self._table[first : first + self.WAYS].tolist()

    def hand_over(self, number: int) -> None:
        """A pending id is done; remembered for good."""
        self._pending.discard(number)
        if not self._known(number):
            first = number % (self.SLOTS // self.WAYS) * self.WAYS
            kept = self._table[first : first + self.WAYS - 1].tolist()
            for way, value in enumerate([number, *kept]):
                self._table[first + way] = value


def fingerprint(text: str) -> int:
    """64 bits of a text, the same in every process; never 0, which marks an empty slot.

    Of a UUID its last half, which is random in every version that agents use; of other texts FNV-1a.
    """
    if len(text) == 36 and text[23] == "-":
        with contextlib.suppress(ValueError):
            return int(text[19:23] + text[24:], 16) or 1
    value = 0xCBF29CE484222325
    for byte in text.encode("utf-8", "surrogatepass"):
        value = ((value ^ byte) * 0x100000001B3) & 0xFFFFFFFFFFFFFFFF
    return value or 1

# SPDX-License-Identifier: GPL-3.0-or-later
# SPDX-FileCopyrightText: 2026 The orchestrator.platform authors
"""Finds the agent's transcripts and reads their complete lines. Knows bytes and files, nothing of their content.

Files are only ever read: the volume is mounted read-only and the agent must not notice us.
"""

# The module os instead of pathlib saves 0.7 MiB in every agent's pod.
# ruff: noqa: PTH116, PTH118

from __future__ import annotations

import json
import os
import time
from collections import deque
from typing import TYPE_CHECKING, NamedTuple

from discord_monitor.cursor import Place
from discord_monitor.lookahead import Scout
from discord_monitor.rows import LINE_FEED, MAX_ROW_BYTES, RawRow, RowSplitter

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping

CHUNK_BYTES = 64 * 1024
RESCAN_S = 2.0  # the whole tree is looked through this often; new files in busy folders are found at every poll
SCAN_SHARE = (
    0.005  # of the time goes to that at most: a tree that takes long to look through is looked through less often
)
SEARCH_S = 0.5  # while there is no transcript at all
COLD_S = 600.0  # files and folders untouched for so long are looked at only with the whole tree
LOOK_AHEAD_BYTES = 512 * 1024  # a few milliseconds of work; in a burst as fast as agents write
LOOK_AHEAD_GAP_S = 0.25
MAX_AHEAD = 1_000  # rows of one file handed over before their turn, at most (arbitrary)
TRAIL_BYTES = 64  # re-read before each chunk: they differ when the file was rewritten behind our back
MAX_DEPTH = 6
MAX_FOLDERS = 5_000
SETTLED_NS = 50_000_000  # a folder changed less than this before it was listed may hide a twin change of the same tick


class Loss(NamedTuple):
    """What was removed before it was handed over; of some of the bytes it is not known how many rows they were."""

    nbytes: int = 0
    rows: int = 0

    def __add__(self, other: object) -> Loss:
        if not isinstance(other, tuple):
            return NotImplemented
        return Loss(self.nbytes + other[0], self.rows + other[1])


class Source:
    """One file that is followed. Rows come out in their order; `place` moves only by `hand_over`."""

    def __init__(
        self, path: str, place: Place, *, is_dull: Callable[[bytes], bool], is_probe: bool = False,
        ahead: Iterable[int] = (),
    ) -> None:  # fmt: skip
        self.path = path
        self.place = place
        self.is_probe = is_probe
        self.size = 0
        self.lost = Loss()  # what was there, and gone before it was handed over; whoever reads it sets it back
        self.ahead = set(ahead)  # begins of rows that were handed over before their turn
        self._taken_rows = 0  # of those, not yet handed over
        self.taken = place.at  # rows that begin before this byte were given out to be shown in their turn
        self.due = 0  # rows that begin before this byte are to be given out now
        self.limit = 0  # bytes that may be read now
        self.changed_at = time.time()
        self.unreadable = ""  # why it cannot be read, from the first failing read to a look that could open it
        self.order = ""  # the latest timestamp of its rows
        self.resume_done = place.done
        self._is_dull = is_dull
        self._splitter = RowSplitter(place.at, is_dull)
        self._scout = Scout(place.at)
        self._ready: deque[RawRow] = deque()
        # What stands before the next byte to read, as far as it is known: a last row handed over at the agent's end,
        # for one, has no line feed.
        self._trail = bytes([place.last]) if place.at and place.last >= 0 else b""

    @property
    def at_rest(self) -> bool:
        """Whether all of it is handed over."""
        return self.place.at == self.size and not (self._ready or self.unreadable)

    @property
    def has_rows(self) -> bool:
        """Whether rows were read and not yet given out."""
        return bool(self._ready)

    @property
    def has_news(self) -> bool:
        """Whether there are rows, or bytes that can be read, not yet given out."""
        return bool(self._ready) or (self.size > self._splitter.next_byte and not self.unreadable)

    def observe(self, status: os.stat_result) -> None:
        """Take notice of the file's present size. A replaced or shortened file is read from its start.

        One that was rewritten to at least its old length is noticed at the next read, by its bytes.
        """
        if status.st_ino != self.place.inode or status.st_size < self._splitter.next_byte:
            self._begin_anew(status.st_ino, self.waiting)
        elif status.st_size < max(self.size, self._scout.at):
            # Cut behind what the reader has: how many rows that were is not known.
            self.lost += Loss(max(self.size, self._scout.at) - status.st_size, 0)
            self._scout = Scout(self.taken)
        self.size = status.st_size
        self.changed_at = status.st_mtime

    def next_row(self) -> RawRow | None:
        """The next complete line within `limit`; None when there is none. An unreadable file has none."""
        while not self._ready:
            chunk = self._read()
            if not chunk:
                return None
            self._ready.extend(self._splitter.feed(chunk))
        return self._ready.popleft()

    def put_back(self, row: RawRow) -> None:
        """Undo the last `next_row`."""
        self._ready.appendleft(row)

    def unfinished(self) -> RawRow | None:
        """The last line when it lacks its line feed; asked for only when the agent has ended."""
        return self._splitter.unfinished()

    def take(self, row: RawRow) -> None:
        """The row is given out to be shown in its turn: it cannot be shown ahead of it any more."""
        self.taken = max(self.taken, row.end)
        self._scout.passed(row.start, row.dull or 1)
        self._taken_rows += row.dull or 1

    def look_ahead(self, most_bytes: int) -> int:
        """Let the scout read on, up to so many bytes; how many it has read."""
        if self._scout.at < self.taken:
            self._scout = Scout(self.taken)
        scout, read = self._scout, 0
        try:
            descriptor = _opened(self.path)
        except OSError:
            return 0
        try:
            while read < most_bytes and not scout.is_full and os.fstat(descriptor).st_ino == self.place.inode:
                chunk = os.pread(descriptor, min(CHUNK_BYTES, most_bytes - read), scout.at)
                if not chunk:
                    break
                scout.feed(chunk)
                read += len(chunk)
        except OSError:
            pass  # the reader meets the same, and says so
        finally:
            os.close(descriptor)
        return read

    def next_urgent(self) -> RawRow | None:
        """The next row that may be urgent and has not had its turn; None when none is known, or too many are ahead."""
        found = self._scout.found
        while found and len(self.ahead) < MAX_AHEAD:
            start, end = found.popleft()
            if start >= self.taken and start not in self.ahead:
                row = self._row_at(start, end)
                if row is not None:
                    return row
        return None

    def _row_at(self, start: int, end: int) -> RawRow | None:
        try:
            descriptor = _opened(self.path)
        except OSError:
            return None
        try:
            data = os.pread(descriptor, end - start, start)
            same = os.fstat(descriptor).st_ino == self.place.inode
        except OSError:
            return None
        finally:
            os.close(descriptor)
        # A file that was rewritten meanwhile is the reader's to notice; a row has to look like one.
        return RawRow(start, end, data[:-1]) if same and len(data) == end - start and data[-1] == LINE_FEED else None

    @property
    def waiting(self) -> Loss:
        """Bytes not yet handed over, and how many rows of them are known."""
        nbytes = max(0, max(self.size, self._scout.at) - self.place.at)
        return Loss(nbytes, self._scout.rows + self._taken_rows if nbytes else 0)

    @property
    def place_and_more(self) -> Place:
        """The place with what is known to stand behind it."""
        nbytes, rows = self.waiting
        return self.place._replace(size=self.place.at + nbytes if nbytes else 0, rows=rows)

    def hand_over(self, row: RawRow, *, done: int, parts: int) -> None:
        """`done` of `parts` embeds of the row are delivered."""
        inode = self.place.inode
        if done >= parts:
            self.place = Place(inode, row.end, 0, row.last)
            self._taken_rows = max(0, self._taken_rows - (row.dull or 1))
            if self.ahead:
                self.ahead = {start for start in self.ahead if start >= row.end}
        elif row.start != self.place.at:
            self.place = Place(inode, row.start, done, LINE_FEED)  # behind empty lines or rows of no own place
        else:
            self.place = self.place._replace(done=done)

    def _read(self) -> bytes:
        at = self._splitter.next_byte
        wanted = min(CHUNK_BYTES, self.limit - at)
        if wanted <= 0:
            return b""
        try:
            descriptor = _opened(self.path)
        except OSError as exc:
            self._failed(exc)
            return b""
        try:
            if os.fstat(descriptor).st_ino != self.place.inode:
                return b""
            chunk = os.pread(descriptor, wanted + len(self._trail), at - len(self._trail))
        except OSError as exc:
            self._failed(exc)
            return b""
        finally:
            os.close(descriptor)
        if not chunk.startswith(self._trail):
            # Rewritten to at least its old length: of what there was, only the scout may know.
            self._begin_anew(self.place.inode, Loss(max(0, self._scout.at - self.place.at), self._scout.rows))
            return self._read()
        fresh = chunk[len(self._trail) :]
        self._trail = chunk[-TRAIL_BYTES:]
        return fresh

    def _failed(self, exc: OSError) -> None:
        if not isinstance(exc, FileNotFoundError):  # that is noticed when it is looked for
            self.unreadable = exc.strerror or type(exc).__name__

    def try_again(self) -> None:
        """An unreadable file that can be opened by now has news again."""
        if self.unreadable:
            try:
                os.close(_opened(self.path))
            except OSError as exc:
                self._failed(exc)
            else:
                self.unreadable = ""

    def _begin_anew(self, inode: int, lost: Loss) -> None:
        """The file holds other content than we read: forget where we were."""
        self.lost += lost
        self.ahead.clear()
        self.taken, self._taken_rows, self._scout = 0, 0, Scout(0)
        self.place = Place(inode, 0, 0)
        self.resume_done = 0
        self._splitter = RowSplitter(0, self._is_dull)
        self._ready.clear()
        self._trail = b""


def _opened(path: str) -> int:
    return os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NOFOLLOW)


def candidate_roots(workspace: str, *, home: str, config_dir: str) -> Iterator[str]:
    """Folders in which transcripts are sought, best first (DM-A19)."""
    yield os.path.join(workspace, ".claude", "projects")
    yield os.path.join(workspace, "projects")
    yield workspace
    if config_dir:
        yield os.path.join(config_dir, "projects")
    yield os.path.join(home, ".claude", "projects")
    yield os.path.join(home, ".config", "claude", "projects")


class Folder:
    """One listed folder: its transcripts and subfolders at the time of `mtime_ns`."""

    __slots__ = ("depth", "mtime_ns", "settled")

    def __init__(self, *, depth: int) -> None:
        self.depth = depth
        self.mtime_ns = -1
        self.settled = False


class Transcripts:
    """All transcripts below the projects folder, with a consistent view of how far they have grown."""

    def __init__(
        self, roots: tuple[str, ...], *, places: Mapping[str, Place], started: float, lookback_s: float,
        probe_path: str, is_dull: Callable[[bytes], bool], ahead: Mapping[str, Iterable[int]] | None = None,
    ) -> None:  # fmt: skip
        self._roots = roots
        self._is_dull = is_dull
        self._places = dict(places)  # of files not met yet
        self._ahead = {path: list(starts) for path, starts in (ahead or {}).items()}  # the same
        # Files handed over whole and untouched for long: only the look through the whole tree touches them.
        self.resting: dict[str, Place] = {}
        self.rested = False  # set when a file is put to rest: that is to be remembered before `places` is
        self._old_before = started - lookback_s
        self._folders: dict[str, Folder] = {}
        self._root = ""
        self._warm: dict[str, Folder] = {}  # those that may change soon
        self._scanned_at = -RESCAN_S
        self._scan_gap_s = 0.0
        self.sources: dict[str, Source] = {}
        self.skipped = 0  # old files taken as read; to be remembered, or the next start takes them for new ones
        self.lost = Loss()  # what was removed before it was handed over
        self._looked_ahead_at = 0.0
        self.closed: dict[str, str] = {}  # folders that cannot be looked into, with the reason
        self._probe_path = probe_path

    @property
    def waiting(self) -> bool:
        """Whether there is no transcript yet."""
        return not self.resting and not any(not source.is_probe for source in self.sources.values())

    def places(self) -> dict[str, Place]:
        """What is to be remembered beside `resting`: every file not found gone, also those not looked for yet."""
        return self._places | {path: source.place_and_more for path, source in self.sources.items()}

    def ahead(self) -> dict[str, list[int]]:
        """Begins of the rows handed over before their turn, to be remembered beside `places`."""
        met = {path: sorted(source.ahead) for path, source in self.sources.items() if source.ahead}
        return {path: starts for path, starts in self._ahead.items() if path in self._places} | met

    def unreadable(self) -> dict[str, str]:
        """Files that are there and cannot be read, with the reason; they are tried again with each whole look."""
        return {path: source.unreadable for path, source in self.sources.items() if source.unreadable}

    def backlog_bytes(self) -> int:
        """Bytes not yet handed over."""
        return sum(source.waiting.nbytes for source in self.sources.values())

    def probe(self) -> Source | None:
        """The probe's own transcript when it has news, its `limit` set; it is no part of `changed`."""
        self._notice(self._probe_path, is_probe=True)
        source = self.sources.get(self._probe_path)
        if source is not None:
            self._observe(self._probe_path, source)
            source.limit = source.size
        return source if source is not None and source.has_news else None

    def changed(self, *, whole_tree: bool = False) -> list[Source]:
        """The agent's files with news, each with `due` and `limit` set; `whole_tree` looks everywhere at once.

        Files are looked at one after the other while they grow: whoever gave out all that one look saw would miss an
        earlier row of a file looked at before. So a second look follows. Its sizes are the limits, and hold every row
        that is older than any row of the first look; only what the first look saw is due.
        """
        if whole_tree:
            self._scan_gap_s = 0.0
        seen = self._look()
        if not any(source.has_news and not source.is_probe for source in self.sources.values()):
            return []
        self._look()
        changed = [source for source in self.sources.values() if source.has_news and not source.is_probe]
        for source in changed:
            source.due, source.limit = seen.get(source.path, 0), source.size
        return changed

    def look_ahead(self) -> None:
        """Read on in all files, new ones too, in search of urgent rows: LOOK_AHEAD_BYTES in all, not more often than
        every LOOK_AHEAD_GAP_S. The readers, and what they are to give out now, stay as they are.
        """
        if time.monotonic() - self._looked_ahead_at < LOOK_AHEAD_GAP_S:
            return
        for path, folder in list(self._warm.items()):
            self._list(path, folder)
        left = LOOK_AHEAD_BYTES
        agents = [source for source in self.sources.values() if not source.is_probe]
        for number, source in enumerate(agents):
            # What one leaves of its share the others get.
            left -= source.look_ahead(left // (len(agents) - number))
        self._looked_ahead_at = time.monotonic()

    def _look(self) -> dict[str, int]:
        """Sizes by path, after noticing new files and folders."""
        if time.monotonic() - self._scanned_at >= self._scan_gap_s:
            self._look_everywhere()
        else:
            for path, folder in list(self._warm.items()):
                self._list(path, folder)
        self._notice(self._probe_path, is_probe=True)
        for path, source in list(self.sources.items()):
            self._observe(path, source)
        return {path: source.size for path, source in self.sources.items()}

    def _look_everywhere(self) -> None:
        """Folders and files that the frequent looks leave out; what is cold by now is left out from here on."""
        began = time.monotonic()
        self._choose_root()
        for path, folder in list(self._folders.items()):
            self._list(path, folder)
        self._wake()
        for source in self.sources.values():
            source.try_again()
        cold_before = time.time() - COLD_S
        self._warm = {
            path: folder
            for path, folder in self._folders.items()
            if not folder.settled or folder.mtime_ns > cold_before * 1e9
        }
        for path, source in list(self.sources.items()):
            if source.at_rest and source.changed_at < cold_before and not source.is_probe:
                self.resting[path] = source.place
                self.rested = True
                del self.sources[path]
        self._scanned_at = time.monotonic()
        self._scan_gap_s = max(RESCAN_S if self._root else SEARCH_S, (self._scanned_at - began) / SCAN_SHARE)

    def _wake(self) -> None:
        """Follow resting files again that have changed; forget files, met or remembered, that are surely gone."""
        for places in (self.resting, self._places):
            for path, place in list(places.items()):
                try:
                    status = os.stat(path, follow_symlinks=False)
                except (FileNotFoundError, NotADirectoryError):
                    if self._root:
                        self.lost += _known_behind(places.pop(path))
                except OSError:
                    continue
                else:
                    if places is self.resting and (status.st_size != place.at or status.st_ino != place.inode):
                        self._follow(path, self.resting.pop(path), status)

    def _choose_root(self) -> None:
        """Take the first candidate that holds a transcript. A better one that appears later wins."""
        closed: dict[str, str] = {}
        for root in self._roots:
            if root == self._root:
                return
            if _holds_transcripts(root, closed):
                self._root = root
                self._folders = {root: Folder(depth=0)}
                self.closed = {}
                return
        self.closed = closed

    def _list(self, path: str, folder: Folder) -> None:
        """List a folder again if it changed."""
        try:
            mtime_ns = os.stat(path).st_mtime_ns
            if folder.settled and mtime_ns == folder.mtime_ns:
                return
            with os.scandir(path) as listing:
                entries = list(listing)
        except OSError as exc:
            self._warm.pop(path, None)
            folder.mtime_ns, folder.settled = -1, False
            _note_closed(self.closed, path, exc)
            if path not in self.closed:
                self._folders.pop(path, None)
            if path == self._root:
                self._root = ""
            return
        self.closed.pop(path, None)
        folder.settled = time.time_ns() - mtime_ns > SETTLED_NS
        folder.mtime_ns = mtime_ns
        names = {entry.name for entry in entries}
        for entry in sorted(entries, key=lambda entry: entry.name):
            if entry.name.endswith(".jsonl") and entry.is_file(follow_symlinks=False):
                self._notice(entry.path)
            elif self._descends(folder, entry, names) and entry.path not in self._folders:
                below = self._folders[entry.path] = self._warm[entry.path] = Folder(depth=folder.depth + 1)
                self._list(entry.path, below)

    def _descends(self, folder: Folder, entry: os.DirEntry[str], names: set[str]) -> bool:
        """Whether a subfolder may hold transcripts; outside a projects folder only a session's own may."""
        if folder.depth >= MAX_DEPTH or len(self._folders) >= MAX_FOLDERS or not entry.is_dir(follow_symlinks=False):
            return False
        if entry.name == "tool-results":
            return False
        is_projects = self._root.endswith("/projects") or "/.claude/projects" in self._root
        return folder.depth > 0 or is_projects or f"{entry.name}.jsonl" in names

    def _notice(self, path: str, *, is_probe: bool = False) -> None:
        """Follow a file from where we left it, from its start when it is new, from its end when it is an old one."""
        if path in self.sources or path in self.resting:
            return
        try:
            status = os.stat(path, follow_symlinks=False)
        except OSError:
            return
        place = self._places.pop(path, None)
        ahead = self._ahead.pop(path, [])
        if place is not None and (place.inode != status.st_ino or status.st_size < place.at):
            self.lost += _known_behind(place)  # while we were away
        if place is None or place.inode != status.st_ino:
            ahead = []
            place = Place(status.st_ino, 0, 0)
            if status.st_mtime < self._old_before and not is_probe:
                self.skipped += 1
                place = _behind_history(path, status)
        if place.at == status.st_size and status.st_mtime < time.time() - COLD_S and not is_probe:
            self.resting[path] = place
            self.rested = True
        else:
            self._follow(path, place, status, is_probe=is_probe, ahead=ahead)

    def _follow(
        self, path: str, place: Place, status: os.stat_result, *, is_probe: bool = False, ahead: Iterable[int] = ()
    ) -> None:
        source = self.sources[path] = Source(path, place, is_dull=self._is_dull, is_probe=is_probe, ahead=ahead)
        source.observe(status)

    def _observe(self, path: str, source: Source) -> None:
        try:
            source.observe(os.stat(path, follow_symlinks=False))
        except OSError as exc:
            if not source.has_rows:
                del self.sources[path]
                if isinstance(exc, (FileNotFoundError, NotADirectoryError)):
                    self.lost += source.waiting
                else:
                    self._places[path] = source.place
        else:
            self.lost += source.lost
            source.lost = Loss()


def _known_behind(place: Place) -> Loss:
    return Loss(max(0, place.size - place.at), place.rows)


def _behind_history(path: str, status: os.stat_result) -> Place:
    """The place behind the complete rows of an old file; a row that was begun only may still be finished and shown."""
    try:
        descriptor = _opened(path)
    except OSError:
        return Place(status.st_ino, status.st_size, 0)
    try:
        begin = end = status.st_size
        line_feed = -1
        while begin > 0 and line_feed < 0:
            end, begin = begin, max(0, begin - CHUNK_BYTES)
            line_feed = os.pread(descriptor, end - begin, begin).rfind(b"\n")
        start = begin + line_feed + 1
        tail = os.pread(descriptor, min(status.st_size - start, MAX_ROW_BYTES), start)
    except OSError:
        return Place(status.st_ino, status.st_size, 0)
    finally:
        os.close(descriptor)
    try:
        json.loads(tail)  # the beginning of an object is never one itself
    except (ValueError, RecursionError):
        return Place(status.st_ino, start, 0, LINE_FEED)
    return Place(status.st_ino, start + len(tail), 0, tail[-1])


def _note_closed(closed: dict[str, str], path: str, exc: OSError) -> None:
    """Remember a folder that is there and cannot be looked into."""
    if not isinstance(exc, (FileNotFoundError, NotADirectoryError)) and len(closed) < MAX_FOLDERS:
        closed[path] = exc.strerror or type(exc).__name__
    else:
        closed.pop(path, None)


def _holds_transcripts(root: str, closed: dict[str, str]) -> bool:
    """Whether a folder holds a .jsonl file itself, or (for a projects folder) some levels below."""
    depth = MAX_DEPTH if root.endswith("/projects") or "/.claude/projects" in root else 0
    level, looked = [root], 0
    for _level in range(depth + 1):
        below: list[str] = []
        for folder in level:
            looked += 1
            if looked > MAX_FOLDERS:
                return False
            try:
                with os.scandir(folder) as listing:
                    for entry in listing:
                        if entry.name.endswith(".jsonl") and entry.is_file(follow_symlinks=False):
                            return True
                        if entry.is_dir(follow_symlinks=False):
                            below.append(entry.path)
            except OSError as exc:
                _note_closed(closed, folder, exc)
        level = below
    return False

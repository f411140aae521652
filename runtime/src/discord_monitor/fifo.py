# SPDX-License-Identifier: GPL-3.0-or-later
# SPDX-FileCopyrightText: 2026 The orchestrator.platform authors
"""The FIFO that the agent reads its input from: made when missing, held open while there is a reader, never waited for.

A writer that closes after each line would give the reader an end of file after each line, so the descriptor is kept.
"""

# The module os instead of pathlib saves 0.7 MiB in every agent's pod.
# ruff: noqa: PTH101

from __future__ import annotations

import contextlib
import errno
import os
import select
import stat
import threading
import time
from enum import Enum

MODE = 0o660  # bridge and agent share a group, not necessarily a user
WRITE_LIMIT_S = 2.0  # for a reader whose pipe is full


class State(Enum):
    """What is known of the FIFO."""

    READER = "reader"
    NO_READER = "no_reader"
    NOT_A_FIFO = "not_a_fifo"
    NO_FOLDER = "no_folder"  # not configured, or its folder cannot be written


class Written(Enum):
    """What became of a line."""

    DONE = "done"
    NO_READER = "no_reader"
    FULL = "full"  # the reader did not take it in time; nothing of it was written
    UNUSABLE = "unusable"


class Fifo:
    """One FIFO by path. Safe for several threads; `check` is to be called every now and then."""

    def __init__(self, path: str) -> None:
        self._path = path
        self._descriptor: int | None = None
        self._lock = threading.Lock()
        self.state = State.NO_FOLDER

    def check(self) -> State:
        """Make the FIFO if it is missing and connect to a reader that has come; never waits for one."""
        with self._lock:
            return self._check()

    def write(self, line: bytes) -> Written:
        """Write one line of at most framing.MAX_LINE_BYTES, whole or not at all, within WRITE_LIMIT_S."""
        with self._lock:
            if self._check() is not State.READER or self._descriptor is None:
                return Written.NO_READER if self.state is State.NO_READER else Written.UNUSABLE
            deadline = time.monotonic() + WRITE_LIMIT_S
            while True:
                try:
                    os.write(self._descriptor, line)
                except BlockingIOError:
                    left_s = deadline - time.monotonic()
                    if left_s <= 0:
                        return Written.FULL
                    # Writable means one free page, less than a line may need: look again soon.
                    select.select([], [self._descriptor], [], min(left_s, 0.1))
                    time.sleep(0.005)
                except OSError:
                    self._disconnect(State.NO_READER)
                    return Written.NO_READER
                else:
                    return Written.DONE

    def close(self) -> None:
        """Let go; the reader gets its end of file."""
        with self._lock:
            self._disconnect(State.NO_READER)

    def _check(self) -> State:
        if self._descriptor is not None and self._reader_left(self._descriptor):
            self._disconnect(State.NO_READER)
        if self._descriptor is None:
            self._connect()
        return self.state

    def _connect(self) -> None:
        if not self._path:
            self.state = State.NO_FOLDER
            return
        try:
            self._make()
            descriptor = os.open(self._path, os.O_WRONLY | os.O_NONBLOCK | os.O_CLOEXEC | os.O_NOFOLLOW)
        except OSError as exc:
            # ENXIO: nobody has it open for reading (fifo(7)).
            self.state = State.NO_READER if exc.errno == errno.ENXIO else State.NO_FOLDER
            return
        if not stat.S_ISFIFO(os.fstat(descriptor).st_mode):
            os.close(descriptor)
            self.state = State.NOT_A_FIFO
            return
        self._descriptor = descriptor
        self.state = State.READER

    def _make(self) -> None:
        """Make it unless it is there; either container may come first."""
        try:
            os.mkfifo(self._path, MODE)
        except FileExistsError:
            return
        with contextlib.suppress(OSError):
            os.chmod(self._path, MODE)  # mkfifo obeys the umask

    def _disconnect(self, state: State) -> None:
        if self._descriptor is not None:
            os.close(self._descriptor)
            self._descriptor = None
        self.state = state

    @staticmethod
    def _reader_left(descriptor: int) -> bool:
        poll = select.poll()
        poll.register(descriptor, 0)
        return any(events & (select.POLLERR | select.POLLNVAL) for _fd, events in poll.poll(0))

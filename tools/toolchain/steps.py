# SPDX-License-Identifier: GPL-3.0-or-later
# SPDX-FileCopyrightText: 2026 The orchestrator.platform authors
"""Runs programs and tells about it: a line a step, and a sign of life during long ones.

Everything a person reads goes to standard error; standard output belongs to the result.
"""

from __future__ import annotations

import collections
import contextlib
import ctypes
import fcntl
import os
import queue
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

from .errors import ToolboxError

HEARTBEAT_S = 20.0  # arbitrary: often enough to see that it lives, seldom enough to read
LOG_LINES = 25  # kept of a failing program's output
LOG_LINE_LENGTH = 500  # characters kept of one line
PR_SET_PDEATHSIG = 1  # linux/prctl.h
LIBC = ctypes.CDLL(None)


class Steps:
    """Counts the seconds of each step of one command and prints its progress."""

    def __init__(self) -> None:
        self.started = time.monotonic()
        self.seconds: dict[str, float] = {}

    def say(self, text: str) -> None:
        """Print one line, with the time since the command began."""
        print(f"[{time.monotonic() - self.started:6.1f} s] {text}", file=sys.stderr, flush=True)

    @contextlib.contextmanager
    def step(self, name: str, text: str) -> Iterator[None]:
        """Announce a step, and add its seconds under `name` however it ends."""
        self.say(text)
        begun = time.monotonic()
        try:
            yield
        finally:
            self.seconds[name] = round(self.seconds.get(name, 0.0) + time.monotonic() - begun, 1)


def run(
    argv: Sequence[str | Path],
    *,
    steps: Steps,
    failure: str,
    timeout_s: float,
    title: str = "",
    count: str = "",
    env: Mapping[str, str] | None = None,
    cwd: Path | None = None,
) -> list[str]:
    """Run a program to its end, and return the last lines it printed (both streams).

    Every HEARTBEAT_S a line with `title` is said; `count` names what a printed line stands for
    ("packages"), otherwise the last printed line is shown. Raises ToolboxError with `failure` as sentence
    when the program cannot be started, exits non-zero or takes longer than `timeout_s`.
    """
    tail: collections.deque[str] = collections.deque(maxlen=LOG_LINES)
    try:
        process = subprocess.Popen(
            [str(part) for part in argv],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            env=dict(env) if env is not None else None,
            cwd=cwd,
            preexec_fn=die_with_parent,  # noqa: PLW1509 - one system call, made ready before the fork
        )
    except OSError as exc:
        raise ToolboxError(failure, [str(exc)]) from exc
    lines: queue.SimpleQueue[str | None] = queue.SimpleQueue()
    threading.Thread(target=_read, args=(process, lines), daemon=True, name="reader").start()
    begun = said = time.monotonic()
    seen = 0
    try:
        while True:
            now = time.monotonic()
            if now - begun > timeout_s:
                raise ToolboxError(f"{failure} It took longer than {timeout_s:.0f} s.", list(tail))
            if title and now - said >= HEARTBEAT_S:
                said = now
                detail = f"{seen} {count}" if count else (tail[-1].strip() if tail else "running")
                steps.say(f"{title}: {detail}, {now - begun:.0f} s so far")
            try:
                line = lines.get(timeout=1)
            except queue.Empty:
                continue
            if line is None:
                break
            seen += 1
            tail.append(line)
        code = process.wait(timeout=30)
    finally:
        if process.poll() is None:
            process.kill()
            process.wait()
    if code != 0:
        raise ToolboxError(
            failure, [*tail, f"exit status {code} of {' '.join(str(part) for part in argv)[:LOG_LINE_LENGTH]}"]
        )
    return list(tail)


def die_with_parent() -> None:
    """Have the kernel end this process when ours is killed.

    Otherwise a `kind create` that outlives us would, on its way out, remove what the next run is making.
    """
    LIBC.prctl(PR_SET_PDEATHSIG, signal.SIGKILL)


def _read(process: subprocess.Popen[bytes], lines: queue.SimpleQueue[str | None]) -> None:
    assert process.stdout is not None  # noqa: S101 - Popen was asked for a pipe
    for line in process.stdout:
        lines.put(line.decode(errors="replace").rstrip()[:LOG_LINE_LENGTH])
    lines.put(None)


def ask(
    argv: Sequence[str | Path], *, timeout_s: float = 30, env: Mapping[str, str] | None = None, cwd: Path | None = None
) -> str | None:
    """Return a program's standard output, or None when it is absent, fails or does not answer in time."""
    try:
        done = subprocess.run(
            [str(part) for part in argv],
            stdin=subprocess.DEVNULL,
            capture_output=True,
            timeout=timeout_s,
            check=False,
            env=dict(env) if env is not None else None,
            cwd=cwd,
        )
    except (OSError, subprocess.TimeoutExpired):
        return None
    return done.stdout.decode(errors="replace") if done.returncode == 0 else None


@contextlib.contextmanager
def workplace(parent: Path, name: str) -> Iterator[Path]:
    """A folder to work in, gone afterwards, and so are those of killed runs: only for the holder of a lock."""
    parent.mkdir(parents=True, exist_ok=True)
    for leftover in parent.glob(f".{name}-work-*"):
        shutil.rmtree(leftover, ignore_errors=True)
    with tempfile.TemporaryDirectory(dir=parent, prefix=f".{name}-work-") as folder:
        yield Path(folder)


@contextlib.contextmanager
def locked(path: Path, *, steps: Steps, what: str) -> Iterator[None]:
    """Hold an exclusive lock; a second run waits for the first and says so.

    The kernel drops the lock with its process, so a killed run leaves none behind.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            holder = os.pread(descriptor, 20, 0).decode(errors="replace").strip()
            steps.say(f"{what}: another run (process {holder or 'unknown'}) is at it, waiting for it")
            fcntl.flock(descriptor, fcntl.LOCK_EX)
        os.ftruncate(descriptor, 0)
        os.pwrite(descriptor, str(os.getpid()).encode(), 0)
        yield
    finally:
        os.close(descriptor)

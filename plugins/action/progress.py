# SPDX-License-Identifier: GPL-3.0-or-later
# SPDX-FileCopyrightText: 2026 The orchestrator.platform authors

"""Runs a long command on the controller and shows its standard error line by line.

Documented in plugins/modules/progress.py. Knows nothing of what it runs.
"""

from __future__ import annotations

import collections
import contextlib
import os
import signal
import subprocess
import threading
import time
import typing as t
from pathlib import Path

from ansible.errors import AnsibleActionFail
from ansible.plugins.action import ActionBase
from ansible.utils.display import Display

STDOUT_LIMIT = 1 << 20  # bytes of the result that are kept
STDERR_LINES = 40
LINE_LENGTH = 500  # characters of one shown line
STOP_GRACE_S = 10  # between asking a program to end and ending it

ARGUMENT_SPEC: dict[str, dict[str, t.Any]] = {
    "argv": {"type": "list", "elements": "str", "required": True},
    "chdir": {"type": "path"},
    "creates": {"type": "path"},
    "environment_add": {"type": "dict", "default": {}},
    "timeout": {"type": "int", "default": 0},
}

display = Display()


class Outcome(t.NamedTuple):
    """How a program ended."""

    code: int
    stdout: str
    stderr_lines: list[str]
    seconds: float
    timed_out: bool


def follow(
    argv: list[str],
    *,
    show: t.Callable[[str], None],
    cwd: str | None,
    environment: dict[str, str],
    timeout_s: float,
) -> Outcome:
    """Run a program to its end, handing each line of its standard error to `show` at once.

    Raises OSError when it cannot be started. A program that exceeds `timeout_s` (0: no limit) is ended, and so is
    one whose caller is interrupted.
    """
    begun = time.monotonic()
    process = subprocess.Popen(  # noqa: S603 - an argument list, no shell
        argv,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        cwd=cwd,
        env=environment,
    )
    stdout: collections.deque[bytes] = collections.deque()
    reader = threading.Thread(target=_collect, args=(process.stdout, stdout), daemon=True)
    reader.start()
    expired = threading.Event()
    timer = threading.Timer(timeout_s, _expire, args=(process, expired)) if timeout_s > 0 else None
    if timer is not None:
        timer.daemon = True
        timer.start()
    tail: collections.deque[str] = collections.deque(maxlen=STDERR_LINES)
    try:
        for raw in t.cast("t.IO[bytes]", process.stderr):
            line = raw.decode(errors="replace").rstrip()[:LINE_LENGTH]
            tail.append(line)
            show(line)
        reader.join()
        code = process.wait()
    finally:
        if timer is not None:
            timer.cancel()
        if process.poll() is None:
            stop(process)
    return Outcome(
        code,
        b"".join(stdout).decode(errors="replace").rstrip("\n"),
        list(tail),
        round(time.monotonic() - begun, 1),
        expired.is_set(),
    )


def _collect(stream: t.IO[bytes] | None, into: collections.deque[bytes]) -> None:
    """Read to the end, so that the program never waits for us, and keep the last STDOUT_LIMIT bytes."""
    size = 0
    while stream is not None and (block := stream.read1(1 << 16)):  # type: ignore[attr-defined]
        into.append(block)
        size += len(block)
        while size - len(into[0]) >= STDOUT_LIMIT:
            size -= len(into.popleft())


def _expire(process: subprocess.Popen[bytes], expired: threading.Event) -> None:
    expired.set()
    stop(process)


def stop(process: subprocess.Popen[bytes]) -> None:
    """End the program: asked first, so that it can end what it started, forced after STOP_GRACE_S.

    It stays in the process group of Ansible's worker, which ends the whole group when the run is interrupted.
    """
    for number in (signal.SIGINT, signal.SIGKILL):
        process.send_signal(number)
        with contextlib.suppress(subprocess.TimeoutExpired):
            process.wait(timeout=STOP_GRACE_S)
            return


class ActionModule(ActionBase):  # type: ignore[misc]  # ansible-core has no types
    """The action."""

    _supports_check_mode = True
    _requires_connection = False

    def run(self, tmp: str | None = None, task_vars: dict[str, t.Any] | None = None) -> dict[str, t.Any]:
        """Validate, run, report; a program that fails makes the task fail with its last line as message."""
        result: dict[str, t.Any] = super().run(tmp, task_vars)
        _validation, options = self.validate_argument_spec(argument_spec=ARGUMENT_SPEC)
        argv: list[str] = options["argv"]
        if not argv:
            raise AnsibleActionFail("argv is empty: name the program to run and its arguments.")
        if options["creates"] and Path(options["creates"]).exists():
            return {**result, "changed": False, "skipped": False, "cmd": argv, "msg": f"{options['creates']} is there."}
        if self._task.check_mode:
            return {**result, "changed": True, "cmd": argv, "msg": "The program would be run."}
        return {**result, **self._follow(argv, options)}

    def _follow(self, argv: list[str], options: dict[str, t.Any]) -> dict[str, t.Any]:
        added = {str(name): str(value) for name, value in options["environment_add"].items()}
        try:
            outcome = follow(
                argv,
                show=lambda line: display.display(f"  {line}"),
                cwd=options["chdir"],
                environment={**os.environ, **added},
                timeout_s=options["timeout"],
            )
        except OSError as exc:
            raise AnsibleActionFail(
                f"{argv[0]} could not be started: {exc.strerror}. Check that it is there and executable."
            ) from exc
        result = {
            "changed": True,
            "cmd": argv,
            "rc": outcome.code,
            "stdout": outcome.stdout,
            "stderr_lines": outcome.stderr_lines,
            "seconds": outcome.seconds,
        }
        if outcome.timed_out:
            return {
                **result,
                "failed": True,
                "msg": f"{argv[0]} was ended because it took longer than {options['timeout']} s.",
            }
        if outcome.code != 0:
            last = next(
                (line for line in reversed(outcome.stderr_lines) if line),
                f"{argv[0]} ended with status {outcome.code}.",
            )
            return {**result, "failed": True, "msg": last.removeprefix("toolbox: ")}
        return result

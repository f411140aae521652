# SPDX-License-Identifier: GPL-3.0-or-later
# SPDX-FileCopyrightText: 2026 The orchestrator.platform authors
"""`discord-monitor probe`: proves that a line written now reaches Discord through the running watcher.

Run inside the watcher's container. It appends a line with a nonce to a transcript of its own below STATE_PATH, waits
for the watcher to leave the id of the confirmed message there, and deletes that message again.
"""

# The same imports as the watcher, which is measured.
# ruff: noqa: PTH103, PTH108, PTH116, PTH118, PTH123

from __future__ import annotations

import contextlib
import json
import os
import sys
import time
from typing import TYPE_CHECKING, NamedTuple

from discord_monitor.cursor import PROBE_FILE, PROBE_FOLDER
from discord_monitor.parsing import PROBE_TYPE
from discord_monitor.settings import WatcherSettings, watcher_settings

if TYPE_CHECKING:
    from collections.abc import Mapping

DEFAULT_TIMEOUT_S = 30.0
LOOK_S = 0.05
MAX_FILE_BYTES = 64 * 1024  # then the probe's transcript is begun anew


class Outcome(NamedTuple):
    """What is printed. `reason` is one sentence when it was not delivered."""

    delivered: bool
    seconds: float
    message_id: str = ""
    reason: str = ""
    deleted: bool = False


def main(arguments: list[str], env: Mapping[str, str]) -> int:
    """Print one JSON line; 0 when delivered, 1 when not, 2 on wrong usage."""
    timeout_s = _timeout_s(arguments)
    if timeout_s is None:
        sys.stderr.write("usage: discord-monitor probe [--timeout SECONDS]\n")
        return 2
    outcome = run(watcher_settings(env), timeout_s=timeout_s)
    shown: dict[str, object] = {"delivered": outcome.delivered, "seconds": round(outcome.seconds, 3)}
    if outcome.delivered:
        shown |= {"message_id": outcome.message_id, "deleted": outcome.deleted}
    else:
        shown["reason"] = outcome.reason
    sys.stdout.write(json.dumps(shown) + "\n")
    return 0 if outcome.delivered else 1


def run(settings: WatcherSettings, *, timeout_s: float) -> Outcome:
    """Send one line through. Never raises for a missing watcher, an outage or a folder that cannot be written."""
    began, began_at = time.monotonic(), time.time()
    if not settings.webhook_url:
        return Outcome(delivered=False, seconds=0.0, reason=settings.webhook_problem)
    folder = os.path.join(settings.state_path, PROBE_FOLDER)
    nonce = os.urandom(12).hex()
    answer = os.path.join(folder, f"{nonce}.json")
    try:
        _append(folder, nonce, began_at, expires=began_at + timeout_s)
    except OSError as exc:
        reason = f"the probe's line cannot be written below STATE_PATH: {exc.strerror}"
        return Outcome(delivered=False, seconds=time.monotonic() - began, reason=reason)
    # The HTTP client is loaded while the line is under way: with a tenth of a core that takes half a second.
    from discord_monitor.delivery import Webhook  # noqa: PLC0415

    confirmed = None
    while confirmed is None and time.monotonic() - began < timeout_s:
        confirmed = _confirmed(answer)
        if confirmed is None:
            time.sleep(LOOK_S)
    if confirmed is None:
        return Outcome(delivered=False, seconds=time.monotonic() - began, reason=_why(settings, timeout_s))
    message_id, thread_id, at = confirmed
    with contextlib.suppress(OSError):
        os.unlink(answer)
    deleted = bool(message_id) and Webhook(settings.webhook_url).delete(message_id, thread_id=thread_id)
    return Outcome(delivered=True, seconds=max(at - began_at, 0.0), message_id=message_id, deleted=deleted)


def _timeout_s(arguments: list[str]) -> float | None:
    if not arguments:
        return DEFAULT_TIMEOUT_S
    text = arguments[0].removeprefix("--timeout=") if len(arguments) == 1 else arguments[-1]
    if len(arguments) > 2 or (len(arguments) == 2 and arguments[0] != "--timeout"):
        return None
    try:
        value = float(text)
    except ValueError:
        return None
    return value if 0 < value <= 3600 else None


def _append(folder: str, nonce: str, now: float, *, expires: float) -> None:
    os.makedirs(folder, mode=0o770, exist_ok=True)
    stamp = time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(now)) + f".{int(now * 1000) % 1000:03d}Z"
    row = {"type": PROBE_TYPE, "timestamp": stamp, "uuid": nonce, "nonce": nonce, "expires": expires}
    path = os.path.join(folder, PROBE_FILE)
    with contextlib.suppress(FileNotFoundError):
        if os.stat(path).st_size > MAX_FILE_BYTES:
            os.unlink(path)
    descriptor = os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC, 0o640)
    try:
        os.write(descriptor, json.dumps(row).encode() + b"\n")
    finally:
        os.close(descriptor)


def _confirmed(path: str) -> tuple[str, str, float] | None:
    """The ids of message and thread, once the watcher has left them, and when that was in seconds since 1970."""
    try:
        with open(path, encoding="utf-8") as file:
            ids = json.load(file)
            return str(ids["message_id"]), str(ids["thread_id"]), os.fstat(file.fileno()).st_mtime
    except (OSError, ValueError, KeyError, TypeError):
        return None


def _why(settings: WatcherSettings, timeout_s: float) -> str:
    """One sentence from the watcher's own health."""
    from discord_monitor.healthcheck import ask  # noqa: PLC0415 - needed in this case alone

    try:
        _status, line = ask("127.0.0.1", settings.health_port)
        health = json.loads(line)
        reason = health["reason"] or f"{health['backlog_bytes']} bytes of transcript are still before it"
    except OSError:
        return f"the watcher does not answer on port {settings.health_port}"
    except (ValueError, KeyError, TypeError):
        return "the watcher's health cannot be read"
    return f"not delivered within {timeout_s:g} s: {reason}"

# SPDX-License-Identifier: GPL-3.0-or-later
# SPDX-FileCopyrightText: 2026 The orchestrator.platform authors
"""Real programs and a real fake Discord on loopback, for the tests. Waits are for conditions, never for time."""

from __future__ import annotations

import http.client
import json
import os
import signal
import socket
import subprocess
import sys
import threading
import time
import urllib.error
import urllib.request
import uuid
from pathlib import Path

from platform_demo.fake_discord import FakeDiscord, make_server

SRC = Path(__file__).parent.parent / "src"
TOKEN = "t0ken-for-tests-" + "a" * 24
# No test judges how long something took: this only ends a wait for what will not happen any more.
PATIENCE_S = 60.0
# Characters for generated texts: all that is awkward somewhere. A fixed list, as Hypothesis takes long to index Unicode.
AWKWARD = "aZ0_ \n\r\t`*@<>&\"'\\/:{}[]ü߀中🙂\u200b\u2028\x00\x1b\x7f\x85\ud83d\ude42"


_KEPT_PORTS: list[socket.socket] = []


def free_port() -> int:
    """A port nobody listens on, kept for this test process until it ends.

    A socket that is bound and does not listen keeps it: the kernel gives the port to nobody who asks for any free one,
    while a program that sets SO_REUSEADDR, as all of ours do, may still listen there (socket(7)).
    """
    keeper = socket.socket()
    keeper.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    keeper.bind(("127.0.0.1", 0))
    _KEPT_PORTS.append(keeper)
    return keeper.getsockname()[1]


def wait_for(condition, *, what: str, patience_s: float = PATIENCE_S):
    """The first true value of `condition`; fails with `what` when it does not come."""
    deadline = time.monotonic() + patience_s
    while True:
        value = condition()
        if value:
            return value
        if time.monotonic() > deadline:
            raise AssertionError(f"did not happen within {patience_s:g} s: {what}")
        time.sleep(0.02)


def get(url: str, *, data: bytes | None = None, method: str | None = None, headers: dict[str, str] | None = None):
    """Status and body (JSON where it is) of one request."""
    request = urllib.request.Request(url, data=data, method=method, headers=headers or {})
    try:
        with urllib.request.urlopen(request, timeout=PATIENCE_S) as answer:
            status, body = answer.status, answer.read()
    except urllib.error.HTTPError as exc:
        with exc:
            status, body = exc.code, exc.read()
    try:
        return status, json.loads(body)
    except ValueError:
        return status, body.decode()


class Discord:
    """A fake Discord inside the test process."""

    def __init__(self, *, bucket=None, bot_token_sha256: str = "", port: int = 0, tls=None) -> None:
        self.fake = FakeDiscord(bucket=bucket, bot_token_sha256=bot_token_sha256)
        self.under_way = 0
        self._counting = threading.Lock()
        self._answer, self.fake.answer = self.fake.answer, self._counted
        self._server = make_server(port, self.fake, address="127.0.0.1")
        if tls is not None:
            self._server.socket = tls.wrap_socket(self._server.socket, server_side=True)
        self.port = self._server.server_address[1]
        self.base = f"http://127.0.0.1:{self.port}"
        self.api = f"{self.base}/api/v10"
        self.webhook_url = f"{self.api}/webhooks/1/{TOKEN}"
        self.forum_url = f"{self.api}/webhooks/500000001/{TOKEN}"
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.02,), daemon=True)
        self._thread.start()

    def control(self, **switches) -> None:
        """Switch a fault on or off."""
        status, body = get(f"{self.base}/control", data=json.dumps(switches).encode())
        assert status == 200, body

    def messages(self) -> list[dict]:
        """What arrived, in order."""
        return self.fake.guild.messages()

    def embeds(self) -> list[dict]:
        """All embeds in order."""
        return [embed for message in self.messages() for embed in message["embeds"]]

    def texts(self) -> list[str]:
        """The descriptions in order."""
        return [embed.get("description", "") for embed in self.embeds()]

    def thread_names(self) -> dict[str, str]:
        """Names of the threads by id, in the order they were opened."""
        with self.fake.guild.lock:
            return {thread: self.fake.guild.channels[thread] for thread in self.fake.guild.threads}

    def has(self, text: str) -> bool:
        """Whether any embed holds the text."""
        return text in json.dumps(self.embeds(), ensure_ascii=False)

    def _counted(self, call):
        with self._counting:
            self.under_way += 1
        try:
            return self._answer(call)
        finally:
            with self._counting:
                self.under_way -= 1

    def let_finish(self) -> None:
        """Wait for requests under way: one of a killed program is carried out all the same, and arrives after it."""
        wait_for(lambda: self.under_way == 0, what="no request is under way")

    def answered(self, status: int | str) -> int:
        """How many API requests were answered so."""
        return self.fake.guild.statuses[str(status)]

    def close(self) -> None:
        """Stop listening."""
        self._server.shutdown()
        self._server.server_close()


class Program:
    """One of our programs as a process of its own."""

    def __init__(self, *arguments: str, env: dict[str, str], log: Path, prefix: tuple[str, ...] = ()) -> None:
        self.log_path = log
        clean = {"PATH": os.environ["PATH"], "PYTHONPATH": str(SRC), "PYTHONDONTWRITEBYTECODE": "1", **env}
        with log.open("ab") as file:
            command = [*prefix, sys.executable, "-m", "discord_monitor", *arguments]
            self.process = subprocess.Popen(command, env=clean, stderr=file, stdout=file)

    def log(self) -> str:
        """Everything it wrote."""
        return self.log_path.read_text()

    def stop(self) -> int:
        """SIGTERM and its exit status."""
        self.process.send_signal(signal.SIGTERM)
        return self.process.wait(PATIENCE_S)

    def kill(self) -> None:
        """SIGKILL."""
        self.process.kill()
        self.process.wait(PATIENCE_S)


class Watcher(Program):
    """`watch` over a home folder of its own."""

    def __init__(self, home: Path, *, webhook_url: str, port: int, prefix: tuple[str, ...] = (), **env: str) -> None:
        self.port = port
        settings = {"WORKSPACE_PATH": str(home / ".claude"), "STATE_PATH": str(home / "state"), "HOME": str(home)}
        settings |= {
            "HEALTH_PORT": str(port),
            "POLL_INTERVAL": "20",
            "RATE_LIMIT": "50",
            "PARITY_MODE": "true",
            "SESSION_SUMMARY": "false",
            "PRESSURE_SECONDS": "86400",  # tests of order: what is urgent does not go ahead because a machine is slow
        }
        self.env = settings | {"DISCORD_WEBHOOK_URL": webhook_url} | env
        super().__init__("watch", env=self.env, log=home / "watcher.log", prefix=prefix)

    def health(self):
        """Status and JSON of /healthz; (0, {}) while it does not answer."""
        try:
            return get(f"http://127.0.0.1:{self.port}/healthz")
        except (OSError, http.client.HTTPException):
            return 0, {}

    def metric(self, name: str) -> float:
        """One figure of /metrics."""
        _status, page = get(f"http://127.0.0.1:{self.port}/metrics")
        return next(
            float(line.split()[-1]) for line in page.splitlines() if line.startswith(f"discord_monitor_{name} ")
        )


class Session:
    """One transcript file and rows for it."""

    def __init__(self, home: Path, name: str = "session-1") -> None:
        self.id = name
        self.path = home / ".claude" / "projects" / "-workspace" / f"{name}.jsonl"
        self.path.parent.mkdir(parents=True, exist_ok=True)

    def say(self, *texts: str) -> None:
        """Append assistant texts, a row each."""
        self.append(*(row(text, session=self.id) for text in texts))

    def append(self, *rows: dict) -> None:
        """Append rows in one write."""
        self.raw(b"".join(json.dumps(each).encode() + b"\n" for each in rows))

    def raw(self, data: bytes) -> None:
        """Append bytes."""
        with self.path.open("ab") as file:
            file.write(data)


def row(text: str, *, kind: str = "assistant", session: str = "session-1", **more) -> dict:
    """A row with one text."""
    stamp = time.strftime("%Y-%m-%dT%H:%M:%S.000Z", time.gmtime())
    message = {"role": kind, "content": [{"type": "text", "text": text}]}
    return {
        "type": kind,
        "uuid": str(uuid.uuid4()),
        "timestamp": stamp,
        "sessionId": session,
        "message": message,
    } | more

# SPDX-License-Identifier: GPL-3.0-or-later
# SPDX-FileCopyrightText: 2026 The orchestrator.platform authors
"""The controller as a process of this machine, in front of the real API server, behind a relay that can cut it off.

The relay stands between the controller and `kubectl proxy`: it counts the writes, and at a chosen one it kills the
controller, before the write reaches the API server or right after, so that no answer ever comes back.
"""

from __future__ import annotations

import contextlib
import http.client
import http.server
import json
import os
import re
import signal
import socket
import subprocess
import sys
import threading
import time
import urllib.error
import urllib.request
from pathlib import Path
from typing import Any

from real_cluster import ROOT, Cluster

Json = dict[str, Any]

WRITES = ("POST", "PATCH", "PUT", "DELETE")
READY_S = 90.0
TOKEN = "token-of-the-tests"


class ApiProxy:
    """`kubectl proxy` on a free port of loopback; it may be taken away and brought back on the same port."""

    def __init__(self, cluster: Cluster) -> None:
        self._cluster = cluster
        self.port = 0
        self.start()

    def start(self) -> None:
        argv = ["kubectl", "proxy", f"--port={self.port}", "--address=127.0.0.1"]
        self.process = subprocess.Popen(argv, env=self._cluster.env, stdout=subprocess.PIPE, text=True)
        assert self.process.stdout is not None
        line = self.process.stdout.readline()  # Starting to serve on 127.0.0.1:40123
        found = re.search(r":(\d+)\s*$", line)
        assert found, f"kubectl proxy said {line!r}"
        self.port = int(found[1])

    def read(self, path: str) -> Json | None:
        """A GET; None for what is not there. It costs a hundredth of a kubectl, which counts where many wait at once."""
        try:
            with urllib.request.urlopen(f"http://127.0.0.1:{self.port}{path}", timeout=60) as answer:
                found: Json = json.load(answer)
                return found
        except urllib.error.HTTPError as exc:
            with exc:
                if exc.code == 404:
                    return None
                raise

    def stop(self) -> None:
        self.process.terminate()
        self.process.wait()
        if self.process.stdout is not None:
            self.process.stdout.close()


class Relay:
    """Passes every request on; `on_write` is asked at each write and may say to kill before or after it."""

    def __init__(self, upstream: int) -> None:
        self.upstream = upstream
        self.writes: list[str] = []  # "<verb> <path>" of each write that was passed on or cut off
        self.kill_at = 0  # number of the write, from 1; 0: none
        self.kill_before = False
        self.victim: Controller | None = None
        self.expire_watches = 0  # so many watches are answered with 410 Gone
        self._lock = threading.Lock()
        relay = self

        class Handler(http.server.BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def handle(self) -> None:
                with contextlib.suppress(ConnectionError, TimeoutError):
                    super().handle()

            def do_any(self) -> None:
                with contextlib.suppress(ConnectionError, http.client.HTTPException):
                    relay.passed_on(self)

            do_GET = do_POST = do_PATCH = do_PUT = do_DELETE = do_any  # noqa: N815

            def log_message(self, *_arguments: Any) -> None:
                """Say nothing."""

        self._server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._server.daemon_threads = True
        self.port = self._server.server_address[1]
        threading.Thread(target=self._server.serve_forever, daemon=True).start()

    def arm(self, victim: Controller, *, number: int, before: bool) -> None:
        """Kill at that write, counted from now."""
        with self._lock:
            self.writes.clear()
            self.victim, self.kill_at, self.kill_before = victim, number, before

    def passed_on(self, handler: http.server.BaseHTTPRequestHandler) -> None:
        body = handler.rfile.read(int(handler.headers.get("Content-Length") or 0))
        kill = before = False
        if handler.command in WRITES:
            with self._lock:
                self.writes.append(f"{handler.command} {handler.path}")
                kill = self.kill_at == len(self.writes)
                before = self.kill_before
        if kill and before and self.victim is not None:
            self.victim.kill()
            return
        if "watch=true" in handler.path and self.expire_watches:
            self.expire_watches -= 1
            self._gone(handler)
            return
        upstream = http.client.HTTPConnection("127.0.0.1", self.upstream, timeout=300)
        try:
            headers = {k: v for k, v in handler.headers.items() if k.lower() not in ("host", "connection")}
            upstream.request(handler.command, handler.path, body=body, headers=headers)
            response = upstream.getresponse()
            if kill and self.victim is not None:
                response.read()  # the API server has carried it out
                self.victim.kill()
                return
            self._answer(handler, response)
        except (ConnectionError, http.client.HTTPException):
            handler.close_connection = True
        finally:
            upstream.close()

    def _answer(self, handler: http.server.BaseHTTPRequestHandler, response: http.client.HTTPResponse) -> None:
        handler.send_response(response.status)
        handler.send_header("Content-Type", response.headers.get("Content-Type", "application/json"))
        if "watch=true" in handler.path:
            handler.send_header("Connection", "close")
            handler.end_headers()
            handler.close_connection = True
            while part := response.read1(65_536):
                handler.wfile.write(part)
                handler.wfile.flush()
            return
        content = response.read()
        handler.send_header("Content-Length", str(len(content)))
        handler.end_headers()
        handler.wfile.write(content)

    def _gone(self, handler: http.server.BaseHTTPRequestHandler) -> None:
        """What the API server says about a version that it does not remember."""
        status = {"kind": "Status", "code": 410, "reason": "Expired", "message": "too old resource version"}
        content = json.dumps({"type": "ERROR", "object": status}).encode() + b"\n"
        handler.send_response(200)
        handler.send_header("Content-Length", str(len(content)))
        handler.end_headers()
        handler.wfile.write(content)

    def close(self) -> None:
        self._server.shutdown()
        self._server.server_close()


class Controller:
    """The program from the checkout, in one namespace, with a configuration that a test may change under it."""

    def __init__(self, folder: Path, namespace: str, api_port: int, *, templates: Path) -> None:
        self.folder = folder
        self.config_file = folder / "config.yaml"
        self.log_file = folder / "log"
        self.namespace = namespace
        self._api_port = api_port
        self._templates = templates
        (folder / "token").write_text(TOKEN, encoding="utf-8")
        self.process: subprocess.Popen[bytes] | None = None
        self.port = 0

    def configure(self, config: Json) -> None:
        """Put a new configuration in place at once, as the kubelet does."""
        fresh = self.config_file.with_suffix(".new")
        fresh.write_text(json.dumps(config), encoding="utf-8")
        fresh.replace(self.config_file)

    def use_templates(self, folder: Path) -> None:
        """Other templates, from the next start on."""
        self._templates = folder

    def start(self) -> None:
        """Start it; `until_ready` waits for it."""
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            self.port = probe.getsockname()[1]
        env = {
            "PATH": os.environ["PATH"],
            "PYTHONPATH": str(ROOT / "runtime" / "src"),
            "KUBERNETES_API_URL": f"http://127.0.0.1:{self._api_port}",
            "KUBERNETES_NAMESPACE": self.namespace,
            "SERVER_HOST": "127.0.0.1",
            "SERVER_PORT": str(self.port),
            "CONFIG_FILE": str(self.config_file),
            "TEMPLATES_FOLDER": str(self._templates),
            "API_TOKEN_FILE": str(self.folder / "token"),
        }
        with self.log_file.open("ab") as log:
            self.process = subprocess.Popen([sys.executable, "-m", "orchestrator"], env=env, stderr=log, stdout=log)

    def kill(self) -> None:
        """SIGKILL: nothing is finished, nobody is told."""
        if self.process is not None and self.process.poll() is None:
            self.process.send_signal(signal.SIGKILL)
            self.process.wait()

    def stop(self) -> int:
        """SIGTERM, and its exit status."""
        assert self.process is not None
        self.process.terminate()
        return self.process.wait(timeout=60)

    @property
    def is_dead(self) -> bool:
        """Whether the process has ended."""
        return self.process is None or self.process.poll() is not None

    def log(self) -> str:
        """Everything it wrote."""
        return self.log_file.read_text(encoding="utf-8") if self.log_file.exists() else ""

    def ask(self, path: str, body: Json | None = None, *, token: str = TOKEN) -> tuple[int, Json]:
        """Status and content of one request."""
        data = None if body is None else json.dumps(body).encode()
        headers = {"Authorization": f"Bearer {token}"}
        request = urllib.request.Request(f"http://127.0.0.1:{self.port}{path}", data=data, headers=headers)
        try:
            with urllib.request.urlopen(request, timeout=30) as answer:
                return answer.status, json.loads(answer.read())
        except urllib.error.HTTPError as exc:
            with exc:
                return exc.code, json.loads(exc.read())

    def until_ready(self) -> None:
        """Wait for /ready."""
        deadline = time.monotonic() + READY_S
        while True:
            try:
                status, content = self.ask("/ready")
            except OSError as exc:
                status, content = 0, {"error": str(exc)}
            if status == 200:
                return
            assert not self.is_dead, self.log()[-3000:]
            assert time.monotonic() < deadline, f"not ready: {content}\n{self.log()[-3000:]}"
            time.sleep(0.1)

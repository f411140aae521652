# SPDX-License-Identifier: GPL-3.0-or-later
# SPDX-FileCopyrightText: 2026 The orchestrator.platform authors
"""An HTTP server on loopback that says what a test has written down, and the real transport that asks it."""

from __future__ import annotations

import base64
import hashlib
import json
import threading
import types
import typing as t
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import parse_qs, urlsplit

from ansible_collections.kubernetes.core.plugins.module_utils.args_common import AUTH_ARG_SPEC
from ansible_collections.orchestrator.platform.plugins.module_utils._cluster import Cluster


class Ended(t.NamedTuple):
    """The answer to a command in a container that ends so, without a code in a connection that breaks.

    After `cut` bytes of it nothing more is sent, and the connection stays open.
    """

    code: int | None
    stderr: str = ""
    cut: int | None = None

    def frames(self) -> bytes:
        """Standard error and the status, as websocket frames of the protocol v4.channel.k8s.io."""
        failure = {"status": "Failure", "details": {"causes": [{"reason": "ExitCode", "message": str(self.code)}]}}
        status = json.dumps(failure if self.code else {"status": "Success"})
        sent = _frame(2, b"\x02" + self.stderr.encode()) + _frame(2, b"\x03" + status.encode())
        if self.code is None:
            return _frame(2, b"\x02" + self.stderr.encode())
        return (sent + _frame(8, (1000).to_bytes(2)))[: self.cut]


def _frame(opcode: int, payload: bytes) -> bytes:
    size = len(payload)
    return bytes([0x80 | opcode]) + (bytes([size]) if size < 126 else b"\x7e" + size.to_bytes(2)) + payload


class Server:
    """Gives scripted answers by path, in order; the last one stays. A subclass may answer by `reply` instead.

    An answer of None hangs up without a word; one with a Content-Length longer than its text and `Connection: close`
    hangs up in the middle.
    """

    def __init__(self) -> None:
        self.answers: dict[str, list[tuple[int, str, dict] | Ended | None]] = {}
        self.over = threading.Event()
        self.seen: list[tuple[str, str, dict, dict, bytes]] = []
        outer = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def answer(self) -> None:
                url = urlsplit(self.path)
                body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
                outer.seen.append((self.command, url.path, parse_qs(url.query), dict(self.headers), body))
                found = outer.reply(self.command, url.path, parse_qs(url.query))
                if found is None:
                    self.close_connection = True
                    return
                if isinstance(found, Ended):
                    self.run(found)
                    return
                status, text, headers = found
                self.send_response_only(status)
                stated = {"Date": self.date_time_string(), "Content-Length": str(len(text.encode())), **headers}
                for name, value in stated.items():
                    self.send_header(name, value)
                self.end_headers()
                self.wfile.write(text.encode())

            def run(self, found: Ended) -> None:
                key = self.headers["Sec-WebSocket-Key"] + "258EAFA5-E914-47DA-95CA-C5AB0DC85B11"
                self.send_response_only(101)
                self.send_header("Upgrade", "websocket")
                self.send_header("Connection", "Upgrade")
                self.send_header("Sec-WebSocket-Accept", base64.b64encode(hashlib.sha1(key.encode()).digest()).decode())
                self.send_header("Sec-WebSocket-Protocol", "v4.channel.k8s.io")
                self.end_headers()
                self.wfile.write(found.frames())
                if found.cut is not None:
                    outer.over.wait()
                self.close_connection = True

            do_GET = do_PATCH = do_POST = do_DELETE = answer  # noqa: N815

            def log_message(self, *_args) -> None:
                pass

        self.http = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        threading.Thread(target=self.http.serve_forever, daemon=True).start()
        self.url = f"http://127.0.0.1:{self.http.server_address[1]}"

    def say(self, path: str, *answers: tuple | None) -> None:
        """The answers to this path: status, a JSON body, and headers where there are any; or how a command ended."""
        self.answers[path] = [
            (item[0], json.dumps(item[1]), item[2] if len(item) > 2 else {})
            if item and not isinstance(item, Ended)
            else item
            for item in answers
        ]

    def reply(self, _method: str, path: str, _query: dict) -> tuple[int, str, dict] | Ended | None:
        """The next answer to this path."""
        queue = self.answers[path]
        return queue.pop(0) if len(queue) > 1 else queue[0]

    def close(self) -> None:
        """Ends the server; whoever still waits for an answer is not waited for."""
        self.over.set()
        self.http.shutdown()
        self.http.server_close()


def cluster_at(url: str, *, options: dict | None = None, **auth) -> Cluster:
    params = {**dict.fromkeys(AUTH_ARG_SPEC), "host": url, "api_key": "bearer-canary", **auth}
    module = types.SimpleNamespace(params=params, requires=lambda *_a: None, server_side_dry_run=False)
    return Cluster(module, threads=4, **(options or {}))

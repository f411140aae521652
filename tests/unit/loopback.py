# SPDX-License-Identifier: GPL-3.0-or-later
# SPDX-FileCopyrightText: 2026 The orchestrator.platform authors
"""An HTTP server on loopback that says what a test has written down, and the real transport that asks it."""

from __future__ import annotations

import json
import threading
import types
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import parse_qs, urlsplit

from ansible_collections.kubernetes.core.plugins.module_utils.args_common import AUTH_ARG_SPEC
from ansible_collections.orchestrator.platform.plugins.module_utils._cluster import Cluster


class Server:
    """Gives scripted answers by path, in order; the last one stays. A subclass may answer by `reply` instead.

    An answer of None hangs up without a word; one with a Content-Length longer than its text and `Connection: close`
    hangs up in the middle.
    """

    def __init__(self) -> None:
        self.answers: dict[str, list[tuple[int, str, dict] | None]] = {}
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
                status, text, headers = found
                self.send_response_only(status)
                stated = {"Date": self.date_time_string(), "Content-Length": str(len(text.encode())), **headers}
                for name, value in stated.items():
                    self.send_header(name, value)
                self.end_headers()
                self.wfile.write(text.encode())

            do_GET = do_PATCH = do_POST = do_DELETE = answer  # noqa: N815

            def log_message(self, *_args) -> None:
                pass

        self.http = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        threading.Thread(target=self.http.serve_forever, daemon=True).start()
        self.url = f"http://127.0.0.1:{self.http.server_address[1]}"

    def say(self, path: str, *answers: tuple | None) -> None:
        """The answers to this path: status, a JSON body, and headers where there are any."""
        self.answers[path] = [
            (item[0], json.dumps(item[1]), item[2] if len(item) > 2 else {}) if item else None for item in answers
        ]

    def reply(self, _method: str, path: str, _query: dict) -> tuple[int, str, dict] | None:
        """The next answer to this path."""
        queue = self.answers[path]
        return queue.pop(0) if len(queue) > 1 else queue[0]

    def close(self) -> None:
        """Ends the server; whoever still waits for an answer is not waited for."""
        self.http.shutdown()
        self.http.server_close()


def cluster_at(url: str, *, options: dict | None = None, **auth) -> Cluster:
    params = {**dict.fromkeys(AUTH_ARG_SPEC), "host": url, "api_key": "bearer-canary", **auth}
    module = types.SimpleNamespace(params=params, requires=lambda *_a: None, server_side_dry_run=False)
    return Cluster(module, threads=4, **(options or {}))

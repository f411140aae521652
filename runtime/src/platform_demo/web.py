# SPDX-License-Identifier: GPL-3.0-or-later
# SPDX-FileCopyrightText: 2026 The orchestrator.platform authors
"""The small HTTP server that the stand-ins share; knows none of them. A site answers calls, one thread a connection."""

from __future__ import annotations

import json
import sys
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import TYPE_CHECKING, NamedTuple, Protocol
from urllib.parse import parse_qsl, urlsplit

if TYPE_CHECKING:
    from collections.abc import Mapping

MAX_BODY_BYTES = 8 * 1024 * 1024


class Reply(NamedTuple):
    """An answer; `content` None has no body."""

    status: int
    content: object = None
    headers: Mapping[str, str] = {}
    raw: bytes | None = None


class Call(NamedTuple):
    """A request."""

    method: str
    path: str
    query: dict[str, str]
    headers: Mapping[str, str]
    body: bytes

    def json(self) -> object:
        """The body as JSON; None when it is not."""
        try:
            return json.loads(self.body)
        except ValueError:
            return None

    def field(self, name: str) -> object:
        """One field of a JSON object in the body; None when there is none."""
        content = self.json()
        return content.get(name) if isinstance(content, dict) else None


class Site(Protocol):
    """What a server serves."""

    def answer(self, call: Call) -> Reply | None:
        """The answer to a request; None closes the connection without one."""


class Handler(BaseHTTPRequestHandler):
    """HTTP/1.1 with kept connections around a site."""

    protocol_version = "HTTP/1.1"
    server_version = "platform-demo"
    timeout = 120
    site: Site
    # Headers and body in two small segments would wait for each other (Nagle and delayed acknowledgement): 40 ms.
    disable_nagle_algorithm = True

    def _body(self) -> bytes | None:
        """Read the request's body, also in chunks, as the API server's proxy sends it; None when it is too large."""
        if "chunked" not in (self.headers.get("Transfer-Encoding") or "").lower():
            length = int(self.headers.get("Content-Length") or 0)
            return self.rfile.read(length) if length <= MAX_BODY_BYTES else None
        body = b""
        while size := int(self.rfile.readline(64).split(b";")[0], 16):
            if len(body) + size > MAX_BODY_BYTES:
                return None
            body += self.rfile.read(size)
            self.rfile.readline(2)
        self.rfile.readline(2)
        return body

    def _serve(self) -> None:
        content = self._body()
        if content is None:
            self.close_connection = True
            self.send_error(413)
            return
        parts = urlsplit(self.path)
        headers = {name.lower(): value for name, value in self.headers.items()}
        call = Call(self.command, parts.path, dict(parse_qsl(parts.query)), headers, content)
        reply = self.site.answer(call)
        if reply is None:
            self.close_connection = True
            return
        body = reply.raw if reply.raw is not None else b""
        if reply.content is not None:
            body = json.dumps(reply.content).encode()
        self.send_response(reply.status)
        for name, value in {"Content-Type": "application/json", **reply.headers}.items():
            self.send_header(name, value)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    do_GET = do_POST = do_PUT = do_DELETE = do_PATCH = _serve  # noqa: N815 - names that http.server looks for

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002
        """Silent: a request line may hold a token."""


class Server(ThreadingHTTPServer):
    """Threads that end with the program."""

    daemon_threads = True
    request_queue_size = 128

    def handle_error(self, request: object, client_address: object) -> None:
        """A client that went away is nothing to report."""
        if not isinstance(sys.exception(), OSError):
            super().handle_error(request, client_address)  # type: ignore[arg-type]


def make_server(port: int, site: Site, *, address: str = "") -> Server:
    """A listening server; port 0 takes a free one."""
    handler = type("BoundHandler", (Handler,), {"site": site})
    return Server((address, port), handler)

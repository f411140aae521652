# SPDX-License-Identifier: GPL-3.0-or-later
# SPDX-FileCopyrightText: 2026 The orchestrator.platform authors
"""A small HTTP/1.1 server for health, metrics and our few API routes; one thread a connection, all sizes bounded.

Not http.server: that costs 1.5 MiB in every agent's pod for features we do not want.
"""

from __future__ import annotations

import contextlib
import json
import socket
import threading
import time
from typing import TYPE_CHECKING, NamedTuple
from urllib.parse import parse_qsl, unquote, urlsplit

if TYPE_CHECKING:
    from collections.abc import Callable

MAX_HEAD_BYTES = 16 * 1024
MAX_CONNECTIONS = 16  # at once; further ones wait in the backlog of the socket
REQUEST_LIMIT_S = 5.0  # for the next bytes of a request
WHOLE_LIMIT_S = 20.0  # for all of them: who sends a byte a second would hold a connection for hours
ACCEPT_PAUSE_S = 0.1  # after a connection that could not be taken; an arbitrary choice
THREAD_STACK_BYTES = 1024 * 1024  # address space, not memory; the default of 8 MiB counts in some quotas

REASONS = {
    200: "OK", 201: "Created", 204: "No Content", 400: "Bad Request", 401: "Unauthorized", 403: "Forbidden",
    404: "Not Found", 405: "Method Not Allowed", 409: "Conflict", 411: "Length Required", 413: "Content Too Large",
    429: "Too Many Requests", 431: "Request Header Fields Too Large", 500: "Internal Server Error",
    502: "Bad Gateway", 503: "Service Unavailable",
}  # fmt: skip


class Request(NamedTuple):
    """A request; header names in lower case, query values the last of each name."""

    method: str
    path: str
    query: dict[str, str]
    headers: dict[str, str]
    body: bytes


class Reply(NamedTuple):
    """An answer."""

    status: int
    body: bytes
    content_type: str = "application/json"


class BadRequestError(Exception):
    """The request cannot be read; `status` and the text go back to the caller."""

    def __init__(self, status: int, sentence: str) -> None:
        super().__init__(sentence)
        self.status = status


def as_json(status: int, content: object) -> Reply:
    """An answer that carries an object."""
    return Reply(status, json.dumps(content, ensure_ascii=False).encode() + b"\n")


def sentence(status: int, text: str) -> Reply:
    """An answer that explains itself."""
    return as_json(status, {"error": text})


class HttpServer:
    """Listens from construction on (raises OSError when it cannot) and serves in daemon threads after `start`."""

    def __init__(
        self, address: str, port: int, answer: Callable[[Request], Reply], *, max_body: int = 0,
        max_connections: int = MAX_CONNECTIONS, on_crash: Callable[[BaseException], None],
    ) -> None:  # fmt: skip
        family = socket.AF_INET6 if ":" in address else socket.AF_INET
        self._answer = answer
        self._max_body = max_body
        self._on_crash = on_crash
        self._closed = threading.Event()
        self._slots = threading.BoundedSemaphore(max_connections)
        self._socket = socket.socket(family, socket.SOCK_STREAM | socket.SOCK_CLOEXEC)
        try:
            self._socket.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            if family == socket.AF_INET6:
                self._socket.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 0)
            self._socket.bind((address, port))
            self._socket.listen(64)
        except OSError:
            self._socket.close()
            raise
        self.port: int = self._socket.getsockname()[1]

    def start(self) -> None:
        """Serve from now on."""
        threading.stack_size(THREAD_STACK_BYTES)
        threading.Thread(target=self._accept, name="http", daemon=True).start()

    def close(self) -> None:
        """Stop listening."""
        self._closed.set()
        with contextlib.suppress(OSError):
            self._socket.shutdown(socket.SHUT_RDWR)
        self._socket.close()

    def _accept(self) -> None:
        while True:
            self._slots.acquire()
            try:
                connection, _address = self._socket.accept()
            except OSError:
                # A caller that went away while it waited (ECONNABORTED), or no descriptor left for now (EMFILE).
                self._slots.release()
                if self._closed.wait(ACCEPT_PAUSE_S):
                    return
                continue
            try:
                threading.Thread(target=self._serve, args=(connection,), name="http-request", daemon=True).start()
            except RuntimeError:  # no thread left for now
                connection.close()
                self._slots.release()

    def _serve(self, connection: socket.socket) -> None:
        try:
            with connection:
                try:
                    reply = self._reply(read_request(connection, max_body=self._max_body))
                except BadRequestError as exc:
                    reply = sentence(exc.status, str(exc))
                connection.settimeout(REQUEST_LIMIT_S)
                connection.sendall(_head(reply) + reply.body)
        except OSError:
            pass  # the caller went away; nobody is left to be told
        finally:
            self._slots.release()

    def _reply(self, request: Request) -> Reply:
        try:
            reply = self._answer(request._replace(method="GET" if request.method == "HEAD" else request.method))
        except Exception as exc:  # noqa: BLE001 - the border: one bad request must not end the server
            self._on_crash(exc)
            return sentence(500, "the request failed inside the program; its log has the traceback")
        return reply._replace(body=b"") if request.method == "HEAD" else reply


def wildcard_address() -> str:
    """All addresses: IPv6 with IPv4 where the kernel has it, for clusters of either family."""
    try:
        socket.socket(socket.AF_INET6, socket.SOCK_STREAM).close()
    except OSError:
        return "0.0.0.0"  # noqa: S104 - the kubelet probes the pod's address
    return "::"


def read_request(connection: socket.socket, *, max_body: int) -> Request:
    """Read one request. Raises BadRequestError, OSError (time-out included)."""
    end = time.monotonic() + WHOLE_LIMIT_S
    received = b""
    while b"\r\n\r\n" not in received:
        if len(received) > MAX_HEAD_BYTES:
            raise BadRequestError(431, "the request's head is too long")
        part = _receive(connection, 4096, end)
        if not part:
            raise BadRequestError(400, "the request is incomplete")
        received += part
    head, _blank, body = received.partition(b"\r\n\r\n")
    method, target, headers = _parse_head(head)
    length = _body_length(headers, max_body)
    while len(body) < length:
        part = _receive(connection, min(65_536, length - len(body)), end)
        if not part:
            raise BadRequestError(400, "the request's body is incomplete")
        body += part
    try:
        parts = urlsplit(target)
    except ValueError:
        raise BadRequestError(400, "the request's target is not a path") from None
    return Request(method, unquote(parts.path), dict(parse_qsl(parts.query)), headers, body[:length])


def _receive(connection: socket.socket, size: int, end: float) -> bytes:
    left_s = end - time.monotonic()
    if left_s <= 0:
        raise TimeoutError
    connection.settimeout(min(REQUEST_LIMIT_S, left_s))
    return connection.recv(size)


def _parse_head(head: bytes) -> tuple[str, str, dict[str, str]]:
    first, *lines = head.decode("latin-1").split("\r\n")
    words = first.split(" ")
    if len(words) != 3 or not words[2].startswith("HTTP/1."):
        raise BadRequestError(400, "not an HTTP/1 request")
    headers = {}
    for line in lines:
        name, colon, value = line.partition(":")
        if not colon:
            raise BadRequestError(400, "a header line has no colon")
        headers[name.strip().lower()] = value.strip()
    return words[0], words[1], headers


def _body_length(headers: dict[str, str], max_body: int) -> int:
    if "transfer-encoding" in headers:
        raise BadRequestError(411, "send the body with a Content-Length")
    length = headers.get("content-length", "0")
    if not (length.isascii() and length.isdigit()):
        raise BadRequestError(400, "the Content-Length is not a number")
    if len(length) > 12 or int(length) > max_body:
        raise BadRequestError(413, f"the body is longer than {max_body} bytes")
    return int(length)


def _head(reply: Reply) -> bytes:
    lines = (
        f"HTTP/1.1 {reply.status} {REASONS.get(reply.status, 'Unknown')}",
        f"Content-Type: {reply.content_type}",
        f"Content-Length: {len(reply.body)}",
        "Cache-Control: no-store",
        "Connection: close",
    )
    return ("\r\n".join(lines) + "\r\n\r\n").encode()

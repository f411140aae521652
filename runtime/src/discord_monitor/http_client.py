# SPDX-License-Identifier: GPL-3.0-or-later
# SPDX-FileCopyrightText: 2026 The orchestrator.platform authors
"""HTTP/1.1 to one host over one kept connection, http or https. Not safe for several threads at once.

Errors never carry the path: it may be a credential.
"""

# The module os instead of pathlib saves 0.7 MiB in every agent's pod.
# ruff: noqa: PTH208

from __future__ import annotations

import contextlib
import http.client
import os
import select
import socket
import ssl
from typing import NamedTuple
from urllib.parse import urlsplit

from discord_monitor import __version__

CONNECT_LIMIT_S = 2.0
MAX_ANSWER_BYTES = 1024 * 1024
USER_AGENT = f"DiscordBot (orchestrator.platform discord-monitor, {__version__})"


class Answer(NamedTuple):
    """An answer; header names in lower case."""

    status: int
    headers: dict[str, str]
    body: bytes


class TransportError(Exception):
    """No answer came; the text says why in a few words and holds no path."""


class HttpClient:
    """A connection to the host of `base_url`, opened when needed and again after it was lost."""

    def __init__(
        self, base_url: str, *, read_limit_s: float, tls: ssl.SSLContext | None = None,
        max_answer_bytes: int = MAX_ANSWER_BYTES,
    ) -> None:  # fmt: skip
        parts = urlsplit(base_url)
        self._host = parts.hostname or ""
        self._port = parts.port
        self._read_limit_s = read_limit_s
        self._max_answer_bytes = max_answer_bytes
        self._connection: http.client.HTTPConnection | None = None
        self._aborted = False
        self._tls = (tls or tls_context()) if parts.scheme == "https" else None

    def request(self, method: str, path: str, *, body: bytes | None = None, headers: dict[str, str]) -> Answer:
        """Send and read the whole answer. Raises TransportError; it may have been carried out all the same."""
        try:
            connection = self._ready_connection()
            if self._aborted:
                raise TimeoutError  # while it was being opened: what nobody waits for is not sent any more
            connection.request(method, path, body=body, headers={"User-Agent": USER_AGENT, **headers})
            response = connection.getresponse()
            content = response.read(self._max_answer_bytes)
            answer = Answer(response.status, {name.lower(): value for name, value in response.getheaders()}, content)
        except (OSError, http.client.HTTPException, ValueError) as exc:
            self.close()
            raise TransportError(reason_of(exc)) from None
        if not response.isclosed():
            self.close()
        return answer

    def close(self) -> None:
        """Drop the connection; the next request opens a new one."""
        connection, self._connection = self._connection, None
        if connection is not None:
            connection.close()

    def abort(self) -> None:
        """End the request under way from another thread; this client is of no use afterwards."""
        self._aborted = True
        connection = self._connection
        if connection is not None and connection.sock is not None:
            with contextlib.suppress(OSError):
                # Closing would not wake the thread that reads. Not the method of an SSL socket: it reads right now.
                socket.socket.shutdown(connection.sock, socket.SHUT_RDWR)

    def _ready_connection(self) -> http.client.HTTPConnection:
        kept = self._connection
        if kept is not None and kept.sock is not None:
            # A kept connection with something to read was closed by the other side meanwhile: sending on it would
            # lose the request without a sign whether it was carried out.
            if not select.select([kept.sock], [], [], 0)[0]:
                return kept
            self.close()
        fresh: http.client.HTTPConnection
        if self._tls is not None:
            fresh = http.client.HTTPSConnection(self._host, self._port, timeout=CONNECT_LIMIT_S, context=self._tls)
        else:
            fresh = http.client.HTTPConnection(self._host, self._port, timeout=CONNECT_LIMIT_S)
        fresh.connect()
        fresh.sock.settimeout(self._read_limit_s)
        self._connection = fresh
        return fresh


def tls_context() -> ssl.SSLContext:
    """Verifies certificate and host name against the system's authorities.

    Where those stand in a folder by their hash (Debian), OpenSSL reads only the one it needs: the whole bundle costs
    1.5 MiB in every agent's pod. SSL_CERT_FILE and SSL_CERT_DIR are honoured.
    """
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    paths = ssl.get_default_verify_paths()
    folder = paths.capath
    if (
        paths.openssl_cafile_env not in os.environ
        and folder
        and any(name.endswith(".0") for name in os.listdir(folder))
    ):
        context.load_verify_locations(capath=folder)
    else:
        context.load_default_certs()
    return context


def reason_of(exc: Exception) -> str:
    """A few words for an exception, without addresses or paths."""
    if isinstance(exc, TimeoutError):
        return "no answer in time"
    if isinstance(exc, ConnectionRefusedError):
        return "connection refused"
    if isinstance(exc, (ConnectionResetError, BrokenPipeError, http.client.RemoteDisconnected)):
        return "connection dropped"
    if type(exc).__name__ == "gaierror":
        return "host name not found"
    if "certificate" in str(exc).lower():
        return "certificate not accepted"
    return (exc.strerror if isinstance(exc, OSError) and exc.strerror else type(exc).__name__).lower()

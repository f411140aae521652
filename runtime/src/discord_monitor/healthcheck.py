# SPDX-License-Identifier: GPL-3.0-or-later
# SPDX-FileCopyrightText: 2026 The orchestrator.platform authors
"""`discord-monitor healthcheck`: asks the program of this container for its health. For exec probes and people.

Plain sockets and no further import: it runs every few seconds within a tenth of a core.
"""

from __future__ import annotations

import socket
import sys
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping

LIMIT_S = 2.0
MAX_ANSWER_BYTES = 64 * 1024
PORTS = {"watcher": ("HEALTH_PORT", 8080), "bot": ("HEALTH_PORT", 8080), "bridge": ("PORT", 8090)}


def main(arguments: list[str], env: Mapping[str, str]) -> int:
    """Print one line; 0 when healthy, 1 when not, 2 on wrong usage."""
    program = arguments[0] if arguments else "watcher"
    if program not in PORTS or len(arguments) > 1:
        sys.stderr.write("usage: discord-monitor healthcheck [watcher|bot|bridge]\n")
        return 2
    variable, default = PORTS[program]
    raw = env.get(variable, "").strip()
    port = int(raw) if raw.isascii() and raw.isdigit() and 0 < int(raw) < 65_536 else default
    address = "::1" if program == "bridge" and env.get("BIND_ADDR", "").strip() == "::1" else "127.0.0.1"
    try:
        status, line = ask(address, port)
    except OSError as exc:
        sys.stdout.write(f"the {program} does not answer on port {port}: {exc.strerror or 'no answer in time'}\n")
        return 1
    sys.stdout.write(f"{line or status}\n")
    return 0 if status == 200 else 1


def ask(address: str, port: int, *, path: str = "/healthz") -> tuple[int, str]:
    """Status and first line of the answer's body. Raises OSError, also for an answer that is not HTTP."""
    with socket.create_connection((address, port), timeout=LIMIT_S) as connection:
        connection.sendall(f"GET {path} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n".encode())
        received = b""
        while len(received) < MAX_ANSWER_BYTES:
            part = connection.recv(8192)
            if not part:
                break
            received += part
    head, _blank, body = received.partition(b"\r\n\r\n")
    words = head.split(b" ", 2)
    if len(words) < 2 or not words[0].startswith(b"HTTP/") or not words[1].isdigit():
        raise OSError(0, "the answer is not HTTP")
    return int(words[1]), body.decode("utf-8", "replace").strip().partition("\n")[0]

# SPDX-License-Identifier: GPL-3.0-or-later
# SPDX-FileCopyrightText: 2026 The orchestrator.platform authors
"""The small HTTP server goes on whatever a single connection does (DM-205)."""

from __future__ import annotations

import contextlib
import errno
import os
import socket
import threading

import pytest
from processes import get, wait_for

from discord_monitor import http_server
from discord_monitor.http_server import HttpServer, Reply


class FailsFirst:
    """A listening socket whose first accepts fail."""

    def __init__(self, real: socket.socket, codes: list[int]) -> None:
        self._real = real
        self.codes = codes

    def accept(self):
        if self.codes:
            raise OSError(self.codes[0], os.strerror(self.codes.pop(0)))
        return self._real.accept()

    def __getattr__(self, name):
        return getattr(self._real, name)


@pytest.fixture
def server():
    made = HttpServer("127.0.0.1", 0, lambda _request: Reply(200, b"{}"), on_crash=lambda _exc: None)
    yield made
    made.close()


def test_failing_accepts_do_not_end_serving(server):
    """Without this, one caller that gives up early ends /healthz, and the kubelet ends the container."""
    failing = FailsFirst(server._socket, [errno.ECONNABORTED, errno.EMFILE, errno.ENFILE, errno.ENOMEM])
    server._socket = failing
    server.start()
    assert get(f"http://127.0.0.1:{server.port}/")[0] == 200
    assert failing.codes == []


def test_no_thread_left_drops_one_connection_only(server, monkeypatch):
    """RuntimeError of Thread.start: that caller is dropped, the next is served."""
    started = []

    class Scarce(threading.Thread):
        def start(self):
            started.append(self.name)
            if started.count("http-request") == 1 and self.name == "http-request":
                raise RuntimeError("can't start new thread")
            super().start()

    monkeypatch.setattr(http_server.threading, "Thread", Scarce)
    server.start()
    with pytest.raises(OSError, match=r"."):
        get(f"http://127.0.0.1:{server.port}/")
    assert get(f"http://127.0.0.1:{server.port}/")[0] == 200


def test_close_ends_the_thread(server):
    """After close() no thread spins on the closed socket."""
    before = threading.enumerate()  # the thread of the test before may still be on its way out
    server.start()
    (accepting,) = [thread for thread in threading.enumerate() if thread.name == "http" and thread not in before]
    server.close()
    wait_for(lambda: not accepting.is_alive(), what="the accepting thread ends")


def test_a_slow_caller_is_let_go(server, monkeypatch):
    """A byte now and then keeps a connection only for so long, and the others are answered meanwhile."""
    monkeypatch.setattr(http_server, "WHOLE_LIMIT_S", 1.0)
    monkeypatch.setattr(http_server, "REQUEST_LIMIT_S", 600.0)
    server.start()
    ended = threading.Event()

    def drip(connection):
        with contextlib.suppress(OSError):
            while not ended.wait(0.05):
                connection.sendall(b"x")

    with socket.create_connection(("127.0.0.1", server.port), timeout=60) as connection:
        dripping = threading.Thread(target=drip, args=(connection,), daemon=True)
        dripping.start()
        assert get(f"http://127.0.0.1:{server.port}/")[0] == 200
        with contextlib.suppress(ConnectionResetError):  # it goes with bytes of ours on the way
            assert connection.recv(1) == b""
        ended.set()
        dripping.join(60)


def test_so_many_at_once_and_no_more():
    """The limit is the server's own: callers behind it wait until one of those before them is through."""
    through, inside = threading.Event(), threading.Semaphore(0)

    def answer(_request):
        inside.release()
        through.wait(60)
        return Reply(200, b"{}")

    server = HttpServer("127.0.0.1", 0, answer, max_connections=2, on_crash=lambda _exc: None)
    server.start()
    callers = [threading.Thread(target=get, args=(f"http://127.0.0.1:{server.port}/",), daemon=True) for _ in range(3)]
    for caller in callers:
        caller.start()
    assert inside.acquire(timeout=60)
    assert inside.acquire(timeout=60)
    assert not server._slots.acquire(blocking=False), "two are inside, and nobody else gets in"
    through.set()
    for caller in callers:
        caller.join(60)
    assert inside.acquire(timeout=60), "the third one was answered too"
    server.close()

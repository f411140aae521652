# SPDX-License-Identifier: GPL-3.0-or-later
# SPDX-FileCopyrightText: 2026 The orchestrator.platform authors
"""The bridge as a process: one line a message, never blocked, loopback only (DM-124..134, DM-213, DM-214, DM-A03)."""

from __future__ import annotations

import json
import os
import stat
import subprocess
import sys
import threading

import pytest
from hypothesis import given
from hypothesis import strategies as st
from processes import AWKWARD, PATIENCE_S, SRC, free_port, get, wait_for

from discord_monitor.bridge import answers, is_loopback
from discord_monitor.fifo import Fifo
from discord_monitor.framing import MAX_LINE_BYTES, framed
from discord_monitor.http_server import Request


class Bridge:
    def __init__(self, run, folder, **env):
        self.port = free_port()
        self.fifo = folder / "input.fifo"
        settings = {"PORT": str(self.port), "FIFO_PATH": str(self.fifo)} | env
        self.program = run("bridge", env=settings, log=folder / "bridge.log")
        self.url = f"http://127.0.0.1:{self.port}"
        wait_for(self.answers, what="the bridge answers")

    def answers(self):
        try:
            return get(f"{self.url}/healthz")
        except OSError:
            return None

    def send(self, text, *, as_json=False, **headers):
        data = json.dumps({"text": text}).encode() if as_json else text.encode()
        kind = "application/json" if as_json else "text/plain"
        return get(f"{self.url}/input", data=data, headers={"Content-Type": kind} | headers)

    def health(self):
        return self.answers()[1]


@pytest.fixture
def bridge(run, tmp_path):
    return Bridge(run, tmp_path)


@pytest.fixture
def reader(bridge):
    """The agent's side: lines as they come; opened blocking, as a shell's redirection does."""
    lines = []

    def read():
        with bridge.fifo.open("rb") as file:
            lines.extend(iter(file.readline, b""))

    wait_for(bridge.fifo.exists, what="the FIFO is made")
    thread = threading.Thread(target=read, daemon=True)
    thread.start()
    wait_for(lambda: bridge.health()["reader"], what="the reader is seen")
    yield lines
    bridge.program.stop()
    thread.join(PATIENCE_S)
    assert not thread.is_alive(), "the reader got no end of file"


def test_each_message_is_one_line(bridge, reader):
    """Plain text and JSON; line breaks become spaces; the reader keeps its input open between messages."""
    assert bridge.send("plain ü\r\n")[0] == 200
    assert bridge.send("two\nlines\n\nand\u2028more", as_json=True)[0] == 200
    wait_for(lambda: len(reader) == 2, what="both lines arrive")
    assert reader == ["plain ü\n".encode(), b"two lines and more\n"]


def test_concurrent_messages_are_not_mixed(bridge, reader):
    """Writes up to PIPE_BUF are atomic, and the bridge writes one at a time."""
    texts = [letter * 4000 for letter in "abcdefgh"]
    threads = [threading.Thread(target=bridge.send, args=(text,)) for text in texts]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    wait_for(lambda: len(reader) == len(texts), what="all lines arrive")
    assert sorted(line.decode().strip() for line in reader) == texts


def test_without_a_reader_it_says_so_and_stays_healthy(bridge):
    """DM-214."""
    status, answer = bridge.send("hello")
    assert (status, "nobody reads" in answer["error"]) == (409, True)
    assert bridge.health()["reader"] is False


def test_reader_that_does_not_read_is_bounded(bridge):
    """A full pipe: 503, not for ever."""
    wait_for(bridge.fifo.exists, what="the FIFO is made")
    descriptor = os.open(bridge.fifo, os.O_RDONLY | os.O_NONBLOCK)
    try:
        statuses = []
        while not statuses or statuses[-1] == 200:
            statuses.append(bridge.send("x" * 4000)[0])
    finally:
        os.close(descriptor)
    assert set(statuses[:-1]) == {200}
    assert statuses[-1] == 503


def test_health_does_not_wait_for_a_write(tmp_path):
    """DM-214: while a line waits for room in the pipe, /healthz is answered."""
    fifo = Fifo(str(tmp_path / "input.fifo"))
    replies = []
    ask = answers(fifo)
    with fifo._lock:  # as a write that waits holds it
        thread = threading.Thread(target=lambda: replies.append(ask(Request("GET", "/healthz", {}, {}, b""))))
        thread.start()
        thread.join(PATIENCE_S)
        assert [reply.status for reply in replies] == [200]


def test_reader_that_leaves_and_comes_back(bridge):
    wait_for(bridge.fifo.exists, what="the FIFO is made")
    for _ in range(2):
        descriptor = os.open(bridge.fifo, os.O_RDONLY | os.O_NONBLOCK)
        assert bridge.send("here")[0] == 200
        assert os.read(descriptor, 100) == b"here\n"
        os.close(descriptor)
        assert bridge.send("gone")[0] == 409


@pytest.mark.parametrize(
    ("text", "headers", "status"),
    [
        ("x" * MAX_LINE_BYTES, {}, 413),
        ("x" * 100_000, {}, 413),
        ("  \n ", {}, 400),
        ("not json", {"Content-Type": "application/json"}, 400),
        ("[]", {"Content-Type": "application/json"}, 400),
        ("hello", {"Origin": "http://evil.example"}, 403),
    ],
)
def test_bad_requests(bridge, text, headers, status):
    answered, body = bridge.send(text, **headers)
    assert answered == status
    assert body["error"]


def test_regular_file_in_the_way_is_left_alone(run, tmp_path):
    blocked = tmp_path / "input.fifo"
    blocked.write_text("precious")
    bridge = Bridge(run, tmp_path)
    status, answer = bridge.send("hello")
    assert (status, "not a FIFO" in answer["error"]) == (503, True)
    assert blocked.read_text() == "precious"


def test_existing_fifo_is_used(run, tmp_path):
    """Whichever container comes first makes it."""
    os.mkfifo(tmp_path / "input.fifo")
    bridge = Bridge(run, tmp_path)
    assert stat.S_ISFIFO(bridge.fifo.stat().st_mode)
    assert bridge.send("x")[0] == 409


def test_without_a_path_it_stays_up(run, tmp_path):
    bridge = Bridge(run, tmp_path, FIFO_PATH="")
    assert bridge.send("x")[0] == 503
    assert "FIFO_PATH" in bridge.health()["reason"]


@pytest.mark.parametrize("address", ["0.0.0.0", "::", "10.1.2.3", "example.org"])
def test_other_addresses_than_loopback_are_refused(run, tmp_path, address):
    """DM-125."""
    program = run("bridge", env={"BIND_ADDR": address, "PORT": str(free_port())}, log=tmp_path / "log")
    assert program.process.wait(PATIENCE_S) == 2
    assert "not a loopback address" in program.log()


def test_healthcheck_and_sigterm(bridge):
    """DM-A03: an exec probe without a shell."""
    command = [sys.executable, "-m", "discord_monitor", "healthcheck", "bridge"]
    env = {"PATH": os.environ["PATH"], "PYTHONPATH": str(SRC), "PORT": str(bridge.port)}
    assert subprocess.run(command, env=env, capture_output=True, timeout=PATIENCE_S, check=False).returncode == 0
    assert bridge.program.stop() == 0
    assert subprocess.run(command, env=env, capture_output=True, timeout=PATIENCE_S, check=False).returncode == 1


@given(st.text(AWKWARD))
def test_framing(text):
    """Exactly one line feed, at the end; no control character but the tab."""
    line = framed(text).decode()
    assert line == "" or (line.endswith("\n") and line.count("\n") == 1)
    assert not any(c < " " and c != "\t" for c in line[:-1])


@pytest.mark.parametrize(
    ("address", "loopback"), [("127.0.0.1", True), ("::1", True), ("127.9.9.9", True), ("127.0.0.1.evil", False)]
)
def test_loopback(address, loopback):
    assert is_loopback(address) is loopback

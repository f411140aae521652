# SPDX-License-Identifier: GPL-3.0-or-later
# SPDX-FileCopyrightText: 2026 The orchestrator.platform authors
"""Fixtures: a fake Discord, a home folder, and programs that are ended after the test."""

from __future__ import annotations

import os

import pytest
from api_server import Server
from hypothesis import HealthCheck, settings
from processes import Discord, Program, Session, Watcher, free_port, wait_for

# No database below the checkout, no judgement on speed: two cores are shared with everything else. The examples are the
# same in every run, so that a failure is one of the change at hand; HYPOTHESIS_PROFILE=fuzz draws new ones, many of them.
ours = settings(max_examples=60, deadline=None, database=None, suppress_health_check=[HealthCheck.too_slow])
settings.register_profile("ours", ours, derandomize=True)
settings.register_profile("fuzz", ours, max_examples=5_000)
settings.load_profile(os.environ.get("HYPOTHESIS_PROFILE", "ours"))


@pytest.fixture
def discord():
    server = Discord()
    yield server
    server.close()


@pytest.fixture
def home(tmp_path):
    (tmp_path / ".claude" / "projects").mkdir(parents=True)
    return tmp_path


@pytest.fixture
def session(home):
    return Session(home)


@pytest.fixture
def run():
    """Starts a program; all are killed at the end if they still run."""
    started = []

    def start(*arguments, **options):
        program = Program(*arguments, **options)
        started.append(program)
        return program

    yield start
    for program in started:
        if program.process.poll() is None:
            program.kill()


@pytest.fixture
def watch(home, discord):
    """Starts a watcher and waits until it answers."""
    started = []

    def start(**env):
        url = env.pop("webhook_url", discord.webhook_url)
        watcher = Watcher(home, webhook_url=url, port=int(env.pop("port", 0)) or free_port(), **env)
        started.append(watcher)
        wait_for(lambda: watcher.health()[0] or watcher.process.poll() is not None, what="the watcher answers")
        assert watcher.process.poll() is None, watcher.log()
        return watcher

    yield start
    for watcher in started:
        if watcher.process.poll() is None:
            watcher.kill()


@pytest.fixture
def serve():
    """Starts a server that answers as the API server does, from a script."""
    servers = []

    def start(answer):
        servers.append(Server(answer))
        return servers[-1]

    yield start
    for server in servers:
        server.close()

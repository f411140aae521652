# SPDX-License-Identifier: GPL-3.0-or-later
# SPDX-FileCopyrightText: 2026 The orchestrator.platform authors
"""The webhook endpoint goes away: liveness restarts the watcher, and nobody else moves (DM-120, DM-167, DM-A01, D8)."""

from __future__ import annotations

import pytest

from arrivals import in_turn, told_and_arrived
from real_cluster import statuses

testinfra_hosts = ["local://"]


def identity(pod, *, without: str):
    """restartCount, containerID and start of every container but one, and whether the pod is Ready."""
    found = {
        name: (s["restartCount"], s.get("containerID"), s["state"].get("running", {}).get("startedAt"))
        for name, s in statuses(pod).items()
        if name != without
    }
    return found, pod["metadata"]["uid"]


@pytest.fixture
def outage(discord):
    """Discord answers every post with 503, until the test is over."""
    discord.control(mode="error")
    yield
    discord.control(mode="ok")


def test_only_the_watcher_is_restarted(cluster, agent_pod, outage):
    """Within the outage limit of 5 s and three probes 10 s apart."""
    before = identity(agent_pod, without="discord-watcher")
    meta = agent_pod["metadata"]
    count = statuses(agent_pod)["discord-watcher"]["restartCount"]

    def restarted():
        pod = cluster.get("pod", meta["name"], meta["namespace"])
        ready = {c["type"]: c["status"] for c in pod["status"]["conditions"]}["Ready"]
        now = statuses(pod)["discord-watcher"]
        assert ready == "True" or now["restartCount"] > count, "readiness failed before liveness acted"
        return pod if now["restartCount"] > count else None

    after = cluster.until(restarted, "liveness has restarted the watcher", timeout_s=120)
    assert identity(after, without="discord-watcher") == before


def test_no_line_is_lost_over_an_outage(cluster, discord, agent_pod):
    """What the agent wrote while Discord was away arrives afterwards, without a gap; errors may come first."""
    expected, arrived, urgent = told_and_arrived(cluster, discord, agent_pod)
    before = len(dict.fromkeys(arrived))

    def caught_up():
        told, now, urgent_now = told_and_arrived(cluster, discord, agent_pod)
        once = list(dict.fromkeys(now))
        assert in_turn(once, told, urgent_now), "something was lost or came out of turn"
        return len(once) > before + 20

    cluster.until(caught_up, "twenty more lines have arrived", timeout_s=180)
    assert in_turn(list(dict.fromkeys(arrived)), expected, urgent)

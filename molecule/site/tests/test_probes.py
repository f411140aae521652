# SPDX-License-Identifier: GPL-3.0-or-later
# SPDX-FileCopyrightText: 2026 The orchestrator.platform authors
"""Liveness and readiness of bot, watcher and bridge: as specified, and answering (DM-060…062, 089, 090, 116, 127, 164, 187)."""

from __future__ import annotations

import json

import pytest

from real_cluster import named, statuses

testinfra_hosts = ["local://"]

HTTP = {"path": "/healthz", "port": 8080, "scheme": "HTTP"}


@pytest.mark.parametrize("probe", ["livenessProbe", "readinessProbe"])
def test_bot_is_probed_by_http(bot_pod, probe):
    """DM-089, DM-090: both probes of the bot ask /healthz on the health port."""
    assert named(bot_pod["spec"], "bot")[probe]["httpGet"] == HTTP


@pytest.mark.parametrize("probe", ["livenessProbe", "readinessProbe"])
def test_watcher_is_probed_by_http(agent_pod, probe):
    """DM-116: both probes of the watcher ask /healthz on the health port."""
    assert named(agent_pod["spec"], "discord-watcher")[probe]["httpGet"] == HTTP


def test_watcher_liveness_acts_before_readiness(agent_pod):
    """D8: a stuck watcher is restarted before the agent's pod leaves its Services."""
    watcher = named(agent_pod["spec"], "discord-watcher")
    seconds = {
        kind: watcher[kind]["periodSeconds"] * watcher[kind]["failureThreshold"]
        for kind in ("livenessProbe", "readinessProbe")
    }
    assert seconds["livenessProbe"] < seconds["readinessProbe"]
    assert watcher["livenessProbe"]["terminationGracePeriodSeconds"] <= 10
    assert "startupProbe" not in watcher


@pytest.mark.parametrize("probe", ["livenessProbe", "readinessProbe"])
def test_bridge_is_probed_by_exec(agent_pod, probe):
    """DM-A03: the bridge listens on loopback, where the kubelet's HTTP probes cannot reach it."""
    assert named(agent_pod["spec"], "input-bridge")[probe]["exec"]["command"] == [
        "discord-monitor",
        "healthcheck",
        "bridge",
    ]


@pytest.mark.parametrize("name", ["discord-watcher", "input-bridge", "agent"])
def test_containers_of_the_agent_are_ready(agent_pod, name):
    """DM-187: what the kubelet found when it asked."""
    status = statuses(agent_pod)[name]
    assert status["ready"], status["state"]


def test_bot_is_ready(bot_pod):
    """DM-187."""
    assert statuses(bot_pod)["bot"]["ready"]


@pytest.mark.parametrize(("fixture", "port"), [("bot_pod", 8080), ("agent_pod", 8080)])
def test_health_answers_through_the_api_server(cluster, request, fixture, port):
    """DM-164, DM-179: the answer itself, not only the kubelet's opinion of it."""
    meta = request.getfixturevalue(fixture)["metadata"]
    answer = cluster.raw(f"/api/v1/namespaces/{meta['namespace']}/pods/{meta['name']}:{port}/proxy/healthz")
    assert answer["status"] == "ok", answer


def test_bridge_answers_in_its_container(cluster, agent_pod):
    """DM-127: the probe's own command, run by hand."""
    assert cluster.execute(agent_pod, "input-bridge", "discord-monitor", "healthcheck", "bridge")


def test_bridge_is_not_reachable_from_outside_the_pod(cluster, agent_pod):
    """DM-125, DM-132: its port answers nobody but the pod itself; the same question to the watcher's port is answered."""
    meta = agent_pod["metadata"]
    path = f"/api/v1/namespaces/{meta['namespace']}/pods/{meta['name']}"
    assert json.loads(cluster.kubectl("get", "--raw", f"{path}:8080/proxy/healthz"))
    assert cluster.kubectl("get", "--raw", f"{path}:8090/proxy/healthz", check=False) == ""

# SPDX-License-Identifier: GPL-3.0-or-later
# SPDX-FileCopyrightText: 2026 The orchestrator.platform authors
"""Requests and limits: as specified in the API, in force in the cgroup, and not reached (DM-056…059, 117, 165, 180)."""

from __future__ import annotations

import datetime as dt

import pytest

from real_cluster import named

testinfra_hosts = ["local://"]

MIB = 1024 * 1024
WATCHER = {"requests": {"cpu": "10m", "memory": "32Mi"}, "limits": {"cpu": "100m", "memory": "64Mi"}}
BOT = {"requests": {"cpu": "20m", "memory": "64Mi"}, "limits": {"cpu": "200m", "memory": "128Mi"}}
SPECIFIED = [
    pytest.param("agent_pod", "discord-watcher", WATCHER, id="DM-056-watcher"),
    pytest.param("bot_pod", "bot", BOT, id="DM-057-bot"),
    pytest.param("agent_pod", "input-bridge", WATCHER, id="DM-058-bridge"),
    pytest.param("job_pod", "discord-watcher", WATCHER, id="DM-056-watcher-of-the-job"),
]
# Where a container finds its own memory limit: cgroup v2, then v1.
LIMIT_FILES = "cat /sys/fs/cgroup/memory.max 2>/dev/null || cat /sys/fs/cgroup/memory/memory.limit_in_bytes"
CPU_FILES = (
    "cat /sys/fs/cgroup/cpu.max 2>/dev/null || "
    "echo $(cat /sys/fs/cgroup/cpu/cpu.cfs_quota_us) $(cat /sys/fs/cgroup/cpu/cpu.cfs_period_us)"
)


@pytest.mark.parametrize(("fixture", "container", "specified"), SPECIFIED)
@pytest.mark.parametrize("kind", ["requests", "limits"])
def test_figures_in_the_api(request, fixture, container, specified, kind):
    """CPU and memory are exactly the specified ones; other resources may be named besides."""
    pod = request.getfixturevalue(fixture)
    found = named(pod["spec"], container)["resources"][kind]
    assert {name: found.get(name) for name in ("cpu", "memory")} == specified[kind]


@pytest.mark.parametrize(("fixture", "container", "limit_mib", "limit_millicores"), [
    ("agent_pod", "discord-watcher", 64, 100), ("bot_pod", "bot", 128, 200), ("agent_pod", "input-bridge", 64, 100),
])  # fmt: skip
def test_limits_in_the_cgroup(cluster, request, fixture, container, limit_mib, limit_millicores):
    """What the kernel enforces, read inside the container."""
    pod = request.getfixturevalue(fixture)
    assert int(cluster.execute(pod, container, "sh", "-c", LIMIT_FILES)) == limit_mib * MIB
    quota, period = map(int, cluster.execute(pod, container, "sh", "-c", CPU_FILES).split())
    assert quota * 1000 // period == limit_millicores


def usage(cluster, pod, container: str):
    """The kubelet's newest sample of one container; None while there is none."""
    node = pod["spec"]["nodeName"]
    summary = cluster.raw(f"/api/v1/nodes/{node}/proxy/stats/summary")
    for entry in summary["pods"]:
        if entry["podRef"]["uid"] == pod["metadata"]["uid"]:
            for found in entry["containers"]:
                if (
                    found["name"] == container
                    and "workingSetBytes" in found.get("memory", {})
                    and "usageNanoCores" in found.get("cpu", {})
                ):
                    return found
    return None


@pytest.mark.parametrize(("fixture", "container", "limit_mib", "limit_millicores"), [
    ("agent_pod", "discord-watcher", 64, 100), ("bot_pod", "bot", 128, 200), ("agent_pod", "input-bridge", 64, 100),
])  # fmt: skip
def test_measured_use_stays_below_the_limits(cluster, request, fixture, container, limit_mib, limit_millicores):
    """DM-165: measured by the kubelet while the agent's transcript is being replayed."""
    pod = request.getfixturevalue(fixture)
    since = dt.datetime.now(dt.UTC)

    def fresh():
        found = usage(cluster, pod, container)
        return found if found and dt.datetime.fromisoformat(found["memory"]["time"]) >= since else None

    sample = cluster.until(fresh, f"a new kubelet sample of {container}", timeout_s=60)
    assert 0 < sample["memory"]["workingSetBytes"] < limit_mib * MIB
    assert sample["cpu"]["usageNanoCores"] < limit_millicores * 1_000_000

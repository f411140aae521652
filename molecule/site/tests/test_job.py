# SPDX-License-Identifier: GPL-3.0-or-later
# SPDX-FileCopyrightText: 2026 The orchestrator.platform authors
"""The agent Job with the sidecar built in ends although its watcher never would (DM-A02, D3)."""

from __future__ import annotations

from real_cluster import named, statuses

testinfra_hosts = ["local://"]


def complete(cluster, namespace: str):
    """The Job once its condition Complete is true."""
    (job,) = cluster.objects("jobs", namespace)
    conditions = {c["type"]: c["status"] for c in job["status"].get("conditions", [])}
    assert conditions.get("Failed") != "True", conditions
    return job if conditions.get("Complete") == "True" else None


def test_job_completes(cluster, agents_namespace):
    """A classic container would keep the Job running for ever."""
    job = cluster.until(lambda: complete(cluster, agents_namespace), "the agent Job is complete", timeout_s=240)
    assert job["status"]["succeeded"] == 1


def test_its_watcher_is_a_native_sidecar(job_pod):
    """It sits in initContainers and is restarted there."""
    watcher = named(job_pod["spec"], "discord-watcher")
    assert watcher in job_pod["spec"]["initContainers"]
    assert watcher["restartPolicy"] == "Always"


def test_its_watcher_ended_by_itself(cluster, agents_namespace):
    """SIGTERM after the agent's end: it flushed and left with 0, and was not killed at the end of the grace period."""
    cluster.until(lambda: complete(cluster, agents_namespace), "the agent Job is complete", timeout_s=240)

    def ended():
        (pod,) = cluster.objects("pods", agents_namespace, "app.kubernetes.io/component=agent-job")
        return statuses(pod)["discord-watcher"]["state"].get("terminated")

    state = cluster.until(ended, "the Job's watcher has ended", timeout_s=60)
    assert state["exitCode"] == 0

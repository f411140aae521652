# SPDX-License-Identifier: GPL-3.0-or-later
# SPDX-FileCopyrightText: 2026 The orchestrator.platform authors
"""The pods that scenario `site` made."""

from __future__ import annotations

import pytest


def running(cluster, namespace: str, selector: str):
    """The one running, not terminating pod of a selector."""

    def found():
        pods = cluster.objects("pods", namespace, selector)
        alive = [p for p in pods if p["status"]["phase"] == "Running" and "deletionTimestamp" not in p["metadata"]]
        return alive if len(alive) == 1 else None

    return cluster.until(found, f"one running pod for {selector} in {namespace}")[0]


@pytest.fixture(scope="session")
def monitor_namespace(inputs) -> str:
    return inputs["platform_monitor_namespace"]


@pytest.fixture(scope="session")
def agents_namespace(inputs) -> str:
    return inputs["platform_agent_namespaces"][0]


@pytest.fixture
def bot_pod(cluster, monitor_namespace):
    """The bot's pod."""
    return running(cluster, monitor_namespace, "app.kubernetes.io/component=bot")


@pytest.fixture
def agent_pod(cluster, agents_namespace):
    """The pod of the agent Deployment that was injected."""
    return running(cluster, agents_namespace, "app.kubernetes.io/component=agent")


@pytest.fixture(scope="session")
def job_pod(cluster, agents_namespace):
    """The pod of the agent Job that includes the sidecar."""
    (pod,) = cluster.objects("pods", agents_namespace, "app.kubernetes.io/component=agent-job")
    return pod

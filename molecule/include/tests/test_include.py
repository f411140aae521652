# SPDX-License-Identifier: GPL-3.0-or-later
# SPDX-FileCopyrightText: 2026 The orchestrator.platform authors
"""Each role works by include_role from a foreign project, with the collection installed from its tarball."""

from __future__ import annotations

import pytest

from real_cluster import STATE, ansible_playbook, containers, succeeded

testinfra_hosts = ["local://"]

FOREIGN = STATE / "foreign"
ROLES = ["preflight", "secrets", "discord_monitor", "sidecar", "verify"]


def play(cluster, tags: str) -> str:
    interpreter = "ansible_python_interpreter={{ansible_playbook_python}}"
    argv = ["-i", "localhost,", "--extra-vars", interpreter, "playbook.yml", "--tags", tags]
    return ansible_playbook(cluster, *argv, cwd=FOREIGN, collections=FOREIGN / "collections")


@pytest.fixture(scope="module")
def runs(cluster) -> dict[str, str]:
    """Output of every role, each in a run of its own, in the order of site.yml."""
    return {role: play(cluster, role) for role in ROLES}


@pytest.mark.parametrize("role", ROLES)
def test_the_role_alone_does_its_part(runs, role):
    """It ran tasks and failed none."""
    recap = succeeded(runs[role])
    assert recap, runs[role][-2000:]
    assert int(recap[1]) >= 2


def test_the_chart_of_the_installation_was_used(runs, cluster):
    """The bot runs, and its release came from the installed collection."""
    (bot,) = cluster.objects("deployments", "inc-monitor")
    assert bot["status"].get("readyReplicas") == 1


def test_the_agent_is_watched(runs, cluster):
    """The sidecar is in the foreign project's agent."""
    (agent,) = cluster.objects("deployments", "inc-agents")
    assert "discord-watcher" in [c["name"] for c in containers(agent["spec"]["template"]["spec"])]


def test_a_secret_of_somebody_else_stays_theirs(runs, cluster):
    """It got our key; its own key and label are as they were, so that uninstalling leaves it."""
    secret = cluster.get("secret", "discord-secrets", "inc-agents")
    assert sorted(secret["data"]) == ["DISCORD_WEBHOOK_URL", "OWN"]
    assert secret["metadata"]["labels"] == {"app.kubernetes.io/managed-by": "somebody"}


def test_a_second_pass_changes_nothing(runs, cluster):
    """All roles again, in one run."""
    output = play(cluster, "all")
    recap = succeeded(output)
    assert recap, output[-3000:]
    assert recap[2] == "0", output[-3000:]

# SPDX-License-Identifier: GPL-3.0-or-later
# SPDX-FileCopyrightText: 2026 The orchestrator.platform authors
"""Module secret in this process, and whole playbooks where their output counts."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import yaml

from real_cluster import ROOT, Cluster, Json, ansible_playbook
from secret_runs import RUNS, Module, Pair


@pytest.fixture
def module(cluster: Cluster) -> Module:
    """Module secret as the cluster's administrator."""
    return Module(cluster.kubeconfig)


@pytest.fixture
def name(cluster: Cluster, request: pytest.FixtureRequest) -> Iterator[str]:
    """A name of its own for each test; what is left under it is removed."""
    text = "".join(c if c.isalnum() else "-" for c in request.node.name.lower())[:60].strip("-")
    yield text
    found = [s["metadata"]["name"] for s in cluster.objects("secrets", RUNS)]
    mine = [one for one in found if one.startswith(text)]
    if mine:
        cluster.kubectl("delete", "secrets", "--namespace", RUNS, *mine)


@pytest.fixture
def pair(tmp_path: Path) -> Pair:
    """A pair of SSH keys in a folder of the test."""
    return Pair(tmp_path, "key")


@pytest.fixture
def agents(cluster: Cluster, tmp_path: Path) -> Callable[..., str]:
    """Run the playbook for some agents, from a file of variables as users do; gives its output."""

    def run(*listed: Json, args: tuple[str, ...] = (), check: bool = True, **variables: object) -> str:
        inputs = tmp_path / "agents.yml"
        given = {"secrets_agents": list(listed), "secrets_agents_namespace": RUNS, **variables}
        inputs.write_text(yaml.safe_dump(json.loads(json.dumps(given))), encoding="utf-8")
        argv = (f"--inventory={ROOT}/molecule/inventory.yml", f"--extra-vars=@{inputs}", *args)
        return ansible_playbook(cluster, "orchestrator.platform.agent_secrets", *argv, check=check)

    return run

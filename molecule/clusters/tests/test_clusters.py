# SPDX-License-Identifier: GPL-3.0-or-later
# SPDX-FileCopyrightText: 2026 The orchestrator.platform authors
"""One run over several clusters: each is done for itself, one that fails stops no other, the summary has a row for each."""

from __future__ import annotations

import json
import re

import pytest

from real_cluster import STATE, Cluster, again

testinfra_hosts = ["local://"]

VARIABLES = {
    "platform_kubeconfig": "{{ cluster_kubeconfig }}",
    "platform_monitor_namespace": "multi-monitor",
    "platform_agent_namespaces": ["multi-agents"],
    "verify_report_dir": "",
    "sidecar_bridge": False,
}


@pytest.fixture(scope="module")
def run(cluster):
    """site.yml over alpha, beta and a cluster that does not answer."""
    return again(
        "site", cluster, f"--inventory={STATE}/clusters.yml", "--extra-vars", json.dumps(VARIABLES), check=False
    )


def row(output: str, host: str) -> str:
    """The summary's line of a host."""
    (found,) = re.findall(rf"^.*\b{host} +(?:ok|failed) .*$", output, re.MULTILINE)
    return found


@pytest.mark.parametrize("host", ["alpha", "beta"])
def test_a_good_cluster_is_done(run, host):
    """Although its neighbour cannot be reached."""
    assert " ok " in row(run, host), run[-3000:]


def test_the_lost_cluster_has_a_row_with_its_reason(run):
    """And it is the reason of that cluster, not of another."""
    line = row(run, "gone")
    assert " failed " in line
    assert "127.0.0.1:9" in run


def test_the_run_as_a_whole_failed(run):
    """A cluster that was not done must not hide behind two that were."""
    assert re.search(r"^gone +: .*failed=[1-9]", run, re.MULTILINE)


@pytest.mark.parametrize("kubeconfig", ["kubeconfig", "kubeconfig-b"])
def test_each_cluster_has_its_own_bot(run, kubeconfig):
    """The stack stands in both."""
    (bot,) = Cluster(STATE / kubeconfig).objects("deployments", "multi-monitor")
    assert bot["status"]["readyReplicas"] == 1

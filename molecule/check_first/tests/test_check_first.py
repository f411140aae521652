# SPDX-License-Identifier: GPL-3.0-or-later
# SPDX-FileCopyrightText: 2026 The orchestrator.platform authors
"""`--check --diff` on a cluster that has none of it: it ends well, says what it would do, and writes nothing (D5)."""

from __future__ import annotations

import json

import pytest

from real_cluster import again, succeeded

testinfra_hosts = ["local://"]

# Own namespaces, so that the promise holds on a cluster where another scenario ran before.
FRESH = (
    "--extra-vars",
    json.dumps(
        {
            "platform_monitor_namespace": "never-monitor",
            "platform_agent_namespaces": ["never-agents"],
            "platform_orchestrator_namespace": "never-orchestrator",
        }
    ),
)
KINDS = "namespaces,secrets,configmaps,deployments,services,serviceaccounts,clusterroles,clusterrolebindings,crds"


def names_and_versions(cluster) -> dict[str, str]:
    items = json.loads(cluster.kubectl("get", KINDS, "--all-namespaces", "--output=json"))["items"]
    # A Deployment's status moves by itself while another scenario's pods start.
    return {
        f"{i['kind']}/{i['metadata'].get('namespace', '')}/{i['metadata']['name']}": (
            str(i["metadata"].get("generation")) if i["kind"] == "Deployment" else i["metadata"]["resourceVersion"]
        )
        for i in items
    }


@pytest.fixture(scope="module")
def dry_run(cluster):
    before = names_and_versions(cluster)
    output = again("site", cluster, "--check", "--diff", *FRESH)
    return output, before, names_and_versions(cluster)


def test_it_ends_well(dry_run):
    """No task fails for want of something an earlier task would have made."""
    assert succeeded(dry_run[0]), dry_run[0][-3000:]


def test_it_says_that_something_would_change(dry_run):
    """A check run that announces nothing on an empty cluster has looked at nothing."""
    assert int(succeeded(dry_run[0])[2]) >= 3


def test_it_names_what_it_would_make(dry_run):
    """Namespaces are among what is announced."""
    assert "never-monitor" in dry_run[0]
    assert "never-orchestrator" in dry_run[0]


def test_it_writes_nothing(dry_run):
    """Every object has the version it had, and none came."""
    _output, before, after = dry_run
    assert before == after


def test_it_shows_no_secret(dry_run, inputs):
    """D6: a diff of a Secret that would be created is the classic leak."""
    assert inputs["secrets_bot_token"] not in dry_run[0]
    assert inputs["secrets_webhook_url"] not in dry_run[0]
    assert inputs["secrets_api_key"] not in dry_run[0]

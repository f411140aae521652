# SPDX-License-Identifier: GPL-3.0-or-later
# SPDX-FileCopyrightText: 2026 The orchestrator.platform authors
"""After uninstall.yml nothing of ours is left: no label, no namespaced leftover, no field manager; the agents are as before."""

from __future__ import annotations

import json

import pytest

from real_cluster import again, containers, succeeded

testinfra_hosts = ["local://"]

# Without it CRDs and runs are kept, which scenario orchestrator shows.
PURGE = ("--extra-vars", '{"orchestrator_purge": true}')
OURS = "app.kubernetes.io/managed-by=orchestrator.platform"


def everything(cluster, *args: str):
    """All objects of all listable kinds, Events apart."""
    kinds = cluster.kubectl("api-resources", "--verbs=list", "--output=name").split()
    wanted = ",".join(k for k in kinds if not k.startswith("events"))
    return json.loads(
        cluster.kubectl("get", wanted, "--all-namespaces", "--output=json", "--show-managed-fields", *args)
    )["items"]


@pytest.fixture(scope="module")
def removal(cluster, inputs):
    """The agent's Deployment before injection came (as its chart rendered it), and the output of the removal."""
    namespace = inputs["platform_agent_namespaces"][0]
    (injected,) = cluster.objects("deployments", namespace)
    assert any(c["name"] == "discord-watcher" for c in containers(injected["spec"]["template"]["spec"])), (
        "nothing to remove"
    )
    # Namespaces that somebody else made are kept, so only the monitor's own may go.
    (place,) = [item for item in cluster.objects("namespaces") if item["metadata"]["name"] == namespace]
    assert "app.kubernetes.io/managed-by" not in place["metadata"]["labels"], "an earlier scenario left its namespace"
    output = again("uninstall", cluster, *PURGE)
    return namespace, output


def test_it_ends_well(removal):
    """And it had something to do."""
    recap = succeeded(removal[1])
    assert recap, removal[1][-3000:]
    assert int(recap[2]) >= 3


def test_nothing_is_labelled_as_ours(cluster, removal):
    """Secrets and namespaces that we made carry this label."""
    assert [i["metadata"]["name"] for i in everything(cluster, "--selector", OURS)] == []


def test_the_release_is_gone(cluster, removal):
    """No Helm record and no object of the release."""
    left = [i["metadata"]["name"] for i in everything(cluster) if "discord-monitor" in i["metadata"]["name"]]
    assert left == []


def test_no_field_manager_is_left(cluster, removal):
    """D1: removal gives every field back; managedFields prove it."""
    left = [
        f"{i['kind']}/{i['metadata']['name']}"
        for i in everything(cluster)
        if any(m["manager"].startswith("orchestrator.platform") for m in i["metadata"].get("managedFields", []))
    ]
    assert left == []


def test_the_agent_is_as_its_chart_made_it(cluster, removal):
    """Neither sidecar, volume, mount nor annotation of ours is left in the template."""
    (deployment,) = cluster.objects("deployments", removal[0])
    template = deployment["spec"]["template"]
    assert [c["name"] for c in containers(template["spec"])] == ["agent"]
    assert "orchestrator.platform/" not in json.dumps(template["metadata"].get("annotations", {}))
    assert "discord-" not in json.dumps(template["spec"].get("volumes", []))


def test_a_second_removal_has_nothing_to_do(cluster, removal):
    """Idempotent, and no error for what is not there."""
    output = again("uninstall", cluster, *PURGE)
    recap = succeeded(output)
    assert recap, output[-3000:]
    assert recap[2] == "0", output[-3000:]

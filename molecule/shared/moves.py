# SPDX-License-Identifier: GPL-3.0-or-later
# SPDX-FileCopyrightText: 2026 The orchestrator.platform authors
"""The commands of docs/migration.md on two hand-made orchestrators, and what is compared before and after."""

from __future__ import annotations

import json
import re

from canaries import assert_absent
from documented import commands, run
from real_cluster import STATE, statuses, succeeded

VARIABLES = "molecule/migrate/vars/scenario.yml"
# The page's commands in its order; one more or less, and this line says so (OR-347).
LOOK, MOVE, CLEAN_UP, UNDO, MOVE_ASIDE, SWITCH, LOSE, REMOVE = commands("migration.md")
KINDS = "configmaps,secrets,serviceaccounts,services,roles,rolebindings,deployments"
CANARIES = {
    "Anthropic key": "canary-api-key-of-the-tests-91f3c7d0",
    "GitHub token": "canary-github-token-of-the-tests-66bb",
}
FINALIZER = "coderuns.orchestrator.io/finalizer"  # of the former controller, on each of its runs


def move(cluster, command, namespace, *more, check=True):
    """A command of the page, for one of the two hand-made orchestrators."""
    names = json.dumps(
        {
            "platform_orchestrator_namespace": namespace,
            "migrate_target_namespace": f"{namespace}-new",
            "migrate_archive": str(STATE / f"{namespace}.tar.gz"),
        }
    )
    output = run(cluster, command, VARIABLES, "--extra-vars", names, *more, check=check)
    assert_absent(CANARIES, output, "the output")
    return output


def changes(output):
    """Number of changed tasks of a run in which none failed."""
    found = succeeded(output)
    assert found, output[-3000:]
    return int(found[2])


def state(cluster, namespace):
    """Every object with its uid and version."""
    return {
        (item["kind"], item["metadata"]["name"]): (item["metadata"]["uid"], item["metadata"]["resourceVersion"])
        for item in cluster.objects(KINDS, namespace)
    }


def essence(cluster, namespace):
    """What somebody has written, without what the server adds: for a comparison of before and after."""
    found = {}
    for item in cluster.objects(KINDS, namespace):
        meta = item["metadata"]
        if item["kind"] == "ServiceAccount" and meta["name"] == "default":
            continue
        spec = {key: value for key, value in item.get("spec", {}).items() if not key.startswith("clusterIP")}
        notes = {
            name: text for name, text in meta.get("annotations", {}).items() if not name.startswith("deployment.kubernetes.io")
        }  # fmt: skip
        found[(item["kind"], meta["name"])] = [
            *(meta.get("labels"), notes, spec),
            *(item.get(key) for key in ("data", "rules", "roleRef", "subjects")),
        ]
    return found


def health(cluster, namespace):
    """The answer of the Service."""
    return cluster.raw(f"/api/v1/namespaces/{namespace}/services/orchestrator:80/proxy/health")["status"]


def run_of_the_old(cluster, namespace):
    """What must not be lost of the run that carries the former controller's finalizer."""
    found = cluster.get("coderun", "of-the-old", namespace)
    assert found["metadata"].get("deletionTimestamp") is None
    assert found["metadata"]["finalizers"] == [FINALIZER]
    return found["metadata"]["uid"], found["spec"]


def hosts(cluster, namespace):
    """Hosts of the namespace's Ingresses."""
    return [rule["host"] for item in cluster.objects("ingresses", namespace) for rule in item["spec"]["rules"]]


def serving(cluster, *namespaces):
    """The pods that are ready, with the number of their restarts."""
    return sorted(
        (pod["metadata"]["uid"], row["restartCount"])
        for namespace in namespaces
        for pod in cluster.objects("pods", namespace)
        for row in statuses(pod).values()
        if row["ready"]
    )


def outage(output):
    """Seconds without answer, as the role has printed them."""
    found = re.search(r"did not answer for ([0-9.]+) s, at most ([0-9.]+) s", " ".join(output.split()))
    assert found, output[-3000:]
    return float(found[1])

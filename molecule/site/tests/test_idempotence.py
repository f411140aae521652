# SPDX-License-Identifier: GPL-3.0-or-later
# SPDX-FileCopyrightText: 2026 The orchestrator.platform authors
"""A second run writes nothing (D5): no resourceVersion moves, no Helm revision, no pod. `changed=0` alone would hide writes."""

from __future__ import annotations

import json

import pytest

from real_cluster import again, succeeded

testinfra_hosts = ["local://"]

KINDS = "namespaces,secrets,configmaps,deployments,replicasets,pods,services,serviceaccounts,jobs,roles,rolebindings"


def versions(cluster) -> dict[str, str]:
    """kind/namespace/name -> resourceVersion of everything a run could write; Helm's releases are Secrets and so among them.

    Left out are status changes that come by themselves: of pods and Jobs only identity and generation count."""
    seen = {}
    for item in json.loads(cluster.kubectl("get", KINDS, "--all-namespaces", "--output=json"))["items"]:
        meta = item["metadata"]
        own = item["kind"] not in {"Pod", "Job", "ReplicaSet", "Deployment"}
        key = f"{item['kind']}/{meta.get('namespace', '')}/{meta['name']}"
        seen[key] = meta["resourceVersion"] if own else f"{meta['uid']} generation {meta.get('generation')}"
    return seen


@pytest.fixture(scope="module")
def second_run(cluster):
    """Output of a second site.yml, and what it found before and after."""
    before = versions(cluster)
    return again("site", cluster), before, versions(cluster)


def test_nothing_was_written(second_run):
    """Every object of every namespace has the version it had."""
    _output, before, after = second_run
    assert any(key.startswith("Secret/") and "sh.helm.release" in key for key in before), (
        "no Helm release was looked at"
    )
    moved = {key: (before.get(key), after.get(key)) for key in before | after if before.get(key) != after.get(key)}
    assert moved == {}


def test_nothing_is_reported_as_changed(second_run):
    """And Ansible says so."""
    output, _before, _after = second_run
    recap = succeeded(output)
    assert recap, output[-2000:]
    assert (int(recap[1]) > 5, recap[2]) == (True, "0")


def test_check_mode_finds_nothing_to_do(cluster):
    """--check --diff on a finished stack: no change is announced."""
    output = again("site", cluster, "--check", "--diff")
    recap = succeeded(output)
    assert recap, output[-3000:]
    assert recap[2] == "0", output[-3000:]

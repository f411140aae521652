# SPDX-License-Identifier: GPL-3.0-or-later
# SPDX-FileCopyrightText: 2026 The orchestrator.platform authors
"""A second run writes nothing (D5): no resourceVersion moves, no Helm revision, no pod. `changed=0` alone would hide writes."""

from __future__ import annotations

import json

import pytest

from real_cluster import again, succeeded

testinfra_hosts = ["local://"]

KINDS = (
    "namespaces,secrets,configmaps,deployments,replicasets,pods,services,serviceaccounts,jobs,roles,rolebindings,crds"
)


def versions(cluster) -> dict[str, str]:
    """kind/namespace/name -> resourceVersion of everything a run could write; Helm's releases are Secrets and so among them.

    The status of pods and their owners changes by itself: of these count identity, spec, labels, annotations, and the
    entries of managedFields that are not about the status, with their times."""
    seen = {}
    listed = cluster.kubectl("get", KINDS, "--all-namespaces", "--output=json", "--show-managed-fields")
    for item in json.loads(listed)["items"]:
        meta = item["metadata"]
        key = f"{item['kind']}/{meta.get('namespace', '')}/{meta['name']}"
        if item["kind"] not in {"Pod", "Job", "ReplicaSet", "Deployment"}:
            seen[key] = meta["resourceVersion"]
            continue
        fields = [m for m in meta.get("managedFields", []) if m.get("subresource") != "status"]
        written = {name: meta.get(name) for name in ("uid", "generation", "labels", "annotations")}
        seen[key] = json.dumps([written, fields, item["spec"]], sort_keys=True)
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

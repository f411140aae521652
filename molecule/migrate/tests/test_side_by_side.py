# SPDX-License-Identifier: GPL-3.0-or-later
# SPDX-FileCopyrightText: 2026 The orchestrator.platform authors
"""From hand-made manifests to the chart in another namespace, with a real controller that serves.

The tests run in their order: each begins with what the one before it has left (issue 6.5; OR-311…OR-314, OR-A14…OR-A16).
"""

from __future__ import annotations

import json
import tarfile

from moves import (
    FINALIZER,
    LOSE,
    MOVE_ASIDE,
    REMOVE,
    SWITCH,
    changes,
    health,
    hosts,
    move,
    outage,
    run_of_the_old,
    serving,
    state,
)
from real_cluster import STATE

testinfra_hosts = ["local://"]

HOST = "orchestrator.example.org"


def test_side_by_side(cluster):
    """OR-311, OR-A14, OR-A15: the new one serves in its own namespace with the old Secrets; the old one is untouched."""
    before = state(cluster, "moved-aside")
    move(cluster, MOVE_ASIDE, "moved-aside")
    assert health(cluster, "moved-aside-new") == "healthy"
    assert health(cluster, "moved-aside") == "healthy"
    assert state(cluster, "moved-aside") == before
    config = cluster.get("configmap", "orchestrator-config", "moved-aside-new")["data"]
    assert config["KUBERNETES_NAMESPACE"] == "moved-aside-new"
    names = {name for kind, name in state(cluster, "moved-aside-new") if kind == "Secret"}
    assert {"orchestrator-secrets", "github-token-alice"} <= names
    uid, spec = run_of_the_old(cluster, "moved-aside")
    copied, carried = run_of_the_old(cluster, "moved-aside-new")
    assert copied != uid
    assert carried == spec


def test_the_switch_is_no_outage(cluster):
    """OR-313: old name and host lead to the new Service; whoever could answer before can answer after."""
    before = serving(cluster, "moved-aside", "moved-aside-new")
    assert len(before) == 2
    assert hosts(cluster, "moved-aside") == [HOST]
    outage(move(cluster, SWITCH, "moved-aside"))
    assert serving(cluster, "moved-aside", "moved-aside-new") == before
    assert [hosts(cluster, namespace) for namespace in ("moved-aside", "moved-aside-new")] == [[], [HOST]]
    service = cluster.get("service", "orchestrator", "moved-aside")["spec"]
    assert service["externalName"] == "orchestrator.moved-aside-new.svc.cluster.local"


def test_the_switch_can_be_taken_back_and_made_again(cluster):
    """OR-314: up to the removal the old one is there; its Service selects its pods again."""
    move(cluster, MOVE_ASIDE, "moved-aside", "--extra-vars", '{"migrate_steps": ["undo"]}')
    assert cluster.get("service", "orchestrator", "moved-aside")["spec"]["selector"] == {"app": "orchestrator"}
    assert health(cluster, "moved-aside") == "healthy"
    assert [hosts(cluster, namespace) for namespace in ("moved-aside", "moved-aside-new")] == [[HOST], []]
    again = '{"migrate_steps": ["backup", "install", "verify", "switch"]}'
    move(cluster, MOVE_ASIDE, "moved-aside", "--extra-vars", again)
    assert health(cluster, "moved-aside-new") == "healthy"
    before = [state(cluster, namespace) for namespace in ("moved-aside", "moved-aside-new")]
    assert changes(move(cluster, MOVE_ASIDE, "moved-aside", "--extra-vars", again)) == 0
    assert [state(cluster, namespace) for namespace in ("moved-aside", "moved-aside-new")] == before


def test_removal_says_what_is_lost_and_asks_for_the_name(cluster):
    """OR-A16: runs and Secrets that came later are listed; without the name once more nothing goes."""
    cluster.kubectl("create", "secret", "generic", "came-later", "--namespace=moved-aside", "--from-literal=a=b")
    run_path = ("coderun", "of-the-old", "moved-aside")
    cluster.until(lambda: cluster.get(*run_path).get("status", {}).get("phase"), "the old controller has seen the run")
    for command in (LOSE, LOSE.replace(" --check", "")):
        output = " ".join(move(cluster, command, "moved-aside", check=False).split())
        assert "CodeRun moved-aside of-the-old" in output
    assert "came-later" in output
    assert "Nothing was removed" in output
    run_of_the_old(cluster, "moved-aside")


def test_removal_that_is_cut_short_and_ended(cluster):
    """OR-314, OR-A16: a foreign finalizer is a sentence and stays; the former controller's holds up nothing; no run is lost."""
    last, remove = STATE / "moved-aside.tar.gz.last", REMOVE.replace("=orchestrator", "=moved-aside")
    path = ("coderun", "of-the-old", "--namespace=moved-aside", "--type=merge", "--patch")
    cluster.kubectl("patch", *path, json.dumps({"metadata": {"finalizers": [FINALIZER, "example.org/of-somebody"]}}))
    output = move(cluster, remove, "moved-aside", "--extra-vars", '{"migrate_wait_seconds": 5}', check=False)
    assert "Still there 5 s after the deletion: CodeRun moved-aside/of-the-old" in " ".join(output.split())
    assert cluster.get("coderun", "of-the-old", "moved-aside")["metadata"]["finalizers"] == ["example.org/of-somebody"]
    saved = last.read_bytes()
    with tarfile.open(last) as archive:
        assert [name for name in archive.getnames() if name.endswith("/of-the-old.json")]
    cluster.kubectl("patch", *path, '{"metadata": {"finalizers": null}}')
    move(cluster, remove, "moved-aside")
    assert last.read_bytes() == saved, "the last whole state was overwritten by half of it"
    assert cluster.kubectl("get", "namespace", "moved-aside", "--ignore-not-found") == ""
    assert health(cluster, "moved-aside-new") == "healthy"
    run_of_the_old(cluster, "moved-aside-new")
    assert changes(move(cluster, remove, "moved-aside")) == 0

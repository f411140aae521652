# SPDX-License-Identifier: GPL-3.0-or-later
# SPDX-FileCopyrightText: 2026 The orchestrator.platform authors
"""From hand-made manifests to the chart and back, in place, with a real controller that serves.

The tests run in their order: each begins with what the one before it has left (issue 6.5; OR-306…OR-310, OR-327, OR-A10, OR-A11,
OR-A16).
"""

from __future__ import annotations

import json
import subprocess

import pytest

from moves import CLEAN_UP, LOOK, MOVE, UNDO, changes, essence, health, move, outage, run_of_the_old, state
from real_cluster import STATE

testinfra_hosts = ["local://"]


@pytest.fixture(scope="module")
def remembered():
    """What a later test compares with."""
    return {}


def test_helm_alone_refuses(cluster):
    """OR-A11: the guide's plain installation does not take over what is there; so this scenario shows something."""
    argv = [
        "helm",
        "install",
        "orchestrator",
        "charts/orchestrator",
        "--namespace",
        "moved-in-place",
        "--dry-run=server",
    ]
    argv += ["--set", "secrets.existingSecret=orchestrator-secrets"]
    done = subprocess.run(
        argv, env=cluster.env, cwd=STATE.parents[1], capture_output=True, text=True, check=False, timeout=120
    )
    assert done.returncode != 0
    assert "invalid ownership metadata" in done.stderr


def test_check_shows_all_and_changes_nothing(cluster):
    """OR-309: what is adopted, what is replaced, what is left over, before anything is written."""
    before = state(cluster, "moved-in-place")
    output = " ".join(move(cluster, LOOK, "moved-in-place").split())
    for words in ("Service moved-in-place orchestrator adopt", "Deployment moved-in-place orchestrator replace"):
        assert words in output
    assert "ConfigMap moved-in-place claude-code-helm-chart left" in output
    assert "Secret moved-in-place orchestrator-secrets data" in output
    assert state(cluster, "moved-in-place") == before
    assert not (STATE / "moved-in-place.tar.gz").exists()


def test_in_place(cluster, remembered):
    """OR-309, OR-A06, OR-A10: one controller at a time, the Service keeps its address, the key stays where it was."""
    remembered["before"] = essence(cluster, "moved-in-place")
    remembered["run"] = run_of_the_old(cluster, "moved-in-place")
    address = cluster.get("service", "orchestrator", "moved-in-place")["spec"]["clusterIP"]
    output = move(cluster, MOVE, "moved-in-place")
    assert outage(output) > 0
    service = cluster.get("service", "orchestrator", "moved-in-place")["spec"]
    assert service["clusterIP"] == address
    assert set(service["selector"]) == {"app.kubernetes.io/name", "app.kubernetes.io/instance"}
    assert health(cluster, "moved-in-place") == "healthy"
    deployment = cluster.get("deployment", "orchestrator", "moved-in-place")
    assert deployment["metadata"]["annotations"]["meta.helm.sh/release-name"] == "orchestrator"
    assert "app" not in deployment["spec"]["selector"]["matchLabels"]
    pods = cluster.objects("pods", "moved-in-place", "app=orchestrator")
    assert pods == [], "the old controller runs beside the new one"
    argv = ["helm", "get", "values", "orchestrator", "--namespace", "moved-in-place", "--output=json"]
    values = subprocess.run(argv, env=cluster.env, capture_output=True, text=True, check=True, timeout=60).stdout
    assert json.loads(values)["secrets"] == {"existingSecret": "orchestrator-secrets"}
    account = "--as=system:serviceaccount:moved-in-place:orchestrator"
    for resource in ("jobs", "configmaps"):
        assert (
            cluster.kubectl("auth", "can-i", "create", resource, account, "--namespace=moved-in-place").strip() == "yes"
        )


def test_a_second_move_writes_nothing(cluster):
    """D5: every step can be run again; and the archive of the old state is not overwritten by the new one."""
    before, archive = state(cluster, "moved-in-place"), (STATE / "moved-in-place.tar.gz").read_bytes()
    assert changes(move(cluster, MOVE, "moved-in-place")) == 0
    assert state(cluster, "moved-in-place") == before
    assert (STATE / "moved-in-place.tar.gz").read_bytes() == archive


def test_clean_up_takes_what_nobody_reads(cluster):
    """OR-310: the folder of the old agent chart goes; Secrets stay, those of agents too."""
    move(cluster, CLEAN_UP, "moved-in-place")
    there = {name for kind, name in state(cluster, "moved-in-place") if kind in ("ConfigMap", "Secret")}
    assert "claude-code-helm-chart" not in there
    assert {"orchestrator-secrets", "github-token-alice"} <= there


def test_and_back_again(cluster, remembered):
    """OR-327, OR-A16: the hand-made objects serve as before, object by object; Helm knows of nothing; no run was touched."""
    assert run_of_the_old(cluster, "moved-in-place") == remembered["run"]
    refused = move(
        cluster, UNDO, "moved-in-place", "--extra-vars", '{"migrate_archive": "/nowhere.tar.gz"}', check=False
    )
    assert "/nowhere.tar.gz cannot be read" in " ".join(refused.split())
    assert health(cluster, "moved-in-place") == "healthy", "the release was taken away without a way back"
    move(cluster, UNDO, "moved-in-place")
    assert run_of_the_old(cluster, "moved-in-place") == remembered["run"]
    assert essence(cluster, "moved-in-place") == remembered["before"]
    assert health(cluster, "moved-in-place") == "healthy"
    argv = ["helm", "list", "--namespace", "moved-in-place", "--all", "--output=json"]
    assert json.loads(subprocess.run(argv, env=cluster.env, capture_output=True, text=True, check=True).stdout) == []

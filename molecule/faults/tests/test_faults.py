# SPDX-License-Identifier: GPL-3.0-or-later
# SPDX-FileCopyrightText: 2026 The orchestrator.platform authors
"""Faults on a real cluster: the watcher reacts as expected, and no other container notices (DM-167, D8)."""

from __future__ import annotations

import json

import pytest
from ansible_collections.orchestrator.platform.plugins.module_utils._faults import FAULTS, OTHERS

from real_cluster import STATE

testinfra_hosts = ["local://"]

MADE = [fault for fault in FAULTS if fault.name != "kubelet-restart"]
UNCHANGED = ("restarts", "container_id", "started_at", "ready")


def seen(name: str) -> dict:
    """What the module returned in converge."""
    return json.loads((STATE / name).read_text(encoding="utf-8"))


@pytest.mark.parametrize("fault", MADE, ids=[fault.name for fault in MADE])
def test_the_expected_reaction(fault):
    """DM-167 and the others of issue 5: decided from the API and from what arrived in the fake Discord."""
    found = [item for item in seen("faults.json")["findings"] if item["id"] == fault.check.id]
    assert [item["verdict"] for item in found] == ["pass"], found


@pytest.mark.parametrize("fault", MADE, ids=[fault.name for fault in MADE])
def test_every_other_container_is_the_one_it_was(fault):
    """restartCount, containerID, startedAt and readiness, of the agent in any case."""
    lines = [item for item in seen("faults.json")["table"] if item["fault"] == fault.check.id]
    others = [item for item in lines if not item["struck"]]
    assert "agent" in {item["container"] for item in others}
    for line in others:
        assert {key: line["before"][key] for key in UNCHANGED} == {key: line["after"][key] for key in UNCHANGED}, line


def test_no_other_container_changed_in_between():
    """The check over the whole watch, which sees also what was over again."""
    found = [item for item in seen("faults.json")["findings"] if item["id"] == OTHERS.id]
    assert [(item["verdict"], item["count"]) for item in found] == [("pass", len(MADE))], found


@pytest.mark.parametrize("name", ["watcher-killed", "watcher-oom", "endpoint-refused"])
def test_the_struck_container_was_restarted(name):
    """Else the table above would prove nothing."""
    lines = [item for item in seen("faults.json")["table"] if item["fault"] == f"faults/{name}" and item["struck"]]
    assert [line["after"]["restarts"] - line["before"]["restarts"] for line in lines] == [1], lines


def test_the_kubelet_is_left_alone_unless_its_node_is_named():
    found = [item for item in seen("faults.json")["findings"] if item["id"] == "faults/kubelet-restart"]
    assert [item["verdict"] for item in found] == ["skip"]
    assert "on request only" in found[0]["evidence"]


def test_a_watcher_without_liveness_probe_is_found():
    """The negative case: exactly the missing reaction fails, and the agent is untouched all the same."""
    verdicts = {item["id"]: item["verdict"] for item in seen("faults-negative.json")["findings"]}
    assert verdicts == {"faults/endpoint-refused": "fail", OTHERS.id: "pass"}
    failed = next(item for item in seen("faults-negative.json")["findings"] if item["verdict"] == "fail")
    assert "was not restarted within" in failed["evidence"]
    assert "docs/checks.md#faultsendpoint-refused" in failed["hint"]


def test_the_reports_are_one_list():
    """D13: the JSON report holds the findings that the module returned."""
    report = json.loads((STATE / "report-faults" / "findings.json").read_text(encoding="utf-8"))
    assert report["findings"] == seen("faults.json")["findings"]
    assert report["failed"] is False


@pytest.mark.parametrize("namespace", ["faults-drill", "faults-negative"])
def test_nothing_is_left_behind(cluster, namespace):
    """The namespace is removed, also where a fault failed."""
    assert namespace not in cluster.kubectl("get", "namespaces", "--output=name").replace("namespace/", "").split()


def test_a_namespace_of_somebody_else_stays(cluster):
    """The drill removes the very namespace that it made, by its uid, and no other of its name (issue 5.6)."""
    said = json.dumps(seen("faults-foreign.json"))
    assert "uid" in said.lower(), said
    assert "Conflict" in said or "409" in said, said
    assert cluster.get("namespace", "faults-foreign", "default")["status"]["phase"] == "Active"

# SPDX-License-Identifier: GPL-3.0-or-later
# SPDX-FileCopyrightText: 2026 The orchestrator.platform authors
"""Waiting on rollouts: watches told by a script, in place of the API server's."""

from __future__ import annotations

import pytest
from ansible_collections.orchestrator.platform.plugins.module_utils._errors import ClusterError
from ansible_collections.orchestrator.platform.plugins.module_utils._rollout import Awaited, Progress
from ansible_collections.orchestrator.platform.plugins.module_utils._waiting import Rollouts, Seen, Target

CODER = Target("Deployment", "agents", "coder")
DEPLOYMENTS = "/apis/apps/v1/namespaces/agents/deployments"
PODS = "/api/v1/namespaces/agents/pods"


class Told:
    """A cluster whose watches tell the given events and then nothing more."""

    def __init__(self, **events) -> None:
        self.events = {DEPLOYMENTS: events.get("deployments", []), PODS: events.get("pods", [])}
        self.begun: list[tuple[str, str]] = []

    def follow(self, path, deliver, _stop, *, since=""):
        self.begun.append((path, since))
        for event in self.events[path]:
            if isinstance(event, Exception):
                raise event
            deliver(*event)


def deployment(generation: int, *, available: int = 1, name: str = "coder") -> tuple[str, dict]:
    status = {"observedGeneration": generation, "replicas": 1, "updatedReplicas": 1, "availableReplicas": available}
    return "MODIFIED", {"metadata": {"name": name, "generation": generation}, "spec": {}, "status": status}


def pod(reason: str, *, hash_: str = "new", owner: str = "coder-1") -> tuple[str, dict]:
    metadata = {
        "name": "p",
        "uid": "u",
        "labels": {"pod-template-hash": "1"},
        "annotations": {"orchestrator.platform/snippet-hash": hash_},
        "ownerReferences": [{"kind": "ReplicaSet", "name": owner, "controller": True}],
    }
    state = {"waiting": {"reason": reason, "message": "no such image"}}
    return "ADDED", {"metadata": metadata, "status": {"initContainerStatuses": [{"name": "w", "state": state}]}}


def waited(cluster: Told, *, generation: int = 2, timeout_s: float = 5.0) -> Progress:
    return Rollouts(cluster, {}).run({CODER: Awaited(generation, "new")}, timeout_s)[CODER]


def test_complete_rollout():
    assert waited(Told(deployments=[deployment(2)])).done is True


def test_what_is_told_of_the_time_before_the_change_is_no_completion():
    """A watch that begins at the list still tells of the generation before."""
    progress = waited(Told(deployments=[deployment(1)]), timeout_s=0.1)
    assert progress == (None, "the change has not been seen yet")


def test_rollout_that_takes_too_long_says_where_it_stands():
    progress = waited(Told(deployments=[deployment(2, available=0)]), timeout_s=0.1)
    assert progress == (None, "0 of 1 replicas available")


@pytest.mark.parametrize("order", [("deployments", "pods"), ("pods", "deployments")])
def test_failing_pod_ends_the_wait_at_once(order):
    events = {"deployments": [deployment(2, available=0)], "pods": [pod("ErrImagePull")]}
    progress = waited(Told(**{name: events[name] for name in order}), timeout_s=60)
    assert progress == (False, "pod p, container w: ErrImagePull: no such image")


@pytest.mark.parametrize("other", [pod("ErrImagePull", hash_="old"), pod("ErrImagePull", owner="other-1")])
def test_pods_of_other_templates_and_workloads_are_not_blamed(other):
    told = Told(deployments=[deployment(2, available=0)], pods=[other])
    assert waited(told, timeout_s=0.1).done is None


def test_deleted_workload_fails():
    told = Told(deployments=[("DELETED", deployment(2)[1])])
    assert waited(told) == (False, "the workload was deleted")


def test_watch_that_is_refused_fails_its_targets_with_the_reason():
    assert waited(Told(deployments=[ClusterError("watch is forbidden")])) == (False, "watch is forbidden")


def test_refused_pods_leave_the_workload_to_tell():
    assert waited(Told(deployments=[deployment(2)], pods=[ClusterError("forbidden")])).done is True


def test_batches_share_their_watches_and_begin_at_the_list():
    """No list a batch: what a later batch waits for may have been told before."""
    told = Told(deployments=[deployment(2), deployment(2, name="writer")])
    rollouts = Rollouts(told, {("Deployment", "agents"): "77"})
    writer = Target("Deployment", "agents", "writer")
    assert rollouts.run({CODER: Awaited(2, "new")}, 5.0)[CODER].done
    assert rollouts.run({writer: Awaited(2, "new")}, 5.0)[writer].done
    assert sorted(told.begun) == [(PODS, ""), (DEPLOYMENTS, "77")]


def test_workload_of_which_nothing_new_is_told_stays_as_it_was_read():
    rollouts = Rollouts(Told(), {})
    rollouts.remember(CODER, Seen(2, Progress(done=None, reason="0 of 1 replicas updated")))
    assert rollouts.run({CODER: Awaited(2, "new")}, 0.1)[CODER] == (None, "0 of 1 replicas updated")


def test_stuck_pods_are_those_of_the_template_that_are_not_ready():
    """A StatefulSet goes back only when they are deleted, so it must be no others."""
    rollouts = Rollouts(Told(deployments=[deployment(2, available=0)], pods=[pod("ErrImagePull")]), {})
    rollouts.run({CODER: Awaited(2, "new")}, 5.0)
    assert rollouts.stuck(CODER, Awaited(2, "new")) == [("p", "u")]
    assert rollouts.stuck(CODER, Awaited(2, "old")) == []


def test_pod_that_finds_no_node_is_named_when_the_time_is_up():
    """It may still find one, so it ends no wait."""
    event, late = pod("PodInitializing")
    late["status"]["conditions"] = [{"type": "PodScheduled", "status": "False", "message": "Insufficient cpu"}]
    progress = waited(Told(deployments=[deployment(2, available=0)], pods=[(event, late)]), timeout_s=0.1)
    assert progress == (None, "0 of 1 replicas available; pod p is on no node: Insufficient cpu")

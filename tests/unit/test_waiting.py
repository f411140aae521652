# SPDX-License-Identifier: GPL-3.0-or-later
# SPDX-FileCopyrightText: 2026 The orchestrator.platform authors
"""Waiting on rollouts: watches told by a script, in place of the API server's."""

from __future__ import annotations

import threading
import time

import pytest
from ansible_collections.orchestrator.platform.plugins.module_utils._errors import ClusterError
from ansible_collections.orchestrator.platform.plugins.module_utils._rollout import Awaited, Progress
from ansible_collections.orchestrator.platform.plugins.module_utils._waiting import Rollouts, Seen, Target, _view

CODER = Target("Deployment", "agents", "coder")
DEPLOYMENTS = "/apis/apps/v1/namespaces/agents/deployments"
PODS = "/api/v1/namespaces/agents/pods"


class Told:
    """A cluster whose watches tell the given events and then nothing more."""

    def __init__(self, **events) -> None:
        self.events = {DEPLOYMENTS: events.get("deployments", []), PODS: events.get("pods", [])}
        self.begun: list[tuple[str, str]] = []

    def follow(self, path, deliver, _stop, *, since="", refused=None):
        self.begun.append((path, since))
        for event in self.events[path]:
            if isinstance(event, Exception):
                raise event
            if isinstance(event, str):
                refused(event)
                continue
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


def test_timeout_says_that_the_pods_could_not_be_read():
    """Else nobody knows why a pod that cannot start was not named at once."""
    told = Told(deployments=[deployment(2, available=0)], pods=[ClusterError("pods is forbidden")])
    assert waited(told, timeout_s=0.2) == (
        None,
        "0 of 1 replicas available; why is not known, since its pods may not be read: pods is forbidden",
    )


def test_refused_watch_is_warned_of():
    warnings = []
    told = Told(deployments=["deployments is forbidden", deployment(2)])
    rollouts = Rollouts(told, {}, warnings.append)
    assert rollouts.run({CODER: Awaited(2, "new")}, 5.0)[CODER].done
    (text,) = warnings
    assert "A watch on deployments in agents is refused" in text
    assert text.endswith("grant the verb watch. deployments is forbidden")


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


# -- whether new pods stay up -------------------------------------------------------------------------------------


def running(
    *, restarts: int = 0, ended: int | None = None, last: int | None = None, uid: str = "u"
) -> tuple[str, dict]:
    """A pod's event: how often its container was restarted, with what it has ended now, and before."""
    event, told = pod("none")
    state = {"running": {}} if ended is None else {"terminated": {"exitCode": ended, "reason": "Error"}}
    status = {"name": "agent", "restartCount": restarts, "state": state}
    if last is not None:
        status["lastState"] = {"terminated": {"exitCode": last, "reason": "Error"}}
    told["metadata"]["uid"] = uid
    told["status"] = {"containerStatuses": [status]}
    return event, told


def outlasted(*pods, stable_s: float = 0.2) -> Progress:
    told = Told(deployments=[deployment(2)], pods=list(pods))
    return Rollouts(told, {}).run({CODER: Awaited(2, "new")}, 5.0, stable_s)[CODER]


@pytest.mark.parametrize(
    "pods",
    [
        [running(), running(ended=1)],
        [running(), running(restarts=1, last=1)],
        [running(ended=137)],
        [running(restarts=1, last=1), running(restarts=2, last=1)],
        [running(), pod("CrashLoopBackOff")],
    ],
)
def test_agent_that_dies_after_it_was_available_is_a_failed_rollout(pods):
    """Without a readiness probe a Deployment is available the moment its containers have been started."""
    # Each event comes when the one before has been seen, as from a watch.
    told = Told(deployments=[deployment(2)])
    rollouts = Rollouts(told, {})
    for event in pods[:-1]:
        rollouts._take(_view("Pod", "agents", *event))
    told.events[PODS] = [pods[-1]]
    if len(pods) > 1:
        told.follow = late(told, rollouts)
    progress = rollouts.run({CODER: Awaited(2, "new")}, 5.0, 1.0)[CODER]
    assert progress.done is False
    assert progress.reason.startswith("the new pods did not stay up: pod p, container ")


def late(told: Told, rollouts: Rollouts):
    """Pods are told only once the rollout is complete."""
    follow, complete = told.follow, threading.Event()
    judge = rollouts._outlast

    def outlast(targets, stable_s):
        died = rollouts._died

        def look(*how):
            found = died(*how)
            complete.set()
            return found

        rollouts._died = look
        judge(targets, stable_s)

    def follow_late(path, deliver, stop, **how):
        if path == PODS:
            complete.wait(5.0)
        follow(path, deliver, stop, **how)

    rollouts._outlast = outlast
    return follow_late


@pytest.mark.parametrize(
    "pods",
    [
        [running()],
        [running(restarts=1, last=0)],
        [running(restarts=3, last=1)],  # it had to wait for something at first, and runs
        [running(ended=0)],
        [],
    ],
)
def test_pods_that_stay_up_are_complete(pods):
    assert outlasted(*pods) == (True, "complete")


def test_nobody_waits_for_what_has_no_pods():
    """A Deployment scaled to zero, and one that was complete without new pods."""
    event, empty = deployment(2)
    empty["spec"], empty["status"] = {"replicas": 0}, {"observedGeneration": 2}
    begun = time.monotonic()
    told = Told(deployments=[(event, empty)])
    assert Rollouts(told, {}).run({CODER: Awaited(2, "new")}, 5.0, 60.0)[CODER].done
    assert time.monotonic() - begun < 5.0


def test_a_failed_one_is_not_looked_at_again():
    told = Told(deployments=[deployment(2, available=0)], pods=[pod("ErrImagePull")])
    begun = time.monotonic()
    assert Rollouts(told, {}).run({CODER: Awaited(2, "new")}, 5.0, 60.0)[CODER].done is False
    assert time.monotonic() - begun < 5.0


@pytest.mark.parametrize("kind", ["Deployment", "StatefulSet", "DaemonSet"])
def test_a_deletion_that_is_known_by_its_metadata_alone_is_one(kind):
    """From a list that lacks the workload: its DELETED fell between two watches."""
    event = _view(kind, "agents", "DELETED", {"metadata": {"name": "coder", "uid": "u", "generation": 2}})
    assert (event.now.generation, event.now.progress.reason) == (2, "the workload was deleted")

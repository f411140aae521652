# SPDX-License-Identifier: GPL-3.0-or-later
# SPDX-FileCopyrightText: 2026 The orchestrator.platform authors
"""Rollout predicates: complete, under way, failed; real objects, no cluster."""

from __future__ import annotations

import pytest
import yaml
from ansible_collections.orchestrator.platform.plugins.module_utils._rollout import (
    MAX_FOREIGN_TEXT,
    Awaited,
    PodView,
    bounded,
    code_of_failure,
    first_failure,
    pod_failure,
    rolled_out,
    selects,
    still_rolling,
    view_of_pod,
)

from .conftest import FIXTURES, WEBHOOK

CASES = list(yaml.safe_load_all((FIXTURES / "rollouts.yaml").read_text()))


@pytest.mark.parametrize("case", CASES, ids=[case["case"] for case in CASES])
def test_rollout_is_judged(case):
    progress = rolled_out(case["object"]["kind"], case["object"])
    assert progress.done is case["done"], progress.reason
    assert case.get("reason", "") in progress.reason


def pod(reason: str | None, place: str = "containerStatuses", **extra) -> dict:
    state = {"waiting": {"reason": reason, "message": "what the kubelet says"}} if reason else {"running": {}}
    return {
        "metadata": {"name": "p", "labels": {"a": "b"}, "annotations": {"h": "1"}, **extra},
        "status": {place: [{"name": "c", "state": state}]},
    }


@pytest.mark.parametrize("place", ["containerStatuses", "initContainerStatuses"])
@pytest.mark.parametrize(
    "reason", ["ImagePullBackOff", "ErrImagePull", "CrashLoopBackOff", "CreateContainerConfigError"]
)
def test_pod_that_will_not_start_is_named_with_its_message(place, reason):
    assert pod_failure(pod(reason, place)) == f"pod p, container c: {reason}: what the kubelet says"


@pytest.mark.parametrize("reason", [None, "ContainerCreating", "PodInitializing"])
def test_pod_that_starts_is_no_failure(reason):
    assert pod_failure(pod(reason)) is None


ENDED = {"exitCode": 3, "reason": "Error", "message": "no config"}


@pytest.mark.parametrize(
    ("container", "text"),
    [
        (
            {
                "state": {"waiting": {"reason": "CrashLoopBackOff", "message": "back-off 10s"}},
                "lastState": {"terminated": ENDED},
            },
            "CrashLoopBackOff: back-off 10s: exit code 3 (Error) no config",
        ),
        # prototypes: a native sidecar in back-off shows no waiting state
        ({"state": {"terminated": ENDED}, "restartCount": 2}, "ended 3 times: exit code 3 (Error) no config"),
        ({"state": {"terminated": ENDED}, "restartCount": 1}, None),
        ({"state": {"terminated": {"exitCode": 0}}, "restartCount": 5}, None),
        ({"state": {"running": {}}, "lastState": {"terminated": ENDED}, "restartCount": 5}, None),
    ],
    ids=["crash loop tells how it ended", "native sidecar", "once is no loop", "ended well", "runs again"],
)
def test_crashing_container_is_named_with_how_it_ended(container, text):
    found = pod_failure({"metadata": {"name": "p"}, "status": {"initContainerStatuses": [{"name": "c", **container}]}})
    assert found == (None if text is None else f"pod p, container c: {text}")


def test_secrets_in_a_pods_message_are_not_shown():
    """D6: the message of a container that ended is foreign text."""
    ended = {**ENDED, "message": f"cannot post to {WEBHOOK}"}
    found = pod_failure(
        {"status": {"containerStatuses": [{"name": "c", "state": {"terminated": ended}, "restartCount": 9}]}}
    )
    assert "cannot post to" in found
    assert WEBHOOK not in found


def owned_pod(**metadata) -> dict:
    owner = {"kind": "ReplicaSet", "name": "coder-5d4f", "controller": True}
    return {"metadata": {"labels": {"pod-template-hash": "5d4f"}, "ownerReferences": [owner], **metadata}}


def test_pod_tells_its_deployment_and_template():
    pod = owned_pod(
        name="p", annotations={"orchestrator.platform/snippet-hash": "h"}, creationTimestamp="2026-01-01T00:00:00Z"
    )
    pod["status"] = {"conditions": [{"type": "Ready", "status": "True"}]}
    assert view_of_pod(pod) == PodView(
        "Deployment", "coder", "p", "h", "2026-01-01T00:00:00Z", ready=True, failure=None
    )


@pytest.mark.parametrize("metadata", [{"deletionTimestamp": "now"}, {"ownerReferences": []}])
def test_pod_that_goes_or_stands_alone_does_not_count(metadata):
    assert view_of_pod(owned_pod(**metadata)) is None


@pytest.mark.parametrize(
    ("hash_", "created", "blamed"),
    [
        ("new", "2026-01-01T00:00:05Z", True),
        ("new", "2026-01-01T00:00:04Z", False),
        ("old", "2026-01-01T00:00:09Z", False),
    ],
    ids=["pod of the change", "older pod of the same hash", "pod of another template"],
)
def test_only_pods_of_the_change_are_blamed_on_it(hash_, created, blamed):
    pod = PodView("Deployment", "coder", "p", hash_, created, False, "pod p, container c: ErrImagePull")
    failure = first_failure(Awaited(2, "new", "2026-01-01T00:00:05Z"), [pod])
    assert (failure is not None) is blamed


def test_after_a_removal_pods_without_hash_count():
    assert (
        first_failure(Awaited(2, None), [PodView("Deployment", "coder", "p", None, "", False, "it fails")])
        == "it fails"
    )


def deployment(reason: str | None, **status) -> dict:
    conditions = [{"type": "Progressing", "status": "True", "reason": reason}] if reason else []
    return {
        "metadata": {"generation": 2},
        "spec": {"replicas": 1},
        "status": {"observedGeneration": 2, "replicas": 1, "updatedReplicas": 1, "conditions": conditions, **status},
    }


@pytest.mark.parametrize(
    ("obj", "rolls"),
    [
        (deployment("ReplicaSetUpdated"), True),
        (deployment("NewReplicaSetAvailable"), False),
        (deployment("NewReplicaSetAvailable", observedGeneration=1), True),
        (deployment("ReplicaSetUpdated", availableReplicas=1), False),
        (deployment("ProgressDeadlineExceeded"), False),
    ],
    ids=["under way", "was complete once", "not seen yet", "complete", "given up"],
)
def test_rollout_under_way_is_told_from_pods_that_broke_later(obj, rolls):
    assert still_rolling("Deployment", obj) is rolls


@pytest.mark.parametrize(
    ("selector", "hit"),
    [
        ({"matchLabels": {"a": "b"}}, True),
        ({"matchLabels": {"a": "x"}}, False),
        ({"matchExpressions": [{"key": "a", "operator": "In", "values": ["b", "c"]}]}, True),
        ({"matchExpressions": [{"key": "a", "operator": "NotIn", "values": ["b"]}]}, False),
        ({"matchExpressions": [{"key": "z", "operator": "DoesNotExist"}]}, True),
        ({"matchExpressions": [{"key": "a", "operator": "Exists"}], "matchLabels": {"a": "x"}}, False),
        ({"matchExpressions": [{"key": "a", "operator": "Unknown"}]}, False),
        ({}, False),
        (None, False),
    ],
)
def test_selector(selector, hit):
    assert selects(selector, {"a": "b"}) is hit


@pytest.mark.parametrize(
    ("text", "code"),
    [
        ('pods "x" is forbidden: exceeded quota: q, requested: cpu=1', "quota"),
        ('pods "x" is forbidden: violates PodSecurity "restricted:latest": …', "pss_violation"),
        ("pod p, container c: ErrImagePull", "rollout_failed"),
    ],
)
def test_failure_gets_its_code(text, code):
    assert code_of_failure(text) == code


def test_foreign_text_is_bounded_and_on_one_line():
    text = bounded("a\n" * 1000)
    assert len(text) == MAX_FOREIGN_TEXT
    assert "\n" not in text
    assert text.endswith("…")

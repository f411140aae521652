# SPDX-License-Identifier: GPL-3.0-or-later
# SPDX-FileCopyrightText: 2026 The orchestrator.platform authors
"""Rollout predicates: complete, under way, failed; real objects, no cluster."""

from __future__ import annotations

import pytest
import yaml
from ansible_collections.orchestrator.platform.plugins.module_utils._rollout import (
    MAX_FOREIGN_TEXT,
    bounded,
    code_of_failure,
    first_failure,
    pod_failure,
    rolled_out,
    selects,
)

from .conftest import FIXTURES

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


@pytest.mark.parametrize(
    ("other", "fails"),
    [
        ({}, True),
        ({"annotations": {"h": "2"}}, False),
        ({"annotations": {}}, False),
        ({"labels": {"a": "c"}}, False),
        ({"deletionTimestamp": "now"}, False),
    ],
    ids=["new pod", "old pod", "pod without hash", "foreign pod", "terminating pod"],
)
def test_only_pods_of_the_new_template_count(other, fails):
    workload = {"spec": {"selector": {"matchLabels": {"a": "b"}}}}
    assert (first_failure(workload, [pod("ErrImagePull", **other)], "h", "1") is not None) is fails


def test_after_a_removal_pods_without_hash_count():
    workload = {"spec": {"selector": {"matchLabels": {"a": "b"}}}}
    assert first_failure(workload, [pod("ErrImagePull", annotations={})], "h", None)


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

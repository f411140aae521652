# SPDX-License-Identifier: GPL-3.0-or-later
# SPDX-FileCopyrightText: 2026 The orchestrator.platform authors
"""What somebody changed in a release's objects is seen, what others added is not (issue 6.3)."""

from __future__ import annotations

import copy

import pytest
import yaml
from ansible_collections.orchestrator.platform.plugins.module_utils._drift import drift_of, path_of, recorded_objects
from hypothesis import given, settings
from hypothesis import strategies as st

DEPLOYMENT = {
    "apiVersion": "apps/v1",
    "kind": "Deployment",
    "metadata": {"name": "d", "namespace": "n", "labels": {"a": "b"}},
    "spec": {
        "replicas": 1,
        "template": {
            "spec": {
                "containers": [{"name": "c", "image": "x:1", "resources": {"limits": {"cpu": "1000m"}}}],
                "volumes": [],
            }
        },
    },
}


def live() -> dict:
    """As the API server and others have filled it."""
    made = copy.deepcopy(DEPLOYMENT)
    made["metadata"] |= {"uid": "u", "annotations": {"deployment.kubernetes.io/revision": "3"}}
    made["spec"]["revisionHistoryLimit"] = 10
    template = made["spec"]["template"]
    template["metadata"] = {"annotations": {"kubectl.kubernetes.io/restartedAt": "now"}}
    template["spec"]["containers"][0] |= {"resources": {"limits": {"cpu": "1"}}, "imagePullPolicy": "Always"}
    template["spec"]["containers"].append({"name": "injected", "image": "y"})
    del template["spec"]["volumes"]
    return made


def test_what_others_added_is_no_drift():
    """Defaults, a restart, a sidecar, an equal quantity, an empty list that is left out."""
    assert drift_of(DEPLOYMENT, live()) == ""


@pytest.mark.parametrize(
    ("change", "says"),
    [
        (lambda o: o["spec"].update(replicas=3), "Deployment d (spec.replicas)"),
        (lambda o: o["metadata"].update(labels={}), "Deployment d (metadata.labels.a)"),
        (lambda o: o["spec"]["template"]["spec"]["containers"][0].update(image="x:2"), "Deployment d (spec.template.spec.containers)"),
    ],
)  # fmt: skip
def test_a_change_is_named_by_its_place(change, says):
    """Never by what stands there."""
    changed = live()
    change(changed)
    assert drift_of(DEPLOYMENT, changed) == says


def test_a_deleted_object_is_drift():
    assert drift_of(DEPLOYMENT, None) == "Deployment d (gone)"


def test_many_changes_are_cut():
    changed = {"kind": "Deployment", "metadata": {}, "spec": {}}
    recorded = {"kind": "Deployment", "metadata": {"name": "d"}, "spec": dict.fromkeys("abcde", 1)}
    assert drift_of(recorded, changed) == "Deployment d (metadata.name, spec.a, spec.b, …)"


VALUES = st.integers(1, 9) | st.sampled_from(["x", "1", "on"])
INNER = st.dictionaries(st.sampled_from("ghij"), VALUES | st.lists(VALUES, max_size=3), max_size=3)


@settings(deadline=None)
@given(st.dictionaries(st.sampled_from("abcdef"), VALUES | INNER, max_size=4))
def test_an_object_never_drifts_from_itself(spec):
    """Whatever is recorded: a second run has nothing to put back."""
    recorded = {"kind": "ConfigMap", "metadata": {"name": "c"}, "data": spec}
    assert drift_of(recorded, copy.deepcopy(recorded)) == ""


@pytest.mark.parametrize(
    ("obj", "path"),
    [
        (DEPLOYMENT, "/apis/apps/v1/namespaces/n/deployments/d"),
        ({"apiVersion": "v1", "kind": "Service", "metadata": {"name": "s"}}, "/api/v1/namespaces/own/services/s"),
        (
            {"apiVersion": "rbac.authorization.k8s.io/v1", "kind": "ClusterRole", "metadata": {"name": "r"}},
            "/apis/rbac.authorization.k8s.io/v1/clusterroles/r",
        ),
        (
            {"apiVersion": "admissionregistration.k8s.io/v1", "kind": "ValidatingAdmissionPolicy", "metadata": {"name": "p"}},
            "/apis/admissionregistration.k8s.io/v1/validatingadmissionpolicies/p",
        ),
        (
            {"apiVersion": "networking.k8s.io/v1", "kind": "Ingress", "metadata": {"name": "i", "namespace": "n"}},
            "/apis/networking.k8s.io/v1/namespaces/n/ingresses/i",
        ),
    ],
)  # fmt: skip
def test_paths(obj, path):
    assert path_of(obj, "own") == path


def test_secrets_are_not_compared():
    """Nor is a manifest that nobody can read an error."""
    secret = {"apiVersion": "v1", "kind": "Secret", "metadata": {"name": "s"}, "stringData": {"k": "v"}}
    manifest = "---\n".join(yaml.safe_dump(item) for item in (DEPLOYMENT, secret))
    assert [item["kind"] for item in recorded_objects({"manifest": manifest})] == ["Deployment"]
    assert recorded_objects({"manifest": "{: ["}) == []
    assert recorded_objects({}) == []

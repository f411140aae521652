# SPDX-License-Identifier: GPL-3.0-or-later
# SPDX-FileCopyrightText: 2026 The orchestrator.platform authors
"""Ways from a pod spec to a Secret: no way that was put in is missed, none is invented (DM-166, DM-181, D14)."""

from __future__ import annotations

import copy
import typing as t

import pytest
from ansible_collections.orchestrator.platform.plugins.module_utils._secret_paths import secret_paths
from ansible_collections.orchestrator.platform.plugins.module_utils._workloads import CONTAINER_LISTS
from hypothesis import given
from hypothesis import strategies as st

SECRET = "token"
# One way each: what it adds to the container, what to the pod's volumes.
WAYS: dict[str, tuple[dict, dict]] = {
    "env": ({"env": [{"name": "X", "valueFrom": {"secretKeyRef": {"name": SECRET, "key": "k"}}}]}, {}),
    "env-from": ({"envFrom": [{"prefix": "P_", "secretRef": {"name": SECRET}}]}, {}),
    "volume": ({}, {"secret": {"secretName": SECRET}}),
    "projected": ({}, {"projected": {"sources": [{"configMap": {"name": SECRET}}, {"secret": {"name": SECRET}}]}}),
    "csi": ({}, {"csi": {"driver": "d", "nodePublishSecretRef": {"name": SECRET}}}),
    "driver": ({}, {"azureFile": {"secretName": SECRET, "shareName": "s"}}),
}


def pod(*names: str, place: str = "containers") -> dict:
    return {"containers": [], place: [{"name": name} for name in names], "volumes": []}


def hold(spec: dict, container: dict, way: str) -> None:
    fields, volume = copy.deepcopy(WAYS[way])
    container.update(fields)
    if volume:
        spec["volumes"].append({"name": f"v-{container['name']}-{way}", **volume})
        container.setdefault("volumeMounts", []).append({"name": f"v-{container['name']}-{way}", "mountPath": "/v"})


def found(spec: dict) -> set[tuple[str, str, str]]:
    return {(item.path, item.container, item.secret) for item in secret_paths(spec)}


@given(
    st.dictionaries(
        st.sampled_from("abcd"), st.tuples(st.sampled_from(CONTAINER_LISTS), st.sets(st.sampled_from(sorted(WAYS))))
    )
)
def test_direct_ways_are_exactly_those_put_in(plan: dict[str, tuple[str, set[str]]]):
    """Whatever the list a container stands in."""
    spec: dict[str, t.Any] = {"containers": [], "volumes": []}
    for name, (place, ways) in plan.items():
        container: dict = {"name": name}
        spec.setdefault(place, []).append(container)
        for way in ways:
            hold(spec, container, way)
    assert found(spec) == {(way, name, SECRET) for name, (_place, ways) in plan.items() for way in ways}


@given(
    st.recursive(
        st.none() | st.booleans() | st.text(max_size=3),
        lambda inner: st.lists(inner, max_size=2) | st.dictionaries(st.text(max_size=3), inner, max_size=3),
    )
)
def test_volumes_of_unknown_shape_are_no_secret_and_no_error(source):
    spec = {**pod("a"), "volumes": [{"name": "v", "newKind": source}]}
    assert secret_paths(spec) == []


def test_config_maps_and_literals_are_no_way():
    spec = pod("a")
    spec["containers"][0] |= {
        "env": [
            {"name": "A", "value": SECRET},
            {"name": "B", "valueFrom": {"configMapKeyRef": {"name": SECRET, "key": "k"}}},
        ],
        "envFrom": [{"configMapRef": {"name": SECRET}}],
    }
    spec["volumes"] = [{"name": "c", "configMap": {"name": SECRET}}]
    assert secret_paths(spec) == []


def test_image_pull_secret_belongs_to_the_pod():
    assert found({**pod("a"), "imagePullSecrets": [{"name": SECRET}, {}]}) == {("image-pull", "", SECRET)}


def test_unmounted_volume_belongs_to_the_pod():
    assert found({**pod("a"), "volumes": [{"name": "v", "secret": {"secretName": SECRET}}]}) == {("volume", "", SECRET)}


@pytest.mark.parametrize("field", ["shareProcessNamespace", "hostPID"])
def test_shared_processes_reach_every_other_container(field):
    spec = pod("holder", "other", "third")
    hold(spec, spec["containers"][0], "env")
    spec[field] = True
    assert found(spec) == {
        ("env", "holder", SECRET),
        ("process-namespace", "other", SECRET),
        ("process-namespace", "third", SECRET),
    }


def test_debugger_aimed_at_the_holder_reaches_it_and_the_other_way_round():
    spec = pod("holder", "other")
    hold(spec, spec["containers"][0], "env")
    spec["ephemeralContainers"] = [{"name": "debug", "targetContainerName": "holder"}]
    assert ("process-namespace", "debug", SECRET) in found(spec)
    assert not any(item[1] == "other" for item in found(spec))
    spec = pod("victim")
    spec["ephemeralContainers"] = [{"name": "debug", "targetContainerName": "victim"}]
    hold(spec, spec["ephemeralContainers"][0], "env")
    assert ("process-namespace", "victim", SECRET) in found(spec)


def shared(holder: dict, reader: dict, volume: dict | None = None) -> set[str]:
    spec = pod("holder", "reader")
    hold(spec, spec["containers"][0], "env")
    spec["volumes"] = [{"name": "x", **(volume or {"emptyDir": {}})}]
    spec["containers"][0]["volumeMounts"] = [{"name": "x", "mountPath": "/x", **holder}]
    spec["containers"][1]["volumeMounts"] = [{"name": "x", "mountPath": "/y", **reader}]
    return {item.path for item in secret_paths(spec) if item.container == "reader"}


@pytest.mark.parametrize(
    ("holder", "reader", "volume", "counts"),
    [
        ({}, {}, None, True),
        ({}, {"readOnly": True}, None, True),
        ({"readOnly": True}, {}, None, False),
        ({}, {}, {"configMap": {"name": "c"}}, False),
        ({}, {}, {"persistentVolumeClaim": {"claimName": "c"}}, True),
        ({}, {}, {"hostPath": {"path": "/h"}}, True),
        ({"subPath": "a"}, {"subPath": "b"}, None, False),
        ({"subPath": "a"}, {"subPath": "ab"}, None, False),
        ({"subPath": "a"}, {"subPath": "a/b"}, None, True),
        ({"subPath": "a"}, {}, None, True),
        ({"subPathExpr": "$(X)"}, {"subPath": "b"}, None, True),
    ],
)
def test_what_counts_as_a_shared_volume(holder, reader, volume, counts):
    """A holder that may write where another one reads; the published watcher mounts the transcript read-only."""
    assert shared(holder, reader, volume) == ({"shared-volume"} if counts else set())


@pytest.mark.parametrize(
    ("of_holder", "of_reader", "counts"),
    [
        ({"persistentVolumeClaim": {"claimName": "c"}}, {"persistentVolumeClaim": {"claimName": "c"}}, True),
        ({"persistentVolumeClaim": {"claimName": "c"}}, {"persistentVolumeClaim": {"claimName": "d"}}, False),
        ({"hostPath": {"path": "/h"}}, {"hostPath": {"path": "/h/"}}, True),
        ({"emptyDir": {}}, {"emptyDir": {}}, False),
    ],
)
def test_one_storage_by_two_names(of_holder, of_reader, counts):
    """Two volumes of a pod lead to one claim, or to one path of the node."""
    spec = pod("holder", "reader")
    hold(spec, spec["containers"][0], "env")
    spec["volumes"] = [{"name": "x", **of_holder}, {"name": "y", **of_reader}]
    for name, container in zip("xy", spec["containers"], strict=True):
        container["volumeMounts"] = [{"name": name, "mountPath": "/m"}]
    assert ("shared-volume" in {item.path for item in secret_paths(spec)}) is counts


@pytest.mark.parametrize(
    ("sub_path", "path", "counts"), [("", "env", True), ("a", "a/env", True), ("a", "b/env", False)]
)
def test_a_variable_from_a_file_needs_no_mount(sub_path, path, counts):
    """fileKeyRef (Kubernetes 1.34): the kubelet reads the file of a volume that another container writes."""
    spec = pod("holder", "reader")
    hold(spec, spec["containers"][0], "env")
    spec["volumes"] = [{"name": "x", "emptyDir": {}}]
    spec["containers"][0]["volumeMounts"] = [{"name": "x", "mountPath": "/m", "subPath": sub_path}]
    reference = {"volumeName": "x", "path": path, "key": "K"}
    spec["containers"][1]["env"] = [{"name": "K", "valueFrom": {"fileKeyRef": reference}}]
    assert ("shared-volume" in {item.path for item in secret_paths(spec)}) is counts


def test_holder_needs_no_detour():
    """A container that holds the Secret itself has no second way through another holder."""
    spec = pod("a", "b")
    for container in spec["containers"]:
        hold(spec, container, "env")
    spec["shareProcessNamespace"] = True
    assert {item.path for item in secret_paths(spec)} == {"env"}

# SPDX-License-Identifier: GPL-3.0-or-later
# SPDX-FileCopyrightText: 2026 The orchestrator.platform authors
"""Ways from a container into its node: each setting, each kind of path, from both sides (issue 5.2)."""

from __future__ import annotations

import posixpath

import pytest
from ansible_collections.orchestrator.platform.plugins.module_utils._node_ways import node_ways, reach_of
from hypothesis import given
from hypothesis import strategies as st


def found(spec: dict) -> list[tuple[str, str]]:
    return [(way.container, way.setting) for way in node_ways(spec)]


@pytest.mark.parametrize("place", ["containers", "initContainers", "ephemeralContainers"])
@pytest.mark.parametrize(
    ("context", "setting"),
    [
        ({"privileged": True}, "privileged"),
        ({"windowsOptions": {"hostProcess": True}}, "hostProcess"),
        *(
            ({"capabilities": {"add": [name]}}, "capabilities")
            for name in ("ALL", "all", "SYS_ADMIN", "Sys_Admin", "CAP_BPF", "cap_bpf")
        ),
    ],
)
def test_setting_of_a_container_in_each_list(place, context, setting):
    """D14."""
    assert found({place: [{"name": "c", "securityContext": context}]}) == [("c", setting)]


@pytest.mark.parametrize("field", ["hostPID", "hostIPC"])
def test_setting_of_the_pod(field):
    assert found({field: True, "containers": [{"name": "c"}]}) == [("", field)]
    assert found({field: False, "containers": [{"name": "c"}]}) == []


@pytest.mark.parametrize(
    "spec",
    [
        {},
        {"containers": [{"name": "c", "securityContext": None}], "volumes": None},
        {"containers": [{"name": "c", "securityContext": {"capabilities": {"add": ["NET_ADMIN"], "drop": ["ALL"]}}}]},
        {
            "hostUsers": False,
            "containers": [{"name": "c", "securityContext": {"capabilities": {"add": ["SYS_ADMIN"]}}}],
        },
        {"volumes": [{"name": "v", "hostPath": None}, {"name": "e", "emptyDir": {}}]},
    ],
)
def test_nothing_that_opens_the_node(spec):
    assert found(spec) == []


READ = ["/", "//", "/var", "/var/lib/kubelet/", "/var/lib/kubelet/pods/uid/volumes", "/var/run/containerd/containerd.sock",
        "/run", "/var/run", "/proc", "/proc/1", "/etc", "/etc/kubernetes/admin.conf", "/etc/rancher/k3s/k3s.yaml", "/dev",
        "/var/run/cri-dockerd.sock", "/run/podman/podman.sock", "/run/k0s", "/var/lib/k0s", "/var/snap/microk8s/common/run", "/var/log/../lib/kubelet"]  # fmt: skip
WRITTEN = ["/usr/local/bin", "/opt/cni/bin", "/etc/cron.d", "/root/.ssh"]
HARMLESS = [
    "/var/log",
    "/var/log/pods",
    "/data",
    "/var/lib/kubelets",
    "/home/agents",
    "/dev/shm",
    "/dev/nvidia0",
    "/procfs",
]


@pytest.mark.parametrize("path", READ)
def test_path_that_must_not_even_be_read(path):
    assert reach_of(path, {"readOnly": True}).startswith("mounts /")


@pytest.mark.parametrize("path", WRITTEN)
def test_path_that_must_not_be_written(path):
    assert reach_of(path, {}).startswith("may write /")
    assert reach_of(path, {"readOnly": True}) == ""


@pytest.mark.parametrize("path", HARMLESS)
def test_harmless_path(path):
    assert reach_of(path, {}) == ""


def test_part_of_a_volume_counts_and_not_the_whole():
    assert reach_of("/var", {"subPath": "log"}) == ""
    assert reach_of("/data", {"subPath": "log"}) == ""
    assert reach_of("/var", {"subPath": "lib/kubelet", "readOnly": True})
    assert reach_of("/var", {"subPathExpr": "$(WHERE)"}), "where it leads is not known"


def test_volume_that_nobody_mounts_can_be_mounted_by_a_debugger():
    spec = {"containers": [{"name": "c"}], "volumes": [{"name": "v", "hostPath": {"path": "/var/lib/kubelet"}}]}
    assert found(spec) == [("", "hostPath")]


@given(st.lists(st.sampled_from(["var", "lib", "kubelet", "..", ".", "", "etc", "x"]), max_size=5))
def test_spelling_of_a_path_changes_nothing(parts):
    """Property: dots, doubled and trailing slashes lead to the same place."""
    path = "/" + "/".join(parts)
    plain = posixpath.normpath("/" + path.lstrip("/"))
    assert reach_of(path, {}) == reach_of(plain, {}) == reach_of(plain + "/", {})


@given(st.sampled_from(READ), st.sampled_from([*READ, *HARMLESS]))
def test_whatever_holds_a_path_opens_it_too(path, other):
    """Property: a mount of a folder is at least as wide as one of what lies in it."""
    above = posixpath.commonpath([posixpath.normpath(path), posixpath.normpath(other)])
    assert reach_of(above, {}) != ""

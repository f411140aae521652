# SPDX-License-Identifier: GPL-3.0-or-later
# SPDX-FileCopyrightText: 2026 The orchestrator.platform authors
"""Issue 3, item 2: the cluster as asked for, on hosts of every kind, and nothing of the user's touched."""

from __future__ import annotations

import json
import stat
import subprocess
import time
from pathlib import Path

import pytest
from ansible_collections.orchestrator.platform.tools.toolchain import cluster_config
from ansible_collections.orchestrator.platform.tools.toolchain.cluster_config import ClusterSpec, Host, PortMapping
from ansible_collections.orchestrator.platform.tools.toolchain.errors import ToolboxError

MODERN = Host(cgroup_v1=False, withholds_resources=False)
OLD = Host(cgroup_v1=True, withholds_resources=True)
SPEC = ClusterSpec("orch-x", Path("/k"), "1.36", "kindest/node:v1.36.4@sha256:0", (PortMapping(30081, 0),), 60)


def config(host=MODERN, version="v1.36.4", own_image=False):
    return cluster_config.kind_config(SPEC, host=host, version=version, own_image=own_image)


def test_ports_and_api_server_listen_on_loopback_only():
    result = config()
    assert result["networking"]["apiServerAddress"] == "127.0.0.1"
    assert [port["listenAddress"] for port in result["nodes"][0]["extraPortMappings"]] == ["127.0.0.1"]


def test_the_node_carries_our_label():
    assert config()["nodes"][0]["labels"] == {"orchestrator.platform/owner": "orch-x"}


def test_a_modern_host_and_a_published_image_need_no_patch():
    assert not {"kubeadmConfigPatches", "containerdConfigPatches"} & config().keys()
    assert "disableDefaultCNI" not in config()["networking"]


def test_our_own_image_brings_its_own_network():
    assert config(own_image=True)["networking"]["disableDefaultCNI"] is True


def test_claims_of_our_own_image_lie_on_the_node():
    """The published images bring a provisioner of their own; ours has the one of Kubernetes, which needs help."""
    [patch] = [json.loads(patch) for patch in config(own_image=True)["kubeadmConfigPatches"]]
    [volume] = patch["controllerManager"]["extraVolumes"]
    assert (volume["hostPath"], volume["mountPath"]) == (cluster_config.KEPT_CLAIMS, cluster_config.CLAIMS)
    assert f"L {cluster_config.CLAIMS} - - - - {cluster_config.KEPT_CLAIMS}" in cluster_config.OPEN_CLAIMS
    assert cluster_config.OPENER in cluster_config.OPEN_CLAIMS


def modes(folder):
    return {path.name: stat.S_IMODE(path.stat().st_mode) for path in folder.iterdir()}


def test_every_folder_of_a_claim_is_opened_whenever_it_comes(tmp_path):
    """Also one that comes while others are being opened; what its owner has set otherwise is left alone."""
    with subprocess.Popen(
        ["bash", "-c", cluster_config.OPENER, "open-claims", tmp_path], stderr=subprocess.PIPE
    ) as run:
        try:
            (tmp_path / "owned").mkdir(mode=0o700)
            for number in range(300):
                (tmp_path / f"pvc-{number}").mkdir(mode=0o750)
            wanted = {"owned": 0o700} | {f"pvc-{number}": 0o777 for number in range(300)}
            deadline = time.monotonic() + 60
            while modes(tmp_path) != wanted and time.monotonic() < deadline:
                time.sleep(0.02)  # between two looks
            assert modes(tmp_path) == wanted
            (tmp_path / "pvc-7").chmod(0o750)
            (tmp_path / "pvc last").mkdir(mode=0o750)
            while modes(tmp_path)["pvc last"] != 0o777 and time.monotonic() < deadline:
                time.sleep(0.02)
            assert (modes(tmp_path)["pvc last"], modes(tmp_path)["pvc-7"]) == (0o777, 0o750)
            assert run.poll() is None
        finally:
            run.kill()
        assert run.stderr.read() == b""


@pytest.mark.parametrize(("version", "patched"), [("v1.36.3", True), ("v1.35.0", True), ("v1.34.11", False)])
def test_cgroup_v1_is_allowed_only_where_the_kubelet_knows_the_setting(version, patched):
    patches = [json.loads(patch) for patch in config(OLD, version).get("kubeadmConfigPatches", [])]
    assert patches == ([{"kind": "KubeletConfiguration", "failCgroupV1": False}] if patched else [])


def test_containerd_is_told_when_the_host_withholds_the_capability():
    assert "restrict_oom_score_adj = true" in config(OLD)["containerdConfigPatches"][0]


@pytest.mark.parametrize("name", ["orch-1a2b3c4d", "a", "a.b-c"])
def test_valid_names(name):
    assert cluster_config.read_name(name) == name


@pytest.mark.parametrize("name", ["", "-a", "Upper", "under_score", "a" * 42, "a b", None, "a\n"])
def test_invalid_names(name):
    with pytest.raises(ToolboxError, match="kind_cluster_name"):
        cluster_config.read_name(name)


def test_host_port_defaults_to_any():
    assert cluster_config.read_ports([{"container_port": 30081}]) == (PortMapping(30081, 0),)


@pytest.mark.parametrize(
    "ports",
    [
        [{"container_port": 0}],
        [{"container_port": 65536}],
        [{"container_port": 80, "host_port": -1}],
        [{"container_port": 80, "host_port": 65536}],
        [{"container_port": 80}, {"container_port": 80, "host_port": 1}],
    ],
)
def test_invalid_ports(ports):
    with pytest.raises(ToolboxError, match="kind_cluster_port_mappings"):
        cluster_config.read_ports(ports)


def test_the_users_own_kubeconfig_is_refused():
    with pytest.raises(ToolboxError, match="never touched"):
        cluster_config.read_kubeconfig_path("/home/u/.kube/config", Path("/home/u"))


@pytest.mark.parametrize("path", ["", "relative/file", None])
def test_a_kubeconfig_path_is_absolute(path):
    with pytest.raises(ToolboxError, match="absolute path"):
        cluster_config.read_kubeconfig_path(path, Path("/home/u"))


@pytest.mark.parametrize(
    ("found", "expected"),
    [
        ({"kubernetes": "1.36", "ports": [[30081, 0]]}, []),
        ({"kubernetes": "1.34", "ports": [[30081, 0]]}, ["kind_cluster_kubernetes_version"]),
        ({"kubernetes": "1.36", "ports": []}, ["kind_cluster_port_mappings"]),
        ({}, ["kind_cluster_kubernetes_version", "kind_cluster_port_mappings"]),
    ],
)
def test_what_differs_from_an_existing_cluster(found, expected):
    assert cluster_config.differences(SPEC.wanted(), found) == expected


@pytest.mark.parametrize(
    ("content", "expected"),
    [
        ({"contexts": [{"name": "kind-orch-x"}]}, []),
        ({"contexts": [{"name": "kind-orch-x"}, {"name": "prod"}]}, ["prod"]),
        ({"contexts": None}, []),
        ({}, []),
    ],
)
def test_contexts_that_are_not_ours(content, expected):
    assert cluster_config.foreign_contexts(content, SPEC.context) == expected

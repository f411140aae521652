# SPDX-License-Identifier: GPL-3.0-or-later
# SPDX-FileCopyrightText: 2026 The orchestrator.platform authors
"""What a cluster is asked to be, and the kind configuration that follows from it. Pure."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from .errors import ToolboxError
from .pins import version_numbers

OWNER_LABEL = "orchestrator.platform/owner"
NAME_PATTERN = re.compile(
    r"[a-z0-9][a-z0-9.-]{0,40}"
)  # kind's alphabet; the node's name must fit a label, 63 characters
# Where Kubernetes' own provisioner for tests puts claims; the path is fixed in its code.
CLAIMS = "/tmp/hostpath_pv"  # noqa: S108
# The node's /tmp is in memory and runs no programs: they lie here, and the path above leads here after each boot.
KEPT_CLAIMS = "/var/claims"
# It makes a claim's folder with mode 0750 for root, and nobody ever gives it to the pod's group: a program without root
# could not write. Each folder is opened as it comes, long before a pod can start on it. A look every 100 ms costs next
# to nothing; a path unit of systemd would miss what comes while its service ends.
OPENER = f"""\
#!/bin/bash
shopt -s nullglob
declare -A seen
exec {{never}}<> <(:)
while :; do
  for folder in "${{1:-{KEPT_CLAIMS}}}"/*/; do
    if [[ -z ${{seen[$folder]-}} ]]; then
      [[ $(stat --format=%a "$folder") != 750 ]] || chmod 0777 "$folder"
      seen[$folder]=1
    fi
  done
  read -rt 0.1 -u "$never" || :
done
"""
OPEN_CLAIMS = f"""\
set -e
echo 'L {CLAIMS} - - - - {KEPT_CLAIMS}' >/etc/tmpfiles.d/claims.conf
systemd-tmpfiles --create /etc/tmpfiles.d/claims.conf
mkdir -p {KEPT_CLAIMS}
cat >/usr/local/sbin/open-claims <<'SCRIPT'
{OPENER}SCRIPT
chmod 0755 /usr/local/sbin/open-claims
cat >/etc/systemd/system/claims.service <<'UNIT'
[Unit]
StartLimitIntervalSec=0
[Service]
ExecStart=/usr/local/sbin/open-claims
Restart=always
RestartSec=1
[Install]
WantedBy=multi-user.target
UNIT
systemctl daemon-reload
systemctl enable --now --quiet claims.service
"""
REFUSES_CGROUP_V1 = (1, 35)  # from here on the kubelet has to be told to start on cgroup v1


@dataclass(frozen=True)
class PortMapping:
    """A port of the node, reachable on the host's loopback address; host port 0 means any free one."""

    container_port: int
    host_port: int


@dataclass(frozen=True)
class ClusterSpec:
    """What a caller asks for."""

    name: str
    kubeconfig: Path
    kubernetes: str  # "1.36"
    image: str
    ports: tuple[PortMapping, ...]
    wait_s: int

    @property
    def context(self) -> str:
        """Name of the kubeconfig context, kind's choice."""
        return f"kind-{self.name}"

    @property
    def node(self) -> str:
        """Name of the only node, and of its container."""
        return f"{self.name}-control-plane"

    def wanted(self) -> dict[str, Any]:
        """The part of a request that an existing cluster has to match."""
        return {"kubernetes": self.kubernetes, "ports": [[port.container_port, port.host_port] for port in self.ports]}


@dataclass(frozen=True)
class Host:
    """What a host forces on the configuration."""

    cgroup_v1: bool
    withholds_resources: bool  # CAP_SYS_RESOURCE is not to be had


def read_name(name: object) -> str:
    """A valid cluster name; raises ToolboxError otherwise."""
    if not isinstance(name, str) or NAME_PATTERN.fullmatch(name) is None:
        raise ToolboxError(
            "kind_cluster_name has to begin with a small letter or digit and to go on with up to 40 small letters, "
            "digits, dots and dashes."
        )
    return name


def read_ports(ports: object) -> tuple[PortMapping, ...]:
    """Port mappings from a list of {container_port, host_port}.

    Raises ToolboxError when a port is out of range or a container port is given twice.
    """
    result = []
    for entry in ports if isinstance(ports, list) else []:
        mapping = PortMapping(int(entry["container_port"]), int(entry.get("host_port", 0)))
        if not 1 <= mapping.container_port <= 65535 or not 0 <= mapping.host_port <= 65535:
            raise ToolboxError(
                f"kind_cluster_port_mappings: {entry} is out of range, "
                "container_port is 1 to 65535 and host_port 0 (any) to 65535."
            )
        result.append(mapping)
    if len({mapping.container_port for mapping in result}) < len(result):
        raise ToolboxError("kind_cluster_port_mappings names a container_port twice: map each once.")
    return tuple(result)


def read_kubeconfig_path(path: object, home: Path) -> Path:
    """Absolute path of the file the cluster's access goes to; never the user's own kubeconfig."""
    if not isinstance(path, str) or not path.startswith("/"):
        raise ToolboxError("kind_cluster_kubeconfig has to be an absolute path.")
    if Path(path) == home / ".kube" / "config":
        raise ToolboxError(
            "kind_cluster_kubeconfig is the user's own ~/.kube/config, which is never touched: choose another file."
        )
    return Path(path)


def kind_config(spec: ClusterSpec, *, host: Host, version: str, own_image: bool) -> dict[str, Any]:
    """The configuration for `kind create cluster`; JSON is YAML too.

    `own_image`: built by us, so that it brings its own network configuration.
    """
    networking: dict[str, Any] = {"apiServerAddress": "127.0.0.1"}
    patches: list[dict[str, Any]] = []
    if own_image:
        networking["disableDefaultCNI"] = True
        # The controller manager makes the folders of claims: on the node, not in its own container.
        claims = {"name": "claims", "hostPath": KEPT_CLAIMS, "mountPath": CLAIMS, "pathType": "DirectoryOrCreate"}
        patches.append({"kind": "ClusterConfiguration", "controllerManager": {"extraVolumes": [claims]}})
    node: dict[str, Any] = {"role": "control-plane", "image": spec.image, "labels": {OWNER_LABEL: spec.name}}
    if spec.ports:
        node["extraPortMappings"] = [
            {
                "containerPort": port.container_port,
                "hostPort": port.host_port,
                "listenAddress": "127.0.0.1",
                "protocol": "TCP",
            }
            for port in spec.ports
        ]
    config: dict[str, Any] = {
        "kind": "Cluster",
        "apiVersion": "kind.x-k8s.io/v1alpha4",
        "networking": networking,
        "nodes": [node],
    }
    if host.cgroup_v1 and version_numbers(version)[:2] >= REFUSES_CGROUP_V1:
        patches.append({"kind": "KubeletConfiguration", "failCgroupV1": False})
    if patches:
        config["kubeadmConfigPatches"] = [json.dumps(patch) for patch in patches]
    if host.withholds_resources:
        # Without the capability no process may lower its oom_score_adj: containerd would fail each sandbox.
        config["containerdConfigPatches"] = ['[plugins."io.containerd.grpc.v1.cri"]\n  restrict_oom_score_adj = true\n']
    return config


def differences(wanted: Mapping[str, Any], found: Mapping[str, Any]) -> list[str]:
    """Names of the variables in which an existing cluster is not what is asked for."""
    variables = {"kubernetes": "kind_cluster_kubernetes_version", "ports": "kind_cluster_port_mappings"}
    return [variable for key, variable in variables.items() if wanted[key] != found.get(key)]


def foreign_contexts(kubeconfig: Mapping[str, Any], ours: str) -> list[str]:
    """Contexts in a kubeconfig that are not ours: such a file belongs to somebody else."""
    return [str(entry.get("name")) for entry in kubeconfig.get("contexts") or [] if entry.get("name") != ours]

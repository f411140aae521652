# SPDX-License-Identifier: GPL-3.0-or-later
# SPDX-FileCopyrightText: 2026 The orchestrator.platform authors
#
# Private to this collection: names and behaviour may change in any release.
"""From a pod spec to what lets one of its containers out into the node, where the Secrets of every pod are. Pure.

On the node a Secret lies below the kubelet's folder, in the environment of processes, and in what the container runtime
answers to whoever may use its socket; no RBAC rule and no admission policy for Secrets is asked there.
"""

from __future__ import annotations

import posixpath
import typing as t
from collections.abc import Iterator

from ansible_collections.orchestrator.platform.plugins.module_utils._workloads import Obj, containers_of, dig

# Reading there is enough: Secrets' files, processes, sockets and state of runtimes, credentials of the node.
_READ = (
    "/var/lib/kubelet",
    "/var/lib/containerd",
    "/var/lib/containers",
    "/var/lib/docker",
    "/var/lib/etcd",
    "/var/lib/rancher",
    "/run/containerd",
    "/run/crio",
    "/run/docker",
    "/run/docker.sock",
    "/run/k3s",
    "/etc/rancher",
    "/run/cri-dockerd.sock",
    "/run/podman",
    "/run/k0s",
    "/var/lib/k0s",
    "/var/snap/microk8s",
    "/etc/kubernetes",
    "/proc",
)
# Whoever may write there has the node run a program of theirs.
_WRITTEN = (
    "/etc",
    "/usr",
    "/opt",
    "/lib",
    "/lib64",
    "/bin",
    "/sbin",
    "/root",
    "/boot",
    "/var/spool/cron",
    "/sys/fs/cgroup",
)
# With one of them root in a container is root on the node, or reads its files.
_CAPABILITIES = ("ALL", "SYS_ADMIN", "SYS_MODULE", "SYS_RAWIO", "DAC_READ_SEARCH", "BPF")


class NodeWay(t.NamedTuple):
    """One setting; `container` is "" where it holds for the pod as a whole."""

    container: str
    setting: str
    text: str


def node_ways(spec: Obj) -> Iterator[NodeWay]:
    """Every such setting of a pod spec, over all three container lists."""
    for field in ("hostPID", "hostIPC"):
        if spec.get(field):
            yield NodeWay("", field, field)
    if dig(spec, "securityContext", "windowsOptions", "hostProcess"):
        yield NodeWay("", "hostProcess", "a host process")
    for place, container in containers_of(spec):
        for setting, text in _of_container(container, spec):
            yield NodeWay(container.get("name", ""), setting, f"{place}/{container.get('name', '')} {text}")
    for volume in spec.get("volumes") or []:
        yield from _of_volume(volume, spec)


def _of_container(container: Obj, spec: Obj) -> Iterator[tuple[str, str]]:
    context = container.get("securityContext") or {}
    if context.get("privileged"):
        yield "privileged", "is privileged"
    if dig(context, "windowsOptions", "hostProcess"):
        yield "hostProcess", "is a host process"
    # A runtime takes them in any case, with the prefix of the kernel's names or without.
    asked = dig(context, "capabilities", "add") or []
    added = [name for name in asked if name.upper().removeprefix("CAP_") in _CAPABILITIES]
    # In a user namespace of its own they count for nothing outside.
    if added and spec.get("hostUsers") is not False:
        yield "capabilities", f"has {', '.join(added)}"


def _of_volume(volume: Obj, spec: Obj) -> Iterator[NodeWay]:
    path = dig(volume, "hostPath", "path")
    if not isinstance(path, str):
        return
    name, mounted = volume.get("name", ""), False
    for place, container in containers_of(spec):
        for mount in container.get("volumeMounts") or []:
            if mount.get("name") != name:
                continue
            mounted = True
            text = reach_of(path, mount)
            if text:
                yield NodeWay(container.get("name", ""), "hostPath", f"{place}/{container.get('name', '')} {text}")
    # An ephemeral container may mount it later.
    if not mounted and reach_of(path, {}):
        yield NodeWay("", "hostPath", f"volume {name} is {path} of the node, which no container mounts yet")


def reach_of(path: str, mount: Obj) -> str:
    """What a mount of a path of the node opens, "" for nothing that matters here."""
    inside = "" if mount.get("subPathExpr") else str(mount.get("subPath") or "")
    place = _normal(posixpath.join(path, inside.lstrip("/")))
    if place == "/dev" or any(_meets(place, known) for known in _READ):
        return f"mounts {place} of the node"
    if not mount.get("readOnly") and any(_meets(place, known) for known in _WRITTEN):
        return f"may write {place} of the node"
    return ""


def _normal(path: str) -> str:
    # /var/run is a link to /run on every node in use. Two leading slashes are not one to normpath.
    normal = posixpath.normpath("/" + path.lstrip("/"))
    return normal.removeprefix("/var") if (normal + "/").startswith("/var/run/") else normal


def _meets(place: str, known: str) -> bool:
    """Whether one of the two lies in the other."""
    return (place.rstrip("/") + "/").startswith(known + "/") or (known + "/").startswith(place.rstrip("/") + "/")

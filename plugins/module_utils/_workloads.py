# SPDX-License-Identifier: GPL-3.0-or-later
# SPDX-FileCopyrightText: 2026 The orchestrator.platform authors
#
# Private to this collection: names and behaviour may change in any release.
"""What a workload is and where its parts are: kinds, pod templates, the three container lists, mounts. Pure."""

from __future__ import annotations

import posixpath
import typing as t
from collections.abc import Iterator

Json = t.Any  # decoded JSON of any shape
Foreign = t.Any  # an object of a library without type information
Obj = dict[str, Json]  # a Kubernetes object, or a part of one

PREFIX = "orchestrator.platform/"
ANNOTATION_INJECT = PREFIX + "inject"
ANNOTATION_CONTAINER = PREFIX + "container"
ANNOTATION_HASH = PREFIX + "snippet-hash"
ANNOTATION_ADDED = PREFIX + "added"  # in manifests that no server keeps field sets of: the ways to what was added

# D14: a native sidecar sits in initContainers, a debugging one in ephemeralContainers:
# reading containers[] alone misses both.
CONTAINER_LISTS = ("containers", "initContainers", "ephemeralContainers")

_PROBES = ("livenessProbe", "readinessProbe", "startupProbe")


class Kind(t.NamedTuple):
    """One kind: its REST place, where its pod template sits, and whether that may be changed in place."""

    name: str
    group_version: str
    plural: str
    template: tuple[str, ...]
    rolls: bool = False  # whether a changed template replaces running pods, so that there is a rollout to wait for
    patchable: bool = False  # whether the pods of a changed template ever come; the others are only answered

    def path(self, namespace: str, name: str | None = None) -> str:
        """REST path of the list in a namespace, or of one object."""
        root = "/apis" if "/" in self.group_version else "/api"
        base = f"{root}/{self.group_version}/namespaces/{namespace}/{self.plural}"
        return base if name is None else f"{base}/{name}"


_TEMPLATE = ("spec", "template")
KINDS: dict[str, Kind] = {
    kind.name: kind
    for kind in (
        Kind("Deployment", "apps/v1", "deployments", _TEMPLATE, rolls=True, patchable=True),
        Kind("StatefulSet", "apps/v1", "statefulsets", _TEMPLATE, rolls=True, patchable=True),
        Kind("DaemonSet", "apps/v1", "daemonsets", _TEMPLATE, rolls=True, patchable=True),
        Kind("CronJob", "batch/v1", "cronjobs", ("spec", "jobTemplate", "spec", "template"), patchable=True),
        Kind("Job", "batch/v1", "jobs", _TEMPLATE),  # its template is immutable
        Kind("ReplicaSet", "apps/v1", "replicasets", _TEMPLATE),
        Kind("ReplicationController", "v1", "replicationcontrollers", _TEMPLATE),
        Kind("Pod", "v1", "pods", ()),  # a Pod is its own template
    )
}
PATCHABLE = tuple(kind.name for kind in KINDS.values() if kind.patchable)
# What verification reads as a workload: whatever makes pods of its own and stands above others.
WORKLOADS = (*PATCHABLE, "Job")


def dig(obj: Json, *path: str) -> Json:
    """The value at a path of keys, or None where any step is missing."""
    for key in path:
        if not isinstance(obj, dict):
            return None
        obj = obj.get(key)
    return obj


def clone(value: Json) -> Json:
    """A copy of decoded JSON that shares nothing with it; several times faster than copy.deepcopy."""
    if isinstance(value, dict):
        return {key: clone(item) for key, item in value.items()}
    if isinstance(value, list):
        return [clone(item) for item in value]
    return value


def pod_template(obj: Obj, kind: str) -> Obj:
    """The pod template of a workload ({} if it has none); a Pod is its own template."""
    return dig(obj, *KINDS[kind].template) or {}


def pod_spec(obj: Obj, kind: str) -> Obj:
    """The pod spec of a workload or Pod ({} if it has none)."""
    return pod_template(obj, kind).get("spec") or {}


def containers_of(spec: Obj) -> Iterator[tuple[str, Obj]]:
    """(list name, container) over all three container lists of a pod spec."""
    for place in CONTAINER_LISTS:
        for container in spec.get(place) or []:
            yield place, container


def find_container(spec: Obj, name: str) -> tuple[str, Obj] | None:
    """The first container of that name in any of the three lists."""
    return next(((place, item) for place, item in containers_of(spec) if item.get("name") == name), None)


def ports_of(container: Obj) -> Iterator[int]:
    """Ports that a container says it listens on: declared, or asked by number in its probes and lifecycle hooks."""
    for port in container.get("ports") or []:
        yield port["containerPort"]
    hooks = container.get("lifecycle") or {}
    askers = [container.get(name) for name in _PROBES] + [hooks.get(name) for name in ("postStart", "preStop")]
    for asker in askers:
        for way in ("httpGet", "tcpSocket", "grpc"):
            asked = (asker or {}).get(way) or {}
            # One with a host asks somebody else; a name is one of the declared ports.
            if isinstance(asked.get("port"), int) and not asked.get("host"):
                yield asked["port"]


def annotation(obj: Obj | None, name: str) -> str | None:
    """An annotation's value, or None."""
    value = dig(obj, "metadata", "annotations", name)
    return value if isinstance(value, str) else None


def opted_out(*objects: Obj | None) -> bool:
    """Whether any of workload, pod template, namespace says `orchestrator.platform/inject: "false"`."""
    return any((annotation(obj, ANNOTATION_INJECT) or "").strip().lower() == "false" for obj in objects)


def unclear_opt_out(obj: Obj | None) -> str | None:
    """The value of an annotation `orchestrator.platform/inject` that is neither true nor false, else None."""
    value = annotation(obj, ANNOTATION_INJECT)
    return value if value is not None and value.strip().lower() not in ("true", "false") else None


def controller_of(obj: Obj) -> Obj | None:
    """The owner reference of the controller that would undo our change, if there is one."""
    for owner in dig(obj, "metadata", "ownerReferences") or []:
        if owner.get("controller"):
            return t.cast(Obj, owner)
    return None


def top_owner(obj: Obj) -> str | None:
    """`Kind/name` of the highest controller that the object itself tells of, or None where none controls it.

    A Deployment names its ReplicaSets after itself and the pods' label pod-template-hash (kubernetes.io, Deployments,
    "Pod-template-hash label"), so a Pod tells of its Deployment too.
    """
    controller = controller_of(obj)
    if controller is None:
        return None
    kind, name = str(controller.get("kind")), str(controller.get("name"))
    suffix = "-" + str(dig(obj, "metadata", "labels", "pod-template-hash"))
    if kind == "ReplicaSet" and name.endswith(suffix):
        kind, name = "Deployment", name.removesuffix(suffix)
    return f"{kind}/{name}"


class Mount(t.NamedTuple):
    """Where a wanted path is found in a container's mounts."""

    volume: str
    sub_path: str  # path inside the volume that its owner has mounted, "" for its root
    rest: str = ""  # from that mount down to the path, "" where the path itself is mounted


class UnsupportedMountError(ValueError):
    """The path is mounted by a form that cannot be copied into another container (subPathExpr)."""


def resolve_mount(mounts: list[Obj], path: str) -> Mount | None:
    """The mount that holds `path`: an exact one, else the nearest parent, else None.

    Raises UnsupportedMountError when that mount uses subPathExpr: it depends on the other container's environment.
    """
    want = posixpath.normpath(path)
    best: tuple[int, Obj, str] | None = None
    for mount in mounts:
        at = posixpath.normpath(mount.get("mountPath") or "/")
        if at == want:
            rest = ""
        elif want.startswith(at.rstrip("/") + "/"):
            rest = want[len(at.rstrip("/")) + 1 :]
        else:
            continue
        if best is None or len(at) > best[0]:
            best = (len(at), mount, rest)
    if best is None:
        return None
    _length, mount, rest = best
    if mount.get("subPathExpr"):
        raise UnsupportedMountError(mount["mountPath"])
    return Mount(mount["name"], mount.get("subPath") or "", rest)


def owned_fields(obj: Obj, manager: str) -> Obj | None:
    """The fieldsV1 set a server-side-apply manager owns, or None when it owns nothing."""
    for entry in dig(obj, "metadata", "managedFields") or []:
        if entry.get("manager") == manager and entry.get("operation") == "Apply" and not entry.get("subresource"):
            return t.cast(Obj, entry.get("fieldsV1") or {})
    return None


def fields_of_others(obj: Obj, manager: str) -> list[Obj]:
    """The fieldsV1 sets of everybody but that server-side-apply manager, statuses apart."""
    entries = dig(obj, "metadata", "managedFields") or []
    return [
        entry.get("fieldsV1") or {}
        for entry in entries
        if not entry.get("subresource") and (entry.get("manager"), entry.get("operation")) != (manager, "Apply")
    ]

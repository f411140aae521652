# SPDX-License-Identifier: GPL-3.0-or-later
# SPDX-FileCopyrightText: 2026 The orchestrator.platform authors
#
# Private to this collection: names and behaviour may change in any release.
"""From a pod spec to every way by which one of its containers gets at a Secret. Pure.

Direct ways are those the spec names. Two more follow from them: containers that share processes see each other's
environment and files under /proc, and a container that holds a Secret can copy it into a volume that it may write.
"""

from __future__ import annotations

import posixpath
import typing as t
from collections.abc import Iterable, Iterator

from ansible_collections.orchestrator.platform.plugins.module_utils._workloads import Json, Obj, containers_of, dig

DIRECT = ("env", "env-from", "volume", "projected", "csi", "driver", "image-pull")
DERIVED = ("process-namespace", "shared-volume")
# Volumes that no container can write, whatever its mount says.
_READ_ONLY_VOLUMES = ("secret", "configMap", "downwardAPI", "projected", "image")


class SecretPath(t.NamedTuple):
    """One way from a pod spec to a Secret; `container` is "" where it belongs to the pod as a whole."""

    path: str
    container: str
    secret: str
    where: str
    holder: str = ""  # of a derived way: the container that holds the Secret


def secret_paths(spec: Obj) -> list[SecretPath]:
    """Every direct and derived way, over all three container lists; each once."""
    direct = list(dict.fromkeys(_direct(spec)))
    if not direct:
        return []
    held = {(item.container, item.secret) for item in direct if item.container and item.path != "image-pull"}
    derived = (*_by_processes(spec, held), *_by_volumes(spec, held))
    return [*direct, *dict.fromkeys(item for item in derived if (item.container, item.secret) not in held)]


# -- named by the spec -----------------------------------------------------------------------------------------------


def _direct(spec: Obj) -> Iterator[SecretPath]:
    for place, container in containers_of(spec):
        name = container.get("name", "")
        for entry in container.get("env") or []:
            secret = dig(entry, "valueFrom", "secretKeyRef", "name")
            if secret:
                yield SecretPath("env", name, secret, f"{place}/{name} env {entry.get('name')}")
        for entry in container.get("envFrom") or []:
            secret = dig(entry, "secretRef", "name")
            if secret:
                yield SecretPath("env-from", name, secret, f"{place}/{name} envFrom")
    for volume in spec.get("volumes") or []:
        yield from _of_volume(volume, spec)
    for entry in spec.get("imagePullSecrets") or []:
        if entry.get("name"):
            yield SecretPath("image-pull", "", entry["name"], "imagePullSecrets")


def _of_volume(volume: Obj, spec: Obj) -> Iterator[SecretPath]:
    found = list(_secrets_in_volume(volume))
    if not found:
        return
    name = volume.get("name", "")
    readers = [(place, item.get("name", "")) for place, item in containers_of(spec) if _mounts(item, name)]
    for path, secret in found:
        for place, reader in readers:
            yield SecretPath(path, reader, secret, f"{place}/{reader} mounts volume {name}")
        if not readers:
            yield SecretPath(path, "", secret, f"volume {name}, which no container mounts yet")


def _secrets_in_volume(volume: Obj) -> Iterator[tuple[str, str]]:
    for kind, source in volume.items():
        if kind == "secret" and dig(source, "secretName"):
            yield "volume", source["secretName"]
        elif kind == "projected":
            for part in dig(source, "sources") or []:
                if dig(part, "secret", "name"):
                    yield "projected", part["secret"]["name"]
        elif kind == "csi":
            yield from (("csi", name) for name in _references(source))
        elif kind != "name":
            yield from (("driver", name) for name in _references(source))


def _references(value: Json) -> Iterator[str]:
    # azureFile.secretName; secretRef of rbd, cephfs, iscsi, flexVolume, scaleIO, storageos; csi.nodePublishSecretRef.
    if not isinstance(value, dict):
        return
    for key, item in value.items():
        if key == "secretName" and isinstance(item, str):
            yield item
        elif key in ("secretRef", "nodePublishSecretRef") and dig(item, "name"):
            yield item["name"]
        else:
            yield from _references(item)


def _mounts(container: Obj, volume: str) -> list[Obj]:
    places = [*(container.get("volumeMounts") or []), *(container.get("volumeDevices") or [])]
    return [item for item in places if item.get("name") == volume]


# -- following from these --------------------------------------------------------------------------------------------


def _by_processes(spec: Obj, held: set[tuple[str, str]]) -> Iterator[SecretPath]:
    for holder, reader, why in _sees_processes(spec):
        for name, secret in held:
            if name == holder:
                yield SecretPath("process-namespace", reader, secret, f"{why}: processes of {holder}", holder)


def _sees_processes(spec: Obj) -> Iterator[tuple[str, str, str]]:
    """(holder, reader, why) for every pair of containers of which the reader sees the holder's processes."""
    names = [container.get("name", "") for _place, container in containers_of(spec)]
    why = next((field for field in ("shareProcessNamespace", "hostPID") if spec.get(field)), "")
    if why:
        yield from ((holder, reader, why) for holder in names for reader in names if holder != reader)
    for container in spec.get("ephemeralContainers") or []:
        target, name = container.get("targetContainerName"), container.get("name", "")
        if target:
            yield target, name, "targetContainerName"
            yield name, target, "targetContainerName"


def _by_volumes(spec: Obj, held: set[tuple[str, str]]) -> Iterator[SecretPath]:
    """What a holder could copy: its mount is writable, and the reader mounts the same part of the volume."""
    containers = {container.get("name", ""): container for _place, container in containers_of(spec)}
    for names in _one_storage(spec):
        mounted = {
            user: [mount for name in names for mount in _mounts(container, name)]
            for user, container in containers.items()
        }
        for holder, secret in held:
            writable = [mount for mount in mounted.get(holder, []) if not mount.get("readOnly")]
            for reader, container in containers.items():
                read = [*mounted[reader], *(ref for name in names for ref in _file_keys(container, name))]
                if reader != holder and _overlap(writable, read):
                    where = f"volume {' and '.join(names)}, which {holder} can write"
                    yield SecretPath("shared-volume", reader, secret, where, holder)


def _one_storage(spec: Obj) -> list[list[str]]:
    """Names of the volumes that can be written, those of one claim or of one path of the node together."""
    found: dict[tuple[str, str], list[str]] = {}
    for volume in spec.get("volumes") or []:
        if any(kind in volume for kind in _READ_ONLY_VOLUMES):
            continue
        name = volume.get("name", "")
        claim, path = dig(volume, "persistentVolumeClaim", "claimName"), dig(volume, "hostPath", "path")
        same = ("claim", claim) if claim else ("path", posixpath.normpath(path)) if path else ("volume", name)
        found.setdefault(same, []).append(name)
    return list(found.values())


def _file_keys(container: Obj, volume: str) -> Iterator[Obj]:
    """What env reads from files of a volume (fileKeyRef), which needs no mount of it; as parts of the volume."""
    for entry in container.get("env") or []:
        ref = dig(entry, "valueFrom", "fileKeyRef") or {}
        if ref.get("volumeName") == volume:
            yield {"subPath": ref.get("path", "")}


def _overlap(left: Iterable[Obj], right: Iterable[Obj]) -> bool:
    return any(_same_part(one, other) for one in left for other in right)


def _same_part(one: Obj, other: Obj) -> bool:
    if one.get("subPathExpr") or other.get("subPathExpr"):
        return True  # depends on the environment: it cannot be ruled out
    left, right = (str(item.get("subPath") or "").strip("/").split("/") for item in (one, other))
    short, long = sorted(([part for part in parts if part] for parts in (left, right)), key=len)
    return long[: len(short)] == short

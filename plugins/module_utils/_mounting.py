# SPDX-License-Identifier: GPL-3.0-or-later
# SPDX-FileCopyrightText: 2026 The orchestrator.platform authors
#
# Private to this collection: names and behaviour may change in any release.
"""How our containers come to share volumes with the agent's: its own volume where it has one, else ours. Pure."""

from __future__ import annotations

import posixpath
import typing as t

from ansible_collections.orchestrator.platform.plugins.module_utils._fields import merge_key
from ansible_collections.orchestrator.platform.plugins.module_utils._outcomes import NoPlanError
from ansible_collections.orchestrator.platform.plugins.module_utils._workloads import (
    KINDS,
    Mount,
    Obj,
    UnsupportedMountError,
    clone,
    dig,
    resolve_mount,
)

CLAUDE = ".claude"
# The folder inside it that holds transcripts; beside it lie settings and the agent's credentials.
PROJECTS = "projects"
# Sources that hold somebody's configuration or credentials: no agent writes there, and no watcher reads there.
_NO_STORE = ("secret", "configMap", "projected", "downwardAPI", "image")
# Nothing of the agent's is mounted above these in the watcher: its program, and what the kubelet mounts by itself.
RESERVED = (
    "/etc/hosts",
    "/opt/orchestrator-platform",
    "/run/secrets",
    "/usr/local/bin",
    "/var/run/secrets/kubernetes.io/serviceaccount",
)


class Part(t.NamedTuple):
    """One of our containers with what it needs."""

    container: Obj
    volumes: list[Obj]
    agent_mounts: list[Obj]
    wanted: str | None  # name of the pod's volume that an override asks for
    setting: str  # the annotation's name, for sentences
    follows_claude: bool  # whether a mount of the agent's .claude is as good as one of the published path


class Sharing(t.NamedTuple):
    """What is to be applied: our containers, our volumes, and the mounts of the agent's container that are ours."""

    containers: list[Obj]
    volumes: list[Obj]
    agent_mounts: list[Obj]
    whole: tuple[str, str] | None = None  # volume and path where the watcher sees more than the published folder


class _Use(t.NamedTuple):
    """Where a container of ours mounts a volume of the owner instead of ours."""

    volume: str
    sub_path: str
    below: str = ""  # added to the mount path: the owner's mount begins that much deeper
    above: str = ""  # the mount path instead: the owner's mount begins above ours


class _Pod(t.NamedTuple):
    """What the owner brings."""

    agent: Obj
    mounts: list[Obj]  # of the agent's container
    volumes: dict[str, Obj]


class Claims(t.NamedTuple):
    """Who owns what of a workload now, as fieldsV1 sets."""

    ours: Obj
    others: list[Obj]
    kind: str

    def of_mounts(self, container: Obj) -> tuple[Obj, list[Obj]]:
        """What we own of a container's mounts, and what each other manager owns of them."""
        path = [*("f:" + key for key in KINDS[self.kind].template), "f:spec", "f:containers"]
        path += [merge_key("containers", container), "f:volumeMounts"]
        return dig(self.ours, *path) or {}, [dig(other, *path) or {} for other in self.others]


def share(parts: list[Part], agent: Obj, spec: Obj, claims: Claims) -> Sharing:
    """Containers, volumes and agent mounts. Raises NoPlanError."""
    fields, kind = claims.ours, claims.kind
    ours = owned_items(fields, kind, "volumes")
    theirs = {item["name"]: item for item in spec.get("volumes") or [] if item["name"] not in ours}
    pod = _Pod(agent, foreign_mounts(agent, claims), theirs)
    containers: list[Obj] = []
    volumes: dict[str, Obj] = {}
    whole: tuple[str, str] | None = None
    mounts = taken_over(agent, claims)
    for part in parts:
        uses: dict[str, _Use] = {}
        for mount in part.agent_mounts:
            use, added = _use_for(part, mount, pod)
            if added is not None:
                mounts.append(added)
            if use is not None:
                uses[mount["name"]] = use
                whole = (use.volume, use.above) if use.above else whole
        containers.append(_mounted(part.container, uses, read_only=part.follows_claude))
        volumes.update({item["name"]: clone(item) for item in part.volumes if item["name"] not in uses})
    return Sharing(containers, list(volumes.values()), mounts, whole)


def foreign_mounts(agent: Obj, claims: Claims) -> list[Obj]:
    """The agent's mounts that are its owner's: all but those whose volume name is our field and nobody else's."""
    own, others = claims.of_mounts(agent)
    ours = {key for key, inner in own.items() if "f:name" in inner}
    ours -= {key for other in others for key, inner in other.items() if "f:name" in inner}
    return [item for item in agent.get("volumeMounts") or [] if merge_key("volumeMounts", item) not in ours]


def taken_over(container: Obj, claims: Claims) -> list[Obj]:
    """Mounts that we added and their owner has pointed at a volume of his own since, as items to hold on to.

    A client-side apply owns only what it changed, here the volume's name: the item itself is still ours alone, so that
    an apply without it would take the owner's mount away.
    """
    own, others = claims.of_mounts(container)
    held: list[Obj] = []
    for mount in container.get("volumeMounts") or []:
        key = merge_key("volumeMounts", mount)
        named = any("f:name" in other.get(key, {}) for other in others)
        shared = any("." in other.get(key, {}) for other in others)
        if named and not shared and "." in own.get(key, {}):
            held.append({"mountPath": mount["mountPath"], "name": mount["name"]})
    return held


def owned_items(fields: Obj, kind: str, place: str) -> set[str]:
    """Names of the list items in the pod spec that our manager owns."""
    items = dig(fields, *("f:" + key for key in KINDS[kind].template), "f:spec", "f:" + place) or {}
    return {part.split('"')[3] for part in items if part.startswith('k:{"name":')}


def _use_for(part: Part, mount: Obj, pod: _Pod) -> tuple[_Use | None, Obj | None]:
    """The owner's volume to use, None for our own; and the mount to add to the agent's container, if any."""
    if part.wanted is not None:
        return _wanted_volume(part, part.wanted, mount, pod)
    hit = _resolve(pod.mounts, mount["mountPath"], pod.agent)
    if hit is not None:
        _refuse_no_store(hit.volume, mount["mountPath"], pod)
        return _use_of(part, mount, hit, pod), None
    if part.follows_claude:
        found = _claude_mount([item for item in pod.mounts if _no_store(pod, item["name"]) is None])
        if found is not None:
            return found, None
    return None, clone(mount)


def _wanted_volume(part: Part, wanted: str, mount: Obj, pod: _Pod) -> tuple[_Use | None, Obj | None]:
    path = mount["mountPath"]
    if wanted not in pod.volumes:
        there = ", ".join(pod.volumes) or "none"
        raise NoPlanError("volume_missing", volume=wanted, setting=part.setting, volumes=there)
    _refuse_no_store(wanted, path, pod)
    mounts = [item for item in pod.mounts if item["name"] == wanted]
    if not mounts:
        taken = [item for item in pod.mounts if posixpath.normpath(item["mountPath"]) == posixpath.normpath(path)]
        if taken:
            reason = f"from volume {taken[0]['name']}, where {part.setting} wants {wanted}."
            raise NoPlanError("unsupported_mount", container=pod.agent["name"], path=path, reason=reason)
        return _Use(wanted, ""), {**clone(mount), "name": wanted}
    hit = _resolve(mounts, path, pod.agent)
    if hit is not None:
        return _use_of(part, mount, hit, pod), None
    found = _claude_mount(mounts) if part.follows_claude else None
    if found is not None:
        return found, None
    _refuse_expression(mounts[0], pod.agent)
    return _Use(wanted, mounts[0].get("subPath") or ""), None


def _use_of(part: Part, mount: Obj, hit: Mount, pod: _Pod) -> _Use:
    """A mount of the owner's as ours: the watcher mounts a parent where its owner does.

    With a sub-path of our making the kubelet would make the folder, as root, before an agent that is not root could.
    The bridge, which writes, gets its own folder alone.
    """
    if not hit.rest or not part.follows_claude:
        return _Use(hit.volume, "/".join(text for text in (hit.sub_path, hit.rest) if text))
    above = posixpath.normpath(mount["mountPath"]).removesuffix("/" + hit.rest)
    others = [item["mountPath"] for item in part.container.get("volumeMounts") or [] if item["name"] != mount["name"]]
    hidden = next((path for path in (*others, *RESERVED) if _holds(above, path)), None)
    if hidden is not None:
        reason = f"from volume {hit.volume}: the watcher would have to mount it there too, and it would hide {hidden}."
        raise NoPlanError("unsupported_mount", container=pod.agent["name"], path=above or "/", reason=reason)
    return _Use(hit.volume, hit.sub_path, above=above)


def _holds(folder: str, path: str) -> bool:
    return posixpath.normpath(path) == folder or path.startswith(folder + "/")


def _claude_mount(mounts: list[Obj]) -> _Use | None:
    """The mount of a folder .claude, else of the projects below it; settings files beside them are no transcripts."""
    deeper: _Use | None = None
    for mount in mounts:
        if mount.get("subPathExpr") or mount.get("readOnly"):
            continue
        parts = posixpath.normpath(mount.get("mountPath") or "/").split("/")
        sub_path = mount.get("subPath") or ""
        if parts[-1] == CLAUDE:
            return _Use(mount["name"], sub_path)
        if CLAUDE in parts and deeper is None:
            below = parts[parts.index(CLAUDE) + 1 :]
            if below[0] == PROJECTS:
                deeper = _Use(mount["name"], sub_path, "/".join(below))
    return deeper


def _resolve(mounts: list[Obj], path: str, agent: Obj) -> Mount | None:
    try:
        return resolve_mount(mounts, path)
    except UnsupportedMountError:
        hit = next(item for item in mounts if item.get("subPathExpr"))
        _refuse_expression(hit, agent)
        raise


def _refuse_expression(mount: Obj, agent: Obj) -> None:
    if mount.get("subPathExpr"):
        reason = "with subPathExpr, which another container cannot follow."
        raise NoPlanError("unsupported_mount", container=agent["name"], path=mount["mountPath"], reason=reason)


def _no_store(pod: _Pod, volume: str) -> str | None:
    return next((source for source in _NO_STORE if source in pod.volumes.get(volume, {})), None)


def _refuse_no_store(volume: str, path: str, pod: _Pod) -> None:
    source = _no_store(pod, volume)
    if source is not None:
        reason = f"from volume {volume}, a {source}: no agent writes there, and the watcher must not read there."
        raise NoPlanError("unsupported_mount", container=pod.agent["name"], path=path, reason=reason)


def _mounted(container: Obj, uses: dict[str, _Use], *, read_only: bool) -> Obj:
    result: Obj = clone(container)
    for mount in result.get("volumeMounts") or []:
        use = uses.get(mount["name"])
        if use is None:
            continue
        below = "" if use.above else mount.get("subPath") or ""
        joined = "/".join(part for part in (use.sub_path, below) if part)
        mount["name"] = use.volume
        mount.pop("subPath", None)
        if use.above:
            mount["mountPath"] = use.above
        elif use.below:
            mount["mountPath"] = posixpath.join(mount["mountPath"], use.below)
        if joined:
            mount["subPath"] = joined
        if read_only:
            mount["readOnly"] = True  # the watcher never writes where an agent does
    return result

# SPDX-License-Identifier: GPL-3.0-or-later
# SPDX-FileCopyrightText: 2026 The orchestrator.platform authors
"""The published snippet in the pod of an agent's Job: the watcher, and the bridge when asked, as native sidecars. Pure.

The text of the sidecar is the chart's alone (ConfigMap <fullname>-snippet); what is decided here is which volume it
shares with the agent, whose user it runs as, and which Secret its webhook comes from.
"""

from __future__ import annotations

import copy
import json
from typing import TYPE_CHECKING, Any, NamedTuple

from orchestrator.fields import INPUT, WEBHOOK

if TYPE_CHECKING:
    from orchestrator.kube import Obj

SCHEMA = 1
HASH_ANNOTATION = "orchestrator.platform/snippet-hash"
TRANSCRIPTS, STATE = "discord-transcripts", "discord-state"


class SnippetError(Exception):
    """The snippet cannot be used; the text says why."""


class Snippet(NamedTuple):
    """The published parts, as they are in snippet.json."""

    watcher: Obj
    bridge: Obj | None
    volumes: list[Obj]
    agent_mounts: list[Obj]
    bridge_volumes: list[Obj]
    bridge_agent_mounts: list[Obj]
    hash: str


def parse_snippet(config_map: Obj) -> Snippet:
    """Read the ConfigMap; raises SnippetError."""
    data = config_map.get("data") or {}
    try:
        document = json.loads(data["snippet.json"])
        if document["schema"] != SCHEMA:
            raise SnippetError(
                f"it has schema {document['schema']!r} and this controller reads {SCHEMA}: use charts of one release"
            )
        found = Snippet(
            watcher=document["watcher"],
            bridge=document.get("bridge"),
            volumes=document.get("volumes") or [],
            agent_mounts=document.get("agentVolumeMounts") or [],
            bridge_volumes=document.get("bridgeVolumes") or [],
            bridge_agent_mounts=document.get("bridgeAgentVolumeMounts") or [],
            hash=str(data.get("hash") or "").strip(),
        )
        if not found.watcher:
            raise SnippetError("it holds no watcher: set discord.monitoring.enabled in the values of discord-monitor")
        _check(found)
    except (KeyError, TypeError, ValueError):
        raise SnippetError("it is not what the chart discord-monitor publishes: install that chart again") from None
    return found


def _check(snippet: Snippet) -> None:
    for container in [snippet.watcher, *([snippet.bridge] if snippet.bridge else [])]:
        if not container["name"] or not container["image"]:
            raise SnippetError("a container of it has no name or no image")
        if any(entry["name"] == WEBHOOK and entry.get("value") for entry in container.get("env") or []):
            raise SnippetError(f"it holds the webhook's URL itself in {WEBHOOK}: put it into a Secret")
    if any(not volume["name"] for volume in [*snippet.volumes, *snippet.bridge_volumes]):
        raise SnippetError("a volume of it has no name")


def lacking_volumes(snippet: Snippet, *, bridge: bool, present: set[str]) -> set[str]:
    """Volumes that the containers mount, and neither the snippet nor the pod has (transcripts.existingVolume)."""
    given = {v["name"] for v in snippet.volumes} | ({v["name"] for v in snippet.bridge_volumes} if bridge else set())
    containers = [snippet.watcher, *([snippet.bridge] if bridge and snippet.bridge else [])]
    mounted = {m["name"] for c in containers for m in c.get("volumeMounts") or []} | {
        m["name"] for m in snippet.agent_mounts
    }
    return mounted - given - present


def attach(
    pod: Obj, snippet: Snippet, *, bridge: bool, credentials: dict[str, Obj], user: dict[str, Any], kept: dict[str, Obj]
) -> Obj:
    """The pod spec with the sidecar. The first container is the agent.

    `credentials` are secretKeyRefs by variable that take the place of the snippet's, in the container that each is for,
    the watcher for the webhook and the bridge for the input; `user` are runAsUser and runAsGroup of the agent;
    `kept` are mounts (name of the volume in the pod, subPath) that take the place of the snippet's own volumes by
    name, so that a session and the cursor behind it outlive the pod.
    """
    out = copy.deepcopy(pod)
    agent = out["containers"][0]
    containers = [snippet.watcher, *([snippet.bridge] if bridge and snippet.bridge else [])]
    mounts = [*snippet.agent_mounts, *(snippet.bridge_agent_mounts if bridge else [])]
    volumes = [*snippet.volumes, *(snippet.bridge_volumes if bridge else [])]
    out["volumes"] = [*out["volumes"], *(copy.deepcopy(v) for v in volumes if v["name"] not in kept)]
    agent["volumeMounts"] = [*agent["volumeMounts"], *(_placed(m, kept) for m in mounts)]
    sidecars = []
    for container in containers:
        ours = copy.deepcopy(container) | {"restartPolicy": "Always"}
        ours["volumeMounts"] = [_placed(m, kept) for m in container.get("volumeMounts") or []]
        ours["securityContext"] = {**(container.get("securityContext") or {}), **user}
        name = WEBHOOK if container is snippet.watcher else INPUT
        if name in credentials:
            env = [e for e in ours.get("env") or [] if e["name"] != name]
            reference = credentials[name] | {"optional": True}
            ours["env"] = [{"name": name, "valueFrom": {"secretKeyRef": reference}}, *env]
        sidecars.append(ours)
    out["initContainers"] = [*(out.get("initContainers") or []), *sidecars]
    return out


def _placed(mount: Obj, kept: dict[str, Obj]) -> Obj:
    """A mount of the snippet on the volume it has in this pod."""
    place = kept.get(mount["name"])
    if place is None:
        return dict(mount)
    below = "/".join(part for part in (place["subPath"], mount.get("subPath", "")) if part)
    return mount | {"name": place["name"], "subPath": below}

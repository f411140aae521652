# SPDX-License-Identifier: GPL-3.0-or-later
# SPDX-FileCopyrightText: 2026 The orchestrator.platform authors
#
# Private to this collection: names and behaviour may change in any release.
"""The published snippet: its shape, its hash. Pure."""

from __future__ import annotations

import hashlib
import json
import typing as t

from ansible_collections.orchestrator.platform.plugins.module_utils._errors import SnippetError
from ansible_collections.orchestrator.platform.plugins.module_utils._workloads import Foreign, Json, Obj, dig

WATCHER = "discord-watcher"
BRIDGE = "input-bridge"
SCHEMA = 1
WEBHOOK_ENV = "DISCORD_WEBHOOK_URL"
INPUT_ENV = "BOT_INPUT_CREDENTIAL"  # of the bridge, where the chart lets it pull its agent's input

_LISTS = ("volumes", "agentVolumeMounts", "bridgeVolumes", "bridgeAgentVolumeMounts")


class Snippet(t.NamedTuple):
    """What the chart publishes; `hash` is the chart's own content hash."""

    watcher: Obj
    bridge: Obj | None
    volumes: list[Obj]
    agent_mounts: list[Obj]
    bridge_volumes: list[Obj]
    bridge_agent_mounts: list[Obj]
    hash: str


def hash_of(document: Obj) -> str:
    """sha256 over the canonical JSON; used when a snippet is given without the chart's hash."""
    text = json.dumps(document, sort_keys=True, separators=(",", ":"))
    return hashlib.sha256(text.encode()).hexdigest()


def literal_webhooks(document: Json) -> list[str]:
    """Webhook URLs that stand in a snippet as they are, of any shape, to be refused and kept out of every output."""
    lists = [dig(document, name, "env") for name in ("watcher", "bridge")]
    entries = [entry for items in lists if isinstance(items, list) for entry in items]
    return [str(entry["value"]) for entry in entries if dig(entry, "name") == WEBHOOK_ENV and dig(entry, "value")]


def secret_of(container: Obj | None, variable: str) -> Obj:
    """Name and key of the Secret that a variable of a container refers to, {} where it refers to none."""
    for entry in (container or {}).get("env") or []:
        if entry.get("name") == variable:
            return t.cast(Obj, dig(entry, "valueFrom", "secretKeyRef") or {})
    return {}


def hide_literals(module: Foreign) -> None:
    """Keep URLs in the option `snippet`, which is refused then, out of the arguments that -vvv prints."""
    found = literal_webhooks(module.params["snippet"])
    if found:
        wrapped: Foreign = getattr(module, "_module", module)  # kubernetes.core wraps Ansible's own module
        wrapped.no_log_values.update(found)


def parse_snippet(document: Json, *, published_hash: str | None = None) -> Snippet:
    """Check the shape and give it types; raises SnippetError naming the part that is wrong."""
    if not isinstance(document, dict):
        raise SnippetError("The snippet is not a mapping with the keys schema, watcher, volumes, agentVolumeMounts.")
    if document.get("schema") != SCHEMA:
        raise SnippetError(
            f"The snippet has schema {document.get('schema')!r}, this version reads {SCHEMA}: "
            "install the chart of the same version as this collection."
        )
    watcher, bridge = document.get("watcher"), document.get("bridge")
    if not isinstance(watcher, dict) or not watcher.get("name") or not watcher.get("image"):
        raise SnippetError("The snippet holds no watcher: set discord.monitoring.enabled in the chart's values.")
    if bridge is not None and (not isinstance(bridge, dict) or not bridge.get("name")):
        raise SnippetError("The snippet's bridge is neither null nor a container.")
    if literal_webhooks(document):
        raise SnippetError(
            f"The snippet holds the webhook URL itself in {WEBHOOK_ENV}, and everyone who may read a workload could "
            "read it: put it into a Secret and refer to that with valueFrom.secretKeyRef."
        )
    lists: dict[str, list[Obj]] = {}
    for key in _LISTS:
        value = document.get(key) or []
        if not isinstance(value, list) or not all(isinstance(item, dict) and item.get("name") for item in value):
            raise SnippetError(f"The snippet's {key} is not a list of named entries.")
        lists[key] = value
    return Snippet(
        watcher=watcher,
        bridge=bridge,
        volumes=lists["volumes"],
        agent_mounts=lists["agentVolumeMounts"],
        bridge_volumes=lists["bridgeVolumes"],
        bridge_agent_mounts=lists["bridgeAgentVolumeMounts"],
        hash=published_hash or hash_of(document),
    )


def snippet_of_config_map(config_map: Obj) -> Snippet:
    """Read the ConfigMap published by the chart (keys snippet.json and hash); raises SnippetError."""
    data = config_map.get("data") or {}
    place = "{namespace}/{name}".format(**{"namespace": "?", "name": "?", **(config_map.get("metadata") or {})})
    if "snippet.json" not in data:
        raise SnippetError(f"ConfigMap {place} has no key snippet.json: it is not the one the chart publishes.")
    try:
        document = json.loads(data["snippet.json"])
    except ValueError as exc:
        raise SnippetError(f"snippet.json in ConfigMap {place} is not JSON; install the chart again.") from exc
    return parse_snippet(document, published_hash=(data.get("hash") or "").strip() or None)

# SPDX-License-Identifier: GPL-3.0-or-later
# SPDX-FileCopyrightText: 2026 The orchestrator.platform authors
#
# Private to this collection: names and behaviour may change in any release.
"""What becomes of hand-made objects when a Helm release with the same names is installed over them. Pure.

Three traps are planned for (OR-A11). Helm refuses objects without its ownership metadata. The API server refuses
another selector. And Helm has no earlier manifest of what it takes over, so it only adds to it: a Service would select
by old labels and new ones, and so nothing.
"""

from __future__ import annotations

import typing as t
from collections.abc import Iterable

from ansible_collections.orchestrator.platform.plugins.module_utils._backup import (
    Place,
    controllers_of,
    made_by_kubernetes,
    release_of,
)
from ansible_collections.orchestrator.platform.plugins.module_utils._workloads import Obj, dig

OUTCOMES = ("create", "adopt", "owned", "replace", "conflict")
SELECTING = ("Deployment", "StatefulSet", "DaemonSet")  # their selector never changes
# What goes away with a namespace and is nowhere else.
DATA_KINDS = ("CodeRun", "DocsRun", "PersistentVolumeClaim", "Secret")


class Row(t.NamedTuple):
    """What happens to one object."""

    kind: str
    namespace: str
    name: str
    outcome: str
    reason: str = ""
    api_version: str = ""


def plan_object(wanted: Obj, live: Obj | None, release: str) -> Row:
    """What has to happen to a live object before `release` (namespace/name) can bring the wanted one."""
    kind, metadata = wanted["kind"], wanted["metadata"]
    where = str(metadata.get("namespace") or "")
    row = Row(kind, where, metadata["name"], "create", api_version=str(wanted.get("apiVersion") or ""))
    if live is None:
        return row
    owner = release_of(live)
    if owner and owner != release:
        return row._replace(outcome="conflict", reason=f"it belongs to the Helm release {owner}")
    if live["metadata"].get("deletionTimestamp"):
        return row._replace(outcome="conflict", reason="it is being deleted")
    why = _reason_to_replace(kind, wanted, live, owned=bool(owner))
    if why:
        return row._replace(outcome="replace", reason=f"{why}, so it is deleted and made anew")
    if owner:
        return row._replace(outcome="owned")
    gone = [f"{field}.{key}" for field, keys in _surplus(wanted, live).items() for key in keys]
    return row._replace(outcome="adopt", reason=f"it loses {', '.join(gone)}" if gone else "")


def _reason_to_replace(kind: str, wanted: Obj, live: Obj, *, owned: bool) -> str:
    if kind in SELECTING and dig(wanted, "spec", "selector") != dig(live, "spec", "selector"):
        return "its selector cannot be changed"
    if kind in SELECTING and not owned:
        return "parts of the old pods would remain in the new ones"
    if kind.endswith("RoleBinding") and dig(wanted, "roleRef", "name") != dig(live, "roleRef", "name"):
        return "its role cannot be changed"
    return ""


# Maps whose old keys would go on to act beside the new ones.
_MAPS = {"Service": ("spec", "selector"), "ConfigMap": ("data",)}


def _surplus(wanted: Obj, live: Obj) -> dict[str, list[str]]:
    path = _MAPS.get(wanted["kind"])
    if path is None:
        return {}
    old, new = dig(live, *path) or {}, dig(wanted, *path) or {}
    return {".".join(path): sorted(set(old) - set(new))}


def settled(wanted: Obj, live: Obj) -> Obj | None:
    """The merge patch that takes away what Helm would leave of an adopted object; None where there is nothing."""
    path = _MAPS.get(wanted["kind"])
    if path is None:
        return None
    keys = [key for found in _surplus(wanted, live).values() for key in found]
    patch: Obj = dict.fromkeys(keys)
    if path == ("data",):
        return {"data": patch} if patch else None
    # Ports are merged by number: an old one of the same name under another number would be refused.
    ports = dig(wanted, "spec", "ports")
    old = [(port.get("name"), port.get("port")) for port in dig(live, "spec", "ports") or []]
    new = [(port.get("name"), port.get("port")) for port in ports or []]
    if not patch and old == new:
        return None
    return {"spec": {"selector": {**(dig(wanted, "spec", "selector") or {}), **patch}, "ports": ports}}


def ownership(release_name: str, release_namespace: str) -> Obj:
    """The metadata by which Helm knows an object as its own."""
    return {
        "metadata": {
            "labels": {"app.kubernetes.io/managed-by": "Helm"},
            "annotations": {
                "meta.helm.sh/release-name": release_name,
                "meta.helm.sh/release-namespace": release_namespace,
            },
        }
    }


def leftovers(found: Iterable[tuple[Place, Obj]], rows: Iterable[Row]) -> list[Row]:
    """What the namespace holds besides the release: hand-made things that nobody reads any more, and data."""
    known = {(row.kind, row.name) for row in rows}
    left = []
    for place, obj in found:
        metadata = obj["metadata"]
        if (place.kind, metadata["name"]) in known or release_of(obj) or controllers_of(obj):
            continue
        if made_by_kubernetes(place, obj):
            continue
        outcome = "data" if place.kind in DATA_KINDS else "left"
        row = Row(place.kind, metadata.get("namespace", ""), metadata["name"], outcome, api_version=place.group_version)
        left.append(row)
    return left

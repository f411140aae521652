# SPDX-License-Identifier: GPL-3.0-or-later
# SPDX-FileCopyrightText: 2026 The orchestrator.platform authors
#
# Private to this collection: names and behaviour may change in any release.
"""Whether the cluster still holds what a Helm release has brought: the recorded manifest beside the live objects. Pure.

What others have added to an object does not count, as Helm itself leaves that alone.
"""

from __future__ import annotations

from collections.abc import Iterator

from ansible_collections.orchestrator.platform.plugins.module_utils._errors import ManifestError
from ansible_collections.orchestrator.platform.plugins.module_utils._fields import covers
from ansible_collections.orchestrator.platform.plugins.module_utils._kinds import BUILT_IN, prefix_of
from ansible_collections.orchestrator.platform.plugins.module_utils._workloads import Json, Obj, dig
from ansible_collections.orchestrator.platform.plugins.module_utils._yaml import read_text

# A record holds stringData where the cluster holds data; and what a Secret holds is nobody's business here.
_NOT_COMPARED = ("Secret",)
# Written by the API server alone, or the identity of the object.
_NOT_FIELDS = ("apiVersion", "kind", "status")
MAX_PATHS = 3  # named in a sentence; more would hide that something is wrong at all


def recorded_objects(record: Obj) -> list[Obj]:
    """The objects of a decoded release record that can be compared; hooks are not among them."""
    try:
        documents = read_text(str(record.get("manifest") or ""))
    except ManifestError:
        return []  # written by another program than Helm: there is nothing to compare with
    return [
        item.obj
        for item in documents
        if item.obj.get("kind") not in _NOT_COMPARED and dig(item.obj, "metadata", "name")
    ]


def path_of(obj: Obj, namespace: str) -> str:
    """API path of a recorded object; `namespace` is the release's, for an object that names none."""
    kind, version = str(obj["kind"]), str(obj["apiVersion"])
    group_version, plural, namespaced = BUILT_IN.get(kind, ("", "", bool(dig(obj, "metadata", "namespace"))))
    if group_version != version:
        plural, namespaced = guessed_plural(kind), bool(dig(obj, "metadata", "namespace"))
    where = f"/namespaces/{dig(obj, 'metadata', 'namespace') or namespace}" if namespaced else ""
    return f"{prefix_of(version)}{where}/{plural}/{obj['metadata']['name']}"


def guessed_plural(kind: str) -> str:
    """Plural of a kind as kubectl guesses it where it has not asked the API server."""
    name = kind.lower()
    if name.endswith("s"):
        return name + "es"
    return name[:-1] + "ies" if name.endswith("y") else name + "s"


def drift_of(recorded: Obj, live: Obj | None) -> str:
    """What is not as recorded, as `Deployment orchestrator (spec.replicas)`; "" when all of it is there."""
    about = f"{recorded['kind']} {recorded['metadata']['name']}"
    if live is None:
        return f"{about} (gone)"
    paths = [
        path
        for key, value in recorded.items()
        if key not in _NOT_FIELDS
        for path in uncovered(live.get(key), value, key, key)
    ]
    if not paths:
        return ""
    shown = paths[:MAX_PATHS] + (["…"] if len(paths) > MAX_PATHS else [])
    return f"{about} ({', '.join(shown)})"


def uncovered(live: Json, planned: Json, field: str, path: str) -> Iterator[str]:
    """Dotted paths at which a live value does not hold what is planned; lists are named as a whole."""
    if covers(live, planned, field):
        return
    if not isinstance(planned, dict) or not isinstance(live, dict):
        yield path
        return
    for key, value in planned.items():
        yield from uncovered(live.get(key), value, key, f"{path}.{key}")

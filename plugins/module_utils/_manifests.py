# SPDX-License-Identifier: GPL-3.0-or-later
# SPDX-FileCopyrightText: 2026 The orchestrator.platform authors
#
# Private to this collection: names and behaviour may change in any release.
"""Gives manifests a sidecar, and takes it away again, where no server keeps account of fields. Pure.

The decision and the patch are those of the module. An annotation of the manifest notes what was added, so that removal
gives back exactly what was there.
"""

from __future__ import annotations

import json
import typing as t
from collections.abc import Callable

from ansible_collections.orchestrator.platform.plugins.module_utils._errors import ManifestError
from ansible_collections.orchestrator.platform.plugins.module_utils._merge import Way, merged, without
from ansible_collections.orchestrator.platform.plugins.module_utils._outcomes import Plan, answer
from ansible_collections.orchestrator.platform.plugins.module_utils._sidecar import (
    Options,
    Surroundings,
    plan_present,
)
from ansible_collections.orchestrator.platform.plugins.module_utils._snippet import BRIDGE, WATCHER, Snippet
from ansible_collections.orchestrator.platform.plugins.module_utils._workloads import (
    ANNOTATION_ADDED,
    ANNOTATION_HASH,
    KINDS,
    Json,
    Obj,
    annotation,
    clone,
    dig,
    pod_template,
)
from ansible_collections.orchestrator.platform.plugins.module_utils._yaml import is_list, read_text, write_text

# Names of the chart's volumes, for what was injected elsewhere, of which no annotation tells what was added.
_VOLUMES = frozenset({"discord-transcripts", "discord-state", "discord-fifo"})
_NAMES = frozenset({WATCHER, BRIDGE})


def is_workload(obj: Json) -> bool:
    """Whether an object is of a kind that holds a pod template."""
    return isinstance(obj, dict) and obj.get("kind") in KINDS and obj.get("apiVersion") == _version(obj["kind"])


def _version(kind: str) -> str:
    return KINDS[kind].group_version


def decide(obj: Obj, snippet: Snippet, options: Options, namespace: Obj | None = None) -> tuple[Plan, Obj]:
    """What becomes of a workload's manifest: the plan, without bodies, and the manifest after it."""
    kind = obj["kind"]
    _check_shape(obj)
    clean = remove(obj)
    plan = plan_present(clean, kind, snippet, options._replace(new=True), Surroundings(namespace))
    if plan.body is None:
        return plan, obj
    result = _inject(clean, kind, plan.body)
    if result == obj:
        return answer("unchanged"), obj
    code = "injected" if clean == obj else "updated"
    return answer(code)._replace(note=plan.note), result


def _inject(clean: Obj, kind: str, body: Obj) -> Obj:
    wanted: Obj = {"spec": body["spec"]}
    if not KINDS[kind].template:
        wanted["metadata"] = {"annotations": body["metadata"]["annotations"]}
    result, ways = merged(clean, wanted)
    result, noted = merged(result, {"metadata": {"annotations": {ANNOTATION_ADDED: "-"}}})
    note = json.dumps([*ways, *noted], separators=(",", ":"))
    result["metadata"]["annotations"][ANNOTATION_ADDED] = note
    return t.cast(Obj, result)


def remove(obj: Obj) -> Obj:
    """The manifest as it was before injection; itself where nothing was injected."""
    note = annotation(obj, ANNOTATION_ADDED)
    if note is not None:
        return without(obj, _ways(obj, note))
    if annotation(pod_template(obj, obj["kind"]), ANNOTATION_HASH) is None:
        return obj
    return _without_our_names(obj)


def _ways(obj: Obj, note: str) -> list[Way]:
    try:
        ways = json.loads(note)
    except ValueError:
        ways = None
    if not isinstance(ways, list) or not all(isinstance(way, list) and way for way in ways):
        raise ManifestError(
            f"{name_of(obj)}: the annotation {ANNOTATION_ADDED} was changed and tells no more what was added: "
            "take the sidecar out by hand, and the annotation with it."
        )
    return ways


def _without_our_names(obj: Obj) -> Obj:
    """For what the module or an include of older times has injected; lists that become empty go."""
    result = clone(obj)
    template = pod_template(result, obj["kind"])
    del template["metadata"]["annotations"][ANNOTATION_HASH]
    if not template["metadata"]["annotations"]:
        del template["metadata"]["annotations"]
    spec = template["spec"]
    for place in ("containers", "initContainers"):
        _keep(spec, place, lambda item: item["name"] not in _NAMES)
    _keep(spec, "volumes", lambda item: item["name"] not in _VOLUMES)
    for container in spec.get("containers") or []:
        _keep(container, "volumeMounts", lambda item: item["name"] not in _VOLUMES)
    return t.cast(Obj, result)


def _keep(place: Obj, field: str, wanted: Callable[[Obj], bool]) -> None:
    if place.get(field):
        place[field] = [item for item in place[field] if wanted(item)]
        if not place[field]:
            del place[field]


def _check_shape(obj: Obj) -> None:
    template = pod_template(obj, obj["kind"])
    lists = [dig(template, "spec", place) or [] for place in ("containers", "initContainers", "volumes")]
    named = all(isinstance(part, list) and all(isinstance(x, dict) and x.get("name") for x in part) for part in lists)
    if not named or not lists[0]:
        raise ManifestError(
            f"{name_of(obj)}: its pod template has no containers, or items without a name: complete the manifest first."
        )


def name_of(obj: Obj) -> str:
    """Kind and name, for sentences."""
    return f"{obj.get('kind')} {dig(obj, 'metadata', 'name') or dig(obj, 'metadata', 'generateName') or '(no name)'}"


# -- many at once, as text or as objects ---------------------------------------------------------------------------


def inject_all(given: Json, snippet: Snippet, options: Options) -> Json:
    """The same documents with a sidecar in each workload that may have one; raises ManifestError where one cannot.

    A text gives a text, objects give objects. What is left alone, by opt-out for example, stays as it is.
    """
    namespaces = _namespaces(given)

    def change(obj: Obj) -> Obj:
        plan, result = decide(obj, snippet, options, namespaces.get(dig(obj, "metadata", "namespace") or "default"))
        if plan.outcome in ("failed", "conflict"):
            raise ManifestError(f"{name_of(obj)}: {plan.message}")
        return result

    return _each(given, change)


def remove_all(given: Json) -> Json:
    """The same documents without what injection has added to them."""
    return _each(given, remove)


def _namespaces(given: Json) -> dict[str, Obj]:
    documents = [item.obj for item in read_text(given)] if isinstance(given, str) else given
    flat = documents if isinstance(documents, list) else [documents]
    return {
        item["metadata"]["name"]: item
        for item in flat
        if isinstance(item, dict) and item.get("kind") == "Namespace" and dig(item, "metadata", "name")
    }


def _each(given: Json, change: Callable[[Obj], Obj]) -> Json:
    if isinstance(given, str):
        documents = [item.obj for item in read_text(given)]
        changed = [_change(item, change) for item in documents]
        return given if changed == documents else write_text(changed)  # comments stay where nothing changes
    if isinstance(given, list):
        return [_change(item, change) for item in given]
    return _change(given, change)


def _change(obj: Json, change: Callable[[Obj], Obj]) -> Json:
    if is_list(obj):
        return {**obj, "items": [_change(item, change) for item in obj["items"]]}
    return change(obj) if is_workload(obj) else obj

# SPDX-License-Identifier: GPL-3.0-or-later
# SPDX-FileCopyrightText: 2026 The orchestrator.platform authors
#
# Private to this collection: names and behaviour may change in any release.
"""What a workload holds of the sidecar: form, hash, pods that are older, and who changed our fields. Pure."""

from __future__ import annotations

import json
import re
import typing as t
from collections.abc import Iterable, Iterator

from ansible_collections.orchestrator.platform.plugins.module_utils._fields import (
    LIST_KEYS,
    Path,
    merge_key,
    owned_paths,
    planned_paths,
)
from ansible_collections.orchestrator.platform.plugins.module_utils._mounting import owned_items
from ansible_collections.orchestrator.platform.plugins.module_utils._outcomes import Plan, message_of
from ansible_collections.orchestrator.platform.plugins.module_utils._sidecar import (
    FIELD_MANAGER,
    Options,
    planned_body,
)
from ansible_collections.orchestrator.platform.plugins.module_utils._snippet import Snippet
from ansible_collections.orchestrator.platform.plugins.module_utils._workloads import (
    ANNOTATION_HASH,
    Json,
    Obj,
    annotation,
    dig,
    find_container,
    owned_fields,
    pod_spec,
    pod_template,
    top_owner,
)

_RUNNING = ("Pending", "Running", None)
# The CronJob controller names a Job after itself and the minute of its schedule.
_SCHEDULED = re.compile(r"Job/(.+)-\d+")
# Variables of overrides: where the published watcher has none of that name, nobody may have asked for it before.
_BY_OVERRIDE = ("DISCORD_THREAD_ID", "LOG_LEVEL", "FILTERS", "PARITY_MODE")


class Holding(t.NamedTuple):
    """What one workload holds."""

    injected: bool  # a watcher is in the pod template, whoever put it there
    form: str | None  # native, container, or None without a watcher
    snippet_hash: str | None  # of the snippet that was injected; None where the owner's own manifest brings the watcher
    outdated: bool | None  # None where there is no hash to compare
    stale_pods: list[str]  # pods that are not of the current template
    drift: list[dict[str, str | None]]  # field and manager, the latter None where nothing tells


def inspect(obj: Obj, kind: str, snippet: Snippet, options: Options, pods: Iterable[Obj] = ()) -> Holding:
    """What a workload holds; `pods` are its own."""
    template = pod_template(obj, kind)
    found = find_container(pod_spec(obj, kind), snippet.watcher["name"])
    held = annotation(template, ANNOTATION_HASH)
    return Holding(
        injected=found is not None,
        form=None if found is None else "native" if found[0] == "initContainers" else "container",
        snippet_hash=held,
        outdated=None if found is None or held is None else held != snippet.hash,
        stale_pods=sorted(_stale(pods, held)),
        drift=drift(obj, kind, snippet, options),
    )


def row(target: Obj, plan: Plan, holding: Holding) -> dict[str, t.Any]:
    """One line of a result: which workload, what it holds, and what a run would give."""
    message = message_of(plan, sent=False)
    return {**target, **holding._asdict(), "outcome": plan.outcome, "code": plan.code, "message": message}


# -- pods -----------------------------------------------------------------------------------------------------------


def pods_by_owner(pods: Iterable[Obj]) -> dict[str, list[Obj]]:
    """Pods by `Kind/name` of their top owner; those of a scheduled Job stand under its CronJob too."""
    found: dict[str, list[Obj]] = {}
    for pod in pods:
        owner = top_owner(pod)
        if owner is None:
            continue
        found.setdefault(owner, []).append(pod)
        scheduled = _SCHEDULED.fullmatch(owner)
        if scheduled is not None:
            found.setdefault(f"CronJob/{scheduled[1]}", []).append(pod)
    return found


def _stale(pods: Iterable[Obj], held: str | None) -> Iterator[str]:
    for pod in pods:
        if dig(pod, "metadata", "deletionTimestamp") or dig(pod, "status", "phase") not in _RUNNING:
            continue
        if annotation(pod, ANNOTATION_HASH) != held:
            yield pod["metadata"]["name"]


# -- drift ----------------------------------------------------------------------------------------------------------


def drift(obj: Obj, kind: str, snippet: Snippet, options: Options) -> list[dict[str, str | None]]:
    """Fields of ours that somebody else has changed, added or taken away since, as managedFields tell.

    A field that is still ours is none, even where it differs from what would be applied now: the snippet or an override
    has changed since.
    """
    fields = owned_fields(obj, FIELD_MANAGER)
    if fields is None:
        return []
    ours = set(owned_paths(fields))
    names = {snippet.watcher["name"], *([snippet.bridge["name"]] if snippet.bridge else [])}
    items = {path for path in _items(fields) if _is_our_item(path, names)}
    found = {path: manager for path, manager in _of_others(obj) if path not in ours and _inside(path, items)}
    body = planned_body(obj, kind, snippet, _as_held(fields, kind, snippet, options))
    if body is not None:
        current = annotation(pod_template(obj, kind), ANNOTATION_HASH) == snippet.hash
        published = {item["name"] for item in snippet.watcher.get("env") or []}
        asked = {merge_key("env", {"name": name}) for name in _BY_OVERRIDE if name not in published} | {"f:resources"}
        for path in _lost(obj, {"spec": body["spec"]}, ours | _through(body, asked), current=current):
            found.setdefault(path, None)
    return [{"field": show_path(path), "manager": manager} for path, manager in sorted(found.items())]


def _of_others(obj: Obj) -> Iterator[tuple[Path, str | None]]:
    for entry in dig(obj, "metadata", "managedFields") or []:
        if entry.get("subresource") or (entry.get("manager") == FIELD_MANAGER and entry.get("operation") == "Apply"):
            continue
        for path in owned_paths(entry.get("fieldsV1") or {}):
            yield path, entry.get("manager")


def _items(fields: Obj, at: Path = ()) -> Iterator[Path]:
    """Paths of the keyed list items of which the item itself is ours."""
    for key, inner in fields.items():
        path = (*at, key)
        if key.startswith("k:") and "." in inner:
            yield path
        yield from _items(inner, path)


def _is_our_item(path: Path, names: set[str]) -> bool:
    place, keys = path[-2], json.loads(path[-1][2:])
    if place in ("f:containers", "f:initContainers"):
        return keys.get("name") in names
    return place in ("f:volumes", "f:volumeMounts")


def _inside(path: Path, items: set[Path]) -> bool:
    return any(path[:end] in items for end in range(1, len(path) + 1))


def _as_held(fields: Obj, kind: str, snippet: Snippet, options: Options) -> Options:
    """The options by what was injected: a bridge or a form asked for anew is for the next run to bring."""
    native, classic = (owned_items(fields, kind, place) for place in ("initContainers", "containers"))
    if snippet.watcher["name"] in native | classic:
        options = options._replace(native=snippet.watcher["name"] in native)
    bridge = snippet.bridge is not None and snippet.bridge["name"] in native | classic
    return options._replace(bridge=bridge)


def _through(body: Obj, steps: set[str]) -> set[Path]:
    return {path for path in planned_paths({"spec": body["spec"]}) if steps & set(path)}


def _lost(obj: Obj, planned: Obj, ours: set[Path], *, current: bool) -> Iterator[Path]:
    """What is planned, absent, and not ours any more; of another snippet than the planned one only our containers."""
    for path in planned_paths(planned):
        # Go's omitempty drops false, 0, "" and empty collections.
        if path in ours or not _follow(planned, path)[1]:
            continue
        steps, value = _follow(obj, path)
        if value is not None:
            continue
        if path[steps][2:] in LIST_KEYS and len(path) > steps + 1:
            steps += 1  # the whole list is gone, and with it the item that was ours
        if current or path[steps - 1] in ("f:containers", "f:initContainers"):
            yield path[: steps + 1]


def _follow(value: Json, path: Path) -> tuple[int, Json]:
    """How many steps of a path lead somewhere, and the value at its end or None."""
    for at, step in enumerate(path):
        if step.startswith("f:"):
            value = value.get(step[2:]) if isinstance(value, dict) else None
        else:
            field = path[at - 1][2:]
            items = value if isinstance(value, list) and field in LIST_KEYS else []
            value = next((item for item in items if merge_key(field, item) == step), None)
        if value is None:
            return at, None
    return len(path), value


def show_path(path: Path) -> str:
    """A path as the API server writes it: `spec.template.spec.containers[name="agent"].image`."""
    shown = ""
    for step in path:
        if step.startswith("k:"):
            keys = json.loads(step[2:])
            shown += "[" + ",".join(f"{key}={json.dumps(value)}" for key, value in keys.items()) + "]"
        else:
            shown += "." + step[2:]
    return shown.removeprefix(".")

# SPDX-License-Identifier: GPL-3.0-or-later
# SPDX-FileCopyrightText: 2026 The orchestrator.platform authors
#
# Private to this collection: names and behaviour may change in any release.
"""Field sets of server-side apply: what an apply would own, what it owns, and the part of an object they select. Pure.

The API server records ownership as `fieldsV1`: nested maps whose keys are `f:<field>`, `k:<JSON of the merge keys>`
and `.` (the item itself). Paths here are tuples of such keys, with the JSON written canonically.
"""

from __future__ import annotations

import functools
import json
from collections.abc import Iterator

from ansible_collections.orchestrator.platform.plugins.module_utils._quantities import same_quantity
from ansible_collections.orchestrator.platform.plugins.module_utils._workloads import Json, Obj

Path = tuple[str, ...]

# Merge keys and their defaults, from the API's OpenAPI document (x-kubernetes-list-map-keys); other lists are atomic.
LIST_KEYS: dict[str, dict[str, Json]] = {
    "containers": {"name": None},
    "initContainers": {"name": None},
    "volumes": {"name": None},
    "env": {"name": None},
    "volumeMounts": {"mountPath": None},
    "ports": {"containerPort": None, "protocol": "TCP"},
}
# Fields whose values are quantities: the server rewrites 1024Mi as 1Gi.
_QUANTITY_FIELDS = frozenset({"cpu", "memory", "ephemeral-storage", "sizeLimit"})


def merge_key(field: str, item: Obj) -> str:
    """The `k:` key of a list item."""
    return _merge_key(field, tuple(item.get(key, default) for key, default in LIST_KEYS[field].items()))


@functools.cache
def _merge_key(field: str, values: tuple[Json, ...]) -> str:
    keys = dict(zip(LIST_KEYS[field], values, strict=True))
    return "k:" + json.dumps(keys, sort_keys=True, separators=(",", ":"))


@functools.cache  # few keys exist, and each stands in the field sets of all workloads
def _canonical(key: str) -> str:
    if not key.startswith("k:"):
        return key
    return "k:" + json.dumps(json.loads(key[2:]), sort_keys=True, separators=(",", ":"))


def planned_paths(value: Json, at: Path = ()) -> Iterator[Path]:
    """Every path an apply of `value` would own, ends only."""
    if isinstance(value, dict) and value:
        for key, item in value.items():
            yield from planned_paths(item, (*at, "f:" + key))
    elif isinstance(value, list) and value and at and at[-1][2:] in LIST_KEYS:
        for item in value:
            yield from planned_paths(item, (*at, merge_key(at[-1][2:], item)))
    else:
        yield at


def owned_paths(fields: Obj, at: Path = ()) -> Iterator[Path]:
    """Every path in a fieldsV1 set, ends only."""
    inner = {key: value for key, value in fields.items() if key != "."}
    if not inner:
        yield at
    for key, value in inner.items():
        yield from owned_paths(value, (*at, _canonical(key)))


def gives_up(fields: Obj, planned: Obj) -> list[Path]:
    """Paths owned now that an apply of `planned` would give up, so that the server would remove them."""
    return list(_given_up(fields, planned, "", ()))


def _given_up(fields: Obj, planned: Json, field: str, at: Path) -> Iterator[Path]:
    children = _children(planned, field)
    for key, inner in fields.items():
        if key == ".":
            continue
        step = _canonical(key)
        if step in children:
            yield from _given_up(inner, children[step], key[2:], (*at, step))
        else:
            yield from owned_paths(inner, (*at, step))


def _children(planned: Json, field: str) -> dict[str, Json]:
    if isinstance(planned, dict):
        return {"f:" + key: value for key, value in planned.items()}
    if isinstance(planned, list) and field in LIST_KEYS:
        return {merge_key(field, item): item for item in planned}
    return {}


def project(value: Json, fields: Obj) -> Json:
    """The part of an object that a fieldsV1 set selects."""
    inner = {key: sub for key, sub in fields.items() if key != "."}
    if not inner:
        return value
    if isinstance(value, dict):
        return {key[2:]: project(value[key[2:]], sub) for key, sub in inner.items() if key[2:] in value}
    if isinstance(value, list):
        wanted = [(json.loads(key[2:]), sub) for key, sub in inner.items() if key.startswith("k:")]
        return [project(item, sub) for item in value for keys, sub in wanted if _has_keys(item, keys)]
    return value


def _has_keys(item: Json, keys: Obj) -> bool:
    return isinstance(item, dict) and all(item.get(key) == value for key, value in keys.items())


def covers(live: Json, planned: Json, field: str = "") -> bool:
    """Whether a live value already holds what is planned; what the server or others added does not count.

    Go's omitempty drops false, 0, "" and empty collections, so these equal an absent field.
    """
    if isinstance(planned, dict):
        if live is not None and not isinstance(live, dict):
            return False
        return all(covers((live or {}).get(key), value, key) for key, value in planned.items())
    if isinstance(planned, list):
        return _covers_list(live or [], planned, field)
    if not planned and not live:
        return True
    if field in _QUANTITY_FIELDS:
        return same_quantity(live, planned)
    return bool(live == planned)


def _covers_list(live: list[Json], planned: list[Json], field: str) -> bool:
    if field in LIST_KEYS:
        by_key = {merge_key(field, item): item for item in live}
        keyed = {merge_key(field, item): item for item in planned}
        return all(key in by_key and covers(by_key[key], item) for key, item in keyed.items())
    return len(live) == len(planned) and all(covers(left, right) for left, right in zip(live, planned, strict=True))

# SPDX-License-Identifier: GPL-3.0-or-later
# SPDX-FileCopyrightText: 2026 The orchestrator.platform authors
#
# Private to this collection: names and behaviour may change in any release.
"""What an apply makes of an object where no server does it, and how to take exactly that away again. Pure."""

from __future__ import annotations

from ansible_collections.orchestrator.platform.plugins.module_utils._fields import LIST_KEYS, covers, merge_key
from ansible_collections.orchestrator.platform.plugins.module_utils._workloads import Json, Obj, clone

# A way into an object: field names, and for items of a keyed list the keys that select one.
Way = list[str | Obj]


def merged(live: Json, planned: Json) -> tuple[Json, list[Way]]:
    """The object after an apply, the given one untouched; and the ways to whatever was not there before."""
    added: list[Way] = []
    return _merge(clone(live), planned, "", [], added), added


def _merge(live: Json, planned: Json, field: str, at: Way, added: list[Way]) -> Json:
    if isinstance(planned, dict) and isinstance(live, dict):
        for key, value in planned.items():
            if live.get(key) is None:
                added.append([*at, key])
                live[key] = clone(value)
            else:
                live[key] = _merge(live[key], value, key, [*at, key], added)
        return live
    if isinstance(planned, list) and isinstance(live, list) and field in LIST_KEYS:
        by_key = {merge_key(field, item): at for at, item in enumerate(live)}
        for item in planned:
            keys = {key: item[key] for key in LIST_KEYS[field] if key in item}
            place = by_key.get(merge_key(field, item))
            if place is None:
                added.append([*at, keys])
                live.append(clone(item))
            else:
                live[place] = _merge(live[place], item, "", [*at, keys], added)
        return live
    return live if covers(live, planned, field) else clone(planned)


def without(obj: Obj, ways: list[Way]) -> Obj:
    """A copy without everything that the ways lead to; a way that leads nowhere is passed over."""
    result: Obj = clone(obj)
    for way in ways:
        place = _follow(result, way[:-1])
        last = way[-1]
        if isinstance(last, str) and isinstance(place, dict):
            place.pop(last, None)
        elif isinstance(last, dict) and isinstance(place, list):
            place[:] = [item for item in place if not _selected(item, last)]
    return result


def _follow(value: Json, way: Way) -> Json:
    for step in way:
        if isinstance(step, str):
            value = value.get(step) if isinstance(value, dict) else None
        else:
            value = next((item for item in value if _selected(item, step)), None) if isinstance(value, list) else None
    return value


def _selected(item: Json, keys: Obj) -> bool:
    return isinstance(item, dict) and all(item.get(key) == value for key, value in keys.items())

# SPDX-License-Identifier: GPL-3.0-or-later
# SPDX-FileCopyrightText: 2026 The orchestrator.platform authors
#
# Private to this collection: names and behaviour may change in any release.
"""What was measured, as rows for the report: use against limits, and how long a probe line took. Pure."""

from __future__ import annotations

import typing as t
from collections.abc import Iterator

from ansible_collections.orchestrator.platform.plugins.module_utils._quantities import parse_quantity
from ansible_collections.orchestrator.platform.plugins.module_utils._redact import redact_text
from ansible_collections.orchestrator.platform.plugins.module_utils._snapshot import Place, View
from ansible_collections.orchestrator.platform.plugins.module_utils._workloads import Json, dig, find_container


class Use(t.TypedDict):
    """Measured use of one running container of ours; None where there is no figure or no limit."""

    namespace: str
    pod: str
    container: str
    memory_bytes: int | None
    memory_limit_bytes: int | None
    cpu_millicores: float | None
    cpu_limit_millicores: float | None


class Arrival(t.TypedDict):
    """What became of one probe line."""

    namespace: str
    pod: str
    container: str
    delivered: bool
    seconds: float | None
    reason: str


def uses(view: View) -> list[Use]:
    """A row for each container of ours whose use has been measured, sorted by place."""
    return list(_uses(view))


def _uses(view: View) -> Iterator[Use]:
    pods = {
        (namespace, pod["metadata"]["name"]): pod
        for namespace in view.expect.namespaces()
        for pod in view.snapshot.objects.get(("pods", namespace), [])
    }
    ours = set(_our_places(view, pods))
    for place, usage in sorted(view.snapshot.usage.items()):
        if place not in ours:
            continue
        namespace, pod, name = place
        found = find_container(pods[(namespace, pod)].get("spec") or {}, name)
        limits = dig(found[1], "resources", "limits") if found else None
        memory, cpu = (_number(dig(limits, key)) for key in ("memory", "cpu"))
        used = usage.cpu_nanocores
        yield {
            "namespace": namespace,
            "pod": pod,
            "container": name,
            "memory_bytes": usage.memory_bytes,
            "memory_limit_bytes": None if memory is None else int(memory),
            "cpu_millicores": None if used is None else round(used / 1e6, 1),
            "cpu_limit_millicores": None if cpu is None else round(cpu * 1000, 1),
        }


def _our_places(view: View, pods: dict[tuple[str, str], Json]) -> Iterator[Place]:
    for namespace in {namespace for namespace, _pod in pods}:
        for bearer, _place, container in view.ours(namespace, pods_only=True):
            yield namespace, bearer.name, container["name"]


def _number(value: Json) -> float | None:
    try:
        return None if value is None else float(parse_quantity(value))
    except ValueError:
        return None


def arrivals(view: View) -> list[Arrival]:
    """A row for each watcher that was asked to deliver a line, sorted by place."""
    return [
        {
            "namespace": place[0],
            "pod": place[1],
            "container": place[2],
            "delivered": item.delivered,
            "seconds": item.seconds,
            "reason": redact_text(item.error or item.unread),
        }
        for place, item in sorted(view.snapshot.delivery.items())
    ]

# SPDX-License-Identifier: GPL-3.0-or-later
# SPDX-FileCopyrightText: 2026 The orchestrator.platform authors
#
# Private to this collection: names and behaviour may change in any release.
"""Which fault meets which pod: all at once in the drill's namespace, one after the other on a pod of the user's."""

from __future__ import annotations

import typing as t

from ansible_collections.orchestrator.platform.plugins.module_utils._drill import (
    LABEL_FAULT,
    AgentStage,
    BrokenDrillError,
    Endpoint,
    Ground,
    ProbeStage,
)
from ansible_collections.orchestrator.platform.plugins.module_utils._drill_faults import observe
from ansible_collections.orchestrator.platform.plugins.module_utils._errors import PlatformError
from ansible_collections.orchestrator.platform.plugins.module_utils._faults import WATCHER, Fault, Observation
from ansible_collections.orchestrator.platform.plugins.module_utils._findings import subject
from ansible_collections.orchestrator.platform.plugins.module_utils._rollout import selects
from ansible_collections.orchestrator.platform.plugins.module_utils._workloads import (
    KINDS,
    Obj,
    dig,
    find_container,
    top_owner,
)

# Fault -> its fake Discord; all others share fake-plain.
ENDPOINTS = {
    "endpoint-refused": "fake-refused",
    "endpoint-timeout": "fake-slow",
    "rate-limit-storm": "fake-limited",
    "webhook-gone": "fake-gone",
}
KUBELET = "kubelet-restart"
NO_NODE = "on request only: name the node's container (node_container)"


def drill_own(ground: Ground, faults: tuple[Fault, ...], *, prefix: str, folder: str) -> list[Observation]:
    """Every fault on the agent of its name, at once; the kubelet's restart, which all would notice, at the end."""

    def one(fault: Fault) -> Observation:
        if fault.name == KUBELET and ground.restart_kubelet is None:
            return _skipped(ground, fault)
        try:
            pod = _agent(ground, fault.name)
        except BrokenDrillError as exc:
            where = subject("Namespace", ground.namespace, ground.namespace)
            return Observation(fault.check.id, where, fault.struck, problem=str(exc))
        endpoint = Endpoint(ground.cluster, ground.namespace, prefix + ENDPOINTS.get(fault.name, "fake-plain"))
        return observe(AgentStage(ground, pod, fault.struck, endpoint=endpoint, folder=folder), fault)

    first = [item for item in faults if item.name != KUBELET]
    return [*ground.cluster.each(one, first), *(one(item) for item in faults if item.name == KUBELET)]


def _agent(ground: Ground, name: str) -> str:
    def found(pods: dict[str, Obj]) -> str:
        return next((key for key, pod in pods.items() if _is_alive(pod) and _is_for(pod, name)), "")

    pod = ground.pods.wait(found, ground.timeout_s)
    if not pod:
        raise BrokenDrillError(f"there is no pod with label {LABEL_FAULT}={name} in namespace {ground.namespace}")
    return str(pod)


def _is_for(pod: Obj, fault: str) -> bool:
    return bool(dig(pod, "metadata", "labels", LABEL_FAULT) == fault)


def drill_targets(ground: Ground, faults: tuple[Fault, ...], targets: list[tuple[str, str]]) -> list[Observation]:
    """Every fault on a pod of each workload; workloads at once, the faults of one pod one after the other.

    All pods are found before the first fault: a target that is wrong means that nothing is struck.
    """
    wanted = [item for item in faults if item.name != KUBELET]
    kubelet = next((item for item in faults if item.name == KUBELET), None)
    workloads = ground.cluster.each(lambda target: _workload(ground, *target), dict.fromkeys(targets))
    pods = ground.cluster.each(lambda item: _pod_of(ground, [item]), workloads) if wanted else []
    on_node = _pod_of(ground, workloads, node=ground.node) if kubelet and ground.restart_kubelet else ""

    def one(pod: str) -> list[Observation]:
        return [observe(ProbeStage(ground, pod, item.struck), item) for item in wanted]

    seen = [item for rows in ground.cluster.each(one, pods) for item in rows]
    if kubelet and not on_node:
        seen.append(_skipped(ground, kubelet))
    elif kubelet:
        seen.append(observe(ProbeStage(ground, on_node, kubelet.struck), kubelet))
    return seen


class _Workload(t.NamedTuple):
    """One that is to be struck: its name as pods tell of it, and which labels it selects."""

    owner: str  # Kind/name
    selector: Obj


def _workload(ground: Ground, kind: str, name: str) -> _Workload:
    found = ground.cluster.find(KINDS[kind].path(ground.namespace, name))
    if found is None:
        raise PlatformError(f"targets: there is no {kind} {name} in namespace {ground.namespace}: correct the name.")
    return _Workload(f"{kind}/{name}", dig(found, "spec", "selector") or {})


def _pod_of(ground: Ground, workloads: list[_Workload], *, node: str = "") -> str:
    """A running pod with a watcher of one of these, with `node` one that runs there. Raises PlatformError."""

    def found(pods: dict[str, Obj]) -> str:
        return next((key for key, pod in pods.items() if fits(pod)), "")

    def fits(pod: Obj) -> bool:
        there = not node or dig(pod, "spec", "nodeName") == node
        return there and _is_alive(pod) and _has_watcher(pod) and any(_makes(item, pod) for item in workloads)

    pod = ground.pods.wait(found, ground.timeout_s)
    if pod:
        return str(pod)
    names = ", ".join(f"{item.owner} in namespace {ground.namespace}" for item in workloads)
    if node:
        raise PlatformError(
            f"targets: {names} has no running pod with a watcher on node {node}, whose kubelet was to be restarted: "
            "name a workload that runs there, or the container of its node in node_container."
        )
    raise PlatformError(f"targets: {names} has no running pod with a watcher: inject the sidecar first.")


def _makes(workload: _Workload, pod: Obj) -> bool:
    # The owner too: selectors of two workloads may overlap, and only one of them was named.
    return selects(workload.selector, dig(pod, "metadata", "labels")) and top_owner(pod) == workload.owner


def _is_alive(pod: Obj) -> bool:
    return bool(dig(pod, "status", "phase") == "Running" and not pod["metadata"].get("deletionTimestamp"))


def _has_watcher(pod: Obj) -> bool:
    found = find_container(pod.get("spec") or {}, WATCHER)
    return found is not None and found[0] != "ephemeralContainers"  # those are never restarted


def _skipped(ground: Ground, fault: Fault) -> Observation:
    where = subject("Namespace", ground.namespace, ground.namespace)
    return Observation(fault.check.id, where, fault.struck, skipped=NO_NODE)

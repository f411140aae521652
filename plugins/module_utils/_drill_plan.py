# SPDX-License-Identifier: GPL-3.0-or-later
# SPDX-FileCopyrightText: 2026 The orchestrator.platform authors
#
# Private to this collection: names and behaviour may change in any release.
"""Which fault meets which pod: all at once in the drill's namespace, one after the other on a pod of the user's."""

from __future__ import annotations

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
from ansible_collections.orchestrator.platform.plugins.module_utils._workloads import KINDS, Obj, dig

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
        return next((key for key, pod in pods.items() if _is_alive(pod, {LABEL_FAULT: name})), "")

    pod = ground.pods.wait(found, ground.timeout_s)
    if not pod:
        raise BrokenDrillError(f"there is no pod with label {LABEL_FAULT}={name} in namespace {ground.namespace}")
    return str(pod)


def drill_targets(ground: Ground, faults: tuple[Fault, ...], targets: list[tuple[str, str]]) -> list[Observation]:
    """Every fault on a pod of each workload; workloads at once, the faults of one pod one after the other."""
    wanted = [item for item in faults if item.name != KUBELET]

    def one(target: tuple[str, str]) -> list[Observation]:
        pod = _pod_of(ground, *target)
        return [observe(ProbeStage(ground, pod, item.struck), item) for item in wanted]

    seen = [item for rows in ground.cluster.each(one, targets) for item in rows]
    for item in faults:
        if item.name == KUBELET and ground.restart_kubelet is None:
            seen.append(_skipped(ground, item))
        elif item.name == KUBELET:
            seen.append(observe(ProbeStage(ground, _pod_of(ground, *targets[0]), item.struck), item))
    return seen


def _pod_of(ground: Ground, kind: str, name: str) -> str:
    workload = ground.cluster.find(KINDS[kind].path(ground.namespace, name))
    if workload is None:
        raise PlatformError(f"targets: there is no {kind} {name} in namespace {ground.namespace}: correct the name.")
    labels = dig(workload, "spec", "selector", "matchLabels") or {}

    def found(pods: dict[str, Obj]) -> str:
        return next((key for key, pod in pods.items() if _is_alive(pod, labels) and _has_watcher(pod)), "")

    pod = ground.pods.wait(found, ground.timeout_s)
    if not pod:
        raise PlatformError(
            f"targets: {kind} {ground.namespace}/{name} has no running pod with a watcher: inject the sidecar first."
        )
    return str(pod)


def _is_alive(pod: Obj, labels: Obj) -> bool:
    meta = pod["metadata"]
    own = meta.get("labels") or {}
    running = dig(pod, "status", "phase") == "Running" and not meta.get("deletionTimestamp")
    return running and bool(labels) and labels.items() <= own.items()


def _has_watcher(pod: Obj) -> bool:
    spec = pod["spec"]
    return any(item["name"] == WATCHER for item in [*(spec.get("initContainers") or []), *spec["containers"]])


def _skipped(ground: Ground, fault: Fault) -> Observation:
    where = subject("Namespace", ground.namespace, ground.namespace)
    return Observation(fault.check.id, where, fault.struck, skipped=NO_NODE)

# SPDX-License-Identifier: GPL-3.0-or-later
# SPDX-FileCopyrightText: 2026 The orchestrator.platform authors
#
# Private to this collection: names and behaviour may change in any release.
"""Whether a rollout is complete or has failed, from the objects alone. Pure; one predicate a kind."""

from __future__ import annotations

import typing as t
from collections.abc import Callable, Iterable

from ansible_collections.orchestrator.platform.plugins.module_utils._workloads import Obj, annotation, dig

# Waiting reasons that do not heal by themselves within a rollout.
FATAL_REASONS = frozenset(
    {
        "ImagePullBackOff",
        "ErrImagePull",
        "ErrImageNeverPull",
        "InvalidImageName",
        "CrashLoopBackOff",
        "CreateContainerConfigError",
        "CreateContainerError",
        "RunContainerError",
    }
)
# Foreign text in a message is cut: it may be long and it may hold what nobody expected.
MAX_FOREIGN_TEXT = 256


class Progress(t.NamedTuple):
    """`done`: None while the rollout goes on, True when complete, False when failed; `reason` says where it stands."""

    done: bool | None
    reason: str


def _number(obj: Obj, *path: str) -> int:
    return int(dig(obj, *path) or 0)


def _wanted(obj: Obj) -> int:
    replicas = dig(obj, "spec", "replicas")
    return 1 if replicas is None else int(replicas)


def _seen(obj: Obj) -> bool:
    return _number(obj, "status", "observedGeneration") >= _number(obj, "metadata", "generation")


def _judge(*steps: tuple[bool, str]) -> Progress:
    for holds, otherwise in steps:
        if not holds:
            return Progress(done=None, reason=otherwise)
    return Progress(done=True, reason="complete")


def deployment_rolled_out(obj: Obj) -> Progress:
    """All replicas are of the current template and available, and no old one is left."""
    if dig(obj, "spec", "paused"):
        return Progress(done=True, reason="the Deployment is paused")
    for condition in dig(obj, "status", "conditions") or []:
        if not _seen(obj):
            break
        if condition.get("type") == "ReplicaFailure" and condition.get("status") == "True":
            return Progress(done=False, reason=bounded(condition.get("message") or "pods cannot be created"))
        if condition.get("reason") == "ProgressDeadlineExceeded":
            return Progress(done=False, reason=bounded(condition.get("message") or "progress deadline exceeded"))
    wanted, status = _wanted(obj), obj.get("status") or {}
    updated = int(status.get("updatedReplicas") or 0)
    available = int(status.get("availableReplicas") or 0)
    replicas = int(status.get("replicas") or 0)
    return _judge(
        (_seen(obj), "the controller has not seen the change yet"),
        (updated >= wanted, f"{updated} of {wanted} replicas updated"),
        (replicas <= updated, f"{replicas - updated} old replicas left"),
        (available >= wanted, f"{available} of {wanted} replicas available"),
    )


def stateful_set_rolled_out(obj: Obj) -> Progress:
    """All replicas above the partition are of the update revision and ready; OnDelete has nothing to wait for."""
    if dig(obj, "spec", "updateStrategy", "type") == "OnDelete":
        return Progress(done=True, reason="pods change when they are deleted (OnDelete)")
    status = obj.get("status") or {}
    wanted = _wanted(obj)
    partition = _number(obj, "spec", "updateStrategy", "rollingUpdate", "partition")
    to_update = max(0, wanted - partition)
    updated = int(status.get("updatedReplicas") or 0)
    if status.get("updateRevision") and status.get("updateRevision") == status.get("currentRevision"):
        updated = max(updated, int(status.get("currentReplicas") or 0))
    ready = int(status.get("availableReplicas") or 0)
    return _judge(
        (_seen(obj), "the controller has not seen the change yet"),
        (updated >= to_update, f"{updated} of {to_update} replicas updated"),
        (ready >= wanted, f"{ready} of {wanted} replicas available"),
    )


def daemon_set_rolled_out(obj: Obj) -> Progress:
    """Every scheduled pod is of the current template and available; OnDelete has nothing to wait for."""
    if dig(obj, "spec", "updateStrategy", "type") == "OnDelete":
        return Progress(done=True, reason="pods change when they are deleted (OnDelete)")
    wanted = _number(obj, "status", "desiredNumberScheduled")
    updated = _number(obj, "status", "updatedNumberScheduled")
    available = _number(obj, "status", "numberAvailable")
    return _judge(
        (_seen(obj), "the controller has not seen the change yet"),
        (updated >= wanted, f"{updated} of {wanted} pods updated"),
        (available >= wanted, f"{available} of {wanted} pods available"),
    )


_PREDICATES: dict[str, Callable[[Obj], Progress]] = {
    "Deployment": deployment_rolled_out,
    "StatefulSet": stateful_set_rolled_out,
    "DaemonSet": daemon_set_rolled_out,
}


def rolled_out(kind: str, obj: Obj) -> Progress:
    """Progress of any workload kind; kinds without a rollout are complete."""
    predicate = _PREDICATES.get(kind)
    return Progress(done=True, reason="nothing rolls out") if predicate is None else predicate(obj)


def bounded(text: str) -> str:
    """Foreign text on one line, cut to MAX_FOREIGN_TEXT characters."""
    line = " ".join(text.split())
    return line if len(line) <= MAX_FOREIGN_TEXT else line[: MAX_FOREIGN_TEXT - 1] + "…"


def pod_failure(pod: Obj) -> str | None:
    """Why a pod will not start by itself, naming the container, or None."""
    status = pod.get("status") or {}
    for place in ("initContainerStatuses", "containerStatuses"):
        for container in status.get(place) or []:
            waiting = dig(container, "state", "waiting") or {}
            if waiting.get("reason") in FATAL_REASONS:
                text = bounded(waiting.get("message") or "")
                where = f"pod {dig(pod, 'metadata', 'name')}, container {container.get('name')}"
                return f"{where}: {waiting['reason']}{': ' + text if text else ''}"
    return None


def selects(selector: Obj | None, labels: Obj | None) -> bool:
    """Whether a LabelSelector (matchLabels, matchExpressions) selects the labels; an empty one selects nothing here."""
    selector, labels = selector or {}, labels or {}
    if not selector.get("matchLabels") and not selector.get("matchExpressions"):
        return False
    if any(labels.get(key) != value for key, value in (selector.get("matchLabels") or {}).items()):
        return False
    return all(_expression_holds(item, labels) for item in selector.get("matchExpressions") or [])


def _expression_holds(item: Obj, labels: Obj) -> bool:
    key, values = str(item.get("key")), item.get("values") or []
    return {
        "In": labels.get(key) in values,
        "NotIn": labels.get(key) not in values,
        "Exists": key in labels,
        "DoesNotExist": key not in labels,
    }.get(item.get("operator", ""), False)


def first_failure(workload: Obj, pods: Iterable[Obj], name: str, value: str | None) -> str | None:
    """The first failing pod of the workload's current template: one whose annotation `name` has the wanted value."""
    selector = dig(workload, "spec", "selector")
    for pod in pods:
        if dig(pod, "metadata", "deletionTimestamp") or annotation(pod, name) != value:
            continue
        if selects(selector, dig(pod, "metadata", "labels")):
            reason = pod_failure(pod)
            if reason is not None:
                return reason
    return None


def code_of_failure(reason: str) -> str:
    """The outcome code for a failed rollout, from the text of the admission plugin that refused the pods."""
    lowered = reason.lower()
    if "exceeded quota" in lowered:
        return "quota"
    if "violates podsecurity" in lowered:
        return "pss_violation"
    return "rollout_failed"

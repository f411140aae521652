# SPDX-License-Identifier: GPL-3.0-or-later
# SPDX-FileCopyrightText: 2026 The orchestrator.platform authors
#
# Private to this collection: names and behaviour may change in any release.
"""Whether a rollout is complete or has failed, from the objects alone. Pure; one predicate a kind."""

from __future__ import annotations

import typing as t
from collections.abc import Callable, Iterable

from ansible_collections.orchestrator.platform.plugins.module_utils._redact import redact_text
from ansible_collections.orchestrator.platform.plugins.module_utils._workloads import (
    ANNOTATION_HASH,
    Obj,
    annotation,
    controller_of,
    dig,
)

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
# A container that has ended so often does not start by itself; arbitrary, the kubelet then waits 20 s and longer.
MANY_RESTARTS = 2
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


def still_rolling(kind: str, obj: Obj) -> bool:
    """Whether an earlier change is still being rolled out, unlike pods that are unavailable for another reason."""
    if rolled_out(kind, obj).done is not None:
        return False
    if not _seen(obj):
        return True
    if kind == "Deployment":
        reasons = {
            item.get("reason") for item in dig(obj, "status", "conditions") or [] if item["type"] == "Progressing"
        }
        return not reasons & {"NewReplicaSetAvailable", "ProgressDeadlineExceeded"}
    if kind == "StatefulSet":
        return bool(dig(obj, "status", "updateRevision") != dig(obj, "status", "currentRevision"))
    return _number(obj, "status", "updatedNumberScheduled") < _number(obj, "status", "desiredNumberScheduled")


def bounded(text: str) -> str:
    """Foreign text on one line, without secret-shaped parts, cut to MAX_FOREIGN_TEXT characters."""
    line = " ".join(redact_text(text).split())
    return line if len(line) <= MAX_FOREIGN_TEXT else line[: MAX_FOREIGN_TEXT - 1] + "…"


def pod_failure(pod: Obj) -> str | None:
    """Why a pod will not start by itself, naming the container, or None."""
    status = pod.get("status") or {}
    for place in ("initContainerStatuses", "containerStatuses"):
        for container in status.get(place) or []:
            text = _container_failure(container)
            if text is not None:
                return f"pod {dig(pod, 'metadata', 'name')}, container {container.get('name')}: {text}"
    return None


def _container_failure(container: Obj) -> str | None:
    waiting = dig(container, "state", "waiting") or {}
    if waiting.get("reason") in FATAL_REASONS:
        parts = [waiting["reason"], waiting.get("message") or "", _ending(dig(container, "lastState", "terminated"))]
        return bounded(": ".join(part for part in parts if part))
    # A native sidecar in back-off shows no waiting state, only that it has ended, again and again.
    ended = dig(container, "state", "terminated") or {}
    if ended.get("exitCode") and int(container.get("restartCount") or 0) >= MANY_RESTARTS:
        return bounded(f"ended {container['restartCount'] + 1} times: {_ending(ended)}")
    return None


def _ending(terminated: Obj | None) -> str:
    """How a container ended last, "" when it did not."""
    if not terminated or not terminated.get("exitCode"):
        return ""
    message = terminated.get("message") or ""
    return (
        f"exit code {terminated['exitCode']} ({terminated.get('reason') or 'Error'}){' ' + message if message else ''}"
    )


class PodView(t.NamedTuple):
    """All that a wait keeps of a pod."""

    kind: str  # of the workload that the pod belongs to
    workload: str
    name: str
    hash: str | None
    created: str
    ready: bool
    failure: str | None  # why it will not start
    waits: str | None = None  # what it waits for, though that may still come
    deaths: int = 0  # how often its containers have ended with an error
    down: bool = False  # whether one of them has, and does not run again yet
    died: str = ""  # how one of them did


def view_of_pod(pod: Obj) -> PodView | None:
    """The pod's workload and whether it fails; None for a pod that goes, or that belongs to no workload."""
    owner = controller_of(pod)
    if owner is None or dig(pod, "metadata", "deletionTimestamp"):
        return None
    kind, name = str(owner.get("kind")), str(owner.get("name"))
    if kind == "ReplicaSet":
        # The Deployment controller names its ReplicaSets <Deployment>-<pod-template-hash>, cut nowhere.
        template = dig(pod, "metadata", "labels", "pod-template-hash")
        kind, name = "Deployment", name.removesuffix(f"-{template}")
    return PodView(
        kind,
        name,
        name=str(dig(pod, "metadata", "name")),
        hash=annotation(pod, ANNOTATION_HASH),
        created=str(dig(pod, "metadata", "creationTimestamp") or ""),
        ready=any(item == ("Ready", "True") for item in _conditions(pod)),
        failure=pod_failure(pod),
        waits=_unscheduled(pod),
        **_deaths(pod),
    )


def _deaths(pod: Obj) -> dict[str, t.Any]:
    deaths, down, died = 0, False, ""
    for place in ("initContainerStatuses", "containerStatuses"):
        for status in dig(pod, "status", place) or []:
            now, last = _ending(dig(status, "state", "terminated")), _ending(dig(status, "lastState", "terminated"))
            deaths += bool(now) + (int(status.get("restartCount") or 0) if last else 0)
            down = down or bool(now)
            if now or last:
                died = bounded(f"pod {dig(pod, 'metadata', 'name')}, container {status.get('name')}: {now or last}")
    return {"deaths": deaths, "down": down, "died": died}


def _conditions(obj: Obj) -> list[tuple[str, str]]:
    return [(item.get("type", ""), item.get("status", "")) for item in dig(obj, "status", "conditions") or []]


def _unscheduled(pod: Obj) -> str | None:
    for item in dig(pod, "status", "conditions") or []:
        if item.get("type") == "PodScheduled" and item.get("status") == "False":
            return f"pod {dig(pod, 'metadata', 'name')} is on no node: {bounded(str(item.get('message') or ''))}"
    return None


class Awaited(t.NamedTuple):
    """What a rollout is to bring about: this generation, in pods with this hash that are not older than the change."""

    generation: int
    hash: str | None  # None where the sidecar was removed
    since: str = ""  # the API server's clock, RFC 3339 in UTC; "" where the hash alone tells

    def concerns(self, pod: PodView) -> bool:
        """Whether the pod is of the awaited template: what older pods do is not the change's doing."""
        return pod.hash == self.hash and pod.created >= self.since


def first_failure(awaited: Awaited, pods: Iterable[PodView]) -> str | None:
    """The failure of the first failing pod of the awaited template."""
    return next((pod.failure for pod in pods if pod.failure is not None and awaited.concerns(pod)), None)


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


def code_of_failure(reason: str) -> str:
    """The outcome code for a failed rollout, from the text of the admission plugin that refused the pods."""
    lowered = reason.lower()
    if "exceeded quota" in lowered:
        return "quota"
    if "violates podsecurity" in lowered:
        return "pss_violation"
    return "rollout_failed"

# SPDX-License-Identifier: GPL-3.0-or-later
# SPDX-FileCopyrightText: 2026 The orchestrator.platform authors
#
# Private to this collection: names and behaviour may change in any release.
"""Families resources and security-context: what our containers may take, and what they may do. Pure."""

from __future__ import annotations

from collections.abc import Iterator
from decimal import Decimal

from ansible_collections.orchestrator.platform.plugins.module_utils._findings import (
    Catalogue,
    Result,
    about,
    decided,
    skipped,
    subject,
)
from ansible_collections.orchestrator.platform.plugins.module_utils._pod_security import (
    SAFE_SYSCTLS,
    restricted_violations,
)
from ansible_collections.orchestrator.platform.plugins.module_utils._quantities import parse_quantity, same_quantity
from ansible_collections.orchestrator.platform.plugins.module_utils._snapshot import (
    Bearer,
    UnreadableError,
    View,
    is_running,
)
from ansible_collections.orchestrator.platform.plugins.module_utils._workloads import Json, Obj, dig

CATALOGUE = Catalogue()
check = CATALOGUE.add

_WORKLOADS = ("deployments", "statefulsets", "daemonsets", "cronjobs", "jobs")
_NEAR_LIMIT = Decimal("0.9")  # arbitrary: room for one burst


# -- resources -----------------------------------------------------------------------------------------------------


def _resources(view: View, namespace: str, part: str) -> Iterator[Result]:
    for bearer, _place, container in view.ours(namespace):
        actual = dig(container, "resources", part) or {}
        published = view.published(bearer, container["name"])
        wanted = (dig(published, "resources", part) or {}) if published is not None else {}
        problem = None
        missing = [name for name in ("cpu", "memory") if name not in actual]
        if missing:
            problem = f"no {part} for {', '.join(missing)}"
        for name, value in wanted.items():
            if problem is None and not same_quantity(actual.get(name), value):
                problem = f"{part}.{name} is {actual.get(name)}, published {value}"
        yield decided(about(bearer, container), problem, ", ".join(f"{key} {value}" for key, value in actual.items()))


@check(
    "resources/requests",
    title="Our containers have the published requests",
    scope="all",
    needs=(*_WORKLOADS, "pods", "configmaps"),
    protects="agents squeezed by a neighbour that the scheduler does not know of",
    decided="requests.cpu and requests.memory are there and equal the published snippet's.",
    mend="Run role sidecar again, or set resources in the chart's values.",
)
def requests(view: View, namespace: str) -> Iterator[Result]:
    """Compare requests."""
    return _resources(view, namespace, "requests")


@check(
    "resources/limits",
    title="Our containers have the published limits",
    scope="all",
    needs=(*_WORKLOADS, "pods", "configmaps"),
    protects="a sidecar that takes memory or CPU from the agent it watches",
    decided="limits.cpu and limits.memory are there and equal the published snippet's.",
    mend="Run role sidecar again, or set resources in the chart's values.",
)
def limits(view: View, namespace: str) -> Iterator[Result]:
    """Compare limits."""
    return _resources(view, namespace, "limits")


@check(
    "resources/memory-limit-as-specified",
    title="The watcher's resources are the specified figures",
    scope="agents",
    needs=(*_WORKLOADS, "pods"),
    protects="figures loosened everywhere alike: snippet and pods agree with each other and not with the plan",
    decided="Each figure of watcher_resources, or of the workload's override, equals the container's; by default "
    "requests 10m/32Mi, limits 100m/64Mi.",
    mend="Set resources back in the chart's values, or verify_watcher_resources to what you have decided.",
)
def memory_limit_as_specified(view: View, namespace: str) -> Iterator[Result]:
    """Compare with the user's figures; an override is such a figure, too."""
    watcher, _bridge = view.our_names()
    for bearer, _place, container in view.containers(namespace, watcher):
        wrong = [
            f"{part}.{name} is {dig(container, 'resources', part, name)}, specified {value}"
            for part, name, value in _specified(view, bearer)
            if not same_quantity(dig(container, "resources", part, name), value)
        ]
        yield decided(about(bearer, container), "; ".join(wrong) or None)


def _specified(view: View, bearer: Bearer) -> Iterator[tuple[str, str, Json]]:
    overrides = view.overrides(bearer)
    for part, figures in view.expect.watcher_resources.items():
        for name, value in (figures or {}).items():
            own = getattr(overrides, f"{name}_{part.removesuffix('s')}", None)
            yield part, name, value if own is None else own


@check(
    "resources/within-limits",
    title="Measured memory use stays below the limit",
    scope="all",
    needs=("pods", "usage"),
    protects="a watcher that is about to be killed for memory",
    decided="The kubelet's working set of each of our containers is below its memory limit.",
    mend="Read what grows in the container's /metrics; raise the limit in the chart's values if it has to.",
)
def within_limits(view: View, namespace: str) -> Iterator[Result]:
    """Compare the kubelet's summary with the limit."""
    reason = view.snapshot.unread.get(("usage", ""))
    if reason is not None:
        raise UnreadableError(reason)
    for bearer, _place, container in view.ours(namespace, pods_only=True):
        if not is_running(bearer.obj, container["name"]):
            continue
        who, limit = about(bearer, container), dig(container, "resources", "limits", "memory")
        usage = view.snapshot.usage.get((namespace, bearer.name, container["name"]))
        if usage is None or usage.memory_bytes is None or limit is None:
            yield skipped(who, "no limit" if limit is None else "the kubelet has not measured it yet")
            continue
        text = f"{usage.memory_bytes / 2**20:.1f} MiB of {limit}"
        yield decided(who, None if Decimal(usage.memory_bytes) < parse_quantity(limit) else text, text)


@check(
    "resources/near-limit",
    title="Measured use leaves room below the limits",
    scope="all",
    needs=("pods", "usage"),
    severity="warning",
    protects="a watcher that is killed by the next burst, or that falls behind because its CPU is throttled",
    decided="The kubelet's working set and CPU of each of our containers are below 90 % of their limits; CPU from half "
    "a minute after its start.",
    mend="Raise the limit in the chart's values, or narrow the filters when the agent writes much.",
)
def near_limit(view: View, namespace: str) -> Iterator[Result]:
    """Compare both figures with nine tenths of the limit; at the memory limit itself resources/within-limits speaks."""
    reason = view.snapshot.unread.get(("usage", ""))
    if reason is not None:
        raise UnreadableError(reason)
    for bearer, _place, container in view.ours(namespace, pods_only=True):
        usage = view.snapshot.usage.get((namespace, bearer.name, container["name"]))
        if usage is None or not is_running(bearer.obj, container["name"]):
            continue
        limits = dig(container, "resources", "limits") or {}
        near = []
        if usage.memory_bytes is not None and limits.get("memory") is not None:
            limit = parse_quantity(limits["memory"])
            if limit * _NEAR_LIMIT <= usage.memory_bytes < limit:
                near.append(f"memory {usage.memory_bytes / 2**20:.1f} MiB of {limits['memory']}")
        if usage.cpu_nanocores is not None and limits.get("cpu") is not None:
            cores = Decimal(usage.cpu_nanocores).scaleb(-9)
            if cores >= parse_quantity(limits["cpu"]) * _NEAR_LIMIT:
                near.append(f"cpu {cores * 1000:.0f}m of {limits['cpu']}")
        yield decided(about(bearer, container), "; ".join(near) or None)


@check(
    "resources/request-below-limit",
    title="No request of the published snippet is above its limit",
    scope="monitor",
    needs=("configmaps",),
    protects="an injection that the API server refuses for every workload at once",
    decided="Each request of the published watcher and bridge is at most the limit of the same resource.",
    mend="Lower the request or raise the limit in the chart's values.",
)
def request_below_limit(view: View, namespace: str) -> Iterator[Result]:
    """Live pods have passed this in the API server; what is published has not."""
    who, snippet = subject("ConfigMap", namespace, view.expect.snippet_name), view.snippet
    if snippet is None:
        yield skipped(who, "no snippet is published")
        return
    above = [
        f"{container['name']} requests {name} {value}, limit {limit}"
        for container in (snippet.watcher, snippet.bridge)
        if container is not None
        for name, value in (dig(container, "resources", "requests") or {}).items()
        for limit in [dig(container, "resources", "limits", name)]
        if limit is not None and parse_quantity(value) > parse_quantity(limit)
    ]
    yield decided(who, "; ".join(above) or None)


@check(
    "resources/ephemeral-storage",
    title="Our containers can fill no more of the node's disk than they were given",
    scope="all",
    needs=(*_WORKLOADS, "pods"),
    severity="warning",
    protects="the agent from being evicted because its sidecar, or the transcript's volume, has filled the node's disk",
    decided="Each of our containers has a limit for ephemeral-storage, or every emptyDir that it may write has a "
    "sizeLimit; its root file system is the matter of security-context/restricted.",
    mend="Run role sidecar again, or set ephemeral-storage in the chart's resources.",
)
def ephemeral_storage(view: View, namespace: str) -> Iterator[Result]:
    """A limit on the container, or a bound on everything it can write."""
    for bearer, _place, container in view.ours(namespace):
        problem = None
        if dig(container, "resources", "limits", "ephemeral-storage") is None:
            writable = {m.get("name") for m in container.get("volumeMounts") or [] if not m.get("readOnly")}
            open_ended = [
                volume.get("name", "")
                for volume in bearer.spec.get("volumes") or []
                if volume.get("name") in writable and "emptyDir" in volume and not dig(volume, "emptyDir", "sizeLimit")
            ]
            if open_ended:
                problem = f"no limit, and without sizeLimit: {', '.join(open_ended)}"
        yield decided(about(bearer, container), problem)


@check(
    "resources/oom-killed",
    title="None of our containers was killed for memory",
    scope="all",
    needs=("pods",),
    severity="warning",
    protects="a watcher that loses time, and a message or two, at every large transcript",
    decided="The last state of each of our containers in running pods is not OOMKilled.",
    mend="Raise the memory limit in the chart's values; memory is to stay flat, so report it too.",
)
def oom_killed(view: View, namespace: str) -> Iterator[Result]:
    """Read the last termination."""
    for bearer, _place, container in view.ours(namespace, pods_only=True):
        status = _status_of(bearer.obj, container["name"])
        last = dig(status, "lastState", "terminated") or {}
        text = f"killed at {last.get('finishedAt', '?')}, {status.get('restartCount', '?')} restarts"
        yield decided(about(bearer, container), text if last.get("reason") == "OOMKilled" else None)


def _status_of(pod: Obj, name: str) -> Obj:
    for place in ("containerStatuses", "initContainerStatuses"):
        for item in dig(pod, "status", place) or []:
            if item.get("name") == name:
                return dict(item)
    return {}


# -- security context ----------------------------------------------------------------------------------------------


@check(
    "security-context/restricted",
    title="Our containers meet Pod Security restricted, with a read-only root",
    scope="all",
    needs=(*_WORKLOADS, "pods"),
    protects="a watcher that, once taken over, could do more than read a transcript and post to one webhook",
    decided="Privilege escalation, capabilities, user, seccomp and AppArmor profile, SELinux labels, /proc and root "
    "file system of each of our containers, in all three container lists.",
    mend="Take securityContext back to the chart's default; it is not to be overridden.",
)
def restricted(view: View, namespace: str) -> Iterator[Result]:
    """The rules by which role sidecar foretells what the API server refuses, and one more."""
    for bearer, _place, container in view.ours(namespace):
        problems = restricted_violations(container, bearer.spec)
        # Beyond the level: nothing of ours writes outside of its volumes.
        if dig(container, "securityContext", "readOnlyRootFilesystem") is not True:
            problems.append("a writable root file system")
        yield decided(about(bearer, container), f"it has {', '.join(problems)}" if problems else None)


@check(
    "security-context/pod-level",
    title="The pods of our containers keep to themselves",
    scope="all",
    needs=(*_WORKLOADS, "pods"),
    protects="a watcher that meets every rule, in a pod that opens the node beneath it",
    decided="hostIPC, sysctls outside the safe ones, and hostPath volumes that one of our containers mounts. hostPID "
    "is the matter of secret-scope/share-process-namespace, hostNetwork of exposure/no-host-port.",
    mend="Take the setting away; where the agent needs it, exclude the workload by annotation.",
)
def pod_level(view: View, namespace: str) -> Iterator[Result]:
    """What the pod does to our container."""
    for bearer, _place, container in view.ours(namespace):
        problems = ["hostIPC"] if bearer.spec.get("hostIPC") else []
        problems += [
            f"sysctl {item.get('name')}"
            for item in dig(bearer.spec, "securityContext", "sysctls") or []
            if item.get("name") not in SAFE_SYSCTLS
        ]
        mounted = {mount.get("name") for mount in container.get("volumeMounts") or []}
        problems += [
            f"hostPath {volume['hostPath'].get('path')}"
            for volume in bearer.spec.get("volumes") or []
            if volume.get("name") in mounted and volume.get("hostPath") is not None
        ]
        yield decided(about(bearer, container), "; ".join(problems) or None)

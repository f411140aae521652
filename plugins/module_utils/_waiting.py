# SPDX-License-Identifier: GPL-3.0-or-later
# SPDX-FileCopyrightText: 2026 The orchestrator.platform authors
#
# Private to this collection: names and behaviour may change in any release.
"""Waits on any number of rollouts at once, one batch after another, over the same watches.

There is one watch a kind and namespace and one on the pods of a namespace. They are begun when first needed and stay
until the end, so that a batch costs no list. Of each object only what decides is kept.
"""

from __future__ import annotations

import queue
import threading
import time
import typing as t
from collections.abc import Callable, Mapping

from ansible_collections.orchestrator.platform.plugins.module_utils._cluster import Cluster
from ansible_collections.orchestrator.platform.plugins.module_utils._errors import PlatformError
from ansible_collections.orchestrator.platform.plugins.module_utils._rollout import (
    Awaited,
    PodView,
    Progress,
    first_failure,
    rolled_out,
    view_of_pod,
)
from ansible_collections.orchestrator.platform.plugins.module_utils._workloads import KINDS, Obj

COMPLETE = Progress(done=True, reason="complete")
# Before what a pod died of, where that was after its rollout was complete.
STABLE = "the new pods did not stay up: "


class Target(t.NamedTuple):
    """One workload to wait for."""

    kind: str
    namespace: str
    name: str


class Seen(t.NamedTuple):
    """All that a wait keeps of a workload: how far its rollout was, and of which generation that is told."""

    generation: int
    progress: Progress
    pods: int = 0  # how many there are


class _Event(t.NamedTuple):
    source: str  # a workload kind, or "Pod"
    namespace: str
    key: str  # the workload's name, the pod's uid; "" when the source itself gave up
    now: Seen | PodView | None = None  # None for a pod that is gone
    error: str = ""
    refused: str = ""  # why the source may not watch, so that it lists again and again


class Rollouts:
    """Follows targets until each is complete or failed; `close` ends the watches.

    `since` holds the resourceVersion of lists that the caller has read, by kind and namespace: there the watch begins.
    """

    def __init__(
        self,
        cluster: Cluster,
        since: Mapping[tuple[str, str], str],
        warn: Callable[[str], None] = lambda _text: None,
    ) -> None:
        self._cluster = cluster
        self._warn = warn
        self._since = since
        self._followed: set[tuple[str, str]] = set()
        self._broken: dict[tuple[str, str], str] = {}
        self._seen: dict[Target, Seen] = {}
        self._pods: dict[Target, dict[str, PodView]] = {}
        self._owner: dict[str, Target] = {}  # by the pod's uid
        self._pending: dict[Target, Awaited] = {}
        self._results: dict[Target, Progress] = {}
        self._events: queue.Queue[_Event] = queue.Queue()
        self._stop = threading.Event()

    def remember(self, target: Target, seen: Seen) -> None:
        """How a target was in the list that its watch begins after: without a change the watch tells nothing of it."""
        self._seen.setdefault(target, seen)

    def run(self, targets: Mapping[Target, Awaited], timeout_s: float, stable_s: float = 0.0) -> dict[Target, Progress]:
        """Progress of each target; those not complete after the timeout have `done` None.

        With `stable_s` the complete ones are looked at for so long again: without a readiness probe a pod counts as
        available before its containers have had time to end.
        """
        self._pending, self._results = dict(targets), {}
        deadline = time.monotonic() + timeout_s
        self._follow_all()
        for target in targets:
            self._look(target)  # what was seen while earlier batches were waited for
        try:
            while self._pending:
                self._take(self._events.get(timeout=max(0.0, deadline - time.monotonic())))
        except queue.Empty:
            pass
        for target in self._pending:
            self._results[target] = self._late(target)
        self._pending = {}
        self._outlast({target: targets[target] for target in targets if self._has_new_pods(target)}, stable_s)
        return self._results

    def _has_new_pods(self, target: Target) -> bool:
        seen = self._seen.get(target)
        return self._results[target] == COMPLETE and seen is not None and seen.pods > 0

    def _outlast(self, targets: dict[Target, Awaited], stable_s: float) -> None:
        """Those whose new pods do not stay up for so long have failed."""
        deadline = time.monotonic() + stable_s
        before: dict[str, int] = {}
        try:
            while targets and time.monotonic() < deadline:
                for target in list(targets):
                    died = self._died(target, targets[target], before)
                    if died:
                        del targets[target]
                        self._results[target] = Progress(done=False, reason=f"{STABLE}{died}")
                if targets:
                    self._take(self._events.get(timeout=max(0.0, deadline - time.monotonic())))
        except queue.Empty:
            pass

    def _died(self, target: Target, awaited: Awaited, before: dict[str, int]) -> str | None:
        pods = self._pods.get(target, {})
        for uid, pod in pods.items():
            # What a container did before its pod was available is over, unless it is down still.
            known = before.setdefault(uid, 0 if pod.down else pod.deaths)
            if awaited.concerns(pod) and pod.deaths > known:
                return pod.died
        return first_failure(awaited, pods.values())

    def stuck(self, target: Target, awaited: Awaited) -> list[tuple[str, str]]:
        """(name, uid) of the pods of this template that are not ready, as seen last."""
        pods = self._pods.get(target, {}).items()
        return sorted((pod.name, uid) for uid, pod in pods if awaited.concerns(pod) and not pod.ready)

    def close(self) -> None:
        """End the watches; they are daemons, so that a blocked read does not keep the module from ending."""
        self._stop.set()

    # -- sources --------------------------------------------------------------------------------------------------

    def _follow_all(self) -> None:
        namespaces = {target.namespace for target in self._pending}
        kinds = {(target.kind, target.namespace) for target in self._pending}
        for kind, namespace in sorted(kinds - self._followed):
            self._begin(kind, namespace, KINDS[kind].path(namespace), self._since.get((kind, namespace), ""))
        for namespace in sorted(name for name in namespaces if ("Pod", name) not in self._followed):
            self._begin("Pod", namespace, f"/api/v1/namespaces/{namespace}/pods", "")

    def _begin(self, source: str, namespace: str, path: str, since: str) -> None:
        def deliver(event: str, obj: Obj) -> None:
            self._events.put(_view(source, namespace, event, obj))

        def refused(reason: str) -> None:
            self._events.put(_Event(source, namespace, "", refused=reason))

        def follow() -> None:
            try:
                self._cluster.follow(path, deliver, self._stop, since=since, refused=refused)
            except PlatformError as exc:
                self._events.put(_Event(source, namespace, "", error=str(exc)))

        self._followed.add((source, namespace))
        threading.Thread(target=follow, name=f"follow-{source}-{namespace}", daemon=True).start()

    # -- events ---------------------------------------------------------------------------------------------------

    def _take(self, event: _Event) -> None:
        if event.refused:
            what = "pods" if event.source == "Pod" else KINDS[event.source].plural
            self._warn(
                f"A watch on {what} in {event.namespace} is refused, so the wait lists them again and again, which is "
                f"slower and costs more: grant the verb watch. {event.refused}"
            )
            return
        if event.error:
            self._broken[event.source, event.namespace] = event.error
        if event.source == "Pod":
            self._take_pod(event)  # without the pods' messages a failure shows as a timeout
        elif event.error:
            for target in [item for item in self._pending if (item.kind, item.namespace) == event[:2]]:
                self._look(target)
        elif isinstance(event.now, Seen):
            target = Target(event.source, event.namespace, event.key)
            self._seen[target] = event.now
            self._look(target)

    def _take_pod(self, event: _Event) -> None:
        if not isinstance(event.now, PodView):
            target = self._owner.pop(event.key, None)
            if target is not None:
                self._pods[target].pop(event.key, None)
            return
        target = self._owner[event.key] = Target(event.now.kind, event.namespace, event.now.workload)
        self._pods.setdefault(target, {})[event.key] = event.now
        self._look(target)

    # -- judgement ------------------------------------------------------------------------------------------------

    def _look(self, target: Target) -> None:
        if target not in self._pending:
            return
        progress = self._progress(target)
        if progress.done is None:
            failure = first_failure(self._pending[target], self._pods.get(target, {}).values())
            if failure is not None:
                progress = Progress(done=False, reason=failure)
        if progress.done is not None:
            del self._pending[target]
            self._results[target] = progress

    def _late(self, target: Target) -> Progress:
        """Where a rollout stands that was not complete in time, and what its pods wait for."""
        progress, awaited = self._progress(target), self._pending[target]
        pods = self._pods.get(target, {}).values()
        waits = next((pod.waits for pod in pods if pod.waits and awaited.concerns(pod)), None)
        unseen = self._broken.get(("Pod", target.namespace))
        if unseen:
            waits = f"why is not known, since its pods may not be read: {unseen}"
        return progress._replace(reason=f"{progress.reason}; {waits}") if waits else progress

    def _progress(self, target: Target) -> Progress:
        broken = self._broken.get((target.kind, target.namespace))
        if broken is not None:
            return Progress(done=False, reason=broken)
        seen = self._seen.get(target)
        # A watch may still tell of the time before the change.
        if seen is None or seen.generation < self._pending[target].generation:
            return Progress(done=None, reason="the change has not been seen yet")
        return seen.progress


def _view(source: str, namespace: str, event: str, obj: Obj) -> _Event:
    """What is kept of an object, made by the thread that follows: whole objects would pile up in the queue."""
    metadata = obj["metadata"]
    if source == "Pod":
        return _Event(source, namespace, metadata["uid"], None if event == "DELETED" else view_of_pod(obj))
    progress = rolled_out(source, obj)
    if event == "DELETED":
        progress = Progress(done=False, reason="the workload was deleted")
    status = obj.get("status") or {}
    pods = int(status.get("replicas") or status.get("desiredNumberScheduled") or 0)
    return _Event(source, namespace, metadata["name"], Seen(int(metadata.get("generation") or 0), progress, pods))

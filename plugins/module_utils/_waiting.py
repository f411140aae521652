# SPDX-License-Identifier: GPL-3.0-or-later
# SPDX-FileCopyrightText: 2026 The orchestrator.platform authors
#
# Private to this collection: names and behaviour may change in any release.
"""Waits on any number of rollouts at once: one watch a kind and namespace, one on the pods of a namespace."""

from __future__ import annotations

import queue
import threading
import time
import typing as t

from ansible_collections.orchestrator.platform.plugins.module_utils._cluster import Cluster
from ansible_collections.orchestrator.platform.plugins.module_utils._errors import PlatformError
from ansible_collections.orchestrator.platform.plugins.module_utils._rollout import (
    Progress,
    first_failure,
    rolled_out,
)
from ansible_collections.orchestrator.platform.plugins.module_utils._workloads import ANNOTATION_HASH, KINDS, Obj


class Target(t.NamedTuple):
    """One workload to wait for."""

    kind: str
    namespace: str
    name: str


class _Event(t.NamedTuple):
    source: str  # a workload kind, or "Pod"
    namespace: str
    type: str  # ADDED, MODIFIED, DELETED, or FAILED when the source itself gave up
    obj: Obj
    error: str = ""


class RolloutWait:
    """Follows the targets until each is complete or failed.

    `targets` maps to the snippet hash that the new pods carry, None where the sidecar was removed.
    """

    def __init__(self, cluster: Cluster, targets: dict[Target, str | None]) -> None:
        self._cluster = cluster
        self._pending = dict(targets)
        self._results: dict[Target, Progress] = {}
        self._seen: dict[Target, Obj] = {}
        self._pods: dict[str, dict[str, Obj]] = {}
        self._events: queue.Queue[_Event] = queue.Queue()
        self._stop = threading.Event()

    def run(self, timeout_s: float) -> dict[Target, Progress]:
        """Progress of each target; those not complete after the timeout have `done` None."""
        deadline = time.monotonic() + timeout_s
        for kind, namespace in sorted({(item.kind, item.namespace) for item in self._pending}):
            self._begin(kind, namespace, KINDS[kind].path(namespace))
        for namespace in sorted({item.namespace for item in self._pending}):
            self._begin("Pod", namespace, f"/api/v1/namespaces/{namespace}/pods")
        try:
            while self._pending:
                self._take(self._events.get(timeout=max(0.0, deadline - time.monotonic())))
        except queue.Empty:
            pass
        finally:
            self._stop.set()  # the followers are daemons: a blocked read must not keep the module from ending
        for target in self._pending:
            self._results[target] = self._progress(target)
        return self._results

    def _begin(self, source: str, namespace: str, path: str) -> None:
        def deliver(event: str, obj: Obj) -> None:
            self._events.put(_Event(source, namespace, event, obj))

        def follow() -> None:
            try:
                self._cluster.follow(path, deliver, self._stop)
            except PlatformError as exc:
                self._events.put(_Event(source, namespace, "FAILED", {}, str(exc)))

        threading.Thread(target=follow, name=f"follow-{source}-{namespace}", daemon=True).start()

    def _take(self, event: _Event) -> None:
        if event.source == "Pod":
            self._take_pod(event)
        elif event.type == "FAILED":
            for target in [item for item in self._pending if (item.kind, item.namespace) == event[:2]]:
                self._settle(target, Progress(done=False, reason=event.error))
        else:
            self._take_workload(event)

    def _take_workload(self, event: _Event) -> None:
        target = Target(event.source, event.namespace, event.obj["metadata"]["name"])
        if target not in self._pending:
            return
        if event.type == "DELETED":
            self._settle(target, Progress(done=False, reason="the workload was deleted"))
            return
        self._seen[target] = event.obj
        self._look(target, self._pods.get(event.namespace, {}).values())

    def _take_pod(self, event: _Event) -> None:
        if event.type == "FAILED":
            return  # without the pods' messages a failure shows as a timeout
        pods = self._pods.setdefault(event.namespace, {})
        uid = event.obj["metadata"]["uid"]
        if event.type == "DELETED":
            pods.pop(uid, None)
            return
        pods[uid] = event.obj
        for target in [item for item in self._pending if item.namespace == event.namespace]:
            self._look(target, [event.obj])

    def _look(self, target: Target, pods: t.Iterable[Obj]) -> None:
        progress = self._progress(target)
        if progress.done is None and target in self._seen:
            failure = first_failure(self._seen[target], pods, ANNOTATION_HASH, self._pending[target])
            if failure is not None:
                progress = Progress(done=False, reason=failure)
        if progress.done is not None:
            self._settle(target, progress)

    def _progress(self, target: Target) -> Progress:
        obj = self._seen.get(target)
        return Progress(done=None, reason="not seen yet") if obj is None else rolled_out(target.kind, obj)

    def _settle(self, target: Target, progress: Progress) -> None:
        self._pending.pop(target, None)
        self._results[target] = progress

# SPDX-License-Identifier: GPL-3.0-or-later
# SPDX-FileCopyrightText: 2026 The orchestrator.platform authors
#
# Private to this collection: names and behaviour may change in any release.
"""Sends the decisions: one apply a workload, its undoing, and the re-creation of a Job.

Each write names the uid of the object that was decided on, so that one made anew in between is left alone.
"""

from __future__ import annotations

import json
import threading
import time
import typing as t
from collections.abc import Iterable

from ansible_collections.orchestrator.platform.plugins.module_utils._cluster import Cluster
from ansible_collections.orchestrator.platform.plugins.module_utils._errors import ApiError, ClusterError
from ansible_collections.orchestrator.platform.plugins.module_utils._outcomes import Plan, answer, plan_of_error
from ansible_collections.orchestrator.platform.plugins.module_utils._redact import redact
from ansible_collections.orchestrator.platform.plugins.module_utils._rollout import (
    Awaited,
    Progress,
    rolled_out,
    still_rolling,
)
from ansible_collections.orchestrator.platform.plugins.module_utils._sidecar import (
    FIELD_MANAGER,
    owned_view,
)
from ansible_collections.orchestrator.platform.plugins.module_utils._waiting import Seen, Target
from ansible_collections.orchestrator.platform.plugins.module_utils._workloads import (
    ANNOTATION_HASH,
    KINDS,
    Obj,
    annotation,
    dig,
    pod_spec,
    pod_template,
)

GONE_S = 30.0  # longest wait for a deleted Job to be gone; arbitrary, without a finalizer it is gone at once
PACE_S = 0.1  # between two attempts to make it again


class Work(t.NamedTuple):
    """One workload on its way through a run: its plan, and of the object only what is needed later.

    Bodies are kept as the bytes that are sent: as dictionaries a thousand of them would take ten times the memory.
    """

    target: Target
    plan: Plan  # without its bodies
    uid: str = ""
    version: str = ""
    seen: Seen = Seen(0, Progress(done=True, reason=""))
    rolling: bool = False
    patch: bytes = b""
    undo: bytes = b""  # the apply that puts back what was ours before
    recreate: bytes = b""
    wanted: str | None = None  # snippet hash of the pods to come
    held: str | None = None  # snippet hash of the template as it was
    removes: bool = False  # whether the change takes everything of ours out
    sent: bool = False  # whether the API server has taken a change, so that a rollout follows
    reason: str = ""  # why that rollout failed
    since: str = ""  # when it did, by its own clock; "" where it does not say
    view: Obj | None = None  # for the diff: our part of the object as it was, of a Job what is added to it
    manifest: Obj | None = None  # of a Job that was deleted and could not be made again

    @property
    def writes(self) -> bool:
        """Whether anything is to be sent."""
        return bool(self.patch or self.recreate)

    def awaited(self) -> Awaited:
        """What the rollout is to bring about."""
        return Awaited(self.seen.generation, self.wanted, self.since)

    def left(self) -> Awaited:
        """The pods of the template as it was."""
        return Awaited(0, self.held)


def work_of(kind: str, obj: Obj, plan: Plan, *, wants_diff: bool) -> Work:
    """A decision with what is needed to carry it out; the object itself is not kept."""
    metadata = obj["metadata"]
    target = Target(kind, metadata["namespace"], metadata["name"])
    held = annotation(pod_template(obj, kind), ANNOTATION_HASH)
    seen = Seen(int(metadata.get("generation") or 0), rolled_out(kind, obj))
    if plan.body is None and plan.recreate is None:
        return Work(target, plan, seen=seen, rolling=KINDS[kind].rolls and still_rolling(kind, obj), wanted=held)
    view = owned_view(obj)
    shown = view if plan.recreate is None else _added(pod_spec(obj, kind), pod_spec(plan.recreate, kind))
    return Work(
        target,
        plan._replace(body=None, recreate=None),
        uid=metadata["uid"],
        version=metadata["resourceVersion"],
        seen=seen,
        patch=_bytes(plan.body),
        undo=_bytes(_undo(plan.body, view)) if plan.body else b"",
        recreate=_bytes(plan.recreate),
        wanted=_hash_in(plan.body or {}, kind),
        held=held,
        removes=plan.outcome == "removed",
        view=shown if wants_diff else None,
    )


def _undo(body: Obj, view: Obj) -> Obj:
    """Our fields as they were; without any, the apply that gives up all."""
    return {**view, **{key: body[key] for key in ("apiVersion", "kind", "metadata")}}


def _hash_in(body: Obj, kind: str) -> str | None:
    return annotation(dig(body, *KINDS[kind].template) or {}, ANNOTATION_HASH)


def _bytes(body: Obj | None) -> bytes:
    return b"" if body is None else json.dumps(body, separators=(",", ":")).encode()


class Writer:
    """Applies, undoes and re-creates; counts the writes and remembers what they changed of ours."""

    def __init__(self, cluster: Cluster, *, dry_run: bool, wants_diff: bool) -> None:
        self._cluster = cluster
        self._dry_run = dry_run
        self._wants_diff = wants_diff
        self._lock = threading.Lock()
        self._lost = ""  # why the API server cannot be reached any more
        self.patches = 0
        self.changed = False
        self.views: dict[Target, tuple[Obj, Obj]] = {}

    def write(self, work: Work) -> Work:
        """Send the decision; an answer other than yes becomes the workload's plan.

        Once the API server cannot be reached the others are not tried: what was done before is told all the same.
        """
        if self._lost:
            return work._replace(plan=answer("api_error", reason=self._lost))
        try:
            return self._recreate(work) if work.recreate else self._patch(work)
        except ApiError as exc:
            return work._replace(plan=plan_of_error(exc.status, str(exc), exc.body))
        except ClusterError as exc:
            self._lost = str(exc)
            return work._replace(plan=answer("api_error", reason=self._lost))

    def _patch(self, work: Work) -> Work:
        reply = self._apply(work, work.patch, whole=self._wants_diff)
        if self._wants_diff:
            self.views[work.target] = (work.view or {}, owned_view(reply))
        if self._same(work, reply) and work.plan.outcome != "removed":
            return work._replace(plan=answer("unchanged"))
        self.changed = True
        return _after(work, reply)

    def put_back(self, work: Work) -> Work:
        """Give our fields the values that they had before; raises ClusterError."""
        reply = self._apply(work, work.undo, whole=False)
        self.views.pop(work.target, None)
        return _after(work._replace(wanted=work.held), reply)

    def delete_pods(self, namespace: str, pods: Iterable[tuple[str, str]]) -> None:
        """Delete pods by name and uid; raises ClusterError. One that is gone or another by now is no error."""
        for name, uid in pods:
            try:
                self._cluster.delete(f"/api/v1/namespaces/{namespace}/pods/{name}", uid=uid)
            except ApiError as exc:
                if exc.status not in (404, 409):
                    raise

    def _apply(self, work: Work, body: bytes, *, whole: bool) -> Obj:
        with self._lock:
            self.patches += 1
        path = KINDS[work.target.kind].path(work.target.namespace, work.target.name)
        return self._cluster.apply(path, body, manager=FIELD_MANAGER, dry_run=self._dry_run, whole=whole)

    def _same(self, work: Work, reply: Obj) -> bool:
        # A dry run keeps the resourceVersion, but its generation is already the next one when the spec would change.
        same = reply["metadata"].get("generation") == work.seen.generation
        return same and (self._dry_run or reply["metadata"].get("resourceVersion") == work.version)

    # -- Jobs -----------------------------------------------------------------------------------------------------

    def _recreate(self, work: Work) -> Work:
        """Delete the Job and make it again; raises ClusterError.

        Nothing is deleted that the API server would not take back.
        """
        _kind, namespace, name = work.target
        jobs = KINDS["Job"]
        self._create_dry(jobs.path(namespace), work.recreate)
        self._cluster.delete(jobs.path(namespace, name), uid=work.uid, version=work.version, dry_run=self._dry_run)
        if self._wants_diff:
            self.views[work.target] = ({}, work.view or {})
        self.changed = True
        return work if self._dry_run else self._create(work)

    def _create_dry(self, path: str, body: bytes) -> None:
        try:
            self._cluster.create(path, body, manager=FIELD_MANAGER, dry_run=True)
        except ApiError as exc:
            # The last step of a creation is to look for the name: admission and validation have said yes before.
            if not already_there(exc):
                raise

    def _create(self, work: Work) -> Work:
        """Make the deleted Job again; whatever goes wrong from here on, the manifest is not lost."""
        deadline = time.monotonic() + GONE_S
        try:
            while not self._created(work):
                there = self._cluster.find(KINDS["Job"].path(work.target.namespace, work.target.name))
                if there is not None and there["metadata"]["uid"] != work.uid:
                    return self._made_by_another(work, there)
                if time.monotonic() > deadline:
                    raise ClusterError(f"the deleted Job is still there after {GONE_S:.0f} s")
                time.sleep(PACE_S)
        except ClusterError as exc:
            return _lost(work, exc)
        return work

    def _created(self, work: Work) -> bool:
        """False where an object of that name is there still; raises ClusterError."""
        try:
            path = KINDS["Job"].path(work.target.namespace)
            self._cluster.create(path, work.recreate, manager=FIELD_MANAGER, dry_run=False)
        except ApiError as exc:
            if already_there(exc):
                return False
            raise
        return True

    @staticmethod
    def _made_by_another(work: Work, there: Obj) -> Work:
        # A request may be sent again after its answer was lost: then what is there is ours.
        wanted = _hash_in(json.loads(work.recreate), "Job")
        if wanted is not None and _hash_in(there, "Job") == wanted:
            return work
        return work._replace(plan=answer("gone"))


def _after(work: Work, reply: Obj) -> Work:
    metadata = reply["metadata"]
    times = [
        entry.get("time") or ""
        for entry in metadata.get("managedFields") or []
        if entry.get("manager") == FIELD_MANAGER and entry.get("operation") == "Apply"
    ]
    seen = work.seen._replace(generation=int(metadata.get("generation") or 0))
    return work._replace(seen=seen, sent=True, since=max(times, default=""))


def already_there(exc: ApiError) -> bool:
    """Whether a creation was refused for nothing but the name, the last thing that is looked at."""
    return exc.status == 409 and exc.body.get("reason") == "AlreadyExists"


def _lost(work: Work, exc: ClusterError) -> Work:
    status, body = (exc.status, exc.body) if isinstance(exc, ApiError) else (0, {})
    plan = plan_of_error(status, str(exc), body)
    note = "The Job had been deleted before: make it again from manifest, where secret-shaped values are left out."
    return work._replace(
        plan=Plan("failed", plan.code, plan.message, note=note), manifest=redact(json.loads(work.recreate))
    )


def _added(before: Obj, after: Obj) -> Obj:
    """What a Job's new pod spec holds beyond the old one; who owns its fields is not told before it is there."""
    added: Obj = {}
    for place in ("initContainers", "containers", "volumes"):
        old = {item["name"]: item for item in before.get(place) or []}
        for item in after.get(place) or []:
            part = item
            if item["name"] in old:
                mounts = old[item["name"]].get("volumeMounts") or []
                more = [mount for mount in item.get("volumeMounts") or [] if mount not in mounts]
                part = {"name": item["name"], "volumeMounts": more} if more else {}
            if part:
                added.setdefault(place, []).append(part)
    return added

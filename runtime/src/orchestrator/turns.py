# SPDX-License-Identifier: GPL-3.0-or-later
# SPDX-FileCopyrightText: 2026 The orchestrator.platform authors
"""One service, one run at a time: its claim is shared, and can be mounted by one node only (OR-A43).

Whoever holds a claim is read from the cluster, so that a new process knows it too; who waits is kept in memory, and
known before anybody may start: the informer tells of every run that it sees.
"""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING

from orchestrator import naming
from orchestrator.status import is_final, reason_of

if TYPE_CHECKING:
    from collections.abc import Callable

    from orchestrator.kube import Obj
    from orchestrator.store import Store


# Reasons of condition Pending of a run that has not begun its attempt; the Job that its status names is a former one's.
NOT_BEGUN = (
    "WaitingForService", "SecretMissing", "TemplateInvalid", "ConfigurationUnreadable", "FormerAttempt",
    "ChannelPending",
)  # fmt: skip


class Turns:
    """Whose turn it is on each claim; the one that waits longest comes first."""

    def __init__(self, runs: Store, jobs: Store, pods: Store) -> None:
        self._runs, self._jobs, self._pods = runs, jobs, pods
        self._lock = threading.Lock()
        self._taken: dict[str, tuple[str, str]] = {}  # claim -> (uid, name) of who takes it, until its status says so
        self._waiting: dict[str, dict[str, tuple[str, str]]] = {}  # claim -> uid -> (created, name)
        self.on_free: Callable[[str], None] = lambda _claim: None  # told of a claim that somebody left

    def expect(self, run: Obj) -> None:
        """A run that was not looked at yet: nobody younger goes before it, however late it is looked at."""
        meta, status = run["metadata"], run.get("status") or {}
        reason = reason_of(status, "Pending")
        if is_final(status) or meta.get("deletionTimestamp") or reason not in ("", "WaitingForService"):
            return
        if status.get("jobName") and not reason:
            return
        claim = naming.claim_name(run["spec"]["service"])
        with self._lock:
            if self._taken.get(claim, ("", ""))[0] != meta["uid"]:
                self._waiting.setdefault(claim, {})[meta["uid"]] = (meta["creationTimestamp"], meta["name"])

    def stumble(self, run: Obj) -> None:
        """A step of the run failed before its turn came: while it is tried again it is in nobody's way."""
        with self._lock:
            self._waiting.get(naming.claim_name(run["spec"]["service"]), {}).pop(run["metadata"]["uid"], None)

    def take(self, run: Obj) -> bool:
        """Whether the run may start now; it holds the claim then. A run that may not is one of those who wait."""
        uid, claim = run["metadata"]["uid"], naming.claim_name(run["spec"]["service"])
        with self._lock:
            if not self._is_next(run, claim):
                return False
            del self._waiting[claim][uid]
            self._taken[claim] = (uid, run["metadata"]["name"])
            return True

    def has_to_wait(self, run: Obj) -> bool:
        """Whether `take` would say no. Cheap: hundreds may wait, woken whenever a pod of theirs changes."""
        with self._lock:
            return not self._is_next(run, naming.claim_name(run["spec"]["service"]))

    def _is_next(self, run: Obj, claim: str) -> bool:
        meta = run["metadata"]
        waiting = self._waiting.setdefault(claim, {})
        waiting[meta["uid"]] = (meta["creationTimestamp"], meta["name"])
        while True:
            first = min(waiting, key=waiting.__getitem__)
            if first == meta["uid"]:
                return not self._is_held(claim, first)
            if self._lives(first, waiting[first][1]):
                return False
            del waiting[first]

    def leave(self, run: Obj) -> None:
        """The run neither holds its claim nor waits for it: it ended, or waits for something else."""
        uid, claim = run["metadata"]["uid"], naming.claim_name(run["spec"]["service"])
        with self._lock:
            self._waiting.get(claim, {}).pop(uid, None)
            if self._taken.get(claim, ("", ""))[0] == uid:
                del self._taken[claim]
        self.on_free(claim)

    def next_of(self, claim: str) -> list[str]:
        """Names of the runs that wait for a claim, longest first."""
        with self._lock:
            return [name for _created, name in sorted(self._waiting.get(claim, {}).values())]

    def _is_held(self, claim: str, uid: str) -> bool:
        taken = self._taken.get(claim)
        if taken is not None and taken[0] != uid and self._lives(*taken):
            return True
        return (
            any(self._run_holds(other, claim) for other in self._runs.all() if other["metadata"]["uid"] != uid)
            # A Job outlives its run for a moment, and a pod its Job.
            or any(
                _uses(_template(job), claim) and not has_ended(job) for job in self._jobs.all() if not _owned(job, uid)
            )
            or any(_uses(pod, claim) and not _is_over(pod) and not self._is_of(pod, uid) for pod in self._pods.all())
        )

    def _lives(self, uid: str, name: str) -> bool:
        known = self._runs.get(name)
        return known is not None and known["metadata"]["uid"] == uid

    def _run_holds(self, run: Obj, claim: str) -> bool:
        status = run.get("status") or {}
        if not status.get("jobName") or is_final(status) or reason_of(status, "Pending") in NOT_BEGUN:
            return False
        return naming.claim_name(run["spec"]["service"]) == claim

    def _is_of(self, pod: Obj, uid: str) -> bool:
        job = self._jobs.get((pod["metadata"].get("labels") or {}).get("job-name", ""))
        return job is not None and _owned(job, uid)


def has_ended(job: Obj) -> bool:
    """Whether a Job is complete or failed."""
    conditions = (job.get("status") or {}).get("conditions") or []
    return any(c["type"] in ("Complete", "Failed") and c["status"] == "True" for c in conditions)


def claim_of(pod: Obj) -> str:
    """Claim of a pod or pod template of ours, an empty text without one."""
    for volume in pod["spec"].get("volumes") or []:
        if volume["name"] == "workspace":
            return str((volume.get("persistentVolumeClaim") or {}).get("claimName", ""))
    return ""


def _template(job: Obj) -> Obj:
    template: Obj = job["spec"]["template"]
    return template


def _uses(pod: Obj, claim: str) -> bool:
    return claim_of(pod) == claim


def _is_over(pod: Obj) -> bool:
    return (pod.get("status") or {}).get("phase") in ("Succeeded", "Failed")


def _owned(job: Obj, uid: str) -> bool:
    return any(reference["uid"] == uid for reference in job["metadata"].get("ownerReferences") or [])

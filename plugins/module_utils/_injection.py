# SPDX-License-Identifier: GPL-3.0-or-later
# SPDX-FileCopyrightText: 2026 The orchestrator.platform authors
#
# Private to this collection: names and behaviour may change in any release.
"""One run of the module sidecar: read, decide, then batch by batch apply, wait and, where it must be, put back."""

from __future__ import annotations

import typing as t
from collections.abc import Iterable, Sequence

from ansible_collections.orchestrator.platform.plugins.module_utils._applying import Work, Writer, work_of
from ansible_collections.orchestrator.platform.plugins.module_utils._batches import OnFailure, batch_size, batches
from ansible_collections.orchestrator.platform.plugins.module_utils._cluster import Cluster, Stopwatch
from ansible_collections.orchestrator.platform.plugins.module_utils._errors import ClusterError, PlatformError
from ansible_collections.orchestrator.platform.plugins.module_utils._outcomes import OUTCOMES, answer, message_of
from ansible_collections.orchestrator.platform.plugins.module_utils._overrides import parse_overrides
from ansible_collections.orchestrator.platform.plugins.module_utils._redact import redact
from ansible_collections.orchestrator.platform.plugins.module_utils._rollout import (
    PodView,
    Progress,
    code_of_failure,
    view_of_pod,
)
from ansible_collections.orchestrator.platform.plugins.module_utils._selection import (
    Decide,
    Reading,
    Selection,
)
from ansible_collections.orchestrator.platform.plugins.module_utils._sidecar import (
    plan_absent,
)
from ansible_collections.orchestrator.platform.plugins.module_utils._waiting import COMPLETE, Rollouts, Target
from ansible_collections.orchestrator.platform.plugins.module_utils._workloads import KINDS, Foreign, Obj, dig

_DELETE_STUCK = "Delete its pods that do not start, for which a StatefulSet waits: {reason}"


class Run(Selection):
    """One run of the module."""

    def __init__(self, module: Foreign, cluster: Cluster) -> None:
        super().__init__(module, cluster)
        self.wants_diff = bool(module._diff)  # noqa: SLF001 (Ansible's own name for it)
        self.writer = Writer(cluster, dry_run=self.check_mode, wants_diff=self.wants_diff)
        self.on_failure = OnFailure(self.params["on_failure"])
        self.watch = Stopwatch()
        self.calls: dict[str, int] = {}
        self.stopped = False  # a rollout failed, after which nothing more is to be changed

    def result(self) -> dict[str, t.Any]:
        """The module's result; `failed` with a sentence where a workload failed or is in conflict."""
        # Refused before anything is read.
        batch_size(self.params["batch"], 1)
        if self.params["wait_timeout"] < 1:
            raise PlatformError("wait_timeout is below 1: give the longest wait in seconds, or wait: false for none.")
        if self.params["wait_stable"] < 0:
            raise PlatformError(
                "wait_stable is below 0: give the seconds for which new pods have to stay up, 0 for none."
            )
        parse_overrides(self.params["overrides"])
        extra: dict[str, t.Any] = {}
        works: list[Work] = []
        if self.params["state"] == "absent":
            reading = self.read(present=False)
            for name in reading.missing:
                self.warn(f"Namespace {name} is not there, so nothing is removed from it: is it spelt so?")
            works = self._decide(plan_absent, reading)
        else:
            reading = self.read(present=True)
            ask = self.ask(reading)
            extra = {"snippet_hash": ask and ask.snippet.hash, "form": ask and ask.form}
            works = [] if ask is None else self._decide(ask.plan, reading)
        self._lap("read")
        works = self._change(sorted(works, key=lambda work: (work.target.namespace, *work.target)))
        return self._report(works, extra)

    def _lap(self, part: str) -> None:
        self.watch.lap(f"{part}_s")
        self.calls[part] = self.cluster.calls - sum(value for key, value in self.calls.items() if key != part)

    # -- decide ---------------------------------------------------------------------------------------------------

    def _decide(self, decide: Decide, reading: Reading) -> list[Work]:
        def take(kind: str, item: Obj) -> Work:
            return work_of(kind, item, decide(item, kind), wants_diff=self.wants_diff)

        works, refused = self.list_all(reading, take)
        works += [Work(Target("Namespace", part.namespace, part.namespace), part.plan) for part in refused]
        return [*works, *([] if refused else self._not_found(works))]

    def _not_found(self, works: Iterable[Work]) -> list[Work]:
        found = {work.target.name for work in works}
        lost = [name for name in dict.fromkeys(self.params["names"]) if name not in found]
        # A removal is done already; in check mode the real run may have made them before.
        if not self.check_mode and self.params["state"] == "present":
            return [Work(Target("-", ",".join(self.params["namespaces"]), name), answer("not_found")) for name in lost]
        if lost:
            self.warn(
                f"No selected workload is named {', '.join(lost)}: correct names, kinds or namespaces"
                + (", or go on if it is gone." if self.params["state"] == "absent" else ", or a real run fails.")
            )
        return []

    # -- change ---------------------------------------------------------------------------------------------------

    def _change(self, works: list[Work]) -> list[Work]:
        """All workloads after the run; those without a change come first, the others in their order."""
        answered = [work for work in works if not work.writes]
        changing = [work for work in works if work.writes]
        if self.check_mode or not self.params["wait"]:
            changing = self._write(changing)
            self._lap("apply")
            return [*answered, *changing]
        rollouts = Rollouts(self.cluster, self.versions, self.warn)
        try:
            return self._roll(rollouts, answered, changing)
        finally:
            rollouts.close()

    def _roll(self, rollouts: Rollouts, answered: list[Work], changing: list[Work]) -> list[Work]:
        # What a run before this one has changed, perhaps a killed one, may still be rolling out.
        rolling: list[Work] = []
        done: list[Work] = []
        for work in answered:
            (rolling if work.rolling and work.plan.outcome == "unchanged" else done).append(work)
        for work in rolling:
            rollouts.remember(work.target, work.seen)
        for part in batches(changing, batch_size(self.params["batch"], len(changing))) if changing else [()]:
            if self.stopped:
                done += [_not_reached(work) for work in part]
                continue
            written = self._write(part)
            self._lap("apply")
            finished = self._wait(rollouts, [*written, *rolling])
            rolling = []
            if self.on_failure is OnFailure.ROLLBACK:
                finished = self._put_back(rollouts, written, finished)
            if self.on_failure is not OnFailure.CONTINUE:
                self.stopped = any(_rollout_failed(work) for work in finished)
            done += finished
        return done

    def _write(self, works: Sequence[Work]) -> list[Work]:
        written = self.cluster.each(self.writer.write, works)
        if self.check_mode:
            return written
        held = {work.target.namespace for work in written if _waits_for_old_pods(work)}
        stuck = {namespace: self._pods_not_ready(namespace) for namespace in sorted(held)}
        return [
            self._free(work, stuck[work.target.namespace]) if _waits_for_old_pods(work) else work for work in written
        ]

    def _pods_not_ready(self, namespace: str) -> list[tuple[str, PodView]] | ClusterError:
        """(uid, pod) of the pods in a namespace that are not ready, or why they may not be listed."""
        try:
            pods, _version = self.cluster.items(KINDS["Pod"].path(namespace))
        except ClusterError as exc:
            return exc
        views = [(dig(pod, "metadata", "uid"), view_of_pod(pod)) for pod in pods]
        return [(uid, view) for uid, view in views if view is not None and not view.ready]

    def _free(self, work: Work, pods: list[tuple[str, PodView]] | ClusterError) -> Work:
        """The StatefulSet without the pods of the template that it has left, for which its controller would wait."""
        if isinstance(pods, ClusterError):
            return _noted(work, _DELETE_STUCK.format(reason=pods))
        mine = [
            (pod.name, uid)
            for uid, pod in pods
            if (pod.kind, pod.workload) == (work.target.kind, work.target.name) and work.left().concerns(pod)
        ]
        return self._delete_stuck(work, mine)

    def _delete_stuck(self, work: Work, pods: list[tuple[str, str]]) -> Work:
        # A StatefulSet's controller waits for ever for a pod that does not start, also with another template
        # (kubernetes.io, StatefulSets, "Forced rollback").
        try:
            self.writer.delete_pods(work.target.namespace, pods)
        except ClusterError as exc:
            return _noted(work, _DELETE_STUCK.format(reason=exc))
        return work

    def _wait(self, rollouts: Rollouts, works: list[Work]) -> list[Work]:
        awaited = {work.target: work.awaited() for work in works if _to_await(work)}
        if not awaited:
            return works
        timeout = self.params["wait_timeout"]
        progress = rollouts.run(awaited, timeout, self.params["wait_stable"])
        self._lap("wait")
        return [_after_wait(work, progress.get(work.target), timeout) for work in works]

    # -- put back -------------------------------------------------------------------------------------------------

    def _put_back(self, rollouts: Rollouts, written: Sequence[Work], finished: list[Work]) -> list[Work]:
        """Of those written in this batch the failed ones as they were before.

        A removal is never taken back: the sidecar may be what keeps the pods from starting.
        """
        ours = {work.target for work in written if not work.removes}
        failed = [work for work in finished if work.target in ours and _rollout_failed(work)]
        if not failed:
            return finished
        stuck = {work.target: rollouts.stuck(work.target, work.awaited()) for work in failed}
        restored = self.cluster.each(lambda work: self._restore(work, stuck[work.target]), failed)
        awaited = {work.target: work.awaited() for work in restored if _restored(work) and _was_complete(work)}
        progress = rollouts.run(awaited, self.params["wait_timeout"]) if awaited else {}
        self._lap("rollback")
        after = {work.target: _after_rollback(work, progress.get(work.target)) for work in restored}
        return [after.get(work.target, work) for work in finished]

    def _restore(self, work: Work, stuck: list[tuple[str, str]]) -> Work:
        try:
            back = self.writer.put_back(work)
        except ClusterError as exc:
            return _noted(work, f"It could not be put back to what it was before: {exc}")
        back = back._replace(plan=answer("rolled_back", reason=work.reason)._replace(note=work.plan.note))
        return self._delete_stuck(back, stuck) if work.target.kind == "StatefulSet" else back

    # -- report ---------------------------------------------------------------------------------------------------

    def _report(self, works: list[Work], extra: dict[str, t.Any]) -> dict[str, t.Any]:
        works = sorted(works, key=lambda work: (work.target.namespace, work.target.kind, work.target.name))
        summary = dict.fromkeys(OUTCOMES, 0)
        for work in works:
            summary[work.plan.outcome] += 1
        result: dict[str, t.Any] = {
            "changed": self.writer.changed,
            "workloads": [_shown(work, sent=not self.check_mode) for work in works],
            "summary": summary,
            "stopped": self.stopped,
            "api_calls": {"total": self.cluster.calls, "patches": self.writer.patches, **self.calls},
            "timings": self.watch.result(),
            **extra,
        }
        if self.wants_diff:
            result["diff"] = self._diff()
        bad = [work for work in works if work.plan.outcome in ("failed", "conflict")]
        if bad:
            kind, namespace, name = bad[0].target
            result["failed"] = True
            result["msg"] = (
                f"{len(bad)} of {len(works)} workloads: {kind} "
                + (name if kind == "Namespace" else f"{namespace}/{name}")
                + f": {bad[0].plan.message}"
                + (" See workloads for the others." if len(bad) > 1 else "")
            )
        return result

    def _diff(self) -> list[dict[str, str]]:
        shown = []
        for target, (before, after) in sorted(self.writer.views.items()):
            header = f"{target.kind} {target.namespace}/{target.name}"
            if before != after:
                shown.append(
                    {
                        "before_header": header,
                        "after_header": header,
                        "before": _yaml(before),
                        "after": _yaml(after),
                    }
                )
        return shown


def _waits_for_old_pods(work: Work) -> bool:
    """Whether our part was taken out of a StatefulSet of which pods did not start before."""
    return work.target.kind == "StatefulSet" and work.sent and work.removes and not _was_complete(work)


def _to_await(work: Work) -> bool:
    if work.target.kind not in KINDS or not KINDS[work.target.kind].rolls:
        return False
    return work.plan.outcome in ("injected", "updated", "removed") or work.rolling


def _after_wait(work: Work, progress: Progress | None, timeout: int) -> Work:
    if progress is None:
        return work
    if progress.done:
        return work if progress == COMPLETE else _noted(work, f"There was no rollout to wait for: {progress.reason}.")
    if progress.done is None:
        plan = answer("rollout_timeout", seconds=timeout, reason=progress.reason)
    else:
        code = code_of_failure(progress.reason)
        plan = answer(code, reason=progress.reason)
    work = work._replace(plan=plan, reason=progress.reason if plan.code == "rollout_failed" else plan.message)
    if work.removes:
        work = _noted(work, "The sidecar is out of the pod template and stays out.")
    if work.writes and not _was_complete(work):
        return _noted(work, f"It was not complete before the change either: {work.seen.progress.reason}.")
    return work


def _was_complete(work: Work) -> bool:
    return work.seen.progress.done is True


def _rollout_failed(work: Work) -> bool:
    """Whether a rollout was begun, by this run or one before, and did not come to a good end."""
    return work.plan.outcome == "failed" and (work.sent or work.rolling)


def _restored(work: Work) -> bool:
    return work.plan.code == "rolled_back"


def _after_rollback(work: Work, progress: Progress | None) -> Work:
    if progress is None or progress.done:
        return work
    return _noted(work, f"The rollout of what it was before is not complete either: {progress.reason}.")


def _noted(work: Work, note: str) -> Work:
    return work._replace(plan=work.plan._replace(note=f"{work.plan.note} {note}".strip()))


def _not_reached(work: Work) -> Work:
    return work._replace(plan=answer("not_reached"))


def _shown(work: Work, *, sent: bool) -> dict[str, t.Any]:
    message = message_of(work.plan, sent=sent)
    row = {**work.target._asdict(), "outcome": work.plan.outcome, "code": work.plan.code, "message": message}
    return row if work.manifest is None else {**row, "manifest": work.manifest}


def _yaml(view: Obj) -> str:
    import yaml  # the module's start has made sure that it is there

    return yaml.safe_dump(redact(view), sort_keys=True, default_flow_style=False) if view else ""

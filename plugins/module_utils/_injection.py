# SPDX-License-Identifier: GPL-3.0-or-later
# SPDX-FileCopyrightText: 2026 The orchestrator.platform authors
#
# Private to this collection: names and behaviour may change in any release.
"""One run of the module sidecar: read, decide, then batch by batch apply, wait and, where it must be, put back."""

from __future__ import annotations

import typing as t
from collections.abc import Callable, Iterable, Sequence

from ansible_collections.orchestrator.platform.plugins.module_utils._applying import Work, Writer, work_of
from ansible_collections.orchestrator.platform.plugins.module_utils._batches import OnFailure, batch_size, batches
from ansible_collections.orchestrator.platform.plugins.module_utils._cluster import Cluster, Stopwatch
from ansible_collections.orchestrator.platform.plugins.module_utils._errors import ApiError, ClusterError, PlatformError
from ansible_collections.orchestrator.platform.plugins.module_utils._outcomes import OUTCOMES, Plan, answer, sentence
from ansible_collections.orchestrator.platform.plugins.module_utils._overrides import Overrides, parse_overrides
from ansible_collections.orchestrator.platform.plugins.module_utils._redact import redact
from ansible_collections.orchestrator.platform.plugins.module_utils._rollout import Progress, code_of_failure
from ansible_collections.orchestrator.platform.plugins.module_utils._sidecar import (
    Options,
    Surroundings,
    choose_native,
    plan_absent,
    plan_present,
    secret_references,
)
from ansible_collections.orchestrator.platform.plugins.module_utils._snippet import (
    Snippet,
    parse_snippet,
    snippet_of_config_map,
)
from ansible_collections.orchestrator.platform.plugins.module_utils._waiting import Rollouts, Target
from ansible_collections.orchestrator.platform.plugins.module_utils._workloads import KINDS, Foreign, Obj

# Workloads a list page. Each page is decided on and let go before the next one is read, which bounds the memory.
PAGE = 200

Decide = Callable[[Obj, str], Plan]


class Reading(t.NamedTuple):
    """What the cluster says of namespaces, snippet and versions before any workload is read."""

    namespaces: dict[str, Obj | None]  # those that exist; None where the namespace itself may not be read
    missing: list[str]
    snippet: Snippet | None
    native: bool


class Run:
    """One run of the module."""

    def __init__(self, module: Foreign, cluster: Cluster) -> None:
        self.params: dict[str, t.Any] = module.params
        self.check_mode = bool(module.check_mode)
        self.wants_diff = bool(module._diff)  # noqa: SLF001 (Ansible's own name for it)
        self.cluster = cluster
        self.writer = Writer(cluster, dry_run=self.check_mode, wants_diff=self.wants_diff)
        self.on_failure = OnFailure(self.params["on_failure"])
        self.overrides = Overrides()
        self.versions: dict[tuple[str, str], str] = {}  # resourceVersion of the lists, by kind and namespace
        self.watch = Stopwatch()
        self.calls: dict[str, int] = {}
        self.warn = module.warn

    def result(self) -> dict[str, t.Any]:
        """The module's result; `failed` with a sentence where a workload failed or is in conflict."""
        # Refused before anything is read.
        batch_size(self.params["batch"], 1)
        self.overrides = parse_overrides(self.params["overrides"])
        extra: dict[str, t.Any] = {}
        works: list[Work] = []
        reading = self._read()
        decide = plan_absent if self.params["state"] == "absent" else self._decision(reading, extra)
        if decide is not None:
            works = self._decide(decide, reading)
        self._lap("read")
        works = self._change(sorted(works, key=lambda work: (work.target.namespace, *work.target)))
        return self._report(works, extra)

    def _lap(self, part: str) -> None:
        self.watch.lap(f"{part}_s")
        self.calls[part] = self.cluster.calls - sum(value for key, value in self.calls.items() if key != part)

    # -- read -----------------------------------------------------------------------------------------------------

    def _read(self) -> Reading:
        present = self.params["state"] == "present"
        names = list(dict.fromkeys(self.params["namespaces"]))
        parts: list[Callable[[], t.Any]] = [lambda name=name: self._namespace(name) for name in names]  # type: ignore[misc]
        if present:
            parts += [self._snippet, self._native]
        found = self.cluster.each(lambda part: part(), parts)
        namespaces = dict(zip(names, found, strict=False))
        there = {name: obj for name, (exists, obj) in namespaces.items() if exists}
        snippet, native = found[len(names) :] if present else (None, False)
        return Reading(there, [name for name in names if name not in there], snippet, native)

    def _namespace(self, name: str) -> tuple[bool, Obj | None]:
        try:
            obj = self.cluster.find(f"/api/v1/namespaces/{name}")
        except ApiError as exc:
            if exc.status != 403:
                raise
            return True, None  # its annotations stay unknown; what it holds may still be readable
        return obj is not None, obj

    def _snippet(self) -> Snippet | None:
        if self.params["snippet"]:
            return parse_snippet(self.params["snippet"])
        config_map = self.cluster.find("/api/v1/namespaces/{namespace}/configmaps/{name}".format(**self._place()))
        return None if config_map is None else snippet_of_config_map(config_map)

    def _place(self) -> dict[str, str]:
        return self.params["snippet_from"] or {"namespace": "discord-monitor", "name": "discord-monitor-snippet"}

    def _native(self) -> bool:
        form = self.params["form"]
        if form == "container":
            return False
        server = self.cluster.get("/version")["gitVersion"]
        kubelets: list[str] | None = None
        try:
            nodes, _version = self.cluster.items("/api/v1/nodes")
            kubelets = [node["status"]["nodeInfo"]["kubeletVersion"] for node in nodes]
        except ApiError as exc:
            if exc.status != 403:
                raise
        try:
            return choose_native(form, server, kubelets)
        except ValueError as exc:
            raise PlatformError(sentence("native_unsupported", version=str(exc)), code="native_unsupported") from exc

    def _absent(self, message: str) -> None:
        # On an empty cluster check mode shows what it can: whatever is absent now, the real run will have made before.
        if not self.check_mode:
            raise PlatformError(message)
        self.warn(f"{message} Check mode goes on without it.")

    # -- decide ---------------------------------------------------------------------------------------------------

    def _decision(self, reading: Reading, extra: dict[str, t.Any]) -> Decide | None:
        """What to ask for each workload; None where check mode has no snippet to ask about."""
        for name in reading.missing:
            self._absent(f"Namespace {name} is not there: create it first (role secrets does), or correct namespaces.")
        snippet = reading.snippet
        if snippet is None:
            self._absent(
                "ConfigMap {namespace}/{name} is not there: install the chart discord-monitor first, "
                "or name the ConfigMap of your release by snippet_from.".format(**self._place())
            )
            extra.update(snippet_hash=None, form=None)
            return None
        if self.params["bridge"] and snippet.bridge is None:
            raise PlatformError(
                "The published snippet has no bridge: set inputBridge.enabled in the chart's values, or bridge: false."
            )
        options = Options(
            native=reading.native,
            bridge=self.params["bridge"],
            container=self.params["container"],
            overrides=self.overrides,
            recreate_jobs=self.params["recreate_jobs"],
        )
        around = self._surroundings(snippet, reading)
        extra.update(snippet_hash=snippet.hash, form="native" if options.native else "container")

        def decide(obj: Obj, kind: str) -> Plan:
            return plan_present(obj, kind, snippet, options, around[obj["metadata"]["namespace"]])

        return decide

    def _surroundings(self, snippet: Snippet, reading: Reading) -> dict[str, Surroundings]:
        names = list(reading.namespaces)
        ours = [snippet.watcher, *([snippet.bridge] if snippet.bridge and self.params["bridge"] else [])]
        secrets: list[frozenset[str] | None] = [None] * len(names)
        if any(secret_references(container) for container in ours):
            secrets = self.cluster.each(self._secrets, names)
        return {
            name: Surroundings(reading.namespaces[name], found, self.check_mode)
            for name, found in zip(names, secrets, strict=True)
        }

    def _secrets(self, namespace: str) -> frozenset[str] | None:
        """Names of the Secrets in a namespace, never what they hold; None where they may not be listed."""
        try:
            items, _version = self.cluster.items(
                f"/api/v1/namespaces/{namespace}/secrets",
                metadata_only=True,
                fieldSelector="type!=helm.sh/release.v1",  # there may be hundreds of Helm's own records
            )
        except ApiError as exc:
            if exc.status != 403:
                raise
            return None
        return frozenset(item["metadata"]["name"] for item in items)

    def _decide(self, decide: Decide, reading: Reading) -> list[Work]:
        kinds = dict.fromkeys(self.params["kinds"])
        lists = [(kind, namespace) for kind in kinds for namespace in reading.namespaces]
        works: list[Work] = []
        refused: list[Work] = []
        for part in self.cluster.each(lambda place: self._list(place, decide), lists):
            if isinstance(part, Work):
                refused.append(part)
            else:
                works += part
        return [*works, *refused, *([] if refused else self._not_found(works))]

    def _list(self, place: tuple[str, str], decide: Decide) -> list[Work] | Work:
        kind, namespace = place
        names, works = set(self.params["names"]), []
        try:
            for items, version in self.cluster.pages(KINDS[kind].path(namespace), **self._selectors()):
                self.versions[place] = version
                works += [
                    work_of(kind, item, decide(item, kind), wants_diff=self.wants_diff)
                    for item in items
                    if not names or item["metadata"]["name"] in names
                ]
        except ApiError as exc:
            if exc.status == 400:
                raise PlatformError(
                    f"The API server refuses to select {KINDS[kind].plural} in {namespace} by label_selectors and "
                    f"field_selectors: {exc}"
                ) from exc
            if exc.status != 403:
                raise
            plan = answer("forbidden", reason=str(exc))
            return Work(Target("Namespace", namespace, namespace), plan)
        return works

    def _selectors(self) -> dict[str, t.Any]:
        labels, fields = self.params["label_selectors"], self.params["field_selectors"]
        return {"limit": PAGE, "labelSelector": ",".join(labels), "fieldSelector": ",".join(fields)}

    def _not_found(self, works: Iterable[Work]) -> list[Work]:
        if self.check_mode or self.params["state"] == "absent":
            return []
        found = {work.target.name for work in works}
        plan = answer("not_found")
        where = ",".join(self.params["namespaces"])
        return [Work(Target("-", where, name), plan) for name in self.params["names"] if name not in found]

    # -- change ---------------------------------------------------------------------------------------------------

    def _change(self, works: list[Work]) -> list[Work]:
        """All workloads after the run; those without a change come first, the others in their order."""
        answered = [work for work in works if not work.writes]
        changing = [work for work in works if work.writes]
        if self.check_mode or not self.params["wait"]:
            changing = self.cluster.each(self.writer.write, changing)
            self._lap("apply")
            return [*answered, *changing]
        rollouts = Rollouts(self.cluster, self.versions)
        try:
            return self._roll(rollouts, answered, changing)
        finally:
            rollouts.close()

    def _roll(self, rollouts: Rollouts, answered: list[Work], changing: list[Work]) -> list[Work]:
        # What a run before this one has changed, perhaps a killed one, may still be rolling out.
        rolling = [work for work in answered if work.rolling and work.plan.outcome == "unchanged"]
        for work in rolling:
            rollouts.remember(work.target, work.seen)
        done = [work for work in answered if work not in rolling]
        failed = False
        for part in batches(changing, batch_size(self.params["batch"], len(changing))) if changing else [()]:
            if failed and self.on_failure is not OnFailure.CONTINUE:
                done += [_not_reached(work) for work in part]
                continue
            written = self.cluster.each(self.writer.write, part)
            self._lap("apply")
            finished = self._wait(rollouts, [*written, *rolling])
            rolling = []
            if self.on_failure is OnFailure.ROLLBACK:
                finished = self._put_back(rollouts, written, finished)
            failed = failed or any(_rollout_failed(work) for work in finished)
            done += finished
        return done

    def _wait(self, rollouts: Rollouts, works: list[Work]) -> list[Work]:
        awaited = {work.target: work.awaited() for work in works if _to_await(work)}
        if not awaited:
            return works
        timeout = self.params["wait_timeout"]
        progress = rollouts.run(awaited, timeout)
        self._lap("wait")
        return [_after_wait(work, progress.get(work.target), timeout) for work in works]

    # -- put back -------------------------------------------------------------------------------------------------

    def _put_back(self, rollouts: Rollouts, written: Sequence[Work], finished: list[Work]) -> list[Work]:
        """Of those written in this batch the failed ones as they were before."""
        ours = {work.target for work in written}
        failed = [work for work in finished if work.target in ours and _rollout_failed(work)]
        if not failed:
            return finished
        restored = self.cluster.each(self._restore, failed)
        awaited = {work.target: work.awaited() for work in restored if _restored(work) and _was_complete(work)}
        progress = rollouts.run(awaited, self.params["wait_timeout"]) if awaited else {}
        self._lap("rollback")
        after = {work.target: _after_rollback(work, progress.get(work.target)) for work in restored}
        return [after.get(work.target, work) for work in finished]

    def _restore(self, work: Work) -> Work:
        try:
            back = self.writer.put_back(work)
        except ClusterError as exc:
            return _noted(work, f"It could not be put back to what it was before: {exc}")
        return back._replace(plan=answer("rolled_back", reason=work.reason)._replace(note=work.plan.note))

    # -- report ---------------------------------------------------------------------------------------------------

    def _report(self, works: list[Work], extra: dict[str, t.Any]) -> dict[str, t.Any]:
        works = sorted(works, key=lambda work: (work.target.namespace, work.target.kind, work.target.name))
        summary = dict.fromkeys(OUTCOMES, 0)
        for work in works:
            summary[work.plan.outcome] += 1
        result: dict[str, t.Any] = {
            "changed": self.writer.changed,
            "workloads": [_shown(work) for work in works],
            "summary": summary,
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
                f"{len(bad)} of {len(works)} workloads: {kind} {namespace}/{name}: {bad[0].plan.message}"
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


def _to_await(work: Work) -> bool:
    if work.target.kind not in KINDS or not KINDS[work.target.kind].rolls:
        return False
    return work.plan.outcome in ("injected", "updated", "removed") or work.rolling


def _after_wait(work: Work, progress: Progress | None, timeout: int) -> Work:
    if progress is None or progress.done:
        return work
    if progress.done is None:
        plan = answer("rollout_timeout", seconds=timeout, reason=progress.reason)
    else:
        code = code_of_failure(progress.reason)
        plan = answer(code, reason=progress.reason)
    work = work._replace(plan=plan, reason=progress.reason if plan.code == "rollout_failed" else plan.message)
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


def _shown(work: Work) -> dict[str, t.Any]:
    message = f"{work.plan.message} {work.plan.note}".strip()
    row = {**work.target._asdict(), "outcome": work.plan.outcome, "code": work.plan.code, "message": message}
    return row if work.manifest is None else {**row, "manifest": work.manifest}


def _yaml(view: Obj) -> str:
    import yaml  # the module's start has made sure that it is there

    return yaml.safe_dump(redact(view), sort_keys=True, default_flow_style=False) if view else ""

# SPDX-License-Identifier: GPL-3.0-or-later
# SPDX-FileCopyrightText: 2026 The orchestrator.platform authors
"""Brings one run a step further, from whatever state it and the cluster are in (OR-350…OR-361).

Level-triggered: what is to be done is decided from what is there, never from what happened. Every object has a name
that follows from the run, and the status names the Job before it is made, so a process that is killed between any two
steps leaves nothing that the next one would not find and finish.
"""

from __future__ import annotations

import datetime as dt
import hashlib
from typing import TYPE_CHECKING, Any, NamedTuple

from orchestrator import naming
from orchestrator.channels import NotYet
from orchestrator.config import Config, ConfigError
from orchestrator.fields import WEBHOOK, refusal
from orchestrator.job import AGENT, Plan, SecretNeed, Watching, brings_webhook, build, needs
from orchestrator.kube import CLAIMS, CODE_RUNS, CONFIG_MAPS, DOCS_RUNS, EVENTS, JOBS, PODS, ApiError
from orchestrator.observe import MAX_SENTENCE, Phase, observe, terminated
from orchestrator.sidecar import lacking_volumes
from orchestrator.status import (
    CLEANED_UP,
    DISRUPTED,
    MONITORED,
    NEVER_STARTED,
    PHASES,
    Mark,
    advance,
    is_final,
    marks_of_phase,
    reason_of,
    sentence_of,
)
from orchestrator.templates import TemplateError, code_values, common, docs_values
from orchestrator.turns import has_ended

if TYPE_CHECKING:
    from collections.abc import Callable

    from discord_monitor.log import Log
    from orchestrator.channels import Channel, Channels
    from orchestrator.config import ConfigFile
    from orchestrator.kube import Api, Obj
    from orchestrator.lookup import Lookup
    from orchestrator.store import Store
    from orchestrator.templates import Templates
    from orchestrator.turns import Turns
    from orchestrator.work import Key

RESOURCES = {"coderuns": CODE_RUNS, "docsruns": DOCS_RUNS}
# OR-353: what the original controller put on every run. We set none, as owner references do all the work and a
# finalizer hangs the deletion of a namespace whose controller is deleted first; but a run that has one must be let go.
OLD_FINALIZERS = ("coderuns.orchestrator.io/finalizer", "docsruns.orchestrator.io/finalizer")
# Reasons of condition Pending from before the Job is made. With any other one a missing Job was taken away.
BEFORE_JOB = (
    "Accepted", "WaitingForService", "SecretMissing", "TemplateInvalid", "ConfigurationUnreadable", "ApiRefused",
    "FormerAttempt", "ChannelPending",
)  # fmt: skip
# What the status takes over from the agent's result; the CRD of a DocsRun has one of them only.
RESULT_FIELDS = {"coderuns": ("pullRequestUrl", "sessionId", "promptMode"), "docsruns": ("pullRequestUrl",)}
WAIT_S = 30.0  # until a run that waits for somebody else's doing is looked at again; arbitrary
SECRET_WAIT_S = 6.0  # the same for a Secret, which nobody tells us about; longer than the lookup remembers


class Stores(NamedTuple):
    """What is known of the cluster."""

    runs: dict[str, Store]  # by the plural of the kind
    jobs: Store
    pods: Store


class Blocked(Exception):  # noqa: N818 - not an error: the run waits, and says for what
    """The run cannot start now."""

    def __init__(self, reason: str, sentence: str, again_s: float) -> None:
        super().__init__(sentence)
        self.mark = (reason, sentence)
        self.again_s = again_s


class Context(NamedTuple):
    """All that a step needs besides the run."""

    api: Api
    namespace: str
    stores: Stores
    turns: Turns
    lookup: Lookup
    channels: Channels
    config: ConfigFile
    templates: Templates
    toolman_url: str
    log: Log
    now: Callable[[], dt.datetime]


def handle(context: Context, key: Key) -> float | None:
    """One step of one run, by one worker at a time; seconds until the next look, None for none.

    Raises ApiError and Unreachable: to be tried again later.
    """
    run = context.stores.runs[key.kind].get(key.name)
    if run is None:
        left = context.channels.farewell(*key)
        if left:
            context.log.warning("the webhook of a deleted run is left", kind=key.kind, name=key.name, reason=left)
        return None
    if run["metadata"].get("deletionTimestamp"):
        _let_go(context, run, key.kind)
        return None
    return _Attempt(context, run, key.kind).step()


def _let_go(context: Context, run: Obj, kind: str) -> None:
    """Whatever the run has is removed by its owner references; only a finalizer of old is in the way."""
    meta = run["metadata"]
    if kind == "coderuns":
        context.turns.leave(run)
    rest = [name for name in meta.get("finalizers") or [] if name not in OLD_FINALIZERS]
    if rest != (meta.get("finalizers") or []):
        patch = {"metadata": {"finalizers": rest, "resourceVersion": meta["resourceVersion"]}}
        context.api.merge(RESOURCES[kind], context.namespace, meta["name"], patch)
        context.log.info("a finalizer of the former controller is taken off", kind=kind, name=meta["name"])


class _Attempt:
    """The current attempt of one run: its version, its Job's name, and what has to be done."""

    def __init__(self, context: Context, run: Obj, kind: str) -> None:
        self._c = context
        self._api, self._stores = context.api, context.stores
        self._run = run
        self._kind = kind
        self._status: Obj = run.get("status") or {}
        wanted = run["spec"].get("contextVersion") or 1
        # A former controller may have finished a run without saying which attempt that was: the one that is asked for,
        # as long as we did not see another, and so `_clean_up` writes it down.
        reached = self._status.get("contextVersion") or (wanted if is_final(self._status) else 0)
        # A lower version is no attempt of its own: what was done is not done again.
        self._version: int = max(wanted, reached) if kind == "coderuns" else 1
        self._is_new = kind == "coderuns" and reached != self._version
        self._job_name = naming.job_name(run, kind, self._version)

    def step(self) -> float | None:
        if is_final(self._status) and not self._is_new and reason_of(self._status, "Failed") not in NEVER_STARTED:
            return self._clean_up()
        job = self._find_job()
        if job is not None:
            return self._follow(job)
        if self._was_made():
            self._fail(
                "JobLost", "The Job was removed before the agent had ended; raise spec.contextVersion to try again."
            )
            return 0.0
        try:
            # Not before: a field that is spoilt while the agent is at work does not end its work.
            refused = refusal(self._kind, self._run["spec"])
            if refused is not None:
                self._end_former_attempts()
                self._leave()
                self._fail("FieldRefused", f"spec.{refused.field} cannot be honoured: {refused.sentence}.")
                return None
            job = self._start()
        except Blocked as exc:
            if exc.mark[0] != "WaitingForService":
                self._leave()
            self._write(Phase.PENDING, *exc.mark)
            return exc.again_s
        except ApiError as exc:
            if exc.is_refusal:
                sentence = f"The API server refuses what the run needs: {exc}"[:MAX_SENTENCE]
                self._write(Phase.PENDING, "ApiRefused", sentence, event="Warning")
            raise
        return self._follow(job)

    # Before the Job

    def _start(self) -> Obj:
        """The attempt's Job, made or found. Raises Blocked, and ApiError."""
        if reason_of(self._status, "Pending") == "WaitingForService" and self._c.turns.has_to_wait(self._run):
            raise self._waits()
        config = self._load_config()
        files = self._render(config)
        self._end_former_attempts()
        lacking = self._c.lookup.lacking(needs(self._run["spec"], config))
        if lacking:
            raise Blocked("SecretMissing", lacking, SECRET_WAIT_S)
        watching = self._usable(self._c.lookup.watching(config), config)
        if self._kind == "coderuns" and not self._c.turns.take(self._run):
            raise self._waits()
        channel = self._channel(watching, config)

        def plan(files_name: str) -> Plan:
            return build(
                self._run, self._kind, self._version, config=config, files=files, files_name=files_name,
                watching=watching, channel=channel,
            )  # fmt: skip

        names = naming.files_names(self._run, self._kind, self._version)
        first = plan(names[0])
        fields = self._first_fields() | {"configmapName": names[0]}
        sentence = "The run is accepted; its Job is being made."
        if self._status.get("jobName") != self._job_name or reason_of(self._status, "Pending") != "ApiRefused":
            self._write(Phase.PENDING, "Accepted", sentence, fields, self._mark_of_watching(first, config, channel))
        return self._make(first, names, plan)

    def _waits(self) -> Blocked:
        service = self._run["spec"]["service"]
        sentence = f"Another run of service {service} is at work, and they share one workspace."
        return Blocked("WaitingForService", sentence, WAIT_S)

    def _make(self, first: Plan, names: tuple[str, str], plan: Callable[[str], Plan]) -> Obj:
        """ConfigMap, claim and Job, each made or found; the Job."""
        name = self._make_files(first, names)
        chosen = first if name == names[0] else plan(name)
        if chosen.claim is not None:
            self._api.create(CLAIMS, self._c.namespace, chosen.claim)
        job = self._make_job(chosen)
        self._stores.jobs.put(job)
        return job

    def _make_files(self, plan: Plan, names: tuple[str, str]) -> str:
        """The ConfigMap, made or found; its name."""
        for name in dict.fromkeys(names):
            body = plan.config_map | {"metadata": plan.config_map["metadata"] | {"name": name}}
            if self._api.create(CONFIG_MAPS, self._c.namespace, body) is not None:
                return name
            found = self._api.get(CONFIG_MAPS, self._c.namespace, name)
            if found is None:
                raise ApiError(409, "Conflict", f"ConfigMap {name} was there and is gone")
            if naming.belongs_to(found, self._run):
                data = body["data"] | dict.fromkeys(set(found.get("data") or {}) - set(body["data"]))
                if found.get("data") != body["data"]:
                    self._api.merge(CONFIG_MAPS, self._c.namespace, name, {"data": data})
                return name
        raise ApiError(422, "Invalid", f"ConfigMap {names[-1]} is there and belongs to somebody else")

    def _make_job(self, plan: Plan) -> Obj:
        job = self._api.create(JOBS, self._c.namespace, plan.job)
        if job is None:
            job = self._api.get(JOBS, self._c.namespace, self._job_name)
        if job is None:
            raise ApiError(409, "Conflict", f"Job {self._job_name} was there and is gone")
        if not naming.belongs_to(job, self._run):
            raise ApiError(422, "Invalid", f"Job {self._job_name} is there and belongs to somebody else")
        return job

    def _load_config(self) -> Config:
        try:
            return self._c.config.load()
        except ConfigError as exc:
            sentence = f"The controller's configuration cannot be used, and it starts nothing: {exc}."
            raise Blocked("ConfigurationUnreadable", sentence, WAIT_S) from None

    def _render(self, config: Config) -> dict[str, str]:
        spec = self._run["spec"]
        values = code_values(spec, self._version) if self._kind == "coderuns" else docs_values(spec)
        try:
            return self._c.templates.render(self._kind, values | common(config, self._c.toolman_url))
        except TemplateError as exc:
            raise Blocked("TemplateInvalid", f"The run's files cannot be made: {exc}."[:MAX_SENTENCE], WAIT_S) from None

    def _end_former_attempts(self) -> None:
        """A retry takes the place of an attempt that still runs; two agents in one workspace would undo each other."""
        for job in self._owned_jobs():
            if job["metadata"]["name"] != self._job_name and not has_ended(job):
                meta = job["metadata"]
                if not meta.get("deletionTimestamp"):
                    self._api.delete(JOBS, self._c.namespace, meta["name"], meta["uid"], foreground=True)
                raise Blocked("FormerAttempt", "The former attempt is being ended.", SECRET_WAIT_S)

    def _first_fields(self) -> dict[str, Any]:
        fields: dict[str, Any] = {"jobName": self._job_name, "workCompleted": False}
        if self._kind == "coderuns":
            fields |= {
                "contextVersion": self._version,
                "retryCount": self._version - 1,
                "promptModification": self._run["spec"].get("promptModification") or None,
                "promptMode": "direct",  # the start scripts hand the prompt over themselves
            }
        return fields

    def _usable(self, watching: Watching, config: Config) -> Watching:
        if watching.snippet is None:
            return watching
        lacking = lacking_volumes(watching.snippet, bridge=config.bridge, present={"workspace", "task-files"})
        if lacking:
            names = ", ".join(sorted(lacking))
            sentence = f"The agent is not watched: the snippet mounts volumes that the pod does not have: {names}."
            return Watching(None, "VolumeMissing", sentence)
        return watching

    def _channel(self, watching: Watching, config: Config) -> Channel | None:
        """The run's own channel, None where it gets none. Raises Blocked."""
        if watching.snippet is None or not config.channels_url or brings_webhook(self._run["spec"]):
            return None
        try:
            return self._c.channels.provide(self._run, self._kind, config)
        except NotYet as exc:
            raise Blocked("ChannelPending", str(exc)[:MAX_SENTENCE], SECRET_WAIT_S) from None

    def _mark_of_watching(self, plan: Plan, config: Config, channel: Channel | None) -> Mark:
        if not plan.is_watched:
            return Mark(MONITORED, holds=False, reason=plan.watched, sentence=plan.watched_sentence)
        if channel is not None and channel.reason:
            return Mark(MONITORED, holds=False, reason=channel.reason, sentence=channel.sentence[:MAX_SENTENCE])
        reference = _webhook_reference(plan.job) if channel is None else None
        if reference is not None:
            lacking = self._c.lookup.lacking([reference])
            if lacking:
                return Mark(
                    MONITORED,
                    holds=False,
                    reason="WebhookMissing",
                    sentence=f"The watcher has no webhook to post to: {lacking}",
                )
        sentence = plan.watched_sentence
        if config.bridge and not any(
            c["name"] == "input-bridge" for c in plan.job["spec"]["template"]["spec"]["initContainers"]
        ):
            sentence = "The agent's pod carries the published sidecar, but no bridge: the snippet has none."
        if channel is not None:
            sentence += f" Its channel is {channel.channel_id}."
        return Mark(MONITORED, holds=True, reason="SidecarAttached", sentence=sentence)

    # With the Job

    def _find_job(self) -> Obj | None:
        job = self._stores.jobs.get(self._job_name)
        if job is None and self._was_made():
            # The store may be behind: a Job is lost only when the API server says so.
            job = self._api.get(JOBS, self._c.namespace, self._job_name)
            if job is not None:
                self._stores.jobs.put(job)
        return job if job is not None and naming.belongs_to(job, self._run) else None

    def _was_made(self) -> bool:
        """Whether the status says that this attempt's Job was there."""
        if self._status.get("jobName") != self._job_name or is_final(self._status):
            return False
        return bool(reason_of(self._status, "Running")) or reason_of(self._status, "Pending") not in ("", *BEFORE_JOB)

    def _follow(self, job: Obj) -> float | None:
        if not self._was_made():
            # Made a moment ago, or by a process that was killed before it could say so.
            fields = self._first_fields() | {"configmapName": _files_of(job)}
            self._write(
                Phase.PENDING, "JobCreated", "The Job is made, and its pod is on its way.", fields, event="Normal"
            )
        pods = self._pods_of(job)
        was = Phase(self._status["phase"]) if self._status.get("phase") in PHASES else Phase.PENDING
        seen = observe(
            job,
            pods,
            AGENT[self._kind],
            was=was,
            said=str(self._status.get("message") or "") if was is Phase.PENDING else "",
            age_s=self._seconds_since(job["metadata"].get("creationTimestamp")),
            disrupted=sentence_of(self._status, DISRUPTED),
            because=reason_of(self._status, "Pending"),
        )
        more = [Mark(DISRUPTED, holds=True, reason="Evicted", sentence=seen.disruption)] if seen.disruption else []
        told: dict[str, Any] = {k: v for k, v in seen.result.items() if k in RESULT_FIELDS[self._kind]}
        if seen.phase is Phase.SUCCEEDED:
            told["workCompleted"] = True
        event = {Phase.SUCCEEDED: "Normal", Phase.FAILED: "Warning"}.get(seen.phase, "")
        if seen.reason in ("Unschedulable", "ImageMissing", "ContainerRefused", "PodRefused"):
            event = "Warning"
        self._write(seen.phase, seen.reason, seen.sentence, told, *more, event=event)
        if seen.phase in (Phase.SUCCEEDED, Phase.FAILED):
            self._leave()
            return 0.0
        return seen.again_s or None

    def _pods_of(self, job: Obj) -> list[Obj]:
        name = job["metadata"]["name"]
        known = [p for p in self._stores.pods.all() if (p["metadata"].get("labels") or {}).get("job-name") == name]
        if not has_ended(job) or any(terminated(pod, AGENT[self._kind]) for pod in known):
            return known
        # The watch of the pods may be behind that of the Jobs, and what the agent says at its end is read only once.
        return self._api.list(PODS, self._c.namespace, f"job-name={name}")[0] or known

    # After the Job

    def _clean_up(self) -> float | None:
        """Remove Jobs and ConfigMaps of the run when their time has come (OR-036…OR-039, OR-A27)."""
        self._leave()
        if self._kind == "coderuns" and not self._status.get("contextVersion"):
            self._patch({"contextVersion": self._version})
        if reason_of(self._status, CLEANED_UP):
            return None
        try:
            config = self._c.config.load()
        except ConfigError:
            return WAIT_S
        if not config.cleanup:
            return None
        done = self._status.get("phase") != Phase.FAILED.value
        delay_s = (config.completed_delay_min if done else config.failed_delay_min) * 60
        left_s = delay_s - self._seconds_since(self._status.get("lastUpdate"))
        if left_s > 0:
            return left_s
        try:
            left = self._remove(config)
        except NotYet:
            return SECRET_WAIT_S
        except ApiError as exc:
            if exc.is_refusal:
                sentence = f"The API server refuses to remove what the run had: {exc}"[:MAX_SENTENCE]
                mark = Mark(CLEANED_UP, holds=False, reason="ApiRefused", sentence=sentence)
                self._patch(advance(self._status, self._stamp(), phase=None, marks=[mark], fields={}))
            raise
        what = "Job and ConfigMap are" if config.delete_files else "The Job is"
        mark = Mark(
            CLEANED_UP, holds=True, reason="DelayPassed", sentence=f"{what} removed; a workspace claim stays.{left}"
        )
        self._patch(advance(self._status, self._stamp(), phase=None, marks=[mark], fields={}))
        return None

    def _remove(self, config: Config) -> str:
        """Raises NotYet, and ApiError; a sentence about what is left, mostly empty."""
        jobs = self._owned_jobs()
        if config.delete_files:
            self._remove_files({str(self._status.get("configmapName") or ""), *(_files_of(job) for job in jobs)})
        for job in jobs:
            self._api.delete(JOBS, self._c.namespace, job["metadata"]["name"], job["metadata"]["uid"])
        return self._c.channels.close(self._run, self._kind, config)

    def _remove_files(self, names: set[str]) -> None:
        """ConfigMaps of the run by name; those of former attempts, whose Jobs may be gone, by their labels."""
        found = [self._api.get(CONFIG_MAPS, self._c.namespace, name) for name in sorted(names - {""})]
        if self._version > 1:
            selector = f"app={naming.APP},task-id={self._run['spec']['taskId']}"
            found += self._api.list(CONFIG_MAPS, self._c.namespace, selector)[0]
        uids = {o["metadata"]["uid"]: o["metadata"]["name"] for o in found if o and naming.belongs_to(o, self._run)}
        for uid, name in uids.items():
            self._api.delete(CONFIG_MAPS, self._c.namespace, name, uid)

    def _owned_jobs(self) -> list[Obj]:
        return [job for job in self._stores.jobs.all() if naming.belongs_to(job, self._run)]

    def _leave(self) -> None:
        if self._kind == "coderuns":
            self._c.turns.leave(self._run)

    # The status

    def _fail(self, reason: str, sentence: str) -> None:
        fields = {"contextVersion": self._version} if self._kind == "coderuns" else {}
        self._write(Phase.FAILED, reason, sentence, fields, event="Warning")

    def _write(
        self,
        phase: Phase,
        reason: str,
        sentence: str,
        fields: dict[str, Any] | None = None,
        *more: Mark,
        event: str = "",
    ) -> None:
        known = self._status.get("conditions") or []
        marks = [*marks_of_phase(phase, reason, sentence, known), *more]
        if reason == "Accepted":
            old = [kind for kind in (CLEANED_UP, DISRUPTED) if reason_of(self._status, kind)]
            sentence = "Another attempt is on its way."
            marks += [Mark(kind, holds=False, reason="NewAttempt", sentence=sentence) for kind in old]
        patch = advance(self._status, self._stamp(), phase=phase, marks=marks, fields=fields or {})
        if patch is None:
            return
        if event and reason_of(self._status, phase.value) != reason:
            # Before the status: a process killed in between tells it again, under the same name, and never forgets it.
            self._tell(event, reason, sentence)
        self._patch(patch)
        self._c.log.info(
            "status", kind=self._kind, name=self._run["metadata"]["name"], phase=phase.value, reason=reason
        )

    def _patch(self, patch: dict[str, Any] | None) -> None:
        if patch is None:
            return
        meta = self._run["metadata"]
        resource, store = RESOURCES[self._kind], self._stores.runs[self._kind]
        # With the version: a run that was changed meanwhile, or made anew under the same name, is looked at first.
        body = {"metadata": {"resourceVersion": meta["resourceVersion"]}, "status": patch}
        try:
            written = self._api.merge(resource, self._c.namespace, meta["name"], body, "status")
        except ApiError as exc:
            if exc.status == 409 and (fresh := self._api.get(resource, self._c.namespace, meta["name"])) is not None:
                store.put(fresh)
            raise
        if written is not None:
            store.put(written)
            self._run, self._status = written, written.get("status") or {}

    def _tell(self, severity: str, reason: str, sentence: str) -> None:
        """A Kubernetes Event; its name follows from what it says, so that it is told once."""
        meta, stamp = self._run["metadata"], self._stamp()
        key = hashlib.sha256(f"{meta['uid']}/{self._version}/{reason}".encode()).hexdigest()[:16]
        event = {
            "apiVersion": "v1",
            "kind": "Event",
            "metadata": {"name": f"{meta['name'][:230]}.{key}", "namespace": self._c.namespace},
            "involvedObject": {
                "apiVersion": self._run["apiVersion"], "kind": self._run["kind"], "name": meta["name"],
                "namespace": meta["namespace"], "uid": meta["uid"], "resourceVersion": meta["resourceVersion"],
            },
            "type": severity, "reason": reason, "message": sentence, "count": 1,
            "firstTimestamp": stamp, "lastTimestamp": stamp,
            "source": {"component": "orchestrator"}, "reportingComponent": "orchestrator", "reportingInstance": "",
        }  # fmt: skip
        try:
            self._api.create(EVENTS, self._c.namespace, event)
        except ApiError as exc:
            # A role without the right to write Events (rbac.profile=compatible) is no reason to stop.
            self._c.log.debug("an Event could not be written", reason=str(exc))

    def _stamp(self) -> str:
        return self._c.now().strftime("%Y-%m-%dT%H:%M:%SZ")

    def _seconds_since(self, stamp: object) -> float:
        try:
            then = dt.datetime.fromisoformat(str(stamp))
        except ValueError:
            return float("inf")
        return (self._c.now() - (then if then.tzinfo else then.replace(tzinfo=dt.UTC))).total_seconds()


def _files_of(job: Obj) -> str:
    """Name of the ConfigMap that a Job of ours mounts."""
    for volume in job["spec"]["template"]["spec"].get("volumes") or []:
        if volume["name"] == "task-files":
            return str(volume["configMap"]["name"])
    return ""


def _webhook_reference(job: Obj) -> SecretNeed | None:
    """Where the watcher's webhook comes from."""
    for container in job["spec"]["template"]["spec"].get("initContainers") or []:
        for entry in container.get("env") or []:
            reference = (entry.get("valueFrom") or {}).get("secretKeyRef")
            if entry["name"] == WEBHOOK and reference:
                return SecretNeed(reference["name"], reference["key"], "it holds the webhook's URL")
    return None

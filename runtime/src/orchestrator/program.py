# SPDX-License-Identifier: GPL-3.0-or-later
# SPDX-FileCopyrightText: 2026 The orchestrator.platform authors
"""Puts the parts together: informers and workers in threads, the REST API beside them, an end on SIGTERM."""

from __future__ import annotations

import datetime as dt
import sys
import threading
import time
from typing import TYPE_CHECKING

from discord_monitor.http_server import HttpServer
from discord_monitor.log import Log
from discord_monitor.metrics import Metric
from discord_monitor.redaction import Redactor, env_literals
from orchestrator import naming
from orchestrator.channels import Channels
from orchestrator.config import ConfigFile
from orchestrator.health import Health, Pulse
from orchestrator.kube import CODE_RUNS, DOCS_RUNS, JOBS, PODS, Api, ApiError, Unreachable, find_access
from orchestrator.lookup import Lookup
from orchestrator.reconcile import RESOURCES, Context, Stores, handle
from orchestrator.rest import MAX_BODY_BYTES, Rest
from orchestrator.settings import Settings, SettingsError, read_settings, read_token
from orchestrator.status import is_final
from orchestrator.store import Informer
from orchestrator.templates import Templates
from orchestrator.turns import Turns, claim_of
from orchestrator.work import Key, WorkQueue

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from discord_monitor.lifecycle import Stop
    from orchestrator.kube import Obj, Resource

TAKE_PATIENCE_S = 5.0  # a worker without work says so often that it lives
END_PATIENCE_S = 20.0  # for the step a worker is in; the pod's grace period is 30 s
SYNC_POLL_S = 0.1
# Callers of the REST API may wait for a slow API server, one after the other; the probes are answered beside them.
MAX_CONNECTIONS = 64


def utc_now() -> dt.datetime:
    """The present time."""
    return dt.datetime.now(dt.UTC)


class Program:
    """The running controller."""

    def __init__(self, settings: Settings, api: Api, log: Log, stop: Stop) -> None:
        self._settings = settings
        self._api = api
        self._log = log
        self._stop = stop
        self._pulse = Pulse()
        api.on_request = self._pulse.beat
        self._queue = WorkQueue()
        self._counts = {"done": 0, "failed": 0}
        self._counting = threading.Lock()
        self._informers = {
            "coderuns": self._informer(CODE_RUNS, "", self._on_run("coderuns")),
            "docsruns": self._informer(DOCS_RUNS, "", self._on_run("docsruns")),
            "jobs": self._informer(JOBS, naming.SELECTOR, self._on_owned),
            "pods": self._informer(PODS, naming.SELECTOR, self._on_owned),
        }
        runs = {kind: self._informers[kind].store for kind in RESOURCES}
        self._stores = Stores(runs, self._informers["jobs"].store, self._informers["pods"].store)
        self._turns = Turns(runs["coderuns"], self._stores.jobs, self._stores.pods)
        self._turns.on_free = self._wake
        config = ConfigFile(settings.config_path)
        self._channels = Channels(api, settings.namespace, settings.bot_credential_file)
        self._context = Context(
            api=api, namespace=settings.namespace, stores=self._stores, turns=self._turns,
            lookup=Lookup(api, settings.namespace), channels=self._channels, config=config,
            templates=Templates(settings.templates_path), toolman_url=settings.toolman_url, log=log, now=utc_now,
        )  # fmt: skip
        self._rest = Rest(
            api=api, namespace=settings.namespace, stores=runs, models=settings.models, token_file=settings.token_file,
            health=Health(self._pulse, list(self._informers.values()), config), gather=self._gather,
            taken=lambda made: self._queue.add(Key(f"{made['kind'].lower()}s", made["metadata"]["name"])),
            now=utc_now, lock=threading.Lock(),
        )  # fmt: skip

    def serve(self) -> int:
        """Listen, work, and end when it is asked for; the exit status."""
        address, port = self._settings.host, self._settings.port
        try:
            server = HttpServer(
                address,
                port,
                self._rest.answer,
                max_body=MAX_BODY_BYTES,
                max_connections=MAX_CONNECTIONS,
                on_crash=lambda exc: self._log.crash("a request failed", exc),
            )
        except OSError as exc:
            self._log.error("the port cannot be had", address=address, port=port, reason=exc.strerror)
            return 1
        server.start()
        self._say_what_is_missing()
        threads = [self._loop(f"watch-{name}", informer.run) for name, informer in self._informers.items()]
        self._log.info("started", namespace=self._settings.namespace, port=server.port)
        while not self._stop.requested and not all(i.synced.is_set() for i in self._informers.values()):
            self._stop.wait(SYNC_POLL_S)
        # Not before everything is known: a run whose Job is not listed yet would look as if it had none.
        workers = [self._loop(f"worker-{n + 1}", self._work) for n in range(self._settings.workers)]
        while not self._stop.wait(60.0):
            pass
        self._log.info("ending")
        server.close()
        self._queue.close()
        end = time.monotonic() + END_PATIENCE_S
        for thread in workers:
            thread.join(max(0.0, end - time.monotonic()))
        del threads  # daemons in the middle of a watch: nothing is lost with them
        return 0

    def _say_what_is_missing(self) -> None:
        if not read_token(self._settings.token_file):
            self._log.warning(
                "the REST API answers 503 to every request for a run: it has no token", value="api.tokenSecret"
            )

    def _loop(self, name: str, body: Callable[[Stop], None]) -> threading.Thread:
        """A thread that is expected to turn; what ends it unexpectedly is logged, and its pulse stops."""

        def guarded() -> None:
            try:
                body(self._stop)
            except BaseException as exc:  # noqa: BLE001 - the border of the thread: /health tells of it
                self._log.crash(f"{name} has ended", exc)

        self._pulse.beat(name)
        thread = threading.Thread(target=guarded, name=name, daemon=True)
        thread.start()
        return thread

    def _informer(self, resource: Resource, selector: str, on_change: Callable[[Obj], None]) -> Informer:
        return Informer(
            self._api,
            resource,
            self._settings.namespace,
            selector=selector,
            on_change=on_change,
            beat=self._pulse.beat,
            log=self._log,
        )

    def _work(self, stop: Stop) -> None:
        while not stop.requested:
            self._pulse.beat()
            key = self._queue.take(patience_s=TAKE_PATIENCE_S)
            if key is not None:
                self._one(key)

    def _one(self, key: Key) -> None:
        """Handle one key; whatever goes wrong with it concerns no other."""
        failed = True
        try:
            again_s = handle(self._context, key)
            failed = False
        except (ApiError, Unreachable) as exc:
            self._log.warning("a step failed and is tried again", kind=key.kind, name=key.name, reason=str(exc))
        except Exception as exc:  # noqa: BLE001 - the border of one run
            self._log.crash(f"a step of {key.kind}/{key.name} failed and is tried again", exc)
        with self._counting:
            self._counts["failed" if failed else "done"] += 1
        run = self._stores.runs[key.kind].get(key.name) if failed and key.kind == "coderuns" else None
        if run is not None:
            self._turns.stumble(run)
        self._queue.done(key, failed=failed)
        if not failed and again_s is not None:
            self._queue.add(key, after_s=again_s)

    # What changes wakes whom

    def _on_run(self, kind: str) -> Callable[[Obj], None]:
        def on_change(run: Obj) -> None:
            name = run["metadata"]["name"]
            known = self._stores.runs[kind].get(name)
            if kind == "coderuns" and known is not None:
                self._turns.expect(known)
            self._queue.add(Key(kind, name))
            if kind == "coderuns" and (known is None or is_final(known.get("status") or {})):
                self._wake(naming.claim_name(run["spec"]["service"]))

        return on_change

    def _on_owned(self, obj: Obj) -> None:
        kind, _slash, name = (obj["metadata"].get("annotations") or {}).get(naming.RUN_ANNOTATION, "").partition("/")
        if kind in RESOURCES:
            self._queue.add(Key(kind, name))
        pod = obj["spec"].get("template", obj)
        claim = claim_of(pod)
        if claim:
            self._wake(claim)

    def _wake(self, claim: str) -> None:
        """Let those who wait for a claim look again; who may not start yet changes nothing."""
        for name in self._turns.next_of(claim)[:1]:
            self._queue.add(Key("coderuns", name))

    def _gather(self) -> list[Metric]:
        phases: dict[tuple[str, str], int] = {}
        for kind, store in self._stores.runs.items():
            for known in store.all():
                key = (kind, (known.get("status") or {}).get("phase") or "New")
                phases[key] = phases.get(key, 0) + 1
        found = [Metric("queue_length", "gauge", "Runs that wait for a step", len(self._queue))]
        for (kind, phase), count in sorted(phases.items()):
            found.append(Metric("runs", "gauge", "Runs", count, f'kind="{kind}",phase="{phase}"'))
        for outcome, count in self._counts.items():
            found.append(Metric("steps_total", "counter", "Steps of runs", count, f'outcome="{outcome}"'))
        for (verb, status), count in sorted(self._api.requests.items()):
            labels = f'verb="{verb}",status="{status}"'
            found.append(Metric("api_requests_total", "counter", "Requests to the API server", count, labels))
        for outcome, count in self._channels.counts.items():
            found.append(Metric("channels_total", "counter", "Requests to the bot", count, f'outcome="{outcome}"'))
        for name, informer in self._informers.items():
            found.append(Metric("lists_total", "counter", "Whole lists read", informer.relists, f'resource="{name}"'))
        return found


def run(env: Mapping[str, str], stop: Stop) -> int:
    """Serve until SIGTERM; the exit status."""
    try:
        settings = read_settings(env)
        access = find_access(env)
    except (SettingsError, OSError, ValueError) as exc:
        sys.stderr.write(f"orchestrator: {exc}\n")
        return 2
    log = Log("orchestrator", threshold=settings.threshold, redact=Redactor(env_literals(env)))
    log.catch_strays()
    return Program(settings, Api(access), log, stop).serve()

# SPDX-License-Identifier: GPL-3.0-or-later
# SPDX-FileCopyrightText: 2026 The orchestrator.platform authors
"""The REST API: takes tasks, tells of runs, and answers the probes (OR-350, OR-351).

Who may ask for a run is told by a bearer token from a Secret; without that Secret nobody may.
"""

from __future__ import annotations

import datetime as dt
import hmac
import threading
from typing import TYPE_CHECKING, NamedTuple

from discord_monitor.http_server import Reply, Request, as_json, bearer
from discord_monitor.metrics import CONTENT_TYPE, Metric, exposition
from orchestrator.kube import ApiError, Unreachable
from orchestrator.reconcile import RESOURCES
from orchestrator.requests import BadField, new_run, read_spec, same_spec, view
from orchestrator.settings import read_token
from orchestrator.status import is_final

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from orchestrator.health import Health
    from orchestrator.kube import Api, Obj
    from orchestrator.store import Store

MAX_BODY_BYTES = 512 * 1024
MAX_NAMES = 50  # names tried for one request: a second each
LISTED = 500  # runs of one answer, the newest
ROUTES = {"/api/v1/pm/tasks": "coderuns", "/api/v1/pm/docs/generate": "docsruns"}
READ_ROUTES = {"/api/v1/pm/tasks": "coderuns", "/api/v1/pm/docs": "docsruns"}
PREFIX = "orchestrator_"


class Rest(NamedTuple):
    """All the routes need."""

    api: Api
    namespace: str
    stores: dict[str, Store]  # runs by the plural of their kind
    models: dict[str, str]  # default model by the plural of its kind
    token_file: Path | None
    health: Health
    gather: Callable[[], list[Metric]]
    taken: Callable[[Obj], None]  # told of each run that was made
    now: Callable[[], dt.datetime]
    lock: threading.Lock  # two equal requests at once become one run

    def answer(self, request: Request) -> Reply:
        """The answer to any request."""
        if request.path in ("/health", "/ready", "/metrics"):
            return self._told(request)
        if not request.path.startswith("/api/"):
            return refused(404, "there is /health, /ready, /metrics and /api/v1/pm/…")
        return self._denied(request) or self._asked(request)

    def _asked(self, request: Request) -> Reply:
        if request.method == "POST" and request.path in ROUTES:
            return self._submit(ROUTES[request.path], request)
        if request.method == "GET":
            return self._read(request)
        if request.path in ROUTES or request.path in READ_ROUTES:
            return refused(405, "tasks and documentation runs are asked for with POST and read with GET")
        return refused(404, "there is /api/v1/pm/tasks and /api/v1/pm/docs/generate")

    def _told(self, request: Request) -> Reply:
        if request.method != "GET":
            return refused(405, "only GET is answered here")
        stamp = self.now().strftime("%Y-%m-%dT%H:%M:%SZ")
        if request.path == "/metrics":
            return Reply(200, exposition(self.gather(), prefix=PREFIX), CONTENT_TYPE)
        return as_json(*(self.health.alive(stamp) if request.path == "/health" else self.health.ready(stamp)))

    def _denied(self, request: Request) -> Reply | None:
        """None for whoever knows the token. The file is read each time: a renewed Secret counts at once."""
        token = read_token(self.token_file)
        if not token:
            return refused(
                503, "the API is off: no token is configured; name its Secret in api.tokenSecret and give it the key"
            )
        if hmac.compare_digest(bearer(request).encode(), token):
            return None
        return refused(401, "give the API's token: Authorization: Bearer <token>")

    def _submit(self, kind: str, request: Request) -> Reply:
        try:
            spec = read_spec(kind, request.body, self.models[kind])
        except BadField as exc:
            return refused(400, f"{exc.field}: {exc}" if exc.field else str(exc), field=exc.field)
        try:
            with self.lock:
                for known in self.stores[kind].all():
                    if (
                        not is_final(known.get("status") or {})
                        and "deletionTimestamp" not in known["metadata"]
                        and same_spec(kind, known, spec)
                    ):
                        return done(200, "the same is asked for already, and has not ended", view(kind, known))
                made = self._create(kind, spec)
        except ApiError as exc:
            return refused(400 if exc.status == 422 else 502, f"the API server refuses the run: {exc}")
        except Unreachable as exc:
            return refused(503, f"{exc}; send the request again, a run that was made is found")
        if made is None:
            return refused(503, "too many requests of one task within a minute; try again")
        return done(201, "the run is made", view(kind, made))

    def _create(self, kind: str, spec: Obj) -> Obj | None:
        at = int(self.now().timestamp())
        for second in range(MAX_NAMES):
            run = new_run(kind, spec, namespace=self.namespace, at=at + second)
            if self.stores[kind].get(run["metadata"]["name"]) is not None:
                continue
            made = self.api.create(RESOURCES[kind], self.namespace, run)
            if made is not None:
                self.stores[kind].put(made)
                self.taken(made)
                return made
        return None

    def _read(self, request: Request) -> Reply:
        for route, kind in READ_ROUTES.items():
            if request.path.rstrip("/") == route:
                runs = sorted(
                    self.stores[kind].all(), key=lambda run: str(run["metadata"]["creationTimestamp"]), reverse=True
                )
                return done(200, f"{len(runs)} runs", {"runs": [view(kind, run) for run in runs[:LISTED]]})
            if request.path.startswith(f"{route}/"):
                name = request.path.removeprefix(f"{route}/")
                run = self.stores[kind].get(name)
                return refused(404, "there is no such run") if run is None else done(200, "found", view(kind, run))
        return refused(404, "there is /api/v1/pm/tasks[/<name>] and /api/v1/pm/docs[/<name>]")


def refused(status: int, sentence: str, **more: object) -> Reply:
    """OR-351: an answer that explains itself."""
    return as_json(status, {"success": False, "message": sentence, **more})


def done(status: int, sentence: str, data: Obj) -> Reply:
    """OR-351."""
    return as_json(status, {"success": True, "message": sentence, "data": data})

# SPDX-License-Identifier: GPL-3.0-or-later
# SPDX-FileCopyrightText: 2026 The orchestrator.platform authors
#
# Private to this collection: names and behaviour may change in any release.
"""A run of the module `secret`: read, compare, try all of it as a dry run, then write.

Nothing is written while anything is known to be wrong with any Secret of the task.
"""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Callable, Mapping

from ansible_collections.orchestrator.platform.plugins.module_utils._applying import GONE_S, PACE_S, already_there
from ansible_collections.orchestrator.platform.plugins.module_utils._cluster import Cluster
from ansible_collections.orchestrator.platform.plugins.module_utils._errors import (
    ApiError,
    ClusterError,
    PlatformError,
)
from ansible_collections.orchestrator.platform.plugins.module_utils._redact import Redactor
from ansible_collections.orchestrator.platform.plugins.module_utils._secret_plan import (
    OUTCOMES,
    Plan,
    diff_of,
    names_missing_namespace,
    plan_absent,
    plan_present,
    refused,
    row_of,
)
from ansible_collections.orchestrator.platform.plugins.module_utils._secret_sources import Fetched, fetch
from ansible_collections.orchestrator.platform.plugins.module_utils._secret_wanted import Asked, Wanted, read_wanted
from ansible_collections.orchestrator.platform.plugins.module_utils._sidecar import FIELD_MANAGER
from ansible_collections.orchestrator.platform.plugins.module_utils._workloads import Foreign, Obj

BAD = ("conflict", "failed")
# Helm keeps its records as Secrets of up to a megabyte each, of which nothing is wanted here.
_NO_RECORDS = "type!=helm.sh/release.v1"

Place = tuple[str, str]


class SecretRun:
    """One task: many Secrets in the wanted state, or none of them touched."""

    def __init__(self, module: Foreign, connect: Callable[[], Cluster]) -> None:
        self._module = module
        self._connect = connect
        self._cluster: Cluster
        self._params = module.params
        self._dry = bool(module.check_mode)
        self._present = self._params["state"] == "present"
        self._fetched: dict[Place, Fetched] = {}
        self._redactor = Redactor()
        self._lock = threading.Lock()
        self._writes = 0

    def result(self) -> Obj:
        """The module's result; raises PlatformError where something is wrong, with all rows that there are."""
        asked = read_wanted(self._params["secrets"], self._params["namespace"], present=self._present)
        asked.problems[:0] = self._params["problems"]
        live = self._read(asked)
        problems = asked.problems + (self._fetch(asked.secrets, live) if self._present else [])
        if problems:
            raise PlatformError("\n".join(problems), problems=problems, secrets=[], changed=False)
        plans = [self._plan(wanted, live.get(wanted.place)) for wanted in asked.secrets]
        if not any(plan.outcome in BAD for plan in plans):
            plans = self._cluster.each(self._tried, plans)
        diff = diff_of(plans)
        if any(plan.outcome in BAD for plan in plans):
            plans = [plan.answered("not_reached") if plan.sends else plan for plan in plans]
            diff = {"before": {}, "after": {}}
        elif not self._dry:
            plans = self._cluster.each(self._written, plans)
        return self._told(plans, diff)

    # -- reading --------------------------------------------------------------------------------------------------

    def _read(self, asked: Asked) -> dict[Place, Obj]:
        """What the cluster holds of the Secrets; where it cannot be asked, that is one problem more."""
        try:
            self._cluster = self._connect()
            return self._live(asked.secrets)
        except ClusterError as exc:
            if not asked.problems:
                raise
            problems = [*asked.problems, str(exc)]
            raise PlatformError("\n".join(problems), problems=problems, secrets=[], changed=False) from exc

    def _live(self, secrets: list[Wanted]) -> dict[Place, Obj]:
        """One call a namespace: the list of its Secrets, or where one alone is wanted, that."""
        names: dict[str, list[str]] = {}
        for wanted in secrets:
            names.setdefault(wanted.namespace, []).append(wanted.name)
        found = self._cluster.each(lambda one: self._live_in(*one), names.items())
        return {place: obj for part in found for place, obj in part.items()}

    def _live_in(self, namespace: str, names: list[str]) -> dict[Place, Obj]:
        path = f"/api/v1/namespaces/{namespace}/secrets"
        try:
            try:
                found = self._listed(path) if len(names) > 1 else self._one_by_one(path, names)
            except ApiError as exc:
                if exc.status != 403 or len(names) == 1:
                    raise
                # Whoever may touch named Secrets only may not list them.
                found = self._one_by_one(path, names)
        except ApiError as exc:
            raise ClusterError(
                f"The Secrets in namespace {namespace} cannot be read: {exc}. The user needs the right to get them."
            ) from exc
        return {(namespace, obj["metadata"]["name"]): obj for obj in found if obj["metadata"]["name"] in names}

    def _listed(self, path: str) -> list[Obj]:
        return self._cluster.items(path, fieldSelector=_NO_RECORDS)[0]

    def _one_by_one(self, path: str, names: list[str]) -> list[Obj]:
        found = self._cluster.each(lambda name: self._cluster.find(f"{path}/{name}"), names)
        return [obj for obj in found if obj is not None]

    def _fetch(self, secrets: list[Wanted], live: Mapping[Place, Obj]) -> list[str]:
        for wanted in secrets:
            self._fetched[wanted.place] = fetch(wanted, live.get(wanted.place))
        values = [value for one in self._fetched.values() for value in one.values.values()]
        # What the API server or an admission webhook says may repeat what it was sent.
        self._redactor = Redactor(value.decode("utf-8", "replace").strip() for value in values)
        for one in self._fetched.values():
            for warning in one.warnings:
                self._module.warn(warning)
        return [problem for one in self._fetched.values() for problem in one.problems]

    def _plan(self, wanted: Wanted, live: Obj | None) -> Plan:
        if not self._present:
            return plan_absent(wanted, live)
        recreate = bool(self._params["recreate"])
        return plan_present(wanted, live, self._fetched[wanted.place].values, recreate=recreate)

    # -- writing --------------------------------------------------------------------------------------------------

    def _tried(self, plan: Plan) -> Plan:
        """The plan, when the API server takes it as a dry run; else its refusal."""
        try:
            if plan.sends == "recreate":
                self._try_create(plan)
            if plan.sends in ("recreate", "delete"):
                self._delete(plan, dry_run=True)
            elif plan.sends == "apply":
                self._apply(plan, dry_run=True)
        except ApiError as exc:
            if self._dry and names_missing_namespace(exc.status, exc.body):
                return plan  # an earlier task of the real run may make it
            return self._refused(plan, exc)
        return plan

    def _written(self, plan: Plan) -> Plan:
        try:
            if plan.sends == "apply":
                self._apply(plan, dry_run=False)
            elif plan.sends == "delete":
                self._delete(plan, dry_run=False)
            elif plan.sends == "recreate":
                self._delete(plan, dry_run=False)
                return self._made_anew(plan)
        except ApiError as exc:
            return self._refused(plan, exc)
        except ClusterError as exc:
            return plan.answered("api_error", reason=str(exc))
        return plan

    def _made_anew(self, plan: Plan) -> Plan:
        path, deadline = _path(plan), time.monotonic() + GONE_S
        try:
            while self._cluster.find(path) is not None:
                if time.monotonic() > deadline:
                    raise ClusterError(f"it is still there after {GONE_S:.0f} s, held by a finalizer.")
                time.sleep(PACE_S)
            self._apply(plan, dry_run=False)
        except ClusterError as exc:
            return plan.answered("lost", reason=self._redactor.text(str(exc)))
        return plan

    def _apply(self, plan: Plan, *, dry_run: bool) -> None:
        self._count(dry_run=dry_run)
        self._cluster.apply(_path(plan), _bytes(plan), manager=FIELD_MANAGER, dry_run=dry_run, whole=False)

    def _try_create(self, plan: Plan) -> None:
        """Nothing is deleted that the API server would not take back."""
        try:
            self._cluster.create(_path(plan).rpartition("/")[0], _bytes(plan), manager=FIELD_MANAGER, dry_run=True)
        except ApiError as exc:
            if not already_there(exc):
                raise

    def _delete(self, plan: Plan, *, dry_run: bool) -> None:
        self._count(dry_run=dry_run)
        try:
            self._cluster.delete(_path(plan), uid=plan.uid, version=plan.version, dry_run=dry_run)
        except ApiError as exc:
            if exc.status != 404:
                raise

    def _count(self, *, dry_run: bool) -> None:
        with self._lock:
            self._writes += not dry_run

    def _refused(self, plan: Plan, exc: ApiError) -> Plan:
        return refused(plan, exc.status, self._redactor.text(str(exc)), exc.body)

    # -- telling --------------------------------------------------------------------------------------------------

    def _told(self, plans: list[Plan], diff: Obj) -> Obj:
        rows = [row_of(plan, sent=not self._dry, public_keys=self._public(plan)) for plan in plans]
        troubled = [row for row in rows if row["outcome"] in BAD]
        result = {
            "changed": any(plan.sends for plan in plans),
            "secrets": rows,
            "summary": {outcome: sum(row["outcome"] == outcome for row in rows) for outcome in OUTCOMES},
            "api_calls": {"total": self._cluster.calls, "writes": self._writes},
            "diff": diff,
        }
        if troubled:
            problems = [f"Secret {row['namespace']}/{row['name']}: {row['message']}" for row in troubled]
            raise PlatformError("\n".join(problems), problems=problems, **result)
        return result

    def _public(self, plan: Plan) -> dict[str, str]:
        """The public keys, which are no secret; not of a pair that was only made up for a dry run."""
        fetched = self._fetched.get(plan.wanted.place)
        if fetched is None or plan.outcome in (*BAD, "skipped"):
            return {}
        told = {}
        for key in plan.wanted.keys:
            origin = key.given if key.source == "public_key_of" else key.name
            invented = self._dry and origin in fetched.made
            if key.form == "ssh_public_key" and not invented:
                told[key.name] = fetched.values[key.name].decode("ascii").strip()
        return told


def _path(plan: Plan) -> str:
    return f"/api/v1/namespaces/{plan.wanted.namespace}/secrets/{plan.wanted.name}"


def _bytes(plan: Plan) -> bytes:
    return json.dumps(plan.body, separators=(",", ":")).encode()

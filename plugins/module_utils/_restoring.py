# SPDX-License-Identifier: GPL-3.0-or-later
# SPDX-FileCopyrightText: 2026 The orchestrator.platform authors
#
# Private to this collection: names and behaviour may change in any release.
"""Writes a backup into a cluster: looks first, tries everything by the server's dry run, then writes what differs."""

from __future__ import annotations

import functools
import json
import shutil
import tempfile
import threading
import time
import typing as t
from collections.abc import Iterable
from pathlib import Path

from ansible_collections.orchestrator.platform.plugins.module_utils._backing_up import open_record
from ansible_collections.orchestrator.platform.plugins.module_utils._backup import (
    BY_KIND,
    RUN_KINDS,
    Place,
    Saved,
    cleaned,
    made_by_kubernetes,
)
from ansible_collections.orchestrator.platform.plugins.module_utils._backup_files import Backup, Release
from ansible_collections.orchestrator.platform.plugins.module_utils._bundle import PART_OF
from ansible_collections.orchestrator.platform.plugins.module_utils._cluster import Cluster
from ansible_collections.orchestrator.platform.plugins.module_utils._crds import is_established, objects_path
from ansible_collections.orchestrator.platform.plugins.module_utils._drift import drift_of, path_of, recorded_objects
from ansible_collections.orchestrator.platform.plugins.module_utils._errors import (
    ApiError,
    ClusterError,
    PlatformError,
    UnreachableError,
)
from ansible_collections.orchestrator.platform.plugins.module_utils._preflight import decode_record, latest_record
from ansible_collections.orchestrator.platform.plugins.module_utils._restore import (
    KEPT_KINDS,
    alike,
    body_of,
    chart_files,
    holds_secret,
    in_order,
    must_be_made_anew,
    replacement,
    same_chart,
)
from ansible_collections.orchestrator.platform.plugins.module_utils._sidecar import FIELD_MANAGER
from ansible_collections.orchestrator.platform.plugins.module_utils._workloads import Json, Obj, dig

WRITER = "orchestrator.platform-restore"  # field manager of what was not applied by this collection before
WAIT_S = 120.0  # for a CRD to be served, for a deleted object or a stopped controller to be gone
PACE_S = 0.25
HELD = "orchestrator.platform/held-replicas"  # annotation: how many a stopped controller had
_STARTED = "stopped by a restore that did not end: started again"
_CONTROLLERS = f"app.kubernetes.io/component=controller,app.kubernetes.io/part-of={PART_OF}"

Key = tuple[str, str, str]


class Options(t.NamedTuple):
    """What is restored, and how far."""

    kinds: tuple[str, ...]  # empty: all
    releases: bool  # whether Helm releases and what belongs to them come back
    replace: bool  # whether what is there and differs is replaced
    mapped: bool  # whether namespaces are exchanged: then nothing of the whole cluster is replaced
    dry_run: bool


class Row(t.NamedTuple):
    """What became of one object."""

    kind: str
    namespace: str
    name: str
    outcome: str  # created, replaced, unchanged, kept
    message: str = ""


class Controller(t.NamedTuple):
    """A Deployment that works on runs."""

    path: str
    namespace: str
    name: str
    replicas: int  # that it had before
    marked: bool  # by a restore that stopped it and did not live to start it again


class Restorer:
    """One restore into one cluster."""

    def __init__(self, cluster: Cluster, backup: Backup, options: Options) -> None:
        self._cluster = cluster
        self._backup = backup
        self._options = options
        self._lock = threading.Lock()
        self._live: dict[Key, Obj] = {}
        self._uids: dict[Key, str] = {}
        self._spaces: set[str] = set()  # namespaces that are there
        self._missing: set[str] = set()  # kinds that the API server does not serve yet
        self._saved = [one for one in backup.saved if self._wanted(one)]

    def _wanted(self, one: Saved) -> bool:
        if self._options.kinds and one.place.kind not in self._options.kinds:
            return False
        return not one.release  # the chart brings it

    def run(self) -> list[Row]:
        """Look, try, write; raises PlatformError before anything is written when the API server refuses a part."""
        self._look()
        plan = self._cluster.each(self._tried, [one for group in in_order(self._saved) for one in group])
        refused = [f"{row.kind} {_where(row)}: {row.message}" for row in plan if row.outcome == "failed"]
        if refused:
            shown = "; ".join(refused[:10]) + (f"; and {len(refused) - 10} more" if len(refused) > 10 else "")
            raise PlatformError(f"The cluster would not take the backup: {shown}. Nothing was written.")
        made = {row.namespace for row in plan if row.kind in RUN_KINDS and row.outcome == "created"}
        controllers = self._controllers(made)
        left = [one for one in controllers if one.marked]
        started = [Row("Deployment", one.namespace, one.name, "replaced", _STARTED) for one in left]
        if self._options.dry_run:
            return [*plan, *started]
        if all(row.outcome in ("unchanged", "kept") for row in plan):
            self._let_go(left)
            return [*plan, *started]
        held = [one for one in controllers if one.namespace in made]
        try:
            self._hold(held, made)
            rows: list[Row] = []
            for group in in_order(self._saved):
                rows += self._cluster.each(self._brought, group)
                self._await_kinds(group)
        finally:
            self._let_go(dict.fromkeys([*held, *left]))
        return [*rows, *started]

    # -- looking --------------------------------------------------------------------------------------------------

    def _look(self) -> None:
        spaces = sorted({one.namespace for one in self._saved if one.namespace})
        spaces += [one.name for one in self._saved if one.place.kind == "Namespace" and one.name not in spaces]
        for namespace in self._cluster.each(lambda name: self._cluster.find(f"/api/v1/namespaces/{name}"), spaces):
            if namespace is None:
                continue
            name = namespace["metadata"]["name"]
            if namespace["metadata"].get("deletionTimestamp"):
                raise PlatformError(f"Namespace {name} is being deleted: wait until it is gone, then restore again.")
            self._spaces.add(name)
            self._remember(BY_KIND["Namespace"], namespace)
        lists = {(one.place, one.namespace) for one in self._saved if one.place.kind != "Namespace"}
        there = [row for row in lists if not row[1] or row[1] in self._spaces]
        for place, items in self._cluster.each(self._list, sorted(there)):
            for item in items:
                self._remember(place, item)

    def _list(self, row: tuple[Place, str]) -> tuple[Place, list[Obj]]:
        place, namespace = row
        try:
            return place, self._cluster.items(place.path(namespace))[0]
        except ApiError as exc:
            if exc.status != 404:
                raise
            self._missing.add(place.kind)
            return place, []

    def _remember(self, place: Place, obj: Obj) -> None:
        metadata = obj["metadata"]
        key = (place.kind, metadata.get("namespace") or "", metadata["name"])
        with self._lock:
            self._live[key] = obj
            self._uids[key] = metadata["uid"]

    # -- trying ---------------------------------------------------------------------------------------------------

    def _tried(self, one: Saved) -> Row:
        """What would become of an object, asked of the API server where it can know."""
        try:
            return self._write(one, dry_run=True)
        except ApiError as exc:
            return Row(one.place.kind, one.namespace, one.name, "failed", str(exc))

    def _can_be_tried(self, one: Saved) -> bool:
        served = one.place.kind not in self._missing
        return served and (not one.namespace or one.namespace in self._spaces)

    # -- writing --------------------------------------------------------------------------------------------------

    def _brought(self, one: Saved) -> Row:
        """An object as it is now; raises PlatformError, which says that a part is written."""
        try:
            return self._write(one)
        except (ApiError, UnreachableError) as exc:
            raise PlatformError(
                f"The restore stopped at {one.place.kind} {_where(one)}: {exc}. What comes before it is there; mend "
                "this and restore again."
            ) from exc

    def _write(self, one: Saved, *, dry_run: bool = False) -> Row:
        """Bring one object; raises ClusterError."""
        key = (one.place.kind, one.namespace, one.name)
        body, live = body_of(one, self._uids), self._live.get(key)
        row = Row(one.place.kind, one.namespace, one.name, "created")
        if live is None and dry_run and not self._can_be_tried(one):
            return row
        if live is None:
            live = self._create(one, body, dry_run=dry_run)
        if live is None:
            return row
        if live["metadata"].get("deletionTimestamp"):
            raise ApiError(409, "it is being deleted: wait until it is gone, then restore again", {})
        if one.place.kind in RUN_KINDS and one.status and not live.get("status"):
            # Of a restore that was cut short between the run and its status.
            if not dry_run:
                self._put_status(one)
            return row._replace(outcome="replaced", message="its status was missing")
        if alike(one, body, live):
            return row._replace(outcome="unchanged")
        kept = self._reason_to_keep(one, live)
        if kept:
            return row._replace(outcome="kept", message=kept)
        return row._replace(outcome=self._replace(one, body, live, dry_run=dry_run))

    def _replace(self, one: Saved, body: Obj, live: Obj, *, dry_run: bool) -> str:
        """Make an object as it was saved; the outcome. Raises ClusterError."""
        if must_be_made_anew(one, body, live):
            self._make_anew(one, body, live, dry_run=dry_run)
            return "replaced"
        there = self._put(one, body, live, dry_run=True)
        if cleaned(one.place, there) == cleaned(one.place, live):
            return "unchanged"  # the API server fills in what the archive does not know
        if not dry_run:
            self._put(one, body, live, dry_run=False)
        return "replaced"

    def _put(self, one: Saved, body: Obj, live: Obj, *, dry_run: bool) -> Obj:
        path = one.place.path(one.namespace, one.name)
        if one.applied:
            # Of this collection's own making: its fields are its own again, whoever has changed them.
            content = json.dumps(body).encode()
            return self._cluster.apply(path, content, manager=FIELD_MANAGER, dry_run=dry_run, whole=True, force=True)
        return self._cluster.replace(path, replacement(body, live), manager=WRITER, dry_run=dry_run)

    def _reason_to_keep(self, one: Saved, live: Obj) -> str:
        if made_by_kubernetes(one.place, live):
            return ""  # nobody has ever written it
        if one.place.kind in KEPT_KINDS:
            return "it is there and differs; what holds data or a schema is never replaced"
        if self._options.mapped and not one.place.namespaced:
            return "it is there and differs; with exchanged namespaces nothing of the whole cluster is replaced"
        return "" if self._options.replace else "it is there and differs"

    def _create(self, one: Saved, body: Obj, *, dry_run: bool) -> Obj | None:
        """Make an object; where somebody was quicker, the one that is there. Raises ClusterError.

        Kubernetes itself is quicker with the account `default` of a new namespace, which may hold pull secrets.
        """
        try:
            self._make(one, body, dry_run=dry_run)
        except ApiError as exc:
            there = self._cluster.find(one.place.path(one.namespace, one.name)) if exc.status == 409 else None
            if there is None:
                raise
            self._remember(one.place, there)
            return there
        return None

    def _make(self, one: Saved, body: Obj, *, dry_run: bool) -> None:
        content = json.dumps(body).encode()
        if one.applied or one.place.kind == "CustomResourceDefinition":
            # Its fields belong to this collection again, as an apply of a role or module expects.
            path = one.place.path(one.namespace, one.name)
            made = self._cluster.apply(path, content, manager=FIELD_MANAGER, dry_run=dry_run, whole=False)
        else:
            path = one.place.path(one.namespace)
            made = self._cluster.create(path, content, manager=WRITER, dry_run=dry_run)
        if dry_run:
            return
        if one.place.kind == "Namespace":
            self._spaces.add(one.name)
        with self._lock:
            self._uids[(one.place.kind, one.namespace, one.name)] = made["metadata"]["uid"]
        if one.status:
            self._put_status(one)

    def _put_status(self, one: Saved) -> None:
        """Write a run's status by its subresource; again where the controller was quicker."""
        path = one.place.path(one.namespace, one.name)
        for attempt in range(5):
            body = {**self._cluster.get(path), "status": one.status}
            try:
                self._cluster.replace(f"{path}/status", body, manager=WRITER, dry_run=False)
            except ApiError as exc:
                if exc.status != 409 or attempt == 4:
                    raise
            else:
                return

    def _make_anew(self, one: Saved, body: Obj, live: Obj, *, dry_run: bool) -> None:
        path = one.place.path(one.namespace, one.name)
        self._cluster.delete(path, uid=live["metadata"]["uid"], dry_run=dry_run)
        if dry_run:
            return
        self._until(lambda: self._cluster.find(path) is None, f"{one.place.kind} {_where(one)} is still there")
        self._make(one, body, dry_run=False)

    def _await_kinds(self, group: list[Saved]) -> None:
        """Wait until the API server serves the kinds that were just made."""
        for one in group:
            if one.place.kind == "CustomResourceDefinition":
                self._until(functools.partial(self._is_served, one), f"{one.name} is not served")

    def _is_served(self, one: Saved) -> bool:
        # Established is said a moment before the first request is answered.
        there = is_established(self._cluster.get(one.place.path(name=one.name)))
        return there and self._cluster.find(objects_path(one.obj), limit=1) is not None

    def _until(self, truth: t.Callable[[], bool], what: str) -> None:
        deadline = time.monotonic() + WAIT_S
        while not truth():
            if time.monotonic() > deadline:
                raise ClusterError(f"After {WAIT_S:.0f} s {what}: look why, then restore again.")
            time.sleep(PACE_S)

    # -- controllers ----------------------------------------------------------------------------------------------

    def _controllers(self, made: set[str]) -> list[Controller]:
        """Controllers beside the runs of the backup, those that a restore has stopped among them.

        Where no run is `made` they need not be seen: whoever may not list Deployments restores all the same.
        """
        spaces = {one.namespace for one in self._saved if one.place.kind in RUN_KINDS}
        found = []
        for namespace in sorted(spaces & self._spaces):
            path = f"/apis/apps/v1/namespaces/{namespace}/deployments"
            try:
                items, _version = self._cluster.items(path, labelSelector=_CONTROLLERS)
            except ApiError as exc:
                if exc.status != 403 or namespace in made:
                    raise
                continue
            for item in items:
                name, mark = item["metadata"]["name"], str(dig(item, "metadata", "annotations", HELD) or "")
                replicas = int(dig(item, "spec", "replicas") or (mark if mark.isdecimal() else 0))
                if replicas:
                    found.append(Controller(f"{path}/{name}", namespace, name, replicas, bool(mark)))
        return found

    def _hold(self, controllers: list[Controller], made: set[str]) -> None:
        """Stop controllers where runs come back: between a run and its status they would start finished work again."""
        for one in controllers:
            self._cluster.merge(one.path, _scaled(0, mark=str(one.replicas)))
        for namespace in sorted(made & self._spaces):
            self._until(functools.partial(self._no_controller, namespace), "a controller still runs")

    def _no_controller(self, namespace: str) -> bool:
        return not self._cluster.items(f"/api/v1/namespaces/{namespace}/pods", labelSelector=_CONTROLLERS)[0]

    def _let_go(self, controllers: t.Iterable[Controller]) -> None:
        for one in controllers:
            self._cluster.merge(one.path, _scaled(one.replicas, mark=None))


def _scaled(replicas: int, *, mark: str | None) -> Obj:
    return {"metadata": {"annotations": {HELD: mark}}, "spec": {"replicas": replicas}}


def _where(one: Saved | Row) -> str:
    return f"{one.namespace}/{one.name}" if one.namespace else one.name


# -- releases ------------------------------------------------------------------------------------------------------


def plan_release(cluster: Cluster, wanted: Release) -> dict[str, Json]:
    """What Helm has to do for a release: install, upgrade, repair, or nothing."""
    secrets = f"/api/v1/namespaces/{wanted.namespace}/secrets"
    row: dict[str, Json] = {
        "name": wanted.name,
        "namespace": wanted.namespace,
        "chart": wanted.version,
        "reasons": [],
        "sensitive": holds_secret(wanted.values),
    }
    try:
        listed, _version = cluster.items(secrets, metadata_only=True, labelSelector=f"owner=helm,name={wanted.name}")
    except ApiError as exc:
        if exc.status != 404:
            raise
        listed = []
    newest = latest_record(listed)
    secret = cluster.find(f"{secrets}/{newest['secret']}") if newest else None
    if newest is None or secret is None:
        return {**row, "outcome": "install", "revision": 0, "status": ""}
    row |= {"revision": newest["revision"], "status": newest["status"]}
    if newest["status"] != "deployed" or not same_chart(wanted, open_record(secret)):
        return {**row, "outcome": "upgrade", "reasons": [f"revision {newest['revision']} is another one"]}
    reasons = _drift(cluster, decode_record(secret["data"]["release"]), wanted.namespace)
    return {**row, "outcome": "repair" if reasons else "unchanged", "reasons": reasons}


def _drift(cluster: Cluster, record: Obj, namespace: str) -> list[str]:
    found = cluster.each(
        lambda wanted: drift_of(wanted, cluster.find(path_of(wanted, namespace))), recorded_objects(record)
    )
    return [words for words in found if words]


def lay_out(releases: Iterable[Release], rows: Iterable[dict[str, Json]]) -> str:
    """Write what Helm needs into a new private folder, and its places into the rows; "" where Helm needs nothing."""
    work = [
        (release, row) for release, row in zip(releases, rows, strict=False) if row["outcome"] in ("install", "upgrade")
    ]
    if not work:
        return ""
    try:
        folder = tempfile.mkdtemp(prefix="platform-restore-")
        try:
            for release, row in work:
                row.update(_laid_out(release, Path(folder)))
        except BaseException:
            shutil.rmtree(folder, ignore_errors=True)
            raise
    except OSError as exc:
        raise PlatformError(
            f"The charts cannot be written below {tempfile.gettempdir()} ({exc.strerror}): the objects are there, the "
            "releases are not; make room, or set TMPDIR, and restore again."
        ) from exc
    return folder


def _laid_out(release: Release, folder: Path) -> dict[str, str]:
    chart = folder / release.namespace / release.name / "chart"
    for name, content in chart_files(release).items():
        file = chart / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_bytes(content)
    values = chart.parent / "values.json"
    values.touch(mode=0o600)
    values.write_text(json.dumps(release.values), encoding="utf-8")
    return {"chart_path": str(chart), "values_path": str(values)}

# SPDX-License-Identifier: GPL-3.0-or-later
# SPDX-FileCopyrightText: 2026 The orchestrator.platform authors
"""The order of a restore's requests, which a real cluster would hide: held controllers, cut-short restores (issue 6.6).

What the API server makes of the requests is shown by the scenario `backup`.
"""

from __future__ import annotations

import json
import shutil
import stat
from pathlib import Path

import pytest
from ansible_collections.orchestrator.platform.plugins.module_utils import _restoring
from ansible_collections.orchestrator.platform.plugins.module_utils._backup import BY_KIND, Scope, chosen
from ansible_collections.orchestrator.platform.plugins.module_utils._backup_files import Backup, Release
from ansible_collections.orchestrator.platform.plugins.module_utils._errors import ApiError, ClusterError, PlatformError
from ansible_collections.orchestrator.platform.plugins.module_utils._restoring import HELD, Options, Restorer, lay_out

SPACE = "orchestrator"
RUN = {"metadata": {"name": "run", "namespace": SPACE}, "spec": {"taskId": 1}, "status": {"phase": "Succeeded"}}
SETTINGS = {"metadata": {"name": "settings", "namespace": SPACE}, "data": {"a": "1"}}
CLAIM = {"metadata": {"name": "workspace-api", "namespace": SPACE}, "spec": {"storageClassName": "x"}}
OPTIONS = Options(kinds=(), releases=True, replace=True, mapped=False, dry_run=False)
PATHS = {kind: place.path(SPACE) for kind, place in BY_KIND.items() if place.namespaced}


class Api:
    """Objects by path, and every write in its order; as much of an API server as the order of requests needs."""

    def __init__(self, **objects: list[dict]) -> None:
        self.store = {f"/api/v1/namespaces/{SPACE}": {"metadata": {"name": SPACE, "uid": "n"}}}
        for kind, items in objects.items():
            for item in items:
                path = BY_KIND[kind].path(SPACE, item["metadata"]["name"])
                self.store[path] = {**item, "metadata": {"uid": "old", "resourceVersion": "1", **item["metadata"]}}
        self.writes: list[str] = []
        self.refuses = ""
        self.quicker: dict[str, list[str]] = {}  # path of a creation -> what Kubernetes makes right after it

    def each(self, function, items):
        return [function(item) for item in items]

    def find(self, path):
        return self.store.get(path)

    def get(self, path):
        return self.store[path]

    def items(self, path, **_params):
        return [item for key, item in self.store.items() if key.rpartition("/")[0] == path], "1"

    def _note(self, verb, path, *, dry_run):
        if self.refuses and self.refuses in path:
            raise ApiError(403, "exceeded quota", {})
        if not dry_run:
            self.writes.append(f"{verb} {path.partition(f'namespaces/{SPACE}/')[2]}")

    def create(self, path, body, *, manager, dry_run):
        self._note("create", path, dry_run=dry_run)
        made = json.loads(body)
        made["metadata"] |= {"uid": "new", "resourceVersion": "2"}
        if not dry_run:
            there = self.store.setdefault(f"{path}/{made['metadata']['name']}", made)
            if there is not made:
                raise ApiError(409, "already exists", {})
            for other in self.quicker.pop(path, []):
                self.store[other] = {
                    "metadata": {"name": "default", "namespace": SPACE, "uid": "k", "resourceVersion": "1"}
                }
        return made

    def replace(self, path, body, *, manager, dry_run):
        self._note("replace", path, dry_run=dry_run)
        if not dry_run:
            self.store[path.removesuffix("/status")] = body
        return body

    def merge(self, path, body):
        self._note(f"merge {body['spec']}", path, dry_run=False)
        there = self.store[path]
        there["spec"] |= body["spec"]
        marks = there["metadata"].setdefault("annotations", {})
        marks |= body["metadata"]["annotations"]
        there["metadata"]["annotations"] = {key: value for key, value in marks.items() if value is not None}


def backup(**objects: list[dict]) -> Backup:
    found = [(BY_KIND[kind], item) for kind, items in objects.items() for item in items]
    return Backup(chosen(found, Scope((SPACE,), (), ()), [])[0], [], {})


def restored(api: Api, saved: Backup, **options) -> dict[str, str]:
    rows = Restorer(api, saved, OPTIONS._replace(**options)).run()
    return {f"{row.kind} {row.name}": row.outcome for row in rows}


def controller(replicas: int, mark: str = "") -> dict:
    """A Deployment of the orchestrator; with `mark` one that a restore has stopped."""
    meta = {"name": "orchestrator", "namespace": SPACE, "annotations": {"other": "x", **({HELD: mark} if mark else {})}}
    return {"metadata": meta, "spec": {"replicas": replicas}}


def test_a_controller_is_held_while_runs_come_back():
    """Between a run and its status a controller would take finished work for new (OR-A23, OR-360)."""
    api = Api(Deployment=[controller(1)])
    assert restored(api, backup(CodeRun=[RUN])) == {"CodeRun run": "created"}
    assert api.writes == [
        "merge {'replicas': 0} deployments/orchestrator",
        "create coderuns",
        "replace coderuns/run/status",
        "merge {'replicas': 1} deployments/orchestrator",
    ]
    assert api.store[f"{PATHS['CodeRun']}/run"]["status"] == {"phase": "Succeeded"}


@pytest.mark.parametrize("cut", ["at the runs", "at the end"])
def test_a_controller_that_a_killed_restore_stopped_is_started_again(cut):
    """Whether runs are still missing or all are there: an interrupted restore can be run again (issue 6.6)."""
    there = {"CodeRun": [RUN]} if cut == "at the end" else {}
    api = Api(Deployment=[controller(0, "2")], **there)
    run = "unchanged" if there else "created"
    assert restored(api, backup(CodeRun=[RUN]), dry_run=True)["Deployment orchestrator"] == "replaced"
    assert api.writes == []
    assert restored(api, backup(CodeRun=[RUN])) == {"CodeRun run": run, "Deployment orchestrator": "replaced"}
    stopped = [] if there else ["merge {'replicas': 0} deployments/orchestrator"]
    made = [] if there else ["create coderuns", "replace coderuns/run/status"]
    assert api.writes == [*stopped, *made, "merge {'replicas': 2} deployments/orchestrator"]
    assert api.store[f"{PATHS['Deployment']}/orchestrator"]["metadata"]["annotations"] == {"other": "x"}
    api.writes.clear()
    assert restored(api, backup(CodeRun=[RUN])) == {"CodeRun run": "unchanged"}
    assert api.writes == []


def test_a_controller_that_does_not_stop_is_started_again(monkeypatch):
    """Nothing half done: the restore ends before the first object, and the controller has what it had."""
    monkeypatch.setattr(_restoring, "WAIT_S", 0.0)
    monkeypatch.setattr(_restoring, "PACE_S", 0.01)
    api = Api(Deployment=[controller(1)])
    api.store[f"/api/v1/namespaces/{SPACE}/pods/orchestrator-1"] = {"metadata": {"name": "orchestrator-1"}}
    with pytest.raises(ClusterError, match="a controller still runs"):
        restored(api, backup(CodeRun=[RUN]))
    assert api.writes == [f"merge {{'replicas': {count}}} deployments/orchestrator" for count in (0, 1)]


@pytest.mark.parametrize(("replicas", "mark"), [(0, ""), (0, "many")])
def test_a_controller_that_somebody_else_stopped_stays_so(replicas, mark):
    api = Api(Deployment=[controller(replicas, mark)])
    assert restored(api, backup(CodeRun=[RUN])) == {"CodeRun run": "created"}
    assert api.writes == ["create coderuns", "replace coderuns/run/status"]


@pytest.mark.parametrize("made", [True, False])
def test_who_may_not_see_controllers_restores_where_no_run_comes_back(monkeypatch, made):
    """Else finished work could begin again; so that is refused before the first object."""
    api = Api(**({} if made else {"CodeRun": [RUN]}))

    def items(path, **_params):
        if path.endswith("/deployments"):
            raise ApiError(403, "may not list deployments", {})
        return Api.items(api, path)

    monkeypatch.setattr(api, "items", items)
    if made:
        with pytest.raises(ApiError, match="may not list deployments"):
            restored(api, backup(CodeRun=[RUN], ConfigMap=[SETTINGS]))
        assert api.writes == []
    else:
        assert restored(api, backup(CodeRun=[RUN], ConfigMap=[SETTINGS]))["ConfigMap settings"] == "created"


def test_a_controller_goes_on_where_no_run_comes_back():
    """Nothing is stopped without need, and nothing is written where all is there."""
    api = Api(Deployment=[controller(1)], CodeRun=[RUN])
    assert restored(api, backup(CodeRun=[RUN], ConfigMap=[SETTINGS])) == {
        "CodeRun run": "unchanged",
        "ConfigMap settings": "created",
    }
    assert api.writes == ["create configmaps"]


def test_a_restore_that_was_cut_short_is_ended_by_the_next():
    """The run was made, its status was not: the next restore gives it; a status that is there stays as it is."""
    bare = {key: value for key, value in RUN.items() if key != "status"}
    api = Api(CodeRun=[bare])
    assert restored(api, backup(CodeRun=[RUN])) == {"CodeRun run": "replaced"}
    assert api.writes == ["replace coderuns/run/status"]
    api = Api(CodeRun=[{**RUN, "status": {"phase": "Failed"}}])
    assert restored(api, backup(CodeRun=[RUN])) == {"CodeRun run": "unchanged"}
    assert api.writes == []


def test_what_holds_data_is_never_replaced():
    """A claim that is there and differs, a run that somebody has changed since; settings are replaced unless kept."""
    claim = {**CLAIM, "spec": {"storageClassName": "y"}}
    run = {**RUN, "spec": {"taskId": 2}}
    other = {**SETTINGS, "data": {"a": "2"}}
    saved = backup(PersistentVolumeClaim=[CLAIM], CodeRun=[RUN], ConfigMap=[SETTINGS])
    there = {"PersistentVolumeClaim": [claim], "CodeRun": [run], "ConfigMap": [other]}
    kept = {"PersistentVolumeClaim workspace-api": "kept", "CodeRun run": "kept"}
    assert restored(Api(**there), saved) == {**kept, "ConfigMap settings": "replaced"}
    assert restored(Api(**there), saved, replace=False) == {**kept, "ConfigMap settings": "kept"}


def test_one_refusal_stops_all():
    """Nothing half done: the dry run of the last object comes before the first write."""
    api = Api()
    api.refuses = "coderuns"
    with pytest.raises(PlatformError, match=r"CodeRun orchestrator/run: exceeded quota\. Nothing was written"):
        restored(api, backup(ConfigMap=[SETTINGS], CodeRun=[RUN]))
    assert api.writes == []


def test_a_failure_on_the_way_says_that_a_part_is_written():
    """What the dry run could not know: one sentence with the object, and the restore can be run again."""
    api = Api()
    api.each = refusing_later(api, "coderuns")
    with pytest.raises(PlatformError, match=r"stopped at CodeRun orchestrator/run: exceeded quota\. What comes before"):
        restored(api, backup(ConfigMap=[SETTINGS], CodeRun=[RUN]))
    assert api.writes == ["create configmaps"]
    del api.each
    api.refuses = ""
    outcomes = restored(api, backup(ConfigMap=[SETTINGS], CodeRun=[RUN]))
    assert outcomes == {"ConfigMap settings": "unchanged", "CodeRun run": "created"}


def refusing_later(api: Api, kind: str):
    """An `each` after whose first write the API server begins to refuse a kind."""

    def each(function, items):
        found = [function(item) for item in items]
        api.refuses = kind if api.writes else ""
        return found

    return each


@pytest.mark.parametrize("replace", [True, False])
def test_the_account_that_kubernetes_makes_meanwhile_gets_its_pull_secrets(replace):
    """A new namespace has its account `default` before the restore comes to it; nobody has written that one."""
    account = {"metadata": {"name": "default", "namespace": SPACE}, "imagePullSecrets": [{"name": "pull"}]}
    api = Api()
    api.quicker[PATHS["ConfigMap"]] = [f"{PATHS['ServiceAccount']}/default"]
    saved = backup(ServiceAccount=[account], ConfigMap=[SETTINGS])
    # The settings are made first, as a namespace would be: the account is there when its turn comes, and was not looked at.
    saved = saved._replace(saved=list(reversed(saved.saved)))
    assert restored(api, saved, replace=replace) == {
        "ConfigMap settings": "created",
        "ServiceAccount default": "replaced",
    }
    assert api.store[f"{PATHS['ServiceAccount']}/default"]["imagePullSecrets"] == [{"name": "pull"}]


def test_charts_are_laid_out_where_nobody_else_reads(tmp_path, monkeypatch):
    """Only what Helm has to install or upgrade; the folder is private, and gone when a chart cannot be written."""
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    chart = {"metadata": {"name": "c", "version": "1"}, "files": [], "templates": [], "values": {}, "schema": None}
    release = Release("a", SPACE, 1, "deployed", chart, {"password": "canary"})
    assert lay_out([release], [{"outcome": "unchanged"}]) == ""
    row = {"outcome": "install"}
    folder = Path(lay_out([release], [row]))
    assert stat.S_IMODE(folder.stat().st_mode) == 0o700
    assert json.loads(Path(row["values_path"]).read_text()) == {"password": "canary"}
    shutil.rmtree(folder)
    bad = release._replace(chart={**chart, "files": [{"name": "../outside", "data": ""}]})
    with pytest.raises(PlatformError, match="outside of itself"):
        lay_out([bad], [{"outcome": "install"}])
    assert list(tmp_path.iterdir()) == []


def test_check_mode_writes_nothing():
    """The same plan by the server's dry run."""
    api = Api()
    saved = backup(ConfigMap=[SETTINGS], CodeRun=[RUN])
    assert set(restored(api, saved, dry_run=True).values()) == {"created"}
    assert api.writes == []


def test_what_is_being_deleted_is_waited_for_by_the_user():
    """Written into a namespace that goes, it would go with it."""
    api = Api()
    api.store[f"/api/v1/namespaces/{SPACE}"]["metadata"]["deletionTimestamp"] = "2026-01-01T00:00:00Z"
    with pytest.raises(PlatformError, match="is being deleted"):
        restored(api, backup(ConfigMap=[SETTINGS]))


def test_only_the_kinds_that_were_asked_for():
    """A part of an archive leaves the rest alone."""
    api = Api()
    saved = backup(ConfigMap=[SETTINGS], CodeRun=[RUN])
    assert restored(api, saved, kinds=("ConfigMap",)) == {"ConfigMap settings": "created"}

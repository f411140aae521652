# SPDX-License-Identifier: GPL-3.0-or-later
# SPDX-FileCopyrightText: 2026 The orchestrator.platform authors
"""Whose a CRD is, what is done with it, and which fields in use an older one does not know (D10; issue 6.3, 6.7)."""

from __future__ import annotations

import base64
import copy
import json

import pytest
import yaml
from ansible_collections.orchestrator.platform.plugins.module_utils import _crds
from ansible_collections.orchestrator.platform.plugins.module_utils._crds_work import Crds
from ansible_collections.orchestrator.platform.plugins.module_utils._errors import ApiError, PlatformError
from ansible_collections.orchestrator.platform.plugins.modules import crds as module

from .orchestrator_picture import CRDS, live_crd

CODE = next(item for item in CRDS if item["spec"]["names"]["kind"] == "CodeRun")


def owned(live: dict, *managers: str, fields: str = "f:spec") -> dict:
    """The same CRD, with these managers of its spec."""
    entries = [{"manager": name, "operation": "Update", "fieldsV1": {fields: {}}} for name in managers]
    return {**live, "metadata": {**live["metadata"], "uid": "u", "managedFields": entries}}


def older(definition: dict) -> dict:
    """A CRD of before promptModification was there."""
    made = copy.deepcopy(definition)
    properties = made["spec"]["versions"][0]["schema"]["openAPIV3Schema"]["properties"]
    del properties["spec"]["properties"]["promptModification"]
    return made


LIVE, OLD = live_crd(CODE), live_crd(older(CODE))
US = "orchestrator.platform"


@pytest.mark.parametrize(
    ("live", "outcome"),
    [
        (None, "created"),
        (owned(LIVE, US), "unchanged"),
        (owned(OLD, US), "updated"),
        (owned(OLD, US, "kubectl-edit"), "updated"),
        (owned(LIVE, "helm"), "taken_over"),
        (owned(OLD, "helm"), "taken_over"),
        (owned(OLD), "taken_over"),
        (owned(LIVE, "argocd-controller"), "unchanged"),
        (owned(OLD, "argocd-controller"), "foreign"),
        (owned(OLD, "helm", "argocd-controller"), "foreign"),
    ],
    ids=["none", "ours", "ours and old", "ours and edited", "Helm's", "Helm's and old", "nobody's", "theirs as it is to be", "theirs", "both"],
)  # fmt: skip
def test_what_is_done_with_a_crd(live, outcome):
    """Helm's first installation is taken over, what is ours is put back, what is theirs is left."""
    assert _crds.judge_crd(CODE, live, ["helm"]).outcome == outcome


def test_a_refusal_names_owner_and_remedy():
    verdict = _crds.judge_crd(CODE, owned(OLD, "argocd-controller"), ["helm"])
    assert verdict.refused
    assert "belongs to argocd-controller" in verdict.message
    assert "orchestrator_crds_take_over" in verdict.message
    assert _crds.judge_crd(CODE, owned(OLD, "argocd-controller"), ["helm", "argocd-controller"]).outcome == "taken_over"


def test_a_crd_in_somebodys_chart_is_theirs_whatever_it_holds():
    """Its release would delete it, and every run with it."""
    annotations = {"meta.helm.sh/release-name": "other", "meta.helm.sh/release-namespace": "ns"}
    live = owned(LIVE, "helm")
    live["metadata"]["annotations"] = annotations
    verdict = _crds.judge_crd(CODE, live, ["helm"])
    assert (verdict.outcome, "ns/other" in verdict.message) == ("foreign", True)


def test_a_crd_in_deletion_is_waited_for():
    live = owned(LIVE, US)
    live["metadata"]["deletionTimestamp"] = "2026-01-01T00:00:00Z"
    assert _crds.judge_crd(CODE, live, []).refused


def test_managers_of_the_status_own_nothing_of_ours():
    """kube-apiserver writes the conditions."""
    live = owned(OLD, US)
    live["metadata"]["managedFields"].append(
        {"manager": "kube-apiserver", "subresource": "status", "fieldsV1": {"f:status": {}}}
    )
    assert _crds.managers_of_spec(live) == [US]


RUN = {
    "metadata": {"name": "r", "namespace": "n"},
    "spec": {"taskId": 1, "service": "s", "env": {"A": "b"}, "promptModification": "more"},
    "status": {"phase": "Running", "conditions": [{"type": "Running", "status": "True"}]},
}


def test_fields_in_use_that_a_schema_does_not_know():
    """Maps with free keys and lists are looked into; what both know is no loss."""
    assert _crds.unknown_fields(CODE, RUN) == []
    assert _crds.unknown_fields(older(CODE), RUN) == ["spec.promptModification"]
    odd = {**RUN, "status": {"conditions": [{"type": "x", "newer": 1}]}}
    assert _crds.unknown_fields(CODE, odd) == ["status.conditions.newer"]


def test_crds_are_found_in_a_release_record():
    """As Helm keeps the chart: its other files are there, too, and a broken one is nobody's CRD."""

    def file(name: str, text: str) -> dict:
        return {"name": name, "data": base64.b64encode(text.encode()).decode()}

    files = [file("README.md", "# x"), file("crds/a.yaml", yaml.safe_dump(CODE)), file("crds/b.yaml", "{: [")]
    assert _crds.crds_of_record({"chart": {"files": files}}) == [CODE]
    assert _crds.crds_of_record({}) == []


class FakeServer:
    """Paths and objects; a delete leaves what has finalizers."""

    def __init__(self, objects: dict[str, dict], *, refuse: str = "") -> None:
        self.objects, self.refuse, self.writes = objects, refuse, []

    def each(self, function, items):
        return [function(item) for item in items]

    def find(self, path):
        return copy.deepcopy(self.objects.get(path))

    def items(self, path):
        group, _slash, plural = path.rpartition("/")
        found = [
            copy.deepcopy(obj)
            for key, obj in self.objects.items()
            if key.startswith(group.removesuffix("/namespaces"))
            and key.rsplit("/", 2)[1] == plural
            and ("/namespaces/" not in path or key.startswith(path))
        ]
        return found, "1"

    def apply(self, path, body, *, manager, dry_run, whole, force):
        assert (manager, whole) == (US, True)
        sent = json.loads(body)
        if self.refuse and self.refuse in path:
            raise ApiError(422, "spec is invalid", {})
        made = {**live_crd(sent), "metadata": {**sent["metadata"], "uid": "u"}}
        made = owned(made, US)
        if not dry_run:
            self.writes.append((path, force))
            self.objects[path] = made
        return made

    def delete(self, path, *, uid, version="", dry_run=False):
        assert self.objects[path]["metadata"]["uid"] == uid
        self.writes.append(("delete", path))
        if not self.objects[path]["metadata"].get("finalizers"):
            del self.objects[path]

    def merge(self, path, body):
        self.writes.append(("merge", path))
        if not body["metadata"]["finalizers"]:
            del self.objects[path]


def run(server: FakeServer, *, check_mode: bool = False, **params) -> dict:
    options = {
        "state": "present",
        "take_over": ["helm"],
        "claims_in": None,
        "finalizers": module.FINALIZERS,
        "wait_timeout": 0,
        "controller_timeout": 0,
    }
    return module.run({"definitions": CRDS, **options, **params}, server, check_mode=check_mode)


def test_a_second_run_writes_nothing():
    server = FakeServer({})
    assert [row["outcome"] for row in run(server)["crds"]] == ["created", "created"]
    assert [force for _path, force in server.writes] == [False, False]
    server.writes.clear()
    assert (run(server)["changed"], server.writes) == (False, [])


def test_check_mode_writes_nothing_and_tells_the_same():
    server = FakeServer({})
    result = run(server, check_mode=True)
    assert (result["changed"], server.writes) == (True, [])
    assert set(result["diff"]["after"]) == {item["metadata"]["name"] for item in CRDS}


def test_nothing_is_half_done():
    """The second one is refused, so the first is not written; nor where one of them is somebody else's."""
    server = FakeServer({}, refuse="docsruns")
    with pytest.raises(PlatformError, match=r"docsruns.* \(HTTP 422\)"):
        run(server)
    assert server.writes == []
    path = f"{_crds.CRDS_PATH}/docsruns.orchestrator.platform"
    other = {**live_crd(CRDS[1]), "spec": {**CRDS[1]["spec"], "scope": "Cluster"}}
    server = FakeServer({path: owned(other, "argocd-controller")})
    with pytest.raises(PlatformError, match="belongs to argocd-controller"):
        run(server)
    assert server.writes == []


def with_runs(*, finalizers: list[str]) -> FakeServer:
    """CRDs, a run, and claims: of its service, the controller's, and somebody's."""
    objects = {f"{_crds.CRDS_PATH}/{item['metadata']['name']}": owned(live_crd(item), US) for item in CRDS}
    meta = {"name": "r", "namespace": "n", "uid": "r", "resourceVersion": "1", "finalizers": finalizers}
    objects["/apis/orchestrator.platform/v1/namespaces/n/coderuns/r"] = {"metadata": meta, "spec": {"service": "shop"}}
    for name, labels in (("workspace-shop", {}), ("workspace-old", {"app": "orchestrator"}), ("workspace-mine", {})):
        path = f"/api/v1/namespaces/n/persistentvolumeclaims/{name}"
        objects[path] = {"metadata": {"name": name, "namespace": "n", "uid": name, "labels": labels}}
    return FakeServer(objects)


def test_a_purge_lists_what_it_takes():
    """Check mode only lists; claims of others are not among it."""
    server = with_runs(finalizers=[])
    result = run(server, check_mode=True, state="absent", claims_in=["n"])
    assert [(row["kind"], row["name"]) for row in result["removed"]] == [
        ("CodeRun", "r"),
        ("PersistentVolumeClaim", "workspace-shop"),
        ("PersistentVolumeClaim", "workspace-old"),
        ("CustomResourceDefinition", "coderuns.orchestrator.platform"),
        ("CustomResourceDefinition", "docsruns.orchestrator.platform"),
    ]
    assert server.writes == []


def test_a_purge_takes_it():
    server = with_runs(finalizers=[])
    assert run(server, state="absent", claims_in=["n"])["changed"]
    assert list(server.objects) == ["/api/v1/namespaces/n/persistentvolumeclaims/workspace-mine"]
    assert not run(server, state="absent", claims_in=["n"])["changed"]


def test_emptied_keeps_the_crds():
    server = with_runs(finalizers=[])
    result = run(server, state="emptied")
    assert [row["outcome"] for row in result["crds"]] == ["kept", "kept"]
    assert len(server.objects) == 5


def test_other_namespaces_keep_their_runs():
    """OR-A16: the runs of a namespace that goes are deleted, those of the namespace that stays are not."""
    server = with_runs(finalizers=[])
    assert not run(server, state="emptied", namespaces=["elsewhere"])["changed"]
    assert len(server.objects) == 6
    assert [row["name"] for row in run(server, state="emptied", namespaces=["n"])["removed"]] == ["r"]
    with pytest.raises(PlatformError, match="only goes with state emptied"):
        run(server, state="absent", namespaces=["n"])


def test_a_run_without_a_controller_is_let_go():
    """OR-A16: our finalizers only; one of somebody else is named."""
    server = with_runs(finalizers=["coderuns.orchestrator.io/finalizer"])
    assert run(server, state="emptied")["changed"]
    server = with_runs(finalizers=["example.org/mine"])
    with pytest.raises(PlatformError, match="CodeRun n/r"):
        run(server, state="emptied")


def test_a_crd_that_is_not_served_is_an_error():
    """Names that another CRD has taken do not heal by waiting."""
    server = FakeServer({})
    worker = Crds(server, [CODE], wait_s=0, dry_run=False)
    worker.apply([])
    (path,) = server.objects
    server.objects[path]["status"]["conditions"] = [{"type": "NamesAccepted", "status": "False", "message": "taken"}]
    with pytest.raises(PlatformError, match=r"does not serve CRD coderuns.*taken"):
        worker.wait_established()
    server.objects[path]["status"]["conditions"] = []
    with pytest.raises(PlatformError, match="not established after 0 s"):
        worker.wait_established()


def test_what_is_no_crd_is_refused():
    with pytest.raises(PlatformError, match=r"definitions\[0\] is no CustomResourceDefinition"):
        run(FakeServer({}), definitions=[{"kind": "ConfigMap", "spec": {}}])

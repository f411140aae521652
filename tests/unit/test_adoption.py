# SPDX-License-Identifier: GPL-3.0-or-later
# SPDX-FileCopyrightText: 2026 The orchestrator.platform authors
"""Moving hand-made objects to a Helm release, and the time a service is away meanwhile (issue 6.5; OR-309, OR-310, OR-A11)."""

from __future__ import annotations

import json

import pytest
from ansible_collections.orchestrator.platform.plugins.module_utils._adopting import Adoption
from ansible_collections.orchestrator.platform.plugins.module_utils._adoption import (
    leftovers,
    ownership,
    plan_object,
    settled,
)
from ansible_collections.orchestrator.platform.plugins.module_utils._backup import BY_KIND
from ansible_collections.orchestrator.platform.plugins.module_utils._errors import ManifestError, PlatformError
from ansible_collections.orchestrator.platform.plugins.module_utils._outage import Tick, outage_of
from hypothesis import given
from hypothesis import strategies as st

RELEASE = "orchestrator/orchestrator"


def wanted(kind: str = "Service", **spec) -> dict:
    metadata = {"name": "orchestrator", "namespace": "orchestrator"}
    return {"apiVersion": BY_KIND[kind].group_version, "kind": kind, "metadata": metadata, "spec": spec}


def live(kind: str = "Service", *, owner: str = "", name: str = "orchestrator", **spec) -> dict:
    metadata = {"name": name, "namespace": "orchestrator", "uid": "u"}
    if owner:
        namespace, _slash, release = owner.partition("/")
        metadata |= ownership(release, namespace)["metadata"]
    return {"metadata": metadata, "spec": spec}


@pytest.mark.parametrize(
    ("there", "outcome"),
    [
        (None, "create"),
        (live(), "adopt"),
        (live(owner=RELEASE), "owned"),
        (live(owner="elsewhere/other"), "conflict"),
    ],
)
def test_whose_an_object_is_decides(there, outcome):
    """OR-A11: Helm takes what carries its metadata, and nothing of another release is ever taken."""
    assert plan_object(wanted(), there, RELEASE).outcome == outcome


def test_a_selector_cannot_be_changed():
    """OR-A11: the old Deployment has to go first, also where it belongs to the release already; an equal one stays."""
    new = wanted("Deployment", selector={"matchLabels": {"app.kubernetes.io/name": "orchestrator"}})
    old = live("Deployment", selector={"matchLabels": {"app": "orchestrator"}})
    assert plan_object(new, old, RELEASE).outcome == "replace"
    labels = {"matchLabels": {"app.kubernetes.io/name": "orchestrator"}}
    assert plan_object(new, live("Deployment", owner=RELEASE, selector=labels), RELEASE).outcome == "owned"
    assert "would remain" in plan_object(new, live("Deployment", selector=labels), RELEASE).reason


def test_a_role_reference_cannot_be_changed():
    """A binding to another role is made anew too."""
    new, old = wanted("RoleBinding"), live("RoleBinding")
    new["roleRef"], old["roleRef"] = {"name": "orchestrator"}, {"name": "admin"}
    assert plan_object(new, old, RELEASE).outcome == "replace"
    old["roleRef"] = {"name": "orchestrator"}
    assert plan_object(new, old, RELEASE).outcome == "adopt"


def test_a_service_forgets_its_old_labels():
    """OR-A11: Helm only adds to what it takes over, and a Service with old and new labels selects nothing."""
    new = wanted(selector={"new": "x"}, ports=[{"name": "http", "port": 80}])
    old = live(selector={"app": "orchestrator"}, ports=[{"name": "web", "port": 80}])
    assert plan_object(new, old, RELEASE) == (
        *("Service", "orchestrator", "orchestrator", "adopt", "it loses spec.selector.app", "v1"),
    )
    assert settled(new, old) == {
        "spec": {"selector": {"new": "x", "app": None}, "ports": [{"name": "http", "port": 80}]}
    }
    assert settled(new, live(selector={"new": "x"}, ports=[{"name": "http", "port": 80, "nodePort": 1}])) is None


def test_a_configmap_forgets_its_old_keys():
    """All keys of the chart's ConfigMap become variables of the controller: an old one would too."""
    new = {**wanted("ConfigMap"), "data": {"A": "1"}}
    assert settled(new, {**live("ConfigMap"), "data": {"A": "0", "HELM_PATH": "x"}}) == {"data": {"HELM_PATH": None}}
    assert settled(new, {**live("ConfigMap"), "data": {"A": "0"}}) is None
    assert settled(wanted("Role"), live("Role")) is None


def test_what_is_on_its_way_out_is_no_ground_to_build_on():
    """An adopted object that is deleted a moment later would be missing in the release."""
    there = live()
    there["metadata"]["deletionTimestamp"] = "2026-01-01T00:00:00Z"
    assert plan_object(wanted(), there, RELEASE).outcome == "conflict"


def test_leftovers_are_told_and_data_is_told_apart():
    """OR-310: what nobody reads any more may go; runs, claims and Secrets never go by a clean-up."""
    owned = live("ConfigMap", name="of-a-job")
    owned["metadata"]["ownerReferences"] = [{"kind": "Job", "name": "j", "controller": True}]
    found = [
        (BY_KIND["ConfigMap"], live("ConfigMap", name="claude-code-helm-chart")),
        (BY_KIND["ConfigMap"], live("ConfigMap", name="kube-root-ca.crt")),
        (BY_KIND["ConfigMap"], owned),
        (BY_KIND["Secret"], {**live("Secret", name="orchestrator-secrets"), "type": "Opaque"}),
        (BY_KIND["CodeRun"], live("CodeRun", name="run")),
        (BY_KIND["Service"], live()),
    ]
    rows = [plan_object(wanted(), live(), RELEASE)]
    assert {(row.kind, row.name): row.outcome for row in leftovers(found, rows)} == {
        ("ConfigMap", "claude-code-helm-chart"): "left",
        ("Secret", "orchestrator-secrets"): "data",
        ("CodeRun", "run"): "data",
    }


class Recorder:
    """A cluster whose objects are a dict; it remembers what it was asked to write."""

    def __init__(self, *objects: tuple[str, dict]) -> None:
        self.there = dict(objects)
        self.writes: list[str] = []

    def each(self, function, items):
        return [function(item) for item in items]

    def find(self, path):
        return self.there.get(path)

    def items(self, path, **_params):
        return [item for key, item in self.there.items() if key.rpartition("/")[0] == path], ""

    def merge(self, path, body):
        self.writes.append(f"merge {path.rpartition('/')[2]} {json.dumps(body, sort_keys=True)[:40]}")

    def delete(self, path, *, uid):
        self.writes.append(f"delete {path.rpartition('/')[2]} {uid}")
        del self.there[path]


DEPLOYMENT = json.dumps(wanted("Deployment", selector={"matchLabels": {"new": "label"}}))
PATH = BY_KIND["Deployment"].path("orchestrator", "orchestrator")


def test_pods_end_before_their_deployment_goes():
    """Two controllers would work on the same runs (OR-A06), and a ReplicaSet would outlive its Deployment."""
    cluster = Recorder((PATH, live("Deployment", selector={"matchLabels": {"app": "orchestrator"}})))
    work = Adoption(cluster, DEPLOYMENT, name="orchestrator", namespace="orchestrator")
    work.plan()
    assert cluster.writes == []
    work.replace(wait_s=1)
    assert cluster.writes == ['merge orchestrator {"spec": {"replicas": 0}}', "delete orchestrator u"]


def test_a_conflict_stops_everything():
    """Issue 6, bad input: two releases of one name: the sentence names the other, and nothing was changed."""
    cluster = Recorder((PATH, live("Deployment", owner="elsewhere/other")))
    work = Adoption(cluster, DEPLOYMENT, name="orchestrator", namespace="orchestrator")
    with pytest.raises(PlatformError, match="elsewhere/other"):
        work.plan()
    assert cluster.writes == []


@pytest.mark.parametrize("text", ["just words", "{kind: Gadget, metadata: {name: x}}", "{kind: Service}"])
def test_a_manifest_without_sense_is_refused(text):
    """What cannot be looked at is not passed over in silence."""
    with pytest.raises(ManifestError, match="manifest"):
        Adoption(Recorder(), text, name="orchestrator", namespace="orchestrator")


# -- the outage ----------------------------------------------------------------------------------------------------


def ticks(text: str) -> list[Tick]:
    """A tick a second; x is an answer, a dot is none."""
    return [Tick(float(at), mark == "x") for at, mark in enumerate(text)]


@pytest.mark.parametrize(
    ("row", "total", "longest", "failed", "over"),
    [
        ("xxxx", 0, 0, 0, True),
        ("xx..xx", 2, 2, 2, True),
        ("x.x...x", 4, 3, 4, True),
        ("..xx", 0, 0, 0, True),
        ("xx..", 0, 0, 2, False),
        ("", 0, 0, 0, False),
    ],
)
def test_an_outage_lasts_until_the_next_answer(row, total, longest, failed, over):
    """Seconds count from the first question without answer; before the first answer there is nothing to lose."""
    seen = outage_of(ticks(row))
    assert (seen.total_s, seen.longest_s, seen.failed, seen.over) == (total, longest, failed, over)


@given(st.text(alphabet="x.", max_size=40))
def test_the_longest_is_part_of_the_whole(row):
    """Whatever comes: no negative time, and no single time longer than all together."""
    seen = outage_of(ticks(row))
    assert 0 <= seen.longest_s <= seen.total_s <= len(row)
    assert seen.probes == len(row)

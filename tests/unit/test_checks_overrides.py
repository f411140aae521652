# SPDX-License-Identifier: GPL-3.0-or-later
# SPDX-FileCopyrightText: 2026 The orchestrator.platform authors
"""What overrides make of a sidecar is as it is to be: no finding with them, findings without (issue 5.1, DM-166)."""

from __future__ import annotations

import pytest
from ansible_collections.orchestrator.platform.plugins.module_utils._catalogue import CHECKS
from ansible_collections.orchestrator.platform.plugins.module_utils._errors import OverrideError
from ansible_collections.orchestrator.platform.plugins.module_utils._expectation import Target
from ansible_collections.orchestrator.platform.plugins.module_utils._findings import run_checks
from ansible_collections.orchestrator.platform.plugins.module_utils._overrides import apply_to_watcher, parse_overrides
from ansible_collections.orchestrator.platform.plugins.module_utils._sidecar import FIELD_MANAGER, Options, plan_present
from ansible_collections.orchestrator.platform.plugins.module_utils._snapshot import View
from ansible_collections.orchestrator.platform.plugins.module_utils._snippet import parse_snippet
from ansible_collections.orchestrator.platform.plugins.modules import verification

from .conftest import HASH, WEBHOOK, answer_reviews, b64, fields_of

# Overrides -> the checks that complain where nobody tells them.
CASES = {
    "image": ({"image": "registry.example.org/team/discord-monitor:2"}, {"injection/drift"}),
    # A variable that the published watcher has not: one more is no drift.
    "thread": ({"thread_id": "123"}, set()),
    "memory": (
        {"memory_request": "40Mi", "memory_limit": "128Mi"},
        {"resources/requests", "resources/limits", "resources/memory-limit-as-specified"},
    ),
    "webhook": (
        {"webhook_secret_name": "team-webhook"},
        {"injection/drift", "secret-scope/expected-paths"},
    ),
}


def injected_with(snapshot, document: dict, overrides: dict) -> None:
    """The agent as the module leaves it that was given these overrides, and its pod."""
    snippet, own = parse_snippet(document, published_hash=HASH), parse_overrides(overrides)
    workload, pod = snapshot.objects[("deployments", "agents")][0], snapshot.objects[("pods", "agents")][0]
    live = workload["spec"]["template"]["spec"]
    bare = {"containers": [{**live["containers"][0], "volumeMounts": []}], "volumes": []}
    before = {**workload, "spec": {**workload["spec"], "template": {"metadata": {}, "spec": bare}}}
    before["metadata"] = {**workload["metadata"], "managedFields": []}
    body = plan_present(before, "Deployment", snippet, Options(native=True, bridge=True, overrides=own)).body
    fields = fields_of({"spec": body["spec"]})
    workload["metadata"]["managedFields"] = [{"manager": FIELD_MANAGER, "operation": "Apply", "fieldsV1": fields}]
    for spec in (live, pod["spec"]):
        spec["initContainers"][0] = {**apply_to_watcher(snippet.watcher, own), "restartPolicy": "Always"}
    names = {item["name"] for item in pod["spec"]["initContainers"][0]["env"]}
    place = ("agents", "coder-1", "discord-watcher")
    snapshot.inside[place] = snapshot.inside[place]._replace(env=frozenset(["PATH", *names]))
    if "webhook_secret_name" not in overrides:
        return
    secret = {"metadata": {"name": "team-webhook"}, "type": "Opaque", "data": {"DISCORD_WEBHOOK_URL": b64(WEBHOOK)}}
    snapshot.objects[("secrets", "agents")].append(secret)


def complaints(snapshot, expect) -> set[str]:
    answer_reviews(snapshot, expect)
    findings, _complete = run_checks(CHECKS, View(snapshot, expect))
    return {item["id"] for item in findings if item["verdict"] in ("fail", "warn")}


@pytest.mark.parametrize(("overrides", "checks"), CASES.values(), ids=CASES)
def test_override_of_the_run_is_what_is_compared_with(overrides, checks, snapshot, snippet_document, expect):
    """The module's argument says so; without it the same picture is a finding."""
    injected_with(snapshot, snippet_document, overrides)
    assert complaints(snapshot, expect._replace(targets=(Target(overrides=parse_overrides(overrides)),))) == set()
    assert complaints(snapshot, expect) >= checks


def test_override_of_a_single_target_is_what_its_workloads_are_compared_with(snapshot, snippet_document, expect):
    """sidecar_targets: the later entry that takes the workload in counts, and only that one (issue 5.1)."""
    injected_with(snapshot, snippet_document, CASES["memory"][0])
    own = parse_overrides(CASES["memory"][0])
    good = (Target(), Target(names=("coder",), overrides=own), Target(names=("other",)))
    assert complaints(snapshot, expect._replace(targets=good)) == set()
    for wrong in ((*good, Target()), (Target(names=("other",), overrides=own), Target())):
        assert complaints(snapshot, expect._replace(targets=wrong)) >= CASES["memory"][1]


def test_webhook_of_a_single_target_is_looked_for(snapshot, snippet_document, expect):
    injected_with(snapshot, snippet_document, CASES["webhook"][0])
    targets = (Target(overrides=parse_overrides(CASES["webhook"][0])),)
    assert complaints(snapshot, expect._replace(targets=targets)) == set()
    snapshot.objects[("secrets", "agents")].pop()
    assert complaints(snapshot, expect._replace(targets=targets)) == {"delivery/webhook-secret-present"}


def test_pods_of_a_cron_job_are_compared_with_its_target(snapshot, snippet_document, expect):
    """Between a CronJob and its pods stands a Job, and no selector."""
    injected_with(snapshot, snippet_document, CASES["memory"][0])
    workload, pod = snapshot.objects[("deployments", "agents")].pop(), snapshot.objects[("pods", "agents")][0]
    cron = {
        "metadata": workload["metadata"],
        "spec": {"jobTemplate": {"spec": {"template": workload["spec"]["template"]}}},
    }
    owned = [{"kind": "CronJob", "name": "coder", "controller": True}]
    snapshot.objects[("cronjobs", "agents")] = [cron]
    snapshot.objects[("jobs", "agents")] = [{"metadata": {"name": "coder-1", "ownerReferences": owned}, "spec": {}}]
    pod["metadata"]["ownerReferences"] = [{"kind": "Job", "name": "coder-1", "controller": True}]
    view = View(
        snapshot, expect._replace(targets=(Target(("CronJob",), overrides=parse_overrides(CASES["memory"][0])),))
    )
    (bearer,) = view.pods("agents")
    assert view.overrides(bearer).memory_limit == "128Mi"


def test_removed_by_a_later_target_is_no_target(snapshot, expect):
    view = View(snapshot, expect._replace(targets=(Target(), Target(present=False))))
    assert list(view.targets("agents")) == []


@pytest.mark.parametrize("place", ["workload", "template"])
@pytest.mark.parametrize(("overrides", "checks"), CASES.values(), ids=CASES)
def test_override_by_annotation_needs_no_argument(overrides, checks, place, snapshot, snippet_document, expect):
    """A workload's own annotation holds for its pods, too, wherever it stands."""
    injected_with(snapshot, snippet_document, overrides)
    notes = {"orchestrator.platform/" + field.replace("_", "-"): value for field, value in overrides.items()}
    workload, pod = snapshot.objects[("deployments", "agents")][0], snapshot.objects[("pods", "agents")][0]
    if place == "workload":
        workload["metadata"]["annotations"] = notes
    else:
        for bearer in (workload["spec"]["template"], pod):
            bearer["metadata"]["annotations"].update(notes)
    assert complaints(snapshot, expect) == set()


def test_sidecar_without_the_override_of_the_run_is_found(snapshot, expect):
    """The check can fail: the override was given, and the sidecar does not have it."""
    found = complaints(
        snapshot,
        expect._replace(targets=(Target(overrides=parse_overrides({"log_level": "debug", "cpu_limit": "1"})),)),
    )
    assert found == {"injection/drift", "resources/limits", "resources/memory-limit-as-specified"}


def test_annotation_that_cannot_be_used_changes_nothing(snapshot, expect):
    """The module sidecar refuses it with its own code; what is compared with stays as published."""
    meta = snapshot.objects[("deployments", "agents")][0]["metadata"]
    meta["annotations"] = {"orchestrator.platform/memory-limit": "lots"}
    assert {"resources/limits", "resources/memory-limit-as-specified"}.isdisjoint(complaints(snapshot, expect))


def test_argument_that_is_none_is_refused_by_name():
    """One sentence names the field and what there is."""
    params = {name: spec.get("default") for name, spec in verification.ARGUMENT_SPEC.items()}
    with pytest.raises(OverrideError, match="no override memory; there are: image"):
        verification.expectation({**params, "sidecar_overrides": {"memory": "64Mi"}})

# SPDX-License-Identifier: GPL-3.0-or-later
# SPDX-FileCopyrightText: 2026 The orchestrator.platform authors
"""Each check of the orchestrator passes on a healthy one, and finds its own broken thing (issue 6.9; OR-315…OR-325)."""

from __future__ import annotations

import json
from collections.abc import Callable

import pytest
from ansible_collections.orchestrator.platform.plugins.module_utils._catalogue import CHECKS
from ansible_collections.orchestrator.platform.plugins.module_utils._findings import run_checks
from ansible_collections.orchestrator.platform.plugins.module_utils._snapshot import (
    HttpAnswer,
    Snapshot,
    View,
    controllers_questions,
    orchestrator_address,
)

from .conftest import b64
from .orchestrator_picture import API_KEY, NAMESPACE, add_orchestrator, expected

OURS = [check for check in CHECKS if check.scope == "orchestrator"]


@pytest.fixture
def picture(snapshot) -> Snapshot:
    return add_orchestrator(snapshot)


@pytest.fixture
def wanted(expect):
    return expected(expect)


def first(snapshot: Snapshot, resource: str) -> dict:
    return snapshot.objects[(resource, NAMESPACE)][0]


def container(snapshot: Snapshot) -> dict:
    return first(snapshot, "deployments")["spec"]["template"]["spec"]["containers"][0]


def crd(snapshot: Snapshot) -> dict:
    return snapshot.objects[("customresourcedefinitions", "")][0]


def refuse_names(snapshot: Snapshot) -> None:
    message = '"cr" is already in use'
    crd(snapshot)["status"]["conditions"] = [{"type": "NamesAccepted", "status": "False", "message": message}]


def older_crd(snapshot: Snapshot) -> None:
    schema = crd(snapshot)["spec"]["versions"][0]["schema"]["openAPIV3Schema"]
    del schema["properties"]["spec"]["properties"]["promptModification"]


def key_is(snapshot: Snapshot, value: str) -> None:
    first(snapshot, "secrets")["data"] = {"ANTHROPIC_API_KEY": b64(value)} if value else {}


def deny(snapshot: Snapshot) -> None:
    snapshot.orchestrator_rights = {right: right.resource != "jobs" for right in snapshot.orchestrator_rights}


def pod_without_image(snapshot: Snapshot) -> None:
    deployment = first(snapshot, "deployments")
    deployment["status"]["availableReplicas"] = 0
    waiting = {"state": {"waiting": {"reason": "ImagePullBackOff", "message": "not found"}}}
    status = {"phase": "Pending", "containerStatuses": [{"name": "orchestrator", **waiting}]}
    labels = deployment["spec"]["selector"]["matchLabels"]
    pod = {"metadata": {"name": "o-1", "labels": labels}, "spec": {"containers": []}, "status": status}
    snapshot.objects[("pods", NAMESPACE)] = [pod]


CASES: list[tuple[str, str, Callable[[Snapshot], object]]] = [
    ("chart/crds-established", "gone", lambda s: s.objects[("customresourcedefinitions", "")].pop()),
    ("chart/crds-established", "names taken", refuse_names),
    ("chart/crds-current", "an older schema", older_crd),
    ("chart/orchestrator-released", "failed", lambda s: first(s, "releases")["metadata"]["labels"].update(status="failed")),
    ("chart/orchestrator-rollout", "not available", lambda s: first(s, "deployments")["status"].update(availableReplicas=0)),
    ("chart/orchestrator-rollout", "no image", pod_without_image),
    ("chart/orchestrator-endpoints", "not ready", lambda s: first(s, "endpointslices")["endpoints"][0]["conditions"].update(ready=False)),
    ("chart/orchestrator-endpoints", "no Service", lambda s: s.objects.update({("services", NAMESPACE): []})),
    ("chart/orchestrator-answers", "500", lambda s: setattr(s, "orchestrator_health", HttpAnswer(500, "no"))),
    ("chart/orchestrator-secret", "no such key", lambda s: key_is(s, "")),
    ("chart/orchestrator-secret", "line break", lambda s: key_is(s, API_KEY + "\n")),
    ("chart/orchestrator-secret", "another one for the agents", lambda s: s.objects[("configmaps", NAMESPACE)][1]["data"].update({"config.yaml": "secrets: {apiKeySecretName: foo-secrets}"})),
    ("chart/orchestrator-secret", "no variable", lambda s: container(s).update(env=[])),
    ("chart/orchestrator-mounts", "templates gone", lambda s: s.objects[("configmaps", NAMESPACE)].pop()),
    ("chart/orchestrator-mounts", "no mount", lambda s: container(s)["volumeMounts"].pop()),
    ("chart/orchestrator-rights", "no Jobs", deny),
    ("chart/orchestrator-pull-secrets", "gone", lambda s: s.objects[("secrets", NAMESPACE)].pop()),
    ("chart/orchestrator-ingress", "no class", lambda s: s.objects.update({("ingressclasses", ""): []})),
    ("chart/orchestrator-ingress", "no certificate", lambda s: s.objects[("secrets", NAMESPACE)].pop(1)),
    ("probes/orchestrator-liveness", "gone", lambda s: container(s).pop("livenessProbe")),
    ("probes/orchestrator-readiness", "another port", lambda s: container(s).update(readinessProbe={"httpGet": {"path": "/", "port": 1}})),
    ("resources/orchestrator", "no limit", lambda s: container(s)["resources"].pop("limits")),
]  # fmt: skip


def complaints(snapshot: Snapshot, expect) -> dict[str, str]:
    """Check id -> evidence, of everything that is not in order."""
    findings, complete = run_checks(CHECKS, View(snapshot, expect))
    assert complete
    return {item["id"]: item["evidence"] for item in findings if item["verdict"] in ("fail", "warn")}


def test_healthy_orchestrator_passes(picture, wanted):
    assert complaints(picture, wanted) == {}


def test_every_check_has_a_case():
    assert {check.id for check in OURS} == {check_id for check_id, _name, _break in CASES}


@pytest.mark.parametrize(("check_id", "name", "break_it"), CASES, ids=[f"{c[0]}: {c[1]}" for c in CASES])
def test_broken_thing_is_found_by_its_check_alone(check_id, name, break_it, picture, wanted):
    break_it(picture)
    found = complaints(picture, wanted)
    assert set(found) == {check_id}, (name, found)
    assert API_KEY not in json.dumps(found)


def test_reason_of_a_pod_stands_in_the_evidence(picture, wanted):
    """OR-322: who reads the report need not describe the pod first."""
    pod_without_image(picture)
    assert "ImagePullBackOff" in complaints(picture, wanted)["chart/orchestrator-rollout"]


def test_nothing_is_asked_of_an_orchestrator_that_is_not_expected(picture, expect):
    """platform_orchestrator: false: neither findings nor skips."""
    findings, _complete = run_checks(CHECKS, View(picture, expect))
    assert not {item["id"] for item in findings} & {check.id for check in OURS}


def test_absent_orchestrator_is_told_by_what_is_missing(picture, wanted):
    for resource in ("deployments", "services", "releases", "ingresses"):
        picture.objects[(resource, NAMESPACE)] = []
    assert set(complaints(picture, wanted)) == {
        "chart/orchestrator-released",
        "chart/orchestrator-rollout",
        "chart/orchestrator-endpoints",
    }


def test_check_mode_before_its_installation_fails_nothing(picture, wanted):
    """The monitor stands already, and the real run would have brought the rest before."""
    for resource in ("deployments", "services", "releases", "ingresses"):
        picture.objects[(resource, NAMESPACE)] = []
    picture.objects[("customresourcedefinitions", "")] = []
    findings, _complete = run_checks(CHECKS, View(picture, wanted), lenient=True)
    assert {item["verdict"] for item in findings} <= {"pass", "skip"}


def test_stopped_controller_is_no_fault(picture, wanted):
    """replicaCount 0 is a choice: nothing answers, and nothing is to."""
    deployment = first(picture, "deployments")
    deployment["spec"]["replicas"] = 0
    deployment["status"] = {"observedGeneration": 1}
    picture.objects[("endpointslices", NAMESPACE)] = []
    picture.orchestrator_health = None
    assert complaints(picture, wanted) == {}


def test_service_is_asked_through_the_proxy(picture, wanted):
    """OR-315: the path of the readiness probe, at the named port."""
    address = orchestrator_address(View(picture, wanted))
    assert address == "/api/v1/namespaces/orchestrator/services/orchestrator:http/proxy/health"


def test_rights_are_asked_where_runs_are(picture, wanted):
    """OR-317, and another namespace where config.kubernetesNamespace names one."""
    picture.objects[("configmaps", NAMESPACE)][0]["data"]["KUBERNETES_NAMESPACE"] = "runs"
    questions = list(controllers_questions(View(picture, wanted)))
    assert {who.user for who, _right in questions} == {"system:serviceaccount:orchestrator:orchestrator"}
    assert {right.namespace for _who, right in questions} == {"runs"}
    asked = {(right.verb, right.resource) for _who, right in questions}
    assert ("create", "jobs") in asked
    assert not {resource for _verb, resource in asked} & {"secrets"}


def test_rights_on_secrets_are_asked_where_runs_have_channels(picture, wanted):
    """Issue 8.3: without them every such run would wait for its channel."""
    [container] = picture.objects[("deployments", NAMESPACE)][0]["spec"]["template"]["spec"]["containers"]
    container.setdefault("env", []).append(
        {"name": "RUN_CHANNELS_CREDENTIAL_FILE", "value": "/run-channels/credential"}
    )
    asked = {(right.verb, right.resource) for _who, right in controllers_questions(View(picture, wanted))}
    assert {("create", "secrets"), ("delete", "secrets")} <= asked

# SPDX-License-Identifier: GPL-3.0-or-later
# SPDX-FileCopyrightText: 2026 The orchestrator.platform authors
"""Each check has a state of a real cluster in which it, and no other one, complains (issue 5.10; DM-146, DM-166, DM-188)."""

from __future__ import annotations

import json

import pytest
from ansible_collections.orchestrator.platform.plugins.module_utils._catalogue import CHECKS
from ansible_collections.orchestrator.platform.plugins.module_utils._errors import ApiError, PlatformError
from ansible_collections.orchestrator.platform.plugins.module_utils._suppressions import CHECKS as OF_SUPPRESSIONS

import states
from planted import API_TOKEN, ELSEWHERE, FAULTS, GOOD, UNKNOWN, check_of, expected
from states import API_KEY, TOKEN, WEBHOOK

testinfra_hosts = ["local://"]


def found(result: dict) -> dict[str, list[str]]:
    """Check id -> evidence, of everything that is not in order."""
    rows: dict[str, list[str]] = {}
    for item in result["findings"]:
        if item["verdict"] in ("fail", "warn"):
            rows.setdefault(item["id"], []).append(f"{item['subject']}: {item['evidence']}")
    return rows


def test_every_check_has_a_planted_fault_or_a_reason():
    """A check that is added to the catalogue is added here, too; none is in both tables."""
    planted = {check_of(name) for name in FAULTS}
    assert planted | ELSEWHERE.keys() == {check.id for check in [*CHECKS, *OF_SUPPRESSIONS]}
    assert not planted & ELSEWHERE.keys()


@pytest.mark.parametrize("name", GOOD)
def test_nothing_is_found_where_nothing_is_planted(cases, name):
    """The good state itself: without this the cases below would prove nothing."""
    assert found(cases.results[name]) == {}
    assert cases.results[name]["summary"]["complete"]


@pytest.mark.parametrize("name", UNKNOWN)
def test_what_cannot_be_compared_is_no_pass(cases, name):
    """Nothing is found, since nothing could be looked for: that is said, and the run is not complete."""
    result = cases.results[name]
    assert found(result) == {}
    assert not result["summary"]["complete"]
    skipped = [
        item for item in result["findings"] if item["verdict"] == "skip" and "were not looked for" in item["evidence"]
    ]
    assert {item["id"] for item in skipped} >= {"secret-scope/value-copies", "secret-scope/configmap-values"}


def test_selector_that_matches_nothing_is_named(cases):
    """A mistyped label: no workload is asked for its watcher, and the reader sees by what (issue 5, bad input)."""
    result = cases.verify("good", target_label_selectors=["app=codr"], checks=["injection/watcher-present"])
    (row,) = result["findings"]
    assert (row["verdict"], row["evidence"]) == ("skip", "no workload is selected (Deployment, labels app=codr)")


def test_selector_that_cannot_be_read_is_an_error(cases):
    with pytest.raises(PlatformError, match=r"The API server cannot read the selector 'app in \(a'.* Correct it"):
        cases.verify("good", target_label_selectors=["app in (a"])


def test_family_rbac_passes_nothing_for_who_may_read_nothing(cases):
    """Neither roles nor accounts may be listed, and no review asked for: every check is skipped (issue 5, bad input)."""
    result = cases.verify("good", limited=True, families=["rbac"])
    assert {item["verdict"] for item in result["findings"]} == {"skip"}
    assert not result["summary"]["complete"]


@pytest.mark.parametrize("name", FAULTS)
def test_the_planted_fault_is_found_by_exactly_its_check(cases, name):
    """By this check alone; where one fault cannot but break others, by these and no more."""
    rows = found(cases.results[name])
    skipped = [item["evidence"] for item in cases.results[name]["findings"] if item["verdict"] == "skip"]
    assert set(rows) == expected(name), (rows, skipped)


@pytest.mark.parametrize("name", FAULTS)
def test_a_finding_has_severity_evidence_and_a_hint_to_its_page(cases, name):
    """D13: what a reader needs stands in the finding; its severity is the check's, or a warning for a suspicion beside."""
    check_id = check_of(name)
    severity = {check.id: check.severity for check in [*CHECKS, *OF_SUPPRESSIONS]}[check_id]
    rows = [item for item in cases.results[name]["findings"] if item["id"] == check_id and item["hint"]]
    assert rows
    assert severity in {item["severity"] for item in rows} <= {severity, "warning"}
    assert all(item["evidence"] and f"docs/checks.md#{check_id.replace('/', '')}" in item["hint"] for item in rows)


@pytest.mark.parametrize("check_id", FAULTS)
def test_the_verdict_of_the_run_follows_from_the_severity(cases, check_id):
    """Only an error fails a run (fail_on: error)."""
    result = cases.results[check_id]
    errors = [item for item in result["findings"] if item["verdict"] == "fail" and item["severity"] == "error"]
    assert bool(result.get("failed")) == bool(errors)


def test_no_result_holds_a_value_of_a_secret(cases):
    """D6: the token and the webhook URL are in the cluster, in the ConfigMap and in the copy, and in no result."""
    text = json.dumps(cases.results)
    assert TOKEN not in text
    assert API_TOKEN not in text
    assert WEBHOOK.rsplit("/", 1)[1] not in text
    assert API_KEY not in text


def test_the_api_server_refuses_a_pod_security_level_that_does_not_exist(cases):
    """Why preflight/pod-security has no state here."""
    labels = {"pod-security.kubernetes.io/enforce": "strict", states.LABEL: "true"}
    with pytest.raises(ApiError, match=r"must be one of"):
        cases.maker.create({"kind": "Namespace", "metadata": {"name": f"{states.PREFIX}-strict", "labels": labels}})

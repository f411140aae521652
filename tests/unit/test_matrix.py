# SPDX-License-Identifier: GPL-3.0-or-later
# SPDX-FileCopyrightText: 2026 The orchestrator.platform authors
"""The secret-scope matrix: what is expected is there, what is more or missing shows as such (DM-166, DM-188)."""

from __future__ import annotations

import json

import pytest
from ansible_collections.orchestrator.platform.plugins.module_utils._expectation import Allowed
from ansible_collections.orchestrator.platform.plugins.module_utils._matrix import gaps, matrix
from ansible_collections.orchestrator.platform.plugins.module_utils._snapshot import View

from .conftest import TOKEN, WEBHOOK
from .test_checks import CASES, api_token, complaints, grant, obj, pod, secret_env, token_secret, workload


def rows(snapshot, expect) -> set[tuple]:
    return {
        (
            row["subject"]["kind"],
            row["subject"]["container"] or row["subject"]["name"],
            row["secret"],
            row["path"],
            row["expected"],
            row["found"],
        )
        for row in matrix(View(snapshot, expect))
    }


def own(snapshot) -> None:
    """Pods as the controllers make them."""
    obj(snapshot, "pods", "agents")["metadata"]["ownerReferences"] = [
        {"kind": "ReplicaSet", "name": "coder-5d9f", "controller": True}
    ]
    obj(snapshot, "pods", "monitor")["metadata"]["ownerReferences"] = [
        {"kind": "ReplicaSet", "name": "discord-monitor-7c", "controller": True}
    ]


EXPECTED = {
    ("Deployment", "bot", "monitor/discord-monitor-bot", "env", True, True),
    ("Deployment", "discord-watcher", "agents/discord-secrets", "env", True, True),
    ("Deployment", "agent", "agents/discord-secrets", "", False, False),
    ("Deployment", "input-bridge", "agents/discord-secrets", "", False, False),
    ("Deployment", "input-bridge", "agents/discord-input", "env", True, True),
    ("Deployment", "agent", "agents/discord-input", "shared-volume", True, True),
    ("Deployment", "discord-watcher", "agents/discord-input", "", False, False),
}


def test_healthy_matrix_is_exactly_the_expected_one(snapshot, expect):
    """One cell each for bot, watcher and bridge, whose words the agent reads; who stands beside them has no way."""
    own(snapshot)
    assert rows(snapshot, expect) == EXPECTED


def test_pod_without_owner_speaks_for_itself(snapshot, expect):
    assert {row[0] for row in rows(snapshot, expect)} == {"Deployment", "Pod"}


def test_pod_that_differs_from_its_workload_has_rows_of_its_own(snapshot, expect):
    own(snapshot)
    pod(snapshot)["containers"][0]["env"] = secret_env("discord-secrets")
    # The agent holds it now, and shares a volume that it may write with the bridge.
    assert rows(snapshot, expect) - EXPECTED == {
        ("Pod", "agent", "agents/discord-secrets", "env", False, True),
        ("Pod", "input-bridge", "agents/discord-secrets", "shared-volume", False, True),
    }


def test_more_shows_as_found_and_not_expected(snapshot, expect):
    own(snapshot)
    workload(snapshot)["containers"][0]["envFrom"] = [{"secretRef": {"name": "discord-monitor-bot"}}]
    assert ("Deployment", "agent", "agents/discord-monitor-bot", "env-from", False, True) in rows(snapshot, expect)


def test_watcher_added_later_hands_its_secret_to_what_it_aims_at(snapshot, expect):
    """An ephemeral container by the watcher's name may hold the webhook; the agent whose processes it shares may not."""
    own(snapshot)
    watcher = {
        "name": "discord-watcher",
        "image": "x",
        "env": secret_env("discord-secrets"),
        "targetContainerName": "agent",
    }
    pod(snapshot)["ephemeralContainers"] = [watcher]
    pod(snapshot)["initContainers"] = [
        item for item in pod(snapshot)["initContainers"] if item["name"] != "discord-watcher"
    ]
    red = {row for row in rows(snapshot, expect) if row[4] != row[5] and row[3]}
    assert red == {("Pod", "agent", "agents/discord-secrets", "process-namespace", False, True)}
    told = [item for item in complaints(snapshot, expect) if item["id"] == "secret-scope/share-process-namespace"]
    assert [item["subject"]["container"] for item in told] == ["discord-watcher"]


def test_missing_shows_as_expected_and_not_found(snapshot, expect):
    own(snapshot)
    workload(snapshot)["initContainers"][0]["env"] = []
    assert ("Deployment", "discord-watcher", "agents/discord-secrets", "env", True, False) in rows(snapshot, expect)


def test_webhook_secret_chosen_by_annotation_is_the_expected_one(snapshot, expect):
    """A workload of its own channel."""
    own(snapshot)
    obj(snapshot, "deployments", "agents")["metadata"]["annotations"] = {
        "orchestrator.platform/webhook-secret-name": "mine"
    }
    watcher = workload(snapshot)["initContainers"][0]
    watcher["env"][0]["valueFrom"]["secretKeyRef"]["name"] = "mine"
    workload(snapshot)["containers"][0]["env"] = secret_env("mine")
    found = rows(snapshot, expect)
    assert ("Deployment", "discord-watcher", "agents/mine", "env", True, True) in found
    assert ("Deployment", "agent", "agents/mine", "env", False, True) in found


def test_account_that_reads_is_a_subject_and_so_is_who_holds_its_token(snapshot, expect):
    own(snapshot)
    api_token(snapshot)
    workload(snapshot)["automountServiceAccountToken"] = False
    grant(snapshot, "get", "secrets", namespace="monitor")
    found = rows(snapshot, expect) - EXPECTED
    assert found == {
        ("ServiceAccount", "default", "monitor/discord-monitor-bot", "api-get", False, True),
        ("Pod", "discord-watcher", "monitor/discord-monitor-bot", "api-token", False, True),
    }


def test_token_kept_in_a_secret_is_a_way_too(snapshot, expect):
    """The account's rights travel with the Secret, into a pod that runs as somebody else."""
    own(snapshot)
    token_secret(snapshot)
    for spec in (workload(snapshot), pod(snapshot)):
        spec["automountServiceAccountToken"] = False
        spec["serviceAccountName"] = "harmless"
        spec["containers"][0]["env"] = secret_env("t")
    grant(snapshot, "list", "secrets", namespace="monitor")
    found = rows(snapshot, expect) - EXPECTED
    assert ("Deployment", "agent", "monitor/discord-monitor-bot", "api-token", False, True) in found
    assert {row[1] for row in found if row[3] == "api-token"} == {"agent"}


def test_allowed_account_is_expected(snapshot, expect):
    own(snapshot)
    workload(snapshot)["automountServiceAccountToken"] = False
    grant(snapshot, "get", "secrets")
    allowed = expect._replace(rbac_allowed=(Allowed("agents/def*", ("rbac/read-secrets",)),))
    assert ("ServiceAccount", "default", "agents/discord-secrets", "api-get", True, True) in rows(snapshot, allowed)


def test_matrix_holds_names_only(snapshot, expect):
    """D6."""
    text = json.dumps(matrix(View(snapshot, expect)))
    assert TOKEN not in text
    assert WEBHOOK not in text


def test_unreadable_namespace_has_no_rows_and_no_error(snapshot, expect):
    own(snapshot)
    snapshot.unread[("pods", "agents")] = "no permission to list pods in agents"
    assert {row[2] for row in rows(snapshot, expect)} == {"monitor/discord-monitor-bot"}


@pytest.mark.parametrize(
    ("place", "told"),
    [
        (("pods", "agents"), True),
        (("secrets", "monitor"), True),
        (("reviews", ""), True),
        (("services", "agents"), False),
    ],
)
def test_gaps_are_what_the_rows_are_made_of(snapshot, expect, place, told):
    """Issue 5.2: what could not be read has no rows, and whoever shows the matrix is told why."""
    assert gaps(View(snapshot, expect)) == []
    snapshot.unread[place] = "no permission"
    assert gaps(View(snapshot, expect)) == (["no permission"] if told else [])


def test_no_agent_namespace_is_a_gap(snapshot, expect):
    assert gaps(View(snapshot, expect._replace(agent_namespaces=()))) != []


@pytest.mark.parametrize("broken", [case[2] for case in CASES], ids=[f"{c[0]}: {c[1]}" for c in CASES])
def test_a_row_that_must_not_be_has_a_finding(broken, snapshot, expect):
    """Matrix and findings are of one list: a red cell beside `everything holds` would be a lie of one of the two."""
    broken(snapshot)
    deviating = [row for row in matrix(View(snapshot, expect)) if row["found"] != row["expected"] and row["path"]]
    families = {item["id"].partition("/")[0] for item in complaints(snapshot, expect)}
    assert not deviating or families & {"secret-scope", "rbac"}, deviating

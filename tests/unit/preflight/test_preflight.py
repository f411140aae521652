# SPDX-License-Identifier: GPL-3.0-or-later
# SPDX-FileCopyrightText: 2026 The orchestrator.platform authors
"""Judgements of the preflight on objects as the API server gives them (D5, D13, D15)."""

from __future__ import annotations

import base64
import gzip
import json
import re
from pathlib import Path

import pytest
import yaml
from ansible.parsing.dataloader import DataLoader
from ansible.template import Templar, trust_as_template
from ansible_collections.orchestrator.platform.plugins.module_utils import _kubeconfig as kubeconfig
from ansible_collections.orchestrator.platform.plugins.module_utils import _preflight as judge
from ansible_collections.orchestrator.platform.plugins.module_utils._workloads import ANNOTATION_HASH

ROLE = Path(__file__).resolve().parents[3] / "roles" / "preflight"
SIDECAR = {"requests": {"cpu": "10m", "memory": "32Mi"}, "limits": {"cpu": "100m", "memory": "64Mi"}}


@pytest.mark.parametrize(
    ("version", "verdict"), [("v1.29.0", "pass"), ("v1.36.3", "pass"), ("v1.28.15", "fail"), ("v1.9.0", "fail")]
)
def test_server_version_is_compared_as_numbers(version, verdict):
    """1.9 is older than 1.29 (D15)."""
    assert judge.judge_server_version(version, "1.29")["verdict"] == verdict


def test_namespace_in_deletion():
    """A namespace with a deletion timestamp fails, whatever its phase says."""
    live = {"metadata": {"name": "a", "deletionTimestamp": "2026-01-01T00:00:00Z"}, "status": {"phase": "Active"}}
    [row] = judge.judge_namespace("a", live, create=True, strictest="restricted")
    assert (row["id"], row["verdict"]) == ("preflight/namespace-terminating", "fail")


@pytest.mark.parametrize(("create", "verdict"), [(True, "pass"), (False, "fail")])
def test_missing_namespace(create, verdict):
    """A missing namespace is a problem only where nobody may create it."""
    [row] = judge.judge_namespace("a", None, create=create, strictest="restricted")
    assert row["verdict"] == verdict


@pytest.mark.parametrize(
    ("level", "strictest", "verdict"),
    [("restricted", "restricted", "pass"), ("restricted", "baseline", "fail"), ("strict", "restricted", "warn")],
)
def test_pod_security_level(level, strictest, verdict):
    """A level stricter than our pods fails, one that does not exist warns."""
    live = {"metadata": {"name": "a", "labels": {judge.ENFORCE_LABEL: level}}}
    rows = judge.judge_namespace("a", live, create=True, strictest=strictest)
    assert [row["verdict"] for row in rows if row["id"].endswith("pod-security")] == [verdict]


@pytest.mark.parametrize(
    ("hard", "used", "verdict"),
    [
        ({"limits.memory": "200Mi"}, {"limits.memory": "0"}, "pass"),
        ({"limits.memory": "191Mi"}, {"limits.memory": "0"}, "fail"),
        ({"cpu": "1"}, {"cpu": "980m"}, "fail"),
        ({"pods": "1", "count/secrets": "1"}, {"pods": "1"}, "pass"),
    ],
)
def test_quota_counts_every_pod(hard, used, verdict):
    """Three pods need three times the sidecar's figures; a bare resource name means requests."""
    quota = {"metadata": {"name": "q"}, "status": {"hard": hard, "used": used}}
    assert judge.judge_quota("a", quota, 3, SIDECAR)["verdict"] == verdict


def test_injected_deployments_need_no_more_room():
    """Only Deployments without the marker are counted, by their replicas."""
    plain = {"spec": {"replicas": 3, "template": {"metadata": {}}}}
    injected = {"spec": {"replicas": 5, "template": {"metadata": {"annotations": {ANNOTATION_HASH: "x"}}}}}
    assert judge.pods_to_inject([plain, injected]) == 3


def test_latest_record_is_the_highest_number():
    """Revision 10 is newer than 9, although its text sorts before it."""
    items = [
        {"metadata": {"name": f"v{n}", "labels": {"version": str(n), "status": "x"}, "creationTimestamp": "t"}}
        for n in (9, 10, 2)
    ]
    assert judge.latest_record(items)["revision"] == 10


@pytest.mark.parametrize("status", judge.UNFINISHED_STATUSES)
def test_unfinished_release_names_its_remedy(status):
    """A stuck release says since when, and which Secret the recovery deletes."""
    record = {"status": status, "revision": 3, "since": "yesterday", "secret": "s.v3"}
    row = judge.judge_release("r", "n", record)
    assert row["verdict"] == "fail"
    assert "yesterday" in row["evidence"]
    assert "s.v3" in row["hint"]


def test_release_differences_name_paths_not_contents():
    """An upgrade is told by the path of each value and by the chart's fields."""
    record = {"chart": {"metadata": {"name": "c", "version": "1"}}, "config": {"a": {"b": "old", "same": 1}}}
    data = base64.b64encode(base64.b64encode(gzip.compress(json.dumps(record).encode()))).decode()
    wanted = {"values": {"a": {"b": "new", "same": 1}, "c": 1}, "chart_name": "c", "chart_version": "2"}
    assert judge.release_differences(judge.decode_record(data), wanted) == ["a.b", "c", "(chart version)"]


def test_expected_secret_is_judged_by_its_keys():
    """The value is looked at for being empty, and is in no sentence."""
    row = {"namespace": "n", "name": "s", "key": "K", "purpose": "token", "variable": "v"}
    assert judge.judge_secret(row, {"data": {"K": "czNjcmV0"}})["verdict"] == "pass"
    for live in (None, {"data": {}}, {"data": {"K": ""}}, {"data": {"L": "czNjcmV0"}}):
        refused = judge.judge_secret(row, live)
        assert refused["verdict"] == "fail"
        assert "czNjcmV0" not in str(refused)


OURS = {"app.kubernetes.io/managed-by": "orchestrator.platform"}
WANTED = {"labels": {**OURS, "part-of": "us"}, "data": {"K": "s3cret"}}


@pytest.mark.parametrize(
    ("labels", "data", "differs"),
    [
        ({**OURS, "part-of": "us"}, {"K": "czNjcmV0"}, False),
        ({**OURS, "part-of": "us", "x": "y"}, {"K": "czNjcmV0", "L": "eA=="}, False),
        ({**OURS, "part-of": "us"}, {"K": "b3RoZXI="}, True),
        ({**OURS, "part-of": "us"}, {"L": "czNjcmV0"}, True),
        ({**OURS, "part-of": "them"}, {"K": "czNjcmV0"}, True),
        ({"part-of": "them"}, {"K": "czNjcmV0"}, False),
        ({"part-of": "them"}, {"K": "b3RoZXI="}, True),
        (None, None, True),
    ],
)
def test_a_secret_is_written_when_a_wanted_label_or_value_is_not_there(labels, data, differs):
    """Zero writes where nothing differs (D5); keys and labels of others do not count, nor ours on a Secret of theirs."""
    assert judge.secret_differs(WANTED, {"metadata": {"labels": labels}, "data": data}) is differs


def test_an_absent_secret_is_written_and_ours():
    """What is not there yet belongs to nobody else."""
    assert judge.secret_differs(WANTED, None)
    assert not judge.secret_is_foreign(WANTED, None)


@pytest.mark.parametrize(
    ("labels", "foreign"), [(OURS, False), ({"app.kubernetes.io/managed-by": "Helm"}, True), ({}, True)]
)
def test_a_secret_without_our_label_is_somebody_elses(labels, foreign):
    """It gets our key and no label, so that uninstalling leaves it."""
    assert judge.secret_is_foreign(WANTED, {"metadata": {"labels": labels}}) is foreign


def test_permissions_of_one_namespace_are_one_sentence():
    """Many lacking permissions make one finding a namespace; nodes only warn."""
    needed = judge.permissions_needed("mon", ["a"], create_namespaces=False)
    rows = judge.judge_permissions(needed, set(needed), "User u")
    verdicts = {(row["subject"]["name"], row["severity"]): row["verdict"] for row in rows}
    assert verdicts == {("", "warning"): "warn", ("mon", "error"): "fail", ("a", "error"): "fail"}


@pytest.mark.parametrize(
    ("kinds", "resources"),
    [
        (["Deployment"], {"deployments"}),
        (["StatefulSet", "DaemonSet"], {"statefulsets", "daemonsets"}),
        (["CronJob"], {"cronjobs"}),
    ],
)
def test_rights_to_workloads_are_those_of_the_kinds_that_get_a_sidecar(kinds, resources):
    needed = judge.permissions_needed("", ["a"], create_namespaces=False, kinds=kinds)
    found = {(one.group, one.resource) for one in needed if one.namespace == "a" and one.group in ("apps", "batch")}
    assert {resource for _group, resource in found} == resources
    assert {group for group, _resource in found} == {"batch" if kinds == ["CronJob"] else "apps"}


def test_a_command_in_a_container_needs_both_rights():
    """A websocket is a get, which Kubernetes 1.35 and newer takes for a create too."""
    needed = judge.permissions_needed("mon", ["a"], create_namespaces=False)
    assert {one.verb for one in needed if one.subresource == "exec"} == {"get", "create"}


def policy_rights(*policies: str) -> set[tuple[str, str, str]]:
    """(verb, resource, namespace) beyond what a run without policies needs."""

    def asked(chosen: tuple[str, ...]) -> set:
        return set(judge.permissions_needed("mon", ["a", "b"], create_namespaces=False, policies=chosen))

    return {(one.verb, one.resource, one.namespace) for one in asked(policies) - asked(())}


def test_policies_need_rights_of_their_own():
    """Issue 4.3, issue 5.3: the kinds of the policy that is switched on, in the cluster, and pods for its trial."""
    verbs = ("get", "create", "patch", "delete")
    enforce = {(verb, f"validatingadmission{kind}", "") for verb in verbs for kind in ("policies", "policybindings")}
    inject = {(verb, f"mutatingadmission{kind}", "") for verb in verbs for kind in ("policies", "policybindings")}
    trial = {(verb, "pods", name) for verb in ("get", "create") for name in ("a", "b")}
    assert policy_rights("enforce") == enforce
    assert policy_rights("inject") == inject | trial
    assert policy_rights("inject", "enforce") == enforce | inject | trial


def test_lacking_right_to_policies_is_one_sentence_about_the_cluster():
    """Whoever may not write policies learns it before anything is written."""
    needed = judge.permissions_needed("mon", ["a"], create_namespaces=False, policies=["enforce"])
    denied = {one for one in needed if one.group == "admissionregistration.k8s.io"}
    [row] = [one for one in judge.judge_permissions(needed, denied, "User u") if one["verdict"] == "fail"]
    assert "in the cluster: get validatingadmissionpolicies.admissionregistration.k8s.io" in row["evidence"]
    assert "bind a ClusterRole" in row["hint"]


@pytest.mark.parametrize(
    ("admission", "enforce", "values", "policies"),
    [
        (False, "off", {}, []),
        (False, False, {"admission": {"bridge": True}}, []),
        (True, "warn", {}, ["inject", "enforce"]),
        ("true", "off", {}, ["inject"]),
        (False, "off", {"admission": {"enabled": True}, "enforcement": {"mode": "deny"}}, ["inject", "enforce"]),
        (True, "deny", {"admission": {"enabled": False}, "enforcement": {"mode": "off"}}, []),
    ],
)
def test_role_asks_for_the_policies_that_it_will_bring(admission, enforce, values, policies):
    """The user's values win over the variables, as in role discord_monitor."""
    source = yaml.safe_load((ROLE / "vars" / "main.yml").read_text(encoding="utf-8"))["__preflight_policies"]
    given = {"preflight_admission": admission, "preflight_enforce": enforce, "preflight_values": values}
    assert Templar(loader=DataLoader(), variables=given).template(trust_as_template(source)) == policies


@pytest.mark.parametrize(
    ("text", "context", "check"),
    [
        (None, None, "kubeconfig"),
        ("{{: x", None, "kubeconfig"),
        ("contexts: []", None, "context"),
        ("{current-context: a, contexts: [{name: a}]}", "b", "context"),
    ],
)
def test_kubeconfig_problems(tmp_path, text, context, check):
    """A missing or broken file and a context that is not there each stop with one sentence."""
    path = tmp_path / "config"
    if text is not None:
        path.write_text(text, encoding="utf-8")
    with pytest.raises(kubeconfig.PreflightStopError) as stopped:
        kubeconfig.check_kubeconfig([str(path)], context)
    assert stopped.value.check == check
    assert str(path) in stopped.value.evidence


def test_context_of_a_good_kubeconfig(tmp_path):
    """Without a wish the file's current context is taken."""
    path = tmp_path / "config"
    path.write_text("{current-context: a, contexts: [{name: a}, {name: b}]}", encoding="utf-8")
    assert kubeconfig.check_kubeconfig([str(path)], None) == "a"
    assert kubeconfig.check_kubeconfig([str(path)], "b") == "b"


def test_the_orchestrator_needs_rights_of_its_own():
    """Issue 6, bad input: cluster mode asks for cluster roles, namespaced mode for roles; CRDs only where they are brought."""

    def asked(**options) -> set:
        wanted = judge.OrchestratorRights("o", **options)
        needed = judge.permissions_needed("mon", ["a"], create_namespaces=False, orchestrator=wanted)
        return {(one.resource, one.namespace) for one in needed}

    assert {("roles", "o"), ("customresourcedefinitions", "")} <= asked()
    assert ("clusterroles", "") not in asked()
    assert ("clusterroles", "") in asked(cluster_wide=True)
    assert ("roles", "o") not in asked(cluster_wide=True)
    assert ("customresourcedefinitions", "") not in asked(crds=False)


def records(*statuses: str) -> list[dict]:
    """Newest first."""
    return [{"revision": len(statuses) - at, "status": status, "secret": "s"} for at, status in enumerate(statuses)]


@pytest.mark.parametrize(
    ("statuses", "wanted", "target"),
    [
        (("deployed", "superseded"), 0, 1),
        (("failed", "deployed"), 0, 1),
        (("deployed", "failed", "superseded"), 0, 1),
        (("deployed", "superseded", "superseded"), 1, 1),
    ],
)
def test_rollback_goes_to_the_newest_revision_that_stood(statuses, wanted, target):
    """Issue 6.7: unlike helm rollback, which takes the one before, failed or not."""
    row, found = judge.judge_rollback("r", "n", records(*statuses), wanted)
    assert (row["verdict"], found["revision"]) == ("pass", target)


@pytest.mark.parametrize(
    ("statuses", "wanted", "says"),
    [
        ((), 0, "is not installed"),
        (("deployed",), 0, "its first: there is no earlier one .* restore a backup"),
        (("deployed", "superseded"), 7, r"no earlier revision 7\. Name one that Helm has kept \(1\)"),
        (("deployed", "failed"), 0, "no earlier revision that stood"),
        (("deployed", "failed"), 1, "never stood: it is failed"),
    ],
)
def test_rollback_that_leads_nowhere_says_so(statuses, wanted, says):
    """OR-A12: after a first installation there is nothing to go back to."""
    row, found = judge.judge_rollback("r", "n", records(*statuses), wanted)
    assert (row["verdict"], found) == ("fail", None)
    assert re.search(says, judge.sentences([row], "fail")[0])


def test_fields_that_would_be_lost_are_named():
    """With the objects, and cut where there are many."""
    lost = {f"CodeRun n/r{number}": ["spec.promptModification"] for number in range(7)}
    row = judge.judge_lost_fields(3, lost)
    assert "CodeRun n/r0: spec.promptModification" in row["evidence"]
    assert row["evidence"].endswith("and 2 more.")
    assert judge.judge_lost_fields(3, {})["verdict"] == "pass"


def test_two_releases_of_one_name_meet_only_with_cluster_wide_rights():
    """Issue 6, bad input; OR-A41."""
    assert judge.judge_elsewhere("o", "n", ["m"], cluster_wide=False)["verdict"] == "pass"
    assert judge.judge_elsewhere("o", "n", [], cluster_wide=True)["verdict"] == "pass"
    assert "installed in namespace m" in judge.judge_elsewhere("o", "n", ["m"], cluster_wide=True)["evidence"]


def test_a_host_of_another_ingress_is_taken():
    """Our own Ingress does not count."""
    rules = {"rules": [{"host": "o.example.org"}]}
    other = {"metadata": {"name": "shop", "namespace": "m"}, "spec": rules}
    ours = {"metadata": {"name": "o", "namespace": "n", "labels": {"app.kubernetes.io/instance": "o"}}, "spec": rules}
    assert judge.judge_ingress_host("o.example.org", [ours], "o", "n")["verdict"] == "pass"
    assert "taken by Ingress m/shop" in judge.judge_ingress_host("o.example.org", [ours, other], "o", "n")["evidence"]
    assert judge.judge_ingress_host("p.example.org", [other], "o", "n")["verdict"] == "pass"

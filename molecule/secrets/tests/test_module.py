# SPDX-License-Identifier: GPL-3.0-or-later
# SPDX-FileCopyrightText: 2026 The orchestrator.platform authors
"""Module secret on a real API server: zero writes, all or nothing, never by force (issue 6.4, D1, D2, D5, D6)."""

from __future__ import annotations

import base64
import json

import pytest

from secret_runs import OTHER, RUNS, Module, values, versions, want

testinfra_hosts = ["local://"]

CANARY = "canary-of-the-module-secret-77aa"


def codes(result: dict) -> dict[str, str]:
    return {row["name"]: row["code"] for row in result["secrets"]}


def manifest(name: str, **more: object) -> str:
    return json.dumps(
        {"apiVersion": "v1", "kind": "Secret", "metadata": {"name": name, "namespace": RUNS}, "stringData": {"k": "theirs"}, **more}
    )  # fmt: skip


def test_many_in_one_task_and_a_second_run_without_a_write(cluster, module, name):
    """D2, D5: one read a namespace; as wanted is as sent."""
    rows = [want(f"{name}-{n}", namespace=RUNS if n % 2 else OTHER) for n in range(40)]
    first = module(*rows)
    assert first["summary"]["created"] == 40
    assert first["api_calls"] == {"total": 2 + 40 + 40, "writes": 40}
    before = versions(cluster)
    second = module(*rows)
    assert (second["changed"], second["summary"]["unchanged"]) == (False, 40)
    assert second["api_calls"] == {"total": 2, "writes": 0}
    assert versions(cluster) == before
    removed = module(*rows, state="absent")
    assert removed["summary"]["removed"] == 40
    assert not [one for one in versions(cluster) if name in one]
    assert module(*rows, state="absent")["api_calls"]["writes"] == 0


def test_a_changed_key_is_updated_in_place(cluster, module, name):
    module(want(name, keys={"a": "1", "b": "2"}))
    uid = cluster.get("secret", name, RUNS)["metadata"]["uid"]
    result = module(want(name, keys={"a": "1", "b": "3"}, labels={"x": "y"}))
    (row,) = result["secrets"]
    assert (row["outcome"], row["changed_keys"]) == ("updated", ["b"])
    assert values(cluster, name) == {"a": "1", "b": "3"}
    live = cluster.get("secret", name, RUNS)
    assert live["metadata"]["uid"] == uid
    assert live["metadata"]["labels"]["app.kubernetes.io/managed-by"] == "orchestrator.platform"
    assert live["metadata"]["labels"]["x"] == "y"


def test_keys_not_named_go_and_those_of_others_stay(cluster, module, name):
    module(want(name, keys={"a": "1", "b": "2"}))
    patch = json.dumps({"stringData": {"theirs": "3"}})
    cluster.kubectl("patch", "secret", name, "--namespace", RUNS, "--type=merge", "--patch", patch)
    assert codes(module(want(name, keys={"a": "1"}, prune=False))) == {name: "as_wanted"}
    (row,) = module(want(name, keys={"a": "1"}))["secrets"]
    assert row["changed_keys"] == ["b"]
    assert values(cluster, name) == {"a": "1", "theirs": "3"}
    assert codes(module(want(name, keys={"a": "1"}))) == {name: "as_wanted"}


def test_somebody_elses_secret_is_left_alone_and_stops_the_rest(cluster, module, name):
    """All or nothing: the good one is not written either, and each row says why."""
    cluster.kubectl("create", "--filename=-", stdin=manifest(name))
    before = versions(cluster)
    result = module(want(name), want(f"{name}-2"))
    assert result["failed"]
    assert codes(result) == {name: "not_ours", f"{name}-2": "not_reached"}
    assert f"Secret {RUNS}/{name}: A Secret of this name is there and is not ours" in result["msg"]
    assert versions(cluster) == before
    assert codes(module(want(name, keys={"k": "theirs"}))) == {name: "not_ours_same"}
    assert codes(module(want(name), state="absent")) == {name: "not_ours"}
    assert values(cluster, name) == {"k": "theirs"}


def test_a_key_that_another_manager_has_taken_is_a_conflict(cluster, module, name):
    """D1: never by force; the sentence names the manager and the field."""
    module(want(name))
    theirs = json.loads(manifest(name))
    theirs["data"] = {"k": base64.b64encode(theirs.pop("stringData")["k"].encode()).decode()}
    force = ("--server-side", "--force-conflicts", "--field-manager=rotator")
    cluster.kubectl("apply", *force, "--filename=-", stdin=json.dumps(theirs))
    before = versions(cluster)
    result = module(want(name, keys={"k": "ours"}), want(f"{name}-2"))
    assert codes(result) == {name: "field_conflict", f"{name}-2": "not_reached"}
    assert "Field .data.k belongs to rotator" in result["msg"]
    assert versions(cluster) == before


def test_an_immutable_secret_is_made_anew_only_on_request(cluster, module, name):
    module(want(name, immutable=True))
    uid = cluster.get("secret", name, RUNS)["metadata"]["uid"]
    changed = want(name, immutable=True, keys={"k": "value-2"})
    refused = module(changed)
    assert codes(refused) == {name: "immutable"}
    assert "set recreate: true" in refused["msg"]
    assert values(cluster, name) == {"k": "value-1"}
    tried = module(changed, recreate=True, check=True)
    assert (codes(tried), cluster.get("secret", name, RUNS)["metadata"]["uid"]) == ({name: "recreated"}, uid)
    assert codes(module(changed, recreate=True)) == {name: "recreated"}
    live = cluster.get("secret", name, RUNS)
    assert (live["metadata"]["uid"] != uid, live["immutable"]) == (True, True)
    assert values(cluster, name) == {"k": "value-2"}
    assert codes(module(changed)) == {name: "as_wanted"}
    assert codes(module({**changed, "labels": {"x": "y"}})) == {name: "updated"}


def test_another_type_is_made_anew_only_on_request(cluster, module, name):
    module(want(name, keys={"username": "a"}))
    other = want(name, keys={"username": "a"}, type="kubernetes.io/basic-auth")
    assert codes(module(other)) == {name: "type_differs"}
    assert codes(module(other, recreate=True)) == {name: "recreated"}
    assert cluster.get("secret", name, RUNS)["type"] == "kubernetes.io/basic-auth"


def test_nothing_is_deleted_that_would_not_be_taken_back(cluster, module, name):
    """The new form is tried first: here the API server finds it invalid."""
    module(want(name))
    before = versions(cluster)
    result = module(want(name, keys={"k": CANARY}, type="kubernetes.io/dockerconfigjson"), recreate=True)
    assert codes(result) == {name: "invalid"}
    assert ".dockerconfigjson" in result["msg"]
    assert CANARY not in json.dumps(result)
    assert versions(cluster) == before


def test_check_mode_asks_the_server_and_writes_nothing(cluster, module, name):
    before = versions(cluster)
    result = module(want(name), want(f"{name}-bad", keys={"k": CANARY}, type="kubernetes.io/tls"), check=True)
    assert codes(result) == {name: "not_reached", f"{name}-bad": "invalid"}
    result = module(want(name), check=True)
    assert (result["changed"], result["secrets"][0]["message"]) == (True, "The Secret would be made.")
    assert result["diff"] == {"before": {}, "after": {f"{RUNS}/{name}": {"k": "a new value"}}}
    assert result["api_calls"]["writes"] == 0
    assert versions(cluster) == before


def test_a_missing_namespace_is_told_before_anything_is_written(cluster, module, name):
    """In check mode an earlier task may still make it."""
    rows = (want(name), want(name, namespace="secrets-nowhere"))
    before = versions(cluster)
    result = module(*rows)
    assert [row["code"] for row in result["secrets"]] == ["not_reached", "no_namespace"]
    assert "kubectl create namespace secrets-nowhere" in result["msg"]
    assert versions(cluster) == before
    assert [row["code"] for row in module(*rows, check=True)["secrets"]] == ["created", "created"]


def test_one_that_a_finalizer_holds_is_told(cluster, module, name):
    module(want(name))
    where = ("--namespace", RUNS, "--type=merge", "--patch")
    cluster.kubectl("patch", "secret", name, *where, '{"metadata": {"finalizers": ["orchestrator.platform/test"]}}')
    cluster.kubectl("delete", "secret", name, "--namespace", RUNS, "--wait=false")
    try:
        assert codes(module(want(name, keys={"k": "2"}))) == {name: "being_deleted"}
        assert codes(module(want(name), state="absent")) == {name: "being_deleted"}
    finally:
        cluster.kubectl("patch", "secret", name, *where, '{"metadata": {"finalizers": null}}')


@pytest.fixture
def narrow(cluster, tmp_path):
    """A user who may touch two Secrets by name and list none; gives the module as that user."""
    account = {"apiVersion": "v1", "kind": "ServiceAccount", "metadata": {"name": "narrow", "namespace": RUNS}}
    rules = [
        {"apiGroups": [""], "resources": ["secrets"], "resourceNames": ["narrow-1", "narrow-2"], "verbs": ["get", "patch", "delete"]},
        {"apiGroups": [""], "resources": ["secrets"], "verbs": ["create"]},
    ]  # fmt: skip
    rbac = "rbac.authorization.k8s.io/v1"
    role = {"apiVersion": rbac, "kind": "Role", "metadata": {"name": "narrow", "namespace": RUNS}, "rules": rules}
    binding = {
        "apiVersion": rbac, "kind": "RoleBinding", "metadata": {"name": "narrow", "namespace": RUNS},
        "roleRef": {"apiGroup": "rbac.authorization.k8s.io", "kind": "Role", "name": "narrow"},
        "subjects": [{"kind": "ServiceAccount", "name": "narrow", "namespace": RUNS}],
    }  # fmt: skip
    bundle = json.dumps({"apiVersion": "v1", "kind": "List", "items": [account, role, binding]})
    cluster.kubectl("apply", "--filename=-", stdin=bundle)
    config = json.loads(cluster.kubectl("config", "view", "--raw", "--minify", "--output=json"))
    token = cluster.kubectl("create", "token", "narrow", "--namespace", RUNS).strip()
    config["users"][0]["user"] = {"token": token}
    kubeconfig = tmp_path / "kubeconfig"
    kubeconfig.write_text(json.dumps(config), encoding="utf-8")
    yield Module(kubeconfig)
    cluster.kubectl("delete", "secrets", "--namespace", RUNS, "--ignore-not-found", "narrow-1", "narrow-2")
    cluster.kubectl("delete", "--filename=-", "--wait=false", stdin=bundle)


def test_who_may_not_list_reads_by_name(cluster, narrow):
    """Least privilege: get and patch on two names are enough; what is not permitted is told and nothing is written."""
    rows = (want("narrow-1"), want("narrow-2"))
    # A right that was just given may take a moment to count.
    cluster.until(lambda: not narrow(*rows, check=True).get("failed"), "the account's rights count")
    assert narrow(*rows)["summary"]["created"] == 2
    assert narrow(*rows)["api_calls"]["writes"] == 0
    before = versions(cluster)
    assert 'secrets "narrow-3" is forbidden' in narrow(want("narrow-1", keys={"k": "2"}), want("narrow-3"))["msg"]
    assert versions(cluster) == before

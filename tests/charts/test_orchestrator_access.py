# SPDX-License-Identifier: GPL-3.0-or-later
# SPDX-FileCopyrightText: 2026 The orchestrator.platform authors
"""Who may what: role and account of the controller, the namespace of the runs, ingress and network policy."""

from __future__ import annotations

import json

import pytest
import renderings as r
from orchestrator_chart import controller, data, render


@pytest.mark.parametrize(
    ("release", "values", "cluster", "name"),
    [
        ("orchestrator", {}, False, "orchestrator"),
        ("foo", {}, False, "foo-orchestrator"),
        ("foo", {"rbac": {"namespaced": False}}, True, "test-foo-orchestrator"),
    ],
)
def test_role_and_binding(release, values, cluster, name):
    """OR-105, OR-194…OR-196, OR-A41: kind by rbac.namespaced; a cluster-wide name carries the namespace."""
    rendering = render(values, release=release)
    prefix = "Cluster" if cluster else ""
    role, binding = rendering.one(f"{prefix}Role"), rendering.one(f"{prefix}RoleBinding")
    assert (role["metadata"]["name"], binding["metadata"]["name"]) == (name, name)
    assert ("namespace" in role["metadata"]) is not cluster
    assert binding["roleRef"] == {"apiGroup": "rbac.authorization.k8s.io", "kind": f"{prefix}Role", "name": name}
    account = rendering.one("ServiceAccount")["metadata"]["name"]
    assert binding["subjects"] == [{"kind": "ServiceAccount", "name": account, "namespace": "test"}]


def rules_of(values, kind="Role"):
    """{(group, resource): set of verbs} of the rendered role."""
    found = {}
    for rule in render(values).one(kind)["rules"]:
        for group in rule["apiGroups"]:
            for resource in rule["resources"]:
                found.setdefault((group, resource), set()).update(rule["verbs"])
    return found


def test_the_least_that_works():
    """OR-A40, OR-334: by default no listing of Secrets, no accounts, no Services; events can be written, finalizers set."""
    rules = rules_of({})
    assert rules["", "secrets"] == {"get"}
    assert not {("", "serviceaccounts"), ("", "services")} & set(rules)
    assert rules["", "events"] == rules["events.k8s.io", "events"] == {"create", "patch"}
    assert rules["", "pods/log"] == {"get"}
    for kind in ("coderuns", "docsruns"):
        assert rules["orchestrator.platform", f"{kind}/finalizers"] == {"update"}
        assert rules["orchestrator.platform", f"{kind}/status"] == {"get", "update", "patch"}
        assert {"create", "get", "list", "watch", "update", "patch"} == rules["orchestrator.platform", kind]
    assert {"create", "get", "list", "watch", "delete"} <= rules["batch", "jobs"]
    assert not [key for key, verbs in rules.items() if "*" in key or "*" in verbs]


def test_the_compatible_profile_is_the_list_of_the_source():
    """OR-197…OR-205."""
    full = {"get", "list", "create", "update", "delete", "patch"}
    runs = {"create", "get", "list", "watch", "update", "patch", "delete"}
    assert rules_of({"rbac": {"profile": "compatible"}}) == {
        **{("orchestrator.platform", kind): runs for kind in ("coderuns", "docsruns")},
        **{
            ("orchestrator.platform", f"{kind}/status"): {"get", "update", "patch"} for kind in ("coderuns", "docsruns")
        },
        ("batch", "jobs"): runs,
        ("", "configmaps"): full | {"watch"},
        ("", "secrets"): full | {"watch"},
        ("", "serviceaccounts"): full,
        ("", "services"): full,
        ("", "pods"): {"get", "list", "watch"},
        ("", "pods/log"): {"get", "list", "watch"},
        ("", "persistentvolumeclaims"): {"create", "get", "list", "delete"},
        ("", "events"): {"get", "list", "watch"},
    }


def test_own_rules_take_the_place_of_the_profile():
    """OR-082."""
    own = [{"apiGroups": ["x"], "resources": ["y"], "verbs": ["get"]}]
    assert render({"rbac": {"rules": own}}).one("Role")["rules"] == own


def test_the_snippet_of_another_namespace():
    """Issue 8.3: that one ConfigMap can be read there and nothing else; without a snippet, or with one at home, no such role."""
    found = [o for o in render(case="sidecar").objects if o["metadata"].get("namespace") == "monitor"]
    assert [o["kind"] for o in found] == ["Role", "RoleBinding"]
    rule = {
        "apiGroups": [""],
        "resources": ["configmaps"],
        "resourceNames": ["discord-monitor-snippet"],
        "verbs": ["get"],
    }
    assert found[0]["rules"] == [rule]
    assert found[1]["roleRef"]["name"] == found[0]["metadata"]["name"] == "test-orchestrator-snippet"
    assert found[1]["subjects"][0]["namespace"] == "test"
    for values in (
        {},
        {"sidecar": {"snippetConfigMap": "s"}},
        {"sidecar": {"snippetConfigMap": "s", "namespace": "test"}},
    ):
        assert len([o for o in render(values).objects if o["kind"] == "Role"]) == 1


def test_the_token_of_the_api():
    """OR-A57: as a file, from a Secret that may come later; without a name there is neither file nor variable."""
    spec = render(case="sidecar").one("Deployment")["spec"]["template"]["spec"]
    [volume] = [v for v in spec["volumes"] if v["name"] == "api-token"]
    assert volume["secret"] == {
        "secretName": "orchestrator-api",
        "optional": True,
        "items": [{"key": "token", "path": "token"}],
    }
    assert {"name": "API_TOKEN_FILE", "value": "/api-token/token"} in spec["containers"][0]["env"]
    assert "api-token" not in json.dumps(render().one("Deployment"))


def on(**further):
    """Values with channels of runs switched on, and with what a test changes there."""
    channels = {"enabled": True, "botUrl": "http://bot:8080", "existingSecret": "credential", **further}
    return {"sidecar": {"snippetConfigMap": "s", "runChannels": channels}}


def test_the_credential_for_channels_of_runs():
    """Issue 8.3: as a file, from a Secret that may come later and under any key; the bot's address stands in the configuration."""
    rendering = render(on(existingSecretKey="team.credential"))
    spec = rendering.one("Deployment")["spec"]["template"]["spec"]
    [volume] = [v for v in spec["volumes"] if v["name"] == "run-channels"]
    assert volume["secret"] == {
        "secretName": "credential",
        "optional": True,
        "items": [{"key": "team.credential", "path": "credential"}],
    }
    mount = {"name": "run-channels", "mountPath": "/run-channels", "readOnly": True}
    assert mount in spec["containers"][0]["volumeMounts"]
    assert {"name": "RUN_CHANNELS_CREDENTIAL_FILE", "value": "/run-channels/credential"} in spec["containers"][0]["env"]
    assert controller(on())["sidecar"]["runChannels"] == {"botUrl": "http://bot:8080"}


def test_without_channels_of_runs_nothing_of_them_is_there():
    """Issue 8.3: off by default, whatever else is named, and then neither file, variable, setting nor right."""
    for values in ({}, on(enabled=False)):
        rendering = render(values)
        assert "run-channels" not in json.dumps(rendering.one("Deployment"))
        assert "runChannels" not in json.dumps(controller(values))
        assert rules_of(values)["", "secrets"] == {"get"}


def test_channels_of_runs_need_two_rights_more():
    """Issue 8.3, OR-A40: the controller makes and deletes Secrets then; it still lists, watches and changes none."""
    before, after = rules_of({}), rules_of(on())
    assert after["", "secrets"] == {"get", "create", "delete"}
    assert {key: verbs for key, verbs in after.items() if key != ("", "secrets")} == {
        key: verbs for key, verbs in before.items() if key != ("", "secrets")
    }


def test_secrets_of_runs_are_written_where_runs_are():
    """Issue 8.3: cluster-wide rights do not become a right to delete any Secret of the cluster."""
    wide = r.merged(on(), {"rbac": {"namespaced": False}, "config": {"kubernetesNamespace": "agents"}})
    assert rules_of(wide, "ClusterRole")["", "secrets"] == {"get"}
    rendering = render(wide)
    role, binding = rendering.one("Role"), rendering.one("RoleBinding")
    assert role["metadata"]["namespace"] == binding["metadata"]["namespace"] == "agents"
    assert role["rules"] == [{"apiGroups": [""], "resources": ["secrets"], "verbs": ["create", "delete"]}]
    assert binding["roleRef"]["name"] == role["metadata"]["name"] == "test-orchestrator-run-channels"
    assert binding["subjects"] == [{"kind": "ServiceAccount", "name": "orchestrator", "namespace": "test"}]
    for values in ({"rbac": {"profile": "compatible"}}, {"rbac": {"rules": role["rules"]}}, on(enabled=False)):
        assert "Role" not in {o["kind"] for o in render(r.merged(wide, values)).objects}


@pytest.mark.parametrize(
    ("url", "ports"),
    [
        ("http://bot", [443, 6443, 80]),
        ("https://bot.example.org/", [443, 6443]),
        ("http://bot.monitor.svc:8080", [443, 6443, 8080]),
        ("https://bot:6443/", [443, 6443]),
        ("http://[fd00::80]", [443, 6443, 80]),
        ("http://[fd00::80]:8081/", [443, 6443, 8081]),
    ],
)
def test_the_network_policy_lets_the_controller_reach_the_bot(url, ports):
    """Issue 8.3: the port of the address, else that of its scheme, once; without channels of runs it stays shut."""
    values = r.merged(on(botUrl=url), {"networkPolicy": {"enabled": True}})
    assert egress(values) == [53, 53, *ports]
    assert egress(r.merged(values, on(botUrl=url, enabled=False))) == [53, 53, 443, 6443]


def egress(values):
    return [p["port"] for p in render(values).one("NetworkPolicy")["spec"]["egress"][0]["ports"]]


@pytest.mark.parametrize(
    ("case", "created", "used"),
    [
        ("default", "orchestrator", "orchestrator"),
        ("account-named", "my-account", "my-account"),
        ("account-existing", None, "my-account"),
        ("account-off", None, "default"),
    ],
)
def test_account(case, created, used):
    """OR-040…OR-042, OR-104, OR-134, OR-A42: the pod asks for its token itself, the account gives none to others."""
    rendering = render(case=case)
    accounts = [o for o in rendering.objects if o["kind"] == "ServiceAccount"]
    assert [o["metadata"]["name"] for o in accounts] == ([created] if created else [])
    assert all(o["automountServiceAccountToken"] is False for o in accounts)
    spec = rendering.one("Deployment")["spec"]["template"]["spec"]
    assert (spec["serviceAccountName"], spec["automountServiceAccountToken"]) == (used, True)


def test_namespace_of_the_runs():
    """OR-072, OR-A15, D11: the release's own, unless the rights reach further."""
    assert data("config", {"config": {"kubernetesNamespace": "test"}})["KUBERNETES_NAMESPACE"] == "test"
    assert data("config", case="rbac-cluster")["KUBERNETES_NAMESPACE"] == "agents"
    assert data("config", case="rbac-off")["KUBERNETES_NAMESPACE"] == "agents"


def ingress(values=None, **how):
    return render({"ingress": r.merged({"enabled": True}, values or {})}, **how).one("Ingress")


@pytest.mark.parametrize("kubernetes", [r.OLDEST, r.NEWEST])
def test_ingress(kubernetes):
    """OR-057…OR-061, OR-128…OR-133, OR-A01, OR-A02, OR-A04, OR-A55, OR-A56: the class by its field alone, one backend form."""
    assert "Ingress" not in {o["kind"] for o in render(kubernetes=kubernetes).objects}
    found = ingress({"annotations": None}, kubernetes=kubernetes)
    assert (found["apiVersion"], found["spec"]["ingressClassName"]) == ("networking.k8s.io/v1", "nginx")
    assert "kubernetes.io/ingress.class" not in found["metadata"].get("annotations", {})
    backend = {"service": {"name": "orchestrator", "port": {"number": 80}}}
    assert found["spec"]["rules"] == [
        {
            "host": "orchestrator.local",
            "http": {"paths": [{"path": "/", "pathType": "Prefix", "backend": backend}]},
        }
    ]
    assert "tls" not in found["spec"]


@pytest.mark.parametrize("paths", [None, [], [{}], [{"path": "/"}]])
def test_paths_and_types_have_defaults(paths):
    """OR-A03: a host without paths gets /, a path without type is a Prefix."""
    [rule] = ingress({"hosts": [{"host": "h.example.org", "paths": paths}]})["spec"]["rules"]
    assert [(p["path"], p["pathType"]) for p in rule["http"]["paths"]] == [("/", "Prefix")]


@pytest.mark.parametrize(
    ("values", "redirect"),
    [
        ({}, "false"),
        ({"tls": [{"secretName": "t", "hosts": ["h"]}]}, None),
        ({"className": "traefik"}, None),
        ({"annotations": {"nginx.ingress.kubernetes.io/ssl-redirect": "true"}}, "true"),
    ],
)
def test_redirect_is_off_only_without_tls(values, redirect):
    """OR-059, OR-A53."""
    annotations = ingress(values)["metadata"].get("annotations", {})
    assert annotations.get("nginx.ingress.kubernetes.io/ssl-redirect") == redirect


def test_the_ingress_leaves_the_values_alone():
    """OR-A01: annotations of the Ingress do not leak into objects rendered after it."""
    rendering = render({"ingress": {"enabled": True}, "commonAnnotations": {"a": "b"}})
    for o in rendering.objects:
        if o["kind"] != "Ingress":
            assert "nginx" not in json.dumps(o["metadata"]), o["kind"]


def test_network_policy():
    """OR-335, OR-A57: off by default; on, it opens the REST port inwards, DNS and the named ports outwards."""
    assert "NetworkPolicy" not in {o["kind"] for o in render().objects}
    spec = render({"networkPolicy": {"enabled": True}}).one("NetworkPolicy")["spec"]
    assert spec["ingress"] == [{"ports": [{"port": 8080, "protocol": "TCP"}], "from": [{"namespaceSelector": {}}]}]
    assert [p["port"] for p in spec["egress"][0]["ports"]] == [53, 53, 443, 6443]

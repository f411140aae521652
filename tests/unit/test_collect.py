# SPDX-License-Identifier: GPL-3.0-or-later
# SPDX-FileCopyrightText: 2026 The orchestrator.platform authors
"""The collector on a cluster made of dictionaries: what may not or cannot be read is told from what answers badly."""

from __future__ import annotations

import json

import pytest
from ansible_collections.orchestrator.platform.plugins.module_utils import _collect
from ansible_collections.orchestrator.platform.plugins.module_utils._catalogue import CHECKS
from ansible_collections.orchestrator.platform.plugins.module_utils._cluster import Answer, ExecResult
from ansible_collections.orchestrator.platform.plugins.module_utils._collect import Collector, why_not_passed_on
from ansible_collections.orchestrator.platform.plugins.module_utils._errors import ApiError, ClusterError, PlatformError
from ansible_collections.orchestrator.platform.plugins.module_utils._expectation import Target
from ansible_collections.orchestrator.platform.plugins.module_utils._findings import run_checks

LIVE = ("probes/answers", "delivery/probe-line", "delivery/backlog")
REFUSED = '{"kind": "Status", "apiVersion": "v1", "message": "error trying to reach service: dial tcp: refused"}'


class FakeCluster:
    """Lists the healthy picture; what the proxy and exec answer is set by the test."""

    def __init__(self, snapshot) -> None:
        self.snapshot = snapshot
        self.answer: Answer | Exception = Answer(200, "discord_monitor_lag_seconds 0.5\n")
        self.exec: ExecResult | Exception = ExecResult(0, '{"delivered": true, "seconds": 0.4}\n', "")
        self.forbidden: set[str] = set()
        self.clock_skew_s = 0.0
        self.inside: dict[str, ExecResult] = {}
        self.posted: list[dict] = []
        self.allowed = False

    def each(self, function, items):
        return [function(item) for item in items]

    def find(self, path):
        if path in self.forbidden:
            raise ApiError(403, "forbidden", {})
        return self.snapshot.namespaces.get(path.rsplit("/", 1)[1])

    def get(self, path):
        if path in self.forbidden:
            raise ApiError(403, "forbidden", {})
        return {"gitVersion": "v1.36.3"}

    def items(self, path, *, metadata_only=False, **params):
        if path in self.forbidden:
            raise ApiError(403, "forbidden", {})
        if path == "/api/v1/nodes":
            return [{"status": {"nodeInfo": {"kubeletVersion": "v1.36.3"}}}], "1"
        *_rest, namespace, plural = path.split("/")
        if namespace == "v1":
            return self.snapshot.objects.get((plural, ""), []), "1"
        resource = "releases" if params.get("labelSelector") == "owner=helm" else plural
        return self.snapshot.objects.get((resource, namespace), []), "1"

    def post(self, path, body):
        if path in self.forbidden:
            raise ApiError(403, "forbidden", {})
        self.posted.append(body)
        return {"status": {"allowed": self.allowed}}

    def read_text(self, _path, *, timeout_s=5.0):
        if isinstance(self.answer, Exception):
            raise self.answer
        return self.answer

    def run_in(self, *place_and_argv, timeout_s):
        if isinstance(self.exec, Exception):
            raise self.exec
        argv = place_and_argv[-1]
        return self.inside.get(argv[-1], self.exec)


@pytest.fixture
def cluster(snapshot):
    return FakeCluster(snapshot)


def verdicts(cluster, expect, *ids: str) -> tuple[dict, bool]:
    """Worst verdict and its evidence by check, and whether the picture is complete."""
    checks = [check for check in CHECKS if check.id in ids]
    view = Collector(cluster, expect).collect(checks, probe_every=True, probe_timeout_s=1)
    findings, complete = run_checks(checks, view)
    order = ["pass", "skip", "warn", "fail"]
    rows = sorted(findings, key=lambda row: order.index(row["verdict"]))
    return {row["id"]: (row["verdict"], row["evidence"]) for row in rows}, complete


def test_live_answers_pass(cluster, expect):
    found, complete = verdicts(cluster, expect, *LIVE)
    assert {verdict for verdict, _evidence in found.values()} == {"pass"}
    assert complete


@pytest.mark.parametrize(
    "answer",
    [
        Answer(403, '{"kind": "Status", "message": "pods is forbidden"}'),
        *(Answer(status, REFUSED) for status in (502, 503, 504)),
        ClusterError("gave no answer (ReadTimeoutError)"),
    ],
    ids=["403", "502", "503", "504", "timeout"],
)
def test_pod_that_the_api_server_may_not_or_cannot_ask_is_unread(answer, cluster, expect):
    """Ordinary clusters: no right on pods/proxy, a private control plane, policies that deny by default."""
    cluster.answer = answer
    found, complete = verdicts(cluster, expect, "probes/answers", "delivery/backlog")
    assert {verdict for verdict, _evidence in found.values()} == {"skip"}
    assert "the kubelet finds the container Ready" in found["probes/answers"][1]
    assert not complete


def test_pod_out_of_reach_that_is_not_ready_fails(cluster, expect):
    cluster.answer = Answer(403, "{}")
    for status in cluster.snapshot.objects[("pods", "agents")][0]["status"]["initContainerStatuses"]:
        status["ready"] = False
    found, _complete = verdicts(cluster, expect, "probes/answers")
    assert found["probes/answers"][0] == "fail"


@pytest.mark.parametrize("text", ["delivery fails", '{"status": "stalled"}', "[]", '{"kind": "Other"}'])
def test_pods_own_bad_answer_fails(text, cluster, expect):
    cluster.answer = Answer(503, text)
    found, complete = verdicts(cluster, expect, "probes/answers")
    assert found["probes/answers"] == ("fail", f"HTTP 503: {text}")
    assert complete


def test_foreign_text_of_the_api_server_is_bounded():
    assert len(why_not_passed_on(Answer(503, json.dumps({"kind": "Status", "message": "x" * 10_000})))) < 400


@pytest.mark.parametrize(
    ("error", "reason"),
    [
        (ApiError(403, "HTTP 403", {}), "get and create on pods/exec are not both permitted"),
        (ApiError(500, "HTTP 500", {}), "HTTP 500"),
        (ClusterError("WebSocketTimeoutException"), "WebSocketTimeoutException"),
    ],
)
def test_probe_that_could_not_be_run_is_unread(error, reason, cluster, expect):
    cluster.exec = error
    found, complete = verdicts(cluster, expect, "delivery/probe-line")
    assert found["delivery/probe-line"] == ("skip", f"the probe could not be run: {reason}")
    assert not complete


@pytest.mark.parametrize(
    ("result", "reason"),
    [
        (ExecResult(1, '{"delivered": false, "error": "404"}', ""), "404"),
        (ExecResult(126, "", "no such program"), "the probe gave no answer (exit status 126)"),
    ],
)
def test_probe_that_ran_and_did_not_deliver_fails(result, reason, cluster, expect):
    cluster.exec = result
    assert verdicts(cluster, expect, "delivery/probe-line") == ({"delivery/probe-line": ("fail", reason)}, True)


def test_workloads_are_chosen_by_the_api_server_once_a_target_kind_and_namespace(cluster, expect):
    """Two targets with selectors of their own, one without: nobody matches labels by hand."""
    targets = (
        Target(kinds=("Deployment", "StatefulSet"), labels="a=b"),
        Target(labels="a=b"),
        Target(fields="f=g"),
        Target(),
    )
    asked = []
    plain = cluster.items

    def items(path, **params):
        if params.keys() & {"fieldSelector", "labelSelector"} and "secrets" not in path:
            asked.append((path.rsplit("/", 1)[1], params.get("labelSelector"), params.get("fieldSelector")))
        return plain(path, **params)

    cluster.items = items
    Collector(cluster, expect._replace(targets=targets)).collect([], probe_every=False, probe_timeout_s=1)
    assert sorted(asked, key=str) == [
        ("deployments", "a=b", None), ("deployments", None, "f=g"), ("statefulsets", "a=b", None),
    ]  # fmt: skip


def test_selector_that_the_api_server_cannot_read_is_one_error(cluster, expect):
    """A slip of the pen selected nothing, and so nothing was wrong (issue 5, bad input)."""
    plain = cluster.items

    def items(path, **params):
        if params.get("labelSelector") == "app in (a":
            raise ApiError(400, "unable to parse requirement: found '', expected: ',' or ')'.", {})
        return plain(path, **params)

    cluster.items = items
    with pytest.raises(PlatformError, match=r"cannot read the selector 'app in \(a' .* unable to parse .* Correct it"):
        verdicts(cluster, expect._replace(targets=(Target(labels="app in (a"),)), "injection/watcher-present")


def test_selection_that_could_not_be_read_is_no_pass(cluster, expect):
    plain = cluster.items

    def items(path, **params):
        if params.get("labelSelector"):
            raise ApiError(403, "forbidden", {})
        return plain(path, **params)

    cluster.items = items
    found, complete = verdicts(cluster, expect._replace(targets=(Target(labels="a=b"),)), "injection/watcher-present")
    assert found["injection/watcher-present"][0] == "skip"
    assert "which deployments in agents match a=b could not be read" in found["injection/watcher-present"][1]
    assert not complete


def test_selection_of_nothing_says_so(cluster, expect):
    """Mistyped and well-formed: it matches nothing, and the reader sees by what."""
    plain = cluster.items
    cluster.items = lambda path, **params: ([], "1") if params.get("labelSelector") else plain(path, **params)
    wrong = expect._replace(targets=(Target(labels="app=codr"), Target(names=("nobody",))))
    found, _complete = verdicts(cluster, wrong, "injection/watcher-present")
    text = "no workload is selected (Deployment, labels app=codr; Deployment, names nobody)"
    assert found["injection/watcher-present"] == ("skip", text)


# -- bad input -----------------------------------------------------------------------------------------------------

LISTS = {
    "/api/v1/namespaces/agents/secrets": "secret-scope/type-opaque",
    "/apis/apps/v1/namespaces/agents/deployments": "secret-scope/env-ref",
    "/api/v1/namespaces/agents/pods": "security-context/restricted",
    "/apis/rbac.authorization.k8s.io/v1/clusterroles": "rbac/other-readers",
    "/api/v1/namespaces/agents/resourcequotas": "preflight/quota",
}


@pytest.mark.parametrize(("path", "check_id"), LISTS.items(), ids=LISTS.values())
def test_list_that_may_not_be_read_skips_what_needs_it(path, check_id, cluster, expect):
    cluster.forbidden.add(path)
    found, complete = verdicts(cluster, expect, check_id)
    assert found[check_id][0] == "skip"
    assert not complete


@pytest.mark.parametrize(
    ("error", "reason"),
    [
        (ApiError(403, "forbidden", {}), "no permission to list networkpolicies in monitor"),
        (ApiError(404, "not found", {}), "the API server knows no networkpolicies"),
        (ApiError(500, "etcd is away", {}), "networkpolicies in monitor could not be listed (HTTP 500): etcd is away"),
        (ClusterError("the time limit of 5 s is over"), "networkpolicies in monitor: the time limit of 5 s is over"),
    ],
)
def test_every_reason_is_told(error, reason, cluster, expect):
    """No permission, an API group that is switched off, a sick server, one that is too slow."""
    plain = cluster.items

    def items(path, **params):
        if path.endswith("networkpolicies"):
            raise error
        return plain(path, **params)

    cluster.items = items
    found, complete = verdicts(cluster, expect, "exposure/network-policy", "chart/bot-rollout")
    assert found["exposure/network-policy"] == ("skip", reason)
    assert found["chart/bot-rollout"][0] == "pass"
    assert not complete


def test_cluster_that_answers_nothing_is_one_error(cluster, expect):
    def lost(*_args, **_params):
        raise ClusterError("The API server refuses connections.")

    cluster.items = cluster.find = cluster.get = lost
    with pytest.raises(ClusterError, match="refuses connections"):
        verdicts(cluster, expect, "chart/bot-rollout")


def test_refused_credentials_are_one_error(cluster, expect):
    def refused(*_args, **_params):
        raise ApiError(401, "the credentials are not accepted (401)", {})

    cluster.items = refused
    with pytest.raises(ApiError, match="not accepted"):
        verdicts(cluster, expect, "chart/bot-rollout")


def test_objects_of_unknown_shape_are_no_error(cluster, expect):
    """Fields that a newer Kubernetes has, and fields that are null."""
    for objects in cluster.snapshot.objects.values():
        for item in objects:
            item["spec"] = {**(item.get("spec") or {}), "newField": {"deep": [1, None]}}
            item.setdefault("status", None)
    cluster.snapshot.objects[("pods", "agents")].append({"metadata": {"name": "bare"}, "spec": None, "status": None})
    checks = [check for check in CHECKS if check.id != "delivery/probe-line" and check.scope != "orchestrator"]
    view = Collector(cluster, expect).collect(checks, probe_every=False, probe_timeout_s=1)
    findings, _complete = run_checks(checks, view)
    assert {item["id"] for item in findings} == {check.id for check in checks}


def test_reviews_are_asked_once_for_each_class(cluster, expect):
    accounts = [{"metadata": {"name": f"a{number}"}} for number in range(500)]
    cluster.snapshot.objects[("serviceaccounts", "agents")] = accounts
    found, complete = verdicts(cluster, expect, "rbac/read-secrets", "rbac/review-agrees")
    assert {verdict for verdict, _evidence in found.values()} == {"pass"}
    assert complete
    assert len(cluster.posted) < 300


def test_without_the_right_to_ask_the_objects_decide_and_it_is_said(cluster, expect):
    cluster.forbidden.add("/apis/authorization.k8s.io/v1/subjectaccessreviews")
    grant = {"verbs": ["get"], "apiGroups": [""], "resources": ["secrets"]}
    cluster.snapshot.objects[("roles", "agents")] = [{"metadata": {"name": "r"}, "rules": [grant]}]
    cluster.snapshot.objects[("rolebindings", "agents")] = [
        {
            "metadata": {"name": "b"},
            "roleRef": {"kind": "Role", "name": "r"},
            "subjects": [{"kind": "ServiceAccount", "name": "default", "namespace": "agents"}],
        }
    ]
    found, complete = verdicts(cluster, expect, "rbac/read-secrets", "rbac/review-agrees")
    assert found["rbac/read-secrets"][0] == "fail"
    assert found["rbac/review-agrees"] == ("skip", "create on subjectaccessreviews is not permitted")
    assert not complete


def test_without_the_roles_the_api_server_decides_alone(cluster, expect):
    cluster.forbidden |= {
        "/apis/rbac.authorization.k8s.io/v1/clusterroles",
        "/apis/rbac.authorization.k8s.io/v1/clusterrolebindings",
    }
    cluster.allowed = True
    found, complete = verdicts(cluster, expect, "rbac/exec", "rbac/review-agrees")
    assert found["rbac/exec"][0] == "fail"
    assert "an authorizer other than RBAC" in found["rbac/exec"][1]
    assert found["rbac/review-agrees"][0] == "skip"
    assert not complete


def test_without_either_nothing_is_claimed(cluster, expect):
    cluster.forbidden |= {
        "/apis/rbac.authorization.k8s.io/v1/clusterroles",
        "/apis/authorization.k8s.io/v1/subjectaccessreviews",
    }
    found, complete = verdicts(cluster, expect, "rbac/exec")
    assert found["rbac/exec"] == ("skip", "create on subjectaccessreviews is not permitted")
    assert not complete


def test_more_reviews_than_the_bound_are_said_to_be_missing(cluster, expect, monkeypatch):
    monkeypatch.setattr(_collect, "_MAX_REVIEWS", 10)
    found, complete = verdicts(cluster, expect, "rbac/review-agrees")
    verdict, evidence = found["rbac/review-agrees"]
    assert (verdict, len(cluster.posted)) == ("skip", 10)
    assert evidence.endswith("access reviews were not asked for")
    assert not complete


def test_no_check_passes_whole_where_reviews_were_cut(cluster, expect, monkeypatch):
    """The roles decide where nobody was asked, and the summary does not claim more (issue 5, bad input)."""
    monkeypatch.setattr(_collect, "_MAX_REVIEWS", 10)
    found, complete = verdicts(cluster, expect, "rbac/exec")
    assert found["rbac/exec"][0] == "skip"
    assert "were not asked for; roles and bindings alone decided there" in found["rbac/exec"][1]
    assert not complete


def test_cut_reviews_without_the_roles_decide_nothing(cluster, expect, monkeypatch):
    monkeypatch.setattr(_collect, "_MAX_REVIEWS", 10)
    cluster.forbidden.add("/apis/rbac.authorization.k8s.io/v1/clusterroles")
    checks = [check for check in CHECKS if check.id == "rbac/token-request"]
    view = Collector(cluster, expect).collect(checks, probe_every=False, probe_timeout_s=1)
    findings, complete = run_checks(checks, view)
    accounts = [row for row in findings if row["subject"]["kind"] == "ServiceAccount"]
    assert {row["verdict"] for row in accounts} == {"skip"}
    assert "access reviews have no answer" in accounts[0]["evidence"]
    assert not complete


# The other two are about answers and bindings, not about the list of accounts.
OF_ACCOUNTS = {check.id for check in CHECKS if check.family == "rbac"} - {"rbac/review-agrees", "rbac/other-readers"}


@pytest.mark.parametrize("check_id", sorted(OF_ACCOUNTS))
def test_accounts_that_may_not_be_listed_leave_the_family_incomplete(check_id, cluster, expect):
    cluster.forbidden.add("/api/v1/namespaces/agents/serviceaccounts")
    found, complete = verdicts(cluster, expect, check_id)
    assert found[check_id][0] == "skip"
    assert "no permission to list serviceaccounts in agents" in found[check_id][1]
    assert not complete


def test_permissions_are_asked_for_as_the_user(cluster, expect):
    cluster.allowed = True
    found, complete = verdicts(cluster, expect, "preflight/permission")
    assert found["preflight/permission"][0] == "pass"
    assert complete
    assert {body["kind"] for body in cluster.posted} == {"SelfSubjectAccessReview"}


# -- inside containers ---------------------------------------------------------------------------------------------

MOUNTS = "/\n/proc\n/etc/hosts\n/home/agent/.claude\n/run/discord-bridge\n/var/lib/discord-watcher\n"


def test_names_inside_are_compared_and_values_never_asked_for(cluster, expect):
    """Only the command that prints names is run."""
    names = "PATH\0DISCORD_WEBHOOK_URL\0BOT_TOKEN\0"
    cluster.inside = {"/proc/1/environ": ExecResult(0, names, ""), "/proc/1/mounts": ExecResult(0, MOUNTS, "")}
    found, complete = verdicts(cluster, expect, "secret-scope/runtime-env", "secret-scope/runtime-mounts")
    assert found["secret-scope/runtime-env"][0] == "fail"
    assert "BOT_TOKEN" in found["secret-scope/runtime-env"][1]
    assert complete


@pytest.mark.parametrize(
    ("result", "reason"),
    [
        (ExecResult(127, "", "no cut"), "the image cannot say: GNU cut is needed (exit status 127)"),
        (ExecResult(None, "", ""), "the image cannot say: GNU cut is needed (exit status None)"),
        (ApiError(403, "HTTP 403", {}), "get and create on pods/exec are not both permitted"),
        (ClusterError("n/p/c: timeout"), "n/p/c: timeout"),
    ],
)
def test_container_that_cannot_say_is_skipped_with_the_reason(result, reason, cluster, expect):
    cluster.exec = result
    found, complete = verdicts(cluster, expect, "secret-scope/runtime-env")
    assert found["secret-scope/runtime-env"] == ("skip", reason)
    assert not complete


@pytest.mark.parametrize(
    ("age", "cpu"),
    [
        ({"startTime": "2026-11-28T07:00:00Z"}, None),
        ({"startTime": "2026-11-28T06:59:50.5Z"}, None),
        ({"startTime": "2026-11-28T06:59:40Z"}, 240_000_000),
        ({"startTime": "yesterday"}, 240_000_000),
        ({}, 240_000_000),
    ],
)
def test_the_rate_of_a_start_is_no_use(age, cpu):
    """Issue 5.1: the first half minute holds the runtime's own work; whoever gives no times is believed."""
    stats = {"time": "2026-11-28T07:00:10Z", "usageNanoCores": 240_000_000}
    item = {"name": "discord-watcher", "cpu": stats, "memory": {"workingSetBytes": 1}, **age}
    found = dict(_collect._usages([{"podRef": {"namespace": "agents", "name": "one"}, "containers": [item]}]))
    assert found == {("agents", "one", "discord-watcher"): (1, cpu)}

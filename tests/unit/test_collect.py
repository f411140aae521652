# SPDX-License-Identifier: GPL-3.0-or-later
# SPDX-FileCopyrightText: 2026 The orchestrator.platform authors
"""The collector on a cluster made of dictionaries: what may not or cannot be read is told from what answers badly."""

from __future__ import annotations

import json

import pytest
from ansible_collections.orchestrator.platform.plugins.module_utils._catalogue import CHECKS
from ansible_collections.orchestrator.platform.plugins.module_utils._cluster import Answer, ExecResult
from ansible_collections.orchestrator.platform.plugins.module_utils._collect import Collector, why_not_passed_on
from ansible_collections.orchestrator.platform.plugins.module_utils._errors import ApiError, ClusterError
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
        resource = "releases" if params.get("labelSelector") == "owner=helm" else plural
        return self.snapshot.objects.get((resource, namespace), []), "1"

    def read_text(self, _path, *, timeout_s=5.0):
        if isinstance(self.answer, Exception):
            raise self.answer
        return self.answer

    def run_in(self, *_args, timeout_s):
        if isinstance(self.exec, Exception):
            raise self.exec
        return self.exec


@pytest.fixture
def cluster(snapshot):
    return FakeCluster(snapshot)


def verdicts(cluster, expect, *ids: str, **options) -> tuple[dict, bool]:
    """Worst verdict and its evidence by check, and whether the picture is complete."""
    checks = [check for check in CHECKS if check.id in ids]
    view = Collector(cluster, expect, **options).collect(checks, probe_every=True, probe_timeout_s=1)
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
        (ApiError(403, "HTTP 403", {}), "create on pods/exec is not permitted"),
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


def test_label_selection_is_prepared_before_the_threads(cluster, expect):
    """A dict made by whichever thread comes first is lost when two come first."""
    collector = Collector(cluster, expect._replace(target_kinds=("Deployment", "StatefulSet")), label_selectors=["a=b"])
    seen = []
    plain = cluster.items

    def items(path, **params):
        if params.get("labelSelector") == "a=b":
            seen.append(collector.snapshot.selected)
        return plain(path, **params)

    cluster.items = items
    collector.collect([], probe_every=False, probe_timeout_s=1)
    assert len(seen) == 2
    assert all(item is collector.snapshot.selected for item in seen)

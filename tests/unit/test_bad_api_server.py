# SPDX-License-Identifier: GPL-3.0-or-later
# SPDX-FileCopyrightText: 2026 The orchestrator.platform authors
"""The module against an API server on loopback that is slow, breaks off, is large, or lives in another time (issue 5).

The transport, the collector and the checks are the real ones; the server serves the healthy picture of conftest.
"""

from __future__ import annotations

import email.utils
import json
import threading
import time

import pytest
from ansible_collections.orchestrator.platform.plugins.module_utils._cluster import PAGE
from ansible_collections.orchestrator.platform.plugins.module_utils._errors import (
    PlatformError,
    UnreachableError,
)
from ansible_collections.orchestrator.platform.plugins.modules.verification import ARGUMENT_SPEC, run

from .loopback import Server, cluster_at

STATIC = ["preflight", "injection", "secret-scope", "security-context"]
PODS = "/api/v1/namespaces/agents/pods"


class ApiServer(Server):
    """Serves a snapshot as lists, a page at a time; `silent` paths get no answer, `breaking` ones half of one."""

    def __init__(self, snapshot) -> None:
        super().__init__()
        self.snapshot = snapshot
        self.silent: set[str] = set()
        self.breaking: dict[str, int] = {}  # path -> how often, -1 for always
        self.ahead_s = 0.0
        self._over = threading.Event()

    def reply(self, method, path, query):
        if path in self.silent:
            self._over.wait()
            return None
        if left := self.breaking.get(path, 0):
            self.breaking[path] = left - 1
            return (200, '{"items": [', {"Content-Length": "99999", "Connection": "close"})
        # Whoever asks for himself may do everything, and the accounts he asks about nothing.
        allowed = {"status": {"allowed": path.endswith("/selfsubjectaccessreviews")}}
        status, body = (201, allowed) if method == "POST" else self._get(path, query)
        return (status, json.dumps(body), {"Date": email.utils.formatdate(time.time() + self.ahead_s, usegmt=True)})

    def _get(self, path, query) -> tuple[int, dict]:
        if path == "/version":
            return 200, {"gitVersion": "v1.36.3"}
        if path == "/api/v1/nodes":
            return 200, {"items": [{"status": {"nodeInfo": {"kubeletVersion": "v1.36.3"}}}]}
        if path.startswith("/apis/example.org"):
            return 404, {"kind": "Status", "message": "404 page not found"}
        if path.startswith("/api/v1/namespaces/") and path.count("/") == 4:
            return 200, self.snapshot.namespaces[path.rpartition("/")[2]]
        *_rest, namespace, plural = path.split("/")
        resource = "releases" if query.get("labelSelector") == ["owner=helm"] else plural
        return 200, self._page(self.snapshot.objects.get((resource, namespace), []), query)

    def _page(self, items: list, query) -> dict:
        begin, size = int(query.get("continue", ["0"])[0]), int(query.get("limit", [len(items) or 1])[0])
        more = {"continue": str(begin + size)} if begin + size < len(items) else {}
        return {"items": items[begin : begin + size], "metadata": {"resourceVersion": "1", **more}}

    def close(self) -> None:
        self._over.set()
        super().close()


@pytest.fixture
def api(snapshot):
    made = ApiServer(snapshot)
    yield made
    made.close()


def verified(api: ApiServer, *, limit_s: float | None = None, **options) -> dict:
    params = {name: spec.get("default") for name, spec in ARGUMENT_SPEC.items()}
    params |= {"monitor_namespace": "monitor", "families": STATIC, "fail_on": "none", **options}
    return run(params, cluster_at(api.url, options={"limit_s": limit_s}), check_mode=False)


def verdicts(result: dict, check: str) -> set[str]:
    return {item["verdict"] for item in result["findings"] if item["id"] == check}


def said(result: dict, check: str) -> str:
    return " ".join(item["evidence"] for item in result["findings"] if item["id"] == check)


def test_the_healthy_picture_passes(api):
    """Else the cases below would prove nothing."""
    result = verified(api)
    assert [item for item in result["findings"] if item["verdict"] in ("fail", "warn")] == []
    assert result["summary"]["passed"] > 0
    assert "could" not in " ".join(result["unread"])


def test_a_list_without_an_answer_is_left_out_and_said(api):
    """A server that is too slow for one list: what needs it is skipped with the reason, and nothing fails for it."""
    api.silent = {PODS}
    result = verified(api, limit_s=4.0)
    assert not result["summary"]["complete"]
    assert result["summary"]["failed"] == 0
    assert "skip" in verdicts(result, "secret-scope/env-ref")
    assert "pods in agents: " in " ".join(result["unread"])
    assert "incomplete" in result["lines"][-1]


def test_a_server_that_answers_nothing_is_one_error(api):
    """And not a hundred skips after as many waits."""
    api.silent = {"/api/v1/namespaces/monitor"}
    with pytest.raises(UnreachableError, match="did not answer within"):
        verified(api, limit_s=1.0)


def test_a_connection_that_breaks_once_is_not_noticed(api):
    api.breaking = {PODS: 1, "/api/v1/namespaces/agents/secrets": 1, "/version": 1}
    result = verified(api)
    assert result["summary"] == verified(api)["summary"]
    assert result["summary"]["passed"] > 0


def test_a_connection_that_always_breaks_is_left_out_and_said(api):
    """Half of a list is no list: the checks that need it say so."""
    api.breaking = {PODS: -1}
    result = verified(api)
    assert not result["summary"]["complete"]
    assert verdicts(result, "secret-scope/env-ref") == {"pass", "skip"}  # the monitor's namespace could be read
    assert "pods in agents: The API server" in said(result, "secret-scope/env-ref")


def test_five_thousand_pods_come_page_by_page_and_the_last_one_counts(api):
    """Issue 5, bad input: no page is lost, and a fault on the last one is found."""
    (first,) = api.snapshot.objects[("pods", "agents")]
    pods = [{**first, "metadata": {**first["metadata"], "name": f"coder-{number:04}"}} for number in range(5000)]
    agent = {"name": "agent", "envFrom": [{"secretRef": {"name": "discord-secrets"}}]}
    pods[-1] = {**pods[-1], "spec": {**first["spec"], "containers": [agent]}}
    api.snapshot.objects[("pods", "agents")] = pods
    result = verified(api, families=[], checks=["secret-scope/env-from", "secret-scope/volume"])
    (found,) = [item for item in result["findings"] if item["verdict"] == "fail"]
    assert (found["id"], found["subject"]["name"]) == ("secret-scope/env-from", "coder-4999")
    pages = [call for call in api.seen if call[1] == PODS]
    assert len(pages) == 5000 / PAGE
    counted = [item for item in result["findings"] if item["id"] == "secret-scope/volume" and item["count"] > 5000]
    assert counted, "every pod is looked at"


@pytest.mark.parametrize(("ahead_s", "verdict"), [(0.0, "pass"), (3600.0, "warn"), (-3600.0, "warn")])
def test_a_server_in_another_time_is_found(api, ahead_s, verdict):
    """Clock skew, from the date of a real answer to the finding."""
    api.ahead_s = ahead_s
    assert verdicts(verified(api), "preflight/clock-skew") == {verdict}


def test_a_named_check_of_an_orchestrator_that_is_not_named_is_refused(api):
    """Issue 5.1: nothing would be looked at, and the run would pass."""
    wanted = {"families": [], "checks": ["chart/orchestrator-released"]}
    with pytest.raises(
        PlatformError, match="chart/orchestrator-released looks at the orchestrator: name its namespace"
    ):
        verified(api, **wanted)
    assert verified(api, **wanted, orchestrator_namespace="monitor")["findings"] != []


def test_a_missing_crd_is_a_skip_with_the_reason(api):
    """A rule over a kind that the API server does not have; the other rule is run."""
    rules = [
        {
            "id": "user/widget",
            "kind": "Widget",
            "api_version": "example.org/v1",
            "assert": "spec.x",
            "severity": "error",
            "title": "Every widget has an x",
            "hint": "Set x.",
        },
        {
            "id": "user/owner",
            "kind": "Deployment",
            "assert": "metadata.labels.owner",
            "severity": "error",
            "title": "Every Deployment names its owner",
            "hint": "Set owner.",
        },
    ]
    result = verified(api, families=["user"], rules=rules)
    assert verdicts(result, "user/widget") == {"skip"}
    assert "the API server has no kind Widget of example.org/v1" in said(result, "user/widget")
    assert "fail" in verdicts(result, "user/owner")
    assert not result["summary"]["complete"]


def test_unknown_fields_are_no_error(api):
    """An API server newer than this collection: fields and values that nobody here knows."""
    for pod in api.snapshot.objects[("pods", "agents")]:
        pod["spec"]["containers"][0]["quantumPolicy"] = {"deep": [1, {"name": None}]}
        pod["spec"]["volumes"] = [*(pod["spec"].get("volumes") or []), {"name": "q", "quantum": {"secretRef": None}}]
        pod["status"]["quantumStatuses"] = 5
    result = verified(api)
    assert result["summary"]["failed"] == 0
    assert result["summary"]["passed"] > 0

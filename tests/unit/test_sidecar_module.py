# SPDX-License-Identifier: GPL-3.0-or-later
# SPDX-FileCopyrightText: 2026 The orchestrator.platform authors
"""Module sidecar on a cluster made of dictionaries: order of reading, zero writes, check mode, outcomes, no secrets (D2, D5, D6)."""

from __future__ import annotations

import copy
import json
import types

import pytest
import yaml
from ansible_collections.orchestrator.platform.plugins.module_utils._errors import ApiError, PlatformError
from ansible_collections.orchestrator.platform.plugins.modules import sidecar

from .conftest import FIXTURES, HASH, WEBHOOK
from .test_sidecar import CONFLICT, WORKLOADS, apply

DEPLOYMENTS = [
    item for item in yaml.safe_load_all((FIXTURES / "workloads.yaml").read_text()) if item["kind"] == "Deployment"
]


class FakeCluster:
    """Answers the paths that the module asks, remembers what was sent."""

    def __init__(self, snippet: dict | None, namespaces: tuple[str, ...] = ("agents",)) -> None:
        self.calls = 0
        self.sent: list[dict] = []
        self.namespaces = namespaces
        self.deployments = {item["metadata"]["name"]: copy.deepcopy(item) for item in DEPLOYMENTS}
        for item in self.deployments.values():
            item["metadata"].update(generation=1, resourceVersion="1")
        self.snippet = snippet
        self.forbidden: set[str] = set()
        self.secrets: list[str] | None = ["discord-secrets"]
        self.refuse: ApiError | None = None

    def each(self, function, items):
        return [function(item) for item in items]

    def find(self, path, **_params):
        self.calls += 1
        parts = path.split("/")
        if parts[-2] == "namespaces":
            return {"metadata": {"name": parts[-1]}} if parts[-1] in self.namespaces else None
        if self.snippet is None:
            return None
        return {"metadata": {}, "data": {"snippet.json": json.dumps(self.snippet), "hash": HASH}}

    def get(self, _path):
        return {"gitVersion": "v1.36.3"}

    def items(self, path, **_params):
        if path == "/api/v1/nodes":
            raise ApiError(403, "forbidden", {})
        if path.endswith("/secrets"):
            if self.secrets is None:
                raise ApiError(403, "forbidden", {})
            return [{"metadata": {"name": name}} for name in self.secrets], "7"
        namespace = path.split("/")[5]
        if namespace in self.forbidden:
            raise ApiError(403, f"deployments is forbidden in {namespace}", {})
        return copy.deepcopy(list(self.deployments.values())) if namespace == "agents" else [], "7"

    def pages(self, path, **_params):
        yield self.items(path)

    def apply(self, path, sent, *, manager, dry_run, whole):
        assert manager == "orchestrator.platform"
        body = json.loads(sent)
        self.sent.append({"path": path, "body": body, "dry_run": dry_run})
        if self.refuse is not None:
            raise self.refuse
        name = path.rsplit("/", 1)[1]
        after = apply(self.deployments[name], body) if "spec" in body else copy.deepcopy(WORKLOADS[name])
        after["metadata"]["generation"] = 2
        if not dry_run:
            after["metadata"]["resourceVersion"] = "2"
            self.deployments[name] = copy.deepcopy(after)
        return after


@pytest.fixture
def cluster(snippet_document):
    return FakeCluster(snippet_document)


def run(cluster: FakeCluster, *, check_mode: bool = False, diff: bool = False, **params) -> dict:
    defaults = {key: spec.get("default") for key, spec in sidecar.ARGUMENT_SPEC.items()}
    warnings: list[str] = []
    module = types.SimpleNamespace(
        params={**defaults, "wait_stable": 0, "namespaces": ["agents"], **params},
        check_mode=check_mode,
        _diff=diff,
        warn=warnings.append,
    )
    return {**sidecar.Run(module, cluster).result(), "warnings": warnings}


def codes(result: dict) -> dict:
    return {row["name"]: row["code"] for row in result["workloads"]}


def test_every_workload_gets_one_patch(cluster):
    result = run(cluster)
    assert result["changed"]
    assert result["summary"]["injected"] == 3
    assert len(cluster.sent) == 3
    assert result["form"] == "native"
    assert result["snippet_hash"] == HASH


def test_second_run_sends_nothing(cluster):
    """D5: zero writes, not just changed=0."""
    run(cluster)
    cluster.sent.clear()
    result = run(cluster)
    assert not result["changed"]
    assert cluster.sent == []
    assert result["summary"]["unchanged"] == 3


def test_check_mode_sends_the_same_patches_as_dry_run(cluster):
    preview = run(cluster, check_mode=True)
    dry = list(cluster.sent)
    cluster.sent.clear()
    real = run(cluster)
    assert all(item["dry_run"] for item in dry)
    assert not any(item["dry_run"] for item in cluster.sent)
    assert [item["body"] for item in dry] == [item["body"] for item in cluster.sent]
    keys = ("kind", "namespace", "name", "outcome", "code")
    assert [[row[key] for key in keys] for row in preview["workloads"]] == [
        [row[key] for key in keys] for row in real["workloads"]
    ]
    assert all("would be added" in row["message"] for row in preview["workloads"])
    assert all("was added" in row["message"] for row in real["workloads"])


def test_names_select(cluster):
    assert set(codes(run(cluster, names=["plain"]))) == {"plain"}


def test_name_that_is_nowhere_fails(cluster):
    result = run(cluster, names=["plain", "typo"])
    assert codes(result) == {"plain": "injected", "typo": "not_found"}
    assert result["failed"]


@pytest.mark.parametrize(("state", "check_mode"), [("absent", False), ("absent", True), ("present", True)])
def test_name_that_is_nowhere_is_warned_of_where_it_may_be_right(cluster, state, check_mode):
    """A misspelt name must not look like success; the real run of state present fails instead."""
    result = run(cluster, names=["typo"], state=state, check_mode=check_mode)
    assert result["workloads"] == []
    assert "No selected workload is named typo" in result["warnings"][0]


def test_selection_of_no_kind_is_refused(cluster):
    with pytest.raises(PlatformError, match="kinds is empty"):
        run(cluster, kinds=[])
    assert cluster.calls == 0


def test_empty_snippet_is_none(cluster):
    """It would fall back on the published one in silence."""
    with pytest.raises(PlatformError):
        run(cluster, snippet={})
    assert cluster.sent == []


def test_missing_namespace_stops_before_anything_is_written(cluster):
    with pytest.raises(PlatformError, match="Namespace staging is not there: create it first"):
        run(cluster, namespaces=["agents", "staging"])
    assert cluster.sent == []


def test_missing_snippet_names_the_remedy():
    with pytest.raises(PlatformError, match="install the chart discord-monitor first"):
        run(FakeCluster(None))


def test_check_mode_on_an_empty_cluster_warns_and_changes_nothing():
    cluster = FakeCluster(None, namespaces=())
    result = run(cluster, check_mode=True, diff=True)
    assert not result["changed"]
    assert result["workloads"] == []
    assert len(result["warnings"]) == 2


def test_removal_from_a_missing_namespace_is_done_already(cluster):
    result = run(cluster, state="absent", namespaces=["gone"])
    assert result["workloads"] == []
    assert result["warnings"] == ["Namespace gone is not there, so nothing is removed from it: is it spelt so?"]


def test_removal_sends_only_where_we_own_something(cluster):
    run(cluster, names=["plain"])
    cluster.sent.clear()
    result = run(cluster, state="absent")
    assert codes(result) == {"plain": "removed", "own-volume": "absent", "two-containers": "absent"}
    assert len(cluster.sent) == 1


def test_forbidden_namespace_is_reported_and_the_others_are_done(cluster):
    cluster.namespaces = ("agents", "secret")
    cluster.forbidden = {"secret"}
    result = run(cluster, namespaces=["agents", "secret"])
    assert result["summary"]["injected"] == 3
    assert result["workloads"][-1]["kind"] == "Namespace"
    assert result["workloads"][-1]["code"] == "forbidden"
    assert result["failed"]


def hide_namespaces(cluster: FakeCluster, *hidden: str) -> None:
    """Namespace objects that may not be read, though what is in them may."""
    find = cluster.find

    def hide(path, **params):
        if path in [f"/api/v1/namespaces/{name}" for name in hidden]:
            raise ApiError(403, f'namespaces "{path.rsplit("/", 1)[1]}" is forbidden', {})
        return find(path, **params)

    cluster.find = hide


@pytest.mark.parametrize("check_mode", [True, False])
def test_namespace_whose_opt_out_cannot_be_known_gets_nothing(cluster, check_mode):
    """Silence would inject where the owner has said no."""
    hide_namespaces(cluster, "agents")
    result = run(cluster, check_mode=check_mode)
    (row,) = result["workloads"]
    assert (row["kind"], row["namespace"], row["code"]) == ("Namespace", "agents", "forbidden")
    assert "grant the verb get on namespaces" in row["message"]
    assert (result["failed"], cluster.sent) == (True, [])


def test_the_others_are_done_beside_a_namespace_that_may_not_be_read(cluster):
    cluster.namespaces = ("agents", "hidden")
    hide_namespaces(cluster, "hidden")
    assert run(cluster, namespaces=["hidden", "agents"])["summary"]["injected"] == 3


def test_removal_needs_no_namespace_object(cluster):
    """What is ours goes, whatever a namespace says."""
    run(cluster)
    hide_namespaces(cluster, "agents")
    assert run(cluster, state="absent")["summary"]["removed"] == 3


def test_conflict_is_an_outcome_and_fails_the_task(cluster):
    cluster.refuse = ApiError(409, "conflict", CONFLICT)
    result = run(cluster, names=["plain"])
    assert codes(result) == {"plain": "field_conflict"}
    assert not result["changed"]
    assert "belongs to helm" in result["msg"]


def test_bridge_that_is_not_published_is_refused(snippet_document):
    cluster = FakeCluster({**snippet_document, "bridge": None})
    with pytest.raises(PlatformError, match=r"set inputBridge\.enabled"):
        run(cluster, bridge=True)


def test_diff_shows_our_fields_and_no_secret(snippet_document):
    snippet_document["watcher"]["env"].append({"name": "SECOND_WEBHOOK", "value": WEBHOOK})
    result = run(FakeCluster(snippet_document), names=["plain"], diff=True)
    (shown,) = result["diff"]
    assert shown["before"] == ""
    assert "discord-watcher" in shown["after"]
    assert "agent:1" not in shown["after"]
    assert WEBHOOK not in json.dumps(result)


def test_opted_out_namespace(cluster, monkeypatch):
    namespace = {"metadata": {"annotations": {"orchestrator.platform/inject": "false"}}}
    find = cluster.find
    monkeypatch.setattr(cluster, "find", lambda path: namespace if path.endswith("namespaces/agents") else find(path))
    assert set(codes(run(cluster)).values()) == {"opt_out"}
    assert cluster.sent == []


def test_opted_out_workload_with_our_sidecar_says_how_to_take_it_out(cluster):
    run(cluster, names=["plain"])
    for name in ("plain", "own-volume"):
        cluster.deployments[name]["metadata"].setdefault("annotations", {})["orchestrator.platform/inject"] = "false"
    messages = {row["name"]: row["message"] for row in run(cluster)["workloads"]}
    assert "still in it" in messages["plain"]
    assert "state absent" in messages["plain"]
    assert "still in it" not in messages["own-volume"]
    assert codes(run(cluster, state="absent", names=["plain"])) == {"plain": "removed"}

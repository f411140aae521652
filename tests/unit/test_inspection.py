# SPDX-License-Identifier: GPL-3.0-or-later
# SPDX-FileCopyrightText: 2026 The orchestrator.platform authors
"""What a workload holds: form, hash, older pods, and drift as managedFields tell it (D1, DM-102)."""

from __future__ import annotations

import pytest
from ansible_collections.orchestrator.platform.plugins.module_utils._inspection import (
    inspect,
    pods_by_owner,
    show_path,
)
from ansible_collections.orchestrator.platform.plugins.module_utils._overrides import parse_overrides
from ansible_collections.orchestrator.platform.plugins.module_utils._sidecar import plan_present
from ansible_collections.orchestrator.platform.plugins.module_utils._workloads import dig, pod_spec
from hypothesis import HealthCheck, assume, given, settings

from .conftest import HASH
from .strategies import cases
from .test_sidecar import CLASSIC, NATIVE, apply, injected, workload

SPEC = ("f:spec", "f:template", "f:spec")
WATCHER = 'k:{"name":"discord-watcher"}'
AT = 'spec.template.spec.initContainers[name="discord-watcher"]'
MOUNT = 'spec.template.spec.containers[name="agent"].volumeMounts[mountPath="/home/agent/.claude"]'


def taken(obj: dict, *way: str, manager: str = "kubectl-edit") -> dict:
    """The object after an update by another manager: the API server takes the field from us and gives it to that one."""
    fields = obj["metadata"]["managedFields"][0]["fieldsV1"]
    place = dig(fields, *way[:-1])
    place.pop(way[-1], None)
    other: dict = {}
    inner = other
    for step in way:
        inner = inner.setdefault(step, {})
    obj["metadata"]["managedFields"].append({"manager": manager, "operation": "Update", "fieldsV1": other})
    return obj


def held(obj: dict, snippet, options=NATIVE, **change):
    return inspect(obj, "Deployment", snippet._replace(**change), options)


def test_plain_workload_holds_nothing(snippet):
    holding = held(workload("plain"), snippet)
    assert holding == (False, None, None, None, [], [])


@pytest.mark.parametrize(("options", "form"), [(NATIVE, "native"), (CLASSIC, "container")])
def test_injected_workload(options, form, snippet):
    obj = workload("plain")
    after = apply(obj, plan_present(obj, "Deployment", snippet, options).body)
    assert held(after, snippet, options) == (True, form, HASH, False, [], [])


def test_older_snippet_is_outdated_and_no_drift(snippet):
    holding = held(injected(snippet), snippet, hash="b" * 64, watcher={**snippet.watcher, "image": "discord-monitor:2"})
    assert holding.outdated is True
    assert holding.drift == []


def test_other_options_and_overrides_are_no_drift(snippet):
    obj = injected(snippet)
    overrides = parse_overrides({"log_level": "debug", "thread_id": "1", "memory_limit": "128Mi", "image": "x:2"})
    assert held(obj, snippet, NATIVE._replace(bridge=True, overrides=overrides)).drift == []


def test_owners_own_watcher_has_no_hash(snippet):
    obj = workload("plain")
    pod_spec(obj, "Deployment").update(pod_spec(injected(snippet), "Deployment"))
    assert held(obj, snippet) == (True, "native", None, None, [], [])


def test_changed_field_names_who_changed_it(snippet):
    obj = injected(snippet)
    pod_spec(obj, "Deployment")["initContainers"][0]["image"] = "theirs:1"
    obj = taken(obj, *SPEC, "f:initContainers", WATCHER, "f:image")
    assert held(obj, snippet).drift == [{"field": f"{AT}.image", "manager": "kubectl-edit"}]
    assert held(obj, snippet, hash="b" * 64).drift == [{"field": f"{AT}.image", "manager": "kubectl-edit"}]


def test_added_field_in_our_container_is_drift(snippet):
    obj = taken(injected(snippet), *SPEC, "f:initContainers", WATCHER, "f:command", manager="x")
    assert held(obj, snippet).drift == [{"field": f"{AT}.command", "manager": "x"}]


def test_moved_mount_of_the_agent_is_drift(snippet):
    mount = ("f:containers", 'k:{"name":"agent"}', "f:volumeMounts", 'k:{"mountPath":"/home/agent/.claude"}')
    obj = taken(injected(snippet), *SPEC, *mount, "f:name", manager="helm")
    assert held(obj, snippet).drift == [{"field": f"{MOUNT}.name", "manager": "helm"}]


def test_what_the_owner_changes_of_its_own_is_no_drift(snippet):
    obj = taken(injected(snippet), *SPEC, "f:containers", 'k:{"name":"agent"}', "f:image")
    assert held(obj, snippet).drift == []


@pytest.mark.parametrize(
    ("place", "item", "field"),
    [
        ("initContainers", WATCHER, AT),
        ("volumes", 'k:{"name":"discord-state"}', 'spec.template.spec.volumes[name="discord-state"]'),
    ],
)
def test_removed_item_is_drift_of_nobody_known(place, item, field, snippet):
    """Whoever removes a thing owns nothing of it, so that nothing tells who it was."""
    obj = injected(snippet)
    spec = pod_spec(obj, "Deployment")
    spec[place] = [entry for entry in spec[place] if f'"{entry["name"]}"' not in item]
    dig(obj["metadata"]["managedFields"][0]["fieldsV1"], *SPEC, f"f:{place}").pop(item)
    assert held(obj, snippet).drift == [{"field": field, "manager": None}]


def test_removed_variable_is_drift(snippet):
    obj = injected(snippet)
    del pod_spec(obj, "Deployment")["initContainers"][0]["env"][2]
    dig(obj["metadata"]["managedFields"][0]["fieldsV1"], *SPEC, "f:initContainers", WATCHER, "f:env").pop('k:{"name":"POLL_INTERVAL"}')  # fmt: skip
    assert held(obj, snippet).drift == [{"field": f'{AT}.env[name="POLL_INTERVAL"]', "manager": None}]
    assert held(obj, snippet, hash="b" * 64).drift == []


def test_status_and_our_own_entry_are_not_read(snippet):
    obj = taken(injected(snippet), *SPEC, "f:initContainers", WATCHER, "f:image")
    obj["metadata"]["managedFields"][1]["subresource"] = "status"
    assert held(obj, snippet).drift == []


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(case=cases())
def test_nothing_drifts_by_injection_alone(snippet, case):
    kind, obj, first, second = case
    plan = plan_present(obj, kind, snippet, first)
    assume(plan.body is not None)
    after = apply(obj, plan.body)
    assert inspect(after, kind, snippet, first).drift == []
    assert inspect(after, kind, snippet._replace(hash="b" * 64), second).drift == []


def pod(name: str, owner: tuple[str, str], digest: str | None, phase: str = "Running", **metadata: object) -> dict:
    annotations = {"orchestrator.platform/snippet-hash": digest} if digest else {}
    reference = {"controller": True, "kind": owner[0], "name": owner[1]}
    return {
        "metadata": {"name": name, "annotations": annotations, "ownerReferences": [reference], **metadata},
        "status": {"phase": phase},
    }


def test_stale_pods_are_those_of_an_older_template(snippet):
    owner = ("ReplicaSet", "plain-1")
    labels = {"pod-template-hash": "1"}
    pods = [
        pod("old", owner, "c" * 64, labels=labels),
        pod("before", owner, None, labels=labels),
        pod("current", owner, HASH, labels=labels),
        pod("ended", owner, None, "Succeeded", labels=labels),
        pod("going", owner, None, labels=labels, deletionTimestamp="now"),
        pod("foreign", ("ReplicaSet", "other-1"), None, labels=labels),
    ]
    mine = pods_by_owner(pods)["Deployment/plain"]
    assert inspect(injected(snippet), "Deployment", snippet, NATIVE, mine).stale_pods == ["before", "old"]


def test_pods_of_scheduled_jobs_are_found():
    found = pods_by_owner([pod("p", ("Job", "nightly-28000000"), None), {"metadata": {"name": "bare"}}])
    assert set(found) == {"Job/nightly-28000000", "CronJob/nightly"}


def test_path_is_shown_as_the_api_server_writes_it():
    assert show_path(("f:spec", "f:ports", 'k:{"containerPort":80,"protocol":"TCP"}', "f:name")) == (
        'spec.ports[containerPort=80,protocol="TCP"].name'
    )

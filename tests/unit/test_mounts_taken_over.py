# SPDX-License-Identifier: GPL-3.0-or-later
# SPDX-FileCopyrightText: 2026 The orchestrator.platform authors
"""An owner who points the mount we added at a volume of his keeps it, whatever we do next (D1).

The field sets are those that an API server 1.36 recorded for `kubectl apply` after an injection: his is the name of the
volume, the item is still ours, so that an apply without the item takes his mount away.
"""

from __future__ import annotations

import copy

import pytest
from ansible_collections.orchestrator.platform.plugins.module_utils._sidecar import (
    FIELD_MANAGER,
    Options,
    plan_absent,
    plan_present,
)

from .test_sidecar import apply, injected

NATIVE = Options(native=True, bridge=False)
PATH = "/home/agent/.claude"
KEY = f'k:{{"mountPath":"{PATH}"}}'


def agent_fields(mount: dict) -> dict:
    template = {"f:spec": {"f:containers": {'k:{"name":"agent"}': {"f:volumeMounts": {KEY: mount}}}}}
    return {"f:spec": {"f:template": template}}


def taken_over(snippet, theirs: dict) -> dict:
    """An injected workload whose owner has made our mount his."""
    obj = copy.deepcopy(injected(snippet))
    spec = obj["spec"]["template"]["spec"]
    spec.setdefault("volumes", []).append({"name": "own", "emptyDir": {}})
    (mount,) = [item for item in spec["containers"][0]["volumeMounts"] if item["mountPath"] == PATH]
    mount["name"] = "own"
    ours = obj["metadata"]["managedFields"][0]["fieldsV1"]
    place = ours["f:spec"]["f:template"]["f:spec"]["f:containers"]['k:{"name":"agent"}']["f:volumeMounts"]
    place[KEY] = {".": {}, "f:mountPath": {}}
    entry = {"manager": "kubectl-client-side-apply", "operation": "Update", "fieldsV1": agent_fields(theirs)}
    obj["metadata"]["managedFields"].append(entry)
    return obj


def as_applied(obj: dict, body: dict) -> dict:
    """The object after our apply; the owner's fields stay his, items have their dot."""
    after = apply(obj, body)
    others = [entry for entry in obj["metadata"]["managedFields"] if entry["manager"] != FIELD_MANAGER]
    ours = after["metadata"]["managedFields"][0]["fieldsV1"]["f:spec"]["f:template"]["f:spec"]["f:containers"]
    ours['k:{"name":"agent"}']["f:volumeMounts"][KEY]["."] = {}
    after["metadata"]["managedFields"] += others
    return after


def agent_mounts(body: dict) -> list[dict]:
    containers = body["spec"]["template"]["spec"].get("containers", [])
    return [mount for item in containers if item["name"] == "agent" for mount in item["volumeMounts"]]


def watcher_volume(body: dict) -> str:
    (watcher,) = body["spec"]["template"]["spec"]["initContainers"]
    return next(mount["name"] for mount in watcher["volumeMounts"] if mount["mountPath"] == PATH)


def test_the_watcher_follows_and_the_owners_mount_is_held(snippet):
    """The patch names the owner's volume, so that nothing of his goes; our own volume goes, since nobody uses it."""
    plan = plan_present(taken_over(snippet, {"f:name": {}}), "Deployment", snippet, NATIVE)
    assert plan.outcome == "updated"
    assert agent_mounts(plan.body) == [{"mountPath": PATH, "name": "own"}]
    assert watcher_volume(plan.body) == "own"
    assert "discord-transcripts" not in [item["name"] for item in plan.body["spec"]["template"]["spec"]["volumes"]]


def test_the_run_after_that_sends_nothing(snippet):
    """Also now that the name is ours and his."""
    obj = taken_over(snippet, {"f:name": {}})
    after = as_applied(obj, plan_present(obj, "Deployment", snippet, NATIVE).body)
    assert plan_present(after, "Deployment", snippet, NATIVE).outcome == "unchanged"


def test_an_owner_of_the_whole_item_needs_no_holding(snippet):
    """He applies server-side: the API server keeps his item without us."""
    theirs = {".": {}, "f:mountPath": {}, "f:name": {}}
    plan = plan_present(taken_over(snippet, theirs), "Deployment", snippet, NATIVE)
    assert agent_mounts(plan.body) == []
    assert watcher_volume(plan.body) == "own"


@pytest.mark.parametrize("injected_again", [False, True])
def test_removal_leaves_the_owners_mount(snippet, injected_again):
    """It gives up all but that item, says so, and a second removal sends nothing."""
    obj = taken_over(snippet, {"f:name": {}})
    if injected_again:
        obj = as_applied(obj, plan_present(obj, "Deployment", snippet, NATIVE).body)
    plan = plan_absent(obj, "Deployment")
    assert (plan.outcome, plan.note.split(":")[0]) == ("removed", "mount_held")
    assert plan.body["spec"]["template"]["spec"] == {
        "containers": [{"name": "agent", "volumeMounts": [{"mountPath": PATH, "name": "own"}]}]
    }
    assert plan_absent(as_applied(obj, plan.body), "Deployment")[:2] == ("unchanged", "absent")


def test_a_mount_that_is_still_ours_goes_with_us(snippet):
    """The other side: without an owner's claim the removal names nothing."""
    assert "spec" not in plan_absent(injected(snippet), "Deployment").body

# SPDX-License-Identifier: GPL-3.0-or-later
# SPDX-FileCopyrightText: 2026 The orchestrator.platform authors
"""The planner: what is applied, when nothing is, and why not (DM-102, DM-120, DM-123, D1, D3)."""

from __future__ import annotations

import copy
import json

import pytest
import yaml
from ansible_collections.orchestrator.platform.plugins.module_utils._fields import (
    covers,
    gives_up,
    merge_key,
    owned_paths,
    planned_paths,
    project,
)
from ansible_collections.orchestrator.platform.plugins.module_utils._outcomes import CODES, plan_of_error
from ansible_collections.orchestrator.platform.plugins.module_utils._sidecar import (
    FIELD_MANAGER,
    Options,
    Surroundings,
    choose_native,
    owned_view,
    plan_absent,
    plan_present,
)
from ansible_collections.orchestrator.platform.plugins.module_utils._workloads import dig, pod_spec
from hypothesis import HealthCheck, assume, given, settings

from .conftest import FIXTURES, HASH
from .strategies import cases

NATIVE = Options(native=True, bridge=False)
CLASSIC = Options(native=False, bridge=False)
WORKLOADS = {item["metadata"]["name"]: item for item in yaml.safe_load_all((FIXTURES / "workloads.yaml").read_text())}


def workload(name: str) -> dict:
    return copy.deepcopy(WORKLOADS[name])


# -- a small model of the server's apply: enough to prove the planner's promises ----------------------------------


def tree(paths) -> dict:
    fields: dict = {}
    for path in paths:
        place = fields
        for key in path:
            place = place.setdefault(key, {})
            if key.startswith("k:"):
                place["."] = {}
    return fields


def merge(live, planned, field=""):
    if isinstance(planned, dict):
        return {**(live or {}), **{key: merge((live or {}).get(key), value, key) for key, value in planned.items()}}
    if isinstance(planned, list) and field in (
        "containers",
        "initContainers",
        "volumes",
        "env",
        "volumeMounts",
        "ports",
    ):
        keyed = {merge_key(field, item): item for item in live or []}
        for item in planned:
            key = merge_key(field, item)
            keyed[key] = merge(keyed.get(key), item)
        return list(keyed.values())
    return copy.deepcopy(planned)


def prune(live, fields, before):
    """Take owned fields away where they were not there before; what is left empty and was absent goes too."""
    for key, inner in fields.items():
        if key.startswith("f:") and isinstance(live, dict) and key[2:] in live:
            name = key[2:]
            old = before.get(name) if isinstance(before, dict) else None
            if not inner and old is None:
                del live[name]
            elif inner:
                prune(live[name], inner, old)
                if old is None and not live[name]:
                    del live[name]
        elif key.startswith("k:") and isinstance(live, list):
            keys = json.loads(key[2:])

            def same(item, keys=keys):
                return all(item.get(k, "TCP" if k == "protocol" else None) == v for k, v in keys.items())

            old = next((item for item in before or [] if same(item)), None)
            for item in [item for item in live if same(item)]:
                if old is None:
                    live.remove(item)
                else:
                    prune(item, inner, old)


def apply(obj: dict, body: dict) -> dict:
    """The object after an apply by our manager, managedFields included."""
    after = merge(obj, {"spec": body["spec"]})
    fields = tree(planned_paths({"spec": body["spec"]}))
    after["metadata"] = {
        **obj["metadata"],
        "managedFields": [{"manager": FIELD_MANAGER, "operation": "Apply", "fieldsV1": fields}],
    }
    return after


def remove(obj: dict, before: dict) -> dict:
    after = copy.deepcopy(obj)
    prune(after, after["metadata"].pop("managedFields")[0]["fieldsV1"], before)
    return after


# -- generated workloads --------------------------------------------------------------------------------------------

PROPERTY = settings(max_examples=100, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])


def planned(snippet, kind, obj, option):
    """The plan of an injectable workload; others are answered without anything to send."""
    plan = plan_present(obj, kind, snippet, option)
    if plan.outcome != "injected":
        assert plan.body is None
        assert plan.outcome in ("skipped", "conflict", "failed")
    assume(plan.outcome == "injected")
    return plan


@PROPERTY
@given(case=cases())
def test_remove_after_inject_is_identity(snippet, case):
    """What we add is exactly what we own, and what we own is all we take away."""
    kind, before, option, _other = case
    after = apply(before, planned(snippet, kind, before, option).body)
    assert plan_absent(after, kind).outcome == "removed"
    assert remove(after, before) == before


@PROPERTY
@given(case=cases())
def test_inject_after_inject_sends_nothing(snippet, case):
    kind, before, option, _other = case
    after = apply(before, planned(snippet, kind, before, option).body)
    again = plan_present(after, kind, snippet, option)
    assert (again.outcome, again.body) == ("unchanged", None)


@PROPERTY
@given(case=cases())
def test_changed_options_give_the_same_as_a_fresh_injection(snippet, case):
    """Inject with other options, or another snippet, is remove and then inject."""
    kind, before, first, second = case
    after = apply(before, planned(snippet, kind, before, first).body)
    newer = snippet._replace(hash="b" * 64)
    fresh = plan_present(before, kind, newer, second)
    changed = plan_present(after, kind, newer, second)
    assert changed.body == fresh.body
    assert changed.outcome == ("updated" if fresh.body else fresh.outcome)


@PROPERTY
@given(case=cases())
def test_patch_names_no_foreign_item_but_the_agent(snippet, case):
    """Naming a foreign item would own its key, and its owner could no longer rename it."""
    kind, before, option, _other = case
    spec = pod_spec(planned(snippet, kind, before, option).body, kind)
    ours = {"discord-watcher", "input-bridge"}
    named = [item["name"] for place in ("containers", "initContainers") for item in spec.get(place, [])]
    assert set(named) - ours <= {"agent"}
    assert {item["name"] for item in spec.get("volumes", [])} <= {
        item["name"] for item in [*snippet.volumes, *snippet.bridge_volumes]
    }


# -- cases --------------------------------------------------------------------------------------------------------


def container(plan, name: str) -> dict:
    spec = pod_spec(plan.body, plan.body["kind"])
    return next(
        item for place in ("containers", "initContainers") for item in spec.get(place, []) if item["name"] == name
    )


def test_plain_workload_gets_volume_mount_and_native_sidecar(snippet):
    plan = plan_present(workload("plain"), "Deployment", snippet, NATIVE)
    spec = pod_spec(plan.body, "Deployment")
    assert plan.body["metadata"]["uid"] == "uid-plain"
    assert [item["restartPolicy"] for item in spec["initContainers"]] == ["Always"]
    assert spec["containers"] == [
        {"name": "agent", "volumeMounts": [{"name": "discord-transcripts", "mountPath": "/home/agent/.claude"}]}
    ]
    assert [item["name"] for item in spec["volumes"]] == ["discord-transcripts", "discord-state"]
    assert dig(plan.body, "spec", "template", "metadata", "annotations") == {"orchestrator.platform/snippet-hash": HASH}


def test_classic_form_lists_the_agent_first(snippet):
    """The first container is the default of kubectl logs and exec."""
    spec = pod_spec(plan_present(workload("plain"), "Deployment", snippet, CLASSIC).body, "Deployment")
    assert [item["name"] for item in spec["containers"]] == ["agent", "discord-watcher"]
    assert "initContainers" not in spec


def test_owners_volume_is_reused_and_the_agent_not_named(snippet):
    plan = plan_present(workload("own-volume"), "Deployment", snippet, NATIVE)
    spec = pod_spec(plan.body, "Deployment")
    assert "containers" not in spec
    assert [item["name"] for item in spec["volumes"]] == ["discord-state"]
    assert container(plan, "discord-watcher")["volumeMounts"][0] == {
        "name": "home",
        "mountPath": "/home/agent",
        "subPath": "h",
        "readOnly": True,
    }


def test_agents_user_is_adopted(snippet):
    """DM-148: the watcher reads files of mode 0600."""
    context = container(plan_present(workload("own-volume"), "Deployment", snippet, NATIVE), "discord-watcher")[
        "securityContext"
    ]
    assert (context["runAsUser"], context["runAsGroup"]) == (2000, 3000)
    assert context["runAsNonRoot"] is True


def test_root_is_not_adopted_and_said(snippet):
    obj = workload("plain")
    pod_spec(obj, "Deployment")["containers"][0]["securityContext"] = {"runAsUser": 0}
    plan = plan_present(obj, "Deployment", snippet, NATIVE)
    assert container(plan, "discord-watcher")["securityContext"]["runAsUser"] == 10001
    assert "root" in plan.note


def test_bridge_comes_on_request(snippet):
    plan = plan_present(workload("plain"), "Deployment", snippet, Options(native=True, bridge=True))
    spec = pod_spec(plan.body, "Deployment")
    assert [item["name"] for item in spec["initContainers"]] == ["discord-watcher", "input-bridge"]
    assert [item["name"] for item in spec["containers"][0]["volumeMounts"]] == ["discord-transcripts", "discord-fifo"]


def test_cron_job_template_is_patched_where_it_sits(snippet):
    plan = plan_present(workload("nightly"), "CronJob", snippet, NATIVE)
    assert (
        dig(plan.body, "spec", "jobTemplate", "spec", "template", "spec", "initContainers")[0]["name"]
        == "discord-watcher"
    )
    assert plan.body["apiVersion"] == "batch/v1"


@pytest.mark.parametrize(
    ("change", "outcome", "code"),
    [
        (lambda o: o["metadata"].update(annotations={"orchestrator.platform/inject": "false"}), "skipped", "opt_out"),
        (lambda o: o["spec"]["template"]["metadata"].update(annotations={"orchestrator.platform/inject": "false"}), "skipped", "opt_out"),
        (lambda o: pod_spec(o, "Deployment").update(hostNetwork=True), "skipped", "host_network"),
        (lambda o: o["metadata"].update(ownerReferences=[{"controller": True, "kind": "Agent", "name": "x"}]), "skipped", "controlled"),
        (lambda o: o["metadata"].update(deletionTimestamp="now"), "skipped", "being_deleted"),
        (lambda o: pod_spec(o, "Deployment")["containers"][0].update(ports=[{"containerPort": 8080}]), "skipped", "port_conflict"),
        (lambda o: pod_spec(o, "Deployment")["containers"].append({"name": "discord-watcher", "image": "x"}), "conflict", "name_conflict"),
        (lambda o: pod_spec(o, "Deployment").update(initContainers=[{"name": "discord-watcher", "image": "x"}]), "conflict", "name_conflict"),
        (lambda o: pod_spec(o, "Deployment")["containers"][0].update(volumeMounts=[{"name": "v", "mountPath": "/home/agent", "subPathExpr": "x"}]), "skipped", "unsupported_mount"),
        (lambda o: o["metadata"].update(annotations={"orchestrator.platform/container": "nope"}), "failed", "container_missing"),
    ],
    ids=["opt-out", "opt-out in template", "host network", "controlled", "deleting", "port", "classic copy", "native copy", "subPathExpr", "container"],
)  # fmt: skip
def test_reasons_not_to_inject(change, outcome, code, snippet):
    obj = workload("plain")
    change(obj)
    plan = plan_present(obj, "Deployment", snippet, NATIVE)
    assert (plan.outcome, plan.code, plan.body) == (outcome, code, None)
    assert "{" not in plan.message


def test_namespace_opts_out_too(snippet):
    namespace = {"metadata": {"annotations": {"orchestrator.platform/inject": "false"}}}
    assert plan_present(workload("plain"), "Deployment", snippet, NATIVE, Surroundings(namespace)).code == "opt_out"


def test_annotation_names_the_agents_container(snippet):
    obj = workload("two-containers")
    plan = plan_present(obj, "Deployment", snippet, NATIVE)
    assert pod_spec(plan.body, "Deployment")["containers"][0]["name"] == "second"


def injected(snippet, name: str = "plain") -> dict:
    obj = workload(name)
    return apply(obj, plan_present(obj, "Deployment", snippet, NATIVE).body)


@pytest.mark.parametrize(
    "drift",
    [
        lambda s: s["initContainers"].clear(),
        lambda s: s["initContainers"][0].update(image="other:1"),
        lambda s: s["initContainers"][0]["resources"]["limits"].update(memory="1Gi"),
        lambda s: s["initContainers"][0]["securityContext"].update(allowPrivilegeEscalation=True),
        lambda s: s["initContainers"][0]["env"].pop(0),
        lambda s: s["initContainers"][0].update(args=["watch", "--x"]),
        lambda s: s["volumes"].clear(),
        lambda s: s["containers"][0]["volumeMounts"].clear(),
    ],
    ids=["sidecar lost", "image", "limit", "escalation", "env", "args", "volume", "mount"],
)
def test_drift_is_repaired(drift, snippet):
    """D1: drift is sidecar, volume and the agent's mount of our volume."""
    obj = injected(snippet)
    drift(pod_spec(obj, "Deployment"))
    plan = plan_present(obj, "Deployment", snippet, NATIVE)
    assert plan.code == "updated"


@pytest.mark.parametrize(
    "noise",
    [
        lambda s: s["initContainers"][0].update(terminationMessagePath="/dev/termination-log"),
        lambda s: s["initContainers"][0]["livenessProbe"].update(successThreshold=1),
        lambda s: s["initContainers"][0]["env"][5].pop("value"),
        lambda s: s["volumes"][0]["emptyDir"].update(sizeLimit="1Gi"),
        lambda s: s["containers"][0].update(image="agent:2"),
        lambda s: s["containers"].append({"name": "more", "image": "x"}),
        lambda s: s.update(dnsPolicy="ClusterFirst"),
    ],
    ids=[
        "default",
        "probe default",
        "empty value dropped",
        "quantity rewritten",
        "owner's image",
        "owner's container",
        "pod default",
    ],
)
def test_what_server_or_owner_add_is_no_drift(noise, snippet):
    obj = injected(snippet)
    noise(pod_spec(obj, "Deployment"))
    assert plan_present(obj, "Deployment", snippet, NATIVE).outcome == "unchanged"


def test_new_snippet_hash_updates(snippet):
    plan = plan_present(injected(snippet), "Deployment", snippet._replace(hash="b" * 64), NATIVE)
    assert plan.outcome == "updated"


def test_owner_who_gains_a_mount_of_his_own_is_followed(snippet):
    """After a client-side upgrade the agent writes to its owner's volume: the watcher moves there."""
    obj = injected(snippet)
    spec = pod_spec(obj, "Deployment")
    spec["volumes"].append({"name": "theirs", "emptyDir": {}})
    spec["containers"][0]["volumeMounts"][0]["name"] = "theirs"
    # The API server takes a field away from whoever applied it when an update changes its value.
    fields = dig(obj, "metadata", "managedFields")[0]["fieldsV1"]
    agent = dig(fields, "f:spec", "f:template", "f:spec", "f:containers", 'k:{"name":"agent"}', "f:volumeMounts")
    del agent['k:{"mountPath":"/home/agent/.claude"}']["f:name"]
    plan = plan_present(obj, "Deployment", snippet, NATIVE)
    patch = pod_spec(plan.body, "Deployment")
    assert plan.outcome == "updated"
    assert "containers" not in patch
    assert patch["initContainers"][0]["volumeMounts"][0]["name"] == "theirs"


def test_absent_where_we_own_nothing_sends_nothing():
    assert plan_absent(workload("plain"), "Deployment")[:2] == ("unchanged", "absent")


def test_removal_patch_names_only_the_object(snippet):
    plan = plan_absent(injected(snippet), "Deployment")
    assert plan.body == {
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "metadata": {"name": "plain", "namespace": "agents", "uid": "uid-plain"},
    }


def test_owned_view_shows_our_part_only(snippet):
    view = owned_view(injected(snippet))
    spec = pod_spec(view, "Deployment")
    assert set(spec) == {"containers", "initContainers", "volumes"}
    assert spec["containers"] == [
        {"name": "agent", "volumeMounts": [{"name": "discord-transcripts", "mountPath": "/home/agent/.claude"}]}
    ]
    assert owned_view(workload("plain")) == {}


@pytest.mark.parametrize(
    ("form", "server", "kubelets", "native"),
    [
        ("auto", "v1.36.3", ["v1.36.3"], True),
        ("auto", "v1.29.0", ["v1.29.0", "v1.30.1"], True),
        ("auto", "v1.36.3", ["v1.36.3", "v1.28.9"], False),
        ("auto", "v1.28.9", ["v1.29.0"], False),
        ("auto", "v1.36.3", None, True),
        ("container", "v1.36.3", ["v1.36.3"], False),
        ("native", "v1.29.1+k3s1", [], True),
    ],
)
def test_form_follows_the_oldest_version(form, server, kubelets, native):
    """D3."""
    assert choose_native(form, server, kubelets) is native


def test_native_on_an_old_kubelet_is_refused():
    with pytest.raises(ValueError, match=r"1\.28"):
        choose_native("native", "v1.30.0", ["v1.28.2"])


CONFLICT = {
    "details": {
        "causes": [
            {
                "reason": "FieldManagerConflict",
                "message": 'conflict with "helm" using apps/v1',
                "field": '.spec.template.spec.initContainers[name="discord-watcher"].image',
            }
        ]
    }
}


@pytest.mark.parametrize(
    ("status", "body", "outcome", "code", "word"),
    [
        (409, CONFLICT, "conflict", "field_conflict", "belongs to helm"),
        (409, {}, "failed", "gone", "run again"),
        (404, {}, "failed", "gone", "run again"),
        (403, {}, "failed", "forbidden", "the text"),
        (422, {}, "failed", "invalid", "the text"),
        (500, {}, "failed", "api_error", "the text"),
    ],
)
def test_refused_apply_becomes_an_outcome(status, body, outcome, code, word):
    plan = plan_of_error(status, "the text", body)
    assert (plan.outcome, plan.code, plan.body) == (outcome, code, None)
    assert word in plan.message


def test_every_code_has_one_sentence():
    for code, (_outcome, text, _mend) in CODES.items():
        assert code.islower()
        assert text[0].isupper() or text[0] == "{", code
        assert text.endswith((".", "}")), code


def test_field_sets_of_the_server_and_ours_compare():
    """Keys as the API server writes them, in another order of the JSON inside."""
    fields = {
        "f:spec": {
            "f:containers": {
                'k:{"name":"a"}': {
                    ".": {},
                    "f:name": {},
                    "f:ports": {'k:{"protocol":"TCP","containerPort":80}': {".": {}, "f:containerPort": {}}},
                }
            }
        }
    }
    planned = {"spec": {"containers": [{"name": "a", "ports": [{"containerPort": 80}]}]}}
    assert gives_up(fields, planned) == []
    assert gives_up(fields, {"spec": {"containers": [{"name": "a"}]}}) == [
        path for path in owned_paths(fields) if "f:ports" in path
    ]
    assert project({"spec": {"containers": [{"name": "a", "image": "x"}, {"name": "b"}]}}, fields) == {
        "spec": {"containers": [{"name": "a"}]}
    }


@pytest.mark.parametrize(
    ("live", "planned", "same"),
    [
        ({"a": 1, "b": 2}, {"a": 1}, True),
        ({}, {"a": False}, True),
        ({"a": True}, {"a": False}, False),
        ({"memory": "1Gi"}, {"memory": "1024Mi"}, True),
        ({"command": ["a", "b"]}, {"command": ["a"]}, False),
        ({"ports": [{"containerPort": 80, "protocol": "TCP"}]}, {"ports": [{"containerPort": 80}]}, True),
        (None, {"a": {"b": None}}, True),
        ("text", {"a": 1}, False),
    ],
)
def test_covers(live, planned, same):
    assert covers(live, planned) is same


@pytest.mark.parametrize(
    ("pod", "own", "said"),
    [
        ({}, {}, "the watcher runs as user 10001"),
        ({"runAsUser": 0}, {}, "files of mode 0600 stay unread"),
        ({"runAsUser": 2000}, {}, ""),
        ({}, {"runAsUser": 2000}, ""),
    ],
)
def test_note_says_which_files_the_watcher_cannot_read(pod, own, said, snippet):
    """DM-123: the agent's user comes from its manifest, else from its image, which nothing tells."""
    obj = workload("plain")
    spec = pod_spec(obj, "Deployment")
    spec["securityContext"], spec["containers"][0]["securityContext"] = pod, own
    for options in (NATIVE, CLASSIC):
        note = plan_present(obj, "Deployment", snippet, options).note
        assert said in note
        assert bool(note) is bool(said)

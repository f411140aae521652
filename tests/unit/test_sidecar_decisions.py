# SPDX-License-Identifier: GPL-3.0-or-later
# SPDX-FileCopyrightText: 2026 The orchestrator.platform authors
"""Decisions beyond the plain case: Jobs, pods, names that are taken, volumes, Secrets, Pod Security (DM-102, DM-123, DM-148, D3)."""

from __future__ import annotations

import copy
import time
import types

import pytest
from ansible_collections.orchestrator.platform.plugins.module_utils._errors import SnippetError
from ansible_collections.orchestrator.platform.plugins.module_utils._overrides import parse_overrides
from ansible_collections.orchestrator.platform.plugins.module_utils._sidecar import (
    FIELD_MANAGER,
    Options,
    Surroundings,
    plan_absent,
    plan_present,
)
from ansible_collections.orchestrator.platform.plugins.module_utils._snippet import (
    hide_literals,
    literal_webhooks,
    parse_snippet,
)
from ansible_collections.orchestrator.platform.plugins.module_utils._workloads import KINDS, dig, pod_spec

from .conftest import WEBHOOK, fields_of
from .strategies import of_kind
from .test_sidecar import NATIVE, apply, container, workload

PATH = "/home/agent/.claude"
RECREATE = NATIVE._replace(recreate_jobs=True)
UID = "793e70cc-90f7-43bf-ae87-029f006c409c"


def job(**status: object) -> dict:
    """A Job as the API server gives it back."""
    generated = {
        "batch.kubernetes.io/controller-uid": UID,
        "batch.kubernetes.io/job-name": "j",
        "controller-uid": UID,
        "job-name": "j",
    }
    return {
        "apiVersion": "batch/v1",
        "kind": "Job",
        "metadata": {
            "name": "j", "namespace": "n", "uid": UID, "generation": 1, "resourceVersion": "7",
            "creationTimestamp": "2026-01-01T00:00:00Z", "managedFields": [{"manager": "kubectl-create"}],
            "labels": {"team": "a", **generated}, "annotations": {"batch.kubernetes.io/job-tracking": ""},
        },
        "spec": {
            "suspend": True,
            "selector": {"matchLabels": {"batch.kubernetes.io/controller-uid": UID}},
            "template": {
                "metadata": {"labels": dict(generated), "creationTimestamp": None},
                "spec": {"restartPolicy": "Never", "containers": [{"name": "agent", "image": "x:1"}]},
            },
        },
        "status": {"ready": 0, "terminating": 0, "uncountedTerminatedPods": {}, **status},
    }  # fmt: skip


def with_mounts(mounts: list[dict], volumes: list[dict], **annotations: str) -> dict:
    obj = workload("plain")
    spec = pod_spec(obj, "Deployment")
    spec["containers"][0]["volumeMounts"], spec["volumes"] = mounts, volumes
    obj["metadata"]["annotations"] = {f"orchestrator.platform/{key}": value for key, value in annotations.items()}
    return obj


def transcripts(plan) -> dict:
    return container(plan, "discord-watcher")["volumeMounts"][0]


# -- Jobs -----------------------------------------------------------------------------------------------------------


def test_job_that_has_not_begun_is_only_made_anew_on_request(snippet):
    plan = plan_present(job(), "Job", snippet, NATIVE)
    assert (plan.outcome, plan.code, plan.recreate) == ("skipped", "job_immutable", None)
    assert "recreate_jobs" in plan.message


def test_renewed_job_is_the_owners_with_the_sidecar(snippet):
    plan = plan_present(job(), "Job", snippet, RECREATE)
    assert (plan.outcome, plan.code, plan.body) == ("injected", "job_recreated", None)
    assert set(plan.recreate) == {"apiVersion", "kind", "metadata", "spec"}
    assert plan.recreate["metadata"] == {"name": "j", "namespace": "n", "labels": {"team": "a"}}
    assert "selector" not in plan.recreate["spec"]
    assert plan.recreate["spec"]["suspend"] is True
    template = plan.recreate["spec"]["template"]
    assert list(template["metadata"]) == ["annotations"]
    assert [item["restartPolicy"] for item in template["spec"]["initContainers"]] == ["Always"]
    assert template["spec"]["containers"][0]["image"] == "x:1"


def made_anew(snippet, **status: object) -> dict:
    """The Job as the API server records it after our creation: by Update, the whole of it ours."""
    made = plan_present(job(), "Job", snippet, RECREATE).recreate
    entry = {"manager": FIELD_MANAGER, "operation": "Update", "fieldsV1": fields_of(made)}
    return {**made, "metadata": {**made["metadata"], "uid": "new", "managedFields": [entry]}, "status": status}


@pytest.mark.parametrize("status", [{}, {"active": 1}, {"conditions": [{"type": "Complete", "status": "True"}]}])
def test_renewed_job_is_unchanged_afterwards(status, snippet):
    """D5: the second run finds its own work and sends nothing."""
    plan = plan_present(made_anew(snippet, **status), "Job", snippet, RECREATE)
    assert (plan.outcome, plan.code, plan.body, plan.recreate) == ("unchanged", "unchanged", None, None)


@pytest.mark.parametrize(("status", "code"), [({}, "job_immutable"), ({"active": 1}, "job_next_run")])
def test_renewed_job_cannot_follow_a_new_snippet(status, code, snippet):
    for newer in (snippet._replace(hash="b" * 64), snippet._replace(watcher={**snippet.watcher, "image": "x:2"})):
        plan = plan_present(made_anew(snippet, **status), "Job", newer, RECREATE)
        assert (plan.outcome, plan.code, plan.recreate) == ("skipped", code, None)


def test_sidecar_of_a_renewed_job_stays_and_is_said(snippet):
    """D1: what cannot be taken away is never called absent."""
    plan = plan_absent(made_anew(snippet), "Job")
    assert (plan.outcome, plan.code, plan.body) == ("skipped", "job_immutable", None)
    assert "cannot be taken out of it; delete it or let it end." in plan.message
    assert plan_absent(job(), "Job").code == "absent"


def test_job_of_an_owner_with_the_watcher_is_included(snippet):
    """The same Job made by somebody else is left to its owner."""
    obj = made_anew(snippet)
    obj["metadata"]["managedFields"][0]["manager"] = "kubectl-create"
    plan = plan_present(obj, "Job", snippet, RECREATE)
    assert (plan.code, plan.note) == ("included", "")
    assert plan_absent(obj, "Job").code == "absent"


def test_manual_selector_stays(snippet):
    obj = job()
    obj["spec"].update(manualSelector=True, selector={"matchLabels": {"job-name": "j"}})
    renewed = plan_present(obj, "Job", snippet, RECREATE).recreate
    assert renewed["spec"]["selector"] == {"matchLabels": {"job-name": "j"}}
    assert renewed["spec"]["template"]["metadata"]["labels"]["job-name"] == "j"


@pytest.mark.parametrize(
    "status",
    [
        {"startTime": "now"},
        {"active": 1},
        {"succeeded": 1},
        {"failed": 1},
        {"uncountedTerminatedPods": {"failed": ["x"]}},
        {"conditions": [{"type": "Complete", "status": "True"}]},
    ],
)
def test_job_that_has_begun_waits_for_its_next_run(status, snippet):
    for options in (NATIVE, RECREATE):
        assert plan_present(job(**status), "Job", snippet, options).code == "job_next_run"


@pytest.mark.parametrize(
    ("change", "word"),
    [
        (lambda m: m.update(generation=3), "may have run"),
        (lambda m: m.update(ownerReferences=[{"kind": "X", "name": "x"}]), "owner"),
        (lambda m: m.update(finalizers=["x/y"]), "finalizers"),
    ],
    ids=["suspended later", "owned", "finalizers"],
)
def test_job_that_is_not_safely_made_anew(change, word, snippet):
    obj = job()
    change(obj["metadata"])
    plan = plan_present(obj, "Job", snippet, RECREATE)
    assert (plan.code, plan.recreate) == ("job_immutable", None)
    assert word in plan.message


def test_job_of_a_cron_job_is_controlled(snippet):
    obj = job()
    obj["metadata"]["ownerReferences"] = [{"controller": True, "kind": "CronJob", "name": "nightly"}]
    plan = plan_present(obj, "Job", snippet, RECREATE)
    assert plan.code == "controlled"
    assert "CronJob/nightly" in plan.message


def test_job_in_a_file_is_open(snippet):
    plan = plan_present(job(), "Job", snippet, NATIVE._replace(new=True))
    assert plan.code == "injected"


@pytest.mark.parametrize("kind", ["Job", "CronJob"])
def test_what_runs_to_its_end_takes_no_ordinary_container(kind, snippet):
    obj = of_kind(kind, {"spec": {"containers": [{"name": "agent", "image": "x:1"}]}})
    plan = plan_present(obj, kind, snippet, Options(native=False, bridge=False, new=True))
    assert (plan.outcome, plan.code) == ("skipped", "job_needs_native")


# -- pods and what stands between ---------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", ["Pod", "ReplicaSet", "ReplicationController"])
def test_bare_kinds_are_answered(kind, snippet):
    obj = of_kind(kind, {"spec": {"containers": [{"name": "agent", "image": "x:1"}]}})
    plan = plan_present(obj, kind, snippet, NATIVE)
    assert (plan.outcome, plan.code, plan.body) == ("skipped", "unsupported_kind", None)
    assert f"bare {kind}" in plan.message
    assert plan_present(obj, kind, snippet, NATIVE._replace(new=True)).code == "injected"


@pytest.mark.parametrize(
    ("labels", "owner", "top"),
    [
        ({"pod-template-hash": "5f6"}, ("ReplicaSet", "coder-5f6"), "Deployment/coder"),
        ({"rollouts-pod-template-hash": "5f6"}, ("ReplicaSet", "coder-5f6"), "ReplicaSet/coder-5f6"),
        ({"pod-template-hash": "777"}, ("ReplicaSet", "coder-5f6"), "ReplicaSet/coder-5f6"),
        ({}, ("StatefulSet", "db"), "StatefulSet/db"),
    ],
)
def test_pods_name_their_top_owner(labels, owner, top, snippet):
    pod = of_kind("Pod", {"spec": {"containers": [{"name": "agent", "image": "x:1"}]}})
    pod["metadata"].update(labels=labels, ownerReferences=[{"controller": True, "kind": owner[0], "name": owner[1]}])
    plan = plan_present(pod, "Pod", snippet, NATIVE)
    assert plan.code == "controlled"
    assert plan.message.startswith(top + " ")


@pytest.mark.parametrize("place", [{"os": {"name": "windows"}}, {"nodeSelector": {"kubernetes.io/os": "windows"}}])
def test_windows_pods_are_left_alone(place, snippet):
    obj = workload("plain")
    pod_spec(obj, "Deployment").update(place)
    assert plan_present(obj, "Deployment", snippet, NATIVE).code == "windows"


@pytest.mark.parametrize("name", KINDS)
def test_every_kind_has_a_path(name):
    base = "/api/v1/" if KINDS[name].group_version == "v1" else f"/apis/{KINDS[name].group_version}/"
    assert KINDS[name].path("n", "x") == f"{base}namespaces/n/{KINDS[name].plural}/x"


# -- names that are taken -------------------------------------------------------------------------------------------


def included(snippet, **change: object) -> dict:
    """A workload whose own manifest brings the watcher, as the chart's include does."""
    obj = workload("plain")
    spec = pod_spec(apply(obj, plan_present(obj, "Deployment", snippet, NATIVE).body), "Deployment")
    spec["initContainers"][0].update(terminationMessagePath="/dev/termination-log", **change)
    pod_spec(obj, "Deployment").update(spec)
    return obj


def test_owners_own_watcher_is_left_alone(snippet):
    plan = plan_present(included(snippet), "Deployment", snippet, NATIVE)
    assert (plan.outcome, plan.code, plan.note) == ("skipped", "included", "")


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"image": "registry.example.org/discord-monitor:0.0.9"}, "in: image."),
        ({"env": [{"name": "LOG_LEVEL", "value": "debug"}]}, "env LOG_LEVEL"),
        ({"resources": {"limits": {"memory": "1Gi"}}}, "in: resources."),
    ],
)
def test_owners_other_settings_are_said(change, said, snippet):
    plan = plan_present(included(snippet, **change), "Deployment", snippet, NATIVE)
    assert plan.code == "included"
    assert said in plan.note
    assert "debug" not in plan.note


@pytest.mark.parametrize("change", [{"image": "nginx:1"}, {"args": ["bot"]}, {"command": ["sh"]}])
def test_other_program_under_our_name_is_a_conflict(change, snippet):
    plan = plan_present(included(snippet, **change), "Deployment", snippet, NATIVE)
    assert (plan.outcome, plan.code) == ("conflict", "name_conflict")
    assert "Container discord-watcher" in plan.message


def test_foreign_bridge_is_a_conflict_only_when_ours_is_asked_for(snippet):
    obj = workload("plain")
    pod_spec(obj, "Deployment")["containers"].append({"name": "input-bridge", "image": "theirs:1"})
    assert plan_present(obj, "Deployment", snippet, NATIVE).code == "injected"
    assert plan_present(obj, "Deployment", snippet, NATIVE._replace(bridge=True)).code == "name_conflict"


def test_foreign_volume_of_our_name(snippet):
    obj = workload("plain")
    pod_spec(obj, "Deployment")["volumes"] = [{"name": "discord-state", "hostPath": {"path": "/x"}}]
    plan = plan_present(obj, "Deployment", snippet, NATIVE)
    assert (plan.outcome, plan.code) == ("conflict", "name_conflict")
    assert "Volume discord-state" in plan.message
    pod_spec(obj, "Deployment")["volumes"] = [{"name": "discord-state", "emptyDir": {"sizeLimit": "16Mi"}}]
    assert plan_present(obj, "Deployment", snippet, NATIVE).code == "injected"


@pytest.mark.parametrize(("place", "agent"), [("template", "second"), ("workload", "second"), (None, "agent")])
def test_annotation_names_the_container_before_the_option(place, agent, snippet):
    """DM-120: settings of one workload win over those of the run."""
    obj = workload("plain")
    pod_spec(obj, "Deployment")["containers"].append({"name": "second", "image": "x:1"})
    if place is not None:
        holder = obj if place == "workload" else obj["spec"]["template"]
        holder.setdefault("metadata", {})["annotations"] = {"orchestrator.platform/container": "second"}
    plan = plan_present(obj, "Deployment", snippet, NATIVE._replace(container="agent"))
    assert [item["name"] for item in pod_spec(plan.body, "Deployment")["containers"]] == [agent]


@pytest.mark.parametrize("value", ["no", "off", "0", "", "flase", '"false"'])
@pytest.mark.parametrize("place", ["template", "workload", "namespace"])
def test_opt_out_that_is_neither_true_nor_false_sends_nothing(place, value, snippet):
    """D18: who writes `inject` may mean to keep the sidecar out, so an unclear word is asked about."""
    obj, namespace = workload("plain"), {"metadata": {"name": "n"}}
    holder = {"template": obj["spec"]["template"], "workload": obj, "namespace": namespace}[place]
    holder.setdefault("metadata", {})["annotations"] = {"orchestrator.platform/inject": value}
    plan = plan_present(obj, "Deployment", snippet, NATIVE, Surroundings(namespace))
    assert (plan.code, plan.body) == ("invalid_override", None)
    assert f"/inject of the {'pod template' if place == 'template' else place} is {value!r}" in plan.message
    holder["metadata"]["annotations"] = {"orchestrator.platform/inject": " True "}
    assert plan_present(obj, "Deployment", snippet, NATIVE, Surroundings(namespace)).code == "injected"


def test_annotation_that_nothing_reads_is_said(snippet):
    obj = workload("plain")
    known = {
        "orchestrator.platform/container": "agent",
        "orchestrator.platform/log-level": "debug",
        "example.org/x": "y",
    }
    obj["metadata"]["annotations"] = dict(known)
    assert "unknown_annotation" not in plan_present(obj, "Deployment", snippet, NATIVE).note
    obj["metadata"]["annotations"] |= {
        "orchestrator.platform/injekt": "false",
        "orchestrator.platform/loglevel": "debug",
    }
    note = plan_present(obj, "Deployment", snippet, NATIVE).note
    assert "unknown_annotation: Nothing reads orchestrator.platform/injekt, orchestrator.platform/loglevel;" in note


PROBES = ("livenessProbe", "readinessProbe", "startupProbe")


@pytest.mark.parametrize(
    ("fields", "code"),
    [
        *(
            ({probe: {way: {"port": 8080}}}, "port_conflict")
            for probe in PROBES
            for way in ("httpGet", "tcpSocket", "grpc")
        ),
        *(({"lifecycle": {hook: {"httpGet": {"port": 8080}}}}, "port_conflict") for hook in ("postStart", "preStop")),
        ({"lifecycle": {"preStop": {"tcpSocket": {"port": 8080}}}}, "port_conflict"),
        ({"livenessProbe": {"httpGet": {"port": 9090}}}, "injected"),
        ({"livenessProbe": {"httpGet": {"port": 8080, "host": "192.0.2.1"}}}, "injected"),
        (
            {"livenessProbe": {"httpGet": {"port": "8080x"}}, "readinessProbe": {"exec": {"command": ["true"]}}},
            "injected",
        ),
    ],
)
def test_port_that_a_probe_asks_is_in_use(fields, code, snippet):
    """DM-120: an agent need not declare the port that its own probe asks."""
    obj = workload("plain")
    pod_spec(obj, "Deployment")["containers"][0].update(fields)
    plan = plan_present(obj, "Deployment", snippet, NATIVE)
    assert plan.code == code
    if code == "port_conflict":
        assert "Container agent already uses port 8080" in plan.message


@pytest.mark.parametrize("place", ["watcher", "bridge"])
def test_webhook_that_stands_in_the_snippet_is_refused_and_hidden(place, snippet_document):
    """D6: a credential comes from a Secret, and a refused one is in no output at any verbosity."""
    assert literal_webhooks(snippet_document) == []
    env = snippet_document[place]["env"]
    env[:] = [{"name": "DISCORD_WEBHOOK_URL", "value": WEBHOOK}, *env[1:]]
    module = types.SimpleNamespace(no_log_values=set())
    hide_literals(types.SimpleNamespace(params={"snippet": snippet_document}, _module=module))
    assert module.no_log_values == {WEBHOOK}
    with pytest.raises(SnippetError, match=r"valueFrom\.secretKeyRef") as caught:
        parse_snippet(snippet_document)
    assert WEBHOOK not in str(caught.value)


@pytest.mark.parametrize(
    "document", [None, "x", [], {"watcher": 1}, {"watcher": {"env": {"a": 1}}}, {"bridge": {"env": [1]}}]
)
def test_hiding_takes_any_shape(document):
    assert literal_webhooks(document) == []


# -- volumes --------------------------------------------------------------------------------------------------------

HOME = {"name": "home", "emptyDir": {}}


@pytest.mark.parametrize(
    ("mount", "path", "sub_path"),
    [
        ({"mountPath": "/root/.claude"}, PATH, None),
        ({"mountPath": "/root/.claude/"}, PATH, None),
        ({"mountPath": "/root/.claude", "subPath": "c"}, PATH, "c"),
        ({"mountPath": "/root/.claude/projects"}, f"{PATH}/projects", None),
        ({"mountPath": "/root/.claude/projects/x", "subPath": "y"}, f"{PATH}/projects/x", "y"),
        ({"mountPath": "/home/agent"}, "/home/agent", None),
        ({"mountPath": "/home/", "subPath": "users"}, "/home", "users"),
    ],
)
def test_agents_own_folder_is_found(mount, path, sub_path, snippet):
    """DM-123: the volume that holds .claude is read where the published path is not mounted."""
    plan = plan_present(with_mounts([{"name": "home", **mount}], [HOME]), "Deployment", snippet, NATIVE)
    wanted = {"name": "home", "mountPath": path, "readOnly": True, **({"subPath": sub_path} if sub_path else {})}
    assert transcripts(plan) == wanted
    assert "containers" not in pod_spec(plan.body, "Deployment")


def test_parent_is_mounted_whole_and_said(snippet):
    """DM-123: a sub-path of our making would be made by the kubelet as root, and an agent that is not root would die."""
    obj = with_mounts([{"name": "home", "mountPath": "/home/agent", "subPath": "h"}], [HOME])
    plan = plan_present(obj, "Deployment", snippet, NATIVE)
    assert "sees_more: The watcher sees the whole of volume home that the agent has at /home/agent" in plan.note
    variables = {item["name"]: item.get("value") for item in container(plan, "discord-watcher")["env"]}
    assert variables["WORKSPACE_PATH"] == PATH
    exact = with_mounts([{"name": "home", "mountPath": PATH}], [HOME])
    assert "sees_more" not in plan_present(exact, "Deployment", snippet, NATIVE).note


@pytest.mark.parametrize(
    ("path", "hides"),
    [
        ("/", "/var/lib/discord-watcher"),
        ("/var", "/var/lib/discord-watcher"),
        ("/var/lib/discord-watcher", "/var/lib/discord-watcher"),
        ("/usr", "/usr/local/bin"),
        ("/etc", "/etc/hosts"),
    ],
)
def test_parent_that_would_hide_what_the_watcher_needs(path, hides, snippet):
    below = f"{path.rstrip('/')}/x/.claude"
    for mount in (snippet.watcher["volumeMounts"][0], snippet.agent_mounts[0]):
        mount["mountPath"] = below
    plan = plan_present(with_mounts([{"name": "home", "mountPath": path}], [HOME]), "Deployment", snippet, NATIVE)
    assert (plan.code, plan.body) == ("unsupported_mount", None)
    assert f"mounts {path} from volume home" in plan.message
    assert f"hide {hides}." in plan.message


@pytest.mark.parametrize(
    ("mount", "volume"),
    [
        ({"mountPath": "/root/.claude/settings.json", "subPath": "s"}, HOME),
        ({"mountPath": "/root/.claude/.credentials.json", "subPath": "s"}, HOME),
        ({"mountPath": "/root/.claude", "readOnly": True}, HOME),
        ({"mountPath": "/root/.claude"}, {"name": "home", "secret": {"secretName": "k"}}),
        ({"mountPath": "/root/.claude"}, {"name": "home", "projected": {"sources": []}}),
        ({"mountPath": "/root/.claude", "subPathExpr": "$(X)"}, HOME),
        ({"mountPath": "/root/x.claude"}, HOME),
    ],
)
def test_settings_and_credentials_are_no_transcripts(mount, volume, snippet):
    plan = plan_present(with_mounts([{"name": "home", **mount}], [volume]), "Deployment", snippet, NATIVE)
    assert transcripts(plan)["name"] == "discord-transcripts"


def test_secret_at_the_published_path_is_never_read(snippet):
    """DM-121: the webhook is the watcher's only credential."""
    volume = {"name": "home", "secret": {"secretName": "k"}}
    plan = plan_present(with_mounts([{"name": "home", "mountPath": PATH}], [volume]), "Deployment", snippet, NATIVE)
    assert (plan.code, plan.body) == ("unsupported_mount", None)


@pytest.mark.parametrize(
    ("mounts", "path", "sub_path", "agent_mounts"),
    [
        ([], PATH, None, [{"name": "home", "mountPath": PATH}]),
        ([{"name": "home", "mountPath": "/data", "subPath": "d"}], PATH, "d", None),
        ([{"name": "home", "mountPath": "/data/.claude/projects"}], f"{PATH}/projects", None, None),
        ([{"name": "home", "mountPath": "/home"}], "/home", None, None),
        ([{"name": "other", "mountPath": "/root/.claude"}], PATH, None, [{"name": "home", "mountPath": PATH}]),
    ],
)
def test_named_volume_is_taken(mounts, path, sub_path, agent_mounts, snippet):
    obj = with_mounts(mounts, [HOME, {"name": "other", "emptyDir": {}}], **{"transcript-volume": "home"})
    plan = plan_present(obj, "Deployment", snippet, NATIVE)
    wanted = {"name": "home", "mountPath": path, "readOnly": True, **({"subPath": sub_path} if sub_path else {})}
    assert transcripts(plan) == wanted
    classic = pod_spec(plan.body, "Deployment").get("containers")
    assert classic == ([{"name": "agent", "volumeMounts": agent_mounts}] if agent_mounts else None)
    assert [item["name"] for item in pod_spec(plan.body, "Deployment")["volumes"]] == ["discord-state"]
    after = apply(obj, plan.body)
    assert plan_present(after, "Deployment", snippet, NATIVE).code == "unchanged"
    # Without the annotation one run gives what a fresh injection would have given.
    del obj["metadata"]["annotations"], after["metadata"]["annotations"]
    fresh, again = (plan_present(item, "Deployment", snippet, NATIVE) for item in (obj, after))
    assert again.body == fresh.body or (again.code == "unchanged" and plan.body == fresh.body)


def test_named_volume_that_is_not_there(snippet):
    plan = plan_present(with_mounts([], [HOME], **{"transcript-volume": "hom"}), "Deployment", snippet, NATIVE)
    assert (plan.outcome, plan.code) == ("failed", "volume_missing")
    assert "there are: home" in plan.message


def test_our_own_volume_cannot_be_named(snippet):
    obj = with_mounts([], [HOME])
    after = apply(obj, plan_present(obj, "Deployment", snippet, NATIVE).body)
    after["metadata"]["annotations"] = {"orchestrator.platform/transcript-volume": "discord-transcripts"}
    assert plan_present(after, "Deployment", snippet, NATIVE).code == "volume_missing"


def test_path_that_another_volume_takes(snippet):
    obj = with_mounts([{"name": "o", "mountPath": PATH}], [HOME, {"name": "o", "emptyDir": {}}], **{"transcript-volume": "home"})  # fmt: skip
    plan = plan_present(obj, "Deployment", snippet, NATIVE)
    assert plan.code == "unsupported_mount"
    assert "from volume o" in plan.message


def test_fifo_volume_goes_to_bridge_and_agent(snippet):
    obj = with_mounts([], [HOME], **{"fifo-volume": "home"})
    plan = plan_present(obj, "Deployment", snippet, NATIVE._replace(bridge=True))
    assert container(plan, "input-bridge")["volumeMounts"] == [{"name": "home", "mountPath": "/var/run/discord-bridge"}]
    assert {"name": "home", "mountPath": "/var/run/discord-bridge"} in container(plan, "agent")["volumeMounts"]
    assert plan_present(apply(obj, plan.body), "Deployment", snippet, NATIVE._replace(bridge=True)).code == "unchanged"


# -- overrides, Secrets, Pod Security -------------------------------------------------------------------------------


def test_overrides_reach_the_patch_and_their_change_is_an_update(snippet):
    options = NATIVE._replace(overrides=parse_overrides({"log_level": "error"}))
    obj = workload("plain")
    plan = plan_present(obj, "Deployment", snippet, options)
    assert {"name": "LOG_LEVEL", "value": "error"} in container(plan, "discord-watcher")["env"]
    after = apply(obj, plan.body)
    assert plan_present(after, "Deployment", snippet, options).code == "unchanged"
    after["metadata"]["annotations"] = {"orchestrator.platform/log-level": "debug"}
    changed = plan_present(after, "Deployment", snippet, options)
    assert changed.code == "updated"
    assert {"name": "LOG_LEVEL", "value": "debug"} in container(changed, "discord-watcher")["env"]


@pytest.mark.parametrize("name", ["memory-limit", "run-as-user"])
def test_invalid_override_fails_that_workload(name, snippet):
    plan = plan_present(with_mounts([], [], **{name: "lots"}), "Deployment", snippet, NATIVE)
    assert (plan.outcome, plan.code, plan.body) == ("failed", "invalid_override", None)
    assert f"orchestrator.platform/{name}" in plan.message


def test_missing_secret(snippet):
    """An absent Secret would leave a watcher that says nothing."""
    gone = Surroundings(secrets=frozenset())
    plan = plan_present(workload("plain"), "Deployment", snippet, NATIVE, gone)
    assert (plan.outcome, plan.code, plan.body) == ("failed", "secret_missing", None)
    assert "Secret discord-secrets" in plan.message
    assert "namespace agents" in plan.message
    known = Surroundings(secrets=frozenset({"discord-secrets"}))
    assert plan_present(workload("plain"), "Deployment", snippet, NATIVE, known).code == "injected"
    preview = plan_present(workload("plain"), "Deployment", snippet, NATIVE, gone._replace(check_mode=True))
    assert preview.code == "injected"
    assert "secret_missing: Secret discord-secrets" in preview.note
    assert plan_present(workload("plain"), "Deployment", snippet, NATIVE, Surroundings()).note.count("secret") == 0


def test_override_names_another_secret(snippet):
    around = Surroundings(secrets=frozenset({"team"}))
    obj = with_mounts([], [], **{"webhook-secret-name": "team"})
    assert plan_present(obj, "Deployment", snippet, NATIVE, around).code == "injected"


def test_secret_that_a_bridge_is_told_to_read_has_to_be_there(snippet):
    """Issue 7.5: the published one may be missing, as an agent without input works; one that somebody names may not."""
    around = Surroundings(secrets=frozenset({"discord-secrets"}))
    both = NATIVE._replace(bridge=True)
    assert plan_present(with_mounts([], []), "Deployment", snippet, both, around).code == "injected"
    told = with_mounts([], [], **{"input-secret-name": "team"})
    plan = plan_present(told, "Deployment", snippet, both, around)
    assert (plan.code, plan.body) == ("secret_missing", None)
    assert "Secret team, from which container input-bridge reads" in plan.message
    there = Surroundings(secrets=frozenset({"discord-secrets", "team"}))
    plan = plan_present(told, "Deployment", snippet, both, there)
    spec = plan.body["spec"]["template"]["spec"]
    (bridge,) = (item for item in spec["initContainers"] if item["name"] == "input-bridge")
    reference = {"name": "team", "key": "BOT_INPUT_CREDENTIAL", "optional": True}
    assert {"name": "BOT_INPUT_CREDENTIAL", "valueFrom": {"secretKeyRef": reference}} in bridge["env"]
    # Without a bridge there is nobody to read it.
    assert plan_present(told, "Deployment", snippet, NATIVE, around).code == "injected"


def test_input_secret_for_a_bridge_that_pulls_nothing_is_refused(snippet):
    """Issue 7.5: in one sentence, and before anything is sent."""
    bridge = {**snippet.bridge, "env": [item for item in snippet.bridge["env"] if "valueFrom" not in item]}
    told = with_mounts([], [], **{"input-secret-name": "team"})
    plan = plan_present(told, "Deployment", snippet._replace(bridge=bridge), NATIVE._replace(bridge=True))
    assert (plan.outcome, plan.code, plan.body) == ("failed", "invalid_override", None)
    assert "inputBridge.pull.enabled" in plan.message


def test_further_secrets_count_where_they_would_keep_the_pod_from_starting(snippet):
    watcher = copy.deepcopy(snippet.watcher)
    for name, optional in (("needed", False), ("extra", True)):
        reference = {"name": name, "key": "k", "optional": optional}
        watcher["env"].append({"name": name.upper(), "valueFrom": {"secretKeyRef": reference}})
    around = Surroundings(secrets=frozenset({"discord-secrets"}))
    plan = plan_present(workload("plain"), "Deployment", snippet._replace(watcher=watcher), NATIVE, around)
    assert plan.code == "secret_missing"
    assert "Secret needed" in plan.message


def test_pod_security_is_known_beforehand(snippet):
    namespace = {"metadata": {"labels": {"pod-security.kubernetes.io/enforce": "restricted"}}}
    plan = plan_present(workload("plain"), "Deployment", snippet, NATIVE, Surroundings(namespace))
    assert (plan.outcome, plan.code, plan.body) == ("failed", "pss_violation", None)
    assert "container agent" in plan.message
    assert "discord-watcher" not in plan.message
    spec = pod_spec(obj := workload("plain"), "Deployment")
    spec["securityContext"] = {"runAsNonRoot": True, "seccompProfile": {"type": "RuntimeDefault"}}
    spec["containers"][0]["securityContext"] = {"allowPrivilegeEscalation": False, "capabilities": {"drop": ["ALL"]}}
    assert plan_present(obj, "Deployment", snippet, NATIVE, Surroundings(namespace)).code == "injected"


def test_a_thousand_plans_take_well_under_a_second(snippet):
    """The best of three, since the machine may be busy with other work."""
    workloads = [workload("own-volume") for _number in range(1000)]
    took = []
    for _round in range(3):
        begun = time.process_time()
        plans = [plan_present(obj, "Deployment", snippet, NATIVE) for obj in workloads]
        took.append(time.process_time() - begun)
    assert {plan.code for plan in plans} == {"injected"}
    assert dig(plans[0].body, "metadata", "name") == "own-volume"
    assert min(took) < 1.0

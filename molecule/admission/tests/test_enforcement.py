# SPDX-License-Identifier: GPL-3.0-or-later
# SPDX-FileCopyrightText: 2026 The orchestrator.platform authors
"""The API server refuses what breaks the scope of the bot's Secret, in every kind, and nothing else."""

from __future__ import annotations

import copy

import pytest

from dry_runs import PATHS, DryRuns, manifest, path_of
from real_cluster import Cluster, Json

testinfra_hosts = ["local://"]

BOT, WEBHOOK = "discord-monitor-bot", "discord-secrets"


def by_env(secret: str, **more: object) -> Json:
    reference = {"name": secret, "key": "k", **more}
    return {"env": [{"name": "A", "value": "a"}, {"name": "BOT", "valueFrom": {"secretKeyRef": reference}}]}


def by_env_from(secret: str) -> Json:
    return {"envFrom": [{"configMapRef": {"name": "c"}}, {"secretRef": {"name": secret}}]}


def pod(
    watcher: Json, agent: Json | None = None, *, name: str = "discord-watcher", native: bool = False, **spec: object
) -> Json:
    ours = {"name": name, "image": "w", **watcher, **({"restartPolicy": "Always"} if native else {})}
    theirs = {"name": "agent", "image": "a", **(agent or {})}
    if native:
        return {"containers": [theirs], "initContainers": [ours], **spec}
    return {"containers": [theirs, ours], **spec}


def volume(source: Json) -> Json:
    return {"volumes": [{"name": "v", **source}]}


MOUNT = {"volumeMounts": [{"name": "v", "mountPath": "/v"}]}
SECRET = {"secret": {"secretName": BOT}}
PROJECTED = {"projected": {"sources": [{"configMap": {"name": "c"}}, {"secret": {"name": BOT}}]}}
CSI = {"csi": {"driver": "d.example.org", "nodePublishSecretRef": {"name": BOT}}}
# Drivers that are given a Secret by name, with what their schemas demand besides.
DRIVERS = {
    "flexVolume": {"driver": "example.org/flex"},
    "cephfs": {"monitors": ["192.0.2.1"]},
    "cinder": {"volumeID": "v"},
    "iscsi": {"targetPortal": "192.0.2.1", "iqn": "iqn.2001-04.org.example:storage", "lun": 0},
    "rbd": {"monitors": ["192.0.2.1"], "image": "i"},
    "scaleIO": {"gateway": "https://192.0.2.1", "system": "s", "volumeName": "v"},
    "storageos": {"volumeName": "v"},
}
AZURE = {"azureFile": {"shareName": "s", "secretName": BOT}}


def driver(name: str, secret: str = BOT) -> Json:
    return {name: {**DRIVERS[name], "secretRef": {"name": secret}}}


def pulls(secret: str) -> Json:
    return {"imagePullSecrets": [{"name": "registry"}, {"name": secret}]}


AGENT_ALONE = {"containers": [{"name": "agent", "image": "a"}]}
OTHER = {"secret": {"secretName": WEBHOOK}}
TOKEN = {"projected": {"sources": [{"serviceAccountToken": {"path": "t"}}, {"secret": {"name": WEBHOOK}}]}}

# (pod spec, the rule that refuses it)
DENIED = {
    "env-native": (pod(by_env(BOT), native=True), "secret-scope/env-ref"),
    "env-classic": (pod(by_env(BOT)), "secret-scope/env-ref"),
    "env-optional": (pod(by_env(BOT, optional=True)), "secret-scope/env-ref"),
    "env-bridge": (pod(by_env(BOT), name="input-bridge"), "secret-scope/env-ref"),
    "env-from": (pod(by_env_from(BOT)), "secret-scope/env-from"),
    "env-from-native": (pod(by_env_from(BOT), native=True), "secret-scope/env-from"),
    "volume": (pod(MOUNT, **volume(SECRET)), "secret-scope/volume"),
    "projected": (pod(MOUNT, native=True, **volume(PROJECTED)), "secret-scope/volume"),
    "csi": (pod(MOUNT, **volume(CSI)), "secret-scope/volume"),
    "processes": (pod({}, shareProcessNamespace=True), "secret-scope/share-process-namespace"),
    "processes-native": (pod({}, native=True, shareProcessNamespace=True), "secret-scope/share-process-namespace"),
    "account": (pod({}, serviceAccountName="bot-account"), "secret-scope: bot-account"),
    "host-processes": (pod({}, hostPID=True), "secret-scope/share-process-namespace: hostPID"),
    "host-processes-native": (pod({}, native=True, hostPID=True), "secret-scope/share-process-namespace: hostPID"),
    "pull": (pod({}, **pulls(BOT)), "secret-scope/image-pull"),
    "pull-webhook": (pod({}, native=True, **pulls(WEBHOOK)), "secret-scope/image-pull"),
    "pull-without-watcher": ({**AGENT_ALONE, **pulls(BOT)}, "secret-scope/image-pull"),
    "azure-file": (pod(MOUNT, **volume(AZURE)), "secret-scope/volume"),
    **{name: (pod(MOUNT, native=True, **volume(driver(name))), "secret-scope/volume") for name in DRIVERS},
}
ALLOWED = {
    "agent-env": pod(by_env(WEBHOOK), by_env(BOT)),
    "agent-volume": pod({}, MOUNT, **volume(SECRET)),
    "agent-projected": pod({}, MOUNT, native=True, **volume(PROJECTED)),
    "webhook-env": pod(by_env(WEBHOOK), native=True),
    "webhook-env-from": pod(by_env_from(WEBHOOK)),
    "field": pod({"env": [{"name": "N", "valueFrom": {"fieldRef": {"fieldPath": "metadata.name"}}}]}),
    "other-volume": pod(MOUNT, **volume(OTHER)),
    "token-and-webhook": pod(MOUNT, **volume(TOKEN)),
    "processes-without-watcher": {**AGENT_ALONE, "shareProcessNamespace": True},
    "host-processes-without-watcher": {**AGENT_ALONE, "hostPID": True},
    "host-processes-false": pod({}, hostPID=False),
    "own-pull": pod({}, **pulls("registry-2")),
    "other-driver": pod(MOUNT, **volume(driver("flexVolume", WEBHOOK))),
    "agent-driver": pod({}, MOUNT, **volume(driver("flexVolume"))),
    "processes-false": pod({}, shareProcessNamespace=False),
    "own-account": pod({}, serviceAccountName="default"),
}
STRICT = {
    "agent-env",
    "agent-volume",
    "agent-projected",
    "agent-driver",
    "host-processes-without-watcher",
}  # what only a strict namespace refuses


def ask(api: DryRuns, kind: str, spec: Json, namespace: str = "adm-agents"):
    return api.create(manifest(kind, "scope", spec), namespace)


@pytest.mark.parametrize("kind", PATHS)
@pytest.mark.parametrize("case", DENIED)
def test_denied(kind: str, case: str, api: DryRuns):
    """Issue 5.3, D7: refused with the rule's name, in a pod and in every template that makes pods."""
    spec, rule = DENIED[case]
    answer = ask(api, kind, spec)
    if kind == "Pod" and case == "account":  # ServiceAccount admission comes first: there is no such account
        assert answer.status == 403
        return
    assert answer.status in (403, 422), answer.said
    assert rule in answer.said


@pytest.mark.parametrize("kind", PATHS)
@pytest.mark.parametrize("case", ALLOWED)
def test_allowed(kind: str, case: str, api: DryRuns):
    """Nothing else is refused: the agent's own use of a Secret is its owner's matter, unless the namespace is strict."""
    answer = ask(api, kind, ALLOWED[case])
    assert (answer.status, answer.warning) == (201, ""), answer.said
    strict = ask(api, kind, ALLOWED[case], "adm-strict")
    assert (strict.status != 201) is (case in STRICT), strict.said


@pytest.mark.parametrize("kind", PATHS)
def test_only_where_agents_run(kind: str, api: DryRuns):
    """A namespace that is not selected is left alone."""
    assert ask(api, kind, DENIED["env-native"][0], "adm-plain").status == 201


def change(api: DryRuns, kind: str, name: str, body: Json, *, patch: str = "strategic-merge-patch"):
    return api.send("PATCH", path_of(kind, "adm-agents", name), body, patch=patch)


def template(spec: Json) -> Json:
    return {"spec": {"template": spec}}


TOUCH = {"metadata": {"annotations": {"touched": "yes"}}}
CLEAN = {"spec": {"containers": [{"name": "discord-watcher", "env": [{"name": "BOT", "$patch": "delete"}]}]}}
SPYING = {
    "spec": {"containers": [{"name": "discord-watcher", "image": "w", "envFrom": [{"secretRef": {"name": BOT}}]}]}
}
# Everything at once that the object "everything" has broken: the host's processes, the pull Secret, the driver's.
MENDED = {
    "spec": {
        "hostPID": False,
        "imagePullSecrets": [{"name": BOT, "$patch": "delete"}],
        "volumes": [{"name": "v", "$patch": "delete"}],
        "containers": [{"name": "discord-watcher", "volumeMounts": [{"mountPath": "/v", "$patch": "delete"}]}],
    }
}
HALF = {"spec": {key: value for key, value in MENDED["spec"].items() if key != "hostPID"}}
# (what somebody does to an object that was there before the policy, whether it is allowed)
AFTERWARDS = {
    "label": ("Deployment", "violator", {"metadata": {"labels": {"a": "b"}}}, True),
    "scale": ("Deployment", "violator", {"spec": {"replicas": 2}}, True),
    "repair": ("Deployment", "violator", template(CLEAN), True),
    "restart": ("Deployment", "violator", template(TOUCH), False),
    "suspend": ("CronJob", "violator", {"spec": {"suspend": False}}, True),
    "change-cron-job": ("CronJob", "violator", {"spec": {"jobTemplate": template(TOUCH)}}, False),
    "clean-to-bad": ("Deployment", "clean", template(SPYING), False),
    "everything-label": ("Deployment", "everything", {"metadata": {"labels": {"a": "b"}}}, True),
    "everything-down": ("Deployment", "everything", {"spec": {"replicas": 0}}, True),
    "everything-repair": ("Deployment", "everything", template(MENDED), True),
    "everything-half": ("Deployment", "everything", template(HALF), False),
    "everything-restart": ("Deployment", "everything", template(TOUCH), False),
    "clean-to-host": ("Deployment", "clean", template({"spec": {"hostPID": True}}), False),
    "clean-to-pull": ("Deployment", "clean", template({"spec": pulls(BOT)}), False),
    "clean-to-clean": ("Deployment", "clean", template(TOUCH), True),
}


@pytest.mark.parametrize("case", AFTERWARDS)
def test_what_was_there_before(case: str, api: DryRuns):
    """Issue 5.3: an existing violator can be labelled, scaled and repaired; it cannot be rolled out anew."""
    kind, name, body, allowed = AFTERWARDS[case]
    answer = change(api, kind, name, body)
    assert (answer.status == 200) is allowed, answer.said
    assert allowed or "secret-scope/" in answer.said


def test_a_violator_can_be_scaled_down_by_kubectl(api: DryRuns):
    """Issue 5.3: kubectl scale and autoscalers change the subresource."""
    path = path_of("Deployment", "adm-agents", "everything") + "/scale"
    answer = api.send("PATCH", path, {"spec": {"replicas": 0}}, patch="merge-patch")
    assert (answer.status, answer.body["spec"].get("replicas", 0)) == (200, 0), answer.said


def test_a_pod_that_breaks_the_rules_can_be_labelled(api: DryRuns):
    """Issue 5.3: a running violator, too; its spec is nobody's to change."""
    answer = change(api, "Pod", "everything", {"metadata": {"labels": {"a": "b"}, "finalizers": None}})
    assert answer.status == 200, answer.said


def test_a_violator_can_be_deleted(api: DryRuns):
    """Issue 5.3."""
    # With a body the API server looks for a dry run there, and not in the query.
    options = {"apiVersion": "v1", "kind": "DeleteOptions", "dryRun": ["All"]}
    assert api.send("DELETE", path_of("Deployment", "adm-agents", "violator"), options).status == 200


# (pod, ephemeral container, the rule that refuses it or "")
EPHEMERAL = {
    "env": ("target", {"name": "discord-watcher", **by_env(BOT)}, "secret-scope/env-ref"),
    "env-from": ("target", {"name": "input-bridge", **by_env_from(BOT)}, "secret-scope/env-from"),
    "target": ("target", {"name": "discord-watcher", "targetContainerName": "agent"}, "secret-scope: an ephemeral"),
    "clean-watcher": ("target", {"name": "discord-watcher", **by_env(WEBHOOK)}, ""),
    "debugger": ("target", {"name": "debugger", "targetContainerName": "agent"}, ""),
    "at-watcher": (
        *("watched", {"name": "debugger", "targetContainerName": "discord-watcher"}),
        "secret-scope/share-process-namespace: container debugger enters",
    ),
    "beside-watcher": ("watched", {"name": "debugger", "targetContainerName": "agent"}, ""),
    "without-target": ("watched", {"name": "debugger"}, ""),
}


@pytest.mark.parametrize("case", EPHEMERAL)
def test_ephemeral_containers(case: str, api: DryRuns):
    """D14, issue 5.3: the third list of containers, which is an update of a subresource."""
    pod_name, container, rule = EPHEMERAL[case]
    path = path_of("Pod", "adm-agents", pod_name) + "/ephemeralcontainers"
    body = {"spec": {"ephemeralContainers": [{"image": "e", **copy.deepcopy(container)}]}}
    answer = api.send("PATCH", path, body, patch="strategic-merge-patch")
    assert (answer.status == 200) is (rule == ""), answer.said
    assert rule in answer.said


def test_no_warning_from_the_type_checker(cluster: Cluster):
    """Every expression fits every kind it is evaluated for."""
    name = "discord-monitor.adm-monitor"
    # Before the controller has looked at it there is no warning either.
    looked = cluster.until(
        lambda: cluster.get("validatingadmissionpolicy", name, "default").get("status", {}).get("observedGeneration"),
        "the type checker has looked at the policy",
        60,
    )
    assert looked
    status = cluster.get("validatingadmissionpolicy", name, "default")["status"]
    assert not status.get("typeChecking", {}).get("expressionWarnings")


def test_warn_admits_and_says(cluster: Cluster, api: DryRuns):
    """Mode warn: the same rules, as a warning to whoever asks; what it needs is one field of the binding."""
    binding = "/apis/admissionregistration.k8s.io/v1/validatingadmissionpolicybindings/discord-monitor.adm-monitor"
    spec = DENIED["env-native"][0]

    def actions(first: str) -> None:
        answer = api.send("PATCH", binding, {"spec": {"validationActions": [first, "Audit"]}}, dry=False)
        assert answer.status == 200, answer.said

    try:
        actions("Warn")
        cluster.until(lambda: ask(api, "Pod", spec).status == 201, "mode warn admits", 15)
        assert "secret-scope/env-ref: container discord-watcher" in ask(api, "Deployment", spec).warning
    finally:
        actions("Deny")
    cluster.until(lambda: ask(api, "Pod", spec).status != 201, "mode deny refuses again", 15)

# SPDX-License-Identifier: GPL-3.0-or-later
# SPDX-FileCopyrightText: 2026 The orchestrator.platform authors
"""Each check: passes on the healthy picture, and one broken thing is found by exactly that check (DM-146, DM-166, DM-188)."""

from __future__ import annotations

import json
from collections.abc import Callable

import pytest
from ansible_collections.orchestrator.platform.plugins.module_utils._catalogue import CHECKS
from ansible_collections.orchestrator.platform.plugins.module_utils._expectation import Allowed, Target
from ansible_collections.orchestrator.platform.plugins.module_utils._findings import breaks, run_checks, summarise
from ansible_collections.orchestrator.platform.plugins.module_utils._snapshot import (
    Chosen,
    Delivery,
    HttpAnswer,
    Snapshot,
    Usage,
    View,
)

from .conftest import TOKEN, WEBHOOK, answer_reviews, b64, expectation

CREDENTIAL = "81384788765712384." + "c" * 43
WATCHER = ("agents", "coder-1", "discord-watcher")


def obj(snapshot: Snapshot, resource: str, namespace: str, index: int = 0) -> dict:
    return snapshot.objects[(resource, namespace)][index]


def template(snapshot: Snapshot) -> dict:
    return obj(snapshot, "deployments", "agents")["spec"]["template"]


def workload(snapshot: Snapshot) -> dict:
    return template(snapshot)["spec"]


def pod(snapshot: Snapshot) -> dict:
    return obj(snapshot, "pods", "agents")["spec"]


def watcher(snapshot: Snapshot) -> dict:
    return workload(snapshot)["initContainers"][0]


def bridge(snapshot: Snapshot) -> dict:
    return workload(snapshot)["initContainers"][1]


def bot(snapshot: Snapshot) -> dict:
    return obj(snapshot, "deployments", "monitor")["spec"]["template"]["spec"]["containers"][0]


def secret_env(name: str) -> list:
    return [{"name": "X", "valueFrom": {"secretKeyRef": {"name": name, "key": "k"}}}]


def volume(snapshot: Snapshot, source: dict) -> None:
    workload(snapshot)["volumes"].append({"name": "v", **source})
    workload(snapshot)["containers"][0]["volumeMounts"].append({"name": "v", "mountPath": "/v"})


def foreign_ephemeral(snapshot: Snapshot, container: dict) -> None:
    pod(snapshot)["ephemeralContainers"] = [{"name": "debugger", "image": "x", **container}]


def api_token(snapshot: Snapshot, path: str = "/var/run/secrets/kubernetes.io/serviceaccount") -> None:
    source = {"serviceAccountToken": {"path": "token"}}
    pod(snapshot)["volumes"].append({"name": "kube-api-access", "projected": {"sources": [source]}})
    pod(snapshot)["initContainers"][0]["volumeMounts"].append({"name": "kube-api-access", "mountPath": path})
    snapshot.inside = {}


def set_item(container: dict, *path_and_value) -> None:
    *path, key, value = path_and_value
    for step in path:
        container = container[step]
    container[key] = value


def opt_out_injected(snapshot: Snapshot) -> None:
    metadata = obj(snapshot, "deployments", "agents")["metadata"]
    metadata["annotations"] = {"orchestrator.platform/inject": "false"}
    metadata["managedFields"] = [{"manager": "orchestrator.platform", "operation": "Apply", "fieldsV1": {"f:spec": {}}}]


def token_for_the_agent_alone(snapshot: Snapshot) -> None:
    source = {"serviceAccountToken": {"path": "token"}}
    mount = {"name": "kube-api-access", "mountPath": "/var/run/secrets/kubernetes.io/serviceaccount"}
    pod(snapshot)["volumes"] += [
        {"name": "kube-api-access", "projected": {"sources": [source]}},
        {"name": "nothing", "emptyDir": {}},
    ]
    pod(snapshot)["containers"][0]["volumeMounts"].append(mount)
    pod(snapshot)["initContainers"][0]["volumeMounts"].append({**mount, "name": "nothing", "readOnly": True})
    snapshot.inside = {}


API_TOKEN = "api-credential-of-the-tests-51c0"


def api_credential(snapshot: Snapshot) -> None:
    obj(snapshot, "secrets", "monitor")["data"]["BOT_API_TOKEN"] = b64(API_TOKEN)


def foreign_secret(
    snapshot: Snapshot, key: str, value: str, namespace: str = "agents", *, name: str = "telegram-bot"
) -> None:
    secret = {"metadata": {"name": name}, "type": "Opaque", "data": {key: b64(value)}}
    snapshot.objects[("secrets", namespace)].append(secret)


def operators_workload(snapshot: Snapshot) -> None:
    """Scaled to nothing, so that no pod tells of it."""
    owner = {"apiVersion": "example.org/v1", "kind": "Thing", "name": "t", "uid": "u", "controller": True}
    spec = {"containers": [{"name": "other", "image": "x", "env": secret_env("discord-secrets")}]}
    labels = {"app": "other"}
    template = {"metadata": {"labels": labels}, "spec": spec}
    snapshot.objects[("deployments", "agents")].append(
        {
            "metadata": {"name": "other", "namespace": "agents", "ownerReferences": [owner]},
            "spec": {"replicas": 0, "selector": {"matchLabels": labels}, "template": template},
        }
    )


def foreign_pod(snapshot: Snapshot, namespace: str = "agents", **spec) -> None:
    made = {"containers": [{"name": "other", "image": "x"}], **spec}
    snapshot.objects[("pods", namespace)].append(
        {"metadata": {"name": "other", "namespace": namespace}, "spec": made, "status": {"phase": "Running"}}
    )


def own_webhook(snapshot: Snapshot, name: str, *, there: bool = True) -> None:
    """The workload names a Secret of its own by annotation, and its watcher reads it."""
    for bearer in (obj(snapshot, "deployments", "agents"), obj(snapshot, "pods", "agents")):
        notes = bearer["metadata"].setdefault("annotations", {})
        notes["orchestrator.platform/webhook-secret-name"] = name
    for spec in (workload(snapshot), pod(snapshot)):
        reference = {"name": name, "key": "DISCORD_WEBHOOK_URL", "optional": True}
        env = spec["initContainers"][0]["env"]
        at = next(at for at, item in enumerate(env) if item["name"] == "DISCORD_WEBHOOK_URL")
        env[at] = {"name": "DISCORD_WEBHOOK_URL", "valueFrom": {"secretKeyRef": reference}}
    if there:
        foreign_secret(snapshot, "DISCORD_WEBHOOK_URL", WEBHOOK + "2", name=name)


def own_input(snapshot: Snapshot, name: str, *, there: bool = True) -> None:
    """The workload names a Secret for its bridge by annotation, and its bridge reads it."""
    for bearer in (obj(snapshot, "deployments", "agents"), obj(snapshot, "pods", "agents")):
        bearer["metadata"].setdefault("annotations", {})["orchestrator.platform/input-secret-name"] = name
    for spec in (workload(snapshot), pod(snapshot)):
        bridge = spec["initContainers"][1]
        reference = {"name": name, "key": "BOT_INPUT_CREDENTIAL", "optional": True}
        others = [item for item in bridge["env"] if item["name"] != "BOT_INPUT_CREDENTIAL"]
        bridge["env"] = [*others, {"name": "BOT_INPUT_CREDENTIAL", "valueFrom": {"secretKeyRef": reference}}]
    if there:
        foreign_secret(snapshot, "BOT_INPUT_CREDENTIAL", CREDENTIAL, name=name)


def token_with_newline(snapshot: Snapshot) -> None:
    obj(snapshot, "secrets", "monitor")["data"]["BOT_TOKEN"] = b64(TOKEN + "\n")
    foreign_secret(snapshot, "y", TOKEN)


def service_to(snapshot: Snapshot, target: object) -> None:
    obj(snapshot, "services", "agents")["spec"]["ports"][0]["targetPort"] = target


def rename_bridge_port(snapshot: Snapshot) -> None:
    service_to(snapshot, "bridge")


def remove_watcher(snapshot: Snapshot) -> None:
    # The whole workload as before the injection, its pod too.
    for spec in (workload(snapshot), pod(snapshot)):
        spec["initContainers"] = []
    template(snapshot)["metadata"].pop("annotations")
    obj(snapshot, "pods", "agents")["metadata"].pop("annotations")
    snapshot.delivery, snapshot.metrics = {}, {}


def second_watcher(snapshot: Snapshot, place: str) -> None:
    # In containers the classic form under its own name, in initContainers a copy under another one.
    name = "discord-watcher" if place == "containers" else "second"
    env = watcher(snapshot)["env"] if place == "containers" else []
    workload(snapshot).setdefault(place, []).append({**watcher(snapshot), "name": name, "env": env, "volumeMounts": []})


def everywhere(snapshot: Snapshot, name: str, *path_and_value) -> None:
    """The same change in template, pod and published snippet, so that only the specified figures differ."""
    document = json.loads(obj(snapshot, "configmaps", "monitor")["data"]["snippet.json"])
    for container in (watcher(snapshot), pod(snapshot)["initContainers"][0], document[name]):
        set_item(container, *path_and_value)
    obj(snapshot, "configmaps", "monitor")["data"]["snippet.json"] = json.dumps(document)


def grant(
    snapshot: Snapshot,
    verbs: str,
    resources: str,
    *,
    group: str = "",
    namespace: str = "agents",
    names: tuple[str, ...] = (),
    to: dict | None = None,
) -> None:
    """Bind a role to the agents' default ServiceAccount, or to somebody else; namespace "" is the cluster."""
    rule = {"verbs": verbs.split(), "apiGroups": [group], "resources": resources.split()}
    kind = "Role" if namespace else "ClusterRole"
    prefix = "" if namespace else "cluster"
    snapshot.objects.setdefault((prefix + "roles", namespace), []).append(
        {"metadata": {"name": "r"}, "rules": [{**rule, **({"resourceNames": list(names)} if names else {})}]}
    )
    snapshot.objects.setdefault((prefix + "rolebindings", namespace), []).append(
        {
            "metadata": {"name": "b"},
            "roleRef": {"kind": kind, "name": "r"},
            "subjects": [to or {"kind": "ServiceAccount", "name": "default", "namespace": "agents"}],
        }
    )
    snapshot.reviews = {}


def everything(snapshot: Snapshot) -> None:
    grant(snapshot, "*", "*", group="*", namespace="")


def other_authorizer(snapshot: Snapshot) -> None:
    """What the objects grant and the API server denies, so that nobody has a right too many."""
    grant(snapshot, "get", "secrets")
    answer_reviews(snapshot, expectation())
    snapshot.reviews = dict.fromkeys(snapshot.reviews, False)


def token_secret(snapshot: Snapshot) -> None:
    kind = "kubernetes.io/service-account-token"
    metadata = {"name": "t", "annotations": {"kubernetes.io/service-account.name": "default"}}
    snapshot.objects[("secrets", "agents")].append({"metadata": metadata, "type": kind, "data": {}})


def shared_volume(snapshot: Snapshot) -> None:
    for container in (watcher(snapshot), workload(snapshot)["containers"][0]):
        container["volumeMounts"].append({"name": "discord-state", "mountPath": "/shared"})


def without_env(snapshot: Snapshot, name: str) -> None:
    container = pod(snapshot)["initContainers"][0]
    snapshot.inside = {}
    container["env"] = [item for item in container["env"] if item["name"] != name]


def quota(snapshot: Snapshot) -> None:
    remove_watcher(snapshot)
    status = {"hard": {"limits.memory": "32Mi"}, "used": {"limits.memory": "0"}}
    snapshot.objects[("resourcequotas", "agents")] = [{"metadata": {"name": "q"}, "status": status}]
    set_item(
        obj(snapshot, "deployments", "agents"), "metadata", "annotations", {"orchestrator.platform/inject": "false"}
    )


def limit_range(snapshot: Snapshot) -> None:
    limits = [{"type": "Container", "max": {"memory": "32Mi"}}]
    snapshot.objects[("limitranges", "agents")] = [{"metadata": {"name": "l"}, "spec": {"limits": limits}}]


def publish(snapshot: Snapshot, change: Callable[[dict], object]) -> None:
    document = json.loads(obj(snapshot, "configmaps", "monitor")["data"]["snippet.json"])
    change(document)
    obj(snapshot, "configmaps", "monitor")["data"]["snippet.json"] = json.dumps(document)


def inside(snapshot: Snapshot, container: str, **changes: frozenset) -> None:
    place = (*WATCHER[:2], container)
    snapshot.inside[place] = snapshot.inside[place]._replace(**changes)


def host_path(snapshot: Snapshot) -> None:
    workload(snapshot)["volumes"].append({"name": "h", "hostPath": {"path": "/var/log"}})
    bridge(snapshot)["volumeMounts"].append({"name": "h", "mountPath": "/h"})


Break = Callable[[Snapshot], object]

# (the only check that may complain, a name for the case, what is broken)
CASES: list[tuple[str, str, Break]] = [
    ("preflight/api-version", "old server", lambda s: setattr(s, "server_version", "v1.28.9")),
    ("preflight/api-version", "old kubelet", lambda s: s.kubelet_versions.append("v1.27.1")),
    ("injection/watcher-present", "opted out and still injected", opt_out_injected),
    ("preflight/namespaces", "terminating", lambda s: set_item(s.namespaces["agents"], "status", {"phase": "Terminating"})),
    ("chart/bot-rollout", "not available", lambda s: set_item(obj(s, "deployments", "monitor"), "status", "availableReplicas", 0)),
    ("chart/bot-rollout", "old replica", lambda s: set_item(obj(s, "deployments", "monitor"), "status", "replicas", 2)),
    ("chart/snippet-published", "not JSON", lambda s: obj(s, "configmaps", "monitor")["data"].update({"snippet.json": "{"})),
    ("chart/snippet-published", "other schema", lambda s: obj(s, "configmaps", "monitor")["data"].update({"snippet.json": '{"schema": 2}'})),
    ("chart/snippet-published", "absent", lambda s: s.objects.update({("configmaps", "monitor"): []})),
    ("chart/release-labels", "label gone", lambda s: obj(s, "services", "monitor")["metadata"]["labels"].pop("app.kubernetes.io/part-of")),
    ("chart/release-deployed", "pending", lambda s: obj(s, "releases", "monitor", 1)["metadata"]["labels"].update(status="pending-upgrade")),
    ("chart/release-deployed", "none", lambda s: s.objects.update({("releases", "monitor"): []})),
    ("injection/watcher-present", "lost", remove_watcher),
    ("injection/one-watcher", "second in containers", lambda s: second_watcher(s, "containers")),
    ("injection/one-watcher", "second in initContainers", lambda s: second_watcher(s, "initContainers")),
    ("injection/pods-current", "old pod", lambda s: obj(s, "pods", "agents")["metadata"]["annotations"].update({"orchestrator.platform/snippet-hash": "b" * 64})),
    ("probes/watcher-liveness", "gone", lambda s: watcher(s).pop("livenessProbe")),
    ("probes/watcher-liveness", "other path", lambda s: set_item(watcher(s), "livenessProbe", {"httpGet": {"path": "/", "port": "health"}})),
    ("probes/watcher-liveness", "other figure", lambda s: set_item(watcher(s), "livenessProbe", {**watcher(s)["livenessProbe"], "periodSeconds": 99})),
    ("probes/watcher-readiness", "gone", lambda s: watcher(s).pop("readinessProbe")),
    ("probes/bot-liveness", "gone", lambda s: bot(s).pop("livenessProbe")),
    ("probes/bot-readiness", "gone", lambda s: bot(s).pop("readinessProbe")),
    ("probes/bridge-exec", "http", lambda s: set_item(bridge(s), "livenessProbe", {"httpGet": {"path": "/healthz", "port": 8090}})),
    ("probes/answers", "503", lambda s: s.health.update({WATCHER: HttpAnswer(503, "delivery fails")})),
    ("probes/answers", "silence", lambda s: s.health.pop(WATCHER)),
    ("probes/answers", "bridge not ready", lambda s: obj(s, "pods", "agents")["status"]["initContainerStatuses"][1].update(ready=False)),
    ("resources/requests", "gone", lambda s: set_item(bridge(s), "resources", {"limits": bridge(s)["resources"]["limits"]})),
    ("resources/requests", "bot without", lambda s: set_item(bot(s), "resources", {"limits": bot(s)["resources"]["limits"]})),
    ("resources/limits", "other", lambda s: set_item(bridge(s), "resources", {**bridge(s)["resources"], "limits": {"cpu": "1", "memory": "64Mi"}})),
    ("resources/memory-limit-as-specified", "loosened everywhere", lambda s: everywhere(s, "watcher", "resources", {"requests": {"cpu": "10m", "memory": "32Mi"}, "limits": {"cpu": "100m", "memory": "65Mi"}})),
    ("resources/within-limits", "full", lambda s: s.usage.update({WATCHER: Usage(64 * 2**20, 1)})),
    ("security-context/restricted", "escalation", lambda s: set_item(watcher(s), "securityContext", {**watcher(s)["securityContext"], "allowPrivilegeEscalation": True})),
    ("security-context/restricted", "no seccomp", lambda s: set_item(bot(s), "securityContext", {**bot(s)["securityContext"], "seccompProfile": None})),
    ("security-context/restricted", "root in the pod only", lambda s: set_item(pod(s)["initContainers"][0], "securityContext", {**watcher(s)["securityContext"], "runAsUser": 0})),
    ("exposure/bridge-loopback", "all addresses", lambda s: bridge(s)["env"][0].update(value="0.0.0.0")),
    ("exposure/no-host-port", "hostPort", lambda s: set_item(watcher(s), "ports", [{"containerPort": 8080, "hostPort": 8080}])),
    ("exposure/no-host-port", "hostNetwork", lambda s: set_item(pod(s), "hostNetwork", True)),
    ("exposure/no-service", "by number", lambda s: service_to(s, 8090)),
    ("exposure/no-service", "by name", rename_bridge_port),
    ("delivery/webhook-secret-present", "absent", lambda s: s.objects.update({("secrets", "agents"): []})),
    ("delivery/webhook-secret-present", "newline", lambda s: set_item(obj(s, "secrets", "agents"), "data", {"DISCORD_WEBHOOK_URL": b64(WEBHOOK + "\n")})),
    ("delivery/webhook-secret-present", "not a URL", lambda s: set_item(obj(s, "secrets", "agents"), "data", {"DISCORD_WEBHOOK_URL": b64("changeme")})),
    ("delivery/probe-line", "not delivered", lambda s: s.delivery.update({WATCHER: Delivery(delivered=False, seconds=None, error="404")})),
    ("delivery/backlog", "behind", lambda s: s.metrics.update({WATCHER: HttpAnswer(200, "discord_monitor_lag_seconds 300\n")})),
    ("secret-scope/env-ref", "agent reads the bot token", lambda s: set_item(workload(s)["containers"][0], "env", secret_env("discord-monitor-bot"))),
    ("secret-scope/env-ref", "agent reads the webhook", lambda s: set_item(workload(s)["containers"][0], "env", secret_env("discord-secrets"))),
    ("secret-scope/env-ref", "watcher reads the bot token", lambda s: watcher(s)["env"].extend(secret_env("discord-monitor-bot"))),
    ("secret-scope/env-ref", "ephemeral container", lambda s: foreign_ephemeral(s, {"env": secret_env("discord-secrets")})),
    ("secret-scope/env-ref", "init container", lambda s: workload(s)["initContainers"].append({"name": "setup", "env": secret_env("discord-monitor-bot")})),
    ("secret-scope/env-from", "agent", lambda s: set_item(workload(s)["containers"][0], "envFrom", [{"secretRef": {"name": "discord-secrets"}}])),
    ("secret-scope/env-from", "bot itself", lambda s: set_item(bot(s), "envFrom", [{"secretRef": {"name": "discord-monitor-bot"}}])),
    ("secret-scope/volume", "secret", lambda s: volume(s, {"secret": {"secretName": "discord-monitor-bot"}})),
    ("secret-scope/volume", "csi", lambda s: volume(s, {"csi": {"driver": "d", "nodePublishSecretRef": {"name": "discord-secrets"}}})),
    ("secret-scope/volume", "not mounted yet", lambda s: workload(s)["volumes"].append({"name": "v", "secret": {"secretName": "discord-secrets"}})),
    ("secret-scope/projected", "second source", lambda s: volume(s, {"projected": {"sources": [{"configMap": {"name": "c"}}, {"secret": {"name": "discord-monitor-bot"}}]}})),
    ("secret-scope/image-pull", "webhook", lambda s: set_item(workload(s), "imagePullSecrets", [{"name": "discord-secrets"}])),
    ("secret-scope/share-process-namespace", "shared", lambda s: set_item(workload(s), "shareProcessNamespace", True)),
    ("secret-scope/share-process-namespace", "debugger aims at the watcher", lambda s: foreign_ephemeral(s, {"targetContainerName": "discord-watcher"})),
    ("secret-scope/bot-token-namespace", "same name", lambda s: s.objects[("secrets", "agents")].append({"metadata": {"name": "discord-monitor-bot"}, "type": "Opaque", "data": {}})),
    ("secret-scope/bot-token-namespace", "same value", lambda s: foreign_secret(s, "y", TOKEN)),
    ("secret-scope/bot-token-namespace", "value with a newline", lambda s: foreign_secret(s, "y", TOKEN + "\n")),
    ("secret-scope/bot-token-namespace", "value in JSON", lambda s: foreign_secret(s, "y", json.dumps({"bot": {"token": TOKEN}}))),
    ("secret-scope/bot-token-namespace", "token itself with a newline", token_with_newline),
    ("secret-scope/type-opaque", "basic-auth", lambda s: obj(s, "secrets", "agents").update(type="kubernetes.io/basic-auth")),
    ("secret-scope/configmap-values", "the very value", lambda s: obj(s, "configmaps", "agents")["data"].update(x=f"url={WEBHOOK}")),
    ("secret-scope/configmap-values", "a value of the shape", lambda s: obj(s, "configmaps", "agents")["data"].update(x="https://d.example/api/webhooks/1/" + "z" * 30)),
    ("secret-scope/configmap-values", "literal variable", lambda s: set_item(workload(s)["containers"][0], "env", [{"name": "T", "value": TOKEN}])),
    ("secret-scope/service-account-token", "mounted", api_token),
    ("secret-scope/service-account-token", "at another path", lambda s: api_token(s, "/var/run/secrets/tokens")),
    ("secret-scope/configmap-values", "binary data", lambda s: set_item(obj(s, "configmaps", "agents"), "binaryData", {"x": b64(f"url={WEBHOOK}")})),
    ("secret-scope/configmap-values", "an argument", lambda s: set_item(workload(s)["containers"][0], "args", ["--token", TOKEN])),
    ("secret-scope/env-ref", "workload of an operator, without pods", operators_workload),
    ("secret-scope/share-process-namespace", "hostPID", lambda s: set_item(workload(s), "hostPID", True)),
    ("secret-scope/expected-paths", "watcher without webhook", lambda s: without_env(s, "DISCORD_WEBHOOK_URL")),
    ("secret-scope/expected-paths", "bot without token", lambda s: set_item(bot(s), "env", [])),
    ("secret-scope/shared-volume", "state of the watcher in the agent", shared_volume),
    ("secret-scope/account-token-secret", "there", token_secret),
    ("secret-scope/volume", "flexVolume", lambda s: volume(s, {"flexVolume": {"driver": "d", "secretRef": {"name": "discord-secrets"}}})),
    ("secret-scope/runtime-env", "agent has the token", lambda s: inside(s, "agent", env=frozenset(["PATH", "BOT_TOKEN"]))),
    ("secret-scope/runtime-env", "watcher lost a variable", lambda s: inside(s, "discord-watcher", env=frozenset(["PATH"]))),
    ("secret-scope/runtime-mounts", "one more", lambda s: inside(s, "agent", mounts=frozenset([*s.inside[(*WATCHER[:2], "agent")].mounts, "/run/secrets/x"]))),
    ("secret-scope/runtime-mounts", "one less", lambda s: inside(s, "input-bridge", mounts=frozenset(["/"]))),
    ("injection/drift", "other image", lambda s: set_item(watcher(s), "image", "evil:1")),
    ("injection/drift", "variable changed", lambda s: set_item(watcher(s), "env", 2, {"name": "POLL_INTERVAL", "value": "9999"})),
    ("injection/drift", "agent mounts no transcript", lambda s: workload(s)["containers"][0]["volumeMounts"].pop(0)),
    ("resources/near-limit", "memory", lambda s: s.usage.update({WATCHER: Usage(60 * 2**20, 1)})),
    ("resources/near-limit", "cpu", lambda s: s.usage.update({WATCHER: Usage(1, 95_000_000)})),
    ("resources/request-below-limit", "published", lambda s: publish(s, lambda d: set_item(d["watcher"], "resources", "requests", "ephemeral-storage", "2Gi") or set_item(d["watcher"], "resources", "limits", "ephemeral-storage", "1Gi") or [set_item(c, "resources", d["watcher"]["resources"]) for c in (watcher(s), pod(s)["initContainers"][0])])),
    ("resources/ephemeral-storage", "no sizeLimit", lambda s: set_item(pod(s)["volumes"][1], "emptyDir", {})),
    ("resources/oom-killed", "watcher", lambda s: obj(s, "pods", "agents")["status"]["initContainerStatuses"][0].update(restartCount=1, lastState={"terminated": {"reason": "OOMKilled"}})),
    ("security-context/restricted", "procMount", lambda s: set_item(watcher(s), "securityContext", "procMount", "Unmasked")),
    ("security-context/restricted", "AppArmor of the pod", lambda s: set_item(workload(s), "securityContext", {"appArmorProfile": {"type": "Unconfined"}})),
    ("security-context/restricted", "SELinux type", lambda s: set_item(watcher(s), "securityContext", "seLinuxOptions", {"type": "spc_t"})),
    ("security-context/pod-level", "hostIPC", lambda s: set_item(workload(s), "hostIPC", True)),
    ("security-context/pod-level", "sysctl", lambda s: set_item(workload(s), "securityContext", {"sysctls": [{"name": "kernel.msgmax", "value": "1"}]})),
    ("security-context/pod-level", "hostPath", host_path),
    ("exposure/network-policy", "for others", lambda s: set_item(obj(s, "networkpolicies", "monitor"), "spec", "podSelector", {"matchLabels": {"a": "b"}})),
    ("exposure/network-policy", "egress only", lambda s: set_item(obj(s, "networkpolicies", "monitor"), "spec", "policyTypes", ["Egress"])),
    ("preflight/clock-skew", "an hour behind", lambda s: setattr(s, "clock_skew_s", -3600.0)),
    ("preflight/pod-security", "no such level", lambda s: set_item(s.namespaces["agents"], "metadata", {"name": "agents", "labels": {"pod-security.kubernetes.io/enforce": "strict"}})),
    ("preflight/permission", "may not write Secrets", lambda s: s.permissions.update({key: False for key in s.permissions if key.resource == "secrets"})),
    ("preflight/quota", "no room", quota),
    ("preflight/limit-range", "too small", limit_range),
    ("rbac/read-secrets", "get", lambda s: grant(s, "get", "secrets")),
    ("rbac/read-secrets", "list, by name only", lambda s: grant(s, "list", "secrets", names=("discord-secrets",))),
    ("rbac/read-secrets", "cluster-wide watch", lambda s: grant(s, "watch", "secrets", namespace="")),
    ("rbac/read-secrets", "bot token from the agents", lambda s: grant(s, "get", "secrets", namespace="monitor")),
    ("rbac/read-secrets", "every account of the namespace", lambda s: grant(s, "get", "secrets", to={"kind": "Group", "name": "system:serviceaccounts:agents"})),
    ("rbac/read-secrets", "everybody", lambda s: grant(s, "get", "secrets", to={"kind": "Group", "name": "system:authenticated"})),
    ("rbac/read-secrets", "an empty patch answers with the values", lambda s: grant(s, "patch", "secrets")),
    ("rbac/read-secrets", "a deletion by dry run, too", lambda s: grant(s, "deletecollection", "secrets")),
    ("rbac/read-secrets", "without a name of its own", lambda s: grant(s, "get", "secrets", to={"kind": "User", "name": "system:anonymous"})),
    ("rbac/read-secrets", "everybody without one", lambda s: grant(s, "get", "secrets", to={"kind": "Group", "name": "system:unauthenticated"})),
    ("rbac/read-secrets", "an account by its user name", lambda s: grant(s, "get", "secrets", to={"kind": "User", "name": "system:serviceaccount:agents:default"})),
    ("rbac/create-pods", "pods", lambda s: grant(s, "create", "pods")),
    ("rbac/create-pods", "patch Deployments", lambda s: grant(s, "patch", "deployments", group="apps")),
    ("rbac/exec", "create", lambda s: grant(s, "create", "pods/exec")),
    ("rbac/exec", "get attach", lambda s: grant(s, "get", "*/attach")),
    ("rbac/exec", "debugging", lambda s: grant(s, "patch", "pods/ephemeralcontainers")),
    ("rbac/impersonate", "users", lambda s: grant(s, "impersonate", "users", namespace="")),
    ("rbac/impersonate", "accounts", lambda s: grant(s, "impersonate", "serviceaccounts")),
    ("rbac/impersonate", "constrained", lambda s: grant(s, "impersonate:user-info", "users", group="authentication.k8s.io", namespace="")),
    ("rbac/impersonate", "constrained, an account", lambda s: grant(s, "impersonate:serviceaccount", "serviceaccounts", group="authentication.k8s.io")),
    ("rbac/impersonate", "client certificates", lambda s: grant(s, "approve", "signers", group="certificates.k8s.io", namespace="")),
    ("rbac/impersonate", "client certificates by name", lambda s: grant(s, "approve", "signers", group="certificates.k8s.io", namespace="", names=("kubernetes.io/kube-apiserver-client",))),
    ("rbac/admission", "a webhook", lambda s: grant(s, "create", "mutatingwebhookconfigurations", group="admissionregistration.k8s.io", namespace="")),
    ("rbac/admission", "our policy", lambda s: grant(s, "delete", "validatingadmissionpolicybindings", group="admissionregistration.k8s.io", namespace="", names=("discord-monitor",))),
    ("rbac/escalate", "bind", lambda s: grant(s, "bind", "clusterroles", group="rbac.authorization.k8s.io")),
    ("rbac/escalate", "escalate", lambda s: grant(s, "escalate", "roles", group="rbac.authorization.k8s.io")),
    ("rbac/token-request", "tokens", lambda s: grant(s, "create", "serviceaccounts/token")),
    ("rbac/node-proxy", "get", lambda s: grant(s, "get", "nodes/proxy", namespace="")),
    ("rbac/create-pods", "one Deployment by name", lambda s: grant(s, "patch", "deployments", group="apps", names=("coder",))),
    ("rbac/create-pods", "a CodeRun", lambda s: grant(s, "create", "coderuns", group="orchestrator.platform")),
    ("rbac/create-pods", "a DocsRun by name", lambda s: grant(s, "update", "docsruns", group="orchestrator.platform", names=("d",))),
    ("rbac/exec", "one pod by name", lambda s: grant(s, "create", "pods/exec", names=("coder-1",))),
    ("rbac/impersonate", "one user by name", lambda s: grant(s, "impersonate", "users", namespace="", names=("admin",))),
    ("rbac/impersonate", "one account by name", lambda s: grant(s, "impersonate", "serviceaccounts", names=("keeper",))),
    ("rbac/escalate", "one role by name", lambda s: grant(s, "escalate", "roles", group="rbac.authorization.k8s.io", names=("r",))),
    ("rbac/token-request", "one account by name", lambda s: grant(s, "create", "serviceaccounts/token", names=("keeper",))),
    ("rbac/node-proxy", "one node by name", lambda s: grant(s, "get", "nodes/proxy", namespace="", names=("n1",))),
    ("rbac/review-agrees", "another authorizer", other_authorizer),
    ("secret-scope/value-copies", "webhook under another name", lambda s: foreign_secret(s, "url", WEBHOOK)),
    ("secret-scope/value-copies", "webhook in the monitor's namespace", lambda s: foreign_secret(s, "url", f"u={WEBHOOK}\n", "monitor")),
    ("secret-scope/value-copies", "token under another name beside its Secret", lambda s: foreign_secret(s, "y", TOKEN, "monitor")),
    ("secret-scope/bot-token-namespace", "the API's credential", lambda s: api_credential(s) or foreign_secret(s, "y", API_TOKEN)),
    ("secret-scope/value-copies", "the API's credential in the monitor's", lambda s: api_credential(s) or foreign_secret(s, "y", API_TOKEN, "monitor")),
    ("secret-scope/configmap-values", "the API's credential", lambda s: api_credential(s) or obj(s, "configmaps", "monitor")["data"].update(x=API_TOKEN)),
    ("secret-scope/node-access", "privileged agent", lambda s: set_item(workload(s)["containers"][0], "securityContext", {"privileged": True})),
    ("secret-scope/node-access", "a capability in small letters", lambda s: set_item(pod(s)["containers"][0], "securityContext", {"capabilities": {"add": ["sys_admin"]}})),
    ("secret-scope/node-access", "a capability", lambda s: set_item(pod(s)["containers"][0], "securityContext", {"capabilities": {"add": ["SYS_ADMIN"]}})),
    ("secret-scope/node-access", "the kubelet's folder", lambda s: volume(s, {"hostPath": {"path": "/var/lib/kubelet/pods"}})),
    ("secret-scope/node-access", "the whole node", lambda s: volume(s, {"hostPath": {"path": "/"}})),
    ("secret-scope/node-access", "a runtime's socket", lambda s: volume(s, {"hostPath": {"path": "/var/run/containerd/containerd.sock"}})),
    ("secret-scope/node-access", "foreign pod with hostPID", lambda s: foreign_pod(s, hostPID=True)),
    ("secret-scope/node-access", "foreign pod with hostIPC in the monitor's", lambda s: foreign_pod(s, "monitor", hostIPC=True)),
    ("secret-scope/node-access", "ephemeral container", lambda s: foreign_ephemeral(s, {"securityContext": {"privileged": True}})),
    ("delivery/webhook-secret-present", "that of an annotation is not there", lambda s: own_webhook(s, "team", there=False)),
    ("rbac/other-readers", "a team", lambda s: grant(s, "get", "secrets", to={"kind": "User", "name": "jane"})),
    ("rbac/other-readers", "all accounts of a namespace elsewhere", lambda s: grant(s, "get", "secrets", to={"kind": "Group", "name": "system:serviceaccounts:ci"})),
    ("rbac/other-readers", "who may exec here", lambda s: grant(s, "create", "pods/exec", to={"kind": "User", "name": "jane"})),
    ("rbac/other-readers", "an account that makes pods here", lambda s: grant(s, "create", "pods", to={"kind": "ServiceAccount", "name": "runner", "namespace": "ci"})),
    ("rbac/other-readers", "an operator", lambda s: grant(s, "list", "secrets", namespace="", to={"kind": "ServiceAccount", "name": "op", "namespace": "ops"})),
]  # fmt: skip


def complaints(snapshot: Snapshot, expect, **options) -> list:
    if not snapshot.reviews:
        answer_reviews(snapshot, expect)
    findings, _complete = run_checks(CHECKS, View(snapshot, expect), **options)
    return [item for item in findings if item["verdict"] in ("fail", "warn")]


def test_healthy_picture_passes_every_check(snapshot, expect):
    """Nothing fails and nothing is skipped, so that each negative case below has one cause."""
    findings, complete = run_checks(CHECKS, View(snapshot, expect))
    bad = [item for item in findings if item["verdict"] != "pass"]
    assert bad == []
    assert complete
    assert {item["id"] for item in findings} == {check.id for check in CHECKS if check.scope != "orchestrator"}


@pytest.mark.parametrize(("check_id", "case", "broken"), CASES, ids=[f"{c[0]}: {c[1]}" for c in CASES])
def test_broken_thing_is_found_by_exactly_its_check(check_id, case, broken, snapshot, expect):
    """One planted fault, one check that names it."""
    broken(snapshot)
    assert {item["id"] for item in complaints(snapshot, expect)} == {check_id}


def test_outdated_template_is_found(snapshot, expect):
    """A new snippet was published: templates are behind, pods agree with their templates."""
    obj(snapshot, "configmaps", "monitor")["data"]["hash"] = "c" * 64
    assert {item["id"] for item in complaints(snapshot, expect)} == {"injection/template-current"}


def test_account_that_may_do_everything_is_found_by_the_whole_family(snapshot, expect):
    """The wildcard breaks every right at once, so it is no case of the table above."""
    everything(snapshot)
    found = {item["id"] for item in complaints(snapshot, expect)}
    wanted = {check.id for check in CHECKS if check.family == "rbac"} - {"rbac/review-agrees", "rbac/other-readers"}
    assert found == wanted


def test_a_binding_here_is_told_beside_one_of_the_cluster(snapshot, expect):
    """Who could do it anyway by the cluster's binding keeps it by ours when that one goes."""
    jane = {"kind": "User", "name": "jane"}
    grant(snapshot, "create", "pods/exec", namespace="", to=jane)
    assert complaints(snapshot, expect) == []
    grant(snapshot, "create", "pods/exec", to=jane)
    (found,) = complaints(snapshot, expect)
    assert "create pods/exec in agents, by RoleBinding agents/b" in found["evidence"]


def test_every_check_has_a_negative_case():
    """A check that nothing can make fail proves nothing."""
    elsewhere = {"injection/template-current", "rbac/wildcard"}
    # The orchestrator's stand in test_checks_orchestrator.py.
    here = {check.id for check in CHECKS if check.scope != "orchestrator"}
    assert here == {case[0] for case in CASES} | elsewhere


@pytest.mark.parametrize("broken", [case[2] for case in CASES], ids=[f"{c[0]}: {c[1]}" for c in CASES])
def test_no_finding_holds_a_secret_value(broken, snapshot, expect):
    """Values are compared in memory only (D6)."""
    broken(snapshot)
    findings, _complete = run_checks(CHECKS, View(snapshot, expect))
    text = json.dumps(findings)
    assert TOKEN not in text
    assert WEBHOOK not in text


def test_failure_names_container_and_path(snapshot, expect):
    """Evidence says which container and by which variable."""
    set_item(workload(snapshot)["containers"][0], "env", secret_env("discord-monitor-bot"))
    (found,) = complaints(snapshot, expect)
    assert found["subject"] == {"kind": "Deployment", "namespace": "agents", "name": "coder", "container": "agent"}
    assert found["evidence"] == "Secret discord-monitor-bot: containers/agent env X"
    assert "docs/checks.md#secret-scopeenv-ref" in found["hint"]


def test_missing_permission_skips_and_says_incomplete(snapshot, expect):
    """A list that is forbidden is neither a pass nor a failure."""
    snapshot.unread[("secrets", "agents")] = "no permission to list secrets in agents"
    findings, complete = run_checks(CHECKS, View(snapshot, expect))
    skipped = {item["id"] for item in findings if item["verdict"] == "skip"}
    assert not complete
    assert {"secret-scope/bot-token-namespace", "secret-scope/type-opaque"} <= skipped
    assert complaints(snapshot, expect) == []
    assert "incomplete" not in str(summarise(findings, complete=True))


def test_foreign_secret_with_the_same_key_is_nobodys_fault(snapshot, expect):
    """Other bots call their key BOT_TOKEN too."""
    foreign_secret(snapshot, "BOT_TOKEN", "110201543:another-bots-token")
    assert complaints(snapshot, expect) == []


def test_same_key_is_a_warning_where_the_token_cannot_be_read(snapshot, expect):
    foreign_secret(snapshot, "BOT_TOKEN", "110201543:another-bots-token")
    snapshot.unread[("secrets", "monitor")] = "no permission to list secrets in monitor"
    findings, complete = run_checks(CHECKS, View(snapshot, expect))
    rows = [item for item in findings if item["id"] == "secret-scope/bot-token-namespace"]
    assert {(row["verdict"], row["severity"]) for row in rows} == {("warn", "warning"), ("skip", "error")}
    assert breaks(findings, "error") == []
    assert not complete


def test_short_token_is_not_found_by_accident(snapshot, expect):
    obj(snapshot, "secrets", "monitor")["data"]["BOT_TOKEN"] = b64("abc")
    foreign_secret(snapshot, "y", "xabcx")
    assert complaints(snapshot, expect) == []
    obj(snapshot, "secrets", "agents", 1)["data"]["y"] = b64("abc\n")
    assert {item["id"] for item in complaints(snapshot, expect)} == {"secret-scope/bot-token-namespace"}


def without_bot(snapshot: Snapshot) -> None:
    for resource in ("deployments", "pods", "secrets"):
        snapshot.objects[(resource, "monitor")] = []


def test_bot_that_is_switched_off_fails_nothing(snapshot, expect):
    """bot.enabled: false in the chart's values."""
    without_bot(snapshot)
    foreign_secret(snapshot, "BOT_TOKEN", "another-bots-token")
    findings, complete = run_checks(CHECKS, View(snapshot, expect._replace(bot_expected=False)))
    assert [item for item in findings if item["verdict"] in ("fail", "warn")] == []
    reasons = {item["id"]: item["evidence"] for item in findings if item["verdict"] == "skip"}
    assert {id_ for id_, text in reasons.items() if "bot is switched off" in text} == {
        "chart/bot-rollout",
        "probes/bot-liveness",
        "probes/bot-readiness",
    }
    assert complete


def test_missing_bot_fails_where_one_is_expected(snapshot, expect):
    without_bot(snapshot)
    assert {item["id"] for item in complaints(snapshot, expect)} == {"chart/bot-rollout"}


@pytest.mark.parametrize(("what", "name"), [("nodes", "kubelet"), ("version", "API server")])
def test_version_that_may_not_be_read_is_no_pass(what, name, snapshot, expect):
    snapshot.kubelet_versions = []
    snapshot.unread[(what, "")] = f"no permission to list {what} in the cluster"
    findings, complete = run_checks(CHECKS, View(snapshot, expect))
    rows = [item for item in findings if item["id"] == "preflight/api-version" and item["verdict"] == "skip"]
    assert [(row["subject"]["name"], row["evidence"]) for row in rows] == [
        (name, f"no permission to list {what} in the cluster")
    ]
    assert not complete


def test_namespace_that_may_not_be_read_is_no_pass(snapshot, expect):
    snapshot.namespaces["agents"] = {}
    findings, complete = run_checks(CHECKS, View(snapshot, expect))
    (row,) = [item for item in findings if item["verdict"] == "skip"]
    assert (row["id"], row["evidence"]) == ("preflight/namespaces", "no permission to read namespace agents")
    assert not complete


def test_sidecar_of_an_opted_out_workload_is_a_warning(snapshot, expect):
    """Its outdated snippet is then nobody's error: role sidecar leaves it alone."""
    opt_out_injected(snapshot)
    obj(snapshot, "configmaps", "monitor")["data"]["hash"] = "c" * 64
    (found,) = complaints(snapshot, expect)
    assert (found["id"], found["verdict"]) == ("injection/watcher-present", "warn")
    assert "a run with state absent" in found["evidence"]


def test_owners_own_watcher_in_an_opted_out_workload_is_fine(snapshot, expect):
    """The owner includes the snippet and keeps us out: nothing is ours."""
    opt_out_injected(snapshot)
    del obj(snapshot, "deployments", "agents")["metadata"]["managedFields"]
    assert complaints(snapshot, expect) == []


def test_api_token_of_the_agent_alone_is_not_ours_to_mind(snapshot, expect):
    token_for_the_agent_alone(snapshot)
    assert complaints(snapshot, expect) == []


def test_opted_out_workload_is_skipped_with_its_code(snapshot, expect):
    remove_watcher(snapshot)
    obj(snapshot, "deployments", "agents")["metadata"]["annotations"] = {"orchestrator.platform/inject": "false"}
    findings, _complete = run_checks(CHECKS, View(snapshot, expect))
    (row,) = [item for item in findings if item["id"] == "injection/watcher-present"]
    assert row["verdict"] == "skip"
    assert row["evidence"].startswith("opt_out: ")


def test_workload_outside_the_selection_needs_no_watcher(snapshot, expect):
    remove_watcher(snapshot)
    snapshot.selected = {Chosen("a=b", "", "Deployment", "agents"): set()}
    assert complaints(snapshot, expect._replace(targets=(Target(labels="a=b"),))) == []


def empty() -> Snapshot:
    return Snapshot(
        server_version="v1.36.3", kubelet_versions=["v1.36.3"], namespaces={"monitor": None, "agents": None}
    )


def test_empty_cluster_in_check_mode_fails_nothing(expect):
    """The real run would have made all of it before."""
    findings, _complete = run_checks(CHECKS, View(empty(), expect), lenient=True)
    assert {item["verdict"] for item in findings} == {"skip", "pass"}
    assert breaks(findings, "warning") == []


def test_namespace_still_to_be_made_fails_nothing_in_check_mode(snapshot, expect):
    """An agent namespace is added to an installation that stands."""
    snapshot.namespaces["more"] = None
    snapshot.permissions = {}
    more = expect._replace(agent_namespaces=("agents", "more"))
    assert complaints(snapshot, more, lenient=True) == []
    assert {item["id"] for item in complaints(snapshot, more)} == {"preflight/namespaces"}


def test_empty_cluster_in_a_real_run_fails(expect):
    assert {item["id"] for item in complaints(empty(), expect)} == {"preflight/namespaces"}


def test_shared_namespace_of_bot_and_agents_fails(snapshot, expect):
    shared = expect._replace(agent_namespaces=("monitor",))
    assert "secret-scope/bot-token-namespace" in {item["id"] for item in complaints(snapshot, shared)}


def test_finished_and_terminating_pods_do_not_count(snapshot, expect):
    old = obj(snapshot, "pods", "agents")
    old["status"]["phase"] = "Succeeded"
    old["spec"]["hostNetwork"] = True
    snapshot.delivery, snapshot.metrics = {}, {}
    assert complaints(snapshot, expect) == []


def early(snapshot: Snapshot, expect) -> dict[str, str]:
    """Worst verdict by check of the family preflight, asked for before anything is installed."""
    checks = [check for check in CHECKS if check.family == "preflight"]
    order = ["pass", "skip", "warn", "fail"]
    findings, _complete = run_checks(checks, View(snapshot, expect), lenient=True)
    return {item["id"]: item["verdict"] for item in sorted(findings, key=lambda item: order.index(item["verdict"]))}


def test_preflight_before_the_installation_skips_what_is_still_to_be_made(expect):
    """Namespaces that role secrets makes are no problem (issue 5, the use before an installation)."""
    found = early(empty(), expect)
    assert found["preflight/namespaces"] == "skip"
    assert "fail" not in found.values()


def test_preflight_before_the_installation_still_fails_on_what_cannot_work(expect):
    """Being early is no excuse for an old server, unlike for a bot that is not there yet."""
    old = empty()
    old.server_version = "v1.20.0"
    old.clock_skew_s = 600.0
    found = early(old, expect)
    assert (found["preflight/api-version"], found["preflight/clock-skew"]) == ("fail", "warn")


def test_drift_of_an_opted_out_workload_is_nobodys(snapshot, expect):
    opt_out_injected(snapshot)
    watcher(snapshot)["image"] = "other:1"
    assert {item["id"] for item in complaints(snapshot, expect)} == {"injection/watcher-present"}


def test_allowed_subject_is_no_finding(snapshot, expect):
    """By glob and by check; another right of the same subject is one all the same."""
    grant(snapshot, "create", "pods pods/exec")
    allowed = expect._replace(rbac_allowed=(Allowed("agents/*", ("rbac/create-pods",)),))
    assert {item["id"] for item in complaints(snapshot, allowed)} == {"rbac/exec"}
    elsewhere = expect._replace(rbac_allowed=(Allowed("agents/*", ("rbac/create-pods",), ("monitor",)),))
    assert {item["id"] for item in complaints(snapshot, elsewhere)} == {"rbac/create-pods", "rbac/exec"}
    here = expect._replace(rbac_allowed=(Allowed("agents/*", (), ("monitor", "agents")),))
    assert complaints(snapshot, here) == []
    everything_allowed = expect._replace(rbac_allowed=(Allowed("agents/default"),))
    assert complaints(snapshot, everything_allowed) == []

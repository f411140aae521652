# SPDX-License-Identifier: GPL-3.0-or-later
# SPDX-FileCopyrightText: 2026 The orchestrator.platform authors
"""Check id -> the smallest fault that this check, and no other one, is to find on a real cluster.

More faults for one check have a word of their own after its id: `rbac/exec#named`.
"""

from __future__ import annotations

import base64
from collections.abc import Callable
from typing import NamedTuple

from states import AGENT, LABEL, TOKEN, WATCHER, WEBHOOK, Json, Maker, State, opaque


class Fault(NamedTuple):
    """`plant` changes the state before it is made, `edit` the injected pod template, `later` what has been made."""

    says: str
    plant: Callable[[State], object] = bool
    edit: Callable[[Json], object] | None = None
    later: Callable[[Maker, State], object] | None = None
    params: Json = {}  # noqa: RUF012 (never changed): options of the module
    live: bool = False  # needs a running container: asked again until it is there
    alone: bool = False  # all others would see it too
    limited: bool = False  # asked by a user who may do nothing
    implies: tuple[str, ...] = ()  # what cannot but be found with it


# Faults that no test can plant on the cluster of the scenarios; tests/unit/test_checks.py has them.
ELSEWHERE = {
    "preflight/clock-skew": "a kind node has the clock of the machine that the tests run on",
    "preflight/pod-security": "the API server refuses a level that does not exist, which a test here shows",
    "rbac/review-agrees": "the API server of the scenarios has no authorizer beside Node and RBAC",
}

# Answers like a watcher, with a lag; {} is put in before it.
ANSWERS = """
import http.server
{}
class Answer(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        self.send_response(200)
        self.end_headers()
        self.wfile.write(b"discord_monitor_lag_seconds {}\\n")
http.server.HTTPServer(("", 8080), Answer).serve_forever()
"""
HEALTHY = ANSWERS.format("", 0)
FILL = "held = bytearray(b'x') * ({} * 2**20)"
DIES_ONCE = (
    "import os\nmark = '/var/lib/discord-watcher/died'\nif not os.path.exists(mark):\n    open(mark, 'w').close()\n    "
    + FILL.format(200)
)
API_TOKEN = "canary-api-token.of-verify-negative.5ad9e1"
MOUNTS = "mount -t tmpfs none /mnt && exec sleep 86400"


def of(template: Json, name: str) -> Json:
    """A container of a template, by name."""
    spec = template["spec"]
    (found,) = (c for c in [*spec.get("initContainers", []), *spec["containers"]] if c["name"] == name)
    return found


def watcher(template: Json) -> Json:
    return of(template, WATCHER)


def bridge(template: Json) -> Json:
    return of(template, "input-bridge")


def agent(template: Json) -> Json:
    return of(template, "agent")


def secret_env(name: str, key: str = "BOT_TOKEN") -> list[Json]:
    return [{"name": "X", "valueFrom": {"secretKeyRef": {"name": name, "key": key, "optional": True}}}]


def mount(template: Json, source: Json, *containers: str) -> None:
    template["spec"].setdefault("volumes", []).append({"name": "planted", **source})
    for name in containers:
        of(template, name).setdefault("volumeMounts", []).append({"name": "planted", "mountPath": "/planted"})


def without_sidecar(state: State) -> None:
    state.inject = False


def bot_that_never_comes(state: State) -> None:
    state.bot["spec"]["replicas"] = 1
    state.bot["spec"]["template"]["spec"]["serviceAccountName"] = "nowhere"


def unpublish(state: State) -> None:
    # Nothing else of the snippet is there to compare with: the sidecar is the owner's.
    state.inject = False
    state.agent["metadata"]["annotations"] = {"orchestrator.platform/inject": "false"}
    state.chart("ConfigMap", "-snippet")["data"]["snippet.json"] = "{"


def included_without_webhook(state: State) -> None:
    """The owner's own manifest holds the sidecar, and not its Secret."""
    document, template = state.published, state.agent["spec"]["template"]
    container = document["watcher"]
    container["env"] = [item for item in container["env"] if "valueFrom" not in item]
    template["spec"]["initContainers"] = [{**container, "restartPolicy": "Always"}]
    template["spec"]["volumes"] = document["volumes"]
    state.inject = False


def loosened_everywhere(state: State) -> None:
    state.publish(lambda doc: doc["watcher"]["resources"]["limits"].update(memory="65Mi"))


def request_above_limit(state: State) -> None:
    state.bridge = False
    state.publish(lambda doc: doc["bridge"]["resources"]["requests"].update(memory="1Gi"))


def pod_of_before(state: State) -> None:
    # Held back by its gate, so that no node is asked; the watcher had not come yet.
    spec = {"containers": [state.sleeper()], "schedulingGates": [{"name": "orchestrator.platform/test"}]}
    state.agent_objects.append({"kind": "Pod", "metadata": {"name": "old", "labels": AGENT}, "spec": spec})


def service_to_the_bridge(state: State) -> None:
    ports = [{"port": 80, "targetPort": 8090}]
    state.agent_objects.append(
        {"kind": "Service", "metadata": {"name": "input"}, "spec": {"selector": AGENT, "ports": ports}}
    )


def policy_for_others(state: State) -> None:
    spec = {"podSelector": {"matchLabels": {"app": "other"}}, "policyTypes": ["Ingress"]}
    state.monitor_objects.append({"kind": "NetworkPolicy", "metadata": {"name": "other"}, "spec": spec})


def no_webhook(state: State) -> None:
    state.agent_objects.remove(state.webhook)


def token_copied(state: State) -> None:
    state.agent_objects.append(
        {
            **state.webhook,
            "metadata": {"name": "copy"},
            "data": {"y": state.chart("Secret", "-bot")["data"]["BOT_TOKEN"]},
        }
    )


def webhook_in_a_config_map(state: State) -> None:
    state.agent_objects.append({"kind": "ConfigMap", "metadata": {"name": "settings"}, "data": {"url": WEBHOOK}})


def webhook_in_binary_data(state: State) -> None:
    data = {"url": base64.b64encode(WEBHOOK.encode()).decode()}
    state.agent_objects.append({"kind": "ConfigMap", "metadata": {"name": "settings"}, "binaryData": data})


def token_secret(state: State) -> None:
    # An account of its own, made first: the token controller deletes the Secret of an account that does not exist,
    # and `default` comes into a new namespace some time later.
    about = {"name": "forever", "annotations": {"kubernetes.io/service-account.name": "keeper"}}
    state.agent_objects += [
        {"kind": "ServiceAccount", "metadata": {"name": "keeper"}},
        {"kind": "Secret", "metadata": about, "type": "kubernetes.io/service-account-token"},
    ]


def no_room(state: State) -> None:
    # A quota on limits also refuses the pod, which has none: nothing starts.
    state.inject = False
    state.agent["spec"]["replicas"] = 1
    state.agent["metadata"]["annotations"] = {"orchestrator.platform/inject": "false"}
    state.agent_objects.append(
        {"kind": "ResourceQuota", "metadata": {"name": "small"}, "spec": {"hard": {"limits.memory": "32Mi"}}}
    )


def small_range(state: State) -> None:
    limits = [{"type": "Container", "max": {"memory": "32Mi"}}]
    state.agent_objects.append({"kind": "LimitRange", "metadata": {"name": "small"}, "spec": {"limits": limits}})


def held_back(state: State) -> None:
    state.webhook["metadata"]["finalizers"] = ["orchestrator.platform/test"]


def old_node(maker: Maker, state: State) -> None:
    spec = {"unschedulable": True, "taints": [{"key": "test", "effect": "NoExecute"}]}
    path = maker.create({"kind": "Node", "metadata": {"name": state.name, "labels": {LABEL: "true"}}, "spec": spec})
    maker.change(
        path + "/status", lambda node: node["status"].setdefault("nodeInfo", {}).update(kubeletVersion="v1.28.0")
    )


def lower_the_limit(maker: Maker, state: State) -> None:
    """Of a running container that holds more: the kubelet lets it be, the pod says the new limit."""
    path = f"/api/v1/namespaces/{state.agents}/pods/live"
    maker.until(
        lambda: all(s.get("ready") for s in maker.api.get(path)["status"].get("containerStatuses", [{}])),
        "the pod is ready",
    )
    resources = {"name": WATCHER, "resources": {"limits": {"memory": "32Mi"}}}
    maker.send(
        "PATCH", path + "/resize", {"spec": {"containers": [resources]}}, kind="application/strategic-merge-patch+json"
    )


def holds_more_than_its_limit(state: State) -> None:
    state.publish(lambda doc: doc["watcher"]["resources"]["limits"].update(memory="32Mi"))
    state.run_pod(ANSWERS.format(FILL.format(40), 0), watcher=lambda c: c["resources"]["limits"].update(memory="64Mi"))


OVERRIDES = {"log_level": "debug", "memory_limit": "96Mi", "webhook_secret_name": "team"}


def own_settings(state: State) -> None:
    state.overrides = OVERRIDES
    state.agent_objects.append({**state.webhook, "metadata": {"name": "team"}})


def own_key(state: State) -> None:
    """The bot's token under a key that the run was not told of: nothing can be compared with it."""
    secret = state.chart("Secret", "-bot")
    secret["data"] = {"token": secret["data"]["BOT_TOKEN"]}
    key = state.container["env"][0]["valueFrom"]["secretKeyRef"]
    key["key"] = "token"


def told_to_read(name: str) -> Callable[[State], None]:
    """An annotation that sends the watcher to another Secret of ours; role sidecar follows it."""

    def plant(state: State) -> None:
        state.agent["metadata"]["annotations"] = {"orchestrator.platform/webhook-secret-name": name}

    return plant


def copied(name: str, value: str, *, beside_the_bot: bool = False) -> Callable[[State], None]:
    def plant(state: State) -> None:
        objects = state.monitor_objects if beside_the_bot else state.agent_objects
        objects.append(opaque(name, note=f"the value is {value}\n"))

    return plant


def api_key_of(state: State) -> Json:
    """The bot's reference to the credential of its API."""
    (entry,) = (item for item in state.container["env"] if item["name"] == "BOT_API_TOKEN")
    reference: Json = entry["valueFrom"]["secretKeyRef"]
    return reference


def bots_api(state: State) -> None:
    """A Secret of the bot's API of its own, which an agent reads, too."""
    state.monitor_objects.append(opaque("bot-api", BOT_API_TOKEN=API_TOKEN))
    api_key_of(state).update(name="bot-api")


def foreign_pod(**spec: Json) -> Callable[[State], None]:
    """A pod of somebody else beside the agents; its gate keeps it from every node."""

    def plant(state: State) -> None:
        whole = {"containers": [state.sleeper()], "schedulingGates": [{"name": "orchestrator.platform/test"}], **spec}
        state.agent_objects.append({"kind": "Pod", "metadata": {"name": "other"}, "spec": whole})

    return plant


def node_path(path: str) -> Callable[[Json], None]:
    return lambda template: mount(template, {"hostPath": {"path": path}}, "agent")


def team_key(state: State) -> None:
    """A described Secret, and a container that is not among its readers."""
    state.agent_objects.append(opaque("team-key", KEY=API_TOKEN))


def described(**more: Json) -> Json:
    """A Secret of the platform that the module is told of, in the agents' namespace of the case."""
    return {"secrets": [{"namespace": "{agents}", "name": "team-*", "description": "team key", **more}]}


def suppression(expires: str) -> Json:
    entry = {"id": "probes/bot-liveness", "subject": "Deployment */gone", "reason": "of a test", "expires": expires}
    return {"suppressions": [entry]}


# What cannot be read or compared is no pass: nothing is found, and the run says that it is not complete.
UNKNOWN = {
    "unknown-token": Fault("the token under a key that nobody named", own_key),
    "unknown-api": Fault("no Secret of the bot's API", lambda s: api_key_of(s).update(name="nowhere"), params={"bot_api_secret": "nowhere"}),
    "unknown-described": Fault("no such described Secret", params={"secrets": [{"namespace": "{agents}", "name": "nowhere"}]}),
}  # fmt: skip
# Answers the kubelet's probe with 200 and everybody else with {}.
ASKED = """
import http.server
class Answer(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        self.send_response(200 if "kube-probe" in self.headers.get("User-Agent", "") else {})
        self.end_headers()
http.server.HTTPServer(("", 8080), Answer).serve_forever()
"""


def a_crd(**properties: Json) -> Json:
    """A small CRD, made once by the good state."""
    schema = {"type": "object", "properties": properties}
    version = {"name": "v1", "served": True, "storage": True, "schema": {"openAPIV3Schema": schema}}
    names = {"kind": "NegativeThing", "plural": "negative-things", "singular": "negative-thing"}
    spec = {"group": "example.org", "scope": "Namespaced", "names": names, "versions": [version]}
    about = {"name": "negative-things.example.org", "labels": {LABEL: "true"}}
    return {"kind": "CustomResourceDefinition", "metadata": about, "spec": spec}


CRD = a_crd(spec={"type": "object"})
NEWER_CRD = a_crd(spec={"type": "object"}, status={"type": "object"})
ABSENT_CRD = {**CRD, "metadata": {"name": "negative-nothings.example.org"}}


def orchestrator(change: Callable[[State], object] = bool) -> Callable[[State], None]:
    """The state with an orchestrator, changed."""

    def plant(state: State) -> None:
        state.with_orchestrator()
        change(state)

    return plant


def good_orchestrator(state: State) -> None:
    state.cluster_objects.append(CRD)
    state.run_controller(ASKED.format(200))


def controller_that_never_comes(state: State) -> None:
    state.part("Deployment")["spec"]["replicas"] = 1
    state.controller["spec"]["serviceAccountName"] = "nowhere"


def controller(state: State) -> Json:
    found: Json = state.controller["spec"]["containers"][0]
    return found


def another_secret_for_the_agents(state: State) -> None:
    data = state.part("ConfigMap", "orchestrator-task-controller-config")["data"]
    data["config.yaml"] = data["config.yaml"].replace("orchestrator-secrets", "other-secrets")


def ingress_of_no_class(state: State) -> None:
    backend = {"service": {"name": "orchestrator", "port": {"number": 80}}}
    spec = {"ingressClassName": "negative-nowhere", "defaultBackend": backend}
    state.orchestrator_objects.append({"kind": "Ingress", "metadata": {"name": "orchestrator"}, "spec": spec})


# Nothing is to be found here: without these the faults below would prove nothing.
GOOD = {
    "good": Fault("nothing"),
    "good-overrides": Fault(
        "a sidecar with settings of its own", own_settings, params={"sidecar_overrides": OVERRIDES}
    ),
    "good-targets": Fault(
        "settings of the last of several runs",
        own_settings,
        params={"targets": [{}, {"names": ["coder"], "overrides": OVERRIDES}, {"names": ["other"]}]},
    ),
    "good-described": Fault(
        "a described Secret and its reader",
        team_key,
        edit=lambda t: agent(t).update(env=secret_env("team-key", "KEY")),
        params={
            "secrets": [
                {
                    "namespace": "{agents}",
                    "name": "team-*",
                    "keys": ["KEY"],
                    "readers": [{"container": "agent", "labels": AGENT, "required": True}],
                }
            ]
        },
    ),
    "good-orchestrator": Fault(
        "an orchestrator that answers", orchestrator(good_orchestrator), params={"orchestrator_crds": [CRD]}, live=True
    ),
}
RBAC = "rbac.authorization.k8s.io"
FAULTS: dict[str, Fault] = {
    "preflight/api-version": Fault("a node with a kubelet of 1.28", later=old_node, alone=True),
    "preflight/namespaces": Fault("the agents' namespace is being deleted", held_back, later=lambda m, s: m.send("DELETE", f"/api/v1/namespaces/{s.agents}"), live=True),
    "preflight/permission": Fault("a user who may do nothing", params={"families": ["preflight"]}, limited=True),
    "preflight/quota": Fault("a quota of 32Mi and an agent still to be injected", no_room),
    "preflight/limit-range": Fault("a LimitRange of 32Mi", small_range),
    "chart/bot-rollout": Fault("a bot whose ServiceAccount is not there", bot_that_never_comes),
    "chart/snippet-published": Fault("a snippet that is no JSON", unpublish),
    "chart/release-labels": Fault("the Service lost a label", lambda s: s.chart("Service")["metadata"]["labels"].pop("app.kubernetes.io/part-of")),
    "chart/release-deployed": Fault("a release left in pending-upgrade", lambda s: s.release["metadata"]["labels"].update(status="pending-upgrade")),
    "chart/crds-established": Fault("a CRD that is not there", orchestrator(), params={"orchestrator_crds": [ABSENT_CRD]}),
    "chart/crds-current": Fault("a CRD of before the status", orchestrator(), params={"orchestrator_crds": [NEWER_CRD]}, live=True),
    "chart/orchestrator-released": Fault("an orchestrator left in pending-upgrade", orchestrator(lambda s: s.part("Secret", "sh.helm.release.v1.orchestrator.v1")["metadata"]["labels"].update(status="pending-upgrade"))),
    "chart/orchestrator-rollout": Fault("a controller whose ServiceAccount is not there", orchestrator(controller_that_never_comes), implies=("chart/orchestrator-endpoints", "chart/orchestrator-rights")),
    "chart/orchestrator-endpoints": Fault("the orchestrator's Service is gone", orchestrator(lambda s: s.orchestrator_objects.remove(s.part("Service")))),
    "chart/orchestrator-answers": Fault("a controller that answers 500", orchestrator(lambda s: s.run_controller(ASKED.format(500))), live=True),
    "chart/orchestrator-secret": Fault("another Secret for the agents", orchestrator(another_secret_for_the_agents)),
    "chart/orchestrator-mounts": Fault("a ConfigMap of templates without any", orchestrator(lambda s: s.part("ConfigMap", "orchestrator-claude-templates").update(data={}))),
    "chart/orchestrator-rights": Fault("a controller that may not make Jobs", orchestrator(lambda s: s.part("Role").update(rules=[r for r in s.part("Role")["rules"] if "jobs" not in r["resources"]]))),
    "chart/orchestrator-pull-secrets": Fault("a pull secret that is not there", orchestrator(lambda s: s.controller["spec"].update(imagePullSecrets=[{"name": "nowhere"}]))),
    "chart/orchestrator-ingress": Fault("an Ingress of a class that is not there", orchestrator(ingress_of_no_class)),
    "probes/orchestrator-liveness": Fault("the controller has no liveness probe", orchestrator(lambda s: controller(s).pop("livenessProbe"))),
    "probes/orchestrator-readiness": Fault("the controller has no readiness probe", orchestrator(lambda s: controller(s).pop("readinessProbe"))),
    "resources/orchestrator": Fault("the controller has no limits", orchestrator(lambda s: controller(s)["resources"].pop("limits"))),
    "injection/watcher-present": Fault("an agent that was never injected", without_sidecar),
    "injection/one-watcher": Fault("a second watcher under another name", edit=lambda t: t["spec"]["containers"].append({**agent(t), "name": "second", "args": ["watch"]})),
    "injection/template-current": Fault("a sidecar of an older snippet", edit=lambda t: t["metadata"]["annotations"].update({"orchestrator.platform/snippet-hash": "b" * 64})),
    "injection/drift": Fault("the watcher's image was edited", edit=lambda t: watcher(t).update(image="discord-monitor:edited")),
    "injection/pods-current": Fault("a pod of before the injection", pod_of_before),
    "probes/watcher-liveness": Fault("the watcher's liveness probe is gone", edit=lambda t: watcher(t).pop("livenessProbe")),
    "probes/watcher-readiness": Fault("the watcher's readiness probe asks /", edit=lambda t: watcher(t)["readinessProbe"]["httpGet"].update(path="/")),
    "probes/bot-liveness": Fault("the bot has no liveness probe", lambda s: s.container.pop("livenessProbe")),
    "probes/bot-readiness": Fault("the bot has no readiness probe", lambda s: s.container.pop("readinessProbe")),
    "probes/bridge-exec": Fault("the bridge is asked over HTTP", edit=lambda t: bridge(t).update(livenessProbe={"httpGet": {"path": "/healthz", "port": 8090}})),
    "probes/answers": Fault("a watcher that runs and answers nothing", lambda s: s.run_pod("import signal; signal.pause()"), live=True),
    "exposure/bridge-loopback": Fault("the bridge binds every address", edit=lambda t: bridge(t)["env"][0].update(value="0.0.0.0")),
    "exposure/no-host-port": Fault("the watcher's port is on the node", edit=lambda t: watcher(t)["ports"][0].update(hostPort=8080)),
    "exposure/no-service": Fault("a Service in front of the bridge", service_to_the_bridge),
    "exposure/network-policy": Fault("a NetworkPolicy that leaves the bot out", policy_for_others),
    "delivery/webhook-secret-present": Fault("no webhook Secret", no_webhook),
    "delivery/probe-line": Fault("a webhook that nobody serves", lambda s: s.run_pod(HEALTHY), params={"probe_delivery": True, "probe_timeout": 2}, live=True),
    "delivery/backlog": Fault("a watcher five minutes behind", lambda s: s.run_pod(ANSWERS.format("", 300)), live=True),
    "resources/requests": Fault("the bridge's memory request was edited", edit=lambda t: bridge(t)["resources"]["requests"].update(memory="1Mi")),
    "resources/limits": Fault("the bridge's CPU limit was edited", edit=lambda t: bridge(t)["resources"]["limits"].update(cpu="1")),
    "resources/memory-limit-as-specified": Fault("65Mi in the snippet and everywhere else", loosened_everywhere),
    "resources/within-limits": Fault("a running watcher's limit lowered below what it holds", holds_more_than_its_limit, later=lower_the_limit, params={"watcher_resources": {}}, live=True),
    "resources/near-limit": Fault("a watcher that holds 60 of its 64Mi", lambda s: s.run_pod(ANSWERS.format(FILL.format(49), 0)), live=True),
    "resources/request-below-limit": Fault("a bridge published with a request above its limit", request_above_limit),
    "resources/ephemeral-storage": Fault("the bridge writes an emptyDir without bound", edit=lambda t: mount(t, {"emptyDir": {}}, "input-bridge")),
    "resources/oom-killed": Fault("a watcher that was killed for memory once", lambda s: s.run_pod(ANSWERS.format(DIES_ONCE, 0)), live=True),
    "security-context/restricted": Fault("the watcher's root file system is writable", edit=lambda t: watcher(t)["securityContext"].update(readOnlyRootFilesystem=False)),
    "security-context/pod-level": Fault("an agent with hostIPC", edit=lambda t: t["spec"].update(hostIPC=True)),
    "secret-scope/env-ref": Fault("the agent reads the webhook URL by env", edit=lambda t: agent(t).update(env=secret_env("discord-secrets"))),
    "secret-scope/env-from": Fault("the agent takes the webhook Secret by envFrom", edit=lambda t: agent(t).update(envFrom=[{"secretRef": {"name": "discord-secrets"}}])),
    "secret-scope/volume": Fault("the webhook Secret as a volume", edit=lambda t: mount(t, {"secret": {"secretName": "discord-secrets"}}, "agent")),
    "secret-scope/projected": Fault("the webhook Secret in a projected volume", edit=lambda t: mount(t, {"projected": {"sources": [{"secret": {"name": "discord-secrets"}}]}}, "agent")),
    "secret-scope/image-pull": Fault("the webhook Secret to pull images", edit=lambda t: t["spec"].update(imagePullSecrets=[{"name": "discord-secrets"}])),
    "secret-scope/expected-paths": Fault("an included watcher without its webhook", included_without_webhook),
    "secret-scope/shared-volume": Fault("the watcher may write where the agent reads", edit=lambda t: mount(t, {"emptyDir": {"sizeLimit": "1Mi"}}, WATCHER, "agent")),
    "secret-scope/account-token-secret": Fault("a ServiceAccount's token kept in a Secret", token_secret),
    "secret-scope/share-process-namespace": Fault("an agent that shares its processes", edit=lambda t: t["spec"].update(shareProcessNamespace=True)),
    "secret-scope/bot-token-namespace": Fault("a copy of the bot's token beside the agents", token_copied),
    "secret-scope/expected-paths#annotation": Fault("an annotation sends the watcher to the bot's Secret", told_to_read("discord-monitor-bot"), implies=("secret-scope/env-ref",)),
    "secret-scope/expected-paths#described": Fault("an annotation sends the watcher to a described Secret", lambda s: team_key(s) or told_to_read("team-key")(s), params=described(), implies=("secret-scope/env-ref",)),
    "secret-scope/env-ref#api": Fault("the agent reads the Secret of the bot's API", bots_api, edit=lambda t: agent(t).update(env=secret_env("bot-api", "BOT_API_TOKEN")), params={"bot_api_secret": "bot-api"}),
    "secret-scope/env-ref#described": Fault("the agent reads a described Secret that is for the bridge", team_key, edit=lambda t: agent(t).update(env=secret_env("team-key", "KEY")), params=described(readers=[{"container": "input-bridge"}])),
    "secret-scope/bot-token-namespace#api": Fault("the API's credential in a Secret beside the agents", lambda s: bots_api(s) or copied("copy", API_TOKEN)(s), params={"bot_api_secret": "bot-api"}),
    "secret-scope/value-copies": Fault("the webhook URL in a Secret of another name", copied("copy", WEBHOOK)),
    "secret-scope/value-copies#token": Fault("the token in another Secret beside the bot", copied("copy", TOKEN, beside_the_bot=True)),
    "secret-scope/node-access": Fault("an agent that is privileged", edit=lambda t: agent(t).update(securityContext={"privileged": True})),
    "secret-scope/node-access#kubelet": Fault("an agent that mounts the kubelet's folder", edit=node_path("/var/lib/kubelet")),
    "secret-scope/node-access#runtime": Fault("an agent that mounts the runtime's socket", edit=node_path("/run/containerd/containerd.sock")),
    "secret-scope/node-access#hostpid": Fault("somebody else's pod with hostPID", foreign_pod(hostPID=True)),
    "secret-scope/node-access#hostipc": Fault("somebody else's pod with hostIPC", foreign_pod(hostIPC=True)),
    "delivery/webhook-secret-present#own": Fault("a workload whose own webhook Secret is not there", told_to_read("team")),
    "secret-scope/type-opaque": Fault("a webhook Secret of another type", lambda s: s.webhook.update(type="example.org/webhook")),
    "secret-scope/configmap-values": Fault("the webhook URL in a ConfigMap", webhook_in_a_config_map),
    "secret-scope/service-account-token": Fault("a pod that mounts its API token everywhere", lambda s: s.run_pod(HEALTHY, automountServiceAccountToken=True), live=True),
    "secret-scope/runtime-env": Fault("an entry point that sets BOT_TOKEN", lambda s: s.run_pod(HEALTHY, agent=s.sleeper("env", "BOT_TOKEN=none", "sleep", "86400")), params={"runtime_scope": True}, live=True),
    "secret-scope/runtime-mounts": Fault("an agent that mounts something itself", lambda s: s.run_pod(HEALTHY, agent={**s.sleeper("sh", "-c", MOUNTS), "securityContext": {"privileged": True, "runAsUser": 0}}), params={"runtime_scope": True}, live=True, implies=("secret-scope/node-access",)),
    "rbac/read-secrets": Fault("the agents' account may get Secrets", lambda s: s.grant("get", "secrets")),
    "rbac/create-pods": Fault("the agents' account may patch Deployments", lambda s: s.grant("patch", "deployments", group="apps")),
    "rbac/exec": Fault("the agents' account may exec", lambda s: s.grant("create", "pods/exec")),
    "rbac/impersonate": Fault("the agents' account may impersonate others", lambda s: s.grant("impersonate", "serviceaccounts")),
    "rbac/escalate": Fault("the agents' account may bind roles", lambda s: s.grant("bind", "roles", group=RBAC)),
    "rbac/wildcard": Fault(
        "the agents' account may do everything in its namespace",
        lambda s: s.grant("*", "*", group="*"),
        implies=("rbac/read-secrets", "rbac/create-pods", "rbac/exec", "rbac/impersonate", "rbac/escalate", "rbac/token-request"),
    ),
    "rbac/read-secrets#patch": Fault("the agents' account may patch Secrets", lambda s: s.grant("patch", "secrets")),
    "rbac/read-secrets#anonymous": Fault("nobody in particular may get Secrets", lambda s: s.grant("get", "secrets", to={"kind": "User", "name": "system:anonymous"})),
    "rbac/impersonate#constrained": Fault("the agents' account may be others, constrained", lambda s: s.grant("impersonate:serviceaccount", "serviceaccounts", group="authentication.k8s.io")),
    "rbac/impersonate#signer": Fault(
        "the agents' account may approve client certificates",
        lambda s: s.grant("approve", "signers", group="certificates.k8s.io", everywhere=True, names=("kubernetes.io/kube-apiserver-client",)),
    ),
    "rbac/admission": Fault("the agents' account may make webhooks", lambda s: s.grant("create", "mutatingwebhookconfigurations", group="admissionregistration.k8s.io", everywhere=True)),
    "rbac/other-readers#step": Fault("a user who may exec in the namespace", lambda s: s.grant("create", "pods/exec", to={"kind": "User", "name": "jane"})),
    "rbac/other-readers#accounts": Fault("all accounts of another namespace may read", lambda s: s.grant("get", "secrets", to={"kind": "Group", "name": "system:serviceaccounts:elsewhere"})),
    "secret-scope/configmap-values#binary": Fault("the webhook URL in a ConfigMap's binary data", webhook_in_binary_data),
    "rbac/token-request": Fault("the agents' account may make tokens", lambda s: s.grant("create", "serviceaccounts/token")),
    "rbac/node-proxy": Fault("the agents' account may use nodes/proxy", lambda s: s.grant("get", "nodes/proxy", everywhere=True)),
    "rbac/exec#named": Fault("the agents' account may exec into one pod", lambda s: s.grant("create", "pods/exec", names=("coder-0",))),
    "rbac/create-pods#named": Fault("the agents' account may patch one Deployment", lambda s: s.grant("patch", "deployments", group="apps", names=("coder",))),
    "rbac/create-pods#runs": Fault("the agents' account may make CodeRuns", lambda s: s.grant("create", "coderuns", group="orchestrator.platform")),
    "rbac/impersonate#named": Fault("the agents' account may be one other", lambda s: s.grant("impersonate", "serviceaccounts", names=("keeper",))),
    "rbac/escalate#named": Fault("the agents' account may bind one role", lambda s: s.grant("bind", "clusterroles", group=RBAC, names=("admin",))),
    "rbac/token-request#named": Fault("the agents' account may make one account's tokens", lambda s: s.grant("create", "serviceaccounts/token", names=("keeper",))),
    "rbac/node-proxy#named": Fault("the agents' account may use one node's proxy", lambda s: s.grant("get", "nodes/proxy", everywhere=True, names=("n1",))),
    "rbac/other-readers": Fault("a user who may read the namespace's Secrets", lambda s: s.grant("get", "secrets", to={"kind": "User", "name": "jane"})),
    "report/suppression-expired": Fault("a suppression of yesteryear", params=suppression("2020-01-31")),
    "report/suppression-unused": Fault("a suppression that matches nothing", params=suppression("2999-01-31")),
}  # fmt: skip


def check_of(name: str) -> str:
    """Id of the check that a case is for."""
    return name.partition("#")[0]


def expected(name: str) -> set[str]:
    """What is to be found in a case, and nothing else."""
    return {check_of(name), *FAULTS[name].implies} if name in FAULTS else set()

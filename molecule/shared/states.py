# SPDX-License-Identifier: GPL-3.0-or-later
# SPDX-FileCopyrightText: 2026 The orchestrator.platform authors
"""A good state of the platform in two namespaces of its own, made of as little as the checks need, and what a case changes.

No container runs unless a case adds a pod: Deployments have no replicas. The chart's objects are the chart's own
rendering, the sidecar comes into the agent's Deployment by the plan and the field manager of the module.
"""

from __future__ import annotations

import base64
import copy
import json
import time
import types
from collections.abc import Callable
from pathlib import Path
from typing import Any

import yaml
from ansible_collections.kubernetes.core.plugins.module_utils.args_common import AUTH_ARG_SPEC
from ansible_collections.orchestrator.platform.plugins.module_utils._cluster import Cluster
from ansible_collections.orchestrator.platform.plugins.module_utils._errors import ApiError
from ansible_collections.orchestrator.platform.plugins.module_utils._overrides import parse_overrides
from ansible_collections.orchestrator.platform.plugins.module_utils._sidecar import FIELD_MANAGER, Options, plan_present
from ansible_collections.orchestrator.platform.plugins.module_utils._snippet import snippet_of_config_map

Json = dict[str, Any]

PREFIX = "negative"
LABEL = "orchestrator.platform/verify-negative"
TOKEN = "canary-bot-token.of-verify-negative.71c0d2aa"
API_KEY = "canary-api-key-of-verify-negative-5e92"
WEBHOOK = "http://127.0.0.1:9/api/webhooks/200000002/canary-webhook-of-verify-negative-0b7e"
RELEASE = "discord-monitor"
WATCHER = "discord-watcher"
AGENT = {"app": "coder"}

# apiVersion and kind -> path of the list, {} being the namespace
PATHS = {
    "Namespace": "/api/v1/namespaces",
    "Node": "/api/v1/nodes",
    "ConfigMap": "/api/v1/namespaces/{}/configmaps",
    "Secret": "/api/v1/namespaces/{}/secrets",
    "Service": "/api/v1/namespaces/{}/services",
    "ServiceAccount": "/api/v1/namespaces/{}/serviceaccounts",
    "Pod": "/api/v1/namespaces/{}/pods",
    "ResourceQuota": "/api/v1/namespaces/{}/resourcequotas",
    "LimitRange": "/api/v1/namespaces/{}/limitranges",
    "Deployment": "/apis/apps/v1/namespaces/{}/deployments",
    "NetworkPolicy": "/apis/networking.k8s.io/v1/namespaces/{}/networkpolicies",
    "Role": "/apis/rbac.authorization.k8s.io/v1/namespaces/{}/roles",
    "RoleBinding": "/apis/rbac.authorization.k8s.io/v1/namespaces/{}/rolebindings",
    "ClusterRole": "/apis/rbac.authorization.k8s.io/v1/clusterroles",
    "Ingress": "/apis/networking.k8s.io/v1/namespaces/{}/ingresses",
    "CustomResourceDefinition": "/apis/apiextensions.k8s.io/v1/customresourcedefinitions",
    "ClusterRoleBinding": "/apis/rbac.authorization.k8s.io/v1/clusterrolebindings",
}


def api(kubeconfig: Path | Json, *, threads: int = 2) -> Cluster:
    """A connection like a module's."""
    params = {
        **dict.fromkeys(AUTH_ARG_SPEC),
        "kubeconfig": kubeconfig if isinstance(kubeconfig, dict) else str(kubeconfig),
    }
    return Cluster(
        types.SimpleNamespace(params=params, requires=lambda *_: None, server_side_dry_run=False), threads=threads
    )


def b64(text: str) -> str:
    """As the API wants values of Secrets."""
    return base64.b64encode(text.encode()).decode()


def opaque(name: str, **values: str) -> Json:
    """A Secret."""
    data = {key: b64(value) for key, value in values.items()}
    return {"kind": "Secret", "metadata": {"name": name}, "type": "Opaque", "data": data}


class State:
    """The objects of one case before they are made; a fault changes them, or adds to `agent_objects` and the others."""

    def __init__(self, name: str, rendered: list[Json], orchestrator: list[Json]) -> None:
        self.monitor, self.agents = f"{PREFIX}-{name}-m", f"{PREFIX}-{name}-a"
        self.orchestrator = f"{PREFIX}-{name}-o"
        self.orchestrator_chart = orchestrator
        self.orchestrator_objects: list[Json] = []  # none, unless a case is about it
        self.name = f"{PREFIX}-{name}"
        self.namespaces: dict[str, Json] = {self.monitor: {}, self.agents: {}}  # name -> labels
        self.monitor_objects = copy.deepcopy(rendered)
        self.bot = self.chart("Deployment")
        self.bot["spec"]["replicas"] = 0
        self.container = self.bot["spec"]["template"]["spec"]["containers"][0]
        self.image = self.container["image"]
        self.release = opaque("sh.helm.release.v1.discord-monitor.v1", release="")
        self.release["type"] = "helm.sh/release.v1"
        self.release["metadata"]["labels"] = {"owner": "helm", "name": RELEASE, "status": "deployed", "version": "1"}
        self.monitor_objects += [opaque("discord-monitor-bot", BOT_TOKEN=TOKEN), self.release]
        self.webhook = opaque("discord-secrets", DISCORD_WEBHOOK_URL=WEBHOOK)
        self.agent_objects: list[Json] = [self.webhook]
        self.cluster_objects: list[Json] = []
        self.agent = self._agent()
        self.inject = True
        self.bridge = True
        self.overrides: Json = {}  # of the module sidecar

    def with_orchestrator(self) -> None:
        """The chart's own rendering without a pod, its Secret and its release's record."""
        self.namespaces[self.orchestrator] = {}
        release = copy.deepcopy(self.release)
        release["metadata"]["name"] = "sh.helm.release.v1.orchestrator.v1"
        release["metadata"]["labels"] |= {"name": "orchestrator", "status": "deployed"}
        key = opaque("orchestrator-secrets", ANTHROPIC_API_KEY=API_KEY)
        self.orchestrator_objects = [key, release, *copy.deepcopy(self.orchestrator_chart)]
        # Rendered for the namespace default.
        self.part("RoleBinding")["subjects"][0]["namespace"] = self.orchestrator
        config = self.part("ConfigMap", "orchestrator-config")
        config["data"]["KUBERNETES_NAMESPACE"] = self.orchestrator

    def part(self, kind: str, name: str = "orchestrator") -> Json:
        """An object of the orchestrator."""
        (found,) = (o for o in self.orchestrator_objects if o["kind"] == kind and o["metadata"]["name"] == name)
        return found

    @property
    def controller(self) -> Json:
        """The orchestrator's pod template."""
        template: Json = self.part("Deployment")["spec"]["template"]
        return template

    def run_controller(self, program: str) -> None:
        """Let one pod of it run a program of the test instead."""
        self.part("Deployment")["spec"]["replicas"] = 1
        container = self.controller["spec"]["containers"][0]
        container |= {"image": self.image, "command": ["python3", "-c", program], "imagePullPolicy": "IfNotPresent"}
        container["readinessProbe"] |= {"initialDelaySeconds": 0, "periodSeconds": 1}

    def _agent(self) -> Json:
        template = {
            "metadata": {"labels": AGENT},
            "spec": {"containers": [self.sleeper()], "automountServiceAccountToken": False},
        }
        return {
            "kind": "Deployment",
            "metadata": {"name": "coder", "labels": AGENT},
            "spec": {"replicas": 0, "selector": {"matchLabels": AGENT}, "template": template},
        }

    def sleeper(self, *command: str) -> Json:
        """The agent's container."""
        return {"name": "agent", "image": self.image, "command": list(command) or ["sleep", "86400"]}

    def chart(self, kind: str, ending: str = "") -> Json:
        """The one rendered object of a kind whose name ends so."""
        (found,) = (o for o in self.monitor_objects if o["kind"] == kind and o["metadata"]["name"].endswith(ending))
        return found

    @property
    def published(self) -> Json:
        """The snippet's document."""
        document: Json = json.loads(self.chart("ConfigMap", "-snippet")["data"]["snippet.json"])
        return document

    def publish(self, change: Callable[[Json], object]) -> None:
        """Change the published snippet."""
        document = self.published
        change(document)
        self.chart("ConfigMap", "-snippet")["data"]["snippet.json"] = json.dumps(document)

    def grant(
        self,
        verbs: str,
        resource: str,
        *,
        group: str = "",
        to: Json | None = None,
        everywhere: bool = False,
        names: tuple[str, ...] = (),
    ) -> None:
        """A right for the agents' default ServiceAccount, or for somebody else; on objects of these names, or on all."""
        kind, objects = ("ClusterRole", self.cluster_objects) if everywhere else ("Role", self.agent_objects)
        about = {"name": self.name, "labels": {LABEL: "true"}}
        subject = to or {"kind": "ServiceAccount", "name": "default", "namespace": self.agents}
        if subject["kind"] != "ServiceAccount":
            subject = {**subject, "apiGroup": "rbac.authorization.k8s.io"}
        rule: Json = {"verbs": verbs.split(), "apiGroups": [group], "resources": [resource]}
        if names:
            rule["resourceNames"] = list(names)
        reference = {"apiGroup": "rbac.authorization.k8s.io", "kind": kind, "name": self.name}
        objects.append({"kind": kind, "metadata": about, "rules": [rule]})
        objects.append({"kind": kind + "Binding", "metadata": about, "roleRef": reference, "subjects": [subject]})

    def run_pod(
        self, program: str, *, agent: Json | None = None, watcher: Callable[[Json], object] = bool, **spec: Any
    ) -> None:
        """A pod whose watcher, the published container, runs another program: one that does what the case is about."""
        document = self.published
        container: Json = {**document["watcher"], "command": ["python3", "-c", program]}
        container.pop("args")
        watcher(container)
        pod = {
            "containers": [agent or self.sleeper(), container],
            "volumes": document["volumes"],
            "terminationGracePeriodSeconds": 0,
            "automountServiceAccountToken": False,
            **spec,
        }
        self.agent_objects.append({"kind": "Pod", "metadata": {"name": "live"}, "spec": pod})


class Maker:
    """Makes states on a real cluster; one for all threads."""

    def __init__(self, kubeconfig: Path) -> None:
        self.api = api(kubeconfig, threads=8)

    def make(self, state: State, *, edit: Callable[[Json], object] | None = None) -> None:
        """The whole state; `edit` changes the injected pod template afterwards, by another manager, as people do."""
        for name, labels in state.namespaces.items():
            self.create({"kind": "Namespace", "metadata": {"name": name, "labels": {LABEL: "true", **labels}}})
        for item in state.cluster_objects:
            self.create(item)
        places = [(state.monitor, state.monitor_objects), (state.agents, state.agent_objects)]
        for namespace, objects in [*places, (state.orchestrator, state.orchestrator_objects)]:
            for item in objects:
                self.create(item, namespace)
        self._agent(state, edit)

    def _agent(self, state: State, edit: Callable[[Json], object] | None) -> None:
        path = self.create(state.agent, state.agents)
        if state.inject:
            live = self.api.get(path)
            options = Options(native=True, bridge=state.bridge, overrides=parse_overrides(state.overrides))
            plan = plan_present(
                live, "Deployment", snippet_of_config_map(state.chart("ConfigMap", "-snippet")), options
            )
            assert plan.body is not None, plan
            self.api.apply(path, json.dumps(plan.body).encode(), manager=FIELD_MANAGER, dry_run=False, whole=False)
        if edit is not None:
            self.change(path, lambda live: edit(live["spec"]["template"]))

    def create(self, item: Json, namespace: str = "") -> str:
        """Create one object; the path of it. What is in its way, or still to come, is waited for: see below."""
        path = PATHS[item["kind"]].format(namespace)
        group = path.removeprefix("/apis/").removeprefix("/api/").partition("/namespaces/")[0]
        body = {
            "apiVersion": "v1" if path.startswith("/api/") else "/".join(group.split("/")[:2]),
            **copy.deepcopy(item),
        }
        body["metadata"].pop("namespace", None)
        deadline = time.monotonic() + 120
        while True:
            try:
                self.api.create(path, json.dumps(body).encode(), manager="verify-negative", dry_run=False)
            except ApiError as exc:
                waits = item["kind"] == "Pod" and exc.status == 403 and "serviceaccount" in str(exc)
                # Of an earlier run, on its way out.
                waits = waits or (item["kind"] == "Namespace" and exc.status == 409)
                if not waits or time.monotonic() > deadline:
                    raise
                time.sleep(0.25)
            else:
                return f"{path}/{item['metadata']['name']}"

    def change(self, path: str, edit: Callable[[Json], object]) -> None:
        """Read, edit, replace, as kubectl edit does; again when somebody else was faster."""
        for attempt in range(5):
            live = self.api.get(path)
            edit(live)
            try:
                self.send("PUT", path, live)
            except ApiError as exc:
                if exc.status != 409 or attempt == 4:
                    raise
            else:
                return

    def send(self, method: str, path: str, body: Json | None = None, *, kind: str = "application/json") -> None:
        """A request of a kind that no module sends."""
        data = None if body is None else json.dumps(body).encode()
        answer = self.api._send(
            method, path, {"fieldManager": "kubectl-edit"}, headers={"Content-Type": kind}, body=data
        )
        if answer.status >= 400:
            raise ApiError(answer.status, answer.data.decode()[:500], {})

    def until(self, truth: Callable[[], Any], what: str, timeout_s: float = 90) -> Any:
        """The first true answer."""
        deadline = time.monotonic() + timeout_s
        while not (found := truth()):
            assert time.monotonic() < deadline, f"not within {timeout_s:.0f} s: {what}"
            time.sleep(0.25)
        return found

    def bots_seen(self) -> bool:
        """Whether the controller has looked at every Deployment of a chart: until then a rollout is not complete."""
        selector = "app.kubernetes.io/component in (bot,controller)"
        bots, _version = self.api.items("/apis/apps/v1/deployments", labelSelector=selector)
        ours = [bot for bot in bots if bot["metadata"]["namespace"].startswith(PREFIX + "-")]
        return all(bot.get("status", {}).get("observedGeneration") == bot["metadata"]["generation"] for bot in ours)

    def limited_user(self, kubeconfig: Path, namespace: str) -> Json:
        """A kubeconfig for a namespace's default ServiceAccount, which may do nothing."""
        token = self.api.post(f"/api/v1/namespaces/{namespace}/serviceaccounts/default/token", {"spec": {}})["status"][
            "token"
        ]
        config: Json = yaml.safe_load(kubeconfig.read_text(encoding="utf-8"))
        config["users"] = [{"name": user["name"], "user": {"token": token}} for user in config["users"]]
        return config

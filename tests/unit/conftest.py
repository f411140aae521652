# SPDX-License-Identifier: GPL-3.0-or-later
# SPDX-FileCopyrightText: 2026 The orchestrator.platform authors
"""Fixtures shared by the unit tests: the snippet as published, and a healthy picture of a cluster."""

from __future__ import annotations

import base64
import json
from pathlib import Path

import hypothesis
import pytest
from ansible_collections.orchestrator.platform.plugins.module_utils._expectation import Expectation
from ansible_collections.orchestrator.platform.plugins.module_utils._fields import planned_paths
from ansible_collections.orchestrator.platform.plugins.module_utils._preflight import permissions_needed
from ansible_collections.orchestrator.platform.plugins.module_utils._sidecar import FIELD_MANAGER, Options, plan_present
from ansible_collections.orchestrator.platform.plugins.module_utils._snapshot import (
    Delivery,
    HttpAnswer,
    Inside,
    Snapshot,
    Usage,
    View,
)
from ansible_collections.orchestrator.platform.plugins.module_utils._snippet import parse_snippet

from .loopback import Server

# A slow machine is no failure: without this hypothesis fails an example that takes longer than 200 ms.
hypothesis.settings.register_profile("unhurried", deadline=None)
hypothesis.settings.load_profile("unhurried")

FIXTURES = Path(__file__).parent / "fixtures"
HASH = "a" * 64
# Shaped like the real ones and worth nothing.
TOKEN = "MTA" + "x" * 21 + ".GabcdE." + "y" * 38
WEBHOOK = "https://discord.com/api/webhooks/123456789/" + "w" * 40


def b64(text: str) -> str:
    return base64.b64encode(text.encode()).decode()


@pytest.fixture
def server():
    made = Server()
    yield made
    made.close()


@pytest.fixture
def snippet_document() -> dict:
    return json.loads((FIXTURES / "snippet.json").read_text())


@pytest.fixture
def snippet(snippet_document):
    return parse_snippet(snippet_document, published_hash=HASH)


def expectation() -> Expectation:
    return Expectation(
        monitor_namespace="monitor",
        agent_namespaces=("agents",),
        release="discord-monitor",
        fullname="discord-monitor",
        snippet_name="discord-monitor-snippet",
        bot_secret="discord-monitor-bot",
        bot_key="BOT_TOKEN",
        webhook_secret="discord-secrets",
        watcher_resources={
            "requests": {"cpu": "10m", "memory": "32Mi"},
            "limits": {"cpu": "100m", "memory": "64Mi"},
        },
    )


@pytest.fixture
def expect() -> Expectation:
    return expectation()


def fields_of(body: dict) -> dict:
    """The fieldsV1 set that an apply of the body would record."""
    fields: dict = {}
    for path in planned_paths(body):
        place = fields
        for step in path:
            place = place.setdefault(step, {})
    return fields


def answer_reviews(snapshot: Snapshot, expect: Expectation) -> None:
    """Let the API server say what the objects say."""
    access = View(snapshot, expect).access
    snapshot.reviews = {
        (who, right): access.roles.granted_by(who, right) is not None for who, right in access.questions()
    }
    snapshot.reviews |= {
        (who, right): access.roles.granted_by(who, right) is not None
        for who, right in access.questions_about_groups(snapshot.reviews)
    }


def _inside(container: dict) -> Inside:
    names = [item["name"] for item in container.get("env", [])]
    mounts = [item["mountPath"].replace("/var/run", "/run") for item in container.get("volumeMounts", [])]
    return Inside(env=frozenset(["PATH", *names]), mounts=frozenset(["/", "/proc", "/etc/hosts", *mounts]))


def _meta(namespace: str, name: str, **extra) -> dict:
    return {"namespace": namespace, "name": name, "uid": f"uid-{namespace}-{name}", "generation": 1, **extra}


def _rolled(obj: dict) -> dict:
    obj["status"] = {"observedGeneration": 1, "replicas": 1, "updatedReplicas": 1, "availableReplicas": 1}
    return obj


def _status(spec: dict) -> dict:
    def rows(place: str) -> list:
        return [{"name": item["name"], "ready": True, "state": {"running": {}}} for item in spec.get(place, [])]

    return {
        "phase": "Running",
        "containerStatuses": rows("containers"),
        "initContainerStatuses": rows("initContainers"),
        "ephemeralContainerStatuses": [],
    }


def healthy(document: dict) -> Snapshot:
    """A cluster in which every check passes; tests break one thing at a time."""
    labels = {
        "app.kubernetes.io/" + key: value
        for key, value in {
            "name": "discord-monitor",
            "instance": "discord-monitor",
            "version": "0.1.0",
            "component": "bot",
            "part-of": "orchestrator-platform",
            "managed-by": "Helm",
        }.items()
    }
    bot_spec = {
        "automountServiceAccountToken": False,
        "containers": [
            {
                "name": "bot",
                "args": ["bot"],
                "env": [
                    {
                        "name": "BOT_TOKEN",
                        "valueFrom": {"secretKeyRef": {"name": "discord-monitor-bot", "key": "BOT_TOKEN"}},
                    }
                ],
                **{key: document["watcher"][key] for key in ("ports", "livenessProbe", "readinessProbe")},
                "resources": {
                    "requests": {"cpu": "20m", "memory": "64Mi"},
                    "limits": {"cpu": "200m", "memory": "128Mi"},
                },
                "securityContext": document["watcher"]["securityContext"],
            }
        ],
    }
    agent = {
        "name": "agent",
        "image": "agent:1",
        "volumeMounts": [
            {"name": "discord-transcripts", "mountPath": "/home/agent/.claude"},
            {"name": "discord-fifo", "mountPath": "/var/run/discord-bridge"},
        ],
    }
    agent_spec = {
        "initContainers": [
            {**document["watcher"], "restartPolicy": "Always"},
            {**document["bridge"], "restartPolicy": "Always"},
        ],
        "containers": [agent],
        "volumes": [*document["volumes"], *document["bridgeVolumes"]],
    }
    pod_annotations = {"orchestrator.platform/snippet-hash": HASH}
    agent_labels = {"app": "coder"}
    objects = {
        ("deployments", "monitor"): [
            _rolled(
                {
                    "metadata": _meta("monitor", "discord-monitor", labels=labels),
                    "spec": {
                        "replicas": 1,
                        "selector": {"matchLabels": {"app.kubernetes.io/component": "bot"}},
                        "template": {"metadata": {"labels": labels}, "spec": bot_spec},
                    },
                }
            )
        ],
        ("pods", "monitor"): [
            {"metadata": _meta("monitor", "bot-1", labels=labels), "spec": bot_spec, "status": _status(bot_spec)}
        ],
        ("configmaps", "monitor"): [
            {
                "metadata": _meta("monitor", "discord-monitor-snippet", labels=labels),
                "data": {"snippet.json": json.dumps(document), "hash": HASH},
            }
        ],
        ("services", "monitor"): [
            {"metadata": _meta("monitor", "discord-monitor", labels=labels), "spec": {"ports": [{"port": 8080}]}}
        ],
        ("secrets", "monitor"): [
            {"metadata": _meta("monitor", "discord-monitor-bot"), "type": "Opaque", "data": {"BOT_TOKEN": b64(TOKEN)}}
        ],
        ("releases", "monitor"): [
            {"metadata": {"name": "r1", "labels": {"name": "discord-monitor", "version": "1", "status": "superseded"}}},
            {"metadata": {"name": "r2", "labels": {"name": "discord-monitor", "version": "2", "status": "deployed"}}},
        ],
        ("deployments", "agents"): [
            _rolled(
                {
                    "metadata": _meta("agents", "coder"),
                    "spec": {
                        "replicas": 1,
                        "selector": {"matchLabels": agent_labels},
                        "template": {
                            "metadata": {"labels": agent_labels, "annotations": pod_annotations},
                            "spec": agent_spec,
                        },
                    },
                }
            )
        ],
        ("pods", "agents"): [
            {
                "metadata": _meta("agents", "coder-1", labels=agent_labels, annotations=pod_annotations),
                "spec": agent_spec,
                "status": _status(agent_spec),
            }
        ],
        ("configmaps", "agents"): [{"metadata": _meta("agents", "kube-root-ca.crt"), "data": {"ca.crt": "-----"}}],
        ("services", "agents"): [
            {
                "metadata": _meta("agents", "coder"),
                "spec": {"selector": agent_labels, "ports": [{"port": 80, "targetPort": 3000}]},
            }
        ],
        ("secrets", "agents"): [
            {
                "metadata": _meta("agents", "discord-secrets"),
                "type": "Opaque",
                "data": {"DISCORD_WEBHOOK_URL": b64(WEBHOOK)},
            }
        ],
    }
    workload = objects[("deployments", "agents")][0]
    bare = {"containers": [{**agent, "volumeMounts": []}], "volumes": []}
    before = {**workload, "spec": {**workload["spec"], "template": {"metadata": {}, "spec": bare}}}
    snippet = parse_snippet(document, published_hash=HASH)
    body = plan_present(before, "Deployment", snippet, Options(native=True, bridge=True)).body
    workload["metadata"]["managedFields"] = [
        {"manager": FIELD_MANAGER, "operation": "Apply", "fieldsV1": fields_of({"spec": body["spec"]})}
    ]
    for namespace in ("monitor", "agents"):
        objects[("serviceaccounts", namespace)] = [{"metadata": {"name": "default", "namespace": namespace}}]
    admin = {"metadata": {"name": "cluster-admin"}, "rules": [{"verbs": ["*"], "apiGroups": ["*"], "resources": ["*"]}]}
    objects[("clusterroles", "")] = [admin]
    objects[("clusterrolebindings", "")] = [
        {
            "metadata": {"name": "cluster-admin"},
            "roleRef": {"kind": "ClusterRole", "name": "cluster-admin"},
            "subjects": [{"kind": "Group", "name": "system:masters"}],
        }
    ]
    objects[("networkpolicies", "monitor")] = [
        {
            "metadata": {"name": "bot"},
            "spec": {"podSelector": {"matchLabels": {"app.kubernetes.io/component": "bot"}}, "ingress": [{}]},
        }
    ]
    permissions = permissions_needed("monitor", ["agents"], create_namespaces=True)
    bot, watcher = ("monitor", "bot-1", "bot"), ("agents", "coder-1", "discord-watcher")
    return Snapshot(
        server_version="v1.36.3",
        kubelet_versions=["v1.36.3"],
        namespaces={"monitor": {"metadata": {"name": "monitor"}}, "agents": {"metadata": {"name": "agents"}}},
        # Each object its own copy: a change in the template must not reach the pod.
        objects={key: json.loads(json.dumps(value)) for key, value in objects.items()},
        health={bot: HttpAnswer(200, "ok"), watcher: HttpAnswer(200, "ok")},
        metrics={watcher: HttpAnswer(200, "discord_monitor_lag_seconds 0.5\n")},
        usage={bot: Usage(20 * 2**20, 1), watcher: Usage(15 * 2**20, 1), (*watcher[:2], "input-bridge"): Usage(1, 1)},
        delivery={watcher: Delivery(delivered=True, seconds=0.4)},
        permissions=dict.fromkeys(permissions, True),
        inside={
            (*watcher[:2], container["name"]): _inside(container)
            for container in (*agent_spec["initContainers"], *agent_spec["containers"])
        },
        clock_skew_s=0.4,
    )


@pytest.fixture
def snapshot(snippet_document, expect) -> Snapshot:
    made = healthy(snippet_document)
    answer_reviews(made, expect)
    return made

# SPDX-License-Identifier: GPL-3.0-or-later
# SPDX-FileCopyrightText: 2026 The orchestrator.platform authors
"""A healthy orchestrator beside the healthy picture, with the CRDs as they are delivered."""

from __future__ import annotations

import copy
from pathlib import Path

import yaml
from ansible_collections.orchestrator.platform.plugins.module_utils._expectation import (
    Expectation,
    Orchestrator,
)
from ansible_collections.orchestrator.platform.plugins.module_utils._preflight import (
    OrchestratorRights,
    permissions_needed,
)
from ansible_collections.orchestrator.platform.plugins.module_utils._rbac import Right
from ansible_collections.orchestrator.platform.plugins.module_utils._snapshot import (
    CONTROLLER_RIGHTS,
    HttpAnswer,
    Snapshot,
)

from .conftest import b64

CRDS = [
    yaml.safe_load(file.read_text(encoding="utf-8"))
    for file in sorted((Path(__file__).parents[2] / "charts" / "orchestrator" / "crds").glob("*.yaml"))
]
NAMESPACE = "orchestrator"
API_KEY = "canary-api-key-of-the-unit-tests"
LABELS = {
    "app.kubernetes.io/name": "orchestrator",
    "app.kubernetes.io/instance": "orchestrator",
    "app.kubernetes.io/component": "controller",
}
PROBE = {"httpGet": {"path": "/health", "port": "http"}}


def expected(expect: Expectation) -> Expectation:
    """The same expectation, with an orchestrator."""
    return expect._replace(
        orchestrator=Orchestrator(NAMESPACE, "orchestrator", "orchestrator", tuple(copy.deepcopy(CRDS)))
    )


def live_crd(definition: dict) -> dict:
    """A CRD as the API server keeps it."""
    made = copy.deepcopy(definition)
    made["spec"]["conversion"] = {"strategy": "None"}
    conditions = [{"type": "NamesAccepted", "status": "True"}, {"type": "Established", "status": "True"}]
    return {**made, "status": {"conditions": conditions}}


def deployment() -> dict:
    """The controller's Deployment, rolled out."""
    reference = {"secretKeyRef": {"name": "orchestrator-secrets", "key": "ANTHROPIC_API_KEY"}}
    container = {
        "name": "orchestrator",
        "env": [{"name": "ANTHROPIC_API_KEY", "valueFrom": reference}],
        "ports": [{"name": "http", "containerPort": 8080}],
        "livenessProbe": PROBE,
        "readinessProbe": PROBE,
        "resources": {
            "requests": {"cpu": "100m", "memory": "128Mi"},
            "limits": {"cpu": "500m", "memory": "512Mi"},
        },
        "volumeMounts": [
            {"name": "claude-templates", "mountPath": "/claude-templates"},
            {"name": "controller-config", "mountPath": "/config"},
        ],
    }
    volumes = [
        {"name": "claude-templates", "configMap": {"name": "orchestrator-claude-templates"}},
        {"name": "controller-config", "configMap": {"name": "orchestrator-task-controller-config"}},
    ]
    spec = {"serviceAccountName": "orchestrator", "containers": [container], "volumes": volumes}
    return {
        "metadata": {"name": "orchestrator", "namespace": NAMESPACE, "generation": 1, "labels": LABELS},
        "spec": {"replicas": 1, "selector": {"matchLabels": LABELS}, "template": {"metadata": {"labels": LABELS}, "spec": spec}},
        "status": {"observedGeneration": 1, "replicas": 1, "updatedReplicas": 1, "availableReplicas": 1},
    }  # fmt: skip


def config_map(name: str, **data: str) -> dict:
    return {"metadata": {"name": name, "namespace": NAMESPACE}, "data": data}


def add_orchestrator(snapshot: Snapshot) -> Snapshot:
    """Put it into a picture."""
    config = {"secrets": {"apiKeySecretName": "orchestrator-secrets", "apiKeySecretKey": "ANTHROPIC_API_KEY"}}
    labels = {"name": "orchestrator", "version": "2", "status": "deployed"}
    ingress = {
        "ingressClassName": "nginx",
        "tls": [{"secretName": "orchestrator-tls", "hosts": ["o.example.org"]}],
    }
    snapshot.namespaces[NAMESPACE] = {"metadata": {"name": NAMESPACE}}
    snapshot.objects |= {
        ("customresourcedefinitions", ""): [live_crd(item) for item in CRDS],
        ("ingressclasses", ""): [{"metadata": {"name": "nginx"}}],
        ("releases", NAMESPACE): [{"metadata": {"name": "o2", "labels": labels}}],
        ("deployments", NAMESPACE): [deployment()],
        ("pods", NAMESPACE): [],
        ("services", NAMESPACE): [
            {"metadata": {"name": "orchestrator"}, "spec": {"ports": [{"name": "http", "port": 80}]}}
        ],
        ("endpointslices", NAMESPACE): [
            {
                "metadata": {"name": "o-1", "labels": {"kubernetes.io/service-name": "orchestrator"}},
                "endpoints": [{"addresses": ["10.0.0.9"], "conditions": {"ready": True}}],
            }
        ],
        ("configmaps", NAMESPACE): [
            config_map("orchestrator-config", KUBERNETES_NAMESPACE=NAMESPACE),
            config_map("orchestrator-task-controller-config", **{"config.yaml": yaml.safe_dump(config)}),
            config_map("orchestrator-claude-templates", **{"code_claude.md.hbs": "x"}),
        ],
        ("secrets", NAMESPACE): [
            {"metadata": {"name": "orchestrator-secrets"}, "data": {"ANTHROPIC_API_KEY": b64(API_KEY)}},
            {"metadata": {"name": "orchestrator-tls"}, "data": {}},
            {"metadata": {"name": "registry"}, "data": {}},
        ],
        ("ingresses", NAMESPACE): [{"metadata": {"name": "orchestrator"}, "spec": ingress}],
    }
    pull = [{"name": "registry"}]
    snapshot.objects[("deployments", NAMESPACE)][0]["spec"]["template"]["spec"]["imagePullSecrets"] = pull
    needed = permissions_needed(
        "monitor", ["agents"], create_namespaces=True, orchestrator=OrchestratorRights(NAMESPACE)
    )
    snapshot.permissions = dict.fromkeys(needed, True)
    snapshot.orchestrator_health = HttpAnswer(200, '{"status": "healthy"}')
    snapshot.orchestrator_rights = {
        Right(verb, group, resource, "", NAMESPACE): True for verb, group, resource in CONTROLLER_RIGHTS
    }
    return snapshot

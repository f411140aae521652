# SPDX-License-Identifier: GPL-3.0-or-later
# SPDX-FileCopyrightText: 2026 The orchestrator.platform authors
"""Runs, a configuration and the chart's own files, for the tests of the controller."""

from __future__ import annotations

import copy
import shutil
from pathlib import Path
from typing import Any

import yaml

from orchestrator.config import parse_config

ROOT = Path(__file__).resolve().parents[2]
CHART = ROOT / "charts" / "orchestrator"
TEMPLATES = CHART / "claude-templates"

CONFIG: dict[str, Any] = {
    "job": {"activeDeadlineSeconds": 3600},
    "agent": {"image": {"repository": "registry.example.org/agent", "tag": "1.0.56", "pullPolicy": "Always"}, "imagePullSecrets": []},
    "secrets": {"apiKeySecretName": "model-key", "apiKeySecretKey": "ANTHROPIC_API_KEY"},
    "permissions": {"agentToolsOverride": False, "allow": ["Bash"], "deny": []},
    "telemetry": {"enabled": False, "otlpEndpoint": "", "otlpProtocol": "grpc", "logsEndpoint": "", "logsProtocol": "grpc"},
    "storage": {"storageClassName": "fast", "workspaceSize": "7Gi"},
    "cleanup": {"enabled": True, "completedJobDelayMinutes": 5, "failedJobDelayMinutes": 60, "deleteConfigMap": True},
}  # fmt: skip
CODE_SPEC: dict[str, Any] = {
    "taskId": 7,
    "service": "api",
    "repositoryUrl": "https://git.example.org/o/shop.git",
    "docsRepositoryUrl": "git@git.example.org:o/docs.git",
    "model": "m-1",
    "githubUser": "Agent-One",
}
DOCS_SPEC: dict[str, Any] = {
    "repositoryUrl": "https://git.example.org/o/shop.git",
    "workingDirectory": "_projects/shop",
    "sourceBranch": "main",
    "model": "m-1",
    "githubUser": "agent-one",
}
SNIPPET: dict[str, Any] = {
    "schema": 1,
    "watcher": {
        "name": "discord-watcher",
        "image": "discord-monitor:1",
        "env": [
            {"name": "DISCORD_WEBHOOK_URL", "valueFrom": {"secretKeyRef": {"name": "discord-secrets", "key": "URL", "optional": True}}},
            {"name": "WORKSPACE_PATH", "value": "/home/agent/.claude"},
        ],
        "securityContext": {"runAsUser": 10001, "runAsGroup": 10001, "runAsNonRoot": True},
        "volumeMounts": [
            {"name": "discord-transcripts", "mountPath": "/home/agent/.claude", "readOnly": True},
            {"name": "discord-state", "mountPath": "/var/lib/discord-watcher"},
        ],
    },
    "bridge": {"name": "input-bridge", "image": "discord-monitor:1", "volumeMounts": [{"name": "discord-fifo", "mountPath": "/run/agent-input"}]},
    "volumes": [{"name": "discord-transcripts", "emptyDir": {}}, {"name": "discord-state", "emptyDir": {}}],
    "agentVolumeMounts": [{"name": "discord-transcripts", "mountPath": "/home/agent/.claude"}],
    "bridgeVolumes": [{"name": "discord-fifo", "emptyDir": {}}],
    "bridgeAgentVolumeMounts": [{"name": "discord-fifo", "mountPath": "/run/agent-input"}],
}  # fmt: skip


def config(**changes: Any):
    """The configuration with values at dotted paths, given as `agent__resources=…`."""
    document = copy.deepcopy(CONFIG)
    for path, value in changes.items():
        *above, last = path.split("__")
        place = document
        for part in above:
            place = place.setdefault(part, {})
        place[last] = value
    return parse_config(yaml.safe_dump(document))


def run(kind: str = "coderuns", name: str = "seven", uid: str = "0123abcd-1111-2222-3333-444455556666", **spec: Any):
    """A run as the API server hands it out; a field None is left out."""
    base = CODE_SPEC if kind == "coderuns" else DOCS_SPEC
    return {
        "apiVersion": "orchestrator.platform/v1",
        "kind": "CodeRun" if kind == "coderuns" else "DocsRun",
        "metadata": {
            "name": name, "namespace": "runs", "uid": uid, "resourceVersion": "5", "creationTimestamp": "2026-01-01T00:00:00Z",
        },
        "spec": {key: value for key, value in {**base, **spec}.items() if value is not None},
    }  # fmt: skip


def schema(kind: str, part: str) -> dict[str, Any]:
    """The schema of a CRD's spec or status."""
    file = CHART / "crds" / f"{kind.removesuffix('s')}-crd.yaml"
    crd = yaml.safe_load(file.read_text(encoding="utf-8"))
    found: dict[str, Any] = crd["spec"]["versions"][0]["schema"]["openAPIV3Schema"]["properties"][part]
    return found


def leaves(found: dict[str, Any], above: str = "") -> set[str]:
    """Paths of all fields of a schema that hold no fields themselves; `[]` behind a list."""
    inner = found.get("items", found)
    mark = "[]" if "items" in found else ""
    fields = inner.get("properties")
    if not fields:
        return {f"{above}{mark}"}
    return {path for name, field in fields.items() for path in leaves(field, f"{above}{mark}.{name}".lstrip("."))}


def flat_templates(folder: Path) -> Path:
    """The chart's templates as the controller finds them: in one folder, slashes turned to underscores."""
    folder.mkdir(parents=True, exist_ok=True)
    for file in TEMPLATES.rglob("*.hbs"):
        shutil.copy(file, folder / str(file.relative_to(TEMPLATES)).replace("/", "_"))
    return folder

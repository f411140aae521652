# SPDX-License-Identifier: GPL-3.0-or-later
# SPDX-FileCopyrightText: 2026 The orchestrator.platform authors
"""The controller from the checkout in namespaces of its own, and what a run needs there."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import yaml

from controller_process import ApiProxy, Controller, Json, Relay
from real_cluster import ROOT, STATE, Cluster

FILES = ROOT / "molecule" / "controller" / "files"
USER = "agent-one"


@pytest.fixture(scope="session")
def image() -> tuple[str, str]:
    """Repository and tag of the demo image in the node."""
    found = yaml.safe_load((STATE / "cluster.yml").read_text(encoding="utf-8"))["image_references"]["platform-demo"]
    repository, _colon, tag = found.rpartition(":")
    return repository, tag


@pytest.fixture(scope="session")
def templates(tmp_path_factory) -> Path:
    """The chart's templates as the controller finds them, with the start script of these tests."""
    folder = tmp_path_factory.mktemp("templates")
    source = ROOT / "charts" / "orchestrator" / "claude-templates"
    for file in source.rglob("*.hbs"):
        shutil.copy(file, folder / str(file.relative_to(source)).replace("/", "_"))
    for kind in ("code", "docs"):
        text = (FILES / "code_container.sh.hbs").read_text(encoding="utf-8")
        plain = text if kind == "code" else text.replace("{{task_id}}", "docs").replace("{{context_version}}", "1")
        (folder / f"{kind}_container.sh.hbs").write_text(plain, encoding="utf-8")
    return folder


@pytest.fixture(scope="session")
def base_config(image) -> Json:
    """The configuration of a controller whose agents do the tests' work."""
    repository, tag = image
    return {
        "job": {"activeDeadlineSeconds": 3600},
        "agent": {
            "image": {"repository": repository, "tag": tag, "pullPolicy": "IfNotPresent"},
            "imagePullSecrets": [],
            "podSecurityContext": {"runAsNonRoot": True, "seccompProfile": {"type": "RuntimeDefault"}},
            "securityContext": {"allowPrivilegeEscalation": False, "capabilities": {"drop": ["ALL"]}},
        },
        "secrets": {"apiKeySecretName": "model-key", "apiKeySecretKey": "ANTHROPIC_API_KEY"},
        "permissions": {"agentToolsOverride": False, "allow": [], "deny": []},
        "telemetry": {"enabled": False, "otlpEndpoint": "", "logsEndpoint": ""},
        "storage": {"workspaceSize": "1Mi"},
        "cleanup": {
            "enabled": True,
            "completedJobDelayMinutes": 0,
            "failedJobDelayMinutes": 0,
            "deleteConfigMap": True,
        },
    }


class Place:
    """One namespace with the Secrets of its agents, and the runs in it."""

    def __init__(self, cluster: Cluster, api: ApiProxy, namespace: str, *, restricted: bool = True) -> None:
        self.cluster = cluster
        self.api = api
        self.namespace = namespace
        labels = {"pod-security.kubernetes.io/enforce": "restricted"} if restricted else {}
        self.apply(
            {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": namespace, "labels": labels}},
            self._secret("model-key", ANTHROPIC_API_KEY="k"),
            self._secret(f"github-ssh-{USER}", **{"ssh-privatekey": "k"}),
            self._secret(f"github-token-{USER}", token="t"),
        )

    def apply(self, *objects: Json) -> None:
        """Apply objects server-side."""
        stream = "---\n".join(json.dumps(obj) + "\n" for obj in objects)
        self.cluster.kubectl("apply", "--server-side", "--filename=-", stdin=stream)

    def secret(self, name: str, **data: str) -> None:
        """A Secret of this namespace."""
        self.apply(self._secret(name, **data))

    def _secret(self, name: str, **data: str) -> Json:
        meta = {"name": name, "namespace": self.namespace}
        return {"apiVersion": "v1", "kind": "Secret", "metadata": meta, "stringData": data}

    def run(self, name: str, **spec: object) -> None:
        """A CodeRun, of a service of its own unless one is named."""
        self.create(self.code_run(name, **spec))

    def code_run(self, name: str, **spec: object) -> Json:
        """What `run` creates."""
        full = {
            "taskId": 7, "service": name, "repositoryUrl": "https://git.example.org/o/shop.git",
            "docsRepositoryUrl": "https://git.example.org/o/docs.git", "model": "m-1", "githubUser": USER, **spec,
        }  # fmt: skip
        return self._object("CodeRun", name, full)

    def docs_run(self, name: str, **spec: object) -> Json:
        """A DocsRun, to be created."""
        full = {
            "repositoryUrl": "https://git.example.org/o/shop.git", "workingDirectory": ".", "sourceBranch": "main",
            "model": "m-1", "githubUser": USER, **spec,
        }  # fmt: skip
        return self._object("DocsRun", name, full)

    def _object(self, kind: str, name: str, spec: Json) -> Json:
        meta = {"name": name, "namespace": self.namespace}
        return {"apiVersion": "orchestrator.platform/v1", "kind": kind, "metadata": meta, "spec": spec}

    def create(self, *objects: Json) -> None:
        """Create objects with one call, in this order."""
        self.cluster.kubectl("create", "--filename=-", stdin="---\n".join(json.dumps(obj) + "\n" for obj in objects))

    def status(self, name: str, kind: str = "coderun") -> Json:
        """The status of a run; nothing when it is gone."""
        return (self._read_run(name, kind) or {}).get("status") or {}

    def _read_run(self, name: str, kind: str) -> Json | None:
        return self.api.read(f"/apis/orchestrator.platform/v1/namespaces/{self.namespace}/{kind}s/{name}")

    def listed(self, kind: str) -> list[Json]:
        """All Jobs, or all ConfigMaps, Events or claims, of this namespace."""
        found = self.api.read(f"{'/apis/batch/v1' if kind == 'jobs' else '/api/v1'}/namespaces/{self.namespace}/{kind}")
        return found["items"] if found else []

    def condition(self, name: str, kind: str, of: str = "coderun") -> Json:
        """One condition of a run, nothing when it is not there."""
        found = self.status(name, of).get("conditions") or []
        return next((c for c in found if c["type"] == kind), {})

    def until(self, name: str, kind: str, reason: str, of: str = "coderun", timeout_s: float = 300) -> Json:
        """Wait until a condition holds for that reason."""

        def holds() -> Json:
            found = self.condition(name, kind, of)
            return found if found.get("status") == "True" and found.get("reason") == reason else {}

        what = f"{of} {name} says {kind}/{reason}"
        try:
            return self.cluster.until(holds, what, timeout_s)
        except AssertionError as exc:
            raise AssertionError(f"{exc}; it says {self.status(name, of)}") from None

    def until_clean(self, name: str, of: str = "coderun") -> Json:
        """Wait until what the run had is removed; its status."""
        self.until(name, "CleanedUp", "DelayPassed", of)
        return self.status(name, of)

    def change(self, name: str, **spec: object) -> None:
        """Change fields of a CodeRun's spec."""
        patch = json.dumps({"spec": spec})
        self.cluster.kubectl("patch", "coderun", name, "--namespace", self.namespace, "--type=merge", "--patch", patch)

    def owned(self, kind: str, run: str, of: str = "coderun") -> list[Json]:
        """Objects of one kind, or of several with commas between them, that a run owns."""
        owner = self._read_run(run, of)
        assert owner is not None, f"{of} {run} is not there"
        found = [obj for plural in kind.split(",") for obj in self.listed(plural)]
        uid = owner["metadata"]["uid"]
        return [o for o in found if any(r["uid"] == uid for r in o["metadata"].get("ownerReferences") or [])]


@pytest.fixture(scope="session")
def api_proxy(cluster) -> Iterator[ApiProxy]:
    proxy = ApiProxy(cluster)
    yield proxy
    proxy.stop()


@pytest.fixture(scope="module")
def made() -> Iterator[list[Callable[[], object]]]:
    """What to call at the end, last first."""
    ends: list[Callable[[], object]] = []
    yield ends
    for end in reversed(ends):
        end()


@pytest.fixture(scope="module")
def controller_in(cluster, api_proxy, templates, base_config, tmp_path_factory, made):
    """Makes a namespace, and a controller for it that is not started yet: (place, controller, relay)."""

    def make(namespace: str, *, restricted: bool = True) -> tuple[Place, Controller, Relay]:
        place = Place(cluster, api_proxy, namespace, restricted=restricted)
        relay = Relay(api_proxy.port)
        controller = Controller(tmp_path_factory.mktemp(namespace), namespace, relay.port, templates=templates)
        controller.configure(base_config)
        made.append(relay.close)
        made.append(controller.kill)
        return place, controller, relay

    return make

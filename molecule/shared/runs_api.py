# SPDX-License-Identifier: GPL-3.0-or-later
# SPDX-FileCopyrightText: 2026 The orchestrator.platform authors
"""The REST API of the orchestrator and the forge, as a caller outside the cluster meets them."""

from __future__ import annotations

import json
import urllib.error
import urllib.request
from typing import NamedTuple

import yaml

from real_cluster import ROOT, Cluster, Json

NAMESPACE = "coderun"
VARIABLES: Json = yaml.safe_load((ROOT / "molecule" / "coderun" / "vars" / "scenario.yml").read_text(encoding="utf-8"))
TASK: Json = {
    "task_id": 7,
    "service": "cart",
    "repository_url": "git@forge.coderun-forge.svc:acme/shop.git",
    "docs_repository_url": "git@forge.coderun-forge.svc:acme/tasks.git",
    "docs_project_directory": "_projects/shop",
    "working_directory": "services/cart",
    "github_user": "sample-agent",
    "model": "sample-model-1",
    "env": {"GH_HOST": "forge.coderun-forge.svc:8082", "PACE_MS": "20"},
    "env_from_secrets": [
        {"name": "GH_ENTERPRISE_TOKEN", "secret_name": "github-token-sample-agent", "secret_key": "token"}
    ],
}


class Answer(NamedTuple):
    """Status and JSON of a REST call."""

    status: int
    content: Json


class Orchestrator:
    """The REST API behind a forwarded port."""

    def __init__(self, cluster: Cluster, port: int) -> None:
        self.cluster = cluster
        self.base = f"http://127.0.0.1:{port}"

    def call(self, path: str, content: Json | None = None, *, token: str = VARIABLES["coderun_api_token"]) -> Answer:
        """GET, or POST with content."""
        data = None if content is None else json.dumps(content).encode()
        headers = {"Authorization": f"Bearer {token}", "Content-Type": "application/json"}
        request = urllib.request.Request(self.base + path, data=data, headers=headers)
        try:
            with urllib.request.urlopen(request, timeout=60) as answer:
                return Answer(answer.status, json.load(answer))
        except urllib.error.HTTPError as exc:
            with exc:
                return Answer(exc.code, json.load(exc))

    def start(self, path: str, content: Json) -> str:
        """Name of the run that a request makes."""
        status, told = self.call(path, content)
        assert status == 201, told
        return str(told["data"]["name"])

    def ended(self, kind: str, name: str) -> Json:
        """The run once it has ended, as the API server has it."""

        def final():
            run = self.cluster.get(kind, name, NAMESPACE)
            return run if run.get("status", {}).get("phase") in ("Succeeded", "Failed") else None

        return self.cluster.until(final, f"{kind} {name} has ended", timeout_s=300)

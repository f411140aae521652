# SPDX-License-Identifier: GPL-3.0-or-later
# SPDX-FileCopyrightText: 2026 The orchestrator.platform authors
"""The namespace of the scenario, and runs as the API server takes them."""

from __future__ import annotations

import json

import pytest
import yaml

from real_cluster import ROOT, Cluster, Json

NAMESPACE = "orchestrator-trial"


class Runs:
    """CodeRuns and DocsRuns of one namespace, made and read by kubectl; a refusal is an AssertionError with the server's words."""

    def __init__(self, cluster: Cluster) -> None:
        self.cluster = cluster

    def create(self, run: Json, *options: str) -> Json:
        """Create a run; what the server made of it. `options` go to kubectl."""
        argv = ["create", "--namespace", NAMESPACE, "--filename=-", "--output=json", *options]
        return json.loads(self.cluster.kubectl(*argv, stdin=json.dumps(run)))

    def try_out(self, run: Json, *options: str) -> Json:
        """The same by the server's dry run."""
        return self.create(run, "--dry-run=server", *options)

    def status(self, kind: str, name: str, status: Json, *options: str) -> Json:
        """Merge into the status through its subresource."""
        argv = [
            "patch",
            kind,
            name,
            "--namespace",
            NAMESPACE,
            "--subresource=status",
            "--type=merge",
            "--output=json",
            *options,
        ]
        return json.loads(self.cluster.kubectl(*argv, "--patch", json.dumps({"status": status})))

    def delete(self, kind: str, name: str) -> None:
        """Delete a run that may be gone."""
        self.cluster.kubectl("delete", kind, name, "--namespace", NAMESPACE, "--ignore-not-found")


@pytest.fixture(scope="session")
def namespace() -> str:
    return NAMESPACE


@pytest.fixture(scope="session")
def runs(cluster: Cluster) -> Runs:
    return Runs(cluster)


@pytest.fixture(scope="session")
def fixtures() -> dict[str, Json]:
    """Runs of old-runs.yaml and new-runs.yaml by name."""
    files = (ROOT / "molecule" / "orchestrator" / "files").glob("*-runs.yaml")
    found = [run for file in files for run in yaml.safe_load_all(file.read_text(encoding="utf-8"))]
    return {run["metadata"]["name"]: run for run in found}

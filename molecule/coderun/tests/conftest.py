# SPDX-License-Identifier: GPL-3.0-or-later
# SPDX-FileCopyrightText: 2026 The orchestrator.platform authors
"""The REST API of the orchestrator, forwarded, and the first run."""

from __future__ import annotations

import re
import subprocess
from collections.abc import Iterator

import pytest

from real_cluster import Cluster, Json
from runs_api import NAMESPACE, TASK, Orchestrator


@pytest.fixture(scope="session")
def orchestrator(cluster: Cluster) -> Iterator[Orchestrator]:
    """Forwarded by kubectl to a free port of this machine."""
    argv = ["kubectl", "port-forward", "--namespace", NAMESPACE, "service/orchestrator", ":80"]
    with subprocess.Popen(argv, env=cluster.env, stdout=subprocess.PIPE, text=True) as process:
        line = process.stdout.readline()
        found = re.search(r"127\.0\.0\.1:(\d+)", line)
        assert found, f"kubectl port-forward said {line!r}"
        yield Orchestrator(cluster, int(found[1]))
        process.terminate()


@pytest.fixture(scope="session")
def code_run(orchestrator: Orchestrator) -> Json:
    """The CodeRun of the seeded task, ended."""
    return orchestrator.ended("coderun", orchestrator.start("/api/v1/pm/tasks", TASK))


@pytest.fixture(scope="session")
def task() -> Json:
    """What the CodeRun was asked for with."""
    return TASK

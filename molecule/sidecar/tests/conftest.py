# SPDX-License-Identifier: GPL-3.0-or-later
# SPDX-FileCopyrightText: 2026 The orchestrator.platform authors
"""The scenario's namespaces, and the role as the tests run it."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

import pytest
import yaml

from real_cluster import ROOT, STATE, Cluster, Command, Json, ansible_playbook, playbook_command, succeeded

HERE = Path(__file__).resolve().parents[1]
SCENARIO = yaml.safe_load((HERE / "vars" / "scenario.yml").read_text(encoding="utf-8"))


class Result(NamedTuple):
    """What one run of the role gave."""

    output: str
    rows: list[Json]

    @property
    def failed(self) -> bool:
        """Whether the playbook ended with a failed task."""
        return succeeded(self.output) is None

    def row(self, name: str, kind: str = "Deployment") -> Json:
        """The one row of a workload."""
        found = [row for row in self.rows if (row["kind"], row["name"]) == (kind, name)]
        assert len(found) == 1, f"{kind} {name}: {found}\n{self.output[-3000:]}"
        return found[0]

    def code(self, name: str, kind: str = "Deployment") -> tuple[str, str]:
        """Outcome and code of a workload."""
        row = self.row(name, kind)
        return row["outcome"], row["code"]


def namespace(suffix: str) -> str:
    """The full name of one of the scenario's namespaces."""
    assert suffix in SCENARIO["side_namespaces"], suffix
    return f"{SCENARIO['side_prefix']}-{suffix}"


def arguments(rows: Path, entry: str, settings: Json) -> list[str]:
    """The command line of one run of the role."""
    variables = {
        "entry": entry,
        "rows": str(rows),
        "sidecar_snippet_namespace": namespace("monitor"),
        "sidecar_snippet_name": "discord-monitor-snippet",
        **settings,
    }
    return [
        "--inventory",
        str(ROOT / "molecule" / "inventory.yml"),
        "--extra-vars",
        json.dumps(variables),
        str(HERE / "files" / "role.yml"),
    ]


@pytest.fixture(scope="session")
def ns() -> Callable[[str], str]:
    """Suffix -> full name of a namespace."""
    return namespace


@pytest.fixture(scope="session")
def role(cluster: Cluster, tmp_path_factory: pytest.TempPathFactory) -> Callable[..., Result]:
    """One run of the role: role("main", *arguments, sidecar_kinds=[...]); a failed run is a result too."""

    def run(entry: str = "main", *args: str, **settings: object) -> Result:
        rows = tmp_path_factory.mktemp("run") / "rows.json"
        output = ansible_playbook(cluster, *arguments(rows, entry, settings), *args, check=False)
        assert rows.exists(), output[-4000:]
        return Result(output, json.loads(rows.read_text(encoding="utf-8")))

    return run


@pytest.fixture(scope="session")
def command_line(cluster: Cluster) -> Callable[..., Command]:
    """The command of such a run, for a test that does not let it end by itself."""

    def made(rows: Path, **settings: object) -> Command:
        return playbook_command(cluster, *arguments(rows, "main", settings))

    return made


@pytest.fixture(scope="session")
def image(cluster: Cluster) -> str:
    """An image that every node has, with a shell: the agents' image here."""
    found = yaml.safe_load((STATE / "cluster.yml").read_text(encoding="utf-8"))
    return found["image_references"]["platform-demo"]

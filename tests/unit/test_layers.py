# SPDX-License-Identifier: GPL-3.0-or-later
# SPDX-FileCopyrightText: 2026 The orchestrator.platform authors
"""Import contracts: modules above transport and presentation, these above pure planning; nothing imports upwards."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest

PLUGINS = Path(__file__).resolve().parents[2] / "plugins"
PREFIX = "ansible_collections.orchestrator.platform.plugins.module_utils."

# From the bottom up; a file imports only from layers below it, or from files named before it in its own layer.
PURE = [
    "_errors", "_versions", "_chart_names", "_names", "_credentials", "_quantities", "_workloads", "_redact", "_plain_text", "_fields", "_merge", "_snippet",
    "_rollout", "_outcomes", "_overrides", "_mounting", "_pod_security", "_jobs", "_sidecar", "_inspection", "_yaml",
    "_manifests", "_secret_paths", "_node_ways", "_expectation", "_rbac", "_snapshot", "_findings", "_preflight", "_entries",
    "_kinds", "_rules", "_suppressions", "_drift", "_crds", "_checks_preflight", "_checks_chart", "_checks_orchestrator",
    "_checks_runtime", "_checks_resources", "_checks_secrets", "_values", "_checks_values",
    "_checks_rbac", "_fault_table", "_faults", "_fault_scripts", "_catalogue", "_matrix", "_measures", "_report",
    "_report_page", "_report_html", "_judge", "_bundle", "_batches", "_ssh_keys", "_secret_forms", "_secret_wanted",
    "_secret_plan", "_webhook", "_backup", "_backup_files", "_restore", "_adoption", "_outage",
]  # fmt: skip
TRANSPORT = [
    "_user_path", "_kubeconfig", "_api_client", "_unreachable", "_cluster", "_waiting", "_collect", "_extra_lists", "_report_files",
    "_bundle_collect", "_archive", "_applying", "_selection", "_injection", "_survey", "_drill", "_drill_faults",
    "_drill_plan", "_crds_work", "_secret_sources", "_secret_writing", "_vault", "_backing_up",
    "_restoring", "_adopting", "_discord", "_webhook_run",
]  # fmt: skip
ORDER = [*PURE, *TRANSPORT]
# What would make a pure file talk to somebody.
OUTSIDE = {
    "socket",
    "ssl",
    "urllib",
    "urllib3",
    "requests",
    "kubernetes",
    "websocket",
    "subprocess",
    "os",
    "pathlib",
    "threading",
    "time",
}


def imported(path: Path) -> set[str]:
    names: set[str] = set()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            names |= {item.name for item in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module:
            if node.module == PREFIX.rstrip("."):
                names |= {PREFIX + item.name for item in node.names}
            else:
                names.add(node.module)
    return names


def own(names: set[str]) -> set[str]:
    return {name.removeprefix(PREFIX) for name in names if name.startswith(PREFIX)}


@pytest.mark.parametrize("name", ORDER)
def test_imports_point_downwards(name):
    below = set(ORDER[: ORDER.index(name)])
    assert own(imported(PLUGINS / "module_utils" / f"{name}.py")) <= below


@pytest.mark.parametrize("name", PURE)
def test_pure_files_do_no_io(name):
    roots = {item.partition(".")[0] for item in imported(PLUGINS / "module_utils" / f"{name}.py")}
    assert not roots & OUTSIDE


@pytest.mark.parametrize("name", ORDER)
def test_nothing_below_the_modules_knows_ansible(name):
    """No AnsibleModule below the module; the transport may use kubernetes.core's configuration."""
    names = imported(PLUGINS / "module_utils" / f"{name}.py")
    assert not {item for item in names if item == "ansible" or item.startswith("ansible.")}
    if name != "_api_client":
        assert not {item for item in names if item.startswith("ansible_collections.kubernetes")}


def test_only_one_file_talks_to_the_api_server():
    talkers = {
        name
        for name in ORDER
        if {"urllib3", "kubernetes", "kubernetes.client"} & imported(PLUGINS / "module_utils" / f"{name}.py")
    }
    assert talkers == {"_cluster", "_api_client"}  # who sends, and who makes what it sends by


def test_the_lists_above_name_files_that_exist():
    assert {f"{name}.py" for name in ORDER} <= {path.name for path in (PLUGINS / "module_utils").glob("_*.py")}

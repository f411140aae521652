# SPDX-License-Identifier: GPL-3.0-or-later
# SPDX-FileCopyrightText: 2026 The orchestrator.platform authors
"""Renders the agents' templates as a strict controller does, and tells which names a template asks for."""

from __future__ import annotations

import re
import typing as t
from pathlib import Path

import renderings as r
import yaml
from dotpromptz_handlebars import Handlebars

FOLDER = r.ORCHESTRATOR / "claude-templates"
NAMES = sorted(str(path.relative_to(FOLDER)) for path in FOLDER.rglob("*.hbs"))
DECLARED: dict[str, dict[str, t.Any]] = yaml.safe_load((FOLDER / "variables.yaml").read_text(encoding="utf-8"))

# A run with everything, as the controller hands it over.
FULL: dict[str, t.Any] = {
    "repository_url": "https://git.example.org/o/shop.git", "working_directory": "services/api", "github_user": "agent-one",
    "model": "claude-sonnet-4-20250514", "task_id": 7, "service": "api", "docs_repository_url": "git@git.example.org:o/docs.git",
    "docs_branch": "main", "docs_project_directory": "_projects/shop", "context_version": 2, "prompt_modification": "Tests fail:\n'x' < \"y\"",
    "continue_session": True, "overwrite_memory": True, "local_tools": "filesystem, git", "remote_tools": "search,docs", "source_branch": "main",
    "service_name": "docs-generator", "toolman_server_url": "http://toolman:3000/mcp", "agent_tools_override": True,
    "permissions_allow": ["Bash(git:*)", "Read"], "permissions_deny": ["WebFetch"], "telemetry_enabled": True,
    "telemetry_otlp_endpoint": "http://collector:4317", "telemetry_otlp_protocol": "grpc", "telemetry_logs_endpoint": "http://collector:4318",
    "telemetry_logs_protocol": "http/json", "toolman_catalog": {
        "local": {"filesystem": {"description": "Files", "tools": [{"name": "read", "description": "Reads a file"}]}},
        "remote": {"search": {"description": "The web", "tools": []}},
    }, "total_tool_count": 1, "toolman_catalog_markdown": "# Tools",
}  # fmt: skip
EMPTY_OF = {str: "", bool: False, list: []}
# The same run with all that may be missing left empty.
LEAST = FULL | {
    name: EMPTY_OF[type(FULL[name])]
    for name in (
        "docs_project_directory", "prompt_modification", "continue_session", "overwrite_memory", "local_tools", "remote_tools",
        "toolman_server_url", "agent_tools_override", "permissions_allow", "permissions_deny", "telemetry_enabled",
        "toolman_catalog_markdown",
    )
} | {"toolman_catalog": {"local": {}, "remote": {}}, "total_tool_count": 0}  # fmt: skip

TAG = re.compile(r"\{\{\{?\s*(?P<sign>[#/]?)\s*(?P<word>[\w@./]+)(?:\s+(?P<argument>[\w@./]+))?\s*\}?\}\}")


def source(name: str) -> str:
    """Text of a template by its path below the folder."""
    return (FOLDER / name).read_text(encoding="utf-8")


def references(text: str) -> set[str]:
    """Names a template takes from its context; what stands inside an each belongs to the item."""
    found: set[str] = set()
    depth = 0
    for tag in TAG.finditer(re.sub(r"\{\{!--.*?--\}\}", "", text, flags=re.DOTALL)):
        sign, word, argument = tag["sign"], tag["word"], tag["argument"]
        name = argument if sign == "#" else word
        if not depth and sign != "/" and word not in ("else", "this") and not name.startswith("@"):
            found.add(name.split(".")[0])
        depth += {"#": 1, "/": -1}.get(sign, 0) if word == "each" else 0
    return found


def render(name: str, values: t.Mapping[str, t.Any]) -> str:
    """Render strictly, with the declared names only: an undeclared one raises, even inside a condition."""
    declared = DECLARED["templates"][name]
    missing = references(source(name)) - set(declared)
    if missing:
        raise LookupError(f"{name} asks for {sorted(missing)}, which variables.yaml does not declare for it")
    rendered = Handlebars(strict=True).compile(source(name))({key: values[key] for key in declared})
    return t.cast("str", rendered)


def task_files(folder: Path, kind: str, values: t.Mapping[str, t.Any]) -> Path:
    """The files a controller puts into the ConfigMap of a run of that kind (OR-186, OR-187)."""
    folder.mkdir(parents=True)
    for name in NAMES:
        if not name.startswith(f"{kind}/"):
            continue
        file = Path(name.removesuffix(".hbs"))
        target = f"hooks-{file.name}" if "/hooks/" in name else file.name.replace("claude.md", "CLAUDE.md")
        (folder / target).write_text(render(name, values), encoding="utf-8")
    return folder

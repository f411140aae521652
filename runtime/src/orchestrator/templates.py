# SPDX-License-Identifier: GPL-3.0-or-later
# SPDX-FileCopyrightText: 2026 The orchestrator.platform authors
"""The agents' templates: Handlebars, rendered strictly for each run (OR-169…OR-189, OR-A50).

Strict: a name that nobody supplies is an error that says which template asks for it, even where only a condition does.
"""

from __future__ import annotations

import json
import threading
from typing import TYPE_CHECKING, Any

from dotpromptz_handlebars import Handlebars, StrictModeError

if TYPE_CHECKING:
    from pathlib import Path

    from orchestrator.config import Config
    from orchestrator.kube import Obj

# File of the ConfigMap -> template below /claude-templates (OR-185…OR-187); hooks are found by their prefix.
FILES = {
    "coderuns": {
        "container.sh": "code_container.sh.hbs",
        "CLAUDE.md": "code_claude.md.hbs",
        "settings.json": "code_settings.json.hbs",
        "mcp.json": "code_mcp.json.hbs",
        "client-config.json": "code_client-config.json.hbs",
        "coding-guidelines.md": "code_coding-guidelines.md.hbs",
        "github-guidelines.md": "code_github-guidelines.md.hbs",
        "mcp-tools.md": "code_mcp-tools.md.hbs",
    },
    "docsruns": {
        "container.sh": "docs_container.sh.hbs",
        "CLAUDE.md": "docs_claude.md.hbs",
        "settings.json": "docs_settings.json.hbs",
        "prompt.md": "docs_prompt.md.hbs",
    },
}
HOOKS = {"coderuns": "code_hooks_", "docsruns": "docs_hooks_"}
ENDING = ".hbs"
MAX_FILES_BYTES = 1024 * 1024  # what a ConfigMap holds


class TemplateError(Exception):
    """A template is missing, asks for a name nobody supplies, or gives no usable file; the text names it."""


def common(config: Config, toolman_url: str) -> dict[str, Any]:
    """What comes from the controller, for both kinds."""
    return {
        "toolman_server_url": toolman_url,
        "api_key_secret_name": config.api_key_secret,
        "api_key_secret_key": config.api_key,
        "agent_tools_override": config.tools_override,
        "permissions_allow": list(config.allow),
        "permissions_deny": list(config.deny),
        "telemetry_enabled": config.telemetry,
        "telemetry_otlp_endpoint": config.otlp_endpoint,
        "telemetry_otlp_protocol": config.otlp_protocol,
        "telemetry_logs_endpoint": config.logs_endpoint,
        "telemetry_logs_protocol": config.logs_protocol,
    }


def code_values(spec: Obj, version: int) -> dict[str, Any]:
    """OR-188: every name has a value, an empty one where the run says nothing."""
    return {
        "task_id": spec["taskId"],
        "service": spec["service"],
        "repository_url": spec["repositoryUrl"],
        "docs_repository_url": spec["docsRepositoryUrl"],
        "docs_branch": spec.get("docsBranch") or "main",
        "docs_project_directory": spec.get("docsProjectDirectory") or "",
        "working_directory": spec.get("workingDirectory") or spec["service"],
        "continue_session": bool(spec.get("continueSession")),
        "overwrite_memory": bool(spec.get("overwriteMemory")),
        "local_tools": spec.get("localTools") or "",
        "remote_tools": spec.get("remoteTools") or "",
        "github_user": spec["githubUser"],
        "model": spec["model"],
        "context_version": version,
        "prompt_modification": spec.get("promptModification") or "",
    }


def docs_values(spec: Obj) -> dict[str, Any]:
    """OR-189. There is no tool catalogue to ask: it is empty."""
    return {
        "repository_url": spec["repositoryUrl"],
        "source_branch": spec["sourceBranch"],
        "working_directory": spec["workingDirectory"],
        "github_user": spec["githubUser"],
        "model": spec["model"],
        "service_name": "docs-generator",
        "toolman_catalog": {"local": {}, "remote": {}},
        "total_tool_count": 0,
        "toolman_catalog_markdown": "",
    }


class Supplied(dict[str, Any]):
    """The values of a rendering. The engine takes a missing name for false in conditions even when it is strict; here
    it never gets away with asking."""

    def __contains__(self, name: object) -> bool:
        if not super().__contains__(name):
            raise StrictModeError(str(name))
        return True


class Templates:
    """The folder of templates; each is compiled once per text."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._engine = Handlebars(strict=True)
        self._lock = threading.Lock()  # of the engine nothing says that two threads may use it
        self._compiled: dict[str, tuple[str, Any]] = {}

    def render(self, kind: str, values: dict[str, Any]) -> dict[str, str]:
        """The files of a run by the names they have in its ConfigMap; raises TemplateError."""
        files = {file: self._one(template, values) for file, template in FILES[kind].items()}
        for template in self._hooks(HOOKS[kind]):
            file = f"hooks-{template.removeprefix(HOOKS[kind]).removesuffix(ENDING)}"
            files[file] = self._one(template, values)
        for file, text in files.items():
            if file.endswith(".json"):
                _check_json(FILES[kind].get(file, file), text)
        size = sum(len(file) + len(text.encode()) for file, text in files.items())
        if size > MAX_FILES_BYTES:
            raise TemplateError(
                f"the run's files have {size} bytes and a ConfigMap holds {MAX_FILES_BYTES}: shorten promptModification"
            )
        return files

    def _hooks(self, prefix: str) -> list[str]:
        try:
            names = sorted(path.name for path in self._folder.iterdir())
        except OSError as exc:
            raise TemplateError(f"the folder {self._folder} cannot be read ({exc.strerror})") from None
        return [name for name in names if name.startswith(prefix) and name.endswith(ENDING)]

    def _one(self, template: str, values: dict[str, Any]) -> str:
        try:
            text = (self._folder / template).read_text(encoding="utf-8")
        except OSError as exc:
            raise TemplateError(f"template {template} cannot be read ({exc.strerror})") from None
        except UnicodeDecodeError:
            raise TemplateError(f"template {template} is not UTF-8") from None
        with self._lock:
            try:
                known = self._compiled.get(template)
                if known is None or known[0] != text:
                    known = self._compiled[template] = (text, self._engine.compile(text))
                return str(known[1](Supplied(values)))
            except StrictModeError as exc:
                raise TemplateError(f"template {template} asks for {exc.path}, which nobody supplies") from None
            except Exception as exc:  # noqa: BLE001 - whatever a foreign engine makes of a foreign template
                raise TemplateError(
                    f"template {template} cannot be rendered: {type(exc).__name__}: {exc}"[:500]
                ) from None


def _check_json(template: str, text: str) -> None:
    try:
        json.loads(text)
    except ValueError as exc:
        raise TemplateError(f"template {template} gives no JSON: {exc}") from None

# SPDX-License-Identifier: GPL-3.0-or-later
# SPDX-FileCopyrightText: 2026 The orchestrator.platform authors
"""The file config.yaml: what every agent's Job gets (OR-143…OR-164).

Without it nothing is started: a guess would cost money.
"""

from __future__ import annotations

import re
import threading
from typing import TYPE_CHECKING, Any, NamedTuple

import yaml

if TYPE_CHECKING:
    from pathlib import Path

MAX_FILE_BYTES = 1024 * 1024  # what a ConfigMap holds
ADDRESS = re.compile(r"https?://[A-Za-z0-9.\[\]:_-]+/?")


class ConfigError(Exception):
    """The configuration cannot be used; the text says which key and why."""


class Config(NamedTuple):
    """All of config.yaml; minutes and seconds as the names say. Free form fields go into the Job as they are."""

    deadline_s: int
    image: str
    pull_policy: str
    pull_secrets: tuple[str, ...]
    pod_security: dict[str, Any]
    container_security: dict[str, Any]
    resources: dict[str, Any]
    github_host: str  # empty: github.com
    api_key_secret: str
    api_key: str
    tools_override: bool
    allow: tuple[str, ...]
    deny: tuple[str, ...]
    telemetry: bool
    otlp_endpoint: str
    otlp_protocol: str
    logs_endpoint: str
    logs_protocol: str
    storage_class: str  # empty: the cluster's default
    workspace_size: str
    cleanup: bool
    completed_delay_min: float
    failed_delay_min: float
    delete_files: bool
    snippet_name: str  # empty: agents are not watched
    snippet_namespace: str
    bridge: bool
    channels_url: str  # the bot's address; empty: runs get no channels of their own


class _Reader:
    """Reads keys by their dotted path; every refusal names the path, never a value."""

    def __init__(self, document: object) -> None:
        self._document = document

    def _at(self, path: str) -> object:
        found = self._document
        for part in path.split("."):
            found = found.get(part) if isinstance(found, dict) else None
        return found

    def text(self, path: str, *, default: str | None = None) -> str:
        found = self._at(path)
        if isinstance(found, (int, float)) and not isinstance(found, bool):
            found = str(found)
        if found is None and default is not None:
            return default
        if not isinstance(found, str) or (default is None and not found.strip()):
            raise ConfigError(f"{path} is not a text")
        return found.strip()

    def address(self, path: str) -> str:
        found = self.text(path, default="")
        if found and not ADDRESS.fullmatch(found):
            raise ConfigError(f"{path} is not an http or https address")
        return found

    def flag(self, path: str, *, default: bool | None = None) -> bool:
        found = self._at(path)
        if found is None and default is not None:
            return default
        if not isinstance(found, bool):
            raise ConfigError(f"{path} is neither true nor false")
        return found

    def number(self, path: str, *, low: float, default: float | None = None) -> float:
        found = self._at(path)
        if found is None and default is not None:
            return default
        if isinstance(found, bool) or not isinstance(found, (int, float)) or not low <= found < 10**9:
            raise ConfigError(f"{path} is not a number from {low:g}")
        return found

    def texts(self, path: str) -> tuple[str, ...]:
        found = self._at(path)
        if found is None:
            return ()
        if not isinstance(found, list) or not all(isinstance(entry, str) for entry in found):
            raise ConfigError(f"{path} is not a list of texts")
        return tuple(found)

    def mapping(self, path: str) -> dict[str, Any]:
        found = self._at(path)
        if found is None:
            return {}
        if not isinstance(found, dict):
            raise ConfigError(f"{path} is not a mapping")
        return found


def parse_config(text: str) -> Config:
    """Read the file's text; raises ConfigError."""
    try:
        document = yaml.safe_load(text)
    except yaml.YAMLError as exc:
        mark = getattr(exc, "problem_mark", None)
        where = f" in line {mark.line + 1}" if mark is not None else ""
        raise ConfigError(f"it is no YAML{where}") from None
    if not isinstance(document, dict):
        raise ConfigError("it is not a mapping")
    read = _Reader(document)
    return Config(
        deadline_s=int(read.number("job.activeDeadlineSeconds", low=1)),
        image=f"{read.text('agent.image.repository')}:{read.text('agent.image.tag')}",
        pull_policy=read.text("agent.image.pullPolicy", default="") or "IfNotPresent",
        pull_secrets=read.texts("agent.imagePullSecrets"),
        pod_security=read.mapping("agent.podSecurityContext"),
        container_security=read.mapping("agent.securityContext"),
        resources=read.mapping("agent.resources"),
        github_host=read.text("agent.githubHost", default=""),
        api_key_secret=read.text("secrets.apiKeySecretName"),
        api_key=read.text("secrets.apiKeySecretKey"),
        tools_override=read.flag("permissions.agentToolsOverride"),
        allow=read.texts("permissions.allow"),
        deny=read.texts("permissions.deny"),
        telemetry=read.flag("telemetry.enabled"),
        otlp_endpoint=read.text("telemetry.otlpEndpoint", default=""),
        otlp_protocol=read.text("telemetry.otlpProtocol", default="grpc"),
        logs_endpoint=read.text("telemetry.logsEndpoint", default=""),
        logs_protocol=read.text("telemetry.logsProtocol", default="grpc"),
        storage_class=read.text("storage.storageClassName", default=""),
        workspace_size=read.text("storage.workspaceSize", default="10Gi"),
        cleanup=read.flag("cleanup.enabled", default=True),
        completed_delay_min=read.number("cleanup.completedJobDelayMinutes", low=0, default=5),
        failed_delay_min=read.number("cleanup.failedJobDelayMinutes", low=0, default=60),
        delete_files=read.flag("cleanup.deleteConfigMap", default=True),
        snippet_name=read.text("sidecar.snippetConfigMap", default=""),
        snippet_namespace=read.text("sidecar.namespace", default=""),
        bridge=read.flag("sidecar.bridge", default=False),
        channels_url=read.address("sidecar.runChannels.botUrl"),
    )


class ConfigFile:
    """The file, read again when it changed: the kubelet replaces it when its ConfigMap does."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._lock = threading.Lock()
        self._seen: tuple[int, int] | None = None
        self._found: Config | ConfigError | None = None

    def load(self) -> Config:
        """The configuration as it is now; raises ConfigError."""
        with self._lock:
            try:
                stat = self.path.stat()
                if (stat.st_mtime_ns, stat.st_ino) != self._seen:
                    self._found = self._read()
                    self._seen = (stat.st_mtime_ns, stat.st_ino)
            except OSError as exc:
                self._seen = None
                self._found = ConfigError(f"it cannot be read ({exc.strerror})")
            found = self._found
        if isinstance(found, Config):
            return found
        raise ConfigError(f"{self.path}: {found}")

    def _read(self) -> Config | ConfigError:
        try:
            with self.path.open("rb") as stream:
                return parse_config(stream.read(MAX_FILE_BYTES).decode())
        except UnicodeDecodeError:
            return ConfigError("it is not UTF-8")
        except ConfigError as exc:
            return exc

# SPDX-License-Identifier: GPL-3.0-or-later
# SPDX-FileCopyrightText: 2026 The orchestrator.platform authors
"""Settings of the controller from its environment; what belongs to agents stands in config.yaml."""

from __future__ import annotations

import re
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Mapping

LEVELS = {"trace": "debug", "debug": "debug", "info": "info", "warn": "warning", "warning": "warning", "error": "error"}
NAMESPACE_FILE = Path("/var/run/secrets/kubernetes.io/serviceaccount/namespace")
MAX_TOKEN_BYTES = 8 * 1024


class SettingsError(Exception):
    """A setting cannot be used; the text names it."""


class Settings(NamedTuple):
    """What the environment says."""

    namespace: str
    host: str
    port: int
    threshold: str
    models: dict[str, str]
    config_path: Path
    templates_path: Path
    token_file: Path | None
    bot_credential_file: Path | None
    toolman_url: str
    workers: int


def read_settings(env: Mapping[str, str], namespace_file: Path = NAMESPACE_FILE) -> Settings:
    """Read everything; raises SettingsError."""
    namespace = env.get("KUBERNETES_NAMESPACE", "").strip()
    if not namespace and namespace_file.is_file():
        namespace = namespace_file.read_text(encoding="utf-8").strip()
    if not re.fullmatch(r"[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?", namespace):
        raise SettingsError("KUBERNETES_NAMESPACE is not the name of a namespace")
    return Settings(
        namespace=namespace,
        host=env.get("SERVER_HOST", "").strip() or "0.0.0.0",  # noqa: S104 - OR-350; the pod's address
        port=_number(env, "SERVER_PORT", 8080, 0, 65_535),
        threshold=log_threshold(env.get("RUST_LOG", "")),
        models={
            "coderuns": env.get("DEFAULT_CODE_MODEL", "").strip() or "claude-sonnet-4-20250514",
            "docsruns": env.get("DEFAULT_DOCS_MODEL", "").strip() or "claude-opus-4-20250514",
        },
        config_path=Path(env.get("CONFIG_FILE", "").strip() or "/config/config.yaml"),
        templates_path=Path(env.get("TEMPLATES_FOLDER", "").strip() or "/claude-templates"),
        token_file=_file(env, "API_TOKEN_FILE"),
        bot_credential_file=_file(env, "RUN_CHANNELS_CREDENTIAL_FILE"),
        toolman_url=env.get("TOOLMAN_SERVER_URL", "").strip(),
        workers=_number(env, "WORKERS", 4, 1, 32),
    )


def read_token(file: Path | None) -> bytes:
    """A token as it is in its file now, nothing when there is none."""
    try:
        return b"" if file is None else file.read_bytes()[:MAX_TOKEN_BYTES].strip()
    except OSError:
        return b""


def _file(env: Mapping[str, str], name: str) -> Path | None:
    given = env.get(name, "").strip()
    return Path(given) if given else None


def _number(env: Mapping[str, str], name: str, default: int, low: int, high: int) -> int:
    raw = env.get(name, "").strip()
    if not raw:
        return default
    if not raw.isascii() or not raw.isdigit() or not low <= int(raw) <= high:
        raise SettingsError(f"{name} is not a number between {low} and {high}")
    return int(raw)


def log_threshold(filters: str) -> str:
    """Level of RUST_LOG for us: its part `orchestrator=…`, else the part without a name, else info."""
    found = {}
    for part in filters.split(","):
        name, sign, level = part.strip().rpartition("=")
        if level.lower() in LEVELS:
            found[name if sign else ""] = LEVELS[level.lower()]
    return found.get("orchestrator") or found.get("") or "info"

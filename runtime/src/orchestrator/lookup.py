# SPDX-License-Identifier: GPL-3.0-or-later
# SPDX-FileCopyrightText: 2026 The orchestrator.platform authors
"""Short-lived knowledge of Secrets and of the published snippet: one request for many runs.

Of a Secret only the names of its keys are kept.
"""

from __future__ import annotations

import threading
import time
from typing import TYPE_CHECKING, NamedTuple

from orchestrator.job import SecretNeed, Watching
from orchestrator.kube import CONFIG_MAPS, SECRETS, ApiError
from orchestrator.sidecar import SnippetError, parse_snippet

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from orchestrator.config import Config
    from orchestrator.kube import Api

FRESH_S = 5.0  # how long an answer counts; arbitrary, a missing Secret is asked for again no earlier


class _Keys(NamedTuple):
    """Keys of a Secret with something in them, None without the Secret; and when that was read."""

    names: frozenset[str] | None
    read_at: float


class Lookup:
    """Asks the API server for what a run refers to."""

    def __init__(self, api: Api, namespace: str, *, clock: Callable[[], float] = time.monotonic) -> None:
        self._api = api
        self._namespace = namespace
        self._clock = clock
        self._lock = threading.Lock()
        self._keys: dict[str, _Keys] = {}
        self._watching: tuple[tuple[str, str], Watching, float] | None = None

    def lacking(self, needs: Iterable[SecretNeed]) -> str:
        """One sentence about the first key that is not there, an empty text when all are."""
        for need in needs:
            keys = self._keys_of(need.secret)
            if keys is None:
                return f"Secret {need.secret} is missing in namespace {self._namespace}; {need.why}, key {need.key}."
            if need.key not in keys:
                where = f"Secret {need.secret} in namespace {self._namespace}"
                return f"{where} has no key {need.key}, or an empty one; {need.why}."
        return ""

    def _keys_of(self, name: str) -> frozenset[str] | None:
        with self._lock:
            known = self._keys.get(name)
            if known is None or self._clock() - known.read_at > FRESH_S:
                found = self._api.get(SECRETS, self._namespace, name)
                names = (
                    None
                    if found is None
                    else frozenset(key for key, value in (found.get("data") or {}).items() if value)
                )
                known = self._keys[name] = _Keys(names, self._clock())
                self._keys = {n: k for n, k in self._keys.items() if self._clock() - k.read_at <= FRESH_S}
            return known.names

    def watching(self, config: Config) -> Watching:
        """The published snippet, or why agents go without it. Trouble here never keeps an agent from its work."""
        if not config.snippet_name:
            sentence = "The agent is not watched: no snippet is configured (sidecar.snippetConfigMap)."
            return Watching(None, "SidecarOff", sentence)
        place = (config.snippet_namespace or self._namespace, config.snippet_name)
        with self._lock:
            known = self._watching
            if known is None or known[0] != place or self._clock() - known[2] > FRESH_S:
                known = self._watching = (place, self._read(*place), self._clock())
            return known[1]

    def _read(self, namespace: str, name: str) -> Watching:
        where = f"ConfigMap {namespace}/{name}"
        try:
            found = self._api.get(CONFIG_MAPS, namespace, name)
            if found is None:
                return Watching(None, "SnippetMissing", f"The agent is not watched: {where} is missing.")
            return Watching(parse_snippet(found))
        except ApiError as exc:
            if exc.status != 403:
                raise
            return Watching(None, "SnippetForbidden", f"The agent is not watched: the controller may not read {where}.")
        except SnippetError as exc:
            return Watching(None, "SnippetInvalid", f"The agent is not watched: {where} cannot be used: {exc}.")

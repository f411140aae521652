# SPDX-License-Identifier: GPL-3.0-or-later
# SPDX-FileCopyrightText: 2026 The orchestrator.platform authors
#
# Private to this collection: names and behaviour may change in any release.
"""Reads what a support bundle holds: one list a kind and namespace, then the logs. What cannot be read is noted."""

from __future__ import annotations

import datetime
import json
import threading
from collections.abc import Iterable

from ansible_collections.orchestrator.platform.plugins.module_utils._bundle import (
    CLUSTER_WIDE,
    MAX_OBJECTS,
    NAMESPACED,
    SCHEMA,
    Log,
    Place,
    images_of,
    index_text,
    logs_of,
    nodes_of,
    our_places,
    printable,
    secret_values,
)
from ansible_collections.orchestrator.platform.plugins.module_utils._cluster import Cluster
from ansible_collections.orchestrator.platform.plugins.module_utils._errors import ApiError, ClusterError
from ansible_collections.orchestrator.platform.plugins.module_utils._plain_text import plain_lines
from ansible_collections.orchestrator.platform.plugins.module_utils._redact import MAX_SECRET_CHARS, Redactor
from ansible_collections.orchestrator.platform.plugins.module_utils._rollout import bounded
from ansible_collections.orchestrator.platform.plugins.module_utils._workloads import Json, Obj

LOG_TIMEOUT_S = 20.0
MAX_TOTAL_BYTES = 32 * 2**20  # of logs that are kept, before compression; arbitrary, about what a ticket takes
_LOGS_AT_ONCE = 64  # read before they are redacted and weighed


class Bundle:
    """Files by their path in the archive, and notes of what is missing."""

    def __init__(self, cluster: Cluster, namespaces: Iterable[str], release: str) -> None:
        self._cluster = cluster
        self._namespaces = tuple(dict.fromkeys(namespaces))
        self._release = release
        self._lists: dict[tuple[str, str], list[Obj]] = {}
        self._lock = threading.Lock()
        self._redactor = Redactor()
        self._ours: frozenset[Place] = frozenset()
        self._values = 0
        self.files: dict[str, str] = {}
        self.unread: list[dict[str, str]] = []
        self.left_out: list[str] = []

    def collect(self, *, log_lines: int, log_bytes: int, foreign_logs: bool, versions: Obj) -> None:
        """Everything from the cluster; lists first, since the Secrets among them tell what to redact in the rest."""
        jobs = [(name, prefix, namespace) for name, prefix in NAMESPACED.items() for namespace in self._namespaces]
        jobs += [(name, prefix, "") for name, prefix in CLUSTER_WIDE.items()]
        self._cluster.each(self._list, jobs)
        self._learn_secrets()
        pods = [pod for namespace in self._namespaces for pod in self._lists.get(("pods", namespace), [])]
        self._ours = our_places(pods, self._release)
        for (resource, namespace), objects in sorted(self._lists.items()):
            if objects:
                self._add_objects(resource, namespace, objects)
        self._add_versions(pods, versions)
        self._add_logs(logs_of(pods, self._ours, foreign=foreign_logs), lines=log_lines, limit=log_bytes)

    def add_report(self, name: str, text: str) -> None:
        """A file of verification, redacted once more."""
        if not name.endswith(".json"):
            self._add_text(f"findings/{name}", text)
            return
        try:
            self._add_json(f"findings/{name}", json.loads(text))
        except ValueError:
            self.note(name, "it is no JSON")

    def note(self, what: str, reason: str) -> None:
        """Something that could not be read."""
        with self._lock:
            self.unread.append({"what": what, "reason": self._redactor.text(reason)})

    def finish(self) -> Obj:
        """Add the index in both shapes; returns it."""
        files = sorted(self.files.items())
        rows = [{"file": name, "size": len(text.encode("utf-8", "replace"))} for name, text in files]
        index: Obj = {
            "schema": SCHEMA,
            "time": datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds"),
            "release": self._release,
            "namespaces": list(self._namespaces),
            "files": rows,
            "unread": sorted(self.unread, key=lambda row: (row["what"], row["reason"])),
            "left_out": self.left_out,
            "redacted": self._redactor.count,
            "secret_values": self._values,
        }
        self._add_json("index.json", index)
        self._add_text("index.txt", index_text(index))
        return index

    # -- reading --------------------------------------------------------------------------------------------------

    def _list(self, job: tuple[str, str, str]) -> None:
        resource, prefix, namespace = job
        inside = f"/namespaces/{namespace}" if namespace else ""
        # Helm's records hold the chart's values, secret ones too; their labels say what is asked.
        query: dict[str, Json] = {"fieldSelector": "type!=helm.sh/release.v1"} if resource == "secrets" else {}
        try:
            items, _version = self._cluster.items(f"{prefix}{inside}/{resource}", **query)
            if resource == "secrets":
                path = f"{prefix}{inside}/{resource}"
                records, _version = self._cluster.items(path, metadata_only=True, labelSelector="owner=helm")
                self._lists[("helm-releases", namespace)] = records
        except ClusterError as exc:
            self.note(f"{resource} in {namespace or 'the cluster'}", _reason(exc))
        else:
            self._lists[(resource, namespace)] = items

    def _learn_secrets(self) -> None:
        secrets = [item for namespace in self._namespaces for item in self._lists.get(("secrets", namespace), [])]
        values = list(secret_values(secrets, names=self._namespaces))
        self._values = len(values)
        self._redactor = Redactor(values)
        if any(("secrets", namespace) not in self._lists for namespace in self._namespaces):
            self.left_out.append(
                "The values of Secrets that could not be read are found in logs and objects by their shape alone."
            )

    def _add_objects(self, resource: str, namespace: str, objects: list[Obj]) -> None:
        name = f"objects/{namespace}/{resource}.json" if namespace else f"objects/{resource}.json"
        if resource == "events":
            name = f"events/{namespace}.json"
            objects = sorted(objects, key=lambda item: str(item.get("lastTimestamp") or item.get("eventTime") or ""))
        shown: Json = nodes_of(objects) if resource == "nodes" else objects
        if len(shown) > MAX_OBJECTS:
            self.left_out.append(f"{name}: {len(shown) - MAX_OBJECTS} of {len(shown)} objects, for its size")
            shown = shown[-MAX_OBJECTS:]
        rows = [printable(resource, item, self._redactor, release=self._release, ours=self._ours) for item in shown]
        self._put(name, json.dumps(rows, indent=1, sort_keys=True))

    def _add_versions(self, pods: list[Obj], versions: Obj) -> None:
        server: Json = None
        try:
            server = self._cluster.get("/version")
        except ClusterError as exc:
            self.note("version of the API server", _reason(exc))
        self._add_json("versions.json", {"kubernetes": server, "images": images_of(pods), "control_node": versions})

    def _add_logs(self, logs: list[Log], *, lines: int, limit: int) -> None:
        def read(log: Log) -> str | None:
            # More is read than kept: a secret at the cut is whole when it is redacted.
            return self._read_log(log.path(lines=lines, limit_bytes=limit + MAX_SECRET_CHARS), log.file)

        total, rest = 0, list(logs)
        while rest and total < MAX_TOTAL_BYTES:
            batch, rest = rest[:_LOGS_AT_ONCE], rest[_LOGS_AT_ONCE:]
            for log, text in zip(batch, self._cluster.each(read, batch), strict=True):
                if text is not None:
                    self._add_text(log.file, text, limit=limit)
                    total += len(self.files[log.file])
        if rest:
            self.left_out.append(f"{len(rest)} logs, since the others fill {MAX_TOTAL_BYTES // 2**20} MiB")

    def _read_log(self, path: str, name: str) -> str | None:
        try:
            answer = self._cluster.read_text(path, timeout_s=LOG_TIMEOUT_S)
        except ClusterError as exc:
            self.note(name, _reason(exc))
            return None
        if answer.status == 200:
            return answer.text
        self.note(name, "no permission" if answer.status == 403 else f"HTTP {answer.status}: {bounded(answer.text)}")
        return None

    # -- keeping: the only ways into the archive -------------------------------------------------------------------

    def _add_json(self, name: str, document: Json) -> None:
        self._put(name, json.dumps(self._redactor.tree(document), indent=1, sort_keys=True))

    def _add_text(self, name: str, text: str, *, limit: int | None = None) -> None:
        self._put(name, plain_lines(self._redactor.text(text))[:limit])

    def _put(self, name: str, text: str) -> None:
        self.files[name] = text


def _reason(exc: ClusterError) -> str:
    if isinstance(exc, ApiError) and exc.status in (401, 403):
        return "no permission to list" if exc.status == 403 else "the credentials are not accepted"
    if isinstance(exc, ApiError) and exc.status == 404:
        return "this API server does not have it"
    return bounded(str(exc))

# SPDX-License-Identifier: GPL-3.0-or-later
# SPDX-FileCopyrightText: 2026 The orchestrator.platform authors
#
# Private to this collection: names and behaviour may change in any release.
"""One run of module sidecar_info: what workloads of a cluster or of files hold, and what module sidecar would do."""

from __future__ import annotations

import pathlib
import typing as t
from collections.abc import Callable, Iterator

from ansible_collections.orchestrator.platform.plugins.module_utils._cluster import Cluster
from ansible_collections.orchestrator.platform.plugins.module_utils._errors import ApiError, ManifestError
from ansible_collections.orchestrator.platform.plugins.module_utils._inspection import inspect, pods_by_owner, row
from ansible_collections.orchestrator.platform.plugins.module_utils._manifests import decide, is_workload
from ansible_collections.orchestrator.platform.plugins.module_utils._outcomes import OUTCOMES, Plan, answer
from ansible_collections.orchestrator.platform.plugins.module_utils._overrides import parse_overrides
from ansible_collections.orchestrator.platform.plugins.module_utils._selection import Ask, Selection
from ansible_collections.orchestrator.platform.plugins.module_utils._sidecar import Options
from ansible_collections.orchestrator.platform.plugins.module_utils._snippet import Snippet, parse_snippet
from ansible_collections.orchestrator.platform.plugins.module_utils._workloads import KINDS, Foreign, Json, Obj, dig
from ansible_collections.orchestrator.platform.plugins.module_utils._yaml import Located, is_list, locate_objects

Row = dict[str, t.Any]
Pods = dict[str, list[Obj]]

_ENDED = "status.phase!=Succeeded,status.phase!=Failed"
_SUFFIXES = (".yaml", ".yml", ".json")
MAX_FILE_BYTES = 64 * 2**20  # arbitrary, far above any manifest written by hand or rendered


class Survey(Selection):
    """A look at live workloads."""

    def result(self) -> Row:
        """The module's result."""
        if not self.params["kinds"]:
            self.params["kinds"] = ["Deployment"]
        reading = self.read(present=True)
        ask = self.ask(reading)
        if ask is None:
            return _result([], None, None, self.cluster.calls)
        names = list(reading.namespaces)
        pods = dict(zip(names, self.cluster.each(self._pods, names), strict=True))
        rows, refused = self.list_all(reading, lambda kind, obj: self._row(kind, obj, ask, pods))
        rows += [_answered("Namespace", part.namespace, part.namespace, part.plan) for part in refused]
        if not refused:
            found = {item["name"] for item in rows}
            where = ",".join(names)
            lost = [name for name in self.params["names"] if name not in found]
            rows += [_answered("-", where, name, answer("not_found")) for name in lost]
        return _result(rows, ask.snippet, ask.form, self.cluster.calls)

    def _row(self, kind: str, obj: Obj, ask: Ask, pods: dict[str, Pods | None]) -> Row:
        namespace, name = obj["metadata"]["namespace"], obj["metadata"]["name"]
        known = pods[namespace]
        mine = (known or {}).get(f"{kind}/{name}", [])
        target = {"kind": kind, "namespace": namespace, "name": name}
        found = row(target, ask.plan(obj, kind), inspect(obj, kind, ask.snippet, ask.options, mine))
        return found if known is not None else {**found, "stale_pods": None}

    def _pods(self, namespace: str) -> Pods | None:
        """The metadata of the pods that run, by owner; None where they may not be listed."""
        try:
            items, _version = self.cluster.items(KINDS["Pod"].path(namespace), metadata_only=True, fieldSelector=_ENDED)
        except ApiError as exc:
            if exc.status != 403:
                raise
            self.warn(f"Pods in namespace {namespace} may not be listed, so that stale_pods is unknown there.")
            return None
        return pods_by_owner(items)


class FileSurvey:
    """A look at manifests that no cluster need hold. `cluster` is asked for only where no snippet is given."""

    def __init__(self, module: Foreign, cluster: Callable[[], Cluster]) -> None:
        self.params: dict[str, t.Any] = module.params
        self._module = module
        self._cluster = cluster

    def result(self) -> Row:
        """The module's result."""
        overrides = parse_overrides(self.params["overrides"])
        located = [(file, item) for file, item in self._located() if isinstance(item.obj, dict)]
        snippet, calls = self._snippet()
        if snippet is None:
            return _result([], None, None, calls)
        form = self.params["form"]
        options = Options(form != "container", self.params["bridge"], self.params["container"], overrides, new=True)
        spaces = {
            dig(item.obj, "metadata", "name"): item.obj for _f, item in located if item.obj.get("kind") == "Namespace"
        }
        rows = []
        for file, item in located:
            if is_workload(item.obj) and self._selected(item.obj):
                rows.append(_file_row(file, item, snippet, options, spaces))
        return _result(rows, snippet, "native" if options.native else "container", calls)

    def _snippet(self) -> tuple[Snippet | None, int]:
        if self.params["snippet"] is not None:
            return parse_snippet(self.params["snippet"]), 0
        cluster = self._cluster()
        selection = Selection(self._module, cluster)
        return selection.published(), cluster.calls

    def _selected(self, obj: Obj) -> bool:
        given = {
            "kinds": obj["kind"],
            "names": dig(obj, "metadata", "name"),
            "namespaces": dig(obj, "metadata", "namespace"),
        }
        return all(not self.params[field] or value in self.params[field] for field, value in given.items())

    def _located(self) -> Iterator[tuple[str | None, Located]]:
        for place in self.params["src"]:
            for path in _files(pathlib.Path(place)):
                for item in locate_objects(_text(path), str(path)):
                    yield str(path), item
        for obj in self.params["definitions"]:
            for inner in obj["items"] if is_list(obj) else [obj]:
                yield None, Located(inner, 0)


def _files(path: pathlib.Path) -> list[pathlib.Path]:
    if path.is_dir():
        return sorted(item for item in path.rglob("*") if item.suffix in _SUFFIXES and item.is_file())
    return [path]


def _text(path: pathlib.Path) -> str:
    try:
        if path.stat().st_size > MAX_FILE_BYTES:
            raise ManifestError(f"{path} is larger than {MAX_FILE_BYTES // 2**20} MiB: split it.")
        return path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as exc:
        raise ManifestError(f"{path} cannot be read ({type(exc).__name__}): correct src.") from exc


def _file_row(file: str | None, item: Located, snippet: Snippet, options: Options, spaces: dict[Json, Obj]) -> Row:
    obj, namespace = item.obj, dig(item.obj, "metadata", "namespace")
    try:
        plan, _after = decide(obj, snippet, options, spaces.get(namespace or "default"))
    except ManifestError as exc:
        plan = answer("invalid", reason=str(exc))
    name = dig(obj, "metadata", "name") or dig(obj, "metadata", "generateName")
    target = {"kind": obj["kind"], "namespace": namespace, "name": name}
    if plan.code == "invalid":
        found = _answered(obj["kind"], namespace, name, plan)
    else:
        found = row(target, plan, inspect(obj, obj["kind"], snippet, options))
    return {**found, "file": file, "line": item.line or None}


def _answered(kind: str, namespace: str | None, name: str | None, plan: Plan) -> Row:
    holds: Row = {
        "injected": False,
        "form": None,
        "snippet_hash": None,
        "outdated": None,
        "stale_pods": [],
        "drift": [],
    }
    target = {"kind": kind, "namespace": namespace, "name": name}
    return {**target, **holds, "outcome": plan.outcome, "code": plan.code, "message": plan.message}


def _result(rows: list[Row], snippet: Snippet | None, form: str | None, calls: int) -> Row:
    summary = dict.fromkeys(OUTCOMES, 0)
    for item in rows:
        summary[item["outcome"]] += 1
    if rows and "file" not in rows[0]:
        rows.sort(key=lambda item: (item["namespace"], item["kind"], item["name"]))
    return {
        "changed": False,
        "workloads": rows,
        "summary": summary,
        "snippet_hash": snippet.hash if snippet else None,
        "form": form,
        "api_calls": calls,
    }

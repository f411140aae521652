# SPDX-License-Identifier: GPL-3.0-or-later
# SPDX-FileCopyrightText: 2026 The orchestrator.platform authors
#
# Private to this collection: names and behaviour may change in any release.
"""What the modules sidecar and sidecar_info read: namespaces, snippet, versions, names of Secrets, chosen workloads.

Both decide by the same function on the same reading, so that one tells truly what the other does.
"""

from __future__ import annotations

import typing as t
from collections.abc import Callable

from ansible_collections.orchestrator.platform.plugins.module_utils._cluster import Cluster
from ansible_collections.orchestrator.platform.plugins.module_utils._errors import ApiError, PlatformError
from ansible_collections.orchestrator.platform.plugins.module_utils._names import check_namespaces, check_object_name
from ansible_collections.orchestrator.platform.plugins.module_utils._outcomes import Plan, answer, sentence
from ansible_collections.orchestrator.platform.plugins.module_utils._overrides import parse_overrides
from ansible_collections.orchestrator.platform.plugins.module_utils._sidecar import (
    Options,
    Surroundings,
    choose_native,
    plan_present,
    secret_references,
)
from ansible_collections.orchestrator.platform.plugins.module_utils._snippet import (
    Snippet,
    parse_snippet,
    snippet_of_config_map,
)
from ansible_collections.orchestrator.platform.plugins.module_utils._workloads import KINDS, Foreign, Obj

# Workloads a list page. Each page is decided on and let go before the next one is read, which bounds the memory.
PAGE = 200

# Arguments of both modules; their documentation is the fragment sidecar_selection.
SELECTION_SPEC: dict[str, t.Any] = {
    "names": {"type": "list", "elements": "str", "default": []},
    "label_selectors": {"type": "list", "elements": "str", "default": []},
    "field_selectors": {"type": "list", "elements": "str", "default": []},
    "snippet_from": {
        "type": "dict",
        "options": {
            "namespace": {"type": "str", "default": "discord-monitor"},
            "name": {"type": "str", "default": "discord-monitor-snippet"},
        },
    },
    "snippet": {"type": "dict"},
    "form": {"type": "str", "choices": ["auto", "native", "container"], "default": "auto"},
    "bridge": {"type": "bool", "default": False},
    "container": {"type": "str"},
    "overrides": {
        "type": "dict",
        "options": {
            "image": {"type": "str"},
            "log_level": {"type": "str"},
            "filters": {"type": "dict"},
            "webhook_secret_name": {"type": "str", "no_log": False},
            "webhook_secret_key": {"type": "str", "no_log": False},
            "input_secret_name": {"type": "str", "no_log": False},
            "input_secret_key": {"type": "str", "no_log": False},
            "parity_mode": {"type": "bool"},
            "thread_id": {"type": "str"},
            "cpu_request": {"type": "str"},
            "cpu_limit": {"type": "str"},
            "memory_request": {"type": "str"},
            "memory_limit": {"type": "str"},
            "transcript_volume": {"type": "str"},
            "fifo_volume": {"type": "str"},
        },
    },
    "recreate_jobs": {"type": "bool", "default": False},
    "threads": {"type": "int", "default": 8},
}

Decide = Callable[[Obj, str], Plan]
Place = tuple[str, str]  # kind, namespace
Out = t.TypeVar("Out")


class Refused(t.NamedTuple):
    """A namespace that may not be read, or whose workloads may not be listed."""

    namespace: str
    plan: Plan


class Reading(t.NamedTuple):
    """What the cluster said of namespaces, snippet and versions before any workload is read."""

    namespaces: dict[str, Obj | None]  # those that exist; None where the object itself is not needed
    missing: list[str]
    refused: list[Refused]  # whose annotations and labels have to be known and may not be read
    snippet: Snippet | None
    native: bool


class Ask(t.NamedTuple):
    """What is asked of every workload, and of what it is surrounded by."""

    snippet: Snippet
    options: Options
    around: dict[str, Surroundings]  # by namespace

    def plan(self, obj: Obj, kind: str) -> Plan:
        """What makes a workload hold the snippet."""
        return plan_present(obj, kind, self.snippet, self.options, self.around[obj["metadata"]["namespace"]])

    @property
    def form(self) -> str:
        """The form that was taken, as results show it."""
        return "native" if self.options.native else "container"


def _unread(namespace: str, exc: ApiError) -> Refused:
    reason = (
        f"{exc}. Whether the namespace opts out, and its Pod Security, stand in the Namespace object: grant the verb "
        "get on namespaces."
    )
    return Refused(namespace, answer("forbidden", reason=reason))


class Selection:
    """Reads one cluster as a module's arguments select."""

    def __init__(self, module: Foreign, cluster: Cluster) -> None:
        self.params: dict[str, t.Any] = module.params
        self.check_mode = bool(module.check_mode)
        self.cluster = cluster
        self.versions: dict[Place, str] = {}  # resourceVersion of the lists
        self.warn = module.warn

    # -- read -----------------------------------------------------------------------------------------------------

    def read(self, *, present: bool) -> Reading:
        """Namespaces, and where a sidecar is to be present also its snippet and form, all at once."""
        names = list(dict.fromkeys(self.params["namespaces"]))
        if not names:
            raise PlatformError("namespaces is empty, so that nothing is selected: name at least one namespace.")
        if not self.params["kinds"]:
            raise PlatformError("kinds is empty, so that nothing is selected: name at least one kind, or leave it out.")
        check_namespaces(names, "namespaces")
        if present:
            self._check_place()
        parts: list[Callable[[], t.Any]] = [lambda name=name: self._namespace(name) for name in names]  # type: ignore[misc]
        if present:
            parts += [self._snippet, self._native]
        found = self.cluster.each(lambda part: part(), parts)
        read = dict(zip(names, found, strict=False))
        there = {name: obj for name, obj in read.items() if obj is not None and not isinstance(obj, ApiError)}
        refused = [_unread(name, obj) for name, obj in read.items() if isinstance(obj, ApiError)]
        if not present:  # what a namespace says of injection does not matter, and it may be readable all the same
            there, refused = {**there, **dict.fromkeys(item.namespace for item in refused)}, []
        snippet, native = found[len(names) :] if present else (None, False)
        return Reading(there, [name for name in names if read[name] is None], refused, snippet, native)

    def _namespace(self, name: str) -> Obj | ApiError | None:
        try:
            return self.cluster.find(f"/api/v1/namespaces/{name}")
        except ApiError as exc:
            if exc.status != 403:
                raise
            return exc

    def _snippet(self) -> Snippet | None:
        if self.params["snippet"] is not None:
            return parse_snippet(self.params["snippet"])
        config_map = self.cluster.find("/api/v1/namespaces/{namespace}/configmaps/{name}".format(**self._place()))
        return None if config_map is None else snippet_of_config_map(config_map)

    def published(self) -> Snippet | None:
        """The snippet alone, given or published; None where check mode goes on without it."""
        self._check_place()
        snippet = self._snippet()
        if snippet is None:
            self._no_snippet()
        return snippet

    def _no_snippet(self) -> None:
        self._absent(
            "ConfigMap {namespace}/{name} is not there: install the chart discord-monitor first, "
            "or name the ConfigMap of your release by snippet_from.".format(**self._place())
        )

    def _place(self) -> dict[str, str]:
        return self.params["snippet_from"] or {"namespace": "discord-monitor", "name": "discord-monitor-snippet"}

    def _check_place(self) -> None:
        place = self._place()
        check_namespaces([place["namespace"]], "snippet_from.namespace")
        check_object_name(place["name"], "snippet_from.name")

    def _native(self) -> bool:
        form = self.params["form"]
        if form == "container":
            return False
        server = self.cluster.get("/version")["gitVersion"]
        kubelets: list[str] | None = None
        try:
            nodes, _version = self.cluster.items("/api/v1/nodes")
            kubelets = [node["status"]["nodeInfo"]["kubeletVersion"] for node in nodes]
        except ApiError as exc:
            if exc.status != 403:
                raise
        try:
            return choose_native(form, server, kubelets)
        except ValueError as exc:
            raise PlatformError(sentence("native_unsupported", version=str(exc)), code="native_unsupported") from exc

    def _absent(self, message: str) -> None:
        # On an empty cluster check mode shows what it can: whatever is absent now, the real run will have made before.
        if not self.check_mode:
            raise PlatformError(message)
        self.warn(f"{message} Check mode goes on without it.")

    # -- ask --------------------------------------------------------------------------------------------------------

    def ask(self, reading: Reading) -> Ask | None:
        """What to ask of each workload; None where check mode has no snippet to ask about."""
        for name in reading.missing:
            self._absent(f"Namespace {name} is not there: create it first (role secrets does), or correct namespaces.")
        snippet = reading.snippet
        if snippet is None:
            self._no_snippet()
            return None
        if self.params["bridge"] and snippet.bridge is None:
            raise PlatformError(
                "The published snippet has no bridge: set inputBridge.enabled in the chart's values, or bridge: false."
            )
        options = Options(
            native=reading.native,
            bridge=self.params["bridge"],
            container=self.params["container"],
            overrides=parse_overrides(self.params["overrides"]),
            recreate_jobs=self.params["recreate_jobs"],
        )
        return Ask(snippet, options, self._surroundings(snippet, reading))

    def _surroundings(self, snippet: Snippet, reading: Reading) -> dict[str, Surroundings]:
        names = list(reading.namespaces)
        ours = [snippet.watcher, *([snippet.bridge] if snippet.bridge and self.params["bridge"] else [])]
        secrets: list[frozenset[str] | None] = [None] * len(names)
        if any(secret_references(container) for container in ours):
            secrets = self.cluster.each(self._secrets, names)
        return {
            name: Surroundings(reading.namespaces[name], found, self.check_mode)
            for name, found in zip(names, secrets, strict=True)
        }

    def _secrets(self, namespace: str) -> frozenset[str] | None:
        """Names of the Secrets in a namespace, never what they hold; None where they may not be listed."""
        try:
            items, _version = self.cluster.items(
                f"/api/v1/namespaces/{namespace}/secrets",
                metadata_only=True,
                fieldSelector="type!=helm.sh/release.v1",  # there may be hundreds of Helm's own records
            )
        except ApiError as exc:
            if exc.status != 403:
                raise
            return None
        return frozenset(item["metadata"]["name"] for item in items)

    # -- list -------------------------------------------------------------------------------------------------------

    def list_all(self, reading: Reading, take: Callable[[str, Obj], Out]) -> tuple[list[Out], list[Refused]]:
        """What `take` makes of each selected workload, and the namespaces that may not be listed."""
        kinds = dict.fromkeys(self.params["kinds"])
        places = [(kind, namespace) for kind in kinds for namespace in reading.namespaces]
        taken: list[Out] = []
        refused = list(reading.refused)
        for part in self.cluster.each(lambda place: self._list(place, take), places):
            if isinstance(part, Refused):
                refused.append(part)
            else:
                taken += part
        return taken, refused

    def _list(self, place: Place, take: Callable[[str, Obj], Out]) -> list[Out] | Refused:
        kind, namespace = place
        names, taken = set(self.params["names"]), []
        try:
            for items, version in self.cluster.pages(KINDS[kind].path(namespace), **self._selectors()):
                self.versions[place] = version
                taken += [take(kind, item) for item in items if not names or item["metadata"]["name"] in names]
        except ApiError as exc:
            if exc.status == 400:
                raise PlatformError(
                    f"The API server refuses to select {KINDS[kind].plural} in {namespace} by label_selectors and "
                    f"field_selectors: {exc}"
                ) from exc
            if exc.status != 403:
                raise
            return Refused(namespace, answer("forbidden", reason=str(exc)))
        return taken

    def _selectors(self) -> dict[str, t.Any]:
        labels, fields = self.params["label_selectors"], self.params["field_selectors"]
        return {"limit": PAGE, "labelSelector": ",".join(labels), "fieldSelector": ",".join(fields)}

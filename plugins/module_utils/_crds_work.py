# SPDX-License-Identifier: GPL-3.0-or-later
# SPDX-FileCopyrightText: 2026 The orchestrator.platform authors
#
# Private to this collection: names and behaviour may change in any release.
"""Brings CRDs to a cluster and waits until they are served, or takes their objects and them away."""

from __future__ import annotations

import json
import time
import typing as t
from collections.abc import Callable, Iterable

from ansible_collections.orchestrator.platform.plugins.module_utils._cluster import Cluster
from ansible_collections.orchestrator.platform.plugins.module_utils._crds import (
    CRDS_PATH,
    Verdict,
    is_established,
    judge_crd,
    name_conflict,
    name_of,
    objects_path,
)
from ansible_collections.orchestrator.platform.plugins.module_utils._errors import ApiError, PlatformError
from ansible_collections.orchestrator.platform.plugins.module_utils._sidecar import FIELD_MANAGER
from ansible_collections.orchestrator.platform.plugins.module_utils._workloads import Obj, dig

POLL_S = 0.25
CLAIM_PREFIX = "workspace-"  # OR-295: one claim a service


class Item(t.NamedTuple):
    """An object that goes, or would go."""

    kind: str
    namespace: str
    name: str
    path: str
    obj: Obj

    def row(self) -> dict[str, str]:
        """The object as a module returns it."""
        return {"kind": self.kind, "namespace": self.namespace, "name": self.name}


class Crds:
    """One run over the CRDs of the platform. In check mode everything is the API server's dry run."""

    def __init__(self, cluster: Cluster, definitions: list[Obj], *, wait_s: int, dry_run: bool) -> None:
        self._cluster = cluster
        self._definitions = definitions
        self._wait_s = wait_s
        self._dry_run = dry_run

    # -- present ------------------------------------------------------------------------------------------------------

    def apply(self, take_over: Iterable[str]) -> tuple[list[dict[str, str]], list[tuple[Obj, Obj]]]:
        """One row a CRD, and (before, after) of those that are written; raises PlatformError before the first write."""
        allowed = list(take_over)
        found = self._cluster.each(self._find, self._definitions)
        verdicts = [
            judge_crd(definition, live, allowed) for definition, live in zip(self._definitions, found, strict=True)
        ]
        refusals = [verdict.message for verdict in verdicts if verdict.refused]
        if refusals:
            raise PlatformError(" ".join(refusals))
        # All of them by dry run first: what the API server refuses is refused before anything is half done.
        tried = [self._write(*row, dry_run=True) for row in zip(self._definitions, found, verdicts, strict=True)]
        if not self._dry_run:
            for row in zip(self._definitions, found, verdicts, strict=True):
                self._write(*row, dry_run=False)
        rows = [
            {"name": name_of(definition), "outcome": verdict.outcome}
            for definition, verdict in zip(self._definitions, verdicts, strict=True)
        ]
        differences = [(before or {}, after) for before, after in zip(found, tried, strict=True) if after is not None]
        return rows, differences

    def _find(self, definition: Obj) -> Obj | None:
        return self._cluster.find(f"{CRDS_PATH}/{name_of(definition)}")

    def _write(self, definition: Obj, live: Obj | None, verdict: Verdict, *, dry_run: bool) -> Obj | None:
        if verdict.outcome == "unchanged":
            return None
        body: Obj = {**definition, "metadata": {**definition["metadata"]}}
        if live is not None:
            # One that was deleted and made anew since it was judged is not ours to change.
            body["metadata"]["uid"] = live["metadata"]["uid"]
        path = f"{CRDS_PATH}/{name_of(definition)}"
        try:
            return self._cluster.apply(
                path,
                json.dumps(body).encode(),
                manager=FIELD_MANAGER,
                dry_run=dry_run,
                whole=True,
                force=live is not None,
            )
        except ApiError as exc:
            raise PlatformError(
                f"The API server refuses CRD {name_of(definition)} (HTTP {exc.status}): {exc}. Give the user of the "
                "kubeconfig a ClusterRole for customresourcedefinitions, or set orchestrator_crds: false."
                if exc.status == 403
                else f"The API server refuses CRD {name_of(definition)} (HTTP {exc.status}): {exc}"
            ) from exc

    def wait_established(self) -> None:
        """Until every kind is served; raises PlatformError when its names are taken, or when time is up."""
        deadline = time.monotonic() + self._wait_s
        waiting = [name_of(definition) for definition in self._definitions]
        while waiting:
            for name in list(waiting):
                live = self._cluster.find(f"{CRDS_PATH}/{name}") or {}
                taken = name_conflict(live)
                if taken:
                    raise PlatformError(
                        f"The API server does not serve CRD {name}: {taken}. Remove the CRD that has these names."
                    )
                if is_established(live):
                    waiting.remove(name)
            if waiting and time.monotonic() > deadline:
                raise PlatformError(
                    f"CRD {', '.join(waiting)} is not established after {self._wait_s} s: look at its conditions with "
                    f"kubectl describe crd {waiting[0]}."
                )
            if waiting:
                time.sleep(POLL_S)

    # -- absent -------------------------------------------------------------------------------------------------------

    def objects(self, namespaces: Iterable[str] | None = None) -> list[Item]:
        """Every object of the kinds, in these namespaces or in all."""
        within = None if namespaces is None else set(namespaces)
        found = []
        for definition in self._definitions:
            kind, path = definition["spec"]["names"]["kind"], objects_path(definition)
            found += [_item(kind, path, obj) for obj in self._items(path)]
        return [item for item in found if within is None or item.namespace in within]

    def claims(self, runs: list[Item], namespaces: Iterable[str]) -> list[Item]:
        """Workspace claims: those of a run's service, and those labelled as the controller's."""
        services: dict[str, set[str]] = {namespace: set() for namespace in namespaces}
        for run in runs:
            services.setdefault(run.namespace, set()).add(CLAIM_PREFIX + str(dig(run.obj, "spec", "service") or ""))
        found = []
        for namespace, names in services.items():
            path = f"/api/v1/namespaces/{namespace}/persistentvolumeclaims"
            for obj in self._items(path):
                name = obj["metadata"]["name"]
                ours = (dig(obj, "metadata", "labels") or {}).get("app") == "orchestrator"
                if name in names or (ours and name.startswith(CLAIM_PREFIX)):
                    found.append(Item("PersistentVolumeClaim", namespace, name, f"{path}/{name}", obj))
        return found

    def live(self) -> list[Item]:
        """Those of the CRDs that are there."""
        found = []
        for definition in self._definitions:
            live, name = self._find(definition), name_of(definition)
            if live is not None:
                found.append(Item("CustomResourceDefinition", "", name, f"{CRDS_PATH}/{name}", live))
        return found

    def remove(self, items: list[Item], finalizers: Iterable[str] = (), *, controller_s: int = 0) -> None:
        """Delete and wait; what is still held after `controller_s` loses the named finalizers, and no others."""
        if self._dry_run or not items:
            return
        self._cluster.each(self._delete, items)
        held, left = set(finalizers), items
        if held:
            left = self._until_gone(left, controller_s)
            self._cluster.each(lambda item: self._let_go(item, held), left)
        left = self._until_gone(left, self._wait_s)
        if left:
            named = ", ".join(f"{item.kind} {item.namespace}/{item.name}".replace(" /", " ") for item in left[:5])
            raise PlatformError(
                f"Still there {self._wait_s} s after the deletion: {named}. Look at their finalizers and at what uses "
                "them, and run again."
            )

    def _items(self, path: str) -> list[Obj]:
        try:
            return self._cluster.items(path)[0]
        except ApiError as exc:
            if exc.status == 404:
                return []  # the kind is not there, and so none of its objects
            raise

    def _delete(self, item: Item) -> None:
        self._unless_gone(lambda: self._cluster.delete(item.path, uid=item.obj["metadata"]["uid"]))

    def _let_go(self, item: Item, finalizers: set[str]) -> None:
        live = self._cluster.find(item.path)
        if live is None:
            return
        kept = [name for name in dig(live, "metadata", "finalizers") or [] if name not in finalizers]
        version = live["metadata"]["resourceVersion"]
        body: Obj = {"metadata": {"finalizers": kept or None, "resourceVersion": version}}
        self._unless_gone(lambda: self._cluster.merge(item.path, body))

    @staticmethod
    def _unless_gone(work: Callable[[], object]) -> None:
        try:
            work()
        except ApiError as exc:
            if exc.status not in (404, 409):  # gone, or made anew since: not the one that was meant
                raise

    def _until_gone(self, items: list[Item], wait_s: int) -> list[Item]:
        deadline = time.monotonic() + wait_s
        left = items
        while left:
            there = self._cluster.each(lambda item: self._cluster.find(item.path), left)
            left = [
                item
                for item, live in zip(left, there, strict=True)
                if live is not None and live["metadata"]["uid"] == item.obj["metadata"]["uid"]
            ]
            if not left or time.monotonic() > deadline:
                break
            time.sleep(POLL_S)
        return left


def _item(kind: str, path: str, obj: Obj) -> Item:
    group, _slash, plural = path.rpartition("/")
    namespace, name = obj["metadata"]["namespace"], obj["metadata"]["name"]
    return Item(kind, namespace, name, f"{group}/namespaces/{namespace}/{plural}/{name}", obj)

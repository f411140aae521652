# SPDX-License-Identifier: GPL-3.0-or-later
# SPDX-FileCopyrightText: 2026 The orchestrator.platform authors
#
# Private to this collection: names and behaviour may change in any release.
"""Gives hand-made objects to a Helm release, and takes away those that cannot be changed in place."""

from __future__ import annotations

import time

from ansible_collections.orchestrator.platform.plugins.module_utils._adoption import (
    SELECTING,
    Row,
    leftovers,
    ownership,
    plan_object,
    settled,
)
from ansible_collections.orchestrator.platform.plugins.module_utils._backup import BY_KIND, NAMESPACED, Place
from ansible_collections.orchestrator.platform.plugins.module_utils._cluster import Cluster
from ansible_collections.orchestrator.platform.plugins.module_utils._errors import (
    ApiError,
    ClusterError,
    ManifestError,
    PlatformError,
)
from ansible_collections.orchestrator.platform.plugins.module_utils._workloads import Obj, dig
from ansible_collections.orchestrator.platform.plugins.module_utils._yaml import read_text

PACE_S = 0.25


class Adoption:
    """The objects of one release's manifest beside those that are there."""

    def __init__(self, cluster: Cluster, manifest: str, *, name: str, namespace: str) -> None:
        self._cluster = cluster
        self._name, self._namespace = name, namespace
        self._wanted = [self._in_namespace(found.obj) for found in read_text(manifest, "manifest")]
        self._live: dict[tuple[str, str], Obj] = {}
        self.rows: list[Row] = []
        self.left: list[Row] = []

    def _in_namespace(self, wanted: Obj) -> Obj:
        if not isinstance(wanted, dict) or not dig(wanted, "metadata", "name"):
            raise ManifestError(
                "manifest holds something that is no Kubernetes object: give what helm template prints."
            )
        place = BY_KIND.get(wanted.get("kind", ""))
        if place is None:
            raise ManifestError(f"manifest holds a {wanted.get('kind')}, which is not looked at: adopt it by hand.")
        metadata = wanted["metadata"]
        where = {"namespace": metadata.get("namespace") or self._namespace} if place.namespaced else {}
        return {**wanted, "metadata": {**metadata, **where}}

    def plan(self) -> None:
        """Look at everything; raises PlatformError for what stands in the way."""
        there = self._all()
        self._live = {_key({**obj, "kind": place.kind}): obj for place, obj in there}
        # The lists hold the release's own namespace; little of a chart is elsewhere.
        self._cluster.each(
            self._look, [one for one in self._wanted if one["metadata"].get("namespace") != self._namespace]
        )
        release = f"{self._namespace}/{self._name}"
        self.rows = [plan_object(wanted, self._live.get(_key(wanted)), release) for wanted in self._wanted]
        self.left = leftovers(there, self.rows)
        wrong = [f"{row.kind} {row.name}: {row.reason}" for row in self.rows if row.outcome == "conflict"]
        if wrong:
            raise PlatformError(
                f"Release {release} cannot take over {'; '.join(wrong)}. Nothing was changed; remove it, or give the "
                "release another name or namespace."
            )

    def _look(self, wanted: Obj) -> None:
        self._live.pop(_key(wanted), None)
        live = self._cluster.find(_path(wanted))
        if live is not None:
            self._live[_key(wanted)] = live

    def _all(self) -> list[tuple[Place, Obj]]:
        def listed(place: Place) -> list[tuple[Place, Obj]]:
            try:
                return [(place, item) for item in self._cluster.items(place.path(self._namespace))[0]]
            except ApiError as exc:
                if exc.status != 404:
                    raise
                return []

        return [item for items in self._cluster.each(listed, NAMESPACED) for item in items]

    def adopt(self) -> None:
        """Write Helm's ownership metadata: nothing that runs takes notice."""
        rows = {(row.kind, row.name) for row in self.rows if row.outcome == "adopt"}
        mine = [wanted for wanted in self._wanted if _key(wanted) in rows]
        self._cluster.each(lambda one: self._cluster.merge(_path(one), ownership(self._name, self._namespace)), mine)

    def replace(self, *, wait_s: float) -> None:
        """End and delete what cannot be changed; raises ClusterError when its pods do not end in time.

        Only then what was adopted loses its old parts: until the old pods end, their Service has to find them.
        """
        for row in self.rows:
            if row.outcome == "replace":
                live = self._live[(row.kind, row.name)]
                self._end(row, live, time.monotonic() + wait_s)
        for path, patch in self.settlements():
            self._cluster.merge(path, patch)

    def settlements(self) -> list[tuple[str, Obj]]:
        """Paths and patches of what loses old parts, also where an earlier run was cut short before that."""
        adopted = {(row.kind, row.name) for row in self.rows if row.outcome in ("adopt", "owned")}
        mine = [wanted for wanted in self._wanted if _key(wanted) in adopted]
        found = [(_path(wanted), settled(wanted, self._live[_key(wanted)])) for wanted in mine]
        return [(path, patch) for path, patch in found if patch is not None]

    def _end(self, row: Row, live: Obj, deadline: float) -> None:
        path = BY_KIND[row.kind].path(row.namespace, row.name)
        if row.kind in SELECTING and row.kind != "DaemonSet":
            # First the pods, then the object: never two controllers, and no ReplicaSet that outlives its Deployment.
            self._cluster.merge(path, {"spec": {"replicas": 0}})
            labels = dig(live, "spec", "selector", "matchLabels") or {}
            selector = ",".join(f"{name}={value}" for name, value in labels.items())
            pods = f"/api/v1/namespaces/{row.namespace}/pods"
            while self._cluster.items(pods, labelSelector=selector)[0]:
                if time.monotonic() > deadline:
                    raise ClusterError(f"The pods of {row.kind} {row.name} do not end: look at them, then run again.")
                time.sleep(PACE_S)
        self._cluster.delete(path, uid=live["metadata"]["uid"])
        while self._cluster.find(path) is not None:
            if time.monotonic() > deadline:
                raise ClusterError(f"{row.kind} {row.name} is deleted but not gone: look at its finalizers.")
            time.sleep(PACE_S)


def _key(wanted: Obj) -> tuple[str, str]:
    return wanted["kind"], wanted["metadata"]["name"]


def _path(wanted: Obj) -> str:
    metadata = wanted["metadata"]
    return BY_KIND[wanted["kind"]].path(metadata.get("namespace", ""), metadata["name"])

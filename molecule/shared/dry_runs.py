# SPDX-License-Identifier: GPL-3.0-or-later
# SPDX-FileCopyrightText: 2026 The orchestrator.platform authors
"""Dry runs against the API server by one kept connection: hundreds of pods a second, none of them made."""

from __future__ import annotations

import http.client
import json
import re
import subprocess
from typing import NamedTuple

from real_cluster import Cluster, Json

PATHS = {
    "Pod": ("/api/v1", "pods"),
    "ReplicationController": ("/api/v1", "replicationcontrollers"),
    "PodTemplate": ("/api/v1", "podtemplates"),
    "Deployment": ("/apis/apps/v1", "deployments"),
    "StatefulSet": ("/apis/apps/v1", "statefulsets"),
    "DaemonSet": ("/apis/apps/v1", "daemonsets"),
    "ReplicaSet": ("/apis/apps/v1", "replicasets"),
    "Job": ("/apis/batch/v1", "jobs"),
    "CronJob": ("/apis/batch/v1", "cronjobs"),
}


class Answer(NamedTuple):
    """What the API server said; `warning` is its Warning header, "" if there was none."""

    status: int
    body: Json
    warning: str

    @property
    def said(self) -> str:
        """The message of a refusal."""
        return str(self.body.get("message", ""))


class DryRuns:
    """Begun by `with`: kubectl's proxy on a free loopback port, ended behind it."""

    def __init__(self, cluster: Cluster) -> None:
        self.cluster = cluster

    def __enter__(self) -> DryRuns:
        argv = ["kubectl", "proxy", "--port=0"]
        self.proxy = subprocess.Popen(argv, env=self.cluster.env, stdout=subprocess.PIPE, text=True)
        assert self.proxy.stdout is not None
        found = re.search(r":(\d+)", self.proxy.stdout.readline())
        assert found, "kubectl proxy named no port"
        self.connection = http.client.HTTPConnection("127.0.0.1", int(found[1]), timeout=30)
        return self

    def __exit__(self, *_: object) -> None:
        self.connection.close()
        self.proxy.terminate()
        self.proxy.wait(timeout=10)

    def send(self, method: str, path: str, body: Json, *, dry: bool = True, patch: str = "merge-patch") -> Answer:
        """One request; nothing is written unless `dry` is false."""
        kind = f"application/{patch}+json" if method == "PATCH" else "application/json"
        self.connection.request(method, path + ("?dryRun=All" if dry else ""), json.dumps(body), {"Content-Type": kind})
        answer = self.connection.getresponse()
        text = answer.read()
        return Answer(answer.status, json.loads(text), answer.headers.get("Warning", ""))

    def create(self, manifest: Json, namespace: str, *, dry: bool = True) -> Answer:
        """Create an object of one of the kinds above."""
        return self.send("POST", path_of(manifest["kind"], namespace), manifest, dry=dry)

    def pod(self, spec: Json, namespace: str, *, notes: Json | None = None, labels: Json | None = None) -> Answer:
        """Ask for a pod; it has the label of monitored pods unless others are given."""
        wanted = {"orchestrator.platform/monitor": "true"} if labels is None else labels
        return self.create(manifest("Pod", "dry", spec, notes=notes, labels=wanted), namespace)


def path_of(kind: str, namespace: str, name: str = "") -> str:
    """REST path of a kind's list in a namespace, or of one object."""
    group, plural = PATHS[kind]
    return "/".join(filter(None, [group, "namespaces", namespace, plural, name]))


def manifest(kind: str, name: str, spec: Json, *, notes: Json | None = None, labels: Json | None = None) -> Json:
    """An object of the kind around a pod spec."""
    group = PATHS[kind][0].removeprefix("/apis/").removeprefix("/api/")
    about = {"labels": {"dry": "run", **(labels or {})}, "annotations": notes or {}}
    template = {"metadata": about, "spec": spec}
    outer: Json = {"apiVersion": group, "kind": kind, "metadata": {"name": name}}
    if kind == "Pod":
        return {**outer, "metadata": {"name": name, **about}, "spec": spec}
    if kind == "PodTemplate":
        return {**outer, "template": template}
    ends = {"metadata": about, "spec": {**spec, "restartPolicy": "Never"}}
    if kind == "Job":
        return {**outer, "spec": {"template": ends}}
    if kind == "CronJob":
        return {**outer, "spec": {"schedule": "0 0 1 1 *", "jobTemplate": {"spec": {"template": ends}}}}
    chosen = {"dry": "run"} if kind == "ReplicationController" else {"matchLabels": {"dry": "run"}}
    named = {"serviceName": "dry"} if kind == "StatefulSet" else {}
    return {**outer, "spec": {"selector": chosen, "template": template, **named}}


def watcher_of(spec: Json) -> Json | None:
    """The injected container, if there is one."""
    return next((c for c in spec.get("initContainers") or [] if c["name"] == "discord-watcher"), None)

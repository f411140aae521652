# SPDX-License-Identifier: GPL-3.0-or-later
# SPDX-FileCopyrightText: 2026 The orchestrator.platform authors
"""Counts what was written to a cluster, from the cluster's own books and not from anybody's `changed`.

Three books: the resourceVersion of every object, the revisions of the Helm releases, and the API server's count of
requests. Pure functions over what kubectl printed.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping

# Kinds that Kubernetes itself writes all the time, or that are only another name for an object already counted.
UNCOUNTED = frozenset({"events", "events.events.k8s.io", "leases.coordination.k8s.io"})

MUTATING = frozenset({"POST", "PUT", "PATCH", "APPLY", "DELETE", "DELETECOLLECTION"})

# The metrics do not say who asked. What only the cluster itself writes is left out: kubelet and controllers on their
# clock, or as the consequence of a write that is counted itself. Reviews and tokens are answers, not writes.
OWN_RESOURCES = frozenset({"leases", "events", "nodes", "pods", "replicasets", "endpoints", "endpointslices"})
OWN_SUBRESOURCES = frozenset({"status", "token", "binding", "finalize"})

SAMPLE = re.compile(r"^apiserver_request_total\{(?P<labels>[^}]*)\} (?P<value>\S+)", re.MULTILINE)
LABEL = re.compile(r'(\w+)="([^"]*)"')

Versions = Mapping[str, str]  # "kind/namespace/name" -> uid and resourceVersion
Requests = Mapping[str, float]  # "VERB group/resource/subresource" -> how many


def versions(listed: str) -> dict[str, str]:
    """Every object of a `kubectl get … --output=json`: a new object of an old name is another one, by its uid."""
    found = {}
    answer = json.loads(listed or '{"items": []}')
    for each in answer.get("items", [answer]):  # kubectl prints a single named object without a list around it
        meta = each["metadata"]
        key = f"{each['kind']}/{meta.get('namespace', '')}/{meta['name']}"
        found[key] = f"{meta['uid']} {meta['resourceVersion']}"
    return found


def changed(before: Versions, after: Versions) -> set[str]:
    """Keys that came, went or have another version."""
    return {key for key in before.keys() | after.keys() if before.get(key) != after.get(key)}


def revisions(listed: str) -> int:
    """Sum of the revisions in a `helm list --output=json`."""
    return sum(int(release["revision"]) for release in json.loads(listed or "[]"))


def requests(metrics: str) -> dict[str, float]:
    """Mutating requests that were accepted and were not dry runs, from the API server's metrics page."""
    found: dict[str, float] = {}
    for sample in SAMPLE.finditer(metrics):
        labels = dict(LABEL.findall(sample["labels"]))
        resource = labels.get("resource", "")
        if labels.get("verb") not in MUTATING or labels.get("dry_run") or not labels.get("code", "").startswith("2"):
            continue
        if resource in OWN_RESOURCES or resource.endswith("reviews") or labels.get("subresource") in OWN_SUBRESOURCES:
            continue
        key = f"{labels['verb']} {labels.get('group', '')}/{resource}/{labels.get('subresource', '')}"
        found[key] = found.get(key, 0) + float(sample["value"])
    return found


def difference(before: Requests, after: Requests) -> dict[str, float]:
    """What was added, by key; keys without an addition are left out."""
    return {key: value - before.get(key, 0) for key, value in after.items() if value > before.get(key, 0)}


def above_idle(busy: Requests, idle: Requests) -> dict[str, float]:
    """What a run added beyond an idle window of the same length; never below zero."""
    return {key: value - idle.get(key, 0) for key, value in busy.items() if value > idle.get(key, 0)}


def made(counted: Requests) -> float:
    """Requests that created or deleted something."""
    return sum(value for key, value in counted.items() if key.split()[0] in {"POST", "DELETE", "DELETECOLLECTION"})

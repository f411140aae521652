# SPDX-License-Identifier: GPL-3.0-or-later
# SPDX-FileCopyrightText: 2026 The orchestrator.platform authors
#
# Private to this collection: names and behaviour may change in any release.
"""Lists that only rules of the user need: one call a kind and namespace, put into the same snapshot."""

from __future__ import annotations

from collections.abc import Iterable

from ansible_collections.orchestrator.platform.plugins.module_utils._cluster import Cluster
from ansible_collections.orchestrator.platform.plugins.module_utils._errors import ApiError, ClusterError
from ansible_collections.orchestrator.platform.plugins.module_utils._kinds import Listing
from ansible_collections.orchestrator.platform.plugins.module_utils._snapshot import View


def collect_extra(cluster: Cluster, view: View, listings: Iterable[Listing]) -> None:
    """Fill the snapshot with these lists; what cannot be read gets its reason there."""
    wanted = list(dict.fromkeys(item for item in listings if not item.listed_anyway))
    cluster.each(lambda item: _collect_kind(cluster, view, item), wanted)


def _collect_kind(cluster: Cluster, view: View, item: Listing) -> None:
    snapshot, namespaces = view.snapshot, view.expect.namespaces()
    if item.group_version == "v1" and item.kind == "Namespace":
        # Those in view have been read one by one; {} is one that may not be read.
        found = snapshot.namespaces
        if {} in found.values():
            closed = ", ".join(name for name, obj in found.items() if obj == {})
            snapshot.unread[(item.key, "")] = f"no permission to get the namespace {closed}"
        snapshot.objects[(item.key, "")] = [obj for obj in found.values() if obj]
        return
    try:
        plural, namespaced = (item.plural, item.namespaced) if item.plural else _discover(cluster, item)
    except ClusterError as exc:
        for namespace in (*namespaces, ""):
            snapshot.unread[(item.key, namespace)] = str(exc)
        return
    for namespace in namespaces if item.namespaced else ("",):
        # A kind that turns out to be the cluster's own is listed once, under the first namespace in view.
        inside = f"/namespaces/{namespace}" if namespaced and namespace else ""
        if namespace and not namespaced and namespace != namespaces[0]:
            continue
        try:
            snapshot.objects[(item.key, namespace)], _version = cluster.items(f"{item.prefix}{inside}/{plural}")
        except ClusterError as exc:
            refused = isinstance(exc, ApiError) and exc.status == 403
            reason = f"no permission to list {plural} in {namespace or 'the cluster'}" if refused else str(exc)
            snapshot.unread[(item.key, namespace)] = reason


def _discover(cluster: Cluster, item: Listing) -> tuple[str, bool]:
    """Plural of a kind, and whether it lives in namespaces; raises ClusterError where the API server has none."""
    answer = cluster.find(item.prefix) or {}
    for resource in answer.get("resources") or []:
        if resource.get("kind") == item.kind and "/" not in resource.get("name", ""):
            return resource["name"], bool(resource.get("namespaced"))
    raise ClusterError(f"the API server has no kind {item.kind} of {item.group_version}")

# SPDX-License-Identifier: GPL-3.0-or-later
# SPDX-FileCopyrightText: 2026 The orchestrator.platform authors
#
# Private to this collection: names and behaviour may change in any release.
"""Which list of the API a kind named by a user stands for. Pure."""

from __future__ import annotations

import typing as t

from ansible_collections.orchestrator.platform.plugins.module_utils._snapshot import RESOURCES

# kind -> (group version, plural, in a namespace); what people ask of most, other kinds name their api_version.
BUILT_IN: dict[str, tuple[str, str, bool]] = {
    "ClusterRole": ("rbac.authorization.k8s.io/v1", "clusterroles", False),
    "ClusterRoleBinding": ("rbac.authorization.k8s.io/v1", "clusterrolebindings", False),
    "ConfigMap": ("v1", "configmaps", True),
    "CronJob": ("batch/v1", "cronjobs", True),
    "CustomResourceDefinition": ("apiextensions.k8s.io/v1", "customresourcedefinitions", False),
    "DaemonSet": ("apps/v1", "daemonsets", True),
    "Deployment": ("apps/v1", "deployments", True),
    "HorizontalPodAutoscaler": ("autoscaling/v2", "horizontalpodautoscalers", True),
    "Ingress": ("networking.k8s.io/v1", "ingresses", True),
    "Job": ("batch/v1", "jobs", True),
    "LimitRange": ("v1", "limitranges", True),
    "Namespace": ("v1", "namespaces", False),
    "NetworkPolicy": ("networking.k8s.io/v1", "networkpolicies", True),
    "Node": ("v1", "nodes", False),
    "PersistentVolumeClaim": ("v1", "persistentvolumeclaims", True),
    "Pod": ("v1", "pods", True),
    "PodDisruptionBudget": ("policy/v1", "poddisruptionbudgets", True),
    "ReplicaSet": ("apps/v1", "replicasets", True),
    "ResourceQuota": ("v1", "resourcequotas", True),
    "Role": ("rbac.authorization.k8s.io/v1", "roles", True),
    "RoleBinding": ("rbac.authorization.k8s.io/v1", "rolebindings", True),
    "Secret": ("v1", "secrets", True),
    "Service": ("v1", "services", True),
    "ServiceAccount": ("v1", "serviceaccounts", True),
    "StatefulSet": ("apps/v1", "statefulsets", True),
}


class Listing(t.NamedTuple):
    """One list of the API. `plural` is empty where the API server has to be asked for it."""

    key: str  # under which the snapshot holds it
    group_version: str
    kind: str
    plural: str
    namespaced: bool

    @property
    def prefix(self) -> str:
        """The path before namespaces/: /api/v1 or /apis/GROUP/VERSION."""
        return prefix_of(self.group_version)

    @property
    def listed_anyway(self) -> bool:
        """Whether the checks' own collection can read it, so that one list serves both."""
        return self.key in RESOURCES


def prefix_of(group_version: str) -> str:
    """The API path of a group version."""
    return f"/apis/{group_version}" if "/" in group_version else f"/api/{group_version}"


def listing(kind: str, api_version: str = "") -> Listing | None:
    """The list for a kind; None for a kind that is not built in and comes without its version."""
    group_version, plural, namespaced = BUILT_IN.get(kind, ("", "", True))
    if api_version and api_version != group_version:
        group_version, plural, namespaced = api_version, "", True
    if not group_version:
        return None
    shared = namespaced and RESOURCES.get(plural) == prefix_of(group_version)
    return Listing(plural if shared else f"{group_version} {kind}", group_version, kind, plural, namespaced)

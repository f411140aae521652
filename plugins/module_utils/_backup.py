# SPDX-License-Identifier: GPL-3.0-or-later
# SPDX-FileCopyrightText: 2026 The orchestrator.platform authors
#
# Private to this collection: names and behaviour may change in any release.
"""What of a cluster goes into a backup, and in which form: as somebody would have written it by hand. Pure.

Three things are kept apart: an object (which `kubectl apply` would take as it is), its link to what the API server or
Helm knew about it (owners, who applied it, which release it came from), and a Helm release (chart and values).
"""

from __future__ import annotations

import typing as t
from collections.abc import Collection, Iterable

from ansible_collections.orchestrator.platform.plugins.module_utils._bundle import PART_OF
from ansible_collections.orchestrator.platform.plugins.module_utils._kinds import BUILT_IN, prefix_of
from ansible_collections.orchestrator.platform.plugins.module_utils._sidecar import FIELD_MANAGER
from ansible_collections.orchestrator.platform.plugins.module_utils._workloads import Json, Obj, clone, dig

GROUP = "orchestrator.platform"
RELEASE_TYPE = "helm.sh/release.v1"
RUN_KINDS = ("CodeRun", "DocsRun")
AGENT_SECRETS = ("github-ssh-", "github-token-")  # of the users whom runs name, made outside of the charts
WORKSPACE = "workspace-"  # the claims of services

_LABEL_PART_OF = "app.kubernetes.io/part-of"
_LABEL_MANAGED_BY = "app.kubernetes.io/managed-by"
_RELEASE_NAME = "meta.helm.sh/release-name"
_RELEASE_NAMESPACE = "meta.helm.sh/release-namespace"
_ADMISSION = "admissionregistration.k8s.io/v1"
# Annotations that controllers write and that mean nothing elsewhere.
_SERVERS_OWN = ("deployment.kubernetes.io/", "pv.kubernetes.io/", "volume.kubernetes.io/", "volume.beta.kubernetes.io/")
# Made by Kubernetes itself, with the cluster's own content.
_SERVERS_SECRETS = ("kubernetes.io/service-account-token", "bootstrap.kubernetes.io/token", RELEASE_TYPE)


class Place(t.NamedTuple):
    """A kind that is saved, and where the API has it."""

    kind: str
    group_version: str
    plural: str
    namespaced: bool

    def path(self, namespace: str = "", name: str = "") -> str:
        """REST path of the list, or of one object."""
        inside = f"/namespaces/{namespace}" if self.namespaced and namespace else ""
        return f"{prefix_of(self.group_version)}{inside}/{self.plural}" + (f"/{name}" if name else "")

    @property
    def folder(self) -> str:
        """Name of its folder in the archive: plural and group."""
        group = self.group_version.rpartition("/")[0]
        return f"{self.plural}.{group}" if group else self.plural


def _built_in(kind: str) -> Place:
    return Place(kind, *BUILT_IN[kind])


# In the order in which they are made again: whatever is referred to comes first, what begins to work comes last.
PLACES: tuple[Place, ...] = (
    *map(_built_in, ("Namespace", "CustomResourceDefinition", "ClusterRole", "ClusterRoleBinding")),
    Place("ValidatingAdmissionPolicy", _ADMISSION, "validatingadmissionpolicies", namespaced=False),
    Place("ValidatingAdmissionPolicyBinding", _ADMISSION, "validatingadmissionpolicybindings", namespaced=False),
    Place("MutatingAdmissionPolicy", _ADMISSION, "mutatingadmissionpolicies", namespaced=False),
    Place("MutatingAdmissionPolicyBinding", _ADMISSION, "mutatingadmissionpolicybindings", namespaced=False),
    *map(_built_in, ("ResourceQuota", "LimitRange", "ServiceAccount", "Secret", "ConfigMap", "PersistentVolumeClaim")),
    *map(_built_in, ("Role", "RoleBinding", "NetworkPolicy", "PodDisruptionBudget", "Service", "Ingress")),
    *(Place(kind, f"{GROUP}/v1", f"{kind.lower()}s", namespaced=True) for kind in RUN_KINDS),
    *map(_built_in, ("StatefulSet", "DaemonSet", "Deployment", "CronJob", "HorizontalPodAutoscaler")),
)
BY_KIND: dict[str, Place] = {place.kind: place for place in PLACES}
BY_FOLDER: dict[str, Place] = {place.folder: place for place in PLACES}
NAMESPACED = tuple(place for place in PLACES if place.namespaced)
CLUSTER_WIDE = tuple(place for place in PLACES if not place.namespaced and place.kind != "Namespace")


class Saved(t.NamedTuple):
    """One object of a backup."""

    place: Place
    obj: Obj  # cleaned, without owners
    status: Obj | None  # of a run
    owners: list[Obj]  # references without uid, which is another one in another cluster
    applied: bool  # by this collection's server-side apply, whose ownership of fields has to come back too
    release: str  # "namespace/name" of the Helm release that brings it, empty where there is none

    @property
    def namespace(self) -> str:
        """Empty for an object of the whole cluster."""
        return str(self.obj["metadata"].get("namespace") or "")

    @property
    def name(self) -> str:
        """Name of the object."""
        return str(self.obj["metadata"]["name"])

    @property
    def file(self) -> str:
        """Its path in the archive."""
        return f"objects/{self.namespace or '_cluster'}/{self.place.folder}/{self.name}.json"


# -- cleaning ------------------------------------------------------------------------------------------------------


def cleaned(place: Place, obj: Obj) -> Obj:
    """An object without what the API server and its controllers set; applies anywhere, given its namespace.

    Owner references stay, without uid. Two objects are alike exactly when these are equal.
    """
    shown = {"apiVersion": place.group_version, "kind": place.kind, "metadata": _metadata(obj["metadata"])}
    fields = {key: value for key, value in obj.items() if key not in ("apiVersion", "kind", "metadata", "status")}
    shown |= clone(fields)
    trim = _TRIMS.get(place.kind)
    if trim is not None:
        trim(shown)
    return shown


def _metadata(metadata: Obj) -> Obj:
    notes = {
        name: value for name, value in (metadata.get("annotations") or {}).items() if not name.startswith(_SERVERS_OWN)
    }
    # Those of Kubernetes itself are set again where they are due.
    finalizers = [name for name in metadata.get("finalizers") or [] if "kubernetes.io/" not in name and "/" in name]
    owners = [
        {key: value for key, value in owner.items() if key != "uid"} for owner in metadata.get("ownerReferences") or []
    ]
    shown = {
        "name": metadata["name"],
        "namespace": metadata.get("namespace"),
        "labels": metadata.get("labels"),
        "annotations": notes,
        "finalizers": finalizers,
        "ownerReferences": owners,
    }
    return {key: clone(value) for key, value in shown.items() if value}


def _trim_namespace(obj: Obj) -> None:
    obj.pop("spec", None)
    labels = obj["metadata"].get("labels") or {}
    labels.pop("kubernetes.io/metadata.name", None)
    if not labels:
        obj["metadata"].pop("labels", None)


def _trim_service(obj: Obj) -> None:
    spec = obj.get("spec") or {}
    if spec.get("clusterIP") != "None":
        spec.pop("clusterIP", None)
        spec.pop("clusterIPs", None)
    for field in ("ipFamilies", "healthCheckNodePort"):
        spec.pop(field, None)


def _trim_claim(obj: Obj) -> None:
    (obj.get("spec") or {}).pop("volumeName", None)


def _trim_account(obj: Obj) -> None:
    obj.pop("secrets", None)  # tokens that old clusters made


_TRIMS: dict[str, t.Callable[[Obj], None]] = {
    "Namespace": _trim_namespace,
    "Service": _trim_service,
    "PersistentVolumeClaim": _trim_claim,
    "ServiceAccount": _trim_account,
}


# -- selection -----------------------------------------------------------------------------------------------------


class Scope(t.NamedTuple):
    """What a backup is asked for."""

    namespaces: tuple[str, ...]  # the platform's own: everything in them
    agent_namespaces: tuple[str, ...]  # other people's: only what is the platform's
    secret_names: tuple[str, ...]  # Secrets of the agents' namespaces that carry no label of ours


def chosen(
    found: Iterable[tuple[Place, Obj]], scope: Scope, releases: Collection[str]
) -> tuple[list[Saved], list[str]]:
    """What is saved of all that was listed, and a line for each thing that is left out although it is in scope."""
    listed = [(place, obj) for place, obj in found if not made_by_kubernetes(place, obj)]
    there = {_identity(place.kind, obj["metadata"].get("namespace"), obj["metadata"]["name"]) for place, obj in listed}
    kept: dict[tuple[str, str, str], Saved] = {}
    left_out: list[str] = []
    for place, obj in listed:
        metadata = obj["metadata"]
        if not _in_scope(place, obj, scope, releases):
            continue
        missing = [owner for owner in controllers_of(obj) if _identity(*_of(owner, metadata)) not in there]
        if missing:
            where = f"{metadata.get('namespace', '')}/{metadata['name']}"
            left_out.append(f"{place.kind} {where}: its owner {missing[0]['kind']} {missing[0]['name']} makes it")
            continue
        kept[_identity(place.kind, metadata.get("namespace"), metadata["name"])] = _saved(place, obj, releases)
    _follow_owners(kept, listed, releases)
    order = {place.kind: number for number, place in enumerate(PLACES)}
    return sorted(kept.values(), key=lambda one: (order[one.place.kind], one.file)), sorted(left_out)


def _identity(kind: str, namespace: Json, name: str) -> tuple[str, str, str]:
    return kind, str(namespace or ""), name


def _of(owner: Obj, metadata: Obj) -> tuple[str, Json, str]:
    place = BY_KIND.get(owner["kind"])
    return owner["kind"], metadata.get("namespace") if place is None or place.namespaced else "", owner["name"]


def controllers_of(obj: Obj) -> list[Obj]:
    """The owner that makes an object, as a list of one or none."""
    return [owner for owner in obj["metadata"].get("ownerReferences") or [] if owner.get("controller")]


def made_by_kubernetes(place: Place, obj: Obj) -> bool:
    """Whether an object comes by itself, in each namespace, or holds what means nothing elsewhere."""
    name = obj["metadata"]["name"]
    if place.kind == "Secret":
        return obj.get("type") in _SERVERS_SECRETS
    if place.kind == "ConfigMap":
        return bool(name == "kube-root-ca.crt")
    if place.kind == "ServiceAccount" and name == "default":
        shown = cleaned(place, obj)
        return set(shown) <= {"apiVersion", "kind", "metadata"} and set(shown["metadata"]) <= {"name", "namespace"}
    return False


def _in_scope(place: Place, obj: Obj, scope: Scope, releases: Collection[str]) -> bool:
    metadata = obj["metadata"]
    namespace = metadata["name"] if place.kind == "Namespace" else metadata.get("namespace")
    if namespace in scope.namespaces:
        return True
    if place.kind == "CustomResourceDefinition":
        return bool(dig(obj, "spec", "group") == GROUP)
    if is_ours(obj) or release_of(obj) in releases:
        return True
    return namespace in scope.agent_namespaces and _named_ours(place, metadata["name"], scope)


def _named_ours(place: Place, name: str, scope: Scope) -> bool:
    if place.kind == "Secret":
        return name.startswith(AGENT_SECRETS) or name in scope.secret_names
    if place.kind == "PersistentVolumeClaim":
        return name.startswith(WORKSPACE)
    return place.kind == "Namespace" or place.kind in RUN_KINDS


def is_ours(obj: Obj) -> bool:
    """Whether an object carries the labels of the platform."""
    labels = obj["metadata"].get("labels") or {}
    return bool(labels.get(_LABEL_PART_OF) == PART_OF or labels.get(_LABEL_MANAGED_BY) == FIELD_MANAGER)


def release_of(obj: Obj) -> str:
    """The Helm release that an object belongs to, as namespace/name; empty where it belongs to none."""
    notes = obj["metadata"].get("annotations") or {}
    if (obj["metadata"].get("labels") or {}).get(_LABEL_MANAGED_BY) != "Helm" or _RELEASE_NAME not in notes:
        return ""
    return f"{notes.get(_RELEASE_NAMESPACE, '')}/{notes[_RELEASE_NAME]}"


def _follow_owners(
    kept: dict[tuple[str, str, str], Saved], listed: list[tuple[Place, Obj]], releases: Collection[str]
) -> None:
    """Add what belongs to something that is kept, such as the ConfigMap of a run in an agents' namespace."""
    grown = True
    while grown:
        grown = False
        for place, obj in listed:
            metadata = obj["metadata"]
            key = _identity(place.kind, metadata.get("namespace"), metadata["name"])
            if key in kept or not any(_identity(*_of(owner, metadata)) in kept for owner in controllers_of(obj)):
                continue
            kept[key] = _saved(place, obj, releases)
            grown = True


def _saved(place: Place, obj: Obj, releases: Collection[str]) -> Saved:
    shown = cleaned(place, obj)
    owners = shown["metadata"].pop("ownerReferences", [])
    managers = obj["metadata"].get("managedFields") or []
    applied = any(entry.get("manager") == FIELD_MANAGER and entry.get("operation") == "Apply" for entry in managers)
    release = release_of(obj)
    status = clone(obj.get("status")) if place.kind in RUN_KINDS and obj.get("status") else None
    return Saved(place, shown, status, owners, applied, release if release in releases else "")


def unfinished(saved: Iterable[Saved]) -> list[str]:
    """Runs that were under way: their Jobs are not part of a backup, so the controller starts or judges them anew."""
    return [
        f"{one.place.kind} {one.namespace}/{one.name}"
        for one in saved
        if one.place.kind in RUN_KINDS and (one.status or {}).get("phase") not in ("Succeeded", "Failed")
    ]

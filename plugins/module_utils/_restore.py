# SPDX-License-Identifier: GPL-3.0-or-later
# SPDX-FileCopyrightText: 2026 The orchestrator.platform authors
#
# Private to this collection: names and behaviour may change in any release.
"""What a backup becomes in the cluster it is restored to: other namespaces, living owners, a chart's files. Pure."""

from __future__ import annotations

import base64
import binascii
import json
import typing as t
from collections.abc import Iterable, Mapping

from ansible_collections.orchestrator.platform.plugins.module_utils._backup import RUN_KINDS, Saved, cleaned
from ansible_collections.orchestrator.platform.plugins.module_utils._backup_files import Backup, Release
from ansible_collections.orchestrator.platform.plugins.module_utils._errors import PlatformError
from ansible_collections.orchestrator.platform.plugins.module_utils._names import check_namespaces
from ansible_collections.orchestrator.platform.plugins.module_utils._redact import is_named_secret
from ansible_collections.orchestrator.platform.plugins.module_utils._workloads import Json, Obj, clone

# Never replaced: they hold data, or a schema that stored objects may need.
KEPT_KINDS = (*RUN_KINDS, "PersistentVolumeClaim", "CustomResourceDefinition")
WORKING_KINDS = ("StatefulSet", "DaemonSet", "Deployment", "CronJob", "HorizontalPodAutoscaler")

_LAST_APPLIED = "kubectl.kubernetes.io/last-applied-configuration"
_RELEASE_NAMESPACE = "meta.helm.sh/release-namespace"
_NAMESPACE_LABEL = "kubernetes.io/metadata.name"


# -- other namespaces ----------------------------------------------------------------------------------------------


def check_mapping(backup: Backup, mapping: Mapping[str, str]) -> None:
    """Raises PlatformError for a mapping that means nothing for this backup."""
    check_namespaces(mapping.values(), "namespace_map")
    known = {*(backup.about.get("namespaces") or []), *(backup.about.get("agent_namespaces") or [])}
    unknown = sorted(set(mapping) - known)
    if unknown:
        raise PlatformError(
            f"namespace_map names {', '.join(unknown)}, which the archive does not hold: it holds "
            f"{', '.join(sorted(known))}."
        )
    targets = [mapping.get(name, name) for name in sorted(known)]
    twice = sorted({name for name in targets if targets.count(name) > 1})
    if twice:
        raise PlatformError(f"namespace_map would put two namespaces into {twice[0]}: give each one of its own.")


def in_namespaces(backup: Backup, mapping: Mapping[str, str]) -> Backup:
    """The backup as it is for other namespaces; names of objects stay."""
    if not mapping:
        return backup
    releases = [
        one._replace(
            namespace=mapping.get(one.namespace, one.namespace), values=t.cast(Obj, _values(one.values, mapping))
        )
        for one in backup.releases
    ]
    return backup._replace(saved=[_moved(one, mapping) for one in backup.saved], releases=releases)


def _moved(one: Saved, mapping: Mapping[str, str]) -> Saved:
    obj = clone(one.obj)
    metadata = obj["metadata"]
    if one.place.kind == "Namespace":
        metadata["name"] = mapping.get(metadata["name"], metadata["name"])
    elif one.namespace:
        metadata["namespace"] = mapping.get(one.namespace, one.namespace)
    notes = metadata.get("annotations") or {}
    if one.namespace or one.place.kind == "Namespace":
        notes.pop(_LAST_APPLIED, None)  # it names the old namespace
    if notes.get(_RELEASE_NAMESPACE) in mapping:
        notes[_RELEASE_NAMESPACE] = mapping[notes[_RELEASE_NAMESPACE]]
    if not notes:
        metadata.pop("annotations", None)
    for subject in obj.get("subjects") or []:
        if subject.get("namespace") in mapping:
            subject["namespace"] = mapping[subject["namespace"]]
    _move_parts(one.place.kind, obj, mapping)
    namespace, _slash, name = one.release.partition("/")
    release = f"{mapping.get(namespace, namespace)}/{name}" if name else ""
    return one._replace(obj=obj, release=release)


def _move_parts(kind: str, obj: Obj, mapping: Mapping[str, str]) -> None:
    if kind == "Service":
        for port in (obj.get("spec") or {}).get("ports") or []:
            port.pop("nodePort", None)  # the Service that it was copied from may hold it still
    elif kind == "ConfigMap":
        data = obj.get("data") or {}
        # Of a hand-made installation: the controller reads there which namespace it works in.
        if data.get("KUBERNETES_NAMESPACE") in mapping:
            data["KUBERNETES_NAMESPACE"] = mapping[data["KUBERNETES_NAMESPACE"]]


def _values(value: Json, mapping: Mapping[str, str], key: str = "") -> Json:
    """A chart's values with names of namespaces exchanged, where a key says that it holds one."""
    if isinstance(value, dict):
        names = value.get("key") == _NAMESPACE_LABEL
        return {
            inner: _values(item, mapping, "namespaces" if names and inner == "values" else inner)
            for inner, item in value.items()
        }
    if isinstance(value, list):
        return [_values(item, mapping, key[:-1] if key.lower().endswith("namespaces") else "") for item in value]
    if isinstance(value, str) and (key == _NAMESPACE_LABEL or key.lower().endswith("namespace")):
        return mapping.get(value, value)
    return value


# -- objects -------------------------------------------------------------------------------------------------------


def in_order(saved: Iterable[Saved]) -> list[list[Saved]]:
    """Groups in which objects can be written side by side: owners before what they own, workloads last."""
    groups: dict[tuple[int, int], list[Saved]] = {}
    kinds: dict[str, int] = {}
    for one in saved:
        number = kinds.setdefault(one.place.kind, len(kinds))
        phase = 2 if one.place.kind in WORKING_KINDS else 1 if one.owners else 0
        groups.setdefault((phase, number), []).append(one)
    return [groups[key] for key in sorted(groups)]


def body_of(one: Saved, uids: Mapping[tuple[str, str, str], str]) -> Obj:
    """The object as it is sent; owners that are not there are left out, since nothing could be owned by them."""
    owners = [
        {**owner, "uid": uid}
        for owner in one.owners
        for uid in [
            uids.get((owner["kind"], one.namespace, owner["name"])) or uids.get((owner["kind"], "", owner["name"]))
        ]
        if uid
    ]
    if not owners:
        return one.obj
    return {**one.obj, "metadata": {**one.obj["metadata"], "ownerReferences": owners}}


def alike(one: Saved, body: Obj, live: Obj) -> bool:
    """Whether a live object is what was saved; who owns it does not count where its owner is gone."""
    seen, wanted = cleaned(one.place, live), cleaned(one.place, body)
    if "ownerReferences" not in wanted["metadata"]:
        seen["metadata"].pop("ownerReferences", None)
    return seen == wanted


def must_be_made_anew(one: Saved, body: Obj, live: Obj) -> bool:
    """Whether the API server would not take a change in place."""
    if one.place.kind in ("Secret", "ConfigMap"):
        same_type = body.get("type", "Opaque") == live.get("type", "Opaque") or one.place.kind == "ConfigMap"
        return bool(live.get("immutable")) or not same_type
    if one.place.kind.endswith("RoleBinding"):
        return bool(body.get("roleRef") != live.get("roleRef"))
    return False


def replacement(body: Obj, live: Obj) -> Obj:
    """The body of a replacement of exactly the object that was read."""
    seen = live["metadata"]
    carried = {key: seen[key] for key in ("uid", "resourceVersion") if key in seen}
    if body["kind"] == "ServiceAccount" and live.get("secrets"):
        body = {**body, "secrets": live["secrets"]}
    return {**body, "metadata": {**body["metadata"], **carried}}


# -- releases ------------------------------------------------------------------------------------------------------


def chart_files(release: Release) -> dict[str, bytes]:
    """The files of a release's chart, as the release's record holds them; raises PlatformError for a foreign path."""
    chart = release.chart
    files = {
        "Chart.yaml": json.dumps(chart.get("metadata") or {}).encode(),
        "values.yaml": json.dumps(chart.get("values") or {}).encode(),
    }
    if chart.get("schema"):
        files["values.schema.json"] = _decoded(chart["schema"], release)
    for item in [*(chart.get("templates") or []), *(chart.get("files") or [])]:
        name = str(item.get("name") or "")
        if name.startswith("/") or "\\" in name or {"", ".", ".."} & set(name.split("/")):
            raise PlatformError(f"The chart of release {release.label} holds a file {name!r} outside of itself.")
        files[name] = _decoded(item.get("data") or "", release)
    return files


def _decoded(data: str, release: Release) -> bytes:
    try:
        return base64.b64decode(data)
    except (binascii.Error, ValueError) as exc:
        raise PlatformError(f"The chart of release {release.label} holds a file that cannot be read.") from exc


def holds_secret(values: Json, key: str = "") -> bool:
    """Whether a chart's values hold something that its key calls a secret, and not only the name of one."""
    if isinstance(values, dict):
        return any(holds_secret(value, str(name)) for name, value in values.items())
    if isinstance(values, list):
        return any(holds_secret(value, key) for value in values)
    if not isinstance(values, str) or not values or "name" in key.lower() or "existing" in f"{key} {values}".lower():
        return False
    return is_named_secret(key, values)


def same_chart(left: Release, right: Release) -> bool:
    """Whether two releases have the same chart in the same version, and the same values."""
    return left.version == right.version and left.values == right.values

# SPDX-License-Identifier: GPL-3.0-or-later
# SPDX-FileCopyrightText: 2026 The orchestrator.platform authors
#
# Private to this collection: names and behaviour may change in any release.
"""CRDs: whose they are, whether they are as delivered and served, and fields that a schema does not know. Pure."""

from __future__ import annotations

import base64
import binascii
import typing as t
from collections.abc import Iterable, Iterator

from ansible_collections.orchestrator.platform.plugins.module_utils._errors import ManifestError
from ansible_collections.orchestrator.platform.plugins.module_utils._fields import covers
from ansible_collections.orchestrator.platform.plugins.module_utils._sidecar import FIELD_MANAGER
from ansible_collections.orchestrator.platform.plugins.module_utils._workloads import Json, Obj, dig
from ansible_collections.orchestrator.platform.plugins.module_utils._yaml import read_text

CRDS_PATH = "/apis/apiextensions.k8s.io/v1/customresourcedefinitions"
HELM_RELEASE = "meta.helm.sh/release-name"
HELM_NAMESPACE = "meta.helm.sh/release-namespace"


class Verdict(t.NamedTuple):
    """What a run would do with a CRD: `created`, `updated`, `taken_over`, `unchanged`; or a refusal, in a sentence."""

    outcome: str
    message: str = ""

    @property
    def refused(self) -> bool:
        """Whether nothing may be written."""
        return self.outcome in ("foreign", "terminating")


def name_of(definition: Obj) -> str:
    """Name of a CRD."""
    return str(definition["metadata"]["name"])


def objects_path(definition: Obj) -> str:
    """API path of all objects of the kind, in its stored version."""
    spec = definition["spec"]
    version = next(item["name"] for item in spec["versions"] if item.get("storage"))
    return f"/apis/{spec['group']}/{version}/{spec['names']['plural']}"


def is_current(definition: Obj, live: Obj) -> bool:
    """Whether a live CRD holds all of the delivered one."""
    return covers(live.get("spec"), definition["spec"], "spec")


def is_ours(live: Obj) -> bool:
    """Whether this collection has applied the CRD before."""
    return any(entry.get("manager") == FIELD_MANAGER for entry in _entries(live))


def managers_of_spec(live: Obj) -> list[str]:
    """Field managers that own something of the spec, without the API server's own entries about the status."""
    found = [str(entry.get("manager")) for entry in _entries(live) if "f:spec" in (entry.get("fieldsV1") or {})]
    return list(dict.fromkeys(found))


def judge_crd(definition: Obj, live: Obj | None, take_over: Iterable[str]) -> Verdict:
    """What is to be done with one CRD; `take_over` are managers whose fields may be taken.

    A CRD that we have applied before is put back, whoever has edited it since.
    """
    name = name_of(definition)
    if live is None:
        return Verdict("created")
    if dig(live, "metadata", "deletionTimestamp"):
        return Verdict(
            "terminating",
            f"CRD {name} is being deleted with every object of its kind: wait until it is gone, or take away what "
            "holds it back, and run again.",
        )
    release = dig(live, "metadata", "annotations", HELM_RELEASE)
    if release:
        where = dig(live, "metadata", "annotations", HELM_NAMESPACE) or "?"
        return Verdict(
            "foreign",
            f"CRD {name} belongs to Helm release {where}/{release}, which would change or delete it again: remove it "
            f"from that chart, or set orchestrator_crds: false to leave the CRDs to it.",
        )
    return _judge_owned(definition, live, set(take_over))


def _judge_owned(definition: Obj, live: Obj, allowed: set[str]) -> Verdict:
    name, current = name_of(definition), is_current(definition, live)
    if is_ours(live):
        return Verdict("unchanged" if current else "updated")
    others = [manager for manager in managers_of_spec(live) if manager not in allowed]
    if others and current:
        return Verdict("unchanged")  # somebody else keeps it as it is to be
    if others:
        return Verdict(
            "foreign",
            f"CRD {name} is not the one of this collection and belongs to {', '.join(others)}: if it may become ours, "
            f"add that to orchestrator_crds_take_over, else set orchestrator_crds: false.",
        )
    return Verdict("taken_over")


def conditions(live: Obj) -> dict[str, Obj]:
    """Conditions of a CRD by type."""
    return {item.get("type", ""): item for item in dig(live, "status", "conditions") or []}


def is_established(live: Obj) -> bool:
    """Whether the API server serves the kind."""
    return bool(conditions(live).get("Established", {}).get("status") == "True")


def name_conflict(live: Obj) -> str:
    """Why the API server does not accept the names of a CRD; "" when it does or has not decided yet."""
    accepted = conditions(live).get("NamesAccepted", {})
    return str(accepted.get("message") or "its names are taken") if accepted.get("status") == "False" else ""


# -- fields in use -------------------------------------------------------------------------------------------------


def crds_of_record(record: Obj) -> list[Obj]:
    """The CRDs in the crds folder of the chart that a decoded release record holds."""
    found = []
    for file in dig(record, "chart", "files") or []:
        if str(file.get("name", "")).startswith("crds/"):
            try:
                documents = read_text(base64.b64decode(file.get("data") or "").decode("utf-8"))
            except (ManifestError, binascii.Error, UnicodeDecodeError):
                continue
            found += [item.obj for item in documents if item.obj.get("kind") == "CustomResourceDefinition"]
    return found


def unknown_fields(definition: Obj, obj: Obj) -> list[str]:
    """Dotted paths of an object's spec and status that the schema of a CRD does not know, and so would be dropped."""
    versions = definition["spec"].get("versions") or []
    schema = next((dig(item, "schema", "openAPIV3Schema") for item in versions if item.get("storage")), None) or {}
    properties = schema.get("properties") or {}
    return [
        path for part in ("spec", "status") if part in obj for path in _unknown(properties.get(part), obj[part], part)
    ]


def _unknown(schema: Obj | None, value: Json, path: str) -> Iterator[str]:
    if schema is None:
        yield path
    elif schema.get("x-kubernetes-preserve-unknown-fields"):
        return
    elif isinstance(value, dict):
        properties, others = schema.get("properties") or {}, schema.get("additionalProperties")
        for key, item in value.items():
            known = properties.get(key)
            if known is None and others:
                known = others if isinstance(others, dict) else {"x-kubernetes-preserve-unknown-fields": True}
            yield from _unknown(known, item, f"{path}.{key}")
    elif isinstance(value, list):
        for item in value:
            yield from _unknown(schema.get("items") or {}, item, path)


def _entries(live: Obj) -> list[Obj]:
    return [entry for entry in dig(live, "metadata", "managedFields") or [] if not entry.get("subresource")]

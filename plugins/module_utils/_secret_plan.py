# SPDX-License-Identifier: GPL-3.0-or-later
# SPDX-FileCopyrightText: 2026 The orchestrator.platform authors
#
# Private to this collection: names and behaviour may change in any release.
"""Decides what happens to one Secret: the apply that brings it about, or the reason why not. Pure.

What is wanted is compared with what the API server holds, in memory: no digest of a value is kept anywhere, since one
that can be read can be tried against guesses. Nothing that leaves this file but `body` holds a value.
"""

from __future__ import annotations

import base64
import typing as t
from collections.abc import Mapping

from ansible_collections.orchestrator.platform.plugins.module_utils._outcomes import Code, field_conflict
from ansible_collections.orchestrator.platform.plugins.module_utils._preflight import (
    MANAGED_BY,
    MANAGED_BY_LABEL,
    PART_OF,
    PART_OF_LABEL,
)
from ansible_collections.orchestrator.platform.plugins.module_utils._secret_wanted import Wanted
from ansible_collections.orchestrator.platform.plugins.module_utils._sidecar import FIELD_MANAGER
from ansible_collections.orchestrator.platform.plugins.module_utils._workloads import (
    PREFIX,
    Obj,
    annotation,
    dig,
    owned_fields,
)

ANNOTATION_ROTATION = PREFIX + "rotation"
OUR_LABELS = {MANAGED_BY_LABEL: MANAGED_BY, PART_OF_LABEL: PART_OF}
MAX_BYTES = 1_048_576  # of all values of a Secret together (kubernetes.io, Secrets, "Size limit")

# Stable for ever, in the order in which results count them.
OUTCOMES = ("created", "updated", "recreated", "unchanged", "removed", "skipped", "conflict", "failed")

_HAND_OVER = "Remove it with kubectl if nobody needs it, or choose another name; nothing is ever taken by force."
CODES: dict[str, Code] = {
    "created": Code("created", "The Secret was made.", "Nothing."),
    "updated": Code("updated", "The Secret was brought up to date: {fields}.", "Nothing."),
    "recreated": Code("recreated", "The Secret was deleted and made anew: {fields}.", "Nothing. Its uid is new."),
    "as_wanted": Code("unchanged", "The Secret is as wanted; nothing was sent.", "Nothing."),
    "not_ours_same": Code(
        "unchanged", "Somebody else's Secret holds what is wanted already; it was left as it is.", "Nothing."
    ),
    "removed": Code("removed", "The Secret was removed.", "Nothing."),
    "absent": Code("unchanged", "There is no such Secret; nothing was sent.", "Nothing."),
    "not_reached": Code(
        "skipped", "Nothing was sent, since another Secret of this task cannot be written.", "Mend what the others say."
    ),
    "not_ours": Code(
        "conflict",
        "A Secret of this name is there and is not ours, so it was left alone: remove it, or choose another name.",
        _HAND_OVER,
    ),
    "field_conflict": Code(
        "conflict",
        "Field {field} belongs to {manager}; it is not taken by force. Change it there, then run again.",
        "Take the field out of what that manager applies, then run again.",
    ),
    "immutable": Code(
        "failed",
        "The Secret is immutable and would change ({fields}): set recreate: true to have it deleted and made anew.",
        "Set `recreate: true`, or choose another name and let the pods follow.",
    ),
    "type_differs": Code(
        "failed",
        "The Secret is of type {found}, not {type}, and a type cannot be changed: set recreate: true to have it "
        "deleted and made anew.",
        "Set `recreate: true`, or correct `type`.",
    ),
    "being_deleted": Code(
        "failed", "The Secret is being deleted, and a finalizer holds it: wait until it is gone.", "Run again then."
    ),
    "no_namespace": Code(
        "failed",
        "Namespace {namespace} does not exist: make it first (kubectl create namespace {namespace}).",
        "Make the namespace, or correct `namespace`.",
    ),
    "forbidden": Code(
        "failed",
        "The API server forbids it: {reason}",
        "Get get, list, create, patch and delete on Secrets in that namespace.",
    ),
    "invalid": Code("failed", "The API server finds the Secret invalid: {reason}", "Correct what the sentence names."),
    "gone": Code("failed", "The Secret was deleted or made anew by somebody else during the run.", "Run again."),
    "api_error": Code("failed", "The API server could not do it: {reason}", "Look at the API server, then run again."),
    "lost": Code(
        "failed",
        "The Secret was deleted and could not be made again: {reason}",
        "Run again with the same sources; a value that only the cluster held is gone.",
    ),
}

# What was only a dry run has not happened.
_UNSENT = {
    "created": "The Secret would be made.",
    "updated": "The Secret would be brought up to date: {fields}.",
    "recreated": "The Secret would be deleted and made anew: {fields}.",
    "removed": "The Secret would be removed.",
}


class Change(t.NamedTuple):
    """Names of what differs, never a value."""

    added: tuple[str, ...] = ()
    changed: tuple[str, ...] = ()
    removed: tuple[str, ...] = ()
    other: tuple[str, ...] = ()  # metadata, immutable

    @property
    def data(self) -> tuple[str, ...]:
        """The keys that differ."""
        return (*self.added, *self.changed, *self.removed)

    def __bool__(self) -> bool:
        return bool(self.data or self.other)

    def __str__(self) -> str:
        words = (
            ("key added", self.added),
            ("key changed", self.changed),
            ("key removed", self.removed),
            ("changed", self.other),
        )
        return "; ".join(f"{word} {', '.join(names)}" for word, names in words if names)


class Plan(t.NamedTuple):
    """The decision for one Secret; without `sends` nothing is sent."""

    wanted: Wanted
    code: str
    values: Mapping[str, str]  # blanks of the sentence
    change: Change = Change()
    kept: tuple[str, ...] = ()  # keys that are there and stay as they are
    uid: str = ""
    version: str = ""
    body: Obj | None = None  # the apply, values in base64
    sends: str = ""  # apply, recreate or delete

    @property
    def outcome(self) -> str:
        """The outcome that the code belongs to."""
        return CODES[self.code].outcome

    def message(self, *, sent: bool) -> str:
        """Its sentence, in the conditional where nothing was sent."""
        text = CODES[self.code].sentence if sent else _UNSENT.get(self.code, CODES[self.code].sentence)
        return text.format(**self.values)

    def answered(self, code: str, **values: str) -> Plan:
        """The same Secret with another end."""
        return self._replace(code=code, values=values, sends="", body=None)


def is_ours(live: Obj) -> bool:
    """Whether the Secret carries this collection's labels."""
    labels = dig(live, "metadata", "labels") or {}
    return OUR_LABELS.items() <= labels.items()


def rotates(wanted: Wanted, live: Obj | None) -> bool:
    """Whether the marker asks for new values in place of kept ones."""
    return live is not None and wanted.rotate is not None and annotation(live, ANNOTATION_ROTATION) != wanted.rotate


def plan_absent(wanted: Wanted, live: Obj | None) -> Plan:
    """The removal of a Secret of ours."""
    if live is None:
        return Plan(wanted, "absent", {})
    if not is_ours(live):
        return Plan(wanted, "not_ours", {})
    if dig(live, "metadata", "deletionTimestamp"):
        return Plan(wanted, "being_deleted", {})
    change = Change(removed=tuple(live.get("data") or {}))
    return Plan(wanted, "removed", {}, change, uid=live["metadata"]["uid"], sends="delete")


def plan_present(wanted: Wanted, live: Obj | None, values: Mapping[str, bytes], *, recreate: bool) -> Plan:
    """What makes the Secret as wanted; `values` has one for each of its keys."""
    data = {key: base64.b64encode(value).decode() for key, value in values.items()}
    if live is None:
        return Plan(wanted, "created", {}, Change(added=tuple(data)), body=_body(wanted, data), sends="apply")
    held, kind = live.get("data") or {}, wanted.type
    if not is_ours(live):
        same = data.items() <= held.items() and kind in (None, live.get("type"))
        return Plan(wanted, "not_ours_same" if same else "not_ours", {}, kept=tuple(data) if same else ())
    if dig(live, "metadata", "deletionTimestamp"):
        return Plan(wanted, "being_deleted", {})
    retyped = kind not in (None, live.get("type"))
    if not wanted.prune:
        data = {**_unnamed(live, data, every=retyped), **data}
    return _plan_over(wanted, live, _body(wanted, data, live), retyped=retyped, recreate=recreate)


def _plan_over(wanted: Wanted, live: Obj, body: Obj, *, retyped: bool, recreate: bool) -> Plan:
    """The change of a Secret of ours, in place where the API server permits that."""
    change = _change(live, body)
    kept = tuple(key for key in body["data"] if key not in change.data)
    if not change and not retyped:
        return Plan(wanted, "as_wanted", {}, kept=kept)
    metadata = live["metadata"]
    fields = "; ".join(filter(None, [str(change), f"type {wanted.type}" if retyped else ""]))
    plan = Plan(wanted, "updated", {"fields": fields}, change, kept, metadata["uid"], metadata["resourceVersion"])
    frozen = bool(live.get("immutable")) and bool(change.data or "immutable" in change.other)
    if not retyped and not frozen:
        body["metadata"]["uid"] = plan.uid
        return plan._replace(body=body, sends="apply")
    if recreate:
        return plan._replace(code="recreated", body=body, sends="recreate")
    if retyped:
        return plan.answered("type_differs", found=str(live.get("type")), type=str(wanted.type))
    return plan.answered("immutable", fields=fields)


def _body(wanted: Wanted, data: Mapping[str, str], live: Obj | None = None) -> Obj:
    """The whole apply: what it leaves out of what is ours, the API server removes."""
    held = live or {}
    marker = wanted.rotate if wanted.rotate is not None else annotation(held, ANNOTATION_ROTATION)
    notes = {**dict(wanted.annotations), **({} if marker is None else {ANNOTATION_ROTATION: marker})}
    immutable = bool(held.get("immutable")) if wanted.immutable is None else wanted.immutable
    metadata: Obj = {"name": wanted.name, "namespace": wanted.namespace}
    metadata["labels"] = {**dict(wanted.labels), **OUR_LABELS}
    return {
        "apiVersion": "v1",
        "kind": "Secret",
        "metadata": {**metadata, **({"annotations": notes} if notes else {})},
        "type": wanted.type or held.get("type") or "Opaque",
        "data": dict(data),
        **({"immutable": True} if immutable else {}),
    }


def _unnamed(live: Obj, data: Mapping[str, str], *, every: bool) -> dict[str, str]:
    """The keys that are not asked for and would go with an apply without them, or with the whole object."""
    ours = _owned(live, "data")
    frozen = every or bool(live.get("immutable"))  # then it may be made anew, and nobody else puts his keys back
    return {
        key: value for key, value in (live.get("data") or {}).items() if key not in data and (frozen or key in ours)
    }


def _owned(live: Obj, *path: str) -> set[str]:
    """Names of the fields below a path that the API server has recorded as ours."""
    fields = dig(owned_fields(live, FIELD_MANAGER) or {}, *(f"f:{step}" for step in path)) or {}
    return {name[2:] for name in fields if name.startswith("f:")}


def _change(live: Obj, body: Obj) -> Change:
    held, data = live.get("data") or {}, body["data"]
    other = []
    for part in ("labels", "annotations"):
        have, want = dig(live, "metadata", part) or {}, body["metadata"].get(part) or {}
        if any(have.get(name) != text for name, text in want.items()) or _owned(live, "metadata", part) - set(want):
            other.append(part)
    if bool(live.get("immutable")) != bool(body.get("immutable")):
        other.append("immutable")
    return Change(
        added=tuple(sorted(set(data) - set(held))),
        changed=tuple(sorted(key for key in data if key in held and held[key] != data[key])),
        removed=tuple(sorted((_owned(live, "data") & set(held)) - set(data))),
        other=tuple(other),
    )


def refused(plan: Plan, status: int, reason: str, body: Obj) -> Plan:
    """The end of a Secret that the API server did not take; `reason` holds no value."""
    conflict = field_conflict(status, body)
    if conflict is not None:
        return plan.answered("field_conflict", field=conflict[0], manager=conflict[1])
    if names_missing_namespace(status, body):
        return plan.answered("no_namespace", namespace=plan.wanted.namespace)
    if status in (404, 409):
        return plan.answered("gone")
    return plan.answered({403: "forbidden", 422: "invalid", 400: "invalid"}.get(status, "api_error"), reason=reason)


def names_missing_namespace(status: int, body: Obj) -> bool:
    """Whether the answer says that the namespace is not there, rather than the Secret."""
    return status == 404 and dig(body, "details", "kind") == "namespaces"


def row_of(plan: Plan, *, sent: bool, public_keys: Mapping[str, str] | None = None) -> Obj:
    """A row of the module's result."""
    return {
        "namespace": plan.wanted.namespace,
        "name": plan.wanted.name,
        "outcome": plan.outcome,
        "code": plan.code,
        "message": plan.message(sent=sent),
        "key_names": [key.name for key in plan.wanted.keys],
        "changed_keys": sorted(plan.change.data) if plan.sends else [],
        "public_keys": dict(public_keys or {}),
    }


def diff_of(plans: list[Plan]) -> Obj:
    """Before and after of what is sent: names of keys and whether their values differ, nothing else."""
    before: Obj = {}
    after: Obj = {}
    for plan in plans:
        if not plan.sends:
            continue
        place, change = "/".join(plan.wanted.place), plan.change
        old = dict.fromkeys((*plan.kept, *change.changed, *change.removed), "a value")
        new = {**dict.fromkeys(plan.kept, "a value"), **dict.fromkeys((*change.changed, *change.added), "a new value")}
        if plan.uid:
            before[place] = dict(sorted(old.items()))
        if plan.sends != "delete":
            also = {"also changed": list(change.other)} if change.other else {}
            after[place] = {**dict(sorted(new.items())), **also}
    return {"before": before, "after": after}

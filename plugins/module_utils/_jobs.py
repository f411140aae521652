# SPDX-License-Identifier: GPL-3.0-or-later
# SPDX-FileCopyrightText: 2026 The orchestrator.platform authors
#
# Private to this collection: names and behaviour may change in any release.
"""What can be done about a Job, whose pod template never changes: wait for the next one, or make it anew. Pure."""

from __future__ import annotations

from ansible_collections.orchestrator.platform.plugins.module_utils._redact import redact
from ansible_collections.orchestrator.platform.plugins.module_utils._workloads import (
    ANNOTATION_HASH,
    Obj,
    clone,
    dig,
)

# Set by the Job controller and its defaults on the template and the selector; the new Job gets its own.
_GENERATED = (
    "controller-uid",
    "batch.kubernetes.io/controller-uid",
    "job-name",
    "batch.kubernetes.io/job-name",
)
_TRACKING = "batch.kubernetes.io/job-tracking"
_KEPT = ("name", "namespace", "labels", "annotations")
_COUNTS = ("active", "succeeded", "failed", "ready", "terminating")


def has_begun(job: Obj) -> bool:
    """Whether pods of the Job have run, or may have."""
    status = job.get("status") or {}
    if status.get("startTime") or status.get("completionTime") or any(status.get(name) for name in _COUNTS):
        return True
    if any((status.get("uncountedTerminatedPods") or {}).values()):
        return True
    ended = ("Complete", "Failed", "SuccessCriteriaMet", "FailureTarget")
    return any(item.get("type") in ended and item.get("status") == "True" for item in status.get("conditions") or [])


def made_with_sidecar(job: Obj, manager: str) -> bool:
    """Whether that manager made the Job, sidecar included: a creation is recorded as Update, not as Apply."""
    for entry in dig(job, "metadata", "managedFields") or []:
        if entry.get("manager") == manager and entry.get("operation") == "Update" and not entry.get("subresource"):
            notes = dig(entry, "fieldsV1", "f:spec", "f:template", "f:metadata", "f:annotations") or {}
            return "f:" + ANNOTATION_HASH in notes
    return False


def reason_to_keep(job: Obj) -> str | None:
    """Why a Job that seems not to have begun is not made anew all the same; None when it may be."""
    metadata = job["metadata"]
    if metadata.get("ownerReferences"):
        return "it has an owner, which would notice."
    if metadata.get("finalizers"):
        return "it has finalizers, so that its deletion may take any time."
    # Suspending a Job takes back its startTime and its pods leave no count, but each such change is a new generation.
    if dig(job, "spec", "suspend") and int(metadata.get("generation") or 1) > 1:
        return "it was changed after it was made, so that it may have run before it was suspended."
    manifest = renewed(job)
    if redact(manifest) != manifest:
        return (
            "it holds a value shaped or named like a secret, without which its manifest could not be given back if its "
            "re-creation failed; put that value into a Secret."
        )
    return None


def renewed(job: Obj) -> Obj:
    """The manifest that makes the Job anew, without anything that belonged to this instance of it."""
    result: Obj = {"apiVersion": "batch/v1", "kind": "Job"}
    result["metadata"] = {key: clone(job["metadata"][key]) for key in _KEPT if job["metadata"].get(key)}
    result["spec"] = clone(job["spec"])
    _drop(result["metadata"], "annotations", (_TRACKING,))
    if not result["spec"].get("manualSelector"):
        result["spec"].pop("selector", None)
        _drop(result["metadata"], "labels", _GENERATED)
        template = result["spec"]["template"].get("metadata")
        if template:
            template.pop("creationTimestamp", None)
            _drop(template, "labels", _GENERATED)
    return result


def _drop(metadata: Obj, field: str, names: tuple[str, ...]) -> None:
    kept = {key: value for key, value in (metadata.get(field) or {}).items() if key not in names}
    if kept:
        metadata[field] = kept
    else:
        metadata.pop(field, None)

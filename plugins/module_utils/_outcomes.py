# SPDX-License-Identifier: GPL-3.0-or-later
# SPDX-FileCopyrightText: 2026 The orchestrator.platform authors
#
# Private to this collection: names and behaviour may change in any release.
"""The outcomes of injection: stable codes, a sentence each, what to do, and the manual page docs/outcomes.md. Pure.

Regenerate the page from the root of a checkout, with PYTHONPATH=.ansible/collections:
    python -m ansible_collections.orchestrator.platform.plugins.module_utils._outcomes > docs/outcomes.md
"""

from __future__ import annotations

import sys
import typing as t

from ansible_collections.orchestrator.platform.plugins.module_utils._workloads import Obj, dig

# Stable for ever, in the order in which results count them.
OUTCOMES = ("injected", "updated", "unchanged", "removed", "skipped", "conflict", "failed")


class Code(t.NamedTuple):
    """One answer: the outcome it belongs to, its sentence with blanks for format(), and the reader's next step."""

    outcome: str
    sentence: str
    mend: str


_NOTHING = "Nothing."

# Stable for ever: users write conditions on these codes.
CODES: dict[str, Code] = {
    "injected": Code("injected", "The sidecar was added.", _NOTHING),
    "updated": Code(
        "updated",
        "The sidecar was brought up to date.",
        "Nothing. The published snippet, an override or a field that somebody had changed made the difference; "
        "`sidecar_info` says beforehand which.",
    ),
    "unchanged": Code("unchanged", "The sidecar is as published; nothing was sent.", _NOTHING),
    "removed": Code("removed", "Everything we owned was removed.", _NOTHING),
    "absent": Code("unchanged", "We own nothing here; nothing was sent.", _NOTHING),
    "job_recreated": Code(
        "injected",
        "The Job, of which nothing had run, was deleted and made again with the sidecar.",
        "Nothing. Its uid and its age are new.",
    ),
    "opt_out": Code(
        "skipped",
        "An annotation orchestrator.platform/inject on the workload or its namespace says false.",
        "Remove the annotation if the workload is to be watched.",
    ),
    "included": Code(
        "skipped",
        "The workload's own manifest brings container {container}; it is left to its owner.",
        "Nothing. To have it kept up to date by the module, take the container out of the manifest.",
    ),
    "host_network": Code(
        "skipped",
        "The pods use the node's network, where the health port could collide.",
        "Take `hostNetwork` out, or leave the workload unwatched.",
    ),
    "windows": Code(
        "skipped",
        "The pods run on Windows nodes, where the sidecar's image cannot.",
        "Leave the workload out of the selection.",
    ),
    "controlled": Code(
        "skipped",
        "{controller} controls this and would undo the change; change it there.",
        "Select the controller, or set the sidecar in whatever makes it.",
    ),
    "unsupported_kind": Code(
        "skipped",
        "A bare {kind} cannot be given a sidecar: {advice}",
        "Make it a Deployment or a Job, or pass its manifest through the filter `with_sidecar` and create it anew.",
    ),
    "being_deleted": Code("skipped", "The workload is being deleted.", _NOTHING),
    "job_immutable": Code(
        "skipped",
        "The pod template of a Job cannot be changed: {advice}",
        "Set `recreate_jobs`, which deletes and makes anew a Job of which nothing has run, or let the next one come "
        "with the sidecar: by the chart's admission policy, its include, or the filter `with_sidecar`. One that was "
        "made anew keeps its sidecar, whatever is published later, until it is deleted.",
    ),
    "job_next_run": Code(
        "skipped",
        "The Job has begun or ended, and its pod template cannot be changed; the next one can come with the sidecar.",
        "Let the next one come with the sidecar: by the chart's admission policy, its include, or the filter "
        "`with_sidecar`.",
    ),
    "job_needs_native": Code(
        "skipped",
        "A Job would never end beside an ordinary container, so it takes a native sidecar alone.",
        "Set `form: auto` or `form: native`, on Kubernetes 1.29 or newer.",
    ),
    "port_conflict": Code(
        "skipped",
        "Container {container} already uses port {port}; set another health port in the chart's values.",
        "Set `probes.port` (watcher) or `inputBridge.port` in the chart's values.",
    ),
    "unsupported_mount": Code(
        "skipped",
        "Container {container} mounts {path} {reason}",
        "Mount a whole volume there, or name another by the annotation orchestrator.platform/transcript-volume.",
    ),
    "not_reached": Code(
        "skipped",
        "An earlier batch failed, so this workload was left as it was.",
        "Mend what failed, then run again; or set `on_failure: continue`.",
    ),
    "name_conflict": Code(
        "conflict",
        "{what} is there already and is not ours: rename it, or leave the workload out.",
        "Rename the container or volume in the workload's own manifest. Nothing is ever taken by force.",
    ),
    "field_conflict": Code(
        "conflict",
        "Field {field} belongs to {manager}; it is not taken by force. Change it there, then run again.",
        "Take the field out of what that manager applies, then run again.",
    ),
    "container_missing": Code(
        "failed",
        "There is no container {container}; name one of: {containers}.",
        "Correct the annotation orchestrator.platform/container or the module's `container`.",
    ),
    "volume_missing": Code(
        "failed",
        "There is no volume {volume} in the pod, which {setting} names; there are: {volumes}.",
        "Name a volume of the pod template, or take the setting away.",
    ),
    "invalid_override": Code("failed", "{reason}", "Correct the setting that the sentence names."),
    "secret_missing": Code(
        "failed",
        "Secret {secret}, from which container {container} reads, is not in namespace {namespace}: create it first.",
        "Create the Secret (role `secrets` does), or name another by the annotation "
        "orchestrator.platform/webhook-secret-name, for a bridge orchestrator.platform/input-secret-name.",
    ),
    "native_unsupported": Code(
        "failed",
        "Native sidecars need Kubernetes 1.29 on the server and every node; found {version}.",
        "Set `form: auto` or `form: container`, or upgrade.",
    ),
    "pss_violation": Code(
        "failed",
        "Pod Security refuses the new pods: {reason}",
        "Correct the pod template, or relax the namespace's label pod-security.kubernetes.io/enforce.",
    ),
    "quota": Code("failed", "A quota refuses the new pods: {reason}", "Raise the ResourceQuota, or lower requests."),
    "forbidden": Code(
        "failed",
        "The API server forbids the change: {reason}",
        "Give the user the right, or leave the namespace out; an admission policy may be the one who refuses.",
    ),
    "gone": Code("failed", "The workload was deleted or made anew during the run; run again.", "Run again."),
    "not_found": Code(
        "failed",
        "No workload of the selected kinds and namespaces has this name.",
        "Correct `names`, `kinds` or `namespaces`.",
    ),
    "invalid": Code(
        "failed",
        "The API server finds the result invalid: {reason}",
        "Correct what the sentence names; often it is an item of the workload that only half exists.",
    ),
    "api_error": Code(
        "failed", "The API server could not apply the change: {reason}", "Look at the API server, then run again."
    ),
    "rollout_failed": Code(
        "failed",
        "The rollout failed: {reason}",
        "Mend what the sentence names, then run again. `on_failure: rollback` puts back what this run has added, never "
        "a removal or what an earlier run began.",
    ),
    "rollout_timeout": Code(
        "failed",
        "The rollout was not complete after {seconds} s: {reason}",
        "Look at the workload's pods and events, or raise `wait_timeout`.",
    ),
    "rolled_back": Code(
        "failed",
        "The rollout failed and the workload was put back to what it held before: {reason}",
        "Mend what the sentence names, then run again.",
    ),
}


# Said beside an outcome, behind its sentence and with the code in front; none of them keeps the sidecar out.
NOTES: dict[str, str] = {
    "left_behind": "The sidecar of an earlier run is still in it: a run with state absent (sidecar_state in the role) "
    "and names limited to this workload takes it out.",
    "uid_mismatch": "The agent runs as root and the watcher never does: files of mode 0600 stay unread. Set "
    "securityContext.runAsUser of the agent to another user, which the watcher then adopts.",
    "uid_unknown": "The workload names no runAsUser for its agent, so the watcher runs as user {own}: files of "
    "mode 0600 stay unread unless the agent has that user too; securityContext.runAsUser makes both the same.",
    "secret_missing": "Secret {secret}, from which container {container} reads, is not in namespace {namespace} yet.",
    "sees_more": "The watcher sees the whole of volume {volume} that the agent has at {path}, read-only: a folder of "
    "it could only be mounted alone by letting the kubelet make it as root, where the agent then could not write. A "
    "volume for the transcripts alone, named by orchestrator.platform/transcript-volume, narrows it.",
    "unknown_annotation": "Nothing reads {names}; docs/sidecar-settings.md has the annotations that count.",
    "mount_held": "The agent's mounts at {paths} have become their owner's, while the API server still counts the "
    "items as ours: we keep holding them, since they would go with us.",
    "included_differs": "It differs from the published snippet in: {fields}.",
}


class Plan(t.NamedTuple):
    """The decision for one workload.

    `body` is the apply patch and `recreate` the manifest of a Job to delete and create; both None: nothing is sent.
    """

    outcome: str
    code: str
    message: str
    body: Obj | None = None
    note: str = ""
    recreate: Obj | None = None


class NoPlanError(Exception):
    """Ends the making of a plan with its answer."""

    def __init__(self, code: str, **values: object) -> None:
        super().__init__(code)
        self.plan = answer(code, **values)


def sentence(code: str, **values: object) -> str:
    """The sentence of a code with its blanks filled."""
    return CODES[code].sentence.format(**values)


def remark(code: str, **values: object) -> str:
    """A note: its code and its sentence."""
    return f"{code}: {NOTES[code].format(**values)}"


def answer(code: str, **values: object) -> Plan:
    """The plan that sends nothing and answers with a code; its outcome is the code's."""
    return Plan(CODES[code].outcome, code, sentence(code, **values))


# What was only looked at, or sent as a dry run, has not happened.
_UNSENT = {
    "injected": "The sidecar would be added.",
    "updated": "The sidecar would be brought up to date.",
    "removed": "Everything we own would be removed.",
    "job_recreated": "The Job, of which nothing has run, would be deleted and made again with the sidecar.",
}


def message_of(plan: Plan, *, sent: bool) -> str:
    """A plan's sentence with its note, in the conditional where nothing was sent."""
    text = plan.message if sent else _UNSENT.get(plan.code, plan.message)
    if not plan.note:
        return text
    # What somebody else has said may end without a full stop.
    return f"{text}{'' if text.endswith(('.', '!', '?', '…')) else '.'} {plan.note}"


def field_conflict(status: int, body: Obj) -> tuple[str, str] | None:
    """The fields that an apply may not take, and who has them; None where the answer is about something else."""
    causes = dig(body, "details", "causes") or []
    conflicts = [cause for cause in causes if cause.get("reason") == "FieldManagerConflict"]
    if status != 409 or not conflicts:
        return None
    manager = conflicts[0].get("message", "").split('"')
    name = manager[1] if len(manager) > 1 else "another manager"
    return ", ".join(cause.get("field", "?") for cause in conflicts[:3]), name


def plan_of_error(status: int, message: str, body: Obj) -> Plan:
    """The outcome for a change that the API server refused."""
    conflict = field_conflict(status, body)
    if conflict is not None:
        return answer("field_conflict", field=conflict[0], manager=conflict[1])
    if status in (404, 409):
        return answer("gone")
    code = {403: "forbidden", 422: "invalid"}.get(status, "api_error")
    return answer(code, reason=message)


def manual() -> str:
    """The page docs/outcomes.md: a section a code."""
    lines = [
        "<!-- SPDX-License-Identifier: GPL-3.0-or-later -->",
        "<!-- SPDX-FileCopyrightText: 2026 The orchestrator.platform authors -->",
        "<!-- Written by plugins/module_utils/_outcomes.py, whose docstring has the command; a test compares. -->",
        "",
        "# Outcomes of injection",
        "",
        "What the module `orchestrator.platform.sidecar` answers for each workload, and `sidecar_info` beforehand.",
        "Outcomes and codes are stable: write conditions on them. A task fails where a workload has the outcome",
        "`failed` or `conflict`; the other workloads are done all the same. Words in braces are filled in.",
        "",
        "A change of the published snippet, even of its image alone, changes the pod template, and each pod is",
        "replaced once: no controller of Kubernetes hands a template's new sidecar to pods that run already.",
        "A second run sends nothing.",
        "",
    ]
    for outcome in OUTCOMES:
        members = [name for name, code in CODES.items() if code.outcome == outcome]
        lines += [f"- **{outcome}**: " + ", ".join(f"[{name}](#{name})" for name in members)]
    for name, code in CODES.items():
        lines += [
            "",
            f"## {name}",
            "",
            code.sentence if code.sentence != "{reason}" else "An override cannot be used; the sentence names it.",
            "",
            f"- Outcome: {code.outcome}.",
            f"- To do: {code.mend}",
        ]
    lines += [
        "",
        "## Notes",
        "",
        "A note follows a row's sentence, its code in front. It keeps no sidecar out. Whether the watcher can read a",
        "file depends on the mode that the agent gives it, which no object of the API tells: hence notes.",
        "",
        *(f"- `{name}`: {text}" for name, text in NOTES.items()),
    ]
    return "\n".join(lines) + "\n"


if __name__ == "__main__":
    sys.stdout.write(manual())

# SPDX-License-Identifier: GPL-3.0-or-later
# SPDX-FileCopyrightText: 2026 The orchestrator.platform authors
#
# Private to this collection: names and behaviour may change in any release.
"""Decides what happens to one workload: the apply patch that injects or removes, or the reason why not. Pure.

Ownership carries everything (design D1): what we own is what the API server recorded for our field manager, so
removal is an apply without items, and drift is a planned field that the object does not hold.
"""

from __future__ import annotations

import copy
import typing as t

from ansible_collections.orchestrator.platform.plugins.module_utils._fields import covers, gives_up, project
from ansible_collections.orchestrator.platform.plugins.module_utils._snippet import Snippet
from ansible_collections.orchestrator.platform.plugins.module_utils._versions import (
    NATIVE_SIDECARS,
    Version,
    parse_version,
    show_version,
)
from ansible_collections.orchestrator.platform.plugins.module_utils._workloads import (
    ANNOTATION_CONTAINER,
    ANNOTATION_HASH,
    KINDS,
    Obj,
    UnsupportedMountError,
    annotation,
    containers_of,
    controller_of,
    dig,
    find_container,
    opted_out,
    owned_fields,
    pod_spec,
    pod_template,
    resolve_mount,
)

FIELD_MANAGER = "orchestrator.platform"

# Stable for ever: users write conditions on these codes. One sentence each, filled by format().
CODES: dict[str, str] = {
    "injected": "The sidecar was added.",
    "updated": "The sidecar was brought up to date.",
    "unchanged": "The sidecar is as published; nothing was sent.",
    "removed": "Everything we owned was removed.",
    "absent": "We own nothing here; nothing was sent.",
    "opt_out": "An annotation orchestrator.platform/inject on the workload or its namespace says false.",
    "included": "The owner's own manifest brings container {container}; it is left to its owner.",
    "host_network": "The pods use the node's network, where the health port could collide.",
    "controlled": "{controller} controls this workload and would undo the change; change it there.",
    "being_deleted": "The workload is being deleted.",
    "port_conflict": "Container {container} already uses port {port}; set another health port in the chart's values.",
    "unsupported_mount": "Container {container} mounts {path} with subPathExpr, which another container cannot follow.",
    "container_missing": "There is no container {container}; name one of: {containers}.",
    "native_unsupported": "Native sidecars need Kubernetes 1.29 on the server and every node; found {version}.",
    "field_conflict": "Field {field} belongs to {manager}; it is not taken by force. Change it there, then run again.",
    "forbidden": "The API server forbids the change: {reason}",
    "gone": "The workload was deleted or made anew during the run; run again.",
    "not_found": "No workload of the selected kinds and namespaces has this name.",
    "invalid": "The API server finds the result invalid: {reason}",
    "api_error": "The API server could not apply the change: {reason}",
    "rollout_failed": "The rollout failed: {reason}",
    "rollout_timeout": "The rollout was not complete after {seconds} s: {reason}",
    "quota": "A quota refuses the new pods: {reason}",
    "pss_violation": "Pod Security refuses the new pods: {reason}",
    "rolled_back": "The rollout failed and the workload was put back to what it held before: {reason}",
    "not_reached": "An earlier batch failed, so this workload was left as it was.",
}


_LEFT_BEHIND = (
    "The sidecar of an earlier run is still in it: a run with state absent (sidecar_state in the role) and names "
    "limited to this workload takes it out."
)


class Options(t.NamedTuple):
    """What the user asked for, the same for all workloads of a run."""

    native: bool
    bridge: bool
    container: str | None = None  # name of the agent's container; None: annotation, else the first


class Plan(t.NamedTuple):
    """The decision for one workload; `body` is the apply patch, None where nothing is to be sent."""

    outcome: str
    code: str
    message: str
    body: Obj | None = None
    note: str = ""
    recreate: Obj | None = None


class _NoPlanError(Exception):
    def __init__(self, outcome: str, code: str, **values: object) -> None:
        super().__init__(code)
        self.plan = Plan(outcome, code, sentence(code, **values))


def sentence(code: str, **values: object) -> str:
    """The sentence of a code with its blanks filled."""
    return CODES[code].format(**values)


def choose_native(form: str, server: str, kubelets: list[str] | None) -> bool:
    """D3: native where the server and every kubelet have it; `kubelets` is None when nodes may not be listed.

    Raises ValueError with the version found when native is demanded and not to be had.
    """
    if form == "container":
        return False
    versions: list[Version] = [parse_version(text) for text in [server, *(kubelets or [])]]
    supported = min(versions) >= NATIVE_SIDECARS
    if form == "native" and not supported:
        raise ValueError(show_version(min(versions)))
    return supported


def reason_to_skip(obj: Obj, kind: str, namespace: Obj | None) -> Plan | None:
    """Why a workload must not get a sidecar, whatever the snippet holds; None when it may."""
    template = pod_template(obj, kind)
    if opted_out(obj, template, namespace):
        return Plan("skipped", "opt_out", sentence("opt_out"), note=_LEFT_BEHIND if _is_ours(obj) else "")
    if dig(obj, "metadata", "deletionTimestamp"):
        return Plan("skipped", "being_deleted", sentence("being_deleted"))
    controller = controller_of(obj)
    if controller is not None:
        name = f"{controller.get('kind')}/{controller.get('name')}"
        return Plan("skipped", "controlled", sentence("controlled", controller=name))
    if (template.get("spec") or {}).get("hostNetwork"):
        return Plan("skipped", "host_network", sentence("host_network"))
    return None


def plan_present(obj: Obj, kind: str, snippet: Snippet, options: Options, namespace: Obj | None = None) -> Plan:
    """What makes the workload hold the snippet; `unchanged` and no body when it does already."""
    skip = reason_to_skip(obj, kind, namespace)
    if skip is not None:
        return skip
    try:
        body = build_body(obj, kind, snippet, options)
    except _NoPlanError as exc:
        return exc.plan
    fields = owned_fields(obj, FIELD_MANAGER)
    if fields is not None and covers(obj.get("spec"), body["spec"]) and not gives_up(fields, {"spec": body["spec"]}):
        return Plan("unchanged", "unchanged", sentence("unchanged"))
    code = "injected" if fields is None else "updated"
    return Plan(code, code, sentence(code), body, _note(obj, kind, snippet, options))


def _is_ours(obj: Obj) -> bool:
    return owned_fields(obj, FIELD_MANAGER) is not None


def plan_absent(obj: Obj, kind: str) -> Plan:
    """What takes away everything we own: an apply without items."""
    if not _is_ours(obj):
        return Plan("unchanged", "absent", sentence("absent"))
    return Plan("removed", "removed", sentence("removed"), _identity(obj, kind))


def owned_view(obj: Obj) -> Obj:
    """The part of an object that is ours, for the diff; {} when we own nothing."""
    fields = owned_fields(obj, FIELD_MANAGER)
    return {} if fields is None else t.cast(Obj, project(obj, fields))


def build_body(obj: Obj, kind: str, snippet: Snippet, options: Options) -> Obj:
    """The whole apply patch for one workload; raises _NoPlanError with the reason where there is none."""
    spec = pod_spec(obj, kind)
    ours = {snippet.watcher["name"], *([snippet.bridge["name"]] if snippet.bridge else [])}
    fields = owned_fields(obj, FIELD_MANAGER) or {}
    _refuse_foreign_copy(spec, fields, kind, snippet)
    agent = _agent_container(obj, kind, spec, ours, options)
    parts = [(snippet.watcher, snippet.volumes, snippet.agent_mounts)]
    if options.bridge and snippet.bridge is not None:
        parts.append((snippet.bridge, snippet.bridge_volumes, snippet.bridge_agent_mounts))
    foreign = _foreign_mounts(agent, _owned_items(fields, kind, "volumes"))
    containers, volumes, mounts = _assemble(parts, agent, foreign)
    for container in containers:
        _adopt_user(container, agent, spec)
        _refuse_port_conflict(container, spec, ours)
    # The agent comes first: new items go where the patch lists them, and the first container is kubectl's default.
    classic: list[Obj] = [{"name": agent["name"], "volumeMounts": mounts}] if mounts else []
    part: Obj = {}
    if options.native:
        part["initContainers"] = [{**container, "restartPolicy": "Always"} for container in containers]
    else:
        classic += containers
    if classic:
        part["containers"] = classic
    if volumes:
        part["volumes"] = volumes
    return _patch(obj, kind, snippet.hash, part)


def _assemble(
    parts: list[tuple[Obj, list[Obj], list[Obj]]], agent: Obj, foreign: list[Obj]
) -> tuple[list[Obj], list[Obj], list[Obj]]:
    """Containers, volumes and agent mounts; a path the agent already mounts keeps the owner's volume."""
    containers: list[Obj] = []
    volumes: dict[str, Obj] = {}
    mounts: list[Obj] = []
    reused: dict[str, tuple[str, str]] = {}
    for container, own_volumes, agent_mounts in parts:
        for mount in agent_mounts:
            try:
                hit = resolve_mount(foreign, mount["mountPath"])
            except UnsupportedMountError as exc:
                raise _NoPlanError("skipped", "unsupported_mount", container=agent["name"], path=str(exc)) from exc
            if hit is None:
                mounts.append(copy.deepcopy(mount))
            else:
                reused[mount["name"]] = (hit.volume, hit.sub_path)
        volumes.update({volume["name"]: copy.deepcopy(volume) for volume in own_volumes})
        containers.append(copy.deepcopy(container))
    for container in containers:
        for mount in container.get("volumeMounts") or []:
            if mount["name"] in reused:
                _point_at(mount, *reused[mount["name"]])
    return containers, [volume for name, volume in volumes.items() if name not in reused], mounts


def _point_at(mount: Obj, volume: str, sub_path: str) -> None:
    joined = "/".join(part for part in (sub_path, mount.get("subPath") or "") if part)
    mount["name"] = volume
    if joined:
        mount["subPath"] = joined


def _patch(obj: Obj, kind: str, snippet_hash: str, spec: Obj) -> Obj:
    body = _identity(obj, kind)
    place: Obj = body
    for key in KINDS[kind].template:
        place = place.setdefault(key, {})
    place["metadata"] = {"annotations": {ANNOTATION_HASH: snippet_hash}}
    place["spec"] = spec
    return body


def _identity(obj: Obj, kind: str) -> Obj:
    # The uid makes an apply to an object that is gone a conflict instead of an attempt to create one.
    metadata = {key: obj["metadata"][key] for key in ("name", "namespace", "uid")}
    return {"apiVersion": KINDS[kind].group_version, "kind": kind, "metadata": metadata}


def _owned_items(fields: Obj, kind: str, place: str) -> set[str]:
    """Names of the list items in the pod spec that our manager owns."""
    items = dig(fields, *("f:" + key for key in KINDS[kind].template), "f:spec", "f:" + place) or {}
    return {part.split('"')[3] for part in items if part.startswith('k:{"name":')}


def _refuse_foreign_copy(spec: Obj, fields: Obj, kind: str, snippet: Snippet) -> None:
    found = find_container(spec, snippet.watcher["name"])
    if found is not None and found[1]["name"] not in _owned_items(fields, kind, found[0]):
        raise _NoPlanError("skipped", "included", container=found[1]["name"])


def _agent_container(obj: Obj, kind: str, spec: Obj, ours: set[str], options: Options) -> Obj:
    candidates: list[Obj] = [item for item in spec.get("containers") or [] if item["name"] not in ours]
    wanted = (
        options.container
        or annotation(pod_template(obj, kind), ANNOTATION_CONTAINER)
        or annotation(obj, ANNOTATION_CONTAINER)
    )
    for item in candidates:
        if wanted is None or item["name"] == wanted:
            return item
    names = ", ".join(item["name"] for item in candidates)
    raise _NoPlanError("failed", "container_missing", container=wanted or "but ours", containers=names or "none")


def _foreign_mounts(agent: Obj, owned_volumes: set[str]) -> list[Obj]:
    return [mount for mount in agent.get("volumeMounts") or [] if mount["name"] not in owned_volumes]


def _agent_id(agent: Obj, spec: Obj, key: str) -> int | None:
    own = dig(agent, "securityContext", key)
    return t.cast("int | None", own if own is not None else dig(spec, "securityContext", key))


def _adopt_user(container: Obj, agent: Obj, spec: Obj) -> None:
    """Give our container the agent's user and group, so that it can read files of mode 0600."""
    user, group = _agent_id(agent, spec, "runAsUser"), _agent_id(agent, spec, "runAsGroup")
    context = container.setdefault("securityContext", {})
    if user:  # never root: runAsNonRoot would keep the container from starting
        context["runAsUser"] = user
    if group is not None:
        context["runAsGroup"] = group


def _refuse_port_conflict(container: Obj, spec: Obj, ours: set[str]) -> None:
    mine = {port["containerPort"] for port in container.get("ports") or []}
    for _place, other in containers_of(spec):
        if other.get("name") in ours:
            continue
        for port in other.get("ports") or []:
            if port.get("containerPort") in mine:
                raise _NoPlanError("skipped", "port_conflict", container=other["name"], port=port["containerPort"])


def _note(obj: Obj, kind: str, snippet: Snippet, options: Options) -> str:
    spec = pod_spec(obj, kind)
    agent = _agent_container(obj, kind, spec, {snippet.watcher["name"]}, options)
    user, own = _agent_id(agent, spec, "runAsUser"), dig(snippet.watcher, "securityContext", "runAsUser")
    if user == 0:
        return "The agent runs as root and the watcher does not: files of mode 0600 stay unread."
    if user is None and own is not None:
        # The user is then the agent image's, which no object of the API tells.
        return (
            f"The workload names no runAsUser for its agent, so the watcher runs as user {own}: files of mode 0600 "
            "stay unread unless the agent has that user too; securityContext.runAsUser makes both the same."
        )
    return ""


# -- answers of the API server ------------------------------------------------------------------------------------


def plan_of_error(status: int, message: str, body: Obj) -> Plan:
    """The outcome for an apply that the API server refused."""
    causes = dig(body, "details", "causes") or []
    conflicts = [cause for cause in causes if cause.get("reason") == "FieldManagerConflict"]
    if status == 409 and conflicts:
        manager = conflicts[0].get("message", "").split('"')
        name = manager[1] if len(manager) > 1 else "another manager"
        field = ", ".join(cause.get("field", "?") for cause in conflicts[:3])
        return Plan("conflict", "field_conflict", sentence("field_conflict", field=field, manager=name))
    if status in (404, 409):
        return Plan("failed", "gone", sentence("gone"))
    code = {403: "forbidden", 422: "invalid"}.get(status, "api_error")
    return Plan("failed", code, sentence(code, reason=message))

# SPDX-License-Identifier: GPL-3.0-or-later
# SPDX-FileCopyrightText: 2026 The orchestrator.platform authors
#
# Private to this collection: names and behaviour may change in any release.
"""Decides what happens to one workload: the apply patch that injects or removes, or the reason why not. Pure.

Ownership carries everything (design D1): what we own is what the API server recorded for our field manager, so
removal is an apply without items, and drift is a planned field that the object does not hold.
"""

from __future__ import annotations

import typing as t

from ansible_collections.orchestrator.platform.plugins.module_utils._errors import OverrideError
from ansible_collections.orchestrator.platform.plugins.module_utils._fields import covers, gives_up, project
from ansible_collections.orchestrator.platform.plugins.module_utils._jobs import (
    has_begun,
    made_with_sidecar,
    reason_to_keep,
    renewed,
)
from ansible_collections.orchestrator.platform.plugins.module_utils._merge import merged
from ansible_collections.orchestrator.platform.plugins.module_utils._mounting import (
    Claims,
    Part,
    Sharing,
    owned_items,
    share,
    taken_over,
)
from ansible_collections.orchestrator.platform.plugins.module_utils._outcomes import (
    NoPlanError,
    Plan,
    answer,
    remark,
)
from ansible_collections.orchestrator.platform.plugins.module_utils._overrides import (
    NONE,
    Overrides,
    apply_to_bridge,
    apply_to_watcher,
    overrides_of,
    refuse_unclear_opt_out,
    unknown_annotations,
)
from ansible_collections.orchestrator.platform.plugins.module_utils._pod_security import (
    enforced_level,
    pod_security_violation,
    runs_on_windows,
)
from ansible_collections.orchestrator.platform.plugins.module_utils._snippet import WEBHOOK_ENV, Snippet
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
    PREFIX,
    Obj,
    annotation,
    containers_of,
    dig,
    fields_of_others,
    find_container,
    opted_out,
    owned_fields,
    pod_spec,
    pod_template,
    ports_of,
    top_owner,
)

FIELD_MANAGER = "orchestrator.platform"

_BARE = {
    "Pod": "containers of a pod that exists cannot be added or changed.",
    "ReplicaSet": "the pods it has made would never be replaced.",
    "ReplicationController": "the pods it has made would never be replaced.",
}


class Options(t.NamedTuple):
    """What the user asked for, the same for all workloads of a run."""

    native: bool
    bridge: bool
    container: str | None = None  # name of the agent's container, else the first; an annotation wins
    overrides: Overrides = NONE
    recreate_jobs: bool = False
    new: bool = False  # objects are manifests that no cluster holds yet, so that even Jobs and Pods are open to change


class Surroundings(t.NamedTuple):
    """What is known of the workload's namespace."""

    namespace: Obj | None = None
    secrets: frozenset[str] | None = None  # names of its Secrets; None: not known
    check_mode: bool = False  # what is missing now may be made by an earlier task of the real run


NOWHERE = Surroundings()


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


def reason_to_skip(obj: Obj, kind: str, namespace: Obj | None, *, new: bool = False) -> Plan | None:
    """Why a workload must not get a sidecar, whatever the snippet holds; None when it may."""
    template = pod_template(obj, kind)
    if opted_out(obj, template, namespace):
        return answer("opt_out")._replace(note=remark("left_behind") if _is_ours(obj) else "")
    if dig(obj, "metadata", "deletionTimestamp"):
        return answer("being_deleted")
    controller = top_owner(obj)
    if controller is not None:
        return answer("controlled", controller=controller)
    if kind in _BARE and not new:
        return answer("unsupported_kind", kind=kind, advice=_BARE[kind])
    spec = template.get("spec") or {}
    if spec.get("hostNetwork"):
        return answer("host_network")
    return answer("windows") if runs_on_windows(spec) else None


def plan_present(obj: Obj, kind: str, snippet: Snippet, options: Options, around: Surroundings = NOWHERE) -> Plan:
    """What makes the workload hold the snippet; `unchanged` and no body when it does already."""
    skip = reason_to_skip(obj, kind, around.namespace, new=options.new)
    if skip is not None:
        return skip
    try:
        refuse_unclear_opt_out(obj, kind, around.namespace)
        draft = _draft(obj, kind, snippet, options)
        plan = _decide(obj, kind, draft, options, around)
        if plan.outcome == "skipped":
            return plan
        notes = (
            _secret_note(draft, obj, snippet, around),
            _user_note(draft, snippet),
            _whole_note(draft),
            _unknown_note(obj, kind),
        )
        return plan if plan.outcome == "unchanged" else plan._replace(note=" ".join(filter(None, notes)))
    except NoPlanError as exc:
        return exc.plan
    except OverrideError as exc:
        return answer("invalid_override", reason=str(exc))


def plan_absent(obj: Obj, kind: str) -> Plan:
    """What takes away everything we own: an apply without items, but for mounts that have become their owner's."""
    fields = owned_fields(obj, FIELD_MANAGER)
    if fields is None:
        if _made_here(obj, kind):
            return answer("job_immutable", advice="the sidecar cannot be taken out of it; delete it or let it end.")
        return answer("absent")
    body = _identity(obj, kind)
    held = {item["name"]: taken_over(item, _claims(obj, kind)) for item in pod_spec(obj, kind).get("containers") or []}
    containers: list[Obj] = [{"name": name, "volumeMounts": mounts} for name, mounts in held.items() if mounts]
    if not containers:
        return answer("removed")._replace(body=body)
    _place(body, kind)["spec"] = {"containers": containers}
    note = remark("mount_held", paths=", ".join(mount["mountPath"] for mounts in held.values() for mount in mounts))
    if not gives_up(fields, {"spec": body["spec"]}) and covers(obj.get("spec"), body["spec"]):
        return answer("absent")._replace(note=note)
    return answer("removed")._replace(body=body, note=note)


def _claims(obj: Obj, kind: str) -> Claims:
    return Claims(owned_fields(obj, FIELD_MANAGER) or {}, fields_of_others(obj, FIELD_MANAGER), kind)


def _is_ours(obj: Obj) -> bool:
    return owned_fields(obj, FIELD_MANAGER) is not None


def _made_here(obj: Obj, kind: str) -> bool:
    return kind == "Job" and made_with_sidecar(obj, FIELD_MANAGER)


def owned_view(obj: Obj) -> Obj:
    """The part of an object that is ours, for the diff; {} when we own nothing."""
    fields = owned_fields(obj, FIELD_MANAGER)
    return {} if fields is None else t.cast(Obj, project(obj, fields))


def planned_body(obj: Obj, kind: str, snippet: Snippet, options: Options) -> Obj | None:
    """The apply patch for one workload as it would be made now; None where there is none."""
    try:
        return _draft(obj, kind, snippet, options).body
    except (NoPlanError, OverrideError):
        return None


# -- the patch ----------------------------------------------------------------------------------------------------


class _Draft(t.NamedTuple):
    """What would be applied, and from whom."""

    body: Obj
    containers: list[Obj]  # ours, the watcher first
    agent: Obj
    spec: Obj  # the pod spec as it is
    whole: tuple[str, str] | None  # volume and path where the watcher sees more than the transcripts


def _draft(obj: Obj, kind: str, snippet: Snippet, options: Options) -> _Draft:
    """The whole apply patch for one workload; raises NoPlanError or OverrideError where there is none."""
    spec = pod_spec(obj, kind)
    overrides = overrides_of(obj, kind, options.overrides)
    fields = owned_fields(obj, FIELD_MANAGER) or {}
    ours = {snippet.watcher["name"], *([snippet.bridge["name"]] if snippet.bridge else [])}
    agent = _agent_container(obj, kind, spec, ours, options)
    parts = _parts(snippet, options, overrides)
    shared = share(parts, agent, spec, _claims(obj, kind))
    made_here = _made_here(obj, kind)
    for container in shared.containers:
        _adopt_user(container, agent, spec)
        if not made_here:
            _refuse_foreign_name(container, spec, fields, kind, included=container is shared.containers[0])
        _refuse_port_conflict(container, spec, ours)
    if not made_here:
        _refuse_foreign_volume(shared, spec, fields, kind)
    # The agent comes first: new items go where the patch lists them, and the first container is kubectl's default.
    mounts = shared.agent_mounts
    classic: list[Obj] = [{"name": agent["name"], "volumeMounts": mounts}] if mounts else []
    part: Obj = {}
    if options.native:
        part["initContainers"] = [{**container, "restartPolicy": "Always"} for container in shared.containers]
    else:
        classic += shared.containers
    if classic:
        part["containers"] = classic
    if shared.volumes:
        part["volumes"] = shared.volumes
    return _Draft(_patch(obj, kind, snippet.hash, part), shared.containers, agent, spec, shared.whole)


def _parts(snippet: Snippet, options: Options, overrides: Overrides) -> list[Part]:
    parts = [
        Part(
            apply_to_watcher(snippet.watcher, overrides),
            snippet.volumes,
            snippet.agent_mounts,
            overrides.transcript_volume,
            PREFIX + "transcript-volume",
            follows_claude=True,
        )
    ]
    if options.bridge and snippet.bridge is not None:
        setting = PREFIX + "fifo-volume"
        bridge, mounts = apply_to_bridge(snippet.bridge, overrides), snippet.bridge_agent_mounts
        parts.append(Part(bridge, snippet.bridge_volumes, mounts, overrides.fifo_volume, setting, follows_claude=False))
    return parts


def _patch(obj: Obj, kind: str, snippet_hash: str, spec: Obj) -> Obj:
    body = _identity(obj, kind)
    place = _place(body, kind)
    metadata = place.setdefault("metadata", {})
    metadata["annotations"] = {ANNOTATION_HASH: snippet_hash}
    place["spec"] = spec
    return body


def _place(body: Obj, kind: str) -> Obj:
    """The pod template inside a patch, made where it is not there yet."""
    place: Obj = body
    for key in KINDS[kind].template:
        place = place.setdefault(key, {})
    return place


def _identity(obj: Obj, kind: str) -> Obj:
    # The uid makes an apply to an object that is gone a conflict instead of an attempt to create one.
    given = obj.get("metadata") or {}
    metadata = {key: given[key] for key in ("name", "namespace", "uid") if key in given}
    return {"apiVersion": KINDS[kind].group_version, "kind": kind, "metadata": metadata}


def _agent_container(obj: Obj, kind: str, spec: Obj, ours: set[str], options: Options) -> Obj:
    candidates: list[Obj] = [item for item in spec.get("containers") or [] if item["name"] not in ours]
    wanted = (
        annotation(pod_template(obj, kind), ANNOTATION_CONTAINER)
        or annotation(obj, ANNOTATION_CONTAINER)
        or options.container
    )
    for item in candidates:
        if wanted is None or item["name"] == wanted:
            return item
    names = ", ".join(item["name"] for item in candidates)
    raise NoPlanError("container_missing", container=wanted or "but ours", containers=names or "none")


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


# -- reasons against it -------------------------------------------------------------------------------------------


def _refuse_foreign_name(container: Obj, spec: Obj, fields: Obj, kind: str, *, included: bool) -> None:
    """A container of our name that is not ours: the owner's copy of our watcher is left alone, others are refused."""
    found = find_container(spec, container["name"])
    if found is None or found[1]["name"] in owned_items(fields, kind, found[0]):
        return
    if not included or _program(found[1]) != _program(container):
        raise NoPlanError("name_conflict", what=f"Container {container['name']}")
    plan = answer("included", container=container["name"])
    different = _differences(found[1], container)
    if different:
        plan = plan._replace(note=remark("included_differs", fields=", ".join(different)))
    error = NoPlanError("included", container=container["name"])
    error.plan = plan
    raise error


def _program(container: Obj) -> tuple[str, object, object]:
    """What a container runs, whatever the registry and the version: the image's last name, command and arguments."""
    repository = str(container.get("image") or "").partition("@")[0]
    name = repository.rpartition("/")[2].partition(":")[0]
    return name, container.get("command") or [], container.get("args") or []


def _differences(live: Obj, planned: Obj) -> list[str]:
    """Fields and variables in which the owner's copy is not what would be injected; defaults do not count."""
    found = [key for key, value in planned.items() if key != "env" and not covers(live.get(key), value, key)]
    have = {item["name"]: item for item in live.get("env") or []}
    want = {item["name"]: item for item in planned.get("env") or []}
    one_sided = have.keys() ^ want.keys()
    unequal = {name for name in have.keys() & want.keys() if not covers(have[name], want[name])}
    changed = sorted(one_sided | unequal)
    return [*found, *(f"env {name}" for name in changed)]


def _refuse_foreign_volume(shared: Sharing, spec: Obj, fields: Obj, kind: str) -> None:
    ours = owned_items(fields, kind, "volumes")
    foreign = {item["name"]: item for item in spec.get("volumes") or [] if item["name"] not in ours}
    for volume in shared.volumes:
        # An equal one is no conflict for the API server either: it is shared, and removal leaves the owner's.
        if volume["name"] in foreign and not covers(foreign[volume["name"]], volume):
            raise NoPlanError("name_conflict", what=f"Volume {volume['name']}")


def _refuse_port_conflict(container: Obj, spec: Obj, ours: set[str]) -> None:
    mine = {port["containerPort"] for port in container.get("ports") or []}
    for _place, other in containers_of(spec):
        if other.get("name") in ours:
            continue
        for port in ports_of(other):
            if port in mine:
                raise NoPlanError("port_conflict", container=other["name"], port=port)


def secret_references(container: Obj) -> set[str]:
    """Names of the Secrets without which a container of ours is of no use, or would not start."""
    return {
        reference["name"]
        for variable, reference in _references(container)
        if variable == WEBHOOK_ENV or not reference.get("optional")
    }


def _references(container: Obj) -> list[tuple[str, Obj]]:
    """Variable and reference of each one that is read from a Secret."""
    entries = [(entry.get("name", ""), dig(entry, "valueFrom", "secretKeyRef")) for entry in container.get("env") or []]
    return [(variable, reference) for variable, reference in entries if reference and reference.get("name")]


def _secret_note(draft: _Draft, obj: Obj, snippet: Snippet, around: Surroundings) -> str:
    """A note in check mode, else NoPlanError, where a Secret is known not to be there.

    One that a setting of the workload or of the run names is an error in check mode too: no task makes that one.
    """
    if around.secrets is None:
        return ""
    published = [snippet.watcher, *([snippet.bridge] if snippet.bridge else [])]
    usual = {name for container in published for name in secret_references(container)}
    known = {reference["name"] for container in published for _variable, reference in _references(container)}
    for container in draft.containers:
        # What a setting names is wanted, also where the bridge would do without.
        chosen = {reference["name"] for _variable, reference in _references(container)} - known
        for name in sorted((secret_references(container) | chosen) - around.secrets):
            values = {
                "secret": name,
                "container": container["name"],
                "namespace": dig(obj, "metadata", "namespace") or "default",
            }
            if not around.check_mode or name not in usual:
                raise NoPlanError("secret_missing", **values)
            return remark("secret_missing", **values)
    return ""


def _user_note(draft: _Draft, snippet: Snippet) -> str:
    user = _agent_id(draft.agent, draft.spec, "runAsUser")
    own = dig(snippet.watcher, "securityContext", "runAsUser")
    if user == 0:
        return remark("uid_mismatch")
    # The user is then the agent image's, which no object of the API tells.
    return remark("uid_unknown", own=own) if user is None and own is not None else ""


def _whole_note(draft: _Draft) -> str:
    return "" if draft.whole is None else remark("sees_more", volume=draft.whole[0], path=draft.whole[1])


def _unknown_note(obj: Obj, kind: str) -> str:
    names = unknown_annotations(obj, kind)
    return remark("unknown_annotation", names=", ".join(names)) if names else ""


# -- the decision -------------------------------------------------------------------------------------------------


def _decide(obj: Obj, kind: str, draft: _Draft, options: Options, around: Surroundings) -> Plan:
    spec = draft.body["spec"]
    fields = owned_fields(obj, FIELD_MANAGER)
    if fields is not None and covers(obj.get("spec"), spec) and not gives_up(fields, {"spec": spec}):
        return answer("unchanged")
    if _made_here(obj, kind) and covers(obj.get("spec"), spec):
        return answer("unchanged")
    if kind in ("Job", "CronJob") and not options.native:
        return answer("job_needs_native")
    if kind == "Job" and not options.new:
        return _decide_job(obj, spec, options, around)
    _refuse_pod_security(obj, kind, spec, around)
    return answer("injected" if fields is None else "updated")._replace(body=draft.body)


def _decide_job(obj: Obj, spec: Obj, options: Options, around: Surroundings) -> Plan:
    if has_begun(obj):
        return answer("job_next_run")
    advice = reason_to_keep(obj)
    if _made_here(obj, "Job"):
        advice = "it was made with an older sidecar or other settings; delete it, and its next one can come with these."
    if advice is None and not options.recreate_jobs:
        advice = "nothing of it has run, so that recreate_jobs would make it anew with the sidecar."
    if advice is not None:
        return answer("job_immutable", advice=advice)
    _refuse_pod_security(obj, "Job", spec, around)
    manifest, _added = merged(renewed(obj), {"spec": spec})
    return answer("job_recreated")._replace(recreate=manifest)


def _refuse_pod_security(obj: Obj, kind: str, spec: Obj, around: Surroundings) -> None:
    if enforced_level(around.namespace) is None:
        return
    result, _added = merged({"spec": obj.get("spec") or {}}, {"spec": spec})
    reason = pod_security_violation(pod_spec(result, kind), around.namespace)
    if reason is not None:
        raise NoPlanError("pss_violation", reason=reason)

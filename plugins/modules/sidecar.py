#!/usr/bin/python
# SPDX-License-Identifier: GPL-3.0-or-later
# SPDX-FileCopyrightText: 2026 The orchestrator.platform authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Module sidecar: injects the published snippet into any number of workloads, or removes it."""

from __future__ import annotations

DOCUMENTATION = r"""
---
module: sidecar
short_description: Inject the monitoring sidecar into workloads, or remove it
version_added: 0.1.0
author:
  - The orchestrator.platform authors (@orchestrator)
description:
  - Adds the watcher, and on request the input bridge, to the pod templates of any number of workloads in one task,
    or removes them again.
  - The content comes from the ConfigMap that the chart C(discord-monitor) publishes, so that this module and the
    chart's named template give the same container.
  - Each change is one server-side apply by the field manager C(orchestrator.platform), never by force. What another
    manager owns stays as it is and is answered with the code V(field_conflict). Removal gives back every field and
    leaves the workload as it was.
  - Where the agent's container already mounts the folder of the transcripts, or a parent of it, the watcher reads that
    volume and nothing is added to the agent's container.
  - A workload or namespace with the annotation C(orchestrator.platform/inject=false) is left alone; a sidecar added
    before stays until O(state=absent) removes it. The annotation C(orchestrator.platform/container) names the agent's
    container where it is not the first one.
  - A change of the pod template replaces the workload's pods, once.
options:
  state:
    description:
      - V(present) makes the selected workloads hold the sidecar as published.
      - V(absent) removes everything this module has added to them.
    type: str
    choices: [present, absent]
    default: present
  namespaces:
    description: Namespaces in which workloads are selected.
    type: list
    elements: str
    required: true
  kinds:
    description: Kinds of workloads to select.
    type: list
    elements: str
    choices: [Deployment, StatefulSet, DaemonSet, CronJob]
    default: [Deployment]
  names:
    description: Select only workloads of these names. Empty selects by the other options alone.
    type: list
    elements: str
    default: []
  label_selectors:
    description: Label selectors, all of which a workload must match, for example V(app=agent).
    type: list
    elements: str
    default: []
  snippet_from:
    description: The ConfigMap with the published snippet.
    type: dict
    suboptions:
      namespace:
        description: Its namespace.
        type: str
        default: discord-monitor
      name:
        description: Its name, the chart's full name followed by C(-snippet).
        type: str
        default: discord-monitor-snippet
  snippet:
    description:
      - The snippet itself, in the shape of the ConfigMap's key C(snippet.json), instead of O(snippet_from).
    type: dict
  form:
    description:
      - V(native) makes it a native sidecar, an init container with C(restartPolicy=Always), so that Jobs can complete.
      - V(container) makes it an ordinary container.
      - V(auto) takes V(native) where the API server and every kubelet are 1.29 or newer. Where nodes may not be listed,
        the API server's version alone decides.
    type: str
    choices: [auto, native, container]
    default: auto
  bridge:
    description: Whether the input bridge is added too. It must be enabled in the chart's values.
    type: bool
    default: false
  container:
    description:
      - Name of the agent's container in all selected workloads. Without it the annotation decides, else the first
        container is taken.
    type: str
  wait:
    description: Whether to wait until the rollouts of all changed workloads are complete.
    type: bool
    default: false
  wait_timeout:
    description: Longest wait for all rollouts together, in seconds.
    type: int
    default: 300
  threads:
    description: How many requests are under way at once.
    type: int
    default: 8
extends_documentation_fragment:
  - kubernetes.core.k8s_auth_options
attributes:
  check_mode:
    description: Can run in check mode and return changed status prediction without modifying the target.
    support: full
    details:
      - Sends the same patches as a dry run of the API server.
      - Where a namespace or the published snippet does not exist yet, it warns and returns no workloads.
  diff_mode:
    description: Returns details on what has changed, or what would change.
    support: full
    details:
      - Shows only the fields this module owns. Values shaped like secrets are replaced.
  idempotent:
    description: Run again without a change in between, it changes nothing.
    support: full
    details:
      - A workload that is as published gets no request at all.
requirements:
  - python >= 3.11
  - kubernetes >= 24.2.0
  - PyYAML >= 3.11
notes:
  - The task fails when any workload has the outcome V(failed) or V(conflict). The others are done all the
    same, and the result lists all of them.
seealso:
  - module: orchestrator.platform.verification
"""

EXAMPLES = r"""
- name: Watch every Deployment in two namespaces
  orchestrator.platform.sidecar:
    namespaces: [agents, agents-staging]
    wait: true

- name: Watch the agents among many Deployments and StatefulSets
  orchestrator.platform.sidecar:
    namespaces: [work]
    kinds: [Deployment, StatefulSet]
    label_selectors: [app.kubernetes.io/component=agent]

- name: Show what would change
  orchestrator.platform.sidecar:
    namespaces: [agents]
  check_mode: true
  diff: true

- name: Take the sidecar away again
  orchestrator.platform.sidecar:
    state: absent
    namespaces: [agents]
"""

RETURN = r"""
workloads:
  description: One row for each selected workload, sorted by namespace, kind and name.
  returned: always
  type: list
  elements: dict
  contains:
    kind:
      description: The workload's kind; V(Namespace) where a namespace as a whole could not be read.
      type: str
      sample: Deployment
    namespace:
      description: Its namespace.
      type: str
      sample: agents
    name:
      description: Its name.
      type: str
      sample: coder
    outcome:
      description:
        - What happened, or in check mode would happen.
        - One of V(injected), V(updated), V(unchanged), V(removed), V(skipped), V(conflict), V(failed).
      type: str
      sample: injected
    code:
      description: The reason as a stable code, for example V(opt_out) or V(field_conflict).
      type: str
      sample: injected
    message:
      description: The reason as a sentence.
      type: str
      sample: The sidecar was added.
summary:
  description: Number of workloads by outcome.
  returned: always
  type: dict
  sample: {injected: 2, updated: 0, unchanged: 0, removed: 0, skipped: 1, conflict: 0, failed: 0}
snippet_hash:
  description: Hash of the snippet that was applied.
  returned: when O(state=present)
  type: str
  sample: 5f70bf18a086007016e948b04aed3b82103a36bea41755b6cddfaf10ace3c6ef
form:
  description: The form that was taken, V(native) or V(container).
  returned: when O(state=present)
  type: str
  sample: native
api_calls:
  description: Number of requests sent, and the patches among them.
  returned: always
  type: dict
  sample: {total: 14, patches: 2}
timings:
  description: Seconds spent reading, patching and waiting.
  returned: always
  type: dict
  sample: {read_s: 0.08, apply_s: 0.04, wait_s: 3.1, total_s: 3.22}
"""

import typing as t

from ansible_collections.kubernetes.core.plugins.module_utils.args_common import AUTH_ARG_SPEC
from ansible_collections.kubernetes.core.plugins.module_utils.k8s.core import AnsibleK8SModule
from ansible_collections.orchestrator.platform.plugins.module_utils._cluster import Cluster, Stopwatch
from ansible_collections.orchestrator.platform.plugins.module_utils._errors import ApiError, PlatformError
from ansible_collections.orchestrator.platform.plugins.module_utils._outcomes import (
    OUTCOMES,
    Plan,
    plan_of_error,
    sentence,
)
from ansible_collections.orchestrator.platform.plugins.module_utils._redact import redact
from ansible_collections.orchestrator.platform.plugins.module_utils._rollout import code_of_failure, rolled_out
from ansible_collections.orchestrator.platform.plugins.module_utils._sidecar import (
    FIELD_MANAGER,
    Options,
    Surroundings,
    choose_native,
    owned_view,
    plan_absent,
    plan_present,
)
from ansible_collections.orchestrator.platform.plugins.module_utils._snippet import (
    Snippet,
    parse_snippet,
    snippet_of_config_map,
)
from ansible_collections.orchestrator.platform.plugins.module_utils._waiting import RolloutWait, Target
from ansible_collections.orchestrator.platform.plugins.module_utils._workloads import KINDS, PATCHABLE, Foreign, Obj

ARGUMENT_SPEC: dict[str, t.Any] = {
    **AUTH_ARG_SPEC,
    "state": {"type": "str", "choices": ["present", "absent"], "default": "present"},
    "namespaces": {"type": "list", "elements": "str", "required": True},
    "kinds": {"type": "list", "elements": "str", "choices": list(PATCHABLE), "default": ["Deployment"]},
    "names": {"type": "list", "elements": "str", "default": []},
    "label_selectors": {"type": "list", "elements": "str", "default": []},
    "snippet_from": {
        "type": "dict",
        "options": {
            "namespace": {"type": "str", "default": "discord-monitor"},
            "name": {"type": "str", "default": "discord-monitor-snippet"},
        },
    },
    "snippet": {"type": "dict"},
    "form": {"type": "str", "choices": ["auto", "native", "container"], "default": "auto"},
    "bridge": {"type": "bool", "default": False},
    "container": {"type": "str"},
    "wait": {"type": "bool", "default": False},
    "wait_timeout": {"type": "int", "default": 300},
    "threads": {"type": "int", "default": 8},
}


class Row(t.NamedTuple):
    """One workload on its way through the run."""

    target: Target
    obj: Obj
    plan: Plan


class Reading(t.NamedTuple):
    """What the cluster said before anything was changed."""

    namespaces: dict[str, Obj | None]
    missing: list[str]
    workloads: list[tuple[str, Obj]]  # (kind, object)
    refused: list[Row]  # namespaces that could not be listed


class Run:
    """One run of the module: read, decide, apply, wait, report."""

    def __init__(self, module: Foreign, cluster: Cluster) -> None:
        self.params: dict[str, t.Any] = module.params
        self.check_mode = bool(module.check_mode)
        self.wants_diff = bool(module._diff)  # noqa: SLF001 (Ansible's own name for it)
        self.cluster = cluster
        self.watch = Stopwatch()
        self.warn = module.warn
        self.patches = 0
        self.views: dict[Target, tuple[Obj, Obj]] = {}

    def result(self) -> dict[str, t.Any]:
        """The module's result; `failed` with a sentence where a workload failed or is in conflict."""
        reading = self._read()
        extra: dict[str, t.Any] = {}
        if self.params["state"] == "absent":
            rows = [Row(_target(kind, obj), obj, plan_absent(obj, kind)) for kind, obj in reading.workloads]
        else:
            rows, extra = self._plan_present(reading)
        self.watch.lap("read_s")
        rows = self.cluster.each(self._apply, rows)
        self.watch.lap("apply_s")
        changed = [row for row in rows if row.plan.body is not None]
        if self.params["wait"] and not self.check_mode:
            rows = self._wait(rows, extra.get("snippet_hash"))
            self.watch.lap("wait_s")
        return self._report([*rows, *reading.refused], changed=bool(changed), extra=extra)

    # -- read -----------------------------------------------------------------------------------------------------

    def _read(self) -> Reading:
        found = dict(self.cluster.each(self._namespace, dict.fromkeys(self.params["namespaces"])))
        missing = [name for name, (exists, _obj) in found.items() if not exists]
        present = [name for name in found if name not in missing]
        jobs = [(kind, name) for kind in dict.fromkeys(self.params["kinds"]) for name in present]
        workloads: list[tuple[str, Obj]] = []
        refused: list[Row] = []
        for part in self.cluster.each(self._workloads, jobs):
            if isinstance(part, Row):
                refused.append(part)
            else:
                workloads += part
        return Reading({name: obj for name, (_exists, obj) in found.items()}, missing, workloads, refused)

    def _namespace(self, name: str) -> tuple[str, tuple[bool, Obj | None]]:
        try:
            obj = self.cluster.find(f"/api/v1/namespaces/{name}")
        except ApiError as exc:
            if exc.status != 403:
                raise
            return name, (True, None)  # its annotations stay unknown; what it holds may still be readable
        return name, (obj is not None, obj)

    def _workloads(self, job: tuple[str, str]) -> list[tuple[str, Obj]] | Row:
        kind, namespace = job
        try:
            items, _version = self.cluster.items(
                KINDS[kind].path(namespace), labelSelector=",".join(self.params["label_selectors"])
            )
        except ApiError as exc:
            if exc.status != 403:
                raise
            plan = Plan("failed", "forbidden", sentence("forbidden", reason=str(exc)))
            return Row(Target("Namespace", namespace, namespace), {}, plan)
        names = self.params["names"]
        return [(kind, item) for item in items if not names or item["metadata"]["name"] in names]

    def _snippet(self) -> Snippet | None:
        if self.params["snippet"]:
            return parse_snippet(self.params["snippet"])
        place = self.params["snippet_from"] or {"namespace": "discord-monitor", "name": "discord-monitor-snippet"}
        config_map = self.cluster.find(f"/api/v1/namespaces/{place['namespace']}/configmaps/{place['name']}")
        if config_map is not None:
            return snippet_of_config_map(config_map)
        self._absent(
            f"ConfigMap {place['namespace']}/{place['name']} is not there: "
            "install the chart discord-monitor first, or name the ConfigMap of your release by snippet_from."
        )
        return None

    def _absent(self, message: str) -> None:
        # On an empty cluster check mode shows what it can: whatever is absent now, the real run will have made before.
        if not self.check_mode:
            raise PlatformError(message)
        self.warn(f"{message} Check mode goes on without it.")

    # -- decide ---------------------------------------------------------------------------------------------------

    def _plan_present(self, reading: Reading) -> tuple[list[Row], dict[str, t.Any]]:
        for name in reading.missing:
            self._absent(f"Namespace {name} is not there: create it first (role secrets does), or correct namespaces.")
        snippet = self._snippet()
        if snippet is None:
            return [], {"snippet_hash": None, "form": None}
        if self.params["bridge"] and snippet.bridge is None:
            raise PlatformError(
                "The published snippet has no bridge: set inputBridge.enabled in the chart's values, or bridge: false."
            )
        options = Options(self._native(), self.params["bridge"], self.params["container"])
        rows = [
            Row(
                _target(kind, obj),
                obj,
                plan_present(
                    obj,
                    kind,
                    snippet,
                    options,
                    Surroundings(reading.namespaces[obj["metadata"]["namespace"]], None, self.check_mode),
                ),
            )
            for kind, obj in reading.workloads
        ]
        rows += self._not_found(rows, reading)
        return rows, {"snippet_hash": snippet.hash, "form": "native" if options.native else "container"}

    def _not_found(self, rows: list[Row], reading: Reading) -> list[Row]:
        found = {row.target.name for row in rows}
        if reading.refused or self.check_mode:
            return []
        plan = Plan("failed", "not_found", sentence("not_found"))
        where = ",".join(self.params["namespaces"])
        return [Row(Target("-", where, name), {}, plan) for name in self.params["names"] if name not in found]

    def _native(self) -> bool:
        form = self.params["form"]
        if form == "container":
            return False
        server = self.cluster.get("/version")["gitVersion"]
        kubelets: list[str] | None = None
        try:
            nodes, _version = self.cluster.items("/api/v1/nodes")
            kubelets = [node["status"]["nodeInfo"]["kubeletVersion"] for node in nodes]
        except ApiError as exc:
            if exc.status != 403:
                raise
        try:
            return choose_native(form, server, kubelets)
        except ValueError as exc:
            raise PlatformError(sentence("native_unsupported", version=str(exc)), code="native_unsupported") from exc

    # -- apply ----------------------------------------------------------------------------------------------------

    def _apply(self, row: Row) -> Row:
        if row.plan.body is None:
            return row
        target = row.target
        whole = self.wants_diff
        try:
            self.patches += 1
            answer = self.cluster.apply(
                KINDS[target.kind].path(target.namespace, target.name),
                row.plan.body,
                manager=FIELD_MANAGER,
                dry_run=self.check_mode,
                whole=whole,
            )
        except ApiError as exc:
            return row._replace(plan=plan_of_error(exc.status, str(exc), exc.body))
        if whole:
            self.views[target] = (owned_view(row.obj), owned_view(answer))
        if _same(row.obj, answer, dry_run=self.check_mode) and row.plan.outcome != "removed":
            return row._replace(plan=Plan("unchanged", "unchanged", sentence("unchanged")))
        return row

    # -- wait -----------------------------------------------------------------------------------------------------

    def _wait(self, rows: list[Row], snippet_hash: str | None) -> list[Row]:
        targets = {row.target: snippet_hash for row in rows if _rolls(row) and _to_await(row)}
        if not targets:
            return rows
        timeout = self.params["wait_timeout"]
        progress = RolloutWait(self.cluster, targets).run(timeout)
        return [_after_wait(row, progress, timeout) for row in rows]

    # -- report ---------------------------------------------------------------------------------------------------

    def _report(self, rows: list[Row], *, changed: bool, extra: dict[str, t.Any]) -> dict[str, t.Any]:
        rows = sorted(rows, key=lambda row: (row.target.namespace, row.target.kind, row.target.name))
        summary = dict.fromkeys(OUTCOMES, 0)
        for row in rows:
            summary[row.plan.outcome] += 1
        result: dict[str, t.Any] = {
            "changed": changed,
            "workloads": [_shown(row) for row in rows],
            "summary": summary,
            "api_calls": {"total": self.cluster.calls, "patches": self.patches},
            "timings": self.watch.result(),
            **extra,
        }
        if self.wants_diff:
            result["diff"] = self._diff()
        bad = [row for row in rows if row.plan.outcome in ("failed", "conflict")]
        if bad:
            kind, namespace, name = bad[0].target
            result["failed"] = True
            result["msg"] = f"{len(bad)} of {len(rows)} workloads: {kind} {namespace}/{name}: {bad[0].plan.message}" + (
                " See workloads for the others." if len(bad) > 1 else ""
            )
        return result

    def _diff(self) -> list[dict[str, str]]:
        shown = []
        for target, (before, after) in sorted(self.views.items()):
            header = f"{target.kind} {target.namespace}/{target.name}"
            if before != after:
                shown.append(
                    {
                        "before_header": header,
                        "after_header": header,
                        "before": _yaml(before),
                        "after": _yaml(after),
                    }
                )
        return shown


def _rolls(row: Row) -> bool:
    return row.target.kind in KINDS and KINDS[row.target.kind].rolls


def _to_await(row: Row) -> bool:
    # An unchanged workload may still be rolling out what a run before this one, perhaps a killed one, has applied.
    if row.plan.outcome in ("injected", "updated", "removed"):
        return True
    if row.plan.outcome != "unchanged":
        return False
    progress = rolled_out(row.target.kind, row.obj)
    return progress.done is None and "updated" in progress.reason


def _after_wait(row: Row, progress: dict[Target, t.Any], timeout: int) -> Row:
    answer = progress.get(row.target)
    if answer is None or answer.done:
        return row
    if answer.done is None:
        return row._replace(
            plan=Plan("failed", "rollout_timeout", sentence("rollout_timeout", seconds=timeout, reason=answer.reason))
        )
    code = code_of_failure(answer.reason)
    return row._replace(plan=Plan("failed", code, sentence(code, reason=answer.reason)))


def _target(kind: str, obj: Obj) -> Target:
    return Target(kind, obj["metadata"]["namespace"], obj["metadata"]["name"])


def _same(before: Obj, after: Obj, *, dry_run: bool) -> bool:
    # A dry run keeps the resourceVersion, but its generation is already the next one when the spec would change.
    keys = ("generation",) if dry_run else ("generation", "resourceVersion")
    return all(before["metadata"].get(key) == after["metadata"].get(key) for key in keys)


def _shown(row: Row) -> dict[str, str]:
    message = f"{row.plan.message} {row.plan.note}".strip()
    return {**row.target._asdict(), "outcome": row.plan.outcome, "code": row.plan.code, "message": message}


def _yaml(view: Obj) -> str:
    import yaml  # the module's start has made sure that it is there

    return yaml.safe_dump(redact(view), sort_keys=True, default_flow_style=False) if view else ""


def main() -> None:
    """Entry point."""
    module = AnsibleK8SModule(
        argument_spec=ARGUMENT_SPEC,
        supports_check_mode=True,
        mutually_exclusive=[("snippet", "snippet_from")],
    )
    try:
        result = Run(module, Cluster(module, threads=module.params["threads"])).result()
    except PlatformError as exc:  # the only place where an error becomes a failed task
        module.fail_json(msg=str(exc), **exc.details)
    else:
        module.exit_json(**result)


if __name__ == "__main__":
    main()

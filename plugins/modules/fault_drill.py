#!/usr/bin/python
# SPDX-License-Identifier: GPL-3.0-or-later
# SPDX-FileCopyrightText: 2026 The orchestrator.platform authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Module fault_drill: makes faults on purpose and proves that only what is to react reacts."""

from __future__ import annotations

DOCUMENTATION = r"""
---
module: fault_drill
short_description: Put parts of the monitoring out of order and prove that agents do not notice
version_added: 0.2.0
author:
  - The orchestrator.platform authors (@orchestrator)
description:
  - Makes faults on purpose, waits for the expected reaction, and compares restartCount, containerID, startedAt and
    readiness of every other container before and after. Each fault is a check of the family C(faults), described in
    C(docs/checks.md).
  - Without O(targets) it works on what the chart demo renders for it in a namespace of its own; the role verify, entry
    point C(faults), makes that namespace and removes it. Each fault has a pod of its own there, all run at once.
  - With O(targets) it strikes the watchers of workloads of yours, one fault after the other, by killing them or taking
    their memory. The agents' containers are not touched. It posts probe lines to the channel and deletes them again.
  - It runs commands in containers, so it needs the rights get and create on C(pods/exec).
options:
  namespace:
    description: Namespace of the pods.
    type: str
    required: true
  faults:
    description:
      - Ids of the faults to make, such as V(faults/watcher-killed); the family may be left out. Empty makes all that
        fit.
    type: list
    elements: str
    default: []
  targets:
    description:
      - Workloads of yours whose watchers are struck. A running pod of each is chosen; when one has none, or there is no
        such workload, nothing is struck at all. Only V(watcher-killed), V(watcher-oom) and V(kubelet-restart) fit.
    type: list
    elements: dict
    default: []
    suboptions:
      kind:
        description: Kind of the workload.
        type: str
        choices: [Deployment, StatefulSet, DaemonSet]
        default: Deployment
      name:
        description: Name of the workload.
        type: str
        required: true
  confirm:
    description: Has to be V(true) with O(targets), since that harms what runs there.
    type: bool
    default: false
  endpoint_prefix:
    description: What the names of the fake Discords begin with, the name of the release of the chart demo and a hyphen.
    type: str
    default: faults-
  transcript_path:
    description: Folder of the transcripts in the agents of the drill.
    type: str
    default: /home/agent/.claude
  node_container:
    description:
      - Name of the container on the module's host that is a node of the cluster, as with kind. Only with it
        V(kubelet-restart) is made. It has to be the node that the pod runs on, and to bear its name.
    type: str
  container_engine:
    description: Program that runs a command in O(node_container).
    type: str
    default: docker
  timeout:
    description: Seconds each fault may take until its reaction, and again until all is as it was.
    type: int
    default: 120
  fail_on:
    description: From which severity on a finding fails the task. V(none) never fails.
    type: str
    choices: [error, warning, none]
    default: error
  report_dir:
    description:
      - Folder for C(findings.html), C(findings.json), C(findings.txt) and C(findings.xml) (JUnit) on the host that the
        module runs on. Without it nothing is written.
    type: path
extends_documentation_fragment:
  - kubernetes.core.k8s_auth_options
attributes:
  check_mode:
    description:
      - In check mode nothing is put out of order, every fault is skipped with that reason. C(changed) says whether any
        would be made.
    support: full
  diff_mode:
    description: Has nothing to show a difference of.
    support: none
  idempotent:
    description: Every run makes the faults again.
    support: none
requirements:
  - python >= 3.11
  - kubernetes >= 24.2.0
  - PyYAML >= 3.11
seealso:
  - module: orchestrator.platform.verification
"""

EXAMPLES = r"""
- name: Kill the watcher of one workload and prove that its agent does not notice
  orchestrator.platform.fault_drill:
    namespace: agents
    targets:
      - {kind: Deployment, name: coder}
    faults: [watcher-killed]
    confirm: true

- name: All faults in a namespace of their own, made and removed by the role
  ansible.builtin.include_role:
    name: orchestrator.platform.verify
    tasks_from: faults
"""

RETURN = r"""
findings:
  description: The findings, worst first, in the shape that M(orchestrator.platform.verification) returns.
  returned: always
  type: list
  elements: dict
  sample:
    - id: faults/watcher-killed
      severity: error
      subject: {kind: Pod, namespace: faults, name: faults-watcher-killed-6dd8-xmc77, container: discord-watcher}
      verdict: pass
      evidence: "discord-watcher restarts: 1; back after 6.1 s; 6 arrivals of 6 lines"
      hint: ""
      count: 1
table:
  description: A line for each fault and container with its state before and after, and the names of what C(changed).
  returned: always
  type: list
  elements: dict
  sample:
    - fault: faults/watcher-killed
      pod: faults-watcher-killed-6dd8-xmc77
      container: agent
      struck: false
      before: {restarts: 0, container_id: "containerd://1f", started_at: "2026-11-22T08:44:31Z", ready: true}
      after: {restarts: 0, container_id: "containerd://1f", started_at: "2026-11-22T08:44:31Z", ready: true}
      changed: []
summary:
  description: Number of subjects by verdict. C(complete) is false when something was not permitted.
  returned: always
  type: dict
  sample: {passed: 24, failed: 0, warned: 0, skipped: 2, suppressed: 0, complete: true}
lines:
  description: The report and the table as lines of text.
  returned: always
  type: list
  elements: str
  sample: ["24 passed, 0 failed, 0 warned, 2 skipped"]
files:
  description: Files written.
  returned: always
  type: list
  elements: str
  sample: [report/findings.html, report/findings.json, report/findings.txt, report/findings.xml]
api_calls:
  description: Number of requests sent.
  returned: always
  type: int
  sample: 412
timings:
  description: Seconds altogether, and of each fault by its id.
  returned: always
  type: dict
  sample: {drill_s: 58.1, total_s: 58.2, faults/watcher-killed: 12.4}
"""

import datetime
import typing as t

from ansible_collections.kubernetes.core.plugins.module_utils.args_common import AUTH_ARG_SPEC
from ansible_collections.orchestrator.platform.plugins.module_utils._api_client import k8s_module
from ansible_collections.orchestrator.platform.plugins.module_utils._cluster import Cluster, Stopwatch
from ansible_collections.orchestrator.platform.plugins.module_utils._drill import Ground, Pods
from ansible_collections.orchestrator.platform.plugins.module_utils._drill_plan import (
    KUBELET,
    NO_NODE,
    drill_own,
    drill_targets,
)
from ansible_collections.orchestrator.platform.plugins.module_utils._errors import PlatformError
from ansible_collections.orchestrator.platform.plugins.module_utils._expectation import Expectation
from ansible_collections.orchestrator.platform.plugins.module_utils._fault_table import Line, as_text, table
from ansible_collections.orchestrator.platform.plugins.module_utils._faults import (
    Fault,
    Observation,
    as_checks,
    choose,
)
from ansible_collections.orchestrator.platform.plugins.module_utils._findings import show_subject, subject
from ansible_collections.orchestrator.platform.plugins.module_utils._judge import judge
from ansible_collections.orchestrator.platform.plugins.module_utils._names import check_namespaces, check_object_name
from ansible_collections.orchestrator.platform.plugins.module_utils._report import Report, show_counts, text_lines
from ansible_collections.orchestrator.platform.plugins.module_utils._report_files import write_reports
from ansible_collections.orchestrator.platform.plugins.module_utils._snapshot import Snapshot, View
from ansible_collections.orchestrator.platform.plugins.module_utils._workloads import Foreign, Json

ARGUMENT_SPEC: dict[str, t.Any] = {
    **AUTH_ARG_SPEC,
    "namespace": {"type": "str", "required": True},
    "faults": {"type": "list", "elements": "str", "default": []},
    "targets": {
        "type": "list",
        "elements": "dict",
        "default": [],
        "options": {
            "kind": {"type": "str", "choices": ["Deployment", "StatefulSet", "DaemonSet"], "default": "Deployment"},
            "name": {"type": "str", "required": True},
        },
    },
    "confirm": {"type": "bool", "default": False},
    "endpoint_prefix": {"type": "str", "default": "faults-"},
    "transcript_path": {"type": "str", "default": "/home/agent/.claude"},
    "node_container": {"type": "str"},
    "container_engine": {"type": "str", "default": "docker"},
    "timeout": {"type": "int", "default": 120},
    "fail_on": {"type": "str", "choices": ["error", "warning", "none"], "default": "error"},
    "report_dir": {"type": "path"},
}
THREADS = 32  # a fault is mostly waiting


def run(module: Foreign) -> dict[str, Json]:
    """Make the faults, judge, report."""
    params: dict[str, Json] = module.params
    check_namespaces([params["namespace"]], "namespace")
    for target in params["targets"]:
        check_object_name(target["name"], "targets.name")
    faults = choose(params["faults"], on_workload=bool(params["targets"]))
    if params["targets"] and not params["confirm"]:
        raise PlatformError(
            "confirm: with targets the drill kills watchers of workloads of yours: set confirm to true to allow that."
        )
    watch = Stopwatch()
    cluster = Cluster(module, threads=THREADS)
    seen = unmade(params, faults) if module.check_mode else made(module, cluster, faults)
    watch.lap("drill_s")
    report = reported(params, faults, seen)
    lines: list[Line] = [line for item in seen for line in table(item.fault, item.before, item.after, item.struck)]
    result: dict[str, Json] = {
        "changed": acts(params, faults),
        "findings": report.findings,
        "table": lines,
        "summary": report.summary,
        "lines": [*as_text(lines), "", *text_lines(report)],
        "files": [] if module.check_mode else write_reports(params["report_dir"], report),
        "api_calls": cluster.calls,
        "timings": {**watch.result(), **{item.fault: item.took_s for item in seen if item.took_s}},
    }
    if report.broken:
        worst = report.broken[0]
        first = f"{worst['id']}: {show_subject(worst['subject'])}: {worst['evidence']}"
        result["failed"] = True
        result["msg"] = f"{show_counts(report.summary)}. First: {first}. {worst['hint']}"
    return result


def acts(params: dict[str, Json], faults: tuple[Fault, ...]) -> bool:
    """Whether anything is put out of order, or would be in check mode."""
    return any(item.name != KUBELET or params["node_container"] for item in faults)


def unmade(params: dict[str, Json], faults: tuple[Fault, ...]) -> list[Observation]:
    """What check mode says of each fault."""
    where = subject("Namespace", params["namespace"], params["namespace"])
    reason = "check mode: nothing is put out of order"
    return [
        Observation(item.check.id, where, item.struck, skipped=reason if acts(params, (item,)) else NO_NODE)
        for item in faults
    ]


def made(module: Foreign, cluster: Cluster, faults: tuple[Fault, ...]) -> list[Observation]:
    """Make the faults and observe."""
    params: dict[str, Json] = module.params

    def restart_kubelet() -> None:
        argv = [params["container_engine"], "exec", params["node_container"], "systemctl", "restart", "kubelet"]
        code, _out, error = module.run_command(argv)
        if code:
            raise PlatformError(f"the kubelet in {params['node_container']} was not restarted: {error.strip()[:300]}")

    with Pods(cluster, params["namespace"]) as pods:
        ground = Ground(
            cluster,
            params["namespace"],
            pods,
            params["timeout"],
            restart_kubelet if params["node_container"] else None,
            params["node_container"] or "",
        )
        if params["targets"]:
            return drill_targets(ground, faults, [(item["kind"], item["name"]) for item in params["targets"]])
        return drill_own(ground, faults, prefix=params["endpoint_prefix"], folder=params["transcript_path"])


def reported(params: dict[str, Json], faults: tuple[Fault, ...], seen: list[Observation]) -> Report:
    """The findings in the reports' shape."""
    namespace = params["namespace"]
    nothing = Expectation(
        monitor_namespace=namespace,
        agent_namespaces=(namespace,),
        release="",
        fullname="",
        snippet_name="",
        bot_secret="",
        bot_key="",
        webhook_secret="",
    )
    now = datetime.datetime.now(datetime.UTC)
    view = View(Snapshot(), nothing)
    return judge(view, as_checks(seen, faults), [], fail_on=params["fail_on"], lenient=False, now=now)


def main() -> None:
    """Entry point."""
    module = k8s_module(argument_spec=ARGUMENT_SPEC, supports_check_mode=True)
    try:
        result = run(module)
    except PlatformError as exc:  # the only place where an error becomes a failed task
        module.fail_json(msg=str(exc), **exc.details)
    else:
        module.exit_json(**result)


if __name__ == "__main__":
    main()

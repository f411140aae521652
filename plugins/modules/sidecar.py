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
  - A change of the pod template replaces the workload's pods, once. O(batch) says how many workloads are changed at
    once, O(on_failure) what becomes of those whose new pods do not start.
options:
  state:
    description:
      - V(present) makes the selected workloads hold the sidecar as published.
      - V(absent) removes everything this module has added to them.
    type: str
    choices: [present, absent]
    default: present
  namespaces:
    description: Namespaces in which workloads are selected, at least one. Each name is checked before anything is read.
    type: list
    elements: str
    required: true
  kinds:
    description:
      - Kinds of workloads to select, at least one.
      - A Job's pod template cannot be changed, see O(recreate_jobs). ReplicaSets, ReplicationControllers and Pods are
        never changed; they are answered with the code that says what to do.
    type: list
    elements: str
    choices: [Deployment, StatefulSet, DaemonSet, CronJob, Job, ReplicaSet, ReplicationController, Pod]
    default: [Deployment]
  wait:
    description: Whether to wait until the rollouts of all changed workloads are complete.
    type: bool
    default: false
  wait_timeout:
    description:
      - Longest wait for the rollouts of one batch, in seconds, at least 1. Putting back what failed may take as long
        again.
    type: int
    default: 300
  wait_stable:
    description:
      - For how many seconds the new pods of a batch have to stay up after its rollouts are complete, once a batch. A
        container that ends with an error in that time is a failed rollout. It comes on top of O(wait_timeout).
      - Without a readiness probe a pod counts as available at once, also where its agent then dies. V(0) does not look.
    type: int
    default: 5
    version_added: 0.2.0
  batch:
    description:
      - How many of the workloads that will change are changed at once, as a number or as a percentage, rounded up.
        The next batch begins when the rollouts of the one before are complete.
      - Workloads that need no change are in no batch. Without O(wait=true) there is nothing to wait for, and all are
        changed at once.
    type: str
    default: 100%
    version_added: 0.2.0
  on_failure:
    description:
      - What follows a rollout that fails, or that is not complete after O(wait_timeout).
      - V(rollback) gives the workloads of that batch whose rollout failed, and only those, what they held of ours
        before, or takes the sidecar out where there was none; waits for that too; and leaves the batches after it as
        they are (V(not_reached)).
      - V(stop) leaves the failed ones too as they are.
      - V(continue) goes on with the next batch.
      - It acts on rollouts alone, so it needs O(wait=true). A workload that the API server does not let us change has
        nothing to put back and stops no batch.
      - A removal is never taken back.
      - The task fails in each case.
    type: str
    choices: [rollback, stop, continue]
    default: rollback
    version_added: 0.2.0
extends_documentation_fragment:
  - kubernetes.core.k8s_auth_options
  - orchestrator.platform.sidecar_selection
attributes:
  check_mode:
    description: Can run in check mode and return changed status prediction without modifying the target.
    support: full
    details:
      - Sends the same patches as a dry run of the API server.
      - Where a namespace or the published snippet does not exist yet, it warns and returns no workloads. It warns also
        of O(names) that are not there, for which a real run fails.
      - A published webhook Secret that is missing is a note there, since the real run may have made it before. One that
        O(overrides) or an annotation names is V(secret_missing) as in a real run.
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

- name: Roll a quarter of the agents at a time, and put back what does not start
  orchestrator.platform.sidecar:
    namespaces: [agents]
    wait: true
    wait_timeout: 120
    batch: 25%
    on_failure: rollback

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
    manifest:
      description:
        - The manifest of a Job that was deleted and could not be made again, without secret-shaped values.
      returned: when that has happened
      type: dict
summary:
  description: Number of workloads by outcome.
  returned: always
  type: dict
  sample: {injected: 2, updated: 0, unchanged: 0, removed: 0, skipped: 1, conflict: 0, failed: 0}
stopped:
  description:
    - Whether a rollout failed and, as O(on_failure) says, nothing more was begun. The role then leaves out its other
      targets.
  returned: always
  type: bool
  sample: false
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
  description: Number of requests sent, the patches among them, and all by part of the run.
  returned: always
  type: dict
  sample: {total: 9, patches: 2, read: 5, apply: 2, wait: 2}
timings:
  description: Seconds spent reading, patching, waiting and, where it came to that, putting back.
  returned: always
  type: dict
  sample: {read_s: 0.08, apply_s: 0.04, wait_s: 3.1, total_s: 3.22}
"""

import typing as t

from ansible_collections.kubernetes.core.plugins.module_utils.args_common import AUTH_ARG_SPEC
from ansible_collections.orchestrator.platform.plugins.module_utils._api_client import k8s_module
from ansible_collections.orchestrator.platform.plugins.module_utils._cluster import Cluster
from ansible_collections.orchestrator.platform.plugins.module_utils._errors import PlatformError
from ansible_collections.orchestrator.platform.plugins.module_utils._injection import Run
from ansible_collections.orchestrator.platform.plugins.module_utils._selection import SELECTION_SPEC
from ansible_collections.orchestrator.platform.plugins.module_utils._snippet import hide_literals
from ansible_collections.orchestrator.platform.plugins.module_utils._workloads import KINDS

ARGUMENT_SPEC: dict[str, t.Any] = {
    **AUTH_ARG_SPEC,
    "state": {"type": "str", "choices": ["present", "absent"], "default": "present"},
    "namespaces": {"type": "list", "elements": "str", "required": True},
    "kinds": {"type": "list", "elements": "str", "choices": list(KINDS), "default": ["Deployment"]},
    **SELECTION_SPEC,
    "wait": {"type": "bool", "default": False},
    "wait_timeout": {"type": "int", "default": 300},
    "wait_stable": {"type": "int", "default": 5},
    "batch": {"type": "str", "default": "100%"},
    "on_failure": {"type": "str", "choices": ["rollback", "stop", "continue"], "default": "rollback"},
}


def main() -> None:
    """Entry point."""
    module = k8s_module(
        argument_spec=ARGUMENT_SPEC,
        supports_check_mode=True,
        mutually_exclusive=[("snippet", "snippet_from")],
    )
    hide_literals(module)
    try:
        result = Run(module, Cluster(module, threads=module.params["threads"])).result()
    except PlatformError as exc:  # the only place where an error becomes a failed task
        module.fail_json(msg=str(exc), **exc.details)
    else:
        module.exit_json(**result)


if __name__ == "__main__":
    main()

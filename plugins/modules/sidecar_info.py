#!/usr/bin/python
# SPDX-License-Identifier: GPL-3.0-or-later
# SPDX-FileCopyrightText: 2026 The orchestrator.platform authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Module sidecar_info: tells what each workload holds of the sidecar, and what module sidecar would do and why."""

from __future__ import annotations

DOCUMENTATION = r"""
---
module: sidecar_info
short_description: Explain what workloads hold of the monitoring sidecar, and what injection would do
version_added: 0.2.0
author:
  - The orchestrator.platform authors (@orchestrator)
description:
  - Tells for each workload whether the sidecar is in it, in which form and from which snippet, whether that is
    outdated, which pods are older than the template, and who has changed which of our fields since.
  - Tells also which outcome M(orchestrator.platform.sidecar) would give with the same arguments, and why. One function
    decides in both modules, so that they cannot differ; only what the API server itself would refuse, or a rollout that
    would fail, is not known beforehand.
  - Looks at live workloads, or with O(src) or O(definitions) at manifests that no cluster need hold, and changes
    nothing.
options:
  namespaces:
    description:
      - Namespaces in which workloads are selected. Required without O(src) and O(definitions), with which they only
        narrow the selection.
    type: list
    elements: str
    default: []
  kinds:
    description:
      - Kinds of workloads to select. Empty selects Deployments of a cluster, and every kind of manifests.
    type: list
    elements: str
    choices: [Deployment, StatefulSet, DaemonSet, CronJob, Job, ReplicaSet, ReplicationController, Pod]
    default: []
  src:
    description:
      - Manifest files, and folders of which every file C(.yaml), C(.yml) or C(.json) is read, on the host that runs the
        module. Several documents in a file and lists of objects are understood.
      - What a manifest would get is what the filter P(orchestrator.platform.with_sidecar#filter) gives it. A Job or Pod
        in a file can be given a sidecar, since no cluster holds it yet.
    type: list
    elements: path
    default: []
  definitions:
    description: Manifests as objects, instead of or beside O(src).
    type: list
    elements: dict
    default: []
extends_documentation_fragment:
  - kubernetes.core.k8s_auth_options
  - orchestrator.platform.sidecar_selection
attributes:
  check_mode:
    description: Can run in check mode and return changed status prediction without modifying the target.
    support: full
    details:
      - It only reads. Where a namespace or the published snippet does not exist yet, check mode warns and returns no
        workloads.
  diff_mode:
    description: Returns details on what has changed, or what would change.
    support: none
  idempotent:
    description: Run again without a change in between, it changes nothing.
    support: full
    details:
      - It never changes anything.
requirements:
  - python >= 3.11
  - kubernetes >= 24.2.0
  - PyYAML >= 3.11
notes:
  - The cluster is not asked at all where manifests and O(snippet) are given.
seealso:
  - module: orchestrator.platform.sidecar
  - plugin: orchestrator.platform.with_sidecar
    plugin_type: filter
"""

EXAMPLES = r"""
- name: Ask what injection would do, and why
  orchestrator.platform.sidecar_info:
    namespaces: [agents]
    kinds: [Deployment, StatefulSet, CronJob, Job]
  register: survey

- name: Show who has changed our fields
  ansible.builtin.debug:
    msg: "{{ survey.workloads | selectattr('drift') | map(attribute='drift') | flatten }}"

- name: Restart what still runs older pods
  ansible.builtin.debug:
    msg: "{{ item.kind }} {{ item.namespace }}/{{ item.name }}: {{ item.stale_pods | join(', ') }}"
  loop: "{{ survey.workloads | selectattr('stale_pods') }}"
  loop_control:
    label: "{{ item.name }}"

- name: Ask the same of manifests, with the snippet of a cluster
  orchestrator.platform.sidecar_info:
    src: [manifests/]
"""

RETURN = r"""
workloads:
  description:
    - One row for each selected workload, sorted by namespace, kind and name; rows of manifests in the files' order.
  returned: always
  type: list
  elements: dict
  contains:
    kind:
      description: The workload's kind; V(Namespace) where a namespace as a whole could not be read.
      type: str
      sample: Deployment
    namespace:
      description: Its namespace; null in a manifest that names none.
      type: str
      sample: agents
    name:
      description: Its name.
      type: str
      sample: coder
    injected:
      description: Whether a watcher is in the pod template, injected or brought by the workload's own manifest.
      type: bool
      sample: true
    form:
      description: V(native) or V(container); null without a watcher.
      type: str
      sample: native
    snippet_hash:
      description: Hash of the snippet that was injected; null where nothing was.
      type: str
      sample: 5f70bf18a086007016e948b04aed3b82103a36bea41755b6cddfaf10ace3c6ef
    outdated:
      description: Whether that is another snippet than the published one; null where there is no hash to compare.
      type: bool
      sample: false
    stale_pods:
      description:
        - Names of the pods that run and are not of the current template, by its hash. Null where pods may not be
          listed.
      type: list
      elements: str
      sample: []
    drift:
      description:
        - Fields of ours that somebody else has changed, added to or taken away since injection, with C(field) and
          C(manager). The manager is null where something is gone, since then nothing tells who took it.
      type: list
      elements: dict
      sample: [{field: 'spec.template.spec.initContainers[name="discord-watcher"].image', manager: kubectl-edit}]
    outcome:
      description:
        - What M(orchestrator.platform.sidecar) would give, one of V(injected), V(updated), V(unchanged), V(skipped),
          V(conflict), V(failed).
      type: str
      sample: unchanged
    code:
      description: The reason as a stable code; docs/outcomes.md of the collection lists them.
      type: str
      sample: unchanged
    message:
      description: The reason as a sentence.
      type: str
      sample: The sidecar is as published; nothing was sent.
    file:
      description: The manifest's file; null for O(definitions).
      returned: with O(src) or O(definitions)
      type: str
      sample: manifests/coder.yaml
    line:
      description: The line in it on which the workload begins; null for O(definitions).
      returned: with O(src) or O(definitions)
      type: int
      sample: 12
summary:
  description: Number of workloads by outcome.
  returned: always
  type: dict
  sample: {injected: 2, updated: 0, unchanged: 7, removed: 0, skipped: 1, conflict: 0, failed: 0}
snippet_hash:
  description: Hash of the snippet with which workloads were compared.
  returned: always
  type: str
  sample: 5f70bf18a086007016e948b04aed3b82103a36bea41755b6cddfaf10ace3c6ef
form:
  description: The form that injection would take, V(native) or V(container).
  returned: always
  type: str
  sample: native
api_calls:
  description: Number of requests sent.
  returned: always
  type: int
  sample: 7
"""

import typing as t

from ansible_collections.kubernetes.core.plugins.module_utils.args_common import AUTH_ARG_SPEC
from ansible_collections.orchestrator.platform.plugins.module_utils._api_client import k8s_module
from ansible_collections.orchestrator.platform.plugins.module_utils._cluster import Cluster
from ansible_collections.orchestrator.platform.plugins.module_utils._errors import PlatformError
from ansible_collections.orchestrator.platform.plugins.module_utils._selection import SELECTION_SPEC
from ansible_collections.orchestrator.platform.plugins.module_utils._snippet import hide_literals
from ansible_collections.orchestrator.platform.plugins.module_utils._survey import FileSurvey, Survey
from ansible_collections.orchestrator.platform.plugins.module_utils._workloads import KINDS

ARGUMENT_SPEC: dict[str, t.Any] = {
    **AUTH_ARG_SPEC,
    **SELECTION_SPEC,
    "namespaces": {"type": "list", "elements": "str", "default": []},
    "kinds": {"type": "list", "elements": "str", "choices": list(KINDS), "default": []},
    "src": {"type": "list", "elements": "path", "default": []},
    "definitions": {"type": "list", "elements": "dict", "default": []},
}


def main() -> None:
    """Entry point."""
    module = k8s_module(
        argument_spec=ARGUMENT_SPEC,
        supports_check_mode=True,
        mutually_exclusive=[("snippet", "snippet_from")],
    )
    hide_literals(module)
    params = module.params

    def cluster() -> Cluster:
        return Cluster(module, threads=params["threads"])

    try:
        if params["src"] or params["definitions"]:
            if params["label_selectors"] or params["field_selectors"]:
                raise PlatformError("Selectors are for workloads of a cluster: select manifests by names and kinds.")
            result = FileSurvey(module, cluster).result()
        elif not params["namespaces"]:
            raise PlatformError("Nothing is selected: give namespaces, or manifests by src or definitions.")
        else:
            result = Survey(module, cluster()).result()
    except PlatformError as exc:  # the only place where an error becomes a failed task
        module.fail_json(msg=str(exc), **exc.details)
    else:
        module.exit_json(**result)


if __name__ == "__main__":
    main()

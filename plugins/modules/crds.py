#!/usr/bin/python
# SPDX-License-Identifier: GPL-3.0-or-later
# SPDX-FileCopyrightText: 2026 The orchestrator.platform authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Module crds: the platform's custom resource definitions, present or absent."""

from __future__ import annotations

DOCUMENTATION = r"""
module: crds
short_description: Bring the platform's CRDs to a cluster, or take their objects and them away
version_added: 0.2.0
author: The orchestrator.platform authors (@orchestrator)
description:
  - Applies custom resource definitions by server-side apply with the field manager C(orchestrator.platform), all of
    them in one task, and waits until the API server serves their kinds. Objects of the kinds are kept.
  - A CRD that Helm installed from a chart's folder C(crds) is taken over. One that belongs to somebody else is refused
    with a sentence, before anything is written.
  - Removal deletes the objects first and waits until they are gone, so that a controller that still runs can end them
    in order.
extends_documentation_fragment:
  - kubernetes.core.k8s_auth_options
options:
  definitions:
    description: The CRDs, as read from their YAML.
    type: list
    elements: dict
    required: true
  state:
    description:
      - V(present) applies them. V(emptied) deletes every object of their kinds and keeps the CRDs. V(absent) deletes
        the objects and then the CRDs.
    type: str
    choices: [present, emptied, absent]
    default: present
  take_over:
    description: Field managers whose CRDs may become ours, as shown by C(kubectl get --show-managed-fields).
    type: list
    elements: str
    default: [helm]
  claims_in:
    description:
      - Namespaces whose workspace claims go with the objects if they carry label C(app=orchestrator); those of a
        deleted run's service go in the run's namespace. Without it every claim is kept.
    type: list
    elements: str
  namespaces:
    description: Namespaces whose objects are deleted. Without it those of all namespaces are. Not for the other states.
    type: list
    elements: str
  finalizers:
    description:
      - Finalizers that are taken off an object that is still there after O(controller_timeout), since no controller is
        left to do so.
    type: list
    elements: str
    default: [coderuns.orchestrator.io/finalizer, docsruns.orchestrator.io/finalizer]
  controller_timeout:
    description: How long a controller gets to end the objects itself, in seconds.
    type: int
    default: 60
  wait_timeout:
    description: Longest wait for the kinds to be served, or for objects to be gone, in seconds.
    type: int
    default: 60
attributes:
  check_mode:
    description: Asks the API server by its dry run, also on a cluster that has never seen the CRDs.
    support: full
  diff_mode:
    description: Shows the fields of each CRD before and after.
    support: full
  idempotent:
    description: What is as wanted gets no request that writes.
    support: full
requirements:
  - python >= 3.11
  - kubernetes >= 24.2.0
  - PyYAML >= 3.11
seealso:
  - module: kubernetes.core.k8s
"""

EXAMPLES = r"""
- name: The CRDs of the chart
  orchestrator.platform.crds:
    definitions: "{{ query('ansible.builtin.file', 'coderun-crd.yaml', 'docsrun-crd.yaml') | map('from_yaml') }}"

- name: What would go with them
  orchestrator.platform.crds:
    definitions: "{{ query('ansible.builtin.file', 'coderun-crd.yaml', 'docsrun-crd.yaml') | map('from_yaml') }}"
    state: absent
    claims_in: [orchestrator]
  check_mode: true
  register: purge
"""

RETURN = r"""
crds:
  description:
    - One row a CRD. C(outcome) is V(created), V(updated), V(taken_over) or V(unchanged), with another O(state)
      V(removed) or V(kept).
  returned: success
  type: list
  elements: dict
  sample:
    - name: coderuns.orchestrator.platform
      outcome: created
removed:
  description: Everything that was deleted, in check mode what would be.
  returned: success
  type: list
  elements: dict
  sample:
    - {kind: CodeRun, namespace: orchestrator, name: code-7-1700000000}
"""

import typing as t

from ansible_collections.kubernetes.core.plugins.module_utils.args_common import AUTH_ARG_SPEC
from ansible_collections.orchestrator.platform.plugins.module_utils._api_client import k8s_module
from ansible_collections.orchestrator.platform.plugins.module_utils._cluster import Cluster
from ansible_collections.orchestrator.platform.plugins.module_utils._crds import name_of
from ansible_collections.orchestrator.platform.plugins.module_utils._crds_work import Crds
from ansible_collections.orchestrator.platform.plugins.module_utils._errors import PlatformError
from ansible_collections.orchestrator.platform.plugins.module_utils._workloads import Json

FINALIZERS = ["coderuns.orchestrator.io/finalizer", "docsruns.orchestrator.io/finalizer"]
ARGUMENT_SPEC: dict[str, t.Any] = {
    **AUTH_ARG_SPEC,
    "definitions": {"type": "list", "elements": "dict", "required": True},
    "state": {"type": "str", "choices": ["present", "emptied", "absent"], "default": "present"},
    "take_over": {"type": "list", "elements": "str", "default": ["helm"]},
    "claims_in": {"type": "list", "elements": "str"},
    "namespaces": {"type": "list", "elements": "str"},
    "finalizers": {"type": "list", "elements": "str", "default": FINALIZERS},
    "controller_timeout": {"type": "int", "default": 60},
    "wait_timeout": {"type": "int", "default": 60},
}


def check_definitions(definitions: list[Json]) -> None:
    """Raises PlatformError for what is no CRD."""
    for number, item in enumerate(definitions):
        if item.get("kind") != "CustomResourceDefinition" or not isinstance(item.get("spec"), dict):
            raise PlatformError(
                f"definitions[{number}] is no CustomResourceDefinition: give each as read from its file."
            )


def present(crds: Crds, params: dict[str, Json], *, check_mode: bool) -> dict[str, Json]:
    """Apply and wait."""
    rows, differences = crds.apply(params["take_over"])
    if not check_mode:
        crds.wait_established()
    shown = {
        "before": {before["metadata"]["name"]: before["spec"] for before, _after in differences if before},
        "after": {after["metadata"]["name"]: after["spec"] for _before, after in differences},
    }
    return {"changed": bool(differences), "crds": rows, "removed": [], "diff": shown}


def gone(crds: Crds, params: dict[str, Json]) -> dict[str, Json]:
    """List, delete the objects, then the CRDs if they are to go too."""
    runs = crds.objects(params.get("namespaces"))
    claims = [] if params["claims_in"] is None else crds.claims(runs, params["claims_in"])
    live = crds.live()
    crds.remove(runs, params["finalizers"], controller_s=params["controller_timeout"])
    crds.remove(claims)
    whole = params["state"] == "absent"
    if whole:
        crds.remove(live)
    removed = [item.row() for item in [*runs, *claims, *(live if whole else [])]]
    there = {item.name for item in live} if whole else set()
    names = [name_of(item) for item in params["definitions"]]
    rows = [{"name": name, "outcome": "removed" if name in there else "kept"} for name in names]
    names_of_removed = [f"{row['kind']} {row['namespace']}/{row['name']}" for row in removed]
    shown = {"before": {"objects": names_of_removed}, "after": {"objects": []}}
    return {"changed": bool(removed), "crds": rows, "removed": removed, "diff": shown}


def run(params: dict[str, Json], cluster: Cluster, *, check_mode: bool) -> dict[str, Json]:
    """Read, compare, apply; or list and delete."""
    check_definitions(params["definitions"])
    if params.get("namespaces") is not None and params["state"] != "emptied":
        raise PlatformError("namespaces only goes with state emptied: a CRD is there for all namespaces or for none.")
    crds = Crds(cluster, params["definitions"], wait_s=params["wait_timeout"], dry_run=check_mode)
    if params["state"] == "present":
        return present(crds, params, check_mode=check_mode)
    return gone(crds, params)


def main() -> None:
    """Entry point."""
    module = k8s_module(argument_spec=ARGUMENT_SPEC, supports_check_mode=True)
    try:
        result = run(module.params, Cluster(module), check_mode=module.check_mode)
    except PlatformError as exc:  # the only place where an error becomes a failed task
        module.fail_json(msg=str(exc), **exc.details)
    else:
        module.exit_json(**result)


if __name__ == "__main__":
    main()

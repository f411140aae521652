#!/usr/bin/python
# SPDX-License-Identifier: GPL-3.0-or-later
# SPDX-FileCopyrightText: 2026 The orchestrator.platform authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Module helm_adopt: gives hand-made objects to a Helm release that is about to be installed over them."""

from __future__ import annotations

DOCUMENTATION = r"""
---
module: helm_adopt
short_description: Give hand-made objects to a Helm release before it is installed over them
version_added: 0.2.0
author:
  - The orchestrator.platform authors (@orchestrator)
description:
  - Helm refuses to install over objects that it has not made, and a Deployment's selector cannot be changed. The module
    compares what a chart renders to with what the cluster holds, writes Helm's ownership metadata onto what is there,
    and on request ends and deletes what cannot be changed in place.
  - An object that belongs to another Helm release is refused before anything is changed.
  - Run it in check mode first; it says of each object what would happen, and what the namespace holds besides.
options:
  manifest:
    description: What C(helm template) prints for the release, with the release's namespace.
    type: str
    required: true
  release_name:
    description: Name of the release.
    type: str
    required: true
  release_namespace:
    description: Namespace of the release.
    type: str
    required: true
  replace:
    description:
      - Whether what cannot be changed in place is ended and deleted. A Deployment is scaled to 0, its pods are waited
        for, then it is deleted; until Helm has brought the new one, the service is away.
      - Then Services lose the labels they selected by before, and ConfigMaps the keys that the chart does not have.
        Helm would leave them, and a Service that selects by old and new labels finds nothing.
    type: bool
    default: false
  wait_seconds:
    description: Longest wait for the end of the old pods, in seconds.
    type: int
    default: 300
extends_documentation_fragment:
  - kubernetes.core.k8s_auth_options
attributes:
  check_mode:
    description: Changes nothing, and says what would happen to each object.
    support: full
  diff_mode:
    description: Shows the objects that change hands, not their content.
    support: partial
  idempotent:
    description: What belongs to the release already is left alone.
    support: full
requirements:
  - python >= 3.11
  - kubernetes >= 24.2.0
seealso:
  - module: kubernetes.core.helm
"""

EXAMPLES = r"""
- name: See what a release would take over
  orchestrator.platform.helm_adopt:
    manifest: "{{ rendered.stdout }}"
    release_name: orchestrator
    release_namespace: orchestrator
  check_mode: true
"""

RETURN = r"""
objects:
  description: >-
    What happens to each object of the release. V(create) when it is not there, V(owned) when it belongs to the release,
    V(adopt) when it gets Helm's metadata, V(replace) when it has to be deleted first.
  returned: always
  type: list
  elements: dict
  sample: [{api_version: v1, kind: Service, namespace: orchestrator, name: orchestrator, outcome: adopt, reason: ""}]
leftovers:
  description: What else the namespace holds. V(data) are runs, claims and Secrets, V(left) is what nobody may need now.
  returned: always
  type: list
  elements: dict
  sample: [{api_version: v1, kind: ConfigMap, namespace: orchestrator, name: old-settings, outcome: left, reason: ""}]
summary:
  description: Number of objects by outcome.
  returned: always
  type: dict
  sample: {adopt: 5, create: 2, replace: 1}
"""

import typing as t
from collections import Counter

from ansible_collections.kubernetes.core.plugins.module_utils.args_common import AUTH_ARG_SPEC
from ansible_collections.orchestrator.platform.plugins.module_utils._adopting import Adoption
from ansible_collections.orchestrator.platform.plugins.module_utils._api_client import k8s_module
from ansible_collections.orchestrator.platform.plugins.module_utils._cluster import Cluster
from ansible_collections.orchestrator.platform.plugins.module_utils._errors import PlatformError
from ansible_collections.orchestrator.platform.plugins.module_utils._names import check_namespaces, check_object_name
from ansible_collections.orchestrator.platform.plugins.module_utils._workloads import Json

ARGUMENT_SPEC: dict[str, t.Any] = {
    **AUTH_ARG_SPEC,
    # Long, and what a chart renders to may hold a Secret.
    "manifest": {"type": "str", "required": True, "no_log": True},
    "release_name": {"type": "str", "required": True},
    "release_namespace": {"type": "str", "required": True},
    "replace": {"type": "bool", "default": False},
    "wait_seconds": {"type": "int", "default": 300},
}


def run(params: dict[str, Json], cluster: Cluster, *, check_mode: bool) -> dict[str, Json]:
    """Plan; then adopt, which nobody notices; then replace, which ends what runs."""
    work = Adoption(cluster, params["manifest"], name=params["release_name"], namespace=params["release_namespace"])
    work.plan()
    acted = [row for row in work.rows if row.outcome == "adopt" or (row.outcome == "replace" and params["replace"])]
    if not check_mode:
        work.adopt()
        if params["replace"]:
            work.replace(wait_s=params["wait_seconds"])
    return {
        "changed": bool(acted or (params["replace"] and work.settlements())),
        "objects": [row._asdict() for row in work.rows],
        "leftovers": [row._asdict() for row in work.left],
        "summary": dict(sorted(Counter(row.outcome for row in work.rows).items())),
        "diff": {"before": "", "after": "".join(f"{row.outcome} {row.kind} {row.name}\n" for row in acted)},
    }


def main() -> None:
    """Entry point."""
    module = k8s_module(argument_spec=ARGUMENT_SPEC, supports_check_mode=True)
    try:
        check_namespaces([module.params["release_namespace"]], "release_namespace")
        check_object_name(module.params["release_name"], "release_name")
        result = run(module.params, Cluster(module), check_mode=module.check_mode)
    except PlatformError as exc:  # the only place where an error becomes a failed task
        module.fail_json(msg=str(exc), **exc.details)
    else:
        module.exit_json(**result)


if __name__ == "__main__":
    main()

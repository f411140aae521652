#!/usr/bin/python
# SPDX-License-Identifier: GPL-3.0-or-later
# SPDX-FileCopyrightText: 2026 The orchestrator.platform authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Module helm_rollback: brings the objects of a release to the state of one of its revisions."""

from __future__ import annotations

DOCUMENTATION = r"""
module: helm_rollback
short_description: Bring the objects of a Helm release to the state of one of its revisions
version_added: 0.2.0
author: The orchestrator.platform authors (@orchestrator)
description:
  - Runs C(helm rollback), which kubernetes.core has no module for. An older revision takes an upgrade back. The present
    revision puts back what was changed or deleted in the cluster since; what others have added stays.
  - Helm records the result as a new revision.
  - It always runs Helm. Whether there is a need is the caller's question, which the C(releases) of
    M(orchestrator.platform.cluster_preflight) answer.
extends_documentation_fragment:
  - kubernetes.core.helm_common_options
options:
  release_name:
    description: Name of the release.
    type: str
    required: true
  release_namespace:
    description: Namespace of the release.
    type: str
    required: true
  revision:
    description: Number of the revision whose state is wanted.
    type: int
    required: true
  wait:
    description: Whether to wait until the objects are ready.
    type: bool
    default: true
  timeout:
    description: Longest wait, in seconds.
    type: int
    default: 300
attributes:
  check_mode:
    description: Says that it would change something, and calls nothing.
    support: full
  diff_mode:
    description: Names the revision.
    support: partial
    details:
      - The difference of the objects is not shown.
seealso:
  - module: kubernetes.core.helm
"""

EXAMPLES = r"""
- name: Take the last upgrade back
  orchestrator.platform.helm_rollback:
    release_name: orchestrator
    release_namespace: orchestrator
    revision: 3
"""

RETURN = r"""
revision:
  description: The revision whose state was brought back.
  returned: always
  type: int
  sample: 3
stdout:
  description: Output of Helm.
  returned: outside of check mode
  type: str
  sample: Rollback was a success! Happy Helming!
stderr:
  description: Error output of Helm.
  returned: outside of check mode
  type: str
  sample: ""
"""

import typing as t

from ansible_collections.kubernetes.core.plugins.module_utils.helm import AnsibleHelmModule
from ansible_collections.kubernetes.core.plugins.module_utils.helm_args_common import (
    HELM_AUTH_ARG_SPEC,
    HELM_AUTH_MUTUALLY_EXCLUSIVE,
)

ARGUMENT_SPEC: dict[str, t.Any] = {
    **HELM_AUTH_ARG_SPEC,
    "release_name": {"type": "str", "required": True},
    "release_namespace": {"type": "str", "required": True},
    "revision": {"type": "int", "required": True},
    "wait": {"type": "bool", "default": True},
    "timeout": {"type": "int", "default": 300},
}


def command(binary: str, params: dict[str, t.Any]) -> list[str]:
    """The call of Helm; the cluster and its credentials go by the environment."""
    argv = [binary, "rollback", params["release_name"], str(params["revision"]), "--cleanup-on-fail"]
    if params["wait"]:
        argv += ["--wait", f"--timeout={params['timeout']}s"]
    return argv


def main() -> None:
    """Entry point."""
    module: t.Any = AnsibleHelmModule(
        argument_spec=ARGUMENT_SPEC, mutually_exclusive=HELM_AUTH_MUTUALLY_EXCLUSIVE, supports_check_mode=True
    )
    params = module.params
    result: dict[str, t.Any] = {"changed": True, "revision": params["revision"]}
    if module._diff:  # noqa: SLF001 (how modules ask for it)
        name = f"release {params['release_namespace']}/{params['release_name']}"
        result["diff"] = {"before": f"{name}\n", "after": f"{name} as in revision {params['revision']}\n"}
    if not module.check_mode:
        _status, result["stdout"], result["stderr"] = module.run_helm_command(command(module.get_helm_binary(), params))
    module.exit_json(**result)


if __name__ == "__main__":
    main()

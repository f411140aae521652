#!/usr/bin/python
# SPDX-License-Identifier: GPL-3.0-or-later
# SPDX-FileCopyrightText: 2026 The orchestrator.platform authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Module service_probe: asks Services over and over, and says how long none of them answered."""

from __future__ import annotations

DOCUMENTATION = r"""
---
module: service_probe
short_description: Wait until a Service answers, or measure how long it does not
version_added: 0.2.0
author:
  - The orchestrator.platform authors (@orchestrator)
description:
  - Asks a path of one or more Services over HTTP, through the API server's proxy, so that no image is needed.
  - Without O(stop_file) it ends with the first answer. With it, it asks until that file is there and a Service answers
    again, and tells for how many seconds none did. Start it so with C(async) and C(poll=0) around what may interrupt
    the service.
options:
  targets:
    description: The Services. A question counts as answered when any of them answers with a status from 200 to 299.
    type: list
    elements: dict
    required: true
    suboptions:
      namespace:
        description: Namespace of the Service.
        type: str
        required: true
      name:
        description: Name of the Service.
        type: str
        required: true
      port:
        description: Port of the Service, by number or name.
        type: str
        required: true
      path:
        description: Path to ask for.
        type: str
        default: /health
  interval_ms:
    description: Time between two questions, in milliseconds.
    type: int
    default: 200
  limit_seconds:
    description: Longest time of all, in seconds. A service that does not answer by then is a failure.
    type: int
    default: 300
  stop_file:
    description: File whose appearance ends a measurement. When its folder is gone, the measurement is given up.
    type: path
extends_documentation_fragment:
  - kubernetes.core.k8s_auth_options
attributes:
  check_mode:
    description: Asks nothing and says so, since in check mode nothing is there to be waited for.
    support: full
  diff_mode:
    description: Changes nothing.
    support: none
  idempotent:
    description: Changes nothing.
    support: full
requirements:
  - python >= 3.11
  - kubernetes >= 24.2.0
"""

EXAMPLES = r"""
- name: Wait for the health answer
  orchestrator.platform.service_probe:
    targets: [{namespace: orchestrator, name: orchestrator, port: "80"}]
"""

RETURN = r"""
probes:
  description: Number of questions asked.
  returned: when it asked
  type: int
  sample: 214
unanswered:
  description: Number of questions without an answer, after the first answer.
  returned: when it asked
  type: int
  sample: 31
outage_seconds:
  description: Seconds without answer altogether, each time from the first question without one to the next with one.
  returned: when it asked
  type: float
  sample: 6.4
longest_outage_seconds:
  description: The longest of these times.
  returned: when it asked
  type: float
  sample: 6.4
"""

import time
import typing as t
from pathlib import Path

from ansible_collections.kubernetes.core.plugins.module_utils.args_common import AUTH_ARG_SPEC
from ansible_collections.orchestrator.platform.plugins.module_utils._api_client import k8s_module
from ansible_collections.orchestrator.platform.plugins.module_utils._cluster import Cluster
from ansible_collections.orchestrator.platform.plugins.module_utils._errors import ClusterError, PlatformError
from ansible_collections.orchestrator.platform.plugins.module_utils._names import check_namespaces, check_object_name
from ansible_collections.orchestrator.platform.plugins.module_utils._outage import Tick, outage_of
from ansible_collections.orchestrator.platform.plugins.module_utils._workloads import Json

ANSWER_S = 2.0  # a client would not wait longer for a health answer
TARGET: dict[str, t.Any] = {
    "namespace": {"type": "str", "required": True},
    "name": {"type": "str", "required": True},
    "port": {"type": "str", "required": True},
    "path": {"type": "str", "default": "/health"},
}
ARGUMENT_SPEC: dict[str, t.Any] = {
    **AUTH_ARG_SPEC,
    "targets": {"type": "list", "elements": "dict", "required": True, "options": TARGET},
    "interval_ms": {"type": "int", "default": 200},
    "limit_seconds": {"type": "int", "default": 300},
    "stop_file": {"type": "path"},
}


def answers(cluster: Cluster, target: dict[str, str]) -> bool:
    """Whether a Service answers now."""
    service = f"{target['name']}:{target['port']}"
    path = f"/api/v1/namespaces/{target['namespace']}/services/{service}/proxy/{target['path'].lstrip('/')}"
    try:
        return 200 <= cluster.read_text(path, timeout_s=ANSWER_S).status < 300
    except ClusterError:
        return False


def run(params: dict[str, Json], cluster: Cluster) -> dict[str, Json]:
    """Ask until it is enough; raises PlatformError when nothing answers at the end."""
    begun = time.monotonic()
    stop = Path(params["stop_file"]) if params["stop_file"] else None
    ticks: list[Tick] = []
    while True:
        asked = time.monotonic()
        answered = any(answers(cluster, target) for target in params["targets"])
        # An answer is there when it has come; that none comes is so from the moment of asking.
        ticks.append(Tick(time.monotonic() if answered else asked, answered))
        if answered and (stop is None or stop.exists()):
            break
        if stop is not None and not stop.parent.exists():
            break  # whoever began the measurement has given it up
        if time.monotonic() - begun > params["limit_seconds"]:
            if answered:
                break
            names = " or ".join(f"{one['namespace']}/{one['name']}:{one['port']}" for one in params["targets"])
            raise PlatformError(
                f"Service {names} did not answer within {params['limit_seconds']} s: look at its endpoints and pods."
            )
        time.sleep(params["interval_ms"] / 1000)
    seen = outage_of(ticks)
    return {
        "changed": False,
        "probes": seen.probes,
        "unanswered": seen.failed,
        "outage_seconds": seen.total_s,
        "longest_outage_seconds": seen.longest_s,
    }


def main() -> None:
    """Entry point."""
    module = k8s_module(argument_spec=ARGUMENT_SPEC, supports_check_mode=True)
    try:
        check_namespaces([target["namespace"] for target in module.params["targets"]], "targets")
        for target in module.params["targets"]:
            check_object_name(target["name"], "targets")
        if module.check_mode:
            module.exit_json(changed=False)
        result = run(module.params, Cluster(module))
    except PlatformError as exc:  # the only place where an error becomes a failed task
        module.fail_json(msg=str(exc), **exc.details)
    else:
        module.exit_json(**result)


if __name__ == "__main__":
    main()

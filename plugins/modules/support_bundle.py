#!/usr/bin/python
# SPDX-License-Identifier: GPL-3.0-or-later
# SPDX-FileCopyrightText: 2026 The orchestrator.platform authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Module support_bundle: what is needed to understand a platform from afar, without its secrets, in one archive."""

from __future__ import annotations

DOCUMENTATION = r"""
---
module: support_bundle
short_description: Write versions, objects, events, logs and findings into one archive, without secrets
version_added: 0.2.0
author:
  - The orchestrator.platform authors (@orchestrator)
description:
  - Reads the namespaces in view, one list for each kind and namespace, then the logs, and writes a C(.tar.gz) that only
    its owner can read. It changes nothing in the cluster.
  - Of Secrets the archive has names, types and keys. Of containers that are not ours it has neither the values of
    variables nor commands, nor what they left as a termination message or printed to a probe. Ours are told by their
    name and program, the bot by the labels of O(release) too.
  - Everything else is redacted by shape (tokens, keys, webhook URLs, passwords in URLs and headers) and by the
    values of the Secrets that can be read, in their usual encodings.
  - What cannot be read is listed in C(index.txt) and C(index.json) of the archive, and is no failure.
options:
  dest:
    description:
      - File of the archive on the host that the module runs on. It gets mode 0600. What is there is replaced.
    type: path
    required: true
  namespaces:
    description: Namespaces to read, that of the bot and those of the agents.
    type: list
    elements: str
    default: [discord-monitor, agents]
  release:
    description: Name of the Helm release, by whose labels the bot is known.
    type: str
    default: discord-monitor
  report_dir:
    description:
      - Folder with the reports of M(orchestrator.platform.verification). Its C(findings.json) and C(findings.txt) are
        put into the archive.
    type: path
  versions:
    description: Versions on the control node, to be put into C(versions.json).
    type: dict
    default: {}
  foreign_logs:
    description:
      - Whether to read the logs of the agents and other containers too. They may hold whatever the agents work on; a
        redaction by shape cannot know that.
    type: bool
    default: false
  log_lines:
    description: Lines from the end of each log.
    type: int
    default: 1000
  log_bytes:
    description: Bytes of each log at most. All logs together are bounded by 32 MiB.
    type: int
    default: 262144
  threads:
    description: How many requests are under way at once.
    type: int
    default: 8
extends_documentation_fragment:
  - kubernetes.core.k8s_auth_options
attributes:
  check_mode:
    description: Reads and writes nothing, and says which file would be written.
    support: full
  diff_mode:
    description: Has nothing to show a difference of.
    support: none
  idempotent:
    description: Each run takes a new picture and writes it.
    support: none
requirements:
  - python >= 3.11
  - kubernetes >= 24.2.0
seealso:
  - module: orchestrator.platform.verification
"""

EXAMPLES = r"""
- name: Everything about the platform, for a colleague
  orchestrator.platform.support_bundle:
    dest: support-bundle.tar.gz
    namespaces: [discord-monitor, agents]
    report_dir: report
"""

RETURN = r"""
dest:
  description: Path of the archive.
  returned: always
  type: str
  sample: support-bundle.tar.gz
size:
  description: Size of the archive in bytes.
  returned: when it was written
  type: int
  sample: 48213
files:
  description: Names of the files in the archive.
  returned: when it was written
  type: list
  elements: str
  sample: [index.txt, objects/agents/pods.json]
unread:
  description: What could not be read, with the reason.
  returned: when it was written
  type: list
  elements: dict
  sample: [{what: nodes in the cluster, reason: no permission to list}]
left_out:
  description: What was left out, and why.
  returned: when it was written
  type: list
  elements: str
  sample: []
redacted:
  description: Number of places that were redacted.
  returned: when it was written
  type: int
  sample: 12
api_calls:
  description: Number of requests sent.
  returned: when it was written
  type: int
  sample: 61
timings:
  description: Seconds spent collecting and writing.
  returned: when it was written
  type: dict
  sample: {collect_s: 1.1, write_s: 0.1, total_s: 1.2}
"""

import typing as t
from pathlib import Path

from ansible_collections.kubernetes.core.plugins.module_utils.args_common import AUTH_ARG_SPEC
from ansible_collections.orchestrator.platform.plugins.module_utils._api_client import k8s_module
from ansible_collections.orchestrator.platform.plugins.module_utils._archive import write_archive
from ansible_collections.orchestrator.platform.plugins.module_utils._bundle_collect import Bundle
from ansible_collections.orchestrator.platform.plugins.module_utils._cluster import Cluster, Stopwatch
from ansible_collections.orchestrator.platform.plugins.module_utils._errors import PlatformError
from ansible_collections.orchestrator.platform.plugins.module_utils._names import check_namespaces
from ansible_collections.orchestrator.platform.plugins.module_utils._workloads import Json

REPORTS = ("findings.json", "findings.txt")
ARGUMENT_SPEC: dict[str, t.Any] = {
    **AUTH_ARG_SPEC,
    "dest": {"type": "path", "required": True},
    "namespaces": {"type": "list", "elements": "str", "default": ["discord-monitor", "agents"]},
    "release": {"type": "str", "default": "discord-monitor"},
    "report_dir": {"type": "path"},
    "versions": {"type": "dict", "default": {}},
    "foreign_logs": {"type": "bool", "default": False},
    "log_lines": {"type": "int", "default": 1000},
    "log_bytes": {"type": "int", "default": 262144},
    "threads": {"type": "int", "default": 8},
}


def run(params: dict[str, Json], cluster: Cluster) -> dict[str, Json]:
    """Collect, redact, write."""
    watch = Stopwatch()
    bundle = Bundle(cluster, params["namespaces"], params["release"])
    bundle.collect(
        log_lines=params["log_lines"],
        log_bytes=params["log_bytes"],
        foreign_logs=params["foreign_logs"],
        versions=params["versions"],
    )
    add_reports(bundle, params["report_dir"])
    index = bundle.finish()
    watch.lap("collect_s")
    size = write_archive(params["dest"], bundle.files)
    watch.lap("write_s")
    return {
        "changed": True,
        "dest": params["dest"],
        "size": size,
        "files": sorted(bundle.files),
        **{key: index[key] for key in ("unread", "left_out", "redacted")},
        "api_calls": cluster.calls,
        "timings": watch.result(),
    }


def add_reports(bundle: Bundle, folder: str | None) -> None:
    """The findings, where verification has left some."""
    for name in REPORTS if folder else ():
        try:
            text = (Path(str(folder)) / name).read_text(encoding="utf-8")
        except (OSError, UnicodeDecodeError) as exc:
            bundle.note(f"findings/{name}", f"verification has left none ({type(exc).__name__})")
        else:
            bundle.add_report(name, text)


def main() -> None:
    """Entry point."""
    module = k8s_module(argument_spec=ARGUMENT_SPEC, supports_check_mode=True)
    try:
        check_namespaces(module.params["namespaces"], "namespaces")
        if module.check_mode:
            module.exit_json(changed=True, dest=module.params["dest"])
        result = run(module.params, Cluster(module, threads=module.params["threads"]))
    except PlatformError as exc:  # the only place where an error becomes a failed task
        module.fail_json(msg=str(exc), **exc.details)
    else:
        module.exit_json(**result)


if __name__ == "__main__":
    main()

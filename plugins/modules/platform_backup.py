#!/usr/bin/python
# SPDX-License-Identifier: GPL-3.0-or-later
# SPDX-FileCopyrightText: 2026 The orchestrator.platform authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Module platform_backup: the platform's objects and Helm releases in one private archive."""

from __future__ import annotations

DOCUMENTATION = r"""
---
module: platform_backup
short_description: Write the platform's objects, Secrets and Helm releases into one private archive
version_added: 0.2.0
author:
  - The orchestrator.platform authors (@orchestrator)
description:
  - Reads the namespaces, one list for each kind, and writes a C(.tar.gz) of mode 0600, encrypted with Ansible Vault on
    request. It changes nothing in the cluster.
  - The archive holds each object as it would have been written by hand, without what the API server sets, and for each
    Helm release its chart and its values. M(orchestrator.platform.platform_restore) brings them back.
  - The archive holds Secrets in full. What is printed never does.
  - Not saved are the contents of volumes, Jobs, Pods, logs and Kubernetes Events, and what another object makes.
  - The same cluster gives the same archive, and an archive that holds the same already is not written again.
options:
  dest:
    description: File of the archive on the host that the module runs on. It gets mode 0600. What is there is replaced.
    type: path
    required: true
  namespaces:
    description:
      - The platform's own namespaces. Everything in them is saved, whoever made it, and every Helm release.
    type: list
    elements: str
    required: true
  agent_namespaces:
    description:
      - Namespaces of other people's workloads. Saved are the objects with the platform's labels, the Secrets
        C(github-ssh-*) and C(github-token-*) and those in O(secret_names), the claims C(workspace-*), and runs with
        what belongs to them.
    type: list
    elements: str
    default: []
  secret_names:
    description: Names of further Secrets to save in O(agent_namespaces), such as pull secrets.
    type: list
    elements: str
    default: []
  versions:
    description: Versions to write into the manifest of the archive.
    type: dict
    default: {}
extends_documentation_fragment:
  - kubernetes.core.k8s_auth_options
  - orchestrator.platform.platform_archive
attributes:
  check_mode:
    description: Reads the cluster, writes nothing, and says what would be in the archive.
    support: full
  diff_mode:
    description: Has nothing to show a difference of, since the archive holds Secrets.
    support: none
  idempotent:
    description: An archive that holds what the cluster holds is left alone.
    support: full
requirements:
  - python >= 3.11
  - kubernetes >= 24.2.0
seealso:
  - module: orchestrator.platform.platform_restore
"""

EXAMPLES = r"""
- name: Everything of the platform, encrypted
  orchestrator.platform.platform_backup:
    dest: platform-backup.tar.gz.vault
    namespaces: [orchestrator, discord-monitor]
    agent_namespaces: [agents]
    vault_password_file: ~/.config/backup-password
"""

RETURN = r"""
dest:
  description: Path of the archive.
  returned: always
  type: str
  sample: platform-backup.tar.gz
size:
  description: Size of the archive in bytes, 0 when it would have been written.
  returned: always
  type: int
  sample: 48213
encrypted:
  description: Whether the archive is encrypted.
  returned: always
  type: bool
  sample: true
objects:
  description: Number of objects by kind.
  returned: always
  type: dict
  sample: {Secret: 4, CodeRun: 12}
releases:
  description: The Helm releases in the archive.
  returned: always
  type: list
  elements: dict
  sample: [{name: orchestrator, namespace: orchestrator, revision: 3, chart: orchestrator-0.2.0}]
unfinished_runs:
  description: Runs that are under way. Their Jobs are not saved, so after a restore the controller judges them anew.
  returned: always
  type: list
  elements: str
  sample: [CodeRun agents/fix-login]
left_out:
  description: What is in the namespaces and not in the archive, since another object makes it.
  returned: always
  type: list
  elements: str
  sample: []
files:
  description: Names of the files in the archive.
  returned: always
  type: list
  elements: str
  sample: [manifest.json, objects/orchestrator/secrets/orchestrator-secrets.json]
api_calls:
  description: Number of requests sent.
  returned: always
  type: int
  sample: 47
"""

import typing as t
from collections import Counter

from ansible_collections.kubernetes.core.plugins.module_utils.args_common import AUTH_ARG_SPEC
from ansible_collections.orchestrator.platform.plugins.module_utils._api_client import k8s_module
from ansible_collections.orchestrator.platform.plugins.module_utils._backing_up import (
    ARCHIVE_ARG_SPEC,
    key_of,
    read_backup,
    save,
)
from ansible_collections.orchestrator.platform.plugins.module_utils._backup import Scope, unfinished
from ansible_collections.orchestrator.platform.plugins.module_utils._cluster import Cluster
from ansible_collections.orchestrator.platform.plugins.module_utils._errors import PlatformError
from ansible_collections.orchestrator.platform.plugins.module_utils._names import check_namespaces
from ansible_collections.orchestrator.platform.plugins.module_utils._workloads import Json

ARGUMENT_SPEC: dict[str, t.Any] = {
    **AUTH_ARG_SPEC,
    **ARCHIVE_ARG_SPEC,
    "dest": {"type": "path", "required": True},
    "namespaces": {"type": "list", "elements": "str", "required": True},
    "agent_namespaces": {"type": "list", "elements": "str", "default": []},
    "secret_names": {"type": "list", "elements": "str", "default": [], "no_log": False},
    "versions": {"type": "dict", "default": {}},
}


def run(params: dict[str, Json], cluster: Cluster, *, check_mode: bool) -> dict[str, Json]:
    """Read, then write what is not there already."""
    own = tuple(dict.fromkeys(params["namespaces"]))
    scope = Scope(
        namespaces=own,
        agent_namespaces=tuple(name for name in dict.fromkeys(params["agent_namespaces"]) if name not in own),
        secret_names=tuple(params["secret_names"]),
    )
    if not own:
        raise PlatformError("namespaces is empty, so there is nothing to save: name the platform's namespaces.")
    key = key_of(params)
    backup = read_backup(cluster, scope, {name: str(value) for name, value in params["versions"].items()})
    return {
        **save(backup, params["dest"], key, dry_run=check_mode),
        "dest": params["dest"],
        "encrypted": key is not None,
        "objects": dict(sorted(Counter(one.place.kind for one in backup.saved).items())),
        "releases": [
            {"name": one.name, "namespace": one.namespace, "revision": one.revision, "chart": one.version}
            for one in backup.releases
        ],
        "unfinished_runs": unfinished(backup.saved),
        "left_out": backup.about["left_out"],
        "api_calls": cluster.calls,
    }


def main() -> None:
    """Entry point."""
    module = k8s_module(argument_spec=ARGUMENT_SPEC, supports_check_mode=True)
    try:
        for option in ("namespaces", "agent_namespaces"):
            check_namespaces(module.params[option], option)
        cluster = Cluster(module, threads=module.params["threads"])
        result = run(module.params, cluster, check_mode=module.check_mode)
    except PlatformError as exc:  # the only place where an error becomes a failed task
        module.fail_json(msg=str(exc), **exc.details)
    else:
        module.exit_json(**result)


if __name__ == "__main__":
    main()

#!/usr/bin/python
# SPDX-License-Identifier: GPL-3.0-or-later
# SPDX-FileCopyrightText: 2026 The orchestrator.platform authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Module platform_restore: brings back what platform_backup has saved, and leaves Helm's part ready for Helm."""

from __future__ import annotations

DOCUMENTATION = r"""
---
module: platform_restore
short_description: Bring back the objects of an archive of platform_backup, into the same or other namespaces
version_added: 0.2.0
author:
  - The orchestrator.platform authors (@orchestrator)
description:
  - Opens an archive of M(orchestrator.platform.platform_backup), looks at the cluster, tries everything by the API
    server's dry run, and then writes what is missing or differs. A second run writes nothing.
  - An archive that is damaged, cut short, changed, of a later format, or that holds anything outside of its folder is
    refused before the cluster is asked anything.
  - Runs come back with their status, so that finished ones are not started again. Where a controller of the chart runs
    in a namespace that gets runs, it is stopped meanwhile. One that is stopped still, since the restore was killed, is
    started by the next restore.
  - Objects of a Helm release are left to Helm. For each release the module says what Helm has to do (V(install),
    V(upgrade), V(repair) or V(unchanged)), and on request lays out the release's own chart and values. Helm's record is
    not written by hand, since the chart is what knows the namespace.
  - Never replaced are runs, claims and custom resource definitions that are there. With O(namespace_map) nothing of the
    whole cluster is replaced either.
  - No Secret is printed.
options:
  src:
    description: The archive on the host that the module runs on.
    type: path
    required: true
  namespace_map:
    description: For namespaces of the archive, the namespace that their objects shall be restored into.
    type: dict
    default: {}
  existing:
    description: Whether an object that is there and differs is made as it was saved, or left.
    type: str
    choices: [replace, keep]
    default: replace
  kinds:
    description: Restore objects of these kinds only, such as V(Secret). Empty takes all.
    type: list
    elements: str
    default: []
  releases:
    description: Whether Helm releases come back. If not, what belongs to them does not come back either.
    type: bool
    default: true
  lay_out:
    description:
      - Whether charts and values of the releases that Helm has to install or upgrade are written into a new folder of
        mode 0700, RV(folder). The values may hold secrets; remove it afterwards. Never in check mode.
    type: bool
    default: false
extends_documentation_fragment:
  - kubernetes.core.k8s_auth_options
  - orchestrator.platform.platform_archive
attributes:
  check_mode:
    description: >-
      Says what would become of each object. What the API server can know by a dry run it is asked; what would go into a
      namespace or a kind that is yet to come it cannot know.
    support: full
  diff_mode:
    description: Shows the outcome of each object, not its content.
    support: partial
  idempotent:
    description: A second run writes nothing.
    support: full
requirements:
  - python >= 3.11
  - kubernetes >= 24.2.0
seealso:
  - module: orchestrator.platform.platform_backup
"""

EXAMPLES = r"""
- name: The Secrets of the archive, into another namespace
  orchestrator.platform.platform_restore:
    src: platform-backup.tar.gz
    namespace_map: {orchestrator: orchestrator-new}
    kinds: [Namespace, Secret]
    releases: false
"""

RETURN = r"""
objects:
  description: What became of each object.
  returned: always
  type: list
  elements: dict
  sample: [{kind: Secret, namespace: orchestrator, name: orchestrator-secrets, outcome: created, message: ""}]
summary:
  description: Number of objects by outcome, which is V(created), V(replaced), V(unchanged) or V(kept).
  returned: always
  type: dict
  sample: {created: 31, unchanged: 2}
releases:
  description: What Helm has to do for each release.
  returned: always
  type: list
  elements: dict
  contains:
    name:
      description: Name of the release.
      type: str
      returned: always
    namespace:
      description: Its namespace.
      type: str
      returned: always
    chart:
      description: Name and version of its chart.
      type: str
      returned: always
    outcome:
      description: V(install), V(upgrade), V(repair) or V(unchanged).
      type: str
      returned: always
    reasons:
      description: Why it has to be upgraded or repaired.
      type: list
      elements: str
      returned: always
    revision:
      description: Its latest revision in the cluster, 0 where there is none.
      type: int
      returned: always
    status:
      description: What Helm says of that revision.
      type: str
      returned: always
    sensitive:
      description: Whether its values hold a secret, which the output of Helm's module would show.
      type: bool
      returned: always
    chart_path:
      description: Folder of the chart.
      type: str
      returned: when Helm has to install or upgrade, with O(lay_out)
    values_path:
      description: File with the values.
      type: str
      returned: when Helm has to install or upgrade, with O(lay_out)
  sample: [{name: orchestrator, namespace: orchestrator, chart: orchestrator-0.2.0, outcome: install, reasons: []}]
folder:
  description: The folder with charts and values, to be removed by the caller. Empty where nothing was laid out.
  returned: always
  type: str
  sample: ""
unfinished_runs:
  description: Runs in the archive that were under way. The controller starts or judges them anew.
  returned: always
  type: list
  elements: str
  sample: []
versions:
  description: The versions under which the archive was written.
  returned: always
  type: dict
  sample: {kubernetes: v1.36.3}
api_calls:
  description: Number of requests sent.
  returned: always
  type: int
  sample: 83
"""

import typing as t
from collections import Counter

from ansible_collections.kubernetes.core.plugins.module_utils.args_common import AUTH_ARG_SPEC
from ansible_collections.orchestrator.platform.plugins.module_utils._api_client import k8s_module
from ansible_collections.orchestrator.platform.plugins.module_utils._backing_up import (
    ARCHIVE_ARG_SPEC,
    key_of,
    load,
)
from ansible_collections.orchestrator.platform.plugins.module_utils._backup import BY_KIND, unfinished
from ansible_collections.orchestrator.platform.plugins.module_utils._backup_files import Backup
from ansible_collections.orchestrator.platform.plugins.module_utils._cluster import Cluster
from ansible_collections.orchestrator.platform.plugins.module_utils._errors import PlatformError
from ansible_collections.orchestrator.platform.plugins.module_utils._restore import check_mapping, in_namespaces
from ansible_collections.orchestrator.platform.plugins.module_utils._restoring import (
    Options,
    Restorer,
    Row,
    lay_out,
    plan_release,
)
from ansible_collections.orchestrator.platform.plugins.module_utils._workloads import Json

ARGUMENT_SPEC: dict[str, t.Any] = {
    **AUTH_ARG_SPEC,
    **ARCHIVE_ARG_SPEC,
    "src": {"type": "path", "required": True},
    "namespace_map": {"type": "dict", "default": {}},
    "existing": {"type": "str", "choices": ["replace", "keep"], "default": "replace"},
    "kinds": {"type": "list", "elements": "str", "default": []},
    "releases": {"type": "bool", "default": True},
    "lay_out": {"type": "bool", "default": False},
}


def open_archive(params: dict[str, Json]) -> Backup:
    """The archive as it shall be restored; raises PlatformError for one that cannot be, or for wrong options."""
    unknown = sorted(set(params["kinds"]) - set(BY_KIND))
    if unknown:
        raise PlatformError(f"kinds names {', '.join(unknown)}, which no backup holds: it holds {', '.join(BY_KIND)}.")
    mapping = {str(name): str(target) for name, target in params["namespace_map"].items()}
    backup = load(params["src"], key_of(params))
    check_mapping(backup, mapping)
    return in_namespaces(backup, mapping)


def run(params: dict[str, Json], backup: Backup, cluster: Cluster, *, check_mode: bool) -> dict[str, Json]:
    """Objects first, in this process; then what is left for Helm."""
    options = Options(
        kinds=tuple(params["kinds"]),
        releases=params["releases"],
        replace=params["existing"] == "replace",
        mapped=bool(params["namespace_map"]),
        dry_run=check_mode,
    )
    rows = Restorer(cluster, backup, options).run()
    releases = [plan_release(cluster, release) for release in backup.releases if params["releases"]]
    folder = "" if check_mode or not params["lay_out"] else lay_out(backup.releases, releases)
    summary = Counter(row.outcome for row in rows)
    return {
        "changed": bool(summary["created"] + summary["replaced"]),
        "objects": [row._asdict() for row in rows],
        "summary": dict(sorted(summary.items())),
        "releases": releases,
        "folder": folder,
        "unfinished_runs": unfinished(backup.saved),
        "versions": backup.about.get("versions") or {},
        "diff": {"before": "", "after": "".join(shown(row) for row in rows)},
        "api_calls": cluster.calls,
    }


def shown(row: Row) -> str:
    """The line of a changed object in a diff."""
    if row.outcome in ("unchanged", "kept"):
        return ""
    return f"{row.outcome} {row.kind} {row.namespace + '/' if row.namespace else ''}{row.name}\n"


def main() -> None:
    """Entry point."""
    module = k8s_module(argument_spec=ARGUMENT_SPEC, supports_check_mode=True)
    try:
        backup = open_archive(module.params)
        cluster = Cluster(module, threads=module.params["threads"])
        result = run(module.params, backup, cluster, check_mode=module.check_mode)
    except PlatformError as exc:  # the only place where an error becomes a failed task
        module.fail_json(msg=str(exc), **exc.details)
    else:
        module.exit_json(**result)


if __name__ == "__main__":
    main()

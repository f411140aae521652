# SPDX-License-Identifier: GPL-3.0-or-later
# SPDX-FileCopyrightText: 2026 The orchestrator.platform authors
#
# Private to this collection: names and behaviour may change in any release.
"""From a picture of the cluster to the report: checks, then suppressions, then what they say themselves. Pure."""

from __future__ import annotations

import datetime

from ansible_collections.orchestrator.platform.plugins.module_utils._findings import (
    Check,
    run_checks,
    summarise,
    worst_first,
)
from ansible_collections.orchestrator.platform.plugins.module_utils._matrix import gaps, matrix
from ansible_collections.orchestrator.platform.plugins.module_utils._measures import arrivals, uses
from ansible_collections.orchestrator.platform.plugins.module_utils._report import Report
from ansible_collections.orchestrator.platform.plugins.module_utils._snapshot import View
from ansible_collections.orchestrator.platform.plugins.module_utils._suppressions import (
    Suppression,
    checks_of_rows,
    suppress,
)


def judge(
    view: View,
    checks: tuple[Check, ...],
    suppressions: list[Suppression],
    *,
    fail_on: str,
    lenient: bool,
    now: datetime.datetime,
) -> Report:
    """Run the checks and look at the suppressions with what they found; `lenient` is for before an installation."""
    found, complete = run_checks(checks, view, lenient=lenient)
    found, rows = suppress(found, suppressions, run={check.id for check in checks}, today=now.date())
    shows_matrix = bool({"secret-scope", "rbac"} & {check.family for check in checks})
    about_rows = checks_of_rows(rows, complete=complete)
    found += run_checks(about_rows, view, lenient=lenient)[0]
    return Report(
        findings=list(worst_first(found)),
        summary=summarise(found, complete=complete),
        fail_on=fail_on,
        suppressions=rows,
        matrix=matrix(view) if shows_matrix else [],
        usage=uses(view),
        delivery=arrivals(view),
        about={
            "time": now.isoformat(timespec="seconds"),
            "release": view.expect.release,
            "monitor_namespace": view.expect.monitor_namespace,
            "agent_namespaces": list(view.expect.agent_namespaces),
            "kubernetes": view.snapshot.server_version,
        },
        titles={check.id: check.title for check in [*checks, *about_rows]},
        matrix_unread=gaps(view) if shows_matrix else (),
    )

# SPDX-License-Identifier: GPL-3.0-or-later
# SPDX-FileCopyrightText: 2026 The orchestrator.platform authors
#
# Private to this collection: names and behaviour may change in any release.
"""The catalogue: every check in its order, selection by family or id, and its manual page docs/checks.md. Pure.

Regenerate the page from the root of a checkout, with PYTHONPATH=.ansible/collections:
    python -m ansible_collections.orchestrator.platform.plugins.module_utils._catalogue > docs/checks.md
"""

from __future__ import annotations

import functools
import sys
from collections.abc import Iterable

from ansible_collections.orchestrator.platform.plugins.module_utils import (
    _checks_chart,
    _checks_orchestrator,
    _checks_preflight,
    _checks_rbac,
    _checks_resources,
    _checks_runtime,
    _checks_secrets,
    _checks_values,
    _faults,
    _suppressions,
)
from ansible_collections.orchestrator.platform.plugins.module_utils._errors import PlatformError
from ansible_collections.orchestrator.platform.plugins.module_utils._findings import (
    Check,
    Result,
    subject,
    unreadable,
)
from ansible_collections.orchestrator.platform.plugins.module_utils._snapshot import View

_PARTS = (
    _checks_preflight,
    _checks_chart,
    _checks_orchestrator,
    _checks_runtime,
    _checks_resources,
    _checks_secrets,
    _checks_values,
    _checks_rbac,
)
CHECKS: tuple[Check, ...] = tuple(item for part in _PARTS for item in part.CATALOGUE.checks)
FAMILIES: tuple[str, ...] = tuple(dict.fromkeys(item.family for item in CHECKS))

_SCOPES = {
    "cluster": "the cluster",
    "monitor": "the monitor's namespace",
    "agents": "each agent namespace",
    "all": "the monitor's namespace, each agent namespace and those of further Secrets of the platform",
    "orchestrator": "the orchestrator's namespace, where one is expected",
    "drill": "a namespace made for it, or a workload that you name, by the module `fault_drill` only",
}


# Run only when asked for: what posts a message, what runs commands in containers, what concerns who deploys.
_OPT_IN = {
    "delivery/probe-line": "probe_delivery",
    "secret-scope/runtime-env": "runtime_scope",
    "secret-scope/runtime-mounts": "runtime_scope",
    "preflight/permission": "preflight",
}
# The options among these for what is more than reading, and what check mode says instead.
_ACTING = {"probe_delivery": "no line is sent", "runtime_scope": "no command is run in a container"}


def select(
    families: Iterable[str],
    ids: Iterable[str],
    *,
    probe_delivery: bool,
    runtime_scope: bool = False,
    rules: tuple[Check, ...] = (),
) -> tuple[Check, ...]:
    """The checks of these families and ids, all when both are empty.

    Raises PlatformError for an unknown id, and for one whose option is not set: it would pass by not running.

    `rules` are the user's own, chosen from like the others. delivery/probe-line posts a message, and the runtime part
    of the secret scope runs commands in containers: both need their option besides. preflight/permission needs to be
    named, by itself or by its family.
    """
    wanted_families, wanted_ids = set(families), set(ids)
    offered = (*CHECKS, *rules)
    unknown = (wanted_families - {item.family for item in offered}) | (wanted_ids - {item.id for item in offered})
    if unknown:
        raise PlatformError(f"There is no check or family {', '.join(sorted(unknown))}; docs/checks.md lists them.")
    everything = not wanted_families and not wanted_ids
    given = {"probe_delivery": probe_delivery, "runtime_scope": runtime_scope, "preflight": not everything, "": True}
    for name in sorted(wanted_ids):
        if not given[_OPT_IN.get(name, "")]:
            raise PlatformError(
                f"checks: {name} runs only with {_OPT_IN[name]}: set {_OPT_IN[name]} to true, or leave the check out."
            )
    return tuple(
        item
        for item in offered
        if (everything or item.family in wanted_families or item.id in wanted_ids) and given[_OPT_IN.get(item.id, "")]
    )


def without_acting(checks: Iterable[Check]) -> tuple[Check, ...]:
    """For check mode: what posts a message or runs a command is skipped, says so, and nothing is collected."""
    return tuple(
        check._replace(needs=(), decide=functools.partial(_not_in_check_mode, check.id))
        if _OPT_IN.get(check.id) in _ACTING
        else check
        for check in checks
    )


def _not_in_check_mode(check_id: str, _view: View, namespace: str) -> Iterable[Result]:
    where = subject("Namespace" if namespace else "Cluster", namespace, namespace)
    return [unreadable(where, f"check mode: {_ACTING[_OPT_IN[check_id]]}")]


def manual() -> str:
    """The page docs/checks.md: a section a check."""
    lines = [
        "<!-- SPDX-License-Identifier: GPL-3.0-or-later -->",
        "<!-- SPDX-FileCopyrightText: 2026 The orchestrator.platform authors -->",
        "<!-- Written by plugins/module_utils/_catalogue.py, whose docstring has the command; a test compares. -->",
        "",
        "# Checks",
        "",
        "What the module `orchestrator.platform.verification` and the role `verify` look at. A check id is stable and",
        "never used again for something else. Only the severity `error` fails a run, unless `fail_on` says otherwise.",
        "A check that cannot read what it needs is skipped with the reason, and the summary says so.",
        "Where a check can only suspect, its finding is a warning, whatever the check's severity.",
        "The family `user` is for rules of your own, which [rules.md](rules.md) describes, with suppressions.",
        "",
    ]
    documented = (*CHECKS, *_suppressions.CHECKS, *_faults.CHECKS)
    for family in dict.fromkeys(item.family for item in documented):
        members = [item for item in documented if item.family == family]
        lines += [f"- **{family}**: " + ", ".join(f"[{item.id}](#{item.anchor})" for item in members)]
    for item in documented:
        lines += [
            "",
            f"## {item.id}",
            "",
            f"{item.title}.",
            "",
            f"- Severity: {item.severity}. Looked at in {_SCOPES[item.scope]}.",
            f"- Protects from: {item.protects}.",
            f"- Decided by: {item.decided}",
            f"- To mend: {item.mend}",
        ]
    return "\n".join(lines) + "\n"


if __name__ == "__main__":
    sys.stdout.write(manual())

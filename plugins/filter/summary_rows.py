# SPDX-License-Identifier: GPL-3.0-or-later
# SPDX-FileCopyrightText: 2026 The orchestrator.platform authors
"""Filter summary_rows: one line a cluster for the end of a run over several clusters."""

from __future__ import annotations

import typing as t
from collections.abc import Callable

from ansible.errors import AnsibleFilterError

_COUNTS = ("passed", "failed", "warned", "skipped")


def summary_rows(clusters: t.Any, versions: t.Any = None) -> list[str]:  # noqa: ANN401 (whatever the template passes)
    """Lines of a table from {cluster: verification result, error sentence, or None}; a cluster without a result failed.

    `versions` maps clusters to their server's version, which gets a column where any is known. Raises
    AnsibleFilterError when the input is not a mapping.
    """
    if not isinstance(clusters, t.Mapping):
        raise AnsibleFilterError(
            f"summary_rows takes a mapping of cluster name to verification result, not {type(clusters).__name__}."
        )
    known = versions if isinstance(versions, t.Mapping) else {}
    shown = {name: f"Kubernetes {known[name]}" if known.get(name) else "" for name in clusters}
    width = max([len("cluster"), *(len(str(name)) for name in clusters)])
    column = max([0, *(len(text) + 2 for text in shown.values() if text)])
    rows = []
    for name in sorted(clusters, key=str):
        state, text = _row(clusters[name])
        rows.append(f"{name!s:{width}}  {state:6}  {shown[name]:{column}}{text}")
    return rows


def _row(result: t.Any) -> tuple[str, str]:  # noqa: ANN401 (one value of the mapping above)
    if isinstance(result, str) and result:
        return "failed", " ".join(result.split())[:300]
    summary = result.get("summary") if isinstance(result, t.Mapping) else None
    if not isinstance(summary, t.Mapping) or not all(isinstance(summary.get(name), int) for name in _COUNTS):
        return "failed", _message(result)
    counts = ", ".join(f"{summary[name]} {name}" for name in _COUNTS)
    if summary.get("suppressed"):
        counts += f", {summary['suppressed']} suppressed"
    # Whether failed checks fail a run is the run's own choice, which stands in its result.
    state = "failed" if result.get("failed", summary["failed"] > 0) else "ok"
    return state, counts + ("" if summary.get("complete", True) else "; incomplete")


def _message(result: t.Any) -> str:  # noqa: ANN401 (one value of the mapping above)
    message = result.get("msg") if isinstance(result, t.Mapping) else None
    return " ".join(str(message or "no result: the run did not reach verification").split())[:300]


class FilterModule:
    """The filter under its name."""

    def filters(self) -> dict[str, Callable[..., t.Any]]:
        """Map names to functions."""
        return {"summary_rows": summary_rows}

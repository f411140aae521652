# SPDX-License-Identifier: GPL-3.0-or-later
# SPDX-FileCopyrightText: 2026 The orchestrator.platform authors
"""Filter summary_rows: one line a cluster for the end of a run over several clusters."""

from __future__ import annotations

import typing as t
from collections.abc import Callable

from ansible.errors import AnsibleFilterError

_COUNTS = ("passed", "failed", "warned", "skipped")


def summary_rows(clusters: t.Any) -> list[str]:  # noqa: ANN401 (whatever the template passes; judged below)
    """Lines of a table from {cluster: verification result, error sentence, or None}; a cluster without a result failed.

    Raises AnsibleFilterError when the input is not a mapping.
    """
    if not isinstance(clusters, t.Mapping):
        raise AnsibleFilterError(
            f"summary_rows takes a mapping of cluster name to verification result, not {type(clusters).__name__}."
        )
    width = max([len("cluster"), *(len(str(name)) for name in clusters)])
    return [f"{name!s:{width}}  {_row(clusters[name])}" for name in sorted(clusters, key=str)]


def _row(result: t.Any) -> str:  # noqa: ANN401 (one value of the mapping above)
    if isinstance(result, str) and result:
        return f"FAILED  {' '.join(result.split())[:300]}"
    summary = result.get("summary") if isinstance(result, t.Mapping) else None
    if not isinstance(summary, t.Mapping) or not all(isinstance(summary.get(name), int) for name in _COUNTS):
        return f"FAILED  {_message(result)}"
    counts = ", ".join(f"{summary[name]} {name}" for name in _COUNTS)
    state = "FAILED" if summary["failed"] else "ok    "
    return f"{state}  {counts}" + ("" if summary.get("complete", True) else "; incomplete")


def _message(result: t.Any) -> str:  # noqa: ANN401 (one value of the mapping above)
    message = result.get("msg") if isinstance(result, t.Mapping) else None
    return " ".join(str(message or "no result: the run did not reach verification").split())[:300]


class FilterModule:
    """The filter under its name."""

    def filters(self) -> dict[str, Callable[..., t.Any]]:
        """Map names to functions."""
        return {"summary_rows": summary_rows}

# SPDX-License-Identifier: GPL-3.0-or-later
# SPDX-FileCopyrightText: 2026 The orchestrator.platform authors
"""Filter outcome_table: what came of any number of workloads, in a text whose length does not grow with them."""

from __future__ import annotations

import typing as t
from collections.abc import Callable, Iterator

from ansible.errors import AnsibleFilterError
from ansible_collections.orchestrator.platform.plugins.module_utils._outcomes import CODES, OUTCOMES

Row = t.Mapping[str, t.Any]

LOUD = ("failed", "conflict", "skipped")
NAMED_MOST = 20  # workloads a group names: more than anybody reads in the log of a run
NOTED_MOST = 3  # workloads a note names: it is no trouble, and may concern all of them


def outcome_table(rows: t.Any, limit: int = NAMED_MOST) -> list[str]:  # noqa: ANN401 (whatever the template passes)
    """Lines of text from the rows of module sidecar or sidecar_info: a table of counts, then what needs attention.

    Workloads that failed, conflict or were skipped are named by group, as are those with drift or old pods, at most
    `limit` of each; a note has a line with a few examples. Raises AnsibleFilterError when the input is no list
    of such rows.
    """
    if not isinstance(rows, list) or not all(
        isinstance(row, t.Mapping) and {"outcome", "code"} <= {*row} for row in rows
    ):
        raise AnsibleFilterError(
            "outcome_table takes the list `workloads` that module sidecar or sidecar_info returns."
        )
    if not rows:
        return ["No workload matches."]
    lines = _counts(rows)
    for title, members in _groups(rows):
        lines += ["", *_group(title, members, limit)]
    for note, names in _notes(rows).items():
        lines += ["", f"note ({len(names)}): {note}", "  " + ", ".join(names[:NOTED_MOST]) + _rest(names, NOTED_MOST)]
    return lines


def _counts(rows: list[Row]) -> list[str]:
    """The table: a line for each pair of outcome and code."""
    counted: dict[tuple[str, str], int] = {}
    for row in rows:
        pair = (row["outcome"], row["code"])
        counted[pair] = counted.get(pair, 0) + 1
    cells = [("outcome", "code", "workloads")]
    cells += [(*pair, str(counted[pair])) for pair in sorted(counted, key=_place)]
    if len(counted) > 1:
        cells.append(("all", "", str(len(rows))))
    first, second = (max(len(cell[column]) for cell in cells) for column in (0, 1))
    return [f"{outcome:{first}}  {code:{second}}  {number:>9}" for outcome, code, number in cells]


def _place(pair: tuple[str, str]) -> tuple[int, str]:
    outcome, code = pair
    return OUTCOMES.index(outcome) if outcome in OUTCOMES else len(OUTCOMES), code


def _groups(rows: list[Row]) -> Iterator[tuple[str, list[tuple[str, str]]]]:
    """(title, [(workload, sentence)]) of all that a reader has to know by name, the worst first."""
    for outcome in LOUD:
        loud = [row for row in rows if row["outcome"] == outcome]
        for code in sorted({row["code"] for row in loud}):
            yield f"{outcome}: {code}", [(_name(row), row.get("message", "")) for row in loud if row["code"] == code]
    drifted = [(_name(row), _drift(row["drift"])) for row in rows if row.get("drift")]
    if drifted:
        yield "drift", drifted
    old = [(_name(row), ", ".join(row["stale_pods"])) for row in rows if row.get("stale_pods")]
    if old:
        yield "pods older than the template", old


def _notes(rows: list[Row]) -> dict[str, list[str]]:
    """Note -> workloads: what stands behind the sentence of the code where nothing went wrong."""
    notes: dict[str, list[str]] = {}
    for row in rows:
        code = CODES.get(row["code"])
        note = row.get("message", "").removeprefix(code.sentence if code else "").strip()
        if note and row["outcome"] not in LOUD:
            notes.setdefault(note, []).append(_name(row))
    return notes


def _rest(members: t.Sequence[object], limit: int) -> str:
    return f" and {len(members) - limit} more" if len(members) > limit else ""


def _name(row: Row) -> str:
    if row.get("kind") == "Namespace":
        return f"Namespace {row.get('name', '-')}"
    return f"{row.get('kind', '-')} {row.get('namespace', '-')}/{row.get('name', '-')}"


def _drift(fields: list[t.Mapping[str, t.Any]]) -> str:
    return ", ".join(f"{item.get('field')} ({item.get('manager') or 'unknown'})" for item in fields)


def _group(title: str, members: list[tuple[str, str]], limit: int) -> list[str]:
    """One group; a sentence that all share is said once."""
    sentences = {sentence for _workload, sentence in members}
    shared = sentences.pop() if len(sentences) == 1 else ""
    lines = [f"{title} ({len(members)}){': ' + shared if shared else ''}"]
    for workload, sentence in members[:limit]:
        lines.append(f"  {workload}" + ("" if shared or not sentence else f": {sentence}"))
    rest = _rest(members, limit)
    return [*lines, f" {rest}"] if rest else lines


class FilterModule:
    """The filter under its name."""

    def filters(self) -> dict[str, Callable[..., t.Any]]:
        """Map names to functions."""
        return {"outcome_table": outcome_table}

#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-3.0-or-later
# SPDX-FileCopyrightText: 2026 The orchestrator.platform authors
"""Prints the test matrix of CI as one line of JSON, derived from meta/runtime.yml and requirements/dev.txt.

Every ansible-core that `requires_ansible` admits gets a row with the oldest Python it runs on, the newest one also a
row with its newest Python. `requirement` is empty where the lock brings that core on that Python; else it is what has
to be installed over it. Standard library only: the job that runs this has no environment yet. Exit status 1 with one
sentence when the metadata admits no known core.
"""

from __future__ import annotations

import json
import re
import sys
import typing as t
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent

Version = tuple[int, ...]


class Core(t.NamedTuple):
    """One minor version of ansible-core: the control node's Pythons as its package metadata lists them."""

    minor: str
    pythons: tuple[str, ...]
    requirement: str  # newest release with the sum of its wheel, as PyPI shows them


# A new minor version gets a line here; the unit tests fail while the lock holds a core that has none.
CORES = (
    Core("2.19", ("3.11", "3.12", "3.13"), ""),
    Core(
        "2.20",
        ("3.12", "3.13", "3.14"),
        "ansible-core==2.20.10 --hash=sha256:2c7a88ff9bf36a9cfb3bc3838fa6222ea54feedf7f7d94ef9a2ae7591345bfdc",
    ),
    Core("2.21", ("3.12", "3.13", "3.14"), ""),
)


class Row(t.NamedTuple):
    """One job of the matrix."""

    ansible_core: str
    python: str
    requirement: str


def numbers(version: str) -> Version:
    """2.19.0 -> (2, 19, 0)."""
    return tuple(int(part) for part in re.findall(r"\d+", version))


def required_range(runtime_yml: str) -> str:
    """The text of requires_ansible; raises ValueError when there is none."""
    found = re.search(r"^requires_ansible:\s*[\"']?([^\"'#\n]+)", runtime_yml, re.MULTILINE)
    if not found:
        raise ValueError("meta/runtime.yml has no requires_ansible: add it, the matrix is derived from it.")
    return found[1].strip()


def admits(specifiers: str, minor: str) -> bool:
    """Whether some release of a minor version satisfies all comma-separated specifiers; ValueError on other text."""
    wanted = numbers(minor)
    verdicts = []
    for part in specifiers.split(","):
        found = re.fullmatch(r"(>=|<=|==|!=|<|>)([\d.]+)", part.replace(" ", ""))
        if not found:
            raise ValueError(
                f"requires_ansible has {part!r}, which hack/ci_matrix.py cannot read: write it as >=2.19.0."
            )
        limit = (*numbers(found[2]), 0, 0)[:3]
        first = (*wanted, 0)  # the minor version's oldest release; it has no newest one
        verdicts.append(
            {
                ">=": wanted >= limit[:2],
                ">": wanted >= limit[:2],
                "<": first < limit,
                "<=": first <= limit,
                "==": wanted == limit[:2],
                "!=": True,  # takes out one release, not the minor version
            }[found[1]]
        )
    return all(verdicts)


def locked_core(lock: str, python: str) -> str:
    """The minor version of ansible-core that the lock brings on a Python; empty when it brings none."""
    for core, operator, limit in re.findall(
        r"^ansible-core==([\d.]+)\s*;\s*python_(?:full_)?version\s*(<|>=)\s*'([\d.]+)'", lock, re.MULTILINE
    ):
        if (numbers(python) < numbers(limit)) == (operator == "<"):
            return ".".join(core.split(".")[:2])
    return ""


def rows(runtime_yml: str, lock: str, cores: t.Sequence[Core] = CORES) -> list[Row]:
    """The matrix; raises ValueError when no known core is admitted."""
    specifiers = required_range(runtime_yml)
    admitted = [core for core in cores if admits(specifiers, core.minor)]
    if not admitted:
        raise ValueError(f"hack/ci_matrix.py knows no ansible-core that satisfies {specifiers}: add it there.")
    chosen = [(core, core.pythons[0]) for core in admitted] + [(admitted[-1], admitted[-1].pythons[-1])]
    return [
        Row(core.minor, python, "" if locked_core(lock, python) == core.minor else needed(core))
        for core, python in chosen
    ]


def needed(core: Core) -> str:
    """What to install over the lock; raises ValueError when nobody has pinned it."""
    if not core.requirement:
        raise ValueError(
            f"the lock brings no ansible-core {core.minor} and hack/ci_matrix.py pins none: add its requirement there."
        )
    return core.requirement


def main() -> int:
    """Print {"include": [{"ansible_core": "2.19", "python": "3.11", "requirement": ""}, …]}."""
    try:
        found = rows(
            (ROOT / "meta" / "runtime.yml").read_text(encoding="utf-8"),
            (ROOT / "requirements" / "dev.txt").read_text(encoding="utf-8"),
        )
    except (OSError, ValueError) as exc:
        print(f"error: {exc}", file=sys.stderr)
        return 1
    print(json.dumps({"include": [row._asdict() for row in found]}))
    return 0


if __name__ == "__main__":
    sys.exit(main())

# SPDX-License-Identifier: GPL-3.0-or-later
# SPDX-FileCopyrightText: 2026 The orchestrator.platform authors
"""What every bench script shares: timing whole processes, medians, the table for people and the file for programs.

Nothing here asserts a figure: a limit is printed beside what was measured.
"""

from __future__ import annotations

import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
import typing as t
from collections.abc import Mapping, Sequence
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
RESULTS = ROOT / "bench" / "results"
ROUNDS = 3  # a figure is the median of so many measurements

# The user's cluster must not be reachable from here, whatever was exported.
FOREIGN = ("KUBECONFIG", "K8S_AUTH_", "HELM_KUBE")


class BenchError(Exception):
    """A measurement that could not be made; the text is one sentence, and what the command said last."""


class Figure(t.NamedTuple):
    """One measured figure. None where nothing was measured or no limit is set."""

    key: str
    ours: float | None
    peer: float | None = None
    limit: float | None = None
    unit: str = "s"


def environment(**more: str) -> dict[str, str]:
    """Environment of a measured process: ours, with the checkout's collections and without the user's cluster."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith(FOREIGN)}
    path = f"{Path(sys.executable).parent}{os.pathsep}{kept.get('PATH', os.defpath)}"
    return {**kept, "PATH": path, "ANSIBLE_COLLECTIONS_PATH": str(ROOT / ".ansible" / "collections"), **more}


def call(
    argv: Sequence[str | Path], *, env: Mapping[str, str], stdin: str | None = None, timeout_s: float = 1800
) -> str:
    """Standard output of a command run in the checkout; raises BenchError when it fails or takes too long."""
    try:
        done = subprocess.run(
            argv, cwd=ROOT, env=env, input=stdin, capture_output=True, text=True, check=False, timeout=timeout_s
        )
    except (OSError, subprocess.TimeoutExpired) as exc:
        raise BenchError(f"{Path(argv[0]).name} did not come to an end: {exc}") from exc
    if done.returncode:
        last = "\n    ".join((done.stdout + done.stderr).strip().splitlines()[-15:])
        raise BenchError(f"{Path(argv[0]).name} {' '.join(map(str, argv[1:4]))} failed:\n    {last}")
    return done.stdout


def seconds(argv: Sequence[str | Path], *, env: Mapping[str, str], timeout_s: float = 1800) -> float:
    """Wall-clock seconds of a whole process, from its start to its end; raises BenchError when it fails."""
    started = time.monotonic()
    call(argv, env=env, timeout_s=timeout_s)
    return time.monotonic() - started


class Usage(t.NamedTuple):
    """What a whole process took: seconds on the wall, and the memory of the largest of it and its children."""

    seconds: float
    rss_mb: float
    stdout: str


def usage(argv: Sequence[str | Path], *, env: Mapping[str, str]) -> Usage:
    """Run a command and say what it took; raises BenchError when it fails."""
    with tempfile.TemporaryFile("w+", encoding="utf-8") as output:
        started = time.monotonic()
        process = subprocess.Popen(argv, cwd=ROOT, env=env, stdout=output, stderr=subprocess.STDOUT)
        _pid, status, taken = os.wait4(process.pid, 0)
        took = time.monotonic() - started
        process.returncode = os.waitstatus_to_exitcode(status)  # it is waited for, which Popen cannot know
        output.seek(0)
        text = output.read()
    if process.returncode:
        last = "\n    ".join(text.strip().splitlines()[-15:])
        raise BenchError(f"{Path(argv[0]).name} {' '.join(map(str, argv[1:4]))} failed:\n    {last}")
    return Usage(took, taken.ru_maxrss / 1024, text)


def median(values: Sequence[float]) -> float:
    """The middle one, to two decimals; of an even number the mean of both middle ones."""
    return round(statistics.median(values), 2)


def tools() -> Path:
    """Folder of the pinned kind, kubectl and helm; builds what is missing."""
    return Path(call([ROOT / "tools" / "toolbox", "path"], env=environment()).strip().splitlines()[-1])


def say(text: str) -> None:
    """Progress, on standard error: standard output is the table."""
    print(f"bench: {text}", file=sys.stderr, flush=True)


def table(figures: Sequence[Figure]) -> str:
    """The figures in columns."""
    rows = [("figure", "ours", "peer", "limit", "unit")]
    rows += [(f.key, cell(f.ours), cell(f.peer), cell(f.limit), f.unit) for f in figures]
    widths = [max(len(row[column]) for row in rows) for column in range(len(rows[0]))]
    return "\n".join(
        "  ".join(
            value.ljust(width) if column in {0, 4} else value.rjust(width)
            for column, (value, width) in enumerate(zip(row, widths, strict=True))
        )
        for row in rows
    )


def cell(value: float | None) -> str:
    """A number as people write it; "-" for none."""
    return "-" if value is None else f"{value:g}"


def as_json(figures: Sequence[Figure]) -> str:
    """{"<key>": {"ours": 1.2, "peer": 3.4, "limit": 10, "unit": "s"}}."""
    return json.dumps(
        {f.key: {"ours": f.ours, "peer": f.peer, "limit": f.limit, "unit": f.unit} for f in figures}, indent=2
    )


def report(script: str, figures: Sequence[Figure]) -> None:
    """Print the table and write bench/results/<script>.json, whole or not at all."""
    RESULTS.mkdir(parents=True, exist_ok=True)
    temporary = RESULTS / f".{script}.json"
    temporary.write_text(as_json(figures) + "\n", encoding="utf-8")
    temporary.rename(RESULTS / f"{script}.json")
    print(table(figures), flush=True)

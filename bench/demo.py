#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-3.0-or-later
# SPDX-FileCopyrightText: 2026 The orchestrator.platform authors
"""`make demo` with warm caches, from no cluster to the report; the peer is the bare kind cluster in it.

The demo's cluster of this checkout is removed and made anew for each measurement, and removed at the end.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from bench._measure import ROOT, ROUNDS, BenchError, Figure, call, environment, median, report, say, seconds

LIMIT_S = 120


def make(target: str) -> float:
    """Seconds of a make target."""
    return seconds(["make", target], env=environment(), timeout_s=3600)


def bare_cluster(folder: Path) -> tuple[Callable[[], float], Callable[[], str]]:
    """(make it and say how long it took, remove it): what `make demo` cannot do without."""
    toolbox = ROOT / "tools" / "toolbox"
    image = json.loads(call([toolbox, "node-image"], env=environment(), timeout_s=3600).splitlines()[-1])["image"]
    name = f"orch-bench-{hashlib.sha1(str(ROOT).encode(), usedforsecurity=False).hexdigest()[:8]}"
    spec = {"name": name, "kubeconfig": str(folder / "kubeconfig"), "kubernetes": "1.36", "image": image}
    return (
        lambda: seconds([toolbox, "cluster", json.dumps(spec)], env=environment()),
        lambda: call([toolbox, "cluster-absent", json.dumps(spec)], env=environment()),
    )


def main() -> int:
    """Warm up once, then measure demo and peer in turn."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument(
        "--kubeconfig", help="taken for the sake of bench/run.py; the demo always makes its own cluster"
    )
    parser.add_argument("--rounds", type=int, default=ROUNDS)
    options = parser.parse_args()
    ours, peer = [], []
    try:
        say("warming caches with a first `make demo`, not counted")
        make("demo")
        for number in range(options.rounds):
            make("demo-clean")
            say(f"round {number + 1} of {options.rounds}: make demo")
            ours.append(make("demo"))
            make("demo-clean")
            with tempfile.TemporaryDirectory() as folder:
                create, remove = bare_cluster(Path(folder))
                try:
                    peer.append(create())
                finally:
                    remove()
    except BenchError as exc:
        print(f"error: {exc}", file=sys.stderr)
        return 1
    report("demo", [Figure("demo_warm_s", median(ours), median(peer), LIMIT_S)])
    return 0


if __name__ == "__main__":
    sys.exit(main())

#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-3.0-or-later
# SPDX-FileCopyrightText: 2026 The orchestrator.platform authors
"""Runs every script of bench/, or the named one: `bench/run.py [NAME] [OPTION…]`; options go to the scripts.

Exit status 1 when a script could not measure, 2 for a name that is none; never because of a figure.
"""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

FOLDER = Path(__file__).resolve().parent


def names() -> list[str]:
    """All scripts; files with an underscore are what they share."""
    return sorted(path.stem for path in FOLDER.glob("*.py") if not path.name.startswith("_") and path.name != "run.py")


def main(argv: list[str]) -> int:
    """Run them one after the other; one that fails does not stop the others."""
    wanted = names()
    if argv and not argv[0].startswith("-"):
        if argv[0] not in wanted:
            print(f"error: there is no bench {argv[0]}: choose from {', '.join(wanted)}.", file=sys.stderr)
            return 2
        wanted = [argv.pop(0)]
    failed = []
    for name in wanted:
        print(f"\n{name}", flush=True)
        if subprocess.run([sys.executable, FOLDER / f"{name}.py", *argv], check=False).returncode:
            failed.append(name)
    if failed:
        print(f"\nnot measured: {', '.join(failed)}", file=sys.stderr)
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))

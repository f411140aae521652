# SPDX-License-Identifier: GPL-3.0-or-later
# SPDX-FileCopyrightText: 2026 The orchestrator.platform authors
"""The console entry."""

from __future__ import annotations

import os
import sys

USAGE = """\
usage: orchestrator [--version]

Watches the CodeRuns and DocsRuns of one namespace and serves the REST API. Settings come from the environment and from
/config/config.yaml; docs/controller.md has the tables.
"""


def main(argv: list[str] | None = None) -> int:
    """Run the controller; its exit status. Wrong usage is 2."""
    arguments = sys.argv[1:] if argv is None else argv
    if not arguments:
        # The signal handlers come before everything else: process 1 without one ignores SIGTERM.
        from discord_monitor.lifecycle import stop_on_signals  # noqa: PLC0415

        stop = stop_on_signals()
        from orchestrator.program import run  # noqa: PLC0415

        return run(os.environ, stop)
    if arguments == ["--version"]:
        from orchestrator import __version__  # noqa: PLC0415

        sys.stdout.write(f"orchestrator {__version__}\n")
        return 0
    asked = arguments[0] in ("-h", "--help")
    (sys.stdout if asked else sys.stderr).write(USAGE)
    return 0 if asked else 2

# SPDX-License-Identifier: GPL-3.0-or-later
# SPDX-FileCopyrightText: 2026 The orchestrator.platform authors
"""Pinned tools, an engine, a node image and a kind cluster, from package registries alone.

`tools/toolbox --help` lists the commands. Progress goes to standard error, the result to standard output.
"""

import sys

if sys.version_info < (3, 11):  # noqa: UP036 - this file is what an older Python is told by
    sys.exit("toolbox: Python 3.11 or newer is needed, this is {}.{}.".format(*sys.version_info))

import runpy
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent))
runpy.run_module("toolchain", run_name="__main__", alter_sys=True)

# SPDX-License-Identifier: GPL-3.0-or-later
# SPDX-FileCopyrightText: 2026 The orchestrator.platform authors
"""A process and all that came from it, ended as a power cut would end them."""

from __future__ import annotations

import os
import signal
from contextlib import suppress
from pathlib import Path


def children() -> dict[int, list[int]]:
    """Parent -> children of every process of the machine."""
    found: dict[int, list[int]] = {}
    for entry in Path("/proc").glob("[0-9]*/stat"):
        with suppress(OSError):
            # The name in brackets may hold spaces: the parent is the second field after it.
            found.setdefault(int(entry.read_text().rpartition(")")[2].split()[1]), []).append(int(entry.parent.name))
    return found


def tree(pid: int) -> list[int]:
    """The process and its descendants; Ansible's workers have sessions of their own, so a process group is not enough."""
    known = children()
    found = [pid]
    for parent in found:
        found += known.get(parent, [])
    return found


def kill_tree(pid: int) -> None:
    """SIGKILL to all of them; stopped first, so that none can start another meanwhile."""
    for step in (signal.SIGSTOP, signal.SIGKILL):
        for one in tree(pid):
            with suppress(ProcessLookupError):
                os.kill(one, step)

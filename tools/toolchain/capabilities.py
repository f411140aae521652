# SPDX-License-Identifier: GPL-3.0-or-later
# SPDX-FileCopyrightText: 2026 The orchestrator.platform authors
"""What this host withholds from containers, and whether the engine needs our help with it. Pure."""

from __future__ import annotations

import re

from .errors import ToolboxError
from .pins import version_numbers

CAP_SYS_RESOURCE = 24  # linux/capability.h
FIXED_IN_ENGINE = (23,)  # from Docker 23 on the engine asks only for what the host has


def bounding_set(status: str) -> int:
    """The capability mask in the text of /proc/self/status; raises ToolboxError without a CapBnd line."""
    match = re.search(r"^CapBnd:\s*([0-9a-fA-F]+)$", status, re.MULTILINE)
    if match is None:
        raise ToolboxError("/proc/self/status has no CapBnd line: only Linux hosts can run the cluster.")
    return int(match.group(1), 16)


def may_use_resources(mask: int) -> bool:
    """CAP_SYS_RESOURCE is in the bounding set."""
    return bool(mask & (1 << CAP_SYS_RESOURCE))


def needs_wrapper(mask: int, engine_version: str) -> bool:
    """An engine of this version cannot start a privileged container here without runc-available-caps.

    An engine that tells no version counts as new.
    """
    numbers = version_numbers(engine_version)
    return bool(numbers) and not may_use_resources(mask) and numbers < FIXED_IN_ENGINE

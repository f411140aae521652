# SPDX-License-Identifier: GPL-3.0-or-later
# SPDX-FileCopyrightText: 2026 The orchestrator.platform authors
#
# Private to this collection: names and behaviour may change in any release.
"""Paths as users write them."""

from __future__ import annotations

import os
from pathlib import Path


def user_path(given: str) -> Path:
    """The path with a home folder in place of its ~; a name that nobody has stays, and then no such file is found."""
    return Path(os.path.expanduser(given))  # noqa: PTH111 (Path.expanduser raises for it)

# SPDX-License-Identifier: GPL-3.0-or-later
# SPDX-FileCopyrightText: 2026 The orchestrator.platform authors
#
# Private to this collection: names and behaviour may change in any release.
"""Version numbers of API servers and kubelets. Pure."""

from __future__ import annotations

import re

Version = tuple[int, int]

# The first version in which native sidecars are on by default (feature gate SidecarContainers, beta).
NATIVE_SIDECARS: Version = (1, 29)
# The oldest Kubernetes this collection supports.
FLOOR: Version = (1, 29)

_VERSION = re.compile(r"^v?(\d+)\.(\d+)")


def parse_version(text: str) -> Version:
    """Major and minor of `v1.36.3`, `1.29+` or `v1.30.1-eks-abc`; raises ValueError on anything else."""
    match = _VERSION.match(text.strip())
    if match is None:
        raise ValueError(f"not a Kubernetes version: {text[:40]!r}")
    return int(match[1]), int(match[2])


def show_version(version: Version) -> str:
    """`(1, 36)` as `1.36`."""
    return f"{version[0]}.{version[1]}"

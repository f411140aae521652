# SPDX-License-Identifier: GPL-3.0-or-later
# SPDX-FileCopyrightText: 2026 The orchestrator.platform authors
#
# Private to this collection: names and behaviour may change in any release.
"""The chart's rule for the names of its objects, for whoever has to find them without Helm. Pure."""

from __future__ import annotations

import re
import typing as t

CHART = "discord-monitor"
# The chart's own bound: "-snippet" and the suffixes of pods still fit into the 63 characters of a label.
_MAX_FULLNAME = 52
_MAX_NAME = 63


def chart_fullname(release: str, values: t.Mapping[str, t.Any] | None = None) -> str:
    """Name of the objects of a release, as the chart's template discord-monitor.fullname makes it.

    `values` are the release's values; only nameOverride and fullnameOverride count. Does not check that the release's
    name is one Helm accepts.
    """
    values = values or {}
    name = str(values.get("nameOverride") or CHART)[:_MAX_NAME].removesuffix("-")
    full = str(values.get("fullnameOverride") or (release if name in release else f"{release}-{name}"))
    if re.match(r"[^a-z]", full):
        full = f"dm-{full}"
    return full.replace(".", "-")[:_MAX_FULLNAME].removesuffix("-")


def snippet_name(fullname: str) -> str:
    """Name of the ConfigMap in which the chart publishes the sidecar."""
    return f"{fullname}-snippet"

# SPDX-License-Identifier: GPL-3.0-or-later
# SPDX-FileCopyrightText: 2026 The orchestrator.platform authors
#
# Private to this collection: names and behaviour may change in any release.
"""The charts' rule for the names of their objects, for whoever has to find them without Helm. Pure."""

from __future__ import annotations

import re
import typing as t

CHART = "discord-monitor"


class _Rule(t.NamedTuple):
    prefix: str  # before a name that begins with no letter
    longest: int


_RULES = {
    # "-snippet" and the suffixes of pods still fit into the 63 characters of a label.
    "discord-monitor": _Rule("dm-", 52),
    "orchestrator": _Rule("o-", 63),
}
CHARTS = tuple(_RULES)
_MAX_NAME = 63


def chart_fullname(release: str, values: t.Mapping[str, t.Any] | None = None, chart: str = CHART) -> str:
    """Name of the objects of a release, as the template fullname of one of our charts makes it.

    `values` are the release's values; only nameOverride and fullnameOverride count. Does not check that the release's
    name is one Helm accepts.
    """
    values, rule = values or {}, _RULES[chart]
    name = str(values.get("nameOverride") or chart)[:_MAX_NAME].removesuffix("-")
    full = str(values.get("fullnameOverride") or (release if name in release else f"{release}-{name}"))
    if re.match(r"[^a-z]", full):
        full = rule.prefix + full
    return full.replace(".", "-")[: rule.longest].removesuffix("-")


def snippet_name(fullname: str) -> str:
    """Name of the ConfigMap in which the chart publishes the sidecar."""
    return f"{fullname}-snippet"

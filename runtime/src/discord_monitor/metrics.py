# SPDX-License-Identifier: GPL-3.0-or-later
# SPDX-FileCopyrightText: 2026 The orchestrator.platform authors
"""Figures in Prometheus' text form. Pure."""

from __future__ import annotations

from typing import NamedTuple

CONTENT_TYPE = "text/plain; version=0.0.4; charset=utf-8"
PREFIX = "discord_monitor_"


class Metric(NamedTuple):
    """One figure; `labels` in Prometheus' own form without braces, such as `kind="input"`."""

    name: str
    kind: str  # counter or gauge
    text: str
    value: float
    labels: str = ""


def exposition(metrics: list[Metric], *, prefix: str = PREFIX) -> bytes:
    """The page; metrics of one name have to stand together."""
    lines: list[str] = []
    last = ""
    for metric in metrics:
        name = prefix + metric.name
        if name != last:
            lines += [f"# HELP {name} {metric.text}", f"# TYPE {name} {metric.kind}"]
            last = name
        labels = f"{{{metric.labels}}}" if metric.labels else ""
        lines.append(f"{name}{labels} {metric.value:.10g}")
    return ("\n".join(lines) + "\n").encode()

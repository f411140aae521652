# SPDX-License-Identifier: GPL-3.0-or-later
# SPDX-FileCopyrightText: 2026 The orchestrator.platform authors
"""Which events are shown. Pure."""

from __future__ import annotations

from typing import TYPE_CHECKING

from discord_monitor.parsing import ASKING_TOOLS, Kind

if TYPE_CHECKING:
    from discord_monitor.parsing import Event
    from discord_monitor.settings import Filters


def shows(event: Event, filters: Filters, *, parity_mode: bool) -> bool:
    """Whether an event is posted.

    Parity mode shows all that the terminal would. Otherwise: tool uses by name, assistant texts that contain one of
    the patterns (case counts), every error and every request to a person, and standard output of the least length.
    Probes are always shown.
    """
    if parity_mode or event.kind in (Kind.PROBE, Kind.OVERSIZE, Kind.REQUEST):
        return True
    if event.kind is Kind.TOOL_USE:
        return event.tool in filters.include_tools
    if event.kind is Kind.ASSISTANT:
        return any(pattern in event.text for pattern in filters.include_patterns)
    if event.kind is Kind.TOOL_RESULT:
        return bool(event.stderr.strip()) or event.is_error or _long_enough(event.stdout, filters.min_stdout_chars)
    return event.kind is Kind.NOTICE and event.is_error


def is_urgent(event: Event) -> bool:
    """Whether somebody should see an event before the progress that was written ahead of it: a request, or an error."""
    if event.kind is Kind.TOOL_USE:
        return event.tool in ASKING_TOOLS
    if event.kind is Kind.TOOL_RESULT:
        return event.is_error or bool(event.stderr.strip())
    return event.kind is Kind.REQUEST or (event.kind is Kind.NOTICE and event.is_error)


def _long_enough(stdout: str | None, least: int) -> bool:
    return stdout is not None and bool(stdout.strip()) and len(stdout.strip()) >= least

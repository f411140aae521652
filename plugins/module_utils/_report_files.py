# SPDX-License-Identifier: GPL-3.0-or-later
# SPDX-FileCopyrightText: 2026 The orchestrator.platform authors
#
# Private to this collection: names and behaviour may change in any release.
"""Files of verification on the host that the module runs on: rules and suppressions in, reports out."""

from __future__ import annotations

from pathlib import Path

from ansible_collections.orchestrator.platform.plugins.module_utils._entries import (
    Entry,
    entries_of_text,
    inline_entries,
)
from ansible_collections.orchestrator.platform.plugins.module_utils._errors import PlatformError
from ansible_collections.orchestrator.platform.plugins.module_utils._report import (
    Report,
    as_json,
    as_junit,
    text_lines,
)
from ansible_collections.orchestrator.platform.plugins.module_utils._user_path import user_path
from ansible_collections.orchestrator.platform.plugins.module_utils._workloads import Json


def read_entries(values: list[Json], option: str) -> list[Entry]:
    """The entries of a list of paths and mappings, in its order; raises PlatformError."""
    entries: list[Entry] = []
    for number, value in enumerate(values):
        if not isinstance(value, str):
            entries += inline_entries([(number, value)], option)
            continue
        try:
            text = user_path(value).read_text(encoding="utf-8")
        except (OSError, ValueError) as exc:
            why = _why_unreadable(exc)
            raise PlatformError(f"{option}[{number}]: the file {value} cannot be read ({why}): correct it.") from exc
        entries += entries_of_text(text, value)
    return entries


def _why_unreadable(exc: Exception) -> str:
    if isinstance(exc, UnicodeDecodeError):
        return "it is not UTF-8 text"
    # Else a name that no file can have.
    return str((exc.strerror if isinstance(exc, OSError) else None) or exc)


def prints(report: Report) -> dict[str, str]:
    """Every print of the list by its file name."""
    # The page is the largest part of the module and most runs write no files.
    from ansible_collections.orchestrator.platform.plugins.module_utils._report_html import as_html

    return {
        "findings.html": as_html(report),
        "findings.json": as_json(report),
        "findings.txt": "\n".join(text_lines(report)) + "\n",
        "findings.xml": as_junit(report),
    }


def write_reports(folder: str | None, report: Report) -> list[str]:
    """Write the prints; returns the paths, nothing when no folder is given. Raises PlatformError."""
    if not folder:
        return []
    written = []
    try:
        Path(folder).mkdir(parents=True, exist_ok=True)
        for name, text in prints(report).items():
            # Half a surrogate pair, which JSON lets through, cannot be written as UTF-8.
            (Path(folder) / name).write_text(text, encoding="utf-8", errors="replace")
            written.append(str(Path(folder) / name))
    except OSError as exc:
        raise PlatformError(f"The report cannot be written to {folder} ({exc.strerror}): correct report_dir.") from exc
    return written

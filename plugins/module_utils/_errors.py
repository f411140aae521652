# SPDX-License-Identifier: GPL-3.0-or-later
# SPDX-FileCopyrightText: 2026 The orchestrator.platform authors
#
# Private to this collection: names and behaviour may change in any release.
"""The errors of this collection; foreign exceptions are mapped to them where they appear (_cluster.py)."""

from __future__ import annotations

import typing as t


class PlatformError(Exception):
    """Root: one sentence for the user that names the remedy; `details` go into the module's result."""

    def __init__(self, message: str, **details: object) -> None:
        super().__init__(message)
        self.details = details


class SnippetError(PlatformError):
    """The published snippet is absent or does not have the shape that this version reads."""


class ClusterError(PlatformError):
    """The API server could not be reached or gave no usable answer."""


class UnreachableError(ClusterError):
    """No connection, or no answer in time: `evidence` says what happened, `hint` what to do."""

    def __init__(self, evidence: str, hint: str) -> None:
        super().__init__(f"{evidence} {hint}")
        self.evidence = evidence
        self.hint = hint


class ApiError(ClusterError):
    """The API server answered with a Status object: `status` is the HTTP code, `body` the Status (or {})."""

    def __init__(self, status: int, message: str, body: dict[str, t.Any]) -> None:
        super().__init__(message)
        self.status = status
        self.body = body

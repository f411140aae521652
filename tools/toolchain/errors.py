# SPDX-License-Identifier: GPL-3.0-or-later
# SPDX-FileCopyrightText: 2026 The orchestrator.platform authors
"""The one error a command of the toolbox ends with."""

from __future__ import annotations


class ToolboxError(Exception):
    """Something a person has to act on.

    `sentence` says what and how, `log` holds the last lines of the program that failed.
    """

    def __init__(self, sentence: str, log: list[str] | None = None) -> None:
        super().__init__(sentence)
        self.sentence = sentence
        self.log = log or []

# SPDX-License-Identifier: GPL-3.0-or-later
# SPDX-FileCopyrightText: 2026 The orchestrator.platform authors
"""`discord-monitor credential`: prints a credential without a line feed, for a pipe into a Secret."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

from discord_monitor import input_credential, run_credential
from discord_monitor.keyed import key_problem
from discord_monitor.secret import Secret

if TYPE_CHECKING:
    from collections.abc import Mapping

USAGE = "usage: discord-monitor credential CHANNEL, with the channel's id, or credential --runs NAMESPACE\n"


def main(arguments: list[str], env: Mapping[str, str]) -> int:
    """Print the credential of a channel's input or of a namespace's runs; 2: wrong usage, 1: no key."""
    for_runs = arguments[:1] == ["--runs"]
    kind, pattern = (
        (run_credential, run_credential.NAMESPACE) if for_runs else (input_credential, input_credential.CHANNEL_ID)
    )
    names = arguments[1:] if for_runs else arguments
    if len(names) != 1 or pattern.fullmatch(names[0]) is None:
        sys.stderr.write(USAGE)
        return 2
    key = Secret(env.get(kind.KEY, "").strip())
    problem = key_problem(key, kind.KEY)
    if problem:
        sys.stderr.write(f"{problem}: run this where the bot runs, with the Secret that holds it\n")
        return 1
    sys.stdout.write(kind.issue(key, names[0]).reveal())
    return 0

# SPDX-License-Identifier: GPL-3.0-or-later
# SPDX-FileCopyrightText: 2026 The orchestrator.platform authors
"""The console entry: picks a subcommand and imports only what that one needs."""

from __future__ import annotations

import os
import sys

USAGE = """\
usage: discord-monitor COMMAND

  watch                           follow the agent's transcripts and post their events to the webhook
  bot                             bot with its health port and the webhook API
  bridge                          text over HTTP on loopback, one line a message into the agent's FIFO
  credential CHANNEL              print the credential that pulls the input of a channel, made with BOT_INPUT_KEY
  credential --runs NAMESPACE     print the one that opens the channels of runs there, made with BOT_API_TOKEN
  healthcheck [watcher|bot|bridge]  ask the program in this container; exit status 0 or 1
  probe [--timeout SECONDS]       send one line through the running watcher to Discord and back
  --version                       print the version

Settings come from the environment; runtime/README.md has the tables.
"""


def main(argv: list[str] | None = None) -> int:
    """Run one subcommand; its exit status. Wrong usage is 2."""
    arguments = sys.argv[1:] if argv is None else argv
    command = arguments[0] if arguments else ""
    if command in ("watch", "bot", "bridge"):
        return _serve(command)
    if command == "healthcheck":
        from discord_monitor.healthcheck import main as healthcheck  # noqa: PLC0415 - a probe has to start fast

        return healthcheck(arguments[1:], os.environ)
    if command == "credential":
        from discord_monitor.credential import main as credential  # noqa: PLC0415 - the same

        return credential(arguments[1:], os.environ)
    if command == "probe":
        from discord_monitor.probe import main as probe  # noqa: PLC0415 - the same

        return probe(arguments[1:], os.environ)
    return _explain(command)


def _serve(command: str) -> int:
    """Run a long-lived program. The signal handlers come before its imports, see lifecycle."""
    from discord_monitor.lifecycle import stop_on_signals  # noqa: PLC0415 - a probe does without

    stop = stop_on_signals()
    if command == "watch":
        from discord_monitor.watcher import main as program  # noqa: PLC0415
    elif command == "bot":
        from discord_monitor.bot import main as program  # noqa: PLC0415
    else:
        from discord_monitor.bridge import main as program  # noqa: PLC0415
    return program(os.environ, stop)


def _explain(command: str) -> int:
    """Print version or usage."""
    if command == "--version":
        from discord_monitor import __version__  # noqa: PLC0415 - as above

        sys.stdout.write(f"discord-monitor {__version__}\n")
        return 0
    asked = command in ("-h", "--help", "help")
    (sys.stdout if asked else sys.stderr).write(USAGE)
    return 0 if asked else 2

# SPDX-License-Identifier: GPL-3.0-or-later
# SPDX-FileCopyrightText: 2026 The orchestrator.platform authors
"""The credential with which a bridge pulls the input of one channel; `discord-monitor credential` prints it.

It is the channel's id with a keyed hash of it. The bot keeps no table: whoever shows a credential gets the channel that
stands in it, and can make none for another channel without the bot's key. A new key ends all credentials at once.
"""

from __future__ import annotations

import hashlib
import hmac
import re
import sys
from typing import TYPE_CHECKING

from discord_monitor.secret import Secret

if TYPE_CHECKING:
    from collections.abc import Mapping

MIN_KEY_CHARS = 32  # an agent holds a hash made with the key, and could guess a short one at leisure
CHANNEL_ID = re.compile(r"[0-9]{1,20}")
_PURPOSE = "discord-monitor/input/1/"


def issue(key: Secret, channel: str) -> Secret:
    """The credential for the input of one channel; the same each time."""
    return Secret(f"{channel}.{_hash(key, channel)}")


def channel_of(credential: str, key: Secret) -> str:
    """The channel that a credential opens; empty when it was not issued with this key. Compares in constant time."""
    channel, _dot, given = credential.partition(".")
    if not key or CHANNEL_ID.fullmatch(channel) is None:
        return ""
    right = hmac.compare_digest(given.encode("utf-8", "replace"), _hash(key, channel).encode())
    return channel if right else ""


def key_problem(key: Secret) -> str:
    """Why a key is not to be used; empty when it may be."""
    if len(key.reveal()) < MIN_KEY_CHARS:
        return f"BOT_INPUT_KEY is shorter than {MIN_KEY_CHARS} characters"
    return ""


def _hash(key: Secret, channel: str) -> str:
    return hmac.new(key.reveal().encode(), (_PURPOSE + channel).encode(), hashlib.sha256).hexdigest()


def main(arguments: list[str], env: Mapping[str, str]) -> int:
    """Print the credential of a channel without a line feed, for a pipe into a Secret; 2: wrong usage, 1: no key."""
    if len(arguments) != 1 or CHANNEL_ID.fullmatch(arguments[0]) is None:
        sys.stderr.write("usage: discord-monitor credential CHANNEL, with the channel's id\n")
        return 2
    key = Secret(env.get("BOT_INPUT_KEY", "").strip())
    problem = key_problem(key)
    if problem:
        sys.stderr.write(f"{problem}: run this where the bot runs, with the Secret that holds the key\n")
        return 1
    sys.stdout.write(issue(key, arguments[0]).reveal())
    return 0

# SPDX-License-Identifier: GPL-3.0-or-later
# SPDX-FileCopyrightText: 2026 The orchestrator.platform authors
"""The credential with which a bridge pulls the input of one channel, made with BOT_INPUT_KEY.

The bot keeps no table: whoever shows a credential gets the channel that stands in it, and can make none for another
channel without the bot's key.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from discord_monitor import keyed

if TYPE_CHECKING:
    from discord_monitor.secret import Secret

KEY = "BOT_INPUT_KEY"
CHANNEL_ID = re.compile(r"[0-9]{1,20}")
PURPOSE = "discord-monitor/input/1/"


def issue(key: Secret, channel: str) -> Secret:
    """The credential for the input of one channel; the same each time."""
    return keyed.issue(key, PURPOSE, channel)


def channel_of(credential: str, key: Secret) -> str:
    """The channel that a credential opens; empty when it was not issued with this key."""
    return keyed.name_in(credential, key, PURPOSE, CHANNEL_ID)

# SPDX-License-Identifier: GPL-3.0-or-later
# SPDX-FileCopyrightText: 2026 The orchestrator.platform authors
#
# Private to this collection: names and behaviour may change in any release.
"""Credentials that the bot recognizes without keeping a table: what one opens, with a keyed hash of it. Pure."""

from __future__ import annotations

import hashlib
import hmac

from ansible_collections.orchestrator.platform.plugins.module_utils._errors import PlatformError

# As the program has them, in discord_monitor; tests hold the two together.
MIN_KEY_CHARS = 32
INPUT = "discord-monitor/input/1/"  # the input of a channel
RUNS = "discord-monitor/runs/1/"  # the channels of a namespace's runs


def issue(purpose: str, opened: str, key: object) -> str:
    """The credential that opens one thing for one purpose. Raises PlatformError, which never repeats the key."""
    if not isinstance(key, str) or len(key) < MIN_KEY_CHARS:
        raise PlatformError(f"the key is a text of at least {MIN_KEY_CHARS} characters")
    return f"{opened}.{hmac.new(key.encode(), (purpose + opened).encode(), hashlib.sha256).hexdigest()}"

# SPDX-License-Identifier: GPL-3.0-or-later
# SPDX-FileCopyrightText: 2026 The orchestrator.platform authors
"""The credential with which an orchestrator has channels made for the runs of one namespace, made with BOT_API_TOKEN.

It opens those and nothing else: no other namespace, and no webhook that the bot made for somebody else.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from discord_monitor import keyed

if TYPE_CHECKING:
    from discord_monitor.secret import Secret

KEY = "BOT_API_TOKEN"
NAMESPACE = re.compile(r"[a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?")
PURPOSE = "discord-monitor/runs/1/"


def issue(api_token: Secret, namespace: str) -> Secret:
    """The credential for the runs of one namespace; the same each time."""
    return keyed.issue(api_token, PURPOSE, namespace)


def namespace_of(credential: str, api_token: Secret) -> str:
    """The namespace whose runs a credential opens; empty when it was not issued with this token, or that is short."""
    if keyed.key_problem(api_token, KEY):
        return ""
    return keyed.name_in(credential, api_token, PURPOSE, NAMESPACE)

# SPDX-License-Identifier: GPL-3.0-or-later
# SPDX-FileCopyrightText: 2026 The orchestrator.platform authors
#
# Private to this collection: names and behaviour may change in any release.
"""Recognises secret-shaped text and replaces it before anything is shown. Pure."""

from __future__ import annotations

import re

from ansible_collections.orchestrator.platform.plugins.module_utils._workloads import Json

# Discord's developer documentation, Webhook: /webhooks/{id}/{token}. Any host, since a proxy or a fake is one too.
WEBHOOK_URL = re.compile(r"https?://[^\s\"']*/webhooks/\d+/[A-Za-z0-9_-]{8,}")
# A bot token is three base64url parts: user id, timestamp, HMAC. Lengths as seen in Discord's documentation.
BOT_TOKEN = re.compile(r"(?<![\w.-])[A-Za-z0-9_-]{23,28}\.[A-Za-z0-9_-]{6,7}\.[A-Za-z0-9_-]{27,}(?![\w.-])")
_SECRET_NAME = re.compile(r"(TOKEN|SECRET|PASSWORD|PASSWD|API_?KEY|WEBHOOK_URL|CREDENTIAL)", re.IGNORECASE)


def secret_kind(text: str) -> str | None:
    """`webhook URL` or `bot token` when the text holds something shaped like one, else None."""
    if WEBHOOK_URL.search(text):
        return "webhook URL"
    if BOT_TOKEN.search(text):
        return "bot token"
    return None


def redact_text(text: str) -> str:
    """The text with everything secret-shaped replaced by its kind."""
    return BOT_TOKEN.sub("<bot token>", WEBHOOK_URL.sub("<webhook URL>", text))


def redact(value: Json) -> Json:
    """A copy of a manifest part without secret-shaped text and without the values of secret-named variables."""
    if isinstance(value, str):
        return redact_text(value)
    if isinstance(value, list):
        return [redact(item) for item in value]
    if isinstance(value, dict):
        shown = {key: redact(item) for key, item in value.items()}
        name, content = value.get("name"), value.get("value")
        if isinstance(name, str) and isinstance(content, str) and content and _SECRET_NAME.search(name):
            shown["value"] = "<redacted>"
        return shown
    return value

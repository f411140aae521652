# SPDX-License-Identifier: GPL-3.0-or-later
# SPDX-FileCopyrightText: 2026 The orchestrator.platform authors
"""Judges a bot token or webhook URL by its form, without ever repeating it."""

from __future__ import annotations

import re
import typing as t
from collections.abc import Mapping

from ansible.errors import AnsibleFilterError
from ansible_collections.orchestrator.platform.plugins.module_utils._secret_forms import blank_problem

# Snowflake and token as Discord's "Execute Webhook" page gives them; versions such as /api/v10 occur too.
WEBHOOK = re.compile(
    r"^https://(?:(?:ptb|canary)\.)?discord(?:app)?\.com/api(?:/v\d+)?/webhooks/\d{5,25}/[A-Za-z0-9_-]{10,}$"
)
CUSTOM_WEBHOOK = re.compile(r"^https?://[^\s/]+(?:/[^\s]*)?/webhooks/[^\s/]+/[^\s/]+$")


def _webhook_problem(text: str, name: str, *, allow_custom: bool) -> str:
    if WEBHOOK.match(text) or (allow_custom and CUSTOM_WEBHOOK.match(text)):
        return ""
    if CUSTOM_WEBHOOK.match(text):
        return (
            f"{name} is a webhook URL, but not one of https://discord.com: "
            "correct it, or set secrets_webhook_allow_custom: true for a server of your own."
        )
    return f"{name} is not a webhook URL: it has the form https://discord.com/api/webhooks/<id>/<token>."


def _token_problem(text: str, name: str) -> str:
    return f"{name} begins with the word Bot: give the token alone." if text.lower().startswith("bot ") else ""


def secret_problems(value: object, name: str, kind: str, allow_custom: bool = False) -> list[str]:  # noqa: FBT001, FBT002 - called from Jinja
    """Return one sentence for each thing wrong with `value`; the sentences hold `name`, never the value.

    `kind` is 'token' or 'webhook'. A mapping is judged value by value, as `name[key]`. An empty value has no problem:
    whether one is needed is another question.
    """
    if kind not in ("token", "webhook"):
        message = f"secret_problems: the kind is token or webhook, not {kind}"
        raise AnsibleFilterError(message)
    if isinstance(value, Mapping):
        rows = [secret_problems(one, f"{name}[{key}]", kind, allow_custom) for key, one in value.items()]
        return [sentence for row in rows for sentence in row]
    if value is None or value == "":
        return []
    if not isinstance(value, str):
        return [f"{name} is not a text but a {type(value).__name__}: put it in quotes."]
    if kind == "webhook":
        found = blank_problem(value, name) or _webhook_problem(value, name, allow_custom=allow_custom)
    else:
        found = _token_problem(value, name) or blank_problem(value, name)
    return [found] if found else []


class FilterModule:
    """The filter `orchestrator.platform.secret_problems`."""

    def filters(self) -> dict[str, t.Callable[..., t.Any]]:
        """Map the name to the function."""
        return {"secret_problems": secret_problems}

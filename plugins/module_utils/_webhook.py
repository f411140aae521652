# SPDX-License-Identifier: GPL-3.0-or-later
# SPDX-FileCopyrightText: 2026 The orchestrator.platform authors
#
# Private to this collection: names and behaviour may change in any release.
"""What is asked of the module `discord_webhook`, and which of a channel's webhooks is meant by it. Pure."""

from __future__ import annotations

import re
import typing as t

from ansible_collections.orchestrator.platform.plugins.module_utils._errors import PlatformError
from ansible_collections.orchestrator.platform.plugins.module_utils._workloads import Json, Obj

MAX_NAME = 80  # Discord's own rules for a webhook's name (developer docs, Create Webhook)
_CHANNEL = re.compile(r"[0-9]{1,20}")
_API = re.compile(r"https?://[A-Za-z0-9.\[\]:_-]+(/[\w./-]*)?")
_URL = re.compile(r"/webhooks/([0-9]{1,20})/([\w-]+)$")


class Hook(t.NamedTuple):
    """A webhook that we may use: Discord gives its token only to the application that made it."""

    id: str
    name: str
    token: str

    def url(self, api_url: str) -> str:
        """Where messages for it go: a credential."""
        return f"{api_url}/webhooks/{self.id}/{self.token}"


def problems_of(params: Obj) -> list[str]:
    """A sentence for each thing wrong with the module's arguments; none repeats the token."""
    found = []
    name = params["name"].strip()
    if not _CHANNEL.fullmatch(params["channel_id"]):
        found.append("channel_id is not the id of a Discord channel: give its number, in quotes.")
    if not 1 <= len(name) <= MAX_NAME or re.search("discord|clyde", name.lower()):
        found.append(f'name needs 1 to {MAX_NAME} characters and must hold neither "discord" nor "clyde".')
    if not _API.fullmatch(params["api_url"]):
        found.append("api_url is not an http or https URL without credentials.")
    if not re.fullmatch(r"[!-~]+", params["bot_token"]):
        found.append("bot_token is empty, or holds white space or characters that no token has.")
    if params["rotate"] is not None and not params["secret"]:
        found.append("rotate needs secret: the marker is remembered there.")
    if params["return_url"] and params["secret"]:
        found.append("return_url is for those who keep the URL themselves: leave it out, or leave secret out.")
    return found


def ours(hooks: list[Obj], name: str) -> list[Hook]:
    """The webhooks of this name that Discord gives us the token of, the oldest first."""
    found = [
        Hook(str(one["id"]), name, str(one["token"]))
        for one in hooks
        if one.get("name") == name and one.get("token") and _CHANNEL.fullmatch(str(one.get("id")))
    ]
    return sorted(found, key=lambda hook: int(hook.id))


def held_by(url: str, hooks: list[Hook]) -> Hook | None:
    """The webhook whose URL this is, in any of its spellings; None when it is none of these."""
    match = _URL.search(url.strip().partition("?")[0])
    return next((hook for hook in hooks if match and match.groups() == (hook.id, hook.token)), None)


def secret_row(secret: Obj, url: str, rotate: str | None) -> Obj:
    """The Secret as the module `secret` is asked for it: this key, beside whatever else it holds."""
    key: dict[str, Json] = {"key": secret["key"], "value": url, "form": "line"}
    return {
        "namespace": secret["namespace"],
        "name": secret["name"],
        "data": [key],
        "labels": {"app.kubernetes.io/component": "webhook"},
        "annotations": {},
        "prune": False,
        "rotate": rotate,
    }


def refusal(status: int, code: int) -> PlatformError:
    """Discord's answer as a sentence."""
    reasons = {
        (401, 0): "it does not accept the bot token: check bot_token.",
        (403, 0): "the bot may not manage the webhooks of this channel: give its role Manage Webhooks there.",
        (404, 0): "it does not know this channel, or the bot cannot see it: check channel_id.",
        (429, 0): "it limits the rate for longer than we wait: run again later, with fewer hosts at a time.",
        (400, 30007): "the channel has all the webhooks it may have: delete one of them.",
    }
    reason = reasons.get((status, code)) or reasons.get((status, 0)) or "it refuses the call."
    return PlatformError(f"Discord says no (status {status}, code {code}): {reason}", status=status, code=code)

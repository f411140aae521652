# SPDX-License-Identifier: GPL-3.0-or-later
# SPDX-FileCopyrightText: 2026 The orchestrator.platform authors
"""A channel and a webhook for each run of an agent, made on request and found again by the run's name.

The bot remembers nothing: a run's channel says in its topic whose it is. So asking twice gives the same, also after a
restart, after an answer that got lost, and with two bots at once, where the older channel counts and the other goes.
"""

from __future__ import annotations

import re
import threading
from typing import TYPE_CHECKING, Any, NamedTuple

from discord_monitor.discord_api import DiscordError
from discord_monitor.input_credential import issue

if TYPE_CHECKING:
    from discord_monitor.discord_api import DiscordApi
    from discord_monitor.secret import Secret

MARKER = "orchestrator.platform run "
TEXT_CHANNEL = 0  # Discord's number for it
MAX_CHANNEL_NAME = 100
WEBHOOK_NAME = "Agent monitor"
RUN = re.compile(r"[a-z0-9]([-a-z0-9.]{0,61}[a-z0-9])?/[a-z0-9]([-a-z0-9.]{0,251}[a-z0-9])?")


class RunChannel(NamedTuple):
    """What a run has at Discord. The webhook's token is a credential."""

    run: str
    channel_id: str
    webhook_id: str
    token: str
    is_new: bool


class Runs:
    """The channels of one server, below one category or none. Safe for several threads."""

    def __init__(self, api: DiscordApi, *, guild: str, category: str) -> None:
        self._api = api
        self._guild = guild
        self._category = category
        self._lock = threading.Lock()  # two requests for one run must not both find nothing

    def make(self, run: str) -> RunChannel:
        """The run's channel and webhook, made as far as they are missing. Raises DiscordError."""
        with self._lock:
            channel = self._find(run)
            is_new = channel is None
            if channel is None:
                channel = self._make_channel(run)
            hooks = [hook for hook in self._api.webhooks(channel) if _is_usable(hook)]
            hook = min(hooks, key=lambda hook: int(hook["id"]), default=None)
            if hook is None:
                hook, is_new = self._api.create_webhook(channel, WEBHOOK_NAME), True
                if not _is_usable(hook):
                    raise DiscordError(0, 0, "Discord's answer holds no webhook")
            return RunChannel(run, channel, str(hook["id"]), str(hook["token"]), is_new)

    def delete(self, run: str, *, with_channel: bool) -> bool:
        """Delete a run's webhooks, or its channel with all that stands in it; whether there was anything to delete."""
        with self._lock:
            channel = self._find(run)
            if channel is None:
                return False
            if with_channel:
                self._api.delete_channel(channel)
                return True
            hooks = [hook for hook in self._api.webhooks(channel) if _is_usable(hook)]
            for hook in hooks:
                self._api.delete_webhook(str(hook["id"]))
            return bool(hooks)

    def channels(self) -> list[str]:
        """The channels of all runs."""
        return [str(one["id"]) for one in self._api.channels(self._guild) if _run_of(one)]

    def _find(self, run: str) -> str | None:
        """The oldest channel of a run."""
        found = [str(one["id"]) for one in self._api.channels(self._guild) if _run_of(one) == run]
        return min(found, key=int, default=None)

    def _make_channel(self, run: str) -> str:
        content: dict[str, object] = {"name": channel_name(run), "type": TEXT_CHANNEL, "topic": MARKER + run}
        if self._category:
            content["parent_id"] = self._category
        made = str(self._api.create_channel(self._guild, content).get("id") or "")
        first = self._find(run)
        if first is None:
            raise DiscordError(0, 0, "Discord's answer holds no channel")
        if made and made != first:
            self._api.delete_channel(made)  # another bot was faster
        return first


def channel_name(run: str) -> str:
    """What Discord makes of a name as well: small letters, digits and dashes, bounded."""
    return re.sub(r"[^a-z0-9]+", "-", run)[:MAX_CHANNEL_NAME].strip("-")


def shown(found: RunChannel, *, api_url: str, key: Secret) -> dict[str, str]:
    """The answer to whoever may know the URL; with the credential of the run's input where the bot makes some."""
    answer = {"run": found.run, "channel_id": found.channel_id, "webhook_id": found.webhook_id}
    answer["url"] = f"{api_url}/webhooks/{found.webhook_id}/{found.token}"
    if key:
        answer["input_credential"] = issue(key, found.channel_id).reveal()
    return answer


def _run_of(channel: dict[str, Any]) -> str:
    topic = channel.get("topic")
    return topic.removeprefix(MARKER) if isinstance(topic, str) and topic.startswith(MARKER) else ""


def _is_usable(hook: dict[str, Any]) -> bool:
    """Whether we made it: Discord gives a webhook's token to nobody else."""
    return hook.get("name") == WEBHOOK_NAME and bool(hook.get("token")) and str(hook.get("id")).isdigit()

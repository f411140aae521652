# SPDX-License-Identifier: GPL-3.0-or-later
# SPDX-FileCopyrightText: 2026 The orchestrator.platform authors
"""Module discord_webhook with a real API server and the fake Discord: the URL goes from one to the other (design §5, D5, D6)."""

from __future__ import annotations

import json
import types

import pytest
from ansible_collections.kubernetes.core.plugins.module_utils.args_common import AUTH_ARG_SPEC
from ansible_collections.orchestrator.platform.plugins.module_utils._cluster import Cluster as Transport
from ansible_collections.orchestrator.platform.plugins.module_utils._discord import Discord
from ansible_collections.orchestrator.platform.plugins.module_utils._errors import PlatformError
from ansible_collections.orchestrator.platform.plugins.module_utils._webhook_run import WebhookRun
from ansible_collections.orchestrator.platform.plugins.modules.discord_webhook import send

from local_discord import local_discord
from secret_runs import RUNS, values, versions

testinfra_hosts = ["local://"]

TOKEN = "canary-bot-token-of-the-webhook-tests"
CHANNEL = "81384788765712384"


@pytest.fixture
def discord():
    with local_discord(TOKEN) as (fake, url):
        fake.url = url
        yield fake


@pytest.fixture
def webhook(cluster, discord, name):
    """The module's work, for a Secret of the test's own."""

    def run(*, check=False, namespace=RUNS, **given):
        params = {**dict.fromkeys(AUTH_ARG_SPEC), "kubeconfig": str(cluster.kubeconfig)} | {
            "state": "present", "bot_token": TOKEN, "channel_id": CHANNEL, "name": "agents", "rotate": None,
            "secret": {"namespace": namespace, "name": name, "key": "DISCORD_WEBHOOK_URL"}, "return_url": False,
            "api_url": discord.url,
        } | given  # fmt: skip
        module = types.SimpleNamespace(
            params=params, check_mode=check, warn=print, requires=lambda *_a: None, server_side_dry_run=False
        )
        return WebhookRun(module, lambda: Transport(module), Discord(discord.url, TOKEN, send)).result()

    return run


def test_from_discord_into_the_secret_and_a_second_run_without_a_write(cluster, discord, webhook, name):
    """Nothing of the URL in the results; check mode before, and on a cluster where there is nothing, tells the same."""
    before = versions(cluster)
    assert webhook(check=True)["webhook"]["outcome"] == "created"
    assert (versions(cluster), discord.guild.webhooks) == (before, {})
    first = webhook()
    (hook,) = discord.guild.webhooks.values()
    assert values(cluster, name) == {"DISCORD_WEBHOOK_URL": f"{discord.url}/webhooks/{hook.id}/{hook.token}"}
    written = versions(cluster)
    second = webhook()
    assert (first["changed"], second["changed"], versions(cluster)) == (True, False, written)
    assert hook.token not in json.dumps([first, second])


def test_rotation_and_removal(cluster, discord, webhook, name):
    """The marker is kept as an annotation of the Secret; the old webhook is gone when the new URL is there."""
    old = webhook(rotate="one")["webhook"]["id"]
    new = webhook(rotate="two")["webhook"]["id"]
    assert (list(discord.guild.webhooks), new == old) == ([new], False)
    assert f"/webhooks/{new}/" in values(cluster, name)["DISCORD_WEBHOOK_URL"]
    assert webhook(rotate="two")["changed"] is False
    assert webhook(state="absent")["webhook"]["deleted"] == [new]
    assert f"{RUNS}/{name}" not in versions(cluster)
    assert webhook(state="absent")["changed"] is False


def test_without_its_namespace_nothing_is_made_at_discord(discord, webhook):
    with pytest.raises(PlatformError, match="Namespace not-there does not exist"):
        webhook(namespace="not-there")
    assert discord.guild.webhooks == {}

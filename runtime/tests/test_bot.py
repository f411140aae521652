# SPDX-License-Identifier: GPL-3.0-or-later
# SPDX-FileCopyrightText: 2026 The orchestrator.platform authors
"""The bot as a process against the fake Discord: webhooks, retention, health (DM-085..101, DM-210..212, DM-A20, DM-A24)."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta

import pytest
from processes import free_port, get, wait_for

from discord_monitor.retention import Rule, deletions, expired

BOT_TOKEN = "bot.token.for-tests"
API_TOKEN = "api-token-for-tests-" + "t" * 24
CHANNEL = "111222333444555666"


class Bot:
    def __init__(self, run, folder, api_url, **env):
        self.port = free_port()
        settings = {"BOT_TOKEN": BOT_TOKEN + "\n", "BOT_API_TOKEN": API_TOKEN, "DISCORD_API_URL": api_url}
        self.program = run("bot", env=settings | {"HEALTH_PORT": str(self.port)} | env, log=folder / "bot.log")
        self.url = f"http://127.0.0.1:{self.port}"
        wait_for(self.answers, what="the bot answers")

    def answers(self):
        try:
            return get(f"{self.url}/healthz")
        except OSError:
            return None

    def state(self):
        return self.answers()[1]["token"]

    def call(self, method, path, content=None, *, token=API_TOKEN):
        data = json.dumps(content).encode() if content is not None else None
        return get(self.url + path, data=data, method=method, headers={"Authorization": f"Bearer {token}"})


@pytest.fixture
def bot(run, tmp_path, discord):
    made = Bot(run, tmp_path, discord.api)
    wait_for(lambda: made.state() == "accepted", what="the token is accepted")
    return made


def test_webhook_is_made_found_used_and_deleted(bot, discord):
    """DM-212: the URL comes back over the authenticated route and is in no log."""
    status, made = bot.call("POST", "/v1/webhooks", {"channel_id": CHANNEL, "name": "agent seven"})
    assert status == 201
    assert get(made["url"] + "?wait=true", data=b'{"content": "hi"}')[0] == 200
    status, found = bot.call("GET", f"/v1/webhooks?channel_id={CHANNEL}&name=agent%20seven")
    assert (status, found["webhooks"]) == (200, [made])
    assert bot.call("DELETE", f"/v1/webhooks/{made['id']}")[0] == 200
    assert bot.call("DELETE", f"/v1/webhooks/{made['id']}")[0] == 404
    assert bot.program.stop() == 0
    log = bot.program.log()
    assert made["id"] in log
    for secret in (made["url"].rsplit("/", 1)[1], BOT_TOKEN, API_TOKEN):
        assert secret not in log


@pytest.mark.parametrize("token", ["", "wrong", API_TOKEN + "x", "ü"])
def test_wrong_bearer_is_refused(bot, discord, token):
    assert bot.call("POST", "/v1/webhooks", {"channel_id": CHANNEL, "name": "x"}, token=token)[0] == 401
    assert discord.fake.guild.webhooks == {}


@pytest.mark.parametrize(
    "content",
    [None, [], {}, {"channel_id": "1/../2", "name": "x"}, {"channel_id": CHANNEL}, {"channel_id": CHANNEL, "name": "my Discord"},
     {"channel_id": CHANNEL, "name": "x" * 81}],
)  # fmt: skip
def test_bad_create_requests(bot, content):
    status, body = bot.call("POST", "/v1/webhooks", content)
    assert status == 400
    assert body["error"]


def test_without_api_token_the_action_says_so(run, tmp_path, discord):
    bot = Bot(run, tmp_path, discord.api, BOT_API_TOKEN="")
    status, body = bot.call("POST", "/v1/webhooks", {})
    assert (status, "BOT_API_TOKEN" in body["error"]) == (503, True)


def test_rate_limit_of_discord_is_waited_for(bot, discord):
    discord.control(mode="rate_limited", retry_after=0.3, count=1)
    assert bot.call("POST", "/v1/webhooks", {"channel_id": CHANNEL, "name": "x"})[0] == 201


@pytest.mark.parametrize(
    ("env", "state"),
    [
        ({"BOT_TOKEN": "wrong"}, "refused"),
        ({"BOT_TOKEN": ""}, "missing"),
        ({"DISCORD_API_URL": "http://127.0.0.1:9"}, "unreachable"),
    ],
)
def test_no_outage_or_bad_token_restarts_it(run, tmp_path, discord, env, state):
    """D8: healthy, degraded, with a reason; SIGTERM ends it with status 0."""
    bot = Bot(run, tmp_path, discord.api, **env)
    wait_for(lambda: bot.state() == state, what=f"the state is {state}")
    status, health = bot.answers()
    assert (status, health["status"], bool(health["reason"])) == (200, "degraded", True)
    assert bot.call("POST", "/v1/webhooks", {"channel_id": CHANNEL, "name": "x"})[0] in (502, 503)
    assert bot.program.stop() == 0
    assert "wrong" not in bot.program.log()


def test_retention_sweeps_what_is_ours(run, tmp_path, discord):
    """DM-A20: by age and by number; people's and pinned messages stay; bulk and single deletion."""
    now = datetime.now(UTC)

    def message(days, **more):
        return {
            "id": str(10**17 - int(days * 1000)),
            "timestamp": (now - timedelta(days=days)).isoformat(),
            "webhook_id": "5",
        } | more

    ages = [0.1, 0.2, 0.3, 8, 9, 20, 30]
    given = [message(days) for days in ages]
    given += [message(40, webhook_id=None), message(41, pinned=True)]
    get(f"{discord.base}/seed/{CHANNEL}", data=json.dumps(given).encode())
    env = {
        "RETENTION_ENABLED": "true",
        "RETENTION_DAYS": "7",
        "RETENTION_MAX_MESSAGES": "2",
        "RETENTION_CHANNELS": CHANNEL,
    }
    bot = Bot(run, tmp_path, discord.api, **env)
    wait_for(lambda: len(discord.messages()) == 4, what="the sweep is done")
    kept = {message["id"] for message in discord.messages()}
    assert kept == {given[index]["id"] for index in (0, 1, 7, 8)}
    swept = "discord_monitor_bot_messages_swept_total 5"
    # The bot counts behind Discord's answer, so a moment after the message is gone.
    wait_for(lambda: swept in get(f"{bot.url}/metrics")[1], what="all five are counted")


def test_retention_is_off_by_default(bot, discord):
    """Nothing is deleted unless asked."""
    assert not any(status in discord.fake.guild.statuses for status in ("204", "403"))


def test_retention_rules_are_pure():
    now = datetime(2026, 1, 20, tzinfo=UTC)
    messages = [
        {"id": str(n), "timestamp": (now - timedelta(days=n)).isoformat(), "webhook_id": "1"} for n in range(20)
    ]
    gone = expired(messages, Rule(days=0, max_messages=0), me="", kept=0, now=now)
    assert gone == []
    gone = expired(messages, Rule(days=10, max_messages=0), me="", kept=0, now=now)
    assert [message["id"] for message in gone] == [str(n) for n in range(11, 20)]
    assert [len(ids) for ids in deletions(gone, now=now)] == [3, 1, 1, 1, 1, 1, 1]
    assert expired([{"id": "1", "timestamp": "nonsense", "webhook_id": "1"}], Rule(1, 0), me="", kept=0, now=now) == []

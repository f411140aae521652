# SPDX-License-Identifier: GPL-3.0-or-later
# SPDX-FileCopyrightText: 2026 The orchestrator.platform authors
"""A channel and a webhook for a run, by the bot as a process against the fake Discord (DM-210, DM-212, issue 7.6)."""

from __future__ import annotations

import threading

import pytest
from processes import get, wait_for
from test_bot import API_TOKEN, BOT_TOKEN, Bot

from discord_monitor import run_credential
from discord_monitor.input_credential import channel_of
from discord_monitor.runs import MARKER, RUN, channel_name
from discord_monitor.secret import Secret
from platform_demo.fake_discord import GUILD_ID

KEY = "input-key-for-tests-" + "k" * 24
RUN_NAME = "agents/coder-7"
CATEGORY = "616161616161616161"


@pytest.fixture
def bot(run, tmp_path, discord):
    return start(run, tmp_path, discord)


def start(run, tmp_path, discord, **env):
    (tmp_path / "bot").mkdir(exist_ok=True)
    settings = {"DISCORD_GUILD_ID": GUILD_ID, "DISCORD_CATEGORY_ID": CATEGORY, "BOT_INPUT_KEY": KEY} | env
    made = Bot(run, tmp_path / "bot", discord.api, **settings)
    wait_for(lambda: made.state() == "accepted", what="the token is accepted")
    return made


def channels_of(discord, name=RUN_NAME):
    return [channel for channel, topic in discord.fake.guild.topics.items() if topic == MARKER + name]


def test_asking_twice_gives_the_same_and_the_url_works(bot, discord):
    status, made = bot.call("PUT", f"/v1/runs/{RUN_NAME}")
    assert (status, made["run"]) == (201, RUN_NAME)
    assert bot.call("PUT", f"/v1/runs/{RUN_NAME}") == (200, made)
    (channel,) = channels_of(discord)
    guild = discord.fake.guild
    assert (channel, guild.channels[channel], guild.parents[channel]) == (
        made["channel_id"],
        "agents-coder-7",
        CATEGORY,
    )
    assert get(made["url"] + "?wait=true", data=b'{"content": "hi"}')[1]["channel_id"] == channel
    assert channel_of(made["input_credential"], Secret(KEY)) == channel
    assert bot.program.stop() == 0
    log = bot.program.log()
    assert RUN_NAME in log
    for hidden in (made["url"].rsplit("/", 1)[1], made["input_credential"].split(".")[1], API_TOKEN, BOT_TOKEN, KEY):
        assert hidden not in log


def test_restarted_bot_finds_what_it_has_made(run, tmp_path, bot, discord):
    """Its memory is the channel's topic."""
    made = bot.call("PUT", f"/v1/runs/{RUN_NAME}")[1]
    bot.program.kill()
    assert start(run, tmp_path, discord).call("PUT", f"/v1/runs/{RUN_NAME}") == (200, made)


def test_answer_that_got_lost_is_made_good_by_the_next_request(bot, discord):
    """Discord has made the channel, and nobody was told: no second one is made."""
    answer, lost = discord._answer, []

    def lossy(call):
        reply = answer(call)
        if call.method == "POST" and call.path.endswith("/channels") and not lost:
            lost.append(reply)
            return None
        return reply

    discord._answer = lossy
    assert bot.call("PUT", f"/v1/runs/{RUN_NAME}")[0] == 502
    (channel,) = channels_of(discord)
    assert bot.call("PUT", f"/v1/runs/{RUN_NAME}")[1]["channel_id"] == channel
    assert (len(lost), channels_of(discord)) == (1, [channel])


def test_two_bots_end_with_one_channel(run, tmp_path, bot, discord):
    """Both may find nothing and make one; the older one counts, and whoever made the other one deletes it."""
    (tmp_path / "other").mkdir()
    other = start(run, tmp_path / "other", discord)
    answers = []
    threads = [
        threading.Thread(target=lambda each=each: answers.append(each.call("PUT", f"/v1/runs/{RUN_NAME}")[1]))
        for each in (bot, other, bot, other)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    (channel,) = channels_of(discord)
    assert {answer["channel_id"] for answer in answers} == {channel}


def test_deleting_takes_the_webhook_and_on_request_the_channel(bot, discord):
    """Without `channel=true` what was said stays to be read; deleting again changes nothing."""
    made = bot.call("PUT", f"/v1/runs/{RUN_NAME}")[1]
    assert bot.call("DELETE", f"/v1/runs/{RUN_NAME}")[1] == {"run": RUN_NAME, "deleted": True}
    assert bot.call("DELETE", f"/v1/runs/{RUN_NAME}")[1] == {"run": RUN_NAME, "deleted": False}
    assert (len(channels_of(discord)), discord.fake.guild.webhooks) == (1, {})
    again = bot.call("PUT", f"/v1/runs/{RUN_NAME}")[1]
    assert (again["channel_id"], again["url"] == made["url"]) == (made["channel_id"], False)
    assert bot.call("DELETE", f"/v1/runs/{RUN_NAME}?channel=true")[1]["deleted"] is True
    assert (channels_of(discord), discord.fake.guild.webhooks) == ([], {})


@pytest.mark.parametrize("path", ["/v1/runs", "/v1/runs/coder", "/v1/runs/a/b/c", "/v1/runs/Agents/x", "/v1/runs/a/-"])
def test_names_that_are_none(bot, discord, path):
    assert bot.call("PUT", path)[0] == 405
    assert discord.fake.guild.topics == {}


def test_only_with_the_api_token_and_a_server(run, tmp_path, bot, discord):
    """The credential of an agent's input opens nothing here."""
    credential = bot.call("PUT", f"/v1/runs/{RUN_NAME}")[1]["input_credential"]
    for token in ("", "wrong", credential):
        assert bot.call("PUT", "/v1/runs/agents/other", token=token)[0] == 401
        assert bot.call("DELETE", f"/v1/runs/{RUN_NAME}", token=token)[0] == 401
    assert len(discord.fake.guild.topics) == 1
    (tmp_path / "other").mkdir()
    off = start(run, tmp_path / "other", discord, DISCORD_GUILD_ID="")
    status, body = off.call("PUT", f"/v1/runs/{RUN_NAME}")
    assert (status, "DISCORD_GUILD_ID" in body["error"]) == (503, True)


def test_credential_of_a_namespace_opens_its_runs_alone(bot, discord):
    """Issue 8.3: what the orchestrator holds is no key to other channels, and to no webhook of the bot's."""
    credential = run_credential.issue(Secret(API_TOKEN), "agents").reveal()
    status, made = bot.call("PUT", f"/v1/runs/{RUN_NAME}", token=credential)
    assert (status, bot.call("PUT", f"/v1/runs/{RUN_NAME}")) == (201, (200, made))
    for path in ("/v1/runs/agents-2/coder", "/v1/runs/other/agents", "/v1/runs", "/v1/runs/agents"):
        assert bot.call("PUT", path, token=credential)[0] == 403
    channel = made["channel_id"]
    assert bot.call("GET", f"/v1/webhooks?channel_id={channel}", token=credential)[0] == 401
    assert bot.call("DELETE", f"/v1/webhooks/{made['webhook_id']}", token=credential)[0] == 401
    forged = credential.replace("agents.", "other.")
    assert bot.call("PUT", "/v1/runs/other/coder", token=forged)[0] == 401
    assert bot.call("DELETE", f"/v1/runs/{RUN_NAME}", token=credential)[1]["deleted"] is True
    assert channels_of(discord, "other/coder") == []


def test_short_api_token_makes_no_credentials(run, tmp_path, discord):
    """The credential is a hash made with the token: a short one could be guessed from it."""
    short = "short-token-0123456789"
    bot = start(run, tmp_path, discord, BOT_API_TOKEN=short)
    credential = run_credential.issue(Secret(short), "agents").reveal()
    assert bot.call("PUT", f"/v1/runs/{RUN_NAME}", token=credential)[0] == 401
    assert bot.call("PUT", f"/v1/runs/{RUN_NAME}", token=short)[0] == 201


def test_unknown_server_is_told(run, tmp_path, discord):
    bot = start(run, tmp_path, discord, DISCORD_GUILD_ID="1")
    status, body = bot.call("PUT", f"/v1/runs/{RUN_NAME}")
    assert (status, body["discord_code"]) == (404, 10004)


def test_channels_of_runs_are_swept(run, tmp_path, bot, discord):
    """DM-A20: retention holds for the channels the bot made, without their ids in any setting."""
    made = bot.call("PUT", f"/v1/runs/{RUN_NAME}")[1]
    for number in range(3):
        get(made["url"] + "?wait=true", data=b'{"content": "%d"}' % number)
    (tmp_path / "other").mkdir()
    start(run, tmp_path / "other", discord, RETENTION_ENABLED="true", RETENTION_MAX_MESSAGES="1")
    wait_for(lambda: [m["content"] for m in discord.messages()] == ["2"], what="the sweep is done")


def test_names_of_channels():
    assert channel_name("agents/coder.v2-x") == "agents-coder-v2-x"
    assert len(channel_name("a" * 63 + "/" + "b" * 253)) == 100
    assert RUN.fullmatch("a/b")

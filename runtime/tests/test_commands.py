# SPDX-License-Identifier: GPL-3.0-or-later
# SPDX-FileCopyrightText: 2026 The orchestrator.platform authors
"""From a message in Discord to a line of the agent's input: bot, bridge and fake Discord for real (DM-213, DM-A04, issue 7.5, 7.6)."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import threading
import time

import pytest
from hypothesis import given
from hypothesis import strategies as st
from processes import AWKWARD, PATIENCE_S, SRC, free_port, get, wait_for
from test_bot import BOT_TOKEN, CHANNEL

from discord_monitor import run_credential
from discord_monitor.commands import Command, Kind, Mark, Rules, read_message, snowflake_at, written_at
from discord_monitor.inbox import LEASE_S, MAX_WAITING, Inbox, TakenError
from discord_monitor.input_credential import channel_of, issue
from discord_monitor.secret import Secret

KEY = "input-key-for-tests-" + "k" * 24
OTHER_CHANNEL = "111222333444555777"
OWNER, STRANGER = "7000", "8000"
RULES = Rules(allowed=frozenset({OWNER}), prefix="!", keep_s=900, poll_s=1)


class Bot:
    """The bot with commands on."""

    def __init__(self, run, folder, discord, *, port=0, **env):
        self.port = port or free_port()
        settings = {
            "BOT_TOKEN": BOT_TOKEN, "BOT_INPUT_KEY": KEY, "DISCORD_API_URL": discord.api, "HEALTH_PORT": str(self.port),
            "COMMANDS_ALLOWED_USERS": OWNER, "COMMANDS_POLL_SECONDS": "0.1",
        }  # fmt: skip
        self.program = run("bot", env=settings | env, log=folder / "bot.log")
        self.url = f"http://127.0.0.1:{self.port}"
        wait_for(lambda: self.health().get("token") == "accepted", what="the token is accepted")

    def health(self):
        try:
            return get(f"{self.url}/healthz")[1]
        except OSError:
            return {}

    def pull(self, credential, *, reader="pod-1", **more):
        headers = {"Authorization": f"Bearer {credential}"}
        body = json.dumps({"reader": reader, "ready": True, **more}).encode()
        return get(f"{self.url}/v1/input/next", data=body, headers=headers)


class Agent:
    """A bridge that pulls, and the agent's end of its FIFO."""

    def __init__(self, run, folder, bot, *, channel=CHANNEL, pod="agent-7", **env):
        folder.mkdir(exist_ok=True)
        self.fifo = folder / "input.fifo"
        self.port = free_port()
        self.credential = issue(Secret(KEY), channel).reveal()
        settings = {
            "PORT": str(self.port), "FIFO_PATH": str(self.fifo), "BOT_URL": bot.url, "HOSTNAME": pod,
            "BOT_INPUT_CREDENTIAL": self.credential,
        }  # fmt: skip
        self.program = run("bridge", env=settings | env, log=folder / "bridge.log")
        self.lines = []
        wait_for(self.fifo.exists, what="the FIFO is made")

    def read(self):
        """Open the FIFO as an agent does, and gather its lines from now on."""
        self.descriptor = os.open(self.fifo, os.O_RDONLY)
        threading.Thread(target=self._gather, args=(os.fdopen(self.descriptor, "rb"),), daemon=True).start()
        return self

    def _gather(self, file):
        with file:
            self.lines.extend(line.decode() for line in iter(file.readline, b""))

    def health(self):
        try:
            return get(f"http://127.0.0.1:{self.port}/healthz")[1]
        except OSError:
            return {}


@pytest.fixture
def bot(run, tmp_path, discord):
    return Bot(run, tmp_path, discord)


def say(discord, text, *, by=OWNER, channel=CHANNEL, **more):
    """A person writes into a channel; the message's id."""
    message = {"content": text, "author": {"id": by, "username": "somebody"}} | more
    return get(f"{discord.base}/seed/{channel}", data=json.dumps([message]).encode())[1]["ids"][0]


def marks(discord, message, channel=CHANNEL):
    found = discord.fake.guild.find(message, channel) or {}
    return [reaction["emoji"]["name"] for reaction in found.get("reactions", [])]


def marked(discord, message, mark, channel=CHANNEL):
    wait_for(lambda: marks(discord, message, channel) == [mark.value], what=f"the message is marked {mark.name}")


def test_message_reaches_the_agent_and_is_marked(run, tmp_path, discord, bot):
    """Both ways to address the bot; one line each, in their order; neither credential nor text is in a log."""
    agent = Agent(run, tmp_path / "a", bot).read()
    first = say(discord, "!say look at\nthe tests, ü")
    second = say(discord, "<@424242424242424242> say and then rest")
    wait_for(lambda: len(agent.lines) == 2, what="both lines arrive")
    assert agent.lines == ["look at the tests, ü\n", "and then rest\n"]
    marked(discord, first, Mark.DONE)
    marked(discord, second, Mark.DONE)
    assert agent.health()["bot"]["state"] == "connected"
    for log in (agent.program.log(), bot.program.log()):
        for hidden in (agent.credential, agent.credential.split(".")[1], KEY, BOT_TOKEN, "look at"):
            assert hidden not in log


def test_stop_goes_ahead_and_ends_what_waits(run, tmp_path, discord, bot):
    """The bridge writes its own line for it; what was to be said before is not said any more."""
    agent = Agent(run, tmp_path / "a", bot, STOP_LINE="/quit")
    wait_for(lambda: agent.health().get("bot", {}).get("state") == "connected", what="the bot knows the agent")
    waiting = say(discord, "!say never read")
    wait_for(lambda: "discord_monitor_bot_commands_waiting 1" in get(f"{bot.url}/metrics")[1], what="it waits")
    stop = say(discord, "!stop")
    marked(discord, waiting, Mark.REFUSED)
    agent.read()
    marked(discord, stop, Mark.DONE)
    wait_for(lambda: agent.lines == ["/quit\n"], what="the line for stop arrives")


def test_status_tells_who_reads(run, tmp_path, discord, bot):
    agent = Agent(run, tmp_path / "a", bot)
    wait_for(lambda: agent.health().get("bot", {}).get("state") == "connected", what="the bot knows the agent")
    asked = say(discord, "!status")
    marked(discord, asked, Mark.DONE)
    answer = next(m for m in discord.messages() if m.get("message_reference"))
    assert answer["message_reference"]["message_id"] == asked
    assert answer["allowed_mentions"] == {"parse": []}
    assert "`agent-7` does not read its input" in answer["content"]


@pytest.mark.parametrize(
    ("text", "by", "mark"),
    [
        ("!say let me in", STRANGER, Mark.DENIED),
        ("!status", STRANGER, Mark.DENIED),
        ("!restart", OWNER, Mark.UNKNOWN),
        ("!say", OWNER, Mark.REFUSED),
        ("!say " + "ü" * 2_100, OWNER, Mark.REFUSED),
    ],
)
def test_what_is_not_carried_out_is_marked_and_never_handed_out(discord, bot, text, by, mark):
    """The allow-list holds for every command; 4,095 bytes are the most that one write takes whole."""
    credential = issue(Secret(KEY), CHANNEL).reveal()
    assert bot.pull(credential)[1]["message"] is None
    message = say(discord, text, by=by)
    marked(discord, message, mark)
    assert bot.pull(credential)[1]["message"] is None


def test_restarted_bot_repeats_nothing_and_loses_nothing(run, tmp_path, discord, bot):
    """Its memory is in Discord: what has no mark is open. A kill between taking and marking is made good."""
    agent = Agent(run, tmp_path / "a", bot)
    wait_for(lambda: agent.health().get("bot", {}).get("state") == "connected", what="the bot knows the agent")
    waits = say(discord, "!say through a restart")
    wait_for(lambda: "discord_monitor_bot_commands_waiting 1" in get(f"{bot.url}/metrics")[1], what="it waits")
    bot.program.kill()
    during = say(discord, "!say while it is down")
    agent.read()
    Bot(run, tmp_path, discord, port=bot.port)
    for message in (waits, during):
        marked(discord, message, Mark.DONE)
    assert agent.lines == ["through a restart\n", "while it is down\n"]


def test_what_another_bot_hands_out_again_is_not_written_again(run, tmp_path, discord, bot):
    """Two bots, or one that died before it marked: the bridge remembers what it has written, and says so."""
    agent = Agent(run, tmp_path / "a", bot).read()
    message = say(discord, "!say once")
    marked(discord, message, Mark.DONE)
    discord.fake.guild.find(message, CHANNEL)["reactions"] = []  # as if the other one had not marked it yet
    bot.program.kill()
    Bot(run, tmp_path, discord, port=bot.port)
    marked(discord, message, Mark.DONE)
    assert agent.lines == ["once\n"]


def test_an_agent_never_gets_the_input_of_another(run, tmp_path, discord, bot):
    """The channel stands in the credential; there is no way to ask for another one."""
    mine, other = issue(Secret(KEY), CHANNEL).reveal(), issue(Secret(KEY), OTHER_CHANNEL).reveal()
    forged = OTHER_CHANNEL + "." + mine.split(".")[1]
    assert bot.pull(mine)[0] == bot.pull(other)[0] == 200
    message = say(discord, "!say for the other one", channel=OTHER_CHANNEL)
    handed = bot.pull(other, wait_seconds=20)[1]["message"]
    assert (handed["id"], handed["text"]) == (message, "for the other one")
    assert bot.pull(mine, channel=OTHER_CHANNEL, channel_id=OTHER_CHANNEL)[1]["message"] is None
    assert bot.pull(mine, done=message)[0] == 200
    assert bot.pull(other)[1]["message"]["id"] == message, "another agent's credential ended this one's message"
    for wrong in ("", "x", CHANNEL, f"{CHANNEL}.", forged, issue(Secret(KEY + "x"), CHANNEL).reveal(), "ü.ü"):
        assert bot.pull(wrong)[0] == 401


def test_second_pod_is_told_that_the_place_is_taken(run, tmp_path, discord, bot):
    """Not every other message to either: the second one waits, and follows when the first one ends."""
    first = Agent(run, tmp_path / "a", bot, pod="agent-1").read()
    wait_for(lambda: first.health().get("bot", {}).get("state") == "connected", what="the first one reads")
    second = Agent(run, tmp_path / "b", bot, pod="agent-2").read()
    wait_for(lambda: "agent-1" in second.health().get("bot", {}).get("reason", ""), what="the second one is told")
    assert first.program.stop() == 0
    marked(discord, say(discord, "!say to the second"), Mark.DONE)
    assert (first.lines, second.lines) == ([], ["to the second\n"])


def test_bridge_outlives_the_bot_and_says_why_nothing_comes(run, tmp_path, discord, bot):
    """Healthy without a bot, with a refused credential, and while commands are off; SIGTERM ends it with status 0."""
    agent = Agent(run, tmp_path / "a", bot, BOT_INPUT_CREDENTIAL=CHANNEL + ".wrong").read()
    wait_for(lambda: "401" in agent.health().get("bot", {}).get("reason", ""), what="the refusal is told")
    bot.program.kill()
    gone = Agent(run, tmp_path / "b", bot).read()
    wait_for(lambda: gone.health().get("bot", {}).get("state") == "unreachable", what="the outage is told")
    assert gone.health()["status"] == "ok"
    assert gone.program.stop() == 0


@pytest.mark.parametrize(
    ("env", "reason"),
    [
        ({"BOT_INPUT_KEY": ""}, "BOT_INPUT_KEY is not set"),
        ({"BOT_INPUT_KEY": "short"}, "shorter than 32"),
        ({"COMMANDS_ALLOWED_USERS": ""}, "names nobody"),
        ({"COMMANDS_ALLOWED_USERS": "me, you"}, "names nobody"),
    ],
)
def test_off_unless_key_and_people_are_given(run, tmp_path, discord, env, reason):
    bot = Bot(run, tmp_path, discord, **env)
    status, body = bot.pull(issue(Secret(KEY), CHANNEL).reveal())
    assert (status, reason in body["error"]) == (503, True)
    assert reason in bot.health()["commands"]


def test_without_a_credential_the_bridge_does_without(run, tmp_path, bot):
    agent = Agent(run, tmp_path / "a", bot, BOT_INPUT_CREDENTIAL="")
    assert "bot" not in wait_for(agent.health, what="the bridge answers")
    assert "BOT_INPUT_CREDENTIAL is not set" in agent.program.log()


def test_text_that_discord_hides_is_told(discord, bot):
    """Without the message content intent people's messages are empty; the health answer says what to do."""
    bot.pull(issue(Secret(KEY), CHANNEL).reveal())
    say(discord, "")
    wait_for(lambda: "mention the bot" in bot.health()["commands"], what="the reason is told")


def test_credential_command(tmp_path):
    """`discord-monitor credential` in the bot's container: to standard output, without a line feed, for a pipe."""
    env = {"PATH": os.environ["PATH"], "PYTHONPATH": str(SRC), "BOT_INPUT_KEY": KEY}

    def ask(*arguments, **more):
        command = [sys.executable, "-m", "discord_monitor", "credential", *arguments]
        return subprocess.run(command, env=env | more, capture_output=True, text=True, timeout=PATIENCE_S, check=False)

    assert channel_of(ask(CHANNEL).stdout, Secret(KEY)) == CHANNEL
    assert (ask().returncode, ask("../x").returncode, ask(CHANNEL, BOT_INPUT_KEY="").returncode) == (2, 2, 1)
    made = ask("--runs", "agents", BOT_API_TOKEN=KEY).stdout
    assert run_credential.namespace_of(made, Secret(KEY)) == "agents"
    assert (ask("--runs").returncode, ask("--runs", "A/b").returncode, ask("--runs", "agents").returncode) == (2, 2, 1)


@given(st.text(AWKWARD), st.text("0123456789", min_size=1, max_size=20))
def test_no_other_text_is_a_credential(text, channel):
    key = Secret(KEY)
    assert channel_of(text, key) == ""
    assert channel_of(issue(key, channel).reveal() + text, key) == ("" if text else channel)


@given(st.text(AWKWARD))
def test_reading_never_fails_and_never_lets_a_stranger_in(text):
    message = {"id": "1", "content": text, "author": {"id": STRANGER}}
    assert read_message(message, CHANNEL, RULES, me="42") in (None, Mark.DENIED)
    found = read_message(message | {"author": {"id": OWNER}}, CHANNEL, RULES, me="42")
    assert found is None or isinstance(found, (Command, Mark))


@pytest.mark.parametrize(
    "more",
    [
        {"webhook_id": "5"},
        {"author": {"id": OWNER, "bot": True}},
        {"reactions": [{"me": True, "emoji": {"name": "✅"}}]},
    ],
)
def test_bots_webhooks_and_what_is_marked_are_left_alone(more):
    """An agent's own words, posted by its webhook, are no command."""
    message = {"id": "1", "content": "!stop", "author": {"id": OWNER}}
    assert read_message(message, CHANNEL, RULES, me="42") == Command("1", CHANNEL, Kind.STOP)
    assert read_message(message | more, CHANNEL, RULES, me="42") is None


def test_mark_of_somebody_else_closes_nothing():
    """Anybody may click on a reaction; only our own counts."""
    message = {"id": "1", "content": "!stop", "author": {"id": OWNER}}
    reactions = [{"me": False, "emoji": {"name": "✅"}}, {"me": True, "emoji": {"name": "👍"}}, "nonsense"]
    assert isinstance(read_message(message | {"reactions": reactions}, CHANNEL, RULES, me="42"), Command)


def test_snowflakes_tell_the_time():
    assert abs(written_at(snowflake_at(1_800_000_000.5)) - 1_800_000_000.5) < 0.002


class Clock:
    def __init__(self):
        self.now = 100.0

    def __call__(self):
        return self.now


def command(number, kind=Kind.SAY):
    return Command(str(int(snowflake_at(time.time())) + number), CHANNEL, kind, "x")


def test_lease_ends_with_silence():
    """A pod that died without a word keeps its place for LEASE_S, no longer."""
    clock = Clock()
    inbox = Inbox(now=clock)
    assert inbox.take(CHANNEL, "a", ready=True, wait_s=0) is None
    with pytest.raises(TakenError, match="pod a reads"):
        inbox.take(CHANNEL, "b", ready=True, wait_s=0)
    clock.now += LEASE_S + 1
    assert inbox.take(CHANNEL, "b", ready=True, wait_s=0) is None
    assert inbox.seen(CHANNEL).reader == "b"


def test_inbox_is_bounded_and_a_stop_always_has_room():
    inbox = Inbox()
    assert inbox.put(command(0)) is None, "a channel that nobody has asked for takes nothing"
    inbox.take(CHANNEL, "a", ready=True, wait_s=0)
    given = [command(number) for number in range(MAX_WAITING)]
    assert [inbox.put(each) for each in given] == [[]] * MAX_WAITING
    assert inbox.put(command(100)) is None
    handed = inbox.take(CHANNEL, "a", ready=True, wait_s=0)
    assert handed == given[0]
    assert inbox.put(command(101, Kind.STOP)) == given[1:], "what the reader has in hand is not overtaken"
    assert inbox.finish(CHANNEL, "a", handed.id) == handed
    assert inbox.finish(CHANNEL, "a", handed.id) is None
    assert inbox.take(CHANNEL, "a", ready=True, wait_s=0).kind is Kind.STOP


def test_late_commands_are_taken_out():
    """An agent is not told what was meant for an hour ago; what it has in hand is its own."""
    clock = Clock()
    inbox = Inbox(now=clock)
    inbox.take(CHANNEL, "a", ready=True, wait_s=0)
    first, second = command(1), command(2)
    inbox.put(first)
    inbox.put(second)
    inbox.take(CHANNEL, "a", ready=True, wait_s=0)
    assert inbox.expire(before=time.time() + 60) == [second]
    clock.now += LEASE_S + 1
    assert inbox.expire(before=time.time() + 60) == [first]


def test_strange_answer_does_not_end_the_reading(run, tmp_path, discord, bot):
    """An id that is none, which Discord never sends: the bot says what happened and goes on living."""
    answer = discord._answer

    def strange(call):
        reply = answer(call)
        is_list = call.method == "GET" and call.path.endswith(f"/channels/{CHANNEL}/messages")
        return reply._replace(content=[{"id": "x", "content": "!stop", "author": {"id": OWNER}}]) if is_list else reply

    discord._answer = strange
    credential = issue(Secret(KEY), CHANNEL).reveal()
    bot.pull(credential)
    wait_for(lambda: "inside the bot" in bot.health()["commands"], what="the failure is told")
    assert bot.pull(credential)[0] == 200
    assert "ValueError" in bot.program.log()

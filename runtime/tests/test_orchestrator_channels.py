# SPDX-License-Identifier: GPL-3.0-or-later
# SPDX-FileCopyrightText: 2026 The orchestrator.platform authors
"""A channel for each run: the controller's steps, the real bot as a process, and the fake Discord (DM-210, issue 8.3)."""

from __future__ import annotations

import base64
import datetime as dt
import json

import pytest
import runs
from api_server import refusal
from hypothesis import given
from hypothesis import strategies as st
from processes import get, wait_for
from test_bot import API_TOKEN, BOT_TOKEN, Bot  # noqa: F401 (the fake Discord accepts this file's BOT_TOKEN)
from test_orchestrator_steps import World, at_work

from discord_monitor import run_credential
from discord_monitor.input_credential import channel_of
from discord_monitor.runs import MARKER, RUN
from discord_monitor.secret import Secret
from orchestrator import naming
from orchestrator.channels import CHANNEL_ANNOTATION, PATIENCE_S, RETRY_S
from orchestrator.kube import ApiError
from orchestrator.sidecar import HASH_ANNOTATION
from platform_demo.fake_discord import GUILD_ID

INPUT_KEY = "input-key-for-tests-" + "k" * 24
WEBHOOK, INPUT = "DISCORD_WEBHOOK_URL", "BOT_INPUT_CREDENTIAL"


class Watched(World):
    """A world with the published snippet, and a controller that asks a bot for channels."""

    def __init__(self, serve, tmp_path, bot_url):
        super().__init__(serve, tmp_path, runs.flat_templates(tmp_path / "templates"))
        self.bot_url = bot_url
        self.folder = tmp_path
        self.aim()
        self.trust(run_credential.issue(Secret(API_TOKEN), "runs").reveal())
        snippet = {"snippet.json": json.dumps(runs.SNIPPET), "hash": "abc"}
        self.memory.put("configmaps", {"metadata": {"name": "snippet"}, "data": snippet})

    def aim(self, *, bridge=False, **cleanup):
        """Where the controller asks, and how it cleans up."""
        sidecar = {"snippetConfigMap": "snippet", "bridge": bridge, "runChannels": {"botUrl": self.bot_url}}
        self.configure(sidecar=sidecar, **cleanup)

    def trust(self, credential):
        (self.folder / "credential").write_text(credential + "\n", encoding="utf-8")

    def secrets(self):
        return [self.memory.get("secrets", n) for n in self.memory.names("secrets") if n.startswith("discord-run-")]

    def values(self):
        (secret,) = self.secrets()
        return {key: base64.b64decode(value).decode() for key, value in secret["data"].items()}

    def monitored(self, name="seven"):
        (found,) = [c for c in self.status(name)["conditions"] if c["type"] == "Monitored"]
        return found["status"], found["reason"], found["message"]

    def references(self, name="seven"):
        """Secret and key by container and variable, in the pod of the run's Job."""
        pod = self.job(name)["spec"]["template"]["spec"]
        return {
            (c["name"], e["name"]): (e["valueFrom"]["secretKeyRef"]["name"], e["valueFrom"]["secretKeyRef"]["key"])
            for c in pod["containers"] + pod["initContainers"]
            for e in c.get("env") or []
            if "valueFrom" in e
        }

    def succeed(self, name="seven"):
        self.tell(self.pod(name, terminated={"exitCode": 0, "message": "{}"}), self.stores.pods)
        self.end(name)
        assert self.step(name) == 0.0


@pytest.fixture
def bot(run, tmp_path, discord):
    (tmp_path / "bot").mkdir()
    made = Bot(run, tmp_path / "bot", discord.api, DISCORD_GUILD_ID=GUILD_ID, BOT_INPUT_KEY=INPUT_KEY)
    wait_for(lambda: made.state() == "accepted", what="the token is accepted")
    return made


@pytest.fixture
def world(serve, tmp_path, bot):
    return Watched(serve, tmp_path, bot.url)


def channels_of(discord, path="runs/coderun.seven"):
    return [channel for channel, topic in discord.fake.guild.topics.items() if topic == MARKER + path]


def test_from_the_request_to_the_removal(world, discord):
    """The webhook works, its URL stands in the Secret alone, and goes with the clean-up; what was said stays."""
    at_work(world)
    (channel,) = channels_of(discord)
    (secret,) = world.secrets()
    name = secret["metadata"]["name"]
    assert naming.belongs_to(secret, world.memory.get("coderuns", "seven"))
    assert (secret["metadata"]["annotations"][CHANNEL_ANNOTATION], set(secret["data"])) == (channel, {WEBHOOK})
    assert world.references()["discord-watcher", WEBHOOK] == (name, WEBHOOK)
    assert ("claude-code", WEBHOOK) not in world.references()
    annotations = world.job()["spec"]["template"]["metadata"]["annotations"]
    assert annotations["orchestrator.platform/webhook-secret-name"] == name
    assert annotations["orchestrator.platform/webhook-secret-key"] == WEBHOOK
    assert annotations[HASH_ANNOTATION] == "abc"
    assert world.monitored() == (
        "True", "SidecarAttached", f"The agent's pod carries the published sidecar. Its channel is {channel}.",
    )  # fmt: skip
    url = world.values()[WEBHOOK]
    assert get(url + "?wait=true", data=b'{"content": "hi"}')[1]["channel_id"] == channel
    told = json.dumps([world.memory.objects[k] for k in world.memory.objects if k != "secrets"])
    assert url.rsplit("/", 1)[1] not in told
    assert base64.b64encode(url.encode()).decode() not in told
    world.asked()
    world.step()
    assert world.asked() == []
    world.succeed()
    assert world.step() == 5 * 60
    assert len(discord.fake.guild.webhooks) == 1
    world.now += dt.timedelta(minutes=5)
    assert world.step() is None
    assert (world.secrets(), discord.fake.guild.webhooks, channels_of(discord)) == ([], {}, [channel])
    assert [m["content"] for m in discord.messages()] == ["hi"]
    assert world.condition("CleanedUp")[1].endswith("a workspace claim stays.")


def test_another_attempt_goes_on_in_the_channel(world, discord):
    at_work(world)
    world.succeed()
    world.step()
    world.now += dt.timedelta(minutes=5)
    world.step()
    world.change("seven", contextVersion=2)
    world.step()
    (channel,) = channels_of(discord)
    assert world.secrets()[0]["metadata"]["annotations"][CHANNEL_ANNOTATION] == channel
    assert get(world.values()[WEBHOOK] + "?wait=true", data=b'{"content": "x"}')[0] == 200


def test_the_bridge_gets_the_input_of_the_channel(world, discord):
    """Issue 7.5: the credential of this run's input goes to the bridge alone, and is not kept where none is asked for."""
    world.aim(bridge=True)
    world.run()
    world.step()
    (channel,) = channels_of(discord)
    assert channel_of(world.values()[INPUT], Secret(INPUT_KEY)) == channel
    name = world.secrets()[0]["metadata"]["name"]
    assert world.references()["input-bridge", INPUT] == (name, INPUT)
    assert [c for c, variable in world.references() if variable == INPUT] == ["input-bridge"]
    annotations = world.job()["spec"]["template"]["metadata"]["annotations"]
    assert annotations["orchestrator.platform/input-secret-name"] == name


def test_a_docs_run_has_one_too_and_kinds_do_not_mix(world, discord):
    world.run()
    world.run(kind="docsruns")
    world.step()
    world.step(kind="docsruns")
    assert len({*channels_of(discord), *channels_of(discord, "runs/docsrun.seven")}) == 2
    assert len(world.secrets()) == 2


def test_a_run_with_a_webhook_of_its_own_gets_none(world, discord):
    world.secret("mine", "url")
    world.run(envFromSecrets=[{"name": WEBHOOK, "secretName": "mine", "secretKey": "url"}])
    world.step()
    assert (world.secrets(), discord.fake.guild.topics) == ([], {})
    assert world.references()["discord-watcher", WEBHOOK] == ("mine", "url")
    assert (
        world.job()["spec"]["template"]["metadata"]["annotations"]["orchestrator.platform/webhook-secret-key"] == "url"
    )


def test_who_waits_for_the_service_has_no_channel_yet(world, discord):
    at_work(world)
    world.run("eight", taskId=8)
    world.step("eight")
    assert world.condition("Pending", "eight")[0] == "WaitingForService"
    assert list(discord.fake.guild.topics.values()) == [MARKER + "runs/coderun.seven"]


@pytest.mark.parametrize("at", ["secret", "configmap", "job"])
def test_killed_at_every_step(world, discord, at):
    """Whatever was done before the end is found again: one channel, one webhook, one Secret."""
    kind = {"secret": "secrets", "configmap": "configmaps", "job": "jobs"}[at]
    world.memory.refuses["POST", kind] = refusal(503, "ServiceUnavailable")
    world.run()
    with pytest.raises(ApiError):
        world.step()
    world.memory.refuses.clear()
    world.step()
    assert (len(channels_of(discord)), len(discord.fake.guild.webhooks), len(world.secrets())) == (1, 1, 1)
    assert world.monitored()[0] == "True"


REFUSED = {
    "another namespace's": (lambda w: w.trust(run_credential.issue(Secret(API_TOKEN), "other").reveal()), "namespace other alone"),
    "none": (lambda w: (w.folder / "credential").unlink(), "no credential"),
    "wrong": (lambda w: w.trust("wrong"), "API token"),
    "not the bot": (lambda w: setattr(w, "bot_url", w.other) or w.aim(), "not the bot"),
    "no right": (lambda w: w.memory.refuses.update({("POST", "secrets"): refusal(403, "Forbidden", "no right")}), "no right"),
}  # fmt: skip


@pytest.mark.parametrize("case", REFUSED)
def test_a_refusal_is_told_and_keeps_nobody_from_work(world, discord, serve, case):
    """And the messages of this run go to no other channel instead."""
    world.other = serve(lambda *_: (200, {"hello": "world"})).url
    spoil, words = REFUSED[case]
    spoil(world)
    at_work(world)
    status, reason, sentence = world.monitored()
    assert (status, reason) == ("False", "ChannelRefused")
    assert words in sentence
    assert world.references()["discord-watcher", WEBHOOK][0].startswith("discord-run-code-seven-")
    assert API_TOKEN not in sentence


def test_a_bot_that_is_away_is_waited_for_and_not_for_ever(world, bot, discord):
    """One question in five seconds, whoever asks; after a minute the agent works without a channel."""
    bot.program.stop()
    world.run()
    assert world.step() == 6
    assert world.condition("Pending") == (
        "ChannelPending",
        "The run's channel is not made yet: the bot does not answer: connection refused.",
    )
    world.run("eight", taskId=8, service="other")
    world.step("eight")
    assert world.context.channels.counts["failed"] == 1
    world.clock += RETRY_S
    world.step("eight")
    assert world.context.channels.counts["failed"] == 2
    world.clock = PATIENCE_S
    world.step()
    assert world.monitored()[:2] == ("False", "ChannelUnavailable")
    assert world.job() is not None


def test_a_bot_that_comes_back_is_found(world, bot, run, tmp_path, discord):
    bot.program.stop()
    world.run()
    world.step()
    (tmp_path / "again").mkdir()
    again = Bot(run, tmp_path / "again", discord.api, DISCORD_GUILD_ID=GUILD_ID)
    wait_for(lambda: again.state() == "accepted", what="the token is accepted")
    world.bot_url = again.url
    world.aim()
    world.clock += RETRY_S
    world.step()
    assert world.monitored()[0] == "True"


def test_a_bot_that_is_away_at_the_end(world, bot, discord):
    """The Job goes all the same; the webhook is asked for again, then its being left is told."""
    at_work(world)
    world.succeed()
    world.now += dt.timedelta(minutes=5)
    bot.program.stop()
    assert world.step() == 6
    assert (world.memory.names("jobs"), len(world.secrets())) == ([], 1)
    world.clock = PATIENCE_S
    assert world.step() is None
    assert world.condition("CleanedUp")[1].endswith(
        "stays. Its webhook is left: the bot does not answer: connection refused."
    )
    assert world.secrets() == []


def test_a_run_that_is_deleted_takes_its_webhook_along(world, discord):
    """Its Secret goes by its owner reference; the bot is asked once."""
    at_work(world)
    run = world.memory.get("coderuns", "seven")
    del world.memory.objects["coderuns"]["seven"]
    world.stores.runs["coderuns"].drop(run | {"metadata": run["metadata"] | {"resourceVersion": "99999"}})
    assert world.step() is None
    assert (discord.fake.guild.webhooks, len(channels_of(discord))) == ({}, 1)
    assert world.step() is None
    assert world.context.channels.counts == {"made": 1, "deleted": 1, "failed": 0}


def test_without_an_address_nothing_is_asked(world, discord):
    world.configure(sidecar={"snippetConfigMap": "snippet"})
    at_work(world)
    world.succeed()
    world.asked()
    world.now += dt.timedelta(minutes=5)
    world.step()
    assert [one for one in world.asked() if "secrets" in one] == []
    assert discord.fake.guild.topics == {}


@given(
    st.from_regex(r"[a-z0-9]([-a-z0-9]{0,20}[a-z0-9])?(\.[a-z0-9]([-a-z0-9]{0,60}[a-z0-9])?){0,4}", fullmatch=True),
    st.sampled_from(["coderuns", "docsruns"]),
)
def test_names_fit(name, kind):
    run = runs.run(kind, name=name[:253].rstrip(".-"))
    path = naming.run_path("n" * 63, kind, run["metadata"]["name"])
    assert RUN.fullmatch(path), path
    assert len(naming.channel_secret(run, kind)) <= 253


def test_long_names_stay_apart():
    first, second = ("a" * 252 + end for end in "xy")
    assert naming.run_path("n", "coderuns", first) != naming.run_path("n", "coderuns", second)
    assert RUN.fullmatch(naming.run_path("n", "docsruns", first))

# SPDX-License-Identifier: GPL-3.0-or-later
# SPDX-FileCopyrightText: 2026 The orchestrator.platform authors
"""What the agents wrote arrives in Discord: all of it, in order, once, within Discord's limits (DM-190…203, DM-A33, DM-A34)."""

from __future__ import annotations

import json

import pytest

from arrivals import arrived_of, expected_of, in_turn, told_and_arrived, urgent_of

testinfra_hosts = ["local://"]

JOB_SEED = 12  # molecule/shared/releases.yml


def test_all_of_the_job_arrives_in_order_and_once(cluster, discord):
    """Nothing lost, nothing twice; errors may overtake a backlog, nothing else; re-appended rows come once."""
    expected = expected_of(JOB_SEED, [0])
    sessions = {session for session, _marker in expected}
    assert len(expected) > 30
    cluster.until(lambda: len(arrived_of(discord.messages(), sessions)) >= len(expected), "the Job's last line", 240)
    arrived = arrived_of(discord.messages(), sessions)
    assert sorted(arrived) == sorted(expected)
    assert in_turn(arrived, expected, urgent_of(JOB_SEED, [0]))


def test_what_the_deployment_wrote_arrives_without_a_gap(cluster, discord, agent_pod):
    """So far as it has come; at most one message is repeated for each restart of the watcher."""
    expected, arrived, urgent = told_and_arrived(cluster, discord, agent_pod)
    once = list(dict.fromkeys(arrived))
    assert once, "nothing arrived"
    assert in_turn(once, expected, urgent)


@pytest.mark.parametrize(("what", "limit"), [("embeds", 10), ("characters", 6000)])
def test_no_message_is_above_the_limits(discord, what, limit):
    """DM-A34: counted here, not by the server that accepted them."""

    def text(embed) -> int:
        parts = [embed.get("title", ""), embed.get("description", ""), embed.get("footer", {}).get("text", "")]
        return sum(map(len, parts)) + sum(len(f["name"]) + len(f["value"]) for f in embed.get("fields", []))

    messages = discord.messages()
    assert messages
    count = {"embeds": lambda m: len(m["embeds"]), "characters": lambda m: sum(map(text, m["embeds"]))}[what]
    assert max(map(count, messages)) <= limit


def test_nobody_is_mentioned(discord):
    """The text of a transcript is not trusted: no message may ping anyone."""
    ours = [message for message in discord.messages() if message["author"].get("bot")]
    assert {json.dumps(message["allowed_mentions"]) for message in ours} == {'{"parse": []}'}


def test_discord_never_refused_a_message_for_its_form(discord):
    """400 is the answer to a message that breaks a limit."""
    assert "400" not in discord.stats()["requests_by_status"]

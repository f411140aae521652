# SPDX-License-Identifier: GPL-3.0-or-later
# SPDX-FileCopyrightText: 2026 The orchestrator.platform authors
"""What somebody says in the agent's channel arrives in the agent's FIFO, by bot and bridge (DM-A04, DM-213, issue 7.5)."""

from __future__ import annotations

import json
import subprocess

testinfra_hosts = ["local://"]

CHANNEL, OWNER, STRANGER = "9200000001", "7000", "8000"  # molecule/shared/platform.yml
DONE, DENIED = "\u2705", "\U0001f6ab"
# Reads as an agent does, two lines and no more.
READ = "with open('/run/agent-input/fifo') as file: print(file.readline() + file.readline(), end='')"


def bridge_health(cluster, pod):
    answer = cluster.kubectl(
        "exec", "--namespace", pod["metadata"]["namespace"], pod["metadata"]["name"], "--container", "input-bridge",
        "--", "discord-monitor", "healthcheck", "bridge", check=False,
    )  # fmt: skip
    return json.loads(answer) if answer.startswith("{") else {}


def test_what_is_said_in_the_channel_reaches_the_agent(cluster, discord, agent_pod):
    """Outbound only: the bridge asks. One person on the list is heard, another one is not; both are told by a mark."""
    cluster.until(
        lambda: bridge_health(cluster, agent_pod).get("bot", {}).get("state") == "connected", "bridge and bot"
    )

    def marked(message, mark):
        cluster.until(lambda: discord.marks(message) == [mark], f"mark {mark} at message {message}")

    meta = agent_pod["metadata"]
    argv = ["kubectl", "exec", "--namespace", meta["namespace"], meta["name"], "--container", "agent", "--"]
    with subprocess.Popen([*argv, "python3", "-c", READ], env=cluster.env, stdout=subprocess.PIPE, text=True) as agent:
        try:
            denied = discord.write(CHANNEL, "!say not mine to say", author=STRANGER)
            said = discord.write(CHANNEL, "!say look at\nthe tests", author=OWNER)
            marked(denied, DENIED)
            marked(said, DONE)  # a stop would end what still waits
            stop = discord.write(CHANNEL, "!stop", author=OWNER)
            out, _none = agent.communicate(timeout=120)
        finally:
            agent.kill()
    assert out == "look at the tests\n/exit\n"
    marked(stop, DONE)


def test_status_is_answered_in_the_channel(cluster, discord, agent_pod):
    """The agent of the demo does not read its input now, and the answer says so."""
    asked = discord.write(CHANNEL, "!status", author=OWNER)

    def answer():
        return [m for m in discord.messages() if (m.get("message_reference") or {}).get("message_id") == asked]

    (found,) = cluster.until(answer, "an answer to status")
    assert agent_pod["metadata"]["name"] in found["content"]

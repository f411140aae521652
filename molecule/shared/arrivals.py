# SPDX-License-Identifier: GPL-3.0-or-later
# SPDX-FileCopyrightText: 2026 The orchestrator.platform authors
"""What the sample agents have written and what of it has arrived, told without asking the product."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable

from platform_demo.story import story
from real_cluster import Cluster, FakeDiscord, Json

SESSIONS = 3  # the demo chart's own default
MARKER = re.compile(r"step \d{4,}")
Told = list[tuple[str, str]]


def session_of(embed: Json) -> str:
    """The first characters of the session an embed tells of."""
    found = re.search(r"session ([0-9a-f]{8})", embed.get("footer", {}).get("text", ""))
    return found[1] if found else ""


def expected_of(seed: int, cycles: Iterable[int]) -> Told:
    """(session, marker) of every significant row in the order written; the story knows nothing of the product."""
    return [
        (re.search(r"([0-9a-f]{8})-[0-9a-f-]{27}", line.path)[1], line.marker)
        for cycle in cycles
        for line in story(seed, SESSIONS, cycle=cycle)
        if line.significant and not line.repeated
    ]


def arrived_of(messages: list[Json], sessions: set[str]) -> Told:
    """(session, marker) of every embed of these sessions, in the order of arrival."""
    embeds = [embed for message in messages for embed in message["embeds"] if session_of(embed) in sessions]
    return [(session_of(embed), MARKER.search(json.dumps(embed, ensure_ascii=False))[0]) for embed in embeds]


def told_and_arrived(cluster: Cluster, discord: FakeDiscord, agent_pod: Json) -> tuple[Told, Told]:
    """What the agent of a running pod has begun to write, and what has arrived of it."""
    told = json.loads(cluster.execute(agent_pod, "agent", "cat", "/home/agent/.claude/expected.json"))
    expected = expected_of(told["seed"], told["cycles"])
    return expected, arrived_of(discord.messages(), {session for session, _marker in expected})

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
    """(session, marker) of every event of these sessions, in the order of arrival; events may share an embed."""
    embeds = [embed for message in messages for embed in message["embeds"] if session_of(embed) in sessions]
    return [
        (session_of(embed), marker)
        for embed in embeds
        for marker in dict.fromkeys(MARKER.findall(json.dumps(embed, ensure_ascii=False)))
    ]


def urgent_of(seed: int, cycles: Iterable[int]) -> set[str]:
    """Markers of the errors: they may arrive ahead of what was written before them."""
    return {line.marker for cycle in cycles for line in story(seed, SESSIONS, cycle=cycle) if line.urgent}


def in_turn(once: Told, told: Told, urgent: set[str]) -> bool:
    """Whether what arrived is the beginning of what was written, errors and the rest each for themselves."""
    for wanted in (True, False):
        arrived, written = ([row for row in rows if (row[1] in urgent) is wanted] for rows in (once, told))
        if arrived != written[: len(arrived)]:
            return False
    return True


def told_and_arrived(cluster: Cluster, discord: FakeDiscord, agent_pod: Json) -> tuple[Told, Told, set[str]]:
    """What the agent of a running pod has begun to write, what has arrived of it, and which of the markers are errors."""
    told = json.loads(cluster.execute(agent_pod, "agent", "cat", "/home/agent/.claude/expected.json"))
    expected = expected_of(told["seed"], told["cycles"])
    arrived = arrived_of(discord.messages(), {session for session, _marker in expected})
    return expected, arrived, urgent_of(told["seed"], told["cycles"])

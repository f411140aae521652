# SPDX-License-Identifier: GPL-3.0-or-later
# SPDX-FileCopyrightText: 2026 The orchestrator.platform authors
"""Events become embeds, embeds become messages: all of Discord's limits, for any text (DM-196..203, DM-A33, DM-A34)."""

from __future__ import annotations

import json
from typing import NamedTuple

import pytest
from hypothesis import given
from hypothesis import strategies as st
from processes import AWKWARD

from discord_monitor import embeds
from discord_monitor.batching import batches
from discord_monitor.parsing import Event, Kind, Row, parse_row
from discord_monitor.redaction import Redactor
from discord_monitor.rendering import Context, render
from discord_monitor.settings import Tracking
from discord_monitor.stats import Stats
from platform_demo.rules import problems_of

PLAIN = Context(str, Tracking(), parity_mode=False)
PARITY = PLAIN._replace(parity_mode=True)
# Long texts by repetition, with everything that is awkward: astral characters, half surrogates, fences, controls.
TEXTS = st.builds(
    lambda piece, times: piece * times, st.text(AWKWARD) | st.just("\ud83d🙂```\x00 "), st.integers(0, 3000)
)


def shown(context=PLAIN, stats=None, **row):
    parsed = parse_row(json.dumps(row).encode())
    return [embed for event in parsed.events for embed in render(event, parsed, stats or Stats(), context)]


def tool(name, **given):
    (embed,) = shown(type="tool_use", name=name, input=given)
    return embed


@given(st.sampled_from(Kind), TEXTS, TEXTS, st.booleans(), st.booleans())
def test_any_event_gives_messages_that_discord_accepts(kind, text, other, failed, parity_mode):
    """The fake Discord's own check, written apart, finds nothing; text of any kind survives JSON as UTF-8."""
    event = Event(
        kind,
        text=text,
        tool=other[:300],
        tool_input={"command": text, "x": other},
        stdout=other,
        stderr=text,
        is_error=failed,
    )
    row = Row("assistant", (event,), timestamp="2026-01-01T00:00:00Z", session=other, model=text, stop_reason=other)
    made = render(event, row, Stats(), PLAIN._replace(parity_mode=parity_mode))
    assert made
    for embed in made:
        assert problems_of(json.loads(json.dumps({"embeds": [embed]}))) == {}
        json.dumps(embed, ensure_ascii=False).encode()


@pytest.mark.parametrize(
    ("name", "symbol"),
    [
        ("Bash", "⚡"),
        ("Write", "📝"),
        ("Edit", "📝"),
        ("MultiEdit", "📝"),
        ("Read", "👁"),
        ("Grep", "👁"),
        ("WebFetch", "🔍"),
        ("X", "🔧"),
    ],
)
def test_tool_use(name, symbol):
    """DM-197."""
    embed = tool(name, command="ls -l")
    assert embed["description"].startswith(symbol)
    assert f"**{name}**" in embed["description"]
    assert embed["color"] == 0xF39C12


def test_command_is_cut_and_file_path_shown():
    value = tool("Bash", command="ü" * 600)["fields"][0]["value"]
    assert value.count("ü") == 499
    assert value.endswith("…\n```")
    assert tool("Write", file_path="/a/b.py")["fields"][0] == {"name": "File", "value": "/a/b.py", "inline": False}


def test_assistant_text_with_figures():
    """DM-198: tokens, cost with six decimals, model, stop reason."""
    usage = {"input_tokens": 10, "output_tokens": 20}
    message = {"content": "Starting", "model": "m", "stop_reason": "end_turn", "usage": usage}
    (embed,) = shown(type="assistant", message=message, stats=Stats(1000, 100, nano_dollars=4_500_000))
    values = {field["name"]: field["value"] for field in embed["fields"]}
    assert values == {"Tokens": "10 in / 20 out", "Session cost": "$0.004500", "Model": "m"}
    assert embed["footer"]["text"] == "end_turn"
    assert embed["color"] == 0x3498DB


def test_figures_can_be_switched_off():
    """DM-046..048."""
    off = PLAIN._replace(tracking=Tracking(cost=False, tokens=False, errors=False))
    (embed,) = shown(off, type="assistant", message={"content": "x", "usage": {"input_tokens": 1}})
    assert "fields" not in embed
    (error,) = shown(off, type="tool_result", toolUseResult={"stdout": "", "stderr": "bad"})
    assert "fields" not in error


@pytest.mark.parametrize(
    ("streams", "title", "colour"), [(("", "bad"), "error", 0xE74C3C), (("good", ""), "output", 0x27AE60)]
)
def test_results(streams, title, colour):
    """DM-199, DM-200: in a code fence, cut at 800 characters, never inside one."""
    stdout, stderr = (text * 300 for text in streams)
    (embed,) = shown(type="tool_result", toolUseResult={"stdout": stdout, "stderr": stderr})
    assert title in embed["title"]
    assert embed["color"] == colour
    assert len(embed["description"]) == 800 + len("```\n\n```")


def test_fence_cannot_be_left():
    (embed,) = shown(type="tool_result", toolUseResult={"stdout": "a ``` b", "stderr": ""})
    assert embed["description"].count("```") == 2


def test_parity_mode_shows_long_texts_whole():
    """D12: what the terminal would show, over several embeds."""
    text = "".join(chr(0x4E00 + number) for number in range(5000))
    made = shown(PARITY, type="assistant", message={"content": text})
    assert "".join(embed["description"].removeprefix("💭 ") for embed in made) == text


def test_redaction_comes_before_the_cut():
    """A secret across the cut leaves no recognisable rest."""
    secret = "ghp" + "_" + "A1b2" * 9
    context = PLAIN._replace(redact=Redactor())
    for pad in range(760, 805):
        (embed,) = shown(context, type="tool_result", toolUseResult={"stdout": "x" * pad + " " + secret, "stderr": ""})
        assert "ghp" + "_" not in json.dumps(embed)


@given(st.text(AWKWARD), st.integers(1, 50))
def test_cut_is_short_enough_and_whole(text, limit):
    """DM-A33: never inside a character."""
    short = embeds.cut(text, limit)
    assert embeds.length(short) <= limit
    assert short == text or (short.endswith("…") and text.startswith(short[:-1]))


class Item(NamedTuple):
    embed: embeds.Embed | None
    alone: bool = False
    urgent: bool = False
    thread: str = ""


@given(st.lists(st.tuples(st.none() | st.integers(1, 6000), st.booleans()), max_size=60), st.integers(1, 10))
def test_batches_keep_order_and_limits(sizes, most):
    """DM-A33, DM-A34: nothing dropped, order kept, at most `most` embeds and 6,000 characters a message."""
    items = [Item(None if size is None else embeds.Embed(description="x" * size), alone) for size, alone in sizes]
    made = list(batches(items, max_embeds=most))
    assert [item for batch in made for item in batch.items] == items
    for batch in made:
        shown_items = [item for item in batch.items if item.embed is not None]
        assert batch.embeds == [item.embed for item in shown_items]
        assert len(shown_items) <= most
        assert sum(embeds.size(item.embed) for item in shown_items) <= embeds.MAX_TOTAL
        assert len(shown_items) == 1 or not any(item.alone for item in shown_items)


@given(st.lists(st.tuples(st.sampled_from("abc"), st.integers(1, 2500), st.booleans(), st.booleans()), max_size=40))
def test_batches_under_pressure_share_embeds(given_items):
    """Issue 7.2: every text arrives whole and in order; what is urgent stays apart; fewer messages, never more."""
    items = [
        Item(embeds.Embed(title=title, description=f"<{number}>" + "x" * size), urgent=urgent, thread="t" * other)
        for number, (title, size, urgent, other) in enumerate(given_items)
    ]
    made = list(batches(items, max_embeds=10, merges=lambda: True))
    assert [item for batch in made for item in batch.items] == items
    shown = "".join(embed["description"].replace("\n", "") for batch in made for embed in batch.embeds)
    assert shown == "".join(item.embed["description"] for item in items)
    for batch in made:
        assert len({item.thread for item in batch.items}) == 1
        assert len(batch.embeds) <= 10
        assert sum(map(embeds.size, batch.embeds)) <= embeds.MAX_TOTAL
        assert all(item.embed in batch.embeds for item in batch.items if item.urgent)
    assert len(made) <= len(list(batches(items, max_embeds=10)))


def test_shared_embed_keeps_every_command():
    """Issue 7.2: the wide field of each event stands below its text; running figures are the latest ones."""

    def use(number):
        fields = [
            {"name": "Command", "value": f"```\nrun {number}\n```", "inline": False},
            {"name": "Tool uses", "value": str(number), "inline": True},
        ]
        return embeds.Embed(description="⚡ **Bash**", fields=fields, color=1, timestamp=f"2026-01-01T00:00:0{number}Z")

    both = embeds.joined(embeds.joined(use(1), use(2)), use(3))
    assert both["description"].count("⚡ **Bash**") == 3
    assert [f"run {number}" in both["description"] for number in (1, 2, 3)] == [True] * 3
    assert [field["value"] for field in both["fields"]] == ["3"]
    assert embeds.joined(use(1), {**use(2), "color": 2}) is None


def test_batches_are_lazy_and_bounded():
    """Rows that show nothing do not pile up."""
    endless = iter(lambda: Item(None), None)
    assert len(next(batches(endless, max_embeds=10)).items) <= 500

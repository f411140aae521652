# SPDX-License-Identifier: GPL-3.0-or-later
# SPDX-FileCopyrightText: 2026 The orchestrator.platform authors
"""Rows that are passed by without parsing show nothing and count nothing: compared with what parsing them says."""

from __future__ import annotations

import json

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from processes import row

from discord_monitor.filters import is_urgent, shows
from discord_monitor.parsing import SILENT_TYPES, ParseError, parse_row
from discord_monitor.rows import RowSplitter
from discord_monitor.settings import Filters
from discord_monitor.sifting import is_dull, is_silent, may_be_urgent
from platform_demo.story import story

EVERYTHING = Filters(include_tools=("Bash", "Read", "Task"), include_patterns=("",), min_stdout_chars=0)
TOKENS = ("type", "user", "assistant", "progress", "message", "content", "tool_result", "tool_use", "toolUseResult",
          "is_error", "stdout", "stderr", "usage", "text", "name", "input", "interrupted", "unknown")  # fmt: skip
JSON = st.recursive(
    st.sampled_from([*TOKENS, "", '"stdout"', '{"type":"user"', "x" * 60]) | st.booleans() | st.none() | st.integers(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(TOKENS), inner, max_size=5),
    max_leaves=25,
)
RESULT = st.fixed_dictionaries(
    {"type": st.just("tool_result"), "content": st.sampled_from(["", "x" * 60])}, optional={"is_error": st.booleans()}
)
OUTCOME = st.dictionaries(
    st.sampled_from(["stdout", "stderr", "interrupted", "file"]),
    st.sampled_from([True, False, "", "x" * 60]),
    max_size=2,
)
MESSAGE = st.fixed_dictionaries({"content": st.lists(RESULT, min_size=1, max_size=2) | st.lists(JSON, max_size=3)})
USER_ROWS = st.fixed_dictionaries({"type": st.just("user"), "message": MESSAGE, "toolUseResult": OUTCOME | JSON})


def encoded(content: object, *, spaced: bool = False) -> bytes:
    return json.dumps(content, ensure_ascii=False, separators=None if spaced else (",", ":")).encode()


def says_something(data: bytes, *, parity_mode: bool) -> bool:
    """Whether parsing finds anything that is shown or counted."""
    try:
        parsed = parse_row(data)
    except ParseError:
        return True
    shown = [event for event in parsed.events if shows(event, EVERYTHING, parity_mode=parity_mode)]
    counts = parsed.usage is not None or not parsed.known or any(event.stderr.strip() for event in parsed.events)
    return bool(shown) or counts


@given(USER_ROWS | st.dictionaries(st.sampled_from(TOKENS), JSON, max_size=6), st.booleans())
def test_what_is_dull_says_nothing(content, spaced):
    """Any JSON made of the names that matter: never dull when parsing would find something."""
    data = encoded(content, spaced=spaced)
    assert not (is_dull(data) and says_something(data, parity_mode=False))
    assert not (is_silent(data) and says_something(data, parity_mode=True))


URGENT_ROWS = st.fixed_dictionaries(
    {"type": st.sampled_from(["user", "system", "tool_result", "assistant"])},
    optional={
        "subtype": st.sampled_from(["permission_request", "other"]),
        "level": st.sampled_from(["error", "info"]),
        "content": st.sampled_from(["", "x"]),
        "message": MESSAGE
        | st.fixed_dictionaries(
            {
                "content": st.just(
                    [{"type": "tool_use", "name": "AskUserQuestion"}, {"type": "tool_use", "name": "Bash"}]
                )
            }
        ),
        "toolUseResult": OUTCOME,
    },
)


@given(URGENT_ROWS | USER_ROWS, st.booleans())
def test_no_urgent_row_is_missed(content, spaced):
    """Issue 7.2: what is told from the bytes alone finds every row of which parsing says that it is urgent."""
    data = encoded(content, spaced=spaced)
    if any(is_urgent(event) for event in parse_row(data).events):
        assert may_be_urgent(data)


def test_progress_is_not_taken_for_urgent():
    """Issue 7.2: otherwise the whole backlog would be parsed in search of an error."""
    rows = [line.row for line in story(1, 2)]
    worth_a_look = [row for row in rows if may_be_urgent(encoded(row))]
    urgent = [row for row in rows if any(is_urgent(event) for event in parse_row(encoded(row)).events)]
    assert urgent
    assert worth_a_look == urgent


@given(st.lists(RESULT, min_size=1, max_size=2), OUTCOME)
@settings(max_examples=400)
def test_a_result_that_is_dull_says_nothing(blocks, outcome):
    """Results as agents write them, with every outcome that matters."""
    data = encoded({"type": "user", "message": {"content": blocks}, "toolUseResult": outcome})
    assert not (is_dull(data) and says_something(data, parity_mode=False))


def test_a_whole_story_has_dull_rows_and_none_that_matters():
    """Otherwise nothing is gained, or something lost."""
    rows = [encoded(line.row) for line in story(5, 3)]
    dull = [data for data in rows if is_dull(data)]
    assert len(dull) > len(rows) / 10
    assert not any(says_something(data, parity_mode=False) for data in dull)


READ = {"type": "text", "file": {"filePath": "x", "content": 'print("stdout", "is_error")'}}


def result(outcome, *, content="x" * 60, **block):
    blocks = [{"type": "tool_result", "tool_use_id": "1", "content": content, "is_error": False} | block]
    return row("", kind="user", message={"role": "user", "content": blocks}, toolUseResult=outcome)


@pytest.mark.parametrize(
    ("content", "dull"),
    [
        (result(READ), True),
        (result(READ, content='{"type":"tool_result"}'), True),
        (result(READ, is_error=True), False),
        (result({**READ, "stdout": "x"}), False),
        (result({**READ, "stderr": "x"}), False),
        (result({**READ, "interrupted": True}), False),
        (result("x" * 60), False),
        (row("", kind="user", message={"content": [{"type": "tool_result", "content": "x" * 60}]}), False),
        (row("hello", kind="user"), False),
        (row("hello"), False),
        *((row("", kind=kind), True) for kind in sorted(SILENT_TYPES)),
        ({"snapshot": {"type": "progress"}, **row("hello")}, False),
        ({"type": "progress-of-a-new-kind"}, False),
    ],
    ids=range(21),
)
def test_which_rows_are_dull(content, dull):
    assert is_dull(encoded(content)) is dull


def test_neighbours_that_are_dull_come_out_as_one():
    """Their bytes are passed with the next place, their number is counted."""
    lines = [b"a", b"d1", b"d2", b"b", b"d3"]
    rows = RowSplitter(0, lambda data: data.startswith(b"d")).feed(b"\n".join(lines) + b"\n")
    assert [(row.data, row.dull, row.start, row.end) for row in rows] == [
        (b"a", 0, 0, 2), (b"", 2, 2, 8), (b"b", 0, 8, 10), (b"", 1, 10, 13),
    ]  # fmt: skip

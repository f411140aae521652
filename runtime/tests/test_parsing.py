# SPDX-License-Identifier: GPL-3.0-or-later
# SPDX-FileCopyrightText: 2026 The orchestrator.platform authors
"""Rows become events, whatever their shape (DM-194, DM-195, DM-A33)."""

from __future__ import annotations

import contextlib
import json

import pytest
from hypothesis import given
from hypothesis import strategies as st
from processes import AWKWARD

from discord_monitor.filters import shows
from discord_monitor.parsing import Kind, ParseError, Usage, parse_head, parse_row
from discord_monitor.settings import Filters
from discord_monitor.stats import Ledger

TEXT = st.text(AWKWARD, max_size=12)
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | TEXT,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(TEXT, inner, max_size=4),
    max_leaves=12,
)
NAMES = (
    "type",
    "message",
    "content",
    "toolUseResult",
    "uuid",
    "timestamp",
    "usage",
    "input",
    "name",
    "isMeta",
    "level",
)
TYPES = ("assistant", "user", "tool_use", "tool_result", "thinking", "system", "summary", "text", "image")


def parsed(**row):
    return parse_row(json.dumps(row).encode())


def only(**row):
    (event,) = parsed(**row).events
    return event


def result(outcome, *, content="", failed=False):
    block = {"type": "tool_result", "content": content, "is_error": failed}
    return only(type="user", message={"content": [block]}, toolUseResult=outcome)


@given(st.binary(max_size=200))
def test_bytes_never_crash(data):
    """Any line parses or raises ParseError."""
    with contextlib.suppress(ParseError):
        parse_row(data)
    parse_head(data)


@given(
    st.dictionaries(st.sampled_from(NAMES), JSON | st.sampled_from(TYPES)),
    st.sampled_from(TYPES),
    st.lists(st.dictionaries(st.sampled_from([*NAMES, "text", "is_error"]), JSON | st.sampled_from(TYPES)), max_size=3),
)
def test_objects_of_odd_shape_never_crash(row, kind, blocks):
    """Any JSON object parses; its events can be filtered and counted."""
    for message in (row.get("message"), {"content": blocks, "usage": row.get("usage")}):
        parsed_row = parsed(**{**row, "type": kind, "message": message})
        Ledger().add("s", parsed_row, usage=parsed_row.usage)
        for event in parsed_row.events:
            assert isinstance(shows(event, Filters(), parity_mode=False), bool)


def test_deeply_nested_row_is_an_error_not_a_crash():
    with pytest.raises(ParseError):
        parse_row(b"[" * 100_000)


@pytest.mark.parametrize("content", ["hello", [{"type": "text", "text": "hello"}], ["hello"]])
@pytest.mark.parametrize(("kind", "expected"), [("assistant", Kind.ASSISTANT), ("user", Kind.USER)])
def test_string_valued_content_parses(kind, expected, content):
    """DM-A33: message.content is a list of blocks or a plain string; so is message itself."""
    event = only(type=kind, message={"content": content})
    assert (event.kind, event.text) == (expected, "hello")
    assert only(type=kind, message="hello").text == "hello"


def test_tool_result_with_streams():
    event = result({"stdout": "out", "stderr": "err", "interrupted": False}, content="both")
    assert (event.stdout, event.stderr) == ("out", "err")


@pytest.mark.parametrize("content", ["a text", [{"type": "text", "text": "a text"}]])
def test_tool_result_without_outcome_or_as_string(content):
    assert result(None, content=content).stdout == "a text"
    assert result("a text").stdout == "a text"


def test_tool_result_of_another_tool_has_no_stdout():
    event = result({"type": "text", "file": {"content": "x" * 100}}, content="x" * 100)
    assert event.stdout is None
    assert not shows(event, Filters(), parity_mode=False)
    assert shows(event, Filters(), parity_mode=True)


def test_failed_result_as_string_is_an_error():
    event = result("Error: Exit code 2", content="Error: Exit code 2", failed=True)
    assert event.stderr == "Error: Exit code 2"


def test_interrupted_is_an_error():
    assert "[interrupted]" in result({"stdout": "", "stderr": "", "interrupted": True}).stderr


def test_flat_rows_of_the_older_format():
    """DM-194: tool_use, tool_result and thinking as rows of their own, session_id with an underscore."""
    use = only(type="tool_use", name="Bash", input={"command": "ls"}, session_id="s")
    assert (use.kind, use.tool, use.tool_input) == (Kind.TOOL_USE, "Bash", {"command": "ls"})
    assert only(type="tool_result", toolUseResult={"stdout": "a b\nc", "stderr": ""}).stdout == "a b\nc"
    assert only(type="thinking", thinking="hm").kind is Kind.THINKING
    assert parsed(type="thinking", session_id="s").session == "s"


def test_unknown_types_are_known_to_be_unknown_and_silent_ones_are_silent():
    assert not parsed(type="never-seen").known
    assert not parsed().known
    for kind in ("file-history-snapshot", "queue-operation", "permission-mode"):
        assert parsed(type=kind).known
        assert parsed(type=kind).events == ()
    assert parsed(type="user", isMeta=True, message={"content": "x"}).events == ()


def test_usage_of_wrong_types_counts_nothing():
    usage = {
        "input_tokens": "7",
        "output_tokens": True,
        "cache_read_input_tokens": -1,
        "cache_creation_input_tokens": 5,
    }
    assert parsed(type="assistant", message={"usage": usage}).usage == Usage(0, 0, 5, 0)


def test_cost_is_as_specified():
    """DM-201."""
    row = parsed(type="assistant", message={"usage": {"input_tokens": 1000, "output_tokens": 100}})
    assert Ledger().add("s", row, usage=row.usage).cost == pytest.approx(0.0045)


@pytest.mark.parametrize("stamp", ["now", "2026-01-01", 5, None, "2026-01-01T00:00:00"])
def test_bad_timestamps_are_left_out(stamp):
    """Discord refuses an embed with a timestamp that is none."""
    assert parsed(type="user", timestamp=stamp).timestamp == ""


# Filters.


@pytest.mark.parametrize(
    ("stdout", "shown"),
    [("x" * 50, True), ("x" * 49, False), ("a b\n" * 20, True), ("   \n" * 30, False), ("", False)],
)
def test_stdout_with_white_space_is_reported(stdout, shown):
    """DM-A33, DM-200, DM-045: blanks and line feeds do not matter, the length does."""
    event = result({"stdout": stdout, "stderr": ""}, content=stdout)
    assert shows(event, Filters(), parity_mode=False) is shown


def test_tools_and_patterns():
    """DM-043, DM-044, DM-197, DM-198, DM-207."""
    filters = Filters(include_tools=("Task",), include_patterns=("fertig",))
    use = only(type="assistant", message={"content": [{"type": "tool_use", "name": "Bash", "input": {}}]})
    assert not shows(use, filters, parity_mode=False)
    assert shows(use, Filters(), parity_mode=False)
    text = only(type="assistant", message={"content": "ganz fertig, no Error"})
    assert shows(text, filters, parity_mode=False)
    assert not shows(text._replace(text="Error"), filters, parity_mode=False)


@pytest.mark.parametrize("kind", ["thinking", "user"])
def test_thoughts_and_prompts_only_in_parity_mode(kind):
    """DM-206, D12."""
    event = only(type=kind, message={"content": "Error Complete"})
    assert not shows(event, Filters(), parity_mode=False)
    assert shows(event, Filters(), parity_mode=True)

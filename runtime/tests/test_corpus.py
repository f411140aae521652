# SPDX-License-Identifier: GPL-3.0-or-later
# SPDX-FileCopyrightText: 2026 The orchestrator.platform authors
"""Every oddity of transcripts against the whole watcher: nothing is lost, nothing comes twice (DM-191, DM-A33)."""

from __future__ import annotations

import json
import re

import pytest
from corpus import oddities
from hypothesis import given
from hypothesis import strategies as st
from processes import wait_for

from discord_monitor.parsing import ParseError, parse_head, parse_row
from discord_monitor.rows import RowSplitter
from discord_monitor.sifting import is_dull

ODDITIES = list(oddities())


@pytest.mark.parametrize("oddity", ODDITIES, ids=[each.name for each in ODDITIES])
def test_oddity_arrives_once_and_in_order(watch, session, discord, oddity):
    watcher = watch()
    for part in oddity.writes:
        rows = watcher.metric("rows_total")
        session.raw(part)
        if part.endswith(b"\n"):
            wait_for(lambda before=rows: watcher.metric("rows_total") > before, what="the watcher has looked")
    wait_for(lambda: discord.has(oddity.markers[-1]), what="the last one arrives")
    found = re.findall(rf"odd-{oddity.name}-\d", json.dumps(discord.embeds()))
    assert found == list(oddity.markers)
    assert discord.answered(400) == 0
    if oddity.name == "spread":
        assert watcher.metric('tokens_total{kind="input"}') == 10


@given(st.data())
def test_any_cut_of_the_corpus_gives_the_same_rows(data):
    """However the bytes come, the splitter gives the rows that one look would have given; none of them is too much."""
    stream = b"".join(part for oddity in ODDITIES if oddity.name != "oversize" for part in oddity.writes) + b"\n"
    whole = RowSplitter(0, is_dull).feed(stream)
    cuts = sorted(data.draw(st.lists(st.integers(0, len(stream)), max_size=20)))
    splitter, rows = RowSplitter(0, is_dull), []
    for begin, end in zip([0, *cuts], [*cuts, len(stream)], strict=True):
        rows += splitter.feed(stream[begin:end])
    assert [row.data for row in rows if not row.dull] == [row.data for row in whole if not row.dull]
    assert sum(row.dull for row in rows) == sum(row.dull for row in whole)
    for row in rows:
        try:
            parse_row(row.data)
        except ParseError:
            parse_head(row.data)

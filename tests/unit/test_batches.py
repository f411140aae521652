# SPDX-License-Identifier: GPL-3.0-or-later
# SPDX-FileCopyrightText: 2026 The orchestrator.platform authors
"""Batches: numbers, percentages, what is refused, and that nothing is lost or repeated."""

from __future__ import annotations

import pytest
from ansible_collections.orchestrator.platform.plugins.module_utils._batches import batch_size, batches
from ansible_collections.orchestrator.platform.plugins.module_utils._errors import PlatformError
from hypothesis import given
from hypothesis import strategies as st


@pytest.mark.parametrize(
    ("text", "total", "size"),
    [("1", 7, 1), ("10", 7, 10), ("100%", 7, 7), ("25%", 7, 2), ("1%", 7, 1), ("50%", 0, 1), (" 3 ", 7, 3)],
)
def test_size_of_a_batch(text, total, size):
    assert batch_size(text, total) == size


@pytest.mark.parametrize("text", ["", "0", "0%", "101%", "-1", "1.5", "all", "5 %", "%"])
def test_what_is_no_batch_is_refused_with_an_example(text):
    with pytest.raises(PlatformError, match="give a number of workloads from 1, for example 10, or a percentage"):
        batch_size(text, 10)


@given(st.lists(st.integers()), st.integers(1, 20))
def test_batches_keep_every_item_and_the_order(items, size):
    parts = list(batches(items, size))
    assert [item for part in parts for item in part] == items
    assert all(len(part) == size for part in parts[:-1])
    assert all(0 < len(part) <= size for part in parts)

# SPDX-License-Identifier: GPL-3.0-or-later
# SPDX-FileCopyrightText: 2026 The orchestrator.platform authors
#
# Private to this collection: names and behaviour may change in any release.
"""How many workloads roll at once, and what happens after one of them has failed. Pure."""

from __future__ import annotations

import enum
import re
import typing as t
from collections.abc import Iterator, Sequence

from ansible_collections.orchestrator.platform.plugins.module_utils._errors import PlatformError

_BATCH = re.compile(r"([0-9]+)(%?)")

Item = t.TypeVar("Item")


class OnFailure(enum.Enum):
    """What follows a rollout that failed."""

    ROLLBACK = "rollback"  # put the failed ones back, then stop
    STOP = "stop"  # leave the failed ones as they are, change no others
    CONTINUE = "continue"  # leave them, go on with the next batch


def batch_size(text: str, total: int) -> int:
    """Workloads in a batch, at least one; a percentage of `total` is rounded up. Raises PlatformError."""
    found = _BATCH.fullmatch(text.strip())
    number = int(found[1]) if found else 0
    if found is None or number == 0 or (found[2] and number > 100):
        raise PlatformError(
            f"batch is {text!r}: give a number of workloads from 1, for example 10, or a percentage from 1% to 100%."
        )
    return max(1, -(-total * number // 100)) if found[2] else number


def batches(items: Sequence[Item], size: int) -> Iterator[Sequence[Item]]:
    """The items in their order, `size` at a time."""
    for start in range(0, len(items), size):
        yield items[start : start + size]

# SPDX-License-Identifier: GPL-3.0-or-later
# SPDX-FileCopyrightText: 2026 The orchestrator.platform authors
"""Items become messages: by number of embeds and by characters. Pure, lazy, keeps order."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol, TypeVar

from discord_monitor import embeds

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

MAX_ITEMS = 500  # rows without an embed ride along for free; this bounds the memory they take


class Batchable(Protocol):
    """What a batch is made of: a row's embed, or a row that shows nothing."""

    @property
    def embed(self) -> embeds.Embed | None:
        """The embed; None when the row shows nothing."""

    @property
    def alone(self) -> bool:
        """Whether the embed needs a message of its own."""


Item = TypeVar("Item", bound=Batchable)


def batches(items: Iterable[Item], *, max_embeds: int, max_chars: int = embeds.MAX_TOTAL) -> Iterator[list[Item]]:
    """Groups of items in their order, each within both limits; an embed above `max_chars` comes by itself."""
    batch: list[Item] = []
    count = chars = 0
    for item in items:
        size = 0 if item.embed is None else embeds.size(item.embed)
        shown = item.embed is not None
        if batch and (
            len(batch) >= MAX_ITEMS
            or (shown and count and (count >= max_embeds or chars + size > max_chars or item.alone))
        ):
            yield batch
            batch, count, chars = [], 0, 0
        batch.append(item)
        count += shown
        chars += size
        if shown and item.alone:
            yield batch
            batch, count, chars = [], 0, 0
    if batch:
        yield batch

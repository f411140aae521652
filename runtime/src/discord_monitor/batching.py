# SPDX-License-Identifier: GPL-3.0-or-later
# SPDX-FileCopyrightText: 2026 The orchestrator.platform authors
"""Items become messages: by number of embeds and by characters. Pure, lazy, keeps order.

Under pressure neighbours of the same looks share an embed: then it is the characters alone that limit a message.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Generic, Protocol, TypeVar

from discord_monitor import embeds

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

MAX_ITEMS = 500  # rows without an embed ride along for free; this bounds the memory they take


class Batchable(Protocol):
    """What a batch is made of: a row's embed, or a row that shows nothing."""

    @property
    def embed(self) -> embeds.Embed | None:
        """The embed; None when the row shows nothing."""

    @property
    def alone(self) -> bool:
        """Whether the embed needs a message of its own."""

    @property
    def urgent(self) -> bool:
        """Whether the embed is kept apart from its neighbours, whatever the pressure."""

    @property
    def thread(self) -> str:
        """Where the message goes; one message goes to one place."""


Item = TypeVar("Item", bound=Batchable)


class Batch(Generic[Item]):
    """Items in their order, and the embeds of the message that shows them."""

    def __init__(self, max_embeds: int, max_chars: int) -> None:
        self.items: list[Item] = []
        self.embeds: list[embeds.Embed] = []
        self._limits = (max_embeds, max_chars)
        self._chars = 0
        self._last: Item | None = None  # that is shown

    def take(self, item: Item, *, merges: bool) -> bool:
        """Whether the item has found its place; otherwise nothing is changed."""
        if self.items and len(self.items) >= MAX_ITEMS:
            return False
        if item.embed is not None and not self._show(item, item.embed, merges=merges):
            return False
        self.items.append(item)
        return True

    def _show(self, item: Item, embed: embeds.Embed, *, merges: bool) -> bool:
        last = self._last
        if last is not None and (last.alone or item.alone or last.thread != item.thread):
            return False
        max_embeds, max_chars = self._limits
        if last is not None and merges and not (last.urgent or item.urgent):
            both = embeds.joined(self.embeds[-1], embed)
            if both is not None and self._chars + embeds.size(both) - embeds.size(self.embeds[-1]) <= max_chars:
                self._chars += embeds.size(both) - embeds.size(self.embeds[-1])
                self.embeds[-1] = both
                self._last = item
                return True
        size = embeds.size(embed)
        if self.embeds and (len(self.embeds) >= max_embeds or self._chars + size > max_chars):
            return False
        self.embeds.append(embed)
        self._chars += size
        self._last = item
        return True


def batches(
    items: Iterable[Item],
    *,
    max_embeds: int,
    max_chars: int = embeds.MAX_TOTAL,
    merges: Callable[[], bool] = lambda: False,
) -> Iterator[Batch[Item]]:
    """The items in their order, each batch within both limits; an embed above `max_chars` comes by itself.

    `merges` is asked for each item whether neighbours may share an embed.
    """
    batch: Batch[Item] = Batch(max_embeds, max_chars)
    for item in items:
        if not batch.take(item, merges=merges()):
            yield batch
            batch = Batch(max_embeds, max_chars)
            batch.take(item, merges=False)
    if batch.items:
        yield batch

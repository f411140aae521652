# SPDX-License-Identifier: GPL-3.0-or-later
# SPDX-FileCopyrightText: 2026 The orchestrator.platform authors
"""What tokens cost, by model. Pure. An estimate: prices change, discounts are not known here."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Mapping

    from discord_monitor.parsing import Usage


class Price(NamedTuple):
    """Dollars a million tokens. The defaults are those of DM-201, cache tokens in the usual proportion to them."""

    input: float = 3.0
    output: float = 15.0
    cache_write: float = 3.75
    cache_read: float = 0.3


_KEYS = {"input": "input", "output": "output", "cacheWrite": "cache_write", "cacheRead": "cache_read"}


class Prices:
    """Prices by the beginning of a model's name: the longest that fits counts; none fits: the defaults of Price."""

    def __init__(self, table: Mapping[str, Price] | None = None) -> None:
        self._table = dict(table or {})
        self._met: dict[str, Price] = {}

    def nano_dollars(self, usage: Usage, model: str) -> int:
        """The price of one message's tokens; whole numbers, so that sums do not depend on their order."""
        price = self._met.get(model)
        if price is None:
            price = self._of(model)
            if len(self._met) < 100:  # names come from the transcript: bounded (arbitrary)
                self._met[model] = price
        dollars = (
            usage.input_tokens * price.input
            + usage.output_tokens * price.output
            + usage.cache_creation_tokens * price.cache_write
            + usage.cache_read_tokens * price.cache_read
        )
        return round(dollars * 1_000)

    def _of(self, model: str) -> Price:
        fitting = [name for name in self._table if model.startswith(name)]
        return self._table[max(fitting, key=len)] if fitting else Price()


def prices_from(given: object) -> Prices | None:
    """The table out of [{"model": "<beginning of a name>", "input": 3, …}]; None when it is not of that form."""
    if not isinstance(given, list):
        return None
    table = {}
    for entry in given:
        if not isinstance(entry, dict) or not isinstance(entry.get("model"), str):
            return None
        prices = {_KEYS[key]: value for key, value in entry.items() if key in _KEYS}
        if not all(_is_price(value) for value in prices.values()):
            return None
        table[entry["model"]] = Price(**prices)
    return Prices(table)


def _is_price(value: object) -> bool:
    return isinstance(value, (int, float)) and not isinstance(value, bool) and 0 <= value < 1e6

# SPDX-License-Identifier: GPL-3.0-or-later
# SPDX-FileCopyrightText: 2026 The orchestrator.platform authors
"""The shape of a Discord embed and Discord's limits on it. Pure.

Lengths are counted in UTF-16 units: Discord does not say which unit it counts, and these are never fewer than
code points. Limits: developer documentation, "Embed Limits".
"""

from __future__ import annotations

from typing import TypedDict

MAX_EMBEDS = 10
MAX_TOTAL = 6_000  # over all embeds of a message
MAX_TITLE = 256
MAX_DESCRIPTION = 4_096
MAX_FIELDS = 25
MAX_FIELD_NAME = 256
MAX_FIELD_VALUE = 1_024
MAX_FOOTER = 2_048

ELLIPSIS = "…"


class Field(TypedDict):
    """One field of an embed."""

    name: str
    value: str
    inline: bool


class Footer(TypedDict):
    """The last line of an embed."""

    text: str


class Embed(TypedDict, total=False):
    """One embed; `timestamp` is ISO 8601."""

    title: str
    description: str
    color: int
    fields: list[Field]
    footer: Footer
    timestamp: str


def length(text: str) -> int:
    """UTF-16 units of a text."""
    return len(text) if text.isascii() else len(text.encode("utf-16-le", "surrogatepass")) // 2


def cut(text: str, limit: int) -> str:
    """At most `limit` UTF-16 units; a cut text ends with an ellipsis and never inside a character."""
    if length(text) <= limit:
        return text
    head = text[: max(0, limit - 1)]
    while length(head) > limit - 1:
        head = head[: len(head) - max(1, (length(head) - limit + 1) // 2)]
    return head + ELLIPSIS


def whole(text: str) -> str:
    """The text without halves of surrogate pairs, which JSON can spell but no receiver accepts."""
    if text.isascii():
        return text
    return text.encode("utf-16-le", "surrogatepass").decode("utf-16-le", "replace")


def size(embed: Embed) -> int:
    """What an embed counts towards MAX_TOTAL."""
    fields = sum(length(field["name"]) + length(field["value"]) for field in embed.get("fields", []))
    footer = length(embed["footer"]["text"]) if "footer" in embed else 0
    return length(embed.get("title", "")) + length(embed.get("description", "")) + fields + footer


def fitted(embed: Embed) -> Embed:
    """The embed within every limit, alone in a message. Empty parts, which Discord refuses, are left out."""
    out = Embed(color=embed.get("color", 0) & 0xFFFFFF)
    left = MAX_TOTAL
    footer = cut(whole(embed["footer"]["text"]), MAX_FOOTER) if "footer" in embed else ""
    title = cut(whole(embed.get("title", "")), MAX_TITLE)
    if title.strip():
        out["title"] = title
        left -= length(title)
    if footer.strip():
        out["footer"] = {"text": footer}
        left -= length(footer)
    description = cut(whole(embed.get("description", "")), min(MAX_DESCRIPTION, left))
    if description.strip():
        out["description"] = description
        left -= length(description)
    fields = _fitted_fields(embed.get("fields", []), left)
    if fields:
        out["fields"] = fields
    if "timestamp" in embed:
        out["timestamp"] = embed["timestamp"]
    if not (title.strip() or description.strip() or fields):
        out["description"] = "(empty)"
    return out


def joined(one: Embed, two: Embed) -> Embed | None:
    """Two embeds of the same looks as one, with both texts whole; None when that is not possible.

    Running figures (the inline fields) and the timestamp are those of the later one, `two`.
    """
    looks = [(embed.get("title"), embed.get("color"), embed.get("footer")) for embed in (one, two)]
    text = f"{_folded(one)}\n{_folded(two)}"
    if looks[0] != looks[1] or length(text) > MAX_DESCRIPTION:
        return None
    both = two.copy()
    both["description"] = text
    both["fields"] = [field for field in two.get("fields", []) if field["inline"]]
    return both


def _folded(embed: Embed) -> str:
    """The description with the wide fields, which belong to one event, below it."""
    wide = [field["value"] for field in embed.get("fields", []) if not field["inline"]]
    return "\n".join(part for part in (embed.get("description", ""), *wide) if part)


def _fitted_fields(fields: list[Field], left: int) -> list[Field]:
    out: list[Field] = []
    for field in fields[:MAX_FIELDS]:
        name = cut(whole(field["name"]), MAX_FIELD_NAME)
        value = cut(whole(field["value"]), MAX_FIELD_VALUE)
        left -= length(name) + length(value)
        if left < 0:
            break
        if name.strip() and value.strip():
            out.append({"name": name, "value": value, "inline": field["inline"]})
    return out

# SPDX-License-Identifier: GPL-3.0-or-later
# SPDX-FileCopyrightText: 2026 The orchestrator.platform authors
"""Discord's limits on a message, as the fake Discord checks them. Pure; written apart from the product on purpose."""

from __future__ import annotations

from typing import Any

LIMITS = {"title": 256, "description": 4096}
MAX_CONTENT = 2000
MAX_EMBEDS = 10
MAX_TOTAL = 6000
MAX_FIELDS = 25
MAX_FIELD = {"name": 256, "value": 1024}
MAX_FOOTER = 2048
MAX_AUTHOR = 256

Problems = dict[str, Any]


def problems_of(payload: object) -> Problems:
    """What Discord would complain about, nested by field; empty when the message is accepted."""
    if not isinstance(payload, dict):
        return problem("the body is not an object", "DICT_TYPE_CONVERT")
    found: Problems = {}
    content = payload.get("content") or ""
    if not isinstance(content, str) or len(content) > MAX_CONTENT:
        found["content"] = problem(f"Must be {MAX_CONTENT} or fewer in length.", "BASE_TYPE_MAX_LENGTH")
    embeds = payload.get("embeds") or []
    if not isinstance(embeds, list):
        found["embeds"] = problem("Only iterables may be used in a ListType.", "LIST_TYPE_CONVERT")
        return found
    if len(embeds) > MAX_EMBEDS:
        found["embeds"] = problem(f"Must be {MAX_EMBEDS} or fewer in length.", "BASE_TYPE_MAX_LENGTH")
        return found
    each = {str(number): _embed_problems(embed) for number, embed in enumerate(embeds)}
    each = {number: wrong for number, wrong in each.items() if wrong}
    if sum(_weight(embed) for embed in embeds if isinstance(embed, dict)) > MAX_TOTAL:
        each["_errors"] = problem(f"Embed size exceeds maximum size of {MAX_TOTAL}", "MAX_EMBED_SIZE_EXCEEDED")[
            "_errors"
        ]
    if each:
        found["embeds"] = each
    return found


def is_empty(payload: dict[str, Any]) -> bool:
    """Whether there is nothing to show (Discord's error 50006)."""
    return not str(payload.get("content") or "").strip() and not payload.get("embeds")


def problem(text: str, code: str) -> Problems:
    """One complaint in Discord's shape."""
    return {"_errors": [{"code": code, "message": text}]}


def _embed_problems(embed: object) -> Problems:
    if not isinstance(embed, dict):
        return problem("Only dictionaries may be used in a DictType", "DICT_TYPE_CONVERT")
    found: Problems = {}
    for key, most in LIMITS.items():
        if not _fits(embed.get(key, ""), most):
            found[key] = problem(f"Must be {most} or fewer in length.", "BASE_TYPE_MAX_LENGTH")
    if not _fits((embed.get("footer") or {}).get("text", ""), MAX_FOOTER):
        found["footer"] = {"text": problem(f"Must be {MAX_FOOTER} or fewer in length.", "BASE_TYPE_MAX_LENGTH")}
    if not _fits((embed.get("author") or {}).get("name", ""), MAX_AUTHOR):
        found["author"] = {"name": problem(f"Must be {MAX_AUTHOR} or fewer in length.", "BASE_TYPE_MAX_LENGTH")}
    fields = embed.get("fields") or []
    if not isinstance(fields, list) or len(fields) > MAX_FIELDS:
        found["fields"] = problem(f"Must be {MAX_FIELDS} or fewer in length.", "BASE_TYPE_MAX_LENGTH")
        return found
    each = {str(number): _field_problems(field) for number, field in enumerate(fields)}
    if any(each.values()):
        found["fields"] = {number: wrong for number, wrong in each.items() if wrong}
    if not found and _weight(embed) == 0 and not any(embed.get(key) for key in ("image", "thumbnail", "video")):
        return problem("This field is required", "BASE_TYPE_REQUIRED")
    return found


def _field_problems(field: object) -> Problems:
    if not isinstance(field, dict):
        return problem("Only dictionaries may be used in a DictType", "DICT_TYPE_CONVERT")
    found: Problems = {}
    for key, most in MAX_FIELD.items():
        text = field.get(key)
        if not isinstance(text, str) or not text.strip():
            found[key] = problem("This field is required", "BASE_TYPE_REQUIRED")
        elif len(text) > most:
            found[key] = problem(f"Must be {most} or fewer in length.", "BASE_TYPE_MAX_LENGTH")
    return found


def _fits(text: object, most: int) -> bool:
    return isinstance(text, str) and len(text) <= most


def _weight(embed: dict[str, Any]) -> int:
    """Characters that count towards MAX_TOTAL."""
    texts = [embed.get("title"), embed.get("description")]
    texts += [(embed.get("footer") or {}).get("text"), (embed.get("author") or {}).get("name")]
    for field in embed.get("fields") or []:
        if isinstance(field, dict):
            texts += [field.get("name"), field.get("value")]
    return sum(len(text) for text in texts if isinstance(text, str))

# SPDX-License-Identifier: GPL-3.0-or-later
# SPDX-FileCopyrightText: 2026 The orchestrator.platform authors
"""Credentials without a table: the name of what one opens, with a keyed hash of it. Pure.

Whoever has the key can tell them from guesses; a new key ends them all at once.
"""

from __future__ import annotations

import hashlib
import hmac
from typing import TYPE_CHECKING

from discord_monitor.secret import Secret

if TYPE_CHECKING:
    import re

MIN_KEY_CHARS = 32  # whoever holds a credential has a hash made with the key, and could guess a short one at leisure


def issue(key: Secret, purpose: str, name: str) -> Secret:
    """The credential for one name; the same each time, and another one for another purpose."""
    return Secret(f"{name}.{_hash(key, purpose, name)}")


def name_in(credential: str, key: Secret, purpose: str, names: re.Pattern[str]) -> str:
    """The name that a credential opens; empty when it was not issued with this key. Compares in constant time."""
    name, _dot, given = credential.partition(".")
    if not key or names.fullmatch(name) is None:
        return ""
    right = hmac.compare_digest(given.encode("utf-8", "replace"), _hash(key, purpose, name).encode())
    return name if right else ""


def key_problem(key: Secret, variable: str) -> str:
    """Why a key is not to be used; empty when it may be."""
    if len(key.reveal()) < MIN_KEY_CHARS:
        return f"{variable} is shorter than {MIN_KEY_CHARS} characters"
    return ""


def _hash(key: Secret, purpose: str, name: str) -> str:
    return hmac.new(key.reveal().encode(), (purpose + name).encode(), hashlib.sha256).hexdigest()

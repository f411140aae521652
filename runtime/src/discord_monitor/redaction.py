# SPDX-License-Identifier: GPL-3.0-or-later
# SPDX-FileCopyrightText: 2026 The orchestrator.platform authors
"""Secrets become their kind before a text leaves the process. Pure functions of text.

Knows the shapes listed below and the literal values it was given; it does not guess by entropy.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable

# A secret longer than this may show its end when it begins right before a cut: callers hand over this much more
# text than they keep.
MAX_SECRET_CHARS = 4_096
MIN_LITERAL_CHARS = 6  # a configured secret shorter than this would blank ordinary words

_NAME_END = r"(?:token|secret|password|passwd|passphrase|api[_-]?key|access[_-]?key|private[_-]?key|credentials?)"
# A name that ends so, in any case (clientSecret, x-api-key, DB_PASSWORD), and what stands before its value.
_NAMED = rf"(?<![A-Za-z0-9_])(?i:[a-z0-9_]{{0,40}}?{_NAME_END})(?:\\?[\"'])?[ \t]{{0,3}}[=:][ \t]{{0,3}}"
_QUOTED = r"(?:(?!(?P=quote))(?:\\.|[^\n]))"  # a character between quotes
_TELLING = r"[0-9!@#^~]"  # words of prose and of code hold none of these

# Order matters: a URL goes before the credential shapes it may contain. `keep` is printed again before the mark.
_SHAPES: tuple[tuple[str, str], ...] = (
    (
        "private key",
        r"-----BEGIN [A-Z0-9 ]{0,40}PRIVATE KEY(?: BLOCK)?-----(?s:.*?)(?:-----END [A-Z0-9 ]{0,40}-----|\Z)",
    ),
    ("Discord webhook", r"https?://[^\s\"'<>/]{1,200}/api/(?:v\d{1,2}/)?webhooks/\d{1,20}/[\w-]{8,}"),
    ("password", r"(?P<keep>://[^\s/:@\"']{0,100}:)[^\s/@\"']{1,200}(?=@)"),
    ("JSON web token", r"\beyJ[\w-]{5,}\.eyJ[\w-]{5,}\.[\w-]{8,}"),
    ("Discord bot token", r"\b[MNO][\w-]{22,27}\.[\w-]{6}\.[\w-]{27,45}\b"),
    ("GitHub token", r"\bgh[pousr]_\w{20,255}\b|\bgithub_pat_\w{22,255}\b"),
    ("GitLab token", r"\bgl(?:pat|rt|dt|cbt)-[\w-]{20,}"),
    ("Anthropic key", r"\bsk-ant-[\w-]{16,}"),
    ("API key", r"\bsk-(?:proj-|live-|test-)?[A-Za-z0-9_-]{20,}|\b[sr]k_(?:live|test)_\w{16,}"),
    ("AWS key", r"\b(?:AKIA|ASIA)[0-9A-Z]{16}\b"),
    ("Slack token", r"\bxox[abeoprs]-[\w-]{10,}|https://hooks\.slack\.com/services/[\w/]{20,}"),
    ("Google key", r"\bAIza[\w-]{35}|\bya29\.[\w.-]{20,}"),
    ("registry token", r"\bnpm_\w{36}\b|\bpypi-[\w-]{50,}|\bhf_[A-Za-z0-9]{30,}\b|\bdop_v1_[0-9a-f]{64}\b"),
    ("bearer token", r"(?P<keep>\b[Bb]earer )[\w.~+/=-]{16,}"),
    (
        "credentials",
        r"(?P<keep>\b(?i:authorization)(?:\\?[\"'])?[ \t]{0,3}[:=][ \t]{0,3}(?:\\?[\"'])?"
        r"(?i:basic|digest|token|apikey)[ \t]{1,3})[^\s\"'\\\[]{6,}",
    ),
    (
        # In quotes: up to the closing one. With white space inside it may be a sentence, unless something tells.
        "secret value",
        rf"(?P<keep>{_NAMED}(?P<quote>\\?[\"']))(?![$<{{])"
        rf"(?=(?:(?!(?P=quote))(?:\\\S|\S)){{8,}}+(?P=quote)|{_QUOTED}{{0,400}}?{_TELLING}){_QUOTED}{{8,}}",
    ),
    ("secret value", rf"(?P<keep>{_NAMED})(?=[^\s\"']{{0,400}}?{_TELLING})[^\s\"'\\,;$({{<\[]{{8,}}+(?![(\[{{])"),
    (
        "secret value",
        r"(?P<keep>(?:(?<![A-Za-z0-9_])[A-Z0-9_]{0,40}?"
        r"(?:TOKEN|SECRET|PASSWORD|PASSWD|API_?KEY|ACCESS_KEY|PRIVATE_KEY|CREDENTIALS?)[A-Z0-9_]{0,20}"
        r"|aws_secret_access_key)(?:\\?[\"'])?[ \t]{0,3}[=:][ \t]{0,3}(?:\\?[\"'])?)[^\s\"'\\,;$({<\[]{8,}",
    ),
)


class Redactor:
    """Replaces every known shape and every given literal; calling it twice gives the same text. Counts what it hid."""

    def __init__(self, literals: Iterable[str] = ()) -> None:
        self._literals = sorted({text for text in literals if len(text) >= MIN_LITERAL_CHARS}, key=len, reverse=True)
        self._patterns = [(mark(kind), re.compile(shape)) for kind, shape in _SHAPES]
        self.count = 0

    def __call__(self, text: str) -> str:
        """The text without secrets."""
        for literal in self._literals:
            if literal in text:
                self.count += text.count(literal)
                text = text.replace(literal, mark("configured secret"))
        for replacement, pattern in self._patterns:
            text = pattern.sub(lambda match, new=replacement: self._replace(match, new), text)  # type: ignore[misc]
        return text

    def _replace(self, match: re.Match[str], replacement: str) -> str:
        kept = match.groupdict().get("keep") or ""
        if match[0][len(kept) :].startswith("[redacted"):
            return match[0]
        self.count += 1
        return kept + replacement


def mark(kind: str) -> str:
    """What stands in the place of a secret."""
    return f"[redacted: {kind}]"


def webhook_literals(url: str) -> list[str]:
    """The parts of a webhook URL that are secret by themselves: the whole and its token."""
    bare = url.partition("?")[0].rstrip("/")
    _id, _slash, token = bare.partition("/webhooks/")[2].partition("/")
    return [url, bare, token.partition("/")[0]] if url else []

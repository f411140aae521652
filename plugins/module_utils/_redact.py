# SPDX-License-Identifier: GPL-3.0-or-later
# SPDX-FileCopyrightText: 2026 The orchestrator.platform authors
#
# Private to this collection: names and behaviour may change in any release.
"""Recognises secret-shaped text and replaces it before anything is shown. Pure.

`redact_text` knows our own two secrets and is for texts that we compose. `Redactor` is for foreign text in bulk, such
as logs: it knows every shape that the watcher knows, and the values it was given.
"""

from __future__ import annotations

import base64
import json
import re
from collections.abc import Iterable, Iterator

from ansible_collections.orchestrator.platform.plugins.module_utils._workloads import Json

# Discord's developer documentation, Webhook: /webhooks/{id}/{token}. Any host, since a proxy or a fake is one too.
WEBHOOK_URL = re.compile(r"https?://[^\s\"']*/webhooks/\d+/[A-Za-z0-9_-]{8,}")
# A bot token is three base64url parts: user id, timestamp, HMAC. Lengths as seen in Discord's documentation.
BOT_TOKEN = re.compile(r"(?<![\w.-])[A-Za-z0-9_-]{23,28}\.[A-Za-z0-9_-]{6,7}\.[A-Za-z0-9_-]{27,}(?![\w.-])")
_SECRET_NAME = re.compile(r"(TOKEN|SECRET|PASSWORD|PASSWD|API_?KEY|WEBHOOK_URL|CREDENTIAL)", re.IGNORECASE)

MAX_SECRET_CHARS = 4_096  # whoever cuts a text redacts this much more of it first, lest half a secret stay
MIN_LITERAL_CHARS = 8  # a shorter value would blank ordinary words

# The shapes below are those of runtime/src/discord_monitor/redaction.py, which a test compares: that program cannot be
# imported where modules run. Its comments say what each part is for.
_NAME_END = r"(?:token|secret|password|passwd|passphrase|api[_-]?key|access[_-]?key|private[_-]?key|credentials?)"
# A name that ends so, in any case (clientSecret, x-api-key, DB_PASSWORD), and what stands before its value.
_NAMED = rf"(?<![A-Za-z0-9_])(?i:[a-z0-9_]{{0,40}}?{_NAME_END})(?:\\?[\"'])?[ \t]{{0,3}}[=:][ \t]{{0,3}}"
_QUOTED = r"(?:(?!(?P=quote))(?:\\.|[^\n]))"  # a character between quotes
_TELLING = r"[0-9!@#^~]"  # words of prose and of code hold none of these

_NAMES = ("token", "secret", "passw", "passphrase", "key", "credential")
# Order matters: a URL goes before the credential shapes it may contain. Each with what a text in small letters must
# hold for the pattern to be worth a try, which spares most texts most patterns. `keep` is printed before the mark.
_SHAPES: tuple[tuple[str, tuple[str, ...], str], ...] = (
    (
        "private key",
        ("private key",),
        r"-----BEGIN [A-Z0-9 ]{0,40}PRIVATE KEY(?: BLOCK)?-----(?s:.*?)(?:-----END [A-Z0-9 ]{0,40}-----|\Z)",
    ),
    ("Discord webhook", ("webhooks/",), r"https?://[^\s\"'<>/]{1,200}/api/(?:v\d{1,2}/)?webhooks/\d{1,20}/[\w-]{8,}"),
    ("password", ("://",), r"(?P<keep>://[^\s/:@\"']{0,100}:)[^\s/@\"']{1,200}(?=@)"),
    ("JSON web token", ("eyj",), r"\beyJ[\w-]{5,}\.eyJ[\w-]{5,}\.[\w-]{8,}"),
    ("Discord bot token", (".",), r"\b[MNO][\w-]{22,27}\.[\w-]{6}\.[\w-]{27,45}\b"),
    (
        "GitHub token",
        ("ghp_", "gho_", "ghu_", "ghs_", "ghr_", "github_pat_"),
        r"\bgh[pousr]_\w{20,255}\b|\bgithub_pat_\w{22,255}\b",
    ),
    ("GitLab token", ("glpat-", "glrt-", "gldt-", "glcbt-"), r"\bgl(?:pat|rt|dt|cbt)-[\w-]{20,}"),
    ("Anthropic key", ("sk-ant-",), r"\bsk-ant-[\w-]{16,}"),
    (
        "API key",
        ("sk-", "k_live_", "k_test_"),
        r"\bsk-(?:proj-|live-|test-)?[A-Za-z0-9_-]{20,}|\b[sr]k_(?:live|test)_\w{16,}",
    ),
    ("AWS key", ("akia", "asia"), r"\b(?:AKIA|ASIA)[0-9A-Z]{16}\b"),
    (
        "Slack token",
        ("xox", "hooks.slack.com"),
        r"\bxox[abeoprs]-[\w-]{10,}|https://hooks\.slack\.com/services/[\w/]{20,}",
    ),
    ("Google key", ("aiza", "ya29."), r"\bAIza[\w-]{35}|\bya29\.[\w.-]{20,}"),
    (
        "registry token",
        ("npm_", "pypi-", "hf_", "dop_v1_"),
        r"\bnpm_\w{36}\b|\bpypi-[\w-]{50,}|\bhf_[A-Za-z0-9]{30,}\b|\bdop_v1_[0-9a-f]{64}\b",
    ),
    ("bearer token", ("bearer ",), r"(?P<keep>\b[Bb]earer )[\w.~+/=-]{16,}"),
    (
        "credentials",
        ("authorization",),
        r"(?P<keep>\b(?i:authorization)(?:\\?[\"'])?[ \t]{0,3}[:=][ \t]{0,3}(?:\\?[\"'])?"
        r"(?i:basic|digest|token|apikey)[ \t]{1,3})[^\s\"'\\\[]{6,}",
    ),
    (
        # In quotes: up to the closing one. With white space inside it may be a sentence, unless something tells.
        "secret value",
        _NAMES,
        rf"(?P<keep>{_NAMED}(?P<quote>\\?[\"']))(?![$<{{])"
        rf"(?=(?:(?!(?P=quote))(?:\\\S|\S)){{8,}}+(?P=quote)|{_QUOTED}{{0,400}}?{_TELLING}){_QUOTED}{{8,}}",
    ),
    (
        "secret value",
        _NAMES,
        rf"(?P<keep>{_NAMED})(?=[^\s\"']{{0,400}}?{_TELLING})[^\s\"'\\,;$({{<\[]{{8,}}+(?![(\[{{])",
    ),
    (
        "secret value",
        _NAMES,
        r"(?P<keep>(?:(?<![A-Za-z0-9_])[A-Z0-9_]{0,40}?"
        r"(?:TOKEN|SECRET|PASSWORD|PASSWD|API_?KEY|ACCESS_KEY|PRIVATE_KEY|CREDENTIALS?)[A-Z0-9_]{0,20}"
        r"|aws_secret_access_key)(?:\\?[\"'])?[ \t]{0,3}[=:][ \t]{0,3}(?:\\?[\"'])?)[^\s\"'\\,;$({<\[]{8,}",
    ),
)
_SPANNING = ("private key",)  # shapes of several lines; the others are looked for in the lines with their needles
_SHORT = 256  # characters of a text worth remembering
_UNRESERVED = set("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-._~")  # RFC 3986 §2.3
# A line of a key's body whose first line is out of sight, with the time that Kubernetes puts before lines of a log.
# It has capital letters; the digests that we write ourselves are small hexadecimal digits.
_BODY_LINE = re.compile(r"^(\S{20,40}Z )?(?=[^A-Z\n]*[A-Z])[A-Za-z0-9+/]{60,76}={0,2}$", re.MULTILINE)


def secret_kind(text: str) -> str | None:
    """`webhook URL` or `bot token` when the text holds something shaped like one, else None."""
    if WEBHOOK_URL.search(text):
        return "webhook URL"
    if BOT_TOKEN.search(text):
        return "bot token"
    return None


def redact_text(text: str) -> str:
    """The text with everything secret-shaped replaced by its kind."""
    return BOT_TOKEN.sub("<bot token>", WEBHOOK_URL.sub("<webhook URL>", text))


def redact(value: Json) -> Json:
    """A copy of a manifest part without secret-shaped text and without the values of secret-named variables."""
    if isinstance(value, str):
        return redact_text(value)
    if isinstance(value, list):
        return [redact(item) for item in value]
    if isinstance(value, dict):
        shown = {key: redact(item) for key, item in value.items()}
        name, content = value.get("name"), value.get("value")
        if isinstance(name, str) and isinstance(content, str) and content and _SECRET_NAME.search(name):
            shown["value"] = "<redacted>"
        return shown
    return value


class Redactor:
    """Replaces every known shape and every given value, in their usual encodings too; counts what it replaced."""

    def __init__(self, values: Iterable[str] = ()) -> None:
        self._literals = sorted({form for value in values for form in _forms(value)}, key=len, reverse=True)
        self._patterns = [(kind, needles, re.compile(shape)) for kind, needles, shape in _SHAPES]
        self.count = 0
        self._known: dict[str, tuple[str, int]] = {}  # objects repeat their texts: labels, images, names

    def text(self, text: str) -> str:
        """The text without secrets."""
        for literal in self._literals:
            if literal in text:
                self.count += text.count(literal)
                text = text.replace(literal, "<value of a Secret>")
        text = redact_text(text)
        for kind, needles, pattern in self._patterns:
            text = self._shape(kind, needles, pattern, text)
        return _BODY_LINE.sub(lambda match: self._replace(match, "<line of a key>", match[1] or ""), text)

    def tree(self, value: Json) -> Json:
        """A copy of a JSON value, every text and every key in it redacted."""
        if isinstance(value, str):
            return self._short(value)
        if isinstance(value, list):
            return [self.tree(item) for item in value]
        if isinstance(value, dict):
            return {self._short(str(key)): self.tree(item) for key, item in value.items()}
        return value

    def _short(self, text: str) -> str:
        if len(text) > _SHORT:
            return self.text(text)
        if text not in self._known:
            before = self.count
            self._known[text] = (self.text(text), self.count - before)
            return self._known[text][0]
        shown, count = self._known[text]
        self.count += count
        return shown

    def _shape(self, kind: str, needles: tuple[str, ...], pattern: re.Pattern[str], text: str) -> str:
        def replaced(match: re.Match[str]) -> str:
            return self._replace(match, f"<{kind}>")

        low = text.lower()
        if not any(word in low for word in needles):
            return text
        if kind in _SPANNING:
            return pattern.sub(replaced, text)
        lines = text.split("\n")
        for number, line in enumerate(lines):
            low = line.lower()
            if any(word in low for word in needles):
                lines[number] = pattern.sub(replaced, line)
        return "\n".join(lines)

    def _replace(self, match: re.Match[str], mark: str, kept: str | None = None) -> str:
        if kept is None:
            kept = match.groupdict().get("keep") or ""
        if match[0][len(kept) :].startswith("<"):
            return match[0]
        self.count += 1
        return kept + mark


def is_named_secret(name: str, value: Json) -> bool:
    """Whether a variable or key of this name holds a secret; a switch such as STATS_TRACK_TOKENS=true does not."""
    return _SECRET_NAME.search(name) is not None and str(value).lower() not in ("", "true", "false")


def _forms(value: str) -> Iterator[str]:
    """The value as it may appear: itself, its lines, the token in a webhook's URL, each in the usual encodings."""
    parts = {value, value.strip(), *value.splitlines()}
    parts |= {line.partition(sign)[2].strip().strip("\"'") for line in value.splitlines() for sign in "=:"}
    parts |= {part.rstrip("/").rpartition("/")[2] for part in parts if "/webhooks/" in part}
    for part in parts:
        if len(part) < MIN_LITERAL_CHARS:
            continue
        raw = part.encode("utf-8", "replace")
        yield part
        yield json.dumps(part)[1:-1]
        yield "".join(chr(byte) if chr(byte) in _UNRESERVED else f"%{byte:02X}" for byte in raw)
        # Without the padding, so that it is found where more follows too.
        yield base64.b64encode(raw).decode().rstrip("=")
        yield base64.urlsafe_b64encode(raw).decode().rstrip("=")

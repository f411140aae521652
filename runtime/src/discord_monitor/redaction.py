# SPDX-License-Identifier: GPL-3.0-or-later
# SPDX-FileCopyrightText: 2026 The orchestrator.platform authors
"""Secrets become their kind before a text leaves the process. Pure functions of text.

Knows the literal values it was given, the shapes listed below, and shapes of the user's own; last it guesses: a long
text without a pattern in it, as random generators make them, is taken for a secret.
"""

from __future__ import annotations

import itertools
import math
import re
from collections import Counter
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

# A secret longer than this may show its end when it begins right before a cut: callers hand over this much more
# text than they keep.
MAX_SECRET_CHARS = 4_096
MIN_LITERAL_CHARS = 6  # a configured secret shorter than this would blank ordinary words

_NAME_END = r"(?:token|secret|password|passwd|passphrase|api[_-]?key|access[_-]?key|private[_-]?key|credentials?)"
# A name that ends so, in any case (clientSecret, x-api-key, DB_PASSWORD), and what stands before its value.
_NAMED = rf"(?<![A-Za-z0-9_])(?i:[a-z0-9_]{{0,40}}?{_NAME_END})(?:\\?[\"'])?[ \t]{{0,3}}[=:][ \t]{{0,3}}"
_QUOTED = r"(?:(?!(?P=quote))(?:\\.|[^\n]))"  # a character between quotes
_TELLING = r"[0-9!@#^~]"  # words of prose and of code hold none of these
_BASE64 = r"[A-Za-z0-9+/]"
# Base64 of "PRIVATE KEY" behind a blank, at each of its three alignments: certificates and public keys hold none.
_KEY_MARK = r"(?:UFJJVkFURSBLRV|FBSSVZBVEUgS0VZ|BQUklWQVRFIEtFW)"
# What ends a line of a key: as it is, in a log with the time that Kubernetes puts before each line, escaped in JSON.
_STAMP = r"(?:\d[\d:T.-]{15,38}Z )?[ \t]{0,40}"
_LINE_END = rf"(?:\r?\n{_STAMP}|(?:\\{{1,4}}r)?\\{{1,4}}n)"
_KEY_END = r"-----END [A-Z0-9 ]{0,40}PRIVATE KEY(?: BLOCK)?-----"

_NAMES = ("token", "secret", "passw", "passphrase", "key", "credential")
# Order matters: a URL goes before the credential shapes it may contain. Each with what a text in small letters must
# hold for the pattern to be worth a try, which spares most texts most patterns. `keep` is printed before the mark.
_SHAPES: tuple[tuple[str, tuple[str, ...], str], ...] = (
    (
        "private key",
        ("private key",),
        r"-----BEGIN [A-Z0-9 ]{0,40}PRIVATE KEY(?: BLOCK)?-----(?s:.*?)(?:-----END [A-Z0-9 ]{0,40}-----|\Z)",
    ),
    (
        # Its beginning is out of sight. The number of lines is bounded, lest each line look through all that follow.
        "private key",
        ("private key",),
        rf"(?:(?m:^){_STAMP}|(?<=\\n)|(?<=[\"']))(?:{_BASE64}{{16,76}}+={{0,2}}{_LINE_END}(?!-----END)){{0,100}}+"
        rf"(?:=?{_BASE64}{{1,76}}+={{0,2}}{_LINE_END}){{1,2}}{_KEY_END}",
    ),
    (
        # In base64, also behind its certificate or over several lines.
        "private key",
        ("ufjjvkfursblrv", "fbssvzbveugs0vz", "bquklwqvrfietfw"),
        rf"(?:LS0tLS1CRUdJTi{_BASE64}{{0,56}}?)?{_KEY_MARK}{_BASE64}{{20,}}+={{0,2}}"
        rf"(?:\r?\n[ \t]{{0,40}}(?={_BASE64}{{60}}|{_BASE64}{{0,60}}tLS){_BASE64}{{1,76}}+={{0,2}}(?![^\s\"']))*+",
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
        r"(?i:basic|digest|token|apikey|negotiate)[ \t]{1,3})[^\s\"'\\\[]{6,}",
    ),
    (
        # Without the name of a scheme: one word that no prose has.
        "credentials",
        ("authorization",),
        r"(?P<keep>\b(?i:authorization)(?:\\?[\"'])?[ \t]{0,3}[:=][ \t]{0,3}(?:\\?[\"'])?)"
        r"(?!AWS4-)(?=[\w.~+/=-]{0,400}?\d)[\w.~+/=-]{8,}+(?![(\[{:])",
    ),
    (
        # A registry's `auth` is base64 of user:password. A colon tells, at each of its three alignments.
        "credentials",
        ("auth",),
        r"(?P<keep>(?<![A-Za-z0-9-])(?i:_?auth)(?:\\?[\"'])?[ \t]{0,3}[:=][ \t]{0,3}(?:\\?[\"'])?)"
        rf"(?=(?:{_BASE64}{{4}}){{0,100}}?(?:O[g-v]|{_BASE64}[DTjz][o-r]|{_BASE64}{{3}}6))"
        rf"(?:{_BASE64}{{4}}){{2,}}+(?:{_BASE64}{{2,3}}={{1,2}})?(?![\w+/=-])",
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

# Names of environment variables whose values are hidden wherever they appear.
_SECRET_NAME = re.compile(
    r"TOKEN|SECRET|PASSW|PASSPHRASE|API_?KEY|ACCESS_KEY|PRIVATE_KEY|CREDENTIAL|WEBHOOK|_DSN$", re.I
)

# What may have come from a random generator: no shorter than a 128-bit key in base 64. Digests named as such and ids
# that the agent's own programs print are none.
_RANDOM = re.compile(
    r"(?<![\w+/=.-])(?!sha\d|md5|toolu_|msg_|req_|[0-9a-f-]+(?![\w+/=-]))[\w+/-]{22,200}={0,2}(?![\w+/=])", re.ASCII
)
MIN_BITS_A_CHAR = 3.6  # words, also in CamelCase and with numbers, stay below; 22 random characters of base 64 have 4.2
MIN_CHANGES = 0.45  # how often neighbours are of another class (small, capital, digit); random ones 0.6 of the time
MIN_CHANGES_WITH_DIGITS = 0.33  # enough where an eighth of the text are digits, which no name has


class Redactor:
    """Replaces every known shape and every given literal; calling it twice gives the same text. Counts what it hid.

    `patterns` are regular expressions of the user; each match is hidden. `guess` hides what looks random.
    """

    def __init__(
        self, literals: Iterable[str] = (), *, patterns: Iterable[re.Pattern[str]] = (), guess: bool = False
    ) -> None:
        self._literals = sorted({text for text in literals if len(text) >= MIN_LITERAL_CHARS}, key=len, reverse=True)
        own = [(mark("as configured"), ("",), pattern) for pattern in patterns]
        self._patterns = own + [(mark(kind), needles, re.compile(shape)) for kind, needles, shape in _SHAPES]
        self._guess = guess
        self.count = 0

    def __call__(self, text: str) -> str:
        """The text without secrets."""
        for literal in self._literals:
            if literal in text:
                self.count += text.count(literal)
                text = text.replace(literal, mark("configured secret"))
        small = text.lower()
        for replacement, needles, pattern in self._patterns:
            if any(needle in small for needle in needles):
                text = pattern.sub(lambda match, new=replacement: self._replace(match, new), text)  # type: ignore[misc]
        return _RANDOM.sub(self._guessed, text) if self._guess else text

    def _replace(self, match: re.Match[str], replacement: str) -> str:
        kept = match.groupdict().get("keep") or ""
        if match[0][len(kept) :].startswith("[redacted"):
            return match[0]
        self.count += 1
        return kept + replacement

    def _guessed(self, match: re.Match[str]) -> str:
        if not looks_random(match[0]):
            return match[0]
        self.count += 1
        return mark("looks like a secret")


def looks_random(text: str) -> bool:
    """Whether a text of letters and digits has no pattern: all three classes, often changing, few repetitions."""
    classes = ["a" if c.islower() else "A" if c.isupper() else "0" if c.isdigit() else "" for c in text]
    if not {"a", "A", "0"} <= set(classes) or text.count("/") > len(text) / 16:
        return False
    changes = sum(one != other for one, other in itertools.pairwise(classes)) / len(text)
    counts = Counter(text).values()
    bits = -sum(count / len(text) * math.log2(count / len(text)) for count in counts)
    enough = MIN_CHANGES_WITH_DIGITS if classes.count("0") >= len(text) / 8 else MIN_CHANGES
    return changes >= enough and bits >= MIN_BITS_A_CHAR


def mark(kind: str) -> str:
    """What stands in the place of a secret."""
    return f"[redacted: {kind}]"


def webhook_literals(url: str) -> list[str]:
    """The parts of a webhook URL that are secret by themselves: the whole and its token."""
    bare = url.partition("?")[0].rstrip("/")
    _id, _slash, token = bare.partition("/webhooks/")[2].partition("/")
    return [url, bare, token.partition("/")[0]] if url else []


def env_literals(env: Mapping[str, str]) -> list[str]:
    """Values of variables with secret-looking names; paths and plain words are none."""
    return [
        value.strip()
        for name, value in env.items()
        if _SECRET_NAME.search(name)
        and len(value.strip()) >= 8
        and not re.fullmatch(r"/[\w./-]*|[a-z]+", value.strip())
    ]

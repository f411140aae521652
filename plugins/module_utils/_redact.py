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
import binascii
import contextlib
import json
import re
from collections.abc import Iterable, Iterator

from ansible_collections.orchestrator.platform.plugins.module_utils._workloads import Foreign, Json

# Discord's developer documentation, Webhook: /webhooks/{id}/{token}. Any host, since a proxy or a fake is one too.
WEBHOOK_URL = re.compile(r"https?://[^\s\"']*/webhooks/\d+/[A-Za-z0-9_-]{8,}")
# A bot token is three base64url parts: user id, timestamp, HMAC. Lengths as seen in Discord's documentation.
BOT_TOKEN = re.compile(r"(?<![\w.-])[A-Za-z0-9_-]{23,28}\.[A-Za-z0-9_-]{6,7}\.[A-Za-z0-9_-]{27,}(?![\w.-])")

MAX_SECRET_CHARS = 4_096  # whoever cuts a text redacts this much more of it first, lest half a secret stay
MIN_LITERAL_CHARS = 8  # a shorter value would blank ordinary words

# The shapes below are those of runtime/src/discord_monitor/redaction.py, which a test compares: that program cannot be
# imported where modules run. Its comments say what each part is for.
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
_SPANNING = ("private key",)  # shapes of several lines; the others are looked for in the lines with their needles
_SHORT = 256  # characters of a text worth remembering
_SECRET_NAME = re.compile(rf"{_NAME_END}|CREDENTIAL|WEBHOOK_?URL", re.IGNORECASE)
# Keys of objects are no prose, but many of them hold the name of a Secret: a key ends so, or is in capital letters.
_SECRET_KEY = re.compile(
    rf"(?i:{_NAME_END})$|^[A-Z0-9_]*(?:{_NAME_END.upper().replace('[_-]', '_')})[A-Z0-9_]{{0,20}}$"
)
_AUTH_KEY = re.compile(r"(?:auth|authorization)$", re.IGNORECASE)  # only the shape of its value tells
# What tells where a secret is, or for how long it is valid.
_REFERS = re.compile(r"existing|(?:(?<!user)names?|namespaces?|refs?|paths?|files?|dirs?|seconds)$", re.IGNORECASE)
_OBJECT_NAME = re.compile(r"[a-z0-9][a-z0-9./-]*")  # of a Secret, with its namespace or without
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
        # By their beginnings, so that a text is read once and not once for each of many thousand forms.
        self._literals: dict[str, list[str]] = {}
        for form in sorted({form for value in values for form in _forms(value)}, key=len, reverse=True):
            self._literals.setdefault(form[:MIN_LITERAL_CHARS], []).append(form)
        self._patterns = [(kind, needles, re.compile(shape)) for kind, needles, shape in _SHAPES]
        self.count = 0
        self._known: dict[str, tuple[str, int]] = {}  # objects repeat their texts: labels, images, names

    def text(self, text: str) -> str:
        """The text without secrets."""
        text = redact_text(self._without_values(text) if self._literals else text)
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
            return {self._short(str(key)): self._entry(str(key), item) for key, item in value.items()}
        return value

    def _entry(self, key: str, value: Json) -> Json:
        """What stands under a key, which may say that it is secret."""
        if not isinstance(value, str):
            return self.tree(value)
        if _is_secret_entry(key, value):
            self.count += 1
            return "<redacted>"
        if _AUTH_KEY.search(key):
            return self._short(f"{key}: {value}").removeprefix(f"{key}: ")
        return self._short(value)

    def _without_values(self, text: str) -> str:
        size = MIN_LITERAL_CHARS
        shown, end = "", 0
        for at in [at for at in range(len(text) - size + 1) if text[at : at + size] in self._literals]:
            found = next((form for form in self._literals[text[at : at + size]] if text.startswith(form, at)), "")
            if found and at >= end:
                shown += text[end:at] + "<value of a Secret>"
                self.count += 1
            end = max(end, at + len(found)) if found else end
        return shown + text[end:]

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
    if not _SECRET_NAME.search(name) or _REFERS.search(name):
        return False
    return str(value).lower() not in ("", "true", "false")


def _is_secret_entry(key: str, value: str) -> bool:
    """Whether an object's text is secret by its key; neither what we wrote ourselves nor a name or a reference is."""
    if len(value) < MIN_LITERAL_CHARS or not _SECRET_KEY.search(key) or _REFERS.search(key):
        return False
    if value.startswith(("$(", "${", "{{")) or (value[0], value[-1]) == ("<", ">"):
        return False
    names = key.lower() == "secret" and _OBJECT_NAME.fullmatch(value)
    return not names or not ("-" in value or "/" in value or value.isalpha())


# -- how a value may appear ----------------------------------------------------------------------------------------

_DEPTH = 3  # a value in base64, in a document, in a document
_MAX_LEAVES = 10_000  # of one document
_MAX_YAML = 16_384  # characters: the reader that is always there takes a second for ten times as many
# They hold names, in a kubeconfig such as `kubernetes`, which would blank half of the bundle.
_PUBLIC_LEAVES = ("apiversion", "kind", "name", "namespace", "cluster", "user", "current-context", "server", "type")
_PUBLIC_LINE = re.compile(rf"[\s\"'-]*(?:{'|'.join(_PUBLIC_LEAVES)})[\"']?:\s[^@]*$", re.IGNORECASE)
# The second one is for a password with @ or / in it.
_URL_PASSWORDS = (re.compile(r"://[^\s/:@]{0,100}:([^\s/@]+)@"), re.compile(r"://[^\s/:@]{0,100}:(\S{1,400})@"))
# What stays beside letters and digits: RFC 3986 §2.3, Python's quote, JavaScript's encodeURIComponent and encodeURI,
# Go's PathEscape, forms of HTML. Each in capital and in small digits.
_PERCENT = tuple(
    {
        byte: "%" + format(byte, digits)
        for byte in range(256)
        if not (chr(byte) in safe or re.match("[A-Za-z0-9]", chr(byte)))
    }
    for safe in ("-._~", "-._~/", "-._~!*'()", "-._~!*'();,/?:@&=+$#", "-._~$&+=:@", "-._*")
    for digits in ("02X", "02x")
)
_GO_JSON = {ord(sign): f"\\u{ord(sign):04x}" for sign in "&<>\u2028\u2029"}  # encoding/json escapes these too


def _forms(value: str) -> Iterator[str]:
    """The value and what is in it, each in the usual encodings."""
    parts = set(_parts(value, _DEPTH))
    parts |= {part.rstrip("/").rpartition("/")[2] for part in parts if "/webhooks/" in part}
    for part in parts:
        if len(part) >= MIN_LITERAL_CHARS:
            raw = part.encode("utf-8", "replace")
            yield part
            yield from _json_forms(part)
            yield from _percent_forms(raw)
            yield from (form for form in _base64_forms(raw) if len(form) >= MIN_LITERAL_CHARS)


def _json_forms(part: str) -> Iterator[str]:
    for ascii_only in (True, False):
        text = json.dumps(part, ensure_ascii=ascii_only)[1:-1]
        yield text
        yield text.translate(_GO_JSON)


def _percent_forms(raw: bytes) -> Iterator[str]:
    for table in _PERCENT:
        text = raw.decode("latin-1").translate(table)
        yield text
        yield text.replace("%20", "+")


def _base64_forms(raw: bytes) -> Iterator[str]:
    """By itself without padding; within something longer without the characters that its neighbours decide too."""
    codes = [base64.b64encode(raw).decode().rstrip("=")]
    for shift, skipped in enumerate((0, 2, 3)):
        code = base64.b64encode(bytes(shift) + raw).decode()
        codes.append(code[skipped : (shift + len(raw)) * 8 // 6])
    for code in codes:
        yield code
        yield code.replace("+", "-").replace("/", "_")


def _parts(value: str, depth: int) -> Iterator[str]:
    """The value, its lines, what these assign, passwords of URLs, and the same of every text in a document."""
    lines = value.splitlines()
    yield from (value, value.strip(), *lines)
    for pattern in _URL_PASSWORDS:
        for match in pattern.finditer(value):
            yield from (match[1], _unquoted(match[1]))
    document = _document(value) if depth else None
    if document is not None:
        lines = [line for line in lines if not _PUBLIC_LINE.match(line)]
        for key, text in _leaves(document):
            if key.lower() not in _PUBLIC_LEAVES or "@" in text:
                yield from _parts(text, depth - 1)
    yield from _assigned(lines)
    if depth and (decoded := _decoded(value)):
        yield from _parts(decoded, depth - 1)


def _assigned(lines: Iterable[str]) -> Iterator[str]:
    """What follows a sign, with and without what may be a comment or the comma of a list."""
    for line in lines:
        for sign in "=:":
            rest = line.partition(sign)[2]
            for text in (rest.strip(), rest.partition(" #")[0].strip()):
                yield text.strip("\"'")
                yield text.rstrip(",;").strip("\"'")


def _decoded(text: str) -> str:
    """What a text of base64 says, such as user:password for a registry; empty where it is none or holds no text."""
    code = "".join(text.split())
    if len(code) % 4 or not re.fullmatch(r"[A-Za-z0-9+/]{8,}={0,2}", code):
        return ""
    with contextlib.suppress(binascii.Error, ValueError):
        said = base64.b64decode(code).decode()
        return said if all(letter.isprintable() or letter in "\t\r\n" for letter in said) else ""
    return ""


def _unquoted(text: str) -> str:
    raw = re.sub(rb"%([0-9A-Fa-f]{2})", lambda match: bytes([int(match[1], 16)]), text.encode("utf-8", "replace"))
    return raw.decode("utf-8", "replace")


def _document(text: str) -> Foreign:
    """A mapping or list that is written in JSON, or the nodes of one in YAML; None for any other text."""
    if text.lstrip()[:1] in ("{", "["):
        with contextlib.suppress(ValueError, RecursionError):
            found = json.loads(text)
            return found if isinstance(found, dict | list) else None
    if len(text) > _MAX_YAML or not re.search(r":\s|^\s*- ", text):
        return None
    with contextlib.suppress(ImportError):
        # Where a Python has none, the lines have to do.
        import yaml

        # Nodes and not values: nothing is made of them, so that neither references nor merges can grow. Not the
        # loader in C either, whose depth nothing bounds.
        with contextlib.suppress(yaml.YAMLError, ValueError, RecursionError):
            nodes = list(yaml.compose_all(text, Loader=yaml.SafeLoader))
            return [node for node in nodes if isinstance(node.value, list)] or None
    return None


def _leaves(document: Foreign) -> Iterator[tuple[str, str]]:
    """(key, text) of the texts in a document, of so many at most; YAML's references may make it a circle."""
    rest: list[tuple[str, Foreign]] = [("", document)]
    seen: set[int] = set()
    while rest and len(seen) < _MAX_LEAVES:
        key, item = rest.pop()
        content = getattr(item, "value", item)
        if isinstance(content, str):
            yield key, content
        if id(item) in seen:
            continue
        seen.add(id(item))
        if isinstance(content, dict):
            rest += content.items()
        elif isinstance(content, list):
            # A mapping of YAML is a list of pairs.
            rest += [(str(one[0].value), one[1]) if isinstance(one, tuple) else (key, one) for one in content]

# SPDX-License-Identifier: GPL-3.0-or-later
# SPDX-FileCopyrightText: 2026 The orchestrator.platform authors
"""Settings of the programs, read from the environment.

A value that cannot be used never stops a program that sits in an agent's pod: it is replaced by the default and
becomes a sentence in `problems`. The sentence names the variable, never its value.
"""

# The module os instead of pathlib saves 0.7 MiB in every agent's pod.

from __future__ import annotations

import json
import os
import re
from typing import TYPE_CHECKING, NamedTuple
from urllib.parse import urlsplit, urlunsplit

from discord_monitor.pricing import Prices, prices_from
from discord_monitor.secret import Secret

if TYPE_CHECKING:
    from collections.abc import Mapping

DEFAULT_STATE_PATH = "/var/lib/discord-watcher"
DEFAULT_HEALTH_PORT = 8080
DEFAULT_BRIDGE_PORT = 8090


class Filters(NamedTuple):
    """What is shown when parity mode is off."""

    include_tools: tuple[str, ...] = ("Bash", "Write", "Edit")
    include_patterns: tuple[str, ...] = ("Error", "Success", "Complete", "Starting")
    min_stdout_chars: int = 50


class Tracking(NamedTuple):
    """Which running figures are shown."""

    cost: bool = True
    tokens: bool = True
    errors: bool = True


class Reader:
    """Reads variables of one environment and collects what was wrong with them."""

    def __init__(self, env: Mapping[str, str]) -> None:
        self._env = env
        self.problems: list[str] = []

    def text(self, name: str, default: str = "") -> str:
        """A text without surrounding white space; empty counts as not set."""
        return self._env.get(name, "").strip() or default

    def number(self, name: str, default: float, *, low: float, high: float) -> float:
        """A number between `low` and `high`."""
        raw = self.text(name)
        if not raw:
            return default
        try:
            value = float(raw)
        except ValueError:
            value = float("nan")
        if low <= value <= high:
            return value
        self.problems.append(f"{name} is not a number between {low:g} and {high:g}; {default:g} is used")
        return default

    def flag(self, name: str, *, default: bool) -> bool:
        """true or false in any case; 1/0, yes/no and on/off as well."""
        raw = self.text(name).lower()
        if raw in ("true", "1", "yes", "on"):
            return True
        if raw in ("false", "0", "no", "off"):
            return False
        if raw:
            self.problems.append(f"{name} is neither true nor false; {str(default).lower()} is used")
        return default

    def threshold(self) -> str:
        """LOG_LEVEL, `info` unless it is one of the four names."""
        raw = self.text("LOG_LEVEL", "info").lower()
        if raw in ("debug", "info", "warning", "error"):
            return raw
        self.problems.append("LOG_LEVEL is not debug, info, warning or error; info is used")
        return "info"

    def filters(self) -> Filters:
        """FILTERS: a JSON object; missing keys keep their defaults."""
        raw = self.text("FILTERS")
        if not raw:
            return Filters()
        try:
            given = json.loads(raw)
        except ValueError:
            given = None
        if not isinstance(given, dict):
            self.problems.append("FILTERS is not a JSON object; the default filters are used")
            return Filters()
        return Filters(
            include_tools=self._texts(given, "includeTools", Filters().include_tools),
            include_patterns=self._texts(given, "includePatterns", Filters().include_patterns),
            min_stdout_chars=self._count(given, "minStdoutLength", Filters().min_stdout_chars),
        )

    def in_thread(self, url: Secret) -> Secret:
        """The webhook URL with DISCORD_THREAD_ID: messages go to that thread, or post of a forum channel."""
        thread = self.text("DISCORD_THREAD_ID")
        if not thread or not url:
            return url
        parts = urlsplit(url.reveal())
        if not re.fullmatch(r"[0-9]{1,20}", thread):
            self.problems.append("DISCORD_THREAD_ID is not the number of a thread; the webhook's own channel is used")
            return url
        if "thread_id=" in parts.query:
            self.problems.append("DISCORD_THREAD_ID is not used: DISCORD_WEBHOOK_URL has a thread_id")
            return url
        query = "&".join(part for part in (parts.query, f"thread_id={thread}") if part)
        return Secret(urlunsplit(parts._replace(query=query)))

    def prices(self) -> Prices:
        """STATS_PRICES: a JSON list of prices, each with the beginning of a model's name."""
        found = prices_from(self._json("STATS_PRICES", []))
        if found is None:
            self.problems.append(
                "STATS_PRICES is not a list of models with prices a million tokens; one price is used for all"
            )
        return found or Prices()

    def patterns(self) -> tuple[re.Pattern[str], ...]:
        """REDACT_PATTERNS: a JSON list of regular expressions. One that cannot be used is left out."""
        given = self._json("REDACT_PATTERNS", [])
        usable = []
        for number, text in enumerate(given if isinstance(given, list) else [None], start=1):
            try:
                pattern = re.compile(text) if isinstance(text, str) and text else None
            except (re.error, RecursionError, OverflowError):
                pattern = None
            if pattern is None or pattern.match(""):
                self.problems.append(f"REDACT_PATTERNS: no. {number} is not a pattern that matches some text; left out")
            else:
                usable.append(pattern)
        return tuple(usable)

    def _json(self, name: str, default: object) -> object:
        raw = self.text(name)
        try:
            return json.loads(raw) if raw else default
        except (ValueError, RecursionError):
            return None

    def _texts(self, given: Mapping[str, object], key: str, default: tuple[str, ...]) -> tuple[str, ...]:
        value = given.get(key)
        if isinstance(value, list) and all(isinstance(entry, str) for entry in value):
            return tuple(value)
        if value is not None:
            self.problems.append(f"FILTERS.{key} is not a list of texts; the default is used")
        return default

    def _count(self, given: Mapping[str, object], key: str, default: int) -> int:
        value = given.get(key)
        if isinstance(value, int) and not isinstance(value, bool) and value >= 0:
            return value
        if value is not None:
            self.problems.append(f"FILTERS.{key} is not a whole number from 0; {default} is used")
        return default


class WatcherSettings(NamedTuple):
    """All settings of `watch`; seconds, bytes and characters as the names say."""

    webhook_url: Secret  # empty: not configured or not usable, see webhook_problem
    webhook_problem: str
    workspace_path: str
    poll_interval_s: float
    batch_size: int
    filters: Filters
    tracking: Tracking
    parity_mode: bool
    threshold: str
    health_port: int
    state_path: str
    outage_limit_s: float
    rate_limit: float
    home: str
    config_dir: str
    lookback_s: float
    prices: Prices
    redact_guess: bool
    redact_patterns: tuple[re.Pattern[str], ...]
    session_summary: bool
    thread_per_session: bool
    host: str  # the pod's name
    pressure_s: float
    problems: tuple[str, ...]


def watcher_settings(env: Mapping[str, str]) -> WatcherSettings:
    """Read everything `watch` needs; never raises."""
    read = Reader(env)
    url, webhook_problem = usable_webhook(env.get("DISCORD_WEBHOOK_URL", ""))
    url = read.in_thread(url)
    thread_per_session = read.flag("THREAD_PER_SESSION", default=False)
    if thread_per_session and "thread_id=" in urlsplit(url.reveal()).query:
        read.problems.append("THREAD_PER_SESSION is not used: a thread_id is set, and all messages go there")
        thread_per_session = False
    return WatcherSettings(
        webhook_url=url,
        webhook_problem=webhook_problem,
        workspace_path=os.path.normpath(read.text("WORKSPACE_PATH", "/workspace")),
        poll_interval_s=read.number("POLL_INTERVAL", 100, low=10, high=60_000) / 1000,
        batch_size=int(read.number("BATCH_SIZE", 10, low=1, high=10)),
        filters=read.filters(),
        tracking=Tracking(
            cost=read.flag("STATS_TRACK_COST", default=True),
            tokens=read.flag("STATS_TRACK_TOKENS", default=True),
            errors=read.flag("STATS_TRACK_ERRORS", default=True),
        ),
        parity_mode=read.flag("PARITY_MODE", default=False),
        threshold=read.threshold(),
        health_port=int(read.number("HEALTH_PORT", DEFAULT_HEALTH_PORT, low=1, high=65_535)),
        state_path=read.text("STATE_PATH", DEFAULT_STATE_PATH),
        outage_limit_s=read.number("OUTAGE_LIMIT_SECONDS", 120, low=1, high=3600),
        rate_limit=read.number("RATE_LIMIT", 10, low=0.01, high=50),
        home=read.text("HOME", "/"),
        config_dir=read.text("CLAUDE_CONFIG_DIR"),
        lookback_s=read.number("START_LOOKBACK_SECONDS", 3600, low=0, high=10 * 365 * 86_400),
        prices=read.prices(),
        redact_guess=read.flag("REDACT_GUESS", default=True),
        redact_patterns=read.patterns(),
        session_summary=read.flag("SESSION_SUMMARY", default=True),
        thread_per_session=thread_per_session,
        host=read.text("HOSTNAME"),
        pressure_s=read.number("PRESSURE_SECONDS", 10, low=0, high=86_400),
        problems=tuple(read.problems),
    )


def usable_webhook(raw: str) -> tuple[Secret, str]:
    """The webhook URL, or an empty Secret and one sentence why not. Surrounding white space is taken off."""
    url = raw.strip()
    if not url:
        return Secret(""), "DISCORD_WEBHOOK_URL is not set; create the webhook Secret and restart the pod"
    try:
        parts = urlsplit(url)
        fits = parts.scheme in ("http", "https") and bool(parts.hostname) and parts.port != 0
    except ValueError:
        return Secret(""), "DISCORD_WEBHOOK_URL is not a URL"
    if not fits or not url.isascii() or any(c <= " " or c == "\x7f" for c in url):
        return Secret(""), "DISCORD_WEBHOOK_URL is not an http or https URL"
    path = parts.path.removesuffix("/")
    if not re.search(r"/webhooks/\d+/[\w-]+$", path):
        problem = "its path does not end in /webhooks/<id>/<token>; /slack and /github take other messages than ours"
        return Secret(""), f"DISCORD_WEBHOOK_URL is not a webhook URL: {problem}"
    return Secret(urlunsplit(parts._replace(path=path))), ""


def usable_token(raw: str, name: str) -> tuple[Secret, str]:
    """A bot token or bearer credential, or an empty Secret and one sentence why not.

    White space around it (the line feed of `echo token >file`) is no part of any token and is taken off; white space
    or control characters inside mean that something else was pasted, which is refused: a header must not be split.
    """
    token = raw.strip()
    if not token:
        return Secret(""), f"{name} is not set"
    if not token.isascii() or any(c <= " " or c == "\x7f" for c in token):
        return Secret(""), f"{name} holds white space or characters that no token has"
    return Secret(token.removeprefix("Bot ")), ""

# SPDX-License-Identifier: GPL-3.0-or-later
# SPDX-FileCopyrightText: 2026 The orchestrator.platform authors
"""`discord-monitor bot`: webhooks on request, retention sweeps, health and metrics. Talks to Discord's REST API only.

An outage of Discord or a bad token never fails `/healthz`: no restart would mend it. The state is in the answer.
"""

from __future__ import annotations

import hmac
import json
import re
import threading
import time
from datetime import UTC, datetime
from enum import Enum
from typing import TYPE_CHECKING, Any, NamedTuple

from discord_monitor import input_credential
from discord_monitor.commands import Mark, Rules
from discord_monitor.discord_api import PAGE, DiscordApi, DiscordError
from discord_monitor.http_server import (
    MAX_CONNECTIONS,
    HttpServer,
    Reply,
    Request,
    as_json,
    bearer,
    sentence,
    wildcard_address,
)
from discord_monitor.inbox import Inbox
from discord_monitor.input_api import MAX_HELD, InputApi
from discord_monitor.input_api import PATH as INPUT_PATH
from discord_monitor.input_credential import CHANNEL_ID
from discord_monitor.keyed import key_problem
from discord_monitor.listener import Listener
from discord_monitor.log import Log
from discord_monitor.metrics import CONTENT_TYPE, Metric, exposition
from discord_monitor.redaction import Redactor
from discord_monitor.retention import Rule, deletions, expired, is_ours
from discord_monitor.run_credential import namespace_of
from discord_monitor.runs import RUN, Runs, shown
from discord_monitor.secret import Secret
from discord_monitor.settings import DEFAULT_HEALTH_PORT, Reader, Tracking, usable_token

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from discord_monitor.lifecycle import Stop

DEFAULT_API_URL = "https://discord.com/api/v10"
MAX_BODY_BYTES = 16 * 1024
MAX_PAGES = 50  # of one channel in one sweep; the rest waits for the next sweep
FIRST_RETRY_S = 2.0
MAX_RETRY_S = 300.0
RECHECK_S = 600.0  # a refused token is tried again this often: 401 answers count towards Discord's ban
SNOWFLAKE = CHANNEL_ID


class TokenState(Enum):
    """What Discord says to our token."""

    MISSING = "missing"
    UNTRIED = "untried"
    ACCEPTED = "accepted"
    REFUSED = "refused"
    UNREACHABLE = "unreachable"


class BotSettings(NamedTuple):
    """All settings of `bot`."""

    token: Secret
    token_problem: str
    api_token: Secret
    api_token_problem: str
    api_url: str
    threshold: str
    health_port: int
    retention: Rule | None
    sweep_interval_s: float
    channels: tuple[str, ...]
    tracking: Tracking
    input_key: Secret
    commands: Rules
    guild: str  # empty: no channels for runs
    category: str
    commands_off: str  # why there are no commands; empty when there are
    problems: tuple[str, ...]


def _ids(read: Reader, name: str, what: str) -> tuple[str, ...]:
    """A list of Discord's ids, parted by commas."""
    given = [part.strip() for part in read.text(name).split(",") if part.strip()]
    if not all(SNOWFLAKE.fullmatch(part) for part in given):
        read.problems.append(f"{name} holds something that is not {what} id; that is left out")
    return tuple(part for part in given if SNOWFLAKE.fullmatch(part))


def _commands(read: Reader, env: Mapping[str, str]) -> tuple[Secret, Rules, str]:
    """The key of the input credentials, the rules, and why there are no commands."""
    rules = Rules(
        allowed=frozenset(_ids(read, "COMMANDS_ALLOWED_USERS", "a user's")),
        prefix=read.text("COMMANDS_PREFIX", "!"),
        keep_s=read.number("COMMANDS_KEEP_SECONDS", 900, low=10, high=86_400),
        poll_s=read.number("COMMANDS_POLL_SECONDS", 2, low=0.1, high=60),
    )
    key, problem = usable_token(env.get("BOT_INPUT_KEY", ""), "BOT_INPUT_KEY")
    problem = problem or key_problem(key, input_credential.KEY)
    if problem:
        key, problem = Secret(""), f"commands are off: {problem}; put a long random text there and restart the bot"
    elif not rules.allowed:
        problem = "commands are off: COMMANDS_ALLOWED_USERS names nobody (bot.commands.allowedUsers)"
    return key, rules, problem


def bot_settings(env: Mapping[str, str]) -> BotSettings:
    """Read everything `bot` needs; never raises."""
    read = Reader(env)
    token, token_problem = usable_token(env.get("BOT_TOKEN", ""), "BOT_TOKEN")
    api_token, api_token_problem = usable_token(env.get("BOT_API_TOKEN", ""), "BOT_API_TOKEN")
    api_url = read.text("DISCORD_API_URL", DEFAULT_API_URL).rstrip("/")
    if not re.fullmatch(r"https?://[A-Za-z0-9.\[\]:_-]+(/[\w./-]*)?", api_url):
        read.problems.append("DISCORD_API_URL is not an http or https URL; the default is used")
        api_url = DEFAULT_API_URL
    rule = Rule(
        days=read.number("RETENTION_DAYS", 30, low=0, high=3650),
        max_messages=int(read.number("RETENTION_MAX_MESSAGES", 0, low=0, high=1_000_000)),
    )
    channels = _ids(read, "RETENTION_CHANNELS", "a channel's")
    input_key, commands, commands_off = _commands(read, env)
    guild, category = _ids(read, "DISCORD_GUILD_ID", "a server's"), _ids(read, "DISCORD_CATEGORY_ID", "a category's")
    return BotSettings(
        token=token, token_problem=token_problem, api_token=api_token, api_token_problem=api_token_problem,
        api_url=api_url, threshold=read.threshold(),
        health_port=int(read.number("HEALTH_PORT", DEFAULT_HEALTH_PORT, low=1, high=65_535)),
        retention=rule if read.flag("RETENTION_ENABLED", default=False) else None,
        sweep_interval_s=read.number("RETENTION_SWEEP_INTERVAL", 3600, low=1, high=86_400 * 30),
        channels=channels, input_key=input_key, commands=commands, commands_off=commands_off,
        guild="".join(guild[:1]), category="".join(category[:1]),
        tracking=Tracking(
            cost=read.flag("STATS_TRACK_COST", default=True),
            tokens=read.flag("STATS_TRACK_TOKENS", default=True),
            errors=read.flag("STATS_TRACK_ERRORS", default=True),
        ),
        problems=tuple(read.problems),
    )  # fmt: skip


class Bot:
    """State of the bot, its API and its background work."""

    def __init__(self, settings: BotSettings, *, stop: Stop, log: Log) -> None:
        self._settings = settings
        self._stop = stop
        self._log = log
        self._api = DiscordApi(settings.api_url, settings.token, stop=stop) if settings.token else None
        self._me = ""
        self.token_state = TokenState.UNTRIED if settings.token else TokenState.MISSING
        self.reason = settings.token_problem
        self._runs = None
        if self._api is not None and settings.guild:
            self._runs = Runs(self._api, guild=settings.guild, category=settings.category)
        self._inbox = Inbox()
        self.listener = self._make_listener()
        off = settings.commands_off or ("" if settings.token else "commands are off: the bot has no token")
        self._input = InputApi(self._inbox, self.listener, settings.input_key, off=off)
        self._created = self._deleted = self._swept = self._sweeps = self._errors = 0

    def _make_listener(self) -> Listener | None:
        """The one that reads commands, over a connection of its own: a sweep must not keep people waiting."""
        if not self._settings.token or self._settings.commands_off:
            return None
        api = DiscordApi(self._settings.api_url, self._settings.token, stop=self._stop)

        def me() -> str:
            return self._me if self.token_state is TokenState.ACCEPTED else ""

        return Listener(api, self._inbox, self._settings.commands, me=me, stop=self._stop, log=self._log)

    # Background: the token is checked until Discord accepts it, then channels are swept.

    def run(self) -> None:
        """Until the end is asked for."""
        if self._api is None:
            self._log.error("the bot has no usable token", reason=self.reason)
        retry_s = FIRST_RETRY_S
        while not self._stop.requested:
            if self._api is None:
                self._stop.wait(60.0)
            elif self.token_state is not TokenState.ACCEPTED:
                self._check_token(self._api)
                wait_s = {TokenState.ACCEPTED: 0.0, TokenState.REFUSED: RECHECK_S}.get(self.token_state, retry_s)
                retry_s = min(retry_s * 2, MAX_RETRY_S)
                self._stop.wait(wait_s)
            elif self._settings.retention is None or not (self._settings.channels or self._runs):
                self._stop.wait(60.0)
            else:
                self._sweep(self._api, self._settings.retention)
                self._stop.wait(self._settings.sweep_interval_s)

    def _check_token(self, api: DiscordApi) -> None:
        before = self.token_state
        try:
            self._me = str(api.me().get("id") or "")
        except DiscordError as exc:
            self.token_state = TokenState.REFUSED if exc.status == 401 else TokenState.UNREACHABLE
            self.reason = str(exc)
        else:
            self.token_state, self.reason = TokenState.ACCEPTED, ""
        if self.token_state is not before:
            write = self._log.info if self.token_state is TokenState.ACCEPTED else self._log.warning
            write("token", state=self.token_state.value, reason=self.reason)

    def _sweep(self, api: DiscordApi, rule: Rule) -> None:
        """Delete what is past its keep, channel by channel; a channel that fails does not stop the others."""
        self._sweeps += 1
        for channel in self._channels_to_sweep():
            try:
                deleted = self._sweep_channel(api, rule, channel)
            except DiscordError as exc:
                self._errors += 1
                self._log.warning("a channel cannot be swept", channel=channel, reason=str(exc))
                if exc.status == 401:
                    self.token_state, self.reason = TokenState.REFUSED, str(exc)
                    return
                continue
            if deleted:
                self._log.info("swept", channel=channel, deleted=deleted)

    def _channels_to_sweep(self) -> list[str]:
        """Those of the settings, and those of the runs as far as Discord tells them."""
        try:
            made = self._runs.channels() if self._runs is not None else []
        except DiscordError as exc:
            self._errors += 1
            self._log.warning("the channels of the runs cannot be listed", reason=str(exc))
            made = []
        return list(dict.fromkeys([*self._settings.channels, *made]))

    def _sweep_channel(self, api: DiscordApi, rule: Rule, channel: str) -> int:
        kept = deleted = 0
        before = ""
        for _page in range(MAX_PAGES):
            page = api.messages(channel, before=before)
            now = datetime.now(UTC)
            past = expired(page, rule, me=self._me, kept=kept, now=now)
            kept += sum(1 for message in page if is_ours(message, me=self._me)) - len(past)
            for ids in deletions(past, now=now):
                if self._stop.requested:
                    return deleted
                api.delete_messages(channel, ids)
                deleted += len(ids)
                self._swept += len(ids)
            if len(page) < PAGE:
                break
            before = str(page[-1].get("id"))
        return deleted

    # The HTTP side.

    def answer(self, request: Request) -> Reply:
        """All routes."""
        if request.path == "/healthz" and request.method == "GET":
            state = "ok" if self.token_state is TokenState.ACCEPTED else "degraded"
            health = {"status": state, "token": self.token_state.value, "reason": self.reason}
            health["commands"] = self.listener.reason or "on" if self.listener else self._settings.commands_off or "off"
            return as_json(200, health)
        if request.path == "/metrics" and request.method == "GET":
            return Reply(200, exposition(self._metrics()), CONTENT_TYPE)
        if request.path == INPUT_PATH:
            return self._input.answer(request)
        if request.path == "/v1/webhooks" or request.path.startswith("/v1/webhooks/"):
            return self._refusal(request) or self._guarded(self._webhooks, request)
        if request.path == "/v1/runs" or request.path.startswith("/v1/runs/"):
            return self._refusal(request, of_run=True) or self._guarded(self._of_run, request)
        return sentence(404, f"there is /healthz, /metrics, /v1/webhooks, /v1/runs and {INPUT_PATH}")

    def _refusal(self, request: Request, *, of_run: bool = False) -> Reply | None:
        """Why a request may not use the webhook API; None when it may."""
        token = self._settings.api_token
        if not token:
            reason = "create a Secret with BOT_API_TOKEN and restart the bot"
            return sentence(503, f"the webhook API is off: {self._settings.api_token_problem}; {reason}")
        given = bearer(request)
        if not hmac.compare_digest(given.encode("latin-1"), token.reveal().encode()):
            opened = namespace_of(given, token) if of_run else ""
            if not opened:
                return sentence(401, "send the bot's API token as Authorization: Bearer")
            if not request.path.startswith(f"/v1/runs/{opened}/"):
                return sentence(403, f"this credential opens the runs of namespace {opened} alone")
        if self._api is None:
            return sentence(503, f"the bot has no usable token: {self._settings.token_problem}")
        return None

    def _guarded(self, route: Callable[[Request], Reply], request: Request) -> Reply:
        """A route's answer, or Discord's refusal as one."""
        try:
            return route(request)
        except DiscordError as exc:
            self._errors += 1
            self._log.warning("a webhook call failed", reason=str(exc))
            status = {404: 404, 429: 429, 400: 400}.get(exc.status, 502)
            return as_json(status, {"error": str(exc), "discord_status": exc.status, "discord_code": exc.code})

    def _of_run(self, request: Request) -> Reply:
        """Channel and webhook of a run: made, found and deleted by its name."""
        if self._runs is None:
            return sentence(503, "set DISCORD_GUILD_ID (bot.runs.guildId) to have channels made, and restart the bot")
        run = request.path.removeprefix("/v1/runs").strip("/")
        if RUN.fullmatch(run) is None or request.method not in ("PUT", "DELETE"):
            return sentence(405, "PUT or DELETE /v1/runs/<namespace>/<name>")
        if request.method == "DELETE":
            there = self._runs.delete(run, with_channel=request.query.get("channel") == "true")
            self._deleted += there
            self._log.info("run deleted", run=run, there=there)
            return as_json(200, {"run": run, "deleted": there})
        found = self._runs.make(run)
        self._created += found.is_new
        self._log.info("run", run=run, channel=found.channel_id, webhook=found.webhook_id, made=found.is_new)
        answer = shown(found, api_url=self._settings.api_url, key=self._settings.input_key)
        return as_json(201 if found.is_new else 200, answer)

    def _webhooks(self, request: Request) -> Reply:
        assert self._api is not None  # noqa: S101 - _refusal has looked
        rest = request.path.removeprefix("/v1/webhooks").strip("/")
        if not rest and request.method == "POST":
            return self._create(self._api, request)
        if not rest and request.method == "GET":
            return self._find(self._api, request)
        if SNOWFLAKE.fullmatch(rest) and request.method == "DELETE":
            self._api.delete_webhook(rest)
            self._deleted += 1
            self._log.info("webhook deleted", webhook=rest)
            return as_json(200, {"deleted": rest})
        return sentence(405, "POST or GET /v1/webhooks, DELETE /v1/webhooks/<id>")

    def _create(self, api: DiscordApi, request: Request) -> Reply:
        try:
            content = json.loads(request.body)
        except (ValueError, RecursionError):
            content = None
        if not isinstance(content, dict):
            return sentence(400, 'send a JSON object: {"channel_id": "...", "name": "..."}')
        channel, name = str(content.get("channel_id", "")), content.get("name")
        if not SNOWFLAKE.fullmatch(channel):
            return sentence(400, "channel_id is not a channel's id")
        if not isinstance(name, str) or not 1 <= len(name.strip()) <= 80 or re.search("discord|clyde", name.lower()):
            return sentence(400, 'name needs 1 to 80 characters and must hold neither "discord" nor "clyde"')
        made = self._shown(api.create_webhook(channel, name.strip()))
        if "url" not in made:
            return sentence(502, "Discord's answer holds no webhook")
        self._created += 1
        self._log.info("webhook created", webhook=made["id"], channel=channel)
        return as_json(201, made)

    def _find(self, api: DiscordApi, request: Request) -> Reply:
        channel = request.query.get("channel_id", "")
        if not SNOWFLAKE.fullmatch(channel):
            return sentence(400, "give channel_id, and name to narrow it down, in the query")
        name = request.query.get("name")
        found = [self._shown(hook) for hook in api.webhooks(channel) if name is None or hook.get("name") == name]
        return as_json(200, {"webhooks": found})

    def _shown(self, hook: dict[str, Any]) -> dict[str, str]:
        """Id, name and URL of a webhook; no URL when Discord does not give us its token."""
        shown = {"id": str(hook.get("id", "")), "name": str(hook.get("name", ""))}
        if hook.get("id") and hook.get("token"):
            shown["url"] = f"{self._settings.api_url}/webhooks/{hook['id']}/{hook['token']}"
        return shown

    def _metrics(self) -> list[Metric]:
        accepted = self.token_state is TokenState.ACCEPTED
        retries = self._api.retries if self._api is not None else 0
        errors = self._errors + (self.listener.errors if self.listener else 0)
        seen = self._inbox.channels().values()
        readers, waiting = sum(bool(each.reader) for each in seen), sum(each.waiting for each in seen)
        by_mark = self.listener.by_mark if self.listener else dict.fromkeys(Mark, 0)
        return [
            Metric("bot_token_accepted", "gauge", "1 when Discord accepts the bot token.", accepted),
            Metric("bot_webhooks_created_total", "counter", "Webhooks made on request.", self._created),
            Metric("bot_webhooks_deleted_total", "counter", "Webhooks deleted on request.", self._deleted),
            Metric("bot_sweeps_total", "counter", "Retention sweeps begun.", self._sweeps),
            Metric("bot_messages_swept_total", "counter", "Messages deleted by retention.", self._swept),
            Metric("bot_api_retries_total", "counter", "Calls to Discord repeated.", retries),
            Metric("bot_api_errors_total", "counter", "Calls to Discord that failed.", errors),
            Metric("bot_input_readers", "gauge", "Agents that pull their input now.", readers),
            Metric("bot_commands_waiting", "gauge", "Commands that no agent has taken yet.", waiting),
            *(
                Metric("bot_commands_total", "counter", "Commands by their end.", count, f'end="{mark.name.lower()}"')
                for mark, count in by_mark.items()
            ),
        ]


def main(env: Mapping[str, str], stop: Stop) -> int:
    """Run until SIGTERM; exit status 0. Status 1 only when the port is taken."""
    settings = bot_settings(env)
    redactor = Redactor([settings.token.reveal(), settings.api_token.reveal(), settings.input_key.reveal()])
    log = Log("bot", threshold=settings.threshold, redact=redactor)
    log.catch_strays()
    for problem in settings.problems:
        log.warning("a setting is not usable", reason=problem)
    bot = Bot(settings, stop=stop, log=log)
    try:
        server = HttpServer(
            wildcard_address(), settings.health_port, bot.answer, max_body=MAX_BODY_BYTES,
            on_crash=lambda exc: log.crash("a request failed", exc), max_connections=MAX_HELD + MAX_CONNECTIONS,
        )  # fmt: skip
    except OSError as exc:
        log.error("the port cannot be opened: set HEALTH_PORT to a free one", reason=exc.strerror)
        return 1
    server.start()
    # The work runs beside, so that a call to Discord under way never delays the end.
    threading.Thread(target=bot.run, name="discord", daemon=True).start()
    if bot.listener is not None:
        threading.Thread(target=bot.listener.run, name="commands", daemon=True).start()
    log.info("bot started", retention=settings.retention is not None, commands=settings.commands_off or "on")
    while not stop.wait(3600.0):
        time.sleep(0)
    server.close()
    log.info("stopped")
    return 0

# SPDX-License-Identifier: GPL-3.0-or-later
# SPDX-FileCopyrightText: 2026 The orchestrator.platform authors
"""A channel and a webhook of its own for a run: made by the bot, kept in a Secret that the run owns (DM-210).

The webhook's URL goes from the bot's answer into the Secret, and stands nowhere else. Asking the bot twice gives the
same, and the Secret's name follows from the run, so that a process killed in between does no harm. Trouble here never
keeps an agent from its work: after a while it starts without a channel, and the run says why.
"""

from __future__ import annotations

import base64
import json
import threading
import time
from typing import TYPE_CHECKING, Any, NamedTuple

from discord_monitor.http_client import HttpClient, TransportError
from orchestrator import naming
from orchestrator.fields import INPUT, WEBHOOK
from orchestrator.kube import SECRETS, USER_AGENT, ApiError
from orchestrator.settings import read_token

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from discord_monitor.http_client import Answer
    from orchestrator.config import Config
    from orchestrator.kube import Api, Obj

CHANNEL_ANNOTATION = "orchestrator.platform/channel-id"
READ_LIMIT_S = 20.0  # the bot waits for Discord itself, which may ask it to
PATIENCE_S = 60.0  # for a bot that does not answer; the agent starts without a channel then
RETRY_S = 5.0  # between two questions to such a bot, whoever asks
MAX_MEMORIES = 4096  # runs that are known to have a channel, or to wait for one; arbitrary
MAX_REASON = 200
PASSING = (429, 500, 502, 504)  # what another try may mend; any other refusal needs somebody


class Channel(NamedTuple):
    """The run's Secret and the variables in it; `reason` and `sentence` where it has no channel."""

    secret: str
    keys: frozenset[str] = frozenset()
    channel_id: str = ""
    reason: str = ""
    sentence: str = ""


class NotYet(Exception):  # noqa: N818 - a state: ask again
    """The bot does not answer, and it is too early to go without it; the text is a sentence."""


class _BotError(Exception):
    """What was asked for is not to be had; `passing` when another try may mend it."""

    def __init__(self, sentence: str, *, passing: bool) -> None:
        super().__init__(sentence[:MAX_REASON])
        self.passing = passing


class Channels:
    """Asks the bot on behalf of runs. Safe for many threads."""

    def __init__(
        self, api: Api, namespace: str, credential_file: Path | None, *, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._api = api
        self._namespace = namespace
        self._credential_file = credential_file
        self._clock = clock
        self._lock = threading.Lock()
        self._since: dict[str, float] = {}  # uid of a run -> when its first question was not answered
        self._open: dict[tuple[str, str], str] = {}  # kind and name of a run with a channel -> the bot's address
        self._quiet_until, self._quiet_reason = float("-inf"), ""
        self.counts = {"made": 0, "deleted": 0, "failed": 0}

    def provide(self, run: Obj, kind: str, config: Config) -> Channel:
        """The run's channel, made or found. Raises NotYet, and ApiError and Unreachable of the API server."""
        meta = run["metadata"]
        name = naming.channel_secret(run, kind)
        found = self._api.get(SECRETS, self._namespace, name)
        if found is not None and naming.belongs_to(found, run) and (found.get("data") or {}).get(WEBHOOK):
            self._remember(kind, meta["name"], config.channels_url)
            return _as_channel(found)
        try:
            made = self._made(run, kind, config)
            self._remember(kind, meta["name"], config.channels_url)
            if not config.bridge:
                made.pop("input_credential", None)  # nobody here would use it
            kept = self._keep(run, kind, name, made)
        except _BotError as exc:
            if exc.passing and self._is_early(meta["uid"]):
                raise NotYet(f"The run's channel is not made yet: {exc}") from None
            reason = "ChannelUnavailable" if exc.passing else "ChannelRefused"
            self._forget_wait(meta["uid"])
            return Channel(name, reason=reason, sentence=f"The watcher has no channel to post to: {exc}")
        self._forget_wait(meta["uid"])
        return _as_channel(kept)

    def close(self, run: Obj, kind: str, config: Config) -> str:
        """Delete the run's webhook and Secret, not its channel. Raises NotYet, ApiError and Unreachable.

        A sentence about what is left, empty when nothing is.
        """
        meta = run["metadata"]
        if not config.channels_url:
            return ""
        found = self._api.get(SECRETS, self._namespace, naming.channel_secret(run, kind))
        if found is None or not naming.belongs_to(found, run):
            return ""
        left = ""
        try:
            self._ask("DELETE", config.channels_url, naming.run_path(self._namespace, kind, meta["name"]))
            self._count("deleted")
        except _BotError as exc:
            # The Secret goes last: what is not deleted yet is found by it.
            if exc.passing and self._is_early(meta["uid"]):
                raise NotYet(f"The run's webhook is not deleted yet: {exc}") from None
            left = f" Its webhook is left: {exc}"
        self._api.delete(SECRETS, self._namespace, found["metadata"]["name"], found["metadata"]["uid"])
        self._forget_wait(meta["uid"])
        with self._lock:
            self._open.pop((kind, meta["name"]), None)
        return left

    def farewell(self, kind: str, name: str) -> str:
        """Delete the webhook of a run that is gone, and its Secret with it; asked once, and why it failed."""
        with self._lock:
            url = self._open.pop((kind, name), "")
        if not url:
            return ""
        try:
            self._ask("DELETE", url, naming.run_path(self._namespace, kind, name))
            self._count("deleted")
        except _BotError as exc:
            return str(exc)
        return ""

    def _made(self, run: Obj, kind: str, config: Config) -> dict[str, Any]:
        """The bot's answer: url, channel_id, and input_credential where it has a key for that."""
        path = naming.run_path(self._namespace, kind, run["metadata"]["name"])
        answer = self._ask("PUT", config.channels_url, path)
        url, channel = answer.get("url"), answer.get("channel_id")
        if not isinstance(url, str) or not url.startswith(("https://", "http://")) or not isinstance(channel, str):
            raise _BotError("what answers at sidecar.runChannels.botUrl is not the bot.", passing=False)
        self._count("made")
        return answer

    def _keep(self, run: Obj, kind: str, name: str, made: dict[str, Any]) -> Obj:
        """The Secret with what the bot has made, owned by the run."""
        values = {WEBHOOK: made["url"], INPUT: made.get("input_credential")}
        data = {key: base64.b64encode(str(value).encode()).decode() for key, value in values.items() if value}
        annotations = {CHANNEL_ANNOTATION: made["channel_id"]}
        body: Obj = {
            "apiVersion": "v1",
            "kind": "Secret",
            "type": "Opaque",
            "metadata": {
                "name": name,
                "namespace": self._namespace,
                "labels": naming.labels(run, kind, 1) | {"component": naming.CHANNEL_COMPONENT},
                "annotations": annotations,
                "ownerReferences": [naming.owner(run)],
            },
            "data": data,
        }
        try:
            kept = self._api.create(SECRETS, self._namespace, body)
            if kept is not None:
                return kept
            known = self._api.get(SECRETS, self._namespace, name)
            if known is not None and not naming.belongs_to(known, run):
                raise _BotError(f"Secret {name} is there and belongs to somebody else.", passing=False)
            patch = {"data": data, "metadata": {"annotations": annotations}}
            kept = self._api.merge(SECRETS, self._namespace, name, patch)
        except ApiError as exc:
            if not exc.is_refusal:
                raise
            raise _BotError(f"the API server refuses Secret {name}: {exc}", passing=False) from None
        if kept is None:
            raise ApiError(409, "Conflict", f"Secret {name} was there and is gone")
        return kept

    def _ask(self, verb: str, url: str, path: str) -> dict[str, Any]:
        """A request to the bot; raises _BotError."""
        credential = read_token(self._credential_file).decode("latin-1")
        if not credential:
            raise _BotError("the controller has no credential for the bot (sidecar.runChannels).", passing=False)
        if self._clock() < self._quiet_until:
            raise _BotError(self._quiet_reason, passing=True)
        client = HttpClient(url, read_limit_s=READ_LIMIT_S)  # one request a run: not worth keeping
        try:
            headers = {"Authorization": f"Bearer {credential}", "User-Agent": USER_AGENT}
            answer = client.request(verb, f"/v1/runs/{path}", headers=headers)
        except TransportError as exc:
            self._count("failed")
            self._quiet_reason = f"the bot does not answer: {exc}."
            self._quiet_until = self._clock() + RETRY_S
            raise _BotError(self._quiet_reason, passing=True) from None
        finally:
            client.close()
        content = _content(answer)
        if answer.status >= 400:
            self._count("failed")
            why = " ".join(str(content.get("error") or f"status {answer.status}").split())
            raise _BotError(f"the bot says: {why}.", passing=answer.status in PASSING)
        return content

    def _is_early(self, uid: str) -> bool:
        """Whether a run has not waited for the bot long enough to go without it."""
        with self._lock:
            since = self._since.setdefault(uid, self._clock())
            _shorten(self._since)
        return self._clock() - since < PATIENCE_S

    def _forget_wait(self, uid: str) -> None:
        with self._lock:
            self._since.pop(uid, None)

    def _remember(self, kind: str, name: str, url: str) -> None:
        with self._lock:
            self._open[kind, name] = url
            _shorten(self._open)

    def _count(self, outcome: str) -> None:
        with self._lock:
            self.counts[outcome] += 1


def _shorten(memory: dict[Any, Any]) -> None:
    """Forget the oldest entries of one that has grown too long."""
    while len(memory) > MAX_MEMORIES:
        del memory[next(iter(memory))]


def _as_channel(secret: Obj) -> Channel:
    meta = secret["metadata"]
    keys = frozenset(key for key, value in (secret.get("data") or {}).items() if value)
    return Channel(meta["name"], keys, str((meta.get("annotations") or {}).get(CHANNEL_ANNOTATION, "")))


def _content(answer: Answer) -> dict[str, Any]:
    try:
        content = json.loads(answer.body)
    except (ValueError, RecursionError):
        return {}
    return content if isinstance(content, dict) else {}

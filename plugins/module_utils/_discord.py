# SPDX-License-Identifier: GPL-3.0-or-later
# SPDX-FileCopyrightText: 2026 The orchestrator.platform authors
#
# Private to this collection: names and behaviour may change in any release.
"""Discord's REST API from the control node: the calls of the module `discord_webhook`, within Discord's rate limits."""

from __future__ import annotations

import json
import time
import typing as t

from ansible_collections.orchestrator.platform.plugins.module_utils._errors import PlatformError
from ansible_collections.orchestrator.platform.plugins.module_utils._webhook import refusal
from ansible_collections.orchestrator.platform.plugins.module_utils._workloads import Json, Obj

MAX_WAIT_S = 60.0  # for all waits of one call together
MAX_ATTEMPTS = 4

# Method, URL, headers, body -> status, headers, body. Raises OSError where no answer comes; the module brings it, with
# Ansible's own client behind it.
Send = t.Callable[[str, str, dict[str, str], "bytes | None"], tuple[int, dict[str, str], bytes]]


class Discord:
    """Calls with one bot token, one after the other."""

    def __init__(self, api_url: str, token: str, send: Send, *, wait: t.Callable[[float], None] = time.sleep) -> None:
        self._api_url = api_url
        self._token = token
        self._send = send
        self._wait = wait
        self._pause_s = 0.0
        self.calls = 0

    def webhooks(self, channel: str) -> list[Obj]:
        """The webhooks of a channel. Raises PlatformError, as all of these do."""
        found = self._call("GET", f"/channels/{channel}/webhooks")
        return [one for one in found if isinstance(one, dict)] if isinstance(found, list) else []

    def create(self, channel: str, name: str) -> Obj:
        """Make a webhook."""
        made = self._call("POST", f"/channels/{channel}/webhooks", {"name": name})
        return made if isinstance(made, dict) else {}

    def delete(self, webhook: str) -> None:
        """Delete a webhook; one that is gone already counts as deleted."""
        try:
            self._call("DELETE", f"/webhooks/{webhook}")
        except PlatformError as exc:
            if exc.details.get("status") != 404:
                raise

    def _call(self, method: str, path: str, content: Json = None) -> Json:
        waited_s = 0.0
        for attempt in range(1, MAX_ATTEMPTS + 1):
            if self._pause_s:
                self._wait(self._pause_s)
                waited_s, self._pause_s = waited_s + self._pause_s, 0.0
            status, headers, body = self._ask(method, path, content)
            if status < 400:
                if headers.get("x-ratelimit-remaining") == "0":
                    self._pause_s = min(_number(headers.get("x-ratelimit-reset-after")), MAX_WAIT_S)
                return body
            told = body if isinstance(body, dict) else {}
            wanted_s = _number(told.get("retry_after"), headers.get("retry-after")) or 1.0
            # A POST that failed inside Discord may have been carried out: a second webhook would be made.
            again = status == 429 or (status >= 500 and method != "POST")
            if not again or attempt == MAX_ATTEMPTS or waited_s + wanted_s > MAX_WAIT_S:
                code = told.get("code")
                raise refusal(status, code if isinstance(code, int) else 0)
            self._pause_s = wanted_s
        raise AssertionError  # the loop returns or raises

    def _ask(self, method: str, path: str, content: Json) -> tuple[int, dict[str, str], Json]:
        """One request; status, headers with names in lower case, and the decoded body."""
        self.calls += 1
        data = None if content is None else json.dumps(content).encode()
        headers = {"Authorization": f"Bot {self._token}", "Content-Type": "application/json"}
        try:
            status, found, body = self._send(method, self._api_url + path, headers, data)
        except OSError as exc:
            reason = str(getattr(exc, "reason", exc)).replace(self._token, "<token>")[:200]
            raise PlatformError(
                f"Discord cannot be reached ({reason}): check api_url, the network and the proxy, then run again."
            ) from None
        try:
            return status, found, json.loads(body or b"null")
        except ValueError:
            return status, found, None


def _number(*values: object) -> float:
    for value in values:
        try:
            return max(0.0, float(value))  # type: ignore[arg-type]
        except (TypeError, ValueError):
            continue
    return 0.0

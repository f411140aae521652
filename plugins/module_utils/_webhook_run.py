# SPDX-License-Identifier: GPL-3.0-or-later
# SPDX-FileCopyrightText: 2026 The orchestrator.platform authors
#
# Private to this collection: names and behaviour may change in any release.
"""A run of the module `discord_webhook`: the channel is looked at, the Secret tried, and only then anything is made.

The Secret is written by the code of the module `secret`; what is made for a Secret that then cannot be written is
deleted again.
"""

from __future__ import annotations

import base64
import types
import typing as t
from collections.abc import Callable

from ansible_collections.orchestrator.platform.plugins.module_utils._cluster import Cluster
from ansible_collections.orchestrator.platform.plugins.module_utils._discord import Discord
from ansible_collections.orchestrator.platform.plugins.module_utils._errors import PlatformError
from ansible_collections.orchestrator.platform.plugins.module_utils._secret_plan import ANNOTATION_ROTATION
from ansible_collections.orchestrator.platform.plugins.module_utils._secret_writing import SecretRun
from ansible_collections.orchestrator.platform.plugins.module_utils._webhook import (
    Hook,
    held_by,
    ours,
    problems_of,
    secret_row,
)
from ansible_collections.orchestrator.platform.plugins.module_utils._workloads import Foreign, Obj, annotation

# Stands for a webhook that is not made yet, in dry runs. It opens nothing.
_UNMADE = "https://discord.invalid/api/webhooks/0/not-made-yet"


class WebhookRun:
    """One webhook of a channel, and the Secret that holds its URL."""

    def __init__(
        self, module: Foreign, connect: Callable[[], Cluster], discord: Discord, *, hidden: bool = False
    ) -> None:
        self._module = module
        self._params = module.params
        self._connect = connect
        self._discord = discord
        self._dry = bool(module.check_mode)
        self._hidden = hidden  # the task has no_log
        self._cluster: Cluster | None = None

    def result(self) -> Obj:
        """The module's result; raises PlatformError, with nothing left half done."""
        problems = problems_of(self._params)
        if self._params["return_url"] and not self._hidden:
            problems.append("return_url shows a credential: set no_log: true on the task.")
        if problems:
            raise PlatformError("\n".join(problems), problems=problems, changed=False)
        live = self._live()
        hooks = ours(self._discord.webhooks(self._params["channel_id"]), self._params["name"].strip())
        return self._present(hooks, live) if self._params["state"] == "present" else self._absent(hooks)

    def _present(self, hooks: list[Hook], live: Obj | None) -> Obj:
        held = self._held(live)
        used = held_by(held, hooks)
        is_turn = live is not None and self._params["rotate"] not in (None, annotation(live, ANNOTATION_ROTATION))
        hook = used or next(iter(hooks), None)
        if hook is None or (is_turn and used is not None):
            return self._made(old=used)
        written = self._secret(held if used is not None else hook.url(self._params["api_url"]), dry=self._dry)
        return self._told("unchanged", hook, written)

    def _made(self, *, old: Hook | None) -> Obj:
        """A new webhook in the Secret, then without the old one."""
        outcome = "created" if old is None else "rotated"
        tried = self._secret(_UNMADE, dry=True)
        if self._dry:
            return self._told(outcome, None, tried)
        made = ours([self._discord.create(self._params["channel_id"], self._params["name"].strip())], self._name)
        if not made:
            raise PlatformError("Discord's answer holds no webhook: look at the channel, then run again.")
        try:
            written = self._secret(made[0].url(self._params["api_url"]), dry=False)
        except PlatformError as exc:
            self._delete(made[0], f"the webhook made for it has to go again. {exc}")
            raise
        if old is not None:
            self._delete(old, "the Secret holds the new webhook's URL, and the old one has to go.")
        return self._told(outcome, made[0], written)

    def _delete(self, hook: Hook, why: str) -> None:
        try:
            self._discord.delete(hook.id)
        except PlatformError as exc:
            raise PlatformError(
                f"Webhook {hook.id} could not be deleted, though {why} Delete it in Discord's settings of the channel. "
                f"{exc}",
                **exc.details,
            ) from exc

    def _absent(self, hooks: list[Hook]) -> Obj:
        """All webhooks of ours with this name, and the Secret if it is ours."""
        self._secret("", dry=True)
        for hook in hooks if not self._dry else []:
            self._discord.delete(hook.id)
        removed = self._secret("", dry=self._dry)
        return self._told("removed" if hooks else "absent", None, removed, deleted=[hook.id for hook in hooks])

    # -- the Secret -----------------------------------------------------------------------------------------------

    @property
    def _name(self) -> str:
        return str(self._params["name"]).strip()

    def _live(self) -> Obj | None:
        secret = self._params["secret"]
        if not secret:
            return None
        self._cluster = self._connect()
        return self._cluster.find(f"/api/v1/namespaces/{secret['namespace']}/secrets/{secret['name']}")

    def _held(self, live: Obj | None) -> str:
        """The URL in the Secret; empty when there is none."""
        data = (live or {}).get("data") or {}
        key = (self._params["secret"] or {}).get("key")
        try:
            return base64.b64decode(data.get(key) or "").decode()
        except ValueError:
            return ""

    def _secret(self, url: str, *, dry: bool) -> Obj | None:
        """What becomes of the Secret, None without one; raises PlatformError where it cannot be so."""
        secret = self._params["secret"]
        if not secret:
            return None
        params = {
            **self._params, "secrets": [secret_row(secret, url, self._params["rotate"])], "namespace": None,
            "state": self._params["state"], "recreate": False, "problems": [],
        }  # fmt: skip
        task = types.SimpleNamespace(params=params, check_mode=dry, warn=self._module.warn)
        return SecretRun(task, lambda: t.cast("Cluster", self._cluster)).result()

    # -- telling --------------------------------------------------------------------------------------------------

    def _told(self, outcome: str, hook: Hook | None, secret: Obj | None, *, deleted: list[str] | None = None) -> Obj:
        api_url, changed = self._params["api_url"], outcome in ("created", "rotated", "removed")
        told = {"outcome": outcome, "id": hook.id if hook else "", "name": self._name, "deleted": deleted or []}
        result: Obj = {
            "changed": changed or bool(secret and secret["changed"]),
            "webhook": told,
            "secret": secret["secrets"][0] if secret else {},
            "diff": {"before": {}, "after": {"webhook": outcome} if changed else {}},
        }
        if secret:
            for side in ("before", "after"):
                result["diff"][side] = {**result["diff"][side], **secret["diff"][side]}
        if self._params["return_url"]:
            result["url"] = hook.url(api_url) if hook else ""
        return result

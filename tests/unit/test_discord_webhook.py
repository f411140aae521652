# SPDX-License-Identifier: GPL-3.0-or-later
# SPDX-FileCopyrightText: 2026 The orchestrator.platform authors
"""Module discord_webhook against the fake Discord, which keeps Discord's rules, and an API server that keeps one Secret."""

from __future__ import annotations

import base64
import json
import types

import pytest
from ansible.module_utils.testing import patch_module_args
from ansible_collections.kubernetes.core.plugins.module_utils.args_common import AUTH_ARG_SPEC
from ansible_collections.orchestrator.platform.plugins.module_utils._discord import Discord
from ansible_collections.orchestrator.platform.plugins.module_utils._errors import PlatformError
from ansible_collections.orchestrator.platform.plugins.module_utils._webhook_run import WebhookRun
from ansible_collections.orchestrator.platform.plugins.modules import discord_webhook

from local_discord import local_discord

from .loopback import Server, cluster_at

TOKEN = "canary-bot-token-of-the-tests"
CHANNEL = "81384788765712384"
PLACE = "/api/v1/namespaces/agents/secrets/discord-secrets"


class OneSecret(Server):
    """Keeps the Secret as an API server does: apply, dry run, delete. `refuse` is the status of every real write."""

    def __init__(self) -> None:
        super().__init__()
        self.secret: dict | None = None
        self.refuse = 0
        self.writes = 0

    def reply(self, method, path, query):
        assert path == PLACE
        body = json.loads(self.seen[-1][4] or b"{}")
        dry = "dryRun" in query or body.get("dryRun")
        if method == "GET":
            return (200, json.dumps(self.secret), {}) if self.secret else self.status(404)
        if self.refuse and not dry:
            return self.status(self.refuse)
        if dry:
            return 200, json.dumps(body), {}
        self.writes += 1
        if method == "DELETE":
            self.secret = None
            return 200, "{}", {}
        old = self.secret or {"metadata": {}, "data": {}}
        meta = old["metadata"] | body["metadata"] | {"uid": "u", "resourceVersion": str(self.writes)}
        self.secret = {**body, "type": "Opaque", "metadata": meta, "data": old["data"] | body.get("data", {})}
        return 200, json.dumps(self.secret), {}

    @staticmethod
    def status(code):
        content = {"kind": "Status", "status": "Failure", "message": "no", "reason": "No", "code": code}
        return code, json.dumps(content), {}

    def held(self) -> str:
        return base64.b64decode(self.secret["data"]["DISCORD_WEBHOOK_URL"]).decode() if self.secret else ""


@pytest.fixture
def api():
    server = OneSecret()
    yield server
    server.close()


@pytest.fixture
def discord():
    with local_discord(TOKEN) as (fake, url):
        fake.url = url
        yield fake


@pytest.fixture
def run(discord, api):
    """The module's work from its parameters on."""

    def start(*, check=False, hidden=False, wait=lambda _s: None, secret=True, **given):
        params = dict.fromkeys(AUTH_ARG_SPEC) | {
            "state": "present", "bot_token": TOKEN, "channel_id": CHANNEL, "name": "agents", "rotate": None,
            "secret": {"namespace": "agents", "name": "discord-secrets", "key": "DISCORD_WEBHOOK_URL"} if secret else None,
            "return_url": False, "api_url": discord.url,
        } | given  # fmt: skip
        module = types.SimpleNamespace(params=params, check_mode=check, warn=print)
        client = Discord(params["api_url"], params["bot_token"], discord_webhook.send, wait=wait)
        return WebhookRun(module, lambda: cluster_at(api.url), client, hidden=hidden).result()

    return start


def hooks(discord):
    return {hook.id: hook for hook in discord.guild.webhooks.values()}


def test_made_once_written_once_and_then_as_wanted(run, discord, api):
    """D5: a second run asks both sides and writes to neither; the URL is in no result (D6)."""
    first = run()
    (hook,) = hooks(discord).values()
    assert (first["changed"], first["webhook"]["outcome"], first["webhook"]["id"]) == (True, "created", hook.id)
    assert api.held() == f"{discord.url}/webhooks/{hook.id}/{hook.token}"
    assert api.secret["metadata"]["labels"]["app.kubernetes.io/component"] == "webhook"
    second = run()
    assert (second["changed"], second["webhook"]["outcome"]) == (False, "unchanged")
    assert (len(hooks(discord)), api.writes) == (1, 1)
    for told in (first, second):
        assert hook.token not in json.dumps(told)
        assert TOKEN not in json.dumps(told)


def test_check_mode_makes_nothing_and_tells_the_same(run, discord, api):
    told = run(check=True)
    assert (told["changed"], told["webhook"]["outcome"], told["webhook"]["id"]) == (True, "created", "")
    assert told["secret"]["outcome"] == "created"
    assert (hooks(discord), api.secret) == ({}, None)


def test_webhook_that_is_there_is_found_and_not_made_again(run, discord, api):
    """Of several the oldest; those of another name, and those without a token for us, are not meant."""
    discord.guild.create_webhook(CHANNEL, "other", "o" * 60)
    discord.guild.create_webhook(CHANNEL, "agents", "")
    oldest = discord.guild.create_webhook(CHANNEL, "agents", "a" * 60)
    discord.guild.create_webhook(CHANNEL, "agents", "b" * 60)
    told = run()
    assert (told["webhook"]["outcome"], told["webhook"]["id"]) == ("unchanged", oldest.id)
    assert api.held().endswith(f"/webhooks/{oldest.id}/{oldest.token}")


def test_the_one_in_the_secret_counts_in_any_spelling(run, discord, api):
    """A URL that somebody has put there without the version of the API stays as it is."""
    discord.guild.create_webhook(CHANNEL, "agents", "a" * 60)
    used = discord.guild.create_webhook(CHANNEL, "agents", "b" * 60)
    run()
    url = f"https://discord.com/api/webhooks/{used.id}/{used.token}"
    api.secret["data"]["DISCORD_WEBHOOK_URL"] = base64.b64encode(url.encode()).decode()
    told = run()
    assert (told["changed"], told["webhook"]["id"], api.held()) == (False, used.id, url)


def test_rotation_happens_once_a_marker(run, discord, api):
    """New webhook, then the Secret, then the old one goes; and in check mode none of it."""
    first = run(rotate="one")["webhook"]["id"]
    assert run(rotate="one")["webhook"] == {"outcome": "unchanged", "id": first, "name": "agents", "deleted": []}
    assert run(rotate="two", check=True)["webhook"]["outcome"] == "rotated"
    assert list(hooks(discord)) == [first]
    told = run(rotate="two")["webhook"]
    assert (told["outcome"], list(hooks(discord))) == ("rotated", [told["id"]])
    assert told["id"] != first
    assert f"/webhooks/{told['id']}/" in api.held()
    assert run(rotate="two")["changed"] is False


def test_secret_that_cannot_be_written_leaves_no_webhook(run, discord, api):
    """Nothing half done: what was made for it is deleted again."""
    api.refuse = 403
    with pytest.raises(PlatformError, match="discord-secrets"):
        run()
    assert hooks(discord) == {}


def test_somebody_elses_secret_is_left_alone_before_anything_is_made(run, discord, api):
    api.secret = {"metadata": {"name": "discord-secrets", "uid": "x"}, "type": "Opaque", "data": {"a": "Yg=="}}
    with pytest.raises(PlatformError, match="is not ours"):
        run()
    assert (hooks(discord), api.writes) == ({}, 0)
    assert discord.guild.statuses == {"200": 1}, "the list of webhooks is all that was asked"


def test_absent_takes_both_away_and_is_content_with_nothing(run, discord, api):
    other = discord.guild.create_webhook(CHANNEL, "other", "o" * 60)
    made = run()["webhook"]["id"]
    assert run(state="absent", check=True)["webhook"]["deleted"] == [made]
    assert (len(hooks(discord)), api.writes) == (2, 1)
    told = run(state="absent")
    assert (told["changed"], told["webhook"]["outcome"], told["webhook"]["deleted"]) == (True, "removed", [made])
    assert (list(hooks(discord)), api.secret) == ([other.id], None)
    assert run(state="absent")["changed"] is False


def test_url_is_returned_only_to_a_task_with_no_log(run, discord):
    with pytest.raises(PlatformError, match="no_log: true"):
        run(return_url=True, secret=False)
    assert hooks(discord) == {}
    told = run(return_url=True, secret=False, hidden=True)
    (hook,) = hooks(discord).values()
    assert told["url"] == f"{discord.url}/webhooks/{hook.id}/{hook.token}"


@pytest.mark.parametrize(
    ("given", "sentence"),
    [
        ({"channel_id": "general"}, "channel_id is not the id"),
        ({"name": "my Discord"}, "name needs 1 to 80"),
        ({"name": " "}, "name needs 1 to 80"),
        ({"api_url": "https://user:pass@discord.com/api"}, "api_url is not"),
        ({"bot_token": "two words-canary"}, "bot_token is empty, or holds"),
        ({"rotate": "x", "secret": None}, "rotate needs secret"),
        ({"return_url": True}, "leave secret out"),
    ],
)
def test_wrong_arguments_are_told_before_anybody_is_asked(run, discord, api, given, sentence):
    with pytest.raises(PlatformError, match=sentence) as told:
        run(hidden=True, **given)
    assert "canary" not in str(told.value)
    assert (discord.guild.statuses, api.seen) == ({}, [])


@pytest.mark.parametrize(
    ("fault", "status", "sentence"),
    [
        ({"mode": "error", "status": 403}, 403, "Manage Webhooks"),
        ({"mode": "error", "status": 404}, 404, "channel_id"),
        ({"mode": "error", "status": 500}, 500, "refuses the call"),
        ({"mode": "rate_limited", "retry_after": 3600}, 429, "limits the rate"),
        ({"mode": "drop"}, None, "cannot be reached"),
    ],
)
def test_refusals_are_sentences_with_a_remedy(run, discord, control, fault, status, sentence):
    control(**fault)
    with pytest.raises(PlatformError, match=sentence) as told:
        run()
    assert told.value.details.get("status") == status
    assert TOKEN not in str(told.value)


@pytest.fixture
def control(discord):
    def switch(**fault):
        body = json.dumps(fault).encode()
        call = types.SimpleNamespace(json=lambda: json.loads(body))
        assert discord._control(call).status == 200

    return switch


def test_token_that_is_not_accepted(run):
    with pytest.raises(PlatformError, match="does not accept the bot token"):
        run(bot_token="another")


def test_rate_limit_is_waited_for_as_asked(run, discord, control):
    """429 with retry_after; the wait is what Discord says, and the call is made again."""
    waits = []
    control(mode="rate_limited", retry_after=1.5, count=2)
    assert run(wait=waits.append)["webhook"]["outcome"] == "created"
    assert waits == [1.5, 1.5]
    assert len(hooks(discord)) == 1


def test_creation_that_may_have_happened_is_not_repeated(discord, control):
    """A second webhook would be made; the next run finds the first one."""
    client = Discord(discord.url, TOKEN, discord_webhook.send, wait=lambda _s: None)
    control(mode="error", status=502, count=1)
    with pytest.raises(PlatformError):
        client.create(CHANNEL, "agents")
    assert client.calls == 1
    control(mode="error", status=502, count=2)
    assert client.webhooks(CHANNEL) == []
    assert client.calls == 4


def test_netrc_does_not_replace_the_token(run, discord, tmp_path, monkeypatch):
    """Ansible's own client would take credentials of the host from there."""
    (tmp_path / "netrc").write_text("machine 127.0.0.1 login somebody password else\n")
    (tmp_path / "netrc").chmod(0o600)
    monkeypatch.setenv("NETRC", str(tmp_path / "netrc"))
    assert run()["webhook"]["outcome"] == "created"


def test_module_itself_hides_the_token(discord, capfd):
    """From its arguments on: what -vvv shows of the invocation holds no token, and a failure is one sentence."""
    args = {"bot_token": TOKEN, "channel_id": CHANNEL, "api_url": discord.url + "/", "return_url": True}
    with patch_module_args(args), pytest.raises(SystemExit):
        discord_webhook.main()
    out = capfd.readouterr().out
    assert json.loads(out)["msg"] == "return_url shows a credential: set no_log: true on the task."
    assert TOKEN not in out

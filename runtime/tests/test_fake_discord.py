# SPDX-License-Identifier: GPL-3.0-or-later
# SPDX-FileCopyrightText: 2026 The orchestrator.platform authors
"""The fake Discord answers as Discord does; otherwise the other tests prove nothing (DM-A28)."""

from __future__ import annotations

import http.client
import json
import re
import time
from pathlib import Path
from types import SimpleNamespace

import pytest
from processes import PATIENCE_S, TOKEN, get

import platform_demo
from platform_demo import fake_discord

STATIC = Path(platform_demo.__file__).parent / "static"


def post(discord, content, *, hook=f"1/{TOKEN}", query="?wait=true"):
    return get(f"{discord.api}/webhooks/{hook}{query}", data=json.dumps(content).encode())


def embeds(*given):
    return {"embeds": list(given)}


def test_execute_with_and_without_wait(discord):
    status, message = post(discord, {"content": "hi"})
    assert status == 200
    assert message["id"].isdigit()
    assert post(discord, {"content": "ho"}, query="")[0] == 204
    assert [message["content"] for message in discord.messages()] == ["hi", "ho"]


@pytest.mark.parametrize(
    "payload",
    [
        embeds(*[{"title": "x"}] * 11),
        embeds({"title": "x" * 257}),
        embeds({"description": "x" * 4097}),
        embeds(*[{"description": "x" * 3001}] * 2),
        embeds({"fields": [{"name": "n", "value": "v"}] * 26}),
        embeds({"fields": [{"name": "n" * 257, "value": "v"}]}),
        embeds({"fields": [{"name": "n", "value": "v" * 1025}]}),
        embeds({"fields": [{"name": "n", "value": " "}]}),
        embeds({"title": "x", "footer": {"text": "x" * 2049}}),
        embeds({}),
        {"content": "x" * 2001},
        [],
    ],
)
def test_limits_are_enforced_in_discords_shape(discord, payload):
    status, body = post(discord, payload)
    assert (status, body["code"]) == (400, 50035)
    assert "errors" in body
    assert discord.messages() == []


def test_empty_message(discord):
    assert post(discord, {})[1]["code"] == 50006


def test_unknown_webhook_and_wrong_token(discord):
    assert post(discord, {"content": "x"}, hook=f"123456789012345678/{TOKEN}")[1]["code"] == 10015
    post(discord, {"content": "x"})
    status, body = post(discord, {"content": "x"}, hook="1/another-token")
    assert (status, body["code"]) == (401, 50027)


def test_a_text_channel_refuses_to_open_a_thread(discord):
    """Issue 7.3: Discord's own rule; a thread that is there may be used."""
    assert post(discord, {"content": "x", "thread_name": "new"})[1]["code"] == 220003
    status, message = post(discord, {"content": "x"}, query="?wait=true&thread_id=77")
    assert (status, message["channel_id"]) == (200, "77")


def test_a_forum_takes_messages_in_threads_only(discord):
    """Issue 7.3: a name opens one, whose id is that of the first message; an id goes on with it; both or none is refused."""
    forum = f"500000001/{TOKEN}"
    assert post(discord, {"content": "x"}, hook=forum)[1]["code"] == 220001
    assert post(discord, {"content": "x", "thread_name": "n" * 101}, hook=forum)[1]["code"] == 50035
    _status, first = post(discord, {"content": "x", "thread_name": "new"}, hook=forum)
    assert first["channel_id"] == first["id"]
    query = f"?wait=true&thread_id={first['id']}"
    assert post(discord, {"content": "y"}, hook=forum, query=query)[1]["channel_id"] == first["id"]
    assert post(discord, {"content": "y", "thread_name": "new"}, hook=forum, query=query)[1]["code"] == 220002
    assert get(f"{discord.base}/stats")[1]["threads"] == {first["id"]: "9500000001"}


def test_a_thread_that_is_deleted_is_unknown(discord):
    forum = f"500000001/{TOKEN}"
    _status, first = post(discord, {"content": "x", "thread_name": "new"}, hook=forum)
    url = f"{discord.api}/channels/{first['id']}"
    assert get(url, method="DELETE", headers={"Authorization": "Bot t"})[0] == 200
    query = f"?wait=true&thread_id={first['id']}"
    status, body = post(discord, {"content": "y"}, hook=forum, query=query)
    assert (status, body["code"]) == (404, 10003)


def test_bucket_gives_headers_and_429(discord):
    discord.control(bucket=[2, 3600])
    assert [post(discord, {"content": "x"})[0] for _ in range(3)] == [200, 200, 429]
    _status, body = post(discord, {"content": "x"})
    assert 0 < body["retry_after"] <= 3600
    assert body["global"] is False


@pytest.mark.parametrize(
    ("fault", "status"),
    [({"mode": "rate_limited", "retry_after": 2.5, "global": True}, 429), ({"mode": "gone"}, 404), ({"mode": "invalid_token"}, 401),
     ({"mode": "error", "status": 502}, 502)],
)  # fmt: skip
def test_faults_can_be_counted(discord, fault, status):
    discord.control(**fault, count=1)
    assert post(discord, {"content": "x"})[0] == status
    assert post(discord, {"content": "x"})[0] == 200


def test_slow_and_dropped(discord, monkeypatch):
    slept = []
    monkeypatch.setattr(fake_discord, "time", SimpleNamespace(sleep=slept.append, time=time.time))
    discord.control(mode="slow", slow_seconds=0.3, count=1)
    assert post(discord, {"content": "x"})[0] == 200
    assert slept == [0.3]
    discord.control(mode="drop", count=1)
    with pytest.raises(ConnectionError):
        post(discord, {"content": "x"})
    assert discord.answered("dropped") == 1


def test_message_is_deleted_with_the_webhooks_token(discord):
    _status, message = post(discord, {"content": "x"})
    url = f"{discord.api}/webhooks/1/{TOKEN}/messages/{message['id']}"
    assert get(url)[0] == 200
    assert get(url, method="DELETE")[0] == 204
    assert get(url, method="DELETE")[0] == 404


def test_bad_control_is_refused(discord):
    assert get(f"{discord.base}/control", data=b'{"mode": "nonsense"}')[0] == 400
    assert get(f"{discord.base}/control")[1]["mode"] == "ok"


def test_page_cannot_run_what_a_message_says(discord):
    """Content never meets markup: the page is static, scripts only build text nodes, the policy forbids inline code."""
    post(discord, {"content": "<script>alert(1)</script>"})
    status, page = get(discord.base + "/")
    assert status == 200
    assert "alert" not in page
    assert not re.search(r"<script>|\sstyle=|\son\w+=", page)
    script = (STATIC / "page.js").read_text()
    assert not re.search(r"innerHTML|outerHTML|insertAdjacent|document\.write|eval\(", script)


def test_page_parts_are_served(discord):
    for path in ("/page.js", "/page.css", "/messages", "/stats", "/healthz"):
        assert get(discord.base + path)[0] == 200


def test_a_body_in_chunks_is_read(discord):
    """The API server's proxy sends bodies that way."""
    connection = http.client.HTTPConnection(discord.base.removeprefix("http://"), timeout=PATIENCE_S)
    connection.request("POST", "/control", body=iter([b'{"mode":', b' "gone"}']), encode_chunked=True)
    answer = connection.getresponse()
    assert (answer.status, json.loads(answer.read())["mode"]) == (200, "gone")
    connection.close()
    assert get(f"{discord.base}/control")[1]["mode"] == "gone"

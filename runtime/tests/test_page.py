# SPDX-License-Identifier: GPL-3.0-or-later
# SPDX-FileCopyrightText: 2026 The orchestrator.platform authors
"""The channel page of the fake Discord in a real browser (issue 7.8). PAGE_SCREENSHOTS names a folder for pictures."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest
from browser import PROGRAM, Browser
from processes import TOKEN, Session, get, wait_for

from platform_demo.sample_agent import Writer
from platform_demo.story import story

pytestmark = pytest.mark.skipif(not PROGRAM, reason="no chromium here: apt-get install chromium")

DESKTOP, PHONE = (1280, 800), (390, 844)


@pytest.fixture
def browse(tmp_path, discord):
    """Opens the page in a browser of that size; at the end the page must have had nothing to complain about."""
    started = []

    def start(size):
        folder = tmp_path / f"profile-{len(started)}"
        folder.mkdir()
        browser = Browser(folder, width=size[0], height=size[1])
        started.append(browser)
        browser.open(discord.base + "/")
        return browser

    yield start
    complaints = [complaint for browser in started for complaint in browser.complaints]
    for browser in started:
        browser.close()
    assert complaints == []


def picture(browser, name):
    """Keep what is to be seen, where somebody asked for it."""
    folder = os.environ.get("PAGE_SCREENSHOTS")
    if folder:
        Path(folder).mkdir(parents=True, exist_ok=True)
        browser.screenshot(Path(folder) / f"{name}.png")


def post(discord, content, *, hook=f"1/{TOKEN}", query="?wait=true"):
    status, message = get(f"{discord.api}/webhooks/{hook}{query}", data=json.dumps(content).encode())
    assert status == 200, message
    return message


def shown(browser):
    return browser.eval("document.getElementById('messages').innerText")


@pytest.mark.parametrize("size", [DESKTOP, PHONE], ids=["desktop", "phone"])
def test_a_session_as_it_arrives(watch, discord, home, browse, size):
    """Every event of a story is on the page without a reload, at its end; nothing is wider than the window."""
    browser = browse(size)
    assert browser.eval("!document.getElementById('empty').hidden")
    watch(PARITY_MODE="false")
    writer = Writer(home / ".claude")
    lines = list(story(3, 2))
    for line in lines:
        writer.write(line)
    last = [line.marker for line in lines if line.significant][-1]
    wait_for(lambda: last in shown(browser), what="the last event is on the page")
    assert browser.eval("document.getElementById('empty').hidden")
    assert browser.eval("document.documentElement.scrollWidth <= window.innerWidth")
    assert browser.eval("(l => l.scrollHeight - l.scrollTop - l.clientHeight < 2)(document.getElementById('messages'))")
    assert browser.eval("document.querySelectorAll('.embed pre').length") > 3
    stripes = browser.eval("[...new Set([...document.querySelectorAll('.stripe')].map(s => s.style.backgroundColor))]")
    assert {"rgb(243, 156, 18)", "rgb(231, 76, 60)", "rgb(39, 174, 96)"} <= set(stripes)
    picture(browser, f"story-{size[0]}")


@pytest.mark.parametrize("size", [DESKTOP, PHONE], ids=["desktop", "phone"])
def test_threads_are_below_their_forum(watch, discord, home, browse, size):
    """Issue 7.3: a thread a session; on a phone the channels are behind a button; a click shows that thread alone."""
    watch(webhook_url=discord.forum_url, THREAD_PER_SESSION="true", HOSTNAME="agent-0")
    Session(home, "aaaaaaaa-1").say("one")
    wait_for(lambda: discord.has("one"), what="the first session arrives")
    Session(home, "bbbbbbbb-2").say("two")
    browser = browse(size)
    wait_for(lambda: "one" in shown(browser) and "two" in shown(browser), what="both are on the page")
    visible = "getComputedStyle(document.getElementById('nav')).visibility"
    if size is PHONE:
        assert browser.eval(visible) == "hidden"
        browser.click("#menu")
        wait_for(
            lambda: browser.eval("document.getElementById('nav').getBoundingClientRect().left") == 0, what="it is open"
        )
    picture(browser, f"threads-{size[0]}")
    browser.click("nav li li:nth-child(2) button")
    wait_for(lambda: "one" not in shown(browser), what="one thread alone is shown")
    assert "two" in shown(browser)
    assert browser.eval("document.getElementById('channel').innerText").endswith("agent-0 · session bbbbbbbb")
    if size is PHONE:
        wait_for(lambda: browser.eval(visible) == "hidden", what="the channels make way")


def test_reading_back_is_not_disturbed(discord, browse):
    """Who has scrolled up stays there, and is told; a deleted message goes; a fault shows."""
    for number in range(60):
        post(discord, {"content": f"message {number}"})
    browser = browse(DESKTOP)
    wait_for(lambda: "message 59" in shown(browser), what="all are on the page")
    browser.eval("document.getElementById('messages').scrollTop = 0")
    wait_for(lambda: browser.eval("document.getElementById('messages').scrollTop") == 0, what="it is scrolled up")
    message = post(discord, {"content": "message 60"})
    wait_for(lambda: "message 60" in shown(browser), what="the new one is on the page")
    assert browser.eval("document.getElementById('messages').scrollTop") == 0
    assert browser.eval("!document.getElementById('newer').hidden")
    browser.click("#newer")
    wait_for(lambda: browser.eval("document.getElementById('newer').hidden"), what="it is at the end")
    get(f"{discord.api}/webhooks/1/{TOKEN}/messages/{message['id']}", method="DELETE")
    wait_for(lambda: "message 60" not in shown(browser), what="the deleted one is gone")
    discord.control(mode="error")
    wait_for(lambda: "fault: error" in browser.eval("document.querySelector('header').innerText"), what="it shows")


def test_nothing_a_message_says_is_run(discord, browse):
    """Markup in a message is text, in every part of it."""
    evil = '<img src=x onerror="document.title=1"><script>document.title=1</script>'
    embed = {"title": evil, "description": f"```\n{evil}\n``` **{evil}**", "footer": {"text": evil}}
    embed["fields"] = [{"name": evil, "value": evil}]
    post(discord, {"content": evil, "embeds": [embed], "username": evil[:80]})
    browser = browse(DESKTOP)
    wait_for(lambda: "onerror" in shown(browser), what="the message is on the page")
    assert browser.eval("document.querySelectorAll('#messages img, #messages script').length") == 0
    assert browser.eval("document.title").startswith("Agents")

# SPDX-License-Identifier: GPL-3.0-or-later
# SPDX-FileCopyrightText: 2026 The orchestrator.platform authors
"""The watcher as a process against the fake Discord: nothing lost, nothing twice, health as decided in D8."""

from __future__ import annotations

import contextlib
import itertools
import json
import os
import shutil
import socket
import subprocess
import sys
import threading
import time
from contextlib import closing
from pathlib import Path

import pytest
from processes import PATIENCE_S, SRC, TOKEN, Discord, Session, free_port, get, row, wait_for

from discord_monitor import delivery
from discord_monitor.health import WebhookState
from discord_monitor.lifecycle import Stop
from discord_monitor.log import Log
from discord_monitor.redaction import Redactor
from discord_monitor.settings import watcher_settings
from discord_monitor.transcript import Source
from discord_monitor.watcher import Watcher as InProcess
from platform_demo import fake_discord
from platform_demo.sample_agent import Settings as AgentSettings
from platform_demo.sample_agent import Writer, write_expected
from platform_demo.story import expected_markers, story

SEEN = ("one", "two", "three", "four", "five", "six")


def said(discord):
    return [text.removeprefix("💭 ") for text in discord.texts()]


@pytest.mark.parametrize("parity_mode", [False, True], ids=["filtered", "parity"])
def test_a_whole_story_arrives_in_order_and_within_limits(watch, discord, home, parity_mode):
    """DM-190..206, DM-A33, DM-A34, D12: every event type; nothing lost, repeated or refused."""
    discord.control(bucket=[30, 1])
    watcher = watch(PARITY_MODE=str(parity_mode).lower())
    writer = Writer(home / ".claude")
    for line in story(7, 2):
        writer.write(line)
    expected = expected_markers(7, 2, parity_mode=parity_mode)
    wait_for(lambda: discord.has(expected[-1]), what="the last event arrives")
    wait_for(lambda: watcher.health()[1]["backlog_bytes"] == 0, what="the backlog is empty")
    assert markers(discord) == expected
    assert discord.answered(400) == 0
    assert discord.answered(429) == 0, "the rate-limit headers were not obeyed"
    assert "ghp" + "_" not in json.dumps(discord.messages())
    assert watcher.metric("duplicate_rows_total") > 0
    assert watcher.metric("unknown_rows_total") == 2


def markers(discord):
    found = []
    for embed in discord.embeds():
        text = json.dumps(embed)
        at = text.find("step ")
        if at >= 0:
            found.append(text[at : at + 9])
    return found


def in_process(home, **env):
    """A watcher in this process, not yet running, and its stop."""
    settings = {"WORKSPACE_PATH": str(home / ".claude"), "STATE_PATH": str(home / "state"), "PARITY_MODE": "true"}
    settings |= {"SESSION_SUMMARY": "false", "PRESSURE_SECONDS": "86400"}
    stop, redactor = Stop(), Redactor()
    log = Log("watcher", threshold="error", redact=redactor)
    return InProcess(watcher_settings(settings | env), stop=stop, log=log, redactor=redactor), stop


def test_rows_of_files_that_grow_while_we_look_keep_their_order(home, monkeypatch):
    """DM-190: at every look the agent writes to a file already looked at, then to one that is not: never out of order."""
    one, two = Session(home, "a"), Session(home, "b")
    watcher, _stop = in_process(home)
    numbers = iter(range(60))

    def write(session):
        for number in itertools.islice(numbers, 1):
            session.append(row(f"{number}", timestamp=f"2026-01-01T00:00:{number:02d}.000Z"))

    write(one)
    write(two)
    real = Source.observe

    def grow(source, status):
        if source.path == str(two.path):
            write(one)
            write(two)
        real(source, Path(source.path).stat())

    monkeypatch.setattr(Source, "observe", grow)
    shown = []
    while len(shown) < 60:
        for item in watcher._items(watcher._transcripts.changed(), final=False):
            shown.append(int(item.embed["description"].split()[-1]))
            watcher._commit([item], at_once=False)
    assert shown == list(range(60))


def test_restart_neither_loses_nor_repeats(watch, session, discord):
    """DM-190, DM-A01: the cursor survives; what came meanwhile is delivered once."""
    watcher = watch()
    session.say("one", "two")
    wait_for(lambda: discord.has("two"), what="both arrive")
    assert watcher.stop() == 0
    session.say("three")
    watch()
    wait_for(lambda: discord.has("three"), what="the line written meanwhile arrives")
    assert said(discord) == ["one", "two", "three"]


def plain(text):
    """A row without an id: nothing but the cursor keeps it from coming twice."""
    return {key: value for key, value in row(text).items() if key != "uuid"}


def age(path, *, seconds=7200):
    os.utime(path, (time.time() - seconds,) * 2)


def test_an_idle_restart_keeps_the_cursor(watch, session, discord):
    """DM-A01, D8: five rows, killed, a start that has nothing to do, killed, a third start: nothing comes again."""
    watcher = watch()
    session.append(*(plain(text) for text in SEEN[:5]))
    wait_for(lambda: discord.has("five"), what="all arrive")
    wait_for(lambda: watcher.health()[1]["backlog_bytes"] == 0, what="the cursor moved")
    watcher.kill()
    idle = watch()
    wait_for(lambda: not idle.health()[1]["waiting_for_transcript"], what="the file is found")
    idle.kill()
    watch()
    session.append(plain("six"))
    wait_for(lambda: discord.has("six"), what="the new row arrives")
    assert said(discord) == list(SEEN)


def test_a_start_without_webhook_keeps_the_cursor(watch, session, discord, home):
    """DM-A01, D8: history skipped on purpose stays skipped after a start in which the Secret was missing."""
    session.append(plain("old one"), plain("old two"))
    age(session.path)
    watcher = watch()
    wait_for(lambda: not watcher.health()[1]["waiting_for_transcript"], what="the file is found")
    session.append(plain("one"))
    wait_for(lambda: discord.has("one"), what="the new row arrives")
    wait_for(lambda: watcher.health()[1]["backlog_bytes"] == 0, what="the cursor moved")
    watcher.stop()
    kept = handed_over(home, session)
    assert watch(webhook_url="").stop() == 0
    assert handed_over(home, session) == kept
    session.append(plain("two"))
    watch()
    wait_for(lambda: discord.has("two"), what="the next row arrives")
    assert said(discord) == ["one", "two"]


@pytest.mark.parametrize("with_webhook", [True, False])
def test_history_skipped_at_the_first_start_stays_skipped(watch, session, discord, home, with_webhook):
    """DM-A01: nothing was delivered yet, the watcher is killed, the old file grows meanwhile: only that is shown."""
    session.append(plain("old one"))
    age(session.path)
    first = watch() if with_webhook else watch(webhook_url="")
    wait_for(lambda: handed_over(home, session)[1], what="the skipped file is remembered")
    first.kill()
    session.append(plain("one"))
    watch()
    wait_for(lambda: discord.has("one"), what="the new row arrives")
    assert said(discord) == ["one"]


def test_old_file_without_a_last_line_feed_is_not_replayed(watch, session, discord):
    """DM-A01, DM-A33: its last row is whole, only the line feed comes later; history stays skipped."""
    session.append(plain("old one"))
    session.raw(json.dumps(plain("old two")).encode())
    age(session.path)
    watcher = watch()
    wait_for(lambda: not watcher.health()[1]["waiting_for_transcript"], what="the file is found")
    session.raw(b"\n")
    session.append(plain("one"))
    wait_for(lambda: discord.has("one"), what="the new row arrives")
    assert said(discord) == ["one"]


def test_a_last_row_without_line_feed_is_shown_once(watch, session, discord):
    """DM-A01: flushed at SIGTERM; after a restart the file goes on behind it."""
    session.append(plain("one"))
    session.raw(json.dumps(plain("two")).encode())
    watcher = watch()
    wait_for(lambda: discord.has("one"), what="the complete row arrives")
    watcher.stop()
    assert said(discord) == ["one", "two"]
    watcher = watch()
    wait_for(lambda: not watcher.health()[1]["waiting_for_transcript"], what="the file is found")
    session.raw(b"\n")
    session.append(plain("three"))
    wait_for(lambda: discord.has("three"), what="the next row arrives")
    assert said(discord) == ["one", "two", "three"]


def test_file_rewritten_while_nobody_looked_is_read_anew(watch, session, discord):
    """The same inode and a greater length, but other content: known by the byte before our place."""
    session.append(plain("one"))
    watcher = watch()
    wait_for(lambda: discord.has("one"), what="it arrives")
    watcher.stop()
    with session.path.open("r+b") as file:
        file.write(json.dumps(plain("two " * 200)).encode() + b"\n")
    watch()
    wait_for(lambda: discord.has("two"), what="the new content arrives")


KILLS = 4


def test_kill_repeats_at_most_one_message(watch, session, discord):
    """DM-A01: killed four times with a message under way: none is lost, and each kill repeats one message at most."""
    session.append(*(plain(f"row {number}") for number in range(24)))
    discord.control(mode="slow", slow_seconds=0.3)
    for _kill in range(KILLS):
        before = len(discord.messages())
        watcher = watch(BATCH_SIZE="2")
        wait_for(lambda had=before: len(discord.messages()) >= had + 2, what="two messages arrive")
        watcher.kill()
        discord.let_finish()
    discord.control(mode="ok")
    watch(BATCH_SIZE="2")
    wait_for(lambda: discord.has("row 23"), what="all arrive")
    assert repeated_messages(discord) <= KILLS


def repeated_messages(discord):
    """How many messages came again. Fails when a row is missing, or when more than the latest message comes again."""
    repeated = next_row = latest_begin = 0
    for message in discord.messages():
        rows = [int(embed["description"].rpartition(" ")[2]) for embed in message["embeds"]]
        assert rows == list(range(rows[0], rows[0] + len(rows)))
        assert rows[0] <= next_row, "a row was lost"
        if rows[0] < next_row:
            assert rows[0] == latest_begin, "more than one message came again"
            repeated += 1
        latest_begin, next_row = rows[0], max(next_row, rows[-1] + 1)
    return repeated


def test_long_message_split_over_embeds_is_resumed_inside_a_row(watch, session, discord, home):
    """A row of several embeds in several messages: a restart between them continues in the middle (DM-A34)."""
    text = " ".join(f"word{number:05d}" for number in range(1300))
    watcher = watch()
    discord.control(bucket=[1, 3600])
    session.say(text)
    wait_for(lambda: len(discord.messages()) == 1, what="the first part arrives")
    wait_for(lambda: handed_over(home, session)[2] == 1, what="the cursor stands inside the row")
    watcher.kill()
    discord.control(bucket=None)
    watch()
    wait_for(lambda: discord.has("word01299"), what="the last part arrives")
    joined = "".join(said(discord))
    assert joined == text


def handed_over(home, session):
    """Inode, byte and embeds of the row there, as remembered on disk."""
    places = {}
    for name in ("resting.json", "cursor.json"):
        with contextlib.suppress(FileNotFoundError):
            places |= json.loads((home / "state" / name).read_text())["places"]
    return places.get(str(session.path), [0, 0, 0])


def test_429_is_waited_for(watch, session, discord, monkeypatch):
    """DM-203, DM-A33: retry_after is obeyed: who comes before its end is limited again, as by Discord; nothing is lost."""
    until, real = [], discord.fake.answer

    def limits(call):
        now = time.monotonic()
        until.append(now + 0.7 if not until else until[0])
        return real(call) if now >= until[0] else fake_discord._limited(until[0] - now, is_global=False, headers={})

    monkeypatch.setattr(discord.fake, "answer", limits)
    watcher = watch()
    session.say("one", "two")
    wait_for(lambda: discord.has("two"), what="it arrives after the wait")
    assert (len(until), len(discord.messages())) == (2, 1), "the limited one was tried again too early"
    assert (watcher.metric("rate_limited_total"), watcher.health()[0]) == (1, 200)
    assert said(discord) == ["one", "two"]


def whole_request(connection):
    """Read one request to its end: head and body come in segments of their own."""
    received = b""
    while b"\r\n\r\n" not in received:
        received += connection.recv(65_536)
    head, _blank, body = received.partition(b"\r\n\r\n")
    left = int(head.lower().partition(b"content-length:")[2].split()[0]) - len(body)
    while left > 0:
        left -= len(connection.recv(left))


def dripping_server(good):
    """Answers its first request a byte at a time and never to the end, the others as Discord does."""
    posts, ended = [], []

    def serve(connection):
        with connection:
            whole_request(connection)
            posts.append(time.monotonic())
            if len(posts) == 1:
                try:
                    while True:
                        connection.sendall(b"HTTP/1.1 200 OK\r\nX: " if not ended else b"a")
                        ended.append(False)
                        time.sleep(0.05)  # the pace of the drops
                except OSError:
                    ended.append(True)
            else:
                connection.sendall(b'HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\n{"id":"1"}')

    def accept():
        while True:
            try:
                connection, _address = good.accept()
            except OSError:
                return
            threading.Thread(target=serve, args=(connection,), daemon=True).start()

    threading.Thread(target=accept, daemon=True).start()
    return posts, ended


def test_an_answer_that_never_ends_is_a_failure(session, home, monkeypatch):
    """DM-203, D8: a server that drips is given up after the limit of an attempt; health sees it, the next one counts."""
    monkeypatch.setattr(delivery, "ATTEMPT_LIMIT_S", 1.0)
    with closing(socket.create_server(("127.0.0.1", 0))) as listening:
        posts, ended = dripping_server(listening)
        session.say("one")
        url = f"http://127.0.0.1:{listening.getsockname()[1]}/api/webhooks/1/{TOKEN}"
        watcher, stop = in_process(home, DISCORD_WEBHOOK_URL=url)
        loop = threading.Thread(target=watcher.run, daemon=True)
        loop.start()
        try:
            wait_for(lambda: watcher.health.webhook is WebhookState.FAILING, what="the attempt is given up")
            assert "did not finish" in watcher.health.reason
            assert watcher.health.verdict(time.monotonic() + 200)[1]["status"] != "ok", "the outage clock runs"
            wait_for(lambda: ended and ended[-1], what="the connection is closed")
            wait_for(lambda: watcher.health.counters.messages == 1, what="the next attempt delivers")
            assert len(posts) >= 2
        finally:
            stop.request()
            loop.join(PATIENCE_S)


def test_unknown_webhook_is_final_and_said(watch, session, discord):
    """404 with code 10015: no second request, the cursor stays, the log says so without the URL."""
    watcher = watch()
    discord.control(mode="gone")
    session.say("one")
    wait_for(lambda: watcher.health()[1].get("webhook") == "gone", what="health says gone")
    session.say("two")
    assert "does not exist any more" in watcher.health()[1]["reason"]
    watcher.stop()  # not even the last flush asks again
    assert discord.answered(404) == 1
    assert TOKEN not in watcher.log()
    discord.control(mode="ok")
    watch()
    wait_for(lambda: discord.has("two"), what="both arrive with a webhook that lives")
    assert said(discord) == ["one", "two"]


@pytest.mark.parametrize("mode", ["error", "drop"])
def test_failures_are_repeated(watch, session, discord, mode):
    """5xx and dropped connections: tried again until delivered."""
    watcher = watch()
    discord.control(mode=mode, count=2)
    session.say("one")
    wait_for(lambda: discord.has("one"), what="it arrives in the end")
    assert said(discord) == ["one"]
    assert wait_for(lambda: watcher.metric("retries_total"), what="retries are counted") == 2


def test_slow_answer_does_not_block_health_and_repeats_nothing(watch, session, discord, monkeypatch):
    """DM-203, DM-205: while Discord thinks, /healthz answers; one copy arrives."""
    go_on, real = threading.Event(), discord.fake.answer
    monkeypatch.setattr(discord.fake, "answer", lambda call: real(call) if go_on.wait(PATIENCE_S) else None)
    watcher = watch()
    session.say("one")
    wait_for(lambda: watcher.health()[1].get("backlog_bytes"), what="the message is under way")
    assert (watcher.health()[0], discord.messages()) == (200, [])
    go_on.set()
    wait_for(lambda: discord.has("one"), what="it arrives")
    session.say("two")
    wait_for(lambda: discord.has("two"), what="the next one arrives")
    assert said(discord) == ["one", "two"]


def test_outage_fails_health_and_doubles_the_limit(watch, session, discord):
    """D8, DM-A01, DM-167: 503 after the limit; each restart doubles it; a delivery resets it."""
    watcher = watch(OUTAGE_LIMIT_SECONDS="1")
    assert watcher.health()[0] == 200
    discord.control(mode="error")
    session.say("one")
    wait_for(lambda: watcher.health()[0] == 503, what="the outage shows")
    assert watcher.health()[1]["status"] == "outage"
    watcher.kill()
    watcher = watch(OUTAGE_LIMIT_SECONDS="1")
    assert watcher.health()[1]["outage_limit_seconds"] == 2
    wait_for(lambda: watcher.health()[0] == 503, what="the outage shows again")
    watcher.kill()
    discord.let_finish()
    discord.control(mode="ok")
    watcher = watch(OUTAGE_LIMIT_SECONDS="1")
    assert wait_for(lambda: discord.has("one") and watcher.health()[1], what="it arrives")["status"] == "ok"
    wait_for(lambda: watcher.health()[1]["outage_limit_seconds"] == 1, what="the limit is back")
    assert said(discord) == ["one"]


def test_sigterm_flushes_the_last_lines(watch, session, discord):
    """Lines written right before SIGTERM arrive, also one without its line feed; exit status 0."""
    watcher = watch(POLL_INTERVAL="60000")
    wait_for(lambda: "watching" in watcher.log(), what="it runs")
    session.say("one", "two")
    session.raw(json.dumps(row("three")).encode())
    assert watcher.stop() == 0
    assert said(discord) == ["one", "two", "three"]


def test_sigterm_in_an_outage_ends_and_keeps_the_lines(watch, session, discord):
    """The flush is bounded; what could not be delivered comes after the restart."""
    watcher = watch()
    discord.control(mode="error")
    session.say("one")
    wait_for(lambda: discord.answered(500), what="the outage is met")
    session.say("two")
    assert watcher.stop() == 0
    discord.let_finish()
    discord.control(mode="ok")
    watch()
    wait_for(lambda: discord.has("two"), what="the rest arrives")
    assert said(discord) == ["one", "two"]


def test_sigterm_while_starting_is_not_lost(watch, session, discord, home):
    """The handler stands before the imports: a SIGTERM during start-up ends the program with status 0."""
    env = {
        "PATH": os.environ["PATH"],
        "PYTHONPATH": str(SRC),
        "STATE_PATH": str(home / "s"),
        "HEALTH_PORT": str(free_port()),
    }
    code = (
        "import os, signal, sys\n"
        "from discord_monitor import lifecycle\n"
        "real = lifecycle.stop_on_signals\n"
        "def then_terminate():\n"
        "    stop = real(); os.kill(os.getpid(), signal.SIGTERM); return stop\n"
        "lifecycle.stop_on_signals = then_terminate\n"
        "from discord_monitor.cli import main\n"
        "assert 'discord_monitor.watcher' not in sys.modules\n"
        "sys.exit(main(['watch']))\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], env=env, timeout=PATIENCE_S, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr


def test_sessions_end_with_a_summary(watch, session, discord, home):
    """DM-202: at SIGTERM one embed a session that was shown; usage counts once a message of the model, cache included."""
    watcher = watch(
        SESSION_SUMMARY="true",
        STATS_PRICES='[{"model": "m-", "input": 1, "output": 2, "cacheWrite": 3, "cacheRead": 4}]',
    )
    usage = {"input_tokens": 10, "output_tokens": 20, "cache_creation_input_tokens": 30, "cache_read_input_tokens": 40}
    for text in ("one", "two"):
        message = {"id": "msg_1", "model": "m-1", "content": [{"type": "text", "text": text}], "usage": usage}
        session.append(row(text, message=message))
    Session(home, "session-2").say("three")
    wait_for(lambda: discord.has("three") and discord.has("two"), what="all arrive")
    assert watcher.stop() == 0
    found = [embed for embed in discord.embeds() if embed.get("title") == "🏁 session summary"]
    assert len(found) == 2
    one = next(embed for embed in found if "Cache tokens" in str(embed) and "10 in / 20 out" in str(embed))
    assert {field["name"]: field["value"] for field in one["fields"]}["Session cost"] == "$0.000300"
    watcher = watch(SESSION_SUMMARY="true")
    watcher.stop()
    assert len(discord.embeds()) == 5, "a process that showed nothing has nothing to sum up"


def test_torn_line_waits_for_its_end(watch, session, discord):
    """DM-A33: a half-written line, cut inside a character, is neither lost nor shown early."""
    watch()
    data = json.dumps(row("größe 🙂 r"), ensure_ascii=False).encode() + b"\n"
    cut = data.index("🙂".encode()) + 2
    session.say("before")
    session.raw(data[:cut])
    wait_for(lambda: discord.has("before"), what="the line before arrives")
    assert len(discord.embeds()) == 1
    session.raw(data[cut:])
    wait_for(lambda: discord.has("größe 🙂 r"), what="the whole line arrives")
    assert len(discord.embeds()) == 2


def test_new_session_is_followed(watch, session, discord, home):
    """DM-A33: a session and a subagent that begin later are followed too."""
    watch()
    session.say("one")
    wait_for(lambda: discord.has("one"), what="the first arrives")
    Session(home, "session-2").say("two")
    wait_for(lambda: discord.has("two"), what="the new session arrives")
    Session(home, "session-2/subagents/agent-a1").say("three")
    wait_for(lambda: discord.has("three"), what="the subagent arrives")
    session.say("four")
    wait_for(lambda: discord.has("four"), what="the first session is still followed")
    assert said(discord) == ["one", "two", "three", "four"]


def test_more_than_ten_embeds_are_queued(watch, session, discord):
    """DM-A33, DM-A34: 35 long texts: none dropped, at most ten and 6,000 characters a message."""
    texts = [f"{number:02d} " + "x" * 790 for number in range(35)]
    session.say(*texts)
    watch()
    wait_for(lambda: discord.has("34 xxx"), what="the last arrives")
    assert said(discord) == texts
    assert max(len(message["embeds"]) for message in discord.messages()) <= 10
    assert discord.answered(400) == 0


def test_oversize_row_is_shown_by_its_head(watch, session, discord):
    """A row of 3 MiB: its head is shown, the next row arrives."""
    watcher = watch()
    session.say("begin " + "y" * 3_000_000, "after")
    wait_for(lambda: discord.has("after"), what="the next row arrives")
    assert "too long" in discord.embeds()[0]["title"]
    assert "begin yyy" in discord.embeds()[0]["description"]
    assert watcher.metric("oversize_rows_total") == 1


def test_repeated_rows_are_dropped_even_after_a_restart(watch, session, discord):
    """Compaction appends old rows again with their uuid: shown once, also when a restart lies between."""
    rows = [row("one"), row("two")]
    watcher = watch()
    session.append(*rows)
    wait_for(lambda: discord.has("two"), what="both arrive")
    watcher.stop()
    session.append(*rows, row("three"))
    watch()
    wait_for(lambda: discord.has("three"), what="the new one arrives")
    assert said(discord) == ["one", "two", "three"]


def test_replaced_file_is_read_anew(watch, session, discord, home):
    """Truncation and replacement: new content is read from its start."""
    watch()
    session.say("one " * 50)
    wait_for(lambda: discord.has("one"), what="the first arrives")
    fresh = session.path.with_suffix(".new")
    fresh.write_text(json.dumps(row("two")) + "\n")
    fresh.replace(session.path)
    wait_for(lambda: discord.has("two"), what="the replacement arrives")
    session.path.write_text("")
    session.say("three")
    wait_for(lambda: discord.has("three"), what="the content after truncation arrives")
    assert len(discord.embeds()) == 3


def failing_row(text):
    """A tool's result that is an error."""
    block = {"type": "tool_result", "content": text, "is_error": True}
    return plain("") | {"type": "user", "message": {"content": [block]}}


def asking_row(text):
    """What a hook of the agent writes when a person is asked."""
    return plain("") | {"type": "system", "subtype": "permission_request", "content": text}


def long_row(number):
    """Progress that shares no embed with its neighbours: two of them are too long for one."""
    return plain(f"{'x' * 2500} row {number}")


def numbers(discord, *, urgent):
    """The numbers at the end of what arrived, of the urgent rows or of the others, as they came."""
    embeds = [embed for embed in discord.embeds() if ("title" in embed) is urgent]
    return [int(embed["description"].replace("`", "").split()[-1]) for embed in embeds]


def test_urgent_rows_go_ahead_of_a_backlog(watch, session, discord):
    """Issue 7.2: requests and errors first, 20 between two other messages; order within a class kept; all of it once."""
    urgent = range(5, 151, 5)
    rows = [long_row(number) for number in range(151)]
    for number in urgent:
        rows[number] = (failing_row if number % 10 else asking_row)(f"row {number}")
    session.append(*rows)
    watcher = watch(BATCH_SIZE="5", PRESSURE_SECONDS="0")
    wait_for(lambda: discord.has("row 149"), what="the last arrives")
    wait_for(lambda: watcher.health()[1]["backlog_bytes"] == 0, what="the cursor is at the end")
    first = ["title" in embed for embed in discord.embeds()[:35]]
    assert first[:20] == [True] * 20, "the urgent ones did not go first"
    assert sum(first) == len(urgent)
    assert numbers(discord, urgent=True) == list(urgent)
    assert numbers(discord, urgent=False) == [number for number in range(151) if number not in urgent]
    assert watcher.metric("ahead_total") == len(urgent)
    assert watcher.metric("errors_total") == sum(1 for number in urgent if number % 10)


def test_an_error_written_meanwhile_does_not_wait(watch, session, discord, home):
    """Issue 7.2: an error written while a backlog is worked off is the next message, though its session is a new one."""
    session.append(*(long_row(number) for number in range(200)))
    watch(BATCH_SIZE="1", RATE_LIMIT="2", PRESSURE_SECONDS="0")
    wait_for(lambda: discord.has("row 2"), what="the backlog is being worked off")
    Session(home, "session-2").append(failing_row("it broke 1"))
    wait_for(lambda: discord.has("it broke 1"), what="the error arrives")
    assert not discord.has("row 190"), "the backlog was gone: the test proves nothing"
    shown = next(embed for embed in discord.embeds() if "it broke" in embed["description"])
    assert "ahead of earlier events" in shown["footer"]["text"]


def test_what_went_ahead_is_not_repeated_after_a_kill(watch, session, discord, home):
    """Issue 7.2, DM-A01: rows without ids, shown ahead, the watcher killed: remembered beside the cursor; figures too."""
    session.append(*(long_row(number) for number in range(40)), failing_row("it broke 1"), long_row(40))
    first = watch(BATCH_SIZE="1", RATE_LIMIT="2", PRESSURE_SECONDS="0")
    wait_for(lambda: remembered(home).get("ahead"), what="it is remembered that the error went ahead")
    assert discord.has("it broke 1")
    assert not discord.has("row 39"), "the backlog was gone: the test proves nothing"
    first.kill()
    discord.let_finish()
    second = watch(PRESSURE_SECONDS="0")
    wait_for(lambda: discord.has("row 40"), what="the rest arrives")
    wait_for(lambda: second.health()[1]["backlog_bytes"] == 0, what="the cursor is at the end")
    assert numbers(discord, urgent=True) == [1]
    assert second.metric("errors_total") == 1
    wait_for(lambda: not remembered(home)["ahead"], what="what is passed is forgotten")


def remembered(home):
    """The cursor file; empty while there is none."""
    with contextlib.suppress(FileNotFoundError):
        return json.loads((home / "state" / "cursor.json").read_text())
    return {}


def test_under_pressure_messages_hold_more(watch, session, discord):
    """Issue 7.2: 300 short texts would take 30 messages of ten embeds; sharing embeds they take a tenth of that."""
    texts = [f"word{number:04d}" for number in range(300)]
    session.append(*(plain(text) for text in texts))
    watcher = watch(PRESSURE_SECONDS="0")
    wait_for(lambda: discord.has(texts[-1]), what="all arrive")
    wait_for(lambda: watcher.health()[1]["backlog_bytes"] == 0, what="the cursor is at the end")
    assert "".join(discord.texts()).replace("💭 ", "").split() == texts
    assert len(discord.messages()) <= 3
    assert discord.answered(400) == 0
    assert watcher.metric("shared_total") == 300 - len(discord.embeds())


LONG_ROWS = 12


@pytest.fixture
def outage(watch, session, discord):
    """A watcher that cannot deliver and knows what waits: twelve rows, all of them looked at."""
    discord.control(mode="error")
    session.append(*(plain(f"row {number} " + "x" * 30_000) for number in range(LONG_ROWS)))
    watcher = watch(BATCH_SIZE="1")
    wait_for(lambda: watcher.metric("retries_total") >= 3, what="Discord is away")
    return watcher


def dropped(discord):
    """How many rows the channel was told are dropped."""
    return sum(int(embed["title"].split()[0]) for embed in discord.embeds() if "rows dropped" in embed.get("title", ""))


@pytest.mark.parametrize("how", ["truncated", "replaced", "removed"])
def test_what_vanishes_in_an_outage_is_dropped_by_number(outage, session, discord, how):
    """Issue 7.2: the very last resort: the transcript was the queue, and its owner took it away; rows are never just gone."""
    if how == "truncated":
        os.truncate(session.path, 0)
    elif how == "replaced":
        session.path.with_suffix(".new").write_bytes(b"")
        session.path.with_suffix(".new").replace(session.path)
    else:
        session.path.unlink()
    discord.control(mode="ok")
    wait_for(lambda: dropped(discord), what="the loss is said")
    shown = sum("row " in text for text in discord.texts())
    assert shown + dropped(discord) == LONG_ROWS
    assert outage.metric("rows_dropped_total") == dropped(discord)


def test_what_vanishes_while_the_watcher_restarts_is_dropped_by_number(outage, watch, session, discord, home):
    """Issue 7.2, D8: the outage has the watcher restarted, and the transcript goes meanwhile: the cursor file knows."""
    wait_for(lambda: [p for p in remembered(home)["places"].values() if p[5] == LONG_ROWS], what="the backlog is noted")
    outage.kill()
    discord.let_finish()
    session.path.unlink()
    Session(home, "session-2").say("after")
    discord.control(mode="ok")
    watch()
    wait_for(lambda: dropped(discord), what="the loss is said")
    assert dropped(discord) == LONG_ROWS


def test_a_loss_that_could_not_be_told_is_told_later(watch, home, discord):
    """Issue 7.2: what no transcript can tell again survives a restart."""
    watch().stop()
    content = remembered(home) | {"untold": [5000, 7]}
    (home / "state" / "cursor.json").write_text(json.dumps(content))
    watch()
    wait_for(lambda: dropped(discord) == 7, what="the loss is said")
    wait_for(lambda: remembered(home)["untold"] == [0, 0], what="it is told once")


def test_a_summary_that_could_not_be_told_is_told_later(watch, session, discord):
    """Issue 7.2, 7.4: the end came in an outage; the next end sums up what was shown before."""
    watcher = watch(SESSION_SUMMARY="true")
    session.append(row("one", timestamp="2026-01-01T00:00:00.000Z"), row("two", timestamp="2026-01-01T01:02:03.000Z"))
    wait_for(lambda: discord.has("two"), what="both arrive")
    discord.control(mode="error")
    watcher.stop()
    discord.let_finish()
    discord.control(mode="ok")
    watch(SESSION_SUMMARY="true").stop()
    found = [embed for embed in discord.embeds() if embed.get("title") == "🏁 session summary"]
    assert len(found) == 1
    assert {field["name"]: field["value"] for field in found[0]["fields"]}["Duration"] == "1 h 02 min"


def test_rows_removed_before_they_were_shown_are_owned_up_to(watch, session, discord):
    """DM-A01: the transcript is the queue; what its owner removes from it is counted, and said in the channel."""
    session.append(*(plain(f"Starting {number} " + "x" * 30_000) for number in range(20)))
    watcher = watch(BATCH_SIZE="1", RATE_LIMIT="2", PARITY_MODE="false")
    wait_for(lambda: discord.has("Starting 0"), what="some arrive")
    session.path.unlink()
    wait_for(lambda: discord.has("events dropped"), what="the loss is said")
    assert watcher.metric("transcript_bytes_lost_total") > 30_000


def test_messages_go_to_the_thread(watch, session, discord):
    """DM-208: thread_id of the webhook; the probe's message is deleted there as well."""
    watcher = watch(DISCORD_THREAD_ID="777000111222333444")
    session.say("one")
    wait_for(lambda: discord.has("one"), what="it arrives")
    assert [message["channel_id"] for message in discord.messages()] == ["777000111222333444"]
    assert probe(watcher)[1]["deleted"] is True
    assert len(discord.messages()) == 1


def by_thread(discord):
    """The texts of each thread, by its name, in the order they came."""
    names, found = discord.thread_names(), {}
    for message in discord.messages():
        texts = [embed.get("description", "").removeprefix("💭 ") for embed in message["embeds"]]
        found.setdefault(names.get(message["channel_id"], ""), []).extend(texts)
    return found


def test_each_session_has_its_thread(watch, discord, home):
    """Issue 7.3, DM-208: in a forum channel the first message of a session opens a post, the others go there."""
    env = {"webhook_url": discord.forum_url, "THREAD_PER_SESSION": "true", "HOSTNAME": "agent-0"}
    one, two = Session(home, "aaaaaaaa-1"), Session(home, "bbbbbbbb-2")
    watcher = watch(**env)
    one.say("one")
    wait_for(lambda: discord.has("one"), what="the first session's first message arrives")
    two.say("two")
    wait_for(lambda: discord.has("two"), what="the second session's first message arrives")
    watcher.stop()
    one.append(row("three", session=one.id), row("four", session=two.id), row("five", session=one.id))
    last = watch(**env, SESSION_SUMMARY="true")
    wait_for(lambda: discord.has("five"), what="all arrive after a restart")
    assert by_thread(discord) == {
        "agent-0 · session aaaaaaaa": ["one", "three", "five"],
        "agent-0 · session bbbbbbbb": ["two", "four"],
    }
    last.stop()
    ends = [texts[-1].removeprefix("session ") for texts in by_thread(discord).values()]
    assert ends == ["aaaaaaaa", "bbbbbbbb"], "each summary stands in its session's thread"


def test_a_thread_that_was_deleted_is_opened_anew(watch, session, discord):
    """Issue 7.3: somebody deleted the post: no event is lost, the session goes on in another one."""
    watch(webhook_url=discord.forum_url, THREAD_PER_SESSION="true")
    session.say("one")
    wait_for(lambda: discord.has("one"), what="the first message arrives")
    discord.fake.guild.delete_channel(next(iter(discord.thread_names())))
    session.say("two")
    wait_for(lambda: discord.has("two"), what="the second message arrives")
    assert list(by_thread(discord).values()) == [["two"]]


def test_threads_in_a_channel_that_is_no_forum(watch, session, discord):
    """Issue 7.3: Discord refuses to open threads there: messages go to the channel, and health says why."""
    watcher = watch(THREAD_PER_SESSION="true")
    session.say("one", "two")
    wait_for(lambda: discord.has("two"), what="both arrive")
    assert discord.answered(400) == 1
    status, health = watcher.health()
    assert (status, "no forum" in health["reason"]) == (200, True)
    assert discord.thread_names() == {}


def test_a_probe_in_a_forum_leaves_no_message(watch, discord):
    """Issue 7.3: the watcher's own lines have a thread of their own."""
    watcher = watch(webhook_url=discord.forum_url, THREAD_PER_SESSION="true", HOSTNAME="agent-0")
    code, answer = probe(watcher)
    assert (code, answer["deleted"]) == (0, True)
    assert list(discord.thread_names().values()) == ["agent-0 · watcher"]
    assert discord.messages() == []


def test_refused_embed_does_not_block_the_others(watch, session, discord, monkeypatch):
    """Discord refuses one embed of a message for good: the others arrive, its place is taken by a notice."""
    real = fake_discord.problems_of

    def also_refuses(payload):
        return {"embeds": ["no"]} if "poison" in json.dumps(payload) else real(payload)

    monkeypatch.setattr(fake_discord, "problems_of", also_refuses)
    session.say("one", "poison", "three")
    watcher = watch()
    wait_for(lambda: discord.has("three"), what="the others arrive")
    assert [embed.get("title", "") for embed in discord.embeds()] == ["", "event not shown", ""]
    assert watcher.metric("embeds_dropped_total") == 1


@pytest.mark.parametrize("code", [220001, 50035], ids=["forum", "unknown-cause"])
def test_webhook_that_refuses_everything_is_an_outage(watch, session, discord, monkeypatch, home, code):
    """DM-A01, D8: each message gets 400: no event is passed over, health tells, and all comes when that is over."""
    real = discord.fake.answer
    refuses = [True]
    monkeypatch.setattr(
        discord.fake, "answer", lambda call: fake_discord.error(400, code, "no") if refuses else real(call)
    )
    session.append(*(plain(text) for text in SEEN))
    watcher = watch(OUTAGE_LIMIT_SECONDS="1")
    wait_for(lambda: watcher.health()[0] == 503, what="health fails after the limit")
    assert watcher.health()[1]["webhook"] == "failing"
    assert ("forum channel" if code == 220001 else "every message") in watcher.health()[1]["reason"]
    assert watcher.metric("embeds_dropped_total") == 0
    assert handed_over(home, session)[1] == 0
    watcher.kill()
    discord.let_finish()
    refuses.clear()
    watch()
    wait_for(lambda: discord.has("six"), what="all arrive")
    assert said(discord) == list(SEEN)


NOT_ALL_POWERFUL = ("setpriv", "--bounding-set=-all", "--inh-caps=-all")


@pytest.mark.parametrize("later", [False, True], ids=["unreadable", "readable-later"])
def test_unreadable_transcripts_are_told_and_stand_in_nobodys_way(watch, discord, home, later):
    """DM-190, DM-205: files of another user: a warning each, a figure, still 200; a readable file is not held up."""
    without_rights = NOT_ALL_POWERFUL if os.geteuid() == 0 else ()
    if without_rights and shutil.which("setpriv") is None:
        pytest.skip("root reads every file, and setpriv, which takes that right away, is not installed")
    closed = [Session(home, f"closed-{number:02d}") for number in range(40)]
    for each in closed:
        each.say("secret of another user")
        each.path.chmod(0)
    watcher = watch(prefix=without_rights)
    wait_for(lambda: watcher.metric("unreadable_transcripts") == 40, what="all are counted")
    Session(home, "open").say("one")
    wait_for(lambda: discord.has("one"), what="the readable one arrives")
    status, health = watcher.health()
    assert (status, health["unreadable_transcripts"]) == (200, 40)
    assert "transcripts that cannot be read: 40 (Permission denied)" in health["reason"]
    wait_for(lambda: "closed-39" in watcher.log(), what="each is named")
    assert watcher.log().count("cannot be read") == 40
    if later:
        closed[0].path.chmod(0o640)
        wait_for(lambda: discord.has("another user"), what="what can be read by now arrives")
        wait_for(lambda: watcher.metric("unreadable_transcripts") == 39, what="one less is counted")


@pytest.mark.parametrize("closed", ["projects", "projects/-workspace"])
def test_a_folder_that_cannot_be_looked_into_is_told(watch, session, discord, home, closed):
    """DM-190, DM-205: said on /healthz, in the log and as a figure; healthy; followed as soon as it can be read."""
    without_rights = NOT_ALL_POWERFUL if os.geteuid() == 0 else ()
    if without_rights and shutil.which("setpriv") is None:
        pytest.skip("root reads every folder, and setpriv, which takes that right away, is not installed")
    session.say("one")
    Session(home, "../-open/other").say("open")
    folder = home / ".claude" / closed
    folder.chmod(0)
    try:
        watcher = watch(prefix=without_rights)
        wait_for(lambda: watcher.metric("unreadable_folders") == 1, what="it is counted")
        status, health = watcher.health()
        assert (status, health["unreadable_folders"]) == (200, 1)
        assert "folders that cannot be looked into: 1 (Permission denied)" in health["reason"]
        wait_for(lambda: str(folder) in watcher.log(), what="it is named")
    finally:
        folder.chmod(0o750)
    wait_for(lambda: discord.has("one"), what="what can be read by now arrives")
    wait_for(lambda: watcher.metric("unreadable_folders") == 0, what="nothing is closed any more")


def test_missing_webhook_idles_healthy(watch, session, discord):
    """D8: no webhook is no reason to fail; the answer says what to do."""
    watcher = watch(webhook_url="")
    session.say("one")
    status, health = watcher.health()
    assert (status, health["webhook"]) == (200, "missing")
    assert "DISCORD_WEBHOOK_URL is not set" in health["reason"]
    assert watcher.stop() == 0


def test_unusable_webhook_idles_and_never_echoes(watch):
    """A webhook URL that is not one: healthy, said, not echoed."""
    watcher = watch(webhook_url="not-a-url-but-a-secret-value")
    assert watcher.health()[1]["reason"].startswith("DISCORD_WEBHOOK_URL is not")
    assert "not-a-url-but" not in watcher.log() + json.dumps(watcher.health())


def test_waiting_for_transcripts_is_healthy(watch):
    """DM-192, DM-205."""
    status, health = watch().health()
    assert (status, health["waiting_for_transcript"]) == (200, True)


def test_endpoint_that_is_not_there_and_comes_back(watch, session, discord):
    """Connection refused is an outage like any other; what was written meanwhile arrives."""
    port = free_port()
    watcher = watch(webhook_url=f"http://127.0.0.1:{port}/api/v10/webhooks/1/{TOKEN}")
    session.say("one")
    wait_for(lambda: watcher.health()[1].get("webhook") == "failing", what="the failure shows")
    assert "refused" in watcher.health()[1]["reason"]
    back = Discord(port=port)
    try:
        wait_for(lambda: back.has("one"), what="it arrives when Discord is back")
    finally:
        back.close()


def test_mentions_are_never_allowed_and_nothing_secret_is_logged(watch, session, discord):
    """allowed_mentions is empty always; URL and token are in no log line and no answer (DM-149)."""
    watcher = watch(LOG_LEVEL="debug")
    session.say(f"@everyone Error {discord.webhook_url}")
    wait_for(lambda: discord.has("everyone"), what="it arrives")
    assert all(message["allowed_mentions"] == {"parse": []} for message in discord.messages())
    assert TOKEN not in json.dumps(discord.embeds())
    watcher.stop()
    assert TOKEN not in watcher.log()


def test_probe_goes_through_and_leaves_no_message(watch, session, discord, home):
    """The probe's line is confirmed by Discord, in a message of its own that is deleted again."""
    watcher = watch(PARITY_MODE="false")
    code, answer = probe(watcher)
    assert (code, answer["delivered"], answer["deleted"]) == (0, True, True)
    assert answer["message_id"].isdigit()
    assert discord.messages() == []
    assert discord.fake.guild.received == 1


def test_probe_does_not_wait_behind_a_backlog(watch, session, discord):
    """Many messages at two a second are waiting: the probe's line goes next, within its timeout."""
    session.append(*(plain(f"line {number}") for number in range(400)))
    watcher = watch(BATCH_SIZE="1", RATE_LIMIT="2")
    wait_for(lambda: discord.has("line 2"), what="the backlog is being worked off")
    code, answer = probe(watcher, timeout=str(PATIENCE_S))
    assert (code, answer["delivered"]) == (0, True), answer
    assert not discord.has("line 390"), "the backlog was gone: the test proves nothing"


def test_probe_in_an_outage_says_why(watch, session, discord):
    """Not delivered: one sentence and exit status 1, at the end of the timeout."""
    watcher = watch()
    discord.control(mode="error")
    session.say("one")
    wait_for(lambda: watcher.health()[1].get("webhook") == "failing", what="the outage shows")
    code, answer = probe(watcher, timeout="0.5")
    assert (code, answer["delivered"]) == (1, False)
    assert "status 500" in answer["reason"]


def test_expired_probe_is_passed_over(watch, session, discord, home):
    """Nobody waits for it and nobody would delete its message."""
    folder = home / "state" / "probe"
    folder.mkdir(parents=True)
    line = {"type": "discord-monitor-probe", "nonce": "abc", "uuid": "abc", "expires": 1.0}
    (folder / "probe.jsonl").write_text(json.dumps(line) + "\n")
    watch()
    session.say("one")
    wait_for(lambda: discord.has("one"), what="what comes after it arrives")
    assert discord.fake.guild.received == 1


def test_agent_cannot_fake_a_probe(watch, session, discord):
    """Probe rows count in the probe's own file only."""
    watch()
    session.append({"type": "discord-monitor-probe", "nonce": "abc", "uuid": "abc"})
    session.say("after")
    wait_for(lambda: discord.has("after"), what="the next row arrives")
    assert len(discord.embeds()) == 1


def probe(watcher, timeout="10"):
    command = [sys.executable, "-m", "discord_monitor", "probe", "--timeout", timeout]
    env = {"PATH": os.environ["PATH"], "PYTHONPATH": str(SRC), **watcher.env}
    done = subprocess.run(command, env=env, capture_output=True, text=True, timeout=2 * PATIENCE_S, check=False)
    return done.returncode, json.loads(done.stdout)


def test_healthcheck_of_the_watcher(watch):
    """Exit 0 with one line when healthy, 1 when nobody answers."""
    watcher = watch()
    command = [sys.executable, "-m", "discord_monitor", "healthcheck", "watcher"]
    env = {"PATH": os.environ["PATH"], "PYTHONPATH": str(SRC), "HEALTH_PORT": str(watcher.port)}
    good = subprocess.run(command, env=env, capture_output=True, text=True, timeout=PATIENCE_S, check=False)
    assert (good.returncode, good.stdout.count("\n")) == (0, 1)
    watcher.stop()
    bad = subprocess.run(command, env=env, capture_output=True, text=True, timeout=PATIENCE_S, check=False)
    assert bad.returncode == 1
    assert "does not answer" in bad.stdout


def test_metrics_page(watch, session, discord):
    """DM-A30: Prometheus text with the figures the platform reads."""
    watcher = watch()
    session.say("one")
    wait_for(lambda: discord.has("one"), what="it arrives")
    status, page = get(f"http://127.0.0.1:{watcher.port}/metrics")
    assert status == 200
    names = ("lag_seconds", "backlog_bytes", "messages_delivered_total", "retries_total", "embeds_dropped_total")
    names += (
        "parse_errors_total",
        "cost_dollars_total",
        'tokens_total{kind="input"}',
        "redacted_total",
        "rows_dropped_total",
    )
    names += ("embeds_delivered_total", "rate_limited_total", "ahead_total", "shared_total", "resident_memory_bytes")
    assert [name for name in names if f"\ndiscord_monitor_{name} " not in page] == []
    assert watcher.metric("resident_memory_bytes") > 1_000_000


def test_sample_agent_settings_are_plain(home):
    """The expected.json of the sample agent is what the story says."""
    settings = AgentSettings(folder=home, pace_s=0, run_once=True, sessions=2, seed=3, loop=False)
    write_expected(settings, [0, 1])
    content = json.loads((home / "expected.json").read_text())
    assert content["markers"] == expected_markers(3, 2) + expected_markers(3, 2, cycle=1)
    assert len(set(content["parity_markers"])) == len(content["parity_markers"])

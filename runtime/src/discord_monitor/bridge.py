# SPDX-License-Identifier: GPL-3.0-or-later
# SPDX-FileCopyrightText: 2026 The orchestrator.platform authors
"""`discord-monitor bridge`: text from loopback and from the bot's queue, one line a message into the agent's FIFO.

Framing: a message is one line. Line breaks inside it (any that Unicode knows) become one space, other control
characters but the tab are dropped, white space at both ends is taken off. Longer than one atomic write is refused.
"""

from __future__ import annotations

import json
import re
import threading
from typing import TYPE_CHECKING

from discord_monitor.fifo import Fifo, State, Written
from discord_monitor.framing import MAX_LINE_BYTES, framed
from discord_monitor.http_server import HttpServer, Reply, Request, as_json, sentence
from discord_monitor.log import Log
from discord_monitor.redaction import Redactor
from discord_monitor.settings import DEFAULT_BRIDGE_PORT, Reader

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from discord_monitor.lifecycle import Stop
    from discord_monitor.pulling import Puller, PullSettings

END_LIMIT_S = 3.0  # for telling the bot what was written, at the end
LOOK_S = 0.5  # how soon a reader that came or left is noticed
MAX_BODY_BYTES = 8 * MAX_LINE_BYTES  # JSON may spell a character with six bytes

_SENTENCES = {
    State.READER: "the agent reads its input",
    State.NO_READER: "nobody reads the FIFO; the agent has to open it for reading",
    State.NOT_A_FIFO: "at FIFO_PATH stands a file that is not a FIFO; it is left alone, move it away",
    State.NO_FOLDER: "the FIFO cannot be made; set FIFO_PATH to a path on a volume that bridge and agent share",
}


def is_loopback(address: str) -> bool:
    """Whether nobody outside the pod can reach the address."""
    return address in ("::1", "localhost") or re.fullmatch(r"127(\.\d{1,3}){3}", address) is not None


def answers(fifo: Fifo, puller: Puller | None = None) -> Callable[[Request], Reply]:
    """The routes of the bridge."""

    def answer(request: Request) -> Reply:
        if request.path == "/healthz" and request.method == "GET":
            # Never 503: a missing reader is the agent's business and no reason to restart us (DM-214).
            state = fifo.state
            health: dict[str, object] = {"status": "ok", "reader": state is State.READER, "reason": _SENTENCES[state]}
            if puller is not None:
                health["bot"] = {"state": puller.state.value, "reason": puller.reason, "messages": puller.messages}
            return as_json(200, health)
        if request.path == "/input":
            return _take(request, fifo) if request.method == "POST" else sentence(405, "POST the text to /input")
        return sentence(404, "there is POST /input and GET /healthz")

    return answer


def _take(request: Request, fifo: Fifo) -> Reply:
    if "origin" in request.headers:
        return sentence(403, "requests from web pages are refused")
    text = _text(request)
    if isinstance(text, Reply):
        return text
    line = framed(text)
    if not line:
        return sentence(400, "the text is empty")
    if len(line) > MAX_LINE_BYTES:
        return sentence(413, f"the text is longer than {MAX_LINE_BYTES - 1} bytes in one line")
    written = fifo.write(line)
    return {
        Written.DONE: as_json(200, {"accepted": True, "bytes": len(line)}),
        Written.NO_READER: sentence(409, _SENTENCES[State.NO_READER]),
        Written.FULL: sentence(503, "the agent does not take its input; try again later"),
        Written.UNUSABLE: sentence(503, _SENTENCES[fifo.state]),
    }[written]


def _text(request: Request) -> str | Reply:
    """The text of the body: plain, or `text` of a JSON object."""
    try:
        body = request.body.decode("utf-8")
    except UnicodeDecodeError:
        return sentence(400, "the body is not UTF-8")
    if not request.headers.get("content-type", "").startswith("application/json"):
        return body
    try:
        content = json.loads(body)
    except (ValueError, RecursionError):
        return sentence(400, "the body is not JSON")
    text = content.get("text") if isinstance(content, dict) else None
    return text if isinstance(text, str) else sentence(400, 'the body is not an object of the form {"text": "..."}')


def _pull_settings(read: Reader) -> PullSettings | None:
    """How to pull from the bot; None when that is off, and then without what it needs in memory."""
    if not read.text("BOT_URL"):
        return None
    from discord_monitor.pulling import pull_settings  # noqa: PLC0415 - HTTP and TLS are 8 MiB

    return pull_settings(read)


def _puller(settings: PullSettings | None, fifo: Fifo, *, stop: Stop, log: Log) -> Puller | None:
    if settings is None:
        return None
    from discord_monitor.pulling import Puller  # noqa: PLC0415 - as above

    return Puller(settings, fifo, stop=stop, log=log)


def main(env: Mapping[str, str], stop: Stop) -> int:
    """Run until SIGTERM. Status 2 when the address is not loopback, 1 when the port is taken."""
    read = Reader(env)
    threshold = read.threshold()
    address = read.text("BIND_ADDR", "127.0.0.1")
    port = int(read.number("PORT", DEFAULT_BRIDGE_PORT, low=1, high=65_535))
    pull = _pull_settings(read)
    log = Log("bridge", threshold=threshold, redact=Redactor([pull.credential.reveal()] if pull else []))
    log.catch_strays()
    for problem in read.problems:
        log.warning("a setting is not usable", reason=problem)
    if not is_loopback(address):
        log.error("BIND_ADDR is not a loopback address; set it to 127.0.0.1")
        return 2
    fifo = Fifo(read.text("FIFO_PATH"))
    puller = _puller(pull, fifo, stop=stop, log=log)
    try:
        server = HttpServer(
            "127.0.0.1" if address == "localhost" else address, port, answers(fifo, puller), max_body=MAX_BODY_BYTES,
            on_crash=lambda exc: log.crash("a request failed", exc),
        )  # fmt: skip
    except OSError as exc:
        log.error("the port cannot be opened: set PORT to a free one", reason=exc.strerror)
        return 1
    server.start()
    _serve(fifo, puller, stop=stop, log=log)
    server.close()
    fifo.close()
    log.info("stopped")
    return 0


def _serve(fifo: Fifo, puller: Puller | None, *, stop: Stop, log: Log) -> None:
    """Look after the FIFO, with the puller beside, until the end is asked for."""
    pulling = threading.Thread(target=puller.run, name="pulling", daemon=True) if puller is not None else None
    if pulling is not None:
        pulling.start()
    said: State | None = None
    while not stop.requested:
        state = fifo.check()
        if state is not said:
            said = state
            log.info("input", state=state.value, reason=_SENTENCES[state])
        stop.wait(LOOK_S)
    if puller is not None and pulling is not None:
        puller.end()
        pulling.join(END_LIMIT_S)

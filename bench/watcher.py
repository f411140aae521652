#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-3.0-or-later
# SPDX-FileCopyrightText: 2026 The orchestrator.platform authors
"""The watcher as a process against the fake Discord: memory, CPU, latency, throughput (docs/bench.md); no cluster.

Peers on the same files: `jq` as the filter of a `tail -F | jq` pipeline, and ccusage where npm can install it.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import os
import random
import shutil
import socket
import subprocess
import sys
import tempfile
import time
import typing as t
import urllib.request
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from bench import _transcripts
from bench._measure import ROOT, ROUNDS, BenchError, Figure, call, environment, median, report, say

RUNTIME = ROOT / "runtime" / "src"
TICKS = os.sysconf("SC_CLK_TCK")
CPU_LIMIT = 0.1  # of the chart: 100m
WAIT_S = 600.0  # longest wait for anything
CCUSAGE = "ccusage@17.2.1"  # the latest that is JavaScript alone; later ones are Rust, in packages of their own
# Nothing is shown, everything is read: what Discord takes in a second is no figure of ours.
NOTHING = json.dumps({"includeTools": [], "includePatterns": [], "minStdoutLength": 10**9})
# Reads a transcript to filtered events under the default filters, and prints megabytes a second of CPU time.
READ = """
import os, sys, time
from discord_monitor.filters import shows
from discord_monitor.parsing import parse_row
from discord_monitor.settings import Filters
from discord_monitor.sifting import is_dull
from discord_monitor.transcript import Transcripts
root, filters, shown = sys.argv[1], Filters(), 0
found = Transcripts((root,), places={}, started=0.0, lookback_s=1e9, probe_path=root + "/none", is_dull=is_dull)
sources = found.changed()
began = time.process_time()
for source in sources:
    for raw in iter(source.next_row, None):
        if not raw.dull:
            shown += sum(shows(event, filters, parity_mode=False) for event in parse_row(raw.data).events)
print(sum(source.size for source in sources) / 1e6 / (time.process_time() - began), shown)
"""
JQ = 'select(.type == "assistant") | .message.content[] | select(.type == "tool_use" or .type == "text")'


class Process:
    """One of our programs; its log goes to a file beside its state."""

    def __init__(self, *arguments: str, log: Path, **env: str) -> None:
        clean = {"PATH": os.environ["PATH"], "PYTHONPATH": str(RUNTIME), **env}
        with log.open("ab") as file:
            self._process = subprocess.Popen([sys.executable, "-m", *arguments], env=clean, stdout=file, stderr=file)

    def __enter__(self) -> Process:
        return self

    def __exit__(self, *_exc: object) -> None:
        self._process.kill()
        self._process.wait()

    def cpu_s(self) -> float:
        """CPU seconds used so far."""
        fields = Path(f"/proc/{self._process.pid}/stat").read_text(encoding="utf-8").rpartition(")")[2].split()
        return (int(fields[11]) + int(fields[12])) / TICKS

    def memory_mb(self, field: str) -> float:
        """VmRSS, or VmHWM for the highest there was, in MiB."""
        for line in Path(f"/proc/{self._process.pid}/status").read_text(encoding="utf-8").splitlines():
            if line.startswith(field + ":"):
                return int(line.split()[1]) / 1024
        raise BenchError(f"the kernel tells no {field}")


def free_port() -> int:
    """A port nobody listens on now."""
    with contextlib.closing(socket.socket()) as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def get(url: str) -> t.Any:  # noqa: ANN401 - JSON
    """JSON of an answer; None while nobody answers."""
    try:
        with urllib.request.urlopen(url, timeout=30) as answer:  # noqa: S310 - our own, on loopback
            return json.load(answer)
    except OSError:
        return None


def wait_for(condition: t.Callable[[], object], what: str) -> None:
    """Until it is true; raises BenchError."""
    deadline = time.monotonic() + WAIT_S
    while not condition():
        if time.monotonic() > deadline:
            raise BenchError(f"did not happen within {WAIT_S:g} s: {what}")
        time.sleep(0.05)


class Stage:
    """A fake Discord without limits, and watchers that post to it."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._homes = 0
        port = free_port()
        self.base = f"http://127.0.0.1:{port}"
        env = {"PORT": str(port), "FAKE_RATE_LIMIT": "off"}
        self.discord = Process("platform_demo.fake_discord", log=folder / "discord.log", **env)
        wait_for(lambda: get(f"{self.base}/healthz"), "the fake Discord answers")

    def home(self) -> Path:
        """A home folder of its own for each watcher."""
        self._homes += 1
        home = self._folder / f"home-{self._homes}"
        (home / ".claude" / "projects" / "-w").mkdir(parents=True)
        return home

    def watcher(
        self, home: Path, **env: str
    ) -> tuple[Process, t.Callable[[], dict[str, t.Any]], t.Callable[[str], float]]:
        """A watcher that answers, its health, and its figures by name."""
        port = free_port()
        settings = {"WORKSPACE_PATH": str(home / ".claude"), "STATE_PATH": str(home / "state"), "HOME": str(home)}
        settings |= {"HEALTH_PORT": str(port), "RATE_LIMIT": "50", "POLL_INTERVAL": "100"}
        settings["DISCORD_WEBHOOK_URL"] = f"{self.base}/api/v10/webhooks/{self._homes}/{'b' * 24}"
        process = Process("discord_monitor", "watch", log=home / "log", **settings, **env)
        wait_for(lambda: get(f"http://127.0.0.1:{port}/healthz"), "the watcher answers")

        def metric(name: str) -> float:
            with urllib.request.urlopen(f"http://127.0.0.1:{port}/metrics", timeout=30) as answer:
                lines = answer.read().decode().splitlines()
            return next(float(line.split()[-1]) for line in lines if line.startswith(f"discord_monitor_{name} "))

        return process, lambda: get(f"http://127.0.0.1:{port}/healthz") or {}, metric


def row(text: str) -> bytes:
    """One row that the default filters show."""
    stamp = time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime()) + ".000Z"
    message = {"role": "assistant", "content": [{"type": "text", "text": f"Starting {text}"}]}
    content = {"type": "assistant", "uuid": f"{random.getrandbits(128):032x}", "timestamp": stamp, "message": message}
    return json.dumps(content).encode() + b"\n"


def at_rest(stage: Stage, *, seconds: float) -> tuple[float, float, float]:
    """MiB and millicores of a watcher that has delivered and has nothing to do, beside 200 old transcripts.

    And the CPU seconds it had used when its health port first answered.
    """
    home = stage.home()
    project = home / ".claude" / "projects" / "-w"
    for number in range(200):
        (project / f"old-{number}.jsonl").write_bytes(row("old"))
        os.utime(project / f"old-{number}.jsonl", (1.0, 1.0))
    process, health, _metric = stage.watcher(home)
    with process:
        started = process.cpu_s()
        (project / "new.jsonl").write_bytes(row("one"))
        wait_for(lambda: health().get("delivered_messages") == 1, "the first message is delivered")
        time.sleep(3)
        before = process.cpu_s()
        time.sleep(seconds)
        return process.memory_mb("VmRSS"), (process.cpu_s() - before) / seconds * 1000, started


def latencies_ms(stage: Stage, *, count: int) -> list[float]:
    """From the write of a row to the arrival of its message, at random moments of the polling."""
    home = stage.home()
    path = home / ".claude" / "projects" / "-w" / "s.jsonl"
    process, health, _metric = stage.watcher(home)
    written: dict[str, float] = {}
    with process, path.open("ab", buffering=0) as file:
        for number in range(count):
            written[f"row {number:05d}"] = time.time()
            file.write(row(f"row {number:05d}"))
            time.sleep(random.uniform(0.1, 0.4))  # noqa: S311 - moments of the polling
        wait_for(lambda: health().get("backlog_bytes") == 0, "all is delivered")
    found = {}
    for message in get(f"{stage.base}/messages?channel_id=9{int(home.name[5:]):09d}")["messages"]:
        for embed in message["embeds"]:
            found[embed["description"][-9:]] = message["received_at"]
    if len(found) != count:
        raise BenchError(f"{count} rows were written, {len(found)} arrived")
    return sorted((found[name] - at) * 1000 for name, at in written.items())


def burst(stage: Stage, *, count: int) -> float:
    """Rows a second from a file that is there to confirmed messages of ten embeds, at most 50 messages a second."""
    home = stage.home()
    (home / ".claude" / "projects" / "-w" / "s.jsonl").write_bytes(b"".join(row(str(n)) for n in range(count)))
    began = time.monotonic()
    process, health, _metric = stage.watcher(home)
    with process:
        wait_for(lambda: health().get("delivered_messages", 0) >= count / 10, "all is delivered")
        return count / (time.monotonic() - began)


def follow(stage: Stage, source: Path, rows: int, size_mb: float) -> tuple[float, float]:
    """Highest MiB while a whole process reads the big transcript, and megabytes a second of its CPU time."""
    home = stage.home()
    process, _health, metric = stage.watcher(home, FILTERS=NOTHING)
    with process:
        before = process.cpu_s()
        (home / ".claude" / "projects" / "-w" / "big.jsonl").hardlink_to(source)
        wait_for(lambda: metric("rows_total") == rows, "all its rows are read")
        return process.memory_mb("VmHWM"), size_mb / (process.cpu_s() - before)


def read_mb_s(root: Path) -> float:
    """Our reader alone, one thread, to filtered events."""
    return float(call([sys.executable, "-c", READ, root], env=environment(PYTHONPATH=str(RUNTIME))).split()[0])


def peer_mb_s(argv: t.Sequence[str | Path], size_mb: float, env: t.Mapping[str, str]) -> float:
    """A peer's megabytes a second of CPU time over the same file."""
    before = os.times()
    call(argv, env=env)
    after = os.times()
    used = after.children_user + after.children_system - before.children_user - before.children_system
    return size_mb / used


def ccusage() -> Path | None:
    """The peer's program out of the package registry, kept for the next time; None, said, when it cannot be had."""
    cache = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "orchestrator-platform"
    folder = cache / "bench" / CCUSAGE.replace("@", "-")
    program = folder / "node_modules" / ".bin" / "ccusage"
    if program.exists():
        return program
    if shutil.which("npm") is None:
        say("npm is not installed: no figure of ccusage")
        return None
    folder.mkdir(parents=True, exist_ok=True)
    command: list[str | Path] = ["npm", "install", "--silent", "--no-audit", "--no-fund", "--prefix", folder, CCUSAGE]
    try:
        call(command, env=environment(), timeout_s=180)
    except BenchError:
        say("ccusage cannot be installed: no figure of it")
        return None
    return program


def measure(folder: Path, options: argparse.Namespace) -> list[Figure]:
    """All figures."""
    config = folder / "config"
    big = config / "projects" / "-w" / "big.jsonl"
    say(f"a transcript of {options.megabytes} MB is written")
    rows, size = _transcripts.write(big, megabytes=options.megabytes)
    size_mb = size / 1e6
    stage = Stage(folder)
    with stage.discord:
        say("at rest")
        rest = [at_rest(stage, seconds=options.idle_seconds) for _ in range(options.rounds)]
        say("latency")
        waits = latencies_ms(stage, count=options.latency_rows)
        say("a burst")
        bursts = [burst(stage, count=1_000) for _ in range(options.rounds)]
        say("the big transcript")
        big_ones = [follow(stage, big, rows, size_mb) for _ in range(options.rounds)]
    reads = [read_mb_s(config / "projects") for _ in range(options.rounds)]
    jq = usage = None
    if shutil.which("jq"):
        jq = median([peer_mb_s(["jq", "-c", JQ, big], size_mb, environment()) for _ in range(1)])
    program = ccusage()
    if program is not None:
        env = environment(CLAUDE_CONFIG_DIR=str(config), LOG_LEVEL="0")
        argv: list[str | Path] = [program, "daily", "--json", "--offline"]
        usage = median([peer_mb_s(argv, size_mb, env) for _ in range(options.rounds)])
    return [
        Figure("watcher_rss_mb", median([memory for memory, _cpu, _start in rest]), limit=20, unit="MiB"),
        Figure("watcher_rss_1gb_mb", median([memory for memory, _rate in big_ones]), limit=24, unit="MiB"),
        Figure("watcher_idle_millicores", median([cpu for _memory, cpu, _start in rest]), limit=10, unit="m"),
        Figure("watcher_start_s", median([start / CPU_LIMIT for _memory, _cpu, start in rest])),
        Figure("watcher_latency_p50_ms", round(waits[len(waits) // 2], 1), unit="ms"),
        Figure("watcher_latency_p99_ms", round(waits[len(waits) * 99 // 100], 1), limit=150, unit="ms"),
        Figure("watcher_events_s", median(bursts), unit="1/s"),
        Figure("watcher_read_mb_s", median(reads), peer=usage, limit=200, unit="MB/s"),
        Figure("watcher_follow_mb_s", median([rate for _memory, rate in big_ones]), peer=jq, unit="MB/s"),
    ]


def main() -> int:
    """Measure, print, write bench/results/watcher.json."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--megabytes", type=float, default=1_000, help="size of the big transcript")
    parser.add_argument("--rounds", type=int, default=ROUNDS)
    parser.add_argument("--idle-seconds", type=float, default=20)
    parser.add_argument("--latency-rows", type=int, default=200)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="bench-watcher-") as folder:
        try:
            figures = measure(Path(folder), options)
        except BenchError as exc:
            print(f"error: {exc}", file=sys.stderr)
            return 1
    report("watcher", figures)
    return 0


if __name__ == "__main__":
    sys.exit(main())

#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-3.0-or-later
# SPDX-FileCopyrightText: 2026 The orchestrator.platform authors
"""Many watchers for minutes under kills, storms of 429 and outages: all delivered, memory flat? (docs/bench.md)

On kind: a pod each, with the chart's own sidecar, in a namespace that is removed at the end. With --local the same
programs run as processes of this machine, without a cluster.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import os
import random
import re
import secrets
import subprocess
import sys
import tempfile
import threading
import time
import typing as t
import urllib.request
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from bench._measure import ROOT, BenchError, Figure, call, environment, median, report, say, tools
from bench.site import demo_kubeconfig, load_images
from bench.watcher import Process, free_port

TOKEN = "soak" * 6
MARKER = re.compile(r"soak-(\d+)-(\d+)\.")
PACE_S = 2.0  # between two events of one agent; every twentieth is an error
CALM_S = 10.0  # between two faults
CATCH_UP_S = 300.0  # longest wait for the last event, after the last fault
KILLED = 10  # a kill hits one watcher out of so many
RESIDENT = re.compile(r"^discord_monitor_resident_memory_bytes (\S+)", re.M)

# What every agent does, in its pod or as a process: argv is folder, number, events, seconds between two of them.
AGENT = r"""
import json, os, sys, time, uuid
folder, number, events, pace = sys.argv[1], int(sys.argv[2]), int(sys.argv[3]), float(sys.argv[4])
os.makedirs(f"{folder}/projects/-w", exist_ok=True)
with open(f"{folder}/projects/-w/s-{number}.jsonl", "a") as file:
    for event in range(events):
        text = f"Starting soak-{number}-{event}. " + "and so on " * 20
        message = {"role": "assistant", "content": [{"type": "text", "text": text}]}
        if event % 20 == 19:
            message = {"role": "user", "content": [{"type": "tool_result", "content": text, "is_error": True}]}
        stamp = time.strftime("%Y-%m-%dT%H:%M:%S.000Z", time.gmtime())
        row = {"type": message["role"], "uuid": str(uuid.uuid4()), "timestamp": stamp, "sessionId": f"s-{number}"}
        file.write(json.dumps({**row, "message": message}) + "\n")
        file.flush()
        time.sleep(pace)
time.sleep(1e9)
"""


class Field(t.Protocol):
    """Where the watchers run."""

    def start(self, number: int, events: int) -> None:
        """So many agents, each with a watcher, that write so many events each."""

    def get(self, path: str) -> t.Any:  # noqa: ANN401 - JSON
        """An answer of the fake Discord; raises BenchError or OSError while it cannot be had."""

    def control(self, switches: t.Mapping[str, object]) -> None:
        """Switch a fault of the fake Discord."""

    def kill(self, number: int) -> int:
        """SIGKILL for so many watchers; how many there were."""

    def memory_mb(self) -> list[float]:
        """Of every watcher that answers now."""


class Local:
    """Processes of this machine."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._stack = contextlib.ExitStack()
        port = free_port()
        self._base = f"http://127.0.0.1:{port}"
        self._watchers: dict[int, Process] = {}
        self._ports: dict[int, int] = {}
        self._stack.enter_context(
            Process("platform_demo.fake_discord", log=folder / "discord.log", PORT=str(port), FAKE_RATE_LIMIT="5/2")
        )

    def __enter__(self) -> Local:
        return self

    def __exit__(self, *_exc: object) -> None:
        for process in self._watchers.values():
            process.__exit__()
        self._stack.close()

    def start(self, number: int, events: int) -> None:
        """See Field."""
        for one in range(number):
            self._ports[one] = free_port()
            self._begin(one)
        agents = Path(self._folder / "agent.py")
        agents.write_text(AGENT, encoding="utf-8")
        for one in range(number):
            argv = [sys.executable, str(agents), str(self._home(one)), str(one), str(events), str(PACE_S)]
            process = subprocess.Popen(argv, env={"PATH": os.environ["PATH"]})
            self._stack.callback(process.wait)
            self._stack.callback(process.kill)

    def _home(self, one: int) -> Path:
        return self._folder / f"agent-{one}"

    def _begin(self, one: int) -> None:
        home = self._home(one)
        home.mkdir(exist_ok=True)
        url = f"{self._base}/api/v10/webhooks/1{one}/{TOKEN}"
        env = {"WORKSPACE_PATH": str(home), "STATE_PATH": str(home / "state"), "HOME": str(home)}
        env |= {"HEALTH_PORT": str(self._ports[one]), "DISCORD_WEBHOOK_URL": url, "LOG_LEVEL": "warning"}
        self._watchers[one] = Process("discord_monitor", "watch", log=home / "log", **env)

    def get(self, path: str) -> t.Any:  # noqa: ANN401 - JSON
        """See Field."""
        with urllib.request.urlopen(self._base + path, timeout=60) as answer:  # noqa: S310 - our own, on loopback
            return json.load(answer)

    def control(self, switches: t.Mapping[str, object]) -> None:
        """See Field."""
        with urllib.request.urlopen(f"{self._base}/control", json.dumps(switches).encode(), timeout=60):  # noqa: S310
            pass

    def kill(self, number: int) -> int:
        """See Field. A new one is begun, as the kubelet would."""
        hit = random.sample(sorted(self._watchers), number)
        for one in hit:
            self._watchers[one].__exit__()
            self._begin(one)
        return len(hit)

    def memory_mb(self) -> list[float]:
        """See Field."""
        found = []
        for process in self._watchers.values():
            with contextlib.suppress(OSError, BenchError):
                found.append(process.memory_mb("VmRSS"))
        return found


class Kind:
    """Pods of a StatefulSet on a kind cluster, each with the sidecar that the chart publishes."""

    def __init__(self, kubeconfig: Path) -> None:
        self._env = environment(KUBECONFIG=str(kubeconfig))
        self._tags = load_images(kubeconfig)
        self._namespace = f"bench-{secrets.token_hex(3)}-soak"
        proxy = f"/api/v1/namespaces/{self._namespace}"
        self._discord, self._pods = f"{proxy}/services/discord:8081/proxy", f"{proxy}/pods"
        self._nodes = self._kubectl("get", "nodes", "--output=name").replace("node/", "").split()

    def __enter__(self) -> Kind:
        return self

    def __exit__(self, *_exc: object) -> None:
        self._kubectl("delete", "namespace", self._namespace, "--ignore-not-found", "--wait=false")

    def _kubectl(self, *arguments: str, stdin: str | None = None) -> str:
        return call([tools() / "kubectl", *arguments], env=self._env, stdin=stdin, timeout_s=600)

    def start(self, number: int, events: int) -> None:
        """See Field."""
        self._kubectl("create", "namespace", self._namespace)
        listed = {"apiVersion": "v1", "kind": "List", "items": [*self._fake(), self._agents(number, events)]}
        in_namespace = ("--namespace", self._namespace)
        self._kubectl("create", *in_namespace, "--filename=-", "--output=name", stdin=json.dumps(listed))
        self._kubectl("rollout", "status", "statefulset/soak", *in_namespace, "--timeout=580s")

    def _snippet(self) -> dict[str, t.Any]:
        tag = self._tags["discord-monitor"]
        values = ["--set", f"images.watcher.tag={tag}"] if tag else []
        chart = ROOT / "charts" / "discord-monitor"
        only = ["--show-only", "templates/snippet-configmap.yaml"]
        text = call([tools() / "helm", "template", "soak", chart, *only, *values], env=self._env)
        import yaml  # noqa: PLC0415 - the development environment has it, the other benches do without

        return t.cast("dict[str, t.Any]", json.loads(yaml.safe_load(text)["data"]["snippet.json"]))

    def _demo_image(self) -> str:
        return f"docker.io/library/platform-demo:{self._tags['platform-demo'] or 'latest'}"

    def _fake(self) -> list[dict[str, t.Any]]:
        labels = {"app": "discord"}
        container: dict[str, t.Any] = {"name": "fake-discord", "image": self._demo_image(), "command": ["fake-discord"]}
        container |= {"env": [{"name": "PORT", "value": "8081"}], "readinessProbe": {"tcpSocket": {"port": 8081}}}
        template = {"metadata": {"labels": labels}, "spec": {"containers": [container]}}
        spec = {"selector": {"matchLabels": labels}, "template": template}
        service = {"selector": labels, "ports": [{"name": "http", "port": 8081}]}
        return [
            {"apiVersion": "apps/v1", "kind": "Deployment", "metadata": {"name": "discord"}, "spec": spec},
            {"apiVersion": "v1", "kind": "Service", "metadata": {"name": "discord"}, "spec": service},
        ]  # fmt: skip

    def _agents(self, number: int, events: int) -> dict[str, t.Any]:
        snippet, labels = self._snippet(), {"app": "soak"}
        index = {"fieldRef": {"fieldPath": "metadata.labels['apps.kubernetes.io/pod-index']"}}
        url = f"http://discord:8081/api/v10/webhooks/1$(POD_INDEX)/{TOKEN}"
        watcher = {**snippet["watcher"], "restartPolicy": "Always"}
        env = [entry for entry in watcher["env"] if entry["name"] != "DISCORD_WEBHOOK_URL"]
        own = [{"name": "POD_INDEX", "valueFrom": index}]
        watcher["env"] = [*own, {"name": "DISCORD_WEBHOOK_URL", "value": url}, *env]
        mount = snippet["agentVolumeMounts"]
        argv = ["python3", "-c", AGENT, mount[0]["mountPath"], "$(POD_INDEX)", str(events), str(PACE_S)]
        agent = {"name": "agent", "image": self._demo_image(), "command": argv, "env": own, "volumeMounts": mount}
        agent["securityContext"] = {"runAsUser": 10001, "runAsGroup": 10001}
        agent["resources"] = {"requests": {"cpu": "1m", "memory": "16Mi"}}
        pod = {"initContainers": [watcher], "containers": [agent], "volumes": snippet["volumes"]}
        pod |= {"terminationGracePeriodSeconds": 5, "automountServiceAccountToken": False}
        spec = {"replicas": number, "serviceName": "soak", "podManagementPolicy": "Parallel"}
        spec |= {"selector": {"matchLabels": labels}, "template": {"metadata": {"labels": labels}, "spec": pod}}
        return {"apiVersion": "apps/v1", "kind": "StatefulSet", "metadata": {"name": "soak"}, "spec": spec}

    def get(self, path: str) -> t.Any:  # noqa: ANN401 - JSON
        """See Field."""
        return json.loads(self._kubectl("get", "--raw", self._discord + path))

    def control(self, switches: t.Mapping[str, object]) -> None:
        """See Field."""
        self._kubectl("create", "--raw", f"{self._discord}/control", "--filename=-", stdin=json.dumps(switches))

    def kill(self, number: int) -> int:
        """See Field. From the node, since a container's process 1 takes no SIGKILL from within."""
        listing = "pgrep -f '[d]iscord-monitor watch' | shuf -n {0} | while read p; do kill -9 $p && echo $p; done"
        share = -(-number // len(self._nodes))
        argv = [["docker", "exec", node, "bash", "-c", listing.format(share)] for node in self._nodes]
        return sum(len(call(command, env=environment()).split()) for command in argv)

    def memory_mb(self) -> list[float]:
        """See Field."""
        names = self._kubectl("get", "pods", "--namespace", self._namespace, "--selector=app=soak", "--output=name")
        found = []
        for name in names.replace("pod/", "").split():
            with contextlib.suppress(BenchError):
                page = self._kubectl("get", "--raw", f"{self._pods}/{name}:8080/proxy/metrics")
                found += [float(value) / 2**20 for value in RESIDENT.findall(page)]
        return found


class Tally:
    """What has arrived: collected all the time, since the fake Discord keeps the latest messages only."""

    def __init__(self, field: Field) -> None:
        self._field = field
        self._after = 0
        self.seen: set[tuple[int, int]] = set()
        self.messages = self.repeated = 0

    def collect(self) -> None:
        """Take what is new."""
        for message in self._field.get(f"/messages?after={self._after}")["messages"]:
            self._after = message["ordinal"]
            found = {(int(a), int(b)) for a, b in MARKER.findall(json.dumps(message["embeds"]))}
            self.messages += 1
            self.repeated += bool(found & self.seen)
            self.seen |= found


class Counts(t.NamedTuple):
    """What was done to them."""

    kills: int = 0
    storms: int = 0
    outages: int = 0


def faults(watchers: int) -> list[tuple[str, float, dict[str, object]]]:
    """Kind of fault, how many seconds it lasts, and the switches of the fake Discord."""
    kill: tuple[str, float, dict[str, object]] = ("kill", 0.0, {"count": max(1, watchers // KILLED)})
    return [
        kill,
        ("storm", 12.0, {"mode": "rate_limited", "retry_after": 3}),
        kill,
        ("outage", 20.0, {"mode": "error", "status": 503}),
        ("outage", 15.0, {"mode": "drop"}),
        kill,
        ("storm", 8.0, {"mode": "rate_limited", "retry_after": 6, "global": True}),
        ("outage", 15.0, {"mode": "slow", "slow_seconds": 2}),
    ]


def soak(field: Field, *, watchers: int, minutes: float) -> list[Figure]:
    """Begin, disturb, wait for the end, count."""
    events = int(minutes * 60 / PACE_S)
    say(f"{watchers} watchers, {events} events each, {minutes:g} minutes")
    field.start(watchers, events)
    tally, counts = Tally(field), Counts()
    collecting = threading.Event()
    until = time.monotonic() + minutes * 60
    early: list[float] = []
    script = faults(watchers)
    step = 0
    while time.monotonic() < until:
        _calm(tally, CALM_S)
        if not early and time.monotonic() > until - minutes * 50:
            early = field.memory_mb()
        name, seconds, switches = script[step % len(script)]
        step += 1
        say(f"  {name} {json.dumps(switches)}; {len(tally.seen)} of {watchers * events} events so far")
        if name == "kill":
            counts = counts._replace(kills=counts.kills + field.kill(t.cast("int", switches["count"])))
            continue
        field.control(switches)
        collecting.wait(seconds)
        field.control({"mode": "ok"})
        counts = counts._replace(**{f"{name}s": getattr(counts, f"{name}s") + 1})
    return _end(field, tally, counts, watchers * events, early)


def _calm(tally: Tally, seconds: float) -> None:
    """Collect for so long. The API server's proxy may fail once in a while: then the next time tells all."""
    until = time.monotonic() + seconds
    while time.monotonic() < until:
        with contextlib.suppress(OSError, BenchError):
            tally.collect()
        time.sleep(2)


def _end(field: Field, tally: Tally, counts: Counts, wanted: int, early: list[float]) -> list[Figure]:
    began = time.monotonic()
    while len(tally.seen) < wanted and time.monotonic() - began < CATCH_UP_S:
        _calm(tally, 2)
    caught_up = time.monotonic() - began
    late = field.memory_mb()
    statuses = field.get("/stats")["requests_by_status"]
    say(f"{counts.kills} kills, {counts.storms} storms, {counts.outages} outages; answers {json.dumps(statuses)}")
    growth = round(median(late) - median(early), 2) if early and late else None
    return [
        Figure("soak_events", wanted, unit="count"),
        Figure("soak_lost", wanted - len(tally.seen), limit=0, unit="count"),
        Figure("soak_duplicates", tally.repeated, limit=counts.kills, unit="messages"),
        Figure("soak_messages", tally.messages, unit="count"),
        Figure("soak_kills", counts.kills, unit="count"),
        Figure("soak_limited", statuses.get("429", 0), unit="count"),
        Figure("soak_catch_up_s", round(caught_up, 1)),
        Figure("soak_rss_mb", round(max(late), 1) if late else None, limit=24, unit="MiB"),
        Figure("soak_rss_growth_mb", growth, limit=2, unit="MiB"),
    ]


def main() -> int:
    """Soak, print, write bench/results/soak.json."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--kubeconfig", type=Path, help="a kind cluster to use; else that of make demo is started")
    parser.add_argument("--local", action="store_true", help="processes of this machine instead of pods")
    parser.add_argument("--watchers", type=int, default=50)
    parser.add_argument("--minutes", type=float, default=10)
    options = parser.parse_args()
    try:
        with tempfile.TemporaryDirectory(prefix="bench-soak-") as folder:
            place: Local | Kind
            if options.local:
                place = Local(Path(folder))
            else:
                place = Kind(options.kubeconfig.resolve() if options.kubeconfig else demo_kubeconfig())
            with place:
                rows = soak(place, watchers=options.watchers, minutes=options.minutes)
    except (BenchError, OSError) as exc:
        print(f"error: {exc}", file=sys.stderr)
        return 1
    report("soak", rows)
    return 0


if __name__ == "__main__":
    sys.exit(main())

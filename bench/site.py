#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-3.0-or-later
# SPDX-FileCopyrightText: 2026 The orchestrator.platform authors
"""`ansible-playbook site.yml`: the first run, the second one, and what the second one writes (docs/bench.md).

Each round has namespaces of its own on the cluster of --kubeconfig, else on that of `make demo`, which is started. Give
it a cluster that nobody else is using: the API server's count of requests does not say who asked.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import os
import secrets
import sys
import tempfile
import time
import typing as t
from pathlib import Path

import yaml

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from bench import _writes
from bench._measure import ROOT, ROUNDS, BenchError, Figure, call, environment, median, report, say, seconds, tools

LIMIT_S = 10
SETTLE_S = 120  # longest wait for a stack that nothing changes any more
CHART = ROOT / "charts" / "discord-monitor"
DEMO_CHART = ROOT / "charts" / "demo"
IMAGES = ("discord-monitor", "platform-demo")
EMPTY_PLAYBOOK = [{"hosts": "localhost", "connection": "local", "gather_facts": False, "tasks": []}]


class Cluster:
    """kubectl and helm against one kubeconfig."""

    def __init__(self, kubeconfig: Path) -> None:
        folder = tools()
        self.kubeconfig = kubeconfig
        self.kubectl_program = folder / "kubectl"
        self.helm_program = folder / "helm"
        self.env = environment(KUBECONFIG=str(kubeconfig), PATH=f"{folder}{os.pathsep}{environment()['PATH']}")
        self.kinds = ",".join(sorted(set(self._kinds("--namespaced=true")) - _writes.UNCOUNTED))
        self.global_kinds = ",".join(self._kinds("--namespaced=false"))

    def _kinds(self, scope: str) -> list[str]:
        return self.kubectl("api-resources", "--verbs=list,get", scope, "--output=name").split()

    def kubectl(self, *arguments: str, stdin: str | None = None) -> str:
        """Standard output of a kubectl command."""
        return call([self.kubectl_program, *arguments], env=self.env, stdin=stdin)

    def helm_argv(self, *arguments: str) -> list[str | Path]:
        """A helm command, to be timed."""
        return [self.helm_program, *arguments]

    def versions(self, namespaces: t.Sequence[str]) -> dict[str, str]:
        """resourceVersion of every object of the namespaces, of the namespaces, and of what is ours beside them."""
        found: dict[str, str] = {}
        for name in namespaces:
            found |= _writes.versions(self.kubectl("get", self.kinds, "--namespace", name, "--output=json"))
        found |= _writes.versions(self.kubectl("get", "namespaces", *namespaces, "--output=json"))
        ours = "--selector=app.kubernetes.io/part-of=orchestrator-platform"
        listed = _writes.versions(self.kubectl("get", self.global_kinds, ours, "--output=json"))
        # Namespaces of other rounds and of the demo bear the same label.
        return found | {key: value for key, value in listed.items() if not key.startswith("Namespace/")}

    def revisions(self, namespaces: t.Sequence[str]) -> int:
        """Sum of the revisions of all releases of the namespaces."""
        argv = ("list", "--all", "--output=json", "--namespace")
        return sum(_writes.revisions(call(self.helm_argv(*argv, name), env=self.env)) for name in namespaces)

    def requests(self) -> dict[str, float]:
        """The API server's own count of writes."""
        return _writes.requests(self.kubectl("get", "--raw", "/metrics"))

    def settle(self, namespaces: t.Sequence[str]) -> None:
        """Wait until nothing has changed for three seconds; raises BenchError when something keeps changing."""
        deadline = time.monotonic() + SETTLE_S
        seen, since = self.versions(namespaces), time.monotonic()
        while time.monotonic() - since < 3:
            if time.monotonic() > deadline:
                raise BenchError(f"the objects of {', '.join(namespaces)} keep changing: look at its pods.")
            time.sleep(0.5)  # between two looks
            now = self.versions(namespaces)
            if now != seen:
                seen, since = now, time.monotonic()


class Written(t.NamedTuple):
    """What one measured stretch wrote, by the three books."""

    objects: int
    revisions: int
    made: int  # requests that created or deleted: they also show what came and went within the stretch
    requests: int  # all write requests, those included that changed nothing

    @property
    def worst(self) -> int:
        """The book that says most. A patch that changed nothing is no write: no object has another version after it."""
        return max(self.objects, self.revisions, self.made)


def measure_writes(
    cluster: Cluster, namespaces: t.Sequence[str], action: t.Callable[[], float]
) -> tuple[float, Written]:
    """(seconds of the action, what it wrote); followed by an idle stretch as long as the action."""
    cluster.settle(namespaces)
    objects, revisions, first = cluster.versions(namespaces), cluster.revisions(namespaces), cluster.requests()
    took = action()
    second = cluster.requests()
    changed = _writes.changed(objects, cluster.versions(namespaces))
    new_revisions = cluster.revisions(namespaces) - revisions
    idle_from = cluster.requests()
    time.sleep(took)  # the measure itself: what the cluster writes by itself in that time
    idle = _writes.difference(idle_from, cluster.requests())
    requests = _writes.above_idle(_writes.difference(first, second), idle)
    for line in sorted(changed) + [f"{key} x{count:g}" for key, count in sorted(requests.items())]:
        say(f"  written: {line}")
    made = _writes.made(requests)
    return took, Written(len(changed), new_revisions, round(made), round(sum(requests.values())))


def demo_kubeconfig() -> Path:
    """Start the cluster of `make demo` and name its kubeconfig."""
    say("no --kubeconfig given: make demo")
    call(["make", "demo"], env=environment(), timeout_s=3600)
    cache = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "orchestrator-platform"
    key = hashlib.sha1(str(ROOT).encode(), usedforsecurity=False).hexdigest()[:8]
    return cache / "clusters" / f"orch-demo-{key}" / "kubeconfig"


def image_requests(names: t.Sequence[str]) -> list[dict[str, str]]:
    """The named images as the demo and the tests build them."""
    text = (ROOT / "playbooks" / "vars" / "images.yml").read_text(encoding="utf-8")
    listed = yaml.safe_load(text.replace("{{ platform_root }}", str(ROOT)))["platform_images"]
    return [entry for entry in listed if entry["name"] in names]


def load_images(kubeconfig: Path, names: t.Sequence[str] = IMAGES) -> dict[str, str]:
    """Tags of our images, built and loaded where the cluster is one of kind; elsewhere the charts' own."""
    argv: list[str | Path] = [tools() / "kubectl", "--kubeconfig", kubeconfig, "config", "current-context"]
    context = call(argv, env=environment()).strip()
    if not context.startswith("kind-"):
        return dict.fromkeys(names, "")
    spec = json.dumps({"cluster": context.removeprefix("kind-"), "images": image_requests(names)})
    built = json.loads(call([ROOT / "tools" / "toolbox", "images", spec], env=environment()).splitlines()[-1])
    return {image["name"]: image["reference"].rpartition(":")[2] for image in built["images"]}


class Round:
    """One first and one second run, in namespaces of their own, and the peer's run beside them."""

    def __init__(self, cluster: Cluster, tags: t.Mapping[str, str], folder: Path) -> None:
        self.cluster = cluster
        self.tags = tags
        self.folder = folder
        run = secrets.token_hex(3)
        self.monitor, self.agents, self.discord, self.peer = (
            f"bench-{run}-{name}" for name in ("monitor", "agents", "discord", "peer")
        )

    def prepare(self) -> None:
        """A fake Discord and an agent that nobody watches; not timed."""
        product = self.tags["discord-monitor"]
        self._demo(
            self.discord, "discord", fakeDiscord={"service": {"type": "ClusterIP"}}, deployment={"enabled": False}
        )
        self._demo(self.agents, "agent", fakeDiscord={"enabled": False})
        selector = "--selector=app.kubernetes.io/component=fake-discord"
        jsonpath = "--output=jsonpath={.items[0].metadata.name}"
        service = self.cluster.kubectl("get", "services", "--namespace", self.discord, selector, jsonpath)
        api = f"http://{service}.{self.discord}:8081/api/v10"
        self.values = {
            "images": {name: {"tag": product} for name in ("watcher", "bot", "inputBridge")},
            "bot": {"discordApiUrl": api},
        }
        variables = {
            "platform_kubeconfig": str(self.cluster.kubeconfig),
            "platform_helm_binary": str(self.cluster.helm_program),
            "platform_monitor_namespace": self.monitor,
            "platform_agent_namespaces": [self.agents],
            "secrets_bot_token": f"bench.{secrets.token_urlsafe(24)}",
            "secrets_webhook_url": f"{api}/webhooks/2/{secrets.token_urlsafe(48)}",
            "secrets_webhook_allow_custom": True,
            "platform_orchestrator": False,
            "sidecar_label_selectors": ["orchestrator.platform/monitor=true"],
            "discord_monitor_values": self.values,
        }
        self._write("site.json", variables)
        self._write("peer.json", self.values)
        self._write("empty.yml", EMPTY_PLAYBOOK)

    def _demo(self, namespace: str, release: str, **values: t.Any) -> None:  # noqa: ANN401 - values of a chart
        chosen = {"image": {"tag": self.tags["platform-demo"]}, "job": {"enabled": False}, **values}
        argv = self.cluster.helm_argv(
            *("install", release, str(DEMO_CHART), "--namespace", namespace, "--create-namespace"),
            *("--wait", "--timeout=180s", "--values", str(self._write(f"{release}.json", chosen))),
        )
        call(argv, env=self.cluster.env)

    def _write(self, name: str, content: object) -> Path:
        """A file in the private folder of this run."""
        file = self.folder / name
        file.write_text(json.dumps(content), encoding="utf-8")
        return file

    def site(self) -> float:
        """Seconds of site.yml."""
        return seconds(
            ["ansible-playbook", "site.yml", "--extra-vars", f"@{self.folder / 'site.json'}"], env=environment()
        )

    def bare(self, *flags: str, times: int) -> float:
        """Seconds of that many bare helm runs and an empty playbook, each a whole process."""
        argv = self.cluster.helm_argv(
            *(
                "upgrade",
                "--install",
                "peer-discord-monitor",
                str(CHART),
                "--namespace",
                self.peer,
                "--create-namespace",
            ),
            *("--values", str(self.folder / "peer.json"), *flags),
        )
        helm = sum(seconds(argv, env=self.cluster.env) for _ in range(times))
        return helm + seconds(["ansible-playbook", str(self.folder / "empty.yml")], env=environment())

    def prepare_peer(self) -> None:
        """The peer's namespace and Secret; not timed."""
        self.cluster.kubectl("create", "namespace", self.peer)
        token = {
            "apiVersion": "v1",
            "kind": "Secret",
            "metadata": {"name": "discord-monitor-bot"},
            "stringData": {"BOT_TOKEN": "bench"},
        }
        self.cluster.kubectl("create", "--namespace", self.peer, "--filename=-", stdin=json.dumps(token))

    def remove(self) -> None:
        """Everything of this round."""
        names = (self.monitor, self.agents, self.discord, self.peer)
        self.cluster.kubectl("delete", "namespace", *names, "--ignore-not-found", "--timeout=180s")


class Sample(t.NamedTuple):
    """What one round measured."""

    first: float
    first_peer: float
    second: float
    second_peer: float
    writes: Written
    writes_peer: Written


def one_round(cluster: Cluster, tags: t.Mapping[str, str]) -> Sample:
    """Measure ours, then the peer's, then remove both."""
    with tempfile.TemporaryDirectory() as folder:
        this = Round(cluster, tags, Path(folder))
        try:
            this.prepare()
            first = this.site()
            second, writes = measure_writes(cluster, (this.monitor, this.agents), this.site)
            this.prepare_peer()
            first_peer = this.bare("--wait", "--timeout=180s", times=1)
            second_peer, writes_peer = measure_writes(cluster, (this.peer,), lambda: this.bare(times=2))
        finally:
            this.remove()
    return Sample(first, first_peer, second, second_peer, writes, writes_peer)


def count(samples: t.Sequence[Sample], name: str, limit: float | None = 0) -> Figure:
    """The worst round of one book: one write is one too many."""
    ours = max(getattr(sample.writes, name) for sample in samples)
    peer = max(getattr(sample.writes_peer, name) for sample in samples)
    return Figure(f"site_second_{'writes' if name == 'worst' else name}", ours, peer, limit, "count")


def figures(samples: t.Sequence[Sample]) -> list[Figure]:
    """Medians of all rounds; of the writes the worst round."""
    return [
        Figure("site_second_s", median([s.second for s in samples]), median([s.second_peer for s in samples]), LIMIT_S),
        *(count(samples, name) for name in ("worst", "objects", "revisions", "made")),
        count(samples, "requests", None),
        Figure("site_first_s", median([s.first for s in samples]), median([s.first_peer for s in samples])),
    ]


def main() -> int:
    """Measure and report."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--kubeconfig", type=Path, help="measure on this cluster, in namespaces of our own")
    parser.add_argument("--rounds", type=int, default=ROUNDS, help="measurements a figure is the median of")
    options = parser.parse_args()
    try:
        kubeconfig = options.kubeconfig.resolve() if options.kubeconfig else demo_kubeconfig()
        if not kubeconfig.is_file():
            raise BenchError(f"{kubeconfig} is not a file: name a kubeconfig, or leave the option away.")
        tags = load_images(kubeconfig)
        cluster = Cluster(kubeconfig)
        samples = []
        for number in range(options.rounds):
            say(f"round {number + 1} of {options.rounds}")
            samples.append(one_round(cluster, tags))
            say(f"  first {samples[-1].first:.1f} s, second {samples[-1].second:.1f} s, {samples[-1].writes}")
    except BenchError as exc:
        print(f"error: {exc}", file=sys.stderr)
        return 1
    report("site", figures(samples))
    return 0


if __name__ == "__main__":
    sys.exit(main())

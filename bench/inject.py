#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-3.0-or-later
# SPDX-FileCopyrightText: 2026 The orchestrator.platform authors
"""Injection into 20, 200 and 1,000 Deployments in one task, beside a loop of kubernetes.core.k8s (docs/bench.md).

Namespaces of its own on the cluster of --kubeconfig, else on that of `make demo`, which is started; they are removed at
the end. Give it a cluster that nobody else is using.
"""

from __future__ import annotations

import argparse
import copy
import json
import os
import secrets
import sys
import tempfile
import typing as t
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from bench import _writes
from bench._measure import ROOT, ROUNDS, BenchError, Figure, Usage, call, environment, median, report, say, tools, usage
from bench.site import EMPTY_PLAYBOOK, demo_kubeconfig, load_images

LIMITS_S = {200: 4.0, 1000: 12.0}
LIMIT_SPEEDUP = 40
LOOP = 20  # items that the peer's loop really patches; more are extrapolated
# On each node that kubeadm made: nothing is pulled.
PAUSE = "registry.k8s.io/pause:3.10"
SNIPPET = ROOT / "tests" / "unit" / "fixtures" / "snippet.json"
SPARE_PODS = 10  # left free on the nodes, for the cluster's own
PLAY = {"hosts": "localhost", "connection": "local", "gather_facts": False}


class Bench:
    """One cluster, one folder with the playbooks, and the namespaces made so far."""

    def __init__(self, kubeconfig: Path, folder: Path) -> None:
        self.kubeconfig = kubeconfig
        self.folder = folder
        self.env = environment(KUBECONFIG=str(kubeconfig), PATH=f"{tools()}{os.pathsep}{environment()['PATH']}")
        self.run = secrets.token_hex(3)
        self.namespaces: list[str] = []
        self.snippet = json.loads(SNIPPET.read_text(encoding="utf-8"))

    def kubectl(self, *arguments: str, stdin: str | None = None) -> str:
        """Standard output of a kubectl command."""
        return call([tools() / "kubectl", *arguments], env=self.env, stdin=stdin)

    def file(self, name: str, content: object) -> Path:
        """A file in the private folder of this run."""
        path = self.folder / name
        path.write_text(json.dumps(content), encoding="utf-8")
        return path

    def deployments(self, number: int, *, replicas: int = 0, what: str = "") -> str:
        """A new namespace with so many Deployments; its name."""
        namespace = f"bench-{self.run}-{what or number}"
        self.kubectl("create", "namespace", namespace)
        self.namespaces.append(namespace)
        # Empty: the watcher then idles. Without it nothing would be injected.
        self.kubectl("create", "secret", "generic", "discord-secrets", "--namespace", namespace)
        items = [_deployment(f"agent-{index:04d}", replicas) for index in range(number)]
        listed = {"apiVersion": "v1", "kind": "List", "items": items}
        self.kubectl("create", "--namespace", namespace, "--filename=-", "--output=name", stdin=json.dumps(listed))
        return namespace

    def remove(self) -> None:
        """Everything this bench has made."""
        if self.namespaces:
            self.kubectl("delete", "namespace", *self.namespaces, "--ignore-not-found", "--wait=false")

    # -- whole processes ------------------------------------------------------------------------------------------

    def play(self, name: str, *tasks: t.Mapping[str, t.Any]) -> Usage:
        """Run a playbook of these tasks."""
        return usage(["ansible-playbook", str(self.file(name, [{**PLAY, "tasks": list(tasks)}]))], env=environment())

    def empty(self) -> Usage:
        """A playbook without tasks: what every playbook costs."""
        return usage(["ansible-playbook", str(self.file("empty.yml", EMPTY_PLAYBOOK))], env=environment())

    def ours(self, namespace: str, **options: t.Any) -> Usage:  # noqa: ANN401 - arguments of a module
        """One task of our module over the whole namespace."""
        arguments = {"kubeconfig": str(self.kubeconfig), "namespaces": [namespace], "snippet": self.snippet, **options}
        return self.play("ours.yml", {"orchestrator.platform.sidecar": arguments})

    def loop(self, namespace: str) -> Usage:
        """A loop of kubernetes.core.k8s over the first LOOP Deployments, with the same containers and volumes."""
        definition = {
            "apiVersion": "apps/v1",
            "kind": "Deployment",
            "metadata": {"name": "agent-{{ '%04d' % item }}", "namespace": namespace},
            "spec": {"template": {"spec": self._pod_spec()}},
        }
        arguments = {"kubeconfig": str(self.kubeconfig), "state": "patched", "definition": definition}
        return self.play("loop.yml", {"kubernetes.core.k8s": arguments, "loop": list(range(LOOP))})

    def raw(self, namespace: str) -> Usage:
        """The same applies without anything around them."""
        spec = self.file("spec.json", self._pod_spec())
        program = ROOT / "bench" / "_raw.py"
        return usage([sys.executable, program, str(self.kubeconfig), namespace, str(spec)], env=environment())

    def _pod_spec(self) -> dict[str, t.Any]:
        agent = {"name": "agent", "volumeMounts": self.snippet["agentVolumeMounts"]}
        watcher = {**self.snippet["watcher"], "restartPolicy": "Always"}
        return {"initContainers": [watcher], "containers": [agent], "volumes": self.snippet["volumes"]}

    def asked(self) -> float:
        """Requests on Deployments so far, by the API server's own count; status is left out, it is the controller's."""
        counted = 0.0
        for sample in _writes.SAMPLE.finditer(self.kubectl("get", "--raw", "/metrics")):
            labels = dict(_writes.LABEL.findall(sample["labels"]))
            if labels.get("resource") == "deployments" and not labels.get("subresource"):
                counted += float(sample["value"]) * (labels.get("verb") != "WATCH")
        return counted

    def room(self) -> int:
        """Pods that the nodes still take, less a few."""
        listed = json.loads(self.kubectl("get", "nodes", "--output=json"))["items"]
        there = len(self.kubectl("get", "pods", "--all-namespaces", "--output=name").split())
        return sum(int(node["status"]["allocatable"]["pods"]) for node in listed) - there - SPARE_PODS


def _deployment(name: str, replicas: int) -> dict[str, t.Any]:
    labels = {"app": name}
    container = {
        "name": "agent",
        "image": PAUSE,
        "resources": {"requests": {"cpu": "1m", "memory": "4Mi"}},
        "securityContext": {"runAsUser": 1000, "runAsGroup": 1000},
    }
    return {
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "metadata": {"name": name, "labels": {"bench": "inject"}},
        "spec": {
            "replicas": replicas,
            # Without a surge as many fit on a node as it takes.
            "strategy": {"type": "RollingUpdate", "rollingUpdate": {"maxSurge": 0, "maxUnavailable": 1}},
            "selector": {"matchLabels": labels},
            "template": {
                "metadata": {"labels": labels},
                "spec": {"containers": [container], "terminationGracePeriodSeconds": 0},
            },
        },
    }


class Sample(t.NamedTuple):
    """One round over one namespace."""

    first: Usage
    second: Usage
    requests: float


def one_round(bench: Bench, namespace: str) -> Sample:
    """Inject, inject again, remove; the removal is not measured."""
    before = bench.asked()
    first = bench.ours(namespace)
    requests = bench.asked() - before
    second = bench.ours(namespace)
    bench.ours(namespace, state="absent")
    return Sample(first, second, requests)


class Peer(t.NamedTuple):
    """What the others take: an empty playbook, one more item of the loop, and the raw applies by number."""

    empty: float
    item: float
    loop: Usage
    requests: float
    raw: dict[int, float]

    def extrapolated(self, number: int) -> float:
        """Seconds of the loop over that many."""
        return round(self.empty + number * self.item, 1)


def measure_peer(bench: Bench, namespaces: t.Mapping[int, str]) -> Peer:
    """The loop over LOOP items, and the raw applies over all namespaces; once each, in their own Deployments."""
    empty = median([bench.empty().seconds for _ in range(ROUNDS)])
    own = bench.deployments(LOOP, what="loop")
    before = bench.asked()
    loop = bench.loop(own)
    requests = (bench.asked() - before) / LOOP
    raw = {number: bench.raw(namespace).seconds for number, namespace in namespaces.items()}
    return Peer(empty, (loop.seconds - empty) / LOOP, loop, requests, raw)


def figures_of(number: int, samples: t.Sequence[Sample], peer: Peer) -> list[Figure]:
    """The rows of one size."""
    first, second = (median([part.seconds for part in parts]) for parts in zip(*(s[:2] for s in samples), strict=True))
    slow = peer.extrapolated(number)
    rows = [
        Figure(f"inject_{number}_s", first, slow, LIMITS_S.get(number)),
        Figure(f"inject_{number}_raw_s", first, median([peer.empty + peer.raw[number]])),
        Figure(f"inject_{number}_second_s", second, peer.empty),
        Figure(f"inject_{number}_requests", samples[0].requests, round(peer.requests * number), None, "count"),
        Figure(f"inject_{number}_rss_mb", _peak(samples), round(peer.loop.rss_mb, 1), None, "MiB"),
    ]
    if number == 200:
        rows.insert(1, Figure("inject_200_speedup", round(slow / first, 1), None, LIMIT_SPEEDUP, "times"))
    return rows


def _peak(samples: t.Iterable[Sample]) -> float:
    return round(max(part.rss_mb for sample in samples for part in (sample.first, sample.second)), 1)


def with_pods(bench: Bench, wanted: int, image: str) -> Figure | None:
    """Seconds until the rollouts of so many running pods are complete; the peer applies and asks kubectl to wait."""
    number = min(wanted, bench.room())
    if number < 1:
        return None
    if number < wanted:
        say(f"the nodes take {number} more pods, not {wanted}")
    snippet = copy.deepcopy(bench.snippet)
    snippet["watcher"]["image"] = image
    bench.snippet = snippet
    namespace = bench.deployments(number, replicas=1, what="pods")
    waiting = ("rollout", "status", "deployments", "--namespace", namespace, "--selector=bench=inject")
    argv: list[str | Path] = [tools() / "kubectl", *waiting]
    usage(argv, env=bench.env)
    say(f"{number} running pods")
    ours = bench.ours(namespace, wait=True, wait_timeout=600)
    bench.ours(namespace, state="absent", wait=True, wait_timeout=600)
    peer = bench.raw(namespace).seconds + usage(argv, env=bench.env).seconds
    return Figure(f"inject_{number}_pods_s", median([ours.seconds]), median([peer]))


def measure(bench: Bench, sizes: t.Sequence[int], rounds: int) -> list[Figure]:
    """All sizes; the largest once."""
    namespaces = {}
    samples: dict[int, list[Sample]] = {}
    for number in sizes:
        say(f"making {number} Deployments")
        namespaces[number] = bench.deployments(number)
        for turn in range(1 if number > 200 else rounds):
            samples.setdefault(number, []).append(one_round(bench, namespaces[number]))
            last = samples[number][-1]
            say(f"  round {turn + 1}: {last.first.seconds:.2f} s, again {last.second.seconds:.2f} s")
    say(f"the peer: a loop of {LOOP} kubernetes.core.k8s tasks, extrapolated from there, and the raw applies")
    peer = measure_peer(bench, namespaces)
    rows = [row for number in sizes for row in figures_of(number, samples[number], peer)]
    largest = samples[max(sizes)]
    return [*rows, Figure("inject_rss_mb", _peak(largest), round(peer.loop.rss_mb, 1), None, "MiB")]


def main() -> int:
    """Measure and report."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--kubeconfig", type=Path, help="measure on this cluster, in namespaces of our own")
    parser.add_argument("--rounds", type=int, default=ROUNDS, help="measurements a figure is the median of")
    parser.add_argument("--sizes", type=int, nargs="+", default=[20, 200, 1000], help="numbers of Deployments")
    parser.add_argument("--pods", type=int, default=200, help="running pods of the last figure; 0 leaves it out")
    parser.add_argument("--image", help="the watcher's image for these pods; else it is built and loaded")
    options = parser.parse_args()
    try:
        kubeconfig = options.kubeconfig.resolve() if options.kubeconfig else demo_kubeconfig()
        if not kubeconfig.is_file():
            raise BenchError(f"{kubeconfig} is not a file: name a kubeconfig, or leave the option away.")
        image = options.image
        if options.pods and not image:
            image = f"docker.io/library/discord-monitor:{load_images(kubeconfig)['discord-monitor'] or 'latest'}"
        with tempfile.TemporaryDirectory() as folder:
            bench = Bench(kubeconfig, Path(folder))
            try:
                rows = measure(bench, options.sizes, options.rounds)
                if options.pods:
                    rows += [row for row in [with_pods(bench, options.pods, image)] if row]
            finally:
                bench.remove()
    except BenchError as exc:
        print(f"error: {exc}", file=sys.stderr)
        return 1
    report("inject", rows)
    return 0


if __name__ == "__main__":
    sys.exit(main())

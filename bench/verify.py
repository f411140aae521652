# SPDX-License-Identifier: GPL-3.0-or-later
# SPDX-FileCopyrightText: 2026 The orchestrator.platform authors
"""The module verification on 20, 200 and 1,000 injected Deployments: seconds, API calls, memory (docs/bench.md).

The workloads select a node that does not exist: each has a pod that stays Pending, so that the lists have their real
length and one small node is enough. Each size has a pair of namespaces of its own, removed afterwards.
"""

from __future__ import annotations

import argparse
import json
import secrets
import sys
import tempfile
import time
import typing as t
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

import yaml

from bench._measure import ROOT, ROUNDS, BenchError, Figure, call, environment, median, report, say, tools
from bench.site import Cluster, demo_kubeconfig

SIZES = (20, 200, 1000)
LIMIT_S = {200: 3}
LIMIT_RATIO = 3  # the same limit where one k8s_info takes the second for which it was set
PENDING_S = 300  # longest wait until every Deployment has its pod
CHART = ROOT / "charts" / "discord-monitor"
RELEASE = "bench-discord-monitor"
# Runs a command and prints the largest resident set of its processes, in KiB.
PEAK = (
    "import resource, subprocess, sys; "
    "done = subprocess.run(sys.argv[1:], stdout=subprocess.DEVNULL); "
    "print(resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss); sys.exit(done.returncode)"
)
Obj = dict[str, t.Any]


class Sample(t.NamedTuple):
    """What was measured of one size."""

    seconds: float
    peer_seconds: float
    ratio: float  # of the two, round by round: what else the machine does meets both
    api_calls: int
    rss_mb: float


class Stage:
    """Two namespaces with so many injected workloads."""

    def __init__(self, kubeconfig: Path, size: int, folder: Path) -> None:
        programs = tools()
        self.kubeconfig, self.size, self.folder = kubeconfig, size, folder
        self.kubectl_program, self.helm_program = programs / "kubectl", programs / "helm"
        self.env = environment(KUBECONFIG=str(kubeconfig))
        run = secrets.token_hex(3)
        self.monitor, self.agents = f"bench-{run}-monitor", f"bench-{run}-agents"

    def kubectl(self, *arguments: str, stdin: str | None = None) -> str:
        """Standard output of a kubectl command."""
        return call([self.kubectl_program, *arguments], env=self.env, stdin=stdin)

    def prepare(self) -> None:
        """Namespaces, the published snippet, and the workloads with it; waits until each has its pod."""
        rendered = call(
            [self.helm_program, "template", RELEASE, CHART, f"--namespace={self.monitor}", "--set=bot.enabled=false"],
            env=self.env,
        )
        published = next(
            item
            for item in yaml.safe_load_all(rendered)
            if item and item["kind"] == "ConfigMap" and "snippet.json" in item["data"]
        )
        for name in (self.monitor, self.agents):
            self.kubectl("create", "namespace", name)
        snippet = json.loads(published["data"]["snippet.json"])
        workloads = [workload(f"agent-{number}", snippet, published["data"]["hash"]) for number in range(self.size)]
        self._create(self.monitor, [published])
        self._create(self.agents, workloads)
        deadline = time.monotonic() + PENDING_S
        while len(self.kubectl("get", "pods", f"--namespace={self.agents}", "--output=name").split()) < self.size:
            if time.monotonic() > deadline:
                raise BenchError(f"not every one of {self.size} Deployments has its pod after {PENDING_S} s.")
            time.sleep(1)  # between two looks
        Cluster(self.kubeconfig).settle([self.monitor, self.agents])  # else its controllers' work is timed, too
        self._write_playbooks()

    def _create(self, namespace: str, items: list[Obj]) -> None:
        body = json.dumps({"apiVersion": "v1", "kind": "List", "items": items})
        self.kubectl("create", f"--namespace={namespace}", "--filename=-", stdin=body)

    def _write_playbooks(self) -> None:
        result = {"ansible.builtin.copy": {"content": "{{ found | to_json }}", "dest": str(self.folder / "found.json")}}
        ours = {
            "orchestrator.platform.verification": {
                "kubeconfig": str(self.kubeconfig),
                "monitor_namespace": self.monitor,
                "agent_namespaces": [self.agents],
                "release": RELEASE,
                "bot_expected": False,
                "fail_on": "none",
            },
        }
        peer = {
            "kubernetes.core.k8s_info": {
                "kubeconfig": str(self.kubeconfig),
                "api_version": "apps/v1",
                "kind": "Deployment",
                "namespace": self.agents,
            }
        }
        self._playbook("ours.yml", [ours])
        self._playbook("calls.yml", [{**ours, "register": "found"}, result])
        self._playbook("peer.yml", [peer])

    def _playbook(self, name: str, tasks: list[Obj]) -> None:
        play = {
            "hosts": "localhost",
            "connection": "local",
            "gather_facts": False,
            "vars": {"ansible_pipelining": True},  # as in our playbooks; for the peer as well
            "tasks": tasks,
        }
        (self.folder / name).write_text(json.dumps([play]), encoding="utf-8")

    def run(self, name: str) -> tuple[float, float]:
        """(seconds, MiB of the largest process) of a playbook, the whole process."""
        began = time.monotonic()
        argv: list[str | Path] = [sys.executable, "-c", PEAK, "ansible-playbook", self.folder / name]
        peak_kib = int(call(argv, env=environment()).strip().splitlines()[-1])
        return time.monotonic() - began, peak_kib / 1024

    def measure(self, rounds: int) -> Sample:
        """Medians of the rounds."""
        self.run("calls.yml")
        found = json.loads((self.folder / "found.json").read_text(encoding="utf-8"))
        looked_at = found["summary"]["by_family"]["injection"]["passed"]
        if looked_at < self.size:
            raise BenchError(f"of {self.size} workloads only {looked_at} were judged: {found['lines'][:3]}")
        ours, peer = [], []
        for _ in range(rounds):
            ours.append(self.run("ours.yml"))
            peer.append(self.run("peer.yml")[0])
        say(f"  {self.size}: collecting {found['timings']['collect_s']} s, judging {found['timings']['judge_s']} s")
        return Sample(
            seconds=median([one[0] for one in ours]),
            peer_seconds=median(peer),
            ratio=median([one[0] / other for one, other in zip(ours, peer, strict=True)]),
            api_calls=found["api_calls"],
            rss_mb=median([one[1] for one in ours]),
        )

    def remove(self) -> None:
        """Everything of this size."""
        self.kubectl("delete", "namespace", self.monitor, self.agents, "--ignore-not-found", "--timeout=600s")


def workload(name: str, snippet: Obj, snippet_hash: str) -> Obj:
    """A Deployment as after the injection, on a node that does not exist."""
    labels = {"app": name}
    spec = {
        "nodeSelector": {"orchestrator.platform/bench": "none"},
        "automountServiceAccountToken": False,
        "initContainers": [{**snippet["watcher"], "restartPolicy": "Always"}],
        "containers": [{"name": "agent", "image": "agent:1", "volumeMounts": snippet["agentVolumeMounts"]}],
        "volumes": snippet["volumes"],
    }
    annotations = {"orchestrator.platform/snippet-hash": snippet_hash}
    return {
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "metadata": {"name": name},
        "spec": {
            "selector": {"matchLabels": labels},
            "template": {"metadata": {"labels": labels, "annotations": annotations}, "spec": spec},
        },
    }


def one_size(kubeconfig: Path, size: int, rounds: int) -> Sample:
    """Make, measure, remove."""
    with tempfile.TemporaryDirectory() as folder:
        stage = Stage(kubeconfig, size, Path(folder))
        try:
            stage.prepare()
            return stage.measure(rounds)
        finally:
            stage.remove()


def figures(samples: t.Mapping[int, Sample]) -> list[Figure]:
    """Seconds by size, then calls and memory of the largest size beside those of the smallest."""
    sizes = sorted(samples)
    small, large = samples[sizes[0]], samples[sizes[-1]]
    rows = [
        Figure(f"verify_{size}_s", samples[size].seconds, samples[size].peer_seconds, LIMIT_S.get(size))
        for size in sizes
    ]
    named = samples.get(200, large)
    rows.append(Figure("verify_200_ratio", round(named.ratio, 2), 1, LIMIT_RATIO, "times"))
    rows.append(Figure("verify_api_calls", named.api_calls, None, None, "count"))
    # Pages of 500: a list of a thousand is two calls and no more.
    rows.append(Figure("verify_api_calls_growth", large.api_calls - small.api_calls, None, 10, "count"))
    rows.append(Figure("verify_rss_mb", named.rss_mb, None, None, "MiB"))
    rows.append(Figure("verify_rss_growth_mb", round(large.rss_mb - small.rss_mb, 2), None, None, "MiB"))
    return rows


def main() -> int:
    """Measure and report."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--kubeconfig", type=Path, help="measure on this cluster, in namespaces of our own")
    parser.add_argument("--rounds", type=int, default=ROUNDS, help="measurements a figure is the median of")
    parser.add_argument("--sizes", type=int, nargs="+", default=SIZES, help="numbers of workloads")
    options = parser.parse_args()
    try:
        kubeconfig = options.kubeconfig.resolve() if options.kubeconfig else demo_kubeconfig()
        if not kubeconfig.is_file():
            raise BenchError(f"{kubeconfig} is not a file: name a kubeconfig, or leave the option away.")
        samples = {}
        for size in options.sizes:
            say(f"{size} workloads")
            samples[size] = one_size(kubeconfig, size, options.rounds)
            say(f"  {samples[size]}")
    except BenchError as exc:
        print(f"error: {exc}", file=sys.stderr)
        return 1
    report("verify", figures(samples))
    return 0


if __name__ == "__main__":
    sys.exit(main())

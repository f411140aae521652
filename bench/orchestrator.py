#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-3.0-or-later
# SPDX-FileCopyrightText: 2026 The orchestrator.platform authors
"""Many CodeRuns at once, whose agents end at once; the peer is the bare creation of the same objects (docs/bench.md).

A namespace of its own on the cluster of --kubeconfig, else on that of `make demo`. No other workload with an account
may call the API server meanwhile: the count of calls is that of all service accounts outside kube-system.
"""

from __future__ import annotations

import argparse
import copy
import json
import re
import secrets
import shutil
import sys
import tempfile
import time
import typing as t
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from bench import _raw
from bench._measure import ROOT, BenchError, Figure, call, median, report, say
from bench.site import Cluster, demo_kubeconfig, load_images

CHART = ROOT / "charts" / "orchestrator"
IMAGES = ("orchestrator", "platform-agent")
RATIO_LIMIT = 1.5
MEMORY_LIMIT_MB = 512  # of the chart's container
DEADLINE_S = 3600
LOOK_S = 1.0  # between two looks at all runs, one call each
TRIVIAL = "#!/usr/bin/env bash\nexit 0\n"
Json = dict[str, t.Any]


class Place:
    """One namespace with an orchestrator whose agents end at once."""

    def __init__(self, cluster: Cluster, tags: t.Mapping[str, str], folder: Path) -> None:
        self.cluster, self.tags, self.folder = cluster, tags, folder
        self.namespace = f"bench-{secrets.token_hex(3)}-runs"
        self.pool = _raw.connect(cluster.kubeconfig)

    def prepare(self) -> None:
        """Secrets and the chart; not timed."""
        kubectl = self.cluster.kubectl
        kubectl("create", "namespace", self.namespace)
        keys = {
            "orchestrator-secrets": "ANTHROPIC_API_KEY",
            "github-ssh-bench": "ssh-privatekey",
            "github-token-bench": "token",
        }
        for name, key in keys.items():
            secret = {"apiVersion": "v1", "kind": "Secret", "metadata": {"name": name}, "stringData": {key: "bench"}}
            kubectl("create", "--namespace", self.namespace, "--filename=-", stdin=json.dumps(secret))
        chart = self.folder / "orchestrator"
        shutil.copytree(CHART, chart)
        (chart / "claude-templates" / "code" / "container.sh.hbs").write_text(TRIVIAL, encoding="utf-8")
        values = self.folder / "values.json"
        values.write_text(json.dumps(self._values()), encoding="utf-8")
        argv = ("upgrade", "--install", "orchestrator", str(chart), "--namespace", self.namespace)
        call(self.cluster.helm_argv(*argv, "--values", str(values), "--wait", "--timeout=300s"), env=self.cluster.env)

    def _values(self) -> Json:
        def image(name: str) -> Json:
            return {"repository": name, "tag": self.tags[name] or "0.1.0", "pullPolicy": "IfNotPresent"}

        return {
            "image": image("orchestrator"),
            "agent": {"image": image("platform-agent"), "telemetry": {"enabled": False}},
            "secrets": {"existingSecret": "orchestrator-secrets"},
            "storage": {"storageClassName": "", "workspaceSize": "1Mi"},
            # What the controller makes has to be there afterwards: the peer makes the same.
            "cleanup": {"enabled": False},
            "healthCheck": {"readinessProbe": {"initialDelaySeconds": 1, "periodSeconds": 2}},
        }

    def objects(self, kinds: str) -> list[Json]:
        """All objects of these kinds in the namespace."""
        listed = self.cluster.kubectl("get", kinds, "--namespace", self.namespace, "--output=json")
        found: list[Json] = json.loads(listed)["items"]
        return found

    def create(self, objects: t.Sequence[Json]) -> None:
        """POST all of them, eight at a time on kept connections; raises BenchError when one is refused."""
        paths = {
            "CodeRun": "/apis/orchestrator.platform/v1/namespaces/{}/coderuns",
            "Job": "/apis/batch/v1/namespaces/{}/jobs",
            "ConfigMap": "/api/v1/namespaces/{}/configmaps",
            "PersistentVolumeClaim": "/api/v1/namespaces/{}/persistentvolumeclaims",
        }  # fmt: skip

        def post(content: Json) -> tuple[int, bytes]:
            path = paths[content["kind"]].format(self.namespace)
            headers = {"Content-Type": "application/json"}
            answer = self.pool.request("POST", path, body=json.dumps(content), headers=headers)
            return answer.status, answer.data

        with ThreadPoolExecutor(_raw.THREADS) as threads:
            for status, words in threads.map(post, objects):
                if status != 201:
                    raise BenchError(f"the API server refuses what is to be made: {words.decode()[:500]}")

    def wait(self, kind: str, done: t.Callable[[Json], bool], number: int) -> None:
        """Until so many are done; raises BenchError when that does not come."""
        deadline = time.monotonic() + DEADLINE_S
        told = -1
        while (count := sum(map(done, self.objects(kind)))) < number:
            if time.monotonic() > deadline:
                raise BenchError(f"{count} of {number} {kind} are done after {DEADLINE_S} s: look at their conditions.")
            if count // 50 > told:
                told = count // 50
                say(f"  {count} of {number} {kind}")
            time.sleep(LOOK_S)

    def calls(self) -> float:
        """Requests of service accounts outside kube-system, by the API server's own count."""
        page = self.cluster.kubectl("get", "--raw", "/metrics")
        rows = re.findall(r"^apiserver_flowcontrol_dispatched_requests_total\{([^}]*)\} (\S+)$", page, re.MULTILINE)
        return sum(float(value) for labels, value in rows if 'flow_schema="service-accounts"' in labels)

    def memory_mb(self) -> float:
        """The largest memory that the controller has had."""
        argv = ("exec", "--namespace", self.namespace, "deploy/orchestrator", "--", "cat", "/proc/1/status")
        found = re.search(r"VmHWM:\s+(\d+) kB", self.cluster.kubectl(*argv))
        if not found:
            raise BenchError("the controller's process does not say how much memory it had.")
        return int(found[1]) / 1024

    def remove(self) -> None:
        """The runs while their controller still runs, then the namespace."""
        kubectl = self.cluster.kubectl
        kubectl("delete", "coderuns", "--all", "--namespace", self.namespace, "--timeout=600s")
        kubectl("delete", "namespace", self.namespace, "--ignore-not-found", "--timeout=600s")


def run_of(number: int) -> Json:
    """A CodeRun with a service of its own, so that none waits for another's workspace."""
    spec = {
        "taskId": number, "service": f"bench-{number}", "repositoryUrl": "https://git.example.org/o/r.git",
        "docsRepositoryUrl": "https://git.example.org/o/d.git", "model": "bench", "githubUser": "bench",
    }  # fmt: skip
    metadata = {"name": f"bench-{number}"}
    return {"apiVersion": "orchestrator.platform/v1", "kind": "CodeRun", "metadata": metadata, "spec": spec}


def is_finished(run: Json) -> bool:
    """Whether a run has succeeded; raises BenchError for one that failed."""
    status = run.get("status") or {}
    if status.get("phase") == "Failed":
        raise BenchError(f"run {run['metadata']['name']} failed: {status.get('message')}")
    return bool(status.get("phase") == "Succeeded")


def is_complete(job: Json) -> bool:
    """Whether a Job is complete."""
    conditions = (job.get("status") or {}).get("conditions") or []
    return any((c["type"], c["status"]) == ("Complete", "True") for c in conditions)


def bare(objects: t.Sequence[Json]) -> list[Json]:
    """Claims, ConfigMaps and Jobs as a caller without controller makes them: other names, no owner, no status."""
    made = []
    for found in objects:
        new = copy.deepcopy(found)
        metadata = new["metadata"]
        new["metadata"] = {"name": f"p{metadata['name']}"[:63], "labels": {"bench": "peer"}}
        new.pop("status", None)
        if new["kind"] == "PersistentVolumeClaim":
            kept = ("accessModes", "resources", "storageClassName")
            new["spec"] = {key: value for key, value in new["spec"].items() if key in kept}
        if new["kind"] == "Job":
            new["spec"].pop("selector", None)
            new["spec"]["template"]["metadata"] = {"labels": {"bench": "peer"}}
            _point_at_peers(new["spec"]["template"]["spec"]["volumes"])
        made.append(new)
    order = ["PersistentVolumeClaim", "ConfigMap", "Job"]
    return sorted(made, key=lambda item: order.index(item["kind"]))


def _point_at_peers(volumes: t.Sequence[Json]) -> None:
    for volume in volumes:
        if "configMap" in volume:
            volume["configMap"]["name"] = f"p{volume['configMap']['name']}"[:63]
        if "persistentVolumeClaim" in volume:
            volume["persistentVolumeClaim"]["claimName"] = f"p{volume['persistentVolumeClaim']['claimName']}"[:63]


class Sample(t.NamedTuple):
    """What one round measured."""

    ours_s: float
    peer_s: float
    calls: float
    memory_mb: float


def one_round(cluster: Cluster, tags: t.Mapping[str, str], number: int) -> Sample:
    """Ours, then the same objects without a controller, then nothing of both."""
    with tempfile.TemporaryDirectory() as folder:
        place = Place(cluster, tags, Path(folder))
        try:
            place.prepare()
            calls, started = place.calls(), time.monotonic()
            place.create([run_of(one) for one in range(1, number + 1)])
            place.wait("coderuns", is_finished, number)
            ours_s = time.monotonic() - started
            calls = place.calls() - calls
            memory_mb = place.memory_mb()
            made = [o for o in place.objects("jobs,configmaps,persistentvolumeclaims") if belongs(o)]
            peers = bare(made)
            # The peer begins with lists as short as ours were.
            place.cluster.kubectl("delete", "coderuns", "--all", "--namespace", place.namespace, "--timeout=900s")
            place.cluster.kubectl(
                "delete", "jobs,persistentvolumeclaims", "--all", "--namespace", place.namespace, "--timeout=900s"
            )
            started = time.monotonic()
            place.create(peers)
            place.wait("jobs", is_complete, number)
            peer_s = time.monotonic() - started
        finally:
            place.remove()
    return Sample(ours_s, peer_s, calls / number, memory_mb)


def belongs(found: Json) -> bool:
    """Whether the controller made it for a run."""
    if found["kind"] == "PersistentVolumeClaim":
        return bool(found["metadata"]["name"].startswith("workspace-"))
    return any(owner["kind"] in ("CodeRun", "Job") for owner in found["metadata"].get("ownerReferences") or [])


def figures(samples: t.Sequence[Sample]) -> list[Figure]:
    """Medians of all rounds."""
    ours, peer = median([s.ours_s for s in samples]), median([s.peer_s for s in samples])
    return [
        Figure("runs_200_ratio", median([s.ours_s / s.peer_s for s in samples]), None, RATIO_LIMIT, "times"),
        Figure("runs_200_s", ours, peer),
        Figure("calls_per_run", median([s.calls for s in samples]), None, None, "count"),
        Figure("controller_peak_mb", median([s.memory_mb for s in samples]), None, MEMORY_LIMIT_MB, "MB"),
    ]


def main() -> int:
    """Measure and report."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--kubeconfig", type=Path, help="measure on this cluster, in a namespace of our own")
    parser.add_argument("--rounds", type=int, default=1, help="measurements a figure is the median of")
    parser.add_argument("--runs", type=int, default=200, help="CodeRuns at once; the keys keep their names")
    options = parser.parse_args()
    try:
        kubeconfig = options.kubeconfig.resolve() if options.kubeconfig else demo_kubeconfig()
        if not kubeconfig.is_file():
            raise BenchError(f"{kubeconfig} is not a file: name a kubeconfig, or leave the option away.")
        tags = load_images(kubeconfig, IMAGES)
        cluster = Cluster(kubeconfig)
        samples = []
        for number in range(options.rounds):
            say(f"round {number + 1} of {options.rounds}: {options.runs} runs")
            samples.append(one_round(cluster, tags, options.runs))
    except BenchError as exc:
        print(f"error: {exc}", file=sys.stderr)
        return 1
    report("orchestrator", figures(samples))
    return 0


if __name__ == "__main__":
    sys.exit(main())

# SPDX-License-Identifier: GPL-3.0-or-later
# SPDX-FileCopyrightText: 2026 The orchestrator.platform authors
"""Renders the charts with the helm program, each set of values once a process. Knows nothing of clusters."""

from __future__ import annotations

import functools
import json
import os
import shutil
import subprocess
import typing as t
from pathlib import Path

import yaml

ROOT = Path(__file__).resolve().parents[2]
CHARTS = ROOT / "charts"
MONITOR = CHARTS / "discord-monitor"
DEMO = CHARTS / "demo"
ORCHESTRATOR = CHARTS / "orchestrator"
AGENT = Path(__file__).parent / "fixtures" / "agent"
OLDEST, NEWEST = "1.29", "1.36"  # the Kubernetes versions we support, see the floor in Chart.yaml

# Cases that need a newer Kubernetes than the oldest, for the policies they render.
FLOORS = {"admission": "1.36", "enforcement": "1.30"}

Object = dict[str, t.Any]


class Rendering(t.NamedTuple):
    """What `helm template` printed; `error` is empty when it succeeded."""

    text: str
    error: str

    @property
    def objects(self) -> list[Object]:
        """The objects, in Helm's order; fails the test when the rendering failed."""
        assert not self.error, self.error
        return [document for document in yaml.safe_load_all(self.text) if document]

    def one(self, kind: str, name: str | None = None) -> Object:
        """The only object of that kind (and name)."""
        found = [o for o in self.objects if o["kind"] == kind and name in (None, o["metadata"]["name"])]
        names = [(o["kind"], o["metadata"]["name"]) for o in self.objects]
        assert len(found) == 1, f"one {kind} {name or ''} expected among {names}"
        return found[0]


def program(name: str) -> str:
    """Path of helm or kubeconform: the variable HELM or KUBECONFORM, else PATH."""
    found = os.environ.get(name.upper()) or shutil.which(name)
    assert found, f"{name} not found: set {name.upper()} to its path or put it on PATH"
    return found


def helm(*argv: str) -> subprocess.CompletedProcess[str]:
    """Run helm with no kubeconfig, so that nothing can reach a cluster."""
    env = {**os.environ, "KUBECONFIG": os.devnull}
    return subprocess.run([program("helm"), *argv], capture_output=True, text=True, check=False, env=env, timeout=60)


def template(
    chart: Path,
    values: t.Mapping[str, t.Any] | None = None,
    *,
    case: str = "",
    release: str = "discord-monitor",
    kubernetes: str = NEWEST,
) -> Rendering:
    """Render a chart with values, or with the file ci/<case>-values.yaml of the chart, or both (values win)."""
    return _template(chart, json.dumps(values or {}, sort_keys=True, ensure_ascii=False), case, release, kubernetes)


@functools.cache
def _template(chart: Path, values: str, case: str, release: str, kubernetes: str) -> Rendering:
    files = [f"--values={chart}/ci/{case}-values.yaml"] if case else []
    argv = ["template", release, str(chart), "--namespace=test", f"--kube-version={kubernetes}", *files]
    # Not --set: Helm would guess types. Values come on stdin, as JSON, which is YAML.
    env = {**os.environ, "KUBECONFIG": os.devnull}
    done = subprocess.run(
        [program("helm"), *argv, "--values=-"],
        input=values,
        capture_output=True,
        text=True,
        check=False,
        env=env,
        timeout=60,
    )
    return Rendering(done.stdout, done.stderr if done.returncode else "")


def cases(chart: Path) -> list[str]:
    """Names of the files ci/<case>-values.yaml of a chart."""
    return sorted(path.name.removesuffix("-values.yaml") for path in (chart / "ci").glob("*-values.yaml"))


def nested(path: str, value: t.Any) -> dict[str, t.Any]:
    """Values with one key: nested("a.b", 1) is {"a": {"b": 1}}."""
    for key in reversed(path.split(".")):
        value = {key: value}
    return t.cast("dict[str, t.Any]", value)


def merged(*parts: t.Mapping[str, t.Any]) -> dict[str, t.Any]:
    """Deep merge of maps; later ones win."""
    out: dict[str, t.Any] = {}
    for part in parts:
        for key, value in part.items():
            old = out.get(key)
            out[key] = merged(old, value) if isinstance(old, dict) and isinstance(value, dict) else value
    return out


def snippet(rendering: Rendering) -> dict[str, t.Any]:
    """The published snippet."""
    config_map = next(o for o in rendering.objects if o["kind"] == "ConfigMap" and "snippet.json" in o["data"])
    return t.cast("dict[str, t.Any]", json.loads(config_map["data"]["snippet.json"]))


def pod_specs(objects: t.Iterable[Object]) -> list[tuple[str, Object]]:
    """Every pod spec below the objects, with a name for messages."""
    found = []
    for o in objects:
        spec = o.get("spec") or {}
        spec = (spec.get("jobTemplate") or {}).get("spec", spec)
        if o["kind"] == "Pod":
            found.append((f"Pod/{o['metadata']['name']}", spec))
        elif "template" in spec:
            found.append((f"{o['kind']}/{o['metadata']['name']}", spec["template"]["spec"]))
    return found

# SPDX-License-Identifier: GPL-3.0-or-later
# SPDX-FileCopyrightText: 2026 The orchestrator.platform authors
"""Which of the planted faults do linters of manifests find, and which do the checks (docs/bench.md).

The states are those of the scenario verify_negative, written as manifests. Ours judges the same manifests, as a
snapshot without anything that runs, and finds a fault when its check speaks. A linter finds it when it says anything
that it does not say of the good state; what it says of that one is its noise.
No cluster is asked. The linters go into environments of their own, under the user's cache.
"""

from __future__ import annotations

import argparse
import copy
import csv
import hashlib
import json
import os
import subprocess
import sys
import tempfile
import typing as t
from collections.abc import Callable, Iterable
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent / ".ansible" / "collections"))
sys.path.insert(0, str(Path(__file__).resolve().parent.parent / "molecule" / "shared"))
sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

import yaml
from ansible_collections.orchestrator.platform.plugins.module_utils._catalogue import CHECKS
from ansible_collections.orchestrator.platform.plugins.module_utils._expectation import Expectation
from ansible_collections.orchestrator.platform.plugins.module_utils._findings import run_checks
from ansible_collections.orchestrator.platform.plugins.module_utils._kinds import BUILT_IN
from ansible_collections.orchestrator.platform.plugins.module_utils._manifests import inject_all
from ansible_collections.orchestrator.platform.plugins.module_utils._sidecar import Options
from ansible_collections.orchestrator.platform.plugins.module_utils._snapshot import Snapshot, View
from ansible_collections.orchestrator.platform.plugins.module_utils._snippet import snippet_of_config_map

from bench._measure import ROOT, BenchError, Figure, call, environment, report, say, tools
from planted import FAULTS, GOOD, Fault  # type: ignore[import-not-found]  # of molecule/shared
from states import RELEASE, State  # type: ignore[import-not-found]

Obj = dict[str, t.Any]
Found = set[tuple[str, ...]]  # whatever tells one finding of a program from another
GOOD_STATE = "good"
KUBE_SCORE = "github.com/zegl/kube-score/cmd/kube-score@v1.20.0"
# Tried besides, and read by nobody here: a module proxy that serves one is said.
OTHERS = (
    "golang.stackrox.io/kube-linter",
    "github.com/fairwindsops/polaris",
    "github.com/derailed/popeye",
    "github.com/Shopify/kubeaudit",
    "github.com/controlplaneio/kubesec/v2",
)
CACHE = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "orchestrator-platform"
INSTALL_S = 900


class Linter(t.NamedTuple):
    """A program under its name, and what it says of a folder of manifests: file name -> findings."""

    name: str
    run: Callable[[Path], dict[str, Found]]


# -- the states as manifests ---------------------------------------------------------------------------------------


def in_manifests(name: str, fault: Fault) -> bool:
    """Whether the fault stands in a manifest: not in a run's options, in a running pod, or in what is done later.

    Those of the orchestrator are left out: what a linter says of its whole chart would hide what it says of the fault.
    """
    elsewhere = name.startswith("report/") or name in {check.id for check in CHECKS if check.scope == "orchestrator"}
    return fault.later is None and not (fault.limited or fault.live or elsewhere)


def manifests(fault: Fault, rendered: list[Obj]) -> list[Obj]:
    """What a user would have in files: the chart's objects, the agents', the sidecar injected, the fault planted."""
    state = State("case", rendered, [])  # one name for all, so that nothing else differs
    fault.plant(state)
    agent = {"apiVersion": "apps/v1", **copy.deepcopy(state.agent)}
    if state.inject:
        snippet = snippet_of_config_map(state.chart("ConfigMap", "-snippet"))
        (agent,) = inject_all([agent], snippet, Options(native=True, bridge=state.bridge, new=True))
    if fault.edit is not None:
        fault.edit(agent["spec"]["template"])
    objects: list[Obj] = [{"kind": "Namespace", "metadata": {"name": name}} for name in state.namespaces]
    objects += state.cluster_objects
    for namespace, items in ((state.monitor, state.monitor_objects), (state.agents, [*state.agent_objects, agent])):
        objects += [{**item, "metadata": {**item["metadata"], "namespace": namespace}} for item in items]
    return [{"apiVersion": BUILT_IN[item["kind"]][0], **item} for item in objects]


def write(folder: Path, cases: dict[str, list[Obj]]) -> None:
    """A file a case."""
    for name, objects in cases.items():
        (folder / file_of(name)).write_text(yaml.safe_dump_all(objects), encoding="utf-8")


def file_of(name: str) -> str:
    """The file of a case."""
    return name.replace("/", "--") + ".yaml"


# -- ours ----------------------------------------------------------------------------------------------------------


def ours(objects: list[Obj]) -> Found:
    """Ids and subjects of what the catalogue finds in these objects."""
    monitor, agents = (item["metadata"]["name"] for item in objects if item["kind"] == "Namespace")
    expect = Expectation(
        monitor_namespace=monitor,
        agent_namespaces=(agents,),
        release=RELEASE,
        fullname=RELEASE,
        snippet_name=f"{RELEASE}-snippet",
        bot_secret="discord-monitor-bot",  # noqa: S106 (names)
        bot_key="BOT_TOKEN",
        webhook_secret="discord-secrets",  # noqa: S106
        watcher_resources={
            "requests": {"cpu": "10m", "memory": "32Mi"},
            "limits": {"cpu": "100m", "memory": "64Mi"},
        },
    )
    snapshot = Snapshot(namespaces={monitor: {}, agents: {}})
    for item in objects:
        _version, plural, _namespaced = BUILT_IN[item["kind"]]
        helm = item.get("type") == "helm.sh/release.v1"
        place = ("releases" if helm else plural, item["metadata"].get("namespace", ""))
        snapshot.objects.setdefault(place, []).append(item)
    for namespace in (monitor, agents):  # the API server makes it
        account = {"metadata": {"name": "default", "namespace": namespace}}
        snapshot.objects.setdefault(("serviceaccounts", namespace), []).append(account)
    # The API server would say what the roles say: these are all that there are.
    access = View(snapshot, expect).access
    snapshot.reviews = {ask: access.roles.granted_by(*ask) is not None for ask in access.questions()}
    groups = access.questions_about_groups(snapshot.reviews)
    snapshot.reviews |= {ask: access.roles.granted_by(*ask) is not None for ask in groups}
    findings, _complete = run_checks(CHECKS, View(snapshot, expect))
    return {
        (item["id"], *(str(part) for part in item["subject"].values()))
        for item in findings
        if item["verdict"] in ("fail", "warn")
    }


# -- the linters ---------------------------------------------------------------------------------------------------


def last_line(exc: BenchError) -> str:
    """What a program that failed said last."""
    return str(exc).strip().splitlines()[-1].strip()


def kube_score() -> Linter:
    """Installed as a Go module; all of its tests, the optional ones too. Raises BenchError."""
    folder = CACHE / f"linter-{hashlib.sha256(KUBE_SCORE.encode()).hexdigest()[:12]}"
    program = folder / "kube-score"
    if not program.is_file():
        call(["go", "install", KUBE_SCORE], env=environment(GOBIN=str(folder)), timeout_s=INSTALL_S)
    known = csv.reader(call([program, "list"], env=environment()).splitlines())
    optional = [f"--enable-optional-test={row[0]}" for row in known if row[-1] == "optional"]

    def run(folder: Path) -> dict[str, Found]:
        found: dict[str, Found] = {}
        for path in sorted(folder.glob("*.yaml")):
            argv = [str(program), "score", "--output-format=json", *optional, str(path)]
            answer = said(argv)
            found[path.name] = {
                (check["check"]["id"], item["object_name"], str(comment.get("path")), str(comment.get("summary")))
                for item in answer
                for check in item["checks"]
                if not check["skipped"] and check["grade"] < 10  # 10 is its word for "all ok"
                for comment in check.get("comments") or [{}]
            }
        return found

    return Linter(f"kube-score {KUBE_SCORE.rpartition('@v')[2]}", run)


def checkov() -> Linter:
    """Installed from PyPI by requirements/linters.txt into an environment of its own. Raises BenchError."""
    pins = ROOT / "requirements" / "linters.txt"
    folder = CACHE / f"linter-{hashlib.sha256(pins.read_bytes()).hexdigest()[:12]}"
    program = folder / "bin" / "checkov"
    if not (folder / ".complete").is_file():
        call([sys.executable, "-m", "venv", "--clear", folder], env=environment())
        pip: list[str | Path] = [folder / "bin" / "pip", "install", "--quiet", "--require-hashes", "-r", pins]
        call(pip, env=environment(), timeout_s=INSTALL_S)
        (folder / ".complete").touch()

    def run(folder: Path) -> dict[str, Found]:
        argv = [str(program), f"--directory={folder}", "--framework", "kubernetes", "secrets"]
        answer = said([*argv, "--output=json", "--quiet", "--compact", "--skip-download", "--soft-fail"])
        found: dict[str, Found] = {path.name: set() for path in folder.glob("*.yaml")}
        for part in answer if isinstance(answer, list) else [answer]:
            for check in part.get("results", {}).get("failed_checks", []):
                found[Path(check["file_path"]).name].add((check["check_id"], str(check["resource"])))
        return found

    version = call([program, "--version"], env=environment()).strip()
    return Linter(f"checkov {version}", run)


def said(argv: list[str]) -> t.Any:  # noqa: ANN401 (decoded JSON)
    """What a linter prints; its exit status only says whether it found something."""
    done = subprocess.run(argv, env=environment(), capture_output=True, text=True, check=False, timeout=INSTALL_S)
    try:
        return json.loads(done.stdout)
    except ValueError as exc:
        last = (done.stderr.strip().splitlines() or ["no output"])[-1]
        raise BenchError(f"{Path(argv[0]).name} printed no JSON: {last}") from exc


def others() -> None:
    """Say of the other linters whether they can be had."""
    for module in OTHERS:
        try:
            call(["go", "list", "-m", f"{module}@latest"], env=environment(GOWORK="off"))
            say(f"{module}: to be had, but its output is not read here")
        except BenchError as exc:
            say(f"{module}: not to be had: {last_line(exc)}")


# -- the table -----------------------------------------------------------------------------------------------------


def compare(found: dict[str, Found]) -> dict[str, bool]:
    """Case -> whether something is said of it that is not said of the good state."""
    noise = found[GOOD_STATE]
    return {name: bool(rows - noise) for name, rows in found.items() if name != GOOD_STATE}


def printed(columns: dict[str, dict[str, bool]], names: Iterable[str]) -> str:
    """Which program finds what; `cluster` where ours needs what only the API server knows."""
    wide = max(len(name) for name in names)
    lines = ["  ".join([f"{'planted fault':{wide}}", *(title.ljust(len("cluster")) for title in columns)])]
    for name in names:
        cells = [
            ("yes" if found[name] else "-").ljust(max(len(title), len("cluster"))) for title, found in columns.items()
        ]
        if not columns["ours"][name]:
            cells[0] = "cluster"
        lines.append("  ".join([f"{name:{wide}}", *cells]).rstrip())
    return "\n".join(lines)


def main() -> int:
    """Compare and report."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--kubeconfig", help="not used: no cluster is asked")
    parser.add_argument("--rounds", help="not used: nothing is timed")
    parser.parse_args()
    try:
        helm = tools() / "helm"
        argv = [helm, "template", RELEASE, "charts/discord-monitor", "--set=inputBridge.enabled=true"]
        rendered = [item for item in yaml.safe_load_all(call(argv, env=environment())) if item]
        chosen = {name: fault for name, fault in FAULTS.items() if in_manifests(name, fault)}
        cases = {name: manifests(fault, rendered) for name, fault in {GOOD_STATE: GOOD["good"], **chosen}.items()}
        mine = {name: ours(objects) for name, objects in cases.items()}
        # Of ours the check itself has to speak; of a linter anything is enough.
        columns = {"ours": {name: name in {row[0] for row in mine[name] - mine[GOOD_STATE]} for name in chosen}}
        noise = {"ours": len(mine[GOOD_STATE])}
        with tempfile.TemporaryDirectory() as folder:
            write(Path(folder), cases)
            for make in (kube_score, checkov):
                try:
                    linter = make()
                except BenchError as exc:
                    say(f"{make.__name__}: not to be had: {last_line(exc)}")
                    continue
                files = linter.run(Path(folder))
                found = {name: files[file_of(name)] for name in cases}
                columns[linter.name], noise[linter.name] = compare(found), len(found[GOOD_STATE])
        others()
    except BenchError as exc:
        print(f"error: {exc}", file=sys.stderr)
        return 1
    print(printed(columns, list(chosen)), flush=True)
    print(f"not in manifests, and so not in the table: {len(FAULTS) - len(chosen)} of {len(FAULTS)} faults", flush=True)
    held = sum(columns["ours"].values())
    figures = [Figure("linters_faults", len(chosen), None, None, "count")]
    for title, column in columns.items():
        key = title.partition(" ")[0].replace("-", "_")
        if title != "ours":
            figures.append(Figure(f"linters_found_{key}", held, sum(column.values()), None, "count"))
            figures.append(Figure(f"linters_noise_{key}", noise["ours"], noise[title], None, "count"))
    report("linters", figures)
    return 0


if __name__ == "__main__":
    sys.exit(main())

#!/usr/bin/env python
# SPDX-License-Identifier: GPL-3.0-or-later
# SPDX-FileCopyrightText: 2026 The orchestrator.platform authors
"""Runs the stages of `make test` and ends with one line of counts.

Each step's output is shown as it comes. A failing step does not stop the others: one run shows all that is broken.
Stages that need no cluster run beside molecule, and after them scenarios on a second cluster: what ran beside is shown
as a whole, after the scenario during which it ended.
Counts come from the JUnit files that pytest, molecule's verifier and ansible-test write; a step without such a file
counts as one check. Exit status 1 when anything failed, or when a stage ran no test at all.
"""

from __future__ import annotations

import argparse
import collections
import contextlib
import os
import queue
import shutil
import subprocess
import sys
import threading
import time
import types
import typing as t
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from xml.etree import ElementTree

ROOT = Path(__file__).resolve().parent.parent
JUNIT = ROOT / ".ansible" / "junit"
MAX_SHOWN = 20  # failed tests named below the table
FIRST, SECOND = "", "-2"  # lanes: clusters that scenarios run on side by side, see molecule/inventory.yml
ROOM_BYTES = 12 << 30  # memory of a machine for two clusters, of which each takes about 3 GiB with a scenario on it
MAX_REASON = 400  # characters of one reason
MAX_REASONS = 3  # errors named where a scenario failed outside of its tests
# What is of a cluster as a whole, and in the namespaces it came with; volumes go by themselves, after their claims
KEPT_KINDS = (
    "namespaces,nodes,customresourcedefinitions,clusterroles,clusterrolebindings,priorityclasses,storageclasses,"
    "validatingadmissionpolicies,validatingadmissionpolicybindings,validatingwebhookconfigurations,"
    "mutatingadmissionpolicies,mutatingadmissionpolicybindings,mutatingwebhookconfigurations,"
    "secrets,configmaps,serviceaccounts,services,roles,rolebindings,"
    "deployments,daemonsets,statefulsets,cronjobs,jobs"
)
HACKS = sorted(str(path.relative_to(ROOT)) for path in ROOT.glob("hack/*.py"))


class Step(t.NamedTuple):
    """One command of a stage."""

    name: str
    argv: list[str]
    cwd: Path = ROOT
    env: t.Mapping[str, str] = types.MappingProxyType({})
    junit: str = ""  # glob below JUNIT of the reports it writes; empty: the step itself is one check
    after_failure: tuple[str, ...] = ()  # a command that clears up what a failed step has left
    log: Path | None = None  # what Ansible logs meanwhile
    kubeconfig: Path | None = None  # of a cluster that has to hold afterwards what it held before, and no more


class Counts(t.NamedTuple):
    """How many checks passed, failed (errors included) and were skipped."""

    passed: int = 0
    failed: int = 0
    skipped: int = 0

    def __add__(self, other: object) -> Counts:
        if not isinstance(other, tuple):
            return NotImplemented
        return Counts(*(a + b for a, b in zip(self, other, strict=True)))

    def __str__(self) -> str:
        return f"{self.passed} passed, {self.failed} failed, {self.skipped} skipped"


class Result(t.NamedTuple):
    """What a step came to; `lines` are still to be shown."""

    stage: str
    step: Step
    counts: Counts
    seconds: float
    lines: list[str]
    failures: list[str]  # a line each: failed tests, or why there was none


def read_junit(files: t.Iterable[Path]) -> Counts:
    """Sum of all testsuite elements of the files."""
    total = Counts()
    for file in files:
        for suite in ElementTree.parse(file).getroot().iter("testsuite"):  # noqa: S314 - our own tools wrote it
            number = {key: int(suite.get(key) or 0) for key in ("tests", "failures", "errors", "skipped")}
            failed = number["failures"] + number["errors"]
            total += Counts(number["tests"] - failed - number["skipped"], failed, number["skipped"])
    return total


def read_failures(files: t.Iterable[Path]) -> list[str]:
    """One line a failed test: its name and the first line of its message."""
    lines: list[str] = []
    for file in files:
        for case in ElementTree.parse(file).getroot().iter("testcase"):  # noqa: S314 - our own tools wrote it
            for fault in [*case.findall("failure"), *case.findall("error")]:
                first = ((fault.get("message") or fault.text or "").strip().splitlines() or [""])[0]
                lines.append(f"{case.get('classname')}::{case.get('name')}: {first[:200]}")
    return lines


def read_errors(log: Path | None, start: int = 0) -> list[str]:
    """The last errors that Ansible wrote to its log since byte `start`, a line each."""
    if log is None or not log.is_file():
        return []
    with log.open("rb") as stream:
        stream.seek(start if start <= log.stat().st_size else 0)  # smaller than it was: begun anew
        written = stream.read().decode(errors="replace").splitlines()
    return [line.partition(" ERROR| ")[2][:MAX_REASON] for line in written if " ERROR| [ERROR]: " in line][
        -MAX_REASONS:
    ]


class Held(t.NamedTuple):
    """An object on a cluster; the namespace of one that has none is empty."""

    kind: str
    namespace: str
    name: str


def held_by(kubeconfig: Path) -> set[Held]:
    """What a cluster holds; what is being deleted counts as gone. Raises CalledProcessError with kubectl's words."""
    columns = "KIND:.kind,NAMESPACE:.metadata.namespace,NAME:.metadata.name,GOING:.metadata.deletionTimestamp"
    kubectl = [str(ROOT / ".ansible" / "bin" / "kubectl"), f"--kubeconfig={kubeconfig}"]
    shown = ["--all-namespaces", "--no-headers", f"--output=custom-columns={columns}"]
    asked = subprocess.run([*kubectl, "get", KEPT_KINDS, *shown], check=True, capture_output=True, text=True)
    rows = (("" if word == "<none>" else word for word in line.split()) for line in asked.stdout.splitlines())
    return {Held(kind, namespace, name) for kind, namespace, name, going in rows if not going}


def left_over(before: set[Held], kubeconfig: Path) -> str:
    """A sentence about what came since then, each as kind/namespace/name; of a namespace that came, itself alone."""
    try:
        came = held_by(kubeconfig) - before
    except subprocess.CalledProcessError as exc:
        return f"the cluster no longer answers: {exc.stderr.strip()}"[:MAX_REASON]
    places = {"", *(item.name for item in before if item.kind == "Namespace")}
    left = sorted("/".join(filter(None, item)) for item in came if item.namespace in places)
    return f"left on the cluster: {', '.join(left)}"[:MAX_REASON] if left and before else ""


def pytest_step(name: str, *paths: str, cwd: Path = ROOT, workers: int = 0) -> Step:
    """A pytest run whose report is `<name>.xml`; workers > 0 spreads it over processes."""
    spread = ["-n", str(workers)] if workers else []
    report = f"--junit-xml={JUNIT / name}.xml"
    return Step(name, [sys.executable, "-m", "pytest", *spread, report, *paths], cwd=cwd, junit=f"{name}.xml")


def scripts() -> list[str]:
    """Every tracked or new file whose first line names bash or sh."""
    listed = subprocess.run(
        ["git", "ls-files", "-co", "--exclude-standard"], cwd=ROOT, check=True, capture_output=True, text=True
    ).stdout.splitlines()
    # A template is a script only once it is rendered; tests/charts runs shellcheck on the renderings.
    return [name for name in listed if not name.endswith(".hbs") and is_shell(ROOT / name)]


def is_shell(path: Path) -> bool:
    """Whether the file starts with a shell's name."""
    if path.is_symlink() or not path.is_file():
        return False
    with path.open("rb") as stream:
        return stream.readline(80).rstrip() in {b"#!/usr/bin/env bash", b"#!/bin/bash", b"#!/bin/sh"}


def lint() -> list[Step]:
    """Linters of every kind of file; nothing is rewritten."""
    python_files = ["plugins", "bench", *HACKS, "tools/toolbox.py", "tools/toolchain"]
    present = [name for name in python_files if (ROOT / name).exists()]
    steps = [
        Step("ansible-lint", ["ansible-lint"]),
        Step("yamllint", ["yamllint", "--strict", "."]),
        Step("ruff check", ["ruff", "check", "."]),
        Step("ruff format", ["ruff", "format", "--check", "."]),
        Step("mypy", ["mypy", *present], env={"MYPYPATH": str(ROOT / ".ansible" / "collections")}),
        Step("mypy runtime", ["mypy", "runtime/src"]),
        Step("changelog", ["antsibull-changelog", "lint"]),
        Step("collection docs", ["antsibull-docs", "lint-collection-docs", "--plugin-docs", "."]),
        *shellcheck(),
    ]
    charts = sorted(path.parent.name for path in ROOT.glob("charts/*/Chart.yaml"))
    return steps + [Step(f"helm lint {name}", [tool("helm"), "lint", "--strict", f"charts/{name}"]) for name in charts]


def unit() -> list[Step]:
    """Everything that needs no cluster, chart renderings apart."""
    return [
        pytest_step("unit", "tests/unit", workers=2),
        pytest_step("runtime", "tests", cwd=ROOT / "runtime", workers=2),
        pytest_step("packaging", "tests/packaging"),
    ]


def charts() -> list[Step]:
    """Renderings of both charts; needs helm and kubeconform, no cluster."""
    programs = {name.upper(): tool(name) for name in ("helm", "kubeconform")}
    return [pytest_step("charts", "tests/charts", workers=2)._replace(env=programs)]


def sanity() -> list[Step]:
    """ansible-test sanity on a staged copy."""
    return [Step("sanity", ["hack/sanity", str(JUNIT / "sanity")], junit="sanity/*.xml")]


def scenarios() -> list[str]:
    """Names of molecule's scenarios; `default` is no scenario but their cluster."""
    return sorted(path.parent.name for path in ROOT.glob("molecule/*/molecule.yml") if path.parent.name != "default")


def molecule(verb: str, name: str = "", *, lane: str = FIRST, alone: bool = False) -> Step:
    """`test` of a scenario, or `create` and `destroy` of the cluster that the scenarios of a lane share.

    Unlike one `molecule test --all`, a scenario that fails leaves the cluster to the next one. `alone` makes a cluster
    for this one.
    """
    state = ROOT / ".ansible" / f"molecule{lane}"
    (JUNIT / "molecule").mkdir(parents=True, exist_ok=True)
    chosen = ["--scenario-name", name] if name else []
    return Step(
        f"molecule {name or verb + lane}",
        ["molecule", verb, *chosen, *([] if alone or not name else ["--destroy=never"])],
        # The folder name carries meaning for molecule: without the glob it warns at every call.
        env={
            "MOLECULE_GLOB": "molecule/*/molecule.yml",
            "MOLECULE_EPHEMERAL_DIRECTORY": str(state),
            "PLATFORM_TEST_LANE": lane,
        },
        junit=f"molecule/{name}.xml" if name else "",
        # Molecule stops where a scenario fails: what it left would fail the next ones, too.
        after_failure=("molecule", "cleanup", *chosen) if name and not alone else (),
        log=state / "log" / f"{name or 'default'}.log",
        kubeconfig=state / "kubeconfig" if name and not alone else None,
    )


def run_lane(lane: str, take: t.Callable[[], str], *, beside: bool) -> t.Iterator[Result]:
    """Scenarios on a cluster of their own, until `take` raises IndexError."""
    created = run_step("molecule", molecule("create", lane=lane), beside=beside)
    yield created
    # Without a cluster of its own a second lane leaves the scenarios to the first.
    while lane == FIRST or not created.counts.failed:
        try:
            name = take()
        except IndexError:
            break
        yield run_step("molecule", molecule("test", name, lane=lane), beside=beside)
    yield run_step("molecule", molecule("destroy", lane=lane), beside=beside)


def has_room() -> bool:
    """Whether the machine is one for two clusters; where it does not say, it is not."""
    try:
        return os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE") >= ROOM_BYTES
    except (OSError, ValueError):
        return False


def tool(name: str) -> str:
    """Path of a pinned program, built when it is missing."""
    found = subprocess.run([ROOT / "tools" / "toolbox", "which", name], check=True, stdout=subprocess.PIPE, text=True)
    return found.stdout.strip().splitlines()[-1]


def shellcheck() -> list[Step]:
    """shellcheck comes from the distribution: installed where that is possible, else left to CI with a sentence."""
    if not shutil.which("shellcheck") and os.geteuid() == 0 and shutil.which("apt-get"):
        for argv in (["apt-get", "update", "-qq"], ["apt-get", "install", "-y", "-qq", "shellcheck"]):
            subprocess.run(argv, check=False, stdout=subprocess.DEVNULL)
    if not shutil.which("shellcheck"):
        print("note: shellcheck is not installed and cannot be installed here: the shell scripts are not checked.")
        return []
    return [Step("shellcheck", ["shellcheck", *scripts()])]


def run_step(stage: str, step: Step, *, beside: bool) -> Result:
    """Run one command; `beside` another one its output is kept. At least one failure is counted when it failed."""
    title = f"\n──── {step.name} ────"
    if not beside:
        print(title, flush=True)
    started = time.monotonic()
    logged = step.log.stat().st_size if step.log and step.log.is_file() else 0
    for old in JUNIT.glob(step.junit) if step.junit else []:
        old.unlink()
    env = {**os.environ, "JUNIT_DIR": str(JUNIT), **step.env}
    kept: dict[str, t.Any] = {"stdout": subprocess.PIPE, "stderr": subprocess.STDOUT} if beside else {}
    lines: list[str] = []
    held: set[Held] = set()
    with contextlib.suppress(subprocess.CalledProcessError):  # the step itself will say what is the matter
        held = held_by(step.kubeconfig) if step.kubeconfig else held
    try:
        done = subprocess.run(step.argv, cwd=step.cwd, env=env, check=False, text=True, errors="replace", **kept)
        returncode = done.returncode
        lines += (done.stdout or "").splitlines()
    except FileNotFoundError as exc:
        lines.append(f"error: {exc.filename} is not installed")
        returncode = 127
    counts = read_junit(JUNIT.glob(step.junit)) if step.junit else Counts(int(returncode == 0), int(returncode != 0))
    if step.junit and counts.passed + counts.failed == 0:
        lines.append(f"error: {step.name} ran no test")
        counts += Counts(failed=1)
    if returncode and not counts.failed:
        counts += Counts(failed=1)
    # Before the cleaning up, which may have errors of its own.
    failures = read_failures(sorted(JUNIT.glob(step.junit))) if counts.failed and step.junit else []
    if counts.failed and not failures:
        failures = [f"{step.name}: {text}" for text in read_errors(step.log, logged) or [f"exit status {returncode}"]]
    if returncode and step.after_failure:
        done = subprocess.run(
            step.after_failure, cwd=step.cwd, env=env, check=False, text=True, errors="replace", **kept
        )
        lines += (done.stdout or "").splitlines()
    # Else the next scenario meets it, or another one, on the day when they come in another order.
    if step.kubeconfig and (left := left_over(held, step.kubeconfig)):
        failures.append(f"{step.name}: {left}")
        counts += Counts(failed=1)
    seconds = time.monotonic() - started
    lines.append(f"──── {step.name}: {counts} in {seconds:.0f} s")
    return Result(stage, step, counts, seconds, [title, *lines] if beside else lines, failures)


def run_stage(stage: str, *, beside: bool) -> t.Iterator[Result]:
    """The stage's steps, one after the other."""
    makers: dict[str, t.Callable[[], list[Step]]] = {"lint": lint, "unit": unit, "charts": charts, "sanity": sanity}
    try:
        steps = makers[stage]()
    except subprocess.CalledProcessError as exc:
        # What went wrong stands above: a tool of the stage could not be built.
        reason = "a tool of the stage could not be built"
        yield Result(stage, Step(f"tools ({exc.returncode})", []), Counts(failed=1), 0, [], [f"{stage}: {reason}"])
        return
    for step in steps:
        yield run_step(stage, step, beside=beside)


def run_all(stages: list[str], scenario: str | None) -> t.Iterator[Result]:
    """Every stage's results: those of the first cluster's scenarios as they come, with the others in between.

    Beside the first cluster run the other stages, and after them scenarios on a second cluster: two at a time, since
    a scenario is mostly one Ansible process, which takes one core.
    """
    if scenario or "molecule" not in stages:
        for stage in stages:
            if stage == "molecule":
                yield run_step(stage, molecule("test", scenario or "", alone=True), beside=False)
            else:
                yield from run_stage(stage, beside=False)
        return
    waiting = collections.deque(scenarios())
    ended: queue.SimpleQueue[Result | None] = queue.SimpleQueue()  # None is the last

    stop = threading.Event()

    def others() -> None:
        try:
            for stage in stages:
                for result in run_stage(stage, beside=True) if stage != "molecule" else ():
                    ended.put(result)
                    if stop.is_set():
                        return
            # From the end of the list: the lanes meet in the middle.
            if len(waiting) > 1 and has_room():
                for result in run_lane(SECOND, waiting.pop, beside=True):
                    ended.put(result)
        finally:
            ended.put(None)

    all_ended = False

    def so_far(*, wait: bool) -> t.Iterator[Result]:
        nonlocal all_ended
        while not all_ended and (wait or not ended.empty()):
            result = ended.get()
            if result is None:
                all_ended = True
            else:
                yield result

    with ThreadPoolExecutor(max_workers=1) as pool:
        beside = pool.submit(others)
        try:
            for result in run_lane(FIRST, waiting.popleft, beside=False):
                yield result
                yield from so_far(wait=False)
            yield from so_far(wait=True)
        except BaseException:
            # Interrupted: nothing more begins beside, and the second cluster goes.
            stop.set()
            waiting.clear()
            raise
        beside.result()  # raises what ended the thread


def main() -> int:
    """Run the stages named on the command line, print a table, then the counts on a line of their own."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("stages", nargs="+", choices=["lint", "unit", "charts", "sanity", "molecule"])
    parser.add_argument("--scenario", help="one molecule scenario")
    options = parser.parse_args()
    JUNIT.mkdir(parents=True, exist_ok=True)
    results: list[Result] = []
    for result in run_all(options.stages, options.scenario):
        print("\n".join(result.lines), flush=True)
        results.append(result)
    results.sort(key=lambda result: options.stages.index(result.stage))
    print(f"\n{'stage':<10}{'step':<28}{'passed':>8}{'failed':>8}{'skipped':>9}{'seconds':>9}")
    for stage, step, counts, seconds, _lines, _failures in results:
        print(f"{stage:<10}{step.name:<28}{counts.passed:>8}{counts.failed:>8}{counts.skipped:>9}{seconds:>9.0f}")
    # Last of all, where the end of a long log is all that somebody sees.
    failures = [line for result in results for line in result.failures]
    for line in failures[:MAX_SHOWN]:
        print(f"failed: {line}")
    if len(failures) > MAX_SHOWN:
        print(f"failed: {len(failures) - MAX_SHOWN} more; their output stands above")
    total = sum((result.counts for result in results), Counts())
    print(f"\n{total}", flush=True)
    return 1 if total.failed else 0


if __name__ == "__main__":
    sys.exit(main())

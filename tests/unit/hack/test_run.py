# SPDX-License-Identifier: GPL-3.0-or-later
# SPDX-FileCopyrightText: 2026 The orchestrator.platform authors
"""What `make test` prints at its end: counts and the names of what failed."""

from __future__ import annotations

import collections
import importlib.util
import subprocess
import sys
import threading
import types
import typing
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[3]
REPORT = """<testsuites><testsuite name="pytest" tests="3" failures="1" errors="1" skipped="0">
<testcase classname="tests.test_a" name="test_good"/>
<testcase classname="tests.test_a" name="test_bad"><failure message="assert 1 == 2&#10;more">trace</failure></testcase>
<testcase classname="tests.test_b" name="test_worse"><error>no message here
trace</error></testcase>
</testsuite></testsuites>"""


@pytest.fixture
def run(monkeypatch: pytest.MonkeyPatch) -> types.ModuleType:
    """hack/run.py as a module."""
    spec = importlib.util.spec_from_file_location("hack_run", ROOT / "hack" / "run.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    monkeypatch.setitem(sys.modules, "hack_run", module)
    spec.loader.exec_module(module)
    return module


def play(
    monkeypatch: pytest.MonkeyPatch, run: types.ModuleType, steps: dict, *, create: tuple = (), room: bool = True
) -> list:
    """Scenarios by name, the other verbs do nothing; lanes named in `create` get no cluster. Returns (verb, name, lane)."""
    asked: list[tuple[str, str, str]] = []
    second = threading.Event()

    def molecule(verb: str, name: str = "", *, lane: str = "", alone: bool = False) -> object:
        asked.append((verb, name, lane))
        if lane:
            second.set()
        if name:
            # Else a fast first lane could be done before the second has begun.
            assert lane or not create or second.wait(30)
            return steps[name]
        status = int(verb == "create" and lane in create)
        return run.Step(f"molecule {verb}{lane}", [sys.executable, "-c", f"raise SystemExit({status})"])

    monkeypatch.setattr(run, "molecule", molecule)
    monkeypatch.setattr(run, "scenarios", lambda: sorted(steps))
    monkeypatch.setattr(run, "has_room", lambda: room)
    return asked


def test_counts_and_failures_come_from_the_same_report(run: types.ModuleType, tmp_path: Path) -> None:
    report = tmp_path / "unit.xml"
    report.write_text(REPORT)
    assert run.read_junit([report]) == (1, 2, 0)
    assert run.read_failures([report]) == [
        "tests.test_a::test_bad: assert 1 == 2",
        "tests.test_b::test_worse: no message here",
    ]


def test_the_names_of_failed_tests_stand_below_the_table(
    run: types.ModuleType, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """A reader who sees only the end of the log must learn which test it was."""
    write = f"import pathlib; pathlib.Path({str(tmp_path / 'unit.xml')!r}).write_text({REPORT!r}); raise SystemExit(1)"
    monkeypatch.setattr(run, "JUNIT", tmp_path)
    monkeypatch.setattr(run, "unit", lambda: [run.Step("unit", [sys.executable, "-c", write], junit="unit.xml")])
    monkeypatch.setattr(sys, "argv", ["run.py", "unit"])
    assert run.main() == 1
    last = capsys.readouterr().out.split("seconds\n")[-1].splitlines()
    assert "failed: tests.test_a::test_bad: assert 1 == 2" in last
    assert last[-1] == "1 passed, 2 failed, 0 skipped"


@pytest.mark.parametrize("status", [0, 1])
def test_what_a_failed_step_leaves_is_cleared_up(
    run: types.ModuleType, tmp_path: Path, status: int, capfd: pytest.CaptureFixture[str]
) -> None:
    """Of a scenario that failed the next one must find nothing; one that passed has cleaned up itself."""
    left = tmp_path / "left"
    work = f"import pathlib; pathlib.Path({str(left)!r}).touch(); raise SystemExit({status})"
    clear = (sys.executable, "-c", f"import pathlib; pathlib.Path({str(left)!r}).unlink(); print('cleared')")
    step = run.Step("one", [sys.executable, "-c", work], after_failure=clear)
    result = run.run_step("molecule", step, beside=False)
    assert (result.counts.failed, left.exists()) == (status, status == 0)
    assert ("cleared" in capfd.readouterr().out) is bool(status)


def test_every_scenario_on_the_shared_cluster_is_cleared_up(
    run: types.ModuleType, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(run, "JUNIT", tmp_path)
    assert "site" in run.scenarios()
    assert "default" not in run.scenarios()
    step = run.molecule("test", "site")
    assert step.after_failure == ("molecule", "cleanup", "--scenario-name", "site")
    assert "--destroy=never" in step.argv
    alone = run.molecule("test", "site", alone=True)
    assert (alone.after_failure, "--destroy=never" in alone.argv) == ((), False)


OLD = "2026-11-28 10:13:00,001 p=1 u=root n=ansible ERROR| [ERROR]: Task failed: of an earlier run\n"
LOGGED = """2026-11-28 10:13:46,100 p=1 u=root n=ansible INFO| ok: [localhost]
2026-11-28 10:13:46,565 p=1 u=root n=ansible ERROR| [ERROR]: Task failed: Action failed: 23 passed, 1 failed. First: a/b
Origin: /somewhere/faults.yml:4:3
"""


@pytest.mark.parametrize("renewed", [False, True])
def test_a_scenario_that_fails_before_its_tests_says_why(
    run: types.ModuleType,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capfd: pytest.CaptureFixture[str],
    renewed: bool,
) -> None:
    """No report names a failed test then, and the end of the output is all that CI shows."""
    log = tmp_path / "faults.log"
    log.write_text(OLD * 9)
    work = f"open({str(log)!r}, {'w' if renewed else 'a'!r}).write({LOGGED!r}); raise SystemExit(2)"
    later = f"open({str(log)!r}, 'a').write({OLD.replace('an earlier run', 'the cleaning up')!r})"
    step = run.Step(
        "molecule faults",
        [sys.executable, "-c", work],
        junit="molecule/faults.xml",
        after_failure=(sys.executable, "-c", later),
        log=log,
    )
    monkeypatch.setattr(run, "JUNIT", tmp_path)
    play(monkeypatch, run, {"faults": step})
    monkeypatch.setattr(sys, "argv", ["run.py", "molecule"])
    assert run.main() == 1
    last = capfd.readouterr().out.split("seconds\n")[-1].splitlines()
    assert [line for line in last if line.startswith("failed: ")] == [
        "failed: molecule faults: [ERROR]: Task failed: Action failed: 23 passed, 1 failed. First: a/b"
    ]


def test_a_step_without_report_or_log_tells_its_exit_status(
    run: types.ModuleType, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(run, "JUNIT", tmp_path)
    monkeypatch.setattr(run, "lint", lambda: [run.Step("ruff check", [sys.executable, "-c", "raise SystemExit(7)"])])
    monkeypatch.setattr(sys, "argv", ["run.py", "lint"])
    assert run.main() == 1
    assert "failed: ruff check: exit status 7" in capfd.readouterr().out.splitlines()


def test_many_failures_leave_the_counts_in_sight(
    run: types.ModuleType, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    cases = "".join(f'<testcase classname="t" name="n{i}"><failure message="no"/></testcase>' for i in range(30))
    text = f'<testsuite tests="30" failures="30" errors="0" skipped="0">{cases}</testsuite>'
    write = f"import pathlib; pathlib.Path({str(tmp_path / 'unit.xml')!r}).write_text({text!r}); raise SystemExit(1)"
    monkeypatch.setattr(run, "JUNIT", tmp_path)
    monkeypatch.setattr(run, "unit", lambda: [run.Step("unit", [sys.executable, "-c", write], junit="unit.xml")])
    monkeypatch.setattr(sys, "argv", ["run.py", "unit"])
    assert run.main() == 1
    last = capsys.readouterr().out.split("seconds\n")[-1].splitlines()
    assert sum(line.startswith("failed: t::n") for line in last) == run.MAX_SHOWN
    assert "failed: 10 more; their output stands above" in last


def test_stages_without_a_cluster_run_beside_molecule(
    run: types.ModuleType, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    """The scenario waits for a file that lint writes; what lint printed stands together, and its failure counts."""
    sign = tmp_path / "sign"
    waits = f"""
import pathlib, time
while not pathlib.Path({str(sign)!r}).exists(): time.sleep(0.01)
print("the scenario went on")
"""
    writes = f"import pathlib; pathlib.Path({str(sign)!r}).touch(); print('one'); print('two'); raise SystemExit(1)"
    monkeypatch.setattr(run, "JUNIT", tmp_path)
    monkeypatch.setattr(run, "lint", lambda: [run.Step("lint", [sys.executable, "-c", writes])])
    play(monkeypatch, run, {"site": run.Step("molecule site", [sys.executable, "-c", waits])})
    monkeypatch.setattr(sys, "argv", ["run.py", "lint", "molecule"])
    assert run.main() == 1
    shown = capfd.readouterr().out
    assert "──── lint ────\none\ntwo\n──── lint: 0 passed, 1 failed" in shown
    assert "the scenario went on" in shown
    assert [line.split()[1] for line in shown.split("seconds\n")[-1].splitlines()[:2]] == ["lint", "molecule"]
    assert shown.splitlines()[-1] == "3 passed, 1 failed, 0 skipped"


def test_a_tool_that_cannot_be_built_fails_its_stage_alone(
    run: types.ModuleType, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def unbuilt() -> list:
        raise subprocess.CalledProcessError(3, "toolbox")

    monkeypatch.setattr(run, "JUNIT", tmp_path)
    monkeypatch.setattr(run, "charts", unbuilt)
    play(monkeypatch, run, {"site": run.Step("molecule site", [sys.executable, "-c", ""])})
    monkeypatch.setattr(sys, "argv", ["run.py", "charts", "molecule"])
    assert run.main() == 1
    last = capsys.readouterr().out
    assert "tools (3)" in last
    assert last.splitlines()[-1] == "3 passed, 1 failed, 0 skipped"


def meeting(run: types.ModuleType, tmp_path: Path, name: str, other: str) -> object:
    """A scenario that ends only once the other one has begun."""
    program = f"""
import pathlib, time
pathlib.Path({str(tmp_path / name)!r}).touch()
while not pathlib.Path({str(tmp_path / other)!r}).exists(): time.sleep(0.01)
print("{name} has met {other}")
"""
    return run.Step(f"molecule {name}", [sys.executable, "-c", program])


def test_scenarios_run_on_two_clusters_at_once(
    run: types.ModuleType, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    """After the stages without a cluster; each scenario on one of them, and each cluster goes."""
    steps = {name: meeting(run, tmp_path, name, other) for name, other in (("a", "d"), ("d", "a"))}
    steps |= {name: run.Step(f"molecule {name}", [sys.executable, "-c", ""]) for name in "bc"}
    asked = play(monkeypatch, run, steps)
    monkeypatch.setattr(run, "JUNIT", tmp_path)
    monkeypatch.setattr(run, "lint", lambda: [run.Step("lint", [sys.executable, "-c", ""])])
    monkeypatch.setattr(sys, "argv", ["run.py", "lint", "molecule"])
    assert run.main() == 0
    shown = capfd.readouterr().out
    assert "a has met d" in shown
    assert "d has met a" in shown
    assert shown.splitlines()[-1] == "9 passed, 0 failed, 0 skipped"
    tested = [(name, lane) for verb, name, lane in asked if verb == "test"]
    assert sorted(name for name, _lane in tested) == list("abcd")
    assert {("a", run.FIRST), ("d", run.SECOND)} <= set(tested)
    for lane in (run.FIRST, run.SECOND):
        verbs = [verb for verb, _name, its in asked if its == lane]
        assert (verbs[0], verbs[-1]) == ("create", "destroy")


@pytest.mark.parametrize(
    ("create", "room", "clusters"), [(("-2",), True, {"", "-2"}), ((), False, {""})], ids=["no cluster", "no room"]
)
def test_one_cluster_is_enough(
    run: types.ModuleType,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capfd: pytest.CaptureFixture[str],
    create: tuple,
    room: bool,
    clusters: set,
) -> None:
    """Every scenario runs on the first where there is no second; one that could not be made is a failure of its own."""
    steps = {name: run.Step(f"molecule {name}", [sys.executable, "-c", ""]) for name in "abc"}
    asked = play(monkeypatch, run, steps, create=create, room=room)
    monkeypatch.setattr(run, "JUNIT", tmp_path)
    monkeypatch.setattr(sys, "argv", ["run.py", "molecule"])
    assert run.main() == len(create)
    assert sorted((name, lane) for verb, name, lane in asked if verb == "test") == [(name, "") for name in "abc"]
    assert {lane for _verb, _name, lane in asked} == clusters
    assert f", {len(create)} failed" in capfd.readouterr().out.splitlines()[-1]


def test_an_interrupt_ends_both_lanes(run: types.ModuleType, monkeypatch: pytest.MonkeyPatch) -> None:
    """The scenario that runs beside ends by the same signal; no other begins, and the second cluster goes."""
    asked = play(monkeypatch, run, {name: run.Step(f"molecule {name}", []) for name in "abcd"})
    running, interrupted = threading.Event(), threading.Event()

    class Waiting(collections.deque):
        """Scenarios that nobody has taken; once they are cleared the signal has arrived everywhere."""

        def clear(self) -> None:
            super().clear()
            interrupted.set()

    def run_step(stage: str, step: typing.Any, *, beside: bool) -> object:
        if step.name == "molecule a":
            assert running.wait(30)
            raise KeyboardInterrupt
        if step.name == "molecule d":
            running.set()
            assert interrupted.wait(30)
        return run.Result(stage, step, run.Counts(1), 0, [], [])

    monkeypatch.setattr(run, "collections", types.SimpleNamespace(deque=Waiting))
    monkeypatch.setattr(run, "run_step", run_step)
    with pytest.raises(KeyboardInterrupt):
        list(run.run_all(["molecule"], None))
    assert [name for verb, name, lane in asked if verb == "test" and lane == run.SECOND] == ["d"]
    assert ("destroy", "", run.SECOND) in asked


def test_lanes_share_nothing(run: types.ModuleType, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Neither molecule's state nor the log; the environment names the lane to inventory and tests."""
    monkeypatch.setattr(run, "JUNIT", tmp_path)
    one, two = (run.molecule("test", "site", lane=lane) for lane in (run.FIRST, run.SECOND))
    assert one.env["MOLECULE_EPHEMERAL_DIRECTORY"] != two.env["MOLECULE_EPHEMERAL_DIRECTORY"]
    assert one.log != two.log
    assert (one.env["PLATFORM_TEST_LANE"], two.env["PLATFORM_TEST_LANE"]) == ("", "-2")


HELD = "Namespace <none> default <none>\nSecret default ours <none>\n"


@pytest.mark.parametrize(
    ("came", "said"),
    [
        ("", ""),
        ("Namespace <none> agents <none>\nSecret agents token <none>\n", "left on the cluster: Namespace/agents"),
        ("ClusterRole <none> reader <none>\n", "left on the cluster: ClusterRole/reader"),
        ("Secret default theirs <none>\n", "left on the cluster: Secret/default/theirs"),
        ("Namespace <none> agents 2026-11-28T14:00:00Z\nSecret agents token <none>\n", ""),
        (None, "the cluster no longer answers: gone"),
    ],
    ids=["nothing", "namespace", "cluster-wide", "in a place of others", "on its way out", "no cluster"],
)
def test_a_scenario_leaves_the_cluster_as_it_was(
    run: types.ModuleType, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, came: str | None, said: str
) -> None:
    """Else it decides by the order of the scenarios whether another one fails; a passing scenario fails for it."""
    state = tmp_path / "state"
    state.write_text(HELD)
    kubectl = tmp_path / ".ansible" / "bin" / "kubectl"
    kubectl.parent.mkdir(parents=True)
    kubectl.write_text(f"#!/bin/sh\ncat {state} 2>/dev/null || {{ echo gone >&2; exit 1; }}\n")
    kubectl.chmod(0o755)
    monkeypatch.setattr(run, "ROOT", tmp_path)
    change = (
        f"open({str(state)!r}, 'a').write({came!r})" if came is not None else f"import os; os.remove({str(state)!r})"
    )
    step = run.Step("molecule one", [sys.executable, "-c", change], kubeconfig=tmp_path / "kubeconfig")
    result = run.run_step("molecule", step, beside=False)
    assert result.failures == ([f"molecule one: {said}"] if said else [])
    assert result.counts == (1, int(bool(said)), 0)


def test_every_scenario_clears_up(run: types.ModuleType) -> None:
    """What it leaves is only looked at where it has a cluster in common with others."""
    for name in run.scenarios():
        assert run.molecule("test", name).kubeconfig, name
        assert run.molecule("test", name, alone=True).kubeconfig is None
    assert run.molecule("destroy").kubeconfig is None

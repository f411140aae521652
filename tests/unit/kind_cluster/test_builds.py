# SPDX-License-Identifier: GPL-3.0-or-later
# SPDX-FileCopyrightText: 2026 The orchestrator.platform authors
"""Issue 3, item 2: re-runnable at every step after a kill, progress during long builds, bounded output on failure."""

from __future__ import annotations

import dataclasses
import json
import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from ansible_collections.orchestrator.platform.plugins.action import progress
from ansible_collections.orchestrator.platform.tools.toolchain import golang, pins, programs, steps
from ansible_collections.orchestrator.platform.tools.toolchain.errors import ToolboxError


@pytest.fixture
def module(tmp_path, monkeypatch):
    """A module and a fake go: the script in GO_SCRIPT is its `build`, with the target folder as $OUT."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    program = tmp_path / "go"
    program.write_text('#!/bin/sh\nwhile [ "$1" != -o ]; do shift; done\nOUT=$2\neval "$GO_SCRIPT"\n')
    program.chmod(0o755)
    monkeypatch.setattr(golang, "find_go", lambda needed, steps: program)
    return dataclasses.replace(pins.read_module("kubeconform"), folder=tmp_path)


def script(monkeypatch, text):
    monkeypatch.setenv("GO_SCRIPT", text)


def make(name):
    return f"printf x > $OUT/{name}; chmod 755 $OUT/{name}"


def test_a_finished_build_is_not_done_again(module, monkeypatch):
    script(monkeypatch, make("kubeconform"))
    folder = golang.compile_module(module, steps=steps.Steps())
    script(monkeypatch, "exit 1")
    assert golang.compile_module(module, steps=steps.Steps()) == folder


def test_a_build_that_broke_off_leaves_no_program(module, monkeypatch):
    script(monkeypatch, f"{make('kubeconform')}; echo no space left; exit 1")
    with pytest.raises(ToolboxError, match="Building kubeconform") as caught:
        golang.compile_module(module, steps=steps.Steps())
    assert not golang.is_built(module)
    assert "no space left" in caught.value.log


def test_a_build_after_one_that_broke_off_succeeds_and_clears_its_leftovers(module, monkeypatch):
    script(monkeypatch, f"{make('kubeconform')}; exit 1")
    with pytest.raises(ToolboxError):
        golang.compile_module(module, steps=steps.Steps())
    script(monkeypatch, make("kubeconform"))
    folder = golang.compile_module(module, steps=steps.Steps())
    assert golang.is_built(module)
    assert not list(folder.parent.glob(".*.tmp-*"))


def test_a_program_on_path_is_taken_only_at_the_pinned_version(tmp_path, monkeypatch):
    module = programs.tool_module("kind")
    program = tmp_path / "kind"
    monkeypatch.setenv("PATH", f"{tmp_path}:/usr/bin:/bin")
    for version, expected in ((module.version.removeprefix("v"), program), ("0.1.0", None), ("", None)):
        program.write_text(f"#!/bin/sh\necho {version}\n")
        program.chmod(0o755)
        assert programs.found_on_path("kind", module) == expected


def test_a_running_program_gives_signs_of_life(monkeypatch, capsys):
    monkeypatch.setattr(steps, "HEARTBEAT_S", 0.5)
    argv = ["sh", "-c", "echo one; echo two; exec sleep 3"]
    steps.run(argv, steps=steps.Steps(), failure="", timeout_s=30, title="Long build", count="packages")
    assert "Long build: 2 packages" in capsys.readouterr().err


def test_a_program_that_takes_too_long_is_ended(capsys):
    begun = time.monotonic()
    with pytest.raises(ToolboxError, match=r"It did not work\. It took longer than 1 s"):
        steps.run(["sleep", "60"], steps=steps.Steps(), failure="It did not work.", timeout_s=1)
    assert time.monotonic() - begun < 10


def test_the_output_of_a_failure_is_bounded():
    argv = ["sh", "-c", "seq 1 1000; head -c 5000 /dev/zero | tr '\\0' x; echo; exit 3"]
    with pytest.raises(ToolboxError) as caught:
        steps.run(argv, steps=steps.Steps(), failure="It did not work.", timeout_s=30)
    assert len(caught.value.log) <= steps.LOG_LINES + 1
    assert max(map(len, caught.value.log[:-1])) <= steps.LOG_LINE_LENGTH


def test_a_program_that_is_not_there_is_a_failure_like_any_other():
    with pytest.raises(ToolboxError, match="It did not work"):
        steps.run(["/nonexistent"], steps=steps.Steps(), failure="It did not work.", timeout_s=1)


def test_a_killed_run_takes_its_programs_along(tmp_path):
    """A `kind create` that outlived its run would remove what the next run is making."""
    mark = tmp_path / "pid"
    code = (
        "from toolchain import steps\n"
        f"steps.run(['sh', '-c', 'echo $$ > {mark}.new; mv {mark}.new {mark}; exec sleep 300'],"
        " steps=steps.Steps(), failure='', timeout_s=600)\n"
    )
    process = subprocess.Popen([sys.executable, "-c", code], env={**os.environ, "PYTHONPATH": str(pins.TOOLS_FOLDER)})
    deadline = time.monotonic() + 20
    while not mark.exists() and time.monotonic() < deadline:
        time.sleep(0.05)
    child = int(mark.read_text())
    process.send_signal(signal.SIGKILL)
    process.wait()
    while _is_running(child) and time.monotonic() < deadline:
        time.sleep(0.05)
    assert not _is_running(child)


def _is_running(pid):
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False


def test_a_second_run_waits_for_the_first_and_says_so(tmp_path, capsys):
    holder = subprocess.Popen(
        [
            sys.executable,
            "-c",
            f"import fcntl,time\nf=open('{tmp_path}/lock','a+')\nfcntl.flock(f,2)\nprint(flush=True)\ntime.sleep(1)",
        ],
        stdout=subprocess.PIPE,
    )
    holder.stdout.readline()
    with steps.locked(tmp_path / "lock", steps=steps.Steps(), what="Node image"):
        assert holder.wait() == 0
    assert "Node image: another run" in capsys.readouterr().err


def follow(argv, shown=None, timeout_s=0):
    return progress.follow(
        argv,
        show=(shown if shown is not None else []).append,
        cwd=None,
        environment=dict(os.environ),
        timeout_s=timeout_s,
    )


def test_progress_shows_standard_error_and_returns_standard_output():
    shown = []
    outcome = follow(["sh", "-c", "echo step >&2; echo result"], shown)
    assert (shown, outcome.stdout, outcome.code) == (["step"], "result", 0)


def test_progress_shows_a_line_while_the_program_still_runs(tmp_path):
    """The program waits for a file that only the shown line makes: without a live line it would time out."""
    mark = tmp_path / "seen"
    argv = ["sh", "-c", f"echo step >&2; while [ ! -e {mark} ]; do sleep 0.1; done; echo done"]
    outcome = progress.follow(
        argv, show=lambda line: mark.touch(), cwd=None, environment=dict(os.environ), timeout_s=20
    )
    assert (outcome.stdout, outcome.timed_out) == ("done", False)


def test_progress_ends_a_program_that_takes_too_long():
    outcome = follow(["sleep", "60"], timeout_s=0.5)
    assert outcome.timed_out
    assert outcome.seconds < 15


def test_progress_bounds_what_it_keeps():
    outcome = follow(["sh", "-c", "head -c 3000000 /dev/zero; seq 1 1000 >&2"])
    assert len(outcome.stdout) <= 2 * progress.STDOUT_LIMIT
    assert len(outcome.stderr_lines) == progress.STDERR_LINES


@pytest.mark.skipif(shutil.which("go") is None, reason="needs a Go toolchain")
@pytest.mark.parametrize("form", ["create", "exec"])
def test_the_runtime_wrapper_takes_out_what_the_host_withholds_and_nothing_else(tmp_path, form):
    """The wrapper is run under a bounding set without CAP_SYS_RESOURCE, with a runc that does nothing."""
    wrapper = (
        golang.compile_module(pins.read_module("runc-available-caps"), steps=steps.Steps()) / "runc-available-caps"
    )
    (tmp_path / "runc").write_text(f'#!/bin/sh\necho "$@" > {tmp_path}/called\n')
    (tmp_path / "runc").chmod(0o755)
    held = {
        "capabilities": {"bounding": ["CAP_CHOWN", "CAP_SYS_RESOURCE", "CAP_FROM_THE_FUTURE"]},
        "big": 9223372036854775807,
    }
    file = tmp_path / ("config.json" if form == "create" else "process.json")
    file.write_text(json.dumps({"process": held} if form == "create" else held))
    option = ["--bundle", str(tmp_path)] if form == "create" else ["--process", str(file)]
    dropper = ["capsh", "--drop=cap_sys_resource", "--", "-c", '"$0" "$@"']
    prefix = dropper if os.geteuid() == 0 and shutil.which("capsh") else []
    environment = {**os.environ, "PATH": f"{tmp_path}:{os.environ['PATH']}"}
    subprocess.run([*prefix, wrapper, form, *option, "id"], check=True, env=environment)
    content = json.loads(file.read_text())
    changed = content["process"] if form == "create" else content
    status = Path("/proc/self/status").read_text()
    withheld = bool(prefix) or "CapBnd:\t000001fffeffffff" in status
    assert changed["capabilities"]["bounding"] == (["CAP_CHOWN"] if withheld else ["CAP_CHOWN", "CAP_SYS_RESOURCE"])
    assert changed["big"] == 9223372036854775807
    assert (tmp_path / "called").read_text().split() == [form, *option, "id"]

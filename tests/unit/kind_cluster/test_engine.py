# SPDX-License-Identifier: GPL-3.0-or-later
# SPDX-FileCopyrightText: 2026 The orchestrator.platform authors
"""Issue 3, item 2 and bad input: no engine and not root; a registry that hangs rather than refuses."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from ansible_collections.orchestrator.platform.tools.toolchain import debian, engine, node_image
from ansible_collections.orchestrator.platform.tools.toolchain.errors import ToolboxError
from ansible_collections.orchestrator.platform.tools.toolchain.steps import Steps


@pytest.fixture
def docker_on_path(tmp_path, monkeypatch):
    """Put a program in place of docker: a shell script that gets docker's arguments."""

    def place(script: str) -> Path:
        program = tmp_path / "bin" / "docker"
        program.parent.mkdir(exist_ok=True)
        program.write_text(f"#!/bin/sh\n{script}\n")
        program.chmod(0o755)
        monkeypatch.setenv("PATH", f"{program.parent}:/usr/bin:/bin")
        return program

    return place


@pytest.fixture
def no_engine(monkeypatch):
    monkeypatch.setattr(engine, "clients", lambda: iter(()))


def test_no_engine_and_not_root_is_one_sentence_with_the_remedy(no_engine, monkeypatch):
    monkeypatch.setattr(os, "geteuid", lambda: 1000)
    with pytest.raises(ToolboxError, match="not root: start Docker and join its group, or run as root"):
        engine.ensure_engine(steps=Steps())


def test_check_mode_says_that_an_engine_would_come_and_does_nothing(no_engine, monkeypatch):
    monkeypatch.setattr(engine, "dockerd", lambda: None)
    monkeypatch.setattr(engine, "_bring_up", lambda steps: pytest.fail("check mode acted"))
    result = engine.ensure_engine(steps=Steps(), check=True)
    assert (result["changed"], result["source"]) == (True, "installed")


def test_a_running_engine_is_used_as_it_is(docker_on_path, monkeypatch):
    program = docker_on_path("echo 28.2.2")
    monkeypatch.setattr(engine, "_bring_up", lambda steps: pytest.fail("a running engine was touched"))
    result = engine.ensure_engine(steps=Steps())
    assert (result["docker"], result["source"], result["changed"]) == (str(program), "running", False)


def test_somebody_elses_engine_that_cannot_do_it_is_not_stopped(docker_on_path, monkeypatch):
    docker_on_path('case "$1" in version) echo 20.10.24;; info) echo runc;; esac')
    monkeypatch.setattr(engine, "host_mask", lambda: 0)
    monkeypatch.setattr(engine, "our_pid", lambda: None)
    with pytest.raises(ToolboxError, match="upgrade it to 23 or newer"):
        engine._stop_unsuitable("20.10.24", Steps())


@pytest.mark.parametrize(("runtime", "suits"), [("runc", False), ("available-caps", True), ("", False)])
def test_an_old_engine_suits_only_with_another_runtime(docker_on_path, monkeypatch, runtime, suits):
    program = docker_on_path(f'case "$1" in info) echo {runtime};; esac')
    monkeypatch.setattr(engine, "host_mask", lambda: 0)
    assert engine.runtime_suits(engine.Docker(str(program), "20.10.24")) is suits


def test_a_client_without_engine_is_passed_over(tmp_path, monkeypatch):
    for name, script in (("first", "exit 1"), ("second", "echo 20.10.24")):
        (tmp_path / name).mkdir()
        program = tmp_path / name / "docker"
        program.write_text(f"#!/bin/sh\n{script}\n")
        program.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path / 'first'}:{tmp_path / 'second'}:/usr/bin:/bin")
    assert engine.answering() == (str(tmp_path / "second" / "docker"), "20.10.24")


def test_a_registry_that_hangs_costs_the_probe_and_no_more(docker_on_path, monkeypatch):
    program = docker_on_path('case "$1" in manifest) exec sleep 60;; esac')
    monkeypatch.setattr(node_image, "PROBE_TIMEOUT_S", 0.5)
    begun = time.monotonic()
    assert node_image.registry_answers(engine.Docker(str(program), "28.0.0"), "kindest/node:v0") is False
    assert time.monotonic() - begun < 5


def test_a_registry_that_refuses_is_no_error(docker_on_path):
    program = docker_on_path("exit 1")
    assert node_image.registry_answers(engine.Docker(str(program), "28.0.0"), "kindest/node:v0") is False


def test_no_registry_is_an_error_only_when_pulling_is_all_that_is_allowed(docker_on_path):
    program = docker_on_path("exit 1")
    with pytest.raises(ToolboxError, match="did not hand out"):
        node_image.ensure_node_image("1.36", docker=engine.Docker(str(program), "28.0.0"), steps=Steps(), source="pull")


def test_an_image_that_is_there_is_taken_without_asking_any_registry(docker_on_path):
    program = docker_on_path('case "$1" in image) echo ok;; *) exit 1;; esac')
    result = node_image.ensure_node_image("1.36", docker=engine.Docker(str(program), "28.0.0"), steps=Steps())
    assert (result["source"], result["changed"]) == ("cached", False)


def test_the_environment_of_every_call_lacks_the_users_kubeconfig(docker_on_path, monkeypatch):
    monkeypatch.setenv("KUBECONFIG", "/home/u/.kube/config")
    assert "KUBECONFIG" not in engine.Docker(str(docker_on_path("exit 0")), "28.0.0").environment


@pytest.mark.parametrize(
    ("text", "expected"), [("ID=debian\n", "debian"), ('NAME=x\nID="ubuntu"\n', "ubuntu"), ("NAME=x\n", ""), ("", "")]
)
def test_distribution(text, expected):
    assert engine.distribution(text) == expected


def test_another_distribution_is_one_sentence(monkeypatch):
    monkeypatch.setattr(engine, "distribution", lambda text: "fedora")
    with pytest.raises(ToolboxError, match="on Debian and Ubuntu only, this is fedora"):
        engine.apt_install(["docker.io"], steps=Steps(), what="Container engine")


def test_the_hosts_own_configuration_is_kept_beside_our_runtime():
    existing = {"registry-mirrors": ["https://mirror.example.org"], "runtimes": {"other": {"path": "/o"}}}
    result = engine.daemon_config(existing, Path("/w"))
    assert result == {
        "registry-mirrors": ["https://mirror.example.org"],
        "runtimes": {"other": {"path": "/o"}, "available-caps": {"path": "/w"}},
        "default-runtime": "available-caps",
    }


def test_without_need_the_hosts_configuration_stays_as_it_is():
    assert engine.daemon_config({"debug": True}, None) == {"debug": True}


def test_a_process_number_that_belongs_to_another_program_is_not_our_engine(tmp_path, monkeypatch):
    monkeypatch.setattr(engine, "STATE_FOLDER", tmp_path)
    (tmp_path / "pid").write_text(f"{os.getpid()}\n")
    assert engine.our_pid() is None


@pytest.mark.parametrize(
    ("release", "content", "found"),
    [
        ("ID=debian\nVERSION_CODENAME=bookworm\n", "Suites: bookworm", True),
        ("ID=debian\nVERSION_CODENAME=bookworm\n", "Suites: trixie", False),
        ("ID=debian\nVERSION_CODENAME=trixie\n", "Suites: bookworm", False),
        ("ID=ubuntu\nVERSION_CODENAME=noble\n", "Suites: bookworm", False),
        ("", "Suites: bookworm", False),
    ],
)
def test_mirrors_of_the_host_are_used_only_for_the_same_suite(tmp_path, release, content, found):
    sources = tmp_path / "debian.sources"
    sources.write_text(content)
    assert debian.host_sources(release, (sources,)) == (sources if found else None)


@pytest.fixture
def our_engine(tmp_path, monkeypatch):
    """A process that looks like the engine we started: its name and our folder stand in its command line."""
    monkeypatch.setattr(engine, "STATE_FOLDER", tmp_path)
    code = "import time; print('up', flush=True); time.sleep(60)"
    argv = [sys.executable, "-c", code, "dockerd", str(tmp_path)]
    process = subprocess.Popen(argv, stdout=subprocess.PIPE)
    process.stdout.readline()
    engine._write_record(process.pid)
    yield process
    process.kill()
    process.wait()


def test_our_engine_is_stopped_and_forgotten(our_engine, tmp_path):
    assert engine.stop_engine(steps=Steps()) is True
    assert our_engine.wait(timeout=5) == -signal.SIGTERM
    assert engine.stop_engine(steps=Steps()) is False


def test_check_mode_stops_nothing(our_engine):
    assert engine.stop_engine(steps=Steps(), check=True) is True
    assert our_engine.poll() is None


@pytest.mark.parametrize(
    ("content", "program", "stays"),
    [
        (str(os.getpid()), Path("/proc/self/comm").read_text().strip(), True),
        (str(os.getpid()), "dockerd", False),
        ("99999999", "dockerd", False),
        ("", "dockerd", False),
    ],
    ids=["running", "number-used-again", "ended", "torn"],
)
def test_only_a_running_daemon_keeps_its_pid_file(tmp_path, content, program, stays):
    """A daemon that was killed must not keep the next one from starting, whoever has its number now."""
    file = tmp_path / "docker.pid"
    file.write_text(content)
    engine.drop_stale_pid_files({file: program, tmp_path / "absent.pid": program})
    assert file.exists() is stays

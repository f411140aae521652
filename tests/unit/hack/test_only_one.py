# SPDX-License-Identifier: GPL-3.0-or-later
# SPDX-FileCopyrightText: 2026 The orchestrator.platform authors
"""hack/only-one: a second `make demo` while one runs is refused; a killed one leaves no lock."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

ONLY_ONE = Path(__file__).resolve().parents[3] / "hack" / "only-one"


@pytest.fixture
def script(tmp_path) -> Path:
    """A copy, so that its lock lies in a folder of the test."""
    copy = tmp_path / "hack" / "only-one"
    copy.parent.mkdir()
    copy.write_bytes(ONLY_ONE.read_bytes())
    copy.chmod(0o755)
    return copy


def holder(script: Path) -> subprocess.Popen[str]:
    """A run that goes on until its input is closed; returns once it holds the lock."""
    running = subprocess.Popen(
        [script, "demo", "sh", "-c", "echo held; read _"], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    assert running.stdout is not None
    assert running.stdout.readline() == "held\n"
    return running


def test_a_second_run_is_refused_with_a_sentence(script):
    """And it does not run its command."""
    first = holder(script)
    second = subprocess.run([script, "demo", "echo", "ran"], capture_output=True, text=True, check=False)
    first.communicate("\n")
    assert (second.returncode, second.stdout) == (75, "")
    assert "another `make demo` is running" in second.stderr


def test_another_name_does_not_wait(script):
    """Two different things may run beside each other."""
    first = holder(script)
    second = subprocess.run([script, "test", "echo", "ran"], capture_output=True, text=True, check=False)
    first.communicate("\n")
    assert (second.returncode, second.stdout) == (0, "ran\n")


def test_a_killed_run_leaves_no_lock(script):
    """The lock goes with the process."""
    first = holder(script)
    first.kill()
    first.communicate()
    after = subprocess.run([script, "demo", "echo", "ran"], capture_output=True, text=True, check=False)
    assert after.stdout == "ran\n"


def test_the_status_of_the_command_is_kept(script):
    """A failing demo stays a failure."""
    assert subprocess.run([script, "demo", "sh", "-c", "exit 3"], check=False).returncode == 3

# SPDX-License-Identifier: GPL-3.0-or-later
# SPDX-FileCopyrightText: 2026 The orchestrator.platform authors
"""The script's own part: options, and the way a token takes (OR-280…OR-286, OR-A47). Scenario `secrets` runs it whole."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
from pathlib import Path

import pytest

SCRIPT = Path(__file__).resolve().parents[3] / "hack" / "setup-agent-secrets.sh"
TOKEN = "canary-" + "x" * 30

# Stands where ansible-playbook is looked for and writes down what it was started with.
RECORDER = """#!/usr/bin/env python3
import json, os, pathlib, sys
names = ("AGENT_USER", "AGENT_SSH_KEY", "AGENT_NAMESPACE", "AGENT_TOKEN", "ANSIBLE_COLLECTIONS_PATH")
seen = {"argv": sys.argv[1:], "env": {name: os.environ.get(name) for name in names}}
pathlib.Path(os.environ["RECORD"]).write_text(json.dumps(seen))
"""


@pytest.fixture
def installed(tmp_path) -> Path:
    """The script where a collection is installed, so that no virtual environment of a checkout is beside it."""
    hack = tmp_path / "ansible_collections" / "orchestrator" / "platform" / "hack"
    hack.mkdir(parents=True)
    (tmp_path / "bin").mkdir()
    recorder = tmp_path / "bin" / "ansible-playbook"
    recorder.write_text(RECORDER)
    recorder.chmod(0o755)
    return Path(shutil.copy(SCRIPT, hack))


def run(script: Path, *args: str, stdin: str = "") -> tuple[subprocess.CompletedProcess, dict]:
    top = script.parents[4]
    record = top / "record.json"
    record.unlink(missing_ok=True)
    env = {**os.environ, "PATH": f"{top / 'bin'}:{os.environ['PATH']}", "RECORD": str(record)}
    done = subprocess.run(
        ["bash", script, *args], input=stdin, env=env, cwd=top, capture_output=True, text=True, check=False
    )
    return done, json.loads(record.read_text()) if record.exists() else {}


GOOD = ("--user", "coder", "--ssh-key", "keys/coder")


def test_everything_travels_in_the_environment(installed):
    """OR-286: no argument of a child holds what the user gave; the relative path is that of the user's folder."""
    done, seen = run(installed, *GOOD, "--token", "-", "--namespace", "runs", stdin=f"{TOKEN}\n")
    assert done.returncode == 0
    assert seen["env"]["AGENT_TOKEN"] == TOKEN
    assert seen["env"]["AGENT_SSH_KEY"] == str(installed.parents[4] / "keys" / "coder")
    assert (seen["env"]["AGENT_USER"], seen["env"]["AGENT_NAMESPACE"]) == ("coder", "runs")
    assert seen["env"]["ANSIBLE_COLLECTIONS_PATH"].split(":")[0] == str(installed.parents[4])
    assert "coder" not in json.dumps(seen["argv"])
    assert TOKEN not in json.dumps(seen["argv"]) + done.stdout + done.stderr


def test_the_namespace_is_orchestrator_unless_given(installed):
    """OR-283."""
    _done, seen = run(installed, *GOOD, "--token", "-", stdin=TOKEN)
    assert seen["env"]["AGENT_NAMESPACE"] == "orchestrator"


def test_a_token_file_loses_its_line_break(installed, tmp_path):
    (tmp_path / "token").write_text(f"{TOKEN}\n")
    done, seen = run(installed, *GOOD, "--token-file", str(tmp_path / "token"))
    assert seen["env"]["AGENT_TOKEN"] == TOKEN
    assert "warning" not in done.stderr


def test_a_token_among_the_arguments_is_warned_of_and_not_repeated(installed):
    done, seen = run(installed, *GOOD, "--token", TOKEN)
    assert seen["env"]["AGENT_TOKEN"] == TOKEN
    assert "warning: a token among the arguments" in done.stderr
    assert TOKEN not in done.stdout + done.stderr + json.dumps(seen["argv"])


@pytest.mark.parametrize(
    ("option", "flags"), [((), []), (("--dry-run",), ["--check", "--diff"]), (("--verbose",), ["-vv"])]
)
def test_dry_run_and_verbose_are_those_of_ansible(installed, option, flags):
    """OR-283."""
    _done, seen = run(installed, *GOOD, "--token", "-", *option, stdin=TOKEN)
    between = seen["argv"][seen["argv"].index("orchestrator.platform.agent_secrets") + 1 : -2]
    assert between == flags


def test_what_looks_like_code_or_a_template_stays_text(installed):
    """OR-A47: no eval; the playbook reads the environment, whose values Ansible takes for no template."""
    nasty = "$(touch pwned) {{ lookup('pipe', 'touch pwned') }} \"; touch pwned #"
    _done, seen = run(installed, "--user", nasty, "--ssh-key", nasty, "--token", "-", stdin=nasty)
    assert (seen["env"]["AGENT_USER"], seen["env"]["AGENT_TOKEN"]) == (nasty, nasty)
    assert not (installed.parents[4] / "pwned").exists()


@pytest.mark.parametrize(
    ("args", "said"),
    [
        ((), "--user is missing"),
        (("--user", "coder"), "--ssh-key is missing"),
        (GOOD, "the token is missing"),
        (("--user",), "--user needs a value"),
        (("--user", "--token", "-"), "--user needs a value"),
        (("--user", ""), "--user needs a value"),
        ((*GOOD, "--token"), "--token needs a value"),
        ((*GOOD, "--token", "-"), "the token is empty"),
        ((*GOOD, "--token-file", "/nowhere"), "--token-file /nowhere is no file that can be read"),
        ((*GOOD, "--token", "-", "--token-file", "/nowhere"), "--token and --token-file are both given"),
        ((*GOOD, f"--token={TOKEN}"), "--token takes its value as the next argument"),
        (("--bogus",), "--bogus is no option of this script"),
        ((*GOOD, TOKEN), "an argument too many"),
    ],
)
def test_what_is_wrong_with_the_options_ends_with_status_1(installed, args, said):
    """OR-285; nothing is started, and nothing that may be a token is repeated."""
    done, seen = run(installed, *args)
    assert (done.returncode, seen) == (1, {})
    assert done.stderr.startswith("error: ")
    assert said in done.stderr
    assert len(done.stderr.splitlines()) == 1
    assert TOKEN not in done.stderr


def test_help_names_every_option(installed):
    done, _seen = run(installed, "--help")
    assert done.returncode == 0
    options = ("--user", "--ssh-key", "--token", "--token-file", "--namespace", "--dry-run", "--verbose", "--help")
    assert [option for option in options if option not in done.stdout] == []


def test_tracing_is_switched_off(installed):
    """`bash -x` would print each value as it is read."""
    top = installed.parents[4]
    env = {**os.environ, "PATH": f"{top / 'bin'}:{os.environ['PATH']}", "RECORD": str(top / "record.json")}
    argv = ["bash", "-x", installed, *GOOD, "--token", "-"]
    done = subprocess.run(argv, input=TOKEN, env=env, capture_output=True, text=True, check=True)
    assert TOKEN not in done.stderr


def test_without_ansible_it_says_so(installed):
    env = {"PATH": "/usr/bin:/bin", "HOME": "/"}
    argv = ["bash", installed, *GOOD, "--token", "-"]
    done = subprocess.run(argv, input=TOKEN, env=env, capture_output=True, text=True, check=False)
    if shutil.which("ansible-playbook", path=env["PATH"]):
        pytest.skip("this machine has ansible-playbook where every program is")
    assert (done.returncode, "ansible-playbook is not in PATH" in done.stderr) == (1, True)

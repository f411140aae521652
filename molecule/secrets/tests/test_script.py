# SPDX-License-Identifier: GPL-3.0-or-later
# SPDX-FileCopyrightText: 2026 The orchestrator.platform authors
"""hack/setup-agent-secrets.sh, whole, against the cluster (OR-280…OR-286, OR-A47)."""

from __future__ import annotations

import contextlib
import re
import subprocess
from pathlib import Path

import pytest

from canaries import assert_absent, lines_of_key
from real_cluster import MOLECULES_OWN, ROOT
from secret_runs import RUNS, values, versions

testinfra_hosts = ["local://"]

TOKEN = "ghp_canaryOfTheScriptInTheTests456456456"


@pytest.fixture
def script(cluster, pair):
    """Run it for one user from the folder of the keys; the status, all output, and what children had as arguments."""
    env = {name: value for name, value in cluster.env.items() if name not in MOLECULES_OWN}

    def run(*args: str, stdin: str = TOKEN) -> tuple[int, str, str]:
        argv = [ROOT / "hack" / "setup-agent-secrets.sh", "--user", "scripted", "--ssh-key", pair.file.name, *args]
        process = subprocess.Popen(
            argv, cwd=pair.file.parent, env=env, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
        )  # fmt: skip
        assert process.stdin is not None
        process.stdin.write(stdin)
        process.stdin.close()
        process.stdin = None
        seen = set()
        while True:
            seen |= arguments()
            try:
                output, _none = process.communicate(timeout=0.05)
                break
            except subprocess.TimeoutExpired:
                continue
        return process.returncode, output, "\n".join(seen)

    yield run
    names = ["github-ssh-scripted", "github-token-scripted"]
    cluster.kubectl("delete", "secrets", "--namespace", RUNS, "--ignore-not-found", *names)


def arguments() -> set[str]:
    """Command lines of all processes of this machine, now."""
    found = set()
    for file in Path("/proc").glob("[0-9]*/cmdline"):
        with contextlib.suppress(OSError):
            found.add(file.read_bytes().replace(b"\0", b" ").decode("utf-8", "replace"))
    return found


GIVEN = ("--token", "-", "--namespace", RUNS)


def test_it_writes_both_and_writes_them_once(cluster, pair, script):
    """OR-285; the token is in no output at --verbose and in no argument of any process."""
    status, output, seen = script(*GIVEN, "--verbose")
    assert status == 0, output[-3000:]
    assert values(cluster, "github-token-scripted") == {"token": TOKEN}
    assert values(cluster, "github-ssh-scripted")["ssh-privatekey"] == pair.private
    assert "orchestrator.platform.agent_secrets" in seen
    canaries = {"token": TOKEN, **lines_of_key(pair.private)}
    assert_absent(canaries, output, "the output")
    assert_absent(canaries, seen, "the arguments of a process")
    hint = f"kubectl get secrets --namespace {RUNS} --selector app.kubernetes.io/component=agent-credentials"
    assert hint in re.sub(r"\s+", " ", output)
    before = versions(cluster)
    status, output, _seen = script(*GIVEN)
    assert (status, versions(cluster)) == (0, before), output[-3000:]


def test_the_hint_finds_both_secrets(cluster, script):
    """OR-A47: the old hint matched neither."""
    output = script(*GIVEN)[1]
    command = re.search(r"kubectl (get secrets --namespace \S+ --selector [\w./=-]+)", re.sub(r"\s+", " ", output))
    assert command
    shown = cluster.kubectl(*command[1].split(), "--output=name").split()
    assert {"secret/github-ssh-scripted", "secret/github-token-scripted"} <= set(shown)


def test_a_dry_run_says_it_and_writes_nothing(cluster, script):
    """OR-283, OR-A47: the old dry run printed the token."""
    before = versions(cluster)
    status, output, _seen = script(*GIVEN, "--dry-run", "--verbose")
    assert (status, versions(cluster)) == (0, before), output[-3000:]
    assert "The Secret would be made." in re.sub(r"\s+", " ", output)
    assert_absent({"token": TOKEN}, output, "the output")


def test_a_dry_run_needs_no_namespace_and_a_real_one_does(cluster, script):
    """OR-284."""
    elsewhere = ("--token", "-", "--namespace", "secrets-nowhere")
    assert script(*elsewhere, "--dry-run")[0] == 0
    status, output, _seen = script(*elsewhere)
    assert status not in (0, 1)
    assert "Namespace secrets-nowhere does not exist: make it first" in re.sub(r"\s+", " ", output)


def test_a_public_key_that_does_not_match_is_refused(cluster, pair, script):
    """Issue 6, bad input: nothing is written, the token neither."""
    (pair.file.parent / "key.pub").write_text("ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIA", encoding="utf-8")
    status, output, _seen = script(*GIVEN)
    assert status not in (0, 1)
    assert "does not belong to the private key beside it" in re.sub(r"\s+", " ", output)
    assert not [one for one in versions(cluster) if one.endswith("-scripted")]


def test_a_token_from_a_file_and_from_the_arguments(cluster, pair, script):
    file = pair.file.parent / "token"
    file.write_text(f"{TOKEN}\n", encoding="utf-8")
    assert script("--token-file", str(file), "--namespace", RUNS, stdin="")[0] == 0
    assert values(cluster, "github-token-scripted") == {"token": TOKEN}
    status, output, _seen = script("--token", TOKEN[::-1], "--namespace", RUNS, stdin="")
    assert status == 0
    assert "warning: a token among the arguments can be read by everybody" in re.sub(r"\s+", " ", output)
    assert_absent({"token": TOKEN[::-1]}, output, "the output")
    assert values(cluster, "github-token-scripted") == {"token": TOKEN[::-1]}

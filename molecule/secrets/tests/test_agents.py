# SPDX-License-Identifier: GPL-3.0-or-later
# SPDX-FileCopyrightText: 2026 The orchestrator.platform authors
"""The agents' credentials by the playbook: OR-276, OR-284, OR-286, OR-A47, issue 6.4 and its bad input."""

from __future__ import annotations

import re

import pytest
import yaml
from ansible_collections.orchestrator.platform.plugins.module_utils._ssh_keys import public_of

from canaries import assert_absent, lines_of_key
from real_cluster import ROOT, STATE, succeeded
from secret_runs import OTHER, RUNS, Pair, values, versions

testinfra_hosts = ["local://"]

TOKEN = yaml.safe_load((ROOT / "molecule" / "secrets" / "molecule.yml").read_text("utf-8"))["ansible"]["env"][
    "SECRETS_SCENARIO_TOKEN"
]
OTHER_TOKEN = "ghp_canaryOfTheAgentsInTheTests987654321"
LOUD = ("-vvv", "--diff")


def one_line(text: str) -> str:
    """The text without the line breaks that YAML puts into long sentences."""
    return re.sub(r"\s+", " ", text)


def test_each_agent_has_its_secrets(cluster):
    """OR-276: names, keys, namespace; what was not given is not there."""
    assert sorted(values(cluster, "github-ssh-coder")) == ["ssh-privatekey", "ssh-publickey"]
    assert values(cluster, "github-token-coder") == {"token": TOKEN}
    assert values(cluster, "github-token-writer", OTHER) == {"token": TOKEN[::-1]}
    assert f"{OTHER}/github-ssh-writer" not in versions(cluster)


def test_no_argument_lies_in_a_file(agents, cluster):
    """D6: the token goes to the module through a pipe; there is no folder in which Ansible could write its arguments."""
    nowhere = ("--extra-vars", "ansible_remote_tmp=/proc/nowhere")
    assert succeeded(agents({"user": "piped", "token": OTHER_TOKEN}, args=nowhere))
    assert values(cluster, "github-token-piped") == {"token": OTHER_TOKEN}
    refused = agents(
        {"user": "piped", "token": OTHER_TOKEN},
        args=(*nowhere, "--extra-vars", "ansible_pipelining=false"),
        check=False,
    )
    assert succeeded(refused) is None
    assert "/proc/nowhere" in refused


def test_a_generated_pair_is_a_pair(cluster):
    pair = values(cluster, "github-ssh-coder")
    assert public_of(pair["ssh-privatekey"].encode()) == pair["ssh-publickey"].strip()


def test_the_first_run_told_the_public_key_and_no_value(cluster):
    """D6: the log of the whole run as with -vvv --diff, and JUnit."""
    pair = values(cluster, "github-ssh-coder")
    log = STATE / "log" / "secrets.log"
    assert pair["ssh-publickey"].strip() in one_line(log.read_text(encoding="utf-8"))
    assert "task path:" in log.read_text(encoding="utf-8"), "the log is not as verbose as -vvv"
    canaries = {"token": TOKEN, "other token": TOKEN[::-1], **lines_of_key(pair["ssh-privatekey"])}
    assert len(canaries) > 4
    for file in [log, *(STATE / "log" / "secrets-junit").glob("*.xml")]:
        assert_absent(canaries, file.read_text(encoding="utf-8"), file.name)


def agent(pair: Pair, user: str = "tester", **more: object) -> dict:
    return {"user": user, "ssh_private_key_file": str(pair.file), "token": OTHER_TOKEN, **more}


@pytest.fixture
def tester(cluster, pair, agents):
    """An agent whose key is a file and whose token is inline; gone afterwards. Gives the output of its first run."""
    yield agents(agent(pair), args=LOUD)
    agents({"user": "tester"}, secrets_agents_state="absent")
    assert not [one for one in versions(cluster) if one.endswith("-tester")]


def test_files_and_texts_arrive_and_a_second_run_writes_nothing(cluster, pair, agents, tester):
    """D5; and no value in what -vvv --diff shows, of a key with many lines neither."""
    assert values(cluster, "github-token-tester") == {"token": OTHER_TOKEN}
    assert values(cluster, "github-ssh-tester")["ssh-privatekey"] == pair.private
    assert values(cluster, "github-ssh-tester")["ssh-publickey"].startswith(pair.public)
    assert pair.public in one_line(tester)
    canaries = {"token": OTHER_TOKEN, **lines_of_key(pair.private)}
    assert_absent(canaries, tester, "the output of the first run")
    before = versions(cluster)
    recap = succeeded(agents(agent(pair)))
    assert recap
    assert (recap[2], versions(cluster)) == ("0", before)
    # The same key as a text that has lost its last line break is the same key.
    output = agents({"user": "tester", "ssh_private_key": pair.private.rstrip("\n"), "ssh_public_key": f"{pair.public} key\n"}, args=LOUD)  # fmt: skip
    assert_absent(canaries, output, "the output of a run with the key as a text")
    assert versions(cluster) == before


def test_check_and_diff_name_the_keys_and_write_nothing(cluster, pair, agents, tester):
    before = versions(cluster)
    output = agents(agent(pair, token="ghp_" + "n" * 36), args=("--check", *LOUD))
    recap = succeeded(output)
    assert recap
    assert recap[2] == "1"
    assert re.search(r'-\s+"?token"?: "?a value', output)
    assert re.search(r'\+\s+"?token"?: "?a new value', output)
    assert "would be brought up to date: key changed token" in one_line(output)
    assert "n" * 36 not in output
    assert versions(cluster) == before


def test_a_marker_rotates_a_generated_pair_once(cluster, agents):
    """A run without the marker, or with the same one, keeps the pair: zero writes."""
    coder = {"user": "coder", "generate": True}
    old = values(cluster, "github-ssh-coder")
    before = versions(cluster)
    agents(coder)
    assert versions(cluster) == before
    output = agents({**coder, "rotate": "2026-12"})
    new = values(cluster, "github-ssh-coder")
    assert new["ssh-privatekey"] != old["ssh-privatekey"]
    assert new["ssh-publickey"].strip() in one_line(output)
    before = versions(cluster)
    agents({**coder, "rotate": "2026-12"})
    agents(coder)
    assert versions(cluster) == before


def test_a_pair_that_would_be_made_is_not_shown_in_check_mode(cluster, agents):
    """It would be another one in the real run."""
    output = agents({"user": "future", "generate": True}, args=("--check", *LOUD))
    assert "The Secret would be made." in one_line(output)
    assert "ssh-ed25519 " not in output


def test_all_that_is_wrong_with_all_agents_is_told_at_once(cluster, tmp_path, agents):
    """Bad input of issue 6: one sentence each, nothing written, no value at -vvv --diff."""
    one, two, locked = Pair(tmp_path, "one"), Pair(tmp_path, "two"), Pair(tmp_path, "locked")
    (tmp_path / "one.pub").write_text(two.public, encoding="utf-8")
    (tmp_path / "two.pub").unlink()
    locked.file.write_text("-----BEGIN OPENSSH PRIVATE KEY-----\ncanaryline\n", encoding="utf-8")
    good = Pair(tmp_path, "good")
    before = versions(cluster)
    output = agents(
        agent(good, "good"),
        agent(good, "Big-Letters"),
        agent(one, "mismatch"),
        agent(two, "nopub"),
        agent(locked, "damaged"),
        agent(good, "newline", token=f"{OTHER_TOKEN}\n"),
        {"user": "unset", "token_env": "NOT_SET_ANYWHERE"},
        {"user": "nothing"},
        {"user": "public", "ssh_private_key": good.public},
        {"user": "lost", "namespace": "no_namespace", "token": OTHER_TOKEN},
        args=LOUD,
        check=False,
    )
    assert re.search(r"^localhost +: .*failed=1", output, re.MULTILINE), output[-3000:]
    text = one_line(output)
    for said in (
        "write big-letters, here and in spec.githubUser",
        "github-ssh-mismatch, key ssh-publickey, does not belong to the private key",
        "two.pub, which does not exist (each private key needs its public one beside it)",
        "github-ssh-damaged, key ssh-privatekey, cannot be read as an SSH private key",
        "github-token-newline, key token, ends with a line break",
        "NOT_SET_ANYWHERE, which is not set",
        "Agent nothing has neither an SSH key nor a token",
        "github-ssh-public, key ssh-privatekey, is a public key: give the private one",
        "'no_namespace', which no namespace can be named",
    ):
        assert said in text, said
    assert "Traceback" not in output
    assert_absent(
        {"token": OTHER_TOKEN, "damaged key": "canaryline", **lines_of_key(good.private)}, output, "the output"
    )
    assert versions(cluster) == before


@pytest.mark.parametrize("wrong", ["canary-of-a-wrong-shape", ["canary-of-a-wrong-shape"]])
def test_agents_of_another_shape_are_refused_without_showing_them(agents, wrong):
    """A token in the wrong place is a mistake that happens."""
    output = agents(secrets_agents=wrong, args=LOUD, check=False)
    assert "failed=1" in output
    assert "canary-of-a-wrong-shape" not in output


def test_a_token_of_another_form_is_written_with_a_warning(cluster, pair, agents, tester):
    """OR-284."""
    output = agents({"user": "tester", "token": "canary-of-no-known-form"})
    assert "does not look like a token of GitHub" in one_line(output)
    assert values(cluster, "github-token-tester") == {"token": "canary-of-no-known-form"}
    assert "canary-of-no-known-form" not in output


def test_removal_takes_what_is_ours_and_a_second_one_nothing(cluster, agents):
    agents({"user": "leaver", "generate": True, "token": OTHER_TOKEN})
    output = agents({"user": "leaver"}, secrets_agents_state="absent", args=("--check",))
    assert "The Secret would be removed." in one_line(output)
    assert f"{RUNS}/github-ssh-leaver" in versions(cluster)
    agents({"user": "leaver"}, secrets_agents_state="absent")
    assert not [one for one in versions(cluster) if one.endswith("-leaver")]
    recap = succeeded(agents({"user": "leaver"}, secrets_agents_state="absent"))
    assert recap
    assert recap[2] == "0"

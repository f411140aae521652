# SPDX-License-Identifier: GPL-3.0-or-later
# SPDX-FileCopyrightText: 2026 The orchestrator.platform authors
"""Agents as Secrets: names and keys of OR-276, names that are none (OR-286, OR-A47)."""

from __future__ import annotations

from pathlib import Path

import pytest
from ansible.errors import AnsibleFilterError
from ansible_collections.orchestrator.platform.plugins.filter.agent_secrets import agent_secrets
from ansible_collections.orchestrator.platform.plugins.module_utils._secret_wanted import read_wanted
from hypothesis import given
from hypothesis import strategies as st


def secrets(*agents: dict, present: bool = True) -> list[dict]:
    found = agent_secrets(list(agents), "orchestrator", present)
    assert found["problems"] == []
    return found["secrets"]


def test_names_and_keys_are_those_that_the_runs_read():
    """OR-276."""
    rows = secrets({"user": "coder", "ssh_private_key_file": "/k", "token_env": "T"})
    assert [(row["namespace"], row["name"]) for row in rows] == [
        ("orchestrator", "github-ssh-coder"),
        ("orchestrator", "github-token-coder"),
    ]
    assert rows[0]["data"] == [
        {"key": "ssh-privatekey", "file": "/k", "form": "ssh_private_key"},
        {"key": "ssh-publickey", "file": "/k.pub", "form": "ssh_public_key"},
    ]
    assert rows[1]["data"] == [{"key": "token", "env": "T", "form": "github_token"}]


def test_files_are_sought_where_the_user_stands(monkeypatch, tmp_path):
    monkeypatch.chdir(tmp_path)
    rows = secrets({"user": "a", "ssh_private_key_file": "k", "token_file": "~/t"})
    assert rows[0]["data"][0]["file"] == str(tmp_path / "k")
    assert rows[1]["data"][0]["file"] == str(Path.home() / "t")


def test_a_public_key_is_made_where_no_file_holds_it():
    for field in ({"ssh_private_key": "x"}, {"ssh_private_key_env": "X"}, {"generate": True}):
        assert secrets({"user": "a", **field})[0]["data"][1]["public_key_of"] == "ssh-privatekey"


def test_what_is_not_given_is_not_touched():
    assert [row["name"] for row in secrets({"user": "a", "token": "t", "generate": False})] == ["github-token-a"]
    assert [row["name"] for row in secrets({"user": "a", "generate": True})] == ["github-ssh-a"]


def test_a_marker_travels_and_an_agent_may_live_elsewhere():
    (row,) = secrets({"user": "a", "generate": True, "rotate": 7, "namespace": "far"})
    assert (row["rotate"], row["namespace"]) == ("7", "far")


def test_for_a_removal_both_are_named():
    assert [row["name"] for row in secrets({"user": "a"}, present=False)] == ["github-ssh-a", "github-token-a"]


@pytest.mark.parametrize(
    ("agent", "said"),
    [
        ({"token": "canary"}, "secrets_agents[0] names no user"),
        ({"user": "", "token": "canary"}, "names no user"),
        ({"user": "Coder-Bot", "token": "canary"}, "has no capital letters: write coder-bot, here and in spec.githubUser"),
        ({"user": "coder_bot", "token": "canary"}, "after whom no Secret can be named"),
        ({"user": "a" * 300, "token": "canary"}, "after whom no Secret can be named"),
        ({"user": "a"}, "Agent a has neither an SSH key nor a token"),
        ({"user": "a", "token": "canary", "token_env": "T"}, "Agent a has 2 tokens, token and token_env: give one."),
        ({"user": "a", "generate": True, "ssh_private_key": "canary"}, "Agent a has 2 private keys"),
        ({"user": "a", "ssh_public_key": "p", "token": "canary"}, "a public key without its private one"),
        ({"user": "a", "ssh_public_key": "p", "generate": True}, "a public key beside generate"),
    ],
)  # fmt: skip
def test_an_agent_that_is_none_is_one_sentence(agent, said):
    (problem,) = agent_secrets([agent], "orchestrator")["problems"]
    assert said in problem
    assert "canary" not in problem


def test_all_agents_are_judged():
    found = agent_secrets([{"user": "Big"}, {"user": "a", "token": "t"}, {"user": ""}], "orchestrator")
    assert (len(found["problems"]), len(found["secrets"])) == (2, 1)


@pytest.mark.parametrize("agents", ["canary", {"user": "a"}, ["canary"], None])
def test_what_is_no_list_of_agents_is_told_without_it(agents):
    with pytest.raises(AnsibleFilterError, match="a list of mappings") as caught:
        agent_secrets(agents, "orchestrator")
    assert "canary" not in str(caught.value)


@given(st.text(max_size=60))
def test_any_user_is_judged_or_a_name_that_the_module_takes(user):
    """What the filter lets through has a name that no API server refuses."""
    found = agent_secrets([{"user": user, "token": "t"}], "orchestrator")
    assert len(found["problems"]) + len(found["secrets"]) == 1
    assert read_wanted(found["secrets"], None, present=True).problems == []

# SPDX-License-Identifier: GPL-3.0-or-later
# SPDX-FileCopyrightText: 2026 The orchestrator.platform authors
"""Module secret from its arguments on, without a cluster: what it tells and what it logs (D6, issue 6.4)."""

from __future__ import annotations

import json

import pytest
from ansible.module_utils.basic import AnsibleModule
from ansible.module_utils.testing import patch_module_args
from ansible_collections.orchestrator.platform.plugins.module_utils._ssh_keys import new_pair
from ansible_collections.orchestrator.platform.plugins.modules import secret

PRIVATE = new_pair()[0].decode()
LINE = PRIVATE.splitlines()[2]
ARGS = {
    "kubeconfig": "/nowhere/kubeconfig",
    "namespace": "agents",
    "secrets": [
        {"name": "Big", "data": [{"key": "k", "value": PRIVATE}]},
        {"name": "two", "data": [{"key": "k", "value": PRIVATE, "env": "E"}]},
    ],
    "problems": ["The caller's own sentence."],
}


@pytest.fixture
def logged(monkeypatch) -> list[str]:
    """What the module gives to the system's log."""
    found: list[str] = []
    monkeypatch.setattr(AnsibleModule, "log", lambda _self, text, log_args=None: found.append(f"{text} {log_args}"))
    return found


def run(capfd) -> dict:
    with patch_module_args(json.loads(json.dumps(ARGS))), pytest.raises(SystemExit):
        secret.main()
    return json.loads(capfd.readouterr().out)


def test_all_problems_are_told_the_caller_s_first_and_that_of_the_connection_last(logged, capfd):
    """One message costs the user one run; without a cluster the rest is told all the same."""
    result = run(capfd)
    assert result["failed"]
    told = result["problems"]
    assert told == result["msg"].split("\n")
    assert told[0] == "The caller's own sentence."
    assert told[1].startswith("secrets[0].name is 'Big'")
    assert told[2].startswith("Secret agents/two, key k, needs one source and has value and env")
    assert told[3].startswith("The cluster's configuration cannot be used")
    assert len(told) == 4


def test_no_line_of_a_key_is_in_the_result(logged, capfd):
    """The invocation is part of it and is what -vvv shows."""
    result = run(capfd)
    assert result["invocation"]["module_args"]["namespace"] == "agents"
    assert LINE not in json.dumps(result)


def test_nothing_of_a_key_reaches_the_system_s_log(logged, capfd, monkeypatch):
    """Ansible's own search does not find a text whose line breaks are escaped: with its way of logging this fails."""
    run(capfd)
    assert LINE not in "".join(logged)
    monkeypatch.setattr(secret.QuietModule, "_log_invocation", AnsibleModule._log_invocation)
    run(capfd)
    assert LINE in "".join(logged), "Ansible logs no values by itself any more: QuietModule can go"

# SPDX-License-Identifier: GPL-3.0-or-later
# SPDX-FileCopyrightText: 2026 The orchestrator.platform authors
"""The credential for the channels of a namespace's runs: the filter gives what the bot accepts (issue 8.3, DM-210)."""

from __future__ import annotations

import hashlib
import hmac
import os
import subprocess
import sys
from pathlib import Path

import pytest
from ansible.errors import AnsibleFilterError
from ansible_collections.orchestrator.platform.plugins.filter.input_credential import input_credential
from ansible_collections.orchestrator.platform.plugins.filter.run_credential import FilterModule
from hypothesis import given
from hypothesis import strategies as st

ROOT = Path(__file__).parents[2]
KEY = "api-token-of-the-tests-" + "k" * 20
NAMES = st.from_regex(r"[a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?", fullmatch=True)
run_credential = FilterModule().filters()["run_credential"]


def test_filter_and_program_agree():
    """The bot's own command prints the same, with the token it has in its environment, and without a line feed."""
    env = {"PATH": os.environ["PATH"], "PYTHONPATH": str(ROOT / "runtime" / "src"), "BOT_API_TOKEN": KEY}
    command = [sys.executable, "-m", "discord_monitor", "credential", "--runs", "orchestrator"]
    printed = subprocess.run(command, env=env, capture_output=True, text=True, check=True, timeout=60).stdout
    assert run_credential("orchestrator", KEY) == printed


def test_form_of_the_credential():
    """Namespace, dot, HMAC-SHA256 in hexadecimal, with the token as key: what is written down for other callers."""
    said = hmac.new(KEY.encode(), b"discord-monitor/runs/1/team-a", hashlib.sha256).hexdigest()
    assert run_credential("team-a", KEY) == f"team-a.{said}"


@given(NAMES, NAMES)
def test_each_namespace_has_its_own(one, other):
    assert (run_credential(one, KEY) == run_credential(other, KEY)) is (one == other)


def test_it_opens_no_input_even_with_one_key_for_both():
    """A namespace may be called like a channel's id."""
    assert run_credential("81384788765712384", KEY) != input_credential("81384788765712384", KEY)


@pytest.mark.parametrize("namespace", ["", "A", "a.b", "a/b", "-a", "a-", "a" * 64, "a\n", None, 7, ["a"]])
def test_a_namespace_that_is_none(namespace):
    with pytest.raises(AnsibleFilterError, match="the input is a namespace"):
        run_credential(namespace, KEY)


@pytest.mark.parametrize("key", ["", "canary-short", None, 7])
def test_a_key_that_is_none_is_not_repeated(key):
    with pytest.raises(AnsibleFilterError, match="run_credential: the key is a text of at least 32 characters") as told:
        run_credential("orchestrator", key)
    assert "canary" not in str(told.value)


def test_a_key_in_the_place_of_the_namespace_is_not_repeated():
    with pytest.raises(AnsibleFilterError) as told:
        run_credential("Canary-" + KEY, "orchestrator")
    assert "anary" not in str(told.value)

# SPDX-License-Identifier: GPL-3.0-or-later
# SPDX-FileCopyrightText: 2026 The orchestrator.platform authors
"""The credential of a bridge: the filter gives what the bot accepts, and role secrets writes it (DM-A04, issue 7.5)."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest
from ansible.errors import AnsibleFilterError
from ansible_collections.orchestrator.platform.plugins.filter.input_credential import FilterModule
from hypothesis import given
from hypothesis import strategies as st

ROOT = Path(__file__).parents[2]
KEY = "key-of-the-tests-" + "k" * 20
CHANNEL = "81384788765712384"
input_credential = FilterModule().filters()["input_credential"]


def test_filter_and_program_agree():
    """The bot's own command prints the same, with the key it has in its environment."""
    env = {"PATH": os.environ["PATH"], "PYTHONPATH": str(ROOT / "runtime" / "src"), "BOT_INPUT_KEY": KEY}
    command = [sys.executable, "-m", "discord_monitor", "credential", CHANNEL]
    printed = subprocess.run(command, env=env, capture_output=True, text=True, check=True, timeout=60).stdout
    assert input_credential(CHANNEL, KEY) == input_credential(int(CHANNEL), KEY) == printed


@given(st.text("0123456789", min_size=1, max_size=20), st.text("0123456789", min_size=1, max_size=20))
def test_each_channel_has_its_own(one, other):
    assert (input_credential(one, KEY) == input_credential(other, KEY)) is (one == other)


@pytest.mark.parametrize("channel", ["", "x", "1.2", "1" * 21, None, True, ["1"], "\u0661"])
def test_a_channel_that_is_none(channel):
    with pytest.raises(AnsibleFilterError, match="number of up to 20 digits"):
        input_credential(channel, KEY)


@pytest.mark.parametrize("key", ["", "canary-short", None, 7])
def test_a_key_that_is_none_is_not_repeated(key):
    with pytest.raises(AnsibleFilterError, match="at least 32 characters") as told:
        input_credential(CHANNEL, key)
    assert "canary" not in str(told.value)

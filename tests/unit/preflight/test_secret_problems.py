# SPDX-License-Identifier: GPL-3.0-or-later
# SPDX-FileCopyrightText: 2026 The orchestrator.platform authors
"""The filter secret_problems: what it refuses, what it accepts, and that it never repeats a value (D6, DM-149)."""

from __future__ import annotations

import pytest
from ansible_collections.orchestrator.platform.plugins.filter.secret_problems import secret_problems

HOOK = "https://discord.com/api/webhooks/123456789012345678/abcDEF-_0123456789"


@pytest.mark.parametrize("value", [HOOK, HOOK.replace("discord", "discordapp"), HOOK.replace("//", "//ptb."), ""])
def test_accepts_webhook_urls_of_discord(value):
    """Each host that Discord gives webhooks for passes, and so does nothing at all."""
    assert secret_problems(value, "hook", "webhook") == []


@pytest.mark.parametrize(
    ("value", "words"),
    [
        (HOOK + "\n", "line break"),
        (" " + HOOK, "blanks"),
        (HOOK.replace("https", "http"), "not one of https://discord.com"),
        (HOOK.replace("discord.com", "discord.com.example"), "not one of https://discord.com"),
        ("https://discord.com/channels/1/2", "not a webhook URL"),
        (12345, "not a text"),
    ],
)
def test_refuses_other_webhooks_without_repeating_them(value, words):
    """One sentence, with the variable's name and without the value."""
    [sentence] = secret_problems(value, "hook", "webhook")
    assert words in sentence
    assert sentence.startswith("hook ")
    assert "abcDEF" not in sentence


@pytest.mark.parametrize(
    ("value", "words"),
    [("tok\n", "line break"), ("tok\r\n", "line break"), ("tok ", "blanks"), ("to k", "contains"), ("Bot t", "Bot")],
)
def test_refuses_tokens_that_no_request_can_carry(value, words):
    """A line break at the end is the commonest one; it would break the request header."""
    [sentence] = secret_problems(value, "token", "token")
    assert words in sentence


def test_custom_hosts_only_on_request():
    """A server of one's own passes only with the explicit option."""
    own = "http://fake:8081/api/v10/webhooks/1/abc"
    assert secret_problems(own, "hook", "webhook")
    assert secret_problems(own, "hook", "webhook", allow_custom=True) == []


def test_mapping_names_the_key():
    """In a mapping each value is judged and called by its key."""
    [sentence] = secret_problems({"a": HOOK, "b": "x"}, "hooks", "webhook")
    assert sentence.startswith("hooks[b] ")

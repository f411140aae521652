# SPDX-License-Identifier: GPL-3.0-or-later
# SPDX-FileCopyrightText: 2026 The orchestrator.platform authors
"""The argument specs of the roles are the manual: they must name each default, with its value."""

from __future__ import annotations

from pathlib import Path

import pytest
import yaml
from jinja2.nativetypes import NativeEnvironment

# The role kind_cluster computes some defaults from the machine, so its spec cannot hold their values.
NAMES = ("discord_monitor", "preflight", "secrets", "sidecar", "verify")
ROLES = [Path(__file__).parents[2] / "roles" / name for name in NAMES]
SECRET_OPTIONS = {"secrets_bot_token", "secrets_bot_api_token", "secrets_webhook_url", "secrets_webhook_urls"}


def load(role: Path, part: str):
    return yaml.safe_load(
        (role / part / ("main.yml" if part == "defaults" else "argument_specs.yml")).read_text("utf-8")
    )


def evaluated(value):
    """What a default is while no other variable is set."""
    return NativeEnvironment().from_string(value).render() if isinstance(value, str) and "{{" in value else value


@pytest.mark.parametrize("role", ROLES, ids=lambda role: role.name)
def test_each_default_is_in_the_spec_with_its_value(role):
    """A default that the spec does not name, or names with another value, misleads the reader."""
    defaults = {name: evaluated(value) for name, value in load(role, "defaults").items()}
    options = load(role, "meta")["argument_specs"]["main"]["options"]
    documented = {name: option["default"] for name, option in options.items() if "default" in option}
    assert documented == defaults


@pytest.mark.parametrize("role", ROLES, ids=lambda role: role.name)
def test_secret_options_are_marked(role):
    """What holds a secret is marked no_log in every entry point (D6)."""
    for entry in load(role, "meta")["argument_specs"].values():
        marked = {name for name, option in entry["options"].items() if option.get("no_log")}
        assert marked == SECRET_OPTIONS & set(entry["options"])

# SPDX-License-Identifier: GPL-3.0-or-later
# SPDX-FileCopyrightText: 2026 The orchestrator.platform authors
"""The argument specs of the roles are the manual: they must name each default, with its value."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
import yaml
from ansible_collections.orchestrator.platform.plugins.filter.chart_fullname import chart_fullname
from jinja2.nativetypes import NativeEnvironment

# The role kind_cluster computes some defaults from the machine, so its spec cannot hold their values.
NAMES = (
    "backup",
    "discord_monitor",
    "migrate",
    "orchestrator",
    "preflight",
    "release",
    "secrets",
    "sidecar",
    "support",
    "verify",
)
ROLES = [Path(__file__).parents[2] / "roles" / name for name in NAMES]
SECRET_OPTIONS = {
    "secrets_agents",
    "secrets_bot_token",
    "secrets_bot_api_token",
    "secrets_bot_input_key",
    "secrets_webhook_url",
    "secrets_webhook_urls",
    "secrets_api_key",
    "secrets_rest_token",
}


def load(role: Path, part: str):
    return yaml.safe_load(
        (role / part / ("main.yml" if part == "defaults" else "argument_specs.yml")).read_text("utf-8")
    )


def evaluated(value, **variables):
    """What a default is while no other variable is set, or only these."""
    if not isinstance(value, str) or "{{" not in value:
        return value
    environment = NativeEnvironment()
    environment.filters["orchestrator.platform.chart_fullname"] = chart_fullname
    return environment.from_string(value).render(**variables)


@pytest.mark.parametrize("role", ROLES, ids=lambda role: role.name)
def test_each_default_is_in_the_spec_with_its_value(role):
    """A default that no entry point's spec names, or that one names with another value, misleads the reader."""
    defaults = {name: evaluated(value) for name, value in load(role, "defaults").items()}
    entries = load(role, "meta")["argument_specs"].values()
    options = [(name, option) for entry in entries for name, option in entry["options"].items() if "default" in option]
    assert {name for name, _option in options} == set(defaults)
    assert [name for name, option in options if option["default"] != defaults[name]] == []


@pytest.mark.parametrize("role", ROLES, ids=lambda role: role.name)
def test_secret_options_are_marked(role):
    """What holds a secret is marked no_log in every entry point (D6)."""
    for entry in load(role, "meta")["argument_specs"].values():
        marked = {name for name, option in entry["options"].items() if option.get("no_log")}
        assert marked == SECRET_OPTIONS & set(entry["options"])


@pytest.mark.parametrize(
    ("variables", "name"),
    [
        ({"discord_monitor_release": "dm"}, "dm-discord-monitor-snippet"),
        ({"discord_monitor_values": {"fullnameOverride": "eyes"}}, "eyes-snippet"),
    ],
)
def test_release_alone_leads_the_roles_to_its_snippet(variables, name):
    """One variable renames the release everywhere: what the chart publishes is what role sidecar reads."""
    sidecar = next(role for role in ROLES if role.name == "sidecar")
    assert evaluated(load(sidecar, "defaults")["sidecar_snippet_name"], **variables) == name


def test_verify_follows_whether_a_bot_is_required():
    verify = next(role for role in ROLES if role.name == "verify")
    assert evaluated(load(verify, "defaults")["verify_bot_expected"], secrets_bot_required=False) is False


@pytest.mark.parametrize(
    ("bot", "variable", "value"),
    [
        ({"secret": {"key": "token"}}, "verify_bot_secret_key", "token"),
        ({"secret": {"existingName": "mine"}}, "verify_bot_secret_name", "mine"),
        ({"secret": {"create": True, "existingName": ""}}, "verify_bot_secret_name", "discord-monitor-bot"),
        ({"api": {"existingSecret": "bot-api", "key": "c"}}, "verify_bot_api_secret_name", "bot-api"),
        ({"api": {"existingSecret": "bot-api", "key": "c"}}, "verify_bot_api_secret_key", "c"),
        (None, "verify_bot_api_secret_key", "BOT_API_TOKEN"),
    ],
)
def test_verify_follows_the_values_that_name_the_bots_secrets(bot, variable, value):
    """Issue 5.2: a Secret under another name or key is the bot's all the same."""
    verify = next(role for role in ROLES if role.name == "verify")
    given = {"discord_monitor_values": {"bot": bot}, "verify_release": "discord-monitor"}
    assert evaluated(load(verify, "defaults")[variable], **given) == value


def test_what_a_target_leaves_out_has_a_variable_of_the_role():
    """sidecar_targets: each key has its twin, of the same type, and the role puts it in."""
    sidecar = next(role for role in ROLES if role.name == "sidecar")
    options = load(sidecar, "meta")["argument_specs"]["main"]["options"]
    keys = options["sidecar_targets"]["options"]
    base = yaml.safe_load((sidecar / "vars" / "main.yml").read_text("utf-8"))["__sidecar_base"]
    assert base == {key: f"{{{{ sidecar_{key} }}}}" for key in keys}
    for key, spec in keys.items():
        assert {part: options[f"sidecar_{key}"].get(part) for part in ("type", "elements", "choices")} == {
            part: spec.get(part) for part in ("type", "elements", "choices")
        }
        assert "default" not in spec, f"a default of {key} would hide the role's own variable"


@pytest.mark.parametrize("entry", ["remove", "explain"])
def test_other_entry_points_take_the_same_variables(entry):
    """They are found by tasks_from under their name and mean the same by it."""
    sidecar = next(role for role in ROLES if role.name == "sidecar")
    specs = load(sidecar, "meta")["argument_specs"]
    assert (sidecar / "tasks" / f"{entry}.yml").is_file()
    assert specs[entry]["options"].items() <= specs["main"]["options"].items()


def test_removal_knows_every_secret_that_the_role_writes():
    """Role secrets finds what it wrote by component: one that the removal does not name would stay (issue 3.7)."""
    role = Path(__file__).parents[2] / "roles" / "secrets"
    written = set(re.findall(r"component': '([\w-]+)'", (role / "vars" / "main.yml").read_text("utf-8")))
    (removed,) = re.findall(r"component in \(([\w,-]+)\)", (role / "tasks" / "absent.yml").read_text("utf-8"))
    assert written == set(removed.split(","))
    assert "webhook" in written

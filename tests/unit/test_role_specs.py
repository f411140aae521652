# SPDX-License-Identifier: GPL-3.0-or-later
# SPDX-FileCopyrightText: 2026 The orchestrator.platform authors
"""The argument specs of the roles are the manual: they must name each default, with its value."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
import yaml
from ansible.module_utils.parsing.convert_bool import boolean
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
    environment.filters["bool"] = boolean
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


# -- a channel for each run (issue 8.3) -------------------------------------------------------------------------------


def internals(name: str):
    return yaml.safe_load((Path(__file__).parents[2] / "roles" / name / "vars" / "main.yml").read_text("utf-8"))


def evaluate_in_order(role: str, names: list[str], given: dict):
    """Internals of a role that build on each other, with these variables."""
    known = dict(given)
    for name in names:
        known[name] = evaluated(internals(role)[name], **known)
    return known[names[-1]]


@pytest.mark.parametrize(
    ("given", "url"),
    [
        ({}, "http://discord-monitor.discord-monitor.svc:8080"),
        ({"platform_monitor_namespace": "eyes"}, "http://discord-monitor.eyes.svc:8080"),
        ({"discord_monitor_release": "dm"}, "http://dm-discord-monitor.discord-monitor.svc:8080"),
        (
            {"discord_monitor_values": {"bot": {"service": {"port": 80}}}},
            "http://discord-monitor.discord-monitor.svc:80",
        ),
        ({"discord_monitor_values": {"bot": None}}, "http://discord-monitor.discord-monitor.svc:8080"),
    ],
)
def test_the_controller_asks_the_bot_that_is_installed(given, url):
    """Issue 8.3: release, namespace and port of the bot's Service are those of role discord_monitor and its chart."""
    orchestrator = next(role for role in ROLES if role.name == "orchestrator")
    assert evaluated(load(orchestrator, "defaults")["orchestrator_run_channels_bot_url"], **given) == url


def test_the_bots_address_is_that_of_its_chart():
    """Issue 8.3: the port that the role takes for the default is the chart's."""
    chart = Path(__file__).parents[2] / "charts" / "discord-monitor" / "values.yaml"
    assert yaml.safe_load(chart.read_text("utf-8"))["bot"]["service"]["port"] == 8080


@pytest.mark.parametrize("role", ["orchestrator", "preflight"])
def test_one_switch_for_channels_of_runs(role):
    """Issue 8.3: what role secrets makes a credential for, the other roles switch on."""
    place = next(found for found in ROLES if found.name == role)
    name = "orchestrator_run_channels" if role == "orchestrator" else "preflight_orchestrator_run_channels"
    assert evaluated(load(place, "defaults")[name], secrets_run_channels=True) is True
    assert evaluated(load(place, "defaults")[name]) is False


LONG = "t" * 32


@pytest.mark.parametrize(
    ("on", "orchestrator", "token", "words"),
    [
        (True, True, LONG, []),
        (False, False, "", []),
        (True, True, "", ["at least 32 characters"]),
        (True, True, LONG[1:], ["at least 32 characters"]),
        (True, False, LONG, ["needs the orchestrator"]),
        (True, False, "", ["needs the orchestrator", "at least 32 characters"]),
    ],
)
def test_what_the_credential_for_channels_of_runs_needs(on, orchestrator, token, words):
    """Issue 8.3: a sentence each, with the variable, and never the token."""
    given = {"secrets_run_channels": on, "secrets_orchestrator": orchestrator, "secrets_bot_api_token": token}
    told = evaluated(internals("secrets")["__secrets_run_channels_problems"], **given)
    assert len(told) == len(words)
    for sentence, part in zip(told, words, strict=True):
        assert sentence.startswith("secrets_run_channels needs ")
        assert part in sentence
        assert LONG[1:] not in sentence


@pytest.mark.parametrize(
    ("on", "sidecar", "bot", "our_bot", "words"),
    [
        (False, {}, {}, True, []),
        (True, {"snippetConfigMap": "s"}, {"runs": {"guildId": "1"}}, True, []),
        (True, {"snippetConfigMap": "s"}, {}, False, []),
        (True, {}, {"runs": {"guildId": "1"}}, True, ["platform_agent_namespaces"]),
        (True, {"snippetConfigMap": "s"}, {"runs": None}, True, ["set bot.runs.guildId"]),
        (True, {"snippetConfigMap": "s"}, {"enabled": False, "runs": {"guildId": "1"}}, True, ["bot.enabled"]),
        (True, {}, {}, True, ["platform_agent_namespaces", "set bot.runs.guildId"]),
    ],
)
def test_preflight_says_what_channels_of_runs_need(on, sidecar, bot, our_bot, words):
    """Issue 8.3: a watcher that writes to them, and a bot that makes them, unless they are off."""
    given = {
        "__preflight_run_channels": {"enabled": on},
        "__preflight_sidecar_values": sidecar,
        "__preflight_run_channels_of_our_bot": our_bot,
        "__preflight_bot": bot,
    }
    told = evaluated(internals("preflight")["__preflight_run_channels_problems"], **given)
    assert len(told) == len(words)
    for sentence, part in zip(told, words, strict=True):
        assert sentence.startswith("orchestrator_run_channels ")
        assert part in sentence


@pytest.mark.parametrize(
    ("given", "on"),
    [
        ({}, False),
        ({"secrets_run_channels": True}, True),
        ({"secrets_run_channels": True, "orchestrator_run_channels": False}, False),
        ({"orchestrator_run_channels": "yes"}, True),
        ({"orchestrator_values": {"sidecar": {"runChannels": {"enabled": True}}}}, True),
        (
            {"orchestrator_values": {"sidecar": {"runChannels": {"enabled": False}}}, "secrets_run_channels": True},
            False,
        ),
        ({"orchestrator_values": {"sidecar": None}}, False),
    ],
)
def test_verify_knows_whether_runs_have_channels(given, on):
    """Issue 8.3, 5.2: their Secrets are among ours where the chart makes them; the chart's values win, as in the role."""
    assert evaluate_in_order("verify", ["__verify_run_channels_values", "__verify_run_channels_on"], given) is on


def test_verify_describes_the_secrets_of_channels_of_runs():
    """Issue 8.3, 5.2: the controller's credential under the name that the roles give it, and one Secret a run."""
    known = {"__verify_run_channels_values": {}, "verify_orchestrator_namespace": "orchestrator"}
    credential, runs = internals("verify")["__verify_run_channels"]
    assert evaluated(credential["name"], **known) == "orchestrator-run-channels"
    assert evaluated(credential["keys"][0], **known) == "BOT_RUNS_CREDENTIAL"
    assert evaluated(runs["namespace"], **known) == "orchestrator"
    values = {"orchestrator_values": {"config": {"kubernetesNamespace": "agents"}}}
    assert evaluated(runs["namespace"], **known, **values) == "agents"
    named = {"existingSecret": "mine", "existingSecretKey": "text"}
    assert evaluated(credential["name"], **{**known, "__verify_run_channels_values": named}) == "mine"
    assert (runs["name"], [reader["container"] for reader in runs["readers"]]) == (
        "discord-run-*",
        ["discord-watcher", "input-bridge"],
    )

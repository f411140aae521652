# SPDX-License-Identifier: GPL-3.0-or-later
# SPDX-FileCopyrightText: 2026 The orchestrator.platform authors
"""Overrides: what a workload may say about its sidecar, and what it never may (DM-102, DM-118, DM-121, DM-148)."""

from __future__ import annotations

import copy
import json
import re
from pathlib import Path

import pytest
from ansible_collections.orchestrator.platform.plugins.module_utils._errors import OverrideError
from ansible_collections.orchestrator.platform.plugins.module_utils._overrides import (
    ANNOTATIONS,
    LOG_LEVELS,
    NONE,
    Overrides,
    apply_to_bridge,
    apply_to_watcher,
    overrides_of,
    parse_overrides,
)
from hypothesis import given
from hypothesis import strategies as st

from .strategies import overrides as generated

ROOT = Path(__file__).resolve().parents[2]


def deployment(template: dict | None = None, own: dict | None = None) -> dict:
    return {
        "metadata": {"name": "w", "annotations": own or {}},
        "spec": {"template": {"metadata": {"annotations": template or {}}, "spec": {}}},
    }


def env(container: dict) -> dict:
    return {item["name"]: item.get("value", item.get("valueFrom")) for item in container["env"]}


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("image", "discord-monitor"),
        ("image", "registry.example.org:5000/team/discord-monitor:1.2@sha256:" + "a" * 64),
        ("log_level", "debug"),
        ("webhook_secret_name", "team.one-secret"),
        ("webhook_secret_key", "URL_1.x"),
        ("input_secret_name", "team.one-input"),
        ("input_secret_key", "INPUT_1.x"),
        ("thread_id", "1100000000000000000"),
        ("cpu_request", "10m"),
        ("cpu_limit", "1"),
        ("memory_request", "32Mi"),
        ("memory_limit", "1e8"),
        ("transcript_volume", "home"),
        ("fifo_volume", "input"),
    ],
)
def test_good_text_is_kept(field, value):
    assert getattr(parse_overrides({field: value}), field) == value


@pytest.mark.parametrize(
    ("field", "value", "word"),
    [
        ("image", "", "an image reference"),
        ("image", "Upper/Case", "an image reference"),
        ("image", "x:1\n", "an image reference"),
        ("image", "x:1 --privileged", "an image reference"),
        ("log_level", "loud", "debug, info, warning, error"),
        ("filters", "{", "is not JSON"),
        ("filters", "[]", "includeTools"),
        ("filters", '{"includeTool": []}', "there are: includeTools"),
        ("filters", '{"includeTools": "Bash"}', "a list of texts"),
        ("filters", '{"minStdoutLength": -1}', "a whole number"),
        ("filters", '{"minStdoutLength": true}', "a whole number"),
        ("webhook_secret_name", "Upper", "the name of a Secret"),
        ("webhook_secret_key", "a/b", "a key of a Secret"),
        ("input_secret_name", "-a", "the name of a Secret"),
        ("input_secret_key", "a b", "a key of a Secret"),
        ("parity_mode", "yes", "true or false"),
        ("thread_id", "12a", "digits alone"),
        ("thread_id", True, "digits alone"),
        ("cpu_request", "fast", "a quantity"),
        ("cpu_request", "-1", "a quantity above 0"),
        ("memory_limit", "64m", "1Mi or more"),
        ("memory_limit", ["64Mi"], "1Mi or more"),
        ("transcript_volume", "a_b", "a volume of the pod"),
        ("run_as_user", 0, "There is no override run_as_user"),
    ],
)
def test_bad_value_is_refused_in_one_sentence(field, value, word):
    with pytest.raises(OverrideError, match=re.escape(word)) as caught:
        parse_overrides({field: value})
    assert "\n" not in str(caught.value)
    assert str(caught.value).endswith(".")


def test_request_above_limit_is_refused():
    with pytest.raises(OverrideError, match="lower memory_request or raise memory_limit"):
        parse_overrides({"memory_request": "1Gi", "memory_limit": "64Mi"})


def test_request_above_the_published_limit_is_refused(snippet):
    with pytest.raises(OverrideError, match="memory request 1Gi is above"):
        apply_to_watcher(snippet.watcher, parse_overrides({"memory_request": "1Gi"}))


def test_none_counts_as_not_given():
    assert parse_overrides(dict.fromkeys(Overrides._fields)) == NONE


def test_template_wins_over_workload_and_both_over_the_argument():
    base = parse_overrides({"log_level": "error", "thread_id": "1", "image": "base:1"})
    obj = deployment(
        {"orchestrator.platform/log-level": "debug"},
        {"orchestrator.platform/log-level": "warning", "orchestrator.platform/image": "own:1"},
    )
    found = overrides_of(obj, "Deployment", base)
    assert (found.log_level, found.image, found.thread_id) == ("debug", "own:1", "1")


def test_bad_annotation_names_itself():
    with pytest.raises(OverrideError, match=r"Annotation orchestrator\.platform/parity-mode is 'maybe'") as caught:
        overrides_of(deployment({"orchestrator.platform/parity-mode": "maybe"}), "Deployment")
    assert "true or false" in str(caught.value)


@pytest.mark.parametrize(
    "name",
    ["security-context", "run-as-user", "runAsNonRoot", "privileged", "add-capabilities", "seccomp-profile", "fs_group",
     "host-network", "readOnlyRootFilesystem", "allow-privilege-escalation", "app-armor", "service-account-name"],
)  # fmt: skip
def test_security_settings_are_refused(name):
    """Whoever may annotate a workload must not weaken its pod."""
    with pytest.raises(OverrideError, match=r"security setting.*remove the annotation"):
        overrides_of(deployment(own={f"orchestrator.platform/{name}": "x"}), "Deployment")


@pytest.mark.parametrize("name", ["orchestrator.platform/inject", "orchestrator.platform/snippet-hash", "orchestrator.platform/container", "orchestrator.platform/note", "example.org/privileged"])  # fmt: skip
def test_other_annotations_are_nobodys_business(name):
    assert overrides_of(deployment({name: "x"}, {name: "x"}), "Deployment") is NONE


def test_every_field_has_an_annotation_without_underscores():
    assert len(ANNOTATIONS) == len(Overrides._fields)
    assert not [name for name in ANNOTATIONS if "_" in name]


def test_container_is_overridden_where_it_says_so_and_nowhere_else(snippet):
    before = copy.deepcopy(snippet.watcher)
    after = apply_to_watcher(
        snippet.watcher,
        parse_overrides(
            {
                "image": "other:2", "log_level": "debug", "filters": {"includeTools": ["$(A)"]}, "parity_mode": True,
                "thread_id": 7, "cpu_limit": "200m", "webhook_secret_name": "team", "webhook_secret_key": "URL",
            }
        ),
    )  # fmt: skip
    assert snippet.watcher == before
    assert after["image"] == "other:2"
    assert after["resources"]["limits"] == {"cpu": "200m", "memory": "64Mi"}
    seen = env(after)
    assert seen["DISCORD_WEBHOOK_URL"] == {"secretKeyRef": {"name": "team", "key": "URL", "optional": True}}
    assert (seen["LOG_LEVEL"], seen["PARITY_MODE"], seen["DISCORD_THREAD_ID"]) == ("debug", "true", "7")
    assert seen["FILTERS"] == '{"includeTools":["$$(A)"]}'
    same = ("name", "args", "ports", "livenessProbe", "securityContext", "volumeMounts")
    assert {key: after[key] for key in same} == {key: before[key] for key in same}


def test_key_without_any_secret_is_refused(snippet):
    watcher = {**snippet.watcher, "env": [{"name": "DISCORD_WEBHOOK_URL", "value": "x"}]}
    with pytest.raises(OverrideError, match="give webhook_secret_name too"):
        apply_to_watcher(watcher, parse_overrides({"webhook_secret_key": "URL"}))


@pytest.mark.parametrize(
    ("given", "name", "key"),
    [
        ({"input_secret_name": "team"}, "team", "BOT_INPUT_CREDENTIAL"),
        ({"input_secret_key": "K"}, "discord-input", "K"),
        ({"input_secret_name": "team", "input_secret_key": "K"}, "team", "K"),
        ({"webhook_secret_name": "team", "webhook_secret_key": "K"}, "discord-input", "BOT_INPUT_CREDENTIAL"),
    ],
)
def test_bridge_reads_its_credential_from_the_secret_that_it_is_told(given, name, key, snippet):
    """Issue 7.5: a run or a workload of its own channel, and nothing else of the bridge is touched by any override."""
    before = copy.deepcopy(snippet.bridge)
    after = apply_to_bridge(snippet.bridge, parse_overrides({"image": "other:2", "log_level": "debug", **given}))
    assert snippet.bridge == before
    assert env(after)["BOT_INPUT_CREDENTIAL"] == {"secretKeyRef": {"name": name, "key": key, "optional": True}}
    after["env"] = before["env"]
    assert after == before


@pytest.mark.parametrize("field", ["input_secret_name", "input_secret_key"])
def test_bridge_that_pulls_nothing_is_not_told_from_where(field, snippet):
    """Nobody is to believe that an agent can be spoken to when it cannot."""
    deaf = {**snippet.bridge, "env": [{"name": "PORT", "value": "8090"}]}
    with pytest.raises(OverrideError, match=r"set inputBridge\.pull\.enabled in the chart's values, or take"):
        apply_to_bridge(deaf, parse_overrides({field: "team"}))
    assert apply_to_bridge(deaf, parse_overrides({"webhook_secret_name": "team"})) == deaf


@pytest.mark.parametrize(("part", "apply"), [("watcher", apply_to_watcher), ("bridge", apply_to_bridge)])
@given(given_overrides=generated)
def test_security_context_and_mounts_never_change(part, apply, given_overrides):
    container = json.loads((Path(__file__).parent / "fixtures" / "snippet.json").read_text())[part]
    after = apply(container, given_overrides)
    for field in ("securityContext", "volumeMounts"):
        assert after[field] == container[field]
    assert apply(after, given_overrides) == after


@given(given_overrides=generated)
def test_neither_sidecar_gets_at_the_others_secret(given_overrides):
    """What is meant for the bridge leaves no trace in the watcher, and the other way round (DM-166)."""
    document = json.loads((Path(__file__).parent / "fixtures" / "snippet.json").read_text())
    of_bridge = dict.fromkeys(("input_secret_name", "input_secret_key"))
    of_watcher = dict.fromkeys(field for field in Overrides._fields if field not in of_bridge)
    watcher, bridge = document["watcher"], document["bridge"]
    assert apply_to_watcher(watcher, given_overrides) == apply_to_watcher(
        watcher, given_overrides._replace(**of_bridge)
    )
    assert apply_to_bridge(bridge, given_overrides) == apply_to_bridge(bridge, given_overrides._replace(**of_watcher))


def refusal(given: dict) -> str:
    try:
        parse_overrides(given)
    except OverrideError as exc:
        return str(exc)
    return ""


@given(text=st.text())
def test_any_text_is_taken_or_refused_in_a_sentence(text):
    for field in Overrides._fields:
        said = refusal({field: text})
        assert len(said) < 300
        assert "\n" not in said


def test_the_watcher_reads_the_same_filters_and_levels():
    source = (ROOT / "runtime" / "src" / "discord_monitor" / "settings.py").read_text()
    body = source.partition("def filters(self)")[2].partition("def _texts")[0]
    assert set(re.findall(r'given, "(\w+)"', body)) == {"includeTools", "includePatterns", "minStdoutLength"}
    for key in ("includeTools", "includePatterns"):
        parse_overrides({"filters": {key: []}})
    assert all(f'"{level}"' in source for level in LOG_LEVELS)

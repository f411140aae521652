# SPDX-License-Identifier: GPL-3.0-or-later
# SPDX-FileCopyrightText: 2026 The orchestrator.platform authors
"""One list of Secrets and their readers, from which checks and matrix follow (issue 5.2, DM-166, DM-188, OR-276)."""

from __future__ import annotations

import copy
import json

import pytest
from ansible.module_utils.common.arg_spec import ArgumentSpecValidator
from ansible_collections.orchestrator.platform.plugins.module_utils._catalogue import CHECKS
from ansible_collections.orchestrator.platform.plugins.module_utils._errors import PlatformError
from ansible_collections.orchestrator.platform.plugins.module_utils._expectation import Target
from ansible_collections.orchestrator.platform.plugins.module_utils._findings import run_checks
from ansible_collections.orchestrator.platform.plugins.module_utils._matrix import matrix
from ansible_collections.orchestrator.platform.plugins.module_utils._overrides import parse_overrides
from ansible_collections.orchestrator.platform.plugins.module_utils._snapshot import View
from ansible_collections.orchestrator.platform.plugins.module_utils._values import our_values
from ansible_collections.orchestrator.platform.plugins.modules import verification

from .conftest import TOKEN, WEBHOOK, answer_reviews, b64
from .test_checks import (
    CREDENTIAL,
    complaints,
    foreign_pod,
    foreign_secret,
    grant,
    obj,
    own_input,
    own_webhook,
    pod,
    secret_env,
    set_item,
    workload,
)

ORCHESTRATOR = [
    {
        "namespace": "orchestrator",
        "name": "orchestrator-secrets",
        "description": "Anthropic key",
        "keys": ["ANTHROPIC_API_KEY"],
        "readers": [
            {"container": "orchestrator", "labels": {"app.kubernetes.io/name": "orchestrator"}, "required": True},
            {"container": "claude-*", "labels": {"component": "run"}},
        ],
        "accounts": ["orchestrator/orchestrator"],
    },
    {
        "namespace": "orchestrator",
        "name": "github-ssh-*",
        "description": "SSH key of an agent",
        "readers": [{"container": "claude-*", "path": "volume", "labels": {"component": "run"}}],
    },
]
KEY, SSH = "canary-anthropic-key-of-the-tests", "canary-ssh-key-of-the-tests"


def options(**given) -> dict:
    checked = ArgumentSpecValidator(verification.ARGUMENT_SPEC).validate(
        {"monitor_namespace": "monitor", "agent_namespaces": ["agents"], **given}
    )
    assert not checked.error_messages
    return checked.validated_parameters


@pytest.fixture
def wider():
    """The expectation with the orchestrator's Secrets."""
    return verification.expectation(options(secrets=ORCHESTRATOR))


def deployment(name: str, labels: dict, container: dict, **spec) -> dict:
    template = {
        "metadata": {"labels": labels},
        "spec": {"automountServiceAccountToken": False, "containers": [container], **spec},
    }
    metadata = {"name": name, "namespace": "orchestrator", "labels": labels}
    return {"metadata": metadata, "spec": {"selector": {"matchLabels": labels}, "template": template}}


def reference(name: str, key: str) -> list:
    return [{"name": key, "valueFrom": {"secretKeyRef": {"name": name, "key": key}}}]


@pytest.fixture
def orchestrated(snapshot, wider):
    """The healthy picture with a controller and one run of it."""
    controller = deployment(
        "orchestrator",
        {"app.kubernetes.io/name": "orchestrator"},
        {"name": "orchestrator", "env": reference("orchestrator-secrets", "ANTHROPIC_API_KEY")},
    )
    run = deployment(
        "run",
        {"component": "run"},
        {
            "name": "claude-code",
            "env": reference("orchestrator-secrets", "ANTHROPIC_API_KEY"),
            "volumeMounts": [{"name": "ssh", "mountPath": "/ssh", "readOnly": True}],
        },
        volumes=[{"name": "ssh", "secret": {"secretName": "github-ssh-jane"}}],
    )
    job = {"metadata": run["metadata"], "spec": {"template": run["spec"]["template"]}}
    snapshot.namespaces["orchestrator"] = {"metadata": {"name": "orchestrator"}}
    snapshot.objects |= {
        ("deployments", "orchestrator"): [controller],
        ("jobs", "orchestrator"): [job],
        ("serviceaccounts", "orchestrator"): [{"metadata": {"name": "orchestrator"}}],
        ("secrets", "orchestrator"): [
            {"metadata": {"name": "orchestrator-secrets"}, "data": {"ANTHROPIC_API_KEY": b64(KEY)}},
            {
                "metadata": {"name": "github-ssh-jane"},
                "type": "kubernetes.io/ssh-auth",
                "data": {"ssh-privatekey": b64(SSH)},
            },
        ],
    }
    answer_reviews(snapshot, wider)
    return snapshot


def of_job(snapshot) -> dict:
    return obj(snapshot, "jobs", "orchestrator")["spec"]["template"]["spec"]


def test_described_secrets_and_their_readers_pass(orchestrated, wider):
    findings, complete = run_checks(CHECKS, View(orchestrated, wider))
    assert [item for item in findings if item["verdict"] in ("fail", "warn")] == []
    assert complete


BROKEN = {
    "another container": ("secret-scope/env-ref", lambda s: of_job(s)["containers"].append({"name": "tool", "env": secret_env("orchestrator-secrets")})),
    "another way": ("secret-scope/env-from", lambda s: set_item(of_job(s)["containers"][0], "envFrom", [{"secretRef": {"name": "orchestrator-secrets"}}])),
    "of a pattern, by env": ("secret-scope/env-ref", lambda s: of_job(s)["containers"][0]["env"].extend(secret_env("github-ssh-jane"))),
    "of a pattern, by whoever has not the labels": ("secret-scope/volume", lambda s: obj(s, "deployments", "orchestrator")["spec"]["template"]["spec"].update(volumes=[{"name": "v", "secret": {"secretName": "github-ssh-jane"}}])),
    "the controller lost its key": ("secret-scope/expected-paths", lambda s: set_item(obj(s, "deployments", "orchestrator")["spec"]["template"]["spec"]["containers"][0], "env", [])),
    "a copy of the key beside agents": ("secret-scope/value-copies", lambda s: foreign_secret(s, "x", f"key: {KEY}")),
    "a copy of a key of a pattern": ("secret-scope/value-copies", lambda s: foreign_secret(s, "x", SSH, "monitor")),
    "the key in a ConfigMap": ("secret-scope/configmap-values", lambda s: obj(s, "configmaps", "agents")["data"].update(x=KEY)),
    "an agent's account that reads it": ("rbac/read-secrets", lambda s: reading(s, "default", "agents")),
    "an account that reads one of a pattern": ("rbac/read-secrets", lambda s: reading(s, "default", "agents", "github-ssh-jane")),
}  # fmt: skip


def reading(snapshot, name: str, namespace: str, *names: str) -> None:
    to = {"kind": "ServiceAccount", "name": name, "namespace": namespace}
    grant(snapshot, "get", "secrets", namespace="orchestrator", to=to, names=names)


@pytest.mark.parametrize(("check_id", "broken"), BROKEN.values(), ids=BROKEN)
def test_whatever_is_not_described_is_found_by_exactly_one_check(check_id, broken, orchestrated, wider):
    broken(orchestrated)
    assert {item["id"] for item in complaints(orchestrated, wider)} == {check_id}


def test_agent_that_holds_its_own_secret_may_write_what_its_sidecars_read(snapshot):
    """Every watched run holds a key and writes the transcript; another container beside it is a finding."""
    mine = {"namespace": "agents", "name": "key", "readers": [{"container": "agent"}]}
    expect = verification.expectation(options(secrets=[mine]))
    foreign_secret(snapshot, "k", "canary-key-of-an-agent", name="key")
    spec = workload(snapshot)
    spec["containers"][0]["env"] = reference("key", "k")
    assert complaints(snapshot, expect) == []
    name = spec["containers"][0]["volumeMounts"][0]["name"]
    spec["containers"].append({"name": "tool", "volumeMounts": [{"name": name, "mountPath": "/t"}]})
    (found,) = complaints(snapshot, expect)
    assert (found["id"], found["subject"]["container"]) == ("secret-scope/shared-volume", "tool")


def test_bridge_that_holds_its_credential_may_write_what_its_agent_reads(snapshot):
    """Issue 7.5: the FIFO is there for that; an agent that reads the credential itself, or a second holder, is a finding."""
    credential = {"namespace": "agents", "name": "discord-input", "readers": [{"container": "input-bridge"}]}
    expect = verification.expectation(options(secrets=[credential]))
    foreign_secret(snapshot, "c", "canary-credential-of-an-input", name="discord-input")
    everyone = [item for part in ("initContainers", "containers") for item in workload(snapshot).get(part, [])]
    bridge = next(item for item in everyone if item["name"] == "input-bridge")
    bridge["env"] = [*bridge.get("env", []), *reference("discord-input", "c")]
    assert complaints(snapshot, expect) == []
    workload(snapshot)["containers"][0]["env"] = reference("discord-input", "c")
    assert {item["id"] for item in complaints(snapshot, expect)} == {"secret-scope/env-ref"}


def test_described_account_reads_that_secret_and_no_other(orchestrated, wider):
    reading(orchestrated, "orchestrator", "orchestrator", "orchestrator-secrets")
    assert complaints(orchestrated, wider) == []
    orchestrated.objects[("roles", "orchestrator")] = orchestrated.objects[("rolebindings", "orchestrator")] = []
    reading(orchestrated, "orchestrator", "orchestrator")
    (found,) = complaints(orchestrated, wider)
    assert found["id"] == "rbac/read-secrets"
    assert "github-ssh-jane" in found["evidence"]
    assert "orchestrator-secrets" not in found["evidence"]


def test_matrix_follows_from_the_same_list(orchestrated, wider):
    rows = [row for row in matrix(View(orchestrated, wider)) if row["secret"].startswith("orchestrator/")]
    assert {
        (row["subject"]["container"], row["secret"], row["path"], row["expected"], row["found"]) for row in rows
    } == {
        ("orchestrator", "orchestrator/orchestrator-secrets", "env", True, True),
        ("claude-code", "orchestrator/orchestrator-secrets", "env", True, True),
        ("claude-code", "orchestrator/github-ssh-jane", "volume", True, True),
    }
    assert KEY not in json.dumps(rows)


@pytest.mark.parametrize(
    ("missing", "reason"),
    [
        (
            lambda s: s.objects[("secrets", "orchestrator")].pop(0),
            "there is no Secret orchestrator-secrets in orchestrator",
        ),
        (lambda s: obj(s, "secrets", "orchestrator").update(data={}), "has no value under ANTHROPIC_API_KEY"),
        (lambda s: s.unread.update({("secrets", "orchestrator"): "no permission to list secrets"}), "no permission"),
    ],
    ids=["not there", "without its key", "not readable"],
)
def test_secret_that_cannot_be_compared_is_no_pass(missing, reason, orchestrated, wider):
    missing(orchestrated)
    findings, complete = run_checks(CHECKS, View(orchestrated, wider))
    rows = [row for row in findings if row["id"] == "secret-scope/value-copies" and row["verdict"] == "skip"]
    assert any(reason in row["evidence"] for row in rows)
    assert not complete
    assert complaints(orchestrated, wider) == []


def test_secret_that_may_come_later_leaves_nothing_incomplete(orchestrated):
    later = [{**ORCHESTRATOR[0], "expected": False}]
    orchestrated.objects[("secrets", "orchestrator")] = []
    _findings, complete = run_checks(CHECKS, View(orchestrated, verification.expectation(options(secrets=later))))
    assert complete


def test_pattern_that_matches_nothing_yet_leaves_nothing_incomplete(orchestrated, wider):
    orchestrated.objects[("secrets", "orchestrator")].pop(1)
    of_job(orchestrated).update(volumes=[])
    of_job(orchestrated)["containers"][0]["volumeMounts"] = []
    findings, complete = run_checks(CHECKS, View(orchestrated, wider))
    assert [item for item in findings if item["verdict"] in ("fail", "warn")] == []
    assert complete


# -- the bot's own ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        (lambda s: s.objects[("secrets", "monitor")].clear(), "there is no Secret discord-monitor-bot in monitor"),
        (lambda s: obj(s, "secrets", "monitor").update(data={"token": b64(TOKEN)}), "has no value under BOT_TOKEN"),
    ],
)
def test_token_that_is_not_found_is_no_pass(change, reason, snapshot, expect):
    """A mistyped key let every copy of the token pass."""
    change(snapshot)
    foreign_secret(snapshot, "y", TOKEN)
    findings, complete = run_checks(CHECKS, View(snapshot, expect))
    rows = [item for item in findings if item["id"] == "secret-scope/bot-token-namespace"]
    assert [row["verdict"] for row in rows] == ["skip"]
    assert reason in rows[0]["evidence"]
    assert not complete


def test_key_of_the_token_is_an_option(snapshot):
    obj(snapshot, "secrets", "monitor").update(data={"token": b64(TOKEN)})
    foreign_secret(snapshot, "y", TOKEN)
    named = verification.expectation(options(bot_secret_key="token"))
    assert "secret-scope/bot-token-namespace" in {item["id"] for item in complaints(snapshot, named)}


def test_secret_of_the_bots_api_is_one_of_ours(snapshot, expect):
    """chart value bot.api.existingSecret: a Secret of its own, for the bot alone."""
    own = expect._replace(bot_api_secret="bot-api")
    bot = obj(snapshot, "deployments", "monitor")["spec"]["template"]["spec"]["containers"][0]
    pod = obj(snapshot, "pods", "monitor")["spec"]["containers"][0]
    for container in (bot, pod):
        container["env"] = [*container["env"], *reference("bot-api", "BOT_API_TOKEN")]
    foreign_secret(snapshot, "BOT_API_TOKEN", "api-credential-of-the-tests", "monitor", name="bot-api")
    assert complaints(snapshot, own) == []
    assert run_checks(CHECKS, View(snapshot, own))[1]
    workload(snapshot)["containers"][0]["env"] = secret_env("bot-api")
    assert {item["id"] for item in complaints(snapshot, own)} == {"secret-scope/env-ref"}
    assert {item["id"] for item in complaints(snapshot, expect)} == set(), "unknown to whoever does not name it"


def test_what_is_printed_of_the_values_holds_none(snapshot, expect):
    """D6: a traceback or a debugger prints whose they are."""
    text = repr(our_values(View(snapshot, expect)))
    assert "Known(monitor/discord-monitor-bot, bot token)" in text
    assert TOKEN not in text
    assert WEBHOOK not in text


# -- what a watcher is told to read ----------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["discord-monitor-bot", "orchestrator-secrets", "github-ssh-jane"])
def test_annotation_that_names_another_secret_of_ours_is_a_failure(name, orchestrated, wider):
    """The watcher's reference was taken for the expected one, whatever Secret it was (DM-166)."""
    described = [{**item, "namespace": "agents"} for item in ORCHESTRATOR]
    described[0]["readers"] = []
    own_webhook(orchestrated, name, there=False)
    expect = wider._replace(more_secrets=verification.expectation(options(secrets=described)).more_secrets)
    found = [item for item in complaints(orchestrated, expect) if item["verdict"] == "fail"]
    assert {item["id"] for item in found} == {"secret-scope/env-ref", "secret-scope/expected-paths"}
    assert all(name in item["evidence"] for item in found)
    rows = matrix(View(orchestrated, expect))
    reads = [row for row in rows if row["secret"] == f"agents/{name}" and row["path"] == "env"]
    assert reads
    assert not any(row["expected"] for row in reads)


def test_override_of_a_run_that_names_the_bots_secret_is_a_failure(snapshot, expect):
    target = Target(overrides=parse_overrides({"webhook_secret_name": "discord-monitor-bot"}))
    found = complaints(snapshot, expect._replace(targets=(target,)))
    assert "secret-scope/expected-paths" in {item["id"] for item in found if item["verdict"] == "fail"}


def test_watcher_in_the_monitors_namespace_does_not_get_the_token(snapshot, expect):
    """A pod beside the bot that calls its container like the watcher."""
    spec = {
        "automountServiceAccountToken": False,
        "containers": [{"name": "discord-watcher", "env": secret_env("discord-monitor-bot")}],
    }
    notes = {"orchestrator.platform/webhook-secret-name": "discord-monitor-bot"}
    other = {"metadata": {"name": "other", "namespace": "monitor", "annotations": notes}, "spec": spec, "status": {}}
    snapshot.objects[("pods", "monitor")].append(other)
    found = {item["id"] for item in complaints(snapshot, expect) if item["id"].startswith("secret-scope/")}
    assert found == {"secret-scope/env-ref", "secret-scope/expected-paths"}


def test_webhook_of_an_annotation_is_the_watchers(snapshot, expect):
    own_webhook(snapshot, "team")
    assert complaints(snapshot, expect) == []
    workload(snapshot)["containers"][0]["env"] = secret_env("team")
    assert {item["id"] for item in complaints(snapshot, expect)} == {"secret-scope/env-ref"}


RUNS = {
    "namespace": "agents",
    "name": "discord-run-*",
    "description": "webhook of a run",
    "keys": ["DISCORD_WEBHOOK_URL", "BOT_INPUT_CREDENTIAL"],
    "readers": [
        {"container": "discord-watcher", "labels": {"app": "orchestrator"}},
        {"container": "input-bridge", "labels": {"app": "orchestrator"}},
    ],
    "expected": False,
}


CHANNEL = "discord-run-code-7-1a2b3c4d"


@pytest.fixture
def run(snapshot):
    """Pod template of a run, beside the agent that is there: its sidecars read the Secret made for that run alone."""
    template = copy.deepcopy(obj(snapshot, "deployments", "agents")["spec"]["template"])
    template["metadata"] = {"labels": {"app": "orchestrator"}}
    for sidecar, name in enumerate(("DISCORD_WEBHOOK_URL", "BOT_INPUT_CREDENTIAL")):
        env = template["spec"]["initContainers"][sidecar]["env"]
        variable = next(item for item in env if item["name"] == name)
        variable["valueFrom"] = {"secretKeyRef": {"name": CHANNEL, "key": name, "optional": True}}
    job = {"metadata": {"name": "code-7", "namespace": "agents"}, "spec": {"template": template}}
    snapshot.objects[("jobs", "agents")] = [*snapshot.objects.get(("jobs", "agents"), []), job]
    foreign_secret(snapshot, "DISCORD_WEBHOOK_URL", "https://discord.com/api/webhooks/77/of-a-run", name=CHANNEL)
    return template


@pytest.fixture
def channels():
    """The expectation with the Secrets of runs."""
    return verification.expectation(options(secrets=[RUNS]))


@pytest.mark.parametrize("annotated", [True, False])
def test_webhook_of_a_run_takes_the_place_of_the_shared_one(snapshot, run, channels, annotated):
    """Issue 8.3: by the controller's annotations or without them; nothing is incomplete for want of a second key."""
    if annotated:
        names = {f"orchestrator.platform/{what}-secret-name": CHANNEL for what in ("webhook", "input")}
        run["metadata"]["annotations"] = names
    findings, complete = run_checks(CHECKS, View(snapshot, channels))
    assert [item for item in findings if item["verdict"] in ("fail", "warn")] == []
    assert complete
    rows = [row for row in matrix(View(snapshot, channels)) if row["subject"]["name"] == "code-7"]
    wanted = {(row["subject"]["container"], row["secret"]) for row in rows if row["expected"]}
    found = {(row["subject"]["container"], row["secret"]) for row in rows if row["found"]}
    # The agent's way to it is the FIFO, through which the bridge hands on what is said.
    assert wanted == found == {(name, f"agents/{CHANNEL}") for name in ("discord-watcher", "input-bridge", "agent")}


def test_webhook_of_a_run_is_for_its_sidecars(snapshot, run, channels):
    """Issue 8.3: the agent that reads it is a finding."""
    run["spec"]["containers"][0]["env"] = secret_env(CHANNEL)
    assert {item["id"] for item in complaints(snapshot, channels)} == {"secret-scope/env-ref"}


@pytest.mark.parametrize("annotated", [True, False])
def test_webhook_of_a_run_is_for_runs(snapshot, run, channels, annotated):
    """Issue 8.3: a watcher without the labels of a run has to read the shared one, and no other."""
    run["metadata"]["labels"] = {"app": "other"}
    run["metadata"]["annotations"] = {"orchestrator.platform/webhook-secret-name": CHANNEL} if annotated else {}
    found = {item["id"] for item in complaints(snapshot, channels)}
    assert found == {"secret-scope/env-ref", "secret-scope/expected-paths"}


def test_another_variable_is_no_webhook(snapshot, run, channels):
    """The shared webhook is required of a watcher still when it reads a run's Secret under another name only."""
    env = run["spec"]["initContainers"][0]["env"]
    next(item for item in env if item["name"] == "DISCORD_WEBHOOK_URL")["name"] = "OTHER"
    assert {item["id"] for item in complaints(snapshot, channels)} == {"secret-scope/expected-paths"}


def test_webhook_that_two_namespaces_share_is_no_copy(snapshot, expect):
    """One channel for all agents: role secrets writes the same URL everywhere."""
    own_webhook(snapshot, "team", there=False)
    foreign_secret(snapshot, "DISCORD_WEBHOOK_URL", WEBHOOK, name="team")
    assert complaints(snapshot, expect) == []


def failures(snapshot, expect) -> set[str]:
    return {item["id"] for item in complaints(snapshot, expect)}


def test_input_credential_of_the_chart_is_for_bridges_alone(snapshot, expect):
    """Issue 7.5: known from the published snippet, whether anybody describes it or not; the watcher has no way either."""
    foreign_secret(snapshot, "BOT_INPUT_CREDENTIAL", CREDENTIAL, name="discord-input")
    assert complaints(snapshot, expect) == []
    workload(snapshot)["initContainers"][0]["env"] += secret_env("discord-input")
    assert failures(snapshot, expect) == {"secret-scope/env-ref"}


def test_input_secret_of_an_annotation_is_the_bridges(snapshot, expect):
    """Issue 7.5, DM-166: no drift, and one of ours that no agent may read."""
    own_input(snapshot, "team")
    assert complaints(snapshot, expect) == []
    workload(snapshot)["containers"][0]["env"] = secret_env("team")
    assert failures(snapshot, expect) == {"secret-scope/env-ref"}


def test_input_secret_of_a_run_is_the_bridges(snapshot, expect):
    own_input(snapshot, "team")
    for resource in ("deployments", "pods"):
        del obj(snapshot, resource, "agents")["metadata"]["annotations"]["orchestrator.platform/input-secret-name"]
    target = Target(overrides=parse_overrides({"input_secret_name": "team"}))
    assert complaints(snapshot, expect._replace(targets=(target,))) == []
    assert "injection/drift" in failures(snapshot, expect)


def test_bridge_that_does_not_read_what_it_is_told_to(snapshot, expect):
    """By the picture of its processes it has the variable all the same, from elsewhere."""
    own_input(snapshot, "team")
    for spec in (workload(snapshot), pod(snapshot)):
        bridge = spec["initContainers"][1]
        bridge["env"] = [item for item in bridge["env"] if "valueFrom" not in item]
    found = {"injection/drift", "secret-scope/expected-paths", "secret-scope/runtime-env"}
    assert failures(snapshot, expect) == found


@pytest.mark.parametrize(
    ("name", "what"), [("discord-monitor-bot", "bot token"), ("discord-secrets", "webhook URL")]
)  # fmt: skip
def test_input_secret_that_is_another_one_of_ours_is_a_failure(name, what, snapshot, expect):
    """An annotation names any Secret: neither bot token nor webhook get into a bridge by it (DM-166)."""
    own_input(snapshot, name, there=False)
    found = {item["id"]: item["evidence"] for item in complaints(snapshot, expect) if item["verdict"] == "fail"}
    assert set(found) == {"secret-scope/env-ref", "secret-scope/expected-paths"}
    assert f"told to read Secret {name}, which is for the {what}" in found["secret-scope/expected-paths"]


def test_webhook_that_is_the_input_credential_is_a_failure(snapshot, expect):
    """The other way round: what opens the agent's input is not posted from."""
    own_webhook(snapshot, "discord-input", there=False)
    found = {item["id"] for item in complaints(snapshot, expect) if item["verdict"] == "fail"}
    assert found == {"secret-scope/env-ref", "secret-scope/expected-paths"}


def test_one_secret_for_webhook_and_input_is_no_failure(snapshot, expect):
    """Each reads its own key of it."""
    own_webhook(snapshot, "team")
    own_input(snapshot, "team", there=False)
    secret = obj(snapshot, "secrets", "agents", -1)
    secret["data"]["BOT_INPUT_CREDENTIAL"] = b64(CREDENTIAL)
    assert complaints(snapshot, expect) == []
    assert {item.what for item in our_values(View(snapshot, expect)).known if item.name == "team"} == {
        "webhook URL",
        "input credential",
    }


def test_described_input_secret_stays_the_bridges(snapshot, expect):
    """As role verify describes it: bridges are among its readers, so that to be told of it is no other purpose."""
    entry = {"namespace": "agents", "name": "team", "readers": [{"container": "input-bridge"}], "expected": False}
    own_input(snapshot, "team")
    described = expect._replace(more_secrets=verification.expectation(options(secrets=[entry])).more_secrets)
    assert complaints(snapshot, described) == []
    others = [{**entry, "readers": [{"container": "agent"}]}]
    described = expect._replace(more_secrets=verification.expectation(options(secrets=others)).more_secrets)
    assert "secret-scope/expected-paths" in failures(snapshot, described)


@pytest.mark.parametrize(
    "sharing",
    [{"shareProcessNamespace": True}, {"ephemeralContainers": [{"name": "d", "targetContainerName": "agent2"}]}],
)
def test_who_sees_the_processes_of_any_holder_is_found(snapshot, expect, sharing):
    """A row of the matrix that must not be has a finding, of Secrets too that are neither bot's nor watcher's."""
    entry = {"namespace": "agents", "name": "github-token", "readers": [{"container": "agent2"}]}
    described = expect._replace(more_secrets=verification.expectation(options(secrets=[entry])).more_secrets)
    foreign_secret(snapshot, "token", "canary-of-a-token-0815", name="github-token")
    holder = {"name": "agent2", "image": "x", "env": secret_env("github-token")}
    foreign_pod(snapshot, containers=[holder, {"name": "other", "image": "x"}], **sharing)
    found = complaints(snapshot, described)
    assert {item["id"] for item in found} == {"secret-scope/share-process-namespace"}
    reader = "d" if "ephemeralContainers" in sharing else "other"
    assert [item["subject"]["container"] for item in found] == [reader]
    rows = [row for row in matrix(View(snapshot, described)) if row["found"] and not row["expected"]]
    assert [row["subject"]["container"] for row in rows] == [reader]


def test_input_credential_elsewhere_is_found(snapshot, expect):
    own_input(snapshot, "team")
    foreign_secret(snapshot, "x", CREDENTIAL)
    (found,) = complaints(snapshot, expect)
    assert "telegram-bot" in str(found["subject"])
    assert CREDENTIAL not in json.dumps(found)


# -- options ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("entry", "sentence"),
    [
        ({"namespace": "a", "name": " "}, r"secrets\[0\].name is empty: name it"),
        ({"namespace": "A b", "name": "x"}, r"secrets\[\].namespace holds 'A b'"),
    ],
)
def test_entry_that_cannot_be_used_is_one_sentence(entry, sentence):
    with pytest.raises(PlatformError, match=sentence):
        verification.expectation(options(secrets=[entry]))


def test_namespaces_of_further_secrets_come_into_view(wider):
    assert wider.namespaces() == ("monitor", "agents", "orchestrator")


def test_targets_follow_each_other_as_runs_do():
    """What one leaves out is that of all; the namespaces of a present one come into view as agents'."""
    made = verification.expectation(
        options(
            target_kinds=["Deployment", "CronJob"],
            target_label_selectors=["a=b"],
            sidecar_overrides={"log_level": "debug"},
            targets=[
                {"label_selectors": ["c=d", "e"], "field_selectors": ["metadata.name=x"]},
                {"namespaces": ["more"], "kinds": ["DaemonSet"], "overrides": {"cpu_limit": "1"}},
                {"namespaces": ["gone"], "state": "absent"},
            ],
        )
    )
    debug = parse_overrides({"log_level": "debug"})
    assert made.targets == (
        Target(("Deployment", "CronJob"), labels="c=d,e", fields="metadata.name=x", overrides=debug),
        Target(("DaemonSet",), ("more",), labels="a=b", overrides=parse_overrides({"cpu_limit": "1"})),
        Target(("Deployment", "CronJob"), ("gone",), labels="a=b", overrides=debug, present=False),
    )
    assert made.agent_namespaces == ("agents", "more")

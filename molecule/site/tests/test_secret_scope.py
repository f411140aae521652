# SPDX-License-Identifier: GPL-3.0-or-later
# SPDX-FileCopyrightText: 2026 The orchestrator.platform authors
"""Who can read which Secret, and that their values are nowhere else (DM-121, 143…149, 166, 181, 188, DM-A29, D6, D7)."""

from __future__ import annotations

import base64
import gzip
import json

import pytest
from ansible_collections.orchestrator.platform.plugins.filter.input_credential import input_credential
from ansible_collections.orchestrator.platform.plugins.filter.run_credential import run_credential

from canaries import assert_absent
from real_cluster import ROOT, STATE, containers

testinfra_hosts = ["local://"]

BOT, WEBHOOK, INPUT, RUNS = "discord-monitor-bot", "discord-secrets", "discord-input", "orchestrator-run-channels"
# As in molecule/shared/platform.yml, where they stand in expressions.
INPUT_KEY, CHANNEL = "canary-input-key-of-the-tests-77d0c2b9", "9200000001"
BOT_API_TOKEN = "canary-bot-api-token-of-the-tests-c05e7b19"


def references(pod_spec, container) -> set[str]:
    """Names of all Secrets that a container reads: env, envFrom, secret volumes, projected volumes."""
    found = {
        e["valueFrom"]["secretKeyRef"]["name"]
        for e in container.get("env", [])
        if "secretKeyRef" in e.get("valueFrom", {})
    }
    found |= {e["secretRef"]["name"] for e in container.get("envFrom", []) if "secretRef" in e}
    mounted = {m["name"] for m in container.get("volumeMounts", [])}
    for volume in pod_spec.get("volumes", []):
        if volume["name"] in mounted:
            found |= {volume["secret"]["secretName"]} if "secret" in volume else set()
            found |= {s["secret"]["name"] for s in volume.get("projected", {}).get("sources", []) if "secret" in s}
    return found


def readers(cluster, secret: str) -> set[tuple[str, str]]:
    """(namespace, container name) of every container in the cluster that reads a Secret of that name."""
    return {
        (pod["metadata"]["namespace"], container["name"])
        for pod in cluster.objects("pods")
        for container in containers(pod["spec"])
        if secret in references(pod["spec"], container)
    }


@pytest.fixture(scope="module")
def values(inputs) -> dict[str, str]:
    """The canaries: what must be found in their Secrets and nowhere else."""
    return {
        "token": inputs["secrets_bot_token"],
        "url": inputs["secrets_webhook_url"],
        "input key": INPUT_KEY,
        "input credential": input_credential(CHANNEL, INPUT_KEY),
        "bot's API token": BOT_API_TOKEN,
        "run credential": run_credential("orchestrator", BOT_API_TOKEN),
    }


def test_only_the_bot_reads_the_token(cluster, monitor_namespace):
    """DM-143: one container, in the monitor's namespace (D7); no agent container in any of the three lists."""
    assert readers(cluster, BOT) == {(monitor_namespace, "bot")}


def test_only_watchers_read_the_webhook(cluster, agents_namespace):
    """DM-121, DM-144: of the agent's pods only the watcher refers to the webhook Secret."""
    assert readers(cluster, WEBHOOK) == {(agents_namespace, "discord-watcher")}


def test_only_bridges_read_the_credential_of_the_input(cluster, agents_namespace):
    """DM-A04: the key it is made with stays with the bot, in the token's Secret."""
    assert readers(cluster, INPUT) == {(agents_namespace, "input-bridge")}


def test_only_the_controller_reads_the_credential_of_the_runs(cluster):
    """Issue 8.3: it opens the channels of its own runs; the token it is made with stays with the bot."""
    assert readers(cluster, RUNS) == {("orchestrator", "orchestrator")}


def test_the_token_lives_in_one_namespace(cluster, monitor_namespace):
    """D7, DM-145: who may create pods beside an agent cannot reach the token."""
    where = {s["metadata"]["namespace"] for s in cluster.objects("secrets") if s["metadata"]["name"] == BOT}
    assert where == {monitor_namespace}


@pytest.mark.parametrize(
    ("secret", "keys"),
    [
        (BOT, ["BOT_API_TOKEN", "BOT_INPUT_KEY", "BOT_TOKEN"]),
        (RUNS, ["BOT_RUNS_CREDENTIAL"]),
        (WEBHOOK, ["DISCORD_WEBHOOK_URL"]),
        (INPUT, ["BOT_INPUT_CREDENTIAL"]),
    ],
)
def test_secrets_are_opaque_with_their_keys(cluster, secret, keys):
    """DM-097, DM-A11: type and keys; the data itself is not looked at."""
    (found,) = [s for s in cluster.objects("secrets") if s["metadata"]["name"] == secret]
    assert (found["type"], sorted(found["data"])) == ("Opaque", keys)


def test_secrets_hold_the_canaries(cluster, values):
    """Without this the search below could pass for want of anything to find."""
    found = {s["metadata"]["name"]: s["data"] for s in cluster.objects("secrets")}
    assert base64.b64decode(found[BOT]["BOT_TOKEN"]).decode() == values["token"], (
        "the token's Secret holds something else"
    )
    assert base64.b64decode(found[WEBHOOK]["DISCORD_WEBHOOK_URL"]).decode() == values["url"], (
        "the webhook's Secret holds something else"
    )
    assert base64.b64decode(found[BOT]["BOT_INPUT_KEY"]).decode() == values["input key"], "the bot has another key"
    assert base64.b64decode(found[INPUT]["BOT_INPUT_CREDENTIAL"]).decode() == values["input credential"], (
        "the credential's Secret holds something else"
    )
    assert base64.b64decode(found[BOT]["BOT_API_TOKEN"]).decode() == values["bot's API token"], "the bot has another"
    assert base64.b64decode(found[RUNS]["BOT_RUNS_CREDENTIAL"]).decode() == values["run credential"], (
        "the controller has another credential"
    )


@pytest.mark.parametrize(
    "kind", ["configmaps", "pods", "deployments", "replicasets", "jobs", "events", "serviceaccounts"]
)
def test_values_are_in_no_other_object(cluster, values, kind):
    """DM-101, DM-149: no ConfigMap, pod spec, annotation or event holds a value."""
    assert_absent(values, json.dumps(cluster.objects(kind)), f"an object of kind {kind}")


def test_values_are_in_no_helm_release(cluster, values):
    """DM-A12: neither values, manifests nor NOTES of any release."""
    releases = [s for s in cluster.objects("secrets") if s["type"] == "helm.sh/release.v1"]
    assert releases
    for secret in releases:
        stored = base64.b64decode(base64.b64decode(secret["data"]["release"]))
        assert_absent(values, gzip.decompress(stored).decode(), f"release {secret['metadata']['name']}")


def test_values_are_in_no_log(cluster, values):
    """DM-149: logs of every container of the stack, earlier instances included."""
    for pod in cluster.objects("pods"):
        meta = pod["metadata"]
        for container in containers(pod["spec"]):
            for earlier in ([], ["--previous"]):
                argv = [
                    "logs",
                    "--namespace",
                    meta["namespace"],
                    meta["name"],
                    "--container",
                    container["name"],
                    *earlier,
                ]
                assert_absent(
                    values, cluster.kubectl(*argv, check=False), f"the log of {meta['name']}/{container['name']}"
                )


def test_values_are_in_no_environment_but_their_own(cluster, agent_pod, values):
    """DM-121: the agent's own environment, read inside its container."""
    assert_absent(values, cluster.execute(agent_pod, "agent", "cat", "/proc/1/environ"), "the agent's environment")


def test_values_are_in_no_output_of_ansible(values):
    """D6: the log of the whole run at -vvv with --diff, JUnit and reports; the log must be there and must be that verbose."""
    log = STATE / "log" / "site.log"
    assert "task path:" in log.read_text(encoding="utf-8"), "the log is not as verbose as -vvv"
    written = [log, *(STATE / "log" / "site-junit").glob("*.xml"), *(STATE / "report").rglob("*.*")]
    for file in written:
        assert_absent(values, file.read_text(encoding="utf-8"), str(file.relative_to(ROOT)))

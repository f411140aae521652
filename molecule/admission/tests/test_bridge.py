# SPDX-License-Identifier: GPL-3.0-or-later
# SPDX-FileCopyrightText: 2026 The orchestrator.platform authors
"""The policy with the bridge, for one namespace: what it puts beside an agent, and which Secret each sidecar reads (issue 7.5, D18)."""

from __future__ import annotations

import subprocess
from collections.abc import Iterator

import pytest
import yaml

from dry_runs import DryRuns
from real_cluster import ROOT, Cluster, Json, named

testinfra_hosts = ["local://"]

NAMESPACE = "adm-bridge"
VALUES: Json = {
    "admission": {
        "enabled": True,
        "bridge": True,
        "namespaceSelector": {"matchLabels": {"kubernetes.io/metadata.name": NAMESPACE}},
    },
    "inputBridge": {"enabled": True, "fifoPath": "/run/agent-input/fifo", "pull": {"enabled": True}},
}
AGENT: Json = {"containers": [{"name": "agent", "image": "agent"}]}
PREFIX = "orchestrator.platform/"


@pytest.fixture(scope="module")
def bridged(cluster: Cluster, api: DryRuns, tmp_path_factory) -> Iterator[DryRuns]:
    """The same chart under another name, its policy alone, from when it acts."""
    values = tmp_path_factory.mktemp("bridge") / "values.yaml"
    values.write_text(yaml.safe_dump(VALUES), encoding="utf-8")
    argv = [
        "helm",
        "template",
        "bridged",
        ROOT / "charts/discord-monitor",
        f"--namespace={NAMESPACE}",
        f"--values={values}",
    ]
    argv += ["--show-only=templates/admission/inject.yaml"]
    policy = subprocess.run(argv, env=cluster.env, capture_output=True, text=True, check=True).stdout
    cluster.kubectl("create", "namespace", NAMESPACE)
    cluster.kubectl("apply", "--filename=-", stdin=policy)
    try:
        cluster.until(lambda: sidecars(api.pod(AGENT, NAMESPACE).body["spec"]), "the policy injects", 30)
        yield api
    finally:
        cluster.kubectl("delete", "--filename=-", stdin=policy)
        cluster.kubectl("delete", "namespace", NAMESPACE)


def sidecars(spec: Json) -> list[str]:
    return [container["name"] for container in spec.get("initContainers") or []]


def secret_of(spec: Json, container: str, variable: str) -> tuple[str, str]:
    """Name and key of the Secret that a variable is read from."""
    (entry,) = [e for e in named(spec, container)["env"] if e["name"] == variable]
    reference = entry["valueFrom"]["secretKeyRef"]
    return reference["name"], reference["key"]


def both(spec: Json) -> tuple[tuple[str, str], tuple[str, str]]:
    webhook = secret_of(spec, "discord-watcher", "DISCORD_WEBHOOK_URL")
    return webhook, secret_of(spec, "input-bridge", "BOT_INPUT_CREDENTIAL")


def test_watcher_and_bridge_share_the_agents_volumes(bridged: DryRuns):
    """DM-166: both are native sidecars, and the FIFO's folder is mounted in the agent too."""
    spec = bridged.pod(AGENT, NAMESPACE).body["spec"]
    assert sidecars(spec) == ["discord-watcher", "input-bridge"]
    assert {"discord-transcripts", "discord-fifo"} <= {m["name"] for m in named(spec, "agent")["volumeMounts"]}
    assert both(spec) == (("discord-secrets", "DISCORD_WEBHOOK_URL"), ("discord-input", "BOT_INPUT_CREDENTIAL"))


@pytest.mark.parametrize(
    ("notes", "webhook", "source"),
    [
        ({"input-secret-name": "mine"}, ("discord-secrets", "DISCORD_WEBHOOK_URL"), ("mine", "BOT_INPUT_CREDENTIAL")),
        ({"input-secret-key": "LINE"}, ("discord-secrets", "DISCORD_WEBHOOK_URL"), ("discord-input", "LINE")),
        (
            {"input-secret-name": "mine", "input-secret-key": "LINE", "webhook-secret-name": "other"},
            ("other", "DISCORD_WEBHOOK_URL"),
            ("mine", "LINE"),
        ),
    ],
)
def test_each_sidecar_reads_the_secret_that_is_named_for_it(bridged: DryRuns, notes, webhook, source):
    """Issue 7.5: the annotations that the module honours."""
    answer = bridged.pod(AGENT, NAMESPACE, notes={PREFIX + name: value for name, value in notes.items()})
    assert both(answer.body["spec"]) == (webhook, source)


@pytest.mark.parametrize("notes", [{"input-secret-name": "discord-monitor-bot"}, {"input-secret-name": "No/Secret"}])
def test_what_cannot_be_honoured_injects_nothing(bridged: DryRuns, notes):
    """D18: the pod is made as it is, rather than with a sidecar that nobody asked for; never with the bot's Secret."""
    answer = bridged.pod(AGENT, NAMESPACE, notes={PREFIX + name: value for name, value in notes.items()})
    assert (answer.status, sidecars(answer.body["spec"])) == (201, [])

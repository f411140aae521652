# SPDX-License-Identifier: GPL-3.0-or-later
# SPDX-FileCopyrightText: 2026 The orchestrator.platform authors
"""Values of the chart orchestrator that must not render: a sentence with the key and the remedy, and never the secret."""

from __future__ import annotations

import pytest
import renderings as r

KEY = "canary-5f1c-do-not-print"
SECRET = {"secrets": {"existingSecret": "orchestrator-secrets"}}
INGRESS = r.merged(SECRET, {"ingress": {"enabled": True}})
CHANNELS = r.merged(
    SECRET,
    {
        "sidecar": {
            "snippetConfigMap": "s",
            "runChannels": {"enabled": True, "botUrl": "http://bot", "existingSecret": "c"},
        }
    },
)


def channels(**changed):
    """Values with channels of runs, and something wrong there."""
    return r.merged(CHANNELS, {"sidecar": {"runChannels": changed}})


NO_ADDRESS = ["sidecar.runChannels.botUrl is not an http or https URL without credentials and path", "such as http://"]

# (id, values, what the message has to say)
REFUSED_BY_TEMPLATES = [
    ("no-key", {}, ["there is no Anthropic key", "secrets.existingSecret", "secrets.anthropicApiKey"]),
    ("key-and-secret", {"secrets": {"anthropicApiKey": KEY, "existingSecret": "mine"}}, ["are both set", "keep the one you mean"]),
    ("key-with-newline", {"secrets": {"anthropicApiKey": KEY + "\n"}}, ["contains white space", "the key alone"]),
    ("two-controllers", {**SECRET, "replicaCount": 2}, ["replicaCount is 2", "without leader election", "set 1, or 0"]),
    ("other-namespace", {**SECRET, "config": {"kubernetesNamespace": "agents"}}, ["config.kubernetesNamespace is agents", "rbac.namespaced=false"]),
    ("two-ports", {**SECRET, "config": {"serverPort": "9000"}}, ["config.serverPort and service.targetPort differ", "leave config.serverPort empty"]),
    ("two-ports-number", {**SECRET, "service": {"targetPort": 9000}, "config": {"serverPort": 8080}}, ["service.targetPort (9000) is the one port"]),
    ("rights-for-everybody", {**SECRET, "serviceAccount": {"create": False}}, ["default account", "serviceAccount.create=true"]),
    ("env-key", {**SECRET, "extraEnv": [{"name": "ANTHROPIC_API_KEY", "value": KEY}]}, ["extraEnv names ANTHROPIC_API_KEY"]),
    ("env-port", {**SECRET, "extraEnv": [{"name": "SERVER_PORT", "value": "1"}]}, ["extraEnv names SERVER_PORT"]),
    ("no-hosts", r.merged(INGRESS, {"ingress": {"hosts": []}}), ["ingress.hosts is empty", "ingress.enabled=false"]),
    ("host-twice", r.merged(INGRESS, {"ingress": {"hosts": [{"host": "a"}, {"host": "a"}]}}), ['names host "a" twice', "into one entry"]),
    ("class-twice", r.merged(INGRESS, {"ingress": {"annotations": {"kubernetes.io/ingress.class": "traefik"}}}),
     ["names class traefik and ingress.className names nginx", "remove the annotation"]),
    ("env-channels", {**SECRET, "extraEnv": [{"name": "RUN_CHANNELS_CREDENTIAL_FILE", "value": "/x"}]}, ["extraEnv names RUN_CHANNELS_CREDENTIAL_FILE"]),
    ("channels-unwatched", r.merged(CHANNELS, {"sidecar": {"snippetConfigMap": ""}}), ["sidecar.snippetConfigMap", "sidecar.runChannels.enabled=false"]),
    ("channels-no-bot", channels(botUrl=""), ["needs the bot that makes the channels", "sidecar.runChannels.botUrl"]),
    ("channels-no-credential", channels(existingSecret=""), ["needs a credential", "sidecar.runChannels.existingSecret"]),
    ("channels-password", channels(botUrl=f"http://u:{KEY}@bot"), NO_ADDRESS),
    ("channels-path", channels(botUrl="http://bot/monitor"), NO_ADDRESS),
    ("channels-query", channels(botUrl=f"http://bot/?t={KEY}"), NO_ADDRESS),
    ("channels-scheme", channels(botUrl="ftp://bot"), NO_ADDRESS),
    ("channels-no-host", channels(botUrl="http://:8080"), NO_ADDRESS),
    ("channels-no-port", channels(botUrl="http://bot:"), NO_ADDRESS),
    ("channels-newline", channels(botUrl="http://bot\n"), NO_ADDRESS),
    ("channels-high-port", channels(botUrl="http://bot:70000"), ["names port 70000", "end at 65535"]),
]  # fmt: skip

# (path of the key, wrong value)
REFUSED_BY_SCHEMA = [
    ("replicaCount", -1),
    ("replicaCount", "1"),
    ("image.digest", "sha256:short"),
    ("image.pullPolicy", "Sometimes"),
    ("image.tag", 1.1),
    ("imagePullSecrets", ["ghcr-secret"]),
    ("agent.activeDeadlineSeconds", 0),
    ("agent.telemetry.otlpProtocol", "udp"),
    ("agent.permissions.allow", "Bash"),
    ("storage.workspaceSize", "big"),
    ("cleanup.enabled", "false"),
    ("cleanup.completedJobDelayMinutes", -1),
    ("serviceAccount.name", "Capital"),
    ("service.type", "ExternalName"),
    ("service.nodePort", 70000),
    ("service.targetPort", 70000),
    ("service.portName", "longer-than-fifteen"),  # OR-A26
    ("service.portName", "8080"),
    ("service.name", "Http"),
    ("ingress.hosts", [{"hosts": "typo"}]),
    ("ingress.tls", [{"secretName": ""}]),
    ("config.kubernetesNamespace", "dotted.name"),
    ("models.defaultCodeModel", ""),
    ("rbac.profile", "all"),
    ("networkPolicy.egressPorts", ["https"]),
    ("healthCheck.path", "health"),
    ("healthCheck.livenessProbe.successThreshold", 2),  # Kubernetes takes 1 only
    ("secrets.existingSecret", "Capital"),
    ("test.command", []),
    ("sidecar.runChannels.enabled", "true"),
    ("sidecar.runChannels.existingSecret", "Capital"),
    ("sidecar.runChannels.existingSecretKey", ""),
    ("sidecar.runChannels.botUrl", None),
]


@pytest.mark.parametrize(
    ("values", "says"), [case[1:] for case in REFUSED_BY_TEMPLATES], ids=[c[0] for c in REFUSED_BY_TEMPLATES]
)
def test_refused_with_a_remedy(values, says):
    """OR-A01, OR-A06, OR-A08, OR-A15, OR-A25: the sentence names key and remedy, and never the secret."""
    error = r.template(r.ORCHESTRATOR, values, release="orchestrator").error
    assert "orchestrator: " in error, error or "it rendered"
    for part in says:
        assert part in error
    assert KEY not in error


@pytest.mark.parametrize(("path", "value"), REFUSED_BY_SCHEMA)
def test_refused_by_the_schema(path, value):
    """OR-098: a wrong type or figure fails, and the message leads to the key."""
    error = r.template(r.ORCHESTRATOR, r.merged(SECRET, r.nested(path, value))).error
    assert "schema" in error, error or "it rendered"
    assert path.rsplit(".", 1)[-1] in error, error


# What older values files and the source's documents set, and nothing reads (OR-294, OR-308, OR-A05, OR-A09, OR-A24, OR-A36).
GONE = [
    "autoscaling", "secrets.githubToken", "config.helmChartPath", "config.helmNamespace", "config.helmTimeout", "claudeCodeChart",
    "sharedWorkspace", "healthCheck.port",
]  # fmt: skip


@pytest.mark.parametrize("path", [*GONE, "image.unknownKey", "agent.telemetry.unknownKey", "rbac.unknownKey"])
def test_unknown_and_dead_keys_are_refused(path):
    """OR-A05, OR-A09, OR-A24, OR-A36: a key that nothing reads is named instead of ignored; its value is not printed."""
    error = r.template(r.ORCHESTRATOR, r.merged(SECRET, r.nested(path, KEY))).error
    assert f"'{path.rsplit('.', 1)[-1]}' not allowed" in error, error or "it rendered"
    assert KEY not in error


def test_dead_keys_are_explained():
    """OR-A09, OR-A36: the guide says of each what to do instead."""
    guide = (r.ROOT / "docs" / "chart-orchestrator.md").read_text(encoding="utf-8")
    assert [path for path in GONE if f"`{path}" not in guide] == []


@pytest.mark.parametrize(
    "path", ["models", "cleanup", "secrets", "service.portName", "agent.telemetry", "sidecar.runChannels"]
)
def test_a_missing_group_is_named(path):
    """OR-A39: what --reuse-values with an older release leaves out stops with the name of the key, not with a nil pointer."""
    error = r.template(r.ORCHESTRATOR, r.merged(SECRET, r.nested(path, None))).error
    assert f"missing property '{path.rsplit('.', 1)[-1]}'" in error, error or "it rendered"


@pytest.mark.parametrize("kubernetes", ["1.13", "1.16", "1.18", "1.19", "1.28"])
def test_older_kubernetes_is_refused(kubernetes):
    """OR-009, OR-129, OR-A56, D15: the floor is 1.29, so no branch for older ingress forms exists."""
    error = r.template(r.ORCHESTRATOR, SECRET, kubernetes=kubernetes).error
    assert ">=1.29" in error, error or "it rendered"

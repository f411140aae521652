# SPDX-License-Identifier: GPL-3.0-or-later
# SPDX-FileCopyrightText: 2026 The orchestrator.platform authors
"""Values that must not render: each stops with a sentence that names the key and what to do, and shows no secret."""

from __future__ import annotations

import pytest
import renderings as r

SECRET = "canary-5f1c-do-not-print"
LITERAL = {"webhook": {"existingSecret": False, "allowLiteralUrl": True}, "snippet": {"publish": False}}
PULLING = {"enabled": True, "fifoPath": "/run/agent-input/fifo", "pull": {"enabled": True}}

# (id, values, what the message has to say)
REFUSED_BY_TEMPLATES = [
    ("no-token", {"bot": {"secret": {"existingName": ""}}}, ["bot.secret.existingName", "bot.secret.create=true"]),
    (
        "create-without-token",
        {"bot": {"secret": {"create": True}}},
        ["bot.secret.value is empty", "bot.secret.create=false"],
    ),
    (
        "create-and-existing",
        {"bot": {"secret": {"create": True, "existingName": "mine", "value": SECRET}}},
        ["bot.secret.create and bot.secret.existingName", 'bot.secret.existingName=""'],
    ),
    ("token-unused", {"bot": {"secret": {"value": SECRET}}}, ["bot.secret.value is set", "bot.secret.create=true"]),
    (
        "token-with-newline",
        {"bot": {"secret": {"create": True, "value": SECRET + "\n"}}},
        ["bot.secret.value contains white space", "the token alone"],
    ),
    (
        "api-url-with-credentials",
        {"bot": {"discordApiUrl": f"https://u:{SECRET}@d/api"}},
        ["bot.discordApiUrl carries credentials"],
    ),
    (
        "bot-env-reserved",
        {"bot": {"extraEnv": [{"name": "BOT_TOKEN", "value": SECRET}]}},
        ["bot.extraEnv names BOT_TOKEN"],
    ),
    ("webhook-no-name", {"webhook": {"name": ""}}, ["webhook.name is empty", "name the Secret"]),
    ("webhook-no-key", {"webhook": {"key": ""}}, ["webhook.key is empty", "name the key"]),
    ("webhook-url-unused", {"webhook": {"url": f"http://d/{SECRET}"}}, ["webhook.url is set", "empty webhook.url"]),
    (
        "literal-without-yes",
        {"webhook": {"existingSecret": False, "url": f"http://d/{SECRET}"}, "snippet": {"publish": False}},
        ["webhook.existingSecret=false", "webhook.allowLiteralUrl=true"],
    ),
    ("literal-empty", LITERAL, ["webhook.url is empty", "webhook.existingSecret=true"]),
    ("literal-no-url", r.merged(LITERAL, {"webhook": {"url": SECRET}}), ["webhook.url is not an http or https URL"]),
    (
        "literal-published",
        r.merged(LITERAL, {"webhook": {"url": f"http://d/{SECRET}"}, "snippet": {"publish": True}}),
        ["published ConfigMap", "snippet.publish=false"],
    ),
    (
        "watcher-gets-token",
        {"watcher": {"extraEnv": [{"name": "BOT_TOKEN", "value": SECRET}]}},
        ["watcher.extraEnv names BOT_TOKEN"],
    ),
    (
        "watcher-gets-bot-secret",
        {
            "watcher": {
                "extraEnv": [{"name": "X", "valueFrom": {"secretKeyRef": {"name": "discord-monitor-bot", "key": "k"}}}]
            }
        },
        ["watcher.extraEnv reads the bot's Secret discord-monitor-bot", "leave the entry out"],
    ),
    (
        "bridge-gets-created-secret",
        {
            "bot": {"secret": {"create": True, "existingName": "", "value": SECRET}},
            "fullnameOverride": "full",
            "inputBridge": {
                "enabled": True,
                "extraEnv": [{"name": "X", "valueFrom": {"secretKeyRef": {"name": "full-bot", "key": "k"}}}],
            },
        },
        ["inputBridge.extraEnv reads the bot's Secret full-bot"],
    ),
    (
        "watcher-env-twice",
        {"watcher": {"extraEnv": [{"name": "LOG_LEVEL", "value": "debug"}]}},
        ["watcher.extraEnv names LOG_LEVEL", "use the value it comes from"],
    ),
    (
        "ports-clash",
        {"inputBridge": {"enabled": True, "port": 8080}},
        ["inputBridge.port and probes.port are both 8080"],
    ),
    (
        "fifo-relative",
        {"inputBridge": {"enabled": True, "fifoPath": "fifo"}},
        ["inputBridge.fifoPath", "absolute path"],
    ),
    (
        "fifo-at-root",
        {"inputBridge": {"enabled": True, "fifoPath": "/fifo"}},
        ["inputBridge.fifoPath", "folder of its own"],
    ),
    (
        "fifo-among-transcripts",
        {"inputBridge": {"enabled": True, "fifoPath": "/home/agent/.claude/fifo"}},
        ["inputBridge.fifoPath lies directly in transcripts.path"],
    ),
    (
        "pull-without-fifo",
        {"inputBridge": {"enabled": True, "pull": {"enabled": True}}},
        ["inputBridge.pull.enabled needs a FIFO", "set inputBridge.fifoPath"],
    ),
    (
        "pull-without-bot",
        {"bot": {"enabled": False}, "inputBridge": PULLING},
        ["inputBridge.pull.enabled without a bot", "name the bot in inputBridge.pull.botUrl"],
    ),
    (
        "pull-url-with-credentials",
        {"inputBridge": r.merged(PULLING, {"pull": {"botUrl": f"http://u:{SECRET}@bot"}})},
        ["inputBridge.pull.botUrl is not an http or https URL without credentials"],
    ),
    (
        "pull-from-the-bots-secret",
        {"inputBridge": r.merged(PULLING, {"pull": {"secretName": "discord-monitor-bot"}})},
        ["inputBridge.pull.secretName names the bot's Secret", "a Secret of its own"],
    ),
    (
        "bridge-gets-input-key",
        {"inputBridge": r.merged(PULLING, {"extraEnv": [{"name": "BOT_INPUT_KEY", "value": SECRET}]})},
        ["inputBridge.extraEnv names BOT_INPUT_KEY"],
    ),
    (
        "host-volume-published",
        {"transcripts": {"existingVolume": "home"}},
        ["transcripts.existingVolume", "snippet.publish=false"],
    ),
    ("rbac-for-default", {"rbac": {"create": True}}, ["rbac.create", "serviceAccount.create=true"]),
    *(
        (
            f"rbac-{resource}",
            {"rbac": {"create": True, "rules": [{"resources": [resource]}]}, "serviceAccount": {"create": True}},
            ["rbac.rules reaches Secrets", "leave the rule out"],
        )
        for resource in ("secrets", "*", "secrets/x")
    ),
    ("enabled-false", {"enabled": False}, ["enabled=false", "bot.enabled"]),
]

# (path of the key, wrong value)
REFUSED_BY_SCHEMA = [
    ("polling.interval", "fast"),
    ("polling.interval", 1),
    ("batchSize", 11),
    ("batchSize", 0),
    ("filters.includeTools", "Bash"),
    ("filters.minStdoutLength", -1),
    ("stats.tokens", "yes"),
    ("parityMode", "true"),
    ("logLevel", "trace"),
    ("discord.monitoring.enabled", "false"),
    ("images.bot.pullPolicy", "Sometimes"),
    ("images.watcher.digest", "sha256:short"),
    ("probes.port", 70000),
    ("probes.path", "healthz"),
    ("probes.path", "/live"),  # DM-060: the programs answer there only, anything else restarts for ever
    ("probes.watcher.liveness.enabled", 1),
    ("probes.watcher.readiness.terminationGracePeriodSeconds", 5),
    ("webhook.existingSecret", "discord-secrets"),
    ("webhook.outageLimitSeconds", 0),
    ("webhook.rateLimit", 51),
    ("webhook.threadId", "thread"),
    ("webhook.threadPerSession", "yes"),
    ("webhook.pressureSeconds", -1),
    ("redaction.patterns", "ACME"),
    ("stats.prices.models", [{"model": "m", "input": -1}]),
    ("transcripts.path", "relative"),
    ("transcripts.sizeLimit", "big"),
    ("bot.service.type", "ExternalName"),
    ("bot.config.retention.days", "month"),
    ("bot.secret.create", "no"),
    ("serviceAccount.create", "no"),
    ("imagePullSecrets", ["registry"]),
    ("resources.limit", {"cpu": "1"}),
]


@pytest.mark.parametrize(
    ("values", "says"), [case[1:] for case in REFUSED_BY_TEMPLATES], ids=[c[0] for c in REFUSED_BY_TEMPLATES]
)
def test_refused_with_a_remedy(values, says):
    """DM-098, DM-099, DM-105, DM-121, DM-143, DM-169: the sentence names key and remedy, and never the secret."""
    error = r.template(r.MONITOR, values).error
    assert "discord-monitor: " in error, error or "it rendered"
    for part in says:
        assert part in error
    assert SECRET not in error


@pytest.mark.parametrize(("path", "value"), REFUSED_BY_SCHEMA)
def test_refused_by_the_schema(path, value):
    """DM-084, DM-169: a wrong type or figure fails, and the message leads to the key."""
    error = r.template(r.MONITOR, r.nested(path, value)).error
    assert "schema" in error, error or "it rendered"
    last = path.rsplit(".", 1)[-1]
    assert last in error, error


@pytest.mark.parametrize(
    "branch", ["", "bot.", "bot.secret.", "webhook.", "probes.watcher.liveness.", "images.watcher.", "inputBridge."]
)
def test_unknown_keys_are_refused(branch):
    """The schema is closed on all our own levels; a typing error is named instead of ignored."""
    error = r.template(r.MONITOR, r.nested(f"{branch}unknownKey", 1)).error
    assert "'unknownKey' not allowed" in error, error or "it rendered"


@pytest.mark.parametrize("path", ["bot", "webhook", "webhook.name", "polling.interval", "probes.watcher"])
def test_a_removed_key_is_named(path):
    """null removes a default in Helm; the message says which key is missing, not that some pointer is nil."""
    error = r.template(r.MONITOR, r.nested(path, None)).error
    assert f"missing property '{path.rsplit('.', 1)[-1]}'" in error, error or "it rendered"


@pytest.mark.parametrize("kubernetes", ["1.28", "1.20"])
def test_older_kubernetes_is_refused(kubernetes):
    """The floor is 1.29, the first version with native sidecars switched on."""
    error = r.template(r.MONITOR, kubernetes=kubernetes).error
    assert ">=1.29" in error, error or "it rendered"


@pytest.mark.parametrize(
    "values",
    [
        {"agent": {"pace": 1}},
        {"deployment": {"ownVolume": "all"}},
        {"fakeDiscord": {"service": {"nodePort": 80}}},
        {"forge": {"authorizedKeys": ["ssh-ed25519 A\nssh-ed25519 B"]}},
        {"forge": {"service": {"port": 22}}},
        {"forge": {"tokenSha256": "secret"}},
    ],
)
def test_demo_refuses_wrong_values(values):
    """The chart demo has a closed schema, too."""
    assert "schema" in r.template(r.DEMO, values).error

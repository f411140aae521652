# SPDX-License-Identifier: GPL-3.0-or-later
# SPDX-FileCopyrightText: 2026 The orchestrator.platform authors
"""Values are documented and checked: a comment above each key, a place for each in the schema, guide and figures in step."""

from __future__ import annotations

import json
import re

import pytest
import renderings as r
import yaml

BOTH = pytest.mark.parametrize("chart", [r.MONITOR, r.DEMO, r.ORCHESTRATOR], ids=lambda chart: chart.name)
# Branches that are only a group: the comments stand at their keys. Everything else has a comment right above it.
GROUPS = {
    "discord", "discord.monitoring", "polling", "workspace", "watcher.state", "bot", "bot.service", "bot.config",
    "images.watcher", "images.bot", "images.inputBridge", "bot.networkPolicy", "fakeDiscord.service",
    "securityContext.capabilities.drop", "image", "agent.image", "agent.permissions", "agent.telemetry", "serviceAccount",
    "service", "healthCheck.livenessProbe", "healthCheck.readinessProbe", "healthCheck", "networkPolicy", "rbac", "securityContext.seccompProfile.type", "bot.podSecurityContext.seccompProfile.type",
    "agent.podSecurityContext.seccompProfile.type",
}  # fmt: skip
KEY = re.compile(r"^(?P<indent> *)(?P<key>[A-Za-z][\w./-]*):(?P<rest>.*)$")


def keys_with_comments(text):
    """[(dotted path, whether a comment stands in the line above)] of a values file in block style."""
    stack, found, previous = [], [], ""
    for line in text.splitlines():
        match = KEY.match(line)
        if match:
            depth = len(match["indent"]) // 2
            stack[depth:] = [match["key"]]
            found.append((".".join(stack), previous.lstrip().startswith("#")))
        previous = line
    return found


def leaf_paths(values, prefix=""):
    """Dotted paths of all keys, maps included."""
    for key, value in values.items():
        yield prefix + key
        if isinstance(value, dict):
            yield from leaf_paths(value, f"{prefix}{key}.")


def values_of(chart):
    return yaml.safe_load((chart / "values.yaml").read_text(encoding="utf-8"))


@BOTH
def test_each_key_has_a_comment(chart):
    """DM-083, DM-084: the values file is the manual, so every key in it is explained where it stands."""
    text = (chart / "values.yaml").read_text(encoding="utf-8")
    found = keys_with_comments(text)
    assert {path for path, _ in found} == set(leaf_paths(values_of(chart))), "the reader of this test misses keys"
    bare = [
        path
        for path, commented in found
        if not commented and path not in GROUPS and not re.search(r"(^|\.)(resources\.|liveness$|readiness$)", path)
    ]
    assert [path for path in bare if not path.startswith("discord-monitor.")] == []


def resolve(schema, root):
    while "$ref" in schema:
        schema = root["definitions"][schema["$ref"].rsplit("/", 1)[-1]]
    return schema


def in_schema(path, root):
    """Whether the schema names the key, or leaves its branch free on purpose."""
    schema = root
    for key in path.split("."):
        schema = resolve(schema, root)
        if schema.get("additionalProperties", True) is not False:
            return True
        if key not in schema["properties"]:
            return False
        schema = schema["properties"][key]
    return True


@BOTH
def test_each_key_is_in_the_schema(chart):
    """DM-084."""
    root = json.loads((chart / "values.schema.json").read_text(encoding="utf-8"))
    assert [path for path in leaf_paths(values_of(chart)) if not in_schema(path, root)] == []
    assert not in_schema("bot.nonsense" if chart is r.MONITOR else "agent.nonsense", root)


def schema_paths(schema, root, prefix=""):
    schema = resolve(schema, root)
    for key, below in schema.get("properties", {}).items():
        yield prefix + key
        yield from schema_paths(below, root, f"{prefix}{key}.")


@BOTH
def test_the_schema_knows_no_other_key(chart):
    """A key of the schema that values.yaml lacks would have neither comment nor default. `global` and `enabled` are Helm's."""
    root = json.loads((chart / "values.schema.json").read_text(encoding="utf-8"))
    there = set(leaf_paths(values_of(chart))) | {"global", "enabled"}
    extra = [
        p
        for p in schema_paths(root, root)
        if p not in there
        and not re.search(r"resources\.(claims|requests|limits)$|Selector\.match(Labels|Expressions)$", p)
    ]
    assert extra == []


def test_no_pattern_on_a_secret():
    """Helm prints the value that fails a pattern: keys that may hold a secret have a type and nothing else."""
    root = json.loads((r.MONITOR / "values.schema.json").read_text(encoding="utf-8"))
    bot, webhook = root["properties"]["bot"]["properties"], root["properties"]["webhook"]["properties"]
    assert bot["secret"]["properties"]["value"] == webhook["url"] == bot["discordApiUrl"] == {"type": "string"}


def test_defaults_are_the_figures_of_the_product():
    """DM-040…DM-051, DM-056…DM-064, DM-067…DM-080: what a user gets who sets nothing."""
    values = values_of(r.MONITOR)

    def at(path):
        found = values
        for key in path.split("."):
            found = found[key]
        return found

    wanted = {
        "discord.monitoring.enabled": True, "polling.interval": 100, "batchSize": 10,
        "filters.includeTools": ["Bash", "Write", "Edit"], "filters.includePatterns": ["Error", "Success", "Complete", "Starting"],
        "filters.minStdoutLength": 50, "stats.trackCost": True, "stats.tokens": True, "stats.errors": True,
        "parityMode": False, "logLevel": "info", "webhook.rateLimit": 10, "webhook.outageLimitSeconds": 120,
        "probes.path": "/healthz", "probes.port": 8080, "bot.service.type": "ClusterIP", "bot.service.port": 8080,
        "bot.secret.create": False, "bot.secret.key": "BOT_TOKEN", "bot.enabled": True, "webhook.existingSecret": True,
        "webhook.name": "discord-secrets", "webhook.key": "DISCORD_WEBHOOK_URL", "webhook.allowLiteralUrl": False,
        "serviceAccount.create": False, "rbac.create": False, "inputBridge.enabled": False, "inputBridge.port": 8090,
        "inputBridge.fifoPath": "", "imagePullSecrets": [], "watcher.volumeMounts": [],
    }  # fmt: skip
    assert {path: at(path) for path in wanted} == wanted


def test_prd_values_repeat_no_other_figure():
    """DM-A27: the PRD file says the product's figures out loud; each of them is the default, but for the bridge it switches on."""
    prd = yaml.safe_load((r.MONITOR / "ci" / "prd-values.yaml").read_text(encoding="utf-8"))
    with_prd = r.snippet(r.template(r.MONITOR, prd))
    switched_on = r.snippet(r.template(r.MONITOR, {"inputBridge": prd["inputBridge"]}))
    assert with_prd == switched_on


def test_versions_agree():
    """DM-007: chart and app versions are those of the collection."""
    version = yaml.safe_load((r.ROOT / "galaxy.yml").read_text(encoding="utf-8"))["version"]
    for chart in (r.MONITOR, r.DEMO):
        meta = yaml.safe_load((chart / "Chart.yaml").read_text(encoding="utf-8"))
        assert (meta["apiVersion"], meta["type"], meta["version"], meta["appVersion"]) == (
            "v2",
            "application",
            version,
            version,
        )
        assert meta["kubeVersion"].startswith(f">={r.OLDEST}")


def test_guide_names_each_named_template():
    """DM-160, DM-161: whatever a host chart may include is explained in the guide."""
    guide = (r.ROOT / "docs" / "chart-discord-monitor.md").read_text(encoding="utf-8")
    for name in (
        "sidecar",
        "sidecarNative",
        "inputBridge",
        "inputBridgeNative",
        "volumes",
        "agentVolumeMounts",
        "bridgeVolumes",
        "bridgeAgentVolumeMounts",
    ):
        assert f"`discord-monitor.{name}`" in guide


def test_worked_example_of_the_guide():
    """DM-122, DM-A15: the manifest printed for people without Helm is whole, parses, and is what the chart renders."""
    guide = (r.ROOT / "docs" / "chart-discord-monitor.md").read_text(encoding="utf-8")
    [example] = re.findall(r"```yaml\n(# A Deployment with the watcher.*?)```", guide, flags=re.DOTALL)
    spec = yaml.safe_load(example)["spec"]["template"]["spec"]
    published = r.snippet(r.template(r.MONITOR))
    agent, watcher = spec["containers"]
    assert watcher == published["watcher"]
    assert (spec["volumes"], agent["volumeMounts"]) == (published["volumes"], published["agentVolumeMounts"])

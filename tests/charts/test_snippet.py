# SPDX-License-Identifier: GPL-3.0-or-later
# SPDX-FileCopyrightText: 2026 The orchestrator.platform authors
"""The watcher and the bridge as containers: exact environment, probes, resources, switches. One parsed container a test."""

from __future__ import annotations

import hashlib
import json
import re

import pytest
import renderings as r

ENV_OF_WATCHER = [
    "DISCORD_WEBHOOK_URL",
    "WORKSPACE_PATH",
    "POLL_INTERVAL",
    "BATCH_SIZE",
    "FILTERS",
    "STATS_TRACK_COST",
    "STATS_TRACK_TOKENS",
    "STATS_TRACK_ERRORS",
    "PARITY_MODE",
    "LOG_LEVEL",
    "HEALTH_PORT",
    "STATE_PATH",
    "OUTAGE_LIMIT_SECONDS",
    "RATE_LIMIT",
    "SESSION_SUMMARY",
    "STATS_PRICES",
    "REDACT_GUESS",
    "REDACT_PATTERNS",
    "DISCORD_THREAD_ID",
    "THREAD_PER_SESSION",
    "PRESSURE_SECONDS",
]
BRIDGE_ON = {"inputBridge": {"enabled": True, "fifoPath": "/run/agent-input/fifo"}}


def watcher(values=None, case=""):
    return r.snippet(r.template(r.MONITOR, values, case=case))["watcher"]


def bridge(values=None):
    return r.snippet(r.template(r.MONITOR, r.merged(BRIDGE_ON, values or {})))["bridge"]


def env(container):
    return {entry["name"]: entry.get("value") for entry in container["env"]}


def bot(values=None):
    return r.template(r.MONITOR, values).one("Deployment")["spec"]["template"]["spec"]["containers"][0]


@pytest.mark.parametrize("case", ["default", "prd"])
def test_environment_of_the_watcher(case):
    """DM-105…DM-113, DM-170: exactly these variables, each once, in this order."""
    assert [entry["name"] for entry in watcher(case=case)["env"]] == ENV_OF_WATCHER


def test_values_of_the_environment():
    """DM-106…DM-112: the defaults, as the contract has them."""
    found = env(watcher())
    assert all(json.loads(found.pop(name)) for name in ("FILTERS", "STATS_PRICES"))
    assert found == {
        "DISCORD_WEBHOOK_URL": None,
        "WORKSPACE_PATH": "/home/agent/.claude",
        "POLL_INTERVAL": "100",
        "BATCH_SIZE": "10",
        "STATS_TRACK_COST": "true",
        "STATS_TRACK_TOKENS": "true",
        "STATS_TRACK_ERRORS": "true",
        "PARITY_MODE": "false",
        "LOG_LEVEL": "info",
        "HEALTH_PORT": "8080",
        "STATE_PATH": "/var/lib/discord-watcher",
        "OUTAGE_LIMIT_SECONDS": "120",
        "RATE_LIMIT": "10",
        "SESSION_SUMMARY": "true",
        "REDACT_GUESS": "true",
        "REDACT_PATTERNS": "[]",
        "DISCORD_THREAD_ID": "",
        "THREAD_PER_SESSION": "false",
        "PRESSURE_SECONDS": "10",
    }


@pytest.mark.parametrize(
    "case", [c for c in r.cases(r.MONITOR) if c not in ("sidecar-off", "snippets-only", "literal-url")]
)
def test_every_value_is_a_string(case):
    """DM-114: numbers and booleans are quoted, in every combination."""
    entries = watcher(case=case)["env"]
    assert all(isinstance(entry["value"], str) for entry in entries if "value" in entry)


@pytest.mark.parametrize(
    ("path", "value", "name", "text"),
    [
        ("polling.interval", 60000, "POLL_INTERVAL", "60000"),
        ("batchSize", 1, "BATCH_SIZE", "1"),
        ("stats.trackCost", False, "STATS_TRACK_COST", "false"),
        ("stats.tokens", False, "STATS_TRACK_TOKENS", "false"),
        ("stats.errors", False, "STATS_TRACK_ERRORS", "false"),
        ("parityMode", True, "PARITY_MODE", "true"),
        ("logLevel", "debug", "LOG_LEVEL", "debug"),
        ("probes.port", 18080, "HEALTH_PORT", "18080"),
        ("webhook.outageLimitSeconds", 5, "OUTAGE_LIMIT_SECONDS", "5"),
        ("webhook.rateLimit", 1, "RATE_LIMIT", "1"),
        ("webhook.threadId", "1234567890123456789", "DISCORD_THREAD_ID", "1234567890123456789"),
        ("webhook.threadPerSession", True, "THREAD_PER_SESSION", "true"),
        ("webhook.pressureSeconds", 0, "PRESSURE_SECONDS", "0"),
        ("stats.sessionSummary", False, "SESSION_SUMMARY", "false"),
        ("stats.prices.models", [{"model": "m", "input": 0.5}], "STATS_PRICES", '[{"input":0.5,"model":"m"}]'),
        ("redaction.guess", False, "REDACT_GUESS", "false"),
        ("redaction.patterns", ["ACME-[0-9]+"], "REDACT_PATTERNS", '["ACME-[0-9]+"]'),
        ("workspace.path", "/w", "WORKSPACE_PATH", "/w"),
        ("watcher.state.path", "/s", "STATE_PATH", "/s"),
    ],
)
def test_each_value_reaches_its_variable(path, value, name, text):
    """DM-041, DM-042, DM-046…DM-051, DM-081: the custom case of each; false is an answer, not an absence."""
    assert env(watcher(r.nested(path, value)))[name] == text


@pytest.mark.parametrize(
    "filters",
    [
        {
            "includeTools": ["Bash", "Write", "Edit"],
            "includePatterns": ["Error", "Success", "Complete", "Starting"],
            "minStdoutLength": 50,
        },
        {"includeTools": [], "includePatterns": [], "minStdoutLength": 0},
        {
            "includeTools": ["A"],
            "includePatterns": ['"\\ <&> $(X) ${Y} {{ z }}', "Füße 'x'", "a: b # c"],
            "minStdoutLength": 1000000,
        },
    ],
    ids=["default", "empty", "odd"],
)
def test_filters_are_json(filters):
    """DM-043…DM-045, DM-109, DM-114, DM-170: FILTERS carries the branch unchanged, whatever it holds; $$( is what
    Kubernetes makes $( of, instead of looking for a variable."""
    assert json.loads(env(watcher({"filters": filters}))["FILTERS"].replace("$$(", "$(")) == filters
    assert not re.search(r"(?<!\$)\$\(", env(watcher({"filters": filters}))["FILTERS"])


def test_webhook_is_an_optional_reference():
    """DM-105, DM-144, D8: from a Secret by name and key; optional, since a missing Secret must not hold up an agent."""
    entry = watcher({"webhook": {"name": "n", "key": "k"}})["env"][0]
    assert entry == {
        "name": "DISCORD_WEBHOOK_URL",
        "valueFrom": {"secretKeyRef": {"name": "n", "key": "k", "optional": True}},
    }


@pytest.mark.parametrize("case", ["default", "prd"])
def test_resources_of_the_watcher(case):
    """DM-056, DM-059, DM-117, DM-170: the product's figures without the user setting anything."""
    resources = watcher(case=case)["resources"]
    assert (resources["requests"]["cpu"], resources["requests"]["memory"]) == ("10m", "32Mi")
    assert resources["limits"] == {"cpu": "100m", "memory": "64Mi"}


def test_resources_of_bot_and_bridge():
    """DM-057, DM-058, DM-091, DM-130."""
    of_bot, of_bridge = bot()["resources"], bridge()["resources"]
    assert (of_bot["requests"]["cpu"], of_bot["requests"]["memory"]) == ("20m", "64Mi")
    assert (of_bot["limits"]["cpu"], of_bot["limits"]["memory"]) == ("200m", "128Mi")
    assert of_bridge == watcher()["resources"]


def test_no_snippet_limits_ephemeral_storage():
    """The kubelet adds such limits up over the pod: a limit on the sidecar alone would evict an agent that has none."""
    assert "ephemeral-storage" not in watcher()["resources"]["limits"]
    assert "ephemeral-storage" not in bridge()["resources"]["limits"]


def test_empty_resources_render_nothing():
    """DM-136."""
    assert "resources" not in watcher({"resources": None})
    assert "resources" not in bot({"bot": {"resources": None}})
    assert "resources" not in bridge({"inputBridge": {"resources": {"requests": None, "limits": None}}})


def test_one_container_one_port():
    """DM-031, DM-102, DM-103, DM-115, DM-170: one container with one port, whose name is not the bridge's (DM-A31)."""
    assert watcher()["name"] == "discord-watcher"
    assert watcher()["ports"] == [{"name": "health", "containerPort": 8080, "protocol": "TCP"}]
    assert bridge()["ports"] == [{"name": "bridge", "containerPort": 8090, "protocol": "TCP"}]


# After a restart of the watcher the agent's pod is not Ready until readiness has asked: so it asks at once (D8).
@pytest.mark.parametrize(("container", "ready_after"), [(watcher, 0), (bot, 5)], ids=["watcher", "bot"])
def test_http_probes(container, ready_after):
    """DM-060…DM-062, DM-089, DM-090, DM-116, DM-135: GET /healthz on 8080; liveness acts before readiness (D8); no startup probe."""
    found = container()
    get = {"path": "/healthz", "port": 8080, "scheme": "HTTP"}
    live, ready = dict(found["livenessProbe"]), found["readinessProbe"]
    assert live.pop("terminationGracePeriodSeconds") >= 1
    assert live == {
        "httpGet": get,
        "initialDelaySeconds": 10,
        "periodSeconds": 10,
        "timeoutSeconds": 2,
        "failureThreshold": 3,
    }
    assert ready == {
        "httpGet": get,
        "initialDelaySeconds": ready_after,
        "periodSeconds": 5,
        "timeoutSeconds": 2,
        "failureThreshold": 12,
    }
    assert live["periodSeconds"] * live["failureThreshold"] < ready["periodSeconds"] * ready["failureThreshold"]
    assert "startupProbe" not in found


def test_bridge_probes_run_inside():
    """DM-127, DM-A03: the kubelet cannot reach loopback, so the probes are commands."""
    for probe in (bridge()["livenessProbe"], bridge()["readinessProbe"]):
        assert probe["exec"] == {"command": ["discord-monitor", "healthcheck", "bridge"]}
        assert "httpGet" not in probe


@pytest.mark.parametrize(("name", "container"), [("watcher", watcher), ("bot", bot), ("inputBridge", bridge)])
@pytest.mark.parametrize("probe", ["liveness", "readiness"])
def test_each_probe_has_figures_and_a_switch(name, container, probe):
    """DM-062, DM-A01: every figure is settable, 0 is honoured, and the switch takes the probe away."""
    figures = {"initialDelaySeconds": 0, "periodSeconds": 7, "timeoutSeconds": 3, "failureThreshold": 9}
    found = container(r.nested(f"probes.{name}.{probe}", figures))[f"{probe}Probe"]
    assert {key: found[key] for key in figures} == figures
    off = container(r.nested(f"probes.{name}.{probe}.enabled", False))
    assert f"{probe}Probe" not in off


def test_one_value_moves_the_port():
    """DM-060, DM-A17: port and path are said once, for container port, probes, Service and HEALTH_PORT alike."""
    values = {"probes": {"port": 18080}}
    rendering = r.template(r.MONITOR, values)
    for found in (watcher(values), bot(values)):
        assert found["ports"][0]["containerPort"] == 18080
        assert {
            (found[p]["httpGet"]["port"], found[p]["httpGet"]["path"]) for p in ("livenessProbe", "readinessProbe")
        } == {(18080, "/healthz")}
    assert rendering.one("ConfigMap", "discord-monitor")["data"]["HEALTH_PORT"] == "18080"
    assert rendering.one("Service")["spec"]["ports"][0]["targetPort"] == "health"


def test_transcripts_are_shared_and_read_only():
    """DM-123, DM-148, DM-A18: the agent's folder at the same path in both, read-only in the watcher; the state is the watcher's alone."""
    published = r.snippet(r.template(r.MONITOR))
    assert published["volumes"] == [
        {"name": "discord-transcripts", "emptyDir": {"sizeLimit": "2Gi"}},
        {"name": "discord-state", "emptyDir": {"sizeLimit": "16Mi"}},
    ]
    assert published["agentVolumeMounts"] == [{"name": "discord-transcripts", "mountPath": "/home/agent/.claude"}]
    assert published["watcher"]["volumeMounts"] == [
        {"name": "discord-transcripts", "mountPath": "/home/agent/.claude", "readOnly": True},
        {"name": "discord-state", "mountPath": "/var/lib/discord-watcher"},
    ]


def test_bridge_environment():
    """DM-079, DM-125, DM-126, DM-134: loopback only, settable port."""
    assert env(bridge({"inputBridge": {"port": 9090}})) == {
        "BIND_ADDR": "127.0.0.1",
        "PORT": "9090",
        "FIFO_PATH": "/run/agent-input/fifo",
        "LOG_LEVEL": "info",
    }


def test_bridge_asks_the_bot_only_where_it_is_told_to():
    """DM-A04: off by default; the credential by an optional reference, the bot of this release unless another is named."""
    assert not {"BOT_URL", "BOT_INPUT_CREDENTIAL", "STOP_LINE"} & set(env(bridge()))
    container = bridge({"inputBridge": {"pull": {"enabled": True}}, "bot": {"service": {"port": 80}}})
    assert {name: env(container)[name] for name in ("BOT_URL", "STOP_LINE", "BOT_INPUT_CREDENTIAL")} == {
        "BOT_URL": "http://discord-monitor.test.svc:80", "STOP_LINE": "/exit", "BOT_INPUT_CREDENTIAL": None,
    }  # fmt: skip
    (reference,) = (e["valueFrom"] for e in container["env"] if "valueFrom" in e)
    assert reference == {"secretKeyRef": {"name": "discord-input", "key": "BOT_INPUT_CREDENTIAL", "optional": True}}
    told = r.merged(BRIDGE_ON, {"inputBridge": {"pull": {"enabled": True, "botUrl": "https://bot.example.org/x"}}})
    assert env(bridge(told))["BOT_URL"] == "https://bot.example.org/x"


def test_bridge_is_not_exposed():
    """DM-132: no host port on it, and no object of the chart names its port."""
    rendering = r.template(r.MONITOR, BRIDGE_ON)
    assert all("hostPort" not in port for port in bridge()["ports"])
    assert [p["port"] for o in rendering.objects if o["kind"] == "Service" for p in o["spec"]["ports"]] == [8080]
    assert not [o for o in rendering.objects if o["kind"] == "Ingress"]


def test_fifo_volume_follows_its_path():
    """DM-080, DM-128, DM-129, DM-161: mount and volume only with a path, the same in bridge and agent."""
    with_fifo = r.snippet(r.template(r.MONITOR, BRIDGE_ON))
    mount = [{"name": "discord-fifo", "mountPath": "/run/agent-input"}]
    assert with_fifo["bridge"]["volumeMounts"] == with_fifo["bridgeAgentVolumeMounts"] == mount
    assert with_fifo["bridgeVolumes"] == [{"name": "discord-fifo", "emptyDir": {"sizeLimit": "1Mi"}}]
    without = r.snippet(r.template(r.MONITOR, case="bridge-without-fifo"))
    assert "volumeMounts" not in without["bridge"]
    assert "FIFO_PATH" not in env(without["bridge"])
    assert (without["bridgeVolumes"], without["bridgeAgentVolumeMounts"]) == ([], [])


def test_bridge_is_off_by_default():
    """DM-078, DM-131."""
    assert r.snippet(r.template(r.MONITOR))["bridge"] is None


def test_switched_off_watcher_leaves_nothing():
    """DM-040, DM-118, DM-A32: no container, no volume, no mount."""
    off = r.snippet(r.template(r.MONITOR, case="sidecar-off"))
    assert off["watcher"] is None
    assert (off["volumes"], off["agentVolumeMounts"]) == ([], [])


@pytest.mark.parametrize(
    ("image", "expected"),
    [
        ({}, "discord-monitor:0.1.0"),
        ({"repository": "r.example:5000/a/b", "tag": "1.10"}, "r.example:5000/a/b:1.10"),
        ({"digest": "sha256:" + "a" * 64}, "discord-monitor@sha256:" + "a" * 64),
        ({"tag": "1", "digest": "sha256:" + "a" * 64}, "discord-monitor:1@sha256:" + "a" * 64),
    ],
)
@pytest.mark.parametrize(("name", "container"), [("watcher", watcher), ("bot", bot), ("inputBridge", bridge)])
def test_images(name, container, image, expected):
    """DM-029, DM-052…DM-054, DM-092, DM-104, DM-A16: empty tag is the appVersion, never latest; pulled only if not present."""
    found = container(r.nested(f"images.{name}", image))
    assert (found["image"], found["imagePullPolicy"]) == (expected, "IfNotPresent")


def test_programs():
    """D9: one image, the argument picks the program."""
    assert [c["args"] for c in (watcher(), bot(), bridge())] == [["watch"], ["bot"], ["bridge"]]


def test_hash_is_that_of_the_text():
    """The published hash is the SHA-256 of exactly the text beside it."""
    data = r.template(r.MONITOR).one("ConfigMap", "discord-monitor-snippet")["data"]
    assert hashlib.sha256(data["snippet.json"].encode()).hexdigest() == data["hash"]


@pytest.mark.parametrize(
    ("values", "same"), [({"bot": {"enabled": False}}, True), ({"chartDigest": "x"}, True), ({"batchSize": 9}, False)]
)
def test_hash_changes_with_the_snippet_only(values, same):
    """Another bot must not roll the agents; another watcher must."""
    plain = r.template(r.MONITOR).one("ConfigMap", "discord-monitor-snippet")["data"]["hash"]
    other = r.template(r.MONITOR, values).one("ConfigMap", "discord-monitor-snippet")["data"]["hash"]
    assert (plain == other) is same


def test_snippet_shape():
    """What the module sidecar reads: these keys, schema 1, and a container without restartPolicy."""
    published = r.snippet(r.template(r.MONITOR))
    assert set(published) == {
        "schema",
        "watcher",
        "bridge",
        "volumes",
        "agentVolumeMounts",
        "bridgeVolumes",
        "bridgeAgentVolumeMounts",
    }
    assert published["schema"] == 1
    assert "restartPolicy" not in published["watcher"]

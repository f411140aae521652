# SPDX-License-Identifier: GPL-3.0-or-later
# SPDX-FileCopyrightText: 2026 The orchestrator.platform authors
"""The support bundle: no planted secret is in the archive, and what could not be read is said (D6; issue 5, item 7)."""

from __future__ import annotations

import base64
import functools
import json
import re
import stat
import sys
import tarfile
import urllib.parse

import pytest
import yaml
from ansible_collections.orchestrator.platform.plugins.module_utils import _redact
from ansible_collections.orchestrator.platform.plugins.module_utils._archive import write_archive
from ansible_collections.orchestrator.platform.plugins.module_utils._bundle import (
    CLUSTER_WIDE,
    NAMESPACED,
    index_text,
    is_ours,
    logs_of,
    our_places,
    printable,
)
from ansible_collections.orchestrator.platform.plugins.module_utils._bundle_collect import Bundle
from ansible_collections.orchestrator.platform.plugins.module_utils._cluster import Answer
from ansible_collections.orchestrator.platform.plugins.module_utils._errors import ApiError, ClusterError, PlatformError
from ansible_collections.orchestrator.platform.plugins.module_utils._redact import MAX_SECRET_CHARS, Redactor
from hypothesis import given
from hypothesis import strategies as st

from discord_monitor import redaction

from .conftest import FIXTURES, TOKEN, WEBHOOK, b64

# Without any shape: only its Secret tells what it is.
PLAIN = "Tr0ub4dor-and-three-more"
MULTI = "user=planted\npassword=Correct/Horse+Battery\n"
KEY = (
    "-----BEGIN PRIVATE KEY-----\n"
    + "\n".join("MIIEvQ" + letter * 58 for letter in "abc")
    + "\n-----END PRIVATE KEY-----"
)
GITHUB = "ghp_" + "a1B2" * 9
# One of each length modulo 3, with what encodings treat in different ways; each stands in a Secret in another shape.
IN_JSON, IN_AUTH, IN_URL = ("Zk7/q+&<w>'(!)*~ =?@%" + "xY9kL"[:length] for length in (3, 4, 5))
IN_YAML, IN_LIST, WHOLE = ("Zk8/q+&<w>'(!)*~ =?@%" + "xY9kL"[:length] for length in (3, 4, 5))
DOCKER = {"auths": {"r.example.org": {"username": "robot", "password": IN_JSON, "auth": ""}}}
DOCKER["auths"]["r.example.org"]["auth"] = base64.b64encode(f"robot:{IN_AUTH}".encode()).decode()
FORMS_SECRET = {
    ".dockerconfigjson": json.dumps(DOCKER, separators=(",", ":")),
    "url": f"postgres://app:{urllib.parse.quote(IN_URL, safe='')}@db/app",
    "yaml": f'user: planted\npassword: "{IN_YAML}" # rotated in May\nkeys: [first, "{IN_LIST}"]\n',
    "whole": WHOLE,
}
JS_SAFE = "-_.!~*'()"
URL_SAFE = str.maketrans("+/", "-_")


def other_digits(text: str) -> str:
    return re.sub("%[0-9A-F]{2}", lambda match: match[0].lower(), text)


def go_json(text: str) -> str:
    text = json.dumps(text, ensure_ascii=False)[1:-1]
    return text.replace("&", "\\u0026").replace("<", "\\u003c").replace(">", "\\u003e")


def inside(before: str, value: str, after: str) -> tuple[str, str]:
    """The base64 of a value within something longer, and what of it must not stay: the neighbours decide the rest."""
    start, end = len(before.encode()), len((before + value).encode())
    code = base64.b64encode((before + value + after).encode()).decode()
    return code, code[-(-start * 8 // 6) + 1 : end * 8 // 6]


def forms(value: str) -> list[tuple[str, str]]:
    """What is written of a value, and what of that must not stay."""
    quoted = [
        urllib.parse.quote(value),
        urllib.parse.quote(value, safe=""),
        urllib.parse.quote_plus(value),
        urllib.parse.quote(value, safe=JS_SAFE),
        urllib.parse.quote(value, safe=JS_SAFE + ";,/?:@&=+$#"),
    ]
    around = [("", ""), ("user:", ""), ("u:", ""), ("me:", ":x"), ("", ":x"), ("", "xy"), ("", "xyz")]
    code = [inside(before, value, after) for before, after in around]
    url_safe = [(whole.translate(URL_SAFE), part.translate(URL_SAFE)) for whole, part in code]
    whole = [value, go_json(value), *quoted, *map(other_digits, quoted)]
    return [*zip(whole, whole, strict=True), *code, *url_safe]


NEW = [form for value in (IN_JSON, IN_AUTH, IN_URL, IN_YAML, IN_LIST, WHOLE) for form in forms(value)]
CANARIES = [
    TOKEN, WEBHOOK, WEBHOOK.rpartition("/")[2], PLAIN, b64(PLAIN), urllib.parse.quote("Correct/Horse+Battery", safe=""),
    "Correct/Horse+Battery", "MIIEvQaaaa", GITHUB, "argument-canary", "annotation-canary", "foreign-canary", "config-canary",
    "last-words-canary", "probe-canary", "template-canary", "hook-canary", "start-canary", "packed-canary",
    *dict.fromkeys(part for _whole, part in NEW),
]  # fmt: skip


def b64_decoded(text: str) -> str:
    return base64.b64decode(text + "===", validate=False).decode("utf-8", "replace")


def meta(name: str, namespace: str = "agents", **extra) -> dict:
    return {"name": name, "namespace": namespace, **extra}


def pod() -> dict:
    ours = {
        "name": "discord-watcher",
        "image": "watcher:1",
        "args": ["watch"],
        "env": [
            {"name": "WORKSPACE_PATH", "value": "/workspace"},
            {"name": "SOME_TOKEN", "value": "foreign-canary"},
            {"name": "NOTE", "value": f"see {WEBHOOK}"},
            {"name": "STATS_TRACK_TOKENS", "value": "true"},
        ],
    }
    agent = {
        "name": "agent",
        "image": "agent:1",
        "command": ["agent", "--flag", "argument-canary"],
        "env": [
            {"name": "LEVEL", "value": "foreign-canary"},
            {"name": "REF", "valueFrom": {"secretKeyRef": {"name": "plain", "key": "k"}}},
        ],
        "livenessProbe": {"exec": {"command": ["curl", "-H", "argument-canary"]}},
    }
    debug = {"name": "debug", "image": "x", "args": ["argument-canary"]}
    last = json.dumps({"annotation": "annotation-canary"})
    return {
        "metadata": meta(
            "coder",
            annotations={
                "kubectl.kubernetes.io/last-applied-configuration": last,
                "example.org/api-token": "annotation-canary",
                "kapp.k14s.io/original": last,
                "banzaicloud.com/last-applied": b64("packed-canary"),
                "example.org/state": f" [{last}]",
                "example.org/packed": b64(last),
                "orchestrator.platform/note": '{"ours": 1}',
                "checksum": "a" * 64,
            },
            managedFields=[{"manager": "helm", "operation": "Update", "fieldsV1": {"f:spec": {}}}],
        ),
        "spec": {"initContainers": [ours], "containers": [agent], "ephemeralContainers": [debug]},
        "status": {
            "containerStatuses": [
                {
                    "name": "agent",
                    "containerID": "c://1",
                    "restartCount": 0,
                    "image": "agent:1",
                    "state": {"terminated": {"exitCode": 1, "message": "last-words-canary"}},
                    "lastState": {"terminated": {"exitCode": 2, "message": "last-words-canary"}},
                }
            ],
            "initContainerStatuses": [
                {
                    "name": "discord-watcher",
                    "containerID": "c://2",
                    "restartCount": 2,
                    "lastState": {"terminated": {"exitCode": 1, "message": "what our own watcher said"}},
                }
            ],
            "ephemeralContainerStatuses": [
                {
                    "name": "debug",
                    "containerID": "c://3",
                    "restartCount": 0,
                    "state": {"waiting": {"reason": "PostStartHookError", "message": "'sh -c x' exited: hook-canary"}},
                }
            ],
        },
    }


def template() -> dict:
    notes = {"example.org/api-token": "template-canary", "checksum/config": "c" * 64}
    return {"metadata": {"annotations": notes}, "spec": pod()["spec"]}


def probe_event(container: str, message: str, reason: str = "Unhealthy") -> dict:
    about = {"kind": "Pod", "namespace": "agents", "name": "coder", "fieldPath": f"spec.containers{{{container}}}"}
    return {"metadata": meta("p"), "involvedObject": about, "reason": reason, "message": message}


LISTS = {
    "pods": [pod()],
    "deployments": [{"metadata": meta("coder"), "spec": {"template": template()}}],
    "cronjobs": [{"metadata": meta("c"), "spec": {"jobTemplate": {"spec": {"template": template()}}}}],
    "secrets": [
        {"metadata": meta("plain"), "type": "Opaque", "data": {"k": b64(PLAIN), "env": b64(MULTI), "bad": "%"}},
        {"metadata": meta("hook", annotations={"a": "b"}), "type": "Opaque", "data": {"url": b64(WEBHOOK)}},
        {"metadata": meta("forms"), "type": "x", "data": {key: b64(value) for key, value in FORMS_SECRET.items()}},
        {"metadata": meta("sa"), "type": "x", "data": {"namespace": b64("agents"), "ca.crt": b64("public-certificate")}},
    ],
    "configmaps": [
        {"metadata": meta("foreign"), "data": {"settings": "config-canary"}, "binaryData": {"b": "Y29uZmlnLWNhbmFyeQ=="}},
        {
            "metadata": meta("ours", labels={"app.kubernetes.io/part-of": "orchestrator-platform"}),
            "data": {"API_KEY": "config-canary", "url": WEBHOOK, "LOG_LEVEL": "info"},
        },
    ],
    "events": [{"metadata": meta("e"), "message": f"Back-off: {PLAIN} {GITHUB}", "lastTimestamp": "2026-01-01T00:00:00Z"},
               probe_event("agent", "Liveness probe failed: probe-canary"),
               probe_event("agent", 'Error: exec: "sh -c agent --key start-canary": executable file not found', "Failed"),
               probe_event("agent", "Exec lifecycle hook ([sh -c hook-canary]) for Container failed", "FailedPostStartHook"),
               probe_event("agent", 'Failed to pull image "r.example.org/agent:1": not found', "Failed"),
               probe_event("agent", "Error: ImagePullBackOff", "Failed"),
               probe_event("discord-watcher", "Liveness probe failed: our own 503")],
}  # fmt: skip
LOG = "\n".join(
    [
        f"2026-11-22T07:39:56.365240895Z token {TOKEN}",
        f"2026-11-22T07:39:57.365240895Z plain {PLAIN} base64 {b64(PLAIN)}",
        f"2026-11-22T07:39:57.365240895Z query {urllib.parse.quote('Correct/Horse+Battery', safe='')}",
        f"2026-11-22T07:39:58.365240895Z Authorization: Basic {b64('user:argument-canary')}",
        "2026-11-22T07:39:58.365240895Z https://user:argument-canary@example.org/",
        f"2026-11-22T07:39:59.365240895Z {GITHUB}",
        *(f"2026-11-22T07:39:59.365240895Z {line}" for line in KEY.splitlines()),
        *(f"2026-11-22T07:39:59.365240895Z form {whole} end" for whole, _part in NEW),
        "2026-11-22T07:40:00.365240895Z an ordinary line",
    ]
)


class Server:
    """An API server that answers from lists; `refused` are the resources it does not let us list."""

    def __init__(self, refused: tuple = (), log: Answer | None = None) -> None:
        self.refused = refused
        self.log = log or Answer(200, LOG)
        self.logs: list[str] = []
        self.lists: list[str] = []

    def each(self, function, items):
        return [function(item) for item in items]

    def items(self, path, *, metadata_only=False, **params):
        resource = path.rpartition("/")[2]
        self.lists.append(path)
        if resource in self.refused:
            raise ApiError(403, f"forbidden {PLAIN}", {})
        if resource.startswith("mutating"):
            raise ApiError(404, "not found", {})
        if metadata_only or "/monitor/" in path:
            return [], "1"
        return json.loads(json.dumps(LISTS.get(resource, []))), "1"

    def get(self, path):
        if "version" in self.refused:
            raise ClusterError("no answer")
        return {"gitVersion": "v1.36.3"}

    def read_text(self, path, *, timeout_s):
        self.logs.append(path)
        return self.log


def collected(server: Server, *, foreign: bool = True) -> tuple[Bundle, dict]:
    bundle = Bundle(server, ["monitor", "agents", "agents"], "discord-monitor")
    bundle.collect(log_lines=10, log_bytes=100_000, foreign_logs=foreign, versions={"ansible": "2.19", "x": PLAIN})
    return bundle, bundle.finish()


# -- the canary ----------------------------------------------------------------------------------------------------


@functools.cache
def bundle_with_reports() -> dict[str, str]:
    """The same files for every canary."""
    bundle, _index = collected(Server())
    written = [*CANARIES[:7], *(whole for whole, _part in NEW)]
    bundle.add_report("findings.json", json.dumps({"evidence": [f"x {item}" for item in written]}))
    bundle.add_report("findings.txt", "\n".join(written))
    bundle.finish()
    return bundle.files


@pytest.mark.parametrize("canary", CANARIES)
def test_no_canary_is_in_the_bundle(canary):
    """Tokens planted in env, commands, annotations, ConfigMaps, events and logs, in several encodings (D6)."""
    assert [name for name, text in bundle_with_reports().items() if canary in text] == []


def test_the_canaries_are_really_there():
    """The same texts without a redaction: the test above can fail."""
    everything = json.dumps(LISTS) + LOG + "".join(map(b64_decoded, LISTS["secrets"][0]["data"].values()))
    assert [item for item in CANARIES if item not in everything and b64(item) not in everything] == []


def test_values_without_a_shape_need_their_secret():
    """Where Secrets cannot be read, what only they tell stays; shapes are found all the same, and the index says so."""
    bundle, index = collected(Server(refused=("secrets",)))
    text = "".join(bundle.files.values())
    assert TOKEN not in text
    assert PLAIN in text
    assert index["secret_values"] == 0
    assert "by their shape alone" in "".join(index["left_out"])


# -- what is there -------------------------------------------------------------------------------------------------


def test_what_helps_is_still_there():
    """Names, images, our settings, digests and ordinary lines survive the redaction."""
    bundle, index = collected(Server())
    (shown,) = json.loads(bundle.files["objects/agents/pods.json"])
    watcher, agent = shown["spec"]["initContainers"][0], shown["spec"]["containers"][0]
    assert [entry.get("value") for entry in watcher["env"]] == [
        "/workspace",
        "<redacted>",
        "see <value of a Secret>",
        "true",
    ]
    assert (agent["image"], agent["leftOut"]) == ("agent:1", ["command", "livenessProbe"])
    assert agent["env"] == [
        {"name": "LEVEL"},
        {"name": "REF", "valueFrom": {"secretKeyRef": {"name": "plain", "key": "k"}}},
    ]
    assert shown["metadata"]["annotations"]["checksum"] == "a" * 64
    assert shown["metadata"]["annotations"]["orchestrator.platform/note"] == '{"ours": 1}'
    assert shown["metadata"]["managers"] == [{"manager": "helm", "operation": "Update"}]
    secrets = json.loads(bundle.files["objects/agents/secrets.json"])
    assert [(item["metadata"]["name"], item["keys"]) for item in secrets] == [
        ("plain", ["bad", "env", "k"]),
        ("hook", ["url"]),
        ("forms", [".dockerconfigjson", "url", "whole", "yaml"]),
        ("sa", ["ca.crt", "namespace"]),
    ]
    assert "an ordinary line" in bundle.files["logs/agents/coder/discord-watcher.log"]
    assert json.loads(bundle.files["versions.json"])["kubernetes"] == {"gitVersion": "v1.36.3"}
    assert json.loads(bundle.files["index.json"]) == index
    assert set(index["namespaces"]) == {"monitor", "agents"}


def test_one_list_a_kind_and_namespace():
    """O(kinds x namespaces) calls; Helm's records once more, as metadata."""
    server = Server()
    collected(server)
    assert len(server.lists) == 2 * (len(NAMESPACED) + 1) + len(CLUSTER_WIDE)


def test_logs_are_ours_unless_asked_and_previous_ones_where_there_are_any():
    """D14: native sidecars and ephemeral containers have logs too; a container that never ran has none."""
    ours = our_places([pod()], "r")
    mine = [(log.container, log.previous) for log in logs_of([pod()], ours, foreign=False)]
    assert mine == [("discord-watcher", False), ("discord-watcher", True)]
    every = [(log.container, log.previous) for log in logs_of([pod()], ours, foreign=True)]
    assert every == [*mine, ("agent", False), ("debug", False)]


def test_logs_are_bounded_and_a_secret_at_the_cut_is_whole_when_it_is_redacted():
    filler = "x" * 90 + "\n"
    server = Server(log=Answer(200, filler + TOKEN + "\nrest"))
    bundle = Bundle(server, ["agents"], "r")
    bundle.collect(log_lines=5, log_bytes=100, foreign_logs=False, versions={})
    assert f"limitBytes={100 + MAX_SECRET_CHARS}" in server.logs[0]
    log = bundle.files["logs/agents/coder/discord-watcher.log"]
    assert len(log) <= 100
    assert TOKEN[:9] not in log


@pytest.mark.parametrize("status", [403, 400, 500])
def test_a_log_that_cannot_be_read_is_noted(status):
    _bundle, index = collected(Server(log=Answer(status, f"no {PLAIN}")))
    rows = [row for row in index["unread"] if row["what"].startswith("logs/")]
    assert len(rows) == 4
    assert PLAIN not in json.dumps(rows)


def test_partial_permissions_make_a_smaller_bundle():
    """What could not be read stands in the index, in both shapes, and the rest is there (issue 5, item 7)."""
    bundle, index = collected(Server(refused=("secrets", "nodes", "version")))
    notes = {row["what"]: row["reason"] for row in index["unread"]}
    assert notes["secrets in agents"] == "no permission to list"
    assert notes["nodes in the cluster"] == "no permission to list"
    assert notes["mutatingadmissionpolicies in the cluster"] == "this API server does not have it"
    assert notes["version of the API server"] == "no answer"
    assert "objects/agents/pods.json" in bundle.files
    assert "secrets in agents: no permission to list" in bundle.files["index.txt"]


def test_a_complete_bundle_says_so():
    index = {
        "release": "r",
        "time": "t",
        "redacted": 0,
        "secret_values": 0,
        "files": [],
        "unread": [],
        "left_out": ["x"],
    }
    assert "Everything could be read." in index_text(index)
    assert "Left out:\n  x" in index_text(index)


def test_findings_that_are_no_json_are_noted():
    bundle, _index = collected(Server())
    bundle.add_report("findings.json", "{")
    assert "findings.json: it is no JSON" in index_text(bundle.finish())


# -- whose container it is -----------------------------------------------------------------------------------------

BOT_LABELS = {"app.kubernetes.io/component": "bot", "app.kubernetes.io/instance": "discord-monitor"}


@pytest.mark.parametrize(
    ("container", "labels", "expected"),
    [
        ({"name": "discord-watcher", "args": ["watch"]}, {}, True),
        ({"name": "input-bridge", "args": ["bridge"]}, {}, True),
        ({"name": "bot", "args": ["bot"]}, BOT_LABELS, True),
        ({"name": "bot", "args": ["bot"]}, {}, False),
        ({"name": "bot", "args": ["bot"]}, {**BOT_LABELS, "app.kubernetes.io/instance": "other"}, False),
        ({"name": "bot"}, BOT_LABELS, False),
        ({"name": "input-bridge", "args": ["serve", "--key", "x"]}, {}, False),
        ({"name": "input-bridge", "args": "bridge"}, {}, False),
        ({"name": "agent", "args": ["watch"]}, BOT_LABELS, False),
    ],
)
def test_a_name_alone_makes_no_container_ours(container, labels, expected):
    """Issue 5.7: whose settings and logs are shown is decided by name, program and, for the bot, its release."""
    assert is_ours(container, labels, "discord-monitor") is expected


def test_a_foreign_bot_is_trimmed_and_its_log_stays_out():
    """Issue 5.7, D6: in a pod, and in a template, whose own labels count and not those of the object around it."""
    foreign = {"name": "bot", "args": ["bot", "argument-canary"], "env": [{"name": "A", "value": "foreign-canary"}]}
    run = {
        "metadata": meta("helper"),
        "spec": {"containers": [foreign]},
        "status": {"containerStatuses": [{"name": "bot", "containerID": "c://1", "restartCount": 0}]},
    }
    around = {
        "metadata": meta("helper", labels=BOT_LABELS),
        "spec": {"template": {"metadata": {"labels": {"a": "b"}}, "spec": run["spec"]}},
    }
    for resource, obj in (("pods", run), ("deployments", around)):
        shown = json.dumps(printable(resource, obj, Redactor(), release="discord-monitor"))
        assert "canary" not in shown
    assert logs_of([run], our_places([run], "discord-monitor"), foreign=False) == []
    ours = {**run, "metadata": meta("helper", labels=BOT_LABELS)}
    assert our_places([ours], "discord-monitor") == {("agents", "helper", "bot")}


def test_what_our_own_containers_said_stays():
    """Their last words and probes help; those of others are left out (the canaries above)."""
    bundle, _index = collected(Server())
    assert "what our own watcher said" in bundle.files["objects/agents/pods.json"]
    events = bundle.files["events/agents.json"]
    assert "our own 503" in events
    assert "Liveness probe failed: <left out" in events
    assert "Error: <left out" in events
    assert "Exec lifecycle hook: <left out" in events
    assert 'Failed to pull image \\"r.example.org/agent:1\\": not found' in events
    assert "Error: ImagePullBackOff" in events
    assert "c" * 64 in bundle.files["objects/agents/deployments.json"]


@pytest.mark.parametrize("control", ["\x1b[31m", "\x07", "\x9b2J", "\u202e", "\r", "\x00"])
def test_no_file_of_text_commands_a_terminal(control):
    """Issue 5.7: findings, logs and the index are looked at with cat; foreign text in them moves no cursor."""
    bundle, _index = collected(Server(log=Answer(200, f"one\r\ntwo {control} end\n")))
    bundle.add_report("findings.txt", f"FAIL  x\n      Pod {control}: evidence\n")
    bundle.note("x", f"because {control}")
    bundle.finish()
    texts = {name: text for name, text in bundle.files.items() if not name.endswith(".json")}
    assert [name for name, text in texts.items() if control[0] in text] == []
    assert texts["findings/findings.txt"].count("\n") == 2
    assert "one\ntwo " in texts["logs/agents/coder/discord-watcher.log"]


@pytest.mark.parametrize(
    ("reason", "stays"),
    [
        ("CrashLoopBackOff", True),
        ("ImagePullBackOff", True),
        ("ErrImagePull", True),
        ("ErrImageNeverPull", True),
        ("InvalidImageName", True),
        ("CreateContainerConfigError", True),
        ("ContainerCreating", True),
        ("PodInitializing", True),
        ("PostStartHookError", False),
        ("RunContainerError", False),
        ("CreateContainerError", False),
        ("SomethingNew", False),
        (None, False),
    ],
)
def test_a_wait_is_told_where_the_kubelet_alone_speaks(reason, stays):
    """Issue 5.7: the message of a failed hook or start holds the container's command and output."""
    state = {"waiting": {"reason": reason, "message": "it is said"}}
    run = {"metadata": meta("x"), "status": {"initContainerStatuses": [{"name": "a", "state": state}]}}
    (item,) = printable("pods", run, Redactor())["status"]["initContainerStatuses"]
    assert (item["state"]["waiting"]["message"] == "it is said") is stays
    assert item["state"]["waiting"]["reason"] == reason
    ours = printable("pods", run, Redactor(), ours={("agents", "x", "a")})
    assert ours["status"] == run["status"]


@pytest.mark.parametrize(
    "value",
    ['{"a": 1}', " [1]\n", b64('{"a": 1}'), b64("[1]"), "[" * 100_000],
    ids=["object", "list", "b64", "b64 list", "deep"],
)
def test_an_annotation_that_is_an_object_is_left_out(value):
    """Issue 5.7: it repeats values that are left out elsewhere; what the platform itself notes stays."""
    notes = {"example.org/x": value, "orchestrator.platform/x": value[:99]}
    shown = printable("services", {"metadata": meta("x", annotations=notes)}, Redactor())["metadata"]["annotations"]
    assert shown == {"example.org/x": "<left out: it repeats an object>", "orchestrator.platform/x": value[:99]}


@pytest.mark.parametrize("value", ["true", "3", "{a} of b", "[x", "e30", "plaintext123", "", "2026-01-01", "abcd"])
def test_other_annotations_stay(value):
    obj = {"metadata": meta("x", annotations={"example.org/x": value})}
    assert printable("services", obj, Redactor())["metadata"] == obj["metadata"]


# -- the redaction -------------------------------------------------------------------------------------------------


def test_shapes_are_those_of_the_watcher():
    """One list of shapes, written down twice since the programs and the modules cannot import each other."""
    assert _redact._SHAPES == redaction._SHAPES


SAMPLES = {
    "private key": KEY,
    "Discord webhook": WEBHOOK,
    "password": "redis://user:hunter2@host",
    "JSON web token": "eyJhbGciOi.eyJzdWIiOiIx.c2lnbmF0dXJl",
    "Discord bot token": TOKEN,
    "GitHub token": GITHUB,
    "GitLab token": "glpat-" + "a1B2" * 6,
    "Anthropic key": "sk-ant-" + "a1B2" * 6,
    "API key": "sk_live_" + "a1B2" * 6,
    "AWS key": "AKIA" + "A1B2" * 4,
    "Slack token": "xoxb-" + "1234567890",
    "Google key": "AIza" + "a1B2c" * 7,
    "registry token": "npm_" + "a1B2" * 9,
    "bearer token": "Bearer " + "a1B2" * 6,
    "credentials": "authorization: Basic " + b64("user:password"),
    "secret value": "client_secret=abc123def456",
}


@pytest.mark.parametrize("kind", sorted({kind for kind, _needles, _shape in _redact._SHAPES}))
def test_every_shape_is_found_between_ordinary_lines(kind):
    """The shortcut that skips a pattern without its text must not skip one that has it."""
    text = f"first\nbefore {SAMPLES[kind]} after\nlast"
    shown = Redactor().text(text)
    assert "<" in shown
    assert SAMPLES[kind].split()[-1] not in shown
    assert shown.startswith("first\nbefore ")
    assert shown.endswith("last")
    expected = redaction.Redactor()(text)
    assert (redaction.mark(kind) in expected) or kind in ("Discord webhook", "Discord bot token")


@given(
    value=st.text(min_size=12, max_size=60).filter(lambda text: len(text.strip()) >= 12), before=st.text(max_size=20)
)
def test_a_known_value_never_stays(value, before):
    """Itself, in base64, in JSON and in a URL, wherever it stands."""
    redactor = Redactor([value])
    for form in (
        value,
        json.dumps(value)[1:-1],
        urllib.parse.quote(value, safe="", errors="replace"),
        base64.b64encode(value.encode("utf-8", "replace")).decode(),
    ):
        assert form not in redactor.text(f"{before} {form} after")


@given(
    st.recursive(
        st.none() | st.booleans() | st.integers() | st.text(),
        lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
    )
)
def test_any_object_is_printable(value):
    """Whatever an object holds, it becomes JSON; twice gives the same (D14 lists may be of any type)."""
    for resource in ("pods", "secrets", "configmaps"):
        obj = {"metadata": {"name": "x"}, "spec": {"containers": [value], "x": value}}
        once = printable(resource, obj, Redactor())
        json.dumps(once)


@given(
    value=st.text(min_size=12, max_size=40).filter(lambda text: len(text.strip()) >= 12),
    before=st.text(max_size=7),
    after=st.text(max_size=7),
)
def test_a_known_value_never_stays_within_base64_or_a_url(value, before, after):
    """Issue 5.7: at any alignment, and in the ways that Python, JavaScript and Go write a URL or JSON."""
    value, before, after = (text.encode("utf-8", "replace").decode() for text in (value, before, after))
    redactor = Redactor([value])
    for whole, part in [inside(before, value, after), *forms(value)]:
        assert part not in redactor.text(f"x {whole} y")


@pytest.mark.parametrize(
    ("value", "secret"),
    [
        (FORMS_SECRET[".dockerconfigjson"], IN_JSON),
        (FORMS_SECRET[".dockerconfigjson"], IN_AUTH),
        (FORMS_SECRET["url"], IN_URL),
        (FORMS_SECRET["url"], urllib.parse.quote(IN_URL, safe="")),
        (FORMS_SECRET["yaml"], IN_YAML),
        (FORMS_SECRET["yaml"], IN_LIST),
        (json.dumps({"db": {"url": "mysql://a:Unusual-pass@db"}}), "Unusual-pass"),
        (json.dumps([[["Unusual-pass"]]]), "Unusual-pass"),
        ("http://a:Unusual@p/ss@proxy", "Unusual@p/ss"),
        ("password: Unusual-pass # comment", "Unusual-pass"),
        ("PASSWORD=Unusual-pass # comment\nX=[", "Unusual-pass"),
        ("  'password': 'Unusual-pass',\n  x", "Unusual-pass"),
        ("password: &a Unusual-pass\nother: *a\n", "Unusual-pass"),
        ("a: {b: [{c: Unusual-pass}]}", "Unusual-pass"),
        ("a: |\n  first\n  x=Unusual-pass\n", "Unusual-pass"),
        (b64("user:Unusual-pass"), "Unusual-pass"),
        (f"users: [{{name: me, user: {{client-key-data: {b64(KEY)}}}}}]", KEY.splitlines()[1]),
    ],
)
def test_what_is_in_a_value_is_known_too(value, secret):
    """Issue 5.7: texts in JSON, YAML and base64, passwords in URLs, values before a comment or a comma."""
    assert Redactor([value]).text(f"it is {secret}.") == "it is <value of a Secret>."


KUBECONFIG = """apiVersion: v1
kind: Config
clusters: [{name: kubernetes, cluster: {server: "https://cluster.example.org:6443"}}]
contexts:
- context:
    cluster: kubernetes
    user: kubernetes-admin
  name: kubernetes-admin@kubernetes
current-context: kubernetes-admin@kubernetes
"""


@pytest.mark.parametrize(
    "text", ["app.kubernetes.io/name", "https://cluster.example.org:6443", "the password is wrong"]
)
@pytest.mark.parametrize(
    "value", [KUBECONFIG, "password: long enough", '{"password": "long enough", "kind": "kubernetes"}']
)
def test_names_and_keys_in_a_value_blank_nothing(text, value):
    """A kubeconfig is a Secret often; its names are those of half of the cluster's objects."""
    assert Redactor([value]).text(text) == text


BOMB = "a0: &a0 [x]\n" + "\n".join(f"a{n}: &a{n} [{','.join([f'*a{n - 1}'] * 9)}]" for n in range(1, 200))
MERGES = "a0: &a0 {x: y}\n" + "\n".join(f"a{n}: &a{n} {{<<: [*a{n - 1}, *a{n - 1}]}}" for n in range(1, 200))


@pytest.mark.parametrize("value", [BOMB, MERGES, "a: " + "[" * 16_000, "[" * 100_000, "a: &a [*a]", "a: [", "x: 2026-99-99",
                                   "? {a: b}\n: c", "a: !!python/name:os.system x", "%", "- \x00", "://a:" * 20_000,
                                   json.dumps([f"value {n}" for n in range(20_000)])])  # fmt: skip
def test_an_awkward_value_is_read_all_the_same(value):
    """Nothing grows, nothing is made of it, nothing is raised; the value itself is known."""
    assert Redactor([f"{value}\nand=Unusual-pass"]).text("it is Unusual-pass") == "it is <value of a Secret>"


def test_a_value_is_known_where_there_is_no_reader_of_yaml(monkeypatch):
    monkeypatch.setitem(sys.modules, "yaml", None)
    assert Redactor(["password: Unusual-pass # x"]).text("Unusual-pass") == "<value of a Secret>"


def test_values_that_overlap_leave_no_rest():
    redactor = Redactor(["first-and-middle", "middle-and-last-one"])
    assert redactor.text("a first-and-middle-and-last-one b first-and-middle") == (
        "a <value of a Secret> b <value of a Secret>"
    )
    assert redactor.count == 2


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("clientSecret", "abc123def456"),
        ("clientSecret", "correct horse battery"),
        ("x-api-key", "abcdefgh"),
        ("DB_PASSWORD_OLD", "abcdefgh"),
        ("private-key", "abcdefgh"),
        ("aws_secret_access_key", "abcdefgh"),
        ("passphrase", "abcdefgh"),
        ("credentials", '{"user": "me"}'),
        ("secret", "abc123def456"),
        ("secret", "Abcdefgh-ij"),
        ("example.org/api-token", "abcdefgh"),
    ],
)
def test_a_secret_key_of_an_object_hides_its_value(key, value):
    """Issue 5.7: as it does in a text."""
    redactor = Redactor()
    assert redactor.tree([{key: value, "other": {key: value}}]) == [{key: "<redacted>", "other": {key: "<redacted>"}}]
    assert redactor.count == 2


def test_the_auth_of_an_object_hides_its_value():
    redactor = Redactor()
    shown = redactor.tree({"auth": b64("user:password"), "Authorization": "abc123def456"})
    assert shown == {"auth": "<credentials>", "Authorization": "<credentials>"}
    assert redactor.tree({"auth": "required", "authorization": "Webhook"}) == {
        "auth": "required",
        "authorization": "Webhook",
    }
    assert redactor.count == 2


PLAIN_TREE = {
    "secretName": "discord-webhook-2",
    "secretKeyRef": {"name": "discord-bot", "key": "BOT_TOKEN", "optional": False},
    "secretRef": {"name": "agent-settings"},
    "nodePublishSecretRef": {"name": "vault-access"},
    "imagePullSecrets": [{"name": "registry-credentials-1"}],
    "secrets": [{"name": "sa-token-x7k2p"}, "sa-token-x7k2p"],
    "secret": {"secretName": "tls-of-the-bot", "items": [{"key": "token", "path": "token"}]},
    "serviceAccountToken": {"path": "api-token", "expirationSeconds": 3607, "audience": "vault"},
    "tokenExpirationSeconds": "36070000",
    "tokenPath": "/var/run/secrets/tokens/vault-token",
    "TOKEN_FILE": "/var/run/secrets/tokens/vault-token",
    "existingSecret": "orchestrator-secrets",
    "webhookSecretName": "discord-webhook",
    "secretNamespace": "discord-monitor",
    "automountServiceAccountToken": False,
    "tokens": True,
    "token": "token",
    "apiToken": "$(OTHER_TOKEN)",
    "password": "<13 characters>",
    "secretProviderClass": "agents-vault-2",
    "resources": ["secrets", "serviceaccounts/token"],
    "matrix": [{"secret": "agents/discord-webhook-2"}, {"secret": "discord-webhook-2"}, {"secret": "discordbot"}],
}


def test_names_of_secrets_survive_in_objects():
    redactor = Redactor()
    assert redactor.tree(PLAIN_TREE) == PLAIN_TREE
    assert redactor.count == 0


@pytest.mark.parametrize("name", ["workloads.yaml", "rollouts.yaml", "snippet.json"])
def test_objects_of_the_fixtures_are_as_before(name):
    """Nothing in them is secret, and all of it helps."""
    objects = list(yaml.safe_load_all((FIXTURES / name).read_text()))
    assert Redactor().tree(objects) == objects


def test_remembered_texts_are_counted_each_time():
    redactor = Redactor()
    redactor.tree([f"a {GITHUB}", f"a {GITHUB}", {"k": "fine"}])
    assert redactor.count == 2


# -- the archive ---------------------------------------------------------------------------------------------------


def test_archive_is_for_its_owner_alone(tmp_path):
    """Mode 0600, also where a readable file was; its members too."""
    target = tmp_path / "b.tar.gz"
    target.write_text("old")
    target.chmod(0o644)
    size = write_archive(str(target), {"a/b.txt": "x\ud800", "c": ""})
    assert (stat.S_IMODE(target.stat().st_mode), size) == (0o600, target.stat().st_size)
    with tarfile.open(target) as archive:
        assert [(item.name, item.mode) for item in archive] == [
            ("support-bundle/a/b.txt", 0o600),
            ("support-bundle/c", 0o600),
        ]
    assert [path.name for path in tmp_path.iterdir()] == ["b.tar.gz"]


def test_a_place_that_cannot_be_written_is_one_sentence(tmp_path):
    with pytest.raises(PlatformError, match="correct dest"):
        write_archive(str(tmp_path / "none" / "b.tar.gz"), {})
    (tmp_path / "folder").mkdir()
    with pytest.raises(PlatformError, match="correct dest"):
        write_archive(str(tmp_path / "folder"), {"a": "b"})
    assert [path.name for path in tmp_path.iterdir()] == ["folder"]

# SPDX-License-Identifier: GPL-3.0-or-later
# SPDX-FileCopyrightText: 2026 The orchestrator.platform authors
"""The support bundle: no planted secret is in the archive, and what could not be read is said (D6; issue 5, item 7)."""

from __future__ import annotations

import base64
import json
import stat
import tarfile
import urllib.parse

import pytest
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

from .conftest import TOKEN, WEBHOOK, b64

# Without any shape: only its Secret tells what it is.
PLAIN = "Tr0ub4dor-and-three-more"
MULTI = "user=planted\npassword=Correct/Horse+Battery\n"
KEY = (
    "-----BEGIN PRIVATE KEY-----\n"
    + "\n".join("MIIEvQ" + letter * 58 for letter in "abc")
    + "\n-----END PRIVATE KEY-----"
)
GITHUB = "ghp_" + "a1B2" * 9
CANARIES = [
    TOKEN, WEBHOOK, WEBHOOK.rpartition("/")[2], PLAIN, b64(PLAIN), urllib.parse.quote("Correct/Horse+Battery", safe=""),
    "Correct/Horse+Battery", "MIIEvQaaaa", GITHUB, "argument-canary", "annotation-canary", "foreign-canary", "config-canary",
    "last-words-canary", "probe-canary", "template-canary",
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
            "ephemeralContainerStatuses": [{"name": "debug", "containerID": "c://3", "restartCount": 0}],
        },
    }


def template() -> dict:
    notes = {"example.org/api-token": "template-canary", "checksum/config": "c" * 64}
    return {"metadata": {"annotations": notes}, "spec": pod()["spec"]}


def probe_event(container: str, message: str) -> dict:
    about = {"kind": "Pod", "namespace": "agents", "name": "coder", "fieldPath": f"spec.containers{{{container}}}"}
    return {"metadata": meta("p"), "involvedObject": about, "reason": "Unhealthy", "message": message}


LISTS = {
    "pods": [pod()],
    "deployments": [{"metadata": meta("coder"), "spec": {"template": template()}}],
    "cronjobs": [{"metadata": meta("c"), "spec": {"jobTemplate": {"spec": {"template": template()}}}}],
    "secrets": [
        {"metadata": meta("plain"), "type": "Opaque", "data": {"k": b64(PLAIN), "env": b64(MULTI), "bad": "%"}},
        {"metadata": meta("hook", annotations={"a": "b"}), "type": "Opaque", "data": {"url": b64(WEBHOOK)}},
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


@pytest.mark.parametrize("canary", CANARIES)
def test_no_canary_is_in_the_bundle(canary):
    """Tokens planted in env, commands, annotations, ConfigMaps, events and logs, in several encodings (D6)."""
    bundle, _index = collected(Server())
    bundle.add_report("findings.json", json.dumps({"evidence": [f"x {item}" for item in CANARIES[:7]]}))
    bundle.add_report("findings.txt", "\n".join(CANARIES[:7]))
    bundle.finish()
    assert [name for name, text in bundle.files.items() if canary in text] == []


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
    assert shown["metadata"]["managers"] == [{"manager": "helm", "operation": "Update"}]
    secrets = json.loads(bundle.files["objects/agents/secrets.json"])
    assert [(item["metadata"]["name"], item["keys"]) for item in secrets] == [
        ("plain", ["bad", "env", "k"]),
        ("hook", ["url"]),
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

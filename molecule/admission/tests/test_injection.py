# SPDX-License-Identifier: GPL-3.0-or-later
# SPDX-FileCopyrightText: 2026 The orchestrator.platform authors
"""Which pods get a sidecar and which do not, by dry runs; a pod is never refused because of it."""

from __future__ import annotations

import pytest

from dry_runs import DryRuns, watcher_of
from real_cluster import Json

testinfra_hosts = ["local://"]

AGENT = {"name": "agent", "image": "agent"}
BARE: Json = {"automountServiceAccountToken": False, "containers": [AGENT]}
PREFIX = "orchestrator.platform/"
RESTRICTED = {
    "runAsUser": 1000,
    "runAsNonRoot": True,
    "allowPrivilegeEscalation": False,
    "capabilities": {"drop": ["ALL"]},
    "seccompProfile": {"type": "RuntimeDefault"},
}


def agent(**fields: object) -> Json:
    return {**BARE, "containers": [{**AGENT, **fields}]}


def mounting(path: str, **more: object) -> Json:
    return agent(volumeMounts=[{"name": "own", "mountPath": path, **more}]) | {
        "volumes": [{"name": "own", "emptyDir": {}}]
    }


def injected(api: DryRuns, spec: Json, namespace: str = "adm-agents", **notes: str) -> Json:
    """The pod spec with the sidecar; keyword arguments are our annotations, with _ for -."""
    answer = api.pod(spec, namespace, notes={PREFIX + key.replace("_", "-"): value for key, value in notes.items()})
    assert answer.status == 201, answer.said
    return answer.body["spec"]


def test_order_of_init_containers(api: DryRuns):
    """Issue 4.3: absent, empty and present; the sidecar comes last and the others stay."""
    for given in ({}, {"initContainers": []}, {"initContainers": [{"name": "setup", "image": "s"}]}):
        spec = injected(api, {**BARE, **given})
        wanted = [c["name"] for c in given.get("initContainers", [])] + ["discord-watcher"]
        assert [c["name"] for c in spec["initContainers"]] == wanted


def test_restricted_namespace(api: DryRuns):
    """DM-148: Pod Security restricted takes the injected pod."""
    assert watcher_of(injected(api, agent(securityContext=RESTRICTED), "adm-restricted"))


@pytest.mark.parametrize(
    ("spec", "mount"),
    [
        (mounting("/home/agent/.claude"), {"name": "own"}),
        (mounting("/home/agent/.claude", subPath="a"), {"name": "own", "subPath": "a"}),
        (mounting("/home/agent"), {"name": "own", "mountPath": "/home/agent"}),
        (mounting("/home/", subPath="users"), {"name": "own", "mountPath": "/home", "subPath": "users"}),
        (mounting("/root/.claude"), {"name": "own"}),
        (mounting("/root/.claude/projects/x"), {"name": "own", "mountPath": "/home/agent/.claude/projects/x"}),
        (mounting("/home/agent/.claude-other"), {"name": "discord-transcripts"}),
        (mounting("/root/.claude", readOnly=True), {"name": "discord-transcripts"}),
    ],
)
def test_the_agents_own_volume(spec: Json, mount: Json, api: DryRuns):
    """Issue 4.1: the mount that holds the transcripts is read, read-only; nothing is mounted over the agent's data."""
    found = injected(api, spec)
    wanted = {"mountPath": "/home/agent/.claude", "readOnly": True, **mount}
    assert watcher_of(found)["volumeMounts"][0] == wanted
    added = [m["name"] for m in found["containers"][0]["volumeMounts"]][1:]
    assert added == (["discord-transcripts"] if mount["name"] == "discord-transcripts" else [])


@pytest.mark.parametrize(
    ("notes", "path", "value"),
    [
        ({"image": "r.example.org:5000/team/dm:1.2"}, "image", "r.example.org:5000/team/dm:1.2"),
        ({"log_level": "debug"}, "LOG_LEVEL", "debug"),
        ({"parity_mode": "true"}, "PARITY_MODE", "true"),
        ({"thread_id": "12345678901234567890"}, "DISCORD_THREAD_ID", "12345678901234567890"),
        ({"filters": '{"includeTools":["$(X)"]}'}, "FILTERS", '{"includeTools":["$$(X)"]}'),
        ({"webhook_secret_name": "mine.too"}, "DISCORD_WEBHOOK_URL", {"name": "mine.too", "key": "DISCORD_WEBHOOK_URL", "optional": True}),
        ({"webhook_secret_key": "URL_2"}, "DISCORD_WEBHOOK_URL", {"name": "discord-secrets", "key": "URL_2", "optional": True}),
        ({"cpu_request": "50m"}, "requests.cpu", "50m"),
        ({"cpu_limit": "1"}, "limits.cpu", "1"),
        ({"memory_request": "64Mi"}, "requests.memory", "64Mi"),
        ({"memory_limit": "1Gi"}, "limits.memory", "1Gi"),
    ],
)  # fmt: skip
def test_an_override_is_honoured(notes: dict[str, str], path: str, value: object, api: DryRuns):
    """Issue 4.1, per-workload override by annotation: exactly this field differs from the sidecar without annotation."""
    plain, found = watcher_of(injected(api, BARE)), watcher_of(injected(api, BARE, **notes))
    assert (flat(found)[path], len(flat(found).items() - flat(plain).items())) == (str(value), 1)


def flat(watcher: Json) -> dict[str, str]:
    """Image, environment and resources by name, and all the rest as one text."""
    rest = {key: part for key, part in watcher.items() if key not in ("image", "env", "resources")}
    out = {"rest": str(rest), "image": watcher["image"]}
    for entry in watcher["env"]:
        reference = entry.get("valueFrom", {}).get("secretKeyRef")
        chosen = reference and str({key: reference[key] for key in ("name", "key", "optional")})
        out[entry["name"]] = chosen or entry.get("value", "")  # the API server drops an empty value
    for bound, parts in watcher["resources"].items():
        out |= {f"{bound}.{what}": amount for what, amount in parts.items()}
    return out


def test_the_agents_container_is_named(api: DryRuns):
    """Annotation container: the second one gets the mount, the first one nothing."""
    two = {**BARE, "containers": [{"name": "proxy", "image": "p"}, AGENT]}
    first, second = injected(api, two, container="agent")["containers"]
    assert ("volumeMounts" in first, [m["name"] for m in second["volumeMounts"]]) == (False, ["discord-transcripts"])


@pytest.mark.parametrize(
    ("spec", "mounts"),
    [
        (mounting("/data", subPath="s"), [("own", "/data")]),
        ({**BARE, "volumes": [{"name": "own", "emptyDir": {}}]}, [("own", "/home/agent/.claude")]),
    ],
)
def test_a_named_volume(spec: Json, mounts: list[tuple[str, str]], api: DryRuns):
    """Annotation transcript-volume: read where the agent has it, mounted for the agent too where it has not."""
    found = injected(api, spec, transcript_volume="own")
    assert [(m["name"], m["mountPath"]) for m in found["containers"][0]["volumeMounts"]] == mounts
    mount = watcher_of(found)["volumeMounts"][0]
    assert (mount["name"], mount.get("subPath")) == ("own", "s" if mounts[0][1] == "/data" else None)
    assert [v["name"] for v in found["volumes"]] == ["own", "discord-state"]


WRONG_NOTES = {
    "image": ["team/UPPER", "two words", "a:b:c", ""],
    "log-level": ["trace", "INFO", ""],
    "filters": ["[]", "Bash", ""],
    "webhook-secret-name": ["Upper", "-a", "", "discord-monitor-bot"],
    "webhook-secret-key": ["a/b", "..", ""],
    "input-secret-name": ["Upper", "discord-monitor-bot"],
    "input-secret-key": ["a/b"],
    "parity-mode": ["yes", "True", ""],
    "thread-id": ["12a", "-1", "123456789012345678901", ""],
    "cpu-request": ["lots", "-1", "0", "2", ""],
    "cpu-limit": ["5m", "x", "0"],
    "memory-request": ["1Gi", "64m", "-1Mi"],
    "memory-limit": ["16Mi", "0", "big"],
    "container": ["nobody"],
    "transcript-volume": ["nothing"],
    "run-as-user": ["0"],
    "securityContext": ["{}"],
}


@pytest.mark.parametrize(("note", "value"), [(note, value) for note, values in WRONG_NOTES.items() for value in values])
def test_a_wrong_override_gives_no_sidecar(note: str, value: str, api: DryRuns):
    """Issue 4.3, fail-open: the pod is made as it was asked for."""
    answer = api.pod(BARE, "adm-agents", notes={PREFIX + note: value})
    assert answer.status == 201, answer.said
    assert answer.body["spec"] == api.pod(BARE, "adm-plain").body["spec"]


VOLUMES = {"secret": {"secretName": "x"}, "configMap": {"name": "x"}, "projected": {"sources": []}}
# Why a pod gets no sidecar: (spec, namespace, annotations, labels)
LEFT_ALONE = {
    "opt-out": (BARE, "adm-agents", {PREFIX + "inject": " FALSE"}, None),
    **{f"unclear-{word!r}": (BARE, "adm-agents", {PREFIX + "inject": word}, None) for word in ("no", "0", "")},
    "namespace-opt-out": (BARE, "adm-out", {}, None),
    "no-label": (BARE, "adm-agents", {}, {"app": "x"}),
    "label-false": (BARE, "adm-agents", {}, {PREFIX + "monitor": "false"}),
    "namespace-not-selected": (BARE, "adm-plain", {}, None),
    "host-network": ({**BARE, "hostNetwork": True}, "adm-agents", {}, None),
    "port-taken": (agent(ports=[{"containerPort": 8080}]), "adm-agents", {}, None),
    "port-probed": (agent(livenessProbe={"tcpSocket": {"port": 8080}}), "adm-agents", {}, None),
    "port-hooked": (agent(lifecycle={"preStop": {"httpGet": {"port": 8080}}}), "adm-agents", {}, None),
    "port-taken-by-sidecar": (
        {**BARE, "initContainers": [{"name": "i", "image": "i", "restartPolicy": "Always", "ports": [{"containerPort": 8080}]}]},
        "adm-agents", {}, None),
    "classic-watcher": ({**BARE, "containers": [AGENT, {"name": "discord-watcher", "image": "own"}]}, "adm-agents", {}, None),
    "volume-name-taken": ({**BARE, "volumes": [{"name": "discord-state", "hostPath": {"path": "/x"}}]}, "adm-agents", {}, None),
    "sub-path-expression": (
        agent(env=[{"name": "X", "value": "x"}], volumeMounts=[{"name": "own", "mountPath": "/home/agent", "subPathExpr": "$(X)"}])
        | {"volumes": [{"name": "own", "emptyDir": {}}]}, "adm-agents", {}, None),
    "path-taken-by-another": (
        agent(volumeMounts=[{"name": "own", "mountPath": "/home/agent/.claude"}])
        | {"volumes": [{"name": "own", "emptyDir": {}}, {"name": "second", "emptyDir": {}}]},
        "adm-agents", {PREFIX + "transcript-volume": "second"}, None),
    "parent-is-the-root": (mounting("/"), "adm-agents", {}, None),
    "pod-resources": ({**BARE, "resources": {"requests": {"cpu": "1m"}}}, "adm-agents", {}, None),
    "windows": ({**BARE, "os": {"name": "windows"}}, "adm-agents", {}, None),
    "trial-of-somebody": (BARE, "adm-agents", {}, {PREFIX + "monitor": "true", PREFIX + "trial": "none"}),
    **{
        f"no-store-{kind}": (
            agent(volumeMounts=[{"name": "own", "mountPath": "/home/agent/.claude"}]) | {"volumes": [{"name": "own", kind: source}]},
            "adm-agents", {}, None)
        for kind, source in VOLUMES.items()
    },
}  # fmt: skip


@pytest.mark.parametrize("case", LEFT_ALONE)
def test_left_alone(case: str, api: DryRuns):
    """Issue 4.3: opt-out honoured, and whatever the module would skip; the pod is made, unchanged."""
    spec, namespace, notes, labels = LEFT_ALONE[case]
    answer = api.pod(spec, namespace, notes=notes, labels=labels)
    assert answer.status == 201, answer.said
    assert answer.body["spec"] == api.pod(spec, "adm-plain", labels={}).body["spec"]
    assert PREFIX + "snippet-hash" not in answer.body["metadata"].get("annotations", {})

# SPDX-License-Identifier: GPL-3.0-or-later
# SPDX-FileCopyrightText: 2026 The orchestrator.platform authors
"""Hypothesis strategies: workloads of real-world shape, and what a user may ask to be done with them."""

from __future__ import annotations

from ansible_collections.orchestrator.platform.plugins.module_utils._overrides import parse_overrides
from ansible_collections.orchestrator.platform.plugins.module_utils._sidecar import Options
from ansible_collections.orchestrator.platform.plugins.module_utils._workloads import KINDS, PATCHABLE
from hypothesis import strategies as st

CLAUDE = "/home/agent/.claude"
PATHS = [
    "/data", "/home", "/home/agent", CLAUDE, f"{CLAUDE}/projects", f"{CLAUDE}/settings.json", "/root/.claude",
    "/root/.claude/projects", "/etc/agent", "/var/run/discord-bridge",
]  # fmt: skip
SOURCES = {
    "work": {"persistentVolumeClaim": {"claimName": "work"}},
    "cache": {"emptyDir": {}},
    "memory": {"emptyDir": {"medium": "Memory", "sizeLimit": "64Mi"}},
    "settings": {"configMap": {"name": "settings"}},
    "tokens": {"projected": {"sources": [{"serviceAccountToken": {"path": "token"}}, {"secret": {"name": "key"}}]}},
    # The published snippet's own names: an equal volume is shared, another one is a conflict.
    "discord-state": {"emptyDir": {"sizeLimit": "16Mi"}},
    "discord-transcripts": {"hostPath": {"path": "/srv"}},
}
_PLAIN = ("work", "cache", "memory", "settings", "tokens")

ids = st.sampled_from([0, 1000, 2000])
contexts = st.fixed_dictionaries(
    {}, optional={"runAsUser": ids, "runAsGroup": st.sampled_from([0, 3000]), "runAsNonRoot": st.booleans()}
)


def mounts(volumes: list[str]) -> st.SearchStrategy[list[dict]]:
    """Mounts of the given volumes, each path once."""
    if not volumes:
        return st.just([])
    return st.lists(
        st.fixed_dictionaries(
            {"name": st.sampled_from(volumes), "mountPath": st.sampled_from(PATHS)},
            optional={"subPath": st.sampled_from(["a", "a/b"]), "readOnly": st.booleans()},
        ),
        max_size=3,
        unique_by=lambda item: item["mountPath"],
    )


def containers(name: str, volumes: list[str]) -> st.SearchStrategy[dict]:
    """A container as its owner writes it."""
    return st.fixed_dictionaries(
        {"name": st.just(name), "image": st.sampled_from(["x:1", "registry.example.org/team/agent@sha256:" + "a" * 64])},
        optional={
            "volumeMounts": mounts(volumes),
            "securityContext": contexts,
            "env": st.just([{"name": "A", "value": "1"}, {"name": "KEY", "valueFrom": {"secretKeyRef": {"name": "k", "key": "k"}}}]),
            "envFrom": st.just([{"secretRef": {"name": "k"}}]),
            "ports": st.just([{"containerPort": 3000, "protocol": "TCP"}]),
            "resources": st.just({"requests": {"cpu": "1", "memory": "1Gi"}}),
            "command": st.just(["sh", "-c", "exec agent"]),
        },
    )  # fmt: skip


@st.composite
def pod_specs(draw: st.DrawFn) -> dict:
    """A pod spec: several containers, init containers, native sidecars, volumes of any source, some of our names."""
    volumes = draw(st.lists(st.sampled_from(_PLAIN), unique=True))
    rare = draw(st.integers(0, 9))
    if rare < 2:
        volumes.append(("discord-state", "discord-transcripts")[rare])
    spec: dict = {
        "containers": [
            draw(containers(name, volumes)) for name in ("agent", "proxy", "metrics")[: draw(st.integers(1, 3))]
        ]
    }
    init = [draw(containers(f"init-{at}", volumes)) for at in range(draw(st.integers(0, 2)))]
    init += [
        {**draw(containers(f"mesh-{at}", volumes)), "restartPolicy": "Always"} for at in range(draw(st.integers(0, 1)))
    ]
    if init or draw(st.booleans()):
        spec["initContainers"] = init
    if volumes or draw(st.booleans()):
        spec["volumes"] = [{"name": name, **SOURCES[name]} for name in volumes]
    if draw(st.booleans()):
        spec["securityContext"] = draw(contexts)
    if rare == 9:
        spec["hostNetwork"] = True
    return {**spec, **draw(st.fixed_dictionaries({}, optional={"shareProcessNamespace": st.booleans()}))}


def of_kind(kind: str, template: dict) -> dict:
    """An object of a kind with that pod template; a Pod is its own."""
    metadata = {"name": "w", "namespace": "n", "uid": "u"}
    if kind == "Pod":
        given = template.get("metadata", {})
        return {"apiVersion": "v1", "kind": kind, "metadata": {**metadata, **given}, "spec": template["spec"]}
    spec: dict = template
    for key in reversed(KINDS[kind].template[1:]):
        spec = {key: spec}
    return {"apiVersion": KINDS[kind].group_version, "kind": kind, "metadata": metadata, "spec": spec}


templates = st.fixed_dictionaries(
    {"spec": pod_specs()},
    optional={
        "metadata": st.fixed_dictionaries(
            {"labels": st.just({"a": "b"})}, optional={"annotations": st.just({"c": "d"})}
        )
    },
)
overrides = st.fixed_dictionaries(
    {},
    optional={
        "image": st.just("mirror.example.org/discord-monitor:2"),
        "log_level": st.sampled_from(["debug", "error"]),
        "filters": st.just({"includeTools": ["Bash", "$(X)"]}),
        "parity_mode": st.booleans(),
        "thread_id": st.just("1234567890"),
        "memory_limit": st.just("96Mi"),
        "webhook_secret_name": st.just("other"),
        "input_secret_name": st.just("of-the-bridge"),
        "input_secret_key": st.just("KEY"),
    },
).map(parse_overrides)


@st.composite
def options(draw: st.DrawFn, kind: str, *, new: bool = False) -> Options:
    """Options that fit a kind: what runs to its end takes a native sidecar alone (D3)."""
    native = kind in ("Job", "CronJob") or draw(st.booleans())
    return Options(native=native, bridge=draw(st.booleans()), overrides=draw(overrides), new=new)


@st.composite
def cases(draw: st.DrawFn) -> tuple[str, dict, Options, Options]:
    """Kind, object, and two ways to ask for it, for workloads that a cluster holds."""
    kind = draw(st.sampled_from(PATCHABLE))
    return kind, of_kind(kind, draw(templates)), draw(options(kind)), draw(options(kind))


@st.composite
def manifests(draw: st.DrawFn) -> tuple[str, dict, Options, Options]:
    """The same for manifests of any kind that no cluster holds yet."""
    kind = draw(st.sampled_from(list(KINDS)))
    obj = of_kind(kind, draw(templates))
    del obj["metadata"]["uid"]
    return kind, obj, draw(options(kind, new=True)), draw(options(kind, new=True))

# SPDX-License-Identifier: GPL-3.0-or-later
# SPDX-FileCopyrightText: 2026 The orchestrator.platform authors
"""The Job of a run with its ConfigMap and its claim: what goes in is data, what comes out are manifests. Pure.

Names and labels are those of OR-354…OR-358. No manifest holds a value of a Secret: they are referred to by name
and key.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

from orchestrator import naming
from orchestrator.fields import INPUT, SIDECARS_OWN, WEBHOOK
from orchestrator.sidecar import HASH_ANNOTATION, STATE, TRANSCRIPTS, attach

if TYPE_CHECKING:
    from orchestrator.channels import Channel
    from orchestrator.config import Config
    from orchestrator.kube import Obj
    from orchestrator.sidecar import Snippet

AGENT = {"coderuns": "claude-code", "docsruns": "claude-docs"}
RESULT_FILE = "/dev/termination-log"
HOST, HOST_TOKEN = "GH_HOST", "GH_ENTERPRISE_TOKEN"  # what gh reads for a host other than github.com
# Annotations of the pod, by the variable whose Secret they name.
OVERRIDES = {
    WEBHOOK: "orchestrator.platform/webhook-secret",
    INPUT: "orchestrator.platform/input-secret",
}
MANAGED_SETTINGS = "/etc/claude-code/managed-settings.json"
FALLBACK_HOME = "/workspace/.agent"  # of a code run without sidecar
# The Job is removed by the controller; this only catches a Job whose controller is gone for good.
TTL_RESERVE_S = 86_400


class SecretNeed(NamedTuple):
    """A key of a Secret without which the agent could not start; `why` ends a sentence."""

    secret: str
    key: str
    why: str


class Plan(NamedTuple):
    """All that a run's attempt needs."""

    job: Obj
    config_map: Obj
    claim: Obj | None
    watched: str  # reason of condition Monitored
    watched_sentence: str

    @property
    def is_watched(self) -> bool:
        """Whether the pod has the sidecar."""
        return self.watched == "SidecarAttached"


class Watching(NamedTuple):
    """The snippet, or why there is none."""

    snippet: Snippet | None
    reason: str = "SidecarAttached"
    sentence: str = "The agent's pod carries the published sidecar."


def brings_webhook(spec: Obj) -> bool:
    """Whether the run names a Secret with a webhook itself, and so needs no channel of its own."""
    return any(entry["name"] == WEBHOOK for entry in spec.get("envFromSecrets") or [])


def needs(spec: Obj, config: Config) -> list[SecretNeed]:
    """Every key of a Secret that the pod refers to and cannot start without."""
    user = spec["githubUser"]
    found = [
        SecretNeed(config.api_key_secret, config.api_key, "it holds the model's API key"),
        SecretNeed(naming.ssh_secret(user), "ssh-privatekey", f"it holds the SSH key of {user}"),
        SecretNeed(naming.token_secret(user), "token", f"it holds the GitHub token of {user}"),
    ]
    return found + [
        SecretNeed(entry["secretName"], entry["secretKey"], f"spec.envFromSecrets takes {entry['name']} from it")
        for entry in spec.get("envFromSecrets") or []
    ]


def build(
    run: Obj, kind: str, version: int, *, config: Config, files: dict[str, str], files_name: str, watching: Watching,
    channel: Channel | None = None,
) -> Plan:  # fmt: skip
    """The manifests of one attempt. Calling it twice with the same input gives the same."""
    namespace = run["metadata"]["namespace"]
    labels = naming.labels(run, kind, version)
    references = [naming.owner(run)]
    annotations = {naming.RUN_ANNOTATION: f"{kind}/{run['metadata']['name']}"}
    config_map = {
        "apiVersion": "v1",
        "kind": "ConfigMap",
        "metadata": {"name": files_name, "namespace": namespace, "labels": labels, "ownerReferences": references},
        "data": files,
    }
    pod = _pod(run, kind, config, files_name)
    snippet, reason, sentence = watching
    if snippet is not None:
        credentials = _credentials(run["spec"], channel)
        pod = _watched(pod, run, config, snippet, credentials)
        annotations[HASH_ANNOTATION] = snippet.hash
        for variable, reference in credentials.items():
            # What the module sidecar calls an override: whoever verifies knows by it that nothing has drifted.
            name = OVERRIDES[variable]
            annotations |= {f"{name}-name": reference["name"], f"{name}-key": reference["key"]}
    else:
        pod["containers"][0]["env"] += _home(kind, run, FALLBACK_HOME)
    meta = {"labels": labels, "annotations": annotations}
    spec: dict[str, Any] = {
        "backoffLimit": 0,
        "completions": 1,
        "parallelism": 1,
        "activeDeadlineSeconds": config.deadline_s,
        "template": {"metadata": meta, "spec": pod},
    }
    if config.cleanup:
        spec["ttlSecondsAfterFinished"] = (
            int(max(config.completed_delay_min, config.failed_delay_min) * 60) + TTL_RESERVE_S
        )
    job = {
        "apiVersion": "batch/v1",
        "kind": "Job",
        "metadata": {
            "name": naming.job_name(run, kind, version), "namespace": namespace, "ownerReferences": references, **meta,
        },
        "spec": spec,
    }  # fmt: skip
    return Plan(job, config_map, _claim(run, kind, config), reason, sentence)


def _claim(run: Obj, kind: str, config: Config) -> Obj | None:
    """OR-359, OR-A49: made once per service, with the configured class and size. It outlives every run."""
    if kind != "coderuns":
        return None
    spec: dict[str, Any] = {
        "accessModes": ["ReadWriteOnce"],
        "resources": {"requests": {"storage": config.workspace_size}},
    }
    if config.storage_class:
        spec["storageClassName"] = config.storage_class
    service = run["spec"]["service"]
    return {
        "apiVersion": "v1",
        "kind": "PersistentVolumeClaim",
        "metadata": {
            "name": naming.claim_name(service),
            "namespace": run["metadata"]["namespace"],
            "labels": {"app": naming.APP, "component": "workspace", "service": naming.label(service)},
        },
        "spec": spec,
    }


def _pod(run: Obj, kind: str, config: Config, files_name: str) -> Obj:
    spec = run["spec"]
    workspace: Obj = {"emptyDir": {}}
    if kind == "coderuns":
        workspace = {"persistentVolumeClaim": {"claimName": naming.claim_name(spec["service"])}}
    key = {"key": "ssh-privatekey", "path": "id_ed25519"}
    pod: Obj = {
        "restartPolicy": "Never",
        "automountServiceAccountToken": False,
        "enableServiceLinks": False,
        "containers": [_agent(run, kind, config)],
        "volumes": [
            {"name": "task-files", "configMap": {"name": files_name}},
            {"name": "workspace", **workspace},
            # Readable for whichever user the agent's image has; the start script copies the key with mode 0600.
            {
                "name": "ssh-key",
                "secret": {"secretName": naming.ssh_secret(spec["githubUser"]), "defaultMode": 0o444, "items": [key]},
            },
        ],
    }
    if config.pull_secrets:
        pod["imagePullSecrets"] = [{"name": name} for name in config.pull_secrets]
    if config.pod_security:
        pod["securityContext"] = config.pod_security
    return pod


def _agent(run: Obj, kind: str, config: Config) -> Obj:
    spec = run["spec"]
    mounts = [
        {"name": "task-files", "mountPath": "/task-files", "readOnly": True},
        {"name": "workspace", "mountPath": "/workspace"},
        {"name": "ssh-key", "mountPath": "/workspace/.ssh", "readOnly": True},
    ]
    env = [
        {"name": "AGENT_RESULT_FILE", "value": RESULT_FILE},
        _from_secret("GITHUB_TOKEN", naming.token_secret(spec["githubUser"]), "token"),
        _from_secret("ANTHROPIC_API_KEY", config.api_key_secret, config.api_key),
    ]
    if kind == "coderuns":
        env += [{"name": "LOCAL_TOOLS", "value": _literal(spec.get("localTools") or "")},
                {"name": "REMOTE_TOOLS", "value": _literal(spec.get("remoteTools") or "")}]  # fmt: skip
        env += [{"name": name, "value": _literal(value)} for name, value in sorted((spec.get("env") or {}).items())]
        env += [_from_secret(e["name"], e["secretName"], e["secretKey"]) for e in spec.get("envFromSecrets") or []]
    if config.github_host and not {entry["name"] for entry in env} & {HOST, HOST_TOKEN}:
        # Both or none: the token goes to no host but the one that the configuration names.
        env += [
            {"name": HOST, "value": _literal(config.github_host)},
            _from_secret(HOST_TOKEN, naming.token_secret(spec["githubUser"]), "token"),
        ]
    if kind == "docsruns":
        settings = {"name": "task-files", "mountPath": MANAGED_SETTINGS, "subPath": "settings.json", "readOnly": True}
        mounts.append(settings)
    agent: Obj = {
        "name": AGENT[kind],
        "image": config.image,
        "imagePullPolicy": config.pull_policy,
        "command": ["/bin/bash", "/task-files/container.sh"],
        "workingDir": "/workspace",
        "env": env,
        "volumeMounts": mounts,
        # The agent's result comes back by this file; the log is never read for it, as it may hold anything.
        "terminationMessagePath": RESULT_FILE,
        "terminationMessagePolicy": "File",
    }
    if config.container_security:
        agent["securityContext"] = config.container_security
    if config.resources:
        agent["resources"] = config.resources
    return agent


def _credentials(spec: Obj, channel: Channel | None) -> dict[str, Obj]:
    """Secret and key of the sidecar's credentials where they are not the snippet's: the run's own, then its channel's.

    A channel that could not be made takes its place all the same: a run's messages go to no other channel.
    """
    given = {
        entry["name"]: {"name": entry["secretName"], "key": entry["secretKey"]}
        for entry in spec.get("envFromSecrets") or []
        if entry["name"] in SIDECARS_OWN
    }
    if channel is None:
        return given
    return {name: {"name": channel.secret, "key": name} for name in {WEBHOOK, *channel.keys & {INPUT}}} | given


def _watched(pod: Obj, run: Obj, config: Config, snippet: Snippet, credentials: dict[str, Obj]) -> Obj:
    """The pod with the sidecar; transcripts of a code run, and the cursor behind them, are on the service's claim."""
    spec = run["spec"]
    kept: dict[str, Obj] = {}
    if run["kind"] == "CodeRun":
        below = f".agent/task-{spec['taskId']}"
        own = {volume["name"] for volume in snippet.volumes}
        places = {TRANSCRIPTS: f"{below}/claude", STATE: f"{below}/watcher"}
        kept = {name: {"name": "workspace", "subPath": path} for name, path in places.items() if name in own}
    agent = pod["containers"][0]
    # Watcher's and bridge's alone: whoever holds the URL can post as the monitor.
    agent["env"] = [entry for entry in agent["env"] if entry["name"] not in credentials]
    home = next((m["mountPath"] for m in snippet.agent_mounts if m["name"] == TRANSCRIPTS), None)
    agent["env"] = [*agent["env"], *([{"name": "CLAUDE_CONFIG_DIR", "value": home}] if home else [])]
    return attach(
        pod,
        snippet,
        bridge=config.bridge,
        credentials=credentials,
        user=_user(config),
        kept=kept,
    )


def _home(kind: str, run: Obj, root: str) -> list[Obj]:
    """Where the agent keeps its sessions when nobody watches them, so that a later attempt can go on with one."""
    if kind != "coderuns":
        return []
    return [{"name": "CLAUDE_CONFIG_DIR", "value": f"{root}/task-{run['spec']['taskId']}/claude"}]


def _user(config: Config) -> dict[str, Any]:
    """The agent's user and group for the watcher, which reads files of mode 0600 only so; never root."""
    wanted = {**config.pod_security, **config.container_security}
    found = {key: wanted[key] for key in ("runAsUser", "runAsGroup") if wanted.get(key)}
    return found if "runAsUser" in found else {}


def _from_secret(variable: str, secret: str, key: str) -> Obj:
    return {"name": variable, "valueFrom": {"secretKeyRef": {"name": secret, "key": key}}}


def _literal(value: str) -> str:
    """A value that Kubernetes hands over as it is: $(NAME) in it would be replaced, and $$ become $."""
    return value.replace("$", "$$")

# SPDX-License-Identifier: GPL-3.0-or-later
# SPDX-FileCopyrightText: 2026 The orchestrator.platform authors
#
# Private to this collection: names and behaviour may change in any release.
"""Family secret-scope: which container can read which Secret, by every path there is. Pure; values never leave it."""

from __future__ import annotations

import posixpath
import re
from collections.abc import Iterator

from ansible_collections.orchestrator.platform.plugins.module_utils._expectation import BOT
from ansible_collections.orchestrator.platform.plugins.module_utils._findings import (
    Catalogue,
    Result,
    about,
    decided,
    failed,
    passed,
    subject,
    unreadable,
)
from ansible_collections.orchestrator.platform.plugins.module_utils._node_ways import node_ways
from ansible_collections.orchestrator.platform.plugins.module_utils._snapshot import (
    ACCOUNT_ANNOTATION,
    ACCOUNT_TOKEN_TYPE,
    Bearer,
    Inside,
    View,
)
from ansible_collections.orchestrator.platform.plugins.module_utils._snippet import INPUT_ENV, WEBHOOK_ENV
from ansible_collections.orchestrator.platform.plugins.module_utils._workloads import (
    Obj,
    annotation,
    containers_of,
    dig,
)

CATALOGUE = Catalogue()
check = CATALOGUE.add

_WORKLOADS = ("deployments", "statefulsets", "daemonsets", "cronjobs", "jobs")
_SHARING = ("shareProcessNamespace", "hostPID")


def _scope(view: View, namespace: str, *kinds: str) -> Iterator[Result]:
    for bearer in view.bearers(namespace):
        holders = {(container, secret) for _path, container, secret in view.expected_paths(bearer)}
        wrong = [
            item
            for item in view.unexpected(bearer)
            # What follows from a way that must not be is told with that way.
            if item.path in kinds and (not item.holder or (item.holder, item.secret) in holders)
        ]
        for item in wrong:
            who = subject(bearer.kind, namespace, bearer.name, item.container)
            yield failed(who, f"Secret {item.secret}: {item.where}")
        if not wrong:
            yield passed(about(bearer))


_SCOPE_NEEDS = (*_WORKLOADS, "pods", "secrets")  # Secrets: names that a pattern of ours stands for
_SCOPE_MEND = "Take the reference out: each Secret of ours is for the containers named beside it, and for no other one."


@check(
    "secret-scope/env-ref",
    title="Only bot and watcher read our Secrets through env",
    scope="all",
    needs=_SCOPE_NEEDS,
    protects="the bot token or the webhook URL in the environment of an agent, from where it can be printed",
    decided="secretKeyRef in env of every container in all three lists, in workloads and pods, ours and foreign ones.",
    mend=_SCOPE_MEND,
)
def env_ref(view: View, namespace: str) -> Iterator[Result]:
    """Walk env."""
    return _scope(view, namespace, "env")


@check(
    "secret-scope/env-from",
    title="No container takes one of our Secrets as a whole through envFrom",
    scope="all",
    needs=_SCOPE_NEEDS,
    protects="every key of a Secret in an environment, those added later too",
    decided="secretRef in envFrom of every container in all three lists.",
    mend=_SCOPE_MEND,
)
def env_from(view: View, namespace: str) -> Iterator[Result]:
    """Walk envFrom."""
    return _scope(view, namespace, "env-from")


@check(
    "secret-scope/volume",
    title="No volume holds one of our Secrets",
    scope="all",
    needs=_SCOPE_NEEDS,
    protects="a token as a file, which every process of the container can read",
    decided="Volumes of type secret, and those whose driver takes one (CSI and others), with who mounts them.",
    mend=_SCOPE_MEND,
)
def volume(view: View, namespace: str) -> Iterator[Result]:
    """Walk volumes."""
    return _scope(view, namespace, "volume", "csi", "driver")


@check(
    "secret-scope/projected",
    title="No projected volume holds one of our Secrets",
    scope="all",
    needs=_SCOPE_NEEDS,
    protects="the same as secret-scope/volume, by the way that is overlooked most",
    decided="Secret sources of projected volumes, with the containers that mount them.",
    mend=_SCOPE_MEND,
)
def projected(view: View, namespace: str) -> Iterator[Result]:
    """Walk projected sources."""
    return _scope(view, namespace, "projected")


@check(
    "secret-scope/image-pull",
    title="None of our Secrets is used to pull images",
    scope="all",
    needs=_SCOPE_NEEDS,
    protects="a token that travels to a registry",
    decided="imagePullSecrets of every workload and pod.",
    mend="Name a registry Secret in imagePullSecrets.",
)
def image_pull(view: View, namespace: str) -> Iterator[Result]:
    """Walk imagePullSecrets."""
    return _scope(view, namespace, "image-pull")


@check(
    "secret-scope/expected-paths",
    title="Bot and watcher read their own Secret through env",
    scope="all",
    needs=_SCOPE_NEEDS,
    protects="a bot without its token, and a watcher that idles, healthy and silent, in a workload that looks injected",
    decided="The bot's container has a secretKeyRef in env to each Secret of the bot's, each watcher one to its "
    "webhook's: that of webhook_secret, or the one its workload names by annotation, which must be no other Secret of "
    "ours. So has each bridge one to the Secret that its workload names for its input, and every container that an "
    "entry of secrets says is required to.",
    mend="Take bot and watcher from the chart; run role sidecar again; correct the annotation webhook-secret-name or "
    "input-secret-name.",
)
def expected_paths(view: View, namespace: str) -> Iterator[Result]:
    """What is missing of the expected, and a sidecar that is told to read what is for another purpose."""
    for bearer, paths in view.paths(namespace):
        found = {(item.path, item.container, item.secret) for item in paths}
        for path, container, secret in sorted(view.required_paths(bearer)):
            there = (path, container, secret) in found
            missing = (
                f"no variable of it refers to Secret {secret}" if path == "env" else f"no {path} of Secret {secret}"
            )
            yield decided(subject(bearer.kind, namespace, bearer.name, container), None if there else missing)
        for told in view.told(bearer):
            if told.instead is not None:
                text = f"it is told to read Secret {told.secret}, which is for the {told.instead.what}"
                yield failed(subject(bearer.kind, namespace, bearer.name, told.container), text)


@check(
    "secret-scope/shared-volume",
    title="No container that holds one of our Secrets can write where another one reads",
    scope="all",
    needs=_SCOPE_NEEDS,
    severity="warning",
    protects="a Secret handed over as a file, by a mistake or by somebody who has taken over its holder",
    decided="A volume that may be written (not a Secret, ConfigMap or projected one), mounted without readOnly by a "
    "container that holds one of our Secrets, and mounted by another one, unless their subPaths keep them apart.",
    mend="Mount the volume with readOnly in the holder, as the published watcher does with the transcript.",
)
def shared_volume(view: View, namespace: str) -> Iterator[Result]:
    """Follow the volumes of the holders."""
    return _scope(view, namespace, "shared-volume")


@check(
    "secret-scope/account-token-secret",
    title="No Secret holds a ServiceAccount's token that never expires",
    scope="all",
    needs=_SCOPE_NEEDS,
    severity="warning",
    protects="the account's rights in the hands of whoever once read that Secret, long after the pod is gone",
    decided="Secrets of type kubernetes.io/service-account-token, with the containers that refer to them.",
    mend="Delete the Secret; pods get a token of their own that expires, kubectl create token makes one for people.",
)
def account_token_secret(view: View, namespace: str) -> Iterator[Result]:
    """Look at the type, and who reads it."""
    found = [item for item in view.objects("secrets", namespace) if item.get("type") == ACCOUNT_TOKEN_TYPE]
    for secret in found:
        name = secret["metadata"]["name"]
        readers = [
            f"{bearer.kind} {bearer.name}: {item.where}"
            for bearer, paths in view.paths(namespace)
            for item in paths
            if item.secret == name
        ]
        account = annotation(secret, ACCOUNT_ANNOTATION) or "?"
        text = f"token of ServiceAccount {account}; read by {', '.join(readers) or 'no workload'}"
        yield failed(subject("Secret", namespace, name), text)
    if not found:
        yield passed(subject("Namespace", namespace, namespace))


@check(
    "secret-scope/share-process-namespace",
    title="No container sees the processes of one that holds one of our Secrets",
    scope="all",
    needs=_SCOPE_NEEDS,
    protects="the agent reading the watcher's environment under /proc",
    decided="shareProcessNamespace and hostPID of pods with our containers, ephemeral containers that target one of "
    "ours, and ones that bear the name of ours and target another; the same beside every other container that an "
    "entry of secrets lets read one.",
    mend="Set shareProcessNamespace and hostPID to false, or exclude the workload by annotation.",
)
def share_process_namespace(view: View, namespace: str) -> Iterator[Result]:
    """Look at the pod, and at debugging containers aimed at ours."""
    seen: set[tuple[str, str]] = set()
    watcher_and_bridge = view.our_names()
    for bearer, _place, container in view.ours(namespace):
        targeting = [
            item["name"]
            for item in bearer.spec.get("ephemeralContainers") or []
            if item.get("targetContainerName") == container["name"]
        ]
        if targeting:
            yield failed(about(bearer, container), f"ephemeral container {targeting[0]} shares its processes")
        if container.get("targetContainerName"):
            yield failed(about(bearer, container), f"it shares the processes of {container['targetContainerName']}")
        if (bearer.kind, bearer.name) not in seen:
            seen.add((bearer.kind, bearer.name))
            shared = next((name for name in _SHARING if bearer.spec.get(name)), None)
            yield decided(about(bearer), f"{shared} is true" if shared else None)
    for bearer in view.bearers(namespace):
        if (bearer.kind, bearer.name) in seen and any(bearer.spec.get(name) for name in _SHARING):
            continue  # said of the pod as a whole
        meant = {(container, secret) for _path, container, secret in view.expected_paths(bearer)}
        for item in view.unexpected(bearer):
            is_told = {item.container, item.holder} & {
                *watcher_and_bridge,
                *((BOT,) if view.is_bot(bearer.obj) else ()),
            }
            if item.path == "process-namespace" and (item.holder, item.secret) in meant and not is_told:
                who = subject(bearer.kind, namespace, bearer.name, item.container)
                yield failed(who, f"Secret {item.secret}: {item.where}")


@check(
    "secret-scope/node-access",
    title="No pod in view reaches into its node",
    scope="all",
    needs=_SCOPE_NEEDS,
    protects="every Secret of every pod on the node: files below the kubelet's folder, the environment of processes, "
    "the socket of the container runtime",
    decided="Privileged containers, capabilities that open the node, hostPID, hostIPC, host processes, and mounts of "
    "the node's paths to the kubelet, a container runtime, its processes, its credentials or what it runs; in every "
    "container of every workload and pod, foreign ones too. What our own containers and their pods set is told by "
    "security-context/restricted, security-context/pod-level and secret-scope/share-process-namespace.",
    mend="Take the setting away, move the pod to a namespace and to nodes without agents and bot, or enforce Pod "
    "Security baseline there: the namespace's label pod-security.kubernetes.io/enforce.",
)
def node_access(view: View, namespace: str) -> Iterator[Result]:
    """Ask each pod spec."""
    ours: dict[tuple[str, str], set[str]] = {}
    for bearer, _place, container in view.ours(namespace):
        ours.setdefault((bearer.kind, bearer.name), set()).add(container["name"])
    for bearer in view.bearers(namespace):
        mine = ours.get((bearer.kind, bearer.name), set())
        found: dict[str, list[str]] = {}
        for way in node_ways(bearer.spec):
            # Of a pod with one of ours: told by the checks that look at ours.
            if way.container in mine or (mine and way.setting in ("hostPID", "hostIPC")):
                continue
            found.setdefault(way.container, []).append(way.text)
        for name, texts in found.items():
            yield failed(subject(bearer.kind, namespace, bearer.name, name), "; ".join(texts))
        if not found:
            yield passed(about(bearer))


@check(
    "secret-scope/type-opaque",
    title="Our Secrets are of type Opaque",
    scope="all",
    needs=("configmaps", *_SCOPE_NEEDS),
    protects="controllers that act on Secrets of another type, as for service account tokens or registry logins",
    decided="The type of the bot's Secrets and the webhooks'.",
    mend="Delete the Secret and let role secrets make it; a Secret's type cannot be changed.",
)
def type_opaque(view: View, namespace: str) -> Iterator[Result]:
    """Read the type."""
    for secret in view.objects("secrets", namespace):
        name = secret["metadata"]["name"]
        ours = view.our_secret(namespace, name)
        if ours is not None and ours.opaque:
            kind = secret.get("type") or "Opaque"
            yield decided(subject("Secret", namespace, name), None if kind == "Opaque" else f"type {kind}")


@check(
    "secret-scope/service-account-token",
    title="Our containers hold no token for the Kubernetes API",
    scope="all",
    needs=("pods",),
    severity="warning",
    protects="the API from a container that never needs it",
    decided="In running pods, our containers' mounts of volumes with a projected token, at whatever path.",
    mend="Set automountServiceAccountToken to false on the agent's pod where the agent needs no API either.",
)
def service_account_token(view: View, namespace: str) -> Iterator[Result]:
    """Follow the mount to its volume: an emptyDir at that path is a way to close it."""
    for bearer, _place, container in view.ours(namespace, pods_only=True):
        mounted = {item["name"] for item in container.get("volumeMounts") or []}
        tokens = {
            item["name"]
            for item in bearer.spec.get("volumes") or []
            if any(source.get("serviceAccountToken") for source in dig(item, "projected", "sources") or [])
        }
        yield decided(about(bearer, container), "the API token is mounted" if mounted & tokens else None)


# -- read inside running containers, opt-in --------------------------------------------------------------------------

# What the kubelet and the container runtime mount into every container.
_RUNTIME_MOUNTS = re.compile(
    r"/|/(?:proc|sys|dev)(?:/.*)?|/etc/(?:hosts|hostname|resolv\.conf)|/run/\.containerenv|/dev/termination-log"
)


def _entered(view: View, namespace: str) -> Iterator[tuple[Bearer, Obj, Inside]]:
    for bearer in view.pods(namespace):
        for _place, container in containers_of(bearer.spec):
            inside = view.snapshot.inside.get((namespace, bearer.name, container.get("name", "")))
            if inside is not None:
                yield bearer, container, inside


def _secret_variables(view: View, namespace: str) -> set[str]:
    """Names of variables that hold a value of ours; of a Secret elsewhere only where its name is reserved."""
    keys = [key.name for item in view.described if item.reserved or item.namespace == namespace for key in item.keys]
    webhooks = [key for _name, key in view.webhooks_read(namespace)]
    return {*keys, *webhooks, "BOT_TOKEN", "BOT_API_TOKEN", WEBHOOK_ENV, INPUT_ENV}


@check(
    "secret-scope/runtime-env",
    title="Running containers have the variables their pod names, and none of our Secrets' beside",
    scope="agents",
    needs=(*_WORKLOADS, "pods", "configmaps", "inside"),
    protects="a credential that arrives past the pod spec: from the image, an entry point or a hook of the runtime",
    decided="Opt-in (runtime_scope): the names, never the values, of the variables of process 1 in each container of "
    "pods with a watcher, read by exec. The name of a variable that holds one of our Secrets has to be in the pod.",
    mend="Find out who sets the variable: the image, its entry point, or a hook on the node.",
)
def runtime_env(view: View, namespace: str) -> Iterator[Result]:
    """Compare names in the process with names in the pod."""
    secret_names = _secret_variables(view, namespace)
    for bearer, container, inside in _entered(view, namespace):
        who = about(bearer, container)
        if inside.unread:
            yield unreadable(who, inside.unread)
            continue
        named = {entry.get("name", "") for entry in container.get("env") or []}
        beside = sorted((inside.env & secret_names) - named)
        # An optional reference to a Secret that is not there leaves its variable out.
        plain = {entry.get("name", "") for entry in container.get("env") or [] if "valueFrom" not in entry}
        missing = sorted(plain - inside.env)
        problem = f"not named by the pod: {', '.join(beside)}" if beside else None
        if missing and problem is None:
            problem = f"named by the pod and not there: {', '.join(missing)}"
        yield decided(who, problem, f"{len(inside.env)} names")


@check(
    "secret-scope/runtime-mounts",
    title="Running containers have the mounts their pod names",
    scope="agents",
    needs=("pods", "configmaps", "deployments", "inside"),
    protects="a Secret mounted past the pod spec, and a pod whose mounts were changed after it was judged",
    decided="Opt-in (runtime_scope): the mount points of process 1 in each container of pods with a watcher, read by "
    "exec, beside the pod's volumeMounts and what the kubelet and the runtime mount everywhere.",
    mend="Find out who mounts it: a hook of the container runtime, a privileged pod on the node, or the agent itself.",
)
def runtime_mounts(view: View, namespace: str) -> Iterator[Result]:
    """Compare mount points."""
    for bearer, container, inside in _entered(view, namespace):
        who = about(bearer, container)
        if inside.unread:
            yield unreadable(who, inside.unread)
            continue
        named = {_real(mount.get("mountPath", "")) for mount in container.get("volumeMounts") or []}
        found = {_real(path) for path in inside.mounts}
        allowed = named | {_real(container.get("terminationMessagePath", ""))}
        strange = sorted(path for path in found - allowed if not _RUNTIME_MOUNTS.fullmatch(path))
        missing = sorted(named - found)
        problem = f"not named by the pod: {', '.join(strange)}" if strange else None
        if missing and problem is None:
            problem = f"named by the pod and not there: {', '.join(missing)}"
        yield decided(who, problem, f"{len(found)} mounts")


def _real(path: str) -> str:
    # /var/run is a link to /run in most images.
    normal = posixpath.normpath(path)
    return normal.removeprefix("/var") if normal.startswith("/var/run/") else normal

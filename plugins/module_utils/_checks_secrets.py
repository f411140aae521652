# SPDX-License-Identifier: GPL-3.0-or-later
# SPDX-FileCopyrightText: 2026 The orchestrator.platform authors
#
# Private to this collection: names and behaviour may change in any release.
"""Family secret-scope: which container can read which Secret, by every path there is. Pure; values never leave it."""

from __future__ import annotations

import posixpath
import re
from collections.abc import Iterator

from ansible_collections.orchestrator.platform.plugins.module_utils._findings import (
    Catalogue,
    Result,
    about,
    decided,
    failed,
    passed,
    subject,
    unreadable,
    warned,
)
from ansible_collections.orchestrator.platform.plugins.module_utils._redact import secret_kind
from ansible_collections.orchestrator.platform.plugins.module_utils._snapshot import (
    ACCOUNT_ANNOTATION,
    ACCOUNT_TOKEN_TYPE,
    Bearer,
    Inside,
    UnreadableError,
    View,
)
from ansible_collections.orchestrator.platform.plugins.module_utils._workloads import (
    Obj,
    annotation,
    containers_of,
    dig,
)

CATALOGUE = Catalogue()
check = CATALOGUE.add

_WORKLOADS = ("deployments", "statefulsets", "daemonsets", "cronjobs", "jobs")
_TOKEN_PATH = "/var/run/secrets/kubernetes.io/serviceaccount"  # noqa: S105 (a path)
# Shorter values are not searched for: they would be found by accident.
_MIN_SEARCHED = 8


def _scope(view: View, namespace: str, *kinds: str) -> Iterator[Result]:
    ours = {*view.our_secrets(namespace), view.expect.bot_secret, view.expect.webhook_secret}
    for bearer, paths in view.paths(namespace):
        expected = view.expected_paths(bearer)
        wrong = [
            item
            for item in paths
            if item.path in kinds
            and item.secret in ours
            and not (item.path == "env" and (item.container, item.secret) in expected)
            # What follows from a way that must not be is told with that way.
            and (not item.holder or (item.holder, item.secret) in expected)
        ]
        for item in wrong:
            who = subject(bearer.kind, namespace, bearer.name, item.container)
            yield failed(who, f"Secret {item.secret}: {item.where}")
        if not wrong:
            yield passed(about(bearer))


_SCOPE_NEEDS = (*_WORKLOADS, "pods")
_SCOPE_MEND = "Take the reference out: the bot's token is for the bot alone, the webhook URL for the watcher."


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
    decided="The bot's container has a secretKeyRef in env to the bot's Secret, each watcher one to the webhook's: "
    "that of webhook_secret, or the one its workload names by annotation.",
    mend="Take bot and watcher from the chart; run role sidecar again.",
)
def expected_paths(view: View, namespace: str) -> Iterator[Result]:
    """What is missing of the expected."""
    for bearer, paths in view.paths(namespace):
        found = {(item.container, item.secret) for item in paths if item.path == "env"}
        for container, secret in sorted(view.expected_paths(bearer)):
            problem = None if (container, secret) in found else f"no variable of it refers to Secret {secret}"
            yield decided(subject(bearer.kind, namespace, bearer.name, container), problem)


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
    needs=("secrets", *_SCOPE_NEEDS),
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
    title="No pod with one of our containers shares its process namespace",
    scope="all",
    needs=_SCOPE_NEEDS,
    protects="the agent reading the watcher's environment under /proc",
    decided="shareProcessNamespace and hostPID of pods with our containers, and ephemeral containers that target one "
    "of ours.",
    mend="Set shareProcessNamespace and hostPID to false, or exclude the workload by annotation.",
)
def share_process_namespace(view: View, namespace: str) -> Iterator[Result]:
    """Look at the pod, and at debugging containers aimed at ours."""
    seen: set[tuple[str, str]] = set()
    for bearer, _place, container in view.ours(namespace):
        targeting = [
            item["name"]
            for item in bearer.spec.get("ephemeralContainers") or []
            if item.get("targetContainerName") == container["name"]
        ]
        if targeting:
            yield failed(about(bearer, container), f"ephemeral container {targeting[0]} shares its processes")
        if (bearer.kind, bearer.name) not in seen:
            seen.add((bearer.kind, bearer.name))
            shared = next((name for name in ("shareProcessNamespace", "hostPID") if bearer.spec.get(name)), None)
            yield decided(about(bearer), f"{shared} is true" if shared else None)


@check(
    "secret-scope/bot-token-namespace",
    title="The bot token is in no namespace where agents run",
    scope="agents",
    needs=("secrets",),
    protects="the token in the hands of whoever may create pods beside the agents: they can read every Secret there",
    decided="No agent namespace is the monitor's; none holds a Secret of the bot's name or the token in a value. "
    "Where the token cannot be compared, a key of the bot's name is a warning.",
    mend="Delete the copy and rotate the token; keep bot and agents in different namespaces.",
)
def bot_token_namespace(view: View, namespace: str) -> Iterator[Result]:
    """Look for name and value; a key alone says little, since other programs call theirs BOT_TOKEN too."""
    expect = view.expect
    if namespace == expect.monitor_namespace:
        yield failed(subject("Namespace", namespace, namespace), "agents and bot share this namespace")
        return
    where = subject("Namespace", namespace, namespace)
    try:
        token, reason = (_plain(view, expect.monitor_namespace, expect.bot_secret, expect.bot_key) or "").strip(), ""
    except UnreadableError as exc:
        token, reason = "", str(exc)
    rows = list(_copies(view, namespace, token))
    yield from rows
    if reason:
        yield unreadable(where, f"copies of the token were not looked for: {reason}")
    elif not rows:
        yield passed(where)


def _copies(view: View, namespace: str, token: str) -> Iterator[Result]:
    expect = view.expect
    for secret in view.objects("secrets", namespace):
        name, data = secret["metadata"]["name"], secret.get("data") or {}
        who = subject("Secret", namespace, name)
        if name == expect.bot_secret:
            yield failed(who, "it has the name of the bot's Secret")
        elif token and any(_holds(_plain(view, namespace, name, key) or "", token) for key in data):
            yield failed(who, "it holds the bot's token")
        elif not token and expect.bot_expected and expect.bot_key in data:
            yield warned(who, f"it has the key {expect.bot_key}, and the token is not there to compare with")


def _holds(value: str, token: str) -> bool:
    # Also with a newline, in JSON or in a file of settings. A short value would be found by accident.
    return token in value if len(token) >= _MIN_SEARCHED else token == value.strip()


@check(
    "secret-scope/type-opaque",
    title="Our Secrets are of type Opaque",
    scope="all",
    needs=("secrets",),
    protects="controllers that act on Secrets of another type, as for service account tokens or registry logins",
    decided="The type of the bot's and the webhook's Secret.",
    mend="Delete the Secret and let role secrets make it; a Secret's type cannot be changed.",
)
def type_opaque(view: View, namespace: str) -> Iterator[Result]:
    """Read the type."""
    for secret in view.objects("secrets", namespace):
        name = secret["metadata"]["name"]
        if name in (view.expect.bot_secret, view.expect.webhook_secret, view.expect.webhook_read):
            kind = secret.get("type") or "Opaque"
            yield decided(subject("Secret", namespace, name), None if kind == "Opaque" else f"type {kind}")


@check(
    "secret-scope/configmap-values",
    title="No ConfigMap and no literal variable holds a token or webhook URL",
    scope="all",
    needs=("configmaps", "secrets", *_SCOPE_NEEDS),
    protects="credentials in objects that anybody with view rights reads and that end up in Git and backups",
    decided="ConfigMap and literal env values are searched for the values of our Secrets and for text of their shape.",
    mend="Move the value into the Secret, then rotate it: it has to count as known.",
)
def configmap_values(view: View, namespace: str) -> Iterator[Result]:
    """Search values; only the place and the kind of what was found are shown."""
    known = _known_values(view)
    for config_map in view.objects("configmaps", namespace):
        who = subject("ConfigMap", namespace, config_map["metadata"]["name"])
        hits = [f"key {key} holds a {kind}" for key, kind in _secret_texts(config_map.get("data") or {}, known)]
        yield decided(who, "; ".join(hits) or None)
    for bearer in view.bearers(namespace):
        hits = []
        for place, container in containers_of(bearer.spec):
            literals = {item.get("name", "?"): item.get("value") or "" for item in container.get("env") or []}
            hits += [
                f"{place}/{container['name']} env {name} holds a {kind}"
                for name, kind in _secret_texts(literals, known)
            ]
        yield decided(about(bearer), "; ".join(hits) or None)


def _secret_texts(values: dict[str, str], known: dict[str, str]) -> Iterator[tuple[str, str]]:
    for key, text in values.items():
        kind = next((kind for value, kind in known.items() if value in text), None) or secret_kind(text)
        if kind is not None:
            yield key, kind


def _known_values(view: View) -> dict[str, str]:
    expect = view.expect
    places = [(expect.monitor_namespace, expect.bot_secret, expect.bot_key, "bot token")]
    places += [(item, expect.webhook_read, view.webhook_key(), "webhook URL") for item in expect.agent_namespaces]
    known = {}
    for namespace, name, key, kind in places:
        value = (_value_or_none(view, namespace, name, key) or "").strip()
        if len(value) >= _MIN_SEARCHED:
            known[value] = kind
    return known


def _value_or_none(view: View, namespace: str, name: str, key: str) -> str | None:
    try:
        return _plain(view, namespace, name, key)
    except UnreadableError:
        return None  # without the value the search goes by shape alone


def _plain(view: View, namespace: str, name: str, key: str) -> str | None:
    return view.secret_value(namespace, name, key)


@check(
    "secret-scope/service-account-token",
    title="Our containers hold no token for the Kubernetes API",
    scope="all",
    needs=("pods",),
    severity="warning",
    protects="the API from a container that never needs it",
    decided="In running pods, our containers' mounts at the service account's path that lead to a projected token.",
    mend="Set automountServiceAccountToken to false on the agent's pod where the agent needs no API either.",
)
def service_account_token(view: View, namespace: str) -> Iterator[Result]:
    """Follow the mount to its volume: an emptyDir at that path is a way to close it."""
    for bearer, _place, container in view.ours(namespace, pods_only=True):
        mounted = {item["name"] for item in container.get("volumeMounts") or [] if item.get("mountPath") == _TOKEN_PATH}
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


def _secret_variables(view: View) -> set[str]:
    return {view.expect.bot_key, "BOT_TOKEN", "BOT_API_TOKEN", view.webhook_key(), "DISCORD_WEBHOOK_URL"}


@check(
    "secret-scope/runtime-env",
    title="Running containers have the variables their pod names, and none of our Secrets' beside",
    scope="agents",
    needs=("pods", "configmaps", "deployments", "inside"),
    protects="a credential that arrives past the pod spec: from the image, an entry point or a hook of the runtime",
    decided="Opt-in (runtime_scope): the names, never the values, of the variables of process 1 in each container of "
    "pods with a watcher, read by exec. The name of a variable that holds one of our Secrets has to be in the pod.",
    mend="Find out who sets the variable: the image, its entry point, or a hook on the node.",
)
def runtime_env(view: View, namespace: str) -> Iterator[Result]:
    """Compare names in the process with names in the pod."""
    secret_names = _secret_variables(view)
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

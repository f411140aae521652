# SPDX-License-Identifier: GPL-3.0-or-later
# SPDX-FileCopyrightText: 2026 The orchestrator.platform authors
#
# Private to this collection: names and behaviour may change in any release.
"""One picture of the cluster, and the questions checks ask of it. Pure: filled by _collect.py or by a test."""

from __future__ import annotations

import base64
import binascii
import contextlib
import dataclasses
import fnmatch
import functools
import typing as t
from collections.abc import Iterator

from ansible_collections.orchestrator.platform.plugins.module_utils._errors import OverrideError, SnippetError
from ansible_collections.orchestrator.platform.plugins.module_utils._expectation import (
    BOT,
    INPUT_CREDENTIAL,
    LABEL_COMPONENT,
    LABEL_INSTANCE,
    WEBHOOK,
    Expectation,
    Key,
    OurSecret,
    Reader,
    Target,
)
from ansible_collections.orchestrator.platform.plugins.module_utils._overrides import (
    NONE,
    Overrides,
    apply_to_bridge,
    apply_to_watcher,
    overrides_of,
)
from ansible_collections.orchestrator.platform.plugins.module_utils._rbac import (
    ACCOUNTS,
    ANONYMOUS,
    AUTHENTICATED,
    UNAUTHENTICATED,
    Access,
    Right,
    Roles,
    Who,
    rights_of_interest,
)
from ansible_collections.orchestrator.platform.plugins.module_utils._rollout import selects
from ansible_collections.orchestrator.platform.plugins.module_utils._secret_paths import SecretPath, secret_paths
from ansible_collections.orchestrator.platform.plugins.module_utils._snippet import (
    BRIDGE,
    INPUT_ENV,
    WATCHER,
    WEBHOOK_ENV,
    Snippet,
    secret_of,
    snippet_of_config_map,
)
from ansible_collections.orchestrator.platform.plugins.module_utils._workloads import (
    KINDS,
    WORKLOADS,
    Obj,
    containers_of,
    controller_of,
    dig,
    find_container,
    pod_spec,
    pod_template,
)

CONTROLLER = "controller"
ACCOUNT_TOKEN_TYPE = "kubernetes.io/service-account-token"  # noqa: S105 (a type)
ACCOUNT_ANNOTATION = "kubernetes.io/service-account.name"
# Resources that are listed a namespace, with their API path prefix.
RESOURCES: dict[str, str] = {
    **{KINDS[name].plural: f"/apis/{KINDS[name].group_version}" for name in WORKLOADS},
    "pods": "/api/v1",
    "services": "/api/v1",
    "configmaps": "/api/v1",
    "secrets": "/api/v1",
    "releases": "/api/v1",  # Secrets of Helm, metadata only
    "serviceaccounts": "/api/v1",
    "resourcequotas": "/api/v1",
    "limitranges": "/api/v1",
    "networkpolicies": "/apis/networking.k8s.io/v1",
    "ingresses": "/apis/networking.k8s.io/v1",
    "endpointslices": "/apis/discovery.k8s.io/v1",
    "roles": "/apis/rbac.authorization.k8s.io/v1",
    "rolebindings": "/apis/rbac.authorization.k8s.io/v1",
}
# Listed once for the cluster.
CLUSTER_RESOURCES: dict[str, str] = {
    "clusterroles": "/apis/rbac.authorization.k8s.io/v1",
    "clusterrolebindings": "/apis/rbac.authorization.k8s.io/v1",
}
# Read by name, where a list would hold megabytes that nobody asked for.
NAMED_RESOURCES: dict[str, str] = {
    "customresourcedefinitions": "/apis/apiextensions.k8s.io/v1",
    "ingressclasses": "/apis/networking.k8s.io/v1",
}
# Read in the orchestrator's namespace, where no sidecar is looked for.
ORCHESTRATOR_READS = (
    "deployments",
    "services",
    "configmaps",
    "secrets",
    "releases",
    "endpointslices",
    "ingresses",
    "pods",
)
# Read for every selection of checks: they hold the published snippet and the bot.
ALWAYS_READ = ("configmaps", "deployments")


class UnreadableError(Exception):
    """A check needs something that could not be read; the text is the reason, for the finding."""


class HttpAnswer(t.NamedTuple):
    """What a container's HTTP port answered; `unread` says why where the API server could not pass the question on."""

    status: int
    text: str
    unread: str = ""


class Usage(t.NamedTuple):
    """Measured use of one container, from the kubelet's summary."""

    memory_bytes: int | None
    cpu_nanocores: int | None  # None too in a container's first half minute, when its start is among it


class Delivery(t.NamedTuple):
    """What the probe command printed, `error` being its reason; `unread` where the command could not be run at all."""

    delivered: bool
    seconds: float | None
    error: str = ""
    unread: str = ""


class Inside(t.NamedTuple):
    """Names read inside a running container, never values; `unread` says why where they could not be read."""

    env: frozenset[str] = frozenset()
    mounts: frozenset[str] = frozenset()
    unread: str = ""


Place = tuple[str, str, str]  # namespace, pod, container
Way = tuple[str, str, str]  # path, container, Secret


class Chosen(t.NamedTuple):
    """What a target leaves to the API server to choose, in one kind and namespace."""

    labels: str
    fields: str
    kind: str
    namespace: str


@dataclasses.dataclass
class Snapshot:
    """The picture. `unread` holds the reason for whatever could not be read: (resource, namespace) -> sentence."""

    server_version: str = ""
    kubelet_versions: list[str] = dataclasses.field(default_factory=list)
    namespaces: dict[str, Obj | None] = dataclasses.field(default_factory=dict)
    objects: dict[tuple[str, str], list[Obj]] = dataclasses.field(default_factory=dict)
    unread: dict[tuple[str, str], str] = dataclasses.field(default_factory=dict)
    selected: dict[Chosen, set[str]] = dataclasses.field(default_factory=dict)  # -> names that the API server chose
    health: dict[Place, HttpAnswer] = dataclasses.field(default_factory=dict)
    metrics: dict[Place, HttpAnswer] = dataclasses.field(default_factory=dict)
    usage: dict[Place, Usage] = dataclasses.field(default_factory=dict)
    delivery: dict[Place, Delivery] = dataclasses.field(default_factory=dict)
    reviews: dict[tuple[Who, Right], bool] = dataclasses.field(default_factory=dict)  # the API server's decisions
    permissions: dict[tuple[str, ...], bool] = dataclasses.field(default_factory=dict)  # of the user who runs this
    inside: dict[Place, Inside] = dataclasses.field(default_factory=dict)
    orchestrator_health: HttpAnswer | None = None  # None: nobody was asked
    orchestrator_rights: dict[Right, bool] = dataclasses.field(default_factory=dict)  # of the controller's account
    clock_skew_s: float | None = None  # the API server's clock ahead of ours


class Bearer(t.NamedTuple):
    """Anything with a pod spec: a workload or a pod."""

    kind: str
    namespace: str
    name: str
    spec: Obj
    obj: Obj


class Told(t.NamedTuple):
    """The Secret that one of our containers is told to read, by the chart, a run or an annotation."""

    container: str
    secret: str
    instead: OurSecret | None  # what the Secret is for, where that is another purpose
    required: bool  # whether it is a finding, too, when the container does not refer to it


class View:
    """Questions over a snapshot; every answer is derived, nothing is fetched."""

    def __init__(self, snapshot: Snapshot, expect: Expectation) -> None:
        self.snapshot = snapshot
        self.expect = expect
        # Worked out once: every check walks them.
        self._by_name: dict[tuple[str, str], dict[str, Obj]] = {}
        self._workloads: dict[str, list[Bearer]] = {}
        self._pods: dict[str, list[Bearer]] = {}
        self._paths: dict[tuple[str, str, str], list[SecretPath]] = {}
        self._secrets: dict[str, tuple[str, ...]] = {}
        self._webhooks: dict[str, tuple[str, ...]] = {}
        self._inputs: dict[str, tuple[OurSecret, ...]] = {}
        self._read: dict[str, list[tuple[str, str]]] = {}
        self._expected: dict[tuple[str, str, str], frozenset[Way]] = {}
        self._unexpected: dict[tuple[str, str, str], list[SecretPath]] = {}
        self._owners: dict[str, dict[tuple[str, str] | None, list[Bearer]]] = {}
        self._overrides: dict[tuple[str, str, str], Overrides] = {}

    def objects(self, resource: str, namespace: str) -> list[Obj]:
        """The listed objects; raises UnreadableError with the reason when they could not be listed."""
        reason = self.snapshot.unread.get((resource, namespace))
        if reason is not None:
            raise UnreadableError(reason)
        return self.snapshot.objects.get((resource, namespace), [])

    def find(self, resource: str, namespace: str, name: str) -> Obj | None:
        """One object by name, or None."""
        objects = self.objects(resource, namespace)
        if (resource, namespace) not in self._by_name:
            self._by_name[(resource, namespace)] = {obj["metadata"]["name"]: obj for obj in objects}
        return self._by_name[(resource, namespace)].get(name)

    @functools.cached_property
    def snippet(self) -> Snippet | None:
        """The published snippet; None when absent or not readable as one (chart/snippet-published says which)."""
        try:
            found = self.find("configmaps", self.expect.monitor_namespace, self.expect.snippet_name)
            return None if found is None else snippet_of_config_map(found)
        except (SnippetError, UnreadableError):
            return None

    @property
    def installed(self) -> bool:
        """Whether the release has left any trace: its snippet or its bot."""
        try:
            return self.snippet is not None or self.bot_deployment() is not None
        except UnreadableError:
            return True

    @property
    def orchestrator_installed(self) -> bool:
        """Whether the orchestrator's release has left its Deployment."""
        try:
            return self.orchestrator_deployment() is not None
        except UnreadableError:
            return True

    def our_names(self) -> tuple[str, str]:
        """Container names of watcher and bridge, as published."""
        snippet = self.snippet
        bridge = snippet.bridge["name"] if snippet is not None and snippet.bridge is not None else BRIDGE
        return (snippet.watcher["name"] if snippet is not None else WATCHER, bridge)

    def orchestrator_deployment(self) -> Obj | None:
        """The orchestrator's Deployment, found by its labels."""
        wanted = self.expect.orchestrator
        if wanted is None:
            return None
        for item in self.objects("deployments", wanted.namespace):
            labels = dig(item, "metadata", "labels") or {}
            if labels.get(LABEL_COMPONENT) == CONTROLLER and labels.get(LABEL_INSTANCE) == wanted.release:
                return item
        return None

    def bot_deployment(self) -> Obj | None:
        """The bot's Deployment, found by its labels."""
        return next(
            (item for item in self.objects("deployments", self.expect.monitor_namespace) if self.is_bot(item)), None
        )

    def is_bot(self, obj: Obj) -> bool:
        """Whether an object (workload or pod) is the bot of our release, by its labels."""
        labels = dig(obj, "metadata", "labels") or {}
        return labels.get(LABEL_COMPONENT) == BOT and labels.get(LABEL_INSTANCE) == self.expect.release

    def workloads(self, namespace: str) -> list[Bearer]:
        """Every workload that no other of them stands above, those of operators and Jobs of nobody's among them."""
        if namespace not in self._workloads:
            self._workloads[namespace] = [
                Bearer(kind.name, namespace, obj["metadata"]["name"], pod_spec(obj, kind.name), obj)
                for kind in (KINDS[name] for name in WORKLOADS)
                for obj in self.objects(kind.plural, namespace)
                if not _is_seen_elsewhere(obj, kind.name)
            ]
        return self._workloads[namespace]

    def pods(self, namespace: str) -> list[Bearer]:
        """Every pod that runs or is about to."""
        if namespace not in self._pods:
            self._pods[namespace] = [
                Bearer("Pod", namespace, obj["metadata"]["name"], obj.get("spec") or {}, obj)
                for obj in self.objects("pods", namespace)
                if not dig(obj, "metadata", "deletionTimestamp")
                and dig(obj, "status", "phase") not in ("Succeeded", "Failed")
            ]
        return self._pods[namespace]

    def workload_of(self, pod: Bearer) -> Bearer | None:
        """The workload whose selector takes this pod in; None for a Job's pod and one that nobody manages."""
        labels = dig(pod.obj, "metadata", "labels") or {}
        by_label = self._by_label(pod.namespace)
        for bearer in (item for key in (*labels.items(), None) for item in by_label.get(key, [])):
            if selects(dig(bearer.obj, "spec", "selector"), labels):
                return bearer
        return None

    def home(self, pod: Bearer) -> tuple[str, str]:
        """Kind and name of the workload that a pod belongs to, by its owner; the pod itself when nobody owns it."""
        owner = controller_of(pod.obj)
        if owner is None:
            return "Pod", pod.name
        if owner.get("kind") == "ReplicaSet":
            return "Deployment", str(owner.get("name", "")).rpartition("-")[0]
        if owner.get("kind") == "Job":
            job = self.find("jobs", pod.namespace, owner.get("name", ""))
            owner = (controller_of(job) if job else None) or owner
        return str(owner.get("kind")), str(owner.get("name"))

    def _above(self, pod: Bearer) -> Bearer | None:
        """The workload of a pod: by its selector, or by its owner where a Job stands between."""
        found = self.workload_of(pod)
        if found is not None:
            return found
        kind, name = self.home(pod)
        return next((item for item in self.workloads(pod.namespace) if (item.kind, item.name) == (kind, name)), None)

    def _by_label(self, namespace: str) -> dict[tuple[str, str] | None, list[Bearer]]:
        # By one label of each selector: comparing every pod with every workload is slow where there are a thousand.
        if namespace not in self._owners:
            found: dict[tuple[str, str] | None, list[Bearer]] = {}
            for bearer in self.workloads(namespace):
                if bearer.kind not in ("CronJob", "Job"):
                    first = next(iter((dig(bearer.obj, "spec", "selector", "matchLabels") or {}).items()), None)
                    found.setdefault(first, []).append(bearer)
            self._owners[namespace] = found
        return self._owners[namespace]

    def target_of(self, bearer: Bearer) -> Target | None:
        """The entry that gave a workload its sidecar: the last one that takes it in, as one run follows the other.

        None where none does, or where that one removes the sidecar.
        """
        found = None
        for target in self.expect.targets:
            if self._takes_in(target, bearer):
                found = target
        return found if found is not None and found.present else None

    def _takes_in(self, target: Target, bearer: Bearer) -> bool:
        if bearer.kind not in target.kinds or bearer.namespace not in self.expect.agent_namespaces:
            return False
        if target.namespaces and bearer.namespace not in target.namespaces:
            return False
        if target.names and bearer.name not in target.names:
            return False
        if not target.labels and not target.fields:
            return True
        chosen = Chosen(target.labels, target.fields, bearer.kind, bearer.namespace)
        reason = self.snapshot.unread.get((str(chosen), bearer.namespace))
        if reason is not None:
            raise UnreadableError(reason)
        return bearer.name in self.snapshot.selected.get(chosen, set())

    def given(self, bearer: Bearer) -> Overrides:
        """What module sidecar was given for a workload, its annotations apart."""
        target = self.target_of(bearer)
        return NONE if target is None else target.overrides

    def overrides(self, bearer: Bearer) -> Overrides:
        """Settings of a workload's own sidecar, or of a pod's: its annotations, its workload's, those of the module.

        What the module sidecar would refuse counts as not given.
        """
        key = (bearer.namespace, bearer.kind, bearer.name)
        if key not in self._overrides:
            base = self.given(bearer)
            if bearer.kind == "Pod":
                with contextlib.suppress(UnreadableError):  # workloads; the pod's own annotations still count
                    owner = self._above(bearer)
                    base = self.overrides(owner) if owner is not None else base
            try:
                self._overrides[key] = overrides_of(bearer.obj, bearer.kind, base)
            except OverrideError:
                self._overrides[key] = base
        return self._overrides[key]

    def published(self, bearer: Bearer, name: str) -> Obj | None:
        """The published container of this name as it is to be in this workload or pod; None where none is published."""
        snippet = self.snippet
        if snippet is None or name not in self.our_names():
            return None
        overrides = self.overrides(bearer)
        is_watcher = name == snippet.watcher["name"]
        container = snippet.watcher if is_watcher else snippet.bridge
        if container is None or overrides == NONE:
            return container
        try:
            return apply_to_watcher(container, overrides) if is_watcher else apply_to_bridge(container, overrides)
        except OverrideError:
            return container

    # -- Secrets of ours ------------------------------------------------------------------------------------------

    def webhook_of(self, bearer: Bearer) -> str:
        """Name of the webhook Secret that this workload's watcher is told to read."""
        return self.overrides(bearer).webhook_secret_name or self.expect.webhook_secret

    def input_of(self, bearer: Bearer) -> str:
        """Name of the Secret that this workload's bridge is told to read its credential from; empty: of none."""
        published = self.input_secret
        return self.overrides(bearer).input_secret_name or published if published else ""

    @functools.cached_property
    def input_secret(self) -> str:
        """The input credential's Secret as published; empty where the published bridge pulls nothing."""
        return str(secret_of(self._bridge, INPUT_ENV).get("name") or "")

    @property
    def _bridge(self) -> Obj | None:
        return None if self.snippet is None else self.snippet.bridge

    def told(self, bearer: Bearer) -> list[Told]:
        """The Secret that each sidecar in this workload or pod is told to read."""
        watcher, bridge = self.our_names()
        names = {container.get("name") for _place, container in containers_of(bearer.spec)}
        found = []
        if watcher in names:
            name = self.webhook_of(bearer)
            instead = None if self._is_meant_for(bearer, watcher, name) else self._no_webhook(bearer.namespace, name)
            found.append(Told(watcher, name, instead, required=True))
        if bridge in names and self.input_of(bearer):
            name = self.input_of(bearer)
            chosen = self.overrides(bearer).input_secret_name is not None
            found.append(Told(bridge, name, self._no_input(bearer.namespace, name), required=chosen))
        return found

    def _is_meant_for(self, bearer: Bearer, container: str, name: str) -> bool:
        """Whether a described Secret may be read by this container of this very pod, as a run's by its watcher."""
        found = self._described(bearer.namespace, name)
        return found is not None and any(
            item.path == "env" and fnmatch.fnmatchcase(container, item.container) and _carries(bearer, item)
            for item in found.readers
        )

    def _no_webhook(self, namespace: str, name: str) -> OurSecret | None:
        """The Secret of another purpose that this one is, or None where it may hold a webhook.

        An annotation names any Secret: whoever may annotate a workload must not get at another one of ours by it.
        """
        found = self._described(namespace, name)
        if found is None and name == self.input_secret != self.expect.webhook_secret:
            return OurSecret(namespace, name, INPUT_CREDENTIAL)
        return found

    def _no_input(self, namespace: str, name: str) -> OurSecret | None:
        """The same for the input credential; a described Secret may hold it if bridges are among its readers."""
        found = self._described(namespace, name)
        if found is None and name == self.expect.webhook_secret != self.input_secret:
            return OurSecret(namespace, name, WEBHOOK)
        _watcher, bridge = self.our_names()
        readers = () if found is None else found.readers
        meant = any(item.path == "env" and fnmatch.fnmatchcase(bridge, item.container) for item in readers)
        return None if meant else found

    def _described(self, namespace: str, name: str) -> OurSecret | None:
        return next((item for item in self.described if item.names(namespace, name)), None)

    @functools.cached_property
    def described(self) -> tuple[OurSecret, ...]:
        """Every Secret of ours that has a name of its own, the webhooks' apart."""
        return self.expect.secrets()

    def our_secret(self, namespace: str, name: str) -> OurSecret | None:
        """What a Secret of this name in this namespace is to us; None: nothing."""
        found = self._described(namespace, name)
        if found is not None:
            return found
        if name == self.expect.webhook_secret or name in self.webhook_names(namespace):
            key = Key(self.webhook_key(), WEBHOOK)
            return OurSecret(namespace, name, WEBHOOK, keys=(key,), reserved=True, opaque=True)
        return next((item for item in self.input_secrets(namespace) if item.name == name), None)

    def webhook_names(self, namespace: str) -> tuple[str, ...]:
        """Names of the webhook Secrets of a namespace: the chart's, the runs', those that workloads choose."""
        if namespace not in self._webhooks:
            expect, names = self.expect, []
            if namespace in expect.agent_namespaces:
                names = [expect.webhook_secret, *(name for name, _key in self._webhooks_of_targets(namespace))]
                with contextlib.suppress(UnreadableError):  # the checks that walk workloads say why
                    names += sorted({self.webhook_of(bearer) for bearer in self.bearers(namespace)})
            kept = (name for name in dict.fromkeys(names) if self._no_webhook(namespace, name) is None)
            self._webhooks[namespace] = tuple(kept)
        return self._webhooks[namespace]

    def input_secrets(self, namespace: str) -> tuple[OurSecret, ...]:
        """Secrets with input credentials that are not described: the published one, and those that workloads choose."""
        if namespace not in self._inputs:
            self._inputs[namespace] = tuple(self._inputs_of(namespace))
        return self._inputs[namespace]

    def _inputs_of(self, namespace: str) -> Iterator[OurSecret]:
        published = secret_of(self._bridge, INPUT_ENV)
        if not published or namespace not in self.expect.agent_namespaces:
            return
        chosen = [NONE, *(item.overrides for item in self._targets_in(namespace))]
        with contextlib.suppress(UnreadableError):  # the checks that walk workloads say why
            chosen += [self.overrides(bearer) for bearer in self.bearers(namespace)]
        keys: dict[str, set[str]] = {}
        for item in chosen:
            key = item.input_secret_key or published.get("key") or INPUT_ENV
            keys.setdefault(item.input_secret_name or published["name"], set()).add(key)
        for name in sorted(keys):
            if self._described(namespace, name) is None and self._no_input(namespace, name) is None:
                held = tuple(Key(key, INPUT_CREDENTIAL, required=False) for key in sorted(keys[name]))
                # Who pulls nothing has none: an agent that takes no input works all the same.
                yield OurSecret(namespace, name, INPUT_CREDENTIAL, keys=held, expected=False)

    def _targets_in(self, namespace: str) -> list[Target]:
        return [
            target
            for target in self.expect.targets
            if target.present and (not target.namespaces or namespace in target.namespaces)
        ]

    def webhooks_read(self, namespace: str) -> list[tuple[str, str]]:
        """(Secret, key) of each webhook that a watcher of the namespace reads; without any, those that one will."""
        if namespace not in self._read:
            found: set[tuple[str, str]] = set()
            watcher, _bridge = self.our_names()
            for bearer, _place, _container in self.containers(namespace, watcher):
                usable = self._no_webhook(namespace, self.webhook_of(bearer)) is None
                if usable and not self._has_other_webhook(bearer):
                    found.add((self.webhook_of(bearer), self._key_of(self.overrides(bearer))))
            self._read[namespace] = sorted(found or self._webhooks_of_targets(namespace))
        return self._read[namespace]

    def _webhooks_of_targets(self, namespace: str) -> set[tuple[str, str]]:
        chosen = [target.overrides for target in self._targets_in(namespace)]
        return {
            (item.webhook_secret_name or self.expect.webhook_secret, self._key_of(item)) for item in chosen or [NONE]
        }

    def _key_of(self, overrides: Overrides) -> str:
        return overrides.webhook_secret_key or self.webhook_key()

    def expected_paths(self, bearer: Bearer) -> frozenset[Way]:
        """(path, container, Secret) that may be; everything else by which a container reads one of ours is too much."""
        key = (bearer.namespace, bearer.kind, bearer.name)
        if key not in self._expected:
            self._expected[key] = frozenset(self._ways(bearer, required=False))
        return self._expected[key]

    def unexpected(self, bearer: Bearer) -> list[SecretPath]:
        """Of the ways from a workload or pod to Secrets of ours those that are not meant; worked out once."""
        key = (bearer.namespace, bearer.kind, bearer.name)
        if key not in self._unexpected:
            self._unexpected[key] = self._not_meant(bearer)
        return self._unexpected[key]

    def _not_meant(self, bearer: Bearer) -> list[SecretPath]:
        expected = self.expected_paths(bearer)
        holders = {(container, secret) for _path, container, secret in expected}
        ours = self.our_names()
        _watcher, bridge = ours

        def is_meant(item: SecretPath) -> bool:
            # What an agent writes, its sidecars are there to read: a Secret that is the agent's own goes nowhere new.
            reads_the_agent = item.container in ours and item.holder not in ours
            # And what the bridge writes, the agent: its credential opens the input of that agent alone.
            reads_the_bridge = item.holder == bridge and item.container not in ours
            shared = item.path == "shared-volume" and (reads_the_agent or reads_the_bridge)
            handed_on = shared and (item.holder, item.secret) in holders
            return handed_on or (item.path, item.container, item.secret) in expected

        paths = self.paths_of(bearer)
        found = (item for item in paths if self.our_secret(bearer.namespace, item.secret) is not None)
        return [item for item in found if not is_meant(item)]

    def required_paths(self, bearer: Bearer) -> set[Way]:
        """Those among them that have to be."""
        return set(self._ways(bearer, required=True))

    def _ways(self, bearer: Bearer, *, required: bool) -> Iterator[Way]:
        names = [str(container.get("name", "")) for _place, container in containers_of(bearer.spec)]
        for told in self.told(bearer):
            if told.instead is None and (not required or self._has_to_refer(bearer, told)):
                yield "env", told.container, told.secret
        for secret in self.described:
            if secret.namespace == bearer.namespace and not (required and secret.is_pattern):
                yield from self._ways_to(secret, bearer, names, required=required)

    def _has_to_refer(self, bearer: Bearer, told: Told) -> bool:
        watcher, _bridge = self.our_names()
        return told.required and not (told.container == watcher and self._has_other_webhook(bearer))

    def _has_other_webhook(self, bearer: Bearer) -> bool:
        """Whether its watcher takes the URL from a described Secret that it may read, as where runs have channels."""
        watcher, _bridge = self.our_names()
        found = find_container(bearer.spec, watcher)
        env = (found[1].get("env") or []) if found is not None else []
        named = {dig(item, "valueFrom", "secretKeyRef", "name") for item in env if item.get("name") == WEBHOOK_ENV}
        described = {name for name in named - {None} if self._described(bearer.namespace, name) is not None}
        return any(("env", watcher, name) in self.expected_paths(bearer) for name in described)

    def _ways_to(self, secret: OurSecret, bearer: Bearer, names: list[str], *, required: bool) -> Iterator[Way]:
        for reader in secret.readers:
            if (required and not reader.required) or not _carries(bearer, reader):
                continue
            # An image is pulled for the pod as a whole.
            pulls = reader.path == "image-pull"
            readers = [""] if pulls else [name for name in names if fnmatch.fnmatchcase(name, reader.container)]
            for name in self._names_of(secret):
                yield from ((reader.path, container, name) for container in readers)

    def _names_of(self, secret: OurSecret) -> list[str]:
        if not secret.is_pattern:
            return [secret.name] if secret.name else []
        return [name for name in self.our_secrets(secret.namespace) if secret.names(secret.namespace, name)]

    def paths(self, namespace: str) -> list[tuple[Bearer, list[SecretPath]]]:
        """Every workload and pod with its ways to Secrets."""
        return [(bearer, self.paths_of(bearer)) for bearer in self.bearers(namespace)]

    def paths_of(self, bearer: Bearer) -> list[SecretPath]:
        """The ways of one of them; worked out once."""
        key = (bearer.namespace, bearer.kind, bearer.name)
        if key not in self._paths:
            self._paths[key] = secret_paths(bearer.spec)
        return self._paths[key]

    def our_secrets(self, namespace: str) -> tuple[str, ...]:
        """Names of our Secrets in a namespace: described, fitting a pattern, or chosen by workloads."""
        if namespace not in self._secrets:
            here = [item for item in self.described if item.namespace == namespace]
            names = [item.name for item in here if not item.is_pattern and item.name]
            patterns = [item for item in here if item.is_pattern]
            seen = self._seen_names(namespace) if patterns else []
            names += [name for name in seen if any(item.names(namespace, name) for item in patterns)]
            names += [*self.webhook_names(namespace), *(item.name for item in self.input_secrets(namespace))]
            self._secrets[namespace] = tuple(dict.fromkeys(names))
        return self._secrets[namespace]

    def _seen_names(self, namespace: str) -> list[str]:
        found: set[str] = set()
        with contextlib.suppress(UnreadableError):  # who needs the list for a verdict says why
            found |= {item["metadata"]["name"] for item in self.objects("secrets", namespace)}
        with contextlib.suppress(UnreadableError):
            found |= {item.secret for _bearer, paths in self.paths(namespace) for item in paths}
        return sorted(found)

    @functools.cached_property
    def access(self) -> Access:
        """Rights of every ServiceAccount in view, and of the groups that all of them are in."""
        expect, snapshot = self.expect, self.snapshot
        namespaces = [name for name in expect.namespaces() if snapshot.namespaces.get(name, {}) is not None]
        places = [("clusterroles", ""), ("clusterrolebindings", "")]
        places += [(what, name) for name in namespaces for what in ("roles", "rolebindings")]
        listed = snapshot.objects
        roles = Roles(
            cluster_roles=listed.get(("clusterroles", ""), []),
            cluster_bindings=listed.get(("clusterrolebindings", ""), []),
            roles={name: listed.get(("roles", name), []) for name in namespaces},
            bindings={name: listed.get(("rolebindings", name), []) for name in namespaces},
        )
        return Access(
            roles,
            subjects=self._accounts(namespaces),
            wanted={
                "": rights_of_interest("", ()),
                **{name: rights_of_interest(name, self.our_secrets(name)) for name in namespaces},
            },
            reviews=snapshot.reviews,
            by_objects=not any(place in snapshot.unread for place in places),
        )

    def _accounts(self, namespaces: list[str]) -> list[Who]:
        groups = [UNAUTHENTICATED, AUTHENTICATED, ACCOUNTS, *(f"{ACCOUNTS}:{name}" for name in namespaces)]
        found = [Who("User", "", ANONYMOUS), *(Who("Group", "", name) for name in groups)]
        for namespace in namespaces:
            accounts = self.snapshot.objects.get(("serviceaccounts", namespace), [])
            names = {obj["metadata"]["name"] for obj in accounts}
            if ("serviceaccounts", namespace) in self.snapshot.unread:  # those in use are known all the same
                names = {"default"}
                with contextlib.suppress(UnreadableError):
                    names |= {account_of(bearer.spec) for bearer in self.bearers(namespace)}
            found += [Who("ServiceAccount", namespace, name) for name in sorted(names)]
        return found

    def bearers(self, namespace: str) -> Iterator[Bearer]:
        """Workloads and pods."""
        yield from self.workloads(namespace)
        yield from self.pods(namespace)

    def containers(self, namespace: str, *names: str) -> Iterator[tuple[Bearer, str, Obj]]:
        """(bearer, container list, container) for every container of these names in workloads and pods."""
        for bearer in self.bearers(namespace):
            for place, container in containers_of(bearer.spec):
                if container.get("name") in names:
                    yield bearer, place, container

    def ours(self, namespace: str, *, pods_only: bool = False) -> Iterator[tuple[Bearer, str, Obj]]:
        """Our own containers: watcher and bridge in agent namespaces, the bot in the monitor's."""
        watcher, bridge = self.our_names()
        for bearer in self.pods(namespace) if pods_only else self.bearers(namespace):
            for place, container in containers_of(bearer.spec):
                name = container.get("name")
                if name in (watcher, bridge) or (name == BOT and self.is_bot(bearer.obj)):
                    yield bearer, place, container

    def targets(self, namespace: str) -> Iterator[Bearer]:
        """The workloads that are to hold a sidecar."""
        return (bearer for bearer in self.workloads(namespace) if self.target_of(bearer) is not None)

    def secret_value(self, namespace: str, name: str, key: str) -> str | None:
        """A Secret's value, for comparison in memory only; None when there is no such Secret or key."""
        secret = self.find("secrets", namespace, name)
        raw = dig(secret, "data", key)
        if not isinstance(raw, str):
            return None
        try:
            return base64.b64decode(raw).decode("utf-8", "replace")
        except (binascii.Error, ValueError):
            return None

    def webhook_key(self) -> str:
        """The key that the published snippet reads."""
        watcher = None if self.snippet is None else self.snippet.watcher
        return str(secret_of(watcher, WEBHOOK_ENV).get("key") or WEBHOOK_ENV)


def _is_seen_elsewhere(obj: Obj, kind: str) -> bool:
    """Whether its controller is a workload too; a Job of any controller is seen in its pods while they run."""
    owner = controller_of(obj)
    return owner is not None and (kind == "Job" or owner.get("kind") in WORKLOADS)


def _carries(bearer: Bearer, reader: Reader) -> bool:
    """Whether the object, or the pods that it makes, has all labels that the reader's pods have."""
    template = pod_template(bearer.obj, bearer.kind)
    return any(
        reader.labels.items() <= (dig(place, "metadata", "labels") or {}).items() for place in (bearer.obj, template)
    )


def account_of(spec: Obj) -> str:
    """Name of the ServiceAccount that a pod runs as."""
    return str(spec.get("serviceAccountName") or spec.get("serviceAccount") or "default")


def health_port(container: Obj) -> int:
    """The container's port named health, else 8080."""
    for port in container.get("ports") or []:
        if port.get("name") == "health":
            return int(port["containerPort"])
    return 8080


def is_running(pod: Obj, container: str) -> bool:
    """Whether a container of a pod runs now."""
    status = pod.get("status") or {}
    for place in ("containerStatuses", "initContainerStatuses", "ephemeralContainerStatuses"):
        for item in status.get(place) or []:
            if item.get("name") == container:
                return dig(item, "state", "running") is not None
    return False


# What the controller cannot do without (OR-317, OR-323): verb, API group, resource.
CONTROLLER_RIGHTS = (
    ("create", "batch", "jobs"),
    ("create", "", "configmaps"),
    ("create", "", "persistentvolumeclaims"),
    ("watch", "orchestrator.platform", "coderuns"),
    ("watch", "orchestrator.platform", "docsruns"),
)

# And what it does besides where runs have channels of their own, which a variable of it tells.
CHANNELS_VARIABLE = "RUN_CHANNELS_CREDENTIAL_FILE"
CHANNELS_RIGHTS = (("create", "", "secrets"), ("delete", "", "secrets"))


def runs_namespace(view: View) -> str:
    """Where the controller looks for runs, as its ConfigMap says."""
    wanted = view.expect.orchestrator
    if wanted is None:
        return ""
    config = view.find("configmaps", wanted.namespace, f"{wanted.fullname}-config")
    return str(dig(config, "data", "KUBERNETES_NAMESPACE") or wanted.namespace)


def controllers_questions(view: View) -> Iterator[tuple[Who, Right]]:
    """The access reviews that say whether the controller's account may do its work."""
    with contextlib.suppress(UnreadableError):
        deployment = view.orchestrator_deployment()
        if deployment is not None:
            spec = dig(deployment, "spec", "template", "spec") or {}
            who = Who("ServiceAccount", deployment["metadata"]["namespace"], account_of(spec))
            variables = {item.get("name") for _place, one in containers_of(spec) for item in one.get("env") or []}
            channels = CHANNELS_RIGHTS if CHANNELS_VARIABLE in variables else ()
            for verb, group, resource in (*CONTROLLER_RIGHTS, *channels):
                yield who, Right(verb, group, resource, "", runs_namespace(view))


def orchestrator_address(view: View) -> str | None:
    """API path of the health answer through the Service's proxy; None where it is not to be asked."""
    wanted = view.expect.orchestrator
    if wanted is None:
        return None
    with contextlib.suppress(UnreadableError):
        deployment = view.orchestrator_deployment()
        service = view.find("services", wanted.namespace, wanted.fullname)
        ports = dig(service, "spec", "ports") or []
        containers = dig(deployment, "spec", "template", "spec", "containers") or []
        probe = dig(containers[0], "readinessProbe", "httpGet") if containers else None
        if ports and probe and dig(deployment, "spec", "replicas") != 0:
            place = f"/api/v1/namespaces/{wanted.namespace}/services/{wanted.fullname}:{ports[0].get('name') or ''}"
            return f"{place}/proxy{probe.get('path') or '/'}"
    return None

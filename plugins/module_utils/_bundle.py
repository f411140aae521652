# SPDX-License-Identifier: GPL-3.0-or-later
# SPDX-FileCopyrightText: 2026 The orchestrator.platform authors
#
# Private to this collection: names and behaviour may change in any release.
"""What goes into a support bundle, and in which shape: objects without what may be secret, an index of it all. Pure.

Two nets, one behind the other: whole fields are left out where secrets live by design, and what remains passes the
Redactor, which also knows the values of the Secrets that could be read.
"""

from __future__ import annotations

import base64
import binascii
import typing as t
from collections.abc import Collection, Iterable, Iterator

from ansible_collections.orchestrator.platform.plugins.module_utils._expectation import BOT
from ansible_collections.orchestrator.platform.plugins.module_utils._redact import Redactor, is_named_secret
from ansible_collections.orchestrator.platform.plugins.module_utils._snippet import BRIDGE, WATCHER
from ansible_collections.orchestrator.platform.plugins.module_utils._workloads import (
    CONTAINER_LISTS,
    Json,
    Obj,
    containers_of,
    dig,
)

SCHEMA = 1  # of index.json
OURS = (WATCHER, BRIDGE, BOT)  # containers whose settings and logs are shown
PART_OF = "orchestrator-platform"
MAX_OBJECTS = 2000  # of one kind in one namespace that are written; the index says how many there are

# resource -> API path prefix; listed in each namespace in view
NAMESPACED: dict[str, str] = {
    **dict.fromkeys(("deployments", "statefulsets", "daemonsets", "replicasets"), "/apis/apps/v1"),
    **dict.fromkeys(("jobs", "cronjobs"), "/apis/batch/v1"),
    **dict.fromkeys(
        (
            *("pods", "services", "configmaps", "secrets", "serviceaccounts"),
            *("resourcequotas", "limitranges", "persistentvolumeclaims", "events"),
        ),
        "/api/v1",
    ),
    **dict.fromkeys(("roles", "rolebindings"), "/apis/rbac.authorization.k8s.io/v1"),
    "networkpolicies": "/apis/networking.k8s.io/v1",
}
# listed once; policies of admission exist from some version on, and where they do not the index says so
CLUSTER_WIDE: dict[str, str] = {
    "nodes": "/api/v1",
    **dict.fromkeys(
        (
            *("validatingadmissionpolicies", "validatingadmissionpolicybindings"),
            *("mutatingadmissionpolicies", "mutatingadmissionpolicybindings"),
        ),
        "/apis/admissionregistration.k8s.io/v1",
    ),
}

# What is shown of containers that are not ours: nothing that may hold a value.
_FOREIGN_FIELDS = (
    *("name", "image", "imagePullPolicy", "resources", "ports", "volumeMounts", "securityContext", "restartPolicy"),
    *("envFrom", "workingDir", "terminationMessagePolicy"),
)
_REPEATS = "kubectl.kubernetes.io/last-applied-configuration"  # the whole object as text, values and all
# Certificates and names: public, and blanking them would make the rest unreadable.
_PUBLIC_KEYS = ("ca.crt", "namespace", "tls.crt")


class Log(t.NamedTuple):
    """One log to be read."""

    namespace: str
    pod: str
    container: str
    previous: bool

    @property
    def file(self) -> str:
        """Its path in the archive."""
        end = ".previous.log" if self.previous else ".log"
        return f"logs/{self.namespace}/{self.pod}/{self.container}{end}"

    def path(self, *, lines: int, limit_bytes: int) -> str:
        """REST path that reads its end."""
        query = f"container={self.container}&tailLines={lines}&limitBytes={limit_bytes}&timestamps=true"
        before = "&previous=true" if self.previous else ""
        return f"/api/v1/namespaces/{self.namespace}/pods/{self.pod}/log?{query}{before}"


# -- secrets -------------------------------------------------------------------------------------------------------


def secret_values(secrets: Iterable[Obj], *, names: Collection[str]) -> Iterator[str]:
    """The values of Secrets, to be found and replaced; kept in memory only. `names` are values that are no secret."""
    for secret in secrets:
        for key, raw in (secret.get("data") or {}).items():
            if key in _PUBLIC_KEYS or not isinstance(raw, str):
                continue
            try:
                value = base64.b64decode(raw).decode("utf-8", "replace")
            except (binascii.Error, ValueError):
                continue
            if value.strip() not in names:
                yield value


# -- objects -------------------------------------------------------------------------------------------------------


def printable(resource: str, obj: Obj, redactor: Redactor) -> Obj:
    """One object as it goes into the bundle."""
    shown = {**obj, "metadata": _metadata(obj.get("metadata") or {})}
    if resource == "secrets":
        names = sorted({*(obj.get("data") or {}), *(obj.get("stringData") or {})})
        shown = {"metadata": shown["metadata"], "type": obj.get("type"), "keys": names}
    elif resource == "configmaps":
        shown = {**shown, **_config_map(obj)}
    else:
        shown = t.cast(Obj, _without_foreign_values(shown))
    return t.cast(Obj, redactor.tree(shown))


def _metadata(metadata: Obj) -> Obj:
    notes = dict(metadata.get("annotations") or {})
    if _REPEATS in notes:
        notes[_REPEATS] = "<left out: it repeats the object>"
    shown = {key: value for key, value in metadata.items() if key != "managedFields"}
    managers = [
        {key: entry.get(key) for key in ("manager", "operation", "subresource", "time") if entry.get(key)}
        for entry in metadata.get("managedFields") or []
    ]
    if notes:
        shown["annotations"] = {
            key: "<redacted>" if is_named_secret(key, value) and key != _REPEATS else value
            for key, value in notes.items()
        }
    return {**shown, "managers": managers} if managers else shown


def _config_map(obj: Obj) -> Obj:
    data = obj.get("data") or {}
    if dig(obj, "metadata", "labels", "app.kubernetes.io/part-of") == PART_OF:
        shown = {key: "<redacted>" if is_named_secret(key, value) else value for key, value in data.items()}
    else:
        shown = {key: f"<{len(str(value))} characters>" for key, value in data.items()}
    binary = {key: f"<{len(str(value))} characters>" for key, value in (obj.get("binaryData") or {}).items()}
    return {"data": shown, **({"binaryData": binary} if binary else {})}


def _without_foreign_values(value: Json) -> Json:
    """A copy in which every container of every pod spec is trimmed, wherever the spec sits."""
    if isinstance(value, list):
        return [_without_foreign_values(item) for item in value]
    if not isinstance(value, dict):
        return value
    shown = {key: _without_foreign_values(item) for key, item in value.items()}
    for place in CONTAINER_LISTS:
        if isinstance(value.get(place), list):
            shown[place] = [_container(item) if isinstance(item, dict) else "<left out>" for item in value[place]]
    return shown


def _container(item: Obj) -> Obj:
    if item.get("name") in OURS:
        return {**item, "env": [_our_variable(entry) for entry in item.get("env") or []]}
    shown = {key: item[key] for key in _FOREIGN_FIELDS if key in item}
    left_out = sorted({*item} - {*shown} - {"env"})
    env = [
        {"name": entry.get("name"), **({"valueFrom": entry["valueFrom"]} if "valueFrom" in entry else {})}
        for entry in item.get("env") or []
        if isinstance(entry, dict)
    ]
    return {**shown, "env": env, "leftOut": left_out}


def _our_variable(entry: Obj) -> Obj:
    if "value" in entry and is_named_secret(str(entry.get("name", "")), entry["value"]):
        return {**entry, "value": "<redacted>"}
    return entry


# -- logs ----------------------------------------------------------------------------------------------------------


def logs_of(pods: Iterable[Obj], *, foreign: bool) -> list[Log]:
    """The logs to read: of our containers, with `foreign` then of the others; previous ones where there are any."""
    wanted = []
    for pod in pods:
        namespace, name = dig(pod, "metadata", "namespace") or "", dig(pod, "metadata", "name") or ""
        restarts = dict(_restarts(pod))
        for _place, container in containers_of(pod.get("spec") or {}):
            own = container.get("name", "")
            if own not in restarts or (own not in OURS and not foreign):
                continue
            wanted += [Log(namespace, name, own, previous) for previous in (False, True)[: 1 + bool(restarts[own])]]
    return sorted(wanted, key=lambda log: (log.container not in OURS, log))


def _restarts(pod: Obj) -> Iterator[tuple[str, int]]:
    """(container, restarts) for each one that has ever run: the others have no log."""
    for place in ("containerStatuses", "initContainerStatuses", "ephemeralContainerStatuses"):
        for item in dig(pod, "status", place) or []:
            if item.get("containerID") or item.get("restartCount"):
                yield item.get("name", ""), int(item.get("restartCount") or 0)


# -- versions and index --------------------------------------------------------------------------------------------


def images_of(pods: Iterable[Obj]) -> list[Obj]:
    """Which images run, by container: what was asked for and what the node runs."""
    rows = {
        (item.get("name", ""), item.get("image", ""), item.get("imageID", ""))
        for pod in pods
        for place in ("containerStatuses", "initContainerStatuses")
        for item in dig(pod, "status", place) or []
    }
    return [{"container": name, "image": image, "imageID": digest} for name, image, digest in sorted(rows)]


def nodes_of(nodes: Iterable[Obj]) -> list[Obj]:
    """Versions and conditions of each node."""
    return [
        {
            "name": dig(node, "metadata", "name"),
            "nodeInfo": dig(node, "status", "nodeInfo"),
            "conditions": {item.get("type"): item.get("status") for item in dig(node, "status", "conditions") or []},
        }
        for node in nodes
    ]


def index_text(index: Obj) -> str:
    """The index for people."""
    lines = [
        f"Support bundle of the release {index['release']}, taken {index['time']}.",
        "",
        "Values of Secrets are not in here: of Secrets only names, types and keys, of containers that are not ours no",
        "settings, and everything else has passed a redaction. It is still a description of your cluster: look through",
        "it before you pass it on.",
        "",
        f"Redacted: {index['redacted']} places. Secrets' values known to the redaction: {index['secret_values']}.",
        "",
        "Files (a kind without a file has no objects, unless it stands under Not read):",
        *(f"  {row['size']:>9}  {row['file']}" for row in index["files"]),
        "",
        "Not read:" if index["unread"] else "Everything could be read.",
        *(f"  {row['what']}: {row['reason']}" for row in index["unread"]),
    ]
    if index["left_out"]:
        lines += ["", "Left out:", *(f"  {line}" for line in index["left_out"])]
    return "\n".join(lines) + "\n"

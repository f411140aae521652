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
import json
import re
import typing as t
from collections.abc import Collection, Iterable, Iterator

from ansible_collections.orchestrator.platform.plugins.module_utils._expectation import (
    BOT,
    LABEL_COMPONENT,
    LABEL_INSTANCE,
)
from ansible_collections.orchestrator.platform.plugins.module_utils._redact import Redactor, is_named_secret
from ansible_collections.orchestrator.platform.plugins.module_utils._snippet import BRIDGE, WATCHER
from ansible_collections.orchestrator.platform.plugins.module_utils._workloads import (
    CONTAINER_LISTS,
    PREFIX,
    Json,
    Obj,
    containers_of,
    dig,
)

SCHEMA = 1  # of index.json
# Containers whose settings and logs are shown, and the program that each one starts: a name alone anybody can give.
PROGRAMS = {WATCHER: "watch", BRIDGE: "bridge", BOT: "bot"}
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
# Annotations with a whole object as text, values and all: known by name, packed or not, or by what they hold.
_REPEATS = re.compile(r"last-applied|^kapp\.k14s\.io/original|^objectset\.rio\.cattle\.io/applied$")
_REPEATED = "<left out: it repeats an object>"
# Their text begins with what the kubelet says and ends with what the container has said, or its command.
_EVENTS_WITH_OUTPUT = ("Unhealthy", "ProbeWarning", "FailedPostStartHook", "FailedPreStopHook", "Failed")
# Reasons of the kubelet's for a wait whose message is about the image, a name or a pause; those of an image are also
# the text of an Event.
_IMAGE_REASONS = (
    *("ImagePullBackOff", "ErrImagePull", "InvalidImageName", "ErrImageNeverPull", "ImageInspectError"),
    *("RegistryUnavailable", "SignatureValidationFailed"),
)
_WAITS_WITHOUT_OUTPUT = (
    *(*_IMAGE_REASONS, "CrashLoopBackOff", "ContainerCreating", "PodInitializing", "CreateContainerConfigError"),
)
_ABOUT_IMAGE = re.compile(rf'Failed to pull image "|Error: (?:{"|".join(_IMAGE_REASONS)})$')
_OUTPUT = "<left out: written by a container that is not ours>"
_STATUSES = ("containerStatuses", "initContainerStatuses", "ephemeralContainerStatuses")
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


# -- whose container it is ------------------------------------------------------------------------------------------

Place = tuple[str, str, str]  # namespace, pod, container


def is_ours(container: Obj, labels: Obj, release: str) -> bool:
    """Whether a container is one of the platform's: by name and program, the bot by the labels of its release too."""
    name, args = container.get("name"), container.get("args")
    if name not in PROGRAMS or not isinstance(args, list) or args[:1] != [PROGRAMS[name]]:
        return False
    return name != BOT or (labels.get(LABEL_COMPONENT), labels.get(LABEL_INSTANCE)) == (BOT, release)


def our_places(pods: Iterable[Obj], release: str) -> frozenset[Place]:
    """Our containers among those of these pods."""
    return frozenset(
        (dig(pod, "metadata", "namespace") or "", dig(pod, "metadata", "name") or "", container.get("name", ""))
        for pod in pods
        for _place, container in containers_of(pod.get("spec") or {})
        if is_ours(container, dig(pod, "metadata", "labels") or {}, release)
    )


# -- objects -------------------------------------------------------------------------------------------------------


def printable(
    resource: str, obj: Obj, redactor: Redactor, *, release: str = "", ours: Collection[Place] = frozenset()
) -> Obj:
    """One object as it goes into the bundle; `ours` are our containers in running pods, for what speaks of those."""
    shown = {**obj, "metadata": _metadata(obj.get("metadata") or {})}
    if resource == "secrets":
        names = sorted({*(obj.get("data") or {}), *(obj.get("stringData") or {})})
        shown = {"metadata": shown["metadata"], "type": obj.get("type"), "keys": names}
    elif resource == "configmaps":
        shown = {**shown, **_config_map(obj)}
    else:
        labels = dig(obj, "metadata", "labels") or {}
        shown = t.cast(Obj, _without_foreign_values(shown, labels if isinstance(labels, dict) else {}, release))
        if resource == "pods":
            shown = _without_last_words(shown, ours)
        elif resource == "events":
            shown = _without_output(shown, ours)
    return t.cast(Obj, redactor.tree(shown))


def _metadata(metadata: Obj) -> Obj:
    annotations = metadata.get("annotations")
    shown = {key: value for key, value in metadata.items() if key != "managedFields"}
    managers = [
        {key: entry.get(key) for key in ("manager", "operation", "subresource", "time") if entry.get(key)}
        for entry in metadata.get("managedFields") or []
        if isinstance(entry, dict)
    ]
    if annotations and isinstance(annotations, dict):
        shown["annotations"] = {key: _annotation(str(key), value) for key, value in annotations.items()}
    return {**shown, "managers": managers} if managers else shown


def _annotation(key: str, value: Json) -> Json:
    if not key.startswith(PREFIX) and (_REPEATS.search(key) or _is_object(str(value))):
        return _REPEATED
    return "<redacted>" if is_named_secret(key, value) else value


def _is_object(text: str) -> bool:
    """Whether a text is an object or a list in JSON, by itself or in base64."""
    text = text.strip()
    if text[:1] not in ("{", "["):
        try:
            text = base64.b64decode(text, validate=True).decode().strip()
        except ValueError:
            return False
    try:
        return text[:1] in ("{", "[") and isinstance(json.loads(text), dict | list)
    except ValueError:
        return False
    except RecursionError:
        return True


def _config_map(obj: Obj) -> Obj:
    data = obj.get("data") or {}
    if dig(obj, "metadata", "labels", "app.kubernetes.io/part-of") == PART_OF:
        shown = {key: "<redacted>" if is_named_secret(key, value) else value for key, value in data.items()}
    else:
        shown = {key: f"<{len(str(value))} characters>" for key, value in data.items()}
    binary = {key: f"<{len(str(value))} characters>" for key, value in (obj.get("binaryData") or {}).items()}
    return {"data": shown, **({"binaryData": binary} if binary else {})}


def _without_foreign_values(value: Json, labels: Obj, release: str) -> Json:
    """A copy in which every container of every pod spec is trimmed and every annotation judged, wherever it sits.

    `labels` are those of the object or template that the value is in.
    """
    if isinstance(value, list):
        return [_without_foreign_values(item, labels, release) for item in value]
    if not isinstance(value, dict):
        return value
    own = dig(value, "metadata", "labels")
    labels = own if isinstance(own, dict) else {} if "metadata" in value else labels
    shown = {
        key: _metadata(item)
        if key == "metadata" and isinstance(item, dict)
        else _without_foreign_values(item, labels, release)
        for key, item in value.items()
    }
    for place in CONTAINER_LISTS:
        if isinstance(value.get(place), list):
            shown[place] = [
                _container(item, ours=is_ours(item, labels, release)) if isinstance(item, dict) else "<left out>"
                for item in value[place]
            ]
    return shown


def _container(item: Obj, *, ours: bool) -> Obj:
    if ours:
        return {**item, "env": [_our_variable(entry) for entry in item.get("env") or []]}
    shown = {key: item[key] for key in _FOREIGN_FIELDS if key in item}
    left_out = sorted({*item} - {*shown} - {"env"})
    env = [
        {"name": entry.get("name"), **({"valueFrom": entry["valueFrom"]} if "valueFrom" in entry else {})}
        for entry in item.get("env") or []
        if isinstance(entry, dict)
    ]
    return {**shown, "env": env, "leftOut": left_out}


def _without_last_words(pod: Obj, ours: Collection[Place]) -> Obj:
    """The message of an end is what the container wrote, a file or the tail of its log."""
    place = dig(pod, "metadata", "namespace") or "", dig(pod, "metadata", "name") or ""
    status = pod.get("status")
    if not isinstance(status, dict):
        return pod
    lists = {
        name: [item if (*place, dig(item, "name")) in ours else _without_message(item) for item in status[name]]
        for name in _STATUSES
        if isinstance(status.get(name), list)
    }
    return {**pod, "status": {**status, **lists}}


def _without_message(item: Json) -> Json:
    if not isinstance(item, dict):
        return "<left out>"
    states = {when: _silent(item[when]) for when in ("state", "lastState") if isinstance(item.get(when), dict)}
    return {**item, **states}


def _silent(state: Obj) -> Obj:
    """The kubelet tells of a failed hook or start with the container's command and output."""
    return {
        name: {**about, "message": _OUTPUT} if isinstance(about, dict) and _may_hold_output(name, about) else about
        for name, about in state.items()
    }


def _may_hold_output(name: str, about: Obj) -> bool:
    return bool(about.get("message")) and (name != "waiting" or about.get("reason") not in _WAITS_WITHOUT_OUTPUT)


def _without_output(event: Obj, ours: Collection[Place]) -> Obj:
    """Probes, hooks and starts of foreign containers: commands and output stand behind the first colon or bracket."""
    about = event.get("involvedObject") or {}
    container = str(about.get("fieldPath") or "").partition("{")[2].rstrip("}")
    place = about.get("namespace"), about.get("name"), container
    message = str(event.get("message") or "")
    about_image = event.get("reason") == "Failed" and _ABOUT_IMAGE.match(message)
    if event.get("reason") not in _EVENTS_WITH_OUTPUT or place in ours or about_image:
        return event
    said = re.split(r"[:(\[]", message, maxsplit=1)[0]
    return {**event, "message": f"{said.rstrip()}: {_OUTPUT}" if said != message else said}


def _our_variable(entry: Obj) -> Obj:
    if "value" in entry and is_named_secret(str(entry.get("name", "")), entry["value"]):
        return {**entry, "value": "<redacted>"}
    return entry


# -- logs ----------------------------------------------------------------------------------------------------------


def logs_of(pods: Iterable[Obj], ours: Collection[Place], *, foreign: bool) -> list[Log]:
    """The logs to read: of our containers, with `foreign` then of the others; previous ones where there are any."""
    wanted = []
    for pod in pods:
        namespace, name = dig(pod, "metadata", "namespace") or "", dig(pod, "metadata", "name") or ""
        restarts = dict(_restarts(pod))
        for _place, container in containers_of(pod.get("spec") or {}):
            own = container.get("name", "")
            if own not in restarts or ((namespace, name, own) not in ours and not foreign):
                continue
            wanted += [Log(namespace, name, own, previous) for previous in (False, True)[: 1 + bool(restarts[own])]]
    return sorted(wanted, key=lambda log: ((log.namespace, log.pod, log.container) not in ours, log))


def _restarts(pod: Obj) -> Iterator[tuple[str, int]]:
    """(container, restarts) for each one that has ever run: the others have no log."""
    for place in _STATUSES:
        for item in dig(pod, "status", place) or []:
            if item.get("containerID") or item.get("restartCount"):
                yield item.get("name", ""), int(item.get("restartCount") or 0)


# -- versions and index --------------------------------------------------------------------------------------------


def images_of(pods: Iterable[Obj]) -> list[Obj]:
    """Which images run, by container: what was asked for and what the node runs."""
    rows = {
        (item.get("name", ""), item.get("image", ""), item.get("imageID", ""))
        for pod in pods
        for place in _STATUSES
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

# SPDX-License-Identifier: GPL-3.0-or-later
# SPDX-FileCopyrightText: 2026 The orchestrator.platform authors
"""Workloads of other people in real-world shapes, and what of an object must survive an injection and its removal."""

from __future__ import annotations

import copy
import json
from typing import Any

Json = dict[str, Any]

PATHS = {"Deployment": "apps/v1", "StatefulSet": "apps/v1", "DaemonSet": "apps/v1", "ReplicaSet": "apps/v1"}
PATHS |= {"CronJob": "batch/v1", "Job": "batch/v1", "Pod": "v1"}
SHARE = "/home/agent/.claude"

# Written by controllers as soon as a template changes, and never given back.
CONTROLLERS_OWN = ("deployment.kubernetes.io/revision", "deprecated.daemonset.template.generation")


def pod_spec(image: str, **more: Any) -> Json:
    """A pod that does nothing for as long as it may; `more` are fields of the spec."""
    spec = {"terminationGracePeriodSeconds": 1, "containers": [container("agent", image)]}
    return copy.deepcopy({**spec, **more})


def container(name: str, image: str, *argv: str, **more: Any) -> Json:
    """One container; without arguments it sleeps."""
    return {"name": name, "image": image, "command": list(argv) or ["sleep", "infinity"], **more}


def workload(
    kind: str, name: str, spec: Json, *, replicas: int = 0, annotations: Json | None = None, **more: Any
) -> Json:
    """A manifest; `annotations` go to the pod template, `more` are fields of its spec."""
    labels = {"app": name}
    template = {"metadata": {"labels": labels, **({"annotations": annotations} if annotations else {})}, "spec": spec}
    meta = {"name": name, "labels": {"team": "blue"}, "annotations": {"example.org/owner": "somebody"}}
    outer: Json = {"apiVersion": PATHS[kind], "kind": kind, "metadata": meta}
    if kind == "Pod":
        return {**outer, "metadata": {**meta, "labels": labels}, "spec": spec}
    if kind in ("Job", "CronJob"):
        spec.setdefault("restartPolicy", "Never")
        job = {"backoffLimit": 0, "template": template, **(more if kind == "Job" else {})}
        return {
            **outer,
            "spec": {"schedule": "0 0 1 1 *", "suspend": True, "jobTemplate": {"spec": job}, **more}
            if kind == "CronJob"
            else job,
        }
    body: Json = {"selector": {"matchLabels": labels}, "template": template, **more}
    if kind != "DaemonSet":
        body["replicas"] = replicas
    if kind == "StatefulSet":
        body["serviceName"] = name
    if kind == "Deployment":
        body["progressDeadlineSeconds"] = 60
    return {**outer, "spec": body}


def shapes(image: str) -> list[Json]:
    """Every shape that is injected. Names say what is special; those with replicas run."""
    restricted = {"runAsUser": 10001, "runAsGroup": 10001, "runAsNonRoot": True}
    many = pod_spec(
        image,
        securityContext=restricted,
        initContainers=[
            container("setup", image, "true"),
            container("existing-sidecar", image, restartPolicy="Always"),
            container("migrate", image, "true"),
        ],
        containers=[
            container("agent", image, ports=[{"name": "http", "containerPort": 9090}]),
            container("proxy", image, env=[{"name": "MODE", "value": "proxy"}]),
            container("log", image, livenessProbe={"exec": {"command": ["true"]}}),
        ],
    )
    projected = {
        "name": "all-in-one",
        "projected": {
            "sources": [
                {"configMap": {"name": "kube-root-ca.crt"}},
                {"serviceAccountToken": {"path": "token", "expirationSeconds": 3600}},
                {"downwardAPI": {"items": [{"path": "labels", "fieldRef": {"fieldPath": "metadata.labels"}}]}},
            ]
        },
    }
    volumes = pod_spec(
        image,
        volumes=[projected, {"name": "config", "configMap": {"name": "kube-root-ca.crt"}}, {"name": "state", "emptyDir": {}}],
        containers=[container("agent", image, volumeMounts=[
            {"name": "all-in-one", "mountPath": "/var/run/all"},
            {"name": "config", "mountPath": "/etc/ca.crt", "subPath": "ca.crt", "readOnly": True},
            {"name": "state", "mountPath": "/state", "subPath": "mine"},
        ])],
    )  # fmt: skip
    reuse = pod_spec(
        image,
        volumes=[{"name": "work", "emptyDir": {}}],
        containers=[
            container("agent", image, volumeMounts=[{"name": "work", "mountPath": SHARE, "subPath": "claude"}])
        ],
    )
    parent = pod_spec(
        image,
        volumes=[{"name": "home", "emptyDir": {}}],
        containers=[container("agent", image, volumeMounts=[{"name": "home", "mountPath": "/home/agent"}])],
    )
    home = [{"name": "home", "mountPath": "/home/agent"}]
    give = "chown 1000 /home/agent && chmod 0755 /home/agent"
    # Fails where the folder is there already and is not its own.
    write = "mkdir -p /home/agent/.claude/projects && touch /home/agent/.claude/projects/a && exec sleep infinity"
    one_user = pod_spec(
        image,
        volumes=[{"name": "home", "emptyDir": {}}],
        initContainers=[
            container("give", image, "sh", "-c", give, volumeMounts=home, securityContext={"runAsUser": 0})
        ],
        containers=[
            container("agent", image, "sh", "-c", write, volumeMounts=home, securityContext={"runAsUser": 1000})
        ],
    )
    second = pod_spec(
        image,
        containers=[container("helper", image), container("agent", image)],
        hostAliases=[{"ip": "192.0.2.1", "hostnames": ["a"]}],
    )
    claims = [
        {
            "metadata": {"name": "data"},
            "spec": {"accessModes": ["ReadWriteOnce"], "resources": {"requests": {"storage": "1Mi"}}},
        }
    ]
    scattered = {
        "tolerations": [{"operator": "Exists"}],
        "nodeSelector": {"kubernetes.io/os": "linux"},
        "dnsConfig": {"options": [{"name": "ndots", "value": "1"}]},
    }
    return [
        workload("Deployment", "plain", pod_spec(image), replicas=1),
        workload("Deployment", "many-containers", many, replicas=1),
        workload("Deployment", "many-volumes", volumes),
        workload("Deployment", "mounts-the-path", reuse),
        workload("Deployment", "mounts-its-parent", parent),
        workload("Deployment", "home-of-one-user", one_user, replicas=1),
        workload("Deployment", "second-container", second, annotations={"orchestrator.platform/container": "agent", "example.org/x": "y"}),
        workload("Deployment", "scattered", pod_spec(image, **scattered), strategy={"type": "Recreate"}),
        workload("Deployment", "with-bridge", pod_spec(image)),
        workload("StatefulSet", "ordered", pod_spec(image), replicas=1),
        workload("StatefulSet", "with-claims", pod_spec(image), volumeClaimTemplates=claims),
        workload("DaemonSet", "everywhere", pod_spec(image)),
        workload("CronJob", "yearly", pod_spec(image)),
    ]  # fmt: skip


def refused_shapes(image: str) -> list[Json]:
    """Shapes that are answered and left alone."""
    return [
        workload("Deployment", "host-network", pod_spec(image, hostNetwork=True)),
        workload("ReplicaSet", "bare-set", pod_spec(image)),
        workload("Pod", "bare-pod", pod_spec(image)),
    ]


def template_spec(obj: Json) -> Json:
    """The pod spec inside a workload."""
    place: Json = obj["spec"]
    if obj["kind"] == "CronJob":
        place = place["jobTemplate"]["spec"]
    return place if obj["kind"] == "Pod" else place["template"]["spec"]


def _others(obj: Json) -> list[Json]:
    """The entries of managedFields that tell of people: neither of a status nor of a controller."""
    fields = obj["metadata"].get("managedFields", [])
    return [m for m in fields if m.get("subresource") != "status" and m["manager"] != "kube-controller-manager"]


def _annotations(obj: Json) -> Json:
    """All but the controllers' own."""
    found = obj["metadata"].get("annotations", {})
    return {name: value for name, value in found.items() if name not in CONTROLLERS_OWN}


def essence(obj: Json) -> Json:
    """All of an object that an injection and its removal must leave as it was: spec, labels, annotations, managers."""
    meta = obj["metadata"]
    managers = [{key: value for key, value in entry.items() if key != "time"} for entry in _others(obj)]
    kept = {
        "uid": meta["uid"],
        "labels": meta.get("labels"),
        "annotations": _annotations(obj),
        "ownerReferences": meta.get("ownerReferences"),
    }
    # As text: the order of every list and key counts.
    return {**kept, "managers": managers, "spec": json.dumps(obj["spec"])}


def trace(obj: Json) -> str:
    """Text that differs after any write to the object, but for what controllers write: every manager with its time."""
    meta = obj["metadata"]
    written = {name: meta.get(name) for name in ("uid", "generation", "labels")}
    return json.dumps([written, _annotations(obj), _others(obj), obj["spec"]], sort_keys=True)

# SPDX-License-Identifier: GPL-3.0-or-later
# SPDX-FileCopyrightText: 2026 The orchestrator.platform authors
"""The Pod Security Standard "restricted", and the few rules we hold beyond it, as a pure function over a pod spec."""

from __future__ import annotations

import typing as t

CONTAINER_LISTS = ("containers", "initContainers", "ephemeralContainers")
HOST_FIELDS = ("hostNetwork", "hostPID", "hostIPC", "hostUsers")
VOLUME_KINDS = {
    "configMap",
    "csi",
    "downwardAPI",
    "emptyDir",
    "ephemeral",
    "persistentVolumeClaim",
    "projected",
    "secret",
}


def containers(pod: t.Mapping[str, t.Any]) -> list[dict[str, t.Any]]:
    """All containers of a pod. A native sidecar sits in initContainers: containers alone would miss ours."""
    return [container for key in CONTAINER_LISTS for container in pod.get(key) or []]


def restricted_violations(pod: t.Mapping[str, t.Any]) -> list[str]:
    """Sentences, one a violation of "restricted"; settings of the pod count where the standard lets them."""
    found = [f"{field} is set" for field in HOST_FIELDS[:3] if pod.get(field)]
    for volume in pod.get("volumes") or []:
        kinds = set(volume) - {"name"}
        found += [f"volume {volume['name']} is a {kind}" for kind in sorted(kinds - VOLUME_KINDS)]
    for container in containers(pod):
        found += container_violations(container, pod.get("securityContext") or {})
    return found


def container_violations(container: t.Mapping[str, t.Any], pod_context: t.Mapping[str, t.Any]) -> list[str]:
    """The container's part of "restricted". An empty `pod_context` asks whether the container holds alone."""
    name = container["name"]
    context = container.get("securityContext") or {}
    merged = {**pod_context, **context}
    capabilities = context.get("capabilities") or {}
    checks = {
        "allowPrivilegeEscalation is not false": context.get("allowPrivilegeEscalation") is False,
        "capabilities.drop lacks ALL": "ALL" in (capabilities.get("drop") or []),
        "capabilities are added": set(capabilities.get("add") or []) <= {"NET_BIND_SERVICE"},
        "runAsNonRoot is not true": merged.get("runAsNonRoot") is True,
        "runAsUser is 0": merged.get("runAsUser") != 0,
        "seccompProfile is missing": (merged.get("seccompProfile") or {}).get("type")
        in ("RuntimeDefault", "Localhost"),
        "privileged": not context.get("privileged"),
        "a host port": not any(port.get("hostPort") for port in container.get("ports") or []),
    }
    return [f"{name}: {sentence}" for sentence, holds in checks.items() if not holds]

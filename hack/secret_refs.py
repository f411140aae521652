#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-3.0-or-later
# SPDX-FileCopyrightText: 2026 The orchestrator.platform authors
"""Reads a list of pods as JSON from standard input, prints which container reads which Secret: names, never data.

One line "namespace container secret" for each, sorted, once. A container reads a Secret by env, envFrom, or a mounted
volume (secret or projected). A reference that belongs to the pod (image pull Secret, volume nobody mounts) has "-" in
place of the container: whoever can add a container to the pod can read it too.
"""

from __future__ import annotations

import json
import sys
import typing as t

Json = dict[str, t.Any]


def volume_secrets(volume: Json) -> set[str]:
    """Names of the Secrets a volume shows."""
    found = {volume["secret"]["secretName"]} if "secret" in volume else set()
    sources = volume.get("projected", {}).get("sources") or []
    return found | {source["secret"]["name"] for source in sources if "secret" in source}


def container_secrets(container: Json, volumes: t.Mapping[str, set[str]]) -> set[str]:
    """Names of the Secrets a container reads; `volumes` maps a volume's name to its Secrets."""
    keys = [entry.get("valueFrom", {}).get("secretKeyRef") for entry in container.get("env") or []]
    keys += [entry.get("secretRef") for entry in container.get("envFrom") or []]
    mounted = [volumes.get(mount["name"], set()) for mount in container.get("volumeMounts") or []]
    return {key["name"] for key in keys if key}.union(*mounted)


def pod_rows(pod: Json) -> set[tuple[str, str, str]]:
    """(namespace, container or "-", secret) of one pod, over all three lists of containers."""
    spec, namespace = pod["spec"], pod["metadata"].get("namespace", "default")
    volumes = {volume["name"]: volume_secrets(volume) for volume in spec.get("volumes") or []}
    rows = {
        (namespace, container["name"], secret)
        for kind in ("containers", "initContainers", "ephemeralContainers")
        for container in spec.get(kind) or []
        for secret in container_secrets(container, volumes)
    }
    read = {secret for _, _, secret in rows}
    unread = set().union(*volumes.values()) - read | {entry["name"] for entry in spec.get("imagePullSecrets") or []}
    return rows | {(namespace, "-", secret) for secret in unread}


def main() -> int:
    """Print the rows of all pods of the list."""
    pods = json.load(sys.stdin).get("items") or []
    for row in sorted(set().union(*(pod_rows(pod) for pod in pods))):
        print(*row)
    return 0


if __name__ == "__main__":
    sys.exit(main())

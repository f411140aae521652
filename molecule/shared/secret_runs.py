# SPDX-License-Identifier: GPL-3.0-or-later
# SPDX-FileCopyrightText: 2026 The orchestrator.platform authors
"""Module secret against the cluster, in this process, and what the Secrets hold; values never leave this process."""

from __future__ import annotations

import base64
import types
from pathlib import Path

from ansible_collections.kubernetes.core.plugins.module_utils.args_common import AUTH_ARG_SPEC
from ansible_collections.orchestrator.platform.plugins.module_utils._cluster import Cluster as Transport
from ansible_collections.orchestrator.platform.plugins.module_utils._errors import PlatformError
from ansible_collections.orchestrator.platform.plugins.module_utils._secret_writing import SecretRun
from ansible_collections.orchestrator.platform.plugins.module_utils._ssh_keys import new_pair

from real_cluster import Cluster, Json

RUNS, OTHER = "secrets-runs", "secrets-other"


class Module:
    """The module on the real API server; a failed task is a result with `failed` and `msg`."""

    def __init__(self, kubeconfig: Path) -> None:
        self.kubeconfig = kubeconfig
        self.warnings: list[str] = []

    def __call__(self, *secrets: Json, check: bool = False, **params: object) -> Json:
        defaults = {"state": "present", "namespace": RUNS, "recreate": False, "problems": []}
        auth = {**dict.fromkeys(AUTH_ARG_SPEC), "kubeconfig": str(self.kubeconfig)}
        module = types.SimpleNamespace(
            params={**auth, **defaults, **params, "secrets": list(secrets)},
            check_mode=check,
            warn=self.warnings.append,
            requires=lambda *_a: None,
            server_side_dry_run=False,
        )
        try:
            return SecretRun(module, lambda: Transport(module)).result()
        except PlatformError as exc:
            return {"failed": True, "msg": str(exc), **exc.details}


def want(name: str, **more: object) -> Json:
    """A row of the module: keys and texts, where not given otherwise."""
    given = more.pop("keys", {"k": "value-1"})
    data = [{"key": key, "value": value} for key, value in given.items()]  # type: ignore[attr-defined]
    return {"name": name, "data": data, **more}


def values(cluster: Cluster, name: str, namespace: str = RUNS) -> dict[str, str]:
    """The plain values of a Secret."""
    data = cluster.get("secret", name, namespace).get("data") or {}
    return {key: base64.b64decode(value).decode() for key, value in data.items()}


def versions(cluster: Cluster, *namespaces: str) -> dict[str, str]:
    """Secret -> uid and resourceVersion in the namespaces."""
    listed = [
        item["metadata"] for namespace in namespaces or (RUNS, OTHER) for item in cluster.objects("secrets", namespace)
    ]
    return {f"{m['namespace']}/{m['name']}": f"{m['uid']}@{m['resourceVersion']}" for m in listed}


class Pair:
    """A pair of SSH keys as files."""

    def __init__(self, folder: Path, name: str) -> None:
        private, self.public = new_pair()
        self.private = private.decode()
        self.file = folder / name
        self.file.write_bytes(private)
        self.file.chmod(0o600)
        (folder / f"{name}.pub").write_text(f"{self.public} {name}\n", encoding="utf-8")

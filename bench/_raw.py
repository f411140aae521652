#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-3.0-or-later
# SPDX-FileCopyrightText: 2026 The orchestrator.platform authors
"""The floor under injection: one list, then one server-side apply a Deployment, and nothing else.

`bench/_raw.py KUBECONFIG NAMESPACE PATCH`: PATCH is a JSON file with the pod spec that is applied to each. Eight
threads on kept connections, as the module has; no plan, no second look, no answer read. For kubeconfigs with a client
certificate, as kind writes them.
"""

from __future__ import annotations

import base64
import json
import ssl
import sys
import tempfile
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import urllib3
import yaml

MANAGER = "bench.raw"
THREADS = 8


def connect(kubeconfig: Path) -> urllib3.HTTPSConnectionPool:
    """Kept connections to the cluster of the current context."""
    config = yaml.safe_load(kubeconfig.read_text(encoding="utf-8"))
    cluster, user = config["clusters"][0]["cluster"], config["users"][0]["user"]
    context = ssl.create_default_context(cadata=base64.b64decode(cluster["certificate-authority-data"]).decode())
    with tempfile.NamedTemporaryFile() as both:
        for name in ("client-certificate-data", "client-key-data"):
            both.write(base64.b64decode(user[name]))
        both.flush()
        context.load_cert_chain(both.name)
    url = urllib3.util.parse_url(cluster["server"])
    return urllib3.HTTPSConnectionPool(url.host or "", url.port, maxsize=THREADS, ssl_context=context)


def main(kubeconfig: str, namespace: str, patch: str) -> int:
    """Apply to all; exit status 1 when the API server refuses one."""
    pool = connect(Path(kubeconfig))
    path = f"/apis/apps/v1/namespaces/{namespace}/deployments"
    spec = json.loads(Path(patch).read_text(encoding="utf-8"))
    names = [item["metadata"]["name"] for item in json.loads(pool.request("GET", path).data)["items"]]

    def apply(name: str) -> int:
        metadata = {"name": name, "namespace": namespace}
        body = {
            "apiVersion": "apps/v1",
            "kind": "Deployment",
            "metadata": metadata,
            "spec": {"template": {"spec": spec}},
        }
        headers = {
            "Content-Type": "application/apply-patch+yaml",
            "Accept": "application/json;as=PartialObjectMetadata;g=meta.k8s.io;v=v1",
        }
        query = f"?fieldManager={MANAGER}"
        return pool.request("PATCH", f"{path}/{name}{query}", body=json.dumps(body), headers=headers).status

    with ThreadPoolExecutor(THREADS) as threads:
        refused = [status for status in threads.map(apply, names) if status != 200]
    return 1 if refused else 0


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))

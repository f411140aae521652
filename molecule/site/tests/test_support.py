# SPDX-License-Identifier: GPL-3.0-or-later
# SPDX-FileCopyrightText: 2026 The orchestrator.platform authors
"""The support bundle of a real stack: no planted token is in it, and what was not allowed is said (D6; issue 5, item 7)."""

from __future__ import annotations

import base64
import json
import stat
import tarfile
from pathlib import Path

import pytest

from real_cluster import again, succeeded

testinfra_hosts = ["local://"]

NAME = "support-canary"
# The first has no shape, so only its Secret tells what it is; the others have one.
PLAIN = "canary-of-the-support-bundle-27c1"
SHAPED = ["ghp_" + "aB3d" * 9, "xoxb-" + "1234567890-canary"]
PROGRAM = "import base64, os; s = os.environ['S']; print('planted', s, base64.b64encode(s.encode()).decode(), os.environ['T'])"


def planted(namespace: str, agent_spec: dict) -> list[dict]:
    """A Secret, a ConfigMap and a pod that hold the canaries in data, annotation, variables, arguments and log.

    Image, security context and resources are the agent's, so that the pod is admitted where the agent is.
    """
    agent = next(item for item in agent_spec["containers"] if item["name"] == "agent")
    meta = {"name": NAME, "namespace": namespace, "labels": {"orchestrator.platform/monitor": "false"}}
    env = [
        {"name": "S", "valueFrom": {"secretKeyRef": {"name": NAME, "key": "k"}}},
        {"name": "T", "value": SHAPED[0]},
    ]
    container = {key: agent[key] for key in ("image", "securityContext", "resources") if key in agent}
    container |= {"name": "planted", "command": ["python3", "-c", PROGRAM], "args": SHAPED, "env": env}
    return [
        {"apiVersion": "v1", "kind": "Secret", "metadata": meta, "stringData": {"k": PLAIN}},
        {"apiVersion": "v1", "kind": "ConfigMap", "metadata": meta, "data": {"a": PLAIN, "b": SHAPED[1]}},
        {
            "apiVersion": "v1",
            "kind": "Pod",
            "metadata": {**meta, "annotations": {"note": SHAPED[1]}},
            "spec": {
                "restartPolicy": "Never",
                "automountServiceAccountToken": False,
                "securityContext": agent_spec.get("securityContext") or {},
                "containers": [container],
            },
        },
    ]


@pytest.fixture(scope="module")
def bundle(cluster, agents_namespace, tmp_path_factory) -> tuple[Path, str]:
    """The archive, with the logs of the agents too, and what Ansible printed at -vvv."""
    pod = cluster.objects("pods", agents_namespace, "app.kubernetes.io/component=agent")[0]
    objects = json.dumps({"apiVersion": "v1", "kind": "List", "items": planted(agents_namespace, pod["spec"])})
    cluster.kubectl("apply", "--filename=-", stdin=objects)
    target = tmp_path_factory.mktemp("support") / "bundle.tar.gz"
    try:
        phase = ["get", "pod", NAME, f"--namespace={agents_namespace}", "--output=jsonpath={.status.phase}"]
        cluster.until(lambda: cluster.kubectl(*phase) == "Succeeded", "the pod with the canaries has ended")
        wanted = f"--extra-vars={json.dumps({'support_dest': str(target), 'support_foreign_logs': True})}"
        output = again("support", cluster, wanted, "-vvv")
    finally:
        cluster.kubectl("delete", "--filename=-", "--wait=false", stdin=objects)
    assert succeeded(output), output[-3000:]
    return target, output


@pytest.fixture(scope="module")
def texts(bundle) -> dict[str, str]:
    """Every file of the archive."""
    with tarfile.open(bundle[0]) as archive:
        return {item.name: archive.extractfile(item).read().decode() for item in archive}


def test_canaries_are_nowhere(bundle, texts, inputs):
    """Neither in the archive nor in Ansible's output: those of the stack, and those planted; in base64 neither."""
    values = [PLAIN, *SHAPED, inputs["secrets_bot_token"], inputs["secrets_webhook_url"]]
    forms = [*values, *(base64.b64encode(value.encode()).decode().rstrip("=") for value in values)]
    found = {name for name, text in texts.items() if any(form in text for form in forms)}
    assert found == set()
    assert not any(form in bundle[1] for form in forms)


def test_the_places_that_were_planted_are_in_the_bundle(texts, agents_namespace):
    """Else the test above would pass for want of anything to find."""
    log = texts[f"support-bundle/logs/{agents_namespace}/{NAME}/planted.log"]
    assert "planted <" in log
    for kind in ("pods", "secrets", "configmaps"):
        shown = json.loads(texts[f"support-bundle/objects/{agents_namespace}/{kind}.json"])
        assert NAME in {item["metadata"]["name"] for item in shown}


def test_bundle_is_for_its_owner_and_whole(bundle, texts):
    """Mode 0600; findings, versions and logs of our containers are there, and the index knows them all."""
    assert stat.S_IMODE(bundle[0].stat().st_mode) == 0o600
    index = json.loads(texts["support-bundle/index.json"])
    assert {row["file"] for row in index["files"]} == {name.partition("/")[2] for name in texts} - {
        "index.json",
        "index.txt",
    }
    names = {name.partition("/")[2] for name in texts}
    assert {"findings/findings.json", "versions.json"} <= names
    assert any(name.endswith("/discord-watcher.log") for name in names)
    assert not [row for row in index["unread"] if "no permission" in row["reason"]]

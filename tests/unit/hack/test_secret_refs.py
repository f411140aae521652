# SPDX-License-Identifier: GPL-3.0-or-later
# SPDX-FileCopyrightText: 2026 The orchestrator.platform authors
"""What the smoke test's Secret check sees (DM-166, DM-181): every way and list in which a pod can name a Secret."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

SCRIPT = Path(__file__).resolve().parents[3] / "hack" / "secret_refs.py"
BY_KEY = {"name": "c", "env": [{"name": "A", "valueFrom": {"secretKeyRef": {"name": "s", "key": "k"}}}]}
MOUNTING = {"name": "c", "volumeMounts": [{"name": "v", "mountPath": "/x"}]}
PLAIN = {"name": "v", "secret": {"secretName": "s"}}
PROJECTED = {"name": "v", "projected": {"sources": [{"configMap": {"name": "m"}}, {"secret": {"name": "s"}}]}}


def rows(**spec: object) -> str:
    pod = {"metadata": {"name": "p", "namespace": "n"}, "spec": {"containers": [], **spec}}
    listed = json.dumps({"items": [pod]})
    return subprocess.run([sys.executable, SCRIPT], input=listed, capture_output=True, text=True, check=True).stdout


@pytest.mark.parametrize(("spec", "seen"), [
    pytest.param({"containers": [BY_KEY]}, "n c s\n", id="env"),
    pytest.param({"initContainers": [BY_KEY]}, "n c s\n", id="native-sidecar"),
    pytest.param({"ephemeralContainers": [BY_KEY]}, "n c s\n", id="ephemeral"),
    pytest.param({"containers": [{"name": "c", "envFrom": [{"secretRef": {"name": "s"}}]}]}, "n c s\n", id="env-from"),
    pytest.param({"containers": [MOUNTING], "volumes": [PLAIN]}, "n c s\n", id="volume"),
    pytest.param({"containers": [MOUNTING], "volumes": [PROJECTED]}, "n c s\n", id="projected"),
    pytest.param({"volumes": [PROJECTED]}, "n - s\n", id="volume-nobody-mounts"),
    pytest.param({"imagePullSecrets": [{"name": "s"}]}, "n - s\n", id="pull-secret"),
    pytest.param({"containers": [{"name": "c", "env": [{"name": "A", "value": "b"}]}, MOUNTING]}, "", id="none"),
])  # fmt: skip
def test_every_way_to_a_secret_is_seen(spec, seen):
    assert rows(**spec) == seen


def test_nothing_but_names_is_printed():
    """Key names, values of env and annotations stay out of the output."""
    assert "canary" not in rows(containers=[BY_KEY, {"name": "d", "env": [{"name": "B", "value": "canary"}]}])


def test_no_pod_is_no_row():
    done = subprocess.run([sys.executable, SCRIPT], input='{"items": null}', capture_output=True, text=True, check=True)
    assert done.stdout == ""

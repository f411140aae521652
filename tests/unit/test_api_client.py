# SPDX-License-Identifier: GPL-3.0-or-later
# SPDX-FileCopyrightText: 2026 The orchestrator.platform authors
"""How a module starts: in a process of its own, as a module does."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
PROGRAM = """
import gc, json, sys
from ansible_collections.orchestrator.platform.plugins.module_utils import _api_client
module = _api_client.k8s_module(argument_spec={"wanted": {"type": "str"}})
seen = {name: name in sys.modules for name in ("kubernetes", "kubernetes_validate", "jsonschema")}
import kubernetes_validate
module.exit_json(seen=seen, threshold=gc.get_threshold()[0], wanted=module.params["wanted"])
"""


def test_a_module_starts_without_the_validator():
    """It is not imported on the way, and can be afterwards; the module is AnsibleK8SModule's own."""
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM],
        input=json.dumps({"ANSIBLE_MODULE_ARGS": {"wanted": "this"}}),
        env={**os.environ, "PYTHONPATH": str(ROOT / ".ansible" / "collections")},
        capture_output=True,
        text=True,
        check=True,
    )
    told = json.loads(done.stdout)
    assert told["seen"] == {"kubernetes": True, "kubernetes_validate": False, "jsonschema": False}
    assert told["threshold"] > 100_000
    assert told["wanted"] == "this"

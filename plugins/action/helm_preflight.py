# SPDX-License-Identifier: GPL-3.0-or-later
# SPDX-FileCopyrightText: 2026 The orchestrator.platform authors

"""Asks Helm for its version and for a rendering, side by side.

Documented in plugins/modules/helm_preflight.py. An action, because two module processes for two short commands cost
ten times what the commands cost.
"""

from __future__ import annotations

import json
import re
import subprocess
import typing as t
from concurrent.futures import ThreadPoolExecutor

from ansible.plugins.action import ActionBase

LIMIT_S = 60  # for one command; both take a tenth of a second
VERSION = re.compile(r"v?(\d+\.\d+[0-9.]*)")

ARGUMENT_SPEC: dict[str, dict[str, t.Any]] = {
    "binary": {"type": "str", "default": "helm"},
    "chart": {"type": "path"},
    "release": {"type": "str", "default": "release"},
    "namespace": {"type": "str"},
    "values": {"type": "dict", "default": {}},
    "kube_version": {"type": "str"},
}


def ask_version(binary: str) -> str:
    """Helm's version without the v, '' when there is no Helm or no version."""
    try:
        asked = _run([binary, "version", "--template", "{{ .Version }}"], "")
    except (OSError, subprocess.TimeoutExpired):
        return ""
    found = VERSION.search(asked.stdout)
    return found[1] if found else ""


def ask_rendering(
    binary: str,
    chart: str,
    release: str,
    values: dict[str, t.Any],
    kube_version: str | None,
    *,
    namespace: str | None = None,
) -> str:
    """What Helm says against the chart with these values; '' when it renders, or when there is no Helm to say so."""
    argv = [binary, "template", release, chart, "--values=-"]
    if namespace:
        argv.append(f"--namespace={namespace}")
    if kube_version:
        argv.append(f"--kube-version={kube_version}")
    try:
        rendered = _run(argv, json.dumps(values))
    except OSError:
        return ""
    except subprocess.TimeoutExpired:
        return f"{binary} template took longer than {LIMIT_S} s."
    if rendered.returncode == 0:
        return ""
    return rendered.stderr.strip() or f"{binary} template ended with status {rendered.returncode}."


def _run(argv: list[str], stdin: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(  # noqa: S603 - an argument list, no shell
        argv, input=stdin, capture_output=True, text=True, errors="replace", timeout=LIMIT_S, check=False
    )


class ActionModule(ActionBase):  # type: ignore[misc]  # ansible-core has no types
    """The action."""

    _supports_check_mode = True
    _requires_connection = False

    def run(self, tmp: str | None = None, task_vars: dict[str, t.Any] | None = None) -> dict[str, t.Any]:
        """Ask both and report."""
        result: dict[str, t.Any] = super().run(tmp, task_vars)
        _validation, options = self.validate_argument_spec(argument_spec=ARGUMENT_SPEC)
        binary, chart = options["binary"], options["chart"]
        with ThreadPoolExecutor(2) as pool:
            version = pool.submit(ask_version, binary)
            problem = ""
            if chart:
                asked = (options["release"], options["values"], options["kube_version"])
                problem = ask_rendering(binary, chart, *asked, namespace=options["namespace"])
        return {**result, "changed": False, "version": version.result(), "problem": problem}

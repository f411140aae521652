# SPDX-License-Identifier: GPL-3.0-or-later
# SPDX-FileCopyrightText: 2026 The orchestrator.platform authors
"""The commands of a page in docs/, run as they stand there but for names of files and namespaces (OR-347)."""

from __future__ import annotations

import re
import shlex
import subprocess

from real_cluster import ROOT, STATE, Cluster, ansible_playbook

FILES = re.compile(r"(?<![\w./-])(?:platform|sealed|before)\.tar\.gz|(?<![\w./-])backup-password")


def commands(page: str) -> list[str]:
    """Every command of a page, in its order."""
    text = (ROOT / "docs" / page).read_text(encoding="utf-8")
    return [line[2:] for block in re.findall(r"```console\n(.*?)```", text, re.DOTALL) for line in block.splitlines()]


def run(cluster: Cluster, command: str, scenario: str, *more: str, check: bool = True, **names: str) -> str:
    """Output of a command. `scenario` is the file with its variables, `names` what the page's names are here."""
    here = FILES.sub(lambda found: str(STATE / found[0]), command)
    for old, new in names.items():
        here = re.sub(rf"(?<=[ \"=]){old.replace('_', '-')}(?=[\" ]|$)", new, here)
    argv = shlex.split(here)
    if argv[0] != "ansible-playbook":
        # The release has the name of its namespace on the page.
        done = subprocess.run(argv, cwd=ROOT, env=cluster.env, capture_output=True, text=True, check=False, timeout=300)
        assert done.returncode == 0, f"{here}: {done.stderr[-2000:]}"
        return done.stdout
    at = argv.index("@platform.yml")
    shared = [f"--extra-vars=@{ROOT}/molecule/shared/platform.yml", f"--extra-vars=@{ROOT}/{scenario}"]
    argv[at - 1 : at + 1] = [f"--inventory={ROOT}/molecule/inventory.yml", *shared]
    return ansible_playbook(cluster, *argv[1:], *more, check=check)

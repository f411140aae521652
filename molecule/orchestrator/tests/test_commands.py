# SPDX-License-Identifier: GPL-3.0-or-later
# SPDX-FileCopyrightText: 2026 The orchestrator.platform authors
"""Every command of docs/orchestrator.md is run as it is printed, against the installed release (OR-347, OR-315…OR-325)."""

from __future__ import annotations

import re
import shlex
import subprocess

import pytest
import yaml

from real_cluster import ROOT, again, ansible_playbook, succeeded

testinfra_hosts = ["local://"]

PAGE = (ROOT / "docs" / "orchestrator.md").read_text(encoding="utf-8")
BLOCKS = re.findall(r"```console\n(.*?)```", PAGE, re.DOTALL)
TABLE = re.findall(r"\| `((?:kubectl|helm) [^`]*)` \|\n", PAGE)
LINES = list(dict.fromkeys([line for block in BLOCKS for line in block.splitlines() if line.strip()] + TABLE))
PLAYBOOKS = [line for line in LINES if line.startswith("ansible-playbook ")]
TOOLS = [line for line in LINES if not line.startswith("ansible-playbook ")]
# What these playbooks do is shown by test_lifecycle and by the scenarios site and uninstall, with their own variables.
ROLE = yaml.safe_load((ROOT / "roles" / "orchestrator" / "meta" / "argument_specs.yml").read_text(encoding="utf-8"))
OPTIONS = {name for entry in ROLE["argument_specs"].values() for name in entry["options"]}


def test_the_page_has_commands():
    """A pattern that matches nothing would make the tests below prove nothing."""
    assert len(PLAYBOOKS) >= 8
    assert len(TOOLS) >= 18
    assert {line.split()[0] for line in TOOLS} == {"kubectl", "helm"}


@pytest.mark.parametrize("line", TOOLS)
def test_the_command_works_as_printed(cluster, line):
    """On the release as role orchestrator has installed it."""
    done = subprocess.run(shlex.split(line), env=cluster.env, capture_output=True, text=True, check=False, timeout=180)
    assert done.returncode == 0, done.stderr[-2000:]
    if "can-i" in line:
        assert done.stdout.strip() == "yes"


def test_the_playbooks_and_their_variables_exist(cluster, tmp_path):
    """Every name resolves, the syntax holds, and each variable after -e is one of the role's."""
    words = [shlex.split(line)[1:] for line in PLAYBOOKS]
    given = {word.partition("=")[0] for rest in words for word in rest if "=" in word}
    assert given <= OPTIONS
    (tmp_path / "platform.yml").write_text("{}", encoding="utf-8")
    names = sorted({playbook for playbook, *_rest in words})
    flags = [word.replace("@platform.yml", f"@{tmp_path}/platform.yml") for _playbook, *rest in words for word in rest]
    assert ansible_playbook(cluster, "--syntax-check", *names, *flags).count("playbook: ") == len(names)


def test_a_removal_that_is_only_looked_at(cluster):
    """uninstall with --check and a purge: it lists CRDs, and everything is still there."""
    output = again("uninstall", cluster, "--check", "--extra-vars", '{"orchestrator_purge": true}')
    assert succeeded(output), output[-3000:]
    assert "CustomResourceDefinition coderuns.orchestrator.platform" in re.sub(r"\s+", " ", output)
    assert cluster.objects("deployments", "orchestrator")


def test_verification_finds_nothing(cluster, tmp_path):
    """Issue 6.9: the checks of the orchestrator alone, for nothing else is installed here."""
    playbook = tmp_path / "verify.yml"
    task = {
        "orchestrator.platform.verification": {
            "kubeconfig": str(cluster.kubeconfig),
            "agent_namespaces": ["agents"],
            "monitor_namespace": "monitor",
            "orchestrator_namespace": "orchestrator",
            "orchestrator_crds": "{{ query('ansible.builtin.file', *files) | map('from_yaml') | list }}",
            "checks": [f"chart/{name}" for name in re.findall(r"checks\.md#chart([a-z-]+)", PAGE)],
        }
    }
    files = [str(file) for file in sorted((ROOT / "charts" / "orchestrator" / "crds").glob("*.yaml"))]
    play = {"hosts": "localhost", "gather_facts": False, "vars": {"files": files}, "tasks": [task]}
    playbook.write_text(yaml.safe_dump([play]), encoding="utf-8")
    output = ansible_playbook(cluster, f"--inventory={ROOT}/molecule/inventory.yml", str(playbook))
    assert succeeded(output), output[-3000:]


def test_every_trouble_of_the_page_is_a_check():
    """OR-322…OR-325: the table's findings exist, each with its section."""
    named = re.findall(r"\[`([a-z]+/[a-z-]+)`\]\(checks\.md#([a-z-]+)\)", PAGE)
    page = (ROOT / "docs" / "checks.md").read_text(encoding="utf-8")
    assert len(named) >= 10
    for check_id, anchor in named:
        assert f"\n## {check_id}\n" in page
        assert anchor == check_id.replace("/", "")

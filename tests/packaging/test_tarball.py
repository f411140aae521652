# SPDX-License-Identifier: GPL-3.0-or-later
# SPDX-FileCopyrightText: 2026 The orchestrator.platform authors
"""What travels in the collection's tarball, and that it works where it is installed."""

from __future__ import annotations

import os
import subprocess
import tarfile
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]

# First path element -> may be in the tarball. What is not listed here must not travel.
TRAVELS = {
    "CHANGELOG.rst", "FILES.json", "LICENSE", "MANIFEST.json", "README.md",
    "changelogs", "charts", "docs", "hack", "meta", "playbooks", "plugins", "requirements", "roles", "runtime", "site.yml", "tools",
}  # fmt: skip
NEVER = ("kubeconfig", ".ansible", ".venv", ".git", "__pycache__", "molecule", ".pytest_cache", "results")


def run(*argv: str, cwd: Path, env: dict[str, str] | None = None) -> str:
    done = subprocess.run(argv, cwd=cwd, env={**os.environ, **(env or {})}, capture_output=True, text=True, check=False)
    assert done.returncode == 0, f"{argv} said:\n{done.stdout}\n{done.stderr}"
    return done.stdout


@pytest.fixture(scope="session")
def checkout(tmp_path_factory) -> Path:
    """A copy of the tracked and new files, with the litter a working checkout has."""
    copy = tmp_path_factory.mktemp("checkout") / "platform"
    copy.mkdir()
    names = run("git", "ls-files", "-co", "--exclude-standard", cwd=ROOT).splitlines()
    (copy.parent / "names").write_text(
        "\n".join(name for name in names if os.path.lexists(ROOT / name)), encoding="utf-8"
    )
    run("tar", "--create", f"--files-from={copy.parent / 'names'}", f"--file={copy.parent / 'tar'}", cwd=ROOT)
    run("tar", "--extract", f"--file={copy.parent / 'tar'}", cwd=copy)
    for litter in (".ansible/molecule/kubeconfig", "bench/results/site.json", "plugins/modules/__pycache__/x.pyc"):
        path = copy / litter
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text("apiVersion: v1\nkind: Config\n", encoding="utf-8")
    return copy


@pytest.fixture(scope="session")
def tarball(checkout: Path) -> Path:
    out = checkout.parent / "out"
    run("ansible-galaxy", "collection", "build", "--output-path", str(out), ".", cwd=checkout)
    return next(out.glob("orchestrator-platform-*.tar.gz"))


@pytest.fixture(scope="session")
def names(tarball: Path) -> list[str]:
    with tarfile.open(tarball) as archive:
        return archive.getnames()


def test_only_listed_folders_travel(names):
    """The tarball holds what an installation needs and nothing else of the checkout."""
    assert {name.split("/")[0] for name in names} == TRAVELS


def test_of_the_tools_for_contributors_one_script_travels(names):
    """OR-280: documents name it, so it has to be where the collection is installed."""
    assert [name for name in names if name.startswith("hack/")] == ["hack/setup-agent-secrets.sh"]


@pytest.mark.parametrize("word", NEVER)
def test_state_and_secrets_stay_at_home(names, word):
    """A default build packs ignored files too; none of these may be among them."""
    assert [name for name in names if word in name.split("/") or name.endswith(f"/{word}")] == []


@pytest.mark.parametrize("needed", [
    "charts/discord-monitor/Chart.yaml", "charts/discord-monitor/values.schema.json", "charts/demo/Chart.yaml",
    "charts/orchestrator/crds/coderun-crd.yaml", "charts/orchestrator/claude-templates/code/hooks/stop-code-pr-creation.sh.hbs",
    "playbooks/site.yml", "playbooks/demo.yml", "playbooks/uninstall.yml", "playbooks/verify.yml", "playbooks/support.yml", "playbooks/agent_secrets.yml", "playbooks/rollback.yml",
    "playbooks/backup.yml", "playbooks/restore.yml", "playbooks/migrate.yml",
    "requirements/runtime.txt", "requirements/collections.yml", "docs/report.schema.json",
    "roles/kind_cluster/meta/argument_specs.yml", "runtime/Dockerfile", "runtime/requirements.txt",
    "runtime/bin/orchestrator", "runtime/src/orchestrator/reconcile.py", "docs/controller.md", "tools/toolbox",
    "tools/go/kubernetes-1.36/go.sum", "plugins/modules/sidecar.py", "plugins/modules/crds.py", "roles/orchestrator/meta/argument_specs.yml",
])  # fmt: skip
def test_an_installation_is_whole(names, needed):
    """Charts, programs and tools travel: the demo works from an installed collection too."""
    assert needed in names


def test_tarball_stays_small(tarball):
    """Galaxy takes 20 MB; a built binary or an image in the tarball would show here."""
    assert tarball.stat().st_size < 2_000_000


@pytest.fixture(scope="session")
def installed(tarball: Path, tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("installed")
    # Where Galaxy sees the checkout, by folder or by path, it finds this very version there and installs nothing.
    env = {"ANSIBLE_COLLECTIONS_PATH": str(folder)}
    argv = ("ansible-galaxy", "collection", "install", "--offline", "--no-deps", "-p", str(folder), str(tarball))
    run(*argv, cwd=folder, env=env)
    return folder


def test_playbooks_are_found_by_their_full_name(installed):
    """`ansible-playbook orchestrator.platform.site` works from the installed tarball (issue: another folder)."""
    env = {"ANSIBLE_COLLECTIONS_PATH": str(installed)}
    listed = run("ansible-playbook", "--list-tasks", "orchestrator.platform.site", cwd=installed, env=env)
    assert "The bot and the published sidecar" in listed


def test_the_script_of_the_agents_runs_from_the_installation(installed):
    """OR-280: it finds the collection that it lies in and reaches its playbook, here with a cluster that is not there."""
    root = installed / "ansible_collections" / "orchestrator" / "platform"
    env = {**os.environ, "ANSIBLE_COLLECTIONS_PATH": "/nowhere", "KUBECONFIG": "/nowhere/kubeconfig"}
    argv = [root / "hack" / "setup-agent-secrets.sh", "--user", "coder", "--ssh-key", "/nowhere/key", "--token", "-"]
    done = subprocess.run(argv, input="canary-4411", cwd="/", env=env, capture_output=True, text=True, check=False)
    assert "PLAY [Give the agents their SSH keys" in done.stdout
    assert "canary-4411" not in done.stdout + done.stderr
    assert done.returncode == 2


def test_the_charts_of_the_installation_are_readable(installed):
    """The link from the demo chart to its dependency survives packing and unpacking."""
    root = installed / "ansible_collections" / "orchestrator" / "platform"
    assert (root / "charts" / "demo" / "charts" / "discord-monitor" / "Chart.yaml").is_file()


def test_installed_files_are_those_of_the_manifest(installed):
    """Galaxy's own verification of the installed collection passes."""
    env = {"ANSIBLE_COLLECTIONS_PATH": str(installed)}
    run("ansible-galaxy", "collection", "verify", "--offline", "orchestrator.platform", cwd=installed, env=env)

# SPDX-License-Identifier: GPL-3.0-or-later
# SPDX-FileCopyrightText: 2026 The orchestrator.platform authors
"""`make clean` removes what this checkout made and nothing of anybody else; caches stay."""

from __future__ import annotations

import fcntl
import hashlib
import os
import re
import shutil
import stat
import subprocess
from pathlib import Path

import pytest

SCRIPT = Path(__file__).resolve().parents[3] / "hack" / "clean"

# An engine that answers from files beside it and keeps what it was told to remove.
DOCKER = """#!/usr/bin/env bash
here=$(dirname "$0")
echo "$*" >> "$here/calls"
case "$*" in
  version*) exit "$(cat "$here/answers" 2>/dev/null || echo 0)" ;;
  ps*label=io.x-k8s*) cat "$here/nodes" ;;
  ps*) cat "$here/containers" ;;
  "image ls"*) cat "$here/images" ;;
  "image rm in-use"*) exit 1 ;;
esac
"""


@pytest.fixture
def checkout(tmp_path):
    """A checkout with the litter of a demo, a test run and a build, and the engine beside it."""
    root = tmp_path / "checkout"
    key = hashlib.sha1(str(root).encode(), usedforsecurity=False).hexdigest()[:8]
    (root / "hack").mkdir(parents=True)
    shutil.copy(SCRIPT, root / "hack" / "clean")
    link = root / ".ansible" / "collections" / "ansible_collections" / "orchestrator"
    link.mkdir(parents=True)
    (link / "platform").symlink_to("../../../..")
    for file in (".ansible/molecule/kubeconfig", ".ansible/collections/ansible_collections/other/x/README",
                 ".ansible/demo.lock", "build/a.tar.gz", "bench/results/site.json", "bench/site.py"):  # fmt: skip
        (root / file).parent.mkdir(parents=True, exist_ok=True)
        (root / file).write_text("x", encoding="utf-8")
    (tmp_path / "cache" / "orchestrator-platform" / "tools").mkdir(parents=True)
    (tmp_path / "bin").mkdir()
    engine = tmp_path / "bin" / "docker"
    engine.write_text(DOCKER, encoding="utf-8")
    engine.chmod(engine.stat().st_mode | stat.S_IXUSR)
    (tmp_path / "bin" / "nodes").write_text(
        f"1 orch-demo-{key} orch-demo-{key}-control-plane\n2 orch-test-{key} orch-test-{key}-control-plane\n"
        "3 orch-demo-00000000 orch-demo-00000000-control-plane\n4 kind kind-control-plane\n"
        f"5 mine-{key} mine-{key}-control-plane\n7 orch-test-2-b-{key} orch-test-2-b-{key}-control-plane\n",
        encoding="utf-8",
    )
    (tmp_path / "bin" / "containers").write_text("6 builder \n3 orch-demo-00000000-control-plane orch-demo-00000000\n")
    (tmp_path / "bin" / "images").write_text("a discord-monitor:0.1.0\nb <none>:<none>\nc in-use:1\n")
    return root


def clean(checkout: Path, *, path: str = "") -> subprocess.CompletedProcess[str]:
    env = {"PATH": path or f"{checkout.parent / 'bin'}:/usr/bin:/bin", "XDG_CACHE_HOME": str(checkout.parent / "cache")}
    return subprocess.run([checkout / "hack" / "clean"], env=env, capture_output=True, text=True, check=False)


def calls(checkout: Path) -> list[str]:
    return (checkout.parent / "bin" / "calls").read_text(encoding="utf-8").splitlines()


def left(checkout: Path) -> set[str]:
    return {str(path.relative_to(checkout)) for path in checkout.rglob("*") if path.is_file() or path.is_symlink()}


def test_only_clusters_of_this_checkout_go(checkout):
    """The name carries the checkout's key; a foreign prefix or another key is somebody else's."""
    assert clean(checkout).returncode == 0
    removed = [call.split()[-1] for call in calls(checkout) if call.startswith("rm ")]
    assert removed == ["1", "2", "7", "6"]


@pytest.mark.parametrize("file", ["molecule/inventory.yml", "playbooks/vars/demo.yml"])
def test_every_cluster_of_ours_is_one_that_it_knows(file):
    """The second cluster of scenario clusters was none: its suffix came after the key."""
    names = re.findall(
        r"^ *\w*cluster_name: (.*)$", (SCRIPT.parents[1] / file).read_text(encoding="utf-8"), re.MULTILINE
    )
    assert names
    for name in names:
        assert re.match(r'"orch-', name), name
        assert re.search(r"""-\{\{ (__checkout_key|\(platform_root \| hash\('sha1'\)\)\[:8\]) \}\}"$""", name), name


def test_images_go_without_force_and_those_in_use_stay(checkout):
    done = clean(checkout)
    assert "removed image discord-monitor:0.1.0\n" in done.stdout
    assert "removed image b\n" in done.stdout
    assert "kept image in-use:1: " in done.stdout
    assert [call for call in calls(checkout) if call.startswith("image rm") and "force" in call] == []


def test_state_goes_and_the_committed_link_stays(checkout):
    clean(checkout)
    assert left(checkout) == {
        "hack/clean",
        "bench/site.py",
        ".ansible/collections/ansible_collections/orchestrator/platform",
    }
    assert (checkout.parent / "cache" / "orchestrator-platform" / "tools").is_dir()


def test_each_removal_is_one_line(checkout):
    """Files, three clusters, one container, two images, and the one that stayed."""
    lines = clean(checkout).stdout.splitlines()
    assert len(lines) == len(set(lines)) == 12
    assert all(line.startswith(("removed ", "kept ")) for line in lines)


def test_second_run_finds_nothing(checkout):
    clean(checkout)
    for name in ("nodes", "containers", "images"):
        (checkout.parent / "bin" / name).write_text("", encoding="utf-8")
    done = clean(checkout)
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")


@pytest.mark.parametrize("engine", ["absent", "silent"])
def test_without_an_engine_the_files_go(checkout, engine):
    if engine == "absent":
        (checkout.parent / "bin" / "docker").unlink()
        tools = [shutil.which(name) for name in ("bash", "dirname", "sha1sum", "cut", "flock", "rm", "env", "true")]
        for tool in tools:
            (checkout.parent / "bin" / Path(tool).name).symlink_to(tool)
    else:
        (checkout.parent / "bin" / "answers").write_text("1", encoding="utf-8")
    done = clean(checkout, path=str(checkout.parent / "bin") if engine == "absent" else "")
    assert done.returncode == 0, done.stderr
    assert "no container engine answers" in done.stdout
    assert "build/a.tar.gz" not in left(checkout)


def test_nothing_goes_while_a_run_holds_its_lock(checkout):
    """`make demo` keeps a lock; cleaning under it would break it half-way."""
    descriptor = os.open(checkout / ".ansible" / "demo.lock", os.O_RDWR)
    fcntl.flock(descriptor, fcntl.LOCK_EX)
    before = left(checkout)
    done = clean(checkout)
    os.close(descriptor)
    assert done.returncode == 75
    assert "`make demo` is running" in done.stderr
    assert left(checkout) == before

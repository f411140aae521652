# SPDX-License-Identifier: GPL-3.0-or-later
# SPDX-FileCopyrightText: 2026 The orchestrator.platform authors
"""Issue 7.7: how the Debian base image is made small, the hooks run as mmdebstrap runs them."""

from __future__ import annotations

import subprocess

import pytest
from ansible_collections.orchestrator.platform.tools.toolchain import debian


def hooks(kind: str) -> list[str]:
    marked = f"--{kind}-hook="
    return [option.removeprefix(marked) for option in debian.bootstrap_options() if option.startswith(marked)]


@pytest.fixture
def root(tmp_path):
    """The folder after the setup hooks; a blank in its name, as a cache folder may have one."""
    made = tmp_path / "the root"
    made.mkdir()
    for hook in hooks("setup"):
        subprocess.run(["sh", "-c", hook, "exec", str(made)], check=True)
    return made


def test_folders_are_merged_before_anything_is_unpacked(root):
    """What usrmerge, which needs all of perl, would do later."""
    for name in debian.MERGED_FOLDERS:
        assert (root / name).readlink().as_posix() == f"usr/{name}"
        assert (root / name).is_dir()


def test_apt_does_not_choose_the_package_with_perl(root):
    """The first alternative of the dependency is what apt takes unless it is told not to."""
    pin = (root / debian.NO_USRMERGE.lstrip("/")).read_text()
    assert pin.splitlines() == ["Package: usrmerge", "Pin: release *", "Pin-Priority: -1"]
    assert "--include=ca-certificates,usr-is-merged" in debian.bootstrap_options()


def test_what_only_the_making_needs_is_not_in_the_image(root):
    """The pin and apt's lists go; what else is there stays."""
    for name in ("var/lib/apt/lists", "var/cache/debconf", "etc"):
        (root / name).mkdir(parents=True, exist_ok=True)
        (root / name / "file").touch()
    for hook in hooks("customize"):
        subprocess.run(["sh", "-c", hook, "exec", str(root)], check=True)
    left = sorted(path.relative_to(root).as_posix() for path in root.rglob("*") if path.is_file())
    assert left == ["etc/file"]


def test_another_recipe_is_another_image(monkeypatch):
    """A machine that holds the base of an older release makes the new one."""
    before = debian.base_key()
    monkeypatch.setattr(debian, "LEFT_OUT", (*debian.LEFT_OUT, "/usr/share/x/*"))
    assert debian.base_key() != before

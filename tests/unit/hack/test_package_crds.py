# SPDX-License-Identifier: GPL-3.0-or-later
# SPDX-FileCopyrightText: 2026 The orchestrator.platform authors
"""hack/package-crds: the combined file is made of the single ones, and a release folder can be verified (OR-207, OR-349)."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[3]
FILES = ["coderun-crd.yaml", "docsrun-crd.yaml", "platform-crds.yaml"]


@pytest.fixture
def checkout(tmp_path) -> Path:
    """The script and the CRDs in a folder of the test."""
    for name in (
        "hack/package-crds",
        *(f"charts/orchestrator/crds/{n}" for n in FILES[:2]),
        f"charts/orchestrator/crds-combined/{FILES[2]}",
    ):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy2(ROOT / name, tmp_path / name)
    return tmp_path


def run(checkout: Path, *argv: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run([checkout / "hack" / "package-crds", *argv], capture_output=True, text=True, check=False)


def test_the_combined_file_is_up_to_date(checkout):
    """A second run writes nothing, and the file in the repository is what the script makes."""
    combined = checkout / "charts/orchestrator/crds-combined/platform-crds.yaml"
    before = (combined.read_bytes(), combined.stat().st_mtime_ns)
    assert run(checkout).returncode == 0
    assert (combined.read_bytes(), combined.stat().st_mtime_ns) == before


def test_a_change_reaches_the_combined_file(checkout):
    """In the place of the CRD that changed."""
    single = checkout / "charts/orchestrator/crds/docsrun-crd.yaml"
    single.write_text(
        single.read_text(encoding="utf-8").replace("Branch to analyse", "Branch to read"), encoding="utf-8"
    )
    run(checkout)
    assert "Branch to read" in (checkout / "charts/orchestrator/crds-combined/platform-crds.yaml").read_text(
        encoding="utf-8"
    )


def test_a_folder_for_a_release(checkout, tmp_path):
    """Three files, each with a sum that sha256sum verifies there."""
    out = tmp_path / "dist"
    assert run(checkout, str(out)).returncode == 0
    assert sorted(path.name for path in out.iterdir()) == sorted([*FILES, *(f"{name}.sha256" for name in FILES)])
    subprocess.run(["sha256sum", "--check", "--quiet", *(f"{name}.sha256" for name in FILES)], cwd=out, check=True)


@pytest.mark.parametrize("argv", [("--help",), ("a", "b")])
def test_wrong_arguments(checkout, argv):
    """One line of usage, status 2, nothing written."""
    done = run(checkout, *argv)
    assert (done.returncode, done.stderr) == (2, "usage: hack/package-crds [folder]\n")

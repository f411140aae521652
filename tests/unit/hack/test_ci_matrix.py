# SPDX-License-Identifier: GPL-3.0-or-later
# SPDX-FileCopyrightText: 2026 The orchestrator.platform authors
"""The matrix of CI follows the metadata (D15: the floor stands in meta/runtime.yml and is what CI tests)."""

from __future__ import annotations

import importlib.util
import json
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[3]
SCRIPT = ROOT / "hack" / "ci_matrix.py"
LOCK = (
    "ansible-core==2.19.14 ; python_full_version < '3.12' \\\n    --hash=sha256:00\n"
    "ansible-core==2.21.5 ; python_full_version >= '3.12' \\\n    --hash=sha256:00\n"
)


@pytest.fixture(scope="module")
def ci_matrix():
    spec = importlib.util.spec_from_file_location("ci_matrix", SCRIPT)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.mark.parametrize(("specifiers", "minor", "admitted"), [
    (">=2.19.0", "2.19", True),
    (">=2.19.0", "2.18", False),
    (">=2.19.3", "2.19", True),
    (">=2.9", "2.19", True),
    (">2.19.0", "2.19", True),
    (">=2.19.0,<2.21.0", "2.20", True),
    (">=2.19.0, <2.21.0", "2.21", False),
    (">=2.19.0,<2.21.2", "2.21", True),
    ("<=2.20", "2.21", False),
    ("==2.20.1", "2.20", True),
    (">=2.19,!=2.20.0", "2.20", True),
])  # fmt: skip
def test_which_cores_are_admitted(ci_matrix, specifiers, minor, admitted):
    assert ci_matrix.admits(specifiers, minor) is admitted


@pytest.mark.parametrize("text", ["~=2.19", ">=two", ""])
def test_other_specifiers_are_refused_with_a_sentence(ci_matrix, text):
    with pytest.raises(ValueError, match=r"cannot read: write it as"):
        ci_matrix.admits(text, "2.19")


def test_floor_moves_the_matrix(ci_matrix):
    """Raising requires_ansible drops the rows below it, and nothing else has to be edited."""
    cores = {row.ansible_core for row in ci_matrix.rows('requires_ansible: ">=2.20.0"\n', LOCK)}
    assert cores == {"2.20", "2.21"}


def test_every_admitted_core_has_its_oldest_python_and_the_newest_core_its_newest(ci_matrix):
    found = [(row.ansible_core, row.python) for row in ci_matrix.rows("requires_ansible: '>=2.19.0'\n", LOCK)]
    assert found == [("2.19", "3.11"), ("2.20", "3.12"), ("2.21", "3.12"), ("2.21", "3.14")]


def test_only_what_the_lock_lacks_is_installed_over_it(ci_matrix):
    """With sums: pip runs with --require-hashes (DM-185)."""
    over = {row.ansible_core: row.requirement for row in ci_matrix.rows("requires_ansible: '>=2.19.0'\n", LOCK)}
    assert over["2.19"] == over["2.21"] == ""
    assert over["2.20"].startswith("ansible-core==2.20.")
    assert "--hash=sha256:" in over["2.20"]


@pytest.mark.parametrize("runtime_yml", ["---\n", 'requires_ansible: ">=9.0.0"\n'])
def test_metadata_without_a_known_core_is_an_error(ci_matrix, runtime_yml):
    with pytest.raises(ValueError, match="add it"):
        ci_matrix.rows(runtime_yml, LOCK)


def test_missing_pin_is_an_error(ci_matrix):
    """A core that neither the lock nor the table brings must not silently be tested as another one."""
    with pytest.raises(ValueError, match="pins none"):
        ci_matrix.rows("requires_ansible: '>=2.19.0'\n", "")


def test_script_prints_one_line_for_the_real_metadata():
    """What the workflow reads; the floor of meta/runtime.yml is in it, on the Python of the lock."""
    done = subprocess.run([sys.executable, SCRIPT], capture_output=True, text=True, check=True)
    rows = json.loads(done.stdout)["include"]
    assert done.stdout.count("\n") == 1
    assert {"ansible_core": "2.19", "python": "3.11", "requirement": ""} in rows


def test_lock_holds_no_core_that_the_table_lacks(ci_matrix):
    """A new lock with a new ansible-core fails here until the matrix knows it."""
    lock = (ROOT / "requirements" / "dev.txt").read_text(encoding="utf-8")
    locked = {ci_matrix.locked_core(lock, python) for python in ("3.11", "3.12", "3.13", "3.14")}
    assert locked - {""} <= {core.minor for core in ci_matrix.CORES}
    assert locked - {""}

# SPDX-License-Identifier: GPL-3.0-or-later
# SPDX-FileCopyrightText: 2026 The orchestrator.platform authors
"""docs/security.md: every claim names the check or test that holds it, and each of them exists (issue 5, item 8)."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from ansible_collections.orchestrator.platform.plugins.module_utils._catalogue import CHECKS, manual

ROOT = Path(__file__).resolve().parents[2]
PAGE = (ROOT / "docs" / "security.md").read_text("utf-8")
FAMILIES = {check.family for check in CHECKS} | {"rbac", "faults", "report"}
IDS = {check.id for check in CHECKS}
QUOTED = re.findall(r"`([^`\n]+)`", PAGE)
NAMED_CHECKS = sorted({text for text in QUOTED if text.partition("/")[0] in FAMILIES and text.count("/") == 1})
NAMED_TESTS = sorted({text for text in QUOTED if text.startswith(("tests/", "molecule/"))})
ROWS = [
    line for line in PAGE.splitlines() if line.startswith("| ") and "Held by |" not in line and "Seen by |" not in line
]


@pytest.mark.parametrize("check", NAMED_CHECKS)
def test_each_named_check_exists(check):
    assert check in IDS
    assert f"\n## {check}\n" in manual()


@pytest.mark.parametrize("test", NAMED_TESTS)
def test_each_named_test_exists(test):
    path, _colons, name = test.partition("::")
    assert (ROOT / path).is_file()
    if name:
        assert f"\ndef {name}(" in (ROOT / path).read_text("utf-8")


@pytest.mark.parametrize("row", ROWS, ids=lambda row: row[2:40])
def test_each_claim_says_what_holds_it(row):
    """The last cell names a check or a test, or says openly that nothing does."""
    last = row.rstrip("| ").rpartition(" | ")[2]
    held = [text for text in re.findall(r"`([^`]+)`", last) if text in NAMED_CHECKS or text in NAMED_TESTS]
    assert held or last.startswith("nothing")


def test_page_has_what_it_is_for():
    """Ways, what the policy closes, what stays open; the checks of secret scope are all on it."""
    assert re.findall(r"^## (.*)$", PAGE, re.MULTILINE) == ["The ways", "What the policy closes", "What stays open"]
    assert len(ROWS) > 25
    assert {check for check in IDS if check.startswith("secret-scope/")} - set(NAMED_CHECKS) <= {
        "secret-scope/runtime-env", "secret-scope/runtime-mounts",
    }  # fmt: skip

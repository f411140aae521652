# SPDX-License-Identifier: GPL-3.0-or-later
# SPDX-FileCopyrightText: 2026 The orchestrator.platform authors
"""What every playbook of ours has to set, since users run them as they are."""

from __future__ import annotations

from pathlib import Path

import pytest
import yaml

PLAYBOOKS = Path(__file__).resolve().parents[2] / "playbooks"
FILES = sorted(PLAYBOOKS.glob("*.yml"))


def variables(play: dict) -> dict:
    """The play's own and those of its files."""
    found = dict(play.get("vars", {}))
    for name in play.get("vars_files", []):
        found |= yaml.safe_load((PLAYBOOKS / name).read_text("utf-8"))
    return found


@pytest.mark.parametrize("file", FILES, ids=lambda file: file.stem)
def test_modules_get_their_arguments_through_a_pipe(file):
    """D6: without pipelining they, Secrets among them, are written to a file on this machine."""
    plays = [play for play in yaml.safe_load(file.read_text("utf-8")) if "hosts" in play]
    assert plays
    for play in plays:
        assert play["connection"] == "local"
        assert variables(play)["ansible_pipelining"] is True

# SPDX-License-Identifier: GPL-3.0-or-later
# SPDX-FileCopyrightText: 2026 The orchestrator.platform authors
"""Outcome codes: stable, each with a sentence and a next step, and a manual page that equals the code."""

from __future__ import annotations

import re
import string
from pathlib import Path

import pytest
from ansible_collections.orchestrator.platform.plugins.module_utils._outcomes import (
    CODES,
    NOTES,
    OUTCOMES,
    answer,
    manual,
    message_of,
    remark,
)

ROOT = Path(__file__).resolve().parents[2]
# Users write conditions on these: the list may grow, and never loses one.
PROMISED = [
    "injected",
    "updated",
    "unchanged",
    "removed",
    "absent",
    "opt_out",
    "host_network",
    "unsupported_kind",
    "controlled",
    "job_immutable",
    "job_next_run",
    "job_recreated",
    "native_unsupported",
    "name_conflict",
    "field_conflict",
    "port_conflict",
    "pss_violation",
    "quota",
    "secret_missing",
    "volume_missing",
    "invalid_override",
    "rollout_failed",
    "rollout_timeout",
    "rolled_back",
    "not_reached",
    "included",
    "being_deleted",
    "unsupported_mount",
    "container_missing",
    "forbidden",
    "gone",
    "not_found",
    "invalid",
    "api_error",
    "windows",
    "job_needs_native",
]


def blanks(text: str) -> dict[str, str]:
    return {name: "x" for _text, name, _spec, _conversion in string.Formatter().parse(text) if name}


def test_manual_page_equals_the_code():
    """The page is written by the command in _outcomes.py's docstring; after a change run it again."""
    assert (ROOT / "docs" / "outcomes.md").read_text() == manual()


def test_no_promised_code_is_gone():
    assert set(PROMISED) <= set(CODES)
    assert {"uid_mismatch", "uid_unknown"} <= set(NOTES)


@pytest.mark.parametrize("name", CODES)
def test_code_is_described(name):
    code = CODES[name]
    assert re.fullmatch(r"[a-z]+(_[a-z]+)*", name)
    assert code.outcome in OUTCOMES
    assert code.mend.endswith(".")
    plan = answer(name, **blanks(code.sentence))
    assert (plan.outcome, plan.code, plan.body, plan.recreate) == (code.outcome, name, None, None)
    assert "{" not in plan.message


@pytest.mark.parametrize("name", NOTES)
def test_note_begins_with_its_code(name):
    assert remark(name, **blanks(NOTES[name])).startswith(f"{name}: ")


@pytest.mark.parametrize("code", ["injected", "updated", "removed", "job_recreated"])
def test_what_was_not_sent_is_told_in_the_conditional(code):
    """Check mode and sidecar_info change nothing, and must not say that they did."""
    plan = answer(code)._replace(note="A note.")
    assert message_of(plan, sent=True) == f"{plan.message} A note."
    conditional = message_of(plan, sent=False)
    assert " would be " in conditional
    assert conditional.endswith(" A note.")


def test_a_foreign_sentence_is_ended_before_the_note():
    plan = answer("rollout_failed", reason="no such image")._replace(message="no such image", note="A note.")
    assert message_of(plan, sent=True) == "no such image. A note."

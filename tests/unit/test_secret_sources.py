# SPDX-License-Identifier: GPL-3.0-or-later
# SPDX-FileCopyrightText: 2026 The orchestrator.platform authors
"""Where values come from: real files, variables and programs; each failure is one sentence without a value (issue 6.4)."""

from __future__ import annotations

import base64
import os
import sys

import pytest
from ansible_collections.orchestrator.platform.plugins.module_utils import _secret_sources as sources
from ansible_collections.orchestrator.platform.plugins.module_utils._secret_plan import ANNOTATION_ROTATION
from ansible_collections.orchestrator.platform.plugins.module_utils._secret_wanted import Key, Wanted
from ansible_collections.orchestrator.platform.plugins.module_utils._ssh_keys import new_pair, public_of, read_public


def fetch(*keys: Key, live: dict | None = None, **more) -> sources.Fetched:
    return sources.fetch(Wanted("agents", "s", keys, **more), live)


def one(source: str, given, form: str = "any", **more) -> sources.Fetched:
    return fetch(Key("k", source, given, form, **more))


def held(marker: str | None = None, **data: bytes) -> dict:
    notes = {} if marker is None else {ANNOTATION_ROTATION: marker}
    encoded = {key: base64.b64encode(value).decode() for key, value in data.items()}
    return {"metadata": {"annotations": notes}, "data": encoded}


def test_a_text_a_file_and_a_variable_are_taken_as_they_are(tmp_path, monkeypatch):
    file = tmp_path / "f"
    file.write_bytes(b"\x00\xffbinary\n")
    monkeypatch.setenv("A_SECRET", "from the environment\n")
    assert one("value", "täxt").values == {"k": "täxt".encode()}
    assert one("file", str(file)).values == {"k": b"\x00\xffbinary\n"}
    assert one("env", "A_SECRET").values == {"k": b"from the environment\n"}


def test_of_a_command_one_line_break_is_taken_off():
    program = [sys.executable, "-c", "print('out\\n')"]
    assert one("command", program).values == {"k": b"out\n"}


def test_a_command_has_nothing_to_read_from():
    """Standard input is closed: a program that asks a question ends instead of waiting for ever."""
    assert one("command", [sys.executable, "-c", "import sys; print(repr(sys.stdin.read()))"]).values == {"k": b"''"}


def test_a_command_is_no_shell():
    assert one("command", ["echo", "$HOME; `id`"]).values == {"k": b"$HOME; `id`"}


@pytest.mark.parametrize(
    ("source", "given", "said"),
    [
        ("value", "", "is empty: give a value"),
        ("file", "/nowhere/canary", "the file /nowhere/canary, which does not exist"),
        ("file", "/nowhere/key.pub", "needs its public one beside it"),
        ("file", "/", "which is no file"),
        ("file", os.devnull, "which is no file"),
        ("env", "NOT_SET_ANYWHERE", "NOT_SET_ANYWHERE, which is not set"),
        ("command", ["/nowhere/program"], "/nowhere/program, which cannot be run (No such file or directory)"),
        ("command", ["false"], "false, which ended with status 1"),
        ("command", ["true"], "true, which printed nothing"),
    ],
)
def test_a_source_without_a_value_is_one_sentence(source, given, said):
    found = one(source, given)
    assert found.values == {}
    (problem,) = found.problems
    assert problem.startswith("Secret agents/s, key k, ")
    assert said in problem


def test_an_empty_file_and_an_empty_variable_are_told(tmp_path, monkeypatch):
    (tmp_path / "f").touch()
    monkeypatch.setenv("EMPTY", "")
    assert "which is empty" in one("file", str(tmp_path / "f")).problems[0]
    assert "which is empty" in one("env", "EMPTY").problems[0]


def test_what_a_command_says_on_its_way_out_is_not_repeated():
    """Its errors may hold what it was to keep (D6)."""
    program = [sys.executable, "-c", "import sys; print('canary'); sys.exit('canary')"]
    (problem,) = one("command", program).problems
    assert "canary" not in problem


def test_a_command_that_does_not_end_is_ended(monkeypatch):
    monkeypatch.setattr(sources, "COMMAND_S", 0.2)
    assert "did not end within 0.2 s" in one("command", ["sleep", "600"]).problems[0]


def test_all_problems_are_told_at_once():
    found = fetch(Key("a", "env", "NOT_SET_ANYWHERE"), Key("b", "file", "/nowhere"), Key("c", "value", "x\n", "line"))
    assert [problem.split(", ")[1] for problem in found.problems] == ["key a", "key b", "key c"]


def test_a_pair_that_does_not_match_is_told(tmp_path):
    """OR-284; the two come from files here, as the script has them."""
    (tmp_path / "k").write_bytes(new_pair()[0])
    (tmp_path / "k.pub").write_text(new_pair()[1])
    keys = (
        Key("ssh-privatekey", "file", str(tmp_path / "k"), "ssh_private_key"),
        Key("ssh-publickey", "file", str(tmp_path / "k.pub"), "ssh_public_key"),
    )
    assert "does not belong to the private key" in fetch(*keys).problems[0]
    (tmp_path / "k.pub").write_text(public_of((tmp_path / "k").read_bytes()) + " coder\n")
    assert fetch(*keys).problems == []


PAIR = (Key("private", "generate", "ssh_ed25519", "ssh_private_key", True), Key("public", "public_key_of", "private", "ssh_public_key"))  # fmt: skip


def test_a_generated_pair_is_kept_until_the_marker_changes():
    first = fetch(*PAIR)
    assert first.made == {"private"}
    assert read_public(first.values["public"]) == public_of(first.values["private"])
    live = held("1", **first.values)
    same = fetch(*PAIR, live=live, rotate="1")
    assert (same.values, same.made) == (first.values, frozenset())
    assert fetch(*PAIR, live=live).values == first.values
    new = fetch(*PAIR, live=live, rotate="2")
    assert new.values["private"] != first.values["private"]
    assert new.made == {"private"}


def test_the_order_of_a_pair_does_not_matter():
    assert fetch(*reversed(PAIR)).problems == []


def test_a_kept_value_needs_no_source():
    """`keep`: the program that would give another value each time is not even run."""
    key = Key("k", "command", ["/nowhere/program"], "any", True)
    assert fetch(key, live=held(k=b"old")).values == {"k": b"old"}
    assert fetch(key, live=held(k=b"old"), rotate="1").problems
    assert fetch(key).problems


def test_a_kept_value_that_is_none_is_told_with_the_way_out():
    (problem,) = fetch(*PAIR, live=held(private=b"canary")).problems
    assert "as the cluster holds it, is not an SSH private key" in problem
    assert problem.endswith("A new rotation marker replaces it.")
    assert "canary" not in problem


def test_what_no_secret_can_hold_is_told_before_it_is_sent(monkeypatch):
    monkeypatch.setattr(sources, "MAX_BYTES", 10)
    assert "would hold 12 bytes, and a Secret holds 10 at most" in fetch(Key("a", "value", "x" * 6), Key("b", "value", "x" * 6)).problems[0]  # fmt: skip

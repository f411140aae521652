# SPDX-License-Identifier: GPL-3.0-or-later
# SPDX-FileCopyrightText: 2026 The orchestrator.platform authors
"""Which kind cluster is ours: a stale record must not give away a cluster that somebody else made under the same name."""

from __future__ import annotations

import typing
from pathlib import Path

import pytest
from ansible_collections.orchestrator.platform.tools.toolchain.cluster import Kind


class Engine:
    """What docker would say of one node."""

    environment: typing.ClassVar[dict[str, str]] = {}

    def __init__(self, container: str, label: str = "") -> None:
        self.answers = {"container": container, "exec": label}

    def ask(self, verb: str, *_arguments: str, timeout_s: float = 60) -> str:
        return self.answers[verb]


@pytest.fixture
def kind(tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    return lambda container, label="": Kind("orch-x", Engine(container, label), Path("/nowhere"))


def test_the_noted_container_is_ours(kind):
    made = kind("id-1")
    made.note(state="ready", container="id-1")
    assert made.is_ours()


def test_another_container_of_the_same_name_is_not(kind):
    made = kind("id-2")
    made.note(state="ready", container="id-1")
    assert not made.is_ours()


def test_a_node_with_our_label_is_ours_without_a_record(kind):
    assert kind("id-1", "orch-x").is_ours()


def test_a_node_without_label_and_record_is_not(kind):
    assert not kind("id-1").is_ours()


def test_one_that_we_are_making_is_ours_before_it_has_a_label(kind):
    made = kind("id-1")
    made.note(state="creating")
    assert made.is_ours()

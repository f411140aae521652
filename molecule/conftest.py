# SPDX-License-Identifier: GPL-3.0-or-later
# SPDX-FileCopyrightText: 2026 The orchestrator.platform authors
"""Fixtures of every scenario."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
import yaml

from real_cluster import ROOT, STATE, Cluster, FakeDiscord, Json


@pytest.fixture(scope="session")
def cluster() -> Cluster:
    """The kind cluster of the scenarios."""
    return Cluster(STATE / "kubeconfig")


@pytest.fixture(scope="session")
def discord(cluster: Cluster) -> Iterator[FakeDiscord]:
    """The fake Discord; whatever fault a test switched on is off again afterwards."""
    fake = FakeDiscord(cluster)
    yield fake
    fake.control(mode="ok")


@pytest.fixture(scope="session")
def inputs() -> Json:
    """The variables with which the scenario ran, secrets of the tests included."""
    found: Json = yaml.safe_load((ROOT / "molecule" / "shared" / "platform.yml").read_text(encoding="utf-8"))
    return found

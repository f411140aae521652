# SPDX-License-Identifier: GPL-3.0-or-later
# SPDX-FileCopyrightText: 2026 The orchestrator.platform authors
"""One connection for dry runs, for all tests of the scenario."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from dry_runs import DryRuns, watcher_of
from real_cluster import Cluster

BARE = {"containers": [{"name": "agent", "image": "agent"}]}
SPYING = {
    "containers": [
        {"name": "discord-watcher", "image": "w", "envFrom": [{"secretRef": {"name": "discord-monitor-bot"}}]}
    ]
}


@pytest.fixture(scope="session")
def api(cluster: Cluster) -> Iterator[DryRuns]:
    """Dry runs, from when both policies act: within a second of their making."""
    with DryRuns(cluster) as dry_runs:
        cluster.until(lambda: watcher_of(dry_runs.pod(BARE, "adm-agents").body["spec"]), "the policy injects", 15)
        cluster.until(lambda: dry_runs.pod(SPYING, "adm-agents").status == 403, "the policy refuses", 15)
        yield dry_runs

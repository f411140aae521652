# SPDX-License-Identifier: GPL-3.0-or-later
# SPDX-FileCopyrightText: 2026 The orchestrator.platform authors
"""Chart tests: how to render, where the programs are, and the switch that writes golden files anew.

    pytest tests/charts                    all of them; no cluster is needed
    pytest tests/charts --update-golden    writes tests/charts/golden/ from what the charts render now; read the diff

helm and kubeconform are taken from the variables HELM and KUBECONFORM, else from PATH. The modules beside this file
(renderings, pod_rules, schemas) are imported by name, hence the entry in sys.path.
"""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parent))


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--update-golden", action="store_true", help="write the golden renderings anew")


@pytest.fixture(scope="session")
def update_golden(request: pytest.FixtureRequest) -> bool:
    return bool(request.config.getoption("--update-golden", default=False))

# SPDX-License-Identifier: GPL-3.0-or-later
# SPDX-FileCopyrightText: 2026 The orchestrator.platform authors
"""Issue 3, item 2: hosts that withhold CAP_SYS_RESOURCE work, and only old engines there get our runtime."""

from __future__ import annotations

import pytest
from ansible_collections.orchestrator.platform.tools.toolchain import capabilities
from ansible_collections.orchestrator.platform.tools.toolchain.errors import ToolboxError

FULL = 0x000001FFFFFFFFFF
WITHOUT = 0x000001FFFEFFFFFF


def test_the_mask_is_read_from_the_bounding_set_and_no_other():
    status = "CapEff:\t0000000000000000\nCapBnd:\t000001fffeffffff\nCapAmb:\t0000000000000000\n"
    assert capabilities.bounding_set(status) == WITHOUT


@pytest.mark.parametrize("status", ["", "CapEff:\t000001ffffffffff\n", "CapBnd:\tunknown\n"])
def test_a_status_without_bounding_set_is_an_error(status):
    with pytest.raises(ToolboxError, match="CapBnd"):
        capabilities.bounding_set(status)


@pytest.mark.parametrize(("mask", "expected"), [(FULL, True), (WITHOUT, False), (0, False), (1 << 24, True)])
def test_bit_24_decides(mask, expected):
    assert capabilities.may_use_resources(mask) is expected


@pytest.mark.parametrize(
    ("mask", "version", "expected"),
    [
        (WITHOUT, "20.10.24+dfsg1", True),
        (WITHOUT, "Docker version 20.10.24+dfsg1, build 297e128", True),
        (WITHOUT, "23.0.0", False),
        (WITHOUT, "28.2.2", False),
        (FULL, "20.10.24+dfsg1", False),
        (WITHOUT, "", False),
        (WITHOUT, "dev", False),
    ],
)
def test_only_an_old_engine_on_such_a_host_needs_the_wrapper(mask, version, expected):
    assert capabilities.needs_wrapper(mask, version) is expected

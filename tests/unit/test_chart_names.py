# SPDX-License-Identifier: GPL-3.0-or-later
# SPDX-FileCopyrightText: 2026 The orchestrator.platform authors
"""One rule for the chart's names: function, filter and module agree, and with the template's own text."""

from __future__ import annotations

import pytest
from ansible.errors import AnsibleFilterError
from ansible_collections.orchestrator.platform.plugins.filter.chart_fullname import FilterModule
from ansible_collections.orchestrator.platform.plugins.module_utils._chart_names import chart_fullname
from ansible_collections.orchestrator.platform.plugins.modules import verification

CASES = [
    ("discord-monitor", {}, "discord-monitor"),
    ("dm", {}, "dm-discord-monitor"),
    ("my-discord-monitor-2", {}, "my-discord-monitor-2"),
    ("team.a", {}, "team-a-discord-monitor"),
    ("2nd", {}, "dm-2nd-discord-monitor"),
    ("a" * 51 + "-b", {}, "a" * 51),
    ("dm", {"nameOverride": "eyes"}, "dm-eyes"),
    ("eyes-1", {"nameOverride": "eyes"}, "eyes-1"),
    ("dm", {"fullnameOverride": "eyes", "nameOverride": "x"}, "eyes"),
    ("dm", {"fullnameOverride": ""}, "dm-discord-monitor"),
]


@pytest.mark.parametrize(("release", "values", "name"), CASES)
def test_name_is_the_charts(release, values, name):
    """The cases are those of discord-monitor.fullname, tried with helm template."""
    assert chart_fullname(release, values) == name
    assert FilterModule().filters()["chart_fullname"](release, values) == name


def test_module_expects_the_names_of_its_release():
    params = {key: spec.get("default") for key, spec in verification.ARGUMENT_SPEC.items()}
    found = verification.expectation({**params, "release": "2nd", "bot_expected": False})
    assert (found.fullname, found.snippet_name) == ("dm-2nd-discord-monitor", "dm-2nd-discord-monitor-snippet")
    assert found.bot_expected is False


@pytest.mark.parametrize("arguments", [("",), (None,), (["dm"],), ("dm", "eyes")])
def test_wrong_input_is_named(arguments):
    with pytest.raises(AnsibleFilterError, match=r"chart_fullname: the (release|values)"):
        FilterModule().filters()["chart_fullname"](*arguments)

# SPDX-License-Identifier: GPL-3.0-or-later
# SPDX-FileCopyrightText: 2026 The orchestrator.platform authors
"""Gives the name that one of our charts derives for the objects of a release."""

from __future__ import annotations

import typing as t
from collections.abc import Mapping

from ansible.errors import AnsibleFilterError
from ansible_collections.orchestrator.platform.plugins.module_utils import _chart_names


def chart_fullname(release: object, values: object = None, chart: str = _chart_names.CHART) -> str:
    """Name of the release's objects; `values` are its Helm values, of which the two name overrides count."""
    if chart not in _chart_names.CHARTS:
        message = f"chart_fullname: the chart is one of {', '.join(_chart_names.CHARTS)}, not {chart}"
        raise AnsibleFilterError(message)
    if not isinstance(release, str) or not release:
        message = f"chart_fullname: the release is a name, not {type(release).__name__}"
        raise AnsibleFilterError(message)
    if values is not None and not isinstance(values, Mapping):
        message = f"chart_fullname: the values are a mapping, not {type(values).__name__}"
        raise AnsibleFilterError(message)
    return _chart_names.chart_fullname(release, values, chart)


class FilterModule:
    """The filter `orchestrator.platform.chart_fullname`."""

    def filters(self) -> dict[str, t.Callable[..., t.Any]]:
        """Map the name to the function."""
        return {"chart_fullname": chart_fullname}

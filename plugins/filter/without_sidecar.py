# SPDX-License-Identifier: GPL-3.0-or-later
# SPDX-FileCopyrightText: 2026 The orchestrator.platform authors
"""Filter without_sidecar: manifests as they were before the filter with_sidecar."""

from __future__ import annotations

import typing as t
from collections.abc import Callable

from ansible.errors import AnsibleFilterError
from ansible_collections.orchestrator.platform.plugins.module_utils._errors import PlatformError
from ansible_collections.orchestrator.platform.plugins.module_utils._manifests import remove_all


def without_sidecar(documents: t.Any) -> t.Any:  # noqa: ANN401 (whatever the template passes, and its shape)
    """The documents without what injection has added; a text gives a text, objects give objects.

    Raises AnsibleFilterError where a manifest cannot be read.
    """
    try:
        return remove_all(documents)
    except PlatformError as exc:
        raise AnsibleFilterError(f"without_sidecar: {exc}") from exc


class FilterModule:
    """The filter under its name."""

    def filters(self) -> dict[str, Callable[..., t.Any]]:
        """Map names to functions."""
        return {"without_sidecar": without_sidecar}

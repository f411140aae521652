# SPDX-License-Identifier: GPL-3.0-or-later
# SPDX-FileCopyrightText: 2026 The orchestrator.platform authors
"""Makes the credential with which an orchestrator has the bot make channels for the runs of one namespace."""

from __future__ import annotations

import typing as t

from ansible.errors import AnsibleFilterError
from ansible_collections.orchestrator.platform.plugins.module_utils import _credentials
from ansible_collections.orchestrator.platform.plugins.module_utils._errors import PlatformError
from ansible_collections.orchestrator.platform.plugins.module_utils._names import check_namespaces


def run_credential(namespace: object, key: object) -> str:
    """Return the credential for a namespace. Raises AnsibleFilterError, without ever repeating the key."""
    if not _is_namespace(namespace):
        # Not repeated: it is the key where somebody took the two for each other.
        message = "run_credential: the input is a namespace, a name of 1 to 63 small letters, digits and dashes"
        raise AnsibleFilterError(message)
    try:
        return _credentials.issue(_credentials.RUNS, str(namespace), key)
    except PlatformError as exc:
        message = f"run_credential: {exc}"
        raise AnsibleFilterError(message) from exc


def _is_namespace(name: object) -> bool:
    if not isinstance(name, str):
        return False
    try:
        check_namespaces([name], "")
    except PlatformError:
        return False
    return True


class FilterModule:
    """The filter `orchestrator.platform.run_credential`."""

    def filters(self) -> dict[str, t.Callable[..., t.Any]]:
        """Map the name to the function."""
        return {"run_credential": run_credential}

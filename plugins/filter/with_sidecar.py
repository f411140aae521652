# SPDX-License-Identifier: GPL-3.0-or-later
# SPDX-FileCopyrightText: 2026 The orchestrator.platform authors
"""Filter with_sidecar: manifests with the published sidecar in their workloads, by the decision of module sidecar."""

from __future__ import annotations

import json
import typing as t
from collections.abc import Callable

from ansible.errors import AnsibleFilterError
from ansible_collections.orchestrator.platform.plugins.module_utils._errors import PlatformError
from ansible_collections.orchestrator.platform.plugins.module_utils._manifests import inject_all
from ansible_collections.orchestrator.platform.plugins.module_utils._overrides import parse_overrides
from ansible_collections.orchestrator.platform.plugins.module_utils._sidecar import Options
from ansible_collections.orchestrator.platform.plugins.module_utils._snippet import (
    Snippet,
    parse_snippet,
    snippet_of_config_map,
)

FORMS = ("native", "container")


def with_sidecar(
    documents: t.Any,  # noqa: ANN401 (whatever the template passes)
    snippet: t.Any,  # noqa: ANN401 (the same)
    *,
    form: str = "native",
    bridge: bool = False,
    overrides: dict[str, t.Any] | None = None,
    container: str | None = None,
) -> t.Any:  # noqa: ANN401 (the shape of the documents)
    """The documents with a sidecar in each workload; a text gives a text, objects give objects.

    Raises AnsibleFilterError where a manifest or an argument cannot be used.
    """
    if form not in FORMS:
        raise AnsibleFilterError(f"with_sidecar: form is {form!r}, it has to be one of {', '.join(FORMS)}.")
    try:
        published = _snippet(snippet)
        if bridge and published.bridge is None:
            raise AnsibleFilterError(
                "with_sidecar: the snippet has no bridge: set inputBridge.enabled in the chart's values."
            )
        options = Options(form == "native", bool(bridge), container, parse_overrides(overrides), new=True)
        return inject_all(_plain(documents), published, options)
    except PlatformError as exc:
        raise AnsibleFilterError(f"with_sidecar: {exc}") from exc


def _snippet(given: t.Any) -> Snippet:  # noqa: ANN401 (an argument of the template)
    """The snippet from its ConfigMap, from the document in it, or from that document's text."""
    given = _plain(given)
    if isinstance(given, str):
        try:
            given = json.loads(given)
        except ValueError as exc:
            raise AnsibleFilterError("with_sidecar: the snippet is a text that is not JSON.") from exc
    if isinstance(given, dict) and given.get("kind") == "ConfigMap":
        return snippet_of_config_map(given)
    return parse_snippet(given)


def _plain(value: t.Any) -> t.Any:  # noqa: ANN401 (decoded JSON of any shape)
    """Without Ansible's own types of text, mapping and list, which a YAML dumper does not know."""
    if isinstance(value, str):
        return str(value)
    if isinstance(value, t.Mapping):
        return {str(key): _plain(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [_plain(item) for item in value]
    return value


class FilterModule:
    """The filter under its name."""

    def filters(self) -> dict[str, Callable[..., t.Any]]:
        """Map names to functions."""
        return {"with_sidecar": with_sidecar}

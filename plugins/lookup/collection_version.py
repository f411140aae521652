# SPDX-License-Identifier: GPL-3.0-or-later
# SPDX-FileCopyrightText: 2026 The orchestrator.platform authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Version of an installed collection, read where Ansible itself would load it."""

from __future__ import annotations

DOCUMENTATION = r"""
name: collection_version
short_description: Version of an installed collection
version_added: 0.1.0
author: The orchestrator.platform authors (@orchestrator)
description:
  - Finds a collection on the controller as Ansible would load it, and returns its version.
options:
  _terms:
    description: Names of collections, such as V(kubernetes.core).
    type: list
    elements: str
    required: true
"""

EXAMPLES = r"""
- name: Say which kubernetes.core would run
  ansible.builtin.debug:
    msg: "{{ lookup('orchestrator.platform.collection_version', 'kubernetes.core') or 'none' }}"
"""

RETURN = r"""
_raw:
  description: One version per name. Empty when it is not installed, V(*) for a checkout without metadata.
  type: list
  elements: str
"""

import importlib
import json
import pathlib
import typing as t

import yaml
from ansible.plugins.lookup import LookupBase


def installed_version(name: str) -> str:
    """Return the version that galaxy wrote into the collection, '' when it cannot be imported."""
    try:
        package = importlib.import_module(f"ansible_collections.{name}")
    except ImportError:
        return ""
    for folder in (pathlib.Path(path) for path in package.__path__):
        manifest, galaxy = folder / "MANIFEST.json", folder / "galaxy.yml"
        if manifest.is_file():
            return str(json.loads(manifest.read_text(encoding="utf-8"))["collection_info"]["version"])
        if galaxy.is_file():
            return str(yaml.safe_load(galaxy.read_text(encoding="utf-8")).get("version") or "*")
    return "*"


class LookupModule(LookupBase):  # type: ignore[misc]
    """The lookup `orchestrator.platform.collection_version`."""

    def run(self, terms: list[str], variables: dict[str, t.Any] | None = None, **kwargs: t.Any) -> list[str]:  # noqa: ANN401, ARG002
        """Return one version per name."""
        return [installed_version(term) for term in terms]

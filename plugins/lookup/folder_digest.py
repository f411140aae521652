# SPDX-License-Identifier: GPL-3.0-or-later
# SPDX-FileCopyrightText: 2026 The orchestrator.platform authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Digest of a folder's files: another name or another content gives another digest."""

from __future__ import annotations

DOCUMENTATION = r"""
name: folder_digest
short_description: Digest of the files in a folder
version_added: 0.1.0
author: The orchestrator.platform authors (@orchestrator)
description:
  - Reads every regular file below a folder on the controller, hidden ones too, and returns one SHA-256 over their
    relative paths and contents. Links are neither read nor followed.
options:
  _terms:
    description: Folders.
    type: list
    elements: path
    required: true
"""

EXAMPLES = r"""
- name: Say which state of the chart this is
  ansible.builtin.debug:
    msg: "{{ lookup('orchestrator.platform.folder_digest', 'charts/discord-monitor') }}"
"""

RETURN = r"""
_raw:
  description: One digest per folder, as 64 hexadecimal digits.
  type: list
  elements: str
"""

import hashlib
import pathlib
import typing as t

from ansible.errors import AnsibleLookupError
from ansible.plugins.lookup import LookupBase


def folder_digest(folder: pathlib.Path) -> str:
    """Digest of the regular files below a folder; raises OSError when one cannot be read."""
    lines = [
        f"{path.relative_to(folder)} {hashlib.sha256(path.read_bytes()).hexdigest()}"
        for path in folder.rglob("*")
        if path.is_file() and not path.is_symlink()
    ]
    return hashlib.sha256("\n".join(sorted(lines)).encode()).hexdigest()


class LookupModule(LookupBase):  # type: ignore[misc]
    """The lookup `orchestrator.platform.folder_digest`."""

    def run(self, terms: list[str], variables: dict[str, t.Any] | None = None, **kwargs: t.Any) -> list[str]:  # noqa: ANN401, ARG002
        """Return one digest per folder."""
        digests = []
        for term in terms:
            folder = pathlib.Path(term)
            if not folder.is_dir():
                raise AnsibleLookupError(f"folder_digest: {folder} is not a folder.")
            try:
                digests.append(folder_digest(folder))
            except OSError as exc:
                raise AnsibleLookupError(f"folder_digest: {exc.filename} cannot be read: {exc.strerror}.") from exc
        return digests

# SPDX-License-Identifier: GPL-3.0-or-later
# SPDX-FileCopyrightText: 2026 The orchestrator.platform authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Options of the modules that write or read an archive of the platform."""

from __future__ import annotations


class ModuleDocFragment:
    """The password of an archive, and how many requests are sent at once."""

    DOCUMENTATION = r"""
options:
  vault_password_file:
    description:
      - File with an Ansible Vault password, or a program that prints it. With it an archive is encrypted when it is
        written; an encrypted one cannot be read without it.
      - Ansible Vault runs on the host of the module, with the module's own Python, which needs ansible-core.
    type: path
  vault_id:
    description: Label under which Ansible Vault knows the password. Empty takes V(orchestrator.platform).
    type: str
    default: ""
  threads:
    description: How many requests are under way at once.
    type: int
    default: 8
"""

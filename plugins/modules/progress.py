#!/usr/bin/python
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
# SPDX-FileCopyrightText: 2026 The orchestrator.platform authors

"""Documentation of the action plugin of the same name, which does the work on the controller."""

from __future__ import annotations

DOCUMENTATION = r"""
module: progress
short_description: Run a long command on the controller and show its progress as it happens
version_added: "0.1.0"
description:
  - Runs one program on the controller, whatever the connection of the host is, and shows each line that it prints
    on standard error at once. Standard output is the program's result and is returned.
  - Meant for commands that take minutes, which C(ansible.builtin.command) keeps silent about until their end.
author:
  - The orchestrator.platform authors (@orchestrator-platform)
attributes:
  check_mode:
    support: partial
    description: The program is not run; the task reports that it would be. A task with C(check_mode=false) runs it.
  diff_mode:
    support: none
    description: Nothing to compare is known.
options:
  argv:
    description:
      - The program and its arguments. No shell is involved.
    type: list
    elements: str
    required: true
  chdir:
    description:
      - Folder the program runs in; by default the one Ansible runs in.
    type: path
  creates:
    description:
      - A file whose presence makes the run unnecessary.
    type: path
  environment_add:
    description:
      - Variables added to the controller's environment for the program. Values are not shown.
    type: dict
    default: {}
  timeout:
    description:
      - Longest time the program may take, in seconds. V(0) sets no limit.
    type: int
    default: 0
notes:
  - The task's C(environment) keyword is for modules and does not reach the program; use O(environment_add).
seealso:
  - module: ansible.builtin.command
"""

EXAMPLES = r"""
- name: Build the node image, which takes minutes
  orchestrator.platform.progress:
    argv: [tools/toolbox, node-image, --kubernetes, "1.36"]
    chdir: "{{ playbook_dir }}"
    timeout: 3600
  register: node_image

- name: Show which one it is
  ansible.builtin.debug:
    msg: "{{ (node_image.stdout | from_json).image }}"
"""

RETURN = r"""
cmd:
  description: The program and its arguments.
  returned: always
  type: list
  elements: str
rc:
  description: Exit status of the program, negative when a signal ended it.
  returned: when the program was run
  type: int
stdout:
  description: What the program printed on standard output, at most its last 1 MiB.
  returned: when the program was run
  type: str
stderr_lines:
  description: The last 40 lines that the program printed on standard error.
  returned: when the program was run
  type: list
  elements: str
seconds:
  description: How long the program ran.
  returned: when the program was run
  type: float
"""

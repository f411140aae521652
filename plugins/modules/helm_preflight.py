#!/usr/bin/python
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
# SPDX-FileCopyrightText: 2026 The orchestrator.platform authors

"""Documentation of the action plugin of the same name, which does the work on the controller."""

from __future__ import annotations

DOCUMENTATION = r"""
module: helm_preflight
short_description: Ask Helm for its version, and whether it renders a chart with the given values
version_added: 0.1.0
author:
  - The orchestrator.platform authors (@orchestrator)
description:
  - Runs Helm on the controller, for both questions at once. It talks to no cluster, writes nothing, and does not fail
    on what it finds; the caller decides.
  - What the chart renders to is thrown away.
attributes:
  check_mode:
    description: Runs the same in check mode, since it only reads.
    support: full
  diff_mode:
    description: Has nothing to show a difference of.
    support: none
options:
  binary:
    description: Name or path of the program.
    type: str
    default: helm
  chart:
    description: Folder of the chart. Without it only the version is asked for.
    type: path
  release:
    description: Name of the release to render.
    type: str
    default: release
  namespace:
    description: Namespace of the release to render. Without it Helm's own default.
    type: str
    version_added: 0.2.0
  values:
    description: Values for the chart. They go to Helm's standard input, not into its arguments.
    type: dict
    default: {}
  kube_version:
    description: Kubernetes version to render for. Without it Helm's own.
    type: str
seealso:
  - module: orchestrator.platform.cluster_preflight
"""

EXAMPLES = r"""
- name: Does the chart take these values
  orchestrator.platform.helm_preflight:
    chart: charts/discord-monitor
    values:
      webhook: {outageLimitSeconds: 60}
  register: helm

- name: It does
  ansible.builtin.assert:
    that: helm.problem == ''
"""

RETURN = r"""
version:
  description: Helm's version, empty when it was not found or gave none.
  returned: always
  type: str
  sample: 3.22.0
problem:
  description: What Helm says against the chart or the values. Empty when it rendered, or was not asked to.
  returned: always
  type: str
  sample: ""
"""

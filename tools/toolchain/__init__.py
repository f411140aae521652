# SPDX-License-Identifier: GPL-3.0-or-later
# SPDX-FileCopyrightText: 2026 The orchestrator.platform authors
"""What `tools/toolbox` is made of: one module a concern, each does nothing when its result is already there.

Pure: `pins`, `capabilities`, `cluster_config`, `archive` (files only). The others call programs, through `steps`.
"""

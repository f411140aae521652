# SPDX-License-Identifier: GPL-3.0-or-later
# SPDX-FileCopyrightText: 2026 The orchestrator.platform authors
"""The programs of the Discord monitor: watcher, bot, input bridge, health check and probe."""

from __future__ import annotations

__version__ = "0.1.0"

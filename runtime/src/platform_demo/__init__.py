# SPDX-License-Identifier: GPL-3.0-or-later
# SPDX-FileCopyrightText: 2026 The orchestrator.platform authors
"""Stand-ins for demo and tests: a fake Discord and a sample agent. Nothing of it is in the product's image."""

from __future__ import annotations

__version__ = "0.1.0"

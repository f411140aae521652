# SPDX-License-Identifier: GPL-3.0-or-later
# SPDX-FileCopyrightText: 2026 The orchestrator.platform authors
"""`python -m discord_monitor` is the same as the console entry `discord-monitor`."""

from __future__ import annotations

import sys

from discord_monitor.cli import main

sys.exit(main())

# SPDX-License-Identifier: GPL-3.0-or-later
# SPDX-FileCopyrightText: 2026 The orchestrator.platform authors
"""What tools/toolbox starts."""

from __future__ import annotations

import sys

from .cli import main

sys.exit(main())

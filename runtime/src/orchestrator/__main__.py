# SPDX-License-Identifier: GPL-3.0-or-later
# SPDX-FileCopyrightText: 2026 The orchestrator.platform authors
"""`python -m orchestrator`."""

import sys

from orchestrator.cli import main

sys.exit(main())

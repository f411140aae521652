# SPDX-License-Identifier: GPL-3.0-or-later
# SPDX-FileCopyrightText: 2026 The orchestrator.platform authors
"""The controller: makes an agent's Job of each CodeRun and DocsRun, and takes requests for them over REST.

Knows nothing of Helm, of Discord's API, or of what an agent does inside its pod.
"""

__version__ = "0.1.0"

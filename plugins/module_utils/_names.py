# SPDX-License-Identifier: GPL-3.0-or-later
# SPDX-FileCopyrightText: 2026 The orchestrator.platform authors
#
# Private to this collection: names and behaviour may change in any release.
"""Names that become parts of a request's path are checked before anything is read. Pure.

An empty namespace asks for the whole cluster, one with a slash for something else altogether.
"""

from __future__ import annotations

import re
from collections.abc import Iterable

from ansible_collections.orchestrator.platform.plugins.module_utils._errors import PlatformError

# RFC 1123: a label, as namespaces are named, and labels joined by dots, as most other objects are.
_LABEL = re.compile(r"[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?")
_SUBDOMAIN = re.compile(rf"{_LABEL.pattern}(?:\.{_LABEL.pattern})*")
_MAX_SUBDOMAIN = 253


def check_namespaces(names: Iterable[str], where: str) -> None:
    """Raises PlatformError for the first name that no namespace can have; `where` is the argument that holds it."""
    for name in names:
        if not _LABEL.fullmatch(name):
            raise PlatformError(
                f"{where} holds {name!r}, which no namespace can be named: give names of small letters, digits and "
                "dashes, 1 to 63 characters, that begin and end with a letter or digit."
            )


def check_object_name(name: str, where: str) -> None:
    """Raises PlatformError for a name that no object can have; `where` is the argument that holds it."""
    if len(name) > _MAX_SUBDOMAIN or not _SUBDOMAIN.fullmatch(name):
        raise PlatformError(
            f"{where} is {name!r}, which no object can be named: give a name of small letters, digits, dashes and "
            "dots, 1 to 253 characters, that begins and ends with a letter or digit."
        )

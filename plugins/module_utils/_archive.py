# SPDX-License-Identifier: GPL-3.0-or-later
# SPDX-FileCopyrightText: 2026 The orchestrator.platform authors
#
# Private to this collection: names and behaviour may change in any release.
"""Writes a .tar.gz that only its owner can read, whole or not at all."""

from __future__ import annotations

import io
import os
import tarfile
import tempfile
import time
from collections.abc import Mapping
from pathlib import Path

from ansible_collections.orchestrator.platform.plugins.module_utils._errors import PlatformError

FOLDER = "support-bundle"  # at the top of the archive


def write_archive(dest: str, files: Mapping[str, str]) -> int:
    """Write the files below one folder to `dest`, mode 0600, in the place of what was there; returns its size.

    Raises PlatformError when it cannot be written; then nothing of it is left.
    """
    target = Path(dest).expanduser()
    try:
        # Made with mode 0600, in the same folder, so that the name appears with the whole archive behind it.
        handle, draft = tempfile.mkstemp(dir=target.parent, prefix=f".{target.name}.")
        try:
            with os.fdopen(handle, "wb") as raw, tarfile.open(fileobj=raw, mode="w:gz") as archive:
                _fill(archive, files)
            Path(draft).replace(target)
        except BaseException:
            Path(draft).unlink(missing_ok=True)
            raise
        return target.stat().st_size
    except OSError as exc:
        raise PlatformError(f"The bundle cannot be written to {dest} ({exc.strerror}): correct dest.") from exc


def _fill(archive: tarfile.TarFile, files: Mapping[str, str]) -> None:
    for name, text in sorted(files.items()):
        # Half a surrogate pair, which JSON lets through, cannot be written as UTF-8.
        content = text.encode("utf-8", "replace")
        member = tarfile.TarInfo(f"{FOLDER}/{name}")
        member.size, member.mode, member.mtime = len(content), 0o600, int(time.time())
        archive.addfile(member, io.BytesIO(content))

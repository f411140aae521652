# SPDX-License-Identifier: GPL-3.0-or-later
# SPDX-FileCopyrightText: 2026 The orchestrator.platform authors
#
# Private to this collection: names and behaviour may change in any release.
"""Archives that only their owner can read: packed, written whole or not at all, and unpacked with suspicion."""

from __future__ import annotations

import gzip
import io
import os
import tarfile
import tempfile
import time
import zlib
from collections.abc import Mapping
from pathlib import Path

from ansible_collections.orchestrator.platform.plugins.module_utils._errors import PlatformError
from ansible_collections.orchestrator.platform.plugins.module_utils._user_path import user_path

FOLDER = "support-bundle"  # at the top of a bundle's archive
# What is unpacked into memory at most; arbitrary, a platform with thousands of runs has a hundredth of it.
MAX_UNPACKED_BYTES = 512 * 1024 * 1024
MAX_MEMBERS = 200_000


def write_archive(dest: str, files: Mapping[str, str]) -> int:
    """Write the files below one folder to `dest`, mode 0600, in the place of what was there; returns its size.

    Raises PlatformError when it cannot be written; then nothing of it is left.
    """
    return write_private(dest, pack(files, FOLDER, mtime=int(time.time())), what="bundle")


def pack(files: Mapping[str, str], folder: str, *, mtime: int) -> bytes:
    """A .tar.gz of the files below one folder; the same files and time give the same bytes."""
    raw = io.BytesIO()
    with (
        gzip.GzipFile(filename="", fileobj=raw, mode="wb", mtime=mtime) as stream,
        tarfile.open(fileobj=stream, mode="w", format=tarfile.PAX_FORMAT) as archive,
    ):
        for name, text in sorted(files.items()):
            # Half a surrogate pair, which JSON lets through, cannot be written as UTF-8.
            content = text.encode("utf-8", "replace")
            member = tarfile.TarInfo(f"{folder}/{name}")
            member.size, member.mode, member.mtime = len(content), 0o600, mtime
            archive.addfile(member, io.BytesIO(content))
    return raw.getvalue()


def write_private(dest: str, content: bytes, *, what: str) -> int:
    """Write `dest` with mode 0600, in the place of what was there; returns its size.

    Raises PlatformError when it cannot be written; then nothing of it is left.
    """
    target = user_path(dest)
    try:
        # Made with mode 0600, in the same folder, so that the name appears with the whole content behind it.
        handle, draft = tempfile.mkstemp(dir=target.parent, prefix=f".{target.name}.")
        try:
            with os.fdopen(handle, "wb") as raw:
                raw.write(content)
            Path(draft).replace(target)
        except BaseException:
            Path(draft).unlink(missing_ok=True)
            raise
        return target.stat().st_size
    except OSError as exc:
        raise PlatformError(f"The {what} cannot be written to {dest} ({exc.strerror}): correct dest.") from exc


def unpack(content: bytes, folder: str, source: str) -> dict[str, str]:
    """The files below one folder of a .tar.gz, by name; nothing is written to disk.

    Raises PlatformError for what is no such archive, is cut short, or holds anything but plain files in that folder.
    """
    files: dict[str, str] = {}
    unpacked = 0
    try:
        with gzip.GzipFile(fileobj=io.BytesIO(content)) as stream, tarfile.open(fileobj=stream, mode="r|") as archive:
            for member in archive:
                name = _inside(member, folder, source)
                unpacked += member.size
                if unpacked > MAX_UNPACKED_BYTES or len(files) >= MAX_MEMBERS:
                    raise PlatformError(f"{source} unpacks to more than any backup holds: it is not read further.")
                if name in files:
                    raise PlatformError(f"{source} holds {name} twice: it was changed, and nothing of it is used.")
                reader = archive.extractfile(member)
                files[name] = reader.read().decode("utf-8") if reader else ""
            # The checksum of gzip stands behind the last byte.
            stream.read()
    except (tarfile.TarError, OSError, EOFError, zlib.error, UnicodeDecodeError) as exc:
        raise PlatformError(
            f"{source} is no archive, or was cut short or damaged ({type(exc).__name__}): take another one."
        ) from exc
    return files


def _inside(member: tarfile.TarInfo, folder: str, source: str) -> str:
    """The name of a member below the folder; raises PlatformError for anything but a plain file in there."""
    parts = member.name.split("/")
    if not member.isreg() or parts[0] != folder or len(parts) < 2 or {"", ".", ".."} & set(parts):
        raise PlatformError(
            f"{source} holds {member.name!r}, which is not a plain file in {folder}/: it is no backup of this "
            "collection, or was changed, and nothing of it is used."
        )
    return "/".join(parts[1:])

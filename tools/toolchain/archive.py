# SPDX-License-Identifier: GPL-3.0-or-later
# SPDX-FileCopyrightText: 2026 The orchestrator.platform authors
"""Writes images that hold one static program as a tar file every engine can load. Files only, no engine.

The layout is the one of `docker save`: a manifest.json that names, for each image, a configuration and its layers.
"""

from __future__ import annotations

import hashlib
import io
import json
import shutil
import tarfile
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO

CHUNK = 1 << 20


@dataclass(frozen=True)
class ProgramImage:
    """An image with nothing but /usr/local/bin/<program>."""

    tags: tuple[str, ...]
    program: Path


def add_file(tar: tarfile.TarFile, name: str, source: Path | bytes, *, mode: int = 0o644) -> None:
    """Add one file owned by root, dated zero, so that equal content gives an equal archive."""
    info = tarfile.TarInfo(name)
    info.mode = mode
    if isinstance(source, bytes):
        info.size = len(source)
        tar.addfile(info, io.BytesIO(source))
        return
    info.size = source.stat().st_size
    with source.open("rb") as file:
        tar.addfile(info, file)


def image_config(program: str, layer_digest: str, architecture: str) -> dict[str, Any]:
    """Configuration of an image with one layer, in the fields that containerd and Docker read."""
    return {
        "architecture": architecture,
        "os": "linux",
        "config": {"Entrypoint": [f"/usr/local/bin/{program}"], "Env": ["PATH=/usr/local/bin"]},
        "rootfs": {"type": "layers", "diff_ids": [f"sha256:{layer_digest}"]},
        "history": [{"created_by": f"COPY {program} /usr/local/bin/{program}"}],
    }


def write_layer(program: Path, file: BinaryIO) -> str:
    """Write the layer of a program and return its SHA-256."""
    with tarfile.open(fileobj=file, mode="w") as tar:
        for folder in ("usr", "usr/local", "usr/local/bin"):
            info = tarfile.TarInfo(folder)
            info.type = tarfile.DIRTYPE
            info.mode = 0o755
            tar.addfile(info)
        add_file(tar, f"usr/local/bin/{program.name}", program, mode=0o755)
    file.seek(0)
    digest = hashlib.sha256()
    while block := file.read(CHUNK):
        digest.update(block)
    file.seek(0)
    return digest.hexdigest()


def write_archive(images: Sequence[ProgramImage], target: Path, *, architecture: str) -> None:
    """Write all images to `target`, which appears whole or not at all."""
    manifest = []
    temporary = target.with_suffix(".new")
    with tarfile.open(temporary, "w") as tar:
        for image in images:
            with tempfile.TemporaryFile(dir=target.parent) as layer:
                digest = write_layer(image.program, layer)
                info = tarfile.TarInfo(f"{digest}/layer.tar")
                info.size = layer.seek(0, io.SEEK_END)
                layer.seek(0)
                tar.addfile(info, layer)
            config = json.dumps(image_config(image.program.name, digest, architecture), sort_keys=True).encode()
            name = f"{hashlib.sha256(config).hexdigest()}.json"
            add_file(tar, name, config)
            manifest.append({"Config": name, "RepoTags": list(image.tags), "Layers": [f"{digest}/layer.tar"]})
        add_file(tar, "manifest.json", json.dumps(manifest).encode())
    temporary.rename(target)


def replace_folder(source: Path, target: Path) -> None:
    """Copy a read-only source tree to `target`, writable, in place of what is there."""
    shutil.rmtree(target, ignore_errors=True)
    shutil.copytree(source, target)
    for path in [target, *target.rglob("*")]:
        path.chmod(path.stat().st_mode | 0o200)

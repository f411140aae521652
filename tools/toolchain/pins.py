# SPDX-License-Identifier: GPL-3.0-or-later
# SPDX-FileCopyrightText: 2026 The orchestrator.platform authors
"""Reads what is pinned, and turns it into the keys results are cached under. Reads files, runs nothing."""

from __future__ import annotations

import hashlib
import os
import platform
import re
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from .errors import ToolboxError

TOOLS_FOLDER = Path(__file__).resolve().parents[1]
GO_FOLDER = TOOLS_FOLDER / "go"
KEY_LENGTH = 16  # hexadecimal digits; 64 bits are plenty for a few dozen results
COMMON_LDFLAGS = ("-s", "-w")
MACHINES = {"x86_64": "amd64", "amd64": "amd64", "aarch64": "arm64", "arm64": "arm64"}


def key_of(*parts: str | bytes) -> str:
    """Digest of the parts in order; the length of each is part of it, so that moving a border changes it."""
    digest = hashlib.sha256()
    for part in parts:
        data = part.encode() if isinstance(part, str) else part
        digest.update(f"{len(data)}:".encode())
        digest.update(data)
    return digest.hexdigest()[:KEY_LENGTH]


def cache_folder(environment: Mapping[str, str] | None = None) -> Path:
    """Where results are kept between runs: below XDG_CACHE_HOME, which counts only when absolute."""
    base = (os.environ if environment is None else environment).get("XDG_CACHE_HOME", "")
    return (Path(base) if base.startswith("/") else Path.home() / ".cache") / "orchestrator-platform"


def architecture() -> str:
    """The host's architecture in Go's and Docker's words; raises ToolboxError for one we have no pins for."""
    machine = platform.machine().lower()
    if machine not in MACHINES:
        raise ToolboxError(f"No pins for the processor architecture {machine}: amd64 and arm64 are supported.")
    return MACHINES[machine]


@dataclass(frozen=True)
class Module:
    """One folder below tools/go: what is compiled, and how."""

    name: str
    folder: Path
    version: str  # of the pinned module, "v1.36.3"; empty for our own programs
    go_version: str  # oldest toolchain its go.mod takes, "1.26.0"
    packages: tuple[str, ...]  # import paths; "." for our own programs
    programs: tuple[str, ...]  # file names, in the order of packages
    ldflags: tuple[str, ...]
    tags: tuple[str, ...]
    key: str

    @property
    def rename(self) -> str:
        """File name for the only program where Go would choose another, else empty."""
        if len(self.packages) != 1 or self.packages[0].rpartition("/")[2] == self.programs[0]:
            return ""
        return self.programs[0]


def read_versions(folder: Path = TOOLS_FOLDER) -> dict[str, Any]:
    """The content of versions.toml."""
    with (folder / "versions.toml").open("rb") as file:
        return tomllib.load(file)


def parse_go_mod(text: str) -> tuple[str, str]:
    """(toolchain version, version of the pinned module) of a go.mod; the latter is empty when nothing is required."""
    toolchain = re.search(r"^go (\d+\.\d+(?:\.\d+)?)$", text, re.MULTILINE)
    if toolchain is None:
        raise ToolboxError("A go.mod below tools/go has no `go` line: restore it with git, or run tools/go/pin.")
    required = re.search(r"^require (\S+) (v\S+)$", text, re.MULTILINE)
    return toolchain.group(1), required.group(2) if required else ""


def parse_imports(text: str) -> tuple[str, ...]:
    """Import paths of a tools.go, in order."""
    return tuple(re.findall(r'^\t_ "([^"]+)"$', text, re.MULTILINE))


def read_module(name: str, *, folder: Path = GO_FOLDER, versions: Mapping[str, Any] | None = None) -> Module:
    """Read one module; raises ToolboxError when there is none of that name."""
    table = (versions if versions is not None else read_versions())["modules"]
    where = folder / name
    if name not in table or not (where / "go.mod").is_file():
        raise ToolboxError(f"No pinned module {name}: versions.toml and tools/go have {', '.join(sorted(table))}.")
    entry = table[name]
    toolchain, version = parse_go_mod((where / "go.mod").read_text())
    imports = parse_imports((where / "tools.go").read_text()) if (where / "tools.go").is_file() else ()
    packages = imports or (".",)
    programs = (entry["rename"],) if "rename" in entry else tuple(path.rpartition("/")[2] for path in packages)
    minor = version.split(".")[1] if version.count(".") >= 2 else ""
    ldflags = (*COMMON_LDFLAGS, *(flag.format(version=version, minor=minor) for flag in entry.get("ldflags", ())))
    tags = tuple(entry.get("tags", ()))
    files = sorted(path for path in where.iterdir() if path.suffix in {".mod", ".sum", ".go"})
    key = key_of(
        *(part for path in files for part in (path.name, path.read_bytes())),
        *ldflags,
        *tags,
        *programs,
        architecture(),
    )
    return Module(name, where, version, toolchain, packages, programs, ldflags, tags, key)


def published_image(kubernetes: str, versions: Mapping[str, Any] | None = None) -> tuple[str, str]:
    """(published node image by digest, module to build it from) of a Kubernetes version such as "1.36"."""
    table = (versions if versions is not None else read_versions())["kubernetes"]
    if kubernetes not in table:
        raise ToolboxError(
            f"No node image is pinned for Kubernetes {kubernetes}: "
            f"set kind_cluster_kubernetes_version to one of {', '.join(sorted(table))}."
        )
    return str(table[kubernetes]["published"]), str(table[kubernetes]["module"])


def version_numbers(text: str) -> tuple[int, ...]:
    """The leading dotted numbers of a version: "v20.10.24+dfsg1" gives (20, 10, 24), text without any gives ()."""
    match = re.match(r"\D*(\d+(?:\.\d+)*)", text)
    return tuple(int(part) for part in match.group(1).split(".")) if match else ()

# SPDX-License-Identifier: GPL-3.0-or-later
# SPDX-FileCopyrightText: 2026 The orchestrator.platform authors
"""The tools people and roles call (kind, kubectl, helm, kubeconform), in one folder that can be put on PATH."""

from __future__ import annotations

import os
import re
import shutil
from pathlib import Path

from .errors import ToolboxError
from .golang import compile_module, is_built
from .pins import Module, cache_folder, key_of, read_module, read_versions
from .steps import Steps, ask, locked, workplace


def found_on_path(name: str, module: Module) -> Path | None:
    """The program on PATH when it is exactly the pinned version."""
    entry = read_versions()["tools"][name]
    program = shutil.which(name, path=_path_without_ours())
    if program is None:
        return None
    match = re.search(entry["pattern"], ask([program, *entry["version_command"]], timeout_s=10) or "", re.MULTILINE)
    return Path(program) if match and match.group(1).removeprefix("v") == module.version.removeprefix("v") else None


def _path_without_ours() -> str:
    """PATH without our own folders: they would make a tool its own source."""
    ours = str(cache_folder())
    return os.pathsep.join(part for part in os.environ.get("PATH", "").split(os.pathsep) if not part.startswith(ours))


def tool_names() -> list[str]:
    """The tools that can be asked for."""
    return list(read_versions()["tools"])


def tool_module(name: str) -> Module:
    """The module a tool is built from; raises ToolboxError for a name we do not pin."""
    table = read_versions()["tools"]
    if name not in table:
        raise ToolboxError(f"No tool {name} is pinned: choose from {', '.join(table)}.")
    return read_module(table[name]["module"])


def tool_program(name: str, *, steps: Steps) -> Path:
    """A tool at its pinned version: from PATH, else built."""
    module = tool_module(name)
    if not is_built(module, (name,)):
        found = found_on_path(name, module)
        if found is not None:
            return found
    return compile_module(module, steps=steps, programs=(name,)) / name


def everyday_names() -> list[str]:
    """The tools that every cluster needs; the others are built when somebody asks for them by name."""
    return [name for name, entry in read_versions()["tools"].items() if not entry.get("on_request")]


def tools_folder() -> Path:
    """The folder that holds the everyday tools; its name changes with any of their pins."""
    key = key_of(*(part for name in everyday_names() for part in (name, tool_module(name).key)))
    return cache_folder() / "tools" / key / "bin"


def missing_tools(folder: Path) -> list[str]:
    """Tools that the folder lacks, or whose program has gone."""
    return [name for name in everyday_names() if not os.access(folder / name, os.X_OK)]


def ensure_tools(*, steps: Steps) -> tuple[Path, bool]:
    """(folder with the everyday tools, whether anything had to be made)."""
    folder = tools_folder()
    if not missing_tools(folder):
        return folder, False
    with locked(folder.parent.with_suffix(".lock"), steps=steps, what="Tools"):
        folder.mkdir(parents=True, exist_ok=True)
        for name in missing_tools(folder):
            program = tool_program(name, steps=steps)
            with workplace(folder.parent, "link") as temporary:
                link = temporary / name
                link.symlink_to(program)
                link.rename(folder / name)
    return folder, True

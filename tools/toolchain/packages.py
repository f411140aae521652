# SPDX-License-Identifier: GPL-3.0-or-later
# SPDX-FileCopyrightText: 2026 The orchestrator.platform authors
"""Python packages by pip on this host, which knows its index and its certificates; a build may reach neither."""

from __future__ import annotations

import shutil
import sys
from pathlib import Path

from .pins import cache_folder, key_of
from .steps import Steps, ask, locked, run, workplace

FETCH_TIMEOUT_S = 900
RECIPE = "1"  # raise it when the options below change their outcome
# The wheels of one platform on every host: pure Python is taken from them, see ensure_packages.
ONE_PLATFORM = (
    "--only-binary=:all:",
    "--implementation=cp",
    "--python-version=3.11",
    "--platform=manylinux2014_x86_64",
)


def install(requirements: Path, temporary: Path, *options: str, steps: Steps, what: str, otherwise: str = "") -> Path:
    """The packages of a requirements file with sums, in `temporary`/target, which is returned.

    A Python without pip makes itself a virtual environment for it first. `otherwise` ends the sentence of a failure.
    """
    python = Path(sys.executable)
    if ask([python, "-m", "pip", "--version"]) is None:
        failure = f"This Python has neither pip nor venv to fetch {what} with: install python3-venv{otherwise}."
        run([python, "-m", "venv", temporary / "venv"], steps=steps, failure=failure, timeout_s=300)
        python = temporary / "venv" / "bin" / "python"
    target = temporary / "target"
    argv: list[str | Path] = [
        python,
        "-m",
        "pip",
        "install",
        "--quiet",
        "--no-deps",
        "--require-hashes",
        "--no-compile",
        *options,
    ]
    run(
        [*argv, "--target", target, "--requirement", requirements],
        steps=steps,
        title=what,
        failure=f"Fetching {what} from PyPI failed: check that pip reaches its index{otherwise}.",
        timeout_s=FETCH_TIMEOUT_S,
    )
    return target


def ensure_packages(requirements: Path, *, steps: Steps) -> Path:
    """A folder with the packages as pure Python, the same on every host: what is compiled is left out."""
    folder = cache_folder() / "packages" / key_of(RECIPE, requirements.read_bytes())
    if folder.is_dir():
        return folder
    with locked(folder.with_suffix(".lock"), steps=steps, what="Python packages"):
        if folder.is_dir():
            return folder
        with (
            steps.step("python_packages", "Python packages: fetching those of our images from PyPI"),
            workplace(folder.parent, folder.name) as temporary,
        ):
            target = install(requirements, temporary, *ONE_PLATFORM, steps=steps, what="Python packages")
            for path in [*target.rglob("*.so"), *target.rglob("*.pyd")]:
                path.unlink()
            shutil.rmtree(target / "bin", ignore_errors=True)
            target.rename(folder)
    return folder

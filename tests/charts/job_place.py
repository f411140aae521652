# SPDX-License-Identifier: GPL-3.0-or-later
# SPDX-FileCopyrightText: 2026 The orchestrator.platform authors
"""A pretended agent job on this machine: a workspace, rendered files, programs on PATH, and repositories on disk."""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path

import agent_templates as a

# What an agent's image has besides the agent's CLI and gh; a claude or gh of this machine must not be found.
IMAGE = [
    "bash",
    "basename",
    "cat",
    "cp",
    "date",
    "dirname",
    "env",
    "find",
    "git",
    "grep",
    "install",
    "mkdir",
    "mktemp",
    "mv",
    "python3",
    "rm",
    "sed",
    "tr",
]


# No test judges how long something took: this only ends a wait for what will not happen any more.
PATIENCE_S = 120


class Place:
    """One pretended job: a workspace, the two repositories, programs on PATH, and notes of what was called."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.workspace, self.notes, self.programs = (folder / name for name in ("workspace", "notes", "bin"))
        for made in (self.workspace / ".ssh", self.notes, self.programs, folder / "home"):
            made.mkdir(parents=True)
        for name in IMAGE:
            # A python3 of PATH may be a shim that needs more than it finds here.
            found = sys.executable if name == "python3" else shutil.which(name)
            (self.programs / name).symlink_to(found or f"/{name}-is-not-installed")
        (self.workspace / ".ssh" / "id_ed25519").write_text("no key\n", encoding="utf-8")

    def program(self, name: str, text: str) -> None:
        (self.programs / name).write_text(text, encoding="utf-8")
        (self.programs / name).chmod(0o755)

    def env(self, **more: str) -> dict[str, str]:
        return {
            "PATH": str(self.programs), "HOME": str(self.folder / "home"), "NOTES": str(self.notes),
            "WORKSPACE": str(self.workspace), "GIT_CONFIG_NOSYSTEM": "1", "GIT_AUTHOR_DATE": "2026-01-01T00:00:00Z",
            "MANAGED_SETTINGS": str(self.folder / "managed.json"),
            "AGENT_RESULT_FILE": str(self.folder / "termination-log"), **more,
        }  # fmt: skip

    def git(self, *argv: str, cwd: Path) -> str:
        identity = ("-c", "user.name=t", "-c", "user.email=t@example.org", "-c", "init.defaultBranch=main")
        done = subprocess.run(
            ["git", *identity, *argv], cwd=cwd, env=self.env(), capture_output=True, text=True, check=True
        )
        return done.stdout.strip()

    def repository(self, name: str, files: dict[str, str]) -> str:
        """Address of a new bare repository with these files on main."""
        bare, clone = self.folder / f"{name}.git", self.folder / f"{name}-seed"
        self.git("init", "--quiet", "--bare", str(bare), cwd=self.folder)
        self.git("clone", "--quiet", str(bare), str(clone), cwd=self.folder)
        for path, text in files.items():
            (clone / path).parent.mkdir(parents=True, exist_ok=True)
            (clone / path).write_text(text, encoding="utf-8")
        self.git("add", "--all", cwd=clone)
        self.git("commit", "--quiet", "--message=seed", cwd=clone)
        self.git("push", "--quiet", "origin", "HEAD:main", cwd=clone)
        return f"file://{bare}"

    def start(self, kind: str, values: dict[str, object], **env: str) -> subprocess.Popen[str]:
        """The start script as a process of its own, its words to be read by communicate()."""
        files = self.folder / f"files-{len(list(self.folder.glob('files-*')))}"
        a.task_files(files, kind, a.FULL | values)
        return subprocess.Popen(
            ["bash", str(files / "container.sh")],
            env=self.env(TASK_FILES=str(files), **env),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )

    def run(self, kind: str, values: dict[str, object], **env: str) -> subprocess.CompletedProcess[str]:
        with self.start(kind, values, **env) as process:
            output, errors = process.communicate(timeout=PATIENCE_S)
        return subprocess.CompletedProcess(process.args, process.returncode, output, errors)

    def noted(self, name: str) -> str:
        file = self.notes / name
        return file.read_text(encoding="utf-8") if file.exists() else ""

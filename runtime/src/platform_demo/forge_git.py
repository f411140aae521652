# SPDX-License-Identifier: GPL-3.0-or-later
# SPDX-FileCopyrightText: 2026 The orchestrator.platform authors
"""Bare repositories on disk, filled and asked through git, and the SSH server before them. No pull requests here."""

from __future__ import annotations

import os
import re
import socket
import subprocess
import time
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Mapping

# Owner and name as one path: two words, none of which can be an option or lead out of the folder.
REPOSITORY = r"[A-Za-z0-9_][A-Za-z0-9._-]{0,99}/[A-Za-z0-9_][A-Za-z0-9._-]{0,99}"
GIT_TIMEOUT_S = 30
MAX_DIFF_CHARS = 64_000  # of a page; an arbitrary choice
SSHD_START_S = 30.0
IDENTITY = "Forge <forge@example.org>"
SEEDED_AT = 1_767_225_600  # the first commits have one fixed moment, so that their ids are the same everywhere

SSHD_CONFIG = """\
Port {port}
HostKey {host_key}
PidFile none
AuthorizedKeysFile {authorized_keys}
# The keys come from a ConfigMap, whose files belong to root and are links.
StrictModes no
UsePAM no
AuthenticationMethods publickey
PasswordAuthentication no
KbdInteractiveAuthentication no
PermitTTY no
PermitTunnel no
AllowTcpForwarding no
AllowAgentForwarding no
AllowStreamLocalForwarding no
X11Forwarding no
PermitUserRC no
PrintMotd no
PrintLastLog no
"""


class GitError(Exception):
    """git said no; the text is its own."""


class Commit(NamedTuple):
    """One commit of a branch."""

    sha: str
    author: str
    subject: str


class Repositories:
    """All repositories below one folder, as `<owner>/<name>.git`."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def names(self) -> list[str]:
        """`<owner>/<name>` of each."""
        found = (path.relative_to(self.folder).as_posix() for path in self.folder.glob("*/*.git"))
        return sorted(name.removesuffix(".git") for name in found)

    def has(self, name: str) -> bool:
        """Whether there is such a repository."""
        return bool(re.fullmatch(REPOSITORY, name)) and (self.folder / f"{name}.git" / "HEAD").is_file()

    def seed(self, name: str, files: Mapping[str, str]) -> None:
        """Make the repository with these files on main, unless it is there."""
        if self.has(name):
            return
        bare, fresh = self.folder / f"{name}.git", self.folder / f"{name}.new"
        fresh.parent.mkdir(parents=True, exist_ok=True)
        _git("init", "--quiet", "--bare", "--initial-branch=main", str(fresh))
        _git("fast-import", "--quiet", folder=fresh, stdin=import_stream(files))
        # Under its name only when it is whole: a start that was cut off begins anew.
        fresh.rename(bare)

    def head(self, name: str, branch: str) -> str:
        """Commit id of a branch; empty when there is none."""
        try:
            return self._git(name, "rev-parse", "--verify", "--quiet", f"refs/heads/{branch}^{{commit}}").strip()
        except GitError:
            return ""

    def commits(self, name: str, base: str, head: str) -> list[Commit]:
        """What the head has and the base has not, newest first."""
        listed = self._git(name, "log", "--format=%H%x00%an <%ae>%x00%s", f"refs/heads/{base}..refs/heads/{head}", "--")
        return [Commit(*line.split("\0")) for line in listed.splitlines()]

    def changes(self, name: str, base: str, head: str) -> str:
        """The change as a patch with a summary of its files, cut at a bound."""
        span = f"refs/heads/{base}...refs/heads/{head}"
        text = self._git(name, "diff", "--stat", "--patch", span, "--")
        return text if len(text) <= MAX_DIFF_CHARS else text[:MAX_DIFF_CHARS] + "\n…"

    def _git(self, name: str, *argv: str) -> str:
        return _git(*argv, folder=self.folder / f"{name}.git")


def import_stream(files: Mapping[str, str]) -> str:
    """The files as one commit on main, in the language of git fast-import."""
    parts = [f"commit refs/heads/main\ncommitter {IDENTITY} {SEEDED_AT} +0000\n{_data('What was there before')}"]
    parts += [f"M 644 inline {path}\n{_data(text)}" for path, text in sorted(files.items())]
    return "".join(parts)


def _data(text: str) -> str:
    return f"data {len(text.encode())}\n{text}\n"


def _git(*argv: str, folder: Path | None = None, stdin: str = "") -> str:
    where = [f"--git-dir={folder}"] if folder else []
    # Nothing of the caller's may change what git does here; PATH alone is needed.
    env = {
        "PATH": os.environ.get("PATH", os.defpath),
        "HOME": "/nonexistent",
        "GIT_CONFIG_NOSYSTEM": "1",
        "LC_ALL": "C",
    }
    done = subprocess.run(  # noqa: S603 - names are checked against REPOSITORY, branches stand behind refs/heads/
        ["git", *where, *argv],  # noqa: S607 - whichever git the image has
        input=stdin, env=env, capture_output=True, text=True, errors="replace", check=False, timeout=GIT_TIMEOUT_S,
    )  # fmt: skip
    if done.returncode:
        raise GitError(done.stderr.strip()[:500] or f"git {argv[0]} ended with {done.returncode}")
    return done.stdout


def start_sshd(folder: Path, *, port: int, authorized_keys: Path) -> subprocess.Popen[bytes]:
    """An SSH server under our own user that lets git in and nothing else: the user's login shell is git-shell.

    Returns once it listens; raises GitError when it does not. Host key and configuration stand in the folder.
    """
    host_key = folder / "ssh_host_ed25519_key"
    if not host_key.exists():
        command = ["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-C", "forge", "-f", str(host_key)]
        subprocess.run(command, check=True, timeout=GIT_TIMEOUT_S)  # noqa: S603
    config = folder / "sshd_config"
    config.write_text(
        SSHD_CONFIG.format(port=port, host_key=host_key, authorized_keys=authorized_keys), encoding="utf-8"
    )
    process = subprocess.Popen(["/usr/sbin/sshd", "-D", "-e", "-f", str(config)])  # noqa: S603
    deadline = time.monotonic() + SSHD_START_S
    while process.poll() is None:
        try:
            socket.create_connection(("127.0.0.1", port), timeout=1).close()
        except OSError:
            if time.monotonic() > deadline:
                process.kill()
                break
            time.sleep(0.05)
        else:
            return process
    raise GitError(f"sshd does not listen on port {port}: its reason stands above")

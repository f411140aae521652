# SPDX-License-Identifier: GPL-3.0-or-later
# SPDX-FileCopyrightText: 2026 The orchestrator.platform authors
#
# Private to this collection: names and behaviour may change in any release.
"""Encrypts and decrypts with Ansible Vault, from memory to memory: the plain text never touches a disk.

By the program of ansible-core itself, since Ansible does not send its Vault along with a module. The password comes
from a file or a script that the program reads; it is in no argument and in no variable.
"""

from __future__ import annotations

import os
import subprocess
import sys
import typing as t

from ansible_collections.orchestrator.platform.plugins.module_utils._errors import PlatformError
from ansible_collections.orchestrator.platform.plugins.module_utils._user_path import user_path

HEADER = b"$ANSIBLE_VAULT;"
LIMIT_S = 300  # the password may come from a script that asks a server
# The caller's own Vault settings would add passwords, or ask for one; so would a configuration in the current folder.
_OTHERS = (
    "ANSIBLE_CONFIG",
    "ANSIBLE_VAULT_PASSWORD_FILE",
    "ANSIBLE_VAULT_IDENTITY_LIST",
    "ANSIBLE_VAULT_ENCRYPT_IDENTITY",
)


class Key(t.NamedTuple):
    """Where the password comes from, and the label under which it is known."""

    password_file: str
    label: str

    @property
    def identity(self) -> str:
        """As ansible-vault takes it."""
        return f"{self.label}@{user_path(self.password_file).absolute()}"

    def check(self) -> None:
        """Raises PlatformError where there is no such file; in check mode nothing else would."""
        if not user_path(self.password_file).is_file():
            raise PlatformError(f"The password file {self.password_file} does not exist: correct vault_password_file.")


def is_encrypted(content: bytes) -> bool:
    """Whether a file is one that Ansible Vault has written."""
    return content.startswith(HEADER)


def encrypt(content: bytes, key: Key) -> bytes:
    """The content as a Vault file; raises PlatformError."""
    return _vault(["encrypt", f"--encrypt-vault-id={key.label}"], key, content, "encrypted")


def decrypt(content: bytes, key: Key, source: str) -> bytes:
    """What was encrypted; raises PlatformError, also where the file was changed, which Vault's own HMAC tells."""
    return _vault(["decrypt"], key, content, f"decrypted; is it the password that {source} was encrypted with?")


def _vault(verb: list[str], key: Key, content: bytes, what: str) -> bytes:
    key.check()
    argv = [sys.executable, "-m", "ansible", "vault", *verb, f"--vault-id={key.identity}", "--output=-"]
    env = {name: value for name, value in os.environ.items() if name not in _OTHERS}
    try:
        done = subprocess.run(  # noqa: S603 - an argument list, no shell
            argv, input=content, capture_output=True, timeout=LIMIT_S, check=False, env=env, cwd="/"
        )
    except (OSError, subprocess.TimeoutExpired) as exc:
        raise PlatformError(f"ansible-vault did not end ({type(exc).__name__}): the archive was not {what}") from exc
    if done.returncode == 0:
        return done.stdout
    words = done.stderr.decode("utf-8", "replace")
    if "No module named" in words:
        raise PlatformError(
            f"{sys.executable} has no ansible-core, which the archive is encrypted with: "
            "set ansible_python_interpreter to ansible_playbook_python."
        )
    said = " ".join(words.replace("[ERROR]:", "").replace("ERROR!", "").split())[:300]
    raise PlatformError(f"The archive could not be {what} ansible-vault says: {said}")

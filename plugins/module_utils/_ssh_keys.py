# SPDX-License-Identifier: GPL-3.0-or-later
# SPDX-FileCopyrightText: 2026 The orchestrator.platform authors
#
# Private to this collection: names and behaviour may change in any release.
"""SSH key pairs in memory: judge a private key, give its public half, make a new pair. Pure; nothing touches a disk.

The sentences never repeat a part of a key. The library is cryptography, which ansible-core itself needs; it is only
imported where there is a key to look at.
"""

from __future__ import annotations

import sys
import typing as t

from ansible_collections.orchestrator.platform.plugins.module_utils._errors import PlatformError
from ansible_collections.orchestrator.platform.plugins.module_utils._workloads import Foreign

_KINDS = ("ssh-", "ecdsa-", "sk-")  # how a line of a public key begins


class KeyFormError(ValueError):
    """The text is not the key that is wanted; the message is the predicate of a sentence, with its remedy."""


def normal_private(text: bytes) -> bytes:
    """The key with Unix line ends and the last one in place: without it ssh refuses a key as `invalid format`."""
    lines = text.replace(b"\r\n", b"\n")
    return lines if lines.endswith(b"\n") else lines + b"\n"


def public_of(private: bytes) -> str:
    """The public half as `<kind> <base64>`; raises KeyFormError where the text is no usable private key."""
    serialization = _library("serialization")
    try:
        return _half(_loaded(private), serialization)
    except TypeError as exc:  # cryptography's answer where a passphrase is needed and none was given
        raise KeyFormError(
            "is protected by a passphrase, which no program in the cluster can type: "
            "give a copy without one (ssh-keygen -p -f COPY), or a new key for this agent alone."
        ) from exc
    except KeyFormError:
        raise
    except Exception as exc:  # ValueError, UnsupportedAlgorithm and whatever its Rust part raises
        raise KeyFormError(
            "cannot be read as an SSH private key: it is cut off, damaged or of a kind that needs a device."
        ) from exc


def _loaded(private: bytes) -> Foreign:
    serialization = _library("serialization")
    if private.lstrip().startswith(tuple(kind.encode() for kind in _KINDS)):
        raise KeyFormError("is a public key: give the private one, whose file has no .pub at the end.")
    if private.startswith(b"PuTTY-User-Key-File"):
        raise KeyFormError("is a key of PuTTY: export it in OpenSSH's form (puttygen KEY -O private-openssh).")
    if b"-----BEGIN " not in private:
        raise KeyFormError("is not an SSH private key: one begins with -----BEGIN OPENSSH PRIVATE KEY-----.")
    if b"BEGIN OPENSSH PRIVATE KEY" in private:
        return serialization.load_ssh_private_key(private, password=None)
    return serialization.load_pem_private_key(private, password=None)


def _half(key: Foreign, serialization: Foreign) -> str:
    shape = serialization.PublicFormat.OpenSSH
    return str(key.public_key().public_bytes(serialization.Encoding.OpenSSH, shape).decode())


def read_public(text: bytes) -> str:
    """`<kind> <base64>` of a line of a public key, its comment left out; raises KeyFormError."""
    try:
        words = text.decode("ascii").split()
    except UnicodeDecodeError:
        words = []
    if text.lstrip().startswith(b"-----BEGIN ") and b"PRIVATE KEY" in text:
        raise KeyFormError("is a private key: give the public one, whose file ends with .pub.")
    if len(text.strip().splitlines()) != 1 or len(words) < 2 or not words[0].startswith(_KINDS):
        raise KeyFormError("is not an SSH public key: one is a single line, such as ssh-ed25519 AAAA… comment.")
    return " ".join(words[:2])


def new_pair(kind: str = "ssh_ed25519") -> tuple[bytes, str]:
    """A new private key in OpenSSH's form, without passphrase, and its public half."""
    if kind != "ssh_ed25519":
        raise ValueError(kind)
    serialization, ed25519 = _library("serialization"), _library("asymmetric.ed25519")
    key = ed25519.Ed25519PrivateKey.generate()
    private = key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.OpenSSH, serialization.NoEncryption()
    )
    return private, _half(key, serialization)


def _library(part: str) -> t.Any:  # noqa: ANN401 (a foreign module)
    try:
        if part == "serialization":
            from cryptography.hazmat.primitives import serialization

            return serialization
        from cryptography.hazmat.primitives.asymmetric import ed25519
    except ImportError as exc:
        raise PlatformError(
            f"SSH keys need the Python library cryptography, which {sys.executable} does not have: install it there, "
            "or set ansible_python_interpreter to the interpreter of ansible-core, which brings it."
        ) from exc
    return ed25519

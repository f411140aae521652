# SPDX-License-Identifier: GPL-3.0-or-later
# SPDX-FileCopyrightText: 2026 The orchestrator.platform authors
#
# Private to this collection: names and behaviour may change in any release.
"""The forms that a secret can be asked to have, and what is wrong with one that has not. Pure.

A sentence holds the name of the secret and never a part of its value.
"""

from __future__ import annotations

import re

from ansible_collections.orchestrator.platform.plugins.module_utils._ssh_keys import (
    KeyFormError,
    normal_private,
    public_of,
    read_public,
)

FORMS = ("any", "line", "github_token", "ssh_private_key", "ssh_public_key")
PRINTABLE = re.compile(r"[\x21-\x7e]+")
# GitHub's page "About authentication to GitHub", Token formats: classic and OAuth tokens, and fine-grained ones.
_GITHUB = re.compile(r"gh[pousr]_[A-Za-z0-9]{36,251}|github_pat_[A-Za-z0-9]{22}_[A-Za-z0-9]{59}")


def blank_problem(text: str, name: str) -> str:
    """What is wrong with the blanks of a secret that has to be one printable word; "" where nothing is."""
    if text.strip() == text.rstrip("\r\n") != text:
        return (
            f"{name} ends with a line break: give it without one "
            "(in a shell, printf '%s' instead of echo; in YAML, |- instead of |)."
        )
    if text != text.strip():
        return f"{name} begins or ends with blanks: give it without them."
    if not PRINTABLE.fullmatch(text):
        return f"{name} contains blanks, line breaks or characters outside ASCII: copy it again."
    return ""


def normal(form: str, value: bytes) -> bytes:
    """The value as it is stored; only a private key is ever put right, and only its line ends."""
    return normal_private(value) if form == "ssh_private_key" else value


def form_problem(form: str, value: bytes, name: str) -> str:
    """One sentence where the value does not have the form, else ""."""
    try:
        if form == "ssh_private_key":
            public_of(value)
        elif form == "ssh_public_key":
            read_public(value)
        elif form in ("line", "github_token"):
            return blank_problem(value.decode("utf-8", "replace"), name)
    except KeyFormError as exc:
        return f"{name} {exc}"
    return ""


def form_warning(form: str, value: bytes, name: str) -> str:
    """One sentence where the value may be right and does not look it, else ""."""
    if form != "github_token" or _GITHUB.fullmatch(value.decode("utf-8", "replace")):
        return ""
    return (
        f"{name} does not look like a token of GitHub (ghp_ and 36 letters and digits, or github_pat_ and more): "
        "it is written all the same; check it if GitHub refuses it."
    )


def pair_problem(private: bytes, public: bytes, name: str) -> str:
    """One sentence where the public key belongs to another private key, else "". Both have their form."""
    if public_of(private) == read_public(public):
        return ""
    return (
        f"{name} does not belong to the private key beside it: give the pair, "
        "or make the public key anew (ssh-keygen -y -f KEY > KEY.pub)."
    )

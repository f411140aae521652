# SPDX-License-Identifier: GPL-3.0-or-later
# SPDX-FileCopyrightText: 2026 The orchestrator.platform authors
#
# Private to this collection: names and behaviour may change in any release.
"""Fetches the values of a Secret's keys: text, file, environment, command, a new key pair, or what the cluster holds.

What a file or a command says goes into the Secret and nowhere else: the sentences hold names, and of a command its
program and its status, since its errors may repeat what it was to keep.
"""

from __future__ import annotations

import base64
import binascii
import os
import stat
import subprocess
import typing as t
from pathlib import Path

from ansible_collections.orchestrator.platform.plugins.module_utils._secret_forms import (
    form_problem,
    form_warning,
    normal,
    pair_problem,
)
from ansible_collections.orchestrator.platform.plugins.module_utils._secret_plan import MAX_BYTES, rotates
from ansible_collections.orchestrator.platform.plugins.module_utils._secret_wanted import Key, Wanted
from ansible_collections.orchestrator.platform.plugins.module_utils._ssh_keys import new_pair, public_of
from ansible_collections.orchestrator.platform.plugins.module_utils._workloads import Obj

COMMAND_S = 60.0  # longest a command may take; arbitrary, somebody waits for it


class SourceError(Exception):
    """A source gives no value; the message is the predicate of a sentence, with its remedy."""


class Fetched(t.NamedTuple):
    """The values of one Secret, of which nothing may be shown, and what may be said."""

    values: dict[str, bytes]
    problems: list[str]
    warnings: list[str]
    made: frozenset[str] = frozenset()  # keys whose value was made up in this run


def fetch(wanted: Wanted, live: Obj | None) -> Fetched:
    """The values of all keys. Every key is looked at, so that all problems are told at once."""
    values: dict[str, bytes] = {}
    problems: list[str] = []
    warnings: list[str] = []
    made: set[str] = set()
    held = {} if rotates(wanted, live) else (live or {}).get("data") or {}
    # A public key is made from its private one, so that comes first.
    for key in sorted(wanted.keys, key=lambda key: key.source == "public_key_of"):
        name = f"{wanted.title}, key {key.name},"
        kept = key.keep and bool(held.get(key.name))
        if key.source == "public_key_of" and key.given not in values:
            continue  # what is wrong with its private key is told already
        try:
            value = normal(key.form, _kept(held[key.name]) if kept else _fetched(key, values))
        except SourceError as exc:
            problems.append(f"{name} {exc}")
            continue
        told = form_problem(key.form, value, f"{name} as the cluster holds it," if kept else name)
        if told:
            problems.append(told + (" A new rotation marker replaces it." if kept else ""))
            continue
        warnings += filter(None, [form_warning(key.form, value, name)])
        values[key.name] = value
        if key.source == "generate" and not kept:
            made.add(key.name)
    problems += _pair_problems(wanted, values)
    total = sum(len(value) for value in values.values())
    if total > MAX_BYTES:
        problems.append(f"{wanted.title} would hold {total} bytes, and a Secret holds {MAX_BYTES} at most: split it.")
    return Fetched(values, problems, warnings, frozenset(made))


def _pair_problems(wanted: Wanted, values: dict[str, bytes]) -> list[str]:
    """Public keys that belong to no private key of the same Secret, where there is one."""
    private = [key.name for key in wanted.keys if key.form == "ssh_private_key" and key.name in values]
    public = [key.name for key in wanted.keys if key.form == "ssh_public_key" and key.name in values]
    problems = []
    for name in public if private else []:
        found = [pair_problem(values[one], values[name], f"{wanted.title}, key {name},") for one in private]
        problems += found[:1] if all(found) else []
    return problems


def _fetched(key: Key, values: dict[str, bytes]) -> bytes:
    readers: dict[str, t.Callable[[t.Any], bytes]] = {
        "value": _text,
        "file": _file,
        "env": _environment,
        "command": _command,
        "generate": lambda kind: new_pair(kind)[0],
        "public_key_of": lambda other: public_of(values[other]).encode() + b"\n",
    }
    return readers[key.source](key.given)


def _kept(encoded: str) -> bytes:
    try:
        return base64.b64decode(encoded, validate=True)
    except binascii.Error as exc:
        raise SourceError("is held by the cluster in a form that is no base64: set a new rotation marker.") from exc


def _text(text: str) -> bytes:
    if not text:
        raise SourceError("is empty: give a value.")
    return text.encode()


def _file(path: str) -> bytes:
    try:
        if not stat.S_ISREG(Path(path).stat().st_mode):
            raise SourceError(f"is to come from {path}, which is no file.")
        with Path(path).open("rb") as stream:
            value = stream.read(MAX_BYTES + 1)
    except FileNotFoundError as exc:
        hint = " (each private key needs its public one beside it)" if path.endswith(".pub") else ""
        raise SourceError(f"is to come from the file {path}, which does not exist{hint}: correct the path.") from exc
    except OSError as exc:
        raise SourceError(f"is to come from the file {path}, which cannot be read ({exc.strerror}).") from exc
    if not value:
        raise SourceError(f"is to come from the file {path}, which is empty.")
    return value


def _environment(name: str) -> bytes:
    value = os.environ.get(name)
    if not value:
        state = "is not set" if value is None else "is empty"
        raise SourceError(f"is to come from the environment variable {name}, which {state}: set it where Ansible runs.")
    return os.fsencode(value)


def _command(argv: list[str]) -> bytes:
    program = argv[0]
    try:
        # What the user has written is what is to run: a program and its arguments, no shell, nothing to read from.
        done = subprocess.run(  # noqa: S603
            argv, stdin=subprocess.DEVNULL, capture_output=True, timeout=COMMAND_S, check=False
        )
    except subprocess.TimeoutExpired as exc:
        raise SourceError(f"is to come from {program}, which did not end within {COMMAND_S:g} s.") from exc
    except OSError as exc:
        raise SourceError(f"is to come from {program}, which cannot be run ({exc.strerror}).") from exc
    if done.returncode:
        raise SourceError(
            f"is to come from {program}, which ended with status {done.returncode}: run it by hand to see why."
        )
    value = done.stdout.removesuffix(b"\n").removesuffix(b"\r")
    if not value:
        raise SourceError(f"is to come from {program}, which printed nothing.")
    return value

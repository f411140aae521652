# SPDX-License-Identifier: GPL-3.0-or-later
# SPDX-FileCopyrightText: 2026 The orchestrator.platform authors
#
# Private to this collection: names and behaviour may change in any release.
"""What a task asks the module `secret` for, and what is wrong with that before a value or a cluster is seen. Pure."""

from __future__ import annotations

import re
import typing as t

from ansible_collections.orchestrator.platform.plugins.module_utils._errors import PlatformError
from ansible_collections.orchestrator.platform.plugins.module_utils._names import check_namespaces, check_object_name
from ansible_collections.orchestrator.platform.plugins.module_utils._workloads import Json, Obj

SOURCES = ("value", "file", "env", "command", "generate", "public_key_of")
# The API server's own rule for keys of Secrets and ConfigMaps (kubernetes.io, Secrets, "Constraints").
_KEY = re.compile(r"[-._a-zA-Z0-9]{1,253}")


class Key(t.NamedTuple):
    """One key of a Secret and where its value comes from."""

    name: str
    source: str  # one of SOURCES
    given: Json  # what stands there: the text, the path, the variable, the argv, the kind of pair, the other key
    form: str = "any"
    keep: bool = False  # a value that the cluster holds stays, until the rotation marker changes


class Wanted(t.NamedTuple):
    """One Secret; None leaves what the cluster holds, or at first takes the API's default."""

    namespace: str
    name: str
    keys: tuple[Key, ...] = ()
    type: str | None = None
    labels: tuple[tuple[str, str], ...] = ()
    annotations: tuple[tuple[str, str], ...] = ()
    immutable: bool | None = None
    prune: bool = True
    rotate: str | None = None

    @property
    def place(self) -> tuple[str, str]:
        """Namespace and name."""
        return self.namespace, self.name

    @property
    def title(self) -> str:
        """How sentences name it."""
        return f"Secret {self.namespace}/{self.name}"


class Asked(t.NamedTuple):
    """What can be gone on with, and a sentence for each thing wrong."""

    secrets: list[Wanted]
    problems: list[str]


def read_wanted(rows: list[Obj], namespace: str | None, *, present: bool) -> Asked:
    """The module's rows as Secrets; a row that something is wrong with is told of and left out."""
    secrets: list[Wanted] = []
    problems: list[str] = []
    for number, row in enumerate(rows):
        wanted = _secret(row, namespace)
        found = _name_problems(wanted, f"secrets[{number}]")
        if wanted.place in {other.place for other in secrets}:
            found.append(f"{wanted.title} is named twice: put all of its keys into one entry.")
        if present and not found:
            found = _key_problems(wanted, row["data"] or [])
        problems += found
        if not found:
            secrets.append(wanted)
    return Asked(secrets, problems)


def _secret(row: Obj, namespace: str | None) -> Wanted:
    return Wanted(
        namespace=row.get("namespace") or namespace or "",
        name=row["name"],
        keys=tuple(_key(one) for one in row.get("data") or []),
        type=row.get("type") or None,
        labels=_texts(row.get("labels")),
        annotations=_texts(row.get("annotations")),
        immutable=row.get("immutable"),
        prune=row.get("prune") is not False,
        rotate=row.get("rotate"),
    )


def _texts(pairs: Obj | None) -> tuple[tuple[str, str], ...]:
    return tuple((str(key), str(value)) for key, value in (pairs or {}).items())


def _given(one: Obj) -> list[str]:
    return [source for source in SOURCES if one.get(source) is not None]


def _key(one: Obj) -> Key:
    source = next(iter(_given(one)), "")
    form = one.get("form") or "any"
    if form == "any":
        form = {"generate": "ssh_private_key", "public_key_of": "ssh_public_key"}.get(source, "any")
    # What is made up anew at each run would otherwise never come to rest.
    return Key(one["key"], source, one.get(source), form, source == "generate" or bool(one.get("keep")))


def _name_problems(wanted: Wanted, where: str) -> list[str]:
    problems = []
    if not wanted.namespace:
        problems.append(f"{where} ({wanted.name}) has no namespace: give it one, or give one for all of the task.")
    try:
        if wanted.namespace:
            check_namespaces([wanted.namespace], f"{where}.namespace")
        check_object_name(wanted.name, f"{where}.name")
    except PlatformError as exc:
        problems.append(str(exc))
    return problems


def _key_problems(wanted: Wanted, rows: list[Obj]) -> list[str]:
    if not rows:
        return [f"{wanted.title} has no key: name at least one under data."]
    problems = []
    names = [key.name for key in wanted.keys]
    for key, row in zip(wanted.keys, rows, strict=True):
        where = f"{wanted.title}, key {key.name},"
        sources = _given(row)
        if not _KEY.fullmatch(key.name):
            problems.append(f"{where} is no name of a key: give letters, digits, dashes, dots and underscores.")
        if len(sources) != 1:
            named = " and ".join(sources) if sources else "none"
            problems.append(f"{where} needs one source and has {named}: give one of {', '.join(SOURCES)}.")
        elif key.source == "public_key_of" and (key.given not in names or key.given == key.name):
            problems.append(f"{where} is to be the public key of {key.given}, which is no other key of this Secret.")
        elif key.source == "command" and not key.given:
            problems.append(f"{where} has an empty command: give the program and its arguments as a list.")
    twice = sorted({name for name in names if names.count(name) > 1})
    return problems + [f"{wanted.title} names the key {name} twice: leave one out." for name in twice]

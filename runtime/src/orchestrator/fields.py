# SPDX-License-Identifier: GPL-3.0-or-later
# SPDX-FileCopyrightText: 2026 The orchestrator.platform authors
"""What a run may not say: the rules that the CRD's schema cannot hold. Pure.

A refused field is named, with a sentence that never holds its value.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, NamedTuple
from urllib.parse import urlsplit

if TYPE_CHECKING:
    from collections.abc import Iterator

    from orchestrator.kube import Obj

SERVICE = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,62}")  # the start script's own rule; a label's length
USER = re.compile(
    r"[A-Za-z0-9]([A-Za-z0-9-]{0,61}[A-Za-z0-9])?"
)  # GitHub allows 39; the name becomes part of a Secret's
VARIABLE = re.compile(r"[A-Za-z_][A-Za-z0-9_.-]*")
SECRET_NAME = re.compile(r"[a-z0-9]([a-z0-9.-]{0,251}[a-z0-9])?")
SECRET_KEY = re.compile(r"[A-Za-z0-9._-]{1,253}")
WEBHOOK = "DISCORD_WEBHOOK_URL"
INPUT = "BOT_INPUT_CREDENTIAL"  # with it the bridge asks the bot for what is said to its agent
SIDECARS_OWN = {WEBHOOK: "a webhook's URL", INPUT: "what opens an agent's input"}
# What the controller sets itself: a second entry of that name would win or lose by its place in a list.
OURS = ("GITHUB_TOKEN", "ANTHROPIC_API_KEY", "LOCAL_TOOLS", "REMOTE_TOOLS", "AGENT_RESULT_FILE", "CLAUDE_CONFIG_DIR")


class Refusal(NamedTuple):
    """A field of the spec, by its path, and why it cannot be honoured."""

    field: str
    sentence: str


def refusal(kind: str, spec: Obj) -> Refusal | None:
    """The first field that cannot be honoured, None when all can."""
    return next(_refusals(kind, spec), None)


def _refusals(kind: str, spec: Obj) -> Iterator[Refusal]:
    if not USER.fullmatch(spec["githubUser"]):
        yield Refusal("githubUser", "it becomes part of a Secret's name: use letters, digits and hyphens, 63 at most")
    if not spec["model"] or not _plain(spec["model"]) or " " in spec["model"]:
        yield Refusal("model", "give the model's full name, without spaces")
    yield from _addresses(spec, ["repositoryUrl", *(["docsRepositoryUrl"] if kind == "coderuns" else [])])
    for field in ("workingDirectory", "docsProjectDirectory"):
        folder = spec.get(field) or ""
        if folder.startswith("/") or ".." in folder.split("/") or not _plain(folder):
            yield Refusal(field, "give a folder inside the repository: relative, and without ..")
    for field in ("docsBranch", "sourceBranch"):
        branch = spec.get(field) or ""
        if branch.startswith("-") or not _plain(branch) or " " in branch:
            yield Refusal(field, "this is no name of a branch")
    if kind == "coderuns":
        yield from _code(spec)


def _code(spec: Obj) -> Iterator[Refusal]:
    if spec["taskId"] < 1:
        yield Refusal("taskId", "give a number from 1")
    if not SERVICE.fullmatch(spec["service"]):
        yield Refusal(
            "service", "use letters, digits, dots, hyphens and underscores, 63 at most, a letter or digit first"
        )
    for field in ("localTools", "remoteTools"):
        if not _plain(spec.get(field) or ""):
            yield Refusal(field, "give the names on one line, separated by commas")
    seen: set[str] = set()
    for name in spec.get("env") or {}:
        yield from _variable(f"env.{name}", name, seen)
        if name in SIDECARS_OWN:
            yield Refusal(f"env.{name}", f"{SIDECARS_OWN[name]} is a credential: name its Secret in envFromSecrets")
    for number, entry in enumerate(spec.get("envFromSecrets") or []):
        field = f"envFromSecrets[{number}]"
        yield from _variable(f"{field}.name", entry["name"], seen)
        if not SECRET_NAME.fullmatch(entry["secretName"]):
            yield Refusal(f"{field}.secretName", "this is no name of a Secret")
        if not SECRET_KEY.fullmatch(entry["secretKey"]):
            yield Refusal(f"{field}.secretKey", "this is no key of a Secret")


def _addresses(spec: Obj, names: list[str]) -> Iterator[Refusal]:
    for field in names:
        address = spec[field]
        if not address or address.startswith("-") or not _plain(address) or " " in address:
            yield Refusal(field, "this is no address of a git repository")
            continue
        try:
            password = urlsplit(address).password
        except ValueError:
            password = None
        if password is not None:
            yield Refusal(
                field,
                "the address holds a password, and everyone who may read the run could read it: use the user's Secrets",
            )


def _variable(field: str, name: str, seen: set[str]) -> Iterator[Refusal]:
    if not VARIABLE.fullmatch(name):
        yield Refusal(field, "this is no name of a variable")
    elif name in OURS:
        yield Refusal(field, f"the controller sets {name} itself")
    elif name in seen:
        yield Refusal(field, f"{name} is given twice")
    seen.add(name)


def _plain(text: str) -> bool:
    """No control characters: no line breaks above all."""
    return all(c >= " " and c != "\x7f" for c in text)

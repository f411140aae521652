# SPDX-License-Identifier: GPL-3.0-or-later
# SPDX-FileCopyrightText: 2026 The orchestrator.platform authors
"""Requests for runs: JSON with names in snake_case in, an object of the CRD out (OR-351). Pure.

Every refusal names the field, and never a value.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any, NamedTuple

from orchestrator.fields import refusal

if TYPE_CHECKING:
    from collections.abc import Mapping

    from orchestrator.kube import Obj

API_VERSION = "orchestrator.platform/v1"
MAX_TEXT = {"promptModification": 200_000}
MAX_ELSE = 2_048  # characters of any other text; arbitrary, longer than any address or folder
MAX_ENTRIES = 100  # variables of a run


class BadField(Exception):  # noqa: N818 - what a caller of the API did
    """A field of the request; its name, and a sentence."""

    def __init__(self, field: str, sentence: str) -> None:
        super().__init__(sentence)
        self.field = field


class Field(NamedTuple):
    """A field of the request: its name in the CRD, its type, and whether it has to be there."""

    name: str
    type: type
    required: bool = False


CODE_FIELDS = {
    "task_id": Field("taskId", int, required=True),
    "service": Field("service", str, required=True),
    "repository_url": Field("repositoryUrl", str, required=True),
    "docs_repository_url": Field("docsRepositoryUrl", str, required=True),
    "docs_project_directory": Field("docsProjectDirectory", str),
    "docs_branch": Field("docsBranch", str),
    "working_directory": Field("workingDirectory", str),
    "model": Field("model", str),
    "github_user": Field("githubUser", str, required=True),
    "local_tools": Field("localTools", str),
    "remote_tools": Field("remoteTools", str),
    "context_version": Field("contextVersion", int),
    "prompt_modification": Field("promptModification", str),
    "continue_session": Field("continueSession", bool),
    "overwrite_memory": Field("overwriteMemory", bool),
    "env": Field("env", dict),
    "env_from_secrets": Field("envFromSecrets", list),
}
DOCS_FIELDS = {
    "repository_url": Field("repositoryUrl", str, required=True),
    "working_directory": Field("workingDirectory", str, required=True),
    "source_branch": Field("sourceBranch", str, required=True),
    "model": Field("model", str),
    "github_user": Field("githubUser", str, required=True),
}
FIELDS = {"coderuns": CODE_FIELDS, "docsruns": DOCS_FIELDS}
KINDS = {"coderuns": "CodeRun", "docsruns": "DocsRun"}
TYPES = {str: "a text", int: "a whole number", bool: "true or false", dict: "an object of texts", list: "a list"}
SECRET_ENTRY = {"name": "name", "secret_name": "secretName", "secret_key": "secretKey"}


def read_spec(kind: str, body: bytes, default_model: str) -> Obj:
    """The spec of a run from a request's body; raises BadField."""
    try:
        given = json.loads(body)
    except (ValueError, RecursionError):
        raise BadField("", "the body is no JSON") from None
    if not isinstance(given, dict):
        raise BadField("", "the body is no JSON object")
    fields = FIELDS[kind]
    unknown = next((name for name in given if name not in fields), None)
    if unknown is not None:
        raise BadField(unknown[:100], f"there is no such field; there are {', '.join(fields)}")
    spec: Obj = {}
    for name, field in fields.items():
        value = given.get(name)
        if value is None or value == "":
            if field.required:
                raise BadField(name, "it is required")
            continue
        spec[field.name] = _checked(name, field, value)
    spec.setdefault("model", default_model)
    refused = refusal(kind, spec)
    if refused is not None:
        raise BadField(_snake(kind, refused.field), refused.sentence)
    return spec


def _checked(name: str, field: Field, value: object) -> object:
    if not isinstance(value, field.type) or (field.type is int and isinstance(value, bool)):
        raise BadField(name, f"give {TYPES[field.type]}")
    if isinstance(value, int) and not isinstance(value, bool) and not 1 <= value < 2**63:
        raise BadField(name, "give a number from 1")
    if isinstance(value, str) and len(value) > MAX_TEXT.get(field.name, MAX_ELSE):
        raise BadField(name, f"it is longer than {MAX_TEXT.get(field.name, MAX_ELSE)} characters")
    if isinstance(value, dict):
        return _environment(name, value)
    return _references(name, value) if isinstance(value, list) else value


def _environment(name: str, value: Mapping[str, object]) -> dict[str, str]:
    if len(value) > MAX_ENTRIES:
        raise BadField(name, f"it has more than {MAX_ENTRIES} entries")
    for variable, text in value.items():
        if not isinstance(text, str) or len(text) > MAX_ELSE:
            raise BadField(f"{name}.{variable[:100]}", f"give a text of {MAX_ELSE} characters at most")
    return {variable: str(text) for variable, text in value.items()}


def _references(name: str, value: list[Any]) -> list[Obj]:
    if len(value) > MAX_ENTRIES:
        raise BadField(name, f"it has more than {MAX_ENTRIES} entries")
    for number, entry in enumerate(value):
        if (
            not isinstance(entry, dict)
            or set(entry) != set(SECRET_ENTRY)
            or not all(isinstance(v, str) for v in entry.values())
        ):
            raise BadField(f"{name}[{number}]", f"give an object of the texts {', '.join(SECRET_ENTRY)}")
    return [{SECRET_ENTRY[key]: text for key, text in entry.items()} for entry in value]


def _snake(kind: str, path: str) -> str:
    """The path of a refused field as the request calls it."""
    top, mark, rest = path.replace("[", ".[", 1).partition(".")
    names = {field.name: name for name, field in FIELDS[kind].items()}
    for snake, camel in SECRET_ENTRY.items():
        rest = rest.replace(f".{camel}", f".{snake}")
    return names.get(top, top) + (rest if rest.startswith("[") else mark + rest)


def new_run(kind: str, spec: Obj, *, namespace: str, at: int) -> Obj:
    """OR-352: the object to be made at a time in seconds."""
    name = f"code-{spec['taskId']}-{at}" if kind == "coderuns" else f"docs-gen-{at}"
    return {
        "apiVersion": API_VERSION,
        "kind": KINDS[kind],
        "metadata": {"name": name, "namespace": namespace},
        "spec": spec,
    }


def same_spec(kind: str, run: Obj, spec: Obj) -> bool:
    """Whether a run asks for the same; what the API server fills in by itself does not count."""
    filled = {"docsBranch": "main", "contextVersion": 1, "continueSession": False, "overwriteMemory": False}
    defaults = filled if kind == "coderuns" else {}
    return bool({**defaults, **run["spec"]} == {**defaults, **spec})


def view(kind: str, run: Obj) -> Obj:
    """What the API tells of a run."""
    status = run.get("status") or {}
    names = {
        "phase": "phase", "message": "message", "job_name": "jobName", "configmap_name": "configmapName",
        "pull_request_url": "pullRequestUrl", "session_id": "sessionId", "retry_count": "retryCount",
        "context_version": "contextVersion", "work_completed": "workCompleted", "last_update": "lastUpdate",
    }  # fmt: skip
    meta = run["metadata"]
    found = {"name": meta["name"], "namespace": meta["namespace"], "kind": KINDS[kind], "phase": "Pending"}
    found |= {snake: status[camel] for snake, camel in names.items() if camel in status}
    return found | {"conditions": status.get("conditions") or []}

# SPDX-License-Identifier: GPL-3.0-or-later
# SPDX-FileCopyrightText: 2026 The orchestrator.platform authors
"""Turns agents into the Secrets that their runs read: an SSH key pair and a GitHub token each."""

from __future__ import annotations

import os.path
import typing as t
from collections.abc import Mapping

from ansible.errors import AnsibleFilterError
from ansible_collections.orchestrator.platform.plugins.module_utils._errors import PlatformError
from ansible_collections.orchestrator.platform.plugins.module_utils._names import check_object_name

Row = dict[str, t.Any]

COMPONENT = {"app.kubernetes.io/component": "agent-credentials"}
# Field of an agent -> source of module `secret`.
PRIVATE = {
    "ssh_private_key": "value",
    "ssh_private_key_file": "file",
    "ssh_private_key_env": "env",
    "ssh_private_key_command": "command",
    "generate": "generate",
}
PUBLIC = {"ssh_public_key": "value", "ssh_public_key_file": "file"}
TOKEN = {"token": "value", "token_file": "file", "token_env": "env", "token_command": "command"}
_NAME = "user, the GitHub user as the CodeRun names it in spec.githubUser"


def agent_secrets(agents: object, namespace: str, present: bool = True) -> dict[str, list[t.Any]]:  # noqa: FBT001, FBT002 - called from Jinja
    """Return `secrets` for the module of that name, and a sentence in `problems` for each agent that is none.

    `namespace` is that of the agents which name none. Without `present` both Secrets of each agent are named, for their
    removal. Raises AnsibleFilterError where the input is no list of mappings; the sentences hold no value.
    """
    if not isinstance(agents, list) or not all(isinstance(agent, Mapping) for agent in agents):
        message = "agent_secrets: the agents are a list of mappings, each with a user."
        raise AnsibleFilterError(message)
    secrets: list[Row] = []
    problems: list[str] = []
    for number, agent in enumerate(agents):
        user = agent.get("user")
        told = _user_problem(user, f"secrets_agents[{number}]")
        if told:
            problems.append(told)
            continue
        if present:
            problems += _agent_problems(user, agent)
        place = {"namespace": agent.get("namespace") or namespace, "labels": COMPONENT}
        secrets += [{**place, **row} for row in _rows(user, agent, present=present)]
    return {"secrets": secrets, "problems": problems}


def _user_problem(user: object, where: str) -> str:
    if not isinstance(user, str) or not user:
        return f"{where} names no user: give {_NAME}."
    small = user.lower()
    try:
        check_object_name(f"github-token-{small}", where)
    except PlatformError:
        return (
            f"{where} has the user {user!r}, after whom no Secret can be named: small letters, digits and dashes are "
            f"possible, and a letter or digit at the end. Give {_NAME}."
        )
    if user == small:
        return ""
    return (
        f"{where} has the user {user!r}, and the name of a Secret has no capital letters: write {small}, here and in "
        "spec.githubUser of the runs. GitHub takes both for the same account."
    )


def _agent_problems(user: str, agent: Row) -> list[str]:
    private, public, token = (_given(agent, fields) for fields in (PRIVATE, PUBLIC, TOKEN))
    problems = []
    if not private and not public and not token:
        problems.append(
            f"Agent {user} has neither an SSH key nor a token: give one of {', '.join([*PRIVATE, *TOKEN])}."
        )
    if public and not private:
        problems.append(f"Agent {user} has a public key without its private one: give one of {', '.join(PRIVATE)}.")
    if public and "generate" in private:
        problems.append(f"Agent {user} has a public key beside generate: a new pair brings its own; leave one out.")
    for what, given in (("private keys", private), ("public keys", public), ("tokens", token)):
        if len(given) > 1:
            problems.append(f"Agent {user} has {len(given)} {what}, {' and '.join(given)}: give one.")
    return problems


def _given(agent: Row, fields: Mapping[str, str]) -> list[str]:
    # generate: false is the same as none.
    return [name for name in fields if agent.get(name) is not None and agent.get(name) is not False]


def _rows(user: str, agent: Row, *, present: bool) -> list[Row]:
    ssh: Row = {"name": f"github-ssh-{user}"}
    token: Row = {"name": f"github-token-{user}"}
    if not present:
        return [ssh, token]
    marker = {"rotate": str(agent["rotate"])} if agent.get("rotate") not in (None, "") else {}
    rows = []
    if _given(agent, PRIVATE):
        rows.append({**ssh, **marker, "data": _pair(agent)})
    if _given(agent, TOKEN):
        rows.append({**token, **marker, "data": [_key("token", agent, TOKEN, form="github_token")]})
    return rows


def _pair(agent: Row) -> list[Row]:
    private = _key("ssh-privatekey", agent, PRIVATE, form="ssh_private_key")
    public: Row = {"key": "ssh-publickey", "form": "ssh_public_key"}
    if _given(agent, PUBLIC):
        return [private, _key("ssh-publickey", agent, PUBLIC, form="ssh_public_key")]
    if "file" in private:
        return [private, {**public, "file": f"{private['file']}.pub"}]
    return [private, {**public, "public_key_of": "ssh-privatekey"}]


def _key(name: str, agent: Row, fields: Mapping[str, str], *, form: str) -> Row:
    field = _given(agent, fields)[0]
    value = agent[field]
    if fields[field] == "file":
        # Files are sought where the user stands, as shells do.
        value = os.path.abspath(os.path.expanduser(str(value)))  # noqa: PTH100, PTH111 - text in, text out
    if field == "generate":
        value = "ssh_ed25519"
    return {"key": name, fields[field]: value, "form": form}


class FilterModule:
    """The filter `orchestrator.platform.agent_secrets`."""

    def filters(self) -> dict[str, t.Callable[..., t.Any]]:
        """Map the name to the function."""
        return {"agent_secrets": agent_secrets}

# SPDX-License-Identifier: GPL-3.0-or-later
# SPDX-FileCopyrightText: 2026 The orchestrator.platform authors
"""Names and labels of what a run gets. Pure.

The same input always gives the same name, so that a repeated step finds its own.
"""

from __future__ import annotations

import hashlib
import re
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from orchestrator.kube import Obj

MAX_LABEL = 63  # characters; a Job's name becomes a label of its pods
MAX_NAME = 253

APP = "orchestrator"
CODE_COMPONENT, DOCS_COMPONENT = "code-runner", "docs-generator"
CHANNEL_COMPONENT = "run-channel"
RUN_ANNOTATION = "orchestrator.platform/run"  # <plural>/<name> on Job and pod
SELECTOR = f"app={APP},component in ({CODE_COMPONENT},{DOCS_COMPONENT})"


def dns(text: str, limit: int = MAX_NAME) -> str:
    """Lower case letters, digits and hyphens of a text, whatever else as hyphens."""
    return re.sub(r"[^a-z0-9-]", "-", text.lower())[:limit].strip("-")


def label(text: str) -> str:
    """A text as the value of a label: unfit characters as hyphens, 63 at most (OR-358)."""
    return re.sub(r"[^A-Za-z0-9._-]", "-", text)[:MAX_LABEL].strip("._-")


def job_name(run: Obj, kind: str, version: int) -> str:
    """OR-354. What is too long is cut in the middle: the ends tell one run and one attempt from all others."""
    meta = run["metadata"]
    first, end = ("code", f"-t{run['spec']['taskId']}-v{version}") if kind == "coderuns" else ("docs", "")
    end = f"-{dns(meta['uid'])[:8]}{end}"
    middle = dns(f"{meta['namespace']}-{meta['name']}", MAX_LABEL - len(first) - 1 - len(end))
    return f"{first}-{middle}{end}"


def files_names(run: Obj, kind: str, version: int) -> tuple[str, str]:
    """OR-355: the ConfigMap's name, and the one to take where another run of the same task has that."""
    meta, spec = run["metadata"], run["spec"]
    uid = dns(meta["uid"])[:8]
    if kind == "coderuns":
        end = f"-task{spec['taskId']}-v{version}"
        service = dns(spec["service"], MAX_NAME - len(end) - len("--files") - len(uid))
        return f"{service}{end}-files", f"{service}{end}-{uid}-files"
    name = f"docs-{dns(meta['namespace'] + '-' + meta['name'], 200)}-{uid}-v1-files"
    return name, name


def claim_name(service: str) -> str:
    """OR-295, OR-356. Services that differ only in case or punctuation share a claim, and wait for each other."""
    return f"workspace-{dns(service, MAX_NAME - len('workspace-'))}"


def ssh_secret(user: str) -> str:
    """OR-276, OR-A47: names of Secrets have no capital letters."""
    return f"github-ssh-{user.lower()}"


def token_secret(user: str) -> str:
    """OR-276, OR-A47."""
    return f"github-token-{user.lower()}"


def channel_secret(run: Obj, kind: str) -> str:
    """The Secret with the run's own webhook; all of them begin with discord-run-, which role verify knows."""
    meta = run["metadata"]
    first, end = "code" if kind == "coderuns" else "docs", dns(meta["uid"])[:8]
    return f"discord-run-{first}-{dns(meta['name'], 200)}-{end}"


def run_path(namespace: str, kind: str, name: str) -> str:
    """A run's name at the bot, which knows no kinds; one made anew under its name goes on in the same channel."""
    first = f"{kind.removesuffix('s')}."
    room = MAX_NAME - len(first)
    if len(name) > room:
        digest = hashlib.sha256(name.encode()).hexdigest()[:8]
        name = f"{name[: room - 9].rstrip('.-')}-{digest}"
    return f"{namespace}/{first}{name}"


def labels(run: Obj, kind: str, version: int) -> dict[str, str]:
    """OR-358."""
    spec = run["spec"]
    found = {
        "app": APP,
        "component": CODE_COMPONENT if kind == "coderuns" else DOCS_COMPONENT,
        "github-user": label(spec["githubUser"]),
        "context-version": str(version),
        "task-type": "code" if kind == "coderuns" else "docs",
    }
    if kind == "coderuns":
        return found | {"task-id": str(spec["taskId"]), "service": label(spec["service"])}
    address = re.sub(r"^[a-z+]+://([^/@]*@)?|^[^/@]*@", "", spec["repositoryUrl"])
    return found | {"repository": label(address.removesuffix(".git"))}


def owner(run: Obj) -> Obj:
    """The reference by which the garbage collector removes what belongs to a run."""
    meta = run["metadata"]
    return {
        "apiVersion": run["apiVersion"],
        "kind": run["kind"],
        "name": meta["name"],
        "uid": meta["uid"],
        "controller": True,
        "blockOwnerDeletion": True,
    }


def belongs_to(obj: Obj, run: Obj) -> bool:
    """Whether the run is the owner; a name alone proves nothing."""
    references = obj["metadata"].get("ownerReferences") or []
    return any(reference["uid"] == run["metadata"]["uid"] for reference in references)

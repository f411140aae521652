# SPDX-License-Identifier: GPL-3.0-or-later
# SPDX-FileCopyrightText: 2026 The orchestrator.platform authors
#
# Private to this collection: names and behaviour may change in any release.
"""The secret-scope matrix: subject x Secret x path, what is expected beside what was found. Pure; names only."""

from __future__ import annotations

import typing as t
from collections.abc import Iterator

from ansible_collections.orchestrator.platform.plugins.module_utils._checks_rbac import may_read, show_grant
from ansible_collections.orchestrator.platform.plugins.module_utils._findings import NO_AGENTS_NAMED, Subject, subject
from ansible_collections.orchestrator.platform.plugins.module_utils._rbac import SECRET_READS, Right, Who
from ansible_collections.orchestrator.platform.plugins.module_utils._secret_paths import SecretPath
from ansible_collections.orchestrator.platform.plugins.module_utils._snapshot import (
    ACCOUNT_ANNOTATION,
    ACCOUNT_TOKEN_TYPE,
    Bearer,
    Chosen,
    UnreadableError,
    View,
    account_of,
)
from ansible_collections.orchestrator.platform.plugins.module_utils._workloads import (
    KINDS,
    WORKLOADS,
    Obj,
    annotation,
    containers_of,
    dig,
)


class Row(t.TypedDict):
    """One cell. `path` is "" for a container beside a holder that has no way to the Secret itself."""

    subject: Subject
    secret: str  # namespace/name
    path: str
    via: str
    expected: bool
    found: bool


_ACCOUNT_MOUNT = "/var/run/secrets/kubernetes.io/serviceaccount"
# What rows are made of. Roles are not among it: who may do what is the API server's answer to reviews.
_SOURCES = (*(KINDS[name].plural for name in WORKLOADS), "pods", "secrets", "serviceaccounts", "reviews")


def matrix(view: View) -> list[Row]:
    """All rows, sorted by subject; what could not be read has none, and the findings say why.

    A pod's rows are left out where its workload has the same: they would only repeat it.
    """
    rows: list[Row] = []
    for namespace in view.expect.namespaces():
        try:
            rows += _without_repeats(view, namespace)
        except UnreadableError:
            continue
    rows += _accounts(view)
    return sorted(rows, key=lambda row: (*(str(part) for part in row["subject"].values()), row["secret"], row["path"]))


def gaps(view: View) -> list[str]:
    """Why rows may be missing, one sentence each: whoever says that nothing deviates has to say this too."""
    found = {
        why
        for (resource, _namespace), why in view.snapshot.unread.items()
        # Which workloads a selector takes in decides on what their containers are expected to read.
        if resource in _SOURCES or resource.startswith(Chosen.__name__ + "(")
    }
    return sorted(found if view.expect.agent_namespaces else {*found, NO_AGENTS_NAMED})


def _without_repeats(view: View, namespace: str) -> list[Row]:
    """A pod's rows come after those of its workload, and only where they differ; two ways of one kind are one row."""
    rows: list[Row] = []
    known: dict[tuple[str, ...], Row] = {}
    for bearer, paths in view.paths(namespace):
        home = view.home(bearer) if bearer.kind == "Pod" else (bearer.kind, bearer.name)
        for row in _of_bearer(view, bearer, paths):
            key = (*home, row["subject"]["container"], row["secret"], row["path"], str(row["found"]))
            first = known.setdefault(key, row)
            if first is row:
                rows.append(row)
            elif first["subject"] == row["subject"]:
                first["via"] += f"; {row['via']}"
    return rows


def _of_bearer(view: View, bearer: Bearer, paths: list[SecretPath]) -> Iterator[Row]:
    wrong = set(view.unexpected(bearer))
    found = [item for item in paths if view.our_secret(bearer.namespace, item.secret) is not None]
    wanted = [
        SecretPath(path, container, secret, where="not there")
        for path, container, secret in sorted(view.required_paths(bearer))
    ]
    there = {(item.path, item.container, item.secret) for item in found}
    for item in found:
        yield _row(bearer, item, expected=item not in wrong, found=True)
    for item in wanted:
        if (item.path, item.container, item.secret) not in there:
            yield _row(bearer, item, expected=True, found=False)
    taken = {(item.container, item.secret) for item in (*found, *wanted)}
    for secret in sorted({item.secret for item in found}):
        for _place, container in containers_of(bearer.spec):
            if (container.get("name", ""), secret) not in taken:
                item = SecretPath("", container.get("name", ""), secret, "")
                yield _row(bearer, item, expected=False, found=False)
    yield from _by_token(view, bearer, paths)


def _row(bearer: Bearer, item: SecretPath, *, expected: bool, found: bool, namespace: str = "") -> Row:
    """`namespace` is that of the Secret where it is not the pod's."""
    return {
        "subject": subject(bearer.kind, bearer.namespace, bearer.name, item.container),
        "secret": f"{namespace or bearer.namespace}/{item.secret}",
        "path": item.path,
        "via": item.where,
        "expected": expected,
        "found": found,
    }


def _by_token(view: View, bearer: Bearer, paths: list[SecretPath]) -> Iterator[Row]:
    """Containers with an API token, their own or one from a Secret, of an account that may read one of our Secrets."""
    account = Who("ServiceAccount", bearer.namespace, account_of(bearer.spec))
    held = [
        (container.get("name", ""), account, f"ServiceAccount {account.name}")
        for container in _token_holders(view, bearer, account)
    ]
    for item in (direct for direct in paths if not direct.holder):
        owner = _token_owner(view, bearer.namespace, item.secret)
        if owner:
            whose = Who("ServiceAccount", bearer.namespace, owner)
            held.append((item.container, whose, f"Secret {item.secret}, token of ServiceAccount {owner}"))
    for container, who, via in held:
        for namespace in view.expect.namespaces():
            for secret in _readable(view, who, namespace):
                expected = may_read(view, who, namespace, secret)
                item = SecretPath("api-token", container, secret, via)
                yield _row(bearer, item, expected=expected, found=True, namespace=namespace)


def _token_owner(view: View, namespace: str, secret: str) -> str:
    """The account whose token that never expires is in this Secret, "" when it is no such Secret or not readable."""
    try:
        found = view.find("secrets", namespace, secret)
    except UnreadableError:
        return ""
    is_token = found is not None and found.get("type") == ACCOUNT_TOKEN_TYPE
    return (annotation(found, ACCOUNT_ANNOTATION) or "") if is_token else ""


def _token_holders(view: View, bearer: Bearer, account: Who) -> Iterator[Obj]:
    tokens = {
        volume.get("name")
        for volume in bearer.spec.get("volumes") or []
        if any(source.get("serviceAccountToken") for source in dig(volume, "projected", "sources") or [])
    }
    automount = bearer.spec.get("automountServiceAccountToken")
    if automount is None:
        accounts = view.snapshot.objects.get(("serviceaccounts", bearer.namespace), [])
        live = next((item for item in accounts if item["metadata"]["name"] == account.name), None)
        automount = (live or {}).get("automountServiceAccountToken")
    for _place, container in containers_of(bearer.spec):
        mounts = container.get("volumeMounts") or []
        closed = any(mount.get("mountPath") == _ACCOUNT_MOUNT for mount in mounts)
        by_itself = bearer.kind != "Pod" and automount is not False and not closed
        if by_itself or any(mount.get("name") in tokens for mount in mounts):
            yield container


def _readable(view: View, account: Who, namespace: str) -> list[str]:
    if namespace not in view.access.wanted:
        return []
    return [
        name
        for name in view.our_secrets(namespace)
        if any(view.access.may(account, Right(verb, "", "secrets", "", namespace, name)) for verb in SECRET_READS)
    ]


def _accounts(view: View) -> Iterator[Row]:
    for who in view.access.subjects:
        for namespace in view.access.wanted:
            for (check, right), grant in view.access.granted(who, namespace).items():
                if check == "rbac/read-secrets":
                    yield {
                        "subject": subject(who.kind, who.namespace, who.name),
                        "secret": f"{namespace}/{right.name}",
                        "path": f"api-{right.verb}",
                        "via": show_grant(grant),
                        "expected": may_read(view, who, namespace, right.name),
                        "found": True,
                    }

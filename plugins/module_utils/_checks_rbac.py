# SPDX-License-Identifier: GPL-3.0-or-later
# SPDX-FileCopyrightText: 2026 The orchestrator.platform authors
#
# Private to this collection: names and behaviour may change in any release.
"""Family rbac: who gets at our Secrets through the Kubernetes API, directly or by one more step. Pure."""

from __future__ import annotations

import fnmatch
from collections.abc import Iterator

from ansible_collections.orchestrator.platform.plugins.module_utils._expectation import Allowed
from ansible_collections.orchestrator.platform.plugins.module_utils._findings import (
    Catalogue,
    Result,
    Subject,
    failed,
    passed,
    subject,
    unreadable,
)
from ansible_collections.orchestrator.platform.plugins.module_utils._rbac import ACCOUNTS, Grant, Right, Who
from ansible_collections.orchestrator.platform.plugins.module_utils._snapshot import View

CATALOGUE = Catalogue()
check = CATALOGUE.add

_LISTS = ("clusterroles", "clusterrolebindings", "roles", "rolebindings", "serviceaccounts", "reviews")
# our_secrets() reads the workloads, for Secrets chosen by annotation; accounts in use are read from the pods.
_NEEDS = (*_LISTS, "deployments", "statefulsets", "daemonsets", "cronjobs", "jobs", "pods", "configmaps", "secrets")
_DECIDED = (
    "The API server's access reviews for every ServiceAccount of the namespaces in view, and for the groups that all "
    "of them are in; accounts with the same bindings are asked for once. A right that a role limits to resourceNames "
    "is asked for by these names. rbac_allowed names expected ones."
)
# Kubernetes' own, and the groups that are meant to administer a cluster.
_EXPECTED = (Allowed("kube-system/*"), Allowed(f"group:{ACCOUNTS}:kube-system"), Allowed("group:system:masters"))
_SYSTEM = ("system:", "kubeadm:")


def _show(who: Who) -> Subject:
    return subject(who.kind, who.namespace, who.name)


def show_grant(grant: Grant | None) -> str:
    """The binding, or that it is none."""
    return str(grant) if grant is not None else "an authorizer other than RBAC, or a binding that could not be read"


def is_allowed(view: View, who: Who, check_id: str, namespace: str = "") -> bool:
    """Whether the user, or we, expect this subject to have such rights: in a namespace, or without one everywhere."""
    name = f"{who.namespace}/{who.name}" if who.kind == "ServiceAccount" else f"{who.kind.lower()}:{who.name}"
    return any(
        fnmatch.fnmatchcase(name, item.subject)
        and (not item.checks or check_id in item.checks)
        and (not item.namespaces or namespace in item.namespaces)
        for item in (*_EXPECTED, *view.expect.rbac_allowed)
    )


def may_read(view: View, who: Who, namespace: str, name: str) -> bool:
    """Whether the subject is meant to read this Secret through the API."""
    ours = view.our_secret(namespace, name)
    account = f"{who.namespace}/{who.name}" if who.kind == "ServiceAccount" else ""
    named = account and ours is not None and any(fnmatch.fnmatchcase(account, item) for item in ours.accounts)
    return bool(named) or is_allowed(view, who, "rbac/read-secrets", namespace)


def _undecided(view: View) -> str:
    """Why nothing can be said: neither the API server decides for us, nor are the objects known."""
    if view.access.by_objects or view.snapshot.reviews:
        return ""
    return view.snapshot.unread.get(("reviews", ""), "roles and bindings could not be read")


def _rights(view: View, check_id: str) -> Iterator[Result]:
    why = _undecided(view)
    if why:
        yield unreadable(subject("Cluster"), why)
        return
    for who in view.access.subjects:
        lines: dict[tuple[str, str], list[Right]] = {}
        expected = False
        for namespace in view.access.wanted:
            for (check_of, right), grant in view.access.granted(who, namespace).items():
                if check_of != check_id or _is_meant(view, who, right):
                    continue
                if is_allowed(view, who, check_id, namespace):
                    expected = True
                else:
                    lines.setdefault((namespace, show_grant(grant)), []).append(right)
        open_rights = view.access.undecided(who, check_id)
        if not lines and open_rights and not is_allowed(view, who, check_id):
            yield unreadable(_show(who), f"{open_rights} access reviews have no answer, and no objects to decide by")
        elif not lines:
            yield passed(_show(who), "expected" if expected else "")
        else:
            yield failed(_show(who), "; ".join(_line(*key, rights) for key, rights in lines.items()))
    yield from _unseen(view, check_id)


def _unseen(view: View, check_id: str) -> Iterator[Result]:
    """What kept the picture from being whole: without it a pass would claim more than was looked at."""
    unread = view.snapshot.unread
    for namespace in view.access.wanted:
        reason = unread.get(("serviceaccounts", namespace))
        if reason is not None:
            where = subject("Namespace", namespace, namespace)
            yield unreadable(where, f"{reason}: only accounts that pods use, and default, were looked at")
    patterns = {item.namespace for item in view.described if item.is_pattern}
    for namespace in sorted(patterns) if check_id == "rbac/read-secrets" else ():
        reason = unread.get(("secrets", namespace))
        if reason is not None:
            where = subject("Namespace", namespace, namespace)
            yield unreadable(where, f"{reason}: those that a pattern stands for were not asked for")
    if ("reviews", "") in unread:
        yield unreadable(subject("Cluster"), f"{unread[('reviews', '')]}; roles and bindings alone decided there")
    if not view.access.by_objects:
        reason = "roles or bindings could not be read, so what they limit to single names was not asked for"
        yield unreadable(subject("Cluster"), reason)


def _is_meant(view: View, who: Who, right: Right) -> bool:
    is_of_ours = right.resource == "secrets" and right.name
    return bool(is_of_ours) and may_read(view, who, right.namespace, right.name)


def _line(namespace: str, grant: str, rights: list[Right]) -> str:
    verbs: dict[str, list[str]] = {}
    for right in rights:
        verb, _space, what = str(right).partition(" ")
        verbs.setdefault(what, []).append(verb)
    shown = ", ".join(f"{'/'.join(names)} {what}" for what, names in verbs.items())
    return f"{shown} in {namespace or 'the whole cluster'}, by {grant}"


@check(
    "rbac/read-secrets",
    title="No ServiceAccount may read our Secrets",
    scope="cluster",
    needs=_NEEDS,
    protects="the bot token or a webhook URL read through the API by whatever runs with that account",
    decided="get, list, watch, patch and deletecollection on each of our Secrets by name; each of them answers with "
    "the values, an empty patch and a deletion by dry run too. system:anonymous is asked for as well. " + _DECIDED,
    mend="Take secrets out of the role, or limit it by resourceNames to other Secrets.",
)
def read_secrets(view: View, _namespace: str) -> Iterator[Result]:
    """Direct reading."""
    return _rights(view, "rbac/read-secrets")


@check(
    "rbac/create-pods",
    title="No ServiceAccount may make or change pods where our Secrets are",
    scope="cluster",
    needs=_NEEDS,
    protects="the same Secrets: a pod may name any Secret of its namespace, and so may whoever makes pods",
    decided="create, update and patch on pods and on every kind that makes pods, CodeRun and DocsRun of the "
    "orchestrator among them. " + _DECIDED,
    mend="Give the account a namespace of its own, or name it in rbac_allowed if it deploys agents; "
    "enforcement.mode of the chart then closes what is left.",
)
def create_pods(view: View, _namespace: str) -> Iterator[Result]:
    """One step: a pod that reads."""
    return _rights(view, "rbac/create-pods")


@check(
    "rbac/exec",
    title="No ServiceAccount may run commands in our pods",
    scope="cluster",
    needs=_NEEDS,
    protects="the environment of a running watcher or bot, which any command in it can print",
    decided="create and get on pods/exec and pods/attach, and changing pods/ephemeralcontainers. " + _DECIDED,
    mend="Take these subresources out of the role.",
)
def exec_in_pods(view: View, _namespace: str) -> Iterator[Result]:
    """One step: a command in a container that holds the Secret."""
    return _rights(view, "rbac/exec")


@check(
    "rbac/impersonate",
    title="No ServiceAccount may act as somebody else",
    scope="cluster",
    needs=_NEEDS,
    protects="every right of every other user, cluster administrators included",
    decided="impersonate on users and groups of the cluster and on serviceaccounts of each namespace, in its "
    "constrained form too (impersonate:user-info, impersonate:serviceaccount, impersonate:arbitrary-node), and approve "
    "on the signers of client certificates. " + _DECIDED,
    mend="Take the verb impersonate, or approve on these signers, out of the role.",
)
def impersonate(view: View, _namespace: str) -> Iterator[Result]:
    """One step: another identity."""
    return _rights(view, "rbac/impersonate")


@check(
    "rbac/escalate",
    title="No ServiceAccount may give itself rights it lacks",
    scope="cluster",
    needs=_NEEDS,
    protects="every other check of this family: bind and escalate lift the limit that RBAC puts on granting",
    decided="bind and escalate on roles of each namespace and on clusterroles. " + _DECIDED,
    mend="Take the verbs bind and escalate out of the role.",
)
def escalate(view: View, _namespace: str) -> Iterator[Result]:
    """One step: a role of its own making."""
    return _rights(view, "rbac/escalate")


@check(
    "rbac/admission",
    title="No ServiceAccount may change what the API server asks before it writes",
    scope="cluster",
    needs=_NEEDS,
    protects="every Secret and pod that is written: a webhook sees and changes them, and without its policy nothing is "
    "enforced",
    decided="create, update and patch on mutating and validating webhook configurations and on mutating policies; "
    "update, patch and delete on validating policies and their bindings. " + _DECIDED,
    mend="Take the API group admissionregistration.k8s.io out of the role.",
)
def admission(view: View, _namespace: str) -> Iterator[Result]:
    """One step: a look at every write, or none at all any more."""
    return _rights(view, "rbac/admission")


@check(
    "rbac/wildcard",
    title="No ServiceAccount may do everything",
    scope="cluster",
    needs=_NEEDS,
    protects="rights that nobody has decided on, those of kinds and verbs still to come among them",
    decided="The verb * on the resource * of the API group *, in each namespace and in the cluster. " + _DECIDED,
    mend="Name verbs and resources in the role instead of *, and do not bind cluster-admin to an account.",
)
def wildcard(view: View, _namespace: str) -> Iterator[Result]:
    """No step at all."""
    return _rights(view, "rbac/wildcard")


@check(
    "rbac/token-request",
    title="No ServiceAccount may make tokens of another",
    scope="cluster",
    needs=_NEEDS,
    protects="the rights of every account of the namespace",
    decided="create on serviceaccounts/token in each namespace. " + _DECIDED,
    mend="Take serviceaccounts/token out of the role.",
)
def token_request(view: View, _namespace: str) -> Iterator[Result]:
    """One step: another account's token."""
    return _rights(view, "rbac/token-request")


@check(
    "rbac/node-proxy",
    title="No ServiceAccount may use the kubelet's API",
    scope="cluster",
    needs=_NEEDS,
    protects="every container of every node: nodes/proxy runs commands in them, unseen by admission and audit",
    decided="get and create on nodes/proxy; get is enough, since the kubelet takes commands over websockets. "
    + _DECIDED,
    mend="Give monitoring nodes/metrics and nodes/stats instead of nodes/proxy.",
)
def node_proxy(view: View, _namespace: str) -> Iterator[Result]:
    """One step: past the API server."""
    return _rights(view, "rbac/node-proxy")


@check(
    "rbac/review-agrees",
    title="The API server's answers agree with the roles and bindings",
    scope="cluster",
    needs=_NEEDS,
    severity="warning",
    protects="rights that no RBAC object shows, and roles that somebody changes at this moment",
    decided="Each access review is compared with an evaluation of the Roles, ClusterRoles and bindings that were read.",
    mend="Look for another authorizer (--authorization-config of the API server, a cloud's IAM) and what it grants; "
    "run again if roles were being changed.",
)
def review_agrees(view: View, _namespace: str) -> Iterator[Result]:
    """Compare two deciders."""
    cluster, snapshot = subject("Cluster"), view.snapshot
    reason = snapshot.unread.get(("reviews", ""))
    if reason is not None:
        yield unreadable(cluster, reason)
        return
    if not view.access.by_objects:
        yield unreadable(cluster, "roles or bindings could not be read, so there is nothing to compare with")
        return
    differing: dict[Who, list[str]] = {}
    for who, right, answer, grant in view.access.disagreements():
        text = f"{right} in {right.namespace or 'the cluster'}: the API server says {'yes' if answer else 'no'}"
        differing.setdefault(who, []).append(f"{text}, the objects say {'no' if answer else f'yes ({grant})'}")
    for who, lines in differing.items():
        yield failed(_show(who), "; ".join(lines))
    if not differing:
        yield passed(cluster, f"{len(snapshot.reviews)} reviews")


@check(
    "rbac/other-readers",
    title="Nobody outside the platform may read our Secrets, or get at them by one more step",
    scope="cluster",
    needs=_NEEDS,
    severity="info",
    protects="the surprise that a backup tool, an operator or a team can read them; often rightly so",
    decided="Every user, group and ServiceAccount that a binding names, outside the namespaces in view, evaluated from "
    "the objects: who may read, and who has one of the other rights of this family by a binding in such a namespace. "
    "Kubernetes' own and groups that are cluster-admin are left out.",
    mend="Narrow the role, or name the subject in rbac_allowed: user:NAME, group:NAME or namespace/name.",
)
def other_readers(view: View, _namespace: str) -> Iterator[Result]:
    """Everybody whom the bindings name."""
    if not view.access.by_objects:
        yield unreadable(subject("Cluster"), "roles or bindings could not be read")
        return
    known, found = set(view.access.subjects), False
    for who in view.access.roles.subjects():
        if who in known or _is_kubernetes(who) or is_allowed(view, who, "rbac/other-readers"):
            continue
        if who.kind == "ServiceAccount" and who.namespace in view.expect.namespaces():
            continue  # named by a binding and not there
        lines = list(dict.fromkeys((*_reads(view, who), *_steps(view, who))))
        if lines:
            found = True
            yield failed(_show(who), "; ".join(lines))
    if not found:
        yield passed(subject("Cluster"))


def _is_kubernetes(who: Who) -> bool:
    # All accounts of a namespace are somebody's, for all that their group's name begins alike.
    return who.name.startswith(_SYSTEM) and not who.name.startswith(ACCOUNTS)


def _steps(view: View, who: Who) -> Iterator[str]:
    """What a binding in a namespace in view gives beside; of the cluster's own bindings only the reading is told."""
    for namespace, checks in view.access.wanted.items():
        steps = [right for check_id, rights in checks.items() if check_id != "rbac/read-secrets" for right in rights]
        for grant in view.access.roles.grants(who, namespace):
            allowed = [right for right in steps if grant.namespace and grant.allows(right)]
            if allowed:
                yield _line(namespace, str(grant), allowed)


def _reads(view: View, who: Who) -> Iterator[str]:
    for rights in view.access.wanted.values():
        for right in rights.get("rbac/read-secrets", []):
            grant = view.access.roles.granted_by(who, right)
            if may_read(view, who, right.namespace, right.name):
                continue
            if grant is not None and not (who.kind != "ServiceAccount" and grant.role == "ClusterRole cluster-admin"):
                yield f"reads {right.name} in {right.namespace}, by {grant}"

# SPDX-License-Identifier: GPL-3.0-or-later
# SPDX-FileCopyrightText: 2026 The orchestrator.platform authors
#
# Private to this collection: names and behaviour may change in any release.
"""Who may do what, by the RBAC objects of a cluster: an evaluation beside the API server's own. Pure.

It follows the API server's RBAC authorizer: bindings of a namespace and of the cluster, subresources, "*",
resourceNames, aggregated roles. Other authorizers (nodes, webhooks) are not RBAC: what only they allow is seen as a
difference from the API server's answer.
"""

from __future__ import annotations

import typing as t
from collections.abc import Iterable, Iterator, Mapping

from ansible_collections.orchestrator.platform.plugins.module_utils._rollout import selects
from ansible_collections.orchestrator.platform.plugins.module_utils._workloads import Obj, dig

GROUP = "rbac.authorization.k8s.io"
AUTHENTICATED = "system:authenticated"
UNAUTHENTICATED = "system:unauthenticated"
ANONYMOUS = "system:anonymous"
ACCOUNTS = "system:serviceaccounts"
_ACCOUNT_USER = "system:serviceaccount:"
# Verbs whose answer holds a Secret's values: that of patch is the whole object, that of deletecollection each one that
# was deleted, by a dry run too.
SECRET_READS = ("get", "list", "watch", "patch", "deletecollection")
# Names in the rules of one subject that the API server is asked about, for one right; arbitrary. A role that lists more
# is decided on by the objects alone, which have no such bound.
MAX_NAMES = 25


class Who(t.NamedTuple):
    """A subject; `namespace` only for a ServiceAccount."""

    kind: str  # ServiceAccount, Group, User
    namespace: str
    name: str

    @property
    def user(self) -> str:
        """The user name that the API server sees, "" for a group."""
        if self.kind == "ServiceAccount":
            return f"{_ACCOUNT_USER}{self.namespace}:{self.name}"
        return self.name if self.kind == "User" else ""

    @property
    def groups(self) -> tuple[str, ...]:
        """The groups that the API server puts it into; a group is in itself alone."""
        if self.kind == "ServiceAccount":
            return (ACCOUNTS, f"{ACCOUNTS}:{self.namespace}", AUTHENTICATED)
        if self.kind == "Group":
            return (self.name,)
        return (UNAUTHENTICATED,) if self.name == ANONYMOUS else (AUTHENTICATED,)


class Right(t.NamedTuple):
    """One action; an empty namespace is cluster scope, an empty name every object of the resource."""

    verb: str
    group: str
    resource: str
    subresource: str
    namespace: str
    name: str = ""

    def __str__(self) -> str:
        """`get secrets/x`, `create pods/exec`, `patch deployments.apps`."""
        kind = f"{self.resource}.{self.group}" if self.group and self.group != "*" else self.resource
        return f"{self.verb} {'/'.join(part for part in (kind, self.subresource, self.name) if part)}"


class Grant(t.NamedTuple):
    """A binding with the rules of its role."""

    binding: str
    role: str
    rules: tuple[Obj, ...]
    namespace: str = ""  # of the binding; empty for one of the cluster

    def allows(self, right: Right) -> bool:
        """Whether one of the rules covers an action."""
        return any(rule_allows(rule, right) for rule in self.rules)

    def __str__(self) -> str:
        """`RoleBinding x with ClusterRole edit`."""
        return f"{self.binding} with {self.role}"

    def __hash__(self) -> int:
        """By name: two bindings of one name in one place are one."""
        return hash((self.binding, self.role))


class Roles:
    """The RBAC objects of the cluster and of some namespaces, indexed by subject."""

    def __init__(
        self,
        *,
        cluster_roles: Iterable[Obj] = (),
        cluster_bindings: Iterable[Obj] = (),
        roles: Mapping[str, Iterable[Obj]] | None = None,
        bindings: Mapping[str, Iterable[Obj]] | None = None,
    ) -> None:
        self._cluster_roles = {role["metadata"]["name"]: role for role in cluster_roles}
        self._roles = {
            (namespace, role["metadata"]["name"]): role for namespace, items in (roles or {}).items() for role in items
        }
        self._index: dict[tuple[str, Who], list[Grant]] = {}
        for binding in cluster_bindings:
            self._add(binding, "")
        for namespace, items in (bindings or {}).items():
            for binding in items:
                self._add(binding, namespace)

    def _add(self, binding: Obj, namespace: str) -> None:
        kind, name = dig(binding, "roleRef", "kind"), dig(binding, "roleRef", "name") or ""
        role = self._cluster_roles.get(name) if kind == "ClusterRole" else self._roles.get((namespace, name))
        if role is None:
            return  # a binding to a role that is not there gives nothing
        title = "RoleBinding" if namespace else "ClusterRoleBinding"
        place = f"{namespace}/" if namespace else ""
        shown = f"{title} {place}{binding['metadata']['name']}"
        grant = Grant(shown, f"{kind} {name}", tuple(self._rules(role)), namespace)
        for subject in binding.get("subjects") or []:
            who = _subject(subject, namespace)
            if who is not None:
                self._index.setdefault((namespace, who), []).append(grant)

    def _rules(self, role: Obj) -> Iterator[Obj]:
        # The controller writes an aggregated role's rules into it, and only those count for the API server.
        yield from role.get("rules") or []
        if role.get("rules") or "aggregationRule" not in role:
            return
        for selector in dig(role, "aggregationRule", "clusterRoleSelectors") or []:
            for other in self._cluster_roles.values():
                if other is not role and selects(selector, dig(other, "metadata", "labels")):
                    yield from other.get("rules") or []

    def grants(self, who: Who, namespace: str) -> list[Grant]:
        """All bindings that hold for the subject in a namespace, or cluster-wide for ""; each once."""
        keys = [who, *(Who("Group", "", name) for name in who.groups)]
        places = ("", namespace) if namespace else ("",)
        return list(
            dict.fromkeys(grant for place in places for key in dict.fromkeys(keys) for grant in self._at(place, key))
        )

    def _at(self, place: str, who: Who) -> list[Grant]:
        return self._index.get((place, who), [])

    def granted_by(self, who: Who, right: Right) -> Grant | None:
        """The first binding that allows it, or None."""
        return next((grant for grant in self.grants(who, right.namespace) if grant.allows(right)), None)

    def named(self, who: Who, right: Right) -> list[str]:
        """The names to which rules limit this right of the subject, in a stable order; none where no rule gives it."""
        return sorted(
            {
                name
                for grant in self.grants(who, right.namespace)
                for rule in grant.rules
                for name in rule.get("resourceNames") or []
                if rule_allows(rule, right._replace(name=name))
            }
        )

    def subjects(self) -> list[Who]:
        """Every subject that a binding names, in a stable order."""
        return sorted({who for _place, who in self._index})


def _subject(subject: Obj, namespace: str) -> Who | None:
    kind, name = subject.get("kind"), subject.get("name") or ""
    if kind == "ServiceAccount":
        home = subject.get("namespace") or namespace
        return Who("ServiceAccount", home, name) if home else None
    if kind == "User" and name.startswith(_ACCOUNT_USER):
        # The same account by the name that the API server has for it.
        home, _colon, account = name.removeprefix(_ACCOUNT_USER).partition(":")
        return Who("ServiceAccount", home, account)
    return Who(kind, "", name) if kind in ("User", "Group") else None


def rule_allows(rule: Obj, right: Right) -> bool:
    """Whether one PolicyRule covers an action on a resource; rules for other URLs never do."""
    return (
        _holds(rule.get("verbs"), right.verb)
        and _holds(rule.get("apiGroups"), right.group)
        and _holds_resource(rule.get("resources") or [], right)
        and (not rule.get("resourceNames") or right.name in rule["resourceNames"])
    )


def _holds(allowed: list[str] | None, wanted: str) -> bool:
    return "*" in (allowed or []) or wanted in (allowed or [])


def _holds_resource(allowed: list[str], right: Right) -> bool:
    # "*" covers subresources too, "*/log" that subresource of everything; "pods" covers no subresource of pods.
    if not right.subresource:
        return "*" in allowed or right.resource in allowed
    return bool({"*", f"{right.resource}/{right.subresource}", f"*/{right.subresource}"} & set(allowed))


# -- what is asked ---------------------------------------------------------------------------------------------------

_BEARERS = (
    ("", "pods"),
    ("", "replicationcontrollers"),
    ("apps", "deployments"),
    ("apps", "statefulsets"),
    ("apps", "daemonsets"),
    ("apps", "replicasets"),
    ("batch", "jobs"),
    ("batch", "cronjobs"),
    # The orchestrator makes a Job of each, which reads Secrets of that namespace.
    ("orchestrator.platform", "coderuns"),
    ("orchestrator.platform", "docsruns"),
)
_AUTHENTICATION, _CERTIFICATES = "authentication.k8s.io", "certificates.k8s.io"
_CLIENT_SIGNERS = ("kubernetes.io/kube-apiserver-client", "kubernetes.io/kube-apiserver-client-kubelet")
_ADMISSION = "admissionregistration.k8s.io"
_WEBHOOKS = ("mutatingwebhookconfigurations", "validatingwebhookconfigurations", "mutatingadmissionpolicies")
_POLICIES = ("validatingadmissionpolicies", "validatingadmissionpolicybindings")
# Not asked by the names in rules: Secrets go by the names of ours, and everything about one object is not everything.
_BY_OWN_NAMES = ("rbac/read-secrets", "rbac/wildcard")


def rights_of_interest(namespace: str, secrets: Iterable[str]) -> dict[str, list[Right]]:
    """By check id, what nobody is to be allowed in a namespace with these Secrets; "" is the cluster itself."""
    if not namespace:
        return {
            "rbac/impersonate": [
                *(Right("impersonate", "", what, "", "") for what in ("users", "groups")),
                # The constrained form since Kubernetes 1.36, and certificates, of which each is somebody.
                *(Right("impersonate:user-info", _AUTHENTICATION, what, "", "") for what in ("users", "groups")),
                Right("impersonate:arbitrary-node", _AUTHENTICATION, "nodes", "", ""),
                *(Right("approve", _CERTIFICATES, "signers", "", "", name) for name in _CLIENT_SIGNERS),
            ],
            "rbac/admission": [
                *(
                    Right(verb, _ADMISSION, what, "", "")
                    for what in _WEBHOOKS
                    for verb in ("create", "update", "patch")
                ),
                *(
                    Right(verb, _ADMISSION, what, "", "")
                    for what in _POLICIES
                    for verb in ("update", "patch", "delete")
                ),
            ],
            "rbac/escalate": [Right(verb, GROUP, "clusterroles", "", "") for verb in ("bind", "escalate")],
            "rbac/wildcard": [Right("*", "*", "*", "", "")],
            "rbac/node-proxy": [Right(verb, "", "nodes", "proxy", "") for verb in ("get", "create")],
        }
    # A rule limited to resourceNames allows list and watch too, with a field selector of that name.
    return {
        "rbac/read-secrets": [
            Right(verb, "", "secrets", "", namespace, name) for name in secrets for verb in SECRET_READS
        ],
        "rbac/create-pods": [
            Right(verb, group, resource, "", namespace)
            for group, resource in _BEARERS
            for verb in ("create", "update", "patch")
        ],
        "rbac/exec": [
            *(Right(verb, "", "pods", sub, namespace) for sub in ("exec", "attach") for verb in ("create", "get")),
            *(Right(verb, "", "pods", "ephemeralcontainers", namespace) for verb in ("update", "patch")),
        ],
        "rbac/impersonate": [
            Right("impersonate", "", "serviceaccounts", "", namespace),
            Right("impersonate:serviceaccount", _AUTHENTICATION, "serviceaccounts", "", namespace),
        ],
        "rbac/escalate": [
            Right(verb, GROUP, what, "", namespace)
            for what, verbs in (("roles", ("bind", "escalate")), ("clusterroles", ("bind",)))
            for verb in verbs
        ],
        "rbac/wildcard": [Right("*", "*", "*", "", namespace)],
        "rbac/token-request": [Right("create", "", "serviceaccounts", "token", namespace)],
    }


def access_review(who: Who, right: Right) -> Obj:
    """The SubjectAccessReview for one action."""
    attributes = {
        "verb": right.verb,
        "group": right.group,
        "resource": right.resource,
        "subresource": right.subresource,
        "namespace": right.namespace,
        "name": right.name,
    }
    spec: Obj = {"groups": list(who.groups), "resourceAttributes": {k: v for k, v in attributes.items() if v}}
    if who.user:
        spec["user"] = who.user
    return {"apiVersion": "authorization.k8s.io/v1", "kind": "SubjectAccessReview", "spec": spec}


class Class(t.NamedTuple):
    """Subjects of one kind with the same bindings in one namespace: RBAC cannot tell them apart, so one is asked."""

    namespace: str
    members: tuple[Who, ...]


def classes(roles: Roles, subjects: Iterable[Who], namespaces: Iterable[str]) -> list[Class]:
    """The subjects of each namespace, put together by their bindings."""
    subjects = list(subjects)
    found: list[Class] = []
    for namespace in namespaces:
        by_grants: dict[tuple[str, frozenset[Grant]], list[Who]] = {}
        for who in subjects:
            by_grants.setdefault((who.kind, frozenset(roles.grants(who, namespace))), []).append(who)
        found += [Class(namespace, tuple(members)) for members in by_grants.values()]
    return found


def _only_groups(item: Class) -> bool:
    return all(who.kind == "Group" for who in item.members)


class Access:
    """What each subject may do, by the API server's answers where there are some, else by the objects."""

    def __init__(
        self,
        roles: Roles,
        *,
        subjects: Iterable[Who],
        wanted: Mapping[str, dict[str, list[Right]]],
        reviews: Mapping[tuple[Who, Right], bool],
        by_objects: bool,
    ) -> None:
        self.roles, self.reviews, self.wanted = roles, reviews, wanted
        self.by_objects = by_objects  # False: some roles or bindings could not be read
        self.subjects = list(subjects)
        if by_objects:
            self.classes = classes(roles, self.subjects, wanted)
        else:  # without the bindings nobody is known to be like another
            self.classes = [Class(namespace, (who,)) for namespace in wanted for who in self.subjects]
        self._rights: dict[tuple[str, Who], dict[str, list[Right]]] = {}
        self._granted: dict[tuple[Who, str], dict[tuple[str, Right], Grant | None]] | None = None
        self._may: dict[tuple[Who, Right], bool] = {}  # asked for each container of hundreds of pods

    def questions(self) -> Iterator[tuple[Who, Right]]:
        """What the API server is to be asked: each right of interest once for each class of accounts."""
        for item in self.classes:
            if not _only_groups(item):
                yield from self._asked(item)

    def _asked(self, item: Class) -> Iterator[tuple[Who, Right]]:
        for check, rights in self.rights_of(item).items():
            wanted = self.wanted[item.namespace][check]
            names: dict[Right, int] = {}
            for at, right in enumerate(rights):
                kind = right._replace(name="")
                names[kind] = names.get(kind, 0) + (at >= len(wanted))
                if names[kind] <= MAX_NAMES:
                    yield item.members[0], right

    def rights_of(self, item: Class) -> dict[str, list[Right]]:
        """The rights of interest by check id, and each of them by the names to which rules of the class limit it.

        A rule with resourceNames allows nothing that is asked without a name, so such a right would never show.
        """
        key = (item.namespace, item.members[0])
        if key not in self._rights:
            self._rights[key] = {
                check: [*rights, *(() if check in _BY_OWN_NAMES else self._limited(item.members[0], rights))]
                for check, rights in self.wanted[item.namespace].items()
            }
        return self._rights[key]

    def _limited(self, who: Who, rights: list[Right]) -> Iterator[Right]:
        for right in rights:
            # One that is asked for by its name is no other object's.
            if not right.name and self.roles.granted_by(who, right) is None:
                yield from (right._replace(name=name) for name in self.roles.named(who, right))

    def undecided(self, who: Who, check: str) -> int:
        """How many of these rights of a subject neither the API server nor the objects have decided on."""
        if self.by_objects or who.kind == "Group":
            return 0  # a group is asked only for what one of its accounts has
        return sum(
            (who, right) not in self.reviews for rights in self.wanted.values() for right in rights.get(check, [])
        )

    def questions_about_groups(self, answers: Mapping[tuple[Who, Right], bool]) -> Iterator[tuple[Who, Right]]:
        """What is to be asked then: of the groups' rights only those that some account turned out to have."""
        had = {right for (_who, right), answer in answers.items() if answer}
        for item in self.classes:
            if _only_groups(item):
                yield from ((who, right) for who, right in self._asked(item) if right in had)

    def disagreements(self) -> Iterator[tuple[Who, Right, bool, Grant | None]]:
        """(subject, right, the API server's answer, the objects' grant) where they differ."""
        for (who, right), answer in self.reviews.items():
            grant = self.roles.granted_by(who, right)
            if answer != (grant is not None):
                yield who, right, answer, grant

    def granted(self, who: Who, namespace: str) -> dict[tuple[str, Right], Grant | None]:
        """The rights of interest that it has there, by (check id, right); the grant is None where no binding gives it.

        What one of its groups has is the group's, and is not told again for each member.
        """
        if self._granted is None:
            self._granted = dict(self._all())
        own = self._granted.get((who, namespace), {})
        if who.kind == "Group":
            return own
        shared = {key for name in who.groups for key in self._granted.get((Who("Group", "", name), namespace), {})}
        return {key: grant for key, grant in own.items() if key not in shared}

    def may(self, who: Who, right: Right) -> bool:
        """Whether it may, by whatever way, its groups included; only for rights that were asked for."""
        if (who, right) not in self._may:
            self._may[(who, right)] = any(
                key[1] == right
                for one in (who, *(Who("Group", "", name) for name in who.groups))
                for key in self.granted(one, right.namespace)
            )
        return self._may[(who, right)]

    def _all(self) -> Iterator[tuple[tuple[Who, str], dict[tuple[str, Right], Grant | None]]]:
        for item in self.classes:
            head = item.members[0]
            found: dict[tuple[str, Right], Grant | None] = {}
            for check, rights in self.rights_of(item).items():
                for right in rights:
                    grant = self.roles.granted_by(head, right)
                    if self.reviews.get((head, right), grant is not None):
                        found[(check, right)] = grant
            if found:
                yield from (((who, item.namespace), found) for who in item.members)

# SPDX-License-Identifier: GPL-3.0-or-later
# SPDX-FileCopyrightText: 2026 The orchestrator.platform authors
"""The offline evaluation of RBAC: rules, bindings, groups, aggregation, classes (DM-188)."""

from __future__ import annotations

import pytest
from ansible_collections.orchestrator.platform.plugins.module_utils._rbac import (
    MAX_NAMES,
    Access,
    Right,
    Roles,
    Who,
    access_review,
    classes,
    rights_of_interest,
    rule_allows,
)
from hypothesis import given
from hypothesis import strategies as st

BOB = Who("ServiceAccount", "ns", "bob")
GET = Right("get", "", "secrets", "", "ns", "s")


def rule(verbs="get", groups="", resources="secrets", **more) -> dict:
    return {
        "verbs": verbs.split(),
        "apiGroups": groups.split(",") if groups else [""],
        "resources": resources.split(),
        **more,
    }


@pytest.mark.parametrize(
    ("given_rule", "right", "allowed"),
    [
        (rule(), GET, True),
        (rule("list"), GET, False),
        (rule("*"), GET, True),
        (rule(groups="apps"), GET, False),
        (rule(groups="*"), GET, True),
        (rule(resources="*"), GET, True),
        (rule(resources="configmaps"), GET, False),
        (rule(resourceNames=["s"]), GET, True),
        (rule(resourceNames=["other"]), GET, False),
        (rule(resourceNames=[]), GET, True),
        (rule(resourceNames=["s"]), GET._replace(name=""), False),
        (rule("create", resources="pods"), Right("create", "", "pods", "exec", "ns"), False),
        (rule("create", resources="pods/exec"), Right("create", "", "pods", "exec", "ns"), True),
        (rule("create", resources="*/exec"), Right("create", "", "pods", "exec", "ns"), True),
        (rule("create", resources="pods/*"), Right("create", "", "pods", "exec", "ns"), False),
        (rule("create", resources="*"), Right("create", "", "pods", "exec", "ns"), True),
        (rule("create", resources="pods/exec"), Right("create", "", "pods", "", "ns"), False),
        (rule("get list", groups="*", resources="*"), Right("*", "*", "*", "", "ns"), False),
        (rule("*", groups="*", resources="*"), Right("*", "*", "*", "", "ns"), True),
        ({"verbs": ["get"], "nonResourceURLs": ["*"]}, GET, False),
    ],
)
def test_rule(given_rule, right, allowed):
    """As the API server's RBAC authorizer decides; each was also put to a real one."""
    assert rule_allows(given_rule, right) is allowed


words = st.sampled_from(["get", "list", "create", "*"])
things = st.sampled_from(["secrets", "pods", "pods/exec", "*", "*/exec"])
rules = st.builds(
    lambda verbs, what, names: {
        "verbs": verbs,
        "apiGroups": [""],
        "resources": what,
        **({"resourceNames": names} if names else {}),
    },
    st.lists(words, max_size=2),
    st.lists(things, max_size=2),
    st.lists(st.sampled_from(["s", "t"]), max_size=1),
)
rights = st.builds(
    lambda verb, what, name: Right(verb, "", *what, "ns", name),
    st.sampled_from(["get", "list", "create", "*"]),
    st.sampled_from([("secrets", ""), ("pods", ""), ("pods", "exec")]),
    st.sampled_from(["", "s", "t"]),
)


@given(rules, rights)
def test_a_limit_by_name_never_adds_a_right(one, right):
    unlimited = {key: value for key, value in one.items() if key != "resourceNames"}
    assert rule_allows(unlimited, right) or not rule_allows(one, right)


@given(rules, rights)
def test_a_star_never_takes_a_right_away(one, right):
    if rule_allows(one, right):
        for key in ("verbs", "apiGroups", "resources"):
            assert rule_allows({**one, key: ["*"]}, right)


def binding(name: str, role: str, *subjects: dict, kind: str = "Role") -> dict:
    return {"metadata": {"name": name}, "roleRef": {"kind": kind, "name": role}, "subjects": list(subjects)}


def role(name: str, *rules_of: dict, **more) -> dict:
    return {"metadata": {"name": name}, "rules": list(rules_of), **more}


ACCOUNT = {"kind": "ServiceAccount", "name": "bob", "namespace": "ns"}


@pytest.mark.parametrize(
    ("subject", "who", "hit"),
    [
        (ACCOUNT, BOB, True),
        ({"kind": "ServiceAccount", "name": "bob"}, BOB, True),  # the binding's own namespace
        ({**ACCOUNT, "namespace": "other"}, BOB, False),
        ({"kind": "User", "name": "system:serviceaccount:ns:bob"}, BOB, True),
        ({"kind": "User", "name": "bob"}, BOB, False),
        ({"kind": "Group", "name": "system:serviceaccounts"}, BOB, True),
        ({"kind": "Group", "name": "system:serviceaccounts:ns"}, BOB, True),
        ({"kind": "Group", "name": "system:serviceaccounts:other"}, BOB, False),
        ({"kind": "Group", "name": "system:authenticated"}, BOB, True),
        ({"kind": "Group", "name": "system:unauthenticated"}, BOB, False),
        ({"kind": "Group", "name": "system:serviceaccounts"}, Who("Group", "", "system:serviceaccounts:ns"), False),
        ({"kind": "Unknown", "name": "bob"}, BOB, False),
    ],
)
def test_subject(subject, who, hit):
    roles = Roles(roles={"ns": [role("r", rule())]}, bindings={"ns": [binding("b", "r", subject)]})
    assert (roles.granted_by(who, GET) is not None) is hit


def test_binding_holds_in_its_namespace_only():
    roles = Roles(roles={"ns": [role("r", rule())]}, bindings={"ns": [binding("b", "r", ACCOUNT)]})
    assert roles.granted_by(BOB, GET._replace(namespace="other")) is None
    assert roles.granted_by(BOB, GET._replace(namespace="")) is None


def test_cluster_role_is_bound_in_a_namespace_or_everywhere():
    cluster_roles = [role("c", rule())]
    local = Roles(cluster_roles=cluster_roles, bindings={"ns": [binding("b", "c", ACCOUNT, kind="ClusterRole")]})
    assert str(local.granted_by(BOB, GET)) == "RoleBinding ns/b with ClusterRole c"
    assert local.granted_by(BOB, GET._replace(namespace="other")) is None
    wide = Roles(cluster_roles=cluster_roles, cluster_bindings=[binding("b", "c", ACCOUNT, kind="ClusterRole")])
    assert wide.granted_by(BOB, GET._replace(namespace="other")) is not None


def test_binding_to_a_role_that_is_not_there_gives_nothing():
    assert Roles(bindings={"ns": [binding("b", "gone", ACCOUNT)]}).granted_by(BOB, GET) is None


def test_aggregated_role_has_the_rules_that_its_controller_wrote():
    """The API server reads only those; before the controller has come by, the selected roles stand for them."""
    selector = {"clusterRoleSelectors": [{"matchLabels": {"to": "edit"}}]}
    part = {"metadata": {"name": "part", "labels": {"to": "edit"}}, "rules": [rule()]}
    bound = [binding("b", "edit", ACCOUNT, kind="ClusterRole")]
    written = role("edit", rule("list"), aggregationRule=selector)
    roles = Roles(cluster_roles=[part, written], cluster_bindings=bound)
    assert roles.granted_by(BOB, GET) is None
    fresh = {"metadata": {"name": "edit"}, "rules": None, "aggregationRule": selector}
    assert Roles(cluster_roles=[part, fresh], cluster_bindings=bound).granted_by(BOB, GET) is not None


def test_accounts_with_the_same_bindings_are_asked_for_once():
    roles = Roles(roles={"ns": [role("r", rule())]}, bindings={"ns": [binding("b", "r", ACCOUNT)]})
    crowd = [Who("ServiceAccount", "ns", f"a{number}") for number in range(1000)]
    found = classes(roles, [*crowd, BOB], ["ns"])
    assert sorted(len(item.members) for item in found) == [1, 1000]


def access(roles: Roles, **options) -> Access:
    wanted = {"": rights_of_interest("", ()), "ns": rights_of_interest("ns", ["s"])}
    settings = {"subjects": [BOB, Who("Group", "", "system:authenticated")], "wanted": wanted, "reviews": {}}
    return Access(roles, **{**settings, "by_objects": True, **options})


def test_what_a_group_has_is_not_told_again_for_its_members():
    everybody = {"kind": "Group", "name": "system:authenticated"}
    roles = Roles(roles={"ns": [role("r", rule())]}, bindings={"ns": [binding("b", "r", everybody)]})
    found = access(roles)
    assert found.granted(BOB, "ns") == {}
    assert {key[1] for key in found.granted(Who("Group", "", "system:authenticated"), "ns")} == {GET}
    assert found.may(BOB, GET)


def test_api_servers_answer_wins_over_the_objects():
    roles = Roles(roles={"ns": [role("r", rule())]}, bindings={"ns": [binding("b", "r", ACCOUNT)]})
    assert access(roles).granted(BOB, "ns")
    denied = access(roles, reviews={(BOB, GET): False})
    assert denied.granted(BOB, "ns") == {}
    assert [(who, right, answer) for who, right, answer, _grant in denied.disagreements()] == [(BOB, GET, False)]


def test_without_the_bindings_every_subject_is_asked_for_itself():
    pair = [BOB, Who("ServiceAccount", "ns", "eve")]
    one = list(access(Roles(), subjects=pair).questions())
    assert len(list(access(Roles(), subjects=pair, by_objects=False).questions())) == 2 * len(one)


def test_review_names_user_and_groups():
    body = access_review(BOB, GET)["spec"]
    assert body["user"] == "system:serviceaccount:ns:bob"
    assert body["groups"] == ["system:serviceaccounts", "system:serviceaccounts:ns", "system:authenticated"]
    assert body["resourceAttributes"] == {"verb": "get", "resource": "secrets", "namespace": "ns", "name": "s"}
    assert "user" not in access_review(Who("Group", "", "g"), GET)["spec"]


def test_every_right_of_interest_is_asked_for_in_its_place():
    for place, secrets in (("", ()), ("ns", ("s", "t"))):
        for check, asked in rights_of_interest(place, secrets).items():
            assert check.startswith("rbac/")
            assert asked
            assert {right.namespace for right in asked} == {place}
            assert len(set(asked)) == len(asked)


def test_groups_are_asked_for_only_what_some_account_has():
    """In an ordinary cluster that is nothing at all."""
    found = access(Roles())
    asked = list(found.questions())
    assert {who for who, _right in asked} == {BOB}
    assert list(found.questions_about_groups(dict.fromkeys(asked, False))) == []
    answers = {key: key[1] == GET for key in asked}
    assert list(found.questions_about_groups(answers)) == [(Who("Group", "", "system:authenticated"), GET)]


EXEC = Right("create", "", "pods", "exec", "ns")


def limited(*names: str, verbs="create", resources="pods/exec") -> Roles:
    """BOB's right to what these names stand for, and to nothing else."""
    rules_of = [rule(verbs, resources=resources, resourceNames=list(names))]
    return Roles(roles={"ns": [role("r", *rules_of)]}, bindings={"ns": [binding("b", "r", ACCOUNT)]})


def test_right_that_a_rule_limits_to_names_is_asked_for_by_these_names():
    """Asked without a name the answer is no, for a role that opens the very pod of the watcher (DM-188, issue 5.2)."""
    found = access(limited("coder-1", "coder-0"))
    asked = [right for _who, right in found.questions() if right._replace(name="") == EXEC]
    assert [right.name for right in asked] == ["", "coder-0", "coder-1"]
    assert {key for key in found.granted(BOB, "ns") if key[0] == "rbac/exec"} == {
        ("rbac/exec", EXEC._replace(name="coder-0")),
        ("rbac/exec", EXEC._replace(name="coder-1")),
    }


def test_answer_about_a_name_is_compared_with_the_objects_too():
    denied = access(limited("coder-1"), reviews={(BOB, EXEC._replace(name="coder-1")): False})
    assert denied.granted(BOB, "ns") == {}
    assert [right.name for _who, right, _answer, _grant in denied.disagreements()] == ["coder-1"]


def test_names_that_are_asked_for_are_bounded_and_the_objects_decide_on_the_rest():
    names = [f"pod-{number:03}" for number in range(MAX_NAMES + 40)]
    found = access(limited(*names))
    asked = [right for _who, right in found.questions() if right._replace(name="") == EXEC and right.name]
    assert [right.name for right in asked] == names[:MAX_NAMES]
    assert {key[1].name for key in found.granted(BOB, "ns") if key[0] == "rbac/exec"} == set(names)


def test_what_is_granted_without_a_limit_is_not_asked_for_by_name():
    both = [rule("create", resources="pods/exec"), rule("create", resources="pods/exec", resourceNames=["x"])]
    roles = Roles(roles={"ns": [role("r", *both)]}, bindings={"ns": [binding("b", "r", ACCOUNT)]})
    assert [right.name for _who, right in access(roles).questions() if right._replace(name="") == EXEC] == [""]


def test_everything_about_one_object_is_no_wildcard():
    """Its single rights are found all the same."""
    roles = Roles(
        roles={"ns": [role("r", rule("*", "*", "*", resourceNames=["x"]))]},
        bindings={"ns": [binding("b", "r", ACCOUNT)]},
    )
    checks = {check for check, _right in access(roles).granted(BOB, "ns")}
    assert "rbac/wildcard" not in checks
    assert {"rbac/create-pods", "rbac/exec", "rbac/impersonate", "rbac/escalate", "rbac/token-request"} <= checks


@given(rules, rights)
def test_names_are_those_with_which_the_rule_allows_it(one, right):
    """Property: what is asked by name is exactly what a rule with that name gives."""
    roles = Roles(roles={"ns": [role("r", one)]}, bindings={"ns": [binding("b", "r", ACCOUNT)]})
    named = roles.named(BOB, right._replace(name=""))
    assert set(named) == {name for name in one.get("resourceNames", []) if rule_allows(one, right._replace(name=name))}


def test_undecided_is_what_neither_answers_nor_objects_tell():
    found = access(Roles(), by_objects=False, reviews={(BOB, EXEC): False})
    assert found.undecided(BOB, "rbac/exec") == 5  # of six
    assert found.undecided(Who("Group", "", "system:authenticated"), "rbac/exec") == 0
    assert access(Roles()).undecided(BOB, "rbac/exec") == 0

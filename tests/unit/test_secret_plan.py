# SPDX-License-Identifier: GPL-3.0-or-later
# SPDX-FileCopyrightText: 2026 The orchestrator.platform authors
"""What module secret asks for and decides: idempotent, never by force, no value in what it tells (D1, D5, D6, issue 6.4)."""

from __future__ import annotations

import base64
import copy
import json
from pathlib import Path

import pytest
from ansible_collections.orchestrator.platform.plugins.module_utils import _secret_plan as plans
from ansible_collections.orchestrator.platform.plugins.module_utils._secret_wanted import Key, Wanted, read_wanted
from ansible_collections.orchestrator.platform.plugins.modules import secret as module
from hypothesis import given
from hypothesis import strategies as st

OURS = "orchestrator.platform"


def b64(value: bytes) -> str:
    return base64.b64encode(value).decode()


def served(body: dict, live: dict | None) -> dict:
    """What an API server holds after our apply: what we owned and no longer name is gone, what others have stays."""
    after = copy.deepcopy(live) or {"metadata": {"uid": "u1", "name": body["metadata"]["name"]}, "data": {}}
    mine = plans.owned_fields(after, OURS) or {}
    parts = {("data",): body["data"]}
    for part in ("labels", "annotations"):
        parts[("metadata", part)] = body["metadata"].get(part) or {}
    owned: dict = {"f:metadata": {}}
    for path, wanted in parts.items():
        place, fields, record = after, mine, owned
        for step in path[:-1]:
            place, fields, record = place[step], fields.get(f"f:{step}") or {}, record[f"f:{step}"]
        given_up = {key[2:] for key in fields.get(f"f:{path[-1]}") or {}} - set(wanted)
        place[path[-1]] = {k: v for k, v in (place.get(path[-1]) or {}).items() if k not in given_up} | wanted
        record[f"f:{path[-1]}"] = {f"f:{key}": {} for key in wanted}
    after["type"] = body["type"]
    after["immutable"] = body.get("immutable", False)
    others = [e for e in after["metadata"].get("managedFields", []) if e["manager"] != OURS]
    after["metadata"]["managedFields"] = [*others, {"manager": OURS, "operation": "Apply", "fieldsV1": owned}]
    after["metadata"]["resourceVersion"] = "2"
    return after


def wanted(*names: str, **more) -> Wanted:
    return Wanted("agents", "s", tuple(Key(name, "value", "x") for name in names), **more)


def present(want: Wanted, live: dict | None, values: dict, *, recreate: bool = False) -> plans.Plan:
    return plans.plan_present(want, live, values, recreate=recreate)


def made(want: Wanted, values: dict) -> dict:
    return served(present(want, None, values).body, None)


names = st.sampled_from(["a", "b", "token", ".dot"])
datas = st.dictionaries(names, st.binary(min_size=1, max_size=8), min_size=1)


@given(datas, datas, datas, st.booleans(), st.none() | st.text(max_size=3))
def test_what_was_applied_is_as_wanted(first, second, foreign, prune, rotate):
    """D5: whatever was there, the second run sends nothing; keys of others stay, values are those asked for."""
    live = made(wanted(*first), first)
    live["data"].update({key: b64(value) for key, value in foreign.items() if key not in first})
    want = wanted(*second, prune=prune, rotate=rotate, labels=(("x", "y"),))
    plan = present(want, live, second)
    after = served(plan.body, live)
    again = present(want, after, second)
    assert (again.code, again.sends) == ("as_wanted", "")
    assert {key: b64(value) for key, value in second.items()}.items() <= after["data"].items()
    gone = set(live["data"]) - set(after["data"])
    assert gone == ((set(first) - set(second)) if prune else set())
    assert set(plan.change.removed) == gone


@given(datas, datas)
def test_no_value_is_in_what_is_told(first, second):
    """D6: rows and diff hold names and codes; values, plain or in base64, are in the body alone."""
    first = {key: b"old-canary-" + value for key, value in first.items()}
    second = {key: b"new-canary-" + value for key, value in second.items()}
    plan = present(wanted(*second), made(wanted(*first), first), second)
    told = json.dumps([plans.row_of(plan, sent=True), plans.diff_of([plan]), plan.message(sent=False)])
    for value in [*first.values(), *second.values()]:
        assert b64(value) not in told
    assert "canary" not in told


def test_a_new_secret_carries_our_labels_and_its_marker():
    body = present(wanted("a", rotate="1", annotations=(("n", "m"),)), None, {"a": b"1"}).body
    assert body["metadata"]["labels"] == plans.OUR_LABELS
    assert body["metadata"]["annotations"] == {"n": "m", plans.ANNOTATION_ROTATION: "1"}
    assert (body["type"], body["data"]) == ("Opaque", {"a": b64(b"1")})
    assert "immutable" not in body


def test_our_labels_cannot_be_taken_off():
    assert present(wanted("a", labels=tuple((k, "x") for k in plans.OUR_LABELS)), None, {"a": b"1"}).body["metadata"][
        "labels"
    ] == (plans.OUR_LABELS)


def test_the_marker_stays_where_none_is_given():
    """Leaving `rotate` out later rotates nothing and changes nothing."""
    live = made(wanted("a", rotate="1"), {"a": b"1"})
    assert present(wanted("a"), live, {"a": b"1"}).code == "as_wanted"
    assert not plans.rotates(wanted("a"), live)
    assert not plans.rotates(wanted("a", rotate="1"), live)
    assert plans.rotates(wanted("a", rotate="2"), live)
    assert not plans.rotates(wanted("a", rotate="2"), None)


def test_the_apply_names_the_very_object():
    """One that is deleted and made by somebody else in between is not touched."""
    assert present(wanted("a"), made(wanted("a"), {"a": b"1"}), {"a": b"2"}).body["metadata"]["uid"] == "u1"


def foreign(data: dict) -> dict:
    return {"metadata": {"name": "s", "uid": "u"}, "type": "Opaque", "data": {k: b64(v) for k, v in data.items()}}


def test_somebody_elses_secret_is_a_conflict():
    plan = present(wanted("a"), foreign({"a": b"1"}), {"a": b"2"}, recreate=True)
    assert (plan.outcome, plan.code, plan.sends) == ("conflict", "not_ours", "")
    assert plans.plan_absent(wanted(), foreign({})).code == "not_ours"


def test_somebody_elses_secret_that_holds_it_will_do():
    assert present(wanted("a"), foreign({"a": b"1", "b": b"2"}), {"a": b"1"}).code == "not_ours_same"


def test_an_immutable_secret_is_made_anew_only_on_request():
    live = made(wanted("a", immutable=True), {"a": b"1"})
    assert present(wanted("a"), live, {"a": b"1"}).code == "as_wanted"
    plan = present(wanted("a"), live, {"a": b"2"})
    assert (plan.code, plan.sends) == ("immutable", "")
    assert "recreate: true" in plan.message(sent=False)
    plan = present(wanted("a"), live, {"a": b"2"}, recreate=True)
    assert (plan.code, plan.sends, plan.body["immutable"]) == ("recreated", "recreate", True)
    assert "uid" not in plan.body["metadata"]
    assert present(wanted("a", immutable=False), live, {"a": b"1"}).code == "immutable"


def test_labels_of_an_immutable_secret_change_in_place():
    live = made(wanted("a", immutable=True), {"a": b"1"})
    assert present(wanted("a", labels=(("x", "y"),)), live, {"a": b"1"}).code == "updated"


def test_a_type_cannot_be_changed_in_place():
    live = made(wanted("a"), {"a": b"1"})
    other = wanted("a", type="kubernetes.io/basic-auth")
    assert present(other, live, {"a": b"1"}).code == "type_differs"
    assert present(other, live, {"a": b"1"}, recreate=True).sends == "recreate"


def test_making_it_anew_keeps_what_is_not_named_where_asked():
    live = made(wanted("a", "b", immutable=True), {"a": b"1", "b": b"2"})
    plan = present(wanted("a", prune=False), live, {"a": b"3"}, recreate=True)
    assert set(plan.body["data"]) == {"a", "b"}


def test_a_secret_on_its_way_out_is_told():
    live = made(wanted("a"), {"a": b"1"})
    live["metadata"]["deletionTimestamp"] = "now"
    assert present(wanted("a"), live, {"a": b"1"}).code == "being_deleted"
    assert plans.plan_absent(wanted(), live).code == "being_deleted"


def test_removal_takes_ours_and_asks_for_nothing_else():
    plan = plans.plan_absent(wanted(), made(wanted("a"), {"a": b"1"}))
    assert (plan.outcome, plan.sends, plan.uid, plan.body) == ("removed", "delete", "u1", None)
    assert plans.plan_absent(wanted(), None).code == "absent"


def test_the_diff_says_which_keys_differ():
    live = made(wanted("a", "b", "c"), {"a": b"1", "b": b"2", "c": b"3"})
    plan = present(wanted("a", "b", "d", labels=(("x", "y"),)), live, {"a": b"1", "b": b"9", "d": b"4"})
    assert plans.diff_of([plan]) == {
        "before": {"agents/s": {"a": "a value", "b": "a value", "c": "a value"}},
        "after": {"agents/s": {"a": "a value", "b": "a new value", "d": "a new value", "also changed": ["labels"]}},
    }
    assert plan.message(sent=False).endswith("key added d; key changed b; key removed c; changed labels.")


@pytest.mark.parametrize(
    ("status", "body", "code"),
    [
        (
            409,
            {
                "details": {
                    "causes": [
                        {
                            "reason": "FieldManagerConflict",
                            "message": 'conflict with "kubectl" using v1',
                            "field": ".data.a",
                        }
                    ]
                }
            },
            "field_conflict",
        ),
        (409, {"reason": "Conflict"}, "gone"),
        (404, {"details": {"kind": "secrets"}}, "gone"),
        (404, {"details": {"kind": "namespaces"}}, "no_namespace"),
        (403, {}, "forbidden"),
        (422, {}, "invalid"),
        (500, {}, "api_error"),
    ],
)
def test_a_refusal_has_its_code(status, body, code):
    plan = plans.refused(present(wanted("a"), None, {"a": b"1"}), status, "why", body)
    assert (plan.code, plan.body, plan.sends) == (code, None, "")
    assert "{" not in plan.message(sent=True)


# -- what is asked for -------------------------------------------------------------------------------------------------


def row(name: str = "s", **more) -> dict:
    keys = more.pop("data", [{"key": "a", "value": "x"}])
    return {"name": name, "data": keys, **more}


@pytest.mark.parametrize(
    ("rows", "said"),
    [
        ([row(data=[])], "Secret agents/s has no key: name at least one"),
        ([row(data=None)], "has no key"),
        ([row(data=[{"key": "a"}])], "key a, needs one source and has none: give one of value, file"),
        ([row(data=[{"key": "a", "value": "canary", "env": "E"}])], "needs one source and has value and env"),
        ([row(data=[{"key": "a/b", "value": "x"}])], "key a/b, is no name of a key"),
        ([row(data=[{"key": "a", "value": "x"}, {"key": "a", "env": "E"}])], "names the key a twice"),
        ([row(data=[{"key": "a", "public_key_of": "b"}])], "the public key of b, which is no other key"),
        ([row(data=[{"key": "a", "public_key_of": "a"}])], "which is no other key"),
        ([row(data=[{"key": "a", "command": []}])], "has an empty command"),
        ([row(), row()], "Secret agents/s is named twice"),
        ([row("Big")], "which no object can be named"),
        ([row(namespace="no/where")], "which no namespace can be named"),
    ],
)
def test_what_is_wrong_with_the_asking(rows, said):
    asked = read_wanted(rows, "agents", present=True)
    assert len(asked.problems) == 1
    assert said in asked.problems[0]
    assert "canary" not in asked.problems[0]


def test_all_of_it_is_told_and_the_rest_goes_on():
    asked = read_wanted([row("Big"), row(data=[]), row("good")], "agents", present=True)
    assert (len(asked.problems), [one.name for one in asked.secrets]) == (2, ["good"])


def test_without_a_namespace_there_is_none():
    assert "has no namespace" in read_wanted([row()], None, present=True).problems[0]


def test_for_a_removal_names_are_enough():
    assert read_wanted([{"name": "s", "data": None}], "agents", present=False).problems == []


def test_a_generated_pair_knows_its_forms():
    (want,) = read_wanted(
        [row(data=[{"key": "k", "generate": "ssh_ed25519"}, {"key": "p", "public_key_of": "k"}])], "a", present=True
    ).secrets
    assert [(key.form, key.keep) for key in want.keys] == [("ssh_private_key", True), ("ssh_public_key", False)]


# -- documentation -----------------------------------------------------------------------------------------------------


def test_the_page_lists_every_code():
    page = (Path(__file__).parents[2] / "docs" / "agent-secrets.md").read_text(encoding="utf-8")
    listed = {line.split("`")[1] for line in page.splitlines() if line.startswith("| `") and line.count("|") == 5}
    assert listed == set(plans.CODES)


def test_every_outcome_is_counted():
    assert {code.outcome for code in plans.CODES.values()} == set(plans.OUTCOMES)


def test_values_alone_are_hidden_from_the_invocation():
    """A mark on the whole list would blot out every name in the result (D6)."""
    hidden = {name for name, spec in module.KEY_SPEC.items() if spec.get("no_log")}
    assert hidden == {"value"}

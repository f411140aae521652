# SPDX-License-Identifier: GPL-3.0-or-later
# SPDX-FileCopyrightText: 2026 The orchestrator.platform authors
"""Rules of the user: refused with file and line, judged on the snapshot, never shown what a Secret holds (D13, D6)."""

from __future__ import annotations

import builtins
import contextlib
import json
import textwrap

import pytest
from ansible_collections.orchestrator.platform.plugins.module_utils._catalogue import select
from ansible_collections.orchestrator.platform.plugins.module_utils._entries import entries_of_text, inline_entries
from ansible_collections.orchestrator.platform.plugins.module_utils._errors import ApiError, ClusterError, PlatformError
from ansible_collections.orchestrator.platform.plugins.module_utils._extra_lists import collect_extra
from ansible_collections.orchestrator.platform.plugins.module_utils._findings import run_checks
from ansible_collections.orchestrator.platform.plugins.module_utils._kinds import BUILT_IN, listing
from ansible_collections.orchestrator.platform.plugins.module_utils._report_files import read_entries
from ansible_collections.orchestrator.platform.plugins.module_utils._rules import as_check, parse_rules, truth
from ansible_collections.orchestrator.platform.plugins.module_utils._snapshot import RESOURCES, View
from hypothesis import given
from hypothesis import strategies as st

from .conftest import TOKEN, b64

GOOD = {
    "id": "user/owner",
    "kind": "Deployment",
    "assert": "metadata.labels.owner",
    "title": "Owned",
    "hint": "Set it.",
}


def rules(text: str):
    return parse_rules(entries_of_text(textwrap.dedent(text), "team.yml"))


def rule(**changes):
    return parse_rules(inline_entries([(0, {**GOOD, **changes})], "rules"))[0]


def judged(view: View, **changes):
    findings, complete = run_checks([as_check(rule(**changes))], view)
    return [(item["verdict"], item["subject"]["name"], item["subject"]["container"]) for item in findings], complete


@pytest.fixture
def view(snapshot, expect) -> View:
    return View(snapshot, expect)


# -- reading -------------------------------------------------------------------------------------------------------


def test_a_rule_may_be_short():
    """Severity and select have defaults; the check it becomes has its hint and no page of ours."""
    made = rule()
    assert (made.severity, made.select.expression, made.listing.key) == ("error", "@", "deployments")
    check = as_check(made)
    assert (check.family, check.hint, check.needs) == ("user", "Set it.", ("deployments",))


WHOLE = """\
- id: user/owner
  kind: Deployment
  assert: metadata.labels.owner
  title: Owned
  hint: Set it.
"""


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("a: b", "team.yml line 1: a list is expected"),
        ("- [x]", "team.yml line 1: an item of the list is no mapping"),
        ("- id: user/a\n  : {", "team.yml line 2 is not YAML"),
        (WHOLE + "  assertion: x\n", "team.yml line 6: unknown key 'assertion'; did you mean assert?"),
        (WHOLE + "  colour: x\n", "team.yml line 6: unknown key 'colour'; known are"),
        (WHOLE + "  kind: Pod\n", "team.yml line 6: the key kind stands there twice"),
        (WHOLE.replace("  title: Owned\n", ""), "team.yml line 1: the key title is missing"),
        (WHOLE.replace("Set it.", ""), "team.yml line 5: hint is empty"),
        (WHOLE.replace("Owned", "[a]"), "team.yml line 4: title is a list"),
        (WHOLE.replace("user/owner", "owner"), "team.yml line 1: id is 'owner': user/ and a name"),
        (WHOLE.replace("user/owner", "secret-scope/env-ref"), "team.yml line 1: id is 'secret-scope/env-ref'"),
        (WHOLE + "  severity: high\n", "team.yml line 6: severity is 'high': one of error, warning, info"),
        (WHOLE.replace("Deployment", "Certificate"), "team.yml line 2: the kind Certificate is not known here"),
        (WHOLE.replace("Deployment", "deployments"), "team.yml line 2: kind is 'deployments'"),
        (WHOLE + "  api_version: a b\n", "team.yml line 6: api_version is 'a b'"),
        (WHOLE.replace("metadata.labels.owner", "metadata..owner"), "team.yml line 3: assert is no JMESPath expression, at character 10"),
        (WHOLE.replace("metadata.labels.owner", '"metadata.labels["'), "team.yml line 3: assert is no JMESPath expression, at its end"),
        (WHOLE.replace("metadata.labels.owner", "'#a'"), "team.yml line 3: assert is no JMESPath expression, at character 1"),
        (WHOLE.replace("metadata.labels.owner", "lenght(@)"), "team.yml line 3: assert: there is no function lenght()"),
        (WHOLE.replace("metadata.labels.owner", "a[?length(@, b)]"), "team.yml line 3: assert: the function length() takes 1 arguments, not 2"),
        (WHOLE + "  select: 'x['\n", "team.yml line 6: select is no JMESPath expression"),
        ("- ? [a, b]\n  : c\n", "team.yml line 1: a list stands where a key is expected"),
        ("- id: user/a\n  ? {a: b}\n  : c\n", "team.yml line 2: a mapping stands where a key is expected"),
        (WHOLE + WHOLE, "team.yml line 6: user/owner is taken by the rule at team.yml line 1"),
    ],
)  # fmt: skip
def test_what_is_wrong_is_said_with_file_and_line(text, sentence):
    """Each mistake is one sentence that names the line (issue 5, item 4)."""
    with pytest.raises(PlatformError) as caught:
        rules(text)
    assert str(caught.value).startswith(sentence)
    assert "\n" not in str(caught.value)


def test_inline_rules_are_named_by_their_number():
    with pytest.raises(PlatformError, match=r"rules\[3\]: unknown key 'x'"):
        parse_rules(inline_entries([(3, {**GOOD, "x": "y"})], "rules"))
    with pytest.raises(PlatformError, match=r"rules\[0\] is a number: give the path of a file, or a mapping"):
        inline_entries([(0, 5)], "rules")


def test_files_and_mappings_are_read_in_order(tmp_path):
    (tmp_path / "a.yml").write_text(WHOLE)
    read = read_entries([str(tmp_path / "a.yml"), {**GOOD, "id": "user/b"}], "rules")
    assert [made.id for made in parse_rules(read)] == ["user/owner", "user/b"]
    with pytest.raises(PlatformError, match=r"rules\[0\]: the file .*none.yml cannot be read \(No such file"):
        read_entries([str(tmp_path / "none.yml")], "rules")
    (tmp_path / "b.yml").write_bytes(b"\xff\xfe\x00")
    with pytest.raises(PlatformError, match="not UTF-8"):
        read_entries([str(tmp_path / "b.yml")], "rules")
    for path, why in (("~nobody-has-this-name/a.yml", "No such file or directory"), ("a\0b", "null byte")):
        with pytest.raises(PlatformError, match=rf"rules\[1\]: the file .* cannot be read \(.*{why}\): correct it"):
            read_entries([{**GOOD}, path], "rules")


@pytest.mark.parametrize("text", ["[" * 5000, WHOLE.replace("metadata.labels.owner", "'" + "(" * 5000 + "'")])
def test_deep_nesting_is_one_sentence(text):
    with pytest.raises(PlatformError, match="nested too deeply"):
        rules(text)


def test_an_empty_file_holds_no_rules():
    assert rules("# nothing yet\n") == []


def test_without_jmespath_there_is_a_sentence(monkeypatch):
    real = builtins.__import__

    def refuse(name, *rest, **named):
        if name.startswith("jmespath"):
            raise ImportError(name)
        return real(name, *rest, **named)

    monkeypatch.setattr(builtins, "__import__", refuse)
    with pytest.raises(PlatformError, match="pip install jmespath"):
        rule()


@given(st.text(max_size=200))
def test_any_text_is_rules_or_one_sentence(text):
    """Whatever a file holds, it is refused with the library's own error class or read."""
    with contextlib.suppress(PlatformError):
        parse_rules(entries_of_text(text, "x.yml"))


# -- judging -------------------------------------------------------------------------------------------------------


def test_the_whole_object_is_the_subject_by_default(view):
    verdicts, complete = judged(view)
    assert (verdicts, complete) == ([("fail", "discord-monitor", ""), ("fail", "coder", "")], True)
    view.snapshot.objects[("deployments", "agents")][0]["metadata"]["labels"] = {"owner": "blue"}
    assert judged(view)[0] == [("fail", "discord-monitor", ""), ("pass", "coder", "")]


def test_containers_that_select_picks_are_named(view):
    picked, _complete = judged(view, select="spec.template.spec.containers[]", **{"assert": "resources.limits.memory"})
    assert ("fail", "coder", "agent") in picked
    assert ("pass", "discord-monitor", "bot") in picked


def test_a_condition_chooses_objects(view):
    assert judged(view, select="metadata.name == 'coder'")[0] == [("fail", "coder", "")]
    assert judged(view, select="metadata.name == 'coder' && @")[0] == [("fail", "coder", "")]


def test_parts_without_a_name_are_numbered(view):
    check = as_check(rule(kind="Service", select="spec.ports[].port", **{"assert": "@ > `80`"}))
    (finding,) = [item for item in run_checks([check], view)[0] if item["verdict"] == "fail"]
    assert finding["evidence"].startswith("item 1 of what select picks: not so: Owned (@ > `80` gives false)")


@pytest.mark.parametrize(("severity", "verdict"), [("error", "fail"), ("warning", "warn"), ("info", "warn")])
def test_severity_decides_the_verdict(view, severity, verdict):
    assert {item[0] for item in judged(view, severity=severity)[0]} == {verdict}


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"kind": "StatefulSet"}, "there is no StatefulSet in the namespaces in view"),
        (
            {"select": "metadata.name == 'no'"},
            "2 of kind Deployment in the namespaces in view, and select picks nothing",
        ),
    ],
)
def test_a_rule_that_matches_nothing_says_so(view, changes, words):
    """It is skipped with the reason, and the picture is complete all the same (issue 5, item 4)."""
    ((finding,), complete) = run_checks([as_check(rule(**changes))], view)
    assert (finding["verdict"], complete) == ("skip", True)
    assert words in finding["evidence"]


def test_what_cannot_be_read_makes_the_picture_incomplete(view):
    view.snapshot.unread[("deployments", "agents")] = "no permission to list deployments in agents"
    verdicts, complete = judged(view)
    assert not complete
    assert ("skip", "agents", "") in verdicts
    assert ("fail", "discord-monitor", "") in verdicts


def test_an_expression_that_cannot_be_evaluated_fails_and_shows_no_value(view):
    """A rule that does not fit its objects must not pass, and the library's message would show the value."""
    view.snapshot.objects[("deployments", "agents")][0]["metadata"]["name"] = "confidential"
    for key in ("assert", "select"):
        findings, _complete = run_checks([as_check(rule(**{key: "sum(metadata.name)"}))], view)
        assert {item["verdict"] for item in findings} == {"fail"}
        assert "sum() cannot take string, only array-number" in findings[0]["evidence"]
        assert "confidential" not in "".join(item["evidence"] for item in findings)


def test_a_number_that_is_none_fails_its_rule_alone(view):
    """Whoever labels an object must not end the run of others: 1e999 is infinite, and no integer."""
    view.snapshot.objects[("deployments", "agents")][0]["metadata"]["labels"] = {"build": "1e999"}
    made = rule(**{"assert": "ceil(to_number(metadata.labels.build)) > `3`"})
    findings, _complete = run_checks([as_check(made)], view)
    texts = [item["evidence"] for item in findings if item["verdict"] == "fail"]
    assert any("OverflowError" in text for text in texts), texts


@pytest.mark.parametrize(("value", "true"), [(0, True), ("", False), ([], False), ({}, False), (None, False), (False, False), ("0", True), ([0], True)])  # fmt: skip
def test_truth_is_that_of_jmespath(value, true):
    assert truth(value) is true


def test_values_of_secrets_are_never_visible(view):
    """No expression finds the value: not in data, not in what kubectl left in the annotation (D6)."""
    secret = view.snapshot.objects[("secrets", "monitor")][0]
    secret["stringData"] = {"BOT_TOKEN": TOKEN}
    secret["metadata"]["annotations"] = {
        "kubectl.kubernetes.io/last-applied-configuration": json.dumps(secret),
        "a": "b",
    }
    for expression in (
        "data",
        "stringData",
        f"contains(to_string(@), '{b64(TOKEN)}')",
        f"contains(to_string(@), '{TOKEN}')",
    ):
        (first, *_rest) = judged(view, kind="Secret", **{"assert": expression})[0]
        assert first[0] == "fail"
    assert judged(view, kind="Secret", **{"assert": "keys && type == 'Opaque' && kind == 'Secret'"})[0][0][0] == "pass"
    assert secret["data"]["BOT_TOKEN"] == b64(TOKEN)  # the checks still compare it


def test_rules_are_chosen_like_checks():
    """Family user and a rule's id select; without a selection everything runs."""
    made = (as_check(rule()), as_check(rule(id="user/b")))
    assert {item.id for item in select(["user"], [], probe_delivery=False, rules=made)} == {"user/owner", "user/b"}
    assert [item.id for item in select([], ["user/b"], probe_delivery=False, rules=made)] == ["user/b"]
    assert made[0] in select([], [], probe_delivery=False, rules=made)
    with pytest.raises(PlatformError, match="user/c"):
        select([], ["user/c"], probe_delivery=False, rules=made)


# -- other kinds ---------------------------------------------------------------------------------------------------


class Lists:
    """An API server that answers from a dict; what is missing is forbidden."""

    def __init__(self, answers: dict) -> None:
        self.answers = answers
        self.asked: list[str] = []

    def each(self, function, items):
        return [function(item) for item in items]

    def items(self, path, **_params):
        self.asked.append(path)
        if path not in self.answers:
            raise ApiError(403, "forbidden", {})
        if isinstance(self.answers[path], Exception):
            raise self.answers[path]
        return self.answers[path], "1"

    def find(self, path):
        self.asked.append(path)
        return self.answers.get(path)


def named(name: str) -> dict:
    return {"metadata": {"name": name}}


def test_another_kind_is_listed_once_a_namespace(view):
    base = "/apis/policy/v1/namespaces"  # of PodDisruptionBudget, which no check of ours reads
    lists = Lists({f"{base}/monitor/poddisruptionbudgets": [named("deny")]})
    made = [
        rule(kind="PodDisruptionBudget"),
        rule(kind="PodDisruptionBudget", id="user/b"),
        rule(kind="Pod", id="user/c"),
    ]
    collect_extra(lists, view, [item.listing for item in made])
    assert sorted(lists.asked) == [f"{base}/agents/poddisruptionbudgets", f"{base}/monitor/poddisruptionbudgets"]
    verdicts, complete = judged(view, kind="PodDisruptionBudget", **{"assert": "kind == 'PodDisruptionBudget'"})
    assert (verdicts, complete) == ([("pass", "deny", ""), ("skip", "agents", "")], False)


def test_a_foreign_kind_is_looked_up(view):
    resources = {
        "resources": [
            {"name": "things/status", "kind": "Thing"},
            {"name": "things", "kind": "Thing", "namespaced": True},
        ]
    }
    lists = Lists(
        {
            "/apis/x.io/v1": resources,
            "/apis/x.io/v1/namespaces/monitor/things": [named("t")],
            "/apis/x.io/v1/namespaces/agents/things": [],
        }
    )
    changes = {"kind": "Thing", "api_version": "x.io/v1", "assert": "apiVersion == 'x.io/v1'"}
    collect_extra(lists, view, [rule(**changes).listing])
    assert judged(view, **changes) == ([("pass", "t", "")], True)


def test_a_foreign_kind_of_the_cluster_is_listed_once(view):
    lists = Lists(
        {"/apis/x.io/v1": {"resources": [{"name": "zones", "kind": "Zone"}]}, "/apis/x.io/v1/zones": [named("z")]}
    )
    changes = {"kind": "Zone", "api_version": "x.io/v1", "assert": "metadata.name"}
    collect_extra(lists, view, [rule(**changes).listing])
    assert judged(view, **changes) == ([("pass", "z", "")], True)
    assert lists.asked.count("/apis/x.io/v1/zones") == 1


@pytest.mark.parametrize("answers", [{}, {"/apis/x.io/v1": {"resources": []}}])
def test_a_kind_that_is_not_served_is_skipped_with_the_reason(view, answers):
    changes = {"kind": "Thing", "api_version": "x.io/v1"}
    collect_extra(Lists(answers), view, [rule(**changes).listing])
    findings, complete = run_checks([as_check(rule(**changes))], view)
    assert not complete
    assert findings[0]["evidence"] == "the API server has no kind Thing of x.io/v1"


def test_an_api_server_that_drops_the_list_is_a_reason(view):
    path = "/apis/rbac.authorization.k8s.io/v1/clusterroles"
    collect_extra(Lists({path: ClusterError("no answer")}), view, [rule(kind="ClusterRole").listing])
    findings, complete = run_checks([as_check(rule(kind="ClusterRole"))], view)
    assert (findings[0]["evidence"], complete) == ("no answer", False)


def test_namespaces_in_view_need_no_call(view):
    lists = Lists({})
    changes = {"kind": "Namespace", "assert": "metadata.name"}
    collect_extra(lists, view, [rule(**changes).listing])
    assert lists.asked == []
    assert judged(view, **changes)[0] == [("pass", "", "")]
    view.snapshot.namespaces["agents"] = {}
    collect_extra(lists, view, [rule(**changes).listing])
    assert judged(view, **changes)[1] is False


def test_lists_that_the_checks_read_are_shared():
    """A rule for Pods costs no second list of pods; the kinds of the snapshot are all known."""
    shared = {listing(kind).key for kind in BUILT_IN if listing(kind).listed_anyway}
    assert {"pods", "deployments", "secrets", "configmaps", "services"} <= shared <= set(RESOURCES)

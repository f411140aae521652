# SPDX-License-Identifier: GPL-3.0-or-later
# SPDX-FileCopyrightText: 2026 The orchestrator.platform authors
"""Manifests with and without the sidecar, from file to file: the module's own decision, and exactly undone (D1, DM-102)."""

from __future__ import annotations

import copy
import json

import pytest
import yaml
from ansible.errors import AnsibleFilterError
from ansible_collections.orchestrator.platform.plugins.filter.with_sidecar import with_sidecar
from ansible_collections.orchestrator.platform.plugins.filter.without_sidecar import without_sidecar
from ansible_collections.orchestrator.platform.plugins.module_utils._errors import ManifestError
from ansible_collections.orchestrator.platform.plugins.module_utils._manifests import decide, remove
from ansible_collections.orchestrator.platform.plugins.module_utils._sidecar import plan_present
from ansible_collections.orchestrator.platform.plugins.module_utils._workloads import KINDS, dig, pod_spec
from ansible_collections.orchestrator.platform.plugins.module_utils._yaml import (
    locate_objects,
    read_text,
    write_text,
)
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from .conftest import HASH
from .strategies import manifests, of_kind
from .test_sidecar import NATIVE, WORKLOADS, apply, workload

PROPERTY = settings(max_examples=100, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
JOB = """\
# The comment of a careful person.
apiVersion: batch/v1
kind: Job
metadata:
  generateName: agent-
spec:
  template:
    spec:
      restartPolicy: Never
      containers:
        - name: agent
          image: "agent:1"
---
apiVersion: v1
kind: ConfigMap
metadata: {name: other}
data:
  number: "1e3"
  truth: "y"
  day: 2026-01-01
  text: |
    two
    lines
"""


# -- properties -----------------------------------------------------------------------------------------------------


@PROPERTY
@given(case=manifests())
def test_without_after_with_is_identity(snippet, case):
    _kind, obj, option, _other = case
    before = copy.deepcopy(obj)
    plan, after = decide(obj, snippet, option)
    assert (after == obj) is (plan.outcome != "injected")
    assert remove(after) == obj == before


@PROPERTY
@given(case=manifests())
def test_with_after_with_changes_nothing(snippet, case):
    _kind, obj, option, _other = case
    plan, after = decide(obj, snippet, option)
    again, same = decide(after, snippet, option)
    assert same == after
    assert again.code == ("unchanged" if plan.outcome == "injected" else plan.code)


@PROPERTY
@given(case=manifests())
def test_another_snippet_is_remove_then_inject(snippet, case):
    _kind, obj, first, second = case
    newer = snippet._replace(hash="b" * 64, watcher={**snippet.watcher, "image": "discord-monitor:2"})
    plan, after = decide(obj, snippet, first)
    changed, result = decide(after, newer, second)
    fresh_plan, fresh = decide(obj, newer, second)
    if fresh_plan.outcome == "injected":
        assert result == fresh
        assert changed.code == ("updated" if plan.outcome == "injected" else "injected")


@PROPERTY
@given(case=manifests())
def test_the_file_gets_what_the_cluster_would_get(snippet, case):
    """The merge of the module's own patch, item by item."""
    kind, obj, option, _other = case
    plan, after = decide(obj, snippet, option)
    if plan.outcome == "injected":
        body = plan_present(obj, kind, snippet, option).body
        live = apply({**obj, "metadata": {**obj["metadata"]}}, body)
        assert pod_spec(after, kind) == pod_spec(live, kind)


@PROPERTY
@given(case=manifests())
def test_text_and_objects_give_the_same(snippet_document, case):
    _kind, obj, option, _other = case
    form = "native" if option.native else "container"
    arguments = {"form": form, "bridge": option.bridge}
    try:
        objects = with_sidecar([obj], snippet_document, **arguments)
    except AnsibleFilterError:
        return
    text = with_sidecar(write_text([obj]), snippet_document, **arguments)
    assert [item.obj for item in read_text(text)] == objects
    assert [item.obj for item in read_text(without_sidecar(text))] == [obj]


texts = st.one_of(st.text(), st.from_regex(r"[-+]?[0-9][0-9_.:e+-]*", fullmatch=True), st.sampled_from(["y", "No", "~", "=", "2026-01-01", "0x1F", "0o17", "1e3", ".inf", "null"]))  # fmt: skip


@settings(deadline=None)
@given(value=st.dictionaries(texts, st.one_of(texts, st.lists(texts), st.integers(), st.booleans())))
def test_yaml_keeps_every_text_a_text(value):
    written = write_text([value])
    assert read_text(written)[0].obj == value
    assert yaml.safe_load(written) == value


# -- filters ----------------------------------------------------------------------------------------------------------


def test_job_in_a_file(snippet_document):
    """D3: what no cluster holds yet is open to change, Jobs and names that the server will make too."""
    after = read_text(with_sidecar(JOB, snippet_document))
    spec = pod_spec(after[0].obj, "Job")
    assert [(item["name"], item["restartPolicy"]) for item in spec["initContainers"]] == [("discord-watcher", "Always")]
    assert after[1].obj["data"] == {"number": "1e3", "truth": "y", "day": "2026-01-01", "text": "two\nlines\n"}
    assert after[0].obj["metadata"]["generateName"] == "agent-"


def test_numbers_and_truth_values_stay_quoted(snippet_document):
    """Another parser takes 1e3 for a number and y for true."""
    text = with_sidecar(JOB, snippet_document)
    assert "number: '1e3'" in text
    assert "truth: 'y'" in text
    assert "text: |" in text


def test_text_without_a_change_keeps_its_comments(snippet_document):
    quiet = JOB.replace(
        "generateName: agent-", "generateName: agent-\n  annotations: {orchestrator.platform/inject: 'false'}"
    )
    assert with_sidecar(quiet, snippet_document) == quiet
    assert without_sidecar(JOB) == JOB


def test_lists_are_walked(snippet_document):
    given_list = {"apiVersion": "v1", "kind": "List", "items": [workload("plain"), {"kind": "Service"}]}
    after = with_sidecar(given_list, snippet_document)
    assert "initContainers" in pod_spec(after["items"][0], "Deployment")
    assert after["items"][1] == {"kind": "Service"}
    assert without_sidecar(after) == given_list


@pytest.mark.parametrize("shape", ["config map", "document", "text"])
def test_snippet_in_any_of_its_shapes(shape, snippet_document):
    text = json.dumps(snippet_document)
    config_map = {"kind": "ConfigMap", "data": {"snippet.json": text, "hash": HASH}}
    given_snippet = {"config map": config_map, "document": snippet_document, "text": text}[shape]
    after = with_sidecar(workload("plain"), given_snippet)
    found = dig(after, "spec", "template", "metadata", "annotations", "orchestrator.platform/snippet-hash")
    assert (found == HASH) is (shape == "config map")
    assert len(found) == 64


def test_namespace_in_the_same_text_opts_out(snippet_document):
    namespace = {"kind": "Namespace", "metadata": {"name": "agents", "annotations": {"orchestrator.platform/inject": "false"}}}  # fmt: skip
    documents = [namespace, workload("plain")]
    assert with_sidecar(documents, snippet_document) == documents


@pytest.mark.parametrize(
    ("documents", "arguments", "said"),
    [
        ("a: [", {}, "is not YAML"),
        (JOB, {"form": "auto"}, "native, container"),
        (JOB, {"overrides": {"image": "A B"}}, "image reference"),
        (JOB, {"overrides": {"x": 1}}, "no override x"),
        (JOB, {"container": "nope"}, r"Job agent-: There is no container nope"),
        ({"apiVersion": "v1", "kind": "Pod", "spec": {}}, {}, "no containers"),
        ({"apiVersion": "v1", "kind": "Pod", "spec": {"containers": [{}]}}, {}, "no containers, or items without"),
        ({"apiVersion": "v1", "kind": "Pod", "spec": {"containers": "x"}}, {}, "no containers"),
    ],
)
def test_bad_input_is_one_sentence(documents, arguments, said, snippet_document):
    with pytest.raises(AnsibleFilterError, match=said):
        with_sidecar(documents, snippet_document, **arguments)


def test_bridge_that_is_not_published(snippet_document):
    with pytest.raises(AnsibleFilterError, match=r"set inputBridge\.enabled"):
        with_sidecar(JOB, {**snippet_document, "bridge": None}, bridge=True)


def test_changed_note_is_refused(snippet_document):
    after = with_sidecar(workload("plain"), snippet_document)
    after["metadata"]["annotations"]["orchestrator.platform/added"] = "x"
    with pytest.raises(AnsibleFilterError, match="by hand"):
        without_sidecar(after)


@pytest.mark.parametrize("name", WORKLOADS)
def test_live_workload_is_cleaned_by_names(name, snippet):
    """What the module has injected carries no note: its managed fields are the server's."""
    obj = workload(name)
    kind = obj["kind"]
    live = apply(obj, plan_present(obj, kind, snippet, NATIVE).body)
    del live["metadata"]["managedFields"]
    assert pod_spec(without_sidecar(live), kind) == pod_spec(obj, kind)


def test_every_kind_can_be_in_a_file(snippet_document):
    for kind in KINDS:
        obj = of_kind(kind, {"spec": {"containers": [{"name": "agent", "image": "x:1"}]}})
        after = with_sidecar(obj, snippet_document)
        assert pod_spec(after, kind)["initContainers"][0]["name"] == "discord-watcher"
        assert without_sidecar(after) == obj


# -- lines --------------------------------------------------------------------------------------------------------------


def test_every_object_knows_its_line():
    text = JOB + "---\n---\napiVersion: v1\nkind: List\nitems:\n  - kind: A\n  -\n    kind: B\n"
    assert [(item.obj["kind"], item.line) for item in locate_objects(text)] == [
        ("Job", 2), ("ConfigMap", 14), ("A", 29), ("B", 31),
    ]  # fmt: skip


def test_wrong_yaml_names_file_and_line():
    with pytest.raises(ManifestError, match=r"^x\.yaml, line 3 is not YAML"):
        list(locate_objects("a: 1\nb: [\n", "x.yaml"))
    with pytest.raises(ManifestError, match="line 1: the document is no Kubernetes object but a list"):
        list(locate_objects("- a\n", "x.yaml"))

# SPDX-License-Identifier: GPL-3.0-or-later
# SPDX-FileCopyrightText: 2026 The orchestrator.platform authors
"""What a real API server makes of the CRDs (OR-346, OR-A19…OR-A23)."""

from __future__ import annotations

import copy
import json

import pytest
import yaml

from real_cluster import ROOT

testinfra_hosts = ["local://"]

CRDS = ROOT / "charts" / "orchestrator"
COMBINED = CRDS / "crds-combined" / "platform-crds.yaml"
CODE_REQUIRED = ["taskId", "service", "repositoryUrl", "docsRepositoryUrl", "model", "githubUser"]
DOCS_REQUIRED = ["repositoryUrl", "workingDirectory", "sourceBranch", "model", "githubUser"]


def changed(run, path, value, name="changed"):
    """A copy of the run with another name and value at a dotted path; None takes the key out."""
    out = copy.deepcopy(run)
    out["metadata"]["name"] = name
    *above, last = path.split(".")
    place = out
    for key in above:
        place = place.setdefault(key, {})
    if value is None:
        del place[last]
    else:
        place[last] = value
    return out


@pytest.fixture
def code(runs, fixtures):
    """A CodeRun that is really there, and gone after the test."""
    run = changed(fixtures["most"], "metadata.labels", {"test": "code"}, "code")
    runs.delete("coderun", "code")
    yield runs.create(run)
    runs.delete("coderun", "code")


def test_the_crds_are_ours(cluster):
    """D10: as the role has brought them, by server-side apply and never by Helm. The first here: tests below apply their own."""
    for name in ("coderuns.orchestrator.platform", "docsruns.orchestrator.platform"):
        crd = json.loads(cluster.kubectl("get", "crd", name, "--output=json", "--show-managed-fields"))
        entries = [(entry["manager"], entry["operation"]) for entry in crd["metadata"]["managedFields"]]
        assert ("orchestrator.platform", "Apply") in entries
        assert "helm" not in {manager for manager, _operation in entries}


@pytest.mark.parametrize("name", ["coderuns", "docsruns"])
def test_established(cluster, name):
    """OR-206, D10: names accepted and served."""
    conditions = json.loads(cluster.kubectl("get", "crd", f"{name}.orchestrator.platform", "--output=json"))["status"][
        "conditions"
    ]
    assert {(c["type"], c["status"]) for c in conditions} == {("Established", "True"), ("NamesAccepted", "True")}


@pytest.mark.parametrize("file", ["crds-combined/platform-crds.yaml", "crds"])
def test_both_forms_are_one(cluster, file):
    """OR-207, OR-A18: after the combined file the single ones change nothing, and the other way round."""
    apply = ["apply", "--server-side", "--force-conflicts", "--field-manager=orchestrator.platform", "--filename"]

    def versions():
        names = ["coderuns.orchestrator.platform", "docsruns.orchestrator.platform"]
        found = json.loads(cluster.kubectl("get", "crd", *names, "--output=json"))["items"]
        return [crd["metadata"]["resourceVersion"] for crd in found]

    cluster.kubectl(*apply, str(COMBINED))
    before = versions()
    cluster.kubectl(*apply, str(CRDS / file))
    assert versions() == before


@pytest.mark.parametrize(
    ("name", "field"), [*(("least", f) for f in CODE_REQUIRED), *(("docs", f) for f in DOCS_REQUIRED)]
)
def test_a_required_field_is_missed(runs, fixtures, name, field):
    """OR-219…OR-239, OR-259…OR-263: each by its name."""
    with pytest.raises(AssertionError, match=rf"spec\.{field}: Required value"):
        runs.try_out(changed(fixtures[name], f"spec.{field}", None))


@pytest.mark.parametrize("name", ["least", "docs"])
def test_a_run_needs_a_spec(runs, fixtures, name):
    """OR-208."""
    with pytest.raises(AssertionError, match="spec: Required value"):
        runs.try_out(changed(fixtures[name], "spec", None))


@pytest.mark.parametrize("name", ["least", "most", "docs", "old-code", "old-docs"])
def test_runs_old_and_new_are_valid(runs, fixtures, name):
    """OR-274, OR-A20…OR-A23: strictly, so no field of the fixtures is unknown; nothing but the status is taken away."""
    found = runs.try_out(fixtures[name], "--validate=strict")
    assert fixtures[name]["spec"].items() <= found["spec"].items()
    assert "status" not in found


def test_defaults_appear(runs, fixtures):
    """OR-224, OR-230, OR-232, OR-233; a folder is not among them, the controller knows the service's name."""
    spec = runs.try_out(fixtures["least"])["spec"]
    assert {k: v for k, v in spec.items() if k not in fixtures["least"]["spec"]} == {
        "docsBranch": "main",
        "contextVersion": 1,
        "continueSession": False,
        "overwriteMemory": False,
    }


@pytest.mark.parametrize("field", ["tools", "platformBranch", "resumeSession", "unheardOf"])
def test_unknown_fields_are_dropped(runs, fixtures, field):
    """OR-346, OR-274: fields of other generations of the CRD do no harm, and kubectl's own check names them."""
    run = changed(fixtures["least"], f"spec.{field}", "x")
    assert field not in runs.try_out(run, "--validate=ignore")["spec"]
    with pytest.raises(AssertionError, match=f'unknown field "spec.{field}"'):
        runs.try_out(run, "--validate=strict")


@pytest.mark.parametrize(
    ("path", "value", "says"),
    [
        ("spec.taskId", 0, "should be greater than or equal to 1"),
        ("spec.taskId", -1, "should be greater than or equal to 1"),
        ("spec.taskId", "7", "must be of type integer"),
        ("spec.contextVersion", 0, "should be greater than or equal to 1"),
        ("spec.continueSession", "yes", "must be of type boolean"),
        ("spec.env", {"A": 1}, "must be of type string"),
        ("spec.envFromSecrets", [{"name": "A", "secretName": "b"}], r"secretKey: Required value"),
    ],
)
def test_wrong_values_are_refused(runs, fixtures, path, value, says):
    """OR-219, OR-230…OR-238, OR-A22: with the field and the reason."""
    with pytest.raises(AssertionError, match=f"(?s){path}.*{says}"):
        runs.try_out(changed(fixtures["least"], path, value))


def test_status_comes_through_its_subresource_only(runs, code, cluster, namespace):
    """OR-206, OR-346: neither a creation nor a patch of the object writes it, the subresource does, and leaves the spec alone."""
    assert "status" not in code
    patch = ["patch", "coderun", "code", "--namespace", namespace, "--type=merge", "--output=json", "--patch"]
    found = json.loads(cluster.kubectl(*patch, '{"status": {"phase": "Running"}, "spec": {"service": "other"}}'))
    assert ("status" in found, found["spec"]["service"]) == (False, "other")
    patch.insert(1, "--subresource=status")
    found = json.loads(cluster.kubectl(*patch, '{"status": {"phase": "Running"}, "spec": {"service": "third"}}'))
    assert (found["status"], found["spec"]["service"]) == ({"phase": "Running"}, "other")


@pytest.mark.parametrize("name", ["old-code", "most"])
def test_every_field_of_the_status_is_kept(runs, code, fixtures, name):
    """OR-240…OR-256, OR-A23: among them workCompleted, without which a finished run would start again."""
    wanted = fixtures[name]["status"]
    assert runs.status("coderun", "code", wanted)["status"].items() >= wanted.items()


@pytest.mark.parametrize("name", ["old-docs", "docs"])
def test_every_field_of_a_docs_runs_status_is_kept(runs, fixtures, name):
    """OR-264…OR-272, OR-A23."""
    runs.delete("docsrun", name)
    runs.create(fixtures[name])
    assert runs.status("docsrun", name, fixtures[name]["status"])["status"] == fixtures[name]["status"]
    runs.delete("docsrun", name)


@pytest.mark.parametrize(
    ("status", "says"),
    [
        ({"retryCount": -1}, "should be greater than or equal to 0"),
        ({"lastUpdate": "yesterday"}, "must be of type date-time"),
        ({"conditions": [{"type": "A", "status": "Maybe"}]}, "Unsupported value"),
        ({"conditions": [{"type": "A", "status": "True", "lastTransitionTime": "noon"}]}, "must be of type date-time"),
        ({"conditions": [{"status": "True"}]}, "Required value"),
        ({"conditions": [{"type": "A", "status": "True"}, {"type": "A", "status": "False"}]}, "Duplicate value"),
    ],
)
def test_a_wrong_status_is_refused(runs, code, status, says):
    """OR-242, OR-245…OR-249, OR-A22."""
    with pytest.raises(AssertionError, match=says):
        runs.status("coderun", "code", status)


def test_two_writers_share_the_conditions(cluster, code, namespace):
    """OR-A22: a list map by type, so that a second field manager adds its condition instead of replacing the first one's."""

    def apply(manager, kind):
        given = {
            "apiVersion": code["apiVersion"], "kind": "CodeRun", "metadata": {"name": "code"},
            "status": {"conditions": [{"type": kind, "status": "True"}]},
        }  # fmt: skip
        argv = [
            "apply",
            "--server-side",
            "--subresource=status",
            f"--field-manager={manager}",
            "--namespace",
            namespace,
        ]
        return json.loads(cluster.kubectl(*argv, "--filename=-", "--output=json", stdin=json.dumps(given)))

    apply("one", "Running")
    found = apply("two", "Watched")["status"]["conditions"]
    assert [c["type"] for c in found] == ["Running", "Watched"]


@pytest.mark.parametrize("name", ["coderuns", "coderun", "cr", "crun", "coderuns.orchestrator.platform"])
def test_names_and_columns_of_a_code_run(cluster, runs, code, namespace, name):
    """OR-213…OR-218, OR-A19."""
    runs.status("coderun", "code", {"phase": "Running"})
    header, row = (line.split() for line in cluster.kubectl("get", name, "code", "--namespace", namespace).splitlines())
    assert header == ["NAME", "TASK", "SERVICE", "MODEL", "PHASE", "AGE"]
    assert row[:-1] == ["code", "9007199254740991", "api", "claude-sonnet-4-20250514", "Running"]


@pytest.mark.parametrize("name", ["docsruns", "dr", "drun"])
def test_names_and_columns_of_a_docs_run(cluster, runs, fixtures, namespace, name):
    """OR-213, OR-257, OR-258, OR-A19."""
    runs.delete("docsrun", "docs")
    runs.create(fixtures["docs"])
    header, _row = (
        line.split() for line in cluster.kubectl("get", name, "docs", "--namespace", namespace).splitlines()
    )
    assert header == ["NAME", "PHASE", "AGE"]
    runs.delete("docsrun", "docs")


def test_explain_knows_the_fields(cluster):
    """A user learns of a field without the documents."""
    assert "Secrets github-ssh-<user>" in cluster.kubectl("explain", "coderuns.spec.githubUser")


def test_the_documented_command_updates_what_helm_made(cluster):
    """OR-A17: Helm owns the CRDs of a first install; the command of the guide and of NOTES gets past that, a plain apply does not."""
    apply = ["apply", "--server-side", "--filename=-"]
    text = COMBINED.read_text(encoding="utf-8")
    cluster.kubectl(
        *apply, "--force-conflicts", "--field-manager=helm", stdin=text.replace("spec.taskId", "spec.service")
    )
    with pytest.raises(AssertionError, match='conflict with "helm"'):
        cluster.kubectl(*apply, stdin=text)
    cluster.kubectl(*apply, "--force-conflicts", stdin=text)
    found = json.loads(cluster.kubectl("get", "crd", "coderuns.orchestrator.platform", "--output=json"))
    assert found["spec"]["versions"][0]["additionalPrinterColumns"][0]["jsonPath"] == ".spec.taskId"
    guide = (ROOT / "docs" / "chart-orchestrator.md").read_text(encoding="utf-8")
    assert "kubectl apply --server-side --force-conflicts -f charts/orchestrator/crds-combined" in guide


def loosened(schema):
    """A schema without what OR-A22 added, and without the field of OR-A23."""
    added = ("format", "minimum", "enum", "x-kubernetes-list-type", "x-kubernetes-list-map-keys")
    out = {key: value for key, value in schema.items() if key not in added}
    if "properties" in out:
        out["properties"] = {k: loosened(field) for k, field in out["properties"].items() if k != "workCompleted"}
    if "items" in out:
        out["items"] = loosened(out["items"])
    return out


def test_objects_of_the_first_crds_live_on(cluster, runs, fixtures, namespace):
    """OR-A20…OR-A23, D10: made under CRDs without the tightening, they can be read and changed under these."""
    apply = ["apply", "--server-side", "--force-conflicts", "--field-manager=orchestrator.platform", "--filename=-"]
    first = list(yaml.safe_load_all(COMBINED.read_text(encoding="utf-8")))
    for crd in first:
        version = crd["spec"]["versions"][0]
        version["schema"]["openAPIV3Schema"] = loosened(version["schema"]["openAPIV3Schema"])
    old = {"coderun": "old-code", "docsrun": "old-docs"}
    try:
        cluster.kubectl(*apply, stdin=yaml.safe_dump_all(first))
        for kind, name in old.items():
            runs.delete(kind, name)
            runs.create(fixtures[name])
            runs.status(kind, name, fixtures[name]["status"])
    finally:
        cluster.kubectl(*apply, stdin=COMBINED.read_text(encoding="utf-8"))
    for kind, name in old.items():
        found = runs.status(kind, name, {"message": "still here", "workCompleted": True})
        assert found["status"] == fixtures[name]["status"] | {"message": "still here", "workCompleted": True}
        runs.delete(kind, name)

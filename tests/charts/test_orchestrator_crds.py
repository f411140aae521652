# SPDX-License-Identifier: GPL-3.0-or-later
# SPDX-FileCopyrightText: 2026 The orchestrator.platform authors
"""The CRDs as files: each field of the plan is there, the tightening stays compatible, both forms are equal.

What an API server makes of them is tested in molecule/orchestrator.
"""

from __future__ import annotations

import pytest
import renderings as r
import yaml

CRDS = r.ORCHESTRATOR / "crds"
FILES = {"CodeRun": CRDS / "coderun-crd.yaml", "DocsRun": CRDS / "docsrun-crd.yaml"}

# (path, type, required, default) of OR-219…OR-272; the format or bound behind it is OR-A22's.
CODE_SPEC = {
    "taskId": ("integer", True, None), "service": ("string", True, None), "repositoryUrl": ("string", True, None),
    "docsRepositoryUrl": ("string", True, None), "docsProjectDirectory": ("string", False, None), "docsBranch": ("string", False, "main"),
    "workingDirectory": ("string", False, None),  # OR-A20
    "model": ("string", True, None), "githubUser": ("string", True, None), "localTools": ("string", False, None),
    "remoteTools": ("string", False, None), "contextVersion": ("integer", False, 1), "promptModification": ("string", False, None),
    "continueSession": ("boolean", False, False), "overwriteMemory": ("boolean", False, False), "env": ("object", False, None),
    "envFromSecrets": ("array", False, None),
}  # fmt: skip
DOCS_SPEC = dict.fromkeys(
    ("repositoryUrl", "workingDirectory", "sourceBranch", "model", "githubUser"), ("string", True, None)
)
SHARED_STATUS = {
    "phase": "string", "message": "string", "lastUpdate": "string", "jobName": "string", "pullRequestUrl": "string",
    "conditions": "array", "configmapName": "string", "workCompleted": "boolean",
}  # fmt: skip
CODE_STATUS = {
    **SHARED_STATUS, "retryCount": "integer", "contextVersion": "integer", "promptModification": "string", "promptMode": "string",
    "sessionId": "string",
}  # fmt: skip
COLUMNS = {
    "CodeRun": [
        ("Task", "integer", ".spec.taskId"), ("Service", "string", ".spec.service"), ("Model", "string", ".spec.model"),
        ("Phase", "string", ".status.phase"), ("Age", "date", ".metadata.creationTimestamp"),
    ],
    "DocsRun": [("Phase", "string", ".status.phase"), ("Age", "date", ".metadata.creationTimestamp")],
}  # fmt: skip
BOTH = pytest.mark.parametrize("kind", FILES)


def crd(kind):
    return yaml.safe_load(FILES[kind].read_text(encoding="utf-8"))


def part(kind, name):
    return crd(kind)["spec"]["versions"][0]["schema"]["openAPIV3Schema"]["properties"][name]


def test_single_files_equal_the_combined_one():
    """OR-207, OR-A18: the combined file has no text of its own, and stands outside crds/, so that nothing is applied twice."""
    combined = (r.ORCHESTRATOR / "crds-combined" / "platform-crds.yaml").read_text(encoding="utf-8")
    assert list(yaml.safe_load_all(combined)) == [crd(kind) for kind in FILES]
    bodies = [file.read_text(encoding="utf-8").split("\n\n", 1)[1] for file in FILES.values()]
    assert combined.split("---\n")[1:] == bodies
    assert {file.name for file in CRDS.iterdir()} == {file.name for file in FILES.values()}


@BOTH
def test_names_scope_and_versions(kind):
    """OR-206, OR-209…OR-213, OR-A19: the source's names, and one short name more that nobody else has."""
    plural, short = f"{kind.lower()}s", {"CodeRun": ["cr", "crun"], "DocsRun": ["dr", "drun"]}[kind]
    found = crd(kind)
    assert (found["apiVersion"], found["metadata"]["name"]) == (
        "apiextensions.k8s.io/v1",
        f"{plural}.orchestrator.platform",
    )
    assert (found["spec"]["group"], found["spec"]["scope"]) == ("orchestrator.platform", "Namespaced")
    assert found["spec"]["names"] == {"kind": kind, "plural": plural, "singular": kind.lower(), "shortNames": short}
    [version] = found["spec"]["versions"]
    assert (version["name"], version["served"], version["storage"], version["subresources"]) == (
        "v1",
        True,
        True,
        {"status": {}},
    )


@BOTH
def test_printer_columns(kind):
    """OR-214…OR-218, OR-257, OR-258."""
    columns = crd(kind)["spec"]["versions"][0]["additionalPrinterColumns"]
    assert [(c["name"], c["type"], c["jsonPath"]) for c in columns] == COLUMNS[kind]


@pytest.mark.parametrize(("kind", "wanted"), [("CodeRun", CODE_SPEC), ("DocsRun", DOCS_SPEC)])
def test_fields_of_the_spec(kind, wanted):
    """OR-208, OR-219…OR-239, OR-259…OR-263, OR-273, OR-A20, OR-A21: type, required and default of each, and no other field."""
    schema = part(kind, "spec")
    found = {
        name: (field["type"], name in schema["required"], field.get("default"))
        for name, field in schema["properties"].items()
    }
    assert found == wanted
    assert crd(kind)["spec"]["versions"][0]["schema"]["openAPIV3Schema"]["required"] == ["spec"]


def test_environment_of_a_code_run():
    """OR-234…OR-238."""
    fields = part("CodeRun", "spec")["properties"]
    assert fields["env"]["additionalProperties"] == {"type": "string"}
    item = fields["envFromSecrets"]["items"]
    assert item["required"] == list(item["properties"]) == ["name", "secretName", "secretKey"]


@pytest.mark.parametrize(("kind", "wanted"), [("CodeRun", CODE_STATUS), ("DocsRun", SHARED_STATUS)])
def test_fields_of_the_status(kind, wanted):
    """OR-240…OR-256, OR-264…OR-272, OR-A23: types, nothing required, workCompleted kept."""
    schema = part(kind, "status")
    assert {name: field["type"] for name, field in schema["properties"].items()} == wanted
    assert "required" not in schema


@BOTH
def test_conditions(kind):
    """OR-246…OR-251, OR-270, OR-271, OR-A22: a list map by type, three words for the status, a time."""
    conditions = part(kind, "status")["properties"]["conditions"]
    assert (conditions["x-kubernetes-list-type"], conditions["x-kubernetes-list-map-keys"]) == ("map", ["type"])
    item = conditions["items"]
    assert item["required"] == ["type", "status"]
    assert set(item["properties"]) == {"type", "status", "lastTransitionTime", "reason", "message"}
    assert item["properties"]["status"]["enum"] == ["True", "False", "Unknown"]
    assert item["properties"]["lastTransitionTime"]["format"] == "date-time"


def restrictions(schema, path=""):
    """Every keyword besides types, required lists and defaults, with its path."""
    for key in (
        "enum",
        "pattern",
        "format",
        "minimum",
        "maximum",
        "minLength",
        "maxLength",
        "x-kubernetes-list-type",
        "x-kubernetes-validations",
    ):
        if key in schema:
            yield f"{path}:{key}"
    for name, field in schema.get("properties", {}).items():
        yield from restrictions(field, f"{path}.{name}")
    if "items" in schema:
        yield from restrictions(schema["items"], f"{path}[]")


@BOTH
def test_no_more_than_the_agreed_tightening(kind):
    """OR-208, OR-A22: whatever an older object may hold stays valid: a restriction that is not listed here is a break."""
    conditions = {".status.conditions:x-kubernetes-list-type", ".status.conditions[].status:enum", ".status.conditions[].lastTransitionTime:format", ".status.lastUpdate:format"}  # fmt: skip
    numbers = {f"{path}:{key}" for path in (".spec.taskId", ".spec.contextVersion", ".status.retryCount", ".status.contextVersion") for key in ("format", "minimum")}  # fmt: skip
    schema = crd(kind)["spec"]["versions"][0]["schema"]["openAPIV3Schema"]
    assert set(restrictions(schema)) == conditions | (numbers if kind == "CodeRun" else set())


@BOTH
def test_every_field_is_described(kind):
    """`kubectl explain` answers for each field."""

    def bare(schema, path):
        for name, field in schema.get("properties", {}).items():
            if not field.get("description"):
                yield f"{path}.{name}"
            yield from bare(field.get("items", field), f"{path}.{name}")

    assert list(bare(crd(kind)["spec"]["versions"][0]["schema"]["openAPIV3Schema"], "")) == []

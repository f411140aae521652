# SPDX-License-Identifier: GPL-3.0-or-later
# SPDX-FileCopyrightText: 2026 The orchestrator.platform authors
"""Module sidecar_info on a cluster made of dictionaries and on files: the same answers as module sidecar, no writes (D2, D5)."""

from __future__ import annotations

import types

import pytest
from ansible_collections.orchestrator.platform.plugins.module_utils._errors import ApiError, PlatformError
from ansible_collections.orchestrator.platform.plugins.module_utils._survey import FileSurvey, Survey
from ansible_collections.orchestrator.platform.plugins.modules import sidecar_info

from . import test_sidecar_module as sidecar
from .conftest import FIXTURES, HASH
from .test_sidecar_module import FakeCluster


@pytest.fixture
def cluster(snippet_document):
    return FakeCluster(snippet_document)


def module(warnings: list[str], **params) -> types.SimpleNamespace:
    defaults = {key: spec.get("default") for key, spec in sidecar_info.ARGUMENT_SPEC.items()}
    return types.SimpleNamespace(params={**defaults, **params}, check_mode=False, _diff=False, warn=warnings.append)


def survey(cluster: FakeCluster, **params) -> dict:
    warnings: list[str] = []
    result = Survey(module(warnings, **{"namespaces": ["agents"], **params}), cluster).result()
    return {**result, "warnings": warnings}


def files(**params) -> dict:
    def no_cluster():
        raise AssertionError("the cluster is not asked")

    return FileSurvey(module([], **params), no_cluster).result()


def test_says_what_the_module_then_does(cluster):
    foretold = survey(cluster)
    assert cluster.sent == []
    done = sidecar.run(cluster)
    keys = ("kind", "namespace", "name", "outcome", "code")
    assert [[row[key] for key in keys] for row in foretold["workloads"]] == [
        [row[key] for key in keys] for row in done["workloads"]
    ]
    assert all("would be added" in row["message"] for row in foretold["workloads"])
    after = survey(cluster)
    assert {row["code"] for row in after["workloads"]} == {"unchanged"}
    assert {(row["injected"], row["form"], row["snippet_hash"], row["outdated"]) for row in after["workloads"]} == {
        (True, "native", HASH, False)
    }
    assert after["summary"]["unchanged"] == 3
    assert not after["changed"]


def test_name_that_is_nowhere_is_answered(cluster):
    found = {row["name"]: row["code"] for row in survey(cluster, names=["plain", "typo"])["workloads"]}
    assert found == {"plain": "injected", "typo": "not_found"}


def test_forbidden_namespace_is_answered(cluster, monkeypatch):
    def refuse(*_args, **_params):
        raise ApiError(403, "deployments is forbidden", {})

    monkeypatch.setattr(cluster, "pages", refuse)
    (row,) = survey(cluster)["workloads"]
    assert (row["kind"], row["code"]) == ("Namespace", "forbidden")


def test_namespace_whose_opt_out_cannot_be_known_is_answered_as_the_module_does(cluster):
    sidecar.hide_namespaces(cluster, "agents")
    (row,) = survey(cluster)["workloads"]
    assert (row["kind"], row["code"]) == ("Namespace", "forbidden")
    assert "grant the verb get on namespaces" in row["message"]


def test_pods_that_may_not_be_listed_are_unknown(cluster, monkeypatch):
    items = cluster.items

    def refuse(path, **params):
        if path.endswith("/pods"):
            raise ApiError(403, "pods is forbidden", {})
        return items(path, **params)

    monkeypatch.setattr(cluster, "items", refuse)
    result = survey(cluster)
    assert {str(row["stale_pods"]) for row in result["workloads"]} == {"None"}
    assert "stale_pods is unknown" in result["warnings"][0]


def test_missing_snippet_names_the_remedy():
    with pytest.raises(PlatformError, match="install the chart discord-monitor first"):
        survey(FakeCluster(None))


def test_files_are_read_without_a_cluster(snippet_document, tmp_path):
    (tmp_path / "a.yaml").write_text((FIXTURES / "workloads.yaml").read_text())
    (tmp_path / "notes.txt").write_text("no manifest: [")
    result = files(src=[str(tmp_path)], snippet=snippet_document, names=["nightly", "plain"])
    rows = [(row["name"], row["code"], row["line"]) for row in result["workloads"]]
    assert rows == [("plain", "injected", 4), ("nightly", "injected", 50)]
    assert {row["file"] for row in result["workloads"]} == {str(tmp_path / "a.yaml")}
    assert result["api_calls"] == 0


def test_empty_snippet_is_none(snippet_document):
    with pytest.raises(PlatformError):
        files(definitions=[{"kind": "Service"}], snippet={})


def test_definitions_and_broken_manifests(snippet_document):
    broken = {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "p"}, "spec": {}}
    result = files(definitions=[{"kind": "List", "items": [broken]}, {"kind": "Service"}], snippet=snippet_document)
    (row,) = result["workloads"]
    assert (row["code"], row["file"], row["line"]) == ("invalid", None, None)
    assert "no containers" in row["message"]


@pytest.mark.parametrize("content", [None, b"\xff\xfe\x00"])
def test_file_that_cannot_be_read(content, tmp_path, snippet_document):
    path = tmp_path / "x.yaml"
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(PlatformError, match=r"x\.yaml cannot be read"):
        files(src=[str(path)], snippet=snippet_document)

# SPDX-License-Identifier: GPL-3.0-or-later
# SPDX-FileCopyrightText: 2026 The orchestrator.platform authors
"""Issue 3, item 2: everything is pinned, and a result is named by all that it was made of."""

from __future__ import annotations

import re
import shutil

import pytest
from ansible_collections.orchestrator.platform.tools.toolchain import node_image, pins, programs
from ansible_collections.orchestrator.platform.tools.toolchain.errors import ToolboxError


@pytest.fixture
def pinned(tmp_path):
    """A copy of one pinned module that a test may change."""
    shutil.copytree(pins.GO_FOLDER / "kubeconform", tmp_path / "kubeconform")
    return tmp_path


def test_key_does_not_depend_on_where_a_border_is_moved_to():
    assert pins.key_of("ab", "c") != pins.key_of("a", "bc")


def test_key_is_the_same_for_the_same_parts():
    assert pins.key_of("a", b"b") == pins.key_of(b"a", "b")


@pytest.mark.parametrize("name", sorted(pins.read_versions()["modules"]))
def test_every_module_of_the_table_can_be_read(name):
    module = pins.read_module(name)
    assert len(module.packages) == len(module.programs) > 0


@pytest.mark.parametrize("name", sorted(pins.read_versions()["modules"]))
def test_every_foreign_module_has_sums(name):
    module = pins.read_module(name)
    assert not module.version or (module.folder / "go.sum").stat().st_size > 0


@pytest.mark.parametrize("file", ["go.mod", "go.sum", "tools.go"])
def test_a_change_in_any_pin_changes_the_key(pinned, file):
    before = pins.read_module("kubeconform", folder=pinned).key
    with (pinned / "kubeconform" / file).open("a") as stream:
        stream.write("// changed\n")
    assert pins.read_module("kubeconform", folder=pinned).key != before


def test_a_change_of_the_flags_changes_the_key(pinned):
    versions = pins.read_versions()
    before = pins.read_module("kubeconform", folder=pinned, versions=versions).key
    versions["modules"]["kubeconform"]["ldflags"] = ["-X main.version=other"]
    assert pins.read_module("kubeconform", folder=pinned, versions=versions).key != before


def test_the_key_is_the_same_wherever_the_checkout_lies(pinned):
    assert pins.read_module("kubeconform", folder=pinned).key == pins.read_module("kubeconform").key


def test_version_stamps_carry_the_pinned_version():
    module = pins.read_module("kubernetes-1.36")
    assert f"-X k8s.io/component-base/version.gitVersion={module.version}" in module.ldflags
    assert "-X k8s.io/component-base/version.gitMinor=36" in module.ldflags


def test_an_unknown_module_is_named_with_the_known_ones():
    with pytest.raises(ToolboxError, match=r"No pinned module nonsense.*helm"):
        pins.read_module("nonsense")


def test_a_go_mod_without_a_toolchain_is_an_error():
    with pytest.raises(ToolboxError, match="no `go` line"):
        pins.parse_go_mod("module tools\n")


def test_a_module_of_ours_has_no_version():
    assert pins.parse_go_mod("module pause\n\ngo 1.26.0\n") == ("1.26.0", "")


@pytest.mark.parametrize("version", ["1.36", "1.34"])
def test_the_published_image_is_pinned_by_digest_and_of_the_version_asked_for(version):
    image, module = pins.published_image(version)
    assert re.fullmatch(rf"kindest/node:v{re.escape(version)}\.\d+@sha256:[0-9a-f]{{64}}", image)
    assert pins.read_module(module).version.startswith(f"v{version}.")


def test_a_kubernetes_version_without_pin_is_told_with_the_variable_to_set():
    with pytest.raises(ToolboxError, match=r"kind_cluster_kubernetes_version to one of 1\.34, 1\.36"):
        pins.published_image("1.12")


def test_local_images_of_two_versions_have_two_names():
    assert node_image.local_reference("1.36") != node_image.local_reference("1.34")


@pytest.mark.parametrize("name", programs.tool_names())
def test_every_tool_is_a_program_of_its_module(name):
    assert name in programs.tool_module(name).programs


def test_a_tool_on_request_is_not_built_for_everybody():
    """Helm 4 serves one scenario: nobody else waits for its build, and the folder of all tools keeps its name."""
    assert programs.everyday_names() == ["kind", "kubectl", "helm", "kubeconform"]
    assert set(programs.tool_names()) - set(programs.everyday_names()) == {"helm4"}


def test_an_unknown_tool_is_named_with_the_known_ones():
    with pytest.raises(ToolboxError, match="No tool nonsense is pinned"):
        programs.tool_module("nonsense")


@pytest.mark.parametrize(
    ("text", "expected"),
    [("v20.10.24+dfsg1", (20, 10, 24)), ("1.26", (1, 26)), ("go1.26.8", (1, 26, 8)), ("", ()), ("devel", ())],
)
def test_version_numbers(text, expected):
    assert pins.version_numbers(text) == expected


@pytest.mark.parametrize(
    ("environment", "expected"),
    [({"XDG_CACHE_HOME": "/c"}, "/c/orchestrator-platform"), ({"XDG_CACHE_HOME": "relative"}, None), ({}, None)],
)
def test_the_cache_folder_follows_xdg(environment, expected, monkeypatch, tmp_path):
    monkeypatch.setenv("HOME", str(tmp_path))
    assert str(pins.cache_folder(environment)) == (expected or f"{tmp_path}/.cache/orchestrator-platform")


def test_the_node_image_is_not_renamed_by_a_program_it_does_not_hold():
    assert "helm" not in node_image.module_names("kubernetes-1.36")


@pytest.mark.parametrize(
    ("program", "path"),
    [("kubelet", "usr/bin/kubelet"), ("ctr", "usr/local/bin/ctr"), ("kube-apiserver", ""), ("pause", "")],
)
def test_programs_that_live_in_images_are_not_copied_to_the_node(program, path):
    assert node_image.node_path(program) == path

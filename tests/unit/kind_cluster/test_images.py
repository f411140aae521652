# SPDX-License-Identifier: GPL-3.0-or-later
# SPDX-FileCopyrightText: 2026 The orchestrator.platform authors
"""Issue 3, item 2: images are built when their content changed, and loaded when the node lacks them."""

from __future__ import annotations

import hashlib
import json
import tarfile

import pytest
from ansible_collections.orchestrator.platform.tools.toolchain import archive, images
from ansible_collections.orchestrator.platform.tools.toolchain.errors import ToolboxError


@pytest.fixture
def context(tmp_path):
    (tmp_path / "Dockerfile").write_text("FROM scratch\n")
    (tmp_path / ".dockerignore").write_text("tests\n*.log\n")
    (tmp_path / "src").mkdir()
    (tmp_path / "src" / "main.py").write_text("print()\n")
    (tmp_path / "tests").mkdir()
    (tmp_path / "tests" / "test_main.py").write_text("")
    return tmp_path


def key(context, base="sha256:1", **extra):
    return images.content_key(images.read_request({"name": "x", "context": str(context), **extra}), base)


@pytest.mark.parametrize(
    "change",
    [
        lambda folder: (folder / "src" / "main.py").write_text("print(1)\n"),
        lambda folder: (folder / "src" / "main.py").chmod(0o755),
        lambda folder: (folder / "src" / "main.py").rename(folder / "src" / "other.py"),
        lambda folder: (folder / "Dockerfile").write_text("FROM debian\n"),
        lambda folder: (folder / "src" / "link").symlink_to("main.py"),
    ],
    ids=["content", "mode", "name", "dockerfile", "link"],
)
def test_what_the_image_is_made_of_changes_its_key(context, change):
    before = key(context)
    change(context)
    assert key(context) != before


@pytest.mark.parametrize("extra", [{"target": "demo"}, {"build_args": {"A": "1"}}])
def test_target_and_arguments_change_the_key(context, extra):
    assert key(context) != key(context, **extra)


def test_the_base_image_changes_the_key(context):
    assert key(context) != key(context, base="sha256:2")


@pytest.mark.parametrize("name", ["tests/new.py", "debug.log", "src/__pycache__/main.pyc"])
def test_files_that_are_left_out_do_not_change_the_key(context, name):
    before = key(context)
    (context / name).parent.mkdir(exist_ok=True)
    (context / name).write_text("anything")
    assert key(context) == before


def test_a_context_without_dockerfile_is_named(tmp_path):
    with pytest.raises(ToolboxError, match="kind_cluster_images: x has no Dockerfile"):
        images.read_request({"name": "x", "context": str(tmp_path)})


@pytest.mark.parametrize(
    ("rules", "path", "expected"),
    [
        ("tests", "tests/a/b.py", True),
        ("tests", "src/tests/b.py", False),
        ("**/tests", "src/tests/b.py", True),
        ("**/*.pyc", "a.pyc", True),
        ("**/*.pyc", "src/deep/a.pyc", True),
        ("*.log", "src/a.log", False),
        ("# tests\n\n", "tests/a", False),
        ("src\n!src/main.py", "src/main.py", False),
        ("!src/main.py\nsrc", "src/main.py", True),
        ("src/*", "src/main.py", True),
        ("*", "src/main.py", True),
    ],
)
def test_dockerignore(rules, path, expected):
    assert images.is_left_out(path, images.ignore_rules(rules)) is expected


@pytest.mark.parametrize(
    ("reference", "expected"),
    [
        ("discord-monitor:0.1.0", "docker.io/library/discord-monitor:0.1.0"),
        ("team/app:1", "docker.io/team/app:1"),
        ("registry.example.org/app:1", "registry.example.org/app:1"),
        ("localhost/app:1", "localhost/app:1"),
        ("localhost:5000/app:1", "localhost:5000/app:1"),
    ],
)
def test_the_name_in_the_node(reference, expected):
    assert images.node_reference(reference) == expected


LISTING = """REF TYPE DIGEST SIZE PLATFORMS LABELS
docker.io/library/x:1 application/vnd sha256:0 125.6 MiB linux/amd64 io.cri-containerd.image=managed,orchestrator.platform/id=sha256-5
docker.io/library/y:1 application/vnd sha256:0 125.6 MiB linux/amd64 -
"""


@pytest.mark.parametrize(
    ("reference", "expected"),
    [("docker.io/library/x:1", "sha256-5"), ("docker.io/library/y:1", None), ("docker.io/library/x:10", None)],
)
def test_labels_of_an_image_in_the_node(reference, expected):
    assert images.parse_labels(LISTING, reference).get(images.ID_LABEL) == expected


def test_an_empty_listing_has_no_labels():
    assert images.parse_labels("", "docker.io/library/x:1") == {}


def test_an_archive_holds_each_program_under_its_names_and_true_digests(tmp_path):
    program = tmp_path / "pause"
    program.write_bytes(b"program")
    target = tmp_path / "images.tar"
    archive.write_archive([archive.ProgramImage(("r/pause:1", "r/pause:2"), program)], target, architecture="amd64")
    with tarfile.open(target) as tar:
        manifest = json.load(tar.extractfile("manifest.json"))
        layer = tar.extractfile(manifest[0]["Layers"][0]).read()
        config = json.load(tar.extractfile(manifest[0]["Config"]))
    assert manifest[0]["RepoTags"] == ["r/pause:1", "r/pause:2"]
    assert config["rootfs"]["diff_ids"] == [f"sha256:{hashlib.sha256(layer).hexdigest()}"]
    assert config["config"]["Entrypoint"] == ["/usr/local/bin/pause"]


def test_equal_programs_give_equal_archives(tmp_path):
    program = tmp_path / "pause"
    program.write_bytes(b"program")
    contents = []
    for name in ("one.tar", "two.tar"):
        archive.write_archive([archive.ProgramImage(("r/pause:1",), program)], tmp_path / name, architecture="amd64")
        contents.append((tmp_path / name).read_bytes())
    assert contents[0] == contents[1]

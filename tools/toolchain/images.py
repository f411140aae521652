# SPDX-License-Identifier: GPL-3.0-or-later
# SPDX-FileCopyrightText: 2026 The orchestrator.platform authors
"""Builds our own images when their content changed, and loads into a cluster those that its node lacks."""

from __future__ import annotations

import contextlib
import fnmatch
import json
import os
import re
import shutil
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from .cluster_config import read_name
from .debian import OWNER, OWNER_LABEL, choose_base
from .engine import Docker, answering, build_arguments, connect
from .errors import ToolboxError
from .packages import ensure_packages
from .pins import cache_folder, key_of
from .programs import ensure_tools
from .steps import Steps, locked, run, workplace

CONTENT_LABEL = "orchestrator.platform/content"
ID_LABEL = "orchestrator.platform/id"  # on the image in the node: the engine's id of what was loaded
BUILD_TIMEOUT_S = 1800
LOAD_TIMEOUT_S = 900


@dataclass(frozen=True)
class ImageRequest:
    """One image to build."""

    name: str
    tag: str  # empty: the content key
    context: Path
    dockerfile: Path
    target: str
    build_args: Mapping[str, str]
    requirements: Path | None  # Python packages that the build finds in packages/ of its context


def read_request(entry: Mapping[str, Any]) -> ImageRequest:
    """An entry of kind_cluster_images; raises ToolboxError when its files are not there."""
    context = Path(str(entry["context"]))
    dockerfile = context / str(entry.get("dockerfile") or "Dockerfile")
    if not dockerfile.is_file():
        raise ToolboxError(f"kind_cluster_images: {entry.get('name')} has no Dockerfile {dockerfile}.")
    requirements = context / str(entry["python_requirements"]) if entry.get("python_requirements") else None
    if requirements is not None and not requirements.is_file():
        raise ToolboxError(f"kind_cluster_images: {entry.get('name')} has no file {requirements}.")
    return ImageRequest(
        name=str(entry["name"]),
        tag=str(entry.get("tag") or ""),
        context=context,
        dockerfile=dockerfile,
        target=str(entry.get("target") or ""),
        build_args={str(key): str(value) for key, value in (entry.get("build_args") or {}).items()},
        requirements=requirements,
    )


def ignore_rules(text: str) -> list[tuple[bool, re.Pattern[str]]]:
    """Rules of a .dockerignore in order: (leaves out, pattern of a path relative to the context)."""
    rules = []
    for line in text.splitlines():
        rule = line.strip()
        if not rule or rule.startswith("#"):
            continue
        leaves_out = not rule.startswith("!")
        body = rule.lstrip("!").strip().strip("/")
        rules.append((leaves_out, re.compile(_pattern(body) + r"(?:/.*)?\Z")))
    return rules


def _pattern(rule: str) -> str:
    """Regular expression of a rule: `*` stays within a folder, `**` does not."""
    parts = []
    for part in rule.split("/"):
        if part == "**":
            parts.append("(?:.*/)?")
        else:
            parts.append(fnmatch.translate(part).removeprefix("(?s:").removesuffix(r")\Z").replace(".*", "[^/]*") + "/")
    return "".join(parts).removesuffix("/")


def is_left_out(path: str, rules: Sequence[tuple[bool, re.Pattern[str]]]) -> bool:
    """The last rule that matches decides, as Docker does it."""
    verdict = False
    for leaves_out, pattern in rules:
        if pattern.match(path):
            verdict = leaves_out
    return verdict


def content_key(request: ImageRequest, base_id: str) -> str:
    """Digest of all that the image is made of: files and their modes, Dockerfile, target, arguments, base image."""
    ignore = request.context / ".dockerignore"
    rules = ignore_rules(ignore.read_text()) if ignore.is_file() else []
    parts: list[str | bytes] = [base_id, request.target, request.dockerfile.read_bytes()]
    parts += [f"{key}={value}" for key, value in sorted(request.build_args.items())]
    for path in sorted(request.context.rglob("*")):
        name = path.relative_to(request.context).as_posix()
        if "__pycache__" in path.parts or is_left_out(name, rules):
            continue
        if path.is_symlink():
            parts += [name, str(path.readlink())]
        elif path.is_file():
            parts += [name, "x" if os.access(path, os.X_OK) else "-", path.read_bytes()]
    return key_of(*parts)


@contextlib.contextmanager
def build_context(request: ImageRequest, steps: Steps) -> Iterator[Path]:
    """The folder to build from: the context itself, or a copy of it with its Python packages in packages/.

    A copy, since an installed collection is not ours to write into; for the holder of the lock of images.
    """
    if request.requirements is None:
        yield request.context
        return
    packages = ensure_packages(request.requirements, steps=steps)
    with workplace(cache_folder() / "contexts", request.name) as temporary:
        copy = temporary / "context"
        shutil.copytree(request.context, copy, symlinks=True, ignore=shutil.ignore_patterns("__pycache__", "packages"))
        shutil.copytree(packages, copy / "packages")
        yield copy


def ensure_images(spec: Mapping[str, Any], *, steps: Steps, check: bool = False) -> dict[str, Any]:
    """Build and load: {changed, base_image, images: [{name, reference, id, built, loaded}]}.

    `spec`: {cluster, images}; an empty cluster name builds only.
    """
    requests = [read_request(entry) for entry in spec["images"]]
    cluster = read_name(spec["cluster"]) if spec.get("cluster") else ""
    found = answering()
    if check and found is None:
        return {"changed": True, "base_image": "", "images": []}
    docker = Docker(*found) if found else connect()
    base = choose_base(docker, steps=steps, check=check)["image"]
    with locked(cache_folder() / "images.lock", steps=steps, what="Images"):
        results = [_ensure_built(request, base, docker, steps, check=check) for request in requests]
        lacking = [result for result in results if cluster and not _is_loaded(docker, cluster, result)]
        if lacking and not check:
            _load(docker, cluster, lacking, steps)
    for result in results:
        result["loaded"] = result in lacking
    return {
        "changed": any(result["built"] or result["loaded"] for result in results),
        "base_image": base,
        "images": results,
    }


def _ensure_built(request: ImageRequest, base: str, docker: Docker, steps: Steps, *, check: bool) -> dict[str, Any]:
    arguments = {**({"BASE_IMAGE": base} if base else {}), **request.build_args}
    key = content_key(request, _image_id(docker, base) if base else "")
    reference = f"{request.name}:{request.tag or key}"
    built = docker.image_label(reference, CONTENT_LABEL) != key
    if built and not check:
        with steps.step("image_build", f"Image {reference}: building it"), build_context(request, steps) as context:
            docker.run(
                "build",
                *build_arguments(),
                f"--file={context / request.dockerfile.relative_to(request.context)}",
                f"--tag={reference}",
                f"--label={OWNER_LABEL}={OWNER}",
                f"--label={CONTENT_LABEL}={key}",
                *([f"--target={request.target}"] if request.target else []),
                *(f"--build-arg={name}={value}" for name, value in sorted(arguments.items())),
                context,
                steps=steps,
                title=f"Image {reference}",
                failure=f"Building the image {reference} failed: the last lines of its build stand above.",
                timeout_s=BUILD_TIMEOUT_S,
            )
    return {"name": request.name, "reference": reference, "id": _image_id(docker, reference), "built": built}


def _image_id(docker: Docker, reference: str) -> str:
    return (docker.ask("image", "inspect", "--format", "{{.Id}}", reference) or "").strip()


def node_reference(reference: str) -> str:
    """The name containerd gives an image that Docker knows by a short one."""
    first, _slash, rest = reference.partition("/")
    if not rest:
        return f"docker.io/library/{reference}"
    return reference if "." in first or ":" in first or first == "localhost" else f"docker.io/{reference}"


def parse_labels(listing: str, reference: str) -> dict[str, str]:
    """Labels of an image in the table of `ctr images ls`, {} when it is not there."""
    for line in listing.splitlines()[1:]:
        columns = line.split()
        if columns and columns[0] == reference:
            return dict(pair.partition("=")[::2] for pair in columns[-1].split(",") if "=" in pair)
    return {}


def _is_loaded(docker: Docker, cluster: str, result: Mapping[str, Any]) -> bool:
    name = node_reference(result["reference"])
    listing = docker.ask(
        "exec", f"{cluster}-control-plane", "ctr", "--namespace=k8s.io", "images", "ls", f"name=={name}"
    )
    return bool(result["id"]) and parse_labels(listing or "", name).get(ID_LABEL) == result["id"].replace(":", "-")


def _load(docker: Docker, cluster: str, lacking: Sequence[Mapping[str, Any]], steps: Steps) -> None:
    tools = ensure_tools(steps=steps)[0]
    references = [result["reference"] for result in lacking]
    with steps.step("image_load", f"Cluster {cluster}: loading {', '.join(references)}"):
        run(
            [tools / "kind", "load", "docker-image", "--name", cluster, *references],
            steps=steps,
            title=f"Cluster {cluster}",
            env=docker.environment,
            failure=f"Loading images into the cluster {cluster} failed: check that it runs and that the disk has room.",
            timeout_s=LOAD_TIMEOUT_S,
        )
        for result in lacking:
            label = f"{ID_LABEL}={result['id'].replace(':', '-')}"
            docker.run(
                "exec",
                f"{cluster}-control-plane",
                *("ctr", "--namespace=k8s.io", "images", "label", node_reference(result["reference"]), label),
                steps=steps,
                failure=f"The node of {cluster} does not know {result['reference']} after loading it: run this again.",
            )


def purge_images(*, steps: Steps, check: bool = False) -> dict[str, Any]:
    """Remove every image with our label that no container runs from: {changed, removed, kept}."""
    found = answering()
    if found is None:
        return {"changed": False, "removed": [], "kept": []}
    docker = Docker(*found)
    listing = docker.ask("image", "ls", "--filter", f"label={OWNER_LABEL}={OWNER}", "--format", "{{json .}}") or ""
    names = [image_name(json.loads(line)) for line in listing.splitlines()]
    used = (docker.ask("container", "ls", "--all", "--format", "{{.Image}}") or "").split()
    kept = [name for name in names if name in used]
    removed = [name for name in names if name not in used]
    if removed and not check:
        with steps.step("images_purge", f"Images: removing {len(removed)}"):
            # One that others are built on cannot go before them: the list has the newest first.
            removed = [name for name in removed if docker.ask("image", "rm", name) is not None]
    return {"changed": bool(removed), "removed": removed, "kept": kept}


def image_name(row: Mapping[str, str]) -> str:
    """Name and tag of a row of `docker image ls`, the id where it has none."""
    untagged = "<none>" in (row["Repository"], row["Tag"])
    return row["ID"] if untagged else f"{row['Repository']}:{row['Tag']}"

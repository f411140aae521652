# SPDX-License-Identifier: GPL-3.0-or-later
# SPDX-FileCopyrightText: 2026 The orchestrator.platform authors
"""The commands of tools/toolbox. Each prints progress on standard error and its result on standard output.

A result is one JSON object with `changed` and `seconds` (by step), but for `path`, `which` and `build`, which print
paths for `make`. A failure ends with exit status 1 and one sentence as the last line of standard error.
"""

from __future__ import annotations

import argparse
import json
import sys
import time
from collections.abc import Callable, Sequence
from typing import Any

from . import cluster, debian, engine, images, node_image, programs
from .errors import ToolboxError
from .golang import compile_module
from .pins import read_module, read_versions
from .steps import Steps


def parser() -> argparse.ArgumentParser:
    """The command line."""
    root = argparse.ArgumentParser(
        prog="toolbox", description="Pinned tools and a Kubernetes cluster from package registries alone."
    )
    commands = root.add_subparsers(dest="command", required=True, metavar="COMMAND")

    def add(name: str, text: str) -> argparse.ArgumentParser:
        command = commands.add_parser(name, help=text, description=text)
        command.add_argument("--check", action="store_true", help="change nothing, say whether anything would change")
        return command

    add("path", "print the folder with kind, kubectl, helm and kubeconform, making sure that they are there")
    add("tools", "the same as a JSON object, {path, changed}")
    for name in ("which", "build"):
        names = add(name, "print the paths of pinned tools, or the folder of a pinned module, building what is missing")
        names.add_argument("names", nargs="+", metavar="NAME")
    add("engine", "a container engine that answers, installed and started where there is none")
    add("engine-stop", "stop the container engine if it was started by `engine`")
    add("base-image", "a base image for our own images: none where the registry answers, else a local Debian")
    image = add("node-image", "the node image of a Kubernetes version, pulled or built")
    image.add_argument("--kubernetes", default="1.36", choices=sorted(read_versions()["kubernetes"]))
    image.add_argument("--source", default="auto", choices=["auto", "pull", "build"])
    for name, text in (
        ("cluster", "a cluster as described by a JSON object: created, or left alone when it is healthy"),
        ("cluster-absent", "remove a cluster of ours, named by a JSON object"),
        ("api", "check that the API server of a kubeconfig, named by a JSON object, answers"),
        ("images", "build images as described by a JSON object and load them into a cluster"),
    ):
        add(name, text).add_argument("spec", metavar="JSON", type=json.loads)
    add("images-purge", "remove every image that carries our label from the engine")
    return root


def node(arguments: argparse.Namespace, steps: Steps) -> dict[str, Any]:
    """The node image; in check mode an engine may be missing still."""
    found = engine.answering()
    docker = engine.Docker(*found) if found else None
    if docker is None and not arguments.check:
        docker = engine.connect()
    return node_image.ensure_node_image(
        arguments.kubernetes, docker=docker, steps=steps, source=arguments.source, check=arguments.check
    )


def tools(steps: Steps, *, check: bool) -> dict[str, Any]:
    """The folder with every tool."""
    if check:
        folder = programs.tools_folder()
        return {"path": str(folder), "changed": bool(programs.missing_tools(folder))}
    folder, changed = programs.ensure_tools(steps=steps)
    return {"path": str(folder), "changed": changed}


def build(name: str, steps: Steps) -> str:
    """Path of a tool, or the folder of a module's programs."""
    if name in programs.tool_names():
        return str(programs.tool_program(name, steps=steps))
    return str(compile_module(read_module(name), steps=steps))


COMMANDS: dict[str, Callable[[argparse.Namespace, Steps], dict[str, Any] | str]] = {
    "path": lambda _arguments, steps: str(programs.ensure_tools(steps=steps)[0]),
    "tools": lambda arguments, steps: tools(steps, check=arguments.check),
    "build": lambda arguments, steps: "\n".join(build(name, steps) for name in arguments.names),
    "which": lambda arguments, steps: "\n".join(build(name, steps) for name in arguments.names),
    "engine": lambda arguments, steps: engine.ensure_engine(steps=steps, check=arguments.check),
    "engine-stop": lambda arguments, steps: {"changed": engine.stop_engine(steps=steps, check=arguments.check)},
    "base-image": lambda arguments, steps: debian.choose_base(engine.connect(), steps=steps, check=arguments.check),
    "node-image": node,
    "cluster": lambda arguments, steps: cluster.ensure_cluster(
        cluster.read_spec(arguments.spec), steps=steps, check=arguments.check
    ),
    "cluster-absent": lambda arguments, steps: cluster.remove_cluster(
        arguments.spec["name"], arguments.spec["kubeconfig"], steps=steps, check=arguments.check
    ),
    "api": lambda arguments, steps: cluster.check_api(
        arguments.spec["kubeconfig"], arguments.spec.get("context", ""), steps=steps
    ),
    "images": lambda arguments, steps: images.ensure_images(arguments.spec, steps=steps, check=arguments.check),
    "images-purge": lambda arguments, steps: images.purge_images(steps=steps, check=arguments.check),
}


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command line; returns the exit status."""
    arguments = parser().parse_args(argv)
    steps = Steps()
    try:
        result = COMMANDS[arguments.command](arguments, steps)
    except ToolboxError as exc:
        for line in exc.log:
            print(f"    {line}", file=sys.stderr)
        print(f"toolbox: {exc.sentence}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print("toolbox: interrupted; run it again, what is finished is kept.", file=sys.stderr)
        return 130
    if isinstance(result, dict):
        result = json.dumps(
            {**result, "seconds": {**steps.seconds, "total": round(time.monotonic() - steps.started, 1)}}
        )
    print(result)
    return 0

# SPDX-License-Identifier: GPL-3.0-or-later
# SPDX-FileCopyrightText: 2026 The orchestrator.platform authors
"""Kubernetes' schemas for kubeconform, offline, from the PyPI package kubernetes-validate.

The package ships one file a kind that points into a file of shared definitions by a path kubeconform cannot follow.
Here each kind becomes one file that needs no other, named as kubeconform asks for it: {kind}-{group}-{version}.json.

    python tests/charts/schemas.py 1.36 FOLDER deployment-apps-v1 service-v1
"""

from __future__ import annotations

import importlib.util
import json
import re
import sys
import typing as t
from pathlib import Path

DEFINITION = re.compile(r'"(?:/api/_definitions\.json)?#/\$defs/([^"]+)"')


def packaged(kubernetes: str) -> Path:
    """Folder of the strict schemas of a version such as "1.36"; LookupError names what there is."""
    found = importlib.util.find_spec("kubernetes_validate")
    if found is None or not found.submodule_search_locations:
        raise LookupError("the package kubernetes-validate is not installed")
    root = Path(found.submodule_search_locations[0]) / "kubernetes-json-schema"
    folder = root / f"v{kubernetes}.0-local-strict"
    if not folder.is_dir():
        there = sorted(path.name for path in root.glob("*-strict"))
        raise LookupError(f"no schemas for Kubernetes {kubernetes}, only {there}")
    return folder


def file_stem(api_version: str, kind: str) -> str:
    """Kubeconform's name of a kind: ("networking.k8s.io/v1", "NetworkPolicy") is "networkpolicy-networking-v1"."""
    group, _, version = api_version.rpartition("/")
    return "-".join(part for part in (kind.lower(), group.split(".")[0], version) if part)


def standalone(text: str, definitions: t.Mapping[str, t.Any]) -> dict[str, t.Any]:
    """A schema with all the definitions it reaches, and its references bent to them."""
    waiting, needed = [text], {}
    while waiting:
        for name in DEFINITION.findall(waiting.pop()):
            if name not in needed:
                needed[name] = json.dumps(definitions[name])
                waiting.append(needed[name])
    schema = _bend(text)
    schema["$defs"] = {name: _bend(definition) for name, definition in sorted(needed.items())}
    return schema


def _bend(text: str) -> dict[str, t.Any]:
    return t.cast("dict[str, t.Any]", json.loads(DEFINITION.sub(r'"#/$defs/\1"', text)))


def write(kubernetes: str, folder: Path, stems: t.Iterable[str]) -> None:
    """Write the schemas of the kinds into the folder; LookupError for a kind that the version does not have."""
    source = packaged(kubernetes)
    definitions = json.loads((source / "_definitions.json").read_text(encoding="utf-8"))["$defs"]
    folder.mkdir(parents=True, exist_ok=True)
    for stem in sorted(set(stems)):
        file = source / f"{stem}.json"
        if not file.is_file():
            raise LookupError(f"Kubernetes {kubernetes} has no {stem}")
        schema = standalone(file.read_text(encoding="utf-8"), definitions)
        (folder / file.name).write_text(json.dumps(schema), encoding="utf-8")


if __name__ == "__main__":
    write(sys.argv[1], Path(sys.argv[2]), sys.argv[3:])

#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-3.0-or-later
# SPDX-FileCopyrightText: 2026 The orchestrator.platform authors
"""kubeconform, strict, over a file of manifests, for the oldest and the newest Kubernetes; no network.

Usage: validate_manifests.py FILE. kubeconform has to be on PATH. Prints its report for each version; exit status 1
when an object is invalid, 2 with one sentence when the check could not be made.
"""

from __future__ import annotations

import subprocess
import sys
import tempfile
from pathlib import Path

import yaml

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))

from tests.charts import schemas  # noqa: E402 - the chart tests use it too

VERSIONS = ("1.29", "1.36")  # floor of the chart, and what the node image is built from


def stems(manifests: str) -> set[str]:
    """Kubeconform's names of all kinds in a stream of YAML documents; ValueError when there is none."""
    found = {schemas.file_stem(each["apiVersion"], each["kind"]) for each in yaml.safe_load_all(manifests) if each}
    if not found:
        raise ValueError("there is no manifest in it")
    return found


def validate(file: Path, kubernetes: str, folder: Path) -> bool:
    """Whether every object is valid; the report goes to standard output."""
    schemas.write(kubernetes, folder, stems(file.read_text(encoding="utf-8")))
    location = f"{folder}/{{{{.ResourceKind}}}}{{{{.KindSuffix}}}}.json"
    argv = ["kubeconform", "-strict", "-summary", "-verbose", "-schema-location", location, str(file)]
    print(f"Kubernetes {kubernetes}", flush=True)
    return subprocess.run(argv, check=False).returncode == 0


def main() -> int:
    """Validate for each version."""
    if len(sys.argv) != 2:
        print("error: name one file: validate_manifests.py FILE", file=sys.stderr)
        return 2
    file = Path(sys.argv[1])
    try:
        with tempfile.TemporaryDirectory() as folder:
            verdicts = [validate(file, version, Path(folder) / version) for version in VERSIONS]
    except (OSError, ValueError, LookupError, yaml.YAMLError) as exc:
        print(f"error: {file} was not validated: {exc}", file=sys.stderr)
        return 2
    return 0 if all(verdicts) else 1


if __name__ == "__main__":
    sys.exit(main())

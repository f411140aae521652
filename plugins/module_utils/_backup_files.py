# SPDX-License-Identifier: GPL-3.0-or-later
# SPDX-FileCopyrightText: 2026 The orchestrator.platform authors
#
# Private to this collection: names and behaviour may change in any release.
"""The files of a backup: objects, their links, releases, and a manifest with the sum of each; written and read. Pure.

Nothing in it tells the time: the same cluster gives the same bytes.
"""

from __future__ import annotations

import hashlib
import json
import typing as t
from collections import Counter
from collections.abc import Mapping, Sequence

from ansible_collections.orchestrator.platform.plugins.module_utils._backup import BY_FOLDER, GROUP, Saved
from ansible_collections.orchestrator.platform.plugins.module_utils._errors import PlatformError
from ansible_collections.orchestrator.platform.plugins.module_utils._workloads import Json, Obj

FORMAT = 1  # of the archive; a reader refuses a later one
FOLDER = "platform-backup"  # at the top of the archive
MANIFEST = "manifest.json"
LINKS = "links.json"


class Release(t.NamedTuple):
    """A Helm release: what is needed to bring its objects back."""

    name: str
    namespace: str
    revision: int
    status: str
    chart: Obj  # metadata, templates, values, schema, files, as Helm's own record has them
    values: Obj

    @property
    def label(self) -> str:
        """namespace/name."""
        return f"{self.namespace}/{self.name}"

    @property
    def file(self) -> str:
        """Its path in the archive."""
        return f"releases/{self.namespace}/{self.name}.json"

    @property
    def version(self) -> str:
        """Name and version of its chart."""
        metadata = self.chart.get("metadata") or {}
        return f"{metadata.get('name', '')}-{metadata.get('version', '')}"


class Backup(t.NamedTuple):
    """All that an archive holds."""

    saved: list[Saved]
    releases: list[Release]
    about: Obj  # namespaces, agent_namespaces, versions, left_out


def release_from_record(record: Obj) -> Release:
    """A release from an opened record of Helm, without its history, its manifest and its hooks."""
    return Release(
        name=record["name"],
        namespace=record["namespace"],
        revision=int(record.get("version") or 0),
        status=str((record.get("info") or {}).get("status") or ""),
        chart={
            key: (record.get("chart") or {}).get(key) for key in ("metadata", "templates", "values", "schema", "files")
        },
        values=record.get("config") or {},
    )


def files_of(backup: Backup) -> dict[str, str]:
    """Name and content of every file."""
    links: Obj = {}
    files: dict[str, str] = {}
    for one in backup.saved:
        # Status travels with the object: it is part of what people look at, and an apply passes over it.
        files[one.file] = _text({**one.obj, **({"status": one.status} if one.status is not None else {})})
        link = {"owners": one.owners, "applied": one.applied, "release": one.release}
        links[one.file] = {key: value for key, value in link.items() if value}
    files[LINKS] = _text({name: link for name, link in links.items() if link})
    for release in backup.releases:
        files[release.file] = _text(release._asdict())
    files[MANIFEST] = _text(
        {
            "format": FORMAT,
            "kind": f"{GROUP} backup",
            **backup.about,
            "objects": dict(Counter(one.place.kind for one in backup.saved)),
            "releases": [
                {"name": one.name, "namespace": one.namespace, "revision": one.revision, "chart": one.version}
                for one in backup.releases
            ],
            "files": {name: _sum(text) for name, text in files.items()},
        }
    )
    return files


def _text(value: Json) -> str:
    return json.dumps(value, indent=1, sort_keys=True, ensure_ascii=True) + "\n"


def _sum(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()


def read_files(files: Mapping[str, str], source: str) -> Backup:
    """The backup that the files make up; raises PlatformError for one that is damaged or of a later format."""
    manifest = _manifest(files, source)
    sums = manifest["files"]
    for name in sorted({*sums, *files} - {MANIFEST}):
        if name not in files:
            raise _damaged(source, f"it lacks {name}, which its manifest lists")
        if name not in sums:
            raise _damaged(source, f"it holds {name}, which its manifest does not list")
        if _sum(files[name]) != sums[name]:
            raise _damaged(source, f"{name} is not what was written: its SHA-256 is another one")
    links = _json(files, LINKS, source)
    saved = [
        _saved(name, _json(files, name, source), links.get(name) or {}, source)
        for name in sums
        if name.startswith("objects/")
    ]
    releases = [_release(_json(files, name, source), name, source) for name in sums if name.startswith("releases/")]
    counted = dict(Counter(one.place.kind for one in saved))
    if counted != manifest.get("objects") or len(releases) != len(manifest.get("releases") or []):
        raise _damaged(source, "its manifest counts other objects than it holds")
    about = {key: value for key, value in manifest.items() if key not in ("format", "kind", "files")}
    return Backup(_in_order(saved), releases, about)


def _manifest(files: Mapping[str, str], source: str) -> Obj:
    if MANIFEST not in files:
        raise PlatformError(f"{source} is no backup of this collection: it has no {FOLDER}/{MANIFEST}.")
    manifest = _json(files, MANIFEST, source)
    written = manifest.get("format")
    if isinstance(written, int) and written > FORMAT:
        raise PlatformError(
            f"{source} has format {written}, and this collection reads formats up to {FORMAT}: "
            "restore it with the collection's version that wrote it, or a later one."
        )
    if manifest.get("kind") != f"{GROUP} backup" or written != FORMAT or not isinstance(manifest.get("files"), dict):
        raise PlatformError(f"{source} is no backup of this collection: its manifest says so of itself.")
    return manifest


def _json(files: Mapping[str, str], name: str, source: str) -> Obj:
    try:
        document = json.loads(files.get(name, ""))
    except ValueError as exc:
        raise _damaged(source, f"{name} is not JSON") from exc
    if not isinstance(document, dict):
        raise _damaged(source, f"{name} holds no object")
    return document


def _saved(name: str, obj: Obj, link: Obj, source: str) -> Saved:
    parts = name.split("/")
    place = BY_FOLDER.get(parts[2]) if len(parts) == 4 else None
    if place is None or not isinstance(obj.get("metadata"), dict):
        raise _damaged(source, f"{name} is of no kind that a backup holds")
    status = obj.pop("status", None)
    one = Saved(
        place,
        obj,
        status,
        link.get("owners") or [],
        bool(link.get("applied")),
        str(link.get("release") or ""),
    )
    if one.file != name or obj.get("kind") != place.kind or obj.get("apiVersion") != place.group_version:
        raise _damaged(source, f"{name} holds another object than its name says")
    return one


def _release(document: Obj, name: str, source: str) -> Release:
    try:
        release = Release(**document)
    except TypeError as exc:
        raise _damaged(source, f"{name} is no record of a release") from exc
    if release.file != name:
        raise _damaged(source, f"{name} holds another release than its name says")
    return release


def _in_order(saved: Sequence[Saved]) -> list[Saved]:
    order = {place: number for number, place in enumerate(BY_FOLDER.values())}
    return sorted(saved, key=lambda one: (order[one.place], one.file))


def _damaged(source: str, what: str) -> PlatformError:
    return PlatformError(f"{source} is damaged or was changed: {what}. Nothing was restored; take another archive.")

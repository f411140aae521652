# SPDX-License-Identifier: GPL-3.0-or-later
# SPDX-FileCopyrightText: 2026 The orchestrator.platform authors
#
# Private to this collection: names and behaviour may change in any release.
"""Reads what a backup holds from the cluster, one list for each kind and namespace; writes and opens its archive."""

from __future__ import annotations

import typing as t
from pathlib import Path

from ansible_collections.orchestrator.platform.plugins.module_utils._archive import pack, unpack, write_private
from ansible_collections.orchestrator.platform.plugins.module_utils._backup import (
    BY_KIND,
    CLUSTER_WIDE,
    GROUP,
    NAMESPACED,
    RELEASE_TYPE,
    Place,
    Scope,
    chosen,
)
from ansible_collections.orchestrator.platform.plugins.module_utils._backup_files import (
    FOLDER,
    Backup,
    Release,
    files_of,
    read_files,
    release_from_record,
)
from ansible_collections.orchestrator.platform.plugins.module_utils._cluster import Cluster
from ansible_collections.orchestrator.platform.plugins.module_utils._errors import ApiError, PlatformError
from ansible_collections.orchestrator.platform.plugins.module_utils._preflight import decode_record, latest_record
from ansible_collections.orchestrator.platform.plugins.module_utils._user_path import user_path
from ansible_collections.orchestrator.platform.plugins.module_utils._vault import Key, decrypt, encrypt, is_encrypted
from ansible_collections.orchestrator.platform.plugins.module_utils._workloads import Json, Obj

# Options of the modules; the twin of the fragment platform_archive.
ARCHIVE_ARG_SPEC: dict[str, dict[str, Json]] = {
    "vault_password_file": {"type": "path", "no_log": False},
    "vault_id": {"type": "str", "default": ""},
    "threads": {"type": "int", "default": 8},
}
MAX_ARCHIVE_BYTES = 256 * 1024 * 1024  # read into memory; arbitrary, and far above any platform's


# -- the cluster ---------------------------------------------------------------------------------------------------


def read_backup(cluster: Cluster, scope: Scope, versions: dict[str, str]) -> Backup:
    """Everything in scope; raises PlatformError where something could not be read: a backup with holes is none."""
    spaces = [*scope.namespaces, *scope.agent_namespaces]
    namespaces = [_namespace(cluster, name) for name in spaces]
    wanted = [(place, name) for place in NAMESPACED for name in spaces] + [(place, "") for place in CLUSTER_WIDE]
    refused: list[str] = []

    def listed(row: tuple[Place, str]) -> list[tuple[Place, Obj]]:
        place, namespace = row
        try:
            items, _version = cluster.items(place.path(namespace))
        except ApiError as exc:
            if exc.status != 404:  # a kind that this cluster does not have
                refused.append(f"{place.plural} in {namespace or 'the cluster'}: {exc}")
            return []
        return [(place, item) for item in items]

    found = [item for items in cluster.each(listed, wanted) for item in items]
    if refused:
        raise PlatformError(
            f"The backup would not be whole: {'; '.join(sorted(refused))[:2000]}. Nothing was written; "
            "give the account the permission to list these, or leave the namespace out."
        )
    releases = [
        _release(name, namespace, found) for namespace in scope.namespaces for name in _release_names(namespace, found)
    ]
    labels = {one.label for one in releases}
    saved, left_out = chosen([*namespaces, *found], scope, labels)
    about = {
        "namespaces": list(scope.namespaces),
        "agent_namespaces": list(scope.agent_namespaces),
        "versions": {"kubernetes": cluster.get("/version").get("gitVersion", ""), **versions},
        "left_out": left_out,
    }
    return Backup(saved, releases, about)


def _namespace(cluster: Cluster, name: str) -> tuple[Place, Obj]:
    place = BY_KIND["Namespace"]
    there = cluster.find(place.path(name=name))
    if there is None:
        raise PlatformError(
            f"Namespace {name} does not exist: correct namespaces and agent_namespaces, or the kubeconfig's context."
        )
    return place, there


def _records(namespace: str, found: list[tuple[Place, Obj]]) -> list[Obj]:
    return [
        obj
        for place, obj in found
        if place.kind == "Secret" and obj.get("type") == RELEASE_TYPE and obj["metadata"]["namespace"] == namespace
    ]


def _release_names(namespace: str, found: list[tuple[Place, Obj]]) -> list[str]:
    records = _records(namespace, found)
    return sorted({(record["metadata"].get("labels") or {}).get("name", "") for record in records} - {""})


def _release(name: str, namespace: str, found: list[tuple[Place, Obj]]) -> Release:
    records = [one for one in _records(namespace, found) if one["metadata"]["labels"].get("name") == name]
    # What runs counts: a later revision that failed or hangs has brought nothing that one would want back.
    deployed = [one for one in records if one["metadata"]["labels"].get("status") == "deployed"]
    newest = latest_record(deployed or records)
    record = next(one for one in records if newest and one["metadata"]["name"] == newest["secret"])
    return open_record(record)


def open_record(secret: Obj) -> Release:
    """The release that a record Secret of Helm holds; raises PlatformError."""
    try:
        return release_from_record(decode_record((secret.get("data") or {}).get("release", "")))
    except (ValueError, KeyError, OSError, EOFError) as exc:
        raise PlatformError(
            f"Helm's record {secret['metadata']['namespace']}/{secret['metadata']['name']} cannot be read "
            f"({type(exc).__name__}): look at it with helm history."
        ) from exc


# -- the archive ---------------------------------------------------------------------------------------------------


def save(backup: Backup, dest: str, key: Key | None, *, dry_run: bool) -> dict[str, Json]:
    """Write the archive, unless what is there holds the same already: changed, size and names of its files."""
    files = files_of(backup)
    content = pack(files, FOLDER, mtime=0)
    target = user_path(dest)
    if target.is_dir() or not target.parent.is_dir():
        # Said in check mode too.
        what = "is a folder" if target.is_dir() else f"lies in {target.parent}, which is no folder"
        raise PlatformError(f"The backup cannot be written to {dest}: it {what}. Correct dest.")
    if _holds(target, content, key):
        return {"changed": False, "size": target.stat().st_size, "files": sorted(files)}
    if dry_run:
        return {"changed": True, "size": 0, "files": sorted(files)}
    size = write_private(dest, encrypt(content, key) if key else content, what="backup")
    return {"changed": True, "size": size, "files": sorted(files)}


def _holds(target: Path, content: bytes, key: Key | None) -> bool:
    try:
        if target.stat().st_mode & 0o077:
            return False  # written anew, with the mode that keeps it private
        there = target.read_bytes()
    except OSError:
        return False
    if is_encrypted(there) != (key is not None):
        return False
    if key is None:
        return there == content
    try:
        return decrypt(there, key, str(target)) == content
    except PlatformError:
        return False  # of another password: it is replaced


def load(source: str, key: Key | None) -> Backup:
    """The backup in an archive; raises PlatformError for one that cannot be trusted."""
    path = user_path(source)
    try:
        if path.stat().st_size > MAX_ARCHIVE_BYTES:
            raise PlatformError(f"{source} is larger than any backup of this collection: name another file in src.")
        content = path.read_bytes()
    except OSError as exc:
        raise PlatformError(f"{source} cannot be read ({exc.strerror}): correct src.") from exc
    if is_encrypted(content):
        if key is None:
            raise PlatformError(f"{source} is encrypted: name the file with its password in vault_password_file.")
        content = decrypt(content, key, source)
    return read_files(unpack(content, FOLDER, source), source)


def key_of(params: dict[str, t.Any]) -> Key | None:
    """The Vault password that a module was given, None when there is none; raises PlatformError for a missing file."""
    if not params["vault_password_file"]:
        return None
    key = Key(params["vault_password_file"], params["vault_id"] or GROUP)
    key.check()
    return key

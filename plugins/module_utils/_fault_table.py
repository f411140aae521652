# SPDX-License-Identifier: GPL-3.0-or-later
# SPDX-FileCopyrightText: 2026 The orchestrator.platform authors
#
# Private to this collection: names and behaviour may change in any release.
"""The table before and after a fault: who restarted, who lost readiness. Pure."""

from __future__ import annotations

import typing as t
from collections.abc import Iterable

from ansible_collections.orchestrator.platform.plugins.module_utils._workloads import Obj, dig

FIELDS = ("restarts", "container_id", "started_at", "ready")


class Row(t.NamedTuple):
    """What the API says of one container that is to stay as it is."""

    pod: str
    uid: str
    container: str
    restarts: int
    container_id: str
    started_at: str
    ready: bool

    @property
    def place(self) -> tuple[str, str]:
        """The container, also where its pod was replaced by one of the same name."""
        return self.pod, self.container


class Line(t.TypedDict):
    """One line of the table as the module returns it; `changed` names the fields that differ."""

    fault: str
    pod: str
    container: str
    struck: bool
    before: dict[str, t.Any]
    after: dict[str, t.Any]
    changed: list[str]


def rows_of(pod: Obj) -> list[Row]:
    """A row for each container of a pod, native sidecars and ephemeral ones among them (D14)."""
    meta, status = pod["metadata"], pod.get("status") or {}
    listed = [
        item
        for key in ("initContainerStatuses", "containerStatuses", "ephemeralContainerStatuses")
        for item in status.get(key) or []
    ]
    return [
        Row(
            meta["name"],
            meta["uid"],
            item["name"],
            int(item.get("restartCount") or 0),
            item.get("containerID") or "",
            dig(item, "state", "running", "startedAt") or "",
            bool(item.get("ready")),
        )
        for item in listed
    ]


def last_end(pod: Obj, container: str) -> tuple[str, int | None]:
    """Reason and exit code of a container's last end; ("", None) where it never ended."""
    status = pod.get("status") or {}
    for key in ("initContainerStatuses", "containerStatuses"):
        for item in status.get(key) or []:
            ended = dig(item, "lastState", "terminated") or {}
            if item["name"] == container and ended:
                return ended.get("reason") or "", ended.get("exitCode")
    return "", None


def differences(before: Row, after: Row | None) -> list[str]:
    """Names of what is not as it was; a container that is gone differs in its pod."""
    if after is None or after.uid != before.uid:
        return ["pod"]
    return [name for name in FIELDS if getattr(before, name) != getattr(after, name)]


def table(fault: str, before: Iterable[Row], after: Iterable[Row], struck: str) -> list[Line]:
    """Before beside after, a line a container; `struck` is the container that the fault is aimed at."""
    now = {row.place: row for row in after}
    return [
        {
            "fault": fault,
            "pod": row.pod,
            "container": row.container,
            "struck": row.container == struck,
            "before": _shown(row),
            "after": _shown(now.get(row.place)),
            "changed": differences(row, now.get(row.place)),
        }
        for row in before
    ]


def _shown(row: Row | None) -> dict[str, t.Any]:
    return {name: getattr(row, name) for name in FIELDS} if row is not None else {}


def as_text(lines: Iterable[Line]) -> list[str]:
    """The table for people, a line a container."""
    shown = [f"{'fault':22} {'container':44} {'restarts':9} {'same container':15} {'ready':12}"]
    for line in lines:
        before, after = line["before"], line["after"]
        name = f"{line['pod'][-28:]}/{line['container']}{' (struck)' if line['struck'] else ''}"
        same = "yes" if not {"container_id", "started_at", "pod"} & set(line["changed"]) else "no"
        restarts = f"{before['restarts']} -> {after.get('restarts', '-')}"
        ready = f"{_word(before['ready'])} -> {_word(after.get('ready'))}"
        shown.append(f"{line['fault'].removeprefix('faults/'):22} {name:44} {restarts:9} {same:15} {ready:12}".rstrip())
    return shown


def _word(ready: bool | None) -> str:  # noqa: FBT001 (a value to print, not a switch)
    return {True: "yes", False: "no", None: "-"}[ready]

# SPDX-License-Identifier: GPL-3.0-or-later
# SPDX-FileCopyrightText: 2026 The orchestrator.platform authors
"""What is known of the cluster: one store a kind, filled by a list and kept fresh by a watch."""

from __future__ import annotations

import threading
import time
from typing import TYPE_CHECKING

from orchestrator.kube import ApiError, Unreachable

if TYPE_CHECKING:
    from collections.abc import Callable

    from discord_monitor.lifecycle import Stop
    from discord_monitor.log import Log
    from orchestrator.kube import Api, Obj, Resource

MAX_GRAVES = 4096  # deletions remembered, so that a late answer to a request of ours brings nobody back; arbitrary
FIRST_PAUSE_S, MAX_PAUSE_S = 0.5, 30.0  # between two tries while the API server does not answer
ENOUGH_S = 5.0  # a watch that held this long was none in vain
BRIEF_PAUSE_S = 0.2  # behind a shorter one, so that a proxy that ends every watch at once is not asked in a row


def version_of(obj: Obj) -> int:
    """The resource version as a number: larger is newer (a promise of the API since 1.35, true of etcd before)."""
    return int(obj["metadata"].get("resourceVersion") or 0)


class Store:
    """Objects of one kind in one namespace by name; of two versions the newer one stays."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._objects: dict[str, Obj] = {}
        self._graves: dict[str, int] = {}

    def get(self, name: str) -> Obj | None:
        """One object; not to be changed."""
        with self._lock:
            return self._objects.get(name)

    def all(self) -> list[Obj]:
        """All objects; not to be changed."""
        with self._lock:
            return list(self._objects.values())

    def put(self, obj: Obj) -> bool:
        """Take an object, from a watch or from an answer to a request; False when something newer is known."""
        obj["metadata"].pop("managedFields", None)  # half the size of an object, and nobody here reads it
        name, version = obj["metadata"]["name"], version_of(obj)
        with self._lock:
            known = self._objects.get(name)
            if (known is not None and version_of(known) >= version) or self._graves.get(name, 0) >= version:
                return False
            self._objects[name] = obj
            return True

    def drop(self, obj: Obj) -> None:
        """Forget an object that was deleted."""
        name, version = obj["metadata"]["name"], version_of(obj)
        with self._lock:
            self._graves[name] = version
            while len(self._graves) > MAX_GRAVES:
                self._graves.pop(next(iter(self._graves)))
            known = self._objects.get(name)
            if known is not None and version_of(known) <= version:
                del self._objects[name]

    def replace(self, listed: list[Obj], version: int) -> list[Obj]:
        """Take a whole list as of `version`; the objects that are new, changed or gone."""
        fresh = {obj["metadata"]["name"]: obj for obj in listed}
        with self._lock:
            gone = [o for n, o in self._objects.items() if n not in fresh and version_of(o) <= version]
            for obj in gone:
                del self._objects[obj["metadata"]["name"]]
        return gone + [obj for obj in listed if self.put(obj)]


class Informer:
    """Keeps one store; calls `on_change` with every object that came, changed or went, from its own thread."""

    def __init__(
        self, api: Api, resource: Resource, namespace: str, *, selector: str = "", on_change: Callable[[Obj], None],
        beat: Callable[[], None], log: Log,
    ) -> None:  # fmt: skip
        self.store = Store()
        self.resource = resource
        self.synced = threading.Event()
        self.problem = ""
        self.relists = 0
        self._version = ""
        self._api = api
        self._where = (resource, namespace)
        self._selector = selector
        self._on_change = on_change
        self._beat = beat
        self._log = log

    def run(self, stop: Stop) -> None:
        """List and watch until the end is asked for."""
        pause_s = FIRST_PAUSE_S
        while not stop.requested:
            self._beat()
            began_at = time.monotonic()
            problem = ""
            try:
                if not self._version:
                    self._list()
                self._watch(stop)
                pause_s = FIRST_PAUSE_S
                if time.monotonic() - began_at < ENOUGH_S:
                    stop.wait(BRIEF_PAUSE_S)
                continue
            except ApiError as exc:
                # 410 Gone: the version is older than what the server remembers. Any other refusal may be of that sort.
                self._version = ""
                problem = f"{self.resource.plural}: {exc}"
                if exc.status == 410:
                    self._log.info("the watch is too old; everything is listed anew", resource=self.resource.plural)
            except Unreachable as exc:
                problem = str(exc)
            if problem != self.problem:
                self._log.warning("the watch failed and is tried again", resource=self.resource.plural, reason=problem)
            self.problem = problem
            if time.monotonic() - began_at > ENOUGH_S:
                pause_s = FIRST_PAUSE_S
            if stop.wait(pause_s):
                return
            pause_s = min(MAX_PAUSE_S, pause_s * 2)

    def _list(self) -> None:
        objects, version = self._api.list(*self._where, self._selector)
        changed = self.store.replace(objects, int(version or 0))
        self.relists += 1
        self._version, self.problem = version, ""
        self.synced.set()
        for obj in changed:
            self._tell(obj)

    def _tell(self, obj: Obj) -> None:
        """One object that nobody understands ends no watch."""
        try:
            self._on_change(obj)
        except Exception as exc:  # noqa: BLE001 - the border of one object
            self._log.crash(f"{self.resource.plural}/{obj['metadata']['name']} is not understood", exc)

    def _watch(self, stop: Stop) -> None:
        """Follow one watch to its end. Whatever came is kept when it breaks: the next one goes on behind it."""
        for event in self._api.watch(*self._where, self._version, self._selector):
            self._beat()
            self.problem = ""
            obj = event["object"]
            if event["type"] == "DELETED":
                self.store.drop(obj)
                self._tell(obj)
            elif event["type"] != "BOOKMARK" and self.store.put(obj):
                self._tell(obj)
            self._version = str(obj["metadata"]["resourceVersion"])
            if stop.requested:
                return

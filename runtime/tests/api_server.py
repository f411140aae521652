# SPDX-License-Identifier: GPL-3.0-or-later
# SPDX-FileCopyrightText: 2026 The orchestrator.platform authors
"""Servers of the tests that speak the API server's language over real HTTP: one that follows a script, and one with a memory."""

from __future__ import annotations

import http.server
import json
import re
import threading
import uuid
from collections.abc import Callable
from typing import Any
from urllib.parse import parse_qs, urlsplit

from orchestrator.kube import Access, Api

Json = dict[str, Any]
Answer = tuple[int, Any]

PATH = re.compile(r"/apis?/(?:[^/]+/)?v1/namespaces/[^/]+/(?P<kind>[a-z]+)(?:/(?P<name>[^/]+))?(?P<status>/status)?")


class Server:
    """Answers with (status, content) of `answer(verb, path, body)`, and keeps what was asked."""

    def __init__(self, answer: Callable[[str, str, bytes], Answer]) -> None:
        self.asked: list[tuple[str, str, bytes]] = []
        server = self

        class Handler(http.server.BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_any(self):
                body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
                server.asked.append((self.command, self.path, body))
                status, content = answer(self.command, self.path, body)
                data = content if isinstance(content, bytes) else json.dumps(content).encode()
                self.send_response(status)
                self.send_header("Content-Length", str(len(data)))
                self.end_headers()
                self.wfile.write(data)

            do_GET = do_POST = do_PUT = do_PATCH = do_DELETE = do_any  # noqa: N815 - names of the standard library

            def log_message(self, *arguments):
                pass

        self._server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._server.daemon_threads = True
        threading.Thread(target=self._server.serve_forever, args=(0.02,), daemon=True).start()
        self.url = f"http://127.0.0.1:{self._server.server_address[1]}"
        self.api = Api(Access(self.url, None, None))

    def close(self):
        self._server.shutdown()
        self._server.server_close()


def refusal(status: int, reason: str, message: str = "m", **more: Any) -> Answer:
    """A Status object of the API server."""
    return status, {"kind": "Status", "code": status, "reason": reason, "message": message, **more}


class Memory:
    """Objects of one namespace by kind and name, with versions, uids, conflicts and preconditions as the API server has them.

    `refuses` maps (verb, kind) to an answer that comes instead, until it is taken out.
    """

    def __init__(self) -> None:
        self.objects: dict[str, dict[str, Json]] = {}
        self.refuses: dict[tuple[str, str], Answer] = {}
        self._version = 100
        self._lock = threading.Lock()

    def put(self, kind: str, obj: Json) -> Json:
        """Make or replace an object, as somebody else would."""
        self._version += 1
        meta = obj["metadata"]
        meta |= {"resourceVersion": str(self._version), "uid": meta.get("uid") or str(uuid.uuid4())}
        meta.setdefault("creationTimestamp", "2026-01-01T00:00:00Z")
        self.objects.setdefault(kind, {})[meta["name"]] = obj
        return obj

    def get(self, kind: str, name: str) -> Json | None:
        """One object."""
        return self.objects.get(kind, {}).get(name)

    def names(self, kind: str) -> list[str]:
        """Names of all objects of a kind."""
        return sorted(self.objects.get(kind, {}))

    def answer(self, verb: str, path: str, body: bytes) -> Answer:
        """What the API server would say."""
        parts = urlsplit(path)
        found = PATH.fullmatch(parts.path)
        assert found, path
        kind, name = found["kind"], found["name"]
        with self._lock:
            if (verb, kind) in self.refuses:
                return self.refuses[verb, kind]
            if verb == "GET" and not name:
                return 200, self._listed(kind, parse_qs(parts.query).get("labelSelector", [""])[0])
            if verb == "POST":
                return self._created(kind, json.loads(body))
            known = self.get(kind, name)
            if known is None:
                return refusal(404, "NotFound")
            return {"GET": self._read, "PATCH": self._merged, "DELETE": self._deleted}[verb](kind, known, body)

    def _listed(self, kind: str, selector: str) -> Json:
        wanted = dict(part.split("=") for part in selector.split(",")) if "=" in selector else {}
        items = [
            o for o in self.objects.get(kind, {}).values() if wanted.items() <= o["metadata"].get("labels", {}).items()
        ]
        return {"metadata": {"resourceVersion": str(self._version)}, "items": items}

    def _created(self, kind: str, obj: Json) -> Answer:
        if self.get(kind, obj["metadata"]["name"]) is not None:
            return refusal(409, "AlreadyExists")
        return 201, self.put(kind, obj)

    def _read(self, _kind: str, known: Json, _body: bytes) -> Answer:
        return 200, known

    def _merged(self, kind: str, known: Json, body: bytes) -> Answer:
        patch = json.loads(body)
        if (
            patch.get("metadata", {}).pop("resourceVersion", known["metadata"]["resourceVersion"])
            != known["metadata"]["resourceVersion"]
        ):
            return refusal(409, "Conflict")
        return 200, self.put(kind, merge(json.loads(json.dumps(known)), patch))

    def _deleted(self, kind: str, known: Json, body: bytes) -> Answer:
        if json.loads(body)["preconditions"]["uid"] != known["metadata"]["uid"]:
            return refusal(409, "Conflict")
        del self.objects[kind][known["metadata"]["name"]]
        return 200, {"kind": "Status", "status": "Success"}


def merge(into: Json, patch: Json) -> Json:
    """RFC 7386."""
    for key, value in patch.items():
        if value is None:
            into.pop(key, None)
        elif isinstance(value, dict):
            into[key] = merge(into[key] if isinstance(into.get(key), dict) else {}, value)
        else:
            into[key] = value
    return into

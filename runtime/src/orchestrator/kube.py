# SPDX-License-Identifier: GPL-3.0-or-later
# SPDX-FileCopyrightText: 2026 The orchestrator.platform authors
"""The API server, as JSON over kept connections, one a thread. Knows paths and errors, and no kind of object."""

from __future__ import annotations

import http.client
import json
import ssl
import threading
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple
from urllib.parse import quote, urlencode, urlsplit

from discord_monitor.http_client import CONNECT_LIMIT_S, HttpClient, TransportError, reason_of
from orchestrator import __version__

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

Obj = dict[str, Any]

ACCOUNT = Path("/var/run/secrets/kubernetes.io/serviceaccount")
USER_AGENT = f"orchestrator.platform/{__version__}"
READ_LIMIT_S = 30.0
MAX_ANSWER_BYTES = 64 * 1024 * 1024  # a page of a list
MAX_LINE_BYTES = 8 * 1024 * 1024  # one event of a watch
PAGE = 40  # objects of one answer to a list: etcd takes 1.5 MiB at most of each, so that every page fits
TOKEN_AGE_S = 60.0  # the kubelet renews the file long before a token ends (bound tokens live for an hour)
# Bookmarks come about once a minute; a watch ends by itself after its time-out, so a silent connection is dead.
WATCH_S = 240
WATCH_SILENCE_S = 90.0

JSON = "application/json"
MERGE_PATCH = "application/merge-patch+json"
NAMESPACE_ENDS = "NamespaceTerminating"
# What the server says no to and will go on saying no to until somebody changes something: bad objects, rights, quota,
# admission; 500 is that of an admission webhook that does not answer.
REFUSALS = (400, 403, 413, 422, 500)


class Resource(NamedTuple):
    """A kind as the API serves it."""

    prefix: str
    plural: str

    def path(self, namespace: str, name: str = "", subresource: str = "") -> str:
        """Path of the collection, of one object, or of its subresource."""
        parts = (self.prefix, "namespaces", namespace, self.plural, quote(name), subresource)
        return "/".join(part for part in parts if part)


CODE_RUNS = Resource("/apis/orchestrator.platform/v1", "coderuns")
DOCS_RUNS = Resource("/apis/orchestrator.platform/v1", "docsruns")
JOBS = Resource("/apis/batch/v1", "jobs")
PODS = Resource("/api/v1", "pods")
CONFIG_MAPS = Resource("/api/v1", "configmaps")
SECRETS = Resource("/api/v1", "secrets")
CLAIMS = Resource("/api/v1", "persistentvolumeclaims")
EVENTS = Resource("/api/v1", "events")


class ApiError(Exception):
    """The API server said no; `reason` is its word for it, the text its sentence."""

    def __init__(self, status: int, reason: str, sentence: str) -> None:
        super().__init__(sentence[:1000])
        self.status = status
        self.reason = reason

    @property
    def is_refusal(self) -> bool:
        """Whether somebody has to do something about it, and so should be told."""
        return self.status in REFUSALS and self.reason != NAMESPACE_ENDS


class Unreachable(Exception):  # noqa: N818 - a state, and what a caller does with it is wait
    """No answer came; what was asked may have been carried out all the same."""


class Access(NamedTuple):
    """Where the API server is and how to be let in."""

    url: str
    token_file: Path | None
    tls: ssl.SSLContext | None


def find_access(env: Mapping[str, str], account: Path = ACCOUNT) -> Access:
    """The pod's own account, or KUBERNETES_API_URL for a `kubectl proxy`. Raises OSError and ValueError."""
    if url := env.get("KUBERNETES_API_URL", "").strip():
        return Access(url, None, None)
    host, port = env.get("KUBERNETES_SERVICE_HOST", ""), env.get("KUBERNETES_SERVICE_PORT", "443")
    if not host:
        raise ValueError("this is no pod, and KUBERNETES_API_URL does not name a kubectl proxy either")
    tls = ssl.create_default_context(cafile=str(account / "ca.crt"))
    return Access(f"https://{f'[{host}]' if ':' in host else host}:{port}", account / "token", tls)


class Api:
    """Requests to the API server; safe for many threads."""

    def __init__(self, access: Access) -> None:
        self._access = access
        self.on_request: Callable[[], None] = lambda: None  # called before each request, by its thread
        self._local = threading.local()
        self._lock = threading.Lock()
        self._token = ""
        self._token_read_at = float("-inf")
        self.requests: dict[tuple[str, str], int] = {}  # (verb, status or "none") -> how many

    def get(self, resource: Resource, namespace: str, name: str) -> Obj | None:
        """One object, None when it is not there."""
        try:
            return self._send("GET", resource.path(namespace, name))
        except ApiError as exc:
            if exc.status == 404:
                return None
            raise

    def create(self, resource: Resource, namespace: str, body: Obj) -> Obj | None:
        """The created object, None when one of that name is there already."""
        try:
            return self._send("POST", resource.path(namespace), body)
        except ApiError as exc:
            if exc.status == 409 and exc.reason == "AlreadyExists":
                return None
            raise

    def merge(self, resource: Resource, namespace: str, name: str, patch: Obj, subresource: str = "") -> Obj | None:
        """Merge into an object or its subresource; None when it is gone."""
        try:
            return self._send("PATCH", resource.path(namespace, name, subresource), patch, content_type=MERGE_PATCH)
        except ApiError as exc:
            if exc.status == 404:
                return None
            raise

    def delete(self, resource: Resource, namespace: str, name: str, uid: str, *, foreground: bool = False) -> None:
        """Delete the very object with that uid; one that is gone already is as good."""
        policy = "Foreground" if foreground else "Background"
        body = {"propagationPolicy": policy, "preconditions": {"uid": uid}}
        try:
            self._send("DELETE", resource.path(namespace, name), body)
        except ApiError as exc:
            if exc.status not in (404, 409):  # 409: another object has the name by now
                raise

    def list(self, resource: Resource, namespace: str, selector: str = "") -> tuple[list[Obj], str]:
        """All objects, page by page, and the resource version a watch goes on from."""
        found: list[Obj] = []
        query = {"limit": str(PAGE)} | ({"labelSelector": selector} if selector else {})
        while True:
            page = self._send("GET", f"{resource.path(namespace)}?{urlencode(query)}")
            found += page.get("items") or []
            meta = page.get("metadata") or {}
            if not meta.get("continue"):
                return found, str(meta.get("resourceVersion", ""))
            query["continue"] = meta["continue"]

    def watch(self, resource: Resource, namespace: str, version: str, selector: str = "") -> Iterator[Obj]:
        """Events behind `version` until the server ends the watch. Raises ApiError (410: list anew), Unreachable."""
        query = {"watch": "true", "resourceVersion": version, "allowWatchBookmarks": "true"}
        query |= {"timeoutSeconds": str(WATCH_S)} | ({"labelSelector": selector} if selector else {})
        connection = self._open()
        try:
            connection.request(
                "GET", f"{self._path(resource.path(namespace))}?{urlencode(query)}", headers=self._headers()
            )
            if connection.sock is not None:
                connection.sock.settimeout(WATCH_SILENCE_S)
            response = connection.getresponse()
            self._count("WATCH", str(response.status))
            if response.status != 200:
                raise error_from(response.status, response.read(MAX_LINE_BYTES))
            while line := response.readline(MAX_LINE_BYTES):
                event = json.loads(line)
                if event.get("type") == "ERROR":
                    status = event.get("object") or {}
                    raise ApiError(
                        int(status.get("code") or 500), str(status.get("reason")), str(status.get("message"))
                    )
                yield event
        except (OSError, http.client.HTTPException, ValueError) as exc:
            raise Unreachable(f"the watch of {resource.plural} broke: {reason_of(exc)}") from None
        finally:
            connection.close()

    def _send(self, verb: str, path: str, body: Obj | None = None, *, content_type: str = JSON) -> Obj:
        self.on_request()
        client = getattr(self._local, "client", None)
        if client is None:
            client = self._local.client = HttpClient(
                self._access.url, read_limit_s=READ_LIMIT_S, tls=self._access.tls, max_answer_bytes=MAX_ANSWER_BYTES
            )
        data = None if body is None else json.dumps(body).encode()
        headers = self._headers() | ({"Content-Type": content_type} if data is not None else {})
        try:
            answer = client.request(verb, self._path(path), body=data, headers=headers)
        except TransportError as exc:
            self._count(verb, "none")
            raise Unreachable(f"the API server does not answer: {exc}") from None
        self._count(verb, str(answer.status))
        if answer.status >= 400:
            raise error_from(answer.status, answer.body)
        try:
            content = json.loads(answer.body)
        except ValueError:
            raise Unreachable("the API server's answer is no JSON, or was cut off") from None
        return content if isinstance(content, dict) else {}

    def _path(self, path: str) -> str:
        return urlsplit(self._access.url).path.rstrip("/") + path

    def _open(self) -> http.client.HTTPConnection:
        parts = urlsplit(self._access.url)
        host = parts.hostname or ""
        if self._access.tls is not None:
            return http.client.HTTPSConnection(host, parts.port, timeout=CONNECT_LIMIT_S, context=self._access.tls)
        return http.client.HTTPConnection(host, parts.port, timeout=CONNECT_LIMIT_S)

    def _headers(self) -> dict[str, str]:
        headers = {"User-Agent": USER_AGENT, "Accept": JSON}
        if self._access.token_file is not None:
            headers["Authorization"] = f"Bearer {self._bearer(self._access.token_file)}"
        return headers

    def _bearer(self, file: Path) -> str:
        with self._lock:
            if time.monotonic() - self._token_read_at > TOKEN_AGE_S:
                try:
                    self._token = file.read_text(encoding="utf-8").strip()
                except OSError as exc:
                    raise Unreachable(f"the account's token cannot be read: {exc.strerror}") from None
                self._token_read_at = time.monotonic()
            return self._token

    def _count(self, verb: str, status: str) -> None:
        with self._lock:
            self.requests[verb, status] = self.requests.get((verb, status), 0) + 1


def error_from(status: int, body: bytes) -> ApiError:
    """The server's Status object as an exception; whatever else came is not repeated."""
    try:
        content = json.loads(body)
        # What is made in a namespace on its way out is Forbidden, and only the causes say why.
        causes = [cause.get("reason") for cause in (content.get("details") or {}).get("causes") or []]
        reason = NAMESPACE_ENDS if NAMESPACE_ENDS in causes else str(content.get("reason") or "")
        return ApiError(status, reason, str(content.get("message") or f"status {status}"))
    except (ValueError, AttributeError):
        return ApiError(status, "", f"the API server answered with status {status}")

# SPDX-License-Identifier: GPL-3.0-or-later
# SPDX-FileCopyrightText: 2026 The orchestrator.platform authors
#
# Private to this collection: names and behaviour may change in any release.
"""The only file that talks to the API server: kept-alive connections, bounded retries, errors mapped.

It knows paths and bytes and nothing of sidecars or checks. Every kubeconfig, context, token and proxy option of
kubernetes.core works, since the configuration is made by kubernetes.core itself; the typed API is not used, because
plain JSON over the connection pool beneath it is several times cheaper.
"""

from __future__ import annotations

import contextlib
import email.utils
import json
import threading
import time
import typing as t
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from urllib.parse import urlencode

from ansible_collections.orchestrator.platform.plugins.module_utils._api_client import api_client
from ansible_collections.orchestrator.platform.plugins.module_utils._errors import (
    ApiError,
    ClusterError,
    UnreachableError,
)
from ansible_collections.orchestrator.platform.plugins.module_utils._unreachable import explain_failure
from ansible_collections.orchestrator.platform.plugins.module_utils._workloads import Foreign, Json, Obj

PAGE = 500  # objects a list page, kubectl's own chunk size
RESTARTS = 2  # of a list whose continue token has expired; the last time it is asked for in one piece
WATCH_SECONDS = 50  # a watch ends by itself below the read timeout and is begun again
MIN_ROUND_S = 1.0  # arbitrary: list and watch are begun anew at most this often
REFUSED_ROUND_S = 5.0  # arbitrary: where listing is permitted and watching is not, the list is read this often
MIN_LEFT_S = 0.1  # for a command whose time is over once its channel is open; no time at all would mean without end
RETRIES = 3
_RETRY_STATUS = (429, 502, 503, 504)
_PARTIAL = "application/json;as=PartialObjectMetadata;g=meta.k8s.io;v=v1,application/json"
_PARTIAL_LIST = "application/json;as=PartialObjectMetadataList;g=meta.k8s.io;v=v1,application/json"


class Patience(t.NamedTuple):
    """How long an answer is waited for, and whether a failed request is tried again."""

    connect_s: float
    read_s: float
    retries: int


PATIENT = Patience(10.0, 60.0, RETRIES)
# For the first questions to a cluster: a host that swallows packets must not hold them for minutes.
HASTY = Patience(4.0, 15.0, 0)

In = t.TypeVar("In")
Out = t.TypeVar("Out")


class Answer(t.NamedTuple):
    """A raw HTTP answer, for paths whose body is not an API object."""

    status: int
    text: str


class ExecResult(t.NamedTuple):
    """What a command in a container gave back; `code` is None when it did not end in time."""

    code: int | None
    stdout: str
    stderr: str


class Cluster:
    """One API server. `calls` counts the requests sent, retries not included.

    With `limit_s` everything is to be done within so many seconds: what is asked later raises ClusterError at once.
    """

    def __init__(
        self, module: Foreign, *, threads: int = 8, patience: Patience = PATIENT, limit_s: float | None = None
    ) -> None:
        self.threads = max(1, threads)
        self.calls = 0
        self.clock_skew_s: float | None = None  # the server's clock ahead of ours, from its first dated answer
        self._patience = patience
        self._limit_s = limit_s
        self._deadline = None if limit_s is None else time.monotonic() + limit_s
        self._lock = threading.Lock()
        self._api = api_client(module, pool=self.threads + 4)
        self._pool = self._api.rest_client.pool_manager
        self.host: str = self._api.configuration.host.rstrip("/")
        self._retry, self._http_error = _urllib3()

    # -- requests -------------------------------------------------------------------------------------------------

    def get(self, path: str, **params: Json) -> Obj:
        """One object; raises ApiError (404 too) and ClusterError."""
        return _decoded(self._send("GET", path, params))

    def find(self, path: str, **params: Json) -> Obj | None:
        """One object, or None where there is none."""
        try:
            return self.get(path, **params)
        except ApiError as exc:
            if exc.status == 404:
                return None
            raise

    def items(self, path: str, *, metadata_only: bool = False, **params: Json) -> tuple[list[Obj], str]:
        """All items of a list, page by page, and the resourceVersion of the list.

        A list that takes longer than the server keeps its state (410) is begun anew, at last in one piece.
        """
        for restart in range(RESTARTS + 1):
            limit = {"limit": PAGE if restart < RESTARTS else None}
            items: list[Obj] = []
            version = ""
            try:
                found = self.pages(path, metadata_only=metadata_only, **{**limit, **params})
                for page, version in found:  # noqa: B007 (the last one counts)
                    items += page
            except ApiError as exc:
                if exc.status != 410 or restart == RESTARTS:
                    raise
            else:
                return items, version
        raise AssertionError("unreachable")

    def pages(self, path: str, *, metadata_only: bool = False, **params: Json) -> Iterator[tuple[list[Obj], str]]:
        """A list page by page, each with the resourceVersion of the list: for whoever keeps little of each item."""
        query = {"limit": PAGE, **params}
        headers = {"Accept": _PARTIAL_LIST} if metadata_only else None
        while True:
            page = _decoded(self._send("GET", path, query, headers=headers))
            metadata = page.get("metadata") or {}
            yield page.get("items") or [], metadata.get("resourceVersion", "")
            if not metadata.get("continue"):
                return
            query = {**query, "continue": metadata["continue"]}

    def post(self, path: str, body: Obj) -> Obj:
        """Create what is not stored, such as an access review; raises ApiError and ClusterError."""
        headers = {"Content-Type": "application/json"}
        return _decoded(self._send("POST", path, {}, headers=headers, body=json.dumps(body).encode()))

    def apply(self, path: str, body: bytes, *, manager: str, dry_run: bool, whole: bool, force: bool = False) -> Obj:
        """Server-side apply; `whole` asks for the object back instead of its metadata only.

        `force` takes fields away from their managers. Never for somebody else's workload: what was taken by force
        cannot be given back (D1).
        """
        params = {"fieldManager": manager, **({"force": "true"} if force else {}), **_dry(dry_run)}
        headers = {"Content-Type": "application/apply-patch+yaml"}
        if not whole:
            headers["Accept"] = _PARTIAL
        return _decoded(self._send("PATCH", path, params, headers=headers, body=body))

    def create(self, path: str, body: bytes, *, manager: str, dry_run: bool) -> Obj:
        """A new object in the collection at `path`, as its metadata only."""
        headers = {"Content-Type": "application/json", "Accept": _PARTIAL}
        params = {"fieldManager": manager, **_dry(dry_run)}
        return _decoded(self._send("POST", path, params, headers=headers, body=body))

    def replace(self, path: str, body: Obj, *, manager: str, dry_run: bool) -> Obj:
        """The whole object at `path` as the body says, in the version that it names; returns what is there then."""
        params = {"fieldManager": manager, **_dry(dry_run)}
        headers = {"Content-Type": "application/json"}
        return _decoded(self._send("PUT", path, params, headers=headers, body=json.dumps(body).encode()))

    def delete(self, path: str, *, uid: str, version: str = "", dry_run: bool = False) -> None:
        """Delete this very object, where given in this very version, its dependents in the background."""
        body: Obj = {
            "apiVersion": "v1",
            "kind": "DeleteOptions",
            "propagationPolicy": "Background",
            "preconditions": {"uid": uid, **({"resourceVersion": version} if version else {})},
            # With a body the API server reads the options from there and looks at no query.
            **({"dryRun": ["All"]} if dry_run else {}),
        }
        headers = {"Content-Type": "application/json"}
        _decoded(self._send("DELETE", path, {}, headers=headers, body=json.dumps(body).encode()))

    def merge(self, path: str, body: Obj) -> Obj:
        """Change some fields of an object (JSON merge patch, RFC 7386); raises ApiError and ClusterError."""
        headers = {"Content-Type": "application/merge-patch+json"}
        return _decoded(self._send("PATCH", path, {}, headers=headers, body=json.dumps(body).encode()))

    def read_text(self, path: str, *, timeout_s: float = 5.0) -> Answer:
        """A body as it is, any status; for the proxies of pods and nodes. Raises ClusterError, never ApiError."""
        response = self._send("GET", path, {}, timeout_s=timeout_s, retry=False)
        return Answer(response.status, response.data.decode("utf-8", "replace"))

    def each(self, function: Callable[[In], Out], items: Iterable[In]) -> list[Out]:
        """The function over all items on at most `threads` connections, results in the order of the items."""
        work = list(items)
        if len(work) < 2:
            return [function(item) for item in work]
        with ThreadPoolExecutor(min(self.threads, len(work))) as pool:
            return list(pool.map(function, work))

    # -- watching -------------------------------------------------------------------------------------------------

    def follow(
        self,
        path: str,
        deliver: Callable[[str, Obj], None],
        stop: threading.Event,
        *,
        since: str = "",
        refused: Callable[[str], None] | None = None,
        **params: Json,
    ) -> None:
        """List, then watch, and hand over every (event type, object) until `stop`; begins anew when the watch ends.

        What a new list lacks was deleted between two watches: DELETED is handed over with its metadata alone, also for
        an object of which another one has the name now.
        `since` is the resourceVersion of a list that the caller has read: the first round then only watches.
        Raises ApiError and ClusterError from the first list, later only where the credentials are refused: an API
        server that is away for a while, or a watch that breaks, is asked again, at most once in MIN_ROUND_S. Where the
        watch is forbidden, `refused` is told once, and lists follow each other at a slower pace.
        """
        listed, version, refusals = bool(since), since, 0
        told = _Told(deliver)
        while not stop.is_set():
            begun = time.monotonic()
            try:
                if not version:
                    there = set()
                    for items, version in self.pages(path, **params):  # noqa: B007 (the last one counts)
                        there |= {told.tell("ADDED", item) for item in items}
                    told.drop_all_but(there)  # only now: half a list says nothing of what is gone
                listed = True
                for event, item in self._watch(path, version, params):
                    if stop.is_set():
                        return
                    told.tell(event, item)
            except ClusterError as exc:
                # Also: listing is permitted and watching is not, or the version is too old.
                if not listed or (isinstance(exc, ApiError) and exc.status == 401):
                    raise
                if isinstance(exc, ApiError) and exc.status == 403:
                    refusals += 1
                    if refusals == 1 and refused is not None:
                        refused(str(exc))
            version = ""
            # Some proxies end a watch at once; without a pace that would be a storm of lists.
            round_s = MIN_ROUND_S if refusals < 2 else REFUSED_ROUND_S
            stop.wait(max(0.0, round_s - (time.monotonic() - begun)))

    def _watch(self, path: str, version: str, params: dict[str, Json]) -> Iterator[tuple[str, Obj]]:
        query = {**params, "watch": "1", "resourceVersion": version, "timeoutSeconds": WATCH_SECONDS}
        response = self._send("GET", path, query, timeout_s=WATCH_SECONDS + 5.0, stream=True)
        rest = b""
        try:
            for chunk in response.stream(65536, decode_content=True):
                *lines, rest = (rest + chunk).split(b"\n")
                for line in filter(None, lines):
                    event = json.loads(line)
                    if event.get("type") not in ("ADDED", "MODIFIED", "DELETED"):
                        return  # ERROR, mostly 410 Gone: list again
                    yield event["type"], event["object"]
        except (self._http_error, ValueError, OSError):
            return
        finally:
            response.release_conn()

    # -- commands in containers -----------------------------------------------------------------------------------

    def run_in(self, namespace: str, pod: str, container: str, argv: list[str], *, timeout_s: float) -> ExecResult:
        """Run a command in a container over a websocket, from the handshake on in so many seconds.

        Raises ApiError with the status of a refused handshake, else ClusterError, when it cannot be started.
        """
        limit_s = self._in_time(timeout_s)
        until = time.monotonic() + limit_s
        self._count()
        unrun = f"The command could not be run in {namespace}/{pod}/{container}"
        path = f"/api/v1/namespaces/{namespace}/pods/{pod}/exec"
        try:
            channel = _within(limit_s, self._channel(path, container, argv))
        except TimeoutError as exc:
            raise ClusterError(f"{unrun}: the API server did not answer within {limit_s:.3g} s.") from exc
        except _RefusedError as exc:
            text = f"{unrun}: {exc}."
            raise (ApiError(exc.status, text, {}) if exc.status else ClusterError(text)) from exc
        try:
            with contextlib.closing(channel):
                left_s = max(MIN_LEFT_S, until - time.monotonic())
                channel.sock.settimeout(left_s)  # else half a frame is waited for without end
                channel.run_forever(timeout=left_s)
                stdout, stderr = channel.read_stdout(timeout=0) or "", channel.read_stderr(timeout=0) or ""
                code = None if channel.is_open() else channel.returncode
        except Exception as exc:
            raise ClusterError(f"{unrun}: {type(exc).__name__}.") from exc
        return ExecResult(code, stdout, stderr)

    def _channel(self, path: str, container: str, argv: list[str]) -> Callable[[], Foreign]:
        """What opens the websocket for a command; it raises _RefusedError."""
        # Not needed by anybody else. The websocket alone: the typed API in front of it costs half a second to import.
        from kubernetes.stream.ws_client import websocket_call

        query = [("container", container), ("stdin", "false"), ("stdout", "true"), ("stderr", "true"), ("tty", "false")]

        def connect() -> Foreign:
            try:
                return websocket_call(
                    self._api.configuration,
                    "GET",
                    f"{self.host}{path}",
                    headers={name.lower(): value for name, value in self._headers().items()},
                    query_params=[*(("command", word) for word in argv), *query],
                    _preload_content=False,
                )
            except Exception as exc:
                # A dozen unrelated types, whose text may hold headers: only the type is shown.
                raise _RefusedError(exc) from exc

        return connect

    # -- beneath --------------------------------------------------------------------------------------------------

    def _count(self) -> None:
        with self._lock:
            self.calls += 1

    def _headers(self) -> dict[str, str]:
        # Asked for each request: tokens from exec plugins and from OIDC are refreshed by this call.
        headers = dict(self._api.default_headers)
        for auth in self._api.configuration.auth_settings().values():
            if auth.get("in") == "header" and auth.get("value"):
                headers[auth["key"]] = auth["value"]
        return headers

    def _send(
        self,
        method: str,
        path: str,
        params: dict[str, Json],
        *,
        headers: dict[str, str] | None = None,
        body: bytes | None = None,
        timeout_s: float | None = None,
        stream: bool = False,
        retry: bool = True,
    ) -> Foreign:
        self._count()
        query = urlencode({key: value for key, value in params.items() if value not in (None, "")})
        url = f"{self.host}{path}{('&' if '?' in path else '?') + query if query else ''}"
        timeout, began = self._timeout(timeout_s), time.monotonic()
        try:
            response = self._pool.request(
                method,
                url,
                headers={"Accept": "application/json", **self._headers(), **(headers or {})},
                body=body,
                timeout=timeout,
                retries=self._retries(retry=retry),
                preload_content=not stream,
            )
        except (self._http_error, OSError) as exc:
            raise UnreachableError(*explain_failure(exc, self.host, time.monotonic() - began)) from exc
        if self.clock_skew_s is None:
            self.clock_skew_s = _skew(response.headers.get("Date"), time.time())
        if stream and response.status != 200:
            raise _api_error(response)
        return response

    def _timeout(self, read_s: float | None) -> Foreign:
        """Raises ClusterError when the time for everything is over."""
        from urllib3 import Timeout

        # Tried twice at most, so that both tries end in time.
        half_s = self._in_time(2 * PATIENT.read_s) / 2
        connect_s, read_s = self._patience.connect_s, read_s or self._patience.read_s
        return Timeout(connect=min(connect_s, half_s), read=min(read_s, half_s))

    def _in_time(self, wanted_s: float) -> float:
        """So many seconds, or what is left; raises ClusterError when nothing is."""
        if self._deadline is None:
            return wanted_s
        left_s = self._deadline - time.monotonic()
        if left_s <= 0:
            raise ClusterError(f"the time limit of {self._limit_s:g} s is over")
        return min(wanted_s, left_s)

    def _retries(self, *, retry: bool) -> Foreign:
        if not retry or not self._patience.retries:
            return False
        # An apply may be sent twice: with the same content it changes nothing.
        return self._retry(
            total=self._patience.retries,
            connect=1,
            read=None if self._deadline is None else 1,
            status_forcelist=_RETRY_STATUS,
            allowed_methods=None,
            backoff_factor=0.2,
            raise_on_status=False,
        )


class _RefusedError(Exception):
    """No websocket: `status` is the HTTP code of the answer, 0 where there is none."""

    def __init__(self, exc: Exception) -> None:
        # Read here, where it was raised: whoever raises it again while he handles another error changes its context.
        self.status = _handshake_status(exc)
        super().__init__(f"HTTP {self.status}" if self.status else type(exc).__name__)


def _within(limit_s: float, connect: Callable[[], Foreign]) -> Foreign:
    """A channel that is open in so many seconds; raises TimeoutError. One that opens later is closed at once.

    The websocket client connects without a timeout and takes none, so a thread waits that nobody waits for.
    """
    opened: Future[Foreign] = Future()

    def attempt() -> None:
        try:
            opened.set_result(connect())
        except BaseException as exc:  # noqa: BLE001 (raised again by whoever waits)
            opened.set_exception(exc)

    threading.Thread(target=attempt, name="open-channel", daemon=True).start()
    try:
        return opened.result(timeout=limit_s)
    except TimeoutError:
        opened.add_done_callback(_hang_up)
        raise


def _hang_up(opened: Future[Foreign]) -> None:
    if opened.exception() is None:
        opened.result().close()


def _handshake_status(exc: BaseException) -> int:
    """HTTP status of a refused websocket handshake, 0 where there is none.

    kubernetes.stream raises ApiException(status=0) inside its handler; only what it handled knows the status.
    """
    for error in (exc, exc.__cause__, exc.__context__):
        status = getattr(error, "status_code", None) or getattr(error, "status", None)
        if isinstance(status, int) and status >= 400:
            return status
    return 0


def _urllib3() -> tuple[Foreign, Foreign]:
    from urllib3 import Retry
    from urllib3.exceptions import HTTPError

    return Retry, HTTPError


def _skew(date: str | None, now: float) -> float | None:
    """Seconds by which the date of an answer is ahead of our clock; None where there is no date."""
    try:
        return email.utils.parsedate_to_datetime(date or "").timestamp() - now
    except (TypeError, ValueError):
        return None


def _dry(dry_run: bool) -> dict[str, Json]:  # noqa: FBT001 (a parameter of the API, passed on)
    return {"dryRun": "All"} if dry_run else {}


def _decoded(response: Foreign) -> Obj:
    if response.status >= 400:
        raise _api_error(response)
    try:
        document = json.loads(response.data)
    except ValueError as exc:
        raise ClusterError(f"The API server answered {response.status} with something that is not JSON.") from exc
    return t.cast(Obj, document)


def _api_error(response: Foreign) -> ApiError:
    try:
        body = json.loads(response.data)
    except ValueError:
        body = {}
    if not isinstance(body, dict):
        body = {}
    text = " ".join(str(body.get("message") or f"HTTP {response.status}").split())
    if response.status == 401:
        text = "the credentials are not accepted (401): check kubeconfig, context or token"
    return ApiError(response.status, text[:500], body)


_Name = tuple[str, str]  # namespace and name


class _Told:
    """Hands events over and remembers what is there, by a few fields each: whole objects would pile up."""

    def __init__(self, deliver: Callable[[str, Obj], None]) -> None:
        self._deliver = deliver
        self._there: dict[_Name, Obj] = {}

    def tell(self, event: str, item: Obj) -> _Name:
        """Hand over one event; returns whose it is."""
        meta = item.get("metadata") or {}
        known = {key: meta[key] for key in ("namespace", "name", "uid", "generation") if key in meta}
        name = (meta.get("namespace", ""), meta.get("name", ""))
        before = self._there.pop(name, known)
        if before.get("uid") != known.get("uid"):
            self._deliver("DELETED", {"metadata": before})
        if event != "DELETED":
            self._there[name] = known
        self._deliver(event, item)
        return name

    def drop_all_but(self, names: set[_Name]) -> None:
        """Everything else is there no more."""
        for name in [name for name in self._there if name not in names]:
            self._deliver("DELETED", {"metadata": self._there.pop(name)})


class Stopwatch:
    """Seconds by part of a run, for the module's result."""

    def __init__(self) -> None:
        self._start = self._last = time.monotonic()
        self.parts: dict[str, float] = {}

    def lap(self, name: str) -> None:
        """Book the time since the last lap under a name."""
        now = time.monotonic()
        self.parts[name] = round(self.parts.get(name, 0.0) + now - self._last, 3)
        self._last = now

    def result(self) -> dict[str, float]:
        """All parts and the total, in seconds."""
        return {**self.parts, "total_s": round(time.monotonic() - self._start, 3)}

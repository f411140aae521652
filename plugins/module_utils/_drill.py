# SPDX-License-Identifier: GPL-3.0-or-later
# SPDX-FileCopyrightText: 2026 The orchestrator.platform authors
#
# Private to this collection: names and behaviour may change in any release.
"""What a drill stands on: pods as a watch sees them, fake Discords, lines that are to arrive. _faults.py judges.

Each pod is hit by one fault at a time; different pods at once.
"""

from __future__ import annotations

import base64
import contextlib
import datetime
import functools
import json
import re
import threading
import time
import typing as t
from collections.abc import Callable
from http import HTTPStatus

from ansible_collections.orchestrator.platform.plugins.module_utils import _fault_scripts as scripts
from ansible_collections.orchestrator.platform.plugins.module_utils._cluster import Cluster, ExecResult
from ansible_collections.orchestrator.platform.plugins.module_utils._errors import ApiError, ClusterError, PlatformError
from ansible_collections.orchestrator.platform.plugins.module_utils._fault_table import Row, last_end, rows_of
from ansible_collections.orchestrator.platform.plugins.module_utils._faults import AGENT, BRIDGE, KILLED, WATCHER
from ansible_collections.orchestrator.platform.plugins.module_utils._workloads import Json, Obj, dig

LABEL_FAULT = "orchestrator.platform/fault"
ASK_S = 0.5  # between two questions to a fake Discord
EXEC_S = 30.0  # for a command that ends by itself
END_S = 20.0  # arbitrary: for the kubelet to tell that a container has ended
ANSWER_S = 20.0  # for an answer of a fake Discord, also when a fault has used up its time
PACE = threading.Event()  # never set: its wait is the pace of questions that no watch answers


class BrokenDrillError(PlatformError):
    """A fault could not be made, or what it stands on did not stand before."""


class Pods:
    """The pods of a namespace as a watch sees them. `wait` returns as soon as its question is true."""

    def __init__(self, cluster: Cluster, namespace: str) -> None:
        self._path = f"/api/v1/namespaces/{namespace}/pods"
        self._cluster = cluster
        self._changed = threading.Condition()
        self._pods: dict[str, Obj] = {}
        self._seen: dict[str, set[Row]] = {}
        self._problem = ""
        self._stop = threading.Event()

    def __enter__(self) -> t.Self:
        threading.Thread(target=self._follow, name="follow-pods", daemon=True).start()
        return self

    def __exit__(self, *_exc: object) -> None:
        self._stop.set()

    def _follow(self) -> None:
        try:
            self._cluster.follow(self._path, self._deliver, self._stop)
        except PlatformError as exc:
            with self._changed:
                self._problem = str(exc)
                self._changed.notify_all()

    def _deliver(self, event: str, pod: Obj) -> None:
        with self._changed:
            name = pod["metadata"]["name"]
            if event == "DELETED":
                self._pods.pop(name, None)
            else:
                self._pods[name] = pod
                self._seen.setdefault(name, set()).update(rows_of(pod))
            self._changed.notify_all()

    def wait(self, question: Callable[[dict[str, Obj]], Json], timeout_s: float) -> Json:
        """The first true answer, or the last false one when the time is over."""
        with self._changed:
            answer = self._changed.wait_for(lambda: self._problem or question(self._pods), timeout_s)
            if self._problem:
                raise ClusterError(self._problem)
            return answer

    def get(self, name: str) -> Obj:
        """A pod as last seen; raises BrokenDrillError when it is gone."""
        with self._changed:
            if name not in self._pods:
                raise BrokenDrillError(f"pod {name} is gone")
            return self._pods[name]

    def rows(self, name: str) -> list[Row]:
        """The pod's containers as last seen; none when it is gone."""
        with self._changed:
            return rows_of(self._pods[name]) if name in self._pods else []

    def read(self, name: str) -> list[Row]:
        """The pod's containers by a question of its own, since a watch may lag; none when it is gone.

        Listed, which is permitted to whoever watches, as `get` need not be. Raises ClusterError.
        """
        found, _version = self._cluster.items(self._path, fieldSelector=f"metadata.name={name}")
        return [row for pod in found for row in rows_of(pod)]

    def forget(self, name: str) -> None:
        """Begin to note the states of a pod anew."""
        with self._changed:
            self._seen[name] = set()

    def seen(self, name: str) -> list[Row]:
        """Every state of the pod's containers since."""
        with self._changed:
            return sorted(self._seen.get(name, ()))


class Endpoint(t.NamedTuple):
    """A fake Discord, asked through the API server's proxy."""

    cluster: Cluster
    namespace: str
    name: str

    @property
    def _path(self) -> str:
        return f"/api/v1/namespaces/{self.namespace}/services/{self.name}:http/proxy"

    def control(self, **switches: Json) -> None:
        """Switch its behaviour."""
        self.cluster.post(f"{self._path}/control", switches)

    def answers(self, status: int) -> int:
        """How many requests were answered so."""
        found: int = self.cluster.get(f"{self._path}/stats")["requests_by_status"].get(str(status), 0)
        return found

    def texts(self) -> list[tuple[str, str]] | None:
        """(channel id, text) of every message, oldest first; None while it cannot be asked."""
        with contextlib.suppress(ClusterError, ValueError, LookupError, TypeError):
            status, text = self.cluster.read_text(f"{self._path}/messages")
            if status == HTTPStatus.OK:
                messages = json.loads(text)["messages"]
                return [(str(message.get("channel_id")), json.dumps(message.get("embeds"))) for message in messages]
        return None

    def scale(self, replicas: int) -> None:
        """Take it away, or bring it back."""
        path = f"/apis/apps/v1/namespaces/{self.namespace}/deployments/{self.name}/scale"
        self.cluster.merge(path, {"spec": {"replicas": replicas}})


class Ground(t.NamedTuple):
    """What every fault of a drill has in common."""

    cluster: Cluster
    namespace: str
    pods: Pods
    timeout_s: float
    restart_kubelet: Callable[[], None] | None = None
    node: str = ""


class Stage:
    """One pod, and what is asked of it and done to it. `lines` are written and looked for by a subclass."""

    def __init__(self, ground: Ground, pod: str, struck: str) -> None:
        self.ground, self.pod, self.struck = ground, pod, struck
        self.wrote: list[str] = []
        self._deadline = time.monotonic() + ground.timeout_s

    # -- the pod --------------------------------------------------------------------------------------------------

    def left_s(self) -> float:
        """Seconds left for this fault, at least a moment to look once."""
        return max(0.1, self._deadline - time.monotonic())

    def renew(self) -> None:
        """The time for a fault begins when it is made."""
        self._deadline = time.monotonic() + self.ground.timeout_s

    def execute(self, container: str, argv: list[str], *, timeout_s: float = EXEC_S) -> ExecResult:
        """Run a command that may run twice; raises BrokenDrillError where it fails."""
        run = functools.partial(self.ground.cluster.run_in, self.ground.namespace, self.pod, container, argv)
        try:
            done = run(timeout_s=timeout_s)
        except ClusterError as exc:
            if isinstance(exc, ApiError) and exc.status < HTTPStatus.INTERNAL_SERVER_ERROR:
                raise
            # A connection that broke says nothing about the pod.
            done = run(timeout_s=timeout_s)
        if done.code != 0:
            raise BrokenDrillError(f"a command in {self.pod}/{container} ended with {done.code}: {_last_line(done)}")
        return done

    def strike(self, container: str, argv: list[str]) -> None:
        """Run a command that ends its own container, and so mostly itself without an answer.

        Raises ApiError where it was refused, and BrokenDrillError where it failed and the container runs on.
        """
        before = self._lives(container)
        try:
            done = self._begun(container, argv)
        except ApiError:
            raise  # nothing ran, so nothing is to be waited for
        except ClusterError:
            return  # as when the container ended; whether it did shows by its restart
        # Killed together with its container, it gives KILLED. Another code may come just before that.
        if done.code not in (None, 0, KILLED) and not self._ended(container, before):
            raise BrokenDrillError(
                f"the command that was to end {self.pod}/{container} ended with {done.code} and the container runs on: "
                f"{_last_line(done)}; see that its image is one of this collection's, then run the drill again"
            )

    def _begun(self, container: str, argv: list[str]) -> ExecResult:
        """Run a command that may not run twice: once more only where a server error says that nothing ran."""
        run = functools.partial(self.ground.cluster.run_in, self.ground.namespace, self.pod, container, argv)
        try:
            return run(timeout_s=self.left_s())
        except ApiError as exc:
            if exc.status < HTTPStatus.INTERNAL_SERVER_ERROR:
                raise
        PACE.wait(ASK_S)
        return run(timeout_s=self.left_s())

    def _lives(self, container: str) -> set[tuple[str, int, str]]:
        """What differs once a container has ended, restarted or not."""
        rows = self.ground.pods.rows(self.pod)
        return {(row.container_id, row.restarts, row.started_at) for row in rows if row.container == container}

    def _ended(self, container: str, before: set[tuple[str, int, str]]) -> bool:
        """Wait until a container is no more what it was; False when it still is."""
        # The lock of `wait` is one that its own thread may take again.
        return bool(self.ground.pods.wait(lambda _pods: self._lives(container) != before, min(END_S, self.left_s())))

    def restarts(self) -> int:
        """restartCount of the struck container."""
        return sum(row.restarts for row in self.ground.pods.rows(self.pod) if row.container == self.struck)

    def back(self, more_than: int) -> bool:
        """Wait until the struck container was restarted and is ready; False when the time is over."""

        def again(pods: dict[str, Obj]) -> bool:
            rows = rows_of(pods[self.pod]) if self.pod in pods else []
            return any(row.container == self.struck and row.restarts > more_than and row.ready for row in rows)

        return bool(self.ground.pods.wait(again, self.left_s()))

    def end(self) -> tuple[str, int | None]:
        """Reason and exit code of the struck container's last end."""
        return last_end(self.ground.pods.get(self.pod), self.struck)

    def health(self) -> tuple[int, Json]:
        """Status and webhook state that the watcher answers; asked until it answers, or the time is over."""
        port = self._port("health")
        path = f"/api/v1/namespaces/{self.ground.namespace}/pods/{self.pod}:{port}/proxy/healthz"
        while True:
            status = 0
            with contextlib.suppress(ClusterError, ValueError, LookupError, TypeError):
                status, text = self.ground.cluster.read_text(path)
                return status, json.loads(text)["webhook"]
            if self._deadline <= time.monotonic():
                return status, None
            PACE.wait(ASK_S)

    def _port(self, name: str) -> int:
        spec = self.ground.pods.get(self.pod)["spec"]
        for container in [*(spec.get("initContainers") or []), *spec["containers"]]:
            for port in container.get("ports") or []:
                if port.get("name") == name:
                    return int(port["containerPort"])
        raise BrokenDrillError(f"no container of {self.pod} has a port named {name}")

    # -- lines ----------------------------------------------------------------------------------------------------

    def say(self, count: int = 1) -> None:
        """Write lines that are to arrive."""
        raise NotImplementedError

    def messages(self) -> list[list[str]]:
        """Messages that have arrived, in order, each as the lines in it."""
        raise NotImplementedError

    def arrived(self) -> list[str]:
        """Lines that have arrived, in order, each as often as it did."""
        return [line for message in self.messages() for line in message]

    def complete(self) -> bool:
        """Wait until every line has arrived; False when the time is over."""
        while missing := set(self.wrote) - set(self.arrived()):
            if self._deadline <= time.monotonic():
                return not missing
            PACE.wait(ASK_S)
        return True

    def delivers(self) -> None:
        """A line arrives before the fault, else there is nothing to judge. Raises BrokenDrillError."""
        self.say()
        if not self.complete():
            raise BrokenDrillError("no line arrived before the fault: the watcher did not deliver")


def _last_line(done: ExecResult) -> str:
    return (done.stderr.strip().splitlines()[-1:] or ["no output"])[0][:200]


class AgentStage(Stage):
    """A pod of the drill's namespace: lines go through the agent's transcript, and arrive in a fake Discord."""

    def __init__(self, ground: Ground, pod: str, struck: str, *, endpoint: Endpoint, folder: str) -> None:
        super().__init__(ground, pod, struck)
        self.endpoint = endpoint
        self.folder = folder
        self._nonce = re.sub(r"[^0-9a-z]", "", self.pod)[-16:]
        self._text = ""
        self._count = 0

    def marker(self) -> str:
        """The next line's marker; not written yet."""
        self._count += 1
        return f"drill-{self._nonce}-{self._count:02d}."

    def forget(self) -> None:
        """Look for none of the lines so far any more."""
        self.wrote.clear()

    def row(self, marker: str) -> str:
        """The line for a marker."""
        now = datetime.datetime.now(datetime.UTC).isoformat(timespec="milliseconds")
        return scripts.row(marker, at=now.replace("+00:00", "Z"))

    def put(self, text: str, mode: scripts.Mode = "append") -> None:
        """Write to the transcript as the agent would; `_text` is what stands in it."""
        name = scripts.SESSION.format(nonce=self._nonce)
        self.execute(AGENT, scripts.write(self.folder, name, text, mode))
        self._text = self._text + text if mode == "append" else text

    def content(self) -> str:
        """What stands in the transcript."""
        return self._text

    def say(self, count: int = 1) -> None:
        """See Stage."""
        text = ""
        for _number in range(count):
            marker = self.marker()
            self.wrote.append(marker)
            text += self.row(marker)
        self.put(text)

    def messages(self) -> list[list[str]]:
        """See Stage."""
        return [markers for _channel, markers in self.by_channel()]

    def by_channel(self) -> list[tuple[str, list[str]]]:
        """(channel id, its markers) of each message with lines of this pod.

        Waits for an answer of the fake Discord, whose silence says nothing about lines. Raises BrokenDrillError.
        """
        until = max(self._deadline, time.monotonic() + ANSWER_S)
        while (texts := self.endpoint.texts()) is None:
            if until <= time.monotonic():
                raise BrokenDrillError(f"{self.endpoint.name} does not answer which lines arrived")
            PACE.wait(ASK_S)
        pattern = re.compile(rf"drill-{self._nonce}-\d+\.")
        found = [(channel, pattern.findall(text)) for channel, text in texts]
        return [(channel, markers) for channel, markers in found if markers]

    def set_webhook(self, url: str) -> None:
        """Give the pod's webhook Secret another URL."""
        encoded = base64.b64encode(url.encode()).decode()
        self.ground.cluster.merge(self._secret_path(), {"data": {"DISCORD_WEBHOOK_URL": encoded}})

    def webhook_secret(self) -> Obj:
        """The pod's webhook Secret."""
        return self.ground.cluster.get(self._secret_path())

    def delete_webhook_secret(self, secret: Obj) -> None:
        """Take the Secret away."""
        self.ground.cluster.delete(self._secret_path(), uid=secret["metadata"]["uid"])

    def create_webhook_secret(self, secret: Obj) -> None:
        """Bring it back with the same content."""
        meta = {"name": secret["metadata"]["name"], "labels": secret["metadata"].get("labels") or {}}
        body = {"apiVersion": "v1", "kind": "Secret", "metadata": meta, "data": secret["data"]}
        self.ground.cluster.post(self._secret_path().rpartition("/")[0], body)

    def fifo_folder(self) -> str:
        """Where the bridge mounts the volume of its FIFO."""
        spec = self.ground.pods.get(self.pod)["spec"]
        for container in [*(spec.get("initContainers") or []), *spec["containers"]]:
            for mount in container.get("volumeMounts") or []:
                if container["name"] == BRIDGE and mount["name"] == "discord-fifo":
                    return str(mount["mountPath"])
        raise BrokenDrillError(f"the bridge of {self.pod} has no FIFO")

    def _secret_path(self) -> str:
        name = dig(self.ground.pods.get(self.pod), "metadata", "labels", LABEL_FAULT)
        return f"/api/v1/namespaces/{self.ground.namespace}/secrets/{name}"


class ProbeStage(Stage):
    """A pod of the user's: lines are the watcher's own probes, which it deletes again."""

    def __init__(self, ground: Ground, pod: str, struck: str) -> None:
        super().__init__(ground, pod, struck)
        self._got: list[str] = []

    def say(self, count: int = 1) -> None:
        """See Stage."""
        for _number in range(count):
            name = f"probe {len(self.wrote) + 1}"
            self.wrote.append(name)
            argv = ["discord-monitor", "probe", "--timeout", "30"]
            done = self.ground.cluster.run_in(self.ground.namespace, self.pod, WATCHER, argv, timeout_s=40.0)
            if done.code == 0:
                self._got.append(name)

    def messages(self) -> list[list[str]]:
        """See Stage."""
        return [[name] for name in self._got]

    def complete(self) -> bool:
        """A probe has waited already."""
        return self._got == self.wrote

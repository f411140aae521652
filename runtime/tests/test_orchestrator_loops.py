# SPDX-License-Identifier: GPL-3.0-or-later
# SPDX-FileCopyrightText: 2026 The orchestrator.platform authors
"""The controller's loops: queue, stores, watches, turns, health; and the program itself with no API server in reach."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
import threading

import pytest
import runs
import yaml
from hypothesis import given
from hypothesis import strategies as st
from processes import SRC, free_port, get, wait_for

from discord_monitor.lifecycle import Stop
from discord_monitor.log import Log
from orchestrator import naming
from orchestrator.config import ConfigFile
from orchestrator.health import Health, Pulse
from orchestrator.job import SecretNeed
from orchestrator.kube import CODE_RUNS, JOBS, PAGE, Access, Api, ApiError, Unreachable, find_access
from orchestrator.lookup import FRESH_S, Lookup
from orchestrator.store import Informer, Store
from orchestrator.turns import Turns
from orchestrator.work import FIRST_BACKOFF_S, MAX_BACKOFF_S, Key, WorkQueue

A, B = Key("coderuns", "a"), Key("coderuns", "b")


class Clock:
    """Time that only the test moves."""

    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock():
    return Clock()


@pytest.fixture
def queue(clock):
    return WorkQueue(clock=clock)


def take(queue):
    return queue.take(patience_s=0)


def test_a_key_is_handed_out_once(queue):
    """Asked for three times, worked on once; asked for during its work, worked on again, and never by two."""
    for _ in range(3):
        queue.add(A)
    assert take(queue) == A
    assert take(queue) is None
    queue.add(A)
    queue.add(B)
    assert take(queue) == B, "A is being worked on"
    assert take(queue) is None
    queue.done(A)
    assert take(queue) == A


def test_the_earlier_time_counts(queue, clock):
    queue.add(A, after_s=60)
    queue.add(A, after_s=5)
    queue.add(A, after_s=90)
    assert take(queue) is None
    clock.now += 5
    assert take(queue) == A
    queue.done(A)
    clock.now += 1000
    assert take(queue) is None
    assert len(queue) == 0


def test_failures_wait_longer_and_longer(queue, clock):
    """Up to a bound; a success forgets them."""
    pauses = []
    queue.add(A)
    for _ in range(12):
        assert take(queue) == A
        pauses.append(queue.done(A, failed=True))
        assert take(queue) is None
        clock.now += pauses[-1]
    assert pauses[:3] == [FIRST_BACKOFF_S, FIRST_BACKOFF_S * 2, FIRST_BACKOFF_S * 4]
    assert pauses[-1] == MAX_BACKOFF_S
    assert take(queue) == A
    queue.done(A)
    queue.add(A)
    assert take(queue) == A
    assert queue.done(A, failed=True) == FIRST_BACKOFF_S


def test_a_closed_queue_lets_everybody_go():
    queue = WorkQueue()
    taken = []
    worker = threading.Thread(target=lambda: taken.append(queue.take(patience_s=600)))
    worker.start()
    queue.close()
    worker.join(60)
    assert taken == [None]


@given(st.lists(st.tuples(st.sampled_from("abc"), st.integers(0, 5)), max_size=30))
def test_nothing_is_lost(entries):
    """Every key that was added is handed out, once."""
    clock = Clock()
    queue = WorkQueue(clock=clock)
    for name, after_s in entries:
        queue.add(Key("k", name), after_s=after_s)
    clock.now += 10
    found = []
    while key := queue.take(patience_s=0):
        found.append(key.name)
        queue.done(key)
    assert sorted(found) == sorted({name for name, _ in entries})


def obj(name, version, **more):
    return {"metadata": {"name": name, "resourceVersion": str(version), **more}}


def test_the_newer_version_stays():
    """An answer to a request of ours and a watch overtake each other."""
    store = Store()
    assert store.put(obj("a", 5))
    assert not store.put(obj("a", 4))
    assert not store.put(obj("a", 5))
    store.drop(obj("a", 7))
    assert not store.put(obj("a", 6)), "a late answer brings nobody back"
    assert store.put(obj("a", 8)), "one made anew is somebody else"
    assert store.get("a")["metadata"]["resourceVersion"] == "8"


def test_a_list_replaces_what_it_knows():
    """What is gone is told; what was made after the list was read stays."""
    store = Store()
    for name, version in (("old", 3), ("kept", 4), ("newer", 20)):
        store.put(obj(name, version))
    changed = store.replace([obj("kept", 4), obj("fresh", 9)], 10)
    assert sorted(o["metadata"]["name"] for o in changed) == ["fresh", "old"]
    assert sorted(o["metadata"]["name"] for o in store.all()) == ["fresh", "kept", "newer"]


def events(*rows):
    return b"".join(json.dumps({"type": kind, "object": o}).encode() + b"\n" for kind, o in rows)


def test_lists_come_in_pages(serve):
    def answer(verb, path, body):
        more = "continue=next" not in path
        return 200, {
            "metadata": {"resourceVersion": "9", "continue": "next" if more else ""},
            "items": [obj("a" if more else "b", 1)],
        }

    server = serve(answer)
    found, version = server.api.list(JOBS, "runs", "app=orchestrator")
    assert ([o["metadata"]["name"] for o in found], version) == (["a", "b"], "9")
    assert all(
        f"limit={PAGE}" in path and "labelSelector=app%3Dorchestrator" in path for _verb, path, _body in server.asked
    )


def test_a_watch_goes_on_behind_bookmarks_and_lists_anew_after_410(serve):
    """Issue 8.7: what came is kept; a version that the server forgot costs one list, not the process."""
    gone = {"kind": "Status", "code": 410, "reason": "Expired", "message": "too old"}
    script = [
        events(("ADDED", obj("b", 11)), ("BOOKMARK", obj("", 20))),
        events(("MODIFIED", obj("b", 21)), ("DELETED", obj("a", 22))),
        events(("ERROR", gone)),
    ]
    watched, stop, changed = [], Stop(), []

    def answer(verb, path, body):
        if "watch=true" not in path:
            return 200, {
                "metadata": {"resourceVersion": "30" if watched else "10"},
                "items": [obj("c", 25)] if watched else [obj("a", 5)],
            }
        watched.append(path.partition("resourceVersion=")[2].partition("&")[0])
        if len(watched) <= len(script):
            return 200, script[len(watched) - 1]
        stop.request()
        return 200, b""

    log = Log("test", threshold="error", redact=str)
    informer = Informer(
        serve(answer).api,
        CODE_RUNS,
        "runs",
        on_change=lambda o: changed.append(o["metadata"]["name"]),
        beat=lambda: None,
        log=log,
    )
    informer.run(stop)
    assert watched == ["10", "20", "22", "30"]
    assert [o["metadata"]["name"] for o in informer.store.all()] == ["c"]
    assert changed == ["a", "b", "b", "a", "b", "c"]
    assert informer.relists == 2


@pytest.mark.parametrize(
    ("status", "content", "error", "words"),
    [
        (403, {"reason": "Forbidden", "message": "no right"}, ApiError, "no right"),
        (500, b"<html>canary", ApiError, "status 500"),
        (200, b"half", Unreachable, "no JSON"),
    ],
)
def test_refusals_and_torn_answers(serve, status, content, error, words):
    with pytest.raises(error, match=words) as caught:
        serve(lambda verb, path, body: (status, content)).api.get(JOBS, "runs", "j")
    assert "canary" not in str(caught.value)


def test_what_is_there_and_what_is_gone_is_no_error(serve):
    """Each step can be done again."""
    taken = serve(lambda verb, path, body: (409, {"reason": "AlreadyExists", "message": "m"})).api
    assert taken.create(JOBS, "runs", {}) is None
    gone = serve(lambda verb, path, body: (404, {"reason": "NotFound", "message": "m"})).api
    assert gone.get(JOBS, "runs", "j") is None
    assert gone.merge(JOBS, "runs", "j", {}) is None
    gone.delete(JOBS, "runs", "j", "uid")
    assert gone.requests == {("GET", "404"): 1, ("PATCH", "404"): 1, ("DELETE", "404"): 1}


def test_no_api_server():
    """Two ways in, and a sentence without either."""
    assert find_access({"KUBERNETES_API_URL": "http://127.0.0.1:1"}).url == "http://127.0.0.1:1"
    with pytest.raises(ValueError, match="no pod"):
        find_access({})
    with pytest.raises(Unreachable, match="connection refused"):
        Api(Access(f"http://127.0.0.1:{free_port()}", None, None)).get(JOBS, "runs", "j")


def test_secrets_are_asked_for_once_and_no_value_is_kept(serve, clock):
    """200 runs that start at once ask for their common Secret once (issue 8.8); a missing one is asked for again later."""
    there = {"data": {"token": "Y2FuYXJ5", "empty": ""}}
    server = serve(
        lambda verb, path, body: (200, there) if path.endswith("/s") else (404, {"reason": "NotFound", "message": "m"})
    )
    lookup = Lookup(server.api, "runs", clock=clock)
    need = [SecretNeed("s", "token", "why")]
    assert [lookup.lacking(need) for _ in range(200)] == [""] * 200
    assert len(server.asked) == 1
    assert "Y2Fu" not in repr(vars(lookup))
    assert (
        lookup.lacking([SecretNeed("s", "empty", "it holds X")])
        == "Secret s in namespace runs has no key empty, or an empty one; it holds X."
    )
    assert (
        lookup.lacking([SecretNeed("t", "k", "it holds Y")])
        == "Secret t is missing in namespace runs; it holds Y, key k."
    )
    clock.now += FRESH_S + 1
    lookup.lacking(need)
    assert len(server.asked) == 3


@pytest.mark.parametrize(
    ("status", "content", "reason"),
    [
        (404, {"reason": "NotFound", "message": "m"}, "SnippetMissing"),
        (403, {"reason": "Forbidden", "message": "m"}, "SnippetForbidden"),
        (200, {"data": {"snippet.json": "no"}}, "SnippetInvalid"),
        (200, {"data": {"snippet.json": json.dumps(runs.SNIPPET)}}, "SidecarAttached"),
    ],
)
def test_a_missing_snippet_is_told_and_hinders_nobody(serve, status, content, reason):
    """Issue 8.3: a reason instead of an error."""
    server = serve(lambda verb, path, body: (status, content))
    config = runs.config(sidecar={"snippetConfigMap": "s", "namespace": "monitor"})
    assert Lookup(server.api, "runs").watching(config).reason == reason
    assert server.asked[0][1] == "/api/v1/namespaces/monitor/configmaps/s"
    assert Lookup(server.api, "runs").watching(runs.config()).reason == "SidecarOff"


class World:
    """Stores of runs, Jobs and pods, and the turns over them."""

    def __init__(self) -> None:
        self.runs, self.jobs, self.pods = Store(), Store(), Store()
        self.turns = Turns(self.runs, self.jobs, self.pods)
        self._version = 0

    def _next(self, o):
        self._version += 1
        o["metadata"]["resourceVersion"] = str(self._version)
        return o

    def run(self, name, created="2026-01-01T00:00:00Z", service="api", **status):
        found = runs.run(name=name, uid=f"uid-{name}", service=service)
        found["metadata"]["creationTimestamp"] = created
        found["status"] = status
        self.runs.put(self._next(found))
        return found

    def job(self, run, *, done=False):
        conditions = [{"type": "Complete", "status": "True"}] if done else []
        volumes = [
            {"name": "workspace", "persistentVolumeClaim": {"claimName": naming.claim_name(run["spec"]["service"])}}
        ]
        made = {
            "metadata": {"name": f"job-{run['metadata']['name']}", "ownerReferences": [naming.owner(run)]},
            "spec": {"template": {"spec": {"volumes": volumes}}}, "status": {"conditions": conditions},
        }  # fmt: skip
        self.jobs.put(self._next(made))
        return made


def test_one_run_of_a_service_at_a_time():
    """OR-A43: others wait, runs of other services do not; who ends lets the next one in."""
    world = World()
    first, second, other = (
        world.run("one"),
        world.run("two", created="2026-01-02T00:00:00Z"),
        world.run("else", service="web"),
    )
    assert world.turns.take(first)
    assert not world.turns.take(second)
    assert world.turns.take(other)
    assert world.turns.next_of("workspace-api") == ["two"]
    world.turns.leave(first)
    assert world.turns.take(second)


def test_a_new_process_knows_who_is_at_work():
    """OR-A43: from the status, which names the Job before it is made."""
    world = World()
    world.run("one", jobName="j", phase="Pending")
    assert not world.turns.take(world.run("two"))
    world.run("one", jobName="j", phase="Succeeded")
    assert world.turns.take(world.run("two"))


def test_the_one_that_waits_longest_comes_first():
    """No starvation: who comes later waits for who waits already, whatever their names."""
    world = World()
    busy, late, early = (
        world.run("m"),
        world.run("a", created="2026-01-03T00:00:00Z"),
        world.run("z", created="2026-01-02T00:00:00Z"),
    )
    assert world.turns.take(busy)
    assert not world.turns.take(early)
    world.turns.leave(busy)
    assert not world.turns.take(late)
    assert world.turns.take(early)


def test_the_oldest_of_a_new_process_comes_first():
    """OR-A43: whoever a worker looks at first; a run that waits for something else, or stumbles, is in nobody's way."""
    world = World()
    old, young = world.run("old"), world.run("young", created="2026-01-02T00:00:00Z")
    freed = []
    world.turns.on_free = freed.append
    for run in (young, old):
        world.turns.expect(run)
    assert not world.turns.take(young)
    assert world.turns.take(old)
    world.turns.expect(old)
    assert world.turns.next_of("workspace-api") == ["young"]
    world.turns.leave(old)
    assert freed == ["workspace-api"]
    world.turns.expect(old)
    assert not world.turns.take(young)
    world.turns.stumble(old)
    assert world.turns.take(young)
    lacking = [{"type": "Pending", "status": "True", "reason": "SecretMissing"}]
    for other in (world.run("at-work", jobName="j"), world.run("lacks", phase="Pending", conditions=lacking)):
        world.turns.expect(other)
    assert world.turns.next_of("workspace-api") == []


def test_a_job_whose_run_is_gone_still_holds_the_workspace():
    """Two agents in one workspace would undo each other: the Job of a deleted run is waited for."""
    world = World()
    gone = world.run("one")
    made = world.job(gone)
    world.runs.drop({"metadata": {**gone["metadata"], "resourceVersion": "99"}})
    second = world.run("two")
    second["metadata"]["resourceVersion"] = "100"
    assert not world.turns.take(second)
    made["metadata"]["resourceVersion"] = "101"
    world.jobs.drop(made)
    assert world.turns.take(second)


def test_who_was_deleted_holds_nothing():
    """A run that was taken away while it waited, or just before its status was written."""
    world = World()
    first, second = world.run("one"), world.run("two", created="2026-01-02T00:00:00Z")
    assert world.turns.take(first)
    assert not world.turns.take(second)
    world.runs.drop({"metadata": {**first["metadata"], "resourceVersion": "99"}})
    assert world.turns.take(second)


def test_a_loop_that_stops_is_seen(clock, tmp_path):
    """OR-A45: /health fails when a loop does not turn, and for nothing that a restart would not mend."""
    pulse = Pulse(clock=clock, limit_s=60)
    config = ConfigFile(tmp_path / "config.yaml")
    health = Health(pulse, [], config)
    pulse.beat("worker-1")
    pulse.beat("watch-jobs")
    assert health.alive("now") == (200, {"status": "healthy", "version": "0.1.0", "timestamp": "now"})
    status, content = health.ready("now")
    assert (status, content["status"]) == (503, "waiting")
    assert "config.yaml" in content["reason"]
    config.path.write_text(yaml.safe_dump(runs.CONFIG), encoding="utf-8")
    assert health.ready("now")[0] == 200
    clock.now += 50
    pulse.beat("worker-1")
    clock.now += 20
    status, content = health.alive("now")
    assert (status, content["status"]) == (503, "stalled")
    assert content["reason"] == "watch-jobs has not turned for 70 s"
    assert health.ready("now")[0] == 503


def refused_by_its_head(base, length):
    """First line of the answer to a request that only says how long its body would be."""
    host, _colon, port = base.removeprefix("http://").partition(":")
    with socket.create_connection((host, int(port)), timeout=60) as connection:
        connection.sendall(f"POST /api/v1/pm/tasks HTTP/1.1\r\nContent-Length: {length}\r\n\r\n".encode())
        return connection.makefile("rb").readline().decode()


@pytest.fixture
def program(tmp_path):
    """The controller as a process, with an API server that nobody reaches."""
    port = free_port()
    (tmp_path / "token").write_text("canary-token\n", encoding="utf-8")
    (tmp_path / "config.yaml").write_text(yaml.safe_dump(runs.CONFIG), encoding="utf-8")
    env = {
        "PATH": os.environ["PATH"], "PYTHONPATH": str(SRC), "PYTHONDONTWRITEBYTECODE": "1", "KUBERNETES_NAMESPACE": "runs",
        "KUBERNETES_API_URL": f"http://127.0.0.1:{free_port()}", "SERVER_HOST": "127.0.0.1", "SERVER_PORT": str(port),
        "API_TOKEN_FILE": str(tmp_path / "token"), "CONFIG_FILE": str(tmp_path / "config.yaml"),
        "TEMPLATES_FOLDER": str(runs.flat_templates(tmp_path / "templates")), "ANTHROPIC_API_KEY": "canary-model-key",
    }  # fmt: skip
    log = tmp_path / "log"
    with log.open("wb") as file:
        process = subprocess.Popen([sys.executable, "-m", "orchestrator"], env=env, stderr=file, stdout=file)
    base = f"http://127.0.0.1:{port}"

    def answers():
        try:
            return get(f"{base}/health")
        except OSError:
            return None

    wait_for(lambda: answers() or process.poll() is not None, what="the controller answers")
    assert process.poll() is None, log.read_text()
    yield process, base, tmp_path
    process.kill()
    process.wait()
    assert "canary" not in log.read_text()


def test_the_program_without_an_api_server(program):
    """OR-350, OR-A45: alive and not ready, says so, and ends when it is asked to."""
    process, base, _folder = program
    status, content = get(f"{base}/health")
    assert (status, content["status"], content["version"]) == (200, "healthy", "0.1.0")
    status, content = wait_for(
        lambda: (r := get(f"{base}/ready"))[0] == 503 and "connection refused" in r[1]["reason"] and r,
        what="the reason is told",
    )
    assert "coderuns are not listed yet" in content["reason"]
    assert "orchestrator_queue_length" in get(f"{base}/metrics")[1]
    assert get(f"{base}/nothing")[0] == 404
    assert get(f"{base}/health", data=b"x")[0] == 405
    process.send_signal(signal.SIGTERM)
    assert process.wait(timeout=60) == 0


def test_who_may_ask_for_a_run(program):
    """OR-351, OR-A57: nobody without the token; a renewed token counts at once; without a token the API is off, not open."""
    _process, base, folder = program
    tasks = f"{base}/api/v1/pm/tasks"

    def ask(token, data=b"{}"):
        return get(tasks, data=data, headers={"Authorization": f"Bearer {token}"} if token else {})

    assert (get(tasks)[0], ask("")[0], ask("other")[0], ask("canary-tokeN")[0]) == (401, 401, 401, 401)
    status, content = ask("canary-token")
    assert (status, content) == (400, {"success": False, "message": "task_id: it is required", "field": "task_id"})
    task = {"task_id": 1, "service": "a", "repository_url": "r", "docs_repository_url": "d", "github_user": "u"}
    status, content = ask("canary-token", json.dumps(task).encode())
    assert (status, content["success"]) == (503, False)
    assert "send the request again" in content["message"]
    assert refused_by_its_head(base, 600_000).startswith("HTTP/1.1 413 ")
    assert get(tasks, headers={"Authorization": "bearer canary-token"})[1] == {
        "success": True,
        "message": "0 runs",
        "data": {"runs": []},
    }
    assert get(f"{tasks}/nobody", headers={"Authorization": "Bearer canary-token"})[0] == 404
    (folder / "token").write_text("canary-renewed", encoding="utf-8")
    assert (ask("canary-token")[0], ask("canary-renewed")[0]) == (401, 400)
    (folder / "token").unlink()
    status, content = ask("canary-renewed")
    assert status == 503
    assert "api.tokenSecret" in content["message"]
    assert get(f"{base}/health")[0] == 200


def test_usage():
    """Wrong usage is 2, a missing namespace a sentence."""

    def orchestrator(*arguments):
        env = {"PATH": os.environ["PATH"], "PYTHONPATH": str(SRC)}
        return subprocess.run(
            [sys.executable, "-m", "orchestrator", *arguments],
            env=env,
            capture_output=True,
            text=True,
            check=False,
            timeout=60,
        )

    assert orchestrator("--version").stdout == "orchestrator 0.1.0\n"
    assert orchestrator("serve").returncode == 2
    done = orchestrator()
    assert (done.returncode, done.stderr) == (2, "orchestrator: KUBERNETES_NAMESPACE is not the name of a namespace\n")

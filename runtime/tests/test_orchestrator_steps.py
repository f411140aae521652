# SPDX-License-Identifier: GPL-3.0-or-later
# SPDX-FileCopyrightText: 2026 The orchestrator.platform authors
"""Steps of a run against an API server with a memory: refusals, conflicts, watches that are behind, and what has to stay whole."""

from __future__ import annotations

import base64
import copy
import datetime as dt
import json

import pytest
import runs
import yaml
from api_server import Memory, refusal

from discord_monitor.log import Log
from orchestrator import naming
from orchestrator.channels import Channels
from orchestrator.config import ConfigFile
from orchestrator.kube import ApiError
from orchestrator.lookup import Lookup
from orchestrator.reconcile import Context, Stores, handle
from orchestrator.store import Store
from orchestrator.templates import Templates
from orchestrator.turns import Turns
from orchestrator.work import Key

USER = "agent-one"


class World:
    """An API server, a controller's knowledge of it, and time that only the test moves."""

    def __init__(self, serve, tmp_path, templates):
        self.memory = Memory()
        self.server = serve(self.memory.answer)
        self.now = dt.datetime(2026, 1, 1, 0, 0, 10, tzinfo=dt.UTC)
        self.clock = 0.0
        self.config_file = tmp_path / "config.yaml"
        self.configure()
        stores = Stores({"coderuns": Store(), "docsruns": Store()}, Store(), Store())
        turns = Turns(stores.runs["coderuns"], stores.jobs, stores.pods)
        self.stores = stores
        self.context = Context(
            api=self.server.api, namespace="runs", stores=stores, turns=turns,
            lookup=Lookup(self.server.api, "runs", clock=lambda: self.clock),
            channels=Channels(self.server.api, "runs", tmp_path / "credential", clock=lambda: self.clock), config=ConfigFile(self.config_file),
            templates=Templates(templates), toolman_url="", log=Log("test", threshold="error", redact=str), now=lambda: self.now,
        )  # fmt: skip
        for name, key in (
            ("model-key", "ANTHROPIC_API_KEY"),
            (f"github-ssh-{USER}", "ssh-privatekey"),
            (f"github-token-{USER}", "token"),
        ):
            self.secret(name, key)

    def configure(self, sidecar=None, **cleanup):
        """The configuration with other values of its groups cleanup and sidecar."""
        document = copy.deepcopy(runs.CONFIG)
        document["cleanup"] |= cleanup
        if sidecar:
            document["sidecar"] = sidecar
        self.config_file.write_text(yaml.safe_dump(document), encoding="utf-8")

    def secret(self, name, key):
        self.memory.put("secrets", {"metadata": {"name": name}, "data": {key: base64.b64encode(b"canary").decode()}})

    def run(self, name="seven", kind="coderuns", **spec):
        """A run that its watch has told of."""
        made = runs.run(kind, name=name, uid="", githubUser=USER, **spec)
        return self.tell(self.memory.put(kind, made), self.stores.runs[kind])

    def tell(self, obj, store):
        """The watch of a kind is up to date with one object."""
        store.put(copy.deepcopy(obj))
        return obj

    def change(self, name, **spec):
        """Somebody changes a run's spec, and the watch tells of it."""
        run = self.memory.get("coderuns", name)
        run["spec"] |= spec
        self.tell(self.memory.put("coderuns", run), self.stores.runs["coderuns"])

    def step(self, name="seven", kind="coderuns"):
        return handle(self.context, Key(kind, name))

    def status(self, name="seven", kind="coderuns"):
        return self.memory.get(kind, name).get("status") or {}

    def condition(self, kind, name="seven"):
        found = [c for c in self.status(name).get("conditions") or [] if c["type"] == kind and c["status"] == "True"]
        return (found[0]["reason"], found[0]["message"]) if found else ("", "")

    def job(self, name="seven"):
        return self.memory.get("jobs", self.status(name)["jobName"])

    def pod(self, name="seven", **agent):
        """The pod of a run's Job, in the API server only."""
        job = self.job(name)["metadata"]["name"]
        meta = {"name": f"{job}-x", "labels": {"job-name": job}}
        rows = [{"name": "claude-code", "image": "i", "state": agent}]
        return self.memory.put("pods", {"metadata": meta, "spec": {}, "status": {"containerStatuses": rows}})

    def end(self, name="seven", kind="Complete", reason=""):
        """The Job has ended, and the watch of the Jobs tells of it."""
        job = self.job(name)
        job["status"] = {"conditions": [{"type": kind, "status": "True", "reason": reason}]}
        self.tell(self.memory.put("jobs", job), self.stores.jobs)

    def asked(self):
        """Verb and path of what was asked since the last call."""
        found = [f"{verb} {path.partition('?')[0]}" for verb, path, _body in self.server.asked]
        self.server.asked.clear()
        return found


@pytest.fixture(scope="module")
def templates(tmp_path_factory):
    return runs.flat_templates(tmp_path_factory.mktemp("templates"))


@pytest.fixture
def world(serve, tmp_path, templates):
    return World(serve, tmp_path, templates)


def at_work(world, name="seven", **spec):
    """A run whose agent is at work."""
    world.run(name, **spec)
    world.step(name)
    world.tell(world.pod(name, running={}), world.stores.pods)
    world.step(name)
    assert world.condition("Running", name)[0] == "JobStarted"


SUCCESS = json.dumps({"pullRequestUrl": "https://git.example.org/pr/1", "sessionId": "s-1"})


def test_a_life(world):
    """OR-354…OR-360: from the request to the removal, and a second look at any point writes nothing (D5)."""
    at_work(world)
    world.asked()
    world.step()
    assert world.asked() == []
    world.tell(world.pod(terminated={"exitCode": 0, "message": SUCCESS}), world.stores.pods)
    world.end()
    assert world.step() == 0.0
    status = world.status()
    assert (status["phase"], status["workCompleted"], status["sessionId"]) == ("Succeeded", True, "s-1")
    assert world.step() == 5 * 60
    world.now += dt.timedelta(minutes=5)
    assert world.step() is None
    assert (world.memory.names("jobs"), world.memory.names("configmaps")) == ([], [])
    assert world.memory.names("persistentvolumeclaims") == ["workspace-api"]
    world.asked()
    world.step()
    assert world.asked() == []


def test_what_the_agent_said_is_read_from_a_pod_that_the_watch_has_not_told_of(world):
    """OR-244: the Job's end and the pod's come by two watches, and either may be first."""
    at_work(world)
    world.pod(terminated={"exitCode": 0, "message": SUCCESS})
    world.end()
    world.step()
    assert world.status()["pullRequestUrl"] == "https://git.example.org/pr/1"


def test_why_it_failed_is_read_from_such_a_pod_too(world):
    """Issue 8.7: node or limit out of memory."""
    at_work(world)
    world.pod(terminated={"exitCode": 137, "reason": "OOMKilled"})
    world.end(kind="Failed", reason="BackoffLimitExceeded")
    world.step()
    assert world.condition("Failed")[0] == "OutOfMemory"


REFUSED = [
    (("GET", "secrets"), refusal(403, "Forbidden", "secrets is forbidden")),
    (("POST", "configmaps"), refusal(403, "Forbidden", "exceeded quota: q")),
    (("POST", "persistentvolumeclaims"), refusal(422, "Invalid", "storage: must be set")),
    (("POST", "jobs"), refusal(400, "BadRequest", "admission webhook denied the request")),
    (("POST", "jobs"), refusal(500, "InternalError", "failed calling webhook: no endpoints")),
    (("POST", "jobs"), refusal(413, "RequestEntityTooLarge", "limit is 3145728")),
]


@pytest.mark.parametrize(("what", "answer"), REFUSED, ids=[f"{k[1]}-{a[0]}" for k, a in REFUSED])
def test_whatever_the_api_server_refuses_is_told(world, what, answer):
    """Issue 8.7: rights, quota, admission: in its own words, tried again, and one Job once it is let in."""
    world.run()
    world.memory.refuses[what] = answer
    for _ in range(2):
        with pytest.raises(ApiError):
            world.step()
    reason, sentence = world.condition("Pending")
    assert reason == "ApiRefused"
    assert answer[1]["message"] in sentence
    del world.memory.refuses[what]
    world.step()
    assert world.condition("Pending")[0] == "JobCreated"
    assert (len(world.memory.names("jobs")), len(world.memory.names("configmaps"))) == (1, 1)


@pytest.mark.parametrize(
    "answer",
    [refusal(429, "TooManyRequests"), refusal(503, "ServiceUnavailable"),
     refusal(403, "Forbidden", details={"causes": [{"reason": "NamespaceTerminating"}]})],
    ids=["busy", "away", "namespace"],
)  # fmt: skip
def test_what_passes_by_itself_is_not_told(world, answer):
    """So the test above can fail: the API server is busy, or the namespace is on its way out."""
    world.run()
    world.memory.refuses["POST", "jobs"] = answer
    with pytest.raises(ApiError):
        world.step()
    assert world.condition("Pending")[0] == "Accepted"


def test_a_conflict(world):
    """Issue 8.7: somebody changed the run meanwhile: nothing is written over, and the next try goes on from what is there."""
    world.run()
    seen = world.memory.get("coderuns", "seven")
    seen["spec"]["promptModification"] = "changed behind the controller's back"
    world.memory.put("coderuns", seen)
    with pytest.raises(ApiError):
        world.step()
    assert world.status() == {}
    world.step()
    assert world.condition("Pending")[0] == "JobCreated"
    assert world.status()["promptModification"] == "changed behind the controller's back"
    assert len(world.memory.names("jobs")) == 1


def test_a_run_made_anew_under_the_same_name(world):
    """No step of the one that is gone writes into the one that is there."""
    at_work(world)
    fresh = runs.run(name="seven", uid="another", githubUser=USER)
    world.memory.put("coderuns", fresh)
    [job] = world.memory.names("jobs")
    ended = world.memory.get("jobs", job)
    ended["status"] = {"conditions": [{"type": "Complete", "status": "True"}]}
    world.tell(world.memory.put("jobs", ended), world.stores.jobs)
    with pytest.raises(ApiError):
        world.step()
    assert world.status() == {}


def test_a_field_spoilt_while_the_agent_is_at_work(world):
    """OR-A49: what is running is followed to its end; the field counts for the next attempt."""
    at_work(world)
    world.change("seven", workingDirectory="../out")
    world.step()
    assert world.condition("Running")[0] == "JobStarted"
    world.tell(world.pod(terminated={"exitCode": 0, "message": SUCCESS}), world.stores.pods)
    world.end()
    world.step()
    assert world.status()["phase"] == "Succeeded"
    world.change("seven", contextVersion=2)
    world.step()
    assert world.condition("Failed")[0] == "FieldRefused"


def test_a_refused_attempt_leaves_no_agent_that_nobody_follows(world):
    """OR-230: the one before is ended first."""
    at_work(world)
    world.change("seven", contextVersion=2, workingDirectory="../out")
    world.step()
    assert world.condition("Pending")[0] == "FormerAttempt"
    assert world.memory.names("jobs") == []
    job = world.stores.jobs.all()[0]
    world.stores.jobs.drop(job | {"metadata": job["metadata"] | {"resourceVersion": "900"}})
    world.step()
    assert world.condition("Failed")[0] == "FieldRefused"


def test_another_attempt_that_waits_for_a_secret_is_in_nobodys_way(world):
    """OR-A43: the Job that its status names is that of the attempt before, which has ended."""
    at_work(world)
    world.tell(world.pod(terminated={"exitCode": 3}), world.stores.pods)
    world.end(kind="Failed", reason="BackoffLimitExceeded")
    world.step()
    lacking = [{"name": "X", "secretName": "of-nobody", "secretKey": "k"}]
    world.change("seven", contextVersion=2, envFromSecrets=lacking)
    world.step()
    assert world.condition("Pending")[0] == "SecretMissing"
    world.run("eight", taskId=8)
    world.step("eight")
    assert world.condition("Pending", "eight")[0] == "JobCreated"
    world.secret("of-nobody", "k")
    world.clock += 60
    world.step()
    assert world.condition("Pending")[0] == "WaitingForService"


def test_a_thousand_that_wait(world, monkeypatch):
    """Issue 8.8: whoever waits for a service costs nothing, however often it is looked at."""
    at_work(world)
    for n in range(1000):
        world.run(f"waits-{n}", taskId=n + 10)
        if n < 3:
            world.step(f"waits-{n}")
            assert world.condition("Pending", f"waits-{n}")[0] == "WaitingForService"
    world.asked()
    monkeypatch.setattr(Templates, "render", lambda *_a: pytest.fail("nothing is rendered for a run that waits"))
    for n in range(3):
        assert world.step(f"waits-{n}") > 0
    assert world.asked() == []


@pytest.mark.parametrize(
    ("cleanup", "kind", "again_s", "left"),
    [
        ({"completedJobDelayMinutes": 0}, "Complete", None, (0, 0)),
        ({"failedJobDelayMinutes": 0}, "Failed", None, (0, 0)),
        ({"completedJobDelayMinutes": 0}, "Failed", 3600, (1, 1)),
        ({"completedJobDelayMinutes": 0.5}, "Complete", 30, (1, 1)),
        ({"enabled": False, "completedJobDelayMinutes": 0}, "Complete", None, (1, 1)),
        ({"deleteConfigMap": False, "completedJobDelayMinutes": 0}, "Complete", None, (0, 1)),
    ],
)
def test_delays_of_zero_and_false_are_answers(world, cleanup, kind, again_s, left):
    """OR-036…OR-039, OR-A27."""
    world.configure(**cleanup)
    at_work(world)
    world.tell(world.pod(terminated={"exitCode": 0}), world.stores.pods)
    world.end(kind=kind)
    world.step()
    assert world.step() == again_s
    assert (len(world.memory.names("jobs")), len(world.memory.names("configmaps"))) == left


@pytest.mark.parametrize(
    "status",
    [{"phase": "Succeeded"}, {"phase": "Failed"}, {"workCompleted": True}, {"phase": "Running", "workCompleted": True}],
    ids=["succeeded", "failed", "completed", "completed-running"],
)
def test_what_a_former_controller_has_finished(world, status):
    """OR-360, OR-A23: it is not begun again, also without contextVersion in its status; another attempt is."""
    run = runs.run(name="seven", uid="", githubUser=USER)
    stamp = "2026-01-01T00:00:05.123456789+00:00"
    world.tell(
        world.memory.put("coderuns", run | {"status": {**status, "lastUpdate": stamp}}), world.stores.runs["coderuns"]
    )
    delay_s = 3600 if status.get("phase") == "Failed" else 300
    assert delay_s - 6 < world.step() < delay_s
    assert world.memory.names("jobs") == []
    world.change("seven", contextVersion=2)
    world.step()
    assert world.condition("Pending")[0] == "JobCreated"
    assert world.status()["workCompleted"] is False


def test_a_removal_that_is_refused(world):
    """Issue 8.7, D5: no leak in silence: said in the run, tried again, and said no more once it is done."""
    world.configure(completedJobDelayMinutes=0)
    at_work(world)
    world.tell(world.pod(terminated={"exitCode": 0}), world.stores.pods)
    world.end()
    world.step()
    world.memory.refuses["DELETE", "jobs"] = refusal(403, "Forbidden", "cannot delete jobs")
    with pytest.raises(ApiError):
        world.step()
    [mark] = [c for c in world.status()["conditions"] if c["type"] == "CleanedUp"]
    assert (mark["status"], mark["reason"]) == ("False", "ApiRefused")
    assert "cannot delete jobs" in mark["message"]
    world.memory.refuses.clear()
    world.step()
    assert world.condition("CleanedUp")[0] == "DelayPassed"
    assert world.memory.names("jobs") == []


def test_every_field_of_a_status_is_written(world):
    """OR-240…OR-256, OR-264…OR-272: read from the schemas, so that a new field needs somebody who writes it."""
    world.run(promptModification="say more", contextVersion=2)
    world.run("docs", "docsruns")
    for name, kind, agent in (("seven", "coderuns", "claude-code"), ("docs", "docsruns", "claude-docs")):
        world.step(name, kind)
        job = world.memory.get("jobs", world.status(name, kind)["jobName"])
        rows = [{"name": agent, "state": {"terminated": {"exitCode": 0, "message": SUCCESS}}}]
        meta = {"name": f"{name}-x", "labels": {"job-name": job["metadata"]["name"]}}
        world.memory.put("pods", {"metadata": meta, "spec": {}, "status": {"containerStatuses": rows}})
        job["status"] = {"conditions": [{"type": "Complete", "status": "True"}]}
        world.tell(world.memory.put("jobs", job), world.stores.jobs)
        world.step(name, kind)
        assert set(world.status(name, kind)) == runs.schema(kind, "status")["properties"].keys()
        wanted = runs.schema(kind, "status")["properties"]["conditions"]["items"]["properties"]
        assert all(set(c) == wanted.keys() for c in world.status(name, kind)["conditions"])


def test_no_value_of_a_secret_goes_anywhere(world):
    """D6: of a Secret only the names of its keys are read; an agent's last words are redacted."""
    at_work(world)
    words = {"error": "fatal: unable to access 'https://x:canary-of-a-password@git.example.org/o/r'"}
    world.tell(world.pod(terminated={"exitCode": 3, "message": json.dumps(words)}), world.stores.pods)
    world.end(kind="Failed", reason="BackoffLimitExceeded")
    world.step()
    assert "unable to access" in world.status()["message"]
    kept = {kind: found for kind, found in world.memory.objects.items() if kind not in ("secrets", "pods")}
    assert "canary" not in json.dumps(kept)
    assert "Y2FuYXJ5" not in json.dumps(kept)
    assert naming.token_secret(USER) in json.dumps(kept)

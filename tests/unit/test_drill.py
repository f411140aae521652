# SPDX-License-Identifier: GPL-3.0-or-later
# SPDX-FileCopyrightText: 2026 The orchestrator.platform authors
"""Whom a drill strikes, and that it strikes nobody when one target is wrong (D8; issue 5, item 6).

The transport is the real one and the API server one on loopback: a strike begins with a command in a container, so
what was struck is what the server was asked to run.
"""

from __future__ import annotations

import contextlib
import json
import subprocess
import sys
import threading
import types
from collections.abc import Iterator

import pytest
from ansible_collections.kubernetes.core.plugins.module_utils.args_common import AUTH_ARG_SPEC
from ansible_collections.orchestrator.platform.plugins.module_utils import _cluster, _drill, _drill_faults
from ansible_collections.orchestrator.platform.plugins.module_utils._drill import (
    AgentStage,
    BrokenDrillError,
    Endpoint,
    Ground,
    Pods,
    ProbeStage,
)
from ansible_collections.orchestrator.platform.plugins.module_utils._drill_faults import ACTIONS, observe
from ansible_collections.orchestrator.platform.plugins.module_utils._drill_plan import drill_targets
from ansible_collections.orchestrator.platform.plugins.module_utils._errors import (
    ApiError,
    ClusterError,
    PlatformError,
)
from ansible_collections.orchestrator.platform.plugins.module_utils._expectation import Expectation
from ansible_collections.orchestrator.platform.plugins.module_utils._fault_scripts import write
from ansible_collections.orchestrator.platform.plugins.module_utils._faults import (
    FAULTS,
    OTHERS,
    Observation,
    as_checks,
    choose,
)
from ansible_collections.orchestrator.platform.plugins.module_utils._findings import run_checks
from ansible_collections.orchestrator.platform.plugins.module_utils._snapshot import Snapshot, View
from ansible_collections.orchestrator.platform.plugins.modules.fault_drill import ARGUMENT_SPEC, run

from .loopback import Ended, Server, cluster_at

PODS = "/api/v1/namespaces/agents/pods"
DEPLOYMENTS = "/apis/apps/v1/namespaces/agents/deployments"
READY = {"phase": "Running", "conditions": [{"type": "Ready", "status": "True"}]}
KILL = choose(["watcher-killed"], on_workload=True)
KUBELET = choose(["kubelet-restart"], on_workload=True)
IN = {"matchExpressions": [{"key": "app", "operator": "In", "values": ["coder", "writer"]}]}


def pod(name: str, deployment: str, *, node: str = "node-a", place: str = "initContainers", **labels: str) -> dict:
    owner = {"kind": "ReplicaSet", "name": f"{deployment}-5d9f", "controller": True}
    spec = {"nodeName": node, "containers": [{"name": "agent"}]}
    spec[place] = [*spec.get(place, []), {"name": "discord-watcher"}]
    meta = {
        "name": name,
        "namespace": "agents",
        "uid": name,
        "ownerReferences": [owner],
        "labels": {"pod-template-hash": "5d9f", "app": deployment, **labels},
    }
    return {"metadata": meta, "spec": spec, "status": READY}


def said(server: Server, selectors: dict[str, dict], *pods: dict) -> None:
    """Deployments by name, and the pods; no command may be run, which ends a fault where it begins."""
    for name in ("coder", "writer", "gone"):
        found = {"metadata": {"name": name}, "spec": {"selector": selectors.get(name)}}
        server.say(f"{DEPLOYMENTS}/{name}", (200, found) if name in selectors else (404, {"message": "not found"}))
    server.say(PODS, (200, {"items": list(pods), "metadata": {"resourceVersion": "1"}}), (200, {}))
    for item in pods:
        server.say(f"{PODS}/{item['metadata']['name']}/exec", (403, {"message": "no"}))


def struck(server: Server) -> set[str]:
    """Pods in which a command was asked for."""
    return {path.split("/")[-2] for _method, path, *_rest in server.seen if path.endswith("/exec")}


@contextlib.contextmanager
def ground(server: Server, *, node: str = "", timeout_s: float = 30.0) -> Iterator[tuple[Ground, list[str]]]:
    """What a drill stands on, and the kubelets that were restarted."""
    restarted: list[str] = []
    cluster = cluster_at(server.url)
    with Pods(cluster, "agents") as pods:
        assert pods.wait(bool, 30.0)  # else a short time for what is not there would be none for what is
        restart = (lambda: restarted.append(node)) if node else None
        yield Ground(cluster, "agents", pods, timeout_s, restart, node), restarted


def test_expressions_select_too(server):
    """A selector without matchLabels is as good as one with."""
    said(server, {"coder": IN}, pod("coder-1", "coder"))
    with ground(server) as (where, _restarted):
        (seen,) = drill_targets(where, KILL, [("Deployment", "coder")])
    assert struck(server) == {"coder-1"}
    assert seen.subject["name"] == "coder-1"


def test_selectors_that_overlap_strike_nobody_else(server):
    """Two workloads select the same pods; only the named one's are struck."""
    said(server, {"writer": IN}, pod("coder-1", "coder"), pod("writer-1", "writer"))
    with ground(server) as (where, _restarted):
        drill_targets(where, KILL, [("Deployment", "writer")])
    assert struck(server) == {"writer-1"}


def test_a_target_named_twice_is_struck_once(server):
    said(server, {"coder": IN}, pod("coder-1", "coder"))
    with ground(server) as (where, _restarted):
        assert len(drill_targets(where, KILL, [("Deployment", "coder")] * 2)) == 1


@pytest.mark.parametrize(
    ("selectors", "pods", "second", "text"),
    [
        ({"coder": IN}, [], "gone", "there is no Deployment gone in namespace agents"),
        ({"coder": IN, "writer": IN}, [], "writer", "writer in namespace agents has no running pod with a watcher"),
        (
            {"coder": IN, "writer": IN},
            [pod("writer-1", "writer", place="ephemeralContainers")],
            "writer",
            "writer in namespace agents has no running pod with a watcher",
        ),
    ],
)
def test_nothing_is_struck_when_the_second_target_is_wrong(server, selectors, pods, second, text):
    """Nothing half done: every target is found before the first fault is made."""
    said(server, selectors, pod("coder-1", "coder"), *pods)
    with ground(server, timeout_s=1.0) as (where, _restarted), pytest.raises(PlatformError, match=text):
        drill_targets(where, KILL, [("Deployment", "coder"), ("Deployment", second)])
    assert struck(server) == set()


def test_kubelet_of_another_node_is_left_alone(server):
    """A kubelet whose node has none of the pods proves nothing about them: nothing is struck, the other faults neither."""
    said(server, {"coder": IN}, pod("coder-1", "coder", node="node-a"))
    both = (*KILL, *KUBELET)
    wrong = pytest.raises(PlatformError, match="on node node-b, whose kubelet was to be restarted")
    with ground(server, node="node-b", timeout_s=1.0) as (where, restarted), wrong:
        drill_targets(where, both, [("Deployment", "coder")])
    assert (restarted, struck(server)) == ([], set())


def test_kubelet_fault_is_observed_on_a_pod_of_its_node(server):
    """Of several pods and targets the one that runs there."""
    said(server, {"coder": IN, "writer": IN}, pod("coder-1", "coder"), pod("writer-1", "writer", node="node-b"))
    with ground(server, node="node-b") as (where, _restarted):
        (seen,) = drill_targets(where, KUBELET, [("Deployment", "coder"), ("Deployment", "writer")])
    assert seen.subject["name"] == "writer-1"


@pytest.mark.parametrize("node", ["node-a", "node-b"])
def test_the_fault_itself_looks_where_its_pod_runs(server, node):
    """Also in the drill's own namespace, where the scheduler chose the node."""
    said(server, {}, pod("coder-1", "coder", node="node-a"))
    server.say("/apis/coordination.k8s.io/v1/namespaces/kube-node-lease/leases/node-a", (404, {"message": "none"}))
    with ground(server, node=node) as (where, restarted):
        assert where.pods.wait(lambda pods: "coder-1" in pods, 30)
        stage = ProbeStage(where, "coder-1", "")
        with pytest.raises(
            (BrokenDrillError, ClusterError), match="runs on node node-a" if node == "node-b" else "none"
        ):
            ACTIONS["kubelet-restart"](stage)
    assert restarted == (["node-a"] if node == "node-a" else [])


@pytest.mark.parametrize(
    ("faults", "node", "changed", "reason"),
    [
        (["watcher-killed"], None, True, "check mode: nothing is put out of order"),
        (["kubelet-restart"], None, False, "on request only"),
        (["kubelet-restart"], "node-a", True, "check mode: nothing is put out of order"),
        ([], None, True, "check mode: nothing is put out of order"),
    ],
)
def test_check_mode_says_changed_where_it_would_act(server, faults, node, changed, reason):
    """D5: the same `changed` as the run itself, and not one request."""
    params = {**dict.fromkeys(AUTH_ARG_SPEC), **{name: spec.get("default") for name, spec in ARGUMENT_SPEC.items()}}
    params |= {"host": server.url, "api_key": "t", "namespace": "faults", "faults": faults, "node_container": node}
    module = types.SimpleNamespace(
        params=params, check_mode=True, requires=lambda *_a: None, server_side_dry_run=False
    )  # fmt: skip
    result = run(module)
    assert result["changed"] is changed
    assert any(reason in item["evidence"] for item in result["findings"]), json.dumps(result["findings"])
    assert server.seen == []


FAKE = "/api/v1/namespaces/faults/services/fake:http/proxy/messages"
UNASKED = (503, {"kind": "Status", "message": "no endpoints available for service fake"})


def message(*numbers: int) -> dict:
    """One of the fake Discord's, with lines of the pod coder-1."""
    return {"channel_id": "9", "embeds": [{"description": f"drill-coder1-{number:02d}."} for number in numbers]}


@pytest.fixture
def agent(server, monkeypatch) -> Iterator[AgentStage]:
    """An agent of the drill's own, whose time is over already."""
    monkeypatch.setattr(_drill, "ASK_S", 0.01)
    monkeypatch.setattr(_drill, "ANSWER_S", 5.0)
    found = pod("coder-1", "coder")
    found["spec"]["initContainers"][0]["ports"] = [{"name": "health", "containerPort": 8088}]
    said(server, {}, found)
    with ground(server, timeout_s=0.0) as (where, _restarted):
        assert where.pods.wait(lambda pods: "coder-1" in pods, 30)
        endpoint = Endpoint(where.cluster, "faults", "fake")
        yield AgentStage(where, "coder-1", "discord-watcher", endpoint=endpoint, folder="/work")


@pytest.mark.parametrize("silence", [UNASKED, None, (502, "no JSON of ours"), (200, {"kind": "Status"})])
def test_a_silent_fake_discord_is_no_lost_line(server, agent, silence):
    """Asked again: one answer that fails on a busy cluster made a finding of lines that had all arrived."""
    server.say(
        FAKE, silence, silence, (200, {"messages": [message(1, 2), {"channel_id": "8", "embeds": []}, message(3)]})
    )
    assert agent.messages() == [["drill-coder1-01.", "drill-coder1-02."], ["drill-coder1-03."]]


def test_a_fake_discord_that_stays_silent_is_named(server, agent, monkeypatch):
    """Neither a pass nor lines that were lost: the fault could not be observed."""
    monkeypatch.setattr(_drill, "ANSWER_S", 0.1)
    server.say(FAKE, UNASKED)
    with pytest.raises(BrokenDrillError, match="fake does not answer which lines arrived"):
        agent.messages()


def test_the_watchers_health_is_asked_until_it_answers(server, agent):
    agent.renew()
    agent._deadline += 5
    server.say(f"{PODS}/coder-1:8088/proxy/healthz", UNASKED, None, (200, {"status": "ok", "webhook": "missing"}))
    assert agent.health() == (200, "missing")


@pytest.mark.parametrize(("first", "asked"), [((500, {}), 2), ((403, {"message": "no"}), 1)])
def test_a_command_that_did_not_start_is_tried_once_more(server, agent, first, asked):
    """Not where it is forbidden: nothing changes by asking again."""
    server.say(f"{PODS}/coder-1/exec", first, (403, {"message": "no"}))
    with pytest.raises(ApiError, match="HTTP 403"):
        agent.execute("agent", ["true"])
    assert sum(path.endswith("/exec") for _method, path, *_rest in server.seen) == asked


def strike(agent: AgentStage) -> None:
    agent._deadline += 10
    agent.strike("discord-watcher", ["end"])


def asked(server: Server) -> int:
    """How many commands were asked for."""
    return sum(path.endswith("/exec") for _method, path, *_rest in server.seen)


@pytest.mark.parametrize("end", [Ended(0), Ended(137), Ended(None)], ids=["in time", "with its container", "broken"])
@pytest.mark.parametrize("refusals", [0, 1])
def test_a_strike_that_is_refused_once_is_struck_once(server, agent, end, refusals):
    """It was swallowed, waited for, and told as a watcher that was not restarted. What may have run is not repeated."""
    server.say(f"{PODS}/coder-1/exec", *[(500, {})] * refusals, end, (403, {}))
    strike(agent)
    assert asked(server) == refusals + 1


@pytest.mark.parametrize(("status", "times"), [(503, 2), (403, 1)])
def test_a_strike_that_stays_refused_is_told_as_that(server, agent, status, times):
    server.say(f"{PODS}/coder-1/exec", (status, {}))
    with pytest.raises(ApiError, match=f"HTTP {status}"):
        strike(agent)
    assert asked(server) == times


def test_a_strike_that_fails_is_told_with_its_last_line(server, agent, monkeypatch):
    """And not as a watcher that was not restarted."""
    monkeypatch.setattr(_drill, "END_S", 0.1)
    server.say(f"{PODS}/coder-1/exec", Ended(1, "Traceback\nPermissionError: no\n"))
    text = r"end coder-1/discord-watcher ended with 1 and the container runs on: PermissionError: no; see that"
    with pytest.raises(BrokenDrillError, match=text):
        strike(agent)


def test_a_strike_that_fails_as_its_container_ends_has_struck(server, agent):
    """The command asks what it kills, which may refuse it just before both are gone."""
    server.say(f"{PODS}/coder-1/exec", Ended(1, "ConnectionRefusedError\n"))
    ended = pod("coder-1", "coder")
    state = {"name": "discord-watcher", "restartCount": 1, "state": {"terminated": {}}}
    ended["status"] = {**READY, "initContainerStatuses": [state]}
    timer = threading.Timer(0.5, agent.ground.pods._deliver, ("MODIFIED", ended))
    timer.start()
    strike(agent)
    timer.join()


def test_writing_twice_is_writing_once(tmp_path):
    """The command may have run although its answer was lost."""
    for mode, text in (("append", "one\n"), ("append", "two\n"), ("truncate", "three\n"), ("replace", "four\n")):
        for _time in range(2):
            subprocess.run([sys.executable, *write(str(tmp_path), "a/b.jsonl", text, mode)[1:]], check=True)
        found = (tmp_path / "a" / "b.jsonl").read_text()
        assert found == ("one\ntwo\n" if text == "two\n" else text)


class PodServer(Server):
    """Pods as they are at the moment; a watch tells nothing, and ends only where `ends` is set."""

    def __init__(self) -> None:
        super().__init__()
        self.pods: list[dict] = []
        self.ends = False
        self.unreadable = False  # a pod by itself

    def reply(self, _method, path, query):
        assert path == PODS
        if "watch" in query:
            if not self.ends:
                self.over.wait()
            return (200, "", {})
        (wanted,) = query.get("fieldSelector", [""])
        if wanted and self.unreadable:
            return (500, "{}", {})
        items = [item for item in self.pods if wanted in ("", f"metadata.name={item['metadata']['name']}")]
        return (200, json.dumps({"items": items, "metadata": {"resourceVersion": "1"}}), {})


@pytest.fixture
def picture(monkeypatch) -> Iterator[PodServer]:
    """A server with a ready pod of agent and bridge."""
    monkeypatch.setattr(_cluster, "MIN_ROUND_S", 0.01)
    server = PodServer()
    rows = [{"name": name, "ready": True, "restartCount": 0, "containerID": name} for name in ("agent", "input-bridge")]
    server.pods = [{**pod("coder-1", "coder"), "status": {**READY, "containerStatuses": rows}}]
    yield server
    server.close()


def bridge_fault(picture: PodServer, monkeypatch, action) -> Observation:
    """What is seen of a fault of the bridge that does this; the watch tells nothing of it."""
    (fault,) = choose(["bridge-reader-absent"], on_workload=False)
    facts = {"refused": 409, "accepted": 200, "took": True, "healthy": True}
    monkeypatch.setitem(ACTIONS, fault.name, lambda _stage: action() or facts)
    with ground(picture) as (where, _restarted):
        return observe(ProbeStage(where, "coder-1", fault.struck), fault)


def others(seen: Observation) -> list[tuple[str, str]]:
    """Verdict and evidence of others-untouched."""
    nothing = Expectation("a", ("a",), "", "", "", "", "", "")
    said, _complete = run_checks(as_checks([seen], FAULTS), View(Snapshot(), nothing))
    return [(item["verdict"], item["evidence"]) for item in said if item["id"] == OTHERS.id]


def test_others_are_compared_with_the_pod_as_it_is(picture, monkeypatch):
    """A watch that lags, or has just ended, still shows the pod of before the fault."""
    ((verdict, why),) = others(bridge_fault(picture, monkeypatch, picture.pods.clear))
    assert (verdict, why) == ("fail", "changed under faults/bridge-reader-absent: coder-1/agent: pod")


def test_others_that_stay_pass(picture, monkeypatch):
    """Else the case above would prove nothing."""
    ((verdict, _why),) = others(bridge_fault(picture, monkeypatch, lambda: None))
    assert verdict == "pass"


def test_without_a_picture_after_it_nothing_is_said_of_the_others(picture, monkeypatch):
    """Neither that they are unchanged nor that the pod is gone; the fault itself is no pass."""
    seen = bridge_fault(picture, monkeypatch, lambda: setattr(picture, "unreadable", True))
    assert others(seen) == []
    assert seen.problem.startswith("the fault could not be observed: coder-1 could not be read after it: ")


def test_an_endpoint_that_goes_between_two_watches_is_not_waited_for(picture, monkeypatch):
    """Its DELETED fell between them: the wait took all the time of the fault."""
    picture.ends = True
    picture.pods.append(pod("fake-refused-1", "fake-refused"))
    left: list[bool] = []

    def begun(_stage, begin, _end) -> dict:
        begin()
        left.append(where.pods.wait(lambda seen: "fake-refused-1" in seen, 0.0))
        return {}

    monkeypatch.setattr(_drill_faults, "_outage", begun)
    with ground(picture) as (where, _restarted):
        assert where.pods.wait(lambda seen: len(seen) == 2, 30.0)
        endpoint = types.SimpleNamespace(name="fake-refused", scale=lambda _replicas: picture.pods.pop())
        stage = types.SimpleNamespace(endpoint=endpoint, ground=where, forget=lambda: None, left_s=lambda: 20.0)
        ACTIONS["endpoint-refused"](stage)
    assert left == [False]

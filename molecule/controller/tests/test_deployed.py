# SPDX-License-Identifier: GPL-3.0-or-later
# SPDX-FileCopyrightText: 2026 The orchestrator.platform authors
"""The controller as the chart deploys it: image, probes, rights, REST, and a run whose agent is watched."""

from __future__ import annotations

import json

import pytest

from arrivals import arrived_of, expected_of
from real_cluster import named, statuses

testinfra_hosts = ["local://"]

NAMESPACE = "ctl-runs"
SEED = 77
# Asks the API from inside the controller's pod, where the token lies: it never leaves it.
ASK = """
import json, sys, urllib.error, urllib.request
path, body = sys.argv[1], sys.argv[2].encode() or None
token = open("/api-token/token").read()
request = urllib.request.Request("http://127.0.0.1:8080" + path, data=body, headers={"Authorization": "Bearer " + token})
try:
    answer = urllib.request.urlopen(request)
except urllib.error.HTTPError as exc:
    answer = exc
print(json.dumps([answer.status, json.loads(answer.read())]))
"""
TASK = {
    "task_id": 77, "service": "watched", "repository_url": "https://git.example.org/o/shop.git",
    "docs_repository_url": "https://git.example.org/o/docs.git", "github_user": "Agent-One",
    "env": {"SEED": str(SEED), "SESSIONS": "3", "PACE_MS": "40"},
}  # fmt: skip


@pytest.fixture(scope="module")
def pod(cluster):
    """The controller's pod."""
    [found] = cluster.objects("pods", NAMESPACE, "app.kubernetes.io/name=orchestrator")
    return found


@pytest.fixture(scope="module")
def ask(cluster, pod):
    """(status, content) of a request to the API."""

    def asked(path, body=None):
        words = "" if body is None else json.dumps(body)
        return tuple(json.loads(cluster.execute(pod, "orchestrator", "python3", "-c", ASK, path, words)))

    return asked


def test_both_probes_pass(cluster, pod):
    """OR-083…OR-095, OR-A45: the Deployment is available, the container was never restarted, /ready is what the probe asks."""
    cluster.until(
        lambda: cluster.get("deployment", "orchestrator", NAMESPACE)["status"].get("availableReplicas") == 1,
        "the readiness probe passes",
    )
    container = named(pod["spec"], "orchestrator")
    assert container["command"] == ["/app/orchestrator"]
    assert (container["livenessProbe"]["httpGet"]["path"], container["readinessProbe"]["httpGet"]["path"]) == (
        "/health",
        "/ready",
    )
    assert statuses(cluster.get("pod", pod["metadata"]["name"], NAMESPACE))["orchestrator"]["restartCount"] == 0


@pytest.fixture(scope="module")
def watched(cluster, ask):
    """A run asked for over REST, to its end: (run, the pod as it was last seen)."""
    status, made = ask("/api/v1/pm/tasks", TASK)
    assert (status, made["success"]) == (201, True), made
    assert ask("/api/v1/pm/tasks", TASK)[0] == 200, "the same again is the same run"
    name = made["data"]["name"]
    seen = {}

    def ended():
        for found in cluster.objects("pods", NAMESPACE, "task-id=77"):
            seen["pod"] = found
        return cluster.get("coderun", name, NAMESPACE)["status"].get("phase") in ("Succeeded", "Failed")

    cluster.until(ended, f"run {name} ends", timeout_s=180)
    return cluster.get("coderun", name, NAMESPACE), seen["pod"]


def test_the_rights_of_the_role_suffice(cluster, ask, watched):
    """OR-A40: least privilege, and a whole run with it: Job, claim, ConfigMap, Events, removal."""
    run, _pod = watched
    status = run["status"]
    assert (status["phase"], status["workCompleted"]) == ("Succeeded", True), status
    assert status["pullRequestUrl"] == "https://git.example.org/o/shop/pull/77"
    assert status["sessionId"] == "session-77"
    name = run["metadata"]["name"]
    told = ask(f"/api/v1/pm/tasks/{name}")[1]["data"]
    assert (told["phase"], told["pull_request_url"]) == ("Succeeded", status["pullRequestUrl"])
    events = [e["reason"] for e in cluster.objects("events", NAMESPACE) if e["involvedObject"]["name"] == name]
    # A busy machine may add what the run waited for; each is told once all the same.
    assert {"JobCompleted", "JobCreated"} <= set(events)
    assert len(events) == len(set(events))
    cluster.until(lambda: not cluster.objects("jobs", NAMESPACE), "the Job is removed with a delay of 0")
    assert not [c for c in cluster.objects("configmaps", NAMESPACE) if c["metadata"]["name"] == status["configmapName"]]
    assert cluster.get("persistentvolumeclaim", "workspace-watched", NAMESPACE)


def test_the_agent_was_watched(watched, discord, cluster):
    """Issue 8.3, D3: the published watcher in the pod, natively; all that the agent wrote arrived, once, in order."""
    run, pod = watched
    watcher = named(pod["spec"], "discord-watcher")
    assert watcher["restartPolicy"] == "Always"
    assert watcher in pod["spec"]["initContainers"]
    monitored = next(c for c in run["status"]["conditions"] if c["type"] == "Monitored")
    assert (monitored["status"], monitored["reason"]) == ("True", "SidecarAttached")
    wanted = expected_of(SEED, [0])
    sessions = {session for session, _marker in wanted}
    cluster.until(lambda: len(arrived_of(discord.messages(), sessions)) >= len(wanted), "all rows arrive", timeout_s=60)
    arrived = arrived_of(discord.messages(), sessions)
    assert sorted(arrived) == sorted(wanted)
    for session in sessions:
        assert [m for s, m in arrived if s == session] == [m for s, m in wanted if s == session]


def test_no_secret_shows(cluster, watched):
    """D6: in no run, no Event, no ConfigMap, and in no line of the controller's log."""
    log = cluster.kubectl("logs", "deployment/orchestrator", "--namespace", NAMESPACE)
    shown = json.dumps(cluster.objects("coderuns,events,configmaps,jobs,pods", NAMESPACE)) + log
    assert "status" in log
    assert "canary" not in shown


def test_without_the_sidecar_the_run_says_so(cluster, ask):
    """Issue 8.3: a run of its own webhook whose Secret is missing waits for it, and names it."""
    entries = [{"name": "DISCORD_WEBHOOK_URL", "secret_name": "of-nobody", "secret_key": "url"}]
    task = {**TASK, "task_id": 78, "service": "own", "env_from_secrets": entries}
    _status, made = ask("/api/v1/pm/tasks", task)
    name = made["data"]["name"]

    def waits():
        conditions = cluster.get("coderun", name, NAMESPACE).get("status", {}).get("conditions") or []
        return [c["message"] for c in conditions if c["reason"] == "SecretMissing" and c["status"] == "True"]

    assert "Secret of-nobody is missing" in cluster.until(waits, "the run says what it waits for")[0]
    cluster.kubectl("delete", "coderun", name, "--namespace", NAMESPACE)

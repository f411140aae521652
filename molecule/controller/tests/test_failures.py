# SPDX-License-Identifier: GPL-3.0-or-later
# SPDX-FileCopyrightText: 2026 The orchestrator.platform authors
"""What goes wrong, and what the run says then: every hindrance and every end has a reason and a sentence (issue 8.7)."""

from __future__ import annotations

import itertools
import json
import shutil

import pytest

testinfra_hosts = ["local://"]


WAITS = {"BEHAVIOUR": "wait"}
# Controllers of their own, each in its namespace: what their configuration has otherwise.
SPECIAL = {
    "turns": {"cleanup": {"enabled": False}},
    "image": {
        "agent": {"image": {"repository": "nowhere.example.org/agent", "tag": "1", "pullPolicy": "Never"}},
    },
    "huge": {"agent": {"resources": {"requests": {"cpu": "1000"}}}},
    "memory": {"agent": {"resources": {"limits": {"memory": "48Mi"}}}},
    "doomed": {},
}


@pytest.fixture(scope="module", autouse=True)
def usual(controller_in):
    """A controller that removes what is done with at once; what its runs take time for, they do beside the tests."""
    place, controller, relay = controller_in("ends")
    place.create(
        place.docs_run("texts"),
        place.code_run("fails", env={"BEHAVIOUR": "fail"}),
        place.code_run("waits", envFromSecrets=[{"name": "EXTRA", "secretName": "comes-later", "secretKey": "k"}]),
        place.code_run("wrong", workingDirectory="../out"),
        *[place.code_run(name, env=WAITS) for name in ("robbed", "twice", "dropped", "evicted", "slow")],
    )
    controller.start()
    controller.until_ready()
    return place, controller, relay


@pytest.fixture(scope="module", autouse=True)
def special(usual, controller_in, base_config):
    """The controllers of their own, each at work on its runs."""
    made = {}
    for namespace, changes in SPECIAL.items():
        place, controller, _relay = made[namespace] = controller_in(namespace)
        controller.configure({key: {**value, **changes.get(key, {})} for key, value in base_config.items()})
        if namespace == "turns":
            turns = ("first", "second", "third")
            place.create(*[place.code_run(name, service="shared", env={"PACE_MS": "5"}) for name in turns])
        else:
            place.run(f"in-{namespace}", env={"memory": {"BEHAVIOUR": "eat"}, "doomed": WAITS}.get(namespace, {}))
        controller.start()
    return made


def nothing_left(place, name, of="coderun"):
    """Neither Job nor ConfigMap of a run is there."""
    place.cluster.until(lambda: not place.owned("jobs,configmaps", name, of), f"nothing of {name} is left")


def let_time_be_up(place, name):
    """Shorten the configured deadline of a run's Job: one that is short from the start would hit a busy machine anywhere."""
    [job] = place.owned("jobs", name)
    assert job["spec"]["activeDeadlineSeconds"] == 3600
    change = json.dumps({"spec": {"activeDeadlineSeconds": 1}})
    place.cluster.kubectl(
        "patch", "job", job["metadata"]["name"], "--namespace", place.namespace, "--type=merge", "--patch", change
    )


def test_a_docs_run(usual):
    """OR-350…OR-357: the other kind, from its Job to its removal."""
    place = usual[0]
    place.until("texts", "Succeeded", "JobCompleted", "docsrun")
    status = place.until_clean("texts", "docsrun")
    assert (status["phase"], status["workCompleted"]) == ("Succeeded", True)
    assert status["pullRequestUrl"] == "https://git.example.org/o/shop/pull/docs"
    assert "sessionId" not in status
    nothing_left(place, "texts", "docsrun")


def test_an_agent_that_fails(usual):
    """OR-360: exit code and the agent's own sentence; nothing is tried again."""
    place = usual[0]
    found = place.until("fails", "Failed", "JobFailed")
    assert found["message"] == "The agent ended with exit code 3: the tests do not pass"
    status = place.until_clean("fails")
    assert status["workCompleted"] is False
    nothing_left(place, "fails")


def test_a_missing_secret(usual):
    """Issue 8.7: named, waited for, and the run goes on when it is there."""
    place = usual[0]
    found = place.until("waits", "Pending", "SecretMissing")
    assert found["message"].startswith(
        "Secret comes-later is missing in namespace ends; spec.envFromSecrets takes EXTRA from it"
    )
    assert place.owned("jobs,configmaps", "waits") == []
    place.secret("comes-later", k="v")
    place.until("waits", "Succeeded", "JobCompleted")


def test_a_refused_field_that_is_mended(usual):
    """OR-A49: refused with its name; once it is mended the same run goes on."""
    place = usual[0]
    found = place.until("wrong", "Failed", "FieldRefused")
    assert "spec.workingDirectory" in found["message"]
    place.change("wrong", workingDirectory="in")
    place.until("wrong", "Succeeded", "JobCompleted")


def test_a_job_that_somebody_takes_away(usual):
    """Issue 8.7: said, not made anew; raising contextVersion is another attempt (OR-230)."""
    place = usual[0]
    place.until("robbed", "Running", "JobStarted")
    [job] = place.owned("jobs", "robbed")
    place.cluster.kubectl("delete", "job", job["metadata"]["name"], "--namespace", place.namespace)
    place.until("robbed", "Failed", "JobLost")
    assert place.owned("jobs", "robbed") == []
    place.change("robbed", contextVersion=2, promptModification="once more", env={"BEHAVIOUR": "ok"})
    place.until("robbed", "Succeeded", "JobCompleted")
    status = place.status("robbed")
    assert (status["retryCount"], status["contextVersion"], status["promptModification"]) == (1, 2, "once more")
    assert status["jobName"].endswith("-t7-v2")


def test_another_attempt_ends_the_one_before(usual):
    """OR-230: two agents in one workspace would undo each other."""
    place = usual[0]
    place.until("twice", "Running", "JobStarted")
    place.change("twice", contextVersion=2, env={"BEHAVIOUR": "ok"})
    place.until("twice", "Succeeded", "JobCompleted")
    place.until_clean("twice")
    nothing_left(place, "twice")


def test_a_deleted_run_takes_its_agent_along(usual):
    """Issue 8.5: Job, pod and ConfigMap go by their owner; the claim stays; a finalizer of old does not hold it."""
    place = usual[0]
    place.until("dropped", "Running", "JobStarted")
    place.cluster.kubectl(
        "patch", "coderun", "dropped", "--namespace", place.namespace, "--type=merge",
        "--patch", json.dumps({"metadata": {"finalizers": ["coderuns.orchestrator.io/finalizer"]}}),
    )  # fmt: skip
    job = place.status("dropped")["jobName"]
    place.cluster.kubectl("delete", "coderun", "dropped", "--namespace", place.namespace, "--timeout=90s")

    def rest():
        found = place.cluster.objects("jobs,pods,configmaps", place.namespace)
        return [o for o in found if job in (o["metadata"]["name"], o["metadata"].get("labels", {}).get("job-name"))]

    place.cluster.until(lambda: not rest(), "Job and pod of the deleted run are gone")
    assert place.cluster.get("persistentvolumeclaim", "workspace-dropped", place.namespace)


def test_eviction(usual):
    """Issue 8.7: who put the pod out stands in the sentence."""
    place = usual[0]
    place.until("evicted", "Running", "JobStarted")
    [pod] = place.cluster.objects("pods", place.namespace, f"job-name={place.status('evicted')['jobName']}")
    meta = {"name": pod["metadata"]["name"], "namespace": place.namespace}
    path = f"/api/v1/namespaces/{place.namespace}/pods/{meta['name']}/eviction"
    body = {"apiVersion": "policy/v1", "kind": "Eviction", "metadata": meta}
    place.cluster.kubectl("create", "--raw", path, "--filename=-", stdin=json.dumps(body))
    assert "EvictionByEvictionAPI" in place.until("evicted", "Failed", "Evicted")["message"]
    place.until_clean("evicted")


def test_time_is_up_for_an_agent_at_work(usual):
    """OR-143, OR-361."""
    place = usual[0]
    place.until("slow", "Running", "JobStarted")
    let_time_be_up(place, "slow")
    assert "ended as its time was up" in place.until("slow", "Failed", "DeadlineExceeded")["message"]
    place.until_clean("slow")


def test_the_api_over_rest(usual):
    """OR-350…OR-352: a task becomes a run once; its state can be read."""
    place, controller, _relay = usual
    task = {
        "task_id": 31, "service": "rest", "repository_url": "https://git.example.org/o/shop.git",
        "docs_repository_url": "https://git.example.org/o/docs.git", "github_user": "agent-one",
    }  # fmt: skip
    status, made = controller.ask("/api/v1/pm/tasks", {**task, "env": {"BEHAVIOUR": "wait"}})
    assert (status, made["success"]) == (201, True)
    name = made["data"]["name"]
    assert name.startswith("code-31-")
    status, again = controller.ask("/api/v1/pm/tasks", {**task, "env": {"BEHAVIOUR": "wait"}})
    assert (status, again["data"]["name"]) == (200, name)
    place.until(name, "Running", "JobStarted")
    place.cluster.until(
        lambda: controller.ask(f"/api/v1/pm/tasks/{name}")[1]["data"]["phase"] == "Running", "the API says so too"
    )
    assert place.cluster.get("coderun", name, place.namespace)["spec"]["model"] == "claude-sonnet-4-20250514"
    place.cluster.kubectl("delete", "coderun", name, "--namespace", place.namespace)
    docs = {
        "repository_url": "https://h/r",
        "working_directory": ".",
        "source_branch": "main",
        "github_user": "agent-one",
    }
    status, made = controller.ask("/api/v1/pm/docs/generate", docs)
    assert (status, made["data"]["name"][:9]) == (201, "docs-gen-")
    place.until(made["data"]["name"], "Succeeded", "JobCompleted", "docsrun")


def test_runs_of_one_service(special):
    """OR-A43: one after the other, the oldest first; delays of 0 and false are honoured (OR-A27): here nothing is removed."""
    place = special["turns"][0]
    names = ["first", "second", "third"]
    for name in names:
        place.until(name, "Succeeded", "JobCompleted")
    spans = []
    for name in names:
        [job] = place.owned("jobs", name)
        spans.append((job["status"]["startTime"], job["status"]["completionTime"]))
        assert place.owned("configmaps", name), "cleanup is off"
    assert all(before[1] <= after[0] for before, after in itertools.pairwise(spans)), spans
    assert len({place.status(name)["configmapName"] for name in names}) == 3, "three runs of one task and version"


def test_an_image_that_cannot_be_had(special, base_config):
    """Issue 8.7: said while it waits; mended by another attempt."""
    place, controller, _relay = special["image"]
    assert "nowhere.example.org/agent:1" in place.until("in-image", "Pending", "ImageMissing")["message"]
    controller.configure(base_config)
    place.change("in-image", contextVersion=2)
    place.until("in-image", "Succeeded", "JobCompleted")


def test_no_node_and_no_time(special):
    """Issue 8.7: what it waited for stands in the sentence of its end."""
    place = special["huge"][0]
    place.until("in-huge", "Pending", "Unschedulable")
    let_time_be_up(place, "in-huge")
    found = place.until("in-huge", "Failed", "DeadlineExceeded")
    assert "before the agent could start. No node takes the agent's pod" in found["message"]


def test_memory(special):
    """Issue 8.7."""
    place = special["memory"][0]
    place.until("in-memory", "Failed", "OutOfMemory")


def test_configuration_and_templates_that_are_mended(controller_in, base_config, templates, tmp_path):
    """OR-165, OR-A50: nothing is started, it is said why with the name of the template, and mending is enough."""
    place, controller, _relay = controller_in("mending")
    own = tmp_path / "templates"
    shutil.copytree(templates, own)
    (own / "code_mcp-tools.md.hbs").write_text("{{tool_config}}", encoding="utf-8")
    controller.use_templates(own)
    controller.config_file.unlink()
    controller.start()
    place.run("patient")
    found = place.until("patient", "Pending", "ConfigurationUnreadable")
    assert "config.yaml: it cannot be read" in found["message"]
    assert controller.ask("/ready")[0] == 503
    assert place.owned("jobs,configmaps", "patient") == []
    controller.configure(base_config)
    controller.kill()
    controller.start()
    found = place.until("patient", "Pending", "TemplateInvalid")
    assert "template code_mcp-tools.md.hbs asks for tool_config, which nobody supplies" in found["message"]
    shutil.copy(templates / "code_mcp-tools.md.hbs", own)
    controller.kill()
    controller.start()
    place.until("patient", "Succeeded", "JobCompleted")


def test_a_namespace_with_running_agents_can_be_deleted(special):
    """Issue 8.5, OR-A16: nothing of ours holds it, also when the controller goes first."""
    place, controller, _relay = special["doomed"]
    place.create(place.docs_run("lost-too"))
    place.until("in-doomed", "Running", "JobStarted")
    controller.kill()
    place.cluster.kubectl("delete", "namespace", "doomed", "--wait=false")
    place.cluster.until(
        lambda: not place.cluster.kubectl("get", "namespace", "doomed", "--ignore-not-found").strip(),
        "the namespace is gone",
    )


def test_a_quota_that_is_full(usual):
    """Issue 8.7: the API server's own words; tried again until it lets the Job in."""
    place = usual[0]
    meta = {"name": "no-jobs", "namespace": place.namespace}
    quota = {"apiVersion": "v1", "kind": "ResourceQuota", "metadata": meta, "spec": {"hard": {"count/jobs.batch": "0"}}}
    place.apply(quota)
    place.cluster.until(
        lambda: place.cluster.get("resourcequota", "no-jobs", place.namespace).get("status", {}).get("hard"),
        "the quota counts",
    )
    place.run("crowded")
    found = place.until("crowded", "Pending", "ApiRefused")
    assert "exceeded quota" in found["message"]
    place.cluster.kubectl("delete", "resourcequota", "no-jobs", "--namespace", place.namespace)
    place.until("crowded", "Succeeded", "JobCompleted")


def test_watches_that_break_and_expire(usual, api_proxy):
    """Issue 8.7: the way to the API server is gone for a while, and the versions of the watches are forgotten meanwhile."""
    place, controller, relay = usual
    place.run("before-the-break")
    api_proxy.stop()
    place.cluster.until(
        lambda: controller.ask("/ready")[0] == 503, "the controller says that it does not reach the API server"
    )
    assert controller.ask("/health")[0] == 200, "a restart would not help"
    relay.expire_watches = 4
    api_proxy.start()
    place.until("before-the-break", "Succeeded", "JobCompleted")
    controller.until_ready()
    place.cluster.until(lambda: "everything is listed anew" in controller.log(), "an expired watch is listed anew")
    place.run("after-the-break")
    place.until("after-the-break", "Succeeded", "JobCompleted")

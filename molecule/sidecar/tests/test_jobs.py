# SPDX-License-Identifier: GPL-3.0-or-later
# SPDX-FileCopyrightText: 2026 The orchestrator.platform authors
"""Jobs (D3): their template cannot be changed; a sidecar that came another way lets them complete."""

from __future__ import annotations

import json
from typing import NamedTuple

import pytest

from real_cluster import Json, named, statuses
from workload_shapes import container, pod_spec, template_spec, trace, workload

testinfra_hosts = ["local://"]

NAMES = ["has-run", "runs", "waits"]


class Story(NamedTuple):
    """The Jobs before, after the plain run and after the one that may make them anew; the runs; what completed."""

    looks: list[dict[str, Json]]
    runs: list
    completed: dict[str, Json]  # Job -> its pod


@pytest.fixture(scope="module")
def story(cluster, role, ns, image) -> Story:
    """A Job that has ended, one that runs, one that waits; and a CronJob."""
    space = ns("jobs")
    brief = pod_spec(image, containers=[container("agent", image, "sleep", "1")])
    documents = [
        workload("Job", "has-run", pod_spec(image, containers=[container("agent", image, "true")])),
        workload("Job", "runs", pod_spec(image)),
        workload("Job", "waits", brief, suspend=True),
        workload("CronJob", "nightly", brief),
    ]
    cluster.kubectl(
        "create",
        "--namespace",
        space,
        "--filename=-",
        stdin=json.dumps({"apiVersion": "v1", "kind": "List", "items": documents}),
    )
    cluster.kubectl("wait", "--namespace", space, "job/has-run", "--for=condition=Complete", "--timeout=60s")
    cluster.until(lambda: cluster.get("job", "runs", space)["status"].get("active"), "the running Job's pod")

    def look() -> dict[str, Json]:
        return {item["metadata"]["name"]: item for item in cluster.objects("jobs", space, managers=True)}

    looks, runs = [look()], []
    for recreate in (False, True, True):
        runs.append(
            role("main", sidecar_namespaces=[space], sidecar_kinds=["Job", "CronJob"], sidecar_recreate_jobs=recreate)
        )
        looks.append(look())
    cluster.kubectl("patch", "--namespace", space, "job/waits", "--patch", json.dumps({"spec": {"suspend": False}}))
    cluster.kubectl("create", "job", "--namespace", space, "of-tonight", "--from=cronjob/nightly")
    completed = {}
    for name in ("waits", "of-tonight"):
        cluster.kubectl("wait", "--namespace", space, f"job/{name}", "--for=condition=Complete", "--timeout=60s")
        (completed[name],) = cluster.objects("pods", space, f"job-name={name}")
    return Story(looks, runs, completed)


@pytest.mark.parametrize(
    ("name", "code"), [("has-run", "job_next_run"), ("runs", "job_next_run"), ("waits", "job_immutable")]
)
def test_a_job_is_answered_and_left_alone(story, name, code):
    """It is no failure: the answer says when the sidecar can come."""
    assert story.runs[0].code(name, "Job") == ("skipped", code)
    assert trace(story.looks[1][name]) == trace(story.looks[0][name])
    assert not story.runs[0].failed


def test_a_job_of_which_nothing_ran_is_made_anew_on_request(story):
    """Another object of the same name, with the sidecar and all that its owner wrote."""
    assert story.runs[1].code("waits", "Job") == ("injected", "job_recreated")
    before, after = (look["waits"] for look in story.looks[1:3])
    assert after["metadata"]["uid"] != before["metadata"]["uid"]
    assert named(template_spec(after), "discord-watcher")["restartPolicy"] == "Always"
    assert after["metadata"]["annotations"]["example.org/owner"] == "somebody"
    assert after["spec"]["suspend"] is True


@pytest.mark.parametrize("name", ["has-run", "runs"])
def test_a_job_that_ran_is_never_made_anew(story, name):
    """Asked or not."""
    assert story.runs[1].code(name, "Job") == ("skipped", "job_next_run")
    assert story.looks[2][name]["metadata"]["uid"] == story.looks[0][name]["metadata"]["uid"]


def test_it_is_made_anew_once(story):
    """The next run finds it as wanted."""
    assert story.runs[2].code("waits", "Job") == ("unchanged", "unchanged")
    assert trace(story.looks[3]["waits"]) == trace(story.looks[2]["waits"])


@pytest.mark.parametrize("name", ["waits", "of-tonight"])
def test_a_job_with_the_sidecar_completes(story, name):
    """The native sidecar ran beside the agent and was ended with it."""
    seen = statuses(story.completed[name])
    assert seen["agent"]["state"]["terminated"]["exitCode"] == 0
    assert seen["discord-watcher"]["state"]["terminated"]["exitCode"] == 0
    assert story.completed[name]["status"]["phase"] == "Succeeded"

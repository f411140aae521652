# SPDX-License-Identifier: GPL-3.0-or-later
# SPDX-FileCopyrightText: 2026 The orchestrator.platform authors
"""What is not done, and what is said instead: a code, a sentence, and an object that is as it was."""

from __future__ import annotations

import json
import re
from typing import NamedTuple

import pytest

from real_cluster import Json, named
from workload_shapes import container, pod_spec, template_spec, trace, workload

testinfra_hosts = ["local://"]

PREFIX = "orchestrator.platform/"
STATE_VOLUME = {"name": "discord-state", "persistentVolumeClaim": {"claimName": "mine"}}
BY_EXPRESSION = {"name": "work", "mountPath": "/home/agent/.claude", "subPathExpr": "$(POD)"}

# Where each workload stands, what is said of it, and by which words.
EXPECTED = {
    "taken-by-another": ("refused", "conflict", "field_conflict", r"discord-watcher.*image.*kubectl-set"),
    "port-taken": ("refused", "skipped", "port_conflict", r"8080"),
    "container-name-taken": ("refused", "conflict", "name_conflict", r"discord-watcher"),
    "volume-name-taken": ("refused", "conflict", "name_conflict", r"discord-state"),
    "volume-missing": ("refused", "failed", "volume_missing", r"nowhere"),
    "container-missing": ("refused", "failed", "container_missing", r"nobody.*agent"),
    "mount-by-expression": ("refused", "skipped", "unsupported_mount", r"subPathExpr"),
    "override-invalid": ("refused", "failed", "invalid_override", r"log-level"),
    "override-of-security": ("refused", "failed", "invalid_override", r"run-as-user"),
    "opted-out": ("refused", "skipped", "opt_out", r"inject"),
    "in-a-namespace-opted-out": ("optout", "skipped", "opt_out", r"inject"),
    "without-secret": ("bare", "failed", "secret_missing", r"discord-secrets"),
}


class Story(NamedTuple):
    """The objects before and after, and the runs."""

    before: dict[str, Json]
    after: dict[str, Json]
    runs: dict[str, object]


def workloads(image: str) -> dict[str, Json]:
    """One Deployment for each reason, and one that is injected beside them."""

    def made(name: str, **more) -> Json:
        annotations = more.pop("annotations", None)
        return workload("Deployment", name, pod_spec(image, **more), annotations=annotations)

    def agent(**more) -> list[Json]:
        return [container("agent", image, **more)]

    claims = [STATE_VOLUME]
    foreign = [container("agent", image), container("discord-watcher", image)]
    made_ones = [
        made("taken-by-another"),
        made("port-taken", containers=[*agent(), container("web", image, ports=[{"containerPort": 8080}])]),
        made("container-name-taken", containers=foreign),
        made("volume-name-taken", volumes=claims, containers=agent(volumeMounts=[{"name": "discord-state", "mountPath": "/mine"}])),
        made("volume-missing", annotations={PREFIX + "transcript-volume": "nowhere"}),
        made("container-missing", annotations={PREFIX + "container": "nobody"}),
        made("mount-by-expression", volumes=[{"name": "work", "emptyDir": {}}], containers=agent(env=[{"name": "POD", "value": "a"}], volumeMounts=[BY_EXPRESSION])),
        made("override-invalid", annotations={PREFIX + "log-level": "loud"}),
        made("override-of-security", annotations={PREFIX + "run-as-user": "0"}),
        made("opted-out", annotations={PREFIX + "inject": "false"}),
        made("in-a-namespace-opted-out"),
        made("without-secret"),
        made("as-root", securityContext={"runAsUser": 0}),
        made("own-settings", annotations={PREFIX + "log-level": "error", PREFIX + "memory-limit": "96Mi", PREFIX + "parity-mode": "true"}),
    ]  # fmt: skip
    return {item["metadata"]["name"]: item for item in made_ones}


@pytest.fixture(scope="module")
def story(cluster, role, ns, image) -> Story:
    """One run meets all of them; a second one meets the field that somebody took from us meanwhile."""
    spaces = [ns(name) for name in ("refused", "optout", "bare")]
    documents = workloads(image)
    for name, item in documents.items():
        item["metadata"]["namespace"] = ns(EXPECTED[name][0] if name in EXPECTED else "refused")
    cluster.kubectl(
        "create",
        "--filename=-",
        stdin=json.dumps({"apiVersion": "v1", "kind": "List", "items": list(documents.values())}),
    )

    def look() -> dict[str, Json]:
        return {
            item["metadata"]["name"]: item
            for space in spaces
            for item in cluster.objects("deployments", space, managers=True)
        }

    settings = {"sidecar_namespaces": spaces, "sidecar_wait_seconds": 30}
    checked = role("main", "--check", "--diff", **settings)
    before = look()
    runs = {"checked": checked, "first": role("main", **settings)}
    cluster.kubectl(
        "set",
        "image",
        "--namespace",
        ns("refused"),
        "deployment/taken-by-another",
        "discord-watcher=example.org/other:1",
    )
    before["taken-by-another"] = look()["taken-by-another"]
    runs["second"] = role("main", **settings)
    runs["unreadable"] = role(
        "main", sidecar_targets=[{"namespaces": ["nowhere"]}, {"namespaces": spaces[:1], "names": ["as-root"]}]
    )
    runs["tolerant"] = role("main", **settings, sidecar_names=["taken-by-another"], sidecar_fail_on_conflict=False)
    return Story(before, look(), runs)


@pytest.mark.parametrize("name", EXPECTED)
def test_the_code_and_the_sentence(story, name):
    """They are part of the interface: people write conditions on the code."""
    _space, outcome, code, words = EXPECTED[name]
    row = story.runs["second"].row(name)
    assert (row["outcome"], row["code"]) == (outcome, code), row
    assert re.search(words, row["message"]), row["message"]


@pytest.mark.parametrize("name", EXPECTED)
def test_the_object_is_as_it_was(story, name):
    """Nothing is forced: not one field, not one manager."""
    assert trace(story.after[name]) == trace(story.before[name])


@pytest.mark.parametrize("name", ["as-root", "own-settings"])
def test_the_others_are_done_all_the_same(story, name):
    """A refusal concerns its own workload only."""
    assert story.runs["first"].code(name) == ("injected", "injected")
    assert story.runs["second"].code(name) == ("unchanged", "unchanged")


def test_a_root_agent_is_told(story):
    """The watcher does not become root for it, so that a file of mode 0600 stays unread: said beside the outcome."""
    assert "root" in story.runs["first"].row("as-root")["message"]
    context = named(template_spec(story.after["as-root"]), "discord-watcher")["securityContext"]
    assert (context["runAsNonRoot"], context["runAsUser"]) == (True, 10001)


def test_the_workloads_own_settings_count(story):
    """Annotations override the published sidecar, for this workload only."""
    watcher = named(template_spec(story.after["own-settings"]), "discord-watcher")
    env = {item["name"]: item.get("value") for item in watcher["env"]}
    assert (env["LOG_LEVEL"], env["PARITY_MODE"], watcher["resources"]["limits"]["memory"]) == ("error", "true", "96Mi")


def test_the_run_fails_and_names_each_by_group(story):
    """One table, then the groups; a workload that is fine is not named."""
    result = story.runs["second"]
    assert result.failed
    for code in {code for _space, _outcome, code, _words in EXPECTED.values()}:
        assert re.search(rf"(failed|conflict|skipped): {code} \(\d\)", result.output), code
    assert "/own-settings" not in result.output


def test_a_target_that_cannot_be_read_does_not_cost_the_next(story):
    """Its sentence stands above the table, the run fails, the other target is done."""
    result = story.runs["unreadable"]
    assert result.failed
    assert "Namespace nowhere is not there" in " ".join(result.output.split())
    assert [row["name"] for row in result.rows] == ["as-root"]


def test_a_conflict_alone_can_be_tolerated(story):
    """sidecar_fail_on_conflict: false reports it only."""
    assert not story.runs["tolerant"].failed
    assert story.runs["tolerant"].code("taken-by-another") == ("conflict", "field_conflict")


def test_check_mode_said_the_same_and_wrote_nothing(story):
    """Its rows are those of the run after it; a Secret that a task before it would make is no failure there."""
    checked, first = (story.runs[name] for name in ("checked", "first"))
    told = {row["name"]: row["code"] for row in checked.rows if row["name"] != "without-secret"}
    assert told == {row["name"]: row["code"] for row in first.rows if row["name"] != "without-secret"}
    seen = [obj for name, obj in story.before.items() if name != "taken-by-another"]
    managers = {entry["manager"] for obj in seen for entry in obj["metadata"]["managedFields"]}
    assert "orchestrator.platform" not in managers

# SPDX-License-Identifier: GPL-3.0-or-later
# SPDX-FileCopyrightText: 2026 The orchestrator.platform authors
"""What owners do after an injection: the sidecar is kept, or its loss is told as drift and repaired by the next run."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from typing import NamedTuple

import pytest

from owners import ACTIONS, KEPT, LOST, REFUSED, UNMOUNTED, Owners
from real_cluster import Json, containers, named
from workload_shapes import SHARE, template_spec, trace

testinfra_hosts = ["local://"]

HURT = (LOST, UNMOUNTED)


class Story(NamedTuple):
    """The Deployments after each step, the owners' errors, and the runs."""

    looks: dict[str, dict[str, Json]]
    errors: dict[str, str]
    runs: dict[str, object]


@pytest.fixture(scope="module")
def story(cluster, role, ns, image, tmp_path_factory) -> Story:
    """Everybody makes a workload, we inject, everybody acts, we look, run, and run again."""
    owners = Owners(cluster, ns("owners"), image, tmp_path_factory.mktemp("owners"))
    looks, errors, runs = {}, {}, {}

    def look(step: str) -> None:
        looks[step] = {
            item["metadata"]["name"]: item for item in cluster.objects("deployments", ns("owners"), managers=True)
        }

    def act(name: str) -> str:
        try:
            ACTIONS[name].done(owners, name)
        except AssertionError as exc:
            return str(exc)
        return ""

    settings = {"sidecar_namespaces": [ns("owners")], "sidecar_wait_seconds": 60}
    with ThreadPoolExecutor(4) as people:
        list(people.map(lambda name: ACTIONS[name].made(owners, name), ACTIONS))
        # A revision that the controller has not seen cannot be gone back to.
        cluster.until(lambda: all(map(observed, cluster.objects("deployments", ns("owners")))), "revisions of all")
        runs["first"] = role("main", **settings)
        look("injected")
        errors.update(zip(ACTIONS, people.map(act, ACTIONS), strict=True))
    look("acted")
    runs["explained"] = role("explain", **settings)
    for step in ("repaired", "again"):
        runs[step] = role("main", **settings)
        look(step)
    runs["removed"] = role("remove", **settings)
    look("removed")
    return Story(looks, errors, runs)


def observed(deployment: Json) -> bool:
    """Whether its controller has seen the spec as it is."""
    return deployment["status"].get("observedGeneration") == deployment["metadata"]["generation"]


def state_of(deployment: Json) -> str:
    """kept, lost or unmounted, as the template shows it; unmounted: watcher and agent see different files."""
    spec = template_spec(deployment)
    if "discord-watcher" not in [c["name"] for c in containers(spec)]:
        return LOST
    (seen,) = [m["name"] for m in named(spec, "discord-watcher")["volumeMounts"] if m["mountPath"] == SHARE]
    agent = [m["name"] for m in spec["containers"][0].get("volumeMounts", []) if m["mountPath"] == SHARE]
    return KEPT if agent == [seen] else UNMOUNTED


@pytest.mark.parametrize("name", ACTIONS)
def test_the_owner_could_act(story, name):
    """Nobody is in the way of an owner; where the API server refuses, its sentence names our container or manager."""
    error = story.errors[name]
    assert bool(error) == (ACTIONS[name].outcome == REFUSED), error
    if error:
        assert "image: Required value" in error or "orchestrator.platform" in error


@pytest.mark.parametrize("name", ACTIONS)
def test_what_became_of_the_sidecar(story, name):
    """As the table of docs/injection.md says."""
    assert state_of(story.looks["injected"][name]) == KEPT
    expected = ACTIONS[name].outcome
    assert state_of(story.looks["acted"][name]) == (KEPT if expected == REFUSED else expected)


@pytest.mark.parametrize("name", ACTIONS)
def test_explain_tells_what_was_lost(story, name):
    """And of what is as it was it says that nothing would be done."""
    row = story.runs["explained"].row(name)
    if ACTIONS[name].outcome in HURT:
        assert row["outcome"] in ("injected", "updated"), row
        assert row["drift"] or not row["injected"], row
    else:
        assert row["outcome"] == "unchanged", row
        assert row["drift"] == []


def test_explain_wrote_nothing(story):
    """It is a look."""
    assert "changed=0" in story.runs["explained"].output


@pytest.mark.parametrize("name", ACTIONS)
def test_the_next_run_repairs_it(story, name):
    """What was hurt is as injected again, the rest got no request."""
    row = story.runs["repaired"].row(name)
    assert (row["outcome"] in ("injected", "updated")) == (ACTIONS[name].outcome in HURT), row
    assert state_of(story.looks["repaired"][name]) == KEPT


def test_the_run_after_that_writes_nothing(story):
    """Also to those that were repaired."""
    before, after = story.looks["repaired"], story.looks["again"]
    assert [name for name in before if trace(before[name]) != trace(after[name])] == []
    assert "changed=0" in story.runs["again"].output


@pytest.mark.parametrize("name", ACTIONS)
def test_it_goes_from_all_of_them_whatever_happened(story, name):
    """An owner's mount at our path is his: it stays, where the API server would have taken it away with our item."""
    assert story.runs["removed"].code(name) == ("removed", "removed")
    spec = template_spec(story.looks["removed"][name])
    assert [c["name"] for c in containers(spec)] == [c["name"] for c in spec["containers"]]
    mounts = [mount["name"] for mount in spec["containers"][0].get("volumeMounts", [])]
    assert mounts == (["own"] if name == "own-mount-at-our-path" else [])
    assert [volume["name"] for volume in spec.get("volumes", [])] == mounts

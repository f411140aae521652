# SPDX-License-Identifier: GPL-3.0-or-later
# SPDX-FileCopyrightText: 2026 The orchestrator.platform authors
"""The controller is killed after each of its writes, and the next one finishes what it left (OR-353…OR-361, issue 8.7)."""

from __future__ import annotations

import json
from concurrent.futures import ThreadPoolExecutor

import pytest

testinfra_hosts = ["local://"]

AT_ONCE = 7  # namespaces, each with a controller of its own: what a run takes is mostly waiting
ENOUGH = 40  # more writes than any run takes
BRIEF = {"BEHAVIOUR": "brief"}  # the agent's result counts here, not its transcript


def steps_of(place, controller, relay, name) -> list[str]:
    """The writes of a whole run, by a controller that nobody kills."""
    place.run(name, env=BRIEF)
    controller.start()
    controller.until_ready()
    place.until(name, "CleanedUp", "DelayPassed")
    return list(relay.writes)


def kill_at(place, controller, relay, number) -> str:
    """A run whose controller is killed right after its write of that number was carried out, and started again: the write.

    Nothing is answered when the run has come to its end with fewer writes: it may have been quick.
    """
    name = f"killed-{number}"
    place.run(name, taskId=number, env=BRIEF)
    relay.arm(controller, number=number, before=False)
    controller.start()
    place.cluster.until(
        lambda: controller.is_dead or place.condition(name, "CleanedUp"),
        f"write {number} of {name}: {relay.writes}",
        timeout_s=300,
    )
    controller.kill()
    killed = relay.writes[number - 1] if len(relay.writes) >= number else ""
    relay.arm(controller, number=0, before=False)
    controller.start()
    place.until(name, "CleanedUp", "DelayPassed")
    check_whole(place, name, number)
    controller.stop()
    return killed


def check_whole(place, name, number) -> None:
    """All of the work is done, once, and nothing is left of it but the run and its claim."""
    status = place.status(name)
    assert (status["phase"], status["workCompleted"]) == ("Succeeded", True), status
    assert status["pullRequestUrl"].endswith(f"/pull/{number}")
    assert status["configmapName"] == f"{name}-task{number}-v1-files"

    def told_of(subject) -> list[str]:
        return [event["reason"] for event in place.listed("events") if event["involvedObject"]["name"] == subject]

    started = place.cluster.until(lambda: told_of(status["jobName"]), "the Events of the Job are there")
    assert started.count("SuccessfulCreate") == 1, "one Job, one pod"
    told = told_of(name)
    # A busy machine may add what the run waited for; each is told once all the same.
    assert {"JobCompleted", "JobCreated"} <= set(told)
    assert len(told) == len(set(told)), told
    place.cluster.until(lambda: not place.owned("jobs,configmaps", name), f"nothing of {name} is left", 300)
    [claim] = [c for c in place.listed("persistentvolumeclaims") if c["metadata"]["name"] == f"workspace-{name}"]
    assert not claim["metadata"].get("ownerReferences")


@pytest.fixture(scope="module")
def places(controller_in):
    return [controller_in(f"kill-{n}") for n in range(AT_ONCE)]


def test_killed_after_each_write(places):
    """Every write of a run's life, from the first status to the last deletion: the process is gone right after it."""
    writes = steps_of(*places[0], "whole")
    places[0][1].stop()
    verbs = {write.split(" ")[0] for write in writes}
    assert verbs == {"POST", "PATCH", "DELETE"}
    assert 8 <= len(writes) < ENOUGH, writes

    numbers = iter(range(1, len(writes) + 1))

    def each(index: int) -> list[str]:
        # Whoever is free takes the next one; a step of a range's iterator is one step of the interpreter too.
        return [kill_at(*places[index], number) for number in numbers]

    with ThreadPoolExecutor(AT_ONCE) as pool:
        killed = [write for done in pool.map(each, range(AT_ONCE)) for write in done]
    reached = [write for write in killed if write]
    assert len(reached) >= 8, "no two runs have the same number of writes, but all have the most of them"
    assert {write.split(" ")[0] for write in reached} == verbs


def test_the_kill_is_real(places):
    """The test above can fail: a write that never reaches the API server is not there, and the next process makes it."""
    place, controller, relay = places[0]
    place.run("before", taskId=1, env=BRIEF)
    relay.arm(controller, number=1, before=True)
    controller.start()
    place.cluster.until(lambda: controller.is_dead, "the first write is cut off")
    assert place.status("before") == {}
    relay.arm(controller, number=0, before=False)
    controller.start()
    place.until("before", "CleanedUp", "DelayPassed")
    assert json.dumps(place.status("before")).count("DelayPassed") == 1
    controller.stop()

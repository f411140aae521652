# SPDX-License-Identifier: GPL-3.0-or-later
# SPDX-FileCopyrightText: 2026 The orchestrator.platform authors
#
# Private to this collection: names and behaviour may change in any release.
"""The faults as they are made: a function each, from a stage to the facts that its judge in _faults.py reads."""

from __future__ import annotations

import threading
import time
import typing as t
from collections.abc import Callable

from ansible_collections.orchestrator.platform.plugins.module_utils import _fault_scripts as scripts
from ansible_collections.orchestrator.platform.plugins.module_utils._drill import (
    ASK_S,
    PACE,
    AgentStage,
    BrokenDrillError,
    Ground,
    Stage,
)
from ansible_collections.orchestrator.platform.plugins.module_utils._errors import ApiError, PlatformError
from ansible_collections.orchestrator.platform.plugins.module_utils._fault_table import Row
from ansible_collections.orchestrator.platform.plugins.module_utils._faults import AGENT, BRIDGE, WATCHER, Fault
from ansible_collections.orchestrator.platform.plugins.module_utils._faults import Observation as Seen
from ansible_collections.orchestrator.platform.plugins.module_utils._findings import subject
from ansible_collections.orchestrator.platform.plugins.module_utils._quantities import parse_quantity
from ansible_collections.orchestrator.platform.plugins.module_utils._workloads import Json, Obj, dig, find_container

STORM_RETRY_AFTER_S = 1.5  # arbitrary: long enough that asking on at once would show in the count
STORM_S = 15.0  # three times the drill's outage limit of 5 s
SILENCE_S = 60.0  # longer than the watcher waits for an answer (20 s)
READER_S = 25.0
MAX_LIMIT_BYTES = 256 << 20  # arbitrary: four times what the watcher is given, and little for any node

Facts = dict[str, Json]


def observe(stage: Stage, fault: Fault) -> Seen:
    """Make one fault on one pod. Never raises for what goes wrong with it: that is in the observation."""
    pods, pod = stage.ground.pods, stage.pod
    seen = Seen(fault.check.id, subject("Pod", stage.ground.namespace, pod, fault.struck), fault.struck)
    before: list[Row] = []
    began = time.monotonic()
    try:
        ready(stage)
        if fault.struck != BRIDGE:
            stage.delivers()
        before = pods.rows(pod)
        pods.forget(pod)
        stage.renew()
        facts = ACTIONS[fault.name](stage)
        if stage.wrote:
            facts |= {"wrote": stage.wrote, "arrived": stage.messages()}
        seen = seen._replace(facts=facts)
    except PlatformError as exc:
        if isinstance(exc, ApiError) and exc.status == 403:
            return seen._replace(unread=str(exc))
        seen = seen._replace(problem=f"the fault could not be observed: {exc}")
    took_s = round(time.monotonic() - began, 1)
    try:
        return seen._replace(before=before, after=pods.read(pod), seen=pods.seen(pod), took_s=took_s)
    except PlatformError as exc:
        # Without a picture to compare with nothing is said of the others, neither that they changed nor that not.
        problem = seen.problem or f"the fault could not be observed: {pod} could not be read after it: {exc}"
        return seen._replace(problem=problem, took_s=took_s)


def ready(stage: Stage) -> None:
    """Wait until every container of the pod is ready. Raises BrokenDrillError."""

    def all_ready(pods: dict[str, Obj]) -> bool:
        conditions = dig(pods.get(stage.pod, {}), "status", "conditions") or []
        return any(item["type"] == "Ready" and item["status"] == "True" for item in conditions)

    if not stage.ground.pods.wait(all_ready, stage.left_s()):
        raise BrokenDrillError(f"pod {stage.pod} was not ready before the fault")


# -- on any pod with a watcher -------------------------------------------------------------------------------------


def refuse_unlimited(pod: Obj) -> None:
    """Raises BrokenDrillError where the watcher's memory is not limited: the node's would be taken instead."""
    found = find_container(pod.get("spec") or {}, WATCHER)
    limit = dig(found and found[1], "resources", "limits", "memory")
    if limit is None or parse_quantity(limit) > MAX_LIMIT_BYTES:
        raise BrokenDrillError(
            f"{WATCHER} has the memory limit {limit or 'none'}: give it one of at most {MAX_LIMIT_BYTES >> 20}Mi, "
            "since the drill takes memory until the limit ends it"
        )


def _killed(stage: Stage) -> Facts:
    return _struck(stage, scripts.kill())


def _oom(stage: Stage) -> Facts:
    refuse_unlimited(stage.ground.pods.get(stage.pod))
    return _struck(stage, scripts.take_memory())


def _struck(stage: Stage, argv: list[str]) -> Facts:
    before, began = stage.restarts(), time.monotonic()
    # Meanwhile lines are written, so that the kill meets work.
    if isinstance(stage, AgentStage):
        stage.say(3)
    stage.strike(WATCHER, argv)
    stage.back(before)
    waited = round(time.monotonic() - began, 1)
    reason, code = stage.end()
    stage.renew()
    stage.say(2)
    stage.complete()
    return {"waited_s": waited, "reason": reason, "exit_code": code}


def _kubelet(stage: Stage) -> Facts:
    ground = stage.ground
    if ground.restart_kubelet is None:
        raise BrokenDrillError("no node is named")
    on = dig(ground.pods.get(stage.pod), "spec", "nodeName")
    if on != ground.node:
        raise BrokenDrillError(
            f"pod {stage.pod} runs on node {on}, and the kubelet of {ground.node} was to be restarted: nothing was "
            "done; name the container of the pod's node (node_container)"
        )
    ground.restart_kubelet()
    first = _lease(ground)
    while (_lease(ground) == first or not _node_ready(ground)) and stage.left_s() > ASK_S:
        PACE.wait(ASK_S)
    facts = {"node_ready": _lease(ground) != first and _node_ready(ground)}
    stage.say(2)
    stage.complete()
    return facts


def _lease(ground: Ground) -> str:
    path = f"/apis/coordination.k8s.io/v1/namespaces/kube-node-lease/leases/{ground.node}"
    return t.cast(str, dig(ground.cluster.get(path), "spec", "renewTime"))


def _node_ready(ground: Ground) -> bool:
    conditions = dig(ground.cluster.get(f"/api/v1/nodes/{ground.node}"), "status", "conditions") or []
    return any(item["type"] == "Ready" and item["status"] == "True" for item in conditions)


# -- on agents of the drill's own ----------------------------------------------------------------------------------


def _outage(stage: AgentStage, begin: Callable[[], None], end: Callable[[], None]) -> Facts:
    """An outage with lines written in it, which ends once the watcher was restarted, or the time is over."""
    before, began = stage.restarts(), time.monotonic()
    begin()
    try:
        stage.say(2)
        stage.back(before)
        waited = round(time.monotonic() - began, 1)
    finally:
        end()
    stage.renew()
    stage.say()
    stage.complete()
    return {"waited_s": waited}


def _refused(stage: AgentStage) -> Facts:
    endpoint, pods = stage.endpoint, stage.ground.pods

    def take_away() -> None:
        endpoint.scale(0)
        pods.wait(lambda seen: not any(name.startswith(f"{endpoint.name}-") for name in seen), stage.left_s())

    # The first line is in the memory of the fake Discord that goes away.
    stage.forget()
    return _outage(stage, take_away, lambda: endpoint.scale(1))


def _timeout(stage: AgentStage) -> Facts:
    control = stage.endpoint.control
    return _outage(stage, lambda: control(mode="slow", slow_seconds=SILENCE_S), lambda: control(mode="ok"))


def _gone(stage: AgentStage) -> Facts:
    endpoint = stage.endpoint
    asked = endpoint.answers(404)
    facts = _outage(stage, lambda: endpoint.control(mode="gone"), lambda: endpoint.control(mode="ok"))
    return {**facts, "asked": endpoint.answers(404) - asked}


def _storm(stage: AgentStage) -> Facts:
    endpoint, before = stage.endpoint, stage.endpoint.answers(429)
    began = time.monotonic()
    endpoint.control(mode="rate_limited", retry_after=STORM_RETRY_AFTER_S)
    try:
        stage.say(2)
        # A restart would end the wait early; none is expected.
        stage.ground.pods.wait(lambda _pods: stage.restarts() > 0, STORM_S)
    finally:
        endpoint.control(mode="ok")
    allowed = int((time.monotonic() - began) / STORM_RETRY_AFTER_S) + 2
    stage.say()
    stage.complete()
    return {"limited": endpoint.answers(429) - before, "allowed": allowed}


def _truncated(stage: AgentStage) -> Facts:
    stage.put("", "truncate")
    stage.say(2)
    stage.complete()
    return {}


def _replaced(stage: AgentStage) -> Facts:
    marker = stage.marker()
    stage.wrote.append(marker)
    stage.put(stage.content() + stage.row(marker), "replace")
    stage.complete()
    return {}


def _torn(stage: AgentStage) -> Facts:
    marker = stage.marker()
    line = stage.row(marker)
    cut = line.index(marker) + len(marker)
    stage.put(line[:cut])
    # A probe goes through the same loop behind the half line: once it is back, the half was looked at.
    stage.execute(WATCHER, ["discord-monitor", "probe", "--timeout", "25"], timeout_s=40.0)
    early = [item for item in stage.arrived() if item == marker]
    stage.wrote.append(marker)
    stage.put(line[cut:] + '{"type": "assistant", broken\n')
    stage.say()
    stage.complete()
    return {"early": early}


def _rotated(stage: AgentStage) -> Facts:
    before = stage.restarts()
    url = scripts.other_webhook(dig(stage.webhook_secret(), "data", "DISCORD_WEBHOOK_URL"))
    stage.set_webhook(url)
    stage.say()
    stage.complete()
    early, old_channel = stage.restarts() - before, next((channel for channel, _markers in stage.by_channel()), "")
    began = time.monotonic()
    stage.strike(WATCHER, scripts.stop())
    stage.back(before)
    waited = round(time.monotonic() - began, 1)
    stage.say()
    stage.complete()
    by_channel = stage.by_channel()
    old = [marker for channel, markers in by_channel for marker in markers if channel == old_channel]
    new = [marker for channel, markers in by_channel for marker in markers if channel != old_channel]
    return {"early_restarts": early, "old": old, "new": new, "waited_s": waited}


def _deleted(stage: AgentStage) -> Facts:
    before, secret = stage.restarts(), stage.webhook_secret()
    stage.delete_webhook_secret(secret)
    stage.say()
    stage.complete()
    early, began = stage.restarts() - before, time.monotonic()
    try:
        stage.strike(WATCHER, scripts.stop())
        stage.back(before)
        waited = round(time.monotonic() - began, 1)
        health = stage.health()
        stage.say()
    finally:
        stage.create_webhook_secret(secret)
    stage.renew()
    stage.strike(WATCHER, scripts.stop())
    stage.back(before + 1)
    stage.complete()
    return {"early_restarts": early, "health": list(health), "waited_s": waited}


def _no_reader(stage: AgentStage) -> Facts:
    text = "a line for the agent"
    refused, healthy = _posted(stage, text)
    got: list[str] = []

    def read() -> None:
        path = f"{stage.fifo_folder()}/fifo"
        with_reader = stage.execute(AGENT, scripts.read_fifo(path, READER_S), timeout_s=READER_S + 10)
        got.append(with_reader.stdout.strip())

    reader = threading.Thread(target=read, daemon=True)
    reader.start()
    accepted = 409
    while accepted == 409 and reader.is_alive() and stage.left_s() > ASK_S:
        accepted, _healthy = _posted(stage, text)
    reader.join(timeout=READER_S + 10)
    return {"refused": refused, "healthy": healthy == 200, "accepted": accepted, "took": got == [text]}


def _posted(stage: Stage, text: str) -> tuple[int, int]:
    answer, health = stage.execute(BRIDGE, scripts.post(text)).stdout.split()[:2]
    return int(answer), int(health)


ACTIONS: dict[str, Callable[[t.Any], Facts]] = {
    "endpoint-refused": _refused,
    "endpoint-timeout": _timeout,
    "rate-limit-storm": _storm,
    "webhook-gone": _gone,
    "watcher-killed": _killed,
    "watcher-oom": _oom,
    "transcript-truncated": _truncated,
    "transcript-torn": _torn,
    "transcript-replaced": _replaced,
    "secret-rotated": _rotated,
    "secret-deleted": _deleted,
    "bridge-reader-absent": _no_reader,
    "kubelet-restart": _kubelet,
}

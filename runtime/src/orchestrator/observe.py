# SPDX-License-Identifier: GPL-3.0-or-later
# SPDX-FileCopyrightText: 2026 The orchestrator.platform authors
"""What a Job and its pods say about a run: phase, reason, one sentence, and what the agent left as its result. Pure."""

from __future__ import annotations

import json
import re
from enum import Enum
from typing import TYPE_CHECKING, NamedTuple
from urllib.parse import urlsplit

from discord_monitor.redaction import Redactor

if TYPE_CHECKING:
    from collections.abc import Iterator

    from orchestrator.kube import Obj

MAX_SENTENCE = 500  # characters of a foreign text in a status
NO_POD_S = (
    30  # a Job without a pod for longer is one whose pod was refused; arbitrary, the controller of Jobs takes 1 s
)
KILLED = 137  # exit code after SIGKILL


class Phase(Enum):
    """OR-360."""

    PENDING = "Pending"
    RUNNING = "Running"
    SUCCEEDED = "Succeeded"
    FAILED = "Failed"


IMAGE_TROUBLE = (
    "ErrImagePull",
    "ImagePullBackOff",
    "InvalidImageName",
    "ErrImageNeverPull",
    "RegistryUnavailable",
    "ImageInspectError",
)
OF_A_POD = ("Unschedulable", "ImageMissing", "ContainerRefused", "PodStarting")  # reasons that only a pod gives
# What an agent says of its end becomes a status, an Event and a log line for everybody who may read runs: git and curl
# like to repeat an address with its password.
_redacted = Redactor()
START_TROUBLE = ("CreateContainerConfigError", "CreateContainerError", "RunContainerError")


class Observation(NamedTuple):
    """Where the attempt stands. `again_s`: look again after that time, as no event will say so."""

    phase: Phase
    reason: str
    sentence: str
    result: dict[str, str]
    finished_at: str = ""
    again_s: float = 0.0
    disruption: str = ""  # who is putting the pod out, as long as the pod is there to say so


def observe(
    job: Obj,
    pods: list[Obj],
    agent: str,
    *,
    was: Phase,
    said: str,
    age_s: float,
    disrupted: str = "",
    because: str = "",
) -> Observation:
    """Read a Job and its pods. `was` and `said` are phase and sentence known so far: an agent that ran never goes back
    to Pending, and a deadline's sentence repeats what the run was waiting for. `age_s`: age of the Job.
    """
    status = job.get("status") or {}
    pod = max(pods, key=lambda p: str(p["metadata"].get("creationTimestamp")), default=None)
    result = read_result(pod, agent)
    for condition in status.get("conditions") or []:
        if condition.get("status") != "True":
            continue
        finished = condition.get("lastTransitionTime") or ""
        if condition["type"] == "Complete":
            finished = status.get("completionTime") or finished
            return Observation(Phase.SUCCEEDED, "JobCompleted", "The agent's Job is completed.", result, finished)
        if condition["type"] == "Failed":
            reason, sentence = _failure(condition, pod, agent, result, never_ran=was is not Phase.RUNNING, said=said)
            if pod is None and reason == "JobFailed" and disrupted:
                # The pod of an eviction is often gone before its Job has failed.
                reason, sentence = "Evicted", disrupted
            return Observation(Phase.FAILED, reason, sentence, result, finished)
    disruption = _disruption(pod) if pod else ""
    if was is Phase.RUNNING or _has_run(pod, agent):
        return Observation(Phase.RUNNING, "JobStarted", "The agent is at work.", result, disruption=disruption)
    if pod is None:
        return _without_pod(result, said=said, because=because, age_s=age_s)
    reason, sentence = _waiting(pod)
    return Observation(Phase.PENDING, reason, sentence, result, disruption=disruption)


def _without_pod(result: dict[str, str], *, said: str, because: str, age_s: float) -> Observation:
    if because in OF_A_POD:
        # Its time is up: the pod goes before the Job says so, and what it was waiting for is still the reason.
        return Observation(Phase.PENDING, because, said, result)
    if age_s < NO_POD_S:
        sentence = "The Job is made, and its pod is on its way."
        return Observation(Phase.PENDING, "JobCreated", sentence, result, again_s=NO_POD_S)
    sentence = "The Job has no pod yet: a quota or an admission rule may refuse it; the Events of the Job say so."
    return Observation(Phase.PENDING, "PodRefused", sentence, result)


def _waiting(pod: Obj) -> tuple[str, str]:
    status = pod.get("status") or {}
    for condition in status.get("conditions") or []:
        if condition["type"] == "PodScheduled" and condition["status"] == "False":
            return "Unschedulable", f"No node takes the agent's pod: {_cut(condition.get('message'))}"
    for container in statuses(pod):
        waiting = (container.get("state") or {}).get("waiting") or {}
        reason, message = waiting.get("reason") or "", _cut(waiting.get("message"))
        if reason in IMAGE_TROUBLE:
            return (
                "ImageMissing",
                f"Image {container.get('image')} of container {container['name']} cannot be had ({reason}): {message}",
            )
        if reason in START_TROUBLE:
            return "ContainerRefused", f"Container {container['name']} cannot be started ({reason}): {message}"
    return "PodStarting", "The agent's pod is starting."


def _failure(
    condition: Obj, pod: Obj | None, agent: str, result: dict[str, str], *, never_ran: bool, said: str
) -> tuple[str, str]:
    if condition.get("reason") == "DeadlineExceeded":
        sentence = "The agent was ended as its time was up (agent.activeDeadlineSeconds)."
        if never_ran and not _has_run(pod, agent):
            sentence = f"The Job's time was up before the agent could start. {said}".rstrip()
        return "DeadlineExceeded", sentence
    if pod is None:
        return "JobFailed", "The agent's pod was removed before the agent had ended."
    disruption = _disruption(pod)
    if disruption:
        return "Evicted", disruption
    ended = terminated(pod, agent)
    if ended is not None:
        return _end_of_agent(ended, result, asked_to="deletionTimestamp" in pod["metadata"])
    message = (pod.get("status") or {}).get("message") or condition.get("message")
    return "JobFailed", f"The agent's pod failed: {_cut(message)}"


def _end_of_agent(ended: Obj, result: dict[str, str], *, asked_to: bool) -> tuple[str, str]:
    """Reason and sentence for an agent that ended badly; `asked_to`: its pod was being removed."""
    code = ended.get("exitCode")
    if ended.get("reason") == "OOMKilled":
        return "OutOfMemory", "The agent used more memory than its limit or its node had, and was killed."
    told = f": {result['error']}" if result.get("error") else "; its log says why."
    if code == KILLED and not asked_to:
        # The runtime does not always see why; and where only the agent's child was killed, the start script ends so.
        told = f": {result['error']}" if result.get("error") else "."
        return "OutOfMemory", f"The agent was killed (exit code {code}), as it happens for want of memory{told}"
    return "JobFailed", f"The agent ended with exit code {code}{told}"


def _disruption(pod: Obj) -> str:
    """Who has put a pod out, and why; an empty text when nobody has."""
    status = pod.get("status") or {}
    if status.get("reason") == "Evicted":
        return f"The node has put the agent's pod out: {_cut(status.get('message'))}"
    for entry in status.get("conditions") or []:
        if entry["type"] == "DisruptionTarget" and entry["status"] == "True":
            return f"The agent's pod was put out ({entry.get('reason')}): {_cut(entry.get('message'))}"
    return ""


def statuses(pod: Obj) -> Iterator[Obj]:
    """The status of every container: a native sidecar stands among the init containers (D14)."""
    for key in ("initContainerStatuses", "containerStatuses", "ephemeralContainerStatuses"):
        yield from (pod.get("status") or {}).get(key) or []


def terminated(pod: Obj | None, name: str) -> Obj | None:
    """How a container ended, None while it has not."""
    for status in statuses(pod) if pod else ():
        if status["name"] == name:
            found: Obj | None = (status.get("state") or {}).get("terminated")
            return found
    return None


def _has_run(pod: Obj | None, name: str) -> bool:
    states = [status.get("state") or {} for status in statuses(pod) if status["name"] == name] if pod else []
    return any("running" in state or "terminated" in state for state in states)


def read_result(pod: Obj | None, agent: str) -> dict[str, str]:
    """What the agent's container left in its result file: JSON objects, one a line, a later one wins.

    Keys pullRequestUrl, sessionId, promptMode, error; whatever else is there, or has another form, is left out.
    """
    ended = terminated(pod, agent)
    found: dict[str, str] = {}
    for line in str((ended or {}).get("message") or "").splitlines():
        try:
            row = json.loads(line)
        except ValueError:
            continue
        if isinstance(row, dict):
            found |= {key: value for key, value in row.items() if isinstance(value, str)}
    usable = {
        "pullRequestUrl": _is_address(found.get("pullRequestUrl", "")),
        "sessionId": bool(re.fullmatch(r"[A-Za-z0-9._-]{1,128}", found.get("sessionId", ""))),
        "promptMode": found.get("promptMode", "") in ("direct", "indirect"),
        "error": bool(found.get("error", "").strip()),
    }
    kept = {key: found[key] for key, fits in usable.items() if fits}
    if "error" in kept:
        kept["error"] = _cut(_redacted(kept["error"]))
    return kept


def _is_address(text: str) -> bool:
    """An http or https address without credentials."""
    if _redacted(text) != text:
        return False
    try:
        parts = urlsplit(text)
    except ValueError:
        return False
    return (
        parts.scheme in ("http", "https")
        and bool(parts.hostname)
        and "@" not in parts.netloc
        and len(text) <= 2048
        and text.isprintable()
    )


def _cut(text: object) -> str:
    """A foreign text on one line, within the bound."""
    return " ".join(str(text or "no reason given").split())[:MAX_SENTENCE]

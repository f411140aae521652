# SPDX-License-Identifier: GPL-3.0-or-later
# SPDX-FileCopyrightText: 2026 The orchestrator.platform authors
#
# Private to this collection: names and behaviour may change in any release.
"""Faults: what each one is, which reaction is expected, and whether an observation shows it. Pure; _drill.py does them.

An observation is decided from what the API server and the fake Discord said, never from a log.
"""

from __future__ import annotations

import functools
import itertools
import types
import typing as t
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence

from ansible_collections.orchestrator.platform.plugins.module_utils._errors import PlatformError
from ansible_collections.orchestrator.platform.plugins.module_utils._fault_table import Row, differences
from ansible_collections.orchestrator.platform.plugins.module_utils._findings import (
    Check,
    Result,
    Subject,
    decided,
    skipped,
    subject,
    unreadable,
)
from ansible_collections.orchestrator.platform.plugins.module_utils._workloads import Json

WATCHER, BRIDGE, AGENT = "discord-watcher", "input-bridge", "agent"
KILLED = 137  # 128 and SIGKILL
NOTHING_STRUCK = ""


class Observation(t.NamedTuple):
    """One fault on one pod. `struck` is the container it is aimed at; `facts` are listed at the fault's judge.

    `seen` holds every state in which the watch saw another container than the struck one: a restart or a lost
    readiness that was over again by the end is in it.
    """

    fault: str
    subject: Subject
    struck: str
    before: Sequence[Row] = ()
    after: Sequence[Row] = ()
    seen: Sequence[Row] = ()
    facts: Mapping[str, Json] = types.MappingProxyType({})
    took_s: float = 0.0
    skipped: str = ""  # it does not apply
    unread: str = ""  # something is not permitted, so nothing can be said
    problem: str = ""  # the fault could not be made, or what it stands on did not stand before: no pass

    @property
    def restarts(self) -> int:
        """How often the struck container was restarted; the watcher where none is struck."""
        now, name = {row.place: row.restarts for row in self.after}, self.struck or WATCHER
        return sum(now.get(row.place, 0) - row.restarts for row in self.before if row.container == name)


Judge = Callable[[Observation], "str | None"]


class Fault(t.NamedTuple):
    """A fault, its page, its judge, and where it can be made."""

    check: Check
    judge: Judge
    struck: str  # container that may be restarted, "" where none may
    on_workload: bool  # also on a workload of the user's, since it needs no endpoint and no file of ours

    @property
    def name(self) -> str:
        """The part after the slash, also the name of its agent in the drill's namespace."""
        return self.check.id.partition("/")[2]


# -- what happened -------------------------------------------------------------------------------------------------


def _lines(seen: Observation, *, again: int | None = 0) -> str | None:
    """Every line arrived, in order and once. The lines of so many messages may be there once more; None: any.

    A message holds several lines, and the cursor moves once a message: what a kill repeats is a whole one.
    """
    wrote, messages = seen.facts.get("wrote") or [], seen.facts.get("arrived") or []
    arrived = [line for message in messages for line in message]
    lost = [line for line in wrote if line not in arrived]
    if lost:
        return f"{len(lost)} of {len(wrote)} lines never arrived: {', '.join(lost)}"
    firsts = [line for line in dict.fromkeys(arrived) if line in wrote]
    turned = f"the lines arrived in another order: {', '.join(firsts)}" if firsts != wrote else None
    return _first(None if again is None else _repeats(messages, again), turned)


def _repeats(messages: Sequence[Sequence[str]], allowed: int) -> str | None:
    """Lines that arrived again, by the message that brought them first."""
    counts = {line: count for line, count in Counter(itertools.chain(*messages)).items() if count > 1}
    repeated = {next(number for number, message in enumerate(messages) if line in message) for line in counts}
    if len(repeated) > allowed:
        which = ", ".join(counts)
        return f"{len(counts)} lines arrived again (messages repeated: {len(repeated)}, allowed: {allowed}): {which}"
    often = [line for line, count in counts.items() if count > allowed + 1]
    return f"{len(often)} lines arrived more than {allowed + 1} times: {', '.join(often)}" if often else None


def _restarted(seen: Observation) -> str | None:
    if seen.restarts >= 1:
        return None
    waited = seen.facts.get("waited_s", 0)
    return f"the watcher was not restarted within {waited} s: look at its liveness probe and its outage limit"


def _untouched(seen: Observation) -> str | None:
    return f"the watcher was restarted {seen.restarts} times, no time is expected" if seen.restarts else None


def _first(*problems: str | None) -> str | None:
    return next((text for text in problems if text is not None), None)


# -- judges: each names the facts it reads --------------------------------------------------------------------------


def _refused(seen: Observation) -> str | None:
    """wrote, arrived, waited_s."""
    return _first(_restarted(seen), _lines(seen))


def _timeout(seen: Observation) -> str | None:
    """wrote, arrived, waited_s. An answer that never came may have been a yes: a line may be there twice."""
    return _first(_restarted(seen), _lines(seen, again=None))


def _storm(seen: Observation) -> str | None:
    """wrote, arrived, limited (answers 429), allowed (what a client that obeys them can have got)."""
    limited, allowed = seen.facts.get("limited", 0), seen.facts.get("allowed", 0)
    slow = f"the watcher asked {limited} times, at most {allowed} times when it waits as it was asked to"
    none = "no request met the storm" if not limited else None
    return _first(_untouched(seen), none, slow if limited > allowed else None, _lines(seen))


def _gone(seen: Observation) -> str | None:
    """wrote, arrived, waited_s, asked (answers 404)."""
    asked, most = seen.facts.get("asked", 0), seen.restarts + 1
    text = f"the watcher asked a webhook that is gone {asked} times, once a start is enough ({most})"
    return _first(_restarted(seen), text if asked > most else None, _lines(seen))


def _killed(seen: Observation) -> str | None:
    """wrote, arrived, waited_s, exit_code. A kill between confirmation and cursor repeats one message at most."""
    code = seen.facts.get("exit_code")
    other = f"the watcher ended with exit code {code}, not by SIGKILL ({KILLED})" if code != KILLED else None
    return _first(_restarted(seen), other, _once(seen), _lines(seen, again=1))


def _oom(seen: Observation) -> str | None:
    """wrote, arrived, waited_s, exit_code, reason."""
    reason, code = seen.facts.get("reason"), seen.facts.get("exit_code")
    other = f"the watcher ended by {reason} with exit code {code}, not for its memory"
    killed = reason == "OOMKilled" or code == KILLED
    return _first(_restarted(seen), None if killed else other, _once(seen), _lines(seen, again=1))


def _once(seen: Observation) -> str | None:
    return f"the watcher was restarted {seen.restarts} times after one kill" if seen.restarts > 1 else None


def _read_on(seen: Observation) -> str | None:
    """wrote, arrived."""
    return _first(_untouched(seen), _lines(seen))


def _torn(seen: Observation) -> str | None:
    """wrote, arrived, early: lines that arrived before they were whole."""
    early = seen.facts.get("early") or []
    text = f"half a line arrived before the rest of it was written: {', '.join(early)}" if early else None
    return _first(_untouched(seen), text, _lines(seen))


def _rotated(seen: Observation) -> str | None:
    """wrote, arrived, early_restarts, old, new: lines by the webhook that they came through."""
    early, old, new = seen.facts.get("early_restarts", 0), seen.facts.get("old") or [], seen.facts.get("new") or []
    wrote = seen.facts.get("wrote") or []
    late = wrote[-1:]
    return _first(
        f"the change of the Secret alone restarted the watcher {early} times" if early else None,
        _restarted(seen),
        "after its restart the watcher still used the old webhook" if set(late) & set(old) else None,
        "nothing came through the new webhook" if not set(late) <= set(new) else None,
        _lines(seen),
    )


def _deleted(seen: Observation) -> str | None:
    """wrote, arrived, early_restarts, health (status, webhook) of the watcher that started without the Secret."""
    early, (status, webhook) = seen.facts.get("early_restarts", 0), seen.facts.get("health") or (None, None)
    idle = status == 200 and webhook == "missing"
    return _first(
        f"the deletion of the Secret alone restarted the watcher {early} times" if early else None,
        _restarted(seen),
        None if idle else f"without its Secret the watcher answers {status}, webhook {webhook}, not 200 and missing",
        _lines(seen),
    )


def _no_reader(seen: Observation) -> str | None:
    """refused, accepted (HTTP statuses without and with a reader), took (what the reader got), healthy."""
    refused, accepted = seen.facts.get("refused"), seen.facts.get("accepted")
    return _first(
        f"the bridge was restarted {seen.restarts} times" if seen.restarts else None,
        f"without a reader the bridge answered {refused}, not 409 at once" if refused != 409 else None,
        "without a reader /healthz of the bridge fails" if not seen.facts.get("healthy") else None,
        f"with a reader the bridge answered {accepted}, not 200" if accepted != 200 else None,
        "the reader did not get the line" if not seen.facts.get("took") else None,
    )


def _kubelet(seen: Observation) -> str | None:
    """node_ready, and wrote and arrived."""
    lost = None if seen.facts.get("node_ready") else "the node was not Ready again in time"
    return _first(lost, _lines(seen))


# -- the catalogue -------------------------------------------------------------------------------------------------


def _asked_elsewhere(_view: object, _namespace: str) -> Iterable[Result]:
    return ()


def _given(rows: list[Result], _view: object, _namespace: str) -> Iterable[Result]:
    return rows


def _fault(name: str, judge: Judge, struck: str, *texts: str, on_workload: bool = False) -> Fault:
    title, protects, how, mend = texts
    check = Check(f"faults/{name}", title, "error", "drill", (), protects, how, mend, _asked_elsewhere)
    return Fault(check, judge, struck, on_workload)


_PROBES = "Look at livenessProbe and webhook.outageLimitSeconds of the watcher, and at its /healthz."
_STATE = "See that the watcher keeps its state in a volume (discord-state) and that its image is ours."
_READS = "Run the watcher as the agent's user, with the agent's transcript volume; update its image."

FAULTS: tuple[Fault, ...] = (
    _fault(
        "endpoint-refused", _refused, WATCHER,
        "With the webhook's endpoint gone the watcher alone is restarted, and no line is lost",
        "an outage of Discord that stops the agent, or after which lines are missing (DM-167)",
        "The endpoint's pod is taken away. The watcher's restartCount grows by its liveness probe; once the "
        "endpoint is back, every line written meanwhile arrives exactly once, in order.",
        _PROBES,
    ),
    _fault(
        "endpoint-timeout", _timeout, WATCHER,
        "With an endpoint that does not answer the watcher alone is restarted, and no line is lost",
        "a connection that hangs and holds the watcher for ever",
        "The fake Discord answers after a minute only. The watcher's restartCount grows; once it answers again, "
        "every line is there. Here a line may be there twice, since the answer that never came may have been a "
        "yes.",
        _PROBES,
    ),
    _fault(
        "rate-limit-storm", _storm, NOTHING_STRUCK,
        "A storm of answers 429 restarts nothing, and the watcher waits as it is asked to",
        "a ban by Discord for asking on, and restarts that would break the wait",
        "For longer than the outage limit every answer is 429 with retry_after. Nothing is restarted, the number "
        "of requests is no more than the waits allow, and afterwards every line arrives exactly once.",
        "Update the watcher's image; look at webhook.rateLimit.",
    ),
    _fault(
        "webhook-gone", _gone, WATCHER,
        "A webhook that is gone is asked once a start, and the watcher is restarted to read a new one",
        "a watcher that asks a deleted webhook for ever, for which Discord bans the address",
        "Every answer is 404. The fake Discord counts one request for each start of the watcher; after the outage"
        " limit it is restarted; once the webhook answers again every line arrives exactly once.",
        _PROBES,
    ),
    _fault(
        "watcher-killed", _killed, WATCHER,
        "A killed watcher comes back by itself and goes on where it was",
        "lines lost or shown again after a crash",
        "The watcher is killed by SIGKILL from within its container. It ends with exit code 137 and is started "
        "once; no line is missing, and only the lines of one message may be there twice.",
        _STATE, on_workload=True,
    ),
    _fault(
        "watcher-oom", _oom, WATCHER,
        "A watcher that runs out of memory is killed alone, comes back and goes on where it was",
        "a memory limit whose breach reaches the agent",
        "Memory is taken in the watcher's container until its limit kills it (OOMKilled). It is started once; no "
        "line is missing, and only the lines of one message may be there twice.",
        _STATE, on_workload=True,
    ),
    _fault(
        "transcript-truncated", _read_on, NOTHING_STRUCK,
        "A transcript that is cut off is read on from its new begin",
        "a watcher that waits behind the end of a file for ever, or shows everything again",
        "The agent's file is truncated to nothing and written anew. Nothing is restarted; old lines are not shown"
        " again and new ones arrive exactly once.",
        _READS,
    ),
    _fault(
        "transcript-torn", _torn, NOTHING_STRUCK,
        "A line that is written in pieces arrives once it is whole, and a broken one is passed over",
        "half a line shown, or a broken line that stops all that follow",
        "Half a line is written, later its rest, then a line that is no JSON and a good one. Nothing of the half "
        "arrives; the whole lines arrive exactly once; nothing is restarted.",
        _READS,
    ),
    _fault(
        "transcript-replaced", _read_on, NOTHING_STRUCK,
        "A transcript that is replaced by another file of its name is read on",
        "a watcher that follows a deleted file, or shows everything again",
        "A new file with the old lines and one more takes the place of the old one. Nothing is restarted; only "
        "the new line arrives.",
        _READS,
    ),
    _fault(
        "secret-rotated", _rotated, WATCHER,
        "A changed webhook Secret restarts nothing, and the watcher's next start uses it",
        "a rotation that stops the agent or that never takes effect",
        "The Secret gets another webhook. Nothing is restarted by that and lines arrive through the old one; "
        "after the watcher alone is stopped once, they arrive through the new one.",
        "See that DISCORD_WEBHOOK_URL comes from the Secret by env.valueFrom, with optional: true.",
    ),
    _fault(
        "secret-deleted", _deleted, WATCHER,
        "Without its Secret the watcher idles, healthy, and keeps no agent from running",
        "a deleted Secret that stops the agent with the next restart",
        "The Secret is deleted: nothing is restarted. The watcher is stopped: it starts without, answers 200 with"
        " webhook missing. With the Secret back and after one more start all lines arrive exactly once.",
        "Give the reference of the webhook Secret optional: true; the module sidecar and the chart do.",
    ),
    _fault(
        "bridge-reader-absent", _no_reader, BRIDGE,
        "With nobody reading its FIFO the bridge refuses input at once and stays up",
        "input that hangs or is lost without a word, and restarts for an agent that does not read",
        "Text posted to the bridge is answered 409 and its /healthz 200, nothing is restarted; once a reader is "
        "there it is answered 200 and the reader gets the line.",
        "Update the bridge's image; see that agent and bridge share the FIFO's volume.",
    ),
    _fault(
        "kubelet-restart", _kubelet, NOTHING_STRUCK,
        "A restart of the kubelet touches no container, and lines go on arriving",
        "an update of the node agent that restarts agents",
        "On request only: the kubelet of the node container that the caller names is restarted. Once the node "
        "renews its lease and is Ready, every container is the one it was, and a line arrives.",
        "Look at the events of the pods and at the kubelet's log on the node.",
        on_workload=True,
    ),
)  # fmt: skip
OTHERS = Check(
    "faults/others-untouched",
    "A fault touches no other container: the same restartCount, containerID, startedAt and readiness",
    "error",
    "drill",
    (),
    "monitoring that harms the agent it watches (DM-167, D8)",
    "Before and after each fault, and in every state of the pod that a watch saw between, restartCount, containerID, "
    "startedAt and ready of each container of the pod but the struck one are compared. The module returns the table.",
    "Look at the pod's events and at the other container's probes; no probe of it may depend on the watcher.",
    _asked_elsewhere,
)
CHECKS: tuple[Check, ...] = (*(item.check for item in FAULTS), OTHERS)


def choose(ids: Iterable[str], *, on_workload: bool) -> tuple[Fault, ...]:
    """The faults of these ids, with or without their family; all that fit when there are none. Raises PlatformError."""
    wanted = {name.removeprefix("faults/") for name in ids}
    unknown = wanted - {item.name for item in FAULTS}
    if unknown:
        known = ", ".join(item.name for item in FAULTS)
        raise PlatformError(f"faults: there is no fault {', '.join(sorted(unknown))}: choose from {known}.")
    misfit = [item.name for item in FAULTS if item.name in wanted and on_workload and not item.on_workload]
    if misfit:
        able = ", ".join(item.name for item in FAULTS if item.on_workload)
        raise PlatformError(
            f"faults: {', '.join(misfit)} can be made in a namespace of its own only, not on a workload of yours: "
            f"leave out targets, or choose from {able}."
        )
    return tuple(
        item for item in FAULTS if (item.name in wanted or not wanted) and (item.on_workload or not on_workload)
    )


# -- judging -------------------------------------------------------------------------------------------------------


def reaction(seen: Observation, fault: Fault) -> Result:
    """What is to be said of the fault itself."""
    if seen.skipped:
        return skipped(seen.subject, seen.skipped)
    if seen.unread:
        return unreadable(seen.subject, seen.unread)
    return decided(seen.subject, seen.problem or fault.judge(seen), evidence(seen))


def evidence(seen: Observation) -> str:
    """What a pass rests on."""
    facts = seen.facts
    parts = [f"{seen.struck} restarts: {seen.restarts}"] if seen.struck else ["no restart"]
    if "waited_s" in facts:
        parts.append(f"back after {facts['waited_s']} s")
    if "wrote" in facts:
        parts.append(f"{sum(map(len, facts['arrived']))} arrivals of {len(facts['wrote'])} lines")
    return "; ".join(parts)


def untouched(seen: Observation) -> Result:
    """Every other container is the one it was, now and in every state between."""
    others = [row for row in seen.before if row.container != seen.struck]
    now = {row.place: row for row in seen.after}
    problems = []
    for row in others:
        changed = differences(row, now.get(row.place))
        between = [name for item in seen.seen if item.place == row.place for name in differences(row, item)]
        changed += [f"{name} for a while" for name in dict.fromkeys(between) if name not in changed]
        if changed:
            problems.append(f"{row.pod}/{row.container}: {', '.join(changed)}")
    who = subject("Pod", seen.subject["namespace"], others[0].pod if others else seen.subject["name"])
    if not others:
        return skipped(who, "the pod has no other container")
    text = f"changed under {seen.fault}: {'; '.join(problems)}" if problems else None
    return decided(who, text, f"{len(others)} containers unchanged under {seen.fault}")


def as_checks(observations: Iterable[Observation], faults: Iterable[Fault]) -> tuple[Check, ...]:
    """The checks with what was observed, for run_checks."""
    known = {item.check.id: item for item in faults}
    found: dict[str, list[Result]] = {}
    for seen in observations:
        found.setdefault(seen.fault, []).append(reaction(seen, known[seen.fault]))
        if seen.before:
            found.setdefault(OTHERS.id, []).append(untouched(seen))
    return tuple(
        item._replace(scope="cluster", decide=functools.partial(_given, found[item.id]))
        for item in CHECKS
        if item.id in found
    )

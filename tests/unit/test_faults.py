# SPDX-License-Identifier: GPL-3.0-or-later
# SPDX-FileCopyrightText: 2026 The orchestrator.platform authors
"""Faults are judged from observations: for each id one that passes, and ones in which exactly it fails (DM-167, D8, D13)."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from pathlib import Path

import pytest
import yaml
from ansible_collections.orchestrator.platform.plugins.module_utils._catalogue import CHECKS as STATIC
from ansible_collections.orchestrator.platform.plugins.module_utils._catalogue import manual
from ansible_collections.orchestrator.platform.plugins.module_utils._drill import BrokenDrillError
from ansible_collections.orchestrator.platform.plugins.module_utils._drill_faults import ACTIONS, refuse_unlimited
from ansible_collections.orchestrator.platform.plugins.module_utils._drill_plan import ENDPOINTS
from ansible_collections.orchestrator.platform.plugins.module_utils._errors import PlatformError
from ansible_collections.orchestrator.platform.plugins.module_utils._expectation import Expectation
from ansible_collections.orchestrator.platform.plugins.module_utils._fault_scripts import (
    other_webhook,
    row,
    take_memory,
)
from ansible_collections.orchestrator.platform.plugins.module_utils._fault_table import (
    FIELDS,
    Row,
    as_text,
    last_end,
    rows_of,
    table,
)
from ansible_collections.orchestrator.platform.plugins.module_utils._faults import (
    CHECKS,
    FAULTS,
    NOTHING_STRUCK,
    OTHERS,
    Observation,
    as_checks,
    choose,
    reaction,
)
from ansible_collections.orchestrator.platform.plugins.module_utils._findings import run_checks, subject
from ansible_collections.orchestrator.platform.plugins.module_utils._snapshot import Snapshot, View
from hypothesis import given
from hypothesis import strategies as st

ROOT = Path(__file__).resolve().parents[2]
BY_NAME = {fault.name: fault for fault in FAULTS}
EXPECT = Expectation("a", ("a",), "", "", "", "", "", "")
LINES = ["1.", "2.", "3."]
ARRIVED = {"wrote": LINES, "arrived": [LINES[:1], LINES[1:]]}
BACK = {**ARRIVED, "waited_s": 5.0}


def container(name: str, *, restarts: int = 0, **more) -> Row:
    fields = {"container_id": f"c-{name}-{restarts}", "started_at": f"t{restarts}", "ready": True}
    return Row(pod="pod", uid="u", container=name, restarts=restarts, **{**fields, **more})


def observed(name: str, facts: dict, *, restarts: int = 0) -> Observation:
    """A pod with agent, watcher and bridge, of which the struck container was restarted so often."""
    fault = BY_NAME[name]
    names = ["discord-watcher", "input-bridge", "agent"]
    struck = fault.struck or "discord-watcher"
    before = [container(item) for item in names]
    after = [container(item, restarts=restarts if item == struck else 0) for item in names]
    where = subject("Pod", "a", "pod", struck)
    return Observation(fault.check.id, where, fault.struck, before, after, tuple(after), facts)


# fault -> (facts, restarts) in which it passes
GOOD: dict[str, tuple[dict, int]] = {
    "endpoint-refused": (BACK, 1),
    "endpoint-timeout": ({**BACK, "arrived": [LINES, LINES[1:], LINES[1:]]}, 1),
    "rate-limit-storm": ({**ARRIVED, "limited": 8, "allowed": 12}, 0),
    "webhook-gone": ({**BACK, "asked": 2}, 2),
    "watcher-killed": ({**BACK, "exit_code": 137, "reason": "Error", "arrived": [LINES[:2], LINES[:1], LINES[1:]]}, 1),
    "watcher-oom": ({**BACK, "exit_code": 137, "reason": "OOMKilled"}, 1),
    "transcript-truncated": (ARRIVED, 0),
    "transcript-torn": ({**ARRIVED, "early": []}, 0),
    "transcript-replaced": (ARRIVED, 0),
    "secret-rotated": ({**BACK, "early_restarts": 0, "old": ["1.", "2."], "new": ["3."]}, 1),
    "secret-deleted": ({**BACK, "early_restarts": 0, "health": [200, "missing"]}, 2),
    "bridge-reader-absent": ({"refused": 409, "accepted": 200, "took": True, "healthy": True}, 0),
    "kubelet-restart": ({**ARRIVED, "node_ready": True}, 0),
}
LOST = {"arrived": [["1."], ["3."]]}
TWICE = {"arrived": [["1."], ["2."], ["2.", "3."], ["3."]]}
THRICE = {"arrived": [LINES, LINES, LINES]}
TURNED = {"arrived": [["2.", "1."], ["3."]]}
# fault -> what differs from the good case, restarts, what the evidence says
BAD: list[tuple[str, dict, int, str]] = [
    ("endpoint-refused", {}, 0, "was not restarted within 5.0 s"),
    ("endpoint-refused", LOST, 1, "1 of 3 lines never arrived: 2."),
    ("endpoint-refused", TWICE, 1, "2 lines arrived again (messages repeated: 2, allowed: 0): 2., 3."),
    ("endpoint-timeout", {}, 0, "was not restarted"),
    ("endpoint-timeout", LOST, 1, "never arrived"),
    ("rate-limit-storm", {}, 1, "restarted 1 times"),
    ("rate-limit-storm", {"limited": 13}, 0, "asked 13 times, at most 12"),
    ("rate-limit-storm", {"limited": 0}, 0, "no request met the storm"),
    ("webhook-gone", {}, 0, "was not restarted"),
    ("webhook-gone", {"asked": 40}, 2, "asked a webhook that is gone 40 times"),
    ("watcher-killed", {}, 0, "was not restarted"),
    ("watcher-killed", {}, 3, "restarted 3 times after one kill"),
    ("watcher-killed", {"exit_code": 0}, 1, "exit code 0"),
    ("watcher-killed", TWICE, 1, "2 lines arrived again (messages repeated: 2, allowed: 1)"),
    ("watcher-killed", THRICE, 1, "3 lines arrived more than 2 times: 1., 2., 3."),
    ("watcher-oom", {"exit_code": 1, "reason": "Error"}, 1, "not for its memory"),
    ("watcher-oom", LOST, 1, "never arrived"),
    ("transcript-truncated", LOST, 0, "never arrived"),
    ("transcript-truncated", TWICE, 0, "arrived again (messages repeated: 2, allowed: 0)"),
    ("transcript-torn", {"early": ["2."]}, 0, "half a line arrived"),
    ("transcript-torn", LOST, 0, "never arrived"),
    ("transcript-replaced", TWICE, 0, "arrived again (messages repeated: 2, allowed: 0)"),
    ("transcript-replaced", TURNED, 0, "in another order"),
    ("transcript-replaced", {}, 1, "restarted 1 times"),
    ("secret-rotated", {"early_restarts": 1}, 2, "change of the Secret alone"),
    ("secret-rotated", {"old": LINES, "new": []}, 1, "still used the old webhook"),
    ("secret-rotated", {"new": []}, 1, "nothing came through the new webhook"),
    ("secret-deleted", {"early_restarts": 1}, 2, "deletion of the Secret alone"),
    ("secret-deleted", {"health": [503, "missing"]}, 2, "answers 503"),
    ("secret-deleted", {}, 0, "was not restarted"),
    ("bridge-reader-absent", {}, 1, "bridge was restarted"),
    ("bridge-reader-absent", {"refused": 200}, 0, "answered 200, not 409"),
    ("bridge-reader-absent", {"healthy": False}, 0, "/healthz of the bridge fails"),
    ("bridge-reader-absent", {"accepted": 409}, 0, "with a reader the bridge answered 409"),
    ("bridge-reader-absent", {"took": False}, 0, "did not get the line"),
    ("kubelet-restart", {"node_ready": False}, 0, "not Ready again"),
    ("kubelet-restart", LOST, 0, "never arrived"),
]


def findings(seen: Observation) -> dict[str, tuple[str, str]]:
    said, _complete = run_checks(as_checks([seen], FAULTS), View(Snapshot(), EXPECT))
    return {item["id"]: (item["verdict"], item["evidence"]) for item in said}


@pytest.mark.parametrize("name", BY_NAME)
def test_the_expected_reaction_passes(name):
    """DM-167: the fault passes, and so does the table of the others."""
    facts, restarts = GOOD[name]
    assert {verdict for verdict, _why in findings(observed(name, facts, restarts=restarts)).values()} == {"pass"}


@pytest.mark.parametrize(("name", "facts", "restarts", "text"), BAD)
def test_another_reaction_fails(name, facts, restarts, text):
    """Exactly that check fails, and says why."""
    seen = observed(name, {**GOOD[name][0], **facts}, restarts=restarts)
    verdict, why = findings(seen)[f"faults/{name}"]
    assert verdict == "fail"
    assert text in why


def test_every_fault_has_a_page_a_negative_case_and_an_action():
    assert {name for name, *_rest in BAD} == set(BY_NAME) == set(GOOD) == set(ACTIONS)
    for check in CHECKS:
        assert f"\n## {check.id}\n" in manual()
        assert re.fullmatch(r"faults/[a-z]+(-[a-z]+)*", check.id)
        assert check.mend.endswith(".")
    assert not {check.id for check in CHECKS} & {check.id for check in STATIC}


@pytest.mark.parametrize("field", FIELDS)
def test_another_container_that_changed_fails(field):
    """D8: restartCount, containerID, startedAt and readiness of every other container."""
    seen = observed("endpoint-refused", BACK, restarts=1)
    other = {"restarts": 1, "container_id": "x", "started_at": "x", "ready": False}[field]
    after = [item._replace(**{field: other}) if item.container == "agent" else item for item in seen.after]
    verdict, why = findings(seen._replace(after=after))[OTHERS.id]
    assert (verdict, why) == ("fail", f"changed under faults/endpoint-refused: pod/agent: {field}")


def test_a_readiness_lost_for_a_while_fails():
    """What was over again by the end was seen by the watch."""
    seen = observed("endpoint-refused", BACK, restarts=1)
    between = [*seen.seen, container("agent", ready=False)]
    verdict, why = findings(seen._replace(seen=between))[OTHERS.id]
    assert verdict == "fail"
    assert "agent: ready for a while" in why


def test_a_pod_that_was_replaced_fails():
    seen = observed("watcher-killed", *GOOD["watcher-killed"][:1], restarts=1)
    assert findings(seen._replace(after=[]))[OTHERS.id][0] == "fail"
    others = [item._replace(uid="another") for item in seen.after]
    assert "agent: pod" in findings(seen._replace(after=others))[OTHERS.id][1]


def test_where_nothing_is_struck_the_watcher_is_one_of_the_others():
    seen = observed("rate-limit-storm", GOOD["rate-limit-storm"][0], restarts=1)
    assert seen.struck == NOTHING_STRUCK
    assert "discord-watcher" in findings(seen)[OTHERS.id][1]


def test_what_could_not_be_made_is_no_pass():
    """Neither a broken drill nor a missing right may look like success."""
    seen = observed("watcher-killed", {}, restarts=0)
    assert findings(seen._replace(problem="no line arrived before the fault"))["faults/watcher-killed"][0] == "fail"
    said, complete = run_checks(as_checks([seen._replace(unread="403")], FAULTS), View(Snapshot(), EXPECT))
    assert (said[0]["verdict"], complete) == ("skip", False)
    assert reaction(seen._replace(skipped="not asked for"), BY_NAME["watcher-killed"]).ok is None


def test_selection():
    assert {item.name for item in choose([], on_workload=False)} == set(BY_NAME)
    assert [item.name for item in choose(["faults/watcher-oom"], on_workload=True)] == ["watcher-oom"]
    assert {item.name for item in choose([], on_workload=True)} == {"watcher-killed", "watcher-oom", "kubelet-restart"}
    with pytest.raises(PlatformError, match="there is no fault earthquake: choose from endpoint-refused"):
        choose(["earthquake"], on_workload=False)
    with pytest.raises(PlatformError, match="endpoint-refused can be made in a namespace of its own only"):
        choose(["endpoint-refused"], on_workload=True)


POD = {
    "metadata": {"name": "pod", "uid": "u"},
    "status": {
        "initContainerStatuses": [
            {
                "name": "discord-watcher",
                "restartCount": 2,
                "ready": True,
                "containerID": "c2",
                "state": {"running": {"startedAt": "t2"}},
                "lastState": {"terminated": {"reason": "OOMKilled", "exitCode": 137}},
            }
        ],
        "containerStatuses": [{"name": "agent", "restartCount": 0, "ready": False, "state": {"waiting": {}}}],
        "ephemeralContainerStatuses": [{"name": "debug", "restartCount": 0, "ready": False}],
    },
}


def test_rows_walk_all_three_lists():
    """D14: native sidecars and ephemeral containers too."""
    assert [item.container for item in rows_of(POD)] == ["discord-watcher", "agent", "debug"]
    assert rows_of(POD)[0] == Row("pod", "u", "discord-watcher", 2, "c2", "t2", ready=True)
    assert last_end(POD, "discord-watcher") == ("OOMKilled", 137)
    assert last_end(POD, "agent") == ("", None)


def test_table_for_people():
    lines = table("faults/watcher-killed", [container("agent")], [], "discord-watcher")
    assert lines[0]["changed"] == ["pod"]
    assert "0 -> -" in as_text(lines)[1]


@given(st.lists(st.lists(st.sampled_from(LINES), min_size=1, max_size=4), max_size=4))
def test_only_the_lines_once_and_in_order_pass(messages):
    """Property: for a fault without restart nothing but the very list of lines passes, in whatever messages."""
    seen = observed("transcript-truncated", {"wrote": LINES, "arrived": messages})
    assert (reaction(seen, BY_NAME["transcript-truncated"]).ok is True) == (
        [line for item in messages for line in item] == LINES
    )


@given(st.lists(st.integers(1, 2), min_size=1, max_size=3), st.data())
def test_after_a_kill_the_lines_of_one_message_may_be_there_twice(sizes, data):
    """Property: whichever message came last before the kill, and however its lines are spread over new ones."""
    lines = [f"{number}." for number in range(sum(sizes))]
    ends = [sum(sizes[: number + 1]) for number in range(len(sizes))]
    messages = [lines[end - size : end] for end, size in zip(ends, sizes, strict=True)]
    killed = data.draw(st.integers(0, len(sizes) - 1))
    cut = data.draw(st.integers(0, sizes[killed]))
    again = [part for part in (messages[killed][:cut], messages[killed][cut:]) if part]
    facts = {**GOOD["watcher-killed"][0], "wrote": lines}
    arrived = [*messages[: killed + 1], *again, *messages[killed + 1 :]]
    seen = observed("watcher-killed", {**facts, "arrived": arrived}, restarts=1)
    assert reaction(seen, BY_NAME["watcher-killed"]).ok is True
    seen = observed("watcher-killed", {**facts, "arrived": [*arrived, messages[killed]]}, restarts=1)
    assert reaction(seen, BY_NAME["watcher-killed"]).ok is False


def test_the_same_marker_is_the_same_row():
    """A transcript written anew has the uuids of the old one."""
    first, second = yaml.safe_load(row("m1", at="a")), yaml.safe_load(row("m1", at="b"))
    assert first["uuid"] == second["uuid"]
    assert "Complete: m1" in first["message"]["content"][0]["text"]


def test_the_other_webhook_differs_in_its_id_only():
    url = "aHR0cDovL2gvYXBpL3dlYmhvb2tzLzIwMDAwMDEwMS90"  # http://h/api/webhooks/200000101/t
    assert other_webhook(url) == "http://h/api/webhooks/400000101/t"


def test_the_role_makes_what_the_module_looks_for():
    """Names of agents and fake Discords stand in two places."""
    spec = yaml.safe_load((ROOT / "roles" / "verify" / "vars" / "main.yml").read_text())
    assert spec["__verify_faults_endpoints"] == ENDPOINTS
    for name in BY_NAME:
        assert f"'{name}'" in spec["__verify_faults_all"]


@pytest.mark.parametrize(
    ("limit", "refused"), [("64Mi", False), ("256Mi", False), (None, True), ("257Mi", True), ("2Gi", True)]
)
def test_memory_is_taken_only_up_to_a_small_limit(limit, refused):
    """The watcher of a user's workload may have no limit: then the drill would take the node's memory (D8)."""
    limits = {"memory": limit} if limit else {}
    pod = {"spec": {"initContainers": [{"name": "discord-watcher", "resources": {"limits": limits}}]}}
    if refused:
        with pytest.raises(BrokenDrillError, match="give it one of at most 256Mi"):
            refuse_unlimited(pod)
    else:
        refuse_unlimited(pod)


# Runs the program for taking memory, up to so many pieces. It is given a file instead of process 1's score.
TAKING = """
import json, mmap, os, resource, sys
program, score, pieces = sys.argv[1], sys.argv[2], int(sys.argv[3])
parts = []
class Enough(Exception):
    pass
class Part(mmap.mmap):
    def __new__(cls, *size):
        if len(parts) == pieces:
            raise Enough
        parts.append(super().__new__(cls, *size))
        return parts[-1]
def own():
    fields = dict(line.split(":") for line in open("/proc/self/status"))
    return int(fields["VmRSS"].split()[0]) * 1024
def refuse(*_):
    raise AssertionError("one process is enough")
os.fork = refuse
before, mmap.mmap = own(), Part
assert "/proc/1/oom_score_adj" in program
try:
    exec(program.replace("/proc/1/oom_score_adj", score))
except Enough:
    pass
spent = resource.getrusage(resource.RUSAGE_SELF)
grown = own() - before
whole = all(part[:] == b"x" * len(part) for part in parts)
print(json.dumps([grown, spent.ru_utime + spent.ru_stime, sum(map(len, parts)), whole]))
"""


def test_memory_is_taken_by_one_small_process(tmp_path):
    """Where the kernel kills one process only, it takes the largest: that has to be the watcher (of some 19 MiB).

    And with little CPU: a tenth of a core is all that the watcher's container has, and the kill waits for it.
    """
    score = tmp_path / "score"
    argv = [sys.executable, "-I", "-c", TAKING, take_memory()[-1], str(score), "64"]
    found = subprocess.run(argv, check=True, capture_output=True, text=True, timeout=60).stdout
    grown, cpu_s, taken, whole = json.loads(found)
    assert score.read_text() == "1000"
    assert (taken, whole) == (64 << 20, True), "what was taken is still held"
    assert grown < 6 << 20
    assert cpu_s < 2.0  # 0.1 s on an idle machine; it is the watcher's limit that is taken here

# SPDX-License-Identifier: GPL-3.0-or-later
# SPDX-FileCopyrightText: 2026 The orchestrator.platform authors
"""D1: what we put into a workload is ours, goes without a trace, and comes with one rollout. On every kind and shape."""

from __future__ import annotations

import itertools
import json
import re
from typing import NamedTuple

import pytest

from real_cluster import Json, containers, named, succeeded
from workload_shapes import essence, refused_shapes, shapes, template_spec, trace

testinfra_hosts = ["local://"]

INJECTED = [(shape["kind"], shape["metadata"]["name"]) for shape in shapes("none")]
REFUSED = [(shape["kind"], shape["metadata"]["name"]) for shape in refused_shapes("none")]
IDS = ["/".join(key) for key in INJECTED]
ROLLING = [key for key in INJECTED if key[0] != "CronJob"]
KINDS = sorted({kind for kind, _name in [*INJECTED, *REFUSED]})


class Story(NamedTuple):
    """The objects before and after each run, by (kind, name), and the runs."""

    before: dict[tuple[str, str], Json]
    injected: dict[tuple[str, str], Json]
    again: dict[tuple[str, str], Json]
    updated: dict[tuple[str, str], Json]
    after: dict[tuple[str, str], Json]
    runs: dict[str, object]
    space: str


def targets() -> list[Json]:
    """The shape with a bridge is a target of its own, with settings of its own."""
    return [
        {"names": [name for kind, name in [*INJECTED, *REFUSED] if name != "with-bridge"]},
        {"kinds": ["Deployment"], "names": ["with-bridge"], "bridge": True},
    ]


@pytest.fixture(scope="module")
def story(cluster, role, ns, image) -> Story:
    """Inject, again, update, remove: five looks at everything, four runs of the role."""
    space = ns("shapes")
    documents = [*shapes(image), *refused_shapes(image)]
    # Three kinds of owners: client-side apply, server-side apply, plain creation.
    for start, args in enumerate((["apply"], ["apply", "--server-side"], ["create"])):
        items = json.dumps({"apiVersion": "v1", "kind": "List", "items": documents[start::3]})
        cluster.kubectl(*args, "--namespace", space, "--filename=-", stdin=items)
    for kind, name in INJECTED:
        if kind in ("Deployment", "StatefulSet", "DaemonSet"):
            cluster.kubectl("rollout", "status", "--namespace", space, f"{kind}/{name}", "--timeout=60s")

    def look() -> dict[tuple[str, str], Json]:
        return {
            (item["kind"], item["metadata"]["name"]): item
            for item in cluster.objects(",".join(KINDS), space, managers=True)
        }

    settings = {"sidecar_namespaces": [space], "sidecar_kinds": KINDS, "sidecar_targets": targets()}
    looks, runs = [look()], {}
    for name, entry, more in (
        ("present", "main", {}),
        ("again", "main", {}),
        ("updated", "main", {"sidecar_overrides": {"log_level": "debug"}, "sidecar_wait_seconds": 0}),
        ("removed", "remove", {}),
    ):
        runs[name] = role(entry, **settings, **more)
        looks.append(look())
    return Story(*looks, runs, space)


@pytest.mark.parametrize(("kind", "name"), INJECTED, ids=IDS)
def test_the_sidecar_came_and_the_row_says_so(story, kind, name):
    """The watcher is a native sidecar, after every init container of the owner."""
    assert story.runs["present"].code(name, kind) == ("injected", "injected"), story.runs["present"].output[-3000:]
    spec = template_spec(story.injected[kind, name])
    ours = [c["name"] for c in spec["initContainers"]][-2:]
    assert ours[-1] == ("input-bridge" if name == "with-bridge" else "discord-watcher")
    assert ("input-bridge" in [c["name"] for c in containers(spec)]) == (name == "with-bridge")
    assert named(spec, "discord-watcher")["restartPolicy"] == "Always"


@pytest.mark.parametrize(("kind", "name"), INJECTED, ids=IDS)
def test_the_owners_containers_were_not_touched(story, kind, name):
    """Their order and content stand; the agent has at most one mount more, of a volume that is ours."""
    before = containers(template_spec(story.before[kind, name]))
    after = {c["name"]: c for c in containers(template_spec(story.injected[kind, name]))}
    assert [name for name in after if name not in ("discord-watcher", "input-bridge")] == [c["name"] for c in before]
    for old in before:
        new = dict(after[old["name"]])
        new["volumeMounts"] = [
            m for m in new.get("volumeMounts", []) if not m["name"].startswith(("discord-", "agent-input"))
        ]
        assert new == {**old, "volumeMounts": old.get("volumeMounts", [])}


@pytest.mark.parametrize(("kind", "name"), INJECTED, ids=IDS)
def test_watcher_and_agent_see_the_same_files(story, kind, name):
    """The agent's own volume where it mounts the path or a parent of it, else ours; read-only for the watcher."""
    spec = template_spec(story.injected[kind, name])
    (seen,) = [m for m in named(spec, "discord-watcher")["volumeMounts"] if m["name"] != "discord-state"]
    agent = named(spec, "agent")["volumeMounts"]
    path = "/home/agent/.claude"
    parent = ("home", "/home/agent", "")
    expected = {"mounts-the-path": ("work", path, "claude"), "mounts-its-parent": parent, "home-of-one-user": parent}
    assert (seen["name"], seen["mountPath"], seen.get("subPath", "")) == expected.get(
        name, ("discord-transcripts", path, "")
    )
    assert seen["readOnly"] is True
    assert seen["name"] in [m["name"] for m in agent]


@pytest.mark.parametrize(("kind", "name"), ROLLING, ids=map("/".join, ROLLING))
def test_each_change_is_one_rollout(story, kind, name):
    """A template of a new generation is one rollout: one for the sidecar, none again, one for its new setting."""
    looks = (story.before, story.injected, story.again, story.updated)
    counted = [look[kind, name]["metadata"]["generation"] for look in looks]
    assert [b - a for a, b in itertools.pairwise(counted)] == [1, 0, 1]


def test_a_second_run_writes_nothing(story):
    """D5: no object, not even of those that were refused, has seen a write."""
    moved = [key for key, obj in story.again.items() if trace(obj) != trace(story.injected[key])]
    assert moved == []
    assert {row["outcome"] for row in story.runs["again"].rows} == {"unchanged", "skipped"}
    assert succeeded(story.runs["again"].output)[2] == "0"


@pytest.mark.parametrize(("kind", "name"), INJECTED, ids=IDS)
def test_a_new_setting_changes_that_setting_only(story, kind, name):
    """The update shows in the watcher's environment and in the template's hash or not at all elsewhere."""
    assert story.runs["updated"].code(name, kind) == ("updated", "updated")
    old, new = (template_spec(look[kind, name]) for look in (story.injected, story.updated))
    levels = [
        next(e["value"] for e in named(spec, "discord-watcher")["env"] if e["name"] == "LOG_LEVEL")
        for spec in (old, new)
    ]
    assert levels == ["info", "debug"]
    for spec in (old, new):
        spec["initContainers"] = [
            c for c in spec["initContainers"] if c["name"] not in ("discord-watcher", "input-bridge")
        ]
    assert old == new


@pytest.mark.parametrize(("kind", "name"), INJECTED, ids=IDS)
def test_after_removal_it_is_as_before(story, kind, name):
    """Annotations and managers included; the spec byte for byte."""
    assert story.runs["removed"].code(name, kind) == ("removed", "removed"), story.runs["removed"].output[-3000:]
    assert essence(story.after[kind, name]) == essence(story.before[kind, name])


@pytest.mark.parametrize(
    ("kind", "name", "code"),
    [
        ("Deployment", "host-network", "host_network"),
        ("ReplicaSet", "bare-set", "unsupported_kind"),
        ("Pod", "bare-pod", "unsupported_kind"),
    ],
)
def test_what_is_refused_is_answered_and_left_alone(story, kind, name, code):
    """A code and a sentence, and the very object from before."""
    row = story.runs["present"].row(name, kind)
    assert (row["outcome"], row["code"]) == ("skipped", code), row
    assert len(row["message"]) > 20
    assert trace(story.after[kind, name]) == trace(story.before[kind, name])


def test_what_runs_ran_with_the_sidecar(story):
    """The run waited: both ordered kinds and the DaemonSet were complete with the new template when it ended."""
    for key in [
        ("Deployment", "plain"),
        ("Deployment", "many-containers"),
        ("StatefulSet", "ordered"),
        ("DaemonSet", "everywhere"),
    ]:
        status = story.injected[key]["status"]
        ready = status.get("readyReplicas", status.get("numberReady"))
        updated = status.get("updatedReplicas", status.get("updatedNumberScheduled"))
        assert (ready, updated) == (1, 1), (key, status)


def test_the_output_is_one_table_and_no_list(story):
    """Workloads that came out as wanted are counted, not named; those that were not are."""
    output = story.runs["again"].output
    assert len(re.findall(r"outcome +code +workloads", output)) == 1
    assert re.search(rf"unchanged +unchanged +{len(INJECTED)}\b", output), output[-3000:]
    assert "/ordered" not in output
    assert f"Deployment {story.space}/host-network" in output

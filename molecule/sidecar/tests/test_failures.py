# SPDX-License-Identifier: GPL-3.0-or-later
# SPDX-FileCopyrightText: 2026 The orchestrator.platform authors
"""When it goes wrong: a bad image, missing rights, a killed run. Only what is concerned suffers."""

from __future__ import annotations

import json
import subprocess
from typing import NamedTuple

import pytest
import yaml

from process_tree import kill_tree
from real_cluster import STATE, Json, containers
from workload_shapes import container, essence, pod_spec, template_spec, trace, workload

testinfra_hosts = ["local://"]

MANY = [f"agent-{number:02}" for number in range(30)]


class Story(NamedTuple):
    """The objects after each step, the first of them before anything, and the runs."""

    looks: list[dict[str, Json]]
    runs: list


def create(cluster, space: str, documents: list[Json]) -> None:
    """All of them in one call."""
    cluster.kubectl(
        "create",
        "--namespace",
        space,
        "--filename=-",
        stdin=json.dumps({"apiVersion": "v1", "kind": "List", "items": documents}),
    )


def look(cluster, space: str) -> dict[str, Json]:
    """The Deployments of a namespace by name."""
    return {item["metadata"]["name"]: item for item in cluster.objects("deployments", space, managers=True)}


def injected(deployment: Json) -> bool:
    """Whether the watcher is in the template."""
    return "discord-watcher" in [c["name"] for c in containers(template_spec(deployment))]


# -- an image that cannot be pulled ---------------------------------------------------------------------------------

BAD = {"orchestrator.platform/image": "localhost:1/none:1"}


@pytest.fixture(scope="module")
def rolled(cluster, role, ns, image) -> Story:
    """Three at once, the second of which cannot start; the fourth would be the next batch."""
    space = ns("rolled")
    create(cluster, space, [
        workload("Deployment", "a-good", pod_spec(image), replicas=1),
        workload("Deployment", "b-bad", pod_spec(image), replicas=1, annotations=BAD),
        workload("Deployment", "c-good", pod_spec(image), replicas=1),
        workload("Deployment", "d-later", pod_spec(image)),
    ])  # fmt: skip
    cluster.kubectl("wait", "--namespace", space, "deployment", "--all", "--for=condition=Available", "--timeout=60s")
    looks, runs = [look(cluster, space)], []
    for on_failure in ("rollback", "continue"):
        runs.append(
            role(
                "main",
                sidecar_namespaces=[space],
                sidecar_batch=3,
                sidecar_on_failure=on_failure,
                sidecar_wait_seconds=60,
            )
        )
        looks.append(look(cluster, space))
    return Story(looks, runs)


def test_a_failed_rollout_is_told_with_the_pods_own_message(rolled):
    """The run fails; the row names the image, as the kubelet did."""
    row = rolled.runs[0].row("b-bad")
    assert (row["outcome"], row["code"]) == ("failed", "rolled_back")
    assert "localhost:1/none:1" in row["message"] or "ImagePull" in row["message"], row
    assert rolled.runs[0].failed


def test_the_failed_workload_is_as_before(rolled):
    """And it serves: its old pod was never away."""
    before, after = (look["b-bad"] for look in rolled.looks[:2])
    assert essence(after) == essence(before)
    assert after["status"]["availableReplicas"] == 1


@pytest.mark.parametrize("name", ["a-good", "c-good"])
def test_its_neighbours_in_the_batch_keep_the_sidecar(rolled, name):
    """Rolled back is what failed, and only that."""
    assert rolled.runs[0].code(name) == ("injected", "injected")
    assert injected(rolled.looks[1][name])
    assert rolled.looks[1][name]["status"].get("readyReplicas") == 1


def test_the_next_batch_is_not_begun(rolled):
    """Said by a code of its own."""
    assert rolled.runs[0].code("d-later") == ("skipped", "not_reached")
    assert trace(rolled.looks[1]["d-later"]) == trace(rolled.looks[0]["d-later"])


def test_with_continue_the_rest_is_done(rolled):
    """The failed one keeps what it got, and its old pod serves."""
    result = rolled.runs[1]
    assert result.failed
    assert [result.code(name) for name in ("b-bad", "d-later")] == [
        ("failed", "rollout_failed"),
        ("injected", "injected"),
    ]
    after = rolled.looks[2]["b-bad"]
    assert injected(after)
    assert after["status"]["availableReplicas"] == 1


# -- an agent that starts and then dies, and targets after it --------------------------------------------------------

HASH = {"fieldRef": {"fieldPath": "metadata.annotations['orchestrator.platform/snippet-hash']"}}
# Nothing but the sidecar makes it die, and only after its pod has counted as available.
DYING = 'test -z "$HASH" || { sleep 1; exit 3; }; exec sleep infinity'


@pytest.fixture(scope="module")
def dying(cluster, role, ns, image) -> Story:
    """Two targets, in the first of which an agent dies beside the sidecar; then a StatefulSet that hangs is freed."""
    space = ns("dying")
    agent = container("agent", image, "sh", "-c", DYING, env=[{"name": "HASH", "valueFrom": HASH}])
    create(cluster, space, [
        workload("Deployment", "a-dies", pod_spec(image, containers=[agent]), replicas=1),
        workload("Deployment", "b-later", pod_spec(image)),
        workload("StatefulSet", "hangs", pod_spec(image), replicas=1, annotations=BAD),
    ])  # fmt: skip
    cluster.kubectl("wait", "--namespace", space, "deployment/a-dies", "--for=condition=Available", "--timeout=60s")
    looks = [look(cluster, space)]
    targets = [{"namespaces": [space], "names": [name]} for name in ("a-dies", "b-later")]
    runs = [role("main", sidecar_targets=targets, sidecar_wait_seconds=60)]
    looks.append(look(cluster, space))
    hangs = {"sidecar_namespaces": [space], "sidecar_kinds": ["StatefulSet"]}
    runs.append(role("main", **hangs, sidecar_wait_seconds=0))
    cluster.until(
        lambda: "ImagePull" in json.dumps([pod["status"] for pod in cluster.objects("pods", space)]),
        "a pod whose sidecar cannot be pulled",
    )
    runs.append(role("remove", **hangs, sidecar_wait_seconds=60))
    return Story(looks, runs)


def test_an_agent_that_dies_once_it_was_available_is_put_back(dying):
    """It has no readiness probe, so that its rollout was complete before it died."""
    row = dying.runs[0].row("a-dies")
    assert row["code"] == "rolled_back", row
    assert "did not stay up" in row["message"]
    assert "exit code 3" in row["message"]
    assert essence(dying.looks[1]["a-dies"]) == essence(dying.looks[0]["a-dies"])


def test_no_target_is_begun_after_a_failed_one(dying):
    """It is named as not reached, and nothing was sent to it."""
    assert [row["name"] for row in dying.runs[0].rows] == ["a-dies"]
    assert "not_reached, since a rollout in an earlier target failed: Deployment in" in dying.runs[0].output
    assert trace(dying.looks[1]["b-later"]) == trace(dying.looks[0]["b-later"])


def test_a_removal_frees_a_stateful_set_of_the_pod_it_waits_for(dying):
    """Its controller would wait for ever for a pod whose sidecar cannot be pulled."""
    assert dying.runs[1].code("hangs", "StatefulSet") == ("injected", "injected")
    assert dying.runs[2].code("hangs", "StatefulSet") == ("removed", "removed")
    assert not dying.runs[2].failed


# -- no right in one of three namespaces ----------------------------------------------------------------------------

RULES = [
    {"apiGroups": ["apps"], "resources": ["deployments"], "verbs": ["get", "list", "watch", "patch"]},
    {"apiGroups": [""], "resources": ["namespaces"], "verbs": ["get"]},
    {"apiGroups": [""], "resources": ["pods", "configmaps"], "verbs": ["get", "list", "watch"]},
]


@pytest.fixture(scope="module")
def limited(cluster, role, ns, image) -> Story:
    """A ServiceAccount that may work in two namespaces of three."""
    spaces = [ns(name) for name in ("open-1", "closed", "open-2")]
    documents: list[Json] = [
        {"apiVersion": "v1", "kind": "ServiceAccount", "metadata": {"name": "injector", "namespace": spaces[0]}}
    ]
    subject = {"kind": "ServiceAccount", "name": "injector", "namespace": spaces[0]}
    for space in (spaces[0], spaces[2], ns("monitor")):
        meta = {"name": "injector", "namespace": space}
        api = "rbac.authorization.k8s.io/v1"
        documents += [
            {"apiVersion": api, "kind": "Role", "metadata": meta, "rules": RULES},
            {
                "apiVersion": api,
                "kind": "RoleBinding",
                "metadata": meta,
                "subjects": [subject],
                "roleRef": {"apiGroup": api[:-3], "kind": "Role", "name": "injector"},
            },
        ]
    for space in spaces:
        made = workload("Deployment", "agent", pod_spec(image))
        documents.append({**made, "metadata": {**made["metadata"], "namespace": space}})
    cluster.kubectl(
        "create", "--filename=-", stdin=json.dumps({"apiVersion": "v1", "kind": "List", "items": documents})
    )
    token = cluster.kubectl("create", "token", "injector", "--namespace", spaces[0]).strip()
    config = yaml.safe_load(cluster.kubeconfig.read_text(encoding="utf-8"))
    config["users"] = [{"name": config["users"][0]["name"], "user": {"token": token}}]
    kubeconfig = STATE / "kubeconfig-injector"
    kubeconfig.touch(mode=0o600)
    kubeconfig.write_text(json.dumps(config), encoding="utf-8")

    def looked() -> dict[str, Json]:
        return {space: look(cluster, space)["agent"] for space in spaces}

    before = looked()
    run = role("main", sidecar_namespaces=spaces, sidecar_kubeconfig=str(kubeconfig), sidecar_wait_seconds=30)
    kubeconfig.unlink()
    return Story([before, looked()], [run])


def test_the_forbidden_namespace_is_reported(limited, ns):
    """By a row of its own, whose sentence is the API server's; the run fails."""
    row = limited.runs[0].row(ns("closed"), "Namespace")
    assert (row["outcome"], row["code"]) == ("failed", "forbidden")
    assert "verb get on namespaces" in row["message"]
    assert limited.runs[0].failed
    assert trace(limited.looks[1][ns("closed")]) == trace(limited.looks[0][ns("closed")])


@pytest.mark.parametrize("space", ["open-1", "open-2"])
def test_the_other_namespaces_are_done(limited, ns, space):
    """One missing right does not cost the others."""
    rows = {row["namespace"]: row["outcome"] for row in limited.runs[0].rows}
    assert rows[ns(space)] == "injected"
    assert injected(limited.looks[1][ns(space)])


# -- a killed run ---------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def killed(cluster, role, ns, image, tmp_path_factory, command_line) -> Story:
    """SIGKILL to the playbook and all it started, when some workloads are done and some are not; then two runs more."""
    space = ns("killed")
    create(cluster, space, [workload("Deployment", name, pod_spec(image)) for name in MANY])
    looks = [look(cluster, space)]
    settings = {"sidecar_namespaces": [space], "sidecar_wait_seconds": 60}
    argv, env, cwd = command_line(tmp_path_factory.mktemp("killed") / "rows.json", sidecar_batch=1, **settings)
    with subprocess.Popen(argv, env=env, cwd=cwd, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as playbook:
        try:
            cluster.until(lambda: sum(map(injected, look(cluster, space).values())) >= 2, "two injected workloads")
        finally:
            kill_tree(playbook.pid)
    looks.append(look(cluster, space))
    runs = []
    for _number in range(2):
        runs.append(role("main", **settings))
        looks.append(look(cluster, space))
    return Story(looks, runs)


def test_it_was_killed_in_the_middle(killed):
    """Else this proves nothing."""
    assert 2 <= sum(map(injected, killed.looks[1].values())) < len(MANY)


@pytest.mark.parametrize("name", MANY)
def test_each_workload_is_injected_or_not(killed, name):
    """Nothing in between: whole as the next run would make it, or as it was."""
    before, after, completed = (look[name] for look in killed.looks[:3])
    whole = completed if injected(after) else before
    assert trace(after) == trace(whole)


def test_the_next_run_completes(killed):
    """It does what was left and no more."""
    done = sum(map(injected, killed.looks[1].values()))
    rows = [row["outcome"] for row in killed.runs[0].rows]
    assert (rows.count("unchanged"), rows.count("injected")) == (done, len(MANY) - done)
    assert not killed.runs[0].failed


def test_the_run_after_that_writes_nothing(killed):
    """D5, by resourceVersion."""
    moved = [name for name in MANY if trace(killed.looks[3][name]) != trace(killed.looks[2][name])]
    assert moved == []
    assert {row["outcome"] for row in killed.runs[1].rows} == {"unchanged"}

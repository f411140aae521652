# SPDX-License-Identifier: GPL-3.0-or-later
# SPDX-FileCopyrightText: 2026 The orchestrator.platform authors
"""From hand-made manifests to the chart and back, in place and side by side, with a real controller that serves.

The tests run in their order: each begins with what the one before it has left (issue 6.5; OR-306…OR-314, OR-327, OR-A10, OR-A11,
OR-A14…OR-A16).
"""

from __future__ import annotations

import json
import re
import subprocess
import tarfile

import pytest

from canaries import assert_absent
from documented import commands, run
from real_cluster import STATE, statuses, succeeded

testinfra_hosts = ["local://"]

VARIABLES = "molecule/migrate/vars/scenario.yml"
# The page's commands in its order; one more or less, and this line says so (OR-347).
LOOK, MOVE, CLEAN_UP, UNDO, MOVE_ASIDE, SWITCH, LOSE, REMOVE = commands("migration.md")
KINDS = "configmaps,secrets,serviceaccounts,services,roles,rolebindings,deployments"
CANARIES = {
    "Anthropic key": "canary-api-key-of-the-tests-91f3c7d0",
    "GitHub token": "canary-github-token-of-the-tests-66bb",
}
FINALIZER = "coderuns.orchestrator.io/finalizer"  # of the former controller, on each of its runs
HOST = "orchestrator.example.org"


@pytest.fixture(scope="module")
def remembered():
    """What a later test compares with."""
    return {}


def move(cluster, command, namespace, *more, check=True):
    """A command of the page, for one of the two hand-made orchestrators."""
    names = json.dumps(
        {
            "platform_orchestrator_namespace": namespace,
            "migrate_target_namespace": f"{namespace}-new",
            "migrate_archive": str(STATE / f"{namespace}.tar.gz"),
        }
    )
    output = run(cluster, command, VARIABLES, "--extra-vars", names, *more, check=check)
    assert_absent(CANARIES, output, "the output")
    return output


def changes(output):
    """Number of changed tasks of a run in which none failed."""
    found = succeeded(output)
    assert found, output[-3000:]
    return int(found[2])


def state(cluster, namespace):
    """Every object with its uid and version."""
    return {
        (item["kind"], item["metadata"]["name"]): (item["metadata"]["uid"], item["metadata"]["resourceVersion"])
        for item in cluster.objects(KINDS, namespace)
    }


def essence(cluster, namespace):
    """What somebody has written, without what the server adds: for a comparison of before and after."""
    found = {}
    for item in cluster.objects(KINDS, namespace):
        meta = item["metadata"]
        if item["kind"] == "ServiceAccount" and meta["name"] == "default":
            continue
        spec = {key: value for key, value in item.get("spec", {}).items() if not key.startswith("clusterIP")}
        notes = {
            name: text for name, text in meta.get("annotations", {}).items() if not name.startswith("deployment.kubernetes.io")
        }  # fmt: skip
        found[(item["kind"], meta["name"])] = [
            *(meta.get("labels"), notes, spec),
            *(item.get(key) for key in ("data", "rules", "roleRef", "subjects")),
        ]
    return found


def health(cluster, namespace):
    """The answer of the Service."""
    return cluster.raw(f"/api/v1/namespaces/{namespace}/services/orchestrator:80/proxy/health")["status"]


def run_of_the_old(cluster, namespace):
    """What must not be lost of the run that carries the former controller's finalizer."""
    found = cluster.get("coderun", "of-the-old", namespace)
    assert found["metadata"].get("deletionTimestamp") is None
    assert found["metadata"]["finalizers"] == [FINALIZER]
    return found["metadata"]["uid"], found["spec"]


def hosts(cluster, namespace):
    """Hosts of the namespace's Ingresses."""
    return [rule["host"] for item in cluster.objects("ingresses", namespace) for rule in item["spec"]["rules"]]


def serving(cluster, *namespaces):
    """The pods that are ready, with the number of their restarts."""
    return sorted(
        (pod["metadata"]["uid"], row["restartCount"])
        for namespace in namespaces
        for pod in cluster.objects("pods", namespace)
        for row in statuses(pod).values()
        if row["ready"]
    )


def outage(output):
    """Seconds without answer, as the role has printed them."""
    found = re.search(r"did not answer for ([0-9.]+) s, at most ([0-9.]+) s", " ".join(output.split()))
    assert found, output[-3000:]
    return float(found[1])


def test_helm_alone_refuses(cluster):
    """OR-A11: the guide's plain installation does not take over what is there; so this scenario shows something."""
    argv = [
        "helm",
        "install",
        "orchestrator",
        "charts/orchestrator",
        "--namespace",
        "moved-in-place",
        "--dry-run=server",
    ]
    argv += ["--set", "secrets.existingSecret=orchestrator-secrets"]
    done = subprocess.run(
        argv, env=cluster.env, cwd=STATE.parents[1], capture_output=True, text=True, check=False, timeout=120
    )
    assert done.returncode != 0
    assert "invalid ownership metadata" in done.stderr


def test_check_shows_all_and_changes_nothing(cluster):
    """OR-309: what is adopted, what is replaced, what is left over, before anything is written."""
    before = state(cluster, "moved-in-place")
    output = " ".join(move(cluster, LOOK, "moved-in-place").split())
    for words in ("Service moved-in-place orchestrator adopt", "Deployment moved-in-place orchestrator replace"):
        assert words in output
    assert "ConfigMap moved-in-place claude-code-helm-chart left" in output
    assert "Secret moved-in-place orchestrator-secrets data" in output
    assert state(cluster, "moved-in-place") == before
    assert not (STATE / "moved-in-place.tar.gz").exists()


def test_in_place(cluster, remembered):
    """OR-309, OR-A06, OR-A10: one controller at a time, the Service keeps its address, the key stays where it was."""
    remembered["before"] = essence(cluster, "moved-in-place")
    remembered["run"] = run_of_the_old(cluster, "moved-in-place")
    address = cluster.get("service", "orchestrator", "moved-in-place")["spec"]["clusterIP"]
    output = move(cluster, MOVE, "moved-in-place")
    assert outage(output) > 0
    service = cluster.get("service", "orchestrator", "moved-in-place")["spec"]
    assert service["clusterIP"] == address
    assert set(service["selector"]) == {"app.kubernetes.io/name", "app.kubernetes.io/instance"}
    assert health(cluster, "moved-in-place") == "healthy"
    deployment = cluster.get("deployment", "orchestrator", "moved-in-place")
    assert deployment["metadata"]["annotations"]["meta.helm.sh/release-name"] == "orchestrator"
    assert "app" not in deployment["spec"]["selector"]["matchLabels"]
    pods = cluster.objects("pods", "moved-in-place", "app=orchestrator")
    assert pods == [], "the old controller runs beside the new one"
    argv = ["helm", "get", "values", "orchestrator", "--namespace", "moved-in-place", "--output=json"]
    values = subprocess.run(argv, env=cluster.env, capture_output=True, text=True, check=True, timeout=60).stdout
    assert json.loads(values)["secrets"] == {"existingSecret": "orchestrator-secrets"}
    account = "--as=system:serviceaccount:moved-in-place:orchestrator"
    for resource in ("jobs", "configmaps"):
        assert (
            cluster.kubectl("auth", "can-i", "create", resource, account, "--namespace=moved-in-place").strip() == "yes"
        )


def test_a_second_move_writes_nothing(cluster):
    """D5: every step can be run again; and the archive of the old state is not overwritten by the new one."""
    before, archive = state(cluster, "moved-in-place"), (STATE / "moved-in-place.tar.gz").read_bytes()
    assert changes(move(cluster, MOVE, "moved-in-place")) == 0
    assert state(cluster, "moved-in-place") == before
    assert (STATE / "moved-in-place.tar.gz").read_bytes() == archive


def test_clean_up_takes_what_nobody_reads(cluster):
    """OR-310: the folder of the old agent chart goes; Secrets stay, those of agents too."""
    move(cluster, CLEAN_UP, "moved-in-place")
    there = {name for kind, name in state(cluster, "moved-in-place") if kind in ("ConfigMap", "Secret")}
    assert "claude-code-helm-chart" not in there
    assert {"orchestrator-secrets", "github-token-alice"} <= there


def test_and_back_again(cluster, remembered):
    """OR-327, OR-A16: the hand-made objects serve as before, object by object; Helm knows of nothing; no run was touched."""
    assert run_of_the_old(cluster, "moved-in-place") == remembered["run"]
    refused = move(
        cluster, UNDO, "moved-in-place", "--extra-vars", '{"migrate_archive": "/nowhere.tar.gz"}', check=False
    )
    assert "/nowhere.tar.gz cannot be read" in " ".join(refused.split())
    assert health(cluster, "moved-in-place") == "healthy", "the release was taken away without a way back"
    move(cluster, UNDO, "moved-in-place")
    assert run_of_the_old(cluster, "moved-in-place") == remembered["run"]
    assert essence(cluster, "moved-in-place") == remembered["before"]
    assert health(cluster, "moved-in-place") == "healthy"
    argv = ["helm", "list", "--namespace", "moved-in-place", "--all", "--output=json"]
    assert json.loads(subprocess.run(argv, env=cluster.env, capture_output=True, text=True, check=True).stdout) == []


def test_side_by_side(cluster):
    """OR-311, OR-A14, OR-A15: the new one serves in its own namespace with the old Secrets; the old one is untouched."""
    before = state(cluster, "moved-aside")
    move(cluster, MOVE_ASIDE, "moved-aside")
    assert health(cluster, "moved-aside-new") == "healthy"
    assert health(cluster, "moved-aside") == "healthy"
    assert state(cluster, "moved-aside") == before
    config = cluster.get("configmap", "orchestrator-config", "moved-aside-new")["data"]
    assert config["KUBERNETES_NAMESPACE"] == "moved-aside-new"
    names = {name for kind, name in state(cluster, "moved-aside-new") if kind == "Secret"}
    assert {"orchestrator-secrets", "github-token-alice"} <= names
    uid, spec = run_of_the_old(cluster, "moved-aside")
    copied, carried = run_of_the_old(cluster, "moved-aside-new")
    assert copied != uid
    assert carried == spec


def test_the_switch_is_no_outage(cluster):
    """OR-313: old name and host lead to the new Service; whoever could answer before can answer after."""
    before = serving(cluster, "moved-aside", "moved-aside-new")
    assert len(before) == 2
    assert hosts(cluster, "moved-aside") == [HOST]
    outage(move(cluster, SWITCH, "moved-aside"))
    assert serving(cluster, "moved-aside", "moved-aside-new") == before
    assert [hosts(cluster, namespace) for namespace in ("moved-aside", "moved-aside-new")] == [[], [HOST]]
    service = cluster.get("service", "orchestrator", "moved-aside")["spec"]
    assert service["externalName"] == "orchestrator.moved-aside-new.svc.cluster.local"


def test_the_switch_can_be_taken_back_and_made_again(cluster):
    """OR-314: up to the removal the old one is there; its Service selects its pods again."""
    move(cluster, MOVE_ASIDE, "moved-aside", "--extra-vars", '{"migrate_steps": ["undo"]}')
    assert cluster.get("service", "orchestrator", "moved-aside")["spec"]["selector"] == {"app": "orchestrator"}
    assert health(cluster, "moved-aside") == "healthy"
    assert [hosts(cluster, namespace) for namespace in ("moved-aside", "moved-aside-new")] == [[HOST], []]
    again = '{"migrate_steps": ["backup", "install", "verify", "switch"]}'
    move(cluster, MOVE_ASIDE, "moved-aside", "--extra-vars", again)
    assert health(cluster, "moved-aside-new") == "healthy"
    before = [state(cluster, namespace) for namespace in ("moved-aside", "moved-aside-new")]
    assert changes(move(cluster, MOVE_ASIDE, "moved-aside", "--extra-vars", again)) == 0
    assert [state(cluster, namespace) for namespace in ("moved-aside", "moved-aside-new")] == before


def test_removal_says_what_is_lost_and_asks_for_the_name(cluster):
    """OR-A16: runs and Secrets that came later are listed; without the name once more nothing goes."""
    cluster.kubectl("create", "secret", "generic", "came-later", "--namespace=moved-aside", "--from-literal=a=b")
    run_path = ("coderun", "of-the-old", "moved-aside")
    cluster.until(lambda: cluster.get(*run_path).get("status", {}).get("phase"), "the old controller has seen the run")
    for command in (LOSE, LOSE.replace(" --check", "")):
        output = " ".join(move(cluster, command, "moved-aside", check=False).split())
        assert "CodeRun moved-aside of-the-old" in output
    assert "came-later" in output
    assert "Nothing was removed" in output
    run_of_the_old(cluster, "moved-aside")


def test_removal_that_is_cut_short_and_ended(cluster):
    """OR-314, OR-A16: a foreign finalizer is a sentence and stays; the former controller's holds up nothing; no run is lost."""
    last, remove = STATE / "moved-aside.tar.gz.last", REMOVE.replace("=orchestrator", "=moved-aside")
    path = ("coderun", "of-the-old", "--namespace=moved-aside", "--type=merge", "--patch")
    cluster.kubectl("patch", *path, json.dumps({"metadata": {"finalizers": [FINALIZER, "example.org/of-somebody"]}}))
    output = move(cluster, remove, "moved-aside", "--extra-vars", '{"migrate_wait_seconds": 5}', check=False)
    assert "Still there 5 s after the deletion: CodeRun moved-aside/of-the-old" in " ".join(output.split())
    assert cluster.get("coderun", "of-the-old", "moved-aside")["metadata"]["finalizers"] == ["example.org/of-somebody"]
    saved = last.read_bytes()
    with tarfile.open(last) as archive:
        assert [name for name in archive.getnames() if name.endswith("/of-the-old.json")]
    cluster.kubectl("patch", *path, '{"metadata": {"finalizers": null}}')
    move(cluster, remove, "moved-aside")
    assert last.read_bytes() == saved, "the last whole state was overwritten by half of it"
    assert cluster.kubectl("get", "namespace", "moved-aside", "--ignore-not-found") == ""
    assert health(cluster, "moved-aside-new") == "healthy"
    run_of_the_old(cluster, "moved-aside-new")
    assert changes(move(cluster, remove, "moved-aside")) == 0

# SPDX-License-Identifier: GPL-3.0-or-later
# SPDX-FileCopyrightText: 2026 The orchestrator.platform authors
"""The role's whole life on one release: install, again, drift, upgrade, rollback, a killed Helm, removal (issue 6.3, 6.7).

The tests follow each other: each finds what the one before has left.
"""

from __future__ import annotations

import copy
import json
import re
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest
import yaml

from real_cluster import ROOT, Cluster, Json, ansible_playbook, succeeded

testinfra_hosts = ["local://"]

CHART = ROOT / "charts" / "orchestrator"
PLACE = "orchestrator"
KINDS = "configmaps,deployments,services,serviceaccounts,roles,rolebindings,secrets"
CRDS = ("coderuns.orchestrator.platform", "docsruns.orchestrator.platform")
FINALIZER = "coderuns.orchestrator.io/finalizer"


def changed_by(output: str) -> int:
    """Number of changed tasks of a run in which none failed."""
    recap = succeeded(output)
    assert recap, output[-4000:]
    return int(recap[2])


def one_line(output: str) -> str:
    return re.sub(r"\s+", " ", output.replace("\\n", " "))


class Role:
    """The role as a user's playbook has it, and what the cluster holds of it."""

    def __init__(self, cluster: Cluster) -> None:
        self.cluster = cluster

    def run(self, *args: str, check: bool = True, **variables: Any) -> str:
        """Output of a playbook that includes the role."""
        inputs = [f"--inventory={ROOT}/molecule/inventory.yml", f"--extra-vars=@{ROOT}/molecule/shared/platform.yml"]
        playbook = str(ROOT / "molecule" / "orchestrator" / "files" / "role.yml")
        given = ["--extra-vars", json.dumps(variables)]
        return ansible_playbook(self.cluster, *inputs, playbook, *given, *args, check=check)

    def refused(self, says: str, **variables: Any) -> None:
        """A run that fails with this sentence, and writes nothing."""
        before = self.written()
        output = self.run(check=False, **variables)
        assert not succeeded(output), output[-3000:]
        assert re.search(says, one_line(output)), output[-3000:]
        assert "Traceback" not in output
        assert self.written() == before

    def written(self) -> dict[str, str]:
        """kind/name -> resourceVersion of all that the role could write, of Deployments what no controller writes."""
        seen = {}
        listed = self.cluster.kubectl("get", KINDS, "--namespace", PLACE, "--output=json")
        crds = self.cluster.kubectl("get", "crd", *CRDS, "--output=json", "--ignore-not-found")
        for item in json.loads(listed)["items"] + (json.loads(crds)["items"] if crds else []):
            meta = item["metadata"]
            version = meta["resourceVersion"]
            seen[f"{item['kind']}/{meta['name']}"] = (
                str(meta["generation"]) if item["kind"] == "Deployment" else version
            )
        return seen

    def revision(self) -> tuple[int, str]:
        """Number and status of the newest record."""
        records = self.cluster.objects("secrets", PLACE, "owner=helm,name=orchestrator")
        labels = max((item["metadata"]["labels"] for item in records), key=lambda found: int(found["version"]))
        return int(labels["version"]), labels["status"]

    def deployment(self) -> Json:
        return self.cluster.get("deployment", "orchestrator", PLACE)

    def crd(self) -> Json:
        return json.loads(self.cluster.kubectl("get", "crd", CRDS[0], "--output=json"))

    def knows(self, field: str) -> bool:
        """Whether the CRD of CodeRuns has this field in its spec."""
        schema = self.crd()["spec"]["versions"][0]["schema"]["openAPIV3Schema"]
        return field in schema["properties"]["spec"]["properties"]

    def forget(self, field: str) -> None:
        """Takes the field out of that CRD, by hand: whoever applies the CRDs next puts it back."""
        path = f"/spec/versions/0/schema/openAPIV3Schema/properties/spec/properties/{field}"
        patch = json.dumps([{"op": "remove", "path": path}])
        self.cluster.kubectl("patch", "crd", CRDS[0], "--type=json", "--patch", patch)
        assert not self.knows(field)

    def create_run(self, name: str, **spec: Any) -> Json:
        """A CodeRun that its controller has taken in and not ended."""
        fixture = yaml.safe_load((ROOT / "molecule/orchestrator/files/new-runs.yaml").read_text().split("---")[1])
        run = copy.deepcopy(fixture)
        run["metadata"] = {"name": name, "namespace": PLACE, "finalizers": [FINALIZER]}
        run["spec"] |= spec
        self.cluster.kubectl("create", "--filename=-", "--validate=ignore", stdin=json.dumps(run))
        return self.status_of(name, {"phase": "Running", "jobName": "code-1"})

    def status_of(self, name: str, status: Json) -> Json:
        patch = json.dumps({"status": status})
        where = ["coderun.orchestrator.platform", name, "--namespace", PLACE]
        argv = ["patch", *where, "--subresource=status", "--type=merge", "--patch", patch, "--output=json"]
        return json.loads(self.cluster.kubectl(*argv))


@pytest.fixture(scope="module")
def role(cluster) -> Role:
    return Role(cluster)


def helm(cluster: Cluster, *argv: str) -> str:
    done = subprocess.run(["helm", *argv], env=cluster.env, capture_output=True, text=True, check=False, timeout=120)
    assert done.returncode == 0, done.stderr[-2000:]
    return done.stdout


# -- installed ----------------------------------------------------------------------------------------------------------


def test_the_release_stands(role):
    """Deployed, with the digest of the chart's files (D4) and the Secret that role secrets wrote."""
    assert role.revision() == (1, "deployed")
    deployment = role.deployment()
    assert re.fullmatch(r"[0-9a-f]{64}", deployment["metadata"]["annotations"]["orchestrator.platform/chart-digest"])
    [env] = [item for item in deployment["spec"]["template"]["spec"]["containers"][0]["env"] if "valueFrom" in item]
    assert env["valueFrom"]["secretKeyRef"] == {"name": "orchestrator-secrets", "key": "ANTHROPIC_API_KEY"}


def test_the_key_is_in_no_release_record(cluster, inputs):
    """OR-A10, D6: helm get values shows a name."""
    values = helm(cluster, "get", "values", "orchestrator", "--namespace", PLACE)
    assert inputs["secrets_api_key"] not in values
    assert "existingSecret: orchestrator-secrets" in values


def test_a_first_revision_has_nothing_to_go_back_to(role):
    """OR-A12: it says so and names the way out."""
    role.refused(r"is at revision 1, its first: .* orchestrator_state: absent, or restore a backup", entry="rollback")


# -- changed by hand ----------------------------------------------------------------------------------------------------


def test_what_was_changed_by_hand_is_put_back(role, cluster):
    """An edited Deployment, a deleted ConfigMap, a CRD without a field; check mode tells and writes nothing."""
    image = role.deployment()["spec"]["template"]["spec"]["containers"][0]["image"]
    edit = [{"op": "replace", "path": "/spec/template/spec/containers/0/image", "value": "example.org/other:1"}]
    cluster.kubectl("patch", "deployment", "orchestrator", "-n", PLACE, "--type=json", "--patch", json.dumps(edit))
    cluster.kubectl("delete", "configmap", "orchestrator-config", "-n", PLACE)
    role.forget("promptModification")
    before = role.written()
    told = role.run("--check")
    assert changed_by(told) == 2
    assert "ConfigMap orchestrator-config (gone)" in one_line(told)
    assert "Deployment orchestrator (spec.template.spec.containers)" in one_line(told)
    assert role.written() == before
    assert changed_by(role.run()) == 2
    assert role.deployment()["spec"]["template"]["spec"]["containers"][0]["image"] == image
    assert cluster.get("configmap", "orchestrator-config", PLACE)["data"]
    assert role.knows("promptModification")
    assert role.revision() == (2, "deployed")


def test_what_others_added_is_left_and_nothing_is_written(role, cluster):
    """D5: kubectl rollout restart and a label are no drift; no resourceVersion moves, no revision comes."""
    cluster.kubectl("rollout", "restart", "deployment/orchestrator", "-n", PLACE)
    cluster.kubectl("label", "deployment", "orchestrator", "-n", PLACE, "team=a")
    before = role.written()
    assert any(key.startswith("Secret/sh.helm.release") for key in before)
    assert changed_by(role.run()) == 0
    assert role.written() == before
    assert role.deployment()["metadata"]["labels"]["team"] == "a"


def snippet_of(cluster: Cluster) -> tuple[str, bool]:
    """Name of the sidecar that runs take, and whether the controller may read it in the monitor's namespace."""
    settings = cluster.get("configmap", "orchestrator-task-controller-config", PLACE)["data"].values()
    roles = cluster.objects("roles", "monitor", "app.kubernetes.io/instance=orchestrator")
    return yaml.safe_load(next(iter(settings)))["sidecar"]["snippetConfigMap"], bool(roles)


def test_runs_are_watched_where_their_namespace_is(role, cluster):
    """Issue 8.3: named among the agents' namespaces, it takes the published sidecar; else, as before and after, it does not."""
    assert snippet_of(cluster) == ("", False)
    role.run(platform_agent_namespaces=["agents", PLACE])
    assert snippet_of(cluster) == ("discord-monitor-snippet", True)


# -- from the version before --------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def older_chart(tmp_path_factory) -> Path:
    """The chart as version 0.1.0 could have been: its CRD does not know promptModification."""
    folder = tmp_path_factory.mktemp("older") / "orchestrator"
    shutil.copytree(CHART, folder)
    about = yaml.safe_load((folder / "Chart.yaml").read_text())
    (folder / "Chart.yaml").write_text(yaml.safe_dump({**about, "version": "0.1.0"}))
    file = folder / "crds" / "coderun-crd.yaml"
    crd = yaml.safe_load(file.read_text())
    del crd["spec"]["versions"][0]["schema"]["openAPIV3Schema"]["properties"]["spec"]["properties"][
        "promptModification"
    ]
    file.write_text(yaml.safe_dump(crd))
    return folder


def test_an_upgrade_keeps_live_runs(role, cluster, older_chart):
    """Helm's own installation of the version before, with its CRDs: taken over, and no run notices."""
    helm(cluster, "uninstall", "orchestrator", "--namespace", PLACE, "--wait")
    cluster.kubectl("delete", "crd", *CRDS, "--wait")
    chosen = ["--set=secrets.existingSecret=orchestrator-secrets,replicaCount=0"]
    helm(cluster, "install", "orchestrator", str(older_chart), "--namespace", PLACE, "--wait", *chosen)
    cluster.kubectl("wait", "crd", *CRDS, "--for=condition=Established", "--timeout=60s")
    assert not role.knows("promptModification")
    before = role.create_run("lives")
    role.run()
    after = cluster.get("coderuns.orchestrator.platform", "lives", PLACE)
    # Not even its version has moved.
    assert after == before
    assert role.knows("promptModification")
    assert role.revision() == (2, "deployed")
    assert role.deployment()["metadata"]["labels"]["helm.sh/chart"] == "orchestrator-0.1.1"
    assert snippet_of(cluster) == ("", False)


def test_a_rollback_that_would_lose_a_field_is_refused(role):
    """A run uses what the older CRD does not know: named, and nothing is written."""
    role.create_run("uses-it", promptModification="once more")
    role.refused(
        r"CodeRun orchestrator/uses-it: spec.promptModification\. .* orchestrator_rollback_lossy", entry="rollback"
    )


def test_a_rollback_goes_back_and_keeps_crds_and_runs(role, cluster):
    """By the playbook's own entry point; check mode says where it goes."""
    told = role.run("--check", "--diff", entry="rollback", orchestrator_rollback_lossy=True)
    assert changed_by(told) == 1
    assert "goes back from revision 2 to 1" in one_line(told)
    assert role.revision() == (2, "deployed")
    role.run(entry="rollback", orchestrator_rollback_lossy=True)
    assert role.revision() == (3, "deployed")
    assert role.deployment()["metadata"]["labels"]["helm.sh/chart"] == "orchestrator-0.1.0"
    assert role.knows("promptModification")
    assert cluster.get("coderuns.orchestrator.platform", "uses-it", PLACE)["spec"]["promptModification"] == "once more"


# -- a killed Helm ------------------------------------------------------------------------------------------------------


def test_a_release_that_a_killed_helm_left(role, cluster):
    """It is said, with the way out, before the CRDs are touched; with that set, the run goes on (issue 6.3)."""
    role.forget("workingDirectory")
    secret = f"sh.helm.release.v1.orchestrator.v{role.revision()[0]}"
    cluster.kubectl("label", "secret", secret, "-n", PLACE, "--overwrite", "status=pending-upgrade")
    role.refused(
        rf"{PLACE}/orchestrator has been in pending-upgrade .*orchestrator_recover: true .*deletes Secret {secret}"
    )
    role.run(orchestrator_recover=True)
    assert role.knows("workingDirectory")
    assert role.revision()[1] == "deployed"
    assert role.deployment()["metadata"]["labels"]["helm.sh/chart"] == "orchestrator-0.1.1"


# -- bad input ----------------------------------------------------------------------------------------------------------


def test_a_key_among_the_values_is_refused(role):
    """Helm would record it; the sentence does not repeat it."""
    values = {"secrets": {"anthropicApiKey": "canary-api-key-of-the-lifecycle-0d5c"}}
    role.forget("workingDirectory")
    before = role.written()
    for only in ((), ("--tags", "orchestrator_crds")):
        output = role.run(*only, check=False, orchestrator_values=values)
        assert "secrets.anthropicApiKey, and Helm would keep that" in one_line(output)
        assert "canary-api-key-of-the-lifecycle-0d5c" not in output
        assert role.written() == before
    assert changed_by(role.run("--tags", "orchestrator_crds")) == 1
    assert role.knows("workingDirectory")


def test_a_failed_rollout_is_rolled_back_and_says_why(role):
    """Atomic: what the API server refuses leaves the release as it was, and the message repeats its words."""
    # No such class: the pod is never made, and the ReplicaSet's Event says so.
    values = {"replicaCount": 1, "priorityClassName": "nowhere"}
    output = role.run(check=False, orchestrator_values=values, orchestrator_wait_seconds=5)
    assert re.search(r"Helm could not bring release orchestrator .*The cluster says: .*nowhere", one_line(output)), (
        output[-3000:]
    )
    assert role.deployment()["spec"]["replicas"] == 0
    assert role.revision()[1] == "deployed"


# -- removal ------------------------------------------------------------------------------------------------------------


def test_removal_keeps_crds_and_runs(role, cluster):
    """OR-A16, OR-A17: a run that nobody ends stays, with its finalizer."""
    role.run(orchestrator_state="absent")
    assert cluster.objects("secrets", PLACE, "owner=helm") == []
    assert cluster.objects("deployments", PLACE) == []
    assert {run["metadata"]["name"] for run in cluster.objects("coderuns.orchestrator.platform", PLACE)} == {
        "lives",
        "uses-it",
    }


def test_a_purge_is_listed_first(role, cluster):
    """--check lists and takes nothing."""
    claim = {
        "apiVersion": "v1", "kind": "PersistentVolumeClaim", "metadata": {"name": "workspace-api", "namespace": PLACE},
        "spec": {"accessModes": ["ReadWriteOnce"], "resources": {"requests": {"storage": "1Mi"}}, "storageClassName": "none"},
    }  # fmt: skip
    cluster.kubectl("create", "--filename=-", stdin=json.dumps(claim))
    told = one_line(role.run("--check", orchestrator_state="absent", orchestrator_purge=True))
    for line in (
        "CodeRun orchestrator lives",
        "CodeRun orchestrator uses-it",
        "PersistentVolumeClaim orchestrator workspace-api",
        f"CustomResourceDefinition {CRDS[0]}",
    ):
        assert line in told
    assert len(cluster.objects("coderuns.orchestrator.platform", PLACE)) == 2


def test_a_purge_takes_everything(role, cluster):
    """No controller runs any more, so the finalizers that it would have answered are taken off."""
    role.run(orchestrator_state="absent", orchestrator_purge=True, orchestrator_wait_seconds=3)
    assert cluster.kubectl("get", "crd", *CRDS, "--ignore-not-found", "--output=name") == ""
    assert cluster.objects("persistentvolumeclaims", PLACE) == []
    assert changed_by(role.run(orchestrator_state="absent", orchestrator_purge=True)) == 0


def test_check_mode_on_a_cluster_without_crds(role, cluster):
    """D5: it ends well, tells what it would make, and makes nothing."""
    told = role.run("--check", "--diff")
    assert changed_by(told) == 2
    assert cluster.kubectl("get", "crd", *CRDS, "--ignore-not-found", "--output=name") == ""
    assert cluster.objects("deployments", PLACE) == []


def test_a_crd_of_somebody_else_is_refused(role, cluster):
    """Both are looked at before one is written; by its manager's name it may be taken over."""
    crd = yaml.safe_load((CHART / "crds" / "docsrun-crd.yaml").read_text())
    crd["spec"]["names"]["shortNames"] = ["theirs"]
    cluster.kubectl(
        "apply", "--server-side", "--field-manager=argocd-controller", "--filename=-", stdin=json.dumps(crd)
    )
    role.refused(
        r"CRD docsruns\.orchestrator\.platform is not the one of this collection and belongs to argocd-controller"
    )
    assert CRDS[0] not in cluster.kubectl("get", "crd", "--output=name")
    role.run(orchestrator_crds_take_over=["argocd-controller"])
    found = json.loads(cluster.kubectl("get", "crd", CRDS[1], "--output=json"))
    assert found["spec"]["names"]["shortNames"] == crd_names()
    assert changed_by(role.run()) == 0


def crd_names() -> list[str]:
    """Short names as they are delivered."""
    return yaml.safe_load((CHART / "crds" / "docsrun-crd.yaml").read_text())["spec"]["names"]["shortNames"]

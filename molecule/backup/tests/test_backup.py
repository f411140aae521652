# SPDX-License-Identifier: GPL-3.0-or-later
# SPDX-FileCopyrightText: 2026 The orchestrator.platform authors
"""The restore drill: save, destroy, restore, equal; other namespaces, encryption, repair, and archives that are refused.

The tests run in their order: each begins with what the one before it has left (issue 6.6; OR-330…OR-332, OR-A12, OR-A13, OR-A39).
"""

from __future__ import annotations

import gzip
import io
import json
import re
import stat
import subprocess
import tarfile

import pytest
from ansible_collections.orchestrator.platform.plugins.module_utils._bundle import PART_OF
from ansible_collections.orchestrator.platform.plugins.module_utils._restoring import HELD

from canaries import assert_absent
from documented import commands, run
from real_cluster import ROOT, STATE, again, succeeded

testinfra_hosts = ["local://"]

VARIABLES = "molecule/backup/vars/scenario.yml"
SCENARIO = f"--extra-vars=@{ROOT}/{VARIABLES}"
# The page's commands in its order; one more or less, and this line says so (OR-347).
SAVE, SEAL, SHOW, LOOK, RESTORE, UPGRADE, COPY, PART, UNINSTALL, COME_BACK = commands("backup.md")
NAMESPACES = ("saved-orchestrator", "saved-monitor", "saved-agents")
CRDS = ("coderuns.orchestrator.platform", "docsruns.orchestrator.platform")
ARCHIVE = STATE / "platform.tar.gz"
KINDS = (
    "configmaps,secrets,serviceaccounts,services,roles,rolebindings,networkpolicies,deployments,persistentvolumeclaims,"
    "coderuns.orchestrator.platform,docsruns.orchestrator.platform"
)
CANARIES = {
    "Anthropic key": "canary-api-key-of-the-tests-91f3c7d0",
    "GitHub token": "canary-github-token-of-the-tests-66bb",
    "private key": "canary-private-key-of-the-tests-55aa",
    "webhook": "canary-webhook-of-the-tests-8c3f51d2",
    "bot token": "canary-bot-token.of-the-tests.4b1d0c6e7f2a",
    "password of the archive": "canary-password-of-the-tests-88dd",
}


def play(cluster, playbook, *args, check=True, **variables):
    """One of our playbooks as the scenario runs it; `variables` are extra variables."""
    extra = ["--extra-vars", json.dumps(variables)] if variables else []
    return again(playbook, cluster, SCENARIO, *extra, *args, check=check)


def restore(cluster, *args, src=ARCHIVE, check=True, **variables):
    return play(cluster, "restore", *args, check=check, backup_src=str(src), **variables)


def changes(output):
    """Number of changed tasks of a run in which none failed."""
    found = succeeded(output)
    assert found, output[-3000:]
    return int(found[2])


def versions(cluster, namespaces=NAMESPACES):
    """The resourceVersion of every object, so that any write shows; Helm's records are among the Secrets."""
    found = {}
    for namespace in namespaces:
        for item in cluster.objects(KINDS, namespace):
            meta = item["metadata"]
            found[(item["kind"], namespace, meta["name"])] = meta["resourceVersion"]
    return found


def contents(archive):
    """File name -> text of an archive."""
    with tarfile.open(archive) as opened:
        return {member.name: opened.extractfile(member).read().decode() for member in opened}


def refusal(output):
    """The words of the failed task, on one line."""
    found = re.search(r"^fatal: .*?^ +msg: (.*?)(?=\n\S|\n\n|\Z)", output, re.MULTILINE | re.DOTALL)
    assert found, output[-3000:]
    return " ".join(found[1].split())


@pytest.fixture(scope="module")
def archive(cluster):
    """The platform as the converge has left it, saved by the playbook."""
    ARCHIVE.unlink(missing_ok=True)
    output = run(cluster, SAVE, VARIABLES)
    assert changes(output) == 1
    assert "CodeRun saved-orchestrator/under-way: under way" in " ".join(output.split())
    assert_absent(CANARIES, output, "the output")
    return ARCHIVE


def test_the_archive_holds_the_platform_and_nothing_of_others(cluster, archive):
    """OR-A13: every kind; no Secret of somebody else, no token, no server-set field; readable to its owner alone."""
    assert stat.S_IMODE(archive.stat().st_mode) == 0o600
    names = contents(archive)
    manifest = json.loads(run(cluster, SHOW, VARIABLES))
    assert {one["name"] for one in manifest["releases"]} == {"orchestrator", "discord-monitor"}
    expected = {
        *("Namespace", "CustomResourceDefinition", "ServiceAccount", "Secret", "ConfigMap", "PersistentVolumeClaim"),
        *("Role", "RoleBinding", "NetworkPolicy", "Service", "Deployment", "CodeRun", "DocsRun"),
    }
    assert expected <= set(manifest["objects"])
    secrets = {name.rpartition("/")[2] for name in names if "/secrets/" in name}
    assert {
        f"{name}.json"
        for name in (
            "orchestrator-secrets",
            "discord-secrets",
            "discord-monitor-bot",
            "pull",
            "github-ssh-alice",
            "github-token-alice",
        )
    } <= secrets
    assert "somebody-elses.json" not in secrets
    assert not [name for name, text in names.items() if "/objects/" in name and '"resourceVersion"' in text]


def test_a_second_backup_writes_nothing(cluster, archive):
    """D5: the archive holds what the cluster holds already; and in check mode nothing is written either."""
    before = archive.stat().st_mtime_ns
    assert changes(play(cluster, "backup", backup_dest=str(archive))) == 0
    assert archive.stat().st_mtime_ns == before
    other = STATE / "never.tar.gz"
    assert changes(play(cluster, "backup", "--check", backup_dest=str(other))) == 1
    assert not other.exists()


def test_restoring_what_is_there_writes_nothing(cluster, archive):
    """D5: not one resourceVersion and not one Helm revision changes."""
    before = versions(cluster)
    assert changes(restore(cluster)) == 0
    assert versions(cluster) == before


def test_a_controller_that_a_killed_restore_stopped_is_started_again(cluster, archive):
    """An interrupted restore can be run again, also when all objects had come back; check mode tells it."""
    labels = {"app.kubernetes.io/component": "controller", "app.kubernetes.io/part-of": PART_OF, "app": "stopped"}
    container = {"name": "controller", "image": "not-there:0", "imagePullPolicy": "Never"}
    stopped = {
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "metadata": {"name": "stopped", "namespace": NAMESPACES[0], "labels": labels, "annotations": {HELD: "1"}},
        "spec": {
            "replicas": 0,
            "selector": {"matchLabels": {"app": "stopped"}},
            "template": {"metadata": {"labels": labels}, "spec": {"containers": [container]}},
        },
    }
    cluster.kubectl("create", "--filename=-", stdin=json.dumps(stopped))
    try:
        assert changes(restore(cluster, "--check")) == 1
        assert cluster.get("deployment", "stopped", NAMESPACES[0])["spec"]["replicas"] == 0
        assert changes(restore(cluster)) == 1
        found = cluster.get("deployment", "stopped", NAMESPACES[0])
        assert found["spec"]["replicas"] == 1
        assert HELD not in found["metadata"]["annotations"]
    finally:
        cluster.kubectl("delete", "deployment", "stopped", "--namespace", NAMESPACES[0], "--cascade=foreground")


def rewritten(archive, path, change):
    """A copy of an archive in which somebody has changed the Secret of the orchestrator."""
    with gzip.GzipFile(path, "wb") as stream, tarfile.open(fileobj=stream, mode="w") as out:
        for name, text in contents(archive).items():
            raw = (change(text) if name.endswith("/secrets/orchestrator-secrets.json") else text).encode()
            member = tarfile.TarInfo(name)
            member.size = len(raw)
            out.addfile(member, io.BytesIO(raw))


def test_a_changed_archive_is_refused(cluster, archive):
    """Issue 6, bad input: one sentence, and nothing is written; tests/unit has the other ways to be bad."""
    before = versions(cluster)
    bad = STATE / "bad.tar.gz"
    rewritten(archive, bad, lambda text: text.replace('"data"', '"Data"'))
    assert "SHA-256 is another one" in refusal(restore(cluster, src=bad, check=False))
    assert versions(cluster) == before


def test_what_was_changed_is_put_back(cluster, archive):
    """OR-327: a Deployment that is gone, an edited setting, another key, an immutable Secret, a lost run; nothing else."""
    space = ("--namespace", "saved-orchestrator")
    cluster.kubectl("delete", "deployment", "orchestrator", *space)
    cluster.kubectl("patch", "configmap", "orchestrator-config", *space, "--patch", '{"data": {"RUST_LOG": "trace"}}')
    patch = '{"stringData": {"ANTHROPIC_API_KEY": "wrong"}}'
    cluster.kubectl("patch", "secret", "orchestrator-secrets", *space, "--patch", patch)
    cluster.kubectl("delete", "secret", "github-token-alice", "--namespace", "saved-agents")
    cluster.kubectl("create", "secret", "generic", "github-token-alice", "--namespace", "saved-agents")
    cluster.kubectl("delete", "docsrun", "documented", *space)
    seen = versions(cluster)
    looked = restore(cluster, "--check")
    assert changes(looked) >= 1
    assert versions(cluster) == seen, "check mode wrote something"
    output = restore(cluster, "-vvv", "--diff")
    assert changes(output) >= 2
    assert_absent(CANARIES, output + looked, "the output")
    again_ = STATE / "again.tar.gz"
    play(cluster, "backup", backup_dest=str(again_))
    assert differences(archive, again_) == set()
    assert cluster.get("docsrun", "documented", "saved-orchestrator")["status"]["phase"] == "Failed"


def differences(left, right):
    """Files of two archives that differ; the revision of a release is allowed to be another one."""

    def comparable(path):
        files = contents(path)
        files.pop("platform-backup/manifest.json")
        return {name: re.sub(r'"revision": \d+', "", text) for name, text in files.items()}

    one, other = comparable(left), comparable(right)
    return {name for name in {*one, *other} if one.get(name) != other.get(name)}


def wipe(cluster, *namespaces):
    """Delete namespaces and wait; the finalizer of a run is taken off, as its owner would do."""
    for namespace in namespaces:
        for item in cluster.objects("coderuns.orchestrator.platform", namespace):
            patch = '{"metadata": {"finalizers": null}}'
            cluster.kubectl(
                "patch", "coderun", item["metadata"]["name"], "--namespace", namespace, "--type=merge", "--patch", patch
            )
    cluster.kubectl("delete", "namespace", *namespaces, "--ignore-not-found", "--timeout=110s")


def test_the_drill(cluster, archive):
    """Issue 6: backup, destroy everything, restore, equal; runs with their status, owned objects with their new owner."""
    wipe(cluster, *NAMESPACES)
    cluster.kubectl("delete", "crd", *CRDS, "--timeout=110s")
    looked = run(cluster, LOOK, VARIABLES)
    assert changes(looked) >= 1
    assert not cluster.kubectl("get", "namespace", *NAMESPACES, "--ignore-not-found", "--output=name")
    output = run(cluster, RESTORE, VARIABLES)
    assert changes(output) >= 2
    assert_absent(CANARIES, output + looked, "the output")
    copy = STATE / "copy.tar.gz"
    play(cluster, "backup", backup_dest=str(copy))
    assert differences(archive, copy) == set()
    finished = cluster.get("coderun", "finished", "saved-orchestrator")
    assert finished["status"]["phase"] == "Succeeded"
    assert finished["status"]["workCompleted"] is True
    assert finished["metadata"]["finalizers"] == ["example.org/kept-by-somebody"]
    owned = cluster.get("configmap", "of-the-finished-run", "saved-orchestrator")
    assert [owner["uid"] for owner in owned["metadata"]["ownerReferences"]] == [finished["metadata"]["uid"]]
    before = versions(cluster)
    assert changes(restore(cluster)) == 0
    assert versions(cluster) == before


def helm(cluster, *argv):
    done = subprocess.run(["helm", *argv], env=cluster.env, capture_output=True, text=True, check=False, timeout=200)
    assert done.returncode == 0, done.stderr[-2000:]
    return done.stdout


def test_helm_goes_on_after_a_restore(cluster):
    """OR-332, OR-A39: the release is Helm's again: its values are there, an upgrade works and so does its way back."""
    space = ("--namespace", "saved-orchestrator")
    values = json.loads(helm(cluster, "get", "values", "orchestrator", *space, "--output=json"))
    assert values["secrets"]["existingSecret"] == "orchestrator-secrets"
    run(cluster, UPGRADE.replace("--namespace ", "--namespace saved-"), VARIABLES)
    assert cluster.get("configmap", "orchestrator-config", "saved-orchestrator")["data"]["RUST_LOG"] == "warn"
    helm(cluster, "rollback", "orchestrator", *space)
    assert cluster.get("configmap", "orchestrator-config", "saved-orchestrator")["data"]["RUST_LOG"] != "warn"


def test_after_a_first_installation_that_went_wrong(cluster):
    """OR-A12: there is no revision to roll back to; removed and restored, the release is there as it was."""
    run(cluster, UNINSTALL.replace("--namespace ", "--namespace saved-"), VARIABLES)
    assert changes(run(cluster, COME_BACK, VARIABLES)) >= 1
    assert json.loads(helm(cluster, "list", "--namespace", "saved-orchestrator", "--output=json"))[0]["revision"] == "1"
    assert cluster.get("deployment", "orchestrator", "saved-orchestrator")["spec"]["replicas"] == 0


def test_only_the_secrets(cluster):
    """A part of the archive: a Secret comes back, and a Service that is gone stays gone."""
    space = ("--namespace", "saved-orchestrator")
    cluster.kubectl("delete", "secret", "orchestrator-secrets", *space)
    cluster.kubectl("delete", "networkpolicy", "hand-made", *space)
    assert changes(run(cluster, PART, VARIABLES)) == 1
    assert cluster.get("secret", "orchestrator-secrets", "saved-orchestrator")["type"] == "Opaque"
    assert not cluster.kubectl("get", "networkpolicy", "hand-made", *space, "--ignore-not-found")


def test_into_other_namespaces_by_an_encrypted_archive(cluster):
    """OR-A15: the copy works in its own namespace; the original is not touched, nor is anything of the whole cluster."""
    password, sealed = STATE / "backup-password", STATE / "sealed.tar.gz"
    password.write_text("canary-password-of-the-tests-88dd")
    password.chmod(0o600)
    outputs = [run(cluster, SEAL, VARIABLES)]
    assert sealed.read_bytes().startswith(b"$ANSIBLE_VAULT;1.2;AES256;orchestrator.platform")
    assert stat.S_IMODE(sealed.stat().st_mode) == 0o600
    mapping = {name: name.replace("saved-", "copied-") for name in NAMESPACES}
    copy = re.sub(r"'.*'", f"'{json.dumps({'backup_namespace_map': mapping})}'", COPY)
    before = versions(cluster)
    outputs.append(run(cluster, copy, VARIABLES))
    assert changes(outputs[-1]) >= 2
    assert versions(cluster) == before
    config = cluster.get("configmap", "orchestrator-config", "copied-orchestrator")
    assert config["data"]["KUBERNETES_NAMESPACE"] == "copied-orchestrator"
    [binding] = cluster.objects("rolebindings", "copied-orchestrator")
    assert [subject["namespace"] for subject in binding["subjects"]] == ["copied-orchestrator"]
    assert cluster.get("coderun", "finished", "copied-orchestrator")["status"]["phase"] == "Succeeded"
    copied = tuple(mapping.values())
    seen = versions(cluster, copied)
    assert changes(run(cluster, copy, VARIABLES)) == 0
    assert versions(cluster, copied) == seen
    assert_absent(CANARIES, "".join(outputs), "the output")


def test_what_the_cluster_would_refuse_is_refused_as_a_whole(cluster, archive):
    """Nothing half done: an object that the API server does not take stops the restore before the first write."""
    space = ("--namespace", "saved-orchestrator")
    cluster.kubectl("delete", "configmap", "of-the-finished-run", *space)
    cluster.kubectl("create", "quota", "no-more", *space, "--hard=count/configmaps=1")
    cluster.until(
        lambda: "configmaps" in json.dumps(cluster.get("quota", "no-more", "saved-orchestrator").get("status", {}).get("used", {})),
        "the quota counts",
    )  # fmt: skip
    before = versions(cluster)
    words = refusal(restore(cluster, check=False))
    assert "ConfigMap saved-orchestrator/of-the-finished-run" in words
    assert "Nothing was written" in words
    assert versions(cluster) == before

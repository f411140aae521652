# SPDX-License-Identifier: GPL-3.0-or-later
# SPDX-FileCopyrightText: 2026 The orchestrator.platform authors
"""Backup and restore without a cluster: what is saved and how it is cleaned, which archives are refused, what a restore
makes of other namespaces and of releases (issue 6.6; OR-330…OR-332, OR-A12, OR-A13)."""

from __future__ import annotations

import base64
import gzip
import hashlib
import io
import json
import stat
import tarfile

import pytest
from ansible_collections.orchestrator.platform.plugins.module_utils._archive import pack, unpack
from ansible_collections.orchestrator.platform.plugins.module_utils._backing_up import key_of, load, save
from ansible_collections.orchestrator.platform.plugins.module_utils._backup import (
    BY_KIND,
    PLACES,
    Scope,
    chosen,
    cleaned,
    unfinished,
)
from ansible_collections.orchestrator.platform.plugins.module_utils._backup_files import (
    FOLDER,
    FORMAT,
    Backup,
    Release,
    files_of,
    read_files,
    release_from_record,
)
from ansible_collections.orchestrator.platform.plugins.module_utils._errors import PlatformError
from ansible_collections.orchestrator.platform.plugins.module_utils._restore import (
    alike,
    body_of,
    chart_files,
    check_mapping,
    holds_secret,
    in_namespaces,
    in_order,
    must_be_made_anew,
    replacement,
    same_chart,
)
from ansible_collections.orchestrator.platform.plugins.module_utils._vault import Key
from hypothesis import given, settings
from hypothesis import strategies as st

SCOPE = Scope(namespaces=("orchestrator",), agent_namespaces=("agents",), secret_names=("pull",))
SERVERS = {
    "uid": "u-1", "resourceVersion": "17", "generation": 3, "creationTimestamp": "2026-01-01T00:00:00Z",
    "managedFields": [{"manager": "kubectl", "operation": "Update"}], "selfLink": "/x",
}  # fmt: skip
OURS = {"app.kubernetes.io/part-of": "orchestrator-platform"}


def live(kind: str, name: str, namespace: str = "orchestrator", /, labels=None, annotations=None, owners=(), **fields):
    """An object as a list gives it: without kind, with everything that the server sets."""
    metadata = {"name": name, "namespace": namespace, **SERVERS, "uid": f"uid-{kind}-{name}"}
    if not BY_KIND[kind].namespaced:
        metadata.pop("namespace")
    metadata |= {"labels": labels} if labels else {}
    metadata |= {"annotations": annotations} if annotations else {}
    metadata |= {"ownerReferences": list(owners)} if owners else {}
    return BY_KIND[kind], {"metadata": metadata, **fields}


def owner(kind: str, name: str, **more) -> dict:
    version = BY_KIND[kind].group_version if kind in BY_KIND else "batch/v1"
    return {"apiVersion": version, "kind": kind, "name": name, "uid": f"uid-{kind}-{name}", "controller": True, **more}


def by_helm(name: str = "orchestrator", namespace: str = "orchestrator") -> dict:
    notes = {"meta.helm.sh/release-name": name, "meta.helm.sh/release-namespace": namespace}
    return {"labels": {"app.kubernetes.io/managed-by": "Helm"}, "annotations": notes}


def select(*found, scope: Scope = SCOPE, releases=()):
    saved, left_out = chosen(found, scope, releases)
    return {f"{one.place.kind} {one.namespace}/{one.name}": one for one in saved}, left_out


# -- cleaning ------------------------------------------------------------------------------------------------------


def test_what_the_server_sets_is_gone():
    """OR-A13: nothing that would hinder an apply, or belong to one cluster only, is in the archive."""
    notes = {"deployment.kubernetes.io/revision": "3", "example.org/kept": "yes"}
    deployment = live(
        "Deployment", "x", annotations=notes, labels={"a": "b"}, spec={"replicas": 1}, status={"replicas": 1}
    )
    assert cleaned(*deployment) == {
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "metadata": {
            "name": "x",
            "namespace": "orchestrator",
            "labels": {"a": "b"},
            "annotations": {"example.org/kept": "yes"},
        },
        "spec": {"replicas": 1},
    }


@pytest.mark.parametrize(
    ("found", "spec"),
    [
        (
            live("Service", "s", spec={"clusterIP": "10.0.0.1", "clusterIPs": ["10.0.0.1"], "ipFamilies": ["IPv4"], "type": "ClusterIP"}),
            {"type": "ClusterIP"},
        ),
        (live("Service", "s", spec={"clusterIP": "None", "clusterIPs": ["None"]}), {"clusterIP": "None", "clusterIPs": ["None"]}),
        (live("PersistentVolumeClaim", "workspace-a", spec={"volumeName": "pv-1", "storageClassName": "x"}), {"storageClassName": "x"}),
    ],
)  # fmt: skip
def test_what_one_cluster_has_given_out_is_gone(found, spec):
    """OR-A13: addresses and volumes are given out anew; a headless Service stays headless."""
    assert cleaned(*found)["spec"] == spec


def test_finalizers_of_others_stay():
    """A run's finalizer is the controller's promise; those of Kubernetes come back by themselves."""
    place, obj = live("CodeRun", "r", spec={})
    obj["metadata"]["finalizers"] = ["orchestrator.platform/coderun", "kubernetes.io/pvc-protection", "orphan"]
    assert cleaned(place, obj)["metadata"]["finalizers"] == ["orchestrator.platform/coderun"]


@settings(max_examples=50, deadline=None)
@given(
    st.sampled_from([place for place in PLACES if place.namespaced]),
    st.recursive(
        st.none() | st.booleans() | st.integers() | st.text(max_size=5),
        lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
        max_leaves=8,
    ),
)
def test_cleaning_twice_changes_nothing(place, content):
    """A restored object is compared by its cleaned form, so cleaning has to be stable; and it changes no original."""
    obj = {"metadata": {"name": "x", "namespace": "y", **SERVERS}, "spec": {"content": content}}
    before = json.dumps(obj)
    once = cleaned(place, obj)
    assert cleaned(place, once) == once
    assert json.dumps(obj) == before


# -- selection -----------------------------------------------------------------------------------------------------


def test_everything_in_our_own_namespace_is_saved():
    """OR-A12, OR-A13: hand-made objects have no labels; roles, bindings, accounts, claims and runs are among them."""
    kinds = ("Role", "RoleBinding", "ServiceAccount", "PersistentVolumeClaim", "CodeRun", "Deployment", "Ingress")
    saved, _left_out = select(*(live(kind, "x") for kind in kinds))
    assert {one.place.kind for one in saved.values()} == set(kinds)


def test_what_kubernetes_makes_itself_is_not_saved():
    """A token, the root certificate and a bare default account belong to the cluster; one with pull secrets does not."""
    token = live("Secret", "t", type="kubernetes.io/service-account-token")
    record = live("Secret", "sh.helm.release.v1.x.v1", type="helm.sh/release.v1")
    saved, _left_out = select(token, record, live("ConfigMap", "kube-root-ca.crt"), live("ServiceAccount", "default"))
    assert saved == {}
    saved, _left_out = select(live("ServiceAccount", "default", imagePullSecrets=[{"name": "pull"}]))
    assert list(saved) == ["ServiceAccount orchestrator/default"]


def test_of_an_agents_namespace_only_what_is_the_platforms():
    """Other people's objects are none of our business; agents' Secrets, runs and workspaces are (OR-276, OR-A13)."""
    agents = "agents"
    saved, _left_out = select(
        live("Secret", "somebodys", agents),
        live("ConfigMap", "somebodys", agents),
        live("Deployment", "somebodys", agents),
        live("Secret", "github-ssh-alice", agents),
        live("Secret", "github-token-alice", agents),
        live("Secret", "pull", agents),
        live("Secret", "discord-secrets", agents, labels=OURS),
        live("PersistentVolumeClaim", "workspace-shop", agents),
        live("PersistentVolumeClaim", "data", agents),
        live("CodeRun", "run", agents),
        live("ConfigMap", "of-the-run", agents, owners=[owner("CodeRun", "run")]),
    )
    assert sorted(saved) == sorted(
        [
            "Secret agents/github-ssh-alice",
            "Secret agents/github-token-alice",
            "Secret agents/pull",
            "Secret agents/discord-secrets",
            "PersistentVolumeClaim agents/workspace-shop",
            "CodeRun agents/run",
            "ConfigMap agents/of-the-run",
        ]
    )
    assert saved["ConfigMap agents/of-the-run"].owners == [
        {"apiVersion": "orchestrator.platform/v1", "kind": "CodeRun", "name": "run", "controller": True}
    ]


def test_what_another_object_makes_is_left_out_and_told():
    """The ConfigMap of a Job would be litter without it, and a Job that came back would run a second time."""
    saved, left_out = select(live("ConfigMap", "task", owners=[owner("Job", "run-1")]))
    assert saved == {}
    assert left_out == ["ConfigMap orchestrator/task: its owner Job run-1 makes it"]


def test_of_the_whole_cluster_only_ours():
    """The two CRDs, and roles or policies of our releases or with our label."""
    ours, other = {"group": "orchestrator.platform"}, {"group": "cert-manager.io"}
    saved, _left_out = select(
        live("CustomResourceDefinition", "coderuns.orchestrator.platform", spec=ours),
        live("CustomResourceDefinition", "certificates.cert-manager.io", spec=other),
        live("ClusterRole", "of-the-chart", **by_helm()),
        live("ClusterRole", "of-another", **by_helm("elsewhere", "elsewhere")),
        live("ValidatingAdmissionPolicy", "labelled", labels=OURS),
        live("ClusterRole", "cluster-admin"),
        releases=["orchestrator/orchestrator"],
    )
    assert {one.name for one in saved.values()} == {"coderuns.orchestrator.platform", "of-the-chart", "labelled"}
    assert saved["ClusterRole /of-the-chart"].release == "orchestrator/orchestrator"


def test_runs_under_way_are_named():
    """Their Jobs are not saved, which the user has to know beforehand."""
    done = live("CodeRun", "done", status={"phase": "Succeeded"})
    running = live("DocsRun", "running", status={"phase": "Running"})
    saved, _left_out = select(done, running, live("CodeRun", "new"))
    assert unfinished(saved.values()) == ["CodeRun orchestrator/new", "DocsRun orchestrator/running"]


# -- the archive ---------------------------------------------------------------------------------------------------


def release(**more) -> Release:
    chart = {
        "metadata": {"name": "orchestrator", "version": "0.1.0"},
        "templates": [{"name": "templates/x.yaml", "data": base64.b64encode(b"kind: ConfigMap").decode()}],
        "values": {"replicaCount": 1},
        "schema": base64.b64encode(b"{}").decode(),
        "files": [{"name": "crds/a.yaml", "data": base64.b64encode(b"x: 1").decode()}],
    }
    given = {"name": "orchestrator", "namespace": "orchestrator", "revision": 3, "status": "deployed", "chart": chart}
    return Release(**{**given, "values": {"secrets": {"existingSecret": "canary"}}, **more})


def backup(*found) -> Backup:
    if not found:
        found = (
            live("Secret", "orchestrator-secrets", type="Opaque", data={"ANTHROPIC_API_KEY": "Y2FuYXJ5"}),
            live("CodeRun", "run", spec={"taskId": 1}, status={"phase": "Succeeded"}),
            live("ConfigMap", "of-the-run", owners=[owner("CodeRun", "run")], data={"a": "b"}),
        )
    saved, left_out = chosen(found, SCOPE, [])
    about = {
        "namespaces": ["orchestrator"],
        "agent_namespaces": ["agents"],
        "versions": {"kubernetes": "v1"},
        "left_out": left_out,
    }
    return Backup(saved, [release()], about)


def archive(files=None, **changed) -> bytes:
    return pack({**(files or files_of(backup())), **changed}, FOLDER, mtime=0)


def opened(content: bytes) -> Backup:
    return read_files(unpack(content, FOLDER, "a.tar.gz"), "a.tar.gz")


def test_what_is_written_is_read_back():
    """Objects, owners, status, release and its values come back as they were."""
    before = backup()
    after = opened(archive(files_of(before)))
    assert after.saved == before.saved
    assert after.releases == before.releases
    assert after.about["versions"] == before.about["versions"]


def test_the_same_cluster_gives_the_same_bytes(tmp_path):
    """An archive that holds the same already is not written again; it is readable to its owner alone."""
    dest = tmp_path / "b.tar.gz"
    assert save(backup(), str(dest), None, dry_run=True)["changed"]
    assert not dest.exists()
    assert save(backup(), str(dest), None, dry_run=False)["changed"]
    assert stat.S_IMODE(dest.stat().st_mode) == 0o600
    written = dest.stat().st_mtime_ns
    assert not save(backup(), str(dest), None, dry_run=False)["changed"]
    assert dest.stat().st_mtime_ns == written
    dest.chmod(0o644)
    assert save(backup(), str(dest), None, dry_run=False)["changed"]
    assert stat.S_IMODE(dest.stat().st_mode) == 0o600


@pytest.mark.parametrize("dry_run", [True, False])
@pytest.mark.parametrize(("dest", "words"), [("nowhere/b.tar.gz", "is no folder"), ("", "is a folder")])
def test_a_place_that_takes_no_archive_is_said_in_check_mode_too(tmp_path, dest, words, dry_run):
    """Issue 6, bad input: check mode promises nothing that the run cannot keep."""
    with pytest.raises(PlatformError, match=f"{words}.*Correct dest"):
        save(backup(), str(tmp_path / dest), None, dry_run=dry_run)
    assert list(tmp_path.iterdir()) == []


def test_a_missing_password_file_is_said_before_anything_is_read(tmp_path):
    """Issue 6, bad input: in check mode too, where nothing is encrypted yet."""
    with pytest.raises(PlatformError, match="does not exist: correct vault_password_file"):
        key_of({"vault_password_file": str(tmp_path / "nowhere"), "vault_id": ""})


def refusal(content: bytes) -> str:
    with pytest.raises(PlatformError) as caught:
        opened(content)
    return str(caught.value)


def test_a_later_format_is_refused():
    """Issue 6, bad input: an archive of a newer version says what to do."""
    files = files_of(backup())
    manifest = json.loads(files["manifest.json"]) | {"format": FORMAT + 1}
    words = refusal(archive(files, **{"manifest.json": json.dumps(manifest)}))
    assert f"format {FORMAT + 1}" in words
    assert "later one" in words


@pytest.mark.parametrize("name", sorted(set(files_of(backup())) - {"manifest.json"}))
def test_a_changed_file_is_refused(name):
    """Each file counts: its sum stands in the manifest."""
    files = files_of(backup())
    words = refusal(archive(files, **{name: files[name].replace("a", "b", 1)}))
    assert name in words
    assert "SHA-256" in words
    del files[name]
    assert name in refusal(archive(files))


def test_an_added_file_is_refused():
    """What no manifest lists was put there by somebody else."""
    assert "does not list" in refusal(archive(files_of(backup()), **{"objects/x/secrets/y.json": "{}"}))


def test_an_object_under_another_name_is_refused():
    """Even with sums that fit, a file is what its name says."""
    files = files_of(backup())
    [name] = [name for name in files if name.startswith("objects/orchestrator/secrets/")]
    files[name] = files[name].replace("orchestrator-secrets", "other")
    manifest = json.loads(files["manifest.json"])
    manifest["files"][name] = hashlib.sha256(files[name].encode()).hexdigest()
    assert "another object" in refusal(archive(files, **{"manifest.json": json.dumps(manifest)}))


@settings(max_examples=30, deadline=None)
@given(st.floats(min_value=0, max_value=1, exclude_max=True))
def test_a_cut_archive_is_refused(share):
    """Wherever the archive ends too early, it is refused as a whole."""
    content = archive()
    assert refusal(content[: int(len(content) * share)])


@settings(max_examples=60, deadline=None)
@given(st.integers(min_value=10), st.integers(min_value=1, max_value=255))
def test_a_damaged_archive_is_refused(at, flip):
    """Any changed byte behind the header of gzip, its checksum included."""
    content = bytearray(archive())
    content[10 + at % (len(content) - 10)] ^= flip
    assert refusal(bytes(content))


def tar_of(*members) -> bytes:
    raw = io.BytesIO()
    with tarfile.open(fileobj=raw, mode="w:gz") as out:
        for name, kind, content in members:
            member = tarfile.TarInfo(name)
            member.type, member.size, member.linkname = kind, len(content), "/etc/passwd"
            out.addfile(member, io.BytesIO(content))
    return raw.getvalue()


@pytest.mark.parametrize(
    "member",
    [
        (f"{FOLDER}/../outside", tarfile.REGTYPE, b"x"),
        ("/etc/outside", tarfile.REGTYPE, b"x"),
        ("elsewhere/x", tarfile.REGTYPE, b"x"),
        (f"{FOLDER}/link", tarfile.SYMTYPE, b""),
        (f"{FOLDER}/link", tarfile.LNKTYPE, b""),
        (f"{FOLDER}/device", tarfile.CHRTYPE, b""),
        (f"{FOLDER}/folder", tarfile.DIRTYPE, b""),
        (f"{FOLDER}//empty", tarfile.REGTYPE, b"x"),
    ],
    ids=lambda member: member[0] + member[1].decode(),
)
def test_entries_outside_are_refused(member):
    """Nothing but plain files of our folder is looked at, and nothing is written to disk at all."""
    assert "plain file" in refusal(tar_of(member))


def test_a_doubled_entry_and_a_foreign_archive_are_refused():
    """Of two entries of one name a reader could take the wrong one."""
    row = (f"{FOLDER}/x", tarfile.REGTYPE, b"x")
    assert "twice" in refusal(tar_of(row, row))
    assert "no backup" in refusal(tar_of(row))
    assert "no archive" in refusal(b"hello")
    assert "no archive" in refusal(gzip.compress(b"hello"))


def test_a_bomb_is_not_unpacked(monkeypatch):
    """Memory has a bound, whatever an archive says of itself."""
    monkeypatch.setattr(
        "ansible_collections.orchestrator.platform.plugins.module_utils._archive.MAX_UNPACKED_BYTES", 99
    )
    assert "more than any backup" in refusal(tar_of((f"{FOLDER}/x", tarfile.REGTYPE, b"0" * 100)))


# -- encryption ----------------------------------------------------------------------------------------------------


def test_an_encrypted_archive(tmp_path):
    """Ansible Vault's own file; with the wrong password, without one and changed it is refused in words."""
    passwords = [tmp_path / "right", tmp_path / "wrong"]
    for file in passwords:
        file.write_text(file.name)
    right, wrong = (Key(str(file), "backup") for file in passwords)
    dest = tmp_path / "b.vault"
    assert save(backup(), str(dest), right, dry_run=False)["changed"]
    assert not save(backup(), str(dest), right, dry_run=False)["changed"]
    content = dest.read_bytes()
    assert content.startswith(b"$ANSIBLE_VAULT;1.2;AES256;backup\n")
    assert stat.S_IMODE(dest.stat().st_mode) == 0o600
    assert sorted(file.name for file in tmp_path.iterdir()) == ["b.vault", "right", "wrong"]
    assert load(str(dest), right).saved == backup().saved
    with pytest.raises(PlatformError, match="vault_password_file"):
        load(str(dest), None)
    with pytest.raises(PlatformError, match="is it the password"):
        load(str(dest), wrong)
    with pytest.raises(PlatformError, match="does not exist"):
        load(str(dest), Key(str(tmp_path / "none"), "backup"))
    line = content.splitlines()[4]
    dest.write_bytes(content.replace(line, line[::-1]))
    with pytest.raises(PlatformError, match="could not be decrypted"):
        load(str(dest), right)


# -- other namespaces ----------------------------------------------------------------------------------------------


def test_everything_moves_with_its_namespace():
    """Names stay; the namespace, its subjects, and what a controller reads of it are exchanged (OR-A15)."""
    notes = {"kubectl.kubernetes.io/last-applied-configuration": "{}"}
    subject = {"kind": "ServiceAccount", "name": "x", "namespace": "orchestrator"}
    before = backup(
        live("Namespace", "orchestrator"),
        live(
            "ConfigMap", "c", data={"KUBERNETES_NAMESPACE": "orchestrator", "NOTE": "orchestrator"}, annotations=notes
        ),
        live("RoleBinding", "b", subjects=[subject], roleRef={}),
        live("Service", "s", spec={"ports": [{"port": 80, "nodePort": 30080}]}),
    )
    values = {
        "config": {"kubernetesNamespace": "orchestrator", "serverHost": "orchestrator"},
        "admission": {
            "namespaceSelector": {"matchExpressions": [{"key": "kubernetes.io/metadata.name", "values": ["agents"]}]}
        },
    }
    before = before._replace(releases=[release(values=values)])
    after = in_namespaces(before, {"orchestrator": "new", "agents": "agents-new"})
    found = {one.place.kind: one.obj for one in after.saved}
    assert found["Namespace"]["metadata"]["name"] == "new"
    assert found["ConfigMap"]["metadata"] == {"name": "c", "namespace": "new"}
    assert found["ConfigMap"]["data"] == {"KUBERNETES_NAMESPACE": "new", "NOTE": "orchestrator"}
    assert found["RoleBinding"]["subjects"][0]["namespace"] == "new"
    assert found["Service"]["spec"]["ports"] == [{"port": 80}]
    assert after.releases[0].namespace == "new"
    assert after.releases[0].values == {
        "config": {"kubernetesNamespace": "new", "serverHost": "orchestrator"},
        "admission": {
            "namespaceSelector": {
                "matchExpressions": [{"key": "kubernetes.io/metadata.name", "values": ["agents-new"]}]
            }
        },
    }
    assert before.saved[0].obj["metadata"]["name"] == "orchestrator", "the archive's own objects stay as they are"


@pytest.mark.parametrize(
    ("mapping", "words"),
    [
        ({"elsewhere": "x"}, "does not hold"),
        ({"orchestrator": "agents"}, "two namespaces into agents"),
        ({"orchestrator": "Capital"}, "no namespace can be named"),
    ],
)
def test_a_mapping_without_sense_is_refused(mapping, words):
    """Before anything is read of the cluster."""
    with pytest.raises(PlatformError, match=words):
        check_mapping(backup(), mapping)


# -- writing -------------------------------------------------------------------------------------------------------


def test_owners_first_and_workloads_last():
    """What a run owns needs the run's new uid; what begins to work comes when all it reads is there (OR-A13)."""
    before = backup(
        live("Deployment", "controller"),
        live("ConfigMap", "of-the-run", owners=[owner("CodeRun", "run")]),
        live("CodeRun", "run"),
        live("Secret", "key"),
        live("CustomResourceDefinition", "coderuns.orchestrator.platform", spec={"group": "orchestrator.platform"}),
    )
    kinds = [one.place.kind for group in in_order(before.saved) for one in group]
    assert kinds == ["CustomResourceDefinition", "Secret", "CodeRun", "ConfigMap", "Deployment"]


def test_an_owner_gets_its_new_uid_or_none():
    """A reference to a uid that is not there would make the garbage collector delete the object."""
    [owned] = [one for one in backup().saved if one.owners]
    found = body_of(owned, {("CodeRun", "orchestrator", "run"): "new-uid"})
    assert [one["uid"] for one in found["metadata"]["ownerReferences"]] == ["new-uid"]
    assert "ownerReferences" not in body_of(owned, {})["metadata"]


def test_alike_means_nothing_to_write():
    """The second restore compares what it would write with what is there."""
    place, there = live("ConfigMap", "c", data={"a": "1"})
    [one] = backup((place, there)).saved
    assert alike(one, one.obj, there)
    for change in ({"data": {"a": "2"}}, {"data": {"a": "1", "b": "2"}}):
        assert not alike(one, one.obj, {**there, **change})
    relabelled = {**there, "metadata": {**there["metadata"], "labels": {"x": "y"}}}
    assert not alike(one, one.obj, relabelled)


def test_what_cannot_be_changed_in_place_is_made_anew():
    """Immutable Secrets, another type, and role references."""
    place, there = live("Secret", "s", type="Opaque", data={"a": "YQ=="})
    [one] = backup((place, there)).saved
    assert not must_be_made_anew(one, one.obj, there)
    assert must_be_made_anew(one, one.obj, {**there, "immutable": True})
    assert must_be_made_anew(one, {**one.obj, "type": "kubernetes.io/tls"}, there)
    binding = live("RoleBinding", "b", roleRef={"name": "a"}, subjects=[])
    [bound] = backup(binding).saved
    assert must_be_made_anew(bound, {**bound.obj, "roleRef": {"name": "b"}}, binding[1])
    assert replacement(one.obj, there)["metadata"]["resourceVersion"] == "17"


# -- releases ------------------------------------------------------------------------------------------------------


def test_a_chart_comes_out_of_helms_record():
    """OR-332 and OR-A12: with its chart and values a release comes back without the version that installed it."""
    record = {
        "name": "orchestrator",
        "namespace": "orchestrator",
        "version": 3,
        "info": {"status": "deployed"},
        "config": {"secrets": {"existingSecret": "canary"}},
        "chart": release().chart,
        "manifest": "x",
    }
    found = release_from_record(record)
    assert found == release()
    files = chart_files(found)
    assert json.loads(files["Chart.yaml"])["version"] == "0.1.0"
    assert files["templates/x.yaml"] == b"kind: ConfigMap"
    assert files["crds/a.yaml"] == b"x: 1"
    assert files["values.schema.json"] == b"{}"
    assert same_chart(found, release(revision=9))
    assert not same_chart(found, release(values={}))


@pytest.mark.parametrize(
    ("values", "sensitive"),
    [
        ({"secrets": {"anthropicApiKey": "sk-1"}}, True),
        ({"bot": {"secret": {"token": "x"}}}, True),
        ({"secrets": {"anthropicApiKey": "use-existing"}}, False),
        ({"secrets": {"existingSecret": "orchestrator-secrets", "existingSecretKey": "ANTHROPIC_API_KEY"}}, False),
        ({"secrets": {"anthropicApiKey": ""}, "replicaCount": 1}, False),
    ],
)
def test_values_with_a_secret_are_known(values, sensitive):
    """D6: Helm's module returns values, so the task that brings such a release prints nothing."""
    assert holds_secret(values) is sensitive


@pytest.mark.parametrize("name", ["../x", "/etc/x", "templates/../../x", "a//b", "a\\b"])
def test_a_chart_stays_in_its_folder(name):
    """The record comes from an archive: a file outside of the chart is refused."""
    chart = release().chart | {"templates": [{"name": name, "data": ""}]}
    with pytest.raises(PlatformError, match="outside"):
        chart_files(release(chart=chart))

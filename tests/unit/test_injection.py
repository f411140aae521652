# SPDX-License-Identifier: GPL-3.0-or-later
# SPDX-FileCopyrightText: 2026 The orchestrator.platform authors
"""Batches, failing rollouts, putting back, Jobs made again: on a cluster made of dictionaries, without its time."""

from __future__ import annotations

import json

import pytest
from ansible_collections.orchestrator.platform.plugins.module_utils._errors import ApiError, ClusterError, PlatformError

from .test_sidecar_module import FakeCluster, codes, run

ALL = ["own-volume", "plain", "two-containers"]  # in the order of a run


class RollingCluster(FakeCluster):
    """Rolls out what is applied at once; the pods of `broken` workloads do not start while they hold `bad`."""

    def __init__(self, snippet: dict, *, broken: tuple[str, ...] = (), before: str | None = None) -> None:
        super().__init__(snippet)
        self.broken = broken
        self.always = before
        self.listeners: dict[str, list] = {}
        self.lists = 0
        self.refuse_second: ApiError | None = None
        for item in self.deployments.values():
            self._roll(item)

    def _roll(self, obj: dict) -> None:
        name = obj["metadata"]["name"]
        ours = "managedFields" in obj["metadata"]
        works = not (ours and name in self.broken) and name != self.always
        generation = obj["metadata"]["generation"]
        obj["spec"].setdefault("replicas", 1)
        counts = {"replicas": 1, "updatedReplicas": 1, "availableReplicas": int(works)}
        obj["status"] = {"observedGeneration": generation, **counts}

    def _pod(self, obj: dict) -> dict:
        name = obj["metadata"]["name"]
        state = {"waiting": {"reason": "ErrImagePull", "message": "no such image"}}
        if obj["status"]["availableReplicas"]:
            state = {"running": {}}
        metadata = {
            "name": f"{name}-1-x",
            "uid": f"{name}-{obj['metadata']['generation']}",
            "labels": {"pod-template-hash": "1"},
            "annotations": (obj["spec"]["template"].get("metadata") or {}).get("annotations") or {},
            "ownerReferences": [{"kind": "ReplicaSet", "name": f"{name}-1", "controller": True}],
        }
        return {
            "metadata": metadata,
            "status": {"initContainerStatuses": [{"name": "discord-watcher", "state": state}]},
        }

    def follow(self, path, deliver, _stop, *, since="", refused=None):
        self.lists += 1
        self.listeners[path.rsplit("/", 1)[1]] = deliver
        for obj in list(self.deployments.values()):
            deliver("ADDED", self._pod(obj) if path.endswith("pods") else obj)

    def apply(self, path, sent, **how):
        name = path.rsplit("/", 1)[1]
        generation = self.deployments[name]["metadata"]["generation"]
        if self.refuse_second is not None and generation > 1:
            raise self.refuse_second
        before = self.deployments[name]["metadata"]
        after = super().apply(path, sent, **how)
        after["metadata"].update(uid=before["uid"], generation=generation + 1, resourceVersion=str(generation + 1))
        self._roll(after)
        self.deployments[name] = json.loads(json.dumps(after))
        for source, deliver in self.listeners.items():
            deliver("MODIFIED", self._pod(after) if source == "pods" else after)
        return after


def injected(cluster: FakeCluster) -> set[str]:
    return {name for name, obj in cluster.deployments.items() if "managedFields" in obj["metadata"]}


def test_batches_go_on_over_the_same_watches(snippet_document):
    cluster = RollingCluster(snippet_document)
    result = run(cluster, wait=True, batch="1")
    assert result["summary"]["injected"] == 3
    assert cluster.lists == 2  # Deployments and pods, once


def test_failed_rollout_is_put_back_and_the_rest_is_not_reached(snippet_document):
    """Only what failed is put back; what was done before stays."""
    cluster = RollingCluster(snippet_document, broken=("plain",))
    result = run(cluster, wait=True, batch="1")
    assert codes(result) == {"own-volume": "injected", "plain": "rolled_back", "two-containers": "not_reached"}
    assert injected(cluster) == {"own-volume"}
    row = next(row for row in result["workloads"] if row["name"] == "plain")
    assert (row["outcome"], result["failed"], result["changed"]) == ("failed", True, True)
    assert "container discord-watcher: ErrImagePull: no such image" in row["message"]


def test_in_one_batch_only_the_failed_one_is_put_back(snippet_document):
    cluster = RollingCluster(snippet_document, broken=("plain",))
    run(cluster, wait=True)
    assert injected(cluster) == {"own-volume", "two-containers"}


def test_stop_leaves_the_failed_one_and_reaches_no_other(snippet_document):
    cluster = RollingCluster(snippet_document, broken=("own-volume",))
    result = run(cluster, wait=True, batch="1", on_failure="stop")
    assert codes(result) == {"own-volume": "rollout_failed", "plain": "not_reached", "two-containers": "not_reached"}
    assert injected(cluster) == {"own-volume"}


def test_continue_goes_on(snippet_document):
    cluster = RollingCluster(snippet_document, broken=("own-volume",))
    result = run(cluster, wait=True, batch="1", on_failure="continue")
    assert codes(result) == {"own-volume": "rollout_failed", "plain": "injected", "two-containers": "injected"}
    assert result["failed"]


@pytest.mark.parametrize(("on_failure", "stopped"), [("rollback", True), ("stop", True), ("continue", False)])
def test_whether_anything_more_may_be_begun_is_told(snippet_document, on_failure, stopped):
    """The role has other targets, of which this module knows nothing."""
    broken = RollingCluster(snippet_document, broken=("two-containers",))
    assert run(broken, wait=True, on_failure=on_failure)["stopped"] is stopped
    assert run(RollingCluster(snippet_document), wait=True, on_failure=on_failure)["stopped"] is False


def test_failed_update_is_put_back_to_what_was_ours_before(snippet_document):
    cluster = RollingCluster(snippet_document)
    run(cluster, wait=True, names=["plain"])
    before = cluster.deployments["plain"]["spec"]
    cluster.broken = ("plain",)
    snippet_document["watcher"]["image"] = "discord-monitor:broken"
    original = cluster._roll

    def roll(obj):
        original(obj)
        if "discord-monitor:broken" not in json.dumps(obj):
            obj["status"]["availableReplicas"] = 1

    cluster._roll = roll
    result = run(cluster, wait=True, names=["plain"])
    assert codes(result) == {"plain": "rolled_back"}
    assert cluster.deployments["plain"]["spec"] == before


def test_rollback_that_is_refused_says_so(snippet_document):
    cluster = RollingCluster(snippet_document, broken=("plain",))
    cluster.refuse_second = ApiError(403, "an admission policy says no", {})
    result = run(cluster, wait=True, names=["plain"])
    assert codes(result) == {"plain": "rollout_failed"}
    assert (
        "could not be put back to what it was before: an admission policy says no" in result["workloads"][0]["message"]
    )


def test_workload_that_was_failing_before_is_not_blamed_on_us_in_silence(snippet_document):
    cluster = RollingCluster(snippet_document, before="plain")
    result = run(cluster, wait=True, names=["plain"])
    assert codes(result) == {"plain": "rolled_back"}
    assert "was not complete before the change either: 0 of 1 replicas available" in result["workloads"][0]["message"]


@pytest.mark.parametrize(
    ("kind", "spec", "reason"),
    [
        ("Deployment", {"paused": True}, "the Deployment is paused"),
        ("StatefulSet", {"updateStrategy": {"type": "OnDelete"}}, "pods change when they are deleted (OnDelete)"),
        ("DaemonSet", {"updateStrategy": {"type": "OnDelete"}}, "pods change when they are deleted (OnDelete)"),
    ],
)
def test_change_that_no_pod_has_seen_is_told_as_such(snippet_document, kind, spec, reason):
    """Success alone would say that the new pods run."""
    cluster = RollingCluster(snippet_document)
    cluster.deployments["plain"]["spec"].update(spec)
    (row,) = run(cluster, wait=True, names=["plain"], kinds=[kind])["workloads"]
    assert row["code"] == "injected"
    assert f"There was no rollout to wait for: {reason}." in row["message"]


def test_sentences_of_others_end_before_ours_begin(snippet_document):
    cluster = RollingCluster(snippet_document, before="plain")
    message = run(cluster, wait=True, names=["plain"])["workloads"][0]["message"]
    assert ". It was not complete before the change either: " in message


def test_timeout_counts_as_a_failure(snippet_document):
    cluster = RollingCluster(snippet_document, broken=("plain",))
    cluster._pod = lambda _obj: {"metadata": {"uid": "nobody", "name": "x"}}
    result = run(cluster, wait=True, wait_timeout=1, names=["plain"], on_failure="stop")
    assert codes(result) == {"plain": "rollout_timeout"}


def test_refused_apply_stops_no_batch(snippet_document):
    """A conflict changes nothing, so there is no rollout that failed."""
    cluster = RollingCluster(snippet_document)
    apply = cluster.apply

    def refuse(path, sent, **how):
        if path.endswith("own-volume"):
            raise ApiError(403, "no", {})
        return apply(path, sent, **how)

    cluster.apply = refuse
    result = run(cluster, wait=True, batch="1")
    assert codes(result) == {"own-volume": "forbidden", "plain": "injected", "two-containers": "injected"}


def test_server_that_is_gone_is_asked_once_and_what_was_done_is_told(snippet_document):
    cluster = RollingCluster(snippet_document)
    apply, asked = cluster.apply, []

    def once(path, sent, **how):
        asked.append(path)
        if len(asked) > 1:
            raise ClusterError("The API server gave no answer.")
        return apply(path, sent, **how)

    cluster.apply = once
    result = run(cluster)
    assert codes(result) == {"own-volume": "injected", "plain": "api_error", "two-containers": "api_error"}
    assert (len(asked), result["changed"], result["failed"]) == (2, True, True)


def test_check_mode_neither_waits_nor_stops(snippet_document):
    cluster = RollingCluster(snippet_document, broken=("plain",))
    result = run(cluster, wait=True, batch="1", check_mode=True)
    assert result["summary"]["injected"] == 3
    assert cluster.lists == 0


def test_what_is_no_batch_is_refused_before_anything_is_read(snippet_document):
    cluster = RollingCluster(snippet_document)
    with pytest.raises(PlatformError, match="batch is 'half'"):
        run(cluster, batch="half")
    assert cluster.calls == 0


@pytest.mark.parametrize(("field", "value"), [("wait_timeout", 0), ("wait_timeout", -5), ("wait_stable", -1)])
def test_times_that_make_no_sense_are_refused_before_anything_is_read(snippet_document, field, value):
    """A wait of no time would call each rollout late and take everything back at once."""
    cluster = RollingCluster(snippet_document)
    with pytest.raises(PlatformError, match=f"{field} is below"):
        run(cluster, **{field: value})
    assert cluster.calls == 0


def test_agent_that_dies_after_it_was_available_is_put_back(snippet_document):
    cluster = RollingCluster(snippet_document)
    make = cluster._pod

    def dead(obj):
        made = make(obj)
        if "managedFields" in obj["metadata"] and obj["metadata"]["name"] == "plain":
            state = {"terminated": {"exitCode": 1, "reason": "Error"}}
            made["status"]["containerStatuses"] = [{"name": "agent", "restartCount": 0, "state": state}]
        return made

    cluster._pod = dead
    assert codes(run(cluster, wait=True, names=["plain"])) == {"plain": "injected"}  # where nobody looks
    cluster = RollingCluster(snippet_document)
    make, cluster._pod = cluster._pod, dead
    result = run(cluster, wait=True, wait_stable=1)
    assert codes(result) == {"own-volume": "injected", "plain": "rolled_back", "two-containers": "injected"}
    assert "did not stay up: pod plain-1-x, container agent: exit code 1" in result["msg"]


def test_selector_that_the_server_refuses_is_one_sentence(snippet_document):
    cluster = RollingCluster(snippet_document)

    def pages(_path, **_params):
        raise ApiError(400, 'field label not supported: "spec.x"', {})

    cluster.pages = pages
    with pytest.raises(PlatformError, match="refuses to select deployments in agents by label_selectors and field_sel"):
        run(cluster, field_selectors=["spec.x=1"])


def test_calls_are_told_by_part(snippet_document):
    calls = run(RollingCluster(snippet_document), wait=True)["api_calls"]
    assert calls["patches"] == 3
    assert calls["total"] == sum(value for key, value in calls.items() if key not in ("total", "patches"))


class StatefulCluster(RollingCluster):
    """The same workloads as StatefulSets, whose controller waits for a pod that does not start until it is deleted."""

    def __init__(self, snippet: dict, **how) -> None:
        super().__init__(snippet, **how)
        self.deleted: list[tuple[str, str]] = []
        self.refuse_delete: ApiError | None = None

    def items(self, path, **params):
        if path.endswith("/pods"):
            return [self._pod(item) for item in self.deployments.values()], "7"
        return super().items(path, **params)

    def _pod(self, obj: dict) -> dict:
        pod = super()._pod(obj)
        pod["metadata"]["ownerReferences"] = [
            {"kind": "StatefulSet", "name": obj["metadata"]["name"], "controller": True}
        ]
        return pod

    def delete(self, path, *, uid):
        if self.refuse_delete is not None:
            raise self.refuse_delete
        self.deleted.append((path, uid))


def test_stateful_set_is_put_back_with_the_pods_it_waits_for(snippet_document):
    """kubernetes.io, StatefulSets, "Forced rollback"; seen on a cluster: the old template alone changes nothing."""
    cluster = StatefulCluster(snippet_document, broken=("plain",))
    result = run(cluster, wait=True, kinds=["StatefulSet"])
    assert codes(result)["plain"] == "rolled_back"
    assert cluster.deleted == [("/api/v1/namespaces/agents/pods/plain-1-x", "plain-2")]


def test_stateful_set_whose_pods_may_not_be_deleted_says_what_to_do(snippet_document):
    cluster = StatefulCluster(snippet_document, broken=("plain",))
    cluster.refuse_delete = ApiError(403, "pods is forbidden", {})
    rows = run(cluster, wait=True, kinds=["StatefulSet"], names=["plain"])["workloads"]
    assert "Delete its pods that do not start" in rows[0]["message"]


def test_removal_whose_rollout_fails_is_never_taken_back(snippet_document):
    """The sidecar would be put back into what has just been freed of it."""
    cluster = RollingCluster(snippet_document)
    run(cluster, wait=True, names=["plain"])
    cluster.always = "plain"
    result = run(cluster, state="absent", wait=True, names=["plain"])
    assert codes(result) == {"plain": "rollout_failed"}
    assert "stays out" in result["workloads"][0]["message"]
    assert injected(cluster) == set()


def broken_stateful_set(snippet_document) -> StatefulCluster:
    cluster = StatefulCluster(snippet_document, broken=("plain",))
    run(cluster, kinds=["StatefulSet"], names=["plain"])  # without waiting: it stays as it is, with its stuck pod
    apply = cluster.apply

    def keep_pods(path, sent, **how):
        cluster.old = [cluster._pod(item) for item in cluster.deployments.values()]
        return apply(path, sent, **how)

    items = cluster.items
    cluster.items = lambda path, **params: (cluster.old, "7") if path.endswith("/pods") else items(path, **params)
    cluster.apply = keep_pods
    return cluster


@pytest.mark.parametrize("wait", [True, False])
def test_removal_frees_a_stateful_set_of_the_pod_that_it_waits_for(snippet_document, wait):
    """Only the pod of the template that was left, and only where it is not ready."""
    cluster = broken_stateful_set(snippet_document)
    result = run(cluster, kinds=["StatefulSet"], state="absent", wait=wait)
    assert codes(result)["plain"] == "removed"
    assert cluster.deleted == [("/api/v1/namespaces/agents/pods/plain-1-x", "plain-2")]


def test_removal_in_check_mode_deletes_no_pod(snippet_document):
    cluster = broken_stateful_set(snippet_document)
    assert codes(run(cluster, kinds=["StatefulSet"], state="absent", check_mode=True))["plain"] == "removed"
    assert cluster.deleted == []


def test_removal_that_may_not_delete_the_pod_says_what_to_do(snippet_document):
    cluster = broken_stateful_set(snippet_document)
    cluster.refuse_delete = ApiError(403, "pods is forbidden", {})
    rows = run(cluster, kinds=["StatefulSet"], state="absent", names=["plain"])["workloads"]
    assert "Delete its pods that do not start" in rows[0]["message"]


# -- what the decision needs to know ------------------------------------------------------------------------------


def test_missing_webhook_secret_is_told_and_nothing_is_sent(snippet_document):
    """Known from the names alone: what Secrets hold is never read."""
    cluster = RollingCluster(snippet_document)
    cluster.secrets = []
    result = run(cluster, names=["plain"])
    assert codes(result) == {"plain": "secret_missing"}
    assert cluster.sent == []


@pytest.mark.parametrize(("named", "code"), [(None, "injected"), ("misspelt", "secret_missing")])
def test_secret_that_a_setting_names_is_missing_in_check_mode_too(snippet_document, named, code):
    """What the platform makes itself may come later; what somebody has named may be misspelt."""
    cluster = RollingCluster(snippet_document)
    cluster.secrets = []
    result = run(cluster, names=["plain"], check_mode=True, overrides={"webhook_secret_name": named})
    assert codes(result) == {"plain": code}


def test_secrets_that_may_not_be_listed_are_no_reason(snippet_document):
    cluster = RollingCluster(snippet_document)
    cluster.secrets = None
    assert codes(run(cluster, names=["plain"])) == {"plain": "injected"}


def test_secrets_are_not_listed_without_a_reference_to_one(snippet_document):
    snippet_document["watcher"]["env"] = []
    cluster = RollingCluster(snippet_document)
    cluster.secrets = []
    assert codes(run(cluster, names=["plain"])) == {"plain": "injected"}


def test_overrides_reach_the_container(snippet_document):
    cluster = RollingCluster(snippet_document)
    run(cluster, names=["plain"], overrides={"image": "registry.example.org/watcher:2", "log_level": None})
    assert "registry.example.org/watcher:2" in json.dumps(cluster.sent[0]["body"])


def test_override_that_cannot_be_used_is_refused_before_anything_is_read(snippet_document):
    cluster = RollingCluster(snippet_document)
    with pytest.raises(PlatformError, match="og_level is"):
        run(cluster, overrides={"log_level": "loud"})
    assert cluster.calls == 0


# -- Jobs ---------------------------------------------------------------------------------------------------------


JOB = {
    "apiVersion": "batch/v1",
    "kind": "Job",
    "metadata": {"name": "batch", "namespace": "agents", "uid": "uid-1", "resourceVersion": "5", "generation": 1},
    "spec": {
        "suspend": True,
        "template": {"spec": {"restartPolicy": "Never", "containers": [{"name": "agent", "image": "agent:1"}]}},
    },
}


class JobCluster(FakeCluster):
    """One suspended Job; remembers the order of what is asked."""

    def __init__(self, snippet: dict) -> None:
        super().__init__(snippet)
        self.job: dict | None = json.loads(json.dumps(JOB))
        self.asked: list[str] = []
        self.refuse: dict[str, ApiError] = {}

    def items(self, path, **params):
        return ([self.job] if self.job else [], "7") if path.endswith("/jobs") else super().items(path, **params)

    def find(self, path, **params):
        return self.job if "/jobs/" in path else super().find(path, **params)

    def _ask(self, what: str) -> None:
        self.asked.append(what)
        if what in self.refuse:
            raise self.refuse[what]

    def create(self, _path, body, *, manager, dry_run):
        assert manager == "orchestrator.platform"
        self._ask("create?" if dry_run else "create")
        if self.job is not None:
            raise ApiError(409, "exists", {"reason": "AlreadyExists"})
        self.job = {**json.loads(body), "metadata": {**json.loads(body)["metadata"], "uid": "uid-2"}}
        return self.job

    def delete(self, _path, *, uid, version, dry_run):
        assert (uid, version) == ("uid-1", "5")
        self._ask("delete?" if dry_run else "delete")
        if not dry_run:
            self.job = None


def recreate(cluster: JobCluster, **params) -> dict:
    return run(cluster, kinds=["Job"], recreate_jobs=True, **params)


def test_job_is_made_again_after_the_server_has_said_that_it_would_take_it(snippet_document):
    cluster = JobCluster(snippet_document)
    result = recreate(cluster)
    assert codes(result) == {"batch": "job_recreated"}
    assert cluster.asked == ["create?", "delete", "create"]
    assert "discord-watcher" in json.dumps(cluster.job["spec"])
    assert result["changed"]


@pytest.mark.parametrize(
    "entry",
    [{"name": "API_TOKEN", "value": "abc"}, {"name": "X", "value": "https://discord.com/api/webhooks/1/abcdefghij"}],
)
def test_job_whose_manifest_could_not_be_given_back_is_not_made_again(snippet_document, entry):
    """Where the creation fails the manifest is all that is left, and secrets are never shown."""
    cluster = JobCluster(snippet_document)
    cluster.job["spec"]["template"]["spec"]["containers"][0]["env"] = [entry]
    result = recreate(cluster)
    assert codes(result) == {"batch": "job_immutable"}
    assert "put that value into a Secret" in result["workloads"][0]["message"]
    assert cluster.asked == []


def test_job_in_check_mode_stays(snippet_document):
    cluster = JobCluster(snippet_document)
    result = recreate(cluster, check_mode=True, diff=True)
    assert (result["changed"], cluster.asked, cluster.job) == (True, ["create?", "delete?"], JOB)
    (shown,) = result["diff"]
    assert "discord-watcher" in shown["after"]
    assert "agent:1" not in shown["after"]


@pytest.mark.parametrize(("step", "code"), [("create?", "invalid"), ("delete", "forbidden")])
def test_job_that_could_not_be_made_again_is_not_deleted(snippet_document, step, code):
    cluster = JobCluster(snippet_document)
    cluster.refuse[step] = ApiError({"invalid": 422, "forbidden": 403}[code], "no", {})
    result = recreate(cluster)
    assert codes(result) == {"batch": code}
    assert cluster.job == JOB
    assert not result["changed"]


def test_job_that_is_lost_in_between_comes_back_as_its_manifest(snippet_document):
    """The one gap that is left: what can be given to the user is."""
    cluster = JobCluster(snippet_document)
    cluster.refuse["create"] = ApiError(403, "quota", {})
    (row,) = recreate(cluster)["workloads"]
    assert (row["outcome"], row["code"]) == ("failed", "forbidden")
    assert "had been deleted before" in row["message"]
    assert row["manifest"]["metadata"] == {"name": "batch", "namespace": "agents"}


def test_job_whose_fate_cannot_be_read_comes_back_as_its_manifest(snippet_document):
    cluster = JobCluster(snippet_document)
    cluster.refuse["create"] = ApiError(409, "exists", {"reason": "AlreadyExists"})
    find = cluster.find

    def gone(path, **params):
        if "/jobs/" in path:
            raise ClusterError("The API server gave no answer.")
        return find(path, **params)

    cluster.find = gone
    (row,) = recreate(cluster)["workloads"]
    assert (row["code"], row["manifest"]["kind"]) == ("api_error", "Job")


def test_job_made_by_somebody_else_in_between_is_left_alone(snippet_document):
    cluster = JobCluster(snippet_document)
    delete = cluster.delete

    def other(path, **how):
        delete(path, **how)
        cluster.job = {**JOB, "metadata": {**JOB["metadata"], "uid": "uid-3"}}

    cluster.delete = other
    assert codes(recreate(cluster)) == {"batch": "gone"}


def test_answer_that_was_lost_on_the_way_is_no_other_job(snippet_document):
    """A request is sent again when its answer is lost: what is there then is what was sent."""
    cluster = JobCluster(snippet_document)
    create = cluster.create

    def twice(path, body, **how):
        if not how["dry_run"]:
            create(path, body, **how)
        return create(path, body, **how)

    cluster.create = twice
    assert codes(recreate(cluster)) == {"batch": "job_recreated"}


def test_deleted_job_that_stays_a_while_is_waited_for(snippet_document):
    cluster = JobCluster(snippet_document)
    asked = []

    def slow(_path, **_how):
        asked.append(1)

    create = cluster.create

    def until_gone(path, body, **how):
        if len(cluster.asked) > 2:
            cluster.job = None
        return create(path, body, **how)

    cluster.delete, cluster.create = slow, until_gone
    assert codes(recreate(cluster)) == {"batch": "job_recreated"}
    assert cluster.asked.count("create") > 1

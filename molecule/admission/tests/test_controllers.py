# SPDX-License-Identifier: GPL-3.0-or-later
# SPDX-FileCopyrightText: 2026 The orchestrator.platform authors
"""Pods that a controller makes get the sidecar, live: the Job of a CronJob runs with it and completes."""

from __future__ import annotations

from real_cluster import Cluster, Json, named, statuses

testinfra_hosts = ["local://"]


def finished(cluster: Cluster) -> Json | None:
    jobs = cluster.objects("jobs", "adm-agents")
    done = [
        j
        for j in jobs
        if any(c["type"] == "Complete" and c["status"] == "True" for c in j["status"].get("conditions", []))
    ]
    return done[0] if done else None


def test_a_job_of_a_cron_job(cluster: Cluster):
    """Issue 4.3, D3: made by the controller, injected by the API server, both containers ran, the Job is complete."""
    job = cluster.until(lambda: finished(cluster), "a Job of the CronJob is complete", 150)
    assert job["metadata"]["ownerReferences"][0]["kind"] == "CronJob"
    (pod,) = cluster.objects("pods", "adm-agents", f"batch.kubernetes.io/job-name={job['metadata']['name']}")
    assert named(pod["spec"], "discord-watcher")["restartPolicy"] == "Always"
    ended = {name: status["state"]["terminated"]["exitCode"] for name, status in statuses(pod).items()}
    assert ended == {"agent": 0, "discord-watcher": 0}


def test_the_watcher_saw_no_token(cluster: Cluster):
    """D18: what hides the token is the volume that comes first at that path."""
    # The pod of a Deployment that was there before the policy has a watcher of its own making.
    found = cluster.objects("pods", "adm-agents")
    pods = [p for p in found if any(owner["kind"] == "Job" for owner in p["metadata"].get("ownerReferences", []))]
    assert pods
    for pod in pods:
        mounts = {m["mountPath"]: m["name"] for m in named(pod["spec"], "discord-watcher")["volumeMounts"]}
        assert mounts["/var/run/secrets/kubernetes.io/serviceaccount"] == "discord-no-token"

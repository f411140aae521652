# SPDX-License-Identifier: GPL-3.0-or-later
# SPDX-FileCopyrightText: 2026 The orchestrator.platform authors
"""The role tries a policy before it counts: one that would refuse every agent is found, and the cluster keeps what it has."""

from __future__ import annotations

import json

import pytest

from dry_runs import DryRuns, watcher_of
from real_cluster import ROOT, Cluster, ansible_playbook, succeeded

testinfra_hosts = ["local://"]

POLICY = "discord-monitor.adm-monitor"
PLAY = """
- hosts: localhost
  connection: local
  gather_facts: false
  vars:
    ansible_python_interpreter: "{{ ansible_playbook_python }}"
  tasks:
    - ansible.builtin.include_role:
        name: orchestrator.platform.discord_monitor
"""
# (values over those of the scenario, what the role says)
BROKEN = {
    "invalid-container": (
        {"watcher": {"securityContext": {"privileged": True}}},
        [
            "a pod in namespace adm-agents is refused",
            "cannot set `allowPrivilegeEscalation` to false and `privileged` to true",
        ],
    ),
    "nothing-fits": (
        {"resources": {"limits": {"memory": "16Mi"}}},
        ["put no sidecar into a pod of namespace adm-agents", "requests are above its limits"],
    ),
}


@pytest.fixture(scope="module")
def play(tmp_path_factory):
    """Runs the role as the scenario did, with further values for the chart."""
    folder = tmp_path_factory.mktemp("trial")
    (folder / "play.yml").write_text(PLAY, encoding="utf-8")

    def run(cluster: Cluster, *args: str, check: bool = True, **values: object) -> str:
        (folder / "more.json").write_text(json.dumps({"more_values": values}), encoding="utf-8")
        argv = [f"--inventory={ROOT}/molecule/inventory.yml"]
        argv += [
            f"--extra-vars=@{ROOT}/molecule/{part}" for part in ("shared/platform.yml", "admission/vars/release.yml")
        ]
        argv += [f"--extra-vars=@{folder}/more.json", *args, str(folder / "play.yml")]
        return ansible_playbook(cluster, *argv, check=check)

    return run


def seen(cluster: Cluster) -> tuple[str, ...]:
    """What must not have changed: the policy, and the record of the release."""
    policy = cluster.get("mutatingadmissionpolicy", POLICY, "default")["metadata"]["resourceVersion"]
    return policy, *sorted(s["metadata"]["name"] for s in cluster.objects("secrets", "adm-monitor", "owner=helm"))


@pytest.mark.parametrize("case", BROKEN)
def test_a_broken_snippet_is_found_before_it_counts(case: str, play, cluster: Cluster, api: DryRuns):
    """Issue 4.3, D18 "result dry-run before binding": the run fails with the reason, agents are injected as before, no trial is left."""
    values, says = BROKEN[case]
    before = seen(cluster)
    output = play(cluster, check=False, **values)
    assert not succeeded(output), output[-2000:]
    text = " ".join(output.split())
    assert [part for part in says if part not in text] == [], output[-3000:]
    assert seen(cluster) == before
    left = cluster.kubectl("get", "mutatingadmissionpolicies,mutatingadmissionpolicybindings", "--output=name")
    assert ".trial" not in left
    spec = {"containers": [{"name": "agent", "image": "agent"}]}
    assert watcher_of(api.pod(spec, "adm-agents").body["spec"])


def test_a_second_run_tries_and_writes_nothing(play, cluster: Cluster):
    """D5: nothing differs, so nothing is tried."""
    before = seen(cluster)
    output = play(cluster)
    recap = succeeded(output)
    assert recap, output[-2000:]
    assert recap[2] == "0"
    assert "Bind the policy to dry runs" not in output
    assert seen(cluster) == before

# SPDX-License-Identifier: GPL-3.0-or-later
# SPDX-FileCopyrightText: 2026 The orchestrator.platform authors
"""Pod Security told beforehand: every rule, from both sides, and silence where nothing is proved (DM-148)."""

from __future__ import annotations

import copy

import pytest
from ansible_collections.orchestrator.platform.plugins.module_utils._pod_security import (
    pod_security_violation,
    restricted_violations,
)
from hypothesis import given
from hypothesis import strategies as st

GOOD = {
    "securityContext": {"runAsNonRoot": True, "seccompProfile": {"type": "RuntimeDefault"}},
    "containers": [
        {"name": "agent", "securityContext": {"allowPrivilegeEscalation": False, "capabilities": {"drop": ["ALL"]}}}
    ],
    "volumes": [{"name": "v", "emptyDir": {}}],
}


def namespace(level: str, **labels: str) -> dict:
    return {"metadata": {"labels": {"pod-security.kubernetes.io/enforce": level, **labels}}}


BASELINE = {
    "hostPID": lambda s: s.update(hostPID=True),
    "hostIPC": lambda s: s.update(hostIPC=True),
    "hostNetwork": lambda s: s.update(hostNetwork=True),
    "hostPath": lambda s: s["volumes"].append({"name": "h", "hostPath": {"path": "/"}}),
    "hostPort": lambda s: s["containers"][0].update(ports=[{"containerPort": 1, "hostPort": 1}]),
    "privileged": lambda s: s["containers"][0]["securityContext"].update(privileged=True),
    "procMount": lambda s: s["containers"][0]["securityContext"].update(procMount="Unmasked"),
    "SYS_ADMIN": lambda s: s["containers"][0]["securityContext"]["capabilities"].update(add=["SYS_ADMIN"]),
    "sysctl": lambda s: s["securityContext"].update(sysctls=[{"name": "kernel.msgmax", "value": "1"}]),
    "Unconfined": lambda s: s["containers"][0]["securityContext"].update(seccompProfile={"type": "Unconfined"}),
}
BASELINE |= {
    "appArmorProfile": lambda s: s["securityContext"].update(appArmorProfile={"type": "Unconfined"}),
    "seLinuxOptions": lambda s: s["containers"][0]["securityContext"].update(seLinuxOptions={"type": "spc_t"}),
    "hostProcess": lambda s: s["containers"][0]["securityContext"].update(windowsOptions={"hostProcess": True}),
}
RESTRICTED = {
    "volume": lambda s: s["volumes"].append({"name": "n", "nfs": {"server": "x", "path": "/"}}),
    "allowPrivilegeEscalation": lambda s: s["containers"][0]["securityContext"].pop("allowPrivilegeEscalation"),
    "runAsNonRoot": lambda s: s["securityContext"].pop("runAsNonRoot"),
    "runAsUser 0": lambda s: s["containers"][0]["securityContext"].update(runAsUser=0),
    "seccompProfile": lambda s: s["securityContext"].pop("seccompProfile"),
    "drop ALL": lambda s: s["containers"][0]["securityContext"].pop("capabilities"),
    "CHOWN": lambda s: s["containers"][0]["securityContext"]["capabilities"].update(add=["CHOWN"]),
    "container init": lambda s: s.update(initContainers=[{"name": "init"}]),
}


def test_a_restricted_pod_is_fine_everywhere():
    for level in ("privileged", "baseline", "restricted"):
        assert pod_security_violation(GOOD, namespace(level)) is None


@pytest.mark.parametrize("what", BASELINE)
def test_baseline(what):
    spec = copy.deepcopy(GOOD)
    BASELINE[what](spec)
    for level in ("baseline", "restricted"):
        assert what in pod_security_violation(spec, namespace(level))
    assert pod_security_violation(spec, namespace("privileged")) is None
    assert pod_security_violation(spec, {}) is None
    assert pod_security_violation(spec, None) is None


@pytest.mark.parametrize("what", RESTRICTED)
def test_restricted(what):
    spec = copy.deepcopy(GOOD)
    RESTRICTED[what](spec)
    assert what in pod_security_violation(spec, namespace("restricted"))
    assert pod_security_violation(spec, namespace("baseline")) is None


@pytest.mark.parametrize(
    ("change", "labels"),
    [
        ({"runtimeClassName": "gvisor"}, {}),
        ({"hostUsers": False}, {}),
        ({"os": {"name": "windows"}}, {}),
        ({}, {"pod-security.kubernetes.io/enforce-version": "v1.24"}),
    ],
)
def test_what_is_not_proved_is_not_said(change, labels):
    spec = {**copy.deepcopy(GOOD), **change}
    spec["containers"][0].pop("securityContext")
    assert pod_security_violation(spec, namespace("restricted", **labels)) is None
    assert pod_security_violation({**spec, **dict.fromkeys(change)}, namespace("restricted")) is not None


contexts = st.fixed_dictionaries(
    {},
    optional={
        "privileged": st.booleans(),
        "allowPrivilegeEscalation": st.booleans(),
        "runAsNonRoot": st.booleans(),
        "runAsUser": st.sampled_from([0, 1000]),
        "procMount": st.sampled_from(["Default", "Unmasked"]),
        "seccompProfile": st.sampled_from([{"type": "Unconfined"}, {"type": "RuntimeDefault"}, {"type": "Localhost"}]),
        "appArmorProfile": st.sampled_from([{"type": "Unconfined"}, {"type": "RuntimeDefault"}]),
        "seLinuxOptions": st.sampled_from([{}, {"type": "container_t"}, {"type": "spc_t"}, {"user": "u"}]),
        "capabilities": st.fixed_dictionaries(
            {},
            optional={
                "drop": st.just(["ALL"]),
                "add": st.lists(st.sampled_from(["NET_BIND_SERVICE", "CHOWN", "SYS_ADMIN"]), max_size=2),
            },
        ),
    },
)


@given(contexts, contexts)
def test_what_is_said_of_a_container_beforehand_and_afterwards_is_one(own, pod):
    """security-context/restricted and the forecast of role sidecar: one set of rules decides both (issue 5.1)."""
    pod = {key: value for key, value in pod.items() if key not in ("privileged", "capabilities", "procMount")}
    spec = {"securityContext": pod, "containers": [{"name": "c", "securityContext": own}]}
    of_container = restricted_violations(spec["containers"][0], spec)
    of_pod = pod_security_violation(spec, namespace("restricted"))
    for text in of_container:
        assert f"{text} of container c" in of_pod or f"{text} of the pod" in of_pod
    if not of_container and of_pod is not None:
        # Only what the container overrides for itself is left, and Pod Security looks at the pod's own field, too.
        assert " of container" not in of_pod


def test_neighbours_and_the_pods_own_user_are_not_the_containers():
    """An agent that runs as root says so of its pod; the watcher beside it does not."""
    ours = {"name": "ours", "securityContext": {"runAsUser": 65532, **GOOD["containers"][0]["securityContext"]}}
    root = {"securityContext": {**GOOD["securityContext"], "runAsUser": 0}, "containers": [{"name": "agent"}, ours]}
    assert restricted_violations(ours, root) == []
    assert restricted_violations(root["containers"][0], root) != []

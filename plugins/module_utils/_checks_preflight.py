# SPDX-License-Identifier: GPL-3.0-or-later
# SPDX-FileCopyrightText: 2026 The orchestrator.platform authors
#
# Private to this collection: names and behaviour may change in any release.
"""Family preflight: can the platform be deployed here, and could it still? Pure; the judgements are the role's own."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from ansible_collections.orchestrator.platform.plugins.module_utils._findings import (
    Catalogue,
    Finding,
    Result,
    decided,
    failed,
    passed,
    skipped,
    subject,
    unreadable,
    warned,
)
from ansible_collections.orchestrator.platform.plugins.module_utils._preflight import (
    judge_limit_range,
    judge_namespace,
    judge_permissions,
    judge_quota,
    kinds_of,
    permissions_needed,
    pods_to_inject,
    rights_of,
)
from ansible_collections.orchestrator.platform.plugins.module_utils._snapshot import View
from ansible_collections.orchestrator.platform.plugins.module_utils._versions import FLOOR, parse_version, show_version
from ansible_collections.orchestrator.platform.plugins.module_utils._workloads import dig

CATALOGUE = Catalogue()
check = CATALOGUE.add

CLOCK_SKEW_S = 30.0  # arbitrary: well below the minute from which tokens and certificates suffer


@check(
    "preflight/api-version",
    title="The API server and every kubelet are of a supported version",
    scope="cluster",
    needs=("version", "nodes"),
    protects="fields that an older Kubernetes drops without a word, above all the native sidecar's restart policy",
    decided="The version of the API server and the kubelet version of each node are compared with the floor, 1.29.",
    mend="Upgrade the cluster to Kubernetes 1.29 or newer.",
)
def api_version(view: View, _namespace: str) -> Iterator[Result]:
    """Compare versions with the floor."""
    snapshot = view.snapshot
    found = []
    for name, what, texts in (
        ("API server", "version", [snapshot.server_version]),
        ("kubelet", "nodes", snapshot.kubelet_versions),
    ):
        reason = snapshot.unread.get((what, ""))
        if reason is not None:
            yield unreadable(subject("Cluster", name=name), reason)
        else:
            found += [(name, text) for text in texts]
    for name, text in found:
        who = subject("Cluster", name=name)
        try:
            version = parse_version(text)
        except ValueError:
            yield skipped(who, f"version {text[:40]!r} cannot be read")
            continue
        yield decided(
            who, None if version >= FLOOR else f"{show_version(version)} is older than {show_version(FLOOR)}", text
        )


@check(
    "preflight/namespaces",
    title="Every namespace in view exists",
    scope="cluster",
    protects="a mistyped namespace, in which every other check would find nothing and so nothing wrong",
    decided="Each configured namespace is read by name.",
    mend="Create the namespace (role secrets does), or correct platform_monitor_namespace, platform_agent_namespaces.",
)
def namespaces(view: View, _namespace: str) -> Iterator[Result]:
    """Look each namespace up."""
    for name, obj in view.snapshot.namespaces.items():
        if obj == {}:
            yield unreadable(subject("Namespace", name, name), f"no permission to read namespace {name}")
        elif dig(obj, "status", "phase") == "Terminating":
            yield failed(subject("Namespace", name, name), "the namespace is being deleted")
        else:
            yield decided(subject("Namespace", name, name), None if obj is not None else "there is no such namespace")


@check(
    "preflight/clock-skew",
    title="The API server's clock agrees with this machine's",
    scope="cluster",
    needs=("version",),
    severity="warning",
    protects="tokens and certificates that are not valid yet or no longer, and ages that come out negative",
    decided="The date in the API server's answer is at most 30 s away from the clock where the module runs.",
    mend="Set the clock by NTP, on the machine or on the control plane, whichever is wrong.",
)
def clock_skew(view: View, _namespace: str) -> Iterator[Result]:
    """Compare two clocks; the header counts whole seconds."""
    skew = view.snapshot.clock_skew_s
    if skew is None:
        yield skipped(subject("Cluster"), "the API server's answers carry no date")
        return
    text = f"{abs(skew):.0f} s {'ahead of' if skew > 0 else 'behind'} this machine"
    yield decided(subject("Cluster"), text if abs(skew) > CLOCK_SKEW_S else None, text)


def _results(rows: Iterable[Finding], check_id: str) -> Iterator[Result]:
    """What a judgement of the role preflight says, as results of a check."""
    for row in rows:
        if row["id"] != check_id:
            continue
        text = row["evidence"]
        if row["verdict"] == "pass":
            yield passed(row["subject"], text)
        else:
            yield failed(row["subject"], text) if row["verdict"] == "fail" else warned(row["subject"], text)


@check(
    "preflight/pod-security",
    title="The namespaces admit pods that meet Pod Security restricted",
    scope="cluster",
    protects="an injection whose pods are refused after the old ones are gone, and a label that means nothing",
    decided="The enforced Pod Security level of each namespace in view is one that exists.",
    mend="Correct the namespace's label pod-security.kubernetes.io/enforce.",
)
def pod_security(view: View, _namespace: str) -> Iterator[Result]:
    """Judge each label."""
    for name, live in view.snapshot.namespaces.items():
        if live:
            yield from _results(
                judge_namespace(name, live, create=True, strictest="restricted"), "preflight/pod-security"
            )


@check(
    "preflight/permission",
    title="The user who runs this may do all that a deployment does",
    scope="cluster",
    needs=("permissions",),
    protects="a deployment that stops half way for want of a right",
    decided="SelfSubjectAccessReviews for everything the roles do. Only when the family preflight is asked for, since "
    "whoever verifies need not be who deploys.",
    mend="Have an administrator bind a role that allows it, or choose another context.",
)
def permission(view: View, _namespace: str) -> Iterator[Result]:
    """One row a namespace, whatever number of rights is missing."""
    expect, found = view.expect, view.snapshot.permissions
    needed = permissions_needed(
        expect.monitor_namespace,
        list(expect.agent_namespaces),
        create_namespaces=True,
        kinds=kinds_of(expect),
        orchestrator=rights_of(expect),
    )
    reason = view.snapshot.unread.get(("permissions", ""), "" if found else "no access review was answered")
    if reason:
        yield unreadable(subject("Cluster"), reason)
        return
    denied = {item for item in needed if not found.get(item, False)}
    yield from _results(judge_permissions(needed, denied, "The user of the kubeconfig"), "preflight/permission")


def _without_sidecar(view: View, namespace: str) -> int:
    deployments = [item.obj for item in view.targets(namespace) if item.kind == "Deployment"]
    return pods_to_inject(deployments)


@check(
    "preflight/quota",
    title="Quotas leave room for the sidecars that are still to come",
    scope="agents",
    needs=("resourcequotas", "deployments"),
    protects="a rollout that stops because the new pods, with their sidecar, no longer fit",
    decided="For the selected Deployments without sidecar, replicas times the watcher's specified resources, beside "
    "what each ResourceQuota has left.",
    mend="Raise the quota, or lower the watcher's resources.",
)
def quota(view: View, namespace: str) -> Iterator[Result]:
    """Add up and compare."""
    quotas = view.objects("resourcequotas", namespace)
    pods, resources = _without_sidecar(view, namespace) if quotas else 0, dict(view.expect.watcher_resources)
    yield from _results((judge_quota(namespace, item, pods, resources) for item in quotas), "preflight/quota")
    if not quotas:
        yield passed(subject("Namespace", namespace, namespace), "there is no quota")


@check(
    "preflight/limit-range",
    title="Limit ranges admit the watcher",
    scope="agents",
    needs=("limitranges",),
    protects="an injection that every pod is refused for",
    decided="The watcher's specified resources lie between minimum and maximum of each LimitRange for containers.",
    mend="Change the range, or the watcher's resources.",
)
def limit_range(view: View, namespace: str) -> Iterator[Result]:
    """Compare figures."""
    ranges = view.objects("limitranges", namespace)
    resources = dict(view.expect.watcher_resources)
    yield from _results((judge_limit_range(namespace, item, resources) for item in ranges), "preflight/limit-range")
    if not ranges:
        yield passed(subject("Namespace", namespace, namespace), "there is no limit range")

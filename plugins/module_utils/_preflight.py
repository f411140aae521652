# SPDX-License-Identifier: GPL-3.0-or-later
# SPDX-FileCopyrightText: 2026 The orchestrator.platform authors
"""Judgements of the preflight: pure functions over what the API server said.

Private to this collection: names and shapes change without notice.
"""

from __future__ import annotations

import base64
import gzip
import json
import math
import typing as t
from decimal import Decimal

from ansible_collections.orchestrator.platform.plugins.module_utils._expectation import Expectation
from ansible_collections.orchestrator.platform.plugins.module_utils._findings import Finding, Subject, subject
from ansible_collections.orchestrator.platform.plugins.module_utils._quantities import parse_quantity
from ansible_collections.orchestrator.platform.plugins.module_utils._versions import parse_version
from ansible_collections.orchestrator.platform.plugins.module_utils._workloads import (
    ANNOTATION_HASH,
    KINDS,
    Obj,
    annotation,
    pod_template,
)

PART_OF_LABEL = "app.kubernetes.io/part-of"
PART_OF = "orchestrator-platform"
MANAGED_BY_LABEL = "app.kubernetes.io/managed-by"
MANAGED_BY = "orchestrator.platform"
ENFORCE_LABEL = "pod-security.kubernetes.io/enforce"
POD_SECURITY_LEVELS = ("privileged", "baseline", "restricted")

# What a policy of the chart is made of, without the ending: the policy and its binding.
POLICY_KINDS = {"inject": "mutatingadmission", "enforce": "validatingadmission"}

# Helm writes these while it works; one that stays was left behind by a Helm that died.
UNFINISHED_STATUSES = ("pending-install", "pending-upgrade", "pending-rollback", "uninstalling")


class Permission(t.NamedTuple):
    """One thing the run will do; an empty namespace means cluster scope."""

    verb: str
    group: str
    resource: str
    namespace: str
    subresource: str = ""
    severity: str = "error"

    def __str__(self) -> str:
        """Print the permission as `kubectl auth can-i` takes it."""
        kind = f"{self.resource}.{self.group}" if self.group else self.resource
        return f"{self.verb} {kind}{'/' + self.subresource if self.subresource else ''}"

    def review(self) -> Obj:
        """The SelfSubjectAccessReview that asks for it."""
        names = ("verb", "group", "resource", "subresource", "namespace")
        return {
            "apiVersion": "authorization.k8s.io/v1",
            "kind": "SelfSubjectAccessReview",
            "spec": {"resourceAttributes": {name: getattr(self, name) for name in names}},
        }


def finding(
    check: str, who: Subject, verdict: str, evidence: str, hint: str = "", *, severity: str = "error"
) -> Finding:
    """Build a finding of the family `preflight`."""
    return {
        "id": f"preflight/{check}",
        "severity": severity,
        "subject": who,
        "verdict": verdict,
        "evidence": evidence,
        "hint": hint,
        "count": 1,
    }


def sentences(findings: list[Finding], verdict: str) -> list[str]:
    """Print the findings of one verdict: what, where, and how to mend it."""
    return [
        " ".join(part for part in (row["evidence"], row["hint"]) if part)
        for row in findings
        if row["verdict"] == verdict
    ]


class OrchestratorRights(t.NamedTuple):
    """What the orchestrator's release needs rights for."""

    namespace: str
    cluster_wide: bool = False  # the controller's own role is a ClusterRole
    crds: bool = True  # the role orchestrator brings them


def permissions_needed(
    monitor_namespace: str,
    agent_namespaces: list[str],
    *,
    create_namespaces: bool,
    policies: t.Iterable[str] = (),
    kinds: t.Iterable[str] = ("Deployment",),
    orchestrator: OrchestratorRights | None = None,
) -> list[Permission]:
    """List what the roles secrets, orchestrator, discord_monitor, sidecar and verify do.

    `policies` are those that the chart is to bring: `inject` is tried with dry runs of pods before it is bound. `kinds`
    are those of the workloads that are to hold a sidecar.
    """
    # The reading of nodes only chooses between two forms of the sidecar: without it the run goes on.
    needed = [Permission("list", "", "nodes", "", severity="warning")]
    # RBAC takes a namespace for an object inside itself, so a Role there may allow this.
    needed += [Permission("get", "", "namespaces", name) for name in (monitor_namespace, *agent_namespaces)]
    if create_namespaces:
        needed.append(Permission("create", "", "namespaces", ""))
    verbs = ("get", "list", "create", "update", "patch", "delete")
    needed += [Permission(verb, "", "secrets", monitor_namespace) for verb in verbs]
    for group, resource in (("", "configmaps"), ("", "services"), ("apps", "deployments")):
        needed += [
            Permission(verb, group, resource, monitor_namespace) for verb in ("get", "create", "patch", "delete")
        ]
    needed += [
        Permission("list", "apps", "deployments", monitor_namespace),
        Permission("list", "apps", "replicasets", monitor_namespace),
        Permission("list", "", "pods", monitor_namespace),
    ]
    if orchestrator is not None:
        needed += _orchestrator_permissions(orchestrator)
    for policy in policies:
        needed += [
            Permission(verb, "admissionregistration.k8s.io", POLICY_KINDS[policy] + ending, "")
            for ending in ("policies", "policybindings")
            for verb in ("get", "create", "patch", "delete")
        ]
    if "inject" in policies:
        needed += [Permission(verb, "", "pods", name) for name in agent_namespaces for verb in ("get", "create")]
    for namespace in agent_namespaces:
        needed += [Permission(verb, "", "secrets", namespace) for verb in ("get", "create", "patch")]
        for kind in (KINDS[name] for name in kinds):
            group = kind.group_version.rpartition("/")[0]
            needed += [Permission(verb, group, kind.plural, namespace) for verb in ("get", "list", "patch")]
        needed.append(Permission("list", "", "pods", namespace))
        # Over a websocket it is a get, which Kubernetes 1.35 and newer takes for a create too.
        needed += [Permission(verb, "", "pods", namespace, "exec") for verb in ("get", "create")]
    return list(dict.fromkeys(needed))


def kinds_of(expect: Expectation) -> list[str]:
    """Kinds of the workloads that are to hold a sidecar, each once."""
    return list(dict.fromkeys(kind for target in expect.targets if target.present for kind in target.kinds))


def rights_of(expect: Expectation) -> OrchestratorRights | None:
    """The same for whoever verifies, who does not know the chart's values."""
    wanted = expect.orchestrator
    return None if wanted is None else OrchestratorRights(wanted.namespace, crds=bool(wanted.definitions))


def _orchestrator_permissions(wanted: OrchestratorRights) -> list[Permission]:
    namespace, rbac = wanted.namespace, "rbac.authorization.k8s.io"
    needed = [Permission("get", "", "namespaces", namespace)]
    verbs = ("get", "list", "create", "update", "patch", "delete")
    needed += [Permission(verb, "", "secrets", namespace) for verb in verbs]
    kinds = [("", "configmaps"), ("", "services"), ("", "serviceaccounts"), ("apps", "deployments")]
    kinds += [] if wanted.cluster_wide else [(rbac, "roles"), (rbac, "rolebindings")]
    writes = ("get", "create", "patch", "delete")
    needed += [Permission(verb, group, kind, namespace) for group, kind in kinds for verb in writes]
    needed += [
        Permission("list", *kind, namespace)
        for kind in (("apps", "deployments"), ("apps", "replicasets"), ("", "pods"))
    ]
    if wanted.cluster_wide:
        needed += [
            Permission(verb, rbac, kind, "") for kind in ("clusterroles", "clusterrolebindings") for verb in writes
        ]
    if wanted.crds:
        crds = ("apiextensions.k8s.io", "customresourcedefinitions", "")
        needed += [Permission(verb, *crds) for verb in ("get", "create", "patch")]
    return needed


def judge_permissions(needed: list[Permission], denied: set[Permission], user: str) -> list[Finding]:
    """Give one finding per namespace and severity, however many permissions lack there."""
    rows: dict[tuple[str, str], list[str]] = {}
    for permission in needed:
        lacking = rows.setdefault((permission.namespace, permission.severity), [])
        if permission in denied:
            lacking.append(str(permission))
    findings = []
    for (namespace, severity), lacking in rows.items():
        where = f"namespace {namespace}" if namespace else "the cluster"
        who = subject("Namespace", namespace, namespace) if namespace else subject("Cluster")
        if not lacking:
            evidence = f"All that the run does is allowed in {where}."
            findings.append(finding("permission", who, "pass", evidence, severity=severity))
            continue
        scope = f"a Role in {namespace}" if namespace else "a ClusterRole"
        findings.append(
            finding(
                "permission",
                who,
                "fail" if severity == "error" else "warn",
                f"{user} may not do this in {where}: {', '.join(lacking)}.",
                f"Have an administrator bind {scope} that allows it, or choose another context.",
                severity=severity,
            )
        )
    return findings


def judge_server_version(version: str, minimum: str) -> Finding:
    """Compare the server's version with the oldest one this collection is tested with; ValueError for no version."""
    if parse_version(version) >= parse_version(minimum):
        return finding("server-version", subject("Cluster"), "pass", f"The API server runs Kubernetes {version}.")
    return finding(
        "server-version",
        subject("Cluster"),
        "fail",
        f"The API server runs Kubernetes {version}, and the oldest supported version is {minimum}.",
        "Upgrade the cluster or choose another context.",
    )


def judge_namespace(name: str, live: Obj | None, *, create: bool, strictest: str) -> list[Finding]:
    """Judge existence, phase and Pod Security level of one namespace; `live` is None when it does not exist."""
    who = subject("Namespace", name, name)
    if live is None:
        if create:
            evidence = f"Namespace {name} does not exist and will be created."
            return [finding("namespace-missing", who, "pass", evidence)]
        return [
            finding(
                "namespace-missing",
                who,
                "fail",
                f"Namespace {name} does not exist.",
                "Create it, or set secrets_create_namespaces: true.",
            )
        ]
    if live.get("metadata", {}).get("deletionTimestamp") or live.get("status", {}).get("phase") == "Terminating":
        return [
            finding(
                "namespace-terminating",
                who,
                "fail",
                f"Namespace {name} is being deleted, nothing can be created in it.",
                f"Wait until it is gone (kubectl wait --for=delete namespace/{name}) and run again.",
            )
        ]
    found = [finding("namespace-terminating", who, "pass", f"Namespace {name} is active.")]
    level = (live["metadata"].get("labels") or {}).get(ENFORCE_LABEL, "privileged")
    if level not in POD_SECURITY_LEVELS:
        hint = f"Set the label {ENFORCE_LABEL} to one of {', '.join(POD_SECURITY_LEVELS)}."
        evidence = f"Namespace {name} enforces the Pod Security level {level!r}, which does not exist."
        found.append(finding("pod-security", who, "warn", evidence, hint, severity="warning"))
    elif POD_SECURITY_LEVELS.index(level) > POD_SECURITY_LEVELS.index(strictest):
        evidence = f"Namespace {name} enforces the Pod Security level {level}, and our pods meet only {strictest}."
        hint = "Relax the namespace's label or the pods' settings."
        found.append(finding("pod-security", who, "fail", evidence, hint))
    else:
        evidence = f"Namespace {name} enforces {level}, which our pods meet."
        found.append(finding("pod-security", who, "pass", evidence))
    return found


def pods_to_inject(deployments: list[Obj]) -> int:
    """Count the pods that will get a sidecar: replicas of the Deployments that have none yet."""
    pods = 0
    for deployment in deployments:
        if annotation(pod_template(deployment, "Deployment"), ANNOTATION_HASH) is None:
            pods += deployment.get("spec", {}).get("replicas", 1)
    return pods


def judge_quota(namespace: str, quota: Obj, pods: int, resources: Obj) -> Finding:
    """Tell whether the sidecars of `pods` pods fit into what the quota has left."""
    name = quota["metadata"]["name"]
    who, text = subject("ResourceQuota", namespace, name), f"ResourceQuota {namespace}/{name}"
    status = quota.get("status", {})
    short = []
    for key, hard in (status.get("hard") or quota.get("spec", {}).get("hard") or {}).items():
        kind, _dot, resource = key.rpartition(".")
        each = (resources.get(kind or "requests") or {}).get(resource)
        if each is None or kind not in ("", "requests", "limits"):
            continue
        free = parse_quantity(hard) - parse_quantity((status.get("used") or {}).get(key, "0"))
        if parse_quantity(each) * pods > free:
            short.append(f"{key} ({pods} x {each} needed, {_amount(free, resource)} free)")
    if not short:
        return finding("quota", who, "pass", f"{text} has room for {pods} sidecars.")
    hint = "Raise the quota, or lower the watcher's resources in discord_monitor_values."
    return finding("quota", who, "fail", f"{text} leaves no room for the sidecars: {', '.join(short)}.", hint)


def _amount(value: Decimal, resource: str) -> str:
    if resource == "cpu":
        return f"{math.floor(value * 1000)}m"
    return f"{math.floor(value / 2**20)}Mi" if resource == "memory" else f"{value:g}"


def judge_limit_range(namespace: str, limit_range: Obj, resources: Obj) -> Finding:
    """Tell whether one sidecar container stays between the range's minimum and maximum."""
    name = limit_range["metadata"]["name"]
    who, text = subject("LimitRange", namespace, name), f"LimitRange {namespace}/{name}"
    broken = []
    for item in limit_range.get("spec", {}).get("limits", []):
        if item.get("type") != "Container":
            continue
        for resource in ("cpu", "memory"):
            ceiling, floor = (item.get("max") or {}).get(resource), (item.get("min") or {}).get(resource)
            limit = (resources.get("limits") or {}).get(resource)
            request = (resources.get("requests") or {}).get(resource)
            if ceiling is not None and limit is not None and parse_quantity(limit) > parse_quantity(ceiling):
                broken.append(f"the {resource} limit {limit} is above its maximum {ceiling}")
            if floor is not None and request is not None and parse_quantity(request) < parse_quantity(floor):
                broken.append(f"the {resource} request {request} is below its minimum {floor}")
    if not broken:
        return finding("limit-range", who, "pass", f"{text} admits the sidecar.")
    hint = "Change the range, or the watcher's resources in discord_monitor_values."
    return finding("limit-range", who, "fail", f"{text} refuses the sidecar: {', '.join(broken)}.", hint)


def judge_release(name: str, namespace: str, record: Obj | None, recover: str = "discord_monitor_recover") -> Finding:
    """Tell whether Helm can work on the release; `record` is its latest one, None when there is none.

    `recover` is the variable that lets the role delete an unfinished record.
    """
    who, text = subject("Release", namespace, name), f"Helm release {namespace}/{name}"
    if record is None:
        return finding("release-pending", who, "pass", f"{text} is not installed yet.")
    if record["status"] not in UNFINISHED_STATUSES:
        evidence = f"{text} is at revision {record['revision']}, {record['status']}."
        return finding("release-pending", who, "pass", evidence)
    return finding(
        "release-pending",
        who,
        "fail",
        f"{text} has been in {record['status']} (revision {record['revision']}) since {record['since']}: "
        "another Helm works on it, or one was killed.",
        f"If none runs, set {recover}: true (it deletes Secret {record['secret']}), or run helm rollback yourself.",
    )


def judge_secret(row: Obj, live: Obj | None) -> Finding:
    """Tell whether an existing Secret can stand in for an input that was not given; its value is not looked at."""
    who, text = subject("Secret", row["namespace"], row["name"]), f"Secret {row['namespace']}/{row['name']}"
    key = row["key"]
    if live is None:
        evidence = f"No {row['purpose']} is given for namespace {row['namespace']}, and {text} does not exist."
        hint = f"Set {row['variable']}, or create that Secret with key {key}."
        return finding("secret-present", who, "fail", evidence, hint)
    keys = sorted(live.get("data") or {})
    if not (live.get("data") or {}).get(key):
        held = ", ".join(keys) or "none"
        evidence = f"{text} exists, but its key {key} is missing or empty (its keys: {held})."
        return finding("secret-present", who, "fail", evidence, f"Add the key, or set {row['variable']}.")
    return finding("secret-present", who, "pass", f"{text} holds the {row['purpose']} under key {key}.")


OWNER_LABEL = "app.kubernetes.io/managed-by"


def secret_is_foreign(wanted: Obj, live: Obj | None) -> bool:
    """Whether somebody else made the live Secret: it gets our key but no label of ours, so that removal leaves it."""
    labels = (live or {}).get("metadata", {}).get("labels") or {}
    return live is not None and labels.get(OWNER_LABEL) != wanted["labels"].get(OWNER_LABEL)


def secret_differs(wanted: Obj, live: Obj | None) -> bool:
    """Whether writing the wanted data, and labels where it is ours, would change the live Secret."""
    if live is None:
        return True
    labels, data = live.get("metadata", {}).get("labels") or {}, live.get("data") or {}
    encoded = {key: base64.b64encode(str(value).encode()).decode() for key, value in wanted["data"].items()}
    relabelled = not secret_is_foreign(wanted, live) and wanted["labels"].items() - labels.items()
    return bool(relabelled or encoded.items() - data.items())


def release_records(items: list[Obj]) -> list[Obj]:
    """A release's record Secrets (metadata alone), newest first: secret, revision, status, since."""
    rows = [item["metadata"] for item in items if (item["metadata"].get("labels") or {}).get("version", "").isdigit()]
    rows.sort(key=lambda meta: int(meta["labels"]["version"]), reverse=True)
    return [
        {
            "secret": meta["name"],
            "revision": int(meta["labels"]["version"]),
            "status": meta["labels"].get("status", "unknown"),
            "since": meta["creationTimestamp"],
        }
        for meta in rows
    ]


def latest_record(items: list[Obj]) -> Obj | None:
    """The newest of a release's record Secrets."""
    return next(iter(release_records(items)), None)


# What Helm calls a revision that stood: only such a one is worth going back to.
_STOOD = ("superseded", "deployed")


def judge_rollback(name: str, namespace: str, records: list[Obj], wanted: int) -> tuple[Finding, Obj | None]:
    """Choose the revision to go back to: the wanted one, or with 0 the newest that stood before the present one."""
    who, text = subject("Release", namespace, name), f"Helm release {namespace}/{name}"

    def refused(evidence: str, hint: str) -> tuple[Finding, None]:
        return finding("rollback-target", who, "fail", evidence, hint), None

    restore = "Take it away with orchestrator_state: absent, or restore a backup with playbook restore."
    if not records:
        return refused(f"{text} is not installed.", "There is nothing to roll back.")
    current, *older = records
    if not older and wanted in (0, current["revision"]):
        evidence = f"{text} is at revision {current['revision']}, its first: there is no earlier one to go back to."
        return refused(evidence, restore)
    known = {item["revision"]: item for item in older}
    if wanted and wanted not in known:
        kept = ", ".join(str(number) for number in sorted(known)) or "none"
        hint = f"Name one that Helm has kept ({kept}), see helm history."
        return refused(f"{text} has no earlier revision {wanted}.", hint)
    target = known[wanted] if wanted else next((item for item in older if item["status"] in _STOOD), None)
    if target is None or target["status"] not in _STOOD:
        evidence = (
            f"{text} has no earlier revision that stood."
            if target is None
            else (f"Revision {wanted} of {text} never stood: it is {target['status']}.")
        )
        return refused(evidence, restore)
    evidence = f"{text} can go back from revision {current['revision']} to {target['revision']}."
    return finding("rollback-target", who, "pass", evidence), target


MAX_LOST = 5  # objects named in a sentence


def judge_lost_fields(revision: int, lost: dict[str, list[str]]) -> Finding:
    """Tell whether objects use fields that the CRDs of an older revision do not know; `lost` is by object."""
    who = subject("Cluster")
    if not lost:
        evidence = f"No object uses a field that the CRDs of revision {revision} do not know."
        return finding("rollback-fields", who, "pass", evidence)
    named = "; ".join(f"{name}: {', '.join(paths)}" for name, paths in list(lost.items())[:MAX_LOST])
    more = f" and {len(lost) - MAX_LOST} more" if len(lost) > MAX_LOST else ""
    evidence = (
        f"The controller of revision {revision} does not know these fields in use, and may lose them: {named}{more}."
    )
    hint = "End or delete these objects first, or set orchestrator_rollback_lossy: true."
    return finding("rollback-fields", who, "fail", evidence, hint)


def judge_elsewhere(name: str, namespace: str, others: list[str], *, cluster_wide: bool) -> Finding:
    """Tell whether a release of one name elsewhere gets in the way: with cluster-wide rights both would act."""
    who, text = subject("Release", namespace, name), f"Helm release {name}"
    if not others or not cluster_wide:
        return finding("release-elsewhere", who, "pass", f"No other {text} can work on the same runs.")
    evidence = (
        f"{text} is also installed in namespace {', '.join(others)}, and with cluster-wide rights (rbac.namespaced: "
        "false) two controllers could work on the same runs."
    )
    hint = (
        "Set rbac.namespaced: true in orchestrator_values, give orchestrator_release another name, or remove the other."
    )
    return finding("release-elsewhere", who, "fail", evidence, hint)


def judge_ingress_host(host: str, ingresses: list[Obj], release: str, namespace: str) -> Finding:
    """Tell whether a host of the Ingress is served by somebody else's Ingress already."""
    who = subject("Ingress", namespace, host or "*")
    takers = []
    for item in ingresses:
        meta = item["metadata"]
        ours = (
            meta["namespace"] == namespace and (meta.get("labels") or {}).get("app.kubernetes.io/instance") == release
        )
        hosts = [rule.get("host") or "" for rule in item.get("spec", {}).get("rules") or []]
        if host in hosts and not ours:
            takers.append(f"{meta['namespace']}/{meta['name']}")
    shown = host or "(every host)"
    if not takers:
        return finding("ingress-host", who, "pass", f"Host {shown} is free.")
    evidence = f"Host {shown} of the orchestrator's Ingress is taken by Ingress {', '.join(takers)}."
    return finding(
        "ingress-host", who, "fail", evidence, "Choose another host in ingress.hosts of orchestrator_values."
    )


def judge_definition(definition: Obj, refusal: str) -> Finding:
    """Tell whether a CRD can be brought; `refusal` says why not."""
    name = definition["metadata"]["name"]
    who = subject("CustomResourceDefinition", "", name)
    evidence = refusal or f"CRD {name} can be brought."
    return finding("crd-owner", who, "fail" if refusal else "pass", evidence)


def decode_record(data: str) -> Obj:
    """Open a release record: base64 by the API, base64 and gzip by Helm, JSON inside."""
    raw = base64.b64decode(base64.b64decode(data))
    if raw[:2] == b"\x1f\x8b":
        raw = gzip.decompress(raw)
    opened: Obj = json.loads(raw)
    return opened


def differing_keys(before: object, after: object, path: str = "") -> list[str]:
    """Name the places where two values files differ, as dotted paths, without their contents."""
    if isinstance(before, dict) and isinstance(after, dict):
        found: list[str] = []
        for key in sorted(set(before) | set(after)):
            here = f"{path}.{key}" if path else str(key)
            if key not in before or key not in after:
                found.append(here)
            else:
                found += differing_keys(before[key], after[key], here)
        return found
    return [] if before == after else [path]


def release_differences(record: Obj, wanted: Obj) -> list[str]:
    """Name what an upgrade would change: values by path, and the chart's name or version."""
    chart = record.get("chart", {}).get("metadata", {})
    keys = differing_keys(record.get("config") or {}, wanted.get("values") or {})
    for name, field in (("chart_name", "name"), ("chart_version", "version"), ("app_version", "appVersion")):
        if wanted.get(name) and wanted[name] != chart.get(field):
            keys.append(f"(chart {field})")
    return keys

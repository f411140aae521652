#!/usr/bin/python
# SPDX-License-Identifier: GPL-3.0-or-later
# SPDX-FileCopyrightText: 2026 The orchestrator.platform authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Ask a cluster, in one process, whether the platform can be deployed to it."""

from __future__ import annotations

DOCUMENTATION = r"""
module: cluster_preflight
short_description: Ask a cluster whether the platform can be deployed to it
version_added: 0.1.0
author: The orchestrator.platform authors (@orchestrator)
description:
  - Reads the kubeconfig, reaches the API server within a few seconds, and asks for its version, for the caller's
    permissions (SelfSubjectAccessReview), and for the state of namespaces, quotas, Helm releases and Secrets.
  - It writes nothing and does not fail on what it finds. A problem is a finding with the verdict V(fail); the caller
    decides.
  - Values of Secrets are looked at only for being there, or compared in memory, and are never returned.
extends_documentation_fragment:
  - kubernetes.core.k8s_auth_options
options:
  checks:
    description: Families of checks to run. The connection and the server's version are always looked at.
    type: list
    elements: str
    choices: [permissions, namespaces, headroom, releases, secrets, orchestrator]
    default: [permissions, namespaces, headroom, releases, secrets, orchestrator]
  minimum_version:
    description: Oldest Kubernetes version that passes, as major and minor.
    type: str
    default: "1.29"
  monitor_namespace:
    description: Namespace of the bot. Empty leaves out what concerns it.
    type: str
    default: ""
  agent_namespaces:
    description: Namespaces of the agents.
    type: list
    elements: str
    default: []
  create_namespaces:
    description: Whether the run may create missing namespaces. If not, a missing one is a problem.
    type: bool
    default: true
  policies:
    description:
      - Admission policies that the run will bring, whose rights are then asked for too. V(inject) also tries out pods
        by dry runs in O(agent_namespaces).
    type: list
    elements: str
    choices: [inject, enforce]
    default: []
    version_added: 0.2.0
  kinds:
    description: Kinds of the workloads that will get a sidecar, whose rights are asked for.
    type: list
    elements: str
    choices: [Deployment, StatefulSet, DaemonSet, CronJob]
    default: [Deployment]
    version_added: 0.2.0
  orchestrator:
    description:
      - The orchestrator's release, so that its namespace and rights, its CRDs and the hosts of its Ingress are looked
        at. Without it nothing of this is.
    type: dict
    version_added: 0.2.0
    suboptions:
      namespace:
        description: Namespace of the release.
        type: str
        required: true
      release:
        description: Name of the release.
        type: str
        default: orchestrator
      cluster_wide:
        description: Whether its controller gets cluster-wide rights.
        type: bool
        default: false
      definitions:
        description: CRDs that the run will bring. Empty when it brings none.
        type: list
        elements: dict
        default: []
      take_over:
        description: Field managers whose CRDs may become ours.
        type: list
        elements: str
        default: [helm]
      hosts:
        description: Hosts of its Ingress. An empty text is the rule for every host.
        type: list
        elements: str
        default: []
  pod_security:
    description: Strictest Pod Security level that our pods satisfy.
    type: str
    choices: [privileged, baseline, restricted]
    default: restricted
  label_selectors:
    description: Selects the Deployments that will get a sidecar, for the sums of the quota check. Empty means all.
    type: list
    elements: str
    default: []
  sidecar_resources:
    description: Requests and limits of one sidecar, as in a container. Empty skips quotas and limit ranges.
    type: dict
    default: {}
  releases:
    description: Helm releases that the run will work on.
    type: list
    elements: dict
    default: []
    suboptions:
      name:
        description: Name of the release.
        type: str
        required: true
      namespace:
        description: Namespace of the release.
        type: str
        required: true
      values:
        description:
          - Values the release shall have, without secrets. They are compared with the recorded ones.
          - If not given, nothing is compared.
        type: dict
      chart_name:
        description: Name of the chart the release shall have. Empty is not compared.
        type: str
        default: ""
      chart_version:
        description: Version of the chart the release shall have. Empty is not compared.
        type: str
        default: ""
      app_version:
        description: The chart's appVersion the release shall have. Empty is not compared.
        type: str
        default: ""
      drift:
        description: Whether to compare the objects of the recorded manifest with the live ones. Secrets are left out.
        type: bool
        default: false
        version_added: 0.2.0
      recover_variable:
        description: Variable that lets the run delete an unfinished record, for the message.
        type: str
        default: discord_monitor_recover
        version_added: 0.2.0
      rollback:
        description: Whether to look for the revision to go back to, and for fields in use that its CRDs do not know.
        type: bool
        default: false
        version_added: 0.2.0
      rollback_revision:
        description: The revision to go back to. V(0) is the newest that stood before the present one.
        type: int
        default: 0
        version_added: 0.2.0
      rollback_lossy:
        description: Whether fields in use that its CRDs do not know are no problem.
        type: bool
        default: false
        version_added: 0.2.0
  expected_secrets:
    description: Secrets that have to exist already, because the user gave no value for them.
    type: list
    elements: dict
    default: []
    suboptions:
      namespace:
        description: Namespace of the Secret.
        type: str
        required: true
      name:
        description: Name of the Secret.
        type: str
        required: true
      key:
        description: Key that has to be there and not empty.
        type: str
        required: true
      purpose:
        description: What the Secret holds, in words, for the message.
        type: str
        default: value
      variable:
        description: Variable that would provide the value instead, for the message.
        type: str
        default: the variable of this Secret
  wanted_secrets:
    description:
      - Secrets that the run will write, to learn which of them are so already.
      - Their values are compared in memory and are in no result; use C(no_log) on the task as for every other module
        that is given a secret.
    type: list
    elements: dict
    default: []
    suboptions:
      namespace:
        description: Namespace of the Secret.
        type: str
        required: true
      name:
        description: Name of the Secret.
        type: str
        required: true
      labels:
        description: Labels it has to have, among others.
        type: dict
        default: {}
      data:
        description: Keys and values it has to have, among others. The values are not encoded.
        type: dict
        required: true
attributes:
  check_mode:
    description: Runs the same in check mode, since it only reads.
    support: full
  diff_mode:
    description: Has nothing to show a difference of.
    support: none
requirements:
  - kubernetes >= 24.2.0
  - PyYAML >= 3.11
seealso:
  - module: kubernetes.core.k8s_cluster_info
"""

EXAMPLES = r"""
- name: Ask the cluster everything the deployment depends on
  orchestrator.platform.cluster_preflight:
    monitor_namespace: discord-monitor
    agent_namespaces: [agents]
    releases:
      - name: discord-monitor
        namespace: discord-monitor
  register: preflight

- name: Only look for a Helm release that a killed run left behind
  orchestrator.platform.cluster_preflight:
    checks: [releases]
    releases:
      - name: discord-monitor
        namespace: discord-monitor
"""

RETURN = r"""
findings:
  description: One row per check and subject.
  returned: always
  type: list
  elements: dict
  sample:
    - id: preflight/server-version
      severity: error
      subject: {kind: Cluster, namespace: "", name: "", container: ""}
      verdict: pass
      evidence: The API server runs Kubernetes v1.36.2.
      hint: ""
      count: 1
problems:
  description: One sentence for each finding with the verdict V(fail), with its remedy.
  returned: always
  type: list
  elements: str
warnings_found:
  description: One sentence for each finding with the verdict V(warn).
  returned: always
  type: list
  elements: str
context:
  description: Name of the context in use, empty when no kubeconfig file is.
  returned: always
  type: str
server:
  description: Address of the API server, empty when it is not known.
  returned: always
  type: str
server_version:
  description: Version of the API server, empty when it did not answer.
  returned: always
  type: str
namespaces:
  description: For each namespace, whether it exists and whether this collection created it.
  returned: always
  type: list
  elements: dict
  sample:
    - name: agents
      exists: true
      ours: false
releases:
  description:
    - For each release its latest record. C(status) is empty when there is none.
    - C(differences) names the values and chart fields that an upgrade would change, without their contents, C(drift)
      the objects and fields that are not as recorded.
    - C(current) says that it is deployed and that neither of them names anything.
    - C(rollback) is the revision to go back to, V(0) when there is none or it was not asked for.
  returned: always
  type: list
  elements: dict
  sample:
    - name: discord-monitor
      namespace: discord-monitor
      status: deployed
      revision: 2
      secret: sh.helm.release.v1.discord-monitor.v2
      unfinished: false
      differences: [polling.interval]
      drift: [Deployment discord-monitor (spec.replicas)]
      current: false
      rollback: 0
secrets_to_write:
  description: >-
    Namespace and name of each of O(wanted_secrets) that is not there, differs, or could not be read; and whether it is
    C(foreign), there without our label.
  returned: always
  type: list
  elements: dict
  sample:
    - namespace: agents
      name: discord-secrets
      foreign: false
python:
  description: Interpreter that ran this module.
  returned: always
  type: str
"""

import os
import sys
import typing as t

import ansible_collections.orchestrator.platform.plugins.module_utils._preflight as judge
from ansible.module_utils.basic import AnsibleModule
from ansible_collections.kubernetes.core.plugins.module_utils.args_common import AUTH_ARG_SPEC
from ansible_collections.orchestrator.platform.plugins.module_utils._cluster import HASTY, Cluster
from ansible_collections.orchestrator.platform.plugins.module_utils._crds import (
    CRDS_PATH,
    crds_of_record,
    judge_crd,
    name_of,
    objects_path,
    unknown_fields,
)
from ansible_collections.orchestrator.platform.plugins.module_utils._drift import drift_of, path_of, recorded_objects
from ansible_collections.orchestrator.platform.plugins.module_utils._errors import (
    ApiError,
    ClusterError,
    UnreachableError,
)
from ansible_collections.orchestrator.platform.plugins.module_utils._findings import Finding, subject
from ansible_collections.orchestrator.platform.plugins.module_utils._kubeconfig import (
    PreflightStopError,
    check_kubeconfig,
    kubeconfig_path,
)
from ansible_collections.orchestrator.platform.plugins.module_utils._workloads import PATCHABLE

FAMILIES = ["permissions", "namespaces", "headroom", "releases", "secrets", "orchestrator"]
THREADS = 8  # reviews in flight; arbitrary, a client of the API server is throttled long after that


def argument_spec() -> dict[str, t.Any]:
    """Return the module's arguments: kubernetes.core's authentication and our own."""
    release = {
        "name": {"type": "str", "required": True},
        "namespace": {"type": "str", "required": True},
        "values": {"type": "dict"},
        "chart_name": {"type": "str", "default": ""},
        "chart_version": {"type": "str", "default": ""},
        "app_version": {"type": "str", "default": ""},
        "drift": {"type": "bool", "default": False},
        "recover_variable": {"type": "str", "default": "discord_monitor_recover"},
        "rollback": {"type": "bool", "default": False},
        "rollback_revision": {"type": "int", "default": 0},
        "rollback_lossy": {"type": "bool", "default": False},
    }
    orchestrator = {
        "namespace": {"type": "str", "required": True},
        "release": {"type": "str", "default": "orchestrator"},
        "cluster_wide": {"type": "bool", "default": False},
        "definitions": {"type": "list", "elements": "dict", "default": []},
        "take_over": {"type": "list", "elements": "str", "default": ["helm"]},
        "hosts": {"type": "list", "elements": "str", "default": []},
    }
    secret = {
        "namespace": {"type": "str", "required": True},
        "name": {"type": "str", "required": True},
        "key": {"type": "str", "required": True, "no_log": False},
        "purpose": {"type": "str", "default": "value"},
        "variable": {"type": "str", "default": "the variable of this Secret"},
    }
    wanted_secret = {
        "namespace": {"type": "str", "required": True},
        "name": {"type": "str", "required": True},
        "labels": {"type": "dict", "default": {}},
        "data": {"type": "dict", "required": True, "no_log": True},
    }
    return {
        **AUTH_ARG_SPEC,
        "checks": {"type": "list", "elements": "str", "choices": FAMILIES, "default": FAMILIES},
        "minimum_version": {"type": "str", "default": "1.29"},
        "monitor_namespace": {"type": "str", "default": ""},
        "agent_namespaces": {"type": "list", "elements": "str", "default": []},
        "create_namespaces": {"type": "bool", "default": True},
        "policies": {"type": "list", "elements": "str", "choices": list(judge.POLICY_KINDS), "default": []},
        "kinds": {"type": "list", "elements": "str", "choices": list(PATCHABLE), "default": ["Deployment"]},
        "orchestrator": {"type": "dict", "options": orchestrator},
        "pod_security": {"type": "str", "choices": list(judge.POD_SECURITY_LEVELS), "default": "restricted"},
        "label_selectors": {"type": "list", "elements": "str", "default": []},
        "sidecar_resources": {"type": "dict", "default": {}},
        "releases": {"type": "list", "elements": "dict", "default": [], "options": release},
        "expected_secrets": {"type": "list", "elements": "dict", "default": [], "options": secret, "no_log": False},
        # The values alone are marked: marking the whole list would blot out every namespace of the result.
        "wanted_secrets": {
            "type": "list",
            "elements": "dict",
            "default": [],
            "options": wanted_secret,
            "no_log": False,
        },
    }


def missing_library() -> Finding | None:
    """Name the interpreter that lacks a library; None when all are there."""
    lacking = []
    for module, package in (("kubernetes", "kubernetes"), ("yaml", "PyYAML")):
        try:
            __import__(module)
        except ImportError:
            lacking.append(package)
    if not lacking:
        return None
    return judge.finding(
        "python-library",
        subject("Interpreter", "", sys.executable),
        "fail",
        f"The Python interpreter {sys.executable} has no {' and no '.join(lacking)}.",
        f"Run '{sys.executable} -m pip install {' '.join(lacking)}', "
        "or set ansible_python_interpreter to one that has it.",
    )


class ReadRefusedError(Exception):
    """The server answered a read with an error; the run goes on without that piece of knowledge."""

    def __init__(self, path: str, status: int) -> None:
        super().__init__(f"GET {path} answered {status}")
        self.path, self.status = path, status


class Preflight:
    """One run: collects findings until it is through or the server cannot be asked."""

    def __init__(self, module: AnsibleModule) -> None:
        self.module, self.params = module, module.params
        wanted = self.params["wanted_secrets"]
        self.findings: list[Finding] = []
        self.facts: dict[str, t.Any] = {
            "context": "",
            "server": "",
            "server_version": "",
            "namespaces": [],
            "releases": [],
            "secrets_to_write": [
                {"namespace": one["namespace"], "name": one["name"], "foreign": False} for one in wanted
            ],
        }

    def run(self) -> dict[str, t.Any]:
        """Return the module's whole result."""
        lacking = missing_library()
        if lacking:
            self.findings.append(lacking)
        else:
            try:
                self._ask()
            except UnreachableError as lost:
                self._stop("api-reachable", self.cluster.host, lost.evidence, lost.hint)
            except ClusterError as broken:
                self._stop("api-reachable", self.cluster.host, str(broken), "Check what stands between here and it.")
            except PreflightStopError as stop:
                self._stop(stop.check, stop.subject, stop.evidence, stop.hint)
        return {
            "changed": False,
            "findings": self.findings,
            "problems": judge.sentences(self.findings, "fail"),
            "warnings_found": judge.sentences(self.findings, "warn"),
            "python": sys.executable,
            **self.facts,
        }

    def _stop(self, check: str, name: str, evidence: str, hint: str) -> None:
        self.findings.append(judge.finding(check, subject("Connection", "", name), "fail", evidence, hint))

    def _ask(self) -> None:
        self.cluster = self._connect()
        self._look_at_server()
        orchestrator = self.params["orchestrator"] or {}
        named = [self.params["monitor_namespace"], *self.params["agent_namespaces"], orchestrator.get("namespace")]
        namespaces = [name for name in named if name]
        wanted = set(self.params["checks"])
        if "permissions" in wanted:
            self._look_at_permissions()
        if "namespaces" in wanted:
            self._each(self._look_at_namespace, list(dict.fromkeys(namespaces)))
        if "headroom" in wanted and self.params["sidecar_resources"]:
            self._each(self._look_at_headroom, self.params["agent_namespaces"])
        if "releases" in wanted:
            self._each(self._look_at_release, self.params["releases"])
        if "secrets" in wanted:
            self._each(self._look_at_secret, self.params["expected_secrets"])
            self._each(self._compare_secret, self.params["wanted_secrets"])
        if "orchestrator" in wanted and orchestrator:
            self._each(self._look_at_definition, orchestrator["definitions"])
            self._each(self._look_at_hosts, [orchestrator] if orchestrator["hosts"] else [])
            self._each(self._look_elsewhere, [orchestrator] if orchestrator["cluster_wide"] else [])

    def _connect(self) -> Cluster:
        given = self.params.get("kubeconfig")
        if isinstance(given, str):
            # A whole kubeconfig is a secret, the path of one is not: the sentences have to name it.
            self.module.no_log_values.discard(given)
        paths = kubeconfig_path(given, os.environ)
        if paths and not self.params.get("host"):
            context = self.params.get("context") or os.environ.get("K8S_AUTH_CONTEXT")
            self.facts["context"] = check_kubeconfig(paths, context)
        try:
            cluster = Cluster(self.module, threads=THREADS, patience=HASTY)
        except ClusterError as exc:
            # The text of the loader may quote the file: only its type is shown.
            cause = exc.__cause__
            kind = "unknown" if cause is None else type(cause).__name__
            evidence = f"The kubeconfig cannot be used ({kind})."
            raise PreflightStopError(
                "kubeconfig", str(paths[:1]), evidence, "Fetch a fresh one for this cluster."
            ) from exc
        self.facts["server"] = cluster.host
        return cluster

    def _look_at_server(self) -> None:
        host, status = self.cluster.host, 200
        try:
            body = self.cluster.get("/version")
        except ApiError as exc:
            body, status = exc.body, exc.status
        except UnreachableError:
            raise
        except ClusterError:  # an answer that is not JSON
            body = {}
        if status in (401, 403):
            evidence = f"The API server {host} does not accept the credentials of the kubeconfig ({status})."
            raise PreflightStopError("credentials", host, evidence, "Log in again or fetch a fresh kubeconfig.")
        if status != 200 or "gitVersion" not in body:
            evidence = (
                f"{host} answers /version with status {status}: it is no Kubernetes API server, or it is not ready."
            )
            raise PreflightStopError("api-reachable", host, evidence, "Check the server address in the kubeconfig.")
        self.facts["server_version"] = body["gitVersion"]
        self.findings.append(
            judge.finding("api-reachable", subject("Connection", "", host), "pass", "The API server answers.")
        )
        self.findings.append(judge.judge_server_version(body["gitVersion"], self.params["minimum_version"]))

    def _look_at_permissions(self) -> None:
        everything = judge.Permission("*", "*", "*", "")
        needed = judge.permissions_needed(
            self.params["monitor_namespace"],
            self.params["agent_namespaces"],
            create_namespaces=self.params["create_namespaces"],
            policies=self.params["policies"],
            kinds=self.params["kinds"],
            orchestrator=self._orchestrator(),
        )
        denied: set[judge.Permission] = set()
        if not self._allowed(everything):
            answers = self.cluster.each(self._allowed, needed)
            denied = {one for one, allowed in zip(needed, answers, strict=True) if not allowed}
        self.findings += judge.judge_permissions(needed, denied, self._user() if denied else "")

    def _orchestrator(self) -> judge.OrchestratorRights | None:
        given = self.params["orchestrator"]
        if not given:
            return None
        return judge.OrchestratorRights(given["namespace"], given["cluster_wide"], bool(given["definitions"]))

    def _allowed(self, permission: judge.Permission) -> bool:
        try:
            answer = self.cluster.post("/apis/authorization.k8s.io/v1/selfsubjectaccessreviews", permission.review())
        except ApiError as exc:
            if exc.status != 401:
                return False
            evidence = f"The API server {self.cluster.host} does not accept the credentials of the kubeconfig (401)."
            raise PreflightStopError(
                "credentials", self.cluster.host, evidence, "Log in again or fetch a fresh kubeconfig."
            ) from exc
        return bool(answer.get("status", {}).get("allowed"))

    def _user(self) -> str:
        body = {"apiVersion": "authentication.k8s.io/v1", "kind": "SelfSubjectReview"}
        try:
            answer = self.cluster.post("/apis/authentication.k8s.io/v1/selfsubjectreviews", body)
        except ApiError:
            answer = {}
        name = answer.get("status", {}).get("userInfo", {}).get("username")
        return f"User {name}" if name else "The user of the kubeconfig"

    def _each(self, look: t.Callable[[t.Any], None], subjects: list[t.Any]) -> None:
        for one in subjects:
            try:
                look(one)
            except ReadRefusedError as refused:
                # A 403 is already told by the permission check, in words that say what to bind.
                evidence = f"{refused.path} could not be read ({refused.status})."
                self.findings.append(
                    judge.finding("readable", subject("Path", "", refused.path), "skip", evidence, severity="info")
                )

    def _find(self, path: str) -> dict[str, t.Any] | None:
        try:
            return self.cluster.find(path)
        except ApiError as exc:
            raise ReadRefusedError(path, exc.status) from exc

    def _items(self, path: str, *, metadata_only: bool = False, **params: str) -> list[dict[str, t.Any]]:
        try:
            return self.cluster.items(path, metadata_only=metadata_only, **params)[0]
        except ApiError as exc:
            if exc.status == 404:
                return []
            raise ReadRefusedError(path, exc.status) from exc

    def _look_at_namespace(self, name: str) -> None:
        live = self._find(f"/api/v1/namespaces/{name}")
        labels = (live or {}).get("metadata", {}).get("labels") or {}
        ours = (
            labels.get(judge.MANAGED_BY_LABEL) == judge.MANAGED_BY and labels.get(judge.PART_OF_LABEL) == judge.PART_OF
        )
        self.facts["namespaces"].append({"name": name, "exists": live is not None, "ours": ours})
        self.findings += judge.judge_namespace(
            name, live, create=self.params["create_namespaces"], strictest=self.params["pod_security"]
        )

    def _look_at_headroom(self, namespace: str) -> None:
        resources = self.params["sidecar_resources"]
        quotas = self._items(f"/api/v1/namespaces/{namespace}/resourcequotas")
        if quotas:
            selector = ",".join(self.params["label_selectors"])
            found = self._items(f"/apis/apps/v1/namespaces/{namespace}/deployments", labelSelector=selector)
            pods = judge.pods_to_inject(found)
            self.findings += [judge.judge_quota(namespace, quota, pods, resources) for quota in quotas]
        ranges = self._items(f"/api/v1/namespaces/{namespace}/limitranges")
        self.findings += [judge.judge_limit_range(namespace, one, resources) for one in ranges]

    def _look_at_release(self, wanted: dict[str, t.Any]) -> None:
        name, namespace = wanted["name"], wanted["namespace"]
        path = f"/api/v1/namespaces/{namespace}/secrets"
        listed = self._items(path, metadata_only=True, labelSelector=f"owner=helm,name={name}")
        records = judge.release_records(listed)
        record = records[0] if records else None
        row: dict[str, t.Any] = {"name": name, "namespace": namespace, "status": "", "revision": 0, "secret": ""}
        row["unfinished"] = record is not None and record["status"] in judge.UNFINISHED_STATUSES
        row.update(differences=[], drift=[], rollback=0)
        if record:
            row.update(status=record["status"], revision=record["revision"], secret=record["secret"])
            if wanted.get("values") is not None or wanted["drift"]:
                opened = self._record(namespace, record)
                if wanted.get("values") is not None:
                    row["differences"] = judge.release_differences(opened, wanted)
                row["drift"] = self._drift(opened, namespace) if wanted["drift"] else []
        row["current"] = row["status"] == "deployed" and not row["differences"] and not row["drift"]
        self.facts["releases"].append(row)
        self.findings.append(judge.judge_release(name, namespace, record, wanted["recover_variable"]))
        if wanted["rollback"]:
            self._look_at_rollback(wanted, records, row)

    def _record(self, namespace: str, record: dict[str, t.Any]) -> dict[str, t.Any]:
        live = self._find(f"/api/v1/namespaces/{namespace}/secrets/{record['secret']}") or {}
        return judge.decode_record(live.get("data", {}).get("release", ""))

    def _drift(self, record: dict[str, t.Any], namespace: str) -> list[str]:
        recorded = recorded_objects(record)
        live = self.cluster.each(lambda obj: self._find(path_of(obj, namespace)), recorded)
        found = [drift_of(*row) for row in zip(recorded, live, strict=True)]
        return [text for text in found if text]

    def _look_at_rollback(
        self, wanted: dict[str, t.Any], records: list[dict[str, t.Any]], row: dict[str, t.Any]
    ) -> None:
        told, target = judge.judge_rollback(wanted["name"], wanted["namespace"], records, wanted["rollback_revision"])
        self.findings.append(told)
        if target is None:
            return
        row["rollback"] = target["revision"]
        lost: dict[str, list[str]] = {}
        for definition in crds_of_record(self._record(wanted["namespace"], target)):
            kind = definition["spec"]["names"]["kind"]
            for obj in self._items(objects_path(definition)):
                paths = unknown_fields(definition, obj)
                if paths:
                    lost[f"{kind} {obj['metadata']['namespace']}/{obj['metadata']['name']}"] = paths
        if not wanted["rollback_lossy"]:
            self.findings.append(judge.judge_lost_fields(target["revision"], lost))

    def _look_at_definition(self, definition: dict[str, t.Any]) -> None:
        live = self._find(f"{CRDS_PATH}/{name_of(definition)}")
        verdict = judge_crd(definition, live, self.params["orchestrator"]["take_over"])
        self.findings.append(judge.judge_definition(definition, verdict.message if verdict.refused else ""))

    def _look_at_hosts(self, orchestrator: dict[str, t.Any]) -> None:
        ingresses = self._items("/apis/networking.k8s.io/v1/ingresses")
        place = orchestrator["release"], orchestrator["namespace"]
        self.findings += [judge.judge_ingress_host(host, ingresses, *place) for host in orchestrator["hosts"]]

    def _look_elsewhere(self, orchestrator: dict[str, t.Any]) -> None:
        name, namespace = orchestrator["release"], orchestrator["namespace"]
        listed = self._items("/api/v1/secrets", metadata_only=True, labelSelector=f"owner=helm,name={name}")
        others = sorted({item["metadata"]["namespace"] for item in listed} - {namespace})
        self.findings.append(judge.judge_elsewhere(name, namespace, others, cluster_wide=orchestrator["cluster_wide"]))

    def _look_at_secret(self, row: dict[str, t.Any]) -> None:
        live = self._find(f"/api/v1/namespaces/{row['namespace']}/secrets/{row['name']}")
        self.findings.append(judge.judge_secret(row, live))

    def _compare_secret(self, wanted: dict[str, t.Any]) -> None:
        # What is not seen to be right stays in the list.
        live = self._find(f"/api/v1/namespaces/{wanted['namespace']}/secrets/{wanted['name']}")
        place = {"namespace": wanted["namespace"], "name": wanted["name"]}
        row = next(one for one in self.facts["secrets_to_write"] if place.items() <= one.items())
        row["foreign"] = judge.secret_is_foreign(wanted, live)
        if not judge.secret_differs(wanted, live):
            self.facts["secrets_to_write"].remove(row)


def main() -> None:
    """Run the module."""
    module = AnsibleModule(argument_spec=argument_spec(), supports_check_mode=True)
    try:
        result = Preflight(module).run()
    except ValueError as exc:  # a version or quantity that is none: of the server, a namespace's quota, or an option
        module.fail_json(msg=f"The preflight cannot judge this cluster: {exc}.")
    module.exit_json(**result)


if __name__ == "__main__":
    main()

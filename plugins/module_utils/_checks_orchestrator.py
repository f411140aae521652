# SPDX-License-Identifier: GPL-3.0-or-later
# SPDX-FileCopyrightText: 2026 The orchestrator.platform authors
#
# Private to this collection: names and behaviour may change in any release.
"""What makes the orchestrator stand: its CRDs, its release, and all that its controller needs (OR-315…OR-325). Pure."""

from __future__ import annotations

import typing as t
from collections.abc import Iterator

from ansible_collections.orchestrator.platform.plugins.module_utils._checks_chart import newest_release
from ansible_collections.orchestrator.platform.plugins.module_utils._crds import (
    is_current,
    is_established,
    name_conflict,
    name_of,
)
from ansible_collections.orchestrator.platform.plugins.module_utils._errors import ManifestError
from ansible_collections.orchestrator.platform.plugins.module_utils._expectation import (
    Orchestrator,
)
from ansible_collections.orchestrator.platform.plugins.module_utils._findings import (
    Catalogue,
    Result,
    Subject,
    decided,
    failed,
    passed,
    skipped,
    subject,
    unreadable,
)
from ansible_collections.orchestrator.platform.plugins.module_utils._rollout import pod_failure, rolled_out, selects
from ansible_collections.orchestrator.platform.plugins.module_utils._snapshot import (
    View,
    runs_namespace,
)
from ansible_collections.orchestrator.platform.plugins.module_utils._workloads import Obj, dig
from ansible_collections.orchestrator.platform.plugins.module_utils._yaml import read_text

CATALOGUE = Catalogue()
check = CATALOGUE.add

API_KEY = "ANTHROPIC_API_KEY"
STOPPED = "the controller is stopped (replicaCount 0)"


def _wanted(view: View) -> Orchestrator:
    return t.cast("Orchestrator", view.expect.orchestrator)  # the scope orchestrator runs with one only


def _deployment(view: View, namespace: str) -> tuple[Subject, Obj | None]:
    found = view.orchestrator_deployment()
    name = _wanted(view).fullname if found is None else found["metadata"]["name"]
    return subject("Deployment", namespace, name), found


def _container(deployment: Obj) -> Obj:
    containers: list[Obj] = dig(deployment, "spec", "template", "spec", "containers") or []
    return containers[0] if containers else {}


def _missing(view: View) -> str:
    return f"no Deployment with component controller and instance {_wanted(view).release}"


def _crds(view: View) -> Iterator[tuple[Subject, Obj, Obj | None]]:
    found = {name_of(item): item for item in view.objects("customresourcedefinitions", "")}
    for definition in _wanted(view).definitions:
        name = name_of(definition)
        yield subject("CustomResourceDefinition", "", name), definition, found.get(name)


# -- CRDs and release ----------------------------------------------------------------------------------------------


@check(
    "chart/crds-established",
    title="The API server serves CodeRun and DocsRun",
    scope="orchestrator",
    needs=("customresourcedefinitions",),
    protects="runs that nobody can create, and a controller that ends because its kinds are not there",
    decided="Each CRD that comes with the collection is there, and its condition Established is True.",
    mend="Run role orchestrator; kubectl describe crd says why one is not served.",
)
def crds_established(view: View, _namespace: str) -> Iterator[Result]:
    """Read the conditions."""
    for who, _definition, live in _crds(view):
        if live is None:
            yield failed(who, "there is no such CRD")
        elif not is_established(live):
            yield failed(who, name_conflict(live) or "it is not established")
        else:
            yield passed(who)


@check(
    "chart/crds-current",
    title="The CRDs are those of this version",
    scope="orchestrator",
    needs=("customresourcedefinitions",),
    protects="fields that an older CRD drops without a word, for Helm never brings CRDs up to date",
    decided="The spec of each CRD holds all that the delivered one does; what the API server adds does not count.",
    mend="Run role orchestrator again; it says whose a CRD is, and orchestrator_crds_take_over lets it take over.",
)
def crds_current(view: View, _namespace: str) -> Iterator[Result]:
    """Compare with the delivered ones."""
    for who, definition, live in _crds(view):
        if live is None:
            yield skipped(who, "there is no such CRD")
        else:
            yield decided(who, None if is_current(definition, live) else "its spec differs from the delivered one")


@check(
    "chart/orchestrator-released",
    title="Helm's newest revision of the orchestrator is deployed",
    scope="orchestrator",
    needs=("releases",),
    protects="an upgrade that failed half way, or one that another process left pending and that blocks the next",
    decided="The newest of Helm's release records says deployed.",
    mend="See helm history; run playbook rollback, or the deployment again with orchestrator_recover.",
)
def orchestrator_released(view: View, namespace: str) -> Iterator[Result]:
    """Read the labels of Helm's own Secrets, not their content."""
    yield newest_release(view, namespace, _wanted(view).release)


# -- the controller ------------------------------------------------------------------------------------------------


@check(
    "chart/orchestrator-rollout",
    title="The controller's rollout is complete",
    scope="orchestrator",
    needs=("deployments", "pods"),
    protects="a controller that is down: runs are taken in and nothing happens to them",
    decided="The Deployment's observed generation, its updated and its available replicas match what is wanted.",
    mend="Read the reason; then kubectl describe pod and kubectl logs with label app.kubernetes.io/name=orchestrator.",
)
def orchestrator_rollout(view: View, namespace: str) -> Iterator[Result]:
    """Judge the Deployment by the predicate that the module sidecar waits with, and its pods for the reason."""
    who, found = _deployment(view, namespace)
    if found is None:
        yield failed(who, _missing(view))
        return
    progress = rolled_out("Deployment", found)
    chosen = dig(found, "spec", "selector")
    reasons = [
        pod_failure(pod.obj)
        for pod in view.pods(namespace)
        if selects(chosen, dig(pod.obj, "metadata", "labels") or {})
    ]
    why = "; ".join([progress.reason, *(reason for reason in reasons if reason)])
    yield decided(who, None if progress.done else why, progress.reason)


@check(
    "chart/orchestrator-endpoints",
    title="The orchestrator's Service has an address to send to",
    scope="orchestrator",
    needs=("services", "endpointslices", "deployments"),
    protects="a REST API that answers nobody although its pod runs, such as after a changed selector",
    decided="One of the Service's EndpointSlices has an endpoint that is ready.",
    mend="Compare the Service's selector with the labels of the pods, and look whether the pods are ready.",
)
def orchestrator_endpoints(view: View, namespace: str) -> Iterator[Result]:
    """Count ready endpoints."""
    name = _wanted(view).fullname
    who = subject("Service", namespace, name)
    _about, deployment = _deployment(view, namespace)
    if view.find("services", namespace, name) is None:
        yield failed(who, "there is no such Service")
    elif dig(deployment, "spec", "replicas") == 0:
        yield skipped(who, STOPPED)
    else:
        ready = [
            endpoint
            for item in view.objects("endpointslices", namespace)
            if (dig(item, "metadata", "labels") or {}).get("kubernetes.io/service-name") == name
            for endpoint in item.get("endpoints") or []
            # Not said means ready (discovery.k8s.io/v1, EndpointConditions).
            if dig(endpoint, "conditions", "ready") is not False
        ]
        yield decided(who, None if ready else "no endpoint is ready", f"{len(ready)} ready")


@check(
    "chart/orchestrator-answers",
    title="The orchestrator answers its health path",
    scope="orchestrator",
    needs=("deployments", "services", "configmaps", "orchestrator-health"),
    protects="a Service that has an address where nothing useful listens",
    decided="A GET of the readiness path through the API server's proxy of the Service has status 200.",
    mend="Read the controller's log: kubectl logs deployment/<name>, with --previous after a restart.",
)
def orchestrator_answers(view: View, namespace: str) -> Iterator[Result]:
    """Judge the one answer."""
    who, deployment = _deployment(view, namespace)
    answer = view.snapshot.orchestrator_health
    if deployment is not None and dig(deployment, "spec", "replicas") == 0:
        yield skipped(who, STOPPED)
    elif answer is None:
        yield skipped(who, "there is no address to ask: no Service, no Deployment or no readiness probe")
    elif answer.unread:
        yield unreadable(who, answer.unread)
    else:
        yield decided(who, None if answer.status == 200 else f"HTTP {answer.status}", f"HTTP {answer.status}")


@check(
    "chart/orchestrator-secret",
    title="Controller and agents read one API key, and it is there",
    scope="orchestrator",
    needs=("deployments", "configmaps", "secrets"),
    protects="a controller that starts while every agent fails, since its configuration names another Secret",
    decided="The Secret and key in config.yaml are those of the controller's ANTHROPIC_API_KEY, and the Secret holds "
    "that key without line breaks. The value is looked at in memory only.",
    mend="Run roles secrets and orchestrator again; secrets_api_key_file gives the key.",
)
def orchestrator_secret(view: View, namespace: str) -> Iterator[Result]:
    """Compare two references, and look the Secret up."""
    about, deployment = _deployment(view, namespace)
    if deployment is None:
        yield skipped(about, _missing(view))
        return
    env = {item.get("name"): item for item in _container(deployment).get("env") or []}
    reference = dig(env.get(API_KEY) or {}, "valueFrom", "secretKeyRef") or {}
    name, key = str(reference.get("name") or ""), str(reference.get("key") or "")
    who = subject("Secret", namespace, name)
    if not name:
        yield failed(about, f"the controller has no {API_KEY} from a Secret")
        return
    config = dig(_controller_config(view, namespace), "secrets") or {}
    named = (config.get("apiKeySecretName"), config.get("apiKeySecretKey"))
    if named != (name, key):
        yield failed(about, f"it reads {name}/{key}, and config.yaml names {named[0]}/{named[1]} for the agents")
        return
    value = view.secret_value(namespace, name, key)
    yield decided(who, _key_problem(value, key), f"key {key}")


def _key_problem(value: str | None, key: str) -> str | None:
    if not value:
        return f"it has no key {key}, or is not there"
    return f"the value of {key} has white space at its end or inside" if value != "".join(value.split()) else None


def _controller_config(view: View, namespace: str) -> Obj:
    found = view.find("configmaps", namespace, f"{_wanted(view).fullname}-task-controller-config")
    try:
        documents = read_text(str(dig(found, "data", "config.yaml") or ""))
    except ManifestError:
        return {}
    return documents[0].obj if documents else {}


@check(
    "chart/orchestrator-mounts",
    title="The controller's configuration and templates are mounted",
    scope="orchestrator",
    needs=("deployments", "configmaps"),
    protects="a controller that refuses to run, or falls back to settings that are built in",
    decided="The Deployment mounts ConfigMaps that exist and hold something at /claude-templates and /config (OR-319).",
    mend="Run role orchestrator again; inside the pod, ls /claude-templates and cat /config/config.yaml show them.",
)
def orchestrator_mounts(view: View, namespace: str) -> Iterator[Result]:
    """Follow mount, volume and ConfigMap."""
    who, deployment = _deployment(view, namespace)
    if deployment is None:
        yield skipped(who, _missing(view))
        return
    sources = {
        item.get("name"): dig(item, "configMap", "name")
        for item in dig(deployment, "spec", "template", "spec", "volumes") or []
    }
    mounts = {
        item.get("mountPath"): sources.get(item.get("name"))
        for item in _container(deployment).get("volumeMounts") or []
    }
    problems = []
    for path in ("/claude-templates", "/config"):
        name = mounts.get(path)
        if not name:
            problems.append(f"no ConfigMap is mounted at {path}")
        elif not dig(view.find("configmaps", namespace, str(name)), "data"):
            problems.append(f"ConfigMap {name} at {path} is absent or empty")
    yield decided(who, "; ".join(problems) or None)


@check(
    "chart/orchestrator-rights",
    title="The controller's account may do its work",
    scope="orchestrator",
    needs=("deployments", "configmaps", "orchestrator-rights"),
    protects="runs that stay Pending because their Job cannot be made",
    decided="SubjectAccessReviews where runs are: creating Jobs, ConfigMaps and claims, watching runs (OR-317); "
    "where runs have channels of their own also creating and deleting Secrets.",
    mend="Set rbac.create: true in orchestrator_values and run role orchestrator, or bind a role that allows it.",
)
def orchestrator_rights(view: View, namespace: str) -> Iterator[Result]:
    """One row, however many rights are missing."""
    who, deployment = _deployment(view, namespace)
    reason = view.snapshot.unread.get(("orchestrator-rights", ""))
    if deployment is None:
        yield skipped(who, _missing(view))
    elif reason is not None:
        yield unreadable(who, reason)
    else:
        denied = [str(right) for right, allowed in view.snapshot.orchestrator_rights.items() if not allowed]
        place = f"in {runs_namespace(view)} its account may not "
        yield decided(who, place + ", ".join(denied) if denied else None)


@check(
    "chart/orchestrator-pull-secrets",
    title="The pull secrets that the orchestrator names are there",
    scope="orchestrator",
    needs=("deployments", "secrets"),
    protects="pods and agents whose image cannot be pulled",
    decided="Each of the Deployment's imagePullSecrets is a Secret of the namespace.",
    mend="Create the Secret with kubectl create secret docker-registry, or take its name out of imagePullSecrets.",
)
def orchestrator_pull_secrets(view: View, namespace: str) -> Iterator[Result]:
    """Look each name up."""
    who, deployment = _deployment(view, namespace)
    named = [item.get("name", "") for item in dig(deployment, "spec", "template", "spec", "imagePullSecrets") or []]
    if not named:
        yield skipped(who, "it names none")
        return
    absent = [name for name in named if view.find("secrets", namespace, name) is None]
    yield decided(who, f"no Secret {', '.join(absent)}" if absent else None, ", ".join(named))


@check(
    "chart/orchestrator-ingress",
    title="The orchestrator's Ingress has a class and its certificates",
    scope="orchestrator",
    needs=("ingresses", "secrets", "ingressclasses"),
    protects="an Ingress that no controller serves, or that serves a certificate of its own making",
    decided="The IngressClass that it names exists, and so does each Secret in its tls section.",
    mend="Install the ingress controller or correct ingress.className; create the TLS Secret that the evidence names.",
)
def orchestrator_ingress(view: View, namespace: str) -> Iterator[Result]:
    """Look class and Secrets up; an Ingress there need not be."""
    name = _wanted(view).fullname
    who = subject("Ingress", namespace, name)
    found = view.find("ingresses", namespace, name)
    if found is None:
        yield skipped(who, "there is none")
        return
    problems = []
    wanted = dig(found, "spec", "ingressClassName")
    if wanted and view.find("ingressclasses", "", wanted) is None:
        problems.append(f"no IngressClass {wanted}")
    for entry in dig(found, "spec", "tls") or []:
        secret = entry.get("secretName")
        if secret and view.find("secrets", namespace, secret) is None:
            problems.append(f"no Secret {secret} for {', '.join(entry.get('hosts') or [])}")
    yield decided(who, "; ".join(problems) or None)


# -- probes and resources ------------------------------------------------------------------------------------------


def _probe(view: View, namespace: str, probe: str) -> Iterator[Result]:
    about, deployment = _deployment(view, namespace)
    if deployment is None:
        yield skipped(about, _missing(view))
        return
    container = _container(deployment)
    who = subject("Deployment", namespace, about["name"], container.get("name", ""))
    ports = {port for item in container.get("ports") or [] for port in (item.get("name"), item.get("containerPort"))}
    request = dig(container, probe, "httpGet")
    if not request:
        yield failed(who, f"no {probe} over HTTP")
    elif request.get("port") not in ports:
        yield failed(who, f"{probe} asks port {request.get('port')}, which the container does not name")
    else:
        yield passed(who, f"GET {request.get('path')}")


@check(
    "probes/orchestrator-liveness",
    title="The controller has a liveness probe",
    scope="orchestrator",
    needs=("deployments",),
    protects="a controller that hangs for good",
    decided="The container asks itself over HTTP, at a port that it names.",
    mend="Set healthCheck.enabled: true in orchestrator_values.",
)
def orchestrator_liveness(view: View, namespace: str) -> Iterator[Result]:
    """Look at the template."""
    yield from _probe(view, namespace, "livenessProbe")


@check(
    "probes/orchestrator-readiness",
    title="The controller has a readiness probe",
    scope="orchestrator",
    needs=("deployments",),
    protects="requests to a controller that has not started yet",
    decided="The container asks itself over HTTP, at a port that it names.",
    mend="Set healthCheck.enabled: true in orchestrator_values.",
)
def orchestrator_readiness(view: View, namespace: str) -> Iterator[Result]:
    """Look at the template."""
    yield from _probe(view, namespace, "readinessProbe")


@check(
    "resources/orchestrator",
    title="The controller has requests and limits",
    scope="orchestrator",
    needs=("deployments",),
    protects="a controller that is evicted first, or takes a node with it",
    decided="CPU and memory have a request and a limit.",
    mend="Set resources in orchestrator_values; null takes the chart's figures away.",
)
def orchestrator_resources(view: View, namespace: str) -> Iterator[Result]:
    """Look for the four figures."""
    about, deployment = _deployment(view, namespace)
    if deployment is None:
        yield skipped(about, _missing(view))
        return
    container = _container(deployment)
    resources = container.get("resources") or {}
    lacking = [
        f"{part}.{name}"
        for part in ("requests", "limits")
        for name in ("cpu", "memory")
        if not dig(resources, part, name)
    ]
    who = subject("Deployment", namespace, about["name"], container.get("name", ""))
    yield decided(who, f"no {', '.join(lacking)}" if lacking else None)

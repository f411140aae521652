# SPDX-License-Identifier: GPL-3.0-or-later
# SPDX-FileCopyrightText: 2026 The orchestrator.platform authors
#
# Private to this collection: names and behaviour may change in any release.
"""Families probes, exposure and delivery: do our containers answer, to whom, and does a message arrive? Pure."""

from __future__ import annotations

import re
from collections.abc import Iterator

from ansible_collections.orchestrator.platform.plugins.module_utils._expectation import BOT
from ansible_collections.orchestrator.platform.plugins.module_utils._fields import covers
from ansible_collections.orchestrator.platform.plugins.module_utils._findings import (
    NO_BOT_EXPECTED,
    Catalogue,
    Result,
    Subject,
    about,
    decided,
    failed,
    passed,
    skipped,
    subject,
    unreadable,
)
from ansible_collections.orchestrator.platform.plugins.module_utils._rollout import selects
from ansible_collections.orchestrator.platform.plugins.module_utils._snapshot import (
    Bearer,
    HttpAnswer,
    View,
    is_running,
)
from ansible_collections.orchestrator.platform.plugins.module_utils._workloads import Obj, dig

CATALOGUE = Catalogue()
check = CATALOGUE.add

_WORKLOADS = ("deployments", "statefulsets", "daemonsets", "cronjobs", "jobs")
_BACKLOG_LIMIT_S = 60.0  # arbitrary: six hundred polls of 100 ms


# -- probes --------------------------------------------------------------------------------------------------------


def _http_probe_problem(container: Obj, probe: str, published: Obj | None) -> str | None:
    actual = container.get(probe)
    if actual is None:
        return f"there is no {probe}"
    if dig(actual, "httpGet", "path") != (dig(published, "httpGet", "path") or "/healthz"):
        return f"{probe} asks {dig(actual, 'httpGet', 'path') or 'nothing over HTTP'}"
    if published is not None and not covers(actual, published):
        differing = [key for key, value in published.items() if not covers(actual.get(key), value, key)]
        return f"{probe} differs from the published one in {', '.join(differing)}"
    return None


def _watcher_probe(view: View, namespace: str, probe: str) -> Iterator[Result]:
    watcher, _bridge = view.our_names()
    snippet = view.snippet
    published = snippet.watcher.get(probe) if snippet is not None else None
    for bearer, _place, container in view.containers(namespace, watcher):
        if snippet is not None and published is None and container.get(probe) is None:
            yield skipped(about(bearer, container), f"{probe} is switched off in the published snippet")
        else:
            yield decided(about(bearer, container), _http_probe_problem(container, probe, published))


@check(
    "probes/watcher-liveness",
    title="The watcher has the published liveness probe on /healthz",
    scope="agents",
    needs=(*_WORKLOADS, "pods", "configmaps"),
    protects="a stuck watcher that nobody restarts",
    decided="The container's livenessProbe asks /healthz with the published figures.",
    mend="Run role sidecar again, or correct the manifest that includes the watcher.",
)
def watcher_liveness(view: View, namespace: str) -> Iterator[Result]:
    """Compare with the snippet."""
    return _watcher_probe(view, namespace, "livenessProbe")


@check(
    "probes/watcher-readiness",
    title="The watcher has the published readiness probe on /healthz",
    scope="agents",
    needs=(*_WORKLOADS, "pods", "configmaps"),
    protects="a rollout that counts as done before the watcher follows the transcript",
    decided="The container's readinessProbe asks /healthz with the published figures.",
    mend="Run role sidecar again, or correct the manifest that includes the watcher.",
)
def watcher_readiness(view: View, namespace: str) -> Iterator[Result]:
    """Compare with the snippet."""
    return _watcher_probe(view, namespace, "readinessProbe")


def _bot_probe(view: View, namespace: str, probe: str) -> Iterator[Result]:
    found = [row for row in view.containers(namespace, BOT) if view.is_bot(row[0].obj)]
    if not found and not view.expect.bot_expected:
        yield skipped(subject("Namespace", namespace, namespace), NO_BOT_EXPECTED)
    for bearer, _place, container in found:
        yield decided(about(bearer, container), _http_probe_problem(container, probe, None))


@check(
    "probes/bot-liveness",
    title="The bot has a liveness probe on /healthz",
    scope="monitor",
    needs=(*_WORKLOADS, "pods"),
    protects="a hanging bot that nobody restarts",
    decided="The container's livenessProbe asks /healthz.",
    mend="Set probes.bot.liveness.enabled to true in the chart's values.",
)
def bot_liveness(view: View, namespace: str) -> Iterator[Result]:
    """Look at the probe's path."""
    return _bot_probe(view, namespace, "livenessProbe")


@check(
    "probes/bot-readiness",
    title="The bot has a readiness probe on /healthz",
    scope="monitor",
    needs=(*_WORKLOADS, "pods"),
    protects="requests that reach a bot which is not ready for them",
    decided="The container's readinessProbe asks /healthz.",
    mend="Set probes.bot.readiness.enabled to true in the chart's values.",
)
def bot_readiness(view: View, namespace: str) -> Iterator[Result]:
    """Look at the probe's path."""
    return _bot_probe(view, namespace, "readinessProbe")


@check(
    "probes/bridge-exec",
    title="The bridge is probed by a command",
    scope="agents",
    needs=(*_WORKLOADS, "pods"),
    protects="a bridge that restarts for ever: the kubelet asks the pod's address, the bridge listens on loopback only",
    decided="Each probe of the bridge is an exec probe, and there is a liveness probe.",
    mend="Take the bridge from the published snippet.",
)
def bridge_exec(view: View, namespace: str) -> Iterator[Result]:
    """Look at the kind of each probe."""
    _watcher, bridge = view.our_names()
    for bearer, _place, container in view.containers(namespace, bridge):
        probes = {
            name: container[name] for name in ("livenessProbe", "readinessProbe", "startupProbe") if name in container
        }
        wrong = [name for name, probe in probes.items() if not dig(probe, "exec", "command")]
        problem = f"not a command: {', '.join(wrong)}" if wrong else None
        if "livenessProbe" not in probes:
            problem = "there is no livenessProbe"
        yield decided(about(bearer, container), problem)


@check(
    "probes/answers",
    title="Watcher and bot answer their health request, the bridge is ready",
    scope="all",
    needs=("pods", "health"),
    protects="probes that look right on paper while nothing answers",
    decided="GET /healthz through the API server's pod proxy gives 200; the bridge, on loopback, is to be Ready. "
    "Where the API server may not or cannot ask, it is skipped for a Ready container and fails for another.",
    mend="Read the container's log; /healthz names the reason when it is not 200.",
)
def answers(view: View, namespace: str) -> Iterator[Result]:
    """Judge the answers collected before."""
    watcher, bridge = view.our_names()
    for bearer, _place, container in view.ours(namespace, pods_only=True):
        name, who = container["name"], about(bearer, container)
        if not is_running(bearer.obj, name):
            yield failed(who, "the container does not run")
        elif name == bridge:
            yield decided(who, None if _is_ready(bearer.obj, name) else "the container is not ready")
        elif name in (watcher, BOT):
            answer = view.snapshot.health.get((namespace, bearer.name, name))
            yield _judge_answer(who, answer, ready=_is_ready(bearer.obj, name))


def _judge_answer(who: Subject, answer: HttpAnswer | None, *, ready: bool) -> Result:
    if answer is None:
        return failed(who, "no answer: not asked")
    if answer.unread:
        # The kubelet asks the same path from the node, so its view stands in for the answer.
        if ready:
            return unreadable(who, f"not asked: {answer.unread}; the kubelet finds the container Ready")
        return failed(who, f"the kubelet finds the container not Ready; not asked ourselves: {answer.unread}")
    problem = None if answer.status == 200 else f"HTTP {answer.status}: {answer.text[:120]}"
    return decided(who, problem, "HTTP 200")


def _is_ready(pod: Obj, container: str) -> bool:
    status = pod.get("status") or {}
    for place in ("containerStatuses", "initContainerStatuses"):
        for item in status.get(place) or []:
            if item.get("name") == container:
                return bool(item.get("ready"))
    return False


# -- exposure ------------------------------------------------------------------------------------------------------


@check(
    "exposure/bridge-loopback",
    title="The bridge binds loopback only",
    scope="agents",
    needs=(*_WORKLOADS, "pods"),
    protects="anybody in the cluster typing into the agent",
    decided="The bridge's BIND_ADDR is 127.0.0.1 or ::1.",
    mend="Take the bridge from the published snippet.",
)
def bridge_loopback(view: View, namespace: str) -> Iterator[Result]:
    """Read the bridge's address."""
    _watcher, bridge = view.our_names()
    for bearer, _place, container in view.containers(namespace, bridge):
        address = next(
            (item.get("value") for item in container.get("env") or [] if item.get("name") == "BIND_ADDR"), None
        )
        yield decided(about(bearer, container), None if address in ("127.0.0.1", "::1") else f"BIND_ADDR is {address}")


@check(
    "exposure/no-host-port",
    title="Our containers are not on the node's network",
    scope="all",
    needs=(*_WORKLOADS, "pods"),
    protects="health, metrics or the bridge reachable from outside the cluster",
    decided="None of our containers has a hostPort, and no pod that holds one has hostNetwork.",
    mend="Take the hostPort away; give an agent on the host network the annotation orchestrator.platform/inject=false.",
)
def no_host_port(view: View, namespace: str) -> Iterator[Result]:
    """Look at ports and at the pod's network."""
    for bearer, _place, container in view.ours(namespace):
        ports = [str(port["hostPort"]) for port in container.get("ports") or [] if port.get("hostPort")]
        problem = f"hostPort {', '.join(ports)}" if ports else None
        if bearer.spec.get("hostNetwork"):
            problem = "the pod uses the host network"
        yield decided(about(bearer, container), problem)


@check(
    "exposure/no-service",
    title="No Service leads to the bridge",
    scope="agents",
    needs=("services", "pods", *_WORKLOADS),
    protects="a way to the agent's input that survives a mistake in the bind address",
    decided="No Service whose selector matches a pod with a bridge targets the bridge's port, by number or name.",
    mend="Delete the Service, or take the port out of it.",
)
def no_service(view: View, namespace: str) -> Iterator[Result]:
    """Match Services with pods that hold a bridge."""
    _watcher, bridge = view.our_names()
    services = view.objects("services", namespace)
    if not services:
        yield passed(subject("Namespace", namespace, namespace), "there is no Service")
    for service in services:
        selector = {"matchLabels": dig(service, "spec", "selector")}
        hit = None
        for bearer, _place, container in view.containers(namespace, bridge):
            labels = dig(bearer.obj, "metadata", "labels") if bearer.kind == "Pod" else _template_labels(bearer)
            targets = {port.get("targetPort", port.get("port")) for port in dig(service, "spec", "ports") or []}
            wanted = {
                value for port in container.get("ports") or [] for value in (port.get("name"), port["containerPort"])
            }
            if selects(selector, labels) and targets & wanted:
                hit = f"targets the bridge of {bearer.kind} {bearer.name}"
                break
        yield decided(subject("Service", namespace, service["metadata"]["name"]), hit)


def _template_labels(bearer: Bearer) -> Obj:
    place = ("spec", "jobTemplate", "spec", "template") if bearer.kind == "CronJob" else ("spec", "template")
    return dig(bearer.obj, *place, "metadata", "labels") or {}


@check(
    "exposure/network-policy",
    title="Where NetworkPolicies are in use, one limits who reaches the bot",
    scope="monitor",
    needs=("networkpolicies", *_WORKLOADS),
    severity="info",
    protects="the bot's health, metrics and create action, which every pod of the cluster can reach without one",
    decided="One of the namespace's NetworkPolicies, if there are any, is of type Ingress and selects the bot's pods. "
    "Whether the network enforces it cannot be seen from here.",
    mend="Add one that lets in the orchestrator and your metrics collector, on port 8080.",
)
def network_policy(view: View, namespace: str) -> Iterator[Result]:
    """Match policies with the bot's labels."""
    bot = view.bot_deployment()
    if bot is None:
        yield skipped(subject("Namespace", namespace, namespace), "there is no bot")
        return
    who = subject("Deployment", namespace, bot["metadata"]["name"])
    labels = dig(bot, "spec", "template", "metadata", "labels") or {}
    policies = view.objects("networkpolicies", namespace)
    names = [item["metadata"]["name"] for item in policies if _takes_in(dig(item, "spec") or {}, labels)]
    if not policies:
        yield skipped(who, "there is no NetworkPolicy in this namespace")
        return
    yield decided(who, None if names else "no NetworkPolicy selects its pods", ", ".join(names))


def _takes_in(spec: Obj, labels: Obj) -> bool:
    selector = spec.get("podSelector") or {}
    # Ingress is the default type. An empty selector takes every pod.
    return "Ingress" in (spec.get("policyTypes") or ["Ingress"]) and (not selector or selects(selector, labels))


# -- delivery ------------------------------------------------------------------------------------------------------


@check(
    "delivery/webhook-secret-present",
    title="Every webhook that a watcher reads is there",
    scope="agents",
    needs=("secrets", "configmaps", *_WORKLOADS, "pods"),
    protects="watchers that idle, healthy and silent, since a missing Secret must not keep an agent from starting",
    decided="Each Secret and key that a watcher of the namespace is to read, by the chart, a run or an annotation, is "
    "there, and the value is an http(s) URL without whitespace; it is never shown. Without a watcher: the one to come.",
    mend="Give role secrets the namespace's webhook URL, or make the Secret that the workload's annotation names.",
)
def webhook_secret_present(view: View, namespace: str) -> Iterator[Result]:
    """Look at the shape of each value, never show it."""
    for name, key in view.webhooks_read(namespace):
        who = subject("Secret", namespace, name)
        value = view.secret_value(namespace, name, key)
        if view.find("secrets", namespace, name) is None:
            yield failed(who, "there is no such Secret")
        elif not value:
            yield failed(who, f"key {key} is missing or empty")
        else:
            problem = f"the value of {key} is not a URL (a trailing newline counts)"
            yield decided(who, None if re.fullmatch(r"https?://[^\s/]+/\S+", value) else problem)


@check(
    "delivery/probe-line",
    title="A probe line written to a watcher's transcript arrives in Discord",
    scope="agents",
    needs=("pods", "delivery"),
    protects="everything looking well while no message arrives",
    decided="The command discord-monitor probe, opt-in, runs in the watcher and has its message confirmed.",
    mend="Read the watcher's log for the last answer of Discord; a 404 means that the webhook was deleted.",
)
def probe_line(view: View, namespace: str) -> Iterator[Result]:
    """Judge what the probe command printed."""
    for (place, pod, container), answer in view.snapshot.delivery.items():
        if place != namespace:
            continue
        who = subject("Pod", namespace, pod, container)
        if answer.unread:
            yield unreadable(who, f"the probe could not be run: {answer.unread}")
            continue
        problem = None if answer.delivered else answer.error or "not confirmed in time"
        yield decided(who, problem, "" if answer.seconds is None else f"{answer.seconds:.1f} s")


@check(
    "delivery/backlog",
    title="Watchers keep up with their transcripts",
    scope="agents",
    needs=("pods", "metrics"),
    severity="warning",
    protects="a channel that falls behind the agent by minutes without anybody noticing",
    decided="The lag that the watcher's /metrics shows is below 60 s.",
    mend="Read the watcher's log; narrow the filters when the agent writes more than Discord takes.",
)
def backlog(view: View, namespace: str) -> Iterator[Result]:
    """Read the lag from the metrics text."""
    for (place, pod, container), answer in view.snapshot.metrics.items():
        if place != namespace:
            continue
        who = subject("Pod", namespace, pod, container)
        if answer.unread:
            yield unreadable(who, f"/metrics was not read: {answer.unread}")
            continue
        lag = metric(answer.text, "lag_seconds") if answer.status == 200 else None
        if lag is None:
            yield skipped(who, "the watcher shows no lag_seconds in /metrics")
        else:
            yield decided(who, None if lag < _BACKLOG_LIMIT_S else f"lag {lag:.0f} s", f"lag {lag:.1f} s")


def metric(text: str, suffix: str) -> float | None:
    """The largest sample of the metrics whose name ends so, from Prometheus' text format."""
    pattern = re.compile(rf"^[A-Za-z_:][\w:]*{re.escape(suffix)}(?:\{{[^}}]*\}})? +([0-9.eE+-]+)", re.MULTILINE)
    values = [float(match[1]) for match in pattern.finditer(text)]
    return max(values, default=None)

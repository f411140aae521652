# SPDX-License-Identifier: GPL-3.0-or-later
# SPDX-FileCopyrightText: 2026 The orchestrator.platform authors
#
# Private to this collection: names and behaviour may change in any release.
"""Families chart and injection: is everything there, and is it the current version? Pure."""

from __future__ import annotations

from collections.abc import Iterator

from ansible_collections.orchestrator.platform.plugins.module_utils._errors import SnippetError
from ansible_collections.orchestrator.platform.plugins.module_utils._expectation import LABEL_INSTANCE
from ansible_collections.orchestrator.platform.plugins.module_utils._fields import covers
from ansible_collections.orchestrator.platform.plugins.module_utils._findings import (
    NO_BOT_EXPECTED,
    Catalogue,
    Result,
    about,
    decided,
    failed,
    passed,
    skipped,
    subject,
    warned,
)
from ansible_collections.orchestrator.platform.plugins.module_utils._rollout import rolled_out
from ansible_collections.orchestrator.platform.plugins.module_utils._sidecar import (
    Options,
    plan_present,
    reason_to_skip,
)
from ansible_collections.orchestrator.platform.plugins.module_utils._snapshot import Bearer, View
from ansible_collections.orchestrator.platform.plugins.module_utils._snippet import snippet_of_config_map
from ansible_collections.orchestrator.platform.plugins.module_utils._workloads import (
    ANNOTATION_HASH,
    Obj,
    annotation,
    containers_of,
    dig,
    find_container,
    pod_template,
)

CATALOGUE = Catalogue()
check = CATALOGUE.add

_STANDARD_LABELS = tuple(
    "app.kubernetes.io/" + name for name in ("name", "instance", "version", "component", "part-of", "managed-by")
)


@check(
    "chart/bot-rollout",
    title="The bot's rollout is complete",
    scope="monitor",
    needs=("deployments",),
    protects="a bot that is down, or an old one still answering after an upgrade",
    decided="The Deployment's observed generation, its updated and its available replicas match what is wanted.",
    mend="Read the events and logs of the bot's pods: kubectl describe pod, kubectl logs.",
)
def bot_rollout(view: View, namespace: str) -> Iterator[Result]:
    """Judge the Deployment by the predicate that the module sidecar waits with."""
    bot = view.bot_deployment()
    if bot is None and not view.expect.bot_expected:
        yield skipped(subject("Namespace", namespace, namespace), NO_BOT_EXPECTED)
        return
    if bot is None:
        missing = f"no Deployment with component bot and instance {view.expect.release}"
        yield failed(subject("Deployment", namespace, view.expect.fullname), missing)
        return
    progress = rolled_out("Deployment", bot)
    who = subject("Deployment", namespace, bot["metadata"]["name"])
    yield decided(who, None if progress.done else progress.reason, progress.reason)


@check(
    "chart/snippet-published",
    title="The chart's sidecar snippet is published and readable",
    scope="monitor",
    needs=("configmaps",),
    protects="injection from nowhere: without the snippet no workload can get or keep a current sidecar",
    decided="The ConfigMap is there, its snippet.json is JSON of the schema this version reads, and it carries a hash.",
    mend="Install the chart discord-monitor of this collection's version with snippet.publish left on.",
)
def snippet_published(view: View, namespace: str) -> Iterator[Result]:
    """Parse the ConfigMap."""
    name = view.expect.snippet_name
    who = subject("ConfigMap", namespace, name)
    found = view.find("configmaps", namespace, name)
    if found is None:
        yield failed(who, "there is no such ConfigMap")
        return
    try:
        snippet = snippet_of_config_map(found)
    except SnippetError as exc:
        yield failed(who, str(exc))
        return
    yield decided(who, None if dig(found, "data", "hash") else "it carries no hash", f"hash {snippet.hash[:12]}")


@check(
    "chart/release-labels",
    title="Objects of the release carry the standard labels",
    scope="monitor",
    needs=("deployments", "services", "configmaps"),
    severity="warning",
    protects="tools and people that find our objects by label, uninstall among them",
    decided="Objects with the release's instance label have name, instance, version, component, part-of, managed-by.",
    mend="Upgrade the release; a label that stays away was taken off by another tool.",
)
def release_labels(view: View, namespace: str) -> Iterator[Result]:
    """Look at the labels of what Helm has made."""
    for resource, kind in (("deployments", "Deployment"), ("services", "Service"), ("configmaps", "ConfigMap")):
        for obj in view.objects(resource, namespace):
            labels = dig(obj, "metadata", "labels") or {}
            if labels.get(LABEL_INSTANCE) == view.expect.release:
                missing = [name for name in _STANDARD_LABELS if not labels.get(name)]
                who = subject(kind, namespace, obj["metadata"]["name"])
                yield decided(who, f"without {', '.join(missing)}" if missing else None)


@check(
    "chart/release-deployed",
    title="Helm's newest revision of the release is deployed",
    scope="monitor",
    needs=("releases",),
    protects="an upgrade that failed half way, or one that another process left pending and that blocks the next",
    decided="The newest of Helm's release records says deployed.",
    mend="See helm history; roll back, or run the deployment again.",
)
def release_deployed(view: View, namespace: str) -> Iterator[Result]:
    """Read the labels of Helm's own Secrets, not their content."""
    yield newest_release(view, namespace, view.expect.release)


def newest_release(view: View, namespace: str, release: str) -> Result:
    """Whether the newest of a release's records says deployed."""
    records = [
        (int(labels["version"]), labels.get("status", "?"))
        for labels in (dig(obj, "metadata", "labels") or {} for obj in view.objects("releases", namespace))
        if labels.get("name") == release and labels.get("version", "").isdigit()
    ]
    who = subject("Release", namespace, release)
    if not records:
        return failed(who, "Helm has no record of it in this namespace")
    revision, status = max(records)
    text = f"revision {revision} is {status}"
    return decided(who, None if status == "deployed" else text, text)


# -- injection -----------------------------------------------------------------------------------------------------


@check(
    "injection/watcher-present",
    title="Every selected workload holds the watcher",
    scope="agents",
    needs=("deployments", "statefulsets", "daemonsets", "cronjobs", "jobs"),
    protects="an agent that works unseen, for example after its owner replaced the manifest",
    decided="The pod template of each selected workload has a container with the watcher's name, in any of the lists. "
    "Our sidecar left in a workload that was opted out later is a warning.",
    mend="Run role sidecar again; a conflict it reports names the manager that has to give way. What was left in an "
    "opted-out workload goes by a run with sidecar_state: absent and its name in sidecar_names.",
)
def watcher_present(view: View, namespace: str) -> Iterator[Result]:
    """Look into the templates; a workload that must not be changed is skipped with its code.

    Our own sidecar in a workload that was opted out later is a warning: nobody brings it up to date any more.
    """
    watcher, _bridge = view.our_names()
    chosen = list(view.targets(namespace))
    if not chosen:
        wanted = "; ".join(str(target) for target in view.expect.targets if target.present)
        reason = f"no workload is selected ({wanted})" if wanted else "no workload is to hold a sidecar"
        yield skipped(subject("Namespace", namespace, namespace), reason)
    for bearer in chosen:
        skip = reason_to_skip(bearer.obj, bearer.kind, view.snapshot.namespaces.get(namespace))
        if find_container(bearer.spec, watcher) is not None:
            left_behind = "" if skip is None else skip.note
            yield warned(about(bearer), f"opt_out: {left_behind}") if left_behind else passed(about(bearer))
        elif skip is not None:
            yield skipped(about(bearer), f"{skip.code}: {skip.message}")
        else:
            names = ", ".join(item["name"] for _place, item in containers_of(bearer.spec))
            yield failed(about(bearer), f"no container {watcher}; there are: {names}")


@check(
    "injection/one-watcher",
    title="No pod holds the watcher twice",
    scope="agents",
    needs=("deployments", "statefulsets", "daemonsets", "cronjobs", "jobs", "pods"),
    protects="every message arriving twice, when a native and a classic sidecar meet",
    decided="Containers with the watcher's name or program are counted over all three container lists.",
    mend="Remove one of the two: either the chart's include or the injection.",
)
def one_watcher(view: View, namespace: str) -> Iterator[Result]:
    """Count by name, and by what makes a copy under another name work: its webhook variable and its arguments."""
    watcher, _bridge = view.our_names()
    for bearer in view.bearers(namespace):
        found = [
            f"{place}/{item['name']}"
            for place, item in containers_of(bearer.spec)
            if item["name"] == watcher or item.get("args") == ["watch"]
        ]
        if found:
            yield decided(about(bearer), f"watchers: {', '.join(found)}" if len(found) > 1 else None, found[0])


def _injected(view: View, namespace: str) -> Iterator[tuple[Bearer, str]]:
    watcher, _bridge = view.our_names()
    for bearer in view.workloads(namespace):
        found = annotation(pod_template(bearer.obj, bearer.kind), ANNOTATION_HASH)
        if found is not None and find_container(bearer.spec, watcher) is not None:
            yield bearer, found


@check(
    "injection/template-current",
    title="Injected sidecars are of the published snippet",
    scope="agents",
    needs=("deployments", "statefulsets", "daemonsets", "cronjobs", "jobs", "configmaps"),
    protects="agents left behind with old settings or an old image after the chart was upgraded",
    decided="The hash in each injected pod template equals the hash in the published ConfigMap.",
    mend="Run role sidecar again.",
)
def template_current(view: View, namespace: str) -> Iterator[Result]:
    """Compare hashes."""
    snippet = view.snippet
    for bearer, found in _injected(view, namespace):
        skip = reason_to_skip(bearer.obj, bearer.kind, view.snapshot.namespaces.get(namespace))
        if snippet is None:
            yield skipped(about(bearer), "no snippet is published to compare with")
        elif skip is not None:
            yield skipped(about(bearer), f"{skip.code}: {skip.message}")
        else:
            same = found == snippet.hash
            yield decided(about(bearer), None if same else f"template {found[:12]}, published {snippet.hash[:12]}")


# What other checks compare with the published snippet.
_ELSEWHERE = ("livenessProbe", "readinessProbe", "resources", "securityContext", "ports")
_ELSEWHERE_ENV = ("BIND_ADDR",)


@check(
    "injection/drift",
    title="What was injected is as it was injected",
    scope="agents",
    needs=("deployments", "statefulsets", "daemonsets", "cronjobs", "jobs", "configmaps"),
    protects="a sidecar of the right hash that somebody has edited since: another image, other arguments",
    decided="Where the template's hash is the published one and role sidecar owns the sidecar, the containers, volumes "
    "and the agent's mount are those that it would apply now. Probes, resources, security context and ports have "
    "checks of their own.",
    mend="Run role sidecar again; a conflict it reports names the manager that has to give way.",
)
def drift(view: View, namespace: str) -> Iterator[Result]:
    """Ask the module's own plan what it would change."""
    watcher, bridge = view.our_names()
    snippet = view.snippet
    for bearer, found in _injected(view, namespace):
        if snippet is None or found != snippet.hash or bearer.kind == "Job":
            continue
        skip = reason_to_skip(bearer.obj, bearer.kind, view.snapshot.namespaces.get(namespace))
        if skip is not None:
            yield skipped(about(bearer), f"{skip.code}: {skip.message}")
            continue
        native = any(item.get("name") == watcher for item in bearer.spec.get("initContainers") or [])
        options = Options(
            native=native,
            bridge=find_container(bearer.spec, bridge) is not None,
            overrides=view.given(bearer),
        )
        plan = plan_present(bearer.obj, bearer.kind, snippet, options)
        if plan.outcome == "unchanged":
            yield passed(about(bearer))
        elif plan.outcome == "updated" and plan.body is not None:
            wanted = dig(pod_template(plan.body, bearer.kind), "spec") or {}
            yield decided(about(bearer), "; ".join(_differences(bearer.spec, wanted)) or None)
        elif plan.outcome == "injected":
            yield skipped(about(bearer), "the sidecar is not role sidecar's: its owner includes it")
        else:
            yield skipped(about(bearer), f"{plan.code}: {plan.message}")


def _differences(live: Obj, wanted: Obj) -> Iterator[str]:
    for place in ("initContainers", "containers"):
        for container in wanted.get(place) or []:
            name = container["name"]
            there: Obj = next((item for item in live.get(place) or [] if item.get("name") == name), {})
            keys = [key for key, value in _compared(container).items() if not covers(there.get(key), value, key)]
            if keys:
                yield f"{name}: {', '.join(keys)}"
    volumes = wanted.get("volumes") or []
    gone = [item["name"] for item in volumes if not covers(live.get("volumes"), [item], "volumes")]
    if gone:
        yield f"volumes: {', '.join(gone)}"


def _compared(container: Obj) -> Obj:
    kept = {key: value for key, value in container.items() if key not in _ELSEWHERE}
    if "env" in kept:
        kept["env"] = [item for item in kept["env"] if item.get("name") not in _ELSEWHERE_ENV]
    return kept


@check(
    "injection/pods-current",
    title="Running pods are of their workload's current template",
    scope="agents",
    needs=("deployments", "statefulsets", "daemonsets", "cronjobs", "jobs", "pods"),
    severity="warning",
    protects="believing that a change has arrived while pods of before still run, as with OnDelete or a paused rollout",
    decided="The hash annotation of each pod equals the one in its workload's template.",
    mend="Resume the rollout, or delete the old pods when their agents can be interrupted.",
)
def pods_current(view: View, namespace: str) -> Iterator[Result]:
    """Match pods with workloads by selector."""
    injected = {(bearer.kind, bearer.name): wanted for bearer, wanted in _injected(view, namespace)}
    for pod in view.pods(namespace):
        bearer = view.workload_of(pod)
        wanted = injected.get((bearer.kind, bearer.name)) if bearer is not None else None
        if bearer is not None and wanted is not None:
            found = annotation(pod.obj, ANNOTATION_HASH)
            text = f"pod {(found or 'without hash')[:12]}, template of {bearer.kind} {bearer.name} {wanted[:12]}"
            yield decided(about(pod), None if found == wanted else text)

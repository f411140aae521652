# SPDX-License-Identifier: GPL-3.0-or-later
# SPDX-FileCopyrightText: 2026 The orchestrator.platform authors
#
# Private to this collection: names and behaviour may change in any release.
"""Takes the snapshot: one list a resource and namespace, then the live answers that the selected checks need."""

from __future__ import annotations

import datetime
import json
import typing as t
from collections.abc import Callable, Iterable

from ansible_collections.orchestrator.platform.plugins.module_utils._cluster import Answer, Cluster
from ansible_collections.orchestrator.platform.plugins.module_utils._errors import (
    ApiError,
    ClusterError,
    PlatformError,
)
from ansible_collections.orchestrator.platform.plugins.module_utils._expectation import BOT, Expectation
from ansible_collections.orchestrator.platform.plugins.module_utils._findings import Check
from ansible_collections.orchestrator.platform.plugins.module_utils._preflight import (
    Permission,
    kinds_of,
    permissions_needed,
    rights_of,
)
from ansible_collections.orchestrator.platform.plugins.module_utils._rbac import Right, Who, access_review
from ansible_collections.orchestrator.platform.plugins.module_utils._rollout import bounded
from ansible_collections.orchestrator.platform.plugins.module_utils._snapshot import (
    ALWAYS_READ,
    CLUSTER_RESOURCES,
    NAMED_RESOURCES,
    ORCHESTRATOR_READS,
    RESOURCES,
    Chosen,
    Delivery,
    HttpAnswer,
    Inside,
    Place,
    Snapshot,
    UnreadableError,
    Usage,
    View,
    controllers_questions,
    health_port,
    is_running,
    orchestrator_address,
)
from ansible_collections.orchestrator.platform.plugins.module_utils._workloads import (
    KINDS,
    Obj,
    containers_of,
    dig,
    find_container,
)

_NO_EXEC = "get and create on pods/exec are not both permitted"
_FILTERS: dict[str, dict[str, str]] = {
    # Helm's records are Secrets of up to a megabyte; their labels say all that is asked.
    "secrets": {"fieldSelector": "type!=helm.sh/release.v1"},
    "releases": {"labelSelector": "owner=helm"},
}
_HEALTH_TIMEOUT_S = 5.0
# Arbitrary, three of the kubelet's readings: at first the runtime's own work counts as the container's (240m of 100m).
_YOUNG_S = 30.0
_MAX_ANSWER = 65536  # characters of a health or metrics answer that are kept
_MAX_REVIEWS = 5000  # arbitrary: about five seconds of them
_REVIEWS = "/apis/authorization.k8s.io/v1/subjectaccessreviews"
_SELF_REVIEWS = "/apis/authorization.k8s.io/v1/selfsubjectaccessreviews"
_INSIDE_TIMEOUT_S = 10.0
# GNU cut alone can print names without values: -z takes NUL as the end of a line, -s drops what has no value.
_ENV_NAMES = ["cut", "-z", "-s", "-d=", "-f1", "/proc/1/environ"]
_MOUNT_POINTS = ["cut", "-d ", "-f2", "/proc/1/mounts"]


class Collector:
    """Fills one snapshot; whatever is forbidden becomes a reason in `unread` instead of an error."""

    def __init__(self, cluster: Cluster, expect: Expectation) -> None:
        self._cluster = cluster
        self._expect = expect
        self.snapshot = Snapshot()
        self.view = View(self.snapshot, expect)

    def collect(self, checks: Iterable[Check], *, probe_every: bool, probe_timeout_s: int) -> View:
        """Read what these checks need, and no more."""
        needs = {need for check in checks for need in check.needs}
        self._static(needs)
        self.snapshot.clock_skew_s = self._cluster.clock_skew_s
        # One beside the other: a probe line is mostly waiting, and the others need no time of its container.
        parts: list[Callable[[], None]] = []
        if "reviews" in needs:
            parts.append(self._review)
        if "permissions" in needs:
            parts.append(self._ask_permissions)
        if "delivery" in needs:
            parts.append(lambda: self._deliver(every=probe_every, timeout_s=probe_timeout_s))
        if needs & {"health", "metrics", "usage"}:
            parts.append(lambda: self._look(needs))
        if "inside" in needs:
            parts.append(self._enter)
        if self._expect.orchestrator is not None:
            parts += self._orchestrator_parts(needs)
        self._cluster.each(lambda part: part(), parts)
        return self.view

    # -- lists ----------------------------------------------------------------------------------------------------

    def _static(self, needs: set[str]) -> None:
        expect, jobs = self._expect, []
        for namespace in expect.namespaces():
            jobs.append(("namespace", namespace))
            # Whether the platform is installed, and the names of our containers, is asked whatever is selected.
            jobs += [(name, namespace) for name in RESOURCES if name in needs or name in ALWAYS_READ]
        for namespace in set(expect.orchestrator_namespaces()) - set(expect.namespaces()):
            jobs.append(("namespace", namespace))
            jobs += [(name, namespace) for name in ORCHESTRATOR_READS if name in needs]
        if expect.orchestrator is not None and "customresourcedefinitions" in needs:
            jobs.append(("customresourcedefinitions", ""))
        jobs += [("version", ""), ("nodes", "")] if needs & {"version", "nodes"} else []
        jobs += [(name, "") for name in CLUSTER_RESOURCES if name in needs]
        # A cluster that answers nothing at all is one error, and not a hundred checks skipped after as many waits.
        lost = self._read(jobs[0])
        if lost is not None:
            raise lost
        self._cluster.each(self._read, jobs[1:])
        self._cluster.each(self._select, sorted(self._choices()))

    def _read(self, job: tuple[str, str]) -> ClusterError | None:
        """Read one list; what cannot be read becomes a reason. The error is given back where there was no answer."""
        what, namespace = job
        try:
            self._fetch(what, namespace)
        except ApiError as exc:
            if exc.status == 401:
                raise
            if what == "namespace":
                self.snapshot.namespaces[namespace] = {}  # it may be there; what is in it may be readable
            else:
                self.snapshot.unread[(what, namespace)] = _why_unread(exc, what, namespace)
        except ClusterError as exc:
            if what == "namespace":
                self.snapshot.namespaces[namespace] = {}
            else:
                self.snapshot.unread[(what, namespace)] = f"{what} in {namespace or 'the cluster'}: {exc}"
            return exc
        return None

    def _fetch(self, what: str, namespace: str) -> None:
        if what == "namespace":
            self.snapshot.namespaces[namespace] = self._cluster.find(f"/api/v1/namespaces/{namespace}")
        elif what == "version":
            self.snapshot.server_version = self._cluster.get("/version").get("gitVersion", "")
        elif what == "nodes":
            nodes, _version = self._cluster.items("/api/v1/nodes")
            self.snapshot.kubelet_versions = [dig(node, "status", "nodeInfo", "kubeletVersion") or "" for node in nodes]
        elif what == "customresourcedefinitions":
            self._find_named(what, [item["metadata"]["name"] for item in self._crds()])
        elif what in CLUSTER_RESOURCES:
            self.snapshot.objects[(what, "")] = self._cluster.items(f"{CLUSTER_RESOURCES[what]}/{what}")[0]
        else:
            self._list(what, namespace)

    def _crds(self) -> tuple[Obj, ...]:
        wanted = self._expect.orchestrator
        return () if wanted is None else wanted.definitions

    def _find_named(self, resource: str, names: Iterable[str]) -> None:
        prefix = f"{NAMED_RESOURCES[resource]}/{resource}"
        found = [self._cluster.find(f"{prefix}/{name}") for name in names]
        self.snapshot.objects[(resource, "")] = [item for item in found if item is not None]

    def _list(self, resource: str, namespace: str) -> None:
        plural = "secrets" if resource == "releases" else resource
        items, _version = self._cluster.items(
            f"{RESOURCES[resource]}/namespaces/{namespace}/{plural}",
            metadata_only=resource == "releases",
            **_FILTERS.get(resource, {}),
        )
        self.snapshot.objects[(resource, namespace)] = items

    def _choices(self) -> set[Chosen]:
        return {
            Chosen(target.labels, target.fields, kind, namespace)
            for target in self._expect.targets
            if target.labels or target.fields
            for kind in target.kinds
            for namespace in self._expect.agent_namespaces
            if not target.namespaces or namespace in target.namespaces
        }

    def _select(self, chosen: Chosen) -> None:
        """Let the API server match labels and fields. One that it cannot read is a mistake of whoever wrote it."""
        queries = {"labelSelector": chosen.labels, "fieldSelector": chosen.fields}
        query = {key: value for key, value in queries.items() if value}
        shown = " and ".join(query.values())
        try:
            items, _version = self._cluster.items(
                KINDS[chosen.kind].path(chosen.namespace), metadata_only=True, **query
            )
        except ClusterError as exc:
            if isinstance(exc, ApiError) and exc.status == 400:
                text = f"The API server cannot read the selector {shown!r} of the workloads that are to hold a sidecar"
                said = bounded(str(exc)).rstrip(".")
                raise PlatformError(f"{text}: {said}. Correct it in target_label_selectors or targets.") from exc
            reason = f"which {KINDS[chosen.kind].plural} in {chosen.namespace} match {shown} could not be read: {exc}"
            self.snapshot.unread[(str(chosen), chosen.namespace)] = reason
        else:
            self.snapshot.selected[chosen] = {item["metadata"]["name"] for item in items}

    # -- access reviews -------------------------------------------------------------------------------------------

    def _review(self) -> None:
        """Let the API server decide each right of interest, once for each class of subjects."""
        access = self.view.access
        questions = list(access.questions())
        if len(questions) > _MAX_REVIEWS:
            # What the objects grant is asked first: an answer there matters most.
            questions.sort(key=lambda item: access.roles.granted_by(*item) is None)
            text = f"{len(questions) - _MAX_REVIEWS} of {len(questions)} access reviews were not asked for"
            self.snapshot.unread[("reviews", "")] = text
        try:
            answers = self._in_lots(self._decide, questions[:_MAX_REVIEWS])
            groups = list(access.questions_about_groups(answers))
            if len(groups) > _MAX_REVIEWS:
                text = f"{len(groups) - _MAX_REVIEWS} of {len(groups)} access reviews of groups were not asked for"
                self.snapshot.unread[("reviews", "")] = text
            answers |= self._in_lots(self._decide, groups[:_MAX_REVIEWS])
        except ClusterError as exc:
            refused = isinstance(exc, ApiError) and exc.status == 403
            why = "create on subjectaccessreviews is not permitted" if refused else str(exc)
            self.snapshot.unread[("reviews", "")] = why
        else:
            self.snapshot.reviews.update(answers)

    def _in_lots(self, ask: Callable[[t.Any], tuple[t.Any, bool]], questions: list[t.Any]) -> dict[t.Any, bool]:
        # The first one alone: without the permission there is no need for the others.
        first = [ask(question) for question in questions[:1]]
        return dict([*first, *self._cluster.each(ask, questions[1:])])

    def _decide(self, question: tuple[Who, Right]) -> tuple[tuple[Who, Right], bool]:
        answer = self._cluster.post(_REVIEWS, access_review(*question))
        return question, bool(dig(answer, "status", "allowed"))

    def _ask_permissions(self) -> None:
        expect = self._expect
        needed = permissions_needed(
            expect.monitor_namespace,
            list(expect.agent_namespaces),
            create_namespaces=True,
            kinds=kinds_of(expect),
            orchestrator=rights_of(expect),
        )

        def ask(item: Permission) -> tuple[Permission, bool]:
            answer = self._cluster.post(_SELF_REVIEWS, item.review())
            return item, bool(dig(answer, "status", "allowed"))

        try:
            self.snapshot.permissions.update(self._in_lots(ask, needed))
        except ClusterError as exc:
            self.snapshot.unread[("permissions", "")] = str(exc)

    # -- the orchestrator -----------------------------------------------------------------------------------------

    def _orchestrator_parts(self, needs: set[str]) -> list[Callable[[], None]]:
        parts: list[Callable[[], None]] = []
        if "orchestrator-health" in needs:
            parts.append(self._ask_orchestrator)
        if "orchestrator-rights" in needs:
            parts.append(self._ask_controllers_rights)
        if "ingressclasses" in needs:
            parts.append(self._find_classes)
        return parts

    def _ask_orchestrator(self) -> None:
        address = orchestrator_address(self.view)
        if address is None:
            return
        try:
            answer = self._cluster.read_text(address, timeout_s=_HEALTH_TIMEOUT_S)
        except ClusterError:
            reason = f"no answer through the API server within {_HEALTH_TIMEOUT_S:.0f} s"
            self.snapshot.orchestrator_health = HttpAnswer(0, "", reason)
        else:
            why = why_not_passed_on(answer)
            self.snapshot.orchestrator_health = HttpAnswer(answer.status, answer.text[:_MAX_ANSWER], why)

    def _ask_controllers_rights(self) -> None:
        questions = list(controllers_questions(self.view))
        try:
            answers = self._cluster.each(self._decide, questions)
        except ClusterError as exc:
            refused = isinstance(exc, ApiError) and exc.status == 403
            why = "create on subjectaccessreviews is not permitted" if refused else str(exc)
            self.snapshot.unread[("orchestrator-rights", "")] = why
        else:
            self.snapshot.orchestrator_rights = {right: allowed for (_who, right), allowed in answers}

    def _find_classes(self) -> None:
        for namespace in self._expect.orchestrator_namespaces():
            ingresses = self.snapshot.objects.get(("ingresses", namespace), [])
            names = {dig(item, "spec", "ingressClassName") for item in ingresses} - {None}
            self._read_named("ingressclasses", sorted(names))

    def _read_named(self, resource: str, names: list[str]) -> None:
        try:
            self._find_named(resource, names)
        except ApiError as exc:
            self.snapshot.unread[(resource, "")] = _why_unread(exc, resource, "")
        except ClusterError as exc:
            self.snapshot.unread[(resource, "")] = str(exc)

    # -- live answers ---------------------------------------------------------------------------------------------

    def _look(self, needs: set[str]) -> None:
        if "health" in needs:
            self.snapshot.health = self._ask(bot_too=True, path="/healthz")
        if "metrics" in needs:
            self.snapshot.metrics = self._ask(bot_too=False, path="/metrics")
        if "usage" in needs:
            self._measure()

    def _running(self, *, bot_too: bool) -> list[tuple[Place, Obj, Obj]]:
        watcher, _bridge = self.view.our_names()
        found = []
        for namespace in self._expect.namespaces():
            try:
                ours = list(self.view.ours(namespace, pods_only=True))
            except UnreadableError:
                continue  # the check that needs it says why
            for bearer, _place, container in ours:
                name = container["name"]
                wanted = name == watcher or (bot_too and name == BOT)
                if wanted and is_running(bearer.obj, name):
                    found.append(((namespace, bearer.name, name), bearer.obj, container))
        return found

    def _ask(self, *, bot_too: bool, path: str) -> dict[Place, HttpAnswer]:
        def ask(item: tuple[Place, Obj, Obj]) -> tuple[Place, HttpAnswer]:
            place, _pod, container = item
            namespace, pod, _name = place
            url = f"/api/v1/namespaces/{namespace}/pods/{pod}:{health_port(container)}/proxy{path}"
            try:
                answer = self._cluster.read_text(url, timeout_s=_HEALTH_TIMEOUT_S)
            except ClusterError:
                # A policy that drops packets looks like this: the API server dials longer than we wait.
                return place, HttpAnswer(0, "", f"no answer through the API server within {_HEALTH_TIMEOUT_S:.0f} s")
            return place, HttpAnswer(answer.status, answer.text[:_MAX_ANSWER], why_not_passed_on(answer))

        return dict(self._cluster.each(ask, self._running(bot_too=bot_too)))

    def _measure(self) -> None:
        nodes = sorted({dig(pod, "spec", "nodeName") for _place, pod, _c in self._running(bot_too=True)} - {None})
        for answer in self._cluster.each(self._summary, nodes):
            if isinstance(answer, str):
                self.snapshot.unread[("usage", "")] = answer
            else:
                self.snapshot.usage.update(answer)

    def _summary(self, node: str) -> dict[Place, Usage] | str:
        try:
            answer = self._cluster.read_text(f"/api/v1/nodes/{node}/proxy/stats/summary?only_cpu_and_memory=true")
        except ClusterError:
            return f"the kubelet of {node} gave no answer"
        if answer.status != 200:
            reason = "get on nodes/proxy is not permitted" if answer.status == 403 else f"HTTP {answer.status}"
            return f"the kubelet's summary of {node} cannot be read: {reason}"
        try:
            pods = json.loads(answer.text).get("pods") or []
        except ValueError:
            return f"the kubelet's summary of {node} is not JSON"
        return dict(_usages(pods))

    def _enter(self) -> None:
        """Read names of variables and mounts in every running container of the pods with a watcher."""
        watcher, _bridge = self.view.our_names()
        places: list[Place] = []
        for namespace in self._expect.agent_namespaces:
            try:
                pods = list(self.view.pods(namespace))
            except UnreadableError:
                continue
            places += [
                (namespace, pod.name, container["name"])
                for pod in pods
                if find_container(pod.spec, watcher) is not None
                for _place, container in containers_of(pod.spec)
                if is_running(pod.obj, container["name"])
            ]
        self.snapshot.inside = dict(self._cluster.each(lambda place: (place, self._look_inside(place)), places))

    def _look_inside(self, place: Place) -> Inside:
        found = []
        for argv, end in ((_ENV_NAMES, "\0"), (_MOUNT_POINTS, "\n")):
            try:
                result = self._cluster.run_in(*place, argv, timeout_s=_INSIDE_TIMEOUT_S)
            except ApiError as exc:
                refused = exc.status == 403
                return Inside(unread=_NO_EXEC if refused else bounded(str(exc)))
            except ClusterError as exc:
                return Inside(unread=bounded(str(exc)))
            if result.code != 0:
                return Inside(unread=f"the image cannot say: GNU cut is needed (exit status {result.code})")
            found.append(frozenset(name for name in result.stdout.split(end) if name))
        return Inside(env=found[0], mounts=found[1])

    def _deliver(self, *, every: bool, timeout_s: int) -> None:
        watchers = self._running(bot_too=False)
        if not every:
            watchers = list({place[0]: (place, pod, item) for place, pod, item in reversed(watchers)}.values())

        def deliver(item: tuple[Place, Obj, Obj]) -> tuple[Place, Delivery]:
            return item[0], self._probe(item[0], timeout_s)

        self.snapshot.delivery = dict(self._cluster.each(deliver, watchers))

    def _probe(self, place: Place, timeout_s: int) -> Delivery:
        argv = ["discord-monitor", "probe", "--timeout", str(timeout_s)]
        try:
            # The command ends by itself; the margin is for starting it.
            result = self._cluster.run_in(*place, argv, timeout_s=timeout_s + 10.0)
        except ApiError as exc:
            reason = _NO_EXEC if exc.status == 403 else str(exc)
            return Delivery(delivered=False, seconds=None, unread=reason)
        except ClusterError as exc:
            return Delivery(delivered=False, seconds=None, unread=str(exc))
        for line in reversed(result.stdout.splitlines()):
            try:
                answer = json.loads(line)
            except ValueError:
                continue
            if isinstance(answer, dict) and "delivered" in answer:
                return _delivery(answer)
        return Delivery(delivered=False, seconds=None, error=f"the probe gave no answer (exit status {result.code})")


def _why_unread(exc: ApiError, what: str, namespace: str) -> str:
    where = namespace or "the cluster"
    if exc.status == 403:
        return f"no permission to list {what} in {where}"
    if exc.status == 404:
        return f"the API server knows no {what}"
    return f"{what} in {where} could not be listed (HTTP {exc.status}): {bounded(str(exc))}"


def why_not_passed_on(answer: Answer) -> str:
    """Why an answer of a pod's proxy is the API server's own and not the pod's; "" when it is the pod's.

    The API server puts its own errors into a Status object: no permission, or the pod is out of its reach, as with
    private control planes and with policies that deny by default. Our programs never answer with one.
    """
    if answer.status == 403:
        return "get on pods/proxy is not permitted"
    if answer.status < 400:
        return ""
    try:
        body = json.loads(answer.text)
    except ValueError:
        return ""
    if not isinstance(body, dict) or body.get("kind") != "Status":
        return ""
    return f"the API server cannot reach the pod (HTTP {answer.status}): {bounded(str(body.get('message') or ''))}"


def _delivery(answer: dict[str, t.Any]) -> Delivery:
    seconds = answer.get("seconds")
    reason = "" if answer["delivered"] else str(answer.get("error") or answer.get("reason") or "not confirmed in time")
    return Delivery(
        answer["delivered"] is True, float(seconds) if isinstance(seconds, (int, float)) else None, reason[:200]
    )


def _usages(pods: list[Obj]) -> t.Iterator[tuple[Place, Usage]]:
    for pod in pods:
        reference = pod.get("podRef") or {}
        for item in pod.get("containers") or []:
            cpu = None if _is_young(item) else dig(item, "cpu", "usageNanoCores")
            usage = Usage(dig(item, "memory", "workingSetBytes"), cpu)
            yield (reference.get("namespace", ""), reference.get("name", ""), item.get("name", "")), usage


def _is_young(item: Obj) -> bool:
    """Whether a container's rate of CPU may still be that of its start, by the kubelet's own clock."""
    try:
        started, read = (datetime.datetime.fromisoformat(text) for text in (item["startTime"], item["cpu"]["time"]))
        return (read - started).total_seconds() < _YOUNG_S
    except (KeyError, TypeError, ValueError):
        return False

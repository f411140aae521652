# SPDX-License-Identifier: GPL-3.0-or-later
# SPDX-FileCopyrightText: 2026 The orchestrator.platform authors
"""What owners of workloads do with them, by the real programs, and what becomes of a sidecar that is in them.

The table ACTIONS is the one of docs/injection.md.
"""

from __future__ import annotations

import json
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

from real_cluster import ROOT, Cluster
from workload_shapes import SHARE, Json, container, pod_spec, workload

KEPT, LOST, UNMOUNTED, REFUSED = "kept", "lost", "unmounted", "refused"


class Owners:
    """Somebody with kubectl and both Helms, in one namespace."""

    def __init__(self, cluster: Cluster, namespace: str, image: str, folder: Path) -> None:
        self.cluster, self.namespace, self.image, self.chart = cluster, namespace, image, folder / "chart"
        toolbox = [str(ROOT / "tools" / "toolbox"), "which"]
        found = subprocess.run([*toolbox, "helm", "helm4"], check=True, capture_output=True, text=True).stdout.split()
        self.programs = dict(zip((3, 4), found, strict=True))
        (self.chart / "templates").mkdir(parents=True)
        (self.chart / "Chart.yaml").write_text("{apiVersion: v2, name: owner, version: 1.0.0}\n")
        (self.chart / "templates" / "object.yaml").write_text("{{ toYaml .Values.object }}\n")

    def manifest(self, name: str, *, agent: str = "agent", mounted: bool = False, release: str = "1") -> Json:
        """The owner's Deployment; a release of his differs in one variable."""
        more: Json = {"env": [{"name": "RELEASE", "value": release}]}
        volumes = {}
        if mounted:
            more["volumeMounts"] = [{"name": "own", "mountPath": SHARE}]
            volumes = {"volumes": [{"name": "own", "emptyDir": {}}]}
        return workload(
            "Deployment", name, pod_spec(self.image, containers=[container(agent, self.image, **more)], **volumes)
        )

    def kubectl(self, *args: str, stdin: str | None = None) -> str:
        """kubectl in the owner's namespace."""
        return self.cluster.kubectl("--namespace", self.namespace, *args, stdin=stdin)

    def send(self, verb: str, manifest: Json, *args: str) -> str:
        """kubectl apply, create, replace of a manifest."""
        return self.kubectl(verb, *args, "--filename=-", stdin=json.dumps(manifest))

    def helm(self, major: int, verb: str, manifest: Json, *args: str) -> str:
        """helm install or upgrade of a release that is nothing but the manifest."""
        return self.call(
            major,
            verb,
            manifest["metadata"]["name"],
            str(self.chart),
            "--values=-",
            *args,
            stdin=json.dumps({"object": manifest}),
        )

    def call(self, major: int, *args: str, stdin: str | None = None) -> str:
        """Any call of a Helm."""
        argv = [self.programs[major], "--namespace", self.namespace, *args]
        done = subprocess.run(
            argv, env=self.cluster.env, input=stdin, capture_output=True, text=True, check=False, timeout=120
        )
        assert done.returncode == 0, f"helm {major} {' '.join(args)}: {done.stderr.strip()[:2000]}"
        return done.stdout


Step = Callable[[Owners, str], Any]


class Action(NamedTuple):
    """How the workload came to be, what its owner does after the injection, and what becomes of the sidecar."""

    made: Step
    done: Step
    outcome: str


def by_helm(major: int) -> Step:
    return lambda o, name: o.helm(major, "install", o.manifest(name))


def helm(major: int, *args: str, **changes: Any) -> Step:
    return lambda o, name: o.helm(major, "upgrade", o.manifest(name, **{"release": "2", **changes}), *args)


def by_kubectl(verb: str, *args: str) -> Step:
    return lambda o, name: o.send(verb, o.manifest(name), *args)


def kubectl(verb: str, *args: str, **changes: Any) -> Step:
    return lambda o, name: o.send(verb, o.manifest(name, **{"release": "2", **changes}), *args)


def command(*args: str) -> Step:
    return lambda o, name: o.kubectl(*(arg.format(f"deployment/{name}") for arg in args))


def both(first: Step, second: Step) -> Step:
    return lambda o, name: (first(o, name), second(o, name))


CLIENT, SERVER = by_kubectl("apply"), by_kubectl("apply", "--server-side")
FORCED = ("--server-side", "--force-conflicts")

# Until the controller has seen a change there is no revision of it that could be undone.
ROLLED = both(command("set", "env", "{}", "A=1"), command("rollout", "status", "{}", "--timeout=60s"))

ACTIONS: dict[str, Action] = {
    "helm3-upgrade": Action(by_helm(3), helm(3), KEPT),
    "helm3-upgrade-by-4": Action(by_helm(3), helm(4), KEPT),
    "helm4-upgrade": Action(by_helm(4), helm(4), KEPT),
    "helm4-upgrade-by-3": Action(by_helm(4), helm(3), KEPT),
    "helm4-force-conflicts": Action(by_helm(4), helm(4, "--force-conflicts"), KEPT),
    "helm3-rollback": Action(both(by_helm(3), helm(3)), lambda o, name: o.call(3, "rollback", name, "1"), KEPT),
    "helm4-rollback": Action(both(by_helm(4), helm(4)), lambda o, name: o.call(4, "rollback", name, "1"), KEPT),
    "apply": Action(CLIENT, kubectl("apply"), KEPT),
    "apply-server-side": Action(SERVER, kubectl("apply", "--server-side"), KEPT),
    "apply-force-conflicts": Action(SERVER, kubectl("apply", *FORCED), KEPT),
    "apply-turned-server-side": Action(CLIENT, kubectl("apply", *FORCED), KEPT),
    "set-image": Action(CLIENT, command("set", "image", "{}", "agent=example.org/other:2"), KEPT),
    "rollout-restart": Action(CLIENT, command("rollout", "restart", "{}"), KEPT),
    "scale": Action(CLIENT, command("scale", "{}", "--replicas=1"), KEPT),
    "rollout-undo-of-a-later-change": Action(CLIENT, both(ROLLED, command("rollout", "undo", "{}")), KEPT),
    "rollout-undo-of-the-injection": Action(CLIENT, command("rollout", "undo", "{}"), LOST),
    "replace": Action(by_kubectl("create"), kubectl("replace"), LOST),
    "helm3-force": Action(by_helm(3), helm(3, "--force"), LOST),
    "helm4-force-replace": Action(by_helm(4), helm(4, "--force-replace", "--server-side=false"), LOST),
    "delete-and-create": Action(CLIENT, both(command("delete", "{}"), by_kubectl("create")), LOST),
    "agent-renamed": Action(CLIENT, kubectl("apply", agent="coder"), UNMOUNTED),
    "agent-renamed-by-helm3": Action(by_helm(3), helm(3, agent="coder"), UNMOUNTED),
    "own-mount-at-our-path": Action(CLIENT, kubectl("apply", mounted=True), UNMOUNTED),
    "agent-renamed-by-helm4": Action(by_helm(4), helm(4, agent="coder"), REFUSED),
    "own-mount-by-helm4": Action(by_helm(4), helm(4, mounted=True), REFUSED),
}  # fmt: skip

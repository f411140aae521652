# SPDX-License-Identifier: GPL-3.0-or-later
# SPDX-FileCopyrightText: 2026 The orchestrator.platform authors
"""Creates, checks and removes one kind cluster. Touches no kubeconfig but the one it is given."""

from __future__ import annotations

import json
import os
import subprocess
import tempfile
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from .capabilities import may_use_resources
from .cluster_config import (
    OPEN_CLAIMS,
    OWNER_LABEL,
    ClusterSpec,
    Host,
    differences,
    foreign_contexts,
    kind_config,
    read_kubeconfig_path,
    read_name,
    read_ports,
)
from .engine import Docker, answering, connect, host_mask
from .errors import ToolboxError
from .pins import cache_folder
from .programs import ensure_tools, tool_program, tools_folder
from .steps import Steps, ask, locked, run

CREATE_TIMEOUT_S = 900
HEALTH_TIMEOUT_S = 60  # an existing cluster may just have been started again
API_TIMEOUT_S = 15


def read_spec(spec: Mapping[str, Any]) -> ClusterSpec:
    """A request as a role hands it over; raises ToolboxError for what cannot be fulfilled."""
    return ClusterSpec(
        name=read_name(spec["name"]),
        kubeconfig=read_kubeconfig_path(spec["kubeconfig"], Path.home()),
        kubernetes=str(spec["kubernetes"]),
        image=spec["image"],
        ports=read_ports(spec.get("ports", [])),
        wait_s=int(spec.get("wait_seconds", 180)),
    )


class Kind:
    """The programs that work on one cluster, and the record of what we know of it."""

    def __init__(self, name: str, docker: Docker, tools: Path) -> None:
        self.name = name
        self.node = f"{name}-control-plane"
        self.docker = docker
        self.kind = tools / "kind"
        self.kubectl = tools / "kubectl"
        self.record_file = cache_folder() / "clusters" / name / "record.json"

    def record(self) -> dict[str, Any]:
        """What we noted of the cluster: `state` is creating or ready; {} when we never made one of that name."""
        try:
            content = json.loads(self.record_file.read_text())
        except (OSError, ValueError):
            return {}
        return content if isinstance(content, dict) else {}

    def note(self, **content: Any) -> None:  # noqa: ANN401 - whatever is to be remembered
        """Replace the record."""
        self.record_file.parent.mkdir(parents=True, exist_ok=True)
        write_private(self.record_file, json.dumps(content))

    def environment(self, kubeconfig: Path) -> dict[str, str]:
        """Environment of kind and kubectl: the user's kubeconfig cannot be reached by it."""
        return {
            **self.docker.environment,
            "KUBECONFIG": str(kubeconfig),
            "KUBECACHEDIR": str(cache_folder() / "kubectl"),
        }

    def exists(self) -> bool:
        """The node's container is there, running or not."""
        answer = self.docker.ask(
            "container", "ls", "--all", "--filter", f"name=^{self.node}$", "--format", "{{.Names}}"
        )
        if answer is None:
            raise ToolboxError("The container engine does not answer any more: see its log.")
        return bool(answer.strip())

    def container_id(self) -> str:
        """Identity of the node's container; empty when there is none."""
        return (self.docker.ask("container", "inspect", "--format", "{{.Id}}", self.node) or "").strip()

    def is_ours(self) -> bool:
        """We are making it, we noted this very container, or its node carries our label.

        A record alone is not enough: somebody may have removed our cluster and made one of the same name.
        """
        noted = self.record()
        if noted.get("state") == "creating" or (noted.get("container") and noted["container"] == self.container_id()):
            return True
        jsonpath = "jsonpath={.items[*].metadata.labels." + OWNER_LABEL.replace(".", "\\.") + "}"
        argv = (
            "exec",
            self.node,
            "kubectl",
            "--kubeconfig=/etc/kubernetes/admin.conf",
            "get",
            "nodes",
            "--output",
            jsonpath,
        )
        return (self.docker.ask(*argv, timeout_s=API_TIMEOUT_S) or "").strip() == self.name

    def kubeconfig_text(self) -> str | None:
        """Access to the cluster as kind knows it, None when it is not complete."""
        with tempfile.TemporaryDirectory() as temporary:
            nowhere = Path(temporary) / "kubeconfig"
            return ask([self.kind, "get", "kubeconfig", "--name", self.name], env=self.environment(nowhere))

    def ask_api(self, kubeconfig: Path, *arguments: str, timeout_s: float = API_TIMEOUT_S) -> str | None:
        """Standard output of a kubectl command, None when it fails."""
        argv = [str(self.kubectl), f"--kubeconfig={kubeconfig}", f"--context=kind-{self.name}", *arguments]
        return ask(argv, timeout_s=timeout_s, env=self.environment(kubeconfig))

    def is_healthy(self, kubeconfig: Path, *, timeout_s: float) -> bool:
        """API server, node and CoreDNS are ready within the time given."""
        deadline = time.monotonic() + timeout_s
        while self.ask_api(kubeconfig, "get", "--raw=/readyz") is None:
            if time.monotonic() > deadline:
                return False
            time.sleep(0.5)  # between two questions, not instead of one
        for arguments in (
            ("wait", "--for=condition=Ready", "node", "--all"),
            ("--namespace=kube-system", "wait", "--for=condition=Available", "deployment/coredns"),
        ):
            left = max(1, int(deadline - time.monotonic()))
            if self.ask_api(kubeconfig, *arguments, f"--timeout={left}s", timeout_s=left + 10) is None:
                return False
        return True

    def ports(self) -> dict[str, int]:
        """Host port of each mapped port of the node, but for the API server's."""
        answer = (
            self.docker.ask("container", "inspect", "--format", "{{json .NetworkSettings.Ports}}", self.node) or "{}"
        )
        found = json.loads(answer) or {}
        return {
            inner.partition("/")[0]: int(outer[0]["HostPort"])
            for inner, outer in found.items()
            if outer and inner != "6443/tcp"
        }

    def delete(self, steps: Steps) -> None:
        """Remove the cluster; raises ToolboxError when that fails."""
        with tempfile.TemporaryDirectory() as temporary:
            nowhere = Path(temporary) / "kubeconfig"
            run(
                [self.kind, "delete", "cluster", "--name", self.name, "--kubeconfig", nowhere],
                steps=steps,
                env=self.environment(nowhere),
                failure=f"The cluster {self.name} could not be removed: try `docker rm --force --volumes {self.node}`.",
                timeout_s=300,
            )
        self.record_file.unlink(missing_ok=True)


def write_private(path: Path, text: str) -> bool:
    """Write a file with mode 0600, whole or not at all; true when it was not like that before."""
    if path.is_file() and path.read_text() == text and path.stat().st_mode & 0o777 == 0o600:
        return False
    path.parent.mkdir(parents=True, exist_ok=True)
    descriptor, name = tempfile.mkstemp(dir=path.parent)  # mkstemp makes it 0600
    with os.fdopen(descriptor, "w") as file:
        file.write(text)
    Path(name).rename(path)
    return True


def host() -> Host:
    """What this host forces on a cluster."""
    cgroup_v2 = Path("/sys/fs/cgroup/cgroup.controllers").is_file()
    return Host(cgroup_v1=not cgroup_v2, withholds_resources=not may_use_resources(host_mask()))


def ensure_cluster(spec: ClusterSpec, *, steps: Steps, check: bool = False) -> dict[str, Any]:
    """A healthy cluster: {changed, ports, context}. A half-made one of ours is made anew, a healthy one left alone.

    Raises ToolboxError when a cluster of that name is not ours, or is not what is asked for.
    """
    if check:
        return _would_change(spec)
    tools = ensure_tools(steps=steps)[0]
    kind = Kind(spec.name, connect(), tools)
    with locked(kind.record_file.with_name("lock"), steps=steps, what=f"Cluster {spec.name}"):
        _refuse_foreign_file(spec, kind)
        if kind.exists():
            _refuse_foreign_cluster(kind)
            if kind.record().get("state") == "ready":
                _refuse_different(spec, kind)
                with steps.step("cluster_check", f"Cluster {spec.name}: checking the existing one"):
                    changed = _revive(spec, kind)
                if changed is not None:
                    return {"changed": changed, "ports": kind.ports(), "context": spec.context}
            steps.say(f"Cluster {spec.name}: an incomplete one is there, removing it")
            kind.delete(steps)
        _create(spec, kind, steps)
        return {"changed": True, "ports": kind.ports(), "context": spec.context}


def _would_change(spec: ClusterSpec) -> dict[str, Any]:
    """Check mode: read what can be read without installing anything."""
    found = answering()
    if found is None or not (tools_folder() / "kubectl").exists():
        return {"changed": True, "ports": {}, "context": spec.context}
    kind = Kind(spec.name, Docker(*found), tools_folder())
    _refuse_foreign_file(spec, kind)
    if not kind.exists():
        return {"changed": True, "ports": {}, "context": spec.context}
    _refuse_foreign_cluster(kind)
    if kind.record().get("state") == "ready":
        _refuse_different(spec, kind)
    healthy = spec.kubeconfig.is_file() and kind.is_healthy(spec.kubeconfig, timeout_s=API_TIMEOUT_S)
    return {"changed": not healthy, "ports": kind.ports(), "context": spec.context}


def _refuse_foreign_file(spec: ClusterSpec, kind: Kind) -> None:
    if not spec.kubeconfig.is_file() or not spec.kubeconfig.stat().st_size:
        return
    answer = ask(
        [kind.kubectl, "config", "view", "--output=json", f"--kubeconfig={spec.kubeconfig}"],
        env=kind.environment(spec.kubeconfig),
    )
    try:
        foreign = foreign_contexts(json.loads(answer or ""), spec.context)
    except ValueError:
        foreign = ["unreadable content"]
    if foreign:
        raise ToolboxError(
            f"{spec.kubeconfig} holds {', '.join(foreign)}, which is not ours: choose another kind_cluster_kubeconfig."
        )


def _refuse_foreign_cluster(kind: Kind) -> None:
    if not kind.is_ours():
        raise ToolboxError(
            f"A kind cluster {kind.name} is there that was not made by us: choose another kind_cluster_name, "
            f"or remove it with `kind delete cluster --name {kind.name}`."
        )


def _refuse_different(spec: ClusterSpec, kind: Kind) -> None:
    different = differences(spec.wanted(), kind.record().get("wanted", {}))
    if different:
        raise ToolboxError(
            f"The cluster {spec.name} is there with another {' and '.join(different)}: "
            "remove it first (kind_cluster_state absent)."
        )


def _revive(spec: ClusterSpec, kind: Kind) -> bool | None:
    """Whether bringing a finished cluster back changed anything; None when it cannot be brought back."""
    running = (
        kind.docker.ask("container", "inspect", "--format", "{{.State.Running}}", kind.node) or ""
    ).strip() == "true"
    if not running and kind.docker.ask("container", "start", kind.node) is None:
        return None
    text = kind.kubeconfig_text()
    if text is None:
        return None
    written = write_private(spec.kubeconfig, text)
    return written or not running if kind.is_healthy(spec.kubeconfig, timeout_s=HEALTH_TIMEOUT_S) else None


def _create(spec: ClusterSpec, kind: Kind, steps: Steps) -> None:
    own_image = spec.image.startswith("orchestrator-platform/")
    version = spec.image.partition("@")[0].rpartition(":")[2]
    config = kind_config(spec, host=host(), version=version, own_image=own_image)
    create = [str(kind.kind), "create", "cluster", "--name", spec.name]
    kind.note(state="creating", wanted=spec.wanted())
    try:
        with (
            tempfile.TemporaryDirectory() as temporary,
            steps.step("cluster_create", f"Cluster {spec.name}: creating it"),
        ):
            file, first_access = Path(temporary) / "kind.json", Path(temporary) / "kubeconfig"
            file.write_text(json.dumps(config))
            run(
                [*create, "--config", str(file), "--kubeconfig", str(first_access), "--wait", f"{spec.wait_s}s"],
                steps=steps,
                title=f"Cluster {spec.name}",
                env=kind.environment(first_access),
                failure=f"The cluster {spec.name} could not be created and was removed; kind's last lines stand above.",
                timeout_s=CREATE_TIMEOUT_S,
            )
        with steps.step("cluster_ready", f"Cluster {spec.name}: waiting for its node and for CoreDNS"):
            if own_image:
                failure = f"The node of {spec.name} cannot be told to open the folders of claims: see its log."
                kind.docker.run("exec", kind.node, "sh", "-c", OPEN_CLAIMS, steps=steps, failure=failure)
            write_private(spec.kubeconfig, kind.kubeconfig_text() or "")
            if not kind.is_healthy(spec.kubeconfig, timeout_s=spec.wait_s):
                raise ToolboxError(
                    f"The cluster {spec.name} was not ready within {spec.wait_s} s and was removed: "
                    "raise kind_cluster_wait_seconds or free some memory.",
                    (kind.ask_api(spec.kubeconfig, "get", "pods", "--all-namespaces") or "").splitlines(),
                )
    except ToolboxError:
        kind.delete(steps)
        spec.kubeconfig.unlink(missing_ok=True)
        raise
    kind.note(state="ready", wanted=spec.wanted(), container=kind.container_id())


def remove_cluster(name: str, kubeconfig: str, *, steps: Steps, check: bool = False) -> dict[str, Any]:
    """Remove a cluster of ours, its record and its kubeconfig file: {changed}. Without an engine only the files."""
    path = read_kubeconfig_path(kubeconfig, Path.home())
    record = cache_folder() / "clusters" / read_name(name) / "record.json"
    found = answering()
    changed = False
    with locked(record.with_name("lock"), steps=steps, what=f"Cluster {name}"):
        if found is not None:
            changed = _remove_containers(Kind(name, Docker(*found), tools_folder()), steps, check=check)
        if path.is_file() and _names_only(path, f"kind-{name}"):
            changed = True
            if not check:
                path.unlink()
        if not check:
            record.unlink(missing_ok=True)
    return {"changed": changed}


def _remove_containers(kind: Kind, steps: Steps, *, check: bool) -> bool:
    if not kind.exists():
        return False
    _refuse_foreign_cluster(kind)
    if not check:
        ensure_tools(steps=steps)
        with steps.step("cluster_delete", f"Cluster {kind.name}: removing it"):
            kind.delete(steps)
    return True


def _names_only(path: Path, context: str) -> bool:
    """The kubeconfig file was written by us: its current context is the cluster's."""
    return f"current-context: {context}\n" in path.read_text(errors="replace") + "\n"


def check_api(kubeconfig: str, context: str, *, steps: Steps) -> dict[str, Any]:
    """An API server answers behind a kubeconfig that somebody gave us: {context, kubernetes_version, changed}."""
    path = Path(kubeconfig)
    if not path.is_file():
        raise ToolboxError(
            f"platform_kubeconfig names {kubeconfig}, which is not a file: "
            "correct it, or leave it empty to have a cluster made."
        )
    kubectl = tool_program("kubectl", steps=steps)
    argv = [str(kubectl), f"--kubeconfig={path}", f"--request-timeout={API_TIMEOUT_S}s"]
    argv += [f"--context={context}"] if context else []
    environment = {**os.environ, "KUBECACHEDIR": str(cache_folder() / "kubectl")}
    done = subprocess.run(
        [*argv, "version", "--output=json"],
        capture_output=True,
        text=True,
        check=False,
        stdin=subprocess.DEVNULL,
        env=environment,
    )
    if done.returncode != 0:
        where = f"{kubeconfig} (context {context})" if context else kubeconfig
        sentence = f"The API server behind {where} does not answer: check that the cluster runs and the context exists."
        raise ToolboxError(sentence, done.stderr.splitlines()[-3:])
    version = json.loads(done.stdout).get("serverVersion", {}).get("gitVersion", "")
    current = context or (ask([*argv, "config", "current-context"]) or "").strip()
    return {"changed": False, "context": current, "kubernetes_version": version}

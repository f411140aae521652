# SPDX-License-Identifier: GPL-3.0-or-later
# SPDX-FileCopyrightText: 2026 The orchestrator.platform authors
"""The cluster under test, read through kubectl, and what arrived in the fake Discord.

Only names are read from Secrets; their data is compared inside this process and never printed.
"""

from __future__ import annotations

import json
import os
import re
import subprocess
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

ROOT = Path(__file__).resolve().parents[2]
STATE = ROOT / ".ansible" / f"molecule{os.environ.get('PLATFORM_TEST_LANE', '')}"

Json = dict[str, Any]

# What molecule sets for its own playbooks and a playbook run by a test must not inherit.
MOLECULES_OWN = (
    "ANSIBLE_LOG_PATH",
    "ANSIBLE_LOG_VERBOSITY",
    "ANSIBLE_VERBOSITY",
    "ANSIBLE_FORCE_COLOR",
    "ANSIBLE_DIFF_ALWAYS",
    "ANSIBLE_CALLBACKS_ENABLED",
    "ANSIBLE_CONFIG",
)


class Cluster:
    """kubectl against the kubeconfig of the scenarios, and nothing else."""

    def __init__(self, kubeconfig: Path) -> None:
        self.kubeconfig = kubeconfig
        # A host with credentials in the caller's environment would win over the kubeconfig.
        foreign = ("K8S_AUTH_", "HELM_KUBE")
        self.env = {name: value for name, value in os.environ.items() if not name.startswith(foreign)}
        self.env |= {"KUBECONFIG": str(kubeconfig), "K8S_AUTH_KUBECONFIG": str(kubeconfig)}
        self.env["PATH"] = f"{ROOT}/.ansible/bin:{os.environ['PATH']}"

    def kubectl(self, *args: str, stdin: str | None = None, check: bool = True) -> str:
        """Standard output of one kubectl call; its error text is part of the failure."""
        done = subprocess.run(
            ["kubectl", *args], env=self.env, input=stdin, capture_output=True, text=True, check=False, timeout=120
        )
        if check and done.returncode:
            raise AssertionError(f"kubectl {' '.join(args)}: {done.stderr.strip()[:2000]}")
        return done.stdout

    def objects(
        self, kind: str, namespace: str | None = None, selector: str = "", *, managers: bool = False
    ) -> list[Json]:
        """All objects of a kind or of several, in one namespace or in all; with `managers` their managedFields too."""
        where = ["--namespace", namespace] if namespace else ["--all-namespaces"]
        chosen = ["--selector", selector] if selector else []
        shown = ["--show-managed-fields"] if managers else []
        listed: list[Json] = json.loads(self.kubectl("get", kind, *where, *chosen, *shown, "--output=json"))["items"]
        return listed

    def get(self, kind: str, name: str, namespace: str) -> Json:
        """One object."""
        found: Json = json.loads(self.kubectl("get", kind, name, "--namespace", namespace, "--output=json"))
        return found

    def raw(self, path: str) -> Any:
        """A GET through the API server, decoded from JSON."""
        return json.loads(self.kubectl("get", "--raw", path))

    def execute(self, pod: Json, container: str, *argv: str) -> str:
        """Output of a command inside a container."""
        meta = pod["metadata"]
        return self.kubectl(
            "exec", "--namespace", meta["namespace"], meta["name"], "--container", container, "--", *argv
        )

    def until(self, truth: Callable[[], Any], what: str, timeout_s: float = 90) -> Any:
        """The first true answer; polls four times a second and says what was waited for when time is up."""
        deadline = time.monotonic() + timeout_s
        while not (answer := truth()):
            assert time.monotonic() < deadline, f"not within {timeout_s:.0f} s: {what}"
            time.sleep(0.25)
        return answer


class FakeDiscord:
    """The fake Discord of the cluster, through the API server's Service proxy."""

    def __init__(self, cluster: Cluster, namespace: str = "discord-fake") -> None:
        self.cluster = cluster
        self.proxy = f"/api/v1/namespaces/{namespace}/services/fake-discord:8081/proxy"
        self.namespace = namespace

    def messages(self) -> list[Json]:
        """Everything that arrived, oldest first."""
        found: list[Json] = self.cluster.raw(f"{self.proxy}/messages")["messages"]
        return found

    def stats(self) -> Json:
        """Requests by status, and what is kept."""
        found: Json = self.cluster.raw(f"{self.proxy}/stats")
        return found

    def write(self, channel: str, text: str, *, author: str) -> str:
        """A person writes into a channel; the message's id."""
        message = {"content": text, "author": {"id": author, "username": "somebody"}}
        path = f"{self.proxy}/seed/{channel}"
        answer = self.cluster.kubectl("create", "--raw", path, "--filename=-", stdin=json.dumps([message]))
        (identity,) = json.loads(answer)["ids"]
        return str(identity)

    def marks(self, message_id: str) -> list[str]:
        """The bot's reactions to a message."""
        (found,) = [message for message in self.messages() if message["id"] == message_id]
        return [reaction["emoji"]["name"] for reaction in found.get("reactions", [])]

    def control(self, **settings: Any) -> None:
        """Switch a fault on or off."""
        self.cluster.kubectl("create", "--raw", f"{self.proxy}/control", "--filename=-", stdin=json.dumps(settings))


def containers(pod_spec: Json) -> list[Json]:
    """All containers of a pod or template; a native sidecar sits in initContainers (D14)."""
    return [c for key in ("initContainers", "containers", "ephemeralContainers") for c in pod_spec.get(key) or []]


def named(pod_spec: Json, name: str) -> Json:
    """The one container of that name."""
    (found,) = [c for c in containers(pod_spec) if c["name"] == name]
    return found


def statuses(pod: Json) -> dict[str, Json]:
    """Container name -> status, over all three lists."""
    keys = ("initContainerStatuses", "containerStatuses", "ephemeralContainerStatuses")
    return {s["name"]: s for key in keys for s in pod["status"].get(key) or []}


class Command(NamedTuple):
    """An ansible-playbook that a test runs: plain, and without what molecule sets for its own playbooks."""

    argv: list[str]
    env: dict[str, str]
    cwd: Path


def playbook_command(
    cluster: Cluster, *args: str, cwd: Path = ROOT, collections: Path = ROOT / ".ansible" / "collections"
) -> Command:
    """The command of `ansible_playbook`, for a test that has to do with the process itself."""
    env = {name: value for name, value in cluster.env.items() if name not in MOLECULES_OWN}
    env |= {
        "ANSIBLE_COLLECTIONS_PATH": str(collections),
        "ANSIBLE_CALLBACK_RESULT_FORMAT": "yaml",
        "ANSIBLE_NOCOLOR": "1",
        "MOLECULE_PROJECT_DIRECTORY": str(ROOT),
    }
    return Command(["ansible-playbook", *args], env, cwd)


def ansible_playbook(cluster: Cluster, *args: str, check: bool = True, **where: Path) -> str:
    """Output of an ansible-playbook that a test runs; `where` may name the `cwd` and the folder of `collections`."""
    argv, env, cwd = playbook_command(cluster, *args, **where)
    done = subprocess.run(argv, cwd=cwd, env=env, capture_output=True, text=True, check=False, timeout=600)
    if check and done.returncode:
        raise AssertionError(
            f"{' '.join(argv)} ended with {done.returncode}:\n{done.stdout[-4000:]}\n{done.stderr[-1000:]}"
        )
    return done.stdout + done.stderr


def again(playbook: str, cluster: Cluster, *args: str, check: bool = True) -> str:
    """Output of one of our playbooks, run as the scenario ran it; further arguments go to ansible-playbook."""
    inputs = [f"--inventory={ROOT}/molecule/inventory.yml", f"--extra-vars=@{ROOT}/molecule/shared/platform.yml"]
    return ansible_playbook(cluster, *inputs, f"orchestrator.platform.{playbook}", *args, check=check)


def succeeded(output: str) -> re.Match[str] | None:
    """The recap of localhost when no task failed: groups are the counts of ok and changed."""
    return re.search(r"^localhost +: ok=(\d+) +changed=(\d+) +unreachable=0 +failed=0 ", output, re.MULTILINE)

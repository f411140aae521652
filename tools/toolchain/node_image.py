# SPDX-License-Identifier: GPL-3.0-or-later
# SPDX-FileCopyrightText: 2026 The orchestrator.platform authors
"""The kind node image: the published one by digest, or one built from Go modules and Debian packages."""

from __future__ import annotations

import re
import shutil
import subprocess
import tarfile
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from .archive import ProgramImage, add_file, replace_folder, write_archive
from .debian import IMAGE as DEBIAN_IMAGE
from .debian import KEY_LABEL, OWNER, OWNER_LABEL, base_key, ensure_base
from .engine import Docker, build_arguments
from .errors import ToolboxError
from .golang import compile_module, module_source
from .pins import TOOLS_FOLDER, Module, architecture, cache_folder, key_of, published_image, read_module
from .steps import Steps, ask, locked, workplace

RECIPE = "1"  # raise it when the code below changes its outcome
PROBE_TIMEOUT_S = 10  # a registry that hangs costs this much, once
PULL_TIMEOUT_S = 1800
BUILD_FOLDER = TOOLS_FOLDER / "node-image"
CONTROL_PLANE = ("kube-apiserver", "kube-controller-manager", "kube-scheduler", "etcd", "coredns", "pause")
ENTRYPOINT = 'ENTRYPOINT ["/usr/local/bin/entrypoint", "/sbin/init"]'
START_TIMEOUT_S = 60
CTR = ("ctr", "--namespace=k8s.io", "images")
# The specification every container of a node starts from: kind's hook in it, and no limits of ours.
CRI_BASE_SCRIPT = (
    'ctr oci spec | jq \'.hooks.createContainer += [{path: "/kind/bin/mount-product-files.sh"}]'
    " | del(.process.rlimits)' > /etc/containerd/cri-base.json"
)


def module_names(kubernetes_module: str) -> tuple[str, ...]:
    """Modules whose programs a locally built node consists of."""
    return (kubernetes_module, "etcd", "coredns", "containerd", "pause")


def base_image_key() -> str:
    """Key of the node base image."""
    files = [path.read_bytes() for path in (BUILD_FOLDER / "base.Dockerfile", BUILD_FOLDER / "bridge.conflist")]
    return key_of(RECIPE, base_key(), read_module("kind").version, *files)


def local_reference(kubernetes: str) -> str:
    """Name of the image we build for a Kubernetes version; the tag changes with anything it is made of."""
    name = published_image(kubernetes)[1]
    modules = [read_module(each) for each in module_names(name)]
    proxy = (BUILD_FOLDER / "kube-proxy.Dockerfile").read_bytes()
    key = key_of(RECIPE, base_image_key(), proxy, *(module.key for module in modules))
    return f"orchestrator-platform/node:{modules[0].version}-{key}"


def registry_answers(docker: Docker, image: str) -> bool:
    """The registry hands out the image's manifest within PROBE_TIMEOUT_S."""
    return docker.ask("manifest", "inspect", image, timeout_s=PROBE_TIMEOUT_S) is not None


def ensure_node_image(
    kubernetes: str, *, docker: Docker | None, steps: Steps, source: str = "auto", check: bool = False
) -> dict[str, Any]:
    """Have a node image in the engine: {image, source, changed, kubernetes_version}.

    `source`: auto takes what is there, then the published image if its registry answers, then builds;
    pull and build take one way only. Without an engine (`docker` None, check mode) it can only say that it would act.
    """
    published, name = published_image(kubernetes)
    local = local_reference(kubernetes)
    choices = {"auto": (local, published), "pull": (published,), "build": (local,)}[source]
    for image in choices if docker is not None else ():
        if docker is not None and docker.has_image(image):
            return _outcome(image, "cached", changed=False)
    if check or docker is None:
        return _outcome(published if source != "build" else local, "unknown", changed=True)
    if source != "build" and _pull(docker, published, required=source == "pull", steps=steps):
        return _outcome(published, "pulled", changed=True)
    _build(docker, local, read_module(name), steps)
    return _outcome(local, "built", changed=True)


def _outcome(image: str, source: str, *, changed: bool) -> dict[str, Any]:
    version = re.search(r":(v[0-9.]+)", image)
    return {
        "image": image,
        "source": source,
        "changed": changed,
        "kubernetes_version": version.group(1) if version else "",
        "local": image.startswith("orchestrator-platform/"),
    }


def _pull(docker: Docker, image: str, *, required: bool, steps: Steps) -> bool:
    with steps.step("registry_probe", f"Node image: asking the registry for {image.partition('@')[0]}"):
        answers = registry_answers(docker, image)
    if answers:
        with steps.step("node_image_pull", f"Node image: pulling {image.partition('@')[0]}"):
            try:
                docker.run("pull", image, steps=steps, failure="", timeout_s=PULL_TIMEOUT_S, title="Node image")
            except ToolboxError as exc:
                steps.say(f"Node image: the pull broke off ({' '.join(exc.log[-2:])})")
            else:
                return True
    if required:
        raise ToolboxError(
            f"The registry did not hand out {image}: check the network, or allow building it (source auto)."
        )
    steps.say("Node image: no registry answers, so it is built from Go modules and Debian packages")
    return False


def _build(docker: Docker, reference: str, kubernetes: Module, steps: Steps) -> None:
    with locked(cache_folder() / "node-image.lock", steps=steps, what="Node image"):
        if docker.has_image(reference):
            return
        programs = {
            program: folder / program
            for name in module_names(kubernetes.name)
            for module in [read_module(name)]
            for folder in [compile_module(module, steps=steps)]
            for program in module.programs
        }
        ensure_base(docker, steps=steps)
        with steps.step("node_base", "Node image: system packages"):
            base = _ensure_node_base(docker, steps)
        with workplace(cache_folder(), "node-image") as temporary:
            with steps.step("kube_proxy_image", "Node image: kube-proxy"):
                proxy = _build_kube_proxy(docker, programs["kube-proxy"], kubernetes.version, temporary, steps)
            with steps.step("control_plane_images", "Node image: control-plane images"):
                images = temporary / "images.tar"
                names = control_plane_names(programs["kubeadm"], kubernetes.version)
                write_archive(_program_images(names, programs, steps), images, architecture=architecture())
            with steps.step("node_image_assemble", f"Node image: assembling {reference}"):
                assembly = Assembly(docker, reference, steps)
                try:
                    assembly.start(base)
                    assembly.copy_programs(programs, kubernetes.version, temporary / "programs.tar")
                    assembly.start_containerd()
                    assembly.import_images(images)
                    assembly.import_kube_proxy(proxy, names["kube-proxy"], temporary / "proxy.tar")
                    assembly.stop_containerd()
                    assembly.commit()
                finally:
                    assembly.remove()
    docker.ask("image", "rm", proxy)  # lives on inside the node image; Docker keeps the layers it shares


def _ensure_node_base(docker: Docker, steps: Steps) -> str:
    reference = f"orchestrator-platform/node-base:{base_image_key()}"
    if docker.has_image(reference):
        return reference
    source = module_source(read_module("kind"), "sigs.k8s.io/kind", steps=steps)
    with workplace(cache_folder(), "node-base") as context:
        replace_folder(source / "images" / "base" / "files", context / "files")
        shutil.copy(BUILD_FOLDER / "bridge.conflist", context)
        shutil.copy(BUILD_FOLDER / "base.Dockerfile", context / "Dockerfile")
        docker_build(docker, context, reference, steps=steps, title="Node image")
    return reference


def _build_kube_proxy(docker: Docker, program: Path, version: str, temporary: Path, steps: Steps) -> str:
    reference = f"orchestrator-platform/kube-proxy:{version}"
    context = temporary / "kube-proxy"
    context.mkdir()
    shutil.copy(program, context)
    shutil.copy(BUILD_FOLDER / "kube-proxy.Dockerfile", context / "Dockerfile")
    docker_build(docker, context, reference, steps=steps, title="kube-proxy")
    return reference


def docker_build(docker: Docker, context: Path, reference: str, *, steps: Steps, title: str) -> None:
    """Build a Dockerfile of ours on the local Debian base, labelled as ours."""
    docker.run(
        "build",
        *build_arguments(),
        f"--build-arg=BASE_IMAGE={DEBIAN_IMAGE}",
        f"--label={OWNER_LABEL}={OWNER}",
        f"--tag={reference}",
        context,
        steps=steps,
        title=title,
        failure=f"Building the image {reference} failed: check that the Debian mirror answers.",
        timeout_s=900,
    )


def control_plane_names(kubeadm: Path, version: str) -> dict[str, str]:
    """Program -> image name under which kubeadm of this version looks for it."""
    answer = ask([kubeadm, "config", "images", "list", "--kubernetes-version", version]) or ""
    names = {line.rpartition(":")[0].rpartition("/")[2]: line for line in answer.split()}
    wanted = {*CONTROL_PLANE, "kube-proxy"}
    if not wanted <= names.keys():
        raise ToolboxError(f"kubeadm {version} did not list the images {', '.join(sorted(wanted - names.keys()))}.")
    return names


def _program_images(names: dict[str, str], programs: dict[str, Path], steps: Steps) -> list[ProgramImage]:
    source = module_source(read_module("kind"), "sigs.k8s.io/kind", steps=steps)
    config = (source / "images" / "base" / "files" / "etc" / "containerd" / "config.toml").read_text()
    sandbox = re.search(r'sandbox_image = "([^"]+)"', config)
    extra = {"pause": [sandbox.group(1)] if sandbox else []}
    return [
        ProgramImage(tuple(dict.fromkeys([names[name], *extra.get(name, [])])), programs[name])
        for name in CONTROL_PLANE
    ]


def node_path(program: str) -> str:
    """Where a program lives in a node, without the leading slash; empty for those that live in images only."""
    if program in {"kubeadm", "kubelet", "kubectl"}:
        return f"usr/bin/{program}"
    return f"usr/local/bin/{program}" if program in {"containerd", "containerd-shim-runc-v2", "ctr"} else ""


class Assembly:
    """A container of the base image that becomes the node image: programs, then images in containerd's store."""

    def __init__(self, docker: Docker, reference: str, steps: Steps) -> None:
        self.docker = docker
        self.reference = reference
        self.steps = steps
        self.key = reference.rpartition("-")[2]
        self.container = f"orchestrator-platform-node-{self.key}"
        self.failure = (
            "The node image could not be assembled: check that the engine has disk space, and run this again."
        )

    def call(self, *arguments: str | Path, timeout_s: float = 300) -> None:
        """Run a docker command; raises ToolboxError when it fails."""
        self.docker.run(*arguments, steps=self.steps, failure=self.failure, timeout_s=timeout_s)

    def answers(self, *command: str) -> bool:
        """A command in the container succeeds."""
        return self.docker.ask("exec", self.container, *command) is not None

    def start(self, base: str) -> None:
        """Start the container, in place of one left by a run that was killed."""
        self.remove()
        options = ("--detach", f"--name={self.container}", "--security-opt=seccomp=unconfined", "--entrypoint=sleep")
        self.call("run", *options, base, "infinity")

    def remove(self) -> None:
        """Remove the container, if it is there."""
        self.docker.ask("rm", "--force", "--volumes", self.container)

    def copy_programs(self, programs: Mapping[str, Path], version: str, archive: Path) -> None:
        """Copy the node's programs in, as one archive, and note the version kind asks for."""
        with self.steps.step("node_image_copy", "Node image: copying programs"), tarfile.open(archive, "w") as tar:
            for name, program in programs.items():
                if node_path(name):
                    add_file(tar, node_path(name), program, mode=0o755)
            add_file(tar, "kind/version", f"{version}\n".encode())
        self.feed(archive, "cp", "-", f"{self.container}:/")
        archive.unlink()
        self.call("exec", self.container, "bash", "-ec", CRI_BASE_SCRIPT)

    def start_containerd(self) -> None:
        """Start containerd in the container and wait until it answers."""
        self.call("exec", "--detach", self.container, "containerd")
        self.wait(lambda: self.answers("ctr", "version"), "containerd in the node image did not start.")

    def stop_containerd(self) -> None:
        """Stop containerd, so that its store is complete on disk."""
        self.call("exec", self.container, "pkill", "containerd")
        self.wait(lambda: not self.answers("pgrep", "-x", "containerd"), "containerd in the node image did not stop.")

    def import_images(self, archive: Path) -> None:
        """Put images into containerd's store, unpacked only when a pod needs one: that halves the node image."""
        options = ("--all-platforms", "--no-unpack", "--digests", "-")
        self.feed(archive, "exec", "--interactive", self.container, *CTR, "import", *options)

    def import_kube_proxy(self, image: str, name: str, archive: Path) -> None:
        """The same for an image of the engine, under another name."""
        self.call("save", "--output", archive, image)
        self.import_images(archive)
        self.call("exec", self.container, *CTR, "tag", f"docker.io/{image}", name)
        self.call("exec", self.container, *CTR, "rm", f"docker.io/{image}")

    def commit(self) -> None:
        """Make the image."""
        labels = (f"LABEL {OWNER_LABEL}={OWNER}", f"LABEL {KEY_LABEL}={self.key}")
        changes = [part for change in (ENTRYPOINT, *labels) for part in ("--change", change)]
        self.call("commit", *changes, self.container, self.reference, timeout_s=600)

    def feed(self, archive: Path, *arguments: str) -> None:
        """Run a docker command that reads an archive; raises ToolboxError when it fails."""
        argv = [self.docker.program, *arguments]
        with archive.open("rb") as file:
            done = subprocess.run(
                argv, stdin=file, capture_output=True, timeout=600, check=False, env=self.docker.environment
            )
        if done.returncode != 0:
            raise ToolboxError(self.failure, (done.stdout + done.stderr).decode(errors="replace").splitlines()[-15:])

    @staticmethod
    def wait(condition: Callable[[], bool], failure: str) -> None:
        """Ask until a condition holds; raises ToolboxError after START_TIMEOUT_S."""
        deadline = time.monotonic() + START_TIMEOUT_S
        while not condition():
            if time.monotonic() > deadline:
                raise ToolboxError(failure)
            time.sleep(0.2)  # between two questions, not instead of one

# SPDX-License-Identifier: GPL-3.0-or-later
# SPDX-FileCopyrightText: 2026 The orchestrator.platform authors
"""Finds a container engine that answers, or installs and starts one. Knows nothing of Kubernetes."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import tempfile
import time
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from .capabilities import bounding_set, needs_wrapper
from .errors import ToolboxError
from .golang import compile_module
from .pins import read_module, version_numbers
from .steps import Steps, ask, locked, run

# Ours on the host, outside any cache: a running engine depends on these files.
STATE_FOLDER = Path("/var/lib/orchestrator-platform/engine")
LOG_FILE = Path("/var/log/orchestrator-platform-dockerd.log")
# Where dockerd 20.10 and its containerd note who they are, and the program such a note is about.
PID_FILES = {Path("/var/run/docker.pid"): "dockerd", Path("/var/run/docker/containerd/containerd.pid"): "containerd"}
RUNTIME_NAME = "available-caps"
SYSTEM_CONFIG = Path("/etc/docker/daemon.json")
START_TIMEOUT_S = 90
STOP_TIMEOUT_S = 30
APT_TIMEOUT_S = 900
SUPPORTED_DISTRIBUTIONS = ("debian", "ubuntu")
SBIN = "/usr/local/sbin:/usr/sbin:/sbin"


@dataclass(frozen=True)
class Engine:
    """An engine that answers."""

    docker: str  # the client that reaches it
    version: str  # of the server, "20.10.24+dfsg1"
    source: str  # running, started, installed
    changed: bool
    ours: bool  # started by us, so that we may stop it


class Docker:
    """The client of one engine: every call of docker goes through it."""

    def __init__(self, program: str, version: str) -> None:
        self.program = program
        self.version = version
        self.environment = self._environment()

    def _environment(self) -> dict[str, str]:
        """Environment for docker and for kind, with the folder of this client first on PATH.

        KUBECONFIG is taken out: nothing below reads the user's.
        """
        path = f"{Path(self.program).parent}{os.pathsep}{os.environ.get('PATH', os.defpath)}{os.pathsep}{SBIN}"
        environment = {name: value for name, value in os.environ.items() if name != "KUBECONFIG"}
        return {**environment, "PATH": path, "DOCKER_CLI_HINTS": "false", **self._builder()}

    def _builder(self) -> dict[str, str]:
        """BuildKit where client and engine both have it, else the builder every engine has."""
        new = version_numbers(self.version) >= (23,) and ask([self.program, "buildx", "version"]) is not None
        return {} if new else {"DOCKER_BUILDKIT": "0"}

    def ask(self, *arguments: str | Path, timeout_s: float = 60) -> str | None:
        """Standard output of a docker command, None when it fails or does not answer."""
        return ask([self.program, *arguments], timeout_s=timeout_s, env=self.environment)

    def run(
        self, *arguments: str | Path, steps: Steps, failure: str, timeout_s: float = 300, title: str = ""
    ) -> list[str]:
        """Run a docker command; raises ToolboxError with `failure`."""
        return run(
            [self.program, *arguments],
            steps=steps,
            failure=failure,
            timeout_s=timeout_s,
            title=title,
            env=self.environment,
        )

    def image_label(self, image: str, label: str) -> str:
        """Value of a label of an image, empty when either is absent."""
        answer = self.ask("image", "inspect", "--format", f'{{{{index .Config.Labels "{label}"}}}}', image)
        return "" if answer is None or answer.strip() == "<no value>" else answer.strip()

    def has_image(self, image: str) -> bool:
        """The image is in the engine."""
        return self.ask("image", "inspect", "--format", "ok", image) is not None


def build_arguments() -> list[str]:
    """Arguments of every build of ours: the host's network, its proxies, and no container left of a step that failed.

    Proxies by name only, as an address can hold a password. The builder's containers bear no label of ours.
    """
    names = ("http_proxy", "https_proxy", "no_proxy")
    proxies = [f"--build-arg={name}" for each in names for name in (each, each.upper()) if os.environ.get(name)]
    return ["--force-rm", "--network=host", *proxies]


def clients() -> Iterator[str]:
    """Every docker on PATH, first come first; a client newer than its engine may stand before the right one."""
    seen = set()
    for folder in [*os.environ.get("PATH", os.defpath).split(os.pathsep), "/usr/bin"]:
        program = shutil.which("docker", path=folder)
        if program and program not in seen:
            seen.add(program)
            yield program


def answering() -> tuple[str, str] | None:
    """(client, engine version) of the first client that gets an answer."""
    for program in clients():
        version = ask([program, "version", "--format", "{{.Server.Version}}"], timeout_s=20)
        if version and version_numbers(version):
            return program, version.strip()
    return None


def connect() -> Docker:
    """The client of a running engine; raises ToolboxError when none answers."""
    found = answering()
    if found is None:
        raise ToolboxError(
            "No container engine answers: start Docker, or run this as root on Debian or Ubuntu to have it installed."
        )
    return Docker(*found)


def host_mask() -> int:
    """This host's capability bounding set."""
    try:
        return bounding_set(Path("/proc/self/status").read_text())
    except OSError as exc:
        raise ToolboxError(
            "The container engine is Docker on Linux; this host has no /proc: use a Linux host."
        ) from exc


def ensure_engine(*, steps: Steps, check: bool = False) -> dict[str, Any]:
    """An engine that can start privileged containers: the running one, else started, else installed.

    With `check` nothing is done, and `changed` says whether something would be.
    """
    found = answering()
    if found is not None:
        docker, version = found
        if runtime_suits(Docker(docker, version)):
            return asdict(Engine(docker, version, "running", changed=False, ours=is_ours()))
    if check:
        return {
            "docker": "",
            "version": "",
            "source": "installed" if dockerd() is None else "started",
            "changed": True,
            "ours": False,
        }
    if os.geteuid() != 0:
        raise ToolboxError(
            "No container engine answers and this is not root: start Docker and join its group, "
            "or run as root to have it installed."
        )
    STATE_FOLDER.mkdir(parents=True, exist_ok=True)
    with locked(STATE_FOLDER / "lock", steps=steps, what="Container engine"):
        return _bring_up(steps)


def runtime_suits(docker: Docker) -> bool:
    """Privileged containers can start: the engine helps itself, or its default runtime is not plain runc."""
    if not needs_wrapper(host_mask(), docker.version):
        return True
    runtime = (docker.ask("info", "--format", "{{.DefaultRuntime}}") or "").strip()
    return runtime not in {"", "runc"}


def _bring_up(steps: Steps) -> dict[str, Any]:
    source = "started"
    found = answering()
    if found is not None and runtime_suits(Docker(*found)):
        return asdict(Engine(*found, "running", changed=False, ours=is_ours()))
    if found is not None:
        _stop_unsuitable(found[1], steps)
    if dockerd() is None:
        _install(steps)
        source = "installed"
        started_by_package = answering()
        if started_by_package is not None and runtime_suits(Docker(*started_by_package)):
            return asdict(Engine(*started_by_package, source, changed=True, ours=False))
        if started_by_package is not None:
            _stop_service(steps)
    with steps.step("engine_start", "Container engine: starting dockerd"):
        _start(steps)
    found = answering()
    if found is None or not runtime_suits(Docker(*found)):
        raise ToolboxError(f"dockerd runs, but no docker client reaches it: see {LOG_FILE}.", _log_tail())
    return asdict(Engine(*found, source, changed=True, ours=is_ours()))


def _stop_unsuitable(version: str, steps: Steps) -> None:
    """Stop our own engine, to start it with the wrapper; never somebody else's."""
    if not is_ours():
        raise ToolboxError(
            f"The running Docker {version} cannot start privileged containers on this host, "
            "which withholds CAP_SYS_RESOURCE: upgrade it to 23 or newer, "
            "or stop it and run this again to have it started with the runtime it needs."
        )
    stop_engine(steps=steps)


def distribution(os_release: str) -> str:
    """The ID of a distribution from the text of /etc/os-release, empty when it has none."""
    for line in os_release.splitlines():
        name, _equals, value = line.partition("=")
        if name == "ID":
            return value.strip().strip("\"'")
    return ""


def apt_install(packages: list[str], *, steps: Steps, what: str) -> None:
    """Install Debian packages; raises ToolboxError elsewhere, and when apt fails."""
    name = distribution(Path("/etc/os-release").read_text() if Path("/etc/os-release").is_file() else "")
    if name not in SUPPORTED_DISTRIBUTIONS:
        raise ToolboxError(
            f"{what} is missing and can be installed by us on Debian and Ubuntu only, "
            f"this is {name or 'an unknown system'}: install it yourself."
        )
    environment = {**os.environ, "DEBIAN_FRONTEND": "noninteractive"}
    waiting = ["-o", "DPkg::Lock::Timeout=300", "-o", "Acquire::Retries=2"]
    failure = f"{what} could not be installed: check that apt reaches its mirror."
    run(
        ["apt-get", *waiting, "update"],
        steps=steps,
        failure=failure,
        timeout_s=APT_TIMEOUT_S,
        title=what,
        env=environment,
    )
    argv = ["apt-get", *waiting, "install", "--yes", "--no-install-recommends", *packages]
    run(argv, steps=steps, failure=failure, timeout_s=APT_TIMEOUT_S, title=what, env=environment)


def _install(steps: Steps) -> None:
    with steps.step("engine_install", "Container engine: installing Debian's docker.io"):
        apt_install(["docker.io", "iptables"], steps=steps, what="Container engine")
        # From Debian 13 on the client is a package of its own.
        if next(clients(), None) is None:
            apt_install(["docker-cli"], steps=steps, what="Docker client")


def dockerd() -> str | None:
    """Path of the engine's program."""
    return shutil.which("dockerd", path=f"{os.environ.get('PATH', os.defpath)}{os.pathsep}{SBIN}")


def has_systemd() -> bool:
    """Systemd is this host's first process (sd_booted(3))."""
    return Path("/run/systemd/system").is_dir()


def _stop_service(steps: Steps) -> None:
    """Stop the engine that the package we have just installed started by itself."""
    argv = ["systemctl", "stop", "docker.socket", "docker"] if has_systemd() else ["service", "docker", "stop"]
    run(
        argv, steps=steps, failure="The Docker service could not be stopped: stop it and run this again.", timeout_s=120
    )


def daemon_config(existing: Mapping[str, Any], wrapper: Path | None) -> dict[str, Any]:
    """Configuration of an engine of ours: the host's own, and our runtime where it is needed."""
    if wrapper is None:
        return dict(existing)
    runtimes = {**existing.get("runtimes", {}), RUNTIME_NAME: {"path": str(wrapper)}}
    return {**existing, "runtimes": runtimes, "default-runtime": RUNTIME_NAME}


def _wrapper(steps: Steps) -> Path | None:
    """Our OCI runtime, put where it outlives any cache; None when this engine does without."""
    version = ask([dockerd() or "dockerd", "--version"]) or ""
    if not needs_wrapper(host_mask(), version):
        return None
    built = compile_module(read_module("runc-available-caps"), steps=steps) / "runc-available-caps"
    target = STATE_FOLDER / "runc-available-caps"
    temporary = target.with_suffix(".new")
    shutil.copyfile(built, temporary)
    temporary.chmod(0o755)
    temporary.rename(target)
    return target


def _start(steps: Steps) -> None:
    wrapper = _wrapper(steps)
    if has_systemd():
        _start_by_systemd(wrapper, steps)
    else:
        _start_detached(wrapper)


def _start_by_systemd(wrapper: Path | None, steps: Steps) -> None:
    if wrapper is not None and SYSTEM_CONFIG.exists():
        raise ToolboxError(
            f"{SYSTEM_CONFIG} is not ours to change: add the runtime {RUNTIME_NAME} with the path {wrapper} to it, "
            "make that the default-runtime, restart Docker and run this again."
        )
    if wrapper is not None:
        SYSTEM_CONFIG.parent.mkdir(parents=True, exist_ok=True)
        SYSTEM_CONFIG.write_text(json.dumps(daemon_config({}, wrapper), indent=2) + "\n")
    failure = "The Docker service did not start: see `journalctl --unit docker`."
    run(["systemctl", "start", "docker"], steps=steps, failure=failure, timeout_s=START_TIMEOUT_S)


def drop_stale_pid_files(files: Mapping[Path, str]) -> None:
    """Remove the pid files of daemons that were killed.

    dockerd only looks whether some process has that number, and refuses to start once the number is used again.
    """
    for file, program in files.items():
        try:
            name = Path(f"/proc/{int(file.read_text())}/comm").read_text().strip()
        except (OSError, ValueError):
            name = ""
        if name != program:
            file.unlink(missing_ok=True)


def _start_detached(wrapper: Path | None) -> None:
    """Start dockerd as a session of its own, with no file of ours open, and wait until it answers."""
    drop_stale_pid_files(PID_FILES)
    config = STATE_FOLDER / "daemon.json"
    existing = json.loads(SYSTEM_CONFIG.read_text()) if SYSTEM_CONFIG.is_file() else {}
    config.write_text(json.dumps(daemon_config(existing, wrapper), indent=2) + "\n")
    environment = {**os.environ, "PATH": f"{os.environ.get('PATH', os.defpath)}{os.pathsep}{SBIN}"}
    with LOG_FILE.open("ab") as log:
        process = subprocess.Popen(
            [dockerd() or "dockerd", "--config-file", str(config)],
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
            close_fds=True,
            start_new_session=True,
            cwd="/",
            env=environment,
        )
    _write_record(process.pid)
    deadline = time.monotonic() + START_TIMEOUT_S
    while answering() is None:
        if process.poll() is not None:
            raise ToolboxError(f"dockerd ended at once: see {LOG_FILE}.", _log_tail())
        if time.monotonic() > deadline:
            raise ToolboxError(f"dockerd did not answer within {START_TIMEOUT_S} s: see {LOG_FILE}.", _log_tail())
        time.sleep(0.2)  # between two questions, not instead of one


def _log_tail(lines: int = 15) -> list[str]:
    try:
        return LOG_FILE.read_text(errors="replace").splitlines()[-lines:]
    except OSError:
        return []


def _write_record(pid: int) -> None:
    descriptor, name = tempfile.mkstemp(dir=STATE_FOLDER)
    with os.fdopen(descriptor, "w") as file:
        file.write(f"{pid}\n")
    Path(name).rename(STATE_FOLDER / "pid")


def our_pid() -> int | None:
    """Process of the engine we started, None when it is gone (or the number belongs to another program now)."""
    try:
        pid = int((STATE_FOLDER / "pid").read_text())
        command = Path(f"/proc/{pid}/cmdline").read_bytes()
    except (OSError, ValueError):
        return None
    return pid if b"dockerd" in command and str(STATE_FOLDER).encode() in command else None


def is_ours() -> bool:
    """The engine was started by us and still runs."""
    return our_pid() is not None


def stop_engine(*, steps: Steps, check: bool = False) -> bool:
    """Stop the engine if we started it; true when there was something to stop."""
    pid = our_pid()
    if pid is None or check:
        return pid is not None
    with steps.step("engine_stop", "Container engine: stopping the one we started"):
        os.kill(pid, signal.SIGTERM)
        deadline = time.monotonic() + STOP_TIMEOUT_S
        while our_pid() is not None and not _is_zombie(pid):
            if time.monotonic() > deadline:
                raise ToolboxError(
                    f"dockerd (process {pid}) did not end within {STOP_TIMEOUT_S} s: see {LOG_FILE}.", _log_tail()
                )
            time.sleep(0.2)
    (STATE_FOLDER / "pid").unlink(missing_ok=True)
    return True


def _is_zombie(pid: int) -> bool:
    """Ended, and only its parent has not looked yet."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] == "Z"
    except (OSError, IndexError):
        return True

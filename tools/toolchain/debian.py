# SPDX-License-Identifier: GPL-3.0-or-later
# SPDX-FileCopyrightText: 2026 The orchestrator.platform authors
"""The Debian base image for hosts where no container registry answers: made by mmdebstrap, imported into the engine."""

from __future__ import annotations

import os
import re
import shutil
from pathlib import Path
from typing import Any

from .engine import Docker, apt_install
from .errors import ToolboxError
from .pins import cache_folder, key_of
from .steps import Steps, locked, run, workplace

IMAGE = "orchestrator-platform/debian:bookworm"
SUITE = "bookworm"  # Debian 12: its systemd is the last one that takes cgroup v1
KEY_LABEL = "orchestrator.platform/key"
OWNER_LABEL = "orchestrator.platform/owner"
OWNER = "orchestrator-platform"
PUBLIC_IMAGE = "debian:bookworm-slim"  # asked for to learn whether the registry answers, never pulled
PROBE_TIMEOUT_S = 10
RECIPE = "2"  # raise it when the commands below change their outcome
# Not unpacked, here and by every apt-get of an image made on this base: what people read, and tables of iconv (9 MB),
# whose work Python does itself.
LEFT_OUT = (
    "/usr/share/man/*",
    "/usr/share/doc/*",
    "/usr/share/locale/*",
    "/usr/share/info/*",
    "/usr/lib/*/gconv/*",
)
# An essential package wants `usrmerge | usr-is-merged`. The first one moves the folders at its installation and brings
# 48 MB of perl for it. Made as links before anything is unpacked they need no moving, and the second one will do.
MERGED_FOLDERS = ("bin", "sbin", "lib", "lib64")
NO_USRMERGE = "/etc/apt/preferences.d/no-usrmerge"
SOURCES = (Path("/etc/apt/sources.list.d/debian.sources"), Path("/etc/apt/sources.list"))


def host_sources(os_release: str, candidates: tuple[Path, ...] = SOURCES) -> Path | None:
    """The host's own list of Debian mirrors when the host is of the same suite, else None."""
    if not re.search(rf'^VERSION_CODENAME="?{SUITE}"?$', os_release, re.MULTILINE) or not re.search(
        r'^ID="?debian"?$', os_release, re.MULTILINE
    ):
        return None
    return next((path for path in candidates if path.is_file() and SUITE in path.read_text()), None)


def base_key() -> str:
    """Key of the base image: the suite, how it is made, and the mirrors it is made from."""
    release = Path("/etc/os-release")
    sources = host_sources(release.read_text() if release.is_file() else "")
    return key_of(RECIPE, SUITE, *bootstrap_options(), sources.read_bytes() if sources else b"")


def ensure_base(docker: Docker, *, steps: Steps) -> bool:
    """Have IMAGE in the engine; true when it had to be made or imported."""
    key = base_key()
    if docker.image_label(IMAGE, KEY_LABEL) == key:
        return False
    archive = cache_folder() / "debian" / f"{SUITE}-{key}.tar"
    with locked(archive.with_suffix(".lock"), steps=steps, what="Debian base image"):
        if docker.image_label(IMAGE, KEY_LABEL) == key:
            return False
        if not archive.is_file():
            with steps.step("debian_rootfs", f"Debian base image: bootstrapping {SUITE}"):
                _bootstrap(archive, steps)
        changes = [f"LABEL {KEY_LABEL}={key}", f"LABEL {OWNER_LABEL}={OWNER}", 'CMD ["/bin/bash"]']
        with steps.step("debian_import", f"Debian base image: importing {IMAGE}"):
            docker.run(
                "import",
                *(part for change in changes for part in ("--change", change)),
                archive,
                IMAGE,
                steps=steps,
                failure=f"The engine did not take the base image {archive}: check that it has disk space.",
            )
    return True


def bootstrap_options() -> list[str]:
    """Options of mmdebstrap for a small root file system; in its hooks $1 is the folder that it is made in."""
    pin = r"Package: usrmerge\nPin: release *\nPin-Priority: -1\n"
    return [
        "--quiet",
        "--variant=minbase",
        "--include=ca-certificates,usr-is-merged",
        *(f"--dpkgopt=path-exclude={pattern}" for pattern in LEFT_OUT),
        *(f'--setup-hook=mkdir -p "$1/usr/{name}" && ln -s usr/{name} "$1/{name}"' for name in MERGED_FOLDERS),
        f"""--setup-hook=mkdir -p "$1/etc/apt/preferences.d" && printf '{pin}' >"$1{NO_USRMERGE}\"""",
        f'--customize-hook=rm -rf "$1{NO_USRMERGE}" "$1"/var/lib/apt/lists/* "$1"/var/cache/debconf/*',
    ]


def _bootstrap(archive: Path, steps: Steps) -> None:
    if shutil.which("mmdebstrap") is None:
        if os.geteuid() != 0:
            raise ToolboxError(
                "mmdebstrap is missing and this is not root: install mmdebstrap, or run as root to have it installed."
            )
        apt_install(["mmdebstrap", "debian-archive-keyring"], steps=steps, what="mmdebstrap")
    release = Path("/etc/os-release")
    sources = host_sources(release.read_text() if release.is_file() else "")
    with workplace(archive.parent, "rootfs") as temporary:
        target = temporary / "rootfs.tar"
        run(
            ["mmdebstrap", *bootstrap_options(), SUITE, target, *([sources] if sources else [])],
            steps=steps,
            title="Debian base image",
            failure="mmdebstrap could not make the Debian base image: check that the Debian mirror answers.",
            timeout_s=900,
        )
        target.rename(archive)


def choose_base(docker: Docker, *, steps: Steps, check: bool = False) -> dict[str, Any]:
    """Base for our own images: {image, changed}; an empty image means the default of the Dockerfile.

    The local base is taken when it is there or when the registry does not hand out PUBLIC_IMAGE.
    """
    if docker.image_label(IMAGE, KEY_LABEL) == base_key():
        return {"image": IMAGE, "changed": False}
    with steps.step("registry_probe", f"Base image: asking the registry for {PUBLIC_IMAGE}"):
        if docker.ask("manifest", "inspect", PUBLIC_IMAGE, timeout_s=PROBE_TIMEOUT_S) is not None:
            return {"image": "", "changed": False}
    return {"image": IMAGE, "changed": True if check else ensure_base(docker, steps=steps)}

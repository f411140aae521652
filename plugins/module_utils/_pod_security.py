# SPDX-License-Identifier: GPL-3.0-or-later
# SPDX-FileCopyrightText: 2026 The orchestrator.platform authors
#
# Private to this collection: names and behaviour may change in any release.
"""What Pod Security would refuse of a pod spec, as far as the spec alone proves it. Pure.

The rules are those of kubernetes.io, "Pod Security Standards", in force since 1.25. Where a rule depends on more than
the spec (Windows pods, user namespaces, run-time classes that the API server exempts) nothing is said.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

from ansible_collections.orchestrator.platform.plugins.module_utils._workloads import Json, Obj, containers_of, dig

ENFORCE_LABEL = "pod-security.kubernetes.io/enforce"
_VERSION_LABEL = "pod-security.kubernetes.io/enforce-version"
_OLD_RULES = re.compile(r"v1\.(\d|1\d|2[0-4])")  # below 1.25: other rules

_CAPABILITIES = frozenset(
    [
        "AUDIT_WRITE",
        "CHOWN",
        "DAC_OVERRIDE",
        "FOWNER",
        "FSETID",
        "KILL",
        "MKNOD",
        "NET_BIND_SERVICE",
        "SETFCAP",
        "SETGID",
        "SETPCAP",
        "SETUID",
        "SYS_CHROOT",
    ]
)
_VOLUMES = frozenset(
    [
        "configMap",
        "csi",
        "downwardAPI",
        "emptyDir",
        "ephemeral",
        "image",
        "persistentVolumeClaim",
        "projected",
        "secret",
    ]
)
SAFE_SYSCTLS = frozenset(
    [
        "kernel.shm_rmid_forced",
        "net.ipv4.ip_local_port_range",
        "net.ipv4.ip_unprivileged_port_start",
        "net.ipv4.tcp_syncookies",
        "net.ipv4.ping_group_range",
        "net.ipv4.ip_local_reserved_ports",
        "net.ipv4.tcp_keepalive_time",
        "net.ipv4.tcp_fin_timeout",
        "net.ipv4.tcp_keepalive_intvl",
        "net.ipv4.tcp_keepalive_probes",
        "net.ipv4.tcp_rmem",
        "net.ipv4.tcp_wmem",
    ]
)
_PROFILES = ("RuntimeDefault", "Localhost")


def pod_security_violation(spec: Obj, namespace: Obj | None) -> str | None:
    """Why the namespace's enforced level refuses such a pod, in words; None where nothing is proved."""
    level = enforced_level(namespace)
    if level is None or _beyond_proof(spec):
        return None
    found = list(_baseline(spec))
    if level == "restricted":
        found += _restricted(spec)
    return f"level {level} of the namespace forbids {', '.join(dict.fromkeys(found))}." if found else None


def enforced_level(namespace: Obj | None) -> str | None:
    """The level that a namespace enforces by the rules known here; None where it enforces nothing that could refuse."""
    labels = dig(namespace, "metadata", "labels") or {}
    level = labels.get(ENFORCE_LABEL)
    old_rules = _OLD_RULES.fullmatch(str(labels.get(_VERSION_LABEL)))
    return str(level) if level in ("baseline", "restricted") and not old_rules else None


def _beyond_proof(spec: Obj) -> bool:
    return bool(spec.get("runtimeClassName")) or spec.get("hostUsers") is False or runs_on_windows(spec)


def runs_on_windows(spec: Obj) -> bool:
    """Whether the pod can only be meant for Windows nodes."""
    system = dig(spec, "os", "name") or dig(spec, "nodeSelector", "kubernetes.io/os")
    return bool(system == "windows")


def _each(spec: Obj) -> Iterator[tuple[str, Obj]]:
    for _place, container in containers_of(spec):
        yield f"container {container.get('name')}", container.get("securityContext") or {}


def _baseline(spec: Obj) -> Iterator[str]:
    for field in ("hostNetwork", "hostPID", "hostIPC"):
        if spec.get(field):
            yield field
    for volume in spec.get("volumes") or []:
        if "hostPath" in volume:
            yield f"volume {volume['name']} (hostPath)"
    for sysctl in dig(spec, "securityContext", "sysctls") or []:
        if sysctl.get("name") not in SAFE_SYSCTLS:
            yield f"sysctl {sysctl.get('name')}"
    for where, context in [("the pod", spec.get("securityContext") or {}), *_each(spec)]:
        if dig(context, "seccompProfile", "type") == "Unconfined":
            yield f"seccompProfile Unconfined of {where}"
    for _place, container in containers_of(spec):
        if any(port.get("hostPort") for port in container.get("ports") or []):
            yield f"hostPort of container {container.get('name')}"
    for where, context in _each(spec):
        yield from _baseline_context(where, context)


def _baseline_context(where: str, context: Obj) -> Iterator[str]:
    if context.get("privileged"):
        yield f"privileged of {where}"
    if context.get("procMount") not in (None, "Default"):
        yield f"procMount of {where}"
    added = [name for name in dig(context, "capabilities", "add") or [] if name not in _CAPABILITIES]
    if added:
        yield f"capabilities {', '.join(added)} of {where}"


def _restricted(spec: Obj) -> Iterator[str]:
    for volume in spec.get("volumes") or []:
        kinds = set(volume) - {"name"}
        if kinds - _VOLUMES - {"hostPath"}:
            yield f"volume {volume['name']} ({', '.join(sorted(kinds))})"
    pod: Obj = spec.get("securityContext") or {}
    for where, context in _each(spec):
        yield from _restricted_context(where, context, pod)


def _restricted_context(where: str, context: Obj, pod: Obj) -> Iterator[str]:
    def effective(*path: str) -> Json:
        own = dig(context, *path)
        return own if own is not None else dig(pod, *path)

    if context.get("allowPrivilegeEscalation") is not False:
        yield f"{where} without allowPrivilegeEscalation: false"
    if effective("runAsNonRoot") is not True:
        yield f"{where} without runAsNonRoot: true"
    if context.get("runAsUser") == 0 or pod.get("runAsUser") == 0:
        yield f"runAsUser 0 of {where}"
    if effective("seccompProfile", "type") not in _PROFILES:
        yield f"{where} without a seccompProfile"
    if "ALL" not in (dig(context, "capabilities", "drop") or []):
        yield f"{where} that does not drop ALL capabilities"
    added = [name for name in dig(context, "capabilities", "add") or [] if name != "NET_BIND_SERVICE"]
    if added:
        yield f"capabilities {', '.join(added)} of {where}"

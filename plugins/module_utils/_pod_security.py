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
_SELINUX_TYPES = ("container_t", "container_init_t", "container_kvm_t", "container_engine_t")
# Fields of a pod's security context that its containers have too, unless they say otherwise.
_INHERITED = ("seccompProfile", "appArmorProfile", "seLinuxOptions", "windowsOptions")


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
        yield f"container {container.get('name')}", container


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
    pod: Obj = spec.get("securityContext") or {}
    yield from (f"{text} of the pod" for text in _unconfined(pod))
    for where, container in _each(spec):
        if any(port.get("hostPort") for port in container.get("ports") or []):
            yield f"hostPort of {where}"
        # What a container inherits is told of the pod.
        own = container.get("securityContext") or {}
        yield from (f"{text} of {where}" for text in (*_unconfined(own), *_privileges(own)))


def _unconfined(context: Obj) -> Iterator[str]:
    """What level baseline forbids of a security context, of a pod or of a container alike."""
    for field in ("seccompProfile", "appArmorProfile"):
        if dig(context, field, "type") == "Unconfined":
            yield f"{field} Unconfined"
    labels = context.get("seLinuxOptions") or {}
    if labels.get("type") not in (None, "", *_SELINUX_TYPES) or labels.get("user") or labels.get("role"):
        yield "seLinuxOptions with a user, a role or another type"
    if dig(context, "windowsOptions", "hostProcess"):
        yield "hostProcess"


def _privileges(context: Obj) -> Iterator[str]:
    if context.get("privileged"):
        yield "privileged"
    if context.get("procMount") not in (None, "Default"):
        yield "procMount"
    added = [name for name in dig(context, "capabilities", "add") or [] if name not in _CAPABILITIES]
    if added:
        yield f"capabilities {', '.join(added)}"


def _restricted(spec: Obj) -> Iterator[str]:
    for volume in spec.get("volumes") or []:
        kinds = set(volume) - {"name"}
        if kinds - _VOLUMES - {"hostPath"}:
            yield f"volume {volume['name']} ({', '.join(sorted(kinds))})"
    pod: Obj = spec.get("securityContext") or {}
    if pod.get("runAsUser") == 0:
        yield "runAsUser 0 of the pod"
    for where, container in _each(spec):
        lacks = _restrictions(container.get("securityContext") or {}, pod)
        yield from (f"{text} of {where}" for text in lacks)


def _restrictions(context: Obj, pod: Obj) -> Iterator[str]:
    """What level restricted asks of a container beyond baseline; of the pod comes what it does not say itself."""

    def effective(*path: str) -> Json:
        own = dig(context, *path)
        return own if own is not None else dig(pod, *path)

    if context.get("allowPrivilegeEscalation") is not False:
        yield "allowPrivilegeEscalation other than false"
    if effective("runAsNonRoot") is not True:
        yield "runAsNonRoot other than true"
    if effective("runAsUser") == 0:
        yield "runAsUser 0"
    if effective("seccompProfile", "type") not in _PROFILES:
        yield f"a seccompProfile other than {' or '.join(_PROFILES)}"
    if "ALL" not in (dig(context, "capabilities", "drop") or []):
        yield "capabilities without drop ALL"
    more = _CAPABILITIES - {"NET_BIND_SERVICE"}  # what lies outside baseline is told by _privileges
    added = [name for name in dig(context, "capabilities", "add") or [] if name in more]
    if added:
        yield f"capabilities {', '.join(added)}"


def restricted_violations(container: Obj, spec: Obj) -> list[str]:
    """What the level restricted forbids of one container, with what it inherits from its pod.

    The same rules as of a whole pod: what is said here of a container, pod_security_violation says of its pod.
    """
    own, pod = container.get("securityContext") or {}, spec.get("securityContext") or {}
    inherited = {key: pod.get(key) for key in _INHERITED if own.get(key) is None}
    whole = {**own, **inherited}
    return list(dict.fromkeys((*_privileges(own), *_restrictions(own, pod), *_unconfined(whole))))

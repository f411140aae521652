# SPDX-License-Identifier: GPL-3.0-or-later
# SPDX-FileCopyrightText: 2026 The orchestrator.platform authors
#
# Private to this collection: names and behaviour may change in any release.
"""Settings of the sidecar for one workload: read from annotations, checked, put into the container. Pure.

All annotations are texts, so that the admission policy's expressions can honour the same ones. What guards the pod, its
security context, is no setting: whoever may annotate a workload could otherwise weaken it.
"""

from __future__ import annotations

import json
import re
import typing as t
from collections.abc import Mapping

from ansible_collections.orchestrator.platform.plugins.module_utils._errors import OverrideError
from ansible_collections.orchestrator.platform.plugins.module_utils._quantities import parse_quantity
from ansible_collections.orchestrator.platform.plugins.module_utils._snippet import INPUT_ENV, WEBHOOK_ENV, secret_of
from ansible_collections.orchestrator.platform.plugins.module_utils._workloads import (
    ANNOTATION_ADDED,
    ANNOTATION_CONTAINER,
    ANNOTATION_HASH,
    ANNOTATION_INJECT,
    PREFIX,
    Json,
    Obj,
    clone,
    dig,
    pod_template,
    unclear_opt_out,
)

LOG_LEVELS = ("debug", "info", "warning", "error")
LEAST_MEMORY = 2**20  # below one mebibyte no program starts; `64m` is 0.064 bytes and stands for a mistyped 64Mi

_PART = r"[a-z0-9]+(?:(?:\.|_|__|-+)[a-z0-9]+)*"
# The reference grammar of the distribution project: host, path, tag, digest.
_IMAGE = re.compile(
    rf"(?:[A-Za-z0-9](?:[A-Za-z0-9.-]*[A-Za-z0-9])?(?::\d+)?/)?{_PART}(?:/{_PART})*"
    r"(?::[A-Za-z0-9_][A-Za-z0-9_.-]{0,127})?(?:@sha256:[a-f0-9]{64})?"
)
_SUBDOMAIN = re.compile(r"[a-z0-9](?:[-a-z0-9.]{0,251}[a-z0-9])?")
_SECRET_KEY = re.compile(r"[-._a-zA-Z0-9]{1,253}")
_LABEL = re.compile(r"[a-z0-9](?:[-a-z0-9]{0,61}[a-z0-9])?")
_SNOWFLAKE = re.compile(r"[0-9]{1,20}")  # Discord's ids are unsigned 64-bit numbers
_SECURITY = re.compile(
    r"securitycontext|runas|privilege|capabilit|seccomp|apparmor|selinux|fsgroup|supplementalgroup|procmount"
    r"|host(network|pid|ipc|users|path|port)|readonlyroot|sysctl|serviceaccount"
)


class Overrides(t.NamedTuple):
    """What differs for one workload; None: as published."""

    image: str | None = None
    log_level: str | None = None
    filters: Obj | None = None
    webhook_secret_name: str | None = None
    webhook_secret_key: str | None = None
    input_secret_name: str | None = None
    input_secret_key: str | None = None
    parity_mode: bool | None = None
    thread_id: str | None = None
    cpu_request: str | None = None
    cpu_limit: str | None = None
    memory_request: str | None = None
    memory_limit: str | None = None
    transcript_volume: str | None = None
    fifo_volume: str | None = None


NONE = Overrides()
ANNOTATIONS = {PREFIX + field.replace("_", "-"): field for field in Overrides._fields}
_READ = {*ANNOTATIONS, ANNOTATION_INJECT, ANNOTATION_CONTAINER, ANNOTATION_HASH, ANNOTATION_ADDED}


def parse_overrides(given: Mapping[str, Json] | None, *, names: Mapping[str, str] | None = None) -> Overrides:
    """Check a mapping of fields and give it types; raises OverrideError naming the field and how to mend it.

    None counts as not given. `names` says how the user wrote each field, for the sentence.
    """
    checked: dict[str, t.Any] = {}
    for field, value in (given or {}).items():
        name = (names or {}).get(field, field)
        if field not in _CHECKS:
            raise OverrideError(f"There is no override {name}; there are: {', '.join(Overrides._fields)}.")
        if value is not None:
            checked[field] = _CHECKS[field](name, value)
    overrides = Overrides(**checked)
    for what in ("cpu", "memory"):
        request, limit = getattr(overrides, f"{what}_request"), getattr(overrides, f"{what}_limit")
        _refuse_request_above_limit(what, request, limit, "the override of the limit")
    return overrides


def overrides_of(obj: Obj, kind: str, base: Overrides = NONE) -> Overrides:
    """The overrides of one workload: annotations of its pod template, then its own, then `base`.

    Raises OverrideError where an annotation cannot be used, and where one asks for a security setting.
    """
    found: dict[str, str] = {}
    for place in (pod_template(obj, kind), obj):
        for name, value in (dig(place, "metadata", "annotations") or {}).items():
            if not name.startswith(PREFIX):
                continue
            if name in ANNOTATIONS:
                found.setdefault(ANNOTATIONS[name], value)
            elif _SECURITY.search(re.sub(r"[^a-z0-9]", "", name.removeprefix(PREFIX).lower())):
                raise OverrideError(
                    f"Annotation {name} asks for a security setting, and these come from the chart's values alone: "
                    "remove the annotation."
                )
    if not found:
        return base
    own = parse_overrides(found, names={field: f"annotation {name}" for name, field in ANNOTATIONS.items()})
    return base._replace(**{field: value for field, value in own._asdict().items() if value is not None})


def refuse_unclear_opt_out(obj: Obj, kind: str, namespace: Obj | None) -> None:
    """Raise OverrideError where somebody may have meant to keep the sidecar out, by another word than false."""
    for where, holder in (("pod template", pod_template(obj, kind)), ("workload", obj), ("namespace", namespace)):
        value = unclear_opt_out(holder)
        if value is not None:
            raise OverrideError(
                f"Annotation {ANNOTATION_INJECT} of the {where} is {_shown(value)}: write false to keep the sidecar "
                "out, or true, or remove it."
            )


def unknown_annotations(obj: Obj, kind: str) -> list[str]:
    """Annotations of the workload under our prefix that nothing reads, perhaps mistyped."""
    given = {name for place in (pod_template(obj, kind), obj) for name in dig(place, "metadata", "annotations") or {}}
    return sorted(name for name in given if name.startswith(PREFIX) and name not in _READ)


def apply_to_watcher(watcher: Obj, overrides: Overrides) -> Obj:
    """The watcher's container with its overrides; raises OverrideError where they do not fit together.

    Names of volumes are no part of the container and are not looked at here.
    """
    result: Obj = clone(watcher)
    if overrides.image is not None:
        result["image"] = overrides.image
    for name, value in _variables(overrides).items():
        _set_variable(result, name, {"value": value})
    _override_webhook(result, overrides)
    _override_resources(result, overrides)
    return result


def apply_to_bridge(bridge: Obj, overrides: Overrides) -> Obj:
    """The bridge's container with its overrides; raises OverrideError where it pulls no input that they could be of."""
    result: Obj = clone(bridge)
    if overrides.input_secret_name is None and overrides.input_secret_key is None:
        return result
    published = secret_of(bridge, INPUT_ENV)
    if not published:
        raise OverrideError(
            "input_secret_name or input_secret_key (annotation input-secret-name, input-secret-key) is given, but the "
            "published bridge asks the bot for no input: set inputBridge.pull.enabled in the chart's values, or take "
            "the setting away."
        )
    _refer(
        result,
        INPUT_ENV,
        overrides.input_secret_name or published["name"],
        overrides.input_secret_key or published.get("key") or INPUT_ENV,
    )
    return result


def _variables(overrides: Overrides) -> dict[str, str]:
    values: dict[str, str] = {}
    if overrides.filters is not None:
        # Kubernetes replaces $(NAME) in a value and turns $$( back into $(.
        text = json.dumps(overrides.filters, sort_keys=True, separators=(",", ":"), ensure_ascii=False)
        values["FILTERS"] = text.replace("$(", "$$(")
    if overrides.parity_mode is not None:
        values["PARITY_MODE"] = "true" if overrides.parity_mode else "false"
    if overrides.log_level is not None:
        values["LOG_LEVEL"] = overrides.log_level
    if overrides.thread_id is not None:
        values["DISCORD_THREAD_ID"] = overrides.thread_id
    return values


def _set_variable(container: Obj, name: str, content: Obj) -> None:
    entries = container.setdefault("env", [])
    for at, entry in enumerate(entries):
        if entry.get("name") == name:
            entries[at] = {"name": name, **content}
            return
    entries.append({"name": name, **content})


def _override_webhook(container: Obj, overrides: Overrides) -> None:
    if overrides.webhook_secret_name is None and overrides.webhook_secret_key is None:
        return
    published = secret_of(container, WEBHOOK_ENV)
    name = overrides.webhook_secret_name or published.get("name")
    if not name:
        raise OverrideError(
            "webhook_secret_key (annotation webhook-secret-key) is given, but the published snippet reads no Secret: "
            "give webhook_secret_name too."
        )
    _refer(container, WEBHOOK_ENV, name, overrides.webhook_secret_key or published.get("key") or WEBHOOK_ENV)


def _refer(container: Obj, variable: str, name: str, key: str) -> None:
    # Optional as in the chart: a Secret that is not there must not keep the agent from starting (D8).
    _set_variable(container, variable, {"valueFrom": {"secretKeyRef": {"name": name, "key": key, "optional": True}}})


def _override_resources(container: Obj, overrides: Overrides) -> None:
    for what in ("cpu", "memory"):
        for place, field in (("requests", f"{what}_request"), ("limits", f"{what}_limit")):
            value = getattr(overrides, field)
            if value is not None:
                container.setdefault("resources", {}).setdefault(place, {})[what] = value
        if getattr(overrides, f"{what}_request") is None and getattr(overrides, f"{what}_limit") is None:
            continue
        request, limit = dig(container, "resources", "requests", what), dig(container, "resources", "limits", what)
        _refuse_request_above_limit(what, request, limit, "the limit of the published snippet or override")


def _refuse_request_above_limit(what: str, request: Json, limit: Json, whose: str) -> None:
    if request is not None and limit is not None and parse_quantity(request) > parse_quantity(limit):
        raise OverrideError(
            f"The {what} request {request} is above {whose}, {limit}: lower {what}_request or raise {what}_limit."
        )


# -- one check a field: the value to keep, or an OverrideError ----------------------------------------------------


def _shown(value: Json) -> str:
    return repr(value)[:60]


def _matching(pattern: re.Pattern[str], what: str) -> t.Callable[[str, Json], str]:
    def check(name: str, value: Json) -> str:
        text = str(value) if isinstance(value, (str, int)) and not isinstance(value, bool) else ""
        if pattern.fullmatch(text) is None:
            raise OverrideError(f"{_capital(name)} is {_shown(value)}, it has to be {what}.")
        return text

    return check


def _capital(name: str) -> str:
    return name[0].upper() + name[1:] if " " in name else f"Override {name}"


def _log_level(name: str, value: Json) -> str:
    if value not in LOG_LEVELS:
        raise OverrideError(f"{_capital(name)} is {_shown(value)}, it has to be one of {', '.join(LOG_LEVELS)}.")
    return str(value)


def _flag(name: str, value: Json) -> bool:
    if isinstance(value, bool):
        return value
    if value in ("true", "false"):
        return bool(value == "true")
    raise OverrideError(f"{_capital(name)} is {_shown(value)}, it has to be true or false.")


def _cpu(name: str, value: Json) -> str:
    try:
        number = parse_quantity(value) if isinstance(value, (str, int, float)) else None
    except ValueError:
        number = None
    if number is None or number <= 0 or isinstance(value, bool):
        raise OverrideError(f"{_capital(name)} is {_shown(value)}, it has to be a quantity above 0 such as 100m or 1.")
    return str(value).strip()


def _memory(name: str, value: Json) -> str:
    try:
        number = parse_quantity(value) if isinstance(value, (str, int, float)) else None
    except ValueError:
        number = None
    if number is None or number < LEAST_MEMORY or isinstance(value, bool):
        raise OverrideError(
            f"{_capital(name)} is {_shown(value)}, it has to be a quantity of 1Mi or more such as 64Mi."
        )
    return str(value).strip()


def _filters(name: str, value: Json) -> Obj:
    if isinstance(value, str):
        try:
            value = json.loads(value)
        except ValueError as exc:
            raise OverrideError(
                f"{_capital(name)} is not JSON: write an object such as {{'includeTools': []}}.".replace("'", '"')
            ) from exc
    if not isinstance(value, dict):
        raise OverrideError(f"{_capital(name)} is not an object with the keys {', '.join(_FILTER_KEYS)}.")
    for key, entry in value.items():
        if key not in _FILTER_KEYS:
            raise OverrideError(f"{_capital(name)} has the key {_shown(key)}; there are: {', '.join(_FILTER_KEYS)}.")
        wanted, holds = _FILTER_KEYS[key]
        if not holds(entry):
            raise OverrideError(f"{_capital(name)}: {key} has to be {wanted}.")
    return value


def _texts(value: Json) -> bool:
    return isinstance(value, list) and all(isinstance(item, str) for item in value)


def _count(value: Json) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and value >= 0


# The keys that the watcher reads, a test holds both equal.
_FILTER_KEYS: dict[str, tuple[str, t.Callable[[Json], bool]]] = {
    "includeTools": ("a list of texts", _texts),
    "includePatterns": ("a list of texts", _texts),
    "minStdoutLength": ("a whole number from 0", _count),
}
_SECRET = _matching(_SUBDOMAIN, "the name of a Secret")
_KEY_OF_SECRET = _matching(_SECRET_KEY, "a key of a Secret")
_VOLUME = _matching(_LABEL, "the name of a volume of the pod")
_CHECKS: dict[str, t.Callable[[str, Json], t.Any]] = {
    "image": _matching(_IMAGE, "an image reference such as registry.example.org/team/discord-monitor:1.2"),
    "log_level": _log_level,
    "filters": _filters,
    "webhook_secret_name": _SECRET,
    "webhook_secret_key": _KEY_OF_SECRET,
    "input_secret_name": _SECRET,
    "input_secret_key": _KEY_OF_SECRET,
    "parity_mode": _flag,
    "thread_id": _matching(_SNOWFLAKE, "the number of a Discord thread, digits alone"),
    "cpu_request": _cpu,
    "cpu_limit": _cpu,
    "memory_request": _memory,
    "memory_limit": _memory,
    "transcript_volume": _VOLUME,
    "fifo_volume": _VOLUME,
}

# SPDX-License-Identifier: GPL-3.0-or-later
# SPDX-FileCopyrightText: 2026 The orchestrator.platform authors
#
# Private to this collection: names and behaviour may change in any release.
"""Rules of the user: each becomes a check of family `user`, decided by JMESPath on the same snapshot. Pure.

The values in Secrets are taken out before an expression sees them; docs/rules.md is the manual.
"""

from __future__ import annotations

import re
import typing as t
from collections.abc import Iterable, Iterator, Mapping

from ansible_collections.orchestrator.platform.plugins.module_utils._entries import Entry, demand
from ansible_collections.orchestrator.platform.plugins.module_utils._errors import PlatformError
from ansible_collections.orchestrator.platform.plugins.module_utils._findings import (
    SEVERITIES,
    Check,
    Result,
    Subject,
    failed,
    passed,
    skipped,
    subject,
    unreadable,
)
from ansible_collections.orchestrator.platform.plugins.module_utils._kinds import BUILT_IN, Listing, listing
from ansible_collections.orchestrator.platform.plugins.module_utils._snapshot import UnreadableError, View
from ansible_collections.orchestrator.platform.plugins.module_utils._workloads import (
    KINDS,
    Foreign,
    Json,
    Obj,
    containers_of,
    dig,
    pod_spec,
)

FAMILY = "user"
REQUIRED = ("id", "kind", "assert", "title", "hint")
OPTIONAL = ("api_version", "select", "severity")
_ID = re.compile(rf"{FAMILY}/[a-z0-9]+(-[a-z0-9]+)*")
_API_VERSION = re.compile(r"([a-z0-9.-]+/)?v[a-z0-9]+")
_KIND = re.compile(r"[A-Z][A-Za-z0-9]*")
_LAST_APPLIED = "kubectl.kubernetes.io/last-applied-configuration"


class Rule(t.NamedTuple):
    """One rule, its expressions compiled."""

    id: str
    title: str
    listing: Listing
    select: Foreign
    holds: Foreign  # the key `assert`
    severity: str
    hint: str
    place: str


class EvaluationError(Exception):
    """An expression met a value it cannot work on; the text says which function and what type, never the value."""


# -- reading -------------------------------------------------------------------------------------------------------


def parse_rules(entries: Iterable[Entry]) -> list[Rule]:
    """The rules of these entries; raises PlatformError with one sentence and the place."""
    rules: list[Rule] = []
    places: dict[str, str] = {}
    for entry in entries:
        rule = _rule(entry)
        if rule.id in places:
            raise PlatformError(f"{entry.at('id')}: {rule.id} is taken by the rule at {places[rule.id]}: rename one.")
        places[rule.id] = entry.at("id")
        rules.append(rule)
    return rules


def _rule(entry: Entry) -> Rule:
    demand(entry, required=REQUIRED, optional=OPTIONAL)
    values = {"select": "@", "severity": "error", "api_version": "", **entry.values}
    if not _ID.fullmatch(values["id"]):
        raise PlatformError(
            f"{entry.at('id')}: id is {values['id'][:80]!r}: {FAMILY}/ and a name of small letters, digits and "
            f"single dashes is expected, for example {FAMILY}/team-label."
        )
    if values["severity"] not in SEVERITIES:
        raise PlatformError(
            f"{entry.at('severity')}: severity is {values['severity'][:40]!r}: "
            f"one of {', '.join(SEVERITIES)} is expected."
        )
    where = _listing(entry, values["kind"], values["api_version"])
    select, holds = (_compiled(entry, key, values[key]) for key in ("select", "assert"))
    hint = values["hint"].strip()
    return Rule(values["id"], values["title"].strip(), where, select, holds, values["severity"], hint, entry.at())


def _listing(entry: Entry, kind: str, api_version: str) -> Listing:
    if not _KIND.fullmatch(kind):
        raise PlatformError(f"{entry.at('kind')}: kind is {kind[:60]!r}: a kind such as Deployment is expected.")
    if api_version and not _API_VERSION.fullmatch(api_version):
        raise PlatformError(
            f"{entry.at('api_version')}: api_version is {api_version[:60]!r}: v1 or GROUP/v1 is expected."
        )
    found = listing(kind, api_version)
    if found is None:
        raise PlatformError(
            f"{entry.at('kind')}: the kind {kind} is not known here: name its api_version too, for example "
            f"cert-manager.io/v1. Known are {', '.join(BUILT_IN)}."
        )
    return found


def _compiled(entry: Entry, key: str, text: str) -> Foreign:
    jmespath = _jmespath()
    try:
        compiled = jmespath.compile(text)
    except jmespath.exceptions.JMESPathError as exc:
        position = getattr(exc, "lex_position", None)
        position = getattr(exc, "lexer_position", None) if position is None else position
        # Of an expression that breaks off the library does not say where.
        place = f"character {position + 1}" if isinstance(position, int) and position < len(text) else "its end"
        raise PlatformError(f"{entry.at(key)}: {key} is no JMESPath expression, at {place}: {text[:120]!r}") from exc
    except RecursionError as exc:
        raise PlatformError(f"{entry.at(key)}: {key} is nested too deeply to be read: {text[:120]!r}") from exc
    for problem in _misused_functions(compiled.parsed, jmespath.functions.Functions.FUNCTION_TABLE):
        raise PlatformError(f"{entry.at(key)}: {key}: {problem}: {text[:120]!r}")
    return compiled


def _misused_functions(node: Json, table: Mapping[str, Obj]) -> Iterator[str]:
    """Unknown functions and wrong numbers of arguments, which the library would report on evaluation only."""
    if not isinstance(node, dict):
        return
    children = node.get("children") or []
    if node.get("type") == "function_expression":
        name = node["value"]
        if name not in table:
            yield f"there is no function {name}()"
        else:
            signature = table[name]["signature"]
            more = len(children) - len(signature)
            if more < 0 or (more > 0 and not (signature and signature[-1].get("variadic"))):
                yield f"the function {name}() takes {len(signature)} arguments, not {len(children)}"
    for child in children:
        yield from _misused_functions(child, table)


def _jmespath() -> Foreign:
    try:
        import jmespath
        import jmespath.exceptions
        import jmespath.functions
    except ImportError as exc:
        raise PlatformError(
            "Rules need the Python library jmespath where the module runs: pip install jmespath, or leave rules empty."
        ) from exc
    return jmespath


# -- deciding ------------------------------------------------------------------------------------------------------


def as_check(rule: Rule) -> Check:
    """The rule as a check, to be run like those of the catalogue."""

    def decide(view: View, _namespace: str) -> Iterator[Result]:
        return _judge(rule, view)

    return Check(
        id=rule.id,
        title=rule.title,
        severity=rule.severity,
        scope="cluster",  # so that it is run once, and can say that it matches nothing anywhere
        needs=(rule.listing.key,),
        protects="what its author says",
        decided=f"The rule at {rule.place}.",
        mend=rule.hint,
        decide=decide,
        page="",
    )


def _judge(rule: Rule, view: View) -> Iterator[Result]:
    namespaces = view.expect.namespaces() if rule.listing.namespaced else ("",)
    objects = subjects = 0
    unread = False
    for namespace in namespaces:
        try:
            found = view.objects(rule.listing.key, namespace)
        except UnreadableError as exc:
            unread = True
            yield unreadable(subject("Namespace" if namespace else "Cluster", namespace, namespace), str(exc))
            continue
        objects += len(found)
        for obj in found:
            for result in _judge_one(rule, shown(obj, rule.listing)):
                subjects += 1
                yield result
    if not subjects and not unread:
        yield skipped(subject("Cluster"), f"the rule matches nothing: {_why_nothing(rule, objects)}")


def _why_nothing(rule: Rule, objects: int) -> str:
    where = "the namespaces in view" if rule.listing.namespaced else "the cluster"
    if not objects:
        return f"there is no {rule.listing.kind} in {where} ({rule.place})"
    return f"{objects} of kind {rule.listing.kind} in {where}, and select picks nothing of them ({rule.place})"


def _judge_one(rule: Rule, obj: Obj) -> Iterator[Result]:
    whole = subject(rule.listing.kind, dig(obj, "metadata", "namespace") or "", dig(obj, "metadata", "name") or "")
    try:
        picked = _evaluated(rule.select, obj)
    except EvaluationError as exc:
        yield failed(whole, f"select cannot be evaluated here: {exc} ({rule.place})")
        return
    for who, label, value in _subjects(rule, obj, whole, picked):
        try:
            answer = _evaluated(rule.holds, value)
        except EvaluationError as exc:
            yield failed(who, f"{label}assert cannot be evaluated here: {exc} ({rule.place})")
            continue
        expression = rule.holds.expression
        yield (
            passed(who)
            if truth(answer)
            else failed(who, f"{label}not so: {rule.title} ({expression} gives {_falsehood(answer)})")
        )


def _subjects(rule: Rule, obj: Obj, whole: Subject, picked: Json) -> Iterator[tuple[Subject, str, Json]]:
    """(subject, words before the evidence, value) for all that select has picked of one object."""
    if picked is True or picked is obj:
        yield whole, "", obj
        return
    containers = [item for _place, item in containers_of(_spec(rule, obj))]
    for number, value in enumerate(picked if isinstance(picked, list) else [picked], start=1):
        if value is None or value is False:
            continue
        name = value.get("name") if isinstance(value, dict) else None
        if any(value is item for item in containers):
            yield {**whole, "container": str(name)}, "", value
        elif value is obj:
            yield whole, "", obj
        else:
            label = f"item {number}" + (f" ({str(name)[:60]})" if name else "")
            yield whole, f"{label} of what select picks: ", value


def _spec(rule: Rule, obj: Obj) -> Obj:
    if rule.listing.kind not in KINDS:
        return {}
    return pod_spec(obj, rule.listing.kind)


def _evaluated(expression: Foreign, value: Json) -> Json:
    jmespath = _jmespath()
    try:
        return expression.search(value)
    except jmespath.exceptions.JMESPathTypeError as exc:
        # The library's own text shows the value, which may be anything.
        raise EvaluationError(
            f"{exc.function_name}() cannot take {exc.actual_type}, only {' or '.join(exc.expected_types)}"
        ) from exc
    except (jmespath.exceptions.JMESPathError, TypeError, ValueError, ArithmeticError, RecursionError) as exc:
        raise EvaluationError(type(exc).__name__) from exc


def truth(value: Json) -> bool:
    """JMESPath's own truth: everything but null, false and what is empty; 0 is true."""
    return not (value is None or value is False or value in ("", [], {}))


def _falsehood(value: Json) -> str:
    if value is None:
        return "null"
    return "false" if value is False else "something empty"


def shown(obj: Obj, where: Listing) -> Obj:
    """The object as rules see it: with kind and apiVersion, which lists leave out, and without values of Secrets."""
    whole = {"apiVersion": where.group_version, "kind": where.kind, **obj}
    if where.kind != "Secret":
        return whole
    keys = sorted({*(obj.get("data") or {}), *(obj.get("stringData") or {})})
    metadata = dict(obj.get("metadata") or {})
    notes = {key: value for key, value in (metadata.get("annotations") or {}).items() if key != _LAST_APPLIED}
    metadata["annotations"] = notes
    whole = {key: value for key, value in whole.items() if key not in ("data", "stringData")}
    return {**whole, "metadata": metadata, "keys": keys}

# SPDX-License-Identifier: GPL-3.0-or-later
# SPDX-FileCopyrightText: 2026 The orchestrator.platform authors
#
# Private to this collection: names and behaviour may change in any release.
"""Checks and findings: what a check is, how the catalogue is run, how results are folded and counted. Pure."""

from __future__ import annotations

import typing as t
from collections.abc import Callable, Iterable, Iterator

from ansible_collections.orchestrator.platform.plugins.module_utils._plain_text import plain_line
from ansible_collections.orchestrator.platform.plugins.module_utils._redact import redact_text
from ansible_collections.orchestrator.platform.plugins.module_utils._snapshot import Bearer, UnreadableError, View
from ansible_collections.orchestrator.platform.plugins.module_utils._workloads import Obj

VERDICTS = ("fail", "warn", "skip", "pass")  # worst first
SEVERITIES = ("error", "warning", "info")
NO_AGENTS_NAMED = "agent_namespaces is empty: name the namespaces of the agents, or nothing is known of them"
NO_BOT_EXPECTED = "the bot is switched off (bot_expected is false)"
MAX_EVIDENCE = 400  # characters; evidence may hold foreign text


class Subject(t.TypedDict):
    """What a finding is about; empty strings where a part does not apply."""

    kind: str
    namespace: str
    name: str
    container: str


class Suppressed(t.TypedDict):
    """Why a finding does not count for now, and until when (ISO date)."""

    reason: str
    expires: str


class Finding(t.TypedDict):
    """One check, one subject, one verdict; a pass may stand for several subjects, `count` says for how many.

    `suppressed` is there only where the user said so: the verdict stays, and fails no run.
    """

    id: str
    severity: str
    subject: Subject
    verdict: str
    evidence: str
    hint: str
    count: int
    suppressed: t.NotRequired[Suppressed]


class Result(t.NamedTuple):
    """What a check says about one subject; `ok` None means not applicable, with the reason as evidence."""

    ok: bool | None
    subject: Subject
    evidence: str
    unread: bool = False  # with ok None: it applies and could not be read, so the picture is not complete
    severity: str = ""  # where it is not the check's own: a suspicion in a check whose severity is error


Decide = Callable[[View, str], Iterable[Result]]


class Check(t.NamedTuple):
    """One entry of the catalogue. `scope`: cluster, monitor, agents, all or orchestrator.

    It is run once for each namespace of its scope; not at all for an orchestrator that is not expected.
    """

    id: str
    title: str
    severity: str
    scope: str
    needs: tuple[str, ...]  # resources it reads, and extras such as health, metrics, usage, delivery
    protects: str
    decided: str
    mend: str
    decide: Decide
    page: str = "docs/checks.md"  # with a section for it; "" for a rule of the user, which has none

    @property
    def family(self) -> str:
        """The part before the slash."""
        return self.id.partition("/")[0]

    @property
    def anchor(self) -> str:
        """Fragment of its section in docs/checks.md, as GitHub makes it from the heading."""
        return self.id.replace("/", "")

    @property
    def hint(self) -> str:
        """The reader's next step."""
        return f"{self.mend} See {self.page}#{self.anchor}" if self.page else self.mend


class Catalogue:
    """Collects checks in the order of their definition."""

    def __init__(self) -> None:
        self.checks: list[Check] = []

    def add(
        self,
        check_id: str,
        *,
        title: str,
        protects: str,
        decided: str,
        mend: str,
        scope: str,
        needs: tuple[str, ...] = (),
        severity: str = "error",
    ) -> Callable[[Decide], Decide]:
        """Register the decorated function as a check."""

        def register(decide: Decide) -> Decide:
            self.checks.append(Check(check_id, title, severity, scope, needs, protects, decided, mend, decide))
            return decide

        return register


# -- subjects and results, as checks write them --------------------------------------------------------------------


def subject(kind: str, namespace: str = "", name: str = "", container: str = "") -> Subject:
    """A subject."""
    return {"kind": kind, "namespace": namespace, "name": name, "container": container}


def show_subject(who: Subject) -> str:
    """`Deployment agents/coder, container discord-watcher`."""
    place = "/".join(part for part in (who["namespace"], who["name"]) if part)
    if who["kind"] == "Namespace":
        place = who["name"]
    text = f"{who['kind']} {place}".strip()
    return f"{text}, container {who['container']}" if who["container"] else text


def about(bearer: Bearer, container: Obj | None = None) -> Subject:
    """The subject for a workload or pod, or one of its containers."""
    return subject(bearer.kind, bearer.namespace, bearer.name, (container or {}).get("name", ""))


def passed(who: Subject, evidence: str = "") -> Result:
    """It holds."""
    return Result(ok=True, subject=who, evidence=evidence)


def failed(who: Subject, evidence: str) -> Result:
    """It does not hold; the evidence says what was found."""
    return Result(ok=False, subject=who, evidence=evidence)


def warned(who: Subject, evidence: str) -> Result:
    """It may not hold: worth a look, never a failed run by itself, whatever the check's severity."""
    return Result(ok=False, subject=who, evidence=evidence, severity="warning")


def skipped(who: Subject, reason: str) -> Result:
    """It need not be decided."""
    return Result(ok=None, subject=who, evidence=reason)


def unreadable(who: Subject, reason: str) -> Result:
    """It cannot be decided, since something could not be read: the summary will say that the picture is incomplete."""
    return Result(ok=None, subject=who, evidence=reason, unread=True)


def decided(who: Subject, problem: str | None, evidence: str = "") -> Result:
    """Failed with the problem, or passed when there is none."""
    return passed(who, evidence) if problem is None else failed(who, problem)


# -- running -------------------------------------------------------------------------------------------------------


def run_checks(checks: Iterable[Check], view: View, *, lenient: bool = False) -> tuple[list[Finding], bool]:
    """All findings, and whether the picture was complete (nothing was skipped because it could not be read).

    `lenient` is check mode: before the platform is installed nothing can fail, nor in a namespace that is still to be
    made, so failures there become skips. What the family preflight finds holds before the installation too.
    """
    early = lenient and not view.installed
    findings: list[Finding] = []
    passes: dict[tuple[str, str], Finding] = {}
    complete = True
    for check in checks:
        waits = lenient and check.scope == "orchestrator" and not view.orchestrator_installed
        soft = (early or waits) and check.family != "preflight"
        places = _namespaces(check, view)
        if not places and check.scope == "agents":  # it would be gone without a word
            findings.append(_finding(check, unreadable(subject("Cluster"), NO_AGENTS_NAMED), soften=False))
            complete = False
        for namespace in places:
            rows, read = _run_one(check, view, namespace)
            complete = complete and read
            for row in rows:
                key = (check.id, row.subject["namespace"])
                if row.ok and key in passes:
                    _count(passes[key])
                    continue
                finding = _finding(check, row, soften=soft or (lenient and _absent(row, view)))
                findings.append(finding)
                if row.ok:
                    passes[key] = finding
    return findings, complete


def _count(first: Finding) -> None:
    """One more pass of a check in a namespace: 200 workloads times 40 checks as rows would bury the rest."""
    first["count"] += 1
    namespace = first["subject"]["namespace"]
    first["subject"] = subject("Namespace" if namespace else "Cluster", namespace, namespace)
    first["evidence"] = f"{first['count']} subjects"


def _namespaces(check: Check, view: View) -> tuple[str, ...]:
    expect = view.expect
    return {
        "cluster": ("",),
        "monitor": (expect.monitor_namespace,),
        "agents": expect.agent_namespaces,
        "all": expect.namespaces(),
        "orchestrator": expect.orchestrator_namespaces(),
    }[check.scope]


def _run_one(check: Check, view: View, namespace: str) -> tuple[list[Result], bool]:
    where = subject("Namespace" if namespace else "Cluster", namespace, namespace)
    if namespace and namespace in view.snapshot.namespaces and view.snapshot.namespaces[namespace] is None:
        return [skipped(where, f"namespace {namespace} is not there")], True
    try:
        rows = list(check.decide(view, namespace))
    except UnreadableError as exc:
        return [skipped(where, str(exc))], False
    complete = not any(row.unread for row in rows)
    return rows or [skipped(where, "nothing of this kind is there")], complete


def _absent(row: Result, view: View) -> bool:
    return view.snapshot.namespaces.get(row.subject["namespace"], {}) is None


def _finding(check: Check, row: Result, *, soften: bool) -> Finding:
    severity = row.severity or check.severity
    verdict = {None: "skip", True: "pass", False: "fail" if severity == "error" else "warn"}[row.ok]
    evidence = plain_line(redact_text(row.evidence))
    if soften and verdict in ("fail", "warn"):
        verdict, evidence = "skip", f"not installed yet: {evidence}"
    if len(evidence) > MAX_EVIDENCE:
        evidence = evidence[: MAX_EVIDENCE - 1] + "…"
    return {
        "id": check.id,
        "severity": severity,
        "subject": row.subject,
        "verdict": verdict,
        "evidence": evidence,
        "hint": check.hint if verdict in ("fail", "warn") else "",
        "count": 1,
    }


def summarise(findings: list[Finding], *, complete: bool) -> dict[str, t.Any]:
    """Counts over all findings and by family; `complete` False means that something could not be read.

    What is suppressed is counted as that and as nothing else.
    """
    names = {"pass": "passed", "fail": "failed", "warn": "warned", "skip": "skipped"}
    empty = dict.fromkeys([*names.values(), "suppressed"], 0)
    families: dict[str, dict[str, int]] = {}
    total = dict(empty)
    for finding in findings:
        name = "suppressed" if "suppressed" in finding else names[finding["verdict"]]
        family = families.setdefault(finding["id"].partition("/")[0], dict(empty))
        family[name] += finding["count"]
        total[name] += finding["count"]
    return {**total, "complete": complete, "by_family": families}


def breaks(findings: list[Finding], fail_on: str) -> list[Finding]:
    """The findings that fail a run: errors, with `warning` also warnings, with `none` nothing.

    Info never does, nor what is suppressed.
    """
    verdicts = {"error": ("fail",), "warning": ("fail", "warn"), "none": ()}[fail_on]
    return [
        item
        for item in findings
        if item["verdict"] in verdicts and item["severity"] != "info" and "suppressed" not in item
    ]


def worst_first(findings: Iterable[Finding]) -> Iterator[Finding]:
    """Sorted for reading: verdict, severity, id, subject; what is suppressed comes after what is not."""

    def rank(item: Finding) -> tuple[bool, int, int, str, tuple[str, ...]]:
        place = tuple(str(part) for part in item["subject"].values())
        verdict, severity = VERDICTS.index(item["verdict"]), SEVERITIES.index(item["severity"])
        return "suppressed" in item, verdict, severity, item["id"], place

    return iter(sorted(findings, key=rank))

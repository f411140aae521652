# SPDX-License-Identifier: GPL-3.0-or-later
# SPDX-FileCopyrightText: 2026 The orchestrator.platform authors
#
# Private to this collection: names and behaviour may change in any release.
"""The report as one HTML page without external assets. Pure; every foreign text passes `_esc`."""

from __future__ import annotations

import html
import itertools
from collections.abc import Iterable, Iterator, Sequence

from ansible_collections.orchestrator.platform.plugins.module_utils._findings import Finding, show_subject, worst_first
from ansible_collections.orchestrator.platform.plugins.module_utils._matrix import Row as Cell
from ansible_collections.orchestrator.platform.plugins.module_utils._measures import Arrival, Use
from ansible_collections.orchestrator.platform.plugins.module_utils._report import Report, show_counts
from ansible_collections.orchestrator.platform.plugins.module_utils._report_page import page
from ansible_collections.orchestrator.platform.plugins.module_utils._workloads import Json

MAX_ROWS = 300  # of the matrix, those that deviate first; a browser on a phone still scrolls it
FOLD = 24  # lines of a list that stand open, arbitrary: about a screen, so that the next section is not far below
MAX_CARDS = 1000  # groups of findings
HIGH = 0.8  # of a limit; arbitrary, the usual alert threshold

STATES = {  # state -> (sign, word)
    "fail": ("✖", "failed"),
    "warn": ("▲", "warned"),
    "skip": ("○", "skipped"),
    "note": ("◐", "suppressed"),
    "pass": ("✔", "passed"),
}
_MARKS = {  # (expected, found) -> (sign, class, words)
    (True, True): ("●", "", "as expected"),
    (False, True): ("✖", "more", "more than expected"),
    (True, False): ("○", "missing", "expected and missing"),
    (False, False): ("·", "none", "no way, as expected"),
}


def as_html(report: Report) -> str:
    """The whole page."""
    parts = (
        _head(report),
        "<main>",
        _matrix(report.matrix, report.matrix_unread),
        _findings(report),
        _usage(report.usage),
        _delivery(report.delivery),
        _suppressions(report),
        _families(report),
        "</main>",
        "<footer>Written by orchestrator.platform.verification. docs/checks.md of the collection explains each check; "
        "findings.json beside this page holds everything for programs.</footer>",
    )
    return page(f"Verification: {_outcome(report)[1]}", "\n".join(part for part in parts if part))


def _esc(value: Json) -> str:
    return html.escape(str(value), quote=True)


def _outcome(report: Report) -> tuple[str, str]:
    """(state, sentence): what fails the run first, then what failed all the same; holds only where nothing is open."""
    summary, broken = report.summary, len(report.broken)
    if broken:
        state, text = "fail", f"{broken} findings fail the run" if broken > 1 else "1 finding fails the run"
    elif summary["failed"]:
        state, text = "fail", f"{summary['failed']} failed, and the run was not to fail on that"
    elif summary["warned"]:
        state, text = "warn", f"nothing failed, {summary['warned']} warned"
    elif summary["suppressed"]:
        state, text = "pass", f"everything holds but for {summary['suppressed']} suppressed"
    else:
        state, text = "pass", "everything holds"
    if summary["complete"]:
        return state, text
    if state == "pass":
        text = "nothing failed" + (f", {summary['suppressed']} suppressed" if summary["suppressed"] else "")
    return "fail" if state == "fail" else "warn", f"{text}, and the picture is incomplete"


def _head(report: Report) -> str:
    state, outcome = _outcome(report)
    about = " · ".join(
        _esc(f"{name.replace('_', ' ')} {', '.join(value) if isinstance(value, list) else value}")
        for name, value in report.about.items()
        if value
    )
    tiles = "".join(
        f'<li><b class="{name}">{report.summary[word]}</b>{sign} {word}</li>' for name, (sign, word) in STATES.items()
    )
    return (
        f'<header><h1>Verification</h1><p class="verdict {state}">{STATES[state][0]} {_esc(outcome)}</p>'
        f"<p>{_esc(show_counts(report.summary))}. The run fails on: {_esc(report.fail_on)}.</p>"
        f'<p class="dim">{about}</p><ul class="tiles">{tiles}</ul></header>'
    )


# -- secret scope --------------------------------------------------------------------------------------------------


def _matrix(rows: list[Cell], unread: Sequence[str]) -> str:
    if not rows and not unread:
        return ""
    title = f"<section><h2>Who can read which Secret</h2>{_matrix_verdict(rows, unread)}"
    if not rows:
        return f"{title}</section>"
    secrets = sorted({str(row["secret"]) for row in rows})
    cells: dict[str, dict[str, list[Cell]]] = {}
    for row in rows:
        cells.setdefault(show_subject(row["subject"]), {}).setdefault(str(row["secret"]), []).append(row)
    odd = {who for who, per in cells.items() if any(map(_deviates, itertools.chain(*per.values())))}
    ordered = sorted(cells, key=lambda who: (who not in odd, who))
    lines = {who: _matrix_row(who, cells[who], secrets, odd=who in odd) for who in ordered[:MAX_ROWS]}
    # Of many subjects those that deviate are what is looked for.
    open_ = [line for who, line in lines.items() if who in odd or len(lines) <= FOLD]
    folded = list(lines.values())[len(open_) :]
    more = len(ordered) - MAX_ROWS
    rest = f"<p>… and {more} more subjects; findings.json has all of them.</p>" if more > 0 else ""
    table = _matrix_table(open_, secrets)
    if folded:
        table += _fold(f"{len(ordered) - len(odd)} subjects as expected", _matrix_table(folded, secrets) + rest)
    else:
        table += rest
    return f"{title}{_legend()}{table}{_deviations(rows)}</section>"


def _matrix_table(lines: list[str], secrets: list[str]) -> str:
    if not lines:
        return ""
    head = "".join(f'<th scope="col">{_esc(secret)}</th>' for secret in secrets)
    return (
        f'<div class="scroll"><table class="matrix"><thead><tr><th scope="col">Subject</th>{head}</tr></thead>'
        f"<tbody>{''.join(lines)}</tbody></table></div>"
    )


def _fold(title: str, body: str) -> str:
    return f"<details><summary>{title}</summary>{body}</details>" if body else ""


def _deviates(row: Cell) -> bool:
    return bool(row["expected"]) != bool(row["found"])


def _matrix_row(who: str, per: dict[str, list[Cell]], secrets: list[str], *, odd: bool) -> str:
    # On a narrow screen each cell stands below its subject and says itself which Secret it is about.
    cells = "".join(
        f'<td data-secret="{_esc(secret)}">{"".join(_marks(per.get(secret, [])))}</td>' for secret in secrets
    )
    sign = '<span class="fail">✖</span> ' if odd else ""
    return f'<tr><th scope="row">{sign}{_esc(who)}</th>{cells}</tr>'


def _marks(rows: Iterable[Cell]) -> Iterator[str]:
    seen = {(str(row["path"]), bool(row["expected"]), bool(row["found"])) for row in rows}
    for path, expected, found in sorted(seen):
        sign, kind, words = _MARKS[(expected, found)]
        name = path if expected or found else ""
        yield f'<span class="mark {kind}" title="{_esc(f"{path} {words}".strip())}">{sign} {_esc(name)}</span>'


def _matrix_verdict(rows: list[Cell], unread: Sequence[str]) -> str:
    more = sum(not row["expected"] and bool(row["found"]) for row in rows)
    missing = sum(bool(row["expected"]) and not row["found"] for row in rows)
    if more or missing:
        text = f'<p class="fail">✖ {more} more than expected, {missing} expected and missing.</p>'
    elif unread:
        text = '<p class="warn">▲ Nothing deviates in what could be read, and that is not everything.</p>'
    else:
        text = '<p class="pass">✔ Exactly the expected readers, by exactly the expected paths.</p>'
    if not unread:
        return text
    reasons = "".join(f"<li>{_esc(why)}</li>" for why in unread[:MAX_ROWS])
    return f"{text}<p>○ Rows may be missing:</p><ul>{reasons}</ul>"


def _legend() -> str:
    marks = "".join(
        f'<span><span class="mark {kind}">{sign}{"" if kind == "none" else " path"}</span> {words}</span>'
        for sign, kind, words in _MARKS.values()
    )
    return f'<p class="legend">{marks}</p>'


def _deviations(rows: list[Cell]) -> str:
    lines = [
        f"<li>{_MARKS[(bool(row['expected']), bool(row['found']))][0]} {_esc(show_subject(row['subject']))}: "
        f"{_esc(row['secret'])} by {_esc(row['path'])}{_via(row)}</li>"
        for row in rows
        if _deviates(row)
    ]
    return f"<h3>Deviations</h3><ul>{''.join(lines[:MAX_ROWS])}</ul>" if lines else ""


def _via(row: Cell) -> str:
    return f" ({_esc(row['via'])})" if row.get("via") else ""


# -- findings ------------------------------------------------------------------------------------------------------


def _findings(report: Report) -> str:
    groups = [
        (state, check, list(group))
        for (state, check), group in itertools.groupby(
            sorted(worst_first(report.findings), key=lambda item: list(STATES).index(_state(item))),
            key=lambda item: (_state(item), item["id"]),
        )
    ]
    # Passes are hidden at first, unless there is nothing else to look at.
    ticked = set(STATES) - ({"pass"} if {state for state, *_rest in groups} - {"pass"} else set())
    boxes = "".join(
        f'<label><input type="checkbox" value="{name}"{" checked" if name in ticked else ""}> {sign} {word}</label>'
        for name, (sign, word) in STATES.items()
    )
    cards = "".join(_card(report, *group) for group in groups[:MAX_CARDS])
    more = len(groups) - MAX_CARDS
    rest = f"<p>… and {more} more; findings.json has all of them.</p>" if more > 0 else ""
    return (
        '<section><h2>Findings</h2><div class="filter" id="filter" hidden>'
        '<input type="search" placeholder="Words in id, subject, evidence" aria-label="Filter findings by words">'
        f'{boxes}<span class="dim" id="left" role="status"></span></div>{cards}{rest}</section>'
    )


def _state(item: Finding) -> str:
    return "note" if "suppressed" in item else item["verdict"]


def _card(report: Report, state: str, check: str, group: list[Finding]) -> str:
    sign, word = STATES[state]
    title = report.titles.get(check, "")
    hints = "".join(f"<p>→ {_esc(hint)}</p>" for hint in dict.fromkeys(item["hint"] for item in group) if hint)
    number = sum(item["count"] for item in group)
    return (
        f'<article class="finding {state}" data-state="{state}"><h3><span class="{state}">{sign} {word}</span> '
        f'<code>{_esc(check)}</code></h3><p class="dim">{_esc(title)}{"" if not title else ". "}'
        f"{_esc(group[0]['severity'])}, {number} {'subject' if number == 1 else 'subjects'}</p>"
        f"{_items([_item(item) for item in group])}{hints}</article>"
    )


def _items(lines: list[str]) -> str:
    first, rest = "".join(lines[:FOLD]), "".join(lines[FOLD:])
    return f"<ul>{first}</ul>{_fold(f'and {len(lines) - FOLD} more', f'<ul>{rest}</ul>' if rest else '')}"


def _item(item: Finding) -> str:
    evidence = f": {_esc(item['evidence'])}" if item["evidence"] else ""
    note = item.get("suppressed")
    reason = f"<br>◐ until {_esc(note['expires'])}: {_esc(note['reason'])}" if note else ""
    return f"<li><b>{_esc(show_subject(item['subject']))}</b>{evidence}{reason}</li>"


# -- measures ------------------------------------------------------------------------------------------------------


def _usage(rows: list[Use]) -> str:
    bars = []
    for row in rows:
        who = f"{row['namespace']}/{row['pod']}, {row['container']}"
        memory, cpu = row["memory_bytes"], row["cpu_millicores"]
        if memory is not None:
            limit = row["memory_limit_bytes"]
            shown = f"memory {memory / 2**20:.1f} MiB" + (f" of {limit / 2**20:.0f} MiB" if limit else ", no limit")
            bars.append((_share(memory, limit), _bar(who, shown, _share(memory, limit))))
        if cpu is not None:
            top = row["cpu_limit_millicores"]
            shown = f"CPU {cpu:.1f} m" + (f" of {top:.0f} m" if top else ", no limit")
            bars.append((_share(cpu, top), _bar(who, shown, _share(cpu, top))))
    if not bars:
        return ""
    bars.sort(key=lambda item: -(item[0] or 0))
    return f"<section><h2>Use against limits</h2>{_bars([text for _share_, text in bars])}</section>"


def _bars(lines: list[str]) -> str:
    """The first ones open; of more than MAX_ROWS findings.json has the rest."""
    first, rest = "".join(lines[:FOLD]), "".join(lines[FOLD:MAX_ROWS])
    more = f"<p>… and {len(lines) - MAX_ROWS} more; findings.json has all of them.</p>" if len(lines) > MAX_ROWS else ""
    folded = f'<div class="bars">{rest}</div>{more}' if rest else ""
    return f'<div class="bars">{first}</div>{_fold(f"and {len(lines) - FOLD} more", folded)}'


def _share(used: float, limit: float | None) -> float | None:
    return used / limit if limit else None


def _bar(who: str, shown: str, share: float | None) -> str:
    kind, sign = ("", "") if share is None or share < HIGH else ("high", "▲ ") if share < 1 else ("over", "✖ ")
    percent = "" if share is None else f" ({share:.0%})"
    return _row(who, f"{sign}{shown}{percent}", 0 if share is None else min(100.0, 100 * share), kind)


def _delivery(rows: list[Arrival]) -> str:
    if not rows:
        return ""
    longest = max([1.0, *(row["seconds"] or 0.0 for row in rows)])
    bars = []
    for row in sorted(rows, key=lambda row: (row["delivered"], -(row["seconds"] or 0.0))):  # worst first
        who = f"{row['namespace']}/{row['pod']}, {row['container']}"
        seconds = row["seconds"]
        if row["delivered"] and seconds is not None:
            bars.append(_row(who, f"✔ delivered in {seconds:.2f} s", 100 * seconds / longest))
        else:
            word = "✔ delivered" if row["delivered"] else f"✖ not delivered: {row['reason'][:200]}"
            bars.append(_row(who, word, 0))
    return (
        '<section><h2>Delivery latency</h2><p class="dim">From a line written beside the watcher until Discord has '
        f"confirmed it; a full bar is {longest:.1f} s.</p>{_bars(bars)}</section>"
    )


def _row(who: str, shown: str, width: float, kind: str = "") -> str:
    return (
        f"<div><p><span>{_esc(who)}</span><span>{_esc(shown)}</span></p>"
        '<svg viewBox="0 0 100 4" preserveAspectRatio="none" aria-hidden="true">'
        f'<rect class="track" width="100" height="4"/><rect class="fill {kind}" width="{width:.1f}" height="4"/>'
        "</svg></div>"
    )


# -- the rest ------------------------------------------------------------------------------------------------------


def _suppressions(report: Report) -> str:
    if not report.suppressions:
        return ""
    rows = "".join(
        f"<tr><td><code>{_esc(row['id'])}</code></td><td>{_esc(row['subject'])}</td><td>{_esc(row['reason'])}</td>"
        f"<td>{_esc(row['expires'])}</td><td>{_esc(row['state'])}</td>"
        f'<td class="num">{row["findings"]}</td></tr>'
        for row in report.suppressions
    )
    return (
        '<section><h2>Suppressions</h2><div class="scroll"><table><thead><tr><th>Check</th><th>Subject</th>'
        f"<th>Reason</th><th>Until</th><th>State</th><th>Findings</th></tr></thead><tbody>{rows}</tbody></table></div></section>"
    )


def _families(report: Report) -> str:
    words = [word for _sign, word in STATES.values()]
    head = "".join(f'<th class="num">{word}</th>' for word in words)
    rows = "".join(
        f"<tr><td>{_esc(family)}</td>" + "".join(f'<td class="num">{counts[word]}</td>' for word in words) + "</tr>"
        for family, counts in report.summary["by_family"].items()
    )
    return (
        f'<section><h2>Families of checks</h2><div class="scroll"><table><thead><tr><th>Family</th>{head}</tr></thead>'
        f"<tbody>{rows}</tbody></table></div></section>"
    )

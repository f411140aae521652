# SPDX-License-Identifier: GPL-3.0-or-later
# SPDX-FileCopyrightText: 2026 The orchestrator.platform authors
"""Four prints of one list agree, the JSON has its published schema, the page is one file and safe (DM-146, D13)."""

from __future__ import annotations

import base64
import hashlib
import json
import xml.etree.ElementTree as ET
from html.parser import HTMLParser
from pathlib import Path

import jsonschema
import pytest
from ansible_collections.orchestrator.platform.plugins.module_utils._catalogue import CHECKS
from ansible_collections.orchestrator.platform.plugins.module_utils._errors import PlatformError
from ansible_collections.orchestrator.platform.plugins.module_utils._findings import (
    failed,
    passed,
    run_checks,
    subject,
    summarise,
    warned,
    worst_first,
)
from ansible_collections.orchestrator.platform.plugins.module_utils._measures import arrivals, uses
from ansible_collections.orchestrator.platform.plugins.module_utils._report import (
    Report,
    as_json,
    as_junit,
    text_lines,
)
from ansible_collections.orchestrator.platform.plugins.module_utils._report_files import write_reports
from ansible_collections.orchestrator.platform.plugins.module_utils._report_html import as_html
from ansible_collections.orchestrator.platform.plugins.module_utils._snapshot import Delivery, Usage, View
from hypothesis import given
from hypothesis import strategies as st

ROOT = Path(__file__).resolve().parents[2]
SCHEMA = json.loads((ROOT / "docs" / "report.schema.json").read_text("utf-8"))
HOSTILE = "<script>alert(1)</script>\"' onload=x &amp; \x00\x1b[31m"
VOID = {"meta", "input", "br", "rect", "link", "img"}


def cell(who: dict, secret: str, path: str, *, expected: bool, found: bool) -> dict:
    return {
        "subject": who,
        "secret": secret,
        "path": path,
        "via": path and f"{path} X",
        "expected": expected,
        "found": found,
    }


def report_of(view: View, *, checks=CHECKS, fail_on: str = "error", **changes) -> Report:
    found, complete = run_checks(checks, view)
    values = {
        "findings": list(worst_first(found)),
        "summary": summarise(found, complete=complete),
        "fail_on": fail_on,
        "suppressions": [],
        "matrix": [],
        "usage": uses(view),
        "delivery": arrivals(view),
        "about": {
            "time": "2026-11-22T08:00:00+00:00",
            "release": "discord-monitor",
            "monitor_namespace": "monitor",
            "agent_namespaces": ["agents"],
            "kubernetes": "v1.36.3",
        },
        "titles": {check.id: check.title for check in checks},
    }
    return Report(**{**values, **changes})


@pytest.fixture
def view(snapshot, expect) -> View:
    return View(snapshot, expect)


@pytest.fixture
def mixed(view) -> Report:
    """One of everything: failed, warned, skipped, suppressed, passed, a matrix that deviates, a line that was lost."""
    view.snapshot.delivery[("agents", "coder-2", "discord-watcher")] = Delivery(
        delivered=False, seconds=None, error="HTTP 404"
    )
    view.snapshot.unread[("secrets", "agents")] = "no permission to list secrets in agents"
    who = subject("Pod", "agents", "coder-1", "agent")

    def decide(_view, _namespace):
        return [failed(who, "bad"), warned(who, "hm"), failed(subject("Pod", "agents", "old"), "accepted"), passed(who)]

    one = CHECKS[0]._replace(decide=decide)
    report = report_of(view, checks=(one, *CHECKS[1:]))
    accepted = next(item for item in report.findings if item["evidence"] == "accepted")
    accepted["suppressed"] = {"reason": "soon gone", "expires": "2099-01-01"}
    matrix = [
        cell(subject("Deployment", "monitor", "bot", "bot"), "monitor/bot", "env", expected=True, found=True),
        cell(who, "monitor/bot", "volume", expected=False, found=True),
        cell(who, "agents/hook", "env", expected=True, found=False),
        cell(subject("Pod", "agents", "coder-1", "bridge"), "agents/hook", "", expected=False, found=False),
    ]
    row = {
        "id": one.id,
        "subject": "Pod agents/old",
        "reason": "soon gone",
        "expires": "2099-01-01",
        "place": "suppressions[0]",
        "state": "active",
        "findings": 1,
    }
    summary = summarise(report.findings, complete=False)
    return report._replace(matrix=matrix, suppressions=[row], summary=summary)


class Page(HTMLParser):
    """What a structural test asks of a page."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict]] = []
        self.open: list[str] = []
        self.blocks: dict[str, list[str]] = {}
        self.text = ""
        self.feed(text)
        self.close()

    def handle_starttag(self, tag, attrs):
        self.tags.append((tag, dict(attrs)))
        if tag not in VOID:
            self.open.append(tag)

    def handle_endtag(self, tag):
        if tag not in VOID:
            assert self.open.pop() == tag

    def handle_data(self, data):
        if self.open and self.open[-1] in ("script", "style"):
            self.blocks.setdefault(self.open[-1], []).append(data)
        else:
            self.text += data

    def with_class(self, name: str) -> int:
        return sum(name in (attrs.get("class") or "").split() for _tag, attrs in self.tags)


# -- JSON ----------------------------------------------------------------------------------------------------------


def test_json_has_the_published_schema(mixed):
    """findings.json of a run with one of everything is valid, and the schema itself is one (issue 5, item 5)."""
    jsonschema.Draft202012Validator.check_schema(SCHEMA)
    jsonschema.validate(json.loads(as_json(mixed)), SCHEMA)


@pytest.mark.parametrize(
    "spoil",
    [
        lambda document: document.pop("matrix"),
        lambda document: document["findings"][0].update(verdict="broken"),
        lambda document: document["findings"][0].update(id="No Id"),
        lambda document: document["summary"].pop("suppressed"),
        lambda document: document["findings"][0]["subject"].pop("container"),
    ],
)
def test_schema_refuses_another_shape(mixed, spoil):
    """The schema is one that can say no."""
    document = json.loads(as_json(mixed))
    spoil(document)
    with pytest.raises(jsonschema.ValidationError):
        jsonschema.validate(document, SCHEMA)


# -- all four ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("fail_on", ["error", "warning", "none"])
def test_all_prints_say_the_same_about_the_run(mixed, fail_on):
    """Whether the run failed, and by how much, is the same in JSON, JUnit and page for every fail_on (D13)."""
    report = mixed._replace(fail_on=fail_on)
    number = len(report.broken)
    assert (number > 0) is (fail_on != "none")
    assert json.loads(as_json(report))["failed"] is bool(number)
    junit = ET.fromstring(as_junit(report))
    assert (junit.get("failures"), len(junit.findall(".//failure"))) == (str(number), number)
    assert (Page(as_html(report)).with_class("verdict"), f"{number} finding" in as_html(report)) == (1, bool(number))


def test_a_suppressed_finding_keeps_its_verdict_and_fails_nothing(mixed):
    """It is skipped in JUnit, counted as suppressed, and shown with its reason in text and page."""
    (finding,) = [item for item in json.loads(as_json(mixed))["findings"] if "suppressed" in item]
    assert (finding["verdict"], mixed.summary["suppressed"]) == ("fail", 1)
    assert finding not in mixed.broken
    assert any(
        "suppressed until 2099-01-01" in item.get("message") for item in ET.fromstring(as_junit(mixed)).iter("skipped")
    )
    assert "SUPPRESSED  preflight/api-version" in text_lines(mixed)
    assert "soon gone" in Page(as_html(mixed)).text


def test_text_groups_by_check_worst_first(mixed):
    """Failures come first, each check once with its subjects and its hint once; no colour codes."""
    lines = text_lines(mixed)
    words = [line.split()[0] for line in lines if line[:4].strip() and not line.startswith(" ")]
    order = [word for word in words if word in ("FAIL", "WARN", "SKIP", "SUPPRESSED")]
    assert order == sorted(order, key=["FAIL", "WARN", "SKIP", "SUPPRESSED"].index)
    assert order[0] == "FAIL"
    assert len({line for line in lines if line.startswith("FAIL")}) == sum(line.startswith("FAIL") for line in lines)
    assert "\x1b" not in "\n".join(lines)


# -- the page ------------------------------------------------------------------------------------------------------


def test_page_needs_nothing_from_outside(mixed):
    """No element names an address, and the policy allows the two blocks that are in the page and nothing else."""
    page = Page(as_html(mixed))
    assert not page.open
    assert not [attrs for _tag, attrs in page.tags if {"src", "href", "srcset", "style", "action"} & set(attrs)]
    policy = next(
        attrs["content"] for _tag, attrs in page.tags if "Content-Security-Policy" in str(attrs.get("http-equiv"))
    )
    assert policy.startswith("default-src 'none'")
    for kind in ("script", "style"):
        (block,) = page.blocks[kind]
        digest = base64.b64encode(hashlib.sha256(block.encode()).digest()).decode()
        assert f"{kind}-src 'sha256-{digest}'" in policy
        assert "url(" not in block
        assert "@import" not in block


def test_deviations_are_told_without_colour(mixed):
    """What is expected, more and missing differs by sign and by the words beside the matrix."""
    page = Page(as_html(mixed))
    assert (page.with_class("more"), page.with_class("missing")) == (2, 2)  # one each, and the legend
    assert "1 more than expected, 1 expected and missing" in page.text
    assert "✖ volume" in page.text
    assert "○ env" in page.text
    assert page.text.index("✖ Pod agents/coder-1, container agent") < page.text.index(
        "Deployment monitor/bot, container bot"
    )


HEADLINES = [  # (what the summary is changed to, complete, the headline)
    ({}, True, "everything holds"),
    ({"failed": 2}, True, "2 failed, and the run was not to fail on that"),
    ({"failed": 1, "warned": 3}, False, "1 failed, and the run was not to fail on that, and the picture is incomplete"),
    ({"warned": 3}, True, "nothing failed, 3 warned"),
    ({"suppressed": 1}, True, "everything holds but for 1 suppressed"),
    ({"suppressed": 1}, False, "nothing failed, 1 suppressed, and the picture is incomplete"),
    ({}, False, "nothing failed, and the picture is incomplete"),
]


@pytest.mark.parametrize(("counts", "complete", "headline"), HEADLINES)
def test_headline_promises_no_more_than_the_summary(mixed, counts, complete, headline):
    """Issue 5.5: with fail_on none nothing fails the run, and yet not everything holds."""
    summary = {**mixed.summary, "failed": 0, "warned": 0, "suppressed": 0, **counts, "complete": complete}
    page = as_html(mixed._replace(fail_on="none", summary=summary))
    assert f"<title>Verification: {headline}</title>" in page
    assert f" {headline}</p>" in page


def test_headline_of_a_broken_run_says_incomplete_too(mixed):
    assert "findings fail the run, and the picture is incomplete" in as_html(mixed)


UNREAD = "no permission to list pods in agents"


def test_matrix_sentence_does_not_speak_for_what_was_not_read(mixed):
    """Issue 5.2: exactly the expected readers is only said of a matrix without gaps; the gaps are named."""
    fine = [row for row in mixed.matrix if row["expected"] == row["found"]]
    page = as_html(mixed._replace(matrix=fine, matrix_unread=[UNREAD]))
    assert "Exactly the expected readers" not in page
    assert "Nothing deviates in what could be read, and that is not everything." in page
    assert f"<li>{UNREAD}</li>" in page
    for rows in (mixed.matrix, []):
        assert f"<li>{UNREAD}</li>" in as_html(mixed._replace(matrix=rows, matrix_unread=[UNREAD]))


def test_text_commands_no_terminal(mixed):
    """D13: names of users and groups are any text; a line of the report stays that line."""
    who = subject("User", "", "\x1b[2J\u202eevil\nPASS  all")
    bad = {**mixed.findings[0], "subject": who, "evidence": "x\x07y"}
    lines = text_lines(mixed._replace(findings=[bad]))
    assert [line for line in lines if not line.isprintable()] == []
    assert any("evil PASS  all: x\ufffdy" in line for line in lines)


def test_a_matrix_as_expected_says_so(mixed):
    page = Page(as_html(mixed._replace(matrix=mixed.matrix[:1])))
    assert "Exactly the expected readers" in page.text
    assert page.with_class("more") == 1


def test_many_subjects_do_not_bury_what_deviates(mixed):
    """Issue 5.5: with 200 workloads the deviating subjects stand open, the others are folded, nothing is left out."""
    fine = [
        cell(subject("Deployment", "agents", f"c-{number:03}", "w"), "agents/hook", "env", expected=True, found=True)
        for number in range(200)
    ]
    page = as_html(mixed._replace(matrix=[*mixed.matrix, *fine]))
    before, folded = page.split("<summary>202 subjects as expected</summary>")
    assert "Pod agents/coder-1, container agent" in before
    assert "Deployment agents/c-" not in before
    assert all(f"Deployment agents/c-{number:03}" in folded for number in range(200))
    assert "<summary>" not in as_html(mixed)


def test_many_lines_of_one_finding_are_folded(mixed):
    """A check that 200 pods break is one card of a screen's height."""
    rows = [{**mixed.findings[0], "subject": subject("Pod", "agents", f"p-{number:03}")} for number in range(200)]
    page = as_html(mixed._replace(findings=rows))
    before, folded = page.split("<summary>and 176 more</summary>")
    assert "p-023" in before
    assert "p-024" not in before
    assert "p-199" in folded


def test_each_cell_says_which_secret_it_is_about(mixed):
    """On a phone a cell stands below its subject, without a head above it."""
    page = Page(as_html(mixed))
    secrets = [
        attributes.get("data-secret") for tag, attributes in page.tags if tag == "td" and "data-secret" in attributes
    ]
    assert set(secrets) == {"monitor/bot", "agents/hook"}
    assert "content:attr(data-secret)" in as_html(mixed)


def test_page_shows_use_and_latency(mixed):
    """Bars carry their figures as text; a line that was lost says why."""
    page = Page(as_html(mixed))
    assert "memory 15.0 MiB of 64 MiB (23%)" in page.text
    assert "delivered in 0.40 s" in page.text
    assert "not delivered: HTTP 404" in page.text


def test_use_near_and_over_the_limit_is_marked(view):
    place = ("agents", "coder-1", "discord-watcher")
    for used, sign in ((0.5, ""), (0.85, "▲ "), (1.2, "✖ ")):
        view.snapshot.usage = {place: Usage(int(used * 64 * 2**20), None)}
        assert f"{sign}memory {used * 64:.1f} MiB of 64 MiB" in Page(as_html(report_of(view, checks=()))).text


@given(text=st.one_of(st.just(HOSTILE), st.text()))
def test_hostile_names_stay_text(text):
    """Whatever a name, a reason or evidence holds, page and JUnit keep their structure."""
    who = subject("Pod", text, text, text)
    finding = {
        "id": "user/x",
        "severity": "error",
        "subject": who,
        "verdict": "fail",
        "evidence": text,
        "hint": text,
        "count": 1,
    }
    hidden = {**finding, "suppressed": {"reason": text, "expires": text}}
    row = {"id": text, "subject": text, "reason": text, "expires": text, "place": text, "state": text, "findings": 1}
    report = Report(
        findings=[finding, hidden],
        summary=summarise([finding, hidden], complete=True),
        fail_on="error",
        suppressions=[row],
        matrix=[cell(who, text, text, expected=False, found=True)],
        usage=[
            {
                "namespace": text,
                "pod": text,
                "container": text,
                "memory_bytes": 1,
                "memory_limit_bytes": None,
                "cpu_millicores": None,
                "cpu_limit_millicores": None,
            }
        ],
        delivery=[
            {"namespace": text, "pod": text, "container": text, "delivered": False, "seconds": None, "reason": text}
        ],
        about={"release": text},
        titles={"user/x": text},
    )
    page = Page(as_html(report))
    assert not page.open
    assert [tag for tag, _attrs in page.tags].count("script") == 1
    assert not [name for _tag, attrs in page.tags for name in attrs if name.startswith("on")]
    ET.fromstring(as_junit(report))
    json.loads(as_json(report))


# -- measures ------------------------------------------------------------------------------------------------------


def test_use_is_that_of_our_containers_alone(view):
    """The kubelet's summary speaks of every pod of the node; ours are shown, with their limits."""
    view.snapshot.usage[("kube-system", "coredns", "coredns")] = Usage(1, 1)
    view.snapshot.usage[("agents", "coder-1", "agent")] = Usage(1, 1)
    rows = {row["container"]: row for row in uses(view)}
    assert set(rows) == {"bot", "discord-watcher", "input-bridge"}
    assert rows["discord-watcher"]["memory_limit_bytes"] == 64 * 2**20
    assert rows["discord-watcher"]["cpu_limit_millicores"] == 100


# -- files ---------------------------------------------------------------------------------------------------------


def test_reports_are_written(mixed, tmp_path):
    names = [Path(path).name for path in write_reports(str(tmp_path / "new"), mixed)]
    assert names == ["findings.html", "findings.json", "findings.txt", "findings.xml"]
    assert write_reports(None, mixed) == []


def test_a_folder_that_cannot_be_made_is_one_sentence(mixed, tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(PlatformError, match="correct report_dir"):
        write_reports(str(tmp_path / "file"), mixed)

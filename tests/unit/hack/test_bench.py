# SPDX-License-Identifier: GPL-3.0-or-later
# SPDX-FileCopyrightText: 2026 The orchestrator.platform authors
"""How bench counts writes and prints figures: pure functions, no cluster (D5: idempotent means zero writes)."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

ROOT = Path(__file__).resolve().parents[3]
sys.path.insert(0, str(ROOT))

from bench import _measure, _writes, inject, linters, soak  # noqa: E402

METRICS = """\
# TYPE apiserver_request_total counter
apiserver_request_total{code="200",component="apiserver",dry_run="",group="apps",resource="deployments",scope="resource",subresource="",verb="APPLY",version="v1"} 4
apiserver_request_total{code="200",component="apiserver",dry_run="All",group="apps",resource="deployments",scope="resource",subresource="",verb="APPLY",version="v1"} 9
apiserver_request_total{code="409",component="apiserver",dry_run="",group="",resource="configmaps",scope="resource",subresource="",verb="PUT",version="v1"} 7
apiserver_request_total{code="200",component="apiserver",dry_run="",group="",resource="secrets",scope="namespace",subresource="",verb="LIST",version="v1"} 80
apiserver_request_total{code="201",component="apiserver",dry_run="",group="",resource="secrets",scope="resource",subresource="",verb="POST",version="v1"} 2
apiserver_request_total{code="201",component="apiserver",dry_run="",group="authorization.k8s.io",resource="selfsubjectaccessreviews",scope="resource",subresource="",verb="POST",version="v1"} 30
apiserver_request_total{code="200",component="apiserver",dry_run="",group="coordination.k8s.io",resource="leases",scope="resource",subresource="",verb="PUT",version="v1"} 1.5e+03
apiserver_request_total{code="201",component="apiserver",dry_run="",group="",resource="serviceaccounts",scope="resource",subresource="token",verb="POST",version="v1"} 5
apiserver_request_total{code="200",component="apiserver",dry_run="",group="apps",resource="deployments",scope="resource",subresource="status",verb="PUT",version="v1"} 6
"""


class Channel:
    """A fake Discord's channel: what arrived, by ordinal."""

    def __init__(self, *messages: str) -> None:
        self.messages = list(messages)

    def get(self, path: str) -> dict[str, object]:
        after = int(path.partition("after=")[2])
        found = [{"ordinal": n, "embeds": [{"description": text}]} for n, text in enumerate(self.messages, start=1)]
        return {"messages": [message for message in found if message["ordinal"] > after]}


def test_soak_counts_events_once_and_messages_that_come_again():
    """Issue 7.9: an event that is missing is seen, and so is a message of which any event was there before."""
    channel = Channel("soak-0-0. and soak-0-1.", "soak-1-0.", "soak-0-1. and soak-0-2.")
    tally = soak.Tally(channel)
    tally.collect()
    channel.messages.append("soak-1-0.")
    tally.collect()
    tally.collect()
    assert tally.seen == {(0, 0), (0, 1), (0, 2), (1, 0)}
    assert (tally.messages, tally.repeated) == (4, 2)


def test_soak_agents_write_what_is_counted(tmp_path):
    """Issue 7.9: the numbers that are waited for are those that the agents' program writes."""
    program = soak.AGENT.replace("time.sleep(1e9)", "")
    subprocess.run([sys.executable, "-c", program, tmp_path, "3", "20", "0"], check=True)
    text = (tmp_path / "projects" / "-w" / "s-3.jsonl").read_text(encoding="utf-8")
    assert soak.MARKER.findall(text) == [("3", str(number)) for number in range(20)]
    assert text.count('"is_error": true') == 1


def listed(**versions: str) -> str:
    items = [{"kind": "ConfigMap", "metadata": {"name": name, "namespace": "n", "uid": "u", "resourceVersion": version}}
             for name, version in versions.items()]  # fmt: skip
    return json.dumps({"items": items})


def test_only_accepted_writes_are_requests_that_count():
    """Dry runs, refused requests, reviews, tokens, reads, leases and what controllers report are none."""
    assert _writes.requests(METRICS) == {"APPLY apps/deployments/": 4, "POST /secrets/": 2}


@pytest.mark.parametrize(("after", "keys"), [
    (listed(a="1", b="2"), set()),
    (listed(a="1", b="3"), {"ConfigMap/n/b"}),
    (listed(a="1"), {"ConfigMap/n/b"}),
    (listed(a="1", b="2", c="1"), {"ConfigMap/n/c"}),
    (listed(a="1", b="2").replace('"u"', '"other"', 1), {"ConfigMap/n/a"}),
], ids=["nothing", "changed", "gone", "new", "made-anew"])  # fmt: skip
def test_every_kind_of_change_is_seen(after, keys):
    before = _writes.versions(listed(a="1", b="2"))
    assert _writes.changed(before, _writes.versions(after)) == keys


def test_a_single_object_comes_without_a_list():
    one = json.loads(listed(a="7"))["items"][0]
    assert _writes.versions(json.dumps(one)) == {"ConfigMap/n/a": "u 7"}
    assert _writes.versions("") == {}


def test_idle_writes_are_taken_off_and_never_more():
    busy = _writes.difference({"PUT a": 1}, {"PUT a": 4, "PUT b": 2, "PUT c": 0})
    assert busy == {"PUT a": 3, "PUT b": 2}
    assert _writes.above_idle(busy, {"PUT a": 5, "PUT b": 1}) == {"PUT b": 1}


def test_patches_are_not_what_was_made():
    """A patch that changes nothing is a request and no write; what is created and deleted within a run is seen here."""
    assert _writes.made({"PATCH /secrets/": 2, "PUT /secrets/": 1, "POST /secrets/": 1, "DELETE /secrets/": 1}) == 2


def test_revisions_of_all_releases_are_summed():
    assert _writes.revisions('[{"name": "a", "revision": "3"}, {"name": "b", "revision": "1"}]') == 4
    assert _writes.revisions("[]") == 0


def test_results_have_the_agreed_shape():
    """The file for programs: key, ours, peer, limit, unit."""
    figures = [_measure.Figure("site_second_s", 4.2, 2.6, 10), _measure.Figure("writes", 0, None, 0, "count")]
    assert json.loads(_measure.as_json(figures)) == {
        "site_second_s": {"ours": 4.2, "peer": 2.6, "limit": 10, "unit": "s"},
        "writes": {"ours": 0, "peer": None, "limit": 0, "unit": "count"},
    }


def test_table_shows_every_figure_on_a_line_of_its_own():
    lines = _measure.table(
        [_measure.Figure("a_s", 1.5, 2, 10), _measure.Figure("b", 0, None, None, "count")]
    ).splitlines()
    assert [line.split() for line in lines[1:]] == [["a_s", "1.5", "2", "10", "s"], ["b", "0", "-", "-", "count"]]
    assert len({len(line.rstrip()) for line in lines}) <= 3


def test_median_is_the_middle_one():
    assert _measure.median([9.0, 1.0, 2.004]) == 2.0


def test_a_measured_process_does_not_see_the_users_cluster(monkeypatch):
    """An exported KUBECONFIG must not decide what is measured, or written to."""
    for name in _measure.FOREIGN:
        monkeypatch.setenv(name, "theirs")
    assert "theirs" not in _measure.environment().values()


def test_a_failed_command_says_what_it_said_last():
    with pytest.raises(_measure.BenchError, match="no such thing"):
        _measure.call([sys.executable, "-c", "import sys; sys.exit('no such thing')"], env=_measure.environment())


def test_an_unknown_bench_is_refused_with_the_list():
    done = subprocess.run(
        [sys.executable, ROOT / "bench" / "run.py", "nothing"], capture_output=True, text=True, check=False
    )
    assert done.returncode == 2
    assert "there is no bench nothing: choose from demo, inject, linters, orchestrator, site, soak" in done.stderr


def test_a_kubeconfig_that_is_none_is_refused(tmp_path):
    """Nothing is started in its place."""
    argv = [sys.executable, ROOT / "bench" / "site.py", "--kubeconfig", tmp_path / "none"]
    done = subprocess.run(argv, capture_output=True, text=True, check=False)
    assert done.returncode == 1
    assert "is not a file" in done.stderr


def usage(seconds: float, rss_mb: float = 50.0) -> _measure.Usage:
    return _measure.Usage(seconds, rss_mb, "")


def test_loop_is_extrapolated_from_its_mean_item():
    """An empty playbook is paid once, each item anew."""
    peer = inject.Peer(empty=1.0, item=0.9, loop=usage(19.0), requests=2, raw={200: 1.5})
    assert peer.extrapolated(200) == 181.0


def test_figures_of_an_injection_bear_the_agreed_keys_and_limits():
    peer = inject.Peer(empty=1.0, item=0.9, loop=usage(19.0, 61.0), requests=2, raw={200: 1.5, 1000: 7.0})
    samples = [inject.Sample(usage(each), usage(2.0, 64.0), 201) for each in (3.0, 9.0, 3.5)]
    rows = {row.key: row for row in inject.figures_of(200, samples, peer)}
    assert rows["inject_200_s"] == ("inject_200_s", 3.5, 181.0, 4.0, "s")
    assert rows["inject_200_speedup"] == ("inject_200_speedup", 51.7, None, 40, "times")
    assert rows["inject_200_raw_s"].peer == 2.5
    assert rows["inject_200_rss_mb"][1:3] == (64.0, 61.0)
    assert inject.figures_of(1000, samples, peer)[0].limit == 12.0


def test_usage_is_that_of_the_whole_process():
    """Of the memory the largest child counts too: a module is a child of its playbook."""
    child = "x = bytearray(60 * 2**20); print(len(x))"
    argv = [
        sys.executable,
        "-c",
        f"import subprocess, sys; subprocess.run([sys.executable, '-c', {child!r}], check=True)",
    ]
    taken = _measure.usage(argv, env=_measure.environment())
    assert taken.rss_mb > 60
    assert taken.seconds > 0
    with pytest.raises(_measure.BenchError, match="no such thing"):
        _measure.usage([sys.executable, "-c", "import sys; sys.exit('no such thing')"], env=_measure.environment())


RENDERED = ROOT / "tests" / "charts" / "golden" / "discord-monitor" / "bridge-without-fifo.yaml"


@pytest.fixture(scope="module")
def rendered() -> list[dict]:
    return [item for item in yaml.safe_load_all(RENDERED.read_text(encoding="utf-8")) if item]


@pytest.mark.parametrize(
    "name", ["secret-scope/env-ref", "probes/watcher-liveness", "rbac/exec", "chart/release-labels"]
)
def test_ours_finds_in_manifests_exactly_what_is_planted(name, rendered):
    """The column of ours in the comparison with linters: judged like theirs, and by its own check (issue 5.11)."""
    good = linters.ours(linters.manifests(linters.GOOD["good"], rendered))
    found = linters.ours(linters.manifests(linters.FAULTS[name], rendered))
    assert {row[0] for row in found - good} == {name}


def test_a_linter_finds_what_it_does_not_say_of_the_good_state():
    """What is said of the good state too is noise."""
    noise = {("a",)}
    found = {"good": noise, "x/one": {("a",), ("b",)}, "x/two": {("a",)}, "x/three": set()}
    assert linters.compare(found) == {"x/one": True, "x/two": False, "x/three": False}


def test_faults_that_no_manifest_holds_are_not_held_against_linters():
    chosen = {name for name, fault in linters.FAULTS.items() if linters.in_manifests(name, fault)}
    assert "probes/answers" not in chosen  # a running pod
    assert "report/suppression-unused" not in chosen  # an option of the run
    assert "secret-scope/env-ref" in chosen

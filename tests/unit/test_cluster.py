# SPDX-License-Identifier: GPL-3.0-or-later
# SPDX-FileCopyrightText: 2026 The orchestrator.platform authors
"""The transport against a small HTTP server: pages, retries, errors, apply, watch."""

from __future__ import annotations

import json
import socket
import threading
import time

import pytest
from ansible_collections.orchestrator.platform.plugins.module_utils import _cluster
from ansible_collections.orchestrator.platform.plugins.module_utils._errors import (
    ApiError,
    ClusterError,
    PlatformError,
    UnreachableError,
)

from .loopback import Ended, cluster_at


def test_list_follows_every_page(server):
    server.say(
        "/x",
        (200, {"items": [{"n": 1}], "metadata": {"continue": "t"}}),
        (200, {"items": [{"n": 2}], "metadata": {"resourceVersion": "9"}}),
    )
    assert cluster_at(server.url).items("/x", labelSelector="a=b") == ([{"n": 1}, {"n": 2}], "9")
    assert [call[2].get("continue") for call in server.seen] == [None, ["t"]]
    assert server.seen[1][2]["labelSelector"] == ["a=b"]


def page(number: int, token: str = "") -> tuple:
    return (200, {"items": [{"n": number}], "metadata": {"continue": token}})


def test_list_whose_token_has_expired_is_begun_anew(server):
    """5,000 pods take longer to page through than etcd keeps the revision, when the server is slow."""
    server.say(
        "/x", page(1, "t"), (410, {"message": "The provided continue parameter is too old"}), page(1, "u"), page(2)
    )
    assert [item["n"] for item in cluster_at(server.url).items("/x")[0]] == [1, 2]
    assert [call[2].get("continue") for call in server.seen] == [None, ["t"], None, ["u"]]


def test_list_that_always_expires_is_at_last_asked_for_in_one_piece(server):
    gone = (410, {"message": "too old"})
    server.say("/x", page(1, "t"), gone, page(1, "t"), gone, page(7))
    assert [item["n"] for item in cluster_at(server.url).items("/x")[0]] == [7]
    assert "limit" not in server.seen[-1][2]


def test_410_in_one_piece_is_an_error(server):
    server.say("/x", (410, {"message": "too old"}))
    with pytest.raises(ApiError, match="too old"):
        cluster_at(server.url).items("/x")
    assert len(server.seen) == 3


def test_post_sends_json(server):
    server.say("/x", (201, {"status": {"allowed": True}}))
    assert cluster_at(server.url).post("/x", {"a": 1}) == {"status": {"allowed": True}}
    method, _path, _query, headers, body = server.seen[0]
    assert (method, headers["Content-Type"], json.loads(body)) == ("POST", "application/json", {"a": 1})


def test_after_the_time_limit_nothing_is_sent(server):
    server.say("/x", (200, {}))
    cluster = cluster_at(server.url, options={"limit_s": 0.001})
    cluster._deadline = 0.0  # the clock began long before
    with pytest.raises(ClusterError, match=r"the time limit of 0\.001 s is over"):
        cluster.get("/x")
    assert server.seen == []


def test_server_that_never_answers_is_left_at_the_time_limit():
    """A listener that accepts and says nothing: one error, and no test that hangs."""
    with socket.create_server(("127.0.0.1", 0)) as silent:
        url = f"http://127.0.0.1:{silent.getsockname()[1]}"
        with pytest.raises(ClusterError, match=r"did not answer within|the time limit of 1 s is over"):
            cluster_at(url, options={"limit_s": 1.0}).get("/x")


def test_both_tries_end_within_the_time_limit():
    """A read is tried twice, so each may take half of what is left; without a limit a minute."""
    limited, patient = cluster_at("http://192.0.2.1", options={"limit_s": 60.0}), cluster_at("http://192.0.2.1")
    assert limited._timeout(None).read_timeout <= 30.0 < patient._timeout(None).read_timeout
    assert limited._timeout(5.0).read_timeout == 5.0
    assert limited._retries(retry=True).read == 1


HALF = (200, '{"items": [', {"Content-Length": "500", "Connection": "close"})
WHOLE = (200, '{"items": [{"n": 1}], "metadata": {}}', {})


@pytest.mark.parametrize("cut", [None, HALF], ids=["without a word", "in the middle"])
def test_a_connection_that_breaks_is_tried_again(server, cut):
    """Issue 5, bad input: the API server, or a proxy before it, hangs up once."""
    server.answers["/x"] = [cut, WHOLE]
    cluster = cluster_at(server.url)
    assert cluster.items("/x")[0] == [{"n": 1}]
    assert (len(server.seen), cluster.calls) == (2, 1)


@pytest.mark.parametrize("cut", [None, HALF], ids=["without a word", "in the middle"])
@pytest.mark.parametrize(("options", "tries"), [({}, 1 + _cluster.RETRIES), ({"limit_s": 60.0}, 2)])
def test_a_connection_that_always_breaks_is_one_sentence(server, cut, options, tries):
    """Bounded tries, and no half of an answer is taken for the whole."""
    server.answers["/x"] = [cut]
    with pytest.raises(UnreachableError, match=r"The API server http://127\.0\.0\.1:\d+ cannot be reached"):
        cluster_at(server.url, options=options).items("/x")
    assert len(server.seen) == tries


def test_a_list_that_breaks_on_a_later_page_is_not_half_a_list(server):
    server.answers["/x"] = [(200, json.dumps(page(1, "t")[1]), {}), HALF]
    with pytest.raises(UnreachableError):
        cluster_at(server.url).items("/x")


def test_hasty_does_not_try_again(server):
    """The preflight's patience."""
    server.say("/x", (503, {"message": "later"}))
    with pytest.raises(ApiError, match="later"):
        cluster_at(server.url, options={"patience": _cluster.HASTY}).get("/x")
    assert len(server.seen) == 1


def test_clock_skew_comes_from_the_first_dated_answer(server):
    server.say("/x", (200, {}))
    cluster = cluster_at(server.url)
    assert cluster.clock_skew_s is None
    cluster.get("/x")
    first = cluster.clock_skew_s
    cluster.get("/x")
    assert first is not None
    assert abs(first) < 60  # the same machine
    assert cluster.clock_skew_s == first


def test_clock_skew_is_the_servers_time_less_ours():
    assert _cluster._skew("Sun, 06 Nov 1994 08:49:37 GMT", 784111777.0 + 5) == -5


@pytest.mark.parametrize("date", [None, "", "yesterday", "Sun, 99 Foo 1994"])
def test_answer_without_a_date_has_no_skew(date):
    assert _cluster._skew(date, 0.0) is None


def test_credentials_travel_in_the_header(server):
    server.say("/x", (200, {}))
    cluster_at(server.url).get("/x")
    headers = {name.lower(): value for name, value in server.seen[0][3].items()}
    assert headers["authorization"] == "Bearer bearer-canary"


def test_impersonation_is_kept(server):
    server.say("/x", (200, {}))
    cluster_at(server.url, impersonate_user="jane").get("/x")
    assert server.seen[0][3]["Impersonate-User"] == "jane"


def test_apply_is_server_side_and_never_forced(server):
    """D1."""
    server.say("/x", (200, {"metadata": {}}))
    cluster_at(server.url).apply("/x", b'{"a": 1}', manager="orchestrator.platform", dry_run=True, whole=False)
    method, _path, query, headers, body = server.seen[0]
    assert (method, json.loads(body)) == ("PATCH", {"a": 1})
    assert query == {"fieldManager": ["orchestrator.platform"], "dryRun": ["All"]}
    assert headers["Content-Type"] == "application/apply-patch+yaml"


def test_busy_server_is_asked_again(server):
    server.say("/x", (429, {}, {"Retry-After": "0"}), (503, {}), (200, {"ok": True}))
    assert cluster_at(server.url).get("/x") == {"ok": True}
    assert len(server.seen) == 3


def test_server_that_stays_busy_is_an_error(server):
    server.say("/x", (429, {"message": "slow down"}, {"Retry-After": "0"}))
    with pytest.raises(ApiError, match="slow down"):
        cluster_at(server.url).get("/x")
    assert len(server.seen) == 4


@pytest.mark.parametrize(
    ("status", "body"), [(403, {"message": "no"}), (409, {"message": "no", "details": {}}), (500, {"message": "no"})]
)
def test_status_becomes_an_error_with_the_servers_text(server, status, body):
    server.say("/x", (status, body))
    with pytest.raises(ApiError) as caught:
        cluster_at(server.url).get("/x")
    assert (caught.value.status, str(caught.value), caught.value.body) == (status, "no", body)


def test_absent_object_is_none(server):
    server.say("/x", (404, {"message": "not found"}))
    assert cluster_at(server.url).find("/x") is None


def test_refused_credentials_name_the_remedy(server):
    server.say("/x", (401, {"message": "Unauthorized"}))
    with pytest.raises(ApiError, match="check kubeconfig, context or token"):
        cluster_at(server.url).get("/x")


def test_unreachable_server_is_one_sentence(server):
    server.http.shutdown()
    server.http.server_close()
    with pytest.raises(ClusterError, match="refuses connections: nothing listens there") as caught:
        cluster_at(server.url).get("/x")
    assert "bearer-canary" not in str(caught.value)


@pytest.mark.parametrize("text", ["<html>", "[1"])
def test_answer_that_is_not_json_is_an_error(server, text):
    server.answers["/x"] = [(200, text, {})]
    with pytest.raises(ClusterError, match="not JSON"):
        cluster_at(server.url).get("/x")


def test_missing_kubeconfig_names_it(tmp_path):
    with pytest.raises(ClusterError, match="check kubeconfig and context"):
        cluster_at("", host=None, api_key=None, kubeconfig=str(tmp_path / "nope"))


def test_results_keep_the_order_of_the_items(server):
    for number in range(20):
        server.say(f"/{number}", (200, {"n": number}))
    cluster = cluster_at(server.url)
    assert [item["n"] for item in cluster.each(lambda number: cluster.get(f"/{number}"), range(20))] == list(range(20))
    assert cluster.calls == 20


def test_proxied_answer_is_returned_whatever_its_status(server):
    server.answers["/p"] = [(503, "delivery fails", {})]
    assert cluster_at(server.url).read_text("/p") == (503, "delivery fails")


LIST = json.dumps({"items": [{"n": 1}], "metadata": {"resourceVersion": "5"}})
BROKEN = "not JSON"  # as from a proxy in between: a plain ClusterError


@pytest.mark.parametrize("refused", [(500, BROKEN, {}), (200, BROKEN, {})], ids=["ApiError", "ClusterError"])
def test_follow_outlives_a_list_that_fails_later(refused, server, monkeypatch):
    """The API server restarts during a rollout: that is no failure of the rollout."""
    monkeypatch.setattr(_cluster, "MIN_ROUND_S", 0.01)
    server.answers["/x"] = [(200, LIST, {}), (200, "", {}), refused, (200, LIST, {})]
    seen, stop = [], threading.Event()

    def deliver(event: str, _item: dict) -> None:
        seen.append(event)
        if len(seen) == 2:
            stop.set()

    cluster_at(server.url).follow("/x", deliver, stop)
    assert seen == ["ADDED", "ADDED"]


def test_follow_outlives_a_watch_that_cannot_be_begun(server, monkeypatch):
    monkeypatch.setattr(_cluster, "MIN_ROUND_S", 0.01)
    server.answers["/x"] = [(200, LIST, {})]
    stop, rounds = threading.Event(), []
    cluster = cluster_at(server.url)

    def broken(*_args):
        rounds.append(1)
        if len(rounds) == 2:
            stop.set()
        raise ClusterError("gave no answer")

    monkeypatch.setattr(cluster, "_watch", broken)
    cluster.follow("/x", lambda *_a: None, stop)
    assert len(rounds) == 2


def test_follow_gives_up_where_the_first_list_fails(server):
    server.answers["/x"] = [(200, BROKEN, {})]
    with pytest.raises(ClusterError, match="not JSON"):
        cluster_at(server.url).follow("/x", lambda *_a: None, threading.Event())


class Pace(threading.Event):
    """An event that ends after three waits and remembers how long they were asked to be."""

    def __init__(self) -> None:
        super().__init__()
        self.waits: list[float] = []

    def wait(self, timeout=None):
        self.waits.append(timeout)
        if len(self.waits) == 3:
            self.set()
        return self.is_set()


def test_watches_that_end_at_once_are_paced(server):
    """Some proxies close a watch at once: without a pace that is a storm of lists."""
    server.answers["/x"] = [
        (200, LIST, {}),
        (200, "", {}),
        (200, LIST, {}),
        (200, "", {}),
        (200, LIST, {}),
        (200, "", {}),
    ]
    pace, lists = Pace(), []

    def deliver(*_event) -> None:
        lists.append(1)
        if len(lists) > 5:  # without a pace nothing else would end it
            pace.set()

    cluster_at(server.url).follow("/x", deliver, pace)
    assert len(lists) == len(pace.waits) == 3
    assert all(0 < wait <= _cluster.MIN_ROUND_S for wait in pace.waits)


def test_follow_lists_then_watches_then_lists_again(server, monkeypatch):
    events = [
        {"type": "MODIFIED", "object": {"n": 2}},
        {"type": "ERROR", "object": {"code": 410}},
        {"type": "MODIFIED", "object": {"n": "after the error"}},
    ]
    stream = "".join(json.dumps(event) + "\n" for event in events)
    first = json.dumps({"items": [{"n": 1}], "metadata": {"resourceVersion": "5"}})
    again = json.dumps({"items": [{"n": 3}], "metadata": {}})
    server.answers["/x"] = [(200, first, {}), (200, stream, {}), (200, again, {})]
    monkeypatch.setattr(_cluster, "MIN_ROUND_S", 0.01)
    seen, stop = [], threading.Event()

    def deliver(event: str, item: dict) -> None:
        seen.append((event, item["n"]))
        if item["n"] == 3:
            stop.set()

    cluster_at(server.url).follow("/x", deliver, stop)
    assert seen == [("ADDED", 1), ("MODIFIED", 2), ("ADDED", 3)]
    assert server.seen[1][2]["resourceVersion"] == ["5"]


def listed(*pods: tuple[str, str], token: str = "") -> tuple[int, str, dict]:
    """A list, or a page of one, with these (name, uid)."""
    items = [{"metadata": {"name": name, "uid": uid}, "status": {}} for name, uid in pods]
    return (200, json.dumps({"items": items, "metadata": {"resourceVersion": "5", "continue": token}}), {})


@pytest.mark.parametrize(
    ("later", "told"),
    [
        ([listed(("b", "2"), ("c", "3"))], [("ADDED", "b", "2"), ("ADDED", "c", "3"), ("DELETED", "a", "1")]),
        (
            [listed(("a", "9"), ("b", "2"), ("c", "3"))],
            [("DELETED", "a", "1"), ("ADDED", "a", "9"), ("ADDED", "b", "2"), ("ADDED", "c", "3")],
        ),
        (
            [listed(("b", "2"), token="t"), (400, "{}", {}), listed(("a", "1"), ("c", "3"))],
            [("ADDED", "b", "2"), ("ADDED", "a", "1"), ("ADDED", "c", "3"), ("DELETED", "b", "2")],
        ),
    ],
    ids=["gone", "another of its name", "half a list tells of none"],
)
def test_what_a_new_list_lacks_is_told_as_deleted(server, monkeypatch, later, told):
    """Its own event fell between two watches, and nobody would ever hear of it."""
    monkeypatch.setattr(_cluster, "MIN_ROUND_S", 0.01)
    end = (200, json.dumps({"type": "DELETED", "object": {"metadata": {"name": "e", "uid": "5"}}}) + "\n", {})
    server.answers["/x"] = [listed(("a", "1"), ("b", "2")), end, *later, (200, "", {})]
    seen, stop = [], threading.Event()

    def deliver(event: str, item: dict) -> None:
        seen.append((event, item["metadata"]["name"], item["metadata"]["uid"]))
        if len(seen) == 3 + len(told):
            stop.set()

    thread = threading.Thread(target=cluster_at(server.url).follow, args=("/x", deliver, stop), daemon=True)
    thread.start()
    assert stop.wait(20), seen
    assert seen == [("ADDED", "a", "1"), ("ADDED", "b", "2"), ("DELETED", "e", "5"), *told]


def test_refused_watch_is_told_once_and_lists_become_rare(server):
    """Listing is permitted and watching is not: else a list a second for the whole wait."""
    server.answers["/x"] = [(200, LIST, {}), (403, json.dumps({"message": "watch is forbidden"}), {})] * 3
    pace, told = Pace(), []
    cluster_at(server.url).follow("/x", lambda *_event: None, pace, refused=told.append)
    assert told == ["watch is forbidden"]
    assert pace.waits[0] <= _cluster.MIN_ROUND_S
    assert all(_cluster.MIN_ROUND_S < wait <= _cluster.REFUSED_ROUND_S for wait in pace.waits[1:])


@pytest.mark.parametrize("status", [403, 500, 503])
def test_refused_command_keeps_the_status_of_the_handshake(server, status):
    """kubernetes.stream hides it: whether a permission is missing would be unknown."""
    server.say("/api/v1/namespaces/n/pods/p/exec", (status, {"kind": "Status"}))
    with pytest.raises(ApiError, match=f"n/p/c: HTTP {status}") as caught:
        cluster_at(server.url).run_in("n", "p", "c", ["true"], timeout_s=5.0)
    assert caught.value.status == status


def test_command_on_an_unreachable_server_is_one_sentence(server):
    server.http.shutdown()
    server.http.server_close()
    with pytest.raises(ClusterError, match="n/p/c: ") as caught:
        cluster_at(server.url).run_in("n", "p", "c", ["true"], timeout_s=5.0)
    assert not isinstance(caught.value, ApiError)


EXEC = "/api/v1/namespaces/n/pods/p/exec"


@pytest.mark.parametrize("code", [0, 3])
def test_command_tells_how_it_ended(server, code):
    """Else the cases below would prove nothing."""
    server.say(EXEC, Ended(code, "so it was"))
    assert cluster_at(server.url).run_in("n", "p", "c", ["true"], timeout_s=5.0) == (code, "", "so it was")


@pytest.fixture
def silent():
    """The URL of a server that accepts connections and says nothing, and its listening socket."""
    with socket.create_server(("127.0.0.1", 0)) as listening:
        yield f"http://127.0.0.1:{listening.getsockname()[1]}", listening


def in_time(function, seconds: float):
    """What a function raised; fails where it has not ended, since a test may not hang either."""
    raised = []

    def attempt() -> None:
        try:
            function()
        except PlatformError as exc:
            raised.append(exc)

    thread = threading.Thread(target=attempt, daemon=True)
    thread.start()
    thread.join(seconds)
    assert not thread.is_alive(), f"it took longer than {seconds} s"
    return raised[0]


@pytest.mark.parametrize(("timeout_s", "limit_s"), [(0.5, None), (600.0, 0.5)], ids=["its own", "of everything"])
def test_command_on_a_silent_server_ends_in_time(silent, timeout_s, limit_s):
    """The websocket client connects without any timeout."""
    cluster = cluster_at(silent[0], options={"limit_s": limit_s})
    raised = in_time(lambda: cluster.run_in("n", "p", "c", ["true"], timeout_s=timeout_s), 20.0)
    assert type(raised) is ClusterError
    assert str(raised).startswith("The command could not be run in n/p/c: the API server did not answer within 0.")
    left = [thread for thread in threading.enumerate() if thread.name == "open-channel"]
    assert all(thread.daemon for thread in left), "a module must be able to end"


def test_half_an_answer_to_a_command_ends_in_time(server):
    """The handshake is done, and then the server stops in the middle of a frame."""
    server.say(EXEC, Ended(1, "a long text", cut=5))
    raised = in_time(lambda: cluster_at(server.url).run_in("n", "p", "c", ["true"], timeout_s=0.5), 20.0)
    assert type(raised) is ClusterError


def test_a_channel_that_opens_too_late_is_closed():
    """Nobody would read from it any more."""
    closed, may_open = threading.Event(), threading.Event()

    class Channel:
        def close(self) -> None:
            closed.set()

    def connect() -> Channel:
        may_open.wait(20)
        return Channel()

    with pytest.raises(TimeoutError):
        _cluster._within(0.1, connect)
    assert not closed.is_set()
    may_open.set()
    assert closed.wait(20)


def test_a_broken_command_is_not_given_the_status_of_an_earlier_refusal(server):
    """Refused once, begun anew while that is handled, and then the connection breaks: something may have run."""
    server.say(EXEC, (503, {}), Ended(None))
    cluster = cluster_at(server.url)

    def twice() -> None:
        try:
            cluster.run_in("n", "p", "c", ["true"], timeout_s=5.0)
        except ApiError:
            cluster.run_in("n", "p", "c", ["true"], timeout_s=5.0)

    with pytest.raises(ClusterError, match="n/p/c: ") as caught:
        twice()
    assert type(caught.value) is ClusterError


def test_the_connection_pool_outlives_a_command_without_an_answer(server):
    """A command has a connection of its own: other requests go on."""
    server.say("/x", (200, {"n": 1}))
    server.say(EXEC, Ended(0, "text", cut=0))
    cluster = cluster_at(server.url)
    began = time.monotonic()
    assert cluster.run_in("n", "p", "c", ["true"], timeout_s=0.3).code is None
    assert time.monotonic() - began < 20
    assert cluster.get("/x") == {"n": 1}


def test_delete_names_the_very_object(server):
    """D1: nothing is deleted that was not looked at."""
    server.say("/x", (200, {}))
    cluster_at(server.url).delete("/x", uid="u", version="7")
    method, _path, query, _headers, body = server.seen[0]
    sent = json.loads(body)
    assert (method, query) == ("DELETE", {})
    assert sent["preconditions"] == {"uid": "u", "resourceVersion": "7"}
    assert sent["propagationPolicy"] == "Background"
    assert "dryRun" not in sent


def test_dry_run_of_a_deletion_stands_in_its_body(server):
    """D5: the API server looks at no query where there is a body; in a query alone it would delete."""
    server.say("/x", (200, {}))
    cluster_at(server.url).delete("/x", uid="u", version="7", dry_run=True)
    assert json.loads(server.seen[0][4])["dryRun"] == ["All"]


def test_create_bears_our_name(server):
    server.say("/x", (201, {"metadata": {"uid": "u"}}))
    assert cluster_at(server.url).create("/x", b"{}", manager="orchestrator.platform", dry_run=False)["metadata"]
    method, _path, query, headers, _body = server.seen[0]
    assert (method, query) == ("POST", {"fieldManager": ["orchestrator.platform"]})
    assert headers["Content-Type"] == "application/json"


def test_follow_after_a_list_only_watches(server, monkeypatch):
    stream = json.dumps({"type": "MODIFIED", "object": {"n": 1}}) + "\n"
    server.answers["/x"] = [(200, stream, {}), (200, LIST, {}), (200, "", {})]
    monkeypatch.setattr(_cluster, "MIN_ROUND_S", 0.01)
    seen, stop = [], threading.Event()

    def deliver(event: str, _item: dict) -> None:
        seen.append(event)
        if event == "ADDED":
            stop.set()

    cluster_at(server.url).follow("/x", deliver, stop, since="3")
    assert seen == ["MODIFIED", "ADDED"]
    assert server.seen[0][2]["resourceVersion"] == ["3"]

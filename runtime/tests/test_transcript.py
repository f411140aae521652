# SPDX-License-Identifier: GPL-3.0-or-later
# SPDX-FileCopyrightText: 2026 The orchestrator.platform authors
"""Finding transcripts and cutting them into lines (DM-191..193, DM-A19, DM-A33)."""

from __future__ import annotations

import os
import time
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from discord_monitor import rows as splitting
from discord_monitor import transcript
from discord_monitor.cursor import Place, Remembered, SeenTable, Store, fingerprint, outage_limit_s
from discord_monitor.rows import RowSplitter
from discord_monitor.stats import Stats
from discord_monitor.transcript import Transcripts, candidate_roots


def follow(workspace, *, home="/nowhere", places=None, started=0.0, lookback_s=3600.0):
    roots = tuple(candidate_roots(str(workspace), home=str(home), config_dir=""))
    return Transcripts(
        roots, places=places or {}, started=started, lookback_s=lookback_s, probe_path="/nowhere/p", is_dull=never
    )


def never(_row):
    return False


def write(path: Path, text: str = "{}\n") -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)
    return path


def names(transcripts):
    return {Path(source.path).name for source in transcripts.changed()}


@given(
    st.lists(st.binary(min_size=1, max_size=9).filter(lambda b: b.strip() and b"\n" not in b), max_size=9), st.data()
)
def test_lines_are_the_same_however_they_are_cut(lines, data):
    """Any cut into chunks gives the same lines at the same places; an unfinished one is kept back."""
    stream = b"".join(line + b"\n" for line in lines) + b"rest"
    splitter, rows, at = RowSplitter(0, never), [], 0
    while at < len(stream):
        step = data.draw(st.integers(1, 12))
        rows += splitter.feed(stream[at : at + step])
        at += step
    assert [row.data for row in rows] == lines
    assert all(stream[row.start : row.end] == row.data + b"\n" for row in rows)
    assert splitter.unfinished().data == b"rest"


def test_oversize_line_takes_bounded_memory(monkeypatch):
    monkeypatch.setattr(splitting, "MAX_ROW_BYTES", 100)
    monkeypatch.setattr(splitting, "HEAD_BYTES", 10)
    splitter = RowSplitter(5, never)
    rows = [row for _ in range(50) for row in splitter.feed(b"0123456789" * 3)]
    rows += splitter.feed(b"end\nnext\n")
    assert [(row.start, row.end, row.data, row.oversize) for row in rows] == [
        (5, 5 + 1504, b"0123456789", True),
        (1509, 1514, b"next", False),
    ]


@pytest.mark.parametrize(
    ("workspace", "file"),
    [
        ("ws", "ws/.claude/projects/-p/s.jsonl"),
        ("ws/.claude", "ws/.claude/projects/-p/s.jsonl"),
        ("ws/.claude/projects", "ws/.claude/projects/-p/s.jsonl"),
        ("ws/.claude/projects/-p", "ws/.claude/projects/-p/s.jsonl"),
        ("flat", "flat/s.jsonl"),
        ("empty", "home/.claude/projects/-p/s.jsonl"),
        ("ws", "ws/.claude/projects/-p/s/subagents/agent-1.jsonl"),
        ("ws", "ws/.claude/projects/-p/s/subagents/workflows/wf-1/agent-1.jsonl"),
    ],
)
def test_workspace_path_is_resolved(tmp_path, workspace, file):
    """DM-A19: a tree of .claude/projects, transcripts in the folder itself, else the home's projects folder."""
    (tmp_path / workspace).mkdir(parents=True)
    transcripts = follow(tmp_path / workspace, home=tmp_path / "home")
    assert transcripts.changed() == []
    assert transcripts.waiting
    write(tmp_path / file)
    transcripts.changed(whole_tree=True)
    assert names(transcripts) == {Path(file).name}
    assert not transcripts.waiting


def test_a_repository_beside_a_transcript_is_not_walked(tmp_path):
    """A workspace with transcripts in its top folder: only folders of sessions are looked into."""
    write(tmp_path / "s.jsonl")
    write(tmp_path / "s" / "subagents" / "agent-1.jsonl")
    write(tmp_path / "node_modules" / "data.jsonl")
    assert names(follow(tmp_path)) == {"s.jsonl", "agent-1.jsonl"}


def test_links_are_not_followed(tmp_path):
    """The agent could point them at our own files."""
    outside = write(tmp_path / "outside.jsonl")
    project = tmp_path / "ws/.claude/projects/-p"
    write(project / "s.jsonl")
    (project / "link.jsonl").symlink_to(outside)
    assert names(follow(tmp_path / "ws")) == {"s.jsonl"}


def test_new_files_in_busy_folders_are_found_at_once(tmp_path):
    """Without waiting for the look through the whole tree."""
    project = tmp_path / "ws/.claude/projects/-p"
    write(project / "s1.jsonl")
    transcripts = follow(tmp_path / "ws")
    assert names(transcripts) == {"s1.jsonl"}
    for number in range(2, 12):
        write(project / f"s{number}.jsonl")
        assert f"s{number}.jsonl" in names(transcripts)


def test_old_files_are_not_replayed_on_the_first_start(tmp_path):
    """Files untouched for longer than the look-back count as read, later growth does not."""
    project = tmp_path / "ws/.claude/projects/-p"
    old, young = write(project / "old.jsonl"), write(project / "young.jsonl")
    now = time.time()
    os.utime(old, (now - 7200, now - 7200))
    transcripts = follow(tmp_path / "ws", started=now)
    assert names(transcripts) == {"young.jsonl"}
    with old.open("a") as file:
        file.write('{"more": 1}\n')
    transcripts.changed(whole_tree=True)
    (grown,) = [source for source in transcripts.changed() if source.path == str(old)]
    assert grown.next_row().data == b'{"more": 1}'
    assert young.exists()


@pytest.mark.parametrize(
    ("history", "more", "shown"),
    [
        (b'{"a": 1}\n', b'{"b": 2}\n', [b'{"b": 2}']),
        (b'{"a": 1}\n{"b": 2}', b'\n{"c": 3}\n', [b'{"c": 3}']),
        (b'{"a": 1}\n{"b": ', b'2}\n{"c": 3}\n', [b'{"b": 2}', b'{"c": 3}']),
        (b'{"a": ', b"1}\n", [b'{"a": 1}']),
        (b"", b'{"a": 1}\n', [b'{"a": 1}']),
        (b'{"a": 1}\n' + b'{"b": "' + b"x" * 200_000, b'"}\n', [b'{"b": "' + b"x" * 200_000 + b'"}']),
    ],
)
def test_old_file_is_followed_from_its_last_whole_row(tmp_path, history, more, shown):
    """DM-A33: what an old file ends with is neither shown again nor torn."""
    path = tmp_path / "ws/.claude/projects/-p/s.jsonl"
    path.parent.mkdir(parents=True)
    path.write_bytes(history)
    os.utime(path, (1.0, 1.0))
    transcripts = follow(tmp_path / "ws", started=time.time())
    for source in transcripts.changed():
        assert source.next_row() is None
    with path.open("ab") as file:
        file.write(more)
    (source,) = transcripts.changed(whole_tree=True)
    assert [row.data for row in iter(source.next_row, None)] == shown


def old_tree(folder, count):
    """So many transcripts that nobody has touched for long, and one that is written to."""
    project = folder / "ws/.claude/projects/-p"
    for number in range(count):
        os.utime(write(project / f"old-{number}.jsonl"), (1.0, 1.0))
    write(project / "young.jsonl")
    return follow(folder / "ws", started=time.time())


def test_a_look_costs_the_same_with_many_old_files(tmp_path, monkeypatch):
    """No call for an old file between two looks through the whole tree; those keep to their share of the time."""

    def calls_of_a_look(count):
        transcripts = old_tree(tmp_path / str(count), count)
        transcripts.changed()
        assert len(transcripts.resting) == count
        calls, real = [], os.stat
        with monkeypatch.context() as patch:
            patch.setattr(transcript.os, "stat", lambda path, **more: (calls.append(path), real(path, **more))[1])
            patch.setattr(transcripts, "_scan_gap_s", 1e9)
            transcripts.changed()
        return len(calls)

    assert calls_of_a_look(5) == calls_of_a_look(200) > 0


def test_a_resting_file_wakes_when_it_grows(tmp_path):
    """DM-190: an old session is taken up again: its new row is read, and nothing before it."""
    transcripts = old_tree(tmp_path, 3)
    transcripts.changed()
    with (tmp_path / "ws/.claude/projects/-p/old-1.jsonl").open("a") as file:
        file.write('{"more": 1}\n')
    transcripts.changed(whole_tree=True)
    found = [row.data for source in transcripts.changed() for row in iter(source.next_row, None)]
    assert found == [b"{}", b'{"more": 1}']  # the young file's row, and the new one
    assert len(transcripts.resting) == 2


def test_resting_files_survive_a_restart(tmp_path):
    """DM-A01: they are in a file of their own, which a cursor file saved later does not replace."""
    store = Store(str(tmp_path / "state"))
    store.save_resting(12.5, {"/old": Place(1, 2, 0, 10), "/woken": Place(1, 2, 0, 10)})
    assert store.load_cursor() == Remembered(12.5, {"/old": Place(1, 2, 0, 10), "/woken": Place(1, 2, 0, 10)}, {})
    store.save_cursor(Remembered(12.5, {"/woken": Place(1, 9, 0, 10)}, {}))
    assert store.load_cursor().places == {"/old": Place(1, 2, 0, 10), "/woken": Place(1, 9, 0, 10)}


def test_places_are_forgotten_only_for_files_that_are_gone(tmp_path):
    """DM-A01: before the first look, and while there is no projects folder, everything remembered stays."""
    there = write(tmp_path / "ws/.claude/projects/-p/s.jsonl")
    lost = str(tmp_path / "ws/.claude/projects/-p/lost.jsonl")
    places = {str(there): Place(there.stat().st_ino, 3, 0), lost: Place(1, 2, 0)}
    elsewhere = follow(tmp_path / "not mounted yet", places=places)
    elsewhere.changed(whole_tree=True)
    assert elsewhere.places() == places
    transcripts = follow(tmp_path / "ws", places=places)
    assert transcripts.places() == places
    transcripts.changed(whole_tree=True)
    assert set(transcripts.places()) == {str(there)}
    there.unlink()
    transcripts.changed(whole_tree=True)
    assert transcripts.places() == {}


def test_cursor_file_round_trip_and_damage(tmp_path):
    """Atomic and tolerant: a damaged file is said and begun anew."""
    store = Store(str(tmp_path / "state"))
    assert store.load_cursor() is None
    kept = Remembered(12.5, {"/a": Place(1, 2, 3, 10)}, {"s": Stats(1, 2, 3, 4, 5, 6, 7)})
    store.save_cursor(kept)
    assert store.load_cursor() == kept
    (tmp_path / "state" / "cursor.json").write_text('{"schema": 1, "places": [')
    assert store.load_cursor() is None
    assert "cannot be read" in store.problem


def test_state_folder_that_cannot_be_written_is_said_not_raised(tmp_path):
    blocked = tmp_path / "file"
    blocked.write_text("")
    store = Store(str(blocked / "state"))
    store.save_cursor(Remembered(0.0, {}, {}))
    assert "a restart may repeat messages" in store.problem
    assert SeenTable(str(blocked / "seen")).is_new(1)


def test_seen_table_remembers_across_processes_and_is_bounded(tmp_path):
    path = str(tmp_path / "seen.bin")
    table = SeenTable(path)
    numbers = [fingerprint(f"id-{number}") for number in range(10_000)]
    assert all(table.is_new(number) for number in numbers)
    for number in numbers[:-1]:
        table.hand_over(number)
    again = SeenTable(path)
    assert sum(not again.is_new(number) for number in numbers) >= 9_990
    assert again.is_new(fingerprint("other"))
    assert Path(path).stat().st_size == SeenTable.BYTES


@pytest.mark.parametrize(
    ("base", "restarts", "limit"), [(120, 0, 120), (120, 1, 240), (5, 3, 40), (120, 20, 3600), (7200, 3, 7200)]
)
def test_outage_limit(base, restarts, limit):
    """D8: doubled by each restart, up to an hour."""
    assert outage_limit_s(base, restarts) == limit

# SPDX-License-Identifier: GPL-3.0-or-later
# SPDX-FileCopyrightText: 2026 The orchestrator.platform authors
"""Transcripts of any size for the figures of the watcher: the same bytes for the same seed.

The mix is that of a coding agent at work: half of the rows belong to the model, most of the bytes to the results of
tools, which the agent writes twice (as the model sees them, and as its own terminal does).
"""

from __future__ import annotations

import json
import random
import typing as t
import uuid
from pathlib import Path

SOURCE_LINE = (
    '        value = self._table.get(name, "")  # see the note on {n}: "quotes", tabs\\t and back\\\\slashes\n'
)
MODEL = "sample-model-1"
Row = dict[str, t.Any]


class Mix:
    """Makes rows of one session."""

    def __init__(self, seed: int) -> None:
        self._rng = random.Random(seed)  # noqa: S311 - reproducible bytes
        self.session = self._uuid()
        self._messages = 0
        self._seconds = 0
        self._makers: list[tuple[t.Callable[[], Row], int]] = [
            (self._progress, 24), (self._text, 12), (self._thinking, 10), (self._command, 10), (self._edit, 8),
            (self._read, 4), (self._command_result, 10), (self._edit_result, 8), (self._read_result, 4),
            (self._search_result, 4), (self._snapshot, 4), (self._attachment, 2),
        ]  # fmt: skip

    def row(self) -> Row:
        """The next row."""
        makers, weights = zip(*self._makers, strict=True)
        return self._enveloped(self._rng.choices(makers, weights)[0]())

    def _uuid(self) -> str:
        return str(uuid.UUID(int=self._rng.getrandbits(128), version=4))

    def _source(self, low: int, high: int) -> str:
        return "".join(SOURCE_LINE.format(n=number) for number in range(self._rng.randint(low, high)))

    def _enveloped(self, row: Row) -> Row:
        self._seconds += 1
        stamp = f"2026-{1 + self._seconds // 2_500_000:02d}-{1 + self._seconds // 86_400 % 28:02d}T"
        stamp += f"{self._seconds // 3600 % 24:02d}:{self._seconds // 60 % 60:02d}:{self._seconds % 60:02d}.123Z"
        envelope = {"parentUuid": self._uuid(), "isSidechain": False, "userType": "external", "cwd": "/workspace/demo"}
        envelope |= {"sessionId": self.session, "version": "2.1.80", "gitBranch": "main"}
        return {**envelope, **row, "uuid": self._uuid(), "timestamp": stamp}

    def _said(self, block: Row) -> Row:
        self._messages += 1
        usage: Row = {
            "input_tokens": 4,
            "cache_creation_input_tokens": 812,
            "cache_read_input_tokens": 48_211,
            "output_tokens": 211,
        }
        usage |= {
            "service_tier": "standard",
            "cache_creation": {"ephemeral_5m_input_tokens": 812, "ephemeral_1h_input_tokens": 0},
        }
        message: Row = {"model": MODEL, "id": f"msg_{self._messages // 2:022d}", "type": "message", "role": "assistant"}
        message |= {"content": [block], "stop_reason": None, "stop_sequence": None, "usage": usage}
        return {"message": message, "requestId": f"req_{self._messages // 2:022d}", "type": "assistant"}

    def _text(self) -> Row:
        ends = self._rng.choice(["Starting with the tests.", "The table looks as expected.", "All is well so far."])
        return self._said(
            {"type": "text", "text": "The parser keeps what it has read. " * self._rng.randint(1, 12) + ends}
        )

    def _thinking(self) -> Row:
        thought = "If the row is torn, the rest has to wait for its line feed. " * self._rng.randint(2, 20)
        return self._said(
            {"type": "thinking", "thinking": thought, "signature": "EqQBCgIYAhIk" * self._rng.randint(20, 120)}
        )

    def _use(self, name: str, given: Row) -> Row:
        return self._said(
            {"type": "tool_use", "id": f"toolu_{self._rng.getrandbits(96):024x}", "name": name, "input": given}
        )

    def _command(self) -> Row:
        return self._use("Bash", {"command": "pytest -q tests | tail -20", "description": "Run the tests"})

    def _edit(self) -> Row:
        return self._use(
            "Edit",
            {
                "file_path": "/workspace/demo/app.py",
                "old_string": self._source(1, 20),
                "new_string": self._source(1, 20),
            },
        )

    def _read(self) -> Row:
        return self._use("Read", {"file_path": "/workspace/demo/app.py"})

    def _result(self, text: str, outcome: object) -> Row:
        block = {
            "tool_use_id": f"toolu_{self._rng.getrandbits(96):024x}",
            "type": "tool_result",
            "content": text,
            "is_error": False,
        }
        return {"type": "user", "message": {"role": "user", "content": [block]}, "toolUseResult": outcome}

    def _command_result(self) -> Row:
        text = "".join(f"tests/test_app.py::test_{number} PASSED\n" for number in range(self._rng.randint(0, 60)))
        return self._result(text, {"stdout": text, "stderr": "", "interrupted": False, "isImage": False})

    def _edit_result(self) -> Row:
        before = self._source(20, 200)
        patch = [{"oldStart": 7, "oldLines": 3, "newStart": 7, "newLines": 4, "lines": self._source(4, 9).splitlines()}]
        outcome = {
            "filePath": "/workspace/demo/app.py",
            "oldString": "a",
            "newString": "b",
            "originalFile": before,
            "structuredPatch": patch,
        }
        return self._result("The file has been updated. " + self._source(5, 12), outcome)

    def _read_result(self) -> Row:
        text = self._source(20, 300)
        file = {
            "filePath": "/workspace/demo/app.py",
            "content": text,
            "numLines": 300,
            "startLine": 1,
            "totalLines": 300,
        }
        return self._result(text, {"type": "text", "file": file})

    def _search_result(self) -> Row:
        text = "".join(f"src/app.py:{number}: value = 1\n" for number in range(self._rng.randint(0, 80)))
        return self._result(text, {"mode": "content", "numFiles": 1, "filenames": [], "content": text, "numLines": 80})

    def _progress(self) -> Row:
        data = {
            "type": "bash_progress",
            "output": "......\n" * self._rng.randint(1, 30),
            "elapsedTimeSeconds": 3,
            "totalLines": 30,
        }
        return {"type": "progress", "data": data, "toolUseID": "toolu_1", "parentToolUseID": "toolu_1"}

    def _snapshot(self) -> Row:
        backups = {
            f"src/file_{number}.py": {"version": number, "backupTime": "2026-01-01T00:00:00.000Z"}
            for number in range(12)
        }
        return {"type": "file-history-snapshot", "snapshot": {"trackedFileBackups": backups}, "isSnapshotUpdate": True}

    def _attachment(self) -> Row:
        return {
            "type": "attachment",
            "attachment": {"type": "todo", "content": [{"text": "x" * 300, "status": "pending"}]},
        }


def write(path: Path, *, megabytes: float, seed: int = 1) -> tuple[int, int]:
    """A transcript of about so many megabytes (10^6); its rows and bytes."""
    mix = Mix(seed)
    path.parent.mkdir(parents=True, exist_ok=True)
    rows = size = 0
    block = [json.dumps(mix.row(), ensure_ascii=False, separators=(",", ":")).encode() + b"\n" for _ in range(5_000)]
    with path.open("wb") as file:
        while size < megabytes * 1e6:
            # Ids are what a reader knows repeated rows by: each round of the block gets its own.
            mark = f"{rows:08x}".encode()
            for data in block:
                if size >= megabytes * 1e6:
                    break
                at = data.rindex(b'"uuid":"') + 27  # in the last half, which is what the watcher tells ids by
                file.write(data[:at] + mark[:4] + b"-" + mark[4:] + data[at + 9 :])
                rows += 1
                size += len(data)
    return rows, size

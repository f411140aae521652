# SPDX-License-Identifier: GPL-3.0-or-later
# SPDX-FileCopyrightText: 2026 The orchestrator.platform authors
"""What the sample agent does: rows of transcripts, the same for the same seed. Pure; no clock and no file.

Every row that a reader may show carries one ordinal marker ("step 0001"), and says itself whether it is significant
under the default filters. So a test knows what has to arrive, and in which order, without asking the product.
"""

from __future__ import annotations

import random
import re
import uuid
from typing import TYPE_CHECKING, Any, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Iterator

WORK_FOLDER = "/workspace/demo"
MODEL = "sample-model-1"
CYCLE_STEP = 10_000  # ordinals of one cycle begin at a multiple of this
FAILURE = 'Traceback (most recent call last):\n  File "app.py", line 7, in <module>\nValueError: naïve Ünïcode ✗ input'
TASKS = ("parser", "retry queue", "login page", "rate limiter", "report export", "cache layer", "CSV import")


class Line(NamedTuple):
    """One row to write. `row` lacks the timestamp. `marker` is empty when nothing of it is ever shown."""

    path: str  # below the transcript folder
    row: dict[str, Any]
    marker: str = ""
    significant: bool = False
    repeated: bool = False  # re-appended with the uuid of an earlier row: must not be shown again
    urgent: bool = False  # an error: may be shown ahead of what was written before it


def project_of(work_folder: str) -> str:
    """Name of the folder below projects/ that holds the transcripts of work done in that folder."""
    return re.sub(r"[^A-Za-z0-9]", "-", work_folder)


class Session:
    """Writes one session's rows; ordinals come from the caller's counter."""

    def __init__(
        self, rng: random.Random, ordinals: Iterator[int], *, agent: str = "", session_id: str = "",
        work_folder: str = WORK_FOLDER, branch: str = "main", model: str = MODEL, parent: str | None = None,
    ) -> None:  # fmt: skip
        self._rng = rng
        self._ordinals = ordinals
        self._agent = agent
        self._work_folder, self._branch, self._model = work_folder, branch, model
        self.id = session_id or self._uuid()
        below = f"{self.id}/subagents/agent-{agent}.jsonl" if agent else f"{self.id}.jsonl"
        self.path = f"projects/{project_of(work_folder)}/{below}"
        self._parent = parent
        self._message: dict[str, Any] = {}

    def marker(self) -> str:
        """The next marker."""
        return f"step {next(self._ordinals):04d}"

    def user(self, text: str, *, as_string: bool) -> Line:
        """A prompt; content is a plain string or a list of blocks, both occur."""
        marker = self.marker()
        text = f"{marker}: {text}"
        content: object = text if as_string else [{"type": "text", "text": text}]
        return self._line({"type": "user", "message": {"role": "user", "content": content}}, marker)

    def turn(self) -> None:
        """Begin a new message of the model; its rows share id and usage."""
        usage = {"input_tokens": self._rng.randint(200, 4000), "output_tokens": self._rng.randint(20, 900)}
        usage |= {"cache_creation_input_tokens": self._rng.randint(0, 900), "cache_read_input_tokens": 12_000}
        identity = "".join(self._rng.choices("abcdefghijkmnpqrstuvwxyzABCDEFGHJKLMNPQRSTUVWXYZ23456789", k=22))
        self._message = {
            "id": f"msg_{identity}",
            "type": "message",
            "role": "assistant",
            "model": self._model,
            "usage": usage,
        }

    def thinking(self, text: str) -> Line:
        """A thought."""
        marker = self.marker()
        return self._said({"type": "thinking", "thinking": f"{marker}: {text}", "signature": "c2lnbmF0dXJl"}, marker)

    def says(self, text: str, *, significant: bool, stop: str | None = None) -> Line:
        """A text; significant when it holds one of the default patterns."""
        marker = self.marker()
        return self._said({"type": "text", "text": f"{marker}: {text}"}, marker, significant=significant, stop=stop)

    def uses(self, tool: str, argument: str, value: str, **more: object) -> tuple[Line, str]:
        """A tool use whose telling argument holds the marker, and the id its result refers to."""
        marker = self.marker()
        identity = f"toolu_{self._rng.getrandbits(96):024x}"
        given = {argument: value.replace("{marker}", marker), **more}
        block = {"type": "tool_use", "id": identity, "name": tool, "input": given}
        return self._said(block, marker, significant=tool in ("Bash", "Write", "Edit"), stop="tool_use"), identity

    def result(
        self, identity: str, content: str, outcome: object, *, significant: bool = False, failed: bool = False
    ) -> Line:
        """A tool's result; `{marker}` in content and in the outcome's texts is filled in."""
        marker = self.marker()
        content = content.replace("{marker}", marker)
        block = {"tool_use_id": identity, "type": "tool_result", "content": content, "is_error": failed}
        row = {
            "type": "user",
            "message": {"role": "user", "content": [block]},
            "toolUseResult": _filled(outcome, marker),
        }
        return self._line(row, marker, significant=significant)._replace(urgent=failed)

    def bash(self, command: str, stdout: str, *, stderr: str = "") -> Iterator[Line]:
        """A command and its output; long standard output and errors are significant."""
        use, identity = self.uses("Bash", "command", command, description="Run a command")
        yield use
        failed = bool(stderr)
        stdout, stderr = stdout and f"{{marker}}\n{stdout}", stderr and f"{{marker}}\n{stderr}"
        outcome = {"stdout": stdout, "stderr": stderr, "interrupted": False, "isImage": False}
        long_enough = len(stdout.replace("{marker}", "step 0000").strip()) >= 50
        yield self.result(identity, stderr or stdout, outcome, significant=failed or long_enough, failed=failed)

    def bare(self, row: dict[str, Any], marker: str = "", *, significant: bool = False) -> Line:
        """Any other row."""
        return self._line(row, marker, significant=significant)

    def _said(self, block: dict[str, Any], marker: str, *, significant: bool = False, stop: str | None = None) -> Line:
        message = {**self._message, "content": [block], "stop_reason": stop}
        return self._line({"type": "assistant", "message": message}, marker, significant=significant)

    def _line(self, row: dict[str, Any], marker: str, *, significant: bool = False) -> Line:
        identity = self._uuid()
        envelope: dict[str, Any] = {
            "parentUuid": self._parent,
            "isSidechain": bool(self._agent),
            "userType": "external",
        }
        envelope |= {"cwd": self._work_folder, "sessionId": self.id, "version": "2.1.80", "gitBranch": self._branch}
        if self._agent:
            envelope["agentId"] = self._agent
        self._parent = identity
        return Line(self.path, {**envelope, **row, "uuid": identity}, marker, significant)

    def _uuid(self) -> str:
        return str(uuid.UUID(int=self._rng.getrandbits(128), version=4))


def story(seed: int, sessions: int, *, cycle: int = 0) -> Iterator[Line]:
    """All rows of one cycle in the order they are written, session after session."""
    rng = random.Random(f"{seed}/{cycle}")  # noqa: S311 - a reproducible story
    ordinals = iter(range(cycle * CYCLE_STEP + 1, (cycle + 1) * CYCLE_STEP))
    for number in range(sessions):
        yield from _session(rng, ordinals, number)


def expected_markers(seed: int, sessions: int, *, cycle: int = 0, parity_mode: bool = False) -> list[str]:
    """The markers that have to arrive, in order, once each: under the default filters or in parity mode."""
    lines = story(seed, sessions, cycle=cycle)
    return [line.marker for line in lines if line.marker and not line.repeated and (parity_mode or line.significant)]


def _session(rng: random.Random, ordinals: Iterator[int], number: int) -> Iterator[Line]:
    session = Session(rng, ordinals)
    task = rng.choice(TASKS)
    lines: list[Line] = []
    for line in (*_opening(session, task, number), *_work(session, rng, task)):
        lines.append(line)
        yield line
    yield from _troubles(session)
    yield from _subagent(session, rng, ordinals, task)
    yield from _compaction(session, lines)
    yield from _closing(session, rng, task, number)


def _opening(session: Session, task: str, number: int) -> Iterator[Line]:
    yield session.bare({"type": "file-history-snapshot", "snapshot": {"trackedFileBackups": {}}})
    yield session.bare({"type": "queue-operation", "operation": "enqueue"})
    yield session.user(f"Please build the {task} and prove it with tests. Größe egal 🙂", as_string=number % 2 == 0)
    session.turn()
    yield session.thinking(f"The {task} needs a small interface first; then tests, then the edge cases.")
    yield session.says(f"Starting with the {task}. First a look at what is there.", significant=True)
    use, identity = session.uses("Read", "file_path", "/workspace/demo/{marker}/README.md")
    yield use
    read = {"type": "text", "file": {"filePath": "README.md", "content": "{marker} # demo", "numLines": 1}}
    yield session.result(identity, "{marker}\n# demo", read)


def _work(session: Session, rng: random.Random, task: str) -> Iterator[Line]:
    for round_number in range(rng.randint(2, 4)):
        session.turn()
        use, identity = session.uses(
            "Write", "file_path", "/workspace/demo/{marker}.py", content=f"# {task}\nprint('ok')\n"
        )
        yield use
        yield session.result(identity, "File created at {marker}", {"type": "create", "filePath": "x", "content": "x"})
        yield from session.bash(
            "pytest -q tests # {marker}", f"....... [100%]\n{rng.randint(5, 60)} passed, round {round_number}\n" * 2
        )
        yield session.says("The tests look fine so far.", significant=False)
        use, identity = session.uses(
            "Edit", "file_path", "/workspace/demo/{marker}.py", old_string="ok", new_string="done"
        )
        yield use
        yield session.result(identity, "The file {marker} has been updated", {"filePath": "x", "structuredPatch": []})
        yield from session.bash("git status --short # {marker}", "M app.py")
        use, identity = session.uses("Grep", "pattern", "{marker}|TODO")
        yield use
        yield session.result(identity, "{marker} app.py:3", {"mode": "content", "numFiles": 1, "content": "{marker}"})


def _troubles(session: Session) -> Iterator[Line]:
    """Errors in all their forms, a fetch, a secret in an output, white space at the front of one."""
    session.turn()
    yield from session.bash("python app.py # {marker}", "", stderr=FAILURE)
    use, identity = session.uses("Bash", "command", "make release # {marker}")
    yield use
    refused = "Error: Exit code 2 in {marker}: make: *** no rule to make target"
    yield session.result(identity, refused, refused, significant=True, failed=True)
    use, identity = session.uses("WebFetch", "url", "https://example.org/docs/{marker}", prompt="What is the limit?")
    yield use
    yield session.result(identity, "{marker} The limit is 6000.", {"bytes": 512, "code": 200, "result": "{marker}"})
    # Put together here, so that no scanner takes this file for a leak.
    yield from session.bash(
        "env | sort # {marker}",
        "\n  PATH=/usr/bin\n  GITHUB_TOKEN=" + "ghp" + "_" + "a1B2c3D4e5" * 4 + "\n  HOME=/home/agent",
    )
    yield session.says("The Error is understood: the parser trips over ``` fences and ünïcode.", significant=True)


def _subagent(session: Session, rng: random.Random, ordinals: Iterator[int], task: str) -> Iterator[Line]:
    session.turn()
    use, identity = session.uses("Task", "description", "{marker} review of the " + task, subagent_type="reviewer")
    yield use
    helper = Session(rng, ordinals, agent=f"{rng.getrandbits(32):08x}", session_id=session.id)
    yield helper.user("Review the change.", as_string=True)
    helper.turn()
    yield helper.says("Starting the review.", significant=True)
    yield from helper.bash(
        "git diff --stat # {marker}", " app.py | 12 ++++++------\n tests/test_app.py | 30 +++++++++++++++++\n"
    )
    yield helper.says("Review Complete: two remarks, no objection.", significant=True, stop="end_turn")
    done = {
        "status": "completed",
        "totalDurationMs": 5300,
        "content": [{"type": "text", "text": "{marker} two remarks"}],
    }
    yield session.result(identity, "{marker} two remarks", done)


def _compaction(session: Session, earlier: list[Line]) -> Iterator[Line]:
    """The conversation is summarised; some old rows are appended again with their old uuids."""
    marker = session.marker()
    row: dict[str, Any] = {
        "type": "system",
        "subtype": "compact_boundary",
        "content": f"{marker} Conversation compacted",
        "level": "info",
    }
    yield session.bare({**row, "compactMetadata": {"trigger": "auto", "preTokens": 155_000}}, marker)
    for line in earlier[2:8]:
        yield line._replace(repeated=True)
    marker = session.marker()
    text = f"{marker} This session is continued; the story so far: all is well."
    row = {"type": "user", "isCompactSummary": True, "message": {"role": "user", "content": text}}
    yield session.bare(row, marker)


def _closing(session: Session, rng: random.Random, task: str, number: int) -> Iterator[Line]:
    session.turn()
    yield from session.bash(
        "make all # {marker}", "\n".join(f"[{n}/12] building part {n} of the {task}" for n in range(1, 13))
    )
    if number == 0:
        yield from _flat(session)
    yield session.bare({"type": "pr-link", "url": "https://example.org/pull/1"})
    yield session.bare({"type": "a-type-nobody-knows", "payload": rng.getrandbits(16)})
    yield session.says(
        f"Complete: the {task} works, {rng.randint(20, 90)} tests pass. Success!", significant=True, stop="end_turn"
    )
    marker = session.marker()
    yield session.bare({"type": "summary", "summary": f"{marker} Built the {task}", "leafUuid": session.id}, marker)


def _flat(session: Session) -> Iterator[Line]:
    """The older form: thinking, tool_use and tool_result as rows of their own."""
    marker = session.marker()
    yield session.bare({"type": "thinking", "thinking": f"{marker} an old-style thought"}, marker)
    marker = session.marker()
    use: dict[str, Any] = {"type": "tool_use", "name": "Bash", "input": {"command": f"uname -a # {marker}"}}
    yield session.bare(use, marker, significant=True)
    marker = session.marker()
    outcome = {
        "stdout": f"{marker} Linux demo 6.1.0 #1 SMP PREEMPT_DYNAMIC x86_64 GNU/Linux",
        "stderr": "",
        "interrupted": False,
    }
    yield session.bare({"type": "tool_result", "toolUseResult": outcome}, marker, significant=True)


def _filled(outcome: object, marker: str) -> object:
    """The outcome with the marker in all its texts."""
    if isinstance(outcome, str):
        return outcome.replace("{marker}", marker)
    if isinstance(outcome, dict):
        return {key: _filled(value, marker) for key, value in outcome.items()}
    if isinstance(outcome, list):
        return [_filled(value, marker) for value in outcome]
    return outcome

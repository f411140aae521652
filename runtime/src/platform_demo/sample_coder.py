# SPDX-License-Identifier: GPL-3.0-or-later
# SPDX-FileCopyrightText: 2026 The orchestrator.platform authors
"""A stand-in for the agent's CLI `claude` in print mode: works through prepared steps for real and asks no model.

It takes the options that the start scripts give, reads the prompt from standard input, keeps a transcript below
`$CLAUDE_CONFIG_DIR` or `~/.claude`, prints its rows as JSON lines, and runs the Stop hooks of the settings at the end.

A code task may bring `task/sample-work.json`, a list of steps: {"say"}, {"read"}, {"write", "content"} or {"run"}.
With a task list in `.taskmaster/tasks/tasks.json` and no task folder it writes the texts of each task, as a docs run
wants them. Environment: PACE_MS (100) between two rows; SAMPLE_STATUS, the exit status at the end; SAMPLE_HANG=true: no
end by itself.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import os
import random
import re
import signal
import subprocess
import sys
import threading
from itertools import count
from pathlib import Path
from typing import TYPE_CHECKING, Any

from platform_demo.sample_agent import Writer
from platform_demo.story import Session, project_of

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence

    from platform_demo.story import Line

SETTINGS = (".claude/settings.json", ".claude/settings.local.json")
COMMAND_LIMIT_S = 120
HOOK_LIMIT_S = 60  # the real client's own limit
MAX_SHOWN_CHARS = 4_000  # of a file or an output in the transcript
TERMINATED = 128 + signal.SIGTERM
TASK_FILES = ("task.md", "prompt.md", "acceptance-criteria.md")
Step = dict[str, str]


class CoderError(Exception):
    """A sentence for standard error; the exit status is 1."""


class StoppedError(Exception):
    """SIGTERM came."""


class Stop:
    """SIGTERM, as a wait that ends early."""

    def __init__(self) -> None:
        self._event = threading.Event()
        # The handler runs in the main thread, maybe inside a wait: it must not take Event's lock there.
        signal.signal(signal.SIGTERM, lambda _number, _frame: threading.Thread(target=self._event.set).start())

    def wait(self, seconds: float | None) -> None:
        """Wait; raises StoppedError when the signal came, now or before."""
        if self._event.wait(seconds):
            raise StoppedError


class Transcript:
    """The rows of one session, new or continued: into its file, and to standard output."""

    def __init__(self, folder: Path, work_folder: Path, *, model: str, branch: str, former: Path | None) -> None:
        self._writer = Writer(folder)
        identity, parent, last = former_session(former) if former else ("", None, 0)
        self.session = Session(
            random.SystemRandom(), count(last + 1), session_id=identity, parent=parent,
            work_folder=str(work_folder), branch=branch, model=model,
        )  # fmt: skip
        self.path = folder / self.session.path

    def write(self, line: Line) -> None:
        """Keep one row, and print it as the client's stream does."""
        self._writer.write(line)
        if "message" in line.row:
            emit({"type": line.row["type"], "message": line.row["message"], "session_id": self.session.id})


def former_session(path: Path) -> tuple[str, str | None, int]:
    """(id, uuid of the last row, number of the last step) of a session on disk."""
    parent, last = None, 0
    for line in path.read_text(encoding="utf-8").splitlines():
        with contextlib.suppress(ValueError):  # a row that was cut off when the former pod ended
            parent = json.loads(line).get("uuid") or parent
            last = max([last, *map(int, re.findall(r"\bstep (\d{4,9})\b", line))])
    return path.stem, parent, last


def newest_session(folder: Path, work_folder: Path) -> Path:
    """The session last written in this work folder; raises CoderError."""
    found = list((folder / "projects" / project_of(str(work_folder))).glob("*.jsonl"))
    if not found:
        raise CoderError("No conversation found to continue")
    return max(found, key=lambda path: path.stat().st_mtime_ns)


class Coder:
    """Carries out steps and tells of each in the transcript."""

    def __init__(self, transcript: Transcript, stop: Stop, *, pace_s: float) -> None:
        self._transcript, self._stop, self._pace_s = transcript, stop, pace_s

    def work(self, prompt: str, steps: Iterable[Step]) -> None:
        """All of it. Raises StoppedError, and CoderError for a step that is none."""
        session = self._transcript.session
        self._tell(session.user(prompt, as_string=True))
        for step in steps:
            session.turn()
            for line in self._lines(step):
                self._tell(line)

    def _tell(self, line: Line) -> None:
        self._transcript.write(line)
        self._stop.wait(self._pace_s)

    def _lines(self, step: Step) -> Iterator[Line]:
        session = self._transcript.session
        if "say" in step:
            yield session.says(step["say"], significant=True)
        elif "read" in step:
            yield from self._read(Path(step["read"]))
        elif "write" in step:
            yield from self._write(Path(step["write"]), step.get("content", ""))
        elif "run" in step:
            yield from self._run(step["run"])
        else:
            raise CoderError(f"a step of the prepared work has none of say, read, write, run: {sorted(step)}")

    def _read(self, path: Path) -> Iterator[Line]:
        session = self._transcript.session
        use, identity = session.uses("Read", "file_path", f"{path.absolute()}", why="{marker}")
        yield use
        text = path.read_text(encoding="utf-8", errors="replace")[:MAX_SHOWN_CHARS] if path.is_file() else ""
        shown = {"filePath": str(path), "content": text, "numLines": text.count("\n")}
        yield session.result(
            identity, f"{{marker}}\n{text}", {"type": "text", "file": shown}, failed=not path.is_file()
        )

    def _write(self, path: Path, content: str) -> Iterator[Line]:
        session = self._transcript.session
        use, identity = session.uses("Write", "file_path", f"{path.absolute()}", content=content)
        yield use
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(content, encoding="utf-8")
        yield session.result(identity, f"{{marker}} {path} is written", {"type": "create", "filePath": str(path)})

    def _run(self, command: str) -> Iterator[Line]:
        session = self._transcript.session
        use, identity = session.uses("Bash", "command", command, description="Run a command")
        yield use
        stdout, stderr, status = self._carried_out(command)
        outcome = {"stdout": stdout, "stderr": stderr, "interrupted": False, "isImage": False}
        yield session.result(identity, f"{{marker}}\n{stdout}{stderr}", outcome, significant=True, failed=status != 0)

    def _carried_out(self, command: str) -> tuple[str, str, int]:
        """(standard output, standard error, status); the whole process group ends when we are to stop."""
        argv = ["bash", "-c", command]
        with subprocess.Popen(  # noqa: S603 - to run what the prepared work says is what this is for
            argv, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
            text=True, errors="replace", start_new_session=True,
        ) as process:  # fmt: skip
            try:
                for _turn in range(COMMAND_LIMIT_S * 10):
                    with contextlib.suppress(subprocess.TimeoutExpired):
                        stdout, stderr = process.communicate(timeout=0.1)
                        return stdout[:MAX_SHOWN_CHARS], stderr[:MAX_SHOWN_CHARS], process.returncode
                    self._stop.wait(0)
            finally:
                if process.poll() is None:
                    os.killpg(process.pid, signal.SIGKILL)
        return "", f"not done after {COMMAND_LIMIT_S} s", 124

    def idle(self) -> None:
        """Wait for SIGTERM."""
        self._stop.wait(None)


def steps_for(folder: Path, prompt: str) -> list[Step]:
    """What is to be done in a work folder; raises CoderError for prepared work that cannot be read."""
    prepared, tasks = folder / "task" / "sample-work.json", folder / ".taskmaster" / "tasks" / "tasks.json"
    if prepared.is_file():
        steps = _json(prepared)
        if not isinstance(steps, list) or not all(isinstance(step, dict) for step in steps):
            raise CoderError(f"{prepared} is no list of steps")
    elif tasks.is_file() and not (folder / "task").is_dir():
        steps = docs_steps(_json(tasks))
    else:
        steps = [
            {"say": "Starting. There is no prepared work, so this stand-in writes down what it was asked for."},
            {"write": "sample-work.md", "content": f"# What the sample coder was asked for\n\n{prompt}"},
            {"say": "Complete: sample-work.md holds the prompt."},
        ]
    return [*_reminder(folder), *steps, *_retry(prompt)]


def _reminder(folder: Path) -> list[Step]:
    return [{"read": "CLAUDE.md"}] if (folder / "CLAUDE.md").is_file() else []


def _retry(prompt: str) -> list[Step]:
    """What a later attempt was told is written down, and left to the Stop hook to commit."""
    found = re.search(r"^## What is new in attempt (\d+)\n\n(.*)\Z", prompt, re.MULTILINE | re.DOTALL)
    if not found:
        return []
    number, told = found[1], found[2].strip()
    note = {"write": f"attempt-{number}.md", "content": f"# Attempt {number}\n\n{told}\n"}
    return [{"say": f"Starting on what is new in attempt {number}."}, note]


def docs_steps(listed: object) -> list[Step]:
    """The texts of each task of a task list; raises CoderError."""
    tasks = listed.get("tasks") if isinstance(listed, dict) else None
    if not isinstance(tasks, list) or not all(isinstance(task, dict) and "id" in task for task in tasks):
        raise CoderError(".taskmaster/tasks/tasks.json has no list of tasks with an id each")
    steps: list[Step] = [
        {"say": f"Starting with the texts of {len(tasks)} tasks."},
        {"read": ".taskmaster/tasks/tasks.json"},
    ]
    for task in tasks:
        folder = f".taskmaster/docs/task-{task['id']}"
        steps += [{"write": f"{folder}/{name}", "content": task_text(name, task)} for name in TASK_FILES]
    return [*steps, {"say": f"Complete: {len(tasks)} tasks are described."}]


def task_text(name: str, task: Mapping[str, Any]) -> str:
    """One of a task's three texts."""
    title, wanted = task.get("title", f"Task {task['id']}"), task.get("description", "")
    if name == "task.md":
        needs = ", ".join(map(str, task.get("dependencies") or [])) or "nothing"
        return f"# Task {task['id']}: {title}\n\n{wanted}\n\nNeeds: {needs}.\n"
    if name == "prompt.md":
        return f"# {title}\n\n{wanted} Read `acceptance-criteria.md` for what has to hold at the end.\n"
    return f"# Acceptance criteria\n\n- {task.get('testStrategy') or 'The whole test suite passes.'}\n"


def _json(path: Path) -> Any:  # noqa: ANN401 - whatever the file holds
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as exc:
        raise CoderError(f"{path} cannot be read as JSON: {exc}") from None


def stop_hooks(folder: Path) -> list[str]:
    """Commands of the Stop hooks in the settings; raises CoderError for settings that are no JSON."""
    commands: list[str] = []
    for name in SETTINGS:
        content = _json(folder / name) if (folder / name).is_file() else {}
        for group in (content.get("hooks") or {}).get("Stop") or []:
            commands += [hook["command"] for hook in group.get("hooks") or [] if hook.get("type") == "command"]
    return commands


def run_hooks(commands: Iterable[str], folder: Path, transcript: Transcript) -> None:
    """Run them as the client does: the session on standard input, the project's folder in the environment."""
    told = {
        "session_id": transcript.session.id, "transcript_path": str(transcript.path), "cwd": str(folder),
        "hook_event_name": "Stop", "stop_hook_active": False,
    }  # fmt: skip
    for command in commands:
        env = {**os.environ, "CLAUDE_PROJECT_DIR": str(folder)}
        argv = ["bash", "-c", command]
        try:
            # Its words go to standard error: standard output is one JSON object a line.
            subprocess.run(  # noqa: S603 - the settings say so
                argv, input=json.dumps(told), text=True, env=env, stdout=sys.stderr, check=False, timeout=HOOK_LIMIT_S
            )
        except subprocess.TimeoutExpired:
            sys.stderr.write(f"claude: a Stop hook was not done after {HOOK_LIMIT_S} s\n")


def emit(content: Mapping[str, Any]) -> None:
    """One line of the stream."""
    sys.stdout.write(json.dumps(content, ensure_ascii=False) + "\n")
    sys.stdout.flush()


def arguments() -> argparse.ArgumentParser:
    """The options we know: those of the start scripts."""
    parser = argparse.ArgumentParser(prog="claude", description="Stand-in for the agent's CLI", allow_abbrev=False)
    parser.add_argument("--print", action="store_true", required=True)
    parser.add_argument("--output-format", choices=["stream-json"], required=True)
    parser.add_argument("--verbose", action="store_true", required=True)
    parser.add_argument("--model", required=True)
    parser.add_argument("--mcp-config", type=Path)
    parser.add_argument("--continue", dest="continued", action="store_true")
    return parser


def _branch(folder: Path) -> str:
    argv = ["git", "-C", str(folder), "symbolic-ref", "--quiet", "--short", "HEAD"]
    with contextlib.suppress(OSError):
        return subprocess.run(argv, capture_output=True, text=True, check=False).stdout.strip()  # noqa: S603
    return ""


def session_in(folder: Path, options: argparse.Namespace, stop: Stop) -> int:
    """One whole session; its exit status. Raises CoderError, StoppedError."""
    prompt = sys.stdin.read()
    if not prompt.strip():
        raise CoderError("Input must be provided through stdin when using --print")
    if options.mcp_config is not None:
        _json(options.mcp_config)
    hooks = stop_hooks(folder)
    home = Path(os.environ.get("CLAUDE_CONFIG_DIR") or Path.home() / ".claude")
    former = newest_session(home, folder) if options.continued else None
    transcript = Transcript(home, folder, model=options.model, branch=_branch(folder), former=former)
    emit(
        {
            "type": "system",
            "subtype": "init",
            "cwd": str(folder),
            "session_id": transcript.session.id,
            "model": options.model,
        }
    )
    coder = Coder(transcript, stop, pace_s=int(os.environ.get("PACE_MS") or 100) / 1000)
    coder.work(prompt, steps_for(folder, prompt))
    if os.environ.get("SAMPLE_HANG") == "true":
        coder.idle()
    run_hooks(hooks, folder, transcript)
    status = int(os.environ.get("SAMPLE_STATUS") or 0)
    outcome = "success" if status == 0 else "error_during_execution"
    emit({"type": "result", "subtype": outcome, "is_error": status != 0, "session_id": transcript.session.id})
    return status


def main(argv: Sequence[str] | None = None) -> int:
    """Work in the present folder."""
    stop = Stop()
    try:
        return session_in(Path.cwd(), arguments().parse_args(argv), stop)
    except CoderError as exc:
        sys.stderr.write(f"claude: {exc}\n")
        return 1
    except StoppedError:
        sys.stderr.write("claude: ended by SIGTERM\n")
        return TERMINATED


if __name__ == "__main__":
    sys.exit(main())

# SPDX-License-Identifier: GPL-3.0-or-later
# SPDX-FileCopyrightText: 2026 The orchestrator.platform authors
"""Whole runs of the start scripts with the sample coder, its gh and the demo's forge: all real programs but SSH and a model."""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import signal
import sys
import threading
import time
from pathlib import Path

import pytest
import renderings as r
from job_place import PATIENCE_S, Place

from platform_demo.forge import Forge
from platform_demo.forge_seed import CODE_REPOSITORY, DOCS_REPOSITORY, PROJECT_FOLDER
from platform_demo.web import make_server

pytestmark = pytest.mark.skipif(not shutil.which("git"), reason="git is not installed")

BRANCH = "feature/task-7-implementation"
TOKEN = "canary-token-of-the-forge-7712"


class Hosted(Place):
    """A place whose repositories lie in a forge that serves its API on loopback."""

    def __init__(self, folder: Path) -> None:
        super().__init__(folder)
        self.forge = Forge(folder / "forge", public_url="http://forge.example.org")
        self.forge.seed()
        self.server = make_server(0, self.forge, address="127.0.0.1")
        threading.Thread(target=self.server.serve_forever, args=(0.02,), daemon=True).start()
        for name, module in (("claude", "sample_coder"), ("gh", "forge_client")):
            path = f"PYTHONPATH={r.ROOT}/runtime/src"
            self.program(
                name, f'#!/usr/bin/env bash\nexec env {path} {sys.executable} -B -m platform_demo.{module} "$@"\n'
            )
        self.result = folder / "termination-log"
        self.result.touch()

    def env(self, **more: str) -> dict[str, str]:
        forge = {"GH_HOST": f"127.0.0.1:{self.server.server_address[1]}", "GH_ENTERPRISE_TOKEN": TOKEN}
        return super().env() | forge | {"PACE_MS": "1", **more}

    def url(self, name: str) -> str:
        return f"file://{self.folder}/forge/{name}.git"

    def forge_git(self, *argv: str, name: str = CODE_REPOSITORY) -> str:
        return self.git(*argv, cwd=self.folder / "forge" / f"{name}.git")

    def transcripts(self) -> list[Path]:
        return list((self.folder / "home" / ".claude" / "projects").glob("*/*.jsonl"))

    def results(self) -> dict[str, str]:
        """What the termination message says: JSON objects, a line each."""
        found: dict[str, str] = {}
        for line in self.result.read_text(encoding="utf-8").splitlines():
            found |= json.loads(line)
        return found

    def new_pod(self) -> None:
        """What does not outlive a pod: the termination message. The controller keeps the sessions on the claim."""
        self.result.write_text("", encoding="utf-8")


@pytest.fixture
def place(tmp_path):
    made = Hosted(tmp_path)
    yield made
    made.server.shutdown()
    made.server.server_close()


@pytest.fixture
def code(place) -> dict[str, object]:
    return {
        "repository_url": place.url(CODE_REPOSITORY), "docs_repository_url": place.url(DOCS_REPOSITORY), "service": "cart",
        "working_directory": "services/cart", "docs_project_directory": PROJECT_FOLDER, "prompt_modification": "",
        "context_version": 1, "continue_session": False, "overwrite_memory": False,
    }  # fmt: skip


def rows_of(transcript: Path) -> list[dict]:
    return [json.loads(line) for line in transcript.read_text(encoding="utf-8").splitlines()]


def until(condition, what: str):
    """The first true answer; what was waited for is part of the failure."""
    deadline = time.monotonic() + PATIENCE_S
    while not (answer := condition()):
        assert time.monotonic() < deadline, f"did not happen: {what}"
        time.sleep(0.02)
    return answer


def test_a_code_run_ends_with_a_pull_request(place, code):
    """Issue 8.6, OR-191, OR-178, OR-244, DM-194: transcript, commit, push, pull request, result."""
    done = place.run("code", code)
    assert done.returncode == 0, done.stderr
    [transcript] = place.transcripts()
    assert place.results() == {
        "promptMode": "direct",
        "pullRequestUrl": "http://forge.example.org/acme/shop/pull/1",
        "sessionId": transcript.stem,
    }
    rows = rows_of(transcript)
    assert {row["type"] for row in rows} == {"user", "assistant"}
    assert {row["sessionId"] for row in rows} == {transcript.stem}
    assert {row["gitBranch"] for row in rows} == {BRANCH}
    assert [row["parentUuid"] for row in rows[1:]] == [row["uuid"] for row in rows[:-1]]
    tests = [row["toolUseResult"]["stderr"] for row in rows if "Ran " in str(row.get("toolUseResult"))]
    assert [("FAILED" in text, "OK" in text) for text in tests] == [(True, False), (False, True)], "they ran for real"
    changed = place.forge_git("diff", "--name-only", "main", BRANCH).splitlines()
    assert changed == ["services/cart/cart.py", "services/cart/test_cart.py"]
    assert place.forge_git("log", "-1", "--format=%an", BRANCH) == "agent-one"


def test_the_output_is_the_clients_stream(place, code):
    """OR-191: one JSON object a line between the script's own words, the last one the result."""
    done = place.run("code", code)
    stream = [json.loads(line) for line in done.stdout.splitlines() if line.startswith("{")]
    assert (stream[0]["type"], stream[0]["subtype"], stream[-1]["type"]) == ("system", "init", "result")
    assert stream[-1]["is_error"] is False
    assert len({content["session_id"] for content in stream}) == 1


def test_a_retry_carries_on_the_session_and_the_pull_request(place, code):
    """OR-230, OR-231, OR-232: in a new pod the session on the claim goes on."""
    assert place.run("code", code).returncode == 0
    [former] = place.transcripts()
    before = rows_of(former)
    place.new_pod()
    retry = {"context_version": 2, "prompt_modification": "Say 'what' is \"new\".", "continue_session": True}
    done = place.run("code", code | retry)
    assert done.returncode == 0, done.stderr
    [transcript] = place.transcripts()
    rows = rows_of(transcript)
    assert transcript.name == former.name
    assert rows[: len(before)] == before
    assert rows[len(before)]["parentUuid"] == before[-1]["uuid"]
    assert place.results()["pullRequestUrl"].endswith("/pull/1")
    note = place.forge_git("show", f"{BRANCH}:services/cart/attempt-2.md")
    assert note == "# Attempt 2\n\nSay 'what' is \"new\"."


@pytest.mark.parametrize("wait_for", ["cart.py", "agent"])
def test_sigterm_saves_the_work(place, code, wait_for):
    """Issue 8.6: the agent ends, what it did is pushed and proposed, and the status says what happened."""
    slow = {"PACE_MS": "100"} if wait_for == "cart.py" else {"SAMPLE_HANG": "true"}
    work = place.workspace / "source" / "cart" / "services" / "cart"
    with place.start("code", code, **slow) as process:
        if wait_for == "cart.py":
            until(lambda: (work / "cart.py").exists() and "discounted" in (work / "cart.py").read_text(), "the change")
        else:
            until(lambda: place.transcripts() and "Success!" in place.transcripts()[0].read_text(), "the last row")
        process.send_signal(signal.SIGTERM)
        output, errors = process.communicate(timeout=PATIENCE_S)
    assert process.returncode == 128 + signal.SIGTERM, (output, errors)
    assert "error: the agent ended with status 143" in errors
    assert "discounted" in place.forge_git("show", f"{BRANCH}:services/cart/cart.py")
    assert place.results()["pullRequestUrl"].endswith("/pull/1")


def test_sigterm_before_the_agent(place, code):
    """Issue 8.6: a run that waits for a repository ends when it is told to, with a sentence."""
    place.program(
        "ssh",
        f"#!/usr/bin/env bash\n: >{place.notes}/ssh\nfor _ in {{1..200}}; do [[ -e {place.notes}/go ]] && exit 1; read -rt 0.1 <> <(:) || :; done\n",
    )
    with place.start("code", code | {"repository_url": "git@forge.example.org:acme/shop.git"}) as process:
        until((place.notes / "ssh").exists, "ssh is started")
        process.send_signal(signal.SIGTERM)
        (place.notes / "go").touch()
        _output, errors = process.communicate(timeout=PATIENCE_S)
    assert process.returncode == 1
    assert "error: ended by SIGTERM before the agent has started" in errors
    assert place.results() == {"error": "ended by SIGTERM before the agent has started"}


def test_what_a_killed_attempt_left_is_taken_up(place, code):
    """Issue 8.6, 8.7: a lock of git and uncommitted work in the workspace; the next attempt pushes both."""
    work = place.workspace / "source" / "cart"
    with place.start("code", code, SAMPLE_HANG="true") as process:
        until(lambda: place.transcripts() and "Success!" in place.transcripts()[0].read_text(), "the last row")
        for child in Path(f"/proc/{process.pid}/task/{process.pid}/children").read_text().split():
            with contextlib.suppress(ProcessLookupError):
                os.kill(int(child), signal.SIGKILL)
        process.kill()
        process.communicate(timeout=PATIENCE_S)
    (work / ".git" / "index.lock").touch()
    (work / "services" / "cart" / "half.py").write_text("half = True\n", encoding="utf-8")
    (place.workspace / "docs" / "cart" / "README.md").write_text("changed by accident\n", encoding="utf-8")
    place.new_pod()
    done = place.run("code", code | {"context_version": 2})
    assert done.returncode == 0, done.stderr
    assert place.forge_git("show", f"{BRANCH}:services/cart/half.py") == "half = True"


def test_a_clone_that_was_cut_off_is_made_anew(place, code):
    """Issue 8.7: only a whole clone has the name."""
    half = place.workspace / "source" / "cart.new" / ".git"
    half.mkdir(parents=True)
    assert place.run("code", code).returncode == 0
    assert not half.exists()


def test_the_agents_status_is_the_jobs(place, code):
    """OR-360: with the pull request opened all the same."""
    done = place.run("code", code, SAMPLE_STATUS="3")
    assert (done.returncode, "error: the agent ended with status 3" in done.stderr) == (3, True)
    assert "pullRequestUrl" in place.results()


def test_a_sentence_of_the_script_is_the_runs(place, code):
    """Issue 8.7: as JSON, whatever is in it; the controller puts it into the run's condition."""
    odd = 'file:///no"where\\at all'
    assert place.run("code", code | {"repository_url": odd}).returncode == 1
    assert place.results()["error"].startswith(f"repository {odd} cannot be read by agent-one")


@pytest.mark.parametrize(
    ("env", "says"),
    [
        ({"GH_HOST": "127.0.0.1:1"}, "does not answer"),
        ({"GH_HOST": ""}, "set GH_HOST"),
        ({"GH_ENTERPRISE_TOKEN": ""}, "set GH_ENTERPRISE_TOKEN"),
    ],
)
def test_a_forge_that_cannot_be_asked_costs_no_work(place, code, env, says):
    """OR-178: the branch is pushed and the run does not fail; why there is no pull request is said."""
    done = place.run("code", code, **env)
    assert done.returncode == 0, done.stderr
    assert says in done.stderr
    assert "the pull request could not be opened" in done.stderr
    assert place.forge.repositories.head(CODE_REPOSITORY, BRANCH)
    assert "pullRequestUrl" not in place.results()


def test_secrets_stay_where_they_are(place, code):
    """D6: the forge's token is in no output, no file of the workspace, no transcript and no result."""
    done = place.run("code", code)
    files = [p for p in place.folder.rglob("*") if p.is_file() and "forge" not in p.relative_to(place.folder).parts]
    assert TOKEN not in done.stdout + done.stderr
    assert [p for p in files if TOKEN.encode() in p.read_bytes()] == []


def test_a_docs_run_describes_each_task(place):
    """OR-192, issue 8.6: three texts a task, on a branch of their own, proposed to the source branch."""
    done = place.run(
        "docs", {"repository_url": place.url(CODE_REPOSITORY), "working_directory": ".", "source_branch": "main"}
    )
    assert done.returncode == 0, done.stderr
    assert place.results() == {
        "promptMode": "direct",
        "pullRequestUrl": "http://forge.example.org/acme/shop/pull/1",
        "sessionId": place.transcripts()[0].stem,
    }
    [branch] = place.forge_git("for-each-ref", "--format=%(refname:short)", "refs/heads/docs-*").splitlines()
    assert place.forge_git("diff", "--name-only", "main", branch).splitlines() == [
        f".taskmaster/docs/task-{number}/{name}"
        for number in (7, 8)
        for name in ("acceptance-criteria.md", "prompt.md", "task.md")
    ]


def test_a_docs_run_whose_agent_fails(place):
    """OR-360: its documents are proposed, and the job fails."""
    values = {"repository_url": place.url(CODE_REPOSITORY), "working_directory": ".", "source_branch": "main"}
    done = place.run("docs", values, SAMPLE_STATUS="4")
    assert (done.returncode, "error: the agent ended with status 4" in done.stderr) == (4, True)

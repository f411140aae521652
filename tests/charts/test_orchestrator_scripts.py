# SPDX-License-Identifier: GPL-3.0-or-later
# SPDX-FileCopyrightText: 2026 The orchestrator.platform authors
"""The start scripts and hooks as they run: real bash and git against bare repositories on disk, a stand-in for the agent and for gh.

The stand-in of the agent notes its arguments and prompt, does a piece of work, and runs the Stop hook as the real client does.
"""

from __future__ import annotations

import json
import os
import shutil
from pathlib import Path

import agent_templates as a
import pytest
from job_place import Place

pytestmark = pytest.mark.skipif(not shutil.which("git"), reason="git is not installed")

AGENT = """#!/usr/bin/env bash
set -eu
printf '%s\\n' "$@" >"$NOTES/arguments"
sessions=$HOME/.claude/projects/$(printf '%s' "$PWD" | sed 's/[^A-Za-z0-9]/-/g')
mkdir -p "$sessions"
echo '{}' >>"$sessions/11111111-2222.jsonl"
cat >"$NOTES/prompt"
cp -R . "$NOTES/work"
mkdir -p src .taskmaster/docs/task-7
date +%N >src/work.txt
date +%N >.taskmaster/docs/task-7/task.md
hook=$(python3 -c 'import json; print(json.load(open(".claude/settings.local.json"))["hooks"]["Stop"][0]["hooks"][0]["command"])')
echo '{"stop_hook_active": false}' | CLAUDE_PROJECT_DIR=$PWD bash -c "$hook"
exit "${AGENT_STATUS:-0}"
"""
GH = """#!/usr/bin/env bash
printf '%s\\n' "$*" >>"$NOTES/gh"
[[ $2 == list ]] || echo https://git.example.org/o/shop/pull/1
"""


@pytest.fixture
def place(tmp_path) -> Place:
    made = Place(tmp_path)
    made.program("claude", AGENT)
    made.program("gh", GH)
    return made


@pytest.fixture
def code(place) -> dict[str, object]:
    task = "_projects/shop/.taskmaster/docs/task-7"
    return {
        "repository_url": place.repository("shop", {"README.md": "shop\n", "services/api/main.py": "pass\n", "src/task/x": "x\n"}),
        "docs_repository_url": place.repository("docs", {f"{task}/prompt.md": "Do it.\n", f"{task}/task.md": "What.\n"}),
    }  # fmt: skip


@pytest.fixture
def docs(place) -> dict[str, object]:
    files = {"services/api/.taskmaster/tasks/tasks.json": "{}\n", "services/api/main.py": "pass\n"}
    return {"repository_url": place.repository("shop", files)}


def files_of(place: Place, repository: str, branch: str) -> set[str]:
    bare = Path(repository.removeprefix("file://"))
    return set(place.git("ls-tree", "-r", "--name-only", branch, cwd=bare).splitlines())


BRANCH = "feature/task-7-implementation"


def test_a_code_run(place, code):
    """OR-191, OR-178, OR-186: clone, branch, files, prompt, agent, then commit, push and pull request by the hook."""
    done = place.run("code", code)
    assert done.returncode == 0, done.stderr
    arguments = place.noted("arguments").split("\n")
    assert arguments[:6] == ["--print", "--output-format", "stream-json", "--verbose", "--model", a.FULL["model"]]
    assert "--continue" not in arguments, "there is nothing yet to continue"
    assert "there is no former session of task 7 to continue: a new one begins" in done.stdout
    assert place.noted("prompt").startswith("Do it.\n")
    assert place.noted("prompt").endswith("Tests fail:\n'x' < \"y\"\n")
    assert files_of(place, code["repository_url"], BRANCH) == {
        "README.md", "services/api/main.py", "src/task/x", "services/api/src/work.txt", "services/api/.taskmaster/docs/task-7/task.md",
    }, "what was put there for the agent stays out of the commit"  # fmt: skip
    author = place.git(
        "log", "-1", "--format=%an <%ae>", BRANCH, cwd=Path(code["repository_url"].removeprefix("file://"))
    )
    assert author == "agent-one <agent-one@users.noreply.github.com>"
    assert f"pr create --head {BRANCH} --base main --title Task 7: implementation for api" in place.noted("gh")
    assert "pull request: https://git.example.org/o/shop/pull/1" in done.stdout


def test_the_files_of_a_code_run_are_where_the_agent_looks(place, code):
    """OR-186, OR-191: memory, settings, tools, rules and the task's texts; the tool lists are lists."""
    place.run("code", code)
    work = place.notes / "work"
    there = {str(path.relative_to(work)) for path in work.rglob("*") if path.is_file()}
    assert there >= {
        "CLAUDE.md", ".mcp.json", "client-config.json", "task/prompt.md", "task/task.md", ".claude/settings.local.json",
        ".claude/coding-guidelines.md", ".claude/github-guidelines.md", ".claude/mcp-tools.md", ".claude/hooks/stop-code-pr-creation.sh",
    }  # fmt: skip
    assert os.access(work / ".claude/hooks/stop-code-pr-creation.sh", os.X_OK)
    client = json.loads((work / "client-config.json").read_text(encoding="utf-8"))
    assert client == {"localTools": ["filesystem", "git"], "remoteTools": ["search", "docs"]}


def test_no_tools_are_empty_lists(place, code):
    """OR-228, OR-229: not a list with an empty name."""
    place.run("code", code | {"local_tools": "", "remote_tools": ""})
    client = json.loads((place.notes / "work" / "client-config.json").read_text(encoding="utf-8"))
    assert client == {"localTools": [], "remoteTools": []}


def test_a_second_attempt_carries_on(place, code):
    """OR-191, OR-232: the branch and its commits are kept, the docs are brought up to date, and no second pull request is made."""
    assert place.run("code", code).returncode == 0
    place.program(
        "gh", GH.replace("[[ $2 == list ]] ||", "[[ $2 == list ]] && echo https://git.example.org/o/shop/pull/1 ||")
    )
    shutil.rmtree(place.notes / "work")
    (place.notes / "gh").unlink()
    done = place.run("code", code | {"continue_session": False, "prompt_modification": "", "context_version": 3})
    assert done.returncode == 0, done.stderr
    assert "--continue" not in place.noted("arguments")
    assert place.noted("prompt") == "Do it.\n"
    commits = place.git(
        "rev-list", "--count", f"main..{BRANCH}", cwd=Path(code["repository_url"].removeprefix("file://"))
    )
    assert commits == "2"
    assert "pr create" not in place.noted("gh")


@pytest.mark.parametrize(("overwrite", "kept"), [(False, True), (True, False)])
def test_memory_is_kept_unless_told(place, code, overwrite, kept):
    """OR-191, OR-233."""
    place.run("code", code)
    memory = place.workspace / "source" / "api" / "services" / "api" / "CLAUDE.md"
    memory.write_text("what I have learnt\n", encoding="utf-8")
    place.run("code", code | {"overwrite_memory": overwrite})
    assert (memory.read_text(encoding="utf-8") == "what I have learnt\n") is kept


def test_the_agents_failure_is_the_jobs(place, code):
    """OR-360: the job fails when the agent does, and what it did is pushed all the same."""
    assert place.run("code", code, AGENT_STATUS="3").returncode == 3
    assert "services/api/src/work.txt" in files_of(place, code["repository_url"], BRANCH)


@pytest.mark.parametrize("kind", ["code", "docs"])
def test_without_gh_the_branch_is_pushed(place, request, kind):
    """OR-178, OR-192: the image may lack gh; the work is not lost."""
    values = request.getfixturevalue(kind)
    (place.programs / "gh").unlink()
    done = place.run(kind, values)
    assert done.returncode == 0, done.stderr
    assert "the image has no gh" in done.stdout


# (id, changed values, what is taken away, what the message says)
STOPS = [
    ("no key", {}, "workspace/.ssh/id_ed25519", ["Secret github-ssh-agent-one", "ssh-privatekey"]),
    ("no agent", {}, "bin/claude", ["claude is not in this image"]),
    ("unreachable", {"repository_url": "file:///nowhere"}, "", ["file:///nowhere cannot be read by agent-one", "the account's rights"]),
    ("option as address", {"repository_url": "--upload-pack=touch x"}, "", ["cannot be read"]),
    ("no task", {"task_id": 8}, "", ["task 8 has no folder .taskmaster/docs/task-8", "_projects/shop"]),
    ("task is no number", {"task_id": "7;x"}, "", ["give a whole number"]),
    ("service as path", {"service": "../api"}, "", ["the service is '../api'"]),
    ("outside", {"working_directory": "a/../../b"}, "", ["workingDirectory is 'a/../../b'", "inside the repository"]),
    ("absolute", {"docs_project_directory": "/etc"}, "", ["docsProjectDirectory is '/etc'"]),
]  # fmt: skip


@pytest.mark.parametrize(("values", "gone", "says"), [s[1:] for s in STOPS], ids=[s[0] for s in STOPS])
def test_a_code_run_stops_with_a_sentence(place, code, values, gone, says):
    """OR-191: before the agent starts, and with what to look at."""
    if gone:
        (place.folder / gone).unlink()
    done = place.run("code", code | values)
    assert done.returncode == 1, done.stdout
    assert [part for part in says if part not in done.stderr] == [], done.stderr
    assert not (place.notes / "arguments").exists()


def test_broken_settings_stop_the_run(place, code):
    """OR-191: the managed settings are read before the agent does."""
    (place.folder / "managed.json").write_text("{", encoding="utf-8")
    done = place.run("code", code)
    assert (done.returncode, "is no JSON: look at the settings template" in done.stderr) == (1, True)


def test_the_token_reaches_git_by_the_environment_only(place, code):
    """D6: it stands in no file of the workspace, in no argument and in no output."""
    done = place.run("code", code, GITHUB_TOKEN="canary-token-4411")
    assert done.returncode == 0, done.stderr
    assert "canary-token-4411" not in done.stdout + done.stderr + place.noted("arguments") + place.noted("gh")
    texts = [p.read_bytes() for p in place.workspace.rglob("*") if p.is_file()]
    assert not [text for text in texts if b"canary-token-4411" in text]


def test_a_docs_run(place, docs):
    """OR-187, OR-192: shallow clone, prompt, agent; the documents alone are proposed, to the source branch."""
    done = place.run("docs", docs)
    assert done.returncode == 0, done.stderr
    assert "tasks.json" in place.noted("prompt")
    bare = Path(docs["repository_url"].removeprefix("file://"))
    [branch] = place.git("for-each-ref", "--format=%(refname:short)", "refs/heads/docs-*", cwd=bare).splitlines()
    assert files_of(place, docs["repository_url"], branch) - files_of(place, docs["repository_url"], "main") == {
        "services/api/.taskmaster/docs/task-7/task.md"
    }
    assert f"pr create --head {branch} --base main" in place.noted("gh")


def test_a_docs_run_needs_a_task_list(place):
    """OR-192."""
    done = place.run("docs", {"repository_url": place.repository("bare", {"x": "x"})})
    assert done.returncode == 1
    assert "there is no .taskmaster/tasks/tasks.json" in done.stderr

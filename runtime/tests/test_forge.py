# SPDX-License-Identifier: GPL-3.0-or-later
# SPDX-FileCopyrightText: 2026 The orchestrator.platform authors
"""The demo's forge answers as GitHub's REST API does where our hooks ask it, and its client says what is wrong (issue 8.6)."""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import subprocess
import sys
import threading

import pytest
from processes import SRC, get

from platform_demo.forge import Forge
from platform_demo.forge_client import ForgeError, api_from, chosen, repository_of
from platform_demo.forge_git import Repositories
from platform_demo.forge_seed import CODE_REPOSITORY, REPOSITORIES
from platform_demo.sample_coder import docs_steps, steps_for
from platform_demo.web import make_server

pytestmark = pytest.mark.skipif(not shutil.which("git"), reason="git is not installed")

TOKEN = "token-of-the-forge"
PULLS = f"/api/v3/repos/{CODE_REPOSITORY}/pulls"


class Served:
    """A forge on loopback with one branch to propose, whose name and subject try to become markup."""

    def __init__(self, folder) -> None:
        self.folder = folder
        self.forge = Forge(
            folder, public_url="http://forge.example.org/", token_sha256=hashlib.sha256(TOKEN.encode()).hexdigest()
        )
        self.forge.seed()
        self.server = make_server(0, self.forge, address="127.0.0.1")
        self.base = f"http://127.0.0.1:{self.server.server_address[1]}"
        threading.Thread(target=self.server.serve_forever, args=(0.02,), daemon=True).start()

    def commit(self, branch: str, subject: str) -> None:
        git = f"{self.folder}/{CODE_REPOSITORY}.git"
        data = f"data {len(subject)}\n{subject}\n"
        stream = (
            f"commit refs/heads/{branch}\ncommitter A <a@example.org> 1767225600 +0000\n{data}from refs/heads/main^0\n"
        )
        stream += "M 644 inline note.txt\ndata 18\n<script>1</script>\n"
        subprocess.run(["git", f"--git-dir={git}", "fast-import", "--quiet"], input=stream, text=True, check=True)

    def call(self, path: str, content=None, token: str = TOKEN):
        data = json.dumps(content).encode() if content is not None else None
        return get(self.base + path, data=data, headers={"Authorization": f"Bearer {token}"} if token else {})


@pytest.fixture
def forge(tmp_path):
    served = Served(tmp_path / "git")
    served.commit("feature/x", "<b>bold</b>")
    yield served
    served.server.shutdown()
    served.server.server_close()


WANTED = {"title": "T <i>", "head": "feature/x", "base": "main", "body": "<img src=x>"}


def test_open_list_and_get(forge):
    """201 with number and address; the list by branch, with or without its owner; the page shows all of it as text."""
    status, made = forge.call(PULLS, WANTED)
    assert (status, made["number"], made["state"]) == (201, 1, "open")
    assert made["html_url"] == f"http://forge.example.org/{CODE_REPOSITORY}/pull/1"
    assert made["head"]["ref"] == "feature/x"
    for head in ("feature/x", "acme:feature/x"):
        assert [pull["number"] for pull in forge.call(f"{PULLS}?head={head}&state=open")[1]] == [1]
    assert forge.call(f"{PULLS}?head=feature/y")[1] == []
    assert forge.call(f"{PULLS}?state=closed")[1] == []
    assert forge.call(f"{PULLS}/1")[1]["title"] == "T <i>"
    assert forge.call(f"{PULLS}/2")[0] == 404


def test_pages_hold_no_markup_of_others(forge):
    forge.call(PULLS, WANTED)
    status, page = forge.call(f"/{CODE_REPOSITORY}/pull/1", token="")
    assert status == 200
    assert "&lt;b&gt;bold&lt;/b&gt;" in page
    assert "&lt;script&gt;" in page
    assert not [tag for tag in ("<b>", "<script", "<img", "<i>") if tag in page]
    assert f'href="/{CODE_REPOSITORY}/pull/1"' in forge.call("/", token="")[1]
    assert forge.call(f"/{CODE_REPOSITORY}/pull/9", token="")[0] == 404
    assert "color-scheme" in forge.call("/forge.css", token="")[1]


@pytest.mark.parametrize(
    ("change", "says"),
    [
        ({"title": " "}, "title has to be"),
        ({"head": "feature/none"}, "head is no branch"),
        ({"base": 7}, "base is no branch"),
        ({"head": "--upload-pack=x"}, "head is no branch"),
        ({"head": "main"}, "No commits between main and main"),
    ],
)
def test_what_is_refused(forge, change, says):
    status, body = forge.call(PULLS, WANTED | change)
    assert (status, body["message"]) == (422, "Validation Failed")
    assert says in body["errors"][0]["message"]


def test_a_second_one_for_the_same_branch_is_refused(forge):
    assert forge.call(PULLS, WANTED)[0] == 201
    status, body = forge.call(PULLS, WANTED)
    assert (status, "already exists" in body["errors"][0]["message"]) == (422, True)


@pytest.mark.parametrize("token", ["", "wrong"])
def test_the_api_wants_the_token(forge, token):
    assert forge.call(PULLS, token=token) == (401, {"message": "Bad credentials"})


@pytest.mark.parametrize(
    "path", ["/api/v3/repos/acme/none/pulls", "/api/v3/repos/acme/..%2fx/pulls", "/api/v3/user", "/none"]
)
def test_unknown_paths(forge, path):
    assert forge.call(path)[0] == 404


def test_a_restart_keeps_pull_requests_and_pushes(forge):
    """What was pushed and opened outlives the program; the seed does not come over it."""
    forge.call(PULLS, WANTED)
    again = Forge(forge.folder, public_url="http://forge.example.org")
    again.seed()
    assert again.repositories.head(CODE_REPOSITORY, "feature/x")
    assert again._find(CODE_REPOSITORY, "1")["title"] == "T <i>"


def test_a_repository_that_was_half_made_is_made_anew(tmp_path):
    """A start that was cut off leaves no repository without its files."""
    (tmp_path / "acme" / "shop.new").mkdir(parents=True)
    Repositories(tmp_path).seed(CODE_REPOSITORY, REPOSITORIES[CODE_REPOSITORY])
    assert Repositories(tmp_path).head(CODE_REPOSITORY, "main")


@pytest.mark.parametrize(
    "address",
    [
        "git@forge.svc:acme/shop.git",
        "ssh://git@forge.svc:2222/acme/shop.git",
        "http://forge.svc/acme/shop",
        "file:///x/acme/shop.git",
    ],
)
def test_the_client_reads_every_form_of_address(address):
    assert repository_of(address) == "acme/shop"


def test_the_client_refuses_an_address_without_owner():
    with pytest.raises(ForgeError, match="no owner and name"):
        repository_of("shop")


@pytest.mark.parametrize(("env", "says"), [({}, "GH_HOST"), ({"GH_HOST": "x"}, "GH_ENTERPRISE_TOKEN")])
def test_the_client_names_the_variable_that_is_missing(env, says):
    with pytest.raises(ForgeError, match=says) as caught:
        api_from(env)
    assert caught.value.status == 4


def test_the_clients_json(forge):
    """As the hooks ask: one field of the first, nothing when there is none; anything else is refused, not guessed."""
    forge.call(PULLS, WANTED)
    pulls = forge.call(PULLS)[1]
    assert chosen(pulls, "url", ".[0].url") == pulls[0]["html_url"]
    assert chosen([], "url", ".[0].url") == ""
    assert json.loads(chosen(pulls, "number,headRefName", "")) == [{"number": 1, "headRefName": "feature/x"}]
    for fields, query in (("nonsense", ""), ("url", ".[] | .url")):
        with pytest.raises(ForgeError):
            chosen(pulls, fields, query)


def test_the_program_tells_the_forges_own_reason(forge, tmp_path):
    """An exit status and one line on standard error, with HTTP status and sentence, and without the token."""
    env = {
        "PATH": os.environ["PATH"], "PYTHONPATH": str(SRC), "GH_HOST": forge.base.removeprefix("http://"),
        "GH_ENTERPRISE_TOKEN": "a-wrong-token",
    }  # fmt: skip
    clone = tmp_path / "clone"
    subprocess.run(["git", "clone", "--quiet", f"{forge.folder}/{CODE_REPOSITORY}.git", str(clone)], check=True)
    argv = [sys.executable, "-m", "platform_demo.forge_client", "pr", "list", "--head", "main", "--json", "url"]
    done = subprocess.run(argv, cwd=clone, env=env, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr.startswith("gh: HTTP 401: Bad credentials")
    assert "a-wrong-token" not in done.stderr


def test_steps_of_a_task_list():
    """Three texts a task; a list that is none is refused."""
    steps = docs_steps({"tasks": [{"id": 3, "title": "Three", "dependencies": [1, 2]}]})
    written = {step["write"]: step["content"] for step in steps if "write" in step}
    assert sorted(written) == [
        f".taskmaster/docs/task-3/{name}" for name in ("acceptance-criteria.md", "prompt.md", "task.md")
    ]
    assert "Needs: 1, 2." in written[".taskmaster/docs/task-3/task.md"]
    with pytest.raises(Exception, match="no list of tasks"):
        docs_steps({"tasks": [7]})


def test_without_prepared_work_the_prompt_is_written_down(tmp_path):
    steps = steps_for(tmp_path, "Do it.\n\n## What is new in attempt 3\n\nTests fail.\n")
    assert [step["write"] for step in steps if "write" in step] == ["sample-work.md", "attempt-3.md"]

# SPDX-License-Identifier: GPL-3.0-or-later
# SPDX-FileCopyrightText: 2026 The orchestrator.platform authors
"""A small git forge: repositories over SSH, pull requests by a REST API like GitHub's, and a page that lists them.

Environment: STATE_DIR, PORT, BIND_ADDR, SSH_PORT (0: no SSH), AUTHORIZED_KEYS (a file), PUBLIC_URL, FORGE_TOKEN_SHA256.
"""

from __future__ import annotations

import hashlib
import hmac
import html
import json
import os
import re
import signal
import sys
import threading
import time
from importlib import resources
from pathlib import Path
from typing import TYPE_CHECKING, Any

from platform_demo.forge_git import REPOSITORY, GitError, Repositories, start_sshd
from platform_demo.forge_seed import REPOSITORIES
from platform_demo.web import Call, Reply, make_server

if TYPE_CHECKING:
    import subprocess
    from collections.abc import Callable, Mapping

API = "/api/v3"  # where GitHub's own server for companies has it
MAX_PULLS = 1_000
MAX_TITLE_CHARS = 256
# A page holds no script at all, and nothing but our own style sheet.
PAGE_HEADERS = {
    "Content-Type": "text/html; charset=utf-8",
    "Content-Security-Policy": (
        "default-src 'none'; style-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
    ),
    "X-Content-Type-Options": "nosniff",
}
NOT_FOUND = Reply(404, {"message": "Not Found"})
BAD_CREDENTIALS = Reply(401, {"message": "Bad credentials"})


def invalid(message: str) -> Reply:
    """A request that is understood and refused, in GitHub's shape."""
    errors = [{"resource": "PullRequest", "code": "custom", "message": message}]
    return Reply(422, {"message": "Validation Failed", "errors": errors})


class Forge:
    """Routes over the repositories; pull requests are kept in one file beside them."""

    def __init__(self, folder: Path, *, public_url: str, token_sha256: str = "") -> None:
        self.repositories = Repositories(folder)
        self._public_url = public_url.rstrip("/")
        self._token_sha256 = token_sha256
        self._file = folder / "pulls.json"
        self._lock = threading.Lock()
        self._pulls: list[dict[str, Any]] = []
        if self._file.exists():
            self._pulls = json.loads(self._file.read_text(encoding="utf-8"))
        api: list[tuple[str, str, Callable[..., Reply]]] = [
            ("GET", rf"{API}/repos/({REPOSITORY})/pulls", self._list),
            ("POST", rf"{API}/repos/({REPOSITORY})/pulls", self._create),
            ("GET", rf"{API}/repos/({REPOSITORY})/pulls/(\d{{1,9}})", self._get),
        ]
        pages: list[tuple[str, str, Callable[..., Reply]]] = [
            ("GET", "/healthz", lambda _call: Reply(200, {"status": "ok"})),
            ("GET", "/", self._front_page),
            ("GET", "/forge.css", _style_sheet),
            ("GET", rf"/({REPOSITORY})/pull/(\d{{1,9}})", self._pull_page),
        ]
        self._api = [(method, re.compile(path), route) for method, path, route in api]
        self._pages = [(method, re.compile(path), route) for method, path, route in pages]

    def seed(self, contents: Mapping[str, Mapping[str, str]] | None = None) -> None:
        """Make the repositories that are not there; without an argument those of the demo."""
        for name, files in (REPOSITORIES if contents is None else contents).items():
            self.repositories.seed(name, files)

    def answer(self, call: Call) -> Reply | None:
        """The answer to a request."""
        is_api = call.path.startswith(API + "/")
        if is_api and not self._is_known(call):
            return BAD_CREDENTIALS
        for method, path, route in self._api if is_api else self._pages:
            match = path.fullmatch(call.path)
            if match and method == call.method:
                try:
                    return route(call, *match.groups())
                except GitError as exc:
                    return Reply(500, {"message": f"git failed: {exc}"})
        return NOT_FOUND

    def _is_known(self, call: Call) -> bool:
        kind, _space, token = call.headers.get("authorization", "").partition(" ")
        if kind.lower() not in ("bearer", "token") or not token:
            return False
        seen = hashlib.sha256(token.encode("latin-1")).hexdigest()
        return not self._token_sha256 or hmac.compare_digest(seen, self._token_sha256)

    # The API.

    def _list(self, call: Call, name: str) -> Reply:
        if not self.repositories.has(name):
            return NOT_FOUND
        head, state = call.query.get("head", ""), call.query.get("state") or "open"
        branch = head.partition(":")[2] or head
        with self._lock:
            found = [
                self._public(pull)
                for pull in reversed(self._pulls)
                if pull["repository"] == name and state in ("all", pull["state"]) and branch in ("", pull["head"])
            ]
        return Reply(200, found)

    def _get(self, _call: Call, name: str, number: str) -> Reply:
        pull = self._find(name, number)
        return Reply(200, self._public(pull)) if pull else NOT_FOUND

    def _create(self, call: Call, name: str) -> Reply:
        if not self.repositories.has(name):
            return NOT_FOUND
        title, head, base, body = (call.field(key) for key in ("title", "head", "base", "body"))
        if not isinstance(title, str) or not 1 <= len(title.strip()) <= MAX_TITLE_CHARS:
            return invalid(f"title has to be a text of 1 to {MAX_TITLE_CHARS} characters")
        for key, branch in (("head", head), ("base", base)):
            if not isinstance(branch, str) or not self.repositories.head(name, branch):
                return invalid(f"{key} is no branch of {name}")
        assert isinstance(head, str)  # noqa: S101 - the loop has looked
        assert isinstance(base, str)  # noqa: S101
        if not self.repositories.commits(name, base, head):
            return invalid(f"No commits between {base} and {head}")
        wanted = {"title": title.strip(), "body": body if isinstance(body, str) else "", "head": head, "base": base}
        with self._lock:
            return self._open(name, wanted)

    def _open(self, name: str, wanted: dict[str, str]) -> Reply:
        own = [pull for pull in self._pulls if pull["repository"] == name]
        if any((pull["head"], pull["base"]) == (wanted["head"], wanted["base"]) for pull in own):
            return invalid(f"A pull request already exists for {name.partition('/')[0]}:{wanted['head']}.")
        if len(self._pulls) >= MAX_PULLS:
            return invalid(f"this forge keeps {MAX_PULLS} pull requests")
        created = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime())
        pull = {"repository": name, "number": len(own) + 1, "state": "open", "created_at": created, **wanted}
        self._pulls.append(pull)
        fresh = self._file.with_suffix(".new")
        fresh.write_text(json.dumps(self._pulls), encoding="utf-8")
        fresh.replace(self._file)
        return Reply(201, self._public(pull))

    def _find(self, name: str, number: str) -> dict[str, Any] | None:
        with self._lock:
            return next((p for p in self._pulls if (p["repository"], p["number"]) == (name, int(number))), None)

    def _public(self, pull: Mapping[str, Any]) -> dict[str, Any]:
        """A pull request in GitHub's shape."""
        name = pull["repository"]
        shown = {key: pull[key] for key in ("number", "state", "title", "body", "created_at")}
        sides = {
            side: {"ref": pull[side], "sha": self.repositories.head(name, pull[side])} for side in ("head", "base")
        }
        return shown | sides | {"html_url": f"{self._public_url}/{name}/pull/{pull['number']}"}

    # The pages.

    def _front_page(self, _call: Call) -> Reply:
        with self._lock:
            pulls = list(reversed(self._pulls))
        rows = [
            f'<li><a href="/{_text(p["repository"])}/pull/{p["number"]}">{_text(p["title"])}</a> '
            f"<small>{_text(p['repository'])} #{p['number']}, {_text(p['created_at'])}</small></li>"
            for p in pulls
        ]
        listed = f"<ul>{''.join(rows)}</ul>" if rows else "<p>None yet.</p>"
        names = "".join(f"<li><code>{_text(name)}</code></li>" for name in self.repositories.names())
        return page("Forge", f"<h2>Pull requests</h2>{listed}<h2>Repositories</h2><ul>{names}</ul>")

    def _pull_page(self, _call: Call, name: str, number: str) -> Reply:
        pull = self._find(name, number)
        if pull is None:
            return page("Not found", f"<p>{_text(name)} has no pull request {_text(number)}.</p>", status=404)
        commits = "".join(
            f"<li><code>{commit.sha[:8]}</code> {_text(commit.subject)} <small>{_text(commit.author)}</small></li>"
            for commit in self.repositories.commits(name, pull["base"], pull["head"])
        )
        changes = self.repositories.changes(name, pull["base"], pull["head"])
        branches = f"<code>{_text(pull['head'])}</code> into <code>{_text(pull['base'])}</code> of {_text(name)}"
        return page(
            pull["title"],
            f'<p><a href="/">Forge</a> · {branches} · {_text(pull["state"])} · {_text(pull["created_at"])}</p>'
            f"<p>{_text(pull['body'])}</p><h2>Commits</h2><ul>{commits}</ul><h2>Changes</h2><pre>{_text(changes)}</pre>",
        )


def page(title: str, body: str, *, status: int = 200) -> Reply:
    """A whole page; the body is HTML already, the title is not."""
    shown = _text(title)
    content = (
        f'<!doctype html><html lang="en"><head><meta charset="utf-8"><title>{shown}</title>'
        '<meta name="viewport" content="width=device-width"><link rel="stylesheet" href="/forge.css"></head>'
        f"<body><main><h1>{shown}</h1>{body}</main></body></html>\n"
    )
    return Reply(status, headers=PAGE_HEADERS, raw=content.encode())


def _text(value: object) -> str:
    return html.escape(str(value))


def _style_sheet(_call: Call) -> Reply:
    content = resources.files("platform_demo").joinpath("static", "forge.css").read_bytes()
    return Reply(200, headers={"Content-Type": "text/css; charset=utf-8"}, raw=content)


def main() -> int:
    """Serve until SIGTERM, or until the SSH server ends."""
    env = os.environ
    try:
        port, ssh_port = int(env.get("PORT") or 8082), int(env.get("SSH_PORT") or 2222)
    except ValueError:
        sys.stderr.write("demo-forge: PORT and SSH_PORT have to be numbers\n")
        return 2
    folder = Path(env.get("STATE_DIR") or "/srv/git")
    forge = Forge(
        folder,
        public_url=env.get("PUBLIC_URL") or f"http://127.0.0.1:{port}",
        token_sha256=env.get("FORGE_TOKEN_SHA256", "").strip().lower(),
    )
    # Before anything that takes long: as process 1 of a container it would not be ended by a signal without a handler.
    signal.signal(signal.SIGTERM, lambda _number, _frame: sys.exit(0))
    sshd: subprocess.Popen[bytes] | None = None
    try:
        forge.seed()
        if ssh_port:
            keys = Path(env.get("AUTHORIZED_KEYS") or folder / "authorized_keys")
            sshd = start_sshd(folder, port=ssh_port, authorized_keys=keys)
        return _serve(forge, port, env.get("BIND_ADDR", ""), sshd)
    except (GitError, OSError) as exc:
        sys.stderr.write(f"demo-forge: {exc}\n")
        return 1
    finally:
        if sshd is not None:
            sshd.terminate()


def _serve(forge: Forge, port: int, address: str, sshd: subprocess.Popen[bytes] | None) -> int:
    server = make_server(port, forge, address=address)
    if sshd is not None:
        # A forge that answers and takes no push would only confuse: the pod is to be restarted.
        def end_with_it() -> None:
            sshd.wait()
            server.shutdown()

        threading.Thread(target=end_with_it, daemon=True).start()
    sys.stderr.write(f"forge on port {server.server_address[1]}\n")
    server.serve_forever()
    sys.stderr.write("demo-forge: the SSH server has ended\n")
    return 1


if __name__ == "__main__":
    sys.exit(main())

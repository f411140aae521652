# SPDX-License-Identifier: GPL-3.0-or-later
# SPDX-FileCopyrightText: 2026 The orchestrator.platform authors
"""A stand-in for the program `gh`: lists and opens pull requests at the forge, with the options that our hooks give.

Environment as the real one reads it for a host of one's own: GH_HOST and GH_ENTERPRISE_TOKEN. Talks HTTP, as the forge
does.
"""

from __future__ import annotations

import argparse
import json
import os
import re
import subprocess
import sys
import urllib.error
import urllib.parse
import urllib.request
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

TIMEOUT_S = 30
MAX_ANSWER_CHARS = 500
# Fields of --json and where they stand in the forge's answer.
FIELDS: dict[str, tuple[str, ...]] = {
    "url": ("html_url",),
    "number": ("number",),
    "title": ("title",),
    "state": ("state",),
}
FIELDS |= {"headRefName": ("head", "ref"), "baseRefName": ("base", "ref"), "body": ("body",)}


class ForgeError(Exception):
    """What goes to standard error; `status` becomes the exit status."""

    def __init__(self, sentence: str, status: int = 1) -> None:
        super().__init__(sentence)
        self.status = status


def repository_of(address: str) -> str:
    """`<owner>/<name>` of a remote's address in any of git's forms; raises ForgeError."""
    path = address.removesuffix("/").removesuffix(".git")
    match = re.search(r"[:/]([^/:]+/[^/:]+)$", path)
    if not match:
        raise ForgeError(f"the remote origin is {address}: no owner and name of a repository can be read from it")
    return match[1]


def api_from(env: Mapping[str, str]) -> tuple[str, str]:
    """Address of the API and the token; raises ForgeError."""
    host, token = env.get("GH_HOST", ""), env.get("GH_ENTERPRISE_TOKEN", "")
    if not host:
        raise ForgeError("set GH_HOST to the forge's host and port: this stand-in knows no other", 4)
    if not token:
        raise ForgeError(
            "set GH_ENTERPRISE_TOKEN to a token of the forge: it is asked for by every host but github.com", 4
        )
    return f"http://{host}/api/v3", token


class Client:
    """The pull requests of one repository."""

    def __init__(self, api: str, token: str, repository: str) -> None:
        self._url = f"{api}/repos/{repository}/pulls"
        self._headers = {"Authorization": f"Bearer {token}", "Accept": "application/vnd.github+json"}

    def list(self, *, head: str, state: str) -> list[dict[str, Any]]:
        """Those from a branch."""
        found: list[dict[str, Any]] = self._call(f"?{urllib.parse.urlencode({'head': head, 'state': state})}")
        return found

    def create(self, wanted: Mapping[str, str]) -> dict[str, Any]:
        """Open one."""
        opened: dict[str, Any] = self._call("", json.dumps(wanted).encode())
        return opened

    def _call(self, query: str, data: bytes | None = None) -> Any:  # noqa: ANN401 - whatever JSON the forge answers
        headers = self._headers | ({"Content-Type": "application/json"} if data else {})
        request = urllib.request.Request(self._url + query, data=data, headers=headers)  # noqa: S310 - always http
        try:
            with urllib.request.urlopen(request, timeout=TIMEOUT_S) as answer:  # noqa: S310
                return json.load(answer)
        except urllib.error.HTTPError as exc:
            with exc:
                raise ForgeError(f"HTTP {exc.code}: {_reason(exc.read())} ({self._url})") from None
        except (OSError, ValueError) as exc:
            raise ForgeError(f"{self._url} does not answer: {exc}") from None


def _reason(body: bytes) -> str:
    """The forge's sentences, or the beginning of whatever it said."""
    try:
        content = json.loads(body)
        return ": ".join([content["message"], *(error["message"] for error in content.get("errors", []))])
    except (ValueError, TypeError, KeyError):
        return body.decode(errors="replace")[:MAX_ANSWER_CHARS]


def chosen(pulls: list[dict[str, Any]], fields: str, query: str) -> str:
    """What `--json FIELDS --jq QUERY` prints; of jq's language just `.[N].field` is known. Raises ForgeError."""
    names = fields.split(",")
    unknown = [name for name in names if name not in FIELDS]
    if unknown:
        raise ForgeError(f"unknown JSON field: {unknown[0]}")
    rows = []
    for pull in pulls:
        row = {}
        for name in names:
            value: Any = pull
            for key in FIELDS[name]:
                value = value[key]
            row[name] = value
        rows.append(row)
    if not query:
        return json.dumps(rows)
    match = re.fullmatch(r"\.\[(\d{1,3})\]\.(\w+)", query)
    if not match:
        raise ForgeError(f"--jq {query}: this stand-in knows .[N].field only")
    number, name = int(match[1]), match[2]
    return str(rows[number].get(name, "")) if number < len(rows) else ""


def arguments() -> argparse.ArgumentParser:
    """The options we know; the real program has many more."""
    parser = argparse.ArgumentParser(prog="gh", description="Stand-in for the GitHub CLI", allow_abbrev=False)
    pr = parser.add_subparsers(dest="group", required=True).add_parser("pr").add_subparsers(dest="verb", required=True)
    listing = pr.add_parser("list", allow_abbrev=False)
    listing.add_argument("--head", default="")
    listing.add_argument("--state", default="open", choices=["open", "closed", "merged", "all"])
    listing.add_argument("--json", default="number,title,headRefName,url")
    listing.add_argument("--jq", default="")
    create = pr.add_parser("create", allow_abbrev=False)
    for name in ("--head", "--base", "--title", "--body"):
        create.add_argument(name, required=True)
    return parser


def main(argv: Sequence[str] | None = None) -> int:
    """Run one command in a clone."""
    options = arguments().parse_args(argv)
    try:
        command = ["git", "remote", "get-url", "origin"]
        asked = subprocess.run(command, capture_output=True, text=True, check=False, timeout=TIMEOUT_S)  # noqa: S603
        if asked.returncode:
            raise ForgeError(f"no git remote origin: {asked.stderr.strip()}")
        client = Client(*api_from(os.environ), repository_of(asked.stdout.strip()))
        if options.verb == "list":
            pulls = client.list(head=options.head, state=options.state)
            sys.stdout.write(chosen(pulls, options.json, options.jq) + "\n")
        else:
            wanted = {key: getattr(options, key) for key in ("title", "head", "base", "body")}
            sys.stdout.write(client.create(wanted)["html_url"] + "\n")
    except ForgeError as exc:
        sys.stderr.write(f"gh: {exc}\n")
        return exc.status
    return 0


if __name__ == "__main__":
    sys.exit(main())

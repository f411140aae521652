# SPDX-License-Identifier: GPL-3.0-or-later
# SPDX-FileCopyrightText: 2026 The orchestrator.platform authors
"""From a REST request to the pull request: a CodeRun and a DocsRun with real Jobs, git over SSH, and a watched agent (issue 8.6, 8.9)."""

from __future__ import annotations

import json
import re

import pytest

from arrivals import MARKER, session_of
from real_cluster import ROOT, STATE, ansible_playbook, named, statuses
from runs_api import NAMESPACE, VARIABLES

testinfra_hosts = ["local://"]

WEBHOOK_ANNOTATION = "orchestrator.platform/webhook-secret-name"


def why(run) -> str:
    """The run's own words, for a failure."""
    return json.dumps(run.get("status"), indent=1)


def pull_of(cluster, url: str):
    """A pull request by its address, as the forge's API gives it."""
    number = re.fullmatch(r"http://forge\.coderun-forge\.svc:8082/acme/shop/pull/(\d+)", url)[1]
    token = VARIABLES["coderun_forge_token"]
    program = (
        "import sys, urllib.request as u; r = u.Request(sys.argv[1], headers={'Authorization': 'Bearer ' + sys.stdin.read()}); "
        "print(u.urlopen(r).read().decode())"
    )
    argv = ["exec", "--namespace=coderun-forge", "deploy/forge", "--stdin", "--", "python3", "-c", program]
    address = f"http://127.0.0.1:8082/api/v3/repos/acme/shop/pulls/{number}"
    return json.loads(cluster.kubectl(*argv, address, stdin=token))


def test_who_has_no_token_starts_nothing(orchestrator, task):
    """OR-351: the API is closed to others."""
    assert orchestrator.call("/api/v1/pm/tasks", task, token="wrong").status == 401


def test_it_succeeds_with_a_pull_request(cluster, code_run):
    """OR-240, OR-244, OR-255, OR-256, OR-360: phase, pull request, session, and no repeated work."""
    status = code_run["status"]
    assert status["phase"] == "Succeeded", why(code_run)
    assert status["workCompleted"] is True
    assert status["promptMode"] == "direct"
    pull = pull_of(cluster, status["pullRequestUrl"])
    assert (pull["head"]["ref"], pull["state"]) == ("feature/task-7-implementation", "open")
    assert pull["title"] == "Task 7: implementation for cart"


def test_the_commit_is_in_the_forge(cluster, code_run):
    """OR-178: what the agent wrote is on the branch, under the user's name."""
    git = ["git", "--git-dir=/srv/git/acme/shop.git"]
    argv = ["exec", "--namespace=coderun-forge", "deploy/forge", "--", *git]
    branch = "feature/task-7-implementation"
    assert "discounted" in cluster.kubectl(*argv, "show", f"{branch}:services/cart/cart.py")
    assert cluster.kubectl(*argv, "log", "-1", "--format=%an", branch).strip() == "sample-agent"


def test_its_messages_arrive(cluster, discord, code_run):
    """DM-194, D3: the native watcher of the Job's pod has told of the session, every step once and in order."""

    def shown():
        embeds = [embed for message in discord.messages() for embed in message["embeds"]]
        own = [e for e in embeds if session_of(e) == code_run["status"]["sessionId"][:8]]
        found = [MARKER.search(json.dumps(embed, ensure_ascii=False)) for embed in own]
        steps = [match[0] for match in found if match]
        return steps if "Success!" in json.dumps(own) else None

    steps = cluster.until(shown, "the agent's last sentence is in the channel", timeout_s=120)
    assert steps == sorted(set(steps))


def test_it_has_a_channel_of_its_own(cluster, discord, orchestrator, code_run):
    """DM-210, issue 8.3: made by the bot for this run; its messages stand there, and in the namespace's channel nothing."""
    told = next(c for c in code_run["status"]["conditions"] if c["type"] == "Monitored")
    found = re.fullmatch(r".* Its channel is (\d+)\.", told["message"])
    assert (told["status"], bool(found)) == ("True", True), why(code_run)
    own = [m for m in discord.messages() if code_run["status"]["sessionId"][:8] in json.dumps(m)]
    assert {message["channel_id"] for message in own} == {found[1]}
    left = "component=run-channel,context-version=1,task-id=7"
    cluster.until(lambda: not cluster.objects("secrets", NAMESPACE, left), "its webhook goes with its Job")


def test_the_job_is_cleaned_up(cluster, code_run):
    """OR-160, OR-162: Job and ConfigMap go after the configured delay; run, claim and pull request stay."""
    name = code_run["status"]["jobName"]
    cluster.until(
        lambda: name not in [j["metadata"]["name"] for j in cluster.objects("jobs", NAMESPACE)], "the Job is removed"
    )
    maps = lambda: [m["metadata"]["name"] for m in cluster.objects("configmaps", NAMESPACE)]  # noqa: E731
    cluster.until(lambda: code_run["status"]["configmapName"] not in maps(), "its files are removed")
    assert cluster.get("coderun", code_run["metadata"]["name"], NAMESPACE)["status"]["phase"] == "Succeeded"
    assert [c["metadata"]["name"] for c in cluster.objects("persistentvolumeclaims", NAMESPACE)] == ["workspace-cart"]


def test_a_retry_goes_on_in_the_same_workspace(cluster, orchestrator, code_run, task):
    """OR-230…OR-233: the session and the pull request are those of the first attempt, and the new words are committed."""
    again = {
        "context_version": 2,
        "prompt_modification": "Write down what you did.",
        "continue_session": True,
        "overwrite_memory": True,
    }
    name = orchestrator.start("/api/v1/pm/tasks", task | again)

    def pod():
        found = cluster.objects("pods", NAMESPACE, "context-version=2")
        return found[0] if found and statuses(found[0]).get("claude-code", {}).get("state", {}).get("running") else None

    seen = cluster.until(pod, "the agent's pod runs", timeout_s=180)
    assert named(seen["spec"], "discord-watcher")["restartPolicy"] == "Always"
    run = orchestrator.ended("coderun", name)
    assert run["status"]["phase"] == "Succeeded", why(run)
    assert run["status"]["pullRequestUrl"] == code_run["status"]["pullRequestUrl"]
    assert run["status"]["sessionId"] == code_run["status"]["sessionId"]
    shown = cluster.kubectl(
        "exec", "--namespace=coderun-forge", "deploy/forge", "--",
        "git", "--git-dir=/srv/git/acme/shop.git", "show", "feature/task-7-implementation:services/cart/attempt-2.md",
    )  # fmt: skip
    assert "Write down what you did." in shown


def test_a_live_run_is_as_it_should_be(cluster, orchestrator, task, code_run):
    """Issue 5.2, 8.3: role verify beside an agent at work; its watcher alone has a way to the run's webhook, but for that warning."""
    name = orchestrator.start(
        "/api/v1/pm/tasks", task | {"context_version": 3, "env": task["env"] | {"PACE_MS": "2000"}}
    )
    pod = cluster.until(
        lambda: next(iter(cluster.objects("pods", NAMESPACE, "context-version=3")), None), "its pod is there"
    )["metadata"]["name"]
    cluster.kubectl("wait", f"--namespace={NAMESPACE}", "--for=condition=Ready", f"pod/{pod}", "--timeout=100s")
    playbook = str(ROOT / "molecule" / "coderun" / "verification.yml")
    ansible_playbook(cluster, f"--inventory={ROOT}/molecule/inventory.yml", playbook)
    report = json.loads((STATE / "report" / "findings.json").read_text(encoding="utf-8"))
    wrong = {(item["id"], item["verdict"]) for item in report["findings"] if item["verdict"] in ("fail", "warn")}
    # The watcher keeps its place on the claim that the agent works on: docs/security.md.
    assert wrong == {("secret-scope/shared-volume", "warn")}
    secret = f"{NAMESPACE}/{cluster.get('pod', pod, NAMESPACE)['metadata']['annotations'][WEBHOOK_ANNOTATION]}"
    assert secret.startswith(f"{NAMESPACE}/discord-run-code-")
    ways = {
        (row["subject"]["container"], row["path"])
        for row in report["matrix"]
        if row["secret"] == secret and row["found"] and row["subject"]["kind"] == "Pod"
    }
    assert ways == {("discord-watcher", "env"), ("claude-code", "shared-volume")}
    cluster.kubectl("delete", "coderun", name, f"--namespace={NAMESPACE}")


@pytest.mark.parametrize(
    ("change", "says"),
    [
        (
            {"repository_url": "git@forge.coderun-forge.svc:acme/none.git"},
            "acme/none.git cannot be read by sample-agent",
        ),
        ({"task_id": 99}, "task 99 has no folder"),
        (
            {"env": {"SAMPLE_STATUS": "3", "GH_HOST": "forge.coderun-forge.svc:8082", "PACE_MS": "1"}},
            "ended with status 3",
        ),
    ],
    ids=["repository", "task", "agent"],
)
def test_a_failure_is_the_runs_own_sentence(orchestrator, task, code_run, change, says):
    """Issue 8.6, 8.7: what the start script said is in the run's status."""
    run = orchestrator.ended("coderun", orchestrator.start("/api/v1/pm/tasks", task | change))
    assert run["status"]["phase"] == "Failed", why(run)
    assert says in run["status"]["message"]


def test_a_docs_run(cluster, orchestrator):
    """OR-192, OR-257…OR-270: a documentation run takes the same way, to a pull request at the configured forge."""
    wanted = {
        "repository_url": "git@forge.coderun-forge.svc:acme/shop.git",
        "working_directory": ".",
        "source_branch": "main",
        "github_user": "sample-agent",
        "model": "sample-model-1",
    }
    run = orchestrator.ended("docsrun", orchestrator.start("/api/v1/pm/docs/generate", wanted))
    assert run["status"]["phase"] == "Succeeded", why(run)
    branches = cluster.kubectl(
        "exec", "--namespace=coderun-forge", "deploy/forge", "--",
        "git", "--git-dir=/srv/git/acme/shop.git", "for-each-ref", "--format=%(refname:short)", "refs/heads/docs-*",
    ).split()  # fmt: skip
    assert len(branches) == 1
    pull = pull_of(cluster, run["status"]["pullRequestUrl"])
    assert (pull["head"]["ref"], pull["base"]["ref"], pull["state"]) == (branches[0], "main", "open")


def test_no_secret_left_its_place(cluster, code_run, orchestrator):
    """D6: tokens, key and webhook are in no run, Job, ConfigMap, event or log."""
    canaries = [VARIABLES[f"coderun_{what}_token"] for what in ("api", "forge", "bot", "bot_api")]
    canaries += [
        VARIABLES["coderun_webhook_url"].rsplit("/", 1)[1],
        "canary-api-key-of-the-runs",
        "OPENSSH PRIVATE KEY",
    ]
    kinds = "coderuns,docsruns,jobs,configmaps,events,pods"
    seen = cluster.kubectl("get", kinds, "--namespace", NAMESPACE, "--output=yaml")
    seen += cluster.kubectl("logs", "--namespace", NAMESPACE, "deploy/orchestrator")
    for pod in cluster.objects("pods", NAMESPACE, "app=orchestrator"):
        seen += cluster.kubectl(
            "logs", "--namespace", NAMESPACE, pod["metadata"]["name"], "--all-containers", check=False
        )
    assert [canary for canary in canaries if canary in seen] == []

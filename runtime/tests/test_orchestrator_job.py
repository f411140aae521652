# SPDX-License-Identifier: GPL-3.0-or-later
# SPDX-FileCopyrightText: 2026 The orchestrator.platform authors
"""What a run becomes: Job, ConfigMap, claim, sidecar; every field of the CRDs is honoured or refused (OR-A49)."""

from __future__ import annotations

import copy
import json
import re

import pytest
import runs
from hypothesis import example, given
from hypothesis import strategies as st

from orchestrator import naming
from orchestrator.fields import refusal
from orchestrator.job import Watching, build, needs
from orchestrator.sidecar import SnippetError, lacking_volumes, parse_snippet
from orchestrator.templates import Templates, code_values, common, docs_values

LABEL = re.compile(r"([A-Za-z0-9]([A-Za-z0-9._-]{0,61}[A-Za-z0-9])?)?")
DNS = re.compile(r"[a-z0-9]([a-z0-9-]*[a-z0-9])?")
OFF = Watching(None, "SidecarOff", "off")


@pytest.fixture(scope="session")
def templates(tmp_path_factory):
    return Templates(runs.flat_templates(tmp_path_factory.mktemp("templates")))


@pytest.fixture(scope="session")
def plan_of(templates):
    """The manifests of a run, rendered with the chart's own templates."""

    def plan(run, *, version=1, config=None, watching=OFF):
        kind = "coderuns" if run["kind"] == "CodeRun" else "docsruns"
        used = config or runs.config()
        values = code_values(run["spec"], version) if kind == "coderuns" else docs_values(run["spec"])
        files = templates.render(kind, values | common(used, ""))
        name = naming.files_names(run, kind, version)[0]
        return build(run, kind, version, config=used, files=files, files_name=name, watching=watching)

    return plan


def agent(plan):
    return plan.job["spec"]["template"]["spec"]["containers"][0]


def env(plan):
    return {entry["name"]: entry.get("value", entry.get("valueFrom")) for entry in agent(plan)["env"]}


def watching(**changes):
    return Watching(parse_snippet({"data": {"snippet.json": json.dumps({**runs.SNIPPET, **changes}), "hash": "abc"}}))


def test_a_code_job(plan_of):
    """OR-354…OR-358: names, labels, volumes, container of a code run."""
    plan = plan_of(runs.run(name="my.run_1"))
    meta, spec = plan.job["metadata"], plan.job["spec"]
    assert meta["name"] == "code-runs-my-run-1-0123abcd-t7-v1"
    assert meta["labels"] == {
        "app": "orchestrator", "component": "code-runner", "github-user": "Agent-One", "context-version": "1",
        "task-type": "code", "task-id": "7", "service": "api",
    }  # fmt: skip
    assert [(r["kind"], r["uid"], r["controller"]) for r in meta["ownerReferences"]] == [
        ("CodeRun", "0123abcd-1111-2222-3333-444455556666", True)
    ]
    assert (spec["backoffLimit"], spec["activeDeadlineSeconds"]) == (0, 3600)
    pod = spec["template"]["spec"]
    assert (pod["restartPolicy"], pod["automountServiceAccountToken"]) == ("Never", False)
    assert spec["template"]["metadata"]["labels"] == meta["labels"]
    container = agent(plan)
    assert (container["name"], container["image"]) == ("claude-code", "registry.example.org/agent:1.0.56")
    assert (container["command"], container["workingDir"]) == (["/bin/bash", "/task-files/container.sh"], "/workspace")
    volumes = {v["name"]: v for v in pod["volumes"]}
    assert volumes["task-files"]["configMap"] == {"name": "api-task7-v1-files"}
    assert volumes["workspace"]["persistentVolumeClaim"] == {"claimName": "workspace-api"}
    assert volumes["ssh-key"]["secret"]["secretName"] == "github-ssh-agent-one"
    assert volumes["ssh-key"]["secret"]["items"] == [{"key": "ssh-privatekey", "path": "id_ed25519"}]
    mounts = {m["name"]: m["mountPath"] for m in container["volumeMounts"]}
    assert mounts == {"task-files": "/task-files", "workspace": "/workspace", "ssh-key": "/workspace/.ssh"}
    assert env(plan)["GITHUB_TOKEN"] == {"secretKeyRef": {"name": "github-token-agent-one", "key": "token"}}
    assert env(plan)["ANTHROPIC_API_KEY"] == {"secretKeyRef": {"name": "model-key", "key": "ANTHROPIC_API_KEY"}}


def test_a_docs_job(plan_of):
    """OR-354…OR-358: an emptyDir, the managed settings, no claim."""
    plan = plan_of(runs.run("docsruns", name="docs-gen-1"))
    assert plan.job["metadata"]["name"] == "docs-runs-docs-gen-1-0123abcd"
    assert plan.job["metadata"]["labels"]["repository"] == "git.example.org-o-shop"
    assert plan.config_map["metadata"]["name"] == "docs-runs-docs-gen-1-0123abcd-v1-files"
    assert plan.claim is None
    volumes = {v["name"]: v for v in plan.job["spec"]["template"]["spec"]["volumes"]}
    assert volumes["workspace"] == {"name": "workspace", "emptyDir": {}}
    assert agent(plan)["name"] == "claude-docs"
    managed = [m for m in agent(plan)["volumeMounts"] if m["mountPath"] == "/etc/claude-code/managed-settings.json"]
    assert [(m["name"], m["subPath"]) for m in managed] == [("task-files", "settings.json")]
    assert sorted(plan.config_map["data"]) == [
        "CLAUDE.md",
        "container.sh",
        "hooks-stop-pr-creation.sh",
        "prompt.md",
        "settings.json",
    ]


def test_the_files_of_a_code_run(plan_of):
    """OR-186."""
    assert sorted(plan_of(runs.run()).config_map["data"]) == [
        "CLAUDE.md", "client-config.json", "coding-guidelines.md", "container.sh", "github-guidelines.md",
        "hooks-stop-code-pr-creation.sh", "mcp-tools.md", "mcp.json", "settings.json",
    ]  # fmt: skip


def test_claim(plan_of):
    """OR-295, OR-359, OR-A49: class and size as configured; no owner, as it outlives the run."""
    claim = plan_of(runs.run(service="My_API")).claim
    assert claim["metadata"]["name"] == "workspace-my-api"
    assert "ownerReferences" not in claim["metadata"]
    assert claim["spec"] == {
        "accessModes": ["ReadWriteOnce"],
        "resources": {"requests": {"storage": "7Gi"}},
        "storageClassName": "fast",
    }
    assert "storageClassName" not in plan_of(runs.run(), config=runs.config(storage__storageClassName="")).claim["spec"]


# Every field of the CRDs' specs, down to the last level: what it has to be found in, for a value that is found nowhere else.
# A path starts at the plan; `text:` searches a file of the ConfigMap.
REFERENCE = {"name": "X9", "secretName": "s-x9", "secretKey": "k-x9"}
CODE_FIELDS = {
    "taskId": (4321, "code_label:task-id", "4321"),
    "service": ("billing", "claim", "workspace-billing"),
    "repositoryUrl": ("https://git.example.org/o/other.git", "text:container.sh", "o/other.git"),
    "docsRepositoryUrl": ("https://git.example.org/o/texts.git", "text:container.sh", "o/texts.git"),
    "docsProjectDirectory": ("_projects/x9", "text:container.sh", "_projects/x9"),
    "docsBranch": ("b-x9", "text:container.sh", "docs_branch=$(plain 'b-x9')"),
    "workingDirectory": ("folder-x9", "text:container.sh", "working_directory=$(plain 'folder-x9')"),
    "model": ("model-x9", "text:settings.json", '"model-x9"'),
    "githubUser": ("user-x9", "secrets", "github-token-user-x9"),
    "localTools": ("filesystem-x9", "env:LOCAL_TOOLS", "filesystem-x9"),
    "remoteTools": ("search-x9", "env:REMOTE_TOOLS", "search-x9"),
    "contextVersion": (3, "job_name", "-v3"),
    "promptModification": ("say more x9", "text:container.sh", "say more x9"),
    "continueSession": (True, "text:container.sh", "continue_session=true"),
    "overwriteMemory": (True, "text:container.sh", "overwrite_memory=true"),
    "env": ({"X9": "v-$(HOME)-$$"}, "env:X9", "v-$$(HOME)-$$$$"),
    "envFromSecrets[].name": ([REFERENCE], "secrets", '"X9"'),
    "envFromSecrets[].secretName": ([REFERENCE], "env:X9", "s-x9"),
    "envFromSecrets[].secretKey": ([REFERENCE], "env:X9", "k-x9"),
}
DOCS_FIELDS = {
    "repositoryUrl": CODE_FIELDS["repositoryUrl"],
    "workingDirectory": ("folder-x9", "text:container.sh", "working_directory=$(plain 'folder-x9')"),
    "sourceBranch": ("b-x9", "text:container.sh", "source_branch=$(plain 'b-x9')"),
    "model": CODE_FIELDS["model"],
    "githubUser": CODE_FIELDS["githubUser"],
}


def look(plan, where):
    kind, _colon, name = where.partition(":")
    if kind == "text":
        return plan.config_map["data"][name]
    if kind == "env":
        return json.dumps(env(plan).get(name, ""))
    return {
        "code_label": plan.job["metadata"]["labels"].get(name, ""),
        "claim": json.dumps(plan.claim),
        "secrets": json.dumps(plan.job["spec"]["template"]["spec"]),
        "job_name": plan.job["metadata"]["name"],
    }[kind]


@pytest.mark.parametrize(("kind", "fields"), [("coderuns", CODE_FIELDS), ("docsruns", DOCS_FIELDS)])
def test_no_field_is_forgotten(kind, fields):
    """OR-A49: the tables above hold every field of the schemas; a new field fails here until it has its test."""
    assert runs.leaves(runs.schema(kind, "spec")) == set(fields)


@pytest.mark.parametrize(
    ("kind", "field"),
    [*(("coderuns", name) for name in CODE_FIELDS), *(("docsruns", name) for name in DOCS_FIELDS)],
)
def test_a_field_is_honoured(plan_of, kind, field):
    """OR-219…OR-238, OR-259…OR-263, OR-A49: the value is found where it works, and is not there without it."""
    value, where, text = (CODE_FIELDS if kind == "coderuns" else DOCS_FIELDS)[field]
    given_run = runs.run(kind, **{field.partition("[")[0]: value})
    assert refusal(kind, given_run["spec"]) is None
    assert text in look(plan_of(given_run, version=given_run["spec"].get("contextVersion", 1)), where)
    assert text not in look(plan_of(runs.run(kind)), where)


def expanded(value, known):
    """What Kubernetes makes of a variable's value: $(NAME) is replaced where NAME is known, and $$ is one $."""
    return re.sub(
        r"\$(\$|\(([^)]*)\))",
        lambda m: "$" if m[1] == "$" else known.get(m[2], m[0]),
        value,
    )


@given(st.lists(st.sampled_from(["$", "$(HOME)", "(", ")", "a", "HOME"]), max_size=8).map("".join))
@example("a$$b")
@example("$$(HOME)")
def test_a_value_arrives_as_it_was_given(value):
    """OR-234: nothing in it is taken for a reference to another variable."""
    given_run = runs.run(env={"X9": value}, localTools=value)
    plan = build(given_run, "coderuns", 1, config=runs.config(), files={}, files_name="f", watching=OFF)
    assert [expanded(env(plan)[name], {"HOME": "/root"}) for name in ("X9", "LOCAL_TOOLS")] == [value, value]


def test_the_working_directory_of_a_run_that_names_none(plan_of):
    """OR-A20: the service's name."""
    assert "working_directory=$(plain 'api')" in plan_of(runs.run()).config_map["data"]["container.sh"]


CONFIG_FIELDS = [
    ("job__activeDeadlineSeconds", 99, lambda p: p.job["spec"]["activeDeadlineSeconds"], 99),
    ("agent__image", {"repository": "r", "tag": "2.10"}, lambda p: agent(p)["image"], "r:2.10"),
    ("agent__imagePullSecrets", ["p"], lambda p: p.job["spec"]["template"]["spec"]["imagePullSecrets"], [{"name": "p"}]),
    ("agent__podSecurityContext", {"fsGroup": 5}, lambda p: p.job["spec"]["template"]["spec"]["securityContext"], {"fsGroup": 5}),
    ("agent__securityContext", {"runAsUser": 5}, lambda p: agent(p)["securityContext"], {"runAsUser": 5}),
    ("agent__resources", {"limits": {"cpu": 1}}, lambda p: agent(p)["resources"], {"limits": {"cpu": 1}}),
    ("permissions__agentToolsOverride", True, lambda p: json.loads(p.config_map["data"]["settings.json"])["permissions"]["allow"], ["Bash"]),
    ("telemetry", {"enabled": True, "otlpEndpoint": "otel:4317"}, lambda p: "otel:4317" in p.config_map["data"]["settings.json"], True),
    ("cleanup__enabled", False, lambda p: p.job["spec"].get("ttlSecondsAfterFinished"), None),
    ("cleanup__failedJobDelayMinutes", 2000, lambda p: p.job["spec"]["ttlSecondsAfterFinished"], 2000 * 60 + 86_400),
]  # fmt: skip


@pytest.mark.parametrize(("path", "value", "found", "wanted"), CONFIG_FIELDS, ids=[row[0] for row in CONFIG_FIELDS])
def test_the_configuration_is_honoured(plan_of, path, value, found, wanted):
    """OR-143…OR-162, OR-361, OR-A49."""
    assert found(plan_of(runs.run(), config=runs.config(**{path: value}))) == wanted


@pytest.mark.parametrize("kind", ["coderuns", "docsruns"])
def test_a_forge_of_ones_own(plan_of, kind):
    """OR-244, OR-268: the agent's gh finds the configured host, with the user's token; without a host neither is set."""
    found = env(plan_of(runs.run(kind), config=runs.config(agent__githubHost="git.example.org:8443")))
    assert found["GH_HOST"] == "git.example.org:8443"
    assert found["GH_ENTERPRISE_TOKEN"]["secretKeyRef"] == {"name": "github-token-agent-one", "key": "token"}
    assert not {"GH_HOST", "GH_ENTERPRISE_TOKEN"} & env(plan_of(runs.run(kind))).keys()


@pytest.mark.parametrize(
    "own",
    [{"env": {"GH_HOST": "elsewhere.example.org"}},
     {"envFromSecrets": [{"name": "GH_ENTERPRISE_TOKEN", "secretName": "s", "secretKey": "k"}]}],
    ids=["host", "token"],
)  # fmt: skip
def test_a_runs_own_forge(plan_of, own):
    """D6: a host that a run names never gets the token that is meant for the configured one."""
    found = env(plan_of(runs.run(**own), config=runs.config(agent__githubHost="git.example.org")))
    assert found.get("GH_HOST") == own.get("env", {}).get("GH_HOST")
    assert "github-token" not in json.dumps(found.get("GH_ENTERPRISE_TOKEN", ""))


def test_needed_secrets():
    """OR-276: what a run waits for before its Job is made."""
    entries = [{"name": "X", "secretName": "s", "secretKey": "k"}]
    found = needs(runs.run(envFromSecrets=entries)["spec"], runs.config())
    assert [(n.secret, n.key) for n in found] == [
        ("model-key", "ANTHROPIC_API_KEY"), ("github-ssh-agent-one", "ssh-privatekey"), ("github-token-agent-one", "token"), ("s", "k"),
    ]  # fmt: skip


def test_the_sidecar_of_a_code_run(plan_of):
    """D3, issue 8.3: native, the transcripts shared with the agent, session and cursor on the service's claim."""
    plan = plan_of(runs.run(), watching=watching())
    pod = plan.job["spec"]["template"]["spec"]
    [watcher] = pod["initContainers"]
    assert (watcher["name"], watcher["restartPolicy"]) == ("discord-watcher", "Always")
    assert watcher["volumeMounts"] == [
        {"name": "workspace", "mountPath": "/home/agent/.claude", "readOnly": True, "subPath": ".agent/task-7/claude"},
        {"name": "workspace", "mountPath": "/var/lib/discord-watcher", "subPath": ".agent/task-7/watcher"},
    ]
    assert {"name": "workspace", "mountPath": "/home/agent/.claude", "subPath": ".agent/task-7/claude"} in agent(plan)[
        "volumeMounts"
    ]
    assert [v["name"] for v in pod["volumes"]] == ["task-files", "workspace", "ssh-key"]
    assert env(plan)["CLAUDE_CONFIG_DIR"] == "/home/agent/.claude"
    assert plan.job["metadata"]["annotations"]["orchestrator.platform/snippet-hash"] == "abc"


def test_the_sidecar_of_a_docs_run(plan_of):
    """Issue 8.3: volumes of its own, as there is no claim; the snippet is as it was published."""
    plan = plan_of(runs.run("docsruns"), watching=watching())
    pod = plan.job["spec"]["template"]["spec"]
    assert pod["initContainers"][0]["volumeMounts"] == runs.SNIPPET["watcher"]["volumeMounts"]
    assert [v for v in pod["volumes"] if v["name"].startswith("discord")] == runs.SNIPPET["volumes"]


@pytest.mark.parametrize(
    ("pod", "container", "user"),
    [({}, {}, 10001), ({"runAsUser": 1001}, {}, 1001), ({"runAsUser": 1001}, {"runAsUser": 7}, 7), ({"runAsUser": 0}, {}, 10001)],
)  # fmt: skip
def test_the_watcher_takes_the_agents_user(plan_of, pod, container, user):
    """D8: files of mode 0600 are read by their owner only; root is never taken over."""
    used = runs.config(agent__podSecurityContext=pod, agent__securityContext=container)
    [watcher] = plan_of(runs.run(), config=used, watching=watching()).job["spec"]["template"]["spec"]["initContainers"]
    assert watcher["securityContext"]["runAsUser"] == user
    assert watcher["securityContext"]["runAsNonRoot"] is True


def test_the_runs_own_webhook_goes_to_the_watcher_alone(plan_of):
    """DM-154, DM-162, DM-A24: the agent that the entry is written for never holds the URL."""
    own = [
        {"name": "DISCORD_WEBHOOK_URL", "secretName": "of-this-run", "secretKey": "u"},
        {"name": "B", "secretName": "s", "secretKey": "k"},
    ]
    watched = plan_of(runs.run(envFromSecrets=own), watching=watching())
    [watcher] = watched.job["spec"]["template"]["spec"]["initContainers"]
    urls = [e for e in watcher["env"] if e["name"] == "DISCORD_WEBHOOK_URL"]
    assert [u["valueFrom"]["secretKeyRef"] for u in urls] == [{"name": "of-this-run", "key": "u", "optional": True}]
    assert "DISCORD_WEBHOOK_URL" not in env(watched)
    assert "B" in env(watched)
    assert "DISCORD_WEBHOOK_URL" in env(plan_of(runs.run(envFromSecrets=own))), (
        "without a watcher it is the agent's, as the CRD says"
    )


def test_the_bridge_when_asked(plan_of):
    """Issue 8.3."""
    plan = plan_of(
        runs.run(), config=runs.config(sidecar={"snippetConfigMap": "s", "bridge": True}), watching=watching()
    )
    pod = plan.job["spec"]["template"]["spec"]
    assert [(c["name"], c["restartPolicy"]) for c in pod["initContainers"]] == [
        ("discord-watcher", "Always"),
        ("input-bridge", "Always"),
    ]
    assert {"name": "discord-fifo", "mountPath": "/run/agent-input"} in agent(plan)["volumeMounts"]
    assert {"name": "discord-fifo", "emptyDir": {}} in pod["volumes"]


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"schema": 2}, "schema 2"),
        ({"watcher": None}, "no watcher"),
        ({"watcher": {"name": "w"}}, "not what the chart"),
        (
            {
                "watcher": {
                    **runs.SNIPPET["watcher"],
                    "env": [{"name": "DISCORD_WEBHOOK_URL", "value": "https://canary"}],
                }
            },
            "put it into a Secret",
        ),
    ],
)
def test_a_snippet_that_cannot_be_used(change, words):
    """D6: a snippet with the URL itself is refused, and the URL is not repeated."""
    with pytest.raises(SnippetError, match=words) as caught:
        watching(**change)
    assert "canary" not in str(caught.value)


@pytest.mark.parametrize("data", [{}, {"snippet.json": "no"}, {"snippet.json": "[]"}, {"snippet.json": "{}"}])
def test_what_is_no_snippet(data):
    """A ConfigMap of somebody else."""
    with pytest.raises(SnippetError, match="install that chart again"):
        parse_snippet({"data": data})


def test_a_volume_that_nobody_brings():
    """transcripts.existingVolume of a chart whose pod is another one: said, and the agent goes without the watcher."""
    bare = watching(volumes=[], agentVolumeMounts=[]).snippet
    assert lacking_volumes(bare, bridge=False, present={"workspace"}) == {"discord-transcripts", "discord-state"}
    assert lacking_volumes(watching().snippet, bridge=True, present=set()) == set()


def test_building_twice_is_building_once(plan_of):
    """OR-353…OR-361: what a second process builds is what the first one built, and the input is left alone."""
    run = runs.run(env={"A": "1"})
    before = copy.deepcopy(run)
    assert plan_of(run, watching=watching()) == plan_of(run, watching=watching())
    assert run == before


texts = st.text(alphabet="aZ0._- /@:é\n", max_size=80)


@given(
    namespace=st.from_regex(r"[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?", fullmatch=True),
    name=texts,
    task=st.integers(1, 2**63 - 1),
    version=st.integers(1, 2**31),
)
def test_names_fit(namespace, name, task, version):
    """OR-354, OR-355: whatever a run is called, its names are ones that the API server takes, with the uid in a Job's."""
    run = runs.run(name=name, taskId=task, service=name or "x")
    run["metadata"]["namespace"] = namespace
    job = naming.job_name(run, "coderuns", version)
    assert len(job) <= 63
    assert DNS.fullmatch(job)
    assert f"-0123abcd-t{task}-v{version}" in job
    assert len(naming.job_name(run, "docsruns", 1)) <= 63
    for files in naming.files_names(run, "coderuns", version):
        assert len(files) <= 253


@given(value=texts)
def test_labels_fit(value):
    """OR-358."""
    assert LABEL.fullmatch(naming.label(value))


@given(users=st.lists(st.from_regex(r"[a-zA-Z0-9]{1,10}", fullmatch=True), min_size=1))
def test_names_of_secrets_have_no_capitals(users):
    """OR-A47."""
    for user in users:
        assert naming.ssh_secret(user) == f"github-ssh-{user.lower()}"
        assert naming.token_secret(user) == f"github-token-{user.lower()}"

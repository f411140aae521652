# SPDX-License-Identifier: GPL-3.0-or-later
# SPDX-FileCopyrightText: 2026 The orchestrator.platform authors
"""What the controller takes and refuses, and what it says of a run: requests, fields, configuration, observation, status."""

from __future__ import annotations

import json
import operator
import re

import pytest
import runs
import yaml
from hypothesis import given
from hypothesis import strategies as st

from orchestrator.config import ConfigError, ConfigFile, parse_config
from orchestrator.fields import refusal
from orchestrator.observe import NO_POD_S, Phase, observe, read_result
from orchestrator.requests import FIELDS, BadField, new_run, read_spec, same_spec, view
from orchestrator.settings import SettingsError, log_threshold, read_settings
from orchestrator.status import Mark, advance, is_final, marks_of_phase, reason_of, with_marks
from orchestrator.templates import TemplateError, Templates, code_values, common, docs_values

TASK = {
    "task_id": 7, "service": "api", "repository_url": "https://git.example.org/o/shop.git",
    "docs_repository_url": "https://git.example.org/o/docs.git", "github_user": "agent-one",
}  # fmt: skip
DOCS = {"repository_url": "https://x/y", "working_directory": ".", "source_branch": "main", "github_user": "agent-one"}

REFUSED = [
    ("service", "a b", "service"), ("service", "../x", "service"), ("service", "x" * 64, "service"),
    ("githubUser", "a_b", "githubUser"), ("githubUser", "-a", "githubUser"), ("model", "", "model"), ("model", "a b", "model"),
    ("workingDirectory", "/etc", "workingDirectory"), ("workingDirectory", "a/../../b", "workingDirectory"),
    ("docsProjectDirectory", "..", "docsProjectDirectory"), ("docsBranch", "--upload-pack=x", "docsBranch"),
    ("repositoryUrl", "--upload-pack=x", "repositoryUrl"), ("repositoryUrl", "a\nb", "repositoryUrl"),
    ("docsRepositoryUrl", "https://u:canary@h/r", "docsRepositoryUrl"), ("localTools", "a\nb", "localTools"), ("taskId", 0, "taskId"),
    ("remoteTools", "a\tb", "remoteTools"), ("sourceBranch", "a b", "sourceBranch"),
    ("env", {"GITHUB_TOKEN": "x"}, "env.GITHUB_TOKEN"), ("env", {"1A": "x"}, "env.1A"),
    ("env", {"DISCORD_WEBHOOK_URL": "https://canary"}, "env.DISCORD_WEBHOOK_URL"),
    ("envFromSecrets", [{"name": "A", "secretName": "A_", "secretKey": "k"}], "envFromSecrets[0].secretName"),
    ("envFromSecrets", [{"name": "A", "secretName": "a", "secretKey": "k/"}], "envFromSecrets[0].secretKey"),
    ("envFromSecrets", [{"name": "A", "secretName": "a", "secretKey": "k"}] * 2, "envFromSecrets[1].name"),
]  # fmt: skip


@pytest.mark.parametrize(("field", "value", "named"), REFUSED, ids=[f"{r[2]}-{n}" for n, r in enumerate(REFUSED)])
def test_a_refused_field_is_named(field, value, named):
    """OR-A49: honoured or refused, never dropped; the sentence holds no value."""
    found = refusal("coderuns", runs.run(**{field: value})["spec"])
    assert found is not None
    assert found.field == named
    assert "canary" not in found.sentence


# Any text is one for the agent; either answer is one.
WHATEVER_IT_SAYS = {"promptModification", "continueSession", "overwriteMemory", "contextVersion"}


@pytest.mark.parametrize("kind", ["coderuns", "docsruns"])
def test_every_field_has_something_that_is_refused(kind):
    """OR-A49: read from the schemas, down to the names inside envFromSecrets."""
    named = {re.sub(r"\[\d+\]", "[]", row[2]) for row in REFUSED}
    named = {"env" if name.startswith("env.") else name for name in named}
    assert runs.leaves(runs.schema(kind, "spec")) - named - WHATEVER_IT_SAYS == set()


@pytest.mark.parametrize("kind", ["coderuns", "docsruns"])
def test_plain_runs_are_not_refused(kind):
    """So the test above can fail; an SSH address, a user name and folders with dots are fine."""
    assert refusal(kind, runs.run(kind)["spec"]) is None
    assert (
        refusal(
            "coderuns", runs.run(repositoryUrl="ssh://git@h/r", workingDirectory="./a..b/c", env={"A": "$(B)"})["spec"]
        )
        is None
    )


def read(body, kind="coderuns"):
    return read_spec(kind, json.dumps(body).encode(), "default-model")


def test_a_request_becomes_a_spec():
    """OR-351, OR-A21: snake_case in, the CRD's names out; the default model where the request names none."""
    body = {**TASK, "context_version": 2, "continue_session": True, "env": {"A": "b"}, "local_tools": "",
            "env_from_secrets": [{"name": "B", "secret_name": "s", "secret_key": "k"}], "model": None}  # fmt: skip
    assert read(body) == {
        "taskId": 7, "service": "api", "repositoryUrl": TASK["repository_url"], "docsRepositoryUrl": TASK["docs_repository_url"],
        "githubUser": "agent-one", "contextVersion": 2, "continueSession": True, "env": {"A": "b"},
        "envFromSecrets": [{"name": "B", "secretName": "s", "secretKey": "k"}], "model": "default-model",
    }  # fmt: skip
    assert read({**DOCS, "model": "m"}, "docsruns")["model"] == "m"


def test_the_request_knows_every_field_of_the_crds():
    """OR-351."""
    for kind in FIELDS:
        spec = runs.schema(kind, "spec")["properties"]
        assert {field.name for field in FIELDS[kind].values()} == set(spec)


@pytest.mark.parametrize(
    ("change", "field"),
    [
        ({"task_id": None}, "task_id"), ({"task_id": "7"}, "task_id"), ({"task_id": True}, "task_id"), ({"task_id": 0}, "task_id"),
        ({"task_id": 2**63}, "task_id"), ({"service": 5}, "service"), ({"service": "a b"}, "service"), ({"typo": 1}, "typo"),
        ({"repository_url": "x" * 3000}, "repository_url"), ({"env": []}, "env"), ({"env": {"A": 1}}, "env.A"),
        ({"env": {"GITHUB_TOKEN": "x"}}, "env.GITHUB_TOKEN"), ({"env_from_secrets": [{"name": "A"}]}, "env_from_secrets[0]"),
        ({"env_from_secrets": [{"name": "A", "secret_name": "B_", "secret_key": "k"}]}, "env_from_secrets[0].secret_name"),
        ({"working_directory": "/x"}, "working_directory"), ({"continue_session": "yes"}, "continue_session"),
    ],
)  # fmt: skip
def test_a_bad_request_names_the_field(change, field):
    """OR-351: by the name that the request uses."""
    with pytest.raises(BadField) as caught:
        read({**TASK, **change})
    assert caught.value.field == field


@pytest.mark.parametrize("body", [b"", b"no", b"[]", b"\xff", b"[" * 100_000])
def test_what_is_no_object(body):
    with pytest.raises(BadField):
        read_spec("coderuns", body, "m")


def test_the_same_request_is_known_again():
    """OR-352: also when the API server has filled in its defaults."""
    spec = read(TASK)
    filled = {**spec, "docsBranch": "main", "contextVersion": 1, "continueSession": False, "overwriteMemory": False}
    assert same_spec("coderuns", {"spec": filled}, spec)
    assert not same_spec("coderuns", {"spec": {**filled, "contextVersion": 2}}, spec)
    assert new_run("coderuns", spec, namespace="n", at=5)["metadata"] == {"name": "code-7-5", "namespace": "n"}
    assert new_run("docsruns", {}, namespace="n", at=5)["metadata"]["name"] == "docs-gen-5"


def test_what_the_api_tells_of_a_new_run():
    assert view("coderuns", runs.run())["phase"] == "Pending"


# The configuration


def test_the_charts_configuration_is_read():
    """OR-164: the golden renderings of the chart are what the controller reads."""
    golden = runs.ROOT / "tests" / "charts" / "golden" / "orchestrator"
    found = 0
    for file in golden.glob("*.yaml"):
        for obj in yaml.safe_load_all(file.read_text(encoding="utf-8")):
            if obj and obj["kind"] == "ConfigMap" and "config.yaml" in obj["data"]:
                config = parse_config(obj["data"]["config.yaml"])
                found += 1
                if file.stem == "everything":
                    assert (config.snippet_name, config.bridge, config.deadline_s) == (
                        "discord-monitor-snippet",
                        True,
                        1_000_000,
                    )
                if file.stem == "nothing-and-zero":
                    assert (config.cleanup, config.completed_delay_min, config.delete_files) == (False, 0, False)
    assert found > 10


@pytest.mark.parametrize(
    ("path", "value"),
    [
        ("job__activeDeadlineSeconds", 0), ("job__activeDeadlineSeconds", True), ("agent__image", {}), ("agent__image", None),
        ("secrets__apiKeySecretName", ""), ("permissions__agentToolsOverride", "yes"), ("cleanup__enabled", "x"),
        ("cleanup__completedJobDelayMinutes", -1), ("agent__imagePullSecrets", [1]), ("agent__resources", []),
    ],
)  # fmt: skip
def test_a_wrong_configuration_is_refused(path, value):
    """OR-164, OR-165: with the key's name."""
    with pytest.raises(ConfigError, match=path.replace("__", r"\.")):
        runs.config(**{path: value})


def test_zero_and_false_are_answers():
    """OR-A27."""
    found = runs.config(
        cleanup={"enabled": False, "completedJobDelayMinutes": 0, "failedJobDelayMinutes": 0, "deleteConfigMap": False}
    )
    fields = operator.attrgetter("cleanup", "completed_delay_min", "failed_delay_min", "delete_files")
    assert fields(found) == (False, 0, 0, False)
    assert fields(runs.config(cleanup=None)) == (True, 5, 60, True)


def test_the_file_is_read_again_when_it_changed(tmp_path):
    """OR-165: without it nothing works, and with it everything does again."""
    file = ConfigFile(tmp_path / "config.yaml")
    with pytest.raises(ConfigError, match=r"config\.yaml: it cannot be read"):
        file.load()
    file.path.write_text(yaml.safe_dump(runs.CONFIG), encoding="utf-8")
    assert file.load().workspace_size == "7Gi"
    for text, words in (("a: [", "no YAML"), ("[]", "not a mapping")):
        fresh = tmp_path / "new"
        fresh.write_text(text, encoding="utf-8")
        fresh.replace(file.path)
        with pytest.raises(ConfigError, match=words):
            file.load()


@pytest.mark.parametrize(
    ("filters", "level"),
    [("", "info"), ("orchestrator=debug,tower_http=debug,axum=debug,kube=info", "debug"), ("info", "info"), ("warn,orchestrator=error", "error"), ("x", "info")],
)  # fmt: skip
def test_log_level(filters, level):
    """OR-075: the chart's default value is understood."""
    assert log_threshold(filters) == level


@pytest.mark.parametrize("env", [{}, {"KUBERNETES_NAMESPACE": "A"}, {"KUBERNETES_NAMESPACE": "a", "SERVER_PORT": "x"}])
def test_settings_that_cannot_be_used(env, tmp_path):
    with pytest.raises(SettingsError):
        read_settings(env, tmp_path / "none")


# The templates


@pytest.fixture
def folder(tmp_path):
    return runs.flat_templates(tmp_path / "templates")


def values(kind):
    spec = runs.run(kind)["spec"]
    return (code_values(spec, 1) if kind == "coderuns" else docs_values(spec)) | common(runs.config(), "")


@pytest.mark.parametrize("kind", ["coderuns", "docsruns"])
def test_every_declared_name_is_supplied(kind):
    """OR-188, OR-189, OR-A50: variables.yaml is what the controller supplies."""
    declared = yaml.safe_load((runs.TEMPLATES / "variables.yaml").read_text(encoding="utf-8"))
    prefix = {"coderuns": "code/", "docsruns": "docs/"}[kind]
    wanted = {name for file, names in declared["templates"].items() if file.startswith(prefix) for name in names}
    assert wanted <= set(values(kind))


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("{{nobody}}", "code_claude.md.hbs asks for nobody"),
        ("{{#if nobody}}x{{/if}}", "code_claude.md.hbs asks for nobody"),
        ("{{#if nobody.knows}}x{{/if}}", "code_claude.md.hbs asks for nobody"),
        ("{{#if task_id}}", "code_claude.md.hbs cannot be rendered"),
    ],
)
def test_an_unknown_name_is_told_with_its_template(folder, text, words):
    """OR-A50: also where the engine itself would take it for false."""
    (folder / "code_claude.md.hbs").write_text(text, encoding="utf-8")
    with pytest.raises(TemplateError, match=words):
        Templates(folder).render("coderuns", values("coderuns"))


def test_templates_that_do_not_work(folder):
    """Missing, no JSON, too much: each with a sentence."""
    engine = Templates(folder)
    (folder / "code_mcp.json.hbs").write_text("{", encoding="utf-8")
    with pytest.raises(TemplateError, match=r"code_mcp\.json\.hbs gives no JSON"):
        engine.render("coderuns", values("coderuns"))
    (folder / "code_mcp.json.hbs").unlink()
    with pytest.raises(TemplateError, match=r"code_mcp\.json\.hbs cannot be read"):
        engine.render("coderuns", values("coderuns"))
    (folder / "docs_prompt.md.hbs").write_text("x" * 1024 * 1024, encoding="utf-8")
    with pytest.raises(TemplateError, match="a ConfigMap holds 1048576"):
        engine.render("docsruns", values("docsruns"))


def test_a_changed_template_counts_at_once(folder):
    """The kubelet replaces the folder's files under a running process."""
    engine = Templates(folder)
    (folder / "docs_claude.md.hbs").write_text("one", encoding="utf-8")
    assert engine.render("docsruns", values("docsruns"))["CLAUDE.md"] == "one"
    (folder / "docs_claude.md.hbs").write_text("two {{model}}", encoding="utf-8")
    assert engine.render("docsruns", values("docsruns"))["CLAUDE.md"] == "two m-1"


# What is seen of Job and pods


def job(*conditions, **status):
    rows = [
        {"type": kind, "status": "True", "reason": reason, "message": "m", "lastTransitionTime": "2026-01-01T00:01:00Z"}
        for kind, reason in conditions
    ]
    return {
        "metadata": {"name": "j", "creationTimestamp": "2026-01-01T00:00:00Z"},
        "status": {"conditions": rows, **status},
    }


def pod(state=None, *, where="containerStatuses", name="agent", **status):
    rows = [{"name": name, "image": "img", "state": state}] if state is not None else []
    return {"metadata": {"name": "p", "creationTimestamp": "2026-01-01T00:00:00Z"}, "status": {where: rows, **status}}


def removed(found):
    return found | {"metadata": found["metadata"] | {"deletionTimestamp": "2026-01-01T00:00:30Z"}}


def ended(code=0, message="", reason=""):
    return {"terminated": {"exitCode": code, "message": message, "reason": reason}}


UNSCHEDULED = {"type": "PodScheduled", "status": "False", "reason": "Unschedulable", "message": "0/1 nodes"}
DISRUPTED = {"type": "DisruptionTarget", "status": "True", "reason": "EvictionByEvictionAPI", "message": "drain"}
WAITING = {"waiting": {"reason": "ImagePullBackOff", "message": "no such image"}}
CONFIG_ERROR = {"waiting": {"reason": "CreateContainerConfigError", "message": "couldn't find key X"}}
SEEN = [
    (job(), [], "Pending", "JobCreated", ""),
    (job(), [pod()], "Pending", "PodStarting", ""),
    (job(), [pod(conditions=[UNSCHEDULED])], "Pending", "Unschedulable", "0/1 nodes"),
    (job(), [pod(WAITING)], "Pending", "ImageMissing", "container agent"),
    (
        job(),
        [pod(WAITING, where="initContainerStatuses", name="discord-watcher")],
        "Pending",
        "ImageMissing",
        "container discord-watcher",
    ),
    (job(), [pod(CONFIG_ERROR)], "Pending", "ContainerRefused", "key X"),
    (job(), [pod({"running": {}})], "Running", "JobStarted", ""),
    (job(), [pod(ended())], "Running", "JobStarted", ""),
    (job(("Complete", "x")), [pod(ended())], "Succeeded", "JobCompleted", ""),
    (job(("Complete", "x")), [], "Succeeded", "JobCompleted", ""),
    (job(("Failed", "BackoffLimitExceeded")), [pod(ended(3))], "Failed", "JobFailed", "exit code 3"),
    (
        job(("Failed", "BackoffLimitExceeded")),
        [pod(ended(3, '{"error": "no key"}'))],
        "Failed",
        "JobFailed",
        "exit code 3: no key",
    ),
    (job(("Failed", "BackoffLimitExceeded")), [pod(ended(137, "", "OOMKilled"))], "Failed", "OutOfMemory", "its limit"),
    (
        job(("Failed", "BackoffLimitExceeded")),
        [pod(ended(137, "", "Error"))],
        "Failed",
        "OutOfMemory",
        "for want of memory.",
    ),
    (job(("Failed", "BackoffLimitExceeded")), [removed(pod(ended(137)))], "Failed", "JobFailed", "exit code 137"),
    (
        job(("Failed", "BackoffLimitExceeded")),
        [pod(reason="Evicted", message="low on memory")],
        "Failed",
        "Evicted",
        "low on memory",
    ),
    (
        job(("Failed", "BackoffLimitExceeded")),
        [pod(ended(143), conditions=[DISRUPTED])],
        "Failed",
        "Evicted",
        "EvictionByEvictionAPI",
    ),
    (job(("Failed", "BackoffLimitExceeded")), [], "Failed", "JobFailed", "was removed"),
    (
        job(("Failed", "DeadlineExceeded")),
        [],
        "Failed",
        "DeadlineExceeded",
        "before the agent could start. It waits for an image.",
    ),
    (job(("Failed", "DeadlineExceeded")), [pod(ended(143))], "Failed", "DeadlineExceeded", "its time was up"),
]


@pytest.mark.parametrize(
    ("found_job", "pods", "phase", "reason", "words"), SEEN, ids=[f"{n}-{row[3]}" for n, row in enumerate(SEEN)]
)
def test_what_is_seen(found_job, pods, phase, reason, words):
    """OR-360, issue 8.7, D14: phase, reason and sentence for every end and every hindrance, in all lists of containers."""
    found = observe(found_job, pods, "agent", was=Phase.PENDING, said="It waits for an image.", age_s=1)
    assert (found.phase.value, found.reason) == (phase, reason)
    assert words in found.sentence


def test_an_agent_that_ran_never_waits_again():
    """A pod on its way out is no pod that starts."""
    assert observe(job(), [], "agent", was=Phase.RUNNING, said="", age_s=99).phase is Phase.RUNNING


def test_what_a_pod_was_waiting_for_is_remembered():
    """Issue 8.7: at a deadline the pod goes before the Job has failed."""
    kept = observe(job(), [], "agent", was=Phase.PENDING, said="No node.", age_s=99, because="Unschedulable")
    assert (kept.reason, kept.sentence) == ("Unschedulable", "No node.")
    assert (
        observe(job(), [], "agent", was=Phase.PENDING, said="x", age_s=1, because="JobCreated").reason == "JobCreated"
    )


def test_an_eviction_is_remembered():
    """Issue 8.7: the evicted pod is often gone before its Job has failed; what it said last is the reason."""
    going = observe(job(), [pod({"running": {}}, conditions=[DISRUPTED])], "agent", was=Phase.RUNNING, said="", age_s=1)
    assert (going.phase, going.reason) == (Phase.RUNNING, "JobStarted")
    assert "EvictionByEvictionAPI" in going.disruption
    failed = job(("Failed", "BackoffLimitExceeded"))
    gone = observe(failed, [], "agent", was=Phase.RUNNING, said="", age_s=1, disrupted=going.disruption)
    assert (gone.reason, gone.sentence) == ("Evicted", going.disruption)
    deadline = observe(
        job(("Failed", "DeadlineExceeded")), [], "agent", was=Phase.RUNNING, said="", age_s=1, disrupted="x"
    )
    assert deadline.reason == "DeadlineExceeded"


def test_a_job_without_a_pod():
    """A refused pod leaves no trace in the Job's status: after a while it is said."""
    early = observe(job(), [], "agent", was=Phase.PENDING, said="", age_s=1)
    assert (early.reason, early.again_s) == ("JobCreated", NO_POD_S)
    assert observe(job(), [], "agent", was=Phase.PENDING, said="", age_s=NO_POD_S).reason == "PodRefused"


@pytest.mark.parametrize(
    ("message", "result"),
    [
        ("", {}),
        ("no json\n[1]\n", {}),
        ('{"pullRequestUrl": "https://h/pr/1"}\n{"sessionId": "s-1"}', {"pullRequestUrl": "https://h/pr/1", "sessionId": "s-1"}),
        ('{"sessionId": "a"}\n{"sessionId": "b"}', {"sessionId": "b"}),
        ('half a line", "x": 1}\n{"promptMode": "indirect"}', {"promptMode": "indirect"}),
        ('{"pullRequestUrl": "javascript:x", "sessionId": "a b", "promptMode": "x", "error": " "}', {}),
        ('{"pullRequestUrl": "https://u:canary@h/pr/1"}', {}),
        ('{"pullRequestUrl": "https://h/pr/1?access_token=canary-0123456789"}', {}),
        ('{"sessionId": 5, "error": "a\\n  b"}', {"error": "a b"}),
    ],
)  # fmt: skip
def test_the_agents_result(message, result):
    """OR-244, OR-256: what has another form is left out; credentials never get into a status."""
    assert read_result(pod(ended(0, message)), "agent") == result


@given(st.text(max_size=300))
def test_any_termination_message(message):
    """Whatever an agent leaves there: a bounded result of known keys, and no exception."""
    found = read_result(pod(ended(0, message)), "agent")
    assert set(found) <= {"pullRequestUrl", "sessionId", "promptMode", "error"}
    assert all(len(value) <= 2048 for value in found.values())


# The status

NOW, LATER = "2026-01-01T00:00:00Z", "2026-01-01T00:05:00Z"


def write(status, phase, reason, now=NOW, sentence="s", **fields):
    marks = marks_of_phase(phase, reason, sentence, status.get("conditions") or [])
    patch = advance(status, now, phase=phase, marks=marks, fields=fields)
    return {**status, **(patch or {})}, patch


def test_a_life():
    """OR-360: one condition of a phase holds at a time; times change with what they tell of."""
    status, _ = write({}, Phase.PENDING, "Accepted", jobName="j")
    status, patch = write(status, Phase.PENDING, "PodStarting", LATER, "t")
    assert "lastUpdate" not in patch, "the phase was reached before"
    status, _ = write(status, Phase.RUNNING, "JobStarted", LATER)
    status, patch = write(status, Phase.SUCCEEDED, "JobCompleted", LATER, workCompleted=True)
    held = {c["type"]: c["status"] for c in status["conditions"]}
    assert held == {"Pending": "False", "Running": "False", "Succeeded": "True"}
    assert (status["phase"], status["message"], status["lastUpdate"], status["workCompleted"]) == (
        "Succeeded",
        "s",
        LATER,
        True,
    )
    assert is_final(status)
    assert reason_of(status, "Running") == ""


def test_saying_it_again_is_no_write():
    """D5: idempotent means no write."""
    status, _ = write({}, Phase.RUNNING, "JobStarted", jobName="j", promptModification=None)
    assert write(status, Phase.RUNNING, "JobStarted", LATER, jobName="j", promptModification=None)[1] is None


marks = st.lists(
    st.builds(Mark, st.sampled_from(["A", "B", "C"]), st.booleans(), st.sampled_from("xy"), st.sampled_from("st")),
    max_size=6,
)


@given(marks, marks)
def test_conditions_are_one_of_a_type(first, second):
    """OR-A22: a list map by type; setting the same marks twice changes nothing."""
    once = with_marks(with_marks([], first, NOW), second, LATER)
    assert len({c["type"] for c in once}) == len(once)
    last = {mark.type: mark for mark in second}
    assert with_marks(once, list(last.values()), "2027-01-01T00:00:00Z") == once

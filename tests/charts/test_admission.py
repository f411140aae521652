# SPDX-License-Identifier: GPL-3.0-or-later
# SPDX-FileCopyrightText: 2026 The orchestrator.platform authors
"""The two admission policies as they are rendered: what they inject is the published snippet, what they may not hold is
absent, and clusters that cannot take them are refused. What the API server makes of them: molecule/admission."""

from __future__ import annotations

import re

import pytest
import renderings as r
import yaml

POLICIES = {
    "MutatingAdmissionPolicy",
    "MutatingAdmissionPolicyBinding",
    "ValidatingAdmissionPolicy",
    "ValidatingAdmissionPolicyBinding",
}
ON = {"admission": {"enabled": True}}
ODD = {"filters": {"includePatterns": ['"q" \\ $(X) <&>', "Füße 😀", "a\tb"]}, "resources": {"limits": {"cpu": 0.5}}}


def injecting(values=None, **kwargs):
    return r.template(r.MONITOR, r.merged(ON, values or {}), **kwargs).one("MutatingAdmissionPolicy")


def enforcing(mode="deny", values=None, **kwargs):
    return r.template(r.MONITOR, r.merged({"enforcement": {"mode": mode}}, values or {}), **kwargs)


def variable(policy, name):
    [expression] = [v["expression"] for v in policy["spec"]["variables"] if v["name"] == name]
    return expression


def literal(expression):
    """A CEL literal made of maps, lists and scalars, read as Python: the two write them alike but for three names."""
    return eval(expression, {"__builtins__": {}, "dyn": lambda x: x, "true": True, "false": False, "null": None})


def native(container):
    return {**container, "restartPolicy": "Always"}


@pytest.mark.parametrize("case", [c for c in r.cases(r.MONITOR) if c not in r.FLOORS])
def test_off_by_default(case):
    """D18, issues 4.3 and 5.3: no policy unless it is asked for."""
    assert not POLICIES & {o["kind"] for o in r.template(r.MONITOR, case=case).objects}


@pytest.mark.parametrize(("values", "case"), [(ON, ""), (r.merged(ON, ODD), ""), ({}, "admission")])
def test_the_policy_holds_the_published_snippet(values, case):
    """Issue 4.3, D18: containers, volumes and hash are those of the published ConfigMap, odd characters included."""
    rendering = r.template(r.MONITOR, values, case=case)
    policy, published = rendering.one("MutatingAdmissionPolicy"), r.snippet(rendering)
    parts = [published["watcher"], *([published["bridge"]] if case == "admission" else [])]
    assert literal(variable(policy, "containers")) == [native(part) for part in parts]
    bridged = published["bridgeVolumes"] if case == "admission" else []
    assert literal(variable(policy, "volumes")) == published["volumes"] + bridged
    data = rendering.one("ConfigMap", "discord-monitor-snippet")["data"]
    assert f'"{data["hash"]}"' in policy["spec"]["mutations"][0]["jsonPatch"]["expression"]


def test_the_comparison_can_fail():
    """One changed value changes what the policy injects."""
    changed = literal(variable(injecting({"batchSize": 3}), "containers"))
    assert changed != [native(r.snippet(r.template(r.MONITOR))["watcher"])]


BRIDGED = {
    "admission": {"bridge": True},
    "inputBridge": {"enabled": True, "fifoPath": "/in/fifo", "pull": {"enabled": True}},
}
TOLD = "orchestrator.platform/%s-secret-%s"


def patched(policy):
    """Annotation -> (container, path) of the Secret's name or key that the policy takes from it."""
    expression = policy["spec"]["mutations"][0]["jsonPatch"]["expression"]
    found = re.findall(r"\('(\S+-secret-\w+)' in variables\.notes \? .*?at\[(\d)\] \+ '([^']+)'", expression)
    return {note: (int(container), path) for note, container, path in found}


@pytest.mark.parametrize("values", [{}, BRIDGED])
def test_secrets_that_a_pod_names(values):
    """Issue 7.5: the webhook's goes to the watcher, the input credential's to the bridge, each to its own variable."""
    policy = injecting(values)
    containers = literal(variable(policy, "containers"))
    wanted = {"webhook": "DISCORD_WEBHOOK_URL", **({"input": "BOT_INPUT_CREDENTIAL"} if values else {})}
    found = patched(policy)
    assert set(found) == {TOLD % (what, part) for what in wanted for part in ("name", "key")}
    for at, (what, name) in enumerate(wanted.items()):
        for part in ("name", "key"):
            container, path = found[TOLD % (what, part)]
            number = [entry["name"] for entry in containers[at]["env"]].index(name)
            assert (container, path) == (at, f"env/{number}/valueFrom/secretKeyRef/{part}")


def test_a_bridge_that_pulls_nothing_takes_no_secret():
    """Issue 7.5, as the module's invalid_override: such a pod gets no sidecar, rather than one that leaves it unheard."""
    deaf = injecting({"admission": {"bridge": True}, "inputBridge": {"enabled": True}})
    assert not [note for note in patched(deaf) if "input" in note]
    for part in ("name", "key"):
        note = f'"{TOLD % ("input", part)}"'
        assert f"(!({note} in variables.notes) || [variables.notes[{note}]].all(v, false))" in variable(deaf, "valid")
        assert f"[variables.notes[{note}]].all(v, false)" not in variable(injecting(BRIDGED), "valid")
        assert f"[variables.notes[{note}]].all(v, false)" not in variable(injecting(), "valid")


def test_no_annotation_names_the_bots_secret():
    """D7: neither for the watcher nor for the bridge."""
    valid = variable(injecting(r.merged(BRIDGED, {"bot": {"input": {"existingSecret": "the-key"}}})), "valid")
    rules = [line for line in valid.splitlines() if "-secret-name" in line]
    assert len(rules) == 2
    assert all('"discord-monitor-bot"' in rule and '"the-key"' in rule for rule in rules)


@pytest.mark.parametrize("values", [{}, {"admission": {"bridge": True}, "inputBridge": {"enabled": True}}, BRIDGED])
def test_what_the_policy_may_not_hold(values):
    """D18: no parameters (they go stale), no ApplyConfiguration, no Object{} (in a list it panics the API server)."""
    text = yaml.safe_dump(injecting(values))
    assert not re.findall(r"paramKind|paramRef|ApplyConfiguration|\bObject[.{]", text)


def test_a_pod_is_never_refused_and_seen_last():
    """Issue 4.3: fail-open, after every other mutation, only while a pod is made."""
    spec = injecting()["spec"]
    assert (spec["failurePolicy"], spec["reinvocationPolicy"]) == ("Ignore", "IfNeeded")
    [rule] = spec["matchConstraints"]["resourceRules"]
    assert (rule["operations"], rule["resources"]) == (["CREATE"], ["pods"])


def test_selectors():
    """Issue 4.3: two labels unless the user names others, which then count alone."""
    found = injecting()["spec"]["matchConstraints"]
    assert found["namespaceSelector"] == {"matchLabels": {"orchestrator.platform/agents": "true"}}
    assert found["objectSelector"] == {"matchLabels": {"orchestrator.platform/monitor": "true"}}
    own = r.template(r.MONITOR, case="admission").one("MutatingAdmissionPolicy")["spec"]["matchConstraints"]
    assert own["objectSelector"] == {"matchLabels": {"example.org/agent": "yes"}}
    assert list(own["namespaceSelector"]) == ["matchExpressions"]
    scoped = enforcing(values={"enforcement": {"namespaceSelector": {"matchLabels": {"a": "b"}}}})
    constraints = scoped.one("ValidatingAdmissionPolicy")["spec"]["matchConstraints"]
    assert constraints["namespaceSelector"] == {"matchLabels": {"a": "b"}}


def test_a_trial_touches_no_other_pod():
    """D18, result dry-run before binding: names of its own, the trial's label alone; and the policy leaves trials alone."""
    trial = r.template(r.MONITOR, r.merged(ON, {"admission": {"trial": "t1"}}))
    policy = trial.one("MutatingAdmissionPolicy")
    assert policy["spec"]["matchConstraints"]["objectSelector"] == {
        "matchLabels": {"orchestrator.platform/trial": "t1"}
    }
    assert policy["metadata"]["name"] == f"{injecting()['metadata']['name']}.trial"
    assert trial.one("MutatingAdmissionPolicyBinding")["spec"]["policyName"] == policy["metadata"]["name"]
    differs = [c["name"] for c in injecting()["spec"]["matchConditions"] if c not in policy["spec"]["matchConditions"]]
    assert differs == ["no-trial"]
    assert policy["spec"]["variables"] == injecting()["spec"]["variables"]
    assert policy["spec"]["mutations"] == injecting()["spec"]["mutations"]


@pytest.mark.parametrize("release", ["discord-monitor", "l" + "o" * 51 + "g", "team.a", "123"])
def test_names_of_cluster_scoped_objects(release):
    """Issue 4.3: release and namespace are in the name, apart by a dot that neither of them holds; no namespace is set."""
    rendering = r.template(r.MONITOR, r.merged(ON, {"enforcement": {"mode": "warn"}}), release=release)
    for kind in POLICIES:
        metadata = rendering.one(kind)["metadata"]
        full = rendering.one("Deployment")["metadata"]["name"]
        assert metadata["name"] == f"{full}.test"
        assert len(metadata["name"]) <= 52 + 1 + 63
        assert "namespace" not in metadata


@pytest.mark.parametrize(("mode", "actions"), [("warn", ["Warn", "Audit"]), ("deny", ["Deny", "Audit"])])
def test_modes_of_enforcement(mode, actions):
    """Issue 5.3: warn first, then deny; both are in the audit log."""
    assert enforcing(mode).one("ValidatingAdmissionPolicyBinding")["spec"]["validationActions"] == actions


@pytest.mark.parametrize("mode", ["off", False])
def test_enforcement_off(mode):
    """Without quotes `off` is the boolean false in YAML: both mean off."""
    assert not POLICIES & {o["kind"] for o in enforcing(mode).objects}


def test_the_secrets_of_the_bot_are_held():
    """Issue 5.3, D7: the Secret of the token and the one of the API credential; the account only where it is the bot's own."""
    policy = r.template(r.MONITOR, case="enforcement").one("ValidatingAdmissionPolicy")
    assert literal(variable(policy, "secrets")) == ["discord-monitor-bot", "my-api"]
    assert "serviceAccountName.orValue('') != \"bot-account\"" in yaml.safe_dump(policy, width=10_000)
    assert "serviceAccountName" not in str(enforcing().one("ValidatingAdmissionPolicy"))


def test_each_message_names_the_rule():
    """A refusal says which rule, which container and what to do, and never a value."""
    for rule in enforcing().one("ValidatingAdmissionPolicy")["spec"]["validations"]:
        said = rule.get("message") or rule["messageExpression"]
        assert re.match(r"'?secret-scope(/[a-z-]+)?: ", said), said
        assert ";" in said, said


# (id, values, Kubernetes, what the message has to say)
REFUSED = [
    ("old-inject", ON, "1.35", ["admission.enabled needs Kubernetes 1.36", "this is v1.35", "role sidecar"]),
    (
        "old-enforce",
        {"enforcement": {"mode": "warn"}},
        "1.29",
        ["enforcement.mode=warn needs Kubernetes 1.30", 'enforcement.mode="off"'],
    ),
    (
        "no-watcher",
        r.merged(ON, {"discord": {"monitoring": {"enabled": False}}}),
        "1.36",
        ["no watcher to inject", "discord.monitoring.enabled"],
    ),
    (
        "literal-url",
        r.merged(
            ON,
            {
                "webhook": {"existingSecret": False, "allowLiteralUrl": True, "url": "http://d/canary-5f1c"},
                "snippet": {"publish": False},
            },
        ),
        "1.36",
        ["webhook.existingSecret=false", "use a Secret"],
    ),
    (
        "host-volume",
        r.merged(ON, {"transcripts": {"existingVolume": "home"}, "snippet": {"publish": False}}),
        "1.36",
        ["transcripts.existingVolume", "orchestrator.platform/transcript-volume"],
    ),
    ("no-bridge", r.merged(ON, {"admission": {"bridge": True}}), "1.36", ["admission.bridge", "inputBridge.enabled"]),
    (
        "bot-secret",
        {"enforcement": {"mode": "deny"}, "webhook": {"name": "discord-monitor-bot"}},
        "1.36",
        ["webhook.name is discord-monitor-bot", "a Secret of its own"],
    ),
]


@pytest.mark.parametrize(("values", "kubernetes", "says"), [c[1:] for c in REFUSED], ids=[c[0] for c in REFUSED])
def test_refused_with_a_remedy(values, kubernetes, says):
    """Issue 4.3 "below 1.36 the chart refuses with a sentence", and whatever no pod could use."""
    error = r.template(r.MONITOR, values, kubernetes=kubernetes).error
    assert "discord-monitor: " in error, error or "it rendered"
    assert [part for part in says if part not in error] == []
    assert "canary-5f1c" not in error


@pytest.mark.parametrize(("path", "values"), [("1.36", ON), ("1.30", {"enforcement": {"mode": "deny"}})])
def test_the_first_version_that_can(path, values):
    """The sentences above are about the version: the first that serves the kinds renders them."""
    assert not r.template(r.MONITOR, values, kubernetes=path).error


@pytest.mark.parametrize(
    ("path", "value"),
    [
        ("admission.enabled", "yes"),
        ("admission.podSelector", {"labels": {"a": "b"}}),
        ("admission.namespaceSelector", ["a"]),
        ("admission.trial", "no spaces"),
        ("enforcement.mode", "Deny"),
        ("enforcement.mode", True),
        ("enforcement.namespaceSelector", {"matchNames": ["a"]}),
    ],
)
def test_refused_by_the_schema(path, value):
    """DM-084, DM-169: the message leads to the key."""
    error = r.template(r.MONITOR, r.nested(path, value)).error
    assert "schema" in error, error or "it rendered"
    assert path.rsplit(".", 1)[-1] in error, error

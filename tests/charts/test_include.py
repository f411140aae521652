# SPDX-License-Identifier: GPL-3.0-or-later
# SPDX-FileCopyrightText: 2026 The orchestrator.platform authors
"""Include and published snippet are one: a host chart renders what the ConfigMap says, in every supported form."""

from __future__ import annotations

import re
import shutil

import pytest
import renderings as r
import yaml

CASES = [c for c in r.cases(r.MONITOR) if c not in ("snippets-only", "literal-url", "created-secret")]
NO_OBJECTS = {"bot": {"enabled": False}, "snippet": {"publish": False}}


def values_of(case):
    return yaml.safe_load((r.MONITOR / "ci" / f"{case}-values.yaml").read_text(encoding="utf-8")) or {}


def host(monitor_values, override=None):
    values = {"discord-monitor": r.merged(monitor_values, NO_OBJECTS), "override": override or {}}
    return r.template(r.AGENT, values, release="agent")


def pod(rendering, kind, name):
    return rendering.one(kind, name)["spec"]["template"]["spec"]


def without(container, key):
    return {k: v for k, v in container.items() if k != key}


def parts(spec, native):
    """A host's pod spec, taken apart into the shape of the published snippet."""
    agent = next(c for c in spec["containers"] if c["name"] == "agent")
    others = (spec.get("initContainers") or []) if native else [c for c in spec["containers"] if c["name"] != "agent"]
    assert all(c.get("restartPolicy") == ("Always" if native else None) for c in others)
    by_name = {c["name"]: without(c, "restartPolicy") for c in others}
    return {
        "watcher": by_name.pop("discord-watcher", None),
        "bridge": by_name.pop("input-bridge", None),
        "volumes": spec["volumes"] or [],
        "mounts": agent["volumeMounts"] or [],
        "others": by_name,
    }


@pytest.mark.parametrize("case", CASES)
@pytest.mark.parametrize(
    ("kind", "name"), [("Deployment", "root"), ("Deployment", "subchart"), ("Deployment", "sub-values"), ("Job", "job")]
)
def test_include_equals_the_published_snippet(case, kind, name):
    """DM-037, DM-038, DM-A02, DM-A13, design §3: the same containers, volumes and mounts, whichever way they get into the pod."""
    published = r.snippet(r.template(r.MONITOR, case=case))
    assert parts(pod(host(values_of(case)), kind, name), native=kind == "Job") == {
        "watcher": published["watcher"],
        "bridge": published["bridge"],
        "volumes": published["volumes"] + published["bridgeVolumes"],
        "mounts": published["agentVolumeMounts"] + published["bridgeAgentVolumeMounts"],
        "others": {},
    }


def test_host_gets_no_object_of_ours():
    """DM-071, DM-A13: a host that wants the includes only gets its own objects only."""
    names = {(o["kind"], o["metadata"]["name"]) for o in host({}).objects}
    assert names == {("Deployment", "root"), ("Deployment", "subchart"), ("Deployment", "sub-values"), ("Job", "job")}


def test_agent_stays_first():
    """DM-A32: the include stands behind the agent, which stays the default container; with monitoring off the pod is still valid."""
    for values in ({}, {"discord": {"monitoring": {"enabled": False}}}):
        assert pod(host(values), "Deployment", "root")["containers"][0]["name"] == "agent"


def test_sub_values_replace_one_workload_only():
    """DM-A13: the small dictionary changes its own workload; false, 0 and empty text are answers."""
    override = {
        "webhook": {"name": "other"},
        "parityMode": False,
        "filters": {"minStdoutLength": 0, "includeTools": []},
        "resources": {"limits": {"memory": "1Gi"}},
        "probes": {"watcher": {"readiness": {"enabled": False}}},
    }
    rendering = host({"parityMode": True}, override)
    changed = parts(pod(rendering, "Deployment", "sub-values"), native=False)["watcher"]
    plain = parts(pod(rendering, "Deployment", "root"), native=False)["watcher"]
    env = {e["name"]: e.get("value") for e in changed["env"]}
    assert changed["env"][0]["valueFrom"]["secretKeyRef"]["name"] == "other"
    assert (env["PARITY_MODE"], changed["resources"]) == ("false", {"limits": {"memory": "1Gi"}})
    assert '"includeTools":[]' in env["FILTERS"]
    assert '"minStdoutLength":0' in env["FILTERS"]
    assert "readinessProbe" not in changed
    assert plain == r.snippet(r.template(r.MONITOR, {"parityMode": True}))["watcher"]


@pytest.mark.parametrize(
    ("override", "says"),
    [
        ({"webhok": {}}, "sub-value webhok is not a value"),
        ({"webhook": {"nam": "x"}}, "sub-value webhook.nam is not a value"),
        ({"polling": {"interval": "fast"}}, "sub-value polling.interval is a string"),
        ({"webhook": "x"}, "sub-value webhook is a string, it has to be a map"),
        ({"webhook": {"name": ""}}, "webhook.name is empty"),
        ({"watcher": {"extraEnv": [{"name": "BOT_TOKEN"}]}}, "watcher.extraEnv names BOT_TOKEN"),
    ],
)
def test_wrong_sub_values_are_refused(override, says):
    """DM-169: no schema sees the small dictionary, so the templates look themselves."""
    assert says in host({}, override).error


def test_host_volume_is_used():
    """DM-A18: a host that owns the transcript volume names it; nothing is declared or mounted twice."""
    monitor = {"transcripts": {"existingVolume": "home", "subPath": ".claude"}}
    found = parts(pod(host(monitor), "Deployment", "root"), native=False)
    assert found["watcher"]["volumeMounts"][0] == {
        "name": "home",
        "mountPath": "/home/agent/.claude",
        "readOnly": True,
        "subPath": ".claude",
    }
    assert [v["name"] for v in found["volumes"]] == ["discord-state"]
    assert found["mounts"] == []


def test_native_form_differs_in_one_field():
    """D3: the native sidecar is the classic container plus restartPolicy Always."""
    rendering = host({})
    native = next(c for c in pod(rendering, "Job", "job")["initContainers"] if c["name"] == "discord-watcher")
    classic = next(c for c in pod(rendering, "Deployment", "root")["containers"] if c["name"] == "discord-watcher")
    assert native == {**classic, "restartPolicy": "Always"}


def test_alias_of_the_dependency(tmp_path):
    """With an alias the plain context cannot find the values and says so; the subchart's context works."""
    copy = tmp_path / "agent"
    shutil.copytree(r.AGENT, copy, symlinks=False)
    for file, old, new in [
        ("Chart.yaml", "condition:", "alias: monitor\n    condition:"),
        ("Chart.yaml", "discord-monitor.enabled", "monitor.enabled"),
        ("values.yaml", "\ndiscord-monitor:", "\nmonitor:"),
        ("templates/deployments.yaml", '(index .Subcharts "discord-monitor")', ".Subcharts.monitor"),
        ("templates/deployments.yaml", '(dict "context" . ', '(dict "context" .Subcharts.monitor '),
    ]:
        text = (copy / file).read_text(encoding="utf-8")
        assert old in text
        (copy / file).write_text(text.replace(old, new), encoding="utf-8")
    assert "pass ., (index .Subcharts" in r.template(copy).error
    for file in ("templates/deployments.yaml", "templates/job.yaml"):
        text = (copy / file).read_text(encoding="utf-8")
        (copy / file).write_text(re.sub(r'(include "[^"]+") \.(?= )', r"\1 .Subcharts.monitor", text), encoding="utf-8")
    spec = pod(r.template(copy, {"webhook": "still not ours"}), "Deployment", "root")
    assert parts(spec, native=False)["watcher"] == r.snippet(r.template(r.MONITOR))["watcher"]


def test_global_values_are_tolerated():
    """Helm hands `global` down to every dependency; the closed schema has to take it."""
    rendering = r.template(r.AGENT, {"global": {"imageRegistry": "r.example"}, "discord-monitor": {"enabled": True}})
    assert not rendering.error


def test_a_disabled_dependency_takes_its_templates_along():
    """condition: discord-monitor.enabled=false removes the chart; the host must guard its includes, and Helm names the missing one."""
    assert 'no template "discord-monitor.' in r.template(r.AGENT, {"discord-monitor": {"enabled": False}}).error


def test_demo_job_carries_the_native_sidecar():
    """DM-164, DM-A02: the sample Job completes, since its watcher is native; bot and published snippet stay out of the agents' namespace."""
    rendering = r.template(r.DEMO, release="demo")
    job = rendering.one("Job")
    spec = job["spec"]["template"]["spec"]
    assert (job["spec"]["backoffLimit"], spec["restartPolicy"]) == (0, "Never")
    found = parts(spec, native=True)
    published = r.snippet(r.template(r.MONITOR))
    assert (found["watcher"], found["volumes"]) == (published["watcher"], published["volumes"])
    assert {o["metadata"]["name"] for o in rendering.objects if o["kind"] == "Deployment"} == {
        "demo-agent",
        "demo-fake-discord",
    }
    assert not [o for o in rendering.objects if o["kind"] in ("ConfigMap", "Secret")]


def test_demo_deployment_waits_for_injection():
    """DM-177: the sample Deployment has no sidecar, and the labels by which module and admission policy find it."""
    deployment = r.template(r.DEMO, release="demo").one("Deployment", "demo-agent")
    for metadata in (deployment["metadata"], deployment["spec"]["template"]["metadata"]):
        assert metadata["labels"]["app.kubernetes.io/component"] == "agent"
        assert metadata["labels"]["orchestrator.platform/monitor"] == "true"
    spec = deployment["spec"]["template"]["spec"]
    assert [c["name"] for c in spec["containers"]] == ["agent"]
    assert "volumes" not in spec


@pytest.mark.parametrize(
    ("form", "path", "read_only"),
    [("none", None, False), ("home", "/home/agent", True), ("transcripts", "/home/agent/.claude", True)],
)
def test_demo_agent_owns_its_volume_or_not(form, path, read_only):
    """The three forms an injector meets; without a volume the agent needs a writable file system until one comes."""
    deployment = r.template(r.DEMO, {"deployment": {"ownVolume": form}}, release="demo").one("Deployment", "demo-agent")
    [container] = deployment["spec"]["template"]["spec"]["containers"]
    assert [m["mountPath"] for m in container.get("volumeMounts", [])] == ([path] if path else [])
    assert container["securityContext"]["readOnlyRootFilesystem"] is read_only


def test_demo_job_is_new_when_its_template_is():
    """A Job's template is immutable: another template gets another name, the same one keeps it."""
    name = r.template(r.DEMO).one("Job")["metadata"]["name"]
    assert r.template(r.DEMO, {"deployment": {"replicas": 2}}).one("Job")["metadata"]["name"] == name
    assert r.template(r.DEMO, {"agent": {"seed": 2}}).one("Job")["metadata"]["name"] != name


def test_demo_node_port():
    """The kind cluster maps node port 30081 to the host; ClusterIP carries none."""
    ports = r.template(r.DEMO, case="fake-discord").one("Service")["spec"]["ports"]
    assert ports[0]["nodePort"] == 30081
    assert "nodePort" not in r.template(r.DEMO).one("Service")["spec"]["ports"][0]


def test_demo_forge_is_off_until_asked_for():
    """Issue 8.6: only who runs the orchestrator needs it."""
    assert not [o for o in r.template(r.DEMO).objects if "forge" in o["metadata"]["name"]]


def test_demo_forge():
    """Issue 8.6: port 22 outside and none below 1024 inside, so that it needs no right; other keys are another pod."""
    rendering = r.template(r.DEMO, case="forge", release="forge")
    ports = {port["name"]: (port["port"], port["targetPort"]) for port in rendering.one("Service")["spec"]["ports"]}
    assert ports == {"http": (8082, "http"), "ssh": (22, "ssh")}
    template = rendering.one("Deployment")["spec"]["template"]
    [container] = template["spec"]["containers"]
    assert {port["name"]: port["containerPort"] for port in container["ports"]} == {"http": 8082, "ssh": 2222}
    assert container["image"].startswith("platform-forge:")
    more = r.template(r.DEMO, {"forge": {"authorizedKeys": ["ssh-ed25519 AAAA other"]}}, case="forge", release="forge")
    assert more.one("ConfigMap")["data"]["authorized_keys"] == "ssh-ed25519 AAAA other\n"
    assert more.one("Deployment")["spec"]["template"]["metadata"]["annotations"] != template["metadata"]["annotations"]
    url = {"forge": {"publicUrl": ""}}
    env = r.template(r.DEMO, url, case="forge", release="forge").one("Deployment")["spec"]["template"]["spec"][
        "containers"
    ][0]["env"]
    assert {"name": "PUBLIC_URL", "value": "http://forge.test.svc:8082"} in env


@pytest.mark.parametrize(
    ("release", "names"),
    [
        ("demo", {"demo-fake-discord", "demo-agent"}),
        ("fake-discord", {"fake-discord", "fake-discord-agent"}),
        ("agent", {"agent-fake-discord", "agent"}),
        ("1.2", {"demo-1-2-fake-discord", "demo-1-2-agent"}),
    ],
)
def test_demo_names(release, names):
    """A release called like a part gives the plain name, which other files rely on: http://fake-discord.<namespace>.svc:8081."""
    rendering = r.template(r.DEMO, release=release)
    assert {o["metadata"]["name"] for o in rendering.objects if o["kind"] == "Deployment"} == names
    assert rendering.one("Service")["metadata"]["name"] in names

# SPDX-License-Identifier: GPL-3.0-or-later
# SPDX-FileCopyrightText: 2026 The orchestrator.platform authors
"""Include, module, filter and policy give the same pod: every field of every container, volume and mount, after the server's defaults."""

from __future__ import annotations

import copy
import json
import subprocess

import pytest
import yaml
from ansible_collections.orchestrator.platform.plugins.filter.with_sidecar import with_sidecar

from dry_runs import DryRuns, manifest, watcher_of
from real_cluster import ROOT, Cluster, Json

testinfra_hosts = ["local://"]

SHAPES = yaml.safe_load((ROOT / "molecule" / "admission" / "vars" / "shapes.yml").read_text(encoding="utf-8"))["shapes"]
TOKEN = "/var/run/secrets/kubernetes.io/serviceaccount"
OURS = ("discord-transcripts", "discord-state", "discord-no-token")
HASH = "orchestrator.platform/snippet-hash"


def accepted(answer) -> Json:
    assert answer.status == 201, answer.said
    return answer.body


@pytest.fixture(scope="module")
def templates(cluster: Cluster) -> dict[str, Json]:
    """Pod templates that the module has injected, by shape."""
    found = cluster.objects("deployments", "adm-plain")
    return {item["metadata"]["name"]: item["spec"]["template"] for item in found}


@pytest.mark.parametrize("shape", SHAPES)
def test_module_and_policy_agree(shape: str, templates: dict[str, Json], api: DryRuns):
    """Issue 4.3, D3, D18: the pod of a Deployment that the module injected, and the same agent injected by the policy."""
    by_policy = accepted(api.pod(SHAPES[shape], "adm-agents"))
    template = templates[shape]
    by_module = accepted(api.pod(template["spec"], "adm-plain"))
    assert watcher_of(by_policy["spec"]), "the policy injected nothing"
    assert by_policy["spec"] == by_module["spec"]
    assert by_policy["metadata"]["annotations"][HASH] == template["metadata"]["annotations"][HASH]


PREFIX = "orchestrator.platform/"
# Annotations with which filter and policy have to agree, by shape: (shape, annotations)
ANNOTATED = [
    *((shape, {}) for shape in SHAPES),
    ("bare", {"image": "r.example.org:5000/team/dm:1.2@sha256:" + "0a" * 32, "log-level": "warning", "parity-mode": "true"}),
    ("bare", {"filters": '{"includePatterns":["$(X)","Füße"],"includeTools":[],"minStdoutLength":0}', "thread-id": "42"}),
    ("bare", {"webhook-secret-name": "mine", "webhook-secret-key": "URL"}),
    ("bare", {"input-secret-name": "mine", "input-secret-key": "LINE"}),
    ("bare", {"cpu-request": "50m", "cpu-limit": "1", "memory-request": "48Mi", "memory-limit": "96Mi"}),
    ("two-containers", {"container": "helper"}),
    ("two-containers", {"transcript-volume": "work"}),
    ("own-home", {"transcript-volume": "root"}),
    ("own-transcripts", {"transcript-volume": "own"}),
]  # fmt: skip


@pytest.fixture(scope="module")
def snippet(cluster: Cluster) -> Json:
    """The published ConfigMap."""
    return cluster.get("configmap", "discord-monitor-snippet", "adm-monitor")


@pytest.mark.parametrize(("shape", "notes"), ANNOTATED)
def test_filter_and_policy_agree(shape: str, notes: dict[str, str], snippet: Json, api: DryRuns):
    """Issue 4.3, equality of the four ways: a manifest through the filter with_sidecar, and the policy, annotations included."""
    given = {PREFIX + key: value for key, value in notes.items()}
    deployment = manifest("Deployment", "dry", SHAPES[shape], notes=given)
    (filtered,) = with_sidecar([deployment], snippet)
    by_filter = accepted(api.pod(filtered["spec"]["template"]["spec"], "adm-plain"))
    by_policy = accepted(api.pod(SHAPES[shape], "adm-agents", notes=given))
    assert watcher_of(by_policy["spec"]), "the policy injected nothing"
    assert by_policy["spec"] == by_filter["spec"]


def test_the_comparison_can_fail(templates: dict[str, Json], api: DryRuns):
    """One override makes the two pods differ."""
    loud = accepted(api.pod(SHAPES["bare"], "adm-agents", notes={"orchestrator.platform/log-level": "debug"}))
    assert loud["spec"] != accepted(api.pod(templates["bare"]["spec"], "adm-plain"))["spec"]


@pytest.fixture(scope="module")
def included(cluster: Cluster, inputs: Json) -> Json:
    """The pod spec of the demo chart's Job, whose watcher came by include, with the image of the release."""
    image = watcher_of(cluster.objects("deployments", "adm-plain")[0]["spec"]["template"]["spec"])["image"]
    values = {"discord-monitor": {"images": {"watcher": {"tag": image.rsplit(":", 1)[-1]}}}}
    argv = ["helm", "template", "demo", str(ROOT / "charts/demo"), "--kube-version=1.36", "--values=-"]
    argv += ["--show-only=templates/agent-job.yaml"]
    done = subprocess.run(argv, env=cluster.env, input=json.dumps(values), capture_output=True, text=True, check=True)
    spec: Json = yaml.safe_load(done.stdout)["spec"]["template"]["spec"]
    return spec


def test_include_and_policy_agree(included: Json, api: DryRuns):
    """Issue 4.3, DM-A02: the demo's Job as rendered, and the same Job without its include, injected by the policy."""
    bare = copy.deepcopy(included)
    bare["initContainers"] = []
    bare["volumes"] = []
    for container in bare["containers"]:
        container["volumeMounts"] = []
    by_policy = accepted(api.pod(bare, "adm-agents"))["spec"]
    assert by_policy == accepted(api.pod(included, "adm-plain"))["spec"]


def test_an_include_is_left_alone(included: Json, api: DryRuns):
    """Idempotent: who brings the watcher keeps it as it is."""
    here, there = (accepted(api.pod(included, namespace))["spec"] for namespace in ("adm-agents", "adm-plain"))
    assert here == there


def test_the_documented_difference(api: DryRuns):
    """D18: where the pod has an API token, the policy keeps it from the watcher by an empty volume in its place; else nothing differs."""
    spec = accepted(api.pod({"containers": SHAPES["bare"]["containers"]}, "adm-agents"))["spec"]
    at = {m["mountPath"]: m["name"] for m in watcher_of(spec)["volumeMounts"]}
    assert at[TOKEN] == "discord-no-token"
    agent = {m["mountPath"]: m["name"] for m in spec["containers"][0]["volumeMounts"]}
    assert agent[TOKEN].startswith("kube-api-access-")
    assert [v["name"] for v in spec["volumes"] if v["name"] in OURS] == list(OURS)
    without = accepted(api.pod(SHAPES["bare"], "adm-agents"))["spec"]
    assert "discord-no-token" not in str(without)


def test_the_result_is_accepted_as_it_is(api: DryRuns):
    """Idempotent: what the policy made, asked for again, is the same pod to the last field."""
    for spec in ({"containers": SHAPES["bare"]["containers"]}, SHAPES["own-home"]):
        first = accepted(api.pod(spec, "adm-agents"))["spec"]
        assert accepted(api.pod(first, "adm-agents"))["spec"] == first

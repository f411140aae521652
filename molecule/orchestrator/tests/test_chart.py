# SPDX-License-Identifier: GPL-3.0-or-later
# SPDX-FileCopyrightText: 2026 The orchestrator.platform authors
"""Every rendering of the chart goes through a real API server's dry run, and its rights are asked of the real authorizer."""

from __future__ import annotations

import functools
import json
import subprocess

import pytest
import yaml
from ansible_collections.orchestrator.platform.plugins.module_utils._drift import drift_of

from real_cluster import ROOT

testinfra_hosts = ["local://"]

CHART = ROOT / "charts" / "orchestrator"
FILES = sorted([*CHART.glob("ci/*-values.yaml"), *CHART.glob("values-*.yaml")])


def helm(cluster, *argv):
    """Standard output of the pinned helm; its words are part of the failure."""
    done = subprocess.run(["helm", *argv], env=cluster.env, capture_output=True, text=True, check=False, timeout=120)
    assert done.returncode == 0, done.stderr[-2000:]
    return done.stdout


@pytest.fixture(scope="session")
def rendered(cluster, namespace):
    """Objects of the chart with a values file, rendered for the server's own version."""
    version = json.loads(cluster.kubectl("version", "--output=json"))["serverVersion"]["gitVersion"]

    @functools.cache
    def output(file):
        argv = [
            "template",
            "trial",
            str(CHART),
            "--namespace",
            namespace,
            "--kube-version",
            version,
            "--values",
            str(file),
        ]
        return helm(cluster, *argv)

    return lambda file: [o for o in yaml.safe_load_all(output(file)) if o]


def dry_run(cluster, objects):
    """kubectl's words about a server-side dry run of an apply: (output, warnings and errors, status)."""
    argv = ["kubectl", "apply", "--server-side", "--dry-run=server", "--filename=-", "--output=name"]
    stream = yaml.safe_dump_all(objects)
    done = subprocess.run(argv, env=cluster.env, input=stream, capture_output=True, text=True, check=False, timeout=120)
    return done.stdout.splitlines(), done.stderr.strip(), done.returncode


@pytest.mark.parametrize("file", FILES, ids=lambda file: file.stem)
def test_the_api_server_takes_every_rendering(cluster, rendered, file):
    """OR-343, OR-345, OR-A01, OR-A03: strictly, without a warning, each object; the namespace enforces "restricted"."""
    objects = rendered(file)
    pods = [o["spec"]["template"] | {"apiVersion": "v1", "kind": "Pod"} for o in objects if o["kind"] == "Deployment"]
    for pod in pods:
        pod["metadata"] |= {"name": "as-the-deployment-makes-it", "namespace": objects[0]["metadata"]["namespace"]}
        # A priority class and an account have to be there when a pod is made; what counts here is its security context.
        pod["spec"] = {k: v for k, v in pod["spec"].items() if k not in ("priorityClassName", "serviceAccountName")}
    names, words, status = dry_run(cluster, [*objects, *pods])
    assert (words, status) == ("", 0)
    assert len(names) == len(objects) + len(pods)


@pytest.mark.parametrize("file", FILES, ids=lambda file: file.stem)
def test_nothing_that_was_rendered_is_taken_for_drift(cluster, rendered, file):
    """D5: what the API server makes of an object holds all of it, else every run of the role would put it back."""
    objects = [o for o in rendered(file) if o["kind"] != "Secret"]
    argv = ["apply", "--server-side", "--dry-run=server", "--filename=-", "--output=json"]
    answer = json.loads(cluster.kubectl(*argv, stdin=yaml.safe_dump_all(objects)))
    live = {(item["kind"], item["metadata"]["name"]): item for item in answer["items"]}
    found = [drift_of(o, live[(o["kind"], o["metadata"]["name"])]) for o in objects]
    assert [text for text in found if text] == []


def test_a_refusal_would_be_seen(cluster, rendered):
    """OR-A01: an Ingress with two classes, and an unknown field: both are refused, so the test above can fail."""
    [ingress] = [o for o in rendered(CHART / "ci" / "ingress-values.yaml") if o["kind"] == "Ingress"]
    twice = json.loads(json.dumps(ingress))
    twice["metadata"]["annotations"]["kubernetes.io/ingress.class"] = "other"
    assert "kubernetes.io/ingress.class" in dry_run(cluster, [twice])[1]
    unknown = json.loads(json.dumps(ingress))
    unknown["spec"]["classname"] = "nginx"
    assert dry_run(cluster, [unknown])[2] == 1


def test_helms_own_dry_run(cluster, namespace):
    """OR-344: `helm install --dry-run=server` with the CRDs already there."""
    argv = ["install", "trial", str(CHART), "--namespace", namespace, "--dry-run=server"]
    output = helm(cluster, *argv, "--values", str(CHART / "ci" / "default-values.yaml"))
    assert "is installed as release trial" in output


@pytest.fixture(scope="module", params=["default", "rbac-compatible"])
def account(cluster, namespace, rendered, request):
    """Account, role and binding of a case, really there; the name the authorizer knows the account by."""
    objects = rendered(CHART / "ci" / f"{request.param}-values.yaml")
    chosen = yaml.safe_dump_all([o for o in objects if o["kind"] in ("ServiceAccount", "Role", "RoleBinding")])
    cluster.kubectl("apply", "--server-side", "--filename=-", stdin=chosen)
    yield request.param, f"system:serviceaccount:{namespace}:trial-orchestrator"
    cluster.kubectl("delete", "--filename=-", stdin=chosen)


# (verb, resource, default profile, compatible profile)
RIGHTS = [
    ("create", "jobs.batch", True, True),
    ("create", "configmaps", True, True),
    ("create", "coderuns.orchestrator.platform", True, True),
    ("create", "persistentvolumeclaims", True, True),
    ("get", "secrets", True, True),
    ("list", "secrets", False, True),
    ("create", "secrets", False, True),
    ("create", "services", False, True),
    ("create", "serviceaccounts", False, True),
    ("create", "events", True, False),
    ("create", "pods", False, False),
    ("create", "roles.rbac.authorization.k8s.io", False, False),
]


def test_rights(cluster, namespace, account):
    """OR-197…OR-205, OR-317, OR-A40: what the account may, as the API server sees it."""
    profile, user = account
    reviews = [
        {
            "apiVersion": "authorization.k8s.io/v1",
            "kind": "SubjectAccessReview",
            "spec": {
                "user": user,
                "resourceAttributes": {
                    "namespace": namespace,
                    "verb": verb,
                    **dict(zip(("resource", "group"), resource.split(".", 1), strict=False)),
                },
            },
        }
        for verb, resource, _least, _compatible in RIGHTS
    ]
    stream = json.dumps({"apiVersion": "v1", "kind": "List", "items": reviews})
    allowed = cluster.kubectl(
        "create", "--filename=-", '--output=jsonpath={.status.allowed}{" "}', stdin=stream
    ).split()
    found = [(verb, kind, answer == "true") for (verb, kind, *_), answer in zip(RIGHTS, allowed, strict=True)]
    assert found == [(verb, kind, least if profile == "default" else wide) for verb, kind, least, wide in RIGHTS]

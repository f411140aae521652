# SPDX-License-Identifier: GPL-3.0-or-later
# SPDX-FileCopyrightText: 2026 The orchestrator.platform authors
"""Bad input stops site.yml before it writes, with one sentence that says what, where and how to mend it."""

from __future__ import annotations

import http.server
import json
import re
import subprocess
import threading

import pytest

from real_cluster import ROOT, STATE, again

testinfra_hosts = ["local://"]

URL = "https://discord.com/api/webhooks/123456789012345678/canary-of-the-bad-inputs-1f7e"

ORCHESTRATOR = {"platform_orchestrator": True, "platform_orchestrator_namespace": "bad-orchestrator"}
NOBODY = {"platform_kubeconfig": f"{STATE}/kubeconfig-nobody"}


def values(**branches: dict) -> dict:
    """Values of the orchestrator's chart."""
    return {"orchestrator_values": branches}


# id: variables that differ from a good run -> what the sentences say, each a regular expression over one problem.
# Mistakes that do not hide each other share a run: all of them are told at once.
CASES = {
    "kubeconfig-missing": ({"platform_kubeconfig": "/nowhere/kubeconfig"}, [r"/nowhere/kubeconfig.* does not exist"]),
    "context-wrong": ({"platform_context": "mars"}, [r"mars.*(has|contexts?).*kind-orch-test"]),
    "no-permission": ({**NOBODY, **ORCHESTRATOR, **values(rbac={"namespaced": False})}, [
        r"system:serviceaccount:bad-users:nobody may not .*Have an administrator",
        r"may not do this in the cluster: .*create clusterroles\.rbac",
    ]),
    "nothing-given": ({
        **ORCHESTRATOR, "secrets_bot_token": "", "secrets_api_key": "",
        "secrets_webhook_url": "https://example.org/canary-of-the-bad-inputs-1f7e",
        "platform_agent_namespaces": ["bad-ending"], "discord_monitor_values": {"batchSize": 99},
        **values(rbac={"namespaced": False}, ingress={"enabled": True, "hosts": [{"host": "taken.example.org"}]}),
    }, [
        r"No bot token is given for namespace bad-monitor, .*Set secrets_bot_token",
        r"No API key is given for namespace bad-orchestrator, .*Set secrets_api_key_file \(or platform_orchestrator: false",
        r"secrets_webhook_url is not a webhook URL",
        r"Namespace bad-ending is being deleted.*Wait until it is gone",
        r"batchSize.*10",
        r"release orchestrator is also installed in namespace bad-users, .*rbac\.namespaced",
        r"Host taken\.example\.org .* taken by Ingress bad-users/shop",
    ]),
    "ill-formed": ({
        **ORCHESTRATOR, "secrets_bot_token": "canary-of-the-bad-inputs-1f7e\n", "secrets_api_key": "canary-of-the-bad-inputs-1f7e\n",
        "secrets_webhook_url": URL.replace("discord.com", "example.org"), "secrets_webhook_allow_custom": False,
        "discord_monitor_values": {"batchsize": 5}, **values(config={"kubernetesNamespace": "bad-users"}),
    }, [
        r"secrets_bot_token ends with a line break: give it without one",
        r"secrets_api_key ends with a line break",
        r"secrets_webhook_url .*not one of https://discord.com",
        r"batchsize",
        r"config.kubernetesNamespace is bad-users, but the role reaches",
    ]),
    "key-twice": ({**ORCHESTRATOR, "platform_agent_namespaces": ["bad-monitor"], **values(secrets={"existingSecret": "mine"})}, [
        r"The API key is given twice, by secrets_api_key and as Secret mine",
        r"bad-monitor.*agent",
    ]),
    "key-among-values": ({
        **ORCHESTRATOR, "platform_orchestrator_namespace": "bad-monitor",
        **values(secrets={"anthropicApiKey": "canary-of-the-bad-inputs-1f7e"}),
    }, [
        r"orchestrator_values sets secrets.anthropicApiKey, .*set secrets_api_key_file",
        r"bad-monitor, where the orchestrator would run agents.*platform_orchestrator_namespace",
    ]),
}  # fmt: skip


def good() -> dict:
    """A run into namespaces that do not exist yet."""
    return {
        "platform_monitor_namespace": "bad-monitor",
        "platform_agent_namespaces": ["bad-agents"],
        "secrets_webhook_url": URL,
    }


def refused(cluster, variables: dict, sentences: list[str], *args: str) -> None:
    """A site.yml that must fail before it writes: each sentence is in its output, in one problem, and the canary is not."""
    before = set(cluster.kubectl("get", "namespaces", "--output=name").split())
    output = again("site", cluster, "--extra-vars", json.dumps({**good(), **variables}), *args, check=False)
    assert re.search(r"^localhost +: .*failed=[1-9]", output, re.MULTILINE), output[-3000:]
    problems = re.sub(r"\s+", " ", output.replace("\\n", " ")).split(" - ")
    missed = [says for says in sentences if not any(re.search(says, problem) for problem in problems)]
    assert not missed, output[-3000:]
    assert "canary-of-the-bad-inputs" not in output
    assert "Traceback" not in output
    # One of an earlier test may still be on its way out.
    made = set(cluster.kubectl("get", "namespaces", "--output=name").split()) - before
    assert not made, "something was written all the same"


@pytest.mark.parametrize("case", CASES)
def test_it_is_refused_in_one_sentence_a_mistake(cluster, case):
    """Before anything is written, and with no value of a secret in it, also at -vvv with --diff."""
    variables, sentences = CASES[case]
    refused(cluster, variables, sentences, "-vvv", "--diff")


def test_a_release_that_a_killed_helm_left(cluster):
    """The sentence names the release, its state and the way out; with that option set the run goes on."""
    namespace = "bad-pending"
    cluster.kubectl("create", "namespace", namespace)
    try:
        cluster.kubectl("create", "--filename=-", stdin=json.dumps(pending_release(namespace)))
        variables = {"platform_monitor_namespace": namespace}
        refused(
            cluster,
            variables,
            [rf"{namespace}/discord-monitor has been in pending-install .*discord_monitor_recover: true"],
        )
    finally:
        cluster.kubectl("delete", "namespace", namespace, "--wait=false")


def test_a_crd_of_somebody_else(cluster):
    """D10: told before anything is written, with its owner."""
    crd = (ROOT / "charts" / "orchestrator" / "crds" / "docsrun-crd.yaml").read_text(encoding="utf-8")
    name = "docsruns.orchestrator.platform"
    theirs = crd.replace("shortNames: [dr, drun]", "shortNames: [theirs]")
    cluster.kubectl("delete", "crd", name, "--ignore-not-found")
    cluster.kubectl("apply", "--server-side", "--field-manager=argocd-controller", "--filename=-", stdin=theirs)
    try:
        refused(
            cluster, ORCHESTRATOR, [rf"CRD {name} is not the one of this collection and belongs to argocd-controller"]
        )
    finally:
        cluster.kubectl("delete", "crd", name)


def pending_release(namespace: str) -> dict:
    """A release record as a Helm that was killed during its first install leaves it."""
    labels = {"owner": "helm", "name": "discord-monitor", "status": "pending-install", "version": "1"}
    meta = {"name": "sh.helm.release.v1.discord-monitor.v1", "namespace": namespace, "labels": labels}
    return {
        "apiVersion": "v1",
        "kind": "Secret",
        "type": "helm.sh/release.v1",
        "metadata": meta,
        "data": {"release": "SDRzSUFBQUFBQUFBLzZ1dUJRQkR2NmFqQWdBQUFBPT0="},
    }


class OldServer(http.server.BaseHTTPRequestHandler):
    """The one answer of an API server that is older than the floor; nothing else of it can run here."""

    def do_GET(self):
        body = json.dumps({"major": "1", "minor": "27", "gitVersion": "v1.27.16"}).encode()
        self.send_response(200 if self.path.startswith("/version") else 403)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *args):
        pass


def test_a_server_below_the_floor(cluster):
    """D15: 1.29 is the oldest version; the sentence names both versions."""
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), OldServer)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    try:
        kubeconfig = STATE / "kubeconfig-old"
        entry = {"server": f"http://127.0.0.1:{server.server_port}"}
        context = {"cluster": "old", "user": "old"}
        kubeconfig.write_text(json.dumps({
            "apiVersion": "v1", "kind": "Config", "current-context": "old", "clusters": [{"name": "old", "cluster": entry}],
            "contexts": [{"name": "old", "context": context}], "users": [{"name": "old", "user": {}}],
        }), encoding="utf-8")  # fmt: skip
        refused(
            cluster,
            {"platform_kubeconfig": str(kubeconfig)},
            [r"Kubernetes v1\.27\.16.*oldest supported version is 1\.29"],
        )
    finally:
        server.shutdown()


def test_an_image_whose_build_fails(tmp_path):
    """One sentence, and no container: a builder's own bears no label of ours, so `make clean` would not see it."""
    (tmp_path / "Dockerfile").write_text("ARG BASE_IMAGE\nFROM ${BASE_IMAGE}\nRUN echo the-step-that-fails && false\n")
    spec = {"cluster": "", "images": [{"name": "bad-image", "context": str(tmp_path)}]}
    # By the step's own command, since another build may run beside this one.
    left = ["docker", "ps", "--all", "--no-trunc", "--format", "{{.Command}}"]
    done = subprocess.run(
        [ROOT / "tools" / "toolbox", "images", json.dumps(spec)], check=False, capture_output=True, text=True
    )
    assert done.returncode == 1
    sentence = done.stderr.strip().splitlines()[-1]
    assert re.fullmatch(r"toolbox: Building the image bad-image:\w+ failed: .*", sentence), done.stderr[-2000:]
    assert "the-step-that-fails" in done.stderr
    assert "the-step-that-fails" not in subprocess.run(left, check=True, capture_output=True, text=True).stdout

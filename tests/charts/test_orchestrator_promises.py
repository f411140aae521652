# SPDX-License-Identifier: GPL-3.0-or-later
# SPDX-FileCopyrightText: 2026 The orchestrator.platform authors
"""What the chart orchestrator promises about its objects: names, labels, configuration, secrets, NOTES."""

from __future__ import annotations

import json
import re
import shutil

import pod_rules
import pytest
import renderings as r
import yaml
from orchestrator_chart import CASES, CREATED, KEY, SECRET, container, controller, data, deployment, pod, render

STANDARD = {f"app.kubernetes.io/{k}" for k in ("name", "instance", "version", "component", "part-of", "managed-by")} | {
    "helm.sh/chart"
}


def notes(tmp_path, values):
    """NOTES as Helm would print them; `helm template` leaves them out, so a copy of the chart prints them as a field."""
    copy = tmp_path / "orchestrator"
    shutil.copytree(r.ORCHESTRATOR, copy)
    text = (copy / "templates" / "NOTES.txt").read_text(encoding="utf-8")
    (copy / "templates" / "NOTES.txt").unlink()
    wrapped = (
        '{{- define "notes" -}}'
        + text
        + '{{- end -}}\nkind: Notes\nmetadata: {name: notes}\ntext: |\n  {{- include "notes" . | nindent 2 }}\n'
    )
    (copy / "templates" / "notes.yaml").write_text(wrapped, encoding="utf-8")
    return r.template(copy, values, release="orchestrator").one("Notes")["text"]


def test_chart_yaml():
    """OR-013…OR-023, OR-A35, OR-A37, OR-A56: the card of the chart; no version called latest, the text names the kinds there are."""
    meta = yaml.safe_load((r.ORCHESTRATOR / "Chart.yaml").read_text(encoding="utf-8"))
    wanted = {
        "apiVersion": "v2", "name": "orchestrator", "type": "application", "version": "0.1.1", "dependencies": [],
        "keywords": ["orchestrator", "claude-code", "task-management", "kubernetes", "automation"],
        "home": "https://github.com/5dlabs/platform", "sources": ["https://github.com/5dlabs/platform"],
        "maintainers": [{"name": "Platform Team", "email": "platform@5dlabs.com"}],
    }  # fmt: skip
    assert {key: meta[key] for key in wanted} == wanted
    assert "CodeRun and DocsRun" in meta["description"]
    assert meta["appVersion"] not in ("", "latest")
    assert meta["kubeVersion"].startswith(f">={r.OLDEST}")


def test_layout():
    """OR-001, OR-002, OR-098, OR-A51: the files the source has, uses or ought to have."""
    wanted = """
        Chart.yaml README.md values.yaml values.schema.json values-example.yaml values-production.yaml crds/coderun-crd.yaml
        crds/docsrun-crd.yaml crds-combined/platform-crds.yaml templates/_helpers.tpl templates/deployment.yaml templates/ingress.yaml
        templates/service.yaml templates/task-controller-config.yaml templates/rbac.yaml templates/claude-templates-configmap.yaml
        templates/serviceaccount.yaml templates/configmap.yaml templates/secret.yaml templates/NOTES.txt"""
    assert [file for file in wanted.split() if not (r.ORCHESTRATOR / file).is_file()] == []
    assert (r.ROOT / "docs" / "chart-orchestrator.md").is_file()


def test_defaults_are_those_of_the_source():
    """OR-024…OR-095: what a user gets who sets nothing; where a flaw was mended the new default stands, with its id."""
    values = yaml.safe_load((r.ORCHESTRATOR / "values.yaml").read_text(encoding="utf-8"))

    def at(path):
        found = values
        for key in path.split("."):
            found = found[key]
        return found

    wanted = {
        "replicaCount": 1, "image.repository": "ghcr.io/5dlabs/platform/orchestrator", "nameOverride": "", "fullnameOverride": "",
        "agent.image.repository": "ghcr.io/5dlabs/platform/claude-code", "agent.image.tag": "1.0.56", "agent.image.pullPolicy": "Always",
        "storage.storageClassName": "local-path", "storage.workspaceSize": "10Gi", "cleanup.enabled": True,
        "cleanup.completedJobDelayMinutes": 5, "cleanup.failedJobDelayMinutes": 60, "cleanup.deleteConfigMap": True,
        "serviceAccount.create": True, "serviceAccount.annotations": {},
        "podSecurityContext": {"fsGroup": 2000, "runAsNonRoot": True, "runAsUser": 1000},
        "securityContext": {"allowPrivilegeEscalation": False, "readOnlyRootFilesystem": False, "runAsNonRoot": True, "runAsUser": 1000,
                            "capabilities": {"drop": ["ALL"]}, "seccompProfile": {"type": "RuntimeDefault"}},
        "service.type": "ClusterIP", "service.port": 80, "service.nodePort": 0, "service.targetPort": 8080, "ingress.enabled": False, "ingress.className": "nginx",
        "ingress.hosts": [{"host": "orchestrator.local", "paths": [{"path": "/", "pathType": "Prefix"}]}], "ingress.tls": [],
        "resources": {"limits": {"cpu": "500m", "memory": "512Mi"}, "requests": {"cpu": "100m", "memory": "128Mi"}},
        "nodeSelector": {}, "affinity": {}, "config.serverHost": "0.0.0.0",
        "config.rustLog": "orchestrator=debug,tower_http=debug,axum=debug,kube=info",
        "models.defaultDocsModel": "claude-opus-4-20250514", "models.defaultCodeModel": "claude-sonnet-4-20250514",
        "secrets.anthropicApiKey": "", "rbac.create": True, "rbac.namespaced": True, "healthCheck.enabled": True, "healthCheck.path": "/health",
        # mended
        "image.tag": "", "image.pullPolicy": "IfNotPresent",  # OR-A35
        "imagePullSecrets": [],  # OR-A52
        "serviceAccount.name": "",  # OR-A42
        "podAnnotations": {},  # OR-A33
        "service.portName": "http", "service.name": "",  # OR-A26
        "ingress.annotations": {},  # OR-A53
        "tolerations": [],  # OR-A54
        "config.kubernetesNamespace": "",  # OR-A15
        "config.serverPort": "",  # OR-A25
        "rbac.profile": "least-privilege",  # OR-A40
    }  # fmt: skip
    assert {path: at(path) for path in wanted} == wanted
    probe = {"periodSeconds": 60, "timeoutSeconds": 1, "successThreshold": 1, "failureThreshold": 3}
    assert at("healthCheck.livenessProbe") == {**probe, "initialDelaySeconds": 30}
    assert at("healthCheck.readinessProbe") == {**probe, "initialDelaySeconds": 10, "periodSeconds": 30, "path": ""}
    assert "autoscaling" not in values  # OR-A05


@pytest.mark.parametrize("case", CASES)
def test_labels_are_uniform(case):
    """OR-101…OR-103: every object has the standard labels, the same on all but for those of the test pod."""
    seen = []
    for o in render(case=case).objects:
        labels = o["metadata"]["labels"]
        assert set(labels) >= STANDARD, (o["kind"], labels)
        differs = {"app.kubernetes.io/component", "app.kubernetes.io/name"} if o["kind"] == "Pod" else set()
        seen.append({k: v for k, v in labels.items() if k in STANDARD - differs})
    assert all(labels.items() <= max(seen, key=len).items() for labels in seen)


def test_common_labels_and_annotations_reach_every_object():
    """D4: and cannot replace a standard label."""
    for o in render(case="everything").objects:
        assert o["metadata"]["labels"]["example.org/team"] == "platform"
        assert o["metadata"]["labels"]["app.kubernetes.io/name"].startswith("runner")
        assert o["metadata"]["annotations"]["example.org/contact"] == "platform"
        assert o["metadata"]["annotations"]["orchestrator.platform/chart-digest"] == "sha256-of-the-files"


@pytest.mark.parametrize(
    ("release", "values", "name"),
    [
        ("orchestrator", {}, "orchestrator"),
        ("orchestrator-new", {}, "orchestrator-new"),
        ("mine", {}, "mine-orchestrator"),
        ("mine", {"nameOverride": "runner"}, "mine-runner"),
        ("mine", {"fullnameOverride": "orchestrator"}, "orchestrator"),
    ],
)
def test_full_name(release, values, name):
    """OR-099, OR-100, OR-A14: the release alone if it says it already, with overrides; Service and Deployment have the same name."""
    rendering = render(values, release=release)
    assert [rendering.one(kind)["metadata"]["name"] for kind in ("Deployment", "Service")] == [name, name]


@pytest.mark.parametrize("release", ["team.a", "l" + "o" * 51 + "g", "123", "x-orchestrator"])
def test_names_and_labels_fit_kubernetes(release):
    """OR-099, OR-100: long, dotted and numeric release names give names a Service may have, and label values that fit."""
    for o in render({"healthCheck": {"enabled": True}}, release=release).objects:
        name = o["metadata"]["name"]
        assert re.fullmatch(r"[a-z0-9]([-a-z0-9]*[a-z0-9])?", name), name
        assert len(name) <= (63 if o["kind"] in ("Service", "Deployment", "Pod") else 253), name
        assert all(len(v) <= 63 for v in o["metadata"]["labels"].values())
    assert render(release=release).one("Service")["metadata"]["name"][0].isalpha()


def test_documented_selector_holds():
    """OR-107: the documents select by app.kubernetes.io/name=orchestrator."""
    found = deployment()
    assert found["spec"]["selector"]["matchLabels"] == {
        "app.kubernetes.io/name": "orchestrator",
        "app.kubernetes.io/instance": "orchestrator",
    }
    assert found["spec"]["selector"]["matchLabels"].items() <= found["spec"]["template"]["metadata"]["labels"].items()


@pytest.mark.parametrize("case", CASES)
def test_only_the_controller_is_behind_the_service(case):
    """OR-110, OR-127: selector of Service, policy and Deployment are one, and the pod of `helm test` is not among the chosen."""
    rendering = render(case=case)
    selector = rendering.one("Deployment")["spec"]["selector"]["matchLabels"]
    assert rendering.one("Service")["spec"]["selector"] == selector
    for o in rendering.objects:
        if o["kind"] == "NetworkPolicy":
            assert o["spec"]["podSelector"]["matchLabels"] == selector
        if o["kind"] == "Pod":
            assert not selector.items() <= o["metadata"]["labels"].items()


@pytest.mark.parametrize("case", CASES)
def test_pods_are_restricted(case):
    """D9: every pod meets the Pod Security Standard "restricted", that of `helm test` too, in every case that leaves the context alone."""
    for name, spec in r.pod_specs(render(case=case).objects):
        assert pod_rules.restricted_violations(spec) == [], name
        assert spec["enableServiceLinks"] is False


def test_one_controller():
    """OR-024, OR-109, OR-A05, OR-A06, D11: one replica, never two for a moment, and 0 is honoured."""
    spec = deployment()["spec"]
    assert (spec["replicas"], spec["strategy"]) == (1, {"type": "Recreate"})
    assert deployment({"replicaCount": 0})["spec"]["replicas"] == 0


@pytest.mark.parametrize(
    ("image", "reference"),
    [
        ({}, "ghcr.io/5dlabs/platform/orchestrator:v1.0.0"),
        ({"tag": "v2"}, "ghcr.io/5dlabs/platform/orchestrator:v2"),
        ({"digest": f"sha256:{'0' * 64}"}, f"ghcr.io/5dlabs/platform/orchestrator@sha256:{'0' * 64}"),
        ({"repository": "r:5000/o", "tag": "v2", "digest": f"sha256:{'0' * 64}"}, f"r:5000/o:v2@sha256:{'0' * 64}"),
    ],
)
def test_image(image, reference):
    """OR-025…OR-027, OR-116, OR-A35."""
    assert container({"image": image})["image"] == reference


def test_container():
    """OR-115, OR-117, OR-118, OR-122, OR-123: one container, its command, port and two read-only mounts."""
    [found] = pod()["containers"]
    assert (found["name"], found["command"]) == ("orchestrator", ["/app/orchestrator"])
    assert found["ports"] == [{"name": "http", "containerPort": 8080, "protocol": "TCP"}]
    mounts = {m["name"]: (m["mountPath"], m["readOnly"]) for m in found["volumeMounts"]}
    assert mounts == {"claude-templates": ("/claude-templates", True), "controller-config": ("/config", True)}
    volumes = {v["name"]: v["configMap"]["name"] for v in pod(release="foo")["volumes"]}
    assert volumes == {
        "claude-templates": "foo-orchestrator-claude-templates",
        "controller-config": "foo-orchestrator-task-controller-config",
    }


def test_settings_of_the_service():
    """OR-119, OR-120, OR-136…OR-142, OR-A21, OR-A24: all of them are strings and reach the container."""
    assert data("config") == {
        "KUBERNETES_NAMESPACE": "test",
        "SERVER_HOST": "0.0.0.0",
        "SERVER_PORT": "8080",
        "RUST_LOG": "orchestrator=debug,tower_http=debug,axum=debug,kube=info",
        "DEFAULT_DOCS_MODEL": "claude-opus-4-20250514",
        "DEFAULT_CODE_MODEL": "claude-sonnet-4-20250514",
    }
    assert container(release="foo")["envFrom"] == [{"configMapRef": {"name": "foo-orchestrator-config"}}]


def test_one_port_everywhere():
    """OR-A25, OR-A26: container, probes, Service, policy and SERVER_PORT follow service.targetPort; the port's old key still works."""
    values = {"service": {"targetPort": 9999, "name": "rest"}, "networkPolicy": {"enabled": True}}
    rendering = render(values)
    found = rendering.one("Deployment")["spec"]["template"]["spec"]["containers"][0]
    assert found["ports"] == [{"name": "rest", "containerPort": 9999, "protocol": "TCP"}]
    assert {found[probe]["httpGet"]["port"] for probe in ("livenessProbe", "readinessProbe")} == {"rest"}
    assert rendering.one("Service")["spec"]["ports"] == [
        {"name": "rest", "port": 80, "targetPort": "rest", "protocol": "TCP"}
    ]
    assert rendering.one("NetworkPolicy")["spec"]["ingress"][0]["ports"][0]["port"] == 9999
    assert data("config", values)["SERVER_PORT"] == "9999"
    assert container({"config": {"serverPort": "8080"}})["ports"][0]["containerPort"] == 8080
    assert container({"service": {"portName": "web"}})["ports"][0]["name"] == "web"


def test_probes():
    """OR-083…OR-095, OR-124, OR-A45: five figures each, and a readiness path of its own when the image has one."""
    found = container({"healthCheck": {"readinessProbe": {"path": "/ready", "timeoutSeconds": 5}}})
    assert found["livenessProbe"] == {
        "httpGet": {"path": "/health", "port": "http"}, "initialDelaySeconds": 30, "periodSeconds": 60, "timeoutSeconds": 1,
        "successThreshold": 1, "failureThreshold": 3,
    }  # fmt: skip
    assert found["readinessProbe"]["httpGet"]["path"] == "/ready"
    assert found["readinessProbe"]["timeoutSeconds"] == 5
    assert not {"livenessProbe", "readinessProbe"} & set(container(case="health-off"))


@pytest.mark.parametrize(
    ("values", "changed"),
    [
        ({"models": {"defaultCodeModel": "other"}}, {"config"}),
        ({"cleanup": {"completedJobDelayMinutes": 6}}, {"controller-config"}),
        ({"secrets": {"anthropicApiKey": "another"}}, {"secret"}),
        ({"service": {"port": 81}}, set()),
    ],
)
def test_the_pod_restarts_when_what_it_reads_changes(values, changed):
    """OR-111, OR-112, OR-A34: a checksum of each ConfigMap and of the created Secret; what the pod does not read leaves it alone."""
    before, after = (deployment(v, base=CREATED)["spec"]["template"]["metadata"]["annotations"] for v in ({}, values))
    assert set(before) == {f"checksum/{name}" for name in ("claude-templates", "config", "controller-config", "secret")}
    assert {key.removeprefix("checksum/") for key in before if before[key] != after[key]} == changed


def test_pod_annotations_are_added():
    """OR-113, OR-A33: besides the checksums, which they cannot replace; in the default none."""
    given = {"podAnnotations": {"example.org/a": "b", "checksum/config": "mine"}}
    found, default = (deployment(v)["spec"]["template"]["metadata"]["annotations"] for v in (given, {}))
    assert found == {**default, "example.org/a": "b"}
    assert "kubectl.kubernetes.io/restartedAt" not in default


@pytest.mark.parametrize(
    ("secrets", "name", "key"),
    [
        ({"anthropicApiKey": KEY}, "foo-orchestrator-secrets", "ANTHROPIC_API_KEY"),
        ({"anthropicApiKey": KEY, "existingSecretKey": "k"}, "foo-orchestrator-secrets", "ANTHROPIC_API_KEY"),
        ({"anthropicApiKey": "use-existing"}, "orchestrator-secrets", "ANTHROPIC_API_KEY"),
        ({"anthropicApiKey": "use-existing", "existingSecret": "mine"}, "mine", "ANTHROPIC_API_KEY"),
        ({"existingSecret": "mine", "existingSecretKey": "k"}, "mine", "k"),
    ],
)
def test_one_secret_everywhere(secrets, name, key):
    """OR-078, OR-121, OR-135, OR-147, OR-148, OR-275, OR-A07: container, agents and created Secret name the same one."""
    rendering = render({"secrets": secrets}, release="foo", base={})
    env = rendering.one("Deployment")["spec"]["template"]["spec"]["containers"][0]["env"]
    assert env == [{"name": "ANTHROPIC_API_KEY", "valueFrom": {"secretKeyRef": {"name": name, "key": key}}}]
    found = controller({"secrets": secrets}, release="foo", base={})["secrets"]
    assert found == {"apiKeySecretName": name, "apiKeySecretKey": key}
    created = [o for o in rendering.objects if o["kind"] == "Secret"]
    if secrets.get("anthropicApiKey") == KEY:
        assert [(o["metadata"]["name"], o["type"], o["stringData"]) for o in created] == [(name, "Opaque", {key: KEY})]
    else:
        assert created == []


def test_the_key_stands_in_its_secret_only(tmp_path):
    """D6, OR-333: in no other object and not in NOTES, and no command of NOTES reads a Secret back."""
    for o in render(base=CREATED).objects:
        assert (KEY in json.dumps(o)) is (o["kind"] == "Secret"), o["kind"]
    text = notes(tmp_path, CREATED)
    assert KEY not in text
    assert not [line for line in text.splitlines() if "get secret" in line or "base64" in line or "jsonpath" in line]


def test_controller_configuration():
    """OR-143…OR-163, OR-A24, OR-A46: every group, with the source's figures; telemetry is off without an address."""
    assert controller() == {
        "job": {"activeDeadlineSeconds": 3600},
        "agent": {
            "image": {
                "repository": "ghcr.io/5dlabs/platform/claude-code",
                "tag": "1.0.56",
                "pullPolicy": "Always",
            },
            "imagePullSecrets": [],
            "podSecurityContext": {"seccompProfile": {"type": "RuntimeDefault"}},
            "securityContext": {"allowPrivilegeEscalation": False},
            "resources": {},
        },
        "sidecar": {"snippetConfigMap": "", "namespace": "", "bridge": False},
        "secrets": {"apiKeySecretName": "orchestrator-secrets", "apiKeySecretKey": "ANTHROPIC_API_KEY"},
        "permissions": {
            "agentToolsOverride": False,
            "allow": [
                "Bash",
                "Edit",
                "Read",
                "Write",
                "MultiEdit",
                "Glob",
                "Grep",
                "LS",
                "Task",
                "ExitPlanMode",
                "NotebookRead",
                "NotebookEdit",
                "WebFetch",
                "WebSearch",
                "TodoRead",
                "TodoWrite",
            ],
            "deny": [],
        },
        "telemetry": {
            "enabled": False,
            "otlpEndpoint": "",
            "otlpProtocol": "grpc",
            "logsEndpoint": "",
            "logsProtocol": "grpc",
        },
        "storage": {"storageClassName": "local-path", "workspaceSize": "10Gi"},
        "cleanup": {
            "enabled": True,
            "completedJobDelayMinutes": 5,
            "failedJobDelayMinutes": 60,
            "deleteConfigMap": True,
        },
    }


@pytest.mark.parametrize(
    ("values", "group", "found"),
    [
        ({"cleanup": {"enabled": False}}, ("cleanup", "enabled"), False),
        ({"cleanup": {"deleteConfigMap": False}}, ("cleanup", "deleteConfigMap"), False),
        ({"cleanup": {"completedJobDelayMinutes": 0}}, ("cleanup", "completedJobDelayMinutes"), 0),
        ({"cleanup": {"failedJobDelayMinutes": 0}}, ("cleanup", "failedJobDelayMinutes"), 0),
        ({"agent": {"permissions": {"allow": []}}}, ("permissions", "allow"), []),
        ({"agent": {"telemetry": {"otlpEndpoint": "c:4317"}}}, ("telemetry", "enabled"), True),
        ({"agent": {"telemetry": {"otlpEndpoint": "c:4317"}}}, ("telemetry", "logsEndpoint"), "c:4317"),
        ({"agent": {"telemetry": {"otlpEndpoint": "c:1", "enabled": False}}}, ("telemetry", "enabled"), False),
        ({"storage": {"storageClassName": ""}}, ("storage", "storageClassName"), None),
        ({"imagePullSecrets": [{"name": "a"}, {"name": "b"}]}, ("agent", "imagePullSecrets"), ["a", "b"]),
        ({"agent": {"activeDeadlineSeconds": 1000000}}, ("job", "activeDeadlineSeconds"), 1000000),
    ],
)
def test_false_zero_and_empty_are_honoured(values, group, found):
    """OR-157…OR-162, OR-A27, OR-A28, OR-A46: presence counts, not truth; big numbers do not become 1e+06."""
    value = controller(values)[group[0]].get(group[1])
    assert (value, type(value)) == (found, type(found))


def test_helm_test_asks_the_service():
    """OR-298, OR-312: the pod of `helm test` asks the address users ask; without a health answer there is none."""
    found = render({"service": {"port": 8000}, "healthCheck": {"path": "/live"}}, release="foo").one("Pod")
    assert found["metadata"]["annotations"]["helm.sh/hook"] == "test"
    assert found["spec"]["containers"][0]["command"][-1] == "http://foo-orchestrator.test.svc:8000/live"
    assert "Pod" not in {o["kind"] for o in render(case="health-off").objects}


@pytest.mark.parametrize("kind", ["example", "production"])
def test_sample_values_render(kind):
    """OR-096…OR-098, OR-336, OR-337: both samples work as they are, with a fixed tag, a Secret of the user's, TLS in production."""
    values = yaml.safe_load((r.ORCHESTRATOR / f"values-{kind}.yaml").read_text(encoding="utf-8"))
    rendering = render(values, base={})
    image = rendering.one("Deployment")["spec"]["template"]["spec"]["containers"][0]["image"]
    assert values["image"]["tag"] not in ("", "latest")
    assert image.endswith(f":{values['image']['tag']}")
    assert "Secret" not in {o["kind"] for o in rendering.objects}
    assert ("tls" in rendering.one("Ingress")["spec"]) is (kind == "production")


# (requirement, values, what NOTES have to say)
NOTES = [
    ("OR-290 CRDs", SECRET, ["kubectl apply --server-side --force-conflicts -f charts/orchestrator/crds-combined/platform-crds.yaml"]),
    ("OR-305 own Secret", SECRET, ["create secret generic orchestrator-secrets --from-file=ANTHROPIC_API_KEY=<file"]),
    ("OR-305 created", CREATED, ["Secret orchestrator-secrets, made from secrets.anthropicApiKey", "secrets.existingSecret in production"]),
    ("OR-276 agents", SECRET, ["github-ssh-<user>", "hack/setup-agent-secrets.sh --user <user>"]),
    ("OR-278 pull", {**SECRET, "imagePullSecrets": [{"name": "ghcr-secret"}]}, ["Pull secret ghcr-secret has to exist in test"]),
    ("OR-304 ClusterIP", SECRET, ["port-forward service/orchestrator 8080:80"]),
    ("OR-304 NodePort", {**SECRET, "service": {"type": "NodePort"}}, ["http://<address of a node>"]),
    ("OR-304 LoadBalancer", {**SECRET, "service": {"type": "LoadBalancer"}}, ["once the load balancer has given one"]),
    ("OR-304 ingress", {**SECRET, "ingress": {"enabled": True}}, ["http://orchestrator.local/"]),
    ("OR-304 TLS", {**SECRET, "ingress": {"enabled": True, "tls": [{"secretName": "t"}]}}, ["https://orchestrator.local/"]),
    ("OR-304 state", SECRET, ["rollout status deployment/orchestrator", "app.kubernetes.io/name=orchestrator", "logs deployment/orchestrator", "GET /health"]),
    ("OR-304 no probes", {**SECRET, "healthCheck": {"enabled": False}}, ["The probes are off"]),
    ("stopped", {**SECRET, "replicaCount": 0}, ["no controller runs"]),
    ("OR-A36 no dead keys", SECRET, ["is installed as release orchestrator"]),
    ("other namespace", {**SECRET, "rbac": {"namespaced": False}, "config": {"kubernetesNamespace": "agents"}}, ["in namespace agents", "cluster-wide"]),
    ("issue 8.3 channels of runs", {**SECRET, "sidecar": {"snippetConfigMap": "s", "runChannels": {"enabled": True, "botUrl": "http://bot:8080", "existingSecret": "c"}}},
     ["key BOT_RUNS_CREDENTIAL of Secret c in namespace test, a credential for namespace test from the bot at\n  http://bot:8080"]),
]  # fmt: skip


@pytest.mark.parametrize(("values", "says"), [n[1:] for n in NOTES], ids=[n[0] for n in NOTES])
def test_notes_say(values, says, tmp_path):
    """OR-304, OR-305."""
    text = notes(tmp_path, values)
    for part in says:
        assert part in text, text
    assert "claude-code" not in text.replace("github.com", "")

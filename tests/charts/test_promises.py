# SPDX-License-Identifier: GPL-3.0-or-later
# SPDX-FileCopyrightText: 2026 The orchestrator.platform authors
"""What the chart promises about objects, rights and secrets: the bot, labels, Pod Security, where credentials stand, NOTES."""

from __future__ import annotations

import base64
import shutil

import pod_rules
import pytest
import renderings as r

TOKEN = "canary-token-8c31"
URL = "http://fake-discord:8081/api/webhooks/1/canary-url-77aa"
ALL_CASES = [(chart, case) for chart in (r.MONITOR, r.DEMO) for case in r.cases(chart)]
CREATED = {"bot": {"secret": {"create": True, "existingName": "", "value": TOKEN}}}
STANDARD = {f"app.kubernetes.io/{k}" for k in ("name", "instance", "version", "component", "part-of", "managed-by")} | {
    "helm.sh/chart"
}


def identify(value):
    return getattr(value, "name", str(value))


def bot_pod(values=None):
    return r.template(r.MONITOR, values).one("Deployment")["spec"]["template"]["spec"]


def notes(tmp_path, values):
    """NOTES as Helm would print them. `helm template` leaves them out, so a copy of the chart prints them as an object's field."""
    copy = tmp_path / "discord-monitor"
    shutil.copytree(r.MONITOR, copy)
    text = (copy / "templates" / "NOTES.txt").read_text(encoding="utf-8")
    (copy / "templates" / "NOTES.txt").unlink()
    wrapped = (
        '{{- define "notes" -}}'
        + text
        + '{{- end -}}\nkind: Notes\nmetadata: {name: notes}\ntext: |\n  {{- include "notes" . | nindent 2 }}\n'
    )
    (copy / "templates" / "notes.yaml").write_text(wrapped, encoding="utf-8")
    return r.template(copy, values).one("Notes")["text"]


@pytest.mark.parametrize(("chart", "case"), ALL_CASES, ids=identify)
def test_labels_are_uniform(chart, case):
    """DM-027, DM-036, DM-138: every object has the standard labels, the same on all but for the component."""
    seen = []
    for o in r.template(chart, case=case).objects:
        labels = o["metadata"]["labels"]
        assert set(labels) >= STANDARD, (o["kind"], labels)
        seen.append({k: v for k, v in labels.items() if k in STANDARD and k != "app.kubernetes.io/component"})
    assert all(labels == seen[0] for labels in seen)


def test_common_labels_and_annotations_reach_every_object():
    """DM-036, DM-138: and cannot replace a standard label."""
    for o in r.template(r.MONITOR, case="everything").objects:
        assert o["metadata"]["labels"]["example.org/team"] == "platform"
        assert o["metadata"]["labels"]["app.kubernetes.io/name"] == "monitor"
        assert o["metadata"]["annotations"]["example.org/contact"] == "platform"
        assert o["metadata"]["annotations"]["orchestrator.platform/chart-digest"] == "sha256-of-the-files"


def test_selectors_are_the_stable_subset():
    """DM-028, DM-096: no version in a selector; Service and Deployment pick the same pod."""
    rendering = r.template(r.MONITOR)
    selector = rendering.one("Deployment")["spec"]["selector"]["matchLabels"]
    assert set(selector) == {f"app.kubernetes.io/{k}" for k in ("name", "instance", "component")}
    assert rendering.one("Service")["spec"]["selector"] == selector
    assert selector.items() <= rendering.one("Deployment")["spec"]["template"]["metadata"]["labels"].items()


@pytest.mark.parametrize(("chart", "case"), ALL_CASES, ids=identify)
def test_pods_are_restricted(chart, case):
    """DM-148: every rendered pod meets the Pod Security Standard "restricted", init containers included."""
    for name, spec in r.pod_specs(r.template(chart, case=case).objects):
        assert pod_rules.restricted_violations(spec) == [], name
        assert spec["automountServiceAccountToken"] is False, name
        assert spec["enableServiceLinks"] is False, name


@pytest.mark.parametrize("case", ["default", "parity", "everything"])
def test_snippets_are_restricted_alone(case):
    """DM-148: a sidecar cannot count on the pod it gets into."""
    published = r.snippet(r.template(r.MONITOR, case=case))
    for container in filter(None, (published["watcher"], published["bridge"])):
        assert pod_rules.container_violations(container, {}) == []
        assert container["securityContext"]["readOnlyRootFilesystem"] is True


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("runAsNonRoot", False),
        ("allowPrivilegeEscalation", True),
        ("runAsUser", 0),
        ("seccompProfile", {"type": "Unconfined"}),
    ],
)
def test_the_rules_find_a_violation(field, value):
    """The tests above can fail: one field changed in any of the three container lists is found."""
    good = r.snippet(r.template(r.MONITOR))["watcher"]
    bad = {**good, "securityContext": {**good["securityContext"], field: value}}
    for key in pod_rules.CONTAINER_LISTS:
        assert pod_rules.restricted_violations({key: [good]}) == []
        assert len(pod_rules.restricted_violations({key: [bad]})) == 1
    assert pod_rules.restricted_violations({"hostNetwork": True, "volumes": [{"name": "h", "hostPath": {}}]})


def test_one_bot():
    """DM-085, DM-094: two with one token would both answer."""
    spec = r.template(r.MONITOR).one("Deployment")["spec"]
    assert (spec["replicas"], spec["strategy"]) == (1, {"type": "Recreate"})


@pytest.mark.parametrize(
    ("values", "name"),
    [({}, "discord-monitor-bot"), ({"bot": {"secret": {"existingName": "mine", "key": "k"}}}, "mine")],
)
def test_existing_secret_is_referred_to(values, name):
    """DM-068, DM-086, DM-098: no Secret is rendered, the token comes by reference."""
    rendering = r.template(r.MONITOR, values)
    assert not [o for o in rendering.objects if o["kind"] == "Secret"]
    key = values.get("bot", {}).get("secret", {}).get("key", "BOT_TOKEN")
    entry = bot_pod(values)["containers"][0]["env"][0]
    assert entry == {"name": "BOT_TOKEN", "valueFrom": {"secretKeyRef": {"name": name, "key": key}}}


def test_created_secret():
    """DM-015, DM-067, DM-097, DM-145: Opaque, in the release namespace, and the bot refers to it."""
    secret = r.template(r.MONITOR, CREATED).one("Secret")
    assert (secret["type"], secret["metadata"]["namespace"], secret["metadata"]["name"]) == (
        "Opaque",
        "test",
        "discord-monitor-bot",
    )
    assert base64.b64decode(secret["data"]["BOT_TOKEN"]).decode() == TOKEN
    assert bot_pod(CREATED)["containers"][0]["env"][0]["valueFrom"]["secretKeyRef"]["name"] == "discord-monitor-bot"


@pytest.mark.parametrize(("place", "name"), [(1, "BOT_API_TOKEN"), (2, "BOT_INPUT_KEY")])
def test_further_credentials_are_optional(place, name):
    """Those of the create action and of the bridges' input may be missing; the bot must start all the same."""
    reference = bot_pod({"bot": {"secret": {"existingName": "mine"}}})["containers"][0]["env"][place]
    assert reference == {
        "name": name,
        "valueFrom": {"secretKeyRef": {"name": "mine", "key": name, "optional": True}},
    }


@pytest.mark.parametrize(
    "values",
    [{"batchSize": 9}, {"bot": {"config": {"retention": {"days": 1}}}}, {"bot": {"secret": {"value": "another"}}}],
)
def test_the_bot_restarts_when_its_settings_change(values):
    """DM-095: checksums of ConfigMap and Secret on the pod; what the bot does not read leaves it alone."""
    before, after = (
        r.template(r.MONITOR, r.merged(CREATED, v)).one("Deployment")["spec"]["template"]["metadata"]["annotations"]
        for v in ({}, values)
    )
    changed = {key for key in before if before[key] != after[key]}
    assert changed == (
        {"checksum/config"} if "config" in values.get("bot", {}) else {"checksum/secret"} if "bot" in values else set()
    )


def test_settings_of_the_bot():
    """DM-016, DM-066, DM-087, DM-088, DM-100: all of them from the ConfigMap, as strings."""
    rendering = r.template(r.MONITOR)
    assert rendering.one("ConfigMap", "discord-monitor")["data"] == {
        "LOG_LEVEL": "info",
        "HEALTH_PORT": "8080",
        "DISCORD_API_URL": "https://discord.com/api/v10",
        "STATS_TRACK_COST": "true",
        "STATS_TRACK_TOKENS": "true",
        "STATS_TRACK_ERRORS": "true",
        "COMMANDS_ALLOWED_USERS": "",
        "COMMANDS_PREFIX": "!",
        "COMMANDS_KEEP_SECONDS": "900",
        "COMMANDS_POLL_SECONDS": "2",
        "DISCORD_GUILD_ID": "",
        "DISCORD_CATEGORY_ID": "",
        "RETENTION_ENABLED": "true",
        "RETENTION_DAYS": "30",
        "RETENTION_MAX_MESSAGES": "10000",
        "RETENTION_SWEEP_INTERVAL": "3600",
        "RETENTION_CHANNELS": "",
    }
    assert bot_pod()["containers"][0]["envFrom"] == [{"configMapRef": {"name": "discord-monitor"}}]


@pytest.mark.parametrize("values", [{}, {"bot": {"service": {"type": "LoadBalancer", "port": 80}}}])
def test_service(values):
    """DM-063, DM-064, DM-096."""
    spec = r.template(r.MONITOR, values).one("Service")["spec"]
    expected = values.get("bot", {}).get("service", {"type": "ClusterIP", "port": 8080})
    assert (spec["type"], spec["ports"][0]["port"]) == (expected["type"], expected["port"])


@pytest.mark.parametrize("case", r.cases(r.MONITOR))
def test_no_rights_by_default(case):
    """DM-077, DM-093, DM-139…DM-142, DM-A22: no account, Role or binding unless asked for, and never a cluster-wide one."""
    kinds = {o["kind"] for o in r.template(r.MONITOR, case=case).objects}
    wanted = {"ServiceAccount", "Role", "RoleBinding"} if case == "service-account" else set()
    assert kinds & {"ServiceAccount", "Role", "RoleBinding", "ClusterRole", "ClusterRoleBinding"} == wanted


def test_created_account():
    """DM-035, DM-076, DM-147: mounts no token either, and the bot uses it."""
    rendering = r.template(r.MONITOR, case="service-account")
    account = rendering.one("ServiceAccount")
    assert account["automountServiceAccountToken"] is False
    assert rendering.one("Deployment")["spec"]["template"]["spec"]["serviceAccountName"] == account["metadata"]["name"]
    assert rendering.one("RoleBinding")["subjects"][0]["name"] == account["metadata"]["name"]


def test_token_stands_in_its_secret_only(tmp_path):
    """DM-101, DM-143, DM-146, DM-166, DM-A29, D6: in no other object, plain or encoded, and not in NOTES."""
    encoded = base64.b64encode(TOKEN.encode()).decode()
    for o in r.template(r.MONITOR, r.merged(CREATED, {"inputBridge": {"enabled": True}})).objects:
        if o["kind"] != "Secret":
            assert TOKEN not in str(o), o["kind"]
            assert encoded not in str(o), o["kind"]
    assert TOKEN not in notes(tmp_path, CREATED)


def test_literal_url_stands_in_the_watcher_only(tmp_path):
    """DM-075, DM-105, DM-A12: the literal form works when asked for, in the container that needs it, and not in NOTES."""
    literal = {"webhook": {"existingSecret": False, "allowLiteralUrl": True, "url": URL}, "snippet": {"publish": False}}
    assert URL not in r.template(r.MONITOR, literal).text
    assert URL not in notes(tmp_path, literal)
    host = r.template(r.AGENT, {"discord-monitor": literal}, release="agent")
    for _, spec in r.pod_specs(host.objects):
        for container in pod_rules.containers(spec):
            assert (URL in str(container)) is (container["name"] == "discord-watcher")


@pytest.mark.parametrize(
    "case", [c for c in r.cases(r.MONITOR) if c not in ("snippets-only", "literal-url", "sidecar-off")]
)
def test_snippets_hold_no_credential_of_the_bot(case):
    """DM-121, DM-146, DM-166: neither a name of the bot's variables nor its Secret; webhook and input are all there is."""
    published = r.snippet(r.template(r.MONITOR, case=case))
    for container in filter(None, (published["watcher"], published["bridge"])):
        names = {entry["name"] for entry in container["env"]}
        assert not names & {"BOT_TOKEN", "BOT_API_TOKEN", "BOT_INPUT_KEY"}
        assert "envFrom" not in container
        references = [e["name"] for e in container["env"] if "valueFrom" in e]
        of_bridge = ["BOT_INPUT_CREDENTIAL"] if case in ("admission", "parity", "everything") else []
        assert references == (["DISCORD_WEBHOOK_URL"] if container["name"] == "discord-watcher" else of_bridge)


def test_network_policy():
    """Off by default; on, it opens the health port, DNS and the named ports."""
    assert "NetworkPolicy" not in {o["kind"] for o in r.template(r.MONITOR).objects}
    spec = r.template(r.MONITOR, {"bot": {"networkPolicy": {"enabled": True, "egressPorts": [443, 8081]}}}).one(
        "NetworkPolicy"
    )["spec"]
    assert spec["ingress"] == [{"ports": [{"port": 8080, "protocol": "TCP"}], "from": [{"namespaceSelector": {}}]}]
    assert [p["port"] for p in spec["egress"][0]["ports"]] == [53, 53, 443, 8081]


# (requirement, values, what NOTES have to say)
NOTES = [
    ("DM-150 install", {}, ["helm upgrade --install discord-monitor charts/discord-monitor --namespace test"]),
    (
        "DM-151 DM-152 webhook Secret",
        {"webhook": {"name": "n", "key": "k"}},
        ["kubectl -n <agent namespace> create secret generic n --from-file=k=<file with the webhook URL>"],
    ),
    (
        "DM-153 include",
        {},
        ['{{- include "discord-monitor.sidecar" . | nindent 8 }}', '"discord-monitor.sidecarNative"'],
    ),
    (
        "DM-153 off",
        {"discord": {"monitoring": {"enabled": False}}},
        ["Switched off (discord.monitoring.enabled=false)"],
    ),
    ("DM-154 DM-162 orchestrator", {}, ["POST /v1/webhooks", "envFromSecrets"]),
    (
        "issue 8.3 channels of runs",
        {"bot": {"runs": {"guildId": "7"}}},
        ["exec deployment/discord-monitor -- discord-monitor credential --runs <namespace of the runs>"],
    ),
    (
        "DM-155 bridge",
        {"inputBridge": {"enabled": True}},
        ['{{- include "discord-monitor.inputBridge" . | nindent 8 }}', "127.0.0.1:8090"],
    ),
    ("DM-156 parity off", {}, ["Parity mode is off"]),
    ("DM-156 parity on", {"parityMode": True}, ["Parity mode is on"]),
    ("DM-157 health", {"probes": {"port": 9000}}, ["GET /healthz on port 9000", "/metrics"]),
    ("DM-158 resources", {}, ["watcher {cpu:10m,ephemeral-storage:16Mi,memory:32Mi}, {cpu:100m,memory:64Mi}"]),
    (
        "DM-159 DM-189 done",
        {},
        ["kubeconform -strict", "rollout status deployment/discord-monitor", "the bot token in namespace test only"],
    ),
    ("issue 4.3 injection", {"admission": {"enabled": True}}, ["MutatingAdmissionPolicy discord-monitor.test"]),
    ("issue 5.3 enforcement", {"enforcement": {"mode": "deny"}}, ["discord-monitor.test refuses watchers"]),
    ("no bot", {"bot": {"enabled": False}}, ["No bot (bot.enabled=false)"]),
    ("created", CREATED, ["Its token comes from Secret discord-monitor-bot, key BOT_TOKEN"]),
]


@pytest.mark.parametrize(("values", "says"), [n[1:] for n in NOTES], ids=[n[0] for n in NOTES])
def test_notes_say(values, says, tmp_path):
    """DM-150…DM-159, DM-189."""
    text = notes(tmp_path, values)
    for part in says:
        assert part in text


def test_notes_never_print_a_secret(tmp_path):
    """DM-149: no command in them reads a Secret back."""
    text = notes(tmp_path, {"inputBridge": {"enabled": True}})
    assert not [line for line in text.splitlines() if "get secret" in line or "base64" in line or "jsonpath" in line]


def test_layout():
    """DM-006…DM-021, DM-A14: the files are where the plan wants them; NOTES.txt stands below templates only."""
    wanted = """
        Chart.yaml .helmignore values.yaml values.schema.json README.md templates/NOTES.txt templates/_helpers.tpl
        templates/bot/deployment.yaml templates/bot/service.yaml templates/bot/secret.yaml templates/bot/configmap.yaml
        templates/snippets/_sidecar.tpl templates/snippets/_input_bridge.tpl templates/snippets/_common.tpl
        templates/serviceaccount.yaml ci/prd-values.yaml"""
    assert [file for file in wanted.split() if not (r.MONITOR / file).is_file()] == []
    assert not (r.MONITOR / "NOTES.txt").exists()

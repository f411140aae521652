#!/usr/bin/python
# SPDX-License-Identifier: GPL-3.0-or-later
# SPDX-FileCopyrightText: 2026 The orchestrator.platform authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Module verification: runs the check catalogue on one snapshot of the cluster."""

from __future__ import annotations

DOCUMENTATION = r"""
---
module: verification
short_description: Verify that the monitoring stands and that Secrets reach only who may read them
version_added: 0.1.0
author:
  - The orchestrator.platform authors (@orchestrator)
description:
  - Takes one snapshot of the namespaces in view, one list for each kind and namespace, and runs the catalogue of
    checks on it. Each check gives findings with verdict, evidence and a hint; the file C(docs/checks.md) has a section
    for each check.
  - It only reads. The exceptions are O(probe_delivery), which posts a message to the channel and deletes it again, and
    O(runtime_scope), which runs C(cut) in containers.
  - What it has no permission to read makes the checks that need it skip, and the summary says that it is incomplete.
  - Values of Secrets are compared in memory only and never appear in a result or report.
options:
  monitor_namespace:
    description: Namespace of the bot.
    type: str
    default: discord-monitor
  agent_namespaces:
    description:
      - Namespaces of the agents.
      - When it is empty, the checks of these namespaces are skipped, and the summary says that it is incomplete.
    type: list
    elements: str
    default: [agents]
  release:
    description: Name of the Helm release.
    type: str
    default: discord-monitor
  snippet_name:
    description:
      - Name of the ConfigMap with the published snippet. Without it the name that the chart gives it for O(release).
    type: str
  bot_expected:
    description:
      - Whether the release is to have a bot. V(false) fits a chart whose C(bot.enabled) is false; then its absence is
        skipped with the reason. A bot that is there is judged all the same.
    type: bool
    default: true
  bot_secret:
    description: Name of the Secret that holds the bot's token.
    type: str
    default: discord-monitor-bot
  bot_secret_key:
    description: Key of the token in it.
    type: str
    default: BOT_TOKEN
  bot_api_secret:
    description:
      - Name of the Secret that holds the credential of the bot's API, where it is one of its own. Empty means
        O(bot_secret).
    type: str
    default: ""
    version_added: 0.2.0
  bot_api_secret_key:
    description: Key of that credential.
    type: str
    default: BOT_API_TOKEN
    version_added: 0.2.0
  webhook_secret:
    description:
      - Name of the Secret with the webhook URL in each agent namespace. Those that a target's C(overrides) or an
        annotation of a workload name instead are found by themselves.
    type: str
    default: discord-secrets
  secrets:
    description:
      - Further Secrets of the platform, and who may read them. All checks of Secrets, the family V(rbac) and RV(matrix)
        follow from these entries as from the bot's and the webhooks' Secrets. Their namespaces come into view.
      - A Secret that is not there, or that cannot be read, is skipped with the reason.
    type: list
    elements: dict
    default: []
    version_added: 0.2.0
    suboptions:
      namespace:
        description: Namespace of the Secret.
        type: str
        required: true
      name:
        description: Its name, or a glob such as V(github-token-*) for any number of them.
        type: str
        required: true
      description:
        description:
          - What it holds, for findings, for example V(Anthropic key). Secrets of one description are of one purpose.
        type: str
        default: ""
      keys:
        description: Keys whose values are to stand nowhere else. Empty means all.
        type: list
        elements: str
        default: []
      readers:
        description: Containers that may read it, each by one way. Whoever else does is a finding.
        type: list
        elements: dict
        default: []
        suboptions:
          container:
            description: A glob over names of containers, in any of the three lists. For V(image-pull) it says nothing.
            type: str
            required: true
          path:
            description: The way.
            type: str
            choices: [env, env-from, volume, projected, csi, driver, image-pull]
            default: env
          labels:
            description: Labels that the workload or its pods have, all of them. Empty means every one of the namespace.
            type: dict
            default: {}
          required:
            description: Whether it is a finding, too, when such a container does not read it.
            type: bool
            default: false
      accounts:
        description: Globs over V(namespace/name) of ServiceAccounts that may read it through the API.
        type: list
        elements: str
        default: []
      expected:
        description: Whether it is to be there. V(false) for one that may come later.
        type: bool
        default: true
  target_kinds:
    description: Kinds of workloads that are to hold the sidecar.
    type: list
    elements: str
    choices: [Deployment, StatefulSet, DaemonSet, CronJob]
    default: [Deployment]
  target_names:
    description: Only workloads of these names are to hold the sidecar. Empty means all.
    type: list
    elements: str
    default: []
  target_label_selectors:
    description: Only workloads that match all of these are to hold the sidecar. Empty means all.
    type: list
    elements: str
    default: []
  orchestrator_namespace:
    description: Namespace of the orchestrator. Empty looks at no orchestrator.
    type: str
    default: ""
    version_added: 0.2.0
  orchestrator_release:
    description: Name of its Helm release.
    type: str
    default: orchestrator
    version_added: 0.2.0
  orchestrator_fullname:
    description: Name of its objects. Without it the name that the chart gives them for O(orchestrator_release).
    type: str
    version_added: 0.2.0
  orchestrator_crds:
    description: The CRDs as they are to be in the cluster, as read from their files. Empty looks at none.
    type: list
    elements: dict
    default: []
    version_added: 0.2.0
  targets:
    description:
      - The runs of module M(orchestrator.platform.sidecar), in their order, where there is more than one. What an entry
        leaves out is that of O(target_kinds), O(target_names), O(target_label_selectors) and O(sidecar_overrides).
      - Where two entries take in one workload, the later one counts, as the later run does. Namespaces of entries come
        into view as agents'.
    type: list
    elements: dict
    default: []
    version_added: 0.2.0
    suboptions:
      state:
        description: V(absent) is a run that removed the sidecar.
        type: str
        choices: [present, absent]
        default: present
      namespaces:
        description: Namespaces of the run. Empty means all of O(agent_namespaces).
        type: list
        elements: str
        default: []
      kinds:
        description: Kinds of workloads.
        type: list
        elements: str
        choices: [Deployment, StatefulSet, DaemonSet, CronJob]
      names:
        description: Names of workloads.
        type: list
        elements: str
      label_selectors:
        description: Label selectors, all of which match.
        type: list
        elements: str
      field_selectors:
        description: Field selectors, all of which match.
        type: list
        elements: str
        default: []
      overrides:
        description: What the run was given as C(overrides).
        type: dict
  watcher_resources:
    description: The figures that the watcher's resources are specified to have.
    type: dict
    default:
      requests: {cpu: 10m, memory: 32Mi}
      limits: {cpu: 100m, memory: 64Mi}
  sidecar_overrides:
    description:
      - The C(overrides) that the module M(orchestrator.platform.sidecar) was given for all workloads. What differs from
        the published snippet by them, or by annotations of a workload, is as it is to be.
    type: dict
    default: {}
    version_added: 0.2.0
  families:
    description:
      - Families of checks to run, for example V(secret-scope). Together with O(checks) it selects; both empty run all.
    type: list
    elements: str
    default: []
  checks:
    description:
      - Ids of single checks to run, for example V(secret-scope/env-ref).
      - One that runs only on request, such as V(delivery/probe-line), is refused here while its option is not set.
    type: list
    elements: str
    default: []
  probe_delivery:
    description:
      - Whether to send a line through a watcher to Discord and wait until it is confirmed.
      - This posts one message a watcher and deletes it again. In check mode nothing is sent.
    type: bool
    default: false
  probe_scope:
    description: Whether one watcher a namespace is probed, or every one.
    type: str
    choices: [one, all]
    default: one
  probe_timeout:
    description: Longest wait for one probe line, in seconds.
    type: int
    default: 30
  rules:
    description:
      - Rules of your own, as files and mappings in any order. A text is the path of a YAML file on the host that the
        module runs on, which holds a list of rules; a mapping is one rule. C(docs/rules.md) has the keys.
      - They are run like the checks, as family V(user). A rule's expressions never see the values in a Secret.
    type: list
    elements: raw
    default: []
    version_added: 0.2.0
  suppressions:
    description:
      - Findings that are accepted for now, as files and mappings, each with C(id), C(subject), C(reason) and
        C(expires). C(docs/rules.md) has the keys.
      - They stay in every report with their verdict and fail no run. One that has expired no longer holds, and is a
        finding itself, as is one that matches nothing.
    type: list
    elements: raw
    default: []
    version_added: 0.2.0
  runtime_scope:
    description:
      - Whether to look into the running containers of pods with a watcher, by exec, at the names of their variables and
        at their mount points. Values are not read.
      - An image without GNU cut cannot say; then the container is skipped with that reason. Check mode runs nothing.
    type: bool
    default: false
    version_added: 0.2.0
  rbac_allowed:
    description:
      - Subjects whose rights are known and meant, for the family V(rbac). They are still in RV(matrix), as expected.
    type: list
    elements: dict
    default: []
    version_added: 0.2.0
    suboptions:
      subject:
        description:
          - A glob over V(namespace/name) of ServiceAccounts, V(group:NAME) and V(user:NAME).
        type: str
        required: true
      checks:
        description: Ids of the checks that it is allowed to break, for example V(rbac/create-pods). Empty means all.
        type: list
        elements: str
        default: []
      namespaces:
        description: Namespaces in which it is. Empty means everywhere.
        type: list
        elements: str
        default: []
  timeout:
    description:
      - Seconds for everything that is asked of the API server. What has no answer by then is skipped with the reason,
        and the summary says that it is incomplete. V(0) is no limit.
      - It has to be longer than O(probe_timeout) where O(probe_delivery) is set.
    type: int
    default: 120
    version_added: 0.2.0
  fail_on:
    description:
      - From which severity on a finding fails the task. V(none) never fails.
      - The findings are returned in any case.
    type: str
    choices: [error, warning, none]
    default: error
  report_dir:
    description:
      - Folder for C(findings.html), C(findings.json), C(findings.txt) and C(findings.xml) (JUnit) on the host that the
        module runs on. It is created if necessary. Without it nothing is written.
      - The JSON has the schema C(docs/report.schema.json). The page is one file without external assets.
    type: path
  threads:
    description: How many requests are under way at once.
    type: int
    default: 8
extends_documentation_fragment:
  - kubernetes.core.k8s_auth_options
attributes:
  check_mode:
    description: Runs the same in check mode, since it only reads.
    support: full
    details:
      - No line is sent through the watchers and no command run in a container. The checks that need it are skipped with
        that reason, and the summary says that it is incomplete. No report is written.
      - Before the platform is installed, what would fail is skipped with the reason.
  diff_mode:
    description: Has nothing to show a difference of.
    support: none
  idempotent:
    description: Changes nothing in the cluster, however often it runs.
    support: full
requirements:
  - python >= 3.11
  - kubernetes >= 24.2.0
  - PyYAML >= 3.11
  - jmespath >= 1.0.0 for O(rules)
seealso:
  - module: orchestrator.platform.sidecar
"""

EXAMPLES = r"""
- name: Verify everything and fail on errors
  orchestrator.platform.verification:
    monitor_namespace: discord-monitor
    agent_namespaces: [agents]
    report_dir: report

- name: Who can read the Secrets
  orchestrator.platform.verification:
    families: [secret-scope]
    fail_on: warning

- name: Two runs of module sidecar, and a Secret that the runs of an orchestrator read
  orchestrator.platform.verification:
    targets:
      - label_selectors: [team=one]
      - label_selectors: [team=two]
        overrides: {webhook_secret_name: team-two}
    secrets:
      - namespace: orchestrator
        name: orchestrator-secrets
        description: Anthropic key
        keys: [ANTHROPIC_API_KEY]
        readers:
          - container: orchestrator
            labels: {app.kubernetes.io/name: orchestrator}
            required: true
        accounts: [orchestrator/orchestrator]

- name: A rule of one's own, and an exception with an end
  orchestrator.platform.verification:
    rules:
      - rules/team.yml
      - id: user/owner-label
        kind: Deployment
        assert: metadata.labels.owner
        severity: warning
        title: Every Deployment names its owner
        hint: Set the label owner on the Deployment.
    suppressions:
      - id: user/owner-label
        subject: Deployment agents/legacy-*
        reason: replaced in January
        expires: "2027-01-31"

- name: Does a message arrive
  orchestrator.platform.verification:
    checks: [delivery/probe-line]
    probe_delivery: true
"""

RETURN = r"""
findings:
  description:
    - The findings, worst first. A pass stands for all subjects of its check in a namespace; C(count) says how many.
  returned: always
  type: list
  elements: dict
  contains:
    id:
      description: Id of the check.
      type: str
      sample: secret-scope/env-ref
    severity:
      description: V(error), V(warning) or V(info).
      type: str
      sample: error
    subject:
      description: What it is about, as C(kind), C(namespace), C(name) and C(container).
      type: dict
      sample: {kind: Deployment, namespace: agents, name: coder, container: agent}
    verdict:
      description: V(pass), V(fail), V(warn) or V(skip).
      type: str
      sample: fail
    evidence:
      description: What was found.
      type: str
      sample: "Secret discord-monitor-bot: containers/agent env TOKEN"
    hint:
      description: The next step, for V(fail) and V(warn).
      type: str
      sample: Take the reference out of the workload. See docs/checks.md#secret-scopeenv-ref
    count:
      description: Number of subjects.
      type: int
      sample: 1
    suppressed:
      description: Its C(reason) and C(expires), where the finding is suppressed.
      type: dict
      sample: {reason: replaced in January, expires: "2027-01-31"}
suppressions:
  description:
    - The suppressions with the number of findings each one matched. C(state) is V(active), V(expired), V(unused) or
      V(not-run) where its check was not run.
  returned: always
  type: list
  elements: dict
  sample:
    - id: user/owner-label
      subject: Deployment agents/legacy-*
      reason: replaced in January
      expires: "2027-01-31"
      place: suppressions[0]
      state: active
      findings: 2
summary:
  description:
    - Number of subjects by verdict, altogether and by family. C(complete) is false when something could not be read.
  returned: always
  type: dict
  sample:
    passed: 61
    failed: 0
    warned: 1
    skipped: 4
    suppressed: 0
    complete: true
    by_family: {probes: {passed: 8, failed: 0, warned: 0, skipped: 1, suppressed: 0}}
matrix:
  description:
    - Who has which way to which of our Secrets, when the family V(secret-scope) or V(rbac) was looked at. C(path) is
      empty for a container beside a holder that has no way itself.
  returned: always
  type: list
  elements: dict
  sample:
    - subject: {kind: Deployment, namespace: agents, name: coder, container: discord-watcher}
      secret: agents/discord-secrets
      path: env
      via: initContainers/discord-watcher env DISCORD_WEBHOOK_URL
      expected: true
      found: true
unread:
  description: What could not be read, one sentence each.
  returned: always
  type: list
  elements: str
  sample: [no permission to list secrets in agents]
lines:
  description: The report as lines of text.
  returned: always
  type: list
  elements: str
  sample: ["61 passed, 0 failed, 1 warned, 4 skipped"]
files:
  description: Files written.
  returned: always
  type: list
  elements: str
  sample: [report/findings.html, report/findings.json, report/findings.txt, report/findings.xml]
api_calls:
  description: Number of requests sent.
  returned: always
  type: int
  sample: 23
timings:
  description: Seconds spent collecting and judging.
  returned: always
  type: dict
  sample: {collect_s: 0.3, judge_s: 0.02, total_s: 0.32}
"""

import datetime
import typing as t

from ansible_collections.kubernetes.core.plugins.module_utils.args_common import AUTH_ARG_SPEC
from ansible_collections.orchestrator.platform.plugins.module_utils._api_client import k8s_module
from ansible_collections.orchestrator.platform.plugins.module_utils._catalogue import (
    CHECKS,
    select,
    without_acting,
)
from ansible_collections.orchestrator.platform.plugins.module_utils._chart_names import chart_fullname, snippet_name
from ansible_collections.orchestrator.platform.plugins.module_utils._cluster import Cluster, Stopwatch
from ansible_collections.orchestrator.platform.plugins.module_utils._collect import Collector
from ansible_collections.orchestrator.platform.plugins.module_utils._errors import PlatformError
from ansible_collections.orchestrator.platform.plugins.module_utils._expectation import (
    Allowed,
    Expectation,
    Orchestrator,
    Target,
    parse_secrets,
)
from ansible_collections.orchestrator.platform.plugins.module_utils._extra_lists import collect_extra
from ansible_collections.orchestrator.platform.plugins.module_utils._findings import Check, show_subject
from ansible_collections.orchestrator.platform.plugins.module_utils._judge import judge
from ansible_collections.orchestrator.platform.plugins.module_utils._names import check_namespaces
from ansible_collections.orchestrator.platform.plugins.module_utils._overrides import parse_overrides
from ansible_collections.orchestrator.platform.plugins.module_utils._report import show_counts, text_lines
from ansible_collections.orchestrator.platform.plugins.module_utils._report_files import (
    read_entries,
    write_reports,
)
from ansible_collections.orchestrator.platform.plugins.module_utils._rules import Rule, as_check, parse_rules
from ansible_collections.orchestrator.platform.plugins.module_utils._secret_paths import DIRECT
from ansible_collections.orchestrator.platform.plugins.module_utils._snapshot import View
from ansible_collections.orchestrator.platform.plugins.module_utils._suppressions import parse_suppressions
from ansible_collections.orchestrator.platform.plugins.module_utils._workloads import PATCHABLE, Json

ARGUMENT_SPEC: dict[str, t.Any] = {
    **AUTH_ARG_SPEC,
    "monitor_namespace": {"type": "str", "default": "discord-monitor"},
    "agent_namespaces": {"type": "list", "elements": "str", "default": ["agents"]},
    "release": {"type": "str", "default": "discord-monitor"},
    "snippet_name": {"type": "str"},
    "bot_expected": {"type": "bool", "default": True},
    "bot_secret": {"type": "str", "default": "discord-monitor-bot", "no_log": False},
    "bot_secret_key": {"type": "str", "default": "BOT_TOKEN", "no_log": False},
    "bot_api_secret": {"type": "str", "default": "", "no_log": False},
    "bot_api_secret_key": {"type": "str", "default": "BOT_API_TOKEN", "no_log": False},
    "webhook_secret": {"type": "str", "default": "discord-secrets", "no_log": False},
    "secrets": {
        "type": "list",
        "elements": "dict",
        "default": [],
        "no_log": False,
        "options": {
            "namespace": {"type": "str", "required": True},
            "name": {"type": "str", "required": True},
            "description": {"type": "str", "default": ""},
            "keys": {"type": "list", "elements": "str", "default": [], "no_log": False},
            "readers": {
                "type": "list",
                "elements": "dict",
                "default": [],
                "options": {
                    "container": {"type": "str", "required": True},
                    "path": {"type": "str", "choices": list(DIRECT), "default": "env"},
                    "labels": {"type": "dict", "default": {}},
                    "required": {"type": "bool", "default": False},
                },
            },
            "accounts": {"type": "list", "elements": "str", "default": []},
            "expected": {"type": "bool", "default": True},
        },
    },
    "target_kinds": {"type": "list", "elements": "str", "choices": list(PATCHABLE), "default": ["Deployment"]},
    "target_names": {"type": "list", "elements": "str", "default": []},
    "target_label_selectors": {"type": "list", "elements": "str", "default": []},
    "orchestrator_namespace": {"type": "str", "default": ""},
    "orchestrator_release": {"type": "str", "default": "orchestrator"},
    "orchestrator_fullname": {"type": "str"},
    "orchestrator_crds": {"type": "list", "elements": "dict", "default": []},
    "targets": {
        "type": "list",
        "elements": "dict",
        "default": [],
        "options": {
            "state": {"type": "str", "choices": ["present", "absent"], "default": "present"},
            "namespaces": {"type": "list", "elements": "str", "default": []},
            "kinds": {"type": "list", "elements": "str", "choices": list(PATCHABLE)},
            "names": {"type": "list", "elements": "str"},
            "label_selectors": {"type": "list", "elements": "str"},
            "field_selectors": {"type": "list", "elements": "str", "default": []},
            "overrides": {"type": "dict"},
        },
    },
    "watcher_resources": {
        "type": "dict",
        "default": {"requests": {"cpu": "10m", "memory": "32Mi"}, "limits": {"cpu": "100m", "memory": "64Mi"}},
    },
    "sidecar_overrides": {"type": "dict", "default": {}},
    "families": {"type": "list", "elements": "str", "default": []},
    "checks": {"type": "list", "elements": "str", "default": []},
    "probe_delivery": {"type": "bool", "default": False},
    "probe_scope": {"type": "str", "choices": ["one", "all"], "default": "one"},
    "probe_timeout": {"type": "int", "default": 30},
    "rules": {"type": "list", "elements": "raw", "default": []},
    "suppressions": {"type": "list", "elements": "raw", "default": []},
    "runtime_scope": {"type": "bool", "default": False},
    "rbac_allowed": {
        "type": "list",
        "elements": "dict",
        "default": [],
        "options": {
            "subject": {"type": "str", "required": True},
            "checks": {"type": "list", "elements": "str", "default": []},
            "namespaces": {"type": "list", "elements": "str", "default": []},
        },
    },
    "timeout": {"type": "int", "default": 120},
    "fail_on": {"type": "str", "choices": ["error", "warning", "none"], "default": "error"},
    "report_dir": {"type": "path"},
    "threads": {"type": "int", "default": 8},
}


def expectation(params: dict[str, Json]) -> Expectation:
    """What the module's options say about the platform; raises PlatformError for what no namespace can be named."""
    targets = _targets(params)
    # Where a target puts a sidecar, agents run.
    more = (name for target in targets if target.present for name in target.namespaces)
    agents = tuple(dict.fromkeys([*params["agent_namespaces"], *more]))
    check_namespaces(
        [params["monitor_namespace"], *params["agent_namespaces"]], "monitor_namespace or agent_namespaces"
    )
    check_namespaces(agents, "targets[].namespaces")
    secrets = parse_secrets(params["secrets"])
    check_namespaces([item.namespace for item in secrets], "secrets[].namespace")
    check_namespaces([name for name in [params["orchestrator_namespace"]] if name], "orchestrator_namespace")
    release = params["release"]
    fullname = chart_fullname(release)
    return Expectation(
        monitor_namespace=params["monitor_namespace"],
        agent_namespaces=agents,
        release=release,
        fullname=fullname,
        snippet_name=params["snippet_name"] or snippet_name(fullname),
        bot_expected=params["bot_expected"],
        bot_secret=params["bot_secret"],
        bot_key=params["bot_secret_key"],
        bot_api_secret=params["bot_api_secret"],
        bot_api_key=params["bot_api_secret_key"],
        webhook_secret=params["webhook_secret"],
        more_secrets=secrets,
        targets=targets,
        watcher_resources=params["watcher_resources"] or {},
        rbac_allowed=tuple(
            Allowed(item["subject"], tuple(item["checks"]), tuple(item["namespaces"]))
            for item in params["rbac_allowed"]
        ),
        orchestrator=expected_orchestrator(params),
    )


def expected_orchestrator(params: dict[str, Json]) -> Orchestrator | None:
    """What the options say about the orchestrator; None where no namespace is named."""
    if not params["orchestrator_namespace"]:
        return None
    release = params["orchestrator_release"]
    return Orchestrator(
        namespace=params["orchestrator_namespace"],
        release=release,
        fullname=params["orchestrator_fullname"] or chart_fullname(release, chart="orchestrator"),
        definitions=tuple(params["orchestrator_crds"]),
    )


def _targets(params: dict[str, Json]) -> tuple[Target, ...]:
    """The runs of module sidecar; what one leaves out is that of the options for all."""
    names = {
        "kinds": "target_kinds",
        "names": "target_names",
        "label_selectors": "target_label_selectors",
        "overrides": "sidecar_overrides",
    }
    given = {name: params[option] for name, option in names.items()}
    found = []
    for entry in params["targets"] or [{}]:
        merged = {**given, **{key: value for key, value in entry.items() if value is not None}}
        found.append(
            Target(
                kinds=tuple(merged["kinds"]),
                namespaces=tuple(merged.get("namespaces", ())),
                names=tuple(merged["names"]),
                labels=",".join(merged["label_selectors"]),
                fields=",".join(merged.get("field_selectors", ())),
                overrides=parse_overrides(merged["overrides"]),
                present=merged.get("state") != "absent",
            )
        )
    return tuple(found)


def run(params: dict[str, Json], cluster: Cluster, *, check_mode: bool) -> dict[str, Json]:
    """Collect, judge, report."""
    watch = Stopwatch()
    rules = parse_rules(read_entries(params["rules"], "rules"))
    suppressions = parse_suppressions(
        read_entries(params["suppressions"], "suppressions"), {item.id for item in CHECKS} | {item.id for item in rules}
    )
    checks: tuple[Check, ...] = select(
        params["families"],
        params["checks"],
        probe_delivery=params["probe_delivery"],
        runtime_scope=params["runtime_scope"],
        rules=tuple(map(as_check, rules)),
    )
    refuse_homeless(params, checks)
    if check_mode:
        checks = without_acting(checks)
    view = picture(params, cluster, checks, rules)
    watch.lap("collect_s")
    # Asked for by itself, the family preflight is the question before an installation.
    lenient = check_mode or all(check.family == "preflight" for check in checks)
    now = datetime.datetime.now(datetime.UTC)
    report = judge(view, checks, suppressions, fail_on=params["fail_on"], lenient=lenient, now=now)
    watch.lap("judge_s")
    result: dict[str, Json] = {
        "changed": False,
        "findings": report.findings,
        "summary": report.summary,
        "suppressions": report.suppressions,
        "matrix": report.matrix,
        "unread": sorted(set(view.snapshot.unread.values())),
        "lines": text_lines(report),
        "files": [] if check_mode else write_reports(params["report_dir"], report),
        "api_calls": cluster.calls,
        "timings": watch.result(),
    }
    if report.broken:
        worst = report.broken[0]
        first = f"{worst['id']}: {show_subject(worst['subject'])}: {worst['evidence']}"
        result["failed"] = True
        result["msg"] = f"{show_counts(report.summary)}. First: {first}. {worst['hint']}"
    return result


def refuse_homeless(params: dict[str, Json], checks: tuple[Check, ...]) -> None:
    """Raises PlatformError for a named check of an orchestrator that is not named: it would pass by not running."""
    named = [item.id for item in checks if item.scope == "orchestrator" and item.id in params["checks"]]
    if named and not params["orchestrator_namespace"]:
        raise PlatformError(
            f"checks: {', '.join(named)} looks at the orchestrator: name its namespace in orchestrator_namespace, or "
            "leave the check out."
        )


def picture(params: dict[str, Json], cluster: Cluster, checks: tuple[Check, ...], rules: list[Rule]) -> View:
    """One picture of what these checks need."""
    collector = Collector(cluster, expectation(params))
    view = collector.collect(
        checks, probe_every=params["probe_scope"] == "all", probe_timeout_s=params["probe_timeout"]
    )
    chosen = {check.id for check in checks}
    collect_extra(cluster, view, [rule.listing for rule in rules if rule.id in chosen])
    return view


def main() -> None:
    """Entry point."""
    module = k8s_module(argument_spec=ARGUMENT_SPEC, supports_check_mode=True)
    try:
        cluster = Cluster(module, threads=module.params["threads"], limit_s=module.params["timeout"] or None)
        result = run(module.params, cluster, check_mode=module.check_mode)
    except PlatformError as exc:  # the only place where an error becomes a failed task
        module.fail_json(msg=str(exc), **exc.details)
    else:
        module.exit_json(**result)


if __name__ == "__main__":
    main()

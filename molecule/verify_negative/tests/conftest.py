# SPDX-License-Identifier: GPL-3.0-or-later
# SPDX-FileCopyrightText: 2026 The orchestrator.platform authors
"""All states at once, one run of the module's own code a state, and at the end the table of what found what."""

from __future__ import annotations

import json
import re
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import pytest
import yaml
from ansible.module_utils.common.arg_spec import ArgumentSpecValidator
from ansible_collections.orchestrator.platform.plugins.module_utils._errors import ApiError
from ansible_collections.orchestrator.platform.plugins.modules import verification

import states
from planted import FAULTS, GOOD, UNKNOWN, Fault, expected
from real_cluster import STATE
from states import LABEL, Json, Maker, State, api

CASES: dict[str, Fault] = {**GOOD, **UNKNOWN, **FAULTS}
WORKERS = 6
SETTLE_TIMEOUT_S = 20  # a busy API server may refuse a request, which makes a check a skip
LIVE_TIMEOUT_S = 100  # image and kubelet are there; the kubelet measures every 15 s at most
_TABLE: list[tuple[str, str, str]] = []


def complaints(result: Json) -> set[str]:
    """Ids of all that is found wrong, of every severity."""
    return {item["id"] for item in result["findings"] if item["verdict"] in ("fail", "warn")}


def filled(options: Json, state: State) -> Json:
    """The options with {agents} replaced by the case's own namespace."""
    return json.loads(json.dumps(options).replace("{agents}", state.agents))


class Cases:
    """Every case made and judged; `results` by check id."""

    def __init__(self) -> None:
        self.kubeconfig = STATE / "kubeconfig"
        self.maker = Maker(self.kubeconfig)
        self.results: dict[str, Json] = {}
        self.seconds: dict[str, float] = {}
        rendered = [
            item for item in yaml.safe_load_all((STATE / "verify_negative.yml").read_text(encoding="utf-8")) if item
        ]
        text = (STATE / "verify_negative_orchestrator.yml").read_text(encoding="utf-8")
        other = [item for item in yaml.safe_load_all(text) if item and "helm.sh/hook" not in str(item["metadata"])]
        self.states = {name: State(re.sub("[/#]", "-", name), rendered, other) for name in CASES}

    def run(self) -> None:
        """Make all states, judge them side by side; those that everybody would see come last, one at a time."""
        crowd = [name for name, fault in CASES.items() if not fault.alone]
        # Pods start while the rest is made.
        crowd.sort(key=lambda name: not CASES[name].live)
        with ThreadPoolExecutor(WORKERS) as pool:
            self._lap("made", lambda: list(pool.map(self._make, [*crowd, *self._alone()])))
            self.maker.until(self.maker.bots_seen, "the controller has seen every bot's Deployment")
            crowd.sort(key=lambda name: CASES[name].live)
            self._lap("judged", lambda: list(pool.map(self._judge, crowd)))
        for name in self._alone():
            self._judge(name)

    def _alone(self) -> list[str]:
        return [name for name, fault in CASES.items() if fault.alone]

    def _lap(self, what: str, work) -> None:
        began = time.monotonic()
        work()
        self.seconds[what] = time.monotonic() - began

    def _make(self, name: str) -> None:
        fault, state = CASES[name], self.states[name]
        fault.plant(state)
        self.maker.make(state, edit=fault.edit)
        if fault.later is not None and not fault.alone:
            fault.later(self.maker, state)

    def _judge(self, name: str) -> None:
        fault, state = CASES[name], self.states[name]
        if fault.alone and fault.later is not None:
            fault.later(self.maker, state)
        deadline = time.monotonic() + (LIVE_TIMEOUT_S if fault.live else SETTLE_TIMEOUT_S)
        while True:
            self.results[name] = self._verify(fault, state)
            if complaints(self.results[name]) == expected(name) or time.monotonic() > deadline:
                break
            if not fault.live and not self._was_skipped(name):
                break  # an answer, and a wrong one: asking again must not make it right
            time.sleep(1)  # a pod is about to start: asked again by the module itself
        if fault.alone:
            self.maker.send("DELETE", f"/api/v1/nodes/{state.name}")

    def verify(self, name: str, *, limited: bool = False, **params: object) -> Json:
        """One more run on a state that is there, with other options, by a user who may do nothing if `limited`."""
        fault = CASES[name]._replace(params={**CASES[name].params, **params}, limited=limited)
        return self._verify(fault, self.states[name])

    def _was_skipped(self, name: str) -> bool:
        """Whether the case's own check said nothing but that it could not look."""
        verdicts = {row["verdict"] for row in self.results[name]["findings"] if row["id"] in expected(name)}
        return verdicts == {"skip"}

    def _verify(self, fault: Fault, state: State) -> Json:
        options = {
            "monitor_namespace": state.monitor,
            "agent_namespaces": [state.agents],
            **filled(fault.params, state),
        }
        if state.orchestrator_objects:
            options["orchestrator_namespace"] = state.orchestrator
        checked = ArgumentSpecValidator(verification.ARGUMENT_SPEC).validate(options)
        assert not checked.error_messages, checked.error_messages
        access = self.maker.limited_user(self.kubeconfig, state.agents) if fault.limited else self.kubeconfig
        return verification.run(checked.validated_parameters, api(access), check_mode=False)

    def remove(self) -> None:
        """Everything, without waiting until it is gone: no name is used twice."""
        kept = self.states["preflight/namespaces"]
        path = f"/api/v1/namespaces/{kept.agents}/secrets/discord-secrets"
        kind = "application/merge-patch+json"
        self._unless_gone("PATCH", path, {"metadata": {"finalizers": None}}, kind=kind)
        for kind in ("ClusterRole", "ClusterRoleBinding", "Node", "CustomResourceDefinition", "Namespace"):
            for item in self.maker.api.items(states.PATHS[kind], labelSelector=f"{LABEL}=true")[0]:
                if item["metadata"]["name"].startswith(states.PREFIX + "-"):
                    self._unless_gone("DELETE", f"{states.PATHS[kind]}/{item['metadata']['name']}")

    def _unless_gone(self, *request, **options) -> None:
        # A run that broke has not made everything; a namespace may end between the list and here (404, 409).
        try:
            self.maker.send(*request, **options)
        except ApiError as exc:
            if exc.status not in (404, 409):
                raise


@pytest.fixture(scope="session")
def cases() -> Iterator[Cases]:
    """Made once for all tests, and removed."""
    made = Cases()
    try:
        made.run()
        _TABLE.extend(
            (name, CASES[name].says, ", ".join(sorted(complaints(made.results[name]))) or "-") for name in CASES
        )
        _TABLE.append(("seconds", "", ", ".join(f"{what} in {value:.0f} s" for what, value in made.seconds.items())))
        yield made
    finally:
        made.remove()


def pytest_terminal_summary(terminalreporter) -> None:
    """Planted fault -> found by."""
    if _TABLE:
        terminalreporter.section("planted faults, and which checks found them")
        for row in _TABLE:
            terminalreporter.write_line(f"{row[0]:<40} {row[1]:<62} {row[2]}")

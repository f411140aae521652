# SPDX-License-Identifier: GPL-3.0-or-later
# SPDX-FileCopyrightText: 2026 The orchestrator.platform authors
"""Renders the chart orchestrator and picks what the tests look at: the Deployment, its pod, a ConfigMap's data."""

from __future__ import annotations

import renderings as r
import yaml

KEY = "canary-anthropic-key-19d2"
SECRET = {"secrets": {"existingSecret": "orchestrator-secrets"}}
CREATED = {"secrets": {"anthropicApiKey": KEY}}
CASES = r.cases(r.ORCHESTRATOR)


def render(values=None, *, case="", release="orchestrator", kubernetes=r.NEWEST, base=SECRET):
    given = values or {} if case else r.merged(base, values or {})
    return r.template(r.ORCHESTRATOR, given, case=case, release=release, kubernetes=kubernetes)


def deployment(values=None, **how):
    return render(values, **how).one("Deployment")


def pod(values=None, **how):
    return deployment(values, **how)["spec"]["template"]["spec"]


def container(values=None, **how):
    return pod(values, **how)["containers"][0]


def data(name, values=None, **how):
    rendering = render(values, **how)
    full = rendering.one("Deployment")["metadata"]["name"]
    return rendering.one("ConfigMap", f"{full}-{name}")["data"]


def controller(values=None, **how):
    """The file config.yaml, parsed as the controller does it."""
    return yaml.safe_load(data("task-controller-config", values, **how)["config.yaml"])

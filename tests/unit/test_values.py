# SPDX-License-Identifier: GPL-3.0-or-later
# SPDX-FileCopyrightText: 2026 The orchestrator.platform authors
"""Versions, quantities, redaction, mounts, container lists: tables of input and output."""

from __future__ import annotations

from decimal import Decimal

import pytest
from ansible_collections.orchestrator.platform.plugins.module_utils._quantities import parse_quantity, same_quantity
from ansible_collections.orchestrator.platform.plugins.module_utils._redact import (
    is_named_secret,
    redact,
    redact_text,
    secret_kind,
)
from ansible_collections.orchestrator.platform.plugins.module_utils._versions import parse_version
from ansible_collections.orchestrator.platform.plugins.module_utils._workloads import (
    Mount,
    UnsupportedMountError,
    containers_of,
    opted_out,
    resolve_mount,
)
from hypothesis import given
from hypothesis import strategies as st

from .conftest import TOKEN, WEBHOOK


@pytest.mark.parametrize(
    ("text", "version"),
    [
        ("v1.36.3", (1, 36)),
        ("1.29+", (1, 29)),
        ("v1.30.1-eks-abc", (1, 30)),
        ("v1.29.0-rc.1+k3s2", (1, 29)),
        ("v2.0", (2, 0)),
    ],
)
def test_version_is_read(text, version):
    assert parse_version(text) == version


@pytest.mark.parametrize("text", ["", "abc", "v1", "1.x", "-1.2"])
def test_what_is_no_version_is_refused(text):
    with pytest.raises(ValueError, match="not a Kubernetes version"):
        parse_version(text)


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("100m", "0.1"),
        ("0.1", "0.1"),
        ("64Mi", str(64 * 2**20)),
        ("1k", "1000"),
        ("1e3", "1000"),
        ("1E", "1000000000000000000"),
        ("1E2", "100"),
        ("1.5Gi", str(3 * 2**29)),
        ("-5", "-5"),
        (".5", "0.5"),
        ("250u", "0.00025"),
        (2, "2"),
    ],
)
def test_quantity_is_read(text, value):
    assert parse_quantity(text) == Decimal(value)


@pytest.mark.parametrize("text", ["", "abc", "1MiB", "1 Mi", "1mi", "Mi", "1..2", "0x10", "1e"])
def test_what_is_no_quantity_is_refused(text):
    with pytest.raises(ValueError, match="not a Kubernetes quantity"):
        parse_quantity(text)


@pytest.mark.parametrize(
    ("left", "right", "same"),
    [
        ("1024Mi", "1Gi", True),
        ("0.1", "100m", True),
        (1, "1", True),
        ("64Mi", "64M", False),
        (None, "1", False),
        ("a", "a", True),
        ("a", "1", False),
    ],
)
def test_quantities_compare_by_value(left, right, same):
    assert same_quantity(left, right) is same


@given(st.integers(0, 10**12), st.sampled_from(["", "m", "k", "Ki", "Mi", "Gi", "G"]))
def test_a_quantity_equals_itself_in_base_units(number, suffix):
    value = parse_quantity(f"{number}{suffix}")
    assert same_quantity(f"{number}{suffix}", format(value, "f"))


def test_secret_shapes_are_recognised_and_replaced():
    """DM-149: neither the webhook's URL nor the token is ever shown."""
    assert secret_kind(f"x {WEBHOOK} y") == "webhook URL"
    assert secret_kind(TOKEN) == "bot token"
    assert secret_kind("https://example.org/webhooks/") is None
    assert secret_kind("sha256:" + "a" * 64) is None
    assert redact_text(f"POST {WEBHOOK}?wait=true by {TOKEN}") == "POST <webhook URL>?wait=true by <bot token>"


def test_manifest_parts_are_redacted_by_name_and_by_shape():
    shown = redact(
        {"env": [{"name": "API_KEY", "value": "abc"}, {"name": "URL", "value": WEBHOOK}, {"name": "A", "value": "1"}]}
    )
    assert [item["value"] for item in shown["env"]] == ["<redacted>", "<webhook URL>", "1"]


@pytest.mark.parametrize(
    ("name", "secret"),
    [
        *(
            (name, True)
            for name in ("API_KEY", "apiKey", "api-key", "private-key", "ACCESS_KEY", "accessKey", "PASSPHRASE")
        ),
        *((name, True) for name in ("SECRET_USERNAME", "WEBHOOK_URL", "CREDENTIAL_OF_ME", "x.example.org/auth-token")),
        *((name, False) for name in ("existingSecret", "webhookSecretName", "secretKeyRef", "TOKEN_FILE", "tokenPath")),
        *((name, False) for name in ("KEY", "publicKey", "LOG_LEVEL", "monkey", "tokenExpirationSeconds")),
    ],
)
def test_names_of_secrets_are_told_from_what_refers_to_them(name, secret):
    assert is_named_secret(name, "abc") is secret
    assert not is_named_secret(name, True)


@pytest.mark.parametrize(
    "name", ["private-key", "PASSPHRASE", "AWS_ACCESS_KEY", "existingSecret", "SECRET_NAME", "XTOKENX"]
)
def test_variables_are_redacted_by_all_these_names(name):
    """A manifest that is given back shows no value, be it the name of a Secret."""
    assert redact({"name": name, "value": "abc"}) == {"name": name, "value": "<redacted>"}


WANT = "/home/agent/.claude"


@pytest.mark.parametrize(
    ("mounts", "hit"),
    [
        ([], None),
        ([{"name": "a", "mountPath": "/data"}], None),
        ([{"name": "a", "mountPath": "/home/agent/.claude-old"}], None),
        ([{"name": "a", "mountPath": "/home/agent/.claude/projects"}], None),
        ([{"name": "a", "mountPath": WANT}], Mount("a", "")),
        ([{"name": "a", "mountPath": WANT + "/"}], Mount("a", "")),
        ([{"name": "a", "mountPath": WANT, "subPath": "x/y"}], Mount("a", "x/y")),
        ([{"name": "a", "mountPath": "/home"}], Mount("a", "", "agent/.claude")),
        ([{"name": "a", "mountPath": "/home/agent", "subPath": "h"}], Mount("a", "h", ".claude")),
        ([{"name": "a", "mountPath": "/home"}, {"name": "b", "mountPath": "/home/agent"}], Mount("b", "", ".claude")),
        ([{"name": "b", "mountPath": "/home/agent"}, {"name": "a", "mountPath": "/home"}], Mount("b", "", ".claude")),
        ([{"name": "a", "mountPath": "/"}], Mount("a", "", "home/agent/.claude")),
    ],
)
def test_mount_that_holds_a_path_is_found(mounts, hit):
    """DM-123: watcher and agent see the same folder."""
    assert resolve_mount(mounts, WANT) == hit


def test_mount_with_an_expression_is_refused():
    with pytest.raises(UnsupportedMountError):
        resolve_mount([{"name": "a", "mountPath": "/home/agent", "subPathExpr": "$(POD)"}], WANT)


def test_all_three_container_lists_are_walked():
    """D14."""
    spec = {"containers": [{"name": "a"}], "initContainers": [{"name": "b"}], "ephemeralContainers": [{"name": "c"}]}
    assert [(place, item["name"]) for place, item in containers_of(spec)] == [
        ("containers", "a"),
        ("initContainers", "b"),
        ("ephemeralContainers", "c"),
    ]
    assert list(containers_of({"initContainers": None})) == []


@pytest.mark.parametrize(
    ("value", "out"), [("false", True), ("False", True), (" false ", True), ("true", False), ("", False)]
)
def test_opt_out_annotation(value, out):
    holder = {"metadata": {"annotations": {"orchestrator.platform/inject": value}}}
    assert opted_out(None, {}, holder) is out

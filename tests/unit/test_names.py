# SPDX-License-Identifier: GPL-3.0-or-later
# SPDX-FileCopyrightText: 2026 The orchestrator.platform authors
"""Names that become parts of a path: what RFC 1123 does not allow is refused before anything is read."""

from __future__ import annotations

import pytest
from ansible_collections.orchestrator.platform.plugins.module_utils._errors import PlatformError
from ansible_collections.orchestrator.platform.plugins.module_utils._names import check_namespaces, check_object_name
from ansible_collections.orchestrator.platform.plugins.modules import verification
from hypothesis import given
from hypothesis import strategies as st

from .test_sidecar_module import FakeCluster, run
from .test_survey import survey

NO_NAMESPACE = ["", " ", "a/b", "..", "a/../b", "A", "a.b", "-a", "a-", "a" * 64, "a\n", "a?x=1", "ä"]


@pytest.mark.parametrize("name", NO_NAMESPACE)
@pytest.mark.parametrize("state", ["present", "absent"])
def test_what_is_no_namespace_is_refused_by_sidecar_before_anything_is_read(snippet_document, name, state):
    """An empty one would list, and remove from, the whole cluster."""
    cluster = FakeCluster(snippet_document)
    with pytest.raises(PlatformError, match=r"namespaces holds .* which no namespace can be named"):
        run(cluster, namespaces=["agents", name], state=state)
    assert (cluster.calls, cluster.sent) == (0, [])


@pytest.mark.parametrize("name", NO_NAMESPACE)
def test_what_is_no_namespace_is_refused_by_sidecar_info(snippet_document, name):
    cluster = FakeCluster(snippet_document)
    with pytest.raises(PlatformError, match="which no namespace can be named"):
        survey(cluster, namespaces=[name])
    assert cluster.calls == 0


@pytest.mark.parametrize("state", ["present", "absent"])
def test_no_namespace_at_all_is_refused(snippet_document, state):
    with pytest.raises(PlatformError, match="namespaces is empty"):
        run(FakeCluster(snippet_document), namespaces=[], state=state)


@pytest.mark.parametrize(
    ("place", "where"),
    [
        ({"namespace": "a/b", "name": "x"}, "snippet_from.namespace"),
        ({"namespace": "a", "name": "../x"}, "snippet_from.name"),
    ],
)
def test_place_of_the_snippet_is_checked_too(snippet_document, place, where):
    cluster = FakeCluster(snippet_document)
    with pytest.raises(PlatformError, match=where):
        run(cluster, snippet_from=place)
    assert cluster.calls == 0


@pytest.mark.parametrize("field", ["monitor_namespace", "agent_namespaces"])
def test_verification_refuses_them_before_it_reads(field):
    params = {key: spec.get("default") for key, spec in verification.ARGUMENT_SPEC.items()}
    with pytest.raises(PlatformError, match="monitor_namespace or agent_namespaces holds ''"):
        verification.expectation({**params, field: "" if field == "monitor_namespace" else ["agents", ""]})


@given(st.from_regex(r"[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?", fullmatch=True))
def test_names_that_kubernetes_takes_are_taken(name):
    check_namespaces([name], "namespaces")
    check_object_name(f"{name}.{name}"[:253].rstrip("-."), "name")


@given(st.text(max_size=70))
def test_what_passes_stays_one_part_of_a_path(name):
    try:
        check_namespaces([name], "namespaces")
    except PlatformError:
        return
    assert 1 <= len(name) <= 63
    assert set(name) <= set("abcdefghijklmnopqrstuvwxyz0123456789-")

# SPDX-License-Identifier: GPL-3.0-or-later
# SPDX-FileCopyrightText: 2026 The orchestrator.platform authors
#
# Private to this collection: names and behaviour may change in any release.
"""From a module's options to a connection pool: kubernetes.core's own module and configuration, and no more.

Nothing here is sent to an API server; _cluster.py does that.
"""

from __future__ import annotations

import gc
import sys
import typing as t

from ansible_collections.kubernetes.core.plugins.module_utils.k8s.core import AnsibleK8SModule
from ansible_collections.orchestrator.platform.plugins.module_utils._errors import ClusterError
from ansible_collections.orchestrator.platform.plugins.module_utils._workloads import Foreign

# The cycle collector takes a fifth of a module's time, walking through imports and lists of objects that all stay in
# use. The default of 700 objects suits programs that go on; this file is one of the first that a module imports.
gc.set_threshold(200_000)


def k8s_module(**settings: Foreign) -> Foreign:
    """kubernetes.core's AnsibleK8SModule with these settings."""
    # It imports kubernetes_validate, as kubernetes does, and with it jsonschema, where it is installed: a sixth of what
    # starting costs, for a check of manifests that nothing here asks for. None makes that import fail.
    name = "kubernetes_validate"
    modules = t.cast("dict[str, t.Any]", sys.modules)
    skipped = name not in modules
    if skipped:
        modules[name] = None
    try:
        return AnsibleK8SModule(**settings)
    finally:
        if skipped:
            del modules[name]


def api_client(module: Foreign, *, pool: int) -> Foreign:
    """kubernetes.core's client for the module's auth options, with room for `pool` connections."""
    try:
        from ansible_collections.kubernetes.core.plugins.module_utils.k8s import client as core

        client = _without_discovery(core, module)
    except ClusterError:
        raise
    except Exception as exc:
        # ConfigException, CoreException, FileNotFoundError, YAMLError, KeyError: kubeconfig loading raises them all.
        raise ClusterError(
            f"The cluster's configuration cannot be used ({type(exc).__name__}: {str(exc)[:200]}): "
            "check kubeconfig and context."
        ) from exc
    client.configuration.connection_pool_maxsize = pool
    client.rest_client = type(client.rest_client)(client.configuration)
    return client


def _without_discovery(core: Foreign, module: Foreign) -> Foreign:
    # get_api_client also reads the API's discovery documents, which we do not need: our paths are fixed. Its own steps
    # before that are used where this kubernetes.core still has them.
    steps = [getattr(core, name, None) for name in ("_create_auth_spec", "_create_configuration", "_create_headers")]
    if None in steps or not hasattr(core, "_set_header"):
        return core.getapi_client(module).client.client
    from kubernetes.client import ApiClient

    create_auth_spec, create_configuration, create_headers = t.cast("list[Foreign]", steps)
    client = ApiClient(create_configuration(create_auth_spec(module)))
    for header, value in create_headers(module).items():
        core._set_header(client, header, value)  # noqa: SLF001 (checked above)
    return client

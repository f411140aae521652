# SPDX-License-Identifier: GPL-3.0-or-later
# SPDX-FileCopyrightText: 2026 The orchestrator.platform authors
"""Reads of the preflight: one short-tempered connection to the API server.

Private to this collection: names and shapes change without notice.

The client of kubernetes.core retries and has no time limit: a host that swallows packets holds it for minutes.
Here a connection has CONNECT_S, an answer READ_S, and nothing is tried twice.
"""

from __future__ import annotations

import json
import os
import pathlib
import socket
import ssl
import time
import typing as t
import urllib.parse

# kubernetes.client.Configuration: the library has no types.
KubernetesConfiguration: t.TypeAlias = t.Any

CONNECT_S = 4.0
READ_S = 15.0
ERROR_TEXT_MAX = 300  # characters of foreign text we repeat; arbitrary


class PreflightStopError(Exception):
    """What makes every further question pointless: check id, subject, evidence, hint."""

    def __init__(self, check: str, subject: str, evidence: str, hint: str) -> None:
        super().__init__(evidence)
        self.check, self.subject, self.evidence, self.hint = check, subject, evidence, hint


def kubeconfig_path(given: object, environ: t.Mapping[str, str]) -> list[str]:
    """List the kubeconfig files in question; empty when the configuration does not come from a file."""
    if isinstance(given, dict):
        return []
    if given:
        return [str(pathlib.Path(str(given)).expanduser())]
    if environ.get("K8S_AUTH_KUBECONFIG"):
        return [str(pathlib.Path(environ["K8S_AUTH_KUBECONFIG"]).expanduser())]
    if environ.get("K8S_AUTH_HOST") or (environ.get("KUBERNETES_SERVICE_HOST") and not environ.get("KUBECONFIG")):
        return []
    if environ.get("KUBECONFIG"):
        return [str(pathlib.Path(path).expanduser()) for path in environ["KUBECONFIG"].split(os.pathsep) if path]
    return [str(pathlib.Path("~/.kube/config").expanduser())]


def check_kubeconfig(paths: list[str], context: str | None) -> str:
    """Return the name of the context in use; raises PreflightStopError when a file or the context is not there."""
    import yaml

    documents = []
    for path in paths:
        try:
            documents.append(yaml.safe_load(pathlib.Path(path).read_text(encoding="utf-8")) or {})
        except FileNotFoundError:
            continue
        except OSError as exc:
            evidence = f"The kubeconfig {path} cannot be read: {exc.strerror}."
            raise PreflightStopError(
                "kubeconfig", path, evidence, "Make it readable for the user who runs Ansible."
            ) from exc
        except (yaml.YAMLError, UnicodeDecodeError) as exc:
            # The parser's own message repeats lines of the file, and those may be keys.
            hint = "Write it anew with the tool of your cluster."
            raise PreflightStopError("kubeconfig", path, f"The kubeconfig {path} is not valid YAML.", hint) from exc
    if not documents:
        evidence = f"The kubeconfig {' or '.join(paths)} does not exist."
        hint = "Set platform_kubeconfig to the file of your cluster, or export K8S_AUTH_KUBECONFIG."
        raise PreflightStopError("kubeconfig", paths[0], evidence, hint)
    if not all(isinstance(document, dict) for document in documents):
        raise PreflightStopError(
            "kubeconfig", paths[0], f"{paths[0]} is no kubeconfig.", "Set platform_kubeconfig to one."
        )
    names = [entry.get("name", "") for document in documents for entry in document.get("contexts") or []]
    chosen = context or next((doc["current-context"] for doc in documents if doc.get("current-context")), "")
    known = ", ".join(names) or "none"
    if not chosen:
        evidence = f"The kubeconfig {paths[0]} names no current context (its contexts: {known})."
        raise PreflightStopError("context", paths[0], evidence, "Set platform_context to one of them.")
    if chosen not in names:
        evidence = f"The context {chosen} is not in the kubeconfig {paths[0]} (its contexts: {known})."
        raise PreflightStopError("context", chosen, evidence, "Set platform_context to one of them.")
    return chosen


def explain_failure(exc: BaseException, host: str, waited_s: float) -> tuple[str, str]:
    """Turn what a connection died of into one sentence and its remedy."""
    chain: list[BaseException] = []
    cause: BaseException | None = exc
    while cause is not None and cause not in chain:
        chain.append(cause)
        cause = cause.__cause__ or cause.__context__ or getattr(cause, "reason", None)
        cause = cause if isinstance(cause, BaseException) else None
    names = {type(item).__name__ for item in chain}
    text = " ".join(str(item) for item in chain)
    if any(isinstance(item, ssl.SSLError) for item in chain) or "SSLError" in names:
        expired = "has expired" in text
        why = (
            "has expired" if expired else "is not signed by the authority the kubeconfig names, or is for another host"
        )
        return f"The certificate of the API server {host} {why}.", "Fetch a fresh kubeconfig for this cluster."
    if any(isinstance(item, socket.gaierror) for item in chain) or "NameResolutionError" in names:
        return (
            f"The name of the API server {host} does not resolve.",
            "Check the server address in the kubeconfig and your VPN.",
        )
    if any(isinstance(item, ConnectionRefusedError) for item in chain):
        return (
            f"The API server {host} refuses connections: nothing listens there.",
            "Start the cluster or choose another context.",
        )
    if any(isinstance(item, TimeoutError) for item in chain) or names & {"ConnectTimeoutError", "ReadTimeoutError"}:
        return (
            f"The API server {host} did not answer within {waited_s:.0f} s.",
            "Check the network path, VPN and proxy settings.",
        )
    return (
        f"The API server {host} cannot be reached ({type(exc).__name__}).",
        "Check the server address in the kubeconfig.",
    )


class ClusterReader:
    """Reads by REST path; every method raises PreflightStopError when the server cannot be asked at all."""

    def __init__(self, configuration: KubernetesConfiguration, headers: dict[str, t.Any]) -> None:
        import kubernetes

        configuration.retries = False
        self.host: str = configuration.host
        self._pool = kubernetes.client.ApiClient(configuration).rest_client.pool_manager
        self._configuration = configuration
        self._headers = headers

    def request(
        self,
        method: str,
        path: str,
        *,
        query: dict[str, str] | None = None,
        body: object = None,
        metadata_only: bool = False,
    ) -> tuple[int, dict[str, t.Any]]:
        """Send one request; returns the status and the decoded body (empty when it is not JSON)."""
        accept = "application/json"
        if metadata_only:
            accept = "application/json;as=PartialObjectMetadataList;g=meta.k8s.io;v=v1"
        headers: dict[str, t.Any] = {"Accept": accept, "Content-Type": "application/json", **self._headers}
        for setting in self._configuration.auth_settings().values():
            if setting["in"] == "header" and setting["value"]:
                headers[setting["key"]] = setting["value"]
        url = self.host.rstrip("/") + path + ("?" + urllib.parse.urlencode(query) if query else "")
        import urllib3

        began = time.monotonic()
        try:
            answer = self._pool.request(
                method,
                url,
                headers=headers,
                body=json.dumps(body) if body is not None else None,
                timeout=urllib3.Timeout(connect=CONNECT_S, read=READ_S),
                retries=False,
            )
        except (urllib3.exceptions.HTTPError, OSError) as exc:
            evidence, hint = explain_failure(exc, self.host, time.monotonic() - began)
            raise PreflightStopError("api-reachable", self.host, evidence, hint) from exc
        try:
            decoded = json.loads(answer.data)
        except ValueError:
            decoded = {}
        return answer.status, decoded if isinstance(decoded, dict) else {}

    def read(
        self, path: str, *, query: dict[str, str] | None = None, metadata_only: bool = False
    ) -> dict[str, t.Any] | None:
        """GET one path: the object, or None when it does not exist; raises ReadRefusedError on any other answer."""
        status, body = self.request("GET", path, query=query, metadata_only=metadata_only)
        if status == 404:
            return None
        if status >= 400:
            raise ReadRefusedError(path, status, str(body.get("message", ""))[:ERROR_TEXT_MAX])
        return body


class ReadRefusedError(Exception):
    """The server answered a read with an error; the run goes on without that piece of knowledge."""

    def __init__(self, path: str, status: int, message: str) -> None:
        super().__init__(f"GET {path} answered {status}: {message}")
        self.path, self.status, self.message = path, status, message

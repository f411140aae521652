# SPDX-License-Identifier: GPL-3.0-or-later
# SPDX-FileCopyrightText: 2026 The orchestrator.platform authors
#
# Private to this collection: names and behaviour may change in any release.
"""What a connection to an API server died of, from the chain of exceptions that urllib3 and ssl raise."""

from __future__ import annotations

import socket
import ssl


def explain_failure(exc: BaseException, host: str, waited_s: float) -> tuple[str, str]:
    """What a connection died of, in one sentence, and its remedy."""
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

# SPDX-License-Identifier: GPL-3.0-or-later
# SPDX-FileCopyrightText: 2026 The orchestrator.platform authors
#
# Private to this collection: names and behaviour may change in any release.
"""Which kubeconfig is in question, and what is wrong with the file before anything is sent."""

from __future__ import annotations

import os
import pathlib
import typing as t

from ansible_collections.orchestrator.platform.plugins.module_utils._user_path import user_path


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
        return [str(user_path(str(given)))]
    if environ.get("K8S_AUTH_KUBECONFIG"):
        return [str(user_path(environ["K8S_AUTH_KUBECONFIG"]))]
    if environ.get("K8S_AUTH_HOST") or (environ.get("KUBERNETES_SERVICE_HOST") and not environ.get("KUBECONFIG")):
        return []
    if environ.get("KUBECONFIG"):
        return [str(user_path(path)) for path in environ["KUBECONFIG"].split(os.pathsep) if path]
    return [str(user_path("~/.kube/config"))]


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

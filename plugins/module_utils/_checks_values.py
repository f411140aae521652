# SPDX-License-Identifier: GPL-3.0-or-later
# SPDX-FileCopyrightText: 2026 The orchestrator.platform authors
#
# Private to this collection: names and behaviour may change in any release.
"""Family secret-scope: where else a value of ours stands. Pure; values are compared in memory and never leave it."""

from __future__ import annotations

import base64
from collections.abc import Iterable, Iterator

from ansible_collections.orchestrator.platform.plugins.module_utils._expectation import OurSecret
from ansible_collections.orchestrator.platform.plugins.module_utils._findings import (
    Catalogue,
    Result,
    about,
    decided,
    failed,
    passed,
    subject,
    unreadable,
    warned,
)
from ansible_collections.orchestrator.platform.plugins.module_utils._redact import secret_kind
from ansible_collections.orchestrator.platform.plugins.module_utils._snapshot import View
from ansible_collections.orchestrator.platform.plugins.module_utils._values import (
    MIN_SEARCHED,
    Known,
    Missing,
    our_values,
)
from ansible_collections.orchestrator.platform.plugins.module_utils._workloads import Obj, containers_of

CATALOGUE = Catalogue()
check = CATALOGUE.add

# Webhooks are chosen by workloads, and pods by their annotations.
_NEEDS = ("secrets", "configmaps", "deployments", "statefulsets", "daemonsets", "cronjobs", "jobs", "pods")


def _is_bots(view: View, item: OurSecret) -> bool:
    return item.reserved and item.namespace == view.expect.monitor_namespace


def _not_compared(rows: Iterable[Missing]) -> Iterator[Result]:
    for row in rows:
        who = subject("Secret", row.namespace, row.name)
        yield unreadable(who, f"copies of the {row.secret.what} were not looked for: {row.reason}")


@check(
    "secret-scope/bot-token-namespace",
    title="The bot's credentials are in no namespace where agents run",
    scope="agents",
    needs=_NEEDS,
    protects="the token in the hands of whoever may create pods beside the agents: they can read every Secret there",
    decided="No agent namespace is the monitor's; none holds a Secret of the name of one of the bot's, or the token or "
    "the API's credential in a value. Where the token cannot be compared, a key of the bot's name is a warning.",
    mend="Delete the copy and rotate the token; keep bot and agents in different namespaces.",
)
def bot_token_namespace(view: View, namespace: str) -> Iterator[Result]:
    """Look for name and value; a key alone says little, since other programs call theirs BOT_TOKEN too."""
    where = subject("Namespace", namespace, namespace)
    if namespace == view.expect.monitor_namespace:
        yield failed(where, "agents and bot share this namespace")
        return
    values = our_values(view)
    known = [item for item in values.known if _is_bots(view, item.secret)]
    missing = [item for item in values.missing if _is_bots(view, item.secret)]
    rows = list(_bots_copies(view, namespace, known))
    yield from rows
    yield from _not_compared(missing)
    if not rows and not missing:
        yield passed(where)


def _bots_copies(view: View, namespace: str, known: list[Known]) -> Iterator[Result]:
    expect = view.expect
    bots = [item for item in view.described if _is_bots(view, item)]
    compared = any(item.name == expect.bot_secret for item in known)
    for secret in view.objects("secrets", namespace):
        name, data = secret["metadata"]["name"], secret.get("data") or {}
        who = subject("Secret", namespace, name)
        held = _held(view, namespace, secret, known)
        if any(item.name == name for item in bots):
            yield failed(who, "it has the name of the bot's Secret")
        elif held:
            yield failed(who, f"it holds the {', the '.join(held)}")
        elif not compared and expect.bot_expected and expect.bot_key in data:
            yield warned(who, f"it has the key {expect.bot_key}, and the token is not there to compare with")


def _held(view: View, namespace: str, secret: Obj, known: Iterable[Known]) -> list[str]:
    """What of these a Secret holds, in the order of the known."""
    name = secret["metadata"]["name"]
    texts = [view.secret_value(namespace, name, key) or "" for key in secret.get("data") or {}]
    return list(dict.fromkeys(item.what for item in known if any(item.is_in(text) for text in texts)))


@check(
    "secret-scope/value-copies",
    title="No other Secret holds a value of ours",
    scope="all",
    needs=_NEEDS,
    protects="a token or webhook URL under a name that no other check knows, and that no rotation reaches",
    decided="The values of all Secrets in view are searched for those of our Secrets: tokens, webhook URLs, keys. "
    "Values are compared in memory. A value that two Secrets of one purpose share is no copy. The bot's credentials "
    "beside agents are the matter of secret-scope/bot-token-namespace; an encoded copy is not seen.",
    mend="Delete the copy and rotate the value; where a workload needs it, name the Secret by annotation.",
)
def value_copies(view: View, namespace: str) -> Iterator[Result]:
    """Compare every value with ours; shown are names alone."""
    values = our_values(view)
    agents = namespace in view.expect.agent_namespaces
    for secret in view.objects("secrets", namespace):
        name = secret["metadata"]["name"]
        own = view.our_secret(namespace, name)
        others = [
            item
            for item in values.known
            if (item.namespace, item.name) != (namespace, name)
            and not (own is not None and own.what == item.secret.what)
            and not (agents and _is_bots(view, item.secret))
        ]
        held = _held(view, namespace, secret, others)
        yield decided(subject("Secret", namespace, name), f"it holds the {', the '.join(held)}" if held else None)
    yield from _not_compared(item for item in values.missing if item.namespace == namespace)


@check(
    "secret-scope/configmap-values",
    title="No ConfigMap, literal variable or argument holds a token or webhook URL",
    scope="all",
    needs=_NEEDS,
    protects="credentials in objects that anybody with view rights reads and that end up in Git and backups",
    decided="ConfigMaps, binary data too, and literal env values, commands and arguments are searched for the values "
    "of our Secrets and for text of their shape.",
    mend="Move the value into the Secret, then rotate it: it has to count as known.",
)
def configmap_values(view: View, namespace: str) -> Iterator[Result]:
    """Search values; only the place and the kind of what was found are shown."""
    values = our_values(view)
    known = [item for item in values.known if len(item.value) >= MIN_SEARCHED]
    for config_map in view.objects("configmaps", namespace):
        who = subject("ConfigMap", namespace, config_map["metadata"]["name"])
        texts = {**(config_map.get("data") or {}), **_decoded(config_map.get("binaryData") or {})}
        hits = [f"key {key} holds a {kind}" for key, kind in _secret_texts(texts, known)]
        yield decided(who, "; ".join(hits) or None)
    for bearer in view.bearers(namespace):
        hits = []
        for place, container in containers_of(bearer.spec):
            literals = {item.get("name", "?"): item.get("value") or "" for item in container.get("env") or []}
            words = {
                f"{key} {at}": word for key in ("command", "args") for at, word in enumerate(container.get(key) or [])
            }
            literals = {**{f"env {name}": value for name, value in literals.items()}, **words}
            hits += [
                f"{place}/{container['name']} {what} holds a {kind}" for what, kind in _secret_texts(literals, known)
            ]
        yield decided(about(bearer), "; ".join(hits) or None)
    # Without the value the search went by shape alone.
    yield from _not_compared(item for item in values.missing if item.namespace == namespace)


def _decoded(values: dict[str, str]) -> dict[str, str]:
    """The bytes of binaryData as far as they are text."""
    return {key: base64.b64decode(value).decode("utf-8", "replace") for key, value in values.items()}


def _secret_texts(values: dict[str, str], known: list[Known]) -> Iterator[tuple[str, str]]:
    for key, text in values.items():
        kind = next((item.what for item in known if item.is_in(text)), None) or secret_kind(text)
        if kind is not None:
            yield key, kind

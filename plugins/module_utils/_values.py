# SPDX-License-Identifier: GPL-3.0-or-later
# SPDX-FileCopyrightText: 2026 The orchestrator.platform authors
#
# Private to this collection: names and behaviour may change in any release.
"""The values in the Secrets of the platform, for comparison in memory only: no value leaves a check. Pure."""

from __future__ import annotations

import typing as t
from collections.abc import Iterator

from ansible_collections.orchestrator.platform.plugins.module_utils._expectation import Key, OurSecret
from ansible_collections.orchestrator.platform.plugins.module_utils._snapshot import UnreadableError, View
from ansible_collections.orchestrator.platform.plugins.module_utils._workloads import dig

# Shorter values are not searched for inside of others: they would be found by accident.
MIN_SEARCHED = 8


class Known(t.NamedTuple):
    """Whose value it is; the repr leaves the value out."""

    secret: OurSecret
    namespace: str
    name: str
    what: str
    value: str

    def __repr__(self) -> str:
        return f"Known({self.namespace}/{self.name}, {self.what})"

    def is_in(self, text: str) -> bool:
        """Whether a text holds it: also with a newline, in JSON or in a file of settings."""
        return self.value in text if len(self.value) >= MIN_SEARCHED else self.value == text.strip()


class Missing(t.NamedTuple):
    """A value that nothing can be compared with."""

    secret: OurSecret
    namespace: str
    name: str
    reason: str


class Values(t.NamedTuple):
    """What is known, and what is not."""

    known: tuple[Known, ...]
    missing: tuple[Missing, ...]


def our_values(view: View) -> Values:
    """Every value of every Secret of ours in the namespaces in view."""
    known: list[Known] = []
    missing: list[Missing] = []
    for namespace in view.expect.namespaces():
        for item in _of_namespace(view, namespace):
            if isinstance(item, Known):
                known.append(item)
            else:
                missing.append(item)
    return Values(tuple(known), tuple(missing))


def _of_namespace(view: View, namespace: str) -> Iterator[Known | Missing]:
    described = [item for item in view.described if item.namespace == namespace]
    try:
        view.objects("secrets", namespace)
    except UnreadableError as exc:
        chosen = [view.our_secret(namespace, name) for name in view.webhook_names(namespace)]
        wanted = (item for item in (*described, *chosen) if item is not None and item.expected)
        yield from (Missing(item, namespace, item.name, str(exc)) for item in wanted)
        return
    for item in described:
        names = [item.name] if not item.is_pattern else []
        names += [name for name in view.our_secrets(namespace) if item.is_pattern and item.names(namespace, name)]
        for name in names:
            yield from _of_secret(view, item, namespace, name)
    for name, key in _webhooks(view, namespace):
        webhook = view.our_secret(namespace, name)
        if webhook is not None:
            yield from _of_secret(view, webhook._replace(keys=(Key(key, webhook.what),)), namespace, name)
    for item in view.input_secrets(namespace):
        yield from _of_secret(view, item, namespace, item.name)


def _webhooks(view: View, namespace: str) -> list[tuple[str, str]]:
    if namespace not in view.expect.agent_namespaces:
        return []
    read = view.webhooks_read(namespace)
    names = {name for name, _key in read}
    # The chart's own is looked at also where every workload has another one.
    more = [(name, view.webhook_key()) for name in view.webhook_names(namespace) if name not in names]
    return [*read, *(pair for pair in more if view.find("secrets", namespace, pair[0]) is not None)]


def _of_secret(view: View, item: OurSecret, namespace: str, name: str) -> Iterator[Known | Missing]:
    found = view.find("secrets", namespace, name)
    if found is None:
        if item.expected:
            yield Missing(item, namespace, name, f"there is no Secret {name} in {namespace}")
        return
    keys = item.keys or tuple(Key(key, item.what) for key in dig(found, "data") or {})
    for key in keys:
        value = (view.secret_value(namespace, name, key.name) or "").strip()
        if value:
            yield Known(item, namespace, name, key.what, value)
        elif key.required and item.expected:
            yield Missing(item, namespace, name, f"Secret {name} in {namespace} has no value under {key.name}")

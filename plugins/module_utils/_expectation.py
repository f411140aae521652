# SPDX-License-Identifier: GPL-3.0-or-later
# SPDX-FileCopyrightText: 2026 The orchestrator.platform authors
#
# Private to this collection: names and behaviour may change in any release.
"""What the user says belongs to the platform: namespaces, workloads with a sidecar, Secrets and their readers. Pure.

Every Secret of the platform is one entry of one list; checks and matrix follow from the entries and know no name.
The webhooks' Secrets are chosen by workloads, so _snapshot.py adds them to the list.
"""

from __future__ import annotations

import fnmatch
import types
import typing as t

from ansible_collections.orchestrator.platform.plugins.module_utils._errors import PlatformError
from ansible_collections.orchestrator.platform.plugins.module_utils._overrides import NONE, Overrides
from ansible_collections.orchestrator.platform.plugins.module_utils._secret_paths import DIRECT
from ansible_collections.orchestrator.platform.plugins.module_utils._workloads import Json, Obj

BOT = "bot"
LABEL_INSTANCE = "app.kubernetes.io/instance"
LABEL_COMPONENT = "app.kubernetes.io/component"
BOT_TOKEN = "bot token"  # noqa: S105 (what it is)
API_TOKEN = "bot's API token"  # noqa: S105 (what it is)
INPUT_KEY = "key of the input credentials"
WEBHOOK = "webhook URL"
INPUT_CREDENTIAL = "input credential"


class Allowed(t.NamedTuple):
    """Rights that the user knows of: `subject` is a glob, `namespace/name` or `group:NAME`.

    No checks means all, no namespaces means rights everywhere; else rights in these alone.
    """

    subject: str
    checks: tuple[str, ...] = ()
    namespaces: tuple[str, ...] = ()


class Key(t.NamedTuple):
    """One value in a Secret of ours."""

    name: str
    what: str
    required: bool = True  # False: the platform works without it, so that its absence tells nothing


class Reader(t.NamedTuple):
    """Containers that may read a Secret, by one way; of the pods and workloads with all of these labels."""

    container: str  # a glob
    path: str = "env"
    labels: t.Mapping[str, str] = types.MappingProxyType({})
    required: bool = False  # whether it is a finding, too, when such a container does not refer to the Secret


class OurSecret(t.NamedTuple):
    """A Secret of the platform; a name with * or ? stands for every Secret of the namespace that it matches."""

    namespace: str
    name: str
    what: str
    keys: tuple[Key, ...] = ()  # none: every key of it holds a value that is to stand nowhere else
    readers: tuple[Reader, ...] = ()
    accounts: tuple[str, ...] = ()  # globs, namespace/name of ServiceAccounts that may read it through the API
    expected: bool = True  # whether it is to be there
    reserved: bool = False  # whether a Secret of this name in another namespace counts as ours, too
    opaque: bool = False  # whether its type is to be Opaque

    @property
    def is_pattern(self) -> bool:
        """Whether the name stands for any number of Secrets, also for none."""
        return any(sign in self.name for sign in "*?[")

    def names(self, namespace: str, name: str) -> bool:
        """Whether it is meant by a reference to this name in this namespace."""
        if self.namespace == namespace:
            return fnmatch.fnmatchcase(name, self.name)
        return self.reserved and name == self.name


class Target(t.NamedTuple):
    """Workloads that are to hold a sidecar, as one run of module sidecar selects them, and what it was given."""

    kinds: tuple[str, ...] = ("Deployment",)
    namespaces: tuple[str, ...] = ()  # none: every agent namespace
    names: tuple[str, ...] = ()
    labels: str = ""
    fields: str = ""
    overrides: Overrides = NONE
    present: bool = True  # False: that run removes the sidecar

    def __str__(self) -> str:
        """`Deployment, labels app=coder, names a, b`."""
        parts = [", ".join(self.kinds)]
        parts += [f"labels {self.labels}"] if self.labels else []
        parts += [f"fields {self.fields}"] if self.fields else []
        parts += [f"names {', '.join(self.names)}"] if self.names else []
        return ", ".join(parts)


class Orchestrator(t.NamedTuple):
    """What the user says about the orchestrator's release."""

    namespace: str
    release: str
    fullname: str
    definitions: tuple[Obj, ...] = ()  # the CRDs as delivered; none where they are not ours to judge


class Expectation(t.NamedTuple):
    """What the user says belongs to the platform."""

    monitor_namespace: str
    agent_namespaces: tuple[str, ...]
    release: str
    fullname: str
    snippet_name: str
    bot_secret: str
    bot_key: str
    webhook_secret: str
    targets: tuple[Target, ...] = (Target(),)
    watcher_resources: t.Mapping[str, Obj] = types.MappingProxyType({})
    bot_expected: bool = True  # False: the chart's bot is off; one that is there is judged all the same
    rbac_allowed: tuple[Allowed, ...] = ()
    bot_api_secret: str = ""  # empty: the credential of the bot's API is a key of the bot's Secret
    bot_api_key: str = "BOT_API_TOKEN"
    more_secrets: tuple[OurSecret, ...] = ()
    orchestrator: Orchestrator | None = None  # None: none is expected

    def namespaces(self) -> tuple[str, ...]:
        """All namespaces in view, each once, the monitor's first."""
        others = (item.namespace for item in self.more_secrets)
        return tuple(dict.fromkeys((self.monitor_namespace, *self.agent_namespaces, *others)))

    def orchestrator_namespaces(self) -> tuple[str, ...]:
        """The orchestrator's namespace, nothing where none is expected."""
        return () if self.orchestrator is None else (self.orchestrator.namespace,)

    def secrets(self) -> tuple[OurSecret, ...]:
        """The Secrets whose names are known beforehand; where two entries fit, the first one counts."""
        labels = {LABEL_COMPONENT: BOT, LABEL_INSTANCE: self.release}
        bot = OurSecret(
            self.monitor_namespace,
            self.bot_secret,
            BOT_TOKEN,
            keys=(Key(self.bot_key, BOT_TOKEN), Key("BOT_INPUT_KEY", INPUT_KEY, required=False)),
            readers=(Reader(BOT, labels=labels, required=True),),
            expected=self.bot_expected,
            reserved=True,
            opaque=True,
        )
        if self.bot_api_secret in ("", self.bot_secret):
            api = Key(self.bot_api_key, API_TOKEN, required=False)
            return (bot._replace(keys=(*bot.keys, api)), *self.more_secrets)
        own = bot._replace(name=self.bot_api_secret, what=API_TOKEN, keys=(Key(self.bot_api_key, API_TOKEN),))
        return (bot, own, *self.more_secrets)


def parse_secrets(entries: list[Json]) -> tuple[OurSecret, ...]:
    """The module's option; raises PlatformError naming the entry and how to mend it."""
    return tuple(_secret(entry, f"secrets[{at}]") for at, entry in enumerate(entries))


def _secret(entry: Obj, place: str) -> OurSecret:
    for field in ("namespace", "name"):
        if not entry[field].strip():
            raise PlatformError(f"{place}.{field} is empty: name it, or leave the entry out.")
    what = entry["description"] or f"Secret {entry['name']}"
    return OurSecret(
        entry["namespace"],
        entry["name"],
        what,
        keys=tuple(Key(name, what) for name in entry["keys"]),
        readers=tuple(_reader(item, f"{place}.readers[{at}]") for at, item in enumerate(entry["readers"])),
        accounts=tuple(entry["accounts"]),
        expected=entry["expected"],
    )


def _reader(entry: Obj, place: str) -> Reader:
    if entry["path"] not in DIRECT:
        raise PlatformError(f"{place}.path is {entry['path']!r}, it has to be one of {', '.join(DIRECT)}.")
    labels = {str(key): str(value) for key, value in (entry["labels"] or {}).items()}
    return Reader(entry["container"], entry["path"], labels, entry["required"])

# SPDX-License-Identifier: GPL-3.0-or-later
# SPDX-FileCopyrightText: 2026 The orchestrator.platform authors
#
# Private to this collection: names and behaviour may change in any release.
"""Manifests as text: YAML as Kubernetes reads it, with the line of each object; and back. Pure.

PyYAML reads and writes YAML 1.1 with extras that Kubernetes does not know: dates, which stay text here, and plain texts
such as `1e3` or `y`, which another parser would take for a number or a truth value, and so are quoted.
"""

from __future__ import annotations

import functools
import re
import typing as t
from collections.abc import Iterator

from ansible_collections.orchestrator.platform.plugins.module_utils._errors import ManifestError
from ansible_collections.orchestrator.platform.plugins.module_utils._workloads import Foreign, Json, Obj

# What some YAML parser takes for something else than text: numbers of YAML 1.1 and 1.2, truth values, dates.
_AMBIGUOUS = re.compile(
    r"[-+]?[.\d][\d_.:]*([eE][-+]?\d+)?|0[xob][\da-fA-F_]+|[-+]?\.(inf|Inf|INF)|\.(nan|NaN|NAN)"
    r"|[yYnN]|yes|no|on|off|true|false|null|~|\d{4}-\d\d?-\d\d?.*",
    re.IGNORECASE,
)


class Located(t.NamedTuple):
    """An object of a text, and the line on which it begins, counted from 1."""

    obj: Obj
    line: int


def _style(text: str) -> str | None:
    # Unicode's own line ends would be folded in any other style.
    if not all(letter.isprintable() or letter == "\n" for letter in text):
        return '"'
    if "\n" in text:
        return "|"
    return "'" if _AMBIGUOUS.fullmatch(text) else None


@functools.cache
def _yaml() -> tuple[Foreign, Foreign, Foreign]:
    import yaml

    class Loader(getattr(yaml, "CSafeLoader", yaml.SafeLoader)):  # type: ignore[misc]
        """Without dates and without the value `=`, which are texts to Kubernetes."""

    Loader.yaml_implicit_resolvers = {
        first: [entry for entry in entries if not entry[0].endswith((":timestamp", ":value"))]
        for first, entries in yaml.SafeLoader.yaml_implicit_resolvers.items()
    }

    class Dumper(yaml.SafeDumper):
        """Without anchors, with lists indented and long texts as blocks."""

        def ignore_aliases(self, data: Json) -> bool:  # noqa: ARG002
            return True

        def increase_indent(self, flow: bool = False, indentless: bool = False) -> Foreign:  # noqa: ARG002, FBT001, FBT002
            return super().increase_indent(flow, False)  # noqa: FBT003

    def show_text(dumper: Foreign, text: str) -> Foreign:
        return dumper.represent_scalar("tag:yaml.org,2002:str", text, style=_style(text))

    Dumper.add_representer(str, show_text)
    return yaml, Loader, Dumper


def read_text(text: str, source: str = "The text") -> list[Located]:
    """The documents of a text, empty ones left out; raises ManifestError with the line where it is not YAML."""
    yaml, loader_class, _dumper = _yaml()
    loader = loader_class(text)
    found: list[Located] = []
    try:
        while loader.check_node():
            node = loader.get_node()
            obj = loader.construct_document(node)
            if obj is not None:
                found.append(Located(obj, node.start_mark.line + 1))
    except (yaml.YAMLError, ValueError, RecursionError) as exc:
        mark = getattr(exc, "problem_mark", None)
        where = f"{source}, line {mark.line + 1}" if mark is not None else source
        why = getattr(exc, "problem", None) or type(exc).__name__
        raise ManifestError(f"{where} is not YAML ({why}): correct it.") from exc
    finally:
        loader.dispose()
    return found


def locate_objects(text: str, source: str = "The text") -> Iterator[Located]:
    """Every object of a text, those inside of lists with their own lines; raises ManifestError."""
    lines = _item_lines(text)
    for at, (document, line) in enumerate(read_text(text, source)):
        if not isinstance(document, dict):
            raise ManifestError(f"{source}, line {line}: the document is no Kubernetes object but a {_kind(document)}.")
        if is_list(document):
            inner = lines.get(at, [])
            for number, item in enumerate(document["items"]):
                yield Located(item, inner[number] if number < len(inner) else line)
        else:
            yield Located(document, line)


def _item_lines(text: str) -> dict[int, list[int]]:
    """By number of the document the lines of the entries of its `items`."""
    _module, loader_class, _dumper = _yaml()
    loader = loader_class(text)
    found: dict[int, list[int]] = {}
    number = 0
    try:
        while loader.check_node():
            node = loader.get_node()
            if node.tag == "tag:yaml.org,2002:null":
                continue
            for key, value in node.value if node.id == "mapping" else []:
                if key.value == "items" and value.id == "sequence":
                    found[number] = [item.start_mark.line + 1 for item in value.value]
            number += 1
    except _module.YAMLError:
        return {}  # whoever reads the documents says what is wrong
    finally:
        loader.dispose()
    return found


def _kind(document: Json) -> str:
    return {"list": "list", "str": "text"}.get(type(document).__name__, "value")


def is_list(obj: Json) -> bool:
    """Whether an object holds others, as kubectl writes them."""
    kind = obj.get("kind") if isinstance(obj, dict) else None
    return isinstance(kind, str) and kind.endswith("List") and isinstance(obj.get("items"), list)


def write_text(documents: list[Json]) -> str:
    """The documents as YAML, with a line --- between them."""
    yaml, _loader, dumper = _yaml()
    return str(
        yaml.dump_all(
            documents, Dumper=dumper, sort_keys=False, allow_unicode=True, width=4096, explicit_start=len(documents) > 1
        )
    )

# SPDX-License-Identifier: GPL-3.0-or-later
# SPDX-FileCopyrightText: 2026 The orchestrator.platform authors
#
# Private to this collection: names and behaviour may change in any release.
"""Lists of mappings that a user wrote, from YAML text or inline, each with the place to name in a sentence. Pure."""

from __future__ import annotations

import difflib
import types
import typing as t
from collections.abc import Iterable, Mapping

from ansible_collections.orchestrator.platform.plugins.module_utils._errors import PlatformError
from ansible_collections.orchestrator.platform.plugins.module_utils._workloads import Foreign, Json

MAX_TEXT = 1_000_000  # characters of one file; arbitrary, far above what people write


class Entry(t.NamedTuple):
    """One mapping and where it stands."""

    values: Mapping[str, Json]
    source: str  # file name, or "rules[2]" where it stands in a variable
    line: int = 0  # of its beginning; 0 where it has none
    lines: Mapping[str, int] = types.MappingProxyType({})  # key -> line of its value

    def at(self, key: str = "") -> str:
        """`rules.yml line 12`, of one key's value where one is named."""
        line = self.lines.get(key, self.line)
        return f"{self.source} line {line}" if line else self.source


def entries_of_text(text: str, source: str) -> list[Entry]:
    """The entries of a YAML list of mappings; raises PlatformError with file and line."""
    # A requirement of the module, imported late so that a Python without it gets a sentence and not a traceback.
    import yaml

    if len(text) > MAX_TEXT:
        raise PlatformError(f"{source} has more than {MAX_TEXT} characters: that is no list of rules or suppressions.")
    try:
        root = yaml.compose(text, Loader=yaml.SafeLoader)
        if root is None:
            return []
        if not isinstance(root, yaml.SequenceNode):
            raise PlatformError(f"{source} line {_line(root)}: a list is expected, each item beginning with a dash.")
        return [_entry(node, source) for node in root.value]
    except RecursionError as exc:
        raise PlatformError(
            f"{source} is nested too deeply to be read: a list of mappings of texts is expected."
        ) from exc
    except yaml.YAMLError as exc:
        mark = getattr(exc, "problem_mark", None)
        place = f"{source} line {mark.line + 1}" if mark else source
        raise PlatformError(f"{place} is not YAML: {getattr(exc, 'problem', None) or 'it cannot be read'}.") from exc


def inline_entries(values: Iterable[tuple[int, Json]], option: str) -> list[Entry]:
    """The entries of a variable, each with its number in it; raises PlatformError on what is no mapping."""
    entries = []
    for number, value in values:
        if not isinstance(value, dict):
            raise PlatformError(f"{option}[{number}] is {_shape(value)}: give the path of a file, or a mapping.")
        entries.append(Entry(value, f"{option}[{number}]"))
    return entries


def demand(entry: Entry, *, required: Iterable[str], optional: Iterable[str]) -> None:
    """Every required key, as a text that is not empty; no unknown key. Raises PlatformError, the place named."""
    required, known = list(required), [*required, *optional]
    for key in entry.values:
        if key not in known:
            close = difflib.get_close_matches(str(key), known, n=1)
            mend = f"did you mean {close[0]}?" if close else f"known are {', '.join(known)}."
            raise PlatformError(f"{entry.at(str(key))}: unknown key {str(key)[:60]!r}; {mend}")
    for key in required:
        if key not in entry.values:
            raise PlatformError(f"{entry.at()}: the key {key} is missing.")
    for key in known:
        value = entry.values.get(key, "x")
        if not isinstance(value, str) or not value.strip():
            shown = "empty" if isinstance(value, str) else _shape(value)
            raise PlatformError(f"{entry.at(key)}: {key} is {shown}: a text is expected, in quotes if need be.")


def _entry(node: Foreign, source: str) -> Entry:
    import yaml

    if not isinstance(node, yaml.MappingNode):
        raise PlatformError(f"{source} line {_line(node)}: an item of the list is no mapping: write key: value.")
    lines: dict[str, int] = {}
    for key, value in node.value:
        if not isinstance(key, yaml.ScalarNode):
            raise PlatformError(
                f"{source} line {_line(key)}: {_shape(key)} stands where a key is expected: write key: value."
            )
        if key.value in lines:
            raise PlatformError(f"{source} line {_line(key)}: the key {str(key.value)[:60]} stands there twice.")
        lines[str(key.value)] = _line(value)
    # Scalars stay the text that was written: a date need not become a date, nor `on` a boolean.
    values = {str(key.value): value.value if isinstance(value, yaml.ScalarNode) else value for key, value in node.value}
    return Entry(values, source, _line(node), lines)


def _line(node: Foreign) -> int:
    return int(node.start_mark.line) + 1


def _shape(value: Json) -> str:
    names = {"MappingNode": "a mapping", "SequenceNode": "a list", "dict": "a mapping", "list": "a list"}
    names |= {"NoneType": "empty", "bool": "true or false", "int": "a number", "float": "a number", "str": "a text"}
    return names.get(type(value).__name__, type(value).__name__)

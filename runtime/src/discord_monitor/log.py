# SPDX-License-Identifier: GPL-3.0-or-later
# SPDX-FileCopyrightText: 2026 The orchestrator.platform authors
"""Log lines: one JSON object a line on stderr, configured secrets and known token shapes redacted.

Not the standard logging module: it costs a megabyte, and every line has to pass through one redaction anyway.
"""

from __future__ import annotations

import json
import sys
import threading
import time
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from types import TracebackType

SEVERITIES = {"debug": 10, "info": 20, "warning": 30, "error": 40}
MAX_TEXT = 4_000  # characters of one field; a traceback longer than that keeps its end (arbitrary)


class Log:
    """Writes lines of one program. `redact` is applied to every text, tracebacks too."""

    def __init__(self, program: str, *, threshold: str, redact: Callable[[str], str]) -> None:
        self._program = program
        self._threshold = SEVERITIES[threshold]
        self._redact = redact

    def debug(self, event: str, **fields: object) -> None:
        """A detail for developers."""
        self._write("debug", event, fields)

    def info(self, event: str, **fields: object) -> None:
        """Something expected happened."""
        self._write("info", event, fields)

    def warning(self, event: str, **fields: object) -> None:
        """Something is not as configured or not as it should be; the program goes on."""
        self._write("warning", event, fields)

    def error(self, event: str, **fields: object) -> None:
        """Something failed and will not mend itself."""
        self._write("error", event, fields)

    def crash(self, event: str, exc: BaseException) -> None:
        """An unexpected exception with its redacted traceback."""
        import traceback  # noqa: PLC0415 - 0.3 MiB that a watcher in good health does not need

        text = "".join(traceback.format_exception(exc))
        self._write("error", event, {"traceback": text[-MAX_TEXT:]})

    def _write(self, severity: str, event: str, fields: Mapping[str, object]) -> None:
        if SEVERITIES[severity] < self._threshold:
            return
        now = time.time()
        stamp = time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(now)) + f".{int(now * 1000) % 1000:03d}Z"
        row: dict[str, object] = {"time": stamp, "severity": severity, "program": self._program}
        row["event"] = self._redact(event)
        for name, value in fields.items():
            plain = value is None or isinstance(value, (bool, int, float))
            row[name] = value if plain else self._redact(str(value)[:MAX_TEXT])
        sys.stderr.write(json.dumps(row, ensure_ascii=False) + "\n")
        sys.stderr.flush()

    def catch_strays(self) -> None:
        """Send uncaught exceptions of all threads through the redaction, not to the bare interpreter's printer."""

        def stray(kind: type[BaseException], exc: BaseException, tb: TracebackType | None) -> None:  # noqa: ARG001
            self.crash("the program failed", exc)

        def stray_in_thread(args: threading.ExceptHookArgs) -> None:
            if args.exc_value is not None:
                self.crash("a thread failed", args.exc_value)

        sys.excepthook = stray
        threading.excepthook = stray_in_thread

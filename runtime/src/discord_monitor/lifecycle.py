# SPDX-License-Identifier: GPL-3.0-or-later
# SPDX-FileCopyrightText: 2026 The orchestrator.platform authors
"""How a program ends: SIGTERM and SIGINT become a flag and a readable pipe.

Imported before everything else, so that a pod that ends while we start is not kept waiting for its whole grace
period: process 1 without a handler ignores SIGTERM. Hence only cheap imports here.
"""

from __future__ import annotations

import os
import select
import signal
import time


class Stop:
    """The wish to end. `wait` sleeps and wakes at once when the wish comes; any number of threads may wait.

    A pipe instead of threading.Event: a signal handler runs between two instructions of the main thread, and
    Event.set() would dead-lock there when that thread is inside Event.wait().
    """

    def __init__(self) -> None:
        self._read_end, self._write_end = os.pipe()
        os.set_blocking(self._write_end, False)
        self.requested = False
        self.requested_at = 0.0

    def request(self) -> None:
        """Ask for the end; a second call changes nothing."""
        if not self.requested:
            self.requested_at = time.monotonic()
            self.requested = True
            os.write(self._write_end, b"x")

    def wait(self, seconds: float) -> bool:
        """Sleep up to `seconds`; True when the end was asked for."""
        if not self.requested:
            select.select([self._read_end], [], [], max(0.0, seconds))
        return self.requested


def stop_on_signals() -> Stop:
    """Install the handlers and return the flag they set. To be called first of all, from the main thread."""
    stop = Stop()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda _number, _frame: stop.request())
    return stop

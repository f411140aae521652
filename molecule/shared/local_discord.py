# SPDX-License-Identifier: GPL-3.0-or-later
# SPDX-FileCopyrightText: 2026 The orchestrator.platform authors
"""The fake Discord on loopback in this process, for what asks it from the control node."""

from __future__ import annotations

import contextlib
import hashlib
import threading
from collections.abc import Iterator

from platform_demo.fake_discord import FakeDiscord, make_server


@contextlib.contextmanager
def local_discord(bot_token: str) -> Iterator[tuple[FakeDiscord, str]]:
    """The fake, and the root of its API; it accepts this bot token and no other."""
    fake = FakeDiscord(bucket=None, bot_token_sha256=hashlib.sha256(bot_token.encode()).hexdigest())
    server = make_server(0, fake, address="127.0.0.1")
    threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True).start()
    try:
        yield fake, f"http://127.0.0.1:{server.server_address[1]}/api/v10"
    finally:
        server.shutdown()
        server.server_close()

# SPDX-License-Identifier: GPL-3.0-or-later
# SPDX-FileCopyrightText: 2026 The orchestrator.platform authors
"""Makes the credential with which a bridge pulls the input of its agent's channel from the bot."""

from __future__ import annotations

import re
import typing as t

from ansible.errors import AnsibleFilterError
from ansible_collections.orchestrator.platform.plugins.module_utils import _credentials
from ansible_collections.orchestrator.platform.plugins.module_utils._errors import PlatformError

CHANNEL = re.compile(r"[0-9]{1,20}")


def input_credential(channel: object, key: object) -> str:
    """Return the credential of a channel. Raises AnsibleFilterError, without ever repeating the key."""
    text = str(channel)
    if isinstance(channel, bool) or not isinstance(channel, (str, int)) or not CHANNEL.fullmatch(text):
        message = "input_credential: the channel is the id of a Discord channel, a number of up to 20 digits"
        raise AnsibleFilterError(message)
    try:
        return _credentials.issue(_credentials.INPUT, text, key)
    except PlatformError as exc:
        message = f"input_credential: {exc}"
        raise AnsibleFilterError(message) from exc


class FilterModule:
    """The filter `orchestrator.platform.input_credential`."""

    def filters(self) -> dict[str, t.Callable[..., t.Any]]:
        """Map the name to the function."""
        return {"input_credential": input_credential}

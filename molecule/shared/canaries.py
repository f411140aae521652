# SPDX-License-Identifier: GPL-3.0-or-later
# SPDX-FileCopyrightText: 2026 The orchestrator.platform authors
"""Values that open nothing, searched for wherever a secret must not be."""

from __future__ import annotations

import base64


def disguises(value: str) -> list[str]:
    """The value as it could stand somewhere: as it is, as JSON text, in base64 at any alignment."""
    raw = value.encode()
    shifted = [base64.b64encode(b"\0" * shift + raw).decode()[4 * (shift > 0) :].rstrip("=")[:-2] for shift in range(3)]
    return [value, *shifted]


def assert_absent(values: dict[str, str], text: str, where: str) -> None:
    """None of the values, by name, is in the text. What is shown on failure is the name."""
    for name, value in values.items():
        assert not any(form in text for form in disguises(value)), f"the {name} stands in {where}"


def lines_of_key(private: str) -> dict[str, str]:
    """The lines of a private key, each a canary of its own: a text that escapes line breaks holds them all the same."""
    body = [line for line in private.splitlines() if "-----" not in line]
    # The first line of an Ed25519 key in OpenSSH's form is the same in all of them, and the last may be a few letters.
    return {f"line {number} of the private key": line for number, line in enumerate(body) if number and len(line) > 20}

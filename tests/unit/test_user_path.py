# SPDX-License-Identifier: GPL-3.0-or-later
# SPDX-FileCopyrightText: 2026 The orchestrator.platform authors
"""A home folder that nobody has is a file that is not there, told as such wherever a path is given (bad input)."""

from __future__ import annotations

from pathlib import Path

import pytest
from ansible_collections.orchestrator.platform.plugins.module_utils._archive import write_private
from ansible_collections.orchestrator.platform.plugins.module_utils._backing_up import load
from ansible_collections.orchestrator.platform.plugins.module_utils._errors import PlatformError
from ansible_collections.orchestrator.platform.plugins.module_utils._user_path import user_path

NOBODYS = "~nobody-has-this-name/x"


def test_home_of_the_user_and_of_nobody(monkeypatch):
    monkeypatch.setenv("HOME", "/somewhere")
    assert user_path("~/a") == Path("/somewhere/a")
    assert user_path("/b/~c") == Path("/b/~c")
    assert user_path(NOBODYS) == Path(NOBODYS)


def test_it_is_one_sentence():
    with pytest.raises(PlatformError, match=r"cannot be written to ~nobody-has-this-name/x \(No such file"):
        write_private(NOBODYS, b"", what="bundle")
    with pytest.raises(PlatformError, match=r"~nobody-has-this-name/x cannot be read \(No such file"):
        load(NOBODYS, None)

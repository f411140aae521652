# SPDX-License-Identifier: GPL-3.0-or-later
# SPDX-FileCopyrightText: 2026 The orchestrator.platform authors
"""The webhook over TLS: an authority we know is accepted, any other is refused (DM-203, DM-A28)."""

from __future__ import annotations

import shutil
import ssl
import subprocess

import pytest
from processes import TOKEN, Discord, wait_for


@pytest.fixture
def certificate(tmp_path):
    """A self-signed certificate for localhost and its key, in one file."""
    if shutil.which("openssl") is None:
        pytest.skip("needs the openssl command to make a certificate")
    path, key = tmp_path / "cert.pem", tmp_path / "key.pem"
    command = [
        "openssl",
        "req",
        "-x509",
        "-newkey",
        "ec",
        "-pkeyopt",
        "ec_paramgen_curve:prime256v1",
        "-nodes",
        "-days",
        "2",
    ]
    command += [
        "-subj",
        "/CN=localhost",
        "-addext",
        "subjectAltName=DNS:localhost",
        "-keyout",
        str(key),
        "-out",
        str(path),
    ]
    subprocess.run(command, check=True, capture_output=True)
    return path, key


@pytest.fixture
def discord(certificate):
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(*certificate)
    server = Discord(tls=context)
    yield server
    server.close()


def test_known_authority_is_accepted(watch, session, discord, certificate):
    watch(webhook_url=f"https://localhost:{discord.port}/api/v10/webhooks/1/{TOKEN}", SSL_CERT_FILE=str(certificate[0]))
    session.say("one")
    wait_for(lambda: discord.has("one"), what="it arrives over TLS")
    session.say("two")
    wait_for(lambda: discord.has("two"), what="the kept connection is used again")


@pytest.mark.parametrize("host", ["localhost", "127.0.0.1"])
def test_unknown_authority_or_wrong_name_is_refused(watch, session, discord, certificate, host):
    env = {} if host == "localhost" else {"SSL_CERT_FILE": str(certificate[0])}
    watcher = watch(webhook_url=f"https://{host}:{discord.port}/api/v10/webhooks/1/{TOKEN}", **env)
    session.say("one")
    wait_for(lambda: watcher.health()[1].get("webhook") == "failing", what="the failure shows")
    assert "certificate not accepted" in watcher.health()[1]["reason"]
    assert discord.messages() == []

# SPDX-License-Identifier: GPL-3.0-or-later
# SPDX-FileCopyrightText: 2026 The orchestrator.platform authors
"""Forms of secrets: SSH keys made in the test, tokens of no account (OR-284, OR-286, issue 6.4)."""

from __future__ import annotations

import shutil
import subprocess

import pytest
from ansible_collections.orchestrator.platform.plugins.module_utils import _ssh_keys as keys
from ansible_collections.orchestrator.platform.plugins.module_utils._secret_forms import (
    form_problem,
    form_warning,
    normal,
    pair_problem,
)
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa
from hypothesis import given
from hypothesis import strategies as st


def private_pem(key, form: str = "OpenSSH", passphrase: bytes = b"") -> bytes:
    lock = serialization.BestAvailableEncryption(passphrase) if passphrase else serialization.NoEncryption()
    return key.private_bytes(serialization.Encoding.PEM, getattr(serialization.PrivateFormat, form), lock)


RSA = rsa.generate_private_key(public_exponent=65537, key_size=2048)
ED = ed25519.Ed25519PrivateKey.generate()


@pytest.mark.parametrize(
    "text",
    [
        private_pem(ED),
        private_pem(ED, "PKCS8"),
        private_pem(RSA),
        private_pem(RSA, "TraditionalOpenSSL"),
        private_pem(ec.generate_private_key(ec.SECP256R1())),
    ],
    ids=["ed25519", "ed25519-pkcs8", "rsa", "rsa-pem", "ecdsa"],
)
def test_every_usual_private_key_is_read(text):
    assert form_problem("ssh_private_key", text, "K") == ""
    assert form_problem("ssh_public_key", keys.public_of(text).encode(), "K") == ""


@pytest.mark.parametrize(
    ("text", "said"),
    [
        (private_pem(RSA, "TraditionalOpenSSL", b"canary"), "K is protected by a passphrase"),
        (private_pem(RSA, "PKCS8", b"canary"), "K is protected by a passphrase"),
        (b"ssh-ed25519 AAAA coder", "K is a public key: give the private one"),
        (b"PuTTY-User-Key-File-3: ssh-ed25519\n", "K is a key of PuTTY"),
        (b"canary", "K is not an SSH private key"),
        (private_pem(ED)[:120], "K cannot be read as an SSH private key"),
        (private_pem(ED).replace(b"b3BlbnNz", b"canaryca"), "K cannot be read as an SSH private key"),
    ],
)
def test_what_is_no_usable_private_key_is_told(text, said):
    """OR-286: one sentence with the remedy, and nothing of the key in it."""
    told = form_problem("ssh_private_key", text, "K")
    assert told.startswith(said)
    assert "canary" not in told
    assert "\n" not in told


@pytest.mark.parametrize(
    ("text", "said"),
    [
        (private_pem(ED), "K is a private key: give the public one"),
        (b"ssh-ed25519", "K is not an SSH public key"),
        (b"ssh-ed25519 A\nssh-ed25519 B\n", "K is not an SSH public key"),
        (b"\xff\xfe", "K is not an SSH public key"),
    ],
)
def test_what_is_no_public_key_is_told(text, said):
    assert form_problem("ssh_public_key", text, "K").startswith(said)


def test_a_pair_matches_whatever_its_comment():
    """OR-284: the public key belongs to the private one, with a comment or without."""
    private, public = keys.new_pair()
    assert pair_problem(private, f"{public} coder@laptop\n".encode(), "K") == ""
    assert pair_problem(private, keys.new_pair()[1].encode(), "K").startswith("K does not belong to the private key")


@pytest.mark.skipif(not shutil.which("ssh-keygen"), reason="ssh-keygen is not installed")
@pytest.mark.parametrize("kind", ["ed25519", "rsa"])
def test_a_passphrase_of_ssh_keygen_is_seen(tmp_path, kind):
    """OR-286: the usual form, in which the library itself needs one library more to make it."""
    argv = ["ssh-keygen", "-q", "-t", kind, "-N", "canary", "-C", "canary", "-f", tmp_path / "key"]
    subprocess.run(argv, check=True)
    told = form_problem("ssh_private_key", (tmp_path / "key").read_bytes(), "K")
    assert told.startswith("K is protected by a passphrase")
    assert "canary" not in told


@pytest.mark.skipif(not shutil.which("ssh-keygen"), reason="ssh-keygen is not installed")
def test_a_new_key_is_one_for_ssh(tmp_path):
    """The program that will use it reads it, and finds the same public half."""
    private, public = keys.new_pair()
    file = tmp_path / "key"
    file.write_bytes(private)
    file.chmod(0o600)
    shown = subprocess.run(["ssh-keygen", "-y", "-f", file], capture_output=True, text=True, check=True).stdout
    assert shown.split()[:2] == public.split()


@pytest.mark.skipif(not shutil.which("ssh-keygen"), reason="ssh-keygen is not installed")
def test_a_key_that_lost_its_last_line_end_is_put_right(tmp_path):
    """What a lookup strips, or Windows adds, would make ssh say `invalid format`."""
    private, _public = keys.new_pair()
    file = tmp_path / "key"
    file.write_bytes(normal("ssh_private_key", private.rstrip(b"\n").replace(b"\n", b"\r\n")))
    assert file.read_bytes() == private
    file.chmod(0o600)
    subprocess.run(["ssh-keygen", "-y", "-f", file], capture_output=True, check=True)


@given(st.binary(max_size=60))
def test_any_bytes_get_a_sentence_and_no_error(text):
    for form in ("line", "github_token", "ssh_private_key", "ssh_public_key"):
        told = form_problem(form, text, "K")
        assert told == "" or (told.startswith("K ") and told.endswith((".", ")")))
    assert form_problem("any", text, "K") == ""
    assert normal("any", text) == text


CLASSIC = "ghp_" + "a" * 36
FINE = "github_pat_" + "a" * 22 + "_" + "b" * 59


@pytest.mark.parametrize(
    ("token", "warned"), [(CLASSIC, False), (FINE, False), (CLASSIC[:-1], True), ("glpat-1234567890", True)]
)
def test_a_token_of_another_form_is_only_warned_of(token, warned):
    """OR-284."""
    assert form_problem("github_token", token.encode(), "K") == ""
    told = form_warning("github_token", token.encode(), "K")
    assert bool(told) == warned
    assert token not in told


@pytest.mark.parametrize("token", [CLASSIC + "\n", f" {CLASSIC}", "two words", "tökén"])
def test_a_token_with_blanks_is_refused(token):
    """Issue 6, bad input: a token with a newline."""
    assert form_problem("github_token", token.encode(), "K").startswith("K ")


def test_only_the_token_is_ever_warned_of():
    assert form_warning("line", b"x", "K") == ""

# SPDX-License-Identifier: GPL-3.0-or-later
# SPDX-FileCopyrightText: 2026 The orchestrator.platform authors
"""What answers mean, how long to wait, what is redacted, which settings are accepted. No process, no network."""

from __future__ import annotations

import base64
import itertools
import json
import random
import signal
import string

import pytest
from hypothesis import given
from hypothesis import strategies as st
from processes import AWKWARD, PATIENCE_S

from discord_monitor.delivery import MAX_BACKOFF_S, Pacer, Verdict, backoff_s, judge
from discord_monitor.http_client import Answer
from discord_monitor.parsing import Usage
from discord_monitor.redaction import Redactor, env_literals, webhook_literals
from discord_monitor.secret import MASK, Secret
from discord_monitor.settings import Filters, usable_token, usable_webhook, watcher_settings


def answer(status, body=None, **headers):
    named = {name.replace("_", "-").lower(): value for name, value in headers.items()}
    return Answer(status, named, json.dumps(body).encode() if body is not None else b"")


@pytest.mark.parametrize(
    ("given_answer", "verdict"),
    [
        (answer(200, {"id": "5"}), Verdict.DELIVERED),
        (answer(204), Verdict.DELIVERED),
        (answer(404, {"code": 10015}), Verdict.GONE),
        (answer(401, {"code": 50027}), Verdict.GONE),
        (answer(403, {"code": 50027}), Verdict.GONE),
        (answer(404), Verdict.GONE),
        (answer(404, {"code": 10003}), Verdict.FAILED),
        (answer(403), Verdict.FAILED),
        (answer(429, {"retry_after": 1.5}), Verdict.LIMITED),
        (answer(400, {"code": 50035}), Verdict.REFUSED),
        (answer(413), Verdict.REFUSED),
        (answer(400, {"code": 220001}), Verdict.FAILED),
        (answer(400, {"code": 220003}), Verdict.FAILED),
        (answer(400, {"code": 50083}), Verdict.FAILED),
        (answer(500), Verdict.FAILED),
        (answer(302), Verdict.FAILED),
        (Answer(502, {}, b"<html>"), Verdict.FAILED),
    ],
)
def test_verdicts(given_answer, verdict):
    assert judge(given_answer).verdict is verdict


@pytest.mark.parametrize(
    ("given_answer", "wait_s"),
    [
        (answer(429, {"retry_after": 64.57}, retry_after="65"), 64.57),
        (answer(429, retry_after="3"), 3.0),
        (answer(429, x_ratelimit_reset_after="0.25"), 0.25),
        (answer(429), 1.0),
        (answer(429, {"retry_after": "nan"}), 1.0),
        (answer(429, {"retry_after": -4}), 0.0),
        (answer(429, {"retry_after": 1e99}), 3600.0),
        (answer(200, {"id": "5"}, x_ratelimit_remaining="0", x_ratelimit_reset_after="1.75"), 1.75),
        (answer(200, {"id": "5"}, x_ratelimit_remaining="3", x_ratelimit_reset_after="1.75"), None),
    ],
)
def test_waits_are_what_discord_asks_for(given_answer, wait_s):
    """Seconds as a float; the body goes before the headers; nonsense never silences for good."""
    assert judge(given_answer).wait_s == wait_s


def test_a_400_about_the_webhook_says_what_to_do():
    """DM-A01: a forum channel without a thread is the webhook's fault, no message's."""
    judged = judge(answer(400, {"code": 220001, "message": "foreign text"}))
    assert "DISCORD_THREAD_ID" in judged.reason
    assert "foreign" not in judged.reason
    assert judged.wait_s == 60.0


def test_backoff_grows_and_is_bounded():
    assert 0.3 < backoff_s(1) < 0.7
    assert all(backoff_s(attempt) <= MAX_BACKOFF_S * 1.25 for attempt in (1, 5, 50, 5000))


def test_pacer():
    """DM-051, DM-203."""
    pacer = Pacer(10)
    assert pacer.wait_s(100.0) == 0
    pacer.sent(100.0)
    assert pacer.wait_s(100.0) == pytest.approx(0.1)
    pacer.hold(100.0, 5)
    pacer.sent(100.0)
    assert pacer.wait_s(101.0) == pytest.approx(4)


def test_pacer_gives_way_to_siblings():
    """DM-203: each limit doubles the gap, up to a bound; what goes through wins it back; a wait is never cut short."""
    pacer = Pacer(10)
    for _ in range(3):
        pacer.limited(100.0, 2.0)
    assert 2.0 <= pacer.wait_s(100.0) <= 2.2
    pacer.sent(200.0)
    assert pacer.wait_s(200.0) == pytest.approx(0.8)
    for _ in range(40):
        pacer.went_through()
    pacer.sent(300.0)
    assert pacer.wait_s(300.0) == pytest.approx(0.1)


def test_pacer_stays_far_below_discords_ban():
    """Without end limited, by a server that asks for no wait: at most 20 invalid answers in any ten minutes."""
    pacer, now, answers = Pacer(50), 0.0, []
    while now < 7200:
        now += pacer.wait_s(now)
        answers.append(now)
        pacer.sent(now)
        pacer.invalid(now)
        pacer.limited(now, 0.0)
    assert max(sum(at <= other < at + 600 for other in answers) for at in answers) <= 20


# Put together at run time, so that no scanner takes this file for a leak.
SECRETS = [
    "https://discord.com/api/webhooks/123456789012345678/" + "aB3_-" * 12,
    "https://canary.discordapp.com/api/v10/webhooks/123456789012345678/" + "aB3_-" * 12,
    "http://127.0.0.1:8081/api/v10/webhooks/1/" + "demo" * 5,
    "gh" + "p_" + "a1B2" * 9,
    "github" + "_pat_" + "a1B2_" * 9,
    "sk-" + "ant-api03-" + "a1B2-" * 9,
    "sk-" + "proj-" + "a1B2" * 9,
    "AK" + "IA" + "A1B2" * 4,
    "xo" + "xb-" + "123456789-" * 3,
    "gl" + "pat-" + "a1B2" * 5,
    "ey" + "JhbGciOi.ey" + "JzdWIiOi12.c2lnbmF0dXJl",
    "M" + "TA1B2" * 5 + ".GabcDE." + "a1B2" * 9,
    "-----BEGIN " + "RSA PRIVATE KEY-----\nMIIE\nabc\n-----END RSA PRIVATE KEY-----",
    "-----BEGIN " + "OPENSSH PRIVATE KEY-----\nb3BlbnNzaC1rZXk without an end",
]


@pytest.mark.parametrize("secret", SECRETS, ids=range(len(SECRETS)))
@pytest.mark.parametrize("around", ["{}", "x='{}'", '{{"key": "{}"}}', "see {} or not"])
def test_secrets_are_redacted(secret, around):
    redact = Redactor()
    text = redact(around.format(secret))
    assert secret not in text
    assert secret[-8:] not in text
    assert "[redacted: " in text
    assert redact.count == 1
    assert redact(text) == text


@pytest.mark.parametrize(
    ("text", "kept", "hidden"),
    [
        ("DB_PASSWORD=hunter2hunter2 next", "DB_PASSWORD=", "hunter2hunter2"),
        ('"API_TOKEN": "abcdefgh1234"', '"API_TOKEN": "', "abcdefgh1234"),
        ("Authorization: Bearer abcdefgh12345678", "Bearer ", "abcdefgh12345678"),
        ("https://user:s3cretpw@example.org/x", "@example.org/x", "s3cretpw"),
    ],
)
def test_values_of_secret_names_are_redacted(text, kept, hidden):
    out = Redactor()(text)
    assert kept in out
    assert hidden not in out


# What agents print: (text, what of it is secret; nothing for a text that has to stay as it is).
LABELLED = [
    ("password=hunter2hunter2", "hunter2hunter2"),
    ("Password: hunter2hunter2", "hunter2hunter2"),
    ("mysql --password=hunter2hunter2 -u root", "hunter2hunter2"),
    ('{"api_key": "abcdEFGHijkl"}', "abcdEFGHijkl"),
    ('{\\"apiKey\\": \\"abcd-1234-efgh\\", \\"x\\": 1}', "abcd-1234-efgh"),
    ("x-api-key: 0a1b2c3d4e5f", "0a1b2c3d4e5f"),
    ("clientSecret: 'aB3xY9-qwerty'", "aB3xY9-qwerty"),
    ("Authorization: Basic dXNlcjpwYXNzd29yZA==", "dXNlcjpwYXNzd29yZA"),
    ("-H 'authorization: basic dXNlcjpwYXNz'", "dXNlcjpwYXNz"),
    ("token: 8f14e45fceea167a5a36dedd4bea2543", "8f14e45fceea167a5a36dedd4bea2543"),
    ("GET /x?access_token=9d8c7b6a5f4e HTTP/1.1", "9d8c7b6a5f4e"),
    ('DB_PASSWORD="p@ss w0rd long"', "p@ss w0rd long"),
    ("export DB_PASSWORD='it is 1 long phrase'", "it is 1 long phrase"),
    ('DB_PASSWORD="say \\"p@ss\\" twice" next', "twice"),
    ('passphrase = "correct-horse-battery"', "correct-horse-battery"),
    ("Authorization: a1b2c3d4", "a1b2c3d4"),
    ("curl -H 'Authorization: 8f14e45fceea167a'", "8f14e45fceea167a"),
    ('{"authorization":"abcdefghijk_1"}', "abcdefghijk_1"),
    ("Proxy-Authorization: Negotiate YIIabcdefgh", "YIIabcdefgh"),
    ("token: the next word", ""),
    ("API_KEY=$OTHER", ""),
    ('password = "${DB_PASSWORD}"', ""),
    ('token: "{{ lookup_token }}"', ""),
    ("--from-file=TOKEN=<file with the token>", ""),
    ("git log --oneline", ""),
    ("sk-short", ""),
    ("uuid 1b4e28ba-2fa1", ""),
    ("max_tokens: 4096, input_tokens=12345678", ""),
    ("secretName: discord-secrets-2", ""),
    ("token_count = 12345678", ""),
    ("token = parser2.next_token()", ""),
    ("def login(password: str, token: Optional[str]) -> None:", ""),
    ("connect(password=settings.password)", ""),
    ('password: "Enter your password here"', ""),
    ("basic authentication1 is used", ""),
    ("the secret: always test first", ""),
    ('"password": "short"', ""),
]


@pytest.mark.parametrize(("text", "secret"), LABELLED, ids=range(len(LABELLED)))
def test_named_values_are_told_from_prose_and_code(text, secret):
    """DM-149: what is secret is hidden, what is not stays, and a second pass changes nothing."""
    redact = Redactor()
    out = redact(text)
    assert (out == text) is (not secret)
    assert not secret or secret not in out
    assert redact.count == bool(secret)
    assert redact(out) == out


def pem(kind):
    body = "\n".join("MIIE" + letter * 60 for letter in ("QRS" if "PRIVATE" in kind else "XYZ"))
    return f"-----BEGIN {kind}-----\n{body}\nEndOfIt=\n-----END {kind}-----\n"


def coded(text):
    return base64.b64encode(text.encode()).decode()


KEYS = (
    "PRIVATE KEY",
    "RSA PRIVATE KEY",
    "EC PRIVATE KEY",
    "DSA PRIVATE KEY",
    "OPENSSH PRIVATE KEY",
    "ENCRYPTED PRIVATE KEY",
)


@pytest.mark.parametrize("kind", KEYS)
@pytest.mark.parametrize("before", ["", pem("CERTIFICATE"), "x", "xy"], ids=len)
def test_a_private_key_in_base64_is_found(kind, before):
    """Issue 5.7: as a kubeconfig has it, also behind its certificate, at any alignment, and alone over several lines."""
    whole = coded(before + pem(kind))
    lines = base64.encodebytes((before + pem(kind)).encode()).decode()
    texts = [f"client-key-data: {whole}\nnext: one", f'{{"key": "{whole}", "next": "one"}}']
    # Behind a certificate a break may go through what tells of the key.
    for text in texts if len(before) > 2 else [*texts, f"{lines}next one"]:
        redact = Redactor()
        out = redact(text)
        assert (redact.count, redact(out)) == (1, out)
        assert coded("MIIE" + "R" * 60)[8:40] not in out
        assert not {line for line in lines.splitlines()[-4:-1] if len(line) > 8} & set(out.split())
        assert "next" in out


@pytest.mark.parametrize(
    "kind", ["CERTIFICATE", "PUBLIC KEY", "RSA PUBLIC KEY", "CERTIFICATE REQUEST", "X509 CRL", "PKCS7"]
)
@pytest.mark.parametrize("before", ["", "x", "xy"])
def test_public_pem_in_base64_stays(kind, before):
    text = f"certificate-authority-data: {coded(before + pem(kind))}\n"
    assert Redactor()(text) == text


STAMP = "2026-11-22T07:39:56.365240895Z "


@pytest.mark.parametrize("width", [16, 40, 57, 64, 76])
@pytest.mark.parametrize("end", ["\n", "\r\n", f"\n{STAMP}", "\n    ", "\\n", "\\r\\n"])
@pytest.mark.parametrize("last", ["c", "cd==", "abcdEFGH1234", "ab==@=Xy9z"])
def test_the_end_of_a_key_is_found_without_its_beginning(width, end, last):
    """Issue 5.7: a log that begins within a key; also the two last lines of a PGP block."""
    lines = ["MI" + "Q" * (width - 2)] * 3 + last.split("@") + ["-----END " + "RSA PRIVATE KEY-----"]
    first = STAMP if STAMP in end else ""
    for before in ("", '"') if end.startswith("\\") else ("", "an ordinary line\n"):
        redact = Redactor()
        out = redact(before + first + end.join(lines) + "\nnext line")
        assert out == f"{before}[redacted: private key]\nnext line"
        assert redact.count == 1


@pytest.mark.parametrize(
    "text",
    [
        "an ordinary line\n-----END RSA PRIVATE KEY-----\n",
        "the file ends with -----END PRIVATE KEY-----",
        "MIIEQQQQQQQQQQQQQQQQ\n-----END CERTIFICATE-----\n the private key is elsewhere",
        "done\n\n-----END PRIVATE KEY-----",
        '{"auth": "required1"}',
        '"auth": "password"',
        '"auth": "OAuthBearer2"',
        "auth: kubernetes",
        "auth=basicAuthenticationScheme0",
        "my-auth: dXNlcjpwYXNzd29yZA==",
        "Authorization: required",
        "authorization: AlwaysAllow",
        "Authorization: $TOKEN12345",
        "--authorization-mode=Node,RBAC12345",
        "authorization: build_header1(token)",
        "Authorization: AWS4-HMAC-SHA256",
        "the authorization of user12345678",
    ],
)
def test_ordinary_text_beside_these_shapes_stays(text):
    assert Redactor()(text) == text


def test_the_auth_of_a_registry_is_found():
    """Issue 5.7: base64 of user:password, whatever the lengths of both."""
    for user, password in itertools.product(
        ("u", "me", "bot", "user"), ("pw-123", "hunter2", "hunter22", "a b c d ? > ~")
    ):
        code = coded(f"{user}:{password}")
        for text in (f'{{"auths":{{"r.io":{{"auth":"{code}"}}}}}}', f"_auth={code}", f'{{\\"auth\\":\\"{code}\\"}}'):
            redact = Redactor()
            assert code.rstrip("=") not in redact(text)
            assert redact.count == 1


@pytest.mark.parametrize("text", ["token" * 20_000, "a_token=" * 10_000, 'password: "' + "a b" * 30_000, "x" * 100_000,
                                  "private key " + "\nabcdefghijklmnopq" * 6_000, "private key " + "\na" * 50_000,
                                  "private key " + "abcdefghijklmnopq\\n" * 6_000, "private key " + '"A' * 50_000,
                                  "LS0tLS1CRUdJTi" * 8_000 + "UFJJVkFURSBLRV", "UFJJVkFURSBLRV" + "A" * 20 + "\ntLS!" * 20_000,
                                  "auth=" * 20_000, "auth:" + "A" * 100_000, "authorization: " * 8_000])  # fmt: skip
def test_redaction_takes_time_in_proportion(text):
    """An agent's line must not stop the loop. In proportion it takes a fraction of a second, squared it takes hours."""

    def too_long(_number, _frame):
        raise AssertionError("the redaction does not end")

    before = signal.signal(signal.SIGALRM, too_long)
    signal.alarm(int(PATIENCE_S))
    try:
        Redactor()(text)
    finally:
        signal.alarm(0)
        signal.signal(signal.SIGALRM, before)


@given(st.text(AWKWARD), st.text("abcXYZ019_-", min_size=12, max_size=60))
def test_configured_secrets_never_pass(text, secret):
    url = f"http://h/api/webhooks/1/{secret}"
    redact = Redactor(webhook_literals(url))
    assert secret not in redact(f"{text}{url}{text}{secret}{text}").replace(text, "")


@given(st.text(AWKWARD), st.sampled_from(SECRETS), st.text(AWKWARD))
def test_secrets_are_found_in_any_surroundings(before, secret, after):
    """Issue 7.9, DM-149: whatever stands around it, apart by a space; redacting again changes nothing; nothing is raised."""
    out = Redactor(guess=True)(f"{before} {secret} {after}")
    assert secret not in out
    assert Redactor(guess=True)(out) == out


def test_secret_type_is_masked():
    secret = Secret("hunter2hunter2")
    assert "hunter2" not in f"{secret} {secret!r} {secret:>30} {[secret]} {vars}"
    assert str(secret) == MASK
    assert secret
    assert not Secret("")


@pytest.mark.parametrize("raw", ["", "  ", "ftp://h/webhooks/1/t", "https://", "http://h:99999/webhooks/1/t", "https://h/x",
                                 "https://h/api/webhooks/1/t/github", "https://h/api/webhooks/1/t/slack?wait=true",
                                 "https://h/api/webhooks/1/t/messages/5", "https://h/api/webhooks/1", "https://h/api/webhooks/1//",
                                 "https://h/api/webhooks/name/t", "https://h/webhooks/1/t\nX: y", "https://h/webhooks/1/ü"])  # fmt: skip
def test_unusable_webhooks_get_a_sentence_without_the_value(raw):
    url, problem = usable_webhook(raw)
    assert not url
    assert problem.startswith("DISCORD_WEBHOOK_URL is not")
    assert raw.strip() == "" or raw.strip() not in problem


@pytest.mark.parametrize(
    ("raw", "used"),
    [
        ("https://h/api/webhooks/1/t\n", "https://h/api/webhooks/1/t"),
        ("https://h/api/webhooks/1/t/", "https://h/api/webhooks/1/t"),
        ("https://h/api/webhooks/1/t/?thread_id=5", "https://h/api/webhooks/1/t?thread_id=5"),
    ],
)
def test_webhook_is_normalised(raw, used):
    """DM-149: the line feed of `echo` and a slash at the end are no part of the URL."""
    assert usable_webhook(raw)[0].reveal() == used


@pytest.mark.parametrize("end", ["", "/", "?wait=true", "/?thread_id=5", "/messages/5"])
def test_token_is_redacted_wherever_it_stands(end):
    """DM-149: the literal is the part after the id, not what happens to stand last."""
    token = "t0ken-" + "a" * 20
    literals = webhook_literals(f"https://h/api/webhooks/1/{token}{end}")
    assert literals[-1] == token
    assert token not in Redactor(literals)(f"it is {token}.")


@pytest.mark.parametrize(
    ("raw", "token"), [("abc.def\n", "abc.def"), (" Bot abc ", ""), ("Bot abc", ""), ("", ""), ("a\r\nb", "")]
)
def test_tokens(raw, token):
    """A trailing line feed is taken off; white space inside is refused."""
    found, problem = usable_token(raw, "BOT_TOKEN")
    assert found.reveal() == token
    assert bool(problem) is (token == "")


def test_settings_of_the_contract():
    """DM-105..112: every variable; a value that cannot be used becomes the default and a sentence."""
    good = watcher_settings({"POLL_INTERVAL": "250", "BATCH_SIZE": "3", "PARITY_MODE": "true", "STATS_TRACK_COST": "false",
                             "FILTERS": '{"includeTools": ["X"], "includePatterns": [], "minStdoutLength": 0}'})  # fmt: skip
    assert (good.poll_interval_s, good.batch_size, good.parity_mode, good.tracking.cost) == (0.25, 3, True, False)
    assert good.filters == Filters(("X",), (), 0)
    assert good.problems == ()
    names = ("POLL_INTERVAL", "BATCH_SIZE", "PARITY_MODE", "STATS_TRACK_COST", "FILTERS", "LOG_LEVEL", "HEALTH_PORT",
             "OUTAGE_LIMIT_SECONDS", "RATE_LIMIT")  # fmt: skip
    bad = watcher_settings(dict.fromkeys(names, "nonsense"))
    assert bad[2:15] == watcher_settings({})[2:15]
    assert [name for name in names if not any(name in problem for problem in bad.problems)] == []
    assert not any("nonsense" in problem for problem in bad.problems)


@pytest.mark.parametrize(
    ("url", "thread", "query", "problem"),
    [
        ("https://h/api/webhooks/1/t", "123", "thread_id=123", False),
        ("https://h/api/webhooks/1/t?a=b", "123", "a=b&thread_id=123", False),
        ("https://h/api/webhooks/1/t?thread_id=5", "123", "thread_id=5", True),
        ("https://h/api/webhooks/1/t", "12&wait=false", "", True),
        ("https://h/api/webhooks/1/t", "", "", False),
    ],
)
def test_thread_id(url, thread, query, problem):
    """DM-208: messages go to one thread, or one post of a forum channel."""
    settings = watcher_settings({"DISCORD_WEBHOOK_URL": url, "DISCORD_THREAD_ID": thread})
    assert settings.webhook_url.reveal().partition("?")[2] == query
    assert any("DISCORD_THREAD_ID" in text for text in settings.problems) is problem


def test_prices_by_the_longest_beginning_of_a_name():
    """DM-201: cache tokens included; a name that is not listed costs what the specification says."""
    table = '[{"model": "big-", "input": 10}, {"model": "big-2", "input": 20, "output": 0, "cacheWrite": 0, "cacheRead": 1}]'
    prices = watcher_settings({"STATS_PRICES": table}).prices
    usage = Usage(1_000_000, 0, 0, 1_000_000)
    assert [prices.nano_dollars(usage, model) / 1e9 for model in ("big-1", "big-2-x", "other")] == [10.3, 21.0, 3.3]
    bad = watcher_settings({"STATS_PRICES": '[{"model": "a", "input": "much"}]'})
    assert any("STATS_PRICES" in problem for problem in bad.problems)
    assert bad.prices.nano_dollars(usage, "a") / 1e9 == 3.3


def test_patterns_of_the_user_are_redacted():
    """DM-149: configurable; a pattern that cannot be used is said, by its number, and left out."""
    settings = watcher_settings({"REDACT_PATTERNS": json.dumps([r"ACME-\d{4}", "(", "x*", 7])})
    assert [problem.split(":")[1].split(" is")[0] for problem in settings.problems] == [" no. 2", " no. 3", " no. 4"]
    assert Redactor(patterns=settings.redact_patterns)("key ACME-1234.") == "key [redacted: as configured]."


def test_values_of_secret_looking_variables_are_redacted():
    """DM-149: whatever form they have; ordinary variables and paths are none."""
    env = {"MY_API_KEY": "plainwords-1", "GITHUB_TOKEN": " spaced-value\n", "TOKEN_FILE": "/run/secrets/x", "EDITOR": "vi-or-emacs",
           "PASSWORD": "short"}  # fmt: skip
    assert sorted(env_literals(env)) == ["plainwords-1", "spaced-value"]


def random_like(rng, length, alphabet=string.ascii_letters + string.digits):
    return "".join(rng.choices(alphabet, k=length))


# Long texts that agents print and nobody has to hide.
ORDINARY = [
    "1b4e28ba-2fa1-11d2-883f-0016d3cca427", "9302fd3a6c1f4e2b8d7a5c3e1f0b9d8a7c6e5f4d", "sha512-Ab3dE6gH9jK2mN5pQ8sT1vW4yZ7bC0eF3hI6kL9nO2qR5tU8",
    "toolu_01A09q90qw90lq917835lq9XyZ", "msg_01XFDUDYJgAACzvnptvVoYEL", "req_011CSHoEeqs5C35K2UUqR7Fy", "test_watcher_reads_2_files_and_4_rows_of_5",
    "AbstractSingletonProxyFactoryBean2", "/usr/lib/python3.11/site-packages/Cython/Compiler2", "KubernetesClusterRoleBindingV1Beta1List",
    "https://example.org/Docs/Guide-2/Part-3/Chapter-4", "2026-01-20T10:11:12.123456+00:00", "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaa",
    "--------------------------------", "orchestrator-platform-node-v1-36-3", "Content-Security-Policy-Report-Only",
    "TestHTTP2ServerKeepsConnection3Open", "HelmReleaseV3Secret-discord-monitor-1", "XMLHttpRequest2UploadProgressEvent",
]  # fmt: skip


def test_guess_finds_random_texts_and_leaves_ordinary_ones():
    """DM-149: figures on generated keys of four kinds, and on what agents print; said by the assertion when they change."""
    rng = random.Random(1)
    redact = Redactor(guess=True)
    keys = [random_like(rng, length) for length in (24, 32, 40, 64) for _ in range(250)]
    found = sum("[redacted" in redact(f"the value is {key} today") for key in keys)
    assert found / len(keys) >= 0.96, f"recall is {found}/{len(keys)}"
    wrong = [text for text in ORDINARY if redact(f"see {text} there") != f"see {text} there"]
    assert wrong == []

"""Kinds of credentials, alone, in a sentence, in JSON, in an address, behind a name: none leaves, the text stays."""

import random
import string
import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from watchdog.core.redaction import HIDDEN, fit_to_leave, redact

_DICE = random.Random(7)


def x(length: int, letters: str = string.ascii_letters + string.digits) -> str:
    """So many random letters; put together here, so that no scanner takes this file for a leak."""
    made = "".join(_DICE.choice(letters) for _ in range(length - 2))
    return made + "Q7" if letters.isalnum() and "Q" in letters else made + "07"


HEX = string.digits + "abcdef"

BY_THEMSELVES = {
    "OpenAI": "sk-proj-" + x(40),
    "OpenRouter": "sk-or-v1-" + x(64, HEX),
    "Anthropic": "sk-ant-api03-" + x(90),
    "Groq": "gsk_" + x(40),
    "xAI": "xai-" + x(30),
    "Hugging Face": "hf_" + x(36),
    "Replicate": "r8_" + x(37),
    "Perplexity": "pplx-" + x(48, HEX),
    "Tavily": "tvly-" + x(32),
    "Google OAuth": "ya29." + x(60),
    "Google refresh": "1//0g" + x(40),
    "Google client": "GOCSPX-" + x(28),
    "Google": "AIza" + x(35),
    "AWS": "AKIA" + x(16).upper(),
    "AWS temporary": "ASIA" + x(16).upper(),
    "Telegram": "123456789:" + x(35),
    "Discord": "M" + x(25) + "." + x(6) + "." + x(38),
    "Slack bot": "xoxb-123456789012-" + x(24),
    "Slack refresh": "xoxe.xoxp-1-" + x(60),
    "SendGrid": "SG." + x(22) + "." + x(43),
    "Stripe": "sk_live_" + x(24),
    "Stripe webhook": "whsec_" + x(32),
    "npm": "npm_" + x(36),
    "PyPI": "pypi-" + x(80),
    "Notion": "ntn_" + x(44),
    "Linear": "lin_api_" + x(40),
    "GitLab": "glpat-" + x(20),
    "GitHub": "ghp_" + x(36),
    "GitHub fine-grained": "github_pat_" + x(60),
    "DigitalOcean": "dop_v1_" + x(64, HEX),
    "Grafana": "glsa_" + x(32) + "_" + x(8, HEX),
    "Vault": "hvs." + x(90),
    "Docker": "dckr_pat_" + x(27),
    "a JSON web token": "eyJ" + x(30) + ".eyJ" + x(60) + "." + x(43),
    "a private key": f"-----BEGIN RSA PRIVATE KEY-----\n{x(64)}\n{x(64)}\n-----END RSA PRIVATE KEY-----",
    "a private key on one line": f"-----BEGIN PRIVATE KEY-----\\n{x(64)}\\n-----END PRIVATE KEY-----\\n",
    "a key cut short": f"-----BEGIN OPENSSH PRIVATE KEY-----\n{x(64)}",
    "a Slack webhook": "https://hooks.slack.com/services/T0AAA/B0BBB/" + x(24),
    "a Slack workflow": "https://hooks.slack.com/triggers/T0AAA/123/" + x(32),
    "a Discord webhook": "https://discord.com/api/webhooks/123456789/" + x(68),
    "a Teams webhook": "https://acme.webhook.office.com/webhookb2/" + x(36) + "/IncomingWebhook/" + x(32),
    "a bot's address": "https://api.telegram.org/bot123456789:" + x(35) + "/sendMessage",
}
AROUND = [
    "{}",
    "it said {} and gave up",
    '{{"a": "{}", "n": 1}}',
    "https://host/x?a=1&b={}&n=1",
    "NAME={}",
    "said: {}",
    "a\n{}\nb",
]

VALUE = "q8Zr2Lk0vT4mWx1N"
BY_NAME = [
    "OPENAI_API_KEY={}",
    "SLACK_BOT_TOKEN={}",
    "DB_PASSWORD={}",
    "export PGPASSWORD='{}'",
    "client_secret={}",
    '"refresh_token":"{}"',
    '"refreshToken": "{}"',
    "aws_secret_access_key={}",
    "AWS_SECRET_ACCESS_KEY = {}",
    "Authorization: Bearer {}",
    "Authorization: Basic {}==",
    "'authorization': 'Bot {}'",
    "Cookie: session={}; other=1",
    "Set-Cookie: sid={}; Path=/",
    "api-key: {}",
    "x-api-key: {}",
    "X-Auth-Token: {}",
    "?key={}",
    "&token={}",
    "&sig={}",
    "access_token={}",
    "password: {}",
    "password is {}",
    "the token {} was refused",
    "invalid api key {} given",
    "passphrase => {}",
    '{{\\"password\\": \\"{}\\"}}',
    "ENCRYPTION_KEY={}",
    "BASIC_AUTH={}",
    "postgres://agent:pa@ss/{}@db:5432/x",
    "https://agent:{}@github.com/a/b",
    "https://{}@github.com/a/b",
    "https://host/v1/models?key={}&alt=json",
    "https://a.blob.core.windows.net/c/b?sv=2022&sig={}%3D&se=2026",
    "redis://:{}@cache:6379/0",
    "amqp://user:{}@mq",
]


@pytest.mark.parametrize("around", AROUND)
@pytest.mark.parametrize("which", BY_THEMSELVES)
def test_a_credential_leaves_nowhere(which: str, around: str) -> None:
    secret = BY_THEMSELVES[which]
    body = max(secret.replace("\\n", "\n").replace("/", "\n").splitlines(), key=len)[-8:]
    shown = fit_to_leave(around.format(secret), 500)
    assert HIDDEN in shown
    assert body not in shown


@pytest.mark.parametrize("before", ["{}", "Error: 401 for {} at line 3", '{{"error": "{}"}}'])
@pytest.mark.parametrize("form", BY_NAME)
def test_what_a_name_says_to_be_secret_is_hidden_and_the_name_stays(form: str, before: str) -> None:
    text = before.format(form)
    shown = redact(text.format(VALUE) if before == "{}" else before.format(form.format(VALUE)))
    assert VALUE not in shown
    assert HIDDEN in shown
    if "Error" in before:
        assert shown.startswith("Error: 401 for ")


@pytest.mark.parametrize(
    "text",
    [
        "Error: 400 max_tokens: 200000 > 8192, which is the maximum allowed number of output tokens",
        "prompt is too long: 214320 tokens > 200000 maximum",
        "Unexpected token < in JSON at position 0",
        "token expired",
        "your credit balance is too low",
        "the password is incorrect",
        "http://phantom:3100/ui/api/a@b answered 503",
        "connect ETIMEDOUT 10.0.0.12:5432",
        "KeyError: 'content'",
        "monkey=banana, key: value",
        "session_key is not set",
        "exit code: 137",
        "https://example.org/a@b",
        "ssh: connect to host db port 22: Connection refused",
        "claude-sonnet-4-5-20250929 is overloaded",
        "2026-06-10T11:00:00.123Z job sched:nightly-report-2 failed",
        "npm ERR! code ERESOLVE",
        "f9a916bd-7179-443e-8c67-aa5f748f9b60",
        "sha256:9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08",
    ],
)
def test_what_is_no_secret_stays_as_it_is(text: str) -> None:
    assert redact(text) == text


@pytest.mark.parametrize(
    "piece", ["a", "key", "token", "://a:", "sk", "eyJ", "password is ", "-----BEGIN PRIVATE KEY-----", "1:"]
)
def test_no_text_takes_long(piece: str) -> None:
    began = time.monotonic()
    redact(piece * 20_000)
    assert time.monotonic() - began < 20  # an order of magnitude beyond what a slow machine needs


@pytest.mark.deep
@given(st.text(max_size=300))
def test_no_text_breaks_it_and_a_second_look_finds_nothing_more_to_say(text: str) -> None:
    assert isinstance(redact(text), str)


ODDLY_PUT = {
    "an environment as Python shows it": "environ({{'HOME': '/root', 'GITHUB_PAT': '{}', 'PATH': '/bin'}})",
    "JSON in JSON in JSON": r'body: \\"access_token\\":\\"{}\\"',
    "an address in an address": "callback?redirect=%2Fcb%3Faccess_token%3D{}%26x%3D1",
    "JSON in an address": "%7B%22api_key%22%3A%20%22{}%22%7D",
    "XML": "<password>{}</password>",
    "a form": '<input name="token" value="{}">',
    "a digest": 'Authorization: Digest username="x", response="{}"',
    "PHP": 'define("DB_PASSWORD", "{}");',
    "Ruby": ':secret_key_base=>"{}"',
    "curl": "curl -u bob:{} https://example.org",
    "YAML": "config:\n  password: {}\n  user: bob",
    "an ODBC string": "Server=db;Uid=app;Pwd={};Database=x",
    "netrc": "machine api.example.org login bob password {}",
    "a header as bytes": "headers: {{b'authorization': b'Bearer {}'}}",
}


@pytest.mark.parametrize("where", ODDLY_PUT)
def test_a_credential_is_hidden_wherever_it_is_written(where: str) -> None:
    secret = x(26)
    assert secret not in fit_to_leave(ODDLY_PUT[where].format(secret), 500)


@pytest.mark.parametrize("prefix", ["tskey-auth-", "syt_"])
def test_further_makers_prefixes_are_known(prefix: str) -> None:
    secret = prefix + x(30)
    assert secret not in redact(f"the request with {secret} was refused")


@pytest.mark.parametrize(
    "text",
    [
        "Basic authentication failed for user bob",
        "docker run -u 1000:1000 failed",
        "input_tokens: 123456 output_tokens: 789",
        "foreign_key: users_id violates constraint fk_users",
        "Authorization header is missing",
        'duplicate key value violates unique constraint "jobs_pkey"',
        "the session has expired, please log in again",
    ],
)
def test_what_is_no_credential_stays_readable(text: str) -> None:
    assert redact(text) == text

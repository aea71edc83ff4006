"""What people read: that it says what it should, and that nothing which a job brings along does anything to them."""

import json
import platform
import re
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import timedelta
from html.parser import HTMLParser
from typing import Any

import pytest
from markdown_it import MarkdownIt
from pytest_httpserver import HTTPServer

from tests.conftest import NOW
from tests.support.post_office import SLACK, hand_over, mail_server, part
from tests.support.sections import smallest
from tests.support.telling import DAY, HOUR, MINUTE, Office, Sent, configured, failing, finding
from watchdog.core.model import Finding
from watchdog.core.redaction import HIDDEN
from watchdog.notify.voice import voice_of
from watchdog.notify.words import Message

OPENAI = "sk-proj-" + "a1B2c3D4e5F6" * 3
BOT = "xoxb-" + "1234567890-abcdefgh"
GITHUB = "ghp_" + "0123456789abcdefghij"
PASSWORD = "postgres://app:" + "hunter2hunter2" + "@db/x"
SECRETS = (OPENAI, BOT, GITHUB, "hunter2hunter2")

HOSTILE = {
    "slack_channel": "<!channel> <!here|here> <!subteam^S1>",
    "slack_user": "<@U123ABC> <#C123|general>",
    "mentions": "@here @everyone @channel @all @anna",
    "slack_link": "<https://evil.example/|click here>",
    "markdown_link": "[click here](https://evil.example/x) [click][1] [1]: https://evil.example",
    "markdown_image": "![seen](https://evil.example/pixel.png)",
    "nested_link": "[![a](https://evil.example/i.png)](https://evil.example) [a]\\(b) \\[c](d)",
    "emphasis": "*bold* **bold** _italic_ __bold__ ~~gone~~ `code` ``co`de``",
    "blocks": "# heading",
    "list": "- item",
    "numbered": "1. item",
    "quote": "> quoted",
    "rule": "---",
    "fence": "```sh rm -rf / ```",
    "html": "<script>alert(1)</script><img src=x onerror=alert(1)><a href='javascript:alert(1)'>x</a>",
    "entities": "&lt;script&gt; &#60;b&#62; &amp;",
    "templates": "{{ 7*7 }} {% raw %} ${HOME} #{1+1} %s %(x)s {0}",
    "lines": "first\n# second\r\nSubject: forged\n\n.\nthird",
    "control": "be\x07ll \x1b[31mred\x1b[0m \x00nul",
    "right_to_left": "\u202egnp.exe\u202c \u2066hidden\u2069 \u200fmark \u200bzero",
    "backslashes": "\\*not bold\\* \\<!channel> \\",
    "autolink": "<https://evil.example> <mailto:a@evil.example>",
    "secrets": f"{OPENAI} {BOT} {GITHUB} {PASSWORD} password=hunter2hunter2",
    "megabyte": "<!channel> " * 95_000,
}


def told(*findings: Finding) -> dict[str, str]:
    """The message of an incident with these findings, in all its forms."""
    office = Office()
    office.find(*findings)
    office.wait(MINUTE)
    (entry,) = office.store.waiting()
    return dict(entry.message)


def nasty(text: str) -> dict[str, str]:
    """The message about jobs whose names and errors are this text."""
    found = finding("failed", text, summary=f"{text} was given up: {text}", last_error=text, sweep_at=text)
    return told(found, finding("failed", "other", last_error=text), finding("failed", f"{text} too"))


def _shown(text: str) -> str:
    """The text without what shows nothing."""
    return text.replace("\u200b", "")


# the words


def test_it_says_what_since_when_why_what_comes_next_and_what_to_do() -> None:
    message = told(
        finding(
            "failed",
            since=NOW - 2 * HOUR,
            summary="heartbeat was given up after 10 errors in a row",
            last_error="529 overloaded",
            error_class="transient",
            sweep_at=NOW + 7 * DAY,
        )
    )
    assert message["title"] == "CRITICAL: heartbeat was given up"
    assert message["type"] == "failure"
    assert message["text"].splitlines() == [
        "heartbeat was given up after 10 errors in a row",
        "",
        "Since: 2026-06-10 10:00 UTC",
        "Error: 529 overloaded (transient)",
        "If nobody acts: it never runs again, and its row is deleted at the first restart after 2026-06-17 12:00 UTC",
        "To do: once its cause is gone: scheduler-watchdog revive id-heartbeat",
        "",
        "Acknowledge: scheduler-watchdog ack 1",
        "",
        f"incident 1 of agent, on {platform.node().split('.')[0]}",
    ]


def test_a_message_names_the_watchdog_as_its_configuration_does() -> None:
    message = voice_of(configured(instance="garden")).completed(
        Message("t", "body", (), (), "", "incident 1 of agent"), 1
    )
    assert message.foot == "incident 1 of agent, on garden"


REVIVE = "scheduler-watchdog revive id-heartbeat"


@pytest.mark.parametrize(
    ("system", "kind", "evidence", "to_do", "otherwise"),
    [
        ("phantom", "failed", {}, f"once its cause is gone: {REVIVE}", "it never runs again"),
        (
            "phantom",
            "wedged",
            {"how": "held_slot"},
            "restart the agent as you started it, for example: docker restart phantom",
            "no job runs",
        ),
        (
            "phantom",
            "stalled",
            {},
            "restart the agent as you started it, for example: docker restart phantom",
            "no job runs until",
        ),
        ("phantom", "stalled", {"starts_in_vain": 9}, "find in its own log what ends it", "no job gets done until"),
        (
            "phantom",
            "long_run",
            {},
            "wait for its end, or see what it hangs in (the agent's log tells), for example",
            "the agent aborts it after 240 min",
        ),
        ("openclaw", "failed", {"error_class": "permanent"}, f"mend what the error says, then: {REVIVE}", "it never"),
        ("openclaw", "wedged", {"how": "long_in_flight"}, f"{REVIVE}; or restart the gateway", "it does not run again"),
        ("openclaw", "overdue", {}, REVIVE, ""),
        ("sql", "failed", {}, "see what its last error says", "it never runs again"),
        ("sql", "failing", {"consecutive_errors": 5}, "mend what the error says", "it goes on failing"),
        ("sql", "zero_tokens", {}, "see why no model answers: the key, the quota", "it goes on doing nothing"),
        ("sql", "wedged", {"how": "long_in_flight"}, "restart the scheduler", "it does not run again until"),
        (
            "sql",
            "long_run",
            {},
            "wait for its end, or see what it hangs in (the scheduler's log tells); or if it hangs",
            "",
        ),
    ],
)
def test_what_to_do_is_what_helps_with_the_system_that_it_is_about(
    system: str, kind: str, evidence: dict[str, object], to_do: str, otherwise: str
) -> None:
    office = Office(configured(sources=[smallest(system, name="agent")]))
    office.find(finding(kind, **evidence))  # type: ignore[arg-type]
    office.wait(MINUTE)
    (entry,) = office.store.waiting()
    lines = dict(line.split(": ", 1) for line in entry.message["text"].splitlines() if ": " in line)
    assert lines["To do"].startswith(to_do)
    assert otherwise in lines.get("If nobody acts", "")
    assert bool(otherwise) == ("If nobody acts" in lines)


def test_slack_shows_plain_words_without_backslashes() -> None:
    message = told(finding("expiring", "daily_report v1.2 (night-shift)", sweep_at=NOW + DAY))
    assert "\\" not in message["markdown"]
    assert "daily_report v1.2 (night-shift)" in message["markdown"]
    often = "it is gone (schedule: cron */5 8-18 * * * (UTC))"
    assert often in told(finding("vanished", summary=often))["markdown"]


def test_an_error_is_said_once_however_long_it_is() -> None:
    error = "Error: 529 overloaded, " + "and more of it " * 20
    message = told(finding("failed", summary=f"it was given up: {error}", last_error=error, error_class="transient"))
    assert message["text"].count("529 overloaded") == 1
    assert "The error is: transient; trying again can help" in message["text"]
    unnamed = told(finding("failing", last_error="Error: 401 nope", error_class="permanent"))
    assert "Error: 401 nope (permanent)" in unnamed["text"]


def test_when_the_first_began_is_not_taken_for_when_the_named_one_did() -> None:
    office = Office()
    early = failing("early", since=NOW - DAY)
    late = finding("failed", "late", since=NOW, error_class="transient")
    office.find(early, late)
    office.wait(MINUTE)
    (letter,) = office.letters
    assert letter.title == "CRITICAL: 1 job was given up and 1 keeps failing: late and 1 more"
    assert "The first of it since: 2026-06-09 12:00 UTC (early keeps failing)" in letter.text


def test_whose_jobs_are_only_late_because_of_it_read_since_when_the_cause_is_so() -> None:
    mine = {"match": {"job": "heartbeat"}, "notify": ["ops"]}
    office = Office(configured(channels={"ops": "json://localhost"}, owners=[mine]))
    wedge = finding("wedged", "digest", since=NOW - HOUR)
    office.find(wedge, finding("overdue", "heartbeat", under=wedge, since=NOW - MINUTE))
    office.wait(MINUTE)
    (letter,) = office.letters
    assert "Since: 2026-06-10 11:00 UTC" in letter.text
    assert "The first of it since" not in letter.text


def test_no_long_word_makes_a_mail_wider_than_a_phone() -> None:
    html = told(finding("invalid", summary="/a/path/" * 30))["html"]
    assert html.count("overflow-wrap:anywhere") == html.count("<p ") + html.count("<ul ")


def test_a_storm_names_ten_jobs_and_counts_the_others() -> None:
    message = told(*(failing(f"job-{number:03}") for number in range(1000)))
    assert message["title"] == "WARNING: 1000 jobs keep failing: job-000 and 999 more"
    assert "- job-009: failing\n- and 990 more" in message["text"]
    assert "job-010" not in message["text"]


def test_those_that_are_late_because_of_it_are_counted() -> None:
    stall = finding("stalled", None)
    message = told(stall, *(finding("overdue", f"job-{number}", under=stall) for number in range(3)))
    assert "Because of it: 3 jobs are late" in message["text"]
    assert "If nobody acts: no job runs until the agent is restarted" in message["text"]


def _letters(length: timedelta) -> list[Sent]:
    office = Office()
    office.find(finding("expiring", since=NOW - HOUR))
    office.wait(length)
    office.find(finding("expiring", since=NOW - HOUR, severity="critical"))
    office.find()
    office.wait(5 * MINUTE)
    return office.letters


def test_each_event_says_why_it_is_told() -> None:
    titles = [letter.title for letter in _letters(25 * HOUR)]
    assert titles == [
        "WARNING: heartbeat will be deleted",
        "Still WARNING: heartbeat will be deleted (for 1 d 1 h)",
        "Now CRITICAL: heartbeat will be deleted",
        "Over: heartbeat will be deleted (for 1 d 2 h)",
    ]


def test_the_end_says_since_when_it_is_over_and_asks_for_nothing() -> None:
    text = _letters(25 * HOUR)[-1].text
    assert text.startswith("It is over. It was: ")
    assert "Clear since: 2026-06-11 13:00 UTC" in text
    assert "ack" not in text


# each form of hostile text


@pytest.mark.parametrize("kind", HOSTILE)
def test_plain_text_calls_nobody_and_keeps_its_lines_and_its_length(kind: str) -> None:
    message = nasty(HOSTILE[kind])
    for form in ("title", "text"):
        assert not re.search(r"<[!@#\w]|@\w|\]\(|[\u202a-\u202e\u2066-\u2069\u200f\x00-\x09\x0b-\x1f]", message[form])
    assert len(message["title"]) <= 200
    assert len(message["text"]) <= 3500
    assert "\n" not in message["title"]
    assert len(message["text"].splitlines()) == len(nasty("harmless")["text"].splitlines())


@pytest.mark.parametrize("kind", HOSTILE)
def test_markdown_shows_the_text_and_does_nothing_with_it(kind: str) -> None:
    rendered = MarkdownIt("commonmark").enable(["strikethrough", "table"])
    assert _kinds(rendered, nasty(HOSTILE[kind])["markdown"]) == _kinds(rendered, nasty("harmless")["markdown"])


def _kinds(parser: MarkdownIt, text: str) -> list[str]:
    """What a reader of Markdown makes of it, without the words."""
    found = []
    for token in parser.parse(text):
        inner = [part.type for part in token.children or ()]
        found += [token.type, *(kind for kind in inner if kind not in ("text", "text_special"))]
    return found


class _Tags(HTMLParser):
    def __init__(self) -> None:
        super().__init__()
        self.tags: list[tuple[str, tuple[str, ...]]] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, tuple(name for name, _ in attrs)))


def _tags(html: str) -> list[tuple[str, tuple[str, ...]]]:
    parser = _Tags()
    parser.feed(html)
    parser.close()
    return parser.tags


@pytest.mark.parametrize("kind", HOSTILE)
def test_html_has_no_tag_and_no_attribute_that_came_with_the_text(kind: str) -> None:
    html = nasty(HOSTILE[kind])["html"]
    assert _tags(html) == _tags(nasty("harmless")["html"])
    assert len(html) < 40_000


def test_no_form_shows_what_looks_like_a_credential() -> None:
    for text in (HOSTILE["secrets"], " " * 60 + HOSTILE["secrets"], f"{'x ' * 30}{OPENAI}"):
        for form, shown in nasty(text).items():
            for secret in SECRETS:
                assert secret[:16] not in _shown(shown).replace("\\", ""), form


def test_what_is_hidden_is_shown_to_be() -> None:
    assert HIDDEN in told(finding("failed", last_error=OPENAI))["text"]


# what arrives


@dataclass(frozen=True)
class Arrived:
    """One kind of hostile text as each service got it."""

    slack: dict[str, Any]
    mattermost: dict[str, Any]
    plain: dict[str, Any]
    subject: str
    html: str
    headers: tuple[str, ...]

    def texts(self) -> list[str]:
        """All that people see of it."""
        (attachment,) = self.slack["attachments"]
        chats = [attachment["title"], attachment["text"], self.mattermost["text"]]
        return [*chats, self.plain["title"], self.plain["message"], self.subject, self.html]


@pytest.fixture(scope="module")
def arrived() -> Iterator[dict[str, Arrived]]:
    """Every hostile text, sent through apprise's own plugins in one process, as the services got it."""
    with HTTPServer("127.0.0.1") as server, mail_server() as (mailbox, mail):
        server.expect_request(re.compile("/.*")).respond_with_data("ok")
        host = f"127.0.0.1:{server.port}"
        addresses = (SLACK, f"mmost://{host}/3ccdd113474722377935511fc85d3dd4", f"json://{host}/json", mail)
        kinds = [*HOSTILE, "harmless"]
        messages = {kind: nasty(HOSTILE.get(kind, kind)) for kind in kinds}
        orders = [{"address": address, "message": messages[kind]} for kind in kinds for address in addresses]
        outcomes = hand_over(orders, server.url_for("/slack"))
        assert [outcome for outcome in outcomes if not outcome["ok"]] == []
        posts = {
            part: [json.loads(request.data) for request, _ in server.log if request.path.startswith(part)]
            for part in ("/slack", "/hooks", "/json")
        }
        yield {
            kind: Arrived(
                slack,
                mattermost,
                plain,
                str(sent["Subject"]),
                part(sent, "html"),
                tuple(sent.keys()),
            )
            for kind, slack, mattermost, plain, sent in zip(
                kinds, posts["/slack"], posts["/hooks"], posts["/json"], mailbox.mails, strict=True
            )
        }


@pytest.mark.parametrize("kind", HOSTILE)
def test_slack_is_given_nothing_that_calls_or_leads_anywhere(kind: str, arrived: dict[str, Arrived]) -> None:
    (attachment,) = arrived[kind].slack["attachments"]
    for text in (attachment["title"], attachment["text"]):
        assert "<" not in text  # each of Slack's mentions and links begins with one
        assert not re.search(r"@\w", text)
    assert arrived[kind].slack["channel"] == "#ops"
    assert len(attachment["text"]) < 12_000


@pytest.mark.parametrize("kind", HOSTILE)
def test_a_chat_that_reads_marks_in_plain_text_finds_no_link_and_no_image(
    kind: str, arrived: dict[str, Arrived]
) -> None:
    text = arrived[kind].mattermost["text"]
    assert not re.search(r"@\w", text)
    found = _kinds(MarkdownIt("commonmark"), text)
    assert not {"image", "link_open", "html_inline", "html_block"} & set(found)
    assert len(text) <= 4000


@pytest.mark.parametrize("kind", HOSTILE)
def test_mail_has_one_subject_and_only_our_own_tags(kind: str, arrived: dict[str, Arrived]) -> None:
    mail = arrived[kind]
    assert mail.headers == arrived["harmless"].headers
    assert "\n" not in mail.subject
    assert mail.subject.startswith("CRITICAL: ")
    assert _tags(mail.html) == _tags(arrived["harmless"].html)


@pytest.mark.parametrize("kind", HOSTILE)
def test_no_service_is_given_a_credential_a_direction_mark_or_too_much(kind: str, arrived: dict[str, Arrived]) -> None:
    for text in arrived[kind].texts():
        assert not [secret for secret in SECRETS if secret[:16] in _shown(text)]
        assert not re.search(r"[\u202a-\u202e\u2066-\u2069\x00-\x08\x1b]", text)
        assert len(text) < 40_000


def test_every_service_shows_the_words(arrived: dict[str, Arrived]) -> None:
    for text in arrived["templates"].texts():
        assert "{{ 7*7 }}" in text.replace("\\", "")
        assert "49" not in text
    assert "<script>" not in arrived["html"].html
    assert "&lt;\u200bscript&gt;alert(1)" in arrived["html"].html


def test_every_time_of_a_message_is_in_the_operators_zone_and_no_command_is_changed_by_it() -> None:
    office = Office(configured(notify={"timezone": "Europe/Berlin"}))
    name = "from 2026-06-10 05:00 UTC"
    summary = "digest was given up at 2026-06-10 10:00:32 UTC after 10 errors in a row"
    found = finding("failed", name, since=NOW - HOUR, summary=summary, sweep_at="2026-07-10T00:00:00Z")
    office.find(found)
    office.wait(office.config.notify.group_wait)
    (letter,) = office.letters
    assert "given up at 2026-06-10 12:00:32 CEST after" in letter.text
    assert "Since: 2026-06-10 13:00 CEST" in letter.text
    assert f"revive 'id-{name}'" in letter.text
    assert " UTC" not in letter.text.replace(name, "")


def test_only_what_is_to_be_pasted_is_set_as_a_command() -> None:
    html = told(finding("failed", error_class="transient"))["html"]
    assert "once its cause is gone: <code" in html
    assert re.search(r"<code[^>]*>scheduler-watchdog revive id-heartbeat</code>", html)


@pytest.mark.parametrize("name", ["agent@prod.service", "root@host.example"])
def test_the_restart_of_the_configuration_can_be_pasted_from_each_form(name: str) -> None:
    policy = {"match": {"kind": "stalled"}, "action": "restart", "run": ["systemctl", "restart", name]}
    office = Office(configured(recovery={"mode": "observe", "policies": [policy]}))
    office.find(finding("stalled", None))
    office.wait(MINUTE)
    (entry,) = office.store.waiting()
    assert all(f"systemctl restart {name}" in entry.message[form] for form in ("text", "markdown", "html"))


def test_a_restart_calls_nobody() -> None:
    policy = {"match": {"kind": "stalled"}, "action": "restart", "run": ["notify", "@ops", "x@everyone", "<!here>"]}
    office = Office(configured(recovery={"mode": "observe", "policies": [policy]}))
    office.find(finding("stalled", None))
    office.wait(MINUTE)
    (entry,) = office.store.waiting()
    assert not any(call in entry.message["text"] for call in ("@ops", "@everyone", "<!here"))

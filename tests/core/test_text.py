"""What strangers wrote leaves bounded, on one line, without credentials; durations and instants as people write."""

import unicodedata
from datetime import UTC, datetime, timedelta, timezone

import pytest
from hypothesis import given
from hypothesis import strategies as st

from watchdog.core.durations import parse_duration, say_duration
from watchdog.core.instants import from_ms, iso, parse_instant, say, to_ms
from watchdog.core.redaction import HIDDEN, fit_to_leave, one_line, redact

BODY = "Zm9vYmFyYmF6cXV4Zm9v"
"""Random to look at. The credentials are put together here, so that no scanner takes this file for a leak."""

SECRETS = {
    "an Anthropic key": f"sk-ant-api03-{BODY}",
    "an OpenAI key": f"sk-proj-{BODY}",
    "a plain sk key": f"sk-{BODY}",
    "a Stripe key": f"sk_live_{BODY}",
    "a Slack bot token": f"xoxb-123456789012-{BODY}",
    "a Slack app token": f"xapp-1-A123-{BODY}",
    "a GitHub token": f"ghp_{BODY}",
    "a fine-grained GitHub token": f"github_pat_{BODY}",
    "a GitLab token": f"glpat-{BODY}",
    "an AWS key id": f"AKIA{BODY.upper()}",
    "a Google key": f"AIza{BODY}",
    "a JSON web token": f"eyJ{BODY}.eyJ{BODY}.{BODY}",
}
AROUND = [
    "{}",
    "401 invalid x-api-key: {}",
    "url?key={}&n=1",
    '{{"key":"{}"}}',
    "({})",
    "tried {}, then gave up",
    "\n{}\n",
]


@pytest.mark.parametrize("around", AROUND)
@pytest.mark.parametrize("which", SECRETS)
def test_a_credential_is_hidden_wherever_it_stands(which: str, around: str) -> None:
    shown = redact(around.format(SECRETS[which]))
    assert HIDDEN in shown
    assert SECRETS[which][-8:] not in shown


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("Authorization: Bearer Zm9vYmFyYmF6cXV4", "Authorization: Bearer [redacted]"),
        ("authorization: basic Zm9vYmFyYmF6cXV4", "authorization: basic [redacted]"),
        ("password=hunter2 for root", "password=[redacted] for root"),
        ("api_key: hunter2, n=1", "api_key: [redacted], n=1"),
        ('{"access_token": "hunter2"}', '{"access_token": "[redacted]"}'),
        ("GET /?token=hunter2&n=1", "GET /?token=[redacted]&n=1"),
        ("x-api-key: hunter2", "x-api-key: [redacted]"),
        ("postgres://agent:hunter2@db:5432/x failed", "postgres://[redacted]@db:5432/x failed"),
        ("https://hunter2@github.com/a/b", "https://[redacted]@github.com/a/b"),
        ("POST https://hooks.slack.com/services/T00/B00/hunter2hunter2", "POST https://[redacted]"),
    ],
)
def test_what_says_that_it_is_secret_is_hidden_and_the_rest_stays(text: str, shown: str) -> None:
    assert redact(text) == shown


@pytest.mark.parametrize(
    "text",
    [
        "Error: 529 overloaded_error: Overloaded",
        "Error: 429 rate_limit_error: This request would exceed your organization's rate limit",
        "connect ECONNREFUSED 127.0.0.1:5432",
        "skipped: task-list is empty",
        "used 12000 tokens of 20000",
        "https://example.org/a@b",
        "user@example.org did not answer",
        "invalid x-api-key",
        "f9a916bd-7179-443e-8c67-aa5f748f9b60",
    ],
)
def test_plain_words_are_left_alone(text: str) -> None:
    assert redact(text) == text


def test_a_credential_at_the_cut_does_not_leave_in_part() -> None:
    for before in range(150, 215):
        shown = fit_to_leave("x" * before + " sk-ant-api03-Zm9vYmFyYmF6cXV4", 200)
        assert "sk-ant-api" not in shown
        assert "Zm9v" not in shown


@given(text=st.text(max_size=300), limit=st.integers(1, 120))
def test_one_line_is_one_line_and_bounded(text: str, limit: int) -> None:
    shown = one_line(text, limit)
    assert len(shown) <= limit
    assert not any(unicodedata.category(character) in ("Cc", "Cf", "Zl", "Zp", "Cs") for character in shown)
    assert shown == " ".join(shown.split())
    assert one_line(shown, limit) == shown


@given(text=st.text(st.characters(codec="utf-8"), max_size=300), limit=st.integers(1, 120))
def test_what_leaves_is_bounded_and_can_be_written_anywhere(text: str, limit: int) -> None:
    shown = fit_to_leave(text, limit)
    assert len(shown) <= limit
    assert shown.encode().decode() == shown


@given(words=st.lists(st.text("abcdefghij", min_size=1, max_size=8), max_size=8))
def test_a_short_plain_text_is_not_changed(words: list[str]) -> None:
    assert one_line(" ".join(words), 100) == " ".join(words)


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("a\r\nb\tc", "a b c"),
        ("  a  ", "a"),
        ("pay\u202etxt.exe", "pay txt.exe"),
        ("a\u200bb", "a b"),
        ("a\u2028b\u2029c\x85d\x00e", "a b c d e"),
        ("Übersicht täglich 日報 ✓", "Übersicht täglich 日報 ✓"),
        ("", ""),
        ("\n\n", ""),
    ],
)
def test_marks_that_mislead_the_eye_are_left_out(text: str, shown: str) -> None:
    assert one_line(text, 100) == shown


def test_a_cut_is_shown() -> None:
    assert one_line("abcdef", 6) == "abcdef"
    assert one_line("abcdefg", 6) == "abcde…"
    assert one_line("abcd efg", 6) == "abcd…"
    assert one_line("x" * 10**7, 5) == "xxxx…"
    assert one_line(" " * 10**6 + "x", 5) == "…"


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        ("90s", 90),
        ("10m", 600),
        ("2h30m", 9000),
        ("7d", 604_800),
        ("500ms", 0.5),
        ("1w", 604_800),
        ("1.5h", 5400),
        (" 5m ", 300),
        ("0s", 0),
        ("1d2h3m4s5ms", 93_784.005),
        ("10 m", 600),
        ("1h 30m", 5400),
        ("2 h 30 min", 9000),
    ],
)
def test_a_duration_is_read_as_people_write_it(text: str, seconds: float) -> None:
    assert parse_duration(text) == timedelta(seconds=seconds)


@given(st.integers(min_value=0, max_value=10 * 366 * 86_400))
def test_a_duration_that_the_program_has_said_can_be_given_back_to_it(seconds: int) -> None:
    said = say_duration(timedelta(seconds=seconds))
    assert say_duration(parse_duration(said)) == said


@pytest.mark.parametrize(
    "text",
    ["", "10", "m", "10 mi", "1h 30", "-5m", "+5m", "5M", "1h30", "1,5h", "five minutes", "٣m", "1e3s", "∞", "10m\n5"],
)  # fmt: skip
def test_what_is_no_duration_is_refused_with_an_example(text: str) -> None:
    with pytest.raises(ValueError, match="with a unit, like 90s, 10m, 2h30m or 7d"):
        parse_duration(text)


@pytest.mark.parametrize("thing", [10, 1.5, None, True, ["10m"]])
def test_a_number_without_a_unit_is_no_duration(thing: object) -> None:
    with pytest.raises(ValueError, match="not a duration"):
        parse_duration(thing)


@pytest.mark.parametrize("text", ["999999999999d", "9" * 400 + "s", "999999999d999999999d"])
def test_a_duration_without_end_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="too long"):
        parse_duration(text)


def test_a_duration_that_is_one_stays_one() -> None:
    assert parse_duration(timedelta(minutes=5)) == timedelta(minutes=5)


@pytest.mark.parametrize(
    ("seconds", "words"),
    [
        (0, "0 s"),
        (0.25, "250 ms"),
        (1, "1 s"),
        (59.6, "1 min"),
        (60, "1 min"),
        (3600, "1 h"),
        (7500, "2 h 5 min"),
        (86_400, "1 d"),
        (86_460, "1 d"),
        (90_000, "1 d 1 h"),
        (-5, "0 s"),
        (31_536_000, "365 d"),
    ],
)
def test_a_duration_is_said_in_its_two_largest_units(seconds: float, words: str) -> None:
    assert say_duration(timedelta(seconds=seconds)) == words


@given(st.timedeltas(min_value=timedelta(seconds=1), max_value=timedelta(days=400)))
def test_what_is_said_of_a_duration_can_be_read_back_to_within_its_smaller_unit(length: timedelta) -> None:
    said = say_duration(length)
    back = parse_duration(said.replace("min", "m").replace(" ", ""))
    assert abs(back - length) < max(length * 0.05, timedelta(seconds=1))


@pytest.mark.parametrize(
    "text",
    [
        "2026-04-29T10:00:11Z",
        "2026-04-29 10:00:11",
        "2026-04-29T10:00:11.000Z",
        "2026-04-29T12:00:11+02:00",
        "2026-04-29T10:00:11",
    ],
)
def test_an_instant_is_read_in_every_format_that_is_written(text: str) -> None:
    instant = parse_instant(text)
    assert instant == datetime(2026, 4, 29, 10, 0, 11, tzinfo=UTC)
    assert instant.utcoffset() == timedelta()


@pytest.mark.parametrize(
    "text",
    ["", "soon", "10:00", "2026", "2026-02-30 00:00:00", "2026-04-29T25:00:00Z", "0001-01-01T00:00:00+14:00",
     "9999-12-31T23:59:59-14:00", "now plus one", "٢٠٢٦-٠٤-٢٩ ١٠:٠٠:١١"],
)  # fmt: skip
def test_what_is_no_instant_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match=r"\w"):
        parse_instant(text)


YEARS = (datetime(1970, 1, 1), datetime(2999, 12, 31))  # noqa: DTZ001 - hypothesis wants them naive


@given(st.datetimes(*YEARS, timezones=st.just(UTC)))
def test_an_instant_survives_being_written_for_programs(instant: datetime) -> None:
    text = iso(instant)
    assert text.endswith("Z")
    assert abs(parse_instant(text) - instant) < timedelta(milliseconds=1)


@given(st.integers(-62_135_596_800_000, 253_402_300_799_999))
def test_milliseconds_survive_both_ways(milliseconds: int) -> None:
    assert to_ms(from_ms(milliseconds)) == milliseconds


def test_instants_are_written_in_utc_whatever_their_zone() -> None:
    instant = datetime(2026, 4, 29, 12, 0, tzinfo=timezone(timedelta(hours=2)))
    assert iso(instant) == "2026-04-29T10:00:00Z"
    assert iso(instant.replace(microsecond=123_456)) == "2026-04-29T10:00:00.123Z"
    assert say(instant) == "2026-04-29 10:00 UTC"
    assert say(instant.replace(second=11)) == "2026-04-29 10:00:11 UTC"

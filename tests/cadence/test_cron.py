"""The cron arithmetic is the watched scheduler's own: held against its answers, and against what its rules imply."""

from __future__ import annotations

import gzip
import json
from datetime import UTC, datetime, timedelta
from itertools import islice, pairwise
from pathlib import Path
from time import thread_time
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from watchdog.cadence.cron import clock_changes, parse
from watchdog.cadence.cron_parser import LONGEST_FIELD, SUPPORTED_RULES, CronError

ROOT = Path(__file__).resolve().parents[2]
CARRIED = ROOT / "tests" / "data" / "cron_fires.jsonl.gz"
LAST_DAYS = ROOT / "tests" / "data" / "cron_last_days.jsonl.gz"
WHOLE = ROOT.parent / "shared" / "cron" / "fires.jsonl.gz"

# The same examples in every run, so that a failure is the change's and not the draw's.
repeatable = settings(derandomize=True, deadline=None, max_examples=150)

HOUR_MS = 3_600_000
DAY_MS = 24 * HOUR_MS

ZONES = (
    "UTC",
    "America/New_York",
    "America/Sao_Paulo",
    "Europe/London",
    "Asia/Kolkata",
    "Australia/Lord_Howe",
    "Antarctica/Troll",
    "Africa/Casablanca",
    "Atlantic/Azores",
    "Pacific/Apia",
)


def ms(text: str) -> int:
    """Epoch milliseconds of an ISO time with its offset."""
    return round(datetime.fromisoformat(text).timestamp() * 1000)


def chain(expr: str, zone: str, after: str, count: int) -> list[str]:
    """The first fires as UTC times to the minute."""
    fires = islice(parse(expr, zone).fires(ms(after)), count)
    return [datetime.fromtimestamp(fire / 1000, UTC).strftime("%Y-%m-%dT%H:%MZ") for fire in fires]


# --- the scheduler's own answers


def answer(case: dict[str, Any]) -> list[int] | str:
    try:
        fires = parse(case["expr"], case.get("tz") or "UTC").fires(case.get("after_ms", 0))
        return list(islice(fires, len(case.get("fires_ms", [0]))))
    except CronError:
        return "refused"


def differing(table: Path) -> list[tuple[dict[str, Any], list[int] | str]]:
    with gzip.open(table, "rt", encoding="utf-8") as lines:
        cases = [json.loads(line) for line in lines]
    assert len(cases) > 400
    answers = ((case, answer(case)) for case in cases)
    return [(case, got) for case, got in answers if got != ("refused" if case.get("error") else case["fires_ms"])]


def test_it_gives_the_schedulers_own_answers() -> None:
    assert differing(CARRIED) == []


def test_every_place_of_an_l_among_the_days_means_what_it_means_to_croner() -> None:
    assert differing(LAST_DAYS) == []


@pytest.mark.parametrize("days", ["15L", "L15", "15l", "15,L", "L,15", "15L,15", "15,,L", "1L5"])
def test_a_day_with_an_l_is_that_day_and_the_last(days: str) -> None:
    found = [datetime.fromtimestamp(ms / 1000, UTC).day for ms in islice(parse(f"0 0 {days} * *", "UTC").fires(0), 4)]
    assert found == [15, 31, 15, 28]


def test_it_gives_all_of_the_schedulers_recorded_answers() -> None:
    if not WHOLE.exists():
        pytest.skip("the whole table of the scheduler's answers is not beside this checkout")
    assert differing(WHOLE) == []


# --- reading


@pytest.mark.parametrize(
    ("expr", "field"),
    [
        ("60 * * * *", "minute"),
        ("*/61 * * * *", "minute"),
        ("*/0 * * * *", "minute"),
        ("/5 * * * *", "minute"),
        ("5/15 * * * *", "minute"),
        ("1- * * * *", "minute"),
        ("MON * * * *", "minute"),
        ("0 24 * * *", "hour"),
        ("0 */25 * * *", "hour"),
        ("0 22-2 * * *", "hour"),
        ("0 0 0 * *", "day-of-month"),
        ("0 0 32W * *", "day-of-month"),
        ("0 0 W * *", "day-of-month"),
        ("0 0 1-5W * *", "day-of-month"),
        ("0 0 1#2 * *", "day-of-month"),
        ("0 0 L-3 * *", "day-of-month"),
        ("0 0 +1 * *", "day-of-month"),
        ("0 0 1 0 *", "month"),
        ("0 0 1 JANUARY *", "month"),
        ("0 0 1 */13 *", "month"),
        ("0 0 * * 8", "day-of-week"),
        ("0 0 * * FRI-MON", "day-of-week"),
        ("0 0 * * L", "day-of-week"),
        ("0 0 * * *L", "day-of-week"),
        ("0 0 * * *#2", "day-of-week"),
        ("0 0 * * 5#0", "day-of-week"),
        ("0 0 * * 5#6", "day-of-week"),
        ("0 0 * * 5#", "day-of-week"),
        ("0 0 * * +", "day-of-week"),
        ("0 0 * * */8", "day-of-week"),
        ("0 0 * * 1,", "day-of-week"),
        ("@daily", "expression"),
        ("", "expression"),
        ("0 0 * *", "expression"),
        ("0 0 0 * * *", "expression"),
    ],
)
def test_a_refused_expression_is_told_in_one_line_that_names_the_field_and_what_is_accepted(
    expr: str, field: str
) -> None:
    with pytest.raises(CronError) as refused:
        parse(expr)
    text = str(refused.value)
    assert text.startswith(field)
    assert "accepted: " in text
    assert "\n" not in text


def test_a_refusal_quotes_what_was_written_and_not_what_it_was_turned_into() -> None:
    with pytest.raises(CronError, match=r"day-of-week: 'Sat-Tue' runs backwards"):
        parse("0 0 * * 1,Sat-Tue")


def test_a_field_of_more_than_256_characters_is_refused_unread() -> None:
    longest = "0," * (LONGEST_FIELD // 2 - 1) + "00"
    assert parse(f"{longest} * * * *").next(0) == HOUR_MS
    with pytest.raises(CronError, match=r"^minute: 258 characters long"):
        parse(f"0,{longest} * * * *")


@pytest.mark.parametrize("digit", ["１", "٣", "²"])
def test_only_ascii_digits_are_digits(digit: str) -> None:
    with pytest.raises(CronError, match=r"^hour: .* not ASCII"):
        parse(f"0 {digit} * * *")


@pytest.mark.parametrize("expr", ["0\t0 * * *", "  0 0  * * *\n", "\u00a00 0 * *\u2003* \ufeff"])
def test_fields_are_parted_by_any_run_of_javascript_blanks(expr: str) -> None:
    assert list(islice(parse(expr).fires(0), 3)) == [DAY_MS, 2 * DAY_MS, 3 * DAY_MS]


def test_what_only_python_takes_for_a_blank_does_not_part_fields() -> None:
    with pytest.raises(CronError):
        parse("0 0 * *\x1c*")


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("0 0 * jan-MAR,Dec *", "0 0 * 1-3,12 *"),
        ("0 0 * * sat-SUN", "0 0 * * 6,0"),
        ("0 0 * * SUN-SUN", "0 0 * * *"),
        ("0 0 * * friL", "0 0 * * 5#l"),
        ("0 0 * * 7#2,MON#1", "0 0 * * SUN#2,1#1"),
        ("0 0 * * 1-3#2", "0 0 * * 1#2,2#2,3#2"),
        ("0 0 * * 1-3L", "0 0 * * 1L,2L,3L"),
        ("0 0 * * MON#2,MON", "0 0 * * MON"),
        ("0 0 ? * ?", "0 0 * * *"),
        ("?/20 * * * *", "*/20 * * * *"),
        ("0 0 007 * *", "0 0 7 * *"),
        ("*/60 */24 */31 */12 */7", "0 0 1 1 0"),
    ],
)
def test_two_ways_to_write_a_schedule_fire_alike(one: str, other: str) -> None:
    after = ms("2026-06-15T08:17:23.456Z")
    assert list(islice(parse(one).fires(after), 40)) == list(islice(parse(other).fires(after), 40))


def test_an_unknown_zone_is_refused_in_one_line() -> None:
    for zone in ("Europe/Nowhere", "", "../UTC", "Europe", "a\0b", "x" * 5000, "Zürich\n"):
        with pytest.raises(CronError, match=r"^time zone: [^\n]{1,80} is not known; accepted: [^\n]+$"):
            parse("0 0 * * *", zone)


def test_a_zone_is_known_by_its_name_in_any_case_and_given_back_as_iana_has_it() -> None:
    assert parse("0 0 * * *", "europe/BERLIN").zone == "Europe/Berlin"


def test_only_rules_that_are_known_are_accepted() -> None:
    assert 11 not in SUPPORTED_RULES
    with pytest.raises(ValueError, match=r"croner 11 are not known; supported: 10$"):
        parse("0 0 * * *", "UTC", 11)


# --- days


def test_a_restricted_day_of_month_and_day_of_week_are_alternatives() -> None:
    assert chain("0 0 13 * FRI", "UTC", "2026-11-01T00:00Z", 4) == [
        "2026-11-06T00:00Z",
        "2026-11-13T00:00Z",
        "2026-11-20T00:00Z",
        "2026-11-27T00:00Z",
    ]


def test_with_a_plus_both_days_must_match() -> None:
    assert chain("0 0 13 * +FRI", "UTC", "2026-01-01T00:00Z", 3) == [
        "2026-02-13T00:00Z",
        "2026-03-13T00:00Z",
        "2026-11-13T00:00Z",
    ]


def test_a_question_mark_is_no_star_to_the_choice_between_or_and_and() -> None:
    assert chain("0 0 ? * MON", "UTC", "2026-11-02T00:00Z", 2) == ["2026-11-03T00:00Z", "2026-11-04T00:00Z"]
    assert chain("0 0 * * MON", "UTC", "2026-11-02T00:00Z", 2) == ["2026-11-09T00:00Z", "2026-11-16T00:00Z"]


def test_the_nearest_weekday_stays_within_its_month() -> None:
    assert chain("0 0 1W * *", "UTC", "2026-07-15T00:00Z", 2) == ["2026-08-03T00:00Z", "2026-09-01T00:00Z"]
    assert chain("0 0 31W * *", "UTC", "2026-05-01T00:00Z", 2) == ["2026-05-29T00:00Z", "2026-07-31T00:00Z"]


def test_last_days_and_nearest_weekdays_can_be_listed_with_others() -> None:
    assert chain("0 0 L,15W,20 * *", "UTC", "2026-05-01T00:00Z", 4) == [
        "2026-05-15T00:00Z",
        "2026-05-20T00:00Z",
        "2026-05-31T00:00Z",
        "2026-06-15T00:00Z",
    ]


@pytest.mark.parametrize("days", ["L,15W,LW", "LW,15", "1,lw"])
def test_the_last_weekday_stands_alone(days: str) -> None:
    with pytest.raises(CronError, match="day-of-month"):
        parse(f"0 0 {days} * *", "UTC")


def test_days_that_february_lacks_skip_as_many_days_of_march() -> None:
    assert chain("0 0 1,30 * *", "UTC", "2027-02-01T00:00Z", 2) == ["2027-03-30T00:00Z", "2027-04-01T00:00Z"]
    assert chain("0 0 1,2,31 * *", "UTC", "2027-02-02T00:00Z", 1) == ["2027-03-31T00:00Z"]
    assert chain("0 0 1,30 * *", "UTC", "2028-02-01T00:00Z", 1) == ["2028-03-01T00:00Z"]


def test_from_a_wanted_last_day_of_february_no_day_of_march_is_skipped() -> None:
    assert chain("0 0 1,28,30 * *", "UTC", "2027-02-27T00:00Z", 2) == ["2027-02-28T00:00Z", "2027-03-01T00:00Z"]


def test_the_latest_fire_is_not_one_that_february_skipped() -> None:
    cron = parse("0 0 1,30 * *")
    assert cron.at_or_before(ms("2027-03-05T00:00Z")) == ms("2027-02-01T00:00Z")
    assert cron.at_or_before(ms("2028-03-05T00:00Z")) == ms("2028-03-01T00:00Z")
    assert parse("0 0 1,28,30 * *").at_or_before(ms("2027-03-05T00:00Z")) == ms("2027-03-01T00:00Z")
    assert parse("0 0 1-3,31 * *").at_or_before(ms("2027-03-02T12:00Z")) == ms("2027-02-03T00:00Z")


@pytest.mark.parametrize(
    "expr",
    [
        "0 0 30 2 *",
        "0 0 31 2 *",
        "0 0 31 4,6,9,11 *",
        "0 0 20 * +MON#1",
        "0 0 31 2,4,6,9,11 +MON",
        "0 0 31W 2,4 *",
    ],
)
def test_a_schedule_without_a_date_never_fires_and_says_so_at_once(expr: str) -> None:
    cron = parse(expr, "America/New_York")
    start = thread_time()
    assert cron.next(ms("2026-01-01T00:00Z")) is None
    assert cron.at_or_before(ms("2026-01-01T00:00Z")) is None
    assert list(cron.fires(0)) == []
    assert thread_time() - start < 0.5


def test_the_rarest_date_is_found_across_a_century_without_a_leap_day() -> None:
    assert chain("0 0 * 2 +MON#5", "UTC", "2026-01-01T00:00Z", 1) == ["2044-02-29T00:00Z"]
    assert chain("0 0 29 2 +WED", "UTC", "2084-02-29T00:00Z", 1) == ["2096-02-29T00:00Z"]
    assert chain("0 0 29 2 +THU", "UTC", "2080-02-29T00:00Z", 1) == ["2120-02-29T00:00Z"]


def test_nothing_fires_from_the_year_3000_on() -> None:
    cron = parse("0 0 * * *")
    last = ms("2999-12-31T00:00Z")
    assert cron.next(last - 1) == last
    assert cron.next(last) is None
    assert cron.next(10**18) is None
    assert cron.at_or_before(10**18) == last


def test_instants_before_all_calendars_are_answered_too() -> None:
    cron = parse("0 0 1 1 *", "America/New_York")
    fire = cron.next(-(10**18))
    assert fire is not None
    assert fire < ms("0003-01-02T00:00Z")
    assert cron.at_or_before(-(10**18)) is None


# --- the clock


def test_milliseconds_do_not_count() -> None:
    cron = parse("* * * * *")
    assert cron.next(60_000) == 120_000
    assert cron.next(60_999) == 120_000
    assert cron.next(59_999) == 60_000
    assert cron.next(-1) == 0


def test_a_time_that_clocks_skip_fires_the_gaps_length_later() -> None:
    assert chain("30 2 * * *", "America/New_York", "2027-03-14T00:00Z", 2) == ["2027-03-14T07:30Z", "2027-03-15T06:30Z"]
    assert chain("15 2 * * *", "Australia/Lord_Howe", "2027-10-02T00:00Z", 1) == ["2027-10-02T15:45Z"]
    assert chain("0 0 * * *", "America/Sao_Paulo", "2018-11-03T12:00Z", 1) == ["2018-11-04T03:00Z"]
    assert chain("0 12 * * *", "Pacific/Apia", "2011-12-29T12:00Z", 3) == [
        "2011-12-29T22:00Z",
        "2011-12-30T22:00Z",
        "2011-12-31T22:00Z",
    ]


def test_the_repeated_hour_is_skipped() -> None:
    assert chain("0 * * * *", "America/New_York", "2027-11-07T04:30Z", 2) == ["2027-11-07T05:00Z", "2027-11-07T07:00Z"]
    assert chain("30 2 * * *", "Europe/Berlin", "2027-10-31T00:00Z", 2) == ["2027-10-31T00:30Z", "2027-11-01T01:30Z"]


def test_a_repeat_of_half_an_hour_fires_in_its_second_pass() -> None:
    assert chain("45 1 * * *", "Australia/Lord_Howe", "2027-04-03T12:00Z", 1) == ["2027-04-03T15:15Z"]


def test_asked_from_inside_the_second_pass_it_answers_an_instant_in_the_past() -> None:
    inside = ms("2027-11-07T06:10Z")
    assert parse("*/15 * * * *", "America/New_York").next(inside) == inside - 55 * 60_000


def test_the_latest_fire_inside_the_second_pass_is_the_last_of_the_first() -> None:
    cron = parse("*/15 * * * *", "America/New_York")
    assert cron.at_or_before(ms("2027-11-07T06:10Z")) == ms("2027-11-07T05:45Z")
    assert cron.at_or_before(ms("2027-11-07T07:00Z")) == ms("2027-11-07T07:00Z")


def test_the_latest_fire_is_not_one_that_a_fire_pushed_out_of_a_gap_overtook() -> None:
    cron = parse("10,35 * * * *", "Australia/Lord_Howe")
    assert list(islice(cron.fires(ms("2027-10-03T01:20+10:30")), 3)) == [
        ms("2027-10-03T01:35+10:30"),
        ms("2027-10-03T02:40+11:00"),
        ms("2027-10-03T03:10+11:00"),
    ]
    assert cron.at_or_before(ms("2027-10-03T02:37+11:00")) == ms("2027-10-03T01:35+10:30")


def test_the_latest_fire_is_looked_for_five_years_back_and_no_further() -> None:
    cron = parse("0 0 29 2 *")
    assert cron.at_or_before(ms("2031-06-01T00:00Z")) == ms("2028-02-29T00:00Z")
    rare = parse("0 0 29 2 +TUE")
    assert rare.at_or_before(ms("2033-02-28T00:00Z")) == ms("2028-02-29T00:00Z")
    assert rare.at_or_before(ms("2033-06-01T00:00Z")) is None
    assert rare.at_or_before(ms("2050-01-01T00:00Z")) is None


def test_clock_changes_are_told_to_the_second() -> None:
    changes = clock_changes("America/New_York", ms("2027-01-01T00:00Z"), ms("2028-01-01T00:00Z"))
    assert changes == (ms("2027-03-14T07:00Z"), ms("2027-11-07T06:00Z"))
    assert clock_changes("America/New_York", changes[0], changes[1]) == (changes[1],)
    assert clock_changes("America/New_York", changes[0], changes[1] - 1) == ()
    half = clock_changes("Australia/Lord_Howe", ms("2027-01-01T00:00Z"), ms("2027-12-31T00:00Z"))
    assert half == (ms("2027-04-03T15:00Z"), ms("2027-10-02T15:30Z"))


def test_a_zone_without_daylight_saving_has_no_clock_changes() -> None:
    span = (ms("2000-01-01T00:00Z"), ms("2040-01-01T00:00Z"))
    for zone in ("UTC", "Etc/GMT+5", "Asia/Kolkata"):
        assert clock_changes(zone, *span) == ()


def test_a_zones_history_is_found_whole() -> None:
    changes = clock_changes("Africa/Casablanca", ms("2012-01-01T00:00Z"), ms("2019-01-01T00:00Z"))
    assert len(changes) == 27
    zone = ZoneInfo("Africa/Casablanca")
    for change in changes:
        before, after = (datetime.fromtimestamp(second, zone) for second in (change // 1000 - 1, change // 1000))
        assert before.utcoffset() != after.utcoffset()


# --- what holds for every schedule

EARLY, LATE = ms("2005-01-01T00:00Z"), ms("2045-01-01T00:00Z")


@st.composite
def value_sets(draw: st.DrawFn, low: int, high: int) -> frozenset[int]:
    if draw(st.booleans()):
        return frozenset(range(low, high + 1, draw(st.integers(1, high - low))))
    return draw(st.frozensets(st.integers(low, high), min_size=1, max_size=5))


def written(values: frozenset[int]) -> str:
    return ",".join(str(value) for value in sorted(values))


@st.composite
def plain_schedules(draw: st.DrawFn) -> tuple[list[frozenset[int] | None], str]:
    """The wanted values of each field (None for a star), and the expression that asks for them."""
    spans = ((0, 59), (0, 23), (1, 31), (1, 12), (0, 6))
    wanted = [draw(st.none() | value_sets(low, high)) for low, high in spans]
    return wanted, " ".join("*" if values is None else written(values) for values in wanted)


DAYS_OF_MONTH = ("*", "?", "L", "LW", "15W", "1W,L", "31", "1,30", "*/10", "28-31", "1-7,15L", "29")
WEEKDAYS = ("*", "?", "MON", "1-5", "FRIL", "2#5", "sun#1,WED#L", "+MON", "+TUE-THU", "+5L", "7", "*/3")
TIMES = ("30 2", "0 *", "*/15 1-3", "* *", "0 0", "59 23", "7,45 0,2", "*/20 */2")
MONTHS = ("*", "2-3", "MAR,OCT,NOV", "*/2", "2")
expressions = st.builds(
    "{} {} {} {}".format,
    st.sampled_from(TIMES),
    st.sampled_from(DAYS_OF_MONTH),
    st.sampled_from(MONTHS),
    st.sampled_from(WEEKDAYS),
)
zones = st.sampled_from(ZONES)
anywhere = st.integers(EARLY, LATE)


@st.composite
def zoned_instants(draw: st.DrawFn) -> tuple[str, int]:
    """A zone and an instant, half of the time within hours of one of its clock changes."""
    zone, instant, near = draw(zones), draw(anywhere), draw(st.booleans())
    changes = clock_changes(zone, instant - 200 * DAY_MS, instant + 200 * DAY_MS)
    if changes and near:
        instant = draw(st.sampled_from(changes)) + draw(st.integers(-3 * HOUR_MS, 3 * HOUR_MS))
    return zone, instant


def offset_ms(zone: str, instant: int) -> int:
    shift = datetime.fromtimestamp(instant // 1000, ZoneInfo(zone)).utcoffset()
    assert shift is not None
    return shift // timedelta(milliseconds=1)


def wall_ms(zone: str, instant: int) -> int:
    return instant + offset_ms(zone, instant)


@repeatable
@given(expressions, zoned_instants())
def test_fires_always_go_forward_but_for_a_question_from_inside_a_repeated_hour(
    expr: str, asked: tuple[str, int]
) -> None:
    zone, after = asked
    fires = list(islice(parse(expr, zone).fires(after), 8))
    assert all(earlier < later for earlier, later in pairwise(fires))
    if fires and fires[0] <= after:
        assert wall_ms(zone, fires[0]) > wall_ms(zone, after) // 1000 * 1000
        assert offset_ms(zone, fires[0]) > offset_ms(zone, after)


def wants(wanted: list[frozenset[int] | None], wall: datetime) -> bool:
    """Classic cron's rule, said as plainly as can be."""
    minutes, hours, days, months, weekdays = wanted
    day = days is None or wall.day in days
    weekday = weekdays is None or wall.isoweekday() % 7 in weekdays
    either = days is not None and weekdays is not None
    return (
        (minutes is None or wall.minute in minutes)
        and (hours is None or wall.hour in hours)
        and (months is None or wall.month in months)
        and (day or weekday if either else day and weekday)
    )


@repeatable
@given(plain_schedules(), zoned_instants())
def test_every_fire_is_wanted_by_the_local_clock_or_was_pushed_out_of_a_gap(
    schedule: tuple[list[frozenset[int] | None], str], asked: tuple[str, int]
) -> None:
    wanted, expr = schedule
    zone, after = asked
    for fire in islice(parse(expr, zone).fires(after), 5):
        wall = datetime.fromtimestamp(fire // 1000, ZoneInfo(zone))
        gap = timedelta(milliseconds=offset_ms(zone, fire) - offset_ms(zone, fire - 2 * DAY_MS))
        pushed = gap > timedelta(0) and wants(wanted, wall.replace(tzinfo=None) - gap)
        assert wants(wanted, wall) or pushed
        assert fire % 60_000 == 0


@repeatable
@given(plain_schedules(), anywhere)
def test_between_two_fires_no_wanted_minute_is_left_out(
    schedule: tuple[list[frozenset[int] | None], str], after: int
) -> None:
    wanted, expr = schedule
    fire = parse(expr).next(after)
    horizon = min(LATE if fire is None else fire, after + 2 * DAY_MS)
    start = datetime.fromtimestamp(after // 60_000 * 60, UTC)
    assume(start.month != 3 or start.day > 2)
    assume((start + timedelta(days=2)).month != 3 or start.month == 3)
    for minute in range(1, 2 * 1440):
        wall = start + timedelta(minutes=minute)
        if wall.timestamp() * 1000 >= horizon:
            return
        assert not wants(wanted, wall)


@repeatable
@given(expressions.filter(lambda expr: not expr.startswith("* *")), zoned_instants())
def test_the_latest_fire_is_the_one_that_a_running_scheduler_made(expr: str, asked: tuple[str, int]) -> None:
    zone, at = asked
    started = datetime.fromtimestamp(at // 1000, UTC) - timedelta(days=40)
    assume(started.month != 3)
    fires = []
    for fire in parse(expr, zone).fires(at - 40 * DAY_MS):
        if fire > at:
            break
        fires.append(fire)
    assume(fires)
    assert parse(expr, zone).at_or_before(at) == fires[-1]


@repeatable
@given(expressions, zoned_instants())
def test_the_latest_fire_at_a_fire_is_that_fire_away_from_clock_changes(expr: str, asked: tuple[str, int]) -> None:
    zone, after = asked
    fire = parse(expr, zone).next(after)
    assume(fire is not None)
    assert fire is not None
    assume(not clock_changes(zone, fire - 2 * DAY_MS, fire + 2 * DAY_MS))
    wall = datetime.fromtimestamp(wall_ms(zone, fire) // 1000, UTC)
    # Asked on 1 March, the scheduler does not know that it would have skipped the day.
    assume((wall.month, wall.day) not in ((3, 1), (3, 2)))
    assert parse(expr, zone).at_or_before(fire) == fire
    assert parse(expr, zone).at_or_before(fire + 59_999) == fire


cron_alphabet = "0123456789*/,-#?+LWlwSUNMOFRIjandec @\t.\n"


@repeatable
@given(
    st.text()
    | st.text(cron_alphabet)
    | st.lists(st.text(cron_alphabet, max_size=8), min_size=5, max_size=5).map(" ".join)
)
def test_any_text_is_read_or_refused_and_never_fails_otherwise(text: str) -> None:
    refusal = ""
    try:
        cron = parse(text)
        cron.next(0)
        cron.at_or_before(LATE)
    except CronError as refused:
        refusal = str(refused)
    assert "\n" not in refusal
    assert len(refusal) < 300


@repeatable
@given(st.text())
def test_any_zone_name_is_known_or_refused_and_never_fails_otherwise(text: str) -> None:
    try:
        zone = parse("0 0 * * *", text).zone
    except CronError:
        return
    assert zone.lower() == text.lower()


def test_a_huge_expression_is_refused_in_no_time() -> None:
    start = thread_time()
    for expr in ("9" * 10**6 + " * * * *", "1," * 10**5 + " * * * *", " " * 10**6, "* " * 10**5):
        with pytest.raises(CronError):
            parse(expr)
    assert thread_time() - start < 2


def test_a_schedule_asked_for_again_is_not_read_again() -> None:
    assert parse("5 5 * * *", "Europe/Paris") is parse("5 5 * * *", "Europe/Paris")

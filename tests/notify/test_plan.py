"""Who is told what, and when: on a virtual clock, with nothing sent."""

from datetime import UTC, datetime, timedelta
from itertools import pairwise
from typing import Any

import pytest

from tests.conftest import NOW
from tests.support.telling import DAY, HOUR, MINUTE, SECOND, Office, configured, failing, finding, job
from watchdog.config.file import Owner, QuietHours
from watchdog.config.owners import Subject, owner_name, owners_of
from watchdog.core.model import Finding, Job
from watchdog.notify.dispatch import open_book
from watchdog.notify.plan import quiet_until
from watchdog.notify.targets import address_of, names_of, parse_key

GROUP_WAIT = 20 * SECOND


def office(*owners: dict[str, Any], now: datetime = NOW, jobs: tuple[Job, ...] = (), **notify: Any) -> Office:
    """An office with these owners."""
    made = Office(configured(owners=list(owners) or [{"notify": ["ops"]}], notify=notify), now=now)
    made.jobs = jobs
    return made


def opened(made: Office, *findings: Finding) -> Office:
    """The same, after it has found this and has waited for what belongs to it."""
    made.find(*(findings or (finding("overdue"),)))
    made.wait(GROUP_WAIT)
    return made


def over(made: Office) -> None:
    """All is well, and stays so for the hold."""
    made.find()
    made.wait(5 * MINUTE)


def failed(name: str) -> Finding:
    """A job that was given up, with errors of the class that `failing` has."""
    return finding("failed", name, error_class="transient")


def times(made: Office, event: str, target: str = "ops") -> list[timedelta]:
    """How long after NOW the target was told of such an event."""
    return [letter.at - NOW for letter in made.letters if (letter.event, letter.target) == (event, target)]


# once, and when it is over


def test_it_is_told_once_after_a_short_wait_for_what_belongs_to_it() -> None:
    made = opened(office())
    made.wait(23 * HOUR)
    assert made.told == [("ops", "opened")]
    assert times(made, "opened") == [GROUP_WAIT]


def test_what_is_over_before_anybody_was_told_is_never_told() -> None:
    made = office()
    made.find(finding("overdue"))
    made.wait(10 * SECOND)
    made.find()
    made.wait(DAY)
    assert made.told == []


def test_the_end_is_told_once_to_those_who_were_told_of_the_beginning() -> None:
    made = opened(office())
    over(made)
    made.wait(2 * DAY)
    assert made.told == [("ops", "opened"), ("ops", "resolved")]
    assert times(made, "resolved") == [GROUP_WAIT + 5 * MINUTE]


def test_the_end_is_not_told_where_nobody_wants_to_know() -> None:
    made = opened(office(resolved=False))
    over(made)
    assert made.told == [("ops", "opened")]


def test_an_incident_that_went_under_its_cause_is_not_called_over() -> None:
    made = opened(office())
    stall = finding("stalled", None)
    made.find(stall, finding("overdue", under=stall))
    made.wait(10 * MINUTE)
    assert made.told == [("ops", "opened"), ("ops", "opened")]
    assert "stands still" in made.letters[-1].title


def test_what_is_made_up_after_its_cause_is_gone_is_not_told_and_what_is_not_is() -> None:
    stall = finding("stalled", None)
    made = opened(office(), stall, finding("overdue", "a", under=stall), finding("overdue", "b", under=stall))
    made.find(finding("overdue", "a"), finding("overdue", "b"))
    made.wait(4 * MINUTE)
    made.find(finding("overdue", "b"))
    made.wait(6 * MINUTE)
    assert sorted(made.told) == [("ops", "opened"), ("ops", "opened"), ("ops", "resolved")]
    assert "WARNING: b is overdue" in [letter.title for letter in made.letters]


def test_an_end_is_told_even_if_one_of_the_jobs_moved_under_another_cause() -> None:
    made = opened(office(), finding("overdue", "a"), finding("overdue", "b"))
    run = finding("long_run", "triage")
    made.find(run, finding("overdue", "a", under=run))
    made.wait(10 * MINUTE)
    assert made.told == [("ops", "opened"), ("ops", "opened"), ("ops", "resolved")]
    assert made.letters[-1].title == "Over: 2 jobs are overdue: a and 1 more (for 20 s)"


def test_getting_worse_is_told_at_once() -> None:
    made = opened(office(), failing("heartbeat"))
    made.find(finding("failed", error_class="transient"))
    made.find(finding("failed", error_class="transient"))
    assert made.told == [("ops", "opened"), ("ops", "worse")]


@pytest.mark.parametrize("minutes", [2, 4, 7, 10, 13, 30, 61, 660])
def test_a_job_that_flaps_for_a_day_is_told_of_three_times_at_most(minutes: int) -> None:
    made = office()
    is_well = True
    while made.now < NOW + DAY:
        is_well = not is_well
        made.find(*([] if is_well else [finding("wedged")]))
        made.wait(min(minutes * MINUTE, NOW + DAY - made.now))
    assert made.told[:1] == [("ops", "opened")]
    assert len(made.told) <= 3


@pytest.mark.parametrize("minutes", [90, 120, 180, 300])
def test_an_outage_that_stands_again_is_told_within_the_hour_and_so_is_its_end(minutes: int) -> None:
    made = office(remind_every="0s")
    for _ in range(3):
        made.find(finding("stalled", None))
        made.wait(minutes * MINUTE)
        made.find()
        made.wait(minutes * MINUTE)
    assert [event for _, event in made.told][:6] == ["opened", "resolved", "back", "resolved", "back", "resolved"]
    began = 4 * minutes * MINUTE
    assert times(made, "back")[1] - began <= 65 * MINUTE
    assert times(made, "resolved")[2] - (began + minutes * MINUTE) <= 65 * MINUTE


@pytest.mark.parametrize("minutes", [61, 75, 90, 180])
def test_however_long_its_spells_what_comes_and_goes_all_day_is_told_in_a_few_messages(minutes: int) -> None:
    made = office()
    while made.now < NOW + DAY:
        made.find(finding("wedged"))
        made.wait(minutes * MINUTE)
        made.find()
        made.wait(minutes * MINUTE)
    assert len(made.told) <= 8


@pytest.mark.parametrize("minutes", [3, 30])
def test_the_short_second_outage_of_a_day_is_over_as_soon_as_the_first_one_was(minutes: int) -> None:
    made = opened(office(remind_every="0s"))
    over(made)
    made.wait(12 * HOUR)
    began = made.now
    made.find(finding("overdue"))
    made.wait(minutes * MINUTE)
    over(made)
    assert [event for _, event in made.told] == ["opened", "resolved", "back", "resolved"]
    assert times(made, "resolved")[1] - (began - NOW) <= (minutes + 5) * MINUTE


def test_short_outages_hours_apart_are_told_of_twice_a_day() -> None:
    made = office(remind_every="0s")
    while made.now < NOW + DAY:
        made.find(finding("overdue"))
        made.wait(5 * MINUTE)
        made.find()
        made.wait(3 * HOUR)
    assert [event for _, event in made.told] == ["opened", "resolved", "back", "resolved"]


def test_a_job_that_flaps_beside_one_that_stays_is_no_flood() -> None:
    made = opened(office(), finding("undelivered", "alpha"))
    for _ in range(36):
        made.find(finding("undelivered", "alpha"), finding("undelivered", "relay"))
        made.wait(10 * MINUTE)
        made.find(finding("undelivered", "alpha"))
        made.wait(10 * MINUTE)
    assert "relay" in made.letters[1].title
    assert len(made.told) <= 4


@pytest.mark.parametrize("hours", [20, 25])
def test_a_job_of_a_storm_that_fails_again_long_after_it_was_well_is_told(hours: int) -> None:
    made = opened(office(), failing("a"), failing("b"))
    made.find(failing("a"))
    made.wait(hours * HOUR)
    before = len(made.told)
    made.find(failing("a"), failing("b"))
    made.wait(3 * HOUR)
    assert any("b keeps failing" in letter.title for letter in made.letters[before:])


# each target's own part


def test_who_shares_a_storm_hears_of_their_own_jobs_only_how_grave_they_are_and_when_they_are_well() -> None:
    made = opened(
        office({"match": {"job": "mine"}, "notify": ["ops"]}, {"notify": ["boss"]}), failing("mine"), failed("b")
    )
    assert [(letter.target, letter.title) for letter in made.letters] == [
        ("ops", "WARNING: mine keeps failing"),
        ("boss", "CRITICAL: b was given up"),
    ]
    made.find(failed("b"))
    made.wait(5 * MINUTE)
    assert made.told[2:] == [("ops", "resolved")]
    made.find()
    made.wait(5 * MINUTE)
    assert made.told[3:] == [("boss", "resolved")]


def test_a_critical_of_ones_own_is_worse_whatever_the_others_have() -> None:
    made = opened(
        office({"match": {"job": "mine"}, "notify": ["ops"]}, {"notify": ["boss"]}), failing("mine"), failed("b")
    )
    made.wait(MINUTE)
    made.find(failed("mine"), failed("b"))
    assert made.told[2:] == [("ops", "worse")]


def test_a_warning_waits_for_the_end_of_ones_quiet_hours_whatever_the_others_have() -> None:
    mine = {"match": {"job": "mine"}, "notify": ["ops"], "quiet_hours": {"from": "10:00", "to": "14:00"}}
    made = opened(office(mine, {"notify": ["boss"]}), failing("mine"), failed("b"))
    made.wait(3 * HOUR)
    assert (made.told, times(made, "opened")) == ([("boss", "opened"), ("ops", "opened")], [2 * HOUR])


def test_an_acknowledgement_covers_what_was_there_when_it_was_given() -> None:
    made = opened(office(ESCALATES, remind_every="1h"), failing("a"))
    made.acknowledge()
    made.wait(10 * MINUTE)
    made.find(failing("a"), failed("payments"))
    made.wait(59 * MINUTE)
    assert made.told[1:] == [("ops", "worse"), ("boss", "escalated")]
    assert made.letters[-1].title == "Not acknowledged, CRITICAL: payments was given up"
    made.wait(MINUTE)
    assert [letter.title for letter in made.letters if letter.event == "reminder"] == [
        "Still CRITICAL: payments was given up (for 1 h)"
    ]


def test_another_error_is_another_thing_to_take_on() -> None:
    made = opened(office(remind_every="1h"), failing("a"))
    made.acknowledge()
    made.wait(2 * HOUR)
    made.find(failing("a", "permanent"))
    made.wait(MINUTE)
    assert made.told == [("ops", "opened"), ("ops", "worse")]


def test_what_was_taken_on_by_mistake_can_be_given_back() -> None:
    made = opened(office(ESCALATES, remind_every="1h"))
    made.acknowledge()
    made.wait(HOUR)
    assert made.store.unacknowledge(1, made.now, "anna")
    made.look()
    assert made.told[1:] == [("ops", "reminder"), ("boss", "escalated")]


def test_a_second_job_that_is_given_up_is_told_within_minutes_though_the_first_was() -> None:
    made = opened(office(), failed("a"))
    made.wait(30 * MINUTE)
    made.find(failed("a"), failed("b"))
    made.wait(MINUTE)
    assert made.told[1:] == [("ops", "joined")]
    assert made.letters[-1].title == "More of it, CRITICAL: b was given up (2 jobs in all)"


def test_two_that_join_within_seconds_are_one_message_and_one_for_seconds_is_none() -> None:
    made = opened(office(), failed("a"))
    made.wait(30 * MINUTE)
    made.find(failed("a"), failed("b"))
    made.wait(5 * SECOND)
    made.find(failed("a"))
    made.wait(MINUTE)
    assert made.told == [("ops", "opened")]
    made.find(failed("a"), failed("c"))
    made.wait(5 * SECOND)
    made.find(failed("a"), failed("c"), failed("d"))
    made.wait(2 * HOUR)
    assert made.told == [("ops", "opened"), ("ops", "joined")]
    assert made.letters[-1].title == "More of it, CRITICAL: 2 jobs were given up: c and 1 more (3 jobs in all)"


def test_a_storm_that_grows_for_forty_minutes_is_a_few_messages_and_the_last_one_counts_all() -> None:
    made = office()
    for number in range(1, 301):
        made.find(*(failed(f"job-{one}") for one in range(number)))
        made.wait(8 * SECOND)
    made.wait(HOUR)
    assert len(made.told) <= 6
    assert "300 jobs in all" in made.letters[-1].title


def test_the_end_is_told_to_those_who_were_told_of_the_beginning_though_the_owner_has_changed() -> None:
    made = opened(office())
    made.configure(owners=[{"notify": ["boss"]}])
    made.wait(HOUR)
    over(made)
    assert made.told == [("ops", "opened"), ("boss", "opened"), ("ops", "resolved"), ("boss", "resolved")]


def test_the_end_is_told_at_the_address_that_was_made_of_a_job_which_is_gone() -> None:
    template = "json://127.0.0.1:9/{delivery_target}"
    owners = ({"match": {"delivery_target": "U*"}, "notify": [template]}, {"notify": ["ops"]})
    made = opened(office(*owners, jobs=(job("a", delivery_target="U1"),)), failed("a"))
    made.jobs = ()
    over(made)
    first, last = made.letters
    assert (first.target, last.event) == (last.target, "resolved")
    assert last.title == "Gone: a was given up (for 20 s)"
    assert "It is over" not in last.text


def _with_token(token: str, *further: str) -> dict[str, Any]:
    owners = [{"match": {"job": f"{one}*"}, "notify": [f"slack://{one}/@{{delivery_target}}"]} for one in further]
    return {"owners": [*owners, {"notify": [f"slack://{token}/AAA/BBB/@{{delivery_target}}"]}, {"notify": ["ops"]}]}


def test_an_address_whose_token_is_renewed_is_the_same_and_what_waits_goes_there() -> None:
    made = Office(configured(**_with_token("T1OLD")))
    made.jobs = (job("a", delivery_target="U1"),)
    opened(made, failed("a"))
    made.configure(**_with_token("T2NEW"))
    made.wait(HOUR)
    (letter,) = made.letters
    book = open_book(made.config)
    assert address_of(parse_key(letter.target), book.channels, book.templates) == "slack://T2NEW/AAA/BBB/@U1"
    over(made)
    assert [letter.event for letter in made.letters] == ["opened", "resolved"]
    assert len({letter.target for letter in made.letters}) == 1


def test_addresses_that_differ_in_their_credentials_alone_are_told_apart() -> None:
    first, second = _with_token("TA"), _with_token("TA", "TB")
    names = names_of(configured(**second).people)
    assert len(set(names.values())) == len(names) == 2
    assert len(names_of(configured(**first).people)) == 1
    here, there = (configured(owners=[{"notify": [f"json://{host}/{{job}}"]}]) for host in ("a.b", "c.d"))
    assert set(names_of(here.people).values()).isdisjoint(names_of(there.people).values())


def test_a_source_with_another_name_is_not_over() -> None:
    made = opened(office())
    made.configure(sources=[{"name": "murph", "database": "phantom.db"}])
    made.find(finding("overdue", source="murph"))
    made.wait(HOUR)
    assert made.told == [("ops", "opened"), ("ops", "opened")]


def test_a_source_that_is_watched_no_longer_is_said_to_be() -> None:
    made = opened(office())
    made.configure(sources=[{"name": "other", "database": "other.db"}])
    over(made)
    assert made.letters[-1].title == "No longer watched: heartbeat is overdue (for 20 s)"


def test_deleted_by_the_sweep_after_it_was_given_up_is_worse_and_never_over() -> None:
    made = opened(office(), failed("a"), finding("expiring", "a"))
    made.find(finding("swept", "a"))
    made.wait(HOUR)
    assert made.told == [("ops", "opened"), ("ops", "worse")]


def test_jobs_that_wait_are_one_thing_whichever_run_holds_the_slot() -> None:
    made = office()
    for minute in range(240):
        late = [
            finding("overdue", f"job-{(minute + one) % 50}", under=("in_flight", f"run-{minute}")) for one in range(9)
        ]
        made.find(*late, *([finding("overdue", f"job-{(minute + 9) % 50}")] if minute else []))
        made.wait(MINUTE)
    assert made.told == [("ops", "opened")]


def queued(*names: str) -> list[Finding]:
    """These wait for a run that is no fault."""
    return [finding("overdue", name, under=("in_flight", "triage")) for name in names]


@pytest.mark.parametrize("apart", [3 * HOUR, 12 * HOUR, 23 * HOUR])
def test_that_jobs_wait_for_the_second_time_today_is_over_as_soon_as_the_first_time_was(apart: timedelta) -> None:
    """Whichever they are."""
    made = office()
    for name in ("a", "b"):
        opened(made, *queued(name))
        made.wait(14 * MINUTE)
        ended = made.now
        over(made)
        assert made.told[-1] == ("ops", "resolved")
        assert made.letters[-1].at - ended == 5 * MINUTE
        assert made.letters[-1].title == f"Over: {name} is overdue (for 14 min 20 s)"
        made.wait(apart)
    made.wait(2 * DAY)
    assert [event for _, event in made.told] == ["opened", "resolved", "back", "resolved"]


@pytest.mark.parametrize("minutes", [2, 7, 30, 61, 90, 180])
def test_that_jobs_wait_again_and_again_all_day_is_told_in_a_few_messages_and_its_end_once_they_do_no_more(
    minutes: int,
) -> None:
    made = office()
    for number in range(DAY // (2 * minutes * MINUTE)):
        made.find(*queued(*(f"job-{(number + one) % 7}" for one in range(3))))
        made.wait(minutes * MINUTE)
        made.find()
        made.wait(minutes * MINUTE)
    assert len(made.told) <= 8
    made.wait(65 * MINUTE)
    assert made.told[-1] == ("ops", "resolved")


def test_who_has_taken_on_that_jobs_wait_has_taken_it_on_whichever_wait_by_then() -> None:
    made = office({**ESCALATES}, remind_every="1h")

    def waiting(minute: int) -> list[Finding]:
        first = f"job-{minute % 50}"
        late = (f"job-{number % 50}" for number in range(minute + 1, minute + 9))
        return [finding("overdue", name, since=made.now, under=("in_flight", first)) for name in late]

    for minute in range(300):
        if minute == 90:
            made.acknowledge()
        made.find(*waiting(minute))
        made.wait(MINUTE)
    assert made.told == [("ops", "opened"), ("boss", "escalated"), ("ops", "reminder")]
    made.find()
    made.wait(5 * MINUTE)
    assert [letter.title for letter in made.letters[-2:]] == [
        "Over: 50 jobs wait for runs before them, the first for that of job-7 (for 5 h)",
        "Over: jobs wait for runs before them (for 5 h)",
    ]


def test_who_waited_for_what_has_hung_twice_today_hears_that_it_is_over_each_time() -> None:
    made = office({"match": {"job": "a"}, "notify": ["ops"]}, {"match": {"job": "b"}, "notify": ["boss"]})
    run = finding("wedged", "a")
    for _ in range(2):
        opened(made, run, finding("overdue", "b", under=run))
        made.wait(HOUR)
        made.find(finding("overdue", "b"))
        made.wait(MINUTE)
        over(made)
        made.wait(3 * HOUR)
    assert [event for target, event in made.told if target == "boss"] == ["opened", "resolved", "back", "resolved"]


def test_flapping_itself_is_said_and_its_end_is_told_when_it_has_stayed_away_for_a_good_hour() -> None:
    made = opened(office())
    over(made)
    opened(made)
    assert "Comes and goes: 2 times so far" in made.letters[-1].text
    made.find()
    made.wait(65 * MINUTE - SECOND)
    assert made.told[2:] == [("ops", "back")]
    made.wait(SECOND)
    assert made.told[3:] == [("ops", "resolved")]


# reminders


def test_it_reminds_once_a_day_for_as_long_as_it_is_so() -> None:
    made = opened(office())
    made.wait(3 * DAY)
    assert times(made, "reminder") == [GROUP_WAIT + number * DAY for number in (1, 2, 3)]


def test_every_owner_is_reminded_at_its_own_pace_or_never() -> None:
    owners = (
        {"match": {"job": "often*"}, "notify": ["ops"], "remind_every": "1h"},
        {"match": {}, "notify": ["boss"], "remind_every": "0s"},
    )
    made = opened(office(*owners), finding("overdue", "often-1"), finding("failing", "never"))
    made.wait(5 * HOUR)
    assert (len(times(made, "reminder")), times(made, "reminder", "boss")) == (5, [])


def test_nobody_is_reminded_while_it_is_clearing() -> None:
    made = opened(office(hold="3d"))
    made.find()
    made.wait(2 * DAY)
    assert made.told == [("ops", "opened")]


def test_what_was_lesser_at_the_reminder_is_told_at_once_when_it_is_grave_again() -> None:
    grave, lesser = (finding("overdue", "a", severity=severity, since=NOW) for severity in ("critical", "warning"))
    made = opened(office(), grave)
    made.find(lesser)
    made.wait(DAY + HOUR)
    made.find(grave)
    made.wait(MINUTE)
    assert made.told == [("ops", "opened"), ("ops", "reminder"), ("ops", "worse")]
    assert [letter.title.split(":")[0] for letter in made.letters[1:]] == ["Still WARNING", "Now CRITICAL"]


def test_an_acknowledgement_ends_reminders_and_not_the_end() -> None:
    made = opened(office(remind_every="1h"))
    made.wait(90 * MINUTE)
    made.acknowledge()
    made.wait(5 * HOUR)
    over(made)
    assert made.told == [("ops", "opened"), ("ops", "reminder"), ("ops", "resolved")]


def test_getting_worse_is_told_in_spite_of_an_acknowledgement() -> None:
    made = opened(office(), finding("expiring"))
    made.acknowledge()
    made.find(finding("expiring", severity="critical"))
    assert made.told == [("ops", "opened"), ("ops", "worse")]


def test_an_acknowledgement_does_not_hold_for_what_comes_back_after_it_was_over() -> None:
    made = opened(office(remind_every="1h"))
    made.acknowledge()
    over(made)
    made.find(finding("overdue"))
    made.wait(90 * MINUTE)
    assert made.told[2:] == [("ops", "back"), ("ops", "reminder")]
    made.acknowledge()
    made.wait(5 * HOUR)
    assert len(made.told) == 4


def test_what_comes_back_is_reminded_of_though_ends_are_not_told() -> None:
    made = opened(office(resolved=False, remind_every="1h"), failing("a"))
    made.acknowledge()
    over(made)
    made.wait(5 * MINUTE)
    made.find(failing("a"))
    made.wait(5 * HOUR)
    assert len(times(made, "reminder")) >= 3


def test_one_that_acknowledges_before_anybody_was_told_is_not_reminded() -> None:
    made = office(remind_every="1h")
    made.find(finding("overdue"))
    made.acknowledge()
    made.wait(5 * HOUR)
    assert made.told == [("ops", "opened")]


# escalation

ESCALATES = {"notify": ["ops"], "escalate": {"after": "30m", "notify": ["boss"]}}


def test_the_second_channel_is_told_when_nobody_has_acknowledged_in_time() -> None:
    made = opened(office(ESCALATES))
    made.wait(2 * HOUR)
    assert times(made, "escalated", "boss") == [GROUP_WAIT + 30 * MINUTE]
    over(made)
    assert made.told[-2:] == [("ops", "resolved"), ("boss", "resolved")]


def test_an_acknowledgement_keeps_the_second_channel_out_of_it() -> None:
    made = opened(office(ESCALATES))
    made.wait(29 * MINUTE)
    made.acknowledge()
    made.wait(5 * HOUR)
    over(made)
    assert made.told == [("ops", "opened"), ("ops", "resolved")]


def test_what_is_over_in_time_is_not_escalated() -> None:
    made = opened(office(ESCALATES))
    over(made)
    made.wait(5 * HOUR)
    assert made.told == [("ops", "opened"), ("ops", "resolved")]


def test_what_comes_back_has_to_wait_for_its_escalation_again() -> None:
    made = opened(office(ESCALATES))
    made.wait(HOUR)
    over(made)
    opened(made)
    came_back = made.now - NOW
    assert made.told[-1] == ("ops", "back")
    made.wait(HOUR)
    assert times(made, "escalated", "boss")[1:] == [came_back + 30 * MINUTE]


def test_that_it_comes_and_goes_is_said_only_to_who_has_heard_of_it_before() -> None:
    made = office(remind_every="1h")
    made.find(finding("overdue"))
    made.wait(10 * SECOND)
    made.find()
    made.wait(30 * MINUTE)
    opened(made)
    made.wait(2 * HOUR)
    assert made.told == [("ops", "opened"), ("ops", "reminder"), ("ops", "reminder")]
    assert not any("Comes and goes" in letter.text for letter in made.letters)


def test_what_comes_back_for_seconds_only_is_not_told() -> None:
    made = opened(office(), finding("unreachable", None))
    over(made)
    made.find(finding("unreachable", None))
    made.wait(4 * SECOND)
    made.find()
    made.wait(2 * DAY)
    assert made.told == [("ops", "opened"), ("ops", "resolved")]


def test_a_job_that_was_revived_and_fails_is_over_once_it_has_been_well_for_the_hold() -> None:
    made = opened(office(), failed("a"))
    made.find(failing("a"))
    made.wait(3 * HOUR)
    made.find()
    made.wait(4 * MINUTE)
    assert made.told == [("ops", "opened")]
    made.wait(MINUTE)
    assert made.letters[-1].title == "Over: a was given up (for 3 h)"


def test_what_a_job_had_when_it_was_given_up_is_not_over_before_that_is() -> None:
    made = opened(office(), finding("undelivered", "a"))
    made.find(failed("a"))
    made.wait(3 * HOUR)
    assert made.told == [("ops", "opened"), ("ops", "opened")]
    made.find()
    made.wait(5 * MINUTE - SECOND)
    assert made.told[2:] == []
    made.wait(SECOND)
    assert made.told[2:] == [("ops", "resolved"), ("ops", "resolved")]


def test_what_comes_back_is_not_escalated_again_at_once_though_ends_are_not_told() -> None:
    made = opened(office(ESCALATES, resolved=False), failing("a"))
    made.wait(31 * MINUTE)
    over(made)
    made.wait(5 * MINUTE)
    made.find(failing("a"))
    made.wait(MINUTE)
    assert [told for told in made.told if told[0] == "boss"] == [("boss", "escalated")]


def test_what_gets_critical_after_the_acknowledgement_is_escalated() -> None:
    made = opened(office(ESCALATES, remind_every="2h"), failing("a"))
    made.acknowledge()
    made.wait(10 * MINUTE)
    made.find(failed("a"))
    worse = made.now - NOW
    made.wait(40 * HOUR)
    assert times(made, "escalated", "boss") == [worse + 30 * MINUTE]


def test_a_channel_that_is_told_anyway_is_not_escalated_to() -> None:
    made = opened(office({"notify": ["ops", "boss"], "escalate": {"after": "30m", "notify": ["boss"]}}))
    made.wait(HOUR)
    assert made.told == [("ops", "opened"), ("boss", "opened")]


# who


@pytest.mark.parametrize(
    ("match", "is_theirs"),
    [
        ({"job": "heart*"}, True),
        ({"job": "HEARTBEAT"}, True),
        ({"job": "triage"}, False),
        ({"created_by": "anna"}, True),
        ({"created_by": "bob"}, False),
        ({"delivery_target": "U*"}, True),
        ({"delivery_target": "C*"}, False),
        ({"source": "agent"}, True),
        ({"source": "other"}, False),
        ({"labels": {"team": "ni*"}}, True),
        ({"labels": {"team": "day"}}, False),
        ({"labels": {"region": "*"}}, False),
        ({"job": "heart*", "created_by": "bob"}, False),
        ({}, True),
    ],
)
def test_an_owner_is_chosen_by_everything_that_is_asked_for(match: dict[str, Any], is_theirs: bool) -> None:
    owners = ({"match": match, "notify": ["boss"]}, {"notify": ["ops"]})
    made = office(*owners, jobs=(job("heartbeat", created_by="anna", delivery_target="U07ABC"),))
    assert opened(made).told == [("boss" if is_theirs else "ops", "opened")]


def test_the_first_owner_that_matches_wins() -> None:
    owners = ({"match": {"job": "heartbeat"}, "notify": ["ops"]}, {"match": {"job": "h*"}, "notify": ["boss"]})
    assert opened(office(*owners)).told == [("ops", "opened")]


def test_a_name_with_brackets_in_it_is_matched_as_it_is_written() -> None:
    owner = Owner.validated({"match": {"job": "[prod] sync"}, "notify": ["ops"]})
    assert list(owners_of([owner], Subject("agent", "[prod] sync"))) == [owner]


def test_nobody_is_told_of_what_nobody_owns() -> None:
    assert opened(office({"match": {"job": "triage"}, "notify": ["ops"]})).told == []


def test_what_is_about_no_job_and_nobody_has_named_concerns_all_who_may_have_jobs_there() -> None:
    made = opened(
        office(
            {"match": {"job": "a*"}, "notify": ["ops"]},
            {"match": {"created_by": "anna", "source": "ag*"}, "notify": ["boss"]},
            {"match": {"labels": {"team": "day"}}, "notify": ["json://127.0.0.1:9/day"]},
            {"match": {"source": "other"}, "notify": ["json://127.0.0.1:9/other"]},
        ),
        finding("unreachable", None),
    )
    assert made.told == [("ops", "opened"), ("boss", "opened")]
    over(made)
    assert made.told[2:] == [("ops", "resolved"), ("boss", "resolved")]


def test_without_owners_every_channel_is_told() -> None:
    made = Office(configured(owners=[]))
    assert opened(made).told == [("ops", "opened"), ("boss", "opened")]


def test_a_finding_about_the_scheduler_goes_to_the_owner_of_everything() -> None:
    owners = ({"match": {"job": "*"}, "notify": ["boss"]}, {"match": {}, "notify": ["ops"]})
    assert opened(office(*owners), finding("stalled", None)).told == [("ops", "opened")]


def test_owners_of_symptoms_are_told_of_the_cause_and_of_its_end() -> None:
    owners = ({"match": {"job": "heart*"}, "notify": ["boss"]}, {"match": {}, "notify": ["ops"]})
    stall = finding("stalled", None)
    made = opened(office(*owners), stall, finding("overdue", under=stall))
    assert made.told == [("ops", "opened"), ("boss", "opened")]
    assert {letter.title for letter in made.letters} == {"CRITICAL: the scheduler agent stands still"}
    over(made)
    assert made.told[2:] == [("ops", "resolved"), ("boss", "resolved")]


def test_the_owner_of_a_job_that_waits_reads_what_it_waits_for() -> None:
    owners = ({"match": {"job": "heart*"}, "notify": ["boss"]}, {"match": {}, "notify": ["ops"]})
    run = finding("long_run", "triage")
    made = opened(office(*owners), run, finding("overdue", under=run))
    assert [(letter.target, letter.title) for letter in made.letters] == [
        ("ops", "WARNING: triage runs far longer than usual"),
        ("boss", "WARNING: heartbeat waits: triage runs far longer than usual"),
    ]


def test_the_restart_that_a_policy_names_is_the_one_that_is_advised() -> None:
    policy = {"match": {"kind": "wedged"}, "action": "restart", "run": ["docker", "restart", "my agent"]}
    made = Office(configured(recovery={"policies": [policy]}))
    opened(made, finding("wedged"))
    assert "restart the agent, with: docker restart 'my agent'" in made.letters[0].text


def test_a_jobs_own_slack_target_is_told_of_that_job() -> None:
    template = "slack://token-a/token-b/token-c/@{delivery_target}"
    owners = ({"match": {"delivery_target": "U*"}, "notify": [template]}, {"notify": ["ops"]})
    jobs = (job("mine", delivery_target="U1"), job("yours", delivery_target="U2/@x?y"), job("ours"))
    made = opened(office(*owners, jobs=jobs), failing("mine"), failing("yours"), failing("ours"))
    targets = [parse_key(letter.target) for letter in made.letters]
    assert [dict(target.values) for target in targets] == [
        {"delivery_target": "U1"},
        {"delivery_target": "U2/@x?y"},
        {},
    ]
    assert "token-" not in repr(made.store.waiting())
    assert [letter.title for letter in made.letters][:2] == [
        "WARNING: mine keeps failing",
        "WARNING: yours keeps failing",
    ]


def test_an_address_that_asks_for_what_is_not_known_leaves_it_to_the_next_owner() -> None:
    owners = ({"notify": ["slack://a/b/c/@{delivery_target}"]}, {"notify": ["ops"]})
    assert opened(office(*owners, jobs=(job("heartbeat"),))).told == [("ops", "opened")]


def test_an_owner_is_called_by_name_or_channels_and_never_by_address() -> None:
    assert owner_name(Owner(notify=("ops", "slack://secret/x"))) == "ops"
    assert owner_name(Owner(name="night", notify=("ops",))) == "night"
    assert owner_name(None) == ""


# storms


def test_a_storm_is_one_message_for_each_owner_and_cause() -> None:
    owners = ({"match": {"job": "a-*"}, "notify": ["boss"]}, {"notify": ["ops"]})
    made = office(*owners)
    classes = ("transient", "permanent")
    storm = [failing(f"{'ab'[number % 2]}-{number}", classes[number < 500]) for number in range(1000)]
    made.find(*storm[:300])
    made.wait(10 * SECOND)
    made.find(*storm)
    made.wait(HOUR)
    assert sorted(made.told) == [("boss", "opened")] * 2 + [("ops", "opened")] * 2
    assert all("250 jobs keep failing" in letter.title for letter in made.letters)


def test_each_owner_of_a_storm_reads_of_their_own_jobs_only() -> None:
    owners = ({"match": {"job": "a-*"}, "notify": ["boss"]}, {"notify": ["ops"]})
    made = opened(office(*owners), failing("a-1"), failing("a-2"), failing("b-1"), failing("b-2"))
    boss, ops = sorted(made.letters, key=lambda letter: letter.target)
    assert "b-" not in boss.title + boss.text
    assert "a-" not in ops.title + ops.text


# quiet hours

NIGHT = {"from": "22:00", "to": "07:00", "timezone": "Europe/Berlin"}
EVENING = datetime(2026, 6, 10, 21, tzinfo=UTC)  # 23:00 in Berlin
MORNING = datetime(2026, 6, 11, 5, tzinfo=UTC)


def test_a_warning_of_the_night_is_told_in_the_morning_once() -> None:
    made = opened(office(now=EVENING, quiet_hours=NIGHT))
    made.wait(DAY - 9 * HOUR)
    assert [(letter.at, letter.event) for letter in made.letters] == [(MORNING, "opened")]


def test_what_came_and_went_in_the_night_is_not_told() -> None:
    made = opened(office(now=EVENING, quiet_hours=NIGHT))
    over(made)
    made.wait(12 * HOUR)
    assert made.told == []


def test_an_end_in_the_night_is_told_in_the_morning() -> None:
    made = opened(office(now=EVENING - 2 * HOUR, quiet_hours=NIGHT))
    made.wait(2 * HOUR)
    over(made)
    made.wait(12 * HOUR)
    assert [letter.event for letter in made.letters] == ["opened", "resolved"]
    assert made.letters[-1].at == MORNING


def test_a_critical_one_passes_the_quiet_hours_unless_nothing_may() -> None:
    made = opened(office(now=EVENING, quiet_hours=NIGHT), finding("wedged"))
    assert made.told == [("ops", "opened")]
    made = opened(office(now=EVENING, quiet_hours={**NIGHT, "except": "nothing"}), finding("wedged"))
    made.wait(12 * HOUR)
    assert [letter.at for letter in made.letters] == [MORNING]


def test_getting_critical_in_the_night_is_told_in_the_night() -> None:
    made = opened(office(now=EVENING, quiet_hours=NIGHT), finding("expiring"))
    made.wait(HOUR)
    made.find(finding("expiring", severity="critical"))
    assert made.told == [("ops", "opened")]


def test_an_owner_has_quiet_hours_of_its_own() -> None:
    owners = ({"match": {"job": "a"}, "notify": ["ops"], "quiet_hours": NIGHT}, {"notify": ["boss"]})
    made = opened(office(*owners, now=EVENING), finding("overdue", "a"), finding("overdue", "b"))
    assert made.told == [("boss", "opened")]


def _berlin(text: str, fold: int = 0) -> datetime:
    from zoneinfo import ZoneInfo

    return datetime.fromisoformat(text).replace(tzinfo=ZoneInfo("Europe/Berlin"), fold=fold).astimezone(UTC)


@pytest.mark.parametrize(
    ("begin", "to", "at", "until"),
    [
        ("22:00", "07:00", _berlin("2026-06-10T21:59:59"), None),
        ("22:00", "07:00", _berlin("2026-06-10T22:00"), _berlin("2026-06-11T07:00")),
        ("22:00", "07:00", _berlin("2026-06-11T00:00"), _berlin("2026-06-11T07:00")),
        ("22:00", "07:00", _berlin("2026-06-11T06:59:59"), _berlin("2026-06-11T07:00")),
        ("22:00", "07:00", _berlin("2026-06-11T07:00"), None),
        ("9:00", "17:00", _berlin("2026-06-10T12:00"), _berlin("2026-06-10T17:00")),
        ("9:00", "17:00", _berlin("2026-06-10T08:59"), None),
        # the night on which the clocks go forward is an hour shorter, the one on which they go back an hour longer
        ("22:00", "07:00", _berlin("2026-03-28T22:00"), _berlin("2026-03-28T22:00") + 8 * HOUR),
        ("22:00", "07:00", _berlin("2026-10-24T22:00"), _berlin("2026-10-24T22:00") + 10 * HOUR),
        ("22:00", "07:00", _berlin("2026-10-25T02:30", 1), _berlin("2026-10-25T07:00")),
    ],
)
def test_quiet_hours_end_by_the_wall_clock(begin: str, to: str, at: datetime, until: datetime | None) -> None:
    quiet = QuietHours.validated({"from": begin, "to": to, "timezone": "Europe/Berlin"})
    assert quiet_until(quiet, at) == until


@pytest.mark.parametrize("hour", ["00:00", "07:30"])
@pytest.mark.parametrize("at", [NOW, NOW + 12 * HOUR, NOW + 19.5 * HOUR], ids=str)
def test_quiet_hours_from_an_hour_to_the_same_are_the_whole_day(hour: str, at: datetime) -> None:
    quiet = QuietHours.validated({"from": hour, "to": hour})
    until = quiet_until(quiet, at)
    assert until is not None
    assert at < until <= at + DAY


@pytest.mark.parametrize(
    ("begin", "first"),
    [("2026-03-28T22:00", "2026-03-29T03:30"), ("2026-10-24T22:00", "2026-10-25T02:30")],
)
def test_quiet_hours_that_end_within_the_changed_hour_end_once_and_for_all(begin: str, first: str) -> None:
    """02:30 does not exist on the one night, and comes twice on the other."""
    quiet = {"from": "22:00", "to": "02:30", "timezone": "Europe/Berlin"}
    made = opened(office(now=_berlin(begin), quiet_hours=quiet, remind_every="10m"))
    made.wait(8 * HOUR)
    told = [letter.at for letter in made.letters]
    assert told[0] == _berlin(first)
    assert {later - earlier for earlier, later in pairwise(told)} == {10 * MINUTE}


# silences


def test_a_silence_holds_the_message_back_and_what_is_still_so_is_told_when_it_ends() -> None:
    made = office()
    made.silence_from_now("heart*", 2 * HOUR)
    opened(made)
    made.wait(90 * MINUTE)
    assert made.told == []
    made.wait(HOUR)
    assert times(made, "opened") == [2 * HOUR]


def test_what_is_over_when_the_silence_ends_is_not_told() -> None:
    made = office()
    made.silence_from_now("heart*", 2 * HOUR)
    opened(made)
    over(made)
    made.wait(5 * HOUR)
    assert made.told == []


def test_a_silence_that_is_ended_early_ends_at_once() -> None:
    made = office()
    number = made.silence_from_now("heart*", 2 * HOUR)
    opened(made)
    assert made.store.end_silence(number, made.now)
    made.look()
    assert made.told == [("ops", "opened")]
    assert not made.store.end_silence(number, made.now)


def test_reminders_wait_for_the_silence_and_an_end_does_not() -> None:
    made = opened(office(remind_every="1h"))
    made.silence_from_now("kind=overdue", 3 * HOUR)
    made.wait(4 * HOUR)
    assert times(made, "reminder") == [3 * HOUR + GROUP_WAIT, 4 * HOUR + GROUP_WAIT]
    made.silence_from_now("kind=overdue", 3 * HOUR)
    over(made)
    assert made.told[-1] == ("ops", "resolved")


@pytest.mark.parametrize(
    ("match", "is_quiet"),
    [
        ("heartbeat", True),
        ("HEART*", True),
        ("triage", False),
        ("kind=overdue", True),
        ("kind=overdue, job=heart*", True),
        ("kind=overdue,job=triage", False),
        ("source=agent", True),
        ("severity=critical", False),
        ("job_id=id-heartbeat", True),
        ("incident=1", True),
        ("incident=2", False),
        ("incident=1,kind=failed", False),
    ],
)
def test_a_silence_is_about_all_that_it_says(match: str, is_quiet: bool) -> None:
    made = office()
    made.silence_from_now(match, HOUR)
    assert (opened(made).told == []) is is_quiet


def test_a_silence_of_a_name_with_brackets_means_that_name() -> None:
    made = office()
    made.silence_from_now("[prod] sync", HOUR)
    assert opened(made, finding("overdue", "[prod] sync")).told == []


@pytest.mark.parametrize("name", ["Morning brief, inbox", "retry=3 digest", "kind of, x=1", "a, b, c", "=", "job=x, y"])
def test_a_silence_of_a_name_with_a_comma_or_an_equals_sign_means_that_name(name: str) -> None:
    made = office()
    made.silence_from_now(name, HOUR)
    assert opened(made, finding("overdue", name)).told == []
    assert opened(made, finding("overdue", "another")).told != []


def test_a_storm_is_told_as_long_as_any_job_of_it_is_not_silenced() -> None:
    made = office()
    made.silence_from_now("a", HOUR)
    assert opened(made, failing("a"), failing("b")).told == [("ops", "opened")]


def test_a_silence_of_an_incident_covers_all_of_it_and_what_joins_it_and_no_other() -> None:
    made = office()
    opened(made, failing("a"), failing("b"))
    made.silence_from_now("incident=1", 12 * HOUR)
    made.find(failing("a"), failing("b"), failing("c"), finding("overdue", "elsewhere"))
    made.wait(11 * HOUR)
    assert made.told == [("ops", "opened"), ("ops", "opened")]
    made.wait(2 * HOUR)
    assert made.told[2:] == [("ops", "joined")]


def test_a_silence_of_a_cause_covers_what_waits_for_it_until_it_ends() -> None:
    made = office()
    made.silence_from_now("kind=stalled", 2 * HOUR)
    stall = finding("stalled", None)
    opened(made, stall, finding("overdue", under=stall))
    made.wait(3 * HOUR)
    assert times(made, "opened") == [2 * HOUR]
    assert len(made.told) == 1


def test_nobody_reads_the_name_of_a_job_that_is_silenced() -> None:
    made = office(remind_every="1h")
    made.silence_from_now("b", 5 * HOUR)
    opened(made, failing("a"), failed("b"))
    made.wait(4 * HOUR)
    assert {letter.title.split(" (")[0] for letter in made.letters} == {
        "WARNING: a keeps failing",
        "Still WARNING: a keeps failing",
    }
    assert not any("b:" in letter.text or "2 jobs" in letter.text for letter in made.letters)
    made.wait(HOUR)
    assert ("ops", "worse") in made.told


def test_nobody_hears_that_a_job_that_is_silenced_gets_worse() -> None:
    made = office()
    made.silence_from_now("b", 10 * HOUR)
    opened(made, failing("a"), failing("b"))
    made.find(failing("a"), failed("b"))
    made.wait(MINUTE)
    assert made.told == [("ops", "opened")]
    assert "b" not in made.letters[0].title.split()


# restarts, and a state file that cannot be written


def test_a_restart_tells_nobody_anything_again_and_forgets_nothing() -> None:
    made = opened(office(ESCALATES, remind_every="1h"))
    for _ in range(5):
        made.restart()
        made.look()
        made.wait(10 * MINUTE)
    made.restart()
    over(made)
    assert made.told == [("ops", "opened"), ("boss", "escalated"), ("ops", "resolved"), ("boss", "resolved")]


def test_a_clock_that_is_put_right_delays_no_first_message() -> None:
    made = office()
    made.now += 2 * HOUR
    made.find(finding("wedged"))
    made.wait(5 * SECOND)
    made.now -= 2 * HOUR
    made.look()
    made.wait(MINUTE)
    assert made.told == [("ops", "opened")]


def test_after_a_clock_that_was_two_days_ahead_another_job_is_told_and_nothing_by_the_hour() -> None:
    made = office()
    made.now += 2 * DAY
    opened(made, failed("a"))
    made.now -= 2 * DAY
    made.look()
    made.wait(10 * MINUTE)
    made.find(failed("a"), failed("b"))
    made.wait(20 * HOUR)
    assert made.told == [("ops", "opened"), ("ops", "joined")]


def test_what_is_over_is_told_though_the_clock_was_put_right_within_the_hold() -> None:
    made = office()
    made.now += 2 * HOUR
    opened(made, failed("a"))
    made.find()
    made.now -= 2 * HOUR
    made.look()
    made.wait(30 * MINUTE)
    assert made.told == [("ops", "opened"), ("ops", "resolved")]


def test_a_clock_that_is_set_back_makes_nobody_hear_twice() -> None:
    made = opened(office())
    made.now -= HOUR
    made.look()
    made.wait(2 * HOUR)
    assert made.told == [("ops", "opened")]

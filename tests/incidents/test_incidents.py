"""Findings over time become incidents: nothing here reads, writes or asks a clock."""

import sqlite3
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.conftest import NOW
from tests.support.telling import DAY, HOUR, IN_FLIGHT, MINUTE, SECOND, Diary, failing, finding
from watchdog.core.incident import Incident, Key, Ledger
from watchdog.core.instants import iso
from watchdog.core.kinds import Kind, Severity
from watchdog.core.model import Cause, Finding
from watchdog.core.moment import Moment
from watchdog.incidents import wire
from watchdog.incidents.ledger import Timing, update
from watchdog.state.documents import read_incident, write_incidents
from watchdog.state.opening import StoreError
from watchdog.state.retention import KEPT_INCIDENTS
from watchdog.state.store import Store


def names(incident: Incident) -> set[tuple[str, str | None]]:
    """Kind and job of what the incident is about."""
    return {(member.finding.kind.value, member.finding.job) for member in incident.own}


# opened and over


def test_it_opens_once_and_keeps_the_instant_at_which_it_was_first_seen() -> None:
    diary = Diary()
    diary.look(finding("overdue"))
    for _ in range(100):
        diary.look(finding("overdue"), after=MINUTE)
    assert (diary.only.id, diary.only.opened_at, diary.only.is_active) == (1, NOW, True)
    assert [member.first_seen for member in diary.only.own] == [NOW]


def test_it_says_since_when_it_has_been_so_not_since_when_it_was_seen() -> None:
    diary = Diary()
    diary.look(finding("overdue", since=NOW - 3 * HOUR), finding("overdue", "triage", since=NOW - HOUR))
    assert diary.only.since == NOW - 3 * HOUR


def test_since_when_it_is_what_it_is_called_may_be_later_than_its_beginning() -> None:
    diary = Diary()
    diary.look(finding("zero_tokens", since=NOW - 3 * HOUR), finding("failed", since=NOW - HOUR))
    assert (diary.only.headline.kind, diary.only.headline_since) == (Kind.FAILED, NOW - HOUR)
    assert diary.only.since == NOW - 3 * HOUR
    plain = wire.incident(diary.only)
    assert (plain["since"], plain["headline_since"]) == (iso(NOW - 3 * HOUR), iso(NOW - HOUR))


def test_of_several_that_are_alike_it_is_called_after_the_one_that_has_been_so_the_longest() -> None:
    diary = Diary()
    diary.look(failing("triage", since=NOW - HOUR), failing("heartbeat", since=NOW - 3 * HOUR))
    assert (diary.only.headline.job, diary.only.headline_since) == ("heartbeat", NOW - 3 * HOUR)


def test_who_has_taken_it_on_knows_of_what_was_there_and_of_lesser_trouble() -> None:
    diary = Diary()
    diary.look(failing("heartbeat"))
    assert not diary.only.has_more_since(NOW)
    grave = finding("failed", error_class="transient")
    diary.look(grave, after=MINUTE)
    assert diary.only.has_more_since(NOW)
    assert not diary.only.has_more_since(diary.now)
    taken_on = diary.now
    diary.look(grave, finding("zero_tokens"), after=MINUTE)
    assert not diary.only.has_more_since(taken_on)


def test_it_is_over_only_when_it_has_stayed_clear_for_the_hold_and_asks_to_be_looked_at_then() -> None:
    diary = Diary()
    diary.look(finding("overdue"))
    diary.look(after=MINUTE)
    assert diary.only.is_open
    assert not diary.only.is_active
    moment = Moment(diary.now)
    update(diary.ledger, (), frozenset(), moment, diary.timing)
    assert moment.next_change == NOW + 6 * MINUTE
    diary.look(after=5 * MINUTE - SECOND)
    assert diary.only.is_open
    diary.look(after=SECOND)
    assert diary.only.resolved_at == NOW + 6 * MINUTE


def test_one_that_comes_back_within_the_hold_was_never_over() -> None:
    diary = Diary()
    diary.look(finding("overdue"))
    diary.look(after=MINUTE)
    diary.look(finding("overdue"), after=4 * MINUTE)
    assert (diary.only.is_active, diary.only.is_flapping, diary.only.opened_at) == (True, False, NOW)


def test_one_that_comes_back_within_a_day_is_the_same_one_and_has_to_stay_away_for_a_day_then() -> None:
    diary = Diary()
    diary.look(finding("overdue"))
    diary.look(after=MINUTE)
    diary.look(after=5 * MINUTE)
    assert not diary.only.is_open
    diary.look(finding("overdue"), after=20 * HOUR)
    assert (diary.only.id, diary.only.returns, diary.only.is_active) == (1, 1, True)
    diary.look(after=MINUTE)
    diary.look(after=23 * HOUR)
    assert diary.only.is_open
    diary.look(after=HOUR)
    assert not diary.only.is_open


def test_one_that_comes_back_after_two_days_is_another_one() -> None:
    diary = Diary()
    diary.look(finding("overdue"))
    diary.look(after=MINUTE)
    diary.look(after=5 * MINUTE)
    (incident,) = diary.look(finding("overdue"), after=2 * DAY)
    assert (incident.id, incident.returns, incident.opened_at) == (2, 0, diary.now)


def test_what_has_long_been_over_is_forgotten() -> None:
    diary = Diary()
    diary.look(finding("overdue"))
    diary.look(after=MINUTE)
    diary.look(after=5 * MINUTE)
    diary.look(after=3 * DAY)
    assert diary.ledger.incidents == {}
    assert diary.ledger.next_id == 2


# what belongs together


def test_a_job_that_gets_worse_is_one_incident_and_is_named_by_its_most_specific_condition() -> None:
    diary = Diary()
    diary.look(finding("overdue"))
    diary.look(finding("wedged"), after=HOUR)
    assert diary.only.headline.kind is Kind.WEDGED
    diary = Diary()
    diary.look(failing("heartbeat"))
    diary.look(finding("failed", error_class="transient"), after=HOUR)
    assert diary.only.headline.kind is Kind.FAILED
    assert diary.only.severity is Severity.CRITICAL


def test_an_error_of_another_class_is_still_the_same_incident_of_that_job() -> None:
    diary = Diary()
    diary.look(failing("heartbeat", "transient"))
    diary.look(failing("heartbeat", "permanent"), after=HOUR)
    assert diary.only.id == 1


def test_jobs_that_fail_alike_within_the_hour_are_one_storm() -> None:
    diary = Diary()
    diary.look(*(failing(f"job-{number}") for number in range(500)))
    diary.look(*(failing(f"job-{number}") for number in range(1000)), after=50 * MINUTE)
    assert len(diary.only.own) == 1000


def test_jobs_that_fail_otherwise_later_or_elsewhere_are_incidents_of_their_own() -> None:
    diary = Diary()
    first = failing("a", "transient")
    diary.look(first, failing("b", "permanent"), failing("c", "transient", source="other"))
    incidents = diary.look(
        first, failing("b", "permanent"), failing("c", source="other"), failing("d"), after=HOUR + SECOND
    )
    assert [names(incident) for incident in incidents] == [
        {("failing", "a")},
        {("failing", "b")},
        {("failing", "c")},
        {("failing", "d")},
    ]


def test_jobs_that_are_late_together_are_gathered_and_one_that_is_late_by_itself_is_not() -> None:
    diary = Diary()
    diary.look(finding("overdue", "a"))
    diary.look(finding("overdue", "a"), finding("overdue", "b"), after=20 * SECOND)
    assert len(diary.look(finding("overdue", "a"), finding("overdue", "b"), finding("overdue", "c"), after=MINUTE)) == 2


def test_a_job_that_was_well_for_weeks_does_not_come_back_unseen_under_an_old_storm() -> None:
    diary = Diary()
    diary.look(failing("a"), failing("b"))
    diary.look(failing("a"), after=HOUR)
    incidents = diary.look(failing("a"), failing("b"), after=20 * DAY)
    assert [names(incident) for incident in incidents] == [{("failing", "a")}, {("failing", "b")}]


# symptoms and causes


def test_symptoms_are_filed_under_their_cause_and_open_nothing_themselves() -> None:
    diary = Diary()
    stall = finding("stalled", None)
    diary.look(stall, *(finding("overdue", f"job-{number}", under=stall) for number in range(20)))
    assert names(diary.only) == {("stalled", None)}
    assert len(diary.only.symptoms) == 20
    assert diary.only.severity is Severity.CRITICAL


def test_symptoms_find_their_cause_whatever_is_found_first() -> None:
    holder = finding("long_run", "triage")
    diary = Diary()
    diary.look(finding("overdue", under=holder), holder)
    assert names(diary.only) == {("long_run", "triage")}


def test_an_incident_whose_jobs_turn_out_to_be_symptoms_moves_under_the_cause() -> None:
    diary = Diary()
    diary.look(finding("overdue"))
    stall = finding("stalled", None)
    diary.look(stall, finding("overdue", under=stall), after=5 * MINUTE)
    late, cause = diary.ledger.incidents.values()
    assert late.merged_into == cause.id
    assert not late.is_active
    assert len(cause.symptoms) == 1


def test_symptoms_move_from_one_cause_to_the_next() -> None:
    diary = Diary()
    run = finding("long_run", "triage")
    wedge = finding("wedged", "triage")
    diary.look(run, finding("overdue", under=run))
    diary.look(wedge, finding("overdue", under=wedge), after=4 * HOUR)
    assert diary.only.headline.kind is Kind.WEDGED  # the same job's same trouble
    stall = finding("stalled", None)
    _, stalled = diary.look(stall, finding("overdue", under=stall), after=HOUR)
    assert [member.finding.job for member in stalled.symptoms] == ["heartbeat"]


@pytest.mark.parametrize(("waits_for", "length"), [(None, 5 * MINUTE), ((IN_FLIGHT, "triage"), HOUR)])
def test_a_symptom_that_outlives_its_cause_is_being_served_until_its_incident_is_over(
    waits_for: tuple[str, str] | None, length: timedelta
) -> None:
    diary = Diary()
    stall = finding("stalled", None)
    diary.look(stall, finding("overdue", under=stall))
    diary.look(finding("overdue", under=waits_for), after=MINUTE)
    assert not diary.only.is_active
    assert [member.finding.job for member in diary.only.symptoms] == ["heartbeat"]
    diary.look(finding("overdue", under=waits_for), after=length - MINUTE)
    assert not diary.only.is_active
    diary.look(finding("overdue", under=waits_for), after=MINUTE)
    (late,) = diary.ledger.open
    assert names(late) == {("overdue", "heartbeat")}


@pytest.mark.parametrize(
    ("cause", "words"),
    [
        (finding("wedged", "digest"), "digest (wedged)"),
        (finding("long_run", "digest"), "digest (long run)"),
        (finding("stalled", None), "its scheduler, which stood still"),
        ((IN_FLIGHT, "digest"), "the run of digest"),
    ],
)
def test_what_was_late_by_a_cause_goes_on_saying_so_when_that_is_over(
    cause: Finding | tuple[str, str], words: str
) -> None:
    diary = Diary()
    found = [cause] if isinstance(cause, Finding) else []
    diary.look(*found, finding("overdue", under=cause))
    diary.look(*found, finding("overdue", under=cause), after=MINUTE)
    assert "held up" not in _summary(diary)
    for _ in range(3):  # each look finds the job as late as before, and nothing that causes it
        diary.look(finding("overdue"), after=MINUTE)
        assert _summary(diary) == f"{_LATE}; it was held up by {words}, over since 2026-06-10 12:02 UTC"
    diary.look(after=MINUTE)
    assert _summary(diary).endswith(f"held up by {words}, over since 2026-06-10 12:02 UTC")
    document = write_incidents([diary.only])[0]
    assert read_incident(document) == diary.only
    diary.look(*found, finding("overdue", under=cause), after=MINUTE)
    assert _summary(diary) == _LATE


_LATE = "heartbeat has the condition overdue"


def _summary(diary: Diary) -> str:
    return diary.only.members["agent", "overdue", "id-heartbeat"].finding.summary


def test_what_a_stall_held_up_says_so_though_it_ran_as_soon_as_that_was_over() -> None:
    diary = Diary()
    diary.look(finding("stalled", None), finding("overdue", under=finding("stalled", None)))
    diary.look(after=MINUTE)
    assert _summary(diary).endswith(
        "; it was held up by its scheduler, which stood still, over since 2026-06-10 12:01 UTC"
    )


def test_what_waits_for_its_turn_in_the_queue_after_an_outage_was_held_up_by_that() -> None:
    diary = Diary()
    stall = finding("stalled", None)
    diary.look(stall, finding("overdue", under=stall))
    for run in "ab":
        diary.look(finding("overdue", under=(IN_FLIGHT, run)), after=MINUTE)
        diary.look(finding("overdue"), after=MINUTE)
    assert _summary(diary).endswith(
        "; it was held up by its scheduler, which stood still, over since 2026-06-10 12:01 UTC"
    )


def test_of_runs_that_take_turns_only_what_is_waited_for_now_is_said() -> None:
    diary = Diary()
    diary.look(finding("overdue", under=(IN_FLIGHT, "a")))
    diary.look(finding("overdue"), after=MINUTE)
    diary.look(finding("overdue", under=(IN_FLIGHT, "b")), after=MINUTE)
    assert _summary(diary) == _LATE
    diary.look(finding("overdue"), after=MINUTE)
    assert _summary(diary).endswith("; it was held up by the run of b, over since 2026-06-10 12:03 UTC")


def test_what_is_late_anew_was_held_up_by_nothing() -> None:
    diary = Diary()
    diary.look(finding("stalled", None), finding("overdue", under=finding("stalled", None)))
    diary.look(finding("overdue"), after=MINUTE)
    diary.look(after=MINUTE)
    diary.look(finding("overdue"), after=HOUR)
    assert not any(
        "held up" in one.members["agent", "overdue", "id-heartbeat"].finding.summary for one in diary.ledger.open
    )


def test_what_an_outage_has_left_behind_is_its_own_for_as_long_as_the_queue_gets_on() -> None:
    diary = Diary()
    stall = finding("stalled", None)
    late = [f"job-{number}" for number in range(10)]
    diary.look(stall, *(finding("overdue", name, under=stall) for name in late))
    for served in range(1, 10):
        # one of them is not known to wait for anything in the moment between two runs
        waiting = [finding("overdue", name, under=(IN_FLIGHT, late[served - 1])) for name in late[served + 1 :]]
        diary.look(*waiting, finding("overdue", late[served]), after=3 * MINUTE)
    assert len(diary.ledger.incidents) == 1
    diary.look(after=5 * MINUTE)
    assert diary.ledger.open == []


def test_what_becomes_late_in_the_queue_after_an_outage_was_left_by_it() -> None:
    diary = Diary()
    stall = finding("stalled", None)
    diary.look(stall, finding("overdue", "a", under=stall))
    diary.look(finding("overdue", "b", under=(IN_FLIGHT, "a")), finding("overdue", "a"), after=MINUTE)
    diary.look(finding("overdue", "b"), after=MINUTE)
    assert [member.finding.job for member in diary.only.symptoms] == ["b"]


def test_a_queue_that_never_ends_is_none_that_an_outage_has_left() -> None:
    diary = Diary()
    stall = finding("stalled", None)
    diary.look(stall, *(finding("overdue", f"job-{number}", under=stall) for number in range(40)))
    for served in range(1, 20):
        late = (f"job-{number}" for number in range(served, served + 20))
        diary.look(*(finding("overdue", name, under=(IN_FLIGHT, "x")) for name in late), after=4 * MINUTE)
    assert [incident.family for incident in diary.ledger.open] == ["blocked"]


def test_a_symptom_of_something_that_is_itself_no_finding_opens_one_incident_for_all_that_wait() -> None:
    diary = Diary()
    waiting = [finding("overdue", f"job-{number}", under=(IN_FLIGHT, "triage")) for number in range(5)]
    diary.look(*waiting)
    assert len(diary.only.own) == 5
    assert diary.only.symptoms == []


def test_a_symptom_is_not_lost_with_a_cause_that_is_no_longer_found() -> None:
    diary = Diary(Timing(hold=timedelta()))
    stall = finding("stalled", None)
    diary.look(stall, finding("overdue", under=stall))
    (incident,) = diary.look(finding("overdue", under=stall), after=MINUTE)
    assert names(incident) == {("overdue", "heartbeat")}
    assert incident.is_active


# severity


def test_it_is_as_grave_as_what_is_so_now() -> None:
    diary = Diary()
    diary.look(finding("expiring"))
    severities = [diary.only.severity]
    for severity in ("critical", "warning"):
        diary.look(finding("expiring", severity=severity), after=HOUR)
        severities.append(diary.only.severity)
    assert severities == [Severity.WARNING, Severity.CRITICAL, Severity.WARNING]


def test_what_is_left_when_the_critical_part_is_over_is_no_longer_critical() -> None:
    """Not before that has stayed away for the hold, and what is clear altogether ends as it was."""
    diary = Diary()
    job = finding("failed", "a", error_class="transient")
    other = finding("failing", "b", error_class="transient")
    diary.look(job, other)
    diary.look(other, after=HOUR)
    severities = [diary.only.severity]
    diary.look(other, after=5 * MINUTE)
    severities.append(diary.only.severity)
    assert severities == [Severity.CRITICAL, Severity.WARNING]
    diary.look(job, other, after=MINUTE)
    diary.look(after=MINUTE)
    diary.look(after=5 * MINUTE)
    assert (diary.only.severity, diary.only.is_open) == (Severity.CRITICAL, False)


def test_one_that_comes_back_is_as_grave_as_it_is_then() -> None:
    diary = Diary()
    diary.look(finding("expiring", severity="critical"))
    diary.look(after=MINUTE)
    diary.look(after=5 * MINUTE)
    diary.look(finding("expiring"), after=HOUR)
    assert diary.only.severity is Severity.WARNING


def test_symptoms_do_not_make_it_graver() -> None:
    diary = Diary()
    run = finding("long_run", "triage")
    diary.look(run, finding("overdue", under=run, severity="critical"))
    assert diary.only.severity is Severity.WARNING


# a source that cannot be read


def test_a_blind_source_leaves_its_incidents_as_they_were() -> None:
    diary = Diary()
    diary.look(finding("overdue"), finding("failing", "x", source="other"))
    unreachable = finding("unreachable", None)
    diary.look(unreachable, after=MINUTE, blind=["agent"])
    late, other, blind = diary.ledger.incidents.values()
    assert (late.is_active, other.is_active, names(blind)) == (True, False, {("unreachable", None)})
    diary.look(unreachable, after=3 * DAY, blind=["agent"])
    assert diary.ledger.incidents[1].is_active
    diary.look(finding("overdue"), after=MINUTE)
    assert diary.ledger.incidents[1].opened_at == NOW
    assert not diary.ledger.incidents[3].is_active


def test_nothing_is_called_over_while_its_source_cannot_be_read() -> None:
    diary = Diary()
    diary.look(finding("wedged"))
    diary.look(after=MINUTE)
    diary.look(finding("unreachable", None), after=HOUR, blind=["agent"])
    assert diary.ledger.incidents[1].is_open
    diary.look(after=MINUTE)
    assert not diary.ledger.incidents[1].is_open


def test_the_blindness_itself_is_over_after_the_hold() -> None:
    diary = Diary()
    diary.look(finding("unreachable", None), blind=["agent"])
    diary.look(after=MINUTE)
    diary.look(after=5 * MINUTE)
    assert not diary.only.is_open


# the state file


def saved(diary: Diary, path: Path) -> Store:
    store = Store(path)
    with store.transaction():
        store.save_incidents(diary.ledger.incidents.values())
    store.close()
    return Store(path)


def test_a_restart_keeps_numbers_first_seen_and_what_belongs_where(tmp_path: Path) -> None:
    diary = Diary()
    stall = finding("stalled", None, since=NOW - HOUR, late_jobs=["id-heartbeat"], silent_for=3 * HOUR)
    late = finding("overdue", under=stall)
    diary.look(stall, late, failing("x", since=NOW - MINUTE))
    diary.look(stall, late, after=MINUTE)
    store = saved(diary, tmp_path / "state.db")
    diary.ledger = store.ledger()
    store.close()
    stalled, failed = diary.look(stall, late, after=2 * MINUTE)
    assert (stalled.id, stalled.opened_at, len(stalled.symptoms), stalled.since) == (1, NOW, 1, NOW - HOUR)
    assert [member.first_seen for member in stalled.members.values()] == [NOW, NOW]
    assert (failed.id, failed.clear_since) == (2, NOW + MINUTE)


def test_a_number_is_never_used_again_even_after_everything_is_forgotten(tmp_path: Path) -> None:
    diary = Diary(Timing(hold=timedelta(), memory=timedelta()))
    for number in range(KEPT_INCIDENTS + 5):
        diary.look(failing(f"job-{number}", f"class-{number}"), after=MINUTE)
    store = saved(diary, tmp_path / "state.db")
    with store.transaction():
        store.save_incidents(replace(i, resolved_at=NOW) for i in store.ledger().incidents.values())
        store.tidy()
    assert store.ledger().next_id == KEPT_INCIDENTS + 6
    store.close()


def test_an_open_incident_is_kept_however_many_came_after_it(tmp_path: Path) -> None:
    diary = Diary()
    diary.look(failing("old"))
    store = saved(diary, tmp_path / "state.db")
    first = diary.only
    later = [replace(first, id=number, resolved_at=NOW, members={}) for number in range(2, KEPT_INCIDENTS + 50)]
    with store.transaction():
        store.save_incidents(later)
        store.tidy()
    assert store.ledger().incidents[1].opened_at == NOW
    store.close()


def test_a_state_file_that_is_another_programs_database_is_refused_and_left_alone(tmp_path: Path) -> None:
    path = tmp_path / "phantom.db"
    with sqlite3.connect(path) as other:
        other.execute("CREATE TABLE scheduled_jobs (id TEXT)")
    other.close()
    before = path.read_bytes()
    with pytest.raises(StoreError, match=r"phantom\.db cannot be used: it is a database of another program"):
        Store(path)
    assert path.read_bytes() == before


# whatever is found


_JOBS = (None, "a", "b", "c")
_KINDS = tuple(Kind)
_SOURCES = ("agent", "other")
_CAUSING = [*(kind.value for kind in Kind if kind is not Kind.UNREACHABLE), IN_FLIGHT]
"""A source that cannot be read causes nothing that it could tell of."""

_CAUSES = st.none() | st.tuples(st.sampled_from(_CAUSING), st.sampled_from(_JOBS))


@st.composite
def _findings(draw: st.DrawFn) -> list[Finding]:
    """Any findings, with any causes, each key once."""
    keys = draw(
        st.lists(
            st.tuples(st.sampled_from(_SOURCES), st.sampled_from(_KINDS), st.sampled_from(_JOBS)),
            unique=True,
            max_size=6,
        )
    )
    return [_any_finding(draw, source, kind, job) for source, kind, job in keys]


def _any_finding(draw: st.DrawFn, source: str, kind: Kind, job: str | None) -> Finding:
    under = draw(_CAUSES) if kind is not Kind.UNREACHABLE else None  # which is nobody's symptom
    evidence = {"error_class": draw(st.sampled_from(["transient", "permanent"]))}
    cause = Cause(under[0], f"id-{under[1]}" if under[1] else None, under[1]) if under else None
    severity = draw(st.sampled_from(list(Severity)))
    return Finding(source, kind, severity, f"id-{job}" if job else None, job, None, "so", evidence, cause)


_STEPS = st.lists(
    st.tuples(
        st.sampled_from([SECOND, MINUTE, 5 * MINUTE, HOUR, 11 * HOUR, 2 * DAY]),
        _findings(),
        st.sets(st.sampled_from(_SOURCES)),
    ),
    max_size=12,
)


def active(ledger: Ledger) -> list[Key]:
    """What counts as true now, as often as it does."""
    return [key for incident in ledger.incidents.values() for key, m in incident.members.items() if m.active]


def seen(findings: list[Finding], blind: set[str]) -> set[Key]:
    """What can be known of what was found."""
    return {f.key for f in findings if f.source not in blind or f.kind is Kind.UNREACHABLE}


@settings(deadline=None, max_examples=60)
@given(_STEPS, st.sampled_from([timedelta(), 5 * MINUTE]))
def test_whatever_is_found_nothing_is_lost_doubled_renumbered_or_over_too_soon(
    steps: list[tuple[timedelta, list[Finding], set[str]]], hold: timedelta
) -> None:
    diary = Diary(Timing(hold=hold))
    for length, findings, blind in steps:
        before, frozen = diary.ledger, {key for key in active(diary.ledger) if key[0] in blind}
        diary.look(*findings, after=length, blind=blind)
        hidden = {key for key in frozen if key[1] != Kind.UNREACHABLE}
        assert sorted(map(str, active(diary.ledger))) == sorted(map(str, seen(findings, blind) | hidden))
        assert all(m.ended_at for i in diary.ledger.incidents.values() if not i.is_open for m in i.members.values())
        _keeps_its_word(before, diary, hold)


def _keeps_its_word(before: Ledger, diary: Diary, hold: timedelta) -> None:
    """What the incidents of one look promise about those of the next."""
    for number, incident in diary.ledger.incidents.items():
        was = before.incidents.get(number)
        assert read_incident(write_incidents([incident])[0]) == incident
        if was is None:
            assert before.next_id <= number < diary.ledger.next_id
        elif was.is_open and incident.is_active:
            there = {m.finding.severity for m in incident.members.values() if m.active and not m.under}
            recent = {m.finding.severity for m in incident.members.values() if m.ended_at and not m.under}
            assert incident.severity in there | (recent & {Severity.CRITICAL})
        if incident.resolved_at == diary.now:
            assert incident.clear_since
            assert diary.now - incident.clear_since >= (diary.timing.calm if incident.is_flapping else hold)


@settings(deadline=None, max_examples=60)
@given(_STEPS)
def test_a_second_look_at_the_same_changes_nothing(steps: list[tuple[timedelta, list[Finding], set[str]]]) -> None:
    diary = Diary()
    for length, findings, blind in steps:
        diary.look(*findings, after=length, blind=blind)
        before = diary.ledger
        diary.look(*findings, blind=blind)
        assert diary.ledger == before


def test_a_look_leaves_the_incidents_before_it_as_they_were() -> None:
    """The members are changed where they stand, in a copy of the look's own."""
    timing, moment = Timing(), Moment(NOW)
    first = update(Ledger(), [failing("a"), failing("b")], frozenset(), moment, timing)
    before = {number: dict(incident.members) for number, incident in first.incidents.items()}
    storm = [failing(f"job-{number}") for number in range(50)]
    later = update(first, storm, frozenset(), Moment(NOW + MINUTE), timing)
    assert {number: dict(incident.members) for number, incident in first.incidents.items()} == before
    assert sum(len(incident.members) for incident in later.incidents.values()) == 52

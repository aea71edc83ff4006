"""The past: what is new in a snapshot, what is kept of it, and which fires did not come."""

from collections.abc import Iterator
from dataclasses import replace
from datetime import datetime, timedelta
from pathlib import Path

import pytest

from tests.conftest import NOW
from watchdog.config.settings import Detect
from watchdog.core.model import (
    At,
    Breaker,
    CronSchedule,
    Every,
    Interruption,
    Job,
    RecordedRun,
    RunEnd,
    Schedule,
    Snapshot,
    Totals,
)
from watchdog.detectors.diagnosis import diagnose
from watchdog.detectors.published import Published, SourceState
from watchdog.state.history import KEPT_RUNS, History, Run, Seen, StateChange, load_runs, load_states, news, runs_of
from watchdog.state.store import Store
from watchdog.web.strip import Cell, in_words, missed, slots_until, strip

HOUR, MINUTE = timedelta(hours=1), timedelta(minutes=1)
HOURLY = CronSchedule("0 * * * *", "UTC")


def end(number: int, at: datetime, tokens: int = 100) -> RunEnd:
    """A run end."""
    return RunEnd(number, at, tokens, tokens)


def job(schedule: Schedule = HOURLY, **changes: object) -> Job:
    """A job that is due in an hour."""
    return replace(Job("a", "a", schedule, next_run_at=NOW + HOUR), **changes)  # type: ignore[arg-type]


def ran(*hours_ago: float) -> list[Run]:
    """Runs that began so many hours before NOW and took a minute."""
    starts = [NOW - hours * HOUR for hours in hours_ago]
    return [Run("s", "a", at + MINUTE, started_at=at, status="ok", duration=MINUTE) for at in starts]


def published(*jobs: Job) -> Published:
    """What a tick publishes of these."""
    snapshot = Snapshot("s", "phantom", jobs)
    return Published((SourceState(snapshot, diagnose(snapshot, NOW, Detect()), NOW, NOW),))


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    """A state file."""
    with_file = Store(tmp_path / "state.db")
    yield with_file
    with_file.close()


# what a snapshot tells


def test_the_recorded_run_is_joined_to_its_own_end_and_to_no_other() -> None:
    ends = (end(1, NOW - 2 * HOUR + MINUTE), end(2, NOW - HOUR + MINUTE, tokens=0))
    recorded = RecordedRun(NOW - HOUR, "error", MINUTE, "429")
    first, second = runs_of("s", job(recent=ends, last_run=recorded))
    assert (first.status, first.outcome) == (None, "unknown")
    assert (second.status, second.outcome, second.error, second.started_at) == ("error", "error", "429", NOW - HOUR)


def test_a_recorded_run_without_an_end_of_its_own_is_a_run_too() -> None:
    """Such as one of an agent without a bill, and one before an end that nobody wrote down."""
    recorded = RecordedRun(NOW - 3 * HOUR, "ok", MINUTE)
    runs = runs_of("s", job(recent=(end(1, NOW - HOUR),), last_run=recorded))
    assert [(run.ended_at, run.status) for run in runs] == [(NOW - 3 * HOUR + MINUTE, "ok"), (NOW - HOUR, None)]
    assert [run.outcome for run in runs_of("s", job(last_run=recorded))] == ["worked"]


def test_the_rows_count_of_errors_tells_what_came_of_the_runs_before() -> None:
    """As at a first look in the middle of an outage, when only the last run's outcome stands in the row."""
    ends = tuple(end(n, NOW - n * HOUR + MINUTE, tokens=100 if n == 5 else 0) for n in (6, 5, 4, 3, 2, 1))
    failing = job(recent=ends, last_run=RecordedRun(NOW - HOUR, "error", MINUTE, "429"), consecutive_errors=5)
    outcomes = [run.outcome for run in runs_of("s", failing)]
    assert outcomes == ["no_tokens", "error", "error", "error", "error", "error"]


def test_what_nothing_tells_of_a_run_is_not_taken_for_good() -> None:
    ends = tuple(end(n, NOW - n * HOUR + MINUTE) for n in (4, 3, 2, 1))
    failing = job(recent=ends, last_run=RecordedRun(NOW - HOUR, "error", MINUTE, "429"), consecutive_errors=2)
    assert [run.outcome for run in runs_of("s", failing)] == ["unknown", "unknown", "error", "error"]
    told = tuple(replace(each, status="ok") for each in ends)
    assert [run.outcome for run in runs_of("s", replace(failing, recent=told))][:2] == ["worked", "worked"]


def test_a_run_that_was_seen_to_end_unrecorded_is_not_counted_as_an_error_later() -> None:
    unrecorded = job(recent=(end(1, NOW - 2 * HOUR),), consecutive_errors=1)
    last = RecordedRun(NOW - HOUR, "error", MINUTE, "429")
    after = replace(unrecorded, recent=(*unrecorded.recent, end(2, NOW - HOUR + MINUTE)), last_run=last)
    _, (run,) = news(Seen(unrecorded, None), "s", replace(after, consecutive_errors=2))
    assert (run.started_at, run.outcome) == (NOW - HOUR, "error")


def failed_at(hours: int) -> RecordedRun:
    return RecordedRun(NOW - hours * HOUR, "error", MINUTE, "429")


def test_an_end_that_was_billed_at_one_look_and_counted_at_the_next_with_the_run_after_was_an_error() -> None:
    """The row tells only the newest run: of the one before it the count alone says what came of it."""
    first, second, third = (end(n, NOW - n * HOUR + MINUTE, tokens=0) for n in (3, 2, 1))
    billed = job(recent=(first, second), last_run=failed_at(3), consecutive_errors=1)
    after = job(recent=(first, second, third), last_run=failed_at(1))
    _, counted = news(Seen(billed, None), "s", replace(after, consecutive_errors=3))
    outcomes = {run.ended_at: run.outcome for run in counted}
    assert (outcomes[second.at], outcomes[third.at]) == ("error", "error")
    _, unrecorded = news(Seen(billed, None), "s", replace(after, consecutive_errors=2))
    outcomes = {run.ended_at: run.outcome for run in unrecorded}
    assert second.at not in outcomes
    assert outcomes[third.at] == "error"


def test_a_run_that_was_broken_off_stands_in_the_past_as_that(store: Store) -> None:
    history, hung = History(store), job(Every(MINUTE), in_flight_since=NOW - 5 * MINUTE)
    history.turn(published(hung), NOW - 4 * MINUTE)
    cut = replace(hung, in_flight_since=None, interrupted=Interruption(NOW - 5 * MINUTE, NOW - 2 * MINUTE))
    history.turn(published(cut), NOW - 2 * MINUTE)
    history.turn(published(replace(hung, in_flight_since=NOW - MINUTE)), NOW)
    (run,) = load_runs(store.database, "s", "a", 10)
    assert (run.began, run.ended_at, run.outcome) == (NOW - 5 * MINUTE, NOW - 2 * MINUTE, "broken_off")
    assert missed(replace(hung, in_flight_since=NOW - MINUTE), [run], NOW) == []


def test_only_what_was_not_known_is_news() -> None:
    before = job(recent=(end(1, NOW - 2 * HOUR),))
    after = replace(before, recent=(*before.recent, end(2, NOW - HOUR)))
    seen, first = news(None, "s", before)
    assert len(first) == 1
    seen, second = news(seen, "s", after)
    assert [run.ended_at for run in second] == [NOW - HOUR]
    _, third = news(seen, "s", after)
    assert third == ()


def test_a_run_that_is_recorded_after_it_was_billed_is_told_again_with_its_outcome() -> None:
    billed = job(recent=(end(1, NOW - HOUR + MINUTE),))
    recorded = replace(billed, last_run=RecordedRun(NOW - HOUR, "ok", MINUTE))
    _, (run,) = news(Seen(billed, None), "s", recorded)
    assert (run.status, run.duration) == ("ok", MINUTE)


def test_a_runs_cost_is_what_the_jobs_cost_has_grown_by_if_it_is_the_only_new_one() -> None:
    before = job(recent=(end(1, NOW - 3 * HOUR),), totals=Totals(cost_usd=1.0))
    one = replace(before, recent=(*before.recent, end(2, NOW - 2 * HOUR)), totals=Totals(cost_usd=1.25))
    two = replace(one, recent=(*one.recent, end(3, NOW - HOUR), end(4, NOW)), totals=Totals(cost_usd=2.0))
    seen, (run,) = news(Seen(before, None), "s", one)
    assert run.cost_usd == 0.25
    billed = replace(before, recent=(*before.recent, replace(end(2, NOW - 2 * HOUR), cost_usd=0.2)))
    assert [run.cost_usd for run in runs_of("s", billed)] == [None, 0.2]
    _, runs = news(seen, "s", two)
    assert [run.cost_usd for run in runs] == [None, None]


def test_a_cost_that_is_written_after_the_run_end_is_still_the_runs() -> None:
    before = job(totals=Totals(cost_usd=1.0))
    ended = replace(before, recent=(end(1, NOW),))
    seen, _ = news(Seen(before, None), "s", ended)
    _, (run,) = news(seen, "s", replace(ended, totals=Totals(cost_usd=1.5)))
    assert run.cost_usd == 0.5


# what is kept


def test_runs_outlast_a_restart_and_the_snapshot(store: Store) -> None:
    History(store).turn(published(job(recent=(end(1, NOW - 2 * HOUR),))), NOW)
    History(store).turn(published(job(recent=(end(2, NOW - HOUR),))), NOW)
    assert [run.ended_at for run in load_runs(store.database, "s", "a", 10)] == [NOW - 2 * HOUR, NOW - HOUR]


def test_what_is_known_of_a_run_is_not_lost_when_a_later_snapshot_tells_less(store: Store) -> None:
    first = job(recent=(end(1, NOW - 2 * HOUR + MINUTE),), last_run=RecordedRun(NOW - 2 * HOUR, "error", MINUTE, "429"))
    History(store).turn(published(first), NOW)
    History(store).turn(published(replace(first, last_run=None)), NOW)
    (run,) = load_runs(store.database, "s", "a", 10)
    assert (run.status, run.error, run.started_at) == ("error", "429", NOW - 2 * HOUR)


def test_nothing_is_written_while_there_is_nothing_new(store: Store) -> None:
    history, look = History(store), published(job(recent=(end(1, NOW),)))
    assert history.turn(look, NOW)
    before = store.database.total_changes
    assert not history.turn(look, NOW + MINUTE)
    assert not history.turn(published(*look.sources[0].snapshot.jobs), NOW + MINUTE)
    assert store.database.total_changes == before


def test_so_many_runs_of_a_job_are_kept_and_no_more(store: Store) -> None:
    history = History(store)
    for batch in range(KEPT_RUNS // 10 + 3):
        ends = tuple(end(n, NOW + (batch * 10 + n) * MINUTE) for n in range(10))
        history.turn(published(job(recent=ends)), NOW)
    runs = load_runs(store.database, "s", "a", 10 * KEPT_RUNS)
    assert len(runs) == KEPT_RUNS
    assert runs[-1].ended_at == NOW + ((KEPT_RUNS // 10 + 2) * 10 + 9) * MINUTE


@pytest.mark.parametrize("schedule", [HOURLY, Every(HOUR)])
def test_a_job_that_was_off_at_the_first_look_has_missed_nothing_since_its_last_run(
    store: Store, schedule: Schedule
) -> None:
    """Its scheduler does not write when it was switched off."""
    off = job(schedule, enabled=False, next_run_at=NOW - 49 * HOUR, recent=(end(1, NOW - 50 * HOUR),))
    history = History(store)
    for now in (NOW, NOW + HOUR):
        history.turn(published(off), now)
        runs, states = load_runs(store.database, "s", "a", 24), load_states(store.database, "s", "a")
        assert [state.state for state in states] == ["disabled"]
        assert missed(off, runs, now, states) == []


def test_changes_of_state_are_kept_with_their_instants(store: Store) -> None:
    history = History(store)
    for status, hours in (("active", 5), ("failed", 3), ("active", 1)):
        history.turn(published(job(status=status, updated_at=NOW - hours * HOUR)), NOW)
    changes = load_states(store.database, "s", "a")
    assert changes == [StateChange(NOW - 3 * HOUR, "failed"), StateChange(NOW - HOUR, "active")]


def test_a_state_file_that_cannot_be_written_ends_nothing_and_what_was_new_is_written_later(store: Store) -> None:
    history, look = History(store), published(job(recent=(end(1, NOW),)))
    store.database.execute("ALTER TABLE runs RENAME TO elsewhere")
    assert not history.turn(look, NOW)
    store.database.execute("ALTER TABLE elsewhere RENAME TO runs")
    assert history.turn(look, NOW + MINUTE)
    assert len(load_runs(store.database, "s", "a", 10)) == 1


# the fires that did not come


def test_a_slot_in_which_no_run_began_is_missed_once_the_next_one_has_come() -> None:
    runs = ran(5, 4, 1)
    assert missed(job(), runs, NOW) == [NOW - 3 * HOUR, NOW - 2 * HOUR]
    assert missed(job(), ran(3, 2, 1), NOW + 59 * MINUTE) == []
    assert missed(job(), ran(3, 2, 1), NOW + HOUR) == [NOW]


def test_a_run_in_flight_takes_its_own_slot() -> None:
    assert missed(job(in_flight_since=NOW - HOUR), ran(3, 2), NOW) == []


def test_a_job_that_was_given_up_misses_its_fires_and_a_paused_one_does_not() -> None:
    failed = job(status="failed", next_run_at=None)
    assert missed(failed, ran(4, 3), NOW) == [NOW - 2 * HOUR, NOW - HOUR]
    assert missed(replace(failed, status="paused"), ran(4, 3), NOW) == []
    paused = [StateChange(NOW - 3.5 * HOUR, "paused"), StateChange(NOW - 1.5 * HOUR, "active")]
    assert missed(job(), ran(5, 4), NOW, paused) == [NOW - HOUR]


def test_before_the_first_run_that_is_known_nothing_is_called_missed() -> None:
    assert missed(job(), [], NOW) == []
    assert missed(job(next_run_at=NOW - 2 * HOUR), [], NOW) == [NOW - 2 * HOUR, NOW - HOUR]


def test_an_interval_counts_from_the_end_of_the_run_before() -> None:
    every = job(Every(HOUR))
    assert missed(every, ran(5, 1), NOW) == [NOW - 4 * HOUR + MINUTE, NOW - 3 * HOUR + MINUTE]
    assert missed(every, ran(2.02, 1), NOW) == []
    late = replace(every, next_run_at=NOW - 2.5 * HOUR)
    assert missed(late, ran(3.5), NOW) == [NOW - 2.5 * HOUR + MINUTE, NOW - 1.5 * HOUR + MINUTE]
    assert missed(replace(every, status="failed", next_run_at=None), ran(3), NOW) == [NOW - 2 * HOUR + MINUTE]


def test_the_pause_after_an_error_is_no_missed_fire() -> None:
    patient = job(Every(15 * MINUTE), breaker=Breaker(10, (2 * HOUR,)))
    failing = [replace(run, status="error") for run in ran(2.5, 0.1)]
    assert missed(patient, failing, NOW) == []
    assert missed(patient, ran(2.5, 0.1), NOW) != []
    unknown = [replace(run, status=None) for run in ran(2.5, 0.1)]
    assert missed(patient, unknown, NOW) == []
    slow = replace(patient, schedule=HOURLY, breaker=Breaker(10, (3 * HOUR,), cron_may_come_sooner=False))
    assert missed(slow, [replace(run, status="error") for run in ran(4, 0.9)], NOW) == []
    assert missed(slow, ran(4, 0.9), NOW) == [NOW - 3 * HOUR, NOW - 2 * HOUR]


def test_a_one_shot_that_did_not_fire_is_missed() -> None:
    assert missed(job(At(NOW - HOUR)), [], NOW) == [NOW - HOUR]
    assert missed(job(At(NOW - HOUR)), ran(1), NOW) == []
    assert missed(job(At(NOW + HOUR)), [], NOW) == []


def test_slots_go_back_through_a_clock_change_without_repeating() -> None:
    slots = slots_until(CronSchedule("30 2 * * *", "Europe/Berlin"), datetime.fromisoformat("2026-03-31T00:30:00Z"), 4)
    assert [slot.day for slot in slots] == sorted({slot.day for slot in slots})
    assert slots_until(HOURLY, NOW, 3) == (NOW - 2 * HOUR, NOW - HOUR, NOW)


def test_a_strip_is_the_newest_fires_in_order_and_in_words() -> None:
    zero = replace(ran(1)[0], input_tokens=0, output_tokens=0)
    cells = strip(job(in_flight_since=NOW), [*ran(4, 3), zero], NOW, length=4)
    assert [(cell.at, cell.what) for cell in cells] == [
        (NOW - 3 * HOUR, "worked"),
        (NOW - 2 * HOUR, "missed"),
        (NOW - HOUR, "no_tokens"),
        (NOW, "in_flight"),
    ]
    assert in_words(cells) == "1 worked, then 1 missed, then 1 no tokens, then 1 in flight"
    assert in_words([]) == "nothing is known yet"
    assert in_words([Cell(NOW, "error")] * 2) == "2 error"


def test_a_long_outage_does_not_push_out_what_led_to_it() -> None:
    failed = job(status="failed", next_run_at=None)
    cells = strip(failed, [replace(run, status="error") for run in ran(102, 101, 100)], NOW)
    assert [cell.what for cell in cells] == ["error"] * 3 + ["missed"] * 8
    assert in_words(cells) == "3 error, then 24 or more missed"


def test_a_run_that_began_in_the_second_in_which_the_last_one_ended_is_joined_to_its_own_end() -> None:
    start = NOW + timedelta(milliseconds=6)
    ends = (end(1, NOW), end(2, NOW + timedelta(seconds=8)))
    recorded = RecordedRun(start, "error", timedelta(seconds=8), "429")
    first, second = runs_of("s", job(recent=ends, last_run=recorded))
    assert (first.status, second.status, second.started_at) == (None, "error", start)


def test_a_change_of_state_that_leaves_the_rows_time_stamp_is_noted_when_it_is_seen(store: Store) -> None:
    failed = job(status="failed", updated_at=NOW - HOUR)
    history = History(store)
    history.turn(published(failed), NOW)
    history.turn(published(replace(failed, status="active")), NOW + MINUTE)
    assert load_states(store.database, "s", "a") == [
        StateChange(NOW - HOUR, "failed"),
        StateChange(NOW + MINUTE, "active"),
    ]

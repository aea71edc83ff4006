"""Cases in which it is easy to tell something wrong. The reason why the test is right stands above each."""

from collections.abc import Callable, Iterator
from contextlib import ExitStack
from datetime import UTC, datetime
from pathlib import Path

import pytest

from tests.support.harness import HOUR, MINUTE, MS, SECOND, START, Agent, Watch, findings_of, scheduler, touch_of
from watchdog.config.file import Config
from watchdog.core.model import Every, Job, RecordedRun, Snapshot
from watchdog.demo.outcome import Outcome
from watchdog.demo.simulator import Simulator
from watchdog.detectors.diagnosis import diagnose

Begin = Callable[..., tuple[Agent, Simulator, Watch]]


@pytest.fixture
def begin(tmp_path: Path) -> Iterator[Begin]:
    with ExitStack() as stack:

        def make(now: datetime = START) -> tuple[Agent, Simulator, Watch]:
            agent = Agent()
            sim = stack.enter_context(scheduler(tmp_path / "agent.db", agent, now))
            return agent, sim, Watch(sim, tmp_path / "agent.db", phase=0.7 * SECOND)

        yield make


def fails(tokens: int = 9000) -> Outcome:
    return Outcome(ok=False, duration=20 * SECOND, input_tokens=tokens, error="Error: 529 overloaded_error")


# A healthy job: a cost event's time is cut to the second, so the event of a run that took less than one may lie
# before that run's own start (09:10:02 and 09:10:02.400) and inside its slot. Found by the property test.
def test_a_run_of_less_than_a_second_is_no_duplicate_of_itself(begin: Begin) -> None:
    agent, sim, watch = begin()
    agent.usual = {"first": Outcome(duration=2.4 * SECOND), "second": Outcome(duration=500 * MS)}
    sim.add("first", ("cron", "*/10 * * * *", "UTC"))
    sim.add("second", ("cron", "*/10 * * * *", "UTC"))
    watch.run_for(HOUR)
    watch.told([])


# Under the brief and the contract a leaked flag is `wedged` once it is proved. It was proved while the slot was idle:
# other jobs started long after this one was due. Each run of another job that starts afterwards takes the proof away
# again for as long as it lasts (and its 60 s), for `_second_start` wants two starts of the same job. With 24 daily
# jobs the finding flaps 24 times a day between `wedged` (critical) and `overdue` under `in_flight`, and the cause is
# wrong: the job does not wait for that run. An idle gap between two others' runs after the due time proves as
# much: the pass that began then would have taken the late job first.
def test_a_leaked_flag_stays_wedged_while_jobs_that_seldom_run_are_in_flight(begin: Begin) -> None:
    agent, sim, watch = begin()
    leaked = sim.add("leaked", ("every", 30 * MINUTE))
    for hour in range(24):
        agent.usual[f"daily-{hour}"] = Outcome(duration=10 * MINUTE)
        sim.add(f"daily-{hour}", ("cron", f"0 {hour} * * *", "UTC"))
    sim.leak_session(leaked)
    watch.run_for(12 * HOUR)
    assert [(spell.kind, spell.job) for spell in watch.spells()] == [("wedged", "leaked")]


# On the night that the clocks go back a run that ends in the second pass through the hour stores a next fire in the
# past. That job is then due *before* jobs that wait already, and runs twice in a row: the second start that is taken
# for proof of a leaked flag. The waiting job is well and runs next; for 22 minutes it is told as critical.
def test_a_job_that_the_repeated_hour_puts_first_proves_no_leaked_flag(begin: Begin) -> None:
    agent, sim, watch = begin(datetime(2026, 11, 1, 4, tzinfo=UTC))
    sim.add("quarter", ("cron", "*/15 * * * *", "America/New_York"))
    sim.add("often", ("every", 5 * MINUTE))
    watch.run_until(datetime(2026, 11, 1, 5, 40, tzinfo=UTC))
    agent.usual["quarter"] = Outcome(duration=22 * MINUTE)
    watch.run_for(2 * HOUR)
    assert {spell.kind for spell in watch.spells()} == {"overdue"}


# The run that was in flight has ended and the pass starts the next one; that shows three seconds later. In between
# `overdue` loses its cause, for each waiting job at once: a poll that falls there tells them one by one, which is what
# `caused_by` is there to prevent. The slot has not been let go of. (`stalled` and `wedged` keep quiet: AFTER_A_RUN.)
def test_waiting_jobs_keep_their_cause_between_two_runs_of_one_pass(begin: Begin) -> None:
    agent, sim, watch = begin()
    agent.usual = {"long": Outcome(duration=25 * MINUTE)}
    sim.add("long", ("cron", "0 9 * * *", "UTC"))
    for number in range(3):
        sim.add(f"often-{number}", ("every", 5 * MINUTE))
    watch.run_for(3 * HOUR)
    bare = {spell.job for spell in watch.spells() if spell.kind == "overdue" and None in spell.causes}
    assert bare == set()


# After the restart the job runs again: the run in flight holds the slot, the earlier end holds nothing, and a restart
# is no longer what runs it again. What the summary says is false from the second run's first trace on.
def test_an_unrecorded_run_is_over_once_the_job_runs_again(begin: Begin) -> None:
    agent, sim, watch = begin()
    sim.add("digest", ("cron", "0 * * * *", "UTC"))
    agent.usual["digest"] = Outcome(duration=10 * MINUTE)
    agent.then("digest", Outcome(delivery_hangs=True))
    watch.run_for(2 * HOUR + 30 * MINUTE)
    restarted = sim.now
    sim.restart()
    watch.run_for(MINUTE)
    assert touch_of(agent.first_after("digest", restarted)) < sim.now
    assert watch.now_found() == {("duplicate", "digest")}


# The same, where it hurts: the second run hangs, and is never told as `long_run` nor as `wedged`.
def test_a_hung_run_after_an_unrecorded_one_is_wedged(begin: Begin) -> None:
    agent, sim, watch = begin()
    sim.add("digest", ("cron", "0 * * * *", "UTC"))
    sim.add("behind", ("every", 40 * MINUTE))
    agent.then("digest", Outcome(delivery_hangs=True), Outcome.hanging())
    watch.run_for(2 * HOUR + 30 * MINUTE)
    sim.restart()
    watch.run_for(5 * HOUR)
    assert watch.now_found() == {("wedged", "digest"), ("duplicate", "digest"), ("overdue", "behind")}


# A single look (`check`, or the service after its own restart). The retry was due 30 s after the error and waited for
# the slot, so it started three minutes after it. Turns and recorded runs agree, so no run went unrecorded,
# and without one there is no duplicate; the length of the gap need not be asked then.
def test_a_retry_that_had_to_wait_for_the_slot_is_no_duplicate_in_a_single_look(begin: Begin) -> None:
    agent, sim, watch = begin()
    agent.usual = {"other": Outcome(duration=3 * MINUTE), "digest": Outcome(duration=20 * SECOND)}
    sim.add("digest", ("cron", "0 * * * *", "UTC"))
    sim.add("other", ("cron", "0 * * * *", "UTC"))
    watch.run_for(HOUR + 30 * MINUTE)
    agent.then("digest", fails())
    watch.run_for(HOUR)
    assert watch.spells() == []
    assert findings_of(watch.path, sim.now) == ()


# A single look again. One run went unrecorded once; from then on a job has a turn more than recorded runs, for ever,
# and every error with tokens that is retried is told as a duplicate for the rest of its slot. The gap is exactly the
# breaker's first pause.
def test_a_retry_long_after_an_unrecorded_run_is_no_duplicate_in_a_single_look(begin: Begin) -> None:
    agent, sim, watch = begin()
    sim.add("digest", ("cron", "0 * * * *", "UTC"))
    agent.then("digest", Outcome(delivery_hangs=True))
    watch.run_for(2 * HOUR)
    sim.restart()
    restarted = sim.now
    watch.run_for(24.5 * HOUR)
    agent.then("digest", fails())
    watch.run_for(HOUR)
    again = [(spell.seen_at, spell.over_at) for spell in watch.spells() if spell.kind == "duplicate"]
    assert all(seen - restarted < MINUTE and over and over - restarted < HOUR + MINUTE for seen, over in again)
    assert findings_of(watch.path, sim.now) == ()


# The forecast goes by `next_run_at` even when that is past: while another run holds the slot it names an instant that
# is over ("at about 13:32" said at 14:03). A run cannot start before now.
def test_the_forecast_of_a_job_that_waits_for_the_slot_lies_ahead(begin: Begin) -> None:
    agent, sim, watch = begin()
    agent.usual = {"failing": fails(), "long": Outcome(duration=4 * HOUR)}
    sim.add("failing", ("every", 10 * MINUTE))
    sim.add("long", ("cron", "0 12 * * *", "UTC"))
    watch.run_until(START + 4 * HOUR + 3 * HOUR)
    trips = watch.get("failing", "failing").evidence["breaker_trips_at"]
    assert isinstance(trips, datetime)
    assert trips >= sim.now


# Told that the others wait for this run, the operator pauses the job. The row's `updated_at` is then newer than the
# cost event, and the unrecorded end is forgotten: the slot counts as free and the scheduler as standing still ("its
# process is down, or its timer is not armed"), which is false. The contract's words ("newer than the row's
# `updated_at`") allow it; the row itself tells better: its last recorded run ended long before the newest cost event.
def test_a_paused_job_whose_delivery_hangs_still_holds_the_slot(begin: Begin) -> None:
    agent, sim, watch = begin()
    digest = sim.add("digest", ("cron", "0 * * * *", "UTC"))
    sim.add("triage", ("every", 10 * MINUTE))
    watch.run_for(HOUR + 30 * MINUTE)
    agent.then("digest", Outcome(delivery_hangs=True))
    watch.run_for(HOUR)
    sim.pause(digest)
    watch.run_for(HOUR)
    assert watch.now_found() == {("overdue", "triage")}
    cause = watch.get("overdue", "triage").caused_by
    assert cause
    assert cause.job == "digest"


# The bill is written at the run's end, the row only after its delivery. A slow delivery leaves minutes between them in
# which the slot is held; when the row is written the next run starts, and shows three seconds later.
def test_after_a_slow_delivery_nothing_is_called_stalled_or_wedged(begin: Begin) -> None:
    agent, sim, watch = begin()
    agent.usual = {"long": Outcome(duration=25 * MINUTE, delivery_duration=4 * MINUTE)}
    sim.add("long", ("cron", "0 * * * *", "UTC"))
    for number in range(3):
        sim.add(f"often-{number}", ("every", 5 * MINUTE))
    watch.run_for(6 * HOUR)
    assert {spell.kind for spell in watch.spells()} == {"overdue"}
    assert all(None not in spell.causes for spell in watch.spells())


# Where nobody sees the scheduler's process, a lone run beyond the run limit may have ended with it: nothing proves
# that it is wedged. It is told all the same, whatever a usual run takes, for no run is meant to last so long.
def test_a_lone_run_beyond_the_run_limit_is_long_until_it_is_proved_to_be_wedged() -> None:
    last = RecordedRun(START - 5 * HOUR, "ok", 20 * MINUTE)
    alone = Job("a", "a", Every(HOUR), next_run_at=START, last_run=last, in_flight_since=START)
    late = Job("b", "b", Every(SECOND), next_run_at=START)
    config = Config.validated({"sources": [{"database": "/a.db"}], "detect": {"wedged": {"run_limit": "30s"}}})

    def told(*jobs: Job) -> set[tuple[str, str | None]]:
        found = diagnose(Snapshot("s", "phantom", jobs), START + 30 * SECOND, config.detect).findings
        return {(finding.kind.value, finding.job) for finding in found}

    assert told(alone) == {("long_run", "a")}
    assert told(alone, late) == {("wedged", "a"), ("overdue", "b")}

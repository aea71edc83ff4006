"""The conditions against a scheduler whose truth is known: each fault is made, and what is told of it is held to it.

When a condition becomes true is worked out here from the simulator's own story and the words of the contract, never
by asking a detector.
"""

from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from tests.support.harness import (
    DAY,
    HOUR,
    MINUTE,
    POLL,
    SECOND,
    START,
    Agent,
    Calls,
    Claim,
    Run,
    Watch,
    change,
    findings_of,
    next_run,
    scheduler,
    touch_of,
)
from watchdog.demo.outcome import Outcome
from watchdog.demo.simulator import Simulator

OVERLOADED = Outcome.failing("Error: 529 overloaded_error: Overloaded")
RUN_LIMIT = 245 * MINUTE
FLOOR = 30 * MINUTE


@dataclass
class Stage:
    """One scheduler, its agent, and the watch on both."""

    path: Path
    agent: Agent
    sim: Simulator
    watch: Watch

    def every(self, name: str, interval: timedelta, duration: timedelta = 40 * SECOND) -> str:
        self.agent.usual.setdefault(name, Outcome(duration=duration))
        return self.sim.add(name, ("every", interval))

    def cron(self, name: str, expr: str, duration: timedelta = 40 * SECOND, zone: str = "UTC") -> str:
        self.agent.usual.setdefault(name, Outcome(duration=duration))
        return self.sim.add(name, ("cron", expr, zone))

    def until_run(self, job: str) -> Run:
        """Goes on until the job's next run has started."""
        had = len(self.agent.of(job))
        while len(self.agent.of(job)) == had:
            event = self.sim.next_event()
            assert event, f"nothing will ever start {job}"
            self.watch.run_until(event)
        return self.agent.last(job)


Begin = Callable[..., Stage]


@pytest.fixture
def begin(tmp_path: Path) -> Iterator[Begin]:
    """Makes a stage; `phase` shifts the polls against the full second."""
    with ExitStack() as stack:

        def make(now: datetime = START, phase: timedelta = 0.7 * SECOND, **options: object) -> Stage:
            agent = Agent()
            sim = stack.enter_context(scheduler(tmp_path / "agent.db", agent, now, **options))
            return Stage(tmp_path / "agent.db", agent, sim, Watch(sim, tmp_path / "agent.db", phase=phase))

        yield make


# a run that does not come back


def test_a_held_slot_is_a_long_run_then_wedged_and_the_others_wait_for_it(begin: Begin) -> None:
    stage = begin()
    digest = stage.every("digest", 50 * MINUTE)
    triage = stage.every("triage", 7 * MINUTE)
    stage.watch.run_for(3 * HOUR)
    stage.agent.then("digest", Outcome.hanging())
    hung = stage.until_run("digest")
    due = next_run(stage.path, triage)
    stage.watch.run_for(5 * HOUR)
    restarted = stage.sim.now
    stage.sim.restart()
    stage.watch.run_for(2 * HOUR)
    again = stage.agent.first_after("digest", restarted)
    served = stage.agent.first_after("triage", restarted)
    since = touch_of(hung)
    waits = (("in_flight", "digest"), ("long_run", "digest"), ("wedged", "digest"), None, ("in_flight", "digest"))
    stage.watch.told(
        [
            Claim("long_run", "digest", since + FLOOR, since + RUN_LIMIT),
            Claim("wedged", "digest", since + RUN_LIMIT, restarted),
            Claim("overdue", "triage", due + 14 * MINUTE, touch_of(served), waits),
        ]
    )
    assert again.started_at - restarted < SECOND
    assert digest != triage


def test_a_long_run_that_is_aborted_is_never_wedged(begin: Begin) -> None:
    stage = begin()
    stage.every("digest", 6 * HOUR)
    stage.agent.then("digest", Outcome.hanging(honours_abort=True))
    hung = stage.until_run("digest")
    stage.watch.run_for(12 * HOUR)
    stage.watch.told([Claim("long_run", "digest", touch_of(hung) + FLOOR, hung.started_at + 240 * MINUTE)])


def test_a_job_with_long_runs_gets_three_times_as_long(begin: Begin) -> None:
    stage = begin()
    stage.every("digest", 6 * HOUR, duration=40 * MINUTE)
    stage.agent.then("digest", Outcome(duration=25 * MINUTE), Outcome(duration=74 * MINUTE), Outcome.hanging())
    for _ in range(3):
        hung = stage.until_run("digest")
    stage.watch.run_for(3 * HOUR + 50 * MINUTE)
    stage.watch.told([Claim("long_run", "digest", touch_of(hung) + 222 * MINUTE)])


def test_a_run_whose_row_was_deleted_still_holds_the_slot(begin: Begin) -> None:
    stage = begin()
    digest = stage.every("digest", 50 * MINUTE)
    triage = stage.every("triage", 7 * MINUTE)
    stage.agent.then("digest", Outcome.hanging())
    hung = stage.until_run("digest")
    due = next_run(stage.path, triage)
    stage.watch.run_for(5 * MINUTE)
    stage.sim.delete(digest)
    stage.watch.run_for(5 * HOUR)
    restarted = stage.sim.now
    stage.sim.restart()
    stage.watch.run_for(HOUR)
    again = stage.agent.first_after("triage", restarted)
    waits = (("in_flight", digest), ("wedged", digest), None)
    stage.watch.told(
        [
            Claim("wedged", digest, touch_of(hung) + RUN_LIMIT, restarted),
            Claim("overdue", "triage", due + 14 * MINUTE, touch_of(again), waits),
        ]
    )


def test_a_long_legitimate_run_that_blocks_others_is_no_stall_and_no_wedge(begin: Begin) -> None:
    stage = begin()
    stage.every("digest", 5 * HOUR, duration=25 * MINUTE)
    intervals = {f"triage-{n}": n * MINUTE for n in (3, 4, 5)}
    ids = {name: stage.every(name, interval, duration=50 * SECOND) for name, interval in intervals.items()}
    long = stage.until_run("digest")
    due = {name: next_run(stage.path, job_id) for name, job_id in ids.items()}
    stage.watch.run_for(4 * HOUR)
    in_order = sorted(due, key=lambda name: due[name])
    for place, name in enumerate(in_order):
        served = stage.agent.first_after(name, long.started_at)
        (spell,) = [spell for spell in stage.watch.spells() if spell.job == name]
        claim = Claim("overdue", name, due[name] + 2 * intervals[name], touch_of(served))
        stage.watch.in_time([claim], [spell])
        assert [cause for cause in spell.causes if cause] == [
            ("in_flight", other) for other in ("digest", *in_order[:place])
        ]
    assert {spell.kind for spell in stage.watch.spells()} == {"overdue"}


# flags and timers that leave no row


def test_a_leaked_busy_flag_is_wedged_while_other_jobs_run(begin: Begin) -> None:
    stage = begin()
    digest = stage.every("digest", 30 * MINUTE)
    stage.every("triage", 7 * MINUTE, duration=2 * MINUTE)
    stage.every("mail", 11 * MINUTE, duration=3 * MINUTE)
    stage.watch.run_for(65 * MINUTE)
    stage.sim.leak_session(digest)
    due = next_run(stage.path, digest)
    stage.watch.run_for(12 * HOUR)
    restarted = stage.sim.now
    stage.sim.restart()
    stage.watch.run_for(3 * HOUR)
    again = touch_of(stage.agent.first_after("mail", restarted))
    # what was passed over has the time to start that a scheduler takes that has just begun
    stage.watch.told([Claim("wedged", "digest", due + HOUR, restarted), Claim("interrupted", "mail", restarted, again)])
    assert stage.watch.spells()[0].first.evidence["how"] == "leaked_flag"
    assert len(stage.agent.of("triage")) > 80


def test_a_leaked_slot_flag_is_a_stall(begin: Begin) -> None:
    stage = begin()
    digest = stage.every("digest", 50 * MINUTE)
    triage = stage.every("triage", 7 * MINUTE)
    stage.watch.run_for(3 * HOUR)
    stage.sim.leak_slot()
    stage.watch.run_for(POLL)
    _stands_still(stage, {"digest": (digest, 50 * MINUTE), "triage": (triage, 7 * MINUTE)})


def test_a_lost_timer_is_a_stall(begin: Begin) -> None:
    stage = begin()
    digest = stage.every("digest", 50 * MINUTE)
    triage = stage.every("triage", 7 * MINUTE)
    stage.watch.run_for(3 * HOUR)
    stage.sim.drop_timer()
    _stands_still(stage, {"digest": (digest, 50 * MINUTE), "triage": (triage, 7 * MINUTE)})


def test_a_process_that_is_down_is_a_stall(begin: Begin) -> None:
    stage = begin()
    digest = stage.every("digest", 50 * MINUTE)
    triage = stage.every("triage", 7 * MINUTE)
    stage.watch.run_for(3 * HOUR)
    stage.sim.kill()
    _stands_still(stage, {"digest": (digest, 50 * MINUTE), "triage": (triage, 7 * MINUTE)})


def _stands_still(stage: Stage, jobs: dict[str, tuple[str, timedelta]]) -> None:
    """From here on nothing starts for five hours; then a restart. The jobs are `every` jobs with these intervals."""
    assert stage.agent.runs[-1].ended_at
    assert stage.agent.runs[-1].ended_at < stage.sim.now - 5 * SECOND
    late = {name: next_run(stage.path, job_id) + 2 * interval for name, (job_id, interval) in jobs.items()}
    stage.watch.run_for(5 * HOUR)
    restarted = stage.sim.now
    stage.sim.restart()
    stage.watch.run_for(3 * HOUR)
    stage.watch.told(
        [
            Claim("stalled", None, min(late.values()), restarted),
            *(Claim("overdue", name, at, *_served(stage, name, restarted)) for name, at in late.items()),
        ]
    )


def _served(stage: Stage, name: str, restarted: datetime) -> tuple[datetime, tuple[Calls | None, ...]]:
    """A fire that was due is owed until it runs: when the late job had its turn after the restart, and behind whom."""
    run = stage.agent.first_after(name, restarted)
    before = [other.job for other in stage.agent.runs if restarted <= other.started_at < run.started_at]
    return touch_of(run), (("stalled", None), None, *(("in_flight", job) for job in before))


def test_a_stall_of_one_shots_and_cron_jobs_is_found_at_their_own_deadlines(begin: Begin) -> None:
    stage = begin()
    stage.cron("night", "0 3 * * *", zone="Europe/Berlin")
    once = datetime(2026, 6, 10, 11, 20, tzinfo=UTC)
    stage.sim.add("remind", ("at", once))
    stage.watch.run_for(HOUR)
    stage.sim.kill()
    stage.watch.run_for(4 * DAY)
    restarted = stage.sim.now
    stage.sim.start()
    stage.watch.run_for(DAY)
    night = datetime(2026, 6, 13, 1, tzinfo=UTC)
    first = stage.agent.of("night")[0]
    stage.watch.told(
        [
            Claim("stalled", None, once + 10 * MINUTE, restarted),
            Claim("overdue", "remind", once + 10 * MINUTE, restarted, (("stalled", None),)),
            Claim("overdue", "night", night, first.started_at, (("stalled", None), ("in_flight", "remind"))),
        ]
    )


# runs that end badly, or do no work

SCHEDULES = {
    "every": ("every", 2 * HOUR),
    "short-every": ("every", 10 * SECOND),
    "hourly": ("cron", "0 * * * *", "UTC"),
    "quarter": ("cron", "*/15 * * * *", "Asia/Kolkata"),
    "daily": ("cron", "30 2 * * *", "America/New_York"),
    "at": ("at", START + 20 * MINUTE),
}


@pytest.mark.parametrize("name", SCHEDULES)
@pytest.mark.parametrize("duration", [8 * SECOND, 61.234 * SECOND])
def test_a_failing_job_is_told_and_the_forecast_is_the_instant_it_is_given_up(
    begin: Begin, name: str, duration: timedelta
) -> None:
    stage = begin()
    job_id = stage.sim.add(name, SCHEDULES[name])
    fails = Outcome(ok=False, duration=duration, input_tokens=700, error="Error: 529 overloaded_error")
    stage.agent.usual[name] = fails
    limit, told_at = (3, 2) if name == "at" else (10, 5)
    while len(stage.agent.of(name)) < limit:
        stage.until_run(name)
    stage.watch.run_for(3 * HOUR)
    runs = stage.agent.of(name)
    told_since, given_up = runs[told_at - 1].ended_at, runs[limit - 1].ended_at
    assert told_since
    assert given_up
    assert len(runs) == limit
    forecasts = [
        (finding.evidence["breaker_trips_at"], finding.evidence["errors_left"])
        for _, findings in stage.watch.history
        for finding in findings
        if finding.kind == "failing"
    ]
    assert forecasts == [(given_up, left) for left in range(limit - told_at, 0, -1)]
    deleted = stage.sim.now
    stage.sim.delete(job_id)
    stage.watch.run_for(MINUTE)
    stage.watch.told([Claim("failing", name, told_since, given_up), Claim("failed", name, given_up, deleted)])


def test_a_failing_job_that_works_again_is_no_longer_told(begin: Begin) -> None:
    stage = begin()
    stage.cron("hourly", "0 * * * *")
    stage.agent.then("hourly", *[Outcome(ok=False, duration=8 * SECOND, error="Error: 500")] * 7)
    while len(stage.agent.of("hourly")) < 8:
        stage.until_run("hourly")
    stage.watch.run_for(5 * HOUR)
    fifth, eighth = stage.agent.of("hourly")[4], stage.agent.of("hourly")[7]
    assert fifth.ended_at
    stage.watch.told([Claim("failing", "hourly", fifth.ended_at, eighth.ended_at)])


def test_zero_tokens_are_told_at_the_third_run_and_until_one_works(begin: Begin) -> None:
    stage = begin()
    stage.every("triage", 10 * MINUTE)
    stage.every("digest", 7 * MINUTE)
    stage.until_run("triage")
    stage.agent.then("triage", *[Outcome.workless()] * 2, Outcome(), *[Outcome.workless()] * 5)
    stage.watch.run_for(3 * HOUR)
    runs = stage.agent.of("triage")
    third, works = runs[6], runs[9]
    assert third.ended_at
    stage.watch.told([Claim("zero_tokens", "triage", third.ended_at, works.ended_at)])


def test_the_storm_in_which_every_job_fails_without_tokens(begin: Begin) -> None:
    stage = begin(stock=False)
    names = ("digest", "triage", "watch")
    ids = [stage.cron(name, "*/30 * * * *", duration=5 * SECOND) for name in names]
    for name in names:
        stage.agent.usual[name] = OVERLOADED
    stage.watch.run_for(12 * HOUR)
    for name in names:
        stage.agent.usual[name] = Outcome()
    revived = stage.sim.now
    for job_id in ids:
        stage.sim.resume(job_id, force=True)
    stage.watch.run_for(3 * HOUR)
    claims = []
    for name in names:
        ends = [run.ended_at for run in stage.agent.of(name)]
        assert all(ends)
        third, fifth, tenth, eleventh = (ends[n - 1] for n in (3, 5, 10, 11))
        assert third
        assert fifth
        assert tenth
        claims += [
            Claim("zero_tokens", name, third, tenth),
            Claim("failing", name, fifth, tenth),
            Claim("failed", name, tenth, revived),
            # the ten ends without a token are still its newest ones
            Claim("zero_tokens", name, revived, eleventh, says=third),
        ]
    stage.watch.told(claims)


def test_a_failed_row_expires_at_the_true_sweep_and_not_a_second_sooner(begin: Begin) -> None:
    stage = begin()
    job_id = stage.every("digest", HOUR)
    stage.agent.usual["digest"] = OVERLOADED
    for _ in range(10):
        stage.until_run("digest")
    stage.watch.run_for(MINUTE)
    failed_at = stage.agent.last("digest").ended_at
    assert failed_at
    sweep = datetime.combine(failed_at.date(), datetime.min.time(), UTC) + 30 * DAY
    stage.watch.run_until(sweep - SECOND)
    assert stage.watch.get("expiring", "digest").evidence["sweep_at"] == sweep
    stage.sim.restart()
    stage.watch.run_for(2 * SECOND)
    assert stage.watch.get("expiring", "digest").severity == "critical"
    swept_at = stage.sim.now
    stage.sim.restart()
    stage.watch.run_for(MINUTE)
    runs = stage.agent.of("digest")
    third, fifth = runs[2].ended_at, runs[4].ended_at
    assert third
    assert fifth
    stage.watch.told(
        [
            Claim("zero_tokens", "digest", third, failed_at),
            Claim("failing", "digest", fifth, failed_at),
            Claim("failed", "digest", failed_at, swept_at),
            Claim("expiring", "digest", sweep - 7 * DAY, swept_at),
        ],
        besides={"swept"},
    )
    severities = [(at, f.severity) for at, findings in stage.watch.history for f in findings if f.kind == "expiring"]
    critical_at = next(at for at, severity in severities if severity == "critical")
    assert sweep - DAY <= critical_at <= sweep - DAY + SECOND
    assert not stage.sim.pause(job_id).body.get("job")


# rows that look well and are not


def test_a_one_shot_that_is_resumed_too_late_is_stranded(begin: Begin) -> None:
    stage = begin()
    stage.every("triage", 10 * MINUTE)
    job_id = stage.sim.add("remind", ("at", START + HOUR))
    stage.watch.run_for(30 * MINUTE)
    stage.sim.pause(job_id)
    stage.watch.run_for(3 * HOUR)
    resumed = stage.sim.now
    stage.sim.resume(job_id)
    stage.watch.run_for(3 * HOUR)
    paused = stage.sim.now
    stage.sim.pause(job_id)
    stage.watch.run_for(HOUR)
    stage.watch.told([Claim("stranded", "remind", resumed, paused)])


@pytest.mark.parametrize(
    "value", ['{"intervalMs": 0}', "not json", '{"expr": "61 * * * *"}', '{"expr": "0 * * * *", "tz": "Mars/Base"}']
)
def test_a_row_that_cannot_be_read_is_invalid_and_the_others_are_well(begin: Begin, value: str) -> None:
    stage = begin()
    job_id = stage.cron("digest", "*/20 * * * *")
    stage.every("triage", 10 * MINUTE)
    stage.watch.run_for(HOUR + 3 * MINUTE)
    broken = stage.sim.now
    kind = "every" if "interval" in value else "cron"
    change(
        stage.path,
        "UPDATE scheduled_jobs SET schedule_kind = ?, schedule_value = ?, updated_at = ? WHERE id = ?",
        *(kind, value, f"{broken:%Y-%m-%d %H:%M:%S}", job_id),
    )
    stage.watch.run_for(5 * HOUR)
    deleted = stage.sim.now
    stage.sim.delete(job_id)
    stage.watch.run_for(HOUR)
    # a broken interval has the scheduler run it back to back
    stage.watch.told([Claim("invalid", "digest", broken, deleted)], besides={"runaway"} if kind == "every" else set())


@pytest.mark.parametrize("status", ["dropped:channel_not_found", "error:slack 500"])
def test_a_result_that_reaches_nobody_is_told_until_one_does(begin: Begin, status: str) -> None:
    stage = begin()
    stage.every("digest", 20 * MINUTE)
    stage.every("quiet", 30 * MINUTE)
    stage.until_run("digest")
    stage.agent.then("digest", *[Outcome(delivery=status, delivery_duration=2 * SECOND)] * 3)
    stage.watch.run_for(3 * HOUR)
    lost, reached = stage.agent.of("digest")[1], stage.agent.of("digest")[4]
    assert lost.let_go_at
    stage.watch.told([Claim("undelivered", "digest", lost.let_go_at, reached.let_go_at, says=lost.ended_at)])


# runs that are not written down, and runs that are done twice


def test_a_hanging_delivery_is_unrecorded_and_after_the_restart_a_duplicate(begin: Begin) -> None:
    stage = begin()
    stage.cron("daily", "0 8 * * *", duration=50 * SECOND, zone="America/Sao_Paulo")
    triage = stage.every("triage", 90 * SECOND, duration=20 * SECOND)
    stage.watch.run_for(HOUR)
    stage.agent.then("daily", Outcome(duration=50 * SECOND, delivery_hangs=True))
    first = stage.until_run("daily")
    due = next_run(stage.path, triage)
    stage.watch.run_for(2 * HOUR)
    restarted = stage.sim.now
    stage.sim.restart()
    stage.watch.run_for(2 * DAY)
    second, third = stage.agent.of("daily")[1:3]
    served = stage.agent.first_after("triage", restarted)
    assert first.ended_at
    assert second.ended_at
    waits = (("in_flight", "daily"), ("unrecorded", "daily"), None, ("in_flight", "daily"))
    stage.watch.told(
        [
            Claim("unrecorded", "daily", first.ended_at + 5 * MINUTE, touch_of(second), latest=second.ended_at),
            Claim("overdue", "triage", due + 3 * MINUTE, touch_of(served), waits),
            Claim("duplicate", "daily", touch_of(second), touch_of(third)),
        ]
    )


def test_an_unrecorded_run_of_another_kind_of_schedule_runs_again_and_is_a_duplicate_too(begin: Begin) -> None:
    stage = begin()
    stage.every("digest", 20 * MINUTE)
    stage.until_run("digest")
    stage.agent.then("digest", Outcome(delivery_hangs=True))
    first = stage.until_run("digest")
    stage.watch.run_for(HOUR)
    stage.sim.restart()
    stage.watch.run_for(3 * HOUR)
    second, third = stage.agent.of("digest")[2:4]
    assert first.ended_at
    told_at = first.ended_at + 5 * MINUTE
    stage.watch.told(
        [
            Claim("unrecorded", "digest", told_at, touch_of(second), latest=second.ended_at),
            Claim("duplicate", "digest", touch_of(second), touch_of(third)),
        ]
    )


@pytest.mark.parametrize("errors", [1, 2, 4])
def test_an_error_with_tokens_and_its_retry_are_no_duplicate(begin: Begin, errors: int) -> None:
    stage = begin()
    stage.cron("digest", "0 * * * *")
    stage.watch.run_for(3 * HOUR + 30 * MINUTE)
    fails = Outcome(ok=False, duration=20 * SECOND, input_tokens=9000, error="Error: 529 overloaded_error")
    stage.agent.then("digest", *[fails] * errors)
    first = stage.until_run("digest")
    for _ in range(errors):
        retry = stage.until_run("digest")
    assert retry.started_at - first.started_at < HOUR
    stage.watch.run_for(5 * MINUTE)
    assert findings_of(stage.path, stage.sim.now) == ()
    stage.watch.run_for(2 * HOUR)
    stage.watch.told([])


def test_a_manual_run_in_the_same_slot_is_no_duplicate(begin: Begin) -> None:
    stage = begin()
    job_id = stage.cron("digest", "0 * * * *")
    stage.watch.run_for(HOUR + 20 * MINUTE)
    stage.sim.run_now(job_id)
    stage.watch.run_for(10 * MINUTE)
    assert findings_of(stage.path, stage.sim.now) == ()
    stage.watch.run_for(2 * HOUR)
    stage.watch.told([])


# what is well, however it looks


def test_a_job_that_is_switched_on_long_after_it_was_due_is_not_late(begin: Begin) -> None:
    stage = begin()
    digest = stage.every("digest", 10 * MINUTE)
    stage.cron("daily", "0 20 * * *")
    stage.watch.run_for(MINUTE)
    stage.sim.disable(digest)
    stage.watch.run_for(9 * HOUR)
    stage.sim.enable(digest)
    stage.watch.run_for(HOUR)
    assert stage.agent.runs
    stage.watch.told([])


def test_a_job_that_is_switched_on_and_not_picked_up_is_late_after_five_minutes(begin: Begin) -> None:
    stage = begin()
    digest = stage.every("digest", 10 * MINUTE)
    stage.watch.run_for(MINUTE)
    stage.sim.disable(digest)
    stage.watch.run_for(3 * HOUR)
    stage.sim.leak_slot()
    stage.sim.enable(digest)
    told_at = stage.sim.now + 5 * MINUTE
    stage.watch.run_for(HOUR)
    stage.watch.told(
        [Claim("stalled", None, told_at), Claim("overdue", "digest", told_at, causes=(("stalled", None),))]
    )


@pytest.mark.parametrize(
    ("zone", "changes_at"),
    [
        ("America/New_York", datetime(2026, 11, 1, 6, tzinfo=UTC)),
        ("Europe/London", datetime(2026, 10, 25, 1, tzinfo=UTC)),
        ("America/Sao_Paulo", datetime(2019, 2, 17, 2, tzinfo=UTC)),
    ],
)
def test_a_job_that_runs_again_and_again_through_the_repeated_hour_is_well(
    begin: Begin, zone: str, changes_at: datetime
) -> None:
    stage = begin(changes_at - HOUR)
    digest = stage.cron("digest", "*/15 * * * *", duration=90 * SECOND, zone=zone)
    stage.watch.run_until(changes_at + 20 * MINUTE)
    stage.sim.run_now(digest)
    stage.watch.run_for(3 * MINUTE)
    # its next fire was asked for inside the second pass, and the answer lies in the past
    assert next_run(stage.path, digest) < changes_at
    stage.watch.run_for(3 * HOUR)
    assert len(stage.agent.runs) > 20
    stage.watch.told([])


def test_a_run_into_the_repeated_hour_is_followed_by_others_and_none_is_a_duplicate(begin: Begin) -> None:
    changes_at = datetime(2026, 11, 1, 6, tzinfo=UTC)
    stage = begin(changes_at - HOUR)
    stage.cron("digest", "*/15 * * * *", duration=90 * SECOND, zone="America/New_York")
    stage.watch.run_until(changes_at - 20 * MINUTE)
    stage.agent.then("digest", Outcome(duration=25 * MINUTE))
    stage.watch.run_for(4 * HOUR)
    assert len(stage.agent.runs) > 30
    stage.watch.told([])


def test_nothing_is_called_late_within_65_minutes_of_a_clock_change(begin: Begin) -> None:
    changes_at = datetime(2026, 3, 8, 7, tzinfo=UTC)
    stage = begin(changes_at - 4 * HOUR)
    stage.cron("hourly", "0 * * * *", zone="America/New_York")
    stage.cron("elsewhere", "0 * * * *", zone="Asia/Tokyo")
    stage.watch.run_until(changes_at - 90 * MINUTE)
    stage.sim.kill()
    stage.watch.run_until(changes_at + 4 * HOUR)
    # both were due an hour before the change, so their second fire after that is an hour past it
    second = changes_at + HOUR
    stage.watch.told(
        [
            Claim("stalled", None, second),
            Claim("overdue", "elsewhere", second, causes=(("stalled", None),)),
            Claim("overdue", "hourly", second + 5 * MINUTE, causes=(("stalled", None),)),
        ]
    )


def test_a_monthly_job_is_quiet_in_every_single_look(begin: Begin) -> None:
    stage = begin()
    stage.cron("monthly", "30 2 1 * *", zone="Europe/London")
    for _ in range(120):
        stage.watch.run_for(1.1 * DAY)
        assert findings_of(stage.path, stage.sim.now) == ()
    assert len(stage.agent.runs) >= 4
    stage.watch.told([])

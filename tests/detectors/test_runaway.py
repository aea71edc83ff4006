"""A job that runs far more often than its cadence allows, and nothing that only looks like it."""

import json
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from datetime import datetime
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.support.harness import DAY, HOUR, MINUTE, SECOND, START, Agent, Watch, change, findings_of, scheduler
from watchdog.cadence.schedule import next_fire
from watchdog.config.settings import Detect
from watchdog.core.model import CronSchedule, Every, Job, Pace, Schedule, Snapshot, Unreadable
from watchdog.core.moment import Moment
from watchdog.demo.outcome import Outcome
from watchdog.demo.simulator import Simulator
from watchdog.detectors import runaway
from watchdog.systems.shared.paces import pace_of

Begin = Callable[[], tuple[Agent, Simulator, Watch]]

UNRECORDED = '{"every": 30000}'
BROKEN = ['{"intervalMs": 0}', '{"intervalMs": "60000"}', UNRECORDED]


@pytest.fixture
def begin(tmp_path: Path) -> Iterator[Begin]:
    with ExitStack() as stack:

        def make() -> tuple[Agent, Simulator, Watch]:
            agent = Agent()
            sim = stack.enter_context(scheduler(tmp_path / "agent.db", agent, START))
            return agent, sim, Watch(sim, tmp_path / "agent.db", phase=0.7 * SECOND)

        yield make


def breaks(watch: Watch, name: str, value: str) -> None:
    change(watch.path, "UPDATE scheduled_jobs SET schedule_value = ? WHERE name = ?", value, name)


def kinds(watch: Watch) -> set[str]:
    return {spell.kind for spell in watch.spells()}


@pytest.mark.parametrize("value", BROKEN)
def test_a_row_with_a_broken_interval_runs_away_and_is_told_by_its_tenth_run(begin: Begin, value: str) -> None:
    agent, sim, watch = begin()
    sim.add("loop", ("every", 10 * MINUTE))
    agent.usual["loop"] = Outcome(duration=8 * SECOND)
    watch.run_for(15 * MINUTE)
    breaks(watch, "loop", value)
    broken = sim.now
    watch.run_for(20 * MINUTE)
    (spell,) = [spell for spell in watch.spells() if spell.kind == "runaway"]
    tenth = [run for run in agent.of("loop") if run.started_at > broken][10]
    assert spell.seen_at <= tenth.started_at + 10 * SECOND
    assert spell.over_at is None
    assert spell.first.severity == "critical"


def test_it_is_over_an_hour_after_the_last_run_that_was_too_many(begin: Begin) -> None:
    agent, sim, watch = begin()
    sim.add("loop", ("every", 10 * MINUTE))
    agent.usual["loop"] = Outcome(duration=8 * SECOND)
    watch.run_for(11 * MINUTE)
    breaks(watch, "loop", UNRECORDED)
    watch.run_for(20 * MINUTE)
    assert ("runaway", "loop") in watch.now_found()
    assert ("runaway", "loop") in {(f.kind.value, f.job) for f in findings_of(watch.path, sim.now)}
    last = agent.last("loop").started_at
    agent.usual["loop"] = Outcome(duration=20 * HOUR)  # nothing ends any more
    watch.run_for(61 * MINUTE)
    (spell,) = [spell for spell in watch.spells() if spell.kind == "runaway"]
    assert spell.over_at is not None
    assert abs(spell.over_at - last - HOUR) <= MINUTE


def test_a_mended_schedule_ends_it_at_once(begin: Begin) -> None:
    agent, sim, watch = begin()
    sim.add("loop", ("every", 10 * MINUTE))
    agent.usual["loop"] = Outcome(duration=8 * SECOND)
    watch.run_for(11 * MINUTE)
    breaks(watch, "loop", '{"intervalMs": 0}')
    watch.run_for(15 * MINUTE)
    assert ("runaway", "loop") in watch.now_found()
    breaks(watch, "loop", '{"intervalMs": 600000}')
    watch.run_for(2 * MINUTE)
    assert ("runaway", "loop") not in watch.now_found()


def test_runs_that_somebody_asked_for_are_none(begin: Begin) -> None:
    agent, sim, watch = begin()
    job_id = sim.add("digest", ("cron", "0 9 * * *", "UTC"))
    agent.usual["digest"] = Outcome(duration=20 * SECOND)
    for _ in range(15):
        sim.run_now(job_id)
        watch.run_for(MINUTE)
    assert len(agent.of("digest")) >= 14
    assert "runaway" not in kinds(watch)


@pytest.mark.parametrize("minutes", [1, 2, 5, 7, 10, 12, 15, 20, 30])
@pytest.mark.parametrize("kind", ["every", "cron"])
def test_retries_after_errors_are_none_however_they_come(begin: Begin, minutes: int, kind: str) -> None:
    """Three errors and a run that works, over and over: each error is tried again before its time."""
    agent, sim, watch = begin()
    schedule = ("every", minutes * MINUTE) if kind == "every" else ("cron", f"*/{minutes} * * * *", "UTC")
    sim.add("flaps", schedule)
    bad = Outcome.failing(duration=2 * SECOND)
    agent.then("flaps", *[bad, bad, bad, Outcome(duration=2 * SECOND)] * 60)
    watch.run_for(4 * HOUR)
    assert "runaway" not in kinds(watch)


def test_a_queue_that_is_worked_off_after_a_freeze_is_none(begin: Begin) -> None:
    agent, sim, watch = begin()
    for number in range(12):
        sim.add(f"job{number}", ("every", 5 * MINUTE))
        agent.usual[f"job{number}"] = Outcome(duration=2 * SECOND)
    watch.run_for(HOUR)
    sim.freeze()
    watch.run_for(3 * HOUR)
    sim.thaw()
    watch.run_for(2 * HOUR)
    assert "runaway" not in kinds(watch)


def test_what_ran_each_minute_before_it_was_made_a_daily_job_is_none(begin: Begin) -> None:
    agent, sim, watch = begin()
    sim.add("digest", ("every", MINUTE))
    agent.usual["digest"] = Outcome(duration=2 * SECOND)
    watch.run_for(2 * HOUR)
    change(
        watch.path,
        "UPDATE scheduled_jobs SET schedule_kind = 'cron', schedule_value = ?, next_run_at = ?, updated_at = ?",
        json.dumps({"expr": "0 9 * * *", "tz": "UTC"}),
        "2026-06-11T09:00:00.000Z",
        f"{sim.now + 3 * MINUTE:%Y-%m-%d %H:%M:%S}",
    )
    watch.run_for(4 * MINUTE)
    assert "runaway" not in kinds(watch)
    assert "runaway" not in {finding.kind for finding in findings_of(watch.path, sim.now)}


@pytest.mark.parametrize("value", [*BROKEN, "[]", "each minute"])
def test_what_ran_each_minute_before_its_row_was_broken_is_none_at_a_first_look(begin: Begin, value: str) -> None:
    agent, sim, watch = begin()
    for name in ("loop", "other"):
        sim.add(name, ("every", MINUTE))
        agent.usual[name] = Outcome(duration=2 * SECOND)
    watch.run_for(30 * MINUTE)
    breaks(watch, "loop", value)
    watch.run_for(20 * SECOND)
    assert ("runaway", "loop") not in watch.now_found()
    assert "runaway" not in {finding.kind for finding in findings_of(watch.path, sim.now)}
    watch.run_for(10 * MINUTE)
    found = {(finding.kind.value, finding.job) for finding in findings_of(watch.path, sim.now)}
    assert (("runaway", "loop") in found) == (value in BROKEN)


def test_a_paused_job_is_none_and_a_resumed_one_begins_anew(begin: Begin) -> None:
    agent, sim, watch = begin()
    job_id = sim.add("loop", ("every", 10 * MINUTE))
    agent.usual["loop"] = Outcome(duration=8 * SECOND)
    watch.run_for(11 * MINUTE)
    breaks(watch, "loop", '{"intervalMs": 0}')
    watch.run_for(15 * MINUTE)
    assert ("runaway", "loop") in watch.now_found()
    change(watch.path, "UPDATE scheduled_jobs SET status = 'paused'")
    watch.run_for(MINUTE)
    assert ("runaway", "loop") not in watch.now_found()
    breaks(watch, "loop", '{"intervalMs": 600000}')
    sim.resume(job_id)
    watch.run_for(HOUR)
    assert ("runaway", "loop") not in watch.now_found()


def test_thresholds_may_differ_for_some_jobs(begin: Begin) -> None:
    agent, sim, watch = begin()
    sim.add("loop", ("every", 10 * MINUTE))
    agent.usual["loop"] = Outcome(duration=50 * SECOND)
    watch.run_for(11 * MINUTE)
    breaks(watch, "loop", '{"intervalMs": 0}')
    watch.run_for(30 * MINUTE)
    lenient = Detect.validated({"jobs": [{"match": "loop", "runaway": {"runs": 100}}]})
    assert "runaway" in {finding.kind for finding in findings_of(watch.path, sim.now)}
    assert "runaway" not in {finding.kind for finding in findings_of(watch.path, sim.now, lenient)}


@given(
    st.one_of(
        st.integers(15, 90 * 60).map(lambda seconds: Every(seconds * SECOND)),
        st.sampled_from(
            ["* * * * *", "*/2 * * * *", "*/5 9 * * *", "0 9 * * *", "*/7 8-10 * * 1-5", "0-30 * * * *", "*/10 * * * *"]
        ).map(lambda expr: CronSchedule(expr, "UTC")),
    ),
    st.integers(0, 40),
    st.lists(st.integers(0, 50), min_size=150, max_size=150),
)
def test_a_job_that_keeps_its_cadence_never_runs_away(schedule: Schedule, length: int, delays: list[int]) -> None:
    """Whatever the cadence, and however long the runs wait and take."""
    at, ends = START, []
    for delay in delays:
        due = next_fire(schedule, at)
        assert due is not None
        at = due + (delay + length) * SECOND
        ends.append(at)
        assert not found(pace_of(ends, schedule), schedule, at)


def found(pace: Pace | None, schedule: Schedule, at: datetime) -> bool:
    job = Job("a", "a", schedule, pace=pace)
    return bool(list(runaway.detect(Snapshot("s", "phantom", (job,)), Moment(at), Detect())))


@pytest.mark.parametrize(
    ("schedule", "least"),
    [
        (Unreadable("?", "?"), 10),
        (Every(HOUR), 10),
        (Every(10 * MINUTE), 19),
        (Every(MINUTE), 181),
        (CronSchedule("0 9 * * *", "UTC"), 10),
        (CronSchedule("*/15 * * * *", "UTC"), 13),
        (CronSchedule("* * * * *", "UTC"), 181),
    ],
)
def test_it_takes_ten_runs_in_an_hour_and_over_three_times_as_many_as_were_due(schedule: Schedule, least: int) -> None:
    now = START + 5 * DAY
    for count, expected in ((least - 1, False), (least, True)):
        ends = [now - HOUR * (count - 1 - place) / (count + 1) for place in range(count)]
        assert found(pace_of(ends, schedule), schedule, now) is expected
        assert not found(pace_of(ends, schedule), schedule, now + HOUR)

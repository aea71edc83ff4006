"""A scheduler that goes down and is started again and again runs its jobs and ends none of them: what is owed stays
owed until a run of it has ended. One redeploy or two are none of that."""

from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path

import pytest

from tests.detectors.test_cases_in_motion import SEEN, World
from tests.support.harness import DAY, HOUR, MINUTE, SECOND
from tests.support.memory_folder import memory_folder
from watchdog.demo.outcome import Outcome


@pytest.fixture
def sight() -> str:
    return "hidden"


@pytest.fixture
def world(sight: str) -> Iterator[World]:
    with memory_folder() as folder:
        made = World(Path(folder), sight)
        made.watch()
        yield made
        made.close()


def _crash(world: World, times: int, lives: timedelta, down: timedelta = 2 * SECOND) -> None:
    for _ in range(times):
        world.run(lives)
        world.sim.kill()
        world.run(down)
        world.sim.start()


@SEEN
@pytest.mark.parametrize(
    ("lives", "length", "cadence", "late_after"),
    [
        pytest.param(7 * SECOND, 2 * MINUTE, 5 * MINUTE, 15 * MINUTE, id="down-every-few-seconds"),
        pytest.param(80 * SECOND, 5 * MINUTE, 20 * MINUTE, HOUR, id="down-every-80-s"),
        pytest.param(25 * MINUTE, 40 * MINUTE, HOUR, 4 * HOUR, id="down-every-25-min"),
        pytest.param(100 * MINUTE, 3 * HOUR, HOUR, 14 * HOUR, id="down-every-100-min"),
    ],
)
def test_a_run_that_each_start_begins_and_none_ends_is_told_and_then_as_a_scheduler_that_does_no_work(
    world: World, anew: bool, lives: timedelta, length: timedelta, cadence: timedelta, late_after: timedelta
) -> None:
    world.every("report", cadence, length)
    world.run(cadence + 5 * SECOND)
    crashes = max(4, late_after // (lives + 2 * SECOND) // 2)
    _crash(world, crashes, lives)
    if anew:
        world.again()
    _crash(world, crashes, lives)
    assert ("stalled", None) in world.now_found
    (spell,) = world.stood("stalled", None)
    assert "no run has ended" in next(f for f in world.findings if f.kind == "stalled").summary
    assert {("interrupted", "report"), ("long_run", "report")} & world.now_found
    assert world.stood("interrupted", "report")[0].began < spell.began


@SEEN
def test_one_job_that_brings_its_scheduler_down_keeps_all_others_waiting_and_is_named(world: World, anew: bool) -> None:
    world.every("poison", 20 * MINUTE, 10 * MINUTE)
    world.every("often", 11 * MINUTE)
    world.every("seldom", 5 * HOUR)
    world.run(20 * MINUTE + 5 * SECOND)
    _crash(world, 20, 90 * SECOND)
    if anew:
        world.again()
    _crash(world, 15, 90 * SECOND)
    assert {("stalled", None), ("interrupted", "poison"), ("overdue", "often")} <= world.now_found
    (late,) = [f for f in world.findings if f.kind == "overdue"]
    assert late.caused_by is not None


@SEEN
def test_where_other_jobs_still_get_their_work_done_only_the_job_that_never_ends_is_told(
    world: World, anew: bool
) -> None:
    """It brings its scheduler down each time; the others, due before it again, run in between."""
    world.every("short", 10 * MINUTE, 5 * SECOND)
    world.every("poison", HOUR, 30 * MINUTE)
    world.run(HOUR + 2 * MINUTE)
    for _ in range(16):
        _crash(world, 1, 12 * MINUTE)
    if anew:
        world.again()
    _crash(world, 4, 12 * MINUTE)
    assert world.stood("interrupted", "poison")[-1].ended is None
    if world.agent.of("short")[-1].started_at > world.agent.of("poison")[0].started_at:
        assert world.grave() == []


@SEEN
@pytest.mark.parametrize("redeploys", [1, 2])
@pytest.mark.parametrize("lives", [8 * SECOND, 80 * SECOND, 6 * MINUTE])
def test_one_redeploy_or_two_in_the_middle_of_a_run_are_told_for_no_longer_than_it_takes_to_begin_again(
    world: World, anew: bool, redeploys: int, lives: timedelta
) -> None:
    world.every("report", HOUR, 9 * MINUTE)
    world.every("often", 20 * MINUTE)
    world.run(HOUR + 5 * SECOND)
    _crash(world, redeploys, lives, 20 * SECOND)
    if anew:
        world.again()
    world.run(5 * HOUR)
    assert world.grave() == []
    assert world.now_found == set()
    for spell in world.stood("interrupted", "report"):
        assert spell.ended is not None
        assert spell.ended - spell.began < MINUTE


@SEEN
def test_a_loop_that_ends_before_anything_is_late_is_not_grave_and_is_over_when_a_run_has_ended(
    world: World, anew: bool
) -> None:
    world.every("report", HOUR, 5 * MINUTE)
    world.cron("other", "*/30 * * * *")
    world.run(HOUR + 5 * SECOND)
    _crash(world, 15, MINUTE)
    if anew:
        world.again()
    assert ("interrupted", "report") in world.now_found
    world.run(HOUR)
    assert world.grave() == []
    assert world.now_found == set()
    ended = world.agent.of("report")[-1].ended_at
    (*_, last) = world.stood("interrupted", "report")
    assert ended is not None
    assert last.ended is not None
    assert last.ended <= ended + 10 * SECOND


@SEEN
def test_a_run_that_takes_long_once_the_loop_is_over_is_not_a_scheduler_that_stands_still(
    world: World, anew: bool
) -> None:
    world.every("report", 10 * MINUTE, 10 * MINUTE)
    world.run(10 * MINUTE + 5 * SECOND)
    _crash(world, 20, 90 * SECOND)
    assert ("stalled", None) in world.now_found
    world.agent.usual["report"] = Outcome(duration=50 * MINUTE)
    _crash(world, 1, 90 * SECOND)
    if anew:
        world.again()
    world.run(6 * MINUTE)
    assert ("stalled", None) not in world.now_found
    world.run(3 * HOUR)
    assert {kind for kind, _ in world.now_found} <= {"long_run"}


@SEEN
def test_many_deploys_on_a_day_on_which_nothing_is_due_are_no_loop(world: World, anew: bool) -> None:
    world.cron("morning", "0 9 * * *", 4 * MINUTE)
    world.run(9 * HOUR + 30 * MINUTE)
    _crash(world, 30, 20 * MINUTE, 15 * SECOND)
    if anew:
        world.again()
    world.run(DAY)
    assert world.grave() == []
    assert world.now_found == set()


@SEEN
def test_a_scheduler_that_goes_down_for_good_after_a_loop_stays_told(world: World, anew: bool) -> None:
    world.every("report", 10 * MINUTE, 5 * MINUTE)
    world.run(10 * MINUTE + 5 * SECOND)
    _crash(world, 20, 80 * SECOND)
    world.run(80 * SECOND)
    world.sim.kill()
    if anew:
        world.again()
    world.run(5 * HOUR)
    if world.seen.sight == "nothing":  # it may be a run that hangs
        assert {("long_run", "report"), ("wedged", "report")} & world.now_found
    else:
        assert ("stalled", None) in world.now_found
        assert len(world.stood("stalled", None)) == 1


@SEEN
def test_who_mends_the_job_that_brings_the_scheduler_down_begins_its_count_anew(world: World, anew: bool) -> None:
    poison = world.every("poison", HOUR, 5 * MINUTE)
    world.cron("other", "*/30 * * * *")
    world.run(HOUR + 5 * SECOND)
    _crash(world, 10, 80 * SECOND)
    assert ("interrupted", "poison") in world.now_found
    world.sim.pause(poison)
    world.run(10 * SECOND)
    if anew:
        world.again()
    assert ("interrupted", "poison") not in world.now_found
    world.run(2 * HOUR)
    assert world.grave() == []

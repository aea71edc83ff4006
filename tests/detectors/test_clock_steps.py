"""A clock that is set: the watchdog's own, on another machine than the scheduler's, and the one of both."""

from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path

import pytest

from tests.detectors.test_cases_in_motion import World
from tests.support.harness import DAY, HOUR, MINUTE, change
from tests.support.memory_folder import memory_folder
from watchdog.core.clock import Stamp


@pytest.fixture
def world() -> Iterator[World]:
    with memory_folder() as folder:
        made = World(Path(folder), "all")
        made.every("often", 10 * MINUTE)
        made.cron("b", "*/20 * * * *", MINUTE)
        made.every("daily", DAY)
        made.every("slow", 5 * HOUR)
        made.watch()
        yield made
        made.close()


AGAIN = pytest.mark.parametrize("anew", [False, True], ids=["goes-on", "begun-anew"])


def _look(world: World, anew: bool) -> None:
    world.again() if anew else world.look()


@AGAIN
@pytest.mark.parametrize("by", [-2 * HOUR, -DAY, -25 * HOUR, -8 * DAY, 25 * HOUR, 40 * DAY], ids=str)
def test_a_watchdog_whose_own_clock_is_set_tells_nothing_of_it_and_misses_nothing(
    world: World, anew: bool, by: timedelta
) -> None:
    world.run(10 * HOUR)
    world.turns.idle()
    world.clock.ahead += by
    _look(world, anew)
    world.run(2 * HOUR)
    assert world.spells == []
    world.sim.leak_slot()
    world.run(40 * MINUTE)
    assert ("stalled", None) in world.now_found


@pytest.mark.parametrize("by", [-3 * HOUR, -26 * HOUR, 27 * HOUR], ids=str)
def test_a_clock_that_is_put_right_again_is_no_fault_either(world: World, by: timedelta) -> None:
    world.run(10 * HOUR)
    for step in (by, -by):
        world.turns.idle()
        world.clock.ahead += step
        world.look()
        world.run(2 * HOUR)
    assert world.spells == []
    world.sim.leak_slot()
    world.run(40 * MINUTE)
    assert ("stalled", None) in world.now_found


def _put_back_for_both(world: World, by: timedelta) -> None:
    """The clock of both has stood ahead until now: what is dated lies so far ahead, and timers go on as they were."""
    shifted = f"+{by.total_seconds():.0f} seconds"
    for table, columns in (
        ("scheduled_jobs", ("next_run_at", "last_run_at")),
        ("scheduled_jobs", ("created_at", "updated_at")),
        ("sessions", ("created_at", "last_active_at")),
        ("cost_events", ("created_at",)),
    ):
        for column in columns:
            form = "%Y-%m-%dT%H:%M:%fZ" if column.endswith("run_at") else "%Y-%m-%d %H:%M:%S"
            change(world.path, f"UPDATE {table} SET {column} = strftime('{form}', {column}, '{shifted}')")
    stamp = world.clock.stamp()
    world.turns._awake_until = Stamp(stamp.at + by, stamp.uptime, stamp.boot)
    world.again()


@pytest.mark.parametrize("by", [2 * HOUR, 25 * HOUR], ids=str)
def test_jobs_that_wait_until_a_clock_that_was_put_back_has_caught_up_are_late_and_nothing_graver(
    world: World, by: timedelta
) -> None:
    """They are silent in truth, by as much as the clock was put back: one that is seldom due does not notice."""
    world.run(10 * HOUR + 5 * MINUTE)
    world.turns.idle()
    put_back = world.clock.at
    _put_back_for_both(world, by)
    world.run(by - 20 * MINUTE)
    assert world.grave() == []
    assert {("overdue", "often"), ("overdue", "b")} <= world.now_found
    (late,) = world.stood("overdue", "often")
    assert timedelta() < late.began - put_back <= 35 * MINUTE
    world.run(2 * HOUR)
    assert world.grave() == []
    assert world.now_found == set()
    world.sim.leak_slot()
    world.run(40 * MINUTE)
    assert ("stalled", None) in world.now_found


def test_a_plan_that_lies_further_ahead_than_the_step_is_stranded_all_the_same(world: World) -> None:
    world.run(10 * HOUR)
    _put_back_for_both(world, 2 * HOUR)
    far = world.clock.at + 30 * DAY
    change(
        world.path, "UPDATE scheduled_jobs SET next_run_at = ? WHERE name = 'often'", f"{far:%Y-%m-%dT%H:%M:%S.000Z}"
    )
    world.run(MINUTE)
    assert ("stranded", "often") in world.now_found
    assert world.grave("stranded") == []

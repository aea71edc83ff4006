"""Disturbances and faults in forms of their own, each with the watchdog's turns beside: begun anew in the middle of it,
or not. What is grave is proved, what is broken is found in time, and nothing flickers."""

import sqlite3
from collections.abc import Callable, Iterator
from contextlib import closing
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path

import pytest

from tests.support.disturbed import Beside
from tests.support.harness import DAY, HOUR, MINUTE, SECOND, Agent, change
from tests.support.memory_folder import memory_folder
from watchdog.core.kinds import Severity
from watchdog.demo.outcome import Outcome

Of = tuple[str, str | None]


@dataclass
class Spell:
    """A finding from the turn that found it to the one that no longer did."""

    of: Of
    is_grave: bool
    began: datetime
    ended: datetime | None = None


class World(Beside):
    """Notes from when to when each finding stood."""

    def __init__(self, folder: Path, sight: str = "all") -> None:
        self.agent = Agent()
        self.spells: list[Spell] = []
        super().__init__(folder, self.agent, sight)

    def look(self) -> None:
        super().look()
        there = {(f.kind.value, f.job): f.severity is Severity.CRITICAL for f in self.findings}
        for spell in self.spells:
            if spell.ended is None and spell.of not in there:
                spell.ended = self.clock.at
        stand = {spell.of for spell in self.spells if spell.ended is None}
        self.spells += [Spell(of, grave, self.clock.at) for of, grave in there.items() if of not in stand]

    def every(self, name: str, interval: timedelta, length: timedelta = 20 * SECOND) -> str:
        self.agent.usual.setdefault(name, Outcome(duration=length))
        return self.sim.add(name, ("every", interval))

    def cron(self, name: str, expr: str, length: timedelta = 20 * SECOND, zone: str = "UTC") -> str:
        self.agent.usual.setdefault(name, Outcome(duration=length))
        return self.sim.add(name, ("cron", expr, zone))

    def again(self) -> None:
        """The watchdog ends and begins anew."""
        self.turns.stop()
        self.watch()
        self.look()

    def until(self, holds: Callable[[], bool], within: timedelta = DAY) -> None:
        """Both go on until something is so."""
        end = self.clock.at + within
        while not holds():
            assert self.clock.at < end, "it never is"
            self.run(SECOND)

    # what came of it

    @property
    def now_found(self) -> set[Of]:
        return {(f.kind.value, f.job) for f in self.findings}

    def grave(self, *but: str) -> list[Spell]:
        return [spell for spell in self.spells if spell.is_grave and spell.of[0] not in but]

    def flickers(self) -> list[Spell]:
        return [spell for spell in self.spells if spell.ended and spell.ended - spell.began < 10 * SECOND]

    def stood(self, kind: str, job: str | None) -> list[Spell]:
        return [spell for spell in self.spells if spell.of == (kind, job)]


SEEN = pytest.mark.parametrize(("sight", "anew"), [("all", False), ("hidden", True), ("nothing", True)])
"""What is seen of the process, and whether the watchdog is begun anew in the middle."""


@pytest.fixture
def sight() -> str:
    return "hidden"


@pytest.fixture
def anew() -> bool:
    return True


@pytest.fixture
def world(sight: str) -> Iterator[World]:
    with memory_folder() as folder:
        made = World(Path(folder), sight)
        made.watch()
        yield made
        made.close()


def _maybe(world: World, anew: bool) -> None:
    if anew:
        world.again()


# a restart of the scheduler


@SEEN
def test_a_leaked_flag_that_a_restart_ends_is_not_told_as_late_for_the_seconds_until_it_runs(
    world: World, anew: bool
) -> None:
    victim = world.every("victim", 20 * MINUTE)
    world.cron("witness", "7,27,47 * * * *", 2 * MINUTE)
    world.cron("other", "*/5 * * * *", 90 * SECOND)
    world.run(2 * HOUR)
    world.sim.leak_session(victim)
    world.run(2 * HOUR)
    assert ("wedged", "victim") in world.now_found
    _maybe(world, anew)
    world.sim.kill()
    world.run(4 * SECOND)
    world.sim.start()
    world.run(3 * HOUR)
    assert world.now_found == set()
    assert world.stood("overdue", "victim") == []
    assert world.flickers() == []


@SEEN
def test_a_redeploy_while_a_result_is_delivered_is_told_as_work_done_twice_and_nothing_grave_with_it(
    world: World, anew: bool
) -> None:
    world.cron("report", "0 * * * *", 2 * MINUTE)
    world.agent.usual["report"] = Outcome(duration=2 * MINUTE, delivery_duration=3 * MINUTE)
    world.cron("other", "20 * * * *")
    world.run(2 * HOUR + 3 * MINUTE)
    world.sim.kill()
    world.run(30 * SECOND)
    _maybe(world, anew)
    world.sim.start()
    world.run(20 * MINUTE)
    assert world.stood("duplicate", "report")
    world.run(6 * HOUR)
    assert world.grave("unrecorded") == []


@SEEN
def test_a_restart_within_one_poll_in_the_middle_of_a_run_leaves_nothing_in_flight(world: World, anew: bool) -> None:
    world.cron("nightly", "0 3 * * *", 20 * MINUTE)
    world.cron("noon", "0 12 * * *")
    world.run(3 * HOUR + 10 * MINUTE)
    world.sim.kill()
    world.sim.start()
    _maybe(world, anew)
    world.run(8 * HOUR)
    if world.seen.sight == "all":
        assert world.grave() == []
        assert not world.stood("long_run", "nightly")
    world.run(20 * HOUR)
    assert world.now_found == set()


# what stands still


@SEEN
def test_a_run_that_is_stopped_for_hours_and_goes_on_is_no_wedge_but_its_process_is_frozen(
    world: World, anew: bool
) -> None:
    world.cron("long", "0 */4 * * *", 20 * MINUTE)
    world.cron("other", "*/30 * * * *")
    world.run(4 * HOUR + 5 * MINUTE)
    world.sim.freeze()
    world.run(3 * HOUR)
    _maybe(world, anew)
    world.run(3 * HOUR)
    world.sim.thaw()
    thawed = world.clock.at
    world.run(3 * HOUR)
    assert [spell for spell in world.grave() if spell.began > thawed] == []
    assert not {kind for kind, _ in world.now_found} & {"wedged", "stalled", "overdue"}


def test_a_timer_that_is_lost_while_the_watchdog_is_away_is_found_when_it_is_back(world: World) -> None:
    world.every("a", 15 * MINUTE)
    world.cron("b", "*/20 * * * *")
    world.run(2 * HOUR)
    world.until(lambda: not world.sim.slot_held)
    world.turns.stop()
    world.sim.drop_timer()
    world.sim.run_until(world.clock.at + 5 * HOUR)
    world.clock.at += 5 * HOUR
    world.watch()
    world.look()
    world.run(25 * MINUTE)
    assert ("stalled", None) in world.now_found


@SEEN
def test_a_machine_that_sleeps_with_timers_that_stood_still_is_not_stalled_while_they_catch_up(
    world: World, anew: bool
) -> None:
    world.every("a", 30 * MINUTE)
    world.cron("b", "5,35 * * * *")
    world.run(2 * HOUR + 6 * MINUTE)
    world.turns.idle()
    world.sim.skip(5 * HOUR)  # its timers go on from where they were
    world.clock.at += 5 * HOUR
    if anew:
        world.again()
    else:
        world.look()
    world.run(4 * HOUR)
    assert world.grave() == []


@SEEN
def test_a_queue_of_a_morning_is_no_fault_however_long_it_takes(world: World, anew: bool) -> None:
    for number in range(12):
        world.cron(f"brief-{number}", "0 6 * * *", 9 * MINUTE)
    world.cron("often", "*/10 * * * *")
    world.run(7 * HOUR)
    _maybe(world, anew)
    world.run(5 * HOUR)
    assert world.grave() == []
    assert world.flickers() == []
    assert world.now_found == set()


# rows that another hand writes


@SEEN
def test_rows_revived_by_hand_are_served_in_their_turn(world: World, anew: bool) -> None:
    ids = [world.every(f"job-{number}", (30 + number) * MINUTE, 4 * MINUTE) for number in range(4)]
    world.cron("hourly", "0 * * * *")
    world.run(HOUR)
    for id_ in ids:
        change(world.path, "UPDATE scheduled_jobs SET status = 'failed', next_run_at = NULL WHERE id = ?", id_)
    world.run(3 * HOUR)
    for id_ in ids:
        _revive(world, id_)
    world.run(2 * MINUTE)
    revived = world.clock.at
    _maybe(world, anew)
    world.run(5 * HOUR)
    assert [spell for spell in world.grave("failed", "expiring") if spell.began > revived] == []
    assert world.now_found == set()


def _revive(world: World, id_: str) -> None:
    statement = (
        "UPDATE scheduled_jobs SET status = 'active', consecutive_errors = 0, next_run_at = ?, updated_at = ? "
        "WHERE id = ?"
    )
    at = world.clock.at
    change(world.path, statement, f"{at:%Y-%m-%dT%H:%M:%S}.000Z", f"{at:%Y-%m-%d %H:%M:%S}", id_)


@SEEN
def test_a_late_row_whose_schedule_is_changed_twice_while_a_run_holds_the_slot_is_no_fault(
    world: World, anew: bool
) -> None:
    edited = world.every("edited", 10 * MINUTE)
    world.cron("long", "0 * * * *", 25 * MINUTE)
    world.run(HOUR + 5 * MINUTE)
    for minutes in (5, 7):
        change(
            world.path,
            "UPDATE scheduled_jobs SET schedule_value = ?, updated_at = ? WHERE id = ?",
            f'{{"intervalMs": {minutes * 60_000}}}',
            f"{world.clock.at:%Y-%m-%d %H:%M:%S}",
            edited,
        )
        world.run(6 * MINUTE)
    _maybe(world, anew)
    world.run(2 * HOUR)
    assert world.grave() == []
    assert world.flickers() == []


@SEEN
def test_a_broken_interval_that_runs_back_to_back_is_found_within_the_hour(world: World, anew: bool) -> None:
    job = world.every("broken", HOUR)
    world.cron("other", "*/15 * * * *")
    world.run(2 * HOUR + MINUTE)
    change(world.path, "UPDATE scheduled_jobs SET schedule_value = '{\"intervalMs\": 0}' WHERE id = ?", job)
    began = world.clock.at
    world.run(65 * MINUTE)
    _maybe(world, anew)
    world.run(15 * MINUTE)
    (spell, *_) = world.stood("runaway", "broken")
    assert spell.began - began < 75 * MINUTE
    assert list(world.grave("runaway", "invalid")) == []


@SEEN
def test_a_one_shot_that_was_due_while_all_was_frozen_runs_and_is_no_fault(world: World, anew: bool) -> None:
    world.sim.add("once", ("at", world.clock.at + 3 * HOUR), delete_after_run=True)
    world.cron("other", "*/30 * * * *")
    world.run(2 * HOUR)
    world.sim.freeze()
    _unwatched(world, 9 * HOUR)
    world.sim.thaw()
    if anew:
        world.again()
    world.run(3 * HOUR)
    assert world.grave() == []
    assert world.now_found == set()


def _unwatched(world: World, length: timedelta) -> None:
    world.turns.idle()
    world.sim.run_until(world.clock.at + length)
    world.clock.at += length


# a backup that is restored


@SEEN
def test_a_restored_backup_is_no_fault_and_hides_none(world: World, anew: bool) -> None:
    world.every("a", 10 * MINUTE)
    victim = world.every("victim", 25 * MINUTE)
    world.cron("daily", "0 9 * * *")
    world.run(5 * HOUR)
    copy = world.folder / "backup.db"
    with closing(sqlite3.connect(world.path)) as there, closing(sqlite3.connect(copy)) as kept:
        there.backup(kept)
    world.run(6 * HOUR)
    world.sim.kill()
    world.run(MINUTE)
    with closing(sqlite3.connect(copy)) as kept, closing(sqlite3.connect(world.path)) as there:
        kept.backup(there)
    world.look()
    world.run(20 * SECOND)
    world.look()
    world.sim.start()
    restored = world.clock.at
    world.run(3 * SECOND)
    _maybe(world, anew)
    world.run(2 * HOUR)
    assert world.grave() == []
    world.sim.leak_session(victim)
    world.run(3 * HOUR)
    assert ("wedged", "victim") in world.now_found
    assert [spell for spell in world.grave() if spell.began > restored and spell.of != ("wedged", "victim")] == []


# clocks


@pytest.mark.parametrize("by", [3 * HOUR, -50 * MINUTE, 26 * HOUR, 5 * MINUTE], ids=str)
@SEEN
def test_a_clock_that_is_set_on_the_machine_of_both_is_no_fault_and_hides_none(
    world: World, anew: bool, by: timedelta
) -> None:
    world.every("a", 10 * MINUTE)
    world.cron("b", "*/20 * * * *", MINUTE)
    world.cron("daily", "0 9 * * *")
    world.run(4 * HOUR)
    world.turns.idle()
    world.sim.skip(by)
    world.clock.at += by
    world.clock._booted += by  # the uptime goes on as it did
    if anew:
        world.again()
    else:
        world.look()
    world.run(3 * HOUR)
    assert world.grave() == []
    world.agent.usual["b"] = Outcome.hanging()
    world.run(6 * HOUR)
    assert {("wedged", "b"), ("long_run", "b")} & world.now_found


@pytest.mark.parametrize("ahead", [12 * MINUTE, -12 * MINUTE, 3 * HOUR, -3 * HOUR], ids=str)
def test_a_watchdog_on_a_machine_whose_clock_stands_apart_judges_by_the_schedulers(
    ahead: timedelta, anew: bool
) -> None:
    with memory_folder() as folder:
        world = World(Path(folder), "nothing")
        world.clock.ahead = ahead
        world.every("often", 5 * MINUTE)
        world.cron("b", "*/10 * * * *", MINUTE)
        world.cron("daily", "0 9 * * *")
        world.sim.run_until(world.clock.at + HOUR)  # nobody has looked yet
        world.clock.at += HOUR
        world.watch()
        world.run(30 * MINUTE)
        settled = world.clock.at
        world.run(3 * HOUR)
        _maybe(world, anew)
        world.run(9 * HOUR)
        assert [spell for spell in world.spells if spell.ended is None or spell.ended > settled] == []
        world.sim.leak_slot()
        world.run(40 * MINUTE)
        assert ("stalled", None) in world.now_found
        world.close()


@SEEN
def test_the_night_in_which_an_hour_comes_twice_hides_no_hang(world: World, anew: bool) -> None:
    _to(world, datetime.fromisoformat("2026-10-24T22:00:00+00:00"))
    world.cron("night", "30 2 * * *", MINUTE, "Europe/Berlin")
    world.cron("half", "*/30 * * * *", MINUTE, "Europe/Berlin")
    world.run(2 * HOUR + 35 * MINUTE)
    world.agent.usual["half"] = Outcome.hanging()
    _maybe(world, anew)
    world.run(5 * HOUR)
    assert {("wedged", "half"), ("long_run", "half")} & world.now_found
    assert {spell.of for spell in world.grave()} <= {("wedged", "half")}


def _to(world: World, at: datetime) -> None:
    world.sim.run_until(at)
    world.clock.at = at
    world.again()


# two causes at once


@SEEN
def test_a_leaked_flag_is_found_though_another_job_hangs_first_and_is_restarted(world: World, anew: bool) -> None:
    victim = world.every("victim", 20 * MINUTE)
    world.cron("hangs", "0 * * * *", MINUTE)
    world.cron("witness", "7,27,47 * * * *", MINUTE)
    world.run(2 * HOUR - MINUTE)
    world.agent.then("hangs", Outcome.hanging())
    world.run(90 * MINUTE)
    _maybe(world, anew)
    world.sim.kill()
    world.run(5 * SECOND)
    world.sim.start()
    world.run(30 * MINUTE)
    world.sim.leak_session(victim)
    world.run(2 * HOUR)
    assert ("wedged", "victim") in world.now_found


@SEEN
def test_a_process_that_dies_while_one_job_is_passed_over_is_down_and_that_is_all(world: World, anew: bool) -> None:
    victim = world.every("victim", 20 * MINUTE)
    world.cron("witness", "7,27,47 * * * *", MINUTE)
    world.run(2 * HOUR)
    world.sim.leak_session(victim)
    world.run(HOUR)
    world.until(lambda: not world.sim.slot_held)
    world.sim.kill()
    world.run(30 * MINUTE)
    _maybe(world, anew)
    world.run(2 * HOUR)
    assert ("stalled", None) in world.now_found


@SEEN
def test_a_job_that_is_paused_in_flight_and_resumed_hours_later_is_no_fault(world: World, anew: bool) -> None:
    job = world.every("paused", 30 * MINUTE, 10 * MINUTE)
    world.cron("other", "*/20 * * * *")
    world.until(lambda: world.sim.slot_held and world.clock.at.hour > 0)
    world.run(MINUTE)
    world.sim.pause(job)
    world.run(2 * HOUR)
    _maybe(world, anew)
    world.run(2 * HOUR)
    world.sim.resume(job)
    world.run(2 * HOUR)
    assert world.grave() == []
    assert world.flickers() == []


# the watchdog itself


def test_a_reload_in_the_middle_of_each_fault_changes_nothing_that_is_told(world: World) -> None:
    world.cron("hangs", "0 * * * *", MINUTE)
    world.every("late", 20 * MINUTE)
    world.run(2 * HOUR - MINUTE)
    world.agent.then("hangs", Outcome.hanging())
    world.run(90 * MINUTE)
    before = world.now_found
    for number in range(5):
        world.turns.use(world.turns.config)
        world.look()
        assert world.now_found == before
        world.run(7 * SECOND * (number + 1))
    assert world.flickers() == []


def test_a_watchdog_that_is_begun_anew_every_few_minutes_still_finds_what_is_broken_and_nothing_else(
    world: World,
) -> None:
    victim = world.every("victim", 20 * MINUTE)
    world.cron("witness", "7,27,47 * * * *", MINUTE)
    for _ in range(40):
        world.run(4 * MINUTE)
        world.again()
    assert world.grave() == []
    world.sim.leak_session(victim)
    for _ in range(40):
        world.run(4 * MINUTE)
        world.again()
    assert ("wedged", "victim") in world.now_found or ("overdue", "victim") in world.now_found


def test_a_watchdog_that_slept_through_a_fault_that_healed_tells_nothing_grave(world: World) -> None:
    world.every("a", 15 * MINUTE)
    world.cron("b", "*/20 * * * *", 2 * MINUTE)
    world.run(2 * HOUR)
    world.turns.idle()
    world.sim.kill()
    world.sim.run_until(world.clock.at + 7 * HOUR)
    world.sim.start()
    world.sim.run_until(world.clock.at + 7 * HOUR + 10 * SECOND)
    world.clock.at += 7 * HOUR + 10 * SECOND
    world.look()
    world.run(HOUR)
    assert world.grave() == []
    assert world.now_found <= {("interrupted", "b"), ("interrupted", "a")}


# what a life of thousands has shown


def test_a_machine_that_sleeps_while_a_result_is_delivered_leaves_nothing_unrecorded(world: World, anew: bool) -> None:
    world.cron("report", "0 * * * *", 2 * MINUTE)
    world.agent.usual["report"] = Outcome(duration=2 * MINUTE, delivery_duration=45 * SECOND)
    world.run(HOUR + 2 * MINUTE + 20 * SECOND)
    world.turns.idle()
    world.sim.freeze()
    world.sim.run_until(world.clock.at + 95 * MINUTE)
    world.clock.at += 95 * MINUTE
    world.sim.thaw()
    world.look()
    world.run(3 * HOUR)
    assert world.stood("unrecorded", "report") == []


@SEEN
@pytest.mark.parametrize("seconds", [0, 5, 40])
def test_a_schedule_that_is_changed_around_its_run_has_an_old_plan_and_is_not_stranded(
    world: World, anew: bool, seconds: int
) -> None:
    job = world.cron("digest", "0 9 * * *", 20 * SECOND)
    world.run(9 * HOUR + seconds * SECOND)
    statement = "UPDATE scheduled_jobs SET schedule_kind = 'every', schedule_value = ?, updated_at = ? WHERE id = ?"
    change(world.path, statement, '{"intervalMs": 1800000}', f"{world.clock.at:%Y-%m-%d %H:%M:%S}", job)
    world.look()
    world.run(2 * MINUTE)
    _maybe(world, anew)
    world.run(23 * HOUR)
    assert world.stood("stranded", "digest") == []


@SEEN
def test_the_run_of_a_job_that_was_deleted_afterwards_is_known_to_have_ended(world: World, anew: bool) -> None:
    world.cron("daily", "0 9 * * *")
    gone = world.every("gone", 3 * HOUR, 9 * MINUTE)
    world.run(13 * HOUR)
    world.until(lambda: not world.sim.slot_held)
    world.sim.delete(gone)
    world.run(DAY - 6 * HOUR)
    for _ in range(2):
        _maybe(world, anew)
        world.run(HOUR)
    assert world.stood("wedged", None) == []

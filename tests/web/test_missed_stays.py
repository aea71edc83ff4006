"""What the page has shown as missed stays in its strip, whatever becomes of the job."""

from collections.abc import Iterator
from dataclasses import replace
from datetime import datetime
from pathlib import Path

import pytest

from tests.support.harness import HOUR, MINUTE, START, Agent, change, scheduler
from watchdog.config.file import for_database
from watchdog.core.model import At, Breaker, Every, Job
from watchdog.demo.outcome import Outcome
from watchdog.demo.simulator import Simulator
from watchdog.engine import Engine
from watchdog.state.history import History, Run, StateChange, load_runs, load_states
from watchdog.state.store import Store
from watchdog.web.listing import all_runs
from watchdog.web.shown import Known
from watchdog.web.strip import fires, strip

ERROR = Outcome.failing("Error: 429 rate_limit_error")


class Shown:
    """What the page shows of each job as missed, from look to look."""

    def __init__(self, path: Path, store: Store) -> None:
        self._engine = Engine(for_database(path))
        self._store, self._history = store, History(store)
        self.missed: dict[str, list[datetime]] = {}

    def look(self, now: datetime) -> None:
        """One tick. Whatever was shown before is shown still."""
        published = self._engine.tick(now).published
        self._history.turn(published, now)
        for (source, job_id), job in published.jobs.items():
            key = (source, job_id)
            runs, states = load_runs(self._store.database, *key, 500), load_states(self._store.database, *key)
            cells = fires(job, all_runs(source, job, Known(runs={key: runs})), now, states, 500)
            found = [cell.at for cell in cells if cell.what == "missed"]
            assert set(self.missed.get(job.name, ())) <= set(found), f"{job.name} at {now}"
            self.missed[job.name] = found


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    """A state file."""
    with_file = Store(tmp_path / "state.db")
    yield with_file
    with_file.close()


def live(sim: Simulator, shown: Shown, minutes: int) -> None:
    """Let time pass, and look every minute."""
    for _ in range(minutes):
        sim.run_until(sim.now + MINUTE)
        shown.look(sim.now)


def test_a_job_that_erred_and_waited_for_a_hung_run_keeps_what_it_missed_once_it_has_run_late(
    tmp_path: Path, store: Store
) -> None:
    agent = Agent()
    with scheduler(tmp_path / "agent.db", agent) as sim:
        for name in ("triage", "beat"):
            sim.add(name, ("every", 10 * MINUTE))
        sim.add("digest", ("cron", "0 * * * *", "UTC"))
        shown = Shown(tmp_path / "agent.db", store)
        live(sim, shown, 35)
        agent.then("triage", ERROR)
        agent.then("digest", Outcome.hanging())
        live(sim, shown, 85)
        before = {name: len(found) for name, found in shown.missed.items()}
        assert before["triage"] > 2
        assert before["beat"] > 2
        sim.restart()
        live(sim, shown, 60)
        assert {name: len(found) for name, found in shown.missed.items()} == before


def test_a_job_that_was_given_up_keeps_what_it_missed_once_it_is_brought_back(tmp_path: Path, store: Store) -> None:
    agent = Agent({"triage": ERROR})
    with scheduler(tmp_path / "agent.db", agent) as sim:
        triage = sim.add("triage", ("every", 10 * MINUTE))
        shown = Shown(tmp_path / "agent.db", store)
        live(sim, shown, 8 * 60)
        before = len(shown.missed["triage"])
        assert before > 5
        agent.usual.clear()
        change(tmp_path / "agent.db", "UPDATE scheduled_jobs SET status = 'paused' WHERE status = 'failed'")
        sim.resume(triage)
        live(sim, shown, 30)
        assert agent.last("triage").started_at > START + 8 * HOUR
        assert before <= len(shown.missed["triage"]) <= before + 1


def test_a_one_shot_that_was_missed_and_ran_late_is_shown_as_late() -> None:
    one_shot = Job("a", "a", At(START), next_run_at=START)
    at = START + 25 * MINUTE
    assert [cell.what for cell in fires(one_shot, [], at)] == ["missed"]
    ran = Run("s", "a", at + MINUTE, started_at=at, status="ok")
    (cell,) = strip(one_shot, [ran], at + MINUTE)
    assert cell.words == "worked, 25 min late"
    (in_time,) = strip(one_shot, [replace(ran, started_at=START + MINUTE)], at + MINUTE)
    assert in_time.words == "worked"
    completed = replace(one_shot, status="completed")
    over = StateChange(at + MINUTE, "completed")
    for states, words in (
        ((), "worked, 25 min late"),
        ((over,), "worked, 25 min late"),
        ((StateChange(START - MINUTE, "paused"), StateChange(at, "active"), over), "worked"),
    ):
        assert [cell.words for cell in strip(completed, [ran], at + MINUTE, states)] == [words]


def at(minutes: int) -> datetime:
    return START + minutes * MINUTE


BACK = {
    "paused": ([10, 20, 30, 40], [10, 20, 30, 40, 75]),
    "disabled": ([10, 20, 30, 40], [10, 20, 30, 40, 75]),
    "failed": ([10, 20, 30, 40, 50], [10, 20, 30, 40, 50, 75]),
}


@pytest.mark.parametrize("state", BACK)
def test_a_job_that_is_on_again_keeps_what_it_missed_and_is_next_owed_an_interval_later(state: str) -> None:
    """What nobody planned, between the fire that it waits for now and the rhythm of before, is not shown as missed."""
    every = Job("a", "a", Every(10 * MINUTE), next_run_at=at(75))
    runs = [Run("s", "a", at(0), started_at=at(-1), status="ok")]
    states = [StateChange(at(44), state), StateChange(at(65), "active")]
    kept, with_more = ([at(minutes) for minutes in part] for part in BACK[state])
    for minutes in (65, 74):
        assert [cell.at for cell in fires(every, runs, at(minutes), states) if cell.what == "missed"] == kept
    ran = [*runs, Run("s", "a", at(90), started_at=at(89), status="ok")]
    for past, now in ((runs, at(88)), (ran, at(91))):
        found = fires(replace(every, next_run_at=at(75 if past is runs else 100)), past, now, states)
        assert [cell.at for cell in found if cell.what == "missed"] == with_more


def test_a_long_row_of_errors_waits_no_longer_than_its_scheduler_does() -> None:
    breaker = Breaker(500, (MINUTE, 5 * MINUTE))
    every = Job("a", "a", Every(10 * MINUTE), next_run_at=at(9000), breaker=breaker)
    runs = [Run("s", "a", at(0), started_at=at(0), status="ok")]
    runs += [Run("s", "a", at(11 + 16 * index), started_at=at(11 + 16 * index), status="error") for index in range(400)]
    assert [cell.at for cell in fires(every, runs, runs[-1].ended_at, (), 500) if cell.what == "missed"] == []
    without_one = [run for index, run in enumerate(runs) if index != 200]
    assert len([cell for cell in fires(every, without_one, runs[-1].ended_at, (), 500) if cell.what == "missed"]) == 1

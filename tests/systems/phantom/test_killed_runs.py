"""A run ends with its process: what a restart killed is not in flight, whatever its session says for ever after."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.disturbed import BEGINS, Beside
from tests.support.harness import HOUR, MINUTE, SECOND, Agent
from watchdog.demo.outcome import Outcome


@pytest.fixture
def agent() -> Agent:
    return Agent()


@pytest.fixture(params=["all", "hidden"])
def beside(tmp_path: Path, agent: Agent, request: pytest.FixtureRequest) -> Iterator[Beside]:
    both = Beside(tmp_path, agent, request.param)
    both.watch()
    yield both
    both.close()


def _grave(both: Beside) -> set[tuple[str, str | None]]:
    return {found for found in both.found if found[0] in ("wedged", "stalled", "long_run", "overdue")}


def test_a_run_by_hand_that_a_deploy_killed_is_over(beside: Beside, agent: Agent) -> None:
    daily = beside.sim.add("daily", ("cron", "0 9 * * *", "UTC"))
    beside.sim.add("weekly", ("cron", "0 7 * * MON", "UTC"))
    beside.run(10 * HOUR)
    agent.usual["daily"] = Outcome(duration=5 * MINUTE)
    beside.sim.run_now(daily)
    beside.run(2 * MINUTE)
    beside.sim.kill()
    beside.run(10 * SECOND)
    beside.sim.start()
    beside.run(12 * HOUR)
    assert _grave(beside) == set()
    assert ("interrupted", "daily") in beside.found


@pytest.mark.parametrize("change", ["pause", "disable", "delete"])
def test_a_run_that_hung_and_was_restarted_is_over_though_its_job_does_not_run_again(
    beside: Beside, agent: Agent, change: str
) -> None:
    runaway = beside.sim.add("runaway", ("every", HOUR))
    beside.sim.add("daily", ("every", 24 * HOUR))
    agent.usual["runaway"] = Outcome.hanging()
    beside.run(80 * MINUTE)
    getattr(beside.sim, change)(runaway)
    beside.run(MINUTE)
    beside.sim.kill()
    beside.run(10 * SECOND)
    beside.sim.start()
    beside.run(6 * HOUR)
    assert _grave(beside) == set()


def test_a_one_shot_that_was_killed_and_paused_is_over(beside: Beside, agent: Agent) -> None:
    once = beside.sim.add("one", ("at", BEGINS + HOUR))
    beside.sim.add("daily", ("every", 24 * HOUR))
    agent.usual["one"] = Outcome.hanging()
    beside.run(70 * MINUTE)
    beside.sim.pause(once)
    beside.run(SECOND)
    beside.sim.kill()
    beside.run(10 * SECOND)
    beside.sim.start()
    beside.run(2 * HOUR)
    assert _grave(beside) == set()


def test_what_was_killed_while_the_watchdog_was_away_is_over_too(beside: Beside, agent: Agent) -> None:
    """The process tells its own start; where it cannot be seen, nobody is told of a wedge that harms nobody."""
    daily = beside.sim.add("daily", ("cron", "0 9 * * *", "UTC"))
    beside.run(10 * HOUR)
    agent.usual["daily"] = Outcome(duration=5 * MINUTE)
    beside.sim.run_now(daily)
    beside.run(2 * MINUTE)
    beside.turns.stop()
    beside.sim.restart(10 * SECOND)
    beside.clock.at = beside.sim.now
    beside.watch()
    beside.run(12 * HOUR)
    assert ("wedged", "daily") not in beside.found


def test_a_run_that_hangs_in_a_process_that_lives_is_wedged(beside: Beside, agent: Agent) -> None:
    beside.sim.add("hourly", ("every", HOUR))
    agent.usual["hourly"] = Outcome.hanging()
    beside.run(7 * HOUR)
    assert ("wedged", "hourly") in beside.found

"""What is not the scheduler's fault, though the clock says that it is late."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.disturbed import Beside
from tests.support.harness import HOUR, MINUTE, SECOND, Agent
from watchdog.service.turns import UNKNOWN, UNSEEN


@pytest.fixture
def beside(tmp_path: Path) -> Iterator[Beside]:
    both = Beside(tmp_path, Agent(), "nothing")
    both.sim.add("often", ("cron", "*/10 * * * *", "UTC"))
    both.watch()
    both.run(3 * HOUR + MINUTE)
    assert both.found == set()
    yield both
    both.close()


def test_a_clock_that_is_set_forward_makes_nobody_late_until_the_timers_are_armed_anew(beside: Beside) -> None:
    beside.clock.ahead = 50 * MINUTE
    beside.look()
    beside.run(8 * MINUTE)
    beside.clock.ahead = 0 * MINUTE
    beside.run(HOUR)
    assert beside.found == set()


def test_a_scheduler_that_is_dead_is_found_also_after_the_clock_was_set_forward(beside: Beside) -> None:
    beside.clock.ahead = 50 * MINUTE
    beside.sim.kill()
    beside.run(3 * HOUR)
    beside.look()
    assert ("stalled", None) in beside.found


def test_a_sleep_in_the_middle_of_a_queue_makes_nobody_late(beside: Beside) -> None:
    beside.sim.freeze()
    beside.turns.idle()
    beside.clock.at += 5 * HOUR
    beside.sim.run_until(beside.clock.at)
    beside.sim.thaw()
    beside.look()
    beside.run(20 * SECOND)
    assert beside.found == set()


@pytest.mark.parametrize(("is_killed", "words"), [(False, UNSEEN), (True, UNKNOWN)])
def test_after_a_kill_it_is_not_said_that_nobody_looked_before_it(
    is_killed: bool, words: str, beside: Beside, caplog: pytest.LogCaptureFixture
) -> None:
    beside.run(4 * MINUTE)
    if is_killed:
        beside.turns.store.close()
    else:
        beside.turns.stop()
    beside.clock.at += 2 * MINUTE
    beside.sim.run_until(beside.clock.at)
    with caplog.at_level("INFO"):
        beside.watch()
        beside.look()
    (said,) = [record.message for record in caplog.records if "looked" in record.message]
    assert said.endswith(words)

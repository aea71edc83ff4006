"""`failing` by time: a job of which nothing but errors has come for three cadences and a day, however few they are."""

from datetime import datetime, timedelta
from pathlib import Path

import pytest

from tests.support.harness import DAY, HOUR, MINUTE, SECOND, START, Agent, Watch, change, findings_of, scheduler
from watchdog.config.settings import Detect
from watchdog.demo.outcome import Outcome

FAILS = Outcome(ok=False, duration=20 * SECOND, input_tokens=900, error="Error: 529 overloaded_error")


def _told_at(folder: Path, schedule: tuple[object, ...], outcomes: list[Outcome], length: timedelta) -> list[datetime]:
    """When `failing` was found; each error's retries come by the scheduler's own pauses."""
    agent = Agent()
    agent.then("report", *outcomes)
    with scheduler(folder / "agent.db", agent) as sim:
        sim.add("report", schedule)
        watch = Watch(sim, folder / "agent.db", poll=MINUTE)
        watch.run_for(length)
        return [spell.seen_at for spell in watch.spells() if spell.kind == "failing"]


def _fail(path: Path, errors: int, first: datetime, apart: timedelta) -> None:
    """A row of a job that is tried once in `apart` only, and its bills."""
    for number in range(errors):
        at = first + number * apart
        change(
            path,
            "INSERT INTO cost_events (session_key, cost_usd, input_tokens, output_tokens, model, created_at) "
            "VALUES ((SELECT 'scheduler:sched:' || id FROM scheduled_jobs), 0.1, 900, 5, 'm', ?)",
            f"{at:%Y-%m-%d %H:%M:%S}",
        )
    last = first + (errors - 1) * apart
    change(
        path,
        "UPDATE scheduled_jobs SET consecutive_errors = ?, last_run_status = 'error', last_run_error = 'Error: 529', "
        "last_run_at = ?, last_run_duration_ms = 20000, next_run_at = ?, run_count = ?, updated_at = ?",
        errors,
        f"{last - 20 * SECOND:%Y-%m-%dT%H:%M:%S.000Z}",
        f"{last + apart:%Y-%m-%dT%H:%M:%S.000Z}",
        errors,
        f"{last:%Y-%m-%d %H:%M:%S}",
    )


@pytest.mark.parametrize(
    ("errors", "apart", "ago", "is_told"),
    [
        (3, 12 * HOUR, 37 * HOUR, True),  # three cadences and a day have gone by
        (3, 12 * HOUR, 35 * HOUR, False),  # a day, but not three cadences
        (2, 12 * HOUR, 80 * HOUR, False),  # two errors are no series
        (4, 6 * HOUR, 25 * HOUR, True),
        (4, 6 * HOUR, 23 * HOUR, False),  # three cadences, but not a day
        (3, 7 * DAY, 22 * DAY, True),
        (3, 7 * DAY, 20 * DAY, False),
    ],
)
def test_nothing_but_errors_for_three_cadences_and_a_day_is_failing(
    errors: int, apart: timedelta, ago: timedelta, is_told: bool, tmp_path: Path
) -> None:
    path = tmp_path / "agent.db"
    with scheduler(path, Agent(), START - 40 * DAY) as sim:
        sim.add("report", ("every", apart))
    _fail(path, errors, START - ago, apart)
    found = [finding for finding in findings_of(path, START) if finding.kind == "failing"]
    assert bool(found) is is_told
    if is_told:
        assert f"{errors} times in a row, since" in found[0].summary
        assert found[0].since == START - ago + max(3 * apart, DAY)


def test_how_long_it_may_fail_can_be_said_for_each_job(tmp_path: Path) -> None:
    path = tmp_path / "agent.db"
    with scheduler(path, Agent(), START - 40 * DAY) as sim:
        sim.add("report", ("every", 12 * HOUR))
    _fail(path, 3, START - 37 * HOUR, 12 * HOUR)

    def told(rule: object) -> bool:
        detect = Detect.validated({"jobs": [{"match": "rep*", "failing": rule}]})
        return any(finding.kind == "failing" for finding in findings_of(path, START, detect))

    assert not told({"lasting": "48h"})
    assert not told({"cadences": 4})
    assert not told("off")
    assert told({"lasting": "36h"})


def test_a_day_of_errors_is_told_when_the_day_is_over_without_a_write(tmp_path: Path) -> None:
    """Of one that tries again soon the fifth error is told before."""
    path = tmp_path / "agent.db"
    with scheduler(path, Agent(), START - 40 * DAY) as sim:
        sim.add("report", ("every", 6 * HOUR))
    _fail(path, 4, START - 23 * HOUR, 6 * HOUR)
    with scheduler(path, Agent(), START) as sim:
        sim.kill()
        watch = Watch(sim, path)
        watch.run_for(2 * HOUR)
        (spell,) = [spell for spell in watch.spells() if spell.kind == "failing"]
    assert timedelta() <= spell.seen_at - (START + HOUR) <= 3 * SECOND


def test_one_run_that_worked_begins_the_time_anew(tmp_path: Path) -> None:
    told = _told_at(tmp_path, ("every", HOUR), [FAILS, FAILS, FAILS, Outcome()] * 8, 30 * HOUR)
    assert told == []

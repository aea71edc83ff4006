"""Cron expressions as Hermes reads them, and the processes that its store names."""

import os
from datetime import UTC, datetime

import pytest

from watchdog.cadence.schedule import next_fire
from watchdog.core.model import CronSchedule
from watchdog.systems.shared.processes import LiveProcesses
from watchdog.systems.shared.writer import LiveWriters

FROM = datetime(2026, 11, 25, 3, 50, 41, tzinfo=UTC)


@pytest.mark.parametrize(
    ("expr", "fire"),
    [
        ("*/10 * * * * *", datetime(2026, 11, 25, 3, 50, 42, tzinfo=UTC)),
        ("0 9 1 * 5", datetime(2026, 11, 27, 9, tzinfo=UTC)),
        ("0 9 */2 * 5", datetime(2026, 11, 25, 9, tzinfo=UTC)),
        ("0 9 * * MON", datetime(2026, 11, 30, 9, tzinfo=UTC)),
    ],
    ids=["the sixth field is the second", "day or weekday", "or it stays, however it is written", "names"],
)
def test_a_cron_expression_fires_as_croniter_says(expr: str, fire: datetime) -> None:
    schedule = CronSchedule(expr, "UTC", "croniter")
    assert next_fire(schedule, FROM) == fire
    assert next_fire(schedule, fire.replace(microsecond=0)) != fire


def test_a_process_that_a_store_names_is_known_by_its_number_and_its_start() -> None:
    own = LiveProcesses().get(os.getpid())
    assert own is not None
    writers = LiveWriters()
    assert writers.named(own.pid, own.ticks).alive
    assert writers.named(own.pid, None).alive
    assert writers.named(own.pid, own.ticks + 1).alive is False
    assert writers.shares_files(own.pid)
    assert not writers.shares_files(2**22 + 1)

"""APScheduler 3 for real, with its SQLAlchemy job store on SQLite, watched through the shipped example.

The scheduler runs in this process on the real clock, for a moment; what becomes of its store afterwards is told on a
virtual one.
"""

import logging
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from apscheduler.jobstores.sqlalchemy import SQLAlchemyJobStore
from apscheduler.schedulers.background import BackgroundScheduler

from tests.support.command import ROOT, command, until
from tests.support.told_on import CHANNEL, living
from watchdog.config.file import Config
from watchdog.config.reading import load
from watchdog.core.kinds import Kind

MINUTE, HOUR, DAY = timedelta(minutes=1), timedelta(hours=1), timedelta(days=1)


def work() -> None:
    """What the jobs do."""


@pytest.fixture(autouse=True)
def quiet() -> None:
    logging.getLogger("apscheduler").setLevel(logging.CRITICAL)


@contextmanager
def scheduler(path: Path, *, paused: bool = False) -> Iterator[BackgroundScheduler]:
    """A scheduler that lives for so long."""
    alive = BackgroundScheduler(jobstores={"default": SQLAlchemyJobStore(f"sqlite:///{path}")}, timezone="UTC")
    alive.start(paused=paused)
    try:
        yield alive
    finally:
        alive.shutdown()


@pytest.fixture
def store(tmp_path: Path) -> Path:
    return tmp_path / "jobs.sqlite"


def file_of(store: Path) -> Path:
    file = store.with_name("apscheduler.yaml")
    file.write_text((ROOT / "config" / "apscheduler.yaml").read_text().replace("/data/jobs.sqlite", str(store)))
    return file


def config_of(store: Path) -> Config:
    file = file_of(store)
    file.write_text(file.read_text() + CHANNEL)
    return load(file, {})


def now() -> datetime:
    return datetime.now(UTC)


def test_a_live_scheduler_moves_on_and_nothing_is_found(store: Path, tmp_path: Path) -> None:
    with scheduler(store) as alive:
        job = alive.add_job(work, "interval", seconds=1, id="each second")
        alive.add_job(work, "cron", hour=4, id="nightly")
        alive.add_job(work, "cron", hour=5, id="paused").pause()
        first = job.next_run_time
        with living(config_of(store), tmp_path, now()) as service:
            until(lambda: alive.get_job("each second").next_run_time > first, "it has moved on")
            service.clock.at = now()
            assert service.turn() == ()
        assert command("check", "-c", file_of(store)).returncode == 0


def test_a_dead_one_is_one_critical_and_one_reminder_in_a_day(store: Path, tmp_path: Path) -> None:
    begins = now()
    with scheduler(store, paused=True) as alive:
        for number in range(50):
            at = begins + 15 * MINUTE + number * DAY / 50
            alive.add_job(work, "cron", hour=at.hour, minute=at.minute, second=at.second, id=f"daily {number}")
        alive.add_job(work, "cron", hour=5, id="paused").pause()
    with living(config_of(store), tmp_path, begins) as service:
        service.until(begins + 25 * HOUR)
        assert [message.event for message in service.messages] == ["opened", "reminder"]
        assert "stands still" in service.messages[0].text
        (stalled,) = [finding for finding in service.findings if finding.caused_by is None]
        assert (stalled.kind, len(stalled.evidence["late_jobs"])) == (Kind.STALLED, 50)  # type: ignore[arg-type]
        assert "never" not in " ".join(finding.summary for finding in service.findings)
        service.restart()
        service.until(begins + 26 * HOUR)
        assert len(service.messages) == 2
    ended = command("check", "-c", file_of(store), "--now", (begins + 3 * HOUR).isoformat())
    assert ended.returncode == 2
    assert ended.stdout.startswith("CRITICAL: 1 stalled")


def test_it_is_over_once_a_new_process_has_moved_on(store: Path, tmp_path: Path) -> None:
    with scheduler(store, paused=True) as alive:
        alive.add_job(work, "interval", seconds=1, id="each second", misfire_grace_time=None)
        alive.add_job(work, "interval", seconds=1, id="another", misfire_grace_time=None)
    begins = now()
    with living(config_of(store), tmp_path, begins + 12 * MINUTE) as service:
        assert ("stalled", None) in service.kinds
        with scheduler(store) as again:
            service.clock.at = now() + 12 * MINUTE
            until(lambda: all(job.next_run_time > now() for job in again.get_jobs()), "all have moved on")
        service.clock.at = begins + 13 * MINUTE
        moved = {name for name, _ in service.kinds}
        assert "stalled" in moved
        service.clock.at = now()
        assert service.turn() == ()


def test_a_misfire_is_no_stall_for_the_next_run_moves_on_all_the_same(store: Path, tmp_path: Path) -> None:
    with scheduler(store, paused=True) as alive:
        alive.add_job(work, "interval", seconds=1, id="each second", misfire_grace_time=1)
    until(lambda: now() > datetime.fromtimestamp(_next_run(store), UTC) + timedelta(seconds=1.5), "it has misfired")
    with scheduler(store):
        until(lambda: _next_run(store) > now().timestamp(), "it has moved on")
    assert command("check", "-c", file_of(store)).returncode == 0


def _next_run(store: Path) -> float:
    import sqlite3
    from contextlib import closing

    with closing(sqlite3.connect(store)) as connection:
        (found,) = connection.execute("SELECT next_run_time FROM apscheduler_jobs").fetchone()
    return float(found)


def test_a_one_shot_that_has_run_is_simply_gone(store: Path, tmp_path: Path) -> None:
    with scheduler(store) as alive:
        alive.add_job(work, "cron", hour=4, id="nightly")
        alive.add_job(work, "date", run_date=now() + timedelta(seconds=1), id="once")
        with living(config_of(store), tmp_path, now()) as service:
            until(lambda: alive.get_job("once") is None, "it has run")
            service.clock.at = now()
            service.turn()
            service.clock.at += 5 * MINUTE
            assert service.turn() == ()


def test_a_one_shot_that_was_missed_is_never_said_to_be_over(store: Path, tmp_path: Path) -> None:
    """The process was down at its time; its row goes at the next start, and nothing of it has run."""
    due = now() + timedelta(seconds=1)
    with scheduler(store, paused=True) as alive:
        alive.add_job(work, "cron", hour=4, id="nightly")
        alive.add_job(work, "date", run_date=due, id="once", misfire_grace_time=1)
    until(lambda: now() > due + timedelta(seconds=1.5), "its time is over")
    with living(config_of(store), tmp_path, due - MINUTE) as service:
        service.until(due + 3 * MINUTE)
        assert service.kinds == set()
        with scheduler(store) as again:
            until(lambda: again.get_job("once") is None, "it was deleted")
        service.until(due + 5 * MINUTE)
        service.until(due + 7 * MINUTE)
        (gone,) = service.findings
        assert (gone.kind, gone.job_id) == (Kind.VANISHED, "once")
        assert "is not known to have run" in gone.summary


def test_a_store_of_the_next_major_version_is_refused_by_name(tmp_path: Path) -> None:
    import sqlite3
    from contextlib import closing

    store = tmp_path / "four.sqlite"
    with closing(sqlite3.connect(store)) as connection:
        connection.executescript("CREATE TABLE schedules (id); CREATE TABLE tasks (id); CREATE TABLE jobs (id);")
    ended = command("validate", "-c", file_of(store))
    assert ended.returncode == 3
    assert "no such table: apscheduler_jobs (there are jobs, schedules, tasks)" in ended.stderr

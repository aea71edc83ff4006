"""The source `sql` on SQLite files: the columns, the runs read by id, and what follows for the conditions."""

import shlex
import sqlite3
import sys
from collections.abc import Mapping, Sequence
from contextlib import closing
from datetime import UTC, datetime, timedelta
from itertools import islice
from pathlib import Path
from typing import Any

import pytest
from croniter import croniter
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.support.command import ROOT, command
from tests.support.memory_folder import memory_folder
from watchdog.cadence import classic_cron
from watchdog.config.file import Config, ConfigError
from watchdog.config.reading import load
from watchdog.config.settings import Detect
from watchdog.core.instants import from_ms, to_ms
from watchdog.core.kinds import Kind
from watchdog.core.model import At, CronSchedule, Every, Finding, Job, NoCadence, Snapshot, Unreadable
from watchdog.detectors.diagnosis import diagnose
from watchdog.systems.sql.section import Sql
from watchdog.systems.sql.source import SqlSource, open_sql

NOW = datetime(2026, 6, 10, 12, 30, tzinfo=UTC)

SCHEMA = """
CREATE TABLE jobs (id, name, enabled, status, cron, every, at, timezone, next_run_at, max_run, planned_since);
CREATE TABLE runs (id INTEGER PRIMARY KEY, job_id, started_at, ended_at, status, error, input_tokens, output_tokens);
"""

JOBS = "SELECT id, name, cron FROM jobs"
RUNS = "SELECT id, job_id, started_at, ended_at, status, error FROM runs WHERE id > :after"


class Store:
    """A scheduler's file, and the source that watches it."""

    def __init__(self, path: Path, jobs: str = JOBS, runs: str | None = RUNS, **more: Any) -> None:
        self.path = path
        with closing(sqlite3.connect(path)) as connection:
            connection.executescript(SCHEMA)
        self.settings = Sql.validated({"kind": "sql", "database": path, "jobs": jobs, "runs": runs, **more})
        self.source = open_sql(self.settings)

    def put(self, table: str, **row: object) -> None:
        """A row, new or instead of the one with its id."""
        self.do(f"DELETE FROM {table} WHERE id = ?", row["id"])
        self.do(f"INSERT INTO {table} ({', '.join(row)}) VALUES ({', '.join('?' * len(row))})", *row.values())

    def do(self, statement: str, *values: object) -> None:
        with closing(sqlite3.connect(self.path, isolation_level=None)) as connection:
            connection.execute(statement, values)

    def look(self, now: datetime = NOW) -> Snapshot:
        return self.source.look(now).snapshot

    def job(self, now: datetime = NOW) -> Job:
        (job,) = self.look(now).jobs
        return job

    def problem(self, now: datetime = NOW) -> str:
        return self.look(now).problem or ""

    def kinds(self, now: datetime = NOW, detect: Detect | None = None) -> set[tuple[str, str | None]]:
        return {(found.kind.value, found.job) for found in self.findings(now, detect)}

    def findings(self, now: datetime = NOW, detect: Detect | None = None) -> tuple[Finding, ...]:
        return diagnose(self.look(now), now, detect or Detect()).findings


@pytest.fixture
def store(tmp_path: Path) -> Store:
    return Store(tmp_path / "jobs.db")


def at(clock: str, day: int = 10) -> str:
    return f"2026-06-{day:02} {clock}"


def ran(store: Store, number: int, start: str, end: str | None, status: str = "ok", **more: object) -> None:
    store.put("runs", id=number, job_id=1, started_at=start, ended_at=end, status=status, **more)


class TestCadence:
    def test_the_next_run_follows_from_the_last_one(self, store: Store) -> None:
        store.put("jobs", id=1, name="hourly", cron="0 * * * *")
        ran(store, 1, at("11:00:00"), at("11:01:00"))
        job = store.job()
        assert job.next_run_at == NOW.replace(minute=0)
        assert job.schedule == CronSchedule("0 * * * *", "UTC", "classic")
        assert store.kinds(NOW.replace(hour=13, minute=59)) == set()
        late = NOW.replace(hour=14, minute=1)
        assert store.kinds(late) == {("overdue", "hourly"), ("stalled", None)}

    def test_another_job_that_runs_makes_it_merely_overdue(self, store: Store) -> None:
        store.put("jobs", id=1, name="hourly", cron="0 * * * *")
        store.put("jobs", id=2, name="other", cron="*/10 * * * *")
        ran(store, 1, at("11:00:00"), at("11:01:00"))
        store.put("runs", id=2, job_id=2, started_at=at("14:20:00"), ended_at=at("14:20:05"), status="ok")
        assert store.kinds(NOW.replace(hour=14)) == {("overdue", "hourly")}

    def test_a_run_of_another_job_is_no_excuse_and_no_stall(self, store: Store) -> None:
        store.put("jobs", id=1, name="hourly", cron="0 * * * *")
        store.put("jobs", id=2, name="other", cron="0 11 * * *")
        ran(store, 1, at("11:00:00"), at("11:01:00"))
        store.put("runs", id=2, job_id=2, started_at=at("14:20:00"), ended_at=None, status="running")
        (overdue,) = store.findings(NOW.replace(hour=14))
        assert (overdue.kind, overdue.job, overdue.caused_by) == (Kind.OVERDUE, "hourly", None)

    def test_a_job_that_never_ran_owes_nothing_for_the_time_before_it_was_seen(self, store: Store) -> None:
        store.put("jobs", id=1, name="new", cron="0 * * * *")
        assert store.job().next_run_at == NOW.replace(hour=13, minute=0)
        assert store.kinds(NOW.replace(hour=14, minute=59)) == set()
        assert ("overdue", "new") in store.kinds(NOW.replace(hour=15, minute=1))

    def test_a_job_that_is_switched_on_again_owes_nothing_for_the_time_it_was_off(self, tmp_path: Path) -> None:
        store = Store(tmp_path / "x.db", "SELECT id, name, cron, enabled FROM jobs")
        store.put("jobs", id=1, name="hourly", cron="0 * * * *", enabled=0)
        ran(store, 1, at("01:00:00"), at("01:01:00"))
        assert store.kinds() == set()
        store.do("UPDATE jobs SET enabled = 1")
        assert store.kinds() == set()
        assert ("overdue", "hourly") in store.kinds(NOW.replace(hour=15, minute=1))

    def test_a_job_that_is_gone_is_no_finding_and_its_runs_are_signs_of_life(self, store: Store) -> None:
        store.put("jobs", id=1, name="hourly", cron="0 * * * *")
        store.put("jobs", id=2, name="gone", cron="* * * * *")
        ran(store, 1, at("11:00:00"), at("11:01:00"))
        store.put("runs", id=2, job_id=2, started_at=at("14:20:00"), ended_at=at("14:20:05"), status="ok")
        store.look()
        store.do("DELETE FROM jobs WHERE id = 2")
        assert store.kinds(NOW.replace(hour=14)) == {("overdue", "hourly")}

    def test_planned_since_excuses_what_was_due_before(self, tmp_path: Path) -> None:
        store = Store(tmp_path / "x.db", "SELECT id, name, cron, planned_since FROM jobs")
        store.put("jobs", id=1, name="hourly", cron="0 * * * *", planned_since=at("12:10:00"))
        ran(store, 1, at("01:00:00"), at("01:01:00"))
        assert store.job().next_run_at == NOW.replace(hour=13, minute=0)
        assert store.kinds() == set()

    def test_a_next_run_that_stands_there_is_believed(self, tmp_path: Path) -> None:
        store = Store(tmp_path / "x.db", "SELECT id, name, cron, next_run_at FROM jobs")
        store.put("jobs", id=1, name="hourly", cron="0 * * * *", next_run_at=None)
        assert store.kinds() == {("stranded", "hourly")}
        store.do("UPDATE jobs SET next_run_at = ?", at("13:00:00"))
        assert store.kinds() == set()

    def test_a_one_shot_that_has_run_is_completed(self, tmp_path: Path) -> None:
        store = Store(tmp_path / "x.db", "SELECT id, name, at FROM jobs")
        store.put("jobs", id=1, name="once", at=at("12:00:00"))
        assert store.kinds(NOW.replace(minute=9)) == set()
        assert ("overdue", "once") in store.kinds()
        ran(store, 1, at("12:00:01"), at("12:00:02"))
        assert store.job().state == "completed"
        assert store.kinds() == set()

    @pytest.mark.parametrize("every", [30, 30.0, "30", "30s", "30 seconds", "00:00:30"])
    def test_an_interval_is_read_however_it_is_written(self, every: object, tmp_path: Path) -> None:
        store = Store(tmp_path / "x.db", "SELECT id, every FROM jobs")
        store.put("jobs", id=1, every=every)
        ran(store, 1, at("12:29:00"), at("12:29:05"))
        wanted = Unreadable("not a duration", "every 30") if every == "30" else Every(timedelta(seconds=30))
        assert store.job().schedule == wanted
        if every != "30":
            assert store.job().next_run_at == NOW - timedelta(seconds=25)
            assert store.kinds(NOW.replace(minute=29, second=59)) == set()

    def test_an_interval_shorter_than_the_reading_is_not_called_late(self, tmp_path: Path) -> None:
        store = Store(tmp_path / "x.db", "SELECT id, every FROM jobs", deadline=timedelta(seconds=5))
        store.put("jobs", id=1, every=1)
        ran(store, 1, at("12:29:58"), at("12:29:58"))
        assert store.kinds() == set()
        assert ("overdue", "job 1") in store.kinds(NOW + timedelta(seconds=10))

    def test_the_zone_and_the_rules_are_those_that_are_said(self, tmp_path: Path) -> None:
        store = Store(tmp_path / "x.db", "SELECT id, cron, timezone FROM jobs", timezone="Europe/Berlin", cron="croner")
        store.put("jobs", id=1, cron="0 12 * * *")
        store.put("jobs", id=2, cron="0 12 * * *", timezone="Asia/Tokyo")
        assert [job.schedule for job in store.look().jobs] == [
            CronSchedule("0 12 * * *", "Europe/Berlin", "croner-auto"),
            CronSchedule("0 12 * * *", "Asia/Tokyo", "croner-auto"),
        ]

    @pytest.mark.parametrize(
        "cron", ["61 * * * *", "0 0 0 12 * * *", "@reboot", "* * * *", "", "R * * * *", "0 0 * * 9"]
    )
    def test_an_expression_that_is_none_is_told(self, cron: str, store: Store) -> None:
        store.put("jobs", id=1, name="bad", cron=cron)
        assert store.kinds() == {("invalid", "bad")}

    def test_without_any_schedule_a_job_is_never_late(self, store: Store) -> None:
        store.put("jobs", id=1, name="at boot", cron=None)
        ran(store, 1, at("01:00:00"), at("01:01:00"))
        assert store.job().schedule == NoCadence()
        assert store.kinds(NOW + timedelta(days=99)) == set()


class TestRuns:
    def test_a_run_in_flight_too_long_is_told(self, store: Store) -> None:
        store.put("jobs", id=1, name="slow", cron="0 * * * *")
        ran(store, 1, at("10:00:00"), at("10:00:10"))
        ran(store, 2, at("11:00:00"), None, "running")
        assert store.job().in_flight_since == NOW.replace(hour=11, minute=0)
        assert store.kinds(NOW.replace(hour=11, minute=29)) == set()
        assert store.kinds(NOW.replace(hour=11, minute=31)) == {("long_run", "slow")}
        assert store.kinds(NOW.replace(hour=16)) == {("wedged", "slow")}

    def test_a_limit_of_its_own_counts(self, tmp_path: Path) -> None:
        store = Store(tmp_path / "x.db", "SELECT id, name, cron, max_run FROM jobs", max_run=timedelta(hours=1))
        store.put("jobs", id=1, name="own", cron="0 * * * *", max_run=120)
        ran(store, 1, at("12:00:00"), None, "running")
        assert store.kinds(NOW.replace(minute=1, second=59)) == set()
        (wedged,) = store.findings(NOW.replace(minute=2))
        assert wedged.kind is Kind.WEDGED
        assert wedged.evidence["run_limit"] == timedelta(seconds=120)
        store.do("UPDATE jobs SET max_run = NULL")
        assert ("wedged", "own") in store.kinds(NOW.replace(hour=13, minute=0))

    def test_its_end_is_noticed_though_newer_runs_were_read_since(self, store: Store) -> None:
        store.put("jobs", id=1, name="slow", cron="0 * * * *")
        store.put("jobs", id=2, name="busy", cron="* * * * *")
        ran(store, 1, at("11:00:00"), None, "running")
        for number in range(2, 400):
            store.put("runs", id=number, job_id=2, started_at=at("12:00:00"), ended_at=at("12:00:01"), status="ok")
            if number % 130 == 0:
                assert store.look().jobs[0].in_flight_since is not None
        assert store.look().jobs[0].in_flight_since is not None
        ran(store, 1, at("11:00:00"), at("12:20:00"), "failed", error="broke")
        job = store.look().jobs[0]
        assert (job.in_flight_since, job.consecutive_errors) == (None, 1)

    def test_one_whose_row_is_deleted_is_over(self, store: Store) -> None:
        store.put("jobs", id=1, name="slow", cron="0 * * * *")
        ran(store, 1, at("11:00:00"), None, "running")
        assert store.job().in_flight_since is not None
        store.do("DELETE FROM runs")
        assert store.job().in_flight_since is None

    def test_one_that_was_left_open_before_a_later_run_is_not_in_flight(self, store: Store) -> None:
        store.put("jobs", id=1, name="slow", cron="0 * * * *")
        ran(store, 1, at("10:00:00"), None, "running")
        ran(store, 2, at("11:00:00"), at("11:00:10"))
        assert store.job().in_flight_since is None

    def test_one_that_has_not_started_yet_is_none(self, store: Store) -> None:
        store.put("jobs", id=1, name="queued", cron="0 * * * *")
        store.put("runs", id=1, job_id=1, status="starting")
        assert store.job().in_flight_since is None
        ran(store, 1, at("12:29:00"), None, "running")
        assert store.job().in_flight_since == NOW.replace(minute=29)

    def test_errors_in_a_row_are_counted_beyond_what_is_remembered(self, store: Store) -> None:
        store.put("jobs", id=1, name="bad", cron="* * * * *")
        for number in range(1, 131):
            ran(store, number, at("12:28:00"), at("12:28:01"), "ok" if number == 30 else "failed", error="no luck")
            if number % 40 == 0:
                store.look()
        assert store.job().consecutive_errors == 100
        assert store.kinds() == {("failing", "bad")}
        ran(store, 131, at("12:29:00"), at("12:29:01"))
        assert store.job().consecutive_errors == 0
        assert store.kinds() == set()

    def test_a_first_look_reads_the_newest_runs_only(self, tmp_path: Path) -> None:
        store = Store(tmp_path / "x.db", look_back=1000)
        store.put("jobs", id=1, name="busy", cron="* * * * *")
        store.do(
            "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 5000) "
            "INSERT INTO runs (id, job_id, started_at, ended_at, status) SELECT i, 1, ?, ?, 'failed' FROM n",
            at("12:28:00"),
            at("12:28:01"),
        )
        assert store.job().consecutive_errors == 1000

    def test_a_table_that_begins_anew_is_followed(self, store: Store) -> None:
        store.put("jobs", id=1, name="bad", cron="* * * * *")
        for number in range(1, 8):
            ran(store, number, at("12:28:00"), at("12:28:01"), "failed")
        assert store.job().consecutive_errors == 7
        store.do("DELETE FROM runs")
        assert store.job().consecutive_errors == 7
        ran(store, 1, at("12:29:00"), at("12:29:01"), "failed")
        assert store.job().consecutive_errors == 8
        ran(store, 2, at("12:30:00"), at("12:30:01"))
        assert store.job().consecutive_errors == 0

    def test_a_lower_id_that_shows_later_is_not_missed(self, store: Store) -> None:
        store.put("jobs", id=1, name="job", cron="* * * * *")
        ran(store, 5, at("12:28:00"), at("12:28:01"))
        assert store.job().consecutive_errors == 0
        ran(store, 6, at("12:29:00"), at("12:29:01"), "failed")
        store.look()
        ran(store, 3, at("12:27:00"), at("12:27:01"), "failed")
        ran(store, 4, at("12:27:00"), None, "running")
        job = store.job()
        assert (len(job.recent), job.consecutive_errors, job.in_flight_since) == (3, 1, None)

    def test_tokens_are_told_where_they_are_written(self, tmp_path: Path) -> None:
        columns = "id, job_id, started_at, ended_at, status, input_tokens, output_tokens"
        store = Store(tmp_path / "x.db", runs=f"SELECT {columns} FROM runs WHERE id > :after")
        store.put("jobs", id=1, name="idle", cron="* * * * *")
        for number in range(1, 4):
            ran(store, number, at(f"12:2{6 + number}:00"), at(f"12:2{6 + number}:01"), input_tokens=0, output_tokens=0)
        assert ("zero_tokens", "idle") in store.kinds()
        ran(store, 4, at("12:29:30"), at("12:29:31"), input_tokens=10, output_tokens=1)
        assert store.kinds() == set()

    @pytest.mark.parametrize(
        ("columns", "row", "in_flight", "errors"),
        [
            ("status", {"status": "RUNNING"}, True, 0),
            ("status", {"status": "In Progress"}, True, 0),
            ("status", {"status": "success"}, False, 0),
            ("status", {"status": "FAILED"}, False, 1),
            ("status", {"status": "weird"}, False, 0),
            ("status, error", {"status": "weird", "error": "boom"}, False, 1),
            ("ended_at", {"ended_at": None}, True, 0),
            ("ended_at", {"ended_at": at("12:00:05")}, False, 0),
            ("ended_at, error", {"ended_at": at("12:00:05"), "error": "boom"}, False, 1),
            ("ended_at, status", {"ended_at": None, "status": "failed"}, False, 1),
            ("ended_at, status", {"ended_at": None, "status": "weird"}, True, 0),
            ("error", {"error": None}, False, 0),
        ],
    )
    def test_how_a_run_ended_is_taken_from_what_there_is(
        self, columns: str, row: Mapping[str, object], in_flight: bool, errors: int, tmp_path: Path
    ) -> None:
        query = f"SELECT id, job_id, started_at, {columns} FROM runs WHERE id > :after"
        store = Store(tmp_path / "x.db", runs=query)
        store.put("jobs", id=1, name="job", cron="0 * * * *")
        store.put("runs", id=1, job_id=1, started_at=at("12:00:00"), **row)
        job = store.job()
        assert (job.in_flight_since is not None, job.consecutive_errors) == (in_flight, errors)


class TestColumns:
    @pytest.mark.parametrize(
        ("jobs", "told"),
        [
            ("SELECT id, nme FROM jobs", "the jobs query fails: no such column: nme"),
            ("SELECT id, name AS nam FROM jobs", "column 'nam', which is not known; did you mean name?"),
            ("SELECT name FROM jobs", "the jobs query returns no column id"),
            ("SELECT id FROM nowhere", "the jobs query fails: no such table: nowhere"),
            ("SELECT id FROM jobs, jobs", "the jobs query fails: ambiguous column name: id"),
            ("SELECT id FROM jobs WHERE", "the jobs query fails: near "),
            ("SELECT id FROM jobs WHERE name = load_extension('x')", "the jobs query fails: not authorized"),
        ],
    )
    def test_what_is_wrong_with_a_query_is_told(self, jobs: str, told: str, tmp_path: Path) -> None:
        store = Store(tmp_path / "x.db", jobs)
        store.put("jobs", id=1, name="x")
        assert told in store.problem()
        assert {kind for kind, _ in store.kinds()} == {"unreachable"}

    def test_a_query_may_be_written_as_people_write_them(self, tmp_path: Path) -> None:
        store = Store(
            tmp_path / "x.db", "-- all of them\nWITH a AS (SELECT id AS ID FROM jobs) SELECT * FROM a -- so; ;\n;"
        )
        store.put("jobs", id="a", name="x")
        assert store.job().id == "a"

    def test_an_id_of_a_run_that_is_no_number_is_told(self, tmp_path: Path) -> None:
        store = Store(tmp_path / "x.db", runs="SELECT 'r' || id AS id, job_id, started_at FROM runs WHERE id > :after")
        store.put("runs", id=1, job_id=1)
        assert "the runs query returns the id 'r1'; it must be a whole number" in store.problem()

    def test_what_cannot_be_read_in_one_row_is_a_finding_about_that_job(self, tmp_path: Path) -> None:
        store = Store(tmp_path / "x.db", "SELECT id, name, enabled, next_run_at, max_run FROM jobs")
        store.put("jobs", id=1, name="a", enabled="maybe", next_run_at="infinity", max_run=-1)
        store.put("jobs", id=2, name="b", enabled="t", next_run_at=1_781_094_600, max_run="10m")
        (found,) = store.findings()
        assert found.kind is Kind.INVALID
        assert found.evidence["problems"] == [
            "enabled is 'maybe', neither true nor false",
            "next_run_at is 'infinity', not an instant",
            "max_run is -1, not a duration",
        ]
        assert store.look().jobs[1].next_run_at == NOW

    def test_an_id_that_comes_twice_is_told(self, tmp_path: Path) -> None:
        store = Store(tmp_path / "x.db", "SELECT 7 AS id, name FROM jobs")
        store.put("jobs", id=1, name="a")
        store.put("jobs", id=2, name="b")
        assert store.kinds() == {("blind", None)}

    def test_one_that_a_join_returns_twice_alike_is_one(self, tmp_path: Path) -> None:
        store = Store(tmp_path / "x.db", f"{JOBS} JOIN (SELECT 1 UNION ALL SELECT 2)")
        store.put("jobs", id=1, name="hourly", cron="0 * * * *")
        ran(store, 1, at("11:00:00"), at("11:01:00"))
        assert store.kinds() == set()
        assert store.kinds(NOW.replace(hour=15)) == {("stalled", None), ("overdue", "hourly")}

    def test_without_runs_it_tells_what_the_jobs_tell(self, tmp_path: Path) -> None:
        jobs = "SELECT id, name, cron, at AS last_run_at, status AS last_run_status, 6 AS consecutive_errors FROM jobs"
        store = Store(tmp_path / "x.db", jobs, None)
        store.put("jobs", id=1, name="hourly", cron="0 * * * *", at=at("11:00:00"), status="failed")
        assert store.kinds() == {("failing", "hourly")}
        assert store.kinds(NOW.replace(hour=15)) == {("failing", "hourly"), ("overdue", "hourly")}

    def test_a_query_that_never_ends_is_cut_off(self, tmp_path: Path) -> None:
        endless = "WITH RECURSIVE n(id) AS (SELECT 1 UNION ALL SELECT id + 1 FROM n) SELECT max(id) AS id FROM n"
        store = Store(tmp_path / "x.db", endless, deadline=timedelta(seconds=1))
        assert store.problem().endswith("the jobs query took longer than 1 s and was cut off")

    def test_nothing_is_read_while_nothing_has_changed(self, store: Store) -> None:
        store.put("jobs", id=1, name="hourly", cron="0 * * * *")
        store.look()
        assert [store.source.look(NOW).is_new for _ in range(3)] == [False] * 3

    def test_a_file_that_goes_and_comes_back_is_told(self, store: Store) -> None:
        store.put("jobs", id=1, name="hourly", cron="0 * * * *")
        assert store.problem() == ""
        store.path.rename(store.path.with_suffix(".away"))
        assert "is not there" in store.problem()
        store.path.with_suffix(".away").rename(store.path)
        assert store.problem() == ""


def wrong(tmp_path: Path, source: str) -> list[str]:
    file = tmp_path / "watchdog.yaml"
    file.write_text(f"sources: [{{kind: sql, {source}}}]")
    with pytest.raises(ConfigError) as caught:
        load(file, {})
    return [problem.removeprefix(f"{file}: line 1: ") for problem in caught.value.problems]


@pytest.mark.parametrize(
    ("source", "told"),
    [
        ("jobs: SELECT 1", "sources[0]: give one of database (an SQLite file), dsn and dsn_file (PostgreSQL)"),
        ("jobs: SELECT 1, database: /x, dsn: y", "sources[0]: give one of "),
        ("database: /x", "sources[0].jobs: is missing"),
        ("database: /x, jobs: DELETE FROM x", "sources[0].jobs: must be one SELECT statement"),
        ("database: /x, jobs: SELECT 1, runs: SELECT 1", "sources[0].runs: must ask for the runs after the last id"),
        ("database: /x, jobs: SELECT 1, runs: 'SELECT 1::after'", "sources[0].runs: must ask for the runs after"),
        ("database: /x, jobs: SELECT 1, every: 10ms", "sources[0].every: must lie between 1 s and 1 d"),
        (
            "database: /x, jobs: SELECT 1, cron: quartz",
            "sources[0].cron: should be 'classic', 'croner' or 'croniter'",
        ),
        ("database: /x, jobs: SELECT 1, max_rnu: 1h", "sources[0].max_rnu: unknown key; did you mean max_run?"),
        ("dsn_file: /nowhere, jobs: SELECT 1", "sources[0].dsn_file: the file /nowhere cannot be read"),
    ],
)
def test_what_is_wrong_in_the_configuration_is_told(source: str, told: str, tmp_path: Path) -> None:
    (problem,) = wrong(tmp_path, source)
    assert problem.startswith(told)


class TestPostgresWithoutAServer:
    def settings(self, dsn: str) -> Sql:
        return Sql.validated({"kind": "sql", "dsn": dsn, "jobs": "SELECT 1 AS id", "deadline": "2s"})

    def test_a_driver_that_is_missing_is_told_with_the_command(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setitem(sys.modules, "psycopg.conninfo", None)
        problem = open_sql(self.settings("postgresql://x@127.0.0.1/x")).look(NOW).snapshot.problem
        assert problem is not None
        told, _, command = problem.partition(": ")
        assert told == "PostgreSQL's driver is not installed; add it with"
        # the very environment that runs, and what is to be had whether this program is on an index or not
        assert shlex.split(command)[0] == sys.executable
        assert shlex.split(command)[-1].startswith("psycopg[binary]")

    @pytest.mark.parametrize(
        "dsn", ["hunter22hunter", "postgresql://u:hunter22hunter@h:port/x", "password='hunter22hunter"]
    )
    def test_an_address_that_is_none_is_told_and_not_shown(self, dsn: str) -> None:
        settings = self.settings(dsn)
        problem = open_sql(settings).look(NOW).snapshot.problem or ""
        assert problem
        assert "hunter22hunter" not in problem + repr(settings)

    def test_a_server_that_is_not_there_is_told(self) -> None:
        source = open_sql(self.settings("postgresql://u:hunter22hunter@127.0.0.1:1/x"))
        problem = source.look(NOW).snapshot.problem or ""
        assert problem.startswith("the PostgreSQL server cannot be reached: ")
        assert "refused" in problem
        assert "hunter22hunter" not in problem


APSCHEDULER = "CREATE TABLE apscheduler_jobs (id VARCHAR(191) PRIMARY KEY, next_run_time FLOAT(25), job_state BLOB)"


def test_the_example_for_apscheduler_tells_a_scheduler_that_is_down(tmp_path: Path) -> None:
    path = tmp_path / "jobs.sqlite"
    with closing(sqlite3.connect(path)) as connection:
        connection.execute(APSCHEDULER)
        rows = [("soon", NOW.timestamp() + 60.25), ("due", NOW.timestamp() - 30), ("paused", None)]
        connection.executemany("INSERT INTO apscheduler_jobs VALUES (?, ?, x'80')", rows)
        connection.commit()
    file = tmp_path / "apscheduler.yaml"
    file.write_text((ROOT / "config" / "apscheduler.yaml").read_text().replace("/data/jobs.sqlite", str(path)))
    assert command("validate", "-c", file).returncode == 0
    config = load(file, {})
    assert kinds(config, NOW) == set()
    assert kinds(config, NOW + timedelta(minutes=9)) == set()
    assert kinds(config, NOW + timedelta(minutes=10)) == {("overdue", "job due")}
    late = {("overdue", "job due"), ("overdue", "job soon")}
    assert kinds(config, NOW + timedelta(minutes=12)) == {*late, ("stalled", None)}


def kinds(config: Config, now: datetime) -> set[tuple[str, str | None]]:
    (source,) = config.sources
    assert isinstance(source, Sql)
    return {
        (found.kind.value, found.job)
        for found in diagnose(open_sql(source).look(now).snapshot, now, config.detect).findings
    }


def test_the_example_for_pg_cron_is_a_good_configuration() -> None:
    (source,) = load(ROOT / "config" / "pg_cron.yaml", {"PG_CRON_PASSWORD": "x"}).sources
    assert isinstance(source, Sql)
    assert (source.cron, source.timezone) == ("classic", "GMT")


class TestClassicCron:
    """Against a reading of the five fields, minute by minute."""

    FIELD = st.sampled_from(["*", "*/2", "*/7"])

    @staticmethod
    def numbers(low: int, high: int) -> st.SearchStrategy[str]:
        one = st.integers(low, high)
        pair = st.tuples(one, one).map(lambda ends: f"{min(ends)}-{max(ends)}")
        return st.one_of(one.map(str), pair, st.lists(one, min_size=2, max_size=3, unique=True).map(_commas))

    @settings(max_examples=60, deadline=None)
    @given(st.data(), st.integers(0, 200))
    def test_it_fires_when_cron_does(self, data: st.DataObject, days: int) -> None:
        bounds = ((0, 59), (0, 23), (1, 31), (1, 12), (0, 6))
        fields = [data.draw(self.FIELD | self.numbers(*bound)) for bound in bounds]
        begin = datetime(2026, 1, 1, tzinfo=UTC) + timedelta(days=days)
        wanted = list(islice(_by_hand(fields, begin), 3))
        found: list[datetime | None] = []
        fire: int | None = to_ms(begin) - 1
        parsed = classic_cron.parse(" ".join(fields))
        while len(found) < len(wanted) and fire is not None:
            fire = parsed.next(fire)
            found.append(from_ms(fire) if fire is not None else None)
        assert found == wanted
        assert all(parsed.at_or_before(to_ms(instant)) == to_ms(instant) for instant in wanted)

    def test_a_date_that_never_comes_is_never(self) -> None:
        assert classic_cron.parse("0 0 30 2 *").next(to_ms(NOW)) is None
        assert croniter.is_valid("0 0 30 2 *")

    def test_the_last_day_of_the_month(self) -> None:
        assert classic_cron.parse("0 0 L * *").next(to_ms(NOW)) == to_ms(datetime(2026, 6, 30, tzinfo=UTC))


def _commas(numbers: Sequence[int]) -> str:
    return ",".join(map(str, numbers))


def _by_hand(fields: Sequence[str], begin: datetime) -> Any:
    """The matching minutes of sixty days: by cron's rule for day and weekday, and nothing else."""
    minutes, hours, days, months, weekdays = (
        _numbers(field, *bound)
        for field, bound in zip(fields, ((0, 59), (0, 23), (1, 31), (1, 12), (0, 6)), strict=True)
    )
    has_star = fields[2].startswith("*") or fields[4].startswith("*")
    for number in range(60):
        day = begin + timedelta(days=number)
        fits = (day.day in days, day.isoweekday() % 7 in weekdays)
        if day.month in months and (all(fits) if has_star else any(fits)):
            yield from (day.replace(hour=hour, minute=minute) for hour in sorted(hours) for minute in sorted(minutes))


def _numbers(field: str, low: int, high: int) -> set[int]:
    found: set[int] = set()
    for part in field.split(","):
        body, _, step = part.partition("/")
        first, _, last = body.partition("-")
        begin, end = (low, high) if body == "*" else (int(first), int(last or first))
        found |= set(range(begin, end + 1, int(step or 1)))
    return found


ANY = st.one_of(
    st.none(), st.integers(-5, 10**15), st.floats(), st.text(max_size=12), st.binary(max_size=6)
) | st.sampled_from(
    ["failed", "ok", "running", "2026-06-10 11:59:00", "2026-06-10T12:00:00Z", "0 * * * *", "30s", 1_781_000_000]
)


class TestAnythingMayStandInTheRows:
    JOB = st.fixed_dictionaries(
        {
            "id": st.integers(1, 4),
            **dict.fromkeys(("name", "enabled", "status", "cron", "every", "at", "timezone"), ANY),
        }
    )
    RUN = st.fixed_dictionaries(
        {
            "id": st.integers(1, 300),
            "job_id": st.integers(1, 5),
            **dict.fromkeys(("started_at", "ended_at", "status", "error", "input_tokens", "output_tokens"), ANY),
        }
    )

    @settings(max_examples=60, deadline=None)
    @given(st.lists(st.tuples(st.lists(JOB, max_size=4), st.lists(RUN, max_size=6)), min_size=1, max_size=4))
    def test_no_look_raises_and_all_of_it_can_be_judged(self, steps: Any) -> None:
        with TemporaryFolder() as folder:
            store = Store(
                folder / "x.db",
                "SELECT id, name, enabled, status, cron, every, at, timezone, next_run_at, max_run FROM jobs",
                "SELECT * FROM runs WHERE id > :after",
            )
            for jobs, runs in steps:
                for job in jobs:
                    store.put("jobs", **job)
                for run in runs:
                    store.put("runs", **run)
                snapshot = store.look()
                assert snapshot.problem is None
                for hours in (0, 1, 99):
                    diagnose(snapshot, NOW + timedelta(hours=hours), Detect())


class TestAHealthyHistory:
    @settings(max_examples=40, deadline=None)
    @given(
        st.lists(st.integers(1, 6), min_size=1, max_size=3, unique=True),
        st.integers(1, 40),
        st.lists(st.booleans(), min_size=40, max_size=40),
    )
    def test_nothing_is_found_while_every_job_runs_on_time(
        self, every: Sequence[int], ticks: int, looks: Sequence[bool]
    ) -> None:
        """Jobs every few minutes that run a second late for half a minute; looked at now and then, at any time."""
        with TemporaryFolder() as folder:
            store = Store(folder / "x.db")
            for number in every:
                store.put("jobs", id=number, name=f"job {number}", cron=f"*/{number} * * * *")
            run = 0
            for tick in range(1, ticks + 1):
                now = NOW.replace(minute=0) + timedelta(minutes=tick)
                for number in every:
                    if now.minute % number == 0:
                        run += 1
                        start, end = now + timedelta(seconds=1), now + timedelta(seconds=31)
                        row: dict[str, object] = {"id": run, "job_id": number, "started_at": start.isoformat()}
                        store.put("runs", **row, ended_at=None, status="running")
                        if looks[tick - 1]:
                            assert store.kinds(now + timedelta(seconds=2)) == set()
                        store.put("runs", **row, ended_at=end.isoformat(), status="succeeded")
                if looks[-tick]:
                    assert store.kinds(now + timedelta(seconds=40)) == set()


class TemporaryFolder:
    """A folder for one example of a property test."""

    def __enter__(self) -> Path:

        self._folder = memory_folder()
        return Path(self._folder.name)

    def __exit__(self, *_: object) -> None:
        self._folder.cleanup()


def test_the_source_says_what_it_is(store: Store) -> None:
    assert isinstance(store.source, SqlSource)
    assert (store.source.name, store.source.kind, store.source.warnings()) == ("sql", "sql", [])
    assert store.look().traits.has_one_slot is False
    assert store.look().traits.shows_slot is True


def test_at_and_cron_together_are_told(tmp_path: Path) -> None:
    store = Store(tmp_path / "x.db", "SELECT id, name, cron, at FROM jobs")
    store.put("jobs", id=1, name="both", cron="0 * * * *", at=at("12:00:00"))
    store.put("jobs", id=2, name="one", at=at("13:00:00"))
    assert store.kinds() == {("invalid", "both")}
    assert store.look().jobs[1].schedule == At(NOW.replace(hour=13, minute=0))

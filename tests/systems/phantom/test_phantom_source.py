"""Every state in which a file can be found gives jobs or a reason, never a crash; and looking leaves no trace."""

import hashlib
import json
import math
import os
import shutil
import sqlite3
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import closing, contextmanager
from datetime import UTC, datetime, timedelta
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from prometheus_client.parser import text_string_to_metric_families

from tests.conftest import NOW, SCHEMA, Writer, as_nobody, build, cost_row, healthy, job_row, session_row
from tests.support.amounts import made_up
from tests.support.memory_folder import memory_folder
from tests.support.sqlite_writers import leave_hot_journal, without_row_numbers
from watchdog.config.file import for_database
from watchdog.config.settings import Detect
from watchdog.core.model import Finding, Job, Snapshot, ZeroStreak
from watchdog.demo.outcome import Outcome
from watchdog.demo.simulator import Simulator
from watchdog.detectors.diagnosis import diagnose
from watchdog.detectors.published import Published
from watchdog.engine import Engine
from watchdog.incidents.wire import findings_document, jobs_document
from watchdog.metrics.state_text import StateText
from watchdog.systems.base import Look
from watchdog.systems.phantom.source import PhantomSource
from watchdog.systems.shared import sqlite_file

StartWriter = Callable[[Path], Writer]
MINUTE, HOUR, DAY = timedelta(minutes=1), timedelta(hours=1), timedelta(days=1)


@pytest.fixture(autouse=True)
def no_waiting(monkeypatch: pytest.MonkeyPatch) -> None:
    """How long a busy writer is waited for is not what is tested."""
    monkeypatch.setattr(sqlite_file, "BUSY_TIMEOUT", 0.01)


def traces(folder: Path) -> dict[str, object]:
    """All that somebody else could notice about the files; the index of a log is shared memory and moves."""
    found: dict[str, object] = {}
    for entry in folder.iterdir():
        seen = entry.stat()
        is_plain = entry.is_file() and not entry.name.endswith("-shm")
        content = hashlib.sha256(entry.read_bytes()).hexdigest() if is_plain else None
        found[entry.name] = (seen.st_ino, seen.st_mtime_ns, seen.st_size, content) if is_plain else seen.st_ino
    return found


def open_handles(folder: Path) -> list[str]:
    """The files in the folder that this process has open."""
    handles = Path("/proc/self/fd")
    if not handles.is_dir():
        return []
    targets = [str(entry.readlink()) for entry in handles.iterdir() if entry.is_symlink()]
    return [target for target in targets if target.startswith(str(folder))]


@contextmanager
def undisturbed(folder: Path) -> Iterator[None]:
    """Nothing is created, changed or held open meanwhile."""
    before = traces(folder) if folder.is_dir() else {}
    yield
    assert (traces(folder) if folder.is_dir() else {}) == before
    assert open_handles(folder) == []


class Watched:
    """One source on a file; each look must leave the folder as it was."""

    def __init__(self, path: Path, **options: Any) -> None:
        self.path = path
        self.source = PhantomSource("agent", path, **options)
        self._now = NOW

    def look(self, now: datetime | None = None) -> Look:
        self._now += timedelta(seconds=2)
        with undisturbed(self.path.parent):
            return self.source.look(now or self._now)

    def reason(self) -> str:
        """Why it cannot be read."""
        snapshot = self.look().snapshot
        assert snapshot.jobs == ()
        (finding,) = diagnose(snapshot, self._now, Detect()).findings
        assert (finding.kind, finding.job_id, finding.severity) == ("unreachable", None, "critical")
        assert snapshot.problem is not None
        assert finding.summary == f"agent cannot be read: {snapshot.problem}"
        assert "\n" not in snapshot.problem
        return snapshot.problem

    def jobs(self) -> dict[str, Job]:
        snapshot = self.look().snapshot
        assert snapshot.problem is None
        return {job.name: job for job in snapshot.jobs}

    def findings(self) -> tuple[Finding, ...]:
        snapshot = self.look().snapshot
        assert snapshot.problem is None
        return diagnose(snapshot, self._now, Detect()).findings

    def kinds(self) -> list[str]:
        return [finding.kind.value for finding in self.findings()]

    def invalid(self) -> str:
        """What is said of the one row that cannot be read."""
        (found,) = [finding for finding in self.findings() if finding.kind == "invalid"]
        assert "\n" not in found.summary
        return found.summary


def age(path: Path) -> None:
    """Let the file have been written a while ago, so that its time stamp is trusted."""
    for file in (path, path.with_name(f"{path.name}-wal")):
        if file.exists():
            seen = file.stat()
            os.utime(file, ns=(seen.st_atime_ns, seen.st_mtime_ns - 60 * 10**9))


def change(path: Path, statement: str, *values: object) -> None:
    """One statement of somebody who has the file open only that long."""
    with closing(sqlite3.connect(path)) as connection, connection:
        connection.execute(statement, values)


def with_row(database: Path, /, **changes: object) -> Watched:
    """A source on a healthy scheduler whose one row has these values, as they are."""
    rows = healthy()
    rows["scheduled_jobs"] = [{**job_row(), **changes}]
    return Watched(build(database, rows, untyped=True))


def utc(text: str) -> datetime:
    return datetime.fromisoformat(text).replace(tzinfo=UTC)


class TestReading:
    def test_a_healthy_row_is_read_whole(self, database: Path) -> None:
        build(database, healthy())
        job = Watched(database).jobs()["heartbeat"]
        assert job.id == "id-heartbeat"
        assert job.next_run_at == utc("2026-06-10 13:00")
        assert job.last_run is not None
        assert job.last_run.started_at == utc("2026-06-10 11:00:00.123")
        assert job.last_run.duration == MINUTE
        assert job.last_end is not None
        assert (job.last_end.id, job.last_end.at, job.last_end.input_tokens) == (7, utc("2026-06-10 11:01"), 1000)
        assert (job.totals.runs, job.totals.input_tokens) == (7, 7000)
        assert job.zero_streak == ZeroStreak()
        assert job.problems == ()

    @pytest.mark.parametrize("text", ["2026-06-10T11:01:00.000Z", "2026-06-10 11:01:00", "2026-06-10T13:01:00+02:00"])
    @pytest.mark.parametrize("column", ["next_run_at", "last_run_at", "updated_at"])
    def test_every_date_is_read_in_both_formats(self, column: str, text: str, database: Path) -> None:
        job = with_row(database, **{column: text}).jobs()["heartbeat"]
        read = {
            "next_run_at": job.next_run_at,
            "updated_at": job.updated_at,
            "last_run_at": job.last_run and job.last_run.started_at,
        }
        assert read[column] == utc("2026-06-10 11:01")
        assert job.problems == ()

    def test_a_run_is_in_flight_from_its_touch_until_its_cost_event(self, database: Path) -> None:
        rows = healthy()
        rows["sessions"] = [session_row("id-heartbeat", "2026-06-10 11:59:58")]
        watched = Watched(build(database, rows))
        assert watched.jobs()["heartbeat"].in_flight_since == utc("2026-06-10 11:59:58")
        change(database, "INSERT INTO cost_events (session_key, created_at) VALUES (?, ?)",
               "scheduler:sched:id-heartbeat", "2026-06-10 11:59:58")  # fmt: skip
        assert watched.jobs()["heartbeat"].in_flight_since is None

    def test_the_findings_follow_the_simulated_scheduler_look_by_look(self, database: Path) -> None:
        start = datetime(2026, 6, 10, 4, 30, tzinfo=UTC)
        with Simulator(database, start, behaviour=lambda _name, _now: Outcome()) as agent:
            agent.add("heartbeat", ("every", HOUR))
            source = PhantomSource("agent", database)
            agent.run_until(start + 5 * HOUR)
            assert source.look(start + 5 * HOUR).snapshot.problem is None
            agent.behaviour = lambda _name, _now: Outcome.failing("Error: 529 overloaded_error: Overloaded")
            kinds = set()
            for minutes in range(0, 10 * 60, 10):
                now = start + 5 * HOUR + minutes * MINUTE
                agent.run_until(now)
                snapshot = source.look(now).snapshot
                kinds |= {finding.kind.value for finding in diagnose(snapshot, now, Detect()).findings}
        assert kinds == {"zero_tokens", "failing", "failed"}


class TestUnreadable:
    def test_a_file_that_is_not_there_yet_is_read_once_it_is(self, database: Path) -> None:
        watched = Watched(database)
        assert watched.reason() == f"{database} is not there"
        build(database, healthy())
        assert watched.kinds() == []

    def test_a_missing_folder_is_named(self, tmp_path: Path) -> None:
        watched = Watched(tmp_path / "volume" / "agent.db")
        told = f"{tmp_path}/volume/agent.db is not there: the folder {tmp_path}/volume is missing"
        assert watched.reason() == told
        (tmp_path / "volume").mkdir()
        build(tmp_path / "volume" / "agent.db", healthy())
        assert watched.kinds() == []

    def test_a_folder_is_no_database(self, database: Path) -> None:
        database.mkdir()
        watched = Watched(database)
        assert watched.reason() == f"{database} is a folder"
        database.rmdir()
        build(database, healthy())
        assert watched.kinds() == []

    def test_a_pipe_is_not_waited_for(self, database: Path) -> None:
        os.mkfifo(database)
        assert Watched(database).reason() == f"{database} is not a file"

    def test_an_empty_file_is_told_and_read_once_it_is_filled(self, database: Path) -> None:
        database.touch()
        watched = Watched(database)
        assert watched.reason().startswith(str(database))
        build(database, healthy())
        assert watched.kinds() == []

    def test_a_file_of_another_kind_is_told_as_such(self, database: Path) -> None:
        database.write_text("PGDMP is not what was asked for\n" * 200)
        watched = Watched(database)
        assert watched.reason() == f"{database}: not an SQLite database (SQLITE_NOTADB)"
        database.unlink()
        build(database, healthy())
        assert watched.kinds() == []

    @pytest.mark.parametrize("journal", ["delete", "wal"])
    def test_a_file_that_is_cut_short_is_told_as_damaged(self, journal: str, database: Path) -> None:
        rows = healthy()
        rows["cost_events"] = [cost_row("id-heartbeat", "2026-06-10 05:01:00") for _ in range(2000)]
        whole = build(database, rows, journal=journal).read_bytes()
        watched = Watched(database)
        assert watched.kinds() == []
        os.truncate(database, len(whole) // 8192 * 4096)
        assert "the file is damaged or cut short (SQLITE_CORRUPT); is a copy still being written?" in watched.reason()
        database.write_bytes(whole)
        assert watched.kinds() == []

    def test_another_programs_database_is_told_by_the_table_that_it_lacks(self, database: Path) -> None:
        build(database, {}, without=["scheduled_jobs"])
        watched = Watched(database)
        assert watched.reason() == f"{database} has no table scheduled_jobs: is it the scheduler's database?"
        database.unlink()
        build(database, healthy())
        assert watched.kinds() == []

    @pytest.mark.parametrize("column", ["id", "name", "schedule_kind", "schedule_value", "status", "next_run_at"])
    def test_a_column_without_which_nothing_can_be_told_is_named(self, column: str, database: Path) -> None:
        build(database, healthy(), without=[f"scheduled_jobs.{column}"])
        watched = Watched(database)
        assert watched.reason() == f"{database}: the table scheduled_jobs has no column {column}"
        database.unlink()
        build(database, healthy())
        assert watched.kinds() == []

    def test_all_columns_that_are_missing_are_named_at_once(self, database: Path) -> None:
        build(database, healthy(), without=["scheduled_jobs.status", "scheduled_jobs.name"])
        assert Watched(database).reason().endswith("has no column name, status")

    def test_a_writer_that_holds_the_file_exclusively_is_waited_out(
        self, database: Path, start_writer: StartWriter
    ) -> None:
        build(database, healthy())
        watched = Watched(database)
        assert watched.kinds() == []
        writer = start_writer(database)
        writer.run("BEGIN EXCLUSIVE")
        writer.run("UPDATE scheduled_jobs SET run_count = 8")
        assert watched.reason() == (
            f"{database} is locked: its writer holds it exclusively, or crashed in the middle of a write"
        )
        writer.run("COMMIT")
        assert watched.jobs()["heartbeat"].totals.runs == 8

    def test_a_write_that_a_crash_cut_off_is_not_read_half_done(
        self, database: Path, start_writer: StartWriter
    ) -> None:
        build(database, healthy())
        writer = start_writer(database)
        leave_hot_journal(writer)
        watched = Watched(database)
        assert "needs recovery" in watched.reason()
        start_writer(database).run("SELECT count(*) FROM scheduled_jobs")
        assert list(watched.jobs()) == ["heartbeat"]

    def test_it_says_since_when_it_cannot_be_read(self, database: Path) -> None:
        watched = Watched(database)
        first = watched.look(NOW)
        second = watched.look(NOW + HOUR)
        assert first.snapshot.problem_since == second.snapshot.problem_since == NOW
        assert first.is_new
        assert not second.is_new
        build(database, healthy())
        assert watched.look(NOW + 2 * HOUR).snapshot.problem_since is None
        database.unlink()
        assert watched.look(NOW + 3 * HOUR).snapshot.problem_since == NOW + 3 * HOUR

    def test_another_reason_keeps_the_first_instant(self, database: Path) -> None:
        watched = Watched(database)
        watched.look(NOW)
        database.touch()
        look = watched.look(NOW + HOUR)
        assert look.is_new
        assert look.snapshot.problem_since == NOW

    def test_a_user_without_rights_is_told_and_then_reads(self, reachable: Path) -> None:
        path = build(reachable / "agent.db", healthy(), journal="wal")

        def reason() -> str | None:
            with undisturbed_names(reachable):
                return PhantomSource("agent", path).look(NOW).snapshot.problem

        path.chmod(0o600)
        assert as_nobody(reason) == f"{path} may not be read by user 65534: run the watchdog as the scheduler's user"
        path.chmod(0o444)
        assert as_nobody(reason) is None


@contextmanager
def undisturbed_names(folder: Path) -> Iterator[None]:
    before = {entry.name for entry in folder.iterdir()}
    yield
    assert {entry.name for entry in folder.iterdir()} == before


class TestBesideALiveWriter:
    def test_it_sees_every_commit_and_never_keeps_the_log_from_being_tidied(
        self, database: Path, start_writer: StartWriter
    ) -> None:
        build(database, healthy(), journal="wal")
        watched = Watched(database)
        writer = start_writer(database)
        for runs in range(8, 18):
            writer.run("UPDATE scheduled_jobs SET run_count = ?", runs)
            assert watched.jobs()["heartbeat"].totals.runs == runs
            assert writer.run("PRAGMA wal_checkpoint(TRUNCATE)")[0][0] == 0
            assert watched.jobs()["heartbeat"].totals.runs == runs
        writer.stop()
        assert [entry.name for entry in database.parent.iterdir()] == [database.name]
        assert watched.jobs()["heartbeat"].totals.runs == 17

    def test_a_killed_writers_log_is_read_and_left_for_it(self, database: Path, start_writer: StartWriter) -> None:
        build(database, healthy(), journal="wal")
        writer = start_writer(database)
        writer.run("UPDATE scheduled_jobs SET run_count = 8")
        writer.kill()
        watched = Watched(database)
        assert watched.jobs()["heartbeat"].totals.runs == 8
        heir = start_writer(database)
        assert heir.run("SELECT run_count FROM scheduled_jobs") == [[8]]
        heir.run("UPDATE scheduled_jobs SET run_count = 9")
        assert watched.jobs()["heartbeat"].totals.runs == 9

    def test_a_log_whose_index_is_gone_is_read_and_the_writer_comes_back_to_it(
        self, database: Path, start_writer: StartWriter
    ) -> None:
        build(database, healthy(), journal="wal")
        writer = start_writer(database)
        writer.run("UPDATE scheduled_jobs SET run_count = 8")
        writer.kill()
        database.with_name(f"{database.name}-shm").unlink()
        source = PhantomSource("agent", database)
        assert source.look(NOW).snapshot.jobs[0].totals.runs == 8
        heir = start_writer(database)
        heir.run("UPDATE scheduled_jobs SET run_count = 9")
        assert heir.run("PRAGMA wal_checkpoint(TRUNCATE)")[0][0] == 0
        heir.stop()
        assert [entry.name for entry in database.parent.iterdir()] == [database.name]
        assert source.look(NOW + MINUTE).snapshot.jobs[0].totals.runs == 9

    def test_an_uncommitted_change_is_not_seen(self, database: Path, start_writer: StartWriter) -> None:
        build(database, healthy(), journal="wal")
        watched = Watched(database)
        writer = start_writer(database)
        writer.run("UPDATE scheduled_jobs SET run_count = 8")
        writer.run("BEGIN IMMEDIATE")
        writer.run("UPDATE scheduled_jobs SET run_count = 9")
        assert watched.jobs()["heartbeat"].totals.runs == 8
        writer.run("COMMIT")
        assert watched.jobs()["heartbeat"].totals.runs == 9

    def test_a_look_amid_a_rollback_journal_write_keeps_no_lock(
        self, database: Path, start_writer: StartWriter
    ) -> None:
        build(database, healthy())
        watched = Watched(database)
        writer = start_writer(database)
        for runs in range(8, 12):
            assert watched.look().snapshot.problem is None
            writer.run("BEGIN EXCLUSIVE")
            writer.run("UPDATE scheduled_jobs SET run_count = ?", runs)
            assert "is locked" in watched.reason()
            writer.run("COMMIT")
            assert watched.jobs()["heartbeat"].totals.runs == runs

    def test_a_file_without_a_log_beside_it_hides_nothing(self, database: Path) -> None:
        build(database, healthy(), journal="wal")
        assert Watched(database).look().snapshot.unseen == ()


class TestRestoredBackup:
    def rows(self, zero: bool, events: int = 5) -> dict[str, list[dict[str, object]]]:
        rows = healthy()
        tokens: dict[str, Any] = {"input_tokens": 0, "output_tokens": 0} if zero else {}
        rows["cost_events"] = [
            cost_row("id-heartbeat", f"2026-06-10 {6 + number:02}:0{0 if zero else 1}:00", **tokens)
            for number in range(events)
        ]
        return rows

    def replace(self, database: Path, backup: Path) -> None:
        backup.replace(database)

    def copy_over(self, database: Path, backup: Path) -> None:
        inode = database.stat().st_ino
        shutil.copyfile(backup, database)
        assert database.stat().st_ino == inode

    @pytest.mark.parametrize("way", ["replace", "copy_over"])
    @pytest.mark.parametrize("journal", ["delete", "wal"])
    @pytest.mark.parametrize("events", [5, 3, 0], ids=["same ids", "fewer", "none"])
    def test_nothing_of_the_old_file_is_remembered(self, way: str, journal: str, events: int, database: Path) -> None:
        build(database, self.rows(zero=True), journal=journal)
        watched = Watched(database)
        assert watched.kinds() == ["zero_tokens"]
        backup = build(database.with_name("backup.db"), self.rows(zero=False, events=events), journal=journal)
        getattr(self, way)(database, backup)
        assert watched.jobs() == Watched(database).jobs()
        assert watched.kinds() == []
        assert [end.at.minute for end in watched.jobs()["heartbeat"].recent] == [1] * events

    def test_a_backup_that_has_grown_past_the_old_end_meanwhile_is_read_from_its_begin(self, database: Path) -> None:
        build(database, self.rows(zero=True, events=3))
        watched = Watched(database)
        assert watched.kinds() == ["zero_tokens"]
        shutil.copyfile(build(database.with_name("backup.db"), self.rows(zero=False, events=6)), database)
        assert len(watched.jobs()["heartbeat"].recent) == 6
        assert watched.kinds() == []

    def test_a_backup_with_as_many_run_ends_and_the_same_rows_is_read_anew(self, database: Path) -> None:
        build(database, self.rows(zero=True, events=3))
        watched = Watched(database)
        assert watched.kinds() == ["zero_tokens"]
        change(database, "UPDATE cost_events SET input_tokens = 10, created_at = datetime(created_at, '-1 second')")
        assert watched.kinds() == []

    def test_a_table_that_was_pruned_of_its_newest_rows_is_read_anew(self, database: Path) -> None:
        build(database, self.rows(zero=True))
        watched = Watched(database)
        watched.look()
        change(database, "DELETE FROM cost_events WHERE id > 2")
        assert [end.id for end in watched.jobs()["heartbeat"].recent] == [1, 2]

    def test_a_file_that_came_and_went_is_not_taken_for_what_it_was(self, database: Path) -> None:
        build(database, self.rows(zero=True))
        watched = Watched(database)
        assert watched.kinds() == ["zero_tokens"]
        database.unlink()
        assert "is not there" in watched.reason()
        build(database, self.rows(zero=False))
        assert watched.kinds() == []


OPTIONAL_COLUMNS = sorted(
    {f"scheduled_jobs.{column}" for column in SCHEMA["scheduled_jobs"]}
    - {
        f"scheduled_jobs.{column}"
        for column in ("id", "name", "schedule_kind", "schedule_value", "status", "next_run_at")
    }
    | {f"sessions.{column}" for column in SCHEMA["sessions"]}
    | {f"scheduler_audit_log.{column}" for column in SCHEMA["scheduler_audit_log"]}
)


HIDDEN: Mapping[str, str] = {
    "sessions": "stalled",
    "cost_events": "zero_tokens",
    "scheduler_audit_log": "duplicate",
    "scheduled_jobs.last_delivery_status": "undelivered",
    "scheduled_jobs.consecutive_errors": "failing",
    "scheduled_jobs.updated_at": "expiring",
    "scheduled_jobs.delete_after_run": "swept",
}
"""What a condition cannot be judged without, and such a condition."""

AS_A_TABLE = {
    *(f"scheduler_audit_log.{column}" for column in ("job_id", "action", "created_at")),
    *(f"sessions.{column}" for column in ("session_key", "last_active_at")),
    *(f"cost_events.{column}" for column in ("session_key", "created_at", "input_tokens", "output_tokens")),
}
"""Columns without which their table tells nothing."""

NARROWING = ("last_run_at", "last_run_duration_ms", "consecutive_errors", "updated_at", "run_count", "delivery_target")


class TestOlderSchema:
    @pytest.mark.parametrize("missing", OPTIONAL_COLUMNS)
    def test_a_missing_column_narrows_what_can_be_told_and_stops_nothing(self, missing: str, database: Path) -> None:
        rows = healthy()
        rows["scheduled_jobs"].append(job_row("broken", schedule_kind="lunar"))
        watched = Watched(build(database, rows, without=[missing]))
        assert set(watched.kinds()) - {"blind"} == {"invalid"}
        assert set(watched.jobs()) == {"heartbeat", "broken"}

    @pytest.mark.parametrize(("missing", "hidden"), HIDDEN.items())
    def test_what_hides_a_condition_is_told_with_what_helps(self, missing: str, hidden: str, database: Path) -> None:
        (found,) = Watched(build(database, healthy(), without=[missing])).findings()
        assert (found.kind.value, found.severity.value, found.job_id) == ("blind", "warning", None)
        assert missing.rpartition(".")[2] in found.summary
        assert hidden in found.evidence["hidden"]  # type: ignore[operator]
        assert "newer version" in found.summary or "whole" in found.summary

    @pytest.mark.parametrize("missing", sorted(set(OPTIONAL_COLUMNS) - set(HIDDEN) - AS_A_TABLE))
    def test_what_only_narrows_is_not_told(self, missing: str, database: Path) -> None:
        assert Watched(build(database, healthy(), without=[missing])).kinds() == []

    def test_nothing_is_hidden_where_nobody_wants_to_know_it(self, database: Path) -> None:
        build(database, healthy(), without=["scheduled_jobs.last_delivery_status"])
        rules = Detect.validated({"undelivered": "off"})
        assert diagnose(Watched(database).look().snapshot, NOW, rules).findings == ()

    @pytest.mark.parametrize("missing", ["sessions", "cost_events", "scheduler_audit_log"])
    def test_a_missing_table_narrows_what_can_be_told_and_stops_nothing(self, missing: str, database: Path) -> None:
        rows = healthy()
        rows["scheduled_jobs"].append(job_row("late", next_run_at="2026-06-10T08:00:00.000Z"))
        watched = Watched(build(database, rows, without=[missing]))
        assert "overdue" in watched.kinds() or "wedged" in watched.kinds()
        assert watched.jobs()["heartbeat"].problems == ()

    @pytest.mark.parametrize("missing", ["sessions", "cost_events", "sessions.last_active_at", "sessions.session_key"])
    def test_without_sight_of_the_slot_no_stall_is_claimed(self, missing: str, database: Path) -> None:
        rows = healthy()
        rows["scheduled_jobs"] = [job_row(next_run_at="2026-06-10T08:00:00.000Z", last_run_at="2026-06-10T07:00:00Z")]
        rows["sessions"] = [session_row("id-heartbeat", "2026-06-10 07:01:00")]
        rows["cost_events"] = [cost_row("id-heartbeat", "2026-06-10 07:01:00")]
        assert "stalled" in Watched(build(database.with_name("whole.db"), rows)).kinds()
        assert Watched(build(database, rows, without=[missing])).kinds() == ["blind", "overdue"]

    @pytest.mark.parametrize("table", ["scheduled_jobs", "sessions", "scheduler_audit_log"])
    def test_a_table_without_row_numbers_is_read_as_far_as_that_goes(self, table: str, database: Path) -> None:
        rows = healthy()
        rows["scheduled_jobs"].append(job_row("broken", schedule_kind="lunar"))
        without_row_numbers(build(database, rows), table)
        watched = Watched(database)
        assert set(watched.kinds()) - {"blind"} == {"invalid"}
        assert set(watched.jobs()) == {"heartbeat", "broken"}

    def test_in_such_a_table_a_value_beyond_all_bounds_is_the_reason_why_it_cannot_be_read(
        self, database: Path
    ) -> None:
        without_row_numbers(build(database, healthy()), "scheduled_jobs")
        change(database, f"UPDATE scheduled_jobs SET last_run_error = zeroblob({sqlite_file.LONGEST_VALUE + 1})")
        assert "a value in it is larger than 16 MiB" in Watched(database).reason()

    def test_all_that_is_optional_may_be_missing_together(self, database: Path) -> None:
        tables = ["sessions", "cost_events", "scheduler_audit_log"]
        watched = Watched(build(database, healthy(), without=[*OPTIONAL_COLUMNS, *tables]))
        assert watched.kinds() == ["blind"]
        assert watched.jobs()["heartbeat"].is_planned

    def test_a_column_that_a_migration_adds_is_read_from_then_on(self, database: Path) -> None:
        build(database, healthy(), without=["scheduled_jobs.last_delivery_status"])
        watched = Watched(database)
        assert watched.kinds() == ["blind"]
        change(database, "ALTER TABLE scheduled_jobs ADD COLUMN last_delivery_status TEXT")
        change(database, "UPDATE scheduled_jobs SET last_delivery_status = 'dropped:no_channel'")
        assert watched.kinds() == ["undelivered"]

    def test_columns_that_nobody_knows_are_left_alone(self, database: Path) -> None:
        build(database, healthy())
        change(database, "ALTER TABLE scheduled_jobs ADD COLUMN novelty BLOB DEFAULT x'ff00'")
        assert Watched(database).kinds() == []


CRON = "cron"
BROKEN_SCHEDULES: Mapping[str, tuple[object, object, str]] = {
    "a kind from the future": ("lunar", '{"phase": "full"}', "schedule_kind is 'lunar'; at, every and cron are known"),
    "no kind": ("", "{}", "schedule_kind is ''"),
    "another case": ("Cron", '{"expr": "0 * * * *"}', "schedule_kind is 'Cron'"),
    "no JSON": (CRON, "0 * * * *", "schedule_value is not JSON"),
    "half a JSON": (CRON, '{"expr": "0 * *', "schedule_value is not JSON"),
    "nothing": (CRON, "", "schedule_value is not JSON"),
    "nested beyond reason": (CRON, "[" * 100_000, "schedule_value is not JSON"),
    "a list": (CRON, '["0 * * * *"]', "schedule_value is not a JSON object"),
    "a null": (CRON, "null", "schedule_value is not a JSON object"),
    "no expression": (CRON, "{}", "schedule_value has no text `expr`"),
    "a number as expression": (CRON, '{"expr": 5}', "schedule_value has no text `expr`"),
    "too few fields": (CRON, '{"expr": "0 * *"}', "field"),
    "a minute that is none": (CRON, '{"expr": "61 * * * *"}', "61"),
    "words": (CRON, '{"expr": "every day at nine"}', "cannot be read"),
    "no such zone": (CRON, '{"expr": "0 * * * *", "tz": "Mars/Olympus"}', "Mars/Olympus"),
    "a zone that is a folder": (CRON, '{"expr": "0 * * * *", "tz": "Europe"}', "Europe"),
    "a zone that climbs": (CRON, '{"expr": "0 * * * *", "tz": "../../etc/passwd"}', "time zone"),
    "a zone with a NUL": (CRON, '{"expr": "0 * * * *", "tz": "a\\u0000b"}', "time zone"),
    "an endless zone": (CRON, json.dumps({"expr": "0 * * * *", "tz": "z" * 5000}), "time zone"),
    "a zone that is a number": (CRON, '{"expr": "0 * * * *", "tz": 1}', "tz is 1, not the name of a time zone"),
    "no interval": ("every", "{}", "intervalMs is None, not a number above 0"),
    "an interval of nothing": ("every", '{"intervalMs": 0}', "intervalMs is 0, not a number above 0"),
    "a negative interval": ("every", '{"intervalMs": -5}', "intervalMs is -5"),
    "a text as interval": ("every", '{"intervalMs": "60000"}', "intervalMs is '60000'"),
    "true as interval": ("every", '{"intervalMs": true}', "intervalMs is True"),
    "not a number": ("every", '{"intervalMs": NaN}', "intervalMs is nan"),
    "an infinite interval": ("every", '{"intervalMs": 1e999}', "intervalMs is inf"),
    "an interval of ages": ("every", '{"intervalMs": 1e18}', "intervalMs is 1e+18"),
    "no instant": ("at", "{}", "schedule_value has no text `at`"),
    "an instant in words": ("at", '{"at": "tomorrow at nine"}', "tomorrow"),
    "a number as instant": ("at", '{"at": 1781084400000}', "schedule_value has no text `at`"),
    "an instant that is none": ("at", '{"at": "2026-13-45T99:00:00Z"}', "month"),
    "another kind's value": ("every", '{"expr": "0 * * * *"}', "intervalMs is None"),
}  # fmt: skip


class TestBrokenRows:
    @pytest.mark.parametrize("which", BROKEN_SCHEDULES)
    def test_a_broken_schedule_is_told_with_its_reason_and_heals(self, which: str, database: Path) -> None:
        kind, value, words = BROKEN_SCHEDULES[which]
        watched = with_row(database, schedule_kind=kind, schedule_value=value)
        told = watched.invalid()
        assert told.startswith("heartbeat cannot be read: its schedule cannot be read: ")
        assert words in told
        assert len(told) < 600
        change(
            database, "UPDATE scheduled_jobs SET schedule_kind = 'every', schedule_value = '{\"intervalMs\": 3600000}'"
        )
        assert watched.kinds() == []

    @pytest.mark.parametrize("value", ["many", "", b"\xff\x00", -1, 2.5])
    def test_what_is_neither_on_nor_off_is_told(self, value: object, database: Path) -> None:
        watched = with_row(database, enabled=value)
        assert f"enabled is {value!r}, not a number" in watched.invalid()
        change(database, "UPDATE scheduled_jobs SET enabled = 1")
        assert watched.kinds() == []

    @pytest.mark.parametrize("value", ["soon", "", "2026-06-31 10:00:00", "2026-06-10T25:00:00Z", b"\xff\x00", 17])
    def test_a_next_run_that_is_no_date_is_told(self, value: object, database: Path) -> None:
        watched = with_row(database, next_run_at=value)
        assert f"next_run_at is {value!r}, not a date" in watched.invalid()
        change(database, "UPDATE scheduled_jobs SET next_run_at = '2026-06-10 13:00:00'")
        assert "invalid" not in watched.kinds()

    @pytest.mark.parametrize("column", NARROWING)
    @pytest.mark.parametrize("value", ["many", "", "2026-06-31 10:00:00", b"\xff\x00", -1500, 2.5])
    def test_an_odd_value_that_only_narrows_the_diagnosis_is_no_fault(
        self, column: str, value: object, database: Path
    ) -> None:
        assert with_row(database, **{column: value}).kinds() == []

    def test_an_odd_value_that_only_narrows_hides_no_late_job(self, database: Path) -> None:
        watched = with_row(database, last_run_duration_ms=-1500)
        late = diagnose(watched.look().snapshot, NOW + timedelta(hours=10), Detect()).findings
        assert {found.kind.value for found in late} >= {"overdue"}

    @pytest.mark.parametrize("status", ["completed", "paused", "failed"])
    def test_a_job_that_is_not_to_run_is_not_invalid(self, status: str, database: Path) -> None:
        watched = with_row(
            database, status=status, next_run_at=None, schedule_kind="at", schedule_value='{"at": "soon"}'
        )
        assert "invalid" not in watched.kinds()

    @pytest.mark.parametrize(
        ("kind", "value", "then"),
        [
            ("lunar", "{}", "skips it on every pass"),
            ("cron", "0 * * * *", "skips it on every pass"),
            ("every", '{"intervalMs": 0}', "back to back"),
            ("every", '{"intervalMs": "60000"}', "back to back"),
            ("every", '{"every": 30000}', "back to back"),
            ("cron", '{"expr": "61 * * * *"}', "once more"),
            ("cron", '{"expr": "0 * * * *", "tz": "Mars/Olympus"}', "once more"),
        ],
    )
    def test_what_is_said_of_a_broken_row_is_what_the_scheduler_does_with_it(
        self, kind: str, value: str, then: str, database: Path
    ) -> None:
        told = with_row(database, schedule_kind=kind, schedule_value=value).invalid()
        assert then in told
        assert told.count("the scheduler") == 1

    def test_a_broken_row_hides_no_other_row(self, database: Path) -> None:
        rows = healthy()
        rows["scheduled_jobs"] += [
            job_row("broken", schedule_value="?", next_run_at="?", run_count="?", updated_at="?"),
            job_row("stranded", next_run_at=None),
        ]
        watched = Watched(build(database, rows))
        assert watched.kinds() == ["invalid", "stranded"]
        for part in ("schedule_value is not JSON", "next_run_at is '?'"):
            assert part in watched.invalid()
        assert "run_count" not in watched.invalid()  # it only narrows what can be told

    def test_a_row_of_nothing_but_nulls_is_told_and_harms_none(self, database: Path) -> None:
        rows: dict[str, list[dict[str, object]]] = {
            table: [dict.fromkeys(columns)] for table, columns in SCHEMA.items() if table != "cost_events"
        }
        rows["scheduled_jobs"].append(job_row())
        watched = Watched(build(database, rows, untyped=True))
        assert watched.invalid().startswith("(job (no id) has no name) cannot be read: its schedule cannot be read")
        assert watched.jobs()["heartbeat"].problems == ()

    def test_ids_that_are_null_or_the_same_are_told_apart(self, database: Path) -> None:
        rows = healthy()
        rows["scheduled_jobs"] = [
            job_row(name, id=id_) for name, id_ in (("a", None), ("b", None), ("c", "x"), ("d", "x"))
        ]
        watched = Watched(build(database, rows, untyped=True))
        assert [job.id for job in watched.jobs().values()] == ["(no id)", "(no id) #2", "x", "x #2"]

    def test_an_id_without_end_is_cut(self, database: Path) -> None:
        rows = healthy()
        rows["scheduled_jobs"] = [
            job_row("a", id="x" * 100_000),
            job_row("b", id="x" * 100_001),
            job_row("c", id=10**18),
        ]
        jobs = Watched(build(database, rows, untyped=True)).jobs()
        assert all(len(job.id) <= 140 for job in jobs.values())
        assert len({job.id for job in jobs.values()}) == 3

    def test_text_that_is_not_utf_8_costs_no_row(self, database: Path) -> None:
        build(database, healthy())
        change(database, "UPDATE scheduled_jobs SET name = CAST(x'ff68656172746265617420c3' AS TEXT)")
        (job,) = Watched(database).jobs().values()
        assert job.name == "\ufffdheartbeat \ufffd"
        assert job.last_end is not None

    def test_a_name_without_end_is_cut_and_on_one_line(self, database: Path) -> None:
        (job,) = with_row(database, name="evil\n\u202e" + "x" * 10**6).jobs().values()
        assert job.name.startswith("evil x")
        assert len(job.name) == 200

    def test_an_error_text_leaves_without_credentials(self, database: Path) -> None:
        watched = with_row(
            database, status="failed", last_run_error="401 invalid x-api-key: sk-ant-api03-abcdefghijklmnop"
        )
        (found,) = watched.findings()
        assert "[redacted]" in found.summary
        assert "abcdefgh" not in found.summary + str(found.evidence)

    @pytest.mark.parametrize("value", [math.inf, -math.inf, math.nan, 1e308, 2**62, "many", b"\xff", None, "", 0.5])
    def test_tokens_that_are_no_number_are_not_taken_for_zero(self, value: object, database: Path) -> None:
        rows = healthy()
        rows["cost_events"] += [
            cost_row(
                "id-heartbeat", f"2026-06-10 11:00:{second:02}", input_tokens=value, output_tokens=value, cost_usd=value
            )
            for second in range(10, 15)
        ]
        watched = Watched(build(database, rows, untyped=True))
        assert "zero_tokens" not in watched.kinds() or value == 0.5
        assert len(watched.jobs()["heartbeat"].recent) == 12

    @pytest.mark.parametrize("value", [math.inf, -math.inf, math.nan, 1e308, -1, "many", b"\xff", None])
    def test_totals_that_are_no_number_are_left_out(self, value: object, database: Path) -> None:
        rows = healthy()
        columns = ("total_cost_usd", "input_tokens", "output_tokens", "turn_count")
        rows["sessions"] = [session_row("id-heartbeat", "2026-06-10 11:01:00", **dict.fromkeys(columns, value))]
        totals = Watched(build(database, rows, untyped=True)).jobs()["heartbeat"].totals
        assert (totals.input_tokens, totals.output_tokens) == (None, None)
        assert totals.cost_usd in ((1e308,) if value == 1e308 else (None,))

    def test_run_ends_without_a_readable_date_are_left_out(self, database: Path) -> None:
        rows = healthy()
        rows["cost_events"] += [cost_row("id-heartbeat", text) for text in ("soon", "", "9")]
        rows["cost_events"] += [
            cost_row("id-heartbeat", "2026-06-10 11:00:30", created_at=value) for value in (None, 5)
        ]
        watched = Watched(build(database, rows, untyped=True))
        assert len(watched.jobs()["heartbeat"].recent) == 7


class TestWhatIsRead:
    @pytest.fixture
    def connections(self, monkeypatch: pytest.MonkeyPatch) -> list[sqlite3.Connection]:
        """Every connection that is opened from now on, with `watch` called on it first."""
        opened: list[sqlite3.Connection] = []
        connect = sqlite3.connect

        def note(address: Any, /, **options: Any) -> sqlite3.Connection:
            opened.append(connect(address, **options))
            self.watch(opened[-1])
            return opened[-1]

        monkeypatch.setattr(sqlite3, "connect", note)
        monkeypatch.setattr(sqlite_file, "_COLUMNS", {})  # as a new process
        return opened

    def watch(self, connection: sqlite3.Connection) -> None:
        connection.set_authorizer(self.authorize)
        connection.set_progress_handler(self.step, 1)
        if isinstance(connection, sqlite_file.Connection):
            connection.__dict__["set_progress_handler"] = lambda *_: None  # the reader's own would take its place

    def authorize(self, action: int, table: str | None, column: str | None, _db: str | None, _by: str | None) -> int:
        self.actions.append((action, table, column))
        return sqlite3.SQLITE_OK

    def step(self) -> int:
        self.steps += 1
        return 0

    @pytest.fixture(autouse=True)
    def nothing_noted(self) -> None:
        self.actions: list[tuple[int, str | None, str | None]] = []
        self.steps = 0

    def cost_of(self, watched: Watched) -> int:
        """Steps of SQLite's machine in one look."""
        self.steps = 0
        assert watched.look().snapshot.problem is None
        assert self.steps > 0
        return self.steps

    def test_the_prompt_is_never_read(self, database: Path, connections: list[sqlite3.Connection]) -> None:
        rows = healthy()
        rows["scheduled_jobs"].append(job_row("late", task="the prompt", next_run_at="2026-06-10T08:00:00Z"))
        build(database, rows)
        self.actions.clear()
        watched = Watched(database)
        watched.look()
        change(database, "UPDATE scheduled_jobs SET run_count = 8")
        watched.look()
        read = {(table, column) for action, table, column in self.actions if action == sqlite3.SQLITE_READ}
        assert ("scheduled_jobs", "name") in read
        assert ("scheduled_jobs", "task") not in read
        assert ("scheduled_jobs", "description") not in read
        assert ("cost_events", "model") not in read
        assert ("scheduler_audit_log", "detail") not in read

    def test_only_reading_is_asked_for(self, database: Path, connections: list[sqlite3.Connection]) -> None:
        build(database, healthy())
        self.actions.clear()
        Watched(database).look()
        allowed = {
            sqlite3.SQLITE_READ, sqlite3.SQLITE_SELECT, sqlite3.SQLITE_FUNCTION,
            sqlite3.SQLITE_PRAGMA, sqlite3.SQLITE_TRANSACTION,
        }  # fmt: skip
        assert {action for action, _, _ in self.actions} <= allowed
        asked = {name for action, name, _ in self.actions if action == sqlite3.SQLITE_PRAGMA}
        assert asked == {"table_info", "cache_size"}, "the latter says how much the connection itself may hold"

    def test_an_unchanged_file_is_not_opened(self, database: Path, connections: list[sqlite3.Connection]) -> None:
        build(database, healthy(), journal="wal")
        age(database)
        watched = Watched(database)
        watched.look()
        connections.clear()
        for _ in range(5):
            look = watched.look()
            assert not look.is_new
            assert look.seconds is None
        assert connections == []
        change(database, "UPDATE scheduled_jobs SET run_count = 8")
        connections.clear()
        assert watched.look().is_new
        assert len(connections) == 1

    def test_a_change_that_concerns_no_job_is_not_news(
        self, database: Path, connections: list[sqlite3.Connection]
    ) -> None:
        build(database, healthy())
        watched = Watched(database)
        watched.look()
        change(database, "INSERT INTO cost_events (session_key) VALUES ('slack:C1:1')")
        connections.clear()
        look = watched.look()
        assert len(connections) == 1
        assert not look.is_new
        assert look.seconds is not None

    def test_a_change_just_after_a_look_is_seen_though_the_time_stamp_may_not_move(
        self, database: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        build(database, healthy())
        stamp = database.stat().st_mtime_ns
        monkeypatch.setattr(time, "time_ns", lambda: stamp + 10**7)
        watched = Watched(database)
        watched.look()
        change(database, "UPDATE scheduled_jobs SET run_count = 8")
        os.utime(database, ns=(stamp, stamp))
        assert watched.jobs()["heartbeat"].totals.runs == 8

    def test_a_look_costs_the_same_whatever_the_cost_events(
        self, database: Path, connections: list[sqlite3.Connection]
    ) -> None:
        small, large = (self.grown(database.with_name(f"{size}.db"), size) for size in (100, 200_000))
        costs = []
        for path in (small, large):
            watched = Watched(path)
            watched.look()
            change(path, "UPDATE scheduled_jobs SET run_count = 8")
            unchanged = self.cost_of(watched)
            change(
                path,
                "INSERT INTO cost_events (session_key, created_at) VALUES (?, '2026-06-10 11:30:00')",
                "scheduler:sched:id-heartbeat",
            )
            costs.append((unchanged, self.cost_of(watched)))
        assert costs[0] == costs[1]
        assert costs[0][1] < 1500

    def grown(self, path: Path, size: int) -> Path:
        """A file with so many cost events of long ago."""
        rows = healthy()
        rows["cost_events"] = []
        build(path, rows)
        numbers = "WITH RECURSIVE n(x) AS (SELECT 1 UNION ALL SELECT x + 1 FROM n LIMIT ?)"
        old = "SELECT 'slack:C1:' || (x % 50), '2026-01-01 00:00:00' FROM n"
        change(path, f"INSERT INTO cost_events (session_key, created_at) {numbers} {old}", size)
        for hour in range(5, 12):
            values = ("scheduler:sched:id-heartbeat", f"2026-06-10 {hour:02}:01:00")
            change(path, "INSERT INTO cost_events (session_key, created_at, input_tokens) VALUES (?, ?, 9)", *values)
        return path

    def test_every_cost_event_since_the_last_look_is_counted_once(self, database: Path) -> None:
        build(database, {**healthy(), "cost_events": []})
        watched = Watched(database)
        watched.look()
        counts = []
        for number in range(12):
            for _ in range(number % 3):
                change(database, "INSERT INTO cost_events (session_key, created_at) VALUES (?, '2026-06-10 11:00:30')",
                       "scheduler:sched:id-heartbeat")  # fmt: skip
            streak = watched.jobs()["heartbeat"].zero_streak
            counts.append(streak.count if streak else 0)
        assert counts == [0, 1, 3, 3, 4, 6, 6, 7, 9, 9, 10, 12]
        assert all(before <= after for before, after in pairwise(counts))

    def test_gaps_and_unreadable_dates_do_not_mislead_the_search(self, database: Path) -> None:
        rows = healthy()
        ids = (1, 2, 900, 901, 5_000_000, 5_000_001, 10**12)
        rows["cost_events"] = [
            cost_row("id-heartbeat", f"{NOW - (len(ids) - number) * 3 * DAY:%Y-%m-%d %H:%M:%S}", id=id_)
            for number, id_ in enumerate(ids)
        ]
        rows["cost_events"] += [cost_row("id-heartbeat", "?", id=id_) for id_ in (3, 902, 5_000_002)]
        ends = Watched(build(database, rows)).jobs()["heartbeat"].recent
        assert [end.id for end in ends] == [5_000_000, 5_000_001, 10**12]


ODD_TEXT = st.one_of(
    st.text(max_size=12),
    st.sampled_from(
        ["2026-06-10 11:00:00", "2026-06-10T13:00:00.000Z", "1900-01-01 00:00:00", "2200-01-01T00:00:00Z", "failed",
         "active", "error", "dropped:x", "paused", "soon", '{"at": "2026-06-10T10:00:00Z"}', '{"intervalMs": 1}',
         '{"intervalMs": 0.0001}', '{"expr": "* * * * *"}', '{"expr": "0 0 29 2 *", "tz": "Asia/Kathmandu"}', "at",
         "every", "cron", "scheduler:sched:id-heartbeat", "scheduler:sched:", "run", "{}", "\n\u202e\u2028",
         "sk-ant-api03-abcdefghijklmnop", '"\\', "a" * 3000]
    ),
)  # fmt: skip
ODD = st.one_of(
    st.none(),
    st.integers(-(2**62), 2**62),
    st.sampled_from([0, 1, 2, 5, 9, 10, 60_000, 10**12]),
    st.floats(),
    ODD_TEXT,
    st.binary(max_size=8),
)
PLACES = [
    (table, column)
    for table, columns in SCHEMA.items()
    for column in columns
    if column not in ("task", "description", "model", "detail") and (table == "scheduled_jobs" or column != "id")
]
MUTATIONS = st.lists(st.tuples(st.sampled_from(PLACES), st.integers(0, 2), ODD), min_size=1, max_size=8)


def fuzz_rows() -> dict[str, list[dict[str, object]]]:
    """Three jobs of different kinds with sessions, run ends and a manual run."""
    names = ("heartbeat", "once", "steady")
    ids = [f"id-{name}" for name in names]
    rows: dict[str, list[dict[str, object]]] = {
        "scheduled_jobs": [
            job_row(),
            job_row("once", schedule_kind="at", schedule_value='{"at": "2026-06-10T10:00:00Z"}', status="failed"),
            job_row("steady", schedule_kind="every", schedule_value='{"intervalMs": 600000}', consecutive_errors=6),
        ],
        "sessions": [session_row(id_, "2026-06-10 11:01:00", turn_count=3) for id_ in ids],
        "cost_events": [cost_row(id_, "2026-06-10 11:00:40") for id_ in ids],
        "scheduler_audit_log": [{"job_id": id_, "action": "run", "created_at": "2026-06-01 00:00:00"} for id_ in ids],
    }
    return rows


def judged_in_full(source: PhantomSource, engine: Engine, now: datetime) -> None:
    """All that is made of a look: findings, JSON, and metrics that parse and repeat no sample."""
    snapshot = source.look(now).snapshot
    diagnose(snapshot, now, Detect())
    published = engine.tick(now).published
    json.dumps([findings_document(published, now), jobs_document(published, now)], allow_nan=False)
    assert_metrics_parse(published)


def assert_metrics_parse(published: Published) -> None:
    text = b"".join(StateText().render(published)).decode()
    samples = [
        (sample.name, tuple(sorted(sample.labels.items())))
        for family in text_string_to_metric_families(text)
        for sample in family.samples
    ]
    assert len(samples) == len(set(samples))
    assert len(samples) == sum(not line.startswith("#") for line in text.split("\n") if line)


@made_up(few=100, many=250)
@given(first=MUTATIONS, second=MUTATIONS)
def test_no_value_in_any_column_brings_it_down(first: list[Any], second: list[Any]) -> None:
    with memory_folder() as folder:
        path = Path(folder) / "agent.db"
        rows = fuzz_rows()
        engine = Engine(for_database(path))
        source = engine.sources[0]
        assert isinstance(source, PhantomSource)
        for mutations in (first, second):
            for (table, column), number, value in mutations:
                rows[table][number][column] = value
            path.unlink(missing_ok=True)
            build(path, rows, untyped=True)
            judged_in_full(source, engine, NOW)
            judged_in_full(source, engine, NOW + 400 * DAY)


PAGE = 4096
"""The first page of a file is its header and schema."""


@settings(max_examples=60, deadline=None, derandomize=True)
@given(damage=st.lists(st.tuples(st.integers(0, 40_000), st.binary(min_size=1, max_size=40)), max_size=6))
def test_no_damage_to_the_rows_brings_it_down(damage: list[tuple[int, bytes]]) -> None:
    with memory_folder() as folder:
        path = build(Path(folder) / "agent.db", fuzz_rows())
        content = bytearray(path.read_bytes())
        for place, junk in damage:
            start = PAGE + place % (len(content) - PAGE)
            content[start : start + len(junk)] = junk
        path.write_bytes(content)
        engine = Engine(for_database(path))
        source = engine.sources[0]
        assert isinstance(source, PhantomSource)
        judged_in_full(source, engine, NOW)
        build_again(path)
        assert source.look(NOW + MINUTE).snapshot.problem is None


def build_again(path: Path) -> None:
    path.unlink()
    build(path, fuzz_rows())


def test_an_empty_scheduler_is_no_trouble(database: Path) -> None:
    watched = Watched(build(database, {}))
    assert watched.kinds() == []
    snapshot: Snapshot = watched.look().snapshot
    assert snapshot.jobs == ()

"""What an SQL source cannot know of its jobs is unknown: neither "has never run", nor late, nor well by silence."""

import sqlite3
from collections.abc import Mapping
from contextlib import closing
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, TypeVar

import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.support.command import command
from tests.support.memory_folder import memory_folder
from tests.support.told_on import CHANNEL, living
from tests.support.written import written
from watchdog.cadence import classic_cron
from watchdog.cadence.schedule import fires_within, next_fire
from watchdog.cadence.zones import zone_info
from watchdog.config.file import Config
from watchdog.config.settings import Detect
from watchdog.core.instants import from_ms, to_ms
from watchdog.core.kinds import Kind
from watchdog.core.model import CronSchedule, Every, Finding, Job, Snapshot
from watchdog.detectors.diagnosis import diagnose
from watchdog.systems.shared.host import Health, Host
from watchdog.systems.sql.section import Sql
from watchdog.systems.sql.source import open_sql

NOW = datetime(2026, 6, 10, 12, 30, tzinfo=UTC)
MINUTE, HOUR, DAY = timedelta(minutes=1), timedelta(hours=1), timedelta(days=1)

T = TypeVar("T")

SCHEMA = """
CREATE TABLE jobs (id, name, cron, every, at, timezone, next_run_at, last_run_at, planned_since, running_since,
    runs_unseen, enabled DEFAULT 1);
CREATE TABLE runs (id INTEGER PRIMARY KEY, job_id, started_at, ended_at, status, error);
CREATE TABLE named (id TEXT PRIMARY KEY, job_id, written INTEGER, status);
"""

RUNS = "SELECT * FROM runs WHERE id > :after"


class Kept:
    """A memory that outlives its source."""

    def __init__(self) -> None:
        self._kept: dict[str, dict[str, Any]] = {}

    def recall(self, name: str, kind: type[T]) -> dict[str, T]:
        return dict(self._kept.get(name, {}))

    def keep(self, name: str, things: Mapping[str, object]) -> None:
        known = self._kept.setdefault(name, {})
        known.update(things)
        self._kept[name] = {key: value for key, value in known.items() if value is not None}


class Store:
    """A scheduler's file, and the source that watches it."""

    def __init__(self, path: Path, jobs: str, runs: str | None = RUNS, **more: Any) -> None:
        self.path = path
        with closing(sqlite3.connect(path)) as connection:
            connection.executescript(SCHEMA)
        self.settings = Sql.validated(
            {"kind": "sql", "database": path, "jobs": f"SELECT {jobs} FROM jobs", "runs": runs, **more}
        )
        self.told = Health()
        self._host = Host(memory=Kept(), health=lambda: self.told)
        self.restart()

    def config(self) -> Config:
        """For a service that tells."""
        section = {**written(self.settings), "name": "s"}
        return Config.validated({"sources": [section], **yaml.safe_load(CHANNEL)})

    def restart(self) -> None:
        """The watchdog begins anew, with what it kept."""
        self.source = open_sql(self.settings, self._host)

    def do(self, statement: str, *values: object) -> None:
        with closing(sqlite3.connect(self.path, isolation_level=None)) as connection:
            connection.execute(statement, values)

    def job(self, **row: object) -> None:
        self.do(f"INSERT INTO jobs ({', '.join(row)}) VALUES ({', '.join('?' * len(row))})", *row.values())

    def run(self, id_: int, job: object, started: datetime | None, ended: datetime | None, status: str = "ok") -> None:
        instants = [at.isoformat() if at else None for at in (started, ended)]
        self.do("REPLACE INTO runs VALUES (?, ?, ?, ?, ?, NULL)", id_, job, *instants, status)

    def ran(self, id_: int, job: object, at: datetime, status: str = "ok") -> None:
        self.run(id_, job, at, at + timedelta(seconds=30), status)

    def look(self, now: datetime = NOW) -> Snapshot:
        snapshot = self.source.look(now).snapshot
        assert snapshot.problem is None
        return snapshot

    def of(self, name: str, now: datetime = NOW) -> Job:
        return next(job for job in self.look(now).jobs if job.name == name)

    def found(self, now: datetime = NOW) -> tuple[Finding, ...]:
        return diagnose(self.look(now), now, Detect()).findings

    def kinds(self, now: datetime = NOW) -> set[tuple[str, str | None]]:
        return {(found.kind.value, found.job) for found in self.found(now)}


class TestWhatIsNotOwed:
    @pytest.mark.parametrize("cron", ["0 4 * * 0", "* * * * *", "0 0 1 1 *"])
    def test_planned_since_is_no_proof_that_anything_has_been_due_since(self, cron: str, tmp_path: Path) -> None:
        store = Store(tmp_path / "x.db", "id, name, cron, planned_since")
        store.job(id=1, name="new", cron=cron, planned_since="2026-05-01T00:00:00Z")
        assert store.kinds() == set()

    def test_it_is_owed_from_its_first_due_time_after_it_was_first_seen(self, tmp_path: Path) -> None:
        store = Store(tmp_path / "x.db", "id, name, cron, planned_since")
        store.job(id=1, name="hourly", cron="0 * * * *", planned_since="2026-05-01T00:00:00Z")
        assert store.kinds() == set()
        store.restart()
        assert store.kinds(NOW + 2 * HOUR) == set()
        late = store.found(NOW + 3 * HOUR)
        assert ("overdue", "hourly") in {(found.kind.value, found.job) for found in late}
        assert "never" not in " ".join(found.summary for found in late)

    def test_a_one_shot_whose_run_may_be_deleted_owes_nothing(self, tmp_path: Path) -> None:
        store = Store(tmp_path / "x.db", "id, name, at")
        store.job(id=1, name="old", at="2026-06-01T00:00:00Z")
        store.job(id=2, name="soon", at="2026-06-10T13:00:00Z")
        assert store.kinds() == set()
        assert ("overdue", "soon") in store.kinds(NOW + HOUR)
        assert ("overdue", "old") not in store.kinds(NOW + HOUR)

    def test_one_that_was_due_while_runs_were_kept_is_owed(self, tmp_path: Path) -> None:
        store = Store(tmp_path / "x.db", "id, name, at")
        store.job(id=1, name="missed", at="2026-06-10T06:00:00Z")
        store.ran(1, "another", NOW - 9 * HOUR)
        store.ran(2, "another", NOW - HOUR)
        assert store.kinds() == {("overdue", "missed")}

    def test_what_nothing_would_show_is_never_late(self, tmp_path: Path) -> None:
        store = Store(tmp_path / "x.db", "id, name, cron", None)
        store.job(id=1, name="hourly", cron="0 * * * *")
        assert store.kinds() == set()
        assert store.kinds(NOW + 9 * DAY) == set()

    def test_validate_says_so(self, tmp_path: Path) -> None:
        store = Store(tmp_path / "x.db", "id, name, cron", None)
        store.job(id=1, name="hourly", cron="0 * * * *")
        file = tmp_path / "c.yaml"
        file.write_text(f"sources: [{{kind: sql, database: {store.path}, jobs: 'SELECT id, name, cron FROM jobs'}}]")
        ended = command("validate", "-c", file)
        assert ended.returncode == 0
        assert "lateness cannot be told" in ended.stderr
        store.do("DELETE FROM jobs")
        assert (
            "its jobs query returns no row, so its columns were tried on none" in command("validate", "-c", file).stderr
        )

    def test_an_unknown_next_run_is_not_one_that_never_comes(self, tmp_path: Path) -> None:
        store = Store(tmp_path / "x.db", "id, name, cron, next_run_at")
        store.job(id=1, name="null", cron="0 * * * *", next_run_at=None)
        store.job(id=2, name="unknown", cron="0 * * * *", next_run_at="unknown")
        store.ran(1, 2, NOW - 30 * MINUTE)
        assert store.kinds() == {("stranded", "null")}
        assert store.of("unknown").next_run_at == NOW + 30 * MINUTE

    def test_runs_that_are_written_nowhere_are_told_once(self, tmp_path: Path) -> None:
        store = Store(tmp_path / "x.db", "id, name, cron, runs_unseen")
        for number in range(9):
            store.job(id=number, name=f"job {number}", cron="* * * * *", runs_unseen="the log is off")
            store.ran(number + 1, number, NOW - 9 * DAY)
        (blind,) = store.found()
        assert blind.kind is Kind.BLIND
        assert "no run of 9 jobs can be seen: the log is off" in blind.summary
        assert store.kinds(NOW + DAY) == {("blind", None)}


class TestDeletedRuns:
    @pytest.fixture
    def store(self, tmp_path: Path) -> Store:
        store = Store(tmp_path / "x.db", "id, name, cron")
        store.job(id=1, name="hourly", cron="0 * * * *")
        store.job(id=2, name="weekly", cron="0 4 * * 0")
        store.ran(1, 2, datetime(2026, 6, 7, 4, tzinfo=UTC))
        store.ran(2, 1, NOW - 30 * MINUTE)
        assert store.kinds() == set()
        return store

    def test_what_was_seen_holds(self, store: Store) -> None:
        store.do("DELETE FROM runs")
        assert store.kinds(NOW + MINUTE) == set()
        assert store.of("hourly").last_started_at == NOW - 30 * MINUTE
        assert ("overdue", "hourly") in store.kinds(NOW + 3 * HOUR)

    def test_what_was_owed_before_stays_owed(self, store: Store) -> None:
        assert ("overdue", "hourly") in store.kinds(NOW + 3 * HOUR)
        store.do("DELETE FROM runs")
        (late, *_) = [found for found in store.found(NOW + 3 * HOUR + MINUTE) if found.job == "hourly"]
        assert "has not run since 2026-06-10 12:00 UTC" in late.summary

    @pytest.mark.parametrize("continues", [True, False])
    def test_a_purge_while_nobody_looked_is_told_as_what_it_is(self, store: Store, continues: bool) -> None:
        """Whether numbers go on after it (TRUNCATE) or begin anew: what ran in between is gone."""
        store.do("DELETE FROM runs")
        if continues:
            store.ran(70, "another", NOW + 9 * HOUR)
        store.restart()
        (blind,) = store.found(NOW + 9 * HOUR + 10 * MINUTE)
        assert blind.kind is Kind.BLIND
        assert "not there any more, when 1 job was due" in blind.summary
        store.ran(71, 1, NOW + 9 * HOUR + 30 * MINUTE)
        assert store.kinds(NOW + 9 * HOUR + 40 * MINUTE) == set()

    def test_a_purge_by_age_that_hides_nothing_new_is_nothing(self, store: Store) -> None:
        store.ran(3, 1, NOW + 30 * MINUTE)
        assert store.kinds(NOW + HOUR) == set()
        store.do("DELETE FROM runs WHERE id < 3")
        store.ran(4, 1, NOW + 90 * MINUTE)
        store.restart()
        assert store.kinds(NOW + 2 * HOUR) == set()

    def test_a_run_in_flight_whose_row_goes_is_over(self, store: Store) -> None:
        store.run(3, 1, NOW, None, "running")
        store.ran(4, "another", NOW)
        assert store.of("hourly", NOW + MINUTE).in_flight_since == NOW
        store.do("DELETE FROM runs WHERE id = 3")
        assert store.of("hourly", NOW + 2 * MINUTE).in_flight_since is None

    def test_a_restored_backup_makes_nobody_late(self, store: Store) -> None:
        for number in range(3, 9):
            store.ran(number, 1, NOW + (number - 3) * HOUR + 30 * MINUTE)
        late = NOW + 6 * HOUR
        assert store.kinds(late) == set()
        store.do("DELETE FROM runs WHERE id > 4")
        assert store.kinds(late + MINUTE) == set()

    def test_a_job_that_fails_goes_on_failing(self, store: Store) -> None:
        for number in range(3, 33):
            store.ran(number, 1, NOW + number * MINUTE, "failed")
        late = NOW + 40 * MINUTE
        assert ("failing", "hourly") in store.kinds(late)
        for failures in (30, 31, 32):
            assert store.of("hourly", late).consecutive_errors == failures
            store.do("DELETE FROM runs")
            for _ in range(3):
                assert store.of("hourly", late).consecutive_errors == failures
            late += MINUTE
            store.ran(1, 1, late, "failed")
        store.ran(2, 1, late + MINUTE)
        assert store.of("hourly", late + 2 * MINUTE).consecutive_errors == 0

    def test_of_a_restored_backup_the_rows_are_believed(self, store: Store) -> None:
        for number in range(3, 9):
            store.ran(number, 1, NOW + number * MINUTE, "failed")
        assert store.of("hourly", NOW + 9 * MINUTE).consecutive_errors == 6
        store.do("DELETE FROM runs WHERE id > 4")
        assert store.of("hourly", NOW + 10 * MINUTE).consecutive_errors == 2

    def test_what_cannot_be_seen_any_more_is_not_told_as_over(self, store: Store, tmp_path: Path) -> None:
        store.settings = store.settings.but(jobs="SELECT id, name, cron, runs_unseen FROM jobs")
        with living(store.config(), tmp_path, NOW + 4 * HOUR) as service:
            service.until(NOW + 4 * HOUR + MINUTE)
            assert ("overdue", "hourly") in service.kinds
            store.do("UPDATE jobs SET runs_unseen = 'the log is off'")
            service.until(NOW + 5 * HOUR)
            assert service.kinds == {("blind", None)}
            (over,) = [message for message in service.messages if message.event == "resolved"]
            assert over.title.startswith("No longer seen: ")
            assert over.text.startswith("Whether it is over cannot be seen any more. It was: ")
            store.do("UPDATE jobs SET runs_unseen = NULL")
            store.ran(3, 1, NOW + 5 * HOUR)
            service.until(NOW + 6 * HOUR)
            assert service.kinds == set()


class TestRowsThatPoliciesMayHide:
    @pytest.fixture
    def store(self, tmp_path: Path) -> Store:
        store = Store(tmp_path / "x.db", "id, name, cron", row_security="apply")
        for number in range(1, 5):
            store.job(id=number, name=f"job {number}", cron="0 * * * *")
            store.ran(number, number, NOW - (number - 1) * DAY)
        return store

    def test_none_is_not_all_gone(self, store: Store, tmp_path: Path) -> None:
        with living(store.config(), tmp_path, NOW) as service:
            late = service.kinds
            assert ("overdue", "job 4") in late
            store.do("ALTER TABLE jobs RENAME TO hidden")
            store.do("CREATE VIEW jobs AS SELECT * FROM hidden WHERE 0")
            service.until(NOW + 10 * MINUTE)
            assert service.kinds == {("blind", None)}
            store.do("DROP VIEW jobs")
            store.do("ALTER TABLE hidden RENAME TO jobs")
            service.until(NOW + 12 * MINUTE)
            assert service.kinds == late

    def test_most_of_them_may_be_hidden(self, store: Store, tmp_path: Path) -> None:
        with living(store.config(), tmp_path, NOW) as service:
            store.do("DELETE FROM jobs WHERE id > 1")
            service.until(NOW + 10 * MINUTE)
            gone = [finding for finding in service.findings if finding.kind is Kind.VANISHED]
            assert {(finding.job, finding.severity.value) for finding in gone} == {
                ("job 2", "warning"), ("job 3", "warning"), ("job 4", "warning"),
            }  # fmt: skip
            assert "row security does not show it any more" in gone[0].summary


class TestWindow:
    def crowded(self, path: Path, runs: str) -> Store:
        store = Store(path, "id, name, cron", runs, look_back=1000)
        for number, name in enumerate(("busy", "hourly", "dead", "new"), 1):
            store.job(id=number, name=name, cron="* * * * *" if name == "busy" else "0 * * * *")
        store.ran(1, 2, NOW - 30 * MINUTE)
        store.run(2, 3, NOW - 9 * HOUR, None, "running")
        store.run(3, 3, NOW - 8 * HOUR, NOW - 8 * HOUR + MINUTE, "failed")
        store.do(
            "WITH RECURSIVE n(i) AS (SELECT 10 UNION ALL SELECT i + 1 FROM n WHERE i < 5000) "
            "INSERT INTO runs SELECT i, 1, ?, ?, 'ok', NULL FROM n",
            (NOW - MINUTE).isoformat(),
            NOW.isoformat(),
        )
        return store

    @pytest.mark.parametrize("runs", [RUNS, "SELECT * FROM runs WHERE job_id = :job_id"])
    def test_a_busy_job_hides_no_other_jobs_runs(self, runs: str, tmp_path: Path) -> None:
        store = self.crowded(tmp_path / "x.db", runs)
        assert {job for kind, job in store.kinds() if kind != "runaway"} == {"dead"}
        dead = store.of("dead")
        assert dead.last_started_at == NOW - 8 * HOUR
        assert dead.last_run is not None
        assert dead.last_run.status == "error"

    @pytest.mark.parametrize("runs", [RUNS, "SELECT * FROM runs WHERE job_id = :job_id"])
    def test_nor_how_many_of_them_failed(self, runs: str, tmp_path: Path) -> None:
        store = self.crowded(tmp_path / "x.db", runs)
        for number in range(4, 10):
            store.run(number, 2, NOW - 30 * MINUTE, NOW - 29 * MINUTE, "failed")
        assert store.of("hourly").consecutive_errors == 6
        assert store.of("dead").consecutive_errors == 1


class TestRunsThatWait:
    @pytest.mark.parametrize("waiting", [1, 19, 20, 21, 500, 1500])
    def test_they_push_out_neither_the_run_in_flight_nor_the_last_success(self, waiting: int, tmp_path: Path) -> None:
        store = Store(tmp_path / "x.db", "id, name, every", max_run=15 * MINUTE, look_back=1000)
        store.job(id=1, name="often", every="10m")
        store.ran(1, 1, NOW - 3 * HOUR)
        store.run(2, 1, NOW - 2 * HOUR, None, "running")
        values = ", ".join(f"({number}, 1, 'new')" for number in range(3, 3 + waiting))
        store.do(f"INSERT INTO runs (id, job_id, status) VALUES {values}")
        for late in (timedelta(), MINUTE):
            assert store.kinds(NOW + late) == {("wedged", "often")}
        assert store.of("often").last_run is not None
        store.run(2, 1, NOW - 2 * HOUR, NOW + 2 * MINUTE)
        assert store.of("often", NOW + 3 * MINUTE).in_flight_since is None
        store.run(3, 1, NOW + 2 * MINUTE, None, "running")
        assert store.of("often", NOW + 4 * MINUTE).in_flight_since == NOW + 2 * MINUTE

    def test_others_that_wait_are_late_under_the_run_that_goes_on_for_longest(self, tmp_path: Path) -> None:
        store = Store(tmp_path / "x.db", "id, name, every", max_run=HOUR, runs_overlap=True)
        for number, name in enumerate(("hangs", "short", "waits"), 1):
            store.job(id=number, name=name, every="10m")
        store.run(1, 1, NOW - 2 * HOUR, None, "running")
        store.run(2, 2, NOW - 2 * MINUTE, None, "running")
        store.ran(3, 3, NOW - 2 * HOUR)
        store.run(4, 3, None, None, "new")
        told = store.found()
        assert {(found.kind.value, found.job) for found in told} == {("wedged", "hangs"), ("overdue", "waits")}
        (late,) = [found for found in told if found.job == "waits"]
        assert late.caused_by is not None
        assert (late.caused_by.kind, late.caused_by.job) == ("wedged", "hangs")

    @settings(max_examples=25, deadline=None)
    @given(st.lists(st.sampled_from(["wait", "start", "end", "fail", "look"]), max_size=40))
    def test_what_is_remembered_is_what_a_first_look_would_read(self, deeds: list[str]) -> None:

        with memory_folder() as folder:
            store = Store(Path(folder) / "x.db", "id, name, every")
            store.job(id=1, name="often", every="10m")
            rows: list[str] = []
            for deed in deeds:
                self._do(deed, rows, store)
            store.look(NOW + HOUR)
            seen = store.of("often", NOW + HOUR)
            anew = Store(Path(folder) / "y.db", "id, name, every")
            anew.job(id=1, name="often", every="10m")
            for number, row in enumerate(rows, 1):
                self._write(number, row, anew)
            fresh = anew.of("often", NOW + HOUR)
            for fact in ("in_flight_since", "consecutive_errors", "last_run", "recent"):
                assert getattr(seen, fact) == getattr(fresh, fact), fact

    def _do(self, deed: str, rows: list[str], store: Store) -> None:
        """One thing that a scheduler does that starts what waits in its order, one at a time."""
        if deed == "look":
            store.look(NOW)
        elif deed == "wait":
            rows.append("new")
            self._write(len(rows), "new", store)
        elif deed == "start" and "new" in rows and "running" not in rows:
            self._change(rows.index("new"), "running", rows, store)
        elif deed in ("end", "fail") and "running" in rows:
            self._change(rows.index("running"), "ok" if deed == "end" else "failed", rows, store)

    def _change(self, at: int, status: str, rows: list[str], store: Store) -> None:
        rows[at] = status
        self._write(at + 1, status, store)

    def _write(self, number: int, status: str, store: Store) -> None:
        started = NOW - HOUR + number * MINUTE if status != "new" else None
        store.run(number, 1, started, started if status in ("ok", "failed") else None, status)


class TestNamedRuns:
    QUERY = (
        'SELECT id, written AS "order", job_id, written / 1000 AS started_at, status FROM named WHERE written > :after'
    )

    def test_runs_whose_ids_do_not_grow_are_read_by_a_number_that_does(self, tmp_path: Path) -> None:
        store = Store(tmp_path / "x.db", "id, name, cron", self.QUERY)
        store.job(id="x", name="hourly", cron="0 * * * *")
        for hour in range(6):
            for name in "ba":  # two at the same instant are two
                micros = int((NOW - hour * HOUR).timestamp() * 1_000_000)
                store.do("INSERT INTO named VALUES (?, 'x', ?, 'failed')", f"{name}{hour}", micros)
        assert store.of("hourly").consecutive_errors == 12
        store.do("INSERT INTO named VALUES ('c', 'x', ?, 'ok')", int((NOW + MINUTE).timestamp() * 1_000_000))
        assert store.of("hourly", NOW + 2 * MINUTE).consecutive_errors == 0

    def test_without_one_it_is_said_what_to_add(self, tmp_path: Path) -> None:
        store = Store(
            tmp_path / "x.db", "id, name, cron", "SELECT id, job_id, written AS started_at FROM named WHERE :after < 9"
        )
        store.do("INSERT INTO named VALUES ('c', 'x', 1, 'ok')")
        problem = store.source.look(NOW).snapshot.problem or ""
        assert "it must be a whole number that grows" in problem
        assert 'a column "order"' in problem


class TestOneAtATime:
    @pytest.fixture
    def store(self, tmp_path: Path) -> Store:
        store = Store(tmp_path / "x.db", "id, name, every, running_since", one_at_a_time=True, max_run=HOUR)
        store.job(id=1, name="hangs", every="10m", running_since="2026-06-10T11:00:00Z")
        store.job(id=2, name="late", every="10m")
        store.ran(1, 1, NOW - 3 * HOUR)
        store.ran(2, 2, NOW - 2 * HOUR)
        return store

    def test_the_run_in_flight_is_the_cause_of_the_others_lateness(self, store: Store) -> None:
        told = store.found()
        assert [(found.kind.value, found.job) for found in told] == [("wedged", "hangs"), ("overdue", "late")]
        assert told[1].caused_by is not None
        assert told[1].caused_by.job == "hangs"

    def test_a_mark_whose_run_has_ended_since_is_none(self, store: Store) -> None:
        store.run(3, 1, NOW - 90 * MINUTE, NOW - 5 * MINUTE)
        assert store.of("hangs").in_flight_since is None

    def test_a_run_ends_with_its_process(self, store: Store) -> None:
        store.look()
        store.told = Health("refused", NOW + MINUTE)
        assert ("overdue", "late") in store.kinds(NOW + MINUTE)
        hangs = store.of("hangs", NOW + MINUTE)
        assert (hangs.in_flight_since, hangs.interrupted is None) == (None, False)
        store.told = Health("refused", NOW + 4 * MINUTE)
        (stalled,) = [found for found in store.found(NOW + 4 * MINUTE) if found.kind is Kind.STALLED]
        assert "its process is down" in stalled.summary
        store.told = Health("alive", NOW + 5 * MINUTE)
        store.restart()
        assert store.of("hangs", NOW + 5 * MINUTE).in_flight_since is None
        store.do("UPDATE jobs SET running_since = '2026-06-10T12:35:10Z' WHERE id = 2")
        assert store.of("late", NOW + 6 * MINUTE).in_flight_since is not None

    def test_an_uptime_that_is_shorter_than_the_run_ends_it(self, store: Store) -> None:
        store.told = Health("alive", NOW, NOW - 10 * MINUTE)
        hangs = store.of("hangs")
        assert hangs.in_flight_since is None
        assert hangs.interrupted is not None
        assert hangs.interrupted.restarted_at == NOW - 10 * MINUTE

    def test_a_silent_address_beside_jobs_that_run_ends_nothing(self, store: Store) -> None:
        store.told = Health("refused", NOW)
        assert store.of("hangs").in_flight_since is None
        store.run(3, 2, NOW + 5 * MINUTE, NOW + 6 * MINUTE)
        store.told = Health(None, NOW + 7 * MINUTE)
        assert store.of("hangs", NOW + 7 * MINUTE).in_flight_since is not None

    def test_overlap_and_one_at_a_time_exclude_each_other(self, tmp_path: Path) -> None:
        with pytest.raises(ValueError, match="cannot both overlap"):
            Store(tmp_path / "z.db", "id", one_at_a_time=True, runs_overlap=True)


class TestWithoutRuns:
    def store(self, path: Path, **more: Any) -> Store:
        store = Store(path, "id, name, next_run_at", None, **more)
        for number in range(6):
            store.job(id=number, name=f"job {number}", next_run_at=(NOW + number * HOUR).isoformat())
        return store

    def test_several_late_ones_are_one_finding_about_the_scheduler(self, tmp_path: Path) -> None:
        store = self.store(tmp_path / "x.db")
        told = store.found(NOW + 4 * HOUR)
        assert [(found.kind, found.severity.value) for found in told if found.caused_by is None] == [
            (Kind.STALLED, "critical")
        ]
        assert "no job has moved on" in told[0].summary

    def test_a_single_one_is_late_for_itself_unless_its_scheduler_moves_on_at_once(self, tmp_path: Path) -> None:
        assert self.store(tmp_path / "x.db").kinds(NOW + 11 * MINUTE) == {("overdue", "job 0")}
        sure = self.store(tmp_path / "y.db", moves_on_at_once=True)
        assert sure.kinds(NOW + 11 * MINUTE) == {("overdue", "job 0"), ("stalled", None)}

    def test_none_is_a_stall_while_another_moves_on(self, tmp_path: Path) -> None:
        store = self.store(tmp_path / "x.db", moves_on_at_once=True)
        store.look(NOW)
        store.look(NOW + 2 * HOUR)
        store.do("UPDATE jobs SET next_run_at = ? WHERE id = 2", (NOW + 9 * HOUR).isoformat())
        store.look(NOW + 2 * HOUR + MINUTE)
        store.restart()
        assert store.kinds(NOW + 2 * HOUR + 20 * MINUTE) == {("overdue", "job 0"), ("overdue", "job 1")}

    def test_a_last_run_that_stands_tells_as_much(self, tmp_path: Path) -> None:
        store = Store(tmp_path / "x.db", "id, name, cron, last_run_at", None)
        for number in range(3):
            store.job(id=number, name=f"job {number}", cron="0 * * * *", last_run_at=(NOW - 9 * HOUR).isoformat())
        assert [found.kind for found in store.found() if found.caused_by is None] == [Kind.STALLED]
        store.do("UPDATE jobs SET last_run_at = ? WHERE id = 1", (NOW - 30 * MINUTE).isoformat())
        assert store.kinds(NOW + MINUTE) == {("overdue", "job 0"), ("overdue", "job 2")}


class TestPace:
    def test_a_job_that_runs_over_and_over_is_told(self, tmp_path: Path) -> None:
        store = Store(tmp_path / "x.db", "id, name, cron")
        store.job(id=1, name="hourly", cron="0 * * * *")
        for number in range(1, 31):
            store.ran(number, 1, NOW - (31 - number) * MINUTE)
        assert ("runaway", "hourly") in store.kinds()

    @pytest.mark.parametrize("every", ["1s", "10m", "4m"])
    def test_one_that_keeps_its_cadence_is_not(self, every: str, tmp_path: Path) -> None:
        store = Store(tmp_path / "x.db", "id, name, every", look_back=5000)
        store.job(id=1, name="often", every=every)
        length = {"1s": timedelta(seconds=1), "10m": 10 * MINUTE, "4m": 4 * MINUTE}[every]
        for number in range(1, 600):
            at = NOW - (600 - number) * length
            store.run(number, 1, at, at)
        assert store.kinds() == set()

    def test_nor_one_that_makes_up_for_a_silence(self, tmp_path: Path) -> None:
        store = Store(tmp_path / "x.db", "id, name, every")
        store.job(id=1, name="often", every="10m")
        store.ran(1, 1, NOW - 9 * HOUR)
        for number in range(2, 52):
            store.ran(number, 1, NOW - (52 - number) * timedelta(seconds=30))
        assert store.kinds() == set()

    def test_nor_one_of_which_no_cadence_is_known(self, tmp_path: Path) -> None:
        store = Store(tmp_path / "x.db", "id, name, cron")
        store.job(id=1, name="at call", cron=None)
        for number in range(1, 31):
            store.ran(number, 1, NOW - (31 - number) * MINUTE)
        assert store.kinds() == set()


class TestCronAndZones:
    @pytest.mark.parametrize(
        ("rules", "cron", "fires"),
        [
            ("classic", "*/20 * * * * *", ["12:30:20", "12:30:40"]),
            ("classic", "45 */1 * * * *", ["12:30:45", "12:31:45"]),
            ("classic", "0 0 13 ? * *", ["13:00:00"]),
            ("croner", "*/20 * * * * *", ["12:30:20", "12:30:40"]),
            ("croner", "@hourly", ["13:00:00", "14:00:00"]),
            ("croner", "@Hourly", ["13:00:00", "14:00:00"]),
            ("croner", "30 0 13,14 10 6 * 2026-2027", ["13:00:30", "14:00:30"]),
            ("croniter", "45 * * * * 7", ["12:45:07", "13:45:07"]),  # there the sixth is the second
            ("croniter", "@hourly", ["13:00:00", "14:00:00"]),
        ],
    )
    def test_six_fields_nicknames_and_years_are_read(
        self, rules: Any, cron: str, fires: list[str], tmp_path: Path
    ) -> None:
        store = Store(tmp_path / "x.db", "id, name, cron", cron=rules)
        store.job(id=1, name="job", cron=cron)
        schedule, fire = store.of("job").schedule, NOW
        for clock in fires:
            fire = next_fire(schedule, fire) or NOW
            assert fire.strftime("%H:%M:%S") == clock

    def test_croniters_own_rule_takes_either_day(self) -> None:
        after = to_ms(NOW)
        plain, bug = classic_cron.parse_as_croniter("0 9 */2 * MON"), classic_cron.parse("0 9 */2 * MON")
        assert from_ms(plain.next(after) or 0).day == 11
        assert from_ms(bug.next(after) or 0).day == 15

    @pytest.mark.parametrize("word", ["R * * * *", "H H * * *", "* * *", "61 * * * *", "@reboot"])
    def test_what_croniter_would_make_up_is_refused(self, word: str) -> None:
        with pytest.raises(ValueError, match="is not a cron expression"):
            classic_cron.parse_as_croniter(word)

    @pytest.mark.parametrize(
        ("zone", "hours"),
        [
            ("europe/berlin", 2),
            ("EUROPE/BERLIN", 2),
            ("UTC+2", -2),
            ("utc-5:30", 5.5),
            ("<+03>-3", 3),
            ("<-03>3", -3),
            ("EST5EDT,M3.2.0,M11.1.0", -4),
            ("GMT", 0),
            ("est5edt", -4),
        ],
    )
    def test_zones_are_taken_as_postgresql_takes_them(self, zone: str, hours: float, tmp_path: Path) -> None:
        assert NOW.astimezone(zone_info(zone)).utcoffset() == hours * HOUR
        store = Store(tmp_path / "x.db", "id, name, cron, timezone")
        store.job(id=1, name="job", cron="0 4 * * *", timezone=zone)
        assert store.kinds() == set()
        assert store.kinds(NOW + DAY) == set()

    def test_a_zone_that_is_none_is_one_finding_however_many_jobs_it_has(self, tmp_path: Path) -> None:
        store = Store(tmp_path / "x.db", "id, name, cron, timezone")
        for number, zone in enumerate(["Mars/Phobos"] * 7 + ["GMT+24", "Europe/Berlin"]):
            store.job(id=number, name=f"job {number}", cron="0 4 * * *", timezone=zone)
        for later in (timedelta(), 9 * DAY):
            (blind,) = [found for found in store.found(NOW + later) if found.kind is Kind.BLIND]
            assert "the time zone Mars/Phobos of 7 jobs is not known" in blind.summary
            assert "the time zone GMT+24 of 1 job is not known" in blind.summary
            late = {job for kind, job in store.kinds(NOW + later) if kind == "overdue"}
            assert late == ({"job 8"} if later else set())

    def test_fires_are_counted_between_two_instants(self) -> None:
        assert fires_within(CronSchedule("*/10 * * * *", "UTC", "classic"), NOW, NOW + 2 * HOUR) == 11
        assert fires_within(Every(10 * MINUTE), NOW, NOW + 2 * HOUR) == 12
        assert fires_within(CronSchedule("0 4 * * *", "UTC", "classic"), NOW - 400 * DAY, NOW) == 2


def test_a_run_whose_process_went_away_is_told_until_the_job_has_run_again(tmp_path: Path) -> None:
    store = Store(tmp_path / "x.db", "id, name, cron")
    store.job(id=1, name="hourly", cron="0 * * * *")
    store.ran(1, 1, NOW - 90 * MINUTE)
    store.run(2, 1, NOW - 30 * MINUTE, NOW - 30 * MINUTE, "crashed")
    (told,) = store.found()
    assert (told.kind, told.job) == (Kind.INTERRUPTED, "hourly")
    last = store.of("hourly").last_run
    assert last is not None
    assert (last.status, last.duration) == ("error", None)
    store.ran(3, 1, NOW + 30 * MINUTE)
    assert store.kinds(NOW + 40 * MINUTE) == set()

"""The forms in which stores write the same things. What is understood is right, what is not is told as not seen: an
untrue alarm is neither."""

from collections.abc import Iterator
from datetime import datetime, timedelta
from pathlib import Path

import pytest

from tests.support.postgres import Server, a_server, needs_pg_cron
from tests.systems.sql.test_sql_unknown import DAY, HOUR, MINUTE, NOW, Store
from watchdog.config.settings import Detect
from watchdog.core.fields import Secret
from watchdog.core.kinds import Kind
from watchdog.detectors.diagnosis import diagnose
from watchdog.systems.sql.section import Sql
from watchdog.systems.sql.source import open_sql

NOON = NOW - 30 * MINUTE
SECONDS = int(NOON.timestamp())

READ = [
    "2026-06-10T14:00:00+02:00", "2026-06-10 14:00:00+02", "2026-06-10T14:00:00+0200", "2026-06-10 12:00:00 UTC",
    "2026-06-10T12:00:00.000000001Z", "2026-06-10 12:00:00 +0000 UTC", "2026-06-10 14:00:00 +0200 CEST m=+0.01",
    "2026-06-10 05:00:00 -0700 -07", "20260610T120000Z", "20260610120000", 20260610120000, "2026/06/10 12:00:00",
    "Wed, 10 Jun 2026 12:00:00 GMT", "2026-06-10 12:00", "2026-06-10t12:00:00z", b"2026-06-10 12:00:00",
    "2026-06-10T14:00:00+02:00[Europe/Berlin]", SECONDS, float(SECONDS), SECONDS * 10**3, SECONDS * 10**6,
    SECONDS * 10**9, str(SECONDS), str(SECONDS * 10**3), str(SECONDS * 10**6), f"{SECONDS}.0",
]  # fmt: skip

NOT_READ = [
    "",
    "null",
    0,
    "0",
    "0001-01-01T00:00:00Z",
    "1970-01-01 00:00:00",
    "infinity",
    "9999-12-31",
    "soon",
    "2026-06-10",
]
"""The last is a day, and no instant by which an hourly job could be judged."""


class TestInstants:
    @pytest.mark.parametrize("form", READ)
    def test_each_is_noon(self, form: object, tmp_path: Path) -> None:
        store = Store(tmp_path / "x.db", "id, name, cron")
        store.job(id=1, name="hourly", cron="0 * * * *")
        store.do("INSERT INTO runs VALUES (1, 1, ?, ?, 'ok', NULL)", form, form)
        assert store.of("hourly").last_started_at == NOON
        assert store.kinds(NOW + 3 * HOUR) == {("stalled", None), ("overdue", "hourly")}
        rows = Store(tmp_path / "y.db", "id, name, cron, last_run_at, next_run_at", None)
        rows.job(id=1, name="hourly", cron="0 * * * *", last_run_at=form, next_run_at=form)
        assert (rows.of("hourly").last_started_at, rows.of("hourly").next_run_at) == (NOON, NOON)

    @pytest.mark.parametrize("form", NOT_READ)
    def test_of_runs_without_an_instant_nobody_knows_when_they_were(self, form: object, tmp_path: Path) -> None:
        store = Store(tmp_path / "x.db", "id, name, cron")
        store.job(id=1, name="hourly", cron="0 * * * *")
        for hours in range(6):
            store.do("INSERT INTO runs VALUES (?, 1, ?, ?, 'ok', NULL)", hours + 1, form, form)
            assert store.kinds(NOW + hours * HOUR) == {("blind", None)}
        assert "when 1 job ran last cannot be read" in store.found()[0].summary
        store.ran(9, 1, NOW + 6 * HOUR)
        assert store.kinds(NOW + 6 * HOUR + MINUTE) == set()

    @pytest.mark.parametrize("form", ["soon", "2026-06-10"])
    def test_nor_of_a_job_whose_own_row_does_not_say(self, form: str, tmp_path: Path) -> None:
        store = Store(tmp_path / "x.db", "id, name, cron, last_run_at", None)
        store.job(id=1, name="hourly", cron="0 * * * *", last_run_at=form)
        assert store.kinds() == store.kinds(NOW + 9 * HOUR) == {("blind", None)}


def ran_as(store: Store, word: object, *, ends: bool) -> None:
    """Six runs, the newest of which may not have ended."""
    store.job(id=1, name="hourly", cron="0 * * * *")
    for hours in range(6):
        at = NOON - (5 - hours) * HOUR
        end = (at + MINUTE).isoformat() if ends or hours < 5 else None
        store.do(
            "INSERT INTO runs VALUES (?, 1, ?, ?, ?, NULL)",
            hours + 1,
            at.isoformat(),
            end,
            word if ends or not end else "ok",
        )


class TestWords:
    @pytest.mark.parametrize(
        "word",
        ["FAILURE", "Failed (exit code 1)", "error: no such file", "killed by signal 9", "rejected", "expired",
         "not ok", "exception", "terminated", "revoked", "upstream_failed", "OOMKilled", "Timed-Out"],
    )  # fmt: skip
    def test_these_ended_badly(self, word: str, tmp_path: Path) -> None:
        store = Store(tmp_path / "x.db", "id, name, cron")
        ran_as(store, word, ends=True)
        assert store.kinds() == {("failing", "hourly")}

    @pytest.mark.parametrize("word", ["Passed", "SUCCEEDED", "done: 3 files", "partial", "error_free", None])
    def test_these_did_not(self, word: str | None, tmp_path: Path) -> None:
        store = Store(tmp_path / "x.db", "id, name, cron")
        ran_as(store, word, ends=True)
        assert store.kinds() == set()

    @pytest.mark.parametrize("ends", [True, False])
    def test_what_is_skipped_is_neither_a_success_nor_in_flight(self, ends: bool, tmp_path: Path) -> None:
        store = Store(tmp_path / "x.db", "id, name, cron", max_run=HOUR)
        ran_as(store, "SKIPPED", ends=ends)
        assert store.of("hourly").in_flight_since is None
        assert store.kinds(NOW + HOUR) == ({("skipping", "hourly")} if ends else set())

    def test_errors_in_a_row_go_on_over_what_was_skipped(self, tmp_path: Path) -> None:
        store = Store(tmp_path / "x.db", "id, name, cron")
        store.job(id=1, name="hourly", cron="0 * * * *")
        for hours in range(60):
            store.ran(hours + 1, 1, NOON - (59 - hours) * HOUR, "skipped" if hours % 2 else "failed")
        assert store.of("hourly").consecutive_errors == 30

    @pytest.mark.parametrize("word", ["pending", "queued", "Scheduled", "submitted", "new"])
    def test_what_waits_is_not_in_flight_though_it_has_an_instant(self, word: str, tmp_path: Path) -> None:
        store = Store(tmp_path / "x.db", "id, name, cron", max_run=HOUR)
        ran_as(store, word, ends=False)
        assert store.kinds(NOW + HOUR) == set()
        assert ("overdue", "hourly") in store.kinds(NOW + 3 * HOUR)

    @pytest.mark.parametrize("word", ["enabled", "Scheduled", "running", "idle", "paused", "archived"])
    def test_jobs_that_are_to_run_are_called_by_many_names(self, word: str, tmp_path: Path) -> None:
        is_on = word not in ("paused", "archived")
        store = Store(tmp_path / "x.db", "id, name, cron, timezone AS status")
        store.job(id=1, name="hourly", cron="0 * * * *", timezone=word)
        store.ran(1, 1, NOW - 9 * HOUR)
        assert (("overdue", "hourly") in store.kinds()) is is_on


class TestIds:
    @pytest.mark.parametrize("id_", [1, "1", 1.0, " 1 "])
    def test_they_are_matched_whatever_their_type(self, id_: object, tmp_path: Path) -> None:
        store = Store(tmp_path / "x.db", "id, name, cron")
        store.job(id=1, name="hourly", cron="0 * * * *")
        store.ran(1, id_, NOON)
        assert store.of("hourly").last_started_at == NOON

    def test_runs_that_are_of_no_job_are_no_silence_of_all_jobs(self, tmp_path: Path) -> None:
        store = Store(tmp_path / "x.db", "id, name, cron")
        for number in (1, 2):
            store.job(id=number, name=f"job {number}", cron="0 * * * *")
        store.kinds()
        for hours in range(1, 8):
            store.ran(hours, "job-1", NOW + hours * HOUR)
            assert store.kinds(NOW + hours * HOUR + MINUTE) == {("blind", None)}
        store.ran(9, 1, NOW + 8 * HOUR)
        store.ran(10, 2, NOW + 8 * HOUR)
        assert store.kinds(NOW + 8 * HOUR + MINUTE) == set()


@pytest.mark.parametrize(
    ("cron", "due"),
    [
        ("@every 1h30m", NOON + 90 * MINUTE),
        ("@every 45m0s", NOON + 45 * MINUTE),
        ("CRON_TZ=Asia/Tokyo 0 4 * * *", NOON.replace(hour=19)),
        ("TZ=Europe/Berlin 0 15 * * *", NOON.replace(hour=13)),
    ],
)
def test_what_go_programs_write_as_a_cron_line(cron: str, due: datetime, tmp_path: Path) -> None:
    store = Store(tmp_path / "x.db", "id, name, cron")
    store.job(id=1, name="job", cron=cron)
    store.run(1, 1, NOON, NOON)
    assert store.of("job").next_run_at == due


def test_a_history_that_keeps_one_run_a_job_tells_nothing_else(tmp_path: Path) -> None:
    store = Store(tmp_path / "x.db", "id, name, cron")
    for number, cron in enumerate(("* * * * *", "0 * * * *", "0 4 * * *")):
        store.job(id=number, name=cron, cron=cron)
    at, run = NOW, 0
    while at < NOW + DAY:
        at += MINUTE
        due = [0, *([1] if at.minute == 0 else []), *([2] if (at.hour, at.minute) == (4, 0) else [])]
        for job in due:
            run += 1
            store.ran(run, job, at)
        if at.minute % 20 == 5:
            store.do("DELETE FROM runs WHERE id NOT IN (SELECT max(id) FROM runs GROUP BY job_id)")
            assert store.kinds(at + timedelta(seconds=40)) == set()


@pytest.fixture(scope="module")
def server() -> Iterator[Server]:
    needs_pg_cron()
    with a_server() as server:
        yield server


NOON_IN_SQL = "timestamptz '2026-06-10 14:00+02'"


@pytest.mark.parametrize(
    ("instant", "ids"),
    [
        (NOON_IN_SQL, "bigint"),
        (f"({NOON_IN_SQL} AT TIME ZONE 'UTC')", "numeric(10, 2)"),
        (f"to_char({NOON_IN_SQL} AT TIME ZONE 'Asia/Tokyo', 'YYYY-MM-DD HH24:MI:SS') || '+09'", "char(20)"),
        (f"extract(epoch FROM {NOON_IN_SQL})", "uuid"),
        (f"(extract(epoch FROM {NOON_IN_SQL}) * 1000000)::bigint", "text"),
        (f"(extract(epoch FROM {NOON_IN_SQL}) * 1000)::text", "double precision"),
    ],
)
def test_the_types_that_postgresql_has(instant: str, ids: str, server: Server) -> None:
    value = "'00000000-0000-0000-0000-000000000001'" if ids == "uuid" else "1"
    server.run(["SET timezone = 'Asia/Tokyo'"])
    section = Sql(
        kind="sql",
        dsn=Secret(f"postgresql://postgres@127.0.0.1:{server.port}/postgres"),
        jobs=f"SELECT {value}::{ids} AS id, 'hourly' AS name, '0 * * * *' AS cron, 'f' = 't' AS enabled",
        runs="SELECT id, job_id, at AS started_at, at AS ended_at, status FROM (SELECT 7 AS id, "
        f"{value}::text AS job_id, {instant} AS at, 'SUCCEEDED'::char(20) AS status) r WHERE id > :after",
    )
    snapshot = open_sql(section).look(NOW).snapshot
    assert snapshot.problem is None
    (job,) = snapshot.jobs
    assert (job.last_started_at, job.enabled, job.problems) == (NOON, False, ())
    assert job.last_run is not None
    assert job.last_run.status == "ok"


def test_a_view_that_is_renamed_is_away_and_what_was_seen_holds(tmp_path: Path) -> None:
    store = Store(tmp_path / "x.db", "id, name, cron")
    store.job(id=1, name="hourly", cron="0 * * * *")
    store.ran(1, 1, NOW - 5 * HOUR)
    late = store.kinds()
    assert ("overdue", "hourly") in late
    store.do("ALTER TABLE jobs RENAME TO tasks")
    snapshot = store.source.look(NOW + MINUTE).snapshot
    assert "no such table: jobs (there are named, runs, tasks)" in (snapshot.problem or "")
    assert {found.kind for found in diagnose(snapshot, NOW + MINUTE, Detect()).findings} == {Kind.UNREACHABLE}
    store.do("ALTER TABLE tasks RENAME TO jobs")
    assert store.kinds(NOW + 2 * MINUTE) == late

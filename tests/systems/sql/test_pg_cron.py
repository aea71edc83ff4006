"""pg_cron for real: a server of the tests' own, watched through the shipped example.

pg_cron fires on the minute, which is long to wait for, but it runs `@reboot` jobs at once when it starts. So the runs
here are its own, made by restarts; only then do the jobs get the cadence that they are judged by.
"""

import re
import threading
import time
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime, timedelta
from functools import partial
from pathlib import Path

import pytest

from tests.support.command import ROOT, command, until
from tests.support.postgres import Server, a_server, needs_pg_cron
from watchdog.config.file import Config
from watchdog.config.reading import load
from watchdog.core.kinds import Kind
from watchdog.core.model import Finding, Job, Snapshot
from watchdog.detectors.diagnosis import diagnose
from watchdog.engine import Engine
from watchdog.systems.sql.section import Sql
from watchdog.systems.sql.source import SqlSource, open_sql

PASSWORD = "hunter2-and-more"

MAKE = (
    "CREATE EXTENSION pg_cron",
    f"CREATE ROLE watchdog LOGIN BYPASSRLS PASSWORD '{PASSWORD}'",
    "GRANT USAGE ON SCHEMA cron TO watchdog",
    "GRANT SELECT ON cron.job, cron.job_run_details TO watchdog",
    "CREATE TABLE held AS SELECT 1 AS x",
    "CREATE TABLE worked (at timestamptz)",
    "SELECT cron.schedule('well', '@reboot', 'INSERT INTO worked VALUES (now())')",
    "SELECT cron.schedule('fails', '@reboot', 'SELECT 1/0')",
    "SELECT cron.schedule('blocked', '@reboot', 'UPDATE held SET x = 3')",
    "SELECT cron.schedule('off', '@reboot', 'SELECT 1')",
    "SELECT cron.schedule('let go', '@reboot', 'SELECT 1')",
    "SELECT cron.schedule('at boot', '@reboot', 'SELECT 1')",
    # a prepared transaction keeps its lock over a restart
    "BEGIN",
    "UPDATE held SET x = 2",
    "PREPARE TRANSACTION 'holder'",
)

RESTARTS = 3


def runs(server: Server, job: str, status: str) -> int:
    (row,) = server.ask(
        "SELECT count(*) FROM cron.job_run_details JOIN cron.job USING (jobid) WHERE jobname = %s AND status = %s",
        job,
        status,
    )
    return int(row[0])


def have_it_run(server: Server) -> None:
    """Each restart has every job run once; the blocked one is in flight from the last restart on."""
    for count in range(1, RESTARTS + 1):
        server.restart()
        ended = partial(_have_ended, server, count)
        until(ended, f"pg_cron has run its jobs {count} times")
    until(lambda: runs(server, "blocked", "running") == 1, "the blocked job is in flight")


def _have_ended(server: Server, count: int) -> bool:
    return runs(server, "fails", "failed") == runs(server, "well", "succeeded") == count


@pytest.fixture(scope="module")
def server() -> Iterator[Server]:
    needs_pg_cron()
    with a_server() as server:
        server.run(MAKE)
        have_it_run(server)
        server.run(
            [
                "SELECT cron.alter_job(jobid, schedule := '0 * * * *') FROM cron.job WHERE jobname <> 'at boot'",
                "SELECT cron.alter_job(jobid, active := false) FROM cron.job WHERE jobname = 'off'",
            ]
        )
        yield server


def configured(server: Server, folder: Path, password: str = PASSWORD, **changes: str) -> Config:
    """The shipped example, with the server's port."""
    text = (ROOT / "config" / "pg_cron.yaml").read_text().replace(":5432", f":{server.port}")
    for old, new in changes.items():
        text = text.replace(old.replace("_", " "), new)
    file = folder / "pg_cron.yaml"
    file.write_text(text)
    return load(file, {"PG_CRON_PASSWORD": password})


def opened(config: Config) -> SqlSource:
    (settings,) = config.sources
    assert isinstance(settings, Sql)
    return open_sql(settings)


@pytest.fixture
def config(server: Server, tmp_path: Path) -> Config:
    return configured(server, tmp_path)


def findings(config: Config, later: timedelta = timedelta()) -> dict[tuple[str, str | None], Finding]:
    """What a fresh look finds, judged now or later, by kind and job."""
    now = datetime.now(UTC)
    snapshot = opened(config).look(now).snapshot
    assert snapshot.problem is None
    return {(found.kind.value, found.job): found for found in diagnose(snapshot, now + later, config.detect).findings}


def jobs(config: Config) -> Mapping[str, Job]:
    return {job.name: job for job in opened(config).look(datetime.now(UTC)).snapshot.jobs}


def test_a_job_that_fails_is_told_with_its_error(config: Config) -> None:
    found = findings(config)
    assert set(found) == {("failing", "fails")}
    failing = found["failing", "fails"]
    assert failing.evidence["consecutive_errors"] == RESTARTS
    assert "division by zero" in str(failing.evidence["last_error"])


def test_what_it_reads_is_what_pg_cron_did(config: Config) -> None:
    there = jobs(config)
    assert there["well"].consecutive_errors == 0
    assert there["well"].last_run is not None
    assert there["well"].last_run.status == "ok"
    assert there["well"].last_started_at is not None
    assert abs(datetime.now(UTC) - there["well"].last_started_at) < timedelta(minutes=5)
    assert there["blocked"].in_flight_since is not None
    assert (there["off"].state, there["well"].state) == ("disabled", "active")
    assert there["well"].created_by == "postgres"


def test_a_job_that_a_lock_blocks_is_in_flight_and_never_late(config: Config) -> None:
    assert ("long_run", "blocked") not in findings(config, timedelta(minutes=29))
    assert ("long_run", "blocked") in findings(config, timedelta(minutes=31))
    wedged = findings(config, timedelta(hours=4, minutes=1))
    assert ("wedged", "blocked") in wedged
    assert ("overdue", "blocked") not in wedged
    assert "slot" not in wedged["wedged", "blocked"].summary


def test_others_do_not_wait_for_a_run_in_flight(config: Config) -> None:
    overdue = findings(config, timedelta(hours=5))["overdue", "well"]
    assert overdue.caused_by is None
    assert "slot" not in overdue.summary


def test_jobs_that_are_off_or_run_at_boot_are_never_late(config: Config) -> None:
    told = {job for _, job in findings(config, timedelta(days=9))}
    assert "well" in told
    assert not told & {"off", "at boot"}


def test_a_job_that_is_unscheduled_is_gone_and_not_late(server: Server, config: Config) -> None:
    source = opened(config)
    before = source.look(datetime.now(UTC)).snapshot
    assert "let go" in {job.name for job in before.jobs}
    server.ask("SELECT cron.unschedule('let go')")
    later = datetime.now(UTC) + timedelta(days=3)
    after = until(lambda: _without("let go", source, later), "the next look has ended")
    assert "let go" not in {finding.job for finding in diagnose(after, later, config.detect).findings}


def _without(name: str, source: SqlSource, now: datetime) -> Snapshot | None:
    snapshot = source.look(now).snapshot
    return None if name in {job.name for job in snapshot.jobs} else snapshot


def test_its_role_may_write_nothing(server: Server, tmp_path: Path) -> None:
    server.ask("GRANT INSERT ON worked TO watchdog")
    server.ask(
        "CREATE OR REPLACE FUNCTION sneak() RETURNS bigint LANGUAGE sql AS $$ INSERT INTO worked VALUES (now()) "
        "RETURNING 1::bigint $$"
    )
    before = server.ask("SELECT count(*) FROM worked")
    config = configured(server, tmp_path, SELECT_jobid_AS_id="SELECT jobid * sneak() AS id")
    problem = opened(config).look(datetime.now(UTC)).snapshot.problem
    assert problem == "the jobs query fails: cannot execute INSERT in a read-only transaction"
    assert server.ask("SELECT count(*) FROM worked") == before


@pytest.mark.parametrize(
    ("old", "new", "told"),
    [
        ("jobid AS id,", "jobid AS idd,", "returns a column 'idd', which is not known; did you mean id?"),
        ("jobid AS id,", "jobid AS id, 1 AS id,", "returns the column id more than once"),
        ("jobid AS id,", "", "the jobs query returns no column id"),
        ("FROM cron.job\n", "FROM cron.jobs\n", 'the jobs query fails: relation "cron.jobs" does not exist'),
        ("jobid AS job_id,", "", "the runs query returns no column job_id"),
        ("runid AS id,", "'r' || runid AS id,", "the runs query"),
    ],
)
def test_validate_tries_the_queries(old: str, new: str, told: str, server: Server, tmp_path: Path) -> None:
    file = tmp_path / "wrong.yaml"
    text = (ROOT / "config" / "pg_cron.yaml").read_text().replace(":5432", f":{server.port}")
    assert old in text
    file.write_text(text.replace(old, new))
    ended = command("validate", "-c", file, PG_CRON_PASSWORD=PASSWORD)
    assert ended.returncode == 3
    assert told in ended.stderr
    line = 1 + file.read_text().split("\n").index("sources:")
    assert re.match(rf"scheduler-watchdog: {re.escape(str(file))}: line {line + 1}: sources\[0\]: ", ended.stderr)
    assert ended.stderr.count("\n") == 1


def test_the_example_is_valid_and_check_answers_at_once(server: Server, tmp_path: Path) -> None:
    configured(server, tmp_path)
    assert command("validate", "-c", tmp_path / "pg_cron.yaml", PG_CRON_PASSWORD=PASSWORD).returncode == 0
    ended = command("check", "-c", tmp_path / "pg_cron.yaml", PG_CRON_PASSWORD=PASSWORD)
    assert ended.returncode == 1
    assert "failing: fails has failed 3 times in a row" in ended.stdout


def test_a_wrong_password_is_told_and_never_shown(server: Server, tmp_path: Path) -> None:
    wrong = "swordfish-swordfish"
    config = configured(server, tmp_path, wrong)
    problem = opened(config).look(datetime.now(UTC)).snapshot.problem or ""
    assert 'password authentication failed for user "watchdog"' in problem
    assert wrong not in problem + repr(config)
    ended = command("check", "-c", tmp_path / "pg_cron.yaml", PG_CRON_PASSWORD=wrong)
    assert ended.returncode == 2
    assert wrong not in ended.stdout + ended.stderr


def test_a_query_that_takes_too_long_is_cut_off(server: Server, tmp_path: Path) -> None:
    config = configured(
        server, tmp_path, **{"deadline:_5s": "deadline: 1s", "FROM_cron.job\n": "FROM cron.job, pg_sleep(9)\n"}
    )
    problem = opened(config).look(datetime.now(UTC)).snapshot.problem or ""
    assert "1 s" in problem


def test_a_server_that_is_stopped_in_a_query_holds_up_no_tick(server: Server, tmp_path: Path) -> None:
    """Stopped, killed, and back: each is told, and no tick waits."""
    waits = {"deadline:_5s": "deadline: 4s", "FROM_cron.job\n": "FROM cron.job, pg_advisory_xact_lock_shared(7)\n"}
    engine = Engine(configured(server, tmp_path, **waits))
    now = datetime.now(UTC)
    assert engine.tick(now).published.sources[0].snapshot.problem is None
    with server.holding(7):
        now = _tick_until_reading(engine, now)
        until(lambda: _is_in_the_query(server), "the read is in its query")
        server.freeze()
    assert not _tick(engine, now, "gave no answer"), "it waited for the answer"
    told = until(lambda: _tick(engine, now, "gave no answer within 4 s"), "the stopped server is told")
    assert told[0].kind is Kind.UNREACHABLE
    until(lambda: not _readers(), "no thread is left behind")
    ended = command("check", "-c", tmp_path / "pg_cron.yaml", PG_CRON_PASSWORD=PASSWORD)
    assert (ended.returncode, ended.stderr) == (2, "")
    assert "gave no answer within 4 s" in ended.stdout
    server.crash()
    until(lambda: _tick(engine, now + timedelta(minutes=1), "cannot be reached"), "the dead server is told")
    server.start()
    back = now + timedelta(minutes=2)
    until(lambda: engine.tick(back).published.sources[0].snapshot.problem is None, "the server is told to be back")
    assert {finding.kind for finding in engine.tick(back).published.findings} <= {Kind.FAILING}
    (there,) = [job for job in engine.tick(back).published.sources[0].snapshot.jobs if job.name == "blocked"]
    assert (there.in_flight_since, there.consecutive_errors) == (None, RESTARTS)
    assert there.last_run is not None
    assert there.last_run.error == "server restarted"


def _tick_until_reading(engine: Engine, now: datetime) -> datetime:
    """Begin a read and go on while the server is still at it."""
    now += timedelta(minutes=1)
    engine.tick(now)
    assert _readers(), "it waited for the end of the read"
    return now


def _is_in_the_query(server: Server) -> bool:
    return server.ask("SELECT count(*) FROM pg_stat_activity WHERE wait_event = 'advisory'") == [(1,)]


def _tick(engine: Engine, now: datetime, reason: str) -> tuple[Finding, ...]:
    """The findings of a tick, once they give this reason; none takes as long as the deadline."""
    began = time.monotonic()
    findings = engine.tick(now).published.findings
    assert time.monotonic() - began < 4
    return findings if any(reason in finding.summary for finding in findings) else ()


def _readers() -> list[threading.Thread]:
    return [thread for thread in threading.enumerate() if thread.name == "read pg_cron"]


WIDE = "SELECT n AS id, repeat('x', {each}) AS name, 3600 AS every FROM generate_series(1, {rows}) AS n"


@pytest.mark.parametrize(("each", "rows"), [(30_000_000, 1), (100_000, 200)])
def test_what_is_too_much_to_hold_is_not_sent_and_is_told(server: Server, each: int, rows: int) -> None:
    found = open_sql(_asking(server, WIDE.format(each=each, rows=rows))).look(datetime.now(UTC)).snapshot
    assert found.problem == "the jobs query returns too much, more than 8 MiB: leave columns out, or use left()"


def test_what_fits_comes_in_the_order_of_the_query(server: Server) -> None:
    query = WIDE.format(each=10, rows=500) + " ORDER BY n DESC"
    found = open_sql(_asking(server, query)).look(datetime.now(UTC)).snapshot
    assert found.problem is None
    assert [job.id for job in found.jobs] == [str(number) for number in range(500, 0, -1)]


def _asking(server: Server, jobs: str) -> Sql:
    dsn = f"postgresql://postgres@127.0.0.1:{server.port}/postgres"
    return Sql.validated({"kind": "sql", "name": "wide", "dsn": dsn, "jobs": jobs, "deadline": "10s"})

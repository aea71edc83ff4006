"""What pg_cron's server keeps from the watchdog, for real: settings, rows, runs. None is silence, or a false alarm.

Debian's pg_cron is 1.4. That 1.5 and later show their settings to superusers only is tried with `cron.database_name`,
which 1.4 keeps from others in the same way.
"""

import subprocess
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from functools import partial
from pathlib import Path

import pytest

from tests.support.command import ROOT, command, until
from tests.support.postgres import Server, a_server, needs_pg_cron
from watchdog.config.file import Config
from watchdog.config.reading import load
from watchdog.core.kinds import Kind
from watchdog.core.model import Finding
from watchdog.engine import Engine

PASSWORD = "hunter2-and-more"

HOUR = timedelta(hours=1)


def head() -> list[str]:
    """What the head of the example has the operator type."""
    text = (ROOT / "config" / "pg_cron.yaml").read_text()
    lines = [line.removeprefix("#").strip() for line in text.splitlines() if line.startswith("#   ")]
    return [line.replace("'...'", f"'{PASSWORD}'") for line in lines if line.startswith(("CREATE ROLE", "GRANT"))]


@pytest.fixture(scope="module")
def server() -> Iterator[Server]:
    needs_pg_cron()
    with a_server() as server:
        server.run(["CREATE EXTENSION pg_cron", *head(), "CREATE ROLE other LOGIN"])
        yield server


@pytest.fixture(autouse=True)
def as_it_was(server: Server) -> Iterator[None]:
    """Each test begins without jobs and runs, with the role of the head."""
    yield
    server.run(
        [
            "TRUNCATE cron.job, cron.job_run_details",
            "ALTER ROLE watchdog BYPASSRLS",
            "GRANT pg_read_all_settings TO watchdog",
            "ALTER TABLE cron.job_run_details ENABLE ROW LEVEL SECURITY",
            "DROP POLICY IF EXISTS watchdog ON cron.job",
            "DROP POLICY IF EXISTS watchdog ON cron.job_run_details",
        ]
    )


def configured(server: Server, folder: Path, **changes: str) -> Path:
    text = (ROOT / "config" / "pg_cron.yaml").read_text().replace(":5432", f":{server.port}")
    for old, new in changes.items():
        assert old.replace("_", " ") in text or old in text
        text = text.replace(old, new).replace(old.replace("_", " "), new)
    file = folder / "pg_cron.yaml"
    file.write_text(text)
    return file


LONG_AGO = {"pg_postmaster_start_time()": "now() - interval '40 days'"}
"""The server has been up for long, so nothing is excused by its start."""


def of(file: Path) -> Config:
    return load(file, {"PG_CRON_PASSWORD": PASSWORD})


def run(verb: str, file: Path) -> subprocess.CompletedProcess[str]:
    return command(verb, "-c", file, PG_CRON_PASSWORD=PASSWORD)


def job(server: Server, name: str, schedule: str, id_: int) -> None:
    server.ask(
        "INSERT INTO cron.job (jobid, schedule, command, jobname) VALUES (%s, %s, 'SELECT 1', %s)", id_, schedule, name
    )


def runs(server: Server, id_: int, first: int, count: int, newest: datetime, apart: str) -> None:
    """So many runs of a job that ended well, the newest at an instant."""
    server.ask(
        "INSERT INTO cron.job_run_details (jobid, runid, status, start_time, end_time) "
        "SELECT %s, %s + i, 'succeeded', at, at FROM generate_series(0, %s - 1) AS i, "
        "LATERAL (SELECT %s::timestamptz - (%s - 1 - i) * %s::interval AS at) AS t",
        id_, first, count, newest, count, apart,
    )  # fmt: skip


def later(engine: Engine, at: datetime) -> tuple[Finding, ...]:
    """What the running service finds at an instant, once a read that began then has ended."""
    engine.tick(at)
    state = engine.tick(at).published.sources[0]
    until(lambda: engine.tick(at).published.sources[0].read_at == at, "the read has ended")
    assert state.snapshot.problem is None
    return engine.tick(at).published.findings


def kinds(findings: tuple[Finding, ...]) -> set[tuple[str, str | None]]:
    return {(finding.kind.value, finding.job) for finding in findings}


def test_a_setting_that_the_role_may_not_see_is_found_before_there_is_a_job(server: Server, tmp_path: Path) -> None:
    file = configured(server, tmp_path, **{"'cron.timezone'": "'cron.database_name'"})
    text = file.read_text().replace("current_setting('cron.database_name', true) AS timezone", "NULL AS timezone")
    asked = (
        file.read_text().replace("AS timezone", "AS created_by").replace("username AS created_by", "NULL AS timezone")
    )
    assert text != asked
    file.write_text(asked)
    assert run("validate", file).returncode == 0
    server.ask("REVOKE pg_read_all_settings FROM watchdog")
    ended = run("validate", file)
    assert ended.returncode == 3
    assert "the setting cron.database_name cannot be read" in ended.stderr
    assert "GRANT pg_read_all_settings TO the role" in ended.stderr
    job(server, "hourly", "0 * * * *", 1)
    ended = run("check", file)
    assert ended.returncode == 2
    assert "GRANT pg_read_all_settings TO the role" in ended.stdout
    (found,) = Engine(of(file)).tick(datetime.now(UTC)).published.findings
    assert found.kind is Kind.UNREACHABLE


def test_rows_that_row_security_hides_are_an_error_and_not_silence(server: Server, tmp_path: Path) -> None:
    file = configured(server, tmp_path)
    job(server, "hourly", "0 * * * *", 1)
    assert run("check", file).returncode == 0
    server.ask("ALTER ROLE watchdog NOBYPASSRLS")
    for verb, code in (("validate", 3), ("check", 2)):
        ended = run(verb, file)
        assert ended.returncode == code
        assert "row-level security" in ended.stdout + ended.stderr
        assert "BYPASSRLS" in ended.stdout + ended.stderr


def test_policies_that_show_it_all_are_believed_where_the_operator_says_so(server: Server, tmp_path: Path) -> None:
    file = configured(server, tmp_path, **{"# row_security": "row_security"})
    job(server, "hourly", "0 * * * *", 1)
    server.ask("ALTER ROLE watchdog NOBYPASSRLS")
    ended = run("check", file)
    assert (ended.returncode, "blind" in ended.stdout) == (1, True)
    for table in ("job", "job_run_details"):
        server.ask(f"CREATE POLICY watchdog ON cron.{table} FOR SELECT TO watchdog USING (true)")
    ended = run("check", file)
    assert (ended.returncode, "1 job is well" in ended.stdout) == (0, True)


def test_runs_that_are_not_written_are_told_and_no_job_is_late(server: Server, tmp_path: Path) -> None:
    file = configured(server, tmp_path, **LONG_AGO)
    job(server, "hourly", "0 * * * *", 1)
    job(server, "every minute", "* * * * *", 2)
    now = datetime.now(UTC)
    runs(server, 1, 1, 3, now - 30 * HOUR, "1h")
    assert ("overdue", "hourly") in kinds(Engine(of(file)).tick(now).published.findings)
    server.ask("ALTER SYSTEM SET cron.log_run = off")
    server.restart()
    try:
        assert "no run of 2 jobs can be seen: cron.log_run is off" in run("validate", file).stderr
        engine = Engine(of(file))
        for hours in (0, 1, 5, 30):
            assert kinds(later(engine, now + hours * HOUR)) == {("blind", None)}
        assert run("check", file).returncode == 1
    finally:
        server.ask("ALTER SYSTEM RESET cron.log_run")
        server.restart()


def test_a_job_that_cannot_connect_fails_and_is_no_silence(server: Server, tmp_path: Path) -> None:
    """pg_cron writes such a run without a start and without an end."""
    file = configured(server, tmp_path, **LONG_AGO)
    server.ask("SELECT cron.schedule('lost', '@reboot', 'SELECT 1')")
    server.ask("UPDATE cron.job SET database = 'nowhere' WHERE jobname = 'lost'")
    for count in range(1, 4):
        server.restart()
        until(partial(_has_failed, server, count), "it has failed again")
    server.ask("UPDATE cron.job SET schedule = '* * * * *'")
    engine, now = Engine(of(file)), datetime.now(UTC)
    for minutes in (0, 5, 50):
        assert kinds(later(engine, now + timedelta(minutes=minutes))) == {("failing", "lost"), ("blind", None)}


def _has_failed(server: Server, count: int) -> bool:
    failed = "SELECT start_time, end_time FROM cron.job_run_details WHERE return_message = 'connection failed'"
    return server.ask(failed) == [(None, None)] * count


def test_a_job_of_every_second_hides_no_other_jobs_runs(server: Server, tmp_path: Path) -> None:
    file = configured(server, tmp_path, **LONG_AGO)
    now = datetime.now(UTC)
    job(server, "each second", "1 second", 1)
    job(server, "hourly", "0 * * * *", 2)
    job(server, "dead", "0 * * * *", 3)
    job(server, "new", "0 * * * *", 4)
    runs(server, 2, 1, 3, now, "1h")
    runs(server, 3, 11, 3, now - 9 * HOUR, "1h")
    runs(server, 1, 1001, 100_000, now, "1s")
    ended = run("check", file)
    assert "each second" not in ended.stdout
    assert "overdue: dead has not run since" in ended.stdout
    assert "hourly" not in ended.stdout
    assert "new" not in ended.stdout


def test_what_was_seen_holds_after_the_runs_are_purged(server: Server, tmp_path: Path) -> None:
    file = configured(server, tmp_path, **LONG_AGO)
    now = datetime.now(UTC).replace(minute=10)
    job(server, "hourly", "0 * * * *", 1)
    job(server, "dead", "0 * * * *", 2)
    runs(server, 1, 1, 5, now - timedelta(minutes=10), "1h")
    runs(server, 2, 11, 5, now - 9 * HOUR, "1h")
    engine = Engine(of(file))
    assert kinds(later(engine, now)) == {("overdue", "dead")}
    server.ask("TRUNCATE cron.job_run_details")
    found = later(engine, now + timedelta(minutes=1))
    assert kinds(found) == {("overdue", "dead")}
    assert "never" not in " ".join(finding.summary for finding in found)
    assert kinds(Engine(of(file)).tick(now + 2 * HOUR).published.findings) == set()
    assert run("check", file).returncode == 0


def test_a_server_that_started_long_ago_owes_no_new_job_anything(server: Server, tmp_path: Path) -> None:
    file = configured(server, tmp_path, **LONG_AGO)
    for number, schedule in enumerate(("0 4 * * 0", "0 0 1 * *", "* * * * *", "@daily"), 1):
        job(server, f"made now {number}", schedule, number)
    assert run("validate", file).returncode == 0
    ended = run("check", file)
    assert (ended.returncode, "all 4 jobs are well" in ended.stdout) == (0, True)
    engine = Engine(of(file))
    now = datetime.now(UTC)
    assert kinds(later(engine, now)) == set()
    assert kinds(later(engine, now + timedelta(seconds=40))) == set()
    found = later(engine, now + timedelta(minutes=5))
    assert kinds(found) == {("overdue", "made now 3"), ("stalled", None)}
    assert "never" not in " ".join(finding.summary for finding in found)

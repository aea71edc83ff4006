"""The shipped examples for other schedulers: n8n on the rows of a real one, the others on stores of their schema."""

import gzip
import json
import sqlite3
from collections.abc import Iterator, Mapping
from contextlib import closing
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from tests.support.command import ROOT, command
from tests.support.postgres import Server, a_server, needs_pg_cron
from watchdog.config.file import Config
from watchdog.config.reading import load
from watchdog.core.model import Finding, Snapshot
from watchdog.detectors.diagnosis import diagnose
from watchdog.systems.opening import open_source
from watchdog.systems.shared.host import Health, Host

NOW = datetime(2026, 11, 25, 12, 30, tzinfo=UTC)
MINUTE, HOUR = timedelta(minutes=1), timedelta(hours=1)


def preset(name: str, place: str, there: Path | str, folder: Path) -> Path:
    text = (ROOT / "config" / f"{name}.yaml").read_text()
    assert place in text
    file = folder / f"{name}.yaml"
    file.write_text(text.replace(place, str(there)))
    return file


def looked(
    file: Path, now: datetime, host: Host | None = None, environment: Mapping[str, str] = {}
) -> tuple[Config, Snapshot]:
    config = load(file, dict(environment))
    snapshot = open_source(config.sources[0], host).look(now).snapshot
    assert snapshot.problem is None
    return config, snapshot


def found(
    file: Path, now: datetime, later: timedelta = timedelta(), environment: Mapping[str, str] = {}
) -> tuple[Finding, ...]:
    config, snapshot = looked(file, now, environment=environment)
    return diagnose(snapshot, now + later, config.detect).findings


def kinds(findings: tuple[Finding, ...]) -> set[tuple[str, str | None]]:
    return {(finding.kind.value, finding.job) for finding in findings}


def make(path: Path, script: str) -> Path:
    with closing(sqlite3.connect(path)) as connection:
        connection.executescript(script)
    return path


class TestN8n:
    """Two minutes in: two workflows fail, one hangs. Then it is killed, begun with room for one, wedged, killed."""

    RECORDED: Mapping[str, Any] = json.loads(gzip.decompress((ROOT / "tests/data/n8n.json.gz").read_bytes()))

    @pytest.fixture(params=sorted(RECORDED))
    def state(self, request: pytest.FixtureRequest) -> str:
        return str(request.param)

    def file(self, state: str, folder: Path) -> Path:
        path = folder / "database.sqlite"
        with closing(sqlite3.connect(path)) as connection:
            for table in ("scheduled_job", "workflow_entity", "execution_entity"):
                columns, *rows = self.RECORDED[state][table]
                names = ", ".join(f'"{column}"' for column in columns).replace('"id"', "id PRIMARY KEY", 1)
                connection.execute(f"CREATE TABLE {table} ({names})")
                marks = ", ".join("?" * len(columns))
                connection.executemany(f"INSERT INTO {table} VALUES ({marks})", rows)
            connection.commit()
        return preset("n8n", "/data/n8n/database.sqlite", path, folder)

    def now(self, state: str) -> datetime:
        return datetime.fromisoformat(self.RECORDED[state]["now"])

    def kinds(self, state: str, folder: Path, later: timedelta = timedelta()) -> set[tuple[str, str | None]]:
        return kinds(found(self.file(state, folder), self.now(state), later))

    def test_it_is_a_good_configuration_and_every_cron_line_is_read(self, state: str, tmp_path: Path) -> None:
        file = self.file(state, tmp_path)
        ended = command("validate", "-c", file)
        assert (ended.returncode, ended.stderr) == (0, "")
        _, snapshot = looked(file, self.now(state))
        assert not [job.problems for job in snapshot.jobs if job.problems]

    def test_a_healthy_one_shows_what_fails(self, tmp_path: Path) -> None:
        assert self.kinds("healthy", tmp_path) == {("failing", "401 each minute")}

    def test_runs_that_pile_up_are_told_by_the_oldest(self, tmp_path: Path) -> None:
        later = self.kinds("healthy", tmp_path, 9 * MINUTE)
        assert ("wedged", "hangs each minute") in later

    def test_one_that_was_killed_stands_still(self, tmp_path: Path) -> None:
        file, now = self.file("killed", tmp_path), self.now("killed")
        assert kinds(found(file, now)) == {("failing", "401 each minute")}
        (stalled,) = [finding for finding in found(file, now, 5 * MINUTE) if finding.severity.value == "critical"]
        assert stalled.kind.value == "stalled"

    def test_after_a_restart_the_broken_run_is_told(self, tmp_path: Path) -> None:
        told = found(self.file("restarted", tmp_path), self.now("restarted"))
        assert kinds(told) == {("failing", "401 each minute"), ("interrupted", "hangs each minute")}

    def test_a_wedge_is_one_cause_and_its_victims(self, tmp_path: Path) -> None:
        told = found(self.file("wedged-concurrency-limit", tmp_path), self.now("wedged-concurrency-limit"))
        late = [finding for finding in told if finding.kind.value == "overdue"]
        victims = {"401 each minute", "fails each minute", "ok each minute", "six field cron 20s"}
        assert {finding.job for finding in late} == victims
        assert {(finding.caused_by.kind, finding.caused_by.job) for finding in late if finding.caused_by} == {
            ("wedged", "hangs each minute")
        }
        assert [finding.job for finding in told if finding.kind.value in ("wedged", "stalled")] == ["hangs each minute"]

    @pytest.mark.parametrize("state", ["killed", "gateway-down"])
    def test_one_that_was_killed_is_no_wedge_without_a_health_address_either(self, state: str, tmp_path: Path) -> None:
        """It plans ahead, whatever hangs: what it has not planned in time shows that it is gone."""
        file, now = self.file(state, tmp_path), self.now(state)
        config, snapshot = looked(file, now + 5 * MINUTE)
        told = diagnose(snapshot, now + 5 * MINUTE, config.detect).findings
        (stalled,) = [finding for finding in told if finding.severity.value == "critical"]
        assert stalled.kind.value == "stalled"
        assert "it plans nothing any more: its process is down, or frozen" in stalled.summary
        assert ("interrupted", "hangs each minute") in kinds(told)

    def test_a_wedge_stays_one_for_as_long_as_it_plans_on(self, tmp_path: Path) -> None:
        file, now = self.file("wedged-concurrency-limit", tmp_path), self.now("wedged-concurrency-limit")
        self._plans_on(tmp_path, timedelta(hours=2))
        _, snapshot = looked(file, now + HOUR)
        assert snapshot.process.is_alive is None
        assert [finding.job for finding in found(file, now + HOUR) if finding.kind.value == "wedged"] == [
            "hangs each minute"
        ]

    def test_a_machine_that_slept_gets_a_minute_to_plan_anew(self, tmp_path: Path) -> None:
        file, now = self.file("healthy", tmp_path), self.now("healthy")
        source = open_source(load(file, {}).sources[0])
        assert source.look(now).snapshot.process.is_alive is None
        awake = now + 8 * HOUR
        for seconds in (0, 20, 40):
            assert source.look(awake + timedelta(seconds=seconds)).snapshot.process.is_alive is None
        assert source.look(awake + MINUTE).snapshot.process.is_alive is False
        self._plans_on(tmp_path, timedelta(hours=9))
        assert source.look(awake + 2 * MINUTE).snapshot.process.is_alive is None

    def _plans_on(self, folder: Path, by: timedelta) -> None:
        with closing(sqlite3.connect(folder / "database.sqlite")) as connection, connection:
            moved = f"+{by.total_seconds():.0f} seconds"
            connection.execute("""UPDATE scheduled_job SET "nextRunAt" = datetime("nextRunAt", ?)""", (moved,))

    @pytest.mark.parametrize("state", ["killed", "gateway-down"])
    def test_one_that_refuses_connections_is_down_and_has_no_run_in_flight(self, state: str, tmp_path: Path) -> None:
        now = self.now(state) + 5 * MINUTE
        host = Host(health=lambda: Health("refused", now))
        config, snapshot = looked(self.file(state, tmp_path), now, host)
        told = diagnose(snapshot, now + 3 * MINUTE, config.detect).findings
        (stalled,) = [finding for finding in told if finding.severity.value == "critical"]
        assert stalled.kind.value == "stalled"
        assert "its process is down: its health address refuses the connection" in stalled.summary
        (hangs,) = [job for job in snapshot.jobs if job.name == "hangs each minute"]
        assert (hangs.in_flight_since, hangs.interrupted is None) == (None, False)
        assert {finding.caused_by.kind for finding in told if finding.caused_by} == {"stalled"}


class TestN8nOnPostgres:
    """The same rows where n8n keeps them in PostgreSQL, in the types that it has there."""

    RECORDED = TestN8n.RECORDED
    SECRET: Mapping[str, str] = {"N8N_DB_PASSWORD": "hunter2-and-more"}
    TYPES: Mapping[str, str] = {
        **dict.fromkeys(("enabled", "active"), "bool"),
        **dict.fromkeys(("fireAt", "nextRunAt", "lastFiredAt", "createdAt", "orphanedAt"), "timestamptz(3)"),
        **dict.fromkeys(("startedAt", "stoppedAt"), "timestamptz(3)"),
        "intervalSeconds": "int",
    }

    @pytest.fixture(params=["timestamptz(3)", "timestamp(3)"])
    def instants(self, request: pytest.FixtureRequest) -> str:
        return str(request.param)

    def file(
        self, state: str, server: Server, folder: Path, instants: str = "timestamptz(3)", every: str = "15s"
    ) -> Path:
        statements = ["SET timezone = 'UTC'"]
        for table in ("scheduled_job", "workflow_entity", "execution_entity"):
            columns, *rows = self.RECORDED[state][table]
            types = [self._type(table, column).replace("timestamptz(3)", instants) for column in columns]
            named = ", ".join(f'"{column}" {kind}' for column, kind in zip(columns, types, strict=True))
            values = ", ".join(f"({', '.join(map(self._literal, row))})" for row in rows)
            statements += [f"DROP TABLE IF EXISTS {table}", f"CREATE TABLE {table} ({named})"]
            statements += [f"INSERT INTO {table} VALUES {values}", f"GRANT SELECT ON {table} TO watchdog"]
        server.run(statements)
        file = preset("n8n", "@db/n8n", on(server), folder)
        text = file.read_text().replace("    database: /data/n8n/database.sqlite", f"    every: {every}")
        file.write_text(text.replace("    # dsn:", "    dsn:"))
        return file

    def _literal(self, value: object) -> str:
        return "NULL" if value is None else f"'{value}'"

    def _type(self, table: str, column: str) -> str:
        is_number = column == "id" and table != "workflow_entity"
        return "int" if is_number else self.TYPES.get(column, "text")

    def now(self, state: str) -> datetime:
        return datetime.fromisoformat(self.RECORDED[state]["now"])

    def plans_on(self, server: Server, by: timedelta, where: str = "true") -> None:
        server.ask(f"""UPDATE scheduled_job SET "nextRunAt" = "nextRunAt" + %s WHERE {where}""", by)

    @pytest.mark.parametrize("state", sorted(RECORDED))
    @pytest.mark.parametrize("later", [timedelta(), 5 * MINUTE])
    def test_what_is_told_is_the_same(
        self, state: str, later: timedelta, instants: str, server: Server, tmp_path: Path
    ) -> None:
        file = self.file(state, server, tmp_path, instants)
        ended = command("validate", "-c", file, **self.SECRET)
        assert (ended.returncode, ended.stderr) == (0, "")
        at = self.now(state) + later
        config, snapshot = looked(file, at, environment=self.SECRET)
        beside = tmp_path / "sqlite"
        beside.mkdir()
        _, on_file = looked(TestN8n().file(state, beside), at)
        assert snapshot.process == on_file.process
        told = (diagnose(each, at, config.detect).findings for each in (snapshot, on_file))
        here, there = ({(f.kind, f.job, f.severity, f.summary) for f in findings} for findings in told)
        assert here == there

    def test_a_read_that_is_old_says_nothing_of_now(self, server: Server, tmp_path: Path) -> None:
        """Asked every ten minutes, a process that plans by the minute is not gone in between."""
        file, now = self.file("healthy", server, tmp_path, every="10m"), self.now("healthy")
        watch = Watch(file, self.SECRET)
        assert watch.look(now).process.is_alive is None
        for minutes in range(1, 10):
            assert watch.look(now + minutes * MINUTE, reads=False).process.is_alive is None
        self.plans_on(server, 10 * MINUTE)
        assert watch.look(now + 10 * MINUTE).process.is_alive is None
        for minutes in range(11, 20):
            watch.look(now + minutes * MINUTE, reads=False)
        assert watch.look(now + 20 * MINUTE).process.is_alive is False

    def test_one_that_plans_on_is_alive_and_one_that_does_not_is_gone(self, server: Server, tmp_path: Path) -> None:
        file, now = self.file("healthy", server, tmp_path), self.now("healthy")
        watch = Watch(file, self.SECRET)
        for minutes in range(5):
            assert watch.look(now + minutes * MINUTE).process.is_alive is None
            self.plans_on(server, MINUTE)
        gone = now + 7 * MINUTE
        assert watch.look(gone).process.is_alive is None, "it slept"
        assert watch.look(gone + MINUTE).process.is_alive is False
        self.plans_on(server, 10 * MINUTE)
        assert watch.look(gone + 2 * MINUTE).process.is_alive is None

    def test_a_row_that_nobody_plans_is_not_the_whole_process(self, server: Server, tmp_path: Path) -> None:
        file, now = self.file("healthy", server, tmp_path), self.now("healthy")
        watch = Watch(file, self.SECRET)
        for steps in range(24):
            at = now + steps * timedelta(seconds=30)
            assert watch.look(at).process.is_alive is None
            self.plans_on(server, timedelta(seconds=30), "id <> 1")
        states = [watch.look(at + seconds * timedelta(seconds=30)).process.is_alive for seconds in range(1, 6)]
        assert states[:2] == [None, None]
        assert states[-1] is False


class Watch:
    """A source that is looked at again and again."""

    def __init__(self, file: Path, environment: Mapping[str, str]) -> None:
        self._source = open_source(load(file, dict(environment)).sources[0])

    def look(self, now: datetime, *, reads: bool = True) -> Snapshot:
        """What it shows once it has read, if it is to."""
        look = self._source.look(now)
        while reads and look.seconds is None:
            look = self._source.look(now)
        assert look.snapshot.problem is None
        return look.snapshot


ZEROCLAW = """
CREATE TABLE cron_jobs (id TEXT PRIMARY KEY, expression TEXT NOT NULL, schedule TEXT, name TEXT, enabled INTEGER,
    next_run TEXT, last_run TEXT, last_status TEXT, last_output TEXT, locked_at TEXT);
CREATE TABLE cron_runs (id INTEGER PRIMARY KEY, job_id, started_at, finished_at, status, output, duration_ms);
INSERT INTO cron_jobs VALUES
  ('a', '0 6 * * *', '{"kind":"cron","expr":"0 6 * * *","tz":"Europe/Berlin"}', 'morning', 1,
   '2026-11-25T05:00:00+00:00', '2026-11-24T05:02:00+00:00', 'ok', NULL, '2026-11-25T05:00:03+00:00'),
  ('b', '', '{"kind":"every","every_ms":600000}', 'often', 1,
   '2026-11-25T05:10:00+00:00', '2026-11-25T04:59:00+00:00', 'degraded', NULL, NULL),
  ('c', '*/5 * 1,15 * MON', NULL, 'both', 1, '2026-12-01T00:00:00+00:00', NULL, NULL, NULL, NULL),
  ('d', '', '{"kind":"at","at":"2026-11-25T07:00:00Z"}', 'once', 1, '2026-11-25T07:00:00Z', NULL, NULL, NULL, NULL);
INSERT INTO cron_runs VALUES
  (1, 'a', '2026-11-24T05:00:00+00:00', '2026-11-24T05:02:00+00:00', 'ok', '', 1),
  (2, 'b', '2026-11-25T04:58:00+00:00', '2026-11-25T04:59:00+00:00', 'degraded', 'x', 1);
"""


class TestZeroclaw:
    def file(self, folder: Path) -> Path:
        return preset("zeroclaw", "~/.zeroclaw/data/cron/jobs.db", make(folder / "jobs.db", ZEROCLAW), folder)

    def test_a_locked_job_is_the_cause_of_the_others_lateness(self, tmp_path: Path) -> None:
        told = found(self.file(tmp_path), NOW)
        assert kinds(told) == {
            ("wedged", "morning"),
            ("overdue", "often"),
            ("overdue", "once"),
            ("undelivered", "often"),
        }
        causes = {finding.job: finding.caused_by for finding in told if finding.kind.value == "overdue"}
        assert {cause and cause.job for cause in causes.values()} == {"morning"}

    def test_it_is_well_while_its_run_is_short(self, tmp_path: Path) -> None:
        assert kinds(found(self.file(tmp_path), NOW.replace(hour=5, minute=15))) == {("undelivered", "often")}


WEBUI = """
CREATE TABLE automation (id TEXT PRIMARY KEY, user_id, name, data, is_active, last_run_at INTEGER, next_run_at INTEGER,
    created_at INTEGER, updated_at INTEGER);
CREATE TABLE automation_run (id TEXT PRIMARY KEY, automation_id, chat_id, status, error, created_at INTEGER);
"""


class TestOpenWebUi:
    def file(self, folder: Path) -> Path:
        def ns(at: datetime) -> int:
            return int(at.timestamp()) * 10**9

        due = NOW + 20 * MINUTE
        rows = [
            f"INSERT INTO automation VALUES ('u-{name}', 'me', '{name}', '', {on}, {ns(NOW - HOUR)}, {next_}, 0, 0);"
            for name, on, next_ in (
                ("daily", 1, ns(due)),
                ("ended", 1, "NULL"),
                ("off", 0, "NULL"),
                ("bad", 1, ns(due)),
            )
        ]
        rows += [
            f"INSERT INTO automation_run VALUES ('r-{number}', 'u-bad', '', 'error', 'key', {ns(NOW - number * HOUR)});"
            for number in range(1, 5)
        ]
        return preset(
            "open-webui", "/app/backend/data/webui.db", make(folder / "webui.db", WEBUI + "".join(rows)), folder
        )

    def test_errors_in_a_row_are_told_though_run_ids_do_not_grow(self, tmp_path: Path) -> None:
        told = found(self.file(tmp_path), NOW)
        assert kinds(told) == {("failing", "bad")}
        assert told[0].evidence["consecutive_errors"] == 4

    def test_a_next_run_that_has_passed_means_that_it_is_down(self, tmp_path: Path) -> None:
        told = found(self.file(tmp_path), NOW, 35 * MINUTE)
        assert kinds(told) == {("failing", "bad"), ("stalled", None), ("overdue", "daily"), ("overdue", "bad")}
        assert {finding.caused_by.kind for finding in told if finding.caused_by} == {"stalled"}


IRONCLAW = """
CREATE TABLE trigger_records (trigger_id TEXT, tenant_id TEXT, creator_user_id TEXT, name TEXT, source TEXT,
    schedule_expression TEXT, schedule_kind TEXT,
    schedule_timezone TEXT, state TEXT, next_run_at TEXT,
    last_run_at TEXT, last_status TEXT, active_fire_slot TEXT, active_run_ref TEXT, created_at TEXT,
    PRIMARY KEY (tenant_id, trigger_id));
CREATE TABLE trigger_run_history (tenant_id TEXT, trigger_id TEXT, fire_slot TEXT, run_id TEXT, thread_id TEXT,
    status TEXT, submitted_at TEXT, completed_at TEXT, PRIMARY KEY (tenant_id, trigger_id, fire_slot));
INSERT INTO trigger_records VALUES
  ('01A', 't', 'me', 'well', 's', '0 0 * * * *', 'cron', 'UTC', 'scheduled', '2026-11-25T13:00:00Z',
   '2026-11-25T12:00:00Z', 'ok', NULL, NULL, '2026-10-01T00:00:00Z'),
  ('01B', 't', 'me', 'blocked', 's', '0 * * * *', 'cron', 'UTC', 'scheduled', '2026-11-22T10:00:00Z',
   '2026-11-22T09:00:00Z', 'ok', '2026-11-22T09:00:00Z', 'run', '2026-10-01T00:00:00Z'),
  ('01C', 't', 'me', 'weekday and year', 's', '0 0 9 * * MON *', 'cron', 'UTC', 'scheduled', '2026-11-30T09:00:00Z',
   NULL, NULL, NULL, NULL, '2026-10-01T00:00:00Z'),
  ('01D', 't', 'me', 'off', 's', '0 0 9 * * *', 'cron', 'UTC', 'paused', '2026-10-02T09:00:00Z', NULL, NULL, NULL, NULL,
   '2026-10-01T00:00:00Z');
INSERT INTO trigger_run_history VALUES
  ('t', '01A', '2026-11-25T12:00:00Z', 'x', 'y', 'ok', '2026-11-25T12:00:01Z', '2026-11-25T12:00:30Z'),
  ('t', '01B', '2026-11-22T09:00:00Z', 'x', 'y', 'running', '2026-11-22T09:00:01Z', NULL);
"""


def test_ironclaws_trigger_that_never_fires_again_is_wedged(tmp_path: Path) -> None:
    store = make(tmp_path / "local.db", IRONCLAW)
    file = preset("ironclaw", "~/.ironclaw/reborn/local.db", store, tmp_path)
    assert command("validate", "-c", file).returncode == 0
    assert kinds(found(file, NOW)) == {("wedged", "blocked")}


@pytest.fixture(scope="module")
def server() -> Iterator[Server]:
    needs_pg_cron()
    with a_server() as server:
        server.ask("CREATE ROLE watchdog LOGIN PASSWORD 'hunter2-and-more'")
        yield server


def on(server: Server) -> str:
    return f"@127.0.0.1:{server.port}/postgres"


DIFY = """
CREATE TABLE apps (id uuid PRIMARY KEY, name text);
CREATE TABLE app_triggers (app_id uuid, node_id text, status text);
CREATE TABLE workflow_schedule_plans (id uuid, app_id uuid, node_id text, cron_expression text, timezone text,
    next_run_at timestamp, created_at timestamp, updated_at timestamp);
CREATE TABLE workflow_trigger_logs (id uuid DEFAULT gen_random_uuid(), app_id uuid, trigger_type text, status text,
    error text, created_at timestamp, triggered_at timestamp, finished_at timestamp);
INSERT INTO apps SELECT ('00000000-0000-0000-0000-00000000000' || i)::uuid, 'app ' || i FROM generate_series(1, 3) i;
INSERT INTO app_triggers SELECT id, 'n', CASE name WHEN 'app 3' THEN 'disabled' ELSE 'enabled' END FROM apps;
INSERT INTO workflow_schedule_plans SELECT id, id, 'n', '0 * * * *', 'Asia/Tokyo', '2026-11-25 13:00', '2026-10-01',
    '2026-10-01' FROM apps;
INSERT INTO workflow_trigger_logs (app_id, trigger_type, status, error, created_at, triggered_at, finished_at)
    SELECT a.id, 'trigger-schedule', CASE name WHEN 'app 2' THEN 'failed' ELSE 'succeeded' END, NULL, t, t, t
    FROM apps a, generate_series('2026-11-25 08:00'::timestamp, '2026-11-25 12:00', '1 hour') t;
"""


def test_dify(server: Server, tmp_path: Path) -> None:
    server.run([statement for statement in DIFY.split(";") if statement.strip()])
    server.ask("GRANT SELECT ON workflow_schedule_plans, app_triggers, apps, workflow_trigger_logs TO watchdog")
    file = preset("dify", "@db:5432/dify", on(server), tmp_path)
    secret = {"DIFY_DB_PASSWORD": "hunter2-and-more"}
    assert command("validate", "-c", file, **secret).returncode == 0
    assert kinds(found(file, NOW, environment=secret)) == {("failing", "app 2")}
    later = kinds(found(file, NOW, 4 * HOUR, secret))
    assert later == {("failing", "app 2"), ("stalled", None), ("overdue", "app 1"), ("overdue", "app 2")}


BEAT = """
CREATE TABLE django_celery_beat_crontabschedule (id int, minute text, hour text, day_of_month text, month_of_year text,
    day_of_week text, timezone text);
CREATE TABLE django_celery_beat_intervalschedule (id int, every int, period text);
CREATE TABLE django_celery_beat_clockedschedule (id int, clocked_time timestamptz);
CREATE TABLE django_celery_beat_periodictask (id int, name text, enabled bool, expires timestamptz,
    start_time timestamptz, last_run_at timestamptz, date_changed timestamptz, crontab_id int, interval_id int,
    clocked_id int);
INSERT INTO django_celery_beat_crontabschedule VALUES (1, '0', '*', '*', '*', '*', 'UTC'),
    (2, '*/5', '*', '1', '*', '1', 'UTC'), (3, '0, 30', '6', '*', '*', '1-5', 'Europe/Berlin');
INSERT INTO django_celery_beat_intervalschedule VALUES (1, 5, 'minutes'), (2, 20, 'microseconds');
INSERT INTO django_celery_beat_periodictask VALUES
    (1, 'hourly', true, NULL, NULL, '2026-11-25 12:00Z', '2026-11-25 12:02Z', 1, NULL, NULL),
    (2, 'both days', true, NULL, NULL, '2026-11-01 12:00Z', '2026-11-01 12:02Z', 2, NULL, NULL),
    (3, 'weekdays', true, NULL, NULL, '2026-11-25 05:30Z', '2026-11-25 05:32Z', 3, NULL, NULL),
    (4, 'often', true, NULL, NULL, '2026-11-25 12:28Z', '2026-11-25 12:29Z', NULL, 1, NULL),
    (5, 'over', true, '2020-01-01Z', NULL, '2019-11-25 12:28Z', '2019-11-25 12:29Z', NULL, 1, NULL),
    (6, 'tiny', true, NULL, NULL, '2026-11-25 12:28Z', '2026-11-25 12:29Z', NULL, 2, NULL);
"""


def test_django_celery_beat(server: Server, tmp_path: Path) -> None:
    server.run([statement for statement in BEAT.split(";") if statement.strip()])
    server.ask("GRANT SELECT ON ALL TABLES IN SCHEMA public TO watchdog")
    file = preset("django-celery-beat", "@db:5432/django", on(server), tmp_path)
    secret = {"DJANGO_DB_PASSWORD": "hunter2-and-more"}
    assert command("validate", "-c", file, **secret).returncode == 0
    assert found(file, NOW, environment=secret) == ()
    told = found(file, NOW, 4 * HOUR, secret)
    assert kinds(told) == {("stalled", None), ("overdue", "hourly"), ("overdue", "often")}
    assert {finding.caused_by.kind for finding in told if finding.caused_by} == {"stalled"}

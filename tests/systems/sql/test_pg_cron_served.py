"""The running service beside a real pg_cron: what `validate`, `check` and the service say of what its server hides, and
of what changes under it. Told once, over when it is over, and nothing critical that is not true."""

import json
import re
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from functools import partial
from pathlib import Path

import pytest

from tests.support.command import Running, running, until
from tests.support.postgres import Server
from tests.support.told import Inbox, inbox
from tests.systems.sql.test_pg_cron_hidden import (
    LONG_AGO,
    PASSWORD,
    as_it_was,
    configured,
    job,
    run,
    runs,
    server,
)

__all__ = ["as_it_was", "server"]

pytestmark = pytest.mark.slow

HOUR, DAY = timedelta(hours=1), timedelta(days=1)

Found = set[tuple[str, str | None]]
STANDS: Found = {("unreachable", None)}

SERVED = """
state: {folder}/state.db
poll: 100ms
http: {{listen: "127.0.0.1:PORT"}}
channels: {{ops: "json://127.0.0.1:{port}/ops"}}
notify: {{group_wait: 0s, hold: 0s}}
"""


class Service:
    """The service that runs, what it finds, and what it has told so far."""

    def __init__(self, running: Running, post: Inbox) -> None:
        self._running = running
        self._post = post

    @property
    def found(self) -> Found:
        """Kind and job of each finding now."""
        return set(self._running.findings())

    @property
    def said(self) -> str:
        """The findings in words."""
        return " ".join(each["summary"] for each in json.loads(self._running.get("/api/v1/findings")[1])["findings"])

    @property
    def critical(self) -> set[str]:
        """The kinds that were ever found as critical."""
        lines = [line for line in self._running.log() if line.get("action") == "found"]
        return {str(line["kind"]) for line in lines if line.get("severity") == "critical"}

    @property
    def jobs(self) -> set[str]:
        """The names of the jobs that it knows."""
        return set(re.findall(r'watchdog_job_info\{[^}]*job="([^"]*)"', self._running.get("/metrics")[1]))

    @property
    def titles(self) -> list[str]:
        """What was told."""
        return [str(body["title"]) for _, body in list(self._post.posts)]

    def goes_on(self) -> Found:
        """What is found after some more reads, each of which found just that."""
        self._reads()
        before = self.found
        self._reads()
        assert self.found == before
        return before

    def _reads(self) -> None:
        """Wait until it has begun to read, and has ended, since."""
        reads = self._read
        until(lambda: self._read >= reads + 2, "it has read again")

    @property
    def _read(self) -> float:
        return sum(self._running.metric("watchdog_source_read_duration_seconds_count").values())

    def comes_to(self, found: Found) -> None:
        """Wait until just this is found."""
        until(lambda: self.found == found, f"it finds {found}, not {self.found}")

    def has_told(self, *titles: str) -> None:
        """Wait until so much was told, in this order and nothing else; of each title a part is given."""
        until(lambda: len(self.titles) >= len(titles), f"{len(titles)} messages have come, not {self.titles}")
        assert len(self.titles) == len(titles), self.titles
        assert all(part in title for part, title in zip(titles, self.titles, strict=True)), self.titles


@contextmanager
def serving(file: Path) -> Iterator[Service]:
    """The service with this configuration."""
    with inbox() as post:
        config = file.with_name("watchdog.yaml")
        text = file.read_text().replace("every: 15s", "every: 1s")
        config.write_text(text + SERVED.format(folder=file.parent, port=post.port))
        with running(file.parent, PG_CRON_PASSWORD=PASSWORD) as alive:
            service = Service(alive, post)
            until(lambda: alive.get("/readyz")[0] == 200 or service.found, "it has looked")
            yield service


def daily(now: datetime, ago: timedelta) -> str:
    """The cron line of a day's job that was due so long ago."""
    at = now - ago
    return f"{at.minute} {at.hour} * * *"


def due(now: datetime, ago: timedelta) -> datetime:
    """When that was."""
    return (now - ago).replace(second=0, microsecond=0)


@pytest.fixture
def now() -> datetime:
    return datetime.now(UTC)


@pytest.fixture
def three(server: Server, now: datetime) -> None:
    """A job that is well, one that has not run for days, and one that fails."""
    for number, (name, last) in enumerate((("well", 0), ("dead", 5)), 1):
        job(server, name, daily(now, 3 * HOUR), number)
        runs(server, number, 10 * number, 4, due(now, 3 * HOUR) - last * DAY, "1 day")
    job(server, "fails", daily(now, 2 * HOUR), 3)
    runs(server, 3, 30, 4, due(now, 2 * HOUR), "1 day")
    server.ask("UPDATE cron.job_run_details SET status = 'failed', return_message = 'ERROR: no' WHERE jobid = 3")


LATE: Found = {("overdue", "dead"), ("failing", "fails")}


def says(file: Path) -> tuple[int, int]:
    """The exit codes of `validate` and `check`."""
    return run("validate", file).returncode, run("check", file).returncode


OPENED = ("dead is overdue", "fails keeps failing")
AWAY = ("CRITICAL: pg_cron cannot be read", "Over: pg_cron cannot be read")


class TestPermissions:
    @pytest.fixture
    def file(self, server: Server, tmp_path: Path, three: None) -> Path:
        return configured(server, tmp_path, **LONG_AGO)

    @pytest.mark.parametrize(
        ("taken", "given", "why"),
        [
            (
                "REVOKE pg_read_all_settings FROM watchdog",
                "GRANT pg_read_all_settings TO watchdog",
                "GRANT pg_read_all",
            ),
            ("ALTER ROLE watchdog NOBYPASSRLS", "ALTER ROLE watchdog BYPASSRLS", "row-level security"),
            (
                "REVOKE SELECT ON cron.job FROM watchdog, PUBLIC",
                "GRANT SELECT ON cron.job TO watchdog, PUBLIC",
                "the jobs query fails: permission denied for table job",
            ),
            (
                "REVOKE SELECT ON cron.job_run_details FROM watchdog, PUBLIC",
                "GRANT SELECT ON cron.job_run_details TO watchdog, PUBLIC",
                "the runs query fails: permission denied for table job_run_details",
            ),
            ("REVOKE USAGE ON SCHEMA cron FROM watchdog", "GRANT USAGE ON SCHEMA cron TO watchdog", "schema cron"),
        ],
    )
    def test_what_is_taken_away_and_given_back(
        self, taken: str, given: str, why: str, server: Server, file: Path
    ) -> None:
        # 1.4 has no cron.timezone; this one it shows to superusers only, as 1.5 does with all of its settings
        hidden = "nullif(current_setting('cron.database_name', true), 'postgres') AS timezone"
        file.write_text(file.read_text().replace("current_setting('cron.timezone', true) AS timezone", hidden))
        assert says(file) == (0, 1)
        with serving(file) as service:
            service.comes_to(LATE)
            service.has_told(*OPENED)
            server.ask(taken)
            service.comes_to(STANDS)
            assert why in service.said
            assert says(file) == (3, 2)
            server.ask(given)
            service.comes_to(LATE)
            assert service.goes_on() == LATE
            service.has_told(*OPENED, *AWAY)
            assert service.critical == {"unreachable"}


class TestPolicies:
    @pytest.fixture
    def file(self, server: Server, tmp_path: Path, three: None) -> Path:
        server.ask("ALTER ROLE watchdog NOBYPASSRLS")
        self.show(server, "job")
        self.show(server, "job_run_details")
        return configured(server, tmp_path, **LONG_AGO, **{"# row_security": "row_security"})

    def show(self, server: Server, table: str) -> None:
        server.ask(f"CREATE POLICY watchdog ON cron.{table} FOR SELECT TO watchdog USING (true)")

    def test_jobs_that_a_policy_hides_are_not_gone_nor_well(self, server: Server, file: Path) -> None:
        with serving(file) as service:
            service.comes_to(LATE)
            service.has_told(*OPENED)
            server.ask("DROP POLICY watchdog ON cron.job")
            service.comes_to({("blind", None)})
            assert service.goes_on() == {("blind", None)}
            assert says(file) == (0, 1)
            self.show(server, "job")
            service.comes_to(LATE)
            assert service.goes_on() == LATE
            assert service.critical == set()
            unseen = ("No longer seen: dead is overdue", "No longer seen: fails keeps failing")
            back = ("Back again, WARNING: dead is overdue", "Back again, WARNING: fails keeps failing")
            service.has_told(*OPENED, *unseen, "pg_cron shows not all", *back, "Over: pg_cron shows not all")

    def test_runs_that_a_policy_hides_leave_what_was_seen(self, server: Server, file: Path) -> None:
        with serving(file) as service:
            service.comes_to(LATE)
            server.ask("DROP POLICY watchdog ON cron.job_run_details")
            assert service.goes_on() == LATE
            self.show(server, "job_run_details")
            assert service.goes_on() == LATE
            service.has_told(*OPENED)


class TestRuns:
    @pytest.fixture
    def file(self, server: Server, tmp_path: Path, three: None) -> Path:
        return configured(server, tmp_path, **LONG_AGO)

    @pytest.mark.parametrize(
        "purge",
        [
            "DELETE FROM cron.job_run_details WHERE end_time < now() - interval '1 day'",
            "DELETE FROM cron.job_run_details",
            "TRUNCATE cron.job_run_details",
            "TRUNCATE cron.job_run_details RESTART IDENTITY",
        ],
    )
    def test_a_purge_takes_nothing_away_that_was_seen(self, purge: str, server: Server, file: Path) -> None:
        with serving(file) as service:
            service.comes_to(LATE)
            server.ask(purge)
            assert service.goes_on() == LATE
            job(server, "yearly", "0 0 1 1 *", 7)
            runs(server, 1, 1, 1, datetime.now(UTC), "1 day")
            until(lambda: "yearly" in service.jobs, "the new job is seen")
            assert service.goes_on() == LATE
            service.has_told(*OPENED)
            runs(server, 2, 2, 1, datetime.now(UTC), "1 day")
            service.comes_to({("failing", "fails")})
            service.has_told(*OPENED, "Over: dead is overdue")
            assert service.critical == set()

    def test_after_a_purge_a_fresh_look_knows_of_nothing_and_says_nothing(self, server: Server, file: Path) -> None:
        server.ask("TRUNCATE cron.job_run_details")
        assert says(file) == (0, 0)
        with serving(file) as service:
            assert service.goes_on() == set()
            assert service.titles == []

    def test_a_server_that_restarts_and_writes_no_runs_any_more(self, server: Server, file: Path) -> None:
        blind: Found = {("blind", None), ("failing", "fails")}
        with serving(file) as service:
            service.comes_to(LATE)
            service.has_told(*OPENED)
            server.ask("ALTER SYSTEM SET cron.log_run = off")
            try:
                server.restart()
                service.comes_to(blind)
                assert service.goes_on() == blind
                assert says(file) == (0, 1)
            finally:
                server.ask("ALTER SYSTEM RESET cron.log_run")
                server.restart()
            service.comes_to(LATE)
            assert service.goes_on() == LATE
            assert service.critical <= {"unreachable"}
            titles = [title for title in service.titles if "cannot be read" not in title]
            unseen, back = "No longer seen: dead is overdue", "Back again, WARNING: dead is overdue"
            assert [title.partition(" (")[0] for title in titles[2:]] == [
                unseen, "WARNING: pg_cron shows not all", back, "Over: pg_cron shows not all",
            ]  # fmt: skip

    def test_a_server_that_restarts_is_away_and_back(self, server: Server, file: Path) -> None:
        with serving(file) as service:
            service.comes_to(LATE)
            service.has_told(*OPENED)
            server.stop()
            service.comes_to(STANDS)
            assert says(file)[1] == 2
            server.start()
            service.comes_to(LATE)
            assert service.goes_on() == LATE
            service.has_told(*OPENED, *AWAY)
            assert service.critical == {"unreachable"}

    def test_a_job_of_every_second_hides_no_other_jobs_runs(self, server: Server, file: Path, now: datetime) -> None:
        job(server, "each second", "1 second", 9)
        runs(server, 9, 1001, 100_000, now, "1s")
        assert says(file) == (0, 1)
        with serving(file) as service:
            service.comes_to(LATE)
            assert service.goes_on() == LATE
            runs(server, 9, 101_001, 20_000, datetime.now(UTC), "1s")
            assert service.goes_on() == LATE
            server.ask("DELETE FROM cron.job_run_details WHERE jobid = 9")
            assert service.goes_on() == LATE
            service.has_told(*OPENED)

    def test_jobs_made_now_owe_nothing_to_a_server_of_forty_days(self, server: Server, file: Path) -> None:
        with serving(file) as service:
            service.comes_to(LATE)
            job(server, "weekly", "0 4 * * 0", 5)
            job(server, "minutely", "* * * * *", 6)
            job(server, "monthly", "0 0 1 * *", 7)
            until(lambda: {"weekly", "minutely", "monthly"} <= service.jobs, "the new jobs are seen")
            assert service.goes_on() == LATE
            assert says(file) == (0, 1)
            has_run = partial(server.ask, "SELECT 1 FROM cron.job_run_details WHERE jobid = 6 AND end_time IS NOT NULL")
            until(has_run, "pg_cron has run the minute's job")
            assert service.goes_on() == LATE
            service.has_told(*OPENED)

"""What was switched on or changed is owed from then on only, also for a watchdog that is reloaded or begun anew."""

import sqlite3
from contextlib import closing
from datetime import timedelta
from pathlib import Path

import pytest

from tests.conftest import NOW
from watchdog.config.file import Config
from watchdog.metrics.collection import Metrics
from watchdog.replay.virtual_clock import VirtualClock
from watchdog.service.turns import Turns
from watchdog.state.store import Store

JOBS = "SELECT jobid AS id, jobname AS name, schedule AS cron, active AS enabled FROM job"
RUNS = """SELECT runid AS id, jobid AS job_id, start_time AS started_at, end_time AS ended_at, status
    FROM run WHERE runid > :after"""


class Watched:
    """A scheduler's file, and a watchdog with a state file that is begun anew as often as is asked."""

    def __init__(self, folder: Path) -> None:
        self._path, self._state = folder / "s.db", folder / "state.db"
        self.do(
            "CREATE TABLE job (jobid INTEGER PRIMARY KEY, jobname, schedule, active)",
            "CREATE TABLE run (runid INTEGER PRIMARY KEY, jobid, start_time, end_time, status)",
            "INSERT INTO job VALUES (1, 'report', '0 3 * * *', 0), (2, 'digest', '0 3 * * *', 1)",
            "INSERT INTO run VALUES (1, 1, '2026-06-03T03:00:00Z', '2026-06-03T03:01:00Z', 'succeeded')",
            "INSERT INTO run VALUES (2, 2, '2026-06-10T03:00:00Z', '2026-06-10T03:01:00Z', 'succeeded')",
        )
        section = {"kind": "sql", "name": "s", "database": str(self._path), "jobs": JOBS, "runs": RUNS}
        self._config = Config.validated({"sources": [section]})
        self.clock = VirtualClock(NOW)
        self.begin()

    def do(self, *statements: str) -> None:
        with closing(sqlite3.connect(self._path)) as connection, connection:
            for statement in statements:
                connection.execute(statement)

    def begin(self) -> None:
        self.turns = Turns(self._config, Store(self._state), self.clock, Metrics(), lambda published: None)

    def anew(self, how: str) -> None:
        if how == "restarted":
            self.turns.stop()
            self.begin()
        if how == "reloaded":
            self.turns.use(self._config)

    def told(self, after: timedelta) -> set[tuple[str, str | None]]:
        self.clock.at += after
        self.turns.idle()
        return {(finding.kind.value, finding.job) for finding in self.turns.turn().published.findings}


@pytest.mark.parametrize("how", ["goes on", "reloaded", "restarted"])
@pytest.mark.parametrize(
    ("statement", "job", "late_in"),
    [
        ("UPDATE job SET active = 1 WHERE jobid = 1", "report", timedelta(days=4)),
        ("UPDATE job SET schedule = '*/30 * * * *' WHERE jobid = 2", "digest", timedelta(hours=3)),
    ],
    ids=["switched-on", "another-schedule"],
)
def test_it_owes_nothing_for_the_time_before_and_all_that_comes_after(
    statement: str, job: str, late_in: timedelta, how: str, tmp_path: Path
) -> None:
    watched = Watched(tmp_path)
    assert watched.told(timedelta()) == set()
    watched.do(statement)
    assert watched.told(timedelta(minutes=10)) == set()
    watched.anew(how)
    assert watched.told(timedelta(seconds=5)) == set()
    watched.anew(how)
    assert watched.told(timedelta(seconds=5)) == set()
    late = watched.told(late_in)
    watched.turns.stop()
    assert ("overdue", job) in late

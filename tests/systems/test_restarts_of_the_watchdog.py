"""What a source has seen, and could not see again, holds over a restart and a reload of the watchdog."""

import sqlite3
from collections.abc import Callable
from contextlib import closing
from datetime import datetime, timedelta
from pathlib import Path

import pytest

from tests.conftest import NOW
from tests.support.harness import HOUR, MINUTE, SECOND
from tests.support.openclaw_stores import LAYOUTS
from tests.systems.openclaw.test_openclaw import NOW as DUE
from tests.systems.openclaw.test_openclaw import at, config, findings, healthy, kinds, report
from watchdog.config.file import Config
from watchdog.core.instants import to_ms
from watchdog.engine import Engine, open_sources
from watchdog.service.memories import Memories
from watchdog.state.store import Store
from watchdog.systems.openclaw.source import OpenClawSource
from watchdog.systems.shared.host import Host

ASKS = {
    "jobs": "SELECT jobid AS id, jobname AS name, schedule AS cron, active AS enabled FROM job",
    "runs": "SELECT runid AS id, jobid AS job_id, start_time AS started_at, end_time AS ended_at, status FROM run "
    "WHERE runid > :after",
}

TABLES = """
CREATE TABLE job (jobid INTEGER PRIMARY KEY, jobname TEXT, schedule TEXT, active INT);
CREATE TABLE run (runid INTEGER PRIMARY KEY, jobid INT, start_time TEXT, end_time TEXT, status TEXT);
"""


class Kept:
    """One state file, and a watchdog that is started on it again and again."""

    def __init__(self, folder: Path) -> None:
        self.path = folder / "state.db"
        self.sql = Config.validated(
            {"sources": [{"kind": "sql", "name": "s", "database": str(folder / "s.db"), **ASKS}]}
        )
        self.database = sqlite3.connect(folder / "s.db", isolation_level=None)
        self.database.executescript(TABLES)

    def once(self, look: Callable[[Host], list[tuple[str, str | None]]]) -> list[tuple[str, str | None]]:
        """What one life of the watchdog finds, which then ends."""
        with closing(Store(self.path)) as store:
            memories = Memories(store)
            found = look(Host(memory=memories.of("s")))
            memories.write(NOW)
        return found

    def look(self, now: timedelta) -> list[tuple[str, str | None]]:
        """What is found at one look of one life."""

        def found(host: Host) -> list[tuple[str, str | None]]:
            published = Engine(self.sql, open_sources(self.sql, lambda name: host)).tick(NOW + now).published
            return [(finding.kind.value, finding.job) for finding in published.findings]

        return self.once(found)


@pytest.fixture
def kept(tmp_path: Path) -> Kept:
    return Kept(tmp_path)


def test_a_job_that_was_switched_on_again_owes_nothing_for_the_time_before(kept: Kept) -> None:
    kept.database.execute("INSERT INTO job VALUES (1, 'report', '0 3 * * *', 0)")
    kept.database.execute("INSERT INTO run VALUES (1, 1, '2026-06-03T03:00:00Z', '2026-06-03T03:01:00Z', 'succeeded')")
    assert kept.look(timedelta()) == []
    kept.database.execute("UPDATE job SET active = 1")
    assert kept.look(10 * MINUTE) == []
    assert kept.look(10 * MINUTE + 5 * SECOND) == []
    assert ("overdue", "report") in kept.look(70 * HOUR)


def test_a_job_whose_schedule_was_changed_owes_nothing_for_the_time_before(kept: Kept) -> None:
    kept.database.execute("INSERT INTO job VALUES (1, 'report', '0 3 * * *', 1)")
    kept.database.execute("INSERT INTO run VALUES (1, 1, '2026-06-10T03:00:00Z', '2026-06-10T03:01:00Z', 'succeeded')")
    assert kept.look(timedelta()) == []
    kept.database.execute("UPDATE job SET schedule = '*/30 * * * *'")
    assert kept.look(10 * MINUTE) == []
    assert kept.look(10 * MINUTE + 5 * SECOND) == []


def test_an_interruption_that_only_a_marker_told_of_stands(kept: Kept, tmp_path: Path) -> None:
    gateway = report(tmp_path, "inline")
    gateway.begin("daily", at(8))

    def seen(minute: int) -> list[tuple[str, str | None]]:
        def look(host: Host) -> list[tuple[str, str | None]]:
            gateway.ledger.unlink(missing_ok=True)
            return kinds(findings(OpenClawSource(config(tmp_path), lambda _: None, host), at(8, minute)))

        return kept.once(look)

    assert seen(1) == []
    gateway.start_over("daily", at(8, 4), at(8, day=6))
    gateway.connect(gateway.ledger).close()
    assert seen(5) == [("interrupted", "daily")]
    assert seen(14) == [("interrupted", "daily")]


def _looking(kept: Kept, folder: Path, now: datetime) -> list[tuple[str, str | None]]:
    """What one life of the watchdog finds at a gateway."""
    return kept.once(lambda host: kinds(findings(OpenClawSource(config(folder), lambda _: None, host), now)))


@pytest.mark.parametrize("layout", LAYOUTS)
def test_after_an_interruption_was_made_up_for_a_watchdog_that_begins_anew_finds_what_the_old_one_does(
    kept: Kept, tmp_path: Path, layout: str
) -> None:
    gateway = report(tmp_path, layout)
    watched = OpenClawSource(config(tmp_path), lambda _: None)

    def both(now: datetime) -> list[tuple[str, str | None]]:
        found = kinds(findings(watched, now))
        assert _looking(kept, tmp_path, now + 4 * SECOND) == found
        return found

    gateway.begin("daily", at(8))
    assert both(at(8, 1)) == []
    gateway.start_over("daily", at(12, 4), at(8, day=6))
    assert both(at(12, 4, 1)) == [("interrupted", "daily")]
    gateway.begin("daily", at(12, 6))
    gateway.end("daily", at(12, 6, 45), at(8, day=6))
    assert ("interrupted", "daily") not in both(at(12, 6, 46))


@pytest.mark.parametrize("layout", LAYOUTS)
def test_a_fire_that_was_missed_and_put_off_stays_owed(kept: Kept, tmp_path: Path, layout: str) -> None:
    gateway = healthy(tmp_path, layout)
    assert ("overdue", "poll") in _looking(kept, tmp_path, DUE + 5 * MINUTE)
    gateway.boot(DUE + 6 * MINUTE)
    gateway.states["poll"]["nextRunAtMs"] = to_ms(DUE + 8 * MINUTE)
    gateway.persist()
    for seconds in (0, 20):
        assert _looking(kept, tmp_path, DUE + 7 * MINUTE + seconds * SECOND) == [("overdue", "poll")]
    gateway.begin("poll", DUE + 8 * MINUTE)
    gateway.end("poll", DUE + 9 * MINUTE, DUE + 38 * MINUTE)
    assert _looking(kept, tmp_path, DUE + 9 * MINUTE) == []

"""Jobs that vanish, rows that are swept and names that are expected: an engine on a database, over its restarts."""

import sqlite3
from collections.abc import Iterator, Sequence
from contextlib import closing
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from tests.conftest import NOW, SCHEMA, build, cost_row, healthy, job_row, session_row
from watchdog.config.file import Config
from watchdog.core.model import Finding
from watchdog.detectors.published import Published
from watchdog.engine import Engine, open_sources
from watchdog.service.memories import Memories
from watchdog.state.store import Store
from watchdog.systems.shared.host import Host
from watchdog.systems.shared.inventory import Inventory


def change(path: Path, statement: str) -> None:
    """Write as the agent would."""
    with closing(sqlite3.connect(path)) as connection, connection:
        connection.execute(statement)


SECOND, MINUTE, HOUR, DAY = (timedelta(**{unit: 1}) for unit in ("seconds", "minutes", "hours", "days"))


class Watch:
    """A watchdog with a state file that looks at a database again and again."""

    def __init__(self, folder: Path, **section: object) -> None:
        self.path = folder / "phantom.db"
        self._section = {"kind": "phantom", "name": "agent", "database": str(self.path), **section}
        self._state = folder / "state.db"
        self.now = NOW
        self.start()

    def start(self) -> None:
        self._store = Store(self._state)
        self._memories = Memories(self._store)
        config = Config.validated({"sources": [self._section]})
        sources = open_sources(config, lambda name: Host(memory=self._memories.of(name)))
        self._engine = Engine(config, sources, inventory=Inventory(self._memories.of))

    def restart(self, **section: object) -> None:
        self.close()
        self._section |= section
        self.start()

    def close(self) -> None:
        self._memories.write(self.now)
        self._store.close()

    def look(self, after: timedelta = SECOND) -> Published:
        self.now += after
        published = self._engine.tick(self.now).published
        self._memories.turn(self.now)
        return published

    def found(self, after: timedelta = SECOND) -> list[Finding]:
        """What is said of jobs that are gone or absent, after a look at once and one so much later."""
        self.look()
        wanted = ("vanished", "swept")
        return [finding for finding in self.look(after).findings if finding.kind.value in wanted]

    def said(self, after: timedelta = 2 * MINUTE) -> list[tuple[str, str, str | None]]:
        return sorted((f.kind.value, f.severity.value, f.job) for f in self.found(after))


@pytest.fixture
def watched(tmp_path: Path) -> Iterator[Watch]:
    """A watchdog that has seen ten jobs."""
    build(tmp_path / "phantom.db", jobs(10))
    watch = Watch(tmp_path)
    watch.look()
    with closing(watch):
        yield watch


def jobs(count: int) -> dict[str, list[dict[str, object]]]:
    rows: dict[str, list[dict[str, object]]] = {table: [] for table in SCHEMA}
    far = {"next_run_at": "2026-06-30T00:00:00.000Z", "schedule_value": '{"expr": "0 0 30 * *", "tz": "UTC"}'}
    return rows | {"scheduled_jobs": [job_row(f"job-{number}", **far) for number in range(count)]}


def delete(watch: Watch, *names: str) -> None:
    for name in names:
        change(watch.path, f"DELETE FROM scheduled_jobs WHERE name = '{name}'")


def test_a_job_that_is_gone_without_a_word_is_told_once_it_stays_away(watched: Watch) -> None:
    delete(watched, "job-3")
    assert watched.said(30 * SECOND) == []
    (found,) = watched.found(MINUTE)
    assert (found.kind.value, found.severity.value, found.job_id) == ("vanished", "warning", "id-job-3")
    assert found.evidence["seen_at"] == NOW + SECOND
    assert "cron 0 0 30 * *" in found.summary


def test_half_of_all_at_once_is_critical_and_one_less_is_not(tmp_path: Path) -> None:
    for count, severity in ((5, "critical"), (4, "warning")):
        folder = tmp_path / str(count)
        folder.mkdir()
        build(folder / "phantom.db", jobs(10))
        with closing(Watch(folder)) as watch:
            watch.look()
            delete(watch, *(f"job-{number}" for number in range(count)))
            assert [said[:2] for said in watch.said()] == [("vanished", severity)] * count


def test_those_that_go_one_after_another_within_minutes_go_together(watched: Watch) -> None:
    for number in range(5):
        delete(watched, f"job-{number}")
        watched.look(MINUTE)
    assert [said[1] for said in watched.said()] == ["critical"] * 5


def test_an_emptied_table_and_a_new_file_are_told_and_a_file_that_is_away_is_not(watched: Watch) -> None:
    watched.path.rename(watched.path.with_name("away.db"))
    assert watched.said() == []
    watched.path.with_name("away.db").rename(watched.path)
    assert watched.said() == []
    watched.path.unlink()
    build(watched.path, jobs(0))
    assert [said[:2] for said in watched.said()] == [("vanished", "critical")] * 10


def test_a_restored_backup_that_lacks_the_younger_jobs_tells_of_those(watched: Watch) -> None:
    watched.path.unlink()
    build(watched.path, jobs(8))
    assert watched.said() == [("vanished", "warning", "job-8"), ("vanished", "warning", "job-9")]


def test_it_holds_over_a_restart_of_the_watchdog_and_while_that_was_away(watched: Watch) -> None:
    watched.close()
    delete(watched, "job-3")
    watched.start()
    (found,) = watched.found(2 * MINUTE)
    watched.restart()
    (again,) = watched.found()
    assert (again.job_id, again.since) == (found.job_id, found.since)


def test_a_crash_forgets_nothing_that_was_seen_for_a_while(watched: Watch) -> None:
    watched.look(MINUTE)
    watched._store.close()
    delete(watched, "job-3")
    watched.start()
    assert watched.said() == [("vanished", "warning", "job-3")]


def test_a_job_that_is_back_is_not_gone_under_its_id_or_its_name(watched: Watch) -> None:
    delete(watched, "job-3", "job-4")
    assert len(watched.said()) == 2
    with_ids = [job_row("job-3"), job_row("job-4", id="another")]
    for row in with_ids:
        names = ", ".join(row)
        change(watched.path, f"INSERT INTO scheduled_jobs ({names}) VALUES ({', '.join(map(repr, row.values()))})")
    assert watched.said() == []


def test_a_job_that_is_made_anew_within_a_minute_is_told_by_nobody(watched: Watch) -> None:
    change(watched.path, "UPDATE scheduled_jobs SET id = 'new', name = 'renamed' WHERE name = 'job-3'")
    change(watched.path, "UPDATE scheduled_jobs SET name = 'other' WHERE name = 'job-4'")
    watched.look(20 * SECOND)
    change(watched.path, "UPDATE scheduled_jobs SET name = 'job-3' WHERE id = 'new'")
    assert watched.said() == []


def test_a_delete_on_record_explains_it(watched: Watch) -> None:
    delete(watched, "job-3")
    change(watched.path, "INSERT INTO scheduler_audit_log (job_id, action) VALUES ('id-job-3', 'delete')")
    assert watched.said() == []


ONE_SHOT = {"schedule_kind": "at", "delete_after_run": 1, "last_run_at": None, "run_count": 0}


@pytest.mark.parametrize(
    ("row", "after", "trace", "is_explained"),
    [
        ({"next_run_at": "2026-06-10T12:30:00.000Z"}, HOUR, (), True),
        ({"next_run_at": "2026-06-10T15:00:00.000Z"}, HOUR, (), False),
        ({"next_run_at": "2026-06-10T15:00:00.000Z"}, HOUR, ("2026-06-10 12:40:00",), True),
        ({"status": "completed", "delete_after_run": 0, "updated_at": "2026-05-11 23:00:00"}, HOUR, (), True),
        ({"status": "completed", "delete_after_run": 0, "updated_at": "2026-05-12 23:00:00"}, HOUR, (), False),
    ],
    ids=["it ran", "before its time", "run by hand", "swept when completed", "completed and not due"],
)
def test_an_end_of_its_own_explains_it(
    row: dict[str, object], after: timedelta, trace: Sequence[str], is_explained: bool, tmp_path: Path
) -> None:
    at = row.get("next_run_at", "2026-05-11T23:00:00.000Z")
    once = job_row("once", **(ONE_SHOT | {"schedule_value": f'{{"at": "{at}"}}'} | row))
    rows = jobs(4)
    rows["scheduled_jobs"].append(once)
    build(tmp_path / "phantom.db", rows)
    with closing(Watch(tmp_path)) as watch:
        watch.look()
        delete(watch, "once")
        for at in trace:
            touched = session_row("id-once", at)
            change(watch.path, f"INSERT INTO sessions ({', '.join(touched)}) VALUES {tuple(touched.values())}")
        watch.look(after)
        assert bool(watch.said()) is not is_explained


def test_a_failed_row_that_goes_when_it_is_due_is_swept_and_before_that_it_has_vanished(tmp_path: Path) -> None:
    failed = {"status": "failed", "next_run_at": None}
    rows = jobs(8)
    rows["scheduled_jobs"] += [
        job_row("due", updated_at="2026-05-11 23:00:00", **failed),
        job_row("early", updated_at="2026-06-01 23:00:00", **failed),
        job_row("kept", updated_at="2026-05-01 23:00:00", delete_after_run=1, **failed),
    ]
    build(tmp_path / "phantom.db", rows)
    with closing(Watch(tmp_path)) as watch:
        watch.look()
        delete(watch, "due", "early", "kept")
        said = [("swept", "critical", "due"), ("vanished", "warning", "early"), ("vanished", "warning", "kept")]
        assert watch.said() == said
        watch.restart()
        assert watch.said() == said
        assert watch.said(8 * DAY) == said[:1]
        assert watch.said(23 * DAY) == []


def test_one_that_nobody_expects_is_told_for_a_week_and_half_of_all_for_a_month(tmp_path: Path) -> None:
    build(tmp_path / "phantom.db", jobs(10))
    with closing(Watch(tmp_path)) as watch:
        watch.look()
        delete(watch, "job-3")
        assert len(watch.said(6 * DAY)) == 1
        assert watch.said(2 * DAY) == []
        delete(watch, *(f"job-{number}" for number in range(10)))
        assert len(watch.said(20 * DAY)) == 9
        assert watch.said(11 * DAY) == []


def test_another_database_under_the_same_name_is_missing_nothing(watched: Watch, tmp_path: Path) -> None:
    other = build(tmp_path / "other.db", healthy())
    watched.path = other
    watched.restart(database=str(other))
    assert watched.said() == []
    watched.restart(timezone="Europe/Berlin")
    delete(watched, "heartbeat")
    assert watched.said() == [("vanished", "warning", "heartbeat")]


# expect


def expecting(folder: Path, *patterns: str, **changes: Any) -> Watch:
    rows = jobs(2)
    rows["scheduled_jobs"].append(job_row("Heartbeat", next_run_at="2026-07-01T00:00:00Z", **changes))
    build(folder / "phantom.db", rows)
    return Watch(folder, expect=list(patterns))


@pytest.mark.parametrize("pattern", ["heartbeat", "heart*", "HEARTBEAT", "job-?"])
def test_an_expected_job_that_is_there_and_on_is_well(pattern: str, tmp_path: Path) -> None:
    with closing(expecting(tmp_path, pattern)) as watch:
        assert watch.said() == []


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"status": "paused"}, [("vanished", "critical", "Heartbeat")]),
        ({"enabled": 0}, [("vanished", "critical", "Heartbeat")]),
        ({"status": "failed"}, []),
        ({"status": "completed"}, []),
    ],
)
def test_an_expected_job_that_is_not_on_is_critical_unless_it_is_told_otherwise(
    changes: dict[str, Any], said: list[object], tmp_path: Path
) -> None:
    with closing(expecting(tmp_path, "heart*", **changes)) as watch:
        assert watch.said() == said


def test_a_single_look_tells_what_is_expected_and_not_there(tmp_path: Path) -> None:
    with closing(expecting(tmp_path, "morning-*")) as watch:
        (found,) = [each for each in watch.look().findings if each.kind.value == "vanished"]
        assert (found.severity.value, found.job) == ("critical", "morning-*")


def test_an_expected_job_that_goes_is_critical_and_told_once(tmp_path: Path) -> None:
    with closing(expecting(tmp_path, "heartbeat")) as watch:
        watch.look()
        delete(watch, "Heartbeat")
        assert watch.said(20 * SECOND) == []
        assert watch.said() == [("vanished", "critical", "Heartbeat")]
        assert watch.said(40 * DAY) == [("vanished", "critical", "Heartbeat")]
        delete(watch, "job-0")
        assert ("vanished", "critical", "heartbeat") in watch.said()


# next runs that the schedule does not explain


def stranded(folder: Path, **changes: Any) -> list[str | None]:
    path = build(folder / "phantom.db", healthy() | {"scheduled_jobs": [job_row(**changes)]})
    published = Engine(Config.validated({"sources": [{"database": str(path)}]})).tick(NOW).published
    return [finding.job for finding in published.findings if finding.kind.value == "stranded"]


EVERY: dict[str, Any] = {"schedule_kind": "every", "schedule_value": '{"intervalMs": 3600000}'}
ONCE: dict[str, Any] = {"schedule_kind": "at", "schedule_value": '{"at": "2027-06-10T13:00:00Z"}'}
NO_ZONE: dict[str, Any] = {"schedule_value": '{"expr": "0 9 * * 1"}'}


@pytest.mark.parametrize(
    ("changes", "is_stranded"),
    [
        ({"next_run_at": "2027-06-10T13:00:00.000Z"}, True),
        ({"next_run_at": "2026-06-10T13:00:00.000Z"}, False),
        (EVERY | {"next_run_at": "2026-06-10T13:00:00.000Z"}, False),
        (EVERY | {"next_run_at": "2026-06-11T13:00:00.000Z"}, True),
        ({"next_run_at": "2026-06-10T15:00:00.000Z"}, True),
        ({"next_run_at": "2026-06-10T15:00:00.000Z", "consecutive_errors": 5, "last_run_status": "error"}, False),
        (ONCE | {"next_run_at": "2027-06-10T13:00:00.000Z"}, False),
        (ONCE | {"next_run_at": "2028-06-10T13:00:00.000Z"}, True),
        (NO_ZONE | {"next_run_at": "2026-06-14T19:00:00.000Z"}, False),
        (NO_ZONE | {"next_run_at": "2026-06-15T20:00:00.000Z"}, False),
        (NO_ZONE | {"next_run_at": "2026-07-15T20:00:00.000Z"}, True),
        ({"next_run_at": "2027-06-10T13:00:00.000Z", "status": "paused"}, False),
        ({"next_run_at": None}, True),
    ],
)
def test_a_next_run_further_ahead_than_the_schedule_allows_is_stranded(
    changes: dict[str, Any], is_stranded: bool, tmp_path: Path
) -> None:
    assert bool(stranded(tmp_path, **changes)) is is_stranded


def test_a_next_run_that_time_has_caught_up_with_is_stranded_no_longer_without_a_write(tmp_path: Path) -> None:
    row = job_row(**EVERY, next_run_at="2026-06-11T13:00:00.000Z")
    path = build(tmp_path / "phantom.db", healthy() | {"scheduled_jobs": [row]})
    engine = Engine(Config.validated({"sources": [{"database": str(path)}]}))
    now, ends = NOW, []
    while now < NOW + DAY:
        published = engine.tick(now).published
        ends.append((now, "stranded" in [finding.kind.value for finding in published.findings]))
        now = published.look_again_at or NOW + DAY
    assert [is_so for _, is_so in ends] == [True, False]
    assert ends[1][0] == datetime.fromisoformat("2026-06-11T10:55:00Z")


# a job whose lateness nobody minds


def late(folder: Path, detect: object) -> set[str]:
    rows = healthy() | {"sessions": [], "cost_events": [cost_row("id-heartbeat", "2026-06-10 11:01:00")]}
    path = folder / "phantom.db"
    if not path.exists():
        build(path, rows)
    config = Config.validated({"sources": [{"database": str(path)}], "detect": detect})
    return {finding.kind.value for finding in Engine(config).tick(NOW + 10 * HOUR).published.findings}


def test_a_job_whose_lateness_nobody_minds_proves_no_stall(tmp_path: Path) -> None:
    assert "stalled" not in late(tmp_path, {"jobs": [{"match": "heart*", "overdue": "off"}]})


def test_where_nobody_minds_single_late_jobs_a_stall_is_told_all_the_same(tmp_path: Path) -> None:
    assert late(tmp_path, {"overdue": "off"}) == late(tmp_path, {}) - {"overdue"}

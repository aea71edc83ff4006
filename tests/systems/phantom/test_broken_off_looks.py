"""A look at Phantom's file that broke off, and rows that no release of it writes, leave nothing wrong behind."""

import sqlite3
from contextlib import closing
from datetime import timedelta
from pathlib import Path

import pytest

from tests.conftest import NOW, build, cost_row, healthy, job_row, session_row
from tests.support.harness import change
from watchdog.core.model import Snapshot
from watchdog.systems.phantom.rows import RowReader
from watchdog.systems.phantom.source import PhantomSource

SECOND = timedelta(seconds=1)
BEGAN = "2026-06-10 11:59:58"


@pytest.fixture
def odd(monkeypatch: pytest.MonkeyPatch) -> pytest.MonkeyPatch:
    """Until it is undone whoever reads a job called odd breaks off; and each file has stood for long enough."""
    text = RowReader.text

    def fails(reader: RowReader, *given: object) -> str | None:
        found = text(reader, *given)  # type: ignore[arg-type]
        if found == "odd":
            raise ValueError(found)
        return found

    monkeypatch.setattr("watchdog.systems.phantom.source.is_settled", lambda seen: True)
    monkeypatch.setattr(RowReader, "text", fails)
    return monkeypatch


def _two_jobs(path: Path) -> Path:
    rows = [job_row("a"), job_row("b")]
    ends = [cost_row(f"id-{name}", "2026-06-10 11:01:00") for name in "ab"]
    return build(path, {**healthy(), "scheduled_jobs": rows, "cost_events": ends})


def _broken_off(source: PhantomSource, path: Path) -> None:
    source.look(NOW)
    row = session_row("id-a", BEGAN)
    change(path, "INSERT INTO sessions (session_key, last_active_at) VALUES (?, ?)", *row.values())
    change(path, "UPDATE scheduled_jobs SET name = 'odd' WHERE name = 'b'")
    with pytest.raises(ValueError, match="odd"):
        source.look(NOW + SECOND)


def test_a_look_that_broke_off_is_not_followed_by_one_that_finds_nothing_new(
    tmp_path: Path, odd: pytest.MonkeyPatch
) -> None:
    path = _two_jobs(tmp_path / "a.db")
    source = PhantomSource("agent", path)
    _broken_off(source, path)
    with pytest.raises(ValueError, match="odd"):
        source.look(NOW + 2 * SECOND)
    odd.undo()
    assert [job.name for job in source.look(NOW + 3 * SECOND).snapshot.jobs] == ["a", "odd"]


def test_a_run_that_began_before_a_look_broke_off_at_another_job_is_in_flight(
    tmp_path: Path, odd: pytest.MonkeyPatch
) -> None:
    path = _two_jobs(tmp_path / "a.db")
    source = PhantomSource("agent", path)
    _broken_off(source, path)
    odd.undo()
    assert [bool(job.in_flight_since) for job in source.look(NOW + 2 * SECOND).snapshot.jobs] == [True, False]


def test_of_gone_jobs_that_were_touched_at_once_always_the_same_holds_the_slot(tmp_path: Path) -> None:
    gone = [session_row(f"gone-{number}", BEGAN) for number in range(9)]
    source = PhantomSource("agent", build(tmp_path / "a.db", {**healthy(), "sessions": gone}))
    departed = source.look(NOW).snapshot.departed
    assert departed.in_flight is not None
    assert departed.in_flight.job_id == "gone-0"
    assert [*departed.ran] == [f"gone-{number}" for number in range(9)]


def test_of_two_sessions_of_one_job_the_later_row_counts_whichever_has_changed(tmp_path: Path) -> None:
    path = build(tmp_path / "a.db", healthy())
    with closing(sqlite3.connect(path)) as connection, connection:
        connection.execute("ALTER TABLE sessions RENAME TO unique_sessions")
        connection.execute("CREATE TABLE sessions AS SELECT * FROM unique_sessions")
        connection.execute("INSERT INTO sessions SELECT * FROM unique_sessions")
    source = PhantomSource("agent", path)
    source.look(NOW)
    change(path, "UPDATE sessions SET input_tokens = 1 WHERE rowid = 1")
    assert _tokens(source.look(NOW + SECOND).snapshot) == 7000
    change(path, "UPDATE sessions SET input_tokens = 2 WHERE rowid = 2")
    assert _tokens(source.look(NOW + 2 * SECOND).snapshot) == 2


def _tokens(snapshot: Snapshot) -> int | None:
    (job,) = snapshot.jobs
    return job.totals.input_tokens

"""A write to a file that somebody has made a trap of is taken back in time, and holds up no look at any other."""

import sqlite3
from collections.abc import Iterator
from contextlib import closing
from datetime import UTC, datetime
from pathlib import Path
from threading import Event, Thread

import pytest

from tests.conftest import build, healthy, job_row
from tests.support.hostile import ENDLESS
from watchdog.systems.phantom import writing
from watchdog.systems.phantom.source import PhantomSource
from watchdog.systems.shared.acting import CannotWriteError
from watchdog.systems.shared.sqlite_file import undisturbed

NOW = datetime(2026, 6, 10, 12, tzinfo=UTC)


@pytest.fixture
def failed(tmp_path: Path) -> Path:
    """A job that has failed, in a file whose triggers follow."""
    (tmp_path / "one").mkdir()
    return build(tmp_path / "one" / "phantom.db", {**healthy(), "scheduled_jobs": [job_row("lost", status="failed")]})


def trigger(path: Path, body: str) -> None:
    with closing(sqlite3.connect(path)) as db, db:
        db.execute(f"CREATE TRIGGER theirs AFTER UPDATE ON scheduled_jobs BEGIN {body}; END")


def revive(path: Path) -> None:
    row = writing.look(path, "id-lost")
    assert row is not None
    writing.set_active(path, "id-lost", writing.fingerprint(row), NOW, NOW)


def status(path: Path) -> object:
    row = writing.look(path, "id-lost")
    return row["status"] if row else None


def test_a_trigger_that_never_ends_is_cut_off_and_nothing_is_changed(
    failed: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(writing, "LONGEST_WRITE", 0.05)
    trigger(failed, f"UPDATE scheduled_jobs SET task = 'x' WHERE id IN ({ENDLESS} SELECT x FROM n)")
    with pytest.raises(CannotWriteError, match=r"took longer than 0\.05 s and was taken back"):
        revive(failed)
    assert status(failed) == "failed"
    with closing(sqlite3.connect(failed, timeout=0)) as scheduler, scheduler:
        scheduler.execute("DROP TRIGGER theirs")  # its scheduler can write again
    revive(failed)
    assert status(failed) == "active"


@pytest.mark.parametrize(
    ("body", "why"),
    [
        ("SELECT raise(ABORT, 'no')", "no"),
        ("SELECT nobody_knows_it(1)", "no such function"),
        ("UPDATE scheduled_jobs SET status = 'failed'", ""),
    ],
)
def test_a_trigger_that_objects_is_told_and_one_that_changes_it_back_is_let(body: str, why: str, failed: Path) -> None:
    trigger(failed, body)
    if why:
        with pytest.raises(CannotWriteError, match=why):
            revive(failed)
    else:
        revive(failed)
    assert status(failed) == "failed"


@pytest.fixture
def hangs(failed: Path) -> Iterator[None]:
    """Somebody is writing there, and does not come to an end."""
    begun, end = Event(), Event()

    def write() -> None:
        with undisturbed(failed.stat().st_ino):
            begun.set()
            end.wait(60)

    thread = Thread(target=write)
    thread.start()
    assert begun.wait(60)
    yield
    end.set()
    thread.join()


@pytest.mark.usefixtures("hangs")
def test_a_write_that_hangs_holds_up_no_look_at_another_file(tmp_path: Path) -> None:
    (tmp_path / "other").mkdir()
    other = build(tmp_path / "other" / "phantom.db", healthy())
    assert [job.name for job in PhantomSource("other", other).look(NOW).snapshot.jobs] == ["heartbeat"]

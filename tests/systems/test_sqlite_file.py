"""Somebody else's SQLite file is read without harm, and what cannot be read is told in words that help."""

import os
import shutil
import sqlite3
import time
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import pytest

from tests.conftest import Writer, as_nobody, build, healthy
from tests.support.sqlite_writers import leave_hot_journal
from watchdog.systems.shared import sqlite_file
from watchdog.systems.shared.sqlite_file import Signature, harm, is_settled, read, signature
from watchdog.systems.shared.unreadable import UnreadableError

StartWriter = Callable[[Path], Writer]


@pytest.fixture(autouse=True)
def no_waiting(monkeypatch: pytest.MonkeyPatch) -> None:
    """How long a busy writer is waited for is not what is tested."""
    monkeypatch.setattr(sqlite_file, "BUSY_TIMEOUT", 0.01)


def names(connection: sqlite3.Connection) -> list[str]:
    return [name for (name,) in connection.execute("SELECT name FROM scheduled_jobs ORDER BY id").fetchall()]


def why_not(path: Path) -> str:
    """The reason for which the file cannot be read."""
    try:
        return f"read: {read(path, names)[0]}"
    except UnreadableError as error:
        told = str(error)
    assert "\n" not in told
    assert str(path) in told
    return told


def listing(folder: Path) -> set[str]:
    return {entry.name for entry in folder.iterdir()}


def opened_as(monkeypatch: pytest.MonkeyPatch, path: Path) -> list[str]:
    """The modes in which one read opens the file."""
    modes: list[str] = []
    connect = sqlite3.connect

    def note(address: str, /, **options: object) -> sqlite3.Connection:
        modes.append(address.rpartition("?")[2])
        return connect(address, **options)  # type: ignore[call-overload, no-any-return]

    with monkeypatch.context() as patch:
        patch.setattr(sqlite3, "connect", note)
        read(path, names)
    return modes


def test_a_write_ahead_log_with_something_in_it_is_read(
    database: Path, start_writer: StartWriter, monkeypatch: pytest.MonkeyPatch
) -> None:
    build(database, healthy(), journal="wal")
    start_writer(database).run("UPDATE scheduled_jobs SET name = 'only in the log'")
    assert opened_as(monkeypatch, database) == ["mode=ro"]
    assert read(database, names)[0] == ["only in the log"]


def test_without_a_log_the_file_is_opened_so_that_no_log_is_made(
    database: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    build(database, healthy(), journal="wal")
    assert opened_as(monkeypatch, database) == ["immutable=1"]
    assert listing(database.parent) == {database.name}


def test_an_empty_log_counts_as_none(database: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    build(database, healthy(), journal="wal")
    database.with_name(f"{database.name}-wal").touch()
    assert opened_as(monkeypatch, database) == ["immutable=1"]
    assert listing(database.parent) == {database.name, f"{database.name}-wal"}


def test_a_rollback_journal_file_is_read_under_its_locks(database: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    build(database, healthy())
    assert opened_as(monkeypatch, database) == ["mode=ro"]


def test_nothing_can_be_written_through_the_connection(database: Path) -> None:
    for journal in ("delete", "wal"):
        build(database, healthy(), journal=journal)
        with pytest.raises(UnreadableError):
            read(database, lambda connection: connection.execute("DELETE FROM scheduled_jobs").fetchall())
        assert read(database, names)[0] == ["heartbeat"]
        database.unlink()


def test_all_that_one_read_sees_is_of_one_moment(database: Path, start_writer: StartWriter) -> None:
    build(database, healthy(), journal="wal")
    writer = start_writer(database)
    writer.run("UPDATE scheduled_jobs SET name = 'before'")

    def twice(connection: sqlite3.Connection) -> tuple[list[str], list[str]]:
        first = names(connection)
        writer.run("UPDATE scheduled_jobs SET name = 'after'")
        return first, names(connection)

    assert read(database, twice)[0] == (["before"], ["before"])
    assert read(database, names)[0] == ["after"]


def test_a_file_that_moves_under_an_unlocked_read_is_read_again(database: Path) -> None:
    build(database, healthy(), journal="wal")
    copy = build(database.with_name("backup.db"), {"scheduled_jobs": []}, journal="wal")
    looks = 0

    def query(connection: sqlite3.Connection) -> list[str]:
        nonlocal looks
        looks += 1
        found = names(connection)
        if looks == 1:
            copy.replace(database)
        return found

    answer, seen = read(database, query)
    assert answer == []
    assert looks == 2
    assert seen == signature(database)


def test_a_file_that_never_holds_still_is_told_as_such(database: Path) -> None:
    build(database, healthy(), journal="wal")
    ticks = iter(range(10**9, 10**10))

    def query(connection: sqlite3.Connection) -> list[str]:
        os.utime(database, (next(ticks), next(ticks)))
        return names(connection)

    with pytest.raises(UnreadableError, match="changes faster than it can be read") as caught:
        read(database, query)
    assert "copy being written" in str(caught.value)


def test_the_signature_shows_every_kind_of_change(database: Path, start_writer: StartWriter) -> None:
    build(database, healthy(), journal="wal")
    seen = [signature(database)]
    writer = start_writer(database)
    for _ in range(3):
        writer.run("UPDATE scheduled_jobs SET run_count = run_count + 1")
        seen.append(signature(database))
    writer.run("PRAGMA wal_checkpoint(TRUNCATE)")
    seen.append(signature(database))
    shutil.copy(database, database.with_name("copy"))
    database.with_name("copy").replace(database)
    seen.append(signature(database))
    assert len(set(seen)) == len(seen)


def test_a_brand_new_time_stamp_is_not_trusted() -> None:
    now = time.time_ns()
    assert not is_settled(Signature((1, 1, now), None, has_journal=False))
    assert not is_settled(Signature((1, 1, 0), (2, 1, now), has_journal=False))
    assert is_settled(Signature((1, 1, now - 10**9), (2, 1, now - 10**9), has_journal=False))


def test_a_commit_that_the_disk_has_not_taken_yet_is_looked_for_once_more(
    database: Path, start_writer: StartWriter
) -> None:
    """SQLite writes the log, waits for the disk, which may take seconds, and only then says so in the log's index."""
    build(database, healthy(), journal="wal")
    writer = start_writer(database)
    writer.run("UPDATE scheduled_jobs SET run_count = 1")
    log, index = (database.with_name(database.name + ending) for ending in ("-wal", "-shm"))
    with index.open("r+b", buffering=0) as file:
        before = file.read(96)
        writer.run("UPDATE scheduled_jobs SET name = 'new'")
        after = os.pread(file.fileno(), 96, 0)
        os.pwrite(file.fileno(), before, 0)
        aged = log.stat().st_mtime_ns - 10**9
        os.utime(log, ns=(aged, aged))
        early, seen = read(database, names)
        os.pwrite(file.fileno(), after, 0)
    late, same = read(database, names)
    assert early != late
    assert (seen.main, seen.wal) == (same.main, same.wal), "no time stamp shows it"
    assert seen != signature(database)
    assert not is_settled(seen)
    os.utime(log, ns=(aged, aged - 60 * 10**9))
    assert read(database, names)[1] == signature(database)


def test_a_damaged_file_is_told_apart_from_one_that_is_no_database(database: Path) -> None:
    database.write_bytes(b"id,name\n" * 1000)
    assert "not an SQLite database" in why_not(database)
    database.unlink()
    build(database, healthy())
    content = bytearray(database.read_bytes())
    content[4096 : 4096 * 2] = b"\x99" * 4096
    database.write_bytes(content)
    assert "damaged or cut short" in why_not(database)


def test_words_of_the_reason_do_not_depend_on_words_of_sqlite() -> None:
    error = sqlite3.OperationalError("whatever it says")
    error.sqlite_errorcode = sqlite3.SQLITE_IOERR_READ  # an extended code: only its low byte counts
    told = sqlite_file.explain(Path("/data/agent.db"), error)
    assert told == "/data/agent.db: reading failed (SQLITE_IOERR); is the disk well?"


def test_another_user_reads_a_closed_file_in_a_folder_that_it_may_not_write(reachable: Path) -> None:
    for journal in ("wal", "delete"):
        path = build(reachable / f"{journal}.db", healthy(), journal=journal)
        path.chmod(0o444)
        assert as_nobody(lambda path=path: read(path, names)[0]) == ["heartbeat"]  # type: ignore[misc]
    assert listing(reachable) == {"wal.db", "delete.db"}


def test_another_user_reads_beside_a_live_writer_in_a_folder_that_it_may_not_write(
    reachable: Path, start_writer: StartWriter
) -> None:
    path = build(reachable / "agent.db", healthy(), journal="wal")
    writer = start_writer(path)
    writer.run("UPDATE scheduled_jobs SET name = 'in the log'")
    assert as_nobody(lambda: read(path, names)[0]) == ["in the log"]
    assert writer.run("PRAGMA wal_checkpoint(TRUNCATE)") == [[0, 0, 0]]
    writer.stop()
    assert listing(reachable) == {"agent.db"}


def test_a_log_without_its_index_in_a_folder_that_may_not_be_written_says_what_to_do(
    reachable: Path, start_writer: StartWriter
) -> None:
    path = build(reachable / "agent.db", healthy(), journal="wal")
    writer = start_writer(path)
    writer.run("UPDATE scheduled_jobs SET name = 'in the log'")
    writer.kill()
    path.with_name("agent.db-shm").unlink()
    told = as_nobody(lambda: why_not(path))
    assert "has a log (-wal) without its index (-shm)" in told
    assert "user 65534 may not write in" in told
    assert "mount the whole folder, or run as the scheduler's user" in told
    assert listing(reachable) == {"agent.db", "agent.db-wal"}
    reachable.chmod(0o777)
    assert why_not(path) == "read: ['in the log']"


def test_a_file_that_may_not_be_read_says_whom_to_run_as(reachable: Path) -> None:
    path = build(reachable / "agent.db", healthy())
    path.chmod(0o600)
    told = as_nobody(lambda: why_not(path))
    assert told == f"{path} may not be read by user 65534: run the watchdog as the scheduler's user"
    path.chmod(0o644)
    assert as_nobody(lambda: why_not(path)) == "read: ['heartbeat']"


def test_a_folder_that_may_not_be_entered_says_whom_to_run_as(reachable: Path) -> None:
    path = build(reachable / "agent.db", healthy())
    reachable.chmod(0o700)
    assert "may not be read by user 65534" in as_nobody(lambda: why_not(path))
    reachable.chmod(0o755)


def test_a_crash_amid_a_write_is_told_to_a_user_without_rights_too(reachable: Path, start_writer: StartWriter) -> None:
    path = build(reachable / "agent.db", healthy())
    leave_hot_journal(start_writer(path))
    told = as_nobody(lambda: why_not(path))
    assert "needs recovery" in told or "crashed in the middle of a write" in told
    assert listing(reachable) == {"agent.db", "agent.db-journal"}


class TestHarm:
    def test_the_owner_and_root_do_none(self, reachable: Path) -> None:
        path = build(reachable / "agent.db", healthy())
        reachable.chmod(0o777)
        assert harm(path) is None
        if os.geteuid() == 0:
            os.chown(path, 1234, 1234)
            assert harm(path) is None

    def test_another_user_in_a_writable_folder_does(self, reachable: Path) -> None:
        path = build(reachable / "agent.db", healthy(), journal="wal")
        reachable.chmod(0o777)
        told = as_nobody(lambda: harm(path))
        assert told.startswith(f"user 65534 reads {path}, which belongs to user 0")
        assert "the scheduler cannot write" in told
        assert "mount the folder read-only or run as its user" in told

    def test_another_user_in_a_folder_that_it_may_not_write_does_none(self, reachable: Path) -> None:
        path = build(reachable / "agent.db", healthy())
        assert as_nobody(lambda: harm(path)) is None

    def test_the_owner_without_other_rights_does_none(self, reachable: Path) -> None:
        path = build(reachable / "agent.db", healthy())
        reachable.chmod(0o777)
        if os.geteuid() != 0:
            pytest.skip("only root can give a file away")
        os.chown(path, 65534, 65534)
        assert as_nobody(lambda: harm(path)) is None

    def test_a_file_that_is_not_there_cannot_be_harmed(self, reachable: Path) -> None:
        assert harm(reachable / "nothing.db") is None

    def test_it_is_real(self, reachable: Path, start_writer: StartWriter) -> None:
        """Reading as another user in a writable folder does break the writer: that is what the warning is about."""
        path = build(reachable / "agent.db", healthy(), journal="wal")
        reachable.chmod(0o777)
        os.chown(path, 1234, 1234) if os.geteuid() == 0 else None
        path.chmod(0o644)

        def read_as_a_naive_reader_would() -> bool:
            with closing(sqlite3.connect(f"file:{path}?mode=ro", uri=True)) as connection:
                names(connection)
            return True

        assert as_nobody(read_as_a_naive_reader_would)
        left = listing(reachable) - {"agent.db"}
        assert left, "SQLite no longer leaves files behind: the warning may go"
        before = {name: (reachable / name).stat().st_mtime_ns for name in left}
        assert as_nobody(lambda: why_not(path)) == "read: ['heartbeat']"
        assert {name: (reachable / name).stat().st_mtime_ns for name in left} == before

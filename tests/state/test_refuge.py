"""While the state file cannot be written its state goes on in memory, the same for all who have it open."""

import sqlite3
from collections.abc import Iterator
from contextlib import closing
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from watchdog.core.message import Entry
from watchdog.state import refuge
from watchdog.state.store import Store

NOW = datetime(2026, 6, 10, 9, tzinfo=UTC)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "state.db"


@pytest.fixture
def store(path: Path) -> Iterator[Store]:
    with closing(Store(path)) as made:
        with made.transaction():
            made.acknowledge(1, NOW, "ann")
        yield made


def _entry(target: str) -> Entry:
    return Entry(NOW, 1, "opened", target, {"title": "t"}, NOW)


@pytest.fixture
def locked(path: Path, store: Store) -> Iterator[sqlite3.Connection]:
    """Another program that keeps the file locked until it is told to let go."""
    with closing(sqlite3.connect(path, isolation_level=None)) as other:
        other.execute("BEGIN IMMEDIATE")
        yield other


def test_what_is_written_meanwhile_is_seen_by_all_and_put_into_the_file(
    path: Path, store: Store, locked: sqlite3.Connection
) -> None:
    with closing(Store(path, exclusive=False)) as beside:
        with store.transaction():
            store.acknowledge(2, NOW, "bob")
            store.add_entries([_entry("ops")])
        assert store.is_in_memory
        assert store.problem
        assert set(beside.acknowledgements()) == {1, 2}
        (entry,) = beside.waiting()
        beside.unacknowledge(1, NOW, "ann")
        locked.execute("ROLLBACK")
        store.look_after()
        assert not store.is_in_memory
        assert store.problem == ""
        assert set(beside.acknowledgements()) == {2}
        assert [each.id for each in beside.waiting()] == [entry.id]
    with closing(sqlite3.connect(path)) as file:
        assert file.execute("SELECT incident_id FROM acknowledgements").fetchall() == [(2,)]
        assert not file.execute("SELECT name FROM sqlite_master WHERE type = 'trigger'").fetchall()


def test_what_another_program_wrote_meanwhile_stays(path: Path, store: Store, locked: sqlite3.Connection) -> None:
    with store.transaction():
        store.acknowledge(2, NOW, "bob")
    locked.execute("INSERT INTO acknowledgements VALUES (3, '2026-06-10T09:00:00Z', 'eve')")
    locked.execute("COMMIT")
    store.look_after()
    assert set(store.acknowledgements()) == {1, 2, 3}


def test_it_stays_in_memory_for_as_long_as_the_file_is_locked(store: Store, locked: sqlite3.Connection) -> None:
    with store.transaction():
        store.acknowledge(2, NOW, "bob")
    for number in range(3, 6):
        store.look_after()
        assert store.is_in_memory
        with store.transaction():
            store.acknowledge(number, NOW, "bob")
    assert set(store.acknowledgements()) == {1, 2, 3, 4, 5}


def test_numbers_go_on_where_they_were(path: Path, store: Store, locked: sqlite3.Connection) -> None:
    locked.execute("ROLLBACK")
    with store.transaction():
        store.add_entries([_entry("ops")])
    (first,) = store.waiting()
    store.database.execute("DELETE FROM outbox")
    locked.execute("BEGIN IMMEDIATE")
    with store.transaction():
        store.add_entries([_entry("ops")])
    (second,) = store.waiting()
    assert second.id > first.id


def test_whoever_wrote_into_memory_as_it_was_left_hears_that_it_was_in_vain(
    path: Path, store: Store, locked: sqlite3.Connection
) -> None:
    with closing(Store(path, exclusive=False)) as beside:
        with store.transaction():
            store.add_entries([_entry("ops")])
        (entry,) = beside.waiting()
        assert refuge.of(path)
        refuge.left(path)  # as between two steps of whoever writes
        with pytest.raises(sqlite3.OperationalError, match="moved"):
            beside.must_have_stayed()
        locked.execute("ROLLBACK")
        beside.save_entry(entry)  # and then it goes on in the file


def test_actions_are_taken_along(path: Path, store: Store, locked: sqlite3.Connection) -> None:
    locked.execute("ROLLBACK")
    store.database.execute(
        "INSERT INTO actions (state, created_at, document, revision) VALUES ('acted', '', '{\"source\": \"a\"}', 1)"
    )
    locked.execute("BEGIN IMMEDIATE")
    with store.transaction():
        store.acknowledge(2, NOW, "bob")
    assert store.is_in_memory
    assert store.database.execute("SELECT state, source FROM actions").fetchall() == [("acted", "a")]
    locked.execute("ROLLBACK")
    store.look_after()
    assert store.database.execute("SELECT state, source FROM actions").fetchall() == [("acted", "a")]


def test_the_end_writes_what_was_only_in_memory(path: Path, locked: sqlite3.Connection, store: Store) -> None:
    with store.transaction():
        store.acknowledge(2, NOW + timedelta(1), "bob")
    locked.execute("ROLLBACK")
    store.close()
    with closing(Store(path)) as again:
        assert set(again.acknowledgements()) == {1, 2}

"""The state file deleted, replaced, damaged or full while it is in use: told, survived, and nothing is forgotten."""

import os
import sqlite3
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager, suppress
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from tests.conftest import build, healthy, job_row
from tests.support.command import running, until
from watchdog.core.silences import Silence
from watchdog.state.opening import StoreError
from watchdog.state.store import Store

NOW = datetime(2026, 6, 10, 9, tzinfo=UTC)
SILENCE = Silence(0, "job=nightly", NOW, NOW + timedelta(hours=2), "ann")


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "state.db"


@pytest.fixture
def store(path: Path) -> Iterator[Store]:
    """The service's own, with something in it that was said by a person."""
    with closing(Store(path)) as made:
        with made.transaction():
            made.add_silence(SILENCE)
            made.acknowledge(7, NOW, "ann")
        yield made


def _delete(path: Path) -> None:
    path.unlink()


def _delete_all(path: Path) -> None:
    for each in path.parent.glob(f"{path.name}*"):
        if each.suffix != ".lock":
            each.unlink()


def _replace_by_garbage(path: Path) -> None:
    other = path.with_name("other")
    other.write_bytes(os.urandom(8192))
    other.replace(path)


def _replace_by_another(path: Path) -> None:
    with closing(Store(path.with_name("other.db"))) as other:
        other.database.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    path.with_name("other.db").replace(path)


def _replace_by_a_pipe(path: Path) -> None:
    path.unlink()
    os.mkfifo(path)


FAULTS: dict[str, Callable[[Path], None]] = {
    "deleted": _delete,
    "deleted with its log": _delete_all,
    "replaced by garbage": _replace_by_garbage,
    "replaced by another": _replace_by_another,
    "replaced by a pipe": _replace_by_a_pipe,
}


def _said(store: Store) -> tuple[list[str], list[int]]:
    return [silence.match for silence in store.silences(NOW)], list(store.acknowledgements())


@pytest.mark.parametrize("fault", FAULTS)
def test_a_file_that_is_gone_is_put_back_with_all_that_was_in_it(fault: str, path: Path, store: Store) -> None:
    FAULTS[fault](path)
    store.look_after()
    assert _said(store) == (["job=nightly"], [7])
    with store.transaction():
        store.acknowledge(8, NOW, "bob")
    with closing(Store(path, exclusive=False)) as other:
        assert _said(other) == (["job=nightly"], [7, 8])


@pytest.mark.parametrize("fault", FAULTS)
def test_whoever_reads_beside_the_service_follows_it_to_the_new_file(fault: str, path: Path, store: Store) -> None:
    with closing(Store(path, exclusive=False)) as beside:
        assert _said(beside) == (["job=nightly"], [7])
        FAULTS[fault](path)
        store.look_after()
        with store.transaction():
            store.acknowledge(8, NOW, "bob")
        assert _said(beside) == (["job=nightly"], [7, 8])
        with beside.transaction():
            beside.acknowledge(9, NOW, "eve")
        assert _said(store) == (["job=nightly"], [7, 8, 9])


@pytest.mark.parametrize("fault", ["replaced by garbage", "replaced by another"])
def test_what_had_taken_its_place_is_set_aside_and_not_deleted(fault: str, path: Path, store: Store) -> None:
    FAULTS[fault](path)
    stranger = path.read_bytes()
    store.look_after()
    (aside,) = path.parent.glob("state.db.set-aside-*Z")
    assert aside.read_bytes() == stranger


def _overwrite(path: Path) -> None:
    with path.open("r+b") as file:
        file.write(os.urandom(path.stat().st_size))


def _cut(path: Path) -> None:
    os.truncate(path, 5000)


def _empty(path: Path) -> None:
    os.truncate(path, 0)


@pytest.mark.parametrize("damage", [_overwrite, _cut, _empty])
def test_a_file_that_is_damaged_in_its_place_is_begun_anew(damage: Callable[[Path], None], path: Path) -> None:
    with closing(Store(path)) as store:
        with store.transaction():
            store.acknowledge(1, NOW, "ann")
        store.database.execute("PRAGMA wal_checkpoint(TRUNCATE)")
        damage(path)
        for number in range(2, 6):  # as one turn after another
            with suppress(sqlite3.Error), store.transaction():
                store.acknowledge(number, NOW, "bob")
                store.database.execute("SELECT count(*) FROM runs").fetchall()
            store.look_after()
        with store.transaction():
            store.acknowledge(9, NOW, "eve")
        assert store.problem == ""
    with closing(Store(path)) as again:
        assert 9 in again.acknowledgements()


@contextmanager
def _half_put_into(path: Path, store: Store) -> Iterator[None]:
    """The log is put into the file while somebody reads what came before its end: the last page, which was written once
    more since, stays in the log though the file's header counts it."""
    with store.transaction():
        store.remember("a", "long", {"thing": "x" * 400_000}, NOW)
    with closing(sqlite3.connect(path, isolation_level=None)) as reader:
        reader.execute("BEGIN")
        reader.execute("SELECT count(*) FROM silences").fetchall()
        store.database.execute("UPDATE memory SET document = replace(document, 'x', 'y')")
        store.database.execute("PRAGMA wal_checkpoint(PASSIVE)")
        yield


def _is_short(path: Path) -> bool:
    content = path.read_bytes()
    return len(content) < int.from_bytes(content[28:32], "big") * 4096


def test_what_is_still_in_the_log_is_not_missing_in_the_file(path: Path, store: Store) -> None:
    with _half_put_into(path, store):
        assert _is_short(path)
        for _ in range(3):
            store.look_after()
        assert store.mended() == ""
    store.look_after()
    assert _said(store) == (["job=nightly"], [7])
    assert not list(path.parent.glob("*set-aside*"))


def test_a_file_that_is_cut_is_begun_anew_though_a_part_of_it_is_still_in_the_log(path: Path, store: Store) -> None:
    with _half_put_into(path, store):
        _cut(path)
        for _ in range(3):
            store.look_after()
        assert "cut short" in store.mended()


@pytest.mark.parametrize("content", [b"garbage" * 1000, b"SQLite format 3\0" + b"\xff" * 5000])
def test_garbage_at_the_start_is_set_aside_under_a_date_and_the_service_begins(content: bytes, path: Path) -> None:
    path.write_bytes(content)
    with closing(Store(path)) as store, store.transaction():
        store.acknowledge(1, NOW, "ann")
    (aside,) = path.parent.glob("state.db.set-aside-*Z")
    assert aside.read_bytes() == content


@pytest.mark.parametrize("ending", ["", ".lock"])
def test_a_pipe_in_a_place_of_its_own_is_not_waited_for(ending: str, path: Path) -> None:
    os.mkfifo(f"{path}{ending}")
    with pytest.raises(StoreError, match="is a pipe, not a file"):
        Store(path)


def test_the_database_of_another_program_is_not_set_aside(path: Path) -> None:
    """It may be the watched one, by a slip in the configuration."""
    with closing(sqlite3.connect(path)) as db, db:
        db.execute("CREATE TABLE scheduled_jobs (id TEXT)")
    with pytest.raises(Exception, match="another program"):
        Store(path)
    assert not list(path.parent.glob("*set-aside*"))


def test_a_row_that_cannot_be_read_hides_no_other(path: Path, store: Store) -> None:
    bad = "not a date"
    with store.transaction():
        store.database.execute("INSERT INTO silences (match, starts_at, ends_at, by) VALUES ('a', ?, '9', 'x')", (bad,))
        store.database.execute("INSERT INTO acknowledgements (incident_id, at, by) VALUES (9, ?, 'x')", (bad,))
        store.database.execute("INSERT INTO incidents (id, is_open, changed_at, document) VALUES (3, 1, '', '{}')")
        store.database.execute(
            "INSERT INTO outbox (created_at, incident_id, event, target, message, state, not_before) "
            "VALUES (?, 1, 'opened', 'ops', '{}', 'waiting', ?)",
            (bad, bad),
        )
        store.database.execute(
            "INSERT INTO memory (source, name, key, document, updated_at) VALUES ('a', 'b', 'c', '{', '')"
        )
    assert _said(store) == (["job=nightly"], [7])
    assert store.waiting() == []
    assert store.ledger().incidents == {}
    assert store.remembered("a", "b", dict) == {}


def test_the_service_goes_on_and_says_so_when_its_file_is_deleted_under_it(tmp_path: Path) -> None:
    database = build(tmp_path / "phantom.db", {**healthy(), "scheduled_jobs": [job_row("lost", status="failed")]})
    (tmp_path / "watchdog.yaml").write_text(
        f"sources: [{{name: agent, database: {database}}}]\nstate: {tmp_path / 'state.db'}\n"
        'poll: 200ms\nhttp: {listen: "127.0.0.1:PORT"}\n'
    )
    with running(tmp_path) as service:
        until(lambda: service.get("/readyz")[0] == 200, "it is ready")
        assert service.metric("watchdog_state_up") == {"": 1.0}
        (tmp_path / "state.db").unlink()
        until((tmp_path / "state.db").exists, "it is put back")
        until(lambda: any("put back" in line["message"] for line in service.log()), "it is said")
        assert service.get("/healthz")[0] == 200
        with closing(Store(tmp_path / "state.db", exclusive=False)) as store:
            assert store.ledger().incidents
        assert service.stop() == 0

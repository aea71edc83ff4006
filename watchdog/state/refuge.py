"""Where the state goes on while its file cannot be written: a database in memory, the same for all threads.

What is in the file is taken along, and each row that changes is noted. Once the file can be written again the noted
rows are put into it: nothing is told twice, no budget is fresh, and what somebody else wrote meanwhile stays.
"""

import itertools
import json
import os
import sqlite3
from contextlib import suppress
from pathlib import Path

from watchdog.state import opening, schema

PATIENCE = 5.0
"""Seconds for which one thread waits for another."""

_CHANGES = "changes_in_memory"

_NOTE = (
    f"INSERT INTO {_CHANGES} SELECT '{{table}}', {{key}} WHERE NOT EXISTS "
    f"(SELECT 1 FROM {_CHANGES} WHERE name = '{{table}}' AND key = {{key}});"
)
"""What a statement does on a conflict would hold for its triggers too, so there is to be none."""

_numbers = itertools.count(1)
_taken: dict[Path, str] = {}


def of(path: Path | None) -> str:
    """The name of the refuge that has been taken from this file; empty while the file itself is used."""
    return _taken.get(path, "") if path is not None else ""


def entered(name: str) -> sqlite3.Connection:
    """A connection to it. There is nothing in it unless somebody else is in there."""
    return sqlite3.connect(name, uri=True, isolation_level=None, timeout=PATIENCE, check_same_thread=False)


def taken(path: Path, old: sqlite3.Connection) -> sqlite3.Connection:
    """Take along what can be read of the file, and have everybody go on there."""
    name = f"file:/watchdog-{os.getpid()}-{next(_numbers)}?vfs=memdb"
    new = entered(name)
    new.executescript(f"{''.join(schema.STEPS)} PRAGMA user_version = {schema.VERSION};")
    new.execute(f"CREATE TABLE {_CHANGES} (name TEXT, key TEXT, PRIMARY KEY (name, key)) WITHOUT ROWID")
    held = _held(old)
    try:
        opening.salvage(old, new)
        _note_changes(new)
        _taken[path] = name
    finally:
        if held and old.in_transaction:
            with suppress(sqlite3.Error):
                old.execute("ROLLBACK")
    return new


def _held(old: sqlite3.Connection) -> bool:
    """Keep others from writing while it is read, if that can be had."""
    try:
        old.execute("PRAGMA busy_timeout = 100")
        old.execute("BEGIN IMMEDIATE")
    except sqlite3.Error:
        return False
    return True


def _note_changes(new: sqlite3.Connection) -> None:
    for table in _tables(new):
        key = {row: f"json_array({', '.join(f'{row}.{name}' for name in _key(new, table))})" for row in ("NEW", "OLD")}
        for event, rows in (("INSERT", ["NEW"]), ("UPDATE", ["NEW", "OLD"]), ("DELETE", ["OLD"])):
            notes = " ".join(f"{_NOTE.format(table=table, key=key[row])}" for row in rows)
            new.execute(f"CREATE TRIGGER noted_{table}_{event} AFTER {event} ON {table} BEGIN {notes} END")


def put_back(path: Path, refuge: sqlite3.Connection, file: sqlite3.Connection) -> None:
    """Write into the file what has changed, and have everybody go on there. Raises sqlite3.Error if it cannot be yet.

    Whoever writes into the refuge at this moment waits, and then learns that it was in vain.
    """
    refuge.execute("BEGIN IMMEDIATE")
    try:
        file.execute("BEGIN IMMEDIATE")
        try:
            file.execute(f"PRAGMA user_version = {opening.version_of(file)}")  # something must be written to know
            for table, key in refuge.execute(f"SELECT name, key FROM {_CHANGES}").fetchall():
                _carry(refuge, file, table, json.loads(key))
            file.execute("COMMIT")
        except BaseException:
            if file.in_transaction:
                file.execute("ROLLBACK")
            raise
        left(path)
    finally:
        if refuge.in_transaction:
            refuge.execute("ROLLBACK")


def left(path: Path) -> None:
    """Everybody goes on in the file."""
    _taken.pop(path, None)


def _carry(refuge: sqlite3.Connection, file: sqlite3.Connection, table: str, key: list[object]) -> None:
    """One row, as it is now or as it is no more. What a newer version keeps in columns of its own stays."""
    names = opening.columns(refuge, table)
    there = " AND ".join(f"{name} IS ?" for name in _key(refuge, table))
    row = refuge.execute(f"SELECT {', '.join(names)} FROM {table} WHERE {there}", key).fetchone()
    if row is None:
        file.execute(f"DELETE FROM {table} WHERE {there}", key)
        return
    changes = ", ".join(f"{name} = ?" for name in names)
    if not file.execute(f"UPDATE {table} SET {changes} WHERE {there}", (*row, *key)).rowcount:
        file.execute(f"INSERT INTO {table} ({', '.join(names)}) VALUES ({', '.join('?' * len(row))})", row)


def _tables(db: sqlite3.Connection) -> list[str]:
    return sorted(opening.tables(db) - {_CHANGES, "sqlite_sequence"})


def _key(db: sqlite3.Connection, table: str) -> list[str]:
    found = db.execute("SELECT name FROM pragma_table_info(?) WHERE pk > 0 ORDER BY pk", (table,))
    return [name for (name,) in found]

"""Rows of a stranger's table within bounds: so many, so long, so much of them in all. What is left out is said."""

import sqlite3
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from watchdog.core.kinds import Kind
from watchdog.core.model import Unseen
from watchdog.systems.shared.sqlite_file import LONGEST_VALUE, Connection, has_row_numbers
from watchdog.systems.shared.unchanged import SameRows

MOST_ROWS = 2_000
"""Rows of one table that are judged; one with more jobs takes more than a second."""

LONG = 64 * 1024
"""Bytes; where all values are shorter, rows are read as they stand. Nothing that is shown is half as long."""

CUT_AT = 16 * 1024
"""Characters that are left of a longer value."""

MOST_BYTES = 32 * 1024 * 1024
"""Bytes of all values of one table."""

_CHUNK = 50

Record = tuple[Any, ...]


@dataclass(frozen=True, slots=True)
class Rows:
    """What was read of a table; `notes` say in a line each what was left out, for people."""

    rows: list[Record]
    notes: tuple[str, ...] = ()


def left_out(rows: Rows) -> tuple[Unseen, ...]:
    """What was left out of a table of jobs, for one who asks what cannot be judged: nothing can, of those jobs."""
    return tuple(
        Unseen(note, (Kind.OVERDUE, Kind.FAILED, Kind.VANISHED), "see what fills the table") for note in rows.notes
    )


def rows_of(
    connection: sqlite3.Connection,
    table: str,
    columns: Sequence[str],
    where: str = "1",
    values: Sequence[object] = (),
    longest: int = LONG,
    most: int = MOST_ROWS,
    known: SameRows | None = None,
    *,
    is_in_order: bool = True,
) -> Rows:
    """The first rows of a table in the order in which they were made. `columns` and `where` are the caller's own words.

    `most`: rows; `longest`: bytes of a value that is still read whole. Long ones are cut, which costs a second reading.
    Where rows have no numbers they come as the table keeps them, and one that cannot be read at all fails the table.
    `known`: those of the look before, whose objects are given back where they are as they were. `is_in_order`: else
    they come as SQLite finds them.
    """
    order = "ORDER BY rowid " if is_in_order and has_row_numbers(connection, table) else ""
    tail = f"FROM {table} WHERE {where} {order}LIMIT {most + 1}"
    try:
        found = _whole(connection, f"SELECT {', '.join(columns)} {tail}", values, longest, known)
    except sqlite3.DataError as error:
        if not _is_too_big(error):
            raise
        found = _cut(connection, table, columns, tail, values, longest)
    if len(found.rows) <= most:
        return found
    note = f"the table {table} has more than {most:,} rows: those after them are not looked at"
    return Rows(found.rows[:most], (*found.notes, note))


def _whole(
    connection: sqlite3.Connection,
    statement: str,
    values: Sequence[object],
    longest: int,
    known: SameRows | None,
) -> Rows:
    connection.setlimit(sqlite3.SQLITE_LIMIT_LENGTH, longest)
    try:
        cursor = connection.execute(statement, values)
        return _all_of(cursor) if _is_small(connection) else as_many_as_fit(cursor, known)
    finally:
        connection.setlimit(sqlite3.SQLITE_LIMIT_LENGTH, LONGEST_VALUE)


def _is_small(connection: sqlite3.Connection) -> bool:
    """Whether the whole database is no larger than what may be read of one table."""
    return isinstance(connection, Connection) and connection.size <= MOST_BYTES


def _all_of(cursor: sqlite3.Cursor) -> Rows:
    return Rows(cursor.fetchall())


def as_many_as_fit(cursor: sqlite3.Cursor, known: SameRows | None = None) -> Rows:
    """The first rows, as many as are not too much to hold. `known`: see `rows_of`."""
    rows: list[Record] = []
    size = 0
    weighed = SameRows() if known is None else known
    while chunk := cursor.fetchmany(_CHUNK):
        chunk, weight = weighed.weighed(len(rows), chunk)
        size += weight
        if size > MOST_BYTES:
            cursor.close()
            return Rows(
                rows, (f"its rows hold more than {MOST_BYTES >> 20} MiB: those after {len(rows):,} are not looked at",)
            )
        rows += chunk
    return Rows(rows)


def _cut(
    connection: sqlite3.Connection,
    table: str,
    columns: Sequence[str],
    tail: str,
    values: Sequence[object],
    longest: int,
) -> Rows:
    """The same with long values cut; row by row if one is so long that it is not to be read at all."""
    kept = min(longest, CUT_AT)
    short = [
        f"CASE WHEN typeof({name}) IN ('text', 'blob') THEN substr({name}, 1, {kept}) ELSE {name} END"
        for name in columns
    ]
    try:
        return as_many_as_fit(connection.execute(f"SELECT {', '.join(short)} {tail}", values))
    except sqlite3.DataError as error:
        if not _is_too_big(error) or not has_row_numbers(connection, table):
            raise
    ids = connection.execute(f"SELECT rowid {tail}", values).fetchall()
    return Rows([_row(connection, table, short, id_) for (id_,) in ids])


def _row(connection: sqlite3.Connection, table: str, columns: Sequence[str], id_: int) -> Record:
    return tuple(_value(connection, f"SELECT {column} FROM {table} WHERE rowid = ?", id_) for column in columns)  # noqa: S608


def _value(connection: sqlite3.Connection, statement: str, id_: int) -> object:
    try:
        found = connection.execute(statement, (id_,)).fetchone()
    except sqlite3.DataError as error:
        if not _is_too_big(error):
            raise
        return TOO_LONG
    return found[0] if found else None


TOO_LONG = f"(longer than {LONGEST_VALUE >> 20} MiB)"
"""Stands for a value that was not read."""


def _is_too_big(error: sqlite3.Error) -> bool:
    return (getattr(error, "sqlite_errorcode", 0) & 0xFF) == sqlite3.SQLITE_TOOBIG

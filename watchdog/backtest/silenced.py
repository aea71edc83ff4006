"""What the state file says was silenced, and when."""

import sqlite3
from pathlib import Path

from watchdog.core.instants import parse_instant
from watchdog.core.silences import Silence
from watchdog.systems.shared.own_record import read_state, tables_of


def silences(path: Path | None) -> list[Silence]:
    """All that were ever made. Raises PastError if the file cannot be read."""
    return [] if path is None or not path.exists() else read_state(path, _silences)


def _silences(db: sqlite3.Connection) -> list[Silence]:
    tables_of(db)
    rows = db.execute("SELECT id, match, starts_at, ends_at, by FROM silences ORDER BY id").fetchall()
    return [Silence(number, match, parse_instant(s), parse_instant(e), by) for number, match, s, e, by in rows]

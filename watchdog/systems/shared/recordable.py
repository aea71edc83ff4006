"""Which parts of a scheduler's SQLite file a recording holds, and what it says in their place."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from watchdog.systems.shared.pseudonyms import Role

MOST_ROWS = 20_000
"""Of a table, the newest."""


@dataclass(frozen=True, slots=True)
class RecordedTable:
    """A table, by its key, and its columns with what is said of each. Columns that are not named are left out."""

    key: str
    columns: Mapping[str, Role]


@dataclass(frozen=True, slots=True)
class Recordable:
    """One store: the file, what it is called in a case, the host's zone, its tables."""

    kind: str
    database: Path
    called: str
    timezone: str
    tables: Mapping[str, RecordedTable]

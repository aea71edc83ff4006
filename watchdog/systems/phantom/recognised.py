"""Whether a file is a Phantom agent's database."""

from pathlib import Path

from watchdog.systems.shared.sqlite_file import columns_of, harm, read
from watchdog.systems.shared.unreadable import UnreadableError

NAME = "phantom.db"

HEADER = b"SQLite format 3\0"

LONGEST = 0.5
"""Seconds that looking at one file may take."""


def is_phantom(file: Path) -> bool:
    """By its tables; by its name, where it cannot be read, or only with harm."""
    is_named = file.name == NAME
    if harm(file) is not None:
        return is_named
    try:
        return read(file, lambda connection: bool(columns_of(connection, "scheduled_jobs")), LONGEST)[0]
    except (UnreadableError, UnicodeError):
        return is_named

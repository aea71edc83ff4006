"""Reading a plain file that another program writes: nothing but a regular file, within a bound, closed every time."""

import os
import time
from collections.abc import Callable, Iterable
from pathlib import Path

from watchdog.core.regular_file import open_file
from watchdog.systems.shared.unreadable import UnreadableError

Marks = tuple[int, int, int]
"""Inode, size and time of change in ns: together they change whenever the file does."""

LARGEST = 8 * 1024 * 1024
"""Bytes of one file; a file of jobs that is larger is not one."""


def marks(path: Path) -> Marks | None:
    """What tells a file from itself after a change; None if it is not there or not to be reached."""
    try:
        found = os.stat(path)  # noqa: PTH116 - asked at every poll
    except (OSError, ValueError):
        return None
    return (found.st_ino, found.st_size, found.st_mtime_ns)


COARSEST = 2.0
"""Seconds: no file system's time stamps are coarser."""


def is_settled(seen: Iterable[Marks | None], after: float = COARSEST) -> bool:
    """Whether a later change of these files is sure to show in their marks; `after`: seconds since the last one."""
    newest = max((each[2] for each in seen if each), default=0)
    return time.time_ns() - newest > after * 1e9


def may_not(path: Path) -> str:
    """That this user may not read it, where nothing is known of whose it is."""
    return f"{path} may not be read by user {os.geteuid()}"


def read_bytes(path: Path, refused: Callable[[Path], str] = may_not) -> bytes:
    """A whole file. Raises UnreadableError with the reason, in one line; `refused` words the lack of a right."""
    try:
        with open_file(path) as file:
            raw = file.read(LARGEST + 1) or b""
    except PermissionError:
        raise UnreadableError(refused(path)) from None
    except FileNotFoundError:
        raise UnreadableError(f"{path} is not there") from None
    except (OSError, ValueError) as error:
        raise UnreadableError(f"{path}: {getattr(error, 'strerror', None) or error}") from None
    if len(raw) > LARGEST:
        raise UnreadableError(f"{path} is larger than {LARGEST >> 20} MiB: is it the store?")
    return raw

"""Whether another watchdog watches the same store: each holds a lock that is named by the store's device and inode.

Nothing is written into the watched folder; the locks lie where programs on a machine keep theirs. One in another
container has its own place for them, and is not seen.
"""

import fcntl
import os
import stat
import tempfile
from collections.abc import Iterable, Iterator
from contextlib import suppress
from pathlib import Path

from watchdog.config.sources import Section

SEEN_BY_ANOTHER = (
    "it is watched by another watchdog too: people are told twice, and neither knows what the other has spent of its "
    "budgets; stop one of them, or let only one recover"
)


class Neighbours:
    """The locks of this process, held until it ends."""

    def __init__(self, folders: Iterable[Path] | None = None) -> None:
        self._folders = tuple(folders) if folders is not None else _usual()
        self._held: dict[tuple[int, int], int] = {}

    def seen(self, section: Section) -> bool:
        """Whether another watchdog has this source's store. From now on others see that this one has."""
        return not all(self._hold(found) for found in _stores(section))

    def _hold(self, found: os.stat_result) -> bool:
        which = (found.st_dev, found.st_ino)
        if which in self._held:
            return True
        lock = self._opened(f"scheduler-watchdog-{found.st_dev:x}-{found.st_ino:x}.lock")
        if lock is None:
            return True  # nothing can be known
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            os.close(lock)
            return False
        self._held[which] = lock
        return True

    def _opened(self, name: str) -> int | None:
        """A file that everybody may lock and nobody can put anything else in the place of."""
        for folder in self._folders:
            for flags in (os.O_RDONLY, os.O_RDONLY | os.O_CREAT | os.O_EXCL, os.O_RDONLY):
                with suppress(OSError):
                    return os.open(folder / name, flags | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC, 0o644)
        return None

    def close(self) -> None:
        """Let all go."""
        for lock in self._held.values():
            os.close(lock)
        self._held.clear()


def _usual() -> tuple[Path, ...]:
    try:
        return (Path("/run/lock"), Path(tempfile.gettempdir()))
    except OSError:  # no folder can be written, as in a container without any; so nothing is known of others
        return (Path("/run/lock"),)


def _stores(section: Section) -> Iterator[os.stat_result]:
    """The files and folders that the section names."""
    for key in section.names_jobs:
        place = getattr(section, key, None)
        if isinstance(place, Path):
            with suppress(OSError, ValueError):
                found = place.stat()
                if stat.S_ISREG(found.st_mode) or stat.S_ISDIR(found.st_mode):
                    yield found

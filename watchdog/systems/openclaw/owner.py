"""Is the gateway alive? By the lock on its database, or by the process that its own lock file names.

From release 8.1 on it keeps its database open for as long as it lives. An older one leaves a file with the number and
the start of its process. That there is no such process here proves nothing, as the number may be one of another
container's; only one that was seen here, alive, is known to be gone when it is gone.
"""

from dataclasses import dataclass, replace
from datetime import datetime
from pathlib import Path

from watchdog.core.model import Process
from watchdog.systems.openclaw.files import Lock
from watchdog.systems.openclaw.store import Gateway, Reading
from watchdog.systems.shared.host import Host
from watchdog.systems.shared.liveness import Liveness
from watchdog.systems.shared.writer import UNKNOWN, Writer


class Owner(Liveness):
    """Asks about one gateway at every look."""

    def __init__(self, database: Path | None, host: Host) -> None:
        super().__init__(database or Path(), host)
        self._keeps_open = False
        self._lock: Lock | None = None

    def ask(self, reading: Reading, now: datetime, *, is_busy: bool) -> Process:
        """What is known of it now, by what its store is."""
        self._keeps_open, self._lock = reading.layout == "canonical", reading.lock
        process = self.look(now, is_busy=is_busy)
        return process if process.is_alive is not None or process.is_frozen else replace(process, since=None)

    def _is_alive(self) -> tuple[bool | None, Writer]:
        if self._keeps_open:
            return super()._is_alive()
        lock, before = self._lock, self._writer
        if lock is None or lock.pid is None or lock.ticks is None:
            return None, UNKNOWN
        found = self._writers.named(lock.pid, lock.ticks)
        was_seen = (before.pid, before.ticks) == (lock.pid, lock.ticks)
        return (found.alive, found) if found.alive or was_seen else (None, UNKNOWN)


@dataclass(frozen=True, slots=True)
class Standing:
    """The gateway as it stands by its store and by its process together."""

    gateway: Gateway
    is_gone: bool = False


def standing(known: Gateway, process: Process, now: datetime) -> Standing:
    """A process that started after the last start on record has started the gateway anew; one that is gone has ended
    it, and every run that was in flight with it."""
    started = process.started_at
    if started is not None and (known.started_at is None or started > known.started_at):
        known = Gateway(started)
    if process.is_alive is not False:
        return Standing(known)
    return Standing(replace(known, stopped_at=process.since or now), is_gone=True)

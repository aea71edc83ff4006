"""What is known of a scheduler's process from look to look: by who writes its store, and by its health address."""

from dataclasses import replace
from datetime import datetime
from pathlib import Path

from watchdog.core.model import Process
from watchdog.systems.shared.health import Hearing
from watchdog.systems.shared.host import Host
from watchdog.systems.shared.plain_file import marks
from watchdog.systems.shared.writer import Writer

_PROCESS, _NAME, _NOW = "process", "writer", "now"


class Liveness:
    """Asks about one store at every look, and remembers what an end or a start leaves no other trace of."""

    def __init__(self, database: Path, host: Host) -> None:
        self._database = database
        self._writers = host.writers
        self._memory = host.memory
        self._writer = host.memory.recall(_NAME, Writer).get(_NOW, Writer())
        recalled = host.memory.recall(_PROCESS, Process).get(_NOW, Process())
        # of one that cannot be told from its successor nobody knows whether it has been there all along
        self._locked = recalled if self._writer.ticks is not None else replace(recalled, since=None)
        self._hearing = Hearing(host)
        self.process = self._locked

    def look(self, now: datetime, *, is_busy: bool) -> Process:
        """The process now; `is_busy`: whether a run of it was in flight, or not written down, at the look before."""
        self.process = self._hearing.joined(self._by_its_lock(now, is_busy=is_busy), now)
        return self.process

    def _by_its_lock(self, now: datetime, *, is_busy: bool) -> Process:
        before = self._locked
        is_alive, writer = self._is_alive()
        started = self._started(writer, is_alive, now)
        has_ended = before.is_alive is True and (is_alive is False or started != before.started_at)
        is_same = (is_alive, writer.stopped) == (before.is_alive, before.is_frozen)
        is_same = is_same and before.since is not None and not writer.is_other_than(self._writer)
        self._locked = Process(
            is_alive,
            writer.stopped,
            started,
            before.since if is_same else now,
            now if has_ended and is_busy else before.let_go_at,
        )
        if (self._locked, writer) != (before, self._writer):
            self._memory.keep(_PROCESS, {_NOW: self._locked})
            self._memory.keep(_NAME, {_NOW: writer})
        self._writer = writer
        return self._locked

    def restarted(self, at: datetime) -> None:
        """What the store tells has shown that the process started then."""
        self.process = replace(self.process, started_at=at)
        self._locked = replace(self._locked, started_at=at)
        self._memory.keep(_PROCESS, {_NOW: self._locked})

    def _is_alive(self) -> tuple[bool | None, Writer]:
        writer = self._writers.of(self._database)
        if writer.alive is False and self._locked.is_alive is None and not self._has_index():
            return None, writer  # a copy that nobody ever had open looks just so
        return writer.alive, writer

    def _has_index(self) -> bool:
        return marks(Path(f"{self._database}-shm")) is not None

    def _started(self, writer: Writer, is_alive: bool | None, now: datetime) -> datetime | None:
        """Its newest start: its own, or this look's if it is back, or another one, and does not say since when."""
        before = self._locked
        is_back = before.is_alive is False and is_alive is not False
        is_other = (is_back or writer.is_other_than(self._writer)) and writer.started_at is None
        starts = (before.started_at, writer.started_at, now if is_other else None)
        return max((at for at in starts if at), default=None)

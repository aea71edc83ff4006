"""The processes of a case: what a lock on the log's index would tell of the writer of a store."""

from collections.abc import Mapping
from pathlib import Path

from watchdog.core.instants import readable_instant
from watchdog.replay.case import Seen
from watchdog.systems.shared.writer import Writer


class Processes:
    """As last told by the case's steps. Nothing is known of a case that names none."""

    def __init__(self) -> None:
        self._seen: dict[str, Seen] = {}

    def take(self, processes: Mapping[str, Seen]) -> None:
        """What a step says of some of them; the newest stands last."""
        for pid, seen in processes.items():
            self._seen.pop(pid, None)
            self._seen[pid] = seen

    def __getitem__(self, pid: str) -> Seen | None:
        """A process that a store names."""
        return self._seen.get(pid)

    def of(self, database: Path) -> Writer:
        """The process that has the store open: the newest that lives. Where none is told of, nothing is known."""
        living = [(pid, seen) for pid, seen in self._seen.items() if seen.alive]
        if not living:
            return Writer(alive=False) if self._seen else Writer()
        pid, seen = living[-1]
        return Writer(True, seen.stopped, int(pid) if pid.isdigit() else None, readable_instant(seen.started))

    def named(self, pid: int, ticks: int | None) -> Writer:
        """The process that a store names; one that the case does not tell of is not known."""
        seen = self._seen.get(str(pid))
        if seen is None:
            return Writer()
        is_it = ticks is None or not isinstance(seen.started, int) or seen.started == ticks
        return Writer(seen.alive and is_it, seen.stopped, pid, ticks=ticks)

    def shares_files(self, pid: int) -> bool:
        """Never: of the machine where the case was recorded nothing is here but its files."""
        return False

"""The processes of a case: what a lock on the log's index would tell of the writer of a store."""

from collections.abc import Mapping
from pathlib import Path

from watchdog.core.instants import readable_instant
from watchdog.core.model import Process
from watchdog.replay.case import Seen


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

    def writer(self, database: Path) -> Process:
        """The process that has the store open: the newest that lives. Where none is told of, nothing is known."""
        if not self._seen:
            return Process()
        living = [seen for seen in self._seen.values() if seen.alive]
        if not living:
            return Process(is_alive=False)
        return Process(is_alive=True, is_frozen=living[-1].stopped, started_at=readable_instant(living[-1].started))

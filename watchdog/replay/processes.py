"""The processes of a case: what a lock on the log's index would tell of the writer of a store."""

from collections.abc import Mapping

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

    @property
    def are_known(self) -> bool:
        """Whether the case says anything of processes."""
        return bool(self._seen)

    @property
    def writer(self) -> tuple[str, Seen] | None:
        """The number of the process that has the store open, and the process; None if none has."""
        living = [(pid, seen) for pid, seen in self._seen.items() if seen.alive]
        return living[-1] if living else None

"""What a source has seen of its jobs and could not see again, kept over a restart of the watchdog."""

from collections.abc import Mapping
from typing import Generic, TypeVar

from watchdog.systems.shared.host import Memory

T = TypeVar("T")


class Notebook(Generic[T]):
    """One note a job. Only what has changed is handed on, so that a look at which nothing has costs nothing."""

    def __init__(self, memory: Memory, name: str, kind: type[T]) -> None:
        self._memory = memory
        self._name = name
        self.notes: Mapping[str, T] = memory.recall(name, kind)

    def write(self, notes: Mapping[str, T]) -> None:
        """These hold from now on, and no others."""
        before = self.notes
        changed: dict[str, object] = {
            key: note for key, note in notes.items() if (known := before.get(key)) is not note and known != note
        }
        gone = {key: None for key in self.notes if key not in notes}
        if changed or gone:
            self._memory.keep(self._name, {**changed, **gone})
            self.notes = dict(notes)

    def change(self, notes: Mapping[str, T | None]) -> None:
        """These hold from now on beside the others; None for one that does not any more."""
        changed = {key: note for key, note in notes.items() if self.notes.get(key) != note}
        if changed:
            self._memory.keep(self._name, changed)
            kept = {**self.notes, **changed}
            self.notes = {key: note for key, note in kept.items() if note is not None}

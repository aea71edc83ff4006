"""What a source may ask of where it runs: who writes the stores that it reads, and what was remembered before."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Protocol, TypeVar

from watchdog.systems.shared.writer import UnknownWriters, Writers

T = TypeVar("T")


class Memory(Protocol):
    """What a source keeps over a restart of the watchdog, by names of its own."""

    def recall(self, name: str, kind: type[T]) -> dict[str, T]:
        """What was kept under a name, by its keys; what cannot be read any more is left out."""

    def keep(self, name: str, things: Mapping[str, object]) -> None:
        """Keep values, instants or dataclasses under their keys; None forgets one."""


class NoMemory:
    """For a single look, and where nothing is to outlive the process."""

    def recall(self, name: str, kind: type[T]) -> dict[str, T]:
        """Nothing."""
        return {}

    def keep(self, name: str, things: Mapping[str, object]) -> None:
        """Nothing is kept."""


@dataclass(frozen=True, slots=True)
class Host:
    """Handed to a source when it is opened. Left out, nothing is known and nothing is kept."""

    writers: Writers = field(default_factory=UnknownWriters)
    memory: Memory = field(default_factory=NoMemory)

"""What a source may ask of where it runs: who writes the stores that it reads, what its scheduler's health address
told last, and what was remembered before."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Protocol, TypeVar

from watchdog.core.model import HealthAnswer
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
class Health:
    """What a health address told last. `says` is None where it proves nothing; `started_at` is the scheduler's newest
    start, where its uptime tells it, and never later than the true one."""

    says: HealthAnswer | None = None
    asked_at: datetime | None = None
    started_at: datetime | None = None


@dataclass(frozen=True, slots=True)
class Host:
    """Handed to a source when it is opened. Left out, nothing is known and nothing is kept.

    `health` gives at once what was told last; None where the source has no such address. `stepped`: by how much this
    machine's clock has been set since the process began, as far as was seen.
    """

    writers: Writers = field(default_factory=UnknownWriters)
    memory: Memory = field(default_factory=NoMemory)
    health: Callable[[], Health] | None = None
    stepped: Callable[[], timedelta] = timedelta

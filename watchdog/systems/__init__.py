"""How a scheduler is read: one file per system, one small protocol. A source knows no detector."""

from dataclasses import dataclass
from datetime import datetime
from typing import Protocol

from watchdog.core.model import Snapshot


@dataclass(frozen=True, slots=True)
class Look:
    """What one look gave. `is_new` is False if nothing has changed since the last one; `seconds` is None then."""

    snapshot: Snapshot
    is_new: bool
    seconds: float | None = None


class Source(Protocol):
    """One watched scheduler. It remembers what must be remembered from look to look, and holds nothing open."""

    @property
    def name(self) -> str:
        """The name that the configuration gives it."""

    @property
    def kind(self) -> str:
        """The system: `phantom`, …"""

    def look(self, now: datetime) -> Look:
        """The state now. What cannot be read becomes the snapshot's `problem`; no exception comes out of this."""

    def warnings(self) -> list[str]:
        """What the operator should know before it starts: ways in which reading as this user could do harm."""

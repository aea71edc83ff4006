"""A message for one target, and where it is on its way."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum


class State(StrEnum):
    """Where a message is on its way."""

    WAITING = "waiting"
    SENDING = "sending"
    SENT = "sent"
    GIVEN_UP = "given_up"


@dataclass(frozen=True, slots=True)
class Entry:
    """A message for one target. `target` names the channel, never its address; `crashes` counts interrupted sends.

    `incident_id` is None where it is about no incident, or about several: then their numbers stand in the message.
    """

    created_at: datetime
    incident_id: int | None
    event: str
    target: str
    message: Mapping[str, str]
    not_before: datetime
    id: int = 0
    state: State = State.WAITING
    attempts: int = 0
    started_at: datetime | None = None
    settled_at: datetime | None = None
    error: str | None = None
    crashes: int = 0

    def is_about(self, incident: int) -> bool:
        """Whether it is about this incident."""
        return self.incident_id == incident or numbered((incident,)) in self.message.get(INCIDENTS, "")


INCIDENTS = "incidents"
"""Under which name a message holds the numbers of several incidents."""


def numbered(incidents: Iterable[int]) -> str:
    """The numbers as they are held there, each between blanks."""
    return f" {'  '.join(map(str, incidents))} "

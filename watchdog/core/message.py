"""A message for one target, and where it is on its way."""

from collections.abc import Mapping
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
    """A message for one target. `target` names the channel, never its address; `crashes` counts interrupted sends."""

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

"""What a replay comes to: the messages that would have been told, and the conditions that they are about."""

from collections import Counter
from dataclasses import dataclass
from datetime import datetime

from watchdog.core.model import Finding
from watchdog.notify.plan import Dispatch
from watchdog.notify.words import title

NOBODY = "nobody"
"""Stands for the target where no channel is configured."""


@dataclass(frozen=True, slots=True)
class Message:
    """One message to one target. `about` is the finding that names it; `jobs` are all that it is about.

    `is_certain`: see `SourcePast.is_certain`.
    """

    at: datetime
    target: str
    event: str
    incident: int
    about: Finding
    jobs: tuple[str, ...]
    title: str = ""
    is_certain: bool = True

    @property
    def essence(self) -> tuple[datetime, str, str, str, str | None]:
        """By what messages of two replays are the same."""
        return (self.at, self.target, self.event, self.about.kind.value, self.about.job_id)


@dataclass(frozen=True, slots=True)
class Condition:
    """A finding from the instant at which it was found to the one at which it no longer was (None: it still is)."""

    finding: Finding
    found_at: datetime
    over_at: datetime | None = None
    incident: int | None = None
    is_certain: bool = True


@dataclass(frozen=True, slots=True)
class Verdict:
    """One replay: under which settings, what was told, what was so. `runs` is how many runs lie in its time, `silences`
    how many silences, which are replayed as well."""

    name: str
    messages: tuple[Message, ...]
    conditions: tuple[Condition, ...]
    runs: int = 0
    silences: int = 0

    def unlike(self, other: "Verdict") -> list[Condition]:
        """The conditions that the other replay has not, or not from the same instant on."""
        there = {(one.finding.key, one.found_at) for one in other.conditions}
        return [one for one in self.conditions if (one.finding.key, one.found_at) not in there]

    @property
    def by_kind(self) -> Counter[str]:
        """How many messages each kind has led to."""
        return Counter(message.about.kind.value for message in self.messages)

    @property
    def by_target(self) -> Counter[str]:
        """How many messages each target would have had."""
        return Counter(message.target for message in self.messages)

    def without(self, other: "Verdict") -> list[Message]:
        """The messages that the other replay has not."""
        there = Counter(message.essence for message in other.messages)
        left: list[Message] = []
        for message in self.messages:
            if there[message.essence] > 0:
                there[message.essence] -= 1
            else:
                left.append(message)
        return left


def message_of(dispatch: Dispatch, at: datetime, *, is_certain: bool = True) -> Message:
    """What one target is told."""
    names = (member.finding.job for member in dispatch.members)
    return Message(
        at,
        dispatch.target.key,
        dispatch.event.value,
        dispatch.incident.id,
        dispatch.headline,
        tuple(dict.fromkeys(name for name in names if name)),
        title(dispatch, at),
        is_certain,
    )

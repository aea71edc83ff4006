"""What all pages share: instants, addresses, and what stands beside a posting."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Protocol
from urllib.parse import quote

from watchdog.cadence.plain_words import ago
from watchdog.config.file import Config
from watchdog.core.instants import iso, say
from watchdog.core.kinds import Kind
from watchdog.state.history import JobKey, Run, StateChange
from watchdog.web.archive import Notes


@dataclass(frozen=True, slots=True)
class When:
    """An instant for a `time` element: for programs, for people, and how long ago."""

    iso: str
    said: str
    ago: str


@dataclass(frozen=True)
class Known:
    """What stands beside the posting."""

    notes: Notes = field(default_factory=Notes)
    runs: Mapping[JobKey, Sequence[Run]] = field(default_factory=dict)
    states: Mapping[JobKey, Sequence[StateChange]] = field(default_factory=dict)
    config: Config | None = None
    can_revive: bool = False


def one_of_many(source: str, known: Known) -> str:
    """What a source is called, to stand beside its jobs; empty where no other is watched."""
    return source if known.config and len(known.config.sources) > 1 else ""


def job_url(source: str, job_id: str) -> str:
    """The address of a job's own page."""
    return f"/jobs/{quote(source, safe='')}/{quote(job_id, safe='')}"


def incident_url(number: int) -> str:
    """The address of an incident's own page."""
    return f"/incidents/{number}"


def when(instant: datetime, now: datetime) -> When:
    """An instant as the page shows it."""
    return When(iso(instant), say(instant), ago(instant, now))


def maybe(instant: datetime | None, now: datetime) -> When | None:
    """The same, where there is an instant."""
    return when(instant, now) if instant else None


def spoken(kind: Kind) -> str:
    """A kind as a word for people."""
    return kind.value.replace("_", " ")


def many(count: float) -> str:
    """A whole number with its thousands apart."""
    return f"{count:,.0f}".replace(",", "\u202f")


class Used(Protocol):
    """A run, or all of a job's."""

    @property
    def input_tokens(self) -> int | None: ...

    @property
    def output_tokens(self) -> int | None: ...


def tokens_of(used: Used) -> int | None:
    """Input and output together, as far as they are known."""
    known = [count for count in (used.input_tokens, used.output_tokens) if count is not None]
    return sum(known) if known else None


def listed(words: Sequence[str]) -> str:
    """`ops, mail and phone`."""
    return " and ".join([*filter(None, [", ".join(words[:-1])]), words[-1]])

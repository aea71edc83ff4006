"""The nouns of the past: a source's runs and its jobs' changes of state, as far as they are on record."""

from __future__ import annotations

import math
from array import array
from collections import defaultdict
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta

from watchdog.core.instants import EPOCH, from_ms, to_ms
from watchdog.core.kinds import Kind
from watchdog.core.model import Finding, Job, RunEnd, Snapshot

UNKNOWN, OK, ERROR = 0, 1, 2
"""What became of a run."""


def outcome_of(status: str | None) -> int:
    """What a word for it means; any but `error` is none."""
    return UNKNOWN if status is None else ERROR if status == "error" else OK


_NOTHING = -(2**63)
"""Stands for a number or an instant that is not known; no instant and no count is as low."""

CREATED, AS_NOW, REDATED = "created", "as now", "redated"
"""Beside the states: the job comes into being; its row is last written; its present next run is reached."""


class PastError(Exception):
    """The past cannot be read; one line."""


@dataclass(frozen=True, slots=True)
class Change:
    """From when on a job was in a state, or one of CREATED and AS_NOW."""

    at: datetime
    state: str


@dataclass(frozen=True, slots=True)
class JobPast:
    """A job that is there: as it is now, and how it came to that.

    `changes` are in order of time. `before`: its last run before the log of runs begins, where that is known.
    `swept_from`: from when on the scheduler's sweep takes its row once it has failed, by when it was last written;
    None for a row that is never swept. `cut`: when runs began that were broken off, and when
    their scheduler started again.
    """

    job: Job
    changes: tuple[Change, ...] = ()
    initially: str = "active"
    before: PastRun | None = None
    swept_from: Callable[[datetime], datetime] | None = None
    cut: tuple[tuple[datetime, datetime], ...] = ()


@dataclass(frozen=True, slots=True)
class PastRun:
    """A finished run. `errors`: how many in a row had ended in an error with it; 0 if it did not."""

    end: RunEnd
    started_at: datetime | None = None
    duration: timedelta | None = None
    status: int = UNKNOWN
    errors: int = 0
    error: str | None = None


@dataclass
class RunLog:
    """The runs of a source, in the order of their ends. In columns, for there may be a million of them.

    `owners`: the job's place among those that are there, or below zero that of one that is gone (see `gone_owner`).
    """

    owners: array[int] = field(default_factory=lambda: array("i"))
    ids: array[int] = field(default_factory=lambda: array("q"))
    ended: array[int] = field(default_factory=lambda: array("q"))
    input_tokens: array[int] = field(default_factory=lambda: array("q"))
    output_tokens: array[int] = field(default_factory=lambda: array("q"))
    costs: array[float] = field(default_factory=lambda: array("d"))
    started_ms: array[int] = field(default_factory=lambda: array("q"))
    length_ms: array[int] = field(default_factory=lambda: array("q"))
    statuses: bytearray = field(default_factory=bytearray)
    errors: array[int] = field(default_factory=lambda: array("i"))
    texts: dict[int, str] = field(default_factory=dict)

    def __len__(self) -> int:
        return len(self.owners)

    def add(self, owner: int, run: PastRun) -> None:
        """One more; they come in order."""
        number = len(self.owners)
        self.owners.append(owner)
        self.ids.append(run.end.id)
        self.ended.append(seconds_of(run.end.at))
        self.input_tokens.append(_stored(run.end.input_tokens))
        self.output_tokens.append(_stored(run.end.output_tokens))
        self.costs.append(math.nan if run.end.cost_usd is None else run.end.cost_usd)
        self.started_ms.append(_NOTHING if run.started_at is None else to_ms(run.started_at))
        self.length_ms.append(_NOTHING if run.duration is None else run.duration // _MS)
        self.statuses.append(run.status)
        self.errors.append(run.errors)
        if run.error:
            self.texts[number] = run.error

    def by_owner(self) -> dict[int, list[int]]:
        """The numbers of each owner's runs, in order; none for an owner without runs."""
        numbers: dict[int, list[int]] = defaultdict(list)
        for number, owner in enumerate(self.owners):
            numbers[owner].append(number)
        return numbers

    def know(self, number: int, run: PastRun) -> None:
        """Add what somebody wrote down of the run of this number."""
        self.started_ms[number] = _NOTHING if run.started_at is None else to_ms(run.started_at)
        self.length_ms[number] = _NOTHING if run.duration is None else run.duration // _MS
        self.statuses[number] = run.status
        if run.error:
            self.texts[number] = run.error

    def ended_at(self, number: int) -> datetime:
        """When the run of this number ended, in whole seconds."""
        return instant_of(self.ended[number])

    def started_at(self, number: int) -> datetime | None:
        """When it started, if that is on record."""
        start = self.started_ms[number]
        return None if start == _NOTHING else from_ms(start)

    def duration(self, number: int) -> timedelta | None:
        """How long it took, if that is on record."""
        length = self.length_ms[number]
        return None if length == _NOTHING else length * _MS

    def end(self, number: int) -> RunEnd:
        """Its end as the bill saw it."""
        used = (_known(self.input_tokens[number]), _known(self.output_tokens[number]))
        cost = self.costs[number]
        return RunEnd(self.ids[number], self.ended_at(number), *used, None if math.isnan(cost) else cost)

    def is_zero(self, number: int) -> bool:
        """Whether no model call was billed."""
        return self.input_tokens[number] == 0 and self.output_tokens[number] == 0

    def run(self, number: int) -> PastRun:
        """All that is known of it."""
        return PastRun(
            self.end(number),
            self.started_at(number),
            self.duration(number),
            self.statuses[number],
            self.errors[number],
            self.texts.get(number),
        )


_MS = timedelta(milliseconds=1)


def _stored(count: int | None) -> int:
    return _NOTHING if count is None else count


def _known(stored: int) -> int | None:
    return None if stored == _NOTHING else stored


def seconds_of(instant: datetime) -> int:
    """Whole seconds since 1970."""
    delta = instant - EPOCH
    return delta.days * 86_400 + delta.seconds


def instant_of(seconds: int) -> datetime:
    """The instant that is so many seconds after 1970."""
    return datetime.fromtimestamp(seconds, UTC)


def gone_owner(place: int) -> int:
    """The owner number of a job that is gone, by its place among those; the inverse is the same."""
    return -1 - place


@dataclass(frozen=True)
class SourcePast:
    """One source: as it is now, and its past.

    `begins_at`: from when on runs were looked for; `ends_at`: when `now` is. `shows_after`: how long after its start a
    run is first seen. `deeds`: when people did something through the scheduler's API, in order. `knows_cadence`:
    whether it is known when a run was due after the one before; without that nothing is late until the job is as its
    row says today. `gone`: ids of jobs that ran and are no longer there. `records`: what all of it was told by, and
    `gaps`: what cannot be told, in words. `known_from`: from when on it is on record how runs ended, and which hung;
    None where nothing is concluded from that.
    """

    now: Snapshot
    jobs: tuple[JobPast, ...]
    runs: RunLog
    begins_at: datetime
    ends_at: datetime
    shows_after: timedelta = timedelta()
    deeds: tuple[datetime, ...] = ()
    knows_cadence: bool = True
    gone: tuple[str, ...] = ()
    records: tuple[str, ...] = ()
    gaps: tuple[str, ...] = ()
    known_from: datetime | None = None

    def is_certain(self, finding: Finding) -> bool:
        """Whether nothing else may have looked like it: a pause after errors, or a run that hung, looks late."""
        is_late = (
            finding.kind in (Kind.OVERDUE, Kind.STALLED, Kind.WEDGED) and finding.evidence.get("how") != "held_slot"
        )
        is_early = self.known_from is not None and finding.since is not None and finding.since < self.known_from
        return not (is_late and is_early)

    @property
    def name(self) -> str:
        """The name that the configuration gives the source."""
        return self.now.source

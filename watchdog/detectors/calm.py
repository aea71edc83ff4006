"""Which jobs need not be judged: each that was found in order, is as it was then, and of which nothing can be due yet.

What is found of a job depends on the others, or on the scheduler, only once it is late, or has a run that is in flight
or was broken off. Until then judging it alone comes to the same as judging it among all, and the answer holds until it
has changed or the earliest instant that a rule asked for has come. A rule that asks for more than the job itself has it
judged among all.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from functools import partial
from typing import Any

from watchdog.cadence.schedule import LATEST
from watchdog.core.model import Job, Snapshot
from watchdog.core.moment import Moment
from watchdog.core.per_job import PerJob, by_id
from watchdog.detectors import DETECTORS
from watchdog.detectors.lateness import deadline_of
from watchdog.detectors.rules import RulesForAll


@dataclass(frozen=True, slots=True)
class _Judged:
    """A job as it was judged alone. `until`: when something may first be found of it; None if it is not in order."""

    job: Job
    since: datetime
    until: datetime | None
    deadline: datetime | None

    def holds(self, job: Job, at: datetime) -> bool:
        """Whether it would come to the same now."""
        is_same = self.job is job or self.job == job
        return is_same and (self.until is None or self.since <= at < self.until)


@dataclass(frozen=True, slots=True)
class Sifted:
    """`doubtful`: the jobs to be judged. `until`: when one of the others is to be. `deadlines`: of all, by id."""

    doubtful: tuple[Job, ...]
    until: datetime | None
    deadlines: Mapping[str, datetime]


_OF_NO_JOB = frozenset(
    ("jobs", "source", "kind", "problem", "problem_since", "unseen", "gone", "expected", "spent", "departed")
)
"""What rules about the source itself ask for, of which there is nothing beside a job that is alone."""


class _Alone(Snapshot):
    """One job, which notes whether a rule has asked for more than that."""

    has_told_more = False

    def __getattribute__(self, name: str) -> Any:
        """As ever."""
        if name not in _OF_NO_JOB and not name.startswith("_") and name != "has_told_more":
            object.__setattr__(self, "has_told_more", True)
        return object.__getattribute__(self, name)


class Calm:
    """Carried from judgement to judgement, for one source and one set of thresholds."""

    def __init__(self, settings: RulesForAll) -> None:
        self._settings = settings
        self._judged: PerJob[_Judged] = PerJob()
        self._sifted = Sifted((), None, {})
        self._doubtful: set[int] = set()

    def sift(self, jobs: Sequence[Job], at: datetime) -> Sifted:
        """Those that have changed since they were last judged, or may be judged otherwise by now, are judged alone."""
        renewed, judged = self._judged.renew(jobs, at, partial(self._as_judged, at=at)), self._judged.results
        known = set() if renewed.has_moved else self._doubtful.difference(renewed.places)
        places = range(len(jobs)) if renewed.has_moved else renewed.places
        self._doubtful = known | {place for place in places if judged[place].until is None}
        doubtful = tuple([jobs[place] for place in sorted(self._doubtful)])
        deadlines = by_id(self._sifted.deadlines, jobs, renewed, lambda place: judged[place].deadline)
        self._sifted = Sifted(doubtful, self._judged.until, deadlines)
        return self._sifted

    def _as_judged(self, job: Job, known: _Judged | None, at: datetime) -> tuple[_Judged, datetime | None]:
        judged = known if known is not None and known.holds(job, at) else self._alone(job, at)
        return judged, None if judged.until == LATEST else judged.until

    def _alone(self, job: Job, at: datetime) -> _Judged:
        deadline = deadline_of(job, self._settings.of(job))
        if _looks_at_others(job):
            return _Judged(job, at, None, deadline)
        alone, now = _Alone("", "", (job,)), Moment(at)
        is_found = any(True for detect in DETECTORS for _ in detect(alone, now, self._settings))
        if is_found or alone.has_told_more:
            return _Judged(job, at, None, deadline)
        return _Judged(job, at, now.next_change or LATEST, deadline)


def _looks_at_others(job: Job) -> bool:
    """Whether what is found of it depends on other jobs, or on the scheduler, though it is in time."""
    return bool(job.in_flight_since or job.interrupted or job.terms.restarts)

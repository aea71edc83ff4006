"""Which jobs need not be judged: each that is as it was, and of which nothing else can be found yet.

What is found of a job depends on the others, or on the scheduler, only once it is late, or has a run that is in flight
or was broken off. Until then judging it alone comes to the same as judging it among all, and the answer holds until it
has changed or the earliest instant that a rule asked for has come. A rule that asks for more than the job itself has it
judged among all; so does one that finds something and has asked what time it is, or what was lived through.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from functools import partial
from typing import Any

from watchdog.cadence.schedule import LATEST
from watchdog.core.model import Finding, Job, Snapshot
from watchdog.core.moment import Moment
from watchdog.core.per_job import PerJob, by_id
from watchdog.detectors import DETECTORS
from watchdog.detectors.lateness import deadline_of
from watchdog.detectors.rules import RulesForAll


@dataclass(frozen=True, slots=True)
class _Judged:
    """A job as it was judged alone. `until`: when something else may first be found of it; None if that depends on more
    than the job."""

    job: Job
    since: datetime
    until: datetime | None
    deadline: datetime | None
    findings: tuple[Finding, ...] = ()

    def holds(self, job: Job, at: datetime) -> bool:
        """Whether it would come to the same now."""
        is_same = self.job is job or self.job == job
        return is_same and (self.until is None or self.since <= at < self.until)


@dataclass(frozen=True, slots=True)
class Sifted:
    """`doubtful`: the jobs to be judged. `until`: when one of the others is to be. `deadlines`: of all, by id.

    `findings`: what is found of the others. `order`: where the jobs stand of which something is or may be found, by id.
    """

    doubtful: tuple[Job, ...]
    until: datetime | None
    deadlines: Mapping[str, datetime]
    findings: tuple[Finding, ...] = ()
    order: Mapping[str, int] = field(default_factory=dict)


_OF_ANY_JOB = frozenset(("source", "kind", "has_told_more", "absent"))
_OF_NO_JOB = frozenset(("jobs", "problem", "problem_since", "unseen", "gone", "expected", "spent", "departed"))
"""What rules about the source itself ask for, of which there is nothing beside a job that is alone."""

_OF_TIME = frozenset(("at", "put_back", "lived", "lived_through"))
"""What says more of the time than whether an instant was reached."""


class _Alone(Snapshot):
    """One job, which notes whether a rule has asked for more than that, and how often for what there is none of beside
    it: `absent`, which the other jobs are, too."""

    has_told_more = False
    absent = 0

    def __getattribute__(self, name: str) -> Any:
        """As ever."""
        if name in _OF_NO_JOB:
            object.__setattr__(self, "absent", self.absent + 1)
        elif not name.startswith("_") and name not in _OF_ANY_JOB:
            object.__setattr__(self, "has_told_more", True)
        return object.__getattribute__(self, name)


class _Aside(Moment):
    """An instant that notes whether a rule has asked for more than whether another was reached; and how often for the
    jobs that it should judge, for which it has asked the snapshot then."""

    has_told_time = False
    judged = 0

    def __getattribute__(self, name: str) -> Any:
        """As ever."""
        if name in _OF_TIME:
            object.__setattr__(self, "has_told_time", True)
        return object.__getattribute__(self, name)

    def doubtful(self, jobs: Sequence[Job]) -> Sequence[Job]:
        """As ever."""
        self.judged += 1
        return super().doubtful(jobs)

    def reached(self, instant: datetime) -> bool:
        """As ever."""
        has_told, is_reached = self.has_told_time, super().reached(instant)
        self.has_told_time = has_told
        return is_reached


class Calm:
    """Carried from judgement to judgement, for one source and one set of thresholds."""

    def __init__(self, settings: RulesForAll) -> None:
        self._settings = settings
        self._judged: PerJob[_Judged] = PerJob()
        self._sifted = Sifted((), None, {})
        self._doubtful: set[int] = set()
        self._found: set[int] = set()

    def sift(self, snapshot: Snapshot, at: datetime) -> Sifted:
        """Those that have changed since they were last judged, or may be judged otherwise by now, are judged alone."""
        jobs = snapshot.jobs
        renewed = self._judged.renew(jobs, at, partial(self._as_judged, snapshot, at))
        judged, places = self._judged.results, range(len(jobs)) if renewed.has_moved else renewed.places
        doubtful, found = (set(), set()) if renewed.has_moved else (self._doubtful, self._found)
        self._doubtful = doubtful.difference(places) | {at for at in places if judged[at].until is None}
        self._found = found.difference(places) | {at for at in places if judged[at].findings}
        self._sifted = Sifted(
            tuple([jobs[place] for place in sorted(self._doubtful)]),
            self._judged.until,
            by_id(self._sifted.deadlines, jobs, renewed, lambda place: judged[place].deadline),
            tuple([finding for place in sorted(self._found) for finding in judged[place].findings]),
            {jobs[place].id: place for place in (*self._doubtful, *self._found)},
        )
        return self._sifted

    def _as_judged(
        self, snapshot: Snapshot, at: datetime, job: Job, known: _Judged | None
    ) -> tuple[_Judged, datetime | None]:
        judged = known if known is not None and known.holds(job, at) else self._alone(snapshot, job, at)
        return judged, None if judged.until == LATEST else judged.until

    def _alone(self, snapshot: Snapshot, job: Job, at: datetime) -> _Judged:
        deadline = deadline_of(job, self._settings.of(job))
        if not _looks_at_others(job):
            now = _Aside(at)
            findings = self._found_alone(_Alone(snapshot.source, snapshot.kind, (job,)), job, now)
            if findings is not None:
                return _Judged(job, at, now.next_change or LATEST, deadline, findings)
        return _Judged(job, at, None, deadline)

    def _found_alone(self, alone: _Alone, job: Job, now: _Aside) -> tuple[Finding, ...] | None:
        """What is found of it whatever else there is; None if it has to be judged among all."""
        findings: list[Finding] = []
        for detect in DETECTORS:
            now.has_told_time, absent = False, alone.absent - now.judged
            found = [*detect(alone, now, self._settings)]
            has_asked = now.has_told_time or alone.absent - now.judged > absent
            if found and (has_asked or any(each.job_id != job.id for each in found)):
                return None
            findings += found
        return None if alone.has_told_more else tuple(findings)


def _looks_at_others(job: Job) -> bool:
    """Whether what is found of it depends on other jobs, or on the scheduler, though it is in time."""
    return bool(job.in_flight_since or job.interrupted or job.terms.restarts)

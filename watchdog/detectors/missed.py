"""Fires that went by while an earlier one was still owed: nobody will serve them."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import partial

from watchdog.cadence.schedule import LATEST, next_fire, plus
from watchdog.core.model import CronSchedule, Every, Job
from watchdog.core.per_job import PerJob, by_id

COUNTED_EVERY = timedelta(minutes=1)
"""How often new ones are looked for, at the most."""

AT_ONCE = 10_000
"""So many fires of cron expressions are counted in one go, of all jobs together; the rest follows at the next."""

CLASSIC = 40
"""As many of these as one of a classic expression takes, which a library works out."""


@dataclass(frozen=True, slots=True)
class _Owed:
    """How many fires have gone by since the one that is due, the last of those, and when the next one will have."""

    job: Job
    count: int
    last: datetime
    again: datetime


class MissedFires:
    """Counts on from judgement to judgement, for one source."""

    def __init__(self) -> None:
        self._owed: PerJob[_Owed] = PerJob()
        self._left = AT_ONCE
        self._counts: Mapping[str, int] = {}

    def count(self, jobs: Sequence[Job], now: datetime) -> tuple[Mapping[str, int], datetime | None]:
        """For each job how many fires have gone by since the one that it owes, if any; and when there may be more."""
        self._left = AT_ONCE
        renewed, owed = self._owed.renew(jobs, now, partial(self._counted, now=now)), self._owed.results
        self._counts = by_id(self._counts, jobs, renewed, lambda place: owed[place].count or None)
        again = self._owed.until
        return self._counts, None if again is None else max(again, plus(now, COUNTED_EVERY))

    def _counted(self, job: Job, known: _Owed | None, now: datetime) -> tuple[_Owed, datetime | None]:
        if known is None or known.job is not job or known.again <= now:
            dear, before = _dear(job), known
            known = _counted(job, before, now, self._left // (dear or 1))
            self._left -= dear * max(0, known.count - (before.count if before else 0))
        return known, None if known.again == LATEST else known.again


def _dear(job: Job) -> int:
    """What it costs to find one fire of its schedule; nothing where they need not be found one by one."""
    if not isinstance(job.schedule, CronSchedule):
        return 0
    return 1 if job.schedule.rules in ("croner", "croner-auto") else CLASSIC


def _counted(job: Job, before: _Owed | None, now: datetime, most_now: int) -> _Owed:
    if job.due is None or not _has_cadence(job):
        return _Owed(job, 0, now, LATEST)
    is_same = before is not None and (before.job.due, before.job.schedule) == (job.due, job.schedule)
    count, last = (before.count, before.last) if before and is_same else (0, job.due)
    if isinstance(job.schedule, Every):
        count = max(0, (now - job.due) // job.schedule.interval)
        return _Owed(job, count, last, plus(job.due, (count + 1) * job.schedule.interval))
    most, fire = count + max(0, most_now), next_fire(job.schedule, last)
    while fire is not None and fire <= now and count < most:
        count, last = count + 1, fire
        fire = next_fire(job.schedule, last)
    return _Owed(job, count, last, fire or LATEST)


def _has_cadence(job: Job) -> bool:
    """Whether its fires go by. While it runs itself, an interval has not begun to count yet."""
    if not job.is_planned:
        return False
    return isinstance(job.schedule, CronSchedule) or (isinstance(job.schedule, Every) and job.in_flight_since is None)

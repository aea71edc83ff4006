"""Fires that went by while an earlier one was still owed: nobody will serve them."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta

from watchdog.cadence.schedule import LATEST, next_fire, plus
from watchdog.core.model import CronSchedule, Every, Job

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
    """Counts on from judgement to judgement."""

    def __init__(self) -> None:
        self._owed: dict[str, dict[str, _Owed]] = {}

    def count(self, source: str, jobs: Iterable[Job], now: datetime) -> tuple[Mapping[str, int], datetime | None]:
        """For each job how many fires have gone by since the one that it owes, if any; and when there may be more."""
        before, owed, left = self._owed.get(source, {}), {}, AT_ONCE
        for job in jobs:
            known = before.get(job.id)
            if known is None or known.job is not job or known.again <= now:
                dear = _dear(job)
                counted = _counted(job, known, now, left // (dear or 1))
                left -= dear * max(0, counted.count - (known.count if known else 0))
                known = counted
            owed[job.id] = known
        self._owed[source] = owed
        again = min((each.again for each in owed.values()), default=LATEST)
        return (
            {id_: each.count for id_, each in owed.items() if each.count},
            None if again == LATEST else max(again, plus(now, COUNTED_EVERY)),
        )


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
